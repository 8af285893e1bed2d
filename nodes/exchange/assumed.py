"""The inputs that say what to take where foreign cameras leave it open, shared by the nodes that read them."""

from __future__ import annotations

from comfy_api.latest import io

from ...raxel_core.camera_io.reading import Assumed
from .. import inputs

_DEFAULT = Assumed()


def assumed_inputs(noun: str) -> list[io.Input]:
    """Optional inputs named as the fields of `Assumed`; `noun` is what does not say it, in the tooltips."""
    pixels = f"of the picture in pixels, for {noun} that do not say it."
    return [
        inputs.pixels("width", f"Width {pixels}", default=_DEFAULT.hw[1], least=1),
        inputs.pixels("height", f"Height {pixels}", default=_DEFAULT.hw[0], least=1),
        inputs.fov_degrees(
            f"Horizontal angle of view in degrees, for {noun} without intrinsics.",
            default=_DEFAULT.fov_degrees,
            least=1.0,
        ),
        inputs.fps(
            f"Frames per second. 0 takes the rate of the {noun}, or {_DEFAULT.rate:g} where they have none; any other "
            "value overrides theirs."
        ),
        inputs.unit(_DEFAULT.unit, where=f", for {noun} without units"),
    ]


def rate_given(fps: float) -> float | None:
    """The frames a second that the widget names; None for its 0, which leaves the rate to what is read."""
    return fps or None

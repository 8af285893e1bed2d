"""The inputs that say what to take where foreign cameras leave it open, shared by the nodes that read them."""

from __future__ import annotations

from comfy_api.latest import io

from ...raxel_core.camera_io.reading import Assumed
from ...raxel_core.geometry.trajectory import UNITS

_DEFAULT = Assumed()


def assumed_inputs(noun: str) -> list[io.Input]:
    """Optional inputs named as the fields of `Assumed`; `noun` is what does not say it, in the tooltips."""
    return [
        _pixels("width", _DEFAULT.hw[1], noun),
        _pixels("height", _DEFAULT.hw[0], noun),
        io.Float.Input(
            "fov_degrees",
            default=_DEFAULT.fov_degrees,
            min=1.0,
            max=179.0,
            step=0.01,
            optional=True,
            tooltip=f"Horizontal angle of view in degrees, for {noun} without intrinsics.",
        ),
        io.Float.Input(
            "fps",
            default=0.0,
            min=0.0,
            max=1000.0,
            step=0.01,
            optional=True,
            tooltip=f"Frames a second. 0 takes the rate of the {noun}, or {_DEFAULT.rate:g} where they have none; any "
            "other wins over theirs.",
        ),
        io.Combo.Input(
            "unit",
            options=list(UNITS),
            default=_DEFAULT.unit,
            optional=True,
            tooltip=f"What a length of 1 is, for {noun} without units. near_depth: the depth of the near part "
            "of the scene in the first frame. metre. arbitrary: unknown.",
        ),
    ]


def rate_given(fps: float) -> float | None:
    """The frames a second that the widget names; None for its 0, which leaves the rate to what is read."""
    return fps or None


def _pixels(side: str, default: int, noun: str) -> io.Input:
    tooltip = f"{side.capitalize()} of the picture in pixels, for {noun} that do not say it."
    return io.Int.Input(side, default=default, min=1, max=16384, optional=True, tooltip=tooltip)

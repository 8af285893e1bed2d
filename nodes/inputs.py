"""The inputs that several nodes have, each written once: id, bounds and step here, the words for what is meant there.

Used as a module, so that the words stay short: `inputs.model()`, `inputs.fps("Frames a second of the video; ...")`.
"""

from __future__ import annotations

from collections.abc import Sequence

from comfy_api.latest import io

from ..raxel_core.geometry.trajectory import UNITS
from ..raxel_core.warp.depth_map import DEPTH_KINDS
from .sockets import GEOMETRY_SOCKETS, TrajectorySocket

# Bounds of what a user types. They keep slips of the hand out; what a node cannot do with a value it says itself.
MOST_FRAMES = 4096
MOST_PIXELS = 16_384
_MOST_STEPS = 1000
_MOST_FPS, _LEAST_FPS = 1000.0, 0.01
_MOST_LENGTH, _LEAST_LENGTH = 100_000.0, 0.001
_MOST_FRAME_NUMBER = 100_000

_STEPS_TOOLTIP = "Denoising steps of the video: about 4 with raxel-tiny, 20 or more with a large model."


def model() -> io.Input:
    """The joint model."""
    return io.Model.Input("model", tooltip="A raxel checkpoint, from Load Raxel Model.")


def vae() -> io.Input:
    """The VAE beside it."""
    return io.Vae.Input("vae", tooltip="The VAE of the checkpoint, from Load Raxel Model.")


def task(options: Sequence[str]) -> io.Input:
    """What of a clip is given and what is made."""
    tooltip = (
        "pose: the video is given, the cameras are found. camera: the cameras are given, the video is made. "
        "joint: both are made."
    )
    return io.Combo.Input("task", options=list(options), tooltip=tooltip)


def trajectory(tooltip: str = "The camera path.", *, id: str = "trajectory", optional: bool = False) -> io.Input:
    """A camera path."""
    return TrajectorySocket.Input(id, optional=optional, tooltip=tooltip)


def seed(*, optional: bool = False) -> io.Input:
    """What noise is drawn from."""
    tooltip = "The same seed draws the same noise, on every device."
    return io.Int.Input("seed", default=0, min=0, max=2**64 - 1, optional=optional, tooltip=tooltip)


def steps(more: str = "") -> io.Input:
    """Steps of the video; `more` is said after it."""
    return io.Int.Input("steps", default=4, min=1, max=_MOST_STEPS, tooltip=f"{_STEPS_TOOLTIP} {more}".strip())


def ray_steps(tooltip: str) -> io.Input:
    """Steps of the rays, which need fewer."""
    return io.Int.Input("ray_steps", default=2, min=1, max=_MOST_STEPS, tooltip=tooltip)


def cfg(by: str, *, optional: bool = False) -> io.Input:
    """Guidance; `by` is what guides."""
    tooltip = f"How strongly {by} guide the result; 1 is off and runs twice as fast."
    return io.Float.Input("cfg", default=1.0, min=0.0, max=100.0, step=0.1, optional=optional, tooltip=tooltip)


def fps(tooltip: str, *, default: float = 0.0, optional: bool = True) -> io.Input:
    """Frames a second; where 0 is the default, it stands for a rate from elsewhere that the tooltip names."""
    least = _LEAST_FPS if default else 0.0
    return io.Float.Input(
        "fps", default=default, min=least, max=_MOST_FPS, step=_LEAST_FPS, optional=optional, tooltip=tooltip
    )


def checkpoint_fps() -> io.Input:
    """The rate of a video that a checkpoint reads."""
    return fps("Frames per second of the video; 0 takes the checkpoint's.")


def frames(tooltip: str, *, default: int = 0, optional: bool = True) -> io.Input:
    """How many frames, in steps from one 4n + 1 to the next; where 0 is the default, the tooltip says what it takes."""
    least, step = (1, 4) if default else (0, None)
    return io.Int.Input(
        "frames", default=default, min=least, max=MOST_FRAMES, step=step, optional=optional, tooltip=tooltip
    )


def frame(tooltip: str, *, id: str = "frame", default: int = 0) -> io.Input:
    """The number of a frame; negative ones count from the end."""
    most = _MOST_FRAME_NUMBER
    return io.Int.Input(id, default=default, min=-most, max=most, tooltip=tooltip)


def pixels(
    side: str,
    tooltip: str,
    *,
    default: int = 0,
    least: int = 0,
    most: int = MOST_PIXELS,
    step: int | None = None,
    optional: bool = True,
) -> io.Input:
    """The width or height of a picture."""
    return io.Int.Input(side, default=default, min=least, max=most, step=step, optional=optional, tooltip=tooltip)


def size(tooltip: str, *, most: int = MOST_PIXELS) -> list[io.Input]:
    """Width and height that may be left to something else, with 0; `tooltip` goes on after "Width"."""
    return [pixels(side, f"{side.capitalize()} {tooltip}", most=most) for side in ("width", "height")]


def fov_degrees(tooltip: str, *, default: float = 0.0, least: float = 0.0) -> io.Input:
    """A horizontal angle of view; where 0 is the default, the tooltip says what it stands for."""
    return io.Float.Input(
        "fov_degrees", default=default, min=least, max=179.0, step=0.01, optional=True, tooltip=tooltip
    )


def depth(tooltip: str) -> io.Input:
    """A distance in the path's unit."""
    return io.Float.Input(
        "depth",
        default=1.0,
        min=_LEAST_LENGTH,
        max=_MOST_LENGTH,
        step=0.01,
        optional=True,
        tooltip=tooltip,
    )


def unit(default: str, *, where: str = "") -> io.Input:
    """The unit of a path's lengths; `where` says of which, after a comma."""
    tooltip = (
        f"What a length of 1 is{where}. near_depth: the distance of the near part of the scene in the first frame. "
        "metre: one metre. arbitrary: unknown."
    )
    return io.Combo.Input("unit", options=list(UNITS), default=default, optional=True, tooltip=tooltip)


def depth_kind() -> io.Input:
    """How a grey picture is read as depth."""
    meanings = "; ".join(f"{name}: {text}" for name, text in DEPTH_KINDS.items())
    tooltip = f"What grey means in a depth picture. {meanings}."
    return io.Combo.Input("depth_kind", options=list(DEPTH_KINDS), default="disparity", optional=True, tooltip=tooltip)


def depth_inputs(several: str = "") -> list[io.Input]:
    """Depth as a picture or as geometry; `several` says in the tooltips what a batch of them is, if it is taken."""
    return [
        io.Image.Input(
            "depth",
            optional=True,
            tooltip="A grey depth picture from any depth node; depth_kind says how it is read. "
            f"{several}Connect this or geometry.",
        ),
        io.MultiType.Input(
            "geometry",
            types=[*GEOMETRY_SOCKETS, io.AnyType],  # VGGT's has no name of its own
            optional=True,
            tooltip="Geometry from Run MoGe Inference or Run Depth Anything 3, or VGGT's predictions: depths in true "
            f"proportion, and the lens where it is known. {several}Connect this or depth.",
        ),
        depth_kind(),
        io.Float.Input(
            "near",
            default=1.0,
            min=0.0001,
            max=100000.0,
            step=0.01,
            optional=True,
            tooltip="Depth of the nearest grey in a depth picture, in metres or any other unit. With unit "
            "near_depth only the ratio far / near matters.",
        ),
        io.Float.Input(
            "far",
            default=10.0,
            min=0.0002,
            max=1000000.0,
            step=0.1,
            optional=True,
            tooltip="Depth of the farthest grey in a depth picture, in the unit of near.",
        ),
    ]

"""The sockets and widgets of depth, the same on every node that reads it."""

from __future__ import annotations

from comfy_api.latest import io

from .. import inputs
from ..sockets import GEOMETRY_SOCKETS


def depth_inputs(several: str = "") -> list[io.Input]:
    """Depth as a picture or as geometry; `several` says in the tooltips what a batch of them is, if it is taken."""
    return [
        io.Image.Input(
            "depth",
            optional=True,
            tooltip=f"A grey depth picture of any depth node; read by depth_kind. {several}Connect this or geometry.",
        ),
        io.MultiType.Input(
            "geometry",
            types=[*GEOMETRY_SOCKETS, io.AnyType],  # VGGT's has no name of its own
            optional=True,
            tooltip="Geometry from Run MoGe Inference or Run Depth Anything 3, or VGGT's predictions: depths in true "
            f"proportion, and the lens where it is known. {several}Connect this or depth.",
        ),
        inputs.depth_kind(),
        io.Float.Input(
            "near",
            default=1.0,
            min=0.0001,
            max=100000.0,
            step=0.01,
            optional=True,
            tooltip="Depth at the near end of a grey picture's range, in metres or any unit. With unit near_depth only "
            "far / near counts.",
        ),
        io.Float.Input(
            "far",
            default=10.0,
            min=0.0002,
            max=1000000.0,
            step=0.1,
            optional=True,
            tooltip="Depth at the far end of a grey picture's range, in the unit of near.",
        ),
    ]

"""Depth as ComfyUI's sockets hand it over, as the core's depth maps."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...raxel_core.warp.depth_map import DepthMap, depth_from_picture, depths_from_geometry
from .images import grey_pictures


def depth_maps_of(depth: Tensor | None, geometry: Any, *, kind: str, near: float, far: float) -> tuple[DepthMap, ...]:
    """The depth maps of the one socket that is connected, one a picture; ValueError unless it is exactly one."""
    if (depth is None) == (geometry is None):
        given = "neither is" if depth is None else "both are"
        raise ValueError(f"connect depth or geometry, one of the two: {given} connected")
    if depth is None:
        return depths_from_geometry(geometry)
    return tuple(depth_from_picture(grey, kind, near=near, far=far) for grey in grey_pictures(depth))

"""What the builder's editor is told after a run: the clip, the picture, and the depth of the picture as another one."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.warp.depth_map import DepthMap, depth_from_picture, depths_from_geometry
from ..comfy_io.images import grey_pictures

# The editor draws this many points and no more; a code of 16 bits stands in two channels, 0 is no depth.
_MOST_POINTS = 10_000
_CODES = 65_534


def editor_notes(
    node: type[io.ComfyNode], trajectory: Trajectory, image: Tensor | None, depth: DepthMap | None
) -> dict[str, Any]:
    """The notes: the clip, and where the first picture of `image` [F, H, W, 3] and that of `depth` are kept."""
    height, width = trajectory.camera.hw
    clip = {"frames": len(trajectory), "width": width, "height": height, "fps": trajectory.fps}
    notes: dict[str, Any] = {"raxel_clip": [{**clip, "unit": trajectory.unit}]}
    if image is not None:
        notes["raxel_image"] = _kept(node, image[:1])
    if depth is not None:
        picture, words = depth_picture(depth.in_unit(trajectory.unit))
        notes["raxel_depth"] = [{**_kept(node, picture)[0], **words, "near_depth": depth.near_depth}]
    return notes


def depth_of(depth: Any, kind: str) -> DepthMap:
    """The first depth map in an IMAGE of grey pictures, read as `kind`, or in a geometry; ValueError for all else."""
    if not isinstance(depth, Tensor):
        return depths_from_geometry(depth)[0]
    return depth_from_picture(grey_pictures(depth[:1])[0], kind)


def depth_picture(depth: DepthMap) -> tuple[Tensor, dict[str, Any]]:
    """A small depth map as a picture [1, H, W, 3] in [0, 1], and {near, far, K} that its codes are read with.

    A code c from 1 to 65535 stands for a depth whose inverse is (c - 1) / 65534 of the way from 1 / far to 1 / near;
    red is its high byte and green its low one. K = [fx, fy, cx, cy] in the small picture's pixels, or None.
    """
    small = depth.resized(_small_hw(depth.hw))
    known = small.depth > 0.0
    near, far = (float(bound) for bound in torch.aminmax(small.depth[known]))
    span = max(1.0 / near - 1.0 / far, 1e-12)
    share = ((1.0 / small.depth.double() - 1.0 / far) / span).clamp(0.0, 1.0)
    codes = torch.where(known, (share * _CODES).round() + 1.0, 0.0).long()
    bytes_ = torch.stack((codes // 256, codes % 256, torch.zeros_like(codes)), dim=-1)
    # A quarter more, so that whatever rounds it to bytes finds them again.
    picture = ((bytes_ + 0.25) / 255.0).float()[None]
    lens = None if small.K is None else [float(small.K[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]
    return picture, {"near": near, "far": far, "K": lens}


def _small_hw(hw: tuple[int, int]) -> tuple[int, int]:
    """The size of about as many pixels as the editor draws points, or `hw` where that is smaller."""
    factor = min(1.0, sqrt(_MOST_POINTS / (hw[0] * hw[1])))
    return max(1, int(hw[0] * factor)), max(1, int(hw[1] * factor))


def _kept(node: type[io.ComfyNode], picture: Tensor) -> list[Any]:
    """Where ComfyUI keeps a picture [1, H, W, 3] for the page."""
    return list(ui.PreviewImage(picture.cpu(), cls=node).as_dict()["images"])

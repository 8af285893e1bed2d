"""Points of a picture with depth, followed through the frames of a camera path: what point-track models are guided by.

Wan Move takes pixels and visibility of every frame. ATI (WanTrackToVideo) takes text: for each track 121 samples spread
evenly over the clip, and counts a track as out of sight after its last sample.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry.trajectory import Trajectory
from .depth_map import DepthMap
from .point_splat import Filmed, filmed, nearest_depth, on_edge, points_of, projected, projections

ATI_SAMPLES = 121
# Relative: a point is hidden where something is nearer in its pixel by more; a surface seen at a slant spans some.
_HIDDEN = 0.05
_EDGE = 0.1
# What hides what is looked up in pictures of so many pixels: a point is a few pixels wide to the models anyway.
_MOST_PIXELS = 100_000


@dataclass(frozen=True, eq=False)
class PointTracks:
    """`pixel` [F, N, 2] (x, y) in pixels of the path's pictures, corners at (0, 0) and (w, h); `visible` [F, N], False
    outside the picture and behind what is nearer; `position` [N, 3] in the first camera's axes and the path's unit;
    `trajectory`: the cameras that see them."""

    pixel: Tensor
    visible: Tensor
    position: Tensor
    trajectory: Trajectory


def point_tracks(
    depth: DepthMap, trajectory: Trajectory, picture_hw: tuple[int, int], *, count: int = 100
) -> PointTracks:
    """About `count` points, on an even grid of the picture of `picture_hw` whose depth is known, seen along the path.

    The picture was taken by the first camera; depth, lens and unit are read as `point_splat.warp` reads them. Raises
    ValueError as that does, and where no point of the grid has a depth.
    """
    scene = filmed(depth, trajectory, picture_hw)
    rows, columns = _grid((scene.depths[0].depth > 0.0) & ~on_edge(scene.depths[0].depth, _EDGE), count)
    corner = torch.stack((columns + 0.5, rows + 0.5, torch.ones(len(rows))), dim=-1).double()
    z = scene.depths[0].depth[rows, columns].double()
    pixel, visible = [], []
    ways = zip(*projections(scene.path.camera, scene.cameras), _fronts(scene), strict=True)
    for homography, parallax, front in ways:
        seen = corner @ homography.mT + parallax / z[:, None]
        pixel.append(seen[:, :2] / torch.where(seen[:, 2:] > 0.0, seen[:, 2:], 1.0))
        scale = pixel[-1].new_tensor(front.shape[::-1]) / pixel[-1].new_tensor(trajectory.camera.hw[::-1])
        visible.append(_in_sight(pixel[-1] * scale, seen[:, 2] * z, front))
    position = scene.depths[0].lifted(rows, columns, scene.cameras.K[0])
    return PointTracks(torch.stack(pixel).float(), torch.stack(visible), position, scene.path)


def ati_text(tracks: PointTracks) -> str:
    """The tracks as ATI's nodes read them, JSON: each track's {x, y} at 121 samples, up to where it goes out of sight.

    A path of one frame stands still.
    """
    frames = len(tracks.pixel)
    at = torch.linspace(0.0, float(frames - 1), ATI_SAMPLES, dtype=torch.float64)
    before = at.floor().long().clamp(max=max(frames - 2, 0))
    after = (before + 1).clamp(max=frames - 1)
    pixel = torch.lerp(tracks.pixel[before], tracks.pixel[after], (at - before).float()[:, None, None])
    kept = (tracks.visible[before] & tracks.visible[after]).cumprod(dim=0).sum(dim=0).tolist()
    rows = pixel.double().mul(100.0).round().div(100.0).transpose(0, 1).tolist()
    shown = [[{"x": x, "y": y} for x, y in row[:last]] for row, last in zip(rows, kept, strict=True) if last]
    return json.dumps(shown)


def _fronts(scene: Filmed) -> Iterator[Tensor]:
    """The depth [h, w] of what is nearest in each frame, in pictures of no more than `_MOST_PIXELS`."""
    height, width = scene.path.camera.hw
    share = min(1.0, math.sqrt(_MOST_PIXELS / (height * width)))
    hw = (max(1, round(height * share)), max(1, round(width * share)))
    surfaces = points_of(torch.zeros(3, *hw), scene.depths[0].resized(hw).depth, _EDGE)
    seeing, taking = scene.path.camera.resized(hw), scene.cameras.resized(hw)
    for homography, parallax in zip(*projections(seeing, taking), strict=True):
        yield nearest_depth(projected(surfaces, homography, parallax, hw), hw)


def _grid(known: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Rows and columns of about `count` `known` pixels [h, w], on a grid of even steps, at most one of each pixel."""
    if count < 1:
        raise ValueError(f"at least one point is followed, got {count}")
    height, width = known.shape
    step = max(1.0, math.sqrt(float(known.sum()) / count))
    rows = (torch.arange(0.5 * step, height, step)).long()
    columns = (torch.arange(0.5 * step, width, step)).long()
    grid = torch.cartesian_prod(rows, columns)
    grid = grid[known[grid[:, 0], grid[:, 1]]]
    if not len(grid):
        raise ValueError("no point of the grid has a known depth: ask for more points")
    return grid[:, 0], grid[:, 1]


def _in_sight(pixel: Tensor, depth: Tensor, front: Tensor) -> Tensor:
    """Whether points [N] at `pixel` [N, 2] and `depth` [N] lie in the frame and not behind its `front` [h, w]."""
    height, width = front.shape
    x, y = pixel.floor().long().unbind(-1)
    inside = (depth > 0.0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    nearest = front[y.clamp(0, height - 1), x.clamp(0, width - 1)].to(depth)
    return inside & (depth <= nearest * (1.0 + _HIDDEN))

"""The unit of a solved path: near depths, metres by a known distance or by depth maps, or none."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry.estimate import Estimate
from .lens import Lens
from .settings import DepthAt, Scale

NEAR_QUANTILE = 0.25
# Fewer points tell no scale, and a middle half of the ratios wider than this, to either side, hardly one.
_FEWEST_POINTS, _WIDE = 12, 0.25
# Networks round a picture's sides to multiples of up to 64 pixels: a depth map's aspect may be off by this share.
_ASPECT_TOLERANCE = 0.08


class DepthRatio(NamedTuple):
    """Depths in depth maps over those of the solved points they show: the median, half the width of the middle half as
    a share of it, of how many points in how many frames, and the near depth of the first camera's map where it has
    one."""

    median: float
    spread: float
    points: int
    frames: int
    near: float | None


def scaled(estimate: Estimate, scale: Scale, ratio: DepthRatio | None = None) -> Estimate:
    """`estimate` in the unit that `scale` asks for, by the `ratio` of depth maps where there are some.

    ValueError where the frames of the distance have no camera, or the cameras stand in one place.
    """
    if ratio is not None and scale.kind in ("depth", "near_depth"):
        return _scaled_by_depth(estimate, scale, ratio)
    if scale.kind == "near_depth":
        return estimate.scaled(1.0 / near_depth(estimate), unit="near_depth")
    center = estimate.trajectory.camera.center
    if scale.kind == "distance":
        first, last = (_index(estimate, frame) for frame in (scale.between or _ends(estimate)))
        distance = float(torch.linalg.vector_norm(center[first] - center[last]))
        _check(distance)
        return estimate.scaled(scale.metres / distance, unit="metre")
    farthest = float(torch.linalg.vector_norm(center - center[0], dim=-1).max())
    _check(farthest)
    return estimate.scaled(1.0 / farthest, unit="arbitrary")


def covariance_in(scale: Scale, covariance: Tensor, center: Tensor) -> Tensor:
    """[R, 7, 7] of (omega, centre, log f) in the unit that `scale` asks for, of [R, 8, 8], which holds the distance of
    the farthest camera and has the error of the log near depth n besides; `center` [R, 3] from the first camera.

    Where depths are the unit, lengths are taken over them: a centre's error is dc - c dn. A drive to the side looks the
    same with any focal length, at depths that are as many times as large; so its length in depths is known no better.
    """
    to_unit = torch.eye(7, 8, dtype=covariance.dtype).repeat(len(center), 1, 1)
    if scale.kind in ("near_depth", "depth"):
        to_unit[:, 3:6, 7] = -center
    return to_unit @ covariance @ to_unit.mT


def depth_ratio(estimate: Estimate, lens: Lens, depth_at: DepthAt) -> DepthRatio:
    """How depth maps compare with the points of an estimate, over all observations that both have a depth for; `lens`
    is that of the frames as they were filmed.

    The median over all of them, so that no few wrong depths, at edges and of things that move, count. ValueError where
    fewer than 12 observations have both.
    """
    ratios: list[Tensor] = []
    near = None
    for index, number in enumerate(estimate.footage.frames):
        depth = depth_at(number)
        if depth is None:
            continue
        own = _ratios(estimate, index, lens, depth)
        ratios += [own] if len(own) else []
        known = depth[torch.isfinite(depth) & (depth > 0.0)].double()
        if index == 0 and len(known):
            near = float(known.sort().values[int(NEAR_QUANTILE * (len(known) - 1))])
    every = torch.cat(ratios) if ratios else torch.zeros(0)
    if len(every) < _FEWEST_POINTS:
        raise ValueError(
            f"the scale by depth needs {_FEWEST_POINTS} or more solved points on the depth maps, and there are "
            f"{len(every)}: give maps of frames that have a camera"
        )
    ordered = every.sort().values
    low, middle, high = (float(ordered[int(share * (len(ordered) - 1))]) for share in (0.25, 0.5, 0.75))
    return DepthRatio(middle, (high - low) / (2.0 * middle), len(every), len(ratios), near)


def near_depth(estimate: Estimate) -> float:
    """The 25th percentile of the depths of the points that the first camera sees, in the estimate's unit."""
    points, camera = estimate.points, estimate.trajectory.camera[0]
    if points is None or not len(points):
        raise ValueError("near depth needs points of the scene, and this estimate has none")
    local = (camera.cam_from_world[:3, :3] @ points.position.mT).mT + camera.cam_from_world[:3, 3]
    seen = points.seen_from(0)
    return near_of(local[seen if len(seen) else slice(None), 2])


def near_of(depth: Tensor) -> float:
    """The near depth of points with these depths [n]. ValueError where none is before the camera."""
    depth = depth[depth > 0.0]
    if not len(depth):
        raise ValueError("near depth needs points before the first camera, and there are none")
    return float(torch.quantile(depth, NEAR_QUANTILE))


def _scaled_by_depth(estimate: Estimate, scale: Scale, ratio: DepthRatio) -> Estimate:
    by = f"the depth maps at {ratio.points} points in {ratio.frames} frames"
    agreement = f"the middle half of the ratios lies within {ratio.spread:.0%} of their median"
    doubt = ": depth and cameras hardly agree, trust lengths little" if ratio.spread > _WIDE else ""
    if scale.kind == "depth":
        found = estimate.scaled(ratio.median, unit="metre")
        return replace(found, notes=(*found.notes, f"Metres by {by}; {agreement}{doubt}."))
    if ratio.near is None:
        raise ValueError(f"near depth by depth maps needs the map of frame {estimate.footage.frames[0]}, the first")
    found = estimate.scaled(ratio.median / ratio.near, unit="near_depth")
    return replace(found, notes=(*found.notes, f"Near depth of the first depth map, by {by}; {agreement}{doubt}."))


def _ratios(estimate: Estimate, index: int, lens: Lens, depth: Tensor) -> Tensor:
    """[n]: depths in the map of camera `index` over those of the points that it saw, where the map has one."""
    (height, width), (own_height, own_width) = lens.hw, depth.shape
    if abs(own_width / own_height * height / width - 1.0) > _ASPECT_TOLERANCE:
        raise ValueError(f"a depth map of {own_width}x{own_height} is not that of a frame of {width}x{height}")
    points, camera = estimate.points, estimate.trajectory.camera[index]
    if points is None:
        return torch.zeros(0, dtype=torch.float64)
    mine = points.seen_by == index
    local = (points.position[points.seen[mine]] - camera.center) @ camera.rotation
    pixel = lens.filmed(points.pixel[mine]) * local.new_tensor((own_width / width, own_height / height))
    column, row = pixel.floor().long().unbind(-1)
    there = depth.to(local)[row.clamp(0, own_height - 1), column.clamp(0, own_width - 1)]
    known = torch.isfinite(there) & (there > 0.0) & (local[:, 2] > 0.0)
    return there[known] / local[known, 2]


def _ends(estimate: Estimate) -> tuple[int, int]:
    return estimate.footage.frames[0], estimate.footage.frames[-1]


def _index(estimate: Estimate, frame: int) -> int:
    if frame not in estimate.footage.frames:
        raise ValueError(f"the known distance is between two frames that have cameras, and frame {frame} has none")
    return estimate.footage.frames.index(frame)


def _check(distance: float) -> None:
    if not distance > 1e-9:
        raise ValueError("the two cameras stand in one place, which gives no scale: name two frames that are apart")

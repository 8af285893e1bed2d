"""The unit of a solved path: near depths, metres by a known distance, or none."""

from __future__ import annotations

import torch

from ..geometry.estimate import Estimate
from .settings import Scale

NEAR_QUANTILE = 0.25


def scaled(estimate: Estimate, scale: Scale) -> Estimate:
    """`estimate` in the unit that `scale` asks for.

    ValueError where the frames of the distance have no camera, or the cameras stand in one place.
    """
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


def near_depth(estimate: Estimate) -> float:
    """The 25th percentile of the depths of the points that the first camera sees, in the estimate's unit."""
    points, camera = estimate.points, estimate.trajectory.camera[0]
    if points is None or not len(points):
        raise ValueError("near depth needs points of the scene, and this estimate has none")
    local = (camera.cam_from_world[:3, :3] @ points.position.mT).mT + camera.cam_from_world[:3, 3]
    seen = points.seen_from(0)
    depth = local[seen if len(seen) else slice(None), 2]
    depth = depth[depth > 0.0]
    if not len(depth):
        raise ValueError("near depth needs points before the first camera, and there are none")
    return float(torch.quantile(depth, NEAR_QUANTILE))


def _ends(estimate: Estimate) -> tuple[int, int]:
    return estimate.footage.frames[0], estimate.footage.frames[-1]


def _index(estimate: Estimate, frame: int) -> int:
    if frame not in estimate.footage.frames:
        raise ValueError(f"the known distance is between two frames that have cameras, and frame {frame} has none")
    return estimate.footage.frames.index(frame)


def _check(distance: float) -> None:
    if not distance > 1e-9:
        raise ValueError("the two cameras stand in one place, which gives no scale: name two frames that are apart")

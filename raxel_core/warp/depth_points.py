"""The points of a scene out of depth: what COLMAP's models and Gaussian splats start from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..framing import fit_video
from ..geometry.camera import Camera
from ..geometry.sparse_points import SparsePoints
from ..geometry.trajectory import Trajectory
from .depth_map import DepthMap
from .point_splat import on_edge
from .point_tracks import point_tracks

_EDGE = 0.1


def depth_points(
    image: Tensor, depth: DepthMap | Sequence[DepthMap], trajectory: Trajectory, *, count: int = 20_000
) -> SparsePoints:
    """About `count` points in the world and unit of `trajectory`, of the picture `image` [3, H, W] in [0, 1] that its
    first camera took, or of a clip [3, F, H, W] with a depth map for each of its cameras.

    Points of a still are followed through all frames; those of a clip are seen by the camera they come from. The lens
    is the path's own, since these are the points of its cameras. For "near_depth" depths are divided by the 25th
    percentile of the first. Raises ValueError where the numbers of pictures, depth maps and cameras do not fit.
    """
    clip = image[:, None] if image.ndim == 3 else image
    depths = (depth,) if isinstance(depth, DepthMap) else tuple(depth)
    if len(depths) != clip.shape[1] or len(depths) not in (1, len(trajectory)):
        raise ValueError(
            f"one picture and its depth, or one of each for every frame of the path, got {clip.shape[1]} pictures and "
            f"{len(depths)} depth maps for {len(trajectory)} frames"
        )
    factor = 1.0 / depths[0].near_depth if trajectory.unit == "near_depth" else 1.0
    fitted = [_for_path(each.scaled(factor), clip, trajectory) for each in depths]
    if len(depths) == 1:
        return _followed(clip[:, 0], fitted[0], trajectory, count)
    parts = [_seen_once(clip[:, i], fitted[i], trajectory, i, count // len(depths) or 1) for i in range(len(depths))]
    starts = torch.tensor([0, *(len(part) for part in parts[:-1])]).cumsum(0)
    return SparsePoints(
        torch.cat([part.position for part in parts]),
        torch.cat([part.colour for part in parts]),
        torch.cat([part.error for part in parts]),
        torch.cat([part.seen + start for part, start in zip(parts, starts, strict=True)]),
        torch.cat([part.seen_by for part in parts]),
        torch.cat([part.pixel for part in parts]),
    )


def _for_path(depth: DepthMap, clip: Tensor, trajectory: Trajectory) -> DepthMap:
    """The map at the path's size, without a lens of its own."""
    fitted = depth.matched((clip.shape[2], clip.shape[3])).fitted(trajectory.camera.hw)
    return DepthMap(fitted.depth, None, fitted.notes)


def _followed(picture: Tensor, depth: DepthMap, trajectory: Trajectory, count: int) -> SparsePoints:
    """The points of a still and every frame that sees them."""
    # The depth is in the path's unit already: near depths are not to be divided out once more.
    metric = Trajectory(trajectory.camera, trajectory.fps, "arbitrary")
    tracks = point_tracks(depth, metric, depth.hw, count=count)
    seen_by, seen = tracks.visible.nonzero().unbind(-1)
    x, y = tracks.pixel[0].floor().long().unbind(-1)
    return SparsePoints(
        _in_world(trajectory.camera[0], tracks.position),
        _colours(picture, depth.hw)[:, y.clamp(0, depth.hw[0] - 1), x.clamp(0, depth.hw[1] - 1)].T,
        torch.zeros(len(tracks.position)),
        seen,
        seen_by,
        tracks.pixel[seen_by, seen].double(),
    )


def _seen_once(picture: Tensor, depth: DepthMap, trajectory: Trajectory, frame: int, count: int) -> SparsePoints:
    """Points of one picture of a clip, spread evenly over the pixels whose depth is known."""
    known = ((depth.depth > 0.0) & ~on_edge(depth.depth, _EDGE)).flatten().nonzero().squeeze(1)
    chosen = known[torch.linspace(0, len(known) - 1, min(count, len(known))).long()]
    y, x = chosen // depth.hw[1], chosen % depth.hw[1]
    camera = trajectory.camera[frame]
    number = torch.arange(len(chosen))
    return SparsePoints(
        _in_world(camera, depth.lifted(y, x, camera.K)),
        _colours(picture, depth.hw)[:, y, x].T,
        torch.zeros(len(chosen)),
        number,
        torch.full_like(number, frame),
        torch.stack((x + 0.5, y + 0.5), dim=-1).double(),
    )


def _in_world(camera: Camera, points: Tensor) -> Tensor:
    """Points [N, 3] of a camera's axes in the world."""
    motion = camera.world_from_cam.double()
    return points @ motion[:3, :3].mT + motion[:3, 3]


def _colours(picture: Tensor, hw: tuple[int, int]) -> Tensor:
    """The picture [3, H, W] in [0, 1] at `hw` as bytes."""
    return (fit_video(picture, hw)[0].clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)

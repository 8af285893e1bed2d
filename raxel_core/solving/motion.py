"""Whether a camera stood still, only turned, or moved: told from correspondences, in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..geometry.camera import Camera
from .matching import Correspondences
from .rotation import Turning

STILL_PX = 0.5
"""A camera in whose frames what stands still moves less than this stood still: a decoder's noise does as much."""
TURNING_PX = 1.0
"""A turn that leaves less than this of what moves between frames far apart is all there is."""
# The share of pairs, those farthest apart in time, in which a drive shows most.
_FARTHEST = 0.25
_LEAST_PAIR = 30
_QUANTILE = 0.75
# Farther than this from its epipolar line, in pixels, a match shows something that moves by itself.
_ASTRAY_PX = 2.0


def displacement_px(found: Sequence[Correspondences]) -> float:
    """How far most of the picture moves in all but the worst twentieth of the pairs."""
    medians = [np.median(np.linalg.norm(pair.pixels_first - pair.pixels_second, axis=-1)) for pair in found]
    return float(np.quantile(medians, 0.95)) if medians else 0.0


def farthest_pairs(found: Sequence[Correspondences]) -> list[Correspondences]:
    """The pairs farthest apart in time that have much in common."""
    good = [pair for pair in found if len(pair.pixels_first) >= _LEAST_PAIR] or list(found)
    gaps = sorted((pair.second - pair.first for pair in good), reverse=True)
    least = gaps[int(_FARTHEST * (len(gaps) - 1))]
    return [pair for pair in good if pair.second - pair.first >= least]


def parallax_px(found: Sequence[Correspondences], turning: Turning, principal_point: tuple[float, float]) -> float:
    """What the turning camera leaves unexplained for most of the picture between frames far apart, in pixels.

    `found` has the lens's distortion taken out.
    """
    left = [_unexplained(pair, turning, principal_point) for pair in farthest_pairs(found)]
    return float(np.quantile(np.concatenate(left), _QUANTILE))


def moving_share(found: Sequence[Correspondences], camera: Camera, frames: Sequence[int]) -> float:
    """The share of the correspondences between `frames` that cameras [R] of those frames do not explain, whatever the
    depth: pixels more than two from the line on which the other frame's pixel has them.

    `found` has the lens's distortion taken out. Source: R. Hartley and A. Zisserman, Multiple View Geometry, 11.4.3.
    """
    place = {frame: index for index, frame in enumerate(frames)}
    lift, cam_from_world = torch.linalg.inv(camera.K), camera.cam_from_world
    astray = total = 0
    for pair in found:
        if pair.first not in place or pair.second not in place:
            continue
        i, j = place[pair.first], place[pair.second]
        motion = cam_from_world[j] @ camera.world_from_cam[i]
        across = torch.linalg.cross(motion[:3, 3].expand(3, 3), motion[:3, :3].mT).mT
        fundamental = lift[j].mT @ across @ lift[i]
        first, second = (
            torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=-1)
            for pixels in (torch.from_numpy(pair.pixels_first), torch.from_numpy(pair.pixels_second))
        )
        lines = first @ fundamental.mT, second @ fundamental
        size = torch.cat((lines[0][:, :2], lines[1][:, :2]), dim=-1).square().sum(-1).sqrt().clamp(min=1e-12)
        astray += int(((second * lines[0]).sum(-1).abs() / size > _ASTRAY_PX).sum())
        total += len(first)
    return astray / max(total, 1)


def _unexplained(pair: Correspondences, turning: Turning, principal_point: tuple[float, float]) -> np.ndarray:
    """Distances [n] between where the turn has the pixels of the first frame in the second, and where they are."""
    K = torch.tensor(
        [[turning.focal, 0.0, principal_point[0]], [0.0, turning.focal, principal_point[1]], [0.0, 0.0, 1.0]],
        dtype=torch.float64,
    )
    homography = K @ turning.rotation[pair.second].mT @ turning.rotation[pair.first] @ torch.linalg.inv(K)
    pixels = torch.from_numpy(pair.pixels_first)
    seen = torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=-1) @ homography.mT
    expected = seen[:, :2] / seen[:, 2:].clamp(min=1e-6)
    return torch.linalg.vector_norm(expected - torch.from_numpy(pair.pixels_second), dim=-1).numpy()

"""Whether a camera stood still, only turned, or moved: told from correspondences, in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

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
# How sharply cameras are held against each other, and over how many parts of the picture.
_SUPPORT_PX = 0.3
_COLUMNS, _ROWS = 8, 6
# A camera that turns among people: its turn explains most matches to a pixel and leaves the others far off, with next
# to none between, and no drive of the camera explains those others.
_EXPLAINED, _FAR_PX, _BETWEEN, _ONE_DRIVE = 0.6, 4.0, 0.03, 0.8
_DRIVES_TRIED, _LEAST_MOVERS = 200, 8
_NEXT_TO_NONE = 0.02


class Turn(NamedTuple):
    """What a camera that only turned leaves unexplained: `pixels` of most of what stands still, and the share of the
    matches that are `moving` by themselves."""

    pixels: float
    moving: float

    @property
    def all_still(self) -> bool:
        """Whether it explains next to all of the picture, so that nothing is left that could show a drive."""
        return self.moving < _NEXT_TO_NONE


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


def turn_of(found: Sequence[Correspondences], turning: Turning, principal_point: tuple[float, float]) -> Turn | None:
    """How well the turning camera explains frames far apart, None where the camera moved.

    People near by may fill more of the picture than a drive would; they are told from it by standing alone: a drive
    moves what is at all distances, and all of it towards or away from one point. `found` has the lens's distortion
    taken out.
    """
    pairs = farthest_pairs(found)
    distances = [_unexplained(pair, turning, principal_point) for pair in pairs]
    left = np.concatenate(distances)
    pixels = float(np.quantile(left, _QUANTILE))
    if pixels < TURNING_PX:
        return Turn(pixels, float((left > _ASTRAY_PX).mean()))
    explained = left < TURNING_PX
    if explained.mean() < _EXPLAINED or (~explained & (left < _FAR_PX)).mean() > _BETWEEN:
        return None
    drives = [
        _of_one_drive(pair, turning, principal_point, far > _ASTRAY_PX)
        for pair, far in zip(pairs, distances, strict=True)
    ]
    if float(np.median(drives)) > _ONE_DRIVE:
        return None
    return Turn(float(np.quantile(left[explained], _QUANTILE)), float(1.0 - explained.mean()))


def moving_share(found: Sequence[Correspondences], camera: Camera, frames: Sequence[int]) -> float:
    """The share of the correspondences between `frames` that cameras [R] of those frames do not explain, whatever the
    depth: pixels more than two from the line on which the other frame's pixel has them.

    `found` has the lens's distortion taken out. Source: R. Hartley and A. Zisserman, Multiple View Geometry, 11.4.3.
    """
    astray = total = 0
    for off, _ in _off_lines(found, camera, frames):
        astray += int((off > _ASTRAY_PX).sum())
        total += len(off)
    return astray / max(total, 1)


def support_by_part(found: Sequence[Correspondences], camera: Camera, frames: Sequence[int]) -> np.ndarray:
    """[48]: how many of the correspondences between `frames` cameras [R] of those frames explain in each part of the
    picture, of 8 columns and 6 rows; one that is _SUPPORT_PX from its line counts half."""
    support = np.zeros(_COLUMNS * _ROWS)
    for off, pixels in _off_lines(found, camera, frames):
        column, row = (pixels / camera.hw[::-1] * (_COLUMNS, _ROWS)).astype(int).clip(0, (_COLUMNS - 1, _ROWS - 1)).T
        support += np.bincount(column + _COLUMNS * row, 1.0 / (1.0 + np.square(off / _SUPPORT_PX)), len(support))
    return support


def _off_lines(
    found: Sequence[Correspondences], camera: Camera, frames: Sequence[int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For every pair of `frames`: how far [n] the correspondences are from the line on which cameras [R] of those
    frames have the first frame's pixel, and those pixels [n, 2]."""
    place = {frame: index for index, frame in enumerate(frames)}
    lift, cam_from_world = torch.linalg.inv(camera.K), camera.cam_from_world
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
        yield ((second * lines[0]).sum(-1).abs() / size).numpy(), pair.pixels_first


def _of_one_drive(
    pair: Correspondences, turning: Turning, principal_point: tuple[float, float], unexplained: np.ndarray
) -> float:
    """The largest share of the `unexplained` matches that one translation of the camera, beside its turn, explains with
    all of them before it; 1 where there are too few to say."""
    if unexplained.sum() < _LEAST_MOVERS:
        return 1.0
    focal = turning.focal[[pair.first, pair.second]].tolist()
    first, second = (
        np.concatenate(((side[unexplained] - principal_point) / own, np.ones((unexplained.sum(), 1))), -1)
        for side, own in zip((pair.pixels_first, pair.pixels_second), focal, strict=True)
    )
    turned = first @ (turning.rotation[pair.second].mT @ turning.rotation[pair.first]).numpy().T
    turned = turned / np.maximum(turned[:, 2:], 1e-6)
    # Each match has the translation in the plane of its two rays; two of them tell it.
    normals = np.cross(turned, second)
    picked = np.random.default_rng(0).integers(len(normals), size=(2, _DRIVES_TRIED))
    drives = np.cross(normals[picked[0]], normals[picked[1]])
    lines = np.cross(drives[:, None], turned)  # [tried, n, 3]
    off = np.abs((lines * second).sum(-1)) / np.maximum(np.hypot(lines[..., 0], lines[..., 1]), 1e-12) * focal[1]
    # What is before the camera goes the same way along its line at every depth.
    along = drives[:, None, :2] - turned[:, :2] * drives[:, None, 2:]
    way = np.sign((along * (second - turned)[:, :2]).sum(-1))
    fits = off < TURNING_PX
    return float(np.maximum((fits & (way > 0)).mean(-1), (fits & (way < 0)).mean(-1)).max())


def _unexplained(pair: Correspondences, turning: Turning, principal_point: tuple[float, float]) -> np.ndarray:
    """Distances [n] between where the turn has the pixels of the first frame in the second, and where they are."""
    first, second = (_pinhole(float(turning.focal[frame]), principal_point) for frame in (pair.first, pair.second))
    homography = second @ turning.rotation[pair.second].mT @ turning.rotation[pair.first] @ torch.linalg.inv(first)
    pixels = torch.from_numpy(pair.pixels_first)
    seen = torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=-1) @ homography.mT
    expected = seen[:, :2] / seen[:, 2:].clamp(min=1e-6)
    return torch.linalg.vector_norm(expected - torch.from_numpy(pair.pixels_second), dim=-1).numpy()


def _pinhole(focal: float, principal_point: tuple[float, float]) -> Tensor:
    """[3, 3] in pixels."""
    return torch.tensor(
        [[focal, 0.0, principal_point[0]], [0.0, focal, principal_point[1]], [0.0, 0.0, 1.0]], dtype=torch.float64
    )

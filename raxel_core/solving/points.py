"""Points of a scene where its cameras are known: what two pictures have in common, triangulated."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import radians
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from ..geometry.camera import Camera
from ..geometry.sparse_points import SparsePoints

_MOST_FEATURES = 2000
_RATIO = 0.8  # Lowe's: the second best match has to be clearly worse.
_LEAST_ANGLE = radians(1.5)  # COLMAP's: rays that meet under less fix no depth.
MOST_ERROR = 0.01


class TriangulatedPoints(NamedTuple):
    """The `points` that fit the cameras, and how many matches of features there were in all."""

    points: SparsePoints
    matches: int


class _Features(NamedTuple):
    pixel: np.ndarray  # [n, 2], pixel centres at +0.5
    descriptor: np.ndarray  # [n, 128]
    colour: np.ndarray  # [n, 3] uint8


class _Seen(NamedTuple):
    """Points of one pair [n, 3] that fit it, their pixels [2, n, 2], colours [n, 3] and errors [n] in pixels."""

    position: np.ndarray
    pixel: np.ndarray
    colour: np.ndarray
    error: np.ndarray


def triangulated_points(images: Tensor, camera: Camera) -> TriangulatedPoints:
    """What pairs of pictures [N, 3, H, W] in [-1, 1] have in common, in the world of their cameras [N].

    SIFT features matched both ways by Lowe's ratio; a match gives a point, seen by two, where it lies before both
    cameras, its rays meet under 1.5 degrees or more, and it falls within MOST_ERROR of the longer side of both of its
    pixels. ValueError where pictures and cameras are not as many or of two sizes.
    """
    if tuple(images.shape) != (len(camera), 3, *camera.hw):
        raise ValueError(f"{len(camera)} cameras of {camera.hw} see as many pictures, got {list(images.shape)}")
    found = [_features(image) for image in images]
    bound = MOST_ERROR * max(camera.hw)
    seen: list[tuple[tuple[int, int], _Seen]] = []
    matches = 0
    for pair in combinations(range(len(images)), 2):
        rows = np.array(list(_matched(found[pair[0]], found[pair[1]])), dtype=np.int64).reshape(-1, 2)
        matches += len(rows)
        if len(rows):
            seen.append((pair, _fitting(found, pair, rows, camera, bound)))
    return TriangulatedPoints(_points(seen), matches)


def _features(image: Tensor) -> _Features:
    rgb = ((image.detach().cpu() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    keypoints, descriptor = cv2.SIFT.create(_MOST_FEATURES).detectAndCompute(
        cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), None
    )
    corner = np.array([point.pt for point in keypoints], dtype=np.float64).reshape(-1, 2)
    if descriptor is None:
        descriptor = np.empty((0, 128), np.float32)
    column, row = corner.round().astype(int).clip(0, np.array([rgb.shape[1], rgb.shape[0]]) - 1).T
    return _Features(corner + 0.5, descriptor, rgb[row, column])


def _matched(first: _Features, second: _Features) -> Iterator[tuple[int, int]]:
    """Rows of both that are each other's best match by far."""
    if min(len(first.descriptor), len(second.descriptor)) < 2:  # the second best match has to exist
        return
    there, back = (dict(_best(a, b)) for a, b in ((first, second), (second, first)))
    yield from ((row, other) for row, other in there.items() if back.get(other) == row)


def _best(of: _Features, among: _Features) -> Iterator[tuple[int, int]]:
    for best in cv2.BFMatcher(cv2.NORM_L2).knnMatch(of.descriptor, among.descriptor, k=2):
        if len(best) == 2 and best[0].distance < _RATIO * best[1].distance:
            yield best[0].queryIdx, best[0].trainIdx


def _fitting(found: list[_Features], pair: tuple[int, int], rows: np.ndarray, camera: Camera, bound: float) -> _Seen:
    """The points of the matches `rows` [n, 2] of a pair that fit both of its cameras."""
    pixel = np.stack([found[number].pixel[rows[:, side]] for side, number in enumerate(pair)])
    matrices = [_projection(camera, number) for number in pair]
    homogeneous = cv2.triangulatePoints(matrices[0], matrices[1], pixel[0].T, pixel[1].T)
    with np.errstate(divide="ignore", invalid="ignore"):
        position = (homogeneous[:3] / homogeneous[3]).T
        errors = np.stack([_error(matrix, position, there) for matrix, there in zip(matrices, pixel, strict=True)])
    rays = [position - camera.center[number].double().numpy() for number in pair]
    cosine = (rays[0] * rays[1]).sum(-1) / (np.linalg.norm(rays[0], axis=-1) * np.linalg.norm(rays[1], axis=-1))
    kept = (errors < bound).all(0) & (cosine < np.cos(_LEAST_ANGLE))
    colour = found[pair[0]].colour[rows[:, 0]]
    return _Seen(position[kept], pixel[:, kept], colour[kept], errors.mean(0)[kept])


def _projection(camera: Camera, number: int) -> Any:
    """[3, 4] pixels from the world."""
    return (camera.K[number].double() @ camera.cam_from_world[number].double()[:3]).numpy()


def _error(matrix: np.ndarray, position: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """[n] distance of projected points from their pixels; infinite behind the camera."""
    projected = position @ matrix[:, :3].T + matrix[:, 3]
    distance = np.linalg.norm(projected[:, :2] / projected[:, 2:] - pixel, axis=-1)
    return np.where((projected[:, 2] > 0.0) & np.isfinite(distance), distance, np.inf)


def _points(seen: list[tuple[tuple[int, int], _Seen]]) -> SparsePoints:
    counts = [len(part.position) for _, part in seen]
    total = sum(counts)
    numbers = torch.arange(total)
    by = [torch.full((n,), pair[side]) for side in (0, 1) for (pair, _), n in zip(seen, counts, strict=True)]
    pixel = [torch.from_numpy(part.pixel[side]) for side in (0, 1) for _, part in seen]
    return SparsePoints(
        torch.from_numpy(np.concatenate([np.empty((0, 3)), *(part.position for _, part in seen)])),
        torch.from_numpy(np.concatenate([np.empty((0, 3), np.uint8), *(part.colour for _, part in seen)])),
        torch.from_numpy(np.concatenate([np.empty(0), *(part.error for _, part in seen)])),
        torch.cat((numbers, numbers)),
        torch.cat((torch.empty(0, dtype=torch.int64), *by)),
        torch.cat((torch.empty(0, 2, dtype=torch.float64), *pixel)),
    )

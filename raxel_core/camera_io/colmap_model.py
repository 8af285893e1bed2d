"""The records of a COLMAP model: its cameras and images.

Source: COLMAP's documentation, "Output Format", and its src/colmap/sensor/models.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.distortion import MODELS, Lens
from ..geometry.sparse_points import SparsePoints
from .pinhole import lens_of
from .quaternions import motions_of_quaternions
from .reading import CameraFormatError

MOST_PIXELS = 1_000_000
NAMES = {model.number: name for name, model in MODELS.items() if model.number is not None}


@dataclass(frozen=True)
class ColmapCamera:
    """A lens: its model, image size (height, width) and the model's parameters."""

    model: str
    hw: tuple[int, int]
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ColmapImage:
    """A picture: cam_from_world as (qw, qx, qy, qz, tx, ty, tz), the number of its camera, its name, where it stands in
    the file, and what it saw: (x, y, number of the point); readers pass that over."""

    cam_from_world: tuple[float, ...]
    camera: int
    name: str
    where: str
    seen: tuple[tuple[float, float, int], ...] = ()


@dataclass(frozen=True)
class ColmapPoint:
    """A point of the scene: its position, its colour in bytes, its mean reprojection error in pixels, and its track:
    (number of an image, index of the observation among that image's)."""

    position: tuple[float, ...]
    colour: tuple[int, ...]
    error: float
    track: tuple[tuple[int, int], ...]


def observed(points: SparsePoints, images: Sequence[ColmapImage]) -> tuple[list[ColmapImage], list[ColmapPoint]]:
    """`images`, one a camera of the path, with what they saw of `points`, and the points with their tracks.

    Images and points are numbered from 1, as COLMAP does.
    """
    seen: list[list[tuple[float, float, int]]] = [[] for _ in images]
    tracks: list[list[tuple[int, int]]] = [[] for _ in range(len(points))]
    rows = zip(points.seen.tolist(), points.seen_by.tolist(), points.pixel.tolist(), strict=True)
    for point, camera, (x, y) in rows:
        tracks[point].append((camera + 1, len(seen[camera])))
        seen[camera].append((x, y, point + 1))
    columns = zip(points.position.tolist(), points.colour.tolist(), points.error.tolist(), tracks, strict=True)
    records = [ColmapPoint(tuple(p), tuple(c), e, tuple(track)) for p, c, e, track in columns]
    return [replace(image, seen=tuple(some)) for image, some in zip(images, seen, strict=True)], records


def parameter_count(name: str, where: str) -> int:
    """How many parameters the lens model called `name` has; CameraFormatError when it is none."""
    if name not in MODELS or MODELS[name].number is None:
        panorama = " (a panorama, which no pinhole is inside of)" if name == "EQUIRECTANGULAR" else ""
        raise CameraFormatError(f"{where}: expected a lens model of COLMAP, found {name[:40]!r}{panorama}")
    return MODELS[name].focals + 2 + MODELS[name].coefficients


def lens(camera: ColmapCamera, where: str) -> Lens:
    """The lens of a camera; CameraFormatError when its numbers are none."""
    focals = MODELS[camera.model].focals
    focal, rest = camera.parameters[:focals], camera.parameters[focals:]
    intrinsics = (focal[0], focal[-1], *rest[:2])
    return lens_of(camera.hw, intrinsics, where, model=camera.model, coefficients=rest[2:])


def world_from_cam(images: Sequence[ColmapImage]) -> Tensor:
    """[F, 4, 4] of world-to-camera quaternions and translations; CameraFormatError for a quaternion that is none."""
    values = torch.tensor([image.cam_from_world for image in images], dtype=torch.float64)
    return se3.inverse(motions_of_quaternions(values[:, :4], values[:, 4:], "wxyz", lambda row: images[row].where))

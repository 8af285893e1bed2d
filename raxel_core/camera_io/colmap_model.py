"""The records of a COLMAP model: its cameras and images, and the lens models that are pinholes.

Source: COLMAP's documentation, "Output Format", and its src/colmap/sensor/models.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.sparse_points import SparsePoints
from .pinhole import dropped_distortion
from .reading import CameraFormatError

# COLMAP's number and number of parameters of each model; the later ones are known by name to be refused by name.
MODELS = {
    "SIMPLE_PINHOLE": (0, 3),
    "PINHOLE": (1, 4),
    "SIMPLE_RADIAL": (2, 4),
    "RADIAL": (3, 5),
    "OPENCV": (4, 8),
    "OPENCV_FISHEYE": (5, 8),
    "FULL_OPENCV": (6, 12),
    "FOV": (7, 5),
    "SIMPLE_RADIAL_FISHEYE": (8, 4),
    "RADIAL_FISHEYE": (9, 5),
    "THIN_PRISM_FISHEYE": (10, 12),
    "RAD_TAN_THIN_PRISM_FISHEYE": (11, 16),
}
MOST_PIXELS = 1_000_000
_ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
_PERSPECTIVE = (*_ONE_FOCAL, "PINHOLE", "OPENCV", "FULL_OPENCV")


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


def model_named(name: str, where: str) -> str:
    """`name`, which is one of the lens models of perspective cameras; CameraFormatError otherwise."""
    if name not in MODELS:
        raise CameraFormatError(f"{where}: expected a lens model of COLMAP, found {name[:40]!r}")
    if name not in _PERSPECTIVE:
        raise CameraFormatError(f"{where}: {name} is no pinhole; undistort the model first (colmap image_undistorter)")
    return name


def pinhole(camera: ColmapCamera, where: str) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """(fx, fy, cx, cy) in pixels, and a warning where a distortion is left out; CameraFormatError for a large one."""
    if camera.model in _ONE_FOCAL:
        focal, cx, cy, *radial = camera.parameters
        intrinsics, tangential, divisor = (focal, focal, cx, cy), [0.0, 0.0], []
    else:
        fx, fy, cx, cy, *lens = camera.parameters
        intrinsics, tangential = (fx, fy, cx, cy), lens[2:4] or [0.0, 0.0]
        radial, divisor = lens[:2] + lens[4:5], lens[5:]
    if min(intrinsics[:2]) <= 0.0:
        raise CameraFormatError(f"{where}: expected a focal length above 0, found {min(intrinsics[:2]):g}")
    return intrinsics, dropped_distortion(
        intrinsics, camera.hw, where, radial=radial, tangential=tangential, divisor=divisor
    )


def world_from_cam(images: list[ColmapImage]) -> Tensor:
    """[F, 4, 4] of world-to-camera quaternions and translations; CameraFormatError for a quaternion that is none."""
    values = torch.tensor([image.cam_from_world for image in images], dtype=torch.float64)
    length = torch.linalg.vector_norm(values[:, :4], dim=-1)
    wrong = ((length - 1.0).abs() > 1e-2).nonzero().flatten().tolist()
    if wrong:
        found = f"{length[wrong[0]]:g}"
        raise CameraFormatError(f"{images[wrong[0]].where}: expected a quaternion of length 1, found length {found}")
    rotation = se3.rotation_from_quaternion(values[:, :4])
    return se3.inverse(se3.from_rotation_translation(rotation, values[:, 4:]))

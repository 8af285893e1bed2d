"""Points of a scene for COLMAP models, which splat trainers start from: of a point map or depth maps (.npz, .npy).

A point map (`points`, `world_points`, `pts3d`; a bare .npy) is [..., 3] in the world of the cameras; depth maps
(`depth`, `depths`) are [F, h, w], z in the cameras' unit, a map a camera, and are put into the world by the cameras.
Colours come from `images` of the same size where there are some.
"""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from ..geometry.sparse_points import SparsePoints
from ..geometry.trajectory import Trajectory
from .archive import npz_shapes, read_npz
from .parsing import listed, read_npy
from .reading import CameraFormatError

MOST_POINTS = 100_000
_MAPS = re.compile(r"points?|points_?3d|world_points|pts3d|point_?map", re.IGNORECASE)
DEPTH_ARRAYS = re.compile(r"depths?|depth_?maps?", re.IGNORECASE)
_IMAGES = re.compile(r"images?|rgbs?", re.IGNORECASE)


def read_points(path: Path, trajectory: Trajectory) -> SparsePoints:
    """At most MOST_POINTS of the points in the file `path`, evenly taken, in the world of `trajectory`.

    Raises CameraFormatError when the file holds neither a point map nor a depth map for each camera.
    """
    if path.suffix.lower() == ".npy":
        return _sparse(_map(read_npy(path), path.name), None)
    shapes = npz_shapes(path)
    images = next(
        (read_npz(path, key) for key, shape in shapes.items() if _IMAGES.fullmatch(key) and shape[-1:] == (3,)), None
    )
    for key, shape in shapes.items():
        if _MAPS.fullmatch(key) and shape[-1:] == (3,):
            return _sparse(_map(read_npz(path, key), f"{path.name} {key}"), images)
    for key in shapes:
        if DEPTH_ARRAYS.fullmatch(key):
            return _sparse(_unprojected(read_npz(path, key), trajectory, f"{path.name} {key}"), images)
    found = listed(f"{key} {list(shape)}" for key, shape in shapes.items()) or "none"
    raise CameraFormatError(f"{path.name}: expected an array such as world_points or depth, found {found}")


def _map(values: Tensor, file_name: str) -> Tensor:
    if values.ndim < 2 or values.shape[-1] != 3 or not len(values):
        raise CameraFormatError(f"{file_name}: expected points of shape [..., 3], found {list(values.shape)}")
    return values


def _unprojected(depth: Tensor, trajectory: Trajectory, file_name: str) -> Tensor:
    """[F, h, w, 3] in the world of depth maps [F, h, w]; what has no depth is NaN."""
    depth = depth[..., 0] if depth.ndim == 4 and depth.shape[-1] == 1 else depth
    if depth.ndim != 3 or len(depth) != len(trajectory) or not depth.numel():
        raise CameraFormatError(
            f"{file_name}: expected {len(trajectory)} depth maps of shape [h, w], found {list(depth.shape)}"
        )
    camera = trajectory.camera.to(dtype=torch.float64).resized((depth.shape[1], depth.shape[2]))
    y, x = (torch.arange(size, dtype=torch.float64) + 0.5 for size in depth.shape[1:])
    pixel = torch.stack(
        (*torch.meshgrid(x, y, indexing="xy"), torch.ones(depth.shape[1:], dtype=torch.float64)), dim=-1
    )
    seen = (pixel @ torch.linalg.inv(camera.K)[:, None].mT) * depth[..., None]
    world = seen @ camera.rotation[:, None].mT + camera.center[:, None, None]
    return world.masked_fill(~(depth > 0.0)[..., None], float("nan"))


def _sparse(points: Tensor, images: Tensor | None) -> SparsePoints:
    """The points, colours of pictures of their size (grey otherwise), without observations."""
    flat = points.reshape(-1, 3)
    colour = torch.full((len(flat), 3), 128.0, dtype=torch.float64)
    if images is not None and prod(images.shape[:-1]) == len(flat):
        colour = images.reshape(-1, 3) * (255.0 if float(images.max()) <= 1.0 else 1.0)
    kept = flat.isfinite().all(-1).nonzero().flatten()
    kept = kept[:: max(1, -(-len(kept) // MOST_POINTS))]
    if not len(kept):
        raise CameraFormatError("the points: expected some with a depth above 0, found none")
    none = torch.zeros(0, dtype=torch.long)
    bytes_of = colour[kept].clamp(0, 255).round().to(torch.uint8)
    return SparsePoints(flat[kept], bytes_of, torch.zeros(len(kept)), none, none, torch.zeros(0, 2))

"""Rays of a camera: one half line per pixel, as origin and unit direction or in Pluecker's line coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .camera import Camera, check_hw

_ROWS = 8  # of one product of `mapped_rays`


@dataclass(frozen=True, eq=False)
class Rays:
    """Half lines, one per pixel: `origin` [..., H|1, W|1, 3] in scene units and unit `direction` [..., H, W, 3].

    Both are in one frame, the camera's world unless a function says otherwise.
    """

    origin: Tensor
    direction: Tensor

    def __post_init__(self) -> None:
        _check_vectors("origin", self.origin)
        _check_vectors("direction", self.direction)

    @classmethod
    def from_camera(cls, camera: Camera, hw: tuple[int, int] | None = None) -> Rays:
        """The rays of `camera` in the world through the pixel centres of a grid of `hw`, its own size by default."""
        camera = camera if hw is None else camera.resized(hw)
        in_camera = unit_directions(camera.K, camera.hw).flatten(-2)
        in_world = (camera.rotation @ in_camera).mT.unflatten(-2, camera.hw)
        return cls(camera.center[..., None, None, :], in_world)

    def at(self, depth: Tensor | float) -> Tensor:
        """Points [..., H, W, 3] at distance `depth` [..., H, W] along the rays, in scene units."""
        distance = torch.as_tensor(depth, dtype=self.direction.dtype, device=self.direction.device)
        return self.origin + distance[..., None] * self.direction


@dataclass(frozen=True, eq=False)
class Plucker:
    """Lines in Pluecker's coordinates: unit `direction` and `moment` = origin x direction, both [..., H, W, 3].

    The moment is the same for every point of the line, in scene units, and orthogonal to the direction.
    """

    direction: Tensor
    moment: Tensor

    def __post_init__(self) -> None:
        _check_vectors("direction", self.direction)
        _check_vectors("moment", self.moment)


def plucker_from_rays(rays: Rays) -> Plucker:
    """The lines [..., H, W] that hold `rays`."""
    origin, direction = torch.broadcast_tensors(rays.origin, rays.direction)
    return Plucker(direction, torch.linalg.cross(origin, direction, dim=-1))


def pixel_grid(
    hw: tuple[int, int], *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Pixel centres (x, y) [h, w, 2] of an image of `hw`: the left upper one is (0.5, 0.5)."""
    height, width = check_hw(hw)
    x = torch.arange(width, device=device, dtype=dtype) + 0.5
    y = torch.arange(height, device=device, dtype=dtype) + 0.5
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)), dim=-1)


def unit_directions(K: Tensor, hw: tuple[int, int]) -> Tensor:
    """Unit directions [..., 3, h, w] in the camera's frame through the pixel centres, for `K` [..., 3, 3] of that grid.

    d = K^-1 (x, y, 1) / |K^-1 (x, y, 1)|; the channel axis comes first because a raxel image is made of them.
    """
    return homogeneous_directions(K, hw)[..., :3, :, :]


def homogeneous_directions(K: Tensor, hw: tuple[int, int]) -> Tensor:
    """Rows (d_x, d_y, d_z, 1) [..., 4, h, w] of the unit directions: [R | t] times them is t + R d, in one product."""
    x, y = slopes(K, hw)
    # (x, y, 1, 0) / length + (0, 0, 0, 1), as sums that broadcast: three passes over the image are all this costs.
    across = torch.stack((x, torch.zeros_like(x), torch.ones_like(x), torch.zeros_like(x)), dim=-3)  # [..., 4, 1|h, w]
    down = torch.stack((torch.zeros_like(y), y, torch.zeros_like(y), torch.zeros_like(y)), dim=-3)  # [..., 4, h, 1]
    fourth = x.new_tensor((0.0, 0.0, 0.0, 1.0))[:, None, None]
    return torch.addcdiv(fourth, across + down, ray_length(x, y)[..., None, :, :])


def mapped_rays(rows: Tensor, rays: Tensor) -> Tensor:
    """`rows` [..., N, k] @ `rays` [..., k, P]: N linear functions of k numbers of each of P rays.

    For many rays that nobody differentiates, a few rows at a time: BLAS then writes at the speed of memory, and all at
    once takes up to twice as long.
    """
    tracked = torch.is_grad_enabled() and (rows.requires_grad or rays.requires_grad)
    if rows.ndim != 2 or rays.ndim != 2 or tracked:
        return rows @ rays
    out = rows.new_empty(len(rows), rays.shape[1])
    for start in range(0, len(rows), _ROWS):
        torch.mm(rows[start : start + _ROWS], rays, out=out[start : start + _ROWS])
    return out


def slopes(K: Tensor, hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """K^-1 (u, v, 1) = (x, y, 1) at the pixel centres of `hw`, for `K` [..., 3, 3] of that grid, not yet normalised.

    x is [..., h|1, w] and y [..., h, 1]: without a skew, the common case, x is the same in all rows and stays one (a
    skew of exactly zero then gets no gradient).
    """
    K = K if K.dtype == torch.float64 else K.to(torch.float32)
    height, width = check_hw(hw)
    focal_x, skew, focal_y = (K[..., i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    center_x, center_y = K[..., 0, 2, None, None], K[..., 1, 2, None, None]
    y = (torch.arange(height, device=K.device, dtype=K.dtype)[:, None] + 0.5 - center_y) / focal_y
    x = (torch.arange(width, device=K.device, dtype=K.dtype) + 0.5 - center_x) / focal_x
    return (x - y * (skew / focal_x) if bool((skew != 0.0).any()) else x), y


def ray_length(x: Tensor, y: Tensor) -> Tensor:
    """|(x, y, 1)| [..., h, w] of `slopes`."""
    return torch.hypot(x, torch.sqrt(y * y + 1.0))


def _check_vectors(name: str, vectors: Tensor) -> None:
    """ValueError unless `vectors` is [..., H, W, 3]."""
    if vectors.ndim < 3 or vectors.shape[-1] != 3:
        raise ValueError(f"{name} has shape [..., H, W, 3], got {list(vectors.shape)}")

"""Periodic fields to make surfaces of: fractal noise, warps, cells, leaves. All wrap without a seam."""

from __future__ import annotations

import math

import torch
from torch import Tensor

RESOLUTION = 128


def uniform(generator: torch.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform numbers of `shape` in [low, high)."""
    return torch.rand(shape, generator=generator) * (high - low) + low


def each(generator: torch.Generator, count: int, low: float, high: float) -> Tensor:
    """One uniform number a texture, [N, 1, 1]."""
    return uniform(generator, count, 1, 1, low=low, high=high)


def whole(generator: torch.Generator, count: int, low: int, high: int) -> Tensor:
    """One whole number from low to high a texture, [N, 1, 1]."""
    return torch.randint(low, high + 1, (count, 1, 1), generator=generator).float()


def coordinates() -> tuple[Tensor, Tensor]:
    """Texture coordinates (v down, u right) in [0, 1), [1, R, R] each."""
    line = (torch.arange(RESOLUTION) + 0.5) / RESOLUTION
    v, u = torch.meshgrid(line, line, indexing="ij")
    return v[None], u[None]


def fractal(count: int, generator: torch.Generator, low: float, high: float, *, across: float = 1.0) -> Tensor:
    """1/f^r noise [N, R, R], r from `low` to `high`, mean 0 and deviation 1; `across` > 1 stretches it along v."""
    white = torch.randn(count, RESOLUTION, RESOLUTION, generator=generator)
    fy = torch.fft.fftfreq(RESOLUTION)[:, None] * RESOLUTION * across
    fx = torch.fft.rfftfreq(RESOLUTION)[None, :] * RESOLUTION
    radius = torch.hypot(fy, fx).clamp_min(1)
    roughness = each(generator, count, low, high)
    field = torch.fft.irfft2(torch.fft.rfft2(white) * radius**-roughness, s=white.shape[-2:])
    return normal(field)


def band(count: int, generator: torch.Generator, low: float, high: float) -> Tensor:
    """Noise of `low` to `high` cycles a texture only, [N, R, R], zero mean and unit deviation."""
    white = torch.randn(count, RESOLUTION, RESOLUTION, generator=generator)
    fy = torch.fft.fftfreq(RESOLUTION)[:, None] * RESOLUTION
    fx = torch.fft.rfftfreq(RESOLUTION)[None, :] * RESOLUTION
    radius = torch.hypot(fy, fx)
    return normal(torch.fft.irfft2(torch.fft.rfft2(white) * ((radius >= low) & (radius <= high)), s=white.shape[-2:]))


def normal(field: Tensor) -> Tensor:
    """The same fields [N, R, R] with zero mean and unit deviation."""
    field = field - field.mean((1, 2), keepdim=True)
    return field / field.std((1, 2), keepdim=True).clamp_min(1e-6)


def step(x: Tensor, sharpness: float | Tensor = 6.0) -> Tensor:
    """A soft step from 0 to 1 about x = 0."""
    return torch.sigmoid(sharpness * x)


def warped(field: Tensor, dv: Tensor, du: Tensor) -> Tensor:
    """Fields [N, R, R] read at places moved by (dv, du) [N, R, R], in textures; nearest texel, wrapping."""
    size = field.shape[-1]
    line = torch.arange(size)
    rows = (line[:, None] + dv * size).round().long() % size
    columns = (line[None, :] + du * size).round().long() % size
    return torch.gather(field.flatten(1), 1, (rows * size + columns).flatten(1)).reshape(field.shape)


def cells(count: int, points: int, generator: torch.Generator, *, across: float = 1.0) -> tuple[Tensor, Tensor]:
    """Voronoi cells of random points: index of the nearest [N, R, R] and the gap to the next [N, R, R]."""
    v, u = coordinates()
    at = torch.rand(count, points, 2, 1, 1, generator=generator)
    dv, du = (v - at[:, :, 0]).abs(), (u - at[:, :, 1]).abs()
    distance = torch.hypot(torch.minimum(dv, 1 - dv) * across, torch.minimum(du, 1 - du))
    nearest = distance.topk(2, dim=1, largest=False)
    return nearest.indices[:, 0], nearest.values[:, 1] - nearest.values[:, 0]


def leaves(
    count: int, pieces: int, generator: torch.Generator, *, smallest: float, largest: float, slim: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Dead leaves: ovals of power-law sizes one over the other. Which lies on top [N, R, R], and where on it [0, 1].

    Images of such piles have the statistics of photographs (A. Lee, D. Mumford, J. Huang, IJCV 2001).
    """
    v, u = coordinates()
    top = torch.zeros(count, RESOLUTION, RESOLUTION, dtype=torch.long)
    inside = torch.zeros(count, RESOLUTION, RESOLUTION)
    for piece in range(1, pieces):
        size = smallest * (largest / smallest) ** (uniform(generator, count, 1, 1) ** 2)
        angle, squash = each(generator, count, 0, math.pi), each(generator, count, 0.3 * slim, slim)
        dv = (v - uniform(generator, count, 1, 1) + 0.5) % 1 - 0.5
        du = (u - uniform(generator, count, 1, 1) + 0.5) % 1 - 0.5
        along, aside = torch.cos(angle) * du + torch.sin(angle) * dv, torch.cos(angle) * dv - torch.sin(angle) * du
        power = torch.where(uniform(generator, count, 1, 1) < 0.3, 8.0, 2.0)  # some are blocks
        radius = (along / size).abs() ** power + (aside / (size * squash)).abs() ** power
        hit = radius < 1
        top, inside = torch.where(hit, piece, top), torch.where(hit, radius.sqrt(), inside)
    return top, inside


def pick(colours: Tensor, index: Tensor) -> Tensor:
    """Colours [N, K, 3] by integer index [N, R, R] -> [N, 3, R, R]."""
    rows = torch.arange(len(index))[:, None, None]
    return colours[rows, index].permute(0, 3, 1, 2)


def blend(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """From `first` to `second` (colours [N, 3] or pictures [N, 3, R, R]) by weight [N, R, R]."""
    first, second = (c[:, :, None, None] if c.ndim == 2 else c for c in (first, second))
    return first + (second - first) * weight[:, None]

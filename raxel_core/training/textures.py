"""Procedural textures: seven periodic families with detail at every scale, as one mip-mapped bank.

A texture is periodic (it wraps without a seam), so any surface can repeat it; the bank stores each one with its
mip levels one after the other, so that a renderer reads every level from one flat array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

RESOLUTION = 64
LEVELS = 5


@dataclass(frozen=True)
class TextureBank:
    """N textures with mip levels. `texels` [N, L, 3] in [0, 1], L = the texels of all levels, finest first."""

    texels: Tensor
    resolution: int = RESOLUTION
    levels: int = LEVELS

    def __len__(self) -> int:
        return self.texels.shape[0]

    def to(self, device: torch.device | str) -> TextureBank:
        return TextureBank(self.texels.to(device), self.resolution, self.levels)


def texture_bank(count: int, seed: int) -> TextureBank:
    """`count` textures, deterministic by `seed`, the families in turn."""
    generator = torch.Generator().manual_seed(seed)
    families = [_noise, _checker, _stripes, _dots, _cells, _bricks, _collage]
    textures = torch.cat(
        [family(len(range(i, count, len(families))), generator) for i, family in enumerate(families)]
    ).clamp(0, 1)
    levels = [textures]
    for _ in range(LEVELS - 1):
        levels.append(torch.nn.functional.avg_pool2d(levels[-1], 2))
    texels = torch.cat([level.flatten(2) for level in levels], dim=2)
    return TextureBank(texels.transpose(1, 2).contiguous())


def _uniform(generator: torch.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low


def _coordinates() -> tuple[Tensor, Tensor]:
    """Periodic texture coordinates (v, u) in [0, 1), [1, R, R] each."""
    line = (torch.arange(RESOLUTION) + 0.5) / RESOLUTION
    v, u = torch.meshgrid(line, line, indexing="ij")
    return v[None], u[None]


def _fractal(count: int, generator: torch.Generator, roughness: Tensor) -> Tensor:
    """Periodic 1/f^roughness noise [N, R, R], zero mean and unit deviation, made in the Fourier domain."""
    white = torch.randn(count, RESOLUTION, RESOLUTION, generator=generator)
    fy = torch.fft.fftfreq(RESOLUTION)[:, None] * RESOLUTION
    fx = torch.fft.rfftfreq(RESOLUTION)[None, :] * RESOLUTION
    radius = torch.hypot(fy, fx).clamp_min(1)
    field = torch.fft.irfft2(torch.fft.rfft2(white) * radius ** -roughness[:, None, None], s=white.shape[-2:])
    field = field - field.mean((1, 2), keepdim=True)
    return field / field.std((1, 2), keepdim=True)


def _colours(count: int, number: int, generator: torch.Generator) -> Tensor:
    """[N, number, 3] colours: one random hue direction per texture, apart in brightness so that edges are seen."""
    base = _uniform(generator, count, number, 3, low=0.08, high=0.92)
    order = torch.rand(count, number, generator=generator).argsort(1).float() / max(number - 1, 1)
    return (0.6 * base + 0.4 * order[..., None]).clamp(0, 1)


def _detail(image: Tensor, generator: torch.Generator, strength: float = 0.03) -> Tensor:
    """Adds low-amplitude noise, so that no region of a surface is flat."""
    n = image.shape[0]
    grain = _fractal(n, generator, _uniform(generator, n, low=0.4, high=1.4))
    return image + strength * grain[:, None]


def _mix(colours: Tensor, weight: Tensor) -> Tensor:
    """Two colours [N, 2, 3] blended by weight [N, R, R] -> [N, 3, R, R]."""
    first, second = colours[:, 0, :, None, None], colours[:, 1, :, None, None]
    return first + (second - first) * weight[:, None]


def _palette(colours: Tensor, index: Tensor) -> Tensor:
    """colours [N, K, 3] picked by integer index [N, R, R] -> [N, 3, R, R]."""
    n = index.shape[0]
    return colours[torch.arange(n)[:, None, None], index].permute(0, 3, 1, 2)


def _soft_step(x: Tensor, sharpness: float = 6.0) -> Tensor:
    return torch.sigmoid(sharpness * x)


def _noise(count: int, generator: torch.Generator) -> Tensor:
    field = _fractal(count, generator, _uniform(generator, count, low=1.0, high=1.9))
    other = _fractal(count, generator, _uniform(generator, count, low=0.8, high=1.6))
    colours = _colours(count, 4, generator)
    blended = _mix(colours[:, :2], _soft_step(field, 3.0))
    return _detail(0.7 * blended + 0.3 * _mix(colours[:, 2:], _soft_step(other, 3.0)), generator, 0.02)


def _checker(count: int, generator: torch.Generator) -> Tensor:
    v, u = _coordinates()
    tiles = torch.randint(2, 6, (2, count, 1, 1), generator=generator) * 2
    index = ((u * tiles[0]).floor() + (v * tiles[1]).floor()).long() % 2
    return _detail(_palette(_colours(count, 2, generator), index), generator, 0.04)


def _stripes(count: int, generator: torch.Generator) -> Tensor:
    v, u = _coordinates()
    number = torch.randint(2, 7, (2, count, 1, 1), generator=generator)
    number[1] = number[1] * (torch.rand(count, 1, 1, generator=generator) < 0.5)
    warp = _fractal(count, generator, torch.full((count,), 2.0)) * _uniform(generator, count, 1, 1, high=0.12)
    wave = torch.sin(2 * math.pi * (number[0] * (u + warp) + number[1] * v))
    return _detail(_mix(_colours(count, 2, generator), _soft_step(wave)), generator)


def _distances(count: int, points: int, generator: torch.Generator) -> Tensor:
    """Periodic distances [N, points, R, R] from every texel to random points."""
    v, u = _coordinates()
    at = torch.rand(count, points, 2, 1, 1, generator=generator)
    dv, du = (v - at[:, :, 0]).abs(), (u - at[:, :, 1]).abs()
    return torch.hypot(torch.minimum(dv, 1 - dv), torch.minimum(du, 1 - du))


def _dots(count: int, generator: torch.Generator) -> Tensor:
    radius = _uniform(generator, count, 24, 1, 1, low=0.03, high=0.14)
    gap = radius - _distances(count, 24, generator)
    colours = _colours(count, 24, generator)
    inside = _palette(colours, gap.argmax(1))
    return _detail(
        torch.lerp(colours[:, 0, :, None, None].expand_as(inside), inside, _soft_step(gap.amax(1), 80.0)[:, None]),
        generator,
    )


def _cells(count: int, generator: torch.Generator) -> Tensor:
    nearest = _distances(count, 14, generator).topk(2, dim=1, largest=False)
    border = _soft_step(nearest.values[:, 1] - nearest.values[:, 0] - 0.02, 120.0)
    return _detail(_palette(_colours(count, 14, generator), nearest.indices[:, 0]) * border[:, None], generator)


def _bricks(count: int, generator: torch.Generator) -> Tensor:
    v, u = _coordinates()
    rows = torch.randint(2, 5, (count, 1, 1), generator=generator) * 2
    columns = torch.randint(2, 5, (count, 1, 1), generator=generator)
    row = (v * rows).floor()
    across = u * columns + 0.5 * (row % 2)
    column = across.floor() % columns
    edge = torch.minimum((v * rows) % 1, 1 - (v * rows) % 1) * torch.minimum(across % 1, 1 - across % 1)
    shade = 0.75 + 0.5 * torch.frac(torch.sin(row * 12.9898 + column * 78.233) * 43758.5453).abs()
    colours = _colours(count, 2, generator)
    brick = colours[:, 1, :, None, None] * shade[:, None]
    mortar = colours[:, 0, :, None, None].expand_as(brick)
    return _detail(torch.lerp(mortar, brick, _soft_step(edge - 0.025, 200.0)[:, None]), generator)


def _collage(count: int, generator: torch.Generator) -> Tensor:
    v, u = _coordinates()
    pieces = 18
    corner = torch.rand(2, count, pieces, 1, 1, generator=generator)
    size = _uniform(generator, 2, count, pieces, 1, 1, low=0.08, high=0.5)
    inside = ((v[:, None] - corner[0]) % 1 < size[0]) & ((u[:, None] - corner[1]) % 1 < size[1])
    top = (inside * torch.arange(1, pieces + 1)[None, :, None, None]).amax(1)
    return _detail(_palette(_colours(count, pieces + 1, generator), top), generator)

"""Surfaces made by procedure: two dozen materials, each of many octaves, warped, dirty and worn.

A bank holds them packed as one 32-bit integer a texel (red, green, blue), with mip levels one after the other, finest
first. Colours are as a photograph stores them; the tracer squares them to get reflectances.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .noise import (
    RESOLUTION,
    band,
    blend,
    cells,
    coordinates,
    each,
    fractal,
    leaves,
    pick,
    step,
    uniform,
    warped,
    whole,
)

LEVELS = 8
TEXELS = (4 * RESOLUTION**2 - 1) // 3  # of all levels of one texture

Colours = list[tuple[float, float, float]]
EARTH: Colours = [(0.45, 0.36, 0.27), (0.33, 0.25, 0.18), (0.60, 0.50, 0.38), (0.38, 0.34, 0.30), (0.66, 0.52, 0.40)]
GREEN: Colours = [(0.25, 0.36, 0.14), (0.38, 0.46, 0.20), (0.18, 0.27, 0.12), (0.48, 0.50, 0.26), (0.30, 0.40, 0.22)]
GREY: Colours = [(0.50, 0.50, 0.48), (0.36, 0.36, 0.37), (0.63, 0.61, 0.57), (0.44, 0.42, 0.40), (0.72, 0.71, 0.69)]
PALE: Colours = [(0.86, 0.83, 0.77), (0.78, 0.72, 0.62), (0.90, 0.89, 0.87), (0.72, 0.74, 0.74), (0.84, 0.76, 0.66)]
CLAY: Colours = [(0.58, 0.29, 0.21), (0.47, 0.24, 0.19), (0.68, 0.42, 0.31), (0.60, 0.48, 0.38), (0.40, 0.27, 0.25)]
WOOD: Colours = [(0.56, 0.38, 0.23), (0.38, 0.24, 0.14), (0.74, 0.58, 0.40), (0.45, 0.38, 0.31), (0.64, 0.46, 0.29)]
PAINT: Colours = [
    (0.75, 0.18, 0.15), (0.14, 0.30, 0.58), (0.88, 0.72, 0.20), (0.16, 0.45, 0.32), (0.90, 0.88, 0.84),
    (0.15, 0.15, 0.17), (0.52, 0.62, 0.72), (0.82, 0.48, 0.22), (0.46, 0.22, 0.38), (0.62, 0.70, 0.55),
]  # fmt: skip


@dataclass(frozen=True)
class MaterialBank:
    """N textures [N, TEXELS] int32, and which of them are of each material."""

    texels: Tensor
    materials: dict[str, range]

    def to(self, device: torch.device | str) -> MaterialBank:
        return MaterialBank(self.texels.to(device), self.materials)


def material_bank(each_material: int, seed: int) -> MaterialBank:
    """`each_material` textures of every material, deterministic by `seed`."""
    packed, materials, first = [], {}, 0
    for number, (name, make) in enumerate(MATERIALS.items()):
        generator = torch.Generator().manual_seed(seed * 1009 + number)
        packed.append(_packed(make(each_material, generator).clamp(0, 1)))
        materials[name] = range(first, first + each_material)
        first += each_material
    return MaterialBank(torch.cat(packed), materials)


def _packed(pictures: Tensor) -> Tensor:
    """Pictures [N, 3, R, R] in [0, 1] with their mip levels as [N, TEXELS] int32; levels average reflectances."""
    levels, linear = [], pictures.square()
    for _ in range(LEVELS):
        levels.append(linear.sqrt().flatten(2))
        linear = torch.nn.functional.avg_pool2d(linear, 2) if linear.shape[-1] > 1 else linear
    red, green, blue = (torch.cat(levels, 2) * 255).round().to(torch.int32).unbind(1)
    return red | (green << 8) | (blue << 16)


def tones(count: int, number: int, palette: Colours, generator: torch.Generator, *, spread: float = 0.02) -> Tensor:
    """[N, number, 3] colours between pairs of a palette's, lighter or darker by up to a sixth."""
    table = torch.tensor(palette)
    pair = torch.randint(0, len(palette), (2, count, number), generator=generator)
    colour = torch.lerp(table[pair[0]], table[pair[1]], uniform(generator, count, number, 1) * 0.6)
    light = uniform(generator, count, number, 1, low=0.84, high=1.16)
    return (colour * light + uniform(generator, count, number, 3, low=-spread, high=spread)).clamp(0.02, 0.98)


def tone(count: int, palette: Colours, generator: torch.Generator) -> Tensor:
    """[N, 3] colours."""
    return tones(count, 1, palette, generator)[:, 0]


def near(colour: Tensor, number: int, generator: torch.Generator, spread: float) -> Tensor:
    """[N, number, 3] variations of a colour [N, 3] in lightness, a little in hue."""
    light = uniform(generator, len(colour), number, 1, low=1 - spread, high=1 + spread)
    hue = uniform(generator, len(colour), number, 3, low=-0.06 * spread, high=0.06 * spread)
    return (colour[:, None] * light + hue).clamp(0, 1)


def worn(image: Tensor, generator: torch.Generator, *, grain: float = 0.05, dirt: float = 0.35) -> Tensor:
    """A picture [N, 3, R, R] with fine grain, mottling and darker stains."""
    n = len(image)
    fine = 1 + grain * fractal(n, generator, 0.2, 0.9) + 0.06 * fractal(n, generator, 1.2, 1.8)
    stain = step(fractal(n, generator, 1.3, 1.9) - each(generator, n, 0.6, 2.2), 4.0) * each(generator, n, 0.2, 1.0)
    streak = step(fractal(n, generator, 1.0, 1.4, across=8.0) - 1.6, 3.0) * each(generator, n, 0.0, 0.8)
    return image * (fine * (1 - dirt * stain) * (1 - 0.5 * dirt * streak))[:, None]


def cracks(count: int, generator: torch.Generator) -> Tensor:
    """Thin dark lines, weights [N, R, R]."""
    _, gap = cells(count, 7, generator)
    shift = 0.02 * fractal(count, generator, 1.2, 1.6)
    line = step(0.008 - warped(gap, shift, shift.transpose(1, 2)), 500.0)
    return line * step(fractal(count, generator, 1.5, 2.0) - 0.3, 5.0)


# ------------------------------------------------------------------------------------------------ walls and ground


def _plaster(n: int, g: torch.Generator) -> Tensor:
    base, second = tone(n, PALE + GREY[2:], g), tone(n, PALE + CLAY + PAINT[6:], g)
    painted = torch.where(uniform(g, n, 1) < 0.35, second, base)
    image = blend(painted, near(painted, 1, g, 0.25)[:, 0], step(fractal(n, g, 1.4, 2.0)))
    bare = step(fractal(n, g, 1.3, 1.7) - each(g, n, 1.0, 3.0), 12.0)
    image = blend(image, tone(n, GREY + CLAY, g), bare)
    return worn(image * (1 - 0.5 * cracks(n, g))[:, None], g, grain=0.04)


def _concrete(n: int, g: torch.Generator) -> Tensor:
    v, u = coordinates()
    base = tone(n, GREY, g)
    image = blend(base, near(base, 1, g, 0.3)[:, 0], step(fractal(n, g, 1.2, 1.8), 2.0))
    panel = (v * whole(g, n, 1, 3)) % 1
    seam = step(0.012 - torch.minimum(panel, 1 - panel), 400.0) * (uniform(g, n, 1, 1) < 0.6)
    holes = step(band(n, g, 10, 24) - 2.6, 8.0)
    return worn(image * (1 - 0.5 * seam - 0.4 * holes)[:, None], g, grain=0.07)


def _courses(n: int, g: torch.Generator, rows: Tensor, columns: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Bricks in courses: a number for each [N, R, R] below 256 and the distance to its edge in texture widths."""
    v, u = coordinates()
    wobble = 0.004 * fractal(n, g, 1.0, 1.4)
    v, u = v + wobble, u + wobble.transpose(1, 2)
    row = (v * rows).floor()
    across = u * columns + shift * row
    column = across.floor() % columns
    inside_v, inside_u = (v * rows) % 1, across % 1
    edge = torch.minimum(torch.minimum(inside_v, 1 - inside_v) / rows, torch.minimum(inside_u, 1 - inside_u) / columns)
    return ((row % rows) * 37 + column * 101).long() % 256, edge


def _brick(n: int, g: torch.Generator) -> Tensor:
    rows, columns = whole(g, n, 4, 8) * 2, whole(g, n, 3, 6)
    number, edge = _courses(n, g, rows, columns, torch.full((n, 1, 1), 0.5))
    base = tone(n, CLAY + GREY[2:] + PALE[:1], g)
    bricks = pick(near(base, 256, g, 0.28), number)
    mortar = near(tone(n, PALE + GREY, g), 1, g, 0.1)[:, 0]
    image = blend(mortar, bricks, step(edge - 0.005, 500.0))
    return worn(image * (1 + 0.08 * fractal(n, g, 0.5, 1.0))[:, None], g, grain=0.06)


def _tiles(n: int, g: torch.Generator) -> Tensor:
    rows = whole(g, n, 2, 6)
    number, edge = _courses(n, g, rows, rows, torch.zeros(n, 1, 1))
    base, other = tone(n, PALE + GREY + CLAY, g), tone(n, PALE + GREY + PAINT, g)
    chequered = torch.where(uniform(g, n, 1) < 0.3, other, base)
    even = ((number // 37 + number) % 2).float()
    image = pick(near(base, 256, g, 0.10), number) * (1 - even[:, None])
    image = image + pick(near(chequered, 256, g, 0.10), number) * even[:, None]
    image = blend(near(base, 1, g, 0.3)[:, 0] * 0.7, image, step(edge - 0.004, 500.0))
    return worn(image, g, grain=0.03, dirt=0.25)


def _paving(n: int, g: torch.Generator) -> Tensor:
    index, gap = cells(n, 40, g)
    base = tone(n, GREY + EARTH, g)
    image = pick(near(base, 40, g, 0.3), index)
    image = blend(near(base, 1, g, 0.1)[:, 0] * 0.5, image, step(gap - 0.012, 250.0))
    return worn(image * (1 + 0.1 * fractal(n, g, 0.6, 1.2))[:, None], g, grain=0.07)


def _masonry(n: int, g: torch.Generator) -> Tensor:
    index, gap = cells(n, 22, g, across=1.8)
    base = tone(n, GREY + EARTH + PALE[1:2], g)
    image = pick(near(base, 22, g, 0.35), index) * (1 + 0.12 * fractal(n, g, 0.8, 1.4))[:, None]
    round_off = 0.75 + 0.25 * step(gap - 0.03, 60.0)
    mortar = tone(n, PALE + EARTH, g)
    return worn(blend(mortar * 0.8, image * round_off[:, None], step(gap - 0.016, 200.0)), g, grain=0.08)


def _asphalt(n: int, g: torch.Generator) -> Tensor:
    base = tone(n, GREY[:2] + GREY[3:4], g) * each(g, n, 0.6, 1.05)[:, 0]
    speckle = 1 + 0.16 * fractal(n, g, 0.0, 0.3) + 0.05 * fractal(n, g, 1.0, 1.6)
    patch = step(fractal(n, g, 1.6, 2.2) - each(g, n, 0.8, 2.0), 25.0)
    image = blend(base, near(base, 1, g, 0.4)[:, 0], patch) * speckle[:, None]
    return worn(image * (1 - 0.45 * cracks(n, g))[:, None], g, grain=0.05)


def _gravel(n: int, g: torch.Generator) -> Tensor:
    index, gap = cells(n, 220, g)
    base = tone(n, GREY + EARTH, g)
    image = pick(near(base, 220, g, 0.45), index)
    return worn(image * (0.55 + 0.45 * step(gap - 0.012, 150.0))[:, None], g, grain=0.05)


def _soil(n: int, g: torch.Generator) -> Tensor:
    first, second, third = tones(n, 3, EARTH, g).unbind(1)
    image = blend(first, second, step(fractal(n, g, 1.0, 1.6), 3.0))
    image = blend(image, third, step(fractal(n, g, 0.7, 1.2) - 1.0, 4.0))
    stones = step(band(n, g, 12, 30) - 2.0, 6.0)
    return worn(blend(image, tone(n, GREY, g), stones), g, grain=0.10)


def _sand(n: int, g: torch.Generator) -> Tensor:
    v, u = coordinates()
    base = tone(n, PALE[1:2] + EARTH[2:3] + EARTH[4:], g)
    shift = 0.05 * fractal(n, g, 1.6, 2.2)
    ripple = torch.sin(2 * math.pi * (whole(g, n, 5, 14) * (v + shift) + whole(g, n, 0, 2) * u))
    return worn(base[:, :, None, None] * (1 + each(g, n, 0.0, 0.12) * ripple)[:, None], g, grain=0.06, dirt=0.2)


def _grass(n: int, g: torch.Generator) -> Tensor:
    first, second, dry = tone(n, GREEN, g), tone(n, GREEN, g), tone(n, GREEN[3:4] + EARTH[2:3], g)
    blades = 0.6 * fractal(n, g, 0.3, 0.8, across=2.2) + 0.4 * fractal(n, g, 0.2, 0.5)
    image = blend(first * 0.55, second * 1.2, step(blades, 2.0))
    return worn(blend(image, dry, 0.8 * step(fractal(n, g, 1.2, 1.8) - 0.7, 3.0)), g, grain=0.10)


def _litter(n: int, g: torch.Generator) -> Tensor:
    top, inside = leaves(n, 240, g, smallest=0.02, largest=0.06, slim=0.7)
    palette = tones(n, 240, EARTH + GREEN[3:] + CLAY[2:3], g, spread=0.06)
    return worn(pick(palette, top) * (1.05 - 0.4 * inside**3)[:, None], g, grain=0.08)


# ------------------------------------------------------------------------------------------------ things


def _foliage(n: int, g: torch.Generator) -> Tensor:
    top, inside = leaves(n, 330, g, smallest=0.035, largest=0.11, slim=0.7)
    base = tone(n, GREEN + GREEN + [(0.50, 0.38, 0.14), (0.40, 0.18, 0.14)], g)
    depth = uniform(g, n, 330, 1, low=0.3, high=1.35)
    shades = (near(base, 330, g, 0.25) * depth).clamp(0, 1)
    return worn(pick(shades, top) * (1.1 - 0.45 * inside**2)[:, None], g, grain=0.06, dirt=0.5)


def _bark(n: int, g: torch.Generator) -> Tensor:
    ridge = fractal(n, g, 0.8, 1.2, across=5.0).abs()
    base = tone(n, WOOD[1:2] + WOOD[3:4] + GREY[:2] + PALE[3:4], g)
    return worn(blend(base * 0.35, base * 1.1, step(ridge - 0.35, 5.0)), g, grain=0.10)


def _timber(n: int, g: torch.Generator) -> Tensor:
    v, u = coordinates()
    planks = whole(g, n, 1, 7)
    place = u * planks
    plank = place.floor().long() % 8
    offset = uniform(g, n, 8)[torch.arange(n)[:, None, None], plank.expand(n, -1, -1)]
    grain = warped(fractal(n, g, 1.0, 1.4, across=12.0), offset.expand(-1, RESOLUTION, -1), torch.zeros(n, 1, 1))
    rings = torch.sin(whole(g, n, 4, 11) * (grain + 2 * offset) + 9 * u)
    base = tone(n, WOOD, g)
    image = pick(near(base, 8, g, 0.18), plank.expand(n, RESOLUTION, -1)) * (1 + 0.14 * rings + 0.05 * grain)[:, None]
    gap = torch.minimum(place % 1, 1 - place % 1) / planks
    seam = step(0.005 - gap, 500.0) * (planks > 1)
    return worn(image * (1 - 0.65 * seam)[:, None], g, grain=0.04, dirt=0.25)


def _marble(n: int, g: torch.Generator) -> Tensor:
    shift = 0.12 * fractal(n, g, 1.6, 2.0)
    vein = 1 - warped(fractal(n, g, 1.2, 1.6), shift, shift.transpose(1, 2)).abs().clamp(max=1)
    base = tone(n, PALE + GREY + GREEN[2:3], g)
    return worn(blend(base, near(base, 1, g, 0.5)[:, 0] * 0.6, vein**6), g, grain=0.02, dirt=0.1)


def _fabric(n: int, g: torch.Generator) -> Tensor:
    v, u = coordinates()
    base, second = tone(n, PAINT + PALE + EARTH, g), tone(n, PAINT + PALE, g)
    stripes = step(torch.sin(2 * math.pi * whole(g, n, 2, 12) * u) - each(g, n, -0.5, 0.8), 12.0)
    crossing = step(torch.sin(2 * math.pi * whole(g, n, 2, 12) * v) - each(g, n, -0.5, 0.8), 12.0)
    kind = uniform(g, n, 1, 1)
    pattern = torch.where(kind < 0.3, stripes, torch.where(kind < 0.5, 0.5 * (stripes + crossing), torch.zeros(1)))
    spots = step(band(n, g, 3, 8) - 0.8, 10.0)
    pattern = torch.where(kind > 0.75, spots, pattern)
    weave = 1 + 0.06 * torch.sin(2 * math.pi * 48 * u) * torch.sin(2 * math.pi * 48 * v)
    folds = 1 + 0.10 * fractal(n, g, 1.8, 2.4)
    return worn(blend(base, second, pattern) * (weave * folds)[:, None], g, grain=0.05, dirt=0.15)


def _ornament(n: int, g: torch.Generator) -> Tensor:
    field = fractal(n, g, 1.0, 1.5)
    times = RESOLUTION // 4
    corner = field[:, :times, :times]
    corner = corner + corner.transpose(1, 2)
    mirrored = torch.cat([corner, corner.flip(1)], 1)
    motif = torch.cat([mirrored, mirrored.flip(2)], 2).repeat(1, 2, 2)
    levels = ((motif - motif.amin((1, 2), keepdim=True)) * 3).long().clamp(0, 5)
    return worn(pick(tones(n, 6, PAINT + EARTH + PALE, g), levels), g, grain=0.07, dirt=0.2)


def _metal(n: int, g: torch.Generator) -> Tensor:
    v, u = coordinates()
    base = tone(n, GREY + PAINT, g)
    ribs = torch.where(uniform(g, n, 1, 1) < 0.5, 0.22, 0.0) * torch.sin(2 * math.pi * whole(g, n, 6, 16) * u)
    brushed = 0.06 * fractal(n, g, 0.6, 1.0, across=10.0)
    rust = step(fractal(n, g, 1.1, 1.6) - each(g, n, 0.6, 3.0), 6.0)
    rusty = tone(n, CLAY[:3], g)[:, :, None, None] * (1 + 0.2 * fractal(n, g, 0.6, 1.0))[:, None]
    return worn(blend(base[:, :, None, None] * (1 + ribs + brushed)[:, None], rusty, rust), g, grain=0.03)


def _paint(n: int, g: torch.Generator) -> Tensor:
    base = tone(n, PAINT, g)
    chipped = step(fractal(n, g, 1.0, 1.5) - each(g, n, 1.6, 4.0), 14.0)
    image = blend(base, tone(n, GREY + WOOD + CLAY, g), chipped)
    return worn(image, g, grain=0.025, dirt=0.3)


def _shingles(n: int, g: torch.Generator) -> Tensor:
    v, _ = coordinates()
    rows, columns = whole(g, n, 3, 7) * 2, whole(g, n, 4, 9)
    number, edge = _courses(n, g, rows, columns, torch.full((n, 1, 1), 0.5))
    base = tone(n, CLAY + GREY[:2] + WOOD[1:2], g)
    overlap = 0.6 + 0.4 * ((v * rows) % 1) ** 0.6
    image = pick(near(base, 256, g, 0.25), number) * overlap[:, None]
    return worn(image * (1 - 0.4 * step(0.004 - edge, 500.0))[:, None], g, grain=0.07)


# ------------------------------------------------------------------------------------------------ made by people


def _windows(n: int, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A grid of windows: glass and frame weights [N, R, R], and a number for each window below 64."""
    v, u = coordinates()
    rows, columns = whole(g, n, 2, 4), whole(g, n, 2, 5)
    y, x = (v * rows) % 1, (u * columns) % 1
    half_h, half_w = each(g, n, 0.18, 0.36), each(g, n, 0.15, 0.36)
    outside = torch.maximum((y - 0.5).abs() - half_h, (x - 0.5).abs() - half_w)
    bars = torch.where(uniform(g, n, 1, 1) < 0.6, torch.minimum((x - 0.5).abs(), (y - 0.42).abs()), torch.ones(1))
    glass = step(-0.03 - outside, 150.0) * step(bars - 0.015, 200.0)
    number = ((v * rows).floor() * 7 + (u * columns).floor()).long() % 64
    return glass, step(-outside, 150.0), number


def _facade(n: int, g: torch.Generator) -> Tensor:
    v, u = coordinates()
    half = n // 2
    wall = torch.cat([_brick(half, g), _plaster(n - half, g)])
    glass, window, number = _windows(n, g)
    frame = tone(n, PALE + PAINT, g)
    shade = near(tone(n, [(0.16, 0.19, 0.22), (0.30, 0.36, 0.42), (0.10, 0.10, 0.11)], g), 64, g, 0.6)
    lit = uniform(g, n, 64, 1) < 0.12
    shade = torch.where(lit, torch.tensor([0.85, 0.72, 0.48]), shade)
    panes = pick(shade, number.expand(n, -1, -1)) * (1 + 0.3 * fractal(n, g, 1.4, 1.8))[:, None]
    ledge = 1 - 0.35 * step(0.02 - (v * whole(g, n, 1, 4) % 1), 200.0)
    return worn(blend(blend(wall * ledge[:, None], frame, window), panes, glass), g, grain=0.02, dirt=0.25)


def _photo(n: int, g: torch.Generator) -> Tensor:
    top, inside = leaves(n, 150, g, smallest=0.03, largest=0.6)
    every = PAINT + EARTH + GREEN + PALE + GREY + CLAY
    shading = 1 + 0.25 * fractal(n, g, 1.2, 1.8) - 0.35 * inside**2
    return worn(pick(tones(n, 150, every, g, spread=0.08), top) * shading[:, None], g, grain=0.04, dirt=0.1)


def _writing(n: int, g: torch.Generator, rows: Tensor) -> Tensor:
    """Lines of marks like letters: weights [N, R, R]."""
    v, u = coordinates()
    y = (v * rows) % 1
    letters = step(fractal(n, g, 0.1, 0.4, across=2.0) - 0.1, 10.0)
    size = (rows * 6).clamp(max=60)
    block = warped(letters, ((v * size).floor() / size - v), ((u * size * 1.3).floor() / (size * 1.3) - u))
    words = step(fractal(n, g, 0.6, 0.9, across=0.25) + 0.5, 12.0)
    margin = ((u > 0.08) & (u < 0.92) & (v > 0.06) & (v < 0.94)).float()
    return block * words * margin * ((y > 0.25) & (y < 0.75)).float()


def _print(n: int, g: torch.Generator) -> Tensor:
    """Pages, posters and signs: writing, large or small, some over a picture."""
    paper, ink = tone(n, PALE + PALE + PAINT, g), tone(n, PAINT + GREY[1:2], g) * 0.7
    lines = torch.where(uniform(g, n, 1, 1) < 0.5, whole(g, n, 2, 4), whole(g, n, 8, 16))
    image = blend(paper, ink, _writing(n, g, lines))
    v, u = coordinates()
    pictured = (uniform(g, n, 1, 1) < 0.5) & (v > each(g, n, 0.35, 0.6)) & (v < 0.94) & (u > 0.08) & (u < 0.92)
    return worn(blend(image, _photo(n, g), pictured.float()), g, grain=0.02, dirt=0.15)


def _books(n: int, g: torch.Generator) -> Tensor:
    v, u = coordinates()
    edges = uniform(g, n, 22).sort(1).values
    index = (u[..., None] > edges[:, None, None]).sum(-1)
    shelf = (v * 2).floor().long()
    index = (index + 23 * shelf) % 46
    height = uniform(g, n, 46, low=0.65, high=0.95)[torch.arange(n)[:, None, None], index]
    y = 1 - (v * 2) % 1
    spine = pick(tones(n, 46, PAINT + WOOD + PALE, g, spread=0.08), index)
    title = 1 + 0.8 * step(((y - 0.55).abs() < 0.12).float() * band(n, g, 12, 40) - 0.6, 8.0)
    image = blend(tone(n, WOOD, g) * 0.25, spine * title[:, None], ((y < height) & (y > 0.06)).float())
    return worn(image, g, grain=0.03, dirt=0.2)


def _cloud(n: int, g: torch.Generator) -> Tensor:
    """Not a surface: how much cloud there is and how bright it is."""
    shift = 0.06 * fractal(n, g, 1.6, 2.0)
    field = warped(fractal(n, g, 1.3, 1.7), shift, shift.transpose(1, 2))
    cover = step(field - each(g, n, -0.8, 1.5), 1.5 + 2.5 * uniform(g, n, 1, 1))
    bright = 0.75 + 0.12 * fractal(n, g, 1.2, 1.6)
    return torch.stack([cover, bright, bright], 1)


MATERIALS: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "plaster": _plaster, "concrete": _concrete, "brick": _brick, "tiles": _tiles, "paving": _paving,
    "masonry": _masonry,
    "asphalt": _asphalt, "gravel": _gravel, "soil": _soil, "sand": _sand, "grass": _grass, "litter": _litter,
    "foliage": _foliage, "bark": _bark, "timber": _timber, "marble": _marble, "fabric": _fabric,
    "ornament": _ornament,
    "metal": _metal, "paint": _paint, "shingles": _shingles, "facade": _facade, "photo": _photo, "print": _print,
    "books": _books, "cloud": _cloud,
}  # fmt: skip

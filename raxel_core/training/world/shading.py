"""From hits to radiance: textures of two layers, one light with soft shadows, the sky, haze."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .light import ABOVE_SIZE, SHADOW_SIZE, Light
from .materials import LEVELS, TEXELS
from .noise import RESOLUTION
from .solids import Solids, inverse
from .surfaces import COLUMNS, DENSITY, GLOW, MASK, OFFSET, RATIO, SECOND, STRETCH, TEXTURE, TINT
from .tracer import Hits, Views, dot

Axes = tuple[Tensor, ...]


class Scenes(NamedTuple):
    """All that rays of B scenes can meet: one row a solid, then the ground's, then the sky's."""

    local_from_world: Tensor  # [B, N + 2, 9]
    center: Tensor  # [B, N + 2, 3]
    profile: Tensor  # [B, N + 2, 3]
    surface: Tensor  # [B, N + 2, COLUMNS]


class Shadows(NamedTuple):
    """What the light's own view saw, and the view from above: depths [B, SHADOW_SIZE^2] and [B, ABOVE_SIZE^2]."""

    light: Tensor
    above: Tensor


class Rays(NamedTuple):
    """Whose rays those of each tile are."""

    clip: Tensor  # [G] of which scene
    center: Tensor  # [G, 3]
    rotation: Tensor  # [G, 3, 3] world from camera
    focal: Tensor  # [G] pixels


def scene_tables(solids: Solids, ground: Tensor, floor: Tensor, light: Light) -> Scenes:
    """The rows of all solids, of the ground (the top of a box of 20 km) and of the sky."""
    b = len(ground)
    local = inverse(solids.axes).flatten(2)
    flat = torch.tensor([1e-4, 0, 0, 0, 1, 0, 0, 0, 1e-4], device=ground.device).expand(b, 1, 9)
    at = torch.stack([torch.zeros_like(ground), ground + 1, torch.zeros_like(ground)], -1)[:, None]
    box = torch.tensor([4.0, 0, 0], device=ground.device).expand(b, 1, 3)
    floor = floor.clone()
    floor[:, STRETCH] = floor[:, DENSITY, None] * torch.tensor([1e4, 1.0, 1e4], device=ground.device)
    sky = torch.zeros(b, 1, COLUMNS, device=ground.device)
    sky[..., TEXTURE] = sky[..., SECOND] = light.clouds[:, None]
    sky[..., DENSITY], sky[..., RATIO], sky[..., TINT] = 0.1, 0.5, 1.0
    return Scenes(
        torch.cat([local, flat, flat], 1), torch.cat([solids.center, at, at], 1),
        torch.cat([solids.profile, box, box], 1), torch.cat([solids.surface, floor[:, None], sky], 1),
    )  # fmt: skip


def rays_of(hits: Hits, views: Views) -> Rays:
    """Whose rays those of `hits` are."""
    per_view = len(hits.depth) // (views.center.shape[0] * views.center.shape[1])
    clip = torch.arange(len(views.center), device=hits.x.device).repeat_interleave(per_view * views.center.shape[1])
    rotation, center = (part.flatten(0, 1).repeat_interleave(per_view, 0) for part in (views.rotation, views.center))
    return Rays(clip, center, rotation, views.K[..., 0, 0].flatten().repeat_interleave(per_view))


def shade(hits: Hits, rays: Rays, scenes: Scenes, light: Light, shadows: Shadows, texels: Tensor) -> Tensor:
    """Radiance [3, G, R] along all rays."""
    clip, turn = rays.clip, rays.rotation
    ray = tuple(turn[:, i, 0, None] * hits.x + turn[:, i, 1, None] * hits.y + turn[:, i, 2, None] for i in range(3))
    point = tuple(rays.center[:, i, None] + hits.depth * ray[i] for i in range(3))
    row = clip[:, None] * scenes.center.shape[1] + hits.solid
    local, normal, axis = _surface_point(scenes, row, point)
    surface = scenes.surface.reshape(-1, COLUMNS)

    def of(column: int) -> Tensor:
        return surface[:, column][row]

    length = torch.sqrt(dot(ray, ray))
    # A surface seen from the side: below 0.12 (7 degrees) its texture would blur to one colour.
    facing = (dot(ray, normal) / length).abs().clamp_min(0.12)
    is_sky = hits.solid == scenes.center.shape[1] - 1
    u, v = _texture_place(local, axis, of, ray, is_sky)
    # How many texels lie under one pixel, which picks the blur: its width at that depth, stretched by the slant.
    wide = torch.where(is_sky, 0.01, hits.depth / rays.focal[:, None] * torch.rsqrt(facing) * of(DENSITY)) * RESOLUTION
    first = _texture(texels, of(TEXTURE), u, v, wide)
    ratio = of(RATIO)
    # The second texture is turned and scaled against the first, so that the two never line up.
    second = _texture(texels, of(SECOND), u * ratio + 0.37 * v, v * ratio - 0.37 * u, wide * (ratio + 0.37))
    mask = of(MASK) * torch.sigmoid(4 * _patches(light.patches[clip], point))
    sunlit = _seen_from(light.view, shadows.light, SHADOW_SIZE, clip, point, normal, 1.2)
    open_ = _seen_from(light.overhead, shadows.above, ABOVE_SIZE, clip, point, normal, 0.6)
    # Under cover 38% of the light from above is left: it comes round corners, which nothing here traces.
    lit = _lighting(light, clip, point, normal, sunlit, 0.38 + 0.62 * open_)
    sky = _sky(light, clip, ray, length, first, second)
    # Haze: the share of the light that is scattered on the way (Beer and Lambert).
    far = 1 - torch.exp(-hits.depth * length * light.haze[clip, None])
    colours = []
    for i in range(3):
        # Textures are as a screen shows them; squared they are about linear in light (gamma 2).
        albedo = torch.lerp(first[i], second[i], mask) * of(TINT.start + i)
        shown = torch.lerp(albedo * albedo * (lit[i] + of(GLOW)), light.horizon[clip, i, None], far)
        colours.append(torch.where(is_sky, sky[i], shown))
    return torch.stack(colours)


def _surface_point(scenes: Scenes, row: Tensor, point: Axes) -> tuple[Axes, Axes, Tensor]:
    """The point in its solid's coordinates, the normal in the world, and the axis that the normal is nearest to."""
    inverse_axes = scenes.local_from_world.reshape(-1, 9)
    middle, profile = scenes.center.reshape(-1, 3), scenes.profile.reshape(-1, 3)
    m = [inverse_axes[:, k][row] for k in range(9)]
    o = tuple(point[i] - middle[:, i][row] for i in range(3))
    x, y, z = (m[3 * i] * o[0] + m[3 * i + 1] * o[1] + m[3 * i + 2] * o[2] for i in range(3))
    a, b, c = (profile[:, i][row] for i in range(3))
    # of the constraints |x|, |y|, |z| <= 1 and the disc's, the one that the point lies on
    disc = 1 + x * x + z * z - a - (b + c * y) * y
    flat = torch.maximum(torch.maximum(x.abs(), y.abs()), z.abs())
    on_disc = disc >= flat
    on_x, on_y = ~on_disc & (x.abs() >= flat), ~on_disc & (y.abs() >= flat)
    on_z = ~(on_disc | on_x | on_y)
    nx = torch.where(on_disc, x, torch.sign(x) * on_x)
    ny = torch.where(on_disc, -0.5 * b - c * y, torch.sign(y) * on_y)
    nz = torch.where(on_disc, z, torch.sign(z) * on_z)
    size = [torch.sqrt(m[3 * i] ** 2 + m[3 * i + 1] ** 2 + m[3 * i + 2] ** 2) for i in range(3)]
    steep = ((nx * size[0]).abs(), (ny * size[1]).abs(), (nz * size[2]).abs())
    axis = torch.where(steep[0] >= torch.maximum(steep[1], steep[2]), 0, torch.where(steep[1] >= steep[2], 1, 2))
    normal = [nx * m[k] + ny * m[3 + k] + nz * m[6 + k] for k in range(3)]
    per = torch.rsqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2 + 1e-20)
    return (x, y, z), (normal[0] * per, normal[1] * per, normal[2] * per), axis


def _texture_place(
    local: Axes, axis: Tensor, of: Callable[[int], Tensor], ray: Axes, is_sky: Tensor
) -> tuple[Tensor, Tensor]:
    """Texture coordinates: along the two axes that the face spans; for the sky on a plane far above."""
    along = [local[i] * of(STRETCH.start + i) for i in range(3)]
    u = torch.where(axis == 0, along[2], along[0]) + of(OFFSET.start)
    v = torch.where(axis == 1, along[2], along[1]) + of(OFFSET.start + 1)
    high = 0.22 / ((-ray[1]).clamp_min(0) + 0.12)
    return torch.where(is_sky, ray[0] * high, u), torch.where(is_sky, ray[2] * high, v)


def _texture(texels: Tensor, texture: Tensor, u: Tensor, v: Tensor, wide: Tensor) -> Axes:
    """Bilinear, wrapping lookups in the mip level whose texels are nearest to `wide` texels of the finest."""
    level = (torch.log2(wide.clamp_min(1e-6)) + 0.2).clamp(0, LEVELS - 1).long()
    size = torch.bitwise_right_shift(torch.full_like(level, RESOLUTION), level)
    # the levels before this one hold 4/3 (R^2 - size^2) texels
    offset = (RESOLUTION**2 - size * size) * 4 // 3 + texture.long() * TEXELS
    x, y = u * size - 0.5, v * size - 0.5
    x0, y0 = x.floor(), y.floor()
    wx, wy = x - x0, y - y0
    mask = size - 1
    left, top = x0.long() & mask, y0.long() & mask
    right, bottom = (left + 1) & mask, (top + 1) & mask
    flat = texels.reshape(-1)
    corners = [flat[offset + r * size + c] for r in (top, bottom) for c in (left, right)]
    channels = []
    for shift in (0, 8, 16):
        a, b, c, d = (((corner >> shift) & 255).float() for corner in corners)
        channels.append(torch.lerp(torch.lerp(a, b, wx), torch.lerp(c, d, wx), wy) / 255)
    return channels[0], channels[1], channels[2]


def _patches(waves: Tensor, point: Axes) -> Tensor:
    """Large smooth stains through space, about -1.5 to 1.5: waves warped by one another."""

    def wave(i: int, shift: Tensor | float = 0.0) -> Tensor:
        k = waves[:, i, :, None]  # [G, 4, 1]
        return torch.sin(k[:, 0] * point[0] + k[:, 1] * point[1] + k[:, 2] * point[2] + k[:, 3] + shift)

    first = wave(0)
    second = wave(1, 1.5 * first)
    third = wave(2, 1.5 * second)
    return 0.5 * first + 0.5 * second + 0.35 * third + 0.2 * wave(3, third)


def _seen_from(view: Views, map_: Tensor, size: int, clip: Tensor, point: Axes, normal: Axes, off: float) -> Tensor:
    """How much of what is at the centre of `view` each point [G, R] sees, 0 to 1: four depths of `map_` [B, size^2]
    around it, each a soft step, from a place `off` texels above the surface."""
    rotation, center, focal = view.rotation[clip, 0], view.center[clip, 0], view.K[clip, 0, 0, 0, None]
    turn = [[rotation[:, k, i, None] for k in range(3)] for i in range(3)]
    o = tuple(point[i] - center[:, i, None] for i in range(3))
    deep = dot(tuple(turn[2]), o).clamp_min(0.1)
    grain = deep / focal  # a texel there
    o = tuple(o[i] + off * grain * normal[i] for i in range(3))
    x, y, z = (dot(tuple(row), o) for row in turn)
    z = z.clamp_min(0.1)
    px, py = x / z * focal + size / 2 - 0.5, y / z * focal + size / 2 - 0.5
    outside = (px < 0) | (py < 0) | (px > size - 1) | (py > size - 1)
    px, py = px.clamp(0, size - 1.001), py.clamp(0, size - 1.001)
    x0, y0 = px.floor(), py.floor()
    wx, wy = px - x0, py - y0
    base = clip[:, None] * size**2 + y0.long() * size + x0.long()
    flat = map_.reshape(-1)
    a, b, c, d = (((flat[base + step] - z) / grain + 1.0).clamp(0, 1) for step in (0, 1, size, size + 1))
    seen = torch.lerp(torch.lerp(a, b, wx), torch.lerp(c, d, wx), wy)
    return torch.where(outside, 1.0, seen)


def _lighting(light: Light, clip: Tensor, point: Axes, normal: Axes, seen: Tensor, open_: Tensor) -> Axes:
    """Irradiance over pi by colour."""
    to_light = tuple(light.view.center[clip, 0, i, None] - point[i] for i in range(3))
    square = dot(to_light, to_light) + 1e-6
    cosine = (dot(to_light, normal) * torch.rsqrt(square)).clamp_min(0)
    lamp = light.lamp[clip, None]
    # A lamp fades with the square of the distance, but for its size (0.6); the sun does not fade.
    direct = seen * cosine * torch.where(lamp > 0, 1.6 / (0.6 + square * 0.35), 1.0)
    up = 0.5 - 0.5 * normal[1]
    lit = tuple(
        direct * light.colour[clip, i, None]
        + open_ * torch.lerp(light.below[clip, i, None], light.above[clip, i, None], up)
        for i in range(3)
    )
    return lit[0], lit[1], lit[2]


def _sky(light: Light, clip: Tensor, ray: Axes, length: Tensor, first: Axes, second: Axes) -> Axes:
    """Radiance of the sky: a gradient, clouds, the sun's glow, and hills along the horizon."""
    up = (-ray[1] / length).clamp(0, 1)
    per = torch.rsqrt(ray[0] ** 2 + ray[2] ** 2 + 1e-12)
    east, north = ray[0] * per, ray[2] * per
    ridge = light.ridge[clip]
    # Three sines about the compass, each finer and lower than the last, at most 0.18 (10 degrees) high.
    hills = sum(
        ridge[:, i, None]
        * (0.05 / (i + 1))
        * (1 + torch.sin((2 + 3 * i) * (east * (1 + i) + 0.7 * north) + 6.3 * ridge[:, 3 + i, None]))
        for i in range(3)
    )
    rise = torch.sqrt(up)
    cover = (first[0] * 0.7 + second[0] * 0.3) * light.cloudy[clip, None] * (up * 6).clamp(max=1)
    behind = torch.sigmoid((up - hills) * 150)
    beam = light.view.rotation[clip, 0, :, 2]
    glow = ((-ray[0] * beam[:, 0, None] - ray[1] * beam[:, 1, None] - ray[2] * beam[:, 2, None]) / length).clamp_min(
        0
    ) ** 24
    # The sun: a disc of 0.8 degrees (where cos^7200 is a half) in a halo of 4 degrees (cos^288).
    glow = (glow**300 + 0.12 * glow**12) * (1 - light.lamp[clip, None])
    colours = []
    for i in range(3):
        clear = (
            torch.lerp(light.horizon[clip, i, None], light.zenith[clip, i, None], rise)
            + glow * light.colour[clip, i, None]
        )
        clouded = torch.lerp(clear, 1.5 * first[1] * light.horizon[clip, i, None], cover)
        hill = light.horizon[clip, i, None] * 0.45 * (0.7 + 0.3 * (i == 1))
        colours.append(torch.lerp(hill.expand_as(clouded), clouded, behind))
    return colours[0], colours[1], colours[2]

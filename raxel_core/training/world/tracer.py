"""Nearest solid along every ray, by tiles of the picture: each tile's rays meet only the solids whose bounds it sees.

A ray is z (x, y, 1) in its camera's frame, so the parameter of a hit is its depth. Tiles are flat along the first axis:
G = scenes x views x tiles, each of R rays; a solid that no ray of a tile can meet costs that tile nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .solids import Solids, apply, inverse, product

TILE = 8  # pixels a side
NEAREST = 0.02  # depth at which views begin, metres
SKY_DEPTH = 1000.0  # what a ray that meets nothing is given
MOST = 32  # solids that a tile may see, the nearest; those behind them are left out
STEP = 4  # solids met in one pass over the tiles that have so many


Meet = Callable[..., tuple[Tensor, Tensor]]
"""`meet`, or the same compiled."""


class Views(NamedTuple):
    """V pinhole views of each of B scenes."""

    rotation: Tensor  # [B, V, 3, 3] world from camera
    center: Tensor  # [B, V, 3]
    K: Tensor  # [B, V, 3, 3]


class Hits(NamedTuple):
    """Where the rays of all tiles end: `solid` is N for the ground and N + 1 for the sky."""

    depth: Tensor  # [G, R]
    solid: Tensor  # [G, R] long
    x: Tensor  # [G, R] ray directions over z, in the view's frame
    y: Tensor


def tile_rays(hw: tuple[int, int], offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel coordinates (x, y) [tiles, R] of the rays of every tile, `offsets` [S, 2] from each pixel's centre."""
    h, w = hw
    step = torch.arange(TILE, device=offsets.device) + 0.5
    top = torch.arange(0, h, TILE, device=offsets.device)
    left = torch.arange(0, w, TILE, device=offsets.device)
    shape = (len(top), len(left), len(offsets), TILE, TILE)
    y = top[:, None, None, None, None] + offsets[None, None, :, 1, None, None] + step[:, None]
    x = left[None, :, None, None, None] + offsets[None, None, :, 0, None, None] + step
    return x.expand(shape).reshape(shape[0] * shape[1], -1), y.expand(shape).reshape(shape[0] * shape[1], -1)


def picture(values: Tensor, hw: tuple[int, int], samples: int) -> Tensor:
    """Values [G, R, ...] of tiles as pictures [scenes x views, S, h, w, ...]."""
    h, w = hw
    rest = values.shape[2:]
    tiles = values.reshape(-1, h // TILE, w // TILE, samples, TILE, TILE, *rest)
    order = (0, 3, 1, 4, 2, 5, *range(6, tiles.ndim))
    return tiles.permute(order).reshape(-1, samples, h, w, *rest)


def trace(solids: Solids, ground: Tensor, views: Views, hw: tuple[int, int], offsets: Tensor, meet: Meet) -> Hits:
    """The nearest of `solids`, of the plane y = `ground` [B] and of the sky along the rays of all views."""
    px, py = tile_rays(hw, offsets)
    x = ((px - views.K[:, :, 0, 2, None, None]) / views.K[:, :, 0, 0, None, None]).flatten(0, 2)
    y = ((py - views.K[:, :, 1, 2, None, None]) / views.K[:, :, 1, 1, None, None]).flatten(0, 2)
    order, listed = tile_lists(solids, views, hw, float(offsets.max()))
    local, start = _local_rays(solids, views)
    depth, solid = _ground(ground, views, x, y, solids.center.shape[1])
    rows = _rows(solids, local, start).flatten(0, 1)  # [scenes x views, N, 16]
    view = torch.arange(len(rows), device=x.device).repeat_interleave(len(listed) // len(rows))
    longest = int(order.shape[1])
    for first in range(0, longest, STEP):
        active = (listed > first).nonzero()[:, 0]
        chosen = order[active, first : first + STEP]  # [g, STEP]
        met = meet(x[active], y[active], rows[view[active, None], chosen], chosen, depth[active], solid[active])
        depth[active], solid[active] = met
    return Hits(depth, solid, x, y)


def meet(x: Tensor, y: Tensor, rows: Tensor, chosen: Tensor, depth: Tensor, solid: Tensor) -> tuple[Tensor, Tensor]:
    """Depth and solid [g, R] of rays (x, y) after they met STEP solids more, `chosen` [g, STEP], with their `rows`
    [g, STEP, 16]: the ray's direction per x, y and 1 in the solid's coordinates, its start, and the profile."""
    for i in range(chosen.shape[1]):
        m = rows[:, i, :, None].unbind(1)  # 16 x [g, 1]
        dx, dy, dz = (m[k] * x + m[3 + k] * y + m[6 + k] for k in range(3))
        near, far = _cube((dx, dy, dz), m[9:12])
        enter, leave, met = _disc((dx, dy, dz), m[9:12], m[12:15])
        near, far = torch.maximum(near, enter), torch.minimum(far, leave)
        nearer = met & (near < far) & (near > NEAREST) & (near < depth)
        depth = torch.where(nearer, near, depth)
        solid = torch.where(nearer, chosen[:, i, None], solid)
    return depth, solid


def _cube(d: tuple[Tensor, ...], o: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Where rays o + t d are inside the cube: from, to."""
    near, far = [], []
    for start, along in zip(o, d, strict=True):
        per = 1 / torch.where(along.abs() < 1e-7, 1e-7, along)
        middle = -start * per
        near.append(middle - per.abs())
        far.append(middle + per.abs())
    return (
        torch.maximum(torch.maximum(near[0], near[1]), near[2]),
        torch.minimum(torch.minimum(far[0], far[1]), far[2]),
    )


def _disc(d: tuple[Tensor, ...], o: tuple[Tensor, ...], profile: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays are inside x^2 + z^2 <= a + b y + c y^2: from, to, and whether at all.

    Along a ray that is A t^2 + 2 B t + C <= 0. A < 0 where a ray runs steeper than the side of a cone: then it stays
    inside once it is in, and the part that opens downward is the solid's.
    """
    a, b, c = profile
    A = d[0] * d[0] + d[2] * d[2] - c * d[1] * d[1]
    B = o[0] * d[0] + o[2] * d[2] - (0.5 * b + c * o[1]) * d[1]
    C = o[0] * o[0] + o[2] * o[2] - a - (b + c * o[1]) * o[1]
    square = B * B - A * C
    root = torch.sqrt(square.clamp_min(0))
    per = 1 / torch.where(A.abs() < 1e-12, 1e-12, A)
    first, second = (-B - root) * per, (-B + root) * per
    down = d[1] > 0
    enter = torch.where(A >= 0, first, torch.where(down, first, -torch.inf))
    leave = torch.where(A >= 0, second, torch.where(down, torch.inf, second))
    return enter, leave, square > 0


def _ground(ground: Tensor, views: Views, x: Tensor, y: Tensor, solids: int) -> tuple[Tensor, Tensor]:
    """Depth and index of the plane or the sky, whichever each ray meets."""
    per_view = len(x) // (views.center.shape[0] * views.center.shape[1])
    down = views.rotation[:, :, 1].flatten(0, 1).repeat_interleave(per_view, 0)  # [G, 3]
    height = (ground[:, None] - views.center[..., 1]).flatten().repeat_interleave(per_view)[:, None]
    slope = down[:, 0, None] * x + down[:, 1, None] * y + down[:, 2, None]
    depth = height / slope.clamp_min(1e-6)
    on_ground = depth < SKY_DEPTH
    index = torch.where(on_ground, solids, solids + 1)
    return torch.where(on_ground, depth, SKY_DEPTH), index


def _local_rays(solids: Solids, views: Views) -> tuple[Tensor, Tensor]:
    """Per view and solid: directions [B, V, N, 3, 3] and camera centre [B, V, N, 3] in the solid's coordinates."""
    local_from_world = inverse(solids.axes)[:, None]
    local = product(local_from_world, views.rotation[:, :, None])
    return local, apply(local_from_world, views.center[:, :, None] - solids.center[:, None])


def _rows(solids: Solids, local: Tensor, start: Tensor) -> Tensor:
    """What `meet` reads of a solid in a view: [B, V, N, 16]."""
    profile = solids.profile[:, None].expand(*start.shape)
    return torch.cat([local.mT.flatten(-2), start, profile, torch.zeros_like(start[..., :1])], -1)


def tile_lists(solids: Solids, views: Views, hw: tuple[int, int], widest: float) -> tuple[Tensor, Tensor]:
    """The solids that each tile may see: indices [G, K] by rising depth, K the most that any has, and how many [G].

    A solid is left out where its box lies wholly beyond one of the four planes through the camera and the tile's sides
    (`widest` pixels wider), or behind the camera.
    """
    center = apply(views.rotation.mT[:, :, None], solids.center[:, None] - views.center[:, :, None])  # [B, V, N, 3]
    axes = product(views.rotation.mT[:, :, None], solids.axes[:, None])  # rows: camera's axes
    front = center[..., 2] + axes[..., 2, :].abs().sum(-1) > NEAREST
    nearest = center[..., 2] - axes[..., 2, :].abs().sum(-1)
    rank = nearest.argsort(-1)
    seen_x = _seen(center, axes, views.K, hw[1], 0, widest) & front[..., None]
    seen_y = _seen(center, axes, views.K, hw[0], 1, widest)
    seen_x = torch.gather(seen_x, 2, rank[..., None].expand_as(seen_x))
    seen_y = torch.gather(seen_y, 2, rank[..., None].expand_as(seen_y))
    seen = (seen_y.mT[:, :, :, None] & seen_x.mT[:, :, None]).flatten(0, 3)  # [G, N]
    place = seen.cumsum(1, dtype=torch.int32)
    listed = place[:, -1].clamp(max=MOST)
    most = -(-int(listed.max()) // STEP) * STEP
    place = torch.where(seen & (place <= most), place - 1, most).long()
    rank = rank[:, :, None].expand(-1, -1, len(seen) // (rank.shape[0] * rank.shape[1]), -1).flatten(0, 2)
    order = torch.zeros(len(seen), most + 1, dtype=torch.long, device=seen.device).scatter_(1, place, rank)
    return order[:, :most], listed


def _seen(center: Tensor, axes: Tensor, K: Tensor, pixels: int, axis: int, widest: float) -> Tensor:
    """Whether a solid's box reaches into each column (axis 0) or row (axis 1) of tiles: [B, V, N, columns]."""
    edge = torch.arange(0, pixels + 1, TILE, device=K.device)
    before = (edge[:-1] - widest - K[:, :, axis, 2, None]) / K[:, :, axis, axis, None]
    after = (edge[1:] + widest - K[:, :, axis, 2, None]) / K[:, :, axis, axis, None]

    def beyond(slope: Tensor, sign: float) -> Tensor:
        slope = slope[:, :, None]  # [B, V, 1, columns]
        middle = center[..., axis, None] - slope * center[..., 2, None]
        reach = (axes[..., axis, None, :] - slope[..., None] * axes[..., 2, None, :]).abs().sum(-1)
        return sign * middle + reach > 0

    return beyond(before, 1.0) & beyond(after, -1.0)

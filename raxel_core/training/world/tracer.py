"""Nearest solid along every ray, by tiles of the picture: each tile's rays meet only the solids whose bounds it sees.

A ray is z (x, y, 1) in its camera's frame, so the parameter of a hit is its depth. Tiles are flat along the first axis:
G = scenes x views x tiles, each of R rays; a solid that no ray of a tile can meet costs that tile nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .solids import Solids, inverse

TILE = 8  # pixels a side
NEAREST = 0.02  # depth at which views begin, metres
SKY_DEPTH = 1000.0  # what a ray that meets nothing is given
MOST = 48  # solids that a tile may see, the nearest; those behind them are left out
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
    order, listed = tile_lists(solids, views, hw)
    depth, solid = _ground(ground, views, x, y, solids.center.shape[1])
    rows = _rows(solids, views).flatten(0, 1)  # [scenes x views, N, 16]
    view = torch.arange(len(rows), device=x.device).repeat_interleave(len(listed) // len(rows))
    for first in range(0, order.shape[1], STEP):
        active = (listed > first).nonzero()[:, 0]
        active = active.expand(2) if len(active) == 1 else active  # compiled code takes two or more for any number
        chosen = order[active, first : first + STEP]  # [g, STEP]
        met = meet(x[active], y[active], rows[view[active, None], chosen], chosen.float(), depth[active], solid[active])
        depth[active], solid[active] = met
    return Hits(depth, solid.long(), x, y)


def meet(x: Tensor, y: Tensor, rows: Tensor, chosen: Tensor, depth: Tensor, solid: Tensor) -> tuple[Tensor, Tensor]:
    """Depth and solid [g, R] of rays (x, y) after they met more solids, numbered `chosen` [g, STEP], with their `rows`
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
    """Depth and number of the plane or the sky, whichever each ray meets."""
    per_view = len(x) // (views.center.shape[0] * views.center.shape[1])
    down = views.rotation[:, :, 1].flatten(0, 1).repeat_interleave(per_view, 0)  # [G, 3]
    height = (ground[:, None] - views.center[..., 1]).flatten().repeat_interleave(per_view)[:, None]
    slope = down[:, 0, None] * x + down[:, 1, None] * y + down[:, 2, None]
    depth = (height / slope.clamp_min(1e-6)).clamp(max=SKY_DEPTH)
    return depth, solids + (depth >= SKY_DEPTH).to(depth.dtype)


def _parts(matrices: Tensor) -> list[list[Tensor]]:
    """The entries of matrices [..., 3, 3] by row and column, so that products of many go term by term."""
    return [list(row.unbind(-1)) for row in matrices.unbind(-2)]


def dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """The scalar product of two vectors, each by its three components."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _rows(solids: Solids, views: Views) -> Tensor:
    """What `meet` reads of a solid in a view: [B, V, N, 16]."""
    local_from_world = [[entry[:, None] for entry in row] for row in _parts(inverse(solids.axes))]  # [B, 1, N]
    rotation = [[entry[:, :, None] for entry in row] for row in _parts(views.rotation)]  # [B, V, 1]
    apart = [views.center[:, :, None, k] - solids.center[:, None, :, k] for k in range(3)]
    ways = [dot(local_from_world[i], [row[j] for row in rotation]) for j in range(3) for i in range(3)]
    starts = [dot(local_from_world[i], apart) for i in range(3)]
    profile = [entry[:, None].expand_as(starts[0]) for entry in solids.profile.unbind(-1)]
    return torch.stack([*ways, *starts, *profile, torch.zeros_like(starts[0])], -1)


def tile_lists(solids: Solids, views: Views, hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The solids that each tile may see: indices [G, K] by rising depth, K the most that any has, and how many [G].

    A solid is left out where its box lies wholly beyond one of the four planes through the camera and the tile's sides,
    or behind the camera.
    """
    cam_from_world = [[entry[:, :, None] for entry in row] for row in _parts(views.rotation.mT)]  # [B, V, 1]
    half = [[entry[:, None] for entry in row] for row in _parts(solids.axes)]  # [B, 1, N]
    apart = [solids.center[:, None, :, k] - views.center[:, :, None, k] for k in range(3)]
    center = [dot(cam_from_world[i], apart) for i in range(3)]
    axes = [[dot(cam_from_world[i], [row[j] for row in half]) for j in range(3)] for i in range(3)]
    deep = axes[2][0].abs() + axes[2][1].abs() + axes[2][2].abs()
    rank = (center[2] - deep).argsort(dim=-1, stable=True)
    columns = _seen(center, axes, views.K, hw[1], 0) & (center[2] + deep > NEAREST)[:, :, None]
    rows = _seen(center, axes, views.K, hw[0], 1)
    columns, rows = (torch.gather(part, 3, rank[:, :, None].expand_as(part)) for part in (columns, rows))
    seen = (rows[:, :, :, None] & columns[:, :, None]).flatten(0, 3)  # [G, N]
    place = seen.cumsum(1, dtype=torch.int32)
    listed = place[:, -1].clamp(max=MOST)
    most = -(-int(listed.max()) // STEP) * STEP
    place = torch.where(seen & (place <= most), place - 1, most).long()
    rank = rank[:, :, None].expand(-1, -1, len(seen) // (rank.shape[0] * rank.shape[1]), -1).flatten(0, 2)
    order = torch.zeros(len(seen), most + 1, dtype=torch.long, device=seen.device).scatter_(1, place, rank)
    return order[:, :most], listed


def _seen(center: list[Tensor], axes: list[list[Tensor]], K: Tensor, pixels: int, axis: int) -> Tensor:
    """Whether a solid's box reaches into each column (axis 0) or row (axis 1) of tiles: [B, V, columns, N]."""
    edge = torch.arange(0, pixels + 1, TILE, device=K.device)
    slope = ((edge - K[:, :, axis, 2, None]) / K[:, :, axis, axis, None])[..., None]  # [B, V, columns + 1, 1]
    middle = center[axis][:, :, None] - slope * center[2][:, :, None]
    reach = sum((axes[axis][j][:, :, None] - slope * axes[2][j][:, :, None]).abs() for j in range(3))
    return (middle + reach > 0)[:, :, :-1] & (middle - reach < 0)[:, :, 1:]

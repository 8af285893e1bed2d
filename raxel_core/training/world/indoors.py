"""Places between walls: rooms, passages, halls, and a table top in a room."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .draws import Draws
from .setting import OBJECTS, Kit, Place, filled, floor_of, stand, structure, turned, vector
from .solids import CYLINDER, Solids
from .surfaces import pick_look

FURNITURE = ("table", "chair", "chair", "stool", "sofa", "bed", "shelf", "shelf", "cabinet", "cabinet", "lamp",
             "potted", "crates", "toys", "curtain", "screen")  # fmt: skip
STORE = ("shelf", "crates", "crates", "barrels", "table", "cabinet", "person", "pillar", "potted", "bench", "statue")
SMALL = ("bottles", "crockery", "books", "toys", "lamp", "potted", "bottles", "crockery", "books", "screen")
PASSAGE = ("potted", "chair", "cabinet", "lamp", "crates", "barrels", "person", "stool", "bench")
WALLS = ("plaster", "plaster", "plaster", "paint", "ornament", "timber", "brick", "concrete", "tiles")
FLOORS = ("timber", "timber", "tiles", "fabric", "concrete", "marble", "ornament")
CEILINGS = ("plaster", "plaster", "timber", "concrete")
COLUMNS_OF_HALL = 6


class _Shell(NamedTuple):
    """A room around the camera: how far its walls are to the left, right, back and front, its height and where its
    floor is, [B] each; whether it has a ceiling."""

    left: Tensor
    right: Tensor
    back: Tensor
    front: Tensor
    height: Tensor
    ground: Tensor
    roofed: Tensor


def room(kit: Kit, draws: Draws, fov: Tensor) -> Place:
    """A furnished room; a wall or the ceiling may be missing."""
    shell = _shell(draws, aside=(0.9, 3.2), back=(0.8, 2.5), front=(2.2, 6.0), height=(2.2, 3.4), roofed=0.93)
    return _place(kit, draws, shell, _furnished(kit, draws, shell, FURNITURE, walled=0.93, amid=4, hung=3))


def corridor(kit: Kit, draws: Draws, fov: Tensor) -> Place:
    """A long narrow passage."""
    shell = _shell(draws, aside=(0.6, 1.5), back=(1.0, 4.0), front=(6.0, 20.0), height=(2.1, 3.4), roofed=0.9)
    return _place(kit, draws, shell, _furnished(kit, draws, shell, PASSAGE, walled=0.97, amid=1, hung=6))


def hall(kit: Kit, draws: Draws, fov: Tensor) -> Place:
    """A large high space with columns."""
    shell = _shell(draws, aside=(3.0, 8.0), back=(2.0, 5.0), front=(7.0, 18.0), height=(3.0, 6.5), roofed=0.8)
    things = _furnished(kit, draws, shell, STORE, walled=0.85, amid=7, hung=2)
    return _place(kit, draws, shell, [*things, _columns(kit, draws, shell)])


def tabletop(kit: Kit, draws: Draws, fov: Tensor) -> Place:
    """Small things on a table, near, with a room behind."""
    shell = _shell(draws, aside=(1.0, 3.0), back=(0.7, 2.0), front=(2.2, 5.0), height=(2.1, 3.0), roofed=0.95)
    above = draws.uniform(low=0.14, high=0.45)
    shell = shell._replace(ground=above + draws.uniform(low=0.5, high=0.9))
    solids = _walls(kit, draws, shell, walled=0.9)
    deep = draws.uniform(low=0.35, high=0.8)
    top = vector(draws.signed() * 0.1, above + 0.02, deep + 0.35)[:, None]
    half = vector(draws.uniform(low=0.5, high=1.2), 0.02, deep)[:, None]
    solids.append(structure(kit, draws, top, half, ("timber", "timber", "marble", "fabric", "paint", "ornament")))
    n = 8
    distance = draws.spread(n, low=0.55, high=1.3)
    x = distance * torch.tan(0.5 * fov)[:, None].clamp(max=0.9) * draws.uniform(n, low=-0.9, high=0.9)
    at, size = vector(x, above[:, None], distance), draws.uniform(n, low=0.5, high=1.0)
    solids.append(stand(kit, draws, SMALL, at, draws.signed(n) * 3, first=0, size=size))
    at, yaw = _along_walls(draws, shell, draws.uniform(OBJECTS - n, low=0.05, high=0.5))
    solids.append(stand(kit, draws, (*FURNITURE, "picture"), at, yaw, first=n))
    return Place(filled(solids), shell.ground, floor_of(kit, draws, FLOORS), shell.height * shell.roofed)


Range = tuple[float, float]


def _shell(draws: Draws, *, aside: Range, back: Range, front: Range, height: Range, roofed: float) -> _Shell:
    left, right, behind, ahead, high = (
        draws.uniform(low=low, high=high) for low, high in (aside, aside, back, front, height)
    )
    ground = torch.minimum(draws.uniform(low=0.9, high=1.75), 0.7 * high)
    return _Shell(left, right, behind, ahead, high, ground, draws.chance(of=roofed))


def _place(kit: Kit, draws: Draws, shell: _Shell, solids: list[Solids]) -> Place:
    """The room, seen from a camera that does not face its end squarely."""
    seen = turned(filled(solids), 0.35 * draws.signed())
    return Place(seen, shell.ground, floor_of(kit, draws, FLOORS), shell.height * shell.roofed)


def _walls(kit: Kit, draws: Draws, shell: _Shell, *, walled: float) -> list[Solids]:
    """Four walls with an opening each, some absent, and a ceiling: 17 solids."""
    look = pick_look(WALLS, draws, 4)
    look = torch.where(draws.chance(1, of=0.7), look[:, :1], look)
    parts = []
    for i, along in enumerate(shell[:4]):
        ends = (shell.back, shell.front) if i < 2 else (shell.left, shell.right)
        center, half = _wall_with_opening(draws, ends, shell)
        half = half * draws.chance(1, 1, of=walled)
        distance = (along + 0.1)[:, None] * (-1.0 if i in (0, 2) else 1.0)
        u, y = center[..., 0], center[..., 1]
        center = vector(distance, y, u) if i < 2 else vector(u, y, distance)
        half = half[..., (2, 1, 0)] if i < 2 else half
        parts.append(structure(kit, draws, center, half, look[:, i, None].expand(-1, 4)))
    return [*parts, _ceiling(kit, draws, shell)]


def _wall_with_opening(draws: Draws, ends: tuple[Tensor, Tensor], shell: _Shell) -> tuple[Tensor, Tensor]:
    """Left of, right of, below and above a door or window in a wall along u: centres (u, y, 0) and halves [B, 4, 3]."""
    start, stop = -ends[0] - 0.2, ends[1] + 0.2
    middle = torch.lerp(start, stop, draws.uniform(low=0.2, high=0.8))
    wide = draws.uniform(low=0.35, high=1.3) * draws.chance(of=0.6) / 2 * ((stop - start) / 3).clamp(max=1)
    sill = draws.uniform(low=0.6, high=1.1) * draws.chance(of=0.6)
    top = torch.minimum(draws.uniform(low=1.8, high=2.3), shell.height - 0.05)
    zero, height, left, right = torch.zeros_like(top), shell.height, middle - wide, middle + wide
    u_from, u_to = torch.stack([start, right, left, left], -1), torch.stack([left, stop, right, right], -1)
    low, high = torch.stack([zero, zero, zero, top], -1), torch.stack([height, height, sill, height], -1)
    center = vector((u_from + u_to) / 2, shell.ground[:, None] - (low + high) / 2, 0.0)
    return center, vector((u_to - u_from) / 2, (high - low) / 2, 0.1)


def _ceiling(kit: Kit, draws: Draws, shell: _Shell) -> Solids:
    half = vector((shell.left + shell.right) / 2 + 0.2, 0.1, (shell.back + shell.front) / 2 + 0.2)
    middle = vector((shell.right - shell.left) / 2, shell.ground - shell.height - 0.1, (shell.front - shell.back) / 2)
    return structure(kit, draws, middle[:, None], (half * shell.roofed[:, None])[:, None], CEILINGS)


def _rug(kit: Kit, draws: Draws, shell: _Shell) -> Solids:
    at = vector(draws.signed() * 0.5, shell.ground, draws.uniform(low=1, high=3))[:, None]
    half = vector(draws.uniform(low=0.5, high=1.4), 0.01, draws.uniform(low=0.5, high=1.2))[:, None]
    half = half * draws.chance(1, 1, of=0.4)
    return structure(kit, draws, at, half, ("ornament", "fabric"), yaw=0.4 * draws.signed(1))


def _columns(kit: Kit, draws: Draws, shell: _Shell) -> Solids:
    """Two rows of columns."""
    n = COLUMNS_OF_HALL
    size = draws.uniform(1, low=0.12, high=0.4)
    x = torch.tensor([-1.0, 1.0]).repeat(n // 2) * draws.uniform(1, low=1.2, high=3.5)
    z = torch.arange(n // 2).repeat_interleave(2) * draws.uniform(1, low=2, high=4.5) + 1.5
    half = vector(size, shell.height[:, None] / 2, size).expand(-1, n, -1) * draws.chance(1, 1, of=0.7)
    center = vector(x, (shell.ground - shell.height / 2)[:, None], z)
    materials = ("concrete", "plaster", "marble", "timber", "metal")
    return structure(kit, draws, center, half, materials, profile=CYLINDER)


def _along_walls(draws: Draws, shell: _Shell, gap: Tensor) -> tuple[Tensor, Tensor]:
    """Places [B, n, 3] at `gap` [B, n] from a wall, most ahead, and the yaw of what stands there and faces in."""
    n = gap.shape[1]
    side = torch.tensor([0, 1, 3, 0, 1, 3, 3, 2])[draws.whole(n, below=8)]
    t = draws.uniform(n, low=0.05, high=0.95)
    left, right, back, front = (s[:, None] for s in shell[:4])
    on_x, on_z = torch.lerp(-left, right, t), torch.lerp(-back * 0.4, front, t)
    x = torch.where(side == 0, -left + gap, torch.where(side == 1, right - gap, on_x))
    z = torch.where(side == 3, front - gap, torch.where(side == 2, -back + gap, on_z))
    yaw = torch.tensor([math.pi / 2, -math.pi / 2, 0.0, math.pi])[side]
    return vector(x, shell.ground[:, None], z), yaw


def _furnished(
    kit: Kit, draws: Draws, shell: _Shell, kinds: tuple[str, ...], *, walled: float, amid: int, hung: int
) -> list[Solids]:
    """A room's walls, a rug, things along the walls, `amid` in the middle and `hung` pictures."""
    solids = [*_walls(kit, draws, shell, walled=walled), _rug(kit, draws, shell)]
    n = OBJECTS - amid - hung
    at, yaw = _along_walls(draws, shell, draws.uniform(n, low=0.3, high=0.6))
    solids.append(stand(kit, draws, kinds, at, yaw + 0.1 * draws.signed(n), first=0))
    x = torch.lerp(-shell.left[:, None], shell.right[:, None], draws.uniform(amid, low=0.2, high=0.8))
    z = 1 + (shell.front[:, None] - 1) * draws.uniform(amid, low=0.1, high=0.8)
    at = vector(x, shell.ground[:, None], z)
    solids.append(stand(kit, draws, kinds, at, draws.signed(amid) * 3, first=n))
    at, yaw = _along_walls(draws, shell, torch.full((len(draws), hung), 0.02))
    return [*solids, stand(kit, draws, ("picture",), at, yaw, first=n + amid)]

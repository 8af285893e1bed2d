"""Places under the sky: open ground, a wood, a street, a yard."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .draws import Draws
from .setting import OBJECTS, Kit, Place, around, filled, floor_of, shifted, stand, structure, turned, vector
from .solids import BALL, Solids

WILD = ("rock", "rock", "bush", "bush", "fern", "log", "tree", "conifer", "rubble", "trunk")
RURAL = (*WILD, "house", "fence", "wall", "tent", "tower", "person", "car", "bench", "hedge", "arch", "sign")
WOODED = ("trunk", "trunk", "trunk", "tree", "conifer", "fern", "bush", "rock", "log")
ROADSIDE = ("car", "car", "car", "lamp post", "tree", "sign", "street clutter", "person", "person", "bench", "hedge",
            "crates")  # fmt: skip
COURT = ("arch", "pillar", "statue", "stairs", "rock", "rubble", "potted", "bush", "tree", "barrels", "crates", "bench",
         "wall", "wall", "table", "chair", "person", "hedge", "fern")  # fmt: skip


def field(kit: Kit, draws: Draws, fov: Tensor) -> Place:
    """Open ground with hills, rocks, plants and a few things made by people."""
    ground = draws.spread(low=0.5, high=2.2)
    hills = around(draws, 4, fov, ground, near=14, far=90)
    height = draws.spread(4, low=0.3, high=5.0)
    wide = draws.spread(4, 2, low=5, high=12) * draws.uniform(4, 1, low=0.5, high=1.0)
    half = vector(wide[..., 0], height, wide[..., 1])
    mounds = structure(kit, draws, hills, half, ("grass", "soil", "sand", "foliage", "litter"), profile=BALL)
    at = around(draws, OBJECTS, fov, ground, near=1.8, far=22)
    things = stand(kit, draws, RURAL, at, draws.signed(OBJECTS) * 3, first=0)
    covers = ("grass", "grass", "soil", "sand", "gravel", "litter", "asphalt")
    floor = floor_of(kit, draws, covers, ("soil", "grass", "gravel"))
    return Place(filled([mounds, things]), ground, floor, torch.zeros_like(ground))


def wood(kit: Kit, draws: Draws, fov: Tensor) -> Place:
    """Among trees."""
    ground = draws.spread(low=0.5, high=1.9)
    at = around(draws, OBJECTS, fov, ground, near=1.6, far=14)
    things = stand(kit, draws, WOODED, at, draws.signed(OBJECTS) * 3, first=0)
    floor = floor_of(kit, draws, ("litter", "soil", "grass", "grass"), ("litter", "soil"))
    return Place(filled([things]), ground, floor, torch.zeros_like(ground))


def street(kit: Kit, draws: Draws, fov: Tensor) -> Place:
    """A road between two rows of buildings."""
    ground = draws.uniform(low=1.2, high=2.0)
    road, walk = draws.uniform(low=1.8, high=5.0), draws.uniform(low=1.0, high=3.0)
    side = torch.tensor([-1.0, 1.0])
    kerb = vector(side * (road + walk / 2)[:, None], (ground - 0.06)[:, None], 20.0)
    kerb_half = vector(walk[:, None] / 2, 0.07, torch.full((2,), 60.0))
    paths = structure(kit, draws, kerb, kerb_half, ("paving", "concrete", "tiles"))
    houses = _rows_of_houses(kit, draws, ground, road + walk)
    n = OBJECTS
    across = torch.where(draws.chance(n, of=0.5), -1.0, 1.0) * (road[:, None] + draws.uniform(n, low=-1.3, high=1.6))
    at = vector(across, ground[:, None], draws.spread(n, low=2.5, high=32))
    things = stand(kit, draws, ROADSIDE, at, 0.12 * draws.signed(n) + math.pi * draws.whole(n, below=2), first=0)
    aside = vector(draws.uniform(low=-0.6, high=0.6) * (road + 0.5 * walk), 0.0, 0.0)
    solids = turned(shifted(filled([paths, *houses, things]), aside), 0.3 * draws.signed())
    floor = floor_of(kit, draws, ("asphalt", "asphalt", "paving", "concrete"))
    return Place(solids, ground, floor, torch.zeros_like(ground))


def _rows_of_houses(kit: Kit, draws: Draws, ground: Tensor, aside: Tensor) -> list[Solids]:
    """Five buildings a side and one that ends the street."""
    n = 10
    side = torch.tensor([-1.0, 1.0]).repeat_interleave(5)
    long = draws.uniform(n, low=2.5, high=6.0)
    z = torch.cat([(2 * part).cumsum(1) - part for part in (long[:, :5], long[:, 5:])], 1) - 7
    height, deep = draws.spread(n, low=2.6, high=14) / 2, draws.uniform(n, low=3, high=5)
    x = side * (aside[:, None] + deep + draws.uniform(n, low=0, high=1.2))
    half = vector(deep, height, long * draws.uniform(n, low=0.8, high=1.0)) * ~draws.chance(n, 1, of=0.15)
    fronts = ("facade", "facade", "facade", "brick", "plaster", "concrete")
    rows = structure(kit, draws, vector(x, ground[:, None] - height, z), half, fronts)
    end = vector(draws.signed() * 3, ground - 3, draws.uniform(low=28, high=60))[:, None]
    far = structure(kit, draws, end, draws.uniform(1, 3, low=3, high=9), ("facade", "brick", "foliage"))
    return [rows, far]


def yard(kit: Kit, draws: Draws, fov: Tensor) -> Place:
    """Walls of any height, some with gaps, around a court with things in it."""
    ground = draws.spread(low=0.7, high=2.0)
    n = 7
    angle = (torch.arange(n) - 3.0) * 0.75 + 0.25 * draws.signed(n)
    distance = draws.spread(n, low=4.0, high=13)
    height = draws.spread(n, low=0.5, high=6.0) / 2
    center = vector(distance * torch.sin(angle), ground[:, None] - height, distance * torch.cos(angle))
    half = vector(distance * draws.uniform(n, low=0.2, high=0.6), height, draws.uniform(n, low=0.1, high=0.4))
    faces = ("brick", "masonry", "plaster", "concrete", "timber", "paint", "facade")
    walls = structure(kit, draws, center, half, faces, yaw=angle + 0.3 * draws.signed(n))
    at = around(draws, OBJECTS, fov, ground, near=1.5, far=9)
    things = stand(kit, draws, COURT, at, draws.signed(OBJECTS) * 3, first=0)
    covers = ("paving", "gravel", "soil", "tiles", "concrete", "grass", "timber")
    floor = floor_of(kit, draws, covers, ("grass", "soil", "gravel"))
    return Place(filled([walls, things]), ground, floor, torch.zeros_like(ground))

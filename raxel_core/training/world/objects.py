"""Things in places: rocks, plants, furniture, buildings, street furniture, each a compound of a few convex solids.

Every maker draws its proportions anew, so that two seeds give two chairs; a bank holds so many of each for one split.
Lengths are metres; an object stands on the ground around its origin, and heights are given upward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from random import Random

import torch
from torch import Tensor

from .solids import BALL, BOX, CONE, CYLINDER, FRUSTUM, PEBBLE, PROFILES

PARTS = 12
SLOTS = 3  # materials that an object has at most

Vector = tuple[float, float, float]
Matrix = list[list[float]]


@dataclass(frozen=True)
class Part:
    """One solid of an object: profile, centre (x, up, z), half axes as columns of a matrix, slot of its material."""

    profile: int
    center: Vector
    axes: Matrix
    slot: int


def turned(half: Vector, pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0) -> Matrix:
    """Half axes of a box turned about its own x, then z, then the vertical, radians."""
    cx, sx, cy, sy, cz, sz = (f(a) for a in (pitch, yaw, roll) for f in (math.cos, math.sin))
    tilt = [[cz, -sz * cx, sz * sx], [sz, cz * cx, -cz * sx], [0.0, sx, cx]]
    turn = [[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]]
    return [[sum(turn[i][k] * tilt[k][j] for k in range(3)) * half[j] for j in range(3)] for i in range(3)]


def part(
    profile: int,
    center: Vector,
    half: Vector,
    slot: int = 0,
    *,
    pitch: float = 0.0,
    yaw: float = 0.0,
    roll: float = 0.0,
) -> Part:
    """A turned solid."""
    return Part(profile, center, turned(half, pitch, yaw, roll), slot)


def box(x: float, low: float, z: float, half: Vector, slot: int = 0, yaw: float = 0.0) -> Part:
    """A box whose underside is at height `low`."""
    return part(BOX, (x, low + half[1], z), half, slot, yaw=yaw)


def post(x: float, low: float, z: float, radius: float, height: float, slot: int = 0, profile: int = CYLINDER) -> Part:
    """An upright round solid whose foot is at height `low`."""
    return part(profile, (x, low + height / 2, z), (radius, height / 2, radius), slot)


def gable(x: float, low: float, z: float, half: Vector, slot: int = 0) -> Part:
    """A pitched roof with its ridge along z, `half[1]` high: the upper half of a diamond sunk into what it covers."""
    w, h, d = half
    return Part(BOX, (x, low, z), [[w / 2, w / 2, 0.0], [h / 2, -h / 2, 0.0], [0.0, 0.0, d]], slot)


# ------------------------------------------------------------------------------------------------ nature


def _rock(r: Random) -> list[Part]:
    size = math.exp(r.uniform(-1.6, 0.3))
    return [
        _stone(r, size * (1 if i == 0 else r.uniform(0.3, 0.8)), 0.9 * size * (i > 0)) for i in range(r.randint(1, 4))
    ]


def _rubble(r: Random) -> list[Part]:
    return [_stone(r, r.uniform(0.08, 0.4), 1.0) for _ in range(r.randint(6, 11))]


def _stone(r: Random, size: float, reach: float) -> Part:
    half = (size * r.uniform(0.5, 1), size * r.uniform(0.3, 0.8), size * r.uniform(0.5, 1))
    at = (r.uniform(-reach, reach), half[1] * r.uniform(0.2, 0.8), r.uniform(-reach, reach))
    kind = r.choice([PEBBLE, PEBBLE, PEBBLE, BALL, BOX])
    return part(kind, at, half, pitch=r.uniform(-0.7, 0.7), yaw=r.uniform(-3, 3), roll=r.uniform(-0.7, 0.7))


def _crown(r: Random, count: int, middle: float, reach: Vector, size: tuple[float, float]) -> list[Part]:
    """Foliage in balls about height `middle`."""
    parts = []
    for _ in range(count):
        angle, radius = r.uniform(0, 2 * math.pi), math.sqrt(r.random())
        at = (
            reach[0] * radius * math.cos(angle),
            middle + r.uniform(-1, 1) * reach[1],
            reach[2] * radius * math.sin(angle),
        )
        s = r.uniform(*size)
        half = (s * r.uniform(0.8, 1.2), s * r.uniform(0.6, 1.0), s * r.uniform(0.8, 1.2))
        parts.append(part(r.choice([BALL, BALL, PEBBLE]), at, half, 1, roll=r.uniform(-0.5, 0.5), yaw=r.uniform(-3, 3)))
    return parts


def _bush(r: Random) -> list[Part]:
    s = r.uniform(0.3, 0.9)
    return _crown(r, r.randint(5, 11), 0.55 * s, (s, 0.35 * s, s), (0.35 * s, 0.6 * s))


def _hedge(r: Random) -> list[Part]:
    length, height = r.uniform(0.8, 3.0), r.uniform(0.5, 1.4)
    tops = [part(PEBBLE, (r.uniform(-1, 1) * length, height, 0), (0.5, 0.16, 0.4), 1) for _ in range(6)]
    return [box(0, 0, 0, (length, height / 2, 0.35), 1), *tops]


def _tree(r: Random) -> list[Part]:
    height, thick = r.uniform(2.6, 8.0), r.uniform(0.10, 0.32)
    spread = height * r.uniform(0.2, 0.34)
    trunk = [post(0, 0, 0, thick, height * 0.7, 0, FRUSTUM)]
    for _ in range(r.randint(0, 2)):
        lean, turn = r.uniform(0.4, 0.9), r.uniform(-3, 3)
        at = (0.25 * spread * math.cos(turn), height * 0.55, -0.25 * spread * math.sin(turn))
        trunk.append(part(CYLINDER, at, (thick * 0.4, height * 0.16, thick * 0.4), 0, roll=-lean, yaw=turn))
    return trunk + _crown(r, 9, height * 0.76, (spread, 0.2 * height, spread), (0.4 * spread, 0.65 * spread))


def _conifer(r: Random) -> list[Part]:
    height, layers = r.uniform(2.5, 9.0), r.randint(3, 6)
    width = height * r.uniform(0.14, 0.26)
    parts = [post(0, 0, 0, 0.03 * height, 0.5 * height, 0)]
    for i in range(layers):
        low = height * (0.12 + 0.7 * i / layers)
        parts.append(post(0, low, 0, width * (1 - 0.75 * i / layers), (height - low) * r.uniform(0.55, 0.8), 1, CONE))
    return parts


def _trunk(r: Random) -> list[Part]:
    """A tall bare stem, as one sees of trees in a wood."""
    thick, height = r.uniform(0.08, 0.4), r.uniform(5, 11)
    lean = r.uniform(-0.08, 0.08)
    stem = part(FRUSTUM, (0, height / 2, 0), (thick, height / 2, thick), 0, roll=lean, pitch=r.uniform(-0.08, 0.08))
    root = post(0, 0, 0, thick * 1.7, 0.5, 0, CONE)
    return [stem, root, *_crown(r, 5, height * 0.95, (1.6, 1.0, 1.6), (0.7, 1.4))]


def _fern(r: Random) -> list[Part]:
    """Long leaves from one place."""
    length, parts = r.uniform(0.2, 0.7), []
    for i in range(r.randint(7, 12)):
        lean, turn = r.uniform(0.2, 1.1), i * 2.4 + r.uniform(-0.3, 0.3)
        out = 0.5 * length * math.sin(lean)
        at = (out * math.cos(turn), 0.5 * length * math.cos(lean), -out * math.sin(turn))
        parts.append(part(BALL, at, (0.07 * length, 0.55 * length, 0.2 * length), 1, roll=-lean, yaw=turn))
    return parts


def _log(r: Random) -> list[Part]:
    thick, length = r.uniform(0.1, 0.35), r.uniform(0.5, 2.0)
    lying = part(CYLINDER, (0, thick, 0), (thick, length, thick), 0, pitch=math.pi / 2)
    return [lying, post(thick * 3, 0, 0.3, thick * 1.2, r.uniform(0.2, 0.6), 0, FRUSTUM)]


def _potted(r: Random) -> list[Part]:
    size = r.uniform(0.12, 0.28)
    pot = part(FRUSTUM, (0, size * 0.9, 0), (size, -size * 0.9, size), 0)
    leaves = [
        Part(p.profile, (p.center[0], p.center[1] + 1.6 * size, p.center[2]), p.axes, 1)
        for p in (_fern(r) if r.random() < 0.5 else _bush(r))[:11]
    ]
    return [pot, *leaves]


# ------------------------------------------------------------------------------------------------ furniture


def _legs(x: float, z: float, height: float, thick: float) -> list[Part]:
    return [box(sx * x, 0, sz * z, (thick, height / 2, thick), 0) for sx in (-1, 1) for sz in (-1, 1)]


def _things(r: Random, count: int, reach: float, top: float) -> list[Part]:
    """Small things upon something."""
    parts = []
    for _ in range(count):
        x, z, s = r.uniform(-reach, reach), r.uniform(-reach, reach) * 0.5, r.uniform(0.03, 0.12)
        kind = r.choice([BOX, BOX, CYLINDER, BALL, FRUSTUM, CONE])
        half = (s * r.uniform(0.6, 1.4), s * r.uniform(0.5, 1.8), s * r.uniform(0.6, 1.4))
        if kind != BOX:
            half = (half[0], half[1], half[0])
        parts.append(part(kind, (x, top + half[1], z), half, 2, yaw=r.uniform(-3, 3)))
    return parts


def _table(r: Random) -> list[Part]:
    w, d, h, t = r.uniform(0.4, 1.0), r.uniform(0.3, 0.55), r.uniform(0.4, 0.8), r.uniform(0.02, 0.05)
    legs = _legs(w * 0.9, d * 0.88, h, t) if r.random() < 0.7 else [post(0, 0, 0, 0.06, h), post(0, 0, 0, 0.3, 0.04)]
    top = box(0, h, 0, (w, t * 0.7, d)) if r.random() < 0.75 else post(0, h, 0, w * 0.8, 1.4 * t)
    return [top, *legs, *_things(r, r.randint(1, 6), w * 0.8, h + 1.4 * t)]


def _chair(r: Random) -> list[Part]:
    w, h, t = r.uniform(0.19, 0.27), r.uniform(0.38, 0.5), r.uniform(0.015, 0.035)
    back = r.uniform(0.25, 0.55)
    bars = [box(0, h + back * f, -w, (w, 0.05, t)) for f in (0.35, 0.8)]
    panel = [part(BOX, (0, h + back / 2 + 0.05, -w), (w, back / 2, t), 1, pitch=r.uniform(-0.2, 0.0))]
    stiles = [box(s * w, h, -w, (t, back / 2 + 0.03, t)) for s in (-1, 1)]
    return [box(0, h, 0, (w, 0.03, w), 1), *_legs(w * 0.9, w * 0.9, h, t), *(r.choice([bars, panel])), *stiles]


def _stool(r: Random) -> list[Part]:
    h, w = r.uniform(0.4, 0.75), r.uniform(0.14, 0.22)
    return [post(0, h, 0, w, 0.05, 1), *_legs(w * 0.75, w * 0.75, h, 0.018)]


def _sofa(r: Random) -> list[Part]:
    w, d, h, arm = r.uniform(0.4, 1.1), r.uniform(0.38, 0.5), r.uniform(0.3, 0.45), r.uniform(0.08, 0.15)
    arms = [box(s * (w + arm), 0, 0, (arm, h * 0.75, d), 0) for s in (-1, 1)]
    back = part(BOX, (0, h + 0.25, -d * 0.85), (w, 0.28, 0.1), 0, pitch=-0.12)
    seats = [part(PEBBLE, (s * w / 2, h + 0.03, 0.05), (w * 0.52, 0.11, d * 0.9), 1) for s in (-1, 1)]
    cushions = [part(PEBBLE, (r.uniform(-w, w) * 0.8, h + 0.25, -0.2), (0.2, 0.19, 0.07), 2, pitch=-0.4) for _ in "ab"]
    return [box(0, 0.06, 0, (w, h / 2, d), 0), *arms, back, *seats, *cushions]


def _bed(r: Random) -> list[Part]:
    w, h = r.uniform(0.45, 0.9), r.uniform(0.25, 0.5)
    pillows = [part(PEBBLE, (s * w * 0.5, h + 0.28, -0.75), (w * 0.4, 0.09, 0.2), 2) for s in (-1, 1)]
    blanket = part(PEBBLE, (0, h + 0.14, 0.3), (w * 1.06, 0.16, 0.75), 1)
    return [box(0, 0, 0, (w, h / 2, 1.0)), box(0, h, 0, (w, 0.1, 0.98), 2), blanket, *pillows,
            box(0, 0, -1.02, (w, h / 2 + r.uniform(0.2, 0.5), 0.04))]  # fmt: skip


def _shelf(r: Random) -> list[Part]:
    w, h, d, boards = r.uniform(0.3, 0.8), r.uniform(0.6, 2.1), r.uniform(0.12, 0.2), r.randint(2, 4)
    sides = [box(s * w, 0, 0, (0.02, h / 2, d)) for s in (-1, 1)]
    levels = [box(0, h * i / boards, 0, (w, 0.015, d)) for i in range(boards + 1)]
    filled = [i for i in range(boards) if r.random() < 0.85]
    tall = h / boards * 0.38
    rows = [
        box(r.uniform(-0.1, 0.1), h * i / boards + 0.03, 0, (w * r.uniform(0.5, 0.85), tall, d * 0.8), 1)
        for i in filled
    ]
    return [*sides, *levels, *rows]


def _cabinet(r: Random) -> list[Part]:
    w, h, d = r.uniform(0.25, 0.8), r.uniform(0.4, 2.1), r.uniform(0.2, 0.32)
    doors = [box(s * w / 2, 0.06, d, (w * 0.47, h * 0.45, 0.012), 1) for s in (-1, 1)]
    knobs = [part(BALL, (s * w * 0.12, h * 0.5, d + 0.03), (0.025, 0.025, 0.025), 2) for s in (-1, 1)]
    return [box(0, 0, 0, (w, h / 2, d)), *doors, *knobs, *_things(r, r.randint(0, 4), w * 0.8, h)]


def _lamp(r: Random) -> list[Part]:
    h, s = r.uniform(0.35, 1.7), r.uniform(0.1, 0.25)
    return [post(0, 0, 0, s, 0.04), post(0, 0, 0, 0.015, h), part(FRUSTUM, (0, h, 0), (s, s * 0.8, s), 1)]


def _screen(r: Random) -> list[Part]:
    w = r.uniform(0.2, 0.65)
    return [box(0, 0, 0, (w * 0.4, 0.02, 0.12)), box(0, 0, 0, (0.03, w * 0.35, 0.03)),
            box(0, w * 0.3, 0, (w, w * 0.58, 0.03)),
            box(0, w * 0.33, 0.012, (w * 0.95, w * 0.53, 0.03), 1)]  # fmt: skip


def _bottles(r: Random) -> list[Part]:
    parts = []
    for _ in range(r.randint(2, 4)):
        x, z, s, h = r.uniform(-0.25, 0.25), r.uniform(-0.15, 0.15), r.uniform(0.03, 0.06), r.uniform(0.1, 0.25)
        slot = r.randint(0, 2)
        parts += [
            post(x, 0, z, s, h, slot),
            part(BALL, (x, h, z), (s, s * 0.8, s), slot),
            post(x, h, z, s * 0.35, s * 3, slot),
        ]
    return parts


def _crockery(r: Random) -> list[Part]:
    parts = []
    for _ in range(r.randint(3, 6)):
        x, z, s = r.uniform(-0.3, 0.3), r.uniform(-0.2, 0.2), r.uniform(0.04, 0.12)
        parts.append(r.choice([
            part(FRUSTUM, (x, s * 0.4, z), (s, -s * 0.4, s), 0), post(x, 0, z, s * 1.3, 0.015, 1),
            post(x, 0, z, s * 0.5, s * 1.3, 2), part(BALL, (x, s * 0.6, z), (s * 0.6, s * 0.6, s * 0.6), 2),
        ]))  # fmt: skip
    return parts


def _pile_of_books(r: Random) -> list[Part]:
    parts, top = [], 0.0
    for i in range(r.randint(3, 9)):
        thick = r.uniform(0.01, 0.03)
        half = (r.uniform(0.07, 0.13), thick, r.uniform(0.1, 0.17))
        parts.append(box(r.uniform(-0.02, 0.02), top, r.uniform(-0.02, 0.02), half, i % 3, yaw=r.uniform(-0.4, 0.4)))
        top += 2 * thick
    return parts


def _crates(r: Random) -> list[Part]:
    parts, s = [], r.uniform(0.12, 0.4)
    for i in range(r.randint(2, 7)):
        x, low = (i % 3 - 1) * 2.1 * s, 2 * s * (i // 3)
        half = (s * r.uniform(0.8, 1), s, s * r.uniform(0.8, 1))
        parts.append(
            box(x + r.uniform(-0.2, 0.2) * s, low, 0.3 * s * r.uniform(-1, 1), half, i % 2, yaw=r.uniform(-0.3, 0.3))
        )
    return parts


def _barrels(r: Random) -> list[Part]:
    parts, s = [], r.uniform(0.15, 0.3)
    for i in range(r.randint(1, 3)):
        x, z, h = i * 2.2 * s, r.uniform(-s, s), s * r.uniform(2.2, 3.2)
        parts += [post(x, 0, z, s, h), post(x, h * 0.3, z, s * 1.04, 0.04, 1), post(x, h * 0.7, z, s * 1.04, 0.04, 1)]
    return parts


def _toys(r: Random) -> list[Part]:
    return _things(r, 8, 0.4, 0.0)


def _curtain(r: Random) -> list[Part]:
    h, folds = r.uniform(1.6, 2.4), 8
    rail = part(CYLINDER, (0, h, 0), (0.02, 0.75, 0.02), 1, roll=math.pi / 2)
    return [rail, *(post(0.16 * (i - folds / 2), 0.05, r.uniform(-0.03, 0.03), 0.09, h, 0) for i in range(folds))]


def _picture(r: Random) -> list[Part]:
    """A framed picture, poster or sign whose back is at z = 0 and whose middle is 1.4 m high."""
    w, h = r.uniform(0.15, 0.8), r.uniform(0.15, 0.6)
    frame = [part(BOX, (0, 1.4, 0), (w + 0.04, h + 0.04, 0.02), 1)] if r.random() < 0.6 else []
    return [part(BOX, (0, 1.4, 0.012), (w, h, 0.02), 0), *frame]


# ------------------------------------------------------------------------------------------------ outdoors, made


def _pillar(r: Random) -> list[Part]:
    s, h = r.uniform(0.15, 0.4), r.uniform(0.8, 3.6)
    shaft = post(0, 0, 0, s, h, 0, r.choice([CYLINDER, FRUSTUM])) if r.random() < 0.7 else box(0, 0, 0, (s, h / 2, s))
    return [shaft, box(0, 0, 0, (s * 1.4, 0.1, s * 1.4), 1), box(0, h, 0, (s * 1.35, 0.08, s * 1.35), 1)]


def _arch(r: Random) -> list[Part]:
    """Two piers and a ring of stones."""
    span, pier, rise = r.uniform(0.6, 1.6), r.uniform(0.15, 0.4), r.uniform(1.0, 2.4)
    deep, stones = r.uniform(0.15, 0.5), 8
    parts = [box(s * (span + pier), 0, 0, (pier, rise / 2, deep), 0) for s in (-1, 1)]
    for i in range(stones):
        angle = math.pi * (i + 0.5) / stones
        at = ((span + pier) * math.cos(angle), rise + (span + pier) * math.sin(angle), 0.0)
        width = 1.06 * (span + 2 * pier) * math.tan(math.pi / 2 / stones)
        parts.append(part(BOX, at, (pier, width, deep), i % 2, roll=angle))
    return parts


def _statue(r: Random) -> list[Part]:
    h, s = r.uniform(0.5, 1.4), r.uniform(0.25, 0.4)
    body = [
        part(BALL, (0, h + s * k, 0), (s * w, s * 0.8, s * w * 0.7), 1)
        for k, w in ((0.5, 0.6), (1.4, 0.75), (2.2, 0.5))
    ]
    return [box(0, 0, 0, (s, h / 2, s)), *body, part(BALL, (0, h + 3 * s, 0), (s * 0.32, s * 0.42, s * 0.36), 1)]


def _person(r: Random) -> list[Part]:
    h, step = r.uniform(1.5, 1.9), r.uniform(0.0, 0.25)
    legs = [part(FRUSTUM, (s * 0.09, h * 0.24, s * step), (0.08, -h * 0.25, 0.09), 0, pitch=s * step) for s in (-1, 1)]
    arms = [part(BALL, (s * 0.25, h * 0.62, -s * step), (0.06, h * 0.18, 0.07), 1, roll=-s * 0.15) for s in (-1, 1)]
    return [*legs, *arms, part(PEBBLE, (0, h * 0.66, 0), (0.21, h * 0.18, 0.14), 1),
            part(BALL, (0, h * 0.92, 0), (0.1, 0.14, 0.12), 2)]  # fmt: skip


def _bench(r: Random) -> list[Part]:
    w = r.uniform(0.5, 0.9)
    slats = [box(0, 0.42, z, (w, 0.02, 0.055)) for z in (-0.14, 0.0, 0.14)]
    back = [part(BOX, (0, 0.6 + 0.15 * i, -0.24), (w, 0.05, 0.015), 0, pitch=-0.15) for i in range(2)]
    return [*slats, *back, *(box(s * w * 0.8, 0, -0.05, (0.03, 0.22, 0.18), 1) for s in (-1, 1))]


def _lamp_post(r: Random) -> list[Part]:
    h, arm = r.uniform(2.5, 5.5), r.uniform(0.0, 0.9)
    return [post(0, 0, 0, 0.05, h), post(0, 0, 0, 0.1, 0.5), box(arm / 2, h - 0.05, 0, (arm / 2 + 0.03, 0.03, 0.03)),
            part(PEBBLE, (arm, h - 0.08, 0), (0.2, 0.1, 0.12), 1)]  # fmt: skip


def _sign(r: Random) -> list[Part]:
    h, w = r.uniform(1.2, 2.8), r.uniform(0.2, 0.7)
    board = part(BOX, (0, h, 0.04), (w, w * r.uniform(0.4, 1.1), 0.02), 1)
    return [post(-w * 0.6, 0, 0, 0.03, h), post(w * 0.6, 0, 0, 0.03, h), board]


def _street_clutter(r: Random) -> list[Part]:
    """A bin, bollards and cones."""
    wide, high, apart = r.uniform(0.2, 0.32), r.uniform(0.7, 1.1), r.uniform(0.6, 1.2)
    bin_ = [post(0, 0, 0, wide, high, 0), post(0, high, 0, wide * 1.12, 0.08, 1)]
    cones = [
        post(r.uniform(-1.5, 1.5), 0, r.uniform(-0.5, 0.5), 0.15, r.uniform(0.3, 0.7), 2, CONE)
        for _ in range(r.randint(0, 3))
    ]
    bollards = [post(0.8 + i * apart, 0, 0.2, 0.28 * wide, 0.9 * high, 1) for i in range(r.randint(0, 4))]
    return [*bin_, *cones, *bollards]


def _car(r: Random) -> list[Part]:
    length, w, h = r.uniform(1.7, 2.4), r.uniform(0.75, 0.9), r.uniform(0.45, 0.75)
    wheels = [part(CYLINDER, (sx * w * 0.92, 0.3, sz * length * 0.62), (0.3, 0.11, 0.3), 1, roll=math.pi / 2)
              for sx in (-1, 1) for sz in (-1, 1)]  # fmt: skip
    body = part(PEBBLE, (0, 0.3 + h / 2, 0), (w, h / 2 + 0.05, length), 0)
    cabin = part(PEBBLE, (0, 0.3 + h + 0.15, -0.1), (w * 0.82, 0.36, length * r.uniform(0.45, 0.7)), 2)
    roof = part(BOX, (0, 0.3 + h + 0.42, -0.1), (w * 0.66, 0.05, length * 0.38), 0)
    lights = [part(BALL, (s * w * 0.7, 0.3 + h * 0.5, length * 0.93), (0.12, 0.09, 0.08), 1) for s in (-1, 1)]
    return [body, cabin, roof, *wheels, *lights, box(0, 0.3, 0, (w * 0.96, h * 0.3, length * 0.9), 0)]


def _fence(r: Random) -> list[Part]:
    w, h, posts = r.uniform(1.0, 2.5), r.uniform(0.6, 1.5), r.randint(4, 8)
    rails = [box(0, h * f, 0.03, (w, 0.04, 0.02)) for f in (0.35, 0.8)]
    return [*rails, *(box(-w + 2 * w * i / (posts - 1), 0, 0, (0.05, h / 2, 0.03), 0) for i in range(posts))]


def _stairs(r: Random) -> list[Part]:
    w, run, rise, steps = r.uniform(0.5, 1.6), r.uniform(0.12, 0.2), r.uniform(0.12, 0.2), r.randint(4, 10)
    return [box(0, 0, -2 * run * i, (w, rise * (i + 1) / 2, run), i % 2) for i in range(steps)]


def _wall(r: Random) -> list[Part]:
    """A piece of wall, any height, with a ragged top."""
    w, h, d = r.uniform(0.8, 3.5), math.exp(r.uniform(-0.9, 1.2)), r.uniform(0.1, 0.3)
    ragged = [
        box(r.uniform(-w, w) * 0.8, h, 0, (w * r.uniform(0.1, 0.3), h * r.uniform(0.03, 0.2), d), 0) for _ in "abc"
    ]
    coping = [box(0, h, 0, (w * 1.02, 0.04, d * 1.25), 1)]
    return [box(0, 0, 0, (w, h / 2, d)), *(r.choice([ragged, coping, []]))]


def _house(r: Random) -> list[Part]:
    w, d, h = r.uniform(2, 4.5), r.uniform(2, 5), r.uniform(2.2, 6)
    top = [gable(0, h, 0, (w * 1.12, w * r.uniform(0.5, 0.9), d * 1.08), 1)] if r.random() < 0.75 else [
        box(0, h, 0, (w * 1.05, 0.15, d * 1.05), 1)]  # fmt: skip
    door = box(r.uniform(-0.5, 0.5) * w, 0, d, (0.45, 1.0, 0.05), 2)
    return [box(0, 0, 0, (w, h / 2, d)), *top, door, box(w * 0.5, h, d * 0.3, (0.25, w * 0.5, 0.25), 0)]


def _tower(r: Random) -> list[Part]:
    s, h = r.uniform(0.8, 2.2), r.uniform(4, 11)
    body = post(0, 0, 0, s, h) if r.random() < 0.5 else box(0, 0, 0, (s, h / 2, s))
    return [body, post(0, h, 0, s * 1.25, s * r.uniform(0.6, 2), 1, CONE), post(0, h * 0.9, 0, s * 1.1, 0.2, 1)]


def _tent(r: Random) -> list[Part]:
    w, d = r.uniform(0.7, 1.8), r.uniform(0.8, 2)
    return [gable(0, 0, 0, (w, w * r.uniform(0.7, 1.2), d), 0)]


@dataclass(frozen=True)
class Kind:
    """How a kind of object is made and which materials each of its slots may have; `size` scales it."""

    make: Callable[[Random], list[Part]]
    slots: tuple[tuple[str, ...], ...]
    size: tuple[float, float] = (0.85, 1.2)


STONE = ("masonry", "concrete", "gravel", "marble", "soil", "plaster")
HARD = ("timber", "paint", "metal", "plaster", "marble")
SOFT = ("fabric", "fabric", "ornament", "paint")
ODDS = ("paint", "print", "fabric", "photo", "metal", "timber")
WALLS = ("brick", "plaster", "masonry", "concrete", "timber")
KINDS: dict[str, Kind] = {
    "rock": Kind(_rock, (("gravel", "soil", "concrete", "masonry", "marble", "sand"),), (0.5, 1.6)),
    "rubble": Kind(_rubble, (STONE,), (0.6, 1.5)),
    "bush": Kind(_bush, (("bark",), ("foliage", "foliage", "grass")), (0.6, 1.7)),
    "hedge": Kind(_hedge, (("foliage",), ("foliage", "grass"))),
    "tree": Kind(_tree, (("bark",), ("foliage",))),
    "conifer": Kind(_conifer, (("bark",), ("foliage", "grass"))),
    "trunk": Kind(_trunk, (("bark",), ("foliage",))),
    "fern": Kind(_fern, (("foliage",), ("grass", "foliage"))),
    "log": Kind(_log, (("bark", "timber"),)),
    "potted": Kind(_potted, (("paint", "plaster", "brick"), ("foliage", "grass"))),
    "table": Kind(_table, (HARD, SOFT, ODDS)),
    "chair": Kind(_chair, (HARD, SOFT)),
    "stool": Kind(_stool, (HARD, SOFT)),
    "sofa": Kind(_sofa, (SOFT, SOFT, SOFT)),
    "bed": Kind(_bed, (HARD, SOFT, SOFT)),
    "shelf": Kind(_shelf, (HARD, ("books", "books", "print", "paint"))),
    "cabinet": Kind(_cabinet, (HARD, HARD, ODDS)),
    "lamp": Kind(_lamp, (HARD, ("glow",))),
    "screen": Kind(_screen, (("paint", "metal"), ("screen",))),
    "bottles": Kind(_bottles, (("paint",), ("marble", "paint"), ("print", "metal")), (0.8, 1.5)),
    "crockery": Kind(_crockery, (("plaster", "paint"), ("paint", "ornament"), ODDS), (0.8, 1.5)),
    "books": Kind(_pile_of_books, (("print", "paint"), ("fabric", "photo"), ("paint",)), (0.8, 1.6)),
    "crates": Kind(_crates, (("timber", "print", "paint"), ("timber", "concrete"))),
    "barrels": Kind(_barrels, (("metal", "timber", "paint"), ("metal",))),
    "toys": Kind(_toys, (ODDS, ODDS, ("paint", "print", "fabric", "photo")), (0.8, 2.0)),
    "curtain": Kind(_curtain, (("fabric",), ("metal",))),
    "picture": Kind(_picture, (("photo", "print", "photo", "ornament"), ("timber", "paint", "metal"))),
    "pillar": Kind(_pillar, (STONE, STONE)),
    "arch": Kind(_arch, (WALLS, WALLS)),
    "statue": Kind(_statue, (STONE, ("marble", "plaster", "concrete", "metal"))),
    "person": Kind(_person, (("fabric",), ("fabric",), ("skin",)), (0.95, 1.05)),
    "bench": Kind(_bench, (("timber", "paint"), ("metal", "concrete"))),
    "lamp post": Kind(_lamp_post, (("metal", "paint"), ("glow", "paint"))),
    "sign": Kind(_sign, (("metal",), ("print", "photo", "print"))),
    "street clutter": Kind(_street_clutter, (("metal", "paint"), ("metal", "paint"), ("paint",))),
    "car": Kind(_car, (("paint",), ("asphalt",), ("glass",)), (0.9, 1.15)),
    "fence": Kind(_fence, (("timber", "metal", "paint"),)),
    "stairs": Kind(_stairs, (STONE, STONE)),
    "wall": Kind(_wall, (WALLS, WALLS)),
    "house": Kind(_house, (("facade", "facade", "brick", "plaster", "timber"), ("shingles",), ("timber", "paint"))),
    "tower": Kind(_tower, (WALLS, ("shingles",)), (0.7, 1.3)),
    "tent": Kind(_tent, (("fabric", "paint"),)),
}


@dataclass(frozen=True)
class ObjectBank:
    """M objects of PARTS solids each, `kinds` the objects of each kind; where one has fewer, `present` is false."""

    center: Tensor  # [M, P, 3] y down, from the foot
    axes: Tensor  # [M, P, 3, 3]
    profile: Tensor  # [M, P, 3]
    slot: Tensor  # [M, P]
    present: Tensor  # [M, P]
    size: Tensor  # [M, 2] from, to
    choices: Tensor  # [M, SLOTS] the number of its list of materials in MATERIAL_LISTS
    radius: Tensor  # [M] of a circle on the ground around it
    kinds: dict[str, range]

    def to(self, device: torch.device | str) -> ObjectBank:
        """The same on a device."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "kinds"}
        return replace(self, **moved)


MATERIAL_LISTS: list[tuple[str, ...]] = sorted({names for kind in KINDS.values() for names in kind.slots})


def object_bank(each_kind: int, seed: int) -> ObjectBank:
    """`each_kind` objects of every kind, deterministic by `seed`."""
    made: list[list[Part]] = []
    kinds, sizes, choices = {}, [], []
    for number, (name, kind) in enumerate(KINDS.items()):
        kinds[name] = range(len(made), len(made) + each_kind)
        r = Random(seed * 1013 + number)
        made += [kind.make(r)[:PARTS] for _ in range(each_kind)]
        lists = [MATERIAL_LISTS.index(names) for names in kind.slots]
        choices += [lists + lists[-1:] * (SLOTS - len(lists))] * each_kind
        sizes += [kind.size] * each_kind
    padded = [parts + [Part(BOX, (0, 0, 0), turned((1, 1, 1)), 0)] * (PARTS - len(parts)) for parts in made]
    up = torch.tensor([1.0, -1.0, 1.0])
    center = torch.tensor([[p.center for p in parts] for parts in padded]) * up
    # mirrored twice: as it stands in a world whose y points down, and with its own y down too
    axes = torch.tensor([[p.axes for p in parts] for parts in padded]) * up[:, None] * up
    present = torch.tensor([[i < len(parts) for i in range(PARTS)] for parts in made])
    reach = (center[..., (0, 2)].norm(dim=-1) + axes[..., (0, 2), :].norm(dim=-1).norm(dim=-1)) * present
    return ObjectBank(
        center, axes, torch.tensor([[PROFILES[p.profile] for p in parts] for parts in padded]),
        torch.tensor([[p.slot for p in parts] for parts in padded]), present, torch.tensor(sizes),
        torch.tensor(choices), reach.amax(1), kinds,
    )  # fmt: skip

"""What places are built with: structure (walls, hills, kerbs), things that stand somewhere, a ground.

The camera is at the origin and looks along +z. Axes: x right, y down, z ahead; metres. A place has at most STRUCTURE
solids of its own and OBJECTS things, so that places of all kinds lie in one table.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .draws import Draws
from .objects import MATERIAL_LISTS, PARTS, SLOTS, ObjectBank
from .solids import BOX, PROFILES, Solids, apply, join, lengths, product, without, yaw_rotation
from .surfaces import NAMES, Finish, pick_look

STRUCTURE = 24
OBJECTS = 14


class Place(NamedTuple):
    """B places. `ceiling` [B] is how high a lamp may hang above the ground, 0 under the open sky."""

    solids: Solids
    ground: Tensor  # [B] y of the ground
    floor: Tensor  # [B, COLUMNS] its surface
    ceiling: Tensor


class Kit(NamedTuple):
    """What places of one split are made of, on one device."""

    objects: ObjectBank
    finish: Finish


def vector(x: Tensor | float, y: Tensor | float, z: Tensor | float) -> Tensor:
    """(x, y, z) [..., 3] of numbers and tensors that broadcast."""
    return torch.stack(torch.broadcast_tensors(*(torch.as_tensor(v, dtype=torch.float32) for v in (x, y, z))), -1)


def stand(
    kit: Kit, draws: Draws, kinds: tuple[str, ...], at: Tensor, yaw: Tensor, *, first: int, size: Tensor | None = None
) -> Solids:
    """Objects of `kinds` whose feet are at `at` [B, n, 3], turned by `yaw` [B, n], numbered from `first`."""
    bank, n = kit.objects, at.shape[1]
    starts = torch.tensor([bank.kinds[kind].start for kind in kinds])
    number = starts[draws.whole(n, below=len(kinds))] + draws.whole(n, below=len(bank.kinds[kinds[0]]))  # [B, n]
    factor = torch.lerp(bank.size[number, 0], bank.size[number, 1], draws.uniform(n)) * (1.0 if size is None else size)
    squeeze = factor[..., None] * draws.uniform(n, 3, low=0.88, high=1.14)  # [B, n, 3]
    turn = yaw_rotation(yaw)[:, :, None]
    axes = product(turn, bank.axes[number] * squeeze[:, :, None, :, None])
    center = at[:, :, None] + apply(turn, bank.center[number] * squeeze[:, :, None])
    look = torch.gather(_looks(bank.choices[number], draws), 2, bank.slot[number])
    axes, center, look = axes.flatten(1, 2), center.flatten(1, 2), look.flatten(1, 2)
    item = (first + torch.arange(n)).repeat_interleave(PARTS).expand(look.shape)
    surface = kit.finish.rows(look, lengths(axes), draws)
    solids = Solids(center, axes, bank.profile[number].flatten(1, 2), surface, item)
    return without(solids, ~bank.present[number].flatten(1, 2))


def _looks(choices: Tensor, draws: Draws) -> Tensor:
    """A look [B, n, SLOTS] from each of the lists of materials `choices` [B, n, SLOTS]."""
    longest = max(len(names) for names in MATERIAL_LISTS)
    table = torch.tensor([[NAMES.index(names[i % len(names)]) for i in range(longest)] for names in MATERIAL_LISTS])
    length = torch.tensor([len(names) for names in MATERIAL_LISTS])
    n = choices.shape[1]
    return table[choices, (draws.uniform(n, SLOTS) * length[choices]).long()]


def structure(
    kit: Kit,
    draws: Draws,
    center: Tensor,
    half: Tensor,
    look: Tensor | tuple[str, ...],
    *,
    yaw: Tensor | None = None,
    profile: int = BOX,
) -> Solids:
    """Solids of the place itself: centres and half sizes [B, n, 3], and looks [B, n] or the names to draw them from.
    Those with a half size of 0 are absent."""
    look = pick_look(look, draws, center.shape[1]) if isinstance(look, tuple) else look
    turn = yaw_rotation(torch.zeros(center.shape[:2]) if yaw is None else yaw)
    axes = turn * half.clamp_min(1e-3)[:, :, None]
    surface = kit.finish.rows(look, half.clamp_min(1e-3), draws)
    item = torch.full(look.shape, -1)
    solids = Solids(center, axes, torch.tensor(PROFILES[profile]).expand(*half.shape), surface, item)
    return without(solids, (half <= 0).any(-1))


def filled(solids: list[Solids], count: int = STRUCTURE + OBJECTS * PARTS) -> Solids:
    """All solids, in a table of `count` rows."""
    joined = join(solids)
    b, n = joined.item.shape
    missing = count - n
    nothing = Solids(
        torch.zeros(b, missing, 3), torch.eye(3).expand(b, missing, 3, 3),
        torch.tensor(PROFILES[BOX]).expand(b, missing, 3), torch.zeros(b, missing, joined.surface.shape[-1]),
        torch.full((b, missing), -1),
    )  # fmt: skip
    return join([joined, without(nothing, torch.ones(b, missing, dtype=torch.bool))])


def floor_of(kit: Kit, draws: Draws, names: tuple[str, ...], also: tuple[str, ...] | None = None) -> Tensor:
    """The surface of the ground [B, COLUMNS], of one material and patches of another."""
    one = torch.ones(len(draws), 1, 3)
    row = kit.finish.rows(pick_look(names, draws, 1), one, draws)[:, 0]
    other = kit.finish.rows(pick_look(also or names, draws, 1), one, draws)[:, 0]
    return torch.cat([row[:, :1], other[:, :1], row[:, 2:]], 1)


def around(draws: Draws, n: int, fov: Tensor, ground: Tensor, *, near: float, far: float) -> Tensor:
    """Places [B, n, 3] on the ground, most of them in view: log-uniform distances from `near` to `far`."""
    angle = draws.uniform(n, low=-1, high=1) * (0.5 * fov[:, None] + 0.45)
    distance = draws.spread(n, low=near, high=far)
    return vector(distance * torch.sin(angle), ground[:, None], distance * torch.cos(angle))


def turned(solids: Solids, angle: Tensor) -> Solids:
    """All solids turned about the camera by `angle` [B]."""
    turn = yaw_rotation(angle)[:, None]
    return solids._replace(center=apply(turn, solids.center), axes=product(turn, solids.axes))


def shifted(solids: Solids, by: Tensor) -> Solids:
    """All solids moved by [B, 3]."""
    return solids._replace(center=solids.center + by[:, None])

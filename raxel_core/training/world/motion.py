"""How people move cameras: on a tripod, in the hand, walking, on rails, around a thing, panning, zooming."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ...geometry import se3
from ..synthetic import level_look
from .draws import Draws
from .solids import Solids, distances, product

MOTIONS = (
    "still", "handheld", "walk", "pan", "pan and stop", "rotation", "zoom", "dolly", "truck", "orbit", "crane", "free",
)  # fmt: skip
SHARES = (0.04, 0.10, 0.14, 0.09, 0.07, 0.07, 0.06, 0.10, 0.10, 0.11, 0.04, 0.08)
TRIPOD = ("still", "pan", "pan and stop", "rotation", "zoom")  # whose centre never moves
SHAKE_HZ = (0.25, 5.0)
SINES = 7
LENGTHS = (1.0, 0.6, 0.35, 0.18, 0.0)  # by which a path is shortened until it hits nothing


class Motion(NamedTuple):
    """Paths before anything stands in their way, of B clips and F frames."""

    kind: Tensor  # [B] index into MOTIONS
    rotation: Tensor  # [B, F, 3, 3] world from camera, but for what looks at `target`
    moving: Tensor  # [B, F, 3] of the centre, metres; may be shortened
    shake: Tensor  # [B, F, 3] of the centre, metres; stays
    target: Tensor  # [B, 3] what an orbit looks at


def is_kind(kind: Tensor, *names: str) -> Tensor:
    """Which of the clips [B] have one of these motions."""
    return torch.stack([kind == MOTIONS.index(name) for name in names]).any(0)


def draw_motion(draws: Draws, focus: Tensor, frames: int, fps: float, shares: tuple[float, ...] = SHARES) -> Motion:
    """Motions of B clips of `frames` at `fps` a second; `focus` [B] is how far off things are, metres."""
    kind = draws.choice(shares)
    seconds = torch.arange(frames) / fps
    ramp = _ramp(draws, kind, frames)
    start = _start(draws)
    turning, swing = _turns(draws, kind, ramp), _walk_turns(draws, kind, seconds)
    shaking, shake = _shake(draws, kind, seconds, focus)
    rotation = product(start[:, None], se3.so3_exp(turning + swing + shaking))
    moving = _moves(draws, kind, ramp, focus, (frames - 1) / fps) + _bob(draws, kind, seconds)
    moving = (start[:, None, :, :] * moving[..., None, :]).sum(-1)
    target = start[:, :, 2] * (focus * draws.uniform(low=0.7, high=1.3))[:, None]
    return Motion(kind, rotation, moving, shake, target)


def draw_fov(draws: Draws, kind: Tensor, frames: int, degrees: tuple[float, float]) -> Tensor:
    """Horizontal fields of view [B, F], radians; "zoom" changes it steadily, a few others a little."""
    start = draws.uniform(low=math.radians(degrees[0]), high=math.radians(degrees[1]))
    sign = torch.where(draws.chance(of=0.5), -1.0, 1.0)
    zoom = sign * draws.uniform(low=0.15, high=0.6) * is_kind(kind, "zoom")
    drift = 0.12 * draws.signed() * draws.chance(of=0.12) * ~is_kind(kind, "still", "rotation")
    # Some zooms are quicker at the start (0.6), others at the end (1.6).
    ramp = torch.linspace(0, 1, frames) ** draws.uniform(1, low=0.6, high=1.6)
    focal = torch.exp((zoom + drift)[:, None] * ramp) / torch.tan(start / 2)[:, None]
    return (2 * torch.atan(1 / focal)).clamp(math.radians(degrees[0] * 0.8), math.radians(min(degrees[1] * 1.06, 150)))


def place_path(motion: Motion, length: Tensor) -> Tensor:
    """world_from_cam [B, F, 4, 4] of paths shortened by `length` [B]."""
    position = length[:, None, None] * motion.moving + motion.shake
    orbits = is_kind(motion.kind, "orbit")[:, None, None, None]
    looking = product(level_look(motion.target[:, None] - position), level_look(motion.target)[:, None].mT)
    rotation = torch.where(orbits, product(looking, motion.rotation), motion.rotation)
    return se3.from_rotation_translation(rotation, position)


def shortened(motion: Motion, clear: Callable[[Tensor], Tensor]) -> Tensor:
    """world_from_cam [B, F, 4, 4] of the longest path of each clip that is `clear` ([B, F, 4, 4] -> [B]), if only a
    point."""
    lengths = torch.tensor(LENGTHS)
    free = torch.stack([clear(place_path(motion, length.expand(len(motion.kind)))) for length in lengths])
    free[-1] = True
    return place_path(motion, lengths[free.float().argmax(0)])


def is_clear(solids: Solids, path: Tensor, gap: Tensor, ground: Tensor) -> Tensor:
    """Whether paths [B, F, 4, 4] keep `gap` [B] from every solid and half of it from the ground: [B]."""
    points = path[..., :3, 3]
    above = (points[..., 1] < (ground - 0.5 * gap)[:, None]).all(1)
    return above & (distances(solids, points) > 0.999 * gap[:, None, None]).flatten(1).all(1)


def _start(draws: Draws) -> Tensor:
    """Where a camera looks at first: [B, 3, 3], mostly level."""
    pitch, yaw, roll = 0.16 * draws.signed() + 0.05, 0.25 * draws.signed(), 0.03 * draws.signed()
    zero = torch.zeros_like(yaw)
    level = se3.so3_exp(torch.stack([zero, yaw, zero], -1))
    tilt = se3.so3_exp(torch.stack([-pitch, zero, zero], -1))
    return product(product(level, tilt), se3.so3_exp(torch.stack([zero, zero, roll], -1)))


def _ramp(draws: Draws, kind: Tensor, frames: int) -> Tensor:
    """How far along its way a camera is [B, F], 0 to 1: uneven, or eased to a stop somewhere before the end."""
    time = torch.linspace(0, 1, frames)
    uneven = time ** torch.exp(draws.uniform(1, low=-0.4, high=0.4))
    stop = draws.uniform(1, low=0.3, high=0.8)
    reached = (time / stop).clamp(max=1)
    eased = reached * reached * (3 - 2 * reached)
    return torch.where(is_kind(kind, "pan and stop")[:, None], eased, uneven)


def _turns(draws: Draws, kind: Tensor, ramp: Tensor) -> Tensor:
    """Rotation vectors [B, F, 3] of what the operator means to do."""
    turn = draws.signed(3) * torch.tensor([0.35, 1.0, 0.12]) * math.radians(22)
    about = draws.signed(3) * math.radians(18)  # any axis, roll too
    turn = torch.where(is_kind(kind, "rotation")[:, None], about, turn)
    amount = (
        1.0 * is_kind(kind, "pan", "pan and stop", "rotation", "free") + 0.45 * is_kind(kind, "walk")
        + 0.2 * is_kind(kind, "dolly", "truck", "crane", "handheld")
    )  # fmt: skip
    bend = torch.sin(math.pi * ramp)[..., None] * (0.2 * draws.signed(3) * turn.norm(dim=1, keepdim=True))[:, None]
    return amount[:, None, None] * (ramp[..., None] * turn[:, None] + bend)


def _moves(draws: Draws, kind: Tensor, ramp: Tensor, focus: Tensor, duration: float) -> Tensor:
    """Displacements [B, F, 3] in the frame the camera starts in, metres."""
    pace = draws.uniform(low=0.4, high=1.6) * duration * torch.where(draws.chance(of=0.85), 1.0, -1.0)
    pace = pace.clamp(max=1e3) * (focus / 3).clamp(max=1)
    walk = torch.stack([0.12 * draws.signed() * pace, torch.zeros_like(pace), pace], -1)
    shift = draws.signed(3) * 0.4 * focus[:, None]
    aims = {
        "walk": walk, "dolly": shift * torch.tensor([0.08, 0.06, 1.1]), "truck": shift * torch.tensor([1.0, 0.1, 0.12]),
        "orbit": shift * torch.tensor([1.2, 0.3, 0.15]), "crane": shift * torch.tensor([0.15, 0.7, 0.2]),
        "free": shift * torch.tensor([0.7, 0.3, 0.8]), "handheld": shift * 0.1,
    }  # fmt: skip
    aim = torch.stack([is_kind(kind, name)[:, None] * value for name, value in aims.items()]).sum(0)
    bend = torch.sin(math.pi * ramp)[..., None] * (0.15 * draws.signed(3) * aim.norm(dim=1, keepdim=True))[:, None]
    return ramp[..., None] * aim[:, None] + bend


def _bob(draws: Draws, kind: Tensor, seconds: Tensor) -> Tensor:
    """A walker's steps [B, F, 3]: up and down at each, from side to side at every second, metres."""
    steps = draws.uniform(1, low=1.6, high=2.3)
    phase = draws.uniform(2, high=2 * math.pi)
    up, aside = draws.uniform(1, low=0.01, high=0.04), draws.uniform(1, low=0.005, high=0.025)
    angle = 2 * math.pi * steps * seconds
    moved = torch.stack(
        [aside * torch.sin(angle / 2 + phase[:, :1]), up * torch.sin(angle + phase[:, 1:]), torch.zeros_like(angle)], -1
    )
    return is_kind(kind, "walk")[:, None, None] * moved


def _walk_turns(draws: Draws, kind: Tensor, seconds: Tensor) -> Tensor:
    """What steps do to the view [B, F, 3], radians."""
    steps = draws.uniform(1, low=1.6, high=2.3)
    phase, size = draws.uniform(3, high=2 * math.pi), draws.uniform(3, low=0.1, high=0.7)
    angle = 2 * math.pi * steps * seconds
    turns = [torch.sin(angle * part + phase[:, i, None]) * size[:, i, None] for i, part in enumerate((1.0, 0.5, 0.5))]
    return is_kind(kind, "walk")[:, None, None] * math.radians(1.0) * torch.stack(turns, -1)


def _shake(draws: Draws, kind: Tensor, seconds: Tensor, focus: Tensor) -> tuple[Tensor, Tensor]:
    """A hand's tremble and sway: rotation vectors and displacements [B, F, 3], amplitude falling as 1 / frequency as in
    gyroscope records of held cameras."""
    low, high = SHAKE_HZ
    part = (torch.arange(SINES) + draws.uniform(6, SINES)) / SINES
    hertz = low * (high / low) ** part  # [B, 6, SINES]
    phase = draws.uniform(6, SINES, high=2 * math.pi)
    weight = (1 / hertz) / (1 / hertz).square().sum(-1, keepdim=True).sqrt()
    waves = torch.sin(2 * math.pi * hertz[..., None] * seconds + phase[..., None]) * weight[..., None]
    unit = math.sqrt(2) * waves.sum(2).mT  # [B, F, 6], deviation 1
    held = is_kind(kind, "handheld", "walk") | (draws.chance(of=0.45) & ~is_kind(kind, *TRIPOD))
    degrees, metres = draws.spread(low=0.12, high=1.2), draws.spread(low=0.002, high=0.012) * focus.clamp(max=3)
    size = torch.cat([torch.deg2rad(degrees)[:, None].expand(-1, 3), metres[:, None].expand(-1, 3)], 1)
    shaken = held[:, None, None] * unit * size[:, None]
    return shaken[..., :3], shaken[..., 3:]

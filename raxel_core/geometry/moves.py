"""The camera moves of film, as trajectories.

A move is a function of progress alone: frame f of F stands at f / (F - 1) of it, so that the first frame is the
identity, the last frame has the whole amount whatever F is, and a longer clip is the same path in finer steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, pi, radians
from types import MappingProxyType

import torch
from torch import Tensor

from . import se3
from .camera import Camera, K_from_fov
from .trajectory import Trajectory

EASINGS = ("linear", "smooth")

# An arc rises by this share of the angle it swings.
_ARC_RISE = 0.5
# An arc that rises to the pole above the point would have no upright camera left.
_ARC_LIMIT = 0.95 * pi


@dataclass(frozen=True)
class Move:
    """One kind of move: what it does, in a sentence a user reads, and its default amount.

    The amount is in radians when `angular`; otherwise it is a length, and the default counts in the depth of the
    subject.
    """

    meaning: str
    angular: bool
    default: float


MOVES: Mapping[str, Move] = MappingProxyType(
    {
        "static": Move("the camera stands still", False, 0.0),
        "pan": Move("turns on the spot, to the right when positive", True, pi / 6),
        "tilt": Move("turns on the spot, upwards when positive", True, pi / 9),
        "roll": Move("turns about its line of sight, clockwise seen from behind when positive", True, pi / 9),
        "dolly": Move("drives along its line of sight, forward when positive", False, 0.5),
        "truck": Move("drives sideways, to the right when positive", False, 0.5),
        "pedestal": Move("drives straight up when positive, down when negative", False, 0.3),
        "orbit": Move("circles the point at `depth` and faces it, to the right when positive", True, pi / 6),
        "arc": Move(
            "circles the point at `depth` to the right and rises by half the angle meanwhile, facing it, when positive;"
            " to the left and down when negative",
            True,
            pi / 6,
        ),
    }
)


def make_move(
    move: str,
    frames: int,
    *,
    hw: tuple[int, int] = (480, 832),
    fov_degrees: float = 60.0,
    amount: float | None = None,
    depth: float = 1.0,
    easing: str = "linear",
    fps: float = 24.0,
    unit: str = "near_depth",
) -> Trajectory:
    """A trajectory of `frames` cameras of `hw` pixels that make one of `MOVES`, the first at the identity.

    `amount` is the whole move at the last frame, in radians for pan, tilt, roll, orbit and arc and in `unit` for
    dolly, truck and pedestal; None takes the move's default, which counts in `depth` where it is a length. `depth` is
    the distance, in `unit`, of the point that orbit and arc circle. `fov_degrees` is the horizontal angle of view.
    `easing` is "linear" (constant speed) or "smooth" (starts and stops softly). Raises ValueError on unknown names,
    fewer than one frame, an amount that is not finite or a depth that is not positive.
    """
    kind = _check(move, frames, amount=amount, depth=depth, easing=easing)
    if amount is None:
        amount = kind.default if kind.angular else kind.default * depth
    if move == "arc" and abs(amount) > _ARC_LIMIT:
        raise ValueError(f"an arc swings by at most {_ARC_LIMIT:.3f} radians, got {amount:.3f}")
    if not 0.0 < fov_degrees < 180.0:
        raise ValueError(f"a horizontal angle of view lies between 0 and 180 degrees, got {fov_degrees}")
    progress = _progress(frames, easing)
    world_from_cam = _MOTIONS[move](progress * amount, depth).to(torch.float32)
    K = K_from_fov(radians(fov_degrees), hw)
    return Trajectory(Camera(world_from_cam, K, hw), fps=fps, unit=unit, name=move)


def _check(move: str, frames: int, *, amount: float | None, depth: float, easing: str) -> Move:
    """The `Move` of that name; ValueError when one of the values makes no sense."""
    if move not in MOVES:
        raise ValueError(f"a move is one of {', '.join(MOVES)}, got {move!r}")
    if easing not in EASINGS:
        raise ValueError(f"an easing is one of {', '.join(EASINGS)}, got {easing!r}")
    if frames < 1:
        raise ValueError(f"a trajectory has at least one frame, got {frames}")
    if amount is not None and not isfinite(amount):
        raise ValueError(f"an amount is a finite number, got {amount}")
    if not 0.0 < depth < float("inf"):
        raise ValueError(f"a depth is a positive number, got {depth}")
    return MOVES[move]


def _progress(frames: int, easing: str) -> Tensor:
    """The share [F] of the move done at each frame, from 0 to 1, in float64; a single frame has done none of it."""
    time = torch.arange(frames, dtype=torch.float64) / max(frames - 1, 1)
    return time if easing == "linear" else time * time * (3.0 - 2.0 * time)


def _travel(direction: tuple[float, float, float]) -> Callable[[Tensor, float], Tensor]:
    """A move [F] -> [F, 4, 4] along one axis of the first camera."""

    def motion(distance: Tensor, depth: float) -> Tensor:
        identity = torch.eye(3, dtype=distance.dtype)
        return se3.from_rotation_translation(identity, distance[:, None] * distance.new_tensor(direction))

    return motion


def _turn(rotation: Callable[[Tensor], Tensor]) -> Callable[[Tensor, float], Tensor]:
    """A move [F] -> [F, 4, 4] that turns on the spot."""

    def motion(angle: Tensor, depth: float) -> Tensor:
        return se3.from_rotation_translation(rotation(angle), angle.new_zeros(3))

    return motion


def _circle(rise: float) -> Callable[[Tensor, float], Tensor]:
    """A move [F] -> [F, 4, 4] on the sphere about the point at `depth`, to the right and up by `rise` of the angle.

    A camera that faces the point p from distance r stands at p - r * (its forward direction).
    """

    def motion(angle: Tensor, depth: float) -> Tensor:
        rotation = se3.rotation_y(-angle) @ se3.rotation_x(-rise * angle)
        point = angle.new_tensor((0.0, 0.0, depth))
        return se3.from_rotation_translation(rotation, point - depth * rotation[..., 2])

    return motion


_MOTIONS: Mapping[str, Callable[[Tensor, float], Tensor]] = MappingProxyType(
    {
        "static": _travel((0.0, 0.0, 0.0)),
        "pan": _turn(se3.rotation_y),
        "tilt": _turn(se3.rotation_x),
        "roll": _turn(se3.rotation_z),
        "dolly": _travel((0.0, 0.0, 1.0)),
        "truck": _travel((1.0, 0.0, 0.0)),
        "pedestal": _travel((0.0, -1.0, 0.0)),
        "orbit": _circle(0.0),
        "arc": _circle(_ARC_RISE),
    }
)

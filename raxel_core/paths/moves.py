"""The camera moves of film: what each does to a camera, as a function of the share of it that is done.

A move is a motion in the frame of the camera that it starts from, the identity at share 0, so that moves stack: each
is made from wherever the ones before it have brought the camera.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import pi, radians
from types import MappingProxyType

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.se3 import look_rotation

# An arc rises by this share of the angle it swings, a pull-back by this share of its length, a flyover by that one.
_ARC_RISE = 0.5
_PULL_BACK_RISE = 0.5
_FLYOVER_RISE = 0.4
_FLYOVER_TILT = radians(25.0)
# A spiral closes in to this share of its distance.
_SPIRAL_END = 0.5


@dataclass(frozen=True)
class Move:
    """One kind of move: what it does, in a sentence a user reads, and how far it goes where nothing is said.

    `amount_key` names the field of a plan that says how far: "amount_degrees" (an angle), "amount" (a length, whose
    default counts in the depth of the subject), "factor" (a ratio of focal lengths), or None where there is nothing
    to say; `default` is in what that field counts in.
    """

    meaning: str
    amount_key: str | None
    default: float

    @property
    def angular(self) -> bool:
        """Whether the amount is an angle."""
        return self.amount_key == "amount_degrees"


MOVES: Mapping[str, Move] = MappingProxyType(
    {
        "static": Move("the camera stands still", None, 0.0),
        "pan": Move("turns on the spot, to the right when positive", "amount_degrees", 30.0),
        "tilt": Move("turns on the spot, upwards when positive", "amount_degrees", 20.0),
        "roll": Move("turns about its line of sight, clockwise seen from behind when positive", "amount_degrees", 20.0),
        "dolly": Move("drives along its line of sight, forward when positive", "amount", 0.5),
        "truck": Move("drives sideways, to the right when positive", "amount", 0.5),
        "pedestal": Move("drives straight up when positive, down when negative", "amount", 0.3),
        "orbit": Move("circles the point at `depth` and faces it, to the right when positive", "amount_degrees", 30.0),
        "arc": Move(
            "circles the point at `depth` to the right and rises by half the angle meanwhile, facing it, when positive;"
            " to the left and down when negative",
            "amount_degrees",
            30.0,
        ),
        "crane": Move(
            "rises straight up when positive, down when negative, and tilts to keep facing the point at `depth`",
            "amount",
            0.5,
        ),
        "boom": Move(
            "swings up and forward on an arm of length `depth`, its gaze level, when positive; down when negative",
            "amount_degrees",
            30.0,
        ),
        "push_in": Move(
            "drives towards the point at `depth` and stops short of it, starting and stopping softly;"
            " away when negative",
            "amount",
            0.3,
        ),
        "pull_back_rise": Move(
            "drives back and rises by half as much, facing the point at `depth`, when positive", "amount", 0.5
        ),
        "spiral": Move(
            "circles the point at `depth`, to the right when positive, and closes in to half the distance, facing it",
            "amount_degrees",
            90.0,
        ),
        "figure_8": Move(
            "flies a lying eight as wide as the amount to either side, first to the right and up when positive,"
            " facing the point at `depth`",
            "amount",
            0.2,
        ),
        "flyover": Move(
            "flies forward and rises by 0.4 as much, tilting down meanwhile, by 25 degrees when it flies as far as"
            " `depth`, when positive",
            "amount",
            1.0,
        ),
        "dolly_zoom": Move(
            "drives forward when positive while the lens keeps the size of what is at `depth`", "amount", 0.4
        ),
        "zoom": Move("changes the focal length by the factor; the camera stands still", "factor", 1.5),
        "handheld": Move(
            "shakes like a hand for the whole clip; the amount is the root mean square about each axis",
            "amount_degrees",
            0.5,
        ),
    }
)

# Moves that end where they began: always, and after full turns.
CLOSED_MOVES = ("static", "figure_8")
CLOSED_AFTER_FULL_TURNS = ("pan", "tilt", "roll", "orbit", "boom")
# Moves in whose way the point at `depth` is, and what an angle or a factor may be.
BOUND_BY_DEPTH = ("push_in", "dolly_zoom")
# An arc that rises to the pole above the point would have no upright camera left.
LARGEST_DEGREES: Mapping[str, float] = MappingProxyType({"arc": 171.0, "handheld": 20.0})
FACTOR_RANGE = (0.01, 100.0)


def move_motion(move: str, share: Tensor, amount: float, depth: float) -> Tensor:
    """The motion [F, 4, 4] in the frame of the first camera after a `share` [F] of a move, handheld excepted.

    `amount` is the whole of it, in radians for the angular ones and in scene units otherwise; `depth` is the distance
    of the point that it circles or faces.
    """
    return _MOTIONS[move](share, amount, depth)


def move_focal_factor(move: str, share: Tensor, amount: float, depth: float) -> Tensor:
    """What the focal length is multiplied by [F] after a `share` [F] of a move; arguments as for `move_motion`.

    What lies at `depth` has a size of focal / distance in the picture, so that a dolly zoom, from a distance of
    depth - d, needs a focal length of (depth - d) / depth. A zoom grows at a constant rate.
    """
    if move == "zoom":
        return amount**share
    if move == "dolly_zoom":
        return (depth - amount * share) / depth
    return torch.ones_like(share)


def _travel(direction: tuple[float, float, float]) -> Callable[[Tensor, float, float], Tensor]:
    """A move along one axis of the first camera."""

    def motion(share: Tensor, amount: float, depth: float) -> Tensor:
        identity = torch.eye(3, dtype=share.dtype)
        return se3.from_rotation_translation(identity, (share * amount)[:, None] * share.new_tensor(direction))

    return motion


def _turn(rotation: Callable[[Tensor], Tensor]) -> Callable[[Tensor, float, float], Tensor]:
    """A move that turns on the spot."""

    def motion(share: Tensor, amount: float, depth: float) -> Tensor:
        return se3.from_rotation_translation(rotation(share * amount), share.new_zeros(3))

    return motion


def _circle(rise: float, end: float) -> Callable[[Tensor, float, float], Tensor]:
    """A move about the point at `depth`, to the right and up by `rise` of the angle, in to `end` of the distance.

    A camera that faces the point p from distance r stands at p - r * (its forward direction).
    """

    def motion(share: Tensor, amount: float, depth: float) -> Tensor:
        angle = share * amount
        rotation = se3.rotation_y(-angle) @ se3.rotation_x(-rise * angle)
        distance = depth * (1.0 - (1.0 - end) * share)
        point = share.new_tensor((0.0, 0.0, depth))
        return se3.from_rotation_translation(rotation, point - distance[:, None] * rotation[..., 2])

    return motion


def _facing(place: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]) -> Callable[[Tensor, float, float], Tensor]:
    """A move over (right, up, forward) = amount * `place`(share), facing the point at `depth` with a level horizon."""

    def motion(share: Tensor, amount: float, depth: float) -> Tensor:
        right, up, forward = place(share)
        center = amount * torch.stack((right, -up, forward), dim=-1)
        return se3.from_rotation_translation(look_rotation(share.new_tensor((0.0, 0.0, depth)) - center), center)

    return motion


def _boom(share: Tensor, amount: float, depth: float) -> Tensor:
    """The end of an arm of length `depth` that begins to swing straight up; the arm's foot lies ahead."""
    angle = share * amount
    center = depth * torch.stack((torch.zeros_like(angle), -angle.sin(), 1.0 - angle.cos()), dim=-1)
    return se3.from_rotation_translation(torch.eye(3, dtype=share.dtype), center)


def _push_in(share: Tensor, amount: float, depth: float) -> Tensor:
    """A dolly that starts and stops softly."""
    return _travel((0.0, 0.0, 1.0))(share * share * (3.0 - 2.0 * share), amount, depth)


def _flyover(share: Tensor, amount: float, depth: float) -> Tensor:
    """Forward at even speed, up and tilting down along a quarter of a sine."""
    rise = torch.sin(0.5 * pi * share)
    center = amount * torch.stack((torch.zeros_like(share), -_FLYOVER_RISE * rise, share), dim=-1)
    tilt = _FLYOVER_TILT * min(max(amount / depth, -1.0), 1.0)
    return se3.from_rotation_translation(se3.rotation_x(-tilt * rise), center)


_MOTIONS: Mapping[str, Callable[[Tensor, float, float], Tensor]] = MappingProxyType(
    {
        "static": _travel((0.0, 0.0, 0.0)),
        "pan": _turn(se3.rotation_y),
        "tilt": _turn(se3.rotation_x),
        "roll": _turn(se3.rotation_z),
        "dolly": _travel((0.0, 0.0, 1.0)),
        "truck": _travel((1.0, 0.0, 0.0)),
        "pedestal": _travel((0.0, -1.0, 0.0)),
        "orbit": _circle(0.0, 1.0),
        "arc": _circle(_ARC_RISE, 1.0),
        "crane": _facing(lambda s: (torch.zeros_like(s), s, torch.zeros_like(s))),
        "boom": _boom,
        "push_in": _push_in,
        "pull_back_rise": _facing(lambda s: (torch.zeros_like(s), _PULL_BACK_RISE * s, -s)),
        "spiral": _circle(0.0, _SPIRAL_END),
        "figure_8": _facing(lambda s: (torch.sin(2.0 * pi * s), 0.5 * torch.sin(4.0 * pi * s), torch.zeros_like(s))),
        "flyover": _flyover,
        "dolly_zoom": _travel((0.0, 0.0, 1.0)),
        "zoom": _travel((0.0, 0.0, 0.0)),
    }
)

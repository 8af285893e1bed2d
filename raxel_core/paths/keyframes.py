"""Keys of a camera path: position, rotation and lens, each joined by a cubic with continuous velocity.

Positions and the logarithm of the focal length run on cubic Hermite segments, rotations on their counterpart on SO(3):
de Casteljau's construction with slerp (K. Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985), whose
angular velocity at a key is the tangent that both neighbours share. Tangents are three-point finite differences over
uneven times. Easings (`easing`) change the speed along these curves and not the curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import dist, nan, pi, radians
from typing import Any

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.se3 import look_rotation
from ..strict_json import check_choice, check_keys, check_number, check_object, check_point
from .easing import EASINGS, END_SPEEDS, warp

FOV_RANGE_DEGREES = (0.1, 179.0)
LARGEST_LENGTH = 1e6
LARGEST_ANGLE_DEGREES = 36000.0
# Nearer than this to a point, a camera stands on it.
SMALLEST_DISTANCE = 1e-9

# A turn this near to half a turn has no short way around; the way is then chosen, and not by rounding.
_HALF_TURN = pi - 1e-9


@dataclass(frozen=True)
class ChannelEasing:
    """The easing of the segment after a key, for each channel: one of `EASINGS`."""

    position: str = "linear"
    rotation: str = "linear"
    lens: str = "linear"

    def __post_init__(self) -> None:
        for channel in fields(self):
            check_choice(f"easing.{channel.name}", getattr(self, channel.name), EASINGS)

    @classmethod
    def from_values(cls, values: Any) -> ChannelEasing:
        """The easing in a JSON value: a name for all channels, or an object with a name for some."""
        if isinstance(values, str):
            check_choice("easing", values, EASINGS)
            return cls(values, values, values)
        check_keys("easing", check_object("easing", values), (), [channel.name for channel in fields(cls)])
        return cls(**values)


@dataclass(frozen=True)
class Keyframe:
    """A camera at `time`, a share of the clip in [0, 1].

    `position` is in the path's unit. The camera is turned by `rotation_degrees` = (pan, tilt, roll), which is
    Ry(pan) Rx(tilt) Rz(roll), or faces the point `look_at` with a level horizon and then rolls by `roll_degrees`.
    `fov_degrees` is the horizontal angle of view; without it the key says nothing of the lens. `handle_in` and
    `handle_out`, in the path's unit and from `position`, are the control points of the Bezier curves to and from the
    key; without one, that side of the key takes the automatic tangent. Raises ValueError that names the field.
    """

    time: float
    position: tuple[float, float, float]
    rotation_degrees: tuple[float, float, float] | None = None
    look_at: tuple[float, float, float] | None = None
    roll_degrees: float = 0.0
    fov_degrees: float | None = None
    handle_in: tuple[float, float, float] | None = None
    handle_out: tuple[float, float, float] | None = None
    easing: ChannelEasing = ChannelEasing()

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "time": check_number("time", self.time, 0.0, 1.0),
            "position": check_point("position", self.position, LARGEST_LENGTH),
            "roll_degrees": check_number(
                "roll_degrees", self.roll_degrees, -LARGEST_ANGLE_DEGREES, LARGEST_ANGLE_DEGREES
            ),
        }
        if self.rotation_degrees is not None:
            checked["rotation_degrees"] = check_point("rotation_degrees", self.rotation_degrees, LARGEST_ANGLE_DEGREES)
        for name in ("look_at", "handle_in", "handle_out"):
            if getattr(self, name) is not None:
                checked[name] = check_point(name, getattr(self, name), LARGEST_LENGTH)
        if self.fov_degrees is not None:
            checked["fov_degrees"] = check_number("fov_degrees", self.fov_degrees, *FOV_RANGE_DEGREES)
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        self._check_orientation()

    def _check_orientation(self) -> None:
        """ValueError when the fields of the rotation do not go together."""
        if self.look_at is None:
            if self.roll_degrees:
                raise ValueError("roll_degrees goes with look_at; in rotation_degrees roll is the third number")
        elif self.rotation_degrees is not None:
            raise ValueError("rotation_degrees and look_at exclude each other, got both")
        elif dist(self.look_at, self.position) < SMALLEST_DISTANCE:
            raise ValueError("look_at is the key's own position, which no camera can face")

    @classmethod
    def from_values(cls, values: Any) -> Keyframe:
        """The key in a JSON object whose fields are named as here; ValueError that names the field."""
        optional = [field.name for field in fields(cls)][2:]
        check_keys("the key", check_object("the key", values), ("time", "position"), optional)
        return cls(**{**values, "easing": ChannelEasing.from_values(values.get("easing", "linear"))})

    @property
    def rotation(self) -> Tensor:
        """World-from-camera rotation [3, 3], float64."""
        pan, tilt, roll = self.rotation_degrees or (0.0, 0.0, self.roll_degrees)
        turns = torch.tensor([radians(pan), radians(tilt), radians(roll)], dtype=torch.float64)
        if self.look_at is not None:
            forward = turns.new_tensor(self.look_at) - turns.new_tensor(self.position)
            return look_rotation(forward) @ se3.rotation_z(turns[2])
        return se3.rotation_y(turns[0]) @ se3.rotation_x(turns[1]) @ se3.rotation_z(turns[2])

    def same_camera(self, other: Keyframe) -> bool:
        """Whether `other` is the same but for time and easing."""
        names = ("position", "rotation_degrees", "look_at", "roll_degrees", "fov_degrees")
        return all(getattr(self, name) == getattr(other, name) for name in names)


def base_motions(keys: Sequence[Keyframe], progress: Tensor, *, loop: bool) -> Tensor:
    """world_from_cam [F, 4, 4], float64, on the path through `keys` at `progress` [F]; the identity without keys.

    `loop` closes the path: it goes on from the last key to the first, and round again.
    """
    if not keys:
        return torch.eye(4, dtype=progress.dtype).expand(len(progress), 4, 4)
    positions = progress.new_tensor([key.position for key in keys])
    rotations = torch.stack([key.rotation for key in keys])
    times = [key.time for key in keys]
    places = _Segments.between(times, [key.easing.position for key in keys], loop)
    turns = _Segments.between(times, [key.easing.rotation for key in keys], loop)
    return se3.from_rotation_translation(
        _rotations_at(rotations, turns, progress), _vectors_at(positions, places, progress, handles=_handles_of(keys))
    )


def base_log_focal(keys: Sequence[Keyframe], progress: Tensor, *, loop: bool) -> Tensor | None:
    """Logarithm [F] of the focal length in picture widths, on the path through the keys that have one; None if none."""
    keys = [key for key in keys if key.fov_degrees is not None]
    if not keys:
        return None
    log_focal = log_focal_from_fov(progress.new_tensor([key.fov_degrees for key in keys]))
    segments = _Segments.between([key.time for key in keys], [key.easing.lens for key in keys], loop)
    return _vectors_at(log_focal[:, None], segments, progress).squeeze(-1)


def log_focal_from_fov(fov_degrees: Tensor) -> Tensor:
    """Logarithm [...] of the focal length in picture widths of the horizontal angle of view [...] in degrees."""
    return torch.log(0.5 / torch.tan(0.5 * torch.deg2rad(fov_degrees)))


@dataclass(frozen=True, eq=False)
class _Segments:
    """The time of one channel between its N keys: S = N - 1 segments, or N where the path is closed.

    `start`, `span` [S]: when each begins and how long it takes; `joined` [S]: 0 where it holds and then jumps, so that
    its ends share no velocity; `speeds` [S, 2]: how fast its time runs at its ends (`easing.warp`).
    """

    start: Tensor
    span: Tensor
    joined: Tensor
    speeds: Tensor
    closed: bool

    @classmethod
    def between(cls, times: Sequence[float], easings: Sequence[str], loop: bool) -> _Segments:
        """The segments between keys at `times`, each with the easing of the key before it.

        At a key the time runs as fast as the slower of its two sides. Beyond the first and the last key of an open
        path the camera rests, unless the clip begins or ends there.
        """
        closed = loop and len(times) > 1
        ends = torch.tensor([*times, times[0] + 1.0] if closed else times, dtype=torch.float64)
        easings = easings[: len(ends) - 1]
        own = ends.new_tensor([END_SPEEDS[easing] for easing in easings]).reshape(-1, 2)
        outside = ends.new_tensor([float(times[0] == 0.0), float(times[-1] == 1.0)])
        before, after = (own[-1:, 1], own[:1, 0]) if closed else (outside[:1], outside[1:])
        at_key = torch.minimum(torch.cat((before, own[:, 1])), torch.cat((own[:, 0], after)))
        joined = ends.new_tensor([float(easing != "hold") for easing in easings])
        return cls(ends[:-1], ends.diff(), joined, torch.stack((at_key[:-1], at_key[1:]), dim=-1), closed)

    def at(self, progress: Tensor) -> tuple[Tensor, Tensor]:
        """The segment [F] on which each frame stands, and the share [F] of the segment that is behind it."""
        if self.closed:
            progress = torch.where(progress < self.start[0], progress + 1.0, progress)
        index = (torch.searchsorted(self.start, progress, right=True) - 1).clamp(min=0)
        share = ((progress - self.start[index]) / self.span[index]).clamp(0.0, 1.0)
        held = (share >= 1.0).to(share.dtype)
        moving = warp(share, self.speeds[index, 0], self.speeds[index, 1])
        return index, torch.where(self.joined[index] > 0.0, moving, held)

    def tangents(self, slopes: Tensor) -> Tensor:
        """The velocity [S + 1, C] at each end, of the mean velocities `slopes` [S, C] of the segments.

        Between two segments it is that of the parabola through three keys; with one, that one's own.
        """
        nothing = self.span.new_zeros(1)
        around = (self.joined[-1:], self.joined[:1]) if self.closed else (nothing, nothing)
        spans_around = (self.span[-1:], self.span[:1]) if self.closed else (nothing + 1.0, nothing + 1.0)
        slopes_around = (slopes[-1:], slopes[:1]) if self.closed else (slopes[:1], slopes[-1:])
        # A segment counts the more the shorter it is: its weight is the other one's span.
        before = torch.cat((around[0], self.joined)) * torch.cat((self.span, spans_around[1]))
        after = torch.cat((self.joined, around[1])) * torch.cat((spans_around[0], self.span))
        total = (before + after)[:, None]
        weighted = before[:, None] * torch.cat((slopes_around[0], slopes)) + after[:, None] * torch.cat(
            (slopes, slopes_around[1])
        )
        return torch.where(total > 0.0, weighted / torch.where(total > 0.0, total, 1.0), 0.0)


def _handles_of(keys: Sequence[Keyframe]) -> tuple[Tensor, Tensor]:
    """`handle_in` and `handle_out` [N, 3] of the keys, NaN where a key has none."""
    nothing = (nan, nan, nan)
    rows = [(key.handle_in or nothing, key.handle_out or nothing) for key in keys]
    into, out = torch.tensor(rows, dtype=torch.float64).unbind(1)
    return into, out


def _vectors_at(
    vectors: Tensor, segments: _Segments, progress: Tensor, *, handles: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """The cubic Hermite curve [F, C] through `vectors` [N, C] at `progress` [F].

    A handle [N, C] of a Bezier curve, where it is not NaN, is a third of the velocity times the segment's span.
    """
    if not len(segments.span):
        return vectors.expand(len(progress), -1)
    ends = torch.cat((vectors, vectors[:1])) if segments.closed else vectors
    tangents = segments.tangents(ends.diff(dim=0) / segments.span[:, None])
    spans = segments.span[:, None]
    leaving, arriving = tangents[:-1] * spans, tangents[1:] * spans
    if handles is not None:
        into, out = (torch.cat((side, side[:1])) if segments.closed else side for side in handles)
        leaving = torch.where(out[:-1].isnan(), leaving, 3.0 * out[:-1])
        arriving = torch.where(into[1:].isnan(), arriving, -3.0 * into[1:])
    index, share = segments.at(progress)
    s = share[:, None]
    rest = 1.0 - s
    start = rest * rest * ((1.0 + 2.0 * s) * ends[index] + s * leaving[index])
    end = s * s * ((1.0 + 2.0 * rest) * ends[index + 1] - rest * arriving[index])
    return start + end


def _rotations_at(rotations: Tensor, segments: _Segments, progress: Tensor) -> Tensor:
    """The curve [F, 3, 3] through `rotations` [N, 3, 3] at `progress` [F], by de Casteljau with slerp.

    A rotation vector from one key to the next is the same seen from either, so that the tangents mix vectors of one
    frame: the key's own.
    """
    if not len(segments.span):
        return rotations.expand(len(progress), 3, 3)
    ends = torch.cat((rotations, rotations[:1])) if segments.closed else rotations
    tangents = segments.tangents(_log_between(ends[:-1], ends[1:]) / segments.span[:, None])
    index, share = segments.at(progress)
    third = segments.span[index, None] / 3.0
    first, last = ends[index], ends[index + 1]
    level = [
        first,
        first @ se3.so3_exp(third * tangents[index]),
        last @ se3.so3_exp(-third * tangents[index + 1]),
        last,
    ]
    while len(level) > 1:
        level = [_slerp(a, b, share) for a, b in zip(level[:-1], level[1:], strict=True)]
    return level[0]


def _slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """The rotation [F, 3, 3] a `share` [F] of the way from `a` to `b`."""
    return a @ se3.so3_exp(share[:, None] * _log_between(a, b))


def _log_between(a: Tensor, b: Tensor) -> Tensor:
    """Rotation vector [..., 3] from `a` to `b`; half a turn goes the way in which its largest component is positive."""
    omega = se3.so3_log(a.mT @ b)
    largest = omega.gather(-1, omega.abs().argmax(-1, keepdim=True))
    half_turn = torch.linalg.vector_norm(omega, dim=-1, keepdim=True) > _HALF_TURN
    return torch.where(half_turn & (largest < 0.0), -omega, omega)

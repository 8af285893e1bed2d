"""A planned camera path: moves in layers over keys, with a lens, a point to face and a loop; and how it is made.

A plan knows no frame count, no frame rate and no picture size: times are shares of the clip, lengths are in the path's
unit. `build` samples it. The browser does the same in web/camera_path.mjs, and both are held to the numbers of
tests/golden/camera_paths.json.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from math import degrees, radians
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera, K_from_fov
from ..geometry.se3 import look_rotation
from ..geometry.trajectory import Trajectory
from ..strict_json import (
    check_choice,
    check_keys,
    check_list,
    check_number,
    check_object,
    check_point,
    check_whole,
    shown,
)
from .easing import EASINGS, ease, progress_of_frames
from .keyframes import (
    FOV_RANGE_DEGREES,
    LARGEST_ANGLE_DEGREES,
    LARGEST_LENGTH,
    SMALLEST_DISTANCE,
    Keyframe,
    base_log_focal,
    base_motions,
    log_focal_from_fov,
)
from .moves import (
    BOUND_BY_DEPTH,
    CLOSED_AFTER_FULL_TURNS,
    CLOSED_MOVES,
    FACTOR_RANGE,
    LARGEST_DEGREES,
    MOVES,
    move_focal_factor,
    move_motion,
)
from .shake import LARGEST_SEED, shake
from .speed import SpeedGraph, check_speed_graph, progress_along

MOST_MOVES = 64
MOST_KEYS = 1024
MOST_FRAMES = 100_000
KEY_SPACING = 1e-6
DEPTH_RANGE = (1e-6, 1e6)

_AMOUNT_KEYS = ("amount_degrees", "amount", "factor")
_T = TypeVar("_T")


@dataclass(frozen=True)
class PlannedMove:
    """One layer of a plan: a move of `MOVES`, how far, and when.

    How far stands in the field that `MOVES[move].amount_key` names, None for the default; `start` and `end` are shares
    of the clip between which it is made, with an `easing`. `seed` is for handheld, which lasts the whole clip and has
    no start, end or easing. Raises ValueError that names the field.
    """

    move: str
    amount_degrees: float | None = None
    amount: float | None = None
    factor: float | None = None
    start: float = 0.0
    end: float = 1.0
    easing: str = "linear"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("move", self.move, tuple(MOVES))
        for name in _AMOUNT_KEYS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._checked_amount(name, getattr(self, name)))
        object.__setattr__(self, "start", check_number("start", self.start, 0.0, 1.0))
        object.__setattr__(self, "end", check_number("end", self.end, 0.0, 1.0))
        if self.start >= self.end:
            raise ValueError(f"start comes before end, got {self.start:g} and {self.end:g}")
        check_choice("easing", self.easing, EASINGS)
        object.__setattr__(self, "seed", check_whole("seed", self.seed, 0, LARGEST_SEED))
        if self.move == "handheld" and (self.start, self.end, self.easing) != (0.0, 1.0, "linear"):
            raise ValueError("handheld lasts the whole clip and takes no start, end or easing")

    def _checked_amount(self, name: str, value: Any) -> float:
        """The amount in the field `name`; ValueError when the move has no such field or goes no such way."""
        own = MOVES[self.move].amount_key
        if name != own:
            raise ValueError(f"{name} is no field of {self.move}, which takes {own or 'no amount'}")
        if name == "factor":
            return check_number(name, value, *FACTOR_RANGE)
        most = LARGEST_DEGREES.get(self.move, LARGEST_ANGLE_DEGREES) if name == "amount_degrees" else LARGEST_LENGTH
        return check_number(name, value, 0.0 if self.move == "handheld" else -most, most)

    @classmethod
    def from_values(cls, values: Any) -> PlannedMove:
        """The move in a JSON object whose fields are named as here; ValueError that names the field."""
        check_keys("the move", check_object("the move", values), ("move",), [field.name for field in fields(cls)])
        move = check_choice("move", values["move"], tuple(MOVES))
        foreign = ("start", "end", "easing") if move == "handheld" else ("seed",)
        for name in foreign:
            if name in values:
                raise ValueError(f"{name} is no field of {move}")
        return cls(**values)

    def amount_in(self, depth: float) -> float:
        """How far the move goes, in what its field counts in; a default length counts in `depth`."""
        kind = MOVES[self.move]
        given = getattr(self, kind.amount_key) if kind.amount_key else None
        if given is not None:
            return given
        return kind.default * depth if kind.amount_key == "amount" else kind.default

    @property
    def closes(self) -> bool:
        """Whether the camera ends where it began."""
        turns = self.amount_in(1.0) / 360.0
        return self.move in CLOSED_MOVES or (self.move in CLOSED_AFTER_FULL_TURNS and turns == round(turns))


@dataclass(frozen=True)
class CameraPlan:
    """A camera path, before frames.

    `fov_degrees` is the horizontal angle of view at the start; `depth` the distance, in the path's unit, of the
    subject that moves circle and face; `keys` the path on which the `moves` are laid, in order, each in the frame of
    the camera below it; `look_at` a point of the world that every camera faces, or None; `loop` makes the last camera
    the first: keys are closed, moves go there and back (in half the time each) unless they close by themselves, and
    the shake takes whole cycles. `speed` is a graph (`speed.progress_along`) of how fast all of it but the shake runs
    over the clip; the times of moves and keys count along the path. Raises ValueError that names the field.
    """

    fov_degrees: float = 60.0
    depth: float = 1.0
    moves: tuple[PlannedMove, ...] = ()
    keys: tuple[Keyframe, ...] = ()
    look_at: tuple[float, float, float] | None = None
    loop: bool = False
    speed: SpeedGraph = ()

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "fov_degrees": check_number("fov_degrees", self.fov_degrees, *FOV_RANGE_DEGREES),
            "depth": check_number("depth", self.depth, *DEPTH_RANGE),
            "moves": tuple(check_list("moves", self.moves, MOST_MOVES)),
            "keys": tuple(check_list("keys", self.keys, MOST_KEYS)),
            "look_at": None if self.look_at is None else check_point("look_at", self.look_at, LARGEST_LENGTH),
            "speed": check_speed_graph("speed", self.speed),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.loop, bool):
            raise ValueError(f"loop is true or false, got {shown(self.loop)}")
        for number, move in enumerate(self.moves):
            if move.move in BOUND_BY_DEPTH and abs(move.amount_in(self.depth)) >= self.depth:
                raise ValueError(
                    f"moves[{number}].amount of {move.move} is less than the depth {self.depth:g}, got {move.amount:g}"
                )
        for number, (before, after) in enumerate(zip(self.keys[:-1], self.keys[1:], strict=True), start=1):
            if after.time - before.time < KEY_SPACING:
                raise ValueError(
                    f"keys[{number}].time is at least {KEY_SPACING:g} later than that of the key before it, "
                    f"got {after.time:g}"
                )
        if self._closes_badly:
            raise ValueError(
                f"keys[{len(self.keys) - 1}].time is before 1 in a loop, where the first key stands at 0 and at 1"
            )

    @property
    def _closes_badly(self) -> bool:
        """Whether the way from the last key of a loop back to the first takes no time but has to lead somewhere."""
        if self._meets_itself:
            return not self.keys[-1].same_camera(self.keys[0])
        return self.loop and len(self.keys) > 1 and 1.0 - self.keys[-1].time + self.keys[0].time < KEY_SPACING

    @property
    def _meets_itself(self) -> bool:
        """Whether two keys of a loop stand at the same moment, the beginning and the end."""
        return self.loop and len(self.keys) > 1 and (self.keys[0].time, self.keys[-1].time) == (0.0, 1.0)

    @property
    def _open_keys(self) -> tuple[Keyframe, ...]:
        """The keys, of two that stand for the same moment of a loop the first, with the last one's way in."""
        if not self._meets_itself:
            return self.keys
        return (replace(self.keys[0], handle_in=self.keys[-1].handle_in), *self.keys[1:-1])

    @classmethod
    def from_values(cls, values: Any, *, where: str = "plan") -> CameraPlan:
        """The plan in a JSON object whose fields are named as here; ValueError that says `where` the fault is."""
        check_keys(where, check_object(where, values), (), [field.name for field in fields(cls)])
        moves = _each(f"{where}.moves", values.get("moves", ()), MOST_MOVES, PlannedMove.from_values)
        keys = _each(f"{where}.keys", values.get("keys", ()), MOST_KEYS, Keyframe.from_values)
        return _located(where, partial(cls, **{**values, "moves": moves, "keys": keys}))

    def build(
        self,
        frames: int,
        *,
        hw: tuple[int, int],
        fps: float = 24.0,
        unit: str = "near_depth",
        name: str = "",
        dtype: torch.dtype = torch.float32,
    ) -> Trajectory:
        """The trajectory of this plan in `frames` cameras of `hw` pixels, worked out in float64 and kept in `dtype`.

        The first frame stands at the beginning of the clip and the last at its end. Raises ValueError without a
        frame and on more than MOST_FRAMES, on an angle of view that leaves 0.1 to 179 degrees, and on a camera that
        stands on the point it faces.
        """
        if frames < 1:
            raise ValueError(f"a trajectory has at least one frame, got {frames}")
        if frames > MOST_FRAMES:
            raise ValueError(f"a planned path has at most {MOST_FRAMES} frames, got {frames}")
        motions, focal = self._moved(progress_along(self.speed, progress_of_frames(frames)))
        motions = self._facing(motions)
        for move in self.moves:
            if move.move == "handheld":
                size, seed = move.amount_in(self.depth), move.seed
                motions = motions @ shake(
                    frames, fps=fps, amount_degrees=size, depth=self.depth, seed=seed, loop=self.loop
                )
        K = K_from_fov(_fov_of(focal), hw)
        return Trajectory(Camera(motions.to(dtype), K.to(dtype), hw), fps=fps, unit=unit, name=name)

    def _moved(self, progress: Tensor) -> tuple[Tensor, Tensor]:
        """world_from_cam [F, 4, 4] and focal length [F] in picture widths, of the keys and all moves but handheld."""
        keys = self._open_keys
        motions = base_motions(keys, progress, loop=self.loop)
        log_focal = base_log_focal(keys, progress, loop=self.loop)
        if log_focal is None:
            log_focal = log_focal_from_fov(progress.new_tensor(self.fov_degrees)).expand(len(progress))
        focal = log_focal.exp()
        for move in self.moves:
            if move.move != "handheld":
                amount = move.amount_in(self.depth)
                amount = radians(amount) if MOVES[move.move].angular else amount
                share = self._share_done(move, progress)
                motions = motions @ move_motion(move.move, share, amount, self.depth)
                focal = focal * move_focal_factor(move.move, share, amount, self.depth)
        return motions, focal

    def _share_done(self, move: PlannedMove, progress: Tensor) -> Tensor:
        """The share [F] of a move that is done at `progress` [F] of the clip."""
        if self.loop and not move.closes:
            progress = 1.0 - (2.0 * progress - 1.0).abs()
        return ease(move.easing, ((progress - move.start) / (move.end - move.start)).clamp(0.0, 1.0))

    def _facing(self, motions: Tensor) -> Tensor:
        """The motions [F, 4, 4], turned to `look_at` where there is one."""
        if self.look_at is None:
            return motions
        forward = motions.new_tensor(self.look_at) - motions[:, :3, 3]
        near = torch.linalg.vector_norm(forward, dim=-1) < SMALLEST_DISTANCE
        if bool(near.any()):
            frame = int(near.nonzero()[0])
            raise ValueError(f"look_at cannot be faced in frame {frame}, whose camera stands on that point")
        return se3.from_rotation_translation(look_rotation(forward), motions[:, :3, 3])


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

    `amount` is the whole move at the last frame: in radians for the angular moves, a factor for zoom, in `unit`
    otherwise; None takes the move's default. `depth` is the distance, in `unit`, of the point that is circled or
    faced. `fov_degrees` is the horizontal angle of view at the start. A plan of one move (`plan.CameraPlan`), and
    ValueError where that refuses it.
    """
    fields: dict[str, Any] = {"easing": easing}
    key = MOVES[move].amount_key if move in MOVES else None
    if key and amount is not None:
        fields[key] = degrees(amount) if MOVES[move].angular else amount
    planned = PlannedMove(move, **fields)
    plan = CameraPlan(fov_degrees=fov_degrees, depth=depth, moves=(planned,))
    return plan.build(frames, hw=hw, fps=fps, unit=unit, name=move)


def _fov_of(focal: Tensor) -> Tensor:
    """The angle of view [F] in radians of `focal` [F] in picture widths; ValueError where it is no lens's."""
    fov = 2.0 * torch.atan(0.5 / focal)
    low, high = (radians(limit) for limit in FOV_RANGE_DEGREES)
    # The ends themselves are allowed, whatever the rounding of log and exp.
    outside = ~((fov > low - 1e-9) & (fov < high + 1e-9))
    if bool(outside.any()):
        frame = int(outside.nonzero()[0])
        got = f"{torch.rad2deg(fov[frame]):.4g}"
        raise ValueError(f"fov_degrees stays between 0.1 and 179 in every frame, got {got} in frame {frame}")
    return fov


def _each(where: str, values: Any, most: int, read: Callable[[Any], _T]) -> tuple[_T, ...]:
    """What `read` makes of every entry of a list; ValueError that begins with the place of a fault."""
    entries = check_list(where, values, most)
    return tuple(_located(f"{where}[{number}]", partial(read, entry)) for number, entry in enumerate(entries))


def _located(where: str, make: Callable[[], _T]) -> _T:
    """What `make` returns; its ValueError with the place of the fault before the field that it names."""
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error

"""Several shots in one path: plans one after the other, with a cut between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Any

import torch

from ..geometry.camera import Camera
from ..geometry.trajectory import Trajectory
from ..strict_json import check_keys, check_list, check_number, check_object
from .plan import CameraPlan

MOST_SHOTS = 64


@dataclass(frozen=True)
class Shot:
    """A `plan` that begins at `start`, a share of the clip in [0, 1), and lasts until the next shot."""

    start: float
    plan: CameraPlan


def read_shots(value: Any) -> tuple[Shot, ...]:
    """The shots in a JSON list of {"start", "plan"}, the first at 0; ValueError that names the field."""
    entries = check_list("shots", value, MOST_SHOTS)
    if not entries:
        raise ValueError("shots is a list with at least one shot, got none")
    shots = tuple(_read_shot(f"shots[{number}]", entry) for number, entry in enumerate(entries))
    if shots[0].start != 0.0:
        raise ValueError(f"shots[0]: start is 0, got {shots[0].start:g}")
    for number, (before, after) in enumerate(zip(shots[:-1], shots[1:], strict=True), start=1):
        if after.start <= before.start:
            raise ValueError(f"shots[{number}]: start is later than that of the shot before it, got {after.start:g}")
    return shots


def _read_shot(where: str, value: Any) -> Shot:
    check_keys(f"{where}: the shot", check_object(f"{where}: the shot", value), ("start", "plan"))
    start = check_number(f"{where}: start", value["start"], 0.0, 1.0)
    return Shot(start, CameraPlan.from_values(value["plan"], where=f"{where}: plan"))


def first_frames(shots: Sequence[Shot], frames: int) -> list[int]:
    """The number of the first frame of each shot in a clip of `frames`; ValueError where a shot has no frame."""
    firsts = [floor(shot.start * frames + 0.5) for shot in shots]
    for number, (first, end) in enumerate(zip(firsts, [*firsts[1:], frames], strict=True)):
        if end <= first:
            raise ValueError(
                f"shots[{number}] has none of the clip's {frames} frames: begin it earlier, or the next later"
            )
    return firsts


def build_shots(
    shots: Sequence[Shot],
    frames: int,
    *,
    hw: tuple[int, int],
    fps: float = 24.0,
    unit: str = "near_depth",
    name: str = "",
    dtype: torch.dtype = torch.float32,
) -> Trajectory:
    """The trajectory of all shots in `frames` cameras of `hw` pixels: each plan built in the frames of its shot.

    Raises ValueError as `CameraPlan.build` does, naming the shot.
    """
    firsts = first_frames(shots, frames)
    made = []
    for number, (shot, first, end) in enumerate(zip(shots, firsts, [*firsts[1:], frames], strict=True)):
        try:
            made.append(shot.plan.build(end - first, hw=hw, fps=fps, unit=unit, name=name, dtype=dtype))
        except ValueError as error:
            raise ValueError(f"shots[{number}]: {error}") from error
    motions = torch.cat([part.camera.world_from_cam for part in made])
    K = torch.cat([part.camera.K for part in made])
    return replace(made[0], camera=Camera(motions, K, hw))

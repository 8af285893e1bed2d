"""A camera's path through time: a value with its frame rate and its unit of length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import overload

import torch
from torch import Tensor

from . import se3
from .camera import Camera

UNITS = ("metre", "near_depth", "arbitrary")
_GAPS = "the path has gaps (cameras for {} of {} frames): read it with its gaps filled or closed"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A `camera` with one leading axis, the frames, played at `fps` frames a second.

    `unit` says what a length of 1 is: "metre"; "near_depth", the depth of the near scene (25th percentile) in the
    first frame; or "arbitrary". `numbers` say which frames of the clip the cameras belong to, from 0 and rising, where
    some have none (pictures that a solver left out); None where none is missing. Raises ValueError when there is no
    frame, or fps, unit or numbers make no sense: so an operation that changes how many cameras there are asks for the
    gaps to be filled or closed first.
    """

    camera: Camera
    fps: float = 24.0
    unit: str = "near_depth"
    name: str = ""
    numbers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.camera.batch_shape) != 1:
            raise ValueError(f"a trajectory has one axis, its frames, got {list(self.camera.batch_shape)}")
        if not len(self.camera):
            raise ValueError("a trajectory has at least one frame, got none")
        if not (isfinite(self.fps) and self.fps > 0.0):
            raise ValueError(f"fps is a positive number, got {self.fps}")
        if self.unit not in UNITS:
            raise ValueError(f"a unit is one of {', '.join(UNITS)}, got {str(self.unit)[:40]!r}")
        if self.numbers is not None:
            _check_numbers(self.numbers, len(self.camera))

    def __len__(self) -> int:
        return len(self.camera)

    @overload
    def __getitem__(self, index: int) -> Camera: ...

    @overload
    def __getitem__(self, index: slice) -> Trajectory: ...

    def __getitem__(self, index: int | slice) -> Camera | Trajectory:
        """The camera of one frame, or the trajectory of a slice, backwards too (its fps unchanged)."""
        if isinstance(index, slice):
            kept = list(range(len(self)))[index]
            numbers = None if self.numbers is None or not kept else _from_zero([self.numbers[i] for i in kept])
            return replace(self, camera=self.camera[kept], numbers=numbers)
        return self.camera[index]

    @property
    def frame_numbers(self) -> tuple[int, ...]:
        """The number in the clip of each camera: `numbers`, or 0, 1, 2, ... where none is missing."""
        return tuple(range(len(self))) if self.numbers is None else self.numbers

    def closed(self) -> Trajectory:
        """The same cameras as neighbouring frames, whatever is missing between them."""
        return replace(self, numbers=None)

    def filled(self) -> Trajectory:
        """The path with a camera for every frame: those that miss lie on the screw between their neighbours."""
        if self.numbers is None or len(self) == 1:
            return self.closed()
        known = torch.tensor(self.numbers, dtype=torch.float64)
        frames = torch.arange(self.numbers[-1] + 1, dtype=torch.float64)
        after = torch.searchsorted(known, frames).clamp(min=1)
        before = after - 1
        return self.closed().sampled(before + (frames - known[before]) / (known[after] - known[before]))

    @property
    def path_length(self) -> Tensor:
        """How far the centre travels, a scalar in `unit`."""
        return torch.linalg.vector_norm(self.camera.center.diff(dim=0), dim=-1).sum()

    @property
    def turn(self) -> Tensor:
        """How far the camera turns, summed over the frames: a scalar in radians."""
        return se3.geodesic(self.camera.rotation[:-1], self.camera.rotation[1:]).sum()

    def relative_to(self, frame: int = 0) -> Trajectory:
        """The same path in the frame of its camera number `frame`, which becomes the identity."""
        return replace(self, camera=self.camera.relative_to(self.camera[frame]))

    def scaled(self, factor: float, *, unit: str | None = None) -> Trajectory:
        """The same path with all lengths times `factor`; `unit` names what they are now, the old unit by default."""
        return replace(self, camera=self.camera.scaled(factor), unit=unit or self.unit)

    def resized(self, hw: tuple[int, int]) -> Trajectory:
        """The same path for images of `hw` = (height, width)."""
        return replace(self, camera=self.camera.resized(hw))

    def resampled(self, frames: int) -> Trajectory:
        """The same path in `frames` frames, evenly spaced from its first camera to its last, at the same fps."""
        if frames < 1:
            raise ValueError(f"a trajectory has at least one frame, got {frames}")
        return self.sampled(torch.linspace(0.0, float(len(self) - 1), frames, dtype=torch.float64))

    def sampled(self, positions: Tensor) -> Trajectory:
        """The path at `positions` [N], which count in frames and may lie between them, at the same fps.

        Motions are interpolated on the screw between neighbours, K linearly. Raises ValueError on a position before
        the first frame or behind the last.
        """
        if self.numbers is not None:
            raise ValueError(_GAPS.format(len(self), self.numbers[-1] + 1))
        last = len(self) - 1
        positions = positions.to(self.camera.K.device, torch.float64)
        if not bool(((positions >= 0.0) & (positions <= last)).all()):
            got = positions.tolist()[:5]
            raise ValueError(f"positions on a path of {last + 1} frames lie in 0 to {last}, got {got}")
        before = positions.floor().long().clamp(max=max(last - 1, 0))
        after = (before + 1).clamp(max=last)
        share = (positions - before).to(self.camera.K.dtype)
        motions, K = self.camera.world_from_cam, self.camera.K
        camera = Camera(
            se3.interpolate(motions[before], motions[after], share),
            torch.lerp(K[before], K[after], share[:, None, None]),
            self.camera.hw,
        )
        return replace(self, camera=camera)


def _check_numbers(numbers: tuple[int, ...], cameras: int) -> None:
    """ValueError unless `numbers` are those of as many `cameras`, from 0 and rising."""
    if len(numbers) != cameras:
        raise ValueError(_GAPS.format(len(numbers), numbers[-1] + 1 if numbers else 0))
    if numbers[0] != 0 or any(b <= a for a, b in zip(numbers, numbers[1:], strict=False)):
        raise ValueError(f"the numbers of a path's frames start at 0 and rise, got {list(numbers[:5])}")


def _from_zero(numbers: list[int]) -> tuple[int, ...] | None:
    """How far each number is from the first; None where that is 0, 1, 2, ..."""
    found = tuple(abs(number - numbers[0]) for number in numbers)
    return None if found == tuple(range(len(found))) else found

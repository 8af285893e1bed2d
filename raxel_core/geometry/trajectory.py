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


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A `camera` with one leading axis, the frames, played at `fps` frames a second.

    `unit` says what a length of 1 is: "metre"; "near_depth", the depth of the near scene (25th percentile) in the
    first frame; or "arbitrary". Raises ValueError when there is no frame, or fps or unit make no sense.
    """

    camera: Camera
    fps: float = 24.0
    unit: str = "near_depth"
    name: str = ""

    def __post_init__(self) -> None:
        if len(self.camera.batch_shape) != 1:
            raise ValueError(f"a trajectory has one axis, its frames, got {list(self.camera.batch_shape)}")
        if not len(self.camera):
            raise ValueError("a trajectory has at least one frame, got none")
        if not (isfinite(self.fps) and self.fps > 0.0):
            raise ValueError(f"fps is a positive number, got {self.fps}")
        if self.unit not in UNITS:
            raise ValueError(f"a unit is one of {', '.join(UNITS)}, got {self.unit!r}")

    def __len__(self) -> int:
        return len(self.camera)

    @overload
    def __getitem__(self, index: int) -> Camera: ...

    @overload
    def __getitem__(self, index: slice) -> Trajectory: ...

    def __getitem__(self, index: int | slice) -> Camera | Trajectory:
        """The camera of one frame, or the trajectory of a slice, backwards too (its fps unchanged)."""
        if isinstance(index, slice):
            return replace(self, camera=self.camera[list(range(len(self)))[index]])
        return self.camera[index]

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

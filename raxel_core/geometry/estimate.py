"""What every estimator of cameras gives: a path, the footage it lies over, its error bars, and a verdict to act on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from . import se3
from .sparse_points import SparsePoints
from .trajectory import Trajectory

MOTIONS = ("still", "rotation", "moving")
"""What was found: a camera that did not move, one that only turned, or one that moved."""
_PARAMETERS = 7
_STANDSTILL = 1e-6


@dataclass(frozen=True)
class Footage:
    """Which pictures the cameras of a path belong to.

    `name` of the file or folder; `start` in seconds of what was read; `rate`, frames a second of the footage itself;
    `frames`, the number in the footage, from 0, of each camera's picture, rising. `pictures` are the file names of a
    series of pictures by those numbers, "" where one is missing; empty for a video.
    """

    name: str
    start: float
    rate: float
    frames: tuple[int, ...]
    pictures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pictures and self.frames and self.frames[-1] >= len(self.pictures):
            raise ValueError(f"footage of {len(self.pictures)} pictures has no frame number {self.frames[-1]}")
        if list(self.frames) != sorted(set(self.frames)) or (self.frames and self.frames[0] < 0):
            raise ValueError("frame numbers of footage rise from 0 on, each once")
        if not (math.isfinite(self.rate) and self.rate > 0.0 and math.isfinite(self.start) and self.start >= 0.0):
            raise ValueError(f"footage starts at 0 or later and has a rate above 0, got {self.start} and {self.rate}")


@dataclass(frozen=True, eq=False)
class Estimate:
    """A path that was estimated from pictures, and how far to trust it.

    `estimator` names the method (colmap, joint, ray_diffusion, ...), `motion` is one of MOTIONS and `verdict` one
    sentence. `covariance` [F, 7, 7] is that of (omega, centre, log f) of each camera against the first: its rotation is
    exp(omega) R with omega in radians, the centre in the path's unit; what is known by definition has zeros. It counts
    what the method can see of its own error and is a lower bound; None where the method gives none. `residual_px` [F]
    is each frame's root mean square reprojection error in pixels of the path, NaN where there is none. `interpolated`
    are indices of cameras that were not estimated but lie between two that were; `missing` the numbers of pictures
    that have no camera. `points` are the scene's points where the method finds some.
    """

    trajectory: Trajectory
    estimator: str
    footage: Footage
    motion: str
    verdict: str
    covariance: Tensor | None = None
    residual_px: Tensor | None = None
    interpolated: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    points: SparsePoints | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        frames = len(self.trajectory)
        if self.motion not in MOTIONS:
            raise ValueError(f"a motion is one of {', '.join(MOTIONS)}, got {self.motion!r}")
        if len(self.footage.frames) != frames:
            raise ValueError(f"a path of {frames} cameras lies over as many frames, got {len(self.footage.frames)}")
        if self.covariance is not None and self.covariance.shape != (frames, _PARAMETERS, _PARAMETERS):
            raise ValueError(f"covariance is [{frames}, 7, 7], got {list(self.covariance.shape)}")
        if self.residual_px is not None and self.residual_px.shape != (frames,):
            raise ValueError(f"residual_px is [{frames}], got {list(self.residual_px.shape)}")

    @property
    def rotation_sigma(self) -> Tensor | None:
        """[F]: the standard deviation of each rotation against the first camera's, in radians (root of the trace)."""
        return None if self.covariance is None else _root_of_trace(self.covariance[:, :3, :3])

    @property
    def centre_sigma(self) -> Tensor | None:
        """[F]: the standard deviation of each centre against the first, in the path's unit (root of the trace)."""
        return None if self.covariance is None else _root_of_trace(self.covariance[:, 3:6, 3:6])

    @property
    def focal_sigma(self) -> float | None:
        """The relative standard deviation of the focal length, the largest of all frames; 0 when it was given."""
        return None if self.covariance is None else float(self.covariance[:, 6, 6].clamp(min=0.0).max().sqrt())

    def of(self, kept: Sequence[int]) -> Estimate:
        """The estimate of the cameras at the rising indices `kept` alone, without the scene's points."""
        index, own = list(kept), self.trajectory
        return replace(
            self,
            trajectory=replace(own, camera=own.camera[index], numbers=None),
            footage=replace(self.footage, frames=tuple(self.footage.frames[i] for i in index)),
            covariance=None if self.covariance is None else self.covariance[index],
            residual_px=None if self.residual_px is None else self.residual_px[index],
            interpolated=tuple(place for place, i in enumerate(index) if i in self.interpolated),
            points=None,
        )

    def scaled(self, factor: float, *, unit: str) -> Estimate:
        """The same estimate with all lengths times `factor`, which are then in `unit`."""
        covariance, points = self.covariance, self.points
        if covariance is not None:
            stretch = covariance.new_tensor([1.0] * 3 + [factor] * 3 + [1.0])
            covariance = covariance * stretch[:, None] * stretch
        if points is not None:
            points = points.transformed(factor, torch.eye(3, dtype=points.position.dtype), points.position.new_zeros(3))
        return replace(self, trajectory=self.trajectory.scaled(factor, unit=unit), covariance=covariance, points=points)


def estimate_of(
    trajectory: Trajectory, estimator: str, *, frames: Sequence[int] | None = None, notes: Sequence[str] = ()
) -> Estimate:
    """Cameras that another program found in these `frames` of its footage, from 0, as an estimate; None for those of
    the path."""
    center = trajectory.camera.center - trajectory.camera.center[:1]
    rotation = trajectory.camera.rotation
    if float(torch.linalg.vector_norm(center, dim=-1).max()) > _STANDSTILL:
        motion = "moving"
    else:
        motion = "rotation" if float(se3.geodesic(rotation, rotation[:1]).max()) > _STANDSTILL else "still"
    verdict = f"Cameras from {estimator}, which gives no error bars."
    pictures = Footage("", 0.0, trajectory.fps, tuple(trajectory.frame_numbers if frames is None else frames))
    return Estimate(trajectory, estimator, pictures, motion, verdict, notes=tuple(notes))


def as_estimate(cameras: Trajectory | Estimate, estimator: str = "another estimator") -> Estimate:
    """`cameras` as an estimate: itself when it is one, else without error bars."""
    return cameras if isinstance(cameras, Estimate) else estimate_of(cameras, estimator)


def _root_of_trace(covariance: Tensor) -> Tensor:
    return covariance.diagonal(dim1=-2, dim2=-1).sum(-1).clamp(min=0.0).sqrt()

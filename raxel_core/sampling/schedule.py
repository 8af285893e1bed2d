"""Noise levels over the steps of a run, one list per stream: this file owns time.

Everywhere in this package the noise level is **sigma**: 1 is pure noise, 0 is data, a noisy latent is
`x = (1 - sigma) * data + sigma * noise` and the network predicts Wan's velocity `noise - data`. The papers write
`t = 1 - sigma` and a velocity of the opposite sign ("Rays as Pixels", eq. 3); Wan's own timestep is `1000 * sigma`.

A run has one schedule per stream, and the pair says which task it is: a stream whose schedule is all zeros is given,
a stream that starts at 1 is sought.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

JOINT_MODES = ("first", "together")


class Sigmas(NamedTuple):
    """The noise level of each stream at one moment of a run."""

    video: float
    rays: float


@dataclass(frozen=True, eq=False)
class PairSchedule:
    """The noise levels [steps + 1] of both streams, never rising, within [0, 1], ending in 0.

    Raises ValueError naming the stream when a list breaks one of these rules or the two differ in length.
    """

    video: Tensor
    rays: Tensor

    def __post_init__(self) -> None:
        if self.video.shape != self.rays.shape:
            raise ValueError(
                f"both streams need schedules of one length, got {tuple(self.video.shape)} for video "
                f"and {tuple(self.rays.shape)} for rays"
            )
        for name, sigmas in (("video", self.video), ("rays", self.rays)):
            _check_sigmas(name, sigmas)

    @property
    def steps(self) -> int:
        """The number of steps, one less than the number of noise levels."""
        return self.video.shape[0] - 1

    @property
    def start(self) -> Sigmas:
        """The noise levels at which the run starts."""
        return Sigmas(float(self.video[0]), float(self.rays[0]))

    def __iter__(self) -> Iterator[tuple[Sigmas, Sigmas]]:
        """Yield (noise levels now, noise levels after the step), step by step."""
        levels = [Sigmas(*pair) for pair in zip(self.video.tolist(), self.rays.tolist(), strict=True)]
        return pairwise(levels)


def shifted_sigmas(steps: int, *, shift: float = 1.0) -> Tensor:
    """Return [steps + 1] noise levels from 1 to 0 in float64; `shift` above 1 spends more steps at high noise.

    sigma = shift s / (1 + (shift - 1) s) over uniform s: the resolution shift of flow matching (Esser et al. 2024,
    section 5.3.2), as Wan uses it. Raises ValueError for fewer than one step or a shift that is not positive.
    """
    if steps < 1:
        raise ValueError(f"a schedule needs at least 1 step, got {steps}")
    if not shift > 0:
        raise ValueError(f"the shift of a schedule must be positive, got {shift}")
    uniform = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
    # Not 1 + (shift - 1) s below the line, which is rounded: the first level, 1, became more than 1 at a shift of 0.1.
    return shift * uniform / (shift * uniform + (1.0 - uniform))


def pose_schedule(steps: int = 2) -> PairSchedule:
    """Video given, rays sought: p(rays | video). Two steps are the paper's best ("Rays as Pixels", table 3)."""
    rays = shifted_sigmas(steps)
    return PairSchedule(video=torch.zeros_like(rays), rays=rays)


def camera_schedule(steps: int = 20, *, shift: float = 1.0) -> PairSchedule:
    """Rays given, video sought: p(video | rays)."""
    video = shifted_sigmas(steps, shift=shift)
    return PairSchedule(video=video, rays=torch.zeros_like(video))


def joint_schedule(
    steps: int = 20, ray_steps: int | None = None, *, mode: str = "first", shift: float = 1.0, ray_shift: float = 1.0
) -> PairSchedule:
    """Both sought: p(video, rays), in `steps` steps of the video.

    mode "first": the rays descend during the first `ray_steps` steps (half of them, at most 4, when None) and stay
    clean while the video follows its own schedule to the end. mode "together": the rays descend over all steps, so
    `ray_steps` must be None or equal to `steps`. Raises ValueError otherwise, or when the rays would need more
    steps than the video has.
    """
    if mode not in JOINT_MODES:
        raise ValueError(f"the joint mode must be one of {', '.join(JOINT_MODES)}, got {mode!r}")
    if ray_steps is None:
        ray_steps = min(4, (steps + 1) // 2) if mode == "first" else steps
    if mode == "together" and ray_steps != steps:
        raise ValueError(f"mode 'together' gives rays and video the same number of steps, got {ray_steps} and {steps}")
    if ray_steps > steps:
        raise ValueError(f"the rays cannot take more steps than the video: {ray_steps} of {steps}")
    video = shifted_sigmas(steps, shift=shift)
    rays = torch.zeros_like(video)
    rays[: ray_steps + 1] = shifted_sigmas(ray_steps, shift=ray_shift)
    return PairSchedule(video=video, rays=rays)


def _check_sigmas(name: str, sigmas: Tensor) -> None:
    """Raise ValueError unless `sigmas` [n + 1] is a schedule: finite, within [0, 1], never rising, ending in 0."""
    if sigmas.ndim != 1 or sigmas.shape[0] < 2:
        raise ValueError(f"the {name} schedule must be a list of at least 2 noise levels, got {tuple(sigmas.shape)}")
    if not bool(((sigmas >= 0) & (sigmas <= 1)).all()):
        raise ValueError(f"the {name} schedule must stay within [0, 1], got {sigmas.tolist()}")
    if not bool((sigmas[1:] <= sigmas[:-1]).all()):
        raise ValueError(f"the {name} schedule must never rise, got {sigmas.tolist()}")
    if float(sigmas[-1]) != 0.0:
        raise ValueError(f"the {name} schedule must end in 0, got {float(sigmas[-1])}")

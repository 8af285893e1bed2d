"""Solvers of the probability-flow ODE of flow matching over two streams with noise levels of their own.

The contract: `denoise(x, sigmas)` returns the data that both noisy latents are believed to come from. Wrappers turn
a velocity network into it, guidance wraps it again, and the schedule is data that ends in 0, so a solver knows nothing
of networks. dx/dsigma = (x - denoised) / sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from .schedule import PairSchedule, Sigmas


class Streams(NamedTuple):
    """The two streams of the model, in the order in which everything happens: the video first, then the rays."""

    video: Tensor
    rays: Tensor


Denoise = Callable[[Streams, Sigmas], Streams]
Progress = Callable[[int, int], None]
Solver = Callable[..., Streams]


class NonFiniteLatentsError(ValueError):
    """Latents became NaN or infinite; the message names the stream and the step."""


def draw_noise(video_shape: Sequence[int], ray_shape: Sequence[int], *, seed: int) -> Streams:
    """Draw float32 standard normal noise for both streams from one CPU generator.

    The video is drawn first, so its noise does not depend on the grid of the rays; the same seed gives the same bytes
    on every device. Raises ValueError for a seed that is not one of 64 bits.
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"a seed is a whole number from 0 to 2^64 - 1, got {seed}")
    generator = torch.Generator(device="cpu").manual_seed(seed)
    video = torch.randn(tuple(video_shape), generator=generator, dtype=torch.float32)
    rays = torch.randn(tuple(ray_shape), generator=generator, dtype=torch.float32)
    return Streams(video, rays)


def sample_euler(denoise: Denoise, x: Streams, schedule: PairSchedule, *, progress: Progress | None = None) -> Streams:
    """Carry `x` from the schedule's first noise levels to 0 by Euler steps, one evaluation each.

    A stream whose noise level does not change is not touched: a given stream comes back bit-identical. An exactly
    straight flow is solved exactly whatever the number of steps. `progress(done, total)` is called after each step;
    whatever it raises ends the run. Raises NonFiniteLatentsError.
    """
    _check_finite(x, f"before step 1 of {schedule.steps}")
    for index, (sigmas, sigmas_next) in enumerate(schedule):
        denoised = denoise(x, sigmas)
        x = Streams(*map(_euler_step, x, denoised, sigmas, sigmas_next))
        _check_finite(x, f"after step {index + 1} of {schedule.steps}")
        if progress is not None:
            progress(index + 1, schedule.steps)
    return x


def sample_multistep(
    denoise: Denoise, x: Streams, schedule: PairSchedule, *, progress: Progress | None = None
) -> Streams:
    """Like `sample_euler`, of second order at the same cost: one evaluation each step.

    Two-step Adams-Bashforth over uneven steps (Hairer, Norsett, Wanner, "Solving ODEs I", III.5): the slope of the
    previous step predicts how the velocity changes within this one. The first moving step of each stream is Euler.
    """
    _check_finite(x, f"before step 1 of {schedule.steps}")
    memory: tuple[_Slope | None, _Slope | None] = (None, None)
    for index, (sigmas, sigmas_next) in enumerate(schedule):
        denoised = denoise(x, sigmas)
        slopes = tuple(map(_slope, x, denoised, sigmas, sigmas_next))
        x = Streams(*map(_adams_bashforth_step, x, slopes, memory))
        memory = (slopes[0], slopes[1])
        _check_finite(x, f"after step {index + 1} of {schedule.steps}")
        if progress is not None:
            progress(index + 1, schedule.steps)
    return x


def check_solver(name: str) -> str:
    """Return `name`; ValueError when it is not one of SOLVERS."""
    if name not in SOLVERS:
        raise ValueError(f"a solver is one of {', '.join(SOLVERS)}, got {name!r}")
    return name


def solver_for(name: str, schedule: PairSchedule, *, antithetic: bool) -> Solver:
    """The solver called `name`; `antithetic`, where the video is given and the rays start as noise, the mean of its
    rays from that noise and from its negative.

    What a result owes to the noise and turns over with it cancels (antithetic variates: Hammersley and Morton 1956,
    "A new Monte Carlo technique"), which leaves nearly the mean of what could be at the cost of two runs.
    """
    paired = antithetic and schedule.start == Sigmas(video=0.0, rays=1.0)
    return _antithetic(SOLVERS[name]) if paired else SOLVERS[name]


def _antithetic(solve: Solver) -> Solver:
    """`solve` from the rays' noise and its negative side by side, so that a step is still one step."""

    def both(denoise: Denoise, x: Streams, schedule: PairSchedule, *, progress: Progress | None = None) -> Streams:
        def paired(x: Streams, sigmas: Sigmas) -> Streams:
            made = [denoise(Streams(x.video, rays), sigmas) for rays in x.rays.chunk(2)]
            return Streams(made[0].video, torch.cat([each.rays for each in made]))

        video, rays = solve(paired, Streams(x.video, torch.cat((x.rays, -x.rays))), schedule, progress=progress)
        return Streams(video, torch.stack(rays.chunk(2)).mean(0))

    return both


class _Slope(NamedTuple):
    """dx/dsigma at the start of a step and the (negative) change of sigma over it."""

    velocity: Tensor
    change: float


def _euler_step(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """Move `x` from `sigma` to `sigma_next` along the line to `denoised`."""
    if sigma_next == sigma:
        return x
    return denoised + (x - denoised) * (sigma_next / sigma)


def _slope(x: Tensor, denoised: Tensor, sigma: float, sigma_next: float) -> _Slope | None:
    """Return the slope of one stream, or None while its noise level rests."""
    if sigma_next == sigma:
        return None
    return _Slope((x - denoised) / sigma, sigma_next - sigma)


def _adams_bashforth_step(x: Tensor, slope: _Slope | None, previous: _Slope | None) -> Tensor:
    """Advance one stream by its slope, corrected by the change since the previous step's slope."""
    if slope is None:
        return x
    if previous is None:
        return x + slope.change * slope.velocity
    correction = slope.change / (2.0 * previous.change)
    return x + slope.change * (slope.velocity + correction * (slope.velocity - previous.velocity))


def _check_finite(x: Streams, moment: str) -> None:
    """Raise NonFiniteLatentsError naming the stream and the moment when a latent is NaN or infinite."""
    for name, latents in zip(Streams._fields, x, strict=True):
        if not bool(torch.isfinite(latents).all()):
            raise NonFiniteLatentsError(f"the {name} latents contain NaN or infinity {moment}")


SOLVERS: Mapping[str, Solver] = MappingProxyType({"euler": sample_euler, "multistep": sample_multistep})

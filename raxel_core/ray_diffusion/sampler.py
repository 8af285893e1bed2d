"""From noise to rays: the deterministic sampler of Ray Diffusion, stopped early, and the one pass of Ray Regression.

The network predicts clean rays, which are made lines at every step; x keeps its own noise, or moves to the posterior
mean without new noise as published.
The answer is the prediction at level 29 of 100, which the paper found better than going on to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from .bundle import normalized_bundle, published_bundle
from .config import RAY_CHANNELS, RayDiffusionConfig
from .network import RayDiffuser

METHODS = ("diffusion", "regression")
# The level whose prediction is the answer, as a share of the levels: 29 of 100.
STOP_SHARE = 0.29
# Steps from the last level to the stop, one by one, as published.
ALL_STEPS = 71
_CLIP = 5.0

Denoise = Callable[[Tensor, int], Tensor]
"""Noisy rays [S, N, 6, grid, grid] and their level -> clean rays of that shape."""


@dataclass(frozen=True)
class SamplerSettings:
    """`method` of METHODS; `steps` network passes of the diffusion; `samples` drawn with `seed`.

    `make_lines` turns predictions into lines (`bundle.normalized_bundle`, or `published_bundle` for parity), and
    `regression_level` is the level that the one pass of the regression is told: the last, which it is trained with;
    the published inference tells one more. `keep_noise` is False for the published step: its samples differ little.
    """

    method: str = "diffusion"
    steps: int = ALL_STEPS
    samples: int = 1
    seed: int = 0
    make_lines: Callable[[Tensor], Tensor] = normalized_bundle
    regression_level: int | None = None
    keep_noise: bool = True

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}, got {self.method!r}")
        if self.steps < 1 or self.samples < 1:
            raise ValueError(f"steps and samples are at least 1, got {self.steps} and {self.samples}")

    def as_published(self, timesteps: int) -> SamplerSettings:
        """The same with the arithmetic of the published code, for a network of `timesteps` levels."""
        return replace(self, make_lines=published_bundle, regression_level=timesteps, keep_noise=False)


def sampled_rays(
    network: RayDiffuser,
    features: Tensor,
    ndc: Tensor,
    settings: SamplerSettings,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Rays [S, N, 6, grid, grid] of N photographs with `features` [N, C, grid, grid] and `ndc` [N, 2, grid, grid].

    Noise comes from a CPU generator, so that the same seed draws the same noise on every device.
    """
    config = network.config
    generator = torch.Generator().manual_seed(settings.seed)
    shape = (settings.samples, len(features), RAY_CHANNELS, config.grid, config.grid)
    noise = torch.randn(shape, generator=generator).to(features.device)
    denoise = chunked_denoise(network, features, ndc, generator)
    last = config.timesteps - 1
    if settings.method == "regression":
        level = last if settings.regression_level is None else settings.regression_level
        rays = settings.make_lines(denoise(noise, level))
        progress(1, 1)
        return rays
    levels = sampling_levels(config, settings.steps)
    return sample(
        network,
        denoise,
        noise,
        levels,
        make_lines=settings.make_lines,
        keep_noise=settings.keep_noise,
        progress=progress,
    )


def sampling_levels(config: RayDiffusionConfig, steps: int) -> list[int]:
    """`steps` levels from the last one to the stop, evenly spaced, or every level where there are fewer."""
    last, stop = config.timesteps - 1, round(STOP_SHARE * config.timesteps)
    count = min(steps, last - stop + 1)
    if count == 1:
        return [last]
    return [round(last + (stop - last) * i / (count - 1)) for i in range(count)]


@torch.no_grad()
def sample(
    network: RayDiffuser,
    denoise: Denoise,
    noise: Tensor,
    levels: list[int],
    *,
    make_lines: Callable[[Tensor], Tensor] = normalized_bundle,
    keep_noise: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """The prediction of clean rays at the last of `levels`, reached from `noise` at the first, one after another."""
    x, schedule = noise, network.noise_scheduler
    step = schedule.implicit if keep_noise else schedule.posterior_mean
    for i, level in enumerate(levels):
        lines = make_lines(denoise(x, level))
        if i + 1 < len(levels):
            x = step(x, lines, level, levels[i + 1]).clamp(-_CLIP, _CLIP)
        progress(i + 1, len(levels))
    return lines


def chunked_denoise(network: RayDiffuser, features: Tensor, ndc: Tensor, generator: torch.Generator) -> Denoise:
    """The network over any number of photographs, `max_images` at a time.

    More are split at random at every call: the first photograph is in each chunk, and its rays are averaged.
    """
    most = network.config.max_images
    seen_of = lru_cache(maxsize=1)(lambda chunk: network.seen(features[None, chunk], ndc[None, chunk]))

    @torch.no_grad()
    def denoise(x: Tensor, level: int) -> Tensor:
        samples, images = x.shape[:2]
        t = torch.full((samples,), level, device=x.device)
        chunks = _chunks(images, most, generator)
        out = torch.zeros_like(x)
        for chunk in chunks:
            out[:, chunk] += network.denoised(seen_of(chunk), x[:, chunk], t).to(out.dtype)
        out[:, 0] /= len(chunks)
        return out

    return denoise


def _chunks(images: int, most: int, generator: torch.Generator) -> list[tuple[int, ...]]:
    """Numbers of photographs, at most `most` in a chunk and the first in all."""
    if images <= most:
        return [tuple(range(images))]
    others = (torch.randperm(images - 1, generator=generator) + 1).tolist()
    return [(0, *others[i : i + most - 1]) for i in range(0, len(others), most - 1)]

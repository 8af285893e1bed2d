"""The noise of Ray Diffusion: a linear schedule, the forward process, and the posterior mean back."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NoiseSchedule(nn.Module):
    """T noise levels: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise; the buffers have the released names.

    Sources: J. Ho et al., Denoising Diffusion Probabilistic Models (arXiv 2006.11239), equations 4 and 7; J. Song et
    al., Denoising Diffusion Implicit Models (arXiv 2010.02502), equation 12 without noise.
    """

    betas: Tensor
    alphas: Tensor
    alphas_cumprod: Tensor

    def __init__(self, timesteps: int, beta_start: float, beta_end: float) -> None:
        super().__init__()
        betas = torch.linspace(beta_start, beta_end, timesteps)
        self.register_buffer("betas", betas)
        self.register_buffer("alphas", 1.0 - betas)
        self.register_buffer("alphas_cumprod", torch.cumprod(1.0 - betas, dim=0))

    def noised(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t of clean `x` [B, ...] with `noise` of its shape at the levels `t` [B]."""
        level = self.alphas_cumprod[t].reshape(-1, *(1,) * (x.ndim - 1))
        return level.sqrt() * x + (1.0 - level).sqrt() * noise

    def posterior_mean(self, x: Tensor, denoised: Tensor, t: int, earlier: int) -> Tensor:
        """E[x_s | x_t, x_0] for the level s = `earlier` below `t`, any step wide; s = -1 is the clean end.

        sqrt(abar_s) (1 - a) / (1 - abar_t) x_0 + sqrt(a) (1 - abar_s) / (1 - abar_t) x_t with a = abar_t / abar_s.
        """
        here = self.alphas_cumprod[t]
        there = self.alphas_cumprod[earlier] if earlier >= 0 else torch.ones_like(here)
        ratio = self.alphas[t] if earlier == t - 1 else here / there
        of_denoised = there.sqrt() * (1.0 - ratio) / (1.0 - here)
        return of_denoised * denoised + ratio.sqrt() * (1.0 - there) / (1.0 - here) * x

    def implicit(self, x: Tensor, denoised: Tensor, t: int, earlier: int) -> Tensor:
        """x_s of the noise that is in x_t where x_0 is `denoised`: sqrt(abar_s) x_0 + sqrt(1 - abar_s) noise.

        The posterior mean holds less noise than its level has, so that samples run together into the mean.
        """
        here = self.alphas_cumprod[t]
        there = self.alphas_cumprod[earlier] if earlier >= 0 else torch.ones_like(here)
        noise = (x - here.sqrt() * denoised) / (1.0 - here).sqrt()
        return there.sqrt() * denoised + (1.0 - there).sqrt() * noise

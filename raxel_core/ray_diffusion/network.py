"""The whole network of Ray Diffusion: noise schedule, features and ray transformer, under the released names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import RayDiffusionConfig
from .features import feature_extractor
from .noise import NoiseSchedule
from .transformer import RayTransformer


class RayDiffuser(nn.Module):
    """Predicts the clean rays of N photographs from their features and noisy rays."""

    def __init__(self, config: RayDiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.noise_scheduler = NoiseSchedule(config.timesteps, config.beta_start, config.beta_end)
        self.feature_extractor = feature_extractor(config)
        self.ray_predictor = RayTransformer(config)

    def features(self, crops: Tensor) -> Tensor:
        """Features [B, N, C, grid, grid] of `crops` [B, N, 3, px, px] in [-1, 1]."""
        return self.feature_extractor(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])

    def denoised(self, features: Tensor, rays: Tensor, ndc: Tensor, t: Tensor) -> Tensor:
        """The clean rays [B, N, 6, grid, grid] as they are expected from noisy `rays` of that shape at the levels
        `t` [B], with `features` [B, N, C, grid, grid] and `ndc` [B, N, 2, grid, grid], where each ray passes."""
        return self.ray_predictor(torch.cat((features, rays, ndc), dim=2), t)

    def forward(self, crops: Tensor, rays: Tensor, ndc: Tensor, t: Tensor) -> Tensor:
        """`denoised` of the features of `crops` [B, N, 3, px, px]; in training this is what gradients go through."""
        return self.denoised(self.features(crops), rays, ndc, t)

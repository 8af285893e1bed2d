"""The whole network of Ray Diffusion: noise schedule, features and ray transformer, under the released names."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .config import RayDiffusionConfig
from .features import feature_extractor
from .matches import Matches
from .noise import NoiseSchedule
from .transformer import RayTransformer


class RayPrediction(NamedTuple):
    """Clean `rays` [B, N, 6, grid, grid], and the `chances` [B, N, T, N, L] of a network with matches."""

    rays: Tensor
    chances: Tensor | None


class RayDiffuser(nn.Module):
    """Predicts the clean rays of N photographs from their features and noisy rays."""

    def __init__(self, config: RayDiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.noise_scheduler = NoiseSchedule(config.timesteps, config.beta_start, config.beta_end)
        self.feature_extractor = feature_extractor(config)
        self.ray_predictor = RayTransformer(config)
        self.matches = Matches(config) if config.matches else None

    def features(self, crops: Tensor) -> Tensor:
        """Features [B, N, C, grid, grid] of `crops` [B, N, 3, px, px] in [-1, 1]."""
        return self.feature_extractor(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])

    def denoised(self, features: Tensor, rays: Tensor, ndc: Tensor, t: Tensor) -> Tensor:
        """The clean rays [B, N, 6, grid, grid] as they are expected from noisy `rays` of that shape at the levels
        `t` [B], with `features` [B, N, C, grid, grid] and `ndc` [B, N, 2, grid, grid], where each ray passes."""
        return self.predicted(features, rays, ndc, t).rays

    def predicted(self, features: Tensor, rays: Tensor, ndc: Tensor, t: Tensor) -> RayPrediction:
        """The same with the chances from which matches are read."""
        if self.matches is None:
            return RayPrediction(self.ray_predictor(torch.cat((features, rays, ndc), dim=2), t), None)
        chances = self.matches.chances(features)
        found = self.matches(chances, ndc).to(features.dtype)
        return RayPrediction(self.ray_predictor(torch.cat((features, rays, ndc, found), dim=2), t), chances)

    def forward(self, crops: Tensor, rays: Tensor, ndc: Tensor, t: Tensor) -> RayPrediction:
        """`predicted` of the features of `crops` [B, N, 3, px, px]; in training this is what gradients go through."""
        return self.predicted(self.features(crops), rays, ndc, t)

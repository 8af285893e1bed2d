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


class Seen(NamedTuple):
    """What does not change from step to step: `features` [B, N, C, grid, grid], `ndc` [B, N, 2, grid, grid] where each
    ray passes, and of a network with matches the places `found` [B, N, 3 max_images, grid, grid] with the `chances`
    [B, N, T, N, L] that they were read from."""

    features: Tensor
    ndc: Tensor
    found: Tensor | None
    chances: Tensor | None


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

    def seen(self, features: Tensor, ndc: Tensor) -> Seen:
        """`features` and `ndc` with what the network finds by them alone."""
        if self.matches is None:
            return Seen(features, ndc, None, None)
        chances = self.matches.chances(features)
        return Seen(features, ndc, self.matches(chances, ndc).to(features.dtype), chances)

    def denoised(self, seen: Seen, rays: Tensor, t: Tensor) -> Tensor:
        """The clean rays [B, N, 6, grid, grid] as they are expected from noisy `rays` of that shape at the levels
        `t` [B]; what is `seen` may be that of one set of photographs for all."""
        parts = [part.expand(len(rays), *part.shape[1:]) for part in (seen.features, seen.ndc, seen.found)
                 if part is not None]  # fmt: skip
        return self.ray_predictor(torch.cat((parts[0], rays, *parts[1:]), dim=2), t)

    def forward(self, crops: Tensor, rays: Tensor, ndc: Tensor, t: Tensor) -> RayPrediction:
        """`denoised` by the features of `crops` [B, N, 3, px, px]; in training this is what gradients go through."""
        seen = self.seen(self.features(crops), ndc)
        return RayPrediction(self.denoised(seen, rays, t), seen.chances)

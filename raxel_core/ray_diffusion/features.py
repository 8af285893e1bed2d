"""What a Ray Diffusion network sees of its crops: one feature vector per ray, by DINOv2 or by a small convolution."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn
from torch.nn import Conv2d, GroupNorm
from torch.nn.functional import interpolate

from .config import RayDiffusionConfig
from .dino import DinoV2


class FeatureExtractor(Protocol):
    """Crops [M, 3, px, px] in [-1, 1] -> features [M, C, grid, grid]."""

    def __call__(self, crops: Tensor) -> Tensor:
        """The features."""
        ...


class DinoFeatures(nn.Module):
    """Frozen DINOv2 patch tokens, resized to the grid of rays where the crop gives another one."""

    def __init__(self, config: RayDiffusionConfig) -> None:
        super().__init__()
        self.model = DinoV2().requires_grad_(False)
        self.grid = config.grid

    def forward(self, crops: Tensor) -> Tensor:
        """[M, 3, px, px] in [-1, 1] -> [M, 384, grid, grid].

        The released network was trained on crops scaled to [-1, 1], not on ImageNet's mean and deviation.
        """
        tokens = self.model(crops)
        if tokens.shape[-2:] == (self.grid, self.grid):
            return tokens
        return interpolate(tokens, size=(self.grid, self.grid), mode="bilinear", align_corners=False)


class ConvolutionFeatures(nn.Module):
    """A few convolutions, trained with the rest: for crops of four pixels a ray."""

    def __init__(self, config: RayDiffusionConfig) -> None:
        super().__init__()
        if config.image_px != 4 * config.grid:
            raise ValueError(
                f"crops have 4 px a ray, {4 * config.grid} for a grid of {config.grid}, not {config.image_px}"
            )
        channels = config.feature_channels
        self.stem = Conv2d(3, channels // 2, 4, 2, 1)
        self.down = Conv2d(channels // 2, channels, 4, 2, 1)
        self.blocks = nn.ModuleList(_Residual(channels) for _ in range(2))
        self.norm = GroupNorm(1, channels)

    def forward(self, crops: Tensor) -> Tensor:
        """[M, 3, 4 grid, 4 grid] in [-1, 1] -> [M, C, grid, grid]."""
        x = self.down(nn.functional.silu(self.stem(crops)))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class _Residual(nn.Module):
    """x + conv(silu(conv(silu(norm x)))), the last one zero at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = GroupNorm(8, channels)
        self.first, self.second = Conv2d(channels, channels, 3, 1, 1), Conv2d(channels, channels, 3, 1, 1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.first(nn.functional.silu(self.norm(x)))
        return x + self.second(nn.functional.silu(inner))


def feature_extractor(config: RayDiffusionConfig) -> nn.Module:
    """The extractor that `config` names."""
    return DinoFeatures(config) if config.features == "dinov2_vits14" else ConvolutionFeatures(config)

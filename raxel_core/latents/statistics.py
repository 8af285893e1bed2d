"""Mean and spread of latents per channel: ray and video latents differ widely, the model sees both at unit spread."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor


@dataclass(frozen=True)
class LatentStatistics:
    """Per-channel `mean` and `std` of raw latents; normalised = (raw - mean) / std.

    Raises ValueError when the two differ in length, are empty or not finite, or a std is not positive.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        if not self.mean or len(self.mean) != len(self.std):
            given = f"{len(self.mean)} and {len(self.std)}"
            raise ValueError(f"latent statistics hold one mean and one std per channel, got {given}")
        if not all(isfinite(value) for value in self.mean + self.std):
            raise ValueError("latent statistics hold NaN or infinity")
        if min(self.std) <= 0.0:
            raise ValueError(f"the std of channel {self.std.index(min(self.std))} is {min(self.std)}, not positive")

    @classmethod
    def from_latents(cls, latents: Tensor) -> LatentStatistics:
        """The statistics of raw `latents` [B, C, T, h, w], over all axes but the channels."""
        by_channel = latents.double().movedim(1, 0).flatten(1)
        return cls(tuple(by_channel.mean(1).tolist()), tuple(by_channel.std(1, correction=0).tolist()))

    @property
    def channels(self) -> int:
        """How many channels the statistics are for."""
        return len(self.mean)

    def normalize(self, latents: Tensor) -> Tensor:
        """Raw `latents` [B, C, T, h, w] at zero mean and unit spread per channel, in their own dtype."""
        mean, std = self._columns(latents)
        return ((latents.to(mean.dtype) - mean) / std).to(latents.dtype)

    def denormalize(self, latents: Tensor) -> Tensor:
        """The raw latents [B, C, T, h, w] of normalised ones: the inverse of `normalize`."""
        mean, std = self._columns(latents)
        return (latents.to(mean.dtype) * std + mean).to(latents.dtype)

    def _columns(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and std as [C, 1, 1, 1], in float32 at least; ValueError when `latents` have other channels."""
        if latents.ndim != 5 or latents.shape[1] != self.channels:
            raise ValueError(f"latents are [B, {self.channels}, T, h, w] here, got {list(latents.shape)}")
        dtype = torch.promote_types(latents.dtype, torch.float32)
        mean = torch.tensor(self.mean, dtype=dtype, device=latents.device)
        std = torch.tensor(self.std, dtype=dtype, device=latents.device)
        return mean[:, None, None, None], std[:, None, None, None]

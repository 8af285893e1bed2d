"""What a video VAE is to the rest of the pack."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class VideoVAE(Protocol):
    """A causal video autoencoder over values in [-1, 1], which pass unclamped where they leave that range.

    Latents are raw, that is before any statistics: the checkpoint's recipe names those, one set per modality. Raxel
    images are coded in float32. A clip has F = 4k + 1 pixel frames and T = k + 1 latent frames; an image is a clip of
    one frame.
    """

    @property
    def latent_channels(self) -> int:
        """The channels C of its latents."""
        ...

    @property
    def spatial_stride(self) -> int:
        """The pixels of a side that one latent cell codes."""
        ...

    @property
    def temporal_stride(self) -> int:
        """The frames that one latent frame after the first codes."""
        ...

    def encode(self, video: Tensor) -> Tensor:
        """Raw latents [B, C, T, h, w] of `video` [B, 3, F, H, W]."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Video [B, 3, F, H, W] of raw `latents` [B, C, T, h, w], not clamped."""
        ...


def encode_images(vae: VideoVAE, images: Tensor) -> Tensor:
    """Raw latents [B, C, N, h, w] of `images` [B, 3, N, H, W], each coded alone, without temporal compression."""
    if images.ndim != 5 or images.shape[1] != 3 or images.shape[2] < 1:
        raise ValueError(f"images are [B, 3, N, H, W] with N at least 1, got {list(images.shape)}")
    return torch.cat([vae.encode(image) for image in images.split(1, dim=2)], dim=2)

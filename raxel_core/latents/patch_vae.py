"""The small checkpoint's VAE: a linear, causal patch code with a convolutional decoder on top.

Frame 0 is coded alone from 8x8 patches; each later group of four frames from 4x8x8 patches. Encoding is one matrix
product with the principal components of video and raxel patches (training/vae.py fits them in closed form), so it is
exact, instant, and finite wherever its input is. Decoding is the transposed product plus `Refiner`, which looks at
neighbouring patches to remove their seams.
"""

from __future__ import annotations

from pathlib import Path

import torch
from einops import rearrange
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import Conv2d

from .frames import check_frame_count

PATCH = 8
GROUP = 4
IMAGE_VALUES = 3 * PATCH * PATCH
GROUP_VALUES = IMAGE_VALUES * GROUP


class Refiner(nn.Module):
    """Latents [N, C, h, w] of one latent frame -> correction of its patches [N, values, h, w]; starts at zero."""

    def __init__(self, channels: int, hidden: int, values: int) -> None:
        super().__init__()
        self.enter = Conv2d(channels, hidden, 3, padding=1, padding_mode="replicate")
        self.mix = Conv2d(hidden, hidden, 3, padding=1, padding_mode="replicate")
        self.leave = Conv2d(hidden, values, 1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, latents: Tensor) -> Tensor:
        hidden = nn.functional.gelu(self.enter(latents))
        return self.leave(hidden + nn.functional.gelu(self.mix(hidden)))


class PatchVAE(nn.Module):
    """VideoVAE with stride 8 in space and 4 in time. `encode` takes [B, 3, 4k+1, H, W], H and W multiples of 8, values
    about [-1, 1] and never clamped; latents are raw (before the checkpoint's statistics)."""

    spatial_stride = PATCH
    temporal_stride = GROUP
    image_code: Tensor  # [C, 192] rows are orthonormal
    image_mean: Tensor  # [192]
    group_code: Tensor  # [C, 768]
    group_mean: Tensor  # [768]

    def __init__(self, channels: int = 64, hidden: int = 128) -> None:
        super().__init__()
        self.latent_channels = channels
        self.hidden = hidden
        for name, values in (("image", IMAGE_VALUES), ("group", GROUP_VALUES)):
            self.register_buffer(f"{name}_code", torch.zeros(channels, values))
            self.register_buffer(f"{name}_mean", torch.zeros(values))
        self.image_refiner = Refiner(channels, hidden, IMAGE_VALUES)
        self.group_refiner = Refiner(channels, hidden, GROUP_VALUES)

    def encode(self, video: Tensor) -> Tensor:
        """[B, 3, F, H, W] -> raw latents [B, C, 1 + (F-1)/4, H/8, W/8]. ValueError on other frame counts or sizes."""
        self._check(video)
        image = (image_patches(video[:, :, :1]) - self.image_mean) @ self.image_code.T / IMAGE_VALUES**0.5
        group = (group_patches(video[:, :, 1:]) - self.group_mean) @ self.group_code.T / GROUP_VALUES**0.5
        return rearrange(torch.cat([image, group], 1), "b t h w c -> b c t h w")

    def decode(self, latents: Tensor) -> Tensor:
        """Raw latents [B, C, T, h, w] -> [B, 3, 4(T-1)+1, 8h, 8w], about [-1, 1], not clamped."""
        if latents.ndim != 5 or latents.shape[1] != self.latent_channels:
            raise ValueError(f"latents must be [B, {self.latent_channels}, T, h, w], got {list(latents.shape)}")
        first, later = latents[:, :, :1], latents[:, :, 1:]
        image = self._patches(first, self.image_code, self.image_mean, self.image_refiner)
        group = self._patches(later, self.group_code, self.group_mean, self.group_refiner)
        return torch.cat([frames_of_patches(image, 1), frames_of_patches(group, GROUP)], 2)

    def _patches(self, latents: Tensor, code: Tensor, mean: Tensor, refiner: nn.Module) -> Tensor:
        linear = rearrange(latents, "b c t h w -> b t h w c") @ code * code.shape[1] ** 0.5 + mean
        flat = rearrange(latents, "b c t h w -> (b t) c h w")
        return linear + rearrange(refiner(flat), "(b t) v h w -> b t h w v", b=latents.shape[0])

    def _check(self, video: Tensor) -> None:
        if video.ndim != 5 or video.shape[1] != 3:
            raise ValueError(f"video must be [B, 3, F, H, W], got {list(video.shape)}")
        check_frame_count(video.shape[2])
        h, w = video.shape[3:]
        if h % PATCH or w % PATCH:
            raise ValueError(f"video height and width must be multiples of {PATCH}, got {h}x{w}")


def image_patches(frames: Tensor) -> Tensor:
    """[B, 3, F, H, W] -> [B, F, H/8, W/8, 192]."""
    return rearrange(frames, "b c t (h p) (w q) -> b t h w (c p q)", p=PATCH, q=PATCH)


def group_patches(frames: Tensor) -> Tensor:
    """[B, 3, 4k, H, W] -> [B, k, H/8, W/8, 768]."""
    return rearrange(frames, "b c (t g) (h p) (w q) -> b t h w (g c p q)", g=GROUP, p=PATCH, q=PATCH)


def frames_of_patches(patches: Tensor, group: int) -> Tensor:
    """[B, T, h, w, group*192] -> [B, 3, group*T, 8h, 8w]."""
    return rearrange(patches, "b t h w (g c p q) -> b c (t g) (h p) (w q)", g=group, c=3, p=PATCH, q=PATCH)


def load_patch_vae(path: str | Path) -> PatchVAE:
    """The VAE of a safetensors file that training/vae.py wrote, in float32; ValueError where it is another model's.

    Raises OSError when there is no such file.
    """
    name = Path(path).name
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{name} cannot be read as safetensors: {error}") from error
    code, enter = state.get("group_code"), state.get("image_refiner.enter.weight")
    if code is None or enter is None or not code.ndim or not enter.ndim:
        raise ValueError(f"{name} is not a raxel patch VAE: it lacks the tensor 'group_code' or its refiners")
    try:
        with torch.device("meta"):
            vae = PatchVAE(len(code), len(enter))
        vae.load_state_dict({key: tensor.float() for key, tensor in state.items()}, strict=True, assign=True)
    except RuntimeError as error:
        raise ValueError(f"{name} is not a raxel patch VAE: {' '.join(str(error).split())[:300]}") from error
    return vae.eval().requires_grad_(False)

"""The small checkpoint's VAE: a linear, causal code of patches that overlap.

Frame 0 is coded alone from 8x8 patches; each later group of four frames from 4x8x8 patches. Before that an orthogonal
filter mixes the pixels on both sides of every border between patches, so that a patch's code stands for a window of
16x16 pixels that fades out: what is lost or wrong in it has no edge at the border. Encoding is that filter and one
matrix product with the principal components of video and raxel patches (training/vae.py fits them in closed form), so
it is exact, instant, and finite wherever its input is. Decoding is the transposed product and the filter undone.
"""

from __future__ import annotations

from pathlib import Path

import torch
from einops import rearrange
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .frames import check_frame_count

PATCH = 8
GROUP = 4
IMAGE_VALUES = 3 * PATCH * PATCH
GROUP_VALUES = IMAGE_VALUES * GROUP


class PatchVAE(nn.Module):
    """VideoVAE with stride 8 in space and 4 in time. `encode` takes [B, 3, 4k+1, H, W], H and W multiples of 8, values
    about [-1, 1] and never clamped; latents are raw (before the checkpoint's statistics)."""

    spatial_stride = PATCH
    temporal_stride = GROUP
    lap: Tensor  # [8, 8] orthogonal: the filter across borders
    image_code: Tensor  # [C, 192] rows are orthonormal
    image_mean: Tensor  # [192]
    group_code: Tensor  # [C, 768]
    group_mean: Tensor  # [768]

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.latent_channels = channels
        self.register_buffer("lap", lapped_filter().float())
        for name, values in (("image", IMAGE_VALUES), ("group", GROUP_VALUES)):
            self.register_buffer(f"{name}_code", torch.zeros(channels, values))
            self.register_buffer(f"{name}_mean", torch.zeros(values))

    def encode(self, video: Tensor) -> Tensor:
        """[B, 3, F, H, W] -> raw latents [B, C, 1 + (F-1)/4, H/8, W/8]. ValueError on other frame counts or sizes."""
        video = across_borders(check_clip(video), self.lap)
        image = (image_patches(video[:, :, :1]) - self.image_mean) @ self.image_code.T / IMAGE_VALUES**0.5
        group = (group_patches(video[:, :, 1:]) - self.group_mean) @ self.group_code.T / GROUP_VALUES**0.5
        return rearrange(torch.cat([image, group], 1), "b t h w c -> b c t h w")

    def decode(self, latents: Tensor) -> Tensor:
        """Raw latents [B, C, T, h, w] -> [B, 3, 4(T-1)+1, 8h, 8w], about [-1, 1], not clamped."""
        if latents.ndim != 5 or latents.shape[1] != self.latent_channels:
            raise ValueError(f"latents must be [B, {self.latent_channels}, T, h, w], got {list(latents.shape)}")
        coded = rearrange(latents, "b c t h w -> b t h w c")
        image = coded[:, :1] @ self.image_code * IMAGE_VALUES**0.5 + self.image_mean
        group = coded[:, 1:] @ self.group_code * GROUP_VALUES**0.5 + self.group_mean
        return across_borders(torch.cat([frames_of_patches(image, 1), frames_of_patches(group, GROUP)], 2), self.lap.T)


def check_clip(video: Tensor) -> Tensor:
    """`video` [B, 3, F, H, W] when it is made of whole patches and groups of frames; ValueError otherwise."""
    if video.ndim != 5 or video.shape[1] != 3:
        raise ValueError(f"video must be [B, 3, F, H, W], got {list(video.shape)}")
    check_frame_count(video.shape[2])
    h, w = video.shape[3:]
    if h % PATCH or w % PATCH:
        raise ValueError(f"video height and width must be multiples of {PATCH}, got {h}x{w}")
    return video


def lapped_filter(size: int = PATCH) -> Tensor:
    """The filter [size, size] (float64) over the pixels around a border that makes of block transforms the lapped
    orthogonal transform: 1/2 W diag(I, V) W with W = [[I, J], [J, -I]] and V = J C2^T C4 J, where J reverses and C2
    and C4 are the cosine transforms of types II and IV (Malvar 1992; as a filter in Tran, Liang and Tu 2003)."""
    half = size // 2
    i = torch.arange(half, dtype=torch.float64) + 0.5
    c2 = torch.cos(torch.pi / half * torch.outer(i - 0.5, i)) * (2 / half) ** 0.5
    c2[0] /= 2**0.5
    c4 = torch.cos(torch.pi / half * torch.outer(i, i)) * (2 / half) ** 0.5
    one, back = torch.eye(half, dtype=torch.float64), torch.eye(half, dtype=torch.float64).flip(0)
    mix = torch.cat([torch.cat([one, back], 1), torch.cat([back, -one], 1)])
    return mix @ torch.block_diag(one, back @ c2.T @ c4 @ back) @ mix / 2


def across_borders(video: Tensor, lap: Tensor) -> Tensor:
    """The pixels around each border between patches of `video` [..., H, W] mixed by `lap` [8, 8], along W, then H;
    those within half a patch of the edge of the picture stay as they are."""
    size, half = lap.shape[0], lap.shape[0] // 2
    for _ in range(2):
        middle = video[..., half:-half].unflatten(-1, (video.shape[-1] // size - 1, size)) @ lap.T
        video = torch.cat([video[..., :half], middle.flatten(-2), video[..., -half:]], -1).transpose(-1, -2)
    return video


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
    code = state.get("group_code")
    if code is None or not code.ndim:
        raise ValueError(f"{name} is not a raxel patch VAE: it lacks the tensor 'group_code'")
    try:
        with torch.device("meta"):
            vae = PatchVAE(len(code))
        vae.load_state_dict({key: tensor.float() for key, tensor in state.items()}, strict=True, assign=True)
    except RuntimeError as error:
        raise ValueError(f"{name} is not a raxel patch VAE: {' '.join(str(error).split())[:300]}") from error
    return vae.eval().requires_grad_(False)

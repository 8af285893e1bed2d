"""Wan's video VAE through diffusers' AutoencoderKLWan, as a `VideoVAE`. diffusers is imported when one is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .statistics import LatentStatistics

# Of Wan 2.1's VAE, as published with it (`Wan2.1/wan/modules/vae.py`) and in its diffusers configuration.
WAN_STATISTICS = LatentStatistics(
    mean=(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508)
    + (0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
    std=(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743)
    + (3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
)
# A tensor that only Wan's own files of this VAE hold, and the ones that tell its width and latent channels.
_WAN_KEY = "decoder.middle.0.residual.0.gamma"
_WIDTH_KEY = "decoder.head.0.gamma"
_CHANNELS_KEY = "conv2.weight"


class WanVAE(nn.Module):
    """`VideoVAE` over an AutoencoderKLWan, which is kept in float32: raxels lose their accuracy in bf16.

    Latents are the posterior's mode, raw. Decoding leaves values outside [-1, 1] as they are, since raxels reach
    beyond (diffusers' own `decode` clamps them).
    """

    temporal_stride = 4

    def __init__(self, autoencoder: Any) -> None:
        super().__init__()
        self.autoencoder: Any = autoencoder.to(torch.float32).eval().requires_grad_(False)
        self.latent_channels: int = autoencoder.config.z_dim
        self.spatial_stride: int = autoencoder.config.scale_factor_spatial

    def encode(self, video: Tensor) -> Tensor:
        """Raw latents [B, C, T, h, w] of `video` [B, 3, F, H, W], float32."""
        return self.autoencoder.encode(video.float()).latent_dist.mode()

    def decode(self, latents: Tensor) -> Tensor:
        """Video [B, 3, F, H, W] of raw `latents` [B, C, T, h, w], float32, not clamped.

        The decoder emits one latent frame's pixels at a time; they are collected before diffusers clamps them.
        """
        if self.autoencoder.use_tiling:
            raise ValueError("raxels are decoded whole: switch the VAE's tiling off")
        chunks: list[Tensor] = []
        collector = self.autoencoder.decoder.register_forward_hook(lambda module, inputs, output: chunks.append(output))
        try:
            self.autoencoder.decode(latents.float())
        finally:
            collector.remove()
        return _without_patches(torch.cat(chunks, dim=2), self.autoencoder.config.patch_size)


def is_wan_vae(path: str | Path) -> bool:
    """Whether `path` is a diffusers folder of AutoencoderKLWan, or a safetensors file in Wan's own layout."""
    path = Path(path)
    if path.is_dir():
        config = path / "config.json"
        return config.is_file() and _class_name(config) == "AutoencoderKLWan"
    try:
        with safe_open(path, framework="pt") as file:
            return _WAN_KEY in set(file.keys())
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error


def _class_name(config: Path) -> object:
    """The class that diffusers would build from a `config.json`; ValueError where the file is none."""
    try:
        values = json.loads(config.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{config} is not JSON: {error}") from error
    return values.get("_class_name") if isinstance(values, dict) else None


def load_wan_vae(path: str | Path, *, device: torch.device | str = "cpu") -> WanVAE:
    """The VAE of a diffusers folder, or of a Wan 2.1 safetensors file; nothing is downloaded.

    Raises ValueError when it is something else or lacks tensors.
    """
    import diffusers

    path = Path(path)
    if not is_wan_vae(path):
        raise ValueError(f"{path} is neither a diffusers folder of AutoencoderKLWan nor a Wan VAE safetensors file")
    if path.is_dir():
        loaded = diffusers.AutoencoderKLWan.from_pretrained(path, local_files_only=True, use_safetensors=True)
        return WanVAE(loaded.to(device))
    return WanVAE(_from_wan_file(path).to(device))


def _from_wan_file(path: Path) -> Any:
    """Build the autoencoder that a file in Wan's own layout holds; its width is read from the tensors."""
    import diffusers
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
    from safetensors.torch import load_file

    state = load_file(path)
    absent = [key for key in (_WIDTH_KEY, _CHANNELS_KEY) if key not in state or not state[key].ndim]
    if absent:
        raise ValueError(f"{path} is not a complete Wan VAE: it lacks {absent}")
    with torch.device("meta"):
        sizes = {"base_dim": state[_WIDTH_KEY].shape[0], "z_dim": state[_CHANNELS_KEY].shape[0]}
        autoencoder: Any = diffusers.AutoencoderKLWan(**sizes)
    try:
        autoencoder.load_state_dict(convert_wan_vae_to_diffusers(state), strict=True, assign=True)
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold Wan 2.1's VAE: {str(error).splitlines()[1].strip()}") from error
    return autoencoder


def _without_patches(video: Tensor, patch_size: int | None) -> Tensor:
    """Undo the patching of Wan 2.2's VAE; Wan 2.1's has none."""
    if patch_size is None:
        return video
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

    return unpatchify(video, patch_size=patch_size)

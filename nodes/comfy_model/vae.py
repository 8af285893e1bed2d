"""VAEs in both directions: ours as ComfyUI's VAE, and ComfyUI's VAE as the core's `VideoVAE`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.utils
import folder_paths
import torch
from torch import Tensor

from ...raxel_core.latents.frames import TEMPORAL_STRIDE, check_frame_count
from ...raxel_core.latents.patch_vae import GROUP_VALUES, PATCH, PatchVAE, load_patch_vae
from ...raxel_core.raxel_model import CHECKPOINTS
from ...raxel_core.recipe import Recipe
from ...raxel_core.weights.checkpoint import read_header

VAE_FOLDER = "vae"
_SUFFIX = ".safetensors"
_BYTES = 4  # float32


class RaxelVAE(comfy.sd.VAE):
    """The patch VAE of the small checkpoint as a ComfyUI VAE, which stock VAEEncode and VAEDecode accept.

    IMAGE [F, H, W, 3] in [0, 1] on one side, raw latents [1, C, T, h, w] on the other; always float32.
    """

    def __init__(self, first_stage_model: PatchVAE) -> None:
        with _without_warning("No VAE weights detected"):
            super().__init__(sd={})  # every attribute this version of ComfyUI knows, at its default
        self.first_stage_model = first_stage_model
        self.latent_channels, self.latent_dim = first_stage_model.latent_channels, 3
        self.upscale_ratio = (lambda frames: max(0, frames * TEMPORAL_STRIDE - 3), PATCH, PATCH)
        self.downscale_ratio = (lambda frames: max(0, (frames + 3) // TEMPORAL_STRIDE), PATCH, PATCH)
        self.upscale_index_formula = self.downscale_index_formula = (TEMPORAL_STRIDE, PATCH, PATCH)
        self.working_dtypes = [torch.float32]
        self.memory_used_encode = lambda shape, dtype: 4 * _BYTES * shape[1] * shape[2] * shape[3] * shape[4]
        self.memory_used_decode = lambda shape, dtype: 8 * _BYTES * GROUP_VALUES * shape[2] * shape[3] * shape[4]
        self.disable_offload = True
        self.vae_dtype = torch.float32
        self.device = comfy.model_management.vae_device()
        self.output_device = comfy.model_management.intermediate_device()
        self.patcher = comfy.model_patcher.ModelPatcher(
            first_stage_model,
            load_device=self.device,
            offload_device=comfy.model_management.vae_offload_device(),
        )
        self.size = None
        self.model_size()


@dataclass(frozen=True)
class ComfyVideoVAE:
    """A ComfyUI VAE as the core's `VideoVAE`: raw latents, no clamping, weights where ComfyUI wants them.

    Raises ValueError when the VAE is not a causal video VAE with four frames to a latent frame.
    """

    vae: comfy.sd.VAE

    def __post_init__(self) -> None:
        self.vae.throw_exception_if_invalid()
        if self.vae.latent_dim != 3 or self.temporal_stride != TEMPORAL_STRIDE:
            raise ValueError(
                f"this node takes a video VAE with {TEMPORAL_STRIDE} frames to a latent frame, got "
                f"{type(self.vae.first_stage_model).__name__}: connect the VAE of Load Raxel Model"
            )
        if self.vae.vae_dtype != torch.float32:
            logging.warning(
                "Raxel: this VAE runs in %s, which costs raxels accuracy; Load Raxel Model loads one in float32",
                self.vae.vae_dtype,
            )

    @property
    def latent_channels(self) -> int:
        """Channels of a latent."""
        return self.vae.latent_channels

    @property
    def spatial_stride(self) -> int:
        """Pixels to a latent, each way."""
        return self.vae.spacial_compression_encode()

    @property
    def temporal_stride(self) -> int:
        """Frames to a latent frame, after the first."""
        return self.vae.temporal_compression_decode() or 1

    def memory_to_encode(self, shape: tuple[int, ...]) -> float:
        """Bytes of RAM that `encode` takes for a video of `shape` [B, 3, F, H, W]; none where a GPU encodes."""
        if not comfy.model_management.is_device_cpu(self.vae.device):
            return 0.0
        return float(self.vae.memory_used_encode(shape, self.vae.vae_dtype))

    def encode(self, video: Tensor) -> Tensor:
        """Raw latents [B, C, T, h, w] of `video` [B, 3, F, H, W] about [-1, 1], float32, on ComfyUI's output device."""
        check_frame_count(video.shape[2])
        self._load(self.vae.memory_used_encode(video.shape, self.vae.vae_dtype))
        placed = video.to(device=self.vae.device, dtype=self.vae.vae_dtype)
        return self.vae.first_stage_model.encode(placed).to(device=self.vae.output_device, dtype=torch.float32)

    def decode(self, latents: Tensor) -> Tensor:
        """Video [B, 3, F, H, W], not clamped, of raw `latents` [B, C, T, h, w]."""
        self._load(self.vae.memory_used_decode(latents.shape, self.vae.vae_dtype))
        placed = latents.to(device=self.vae.device, dtype=self.vae.vae_dtype)
        return self.vae.first_stage_model.decode(placed).to(device=self.vae.output_device, dtype=torch.float32)

    def _load(self, memory: float) -> None:
        """Have ComfyUI put the weights on the VAE's device, with room for `memory` bytes."""
        comfy.model_management.load_models_gpu(
            [self.vae.patcher], memory_required=memory, force_full_load=self.vae.disable_offload
        )


def load_raxel_vae(path: Path) -> RaxelVAE:
    """The patch VAE of a file, as a ComfyUI VAE."""
    vae = RaxelVAE(load_patch_vae(path))
    vae.patcher.cached_patcher_init = (load_raxel_vae_patcher, (path,))
    return vae


def load_raxel_vae_patcher(path: Path, disable_dynamic: bool = False) -> comfy.model_patcher.ModelPatcher:
    """What ComfyUI calls to make the VAE's patcher anew, for a clone on another device."""
    return load_raxel_vae(path).patcher


def load_float32_vae(path: Path) -> comfy.sd.VAE:
    """A VAE file in float32, which raxels need; ValueError when it is not a VAE that the pack or ComfyUI knows."""
    if path.suffix == _SUFFIX and is_patch_vae(path):
        return load_raxel_vae(path)
    sd, metadata = comfy.utils.load_torch_file(str(path), return_metadata=True)
    vae = comfy.sd.VAE(sd=sd, metadata=metadata, dtype=torch.float32)
    if vae.first_stage_model is None:
        raise ValueError(f"{path.name} is not a VAE that this ComfyUI knows")
    return vae


def is_patch_vae(path: Path) -> bool:
    """Whether a safetensors file holds a patch VAE, by its header."""
    return "group_code" in read_header(path).tensors


def vae_file(recipe: Recipe) -> Path | None:
    """The file of the VAE that a recipe names: an embedded one, or one of ComfyUI's; None when it is neither."""
    embedded = CHECKPOINTS / f"{recipe.vae}{_SUFFIX}"
    path = str(embedded) if embedded.exists() else folder_paths.get_full_path(VAE_FOLDER, f"{recipe.vae}{_SUFFIX}")
    return None if path is None else Path(path)


@contextmanager
def _without_warning(beginning: str) -> Iterator[None]:
    """Keep one message of ComfyUI's out of the log: it would tell the user of a fault that is none."""

    def wanted(record: logging.LogRecord) -> bool:
        return beginning not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(wanted)
    try:
        yield
    finally:
        root.removeFilter(wanted)

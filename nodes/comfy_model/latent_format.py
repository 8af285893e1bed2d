"""The latents of a raxel checkpoint: their sizes, statistics, empty ones, and the colours of previews."""

from __future__ import annotations

from functools import cached_property

import comfy.latent_formats
import torch
from comfy.model_patcher import ModelPatcher
from comfy.nested_tensor import NestedTensor
from torch import Tensor

from ...raxel_core.latents.clip_sizes import ClipSizes
from ...raxel_core.latents.patch_vae import load_patch_vae
from ...raxel_core.latents.statistics import LatentStatistics
from ...raxel_core.latents.vae import VideoVAE
from ...raxel_core.model import RaxelConfig
from ...raxel_core.recipe import Recipe
from .packing import Shapes, run_shapes, unpack
from .vae import is_patch_vae, vae_file

PreviewColours = tuple[list[list[float]], list[float]]


class RaxelLatentFormat(comfy.latent_formats.LatentFormat):
    """ComfyUI's description of the video stream, and with the recipe and the network's config that of the rays."""

    latent_dimensions = 3
    spacial_downscale_ratio = 8
    temporal_downscale_ratio = 4

    def __init__(self, recipe: Recipe, config: RaxelConfig) -> None:
        self.recipe = recipe
        self.config = config
        self.latent_channels = config.in_channels
        self.latent_shapes: Shapes | None = None  # of a stock loader's model, which runs without our wrapper
        self.latent_rgb_factors_reshape = self.preview_video

    @property
    def latent_rgb_factors(self) -> list[list[float]] | None:
        """How previews are coloured: RGB [C, 3] per unit of each of the model's latent channels, if that is known."""
        return None if self._preview_colours is None else self._preview_colours[0]

    @property
    def latent_rgb_factors_bias(self) -> list[float] | None:
        """The RGB [3] of a latent of zeros, as previews need it."""
        return None if self._preview_colours is None else self._preview_colours[1]

    @cached_property
    def _preview_colours(self) -> PreviewColours | None:
        """From the patch VAE that the recipe names, or Wan's own table for Wan's latents."""
        path = vae_file(self.recipe)
        if path is not None and is_patch_vae(path):
            return preview_colours(load_patch_vae(path), self.recipe.video_statistics)
        wan = comfy.latent_formats.Wan21
        known = self.latent_channels == wan.latent_channels
        return (wan.latent_rgb_factors, wan.latent_rgb_factors_bias) if known else None

    @property
    def sizes(self) -> ClipSizes:
        """Which sizes of a clip suit the model, and what follows from them."""
        stride = self.spacial_downscale_ratio
        return ClipSizes(stride, self.latent_channels, self.config.patch[1:], self.recipe.raxel_downscale)

    def process_in(self, latent: Tensor) -> Tensor:
        """Raw video latents [B, C, T, h, w] -> the model's."""
        return self.recipe.video_statistics.normalize(latent)

    def process_out(self, latent: Tensor) -> Tensor:
        """The model's video latents [B, C, T, h, w] -> raw."""
        return self.recipe.video_statistics.denormalize(latent)

    def preview_video(self, x0: Tensor) -> Tensor:
        """The video stream [B, C, T, h, w] of what a previewer is given; ComfyUI before 0.33 gives it the flat pack."""
        shapes = run_shapes() or self.latent_shapes
        return x0 if x0.ndim == 5 or shapes is None else unpack(x0, shapes).video

    def fix_empty_latent(self, latent: Tensor) -> NestedTensor:
        """An empty video latent [B, C, T, h, w] becomes an empty joint latent, so that stock nodes can make one."""
        return NestedTensor([latent, self.empty_rays(latent)])

    def empty_rays(self, video: Tensor) -> Tensor:
        """Zero ray latents [B, C, T, hr, wr] for video latents [B, C, T, h, w]."""
        return video.new_zeros(self.sizes.ray_shape(video.shape))

    def empty_video(self, frames: int, hw: tuple[int, int]) -> Tensor:
        """Zero video latents [1, C, T, h, w] of a clip of F = `frames` of `hw` pixels; ValueError unless they suit."""
        return torch.zeros(1, *self.sizes.video_shape(frames, hw))


def preview_colours(vae: VideoVAE, statistics: LatentStatistics) -> PreviewColours:
    """The mean colour, in [-1, 1], that `vae` gives a flat latent: RGB per unit of each channel, and of zeros."""
    channels = statistics.channels
    latents = torch.cat((torch.eye(channels), torch.zeros(1, channels)))[:, :, None, None, None]
    with torch.no_grad():
        video = vae.decode(statistics.denormalize(latents.expand(-1, -1, 1, 3, 3).contiguous()))
    colour = video.mean(dim=(2, 3, 4))  # [C + 1, 3]
    return (colour[:-1] - colour[-1]).tolist(), colour[-1].tolist()


def format_of(model: ModelPatcher) -> RaxelLatentFormat:
    """The latent format of a raxel MODEL; ValueError that names what was connected instead."""
    latent_format = model.get_model_object("latent_format")
    if not isinstance(latent_format, RaxelLatentFormat):
        raise ValueError(
            f"this node takes a raxel model, got {type(model.model).__name__}: load one with Load Raxel Model"
        )
    return latent_format

"""What a network reads of a clip's cameras, not yet normalised: the VAE's code of their raxels, or Plücker maps.

The configuration's `ray_representation` says which, as the model's own does in a `RaxelModel`.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..geometry.camera import Camera
from ..latents.clip_sizes import raxel_hw
from ..latents.frames import TEMPORAL_STRIDE, pixel_frames
from ..latents.vae import VideoVAE, encode_images
from ..raxels import encode_raxels, plucker_maps, raxels_of_plucker
from ..recipe import Recipe
from .config import TrainConfig


def raxels_of(
    camera: Camera, hw: tuple[int, int], recipe: Recipe | None = None, *, downscale: int = 2, scale: float = 0.5
) -> Tensor:
    """Raxels [B, 3, F, h, w] of canonical cameras [B, F] of a video of `hw`, as a recipe given has them."""
    if recipe is not None:
        downscale, scale = recipe.raxel_downscale, recipe.raxel_scale
    return encode_raxels(camera, raxel_hw(hw, downscale), scale=scale, reference=_world(camera))


def encode_cameras(camera: Camera, config: TrainConfig, vae: VideoVAE) -> Tensor:
    """The codes [B, C, T, h, w] of canonical cameras [B, F]; of maps one a latent frame, of its last pixel frame."""
    if _of_plucker(config):
        return _maps(camera, config, vae)[:, :, ::TEMPORAL_STRIDE]
    return vae.encode(raxels_of(camera, config.hw, downscale=config.raxel_downscale))


def encode_single_cameras(camera: Camera, frames: Tensor, config: TrainConfig, vae: VideoVAE) -> Tensor:
    """The codes [B, C, N, h, w] of frames [B, N] of canonical cameras [B, F], each coded alone; N may be 0."""
    of_plucker = _of_plucker(config)
    whole = _maps(camera, config, vae) if of_plucker else raxels_of(camera, config.hw, downscale=config.raxel_downscale)
    index = frames[:, None, :, None, None].expand(-1, whole.shape[1], -1, *whole.shape[3:])
    single = torch.gather(whole, 2, index)
    if of_plucker:
        return single
    return encode_images(vae, single) if frames.shape[1] else vae.encode(whole[:, :, :1])[:, :, :0]


def decode_cameras(codes: Tensor, config: TrainConfig, vae: VideoVAE, *, scale: float) -> Tensor:
    """The raxels [B, 3, F, h, w] that codes [B, C, T, h, w] stand for; gradients go through."""
    if not _of_plucker(config):
        return vae.decode(codes)
    times = torch.arange(pixel_frames(codes.shape[2]), device=codes.device) / TEMPORAL_STRIDE
    return raxels_of_plucker(codes, times, scale=scale)


def _of_plucker(config: TrainConfig) -> bool:
    return config.model.ray_representation == "plucker"


def _maps(camera: Camera, config: TrainConfig, vae: VideoVAE) -> Tensor:
    """Plücker maps [B, 6, F, h, w] on the grid of the video's latents."""
    grid = (config.hw[0] // vae.spatial_stride, config.hw[1] // vae.spatial_stride)
    return plucker_maps(camera, grid, reference=_world(camera))


def _world(camera: Camera) -> Camera:
    """The camera that canonical ones are relative to: the world's own frame, a camera a clip."""
    still = torch.eye(4).to(camera.world_from_cam)
    return replace(camera, world_from_cam=still.expand_as(camera.world_from_cam))[:, 0]

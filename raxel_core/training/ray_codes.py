"""What a network reads of a clip's cameras, not yet normalised: the VAE's code of their raxels, or Plücker maps.

The configuration's `ray_representation` says which, as the model's own does in a `RaxelModel`.
"""

from __future__ import annotations

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


def encode_single_cameras(camera: Camera, config: TrainConfig, vae: VideoVAE) -> Tensor:
    """The codes [B, C, N, h, w] of canonical cameras [B, N], each coded alone; N may be 0."""
    batch, count = camera.batch_shape
    if not count:
        one = encode_single_cameras(_standing(camera, batch), config, vae)
        return one[:, :, :0]
    if _of_plucker(config):
        return _maps(camera, config, vae)
    return encode_images(vae, raxels_of(camera, config.hw, downscale=config.raxel_downscale))


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
    return _standing(camera, camera.batch_shape[0])[:, 0]


def _standing(camera: Camera, batch: int) -> Camera:
    """A camera [B, 1] at the origin in pictures of the same size, for what does not depend on its lens."""
    still, lens = torch.eye(4).to(camera.world_from_cam), torch.eye(3).to(camera.K)
    return Camera(still.expand(batch, 1, 4, 4), lens.expand(batch, 1, 3, 3), camera.hw)

"""A clip whose latents a network knows: with it and a lossless code, the pipeline must return the truth.

The network answers any question with the exact velocity to the true latents, and keeps the questions.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from einops import rearrange
from torch import Tensor, nn

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.latents.statistics import LatentStatistics
from raxel_core.model.config import RaxelConfig
from raxel_core.raxel_model import RaxelModel
from raxel_core.recipe import Recipe

FRAMES, HW = 5, (32, 48)
CHANNELS = 768


class LosslessVAE:
    """Patches of 8 x 8 pixels, a group of four frames or one frame four times, as channels: a VAE that loses nothing."""

    latent_channels, spatial_stride, temporal_stride = CHANNELS, 8, 4

    def encode(self, video: Tensor) -> Tensor:
        groups = torch.cat([video[:, :, :1].expand(-1, -1, 4, -1, -1), video[:, :, 1:]], dim=2)
        return rearrange(groups, "b c (t g) (h p) (w q) -> b (g c p q) t h w", g=4, p=8, q=8)

    def decode(self, latents: Tensor) -> Tensor:
        groups = rearrange(latents, "b (g c p q) t h w -> b c (t g) (h p) (w q)", g=4, c=3, p=8, q=8)
        return groups[:, :, 3:]


class Oracle(nn.Module):
    """A network that knows the clip's latents: its velocity carries any noise exactly to them. Keeps its questions."""

    def __init__(self, video: Tensor, rays: Tensor, representation: str = "raxel") -> None:
        super().__init__()
        self.config = RaxelConfig(
            24, 48, 2, 2, in_channels=CHANNELS, patch=(1, 1, 1), text_dim=8, ray_representation=representation
        )
        self.anchor = nn.Parameter(torch.zeros(1))
        self.video, self.rays = video, rays
        self.questions: list[dict[str, Tensor]] = []

    def forward(
        self, video, rays, video_sigma, ray_sigma, *, video_time, ray_time, text=None, on_block=None, memory=None
    ):
        self.questions.append(
            {"video": video, "rays": rays, "video_sigma": video_sigma, "ray_sigma": ray_sigma,
             "video_time": video_time, "ray_time": ray_time, "text": text}
        )  # fmt: skip
        return self._velocity(video, video_sigma, self.video), self._velocity(rays, ray_sigma, self.rays)

    def _velocity(self, x: Tensor, sigma: Tensor, data: Tensor) -> Tensor:
        frames = data.shape[2]
        level = sigma[:, None, :frames, None, None]
        velocity = torch.where(level > 0, (x[:, :, :frames] - data) / level.clamp_min(1e-6), 0.0)
        return torch.cat([velocity, torch.zeros_like(x[:, :, frames:])], dim=2)


def lossless_recipe(ray_channels: int = CHANNELS) -> Recipe:
    statistics = LatentStatistics((0.1,) * CHANNELS, (0.5,) * CHANNELS)
    ray_statistics = LatentStatistics((-0.2,) * ray_channels, (0.3,) * ray_channels)
    return Recipe("lossless", FRAMES, HW, 8.0, "near_depth", statistics, ray_statistics)


def moving_clip() -> tuple[Tensor, Camera]:
    """A clip [3, F, H, W] of noise and a camera path that moves and turns."""
    video = torch.rand(3, FRAMES, *HW, generator=torch.Generator().manual_seed(3)) * 2 - 1
    time = torch.linspace(0, 1, FRAMES)[:, None]
    twist = time * torch.tensor([[0.06, 0.2, -0.05, 0.3, -0.1, 0.2]])
    return video, Camera(se3.exp(twist), K_from_fov(1.2, HW), HW)


def oracle_model(
    video: Tensor, camera: Camera, *, reference: Camera | int = 0, representation: str = "raxel"
) -> RaxelModel:
    """A model whose network knows this clip."""
    recipe = lossless_recipe(6 if representation == "plucker" else CHANNELS)
    placeholder = RaxelModel(Oracle(torch.zeros(1), torch.zeros(1), representation), LosslessVAE(), recipe)
    rays = placeholder.encode_cameras(camera[None], HW, reference=reference)
    return replace(placeholder, transformer=Oracle(placeholder.encode_video(video[None]), rays, representation))

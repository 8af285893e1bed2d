"""What of a clip its first frame shows: where each pixel was, how far it moved, and the first frame warped there.

With true depths this tells what a generation along true cameras could copy, and what it had to invent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.rays import pixel_grid

# Two depths this near to each other, as a share, are of one surface; the first frame's is read at the nearest pixel.
_SAME_SURFACE = 0.05


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Where the pixels of clips [B, F] lie in their first frames: `pixel` (x, y) [B, F, H, W, 2], and whether they are
    `seen` there [B, F, H, W]: inside the picture and not behind something nearer."""

    pixel: Tensor
    seen: Tensor

    @property
    def motion(self) -> Tensor:
        """How far each pixel has come from its place in the first frame, [B, F, H, W] in pixels."""
        hw = (self.pixel.shape[-3], self.pixel.shape[-2])
        here = pixel_grid(hw, device=self.pixel.device, dtype=self.pixel.dtype)
        return torch.linalg.vector_norm(self.pixel - here, dim=-1)


def correspondence(depth: Tensor, camera: Camera) -> Correspondence:
    """Of clips with `depth` [B, F, H, W] along the view axis and cameras [B, F] of that size, in one unit."""
    hw = (depth.shape[-2], depth.shape[-1])
    grid = pixel_grid(hw, device=depth.device, dtype=depth.dtype)
    homogeneous = torch.cat((grid, torch.ones_like(grid[..., :1])), dim=-1)  # [H, W, 3]
    ray = torch.einsum("bfij,hwj->bfhwi", torch.linalg.inv(camera.K.to(depth)), homogeneous)
    first_from_cam = se3.relative(camera.world_from_cam[:, :1], camera.world_from_cam).to(depth)  # [B, F, 4, 4]
    point = torch.einsum("bfij,bfhwj->bfhwi", first_from_cam[..., :3, :3], depth[..., None] * ray)
    point = point + first_from_cam[..., None, None, :3, 3]
    projected = torch.einsum("bij,bfhwj->bfhwi", camera.K[:, 0].to(depth), point)
    ahead = projected[..., 2] > 1e-6
    pixel = projected[..., :2] / projected[..., 2:].clamp_min(1e-6)
    there = _sampled(depth[:, :1], pixel, mode="nearest")[:, 0]
    visible = (there - projected[..., 2]).abs() <= _SAME_SURFACE * projected[..., 2]
    inside = ((pixel >= 0.0) & (pixel <= pixel.new_tensor((hw[1], hw[0])))).all(-1)
    return Correspondence(pixel, ahead & inside & visible)


def warped_first_frame(video: Tensor, pixel: Tensor) -> Tensor:
    """Clips [B, 3, F, H, W] made of the first frame of `video` alone, read where each pixel was; what lies outside of
    it has the colour of its nearest edge."""
    return _sampled(video[:, :, 0], pixel, mode="bilinear")


def _sampled(image: Tensor, pixel: Tensor, *, mode: str) -> Tensor:
    """`image` [B, C, H, W] at the pixels [B, F, H, W, 2]: [B, C, F, H, W]."""
    frames, height, width = pixel.shape[1:4]
    share = 2.0 * pixel / pixel.new_tensor((image.shape[-1], image.shape[-2])) - 1.0
    flat = share.clamp(-4.0, 4.0).flatten(1, 2).to(image)  # far outside is outside, and stays finite
    found = grid_sample(image, flat, mode=mode, padding_mode="border", align_corners=False)
    return found.unflatten(2, (frames, height)).reshape(image.shape[0], image.shape[1], frames, height, width)


def masked_psnr(video: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """PSNR [B] in dB over the pixels of clips [B, 3, F, H, W] in [-1, 1] where `mask` [B, F, H, W]; NaN where none."""
    squared = (video.double() - truth.double()).square().mean(1)
    error = (squared * mask).flatten(1).sum(1) / mask.flatten(1).sum(1)
    return 10.0 * torch.log10(4.0 / error)


def seams(video: Tensor, patch: int) -> Tensor:
    """How much steeper clips [B, 3, F, H, W] are across the borders of patches than inside them, [B]: 1 is no seam."""
    across, inside = [], []
    for axis in (-2, -1):
        step = video.double().diff(dim=axis).abs().movedim(axis, -1)
        border = torch.arange(1, step.shape[-1] + 1, device=video.device) % patch == 0
        across.append(step[..., border].flatten(1))
        inside.append(step[..., ~border].flatten(1))
    return torch.cat(across, 1).mean(1) / torch.cat(inside, 1).mean(1)

"""Where each part of a photograph is found in the others, by features that look alike: ours, beyond the paper.

A network of the released size finds this for itself, in attention over DINOv2's features and eight GPUs' days. A small
one does not get that far, so it is told: for every ray and every other photograph, where the picture looks most like it
and how surely. Features learn it directly from scenes of known depth.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import Conv2d, Parameter

from ..geometry.camera import Camera
from .config import RayDiffusionConfig

_DESCRIPTOR = 32
_PART = 2
_FIRST_SHARPNESS = 10.0
# Two depths this near, as a share, are of the same surface: a cell's own slope is allowed for.
_SAME_DEPTH = 0.05
_NEAREST = 0.05
_LEAST_VARIANCE = 1e-4
_LEAST_CHANCE = 1e-6


class Matches(nn.Module):
    """Tells each part of N photographs, _PART x _PART rays, its places in all of them."""

    def __init__(self, config: RayDiffusionConfig) -> None:
        super().__init__()
        self.slots = config.max_images
        self.descriptor = Conv2d(config.feature_channels, _DESCRIPTOR, 1)
        self.log_sharpness = Parameter(torch.tensor(math.log(_FIRST_SHARPNESS)))

    def chances(self, features: Tensor) -> Tensor:
        """[B, N, T, N, L] that each of the T parts of a photograph is found at each of the L = grid^2 rays of every
        photograph, of features [B, N, C, grid, grid]; they add up to 1 along the last axis."""
        described = self.descriptor(features.flatten(0, 1))
        asked, kept = (
            nn.functional.normalize(part.flatten(2).mT, dim=-1).unflatten(0, features.shape[:2])
            for part in (nn.functional.avg_pool2d(described, _PART), described)
        )
        return (self.log_sharpness.exp() * torch.einsum("bntc,bmlc->bntml", asked, kept)).float().softmax(-1)

    def forward(self, chances: Tensor, ndc: Tensor) -> Tensor:
        """[B, N, 3 max_images, grid, grid]: for every photograph the place in `ndc` [B, N, 2, grid, grid] where a ray's
        part is expected, and its standard deviation; zeros for photographs that are not there."""
        places = ndc.flatten(3).to(chances.dtype)
        moments = torch.cat((places, places.square().sum(2, keepdim=True)), 2)
        told = torch.einsum("bntml,bmcl->bntmc", chances, moments)
        place, square = told[..., :2], told[..., 2:]
        wide = (square - place.square().sum(-1, keepdim=True)).clamp(min=_LEAST_VARIANCE).sqrt()
        told = nn.functional.pad(torch.cat((place, wide), -1), (0, 0, 0, self.slots - told.shape[3]))
        parts = told.flatten(3).mT.unflatten(-1, tuple(side // _PART for side in ndc.shape[-2:]))
        return parts.repeat_interleave(_PART, -1).repeat_interleave(_PART, -2)


def parts_of(grid: int) -> int:
    """How many parts a side of a photograph has."""
    return grid // _PART


class TrueMatches(NamedTuple):
    """`place` [B, N, T, N, 2]: x and y of the middle of each part in every photograph, as shares of its sides; `seen`
    [B, N, T, N] whether it is seen there, false in its own photograph."""

    place: Tensor
    seen: Tensor


def true_matches(camera: Camera, depth: Tensor, side: int) -> TrueMatches:
    """Where the surface in the middle of each of `side` x `side` parts of a photograph lies in all photographs of
    `camera` [B, N], by their `depth` [B, N, h, w] along the view axis."""
    h, w = camera.hw
    middle = (torch.arange(side) + 0.5) / side
    row, column = (part.flatten() for part in torch.meshgrid((middle * h).long(), (middle * w).long(), indexing="ij"))
    ahead = depth[..., row, column][..., None]
    pixels = torch.stack((column, row), -1) + 0.5
    local = torch.cat(((pixels - camera.K[..., None, :2, 2]) / _focals(camera)[..., None, :] * ahead, ahead), -1)
    world = local @ camera.rotation.mT + camera.center[..., None, :]  # [B, N, T, 3]
    offset = world[:, :, :, None] - camera.center[:, None, None]
    there = torch.einsum("bmji,bntmj->bntmi", camera.rotation, offset)
    z = there[..., 2]
    uv = there[..., :2] / z[..., None] * _focals(camera)[:, None, None] + camera.K[:, None, None, :, :2, 2]
    inside = (z > _NEAREST) & (uv > 0).all(-1) & (uv[..., 0] < w) & (uv[..., 1] < h)
    at = uv[..., 1].clamp(0, h - 1).long() * w + uv[..., 0].clamp(0, w - 1).long()  # [B, N, T, M]
    surface = depth.flatten(2).gather(-1, at.permute(0, 3, 1, 2).flatten(2)).unflatten(-1, at.shape[1:3])
    seen = inside & ((surface.permute(0, 2, 3, 1) - z).abs() < _SAME_DEPTH * z)
    own = torch.eye(at.shape[3], dtype=torch.bool)[:, None]
    return TrueMatches(uv / torch.tensor([w, h]), seen & ~own)


def matching_loss(chances: Tensor, truth: TrueMatches) -> Tensor:
    """Mean of -log of the chance at the places that are seen, a place between rays read between its four neighbours."""
    grid = math.isqrt(chances.shape[-1])
    place = (truth.place * grid - 0.5).clamp(0, grid - 1 - 1e-4)
    corner = place.floor()
    part = place - corner
    neighbours = [(0, 0), (1, 0), (0, 1), (1, 1)]
    index = torch.stack([(corner[..., 1] + dy) * grid + corner[..., 0] + dx for dx, dy in neighbours], -1).long()
    share = torch.stack(
        [(part[..., 0] - (1 - dx)).abs() * (part[..., 1] - (1 - dy)).abs() for dx, dy in neighbours], -1
    )
    chance = (share * chances.gather(-1, index)).sum(-1)
    return -chance[truth.seen].clamp(min=_LEAST_CHANCE).log().sum() / truth.seen.sum().clamp(min=1)


def _focals(camera: Camera) -> Tensor:
    """[..., 2] focal lengths along x and y in pixels."""
    return camera.K.diagonal(dim1=-2, dim2=-1)[..., :2]

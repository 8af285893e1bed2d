"""Fits the patch VAE in closed form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ..latents.patch_vae import (
    GROUP,
    GROUP_VALUES,
    IMAGE_VALUES,
    PatchVAE,
    across_borders,
    check_clip,
    group_patches,
    image_patches,
)
from .config import TrainConfig
from .data import RENDER_BATCH
from .loss import canonical_cameras
from .ray_codes import raxels_of
from .scene_sets import SCENE_SETS, check_shares

RAXEL_WEIGHT = 64.0  # in the covariance of the code


def raxel_and_video_clips(
    config: TrainConfig, seeds: range, *, sets: Sequence[str] = ("room",)
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs (video, raxels) [B, 3, F, H, W] for the VAE: scenes of `seeds`, a batch of each of `sets` in turn, and the
    raxels of their cameras. ValueError where there is no such set."""
    check_shares(dict.fromkeys(sets, 1 / len(set(sets))))  # a set may have several turns
    for number, start in enumerate(range(0, len(seeds), RENDER_BATCH)):
        render = SCENE_SETS[sets[number % len(sets)]]
        batch = render(seeds[start : start + RENDER_BATCH], frames=config.frames, hw=config.hw)
        reference = torch.arange(len(batch.near_depth)) % config.frames
        yield batch.video, raxels_of(canonical_cameras(batch.camera, batch.near_depth, reference), config.hw)


def fit_patch_code(clips: Iterable[tuple[Tensor, Tensor]], *, channels: int = 64) -> PatchVAE:
    """Principal components of the patches of (video, raxels) clips [B, 3, F, H, W], raxels weighted in the covariance.

    The image code is turned within its own subspace until a still coded as an image agrees, as nearly as it can, with
    the same still coded as a group of four frames; its reconstruction does not change by that. Raises ValueError
    unless there are 1 to 192 channels, what a patch of an image has, and the clips are made of whole patches.
    """
    if not 1 <= channels <= IMAGE_VALUES:
        raise ValueError(f"the code of a patch has 1 to {IMAGE_VALUES} channels, got {channels}")
    vae = PatchVAE(channels)
    sums = {"image": _Moments(IMAGE_VALUES), "group": _Moments(GROUP_VALUES)}
    for video, raxels in clips:
        for given, weight in ((video, 1.0), (raxels, RAXEL_WEIGHT)):
            clip = across_borders(check_clip(given), vae.lap)
            sums["image"].add(image_patches(clip).flatten(0, -2), weight)
            sums["group"].add(group_patches(clip[:, :, 1:]).flatten(0, -2), weight)
    image_mean, image_axes = sums["image"].principal(channels)
    group_mean, group_axes = sums["group"].principal(channels)
    still = group_axes.reshape(channels, GROUP, IMAGE_VALUES).sum(1) / GROUP**0.5
    agreement = still @ sums["image"].second_moment(image_mean) @ image_axes.T
    u, _, vt = torch.linalg.svd(agreement)
    for name, value in (("image_mean", image_mean), ("image_code", (u @ vt) @ image_axes),
                        ("group_mean", group_mean), ("group_code", group_axes)):  # fmt: skip
        getattr(vae, name).copy_(value)
    return vae


class _Moments:
    """Running weighted first and second moments of row vectors, float64."""

    def __init__(self, values: int) -> None:
        self.weight = 0.0
        self.first = torch.zeros(values, dtype=torch.float64)
        self.second = torch.zeros(values, values, dtype=torch.float64)

    def add(self, rows: Tensor, weight: float) -> None:
        self.weight += weight * rows.shape[0]
        self.first += weight * rows.double().sum(0)
        self.second += weight * (rows.T @ rows).double()

    def second_moment(self, mean: Tensor) -> Tensor:
        average = self.first / self.weight
        shift = mean - average
        return self.second / self.weight - torch.outer(average, average) + torch.outer(shift, shift)

    def principal(self, count: int) -> tuple[Tensor, Tensor]:
        """The mean and the `count` leading axes [count, values], largest first, signs fixed by their largest entry."""
        mean = self.first / self.weight
        axes = torch.linalg.eigh(self.second_moment(mean)).eigenvectors.flip(1)[:, :count].T
        signs = torch.gather(axes, 1, axes.abs().argmax(1, keepdim=True)).sign()
        return mean, axes * signs

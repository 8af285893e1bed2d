"""A raxel checkpoint with random weights and a VAE that codes smooth pictures well, small enough for any test."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import save_file

from raxel_core.latents.patch_vae import GROUP, PATCH, PatchVAE
from raxel_core.latents.statistics import LatentStatistics
from raxel_core.model import RaxelConfig, RaxelTransformer, initialize
from raxel_core.recipe import METADATA_KEY, Recipe
from raxel_core.weights.checkpoint import save_checkpoint

CHANNELS = 48
CONFIG = RaxelConfig(
    dim=48, ffn_dim=96, layers=2, heads=2, in_channels=CHANNELS, patch=(1, 1, 1), text_dim=None, freq_dim=64
)
FRAMES, HW, FPS, SHIFT = 9, (64, 96), 8.0, 0.5
MODEL_NAME, VAE_NAME = "raxel-small", "raxel-small-vae"


def cosines(size: int) -> torch.Tensor:
    """The orthonormal cosine basis [size, size], lowest frequency first."""
    places = (torch.arange(size, dtype=torch.float64) + 0.5) * math.pi / size
    basis = torch.cos(torch.arange(size, dtype=torch.float64)[:, None] * places) * math.sqrt(2.0 / size)
    basis[0] /= math.sqrt(2.0)
    return basis


def smooth_code(group: int) -> torch.Tensor:
    """[48, group * 192]: the 16 lowest spatio-temporal cosines of each colour, orthonormal, in the VAE's patch order."""
    space, time = cosines(PATCH), cosines(group)
    order = sorted(
        ((t, y, x) for t in range(group) for y in range(PATCH) for x in range(PATCH)),
        key=lambda n: (n[0] / group + n[1] / PATCH + n[2] / PATCH, n),
    )[: CHANNELS // 3]
    rows = []
    for colour in range(3):
        for t, y, x in order:
            patch = torch.zeros(group, 3, PATCH, PATCH, dtype=torch.float64)
            patch[:, colour] = time[t][:, None, None] * space[y][:, None] * space[x]
            rows.append(patch.flatten())
    return torch.stack(rows).float()


def small_vae() -> PatchVAE:
    """A patch VAE whose code is a cosine basis."""
    vae = PatchVAE(CHANNELS)
    vae.image_code.copy_(smooth_code(1))
    vae.group_code.copy_(smooth_code(GROUP))
    return vae.eval().requires_grad_(False)


def small_transformer(seed: int = 0, config: RaxelConfig = CONFIG) -> RaxelTransformer:
    """A network whose output is of the order of one: no weight is zero, none large."""
    model = RaxelTransformer(config)
    generator = torch.Generator().manual_seed(seed)
    initialize(model, gate=0.5, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    return model.eval().requires_grad_(False)


def small_recipe() -> Recipe:
    """Statistics of the size that the cosine code gives pictures and raxels, and a shift of its own to sample with."""
    video = LatentStatistics(tuple(0.01 * n for n in range(CHANNELS)), (0.2,) * CHANNELS)
    rays = LatentStatistics((0.02,) * CHANNELS, tuple(0.05 + 0.001 * n for n in range(CHANNELS)))
    return Recipe(
        vae=VAE_NAME, frames=FRAMES, hw=HW, fps=FPS, unit="near_depth", video_statistics=video, ray_statistics=rays,
        sampling_shift=SHIFT,
    )  # fmt: skip


def save_small_checkpoint(models: Path) -> tuple[Path, Path]:
    """Write network and VAE where ComfyUI looks for them under its folder `models`; return both files."""
    model, vae = models / "diffusion_models" / f"{MODEL_NAME}.safetensors", models / "vae" / f"{VAE_NAME}.safetensors"
    for path in (model, vae):
        path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(model, small_transformer(), CONFIG, metadata={METADATA_KEY: small_recipe().to_json()})
    save_file(small_vae().state_dict(), vae)
    return model, vae

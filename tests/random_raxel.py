"""A small raxel model with text and a ray stream that matters, and its velocities in the ComfyUIs that are found."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.cli.convert import wan_recipe
from raxel_core.model import RaxelConfig, RaxelTransformer
from raxel_core.recipe import METADATA_KEY
from raxel_core.weights.checkpoint import save_checkpoint
from tests.in_comfy.comfy_process import run_script
from tests.in_comfy.comfy_server import comfy_roots
from tests.small_checkpoint import small_transformer

CONFIG = RaxelConfig(dim=256, ffn_dim=160, layers=2, heads=2, text_dim=24, freq_dim=32)
ROOTS = [pytest.param(root, id=root.name) for root in comfy_roots()] or [None]


def random_raxel(seed: int = 0) -> RaxelTransformer:
    """A network of CONFIG, float32, in which no weight is zero."""
    return small_transformer(seed, CONFIG)


def save_random_raxel(path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """`random_raxel` as a checkpoint with the recipe of Wan's latents."""
    weights = {name: value.to(dtype) for name, value in random_raxel().state_dict().items()}
    return save_checkpoint(path, weights, CONFIG, metadata={METADATA_KEY: wan_recipe("metre")})


def random_batch(seed: int = 1) -> dict[str, torch.Tensor]:
    """Latents of both streams, noise levels that differ, and text."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "video": torch.randn(1, 16, 3, 8, 12, generator=generator),
        "rays": torch.randn(1, 16, 3, 4, 6, generator=generator),
        "video_sigma": torch.tensor([[0.0, 0.7, 0.7]]),
        "ray_sigma": torch.tensor([[0.3, 0.9, 0.5]]),
        "text": torch.randn(1, 5, CONFIG.text_dim, generator=generator),
    }


@torch.no_grad()
def velocities(model: RaxelTransformer, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What a network makes of a batch."""
    given = (batch[name] for name in ("video", "rays", "video_sigma", "ray_sigma"))
    video, rays = model(*given, text=batch["text"])
    return {"video": video, "rays": rays}


def velocities_in_comfy(
    root: Path | None, folder: Path, batch: dict[str, torch.Tensor], model: Path, *lora: str
) -> dict[str, torch.Tensor]:
    """What velocities_in_comfy.py finds in the ComfyUI at `root`; skips the test where there is none."""
    save_file(batch, folder / "batch.safetensors")
    out = folder / "velocities.safetensors"
    run_script(root, "velocities_in_comfy.py", folder, folder / "batch.safetensors", out, model, *lora)
    return load_file(out)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Root mean square of the difference over that of the expected values."""
    return float((found - expected).norm() / expected.norm())

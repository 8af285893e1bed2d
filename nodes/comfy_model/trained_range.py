"""The cameras that a MODEL was trained on, as far as its recipe tells."""

from __future__ import annotations

from dataclasses import replace

from comfy.model_patcher import ModelPatcher

from ...raxel_core.paths.diagnostics import RAXEL_TINY_RANGE, TrainedRange
from .latent_format import format_of

# The VAE of the embedded checkpoint, whose training scenes were measured.
_EMBEDDED_VAE = "raxel-tiny-vae"


def trained_range(model: ModelPatcher) -> TrainedRange:
    """The range of the embedded checkpoint for it and its kin; of any other only the clip's frames and unit."""
    recipe = format_of(model).recipe
    if recipe.vae == _EMBEDDED_VAE:
        return replace(RAXEL_TINY_RANGE, frames=recipe.frames)
    return TrainedRange("the checkpoint", recipe.frames, recipe.unit)

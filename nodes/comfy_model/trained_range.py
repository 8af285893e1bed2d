"""The cameras that a MODEL was trained on, as far as its recipe tells."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher

from ...raxel_core.footage.trained import trained_range as range_of_recipe
from ...raxel_core.paths.diagnostics import TrainedRange
from .latent_format import format_of


def trained_range(model: ModelPatcher) -> TrainedRange:
    """The range of the embedded checkpoint for it and its kin; of any other only the clip's frames and unit."""
    return range_of_recipe(format_of(model).recipe)

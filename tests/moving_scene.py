"""A video that the embedded model reads: one of its own kind of scenes."""

from __future__ import annotations

from torch import Tensor

from raxel_core.evaluation.scene_model import scene_batches
from raxel_core.pipeline import load_model


def moving_scene(number: int = 0) -> tuple[Tensor, float]:
    """The video [3, F, H, W] of a test scene and its frame rate."""
    model = load_model()
    (batch,) = scene_batches(model, number, 1, batch=1)
    return batch.video[0], model.recipe.fps

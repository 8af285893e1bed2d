"""Ray Diffusion on held-out scenes: accuracy for 2 to 8 photographs, beside cameras that look at nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from ..geometry.camera import Camera
from ..ray_diffusion.checkpoint import LoadedRayDiffusion
from ..ray_diffusion.photographs import cameras_of_crops
from ..ray_diffusion.sampler import SamplerSettings
from ..training.sparse_views import SparseViews, render_views
from ..training.synthetic import SPLITS
from .photograph_metrics import photograph_errors, scene_scale
from .report import text_table

COUNTS = tuple(range(2, 9))
BATCH = 8
Table = dict[str, dict[int, dict[str, float]]]
"""Figures by row (a method or a baseline) and number of photographs."""


def evaluate_photographs(
    loaded: LoadedRayDiffusion,
    methods: Mapping[str, SamplerSettings],
    *,
    scenes: int,
    first: int = 0,
    counts: Sequence[int] = COUNTS,
    kind: str = "room",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Table:
    """Mean figures over `scenes` test scenes of a `kind` (`sparse_views.SCENES`) from number `first` on.

    Rows: each method of `methods`, the best of its samples where it draws several, "identity" (all cameras as the
    first), and "another scene" (the true cameras of the scene before).
    """
    network, start = loaded.network, SPLITS["test"].start + first
    most = max(counts)
    rows: dict[str, dict[int, list[dict[str, float]]]] = {}
    before: Camera | None = None
    for done in range(0, scenes, BATCH):
        seeds = range(start + done, start + min(done + BATCH, scenes))
        batch = render_views(seeds, views=most, px=network.config.image_px, grid=network.config.grid, scenes=kind)
        for scene in range(len(seeds)):
            views = SparseViews(batch.images[scene], batch.camera[scene], batch.ndc[scene])
            for count in counts:
                found = _estimates(loaded, views, count, methods, before)
                scale = scene_scale(views.camera)
                for name, cameras in found.items():
                    every = [photograph_errors(c, views.camera[:count], scene_scale=scale).figures() for c in cameras]
                    # The two accuracies that the papers report decide which sample was the best.
                    best = max(every, key=lambda figures: figures["rotation_15"] + figures["center_0.2"])
                    rows.setdefault(name, {}).setdefault(count, []).append(every[0] if len(every) == 1 else best)
            before = views.camera
        progress(min(done + BATCH, scenes), scenes)
    return {name: {n: _mean(figures) for n, figures in by.items()} for name, by in rows.items()}


def accuracy_table(table: Table) -> str:
    """The table in words: one line a row and figure, one column a number of photographs."""
    counts = sorted(next(iter(table.values())))
    header = ["", "", *(str(count) for count in counts)]
    lines = [
        [name, figure, *(f"{by[count][figure]:.2f}" for count in counts)]
        for figure in next(iter(table.values()))[counts[0]]
        for name, by in table.items()
    ]
    return text_table(header, lines)


def _estimates(
    loaded: LoadedRayDiffusion,
    views: SparseViews,
    count: int,
    methods: Mapping[str, SamplerSettings],
    before: Camera | None,
) -> dict[str, list[Camera]]:
    """The cameras of the first `count` views by each method and baseline; of several samples the chosen one alone, and
    all of them under "best of"."""
    truth = views.camera[:count]
    still = Camera(torch.eye(4).expand(count, 4, 4), truth.K, truth.hw)
    found: dict[str, list[Camera]] = {"identity": [still]}
    if before is not None:
        found["another scene"] = [before[:count]]
    for name, settings in methods.items():
        read = cameras_of_crops(loaded, views.images[:count], views.ndc[:count], settings)
        found[name] = [read.camera]
        if settings.samples > 1:
            found[f"best of {settings.samples} by {name}"] = [read.samples[i] for i in range(settings.samples)]
    return found


def _mean(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}

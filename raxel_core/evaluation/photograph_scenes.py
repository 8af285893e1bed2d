"""Ray Diffusion on scenes that it was not trained on: accuracy for 2 to 8 photographs, beside cameras that look at
nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch

from ..films.listing import Listing
from ..geometry.camera import Camera
from ..ray_diffusion.checkpoint import LoadedRayDiffusion
from ..ray_diffusion.config import RayDiffusionConfig
from ..ray_diffusion.crops import ndc_of_crop
from ..ray_diffusion.photographs import cameras_of_crops
from ..ray_diffusion.sampler import SamplerSettings
from ..training.sparse_views import SparseViews, render_views
from ..training.synthetic import SPLITS
from .photograph_metrics import photograph_errors, scene_scale
from .report import text_table

MOST = 8
COUNTS = tuple(range(2, MOST + 1))
_AT_ONCE = 8
Table = dict[str, dict[int, dict[str, float]]]
"""Figures by row (a method or a baseline) and number of photographs."""


def rendered_scenes(
    config: RayDiffusionConfig, *, scenes: int, first: int = 0, kind: str = "room"
) -> Iterator[SparseViews]:
    """MOST photographs of each of `scenes` test scenes of a `kind` (`sparse_views.SCENES`) from `first` on."""
    start = SPLITS["test"].start + first
    for done in range(0, scenes, _AT_ONCE):
        seeds = range(start + done, start + min(done + _AT_ONCE, scenes))
        batch = render_views(seeds, views=MOST, px=config.image_px, grid=config.grid, scenes=kind)
        for scene in range(len(seeds)):
            yield SparseViews(batch.images[scene], batch.camera[scene], batch.ndc[scene])


def filmed_scenes(config: RayDiffusionConfig, listing: Listing, *, scenes: int, seed: int = 0) -> Iterator[SparseViews]:
    """The same of the first `scenes` filmed ones: MOST of their pictures by chance, or all where there are fewer, each
    cut to the square in its middle. ValueError (`SceneError`) for a scene that cannot be used."""
    px = config.image_px
    ndc = ndc_of_crop((0, 0, px), (px, px), config.grid)
    for number, name in enumerate(listing.names[:scenes]):
        scene = listing.open(name)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        chosen = torch.randperm(len(scene), generator=generator)[:MOST]
        images, framing = scene.pictures.read(chosen.tolist(), (px, px))
        yield SparseViews(
            images.transpose(0, 1), framing.to_fitted(scene.camera[chosen]), ndc.expand(len(chosen), *ndc.shape)
        )


def evaluate_photographs(
    loaded: LoadedRayDiffusion,
    methods: Mapping[str, SamplerSettings],
    scenes: Iterable[SparseViews],
    *,
    counts: Sequence[int] = COUNTS,
    progress: Callable[[int], None] = lambda done: None,
) -> Table:
    """Mean figures over `scenes` of unbatched photographs, each by its first 2 to 8 as far as it has so many.

    Rows: each method of `methods`, the best of its samples where it draws several, "identity" (all cameras as the
    first), and "another scene" (the true cameras of the scene before).
    """
    rows: dict[str, dict[int, list[dict[str, float]]]] = {}
    before: Camera | None = None
    for number, views in enumerate(scenes):
        scale = scene_scale(views.camera)
        for count in (count for count in counts if count <= len(views.camera)):
            found = _estimates(loaded, views, count, methods, before)
            for name, cameras in found.items():
                every = [photograph_errors(c, views.camera[:count], scene_scale=scale).figures() for c in cameras]
                # The two accuracies that the papers report decide which sample was the best.
                best = max(every, key=lambda figures: figures["rotation_15"] + figures["center_0.2"])
                rows.setdefault(name, {}).setdefault(count, []).append(every[0] if len(every) == 1 else best)
        before = views.camera
        progress(number + 1)
    return {name: {n: _mean(figures) for n, figures in by.items()} for name, by in rows.items()}


def accuracy_table(table: Table) -> str:
    """The table in words: one line a row and figure, one column a number of photographs."""
    counts = sorted(next(iter(table.values())))
    header = ["", "", *(str(count) for count in counts)]
    lines = [
        [name, figure, *(f"{by[count][figure]:.2f}" if count in by else "" for count in counts)]
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
    if before is not None and len(before) >= count:
        found["another scene"] = [before[:count]]
    for name, settings in methods.items():
        read = cameras_of_crops(loaded, views.images[:count], views.ndc[:count], settings)
        found[name] = [read.camera]
        if settings.samples > 1:
            found[f"best of {settings.samples} by {name}"] = [read.samples[i] for i in range(settings.samples)]
    return found


def _mean(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}

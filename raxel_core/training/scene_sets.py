"""The kinds of scene a run can be trained on, by name; each gives one clip per seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from ..strict_json import printable
from .synthetic import EASY_SCENES, SCENES, SyntheticBatch, render_scenes
from .world.scenes import render_world

Render = Callable[..., SyntheticBatch]
"""(seeds, *, frames, hw, device="cpu", fast=False) -> the clips of these seeds, one each; `fast` compiles first."""
Sets = Mapping[str, Callable[..., Any]]
"""Scenes by name, synthetic ones (`Render`) and data sets of filmed ones, called alike (`filmed.FilmedScenes`)."""

# The camera turns where it stands: rays alone say where every pixel goes.
PAN_SCENES = replace(EASY_SCENES, kind_shares=(1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
SCENE_SETS: Mapping[str, Render] = MappingProxyType(
    {
        "pan": partial(render_scenes, config=PAN_SCENES),
        "easy": partial(render_scenes, config=EASY_SCENES),
        "room": partial(render_scenes, config=SCENES),
        "world": render_world,
    }
)


def check_shares(shares: Mapping[str, float], filmed: Sequence[str] = ()) -> None:
    """ValueError unless `shares` are of scene sets that there are or of data sets `filmed`, none negative, and sum
    to 1."""
    unknown = sorted(set(shares) - set(SCENE_SETS) - set(filmed))
    if unknown:
        names = ", ".join(printable(name, 40) for name in unknown[:5])
        known = ", ".join((*SCENE_SETS, *filmed))
        raise ValueError(
            f"there are no scenes called {names}: a run has {known}, and what data of its configuration names"
        )
    if any(not 0 <= share <= 1 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        shares_text = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise ValueError(f"the shares of scenes are between 0 and 1 and sum to 1, got {shares_text}")


def split_seeds(seeds: Sequence[int], shares: Mapping[str, float], *, batch: int) -> list[tuple[str, Sequence[int]]]:
    """The seeds of each set, in order: whole batches of `batch` as near to the shares as these allow, or single seeds
    where a set would have none."""
    parts = _split(seeds, shares, batch)
    return _split(seeds, shares, 1) if any(shares[name] and not part for name, part in parts) else parts


def check_seen(seeds: Sequence[int], shares: Mapping[str, float]) -> None:
    """ValueError where a set of the shares has none of the clips of a shard, which are all that a run sees."""
    for name, part in _split(seeds, shares, 1):
        if shares[name] and not part:
            raise ValueError(
                f"the share of the scenes {printable(name, 40)} is {shares[name]:g}, none of the {len(seeds)} clips "
                "of a shard: make shard_clips of the training configuration larger, or the share"
            )


def _split(seeds: Sequence[int], shares: Mapping[str, float], step: int) -> list[tuple[str, Sequence[int]]]:
    parts: list[tuple[str, Sequence[int]]] = []
    done, total = 0, 0.0
    for name, share in shares.items():
        total += share
        end = len(seeds) if total > 1 - 1e-6 else round(total * len(seeds) / step) * step
        parts.append((name, seeds[done:end]))
        done = end
    return parts

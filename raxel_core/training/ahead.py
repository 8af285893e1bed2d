"""A second process that renders the clips of a run before the run asks for them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import torch

from ..latents.vae import VideoVAE
from .config import RunConfig
from .data import ClipPool, DeviceClips
from .scene_sets import SCENE_SETS, Sets

AHEAD = 3  # visits of shards
PAUSE = 1.0  # seconds between looks at how far the run is


@contextmanager
def rendering_ahead(pool: ClipPool | None, *, first_step: int) -> Iterator[None]:
    """While the block runs, one more process renders the shards that the steps from `first_step` on read of `pool`.

    The run renders what it finds missing itself: who does so changes nothing in it. ValueError for clips that are made
    where they are used, on a GPU, and where there is no pool of clips.
    """
    if pool is None:
        raise ValueError("this method renders no clips: leave --render-ahead out")
    if isinstance(pool, DeviceClips):
        raise ValueError("clips are rendered on the GPU that trains on them here: leave --render-ahead out")
    context = multiprocessing.get_context("spawn")
    pool.reached = context.Value("q", first_step // pool.steps_of_visit)
    films = {name: scenes for name, scenes in pool.sets.items() if name not in SCENE_SETS}
    given = (pool.config, pool.vae, pool.folder, pool.fast, films, pool.reached, os.getpid())
    process = context.Process(target=_render_ahead, args=given, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()
        pool.reached = None


def _render_ahead(
    config: RunConfig, vae: VideoVAE, folder: Path, fast: bool, films: Sets, reached: Synchronized[int], parent: int
) -> None:
    """Render shard after shard, at most AHEAD visits before the run's, as long as the process `parent` lives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run itself is told, and ends this process
    torch.set_num_threads(1)
    pool = ClipPool(config, vae, folder, fast=fast, sets={**SCENE_SETS, **films})
    visit = reached.value + 1  # the run makes the one that it needs at once
    while os.getppid() == parent:
        visit = max(visit, reached.value + 1)
        if visit > reached.value + AHEAD:
            time.sleep(PAUSE)
            continue
        pool.render_shard(pool.visited(visit)[1])
        visit += 1

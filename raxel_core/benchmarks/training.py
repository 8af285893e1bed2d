"""What training costs: processor time per clip of each part of a step, and the clips a second that it comes to."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..latents.vae import VideoVAE
from ..training.clock import Clock
from ..training.config import TrainConfig
from ..training.data import RENDER_BATCH, render_clips
from ..training.raxel_objective import RaxelObjective
from ..training.synthetic import SPLITS
from ..training.train import Trainer

PARTS = ("render", "encode", "draw", "forward", "backward", "optimiser")
RENDERED = 4 * RENDER_BATCH
WARM_UP = 2  # steps


@dataclass(frozen=True)
class TrainingCost:
    """`core_ms` is processor time per clip trained on, in milliseconds, by part (PARTS): that of rendering and encoding
    is divided by the `uses` of a clip. `seconds` is the wall time of one clip's share of a step, without these two."""

    core_ms: dict[str, float]
    uses: float
    seconds: float
    threads: int
    batch: int

    @property
    def total(self) -> float:
        """Processor milliseconds per clip."""
        return sum(self.core_ms.values())

    @property
    def clips_a_second(self) -> float:
        """Clips that one core trains on in a second of its time, rendering included."""
        return 1000 / self.total


def run_training_benchmark(config: TrainConfig, vae: VideoVAE, *, steps: int = 10) -> TrainingCost:
    """Render and encode some clips of the run's scenes, then train `steps` steps on them after a few to warm up."""
    if steps < 1:
        raise ValueError(f"at least 1 step is needed, got {steps}")
    uses = float(config.clip_uses or max(1.0, config.steps * config.batch / config.clips))
    cost = {name: value / uses for name, value in _rendering(config, vae).items()}
    shard = -(-RENDERED // config.batch) * config.batch
    short = replace(
        config, steps=WARM_UP + steps, clips=shard, shard_clips=shard, clip_uses=0, validation_clips=RENDER_BATCH,
        validate_every=10**9, save_every=10**9, log_every=10**9,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(RaxelObjective(short, vae, cache=Path(folder)), Path(folder) / "run")
        for _ in range(WARM_UP):
            trainer.take_step()
        trainer.clock.read(1)
        started = time.monotonic()
        for _ in range(steps):
            trainer.take_step()
        seconds = (time.monotonic() - started) / (steps * config.batch)
        cost |= trainer.clock.read(steps * config.batch)
    return TrainingCost({name: cost[name] for name in PARTS}, uses, seconds, torch.get_num_threads(), config.batch)


def _rendering(config: TrainConfig, vae: VideoVAE) -> dict[str, float]:
    """Processor milliseconds to render and to encode one clip of the run's scenes, after one batch to warm up."""
    first, clock = SPLITS["train"].start, Clock()
    for seeds in (range(first, first + RENDER_BATCH), range(first, first + RENDERED)):
        clock.seconds = {}
        render_clips(config, vae, seeds, scenes=dict(config.scenes), clock=clock)
    cost = clock.read(RENDERED)
    return {name: cost[name] for name in ("render", "encode")}


def print_training_benchmark(cost: TrainingCost) -> None:
    """The cost of each part and its share, and what they come to."""
    print(
        f"processor time per clip, batches of {cost.batch}, {cost.threads} threads, each clip used {cost.uses:g} times"
    )
    for name, value in cost.core_ms.items():
        print(f"  {name:<10}{value:8.2f} ms{value / cost.total:7.1%}")
    print(f"  {'all':<10}{cost.total:8.2f} ms, {cost.clips_a_second:.1f} clips a second for each core")
    print(f"as the machine ran it, without rendering: {1 / cost.seconds:.1f} clips a second")


def training_values(cost: TrainingCost) -> dict[str, object]:
    """The figures of a cost as JSON has them."""
    return {
        "core_ms": cost.core_ms, "core_ms_all": cost.total, "clips_a_second_of_a_core": cost.clips_a_second,
        "clips_a_second_without_rendering": 1 / cost.seconds, "uses": cost.uses, "threads": cost.threads,
        "batch": cost.batch,
    }  # fmt: skip

"""What `train` says of a run before step 1, held against a step that is taken: bytes and time on this computer.

    python -m tests.benchmarks.step_budget        a line for each of SHAPES, each measured in a process of its own

Bytes are the rise of the process's own memory (RssAnon's peak) from before the network is made to the end of its second
step; the time is the processor time of a forward and backward pass. MALLOC_MMAP_THRESHOLD_ gives freed tensors back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from raxel_core.model.config import RaxelConfig
from raxel_core.training.config import TrainConfig

BASE = TrainConfig(
    name="budget", steps=2, frames=5, hw=(64, 64), clips=8, shard_clips=8, batch=1, precision="no", log_every=1,
    validate_every=100, validation_clips=2, save_every=100, optimizer="adamw", scenes=(("easy", 1.0),),
    validation_scenes="easy", bundle_weight=0.0, ema=0.998, task_shares=(0.0, 0.0, 1.0),
    model=RaxelConfig(dim=384, ffn_dim=1536, layers=4, heads=6, in_channels=64, patch=(1, 1, 1), text_dim=None),
)  # fmt: skip
SHAPES = {
    "weights": BASE,
    "activations": replace(BASE, batch=8, model=replace(BASE.model, dim=192, ffn_dim=768, heads=3)),
    "checkpointed": replace(
        BASE, batch=8, gradient_checkpointing=True, model=replace(BASE.model, dim=192, ffn_dim=768, heads=3)
    ),
}


def anonymous() -> int:
    """Bytes of this process that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


class Peak(threading.Thread):
    """Watches memory while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.done = 0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.002):
            self.most = max(self.most, anonymous())


def measure(name: str) -> None:
    """Take two steps and print what was said and what was needed."""
    import torch

    from raxel_core.raxel_model import load_vae
    from raxel_core.training.budget import budget_of, matrix_rate
    from raxel_core.training.raxel_objective import RaxelObjective
    from raxel_core.training.train import Trainer

    torch.set_num_threads(1)
    config, vae = SHAPES[name], load_vae("raxel-tiny-vae")
    told = budget_of(config, stride=vae.spatial_stride)
    with tempfile.TemporaryDirectory() as folder:
        small = replace(config, batch=8, model=replace(config.model, dim=48, ffn_dim=48, heads=3, layers=1))
        warm = RaxelObjective(small, vae, cache=Path(folder) / "clips")
        sum(
            part.sum() for part in warm.loss(warm.model, warm.draw(0)).values()
        ).backward()  # clips are made, kernels warm
        del warm
        before, peak = anonymous(), Peak()
        peak.start()
        trainer = Trainer(RaxelObjective(config, vae, cache=Path(folder) / "clips"), Path(folder) / "run")
        trainer.take_step()
        started = time.process_time()
        trainer.take_step()
        seconds = time.process_time() - started
        peak.done.set()
    started, clock = time.process_time(), time.monotonic()
    rate = matrix_rate(config, torch.device("cpu"))
    rate *= (time.monotonic() - clock) / (time.process_time() - started)  # as if nothing else ran
    bytes_ = peak.most - before
    print(f"{name}: told {told.total / 1e6:.0f} MB, rise {bytes_ / 1e6:.0f} MB ({bytes_ / told.total:.2f}); told "
          f"{told.operations / rate:.2f} s at {rate / 1e9:.1f} G/s, took {seconds:.2f} s ({seconds * rate / told.operations:.2f})")  # fmt: skip


def main() -> None:
    """Each shape in a new process."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    for name in SHAPES:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.step_budget", name], env=environment, check=True)


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else measure(sys.argv[1])

"""Runs of every method on as many processes as torchrun starts, each holding the whole network, then a part of it.

    torchrun --nproc-per-node 2 -m tests.training.processes FOLDER

FOLDER holds what `prepare` made and FOLDER/METHOD-given, runs of one process that have done two steps: they are carried on
in parts. FOLDER/METHOD-whole is begun, stopped and carried on, FOLDER/METHOD-parts is begun.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from raxel_core.latents.patch_vae import load_patch_vae
from raxel_core.model.config import RaxelConfig
from raxel_core.ray_diffusion.config import RayDiffusionConfig
from raxel_core.ray_diffusion.objective import RayDiffusionObjective, RayDiffusionTrainConfig
from raxel_core.raype.config import RayPETrainConfig
from raxel_core.raype.objective import RayPEObjective
from raxel_core.training.config import TrainConfig
from raxel_core.training.objective import Objective
from raxel_core.training.raxel_objective import WEIGHTS_FILE, RaxelObjective
from raxel_core.training.train import Trainer
from raxel_core.training.vae import fit_patch_code, raxel_and_video_clips

METHODS = ("raxel", "raype", "rays", "lora")
CHANNELS = 16
RUN = {
    "name": "processes", "steps": 3, "frames": 5, "hw": (32, 32), "clips": 8, "shard_clips": 8, "batch": 2, "batches": 2,
    "precision": "no", "log_every": 1, "validate_every": 100, "validation_clips": 2, "save_every": 100,
}  # fmt: skip
# Its text modules are never used, and its three steps are of three tasks. (Muon orthogonalises in bf16, so that shares of
# its matrices round otherwise: 2e-6 of the weights after three steps at its rate. The rays' is smaller.)
RAXEL = TrainConfig(
    **RUN, optimizer="adamw", scenes=(("room", 1.0),), seed=6, rate_factors=(("ray_*", 2.0),),
    model=RaxelConfig(dim=24, ffn_dim=48, layers=2, heads=2, in_channels=CHANNELS, patch=(1, 1, 1), text_dim=8, freq_dim=16),
)  # fmt: skip
# Adapters of a checkpoint in bf16, which rests and is dealt out all the same.
LORA = replace(RAXEL, lora_rank=2, rate_factors=())
RAYPE = RayPETrainConfig(**RUN, scenes=(("room", 1.0),), learning_rate=1e-3, moment_eps=1e-2, ema=0.9)
RAYS = RayDiffusionTrainConfig(
    **RUN, views=(2, 2), muon=True,
    model=RayDiffusionConfig(
        hidden=32, depth=2, heads=2, grid=4, patch=1, image_px=16, max_images=2, features="convolution", feature_channels=16
    ),
)  # fmt: skip


def prepare(folder: Path) -> None:
    """A VAE, a backbone of Wan and a checkpoint to adapt."""
    from diffusers import WanTransformer3DModel

    save_file(fit_patch_code(raxel_and_video_clips(RAXEL, range(8)), channels=CHANNELS).state_dict(), folder / "vae.st")
    torch.manual_seed(0)
    WanTransformer3DModel(
        patch_size=(1, 2, 2), in_channels=CHANNELS, out_channels=CHANNELS, num_layers=2, num_attention_heads=2,
        attention_head_dim=12, ffn_dim=40, text_dim=8, freq_dim=16,
    ).save_pretrained(folder / "backbone")  # fmt: skip
    train("raxel", folder, "start", until=1)


def objective(method: str, folder: Path) -> Objective:
    """A new run of a method."""
    if method == "rays":
        return RayDiffusionObjective(RAYS)
    vae = load_patch_vae(folder / "vae.st")
    if method == "raype":
        return RayPEObjective(RAYPE, vae, folder / "backbone", cache=folder / "clips")
    if method == "lora":
        return RaxelObjective(LORA, vae, cache=folder / "clips", start=folder / "raxel-start" / WEIGHTS_FILE)
    return RaxelObjective(RAXEL, vae, cache=folder / "clips")


def train(method: str, folder: Path, name: str, *, until: int | None = None, **how: bool) -> Trainer:
    """Carry a run on in a folder of that name."""
    trainer = Trainer(objective(method, folder), folder / f"{method}-{name}", **how)
    trainer.train(until=until)
    return trainer


def main(folder: Path) -> None:
    """All runs, one after the other."""
    torch.set_num_threads(1)
    for method in METHODS:
        train(method, folder, "whole", until=2)
        train(method, folder, "whole")
        train(method, folder, "parts", until=2, sharded=True)
        train(method, folder, "given", sharded=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

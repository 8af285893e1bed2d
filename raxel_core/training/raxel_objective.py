"""Training a raxel model: the objective of Rays as Pixels, its optimisers, and the checkpoint a run leaves."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..latents.statistics import LatentStatistics
from ..latents.vae import VideoVAE
from ..model.transformer import RaxelTransformer, initialize
from ..recipe import METADATA_KEY, Recipe
from ..weights.checkpoint import load_checkpoint, save_checkpoint
from ..weights.lora import add_adapters, save_lora
from .config import TrainConfig
from .data import ClipPool, DeviceClips, LatentClips
from .loss import Example, canonical_cameras, draw_task, flow_loss, make_example
from .optimizers import make_optimizers
from .ray_codes import encode_cameras
from .run_state import step_of_file
from .validate import pose_figures, video_figures

GATE_START = 0.5
WEIGHTS_FILE = "raxel.safetensors"
LORA_FILE = "lora.safetensors"
VIDEO_STD_FLOOR = 0.15  # of the largest channel's spread: small channels stay small, noise drowns them first
RAY_STD_FLOOR = 0.05

Batch = tuple[Example, tuple[Tensor, Tensor]]
DrawSamples = Callable[[RaxelTransformer, Recipe, Path | None], None]
"""Draws what a network can do, as a picture at a path, or nowhere: where others hold parts of the network."""


class RaxelObjective:
    """The `Objective` of a raxel model: both streams by flow matching, on synthetic clips."""

    def __init__(
        self, config: TrainConfig, vae: VideoVAE, *, cache: Path, start: Path | None = None,
        vae_name: str = "raxel-tiny-vae", draw_samples: DrawSamples | None = None, fast_scenes: bool = False,
    ) -> None:  # fmt: skip
        """`cache` holds rendered clips and may be shared by runs of the same clips; `start` is a checkpoint to begin
        from (its recipe's statistics are kept); `draw_samples` is called with the averaged network at each validation;
        `fast_scenes` has the tracer of the scenes compiled.
        """
        self.config, self.vae, self.draw_samples = config, vae, draw_samples
        self.device, self.device_vae = torch.device("cpu"), vae
        self.pool = ClipPool(config, vae, cache, fast=fast_scenes)
        self.start = start
        if config.lora_rank:
            self.model, statistics = self._adapted()
            self.recipe = _recipe(config, vae_name, statistics.video_statistics, statistics.ray_statistics)
        elif start is None:
            self.model = RaxelTransformer(config.model)
            generator = torch.Generator().manual_seed(config.seed)
            initialize(self.model, gate=GATE_START, generator=generator, attention_prior=config.attention_prior)
            self.recipe = make_recipe(config, self.pool.shard(0), vae, vae_name)
        else:
            self.model = RaxelTransformer(config.model)
            loaded = load_checkpoint(start)
            self.model.load_state_dict(loaded.model.state_dict())
            statistics = Recipe.from_json(loaded.metadata[METADATA_KEY])
            self.recipe = _recipe(config, vae_name, statistics.video_statistics, statistics.ray_statistics)
        self.model.gradient_checkpointing = config.gradient_checkpointing
        self.validation = self.pool.validation()

    def _adapted(self) -> tuple[RaxelTransformer, Recipe]:
        """The start's network in its own dtype with new adapters, and its recipe; ValueError where it does not fit."""
        config = self.config
        if self.start is None:
            raise ValueError(f"lora_rank {config.lora_rank} trains adapters of a checkpoint: give it as the start")
        loaded = load_checkpoint(self.start)
        if loaded.config != config.model:
            raise ValueError(f"{self.start} is a network of another configuration than the run's: {loaded.config}")
        add_adapters(loaded.model, config.lora_rank, generator=torch.Generator().manual_seed(config.seed))
        return loaded.model, Recipe.from_json(loaded.metadata[METADATA_KEY])

    def to(self, device: torch.device) -> None:
        """Move the network and a copy of the VAE; on another device than the CPU the clips too are made and kept."""
        self.device = device
        self.model.to(device)
        self.device_vae = copy.deepcopy(self.vae).to(device) if isinstance(self.vae, nn.Module) else self.vae
        if device.type != "cpu" and isinstance(self.vae, nn.Module):
            self.pool = DeviceClips(self.config, self.device_vae, device)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The run's optimisers of all weights; of adapters AdamW."""
        adapts = bool(self.config.lora_rank)
        kind = "adamw" if adapts and self.config.optimizer == "muon" else self.config.optimizer
        betas = (0.9, 0.999) if adapts else (0.9, 0.98)
        named = self.model.named_parameters()
        return make_optimizers(named, self.config, kind=kind, inside=_in_blocks, betas=betas, decay=0.0)

    def learning_rate(self, step: int) -> float:
        """The rate of a step (`learning_rate`)."""
        return learning_rate(step, self.config)

    def read(self, number: int) -> LatentClips:
        """The clips of batch `number`."""
        return self.pool.batch(number)

    def draw(self, number: int, clips: LatentClips | None = None) -> Batch:
        """Example `number` of the run, and the noise of both streams."""
        generator = self._generator(number)
        clips = self.read(number) if clips is None else clips
        task = draw_task(self.config, self._generator(number - number % self.config.batches))  # its step's first one's
        vae = self.vae if clips.video.device.type == "cpu" else self.device_vae
        example = make_example(clips, self.config, self.recipe, vae, generator, task=task).to(self.device)
        if clips.video.device != generator.device:  # noise too is made where the clips are
            generator = torch.Generator(clips.video.device).manual_seed(generator.initial_seed())
        video = torch.randn(example.video.shape, generator=generator, device=generator.device)
        rays = torch.randn(example.rays.shape, generator=generator, device=generator.device)
        return example, (video.to(self.device), rays.to(self.device))

    def _generator(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.config.seed * 1_000_000_007 + number)

    def loss(self, model: Any, batch: Batch) -> dict[str, Tensor]:
        """The loss of an example (`flow_loss`)."""
        return flow_loss(model, *batch, self.config, self.recipe, self.device_vae)

    def validate(self, network: Any, samples: Path | None, *, draws: bool) -> dict[str, float]:
        """Camera errors and pictures on validation scenes (`pose_figures`, `video_figures`) of the tasks trained."""
        if self.draw_samples is not None and draws:
            self.draw_samples(network, self.recipe, samples)
        figures: dict[str, float] = {}
        for share, measure in zip(self.config.task_shares, (pose_figures, video_figures), strict=False):
            if share:
                figures |= measure(network, self.validation, self.config, self.recipe, self.device_vae)
        return figures

    def saved_step(self, folder: Path) -> int | None:
        """The step of the checkpoint or the adapters in `folder`."""
        return step_of_file(folder / (LORA_FILE if self.config.lora_rank else WEIGHTS_FILE))

    def save(self, weights: Mapping[str, Tensor], folder: Path, step: int) -> None:
        """A checkpoint of `weights` in bf16, or the adapters as they are."""
        if self.config.lora_rank:
            adapters = {name: weights[name] for name, p in self.model.named_parameters() if p.requires_grad}
            save_lora(folder / LORA_FILE, adapters, metadata={"steps": str(step)})
            return
        tensors = {name: value.to(torch.bfloat16) for name, value in weights.items()}
        save_checkpoint(folder / WEIGHTS_FILE, tensors, self.config.model,
                        metadata={METADATA_KEY: self.recipe.to_json(), "steps": str(step)})  # fmt: skip


def _in_blocks(name: str) -> bool:
    return name.startswith("blocks.")


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, constant, then linear to a tenth."""
    warm = min(1.0, (step + 1) / config.warmup)
    left = (config.steps - step) / max(config.steps * (1 - config.decay_from), 1)
    return config.learning_rate * warm * max(0.1, min(1.0, left))


def make_recipe(config: TrainConfig, clips: LatentClips, vae: VideoVAE, vae_name: str) -> Recipe:
    """The recipe of a run: latent statistics measured on `clips`, spreads kept above a share of the largest."""
    clips = clips[: min(len(clips), 512)].to("cpu")
    reference = torch.arange(len(clips)) % config.frames * (torch.arange(len(clips)) % 2)
    camera = canonical_cameras(clips.camera, clips.near_depth, reference)
    rays = encode_cameras(camera, config, vae)
    return _recipe(config, vae_name, floored(LatentStatistics.from_latents(clips.video), VIDEO_STD_FLOOR),
                   floored(LatentStatistics.from_latents(rays), RAY_STD_FLOOR))  # fmt: skip


def _recipe(config: TrainConfig, vae_name: str, video: LatentStatistics, rays: LatentStatistics) -> Recipe:
    return Recipe(vae=vae_name, frames=config.frames, hw=config.hw, fps=config.fps, unit="near_depth",
                  video_statistics=video, ray_statistics=rays, raxel_downscale=config.raxel_downscale)  # fmt: skip


def floored(statistics: LatentStatistics, floor: float) -> LatentStatistics:
    """Statistics in which no std is below `floor` of the largest."""
    least = floor * max(statistics.std)
    return LatentStatistics(statistics.mean, tuple(max(s, least) for s in statistics.std))

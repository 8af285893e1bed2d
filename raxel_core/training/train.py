"""The training loop: batch -> example -> loss -> step, with exact resume.

A step's data and noise are functions of (seed, step), so the state that resumes a run bit for bit is the weights, their
average and the optimisers' moments: one safetensors file beside a JSON log with one line per report.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..atomic_file import replacing
from ..latents.statistics import LatentStatistics
from ..latents.vae import VideoVAE
from ..model.checkpoint import load_checkpoint, save_checkpoint
from ..model.transformer import RaxelTransformer, initialize
from ..recipe import METADATA_KEY, Recipe
from .config import TrainConfig
from .data import ClipPool, LatentClips
from .loss import Example, canonical_cameras, flow_loss, make_example, raxels_of
from .synthetic import SPLITS
from .validate import pose_figures

GATE_START = 0.5
STATE_FILE = "state.safetensors"
LOG_FILE = "log.jsonl"
WEIGHTS_FILE = "raxel.safetensors"
SAMPLES_FILE = "samples-{step:07d}.png"
VIDEO_STD_FLOOR = 0.15  # of the largest channel's spread: small channels stay small, noise drowns them first
RAY_STD_FLOOR = 0.05


DrawSamples = Callable[[RaxelTransformer, Recipe, Path], None]
"""Draws what a network can do, as a picture at a path."""


class Trainer:
    """A run in a folder: `train` carries it on from where its last state left off.

    It runs on what `accelerate` finds: a CPU, a GPU, or one process per GPU, each with batches of its own.
    """

    def __init__(
        self, config: TrainConfig, vae: VideoVAE, folder: Path, *, cache: Path, start: Path | None = None,
        vae_name: str = "raxel-tiny-vae", draw_samples: DrawSamples | None = None,
    ) -> None:  # fmt: skip
        """`cache` holds rendered clips and may be shared by runs of the same clips; `start` is a checkpoint to begin
        from (its recipe's statistics are kept); `draw_samples` is called with the averaged network at each validation.
        """
        self.config, self.vae, self.folder, self.draw_samples = config, vae, folder, draw_samples
        self.accelerator = Accelerator(mixed_precision=config.precision)
        self.pool = ClipPool(config, vae, cache)
        self.device_vae = copy.deepcopy(vae).to(self.accelerator.device) if isinstance(vae, nn.Module) else vae
        folder.mkdir(parents=True, exist_ok=True)
        model = RaxelTransformer(config.model)
        if start is None:
            initialize(model, gate=GATE_START, generator=torch.Generator().manual_seed(config.seed))
            self.recipe = make_recipe(config, self.pool.shard(0), vae, vae_name)
        else:
            loaded = load_checkpoint(start)
            model.load_state_dict(loaded.model.state_dict())
            statistics = Recipe.from_json(loaded.metadata[METADATA_KEY])
            self.recipe = _recipe(config, vae_name, statistics.video_statistics, statistics.ray_statistics)
        model.gradient_checkpointing = config.gradient_checkpointing
        model.to(self.accelerator.device)
        self.average = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        optimizers = make_optimizers(model, config)
        self.model, *self.optimizers = self.accelerator.prepare(model, *optimizers)
        self.step = 0
        if (folder / STATE_FILE).exists():
            self._load_state()
        self.validation = self._validation_clips()

    def train(self, *, until: int | None = None, report: Callable[[dict[str, Any]], None] = lambda line: None) -> None:
        """Trains to step `until` (the whole run if None), saving, validating and logging on the way."""
        config = self.config
        last = config.steps if until is None else min(until, config.steps)
        started, parts = time.monotonic(), []
        while self.step < last:
            parts.append(self._train_step())
            self.step += 1
            if self.step % config.log_every == 0:
                mean = {name: sum(p[name] for p in parts if name in p) / max(sum(name in p for p in parts), 1)
                        for name in sorted(set().union(*parts))}  # fmt: skip
                self._log({"step": self.step, "seconds": round(time.monotonic() - started, 1), **mean}, report)
                parts = []
            if self.step % config.validate_every == 0 or self.step == last:
                self._log({"step": self.step, "validation": self.validate()}, report)
            if self.step % config.save_every == 0 or self.step == last:
                self.save()

    def _train_step(self) -> dict[str, float]:
        config = self.config
        example, noise = self._draw()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(self.step, config)
        parts = flow_loss(self.model, example, noise, config, self.recipe, self.device_vae)
        if not torch.isfinite(parts["loss"]):
            raise ValueError(f"the loss of step {self.step} is {parts['loss'].item()}: the run went astray before it")
        self.accelerator.backward(parts["loss"])
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        decay = min(config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self._bare().named_parameters():
                self.average[name].lerp_(parameter, 1 - decay)
        return {name: part.item() for name, part in parts.items()} | {"grad_norm": float(norm)}

    def _draw(self) -> tuple[Example, tuple[Tensor, Tensor]]:
        """The example of this step for this process, and the noise of both streams, on the device."""
        config, accelerator = self.config, self.accelerator
        number = self.step * accelerator.num_processes + accelerator.process_index
        generator = torch.Generator().manual_seed(config.seed * 1_000_000_007 + number)
        example = make_example(self.pool.batch(number), config, self.recipe, self.vae, generator)
        video = torch.randn(example.video.shape, generator=generator).to(accelerator.device)
        rays = torch.randn(example.rays.shape, generator=generator).to(accelerator.device)
        return example.to(accelerator.device), (video, rays)

    def validate(self) -> dict[str, float]:
        """Camera errors of the averaged weights on validation scenes (validate.pose_figures), and their samples."""
        averaged = RaxelTransformer(self.config.model).eval()
        averaged.load_state_dict(self.average)
        if self.draw_samples is not None and self.accelerator.is_main_process:
            self.draw_samples(averaged, self.recipe, self.folder / SAMPLES_FILE.format(step=self.step))
        averaged = self.accelerator.prepare_model(averaged, evaluation_mode=True)
        return pose_figures(averaged, self.validation, self.config, self.recipe, self.device_vae)

    def save(self) -> None:
        """Writes the state that resumes this run and the averaged weights as a checkpoint, both atomically."""
        if not self.accelerator.is_main_process:
            return
        tensors = {f"model.{name}": p.detach() for name, p in self._bare().named_parameters()}
        tensors |= {f"average.{name}": p for name, p in self.average.items()}
        for i, optimizer in enumerate(self.optimizers):
            for key, moments in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{i}.{key}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        metadata = {"step": str(self.step), "config": self.config.to_json()}
        with replacing(self.folder / STATE_FILE) as partial:
            save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, partial, metadata)
        weights = {name: value.to(torch.bfloat16) for name, value in self.average.items()}
        save_checkpoint(self.folder / WEIGHTS_FILE, weights, self.config.model,
                        metadata={METADATA_KEY: self.recipe.to_json(), "steps": str(self.step)})  # fmt: skip

    def _load_state(self) -> None:
        with safe_open(self.folder / STATE_FILE, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        self.step = int(metadata["step"])
        self._bare().load_state_dict(_under(tensors, "model."))
        self.average = {name: p.to(self.accelerator.device) for name, p in _under(tensors, "average.").items()}
        for i, optimizer in enumerate(self.optimizers):
            state = optimizer.state_dict()
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in _under(tensors, f"optimizer.{i}.").items():
                key, moment = name.split(".", 1)
                moments.setdefault(int(key), {})[moment] = value
            optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})

    def _bare(self) -> nn.Module:
        return self.accelerator.unwrap_model(self.model)

    def _validation_clips(self) -> LatentClips:
        first = SPLITS["validation"].start
        return self.pool.stored("validation", range(first, first + self.config.validation_clips))

    def _log(self, line: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> None:
        with (self.folder / LOG_FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")
        report(line)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, constant, then linear to a tenth."""
    warm = min(1.0, (step + 1) / config.warmup)
    left = (config.steps - step) / max(config.steps * (1 - config.decay_from), 1)
    return config.learning_rate * warm * max(0.1, min(1.0, left))


def make_optimizers(
    model: RaxelTransformer, config: TrainConfig
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for embeddings, heads, norms and modulations."""
    matrices = [p for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(matrices, lr=config.learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    return muon, torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)


def make_recipe(config: TrainConfig, clips: LatentClips, vae: VideoVAE, vae_name: str) -> Recipe:
    """The recipe of a run: latent statistics measured on `clips`, spreads kept above a share of the largest."""
    clips = clips[: min(len(clips), 512)].to("cpu")
    reference = torch.arange(len(clips)) % config.frames * (torch.arange(len(clips)) % 2)
    camera = canonical_cameras(clips.camera, clips.near_depth, reference)
    rays = vae.encode(raxels_of(camera, config.hw))
    return _recipe(config, vae_name, _floored(LatentStatistics.from_latents(clips.video), VIDEO_STD_FLOOR),
                   _floored(LatentStatistics.from_latents(rays), RAY_STD_FLOOR))  # fmt: skip


def _recipe(config: TrainConfig, vae_name: str, video: LatentStatistics, rays: LatentStatistics) -> Recipe:
    return Recipe(vae=vae_name, frames=config.frames, hw=config.hw, fps=config.fps, unit="near_depth",
                  video_statistics=video, ray_statistics=rays)  # fmt: skip


def _floored(statistics: LatentStatistics, floor: float) -> LatentStatistics:
    least = floor * max(statistics.std)
    return LatentStatistics(statistics.mean, tuple(max(s, least) for s in statistics.std))


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's log."""
    with (folder / LOG_FILE).open() as file:
        yield from map(json.loads, file)

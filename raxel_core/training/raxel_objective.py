"""Training a raxel model: the objective of Rays as Pixels, its optimisers, and the checkpoint a run leaves."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..latents.statistics import LatentStatistics
from ..latents.vae import VideoVAE
from ..latents.wan_vae import WanVAE
from ..model.transformer import RaxelTransformer, initialize
from ..recipe import METADATA_KEY, Recipe
from ..strict_json import parse_object
from ..weights.checkpoint import load_checkpoint, save_checkpoint
from ..weights.lora import add_adapters, save_lora
from ..weights.tensor_file import fingerprint
from .captions import Texts
from .config import TrainConfig
from .data import ENCODED_PIXELS, ClipPool, DeviceClips, LatentClips, vae_mark
from .filmed import NO_FILMS, Films, all_sets
from .loss import Example, canonical_cameras, draw_said, draw_task, flow_loss, make_example
from .objective import batch_generator
from .optimizers import make_optimizers
from .ray_codes import encode_cameras
from .run_state import step_of_file
from .shapes import ShapedClips
from .validate import pose_figures, video_figures

GATE_START = 0.5
WEIGHTS_FILE = "raxel.safetensors"
LORA_FILE = "lora.safetensors"
VIDEO_STD_FLOOR = 0.15  # of the largest channel's spread: small channels stay small, noise drowns them first
RAY_STD_FLOOR = 0.05
TRAINED_KEY = "steps"  # of a checkpoint's metadata: it comes from training, and not from a conversion alone
BEGUN_KEY = "begun"  # of a run's checkpoint: what its start asks to be sampled with, which the run may ask otherwise
MEASURED_PIXELS = 2**27  # raxel pixels that the statistics of rays are measured on

Batch = tuple[Example, tuple[Tensor, Tensor]]
DrawSamples = Callable[[RaxelTransformer, Recipe, Path | None], None]
"""Draws what a network can do, as a picture at a path, or nowhere: where others hold parts of the network."""


class RaxelObjective:
    """The `Objective` of a raxel model: both streams by flow matching, on synthetic clips."""

    def __init__(
        self, config: TrainConfig, vae: VideoVAE, *, cache: Path, start: Path | None = None,
        vae_name: str = "raxel-tiny-vae", draw_samples: DrawSamples | None = None, fast_scenes: bool = False,
        films: Films = NO_FILMS, texts: Texts | None = None, goes_on: bool = False,
    ) -> None:  # fmt: skip
        """`cache` holds rendered clips and may be shared by runs of the same clips; `start` is a checkpoint to begin
        from (its recipe's statistics are kept); `draw_samples` is called with the averaged network at each validation;
        `fast_scenes` has the tracer of the scenes compiled; `films` are the data sets of filmed scenes that the
        configuration names; `texts` the embeddings of their captions. With `goes_on` the start is the checkpoint that
        the run itself has left.
        """
        self.config, self.vae, self.draw_samples = config, vae, draw_samples
        self.vae_name, self.start, self.goes_on = vae_name, start, goes_on
        self.device, self.device_vae = torch.device("cpu"), vae
        self._begun: dict[str, str] | None = None  # what the start says of itself
        self.origins: Mapping[str, str] = {"vae": vae_mark(vae)}
        self.model = self._adapted() if config.lora_rank else self._network()
        if config.text_drop is None:
            rest_text(self.model)
        elif texts is None:
            raise ValueError(f"text_drop {config.text_drop} trains text: name the embeddings of the captions")
        self.texts = texts
        self.pool = ClipPool(config, vae, cache, fast=fast_scenes, sets=all_sets(config, films, self.unit))
        self.model.gradient_checkpointing = config.gradient_checkpointing

    @cached_property
    def recipe(self) -> Recipe:
        """What the checkpoint will say of the run. The statistics are those of a start that was trained itself; else
        they are measured, the video's unless the start brings them (a converted Wan's are its VAE's)."""
        found = self._begun_recipe
        if found is None or TRAINED_KEY not in (self._begun or {}):
            video = None if found is None else found.video_statistics
            made = make_recipe(
                self.config, self.pool.shard(0), self.device_vae, self.vae_name, unit=self.unit, video=video
            )
        else:
            made = _recipe(self.config, self.vae_name, self.unit, found.video_statistics, found.ray_statistics)
        own = {name: getattr(self.config, name) for name in self._inherited}
        wishes = {name: self._inherited[name] if wish is None else wish for name, wish in own.items()}
        return replace(made, **wishes)

    @cached_property
    def _inherited(self) -> dict[str, Any]:
        """How the checkpoint asks to be sampled where the configuration says nothing: as the run's start does."""
        found = self._begun_recipe
        if found is None:
            return {"sampling_shift": 1.0, "antithetic_pose": False}
        if self.goes_on and BEGUN_KEY in (self._begun or {}):
            return parse_object("what the run began with", (self._begun or {})[BEGUN_KEY])
        return {"sampling_shift": found.sampling_shift, "antithetic_pose": found.antithetic_pose}

    @property
    def unit(self) -> str:
        """The length that camera centres are measured in: the configuration's, else the start's."""
        return self.config.unit or (self._begun_recipe.unit if self._begun_recipe else "near_depth")

    @property
    def _begun_recipe(self) -> Recipe | None:
        return None if self._begun is None else Recipe.from_json(self._begun[METADATA_KEY])

    @cached_property
    def validation(self) -> LatentClips:
        """The clips that the run is watched by."""
        return self.pool.validation()

    def _network(self) -> RaxelTransformer:
        """A new network, or one with the start's weights."""
        if self.start is not None:
            return self._begun_network()
        model = RaxelTransformer(self.config.model)
        generator = torch.Generator().manual_seed(self.config.seed)
        initialize(model, gate=GATE_START, generator=generator, attention_prior=self.config.attention_prior)
        return model

    def _begun_network(self) -> RaxelTransformer:
        """The start's weights, mapped from its file until something moves them: float32 is made of one after the other,
        and of each alone that a sharded run deals out. ValueError where they are not the configuration's."""
        assert self.start is not None
        loaded = load_checkpoint(self.start)
        model = RaxelTransformer(self.config.model, device="meta")
        given = loaded.model.state_dict()
        unlike = [name for name, p in model.state_dict().items() if name not in given or given[name].shape != p.shape]
        if unlike or len(given) > len(model.state_dict()):
            raise ValueError(f"{self.start} is a network of another configuration than the run's: {loaded.config}")
        model.load_state_dict(given, assign=True)
        self._begun = loaded.metadata
        return model

    def _adapted(self) -> RaxelTransformer:
        """The start's network in its own dtype with new adapters; ValueError where it does not fit."""
        config = self.config
        if self.start is None:
            raise ValueError(f"lora_rank {config.lora_rank} trains adapters of a checkpoint: give it as the start")
        loaded = load_checkpoint(self.start)
        if loaded.config != config.model:
            raise ValueError(f"{self.start} is a network of another configuration than the run's: {loaded.config}")
        self._begun = loaded.metadata
        self._check_base()
        self.origins = {**self.origins, "start": fingerprint(loaded.model.state_dict())}
        add_adapters(loaded.model, config.lora_rank, generator=torch.Generator().manual_seed(config.seed))
        return loaded.model

    def _check_base(self) -> None:
        """ValueError where rays are coded otherwise than the network that is adapted has them: a LoRA says nothing of
        that itself."""
        base = self._begun_recipe
        assert base is not None
        for name in ("unit", "raxel_downscale"):
            wish, held = getattr(self.config, name), getattr(base, name)
            if wish not in (None, held):
                raise ValueError(
                    f"{name} of the training configuration is {wish} and that of {self.start}, which adapters are "
                    f"trained for, is {held}: take the same"
                )

    def to(self, device: torch.device) -> None:
        """Move the network and a copy of the VAE; on another device than the CPU the clips too are made there, and
        kept there unless Wan's VAE codes them or they are filmed: such latents are worth their files."""
        self.device = device
        self.model.to(device)
        if device.type == "cpu" or not isinstance(self.vae, nn.Module):
            return
        self.device_vae = copy.deepcopy(self.vae).to(device)
        if isinstance(self.vae, WanVAE) or self.config.data:
            self.pool.vae, self.pool.device = self.device_vae, device
        else:
            self.pool = DeviceClips(self.config, self.device_vae, device, sets=self.pool.sets)

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
        return self.shaped.batch(number)

    @cached_property
    def shaped(self) -> ShapedClips:
        """The clips of all shapes of the run, from `pool` and others like it."""
        return ShapedClips(self.config, self.pool, self._pool_like)

    def _pool_like(self, config: TrainConfig) -> ClipPool:
        """A pool where and of what `pool` is, of clips of another shape."""
        if isinstance(self.pool, DeviceClips):
            return DeviceClips(config, self.device_vae, self.device, sets=self.pool.sets)
        folder = self.pool.folder / f"{config.frames}x{config.hw[0]}x{config.hw[1]}"
        pool = ClipPool(config, self.pool.vae, folder, fast=self.pool.fast, sets=self.pool.sets)
        pool.device = self.pool.device
        return pool

    def draw(self, number: int, clips: LatentClips | None = None) -> Batch:
        """Example `number` of the run, and the noise of both streams."""
        generator = batch_generator(self.config.seed, number)
        clips = (self.read(number) if clips is None else clips).to(self.device)
        of_step = number - number % self.config.batches  # what a step leaves without gradient, all its batches do
        first = batch_generator(self.config.seed, of_step)
        task, said = draw_task(self.config, first), draw_said(self.config, first)
        config = self.shaped.config_of(number)
        example = make_example(
            clips, config, self.recipe, self.device_vae, generator, task=task, said=said, texts=self.texts
        )
        if self.device.type != "cpu":  # noise too is made where the clips are
            generator = torch.Generator(self.device).manual_seed(generator.initial_seed())
        video = torch.randn(example.video.shape, generator=generator, device=self.device)
        rays = torch.randn(example.rays.shape, generator=generator, device=self.device)
        return example.to(self.device), (video, rays)

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
                        metadata={METADATA_KEY: self.recipe.to_json(), TRAINED_KEY: str(step),
                                  BEGUN_KEY: json.dumps(self._inherited)})  # fmt: skip


def _in_blocks(name: str) -> bool:
    return name.startswith("blocks.")


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, constant, then linear to a tenth."""
    warm = min(1.0, (step + 1) / config.warmup)
    left = (config.steps - step) / max(config.steps * (1 - config.decay_from), 1)
    return config.learning_rate * warm * max(0.1, min(1.0, left))


def rest_text(model: RaxelTransformer) -> None:
    """Take what only text uses out of what a run changes: without text it gets no gradient."""
    used = model.config.inter == "text"
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        text = parts[0] == "text_embedding" or parts[2:3] == ["norm3"] or (parts[2:3] == ["cross_attn"] and not used)
        parameter.requires_grad_(parameter.requires_grad and not text)


def make_recipe(
    config: TrainConfig, clips: LatentClips, vae: VideoVAE, vae_name: str, *, unit: str = "near_depth",
    video: LatentStatistics | None = None,
) -> Recipe:  # fmt: skip
    """The recipe of a run: latent statistics measured on `clips`, spreads kept above a share of the largest; `video`
    are the video's where they are known. Rays are coded clip by clip on the VAE's device."""
    pixels = config.frames * config.hw[0] * config.hw[1] // config.raxel_downscale**2
    clips = clips[: max(MEASURED_PIXELS // pixels, 8)].to("cpu")
    reference = torch.arange(len(clips)) % config.frames * (torch.arange(len(clips)) % 2)
    device = next(vae.parameters(), torch.empty(0)).device if isinstance(vae, nn.Module) else torch.device("cpu")
    camera = canonical_cameras(clips.camera, clips.near_depth, reference, unit).to(device)
    step = max(ENCODED_PIXELS // pixels, 1)
    parts = [encode_cameras(camera[i : i + step], config, vae).cpu() for i in range(0, len(clips), step)]
    video = video or floored(LatentStatistics.from_latents(clips.video), VIDEO_STD_FLOOR)
    rays = floored(LatentStatistics.from_latents(torch.cat(parts)), RAY_STD_FLOOR)
    return _recipe(config, vae_name, unit, video, rays)


def _recipe(config: TrainConfig, vae_name: str, unit: str, video: LatentStatistics, rays: LatentStatistics) -> Recipe:
    return Recipe(vae=vae_name, frames=config.frames, hw=config.hw, fps=config.fps, unit=unit,
                  video_statistics=video, ray_statistics=rays, raxel_downscale=config.raxel_downscale)  # fmt: skip


def floored(statistics: LatentStatistics, floor: float) -> LatentStatistics:
    """Statistics in which no std is below `floor` of the largest."""
    least = floor * max(statistics.std)
    return LatentStatistics(statistics.mean, tuple(max(s, least) for s in statistics.std))

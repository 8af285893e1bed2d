"""Training RayPE on a Wan backbone (arXiv 2606.27345, appendix B): first frame and cameras to video, flow matching."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..geometry.camera import Camera
from ..geometry.trajectory import Trajectory
from ..latents.statistics import LatentStatistics
from ..latents.vae import VideoVAE
from ..latents.wan_vae import WanVAE
from ..sampling.schedule import shifted_sigmas
from ..training.data import ClipPool, LatentClips
from ..training.filmed import NO_FILMS, Films, all_sets
from ..training.loss import NEAREST_DEPTH
from ..training.optimizers import make_optimizers
from ..training.raxel_objective import VIDEO_STD_FLOOR, floored
from ..training.run_state import step_of_file
from ..weights.tensor_file import write_tensors
from .backbone import load_backbone, load_prompt, ray_wan, wan_state
from .config import RayPETrainConfig
from .encoding import RayFeatures
from .ray_tokens import in_near_depth, token_rays
from .terms import variant_features

WEIGHTS_FILE = "raype.safetensors"
METADATA_KEY = "raype_training"
LEAST_SIGMA = 0.02
LEVELS = (0.25, 0.5, 0.75, 1.0)  # noise levels of the validation loss
SAMPLED_CLIPS = 3

DrawSamples = Callable[[Tensor, Tensor, Path], None]
"""Draws latents [B, C, T, h, w], raw, of true and of generated clips as a picture at a path."""


@dataclass(frozen=True)
class RayExample:
    """A batch: normalised `latents` and `noise` [B, C, T, h, w], `sigma` [B] of the frames after the first, and `rays`
    [B, L, .] of the tokens, None in a run without cameras."""

    latents: Tensor
    noise: Tensor
    sigma: Tensor
    rays: RayFeatures | None

    def to(self, device: torch.device) -> RayExample:
        """The same on a device."""
        rays = None if self.rays is None else RayFeatures(*(part.to(device) for part in self.rays))
        return RayExample(self.latents.to(device), self.noise.to(device), self.sigma.to(device), rays)


class RayPEObjective:
    """The `Objective` of RayPE on a Wan backbone, on synthetic clips."""

    def __init__(
        self, config: RayPETrainConfig, vae: VideoVAE, backbone: Path, *, cache: Path, null_prompt: Path | None = None,
        prompt: Path | None = None, draw_samples: DrawSamples | None = None, films: Films = NO_FILMS,
    ) -> None:  # fmt: skip
        """`backbone` is a folder of diffusers, `cache` holds rendered clips, `null_prompt` is a file with the embedding
        of an empty prompt and `prompt` one of what the videos of validations show; `draw_samples` is called at each
        validation; `films` are the data sets of filmed scenes that the configuration names, each with its own eta as
        the `factor` of its settings."""
        self.config, self.draw_samples = config, draw_samples
        self.device = torch.device("cpu")
        transformer = load_backbone(backbone, channels=vae.latent_channels)
        self.text = load_prompt(null_prompt, transformer.config.text_dim)
        self.prompt = None if prompt is None else load_prompt(prompt, transformer.config.text_dim)
        self.patch_hw: tuple[int, int] = tuple(transformer.config.patch_size[1:])
        self.model = ray_wan(transformer, config)
        unit = "near_depth" if config.near_depth else "arbitrary"
        self.pool = ClipPool(config, vae, cache, sets=all_sets(config, films, unit))
        self.statistics = config.statistics or latent_statistics(vae, self.pool)
        self.validation = self.pool.validation()

    def to(self, device: torch.device) -> None:
        """Move the network and the prompt; batches are made on the CPU and moved whole."""
        self.device, self.text = device, self.text.to(device)
        self.prompt = None if self.prompt is None else self.prompt.to(device)
        self.model.to(device)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The run's optimisers: by default AdamW for RayPE and the tuned part of the backbone alike."""
        config, named = self.config, self.model.named_parameters()
        return make_optimizers(named, config, kind=config.optimizer, inside=_in_blocks, betas=(0.9, 0.999),
                               decay=config.weight_decay)  # fmt: skip

    def learning_rate(self, step: int) -> float:
        """A cosine from the config's rate to a tenth of it at the last step."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.config.steps))
        return self.config.learning_rate * (0.1 + 0.9 * cosine)

    def read(self, number: int) -> LatentClips:
        """The clips of batch `number`."""
        return self.pool.batch(number)

    def draw(self, number: int, clips: LatentClips | None = None) -> RayExample:
        """Batch `number` of the run, its noise and its augmentation."""
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_000_007 + number)
        clips = self.read(number) if clips is None else clips
        noise = torch.randn(clips.video.shape, generator=generator)
        uniform = torch.rand(len(clips), generator=generator)
        sigma = self.config.video_shift * uniform / (1 + (self.config.video_shift - 1) * uniform)
        rays = self.rays_of(clips)
        if rays is not None:
            rays = augment(rays, self.config, generator)
        latents = self.statistics.normalize(clips.video)
        return RayExample(latents, noise, sigma.clamp_min(LEAST_SIGMA), rays).to(self.device)

    def rays_of(self, clips: LatentClips) -> RayFeatures | None:
        """The features [B, L, .] of the tokens of `clips`, None in a run without cameras."""
        if not self.config.raype:
            return None
        paths = [scaled_path(clips.camera[i], float(clips.near_depth[i, 0]), self.config) for i in range(len(clips))]
        height, width = clips.video.shape[-2:]
        return path_features(paths, self.config, latent_hw=(height, width), patch_hw=self.patch_hw)

    def loss(self, model: Any, batch: RayExample) -> dict[str, Tensor]:
        """Mean squared error of the velocity over the frames after the first."""
        velocity = model(_noisy(batch), batch.sigma, batch.rays, self.text)
        error = (velocity - (batch.noise - batch.latents))[:, :, 1:].float()
        return {"loss": (self._channel_weights() * error.square()).mean()}

    def _channel_weights(self) -> Tensor:
        """[C, 1, 1, 1] of mean square 1."""
        spread = torch.tensor(self.statistics.std, device=self.device)
        weight = spread / spread.mean() if self.config.spread_weights else torch.ones_like(spread)
        return weight.square()[:, None, None, None]

    @torch.no_grad()
    def validate(self, network: Any, samples: Path | None, *, draws: bool) -> dict[str, float]:
        """The loss on clips never trained on, at fixed noise and levels."""
        generator = torch.Generator().manual_seed(self.config.seed)
        losses: list[tuple[int, Tensor]] = []
        for start in range(0, len(self.validation), self.config.batch):
            clips = self.validation[start : start + self.config.batch].to("cpu")
            noise = torch.randn(clips.video.shape, generator=generator)
            sigma = torch.tensor(LEVELS).repeat(-(-len(clips) // len(LEVELS)))[: len(clips)]
            latents = self.statistics.normalize(clips.video)
            batch = RayExample(latents, noise, sigma, self.rays_of(clips)).to(self.device)
            losses.append((len(clips), self.loss(network, batch)["loss"]))
        if self.draw_samples is not None and draws:
            clips = self.validation[:SAMPLED_CLIPS].to("cpu")
            made = self.generate(network, clips, steps=self.config.sampling_steps)
            if samples is not None:
                self.draw_samples(clips.video, made, samples)
        return {"loss": sum(count * float(loss) for count, loss in losses) / len(self.validation)}

    def generate(self, network: Callable[..., Tensor], clips: LatentClips, *, steps: int, seed: int = 0) -> Tensor:
        """Raw latents [B, C, T, h, w] of videos from the first frames of `clips`, along their cameras."""
        latents = self.statistics.normalize(clips.video)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
        batch = RayExample(latents, noise, torch.ones(len(clips)), self.rays_of(clips)).to(self.device)
        x = _noisy(batch)
        for sigma, below in pairwise(shifted_sigmas(steps, shift=self.config.video_shift).tolist()):
            velocity = self._guided(network, x, torch.full_like(batch.sigma, sigma), batch.rays)
            x = torch.cat((x[:, :, :1], (x + (below - sigma) * velocity)[:, :, 1:]), dim=2)
        return self.statistics.denormalize(x).cpu()

    def _guided(self, network: Callable[..., Tensor], x: Tensor, sigma: Tensor, rays: RayFeatures | None) -> Tensor:
        """The velocity, led away from that of the empty prompt and from that without cameras."""
        config, text = self.config, self.text if self.prompt is None else self.prompt
        velocity = led = network(x, sigma, rays, text)
        if self.prompt is not None and config.text_guidance != 1.0:
            led = led + (config.text_guidance - 1.0) * (velocity - network(x, sigma, rays, self.text))
        if rays is not None and config.camera_guidance != 1.0:
            led = led + (config.camera_guidance - 1.0) * (velocity - network(x, sigma, None, text))
        return led

    def saved_step(self, folder: Path) -> int | None:
        """The step of the expert in `folder`."""
        return step_of_file(folder / WEIGHTS_FILE)

    def save(self, weights: Mapping[str, Tensor], folder: Path, step: int) -> None:
        """The whole expert in bf16 under Wan's names, RayPE among them, in one file."""
        state = wan_state(self.model, weights)
        state = {name: tensor.to("cpu", torch.bfloat16).contiguous() for name, tensor in state.items()}
        metadata = {METADATA_KEY: self.config.to_json(), "steps": str(step)}
        write_tensors(folder / WEIGHTS_FILE, state, metadata)


def _in_blocks(name: str) -> bool:
    return name.startswith("transformer.blocks.")


def scaled_path(camera: Camera, near_depth: float, config: RayPETrainConfig) -> Trajectory:
    """Cameras [F] as RayPE reads them: centres times eta / near depth (equation 22), or times eta alone."""
    path = Trajectory(camera, fps=config.fps, unit="arbitrary")
    return in_near_depth(path, (max(near_depth, NEAREST_DEPTH) if config.near_depth else 1.0) / config.eta)


def path_features(
    paths: list[Trajectory], config: RayPETrainConfig, *, latent_hw: tuple[int, int], patch_hw: tuple[int, int]
) -> RayFeatures:
    """The features [B, L, .] of the tokens of latents of `latent_hw` along `paths`."""
    rays = [token_rays(path, latent_hw, patch_hw=patch_hw).flatten(0, 2).float() for path in paths]
    return variant_features(torch.stack(rays), config.variant, moment_eps=config.moment_eps)


def augment(rays: RayFeatures, config: RayPETrainConfig, generator: torch.Generator) -> RayFeatures:
    """`rays` with the gate's s shifted in a share of the clips, by one number for all tokens (equation 16)."""
    draws = torch.rand(2, rays.log_scale.shape[0], 1, 1, generator=generator)
    low, high = config.augment_range
    shift = torch.where(draws[0] < config.augment_share, low + (high - low) * draws[1], 0.0)
    return rays._replace(log_scale=rays.log_scale + shift)


def _noisy(batch: RayExample) -> Tensor:
    """The latents at their level, frame 0 clean."""
    level = batch.sigma[:, None, None, None, None]
    noisy = batch.latents + level * (batch.noise - batch.latents)
    return torch.cat((batch.latents[:, :, :1], noisy[:, :, 1:]), dim=2)


def latent_statistics(vae: VideoVAE, pool: ClipPool) -> LatentStatistics:
    """The statistics published with a Wan VAE, or those of the run's first clips."""
    if isinstance(vae, WanVAE):
        return LatentStatistics(tuple(vae.autoencoder.config.latents_mean), tuple(vae.autoencoder.config.latents_std))
    return floored(LatentStatistics.from_latents(pool.shard(0)[:512].video.float()), VIDEO_STD_FLOOR)

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
from ..training.objective import batch_generator
from ..training.optimizers import make_optimizers
from ..training.raxel_objective import VIDEO_STD_FLOOR, floored
from ..training.run_state import step_of_file
from ..weights.tensor_file import write_tensors
from .backbone import lead_channels, load_backbone, load_prompt, ray_wan, wan_state
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
    [B, L, .] of the tokens, None in a run without cameras. With the channels `lead` that tell an expert of A14B the
    first frame, that is noised too."""

    latents: Tensor
    noise: Tensor
    sigma: Tensor
    rays: RayFeatures | None
    lead: Tensor | None = None

    def to(self, device: torch.device) -> RayExample:
        """The same on a device."""
        rays = None if self.rays is None else RayFeatures(*(part.to(device) for part in self.rays))
        lead = None if self.lead is None else self.lead.to(device)
        return RayExample(self.latents.to(device), self.noise.to(device), self.sigma.to(device), rays, lead)

    def noisy(self) -> Tensor:
        """The latents at their level, frame 0 clean unless it is told by `lead`."""
        level = self.sigma[:, None, None, None, None]
        noisy = self.latents + level * (self.noise - self.latents)
        return noisy if self.lead is not None else torch.cat((self.latents[:, :, :1], noisy[:, :, 1:]), dim=2)

    @property
    def told(self) -> tuple[Tensor, ...]:
        """What a network is given after the text."""
        return () if self.lead is None else (self.lead,)


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
        transformer = load_backbone(backbone, channels=vae.latent_channels, expert=config.expert)
        self.text = load_prompt(null_prompt, transformer.config.text_dim)
        self.prompt = None if prompt is None else load_prompt(prompt, transformer.config.text_dim)
        self.patch_hw: tuple[int, int] = tuple(transformer.config.patch_size[1:])
        self.model = ray_wan(transformer, config)
        unit = "near_depth" if config.near_depth else "arbitrary"
        self.pool = ClipPool(config, vae, cache, sets=all_sets(config, films, unit))
        self.statistics = config.statistics or latent_statistics(vae, self.pool)
        self.validation = self.pool.validation()

    @property
    def origins(self) -> Mapping[str, str]:
        """The VAE of the clips."""
        return {"vae": self.pool.vae_mark}

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
        generator = batch_generator(self.config.seed, number)
        clips = self.read(number) if clips is None else clips
        noise = torch.randn(clips.video.shape, generator=generator)
        sigma = draw_levels(torch.rand(len(clips), generator=generator), self.config)
        rays = self.rays_of(clips)
        if rays is not None:
            rays = augment(rays, self.config, generator)
        return self._example(clips, noise, sigma, rays)

    def _example(self, clips: LatentClips, noise: Tensor, sigma: Tensor, rays: RayFeatures | None) -> RayExample:
        """The clips at their levels, and what they begin with where that is told apart."""
        lead = None if clips.lead is None else lead_channels(self.statistics.normalize(clips.lead))
        return RayExample(self.statistics.normalize(clips.video), noise, sigma, rays, lead).to(self.device)

    def rays_of(self, clips: LatentClips) -> RayFeatures | None:
        """The features [B, L, .] of the tokens of `clips`, None in a run without cameras."""
        if not self.config.raype:
            return None
        paths = [scaled_path(clips.camera[i], float(clips.near_depth[i, 0]), self.config) for i in range(len(clips))]
        height, width = clips.video.shape[-2:]
        return path_features(paths, self.config, latent_hw=(height, width), patch_hw=self.patch_hw)

    def loss(self, model: Any, batch: RayExample) -> dict[str, Tensor]:
        """Mean squared error of the velocity over the frames after the first, of an expert over all."""
        velocity = model(batch.noisy(), batch.sigma, batch.rays, self.text, *batch.told)
        error = (velocity - (batch.noise - batch.latents))[:, :, 1 if batch.lead is None else 0 :].float()
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
            low, high = self.config.levels
            sigma = (low + (high - low) * torch.tensor(LEVELS)).repeat(-(-len(clips) // len(LEVELS)))[: len(clips)]
            batch = self._example(clips, noise, sigma, self.rays_of(clips))
            losses.append((len(clips), self.loss(network, batch)["loss"]))
        if self.draw_samples is not None and draws:
            clips = self.validation[:SAMPLED_CLIPS].to("cpu")
            made = self.generate(network, clips, steps=self.config.sampling_steps)
            if samples is not None:
                self.draw_samples(clips.video, made, samples)
        return {"loss": sum(count * float(loss) for count, loss in losses) / len(self.validation)}

    def generate(self, network: Callable[..., Tensor], clips: LatentClips, *, steps: int, seed: int = 0) -> Tensor:
        """Raw latents [B, C, T, h, w] of videos from the first frames of `clips`, along their cameras.

        The high expert of A14B goes from noise to what it sees at its last step before the boundary, the low one starts
        from the clips themselves with the noise of its first level.
        """
        noise = torch.randn(clips.video.shape, generator=torch.Generator().manual_seed(seed))
        sigmas = expert_sigmas(steps, self.config)
        batch = self._example(clips, noise, torch.full((len(clips),), sigmas[0]), self.rays_of(clips))
        x = batch.noisy()
        for sigma, below in pairwise(sigmas):
            velocity = self._guided(network, x, torch.full_like(batch.sigma, sigma), batch)
            moved = x + (below - sigma) * velocity
            x = moved if batch.lead is not None else torch.cat((x[:, :, :1], moved[:, :, 1:]), dim=2)
        return self.statistics.denormalize(x).cpu()

    def _guided(self, network: Callable[..., Tensor], x: Tensor, sigma: Tensor, batch: RayExample) -> Tensor:
        """The velocity, led away from that of the empty prompt and from that without cameras."""
        config, text, rays = self.config, self.text if self.prompt is None else self.prompt, batch.rays
        velocity = led = network(x, sigma, rays, text, *batch.told)
        if self.prompt is not None and config.text_guidance != 1.0:
            led = led + (config.text_guidance - 1.0) * (velocity - network(x, sigma, rays, self.text, *batch.told))
        if rays is not None and config.camera_guidance != 1.0:
            led = led + (config.camera_guidance - 1.0) * (velocity - network(x, sigma, None, text, *batch.told))
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


def draw_levels(uniform: Tensor, config: RayPETrainConfig) -> Tensor:
    """Noise levels [B] of uniform numbers [B], under the run's shift and, of an expert, among those that are its
    own."""
    shift = config.video_shift
    low, high = (level / (shift - (shift - 1) * level) for level in config.levels)
    uniform = low + (high - low) * uniform
    return (shift * uniform / (1 + (shift - 1) * uniform)).clamp_min(LEAST_SIGMA)


def expert_sigmas(steps: int, config: RayPETrainConfig) -> list[float]:
    """The noise levels of a run in `steps`, down to 0: of an expert those that are its own, as Wan 2.2 hands over: the
    boundary itself is the high one's."""
    sigmas = shifted_sigmas(steps, shift=config.video_shift).tolist()
    if config.expert:
        high = config.expert == "high"
        sigmas = [sigma for sigma in sigmas if (sigma >= config.boundary) == high and sigma > 0]
    return [*(sigmas or [config.boundary]), 0.0] if config.expert else sigmas


def latent_statistics(vae: VideoVAE, pool: ClipPool) -> LatentStatistics:
    """The statistics published with a Wan VAE, or those of the run's first clips."""
    if isinstance(vae, WanVAE):
        return LatentStatistics(tuple(vae.autoencoder.config.latents_mean), tuple(vae.autoencoder.config.latents_std))
    return floored(LatentStatistics.from_latents(pool.shard(0)[:512].video.float()), VIDEO_STD_FLOOR)

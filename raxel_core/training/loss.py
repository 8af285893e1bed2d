"""From a batch of clips to a loss: the task mixture, the flow-matching objective and the camera errors it leaves."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.rays import unit_directions
from ..latents.frames import latent_times
from ..latents.vae import VideoVAE
from ..model.given_frames import StreamFrames, append_given
from ..model.transformer import RaxelTransformer
from ..recipe import Recipe
from .config import TASKS, TrainConfig
from .data import LatentClips
from .ray_codes import decode_cameras, encode_cameras, encode_single_cameras, raxels_of

NEAREST_DEPTH = 0.3
ROTATION_UNIT = 0.1  # radians, near-depth units and log focal that count as an error of 1
TRANSLATION_UNIT = 0.1
FOCAL_UNIT = 0.15
NO_SOURCE_POSE_SHARE = 0.8  # of steps of that task
NO_SOURCE_SHARE = 0.08
KNOWN_CAMERA_SHARE = 0.3  # of joint steps, in which the sources' cameras are given


@dataclass(frozen=True)
class Example:
    """One training batch, normalised: what the network reads and what it should say.

    `video` [B, C, T, h, w] and `rays` [B, C, T, hr, wr] are clean latents; `sources` [B, C, S, h, w] are images with
    latent times `source_time` [B, S], and `source_rays` [B, C, S or 0, hr, wr] the raxels of their cameras where those
    are known; `video_sigma`, `ray_sigma` [B] are the noise levels, 0 for a given stream;
    `camera` [B, F] is relative to the reference, in the recipe's unit; `raxels` [B, 3, F, h, w] are its raxels.
    """

    video: Tensor
    rays: Tensor
    sources: Tensor
    source_rays: Tensor
    source_time: Tensor
    video_sigma: Tensor
    ray_sigma: Tensor
    camera: Camera
    raxels: Tensor

    def to(self, device: torch.device) -> Example:
        """The same on a device."""
        return Example(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def make_example(
    clips: LatentClips, config: TrainConfig, recipe: Recipe, vae: VideoVAE, generator: torch.Generator, *,
    task: str | None = None,
) -> Example:  # fmt: skip
    """Draws a task unless it is given, its sources, the reference they imply and the noise levels on the CPU from
    `generator`, and makes the example where `clips` and `vae` are."""
    device = clips.video.device
    drawn = draw_task(config, generator)
    task = task or drawn
    slots = _draw_sources(len(clips), task, clips.images.shape[2], config.far_source_share, generator)
    slots, rows = slots.to(device), torch.arange(len(clips), device=device)[:, None]
    frames = clips.image_frame[rows, slots]
    # canonical frame: the earliest source, else frame 0
    reference = frames.amin(1) if slots.shape[1] else frames.new_zeros(len(clips))
    camera = canonical_cameras(clips.camera, clips.near_depth, reference)
    raxels = raxels_of(camera, config.hw, recipe)
    sources = clips.images.movedim(2, 1)[rows, slots].movedim(1, 2)
    video_sigma, ray_sigma = draw_sigmas(task, len(clips), config, generator)
    known = task == "joint" and bool(torch.rand((), generator=generator) < KNOWN_CAMERA_SHARE)
    shown = frames if known else frames[:, :0]
    return Example(
        video=recipe.video_statistics.normalize(clips.video),
        rays=recipe.ray_statistics.normalize(encode_cameras(camera, config, vae)),
        sources=recipe.video_statistics.normalize(sources),
        source_rays=recipe.ray_statistics.normalize(encode_single_cameras(camera, shown, config, vae)),
        source_time=latent_times(frames),
        video_sigma=video_sigma.to(device),
        ray_sigma=ray_sigma.to(device),
        camera=camera,
        raxels=raxels,
    )


def draw_task(config: TrainConfig, generator: torch.Generator) -> str:
    """One of TASKS, by the run's shares."""
    return TASKS[int(torch.multinomial(torch.tensor(config.task_shares), 1, generator=generator))]


def _draw_sources(batch: int, task: str, stored: int, far_share: float, generator: torch.Generator) -> Tensor:
    """Which stored images are sources [B, S]: none for most pose batches and a few others (what guidance leads away
    from), else one to three; slot 0 is frame 0."""
    draw = torch.rand(2, generator=generator)
    if draw[0] < (NO_SOURCE_POSE_SHARE if task == "pose" else NO_SOURCE_SHARE):
        return torch.zeros(batch, 0, dtype=torch.long)
    count = min(1 + int(draw[1] > 0.6) + int(draw[1] > 0.85), stored)
    later = torch.rand(batch, stored - 1, generator=generator).argsort(1) + 1
    from_first = torch.cat([torch.zeros(batch, 1, dtype=torch.long), later], 1)[:, :count]
    if count == stored:
        return from_first
    far = torch.rand(batch, 1, generator=generator) < far_share
    return torch.where(far, later[:, :count], from_first)


def draw_sigmas(task: str, batch: int, config: TrainConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise levels [B] of video and rays: a task gives one stream (sigma 0) or noises both, independently
    unless the run shares one level."""
    uniform = torch.rand(2, batch, generator=generator)
    video = config.video_shift * uniform[0] / (1 + (config.video_shift - 1) * uniform[0])
    pure = torch.rand(batch, generator=generator) < config.pure_noise_share
    rays = torch.where(pure, 1.0, 0.02 + 0.98 * uniform[1])
    if config.shared_sigma and task == "joint":
        video = rays
    none = torch.zeros(batch)
    return (none if task == "pose" else video.clamp_min(0.02)), (none if task == "camera" else rays)


def canonical_cameras(camera: Camera, near_depth: Tensor, reference: Tensor) -> Camera:
    """Cameras [B, F] relative to frame `reference` [B], centres in units of that frame's near depth."""
    rows = torch.arange(len(reference), device=reference.device)
    reference_from_world = se3.inverse(camera.world_from_cam[rows, reference])[:, None]
    relative = reference_from_world @ camera.world_from_cam
    unit = near_depth[rows, reference].clamp_min(NEAREST_DEPTH)
    center = relative[..., :3, 3] / unit[:, None, None]
    return replace(camera, world_from_cam=se3.from_rotation_translation(relative[..., :3, :3], center))


def flow_loss(
    model: RaxelTransformer, example: Example, noise: tuple[Tensor, Tensor], config: TrainConfig, recipe: Recipe,
    vae: VideoVAE,
) -> dict[str, Tensor]:  # fmt: skip
    """The loss and its parts, scalars. Flow matching on each noised stream: MSE + lambda (1 - cosine) per token, plus
    the camera errors of the denoised rays. Video channels weigh by their raw spread, so that an error counts as it
    does in the picture. A given stream carries no loss, nor do the sources."""
    video_sigma, ray_sigma = example.video_sigma, example.ray_sigma
    noisy_video = _at_level(example.video, noise[0], video_sigma)
    noisy_rays = _at_level(example.rays, noise[1], ray_sigma)
    frames = example.video.shape[2]
    video = _with_given(noisy_video, video_sigma, example.sources, example.source_time)
    rays = _with_given(noisy_rays, ray_sigma, example.source_rays, example.source_time)
    velocity = model(video.latents, rays.latents, video.sigma, rays.sigma, video_time=video.time, ray_time=rays.time)
    parts = {}
    if video_sigma.any():
        spread = torch.tensor(recipe.video_statistics.std, device=video_sigma.device)
        visible = (spread / spread.mean())[:, None, None, None]
        target = noise[0] - example.video
        # data = x - sigma v, so that an error of v by e is one of the picture by sigma e.
        if config.video_error == "denoised":
            visible = visible * video_sigma[:, None, None, None, None]
        parts["video"] = _stream_loss(visible * velocity[0][:, :, :frames], visible * target, config.cosine_weight)
    if ray_sigma.any():
        parts["rays"] = _stream_loss(velocity[1][:, :, :frames], noise[1] - example.rays, config.cosine_weight)
        denoised = noisy_rays - ray_sigma[:, None, None, None, None] * velocity[1][:, :, :frames].float()
        raxels = decode_cameras(recipe.ray_statistics.denormalize(denoised), config, vae, scale=recipe.raxel_scale)
        rotation, translation, focal = camera_errors(raxels / recipe.raxel_scale, example.camera)
        parts["rotation"] = _pseudo_huber(rotation / ROTATION_UNIT)
        parts["translation"] = _pseudo_huber(translation / TRANSLATION_UNIT)
        parts["focal"] = _pseudo_huber(focal[..., None] / FOCAL_UNIT)
    weights = {"video": 1.0, "rays": 1.0}
    weighted = [weights.get(name, config.bundle_weight / 3) * part for name, part in parts.items()]
    parts["loss"] = torch.stack(weighted).sum()
    return parts


def _with_given(noisy: Tensor, sigma: Tensor, given: Tensor, time: Tensor) -> StreamFrames:
    """A stream [B, C, T, h, w] at levels [B], with given frames [B, C, N, h, w] of latent times [B, N or more]."""
    batch, frames = noisy.shape[0], noisy.shape[2]
    clip_time = torch.arange(frames, device=sigma.device, dtype=time.dtype).expand(batch, -1)
    own = StreamFrames(noisy, sigma[:, None].expand(-1, frames), clip_time)
    return append_given(own, given, time[:, : given.shape[2]])


def _pseudo_huber(error: Tensor) -> Tensor:
    """Mean of sqrt(1 + |error|^2) - 1 over vectors [..., N]: clips that can not be solved yet do not drown the rest."""
    return (torch.sqrt(1 + error.square().sum(-1)) - 1).mean()


def _at_level(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    level = sigma[:, None, None, None, None]
    return clean + level * (noise - clean)


def _stream_loss(velocity: Tensor, target: Tensor, cosine_weight: float) -> Tensor:
    velocity = velocity.float()
    cosine = torch.nn.functional.cosine_similarity(velocity, target, dim=1, eps=1.0)  # no cliff at velocity 0
    return (velocity - target).square().mean() + cosine_weight * (1 - cosine).mean()


def camera_errors(bundles: Tensor, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
    """What pose recovery reads wrongly, to first order, off `bundles` [B, 3, F, h, w] (o + d) of true cameras [B, F].

    Returns rotation [B, F, 3] in radians, translation [B, F, 3] in the cameras' unit and log focal [B, F]: the least
    squares fit of omega x (d - mean d) + shift to the error of the bundle (Procrustes about the truth), and the part
    of the error along the derivative of the directions by log focal.
    """
    hw = (bundles.shape[-2], bundles.shape[-1])
    local = unit_directions(camera.resized(hw).K, hw).flatten(-2)  # [B, F, 3, N]
    rotation = camera.rotation
    direction = rotation @ local
    error = bundles.flatten(3).movedim(1, 2) - direction - camera.center[..., None]
    centred = direction - direction.mean(-1, keepdim=True)
    spread = centred @ centred.mT
    inertia = spread.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] * torch.eye(3, device=error.device) - spread
    omega = torch.linalg.solve(inertia, torch.linalg.cross(centred, error, dim=-2).sum(-1))
    shift = error.mean(-1) - torch.linalg.cross(omega, direction.mean(-1), dim=-1)
    x, y, z = local.unbind(-2)
    flat = torch.stack([x, y, torch.zeros_like(z)], -2)
    slope = rotation @ (local * (x**2 + y**2)[..., None, :] - flat)
    slope = slope - slope.mean(-1, keepdim=True)
    log_focal = (error * slope).sum((-2, -1)) / slope.square().sum((-2, -1))
    return omega, shift, log_focal

"""From a batch of clips to a loss: the task mixture, the flow-matching objective and the camera errors it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.rays import unit_directions
from ..latents.frames import latent_frames, latent_times
from ..latents.vae import VideoVAE
from ..model.given_frames import StreamFrames, append_given
from ..model.transformer import RaxelTransformer
from ..recipe import Recipe
from .captions import Texts
from .config import TASKS, TrainConfig
from .data import LatentClips
from .ray_codes import decode_cameras, encode_cameras, encode_single_cameras, raxels_of

NEAREST_DEPTH = 0.3
ROTATION_UNIT = 0.1  # radians, near-depth units and log focal that count as an error of 1
TRANSLATION_UNIT = 0.1
FOCAL_UNIT = 0.15
NO_SOURCE_POSE_SHARE = 0.8  # of steps of that task
NO_SOURCE_SHARE = 0.08
KNOWN_CAMERA_SHARE = 0.3  # of pose and joint steps with sources, in which the sources' cameras are given
STILL = 1e-6  # a path that reaches no farther than this from its reference has no length to measure by


@dataclass(frozen=True)
class Example:
    """One training batch, normalised: what the network reads and what it should say.

    `video` [B, C, T + N, h, w] and `rays` [B, C, T + N, hr, wr] are clean latents of the clip and, behind it, of N
    sparse targets, images coded alone, at latent times `time` [B, T + N]; `sources` [B, C, S, h, w] are images with
    latent times `source_time` [B, S], and `source_rays` [B, C, S or 0, hr, wr] the raxels of their cameras where those
    are known; `video_sigma`, `ray_sigma` [B] are the noise levels, 0 for a given stream;
    `camera` [B, F] of the clip is relative to the reference, in the recipe's unit; `raxels` [B, 3, F, h, w] are its
    raxels; `text` [B, M, D] is what is said of it, M 0 where nothing is.
    """

    video: Tensor
    rays: Tensor
    time: Tensor
    sources: Tensor
    source_rays: Tensor
    source_time: Tensor
    video_sigma: Tensor
    ray_sigma: Tensor
    camera: Camera
    raxels: Tensor
    text: Tensor

    def to(self, device: torch.device) -> Example:
        """The same on a device."""
        return Example(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class SparseDraw(NamedTuple):
    """Which stored images a batch uses: `slots` [B, N] into them, of which the first `sources` are shown clean and the
    others learned; `reference` [B] is the slot whose camera all are relative to, -1 frame 0; whether the sources'
    cameras are `known`."""

    slots: Tensor
    sources: int
    reference: Tensor
    known: bool


def make_example(
    clips: LatentClips, config: TrainConfig, recipe: Recipe, vae: VideoVAE, generator: torch.Generator, *,
    task: str | None = None, said: bool = True, texts: Texts | None = None,
) -> Example:  # fmt: skip
    """Draws a task unless it is given, its images, the reference they imply and the noise levels on the CPU from
    `generator`, and makes the example where `clips` and `vae` are. `texts` are the embeddings of captions, which are
    left out unless they are `said`."""
    device = clips.video.device
    drawn_task = draw_task(config, generator)
    task = task or drawn_task
    drawn = draw_sparse(clips.image_frame.cpu(), task, config, generator)
    rows = torch.arange(len(clips), device=device)[:, None]
    slots, reference = drawn.slots.to(device), drawn.reference.to(device)
    at = canonical_reference(clips, reference.clamp_min(0), recipe.unit)
    camera, images = at(clips.camera), at(clips.image_camera[rows, slots])
    raxels = raxels_of(camera, config.hw, recipe)
    coded = recipe.video_statistics.normalize(clips.images.movedim(2, 1)[rows, slots].movedim(1, 2))
    shown = images if drawn.known else images[:, drawn.sources :]
    ray_images = recipe.ray_statistics.normalize(encode_single_cameras(shown, config, vae))
    given = drawn.sources if drawn.known else 0
    rays = recipe.ray_statistics.normalize(encode_cameras(camera, config, vae))
    video_sigma, ray_sigma = draw_sigmas(task, len(clips), config, generator)
    image_time = latent_times(clips.image_frame[rows, slots])
    clip_time = torch.arange(clips.video.shape[2], device=device, dtype=image_time.dtype).expand(len(clips), -1)
    text = _said(clips, texts if said and config.text_drop is not None else None)
    return Example(
        video=torch.cat((recipe.video_statistics.normalize(clips.video), coded[:, :, drawn.sources :]), 2),
        rays=torch.cat((rays, ray_images[:, :, given:]), 2),
        time=torch.cat((clip_time, image_time[:, drawn.sources :]), 1),
        sources=coded[:, :, : drawn.sources],
        source_rays=ray_images[:, :, :given],
        source_time=image_time[:, : drawn.sources],
        video_sigma=video_sigma.to(device),
        ray_sigma=ray_sigma.to(device),
        camera=camera,
        raxels=raxels,
        text=text.to(device),
    )


def draw_task(config: TrainConfig, generator: torch.Generator) -> str:
    """One of TASKS, by the run's shares."""
    return TASKS[int(torch.multinomial(torch.tensor(config.task_shares, dtype=torch.float), 1, generator=generator))]


def draw_said(config: TrainConfig, generator: torch.Generator) -> bool:
    """Whether a step is told the captions of its clips."""
    return bool(torch.rand((), generator=generator) >= (config.text_drop or 0.0))


def _said(clips: LatentClips, texts: Texts | None) -> Tensor:
    """The embeddings [B, M, D] of the clips' captions, M 0 where there are none."""
    if texts is None:
        return torch.zeros(len(clips), 0, 1)
    return texts.of(clips.captions or ("",) * len(clips))


def draw_sparse(image_frame: Tensor, task: str, config: TrainConfig, generator: torch.Generator) -> SparseDraw:
    """The images that a batch of `task` uses of those stored, at frames [B, N], drawn on the CPU: none for most pose
    batches and a few others (what guidance leads away from)."""
    batch, stored = image_frame.shape
    draw = torch.rand(3, generator=generator)
    on_path = 1 + config.stored_images
    off = stored > on_path and bool(draw[1] < config.off_path_share)
    known = off or (task != "camera" and bool(draw[0] < KNOWN_CAMERA_SHARE))
    shown = bool(torch.rand((), generator=generator) >= (NO_SOURCE_POSE_SHARE if task == "pose" else NO_SOURCE_SHARE))
    if config.sparse_images:
        slots = torch.rand(batch, stored if off else on_path, generator=generator).argsort(1)
        slots = _first_first(slots[:, : config.sparse_images], config.far_source_share, generator)
        count = 1 + int(draw[2] * config.sparse_images) if shown else 0
    else:
        count = min(1 + int(draw[2] > 0.6) + int(draw[2] > 0.85), on_path) if shown else 0
        slots = _draw_sources(batch, count, stored if off else on_path, config.far_source_share, generator)
    frames = image_frame.gather(1, slots[:, :count])
    earliest = frames.argmin(1) if count else torch.full((batch,), -1)
    place = earliest
    if known and config.random_reference and count:
        place = torch.randint(count, (batch,), generator=generator)
    reference = slots.gather(1, place[:, None])[:, 0] if count else torch.full((batch,), -1)
    return SparseDraw(slots, count, reference, known and count > 0)


def _first_first(slots: Tensor, far_share: float, generator: torch.Generator) -> Tensor:
    """Slots [B, N] with frame 0 as the first, but in `far_share` of the rows."""
    far = torch.rand(len(slots), generator=generator) < far_share
    moved = slots.clone()
    moved[slots == 0] = slots[:, :1].expand_as(slots)[slots == 0]
    moved[:, 0] = 0
    return torch.where(far[:, None], slots, moved)


def _draw_sources(batch: int, count: int, stored: int, far_share: float, generator: torch.Generator) -> Tensor:
    """Which stored images are the `count` sources [B, count]: frame 0, which is slot 0, and later ones, but in
    `far_share` of the clips later ones alone."""
    later = torch.rand(batch, stored - 1, generator=generator).argsort(1) + 1
    from_first = torch.cat([torch.zeros(batch, 1, dtype=torch.long), later], 1)[:, :count]
    if not 0 < count < stored:
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


def canonical_cameras(camera: Camera, near_depth: Tensor, reference: Tensor, unit: str = "near_depth") -> Camera:
    """Cameras [B, F] relative to frame `reference` [B], centres in the `unit` of a recipe: that frame's near depth,
    metres (those of the world), or "arbitrary", the distance of the camera that is farthest from it."""
    rows = torch.arange(len(reference), device=reference.device)
    return _relative(camera, camera[rows, reference], near_depth[rows, reference], camera, unit)


def canonical_reference(clips: LatentClips, slot: Tensor, unit: str) -> Callable[[Camera], Camera]:
    """What takes cameras [B, N] of the scenes of `clips` to the camera of stored image `slot` [B], as
    `canonical_cameras` does."""
    rows = torch.arange(len(slot), device=slot.device)
    reference, near = clips.image_camera[rows, slot], clips.image_near[rows, slot]
    return lambda camera: _relative(camera, reference, near, clips.camera, unit)


def canonical_lengths(camera: Camera, near_depth: Tensor, reference: Tensor, unit: str = "near_depth") -> Tensor:
    """How long [B] a length of 1 of `canonical_cameras` is in the world."""
    rows = torch.arange(len(reference), device=reference.device)
    return _length(camera, camera[rows, reference], near_depth[rows, reference], unit)


def _relative(camera: Camera, reference: Camera, near: Tensor, clip: Camera, unit: str) -> Camera:
    """Cameras [B, N] relative to `reference` [B], whose near depth is `near` [B], in the unit of the clip [B, F]."""
    reference_from_world = se3.inverse(reference.world_from_cam)[:, None]
    relative = reference_from_world @ camera.world_from_cam
    center = relative[..., :3, 3] / _length(clip, reference, near, unit)[:, None, None]
    return replace(camera, world_from_cam=se3.from_rotation_translation(relative[..., :3, :3], center))


def _length(clip: Camera, reference: Camera, near: Tensor, unit: str) -> Tensor:
    if unit == "near_depth":
        return near.clamp_min(NEAREST_DEPTH)
    if unit == "metre":
        return torch.ones_like(near)
    away = torch.linalg.vector_norm(clip.center - reference.center[:, None], dim=-1).amax(1)
    return torch.where(away > STILL, away, 1.0)


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
    video = _with_given(noisy_video, video_sigma, example.time, example.sources, example.source_time)
    rays = _with_given(noisy_rays, ray_sigma, example.time, example.source_rays, example.source_time)
    text = example.text if example.text.shape[1] else None
    velocity = model(video.latents, rays.latents, video.sigma, rays.sigma, video_time=video.time, ray_time=rays.time,
                     text=text)  # fmt: skip
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
    if ray_sigma.any() and config.bundle_weight:  # a decoding, which Wan's VAE is slow at: only where it counts
        denoised = noisy_rays - ray_sigma[:, None, None, None, None] * velocity[1][:, :, :frames].float()
        denoised = denoised[:, :, : latent_frames(example.raxels.shape[2])]  # the clip without the sparse targets
        raxels = decode_cameras(recipe.ray_statistics.denormalize(denoised), config, vae, scale=recipe.raxel_scale)
        rotation, translation, focal = camera_errors(raxels / recipe.raxel_scale, example.camera)
        parts["rotation"] = _pseudo_huber(rotation / ROTATION_UNIT)
        parts["translation"] = _pseudo_huber(translation / TRANSLATION_UNIT)
        parts["focal"] = _pseudo_huber(focal[..., None] / FOCAL_UNIT)
    weights = {"video": 1.0, "rays": 1.0}
    weighted = [weights.get(name, config.bundle_weight / 3) * part for name, part in parts.items()]
    parts["loss"] = torch.stack(weighted).sum()
    return parts


def _with_given(noisy: Tensor, sigma: Tensor, time: Tensor, given: Tensor, given_time: Tensor) -> StreamFrames:
    """A stream [B, C, T, h, w] at levels [B] and latent times [B, T], with given frames [B, C, N, h, w] of latent times
    [B, N or more]."""
    own = StreamFrames(noisy, sigma[:, None].expand(-1, noisy.shape[2]), time)
    return append_given(own, given, given_time[:, : given.shape[2]])


def _pseudo_huber(error: Tensor) -> Tensor:
    """Mean of sqrt(1 + |error|^2) - 1 over vectors [..., N]: clips that cannot be solved yet do not drown the rest."""
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

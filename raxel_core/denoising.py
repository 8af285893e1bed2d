"""Denoising of both streams for a batch of clips: the joint model asked for one stream, the other, or both.

Each clip has a seed of its own, and gets the same noise alone or in a batch. Given frames (the sources' pictures, and
the rays of those whose camera is known) are extra frames at the end of their stream, at their own latent time and at
noise level 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import torch
from torch import Tensor

from .framing import check_aspect
from .geometry.camera import Camera
from .latents.frames import check_frame_count, latent_times
from .model.given_frames import StreamFrames, append_given
from .model.reading import StreamMemory
from .raxel_model import RaxelModel
from .sampling import (
    Denoise,
    PairSchedule,
    Progress,
    Sigmas,
    Streams,
    check_solver,
    draw_noise,
    guided,
    solver_for,
)


@dataclass(frozen=True, eq=False)
class SourceBatch:
    """The same N sources of B clips: `images` [B, 3, N, H, W] of `frames` in order of time, with the known cameras
    `camera` [B, M] of `camera_frames`, which hold the first source when they hold any. A source whose frame lies before
    or after the clip is a view beside its path, of known camera.
    """

    images: Tensor
    frames: tuple[int, ...]
    camera: Camera | None = None
    camera_frames: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 5 or self.images.shape[1:3] != (3, len(self.frames)):
            given = tuple(self.images.shape)
            raise ValueError(f"the images of {len(self.frames)} sources must be [B, 3, N, H, W], got {given}")
        if not self.frames or list(self.frames) != sorted(set(self.frames)):
            raise ValueError(f"sources need frame numbers, each once and in order, got {self.frames}")
        if self.frames[0] < 0 and self.frames[0] not in self.camera_frames:
            raise ValueError(
                f"a source before the clip needs its camera, and that of frame {self.frames[0]} is not known"
            )
        if self.camera is not None and self.frames[0] not in self.camera_frames:
            raise ValueError("when the camera of any source is known, that of the earliest must be, to relate to it")

    @property
    def hw(self) -> tuple[int, int]:
        """The size of the pictures."""
        return self.images.shape[3], self.images.shape[4]

    def beside(self, frames: int) -> bool:
        """Whether any source is no frame of a clip of `frames`."""
        return self.frames[0] < 0 or self.frames[-1] >= frames


@dataclass(frozen=True, eq=False)
class Run:
    """How to denoise a batch of clips: noise levels, one seed per clip, solver, guidance, text and callbacks.

    `antithetic` is that of `sampling.solver_for` (None: the recipe's).
    `source_guidance` and `text_guidance` scale what the sources and the text [M, text_dim] add; at 1 they are off
    and cost nothing. `progress(done, total)` counts steps; `on_block(i)` is called before block i of the network;
    either may raise to stop.
    """

    schedule: PairSchedule
    seeds: Sequence[int] = (0,)
    solver: str = "euler"
    antithetic: bool | None = None
    source_guidance: float = 1.0
    text_guidance: float = 1.0
    text: Tensor | None = None
    progress: Progress | None = None
    on_block: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        check_solver(self.solver)
        for name, scale in (("source", self.source_guidance), ("text", self.text_guidance)):
            if not isfinite(scale):
                raise ValueError(f"the {name} guidance must be a finite number, got {scale}")
        if self.text is not None and self.text.ndim != 2:
            raise ValueError(f"text must be one prompt's embedding [M, text_dim], got {tuple(self.text.shape)}")


def reference_frame(sources: SourceBatch | None, frames: int) -> int | None:
    """The frame of a clip of `frames` whose camera everything is relative to; None where it is none of the clip's."""
    first = sources.frames[0] if sources else 0
    return first if 0 <= first < frames else None


def reference_of(sources: SourceBatch | None, frames: int) -> Camera | int:
    """The same for cameras of B clips: the frame, or the camera [B] of the source that is none of the clip's."""
    frame = reference_frame(sources, frames)
    if frame is not None:
        return frame
    assert sources is not None and sources.camera is not None  # a source that is no frame has its camera
    return sources.camera[:, 0]


@torch.no_grad()
def denoise_rays(model: RaxelModel, videos: Tensor, sources: SourceBatch | None = None, *, run: Run) -> Tensor:
    """Sample p(rays | video): raxels [B, 3, F, h, w] of clips [B, 3, F, H, W], relative to the reference frame."""
    frames, hw = videos.shape[2], (videos.shape[3], videos.shape[4])
    start = _noise(model, run, frames, hw, batch=videos.shape[0])._replace(video=model.encode_video(videos))
    return model.decode_rays(_sample(model, start, sources, hw, run).rays)


@torch.no_grad()
def denoise_video(
    model: RaxelModel, sources: SourceBatch | None, camera: Camera, hw: tuple[int, int], *, run: Run
) -> Tensor:
    """Sample p(video | rays, sources): clips [B, 3, F, *hw] along cameras [B, F], which hold those of the sources, but
    where a source lies beside the path: then all sources have their own."""
    return model.decode_video(video_latents(model, sources, camera, hw, run=run))


@torch.no_grad()
def video_latents(
    model: RaxelModel, sources: SourceBatch | None, camera: Camera, hw: tuple[int, int], *, run: Run
) -> Tensor:
    """The normalised latents [B, C, T, h, w] of the clips that `denoise_video` returns."""
    check_aspect(camera.hw, hw)
    frames = camera.batch_shape[-1]
    rays = model.encode_cameras(camera, hw, reference=reference_of(sources, frames))
    start = _noise(model, run, frames, hw, batch=rays.shape[0])._replace(rays=rays)
    if sources is not None and not sources.beside(frames):
        sources = replace(sources, camera=None, camera_frames=())
    return _sample(model, start, sources, hw, run).video


@torch.no_grad()
def denoise_joint(
    model: RaxelModel, sources: SourceBatch | None, frames: int, hw: tuple[int, int], *, run: Run
) -> tuple[Tensor, Tensor]:
    """Sample p(video, rays | sources): clips [B, 3, F, *hw] and their raxels [B, 3, F, h, w], one clip per seed."""
    start = _noise(model, run, frames, hw, batch=len(run.seeds))
    latents = _sample(model, start, sources, hw, run)
    return model.decode_video(latents.video), model.decode_rays(latents.rays)


@dataclass(frozen=True, eq=False)
class _Clean:
    """Frames of one stream that are given: latents [B, C, N, h, w] and their latent times [N]."""

    latents: Tensor
    times: Tensor


@dataclass(frozen=True, eq=False)
class _Conditions:
    """What the network is told besides the two noisy streams; text is [B, M, text_dim]."""

    images: _Clean | None = None
    rays: _Clean | None = None
    text: Tensor | None = None


def _noise(model: RaxelModel, run: Run, frames: int, hw: tuple[int, int], *, batch: int) -> Streams:
    """Draw the noise of both streams for each clip from its own seed, on the model's device."""
    if len(run.seeds) != batch:
        raise ValueError(f"{batch} clips need one seed each, got {len(run.seeds)}")
    shapes = model.latent_shapes(check_frame_count(frames), hw)
    noises = [draw_noise(*shapes, seed=seed) for seed in run.seeds]
    return Streams(*(torch.stack(stream).to(model.device) for stream in zip(*noises, strict=True)))


def _sample(model: RaxelModel, start: Streams, sources: SourceBatch | None, hw: tuple[int, int], run: Run) -> Streams:
    """Carry both streams to noise level 0 under the sources, the text and their guidance."""
    if sources is not None and sources.hw != hw:
        raise ValueError(f"the sources are {sources.hw[1]}x{sources.hw[0]} pixels and the clip {hw[1]}x{hw[0]}")
    chain, scales = _guidance(_conditions(model, sources, hw, run), run)
    denoise = guided([_denoiser(model, each, run.on_block) for each in chain], scales)
    solve = solver_for(run.solver, run.schedule, antithetic=model.recipe.antithetic(run.antithetic))
    return solve(denoise, start, run.schedule, progress=run.progress)


def _guidance(conditions: _Conditions, run: Run) -> tuple[list[_Conditions], list[float]]:
    """The chain of conditions, least first, and the scale of each step up; a guidance at 1 adds no link to it."""
    chain: list[_Conditions] = [conditions]
    scales: list[float] = []
    if conditions.text is not None and run.text_guidance != 1.0:
        chain, scales = [replace(conditions, text=None), *chain], [run.text_guidance]
    if conditions.images is not None and run.source_guidance != 1.0:
        chain, scales = [replace(chain[0], images=None), *chain], [run.source_guidance, *scales]
    return chain, scales


def _conditions(model: RaxelModel, sources: SourceBatch | None, hw: tuple[int, int], run: Run) -> _Conditions:
    """Encode the sources' pictures and known cameras, each alone, and repeat the text for each clip."""
    text = None if run.text is None else run.text.to(model.device).expand(len(run.seeds), -1, -1)
    if sources is None:
        return _Conditions(text=text)
    # Pictures with a known camera come first: a Plücker model reads its map beside each. The order says nothing itself.
    order = sorted(range(len(sources.frames)), key=lambda index: sources.frames[index] not in sources.camera_frames)
    frames = [sources.frames[index] for index in order]
    images = _Clean(model.encode_images(sources.images[:, :, order]), _latent_times(frames))
    if sources.camera is None:
        return _Conditions(images=images, text=text)
    rays = model.encode_single_cameras(sources.camera, hw)
    return _Conditions(images, _Clean(rays, _latent_times(sources.camera_frames)), text)


def _denoiser(model: RaxelModel, conditions: _Conditions, on_block: Callable[[int], None] | None) -> Denoise:
    """Turn the velocity network into a denoiser: data = x - sigma * velocity, given frames behind the noisy ones.

    A network that reads one way computes what is read of a clean stream at the first step alone.
    """
    memory = StreamMemory()

    def denoise(x: Streams, sigmas: Sigmas) -> Streams:
        video = _with_clean(x.video, sigmas.video, conditions.images)
        rays = _with_clean(x.rays, sigmas.rays, conditions.rays)
        velocities = model.transformer(
            video.latents,
            rays.latents,
            video.sigma,
            rays.sigma,
            video_time=video.time,
            ray_time=rays.time,
            text=conditions.text,
            on_block=on_block,
            memory=memory,
        )
        return Streams(
            x.video - sigmas.video * velocities[0][:, :, : x.video.shape[2]],
            x.rays - sigmas.rays * velocities[1][:, :, : x.rays.shape[2]],
        )

    return denoise


def _with_clean(x: Tensor, sigma: float, clean: _Clean | None) -> StreamFrames:
    """A stream [B, C, T, h, w] at one noise level, with the clean frames behind it."""
    batch, frames = x.shape[0], x.shape[2]
    time = torch.arange(frames, dtype=torch.float32, device=x.device)
    own = StreamFrames(x, torch.full((batch, frames), sigma, device=x.device), time)
    return own if clean is None else append_given(own, clean.latents, clean.times)


def _latent_times(frames: Sequence[int]) -> Tensor:
    """The latent times [N] of pixel frames."""
    return latent_times(torch.tensor(frames))

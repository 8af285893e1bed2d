"""The closed loop video -> cameras -> video -> cameras through ComfyUI's sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from torch import Tensor

from ...raxel_core.evaluation.report import LoopReport, readable
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.latents.frames import latent_time
from ...raxel_core.latents.vae import encode_images
from ...raxel_core.sampling import Streams, camera_schedule, pose_schedule
from ..comfy_model.conditioning import SourceLatents, no_text, with_sources
from ..comfy_model.latent_format import format_of
from ..comfy_sampling.joint_latent import joint_latent, streams_of
from ..comfy_sampling.joint_run import sample
from .estimates import core_model, encode_rays, latent_cameras


@dataclass(frozen=True)
class LoopSettings:
    """How to run the loop: `steps` of the video, `ray_steps` of each pose run, frames shown, and the video's rate."""

    seed: int
    steps: int
    ray_steps: int
    cfg: float
    shown_frames: int
    fps: float


class ClosedLoop(NamedTuple):
    """The given clip's cameras, the clip [3, F, H, W] made again along them, and the cameras of that."""

    first: Trajectory
    video: Tensor
    second: Trajectory


def close_loop(model: ModelPatcher, vae: VAE, video: Tensor, settings: LoopSettings) -> ClosedLoop:
    """Run the loop on a clip [3, F, H, W] in [-1, 1]. Progress counts the steps of all three runs."""
    core, latent_format = core_model(model, vae), format_of(model)
    hw = (video.shape[-2], video.shape[-1])
    core.check_hw(hw)
    total = 2 * settings.ray_steps + settings.steps
    latents = core.vae.encode(video[None])
    first = _cameras(model, vae, latents, settings, stage=(0, total))
    rays, _ = encode_rays(core, first.camera, hw, reference=0)
    shown = evenly(video.shape[1], settings.shown_frames)
    images = encode_images(core.vae, video[None, :, list(shown)])
    sources = SourceLatents(shown, tuple(map(latent_time, shown)), images)
    made = sample(
        model,
        joint_latent(Streams(latent_format.empty_video(rays.shape[2], hw).to(rays), rays), "camera"),
        camera_schedule(settings.steps),
        positive=with_sources(no_text(), sources),
        negative=no_text(),
        cfg=settings.cfg,
        seed=settings.seed,
        stage=(settings.ray_steps, total),
    )
    generated = core.vae.decode(streams_of(made, "SelfConsistencyLoop").video)[0].clamp(-1.0, 1.0)
    seen = core.vae.encode(generated[None])
    second = _cameras(model, vae, seen, settings, stage=(settings.ray_steps + settings.steps, total))
    return ClosedLoop(first, generated, second)


def loop_summary(report: LoopReport) -> str:
    """The loop's main figures in a few words, for the node that ran it."""
    cameras, video = report.cameras, report.video
    figures = {name: cameras.figures[name] for name in ("rotation_error", "translation_error")} | {"psnr": video.psnr}
    words = ((name.replace("_", " "), *readable(name, value, cameras.unit)) for name, value in figures.items())
    return "; ".join(" ".join(parts) for parts in words)


def evenly(frames: int, shown: int) -> tuple[int, ...]:
    """`shown` frame numbers from the first of `frames` to the last, as even as whole numbers allow, each once."""
    if shown < 2:
        return (0,)
    return tuple(sorted({index * (frames - 1) // (shown - 1) for index in range(shown)}))


def _cameras(
    model: ModelPatcher, vae: VAE, video: Tensor, settings: LoopSettings, *, stage: tuple[int, int]
) -> Trajectory:
    """The cameras of video latents [1, C, T, h, w]."""
    streams = Streams(video, format_of(model).empty_rays(video))
    latent = sample(
        model,
        joint_latent(streams, "pose"),
        pose_schedule(settings.ray_steps),
        positive=no_text(),
        negative=no_text(),
        cfg=1.0,
        seed=settings.seed,
        stage=stage,
    )
    return latent_cameras(model, vae, latent, method="robust", focal="shared", fps=settings.fps).trajectory

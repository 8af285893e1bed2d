"""The closed loop video -> cameras -> video -> cameras through ComfyUI's sampling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from torch import Tensor

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.latents.frames import latent_time
from ...raxel_core.latents.vae import encode_images
from ...raxel_core.pipeline import CameraEstimate, LoopResult, Reading, Stage, close_loop, spread_frames
from ...raxel_core.raxel_model import RaxelModel
from ...raxel_core.runtime.memory import ask_memory
from ...raxel_core.sampling import Streams, camera_schedule
from ..comfy_io.images import video_from_image
from ..comfy_model.conditioning import SourceLatents, no_text, with_sources
from ..comfy_model.latent_format import format_of
from ..comfy_sampling.joint_latent import joint_latent, streams_of
from ..comfy_sampling.joint_run import sample, shift_of
from .estimates import core_model, encode_rays, sampled_cameras

# Of the given clip, which the loop holds beside it: in [-1, 1], as the VAE takes it, made again.
_CLIP_COPIES = 4


@dataclass(frozen=True)
class LoopSettings:
    """How to run the loop: `steps` of the video, `ray_steps` of each pose run, frames shown, and the video's rate."""

    seed: int
    steps: int
    ray_steps: int
    cfg: float
    shown_frames: int
    fps: float


def loop_clip(images: Tensor) -> Tensor:
    """The clip [3, F, H, W] in [-1, 1] of an IMAGE; ValueError, before anything is taken, for one without motion and
    for one that would need more memory than there is."""
    frames, height, width = images.shape[:3]
    if frames < 2:
        raise ValueError(f"the loop compares the cameras of a video's frames: connect 2 images or more, got {frames}")
    ask_memory(f"{frames} frames of {width}x{height}", _CLIP_COPIES * 4 * images.numel())
    return video_from_image(images)


def run_loop(model: ModelPatcher, vae: VAE, video: Tensor, settings: LoopSettings) -> LoopResult:
    """The core's loop on a clip [3, F, H, W] in [-1, 1]. Progress counts the steps of all three runs."""
    core = core_model(model, vae)
    core.sizes.check_hw((video.shape[-2], video.shape[-1]))
    shown = spread_frames(video.shape[1], settings.shown_frames)
    images = encode_images(core.vae, video[None, :, list(shown)])
    sources = SourceLatents(shown, tuple(map(latent_time, shown)), images)
    return close_loop(
        video,
        partial(_estimate, model, vae, settings),
        partial(_generate, model, core, settings, sources),
        steps=settings.steps,
        ray_steps=settings.ray_steps,
    )


def _estimate(model: ModelPatcher, vae: VAE, settings: LoopSettings, clip: Tensor, stage: Stage) -> CameraEstimate:
    """The cameras of a clip [3, F, H, W]."""
    reading = Reading(fps=settings.fps or None)
    return sampled_cameras(model, vae, clip, reading, seed=settings.seed, ray_steps=settings.ray_steps, stage=stage)


def _generate(
    model: ModelPatcher,
    core: RaxelModel,
    settings: LoopSettings,
    sources: SourceLatents,
    trajectory: Trajectory,
    stage: Stage,
) -> Tensor:
    """The clip [3, F, H, W] along a trajectory."""
    hw = trajectory.camera.hw
    rays, _ = encode_rays(core, trajectory.camera, hw, reference=0)
    made = sample(
        model,
        joint_latent(Streams(format_of(model).empty_video(len(trajectory), hw).to(rays), rays), "camera"),
        camera_schedule(settings.steps, shift=shift_of(model)),
        positive=with_sources(no_text(), sources),
        negative=no_text(),
        cfg=settings.cfg,
        seed=settings.seed,
        stage=stage,
    )
    return core.vae.decode(streams_of(made, "Self-Consistency Loop").video)[0].clamp(-1.0, 1.0)

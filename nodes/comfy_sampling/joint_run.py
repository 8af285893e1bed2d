"""A run of the joint model through ComfyUI's own sampling: its guider, its hooks, its previews, its memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher

from ...raxel_core.sampling import PairSchedule, Streams, camera_schedule, joint_schedule, pose_schedule
from ..comfy_model.conditioning import Conditioning, SourceLatents, no_text, sources_of, with_sources
from ..comfy_model.latent_format import RaxelLatentFormat
from ..comfy_model.outer_sample import with_raxel_sampling
from .before_run import ask_latent_memory, ask_run_memory, check_given
from .joint_latent import Latent, is_joint, joint_latent, plain_mask, reference_of, streams_of, video_of
from .sampler import PairSampler

Callback = Callable[[int, Any, Any, int], None]


def sample(
    model: ModelPatcher,
    latent: Latent,
    schedule: PairSchedule,
    *,
    positive: Conditioning,
    negative: Conditioning,
    cfg: float,
    seed: int,
    solver: str = "euler",
    stage: tuple[int, int] | None = None,
) -> Latent:
    """A joint LATENT carried to noise level 0 along `schedule`; given streams come back bit-identical.

    `stage` = (steps done before, steps of all stages) when the run is a part of a longer one.
    """
    ask_run_memory(model, Streams(*latent["samples"].unbind()), sources_of(positive))
    model = with_raxel_sampling(model)
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    # ComfyUI's schedule is one: it counts the steps and sees the larger level; PairSampler holds the pair.
    samples = latent["samples"]
    out = guider.sample(
        comfy.sample.prepare_noise(samples, seed, latent.get("batch_index")),
        samples,
        PairSampler(lambda sigmas: schedule, solver=solver),
        torch.maximum(schedule.video, schedule.rays).float(),
        denoise_mask=latent.get("noise_mask"),
        callback=_staged(latent_preview.prepare_callback(model, schedule.steps), stage),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )
    kept = {name: value for name, value in latent.items() if name != "noise_mask"}
    return {**kept, "samples": out.to(comfy.model_management.intermediate_device())}


def shift_of(model: ModelPatcher) -> float:
    """The flow shift that a model is sampled with: its checkpoint's, or what *ModelSamplingSD3* put in its place."""
    return float(model.get_model_object("model_sampling").shift)


def task_schedule(task: str, *, steps: int, ray_steps: int, mode: str, shift: float) -> PairSchedule:
    """The noise levels of both streams for a task: `steps` of the video, `ray_steps` of the rays."""
    if task == "pose":
        return pose_schedule(ray_steps)
    if task == "camera":
        return camera_schedule(steps, shift=shift)
    return joint_schedule(steps, min(ray_steps, steps) if mode == "first" else None, mode=mode, shift=shift)


def task_latent(
    task: str,
    latent: Latent | None,
    latent_format: RaxelLatentFormat,
    *,
    frames: int,
    sources: SourceLatents | None,
) -> Latent:
    """The joint LATENT a task starts from, with its masks; ValueError when what the task is given is missing.

    Without a latent a joint clip has `frames` frames and the size of the sources, else the recipe's.
    """
    if latent is None and task != "joint":
        needed = "the video, from VAE Encode" if task == "pose" else "the cameras, from Raxel Encode"
        raise ValueError(f"the task {task} needs a latent: connect {needed}")
    if latent is not None and is_joint(latent):
        streams = streams_of(latent, "Joint Sampler")
    elif task == "camera":
        raise ValueError("the task camera needs the cameras' latent: connect Raxel Encode, not a video")
    else:
        video = _video(latent, latent_format, frames=frames, sources=sources)
        streams = Streams(video, latent_format.empty_rays(video))
    check_given(task, streams, sources)
    reference = sources.reference_frame if sources else 0
    if task == "camera" and reference != reference_of(latent or {}):
        raise ValueError(
            f"the earliest source image is frame {reference}, but the rays are relative to frame "
            f"{reference_of(latent or {})}: connect the sources to Raxel Encode, or set its reference_frame to "
            f"{reference}"
        )
    given = latent or {}
    kept = {name: given[name] for name in ("batch_index",) if name in given}
    return {**kept, **joint_latent(streams, task, reference_frame=reference, video_mask=plain_mask(given))}


def conditions(
    positive: Conditioning | None, negative: Conditioning | None
) -> tuple[Conditioning, Conditioning, SourceLatents | None]:
    """Both conditionings of a run and the sources in the positive one.

    Where no negative one is given it has no text and, of the sources, the known cameras alone.
    """
    sources = sources_of(positive)
    if negative is None:
        negative = no_text() if sources is None else with_sources(no_text(), sources.without_images())
    return positive or no_text(), negative, sources


def _video(
    latent: Latent | None, latent_format: RaxelLatentFormat, *, frames: int, sources: SourceLatents | None
) -> torch.Tensor:
    """The given video latents, or empty ones."""
    if latent is not None:
        return video_of(latent, latent_format.latent_channels)
    images = None if sources is None else sources.video
    hw = latent_format.recipe.hw if images is None else latent_format.sizes.video_hw(images.shape)
    ask_latent_memory(latent_format, frames, hw)
    return latent_format.empty_video(frames, hw)


def _staged(callback: Callback, stage: tuple[int, int] | None) -> Callback:
    """`callback` that counts the steps of all stages."""
    if stage is None:
        return callback
    before, total = stage
    return lambda step, x0, x, _: callback(before + step, x0, x, total)

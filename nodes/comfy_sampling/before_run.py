"""What is asked before a run of the joint model: whether its input makes sense, and whether the memory suffices."""

from __future__ import annotations

import logging
from math import prod

import comfy.model_management
from comfy.model_patcher import ModelPatcher

from ...raxel_core.latents.frames import pixel_frames
from ...raxel_core.runtime.memory import ask_memory
from ...raxel_core.runtime.offload import working_memory
from ...raxel_core.sampling import Streams
from ..comfy_model.conditioning import SourceLatents
from ..comfy_model.latent_format import RaxelLatentFormat, format_of

_LATENT_COPIES = 12  # of both streams, which a solver and ComfyUI hold: noise, masks, the last two steps, previews


def check_given(task: str, streams: Streams, sources: SourceLatents | None) -> None:
    """ValueError where a task is given a video without a picture, or source images beside the clip without cameras."""
    if task == "pose" and not bool(streams.video.any()):
        raise ValueError(
            "the task pose finds the cameras of a video, and the video in this latent is empty: connect a video's "
            "latent, from VAE Encode"
        )
    if sources is not None:
        sources.beside(pixel_frames(streams.video.shape[2]))


def run_notices(
    task: str, streams: Streams, latent_format: RaxelLatentFormat, sources: SourceLatents | None
) -> tuple[str, ...]:
    """What a user should know of a run that goes ahead, a sentence each."""
    hw = latent_format.sizes.video_hw(streams.video.shape)
    found = list(latent_format.recipe.doubts(pixel_frames(streams.video.shape[2]), hw))
    images = sources is not None and sources.video is not None
    if task == "camera" and not images and latent_format.config.text_dim is None:
        found.append("no source image is given, so the model has no picture to go on: connect Raxel Sources")
    for notice in found:
        logging.warning("Joint Sampler: %s", notice)
    return tuple(found)


def ask_latent_memory(latent_format: RaxelLatentFormat, frames: int, hw: tuple[int, int]) -> None:
    """ValueError in one sentence, before they are made, where the latents of a run would need more memory than there
    is."""
    values = 2 * prod(latent_format.sizes.video_shape(frames, hw))
    ask_memory(f"{frames} frames of {hw[1]}x{hw[0]}", 4 * _LATENT_COPIES * values)


def ask_run_memory(model: ModelPatcher, streams: Streams, sources: SourceLatents | None) -> None:
    """ValueError in one sentence where a run on the CPU would need more memory than there is; ComfyUI itself makes room
    on a GPU."""
    if not comfy.model_management.is_device_cpu(model.load_device):
        return
    latent_format = format_of(model)
    patch = latent_format.config.patch
    given = 0 if sources is None else len(sources.frames)
    tokens = sum(
        stream.shape[0] * (stream.shape[2] + given) * (stream.shape[3] // patch[1]) * (stream.shape[4] // patch[2])
        for stream in streams
    )
    latents = 4 * _LATENT_COPIES * sum(stream.numel() for stream in streams)
    height, width = latent_format.sizes.video_hw(streams.video.shape)
    ask_memory(
        f"{pixel_frames(streams.video.shape[2])} frames of {width}x{height}",
        working_memory(tokens, latent_format.config.dim, 4) + latents,
    )

"""The joint latent as nodes pass it on: a NestedTensor (video, rays) with one mask per stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.utils
import torch
from comfy.nested_tensor import NestedTensor
from torch import Tensor

from ...raxel_core.sampling import Streams

# The mask of (video, rays) per task: 0 keeps a stream as it is given, 1 makes it.
TASK_MASKS = {"pose": (0.0, 1.0), "camera": (1.0, 0.0), "joint": (1.0, 1.0)}
# The key of a LATENT that says which frame's camera is the origin of its rays.
REFERENCE_KEY = "raxel_reference_frame"

Latent = dict[str, Any]


def is_joint(latent: Mapping[str, Any]) -> bool:
    """Whether a LATENT holds both streams."""
    return bool(latent["samples"].is_nested) and len(latent["samples"].unbind()) == 2


def streams_of(latent: Mapping[str, Any], needed_by: str) -> Streams:
    """Both streams of a joint LATENT, raw [B, C, T, h, w] each; ValueError that says what was connected instead."""
    if not is_joint(latent):
        raise ValueError(
            f"{needed_by} takes a joint latent (video and rays), got one of {list(latent['samples'].shape)}: "
            "connect Joint Sampler, Raxel Encode or Join Raxel Latent"
        )
    return Streams(*latent["samples"].unbind())


def video_of(latent: Mapping[str, Any], channels: int) -> Tensor:
    """The video stream [B, C, T, h, w] of a LATENT, joint or plain; ValueError when it is another VAE's."""
    samples = latent["samples"]
    video = samples.unbind()[0] if samples.is_nested else samples
    if video.ndim != 5 or video.shape[1] != channels:
        raise ValueError(
            f"a video latent of this checkpoint is [B, {channels}, T, h, w], got {list(video.shape)}: "
            "encode the video with the VAE of Load Raxel Model"
        )
    return video


def reference_of(latent: Mapping[str, Any]) -> int:
    """The frame whose camera is the origin of a LATENT's rays."""
    return int(latent.get(REFERENCE_KEY, 0))


def joint_latent(streams: Streams, task: str, *, reference_frame: int = 0, video_mask: Tensor | None = None) -> Latent:
    """The LATENT of both streams, with a mask for each that says what `task` makes.

    Where the video is made, a `video_mask` that the user set on it still keeps parts of it.
    """
    made_video, made_rays = task_masks(streams, task)
    if video_mask is not None:
        made_video = made_video * comfy.utils.reshape_mask(video_mask, streams.video.shape)[:, :1].to(made_video)
    masks = NestedTensor([made_video, made_rays])
    return {"samples": NestedTensor(streams), "noise_mask": masks, REFERENCE_KEY: reference_frame}


def task_masks(streams: Streams, task: str) -> Streams:
    """The masks [B, 1, T, h, w] of `task`, at latent resolution so that nothing is interpolated."""
    if task not in TASK_MASKS:
        raise ValueError(f"a task is one of {', '.join(TASK_MASKS)}, got {task!r}")
    values = TASK_MASKS[task]
    return Streams(*(torch.full_like(x[:, :1], value) for x, value in zip(streams, values, strict=True)))


def plain_mask(latent: Mapping[str, Any]) -> Tensor | None:
    """The mask that a stock node has set on a LATENT, which is of the video; masks per stream are a task's own."""
    mask = latent.get("noise_mask")
    return None if mask is None or mask.is_nested else mask


def rays_of(latent: Mapping[str, Any], like: Tensor) -> Tensor:
    """The ray stream [B, C, T, hr, wr] of a LATENT, joint or plain; ValueError unless it has the shape of `like`."""
    samples = latent["samples"]
    rays = samples.unbind()[1] if is_joint(latent) else samples
    if tuple(rays.shape[1:]) != tuple(like.shape[1:]):
        raise ValueError(f"the rays of this video are {list(like.shape[1:])} (C, T, h, w), got {list(rays.shape[1:])}")
    if rays.shape[0] not in (1, like.shape[0]):
        raise ValueError(f"{like.shape[0]} videos need 1 or {like.shape[0]} sets of rays, got {rays.shape[0]}")
    return rays.expand(like.shape[0], -1, -1, -1, -1)

"""Frame arithmetic of a causal video VAE: 4k + 1 pixel frames are k + 1 latent frames, the first frame coded alone."""

from __future__ import annotations

import torch
from torch import Tensor

TEMPORAL_STRIDE = 4


def latent_frames(frames: int) -> int:
    """The latent frames T = k + 1 of a clip of F = 4k + 1 pixel `frames`; ValueError for any other count."""
    return (check_frame_count(frames) - 1) // TEMPORAL_STRIDE + 1


def pixel_frames(latent: int) -> int:
    """The pixel frames F = 4k + 1 of a clip of T = k + 1 `latent` frames; ValueError when there are none."""
    if latent < 1:
        raise ValueError(f"a clip has at least one latent frame, got {latent}")
    return (latent - 1) * TEMPORAL_STRIDE + 1


def latent_time(frame: int) -> float:
    """Where pixel frame `frame` lies on the axis of latent frames: 0 for frame 0, else (frame + 1.5) / 4.

    The group of four pixel frames 4j - 3 ... 4j that latent frame j codes is so centred on j.
    """
    if frame < 0:
        raise ValueError(f"a frame's number is at least 0, got {frame}")
    return 0.0 if frame == 0 else (frame + 1.5) / TEMPORAL_STRIDE


def latent_times(frames: Tensor) -> Tensor:
    """`latent_time` of each of the pixel `frames` [...], in float32; of views taken before the clip, too, whose frames
    are below 0, a quarter of them."""
    return torch.where(frames <= 0, frames / TEMPORAL_STRIDE, (frames + 1.5) / TEMPORAL_STRIDE).float()


def nearest_frame_count(frames: int) -> int:
    """The count of the form 4k + 1, at least 1, nearest to `frames`; the longer one where two are as near."""
    return max(0, (frames + 1) // TEMPORAL_STRIDE) * TEMPORAL_STRIDE + 1


def check_frame_count(frames: int) -> int:
    """`frames` when it is of the form 4k + 1; ValueError that names the nearest such count otherwise."""
    if frames < 1 or (frames - 1) % TEMPORAL_STRIDE:
        nearest = nearest_frame_count(frames)
        raise ValueError(f"a clip has 4k + 1 frames, got {frames}; the nearest such count is {nearest}")
    return frames

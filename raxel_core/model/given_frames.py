"""How given frames join a stream: behind its own frames, at their own latent times and at noise level 0."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class StreamFrames(NamedTuple):
    """What the network reads of one stream: `latents` [B, C, T, h, w], noise levels `sigma` [B, T], `time` [B or 1, T]
    or [T], the latent time of each frame."""

    latents: Tensor
    sigma: Tensor
    time: Tensor


def append_given(stream: StreamFrames, given: Tensor | None, given_time: Tensor) -> StreamFrames:
    """The stream with N `given` latents [B, C, N, h, w] as further frames at noise level 0; None changes nothing.

    `given_time` has the axes of the stream's `time`: [N] or [B, N]. Targets and velocities of the stream's own frames
    are then those before the last N.
    """
    if given is None:
        return stream
    clean = stream.sigma.new_zeros(stream.sigma.shape[0], given.shape[2])
    return StreamFrames(
        torch.cat((stream.latents, given.to(stream.latents)), dim=2),
        torch.cat((stream.sigma, clean), dim=1),
        torch.cat((stream.time, given_time.to(stream.time)), dim=-1),
    )

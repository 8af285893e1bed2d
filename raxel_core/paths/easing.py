"""Easings: how the speed of a move, or of a segment between two keys, is spread over its time.

An easing says at which of its two ends the camera rests. The time of a segment runs through the cubic w from 0 to 1
whose end speeds are 0 at a resting end and 1 (the mean speed) at the other, so that the speed is continuous wherever
two neighbours agree on the speed at the key they share, and the path itself is the same for all easings.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

# (speed at the start, speed at the end); "hold" stays at the start and jumps at the end.
END_SPEEDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"linear": (1.0, 1.0), "smooth": (0.0, 0.0), "ease_in": (0.0, 1.0), "ease_out": (1.0, 0.0), "hold": (0.0, 1.0)}
)
EASINGS = tuple(END_SPEEDS)


def ease(easing: str, share: Tensor) -> Tensor:
    """The share done [...] of a move after the `share` [...] of its time, both in [0, 1].

    linear s, smooth 3s^2 - 2s^3, ease_in 2s^2 - s^3, ease_out s + s^2 - s^3, hold 0 until 1.
    """
    if easing == "hold":
        return (share >= 1.0).to(share.dtype)
    return warp(share, *END_SPEEDS[easing])


def warp(share: Tensor, speed_before: Tensor | float, speed_after: Tensor | float) -> Tensor:
    """The cubic w [...] of s = `share` with w(0) = 0, w(1) = 1 and these speeds dw/ds at its ends."""
    rest = 1.0 - share
    return share * (share * (3.0 - 2.0 * share) + rest * (speed_before * rest - speed_after * share))


def progress_of_frames(frames: int) -> Tensor:
    """The share [F] of the clip at each frame, from 0 to 1, in float64; a single frame stands at 0."""
    return torch.arange(frames, dtype=torch.float64) / max(frames - 1, 1)

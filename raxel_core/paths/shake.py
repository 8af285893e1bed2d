"""Handheld shake: seeded, band-limited and a function of seconds, so that it knows no frame count and no frame rate.

Each of the six channels (rotation about x, y, z, then translation along x, y, z) is a sum of sines of equal amplitude
whose frequencies are spread evenly over the logarithm of the band, one drawn at random from each of twelve parts:
half the power lies below 1 Hz, as in a hand's. Sines and random signs instead of random phases make the shake zero at
t = 0. The random numbers come from a hash of 32-bit integers that the browser computes too.
"""

from __future__ import annotations

from math import ceil, floor, pi, sqrt

import torch
from torch import Tensor

from ..geometry import se3

BAND_HZ = (0.3, 3.0)
LARGEST_SEED = 2**32 - 1

_SINES = 12
_TRANSLATION_PER_DEGREE = 0.01
_FPS_RANGE = (1e-3, 1e6)


def shake(frames: int, *, fps: float, amount_degrees: float, depth: float, seed: int, loop: bool) -> Tensor:
    """The shake's motion [F, 4, 4] in the camera's frame, float64, the identity at frame 0.

    `amount_degrees` is the root mean square, over a long time, of the rotation about each axis; that of the
    translation along each axis is 0.01 * `depth` per degree. `loop` takes whole cycles over the clip, so that the last
    frame is the identity too. Raises ValueError on an fps from which no time in seconds can be had.
    """
    if not _FPS_RANGE[0] <= fps <= _FPS_RANGE[1]:
        raise ValueError(f"handheld needs fps from {_FPS_RANGE[0]:g} to {_FPS_RANGE[1]:g}, got {fps:g}")
    seconds = torch.arange(frames, dtype=torch.float64) / fps
    duration = (frames - 1) / fps
    unit = torch.stack([_channel(seconds, seed, channel, duration if loop else None) for channel in range(6)], dim=-1)
    rotation = se3.so3_exp(torch.deg2rad(unit.new_tensor(amount_degrees)) * unit[:, :3])
    return se3.from_rotation_translation(rotation, _TRANSLATION_PER_DEGREE * amount_degrees * depth * unit[:, 3:])


def _channel(seconds: Tensor, seed: int, channel: int, period: float | None) -> Tensor:
    """One channel [F] of root mean square 1, with whole cycles in `period` seconds unless that is None."""
    waves = _waves(seed, channel)
    if period is not None:
        waves = _whole_cycles(waves, period)
    total = torch.zeros_like(seconds)
    for hertz, sign in waves:
        total = total + sign * torch.sin(2.0 * pi * hertz * seconds)
    return sqrt(2.0 / len(waves)) * total


def _waves(seed: int, channel: int) -> list[tuple[float, float]]:
    """(hertz, sign) of each sine of a channel, hertz rising."""
    low, high = BAND_HZ
    waves = []
    for part in range(_SINES):
        number = 2 * (channel * _SINES + part)
        place = (part + _uniform(seed, number)) / _SINES
        waves.append((low * (high / low) ** place, 1.0 if _uniform(seed, number + 1) < 0.5 else -1.0))
    return waves


def _whole_cycles(waves: list[tuple[float, float]], period: float) -> list[tuple[float, float]]:
    """The waves at the nearest whole cycles per `period` within the band, each count once; a short period has few."""
    if period == 0.0:
        return waves
    fewest = max(1, ceil(BAND_HZ[0] * period))
    most = max(fewest, floor(BAND_HZ[1] * period))
    cycles: dict[int, float] = {}
    for hertz, sign in waves:
        cycles.setdefault(min(max(floor(hertz * period + 0.5), fewest), most), sign)
    return [(count / period, sign) for count, sign in cycles.items()]


def _uniform(seed: int, number: int) -> float:
    """A number in [0, 1) for each pair of 32-bit integers."""
    return _hash((_hash(seed) + number) & 0xFFFFFFFF) / 2**32


def _hash(x: int) -> int:
    """A bijection of 32-bit integers that scatters them (C. Wellons, "Prospecting for hash functions", lowbias32)."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)

"""The one frame rate of a trajectory and the times of frames in a file, each from the other."""

from __future__ import annotations

import torch
from torch import Tensor

# Steps that differ by more than this share of the mean step are worth a warning.
_UNEVEN = 0.1
# Rates are rounded to so many decimals where the times agree: 30 and not 29.99997.
_DECIMALS = 3


def rate_of(times: Tensor, per_second: float, assumed: float) -> tuple[float, str, tuple[str, ...]]:
    """Frames a second of frames at `times` [F], which count `per_second` to a second; a note; and warnings.

    Times that do not rise leave the `assumed` rate.
    """
    steps = times.diff()
    if not len(steps) or not bool((steps > 0.0).all()):
        return assumed, f"Time: {assumed:g} frames a second, assumed; the file's times do not rise.", ()
    rate = per_second * len(steps) / float(times[-1] - times[0])
    rounded = round(rate, _DECIMALS)
    if rounded > 0.0 and _same(times, per_second, rounded):
        rate = rounded
    uneven = float((steps / steps.mean() - 1.0).abs().max())
    warning = f"frames are not evenly spaced in time (up to {uneven:.0%} off); the mean rate was taken, frames kept"
    return rate, f"Time: {rate:.6g} frames a second, from the file's times.", (warning,) if uneven > _UNEVEN else ()


def _same(times: Tensor, per_second: float, rate: float) -> bool:
    """Whether `rate` gives these times to the last unit of a file that counts in whole ones, or to a millionth."""
    exact = times[0] + per_second / rate * torch.arange(len(times), dtype=torch.float64)
    slack = 1.0 if per_second > 1.0 else 1e-6
    return bool(((exact - times).abs() <= slack).all())

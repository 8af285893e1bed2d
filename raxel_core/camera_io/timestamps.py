"""The one frame rate of a trajectory and the times of frames in a file, each from the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Steps that differ by more than this share of the usual step are worth a warning.
_UNEVEN = 0.1
# Rates are rounded to so many decimals where the times agree: 30 and not 29.99997.
_DECIMALS = 3
# Rates that cameras have (`plausibility` doubts others).
RATES = (1.0, 1000.0)
# A unit that the format does not stand for has to give a rate as plain as this to be taken.
_PLAIN_RATES = (5.0, 250.0)
# Key frames may be this slow, in frames a second.
_SLOW = 0.05
# More rows than this share with the time of another have times of too few digits: none is left out.
_DOUBLED = 0.1
# Of two rates that whole milliseconds do not tell apart (119 and 120) these are the likelier.
_USUAL = (10.0, 12.0, 15.0, 20.0, 24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0, 100.0, 120.0, 240.0)
# Times are told to be rounded to whole units, thousandths or millionths of theirs.
_GRAINS = (1.0, 1e-3, 1e-6)
_UNITS = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
# Whole numbers that begin and rise by no more than this are frame numbers.
_MOST_FRAME_NUMBER = 1e7
_MOST_FRAME_STEP = 10.0
# Places beyond this are no whole numbers any more.
_MOST_PLACE = 2.0**53


@dataclass(frozen=True, eq=False)
class Clock:
    """What the times of frames say: `fps`, the frames' whole `numbers` [F] in steps of it (None where the times fit no
    steps), the `seconds` [F] (None where the times were none), a note, and warnings."""

    fps: float
    numbers: Tensor | None
    seconds: Tensor | None
    note: str
    warnings: tuple[str, ...] = ()


def by_time(centers: Tensor, times: Tensor | None) -> tuple[list[int], tuple[str, ...]]:
    """The indices of frames at `centers` [F, 3] and `times` [F] in the order of time, and what there is to say of it.

    A few rows whose time stood there before are left out. Rows are sorted where the camera then travels no further;
    where it would, as with two recordings in one file, they stay.
    """
    given = list(range(len(centers)))
    if times is None or bool((times.diff() > 0.0).all()):
        return given, ()
    order = times.argsort(stable=True)
    new = torch.cat((torch.ones(1, dtype=torch.bool), times[order].diff() > 0.0))
    kept = order[new]
    doubled = len(order) - len(kept)
    if doubled > _DOUBLED * len(order) or _travelled(centers[kept]) > _travelled(centers) * (1.0 + 1e-9):
        return given, ()
    told = [f"{doubled} rows have the same time as another and were left out"] if doubled else []
    sorted_ = bool((order.diff() < 0).any())
    return kept.tolist(), (*told, "the rows were put in the order of their times") if sorted_ else tuple(told)


def _travelled(centers: Tensor) -> float:
    return float(torch.linalg.vector_norm(centers.diff(dim=0), dim=-1).sum())


def clock_of(times: Tensor, unit: str, assumed: float) -> Clock:
    """The clock of frames at `times` [F], which should count in `unit`, one of _UNITS.

    Times that do not rise leave the `assumed` rate; frame numbers are told from times, and another unit is taken where
    only that gives a rate a camera has.
    """
    steps = times.diff()
    if not len(steps):
        return Clock(assumed, None, None, f"Time: {assumed:g} frames a second, assumed; the file has one frame.")
    if not bool((steps > 0.0).all()):
        note = f"Time: {assumed:g} frames a second, assumed; the file's times do not rise."
        return Clock(assumed, None, None, note, (_not_rising(times, steps),) if bool(steps.any()) else ())
    if _are_frame_numbers(times, steps):
        note = f"Time: {assumed:g} frames a second, assumed; the file's times are frame numbers."
        doubt = f"the times {_few(times)} were taken as frame numbers, not as {unit}"
        return Clock(assumed, times.round().long(), None, note, (doubt,))
    found = _unit_for(times, steps, unit)
    fps = _rate(times, steps, _UNITS[found])
    warnings = _doubts(steps, unit, found)
    seconds = (times - times[0]) / _UNITS[found]
    note = f"Time: {fps:.6g} frames a second, from the file's times in {found}."
    return Clock(fps, _numbers(seconds, fps), times / _UNITS[found], note, warnings)


def _not_rising(times: Tensor, steps: Tensor) -> str:
    wrong = (steps <= 0.0).nonzero().flatten()
    row = int(wrong[0])
    return (
        f"the times do not rise {len(wrong)} times, first from {times[row]:.10g} to {times[row + 1]:.10g} in row "
        f"{row + 2}: they were left out of account"
    )


def _are_frame_numbers(times: Tensor, steps: Tensor) -> bool:
    """Whole numbers that rise by a few: 0 1 2 5 6, and not milliseconds (0 8 17 25), and no clock's date."""
    whole = bool((times == times.round()).all()) and float(times.abs().max()) < _MOST_FRAME_NUMBER
    least, most = float(steps.min()), float(steps.max())
    rounded = least > 1.0 and most == least + 1.0
    return whole and least <= _MOST_FRAME_STEP and not rounded


def _unit_for(times: Tensor, steps: Tensor, unit: str) -> str:
    """`unit` where the rate is one a camera has, else the unit in which it is plainly one, else `unit`.

    A rate somewhat low may be that of key frames: then only whole numbers are taken for another unit's.
    """
    usual = float(steps.median())
    rate = _UNITS[unit] / usual
    whole = bool((times == times.round()).all())
    if RATES[0] <= rate <= RATES[1] or (_SLOW < rate < RATES[0] and not whole):
        return unit
    low, high = _PLAIN_RATES
    return next((name for name, size in _UNITS.items() if low <= size / usual <= high), unit)


def _rate(times: Tensor, steps: Tensor, per_second: float) -> float:
    """Frames a second: the whole or NTSC rate that the times are the rounded ones of, else the mean rate, rounded where
    that agrees; that of the usual step where frames are left out."""
    usual = float(steps.median())
    gaps = float(steps.max()) > 1.5 * usual and _numbers((times - times[0]) / usual, 1.0) is not None
    count = float((steps / usual).round().sum()) if gaps else float(len(steps))
    rate = per_second * count / float(times[-1] - times[0])
    plain = next((plain for plain in _plain_rates(rate) if _rounded_from(times, per_second, rate, plain)), None)
    if plain is not None:
        return round(plain, _DECIMALS)
    rounded = round(rate, _DECIMALS)
    return rounded if rounded > 0.0 and _same(times, per_second, rate, rounded) else rate


def _plain_rates(rate: float) -> tuple[float, ...]:
    """The rates near `rate` that cameras have, the likelier first: a usual one, a whole one, an NTSC one."""
    if not 0.5 < rate < _MOST_FRAME_NUMBER:
        return ()
    usual = min(_USUAL, key=lambda usual: abs(usual - rate))
    return usual, float(max(round(rate), 1)), max(round(rate * 1.001), 1) / 1.001


def _rounded_from(times: Tensor, per_second: float, rate: float, plain: float) -> bool:
    """Whether the times of frames at about `rate`, which have few digits, are those of `plain`, rounded."""
    reach = 4.0 * float(times.abs().max()) * torch.finfo(times.dtype).eps
    grains = (grain for grain in _GRAINS if reach < 0.01 * grain)
    grain = next((grain for grain in grains if _multiples(times, grain, reach)), None)
    if grain is None:
        return False
    places = ((times - times[0]) * (rate / per_second)).round()
    off = times - times[0] - places * (per_second / plain)
    return float(off.max() - off.min()) <= grain + 2.0 * reach


def _multiples(times: Tensor, grain: float, reach: float) -> bool:
    places = times / grain
    return bool(((places - places.round()).abs() <= reach / grain + 1e-9).all())


def _same(times: Tensor, per_second: float, rate: float, rounded: float) -> bool:
    """Whether `rounded` gives the times of `rate` to the last unit of a file that counts in whole ones, or to a
    millionth."""
    span = float(times[-1] - times[0])
    slack = max(1.0 if per_second > 1.0 else 1e-6, 4.0 * float(times[-1].abs()) * torch.finfo(times.dtype).eps)
    return abs(span * (rate / rounded - 1.0)) <= slack


def _numbers(seconds: Tensor, fps: float) -> Tensor | None:
    """Which frame each is, where all lie near one and none lies with another."""
    places = seconds * fps
    numbers = places.round()
    near = bool(((places - numbers).abs() < 0.3).all()) and float(numbers.max()) < _MOST_PLACE
    return numbers.long() if near and bool((numbers.diff() > 0).all()) else None


def _doubts(steps: Tensor, unit: str, found: str) -> tuple[str, ...]:
    warnings = []
    if found != unit:
        read = _UNITS[unit] / float(steps.median())
        warnings.append(f"the times count in {found}: in {unit} they would give {read:.2g} frames a second")
    uneven = float((steps / steps.median() - 1.0).abs().max())
    if uneven > _UNEVEN:
        warnings.append(f"frames are not evenly spaced in time (up to {uneven:.0%} off the usual step)")
    return tuple(warnings)


def _few(times: Tensor) -> str:
    return ", ".join(f"{time:g}" for time in times[:4].tolist()) + (", ..." if len(times) > 4 else "")

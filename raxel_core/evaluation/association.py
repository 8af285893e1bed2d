"""Which cameras of two paths belong together: by their times, by their frames' numbers, or one by one."""

from __future__ import annotations

import torch
from torch import Tensor

from ..camera_io.reading import Reading
from ..geometry.camera import Camera
from ..geometry.trajectory import Trajectory

# Times match when they differ by less than this share of a frame of the truth.
_NEAR = 0.5
# And moments of frames at two rates by less than this share of the faster one's.
_SAME = 0.25
# Rates that differ by less are one.
_ROUNDED = 1e-3
# Formats of programs whose first frame is number 1.
_ONE_BASED = ("nuke_chan", "usda", "blender_py", "camera_path")


def associated(estimate: Reading, truth: Reading) -> tuple[Camera, Camera, str]:
    """The cameras of both paths that belong together, and in words how they were matched.

    Times of both files decide, then the frames' numbers where the paths differ in length or in their gaps, those in the
    footage where both files know them (`Reading.first`), or the moments that the numbers are at the files' rates where
    these differ; otherwise the frames are taken one by one, wherever their numbers begin (at 0 here, at 1 in a .chan).
    Raises ValueError when fewer than two cameras of each match.
    """
    ours, theirs = estimate.trajectory, truth.trajectory
    numbers = _numbered(estimate, truth)
    gapped = ours.numbers is not None or theirs.numbers is not None
    if estimate.times is not None and truth.times is not None:
        pairs, how = _by_time(estimate.times, truth.times, _NEAR / theirs.fps), "time"
    elif len(ours) == len(theirs) and (not gapped or _from_first(numbers[0]) == _from_first(numbers[1])):
        return ours.camera, theirs.camera, ""
    elif _rates_differ(estimate, truth):
        pairs = _by_time(_moments(ours), _moments(theirs), _SAME / max(ours.fps, theirs.fps))
        how = f"their time at {ours.fps:g} and {theirs.fps:g} frames a second"
    else:
        pairs, how = _by_number(*numbers), "the frames' numbers"
    if len(pairs) < 2:
        raise ValueError(
            f"the estimate has {len(ours)} frames, the truth {len(theirs)}, of which {len(pairs)} match by {how}: "
            "two at least are needed (trajectory convert --first-frame says where a path begins)"
        )
    if len(pairs) == len(ours) == len(theirs):
        return ours.camera, theirs.camera, ""
    told = f"{len(pairs)} of {len(ours)} and {len(theirs)} frames were matched by {how}"
    return ours.camera[pairs[:, 0]], theirs.camera[pairs[:, 1]], told


def _rates_differ(*readings: Reading) -> bool:
    """Whether both files state a rate, and not the same; frames of an estimate of ours are those of its footage."""
    rates = [reading.trajectory.fps for reading in readings]
    stated = all(reading.states_rate and not reading.estimated for reading in readings)
    return stated and abs(rates[0] - rates[1]) > _ROUNDED * rates[1]


def _moments(path: Trajectory) -> Tensor:
    """The seconds [F] of a path's frames from its first on."""
    return torch.tensor(path.frame_numbers, dtype=torch.float64) / path.fps


def _by_time(times: Tensor, true_times: Tensor, near: float) -> Tensor:
    """Pairs [M, 2] of indices whose times (seconds, rising) lie no further apart than `near`; each true one at most
    once."""
    after = torch.searchsorted(true_times, times).clamp(1, max(len(true_times) - 1, 1))
    nearer = (true_times[after] - times).abs() < (true_times[after - 1] - times).abs()
    nearest = torch.where(nearer, after, after - 1)
    kept = ((true_times[nearest] - times).abs() <= near).nonzero().flatten()
    first = torch.ones(len(kept), dtype=torch.bool)
    first[1:] = nearest[kept].diff() != 0
    return torch.stack((kept, nearest[kept]), dim=-1)[first]


def _numbered(*readings: Reading) -> list[list[int]]:
    """The numbers of both files' frames, from one beginning: of the clip, or those in the footage where they begin late
    (1001) in both files, or in one that is not an estimate of ours, which also knows the clip's beginning."""
    late = [_begins_late(reading) for reading in readings]
    if not all(late) and not any(each and not r.estimated for each, r in zip(late, readings, strict=True)):
        return [_of_the_clip(reading) for reading in readings]
    one = int(any(reading.first is not None and reading.format in _ONE_BASED for reading in readings))
    return [_of_the_clip(reading, one) if reading.first is None else _in_the_footage(reading) for reading in readings]


def _in_the_footage(reading: Reading) -> list[int]:
    """The frames' numbers as the file gives them, with those that it steps over."""
    assert reading.first is not None
    return [reading.first + number for number in _from_first(_of_the_clip(reading))]


def _begins_late(reading: Reading) -> bool:
    """Whether the clip's first frame has another number than 0 or 1; in other files the path's, which may be later."""
    skipped = reading.numbers[0] if reading.numbers and reading.estimated else 0
    return reading.first is not None and reading.first - skipped not in (0, 1)


def _of_the_clip(reading: Reading, begins: int = 0) -> list[int]:
    """The frames' numbers from the clip's beginning on, as number `begins`, or from the path's."""
    numbers = reading.trajectory.frame_numbers
    if reading.numbers and reading.format in _ONE_BASED:  # every third frame, which is read as neighbours
        numbers = reading.numbers if reading.estimated else tuple(_from_first(list(reading.numbers)))
    return [begins + number for number in numbers]


def _from_first(numbers: list[int]) -> list[int]:
    return [number - numbers[0] for number in numbers]


def _by_number(numbers: list[int], true_numbers: list[int]) -> Tensor:
    place = {number: index for index, number in enumerate(true_numbers)}
    pairs = [(index, place[number]) for index, number in enumerate(numbers) if number in place]
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)

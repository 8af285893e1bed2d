"""Which cameras of two paths belong together: by their times, by their frames' numbers, or one by one."""

from __future__ import annotations

import torch
from torch import Tensor

from ..camera_io.reading import Reading
from ..geometry.camera import Camera

# Times match when they differ by less than this share of a frame of the truth.
_NEAR = 0.5


def associated(estimate: Reading, truth: Reading) -> tuple[Camera, Camera, str]:
    """The cameras of both paths that belong together, and in words how they were matched.

    Times of both files decide, then the frames' numbers where the paths differ in length or in their gaps, those in the
    footage where both files know them (`Reading.first`); otherwise the frames are taken one by one, wherever their
    numbers begin (at 0 here, at 1 in a .chan). Raises ValueError when fewer than two cameras of each match.
    """
    ours, theirs = estimate.trajectory, truth.trajectory
    placed = estimate.first is not None and truth.first is not None
    numbers = [_placed(reading) if placed else _counted(reading) for reading in (estimate, truth)]
    gapped = ours.numbers is not None or theirs.numbers is not None
    if estimate.times is not None and truth.times is not None:
        pairs, how = _by_time(estimate.times, truth.times, theirs.fps), "time"
    elif len(ours) == len(theirs) and (not gapped or _from_first(numbers[0]) == _from_first(numbers[1])):
        return ours.camera, theirs.camera, ""
    else:
        pairs, how = _by_number(*numbers), "the frames' numbers"
    if len(pairs) < 2:
        raise ValueError(
            f"the estimate has {len(ours)} frames, the truth {len(theirs)}, of which {len(pairs)} match by {how}: "
            "two at least are needed"
        )
    if len(pairs) == len(ours) == len(theirs):
        return ours.camera, theirs.camera, ""
    told = f"{len(pairs)} of {len(ours)} and {len(theirs)} frames were matched by {how}"
    return ours.camera[pairs[:, 0]], theirs.camera[pairs[:, 1]], told


def _by_time(times: Tensor, true_times: Tensor, fps: float) -> Tensor:
    """Pairs [M, 2] of indices whose times (seconds, rising) lie within half a frame; each true one at most once."""
    after = torch.searchsorted(true_times, times).clamp(1, max(len(true_times) - 1, 1))
    nearer = (true_times[after] - times).abs() < (true_times[after - 1] - times).abs()
    nearest = torch.where(nearer, after, after - 1)
    kept = ((true_times[nearest] - times).abs() <= _NEAR / fps).nonzero().flatten()
    first = torch.ones(len(kept), dtype=torch.bool)
    first[1:] = nearest[kept].diff() != 0
    return torch.stack((kept, nearest[kept]), dim=-1)[first]


def _placed(reading: Reading) -> list[int]:
    """The frames' numbers in the footage."""
    assert reading.first is not None
    return [number + reading.first for number in reading.trajectory.frame_numbers]


def _counted(reading: Reading) -> list[int]:
    """The frames' numbers as the file has them, those that begin at 1 from 0 on."""
    path = reading.trajectory
    return list(path.frame_numbers if reading.first == 1 else reading.numbers or path.frame_numbers)


def _from_first(numbers: list[int]) -> list[int]:
    return [number - numbers[0] for number in numbers]


def _by_number(numbers: list[int], true_numbers: list[int]) -> Tensor:
    place = {number: index for index, number in enumerate(true_numbers)}
    pairs = [(index, place[number]) for index, number in enumerate(numbers) if number in place]
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)

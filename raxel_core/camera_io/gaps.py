"""Frames that a file leaves out: pictures without a camera are gaps in time, named, and kept, filled or closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from math import gcd

from ..geometry.estimate import Estimate, Footage
from ..geometry.trajectory import Trajectory
from .frame_names import numbers_in
from .parsing import MOST_FRAMES
from .reading import CameraFormatError

_SHOWN_GAPS = 6
# Numbers that leave out more than this share of the frames are those of photographs, not of a clip.
_PHOTOGRAPHS = 0.9
# A path's frames lie a whole number of the footage's apart, but for the rounding of both rates.
_ROUNDED = 1e-3


def with_gaps(
    trajectory: Trajectory, numbers: Sequence[int], choice: str, file_name: str
) -> tuple[Trajectory, list[str]]:
    """`trajectory` with the gaps that the rising `numbers` of its frames leave, as `choice` of reading.GAPS wants them,
    and warnings that name them."""
    steps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    stride = gcd(*steps) if steps else 1
    said = [f"the frames' numbers rise by {stride}: they were taken as neighbouring frames"] if stride > 1 else []
    places = tuple((number - numbers[0]) // max(stride, 1) for number in numbers)
    count = places[-1] + 1
    missing = count - len(places)
    if not missing:
        return trajectory, said
    named = f"{missing} of {count} frames have no camera ({_gaps(numbers, max(stride, 1))})"
    if missing > _PHOTOGRAPHS * count and choice == "keep":
        return trajectory, [*said, f"{named}: too few for a clip, the others were taken as neighbouring frames"]
    if choice == "close":
        return trajectory, [*said, f"{named}: the others were taken as neighbouring frames"]
    gapped = replace(trajectory, numbers=places)
    if choice == "keep":
        return gapped, [*said, f"{named}: kept as gaps in time; gaps can be filled by interpolation, or closed"]
    if count > MOST_FRAMES:
        raise CameraFormatError(f"{file_name}: expected at most {MOST_FRAMES} frames, filling the gaps makes {count}")
    return gapped.filled(), [*said, f"{named}: their cameras were interpolated"]


def placed(estimate: Estimate, choice: str = "keep", file_name: str = "") -> tuple[Trajectory, int | None, list[str]]:
    """The path of `estimate` with the gaps that pictures without a camera leave (`with_gaps`), the number of its first
    frame, as the names of a series' pictures count (1001) or a video from 1 on, and warnings. The number is None where
    names do not count by one, and where not every frame of the footage was taken."""
    path, footage = estimate.trajectory, estimate.footage
    stride = footage.rate / path.fps
    step = round(stride)
    steps = [after - before for before, after in zip(footage.frames, footage.frames[1:], strict=False)]
    if abs(stride - step) > _ROUNDED * stride or any(each % step for each in steps):
        return path, None, []  # taken by time: frames have no even distance
    first = None if step > 1 else _first_number(footage)
    if path.numbers is not None or all(each == step for each in steps):
        return path, first, []
    shown = [(number - footage.frames[0]) // step + (first or 0) for number in footage.frames]
    gapped, warnings = with_gaps(path, shown, choice, file_name)
    return gapped, first, warnings


def _first_number(footage: Footage) -> int | None:
    """The number of the first camera's picture (`placed`)."""
    if not footage.pictures:
        return footage.frames[0] + 1
    there = [place for place, name in enumerate(footage.pictures) if name]
    numbers = numbers_in([footage.pictures[place] for place in there])[0] if there else None
    if numbers is None or any(number - place != numbers[0] for place, number in zip(there, numbers, strict=True)):
        return None
    return numbers[0] + footage.frames[0]


def _gaps(numbers: Sequence[int], stride: int) -> str:
    """The numbers that are left out, as "3 to 5, 9"."""
    pairs = [(a + stride, b - stride) for a, b in zip(numbers, numbers[1:], strict=False) if b - a > stride]
    shown = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in islice(pairs, _SHOWN_GAPS))
    return shown + (f" and {len(pairs) - _SHOWN_GAPS} more gaps" if len(pairs) > _SHOWN_GAPS else "")

"""Frames that a file leaves out: pictures without a camera are gaps in time, named, and kept, filled or closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from math import gcd

from ..geometry.trajectory import Trajectory
from .parsing import MOST_FRAMES
from .reading import CameraFormatError

_SHOWN_GAPS = 6
# Numbers that leave out more than this share of the frames are those of photographs, not of a clip.
_PHOTOGRAPHS = 0.9


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


def _gaps(numbers: Sequence[int], stride: int) -> str:
    """The numbers that are left out, as "3 to 5, 9"."""
    pairs = [(a + stride, b - stride) for a, b in zip(numbers, numbers[1:], strict=False) if b - a > stride]
    shown = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in islice(pairs, _SHOWN_GAPS))
    return shown + (f" and {len(pairs) - _SHOWN_GAPS} more gaps" if len(pairs) > _SHOWN_GAPS else "")

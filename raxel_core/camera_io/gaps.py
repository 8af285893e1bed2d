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
from .reading import MOST_FIRST, CameraFormatError

_SHOWN_GAPS = 6
# Numbers that leave out more than this share of the frames are those of photographs, not of a clip.
_PHOTOGRAPHS = 0.9
# Rates that differ by less are one.
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
    gapped, told = _chosen(replace(trajectory, numbers=places), named, choice, file_name)
    return gapped, [*said, told]


def in_places(
    trajectory: Trajectory,
    places: Sequence[int],
    choice: str,
    file_name: str,
    *,
    first: int | None = None,
    skipped: int = 0,
) -> tuple[Trajectory, list[str]]:
    """As `with_gaps`, of `places` in the clip that are known for sure, from 0 on. The first is number `first` of the
    file or of its pictures; where they number nothing, warnings count the footage from 0, `skipped` frames before."""
    if list(places) == list(range(len(places))):
        return trajectory, []
    missing = places[-1] + 1 - len(places)
    start, counted = (skipped, ", counted from 0") if first is None else (first, "")
    shown = _gaps([place + start for place in places], 1)
    named = f"{missing} of {places[-1] + 1} frames have no camera ({shown}{counted})"
    gapped, told = _chosen(replace(trajectory, numbers=tuple(places)), named, choice, file_name)
    return gapped, [told]


def _chosen(gapped: Trajectory, named: str, choice: str, file_name: str) -> tuple[Trajectory, str]:
    """A path with gaps as `choice` of reading.GAPS wants it, and what there is to say."""
    if choice == "close":
        return gapped.closed(), f"{named}: the others were taken as neighbouring frames"
    if choice == "keep":
        return gapped, f"{named}: kept as gaps in time; gaps can be filled by interpolation, or closed"
    count = gapped.frame_numbers[-1] + 1
    if count > MOST_FRAMES:
        raise CameraFormatError(f"{file_name}: expected at most {MOST_FRAMES} frames, filling the gaps makes {count}")
    return gapped.filled(), f"{named}: their cameras were interpolated"


def placed(estimate: Estimate, choice: str = "keep", file_name: str = "") -> tuple[Trajectory, int | None, list[str]]:
    """The path of `estimate` with the gaps that pictures without a camera leave, as `choice` of reading.GAPS wants
    them, the number of its first frame, as the names of a series count (1001) or a video from 1 on, and warnings.

    The number is None where names do not count by one, or beyond MOST_FIRST, and where not every frame was taken.
    """
    path, footage = estimate.trajectory, estimate.footage
    every = abs(footage.rate - path.fps) <= _ROUNDED * path.fps
    first = _first_number(footage) if every else None
    if path.numbers is not None:
        return path, first, []
    share = min(path.fps / footage.rate, 1e9)  # one of so many frames; those taken by time lie beside their moment
    places = [round((number - footage.frames[0]) * share) for number in footage.frames]
    if any(after <= before for before, after in zip(places, places[1:], strict=False)):
        return path, None, ["the frames do not lie as far apart as the path's rate says: they were taken as neighbours"]
    shown, skipped = first if footage.pictures else None, footage.frames[0] if every else 0
    gapped, warnings = in_places(path, places, choice, file_name, first=shown, skipped=skipped)
    return gapped, first, warnings


def numbered(estimate: Estimate) -> tuple[Trajectory, int] | None:
    """The path of `estimate` at the rate and in the frames of its footage, every third one say, and the number of the
    first (`placed`); None where the pictures' names give none."""
    first = _first_number(estimate.footage)
    if first is None:
        return None
    frames = estimate.footage.frames
    places = tuple(number - frames[0] for number in frames)
    numbers = None if places == tuple(range(len(places))) else places
    return replace(estimate.trajectory, fps=estimate.footage.rate, numbers=numbers), first


def _first_number(footage: Footage) -> int | None:
    """The number of the first camera's picture (`placed`)."""
    if not footage.pictures:
        return footage.frames[0] + 1
    there = [place for place, name in enumerate(footage.pictures) if name]
    numbers = numbers_in([footage.pictures[place] for place in there])[0] if there else None
    if numbers is None or any(number - place != numbers[0] for place, number in zip(there, numbers, strict=True)):
        return None
    first = numbers[0] + footage.frames[0]
    return first if first <= MOST_FIRST else None


def _gaps(numbers: Sequence[int], stride: int) -> str:
    """The numbers that are left out, as "3 to 5, 9"."""
    pairs = [(a + stride, b - stride) for a, b in zip(numbers, numbers[1:], strict=False) if b - a > stride]
    shown = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in islice(pairs, _SHOWN_GAPS))
    return shown + (f" and {len(pairs) - _SHOWN_GAPS} more gaps" if len(pairs) > _SHOWN_GAPS else "")

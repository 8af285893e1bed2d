"""Several cameras in one file: they are named, and one is chosen, by its name or because most frames are its."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .frame_names import pattern_of, without_split
from .parsing import listed
from .reading import CameraFormatError

# The track that takes all frames as one clip.
ALL = "all"
# More patterns than this in the names are those of photographs, not of cameras.
_MOST_CAMERAS = 16
# Sizes that differ by no more than so many pixels are one size, rounded in two ways.
_SAME_SIZE = 2


def chosen_track(
    names: Sequence[str], track: str, file_name: str, moves: Sequence[bool] = (), *, sizes: Sequence[int] = ()
) -> tuple[int, tuple[str, ...]]:
    """The index in `names` of the one called `track`, or where that is "" of the first that `moves`, or of the one of
    most frames where their `sizes` are given, else the first; and a warning that names the others.

    Raises CameraFormatError that lists the names when none is called so.
    """
    if track and track not in names:
        raise CameraFormatError(f"{file_name}: expected the track {track[:40]!r}, it has {listed(names) or 'none'}")
    if track or len(names) < 2:
        return (names.index(track) if track else 0), ()
    index = moves.index(True) if True in moves else sizes.index(max(sizes)) if sizes else 0
    why = ", the one of most frames," if sizes else ", the first that moves,"
    taken = listed([names[index]]) + (why if index else "")
    return index, (f"the file has {len(names)} cameras ({listed(names)}): {taken} was read; a track takes another",)


def frames_of_track(
    names: Sequence[str], sizes: Sequence[tuple[int, int]], cameras: Sequence[str], track: str, file_name: str
) -> tuple[list[int], tuple[str, ...]]:
    """The indices of the frames of one camera, and warnings that name the others.

    Frames belong together when their pictures' `names` differ in their last number alone and their `sizes` (height,
    width) are the same but for two pixels; `cameras` are what the file calls them, "" where it does not. `track` is one
    of the folders, sizes or cameras, or ALL; where it is "", the group with the most frames is taken, the first of
    equals.
    """
    parts = list(zip(_parts(names), _sizes(sizes), strict=True))
    labels = [tuple(filter(None, (*part, camera))) for part, camera in zip(parts, cameras, strict=True)]
    groups = Counter(parts)
    if track and track != ALL:
        kept = [index for index, row in enumerate(labels) if track in (*row, ", ".join(filter(None, parts[index])))]
        if not kept:
            known = list(dict.fromkeys(label for row in labels for label in row))
            raise CameraFormatError(f"{file_name}: expected the track {track[:40]!r}, it has {listed(known) or 'none'}")
        return kept, ()
    if track == ALL or len(groups) < 2:
        return list(range(len(labels))), _cameras_warning(cameras)
    taken = groups.most_common(1)[0][0]
    told = listed(f"{', '.join(filter(None, group))} ({_frames(count)})" for group, count in groups.items())
    several = f"the file has several cameras ({told}): {', '.join(filter(None, taken))} was read; a track takes another"
    kept = [index for index, part in enumerate(parts) if part == taken]
    return kept, (several, *_cameras_warning([cameras[index] for index in kept]))


def _parts(names: Sequence[str]) -> list[str]:
    """For each name what the pictures of its camera share; "" where all share it, or where nearly none do."""
    patterns = [pattern_of(without_split(name)) for name in names]
    counts = Counter(patterns)
    if not 2 <= len(counts) <= _MOST_CAMERAS or 2 * len(counts) > len(names):
        return [""] * len(names)
    folders = [pattern.rpartition("/")[0] for pattern in patterns]
    shorter = len(set(folders)) == len(counts)
    return [label or "." for label in (folders if shorter else patterns)]


def _sizes(sizes: Sequence[tuple[int, int]]) -> list[str]:
    """For each size the name of the group it belongs to; "" where all are one."""
    groups: list[tuple[int, int]] = []
    for size in dict.fromkeys(sizes):
        if not any(_same(size, known) for known in groups):
            groups.append(size)
    if len(groups) < 2:
        return [""] * len(sizes)
    shown = {size: next(f"{g[1]}x{g[0]}" for g in groups if _same(size, g)) for size in dict.fromkeys(sizes)}
    return [shown[size] for size in sizes]


def _same(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return max(abs(a[0] - b[0]), abs(a[1] - b[1])) <= _SAME_SIZE


def _cameras_warning(cameras: Sequence[str]) -> tuple[str, ...]:
    """That frames of one group are of few cameras, each with many frames: a track takes one."""
    counts = Counter(cameras)
    if not 2 <= len(counts) <= _MOST_CAMERAS or min(counts.values()) < 2:
        return ()
    told = listed(f"{camera} ({_frames(count)})" for camera, count in counts.items())
    return (f"the frames are of {len(counts)} cameras: {told}; all were read as one clip, a track takes one",)


def _frames(count: int) -> str:
    return f"{count} frame{'s' if count != 1 else ''}"

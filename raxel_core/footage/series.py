"""A series of pictures as footage: which files they are, in which order, and what is missing between them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..camera_io.frame_names import in_order, numbers_in, pattern_of
from ..strict_json import printable

PICTURE_SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".dpx", ".bmp", ".webp", ".pgm", ".ppm", ".tga", ".hdr", ".jp2",
}  # fmt: skip
_NUMBER = re.compile(r"%0?\d*d|#+")
_WILD = re.compile(r"[*?\[]")
_SHOWN = 5


@dataclass(frozen=True)
class Series:
    """Pictures in the order of their frames: `name` as one says it, `files`, their `positions` from 0, which leave out
    the frames that are missing, and `notes` on how the names were read, a sentence each."""

    name: str
    files: tuple[Path, ...]
    positions: tuple[int, ...]
    notes: tuple[str, ...] = ()


def names_series(path: Path) -> bool:
    """Whether `path` names pictures rather than one file: a folder, or a pattern such as f_%04d.png, f_####.png or
    f_*.png that is no file's own name."""
    return path.is_dir() or (not path.exists() and bool(_NUMBER.search(path.name) or _WILD.search(path.name)))


def find_series(path: Path) -> Series:
    """The pictures that `path` names (see `names_series`).

    Names are read as numbers: f_2 before f_10. Raises ValueError in one sentence where there are none, or where a
    folder holds several series; OSError where the folder cannot be read.
    """
    folder, pattern = (path, "*") if path.is_dir() else (path.parent, path.name)
    found = [file for file in folder.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES and file.name[:1] != "."]
    files = [file for file in found if _fits(file.name, pattern)]
    if not files:
        beside = f"; there is {printable(min(found).name, 60)}" if found and pattern != "*" else ""
        raise ValueError(f"{printable(path, 1000)} names no pictures that are there{beside}")
    if pattern == "*":
        _check_one_series(path, files)
    order, warnings = in_order([file.name for file in files])
    ordered = [files[index] for index in order]
    positions, notes = _positions([file.name for file in ordered])
    return Series(path.name or str(path), tuple(ordered), positions, (*warnings, *notes))


def _fits(name: str, pattern: str) -> bool:
    """Whether a file's name is one of a pattern with %04d, #### or wildcards."""
    if not _NUMBER.search(pattern):
        return fnmatchcase(name, pattern)
    parts = re.split(f"({_NUMBER.pattern})", pattern)
    wanted = "".join(_digits(part) if _NUMBER.fullmatch(part) else re.escape(part) for part in parts)
    return re.fullmatch(wanted, name) is not None


def _digits(part: str) -> str:
    """The expression for the digits of %d, %04d or ####: at least so many, none more in front."""
    width = len(part) if part[0] == "#" else int(part[1:-1] or 1)
    return f"(?:[0-9]{{{width}}}|[1-9][0-9]{{{width},24}})"


def _check_one_series(folder: Path, files: Sequence[Path]) -> None:
    """ValueError where a folder holds several series of pictures, to take one of which would be a guess."""
    kinds: dict[str, int] = {}
    for file in files:
        kind = f"{pattern_of(file.name)}*{file.suffix}"
        kinds[kind] = kinds.get(kind, 0) + 1
    if len(kinds) > 1 and max(kinds.values()) > 1:
        told = ", ".join(f"{printable(kind, 60)} ({count})" for kind, count in sorted(kinds.items())[:_SHOWN])
        raise ValueError(f"{folder} holds several series of pictures, {told}: name one, as {folder}/{min(kinds)}")


def _positions(names: Sequence[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Where each picture stands, by the number in its name, and what is missing between them."""
    numbers, _ = numbers_in(names)
    if numbers is None or any(b <= a for a, b in zip(numbers, numbers[1:], strict=False)):
        return tuple(range(len(names))), ()
    step = math.gcd(*(b - a for a, b in zip(numbers, numbers[1:], strict=False))) or 1
    notes = [f"the numbers of the pictures go in steps of {step}, which are taken as neighbours"] if step > 1 else []
    positions = tuple((number - numbers[0]) // step for number in numbers)
    missing = [numbers[0] + step * position for position in _gaps(positions)]
    if missing:
        notes.append(f"{len(missing)} pictures are missing, {_listed(missing, step)}: their time is kept, and empty")
    return positions, tuple(notes)


def _gaps(positions: Sequence[int]) -> list[int]:
    """The whole numbers between the `positions`, which rise, that are not among them."""
    pairs = zip(positions, positions[1:], strict=False)
    return [missing for before, after in pairs for missing in range(before + 1, after)]


def _listed(numbers: Sequence[int], step: int) -> str:
    """Numbers as "3, 7 to 9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + step:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = [f"{first}" if first == last else f"{first} to {last}" for first, last in runs]
    return ", ".join(told[:_SHOWN]) + (f" and {len(told) - _SHOWN} more gaps" if len(told) > _SHOWN else "")

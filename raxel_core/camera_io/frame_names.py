"""Pictures' names: the order of frames, the number or time in each, and the name of a frame that is written."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

# The last number of a name, with its decimals where it may be a time: in 1305031102.175304.png and frame_0.042.png, not
# in sh010_v003.1001.exr and cam1.0001.png.
_LAST_NUMBER = re.compile(
    r"((?<![A-Za-z0-9.])[0-9]{1,25}\.[0-9]{1,12}|[0-9]{9,25}\.[0-9]{1,12}|[0-9]{1,25})(?=[^0-9]*$)"
)
# A date and the time of day that phones name pictures by: PXL_20240501_123456789.jpg, IMG_20240501_123456.jpg.
_TAKEN = re.compile(r"(?<![0-9])((?:19|20)[0-9]{6})[_-]([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{3})?(?=[^0-9]*$)")
# Pictures that were taken further apart, in seconds, are no film.
_LONGEST_STEP = 1.0
# Folders of data sets that are no cameras of their own.
_SPLITS = {"train", "test", "val", "eval", "images"}
# Larger numbers, and those with decimals, are times.
_MOST_NUMBER = 10**8
# Decimals that would be those of a faster camera are frame numbers behind another number: 010.1001, 010.1002.
_FASTEST = 250.0


def frame_name(index: int) -> str:
    """The name of the picture of frame number `index`, from 0."""
    return f"frame_{index:05d}.png"


def in_order(names: Sequence[str]) -> tuple[list[int], tuple[str, ...]]:
    """The indices that sort `names`, numbers within them by value (frame_2 before frame_10), and a warning where plain
    alphabetical order would be another."""
    order = sorted(range(len(names)), key=lambda index: _parts(names[index]))
    if order == sorted(order, key=lambda index: names[index]):
        return order, ()
    return order, ("the frames follow the numbers in the pictures' names; alphabetical order would be another",)


def numbers_in(names: Sequence[str]) -> tuple[list[int] | None, Tensor | None]:
    """The frame number in each name, or else the time [F] in it; None where a name has neither, or two have the same.

    The number is the last one of the file's name without its ending. A date and a time of day are a time in seconds,
    unless they are those of photographs.
    """
    taken = [match for name in names if (match := _TAKEN.search(_stem(name))) is not None]
    if taken and len(taken) == len(names):
        return None, _seconds(taken)
    found = [_LAST_NUMBER.search(_stem(name)) for name in names]
    texts = [match[1] for match in found if match is not None]
    if len(texts) < len(names) or len({float(text) for text in texts}) < len(names):
        return None, None
    counted = _counted(texts)
    if counted is not None:
        return counted, None
    if any("." in text or int(text) > _MOST_NUMBER for text in texts):
        return None, torch.tensor([float(text) for text in texts], dtype=torch.float64)
    return [int(text) for text in texts], None


def _counted(texts: Sequence[str]) -> list[int] | None:
    """The frame numbers that the decimals of `texts` are, behind one number that all have; None where they are none."""
    parts = [text.partition(".") for text in texts]
    digits = len(parts[0][2]) if parts else 0
    if not digits or any((whole, len(decimals)) != (parts[0][0], digits) for whole, _, decimals in parts):
        return None
    numbers = [int(decimals) for _, _, decimals in parts]
    ordered = sorted(numbers)
    step = min((after - before for before, after in zip(ordered, ordered[1:], strict=False)), default=0)
    return numbers if 0 < step * _FASTEST < 10**digits else None


def _seconds(taken: Sequence[re.Match[str]]) -> Tensor | None:
    """The seconds [F], from midnight, at which pictures were taken; None where they are no film's."""
    rows = torch.tensor([[int(digits or 0) for digits in match.groups()] for match in taken], dtype=torch.float64)
    rows[:, 0] -= rows[:, 0].min()
    times = rows @ rows.new_tensor((86400.0, 3600.0, 60.0, 1.0, 1e-3))
    steps = times.sort().values.diff()
    film = bool((steps > 0.0).all()) and bool((steps <= _LONGEST_STEP).all())
    return times if film else None


def without_split(name: str) -> str:
    """A picture's name without the folders in which data sets part one clip (train, test)."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in _SPLITS)


def pattern_of(name: str) -> str:
    """A picture's name without its last number and ending: what the frames of one camera share (cam0/frame_)."""
    folder, _, file = name.replace("\\", "/").rpartition("/")
    stem = _stem(file)
    match = _LAST_NUMBER.search(stem)
    return f"{folder}/{stem[: match.start()] if match else stem}".lstrip("/")


def _stem(name: str) -> str:
    """The file's name without folder and ending (a time's decimals are no ending)."""
    file = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = file.rpartition(".")
    return stem if dot and not ending.isdigit() else file


def _parts(name: str) -> list[str | tuple[int, str]]:
    """Text and numbers by turns; a number sorts by how many digits it has, then by them."""
    parts = re.split(r"([0-9]+)", name)
    return [_size(part) if index % 2 else part for index, part in enumerate(parts)]


def _size(digits: str) -> tuple[int, str]:
    stripped = digits.lstrip("0")
    return len(stripped), stripped

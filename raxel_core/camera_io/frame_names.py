"""Pictures' names as the order of frames."""

from __future__ import annotations

import re
from collections.abc import Sequence


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


def _parts(name: str) -> list[str | tuple[int, str]]:
    """Text and numbers by turns; a number sorts by how many digits it has, then by them."""
    parts = re.split(r"([0-9]+)", name)
    return [_size(part) if index % 2 else part for index, part in enumerate(parts)]


def _size(digits: str) -> tuple[int, str]:
    stripped = digits.lstrip("0")
    return len(stripped), stripped

"""Weights as 8-bit integers in ComfyUI's layouts int8_tensorwise and int8_convrot: weight = code * scale.

There is one scale for all or one a row. Under ConvRot the channels of a row were first turned, in groups, by a regular
Hadamard matrix, which spreads values that stand out; it is symmetric and its own inverse, so that turning again turns
back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from ..strict_json import parse_object

INT8_NAME, INT8_FORMAT = "I8", "int8_tensorwise"
_REGULAR = ((1.0, 1.0, 1.0, -1.0), (1.0, 1.0, -1.0, 1.0), (1.0, -1.0, 1.0, 1.0), (-1.0, 1.0, 1.0, 1.0))
_GROUPS, _MOST_TURNED = (256, 64, 16, 4), 4096
_LARGEST = 127


@cache
def hadamard(size: int) -> Tensor:
    """The regular Hadamard matrix [size, size] of a power of 4, divided by its root."""
    made = torch.ones(1, 1)
    while len(made) < size:
        made = torch.kron(made, torch.tensor(_REGULAR) / 2.0)
    return made


def turned(rows: Tensor, size: int) -> Tensor:
    """float32 rows [R, channels], turned in groups of `size` channels, or as they are where that is 0."""
    return (rows.unflatten(1, (-1, size)) @ hadamard(size).to(rows)).flatten(1) if size else rows


def rotation_of(key: str, layout: Tensor | None, channels: int) -> int:
    """How many channels of the integer weight `key` were turned together, 0 for none, by its layer's JSON as bytes.

    Raises ValueError for another format than int8_tensorwise, and groups that do not divide its `channels`.
    """
    if layout is None:
        return 0
    said = parse_object(f"the layout of {key}", bytes(layout.tolist()))
    if said.get("format") != INT8_FORMAT:
        raise ValueError(f"{key} is stored as {str(said.get('format'))[:40]!r}, which is not read: {INT8_FORMAT} is")
    inner = said.get("params")
    said = {**(inner if isinstance(inner, dict) else {}), **said}
    if not said.get("convrot", False):
        return 0
    size = said.get("convrot_groupsize", _GROUPS[0])
    if not _is_group(size) or channels % size:
        found = f"{key} was turned in groups of {str(size)[:20]} channels"
        raise ValueError(f"{found}, a power of 4 that divides {channels} is expected")
    return size


def _is_group(size: object) -> bool:
    return type(size) is int and 1 < size <= _MOST_TURNED and 4 ** round(math.log(size, 4)) == size


def integer_layout(channels: int) -> tuple[int, bytes]:
    """The groups to turn rows of `channels` in, the largest of ConvRot's that divides them, and a layer's JSON."""
    size = next((size for size in _GROUPS if channels % size == 0), 0)
    convrot = {"convrot": True, "convrot_groupsize": size} if size else {}
    return size, json.dumps({"format": INT8_FORMAT, **convrot}).encode()


def integers(rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Codes [R, channels] and scales [R, 1] of float32 rows turned in groups of `size`, rounded to the nearest."""
    values = turned(rows, size)
    scale = (values.abs().amax(1, keepdim=True) / _LARGEST).clamp_min(torch.finfo(torch.float32).tiny)
    return (values / scale).round().to(torch.int8), scale


def whole_rows(pieces: Iterator[Tensor], channels: int) -> Iterator[Tensor]:
    """The flat `pieces` of a weight as whole rows [R, channels]."""
    rest = torch.empty(0)
    for piece in pieces:
        piece = torch.cat((rest, piece))
        whole = len(piece) // channels * channels
        if whole:
            yield piece[:whole].unflatten(0, (-1, channels))
        rest = piece[whole:]

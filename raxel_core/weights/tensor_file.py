"""Safetensors files as we write them: the header, and a file that is there whole or not at all.

safetensors' own writer leaves files of mode 0600, and hidden ones of a name of its own when it is killed. The format:
the header's length in 8 bytes, the header as JSON, the tensors' bytes side by side.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path

import torch
from torch import Tensor

from ..atomic_file import replacing
from .tensor_map import DTYPES

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_MARKED = 4096  # numbers of each tensor that a fingerprint is of: no training leaves them all


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """A short mark that tells the weights of one network from those of another, of whatever dtype and device."""
    mark = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        mark.update(f"{name} {list(tensor.shape)}".encode())
        mark.update(tensor.detach().reshape(-1)[:_MARKED].float().cpu().numpy().tobytes())
    return mark.hexdigest()[:16]


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write one safetensors file of `tensors` on any device; OSError that names `path` when it cannot be written."""
    # The widest first, as safetensors does, so that each tensor's place is a multiple of its element's size.
    ordered = dict(sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])))
    with replacing(path) as temporary, Path(temporary).open("wb", buffering=0) as file:
        write_all(file, torch.frombuffer(bytearray(header_bytes(ordered, metadata or {})), dtype=torch.uint8))
        for tensor in ordered.values():
            write_all(file, tensor)


def header_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The header, its length before it, of tensors that follow in this order; padded to a multiple of 8."""
    entries: dict[str, object] = {"__metadata__": {**metadata, "format": "pt"}}
    end = 0
    for key, tensor in tensors.items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        entries[key] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_all(file: FileIO, tensor: Tensor) -> None:
    """Write a tensor's bytes, however many calls the system takes for them; OSError."""
    if not tensor.numel():
        return
    rest = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    while rest:
        rest = rest[file.write(rest) :]

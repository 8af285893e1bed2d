"""Tensors that stay in their safetensors file until they are used: where each lies, and a map of the file's bytes.

safetensors' own map reserves memory for the whole file, and is refused where the file is larger than the memory; this
one reserves none. A tensor may be written to: its pages then become private, and the file stays as it is.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

# Linux's MAP_NORESERVE, which Python names from 3.13 on; other systems reserve nothing for a private map.
_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class TensorInfo:
    """What a header says of one tensor: safetensors' dtype name, the shape, and its bytes' place in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def check_places(name: str, tensors: Mapping[str, TensorInfo], begin: int, size: int) -> None:
    """ValueError unless the tensors of the file `name` fill its bytes from `begin` to `size` side by side."""
    at = begin
    for key, info in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        expected = prod(info.shape) * DTYPES[info.dtype].itemsize if info.dtype in DTYPES else info.end - info.start
        if info.start != at or info.end - info.start != expected:
            raise ValueError(
                f"{name} cannot be read as safetensors: {key[:80]!r} takes the bytes {info.start} to {info.end}, "
                f"expected {at} to {at + expected}"
            )
        at = info.end
    if at != size:
        raise ValueError(f"{name} cannot be read as safetensors: its tensors end at byte {at} of {size}")


def map_tensors(path: Path, tensors: Mapping[str, TensorInfo]) -> dict[str, Tensor]:
    """The tensors of a file, in its memory map; `tensors` is its header's list or a part of it, checked.

    Raises ValueError naming a dtype that PyTorch has not, and OSError.
    """
    foreign = [key for key, info in tensors.items() if info.dtype not in DTYPES]
    if foreign:
        key, dtype = foreign[0], tensors[foreign[0]].dtype
        raise ValueError(f"{path.name}: {key[:80]!r} has dtype {dtype[:20]!r}, which is not read")
    with path.open("rb") as file:
        if sys.platform == "win32":
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        else:
            pages = mmap.PROT_READ | mmap.PROT_WRITE
            mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE | _NO_RESERVE, prot=pages)
    return {key: _view(mapped, info) for key, info in tensors.items()}


def _view(mapped: mmap.mmap, info: TensorInfo) -> Tensor:
    dtype, count = DTYPES[info.dtype], prod(info.shape)
    if not count:
        return torch.empty(info.shape, dtype=dtype)
    if info.start % dtype.itemsize:  # safetensors' own writer aligns them, others may not
        data = torch.frombuffer(mapped, dtype=torch.uint8, count=info.end - info.start, offset=info.start)
        return data.clone().view(dtype).view(info.shape)
    return torch.frombuffer(mapped, dtype=dtype, count=count, offset=info.start).view(info.shape)

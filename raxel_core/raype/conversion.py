"""A Wan expert with RayPE, as it is released in shards, made one file for ComfyUI, or a small file of RayPE alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from ..model.config import WAN_14B
from ..weights.checkpoint import merged_header
from ..weights.conversion import (
    TARGET_DTYPES,
    Conversion,
    TensorSource,
    checked_dtype,
    checked_target,
    source_files,
    source_fingerprint,
)
from ..weights.quantization import quantize
from ..weights.state_dict import expected_shapes, to_wan
from ..weights.streaming import Pieces, Progress, write_streamed
from ..weights.wan_layouts import PREFIXES, StoredTensor, stored_tensor
from .checkpoint import is_mark, load_raype
from .encoding import WEIGHT_KEY, RayPEConfig

# The folder of the release that holds the expert that was trained.
TRAINED_EXPERT = "high_noise_model"
# What Wan 2.1's image-to-video models have beside the text-to-video model's weights; Wan 2.2's have nothing.
_IMAGE_KEY = re.compile(r"img_emb\..+|blocks\.\d+\.cross_attn\.(?:[kv]_img\.(?:weight|bias)|norm_k_img\.weight)")


def join_expert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    quantization: str | None = None,
    shard_bytes: int | None = None,
    progress: Progress | None = None,
) -> Conversion[RayPEConfig]:
    """Write the Wan model with RayPE of `source` as the one file `target`, in Wan's names, for ComfyUI.

    `source` is the release's folder or that of its high-noise expert, an index of shards or a file. Each tensor keeps
    its bits where `dtype` is None (fp8 without scales becomes bfloat16), but the blocks' weights where `quantization`
    is one of `quantization.METHODS`. Files and resuming are as in `streaming.write_streamed`. Raises ValueError in one
    sentence for anything but a whole Wan 2.1 or 2.2 model with trained RayPE weights, FileNotFoundError, and
    OSError when `target` cannot be written.
    """
    return _convert(
        source,
        target,
        _of_the_expert,
        dtype=dtype,
        quantization=quantization,
        shard_bytes=shard_bytes,
        progress=progress,
    )


def extract_raype(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    shard_bytes: int | None = None,
    progress: Progress | None = None,
) -> Conversion[RayPEConfig]:
    """Write RayPE alone, with the two small tensors by which its expert is known, as `join_expert` writes it all."""
    return _convert(source, target, _of_raype, dtype=dtype, shard_bytes=shard_bytes, progress=progress)


def _convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    chosen: Callable[[Mapping[str, StoredTensor], int, str], dict[str, StoredTensor]],
    *,
    dtype: torch.dtype | None,
    quantization: str | None = None,
    shard_bytes: int | None,
    progress: Progress | None,
) -> Conversion[RayPEConfig]:
    source = Path(source)
    source = source / TRAINED_EXPERT if (source / TRAINED_EXPERT).is_dir() else source
    files = source_files(source)
    path, config = checked_target(Path(target), files), load_raype(source).model.config
    tensors = merged_header(files).tensors
    found = {_official(key): stored_tensor(key, tensors, None, files[0].name) for key in tensors}
    stored = chosen(found, config.layers, files[0].name)
    meta, pieces = _planned(stored, TensorSource(files), dtype, quantization)
    written = write_streamed(
        path, meta, pieces, metadata={}, origin=source_fingerprint(files), shard_bytes=shard_bytes, progress=progress
    )
    largest = max(stored.values(), key=lambda tensor: prod(tensor.shape))
    return Conversion(written, "Wan's names with RayPE", config, _written(largest, dtype), len(meta))


def _planned(
    stored: Mapping[str, StoredTensor], reader: TensorSource, dtype: torch.dtype | None, quantization: str | None
) -> tuple[dict[str, Tensor], Pieces]:
    """The tensors to write (on the meta device), the largest elements first as readers that map a file need it, and
    their pieces."""
    # An old alpha has no dimension; one number has one.
    shapes = {name: tensor.shape or (1,) for name, tensor in stored.items()}
    meta = {name: torch.empty(shapes[name], dtype=_written(stored[name], dtype), device="meta") for name in stored}
    meta = dict(sorted(meta.items(), key=lambda item: -item[1].element_size()))
    if quantization is not None:
        return quantize(meta, lambda name, kind: reader.pieces(stored[name], kind), quantization)
    return meta, lambda name: reader.pieces(stored[name], meta[name].dtype)


def _of_the_expert(found: Mapping[str, StoredTensor], layers: int, what: str) -> dict[str, StoredTensor]:
    """All tensors; ValueError when they are not those of a whole Wan model of `layers` blocks and RayPE."""
    wan = {name for name in found if not WEIGHT_KEY.fullmatch(name)}
    expected = set(to_wan(expected_shapes(replace(WAN_14B, layers=layers))))
    surplus = {name for name in wan - expected if not _IMAGE_KEY.fullmatch(name)}
    for kind, names in (("lacks", expected - wan), ("also holds", surplus)):
        if names:
            listed = ", ".join(name[:80] for name in sorted(names)[:5])
            raise ValueError(f"{what} is not a whole Wan model with RayPE: it {kind} {listed} ({len(names)} tensors)")
    return dict(found)


def _of_raype(found: Mapping[str, StoredTensor], layers: int, what: str) -> dict[str, StoredTensor]:
    return {name: tensor for name, tensor in found.items() if WEIGHT_KEY.fullmatch(name) or is_mark(name)}


def _official(key: str) -> str:
    """Wan's own name of a key."""
    prefix = next((prefix for prefix in PREFIXES if key.startswith(prefix)), "")
    return key.removeprefix(prefix)


def _written(tensor: StoredTensor, dtype: torch.dtype | None) -> torch.dtype:
    """The dtype asked for, or a tensor's own where weights are written in it, bfloat16 for fp8."""
    return checked_dtype(dtype, tensor.dtype if tensor.dtype in TARGET_DTYPES else torch.bfloat16)

"""Wan 2.1 T2V's weights made a raxel checkpoint, and its video half made Wan's again, tensor by tensor.

Read and written in pieces of 16 MB or less, so that the model's size does not matter. Each value is checked on its way.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ..model.config import RaxelConfig
from ..strict_json import parse_object
from .checkpoint import (
    CONFIG_KEY,
    FORMAT,
    FORMAT_KEY,
    PICKLED,
    RESERVED,
    SET_KEY,
    Header,
    _check_tensors,
    _config_of,
    checkpoint_files,
    file_header,
    merged_header,
)
from .integer_weights import INT8_NAME, rotation_of
from .quantization import (
    FP8_NAMES,
    FP8_SCALED,
    Values,
    dequantized,
    format_key,
    quantize,
    weights_and_scales,
)
from .state_dict import expected_shapes, initial_fill, ray_source, to_wan
from .streaming import Pieces, Progress, write_streamed
from .tensor_map import map_tensors
from .wan_layouts import StoredTensor, WanLayout, recognize, stored_tensor

PIECE = 1 << 22  # elements: C's allocator keeps blocks of this size, larger ones are fetched and cleared each time
TARGET_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
MAX_CONFIG_BYTES = 1_000_000
SHARD_NAME = re.compile(r"-\d{5}-of-\d{5}\.safetensors$")

Config = TypeVar("Config")


@dataclass(frozen=True)
class Conversion(Generic[Config]):
    """What was converted: the file to load, the layout found, the configuration, the dtype and number of tensors."""

    path: Path
    layout: str
    config: Config
    dtype: torch.dtype
    tensors: int


class TensorSource:
    """The tensors of a set of files. Each is mapped anew, so that no pages of an earlier one stay in memory."""

    def __init__(self, files: list[Path]) -> None:
        self.places = {key: (file, info) for file in files for key, info in file_header(file).tensors.items()}

    def tensor(self, key: str) -> Tensor:
        """The tensor of that key, mapped from its file."""
        path, info = self.places[key]
        return map_tensors(path, {key: info})[key]

    def pieces(self, stored: StoredTensor, dtype: torch.dtype) -> Iterator[Tensor]:
        """A tensor's flat pieces in `dtype`, dequantised; ValueError names it when it holds NaN or infinity."""
        for values in self._values(stored):
            converted = values.to(dtype)
            if not _is_finite(converted):
                where = f"{self.places[stored.key][0].name}: {stored.key}"
                if _is_finite(values.float()):
                    raise ValueError(f"{where} holds values too large for {dtype}; choose another dtype")
                raise ValueError(f"{where} holds NaN or infinity")
            yield converted

    def _values(self, stored: StoredTensor) -> Iterator[Tensor]:
        """A tensor's flat pieces as they stand for, in the file's dtype or, dequantised, in float32."""
        tensor = self.tensor(stored.key)
        if stored.scale is None:
            yield from tensor.flatten().split(PIECE)
            return
        scale = self.tensor(stored.scale)
        if tensor.dtype != torch.int8:
            yield from (dequantized(piece, scale) for piece in tensor.flatten().split(PIECE))
            return
        layout = self.tensor(format_key(stored.key)) if format_key(stored.key) in self.places else None
        rotation, rows = rotation_of(stored.key, layout, tensor.shape[1]), max(1, PIECE // tensor.shape[1])
        scales = scale.reshape(-1).expand(len(tensor)).split(rows)
        for part, of_rows in zip(tensor.split(rows), scales, strict=True):
            yield dequantized(part, of_rows, rotation).flatten()


def convert_wan(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    quantization: str | None = None,
    shard_bytes: int | None = None,
    metadata: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Conversion[RaxelConfig]:
    """Write the raxel checkpoint `target` that starts from the Wan 2.1 T2V weights of `source`.

    `source` is a safetensors file, an index of shards, or a folder of them: Wan's own, ComfyUI's or diffusers' (see
    `wan_layouts`). The ray branch starts as copies of the video's layers with its gates at zero, so that the video
    stream is Wan's. `dtype` is that of all tensors (the source's own; bfloat16 for fp8), but of the blocks' weights
    where `quantization` is one of `quantization.METHODS`. `metadata` is kept in the header. Files and resuming are
    as in `streaming.write_streamed`.
    Raises ValueError in one sentence for a source that is not whole Wan 2.1 T2V weights, FileNotFoundError, and
    OSError when `target` cannot be written.
    """
    files = source_files(Path(source))
    header = merged_header(files)
    reader = TensorSource(files)
    layout = recognize(header, files[0].name, model_config=_published_config(Path(source), files))
    dtype = checked_dtype(dtype, layout.dtype)
    shapes = expected_shapes(layout.config)
    free = {**_checked(metadata), CONFIG_KEY: layout.config.to_json(), FORMAT_KEY: FORMAT}

    # A tensor of the ray branch is a copy of its video counterpart's pieces; gates and modality vectors have none.
    def values(key: str, dtype: torch.dtype) -> Iterator[Tensor]:
        stored = _start(key, layout)
        if stored is not None:
            return reader.pieces(stored, dtype)
        return iter([torch.full((shapes[key].numel(),), initial_fill(key), dtype=dtype)])

    meta, pieces = _planned(shapes, values, dtype, quantization, header, files[0])
    path = write_streamed(
        checked_target(Path(target), files),
        meta,
        pieces,
        metadata=free,
        origin=source_fingerprint(files),
        shard_bytes=shard_bytes,
        progress=progress,
    )
    return Conversion(path, layout.name, layout.config, dtype, len(meta))


def quantize_checkpoint(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    quantization: str = FP8_SCALED,
    shard_bytes: int | None = None,
    progress: Progress | None = None,
) -> Conversion[RaxelConfig]:
    """Write the raxel checkpoint `source` with the blocks' weights quantised and all else in `dtype` (its own).

    Its configuration and metadata are kept. Raises as `convert_wan` does, and ValueError where it is quantised already.
    """
    files = source_files(Path(source))
    header = merged_header(files)
    reader = TensorSource(files)
    # A checkpoint of ours carries its own configuration, so that nothing is recognised by shapes here.
    config, stored = _stored(header, files[0])
    dtype = checked_dtype(dtype, stored["patch_embedding.weight"].dtype)
    shapes = {key: torch.Size(tensor.shape) for key, tensor in stored.items()}
    meta, pieces = _planned(
        shapes, lambda key, kind: reader.pieces(stored[key], kind), dtype, quantization, header, files[0]
    )
    path = write_streamed(
        checked_target(Path(target), files),
        meta,
        pieces,
        metadata={key: value for key, value in header.metadata.items() if key not in (SET_KEY, "format")},
        origin=source_fingerprint(files),
        shard_bytes=shard_bytes,
        progress=progress,
    )
    return Conversion(path, "raxel", config, dtype, len(meta))


def is_raxel(source: str | os.PathLike[str]) -> bool:
    """Whether `source`, as `convert_wan` takes it, is a raxel checkpoint; raises for what is no safetensors file."""
    return CONFIG_KEY in merged_header(source_files(Path(source))).metadata


def extract_wan(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    shard_bytes: int | None = None,
    progress: Progress | None = None,
) -> Conversion[RaxelConfig]:
    """Write the video half of the raxel checkpoint `source` under Wan's official names; the inverse of `convert_wan`.

    Bit by bit what was converted, where the dtype is the same. Raises as `convert_wan` does.
    """
    files = source_files(Path(source))
    header = merged_header(files)
    reader = TensorSource(files)
    config, stored = _stored(header, files[0])
    if config.text_dim is None:
        raise ValueError(f"{files[0].name} has no text layers, so its video half is not a Wan 2.1 T2V model")
    official = to_wan(stored)
    dtype = checked_dtype(dtype, official["head.head.weight"].dtype)
    meta = {key: torch.empty(tensor.shape, dtype=dtype, device="meta") for key, tensor in official.items()}
    path = write_streamed(
        checked_target(Path(target), files),
        meta,
        lambda key: reader.pieces(official[key], dtype),
        metadata={},
        origin=source_fingerprint(files),
        shard_bytes=shard_bytes,
        progress=progress,
    )
    return Conversion(path, "raxel", config, dtype, len(meta))


def _stored(header: Header, file: Path) -> tuple[RaxelConfig, dict[str, StoredTensor]]:
    """The configuration of a raxel checkpoint, and where each of its tensors is stored; ValueError when it is none."""
    config = _config_of(header, file)
    weights, scales = weights_and_scales(header.tensors, file.name)
    shapes = expected_shapes(config)
    _check_tensors(Header(header.metadata, weights), shapes, file)
    return config, {key: stored_tensor(key, header.tensors, scales.get(key), file.name) for key in shapes}


def _planned(
    shapes: Mapping[str, torch.Size],
    values: Values,
    dtype: torch.dtype,
    quantization: str | None,
    header: Header,
    file: Path,
) -> tuple[dict[str, Tensor], Pieces]:
    """The tensors to write (on the meta device) and their pieces, quantised if asked; ValueError if already so."""
    meta = {key: torch.empty(shape, dtype=dtype, device="meta") for key, shape in shapes.items()}
    if quantization is None:
        return meta, lambda key: values(key, dtype)
    if any(info.dtype in (*FP8_NAMES, INT8_NAME) for info in header.tensors.values()):
        raise ValueError(f"{file.name} holds 8-bit weights already: quantise the original of 16 or 32 bits")
    return quantize(meta, values, quantization)


def _start(key: str, layout: WanLayout) -> StoredTensor | None:
    """What a tensor of the raxel model starts as a copy of; None where it is filled."""
    if key in layout.stored:
        return layout.stored[key]
    origin = ray_source(key)
    return None if origin is None else layout.stored.get(origin)


def _is_finite(piece: Tensor) -> bool:
    """Whether all values are; the least and the largest tell it in one pass, since NaN comes through both."""
    least, largest = torch.aminmax(piece)
    return bool(torch.isfinite(least) & torch.isfinite(largest))


def source_files(path: Path) -> list[Path]:
    """The safetensors files of a source: a file, an index, a folder, or the `transformer` folder of a pipeline."""
    if (path / "model_index.json").is_file() and (path / "transformer").is_dir():
        path = path / "transformer"
    if path.is_dir() and not list(path.glob("*.safetensors*")):
        pickled = sorted(file.name for file in path.iterdir() if file.suffix.lower() in PICKLED)
        if pickled:
            raise ValueError(f"{path} holds {pickled[0]}, which can run code when opened, and no .safetensors file")
    if SHARD_NAME.search(path.name):
        raise ValueError(f"{path.name} is one shard of a set; give the folder or the index")
    return checkpoint_files(path)


def _published_config(source: Path, files: list[Path]) -> dict[str, object]:
    """The `config.json` published with the weights of a folder or an index; empty where there is none."""
    path = files[0].with_name("config.json")
    if source.suffix == ".safetensors" or not path.is_file() or path.stat().st_size > MAX_CONFIG_BYTES:
        return {}
    return parse_object(str(path), path.read_bytes())


def source_fingerprint(files: list[Path]) -> list[list[object]]:
    """What tells one source from another: names, sizes and times of change."""
    return [[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def checked_dtype(asked: torch.dtype | None, own: torch.dtype) -> torch.dtype:
    """The dtype to write, `own` where none is asked for; ValueError for one that weights are not written in."""
    dtype = own if asked is None else asked
    if dtype not in TARGET_DTYPES:
        raise ValueError(f"weights are written in float32, bfloat16 or float16, not {dtype}")
    return dtype


def _checked(metadata: Mapping[str, str] | None) -> dict[str, str]:
    free = dict(metadata or {})
    clash = sorted(set(free) & set(RESERVED))
    if clash:
        raise ValueError(f"metadata {', '.join(clash)} is reserved")
    return free


def checked_target(path: Path, files: list[Path]) -> Path:
    """The target, after a check that it is a safetensors file and that no source is written over."""
    if path.suffix != ".safetensors" or path.is_dir():
        raise ValueError(f"a checkpoint's name must end in .safetensors, not {path.name!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    own = path.stem
    for file in files:
        beside = file.parent.resolve() == path.parent.resolve()
        if beside and (file.name == path.name or file.name.startswith(f"{own}-0")):
            raise ValueError(f"{path} is the input, so the result cannot be written there; choose another name")
    return path

"""Checkpoints that describe themselves: safetensors with the configuration in the header.

A checkpoint is one `.safetensors` file, or a set of shards with an `.index.json` beside them. Each header's metadata
holds `raxel_config` (JSON) and `raxel_format` (version) beside free entries. Nothing else is read: other formats can
run code when they are opened.
"""

from __future__ import annotations

import gc
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from ..atomic_file import write_text
from ..model.attention import Attention, attend
from ..model.config import RaxelConfig
from ..model.transformer import RaxelTransformer
from ..strict_json import parse_object, printable, shown
from .integer_weights import INT8_NAME, rotation_of
from .quantization import dequantized, format_key, weights_and_scales
from .tensor_file import write_tensors
from .tensor_map import TensorInfo, check_places, map_tensors

FORMAT = "1"
CONFIG_KEY, FORMAT_KEY, SET_KEY = "raxel_config", "raxel_format", "raxel_set"
RESERVED = (CONFIG_KEY, FORMAT_KEY, SET_KEY, "format")
INDEX_SUFFIX = ".safetensors.index.json"
_MOST_AXES, _BEYOND_64_BITS = 64, 2**63
_LONGEST_NAME = 255  # bytes, of a file on any system
_LONGEST_KEY, _DTYPE = 500, re.compile(r"[A-Z][A-Z0-9_]{0,15}", re.ASCII)  # safetensors names: F32, F8_E4M3
MAX_HEADER_BYTES = 16_000_000  # a model of 40 layers has 0.2 MB; parsing takes ten times a header's size
WEIGHT_DTYPES = ("F32", "F16", "BF16", "F64", "F8_E4M3", "F8_E5M2")
PICKLED = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")
FOREIGN_STARTS = (
    (b"PK\x03\x04", "a zip archive (a renamed PyTorch file?)"),
    (b"GGUF", "a GGUF file"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
)
# Architectures by fragments that all occur among the keys; the first that fits is named.
ARCHITECTURES = (
    ("a LoRA", ("lora_A.",)),
    ("a LoRA", ("lora_down.",)),
    ("a LoRA", (".diff_b",)),
    ("a Wan model with RayPE", ("blocks.0.self_attn.q.", ".self_attn.plucker_pe.")),
    ("RayPE weights, which a stock Wan model takes as they are", (".self_attn.plucker_pe.",)),
    ("a raxel model without its configuration", ("video_head.modulation", "ray_head.modulation")),
    ("Wan I2V", ("blocks.0.self_attn.q.", "head.modulation", "img_emb.")),
    ("Wan Fun-Camera", ("blocks.0.self_attn.q.", "head.modulation", "control_adapter.")),
    ("Wan VACE", ("blocks.0.self_attn.q.", "head.modulation", "vace_blocks.0.")),
    ("Wan Animate", ("blocks.0.self_attn.q.", "head.modulation", "face_adapter.")),
    ("Wan S2V", ("blocks.0.self_attn.q.", "head.modulation", "casual_audio_encoder.")),
    ("plain Wan, which has to be converted first", ("blocks.0.self_attn.q.", "head.modulation")),
    ("Wan I2V", ("blocks.0.attn1.", "condition_embedder.image_embedder.")),
    ("Wan VACE", ("blocks.0.attn1.", "condition_embedder.", "vace_blocks.0.")),
    ("Wan in diffusers' naming", ("blocks.0.attn1.", "condition_embedder.time_embedder.")),
    ("LTX-Video", ("transformer_blocks.0.attn1.", "adaln_single.")),
    ("HunyuanVideo", ("double_blocks.0.", "txt_in.individual_token_refiner.")),
    ("Flux", ("double_blocks.0.img_attn.",)),
    ("Stable Diffusion 3", ("joint_blocks.0.",)),
    ("a Stable Diffusion UNet", ("input_blocks.0.0.", "middle_block.")),
    ("a Stable Diffusion UNet in diffusers' naming", ("down_blocks.0.resnets.0.", "mid_block.", "time_embedding.")),
    ("a Wan VAE", ("decoder.head.0.gamma", "encoder.conv1.")),
    ("a VAE", ("decoder.conv_in.", "encoder.conv_in.")),
    ("a T5 text encoder", ("encoder.block.0.layer.0.SelfAttention.",)),
    ("a UMT5 text encoder", ("blocks.0.attn.", "token_embedding.")),
    ("a CLIP text encoder", ("text_model.encoder.layers.0.",)),
)


@dataclass(frozen=True)
class Header:
    """A safetensors header, or the union of those of a set of shards."""

    metadata: dict[str, str]
    tensors: dict[str, TensorInfo]


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A model with its configuration and the free metadata of its file."""

    model: RaxelTransformer
    config: RaxelConfig
    metadata: dict[str, str]


class _UnfilledLayers:
    """PyTorch's layers without their random start, which takes most of the time of building a large model on meta."""

    class Linear(nn.Linear):
        def reset_parameters(self) -> None:
            """The checkpoint's tensors take their places."""

    class Conv3d(nn.Conv3d):
        def reset_parameters(self) -> None:
            """As above."""

    class LayerNorm(nn.LayerNorm):
        def reset_parameters(self) -> None:
            """As above."""

    class RMSNorm(nn.RMSNorm):
        def reset_parameters(self) -> None:
            """As above."""


def load_checkpoint(
    path: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    operations: Any = nn,
    attention: Attention = attend,
) -> LoadedCheckpoint:
    """The model of a checkpoint: a `.safetensors` file, an `.index.json`, or a folder that holds one of them.

    Built on the meta device and filled by assignment, so that on a CPU the weights stay mapped from the file until
    they are used; `dtype` converts them one by one, and quantised ones (see `quantization`) get the dtype of the
    others. Raises FileNotFoundError for a missing file and ValueError, in one sentence, for everything that is not a
    whole raxel checkpoint.
    """
    files = checkpoint_files(Path(path))
    with _no_collection():
        headers = {file: file_header(file) for file in files}
        header = _merged(headers)
        config = _config_of(header, files[0])
        layers = _UnfilledLayers if operations is nn else operations
        try:
            model = _empty_model(config, operations=layers, attention=attention, dtype=dtype)
        except RuntimeError as error:
            raise ValueError(f"{files[0].name} claims tensors beyond any memory: {error}") from error
        places = _parameter_places(model)
        weights, scales = weights_and_scales(header.tensors, files[0].name)
        held = Header(header.metadata, weights)
        _check_tensors(held, {key: shape for key, (_, _, shape) in places.items()}, files[0])
        _check_dtypes(held, files[0], scales)
        tensors = dict(_read_tensors(headers))
        # Quantised weights come back in the dtype of the layers that were left as they are.
        plain = next((tensor.dtype for key, tensor in tensors.items() if key in places and key not in scales), None)
        for key, (module, name, _) in places.items():
            tensor = tensors[key].to(device)
            if key in scales:
                layout = tensors.get(format_key(key)) if tensor.dtype == torch.int8 else None
                turned = rotation_of(key, layout, tensor.shape[-1])
                tensor = dequantized(tensor, tensors[scales[key]].to(device), turned).to(plain)
            module._parameters[name] = nn.Parameter(tensor.to(dtype=dtype))
    model.dtype = next(model.parameters()).dtype
    free = {key: value for key, value in header.metadata.items() if key not in RESERVED}
    return LoadedCheckpoint(model, config, free)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Metadata and tensor names, dtypes and shapes of a checkpoint (or of any safetensors file); reads no tensor."""
    return merged_header(checkpoint_files(Path(path)))


def map_checkpoint(files: Sequence[Path]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a checkpoint's file or shards, mapped from them, and its metadata.

    Raises ValueError, in one sentence, for files that are damaged or no shards of one set, and FileNotFoundError.
    """
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"the checkpoint {files[0].name} lacks its file {file.name}")
    headers = {file: file_header(file) for file in files}
    return dict(_read_tensors(headers)), _merged(headers).metadata


def save_checkpoint(
    path: str | os.PathLike[str],
    model: RaxelTransformer | Mapping[str, Tensor],
    config: RaxelConfig,
    *,
    metadata: Mapping[str, str] | None = None,
    shard_bytes: int | None = None,
) -> Path:
    """Write a checkpoint so that `path` holds either the old one or the new one whole, whatever happens.

    `path` ends in `.safetensors`. With `shard_bytes` a larger model becomes `NAME-00001-of-0000N.safetensors` and
    `NAME.safetensors.index.json`. Returns the file to load. Raises ValueError for a wrong suffix or reserved metadata.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"a checkpoint's name must end in .safetensors, not {path.name!r}")
    free = dict(metadata or {})
    clash = sorted(set(free) & set(RESERVED))
    if clash:
        raise ValueError(f"metadata {', '.join(clash)} is reserved")
    tensors = model.state_dict() if isinstance(model, nn.Module) else model
    free |= {CONFIG_KEY: config.to_json(), FORMAT_KEY: FORMAT}
    shards = split_into_shards(tensors, shard_bytes)
    if len(shards) == 1:
        write_tensors(path, _held(tensors, shards[0]), free)
        return path
    return _save_set(path, tensors, shards, free)


def checkpoint_files(path: Path) -> list[Path]:
    """The safetensors files a file, an index or a folder stands for, in the order of the index.

    Raises ValueError or FileNotFoundError where there are none.
    """
    if path.suffix.lower() in PICKLED:
        raise ValueError(f"{path.name} is refused: {path.suffix} files can run code when opened; use .safetensors")
    if path.is_dir():
        found = sorted(path.glob("*" + INDEX_SUFFIX)) or sorted(path.glob("*.safetensors"))
        if len(found) != 1:
            raise ValueError(f"{path} holds {len(found)} checkpoints, expected one .safetensors file or index")
        path = found[0]
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    if path.name.endswith(INDEX_SUFFIX):
        return _files_of_index(path)
    if path.suffix.lower() != ".safetensors":
        raise ValueError(f"{path.name} is not a .safetensors file or an {INDEX_SUFFIX}")
    return [path]


def _files_of_index(path: Path) -> list[Path]:
    if path.stat().st_size > MAX_HEADER_BYTES:
        raise ValueError(f"the index {path.name} of {path.stat().st_size} bytes is over {MAX_HEADER_BYTES}")
    index = parse_object(f"the index {path.name}", path.read_bytes())
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"the index {path.name} has no weight_map")
    for name in weight_map.values():
        if not _is_file_beside(name):
            raise ValueError(f"the index {path.name} names {shown(name)}, which is not a .safetensors file beside it")
        if not (path.parent / name).is_file():
            raise FileNotFoundError(f"the index {path.name} names {printable(name, 80)}, which is missing")
    files = [path.parent / name for name in dict.fromkeys(weight_map.values())]
    held = {key for file in files for key in file_header(file).tensors}
    check_same_keys(set(weight_map), held, f"the shards of {path.name}", {})
    return files


def _is_file_beside(name: object) -> bool:
    """Whether an index's value is the name of a safetensors file in its own folder."""
    if not isinstance(name, str) or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        return False
    return name.endswith(".safetensors") and Path(name).name == name and "\\" not in name


def merged_header(files: list[Path]) -> Header:
    """The header of a file, or of all shards of a set together; ValueError, in one sentence, where it is damaged."""
    return _merged({file: file_header(file) for file in files})


def _merged(headers: Mapping[Path, Header]) -> Header:
    """The union of the headers of a set of shards; ValueError when they are not of one set."""
    files = list(headers)
    first = headers[files[0]]
    tensors = dict(first.tensors)
    for file in files[1:]:
        header = headers[file]
        doubled = sorted(set(tensors) & set(header.tensors))
        if doubled:
            raise ValueError(f"{file.name} repeats tensors of an earlier shard: {_listed(doubled)}")
        for key in (CONFIG_KEY, FORMAT_KEY, SET_KEY):
            if header.metadata.get(key) != first.metadata.get(key):
                raise ValueError(f"{file.name} and {files[0].name} are shards of different checkpoints ({key} differs)")
        tensors |= header.tensors
    return Header(first.metadata, tensors)


def file_header(path: Path) -> Header:
    """The header of one file, its sizes checked before anything of that size is read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(32)
        for magic, kind in FOREIGN_STARTS:
            if start.startswith(magic):
                raise ValueError(f"{path.name} is not a safetensors file but {kind}")
        if size < 8:
            raise ValueError(f"{path.name} is truncated: {size} bytes, a safetensors file has at least 8")
        length = int.from_bytes(start[:8], "little")
        if length > MAX_HEADER_BYTES:
            raise ValueError(f"{path.name} claims a header of {length} bytes, over the limit of {MAX_HEADER_BYTES}")
        if length > size - 8:
            raise ValueError(f"{path.name} is truncated: its header takes {length} bytes, the file has {size}")
        file.seek(8)
        entries = parse_object(f"the header of {path.name}", file.read(length))
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"the metadata of {path.name} must map names to strings")
    begin = 8 + length
    tensors = {key: _tensor_info(key, entry, path, begin, size) for key, entry in entries.items()}
    check_places(path.name, tensors, begin, size)
    return Header(metadata, tensors)


def _tensor_info(key: str, entry: object, path: Path, begin: int, size: int) -> TensorInfo:
    fields = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = (fields.get(name) for name in ("dtype", "shape", "data_offsets"))
    named = key.isprintable() and len(key) <= _LONGEST_KEY
    if not named or not _is_dtype(dtype) or not _is_shape(shape) or not _are_offsets(offsets):
        raise ValueError(f"the header of {path.name} does not describe {key[:80]!r} as a tensor")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"the header of {path.name} gives {key[:80]!r} the offsets {offsets[:3]}")
    if offsets[1] > size - begin:
        raise ValueError(f"{path.name} is truncated: {key[:80]!r} ends at byte {offsets[1]} of {size - begin}")
    return TensorInfo(str(dtype), tuple(shape), begin + offsets[0], begin + offsets[1])


def _is_dtype(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _DTYPE.fullmatch(value) is not None


def _is_shape(value: object) -> TypeGuard[list[int]]:
    """Whether a JSON value is a list of sizes whose product, zeros left out, a tensor can have."""
    return _whole_numbers(value) and len(value) <= _MOST_AXES and prod(n or 1 for n in value) < _BEYOND_64_BITS


def _are_offsets(value: object) -> TypeGuard[list[int]]:
    return _whole_numbers(value) and max(value, default=0) < _BEYOND_64_BITS


def _whole_numbers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and {*map(type, value)} <= {int} and min(value, default=0) >= 0


def config_from_json(text: str) -> RaxelConfig:
    """The configuration that stands in a header under `raxel_config`; ValueError in one sentence when it is none."""
    return RaxelConfig.from_values(parse_object("the model configuration", text))


def _config_of(header: Header, path: Path) -> RaxelConfig:
    if CONFIG_KEY not in header.metadata:
        raise ValueError(f"{path.name} is not a raxel checkpoint: it looks like {architecture_of(header.tensors)}")
    version = header.metadata.get(FORMAT_KEY)
    if version != FORMAT:
        raise ValueError(f"{path.name} has checkpoint format {printable(version, 20)}, this version reads {FORMAT}")
    config = config_from_json(header.metadata[CONFIG_KEY])
    if config.layers > len(header.tensors):
        raise ValueError(f"{path.name} claims {config.layers} layers but holds {len(header.tensors)} tensors")
    return config


def architecture_of(tensors: Mapping[str, TensorInfo]) -> str:
    """What a state dict looks like, by its keys."""
    if not tensors:
        return "an empty file"
    for name, fragments in ARCHITECTURES:
        if all(any(fragment in key for key in tensors) for fragment in fragments):
            return name
    return f"an architecture unknown here (its first key is {next(iter(tensors))[:80]!r})"


def _check_tensors(header: Header, expected: Mapping[str, torch.Size], path: Path) -> None:
    check_same_keys(set(expected), set(header.tensors), path.name, header.tensors)
    for key, size in expected.items():
        shape = header.tensors[key].shape
        if shape != tuple(size):
            raise ValueError(f"{path.name}: {key} has shape {shape}, its configuration expects {tuple(size)}")


def _check_dtypes(header: Header, path: Path, scales: Mapping[str, str]) -> None:
    for key, info in header.tensors.items():
        if info.dtype not in WEIGHT_DTYPES and not (info.dtype == INT8_NAME and key in scales):
            found = f"{printable(key, 80)} has dtype {printable(info.dtype, 20)}"
            raise ValueError(f"{path.name}: {found}, a weight's is {', '.join(WEIGHT_DTYPES)}")


def check_same_keys(expected: set[str], held: set[str], what: str, tensors: Mapping[str, TensorInfo]) -> None:
    """ValueError, with the first five names, where `what` holds other keys than expected; `tensors` tell its kind."""
    missing, surplus = sorted(expected - held), sorted(held - expected)
    if not missing and not surplus:
        return
    parts = [
        f"{len(keys)} {kind} ({_listed(keys)})" for kind, keys in (("missing", missing), ("surplus", surplus)) if keys
    ]
    looks = f"; it looks like {architecture_of(tensors)}" if tensors and len(missing) > len(expected) // 2 else ""
    raise ValueError(f"{what} does not hold the tensors it should: {', '.join(parts)}{looks}")


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(printable(key, 80) for key in keys[:5])


def _empty_model(
    config: RaxelConfig, *, operations: Any, attention: Attention, dtype: torch.dtype | None
) -> RaxelTransformer:
    """A model without weights, of which one block is built and the others are twins of it: a fourth of the time."""
    one = replace(config, layers=1)
    model = RaxelTransformer(one, operations=operations, attention=attention, device="meta", dtype=dtype)
    model.blocks.extend(_twin(model.blocks[0]) for _ in range(1, config.layers))
    model.config = config
    return model


def _twin(module: nn.Module) -> nn.Module:
    """The same module again, sharing nothing but its parameters."""
    twin = type(module).__new__(type(module))
    vars(twin).update({n: v.copy() if isinstance(v, (dict, set)) else v for n, v in vars(module).items()})
    twin._modules.update({name: _twin(child) for name, child in module._modules.items() if child is not None})
    return twin


def _parameter_places(model: nn.Module) -> dict[str, tuple[nn.Module, str, torch.Size]]:
    """Where each parameter belongs: the module that holds it, and its name there; and its shape.

    `load_state_dict` searches the whole list of keys once for each module, which for 40 layers takes half of the time
    in which a checkpoint opens.
    """
    return {
        f"{path}.{name}" if path else name: (module, name, parameter.shape)
        for path, module in model.named_modules()
        for name, parameter in module._parameters.items()
        if parameter is not None
    }


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection inside: one that walks all of PyTorch's objects takes longer than a checkpoint to open."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _read_tensors(headers: Mapping[Path, Header]) -> Iterator[tuple[str, Tensor]]:
    for path, header in headers.items():
        yield from map_tensors(path, header.tensors).items()


def split_into_shards(tensors: Mapping[str, Tensor], shard_bytes: int | None) -> list[list[str]]:
    """Keys per shard, in order, each shard within `shard_bytes` unless one tensor alone is larger."""
    shards: list[list[str]] = [[]]
    used = 0
    for key, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if shard_bytes is not None and shards[-1] and used + size > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(key)
        used += size
    return shards


def _save_set(path: Path, tensors: Mapping[str, Tensor], shards: list[list[str]], metadata: dict[str, str]) -> Path:
    """Shards first, index last. Each set has its own mark, so that shards of two saves are never taken for one."""
    metadata = {**metadata, SET_KEY: uuid.uuid4().hex}
    weight_map: dict[str, str] = {}
    for number, keys in enumerate(shards, start=1):
        name = f"{path.stem}-{number:05d}-of-{len(shards):05d}.safetensors"
        write_tensors(path.with_name(name), _held(tensors, keys), metadata)
        weight_map |= dict.fromkeys(keys, name)
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    index = json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=1)
    index_path = path.with_name(path.stem + INDEX_SUFFIX)
    write_text(index_path, index)
    return index_path


def _held(tensors: Mapping[str, Tensor], keys: list[str]) -> dict[str, Tensor]:
    return {key: tensors[key] for key in keys}

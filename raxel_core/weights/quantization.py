"""Weights as 8-bit floats with one scale each, in the layout that ComfyUI reads as it is (0.8 and later).

Of each linear layer of the blocks the weight is stored as codes in E4M3: weight = code * scale. Beside `LAYER.weight`
lie `LAYER.weight_scale`, one float32, and `LAYER.comfy_quant`, JSON as bytes, that names the format. All else keeps its
dtype. The scale is a power of two, so that code * scale is exact in bfloat16 and every reader computes with the same
weights. The JSON asks for products in the activations' own precision: without that, ComfyUI rounds them to E4M3 as well
where the GPU multiplies it, and cuts them at 448.

Read as well are ComfyUI's 8-bit integers (int8_tensorwise, int8_convrot): weight = code * scale, one scale for all or
for each row; under ConvRot the channels of a row were first turned in groups by a regular Hadamard matrix, which is its
own inverse.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from math import prod

import torch
from torch import Tensor

from ..strict_json import parse_object
from .tensor_map import TensorInfo

FP8_SCALED = "fp8_scaled"
CODES = torch.float8_e4m3fn
LARGEST_CODE = torch.finfo(CODES).max  # 448
QUANTIZED_WEIGHT = re.compile(r"blocks\.\d+\.(?:(?:self|cross|inter)_attn\.[qkvo]|(?:ray_)?ffn\.[02])\.weight")
LAYER_FORMAT = json.dumps({"format": "float8_e4m3fn", "full_precision_matrix_mult": True}).encode()
# What files hold beside 8-bit weights: a scale per weight under its old or new name, and entries for ComfyUI's kernels.
SCALE = re.compile(r"\.(?:scale_weight|weight_scale)$")
COMPANION = re.compile(
    rf"^scaled_fp8$|{SCALE.pattern}|\.(?:scale_input|input_scale|weight_scale_2|comfy_quant)$|\.comfy_attention\.config$"
)
FP8_NAMES = ("F8_E4M3", "F8_E5M2")
INT8_NAME, INT8_FORMAT = "I8", "int8_tensorwise"
_REGULAR = ((1.0, 1.0, 1.0, -1.0), (1.0, 1.0, -1.0, 1.0), (1.0, -1.0, 1.0, 1.0), (-1.0, 1.0, 1.0, 1.0))
_MOST_TURNED = 4096
SCALE_NAMES = ("F32", "F16", "BF16")

Values = Callable[[str, torch.dtype], Iterator[Tensor]]
"""The flat pieces of the tensor of a key, in a dtype."""


def quantize(
    tensors: Mapping[str, Tensor], values: Values
) -> tuple[dict[str, Tensor], Callable[[str], Iterator[Tensor]]]:
    """What is written for `tensors` (on the meta device), and the flat pieces of each, the blocks' weights quantised.

    Each of those is read twice, since its largest value sets the scale. The order is that of falling sizes of the
    elements: readers that map a file need each tensor at a multiple of its own.
    """
    planned = dict(tensors)
    for key in filter(QUANTIZED_WEIGHT.fullmatch, tensors):
        planned[key] = tensors[key].to(CODES)
        planned[f"{key}_scale"] = torch.empty((), dtype=torch.float32, device="meta")
        planned[format_key(key)] = torch.empty(len(LAYER_FORMAT), dtype=torch.uint8, device="meta")

    @cache
    def scale(key: str) -> float:
        ends = [torch.stack(torch.aminmax(piece)) for piece in values(key, torch.float32)]
        return scale_for(float(torch.stack(ends).abs().max()))

    def pieces(key: str) -> Iterator[Tensor]:
        if QUANTIZED_WEIGHT.fullmatch(key):
            return (codes(piece, scale(key)) for piece in values(key, torch.float32))
        if key in tensors:
            return values(key, tensors[key].dtype)
        if key.endswith("_scale"):
            return iter([torch.tensor([scale(key.removesuffix("_scale"))])])
        return iter([torch.frombuffer(bytearray(LAYER_FORMAT), dtype=torch.uint8)])

    return dict(sorted(planned.items(), key=lambda item: -item[1].element_size())), pieces


def scale_for(largest: float) -> float:
    """The least power of two that brings values of magnitude up to `largest` within E4M3's range; 1 for zeros."""
    return 2.0 ** max(math.ceil(math.log2(largest / LARGEST_CODE)), -126) if largest > 0 else 1.0


def codes(values: Tensor, scale: float) -> Tensor:
    """E4M3 codes of float32 values / scale, rounded to the nearest (ties to even)."""
    return (values / scale).to(CODES)


def dequantized(stored: Tensor, scale: Tensor, rotation: int = 0) -> Tensor:
    """code * scale in float32; of integers [rows, channels] with one scale or one a row, turned back in groups of
    `rotation` channels where that is not 0."""
    if stored.dtype != torch.int8:
        return stored.float() * scale.float().reshape(())
    values = stored.float() * scale.float().reshape(-1, 1)
    if not rotation:
        return values
    return (values.unflatten(1, (-1, rotation)) @ hadamard(rotation).to(values)).flatten(1)


@cache
def hadamard(size: int) -> Tensor:
    """The regular Hadamard matrix [size, size] of a power of 4, divided by its root: symmetric and its own inverse."""
    made = torch.ones(1, 1)
    while len(made) < size:
        made = torch.kron(made, torch.tensor(_REGULAR) / 2.0)
    return made


def rotation_of(key: str, tensors: Mapping[str, Tensor], channels: int) -> int:
    """How many channels of the integer weight `key` were turned together, 0 for none, by its layer's JSON in `tensors`.

    Raises ValueError for another format than int8_tensorwise, and groups that do not divide its `channels`.
    """
    if format_key(key) not in tensors:
        return 0
    said = parse_object(format_key(key), bytes(tensors[format_key(key)].tolist()))
    if said.get("format") != INT8_FORMAT:
        raise ValueError(
            f"{key} is stored as {str(said.get('format'))[:40]!r}, which is not read: only {INT8_FORMAT} is"
        )
    inner = said.get("params")
    said = {**(inner if isinstance(inner, dict) else {}), **said}
    if not said.get("convrot", False):
        return 0
    size = said.get("convrot_groupsize", 256)
    if (
        type(size) is not int
        or not 1 < size <= _MOST_TURNED
        or 4 ** round(math.log(size, 4)) != size
        or channels % size
    ):
        raise ValueError(
            f"{key} was turned in groups of {str(size)[:20]} channels, a power of 4 that divides {channels} is expected"
        )
    return size


def without_companions(names: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The entries of {name: key in the file} that are weights, and {weight's name: its scale's key in the file}."""
    scales = {SCALE.sub(".weight", name): key for name, key in names.items() if SCALE.search(name)}
    return {name: key for name, key in names.items() if not COMPANION.search(name)}, scales


def check_scale(key: str, scale: str, tensors: Mapping[str, TensorInfo], what: str) -> None:
    """ValueError unless the weight `key` is 8-bit floats and `scale` one number, or integers with a number for all or
    each row; `what` names the file."""
    weight, info = tensors[key], tensors[scale]
    if weight.dtype not in (*FP8_NAMES, INT8_NAME):
        raise ValueError(f"{what}: {scale} scales {key}, which has dtype {weight.dtype} and not fp8 or int8")
    counts = (1, weight.shape[0]) if weight.dtype == INT8_NAME and len(weight.shape) == 2 else (1,)
    if info.dtype not in SCALE_NAMES or prod(info.shape) not in counts:
        found = f"{list(info.shape)} in {info.dtype}"
        raise ValueError(f"{what}: {scale} is {found}, expected one number: weights scaled by blocks are not read")


def weights_and_scales(tensors: Mapping[str, TensorInfo], what: str) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """What a header lists without the companions of quantised weights, and {weight: key of its scale}, checked.

    Raises ValueError as `check_scale` does, and for a scale without its weight.
    """
    weights, scales = without_companions({key: key for key in tensors})
    for key, scale in scales.items():
        if key not in weights:
            raise ValueError(f"{what}: {scale} scales {key}, which is missing")
        check_scale(key, scale, tensors, what)
    return {key: tensors[key] for key in weights}, scales


def format_key(key: str) -> str:
    """The key of the JSON that names the format of the weight `key`."""
    return key.removesuffix("weight") + "comfy_quant"

"""Weights as 8-bit floats with one scale each, in the layout that ComfyUI reads as it is (0.8 and later).

Of each linear layer of the blocks the weight is stored as codes in E4M3: weight = code * scale. Beside `LAYER.weight`
lie `LAYER.weight_scale`, one float32, and `LAYER.comfy_quant`, JSON as bytes, that names the format. All else keeps its
dtype. The scale is a power of two, so that code * scale is exact in bfloat16 and every reader computes with the same
weights. The JSON asks for products in the activations' own precision: without that, ComfyUI rounds them to E4M3 as well
where the GPU multiplies it, and cuts them at 448.

Or each is stored as 8-bit integers with a scale a row, as ComfyUI's int8_convrot (see `integer_weights`); its plain
int8_tensorwise is read too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from math import prod

import torch
from torch import Tensor

from .integer_weights import INT8_NAME, integer_layout, integers, turned, whole_rows
from .tensor_map import TensorInfo

FP8_SCALED, INT8_CONVROT = "fp8_scaled", "int8_convrot"
METHODS = (FP8_SCALED, INT8_CONVROT)
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
SCALE_NAMES = ("F32", "F16", "BF16")

Values = Callable[[str, torch.dtype], Iterator[Tensor]]
"""The flat pieces of the tensor of a key, in a dtype."""


def quantize(
    tensors: Mapping[str, Tensor], values: Values, method: str = FP8_SCALED
) -> tuple[dict[str, Tensor], Callable[[str], Iterator[Tensor]]]:
    """What is written for `tensors` (on the meta device), and the flat pieces of each, the blocks' weights quantised.

    Each of those is read twice, once for its scales. The order is that of falling sizes of the elements: readers that
    map a file need each tensor at a multiple of its own. Raises ValueError for a method that is none of METHODS.
    """
    if method not in METHODS:
        raise ValueError(f"weights are quantised as {' or '.join(METHODS)}, not {method!r}")
    planned, made = dict(tensors), dict[str, Callable[[], Iterator[Tensor]]]()
    plan = _as_floats if method == FP8_SCALED else _as_integers
    for key in filter(QUANTIZED_WEIGHT.fullmatch, tensors):
        stored, layout, parts = plan(key, tensors[key], values)
        planned |= {**stored, format_key(key): torch.empty(len(layout), dtype=torch.uint8, device="meta")}
        made |= {**parts, format_key(key): partial(_as_bytes, layout)}

    def pieces(key: str) -> Iterator[Tensor]:
        return made[key]() if key in made else values(key, tensors[key].dtype)

    return dict(sorted(planned.items(), key=lambda item: -item[1].element_size())), pieces


_Plan = tuple[dict[str, Tensor], bytes, dict[str, Callable[[], Iterator[Tensor]]]]
"""What is written for one weight, on the meta device, its layer's JSON, and the pieces of each."""


def _as_floats(key: str, weight: Tensor, values: Values) -> _Plan:
    """E4M3 with one scale."""

    @cache
    def scale() -> float:
        ends = [torch.stack(torch.aminmax(piece)) for piece in values(key, torch.float32)]
        return scale_for(float(torch.stack(ends).abs().max()))

    stored = {key: weight.to(CODES), f"{key}_scale": torch.empty((), dtype=torch.float32, device="meta")}
    pieces = {
        key: lambda: (codes(piece, scale()) for piece in values(key, torch.float32)),
        f"{key}_scale": lambda: iter([torch.tensor([scale()])]),
    }
    return stored, LAYER_FORMAT, pieces


def _as_integers(key: str, weight: Tensor, values: Values) -> _Plan:
    """Integers of turned channels, with a scale a row."""
    rows, channels = weight.shape
    size, layout = integer_layout(channels)

    def parts(which: int) -> Iterator[Tensor]:
        for piece in whole_rows(values(key, torch.float32), channels):
            yield integers(piece, size)[which].flatten()

    scale = torch.empty((rows, 1), dtype=torch.float32, device="meta")
    return (
        {key: weight.to(torch.int8), f"{key}_scale": scale},
        layout,
        {key: partial(parts, 0), f"{key}_scale": partial(parts, 1)},
    )


def _as_bytes(text: bytes) -> Iterator[Tensor]:
    return iter([torch.frombuffer(bytearray(text), dtype=torch.uint8)])


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
    return turned(values, rotation)


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

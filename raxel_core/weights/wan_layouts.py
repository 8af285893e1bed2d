"""The layouts that Wan 2.1 T2V's weights are published in, told apart by keys and shapes.

Wan's own shards, ComfyUI's single files (a prefix or none; fp8 plain or with scales) and diffusers' folders all come
down to one map: a key of ours -> the tensor of the file that holds it. Wan 2.2's two T2V 14B experts have the keys and
shapes of Wan 2.1 T2V 14B, so they are taken as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import torch

from ..model.config import RaxelConfig
from .checkpoint import CONFIG_KEY, Header, architecture_of, check_same_keys
from .integer_weights import INT8_NAME
from .quantization import FP8_NAMES, check_scale, without_companions
from .state_dict import VIDEO_HEAD, WAN_HEAD, WAN_KEY, expected_shapes, swap_prefix, wan_config
from .tensor_map import DTYPES, TensorInfo

PREFIXES = ("model.diffusion_model.", "diffusion_model.")
CHANNELS = 16  # of Wan 2.1's VAE
HEAD_DIM = 128
# What Wan models with other (input, output) channels are.
OTHER_CHANNELS = {
    (48, 48): "Wan 2.2 5B",
    (48, 16): "a Wan Fun-Control model",
    (36, 16): "Wan I2V or a Wan Fun-InP model",
    (32, 16): "a Wan Fun-Camera model",
}
FLOAT_DTYPES = {name: DTYPES[name] for name in ("F32", "F16", "BF16")}
FP8_DTYPES = {name: DTYPES[name] for name in FP8_NAMES}
# The keys of Wan 2.1 T2V, all of them, in its own names.
OFFICIAL_KEY = re.compile(
    r"(?:patch_embedding|(?:text|time)_embedding\.[02]|time_projection\.1|head\.head)\.(?:weight|bias)|head\.modulation"
    r"|blocks\.\d+\.(?:modulation|(?:norm3|ffn\.[02]|(?:self|cross)_attn\.[qkvo])\.(?:weight|bias))"
    r"|blocks\.\d+\.(?:self|cross)_attn\.norm_[qk]\.weight"
)
# Official name <- diffusers name.
FROM_DIFFUSERS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^condition_embedder\.(time|text)_embedder\.linear_1\.", r"\1_embedding.0."),
        (r"^condition_embedder\.(time|text)_embedder\.linear_2\.", r"\1_embedding.2."),
        (r"^condition_embedder\.time_proj\.", "time_projection.1."),
        (r"^scale_shift_table$", "head.modulation"),
        (r"^proj_out\.", "head.head."),
        (r"\.attn1\.", ".self_attn."),
        (r"\.attn2\.", ".cross_attn."),
        (r"_attn\.to_out\.0\.", "_attn.o."),
        (r"_attn\.to_([qkv])\.", r"_attn.\1."),
        (r"\.norm2\.", ".norm3."),
        (r"\.ffn\.net\.0\.proj\.", ".ffn.0."),
        (r"\.ffn\.net\.2\.", ".ffn.2."),
        (r"\.scale_shift_table$", ".modulation"),
    )
)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a file holds it: its key there, dtype and shape, and the key of the scale to multiply it with."""

    key: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    scale: str | None = None


@dataclass(frozen=True)
class WanLayout:
    """How a file names Wan's weights, the configuration they fit, and where each of our video keys is stored."""

    name: str
    config: RaxelConfig
    stored: dict[str, StoredTensor]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the largest tensor; bfloat16 where there are 8 bits, which are stored but not computed in."""
        if any(stored.dtype.itemsize == 1 for stored in self.stored.values()):
            return torch.bfloat16
        return max(self.stored.values(), key=lambda stored: prod(stored.shape)).dtype


def recognize(header: Header, what: str, *, model_config: Mapping[str, object] | None = None) -> WanLayout:
    """The layout of the Wan 2.1 T2V weights that `header` lists; `what` names the file in errors.

    `model_config` is the `config.json` published with the weights, Wan's or diffusers': it tells the number of heads,
    which no shape does (heads of 128 channels without it). Raises ValueError that says what another model looks like,
    and names tensors that are missing, surplus, misshapen or of another dtype.
    """
    if CONFIG_KEY in header.metadata:
        raise ValueError(f"{what} is a raxel checkpoint already")
    name, official = _official_names(header.tensors, what)
    weights, scales = without_companions(official)
    _check_model(weights, header, what)
    stored = {
        swap_prefix(key, WAN_HEAD, VIDEO_HEAD): stored_tensor(file_key, header.tensors, scales.get(key), what)
        for key, file_key in weights.items()
    }
    if any(tensor.scale for tensor in stored.values()):
        name += ", int8" if any(tensor.dtype == DTYPES[INT8_NAME] for tensor in stored.values()) else ", scaled fp8"
    config = _config(stored, model_config or {}, what)
    _check_shapes(stored, config, what)
    return WanLayout(name, config, stored)


def stored_tensor(key: str, tensors: Mapping[str, TensorInfo], scale: str | None, what: str) -> StoredTensor:
    """What the header says of `key` and its `scale`; ValueError names a dtype or a scale that is not Wan's."""
    info = tensors[key]
    scaled = {} if scale is None else {INT8_NAME: DTYPES[INT8_NAME]}
    dtype = (FLOAT_DTYPES | FP8_DTYPES | scaled).get(info.dtype)
    if dtype is None:
        expected = ", ".join(FLOAT_DTYPES | FP8_DTYPES)
        raise ValueError(f"{what}: {key} has dtype {info.dtype}, expected one of {expected}")
    if scale is not None:
        check_scale(key, scale, tensors, what)
    return StoredTensor(key, dtype, info.shape, scale)


def _official_names(tensors: Mapping[str, TensorInfo], what: str) -> tuple[str, dict[str, str]]:
    """The layout's name, and Wan's official name of each key -> the key; ValueError when two keys have one name."""
    prefix = next((p for p in PREFIXES if any(key.startswith(p) for key in tensors)), "")
    name = f"Wan's names under {prefix}" if prefix else "Wan's names"
    official = {key: swap_prefix(key, prefix, "") for key in tensors}
    if any(key.startswith("condition_embedder.") for key in official.values()):
        name, official = "diffusers' names", {key: _from_diffusers(short) for key, short in official.items()}
    keys = {short: key for key, short in official.items()}
    for key, short in official.items():
        if keys[short] != key:
            raise ValueError(f"{what} holds {short[:80]} twice, as {key[:80]} and as {keys[short][:80]}")
    return name, keys


def _from_diffusers(key: str) -> str:
    for pattern, replacement in FROM_DIFFUSERS:
        key = pattern.sub(replacement, key)
    return key


def _check_model(weights: Mapping[str, str], header: Header, what: str) -> None:
    """ValueError unless the keys are those of a Wan T2V model and its input is Wan 2.1's latents alone."""
    looks = architecture_of(header.tensors)
    foreign = sorted(key for key in weights if not OFFICIAL_KEY.fullmatch(key))
    if "patch_embedding.weight" not in weights or (foreign and "Wan" not in looks):
        raise ValueError(f"{what} is not Wan 2.1 T2V: it looks like {looks}")
    if foreign:
        looks = f"it looks like {looks}, " if "plain" not in looks and "naming" not in looks else ""
        keys = ", ".join(key[:80] for key in foreign[:5])
        raise ValueError(f"{what} is not Wan 2.1 T2V: {looks}{len(foreign)} of its keys are not Wan 2.1 T2V's ({keys})")
    inputs = (*header.tensors[weights["patch_embedding.weight"]].shape, 0, 0)[1]
    outputs = (*header.tensors[weights.get("head.head.bias", weights["patch_embedding.weight"])].shape, 0)[0] // 4
    if inputs != CHANNELS:
        looks = OTHER_CHANNELS.get((inputs, outputs), "another Wan model")
        raise ValueError(f"{what} is not Wan 2.1 T2V: it looks like {looks} ({inputs} input channels)")


def _config(stored: Mapping[str, StoredTensor], model_config: Mapping[str, object], what: str) -> RaxelConfig:
    """The configuration that fits the shapes, with the heads and eps of the published one."""
    meta = {swap_prefix(key, VIDEO_HEAD, WAN_HEAD): tensor for key, tensor in stored.items()}
    width = meta["patch_embedding.weight"].shape[0]
    heads = model_config.get("num_heads", model_config.get("num_attention_heads"))
    if heads is None and width % HEAD_DIM:
        raise ValueError(
            f"{what} is {width} wide, which heads of {HEAD_DIM} do not divide; Wan's models are 1536 and 5120"
        )
    try:
        config = wan_config(meta, head_dim=HEAD_DIM if heads is None else _head_dim(width, heads))
    except (IndexError, ValueError) as error:
        raise ValueError(f"{what} is not a whole Wan 2.1 T2V: {error}") from None
    eps = model_config.get("eps", config.eps)
    if config.layers > len(stored) or not isinstance(eps, float):
        raise ValueError(f"{what} claims {config.layers} layers and eps {eps!r}, with {len(stored)} tensors")
    return replace(config, eps=eps)


def _head_dim(width: int, heads: object) -> int:
    if type(heads) is not int or heads < 1 or width % heads:
        raise ValueError(f"its config.json gives {heads!r} heads, which do not divide its width of {width}")
    return width // heads


def _check_shapes(stored: Mapping[str, StoredTensor], config: RaxelConfig, what: str) -> None:
    """ValueError unless every tensor of the video branch is there in its shape, and no other."""
    expected = {key: tuple(shape) for key, shape in expected_shapes(config).items() if WAN_KEY.match(key)}
    check_same_keys(set(expected), set(stored), what, {})
    for key, shape in expected.items():
        if stored[key].shape != shape:
            raise ValueError(f"{what}: {stored[key].key} has shape {stored[key].shape}, Wan 2.1 T2V's is {shape}")

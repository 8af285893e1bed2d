"""Wan's weights as a raxel model's weights: key renames, and where the ray branch starts from.

A raxel model keeps Wan's own paths for the video stream, so that Wan LoRAs apply; only the output head is renamed,
so that no loader takes the file for plain Wan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from ..model.config import RaxelConfig
from ..model.transformer import RaxelTransformer

Value = TypeVar("Value")
WAN_HEAD, VIDEO_HEAD = "head.", "video_head."
WAN_KEY = re.compile(
    r"(patch_embedding|text_embedding|time_embedding|time_projection|video_head)\."
    r"|blocks\.\d+\.(self_attn|cross_attn|norm3|ffn|modulation)\b"
)
# What a key of the ray branch (or of the inter-modal stage) is copied from, in the video branch's names.
RAY_SOURCES = (
    (re.compile(r"^ray_(patch_embedding|time_embedding|time_projection)\."), r"\1."),
    (re.compile(r"^ray_head\."), "video_head."),
    (re.compile(r"^(blocks\.\d+\.)ray_(norm3|ffn|modulation)\b"), r"\1\2"),
    (re.compile(r"^(blocks\.\d+\.)inter_norm\b"), r"\1norm3"),
    (re.compile(r"^(blocks\.\d+\.)inter_attn\b"), r"\1self_attn"),
)
# What a Plücker model would otherwise add to the video stream, or has no counterpart of the same shape.
PLUCKER_ZEROS = ("plucker_embedding.", "ray_patch_embedding.bias", "ray_time_projection.", "ray_head.head.")


def from_wan(wan: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Wan 2.1 T2V's official state dict in our names (the video branch); tensors are the same objects.

    Raises ValueError naming the first keys that Wan 2.1 T2V does not have.
    """
    renamed = {swap_prefix(key, WAN_HEAD, VIDEO_HEAD): value for key, value in wan.items()}
    foreign = [key for key in wan if not WAN_KEY.match(swap_prefix(key, WAN_HEAD, VIDEO_HEAD))]
    if foreign:
        raise ValueError(f"{len(foreign)} keys do not belong to Wan 2.1 T2V: {', '.join(sorted(foreign)[:5])}")
    return renamed


def to_wan(raxel: Mapping[str, Value]) -> dict[str, Value]:
    """The video branch of a raxel state dict under Wan's official names; the ray branch is left out."""
    return {swap_prefix(key, VIDEO_HEAD, WAN_HEAD): value for key, value in raxel.items() if WAN_KEY.match(key)}


class Shaped(Protocol):
    """Anything of which the shape is known: a tensor, or a header's entry of one."""

    @property
    def shape(self) -> Sequence[int]:
        """Sizes of the axes."""
        ...


def wan_config(wan: Mapping[str, Shaped], *, head_dim: int = 128) -> RaxelConfig:
    """The configuration that fits Wan's official state dict; only shapes are read, so meta tensors do.

    Wan's models use heads of 128 channels, which no shape tells. Raises ValueError naming a key that is missing.
    """
    try:
        patch = wan["patch_embedding.weight"].shape  # [dim, C, pt, ph, pw]
        ffn_dim = wan["blocks.0.ffn.0.weight"].shape[0]
        text_dim = wan["text_embedding.0.weight"].shape[1]
        freq_dim = wan["time_embedding.0.weight"].shape[1]
    except KeyError as error:
        raise ValueError(f"the state dict is not Wan's: it lacks {error.args[0]}") from None
    layers = 1 + max(int(key.split(".")[1]) for key in wan if key.startswith("blocks."))
    return RaxelConfig(
        dim=patch[0],
        ffn_dim=ffn_dim,
        layers=layers,
        heads=patch[0] // head_dim,
        in_channels=patch[1],
        patch=(patch[2], patch[3], patch[4]),
        text_dim=text_dim,
        freq_dim=freq_dim,
    )


def expected_shapes(config: RaxelConfig) -> dict[str, torch.Size]:
    """Names and shapes of every tensor of a model of this configuration; allocates nothing."""
    return {key: value.shape for key, value in RaxelTransformer(config, device="meta").state_dict().items()}


def ray_source(key: str) -> str | None:
    """The video branch's key that `key` of the ray branch starts as a copy of; None if it has no counterpart."""
    for pattern, replacement in RAY_SOURCES:
        source, count = pattern.subn(replacement, key)
        if count:
            return source
    return None


def initial_ray_tensor(
    key: str, shape: torch.Size, video: Mapping[str, Tensor], config: RaxelConfig, *, generator: torch.Generator
) -> Tensor:
    """A new tensor of `shape` that `key` of the ray branch starts from, so that the video stream is unchanged.

    Copies of the video's layers (`ray_source`); gates and modality vectors zero; norms without a counterpart one and
    zero. A Plücker model's embedding ends in zeros, as do the layers that would add to the video's.
    """
    reference = video["patch_embedding.weight"]
    source = ray_source(key)
    if config.ray_representation == "plucker":
        if key == "plucker_embedding.0.weight":
            return torch.nn.init.xavier_uniform_(torch.empty(shape), generator=generator).to(reference)
        if key.startswith(PLUCKER_ZEROS):
            return reference.new_zeros(shape)
    if source is not None and source in video:
        return video[source].clone()
    return reference.new_full(shape, initial_fill(key))


def initial_fill(key: str) -> float:
    """What a ray branch's tensor without a counterpart is filled with: a norm's weight one, all else zero."""
    return 1.0 if key.endswith(("norm3.weight", "inter_norm.weight")) else 0.0


def initialize_ray_branch(
    video: Mapping[str, Tensor], config: RaxelConfig, *, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """A whole raxel state dict from its video branch (`from_wan`), in the order of the model's own.

    The tensors given are kept; see `initial_ray_tensor` for the rest. `generator` draws the first layer of a Plücker
    model's embedding (seed 0 unless given). Raises ValueError naming video keys that are missing or misshapen.
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    shapes = expected_shapes(config)
    missing = [key for key in shapes if WAN_KEY.match(key) and key not in video]
    if missing:
        raise ValueError(f"{len(missing)} keys of the video branch are missing: {', '.join(missing[:5])}")
    for key, value in video.items():
        if key not in shapes or value.shape != shapes[key]:
            expected = tuple(shapes[key]) if key in shapes else "no such key"
            raise ValueError(f"{key} has shape {tuple(value.shape)}, expected {expected}")
    return {
        key: video[key] if key in video else initial_ray_tensor(key, shape, video, config, generator=generator)
        for key, shape in shapes.items()
    }


def swap_prefix(key: str, old: str, new: str) -> str:
    """`key` with `new` in place of its prefix `old`, or as it is where it begins otherwise."""
    return new + key[len(old) :] if key.startswith(old) else key

"""A Ray Diffusion network's file: safetensors with its configuration in the header, loaded strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..atomic_file import replacing
from .config import RayDiffusionConfig

CONFIG_KEY = "ray_diffusion_config"
METHOD_KEY = "ray_diffusion_method"
FORMAT_KEY = "ray_diffusion_format"
FORMAT = "1"


def save_ray_diffusion(
    path: Path,
    state: Mapping[str, Tensor],
    config: RayDiffusionConfig,
    *,
    method: str,
    dtype: torch.dtype = torch.float16,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the network's `state` in `dtype` as the file `path`, whole or not at all.

    `method` is what it was trained for: "diffusion", "regression" or "both". Tables and noise levels follow from the
    configuration and stay in float32.
    """
    header = {**(metadata or {}), CONFIG_KEY: config.to_json(), METHOD_KEY: method, FORMAT_KEY: FORMAT}
    tensors = {
        name: tensor.detach().cpu().contiguous().to(torch.float32 if is_table(name) else dtype)
        for name, tensor in state.items()
    }
    with replacing(path) as partial:
        save_file(tensors, partial, header)


def is_table(name: str) -> bool:
    """Whether a tensor is a fixed table, not a weight."""
    return name.startswith("noise_scheduler.") or name.endswith("_pos_table")

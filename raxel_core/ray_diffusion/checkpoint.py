"""A Ray Diffusion network's file: safetensors with its configuration in the header, loaded strictly.

The embedded one lies beside the raxel checkpoints; released weights become such a file by `released`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..weights.checkpoint import check_same_keys, file_header, write_tensors
from .config import RayDiffusionConfig
from .network import RayDiffuser

CONFIG_KEY = "ray_diffusion_config"
METHOD_KEY = "ray_diffusion_method"
FORMAT_KEY = "ray_diffusion_format"
FORMAT = "1"
TRAINED_FOR = ("diffusion", "regression", "both")
EMBEDDED = Path(__file__).parents[1] / "checkpoints" / "ray-diffusion-small.safetensors"


class LoadedRayDiffusion(NamedTuple):
    """`network` in evaluation mode, what it was trained for ("diffusion", "regression" or "both"), and its name."""

    network: RayDiffuser
    trained_for: str
    name: str


def save_ray_diffusion(
    path: Path,
    state: Mapping[str, Tensor],
    config: RayDiffusionConfig,
    *,
    method: str,
    dtype: torch.dtype = torch.float16,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the network's `state` in `dtype` as the file `path`, whole or not at all; OSError where it cannot be.

    `method` is what it was trained for, of TRAINED_FOR. Tables and noise levels follow from the configuration and stay
    in float32.
    """
    if method not in TRAINED_FOR:
        raise ValueError(f"a Ray Diffusion network is trained for {', '.join(TRAINED_FOR)}, got {method!r}")
    header = {**(metadata or {}), CONFIG_KEY: config.to_json(), METHOD_KEY: method, FORMAT_KEY: FORMAT}
    tensors = {
        name: tensor.detach().cpu().to(torch.float32 if is_table(name) else dtype).contiguous()
        for name, tensor in state.items()
    }
    write_tensors(path, tensors, header)


def is_table(name: str) -> bool:
    """Whether a tensor is a fixed table, not a weight."""
    return name.startswith("noise_scheduler.") or name.endswith("_pos_table")


def embedded_network() -> Path:
    """The file of the embedded network; ValueError in a copy of the pack that has none."""
    if not EMBEDDED.exists():
        raise ValueError(f"this copy of the pack has no embedded Ray Diffusion network ({EMBEDDED.name}): name a file")
    return EMBEDDED


def load_ray_diffusion(path: Path, *, device: torch.device | str = "cpu") -> LoadedRayDiffusion:
    """The network of a file, in float32. Raises FileNotFoundError, and ValueError in one sentence for every file that
    is not a whole Ray Diffusion checkpoint of ours; nothing but safetensors is read.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name} is not a .safetensors file: `convert --to ray_diffusion` makes one of a .pth")
    header = file_header(path)
    if CONFIG_KEY not in header.metadata:
        raise ValueError(f"{path.name} is not a Ray Diffusion checkpoint: its header has no {CONFIG_KEY}")
    if header.metadata.get(FORMAT_KEY) != FORMAT or header.metadata.get(METHOD_KEY) not in TRAINED_FOR:
        said = f"format {header.metadata.get(FORMAT_KEY)} for {header.metadata.get(METHOD_KEY)}"
        raise ValueError(
            f"{path.name} says {said[:80]}; this version reads format {FORMAT} for {', '.join(TRAINED_FOR)}"
        )
    config = RayDiffusionConfig.from_json(header.metadata[CONFIG_KEY])
    if config.depth > len(header.tensors):
        raise ValueError(f"{path.name} claims {config.depth} blocks but holds {len(header.tensors)} tensors")
    with torch.device("meta"):
        network = RayDiffuser(config)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    check_same_keys(set(expected), set(header.tensors), path.name, header.tensors)
    for name, shape in expected.items():
        if header.tensors[name].shape != shape:
            raise ValueError(
                f"{path.name}: {name} has shape {header.tensors[name].shape}, its configuration says {shape}"
            )
    state = {name: tensor.float() for name, tensor in load_file(path, device=str(device)).items()}
    network.load_state_dict(state, strict=True, assign=True)
    return LoadedRayDiffusion(network.requires_grad_(False).eval(), header.metadata[METHOD_KEY], path.stem)

"""The released weights of Ray Diffusion and Ray Regression made a safetensors file of ours.

The release is one archive of PyTorch pickles: `models/co3d_diffusion/checkpoints/ckpt_00450000.pth` and
`models/co3d_regression/checkpoints/ckpt_00300000.pth`, each with its `hydra/config.yaml`. What the pickle
holds is checked before it is used.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from ..weights.checkpoint import check_same_keys
from ..weights.pickles import unpickled
from ..weights.tensor_map import TensorInfo
from .checkpoint import save_ray_diffusion
from .config import RayDiffusionConfig
from .network import RayDiffuser

_EMBEDDER = "ray_predictor.x_embedder.proj.weight"
_TOKENS, _IMAGES = "ray_predictor.x_pos_enc.token_pos_table", "ray_predictor.x_pos_enc.image_pos_table"
# The released networks' heads, which no shape tells.
_HEADS = 16


class ReleasedConversion(NamedTuple):
    """What was written: the file `path`, its `config`, what it was trained for, and how many `tensors`."""

    path: Path
    config: RayDiffusionConfig
    trained_for: str
    tensors: int


def convert_released(
    source: Path, target: Path, *, trained_for: str | None = None, dtype: torch.dtype = torch.float32
) -> ReleasedConversion:
    """Write the released checkpoint `source` (.pth) as the safetensors file `target`.

    `trained_for` is "diffusion" or "regression"; without it, it is what the run's `hydra/config.yaml` says, or the
    folder's name. Raises FileNotFoundError, and ValueError in one sentence for a file that is no such checkpoint.
    """
    if not source.is_file():
        raise FileNotFoundError(f"there is no file {source}")
    if source.suffix not in (".pth", ".pt"):
        raise ValueError(f"{source.name} is not a released checkpoint of Ray Diffusion: those end in .pth")
    if target.suffix != ".safetensors":
        raise ValueError(f"the converted file ends in .safetensors, got {target.name}")
    method = trained_for or _trained_for(source)
    with tempfile.TemporaryDirectory() as folder:
        state = unpickled(source, Path(folder) / "state.safetensors", under="state_dict")
        config = released_config({name: tuple(tensor.shape) for name, tensor in state.items()}, source.name)
        with torch.device("meta"):
            expected = RayDiffuser(config).state_dict()
        infos = {name: TensorInfo("F32", tuple(tensor.shape), 0, 0) for name, tensor in state.items()}
        check_same_keys(set(expected), set(state), source.name, infos)
        wrong = [name for name in expected if expected[name].shape != state[name].shape]
        if wrong:
            raise ValueError(f"{source.name}: {wrong[0]} has shape {list(state[wrong[0]].shape)}, "
                             f"{list(expected[wrong[0]].shape)} was expected")  # fmt: skip
        save_ray_diffusion(target, state, config, method=method, dtype=dtype, metadata={"source": source.name})
    return ReleasedConversion(target, config, method, len(state))


def released_config(shapes: Mapping[str, tuple[int, ...]], name: str) -> RayDiffusionConfig:
    """The configuration of a released state dict with tensors of `shapes`; ValueError names the file `name`."""
    missing = [key for key in (_EMBEDDER, _TOKENS, _IMAGES) if key not in shapes]
    if missing:
        raise ValueError(f"{name} is not a checkpoint of Ray Diffusion: it has no {missing[0]}")
    depth = 1 + max(int(key.split(".")[2]) for key in shapes if key.startswith("ray_predictor.blocks."))
    hidden, channels, patch, _ = shapes[_EMBEDDER]
    side = round(shapes[_TOKENS][1] ** 0.5)
    return RayDiffusionConfig(
        hidden=hidden, depth=depth, heads=_HEADS, grid=side * patch, patch=patch, image_px=14 * side * patch,
        max_images=shapes[_IMAGES][1], feature_channels=channels - 8,
    )  # fmt: skip


def _trained_for(source: Path) -> str:
    """What the run beside a checkpoint was: its configuration's word, or the name of its folder; ValueError without."""
    settings = source.parent.parent / "hydra" / "config.yaml"
    if settings.is_file():
        words = [line.split(":") for line in settings.read_text(encoding="utf-8").splitlines() if "regression:" in line]
        if words:
            return "regression" if words[0][1].strip().lower() == "true" else "diffusion"
    found = {method for method in ("diffusion", "regression") if f"co3d_{method}" in str(source.parent)}
    if len(found) == 1:
        return found.pop()
    raise ValueError(f"nothing beside {source.name} says whether it is the diffusion or the regression: say which")

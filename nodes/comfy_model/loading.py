"""Raxel checkpoints as MODELs: which files are some, and how one is opened through ComfyUI's own loader."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import comfy.model_management
import comfy.sd
import comfy.utils
import folder_paths
import torch
from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from torch import Tensor

from ...raxel_core.raxel_model import CHECKPOINTS, EMBEDDED_MODEL, embedded_models
from ...raxel_core.recipe import METADATA_KEY, Recipe
from ...raxel_core.weights.checkpoint import map_checkpoint, read_header
from ..comfy_io.input_files import model_file
from .base_model import HEADER_TENSORS, RaxelBaseModel
from .outer_sample import add_raxel_sampling
from .vae import VAE_FOLDER, load_float32_vae, vae_file

MODEL_FOLDER = "diffusion_models"
EMBEDDED_SUFFIX = " (embedded)"
WEIGHT_DTYPES = {
    "default": None,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp8_e4m3fn": torch.float8_e4m3fn,
}
_SUFFIX = ".safetensors"
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
# Metadata stands at a file's beginning, and of a raxel network some ray module is named there too. Only then is the
# whole header worth reading, which takes a few hundred thousand bytes in the largest models.
_BEGINNING_BYTES, _HEADER_BYTES = 65_536, 4_000_000
_RAY_MODULE = b"ray_modulation"
_WIDENED_PARAMETERS = 500_000_000


class ClipDefaults(NamedTuple):
    """What the widgets of a clip start from."""

    frames: int
    hw: tuple[int, int]
    fps: float
    unit: str


def checkpoint_names() -> list[str]:
    """The checkpoints to choose from: the embedded ones, the default first, then the raxel files among the models."""
    embedded = sorted(embedded_models(), key=lambda name: (name != EMBEDDED_MODEL, name))
    files = folder_paths.get_filename_list(MODEL_FOLDER)
    return [name + EMBEDDED_SUFFIX for name in embedded] + [name for name in files if is_raxel_file(name)]


def checkpoint_path(name: str) -> Path:
    """The file of a name from `checkpoint_names`; ValueError or FileNotFoundError for any other."""
    if name.endswith(EMBEDDED_SUFFIX):
        stem = name.removesuffix(EMBEDDED_SUFFIX)
        if stem not in embedded_models():
            raise ValueError(
                f"there is no embedded checkpoint {stem[:80]!r}; there are: {', '.join(embedded_models())}"
            )
        return CHECKPOINTS / f"{stem}{_SUFFIX}"
    return model_file(MODEL_FOLDER, name)


def is_raxel_file(name: str) -> bool:
    """Whether a file among ComfyUI's diffusion models is a raxel checkpoint, or the first file of a set that is one."""
    shard = _SHARD.fullmatch(name)
    path = folder_paths.get_full_path(MODEL_FOLDER, name)
    if path is None or not name.endswith(_SUFFIX) or (shard is not None and int(shard[2]) != 1):
        return False
    state = Path(path).stat()
    return _says_raxel(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _says_raxel(path: str, modified: int, size: int) -> bool:
    """Whether a safetensors header names our entries; remembered until the file changes."""
    with Path(path).open("rb") as file:
        length = min(int.from_bytes(file.read(8), "little"), _HEADER_BYTES)
        header = file.read(min(length, _BEGINNING_BYTES))
        if _RAY_MODULE in header:
            header += file.read(length - len(header))
    return all(f'{name}"'.encode() in header for name in HEADER_TENSORS)


def model_clips() -> dict[str, dict[str, Any]]:
    """The clip that each checkpoint was trained on, by the name to choose it by, as the builder's editor counts.

    A file that cannot be read has none; the node that loads it says why.
    """
    paths = {name: checkpoint_path(name) for name in checkpoint_names()}
    clips = {name: _clip_of(str(path), path.stat().st_mtime_ns) for name, path in paths.items()}
    return {name: clip for name, clip in clips.items() if clip is not None}


@lru_cache(maxsize=256)
def _clip_of(path: str, modified: int) -> dict[str, Any] | None:
    """The clip in a checkpoint's recipe, None where it has none; remembered until the file changes."""
    try:
        recipe = Recipe.from_json(read_header(Path(path)).metadata[METADATA_KEY])
    except (OSError, KeyError, ValueError):
        return None
    height, width = recipe.hw
    return {"frameCount": recipe.frames, "width": width, "height": height, "fps": recipe.fps, "unit": recipe.unit}


def load_raxel_patcher(path: str, weight_dtype: str = "default", disable_dynamic: bool = False) -> ModelPatcher:
    """The checkpoint at `path` as a MODEL on ComfyUI's devices; ValueError with one sentence when it is none."""
    sd, metadata = read_checkpoint(Path(path), streamed=not disable_dynamic)
    dtype = WEIGHT_DTYPES[weight_dtype] or kept_dtype(sd)
    options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    load = comfy.sd.load_diffusion_model_state_dict
    known = inspect.signature(load).parameters
    dynamic = {"disable_dynamic": disable_dynamic} if "disable_dynamic" in known else {}
    patcher = load(sd, model_options=options, metadata=metadata, **dynamic)
    if patcher is None or not isinstance(patcher.model, RaxelBaseModel):
        found = "nothing it knows" if patcher is None else type(patcher.model).__name__
        raise ValueError(f"{Path(path).name} is not a raxel checkpoint: ComfyUI takes it for {found}")
    add_raxel_sampling(patcher)
    patcher.cached_patcher_init = (load_raxel_patcher, (path, weight_dtype))
    return patcher


def kept_dtype(sd: Mapping[str, Tensor]) -> torch.dtype | None:
    """The dtype in which the weights of a large file are kept on a CPU; None where ComfyUI chooses.

    It would widen them to float32 and hold them all; kept as they are they stay in the file until they are used.
    """
    held = comfy.utils.weight_dtype(sd)
    on_cpu = comfy.model_management.is_device_cpu(comfy.model_management.get_torch_device())
    large = comfy.utils.calculate_parameters(sd) > _WIDENED_PARAMETERS
    return held if on_cpu and large and held in (torch.bfloat16, torch.float16) else None


def read_checkpoint(path: Path, *, streamed: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a checkpoint, mapped from it; `path` may be the first file of a set.

    ComfyUI reads the tensors itself where it streams them from the file (`streamed`, and it can) or maps no files.
    Raises ValueError when a file is damaged and FileNotFoundError when one of a set is missing.
    """
    files = _files(path)
    sd, metadata = map_checkpoint(files)
    memory = getattr(comfy, "memory_management", None)  # ComfyUI from 0.33 on
    if comfy.utils.DISABLE_MMAP or (streamed and getattr(memory, "aimdo_enabled", False)):
        sd = {name: tensor for file in files for name, tensor in comfy.utils.load_torch_file(str(file)).items()}
    return sd, metadata


def _files(path: Path) -> list[Path]:
    """The files of a checkpoint, given the only or the first one."""
    shard = _SHARD.fullmatch(path.name)
    if shard is None:
        return [path]
    count = int(shard[3])
    return [path.with_name(f"{shard[1]}-{number:05d}-of-{count:05d}{_SUFFIX}") for number in range(1, count + 1)]


def load_vae_of(recipe: Recipe, name: str | None) -> VAE:
    """The VAE file `name` among ComfyUI's; without a name the one the recipe names, ValueError when it is not here."""
    if name is not None:
        return load_float32_vae(model_file(VAE_FOLDER, name))
    path = vae_file(recipe)
    if path is None:
        raise ValueError(f"this checkpoint works on latents of the VAE {recipe.vae}: choose its file as vae_name")
    return load_float32_vae(path)

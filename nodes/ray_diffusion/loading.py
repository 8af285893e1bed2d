"""Ray Diffusion networks as ComfyUI keeps models: which files are some, and how one comes onto the device."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import comfy.model_management
import folder_paths
from comfy.model_patcher import ModelPatcher

from ...raxel_core.ray_diffusion.checkpoint import CONFIG_KEY, EMBEDDED, LoadedRayDiffusion, load_ray_diffusion
from ..comfy_io.input_files import model_file

MODEL_FOLDER = "diffusion_models"
EMBEDDED_NAME = "ray-diffusion-small (embedded)"
_SUFFIX = ".safetensors"
# Metadata stands at a file's beginning.
_BEGINNING_BYTES = 65_536


class RayDiffusionModel(NamedTuple):
    """A network on ComfyUI's devices: `patcher` moves it, `loaded` says what it is."""

    patcher: ModelPatcher
    loaded: LoadedRayDiffusion


def network_names() -> list[str]:
    """The networks to choose from: the embedded one where it ships, then the files of ours among the models."""
    files = folder_paths.get_filename_list(MODEL_FOLDER)
    return ([EMBEDDED_NAME] if EMBEDDED.exists() else []) + [name for name in files if _is_ray_diffusion(name)]


def load_network(name: str) -> RayDiffusionModel:
    """The network of a name from `network_names`; ValueError or FileNotFoundError for any other."""
    path = EMBEDDED if name == EMBEDDED_NAME else model_file(MODEL_FOLDER, name)
    loaded = load_ray_diffusion(path)
    device, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    return RayDiffusionModel(ModelPatcher(loaded.network, load_device=device, offload_device=offload), loaded)


def on_device(model: RayDiffusionModel) -> LoadedRayDiffusion:
    """The network, on the device that ComfyUI runs models on."""
    comfy.model_management.load_models_gpu([model.patcher])
    return model.loaded


def _is_ray_diffusion(name: str) -> bool:
    """Whether a file's header names our configuration."""
    path = folder_paths.get_full_path(MODEL_FOLDER, name)
    if path is None or not name.endswith(_SUFFIX):
        return False
    with Path(path).open("rb") as file:
        return CONFIG_KEY.encode() in file.read(_BEGINNING_BYTES)

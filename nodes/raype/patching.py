"""RayPE on ComfyUI's stock Wan: the files, and the patches that add rays to the queries and keys of self-attention.

Two hooks do it. A wrapper around every call of the model finds the rays of this call's tokens and puts them into a copy
of transformer_options; the forward of each block's self-attention, patched as an object, reads them there and hands
ComfyUI's attention an override, which adds them and calls the override that was set before, or the attention itself.
No forward code is repeated, cross-attention is never touched, and without the rays the patches do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import comfy.model_management
import comfy.patcher_extension
import comfy.sd
import comfy.utils
import folder_paths
import torch
from comfy.ldm.wan.model import WanModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.latents.frames import latent_frames
from ...raxel_core.raype.checkpoint import LoadedRayPE, same_expert
from ...raxel_core.raype.encoding import WEIGHT_KEY, RayEncoding, RayFeatures
from ...raxel_core.raype.ray_tokens import check_latent_frames, token_rays
from ...raxel_core.weights.checkpoint import checkpoint_files
from ..comfy_io.input_files import model_file
from ..comfy_model.loading import MODEL_FOLDER, WEIGHT_DTYPES

RAYPE_FOLDER = "raype"
# The name of our wrapper, of our additional model, and of the rays among the transformer_options.
KEY = "raxel_raype"
OVERRIDE = "optimized_attention_override"
_INDEX, _SUFFIX = ".safetensors.index.json", ".safetensors"
_HEADER_BYTES = 4_000_000
_APPLY_MODEL = comfy.patcher_extension.WrappersMP.APPLY_MODEL
_ON_CLONE = comfy.patcher_extension.CallbacksMP.ON_CLONE
_TIME_DIM = 2

Attention = Callable[..., Tensor]


class TokenRays(NamedTuple):
    """The rays of one call: `features` [1, L, ...] of the tokens from `first` on, at `strength`, a tensor [].

    Strength is a tensor because a compiled model would take a number for a constant.
    """

    features: RayFeatures
    first: int
    strength: Tensor


class RayAttention:
    """The forward of one block's self-attention, with the rays of the call added to its queries and keys."""

    def __init__(self, inner: Attention, encoding: RayEncoding) -> None:
        self.inner, self.encoding = inner, encoding

    def __call__(
        self, x: Tensor, *args: Any, transformer_options: dict[str, Any] | None = None, **kwargs: Any
    ) -> Tensor:
        """As the stock forward; an older RayAttention inside finds no rays and does nothing."""
        options = dict(transformer_options or {})
        rays: TokenRays | None = options.pop(KEY, None)
        if rays is not None:
            options[OVERRIDE] = RayOverride(self.encoding, rays, options.get(OVERRIDE))
        return self.inner(x, *args, transformer_options=options, **kwargs)


class RayOverride:
    """An attention override that adds rays and calls the `previous` one, whose place it took, where there is one."""

    def __init__(self, encoding: RayEncoding, rays: TokenRays, previous: Attention | None) -> None:
        self.encoding, self.rays, self.previous = encoding, rays, previous

    def __call__(self, attention: Attention, q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Attention over q, k, v [B, S, dim], already normed and turned."""
        features, first, strength = self.rays
        q, k = self.encoding(q, k, features, strength=strength, first=first)
        options = {name: value for name, value in kwargs.get("transformer_options", {}).items() if name != OVERRIDE}
        if self.previous is None:
            return attention(q, k, v, *args, **{**kwargs, "transformer_options": options})
        options[OVERRIDE] = self.previous
        return self.previous(attention, q, k, v, *args, **{**kwargs, "transformer_options": options})


class RaySampling:
    """The wrapper around every call of the model: which tokens there are, and their rays.

    The features of the whole path are computed once for a latent size and kept; a call picks its frames.
    """

    def __init__(
        self, loaded: LoadedRayPE, trajectory: Trajectory, *, strength: float, start: float, end: float
    ) -> None:
        self.loaded, self.trajectory = loaded, trajectory
        self.strength, self.start, self.end = strength, start, end
        self._kept: tuple[tuple[Any, ...], RayFeatures] | None = None

    def __call__(
        self,
        executor: Any,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        **conds: Any,
    ) -> Tensor:
        """As BaseModel's apply_model; `x` [B, C, T, h, w], `t` the sigmas."""
        model, options = executor.class_obj, dict(transformer_options or {})
        strength = self.strength if self._is_on(model.model_sampling, float(t.max())) else 0.0
        options[KEY] = TokenRays(
            self._rays(model.diffusion_model, x, options),
            reference_tokens(model.diffusion_model, conds),
            torch.tensor(strength, device=x.device),
        )
        return executor(x, t, c_concat, c_crossattn, control, options, **conds)

    def _is_on(self, model_sampling: Any, sigma: float) -> bool:
        """Whether `sigma` lies in the schedule from `start` to `end`, as in ComfyUI's conditioning ranges."""
        return model_sampling.percent_to_sigma(self.end) <= sigma <= model_sampling.percent_to_sigma(self.start)

    def _rays(self, network: WanModel, x: Tensor, options: dict[str, Any]) -> RayFeatures:
        """The features [1, L, ...] of the frames in `x`, which may be a context window of the video."""
        key = (tuple(x.shape[-2:]), x.device)
        if self._kept is None or self._kept[0] != key:
            rays = token_rays(self.trajectory, (x.shape[-2], x.shape[-1]), patch_hw=network.patch_size[1:])
            self._kept = key, self.loaded.model.features(rays.flatten(1, 2).float().to(x.device))
        features, window = self._kept[1], options.get("context_window")
        if window is None or window.dim != _TIME_DIM:
            check_latent_frames(self.trajectory, x.shape[_TIME_DIM])
            return RayFeatures(*(part.flatten(0, 1)[None] for part in features))
        frames = window_frames(window, latent_frames(len(self.trajectory)))
        return RayFeatures(*(part[frames].flatten(0, 1)[None] for part in features))


def window_frames(window: Any, frames: int) -> list[int]:
    """The latent frames of a context window, the anchor frame that ComfyUI 0.33 may put before them included.

    Raises ValueError when the path, of `frames` latent frames, is not as long as the video.
    """
    anchor = getattr(window, "causal_anchor_index", None)
    shown = [*([anchor] if anchor is not None and anchor >= 0 else []), *window.index_list]
    total = getattr(window, "total_frames", None) or max(shown) + 1
    if total != frames or max(shown) >= frames:
        raise ValueError(f"the camera path is one of {frames} latent frames, but the video has {total}")
    return shown


def reference_tokens(network: WanModel, conds: dict[str, Any]) -> int:
    """How many tokens of a reference image (models with a ref_conv) stand before the video's."""
    reference = conds.get("reference_latent")
    if reference is None or getattr(network, "ref_conv", None) is None:
        return 0
    return (reference.shape[-2] // network.patch_size[1]) * (reference.shape[-1] // network.patch_size[2])


def with_raype(model: ModelPatcher, loaded: LoadedRayPE, sampling: RaySampling) -> ModelPatcher:
    """A clone of a Wan MODEL whose self-attention reads rays; what an earlier RayPE did to it no longer counts.

    Raises ValueError when the MODEL is no stock Wan, of another size, or not the expert that RayPE was trained in.
    """
    check_model(model, loaded)
    patched = model.clone()
    patched.remove_wrappers_with_key(_APPLY_MODEL, KEY)
    patched.add_wrapper_with_key(_APPLY_MODEL, KEY, sampling)
    patched.remove_callbacks_with_key(_ON_CLONE, KEY)
    patched.add_callback_with_key(_ON_CLONE, KEY, follow_clone)
    patched.set_additional_models(KEY, [patcher_of(loaded).clone()])
    for number, encoding in enumerate(loaded.model.layers()):
        name = f"diffusion_model.blocks.{number}.self_attn.forward"
        patched.add_object_patch(name, RayAttention(_without_rays(patched.get_model_object(name)), encoding))
    return patched


def follow_clone(original: ModelPatcher, clone: ModelPatcher) -> None:
    """Let the patches of a clone that has a network of its own (ComfyUI 0.33 makes such for torch.compile, hooks and
    several GPUs) run the attention of that network and not of the original's."""
    if clone.model is original.model:
        return
    for name, patch in clone.object_patches.items():
        if isinstance(patch, RayAttention) and isinstance(getattr(patch.inner, "__self__", None), torch.nn.Module):
            inner = _without_rays(comfy.utils.get_attr(clone.model, name))
            clone.object_patches[name] = RayAttention(inner, patch.encoding)


def patcher_of(loaded: LoadedRayPE) -> ModelPatcher:
    """The patcher by which ComfyUI moves the weights: one for the life of the module, of which every MODEL has a clone.

    It hangs on the module, since ComfyUI reports a leak when a module outlives its patchers.
    """
    patcher = getattr(loaded.model, "raxel_patcher", None)
    if patcher is None:
        load_device = comfy.model_management.get_torch_device()
        patcher = ModelPatcher(loaded.model, load_device, comfy.model_management.unet_offload_device())
        loaded.model.raxel_patcher = patcher
    return patcher


def check_model(model: ModelPatcher, loaded: LoadedRayPE) -> None:
    """ValueError in one sentence when RayPE cannot go into this MODEL."""
    network, config = model.get_model_object("diffusion_model"), loaded.model.config
    if type(network) is not WanModel:
        raise ValueError(
            f"RayPE works in Wan 2.1 and 2.2 text-to-video and image-to-video models, but this MODEL is "
            f"{type(model.model).__name__} ({type(network).__name__})"
        )
    if (network.dim, len(network.blocks)) != (config.dim, config.layers):
        raise ValueError(
            f"{loaded.name} is for a model of width {config.dim} with {config.layers} blocks, this MODEL has width "
            f"{network.dim} and {len(network.blocks)} blocks"
        )
    weights = {name: model.get_model_object(f"diffusion_model.{name}") for name in loaded.marks}
    if not same_expert(loaded, weights):
        raise ValueError(
            f"this MODEL is not the expert that {loaded.name} was trained in: its self-attention and feed-forward were "
            "trained with it, so load it from the same file with Load RayPE Expert"
        )


def raype_names() -> list[str]:
    """The files to choose from: those in models/raype (an index stands for its shards), then whole experts among the
    diffusion models, in which RayPE was found."""
    folder_paths.add_model_folder_path(RAYPE_FOLDER, str(Path(folder_paths.models_dir) / RAYPE_FOLDER))
    own = [name for name in folder_paths.get_filename_list(RAYPE_FOLDER) if _is_whole(name)]
    models = [name for name in folder_paths.get_filename_list(MODEL_FOLDER) if _is_whole(name)]
    return own + [name for name in models if name not in own and _names_raype(MODEL_FOLDER, name)]


def raype_path(name: str) -> Path:
    """The file of a name from `raype_names`; FileNotFoundError for any other."""
    found = folder_paths.get_full_path(RAYPE_FOLDER, name)
    return Path(found) if found else model_file(MODEL_FOLDER, name)


def load_expert(path: str, weight_dtype: str = "default", disable_dynamic: bool = False) -> ModelPatcher:
    """The Wan expert in a file or a set of shards, read in place, as a MODEL; RayPE's own weights are left out.

    Raises ValueError when ComfyUI does not know the model or the file holds RayPE alone.
    """
    sd: dict[str, Tensor] = {}
    for file in checkpoint_files(Path(path)):
        tensors, metadata = comfy.utils.load_torch_file(str(file), return_metadata=True)
        sd |= {key: tensor for key, tensor in tensors.items() if not WEIGHT_KEY.fullmatch(key)}
    dtype = WEIGHT_DTYPES[weight_dtype]
    options = {} if dtype is None else {"dtype": dtype}
    dynamic = {"disable_dynamic": True} if disable_dynamic else {}
    load = comfy.sd.load_diffusion_model_state_dict
    patcher = load(sd, model_options=options, metadata=metadata, **dynamic) if sd else None
    if patcher is None:
        raise ValueError(f"{Path(path).name} holds no model that ComfyUI knows beside RayPE's weights")
    patcher.cached_patcher_init = (load_expert, (path, weight_dtype))
    return patcher


def _without_rays(attention: Attention) -> Attention:
    return attention.inner if isinstance(attention, RayAttention) else attention


def _is_whole(name: str) -> bool:
    """Whether a name is an index or a file of its own, not one of several shards."""
    return name.endswith(_INDEX) or (name.endswith(_SUFFIX) and "-of-" not in name)


def _names_raype(folder: str, name: str) -> bool:
    path = folder_paths.get_full_path(folder, name)
    if path is None or name.endswith(_INDEX):
        return False
    state = Path(path).stat()
    return _says_raype(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _says_raype(path: str, modified: int, size: int) -> bool:
    """Whether a safetensors header names RayPE's weights; remembered until the file changes."""
    with Path(path).open("rb") as file:
        return b".self_attn.plucker_pe." in file.read(min(int.from_bytes(file.read(8), "little"), _HEADER_BYTES))

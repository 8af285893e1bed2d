"""What every run of a raxel model passes through: shapes for ComfyUI before 0.33, and given streams kept to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.patcher_extension
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from torch.nn import Module

from .network import patch_bare_parameters, remembering_clean_streams
from .packing import Shapes, run_of, unpack

WRAPPER_KEY = "raxel"
_OUTER_SAMPLE = comfy.patcher_extension.WrappersMP.OUTER_SAMPLE


def with_raxel_sampling(model: ModelPatcher) -> ModelPatcher:
    """The MODEL itself when its runs pass through `keep_given_streams` already, else a clone whose runs do."""
    if model.get_wrappers(_OUTER_SAMPLE, WRAPPER_KEY):
        return model
    clone = model.clone()
    add_raxel_sampling(clone)
    return clone


def add_raxel_sampling(model: ModelPatcher) -> None:
    """Let the runs of a patcher pass through `keep_given_streams`, and its loads end in `patch_bare_parameters`."""
    model.add_wrapper_with_key(_OUTER_SAMPLE, WRAPPER_KEY, keep_given_streams)
    model.add_callback_with_key(comfy.patcher_extension.CallbacksMP.ON_LOAD, WRAPPER_KEY, _after_load)


def _after_load(model: ModelPatcher, *unused: Any) -> None:
    patch_bare_parameters(model)


def keep_given_streams(
    executor: Callable[..., Tensor],
    noise: Tensor,
    latent_image: Tensor,
    sampler: Any,
    sigmas: Tensor,
    denoise_mask: Tensor | None = None,
    *args: Any,
    latent_shapes: Shapes | None = None,
    **kwargs: Any,
) -> Tensor:
    """Run ComfyUI's sampling over packs [B, 1, N]; what the mask keeps comes back as it went in, to the last bit.

    Raises ValueError naming the stream when latents are NaN or infinite, before or after the run.
    """
    model = executor.class_obj.model_patcher.model  # type: ignore[attr-defined]
    model.latent_shapes = latent_shapes  # ComfyUI 0.8 converts a denoised pack after the run
    check_finite(latent_image, latent_shapes, "given to the sampler")
    if noise.shape != latent_image.shape and not bool(noise.any()):  # 0.8 makes one stream of empty noise only
        noise = torch.zeros_like(latent_image)
    with remembering_clean_streams(), run_of(latent_shapes):
        out = executor(noise, latent_image, sampler, sigmas, denoise_mask, *args, latent_shapes=latent_shapes, **kwargs)
    if denoise_mask is not None:
        out = torch.where(denoise_mask.to(out.device) == 0, latent_image.to(out), out)
    check_finite(out, latent_shapes, "made by the sampler", model.diffusion_model)
    return out


def check_finite(packed: Tensor, shapes: Shapes | None, moment: str, network: Module | None = None) -> None:
    """ValueError that names the stream when a pack [B, 1, N] holds NaN or infinity, and the weight that does so too."""
    if shapes is None or len(shapes) != 2 or bool(torch.isfinite(packed).all()):
        return
    bad = [n for n, x in unpack(packed, shapes)._asdict().items() if not bool(torch.isfinite(x).all())]
    weight = None if network is None else non_finite_weight(network)
    cause = "" if weight is None else f", and so does the checkpoint's {weight}"
    raise ValueError(f"the {' and '.join(bad)} latents {moment} contain NaN or infinity{cause}")


def non_finite_weight(network: Module) -> str | None:
    """The name of a parameter that holds NaN or infinity, if there is one; the packed ones of a file are not read."""
    weights = ((name, weight.data) for name, weight in network.named_parameters())
    return next((n for n, w in weights if type(w) is Tensor and not bool(torch.isfinite(w.float()).all())), None)

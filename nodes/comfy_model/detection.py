"""The architecture registered with ComfyUI's detection, so that its own loaders open raxel checkpoints as well.

ComfyUI has no hook for a new architecture: its list of models is added to, and its detection function is wrapped. The
wrapper answers for state dicts with both of our heads and hands everything else on, unchanged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import comfy.model_detection
import comfy.supported_models

from .base_model import HEADER_TENSORS, IMAGE_MODEL, RaxelModelConfig, text_of_tensor

_MARKER = "_raxel_detection"
_HEADS = ("video_head.head.weight", "ray_head.head.weight")

Detect = Callable[..., "dict[str, Any] | None"]


def register_raxel_architecture() -> None:
    """Add the architecture to ComfyUI's own; doing so twice changes nothing."""
    models = comfy.supported_models.models
    models[:] = [known for known in models if known.unet_config.get("image_model") != IMAGE_MODEL]
    models.append(RaxelModelConfig)
    detect = comfy.model_detection.detect_unet_config
    if not _is_wrapped(detect):
        comfy.model_detection.detect_unet_config = with_raxel_detection(detect)


def with_raxel_detection(detect: Detect) -> Detect:
    """`detect` with raxel checkpoints recognised first."""

    @functools.wraps(detect)
    def detect_unet_config(state_dict: Mapping[str, Any], key_prefix: str, *args: Any, **kwargs: Any) -> Any:
        if all(f"{key_prefix}{head}" in state_dict for head in _HEADS):
            metadata = kwargs.get("metadata", args[0] if args else None)
            return raxel_unet_config(state_dict, key_prefix, metadata)
        return detect(state_dict, key_prefix, *args, **kwargs)

    setattr(detect_unet_config, _MARKER, True)
    return detect_unet_config


def raxel_unet_config(
    state_dict: Mapping[str, Any], key_prefix: str, metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    """What the header says of a raxel state dict, or the tensors that carry it in a file ComfyUI saved."""
    found = {"image_model": IMAGE_MODEL}
    for name in HEADER_TENSORS:
        if metadata and name in metadata:
            found[name] = metadata[name]
        elif f"{key_prefix}{name}" in state_dict:
            found[name] = text_of_tensor(state_dict[f"{key_prefix}{name}"])
        else:
            raise ValueError(
                f"this raxel checkpoint has lost its header ({name} is missing): save it again with its metadata"
            )
    return found


def _is_wrapped(function: Callable[..., Any] | None) -> bool:
    """Whether ours is among the wrappers around a function."""
    while function is not None:
        if getattr(function, _MARKER, False):
            return True
        function = getattr(function, "__wrapped__", None)
    return False

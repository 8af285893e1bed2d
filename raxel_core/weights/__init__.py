"""Weights as files: checkpoints and their layouts, conversion, LoRA, quantisation and streaming."""

from __future__ import annotations

from .checkpoint import LoadedCheckpoint, load_checkpoint, read_header, save_checkpoint
from .state_dict import from_wan, initialize_ray_branch, to_wan

__all__ = [
    "LoadedCheckpoint",
    "from_wan",
    "initialize_ray_branch",
    "load_checkpoint",
    "read_header",
    "save_checkpoint",
    "to_wan",
]

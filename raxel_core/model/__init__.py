"""The network: two streams of tokens and their noise levels, and nothing of cameras, VAEs or hosts."""

from __future__ import annotations

from .checkpoint import LoadedCheckpoint, load_checkpoint, read_header, save_checkpoint
from .config import TINY, WAN_1_3B, WAN_14B, RaxelConfig
from .state_dict import from_wan, initialize_ray_branch, to_wan
from .transformer import RaxelTransformer, initialize

__all__ = [
    "TINY",
    "WAN_1_3B",
    "WAN_14B",
    "LoadedCheckpoint",
    "RaxelConfig",
    "RaxelTransformer",
    "from_wan",
    "initialize",
    "initialize_ray_branch",
    "load_checkpoint",
    "read_header",
    "save_checkpoint",
    "to_wan",
]

"""The network: two streams of tokens and their noise levels, and nothing of cameras, VAEs or hosts."""

from __future__ import annotations

from .config import TINY, WAN_1_3B, WAN_14B, RaxelConfig
from .transformer import RaxelTransformer, initialize

__all__ = [
    "TINY",
    "WAN_1_3B",
    "WAN_14B",
    "RaxelConfig",
    "RaxelTransformer",
    "initialize",
]

"""How much arithmetic one forward pass is: two operations for each multiply-add of its matrix products."""

from __future__ import annotations

from math import prod

from ..model.config import RaxelConfig

Grid = tuple[int, int, int]


def raxel_flops(config: RaxelConfig, video: Grid, rays: Grid, text_tokens: int) -> int:
    """Operations of one sample whose streams have tokens (T, rows, columns); `text_tokens` 0 skips the text.

    With `attention="dsca"` the inter-modal stage projects again what self-attention left ("sequential"); text is read
    by the video alone. Every frame has a noise level of its own. Raises ValueError for a Plücker model.
    """
    if config.ray_representation != "raxel":
        raise ValueError("operations are counted for a model with a stream of rays, not for a Plücker model")
    n, m = prod(video), prod(rays)
    dim, stages = config.dim, 2 if config.attention == "dsca" else 1
    attention = 4 * dim * (n + m) ** 2  # the same, whether in one softmax or in four
    block = stages * 4 * _linear(dim, dim, n + m) + attention + _feed_forward(config, n + m)
    block += _read_text(config, n, text_tokens)
    ends = sum(_ends(config, grid, grid[0]) for grid in (video, rays))
    return config.layers * block + ends + _embed_text(config, text_tokens)


def wan_flops(config: RaxelConfig, video: Grid, text_tokens: int) -> int:
    """Operations of Wan's own model of the sizes in `config`, with one noise level for the clip."""
    n, dim = prod(video), config.dim
    block = 4 * _linear(dim, dim, n) + 4 * dim * n**2 + _feed_forward(config, n) + _read_text(config, n, text_tokens)
    return config.layers * block + _ends(config, video, 1) + _embed_text(config, text_tokens)


def _linear(channels: int, out: int, tokens: int) -> int:
    return 2 * channels * out * tokens


def _feed_forward(config: RaxelConfig, tokens: int) -> int:
    return 2 * _linear(config.dim, config.ffn_dim, tokens)


def _read_text(config: RaxelConfig, tokens: int, text_tokens: int) -> int:
    """Text cross-attention of one block."""
    if not text_tokens:
        return 0
    return 2 * _linear(config.dim, config.dim, tokens + text_tokens) + 4 * config.dim * tokens * text_tokens


def _embed_text(config: RaxelConfig, text_tokens: int) -> int:
    if not text_tokens:
        return 0
    return _linear((config.text_dim or 0) + config.dim, config.dim, text_tokens)


def _ends(config: RaxelConfig, grid: Grid, levels: int) -> int:
    """Patch embedding and head of one stream, and the time embedding of its `levels` noise levels."""
    patch = config.in_channels * prod(config.patch)
    return 2 * _linear(patch, config.dim, prod(grid)) + _linear(config.freq_dim + 7 * config.dim, config.dim, levels)

"""Wan's three-axis rotary position embedding, at real-valued positions.

A token sits at (latent time, row, column) in the token grid of the video. Frequencies and their split over the axes
are Wan 2.1's; positions need not be whole, so that source images and coarser ray grids have exact places.
"""

from __future__ import annotations

import torch
from torch import Tensor

THETA = 10000.0
COMPLEX_DEVICES = ("cpu", "cuda")
FLOAT64_DEVICES = ("cpu", "cuda", "meta")


def axis_widths(head_dim: int) -> tuple[int, int, int]:
    """Channels of one head turned by (time, row, column): rows and columns get a third each, rounded down to even."""
    spatial = 2 * (head_dim // 6)
    return head_dim - 2 * spatial, spatial, spatial


def covering_positions(tokens: int, video_tokens: int) -> Tensor:
    """Positions [tokens] (float64) of a grid of `tokens` cells laid over `video_tokens` cells, counted in the latter.

    Cell r covers the video cells of [r s, (r + 1) s) with s = video_tokens / tokens and sits at their centre,
    r s + (s - 1) / 2; equal grids give 0, 1, 2, ...
    """
    scale = video_tokens / tokens
    return torch.arange(tokens, dtype=torch.float64) * scale + (scale - 1) / 2


def rotation_table(
    time: Tensor, rows: Tensor, columns: Tensor, *, head_dim: int, base: float = THETA, scale: float = 1.0
) -> Tensor:
    """Cosines and sines [B, T*h*w, 1, head_dim / 2, 2] (float32) that turn the channel pairs of each token.

    `time` [B, T] (B = 1 when all samples share it), `rows` [h], `columns` [w]: positions in tokens, which `scale`
    multiplies; pair i of an axis with n pairs turns by position / base^(i / n).
    Angles and their sines are computed in float64; the table lies on the device of `time`.
    """
    precise = in_float64(time)
    batch, frames = time.shape
    shape = (batch, frames, rows.shape[0], columns.shape[0], -1)
    width_t, width_y, width_x = axis_widths(head_dim)
    angles = torch.cat(
        (
            _angles(scale * precise, width_t, base)[:, :, None, None].expand(shape),
            _angles(scale * rows.to(precise), width_y, base)[None, None, :, None].expand(shape),
            _angles(scale * columns.to(precise), width_x, base)[None, None, None, :].expand(shape),
        ),
        dim=-1,
    )  # [B, T, h, w, head_dim / 2]
    table = torch.stack((angles.cos(), angles.sin()), dim=-1).float()
    return table.flatten(1, 3).unsqueeze(2).to(time.device)  # [B, T*h*w, 1, head_dim / 2, 2]


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn the neighbouring channel pairs of `x` [B, L, heads, head_dim] by `table` [1 or B, L, 1, head_dim / 2, 2].

    Computed in float32, returned in x's dtype. As complex products where the device has them: one pass over memory,
    which a compiler makes of the real form too, and of that alone.
    """
    pairs = x.float().unflatten(-1, (-1, 2))  # [B, L, heads, head_dim / 2, 2]
    if x.device.type in COMPLEX_DEVICES and not torch.compiler.is_compiling():
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(table))
    else:
        turned = turn_pairs(pairs, table)
    return turned.flatten(-2).to(x.dtype)


def turn_pairs(pairs: Tensor, table: Tensor) -> Tensor:
    """(x, y) -> (x cos - y sin, x sin + y cos) over the last axis of `pairs` [..., 2] and `table` [..., 2]."""
    x, y = pairs.unbind(-1)
    cos, sin = table.unbind(-1)
    return torch.stack((x * cos - y * sin, x * sin + y * cos), dim=-1)


def in_float64(x: Tensor) -> Tensor:
    """`x` in float64, moved to the CPU where its device has no such numbers."""
    return x.to(torch.float64) if x.device.type in FLOAT64_DEVICES else x.cpu().to(torch.float64)


def _angles(position: Tensor, width: int, base: float) -> Tensor:
    """Angles [..., width / 2] in radians of positions [...] (float64): position / base^(2 i / width)."""
    exponent = torch.arange(0, width, 2, dtype=torch.float64, device=position.device) / width
    return position.unsqueeze(-1) / base**exponent

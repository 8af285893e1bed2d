"""The attention function the network uses unless it is handed another one."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]

SHORT = 1 << 20  # queries times keys of one head up to which the explicit product is the faster one to train on a CPU


# Multiplications after which a CPU, at some 30 billion a second, is given the chance to hear of an interruption.
PIECE_OF_WORK = 3e10


def attend_in_pieces(attention: Attention, q: Tensor, k: Tensor, v: Tensor, before_piece: Callable[[], None]) -> Tensor:
    """`attention(q, k, v)`, on a CPU a few queries at a time where all would take long, each after `before_piece()`.

    Queries know nothing of each other, so that the pieces are the whole.
    """
    queries, work = q.shape[-2], 2.0 * q.numel() * k.shape[-2]
    if q.device.type != "cpu" or work <= PIECE_OF_WORK:
        return attention(q, k, v)
    found = []
    for piece in q.split(max(1, int(queries * PIECE_OF_WORK / work)), dim=-2):
        before_piece()
        found.append(attention(piece, k, v))
    return torch.cat(found, dim=-2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for q [B, heads, L, d] and k, v [B, heads, M, d]; returns [B, heads, L, d].

    PyTorch's fused kernel, except where a CPU has to differentiate short sequences: its fused backward takes 2.5
    times as long there as the two matrix products it avoids.
    """
    if q.device.type == "cpu" and q.requires_grad and q.shape[-2] * k.shape[-2] <= SHORT:
        return _attend_explicitly(q, k, v)
    return attend_in_pieces(F.scaled_dot_product_attention, q, k, v, lambda: None)


def _attend_explicitly(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = q.shape[:2]
    q, k, v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    logits = torch.baddbmm(q.new_empty(()), q, k.transpose(1, 2), beta=0, alpha=q.shape[-1] ** -0.5)
    return torch.bmm(logits.softmax(-1), v).unflatten(0, heads)

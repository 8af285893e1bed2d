"""Rows of quaternions: signs that follow each other, and the way between two."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import se3


def continuous(rotation: Tensor) -> Tensor:
    """Quaternions (w, x, y, z) [F, 4] of `rotation` [F, 3, 3], each of the sign that is nearer to the one before."""
    quaternion = se3.quaternion_from_rotation(rotation)
    turned = torch.where((quaternion[1:] * quaternion[:-1]).sum(-1) < 0.0, -1.0, 1.0)
    sign = torch.cat((turned.new_ones(1), turned.cumprod(0)))
    return quaternion * sign[:, None]


def slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Quaternions [F, 4] a `share` [F] of the shorter way from `a` to `b`."""
    dot = (a * b).sum(-1, keepdim=True)
    b, angle = torch.where(dot < 0.0, -b, b), torch.arccos(dot.abs().clamp(max=1.0))
    near = angle < 1e-6
    safe, share = torch.where(near, 1.0, angle), share[:, None]
    left = torch.where(near, 1.0 - share, torch.sin((1.0 - share) * safe) / safe.sin())
    right = torch.where(near, share, torch.sin(share * safe) / safe.sin())
    return left * a + right * b

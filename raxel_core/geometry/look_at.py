"""The camera rotation that faces a point with a level horizon."""

from __future__ import annotations

import torch
from torch import Tensor

# Nearer to straight up or down than this (the sine of the angle), no level axis is marked out.
_VERTICAL = 1e-9


def look_rotation(forward: Tensor) -> Tensor:
    """World-from-camera rotation [..., 3, 3] whose z axis is `forward` [..., 3], of any length but zero.

    Its x axis is level: the world's up is -y. Straight up or down every x axis is level; it is the world's then.
    """
    z = forward / torch.linalg.vector_norm(forward, dim=-1, keepdim=True)
    level = torch.hypot(z[..., 0], z[..., 2])[..., None]
    marked_out = level > _VERTICAL
    safe = torch.where(marked_out, level, 1.0)
    across = torch.stack((z[..., 2], torch.zeros_like(z[..., 1]), -z[..., 0]), dim=-1) / safe
    x = torch.where(marked_out, across, z.new_tensor((1.0, 0.0, 0.0)))
    return torch.stack((x, torch.linalg.cross(z, x, dim=-1), z), dim=-1)

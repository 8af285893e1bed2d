"""Camera bundles as Ray Diffusion's network holds them: the one file that knows its channels.

Six channels a ray: unit direction d and moment m = o x d in PyTorch3D's axes, of the scene's frame (`scene`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry.pytorch3d import turned_axes
from ..geometry.rays import Plucker


def bundle_from_plucker(plucker: Plucker) -> Tensor:
    """The network's rays [..., 6, h, w] of lines [..., h, w] in the scene's frame."""
    parts = (turned_axes(plucker.direction), turned_axes(plucker.moment))
    return torch.cat(parts, dim=-1).movedim(-1, -3)


def plucker_from_bundle(bundle: Tensor) -> Plucker:
    """The lines [..., h, w] of the network's rays [..., 6, h, w]."""
    parts = bundle.movedim(-3, -1)
    return Plucker(turned_axes(parts[..., :3]), turned_axes(parts[..., 3:]))


def normalized_bundle(bundle: Tensor) -> Tensor:
    """The nearest lines to predicted `bundle` [..., 6, h, w]: d of length 1, and m made orthogonal to it."""
    direction = torch.nn.functional.normalize(bundle[..., :3, :, :], dim=-3)
    moment = bundle[..., 3:, :, :]
    along = (direction * moment).sum(-3, keepdim=True)
    return torch.cat((direction, moment - along * direction), dim=-3)


def published_bundle(bundle: Tensor) -> Tensor:
    """The same as the published sampler computes it: what m has along d is taken off divided by the length of the
    unnormalised d, which leaves a part of it where that length is not 1."""
    direction, moment = bundle[..., :3, :, :], bundle[..., 3:, :, :]
    length = torch.linalg.vector_norm(direction, dim=-3, keepdim=True)
    unit = direction / length
    along = (unit * moment).sum(-3, keepdim=True)
    return torch.cat((unit, moment - along * unit / length), dim=-3)

"""Convex solids of one form: a unit shape under an affine map, so that one intersection serves them all.

In its own coordinates a solid is the part of the cube |x|, |y|, |z| <= 1 where x^2 + z^2 <= a + b y + c y^2. The three
numbers of its profile make it a box, a ball, a cylinder or a cone; y points down, as in the world, so a cone stands on
its base. Whatever is not convex is a compound of such solids.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BOX, BALL, CYLINDER, CONE, FRUSTUM, PEBBLE = range(6)
PROFILES = (
    (4.0, 0.0, 0.0),  # the disc holds the whole square: a box
    (1.0, 0.0, -1.0),
    (1.0, 0.0, 0.0),
    (0.25, 0.5, 0.25),  # radius (1 + y) / 2
    (0.64, 0.32, 0.04),  # radius 0.8 + 0.2 y
    (1.55, 0.0, -1.0),  # a cube whose corners a ball has ground off
)
ABSENT = 1e4  # where solids go that a scene does not use, and how small they become there


class Solids(NamedTuple):
    """N solids in each of B scenes, in world units."""

    center: Tensor  # [B, N, 3]
    axes: Tensor  # [B, N, 3, 3] columns: the half axes
    profile: Tensor  # [B, N, 3] (a, b, c)
    surface: Tensor  # [B, N, 11] as `surfaces.Surface` lays it out
    item: Tensor  # [B, N] which object a solid is part of; structure has -1


def join(parts: list[Solids]) -> Solids:
    """The solids of all parts, in order."""
    return Solids(*(torch.cat(values, 1) for values in zip(*parts, strict=True)))


def yaw_rotation(angle: Tensor) -> Tensor:
    """Rotations [..., 3, 3] about the vertical by `angle` [...], radians."""
    cos, sin, zero, one = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle), torch.ones_like(angle)
    rows = [cos, zero, sin, zero, one, zero, -sin, zero, cos]
    return torch.stack(rows, -1).reshape(*angle.shape, 3, 3)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Products of 3x3 matrices [..., 3, 3], term by term: the same bits in any batch."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrices [..., 3, 3] times vectors [..., 3], term by term."""
    return (matrix * vector[..., None, :]).sum(-1)


def inverse(matrix: Tensor) -> Tensor:
    """Inverses of 3x3 matrices [..., 3, 3] by cofactors."""
    a, b, c = matrix.unbind(-1)
    rows = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], -2)
    return rows / (a * rows[..., 0, :]).sum(-1)[..., None, None]


def without(solids: Solids, gone: Tensor) -> Solids:
    """The same tables with the solids `gone` [B, N] out of every view."""
    far = torch.tensor([0.0, -ABSENT, 0.0], device=solids.center.device)
    center = torch.where(gone[..., None], far, solids.center)
    axes = torch.where(gone[..., None, None], torch.eye(3, device=center.device) / ABSENT, solids.axes)
    return solids._replace(center=center, axes=axes)


def lengths(axes: Tensor) -> Tensor:
    """Lengths [..., 3] of the columns of matrices [..., 3, 3]."""
    return axes.square().sum(-2).sqrt()


def compact(solids: Solids) -> Solids:
    """The same solids in shorter tables: unused ones come last, as few as the fullest scene allows."""
    used = solids.center[..., 1] > -0.5 * ABSENT
    order = (~used).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(used.sum(1).max())]
    rows = torch.arange(len(order))[:, None]
    return Solids(*(part[rows, order] for part in solids))


def distances(solids: Solids, points: Tensor) -> Tensor:
    """Distances [B, P, N] from points [B, P, 3] to the boxes around the solids (0 inside); sheared ones roughly."""
    half = lengths(solids.axes)  # [B, N, 3]
    offset = points[:, :, None] - solids.center[:, None]  # [B, P, N, 3]
    along = (solids.axes[:, None] * offset[..., None]).sum(-2) / half[:, None]
    return (along.abs() - half[:, None]).clamp_min(0).square().sum(-1).sqrt()

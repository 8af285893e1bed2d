"""The point nearest to many lines of space, in the sense of least squares."""

from __future__ import annotations

import torch
from torch import Tensor

# The least eigenvalue of the mean of I - d d^T below which lines are taken for parallel: 0.06 degrees of spread.
PARALLEL = 1e-6


def line_normal_matrix(direction: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum of w (I - d d^T) [..., 3, 3] over unit `direction` [..., 3, N] with `weights` [..., N], one by default."""
    outer = (direction if weights is None else direction * weights[..., None, :]) @ direction.mT
    trace = outer.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    return torch.diag_embed(trace.expand(*outer.shape[:-1])) - outer


def determinant(matrix: Tensor) -> Tensor:
    """det [...] of `matrix` [..., 3, 3], by its rows; for small batches this is faster than the general one."""
    first, second, third = matrix.unbind(-2)
    return (torch.linalg.cross(first, second, dim=-1) * third).sum(-1)


def nearest_to_lines(point: Tensor, direction: Tensor) -> Tensor:
    """The point c [..., 3] with the least sum of |(I - d d^T)(c - p)|^2 to lines through `point` along unit
    `direction`, both [..., N, 3]. In float64.

    Raises ValueError where the lines are parallel, so that no point is nearest.
    """
    point, direction = point.double(), direction.double()
    normal = line_normal_matrix(direction.mT)
    least = torch.linalg.eigvalsh(normal)[..., 0]
    if bool((least <= PARALLEL * direction.shape[-2]).any()):
        raise ValueError("the lines are parallel: no point is nearest to them")
    across = point - (point * direction).sum(-1, keepdim=True) * direction
    return torch.linalg.solve(normal, across.sum(-2))

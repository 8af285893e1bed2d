"""The fit of a camera's centre to moments m = c x d, or to origins, under Tukey's weights, with its covariance.

Vectors are [B, F, 3, N], those of F frames of B clips, with `weights` [B, F, N] of mean one, None where all are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .direction_fit import rms_inside, tukey
from .lines import line_normal_matrix
from .procrustes import median
from .ray_fit import correlation_inflation

_START_ITERATIONS, _ITERATIONS = 4, 10
_STEP_TOLERANCE = 1e-10


class CenterFit(NamedTuple):
    """`center` [B, F, 3], the `normal` matrix [B, F, 3, 3] of its equations, and `weights` [B, F, N] or None."""

    center: Tensor
    normal: Tensor
    weights: Tensor | None


class CenterFigures(NamedTuple):
    """`covariance` [B, F, 3, 3] of a centre, given the directions; `rms` [B, F] of the rays that fit, in the map's
    lengths, and `inside` [B, F, N] which do."""

    covariance: Tensor
    rms: Tensor
    inside: Tensor


def nearest_to_moments(
    direction: Tensor, moment: Tensor, weights: Tensor | None, normal: Tensor | None = None
) -> CenterFit:
    """The centre c with the least sum of w |m - c x d|^2, the part along d left out: the point nearest to the lines.

    `normal` is `line_normal_matrix` of the same, where the caller has it.
    """
    weighted = direction if weights is None else direction * weights[..., None, :]
    normal = line_normal_matrix(direction, weights) if normal is None else normal
    crossed = (weighted @ moment.mT).flatten(-2)  # sum of w d x m is its skew part
    right = crossed[..., (5, 6, 1)] - crossed[..., (7, 2, 3)]  # (yz - zy, zx - xz, xy - yx)
    return CenterFit(torch.linalg.solve_ex(normal, right[..., None]).result[..., 0], normal, weights)


def mean_of_origins(origin: Tensor, weights: Tensor | None) -> CenterFit:
    """The mean of `origin` by its weights."""
    weights = torch.ones_like(origin[..., 0, :]) if weights is None else weights
    total = weights.sum(-1)[..., None].clamp(min=1e-300)
    center = (origin @ weights[..., None])[..., 0] / total
    return CenterFit(center, total[..., None] * torch.eye(3, dtype=origin.dtype, device=origin.device), weights)


def moment_residual(direction: Tensor, moment: Tensor, center: Tensor) -> Tensor:
    """d x m - (I - d d^T) c [B, F, 3, N]: how far each line passes from the point, from it to the line."""
    point = center[..., None].expand_as(direction)
    along = (direction * point).sum(-2, keepdim=True)
    return torch.linalg.cross(direction, moment, dim=-2) - point + along * direction


def robust_center(
    solve: Callable[[Tensor], CenterFit],
    residual: Callable[[Tensor], Tensor],
    confidence: Tensor | None,
    dimensions: int,
) -> CenterFit:
    """`solve(weights)` again and again under Tukey's weights of `residual(center)`, begun with 1 / |residual|."""
    assert confidence is not None
    fit = solve(confidence)
    for i in range(_START_ITERATIONS + _ITERATIONS):
        length = torch.linalg.vector_norm(residual(fit.center), dim=-2)
        if i < _START_ITERATIONS:
            weights = confidence / torch.maximum(length, 0.1 * median(length).clamp(min=1e-12)[..., None])
        else:
            weights = confidence * tukey(length, confidence, dimensions)[1]
        before, fit = fit.center, solve(weights)
        if i >= _START_ITERATIONS and float((fit.center - before).abs().max()) < _STEP_TOLERANCE:
            break
    return fit


def center_figures(
    fit: CenterFit, rest: Tensor, confidence: Tensor, grid_hw: tuple[int, int], *, dimensions: int, robust: bool
) -> CenterFigures:
    """The figures of `fit` with the residual `rest` [B, F, 3, N]: covariance = sigma^2 kappa A^-1."""
    length = torch.linalg.vector_norm(rest, dim=-2)
    sigma, tukeys = tukey(length, confidence, dimensions)
    inside = tukeys > 0.0
    if not robust:
        sigma = (length.square().mean(-1) / dimensions).sqrt()
    weights = torch.ones_like(length) if fit.weights is None else fit.weights
    kappa = correlation_inflation(rest * weights[..., None, :], grid_hw)
    covariance = torch.linalg.inv(fit.normal) * (sigma.square() * kappa)[..., None, None]
    return CenterFigures(covariance, rms_inside(length, inside), inside)


def center_by_directions(fit: CenterFit, direction: Tensor, moment: Tensor, motion: Tensor) -> Tensor:
    """How the centre of `nearest_to_moments` moves, [B, F, 3, P], with what the directions depend on: `motion`
    [P, B, F, 3, N] is theirs.

    Derivative of A c = sum of w d x m, A = sum of w (I - d d^T): A dc = sum of w (dd x m + dd (d . c) + d (dd . c)).
    """
    c = fit.center[..., None]
    turned = torch.linalg.cross(motion, moment.expand_as(motion), dim=-2)
    along = motion * (direction * c).sum(-2, keepdim=True) + direction * (motion * c).sum(-2, keepdim=True)
    weights = torch.ones_like(direction[..., 0, :]) if fit.weights is None else fit.weights
    return torch.linalg.solve(fit.normal, ((turned + along) * weights[..., None, :]).sum(-1).movedim(0, -1))

"""The robust fit of cameras to raxel samples: Gauss-Newton over rotation, centre and one focal length per group.

A raxel is y = R d(f) + t + noise, with the unit direction d of its pixel, so that all samples of a frame lie on a unit
sphere about the camera's centre. Frames that share a focal length form a group: [G, n] frames, N samples in each.

The fit works in each camera's own frame, e = R^T (y - t) - d, under the local update R <- R exp(omega), t <- t + R v,
log f <- log f + delta. There the Jacobian [-[d]_x | I | d'] does not depend on the frame, with d' = d d / d log f =
z (e_z - z d); every sum of the normal equations is a moment of d, and one matrix product gives those of all frames.
Weights are those of J. Tukey, with sigma from the median length of a three-dimensional Gaussian.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from . import se3
from .procrustes import median, rotation_from_covariance

# log of the focal length in half picture widths: log(1 / tan(hfov / 2)) is -2.44 at 170 degrees and 4.05 at 2.
_LOG_FOCAL_RANGE = (-2.5, 4.05)
# sigma of a 3-D Gaussian from the median of its length, and Tukey's cut in units of sigma.
_SIGMA_FROM_MEDIAN = 0.6495
_TUKEY_CUT = 5.1
# The same for the one-dimensional residual of the sphere fit.
_SIGMA_FROM_MEDIAN_1D = 1.4826
_TUKEY_CUT_1D = 4.685
# Noise below this is rounding: frames with less of it count alike, and weights stay defined.
_SMALLEST_SIGMA = 1e-6
_ITERATIONS = 30
_LARGEST_STEP = 0.25
_DAMPING = 1e-7
# A step is the last one when it is below this plus a thousandth of the standard error.
_STEP_TOLERANCE = 1e-7
# The start looks at about this many samples of a frame and at these horizontal angles of view.
_START_SAMPLES = 100
_SCAN_DEGREES = tuple(range(25, 122, 8))
_SPHERE_ITERATIONS = 6
_CONCENTRATIONS = 4
_SCAN_FRAMES = 16
# Residuals are taken as correlated up to this many samples away, along either axis.
_CORRELATION_REACH = 6
# Above this share of the bundle's own spread a residual says nothing about the ray it belongs to.
_INLIER_SPREAD = 0.35
# A start whose median residual is above this share of the spread is taken up again from parts of the image.
_POOR_START = 0.3

# Which moment of `_features` stands where in the 7 x 7 normal matrix (omega, v, log f), and with which sign.
_MOMENT = (
    (7, 10, 11, 0, 3, 2, 12),
    (10, 8, 12, 3, 0, 1, 11),
    (11, 12, 9, 2, 1, 0, 0),
    (0, 3, 2, 0, 0, 0, 4),
    (3, 0, 1, 0, 0, 0, 5),
    (2, 1, 0, 0, 0, 0, 6),
    (12, 11, 0, 4, 5, 6, 13),
)
_SIGN = (
    (1, -1, -1, 0, -1, 1, 1),
    (-1, 1, -1, 1, 0, -1, -1),
    (-1, -1, 1, -1, 1, 0, 0),
    (0, 1, -1, 1, 0, 0, -1),
    (-1, 0, 1, 0, 1, 0, -1),
    (1, -1, 0, 0, 0, 1, 1),
    (1, -1, 0, -1, -1, 1, 1),
)


@dataclass(frozen=True, eq=False)
class RayProblem:
    """What is fitted, in float64: `rays` [G, n, 3, N], samples of a grid `grid_hw` whose product is N.

    `slopes` (x / z, y / z) [G or 1, 2, N] are those of the pixels at log f = 0; they shrink by exp(-log f). `pinned`
    [G, n] marks frames that are the identity by definition. `focal_free` says whether log f is estimated or zero.
    """

    rays: Tensor
    slopes: Tensor
    grid_hw: tuple[int, int]
    pinned: Tensor
    focal_free: bool

    def directions(self, log_focal: Tensor) -> Tensor:
        """Unit directions [..., G, 3, N] in the camera's frame for `log_focal` [..., G]."""
        slopes = self.slopes * torch.exp(-log_focal)[..., None, None]
        rho = torch.rsqrt((slopes * slopes).sum(-2, keepdim=True) + 1.0)
        return torch.cat((slopes * rho, rho), dim=-2)

    def thinned(self, step: int) -> RayProblem:
        """The same problem on every `step`-th row and column of the grid."""
        inside = slice(step // 2, None, step)
        rays = self.rays.unflatten(-1, self.grid_hw)[..., inside, inside]
        slopes = self.slopes.unflatten(-1, self.grid_hw)[..., inside, inside]
        hw = (rays.shape[-2], rays.shape[-1])
        return replace(self, rays=rays.flatten(-2).contiguous(), slopes=slopes.flatten(-2), grid_hw=hw)


class RayFit(NamedTuple):
    """Where the cameras stand: `rotation` [..., G, n, 3, 3], `center` [..., G, n, 3] and `log_focal` [..., G]."""

    rotation: Tensor
    center: Tensor
    log_focal: Tensor


class RayAssessment(NamedTuple):
    """How well a fit holds, for frames [G, n].

    `motion_covariance` [G, n, 6, 6] of the local update (omega, v), `focal_variance` [G] of log f and their `coupling`
    [G, n, 6]; `residual_rms` [G, n] per channel over the inliers and `inlier_fraction` [G, n].
    """

    motion_covariance: Tensor
    focal_variance: Tensor
    coupling: Tensor
    residual_rms: Tensor
    inlier_fraction: Tensor


Weigh = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def fit_rays(problem: RayProblem) -> RayFit:
    """The robust maximum-likelihood cameras of `problem`, from the better of two starts; batched over all frames."""
    fit = _start(problem)
    for _ in range(_ITERATIONS):
        directions = problem.directions(fit.log_focal)
        features = _features(directions)
        residual = _residual(problem.rays, fit, directions)
        sigma, weights = tukey_weights(residual, directions)
        normal = _normal_matrix(weights, features)
        gradient = _gradient(residual * weights[..., None, :], features)
        motion_step, focal_step = _solve(problem, normal, gradient, sigma)
        fit = _updated(fit, motion_step, focal_step)
        tolerance = _STEP_TOLERANCE + 1e-3 * sigma / math.sqrt(problem.rays.shape[-1])
        if bool((motion_step.abs().amax(-1) <= tolerance).all() & (focal_step.abs() <= tolerance.amin(-1)).all()):
            break
    return fit


def assess(problem: RayProblem, fit: RayFit, *, weigh: Weigh) -> RayAssessment:
    """Covariances and residuals of `fit` under the weights that `weigh(residual, directions)` gives with its sigma.

    Covariance = sigma^2 kappa (J^T W J)^-1; kappa = N / N_eff is the sum of the autocorrelation of the weighted
    residuals over lags of up to 6 samples, which smooth decoder noise raises to 40 and more.
    """
    directions = problem.directions(fit.log_focal)
    residual = _residual(problem.rays, fit, directions)
    sigma, weights = weigh(residual, directions)
    normal = _normal_matrix(weights, _features(directions))
    kappa = correlation_inflation(residual * weights[..., None, :], problem.grid_hw)
    variance = sigma.clamp(min=1e-12) ** 2 * kappa
    motion, by_focal, remaining = _eliminated(problem, normal / variance[..., None, None], damping=0.0)
    free = float(problem.focal_free)
    focal_variance = free / remaining.sum(-1)
    motion = torch.where(problem.pinned[..., None, None], 0.0, motion)
    outer = by_focal[..., :, None] * by_focal[..., None, :]
    squared = _squared_length(residual)
    limit = torch.minimum(_TUKEY_CUT * sigma, _INLIER_SPREAD * _spread(directions)[:, None])
    inside = (squared <= limit.clamp(min=_SMALLEST_SIGMA)[..., None] ** 2).to(squared.dtype)
    count = inside.sum(-1)
    return RayAssessment(
        motion + outer * focal_variance[:, None, None, None],
        focal_variance,
        -by_focal * focal_variance[:, None, None],
        ((squared * inside).sum(-1) / (3.0 * count.clamp(min=1.0))).sqrt(),
        count / squared.shape[-1],
    )


def tukey_weights(residual: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Noise sigma [G, n] and Tukey's weights [G, n, N] of `residual` [G, n, 3, N] to a bundle `directions` [G, 3, N].

    The cut never exceeds the spread of the bundle: samples as far off as that would make any bundle fit.
    """
    squared = _squared_length(residual)
    sigma = (_SIGMA_FROM_MEDIAN * median(squared).sqrt()).clamp(min=_SMALLEST_SIGMA)
    cut = torch.minimum(_TUKEY_CUT * sigma, _spread(directions)[:, None])
    root = (squared * (-1.0 / cut.square())[..., None]).add_(1.0).clamp_(min=0.0)
    return sigma, root * root


def equal_weights(residual: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Noise sigma [G, n] from the mean square of `residual` [G, n, 3, N], and weights [G, n, N] of one."""
    return residual.square().mean((-2, -1)).sqrt(), torch.ones_like(residual[..., 0, :])


def _squared_length(vectors: Tensor) -> Tensor:
    """|v|^2 [..., N] of `vectors` [..., 3, N]; torch's own norm over an inner axis takes ten times as long."""
    x, y, z = vectors.unbind(-2)
    return (x * x).addcmul_(y, y).addcmul_(z, z)


def _spread(directions: Tensor) -> Tensor:
    """Root mean square distance [...] of the unit vectors `directions` [..., 3, N] from their mean."""
    return (1.0 - directions.mean(-1).square().sum(-1)).clamp(min=0.0).sqrt()


def _residual(rays: Tensor, fit: RayFit, directions: Tensor) -> Tensor:
    """R^T (y - t) - d [G, n, 3, N] of `rays` [G, n, 3, N] against `directions` [G, 3, N]."""
    back = fit.rotation.mT
    moved = -(back @ fit.center[..., None])
    local = torch.baddbmm(moved.flatten(0, 1), back.flatten(0, 1), rays.flatten(0, 1)).view(rays.shape)
    return local.sub_(directions[:, None])


def _features(directions: Tensor) -> Tensor:
    """The 14 functions [G, 14, N] of d = (x, y, z) whose weighted sums fill the normal equations (`_MOMENT`)."""
    x, y, z = directions.unbind(-2)
    zz = z * z
    gradient = (torch.ones_like(z), x, y, z, zz * x, zz * y, z - zz * z)
    normal = (1.0 - x * x, 1.0 - y * y, 1.0 - zz, x * y, x * z, y * z, zz - zz * zz)
    return torch.stack((*gradient, *normal), dim=-2)


def _normal_matrix(weights: Tensor, features: Tensor) -> Tensor:
    """J^T W J [G, n, 7, 7] for `weights` [G, n, N]."""
    moments = weights @ features.mT  # [G, n, 14]
    index = torch.tensor(_MOMENT, device=weights.device)
    return moments[..., index] * torch.tensor(_SIGN, device=weights.device, dtype=weights.dtype)


def _gradient(weighted: Tensor, features: Tensor) -> Tensor:
    """J^T W e [G, n, 7] for the `weighted` residual W e [G, n, 3, N]."""
    groups, frames = weighted.shape[:2]
    sums = (weighted.flatten(1, 2) @ features[:, :7].mT).view(groups, frames, 3, 7)  # e_i times 1, x, y, z, ...
    turn = (
        sums[..., 2, 2] - sums[..., 1, 3],
        sums[..., 0, 3] - sums[..., 2, 1],
        sums[..., 1, 1] - sums[..., 0, 2],
    )  # d x e
    focal = sums[..., 2, 6] - sums[..., 0, 4] - sums[..., 1, 5]  # d' . e
    return torch.stack((*turn, *sums[..., 0].unbind(-1), focal), dim=-1)


def _eliminated(problem: RayProblem, normal: Tensor, *, damping: float) -> tuple[Tensor, Tensor, Tensor]:
    """What is left of `normal` [G, n, 7, 7] when the poses are solved for.

    The inverse A^-1 [G, n, 6, 6] of the pose block, A^-1 b [G, n, 6] with its coupling b to log f, and the Schur
    complement c - b^T A^-1 b [G, n] of log f. Pinned frames have nothing to solve: A is the identity and b is zero.
    """
    identity = torch.eye(6, dtype=normal.dtype, device=normal.device)
    pinned = problem.pinned[..., None]
    block = torch.where(pinned[..., None], identity, normal[..., :6, :6])
    diagonal = block.diagonal(dim1=-2, dim2=-1)
    block = block + torch.diag_embed(damping * diagonal + 1e-12)
    coupling = torch.where(pinned, 0.0, normal[..., :6, 6])
    inverse = torch.linalg.inv(block)
    by_focal = (inverse @ coupling[..., None]).squeeze(-1)
    return inverse, by_focal, normal[..., 6, 6] - (coupling * by_focal).sum(-1)


def _solve(problem: RayProblem, normal: Tensor, gradient: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Steps of the poses [G, n, 6] and of log f [G], each at most 0.25; frames count by their information."""
    inverse, by_focal, remaining = _eliminated(problem, normal, damping=_DAMPING)
    motion_gradient = torch.where(problem.pinned[..., None], 0.0, gradient[..., :6])
    by_motion = (inverse @ motion_gradient[..., None]).squeeze(-1)
    # Below 1e-4 a frame's residual is rounding, and would have the focal length to itself.
    information = sigma.clamp(min=1e-4) ** -2
    slope = gradient[..., 6] - (by_focal * motion_gradient).sum(-1)
    curvature = (remaining * information).sum(-1) + 1e-12
    focal_step = float(problem.focal_free) * (slope * information).sum(-1) / curvature
    focal_step = focal_step.clamp(-_LARGEST_STEP, _LARGEST_STEP)
    motion_step = by_motion - by_focal * focal_step[:, None, None]
    largest = motion_step.abs().amax(-1, keepdim=True)
    return motion_step * (_LARGEST_STEP / largest.clamp(min=_LARGEST_STEP)), focal_step


def _updated(fit: RayFit, motion_step: Tensor, focal_step: Tensor) -> RayFit:
    """`fit` after the local update; the focal length stays within what a camera can have (hfov 2 to 170 degrees)."""
    rotation = fit.rotation @ se3.so3_exp(motion_step[..., :3])
    center = fit.center + (fit.rotation @ motion_step[..., 3:, None]).squeeze(-1)
    return RayFit(rotation, center, (fit.log_focal + focal_step).clamp(*_LOG_FOCAL_RANGE))


def correlation_inflation(weighted: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """kappa [G, n] >= 1: sum over lags of up to 6 samples of the autocorrelation of `weighted` [G, n, 3, N].

    All lags at once: the sum over the window of lags is the image against itself summed over a box, and the box is
    two banded matrices. Samples outside the mask or the grid count as zero, as they do in the inflated variance.
    """
    image = weighted.unflatten(-1, grid_hw)
    down, across = (_band(size, weighted) for size in grid_hw)
    correlated = ((down @ image @ across) * image).sum((-3, -2, -1))
    rounding = 3.0 * weighted.shape[-1] * _SMALLEST_SIGMA**2  # what is smaller has no correlation of its own
    return ((correlated + rounding) / (weighted.square().sum((-2, -1)) + rounding)).clamp(min=1.0)


def _band(size: int, like: Tensor) -> Tensor:
    """[size, size]: one where row and column differ by at most the reach of correlation, else zero."""
    index = torch.arange(size, device=like.device)
    return ((index[:, None] - index).abs() <= _CORRELATION_REACH).to(like.dtype)


def _start(problem: RayProblem) -> RayFit:
    """Where to begin: the better of a scan over angles of view and a sphere fit, by median residual on a thinned grid.

    Where neither meets the samples, part of the image may be wrong in one piece: then fits that begin from its halves
    are tried as well.
    """
    step = max(1, round(math.sqrt(problem.rays.shape[-1] / _START_SAMPLES)))
    coarse = problem.thinned(step)
    scan, sphere = _scan(coarse), _sphere(coarse)
    scores = torch.stack([median(_misfit(coarse, fit)) for fit in (scan, sphere)])  # [2, G]
    log_focal = torch.where(scores[0] <= scores[1], scan.log_focal, sphere.log_focal)
    fit = _better(coarse, scan._replace(log_focal=log_focal), sphere._replace(log_focal=log_focal))
    limit = (_POOR_START * _spread(coarse.directions(log_focal))).square()[:, None]
    if bool((_misfit(coarse, fit) > limit).any()):
        fit = _better(coarse, fit, _from_halves(coarse, log_focal))
    identity = torch.eye(3, dtype=fit.rotation.dtype, device=fit.rotation.device)
    rotation = torch.where(problem.pinned[..., None, None], identity, fit.rotation)
    return RayFit(rotation, torch.where(problem.pinned[..., None], 0.0, fit.center), log_focal)


def _better(problem: RayProblem, first: RayFit, second: RayFit) -> RayFit:
    """For each frame the one of two fits [G, n] of equal focal length with the smaller median residual."""
    chosen = (_misfit(problem, first) <= _misfit(problem, second))[..., None]
    rotation = torch.where(chosen[..., None], first.rotation, second.rotation)
    return RayFit(rotation, torch.where(chosen, first.center, second.center), first.log_focal)


def _from_halves(problem: RayProblem, log_focal: Tensor) -> RayFit:
    """For each frame the best of the fits [G, n] that begin from one half or the middle of the image."""
    height, width = problem.grid_hw
    row = torch.arange(height, device=problem.rays.device)[:, None].expand(height, width)
    column = torch.arange(width, device=problem.rays.device).expand(height, width)
    middle = ((row - height // 2).abs() <= height // 4) & ((column - width // 2).abs() <= width // 4)
    parts = (row < height // 2, row >= height // 2, column < width // 2, column >= width // 2, middle)
    weights = torch.stack(parts).flatten(1).to(problem.rays.dtype)[:, None, None]  # [5, 1, 1, N]
    log_focal = log_focal.expand(len(parts), -1)
    directions = problem.directions(log_focal)
    fit = _procrustes(problem, weights.expand(-1, *problem.pinned.shape, -1), directions, log_focal)
    for _ in range(_CONCENTRATIONS):
        fit = _concentrated(problem, fit, directions)
    best = _misfit(problem, fit).argmin(0)
    group = torch.arange(best.shape[0], device=best.device)[:, None]
    frame = torch.arange(best.shape[1], device=best.device)
    return RayFit(fit.rotation[best, group, frame], fit.center[best, group, frame], log_focal[0])


def _misfit(problem: RayProblem, fit: RayFit) -> Tensor:
    """Median squared length of the residual [..., G, n] of `fit`, whose leading axes [...] are candidates."""
    return median(_squared_distance(problem, fit, problem.directions(fit.log_focal)))


def _squared_distance(problem: RayProblem, fit: RayFit, directions: Tensor) -> Tensor:
    """|y - t - R d|^2 [..., G, n, N] for `directions` [..., G, 3, N]."""
    predicted = fit.rotation.flatten(-3, -2) @ directions  # [..., G, n 3, N]
    predicted = predicted.unflatten(-2, (-1, 3)).add_(fit.center[..., None])
    return _squared_length(predicted.sub_(problem.rays))


def _scan(problem: RayProblem) -> RayFit:
    """For each group the closed-form fits [G, n] at the angle of view, out of a scan, that suits its frames best.

    They are repeated for the half of the samples that the last one meets best (the concentration steps of
    P. Rousseeuw's least trimmed squares).
    """
    log_focal = _scanned_focal(problem)[None]
    directions = problem.directions(log_focal)
    fit = _procrustes(problem, torch.ones_like(problem.rays[None, :, :, 0]), directions, log_focal)
    for _ in range(_CONCENTRATIONS):
        fit = _concentrated(problem, fit, directions)
    return RayFit(*(part[0] for part in fit))


def _scanned_focal(problem: RayProblem) -> Tensor:
    """log f [G] of the angle of view whose trimmed closed-form fits leave the smallest median residual.

    A focal length that many frames share is sought in some of them, spread over the clip.
    """
    groups, frames = problem.pinned.shape
    if not problem.focal_free:
        return problem.rays.new_zeros(groups)
    step = max(1, frames // _SCAN_FRAMES)
    problem = replace(problem, rays=problem.rays[:, ::step], pinned=problem.pinned[:, ::step])
    half_angles = torch.deg2rad(problem.rays.new_tensor(_SCAN_DEGREES) / 2.0)
    log_focal = -torch.log(torch.tan(half_angles))[:, None].expand(-1, groups)  # [C, G]
    directions = problem.directions(log_focal)  # [C, G, 3, N]
    fit = _procrustes(problem, torch.ones_like(problem.rays[None, :, :, 0]), directions, log_focal)
    fit = _concentrated(problem, fit, directions)
    misfit = median(_squared_distance(problem, fit, directions))  # [C, G, n]
    return log_focal[median(misfit).argmin(0), torch.arange(groups, device=problem.rays.device)]


def _concentrated(problem: RayProblem, fit: RayFit, directions: Tensor) -> RayFit:
    """The closed-form fits to the half of each frame's samples that `fit` [C, G, n] meets best."""
    squared = _squared_distance(problem, fit, directions)
    kept = (squared <= median(squared)[..., None]).to(squared.dtype)
    return _procrustes(problem, kept, directions, fit.log_focal)


def _procrustes(problem: RayProblem, weights: Tensor, directions: Tensor, log_focal: Tensor) -> RayFit:
    """The closed-form fits of `directions` [C, G, 3, N] to the rays under `weights` [C or 1, G, n, N]."""
    groups, frames = problem.rays.shape[:2]
    ones = torch.ones_like(problem.rays[:, :, :1])
    weighted = torch.cat((problem.rays, ones), dim=-2) * weights[..., None, :]  # [C, G, n, 4, N]
    sources = torch.cat((directions, torch.ones_like(directions[..., :1, :])), dim=-2)  # [C, G, 4, N]
    sums = (weighted.flatten(-3, -2) @ sources.mT).unflatten(-2, (frames, 4))  # [C, G, n, 4, 4]
    means = sums / sums[..., 3:, 3:].clamp(min=1.0)
    target, source = means[..., :3, 3], means[..., 3, :3]
    rotation = rotation_from_covariance(means[..., :3, :3] - target[..., :, None] * source[..., None, :])
    return RayFit(rotation, target - (rotation @ source[..., None]).squeeze(-1), log_focal)


def _sphere(problem: RayProblem) -> RayFit:
    """Centres from the unit sphere that the samples of each frame lie on, then one focal length and the rotations.

    The centre needs no intrinsics. Seen from it, the samples lie about the mean direction at the angle whose tangent
    is slope / f, and the rotation is Kabsch's between directions.
    """
    center, weights = _sphere_center(problem.rays)
    spokes = torch.nn.functional.normalize(problem.rays - center[..., None], dim=-2)
    axis = torch.nn.functional.normalize((spokes * weights[..., None, :]).sum(-1), dim=-1)
    cosine = (spokes * axis[..., None]).sum(-2).clamp(min=1e-3)
    tangent = (1.0 - cosine.square()).clamp(min=1e-12).sqrt() / cosine
    slope = problem.slopes.square().sum(-2).sqrt()[:, None]
    log_focal = torch.log(median(slope / tangent).clamp(min=1e-2))  # [G, n]
    log_focal = median(log_focal) if problem.focal_free else torch.zeros_like(log_focal[:, 0])
    sources = problem.directions(log_focal)
    covariance = (spokes * weights[..., None, :]).flatten(-3, -2) @ sources.mT
    return RayFit(rotation_from_covariance(covariance.unflatten(-2, (-1, 3))), center, log_focal)


def _sphere_center(rays: Tensor) -> tuple[Tensor, Tensor]:
    """Centres [G, n, 3] of unit spheres through `rays` [G, n, 3, N], and Tukey's weights [G, n, N].

    Gauss-Newton on the sum of rho(|y - c| - 1), begun one radius away from the samples' mean along the normal of
    their plane, on either side; the side with the smaller median is kept.
    """
    mean = rays.mean(-1)
    centred = rays - mean[..., None]
    normal = torch.linalg.eigh(centred @ centred.mT).eigenvectors[..., 0]
    center = torch.stack((mean - normal, mean + normal))  # [2, G, n, 3]
    for _ in range(_SPHERE_ITERATIONS):
        distance, spokes, weights = _sphere_residual(rays, center)
        weighted = spokes * weights[..., None, :]
        normal_matrix = weighted @ spokes.mT
        normal_matrix.diagonal(dim1=-2, dim2=-1).add_(1e-9)
        step = torch.linalg.solve(normal_matrix, weighted @ distance[..., None]).squeeze(-1)
        center = center + step.clamp(-_LARGEST_STEP, _LARGEST_STEP)
    distance, _, weights = _sphere_residual(rays, center)
    first = median(distance[0].abs()) <= median(distance[1].abs())
    return torch.where(first[..., None], center[0], center[1]), torch.where(first[..., None], weights[0], weights[1])


def _sphere_residual(rays: Tensor, center: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """|y - c| - 1 [..., N], the unit vectors from c to y [..., 3, N], and Tukey's weights [..., N]."""
    spokes = rays - center[..., None]
    length = _squared_length(spokes).sqrt_().clamp_(min=1e-9)
    distance = length - 1.0
    cut = _TUKEY_CUT_1D * _SIGMA_FROM_MEDIAN_1D * median(distance.abs()).clamp(min=_SMALLEST_SIGMA)
    weights = (1.0 - (distance / cut[..., None]).square()).clamp(min=0.0).square()
    return distance, spokes / length[..., None, :], weights

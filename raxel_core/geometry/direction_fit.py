"""The fit of rotation and lens to unit directions, d_world = R d(K): closed forms, and Gauss-Newton that is robust.

Directions are [B, F, 3, N], those of F frames of B clips; everything runs in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from . import se3
from .camera import K_from_focal
from .homography import lens_of_homography, ray_homography
from .lines import determinant
from .procrustes import median
from .ray_fit import correlation_inflation

# What of K is fitted: "zoom" is log f of square pixels, "fx" and "fy" their own logarithms, "cx" and "cy" the principal
# point in focal lengths.
LENSES = {"known": (), "shared": ("zoom",), "per_frame": ("zoom",), "free": ("fx", "fy", "cx", "cy")}
# Tukey's cut in units of sigma, and sigma from the median length of a Gaussian in two and in three dimensions.
_CUT = 4.685
_SIGMA_FROM_MEDIAN = {2: 1.0 / math.sqrt(2.0 * math.log(2.0)), 3: 0.6495}
# Noise below this is rounding: rays with less of it count alike.
_SMALLEST_SIGMA = 1e-6
_START_ITERATIONS, _ITERATIONS = 4, 20
# A step is the last one when all of it is below this, in radians and parts of the focal length.
_STEP_TOLERANCE = 1e-9
_LARGEST_STEP = 0.3
# Horizontal angles of view at which the fit of an unknown lens may begin.
_SCAN_DEGREES = (15, 25, 35, 45, 55, 65, 75, 90, 105, 125)


@dataclass(frozen=True, eq=False)
class DirectionProblem:
    """Unit `direction` [B, F, 3, N] with `confidence` [B, F, N], None where all count alike; `pixels` (u, v, 1)
    [B|1, F|1, 3, N] of images of `hw` = (height, width), sampled on a grid `grid_hw` whose product is N; `lens` of
    `LENSES`, and `K` [B, F, 3, 3] where it is known."""

    direction: Tensor
    confidence: Tensor | None
    pixels: Tensor
    hw: tuple[int, int]
    grid_hw: tuple[int, int]
    lens: str
    K: Tensor | None

    @property
    def weights(self) -> Tensor:
        """The confidence [B, F, N] with a mean of one in each frame."""
        if self.confidence is None:
            return torch.ones_like(self.direction[..., 0, :])
        return self.confidence / self.confidence.mean(-1, keepdim=True)


@dataclass(frozen=True, eq=False)
class DirectionFit:
    """`rotation` and `K` [B, F, 3, 3], and the unit directions through the pixels under that K, `in_camera`
    [B|1, F|1, 3, N]."""

    rotation: Tensor
    K: Tensor
    in_camera: Tensor

    def in_world(self) -> Tensor:
        """The fitted directions R d(K) [B, F, 3, N]."""
        return self.rotation @ self.in_camera


@dataclass(frozen=True, eq=False)
class DirectionFigures:
    """How well a fit holds: `covariance` [B, F, P, P] of (omega, what of the lens is fitted), the rotation being
    exp(omega) R, and the matrix `to_zoom` [B, F, 4, P] that makes (omega, log f) of them; how the fitted directions in
    the world move with the P numbers, `motion` [P, B, F, 3, N]; `rms` [B, F] of the rays that fit, in radians, and
    `inside` [B, F, N] which do."""

    covariance: Tensor
    to_zoom: Tensor
    motion: Tensor
    rms: Tensor
    inside: Tensor


def camera_directions(K: Tensor, pixels: Tensor) -> Tensor:
    """Unit directions [..., 3, N] in the camera's frame through `pixels` (u, v, 1) [..., 3, N] under `K`."""
    slopes = torch.linalg.inv_ex(K).inverse @ pixels
    x, y, _ = slopes.unbind(-2)
    return slopes * torch.rsqrt((x * x).addcmul_(y, y).add_(1.0)).unsqueeze(-2)


def rotation_between(direction: Tensor, in_camera: Tensor, weights: Tensor | None) -> Tensor:
    """The rotation R [..., 3, 3] with the least sum of w |d - R d_cam|^2, det R = +1 (Procrustes; W. Kabsch 1976)."""
    weighted = direction if weights is None else direction * weights[..., None, :]
    covariance = weighted @ in_camera.mT
    u, _, vh = torch.linalg.svd(covariance)
    mirrored = determinant(covariance) < 0.0
    if bool(mirrored.any()):
        u = torch.where(mirrored[..., None, None] & (torch.arange(3, device=u.device) == 2), -u, u)
    return u @ vh


def closed_fit(problem: DirectionProblem) -> DirectionFit:
    """The fit under the confidence alone; a focal length is the best of a scan, refined by least squares."""
    weights = None if problem.confidence is None else problem.weights
    fit = _start(problem, weights)
    return _iterated(problem, fit, robust=False) if problem.lens in ("shared", "per_frame") else fit


def robust_fit(problem: DirectionProblem) -> DirectionFit:
    """The maximum-likelihood fit under Tukey's weights, begun with weights 1 / |residual|."""
    confidence = problem.weights
    fit = _start(problem, confidence)
    for _ in range(_START_ITERATIONS):
        length = _length(_residual(problem, fit))
        floor = 0.1 * median(length).clamp(min=_SMALLEST_SIGMA)[..., None]
        fit = _closed_step(problem, fit.K, confidence / torch.maximum(length, floor))
    return _turned(problem, fit) if problem.lens == "known" else _iterated(problem, fit, robust=True)


def direction_figures(problem: DirectionProblem, fit: DirectionFit, *, robust: bool) -> DirectionFigures:
    """The figures of `fit`: covariance = sigma^2 kappa (J^T W J)^-1, kappa for residuals that neighbours share."""
    residual = fit.rotation.mT @ problem.direction - fit.in_camera
    length, confidence = _length(residual), problem.weights
    sigma, tukeys = tukey(length, confidence, 2)
    inside = tukeys > 0.0
    if not robust:
        sigma, tukeys = (length.square().mean(-1) / 2.0).sqrt(), torch.ones_like(length)
    weights, names = confidence * tukeys, LENSES[problem.lens]
    jacobian = _jacobian(fit.in_camera.expand_as(residual), names)
    normal, _ = _normal_equations(jacobian, residual, weights)
    kappa = correlation_inflation(residual * weights[..., None, :], problem.grid_hw)
    inverse = _inverse(normal, shared=problem.lens == "shared") * (sigma.square() * kappa)[..., None, None]
    world, to_zoom = _to_world(fit.rotation, names)
    motion = torch.cat((_jacobian(fit.in_world(), ()), fit.rotation @ jacobian[3:]))
    return DirectionFigures(world @ inverse @ world.mT, to_zoom, motion, rms_inside(length, inside), inside)


def tukey(length: Tensor, confidence: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """Noise sigma [...] per axis of a ray of mean confidence, and Tukey's weights [..., N], of residuals of `length`
    [..., N] in `dimensions`; `confidence` [..., N], of mean one, is taken for the inverse of their variance."""
    scaled = length * confidence.sqrt()
    sigma = (_SIGMA_FROM_MEDIAN[dimensions] * median(scaled)).clamp(min=_SMALLEST_SIGMA)
    return sigma, (1.0 - (scaled / (_CUT * sigma)[..., None]).square()).clamp(min=0.0).square()


def rms_inside(length: Tensor, inside: Tensor) -> Tensor:
    """Root mean square [...] of `length` [..., N] where `inside`."""
    share = inside.to(length.dtype)
    return ((length.square() * share).sum(-1) / share.sum(-1).clamp(min=1.0)).sqrt()


def _length(vectors: Tensor) -> Tensor:
    """|v| [..., N] of [..., 3, N]; torch's own norm over an inner axis takes longer."""
    x, y, z = vectors.unbind(-2)
    return (x * x).addcmul_(y, y).addcmul_(z, z).sqrt_()


def _residual(problem: DirectionProblem, fit: DirectionFit) -> Tensor:
    """R^T d - d(K) [B, F, 3, N], in the cameras' frames; its length is the angle for small ones."""
    return fit.rotation.mT @ problem.direction - fit.in_camera


def _start(problem: DirectionProblem, weights: Tensor | None) -> DirectionFit:
    """The fit to begin with: closed forms at the known K, by homography, or at the angle of view out of a scan that
    suits the rays best."""
    if problem.lens == "free":
        return _homography_fit(problem, weights)
    return _under_lens(problem, problem.K if problem.K is not None else _scanned(problem), weights)


def _closed_step(problem: DirectionProblem, K: Tensor, weights: Tensor) -> DirectionFit:
    """The closed forms once more under other weights; a scanned focal length stays."""
    return _homography_fit(problem, weights) if problem.lens == "free" else _under_lens(problem, K, weights)


def _under_lens(problem: DirectionProblem, K: Tensor, weights: Tensor | None) -> DirectionFit:
    """The rotations that fit best under `K` [B, F, 3, 3]."""
    in_camera = camera_directions(K, problem.pixels)
    return DirectionFit(rotation_between(problem.direction, in_camera, weights), K, in_camera)


def _homography_fit(problem: DirectionProblem, weights: Tensor | None) -> DirectionFit:
    """The fit of each frame's homography, its K without skew."""
    K = lens_of_homography(ray_homography(problem.pixels, problem.direction, weights))
    K[..., 0, 1] = 0.0
    return _under_lens(problem, K, weights)


def _scanned(problem: DirectionProblem) -> Tensor:
    """K [B, F, 3, 3] at the angle of view that leaves the smallest median residual, of a frame or of a clip."""
    half = torch.deg2rad(problem.direction.new_tensor(_SCAN_DEGREES) / 2.0)
    height, width = problem.hw
    focal = (0.5 * width / torch.tan(half))[:, None].expand(-1, 2)
    K = K_from_focal(focal, half.new_tensor((width / 2.0, height / 2.0)))[:, None, None]  # [S, 1, 1, 3, 3]
    in_camera = camera_directions(K, problem.pixels)  # [S, B|1, F|1, 3, N]
    rotation = rotation_between(problem.direction, in_camera, problem.confidence)
    misfit = median(_length(rotation.mT @ problem.direction - in_camera))  # [S, B, F]
    if problem.lens == "shared":
        misfit = median(misfit)[..., None].expand_as(misfit)
    return K[misfit.argmin(0), 0, 0]


def _turned(problem: DirectionProblem, fit: DirectionFit) -> DirectionFit:
    """The rotations under the lens of `fit`, in closed form again and again under Tukey's weights."""
    confidence, rotation, in_camera = problem.weights, fit.rotation, fit.in_camera
    for _ in range(_ITERATIONS):
        before = rotation
        length = _length(rotation.mT @ problem.direction - in_camera)
        rotation = rotation_between(problem.direction, in_camera, confidence * tukey(length, confidence, 2)[1])
        if float((rotation - before).abs().max()) < _STEP_TOLERANCE:
            break
    return DirectionFit(rotation, fit.K, in_camera)


def _iterated(problem: DirectionProblem, fit: DirectionFit, *, robust: bool) -> DirectionFit:
    """Gauss-Newton from `fit`, reweighted in each step where it is robust."""
    names, confidence = LENSES[problem.lens], problem.weights
    for _ in range(_ITERATIONS):
        residual = _residual(problem, fit)
        weights = confidence * tukey(_length(residual), confidence, 2)[1] if robust else confidence
        normal, gradient = _normal_equations(_jacobian(fit.in_camera.expand_as(residual), names), residual, weights)
        step = _solved(normal, gradient, shared=problem.lens == "shared").clamp(-_LARGEST_STEP, _LARGEST_STEP)
        K = _with_lens(fit.K, step[..., 3:], names)
        fit = DirectionFit(fit.rotation @ se3.so3_exp(step[..., :3]), K, camera_directions(K, problem.pixels))
        if float(step.abs().max()) < _STEP_TOLERANCE:
            break
    return fit


def _jacobian(directions: Tensor, names: tuple[str, ...]) -> Tensor:
    """How d(K) [B, F, 3, N] moves, [3 + lens, B, F, 3, N], with omega under R <- R exp(omega) and with the lens.

    omega moves d by omega x d. With s = (x, y, 1) and d = s / |s|: log fx moves s by (-x, 0, 0), cx / fx by (-1, 0, 0),
    and d by the part across it, over |s|.
    """
    x, y, z = directions.unbind(-2)
    zero = torch.zeros_like(x)
    rows = [(zero, -z, y), (z, zero, -x), (-y, x, zero)]
    for name in names:
        moved = {"zoom": (-x, -y, zero), "fx": (-x, zero, zero), "fy": (zero, -y, zero), "cx": (-z, zero, zero),
                 "cy": (zero, -z, zero)}[name]  # fmt: skip
        along = moved[0] * x + moved[1] * y
        rows.append((moved[0] - along * x, moved[1] - along * y, -along * z))
    return torch.stack([torch.stack(row, dim=-2) for row in rows])


def _normal_equations(jacobian: Tensor, residual: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """J^T W J [B, F, P, P] and J^T W e [B, F, P]."""
    flat = jacobian.movedim(0, -3).flatten(-2)  # [B, F, P, 3 N]
    weighted = (jacobian * weights[..., None, :]).movedim(0, -3).flatten(-2)
    return weighted @ flat.mT, (weighted @ residual.flatten(-2)[..., None])[..., 0]


def _damped(normal: Tensor) -> Tensor:
    """`normal` [..., P, P] with a trace of its diagonal more, so that it can be inverted."""
    return normal + torch.diag_embed(1e-12 * normal.diagonal(dim1=-2, dim2=-1) + 1e-300)


def _solved(normal: Tensor, gradient: Tensor, *, shared: bool) -> Tensor:
    """The step [B, F, P]; with a `shared` lens the last unknown is the same in all frames of a clip."""
    normal = _damped(normal)
    if not shared:
        return torch.linalg.solve(normal, gradient)
    turn, coupling = normal[..., :3, :3], normal[..., :3, 3]
    by_gradient, by_zoom = torch.linalg.solve(turn, torch.stack((gradient[..., :3], coupling), dim=-1)).unbind(-1)
    left = (normal[..., 3, 3] - (coupling * by_zoom).sum(-1)).sum(-1)
    zoom = (gradient[..., 3] - (coupling * by_gradient).sum(-1)).sum(-1) / left.clamp(min=1e-300)
    omega = by_gradient - by_zoom * zoom[..., None, None]
    return torch.cat((omega, zoom[..., None, None].expand(*omega.shape[:-1], 1)), dim=-1)


def _inverse(normal: Tensor, *, shared: bool) -> Tensor:
    """The inverse [B, F, P, P] of each frame's normal matrix, the `shared` last unknown known from all frames."""
    normal = _damped(normal)
    if not shared:
        return torch.linalg.inv(normal)
    turn, coupling = torch.linalg.inv(normal[..., :3, :3]), normal[..., :3, 3:]
    by_zoom = turn @ coupling  # [B, F, 3, 1]
    variance = 1.0 / (normal[..., 3:, 3:] - coupling.mT @ by_zoom).sum(1, keepdim=True)
    upper = torch.cat((turn + by_zoom @ by_zoom.mT * variance, -by_zoom * variance), dim=-1)
    lower = torch.cat((-(by_zoom * variance).mT, variance.expand(*by_zoom.shape[:2], 1, 1)), dim=-1)
    return torch.cat((upper, lower), dim=-2)


def _with_lens(K: Tensor, step: Tensor, names: tuple[str, ...]) -> Tensor:
    """`K` [B, F, 3, 3] after a `step` [B, F, lens]."""
    K = K.clone()
    for i, name in enumerate(names):
        if name in ("cx", "cy"):
            axis = ("cx", "cy").index(name)
            K[..., axis, 2] += step[..., i] * K[..., axis, axis]
        for axis in {"zoom": (0, 1), "fx": (0,), "fy": (1,)}.get(name, ()):
            K[..., axis, axis] *= torch.exp(step[..., i])
    return K


def _to_world(rotation: Tensor, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """The matrices [B, F, P, P] from the local omega to the world's, and [B, F, 4, P] on to (omega, log f), where log f
    is the mean of those of fx and fy."""
    identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
    world = torch.eye(3 + len(names), dtype=rotation.dtype, device=rotation.device).repeat(*rotation.shape[:-2], 1, 1)
    world[..., :3, :3] = rotation
    to_zoom = rotation.new_zeros(*rotation.shape[:-2], 4, 3 + len(names))
    to_zoom[..., :3, :3] = identity
    for i, name in enumerate(names):
        to_zoom[..., 3, 3 + i] = {"zoom": 1.0, "fx": 0.5, "fy": 0.5}.get(name, 0.0)
    return world, to_zoom

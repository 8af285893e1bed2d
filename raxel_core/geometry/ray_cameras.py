"""Cameras from ray maps of whatever layout, with the uncertainty of what was found.

Directions give rotation and lens, d ~ R K^-1 (u, v, 1) (`direction_fit`); moments or origins give the centre
(`center_fit`); raxels, which hold their sum, are `pose`'s. `method="robust"` is a maximum-likelihood fit under Tukey's
weights, whose centre is nearest to the fitted lines; `method="closed"` takes each ray as it is: Procrustes, and the
point nearest to all lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from . import se3
from .camera import Camera, check_hw
from .center_fit import (
    CenterFigures,
    CenterFit,
    center_by_directions,
    center_figures,
    mean_of_origins,
    moment_residual,
    nearest_to_moments,
    robust_center,
)
from .direction_fit import (
    LENSES,
    DirectionFigures,
    DirectionFit,
    DirectionProblem,
    closed_fit,
    direction_figures,
    robust_fit,
)
from .lines import PARALLEL, determinant, line_normal_matrix
from .pose import SMALLEST_INLIER_FRACTION, recover_cameras, require_all
from .ray_map import RayMap, ray_lines
from .rays import pixel_grid

METHODS = ("robust", "closed")


@dataclass(frozen=True, eq=False)
class RayCameras:
    """Cameras read from a ray map, and how far to trust them; leading axes [..., F] everywhere.

    `covariance` [..., F, 7, 7] is that of (omega, t, log f): the rotation is exp(omega) R with omega in radians, t the
    centre in the map's lengths, f the focal length; rows of what is known, or not in the map, are zero. `angle_rms` is
    that of the directions that fit, in radians, `offset_rms` that of moments or origins, in the map's lengths (zero
    without them), and `inlier_fraction` the share of rays that fit in both. Residuals show no error that a whole frame
    shares, so that the covariance is a lower bound. Without moments or origins all centres are at zero.
    """

    camera: Camera
    covariance: Tensor
    angle_rms: Tensor
    offset_rms: Tensor
    inlier_fraction: Tensor


class _Fit(NamedTuple):
    """What was asked, and what was found: the rays' `moment` or `origin` [B, F, 3, N], None where the map has none."""

    problem: DirectionProblem
    moment: Tensor | None
    origin: Tensor | None
    directions: DirectionFit
    center: CenterFit | None
    robust: bool


@torch.no_grad()
def cameras_from_ray_map(
    ray_map: RayMap,
    hw: tuple[int, int],
    *,
    method: str = "robust",
    lens: str = "shared",
    K: Tensor | None = None,
    pixels: Tensor | None = None,
) -> Camera:
    """The cameras [..., F] of a ray map [..., F, C, h, w], in its own world, with K for images of `hw`.

    The rays pass the cell centres of the image, or `pixels` (u, v) [..., h, w, 2] (leading axes broadcast), as for
    crops. `lens` is "known", and then `K` [..., 3, 3] is given; one focal length, "shared" by the frames or
    "per_frame", with square pixels about the image's middle; or "free": fx, fy, cx and cy of each frame. A map's
    confidence weighs its rays. Fits run in float64; the cameras are float64 when the map is, else float32.

    Raises PoseRecoveryError with the frame's number for rays that are not finite, do not vary or do not meet;
    ValueError for arguments that do not go together.
    """
    _check(ray_map, method, lens, K)
    if ray_map.layout == "raxel":
        return _of_raxels(ray_map, check_hw(hw), method=method, lens=lens, K=K).camera
    return _camera(_fit(ray_map, check_hw(hw), method, lens, K, pixels), ray_map)


@torch.no_grad()
def assessed_cameras(
    ray_map: RayMap,
    hw: tuple[int, int],
    *,
    method: str = "robust",
    lens: str = "shared",
    K: Tensor | None = None,
    pixels: Tensor | None = None,
) -> RayCameras:
    """The cameras of `cameras_from_ray_map`, of the same arguments, with their covariance and how the rays fit them.

    Raises PoseRecoveryError also where less than a quarter of a frame's rays fit its camera.
    """
    _check(ray_map, method, lens, K)
    if ray_map.layout == "raxel":
        return _of_raxels(ray_map, check_hw(hw), method=method, lens=lens, K=K)
    fit = _fit(ray_map, check_hw(hw), method, lens, K, pixels)
    of_directions = direction_figures(fit.problem, fit.directions, robust=fit.robust)
    of_center = _center_figures(fit)
    inside = of_directions.inside if of_center is None else of_directions.inside & of_center.inside
    share = inside.double().mean(-1)
    require_all(
        share >= SMALLEST_INLIER_FRACTION, f"less than {SMALLEST_INLIER_FRACTION:.0%} of its rays fit any camera"
    )
    offset_rms = torch.zeros_like(share) if of_center is None else of_center.rms
    figures = (_joint(fit, of_directions, of_center), of_directions.rms, offset_rms, share)
    camera, leading = _camera(fit, ray_map), ray_map.values.shape[:-3]
    return RayCameras(camera, *(part.to(camera.K.dtype).reshape(*leading, *part.shape[2:]) for part in figures))


def _check(ray_map: RayMap, method: str, lens: str, K: Tensor | None) -> None:
    """ValueError for arguments that do not go together."""
    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}, got {method!r}")
    if lens not in LENSES:
        raise ValueError(f"lens is one of {', '.join(LENSES)}, got {lens!r}")
    if (lens == "known") != (K is not None):
        raise ValueError(f"K is given exactly when the lens is 'known'; it is {lens!r} and K is {type(K).__name__}")
    if K is not None and tuple(K.shape[-2:]) != (3, 3):
        raise ValueError(f"K has shape [..., 3, 3], got {list(K.shape)}")
    if ray_map.values.ndim < 4:
        raise ValueError(f"the ray map of a clip is [..., F, channels, h, w], got {list(ray_map.values.shape)}")


def _fit(ray_map: RayMap, hw: tuple[int, int], method: str, lens: str, K: Tensor | None, pixels: Tensor | None) -> _Fit:
    """The map's rays in float64, checked, and the cameras that fit them."""
    leading, robust = ray_map.values.shape[:-3], method == "robust"
    batch = (leading[:-1].numel(), leading[-1])
    lines = ray_lines(ray_map)
    parts = (lines.direction, lines.moment, lines.origin)
    direction, moment, origin = (None if part is None else part.reshape(*batch, 3, -1) for part in parts)
    assert direction is not None
    confidence = (
        None if ray_map.confidence is None else _checked_confidence(ray_map.confidence.double().reshape(*batch, -1))
    )
    normal = line_normal_matrix(direction)
    _require_rays(normal, direction.shape[-1], moment if origin is None else origin)
    if K is not None:
        K = K.double().expand(*leading, 3, 3).reshape(*batch, 3, 3)
    problem = DirectionProblem(direction, confidence, _pixels(pixels, ray_map, hw), hw, ray_map.hw, lens, K)
    directions = robust_fit(problem) if robust else closed_fit(problem)
    if moment is not None and confidence is None and not robust:
        center: CenterFit | None = nearest_to_moments(direction, moment, None, normal)
    else:
        center = _center(problem, moment, origin, directions, robust=robust)
    return _Fit(problem, moment, origin, directions, center, robust)


def _checked_confidence(confidence: Tensor) -> Tensor:
    good = confidence.isfinite().all(-1) & (confidence >= 0.0).all(-1) & (confidence.sum(-1) > 0.0)
    require_all(good, "its confidence is negative, not finite, or zero everywhere")
    return confidence


def _require_rays(normal: Tensor, rays: int, offset: Tensor | None) -> None:
    """PoseRecoveryError for the first frame whose directions are not finite or all but the same.

    The product of the eigenvalues of `normal`, the sum of I - d d^T over the frame's `rays`, against N^3 is about the
    mean square of the angles between them.
    """
    spread = determinant(normal) / rays**3
    spread = spread if offset is None else spread + 0.0 * offset.sum((-2, -1))  # NaN where one of them is
    if not bool((spread > PARALLEL).all()):
        require_all(spread.isfinite(), "its rays are not finite")
        require_all(spread > PARALLEL, "its rays are all but parallel")


def _pixels(pixels: Tensor | None, ray_map: RayMap, hw: tuple[int, int]) -> Tensor:
    """Where the rays pass, (u, v, 1) [B|1, F|1, 3, N] in float64: as given, or the cell centres of images of `hw`."""
    height, width = ray_map.hw
    if pixels is None:
        centers = _cell_centers((height, width), hw)
        return centers if ray_map.values.device.type == "cpu" else centers.to(ray_map.values.device)
    if pixels.shape[-3:] != (height, width, 2):
        raise ValueError(f"pixels are [..., {height}, {width}, 2] like the map, got {list(pixels.shape)}")
    leading = ray_map.values.shape[:-3]
    flat = pixels.double().expand(*leading, height, width, 2).reshape(-1, leading[-1], height * width, 2)
    return torch.cat((flat, torch.ones_like(flat[..., :1])), dim=-1).mT.contiguous()


@lru_cache(maxsize=16)
def _cell_centers(grid_hw: tuple[int, int], hw: tuple[int, int]) -> Tensor:
    """The middles (u, v, 1) [1, 1, 3, N] of the cells of a grid over an image of `hw`, in pixels."""
    grid = pixel_grid(grid_hw, dtype=torch.float64).flatten(0, 1)
    grid = grid * grid.new_tensor((hw[1] / grid_hw[1], hw[0] / grid_hw[0]))
    return torch.cat((grid, torch.ones_like(grid[:, :1])), dim=-1).mT.contiguous()[None, None]


def _center(
    problem: DirectionProblem, moment: Tensor | None, origin: Tensor | None, fit: DirectionFit, *, robust: bool
) -> CenterFit | None:
    """The centres, None where the map says nothing of them."""
    confidence = problem.weights if robust or problem.confidence is not None else None
    if origin is not None:
        solve = partial(mean_of_origins, origin)
        return robust_center(solve, lambda c: origin - c[..., None], confidence, 3) if robust else solve(confidence)
    if moment is None:
        return None
    solve = partial(nearest_to_moments, fit.in_world() if robust else problem.direction, moment)
    return robust_center(solve, partial(moment_residual, *solve.args), confidence, 2) if robust else solve(confidence)


def _camera(fit: _Fit, ray_map: RayMap) -> Camera:
    """The cameras found, in the map's leading axes and its dtype, float32 at least."""
    leading = ray_map.values.shape[:-3]
    dtype = torch.float64 if ray_map.values.dtype == torch.float64 else torch.float32
    rotation = fit.directions.rotation
    center = torch.zeros_like(rotation[..., 0]) if fit.center is None else fit.center.center
    motion = se3.from_rotation_translation(rotation, center).to(dtype)
    K = fit.directions.K.to(dtype)
    return Camera(motion.reshape(*leading, 4, 4), K.reshape(*leading, 3, 3), fit.problem.hw)


def _center_figures(fit: _Fit) -> CenterFigures | None:
    """How well the centres hold, None where there are none."""
    problem, center = fit.problem, fit.center
    if center is None:
        return None
    if fit.origin is not None:
        rest, dimensions = fit.origin - center.center[..., None], 3
    else:
        assert fit.moment is not None
        direction = fit.directions.in_world() if fit.robust else problem.direction
        rest, dimensions = moment_residual(direction, fit.moment, center.center), 2
    return center_figures(center, rest, problem.weights, problem.grid_hw, dimensions=dimensions, robust=fit.robust)


def _joint(fit: _Fit, of_directions: DirectionFigures, of_center: CenterFigures | None) -> Tensor:
    """Covariance [B, F, 7, 7] of (omega, t, log f). A centre that was found from fitted directions has a share in their
    error; lines that were taken as they are do not tell theirs."""
    own = of_directions.to_zoom @ of_directions.covariance @ of_directions.to_zoom.mT  # of (omega, log f)
    joint = own.new_zeros(*own.shape[:-2], 7, 7)
    order = torch.tensor((0, 1, 2, 6), device=own.device)
    joint[..., order[:, None], order] = own
    if of_center is None or fit.center is None:
        return joint
    joint[..., 3:6, 3:6] = of_center.covariance
    if fit.robust and fit.moment is not None:
        carried = center_by_directions(fit.center, fit.directions.in_world(), fit.moment, of_directions.motion)
        joint[..., 3:6, 3:6] += carried @ of_directions.covariance @ carried.mT
        crossed = carried @ of_directions.covariance @ of_directions.to_zoom.mT  # [B, F, 3, 4]
        joint[..., 3:6, order], joint[..., order, 3:6] = crossed, crossed.mT
    return joint


def _of_raxels(ray_map: RayMap, hw: tuple[int, int], *, method: str, lens: str, K: Tensor | None) -> RayCameras:
    """The cameras of raxels at scale 1, by `pose.recover_cameras`; ValueError for a lens it does not fit."""
    if lens == "free":
        raise ValueError("raxels give one focal length a frame or clip: lens is 'shared', 'per_frame' or 'known'")
    robust = method == "robust"
    found = recover_cameras(
        RayMap(ray_map.values, "raxel", axes=ray_map.axes).part("sum").transpose(-4, -3), hw, focal=lens, K=K,
        method="robust" if robust else "procrustes", reference_frame=None if robust else 0,
    )  # fmt: skip
    return RayCameras(found.camera, found.covariance, found.residual_rms, found.residual_rms, found.inlier_fraction)

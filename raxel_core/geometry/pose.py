"""Cameras from raxel bundles, with the uncertainty of what was found.

A raxel bundle holds, per pixel, the camera's centre plus the unit direction of its ray, o + d = t + R d(f), in the
frame of the reference camera. `method="procrustes"` is the recipe of "Rays as Pixels" (arXiv 2604.09429, equations 6
and 7); `method="robust"` is a weighted maximum-likelihood fit that outliers and zooms do not bend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from . import se3
from .camera import Camera, K_from_focal, check_hw
from .procrustes import focal_from_bundles, motion_to_bundle
from .ray_fit import RayAssessment, RayFit, RayProblem, assess, equal_weights, fit_rays, tukey_weights
from .rays import pixel_grid

METHODS = ("robust", "procrustes")
FOCALS = ("shared", "per_frame", "known")
REFERENCES = ("analytic", "decoded")
# A bundle narrower than this does not tell a turn from a shift (the normal matrix has condition 2000 and more).
SMALLEST_FOV_DEGREES = 15.0
SMALLEST_INLIER_FRACTION = 0.25
# Without a stride of the caller's, a frame is sampled at about this many pixels: the 30 x 52 latent cells of 480 x 832.
_SAMPLES = 1560
# A frame is told from a constant at about this many pixels.
_GLANCE_SAMPLES = 180
# The variances that doubt adds: a radian about each axis and a raxel unit along it, which is to say anywhere.
_DOUBT = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0)
# The fewest rows and columns that determine a camera with something to spare.
_SMALLEST_GRID = 4
# A bundle whose samples lie this close together holds no rays.
_CONSTANT = 1e-6


class PoseRecoveryError(ValueError):
    """A frame whose rays give no camera: `frame` is its number in the clip, `fault` what is wrong with them."""

    def __init__(self, frame: int, fault: str) -> None:
        super().__init__(f"no camera can be recovered from frame {frame}: {fault}")
        self.frame, self.fault = frame, fault


@dataclass(frozen=True, eq=False)
class RecoveredCameras:
    """Cameras read from raxels, in the frame of the reference camera, and how far to trust them.

    `camera` has leading axes [..., F]. `covariance` [..., F, 7, 7] is that of (omega, t, log f): the rotation is
    exp(omega) R with omega in radians, t the centre in raxel units, f the focal length; what is known by definition
    (where the reference stands, a given focal length) has zeros. `residual_rms` [..., F] is that of the inliers per
    channel, in raxel units, and `inlier_fraction` [..., F] the share of the samples that fit. Residuals show the noise
    of a decoder but no error that the whole frame shares, so that the covariance is a lower bound.
    """

    camera: Camera
    covariance: Tensor
    residual_rms: Tensor
    inlier_fraction: Tensor


class _Request(NamedTuple):
    """The checked arguments of `recover_cameras`, leading axes in one: `bundles` [B, 3, F, h, w] and K [B, F, 3, 3]."""

    bundles: Tensor
    hw: tuple[int, int]
    focal: str
    K: Tensor | None
    analytic: bool
    reference_frame: int | None

    def stride(self, samples: int) -> int:
        """The stride that leaves about `samples` pixels of a frame, and a grid of 4 x 4 at the least."""
        height, width = self.bundles.shape[-2:]
        widest = min(height, width) // _SMALLEST_GRID
        return max(1, min(round(math.sqrt(height * width / samples)), widest))

    def pixels(self, stride: int) -> Tensor:
        """Centres (x, y) [2, h', w'] in video pixels of every `stride`-th row and column of the bundle's grid."""
        height, width = self.bundles.shape[-2:]
        grid = pixel_grid((height, width), device=self.bundles.device, dtype=torch.float64)
        inside = slice(stride // 2, None, stride)
        scale = grid.new_tensor((self.hw[1] / width, self.hw[0] / height))
        return (grid[inside, inside] * scale).permute(2, 0, 1)

    def samples(self, stride: int) -> Tensor:
        """Rays [B, F, 3, h', w'] in float64 at every `stride`-th row and column."""
        inside = slice(stride // 2, None, stride)
        return self.bundles[..., inside, inside].transpose(1, 2).double().contiguous()

    def grouped(self) -> bool:
        """Whether all frames of a clip have the same intrinsics, known or not."""
        return self.focal == "shared" or (self.K is not None and bool((self.K[:, :1] == self.K).all()))

    def pinned(self) -> Tensor:
        """[B, F]: True for the reference frame when it is the identity by definition."""
        batch, _, frames = self.bundles.shape[:3]
        numbers = torch.arange(frames, device=self.bundles.device)
        reference = self.reference_frame if self.analytic and self.reference_frame is not None else -1
        return (numbers == reference).expand(batch, frames)


class _Found(NamedTuple):
    """Cameras before they are dressed: `rotation` [B, F, 3, 3], `center` [B, F, 3], `K` [B, F, 3, 3], `covariance`
    [B, F, 7, 7], `residual_rms` and `inlier_fraction` [B, F]."""

    rotation: Tensor
    center: Tensor
    K: Tensor
    covariance: Tensor
    residual_rms: Tensor
    inlier_fraction: Tensor


@torch.no_grad()
def recover_cameras(
    raxels: Tensor,
    hw: tuple[int, int],
    *,
    method: str = "robust",
    focal: str = "shared",
    K: Tensor | None = None,
    reference: str | None = None,
    reference_frame: int | None = 0,
    stride: int | None = None,
) -> RecoveredCameras:
    """Cameras of a clip from its raxel bundles o + d `raxels` [..., 3, F, h, w], divided by their scale already.

    `hw` is the size of the video that the answer's K is for; its pixels are square, the bundle's grid may be any. The
    principal point is the middle of the image. `focal` is "shared" by the clip, "per_frame", or "known", and then `K`
    [..., 3, 3] (or [..., F, 3, 3]) of the video is given. `reference` says what frame `reference_frame` is: "analytic",
    the identity; or "decoded", whatever its own bundle holds, and the other cameras are relative to that. It is by
    default what the method is defined with: analytic for "robust", decoded for "procrustes". With `reference_frame`
    None the bundles are taken in the frame they are in. `stride` thins the grid for the robust fit, by default to one
    sample per latent cell of 480 x 832, which is also what the closed form takes its covariances from. Fits run in
    float64; cameras are float64 when the raxels are, else float32.

    "procrustes" with "per_frame" is the paper to the letter (fx and fy apart); "shared" takes the median over frames.
    A frame that fits at less than a quarter of its samples is read as uncertain: its camera is the best fit, with a
    covariance that says how little it is worth. Raises PoseRecoveryError with the frame's number for rays that are not
    finite, do not vary, span less than 15 degrees, or where more than half of the frames fit so badly; ValueError for
    arguments that do not go together.
    """
    request = _checked(raxels, hw, focal, K, _reference_of(method, reference), reference_frame)
    _require_rays(request)
    if method == "robust":
        grid_hw = (raxels.shape[-2], raxels.shape[-1])
        found = _robust(request, request.stride(_SAMPLES) if stride is None else _checked_stride(stride, grid_hw))
    else:
        found = _procrustes(request)
    _require_fov(found.K, request.hw)
    found = _with_doubt(found, request.pinned())
    # The fits ran over all clips in one axis and in float64; now the caller's axes and dtype again.
    leading, frames = raxels.shape[:-4], raxels.shape[-3]
    dtype = torch.float64 if raxels.dtype == torch.float64 else torch.float32
    found = _Found(*(part.to(dtype).reshape(*leading, frames, *part.shape[2:]) for part in found))
    camera = Camera(se3.from_rotation_translation(found.rotation, found.center), found.K, request.hw)
    return RecoveredCameras(camera, found.covariance, found.residual_rms, found.inlier_fraction)


def _robust(request: _Request, stride: int) -> _Found:
    """The maximum-likelihood cameras under Tukey's weights."""
    batch, _, frames = request.bundles.shape[:3]
    K = request.K
    if K is None:
        # Half the width: the log f that is fitted is then that of f over half the width.
        start = request.bundles.new_full((batch, frames, 2), 0.5 * request.hw[1], dtype=torch.float64)
        K = _centred_K(start, request.hw)
    problem = _problem(request, K, stride)
    fit = fit_rays(problem)
    zoom = fit.log_focal.exp()[:, None].expand(problem.pinned.shape).reshape(batch, frames)
    rotation, center = fit.rotation.view(batch, frames, 3, 3), fit.center.view(batch, frames, 3)
    assessment = assess(problem, fit, weigh=tukey_weights)
    return _found(request, rotation, center, _zoomed(K, zoom), assessment)


def _procrustes(request: _Request) -> _Found:
    """The paper's cameras: equation 6 against the reference's bundle, then equation 7."""
    bundles, K, number = request.bundles, request.K, request.reference_frame
    if number is None:
        raise ValueError("the closed form fits each frame to a reference frame's bundle, and reference_frame is None")
    pixels = request.pixels(1)
    offsets = pixels - pixels.new_tensor((request.hw[1] / 2.0, request.hw[0] / 2.0))[:, None, None]
    source = bundles[:, :, number]
    if request.analytic:
        source_K = _K_at_identity(source, offsets, request.hw) if K is None else K[:, number]
        slopes = _slopes(source_K, pixels)
        source = torch.nn.functional.normalize(torch.cat((slopes, torch.ones_like(slopes[:, :1])), dim=1), dim=1)
    rotation, center = motion_to_bundle(bundles, source.to(bundles.dtype))
    pinned = request.pinned()[..., None]
    rotation = torch.where(pinned[..., None], torch.eye(3, dtype=rotation.dtype, device=rotation.device), rotation)
    center = torch.where(pinned, 0.0, center)
    if K is None:
        focal = focal_from_bundles(bundles, rotation, center, offsets)
        focal = focal.median(1, keepdim=True).values.expand_as(focal) if request.focal == "shared" else focal
        K = _centred_K(focal, request.hw)
    _require_fov(K, request.hw)
    problem = _problem(request, K, request.stride(_SAMPLES))
    groups, frames = problem.pinned.shape
    fit = RayFit(rotation.reshape(groups, frames, 3, 3), center.reshape(groups, frames, 3), K.new_zeros(groups))
    return _found(request, rotation, center, K, assess(problem, fit, weigh=equal_weights))


def _found(request: _Request, rotation: Tensor, center: Tensor, K: Tensor, assessment: RayAssessment) -> _Found:
    """The cameras relative to a decoded reference where one is asked for, with covariances in the answer's frame."""
    shape = rotation.shape[:2]
    focal_variance = assessment.focal_variance[:, None].expand(assessment.coupling.shape[:2]).reshape(shape)
    motion, coupling = assessment.motion_covariance.view(*shape, 6, 6), assessment.coupling.view(*shape, 6)
    turn = _twice(rotation)
    joint = _joint(turn @ motion @ turn.mT, _apply(turn, coupling), focal_variance)
    if request.reference_frame is not None and not request.analytic:
        joint = _relative_covariance(joint, rotation, center, request.reference_frame, grouped=request.grouped())
        back = rotation[:, request.reference_frame, None].mT
        rotation, center = back @ rotation, _apply(back, center - center[:, request.reference_frame, None])
    residual_rms, inlier_fraction = assessment.residual_rms.view(shape), assessment.inlier_fraction.view(shape)
    return _Found(rotation, center, K, joint, residual_rms, inlier_fraction)


def _relative_covariance(joint: Tensor, rotation: Tensor, center: Tensor, number: int, *, grouped: bool) -> Tensor:
    """Covariance [B, F, 7, 7] of cameras relative to frame `number`, from that of cameras fitted one by one, `joint`.

    To first order (omega, t)_rel = Q (p_k - S p_ref) with Q = R_ref^T twice and S = [[I, 0], [-hat(t_k - t_ref), I]].
    Frames depend on each other through the focal length alone, when they share it: cov(p_k, p_ref) = c_k c_ref^T /
    var(log f), where c is the covariance of a camera with log f.
    """
    motion, coupling, variance = joint[..., :6, :6], joint[..., :6, 6], joint[..., 6, 6]
    offset = center - center[:, number, None]
    shift = torch.eye(6, dtype=joint.dtype, device=joint.device).repeat(*offset.shape[:2], 1, 1)
    # cross(e_i, a) is column i of -hat(a).
    shift[..., 3:, :3] = torch.linalg.cross(
        torch.eye(3, dtype=joint.dtype, device=joint.device).expand(*offset.shape[:2], 3, 3), offset[..., None, :]
    ).mT
    ref_coupling = _apply(shift, coupling[:, number, None])
    shared = float(grouped) / variance.clamp(min=1e-300)
    crossed = coupling[..., :, None] * ref_coupling[..., None, :] * shared[..., None, None]
    motion = motion + shift @ motion[:, number, None] @ shift.mT - crossed - crossed.mT
    back = _twice(rotation[:, number, None].mT)
    joint = _joint(back @ motion @ back.mT, _apply(back, coupling - float(grouped) * ref_coupling), variance)
    joint[:, number, :6], joint[:, number, :, :6] = 0.0, 0.0
    return joint


def _joint(motion: Tensor, coupling: Tensor, variance: Tensor) -> Tensor:
    """[..., 7, 7] of the blocks `motion` [..., 6, 6], `coupling` [..., 6] and `variance` [...]."""
    upper = torch.cat((motion, coupling[..., None]), dim=-1)
    lower = torch.cat((coupling, variance[..., None]), dim=-1)
    return torch.cat((upper, lower[..., None, :]), dim=-2)


def _twice(rotation: Tensor) -> Tensor:
    """Block-diagonal [..., 6, 6] of `rotation` [..., 3, 3] with itself: it turns (omega, t) together."""
    zero = torch.zeros_like(rotation)
    return torch.cat((torch.cat((rotation, zero), dim=-1), torch.cat((zero, rotation), dim=-1)), dim=-2)


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """`matrix` [..., m, k] times `vector` [..., k]."""
    return (matrix @ vector[..., None]).squeeze(-1)


def _problem(request: _Request, K: Tensor, stride: int) -> RayProblem:
    """The samples of `request` in groups: a clip, or each frame by itself; log f is relative to `K` [B, F, 3, 3]."""
    rays, pinned = request.samples(stride), request.pinned()
    grid_hw = (rays.shape[-2], rays.shape[-1])
    rays = rays.flatten(-2)
    if not request.grouped():
        rays, pinned, K = rays.flatten(0, 1)[:, None], pinned.flatten()[:, None], K.flatten(0, 1)[:, None]
    slopes = _slopes(K[:, 0], request.pixels(stride)).flatten(-2)
    return RayProblem(rays, slopes, grid_hw, pinned, request.K is None)


def _slopes(K: Tensor, pixels: Tensor) -> Tensor:
    """(x / z, y / z) [M, 2, h, w] of the rays through `pixels` (x, y) [2, h, w] of cameras with `K` [M, 3, 3]."""
    entry = K[..., None, None]
    y = (pixels[1] - entry[:, 1, 2]) / entry[:, 1, 1]
    x = (pixels[0] - entry[:, 0, 2] - entry[:, 0, 1] * y) / entry[:, 0, 0]
    return torch.stack((x, y), dim=1)


def _centred_K(focal: Tensor, hw: tuple[int, int]) -> Tensor:
    """K [..., 3, 3] with the focal lengths (fx, fy) [..., 2] in pixels and the principal point in the middle."""
    return K_from_focal(focal, focal.new_tensor((0.5 * hw[1], 0.5 * hw[0])))


def _zoomed(K: Tensor, zoom: Tensor) -> Tensor:
    """`K` [..., 3, 3] with focal lengths and skew times `zoom` [...]."""
    upper_left = torch.ones_like(K)
    upper_left[..., :2, :2] = zoom[..., None, None]
    return K * upper_left


def _K_at_identity(bundle: Tensor, offsets: Tensor, hw: tuple[int, int]) -> Tensor:
    """K [B, 3, 3] of `bundle` [B, 3, h, w] read by equation 7 as it stands, as that of the identity camera."""
    identity = torch.eye(3, dtype=torch.float64, device=bundle.device).expand(len(bundle), 1, 3, 3)
    focal = focal_from_bundles(bundle[:, :, None], identity, torch.zeros_like(identity[..., 0]), offsets)
    return _centred_K(focal[:, 0], hw)


def _checked(
    raxels: Tensor, hw: tuple[int, int], focal: str, K: Tensor | None, reference: str, reference_frame: int | None
) -> _Request:
    """The arguments of `recover_cameras` in one form; ValueError where they do not go together."""
    if raxels.ndim < 4 or raxels.shape[-4] != 3 or not raxels.is_floating_point() or not raxels.numel():
        raise ValueError(f"raxels are floating point [..., 3, F, h, w], got {list(raxels.shape)} in {raxels.dtype}")
    if min(raxels.shape[-2:]) < _SMALLEST_GRID:
        raise ValueError(f"a grid of rays is at least {_SMALLEST_GRID} x {_SMALLEST_GRID}, got {list(raxels.shape)}")
    if focal not in FOCALS:
        raise ValueError(f"focal is one of {FOCALS}, got {focal!r}")
    if (focal == "known") != (K is not None):
        raise ValueError(f"K is given exactly when focal is 'known'; focal is {focal!r} and K is {type(K).__name__}")
    frames = raxels.shape[-3]
    if reference_frame is not None and not 0 <= reference_frame < frames:
        raise ValueError(f"reference_frame is a frame of the clip, 0 to {frames - 1}, got {reference_frame}")
    bundles = raxels.detach().to(raxels.dtype if raxels.dtype == torch.float64 else torch.float32)
    if K is not None:
        K = _checked_K(K, (*raxels.shape[:-4], frames)).to(bundles.device)
    bundles = bundles.reshape(-1, *bundles.shape[-4:])
    return _Request(bundles, check_hw(hw), focal, K, reference == "analytic", reference_frame)


def _checked_K(K: Tensor, batch: tuple[int, ...]) -> Tensor:
    """`K` [..., 3, 3] in float64 for the clips and frames `batch`, as [B, F, 3, 3]; ValueError if it does not fit."""
    if tuple(K.shape[-2:]) != (3, 3):
        raise ValueError(f"K has shape [..., 3, 3], got {list(K.shape)}")
    leading = K.shape[:-2]
    if len(leading) > len(batch) or any(a not in (1, b) for a, b in zip(leading[::-1], batch[::-1], strict=False)):
        raise ValueError(f"K of leading axes {list(leading)} does not broadcast to the frames {list(batch)}")
    return K.detach().double().expand(*batch, 3, 3).reshape(-1, batch[-1], 3, 3)


def _reference_of(method: str, reference: str | None) -> str:
    """`reference`, or what `method` is defined with; ValueError for a word that is neither."""
    if method not in METHODS:
        raise ValueError(f"method is one of {METHODS}, got {method!r}")
    if reference is None:
        return "analytic" if method == "robust" else "decoded"
    if reference not in REFERENCES:
        raise ValueError(f"reference is one of {REFERENCES}, got {reference!r}")
    return reference


def _checked_stride(stride: int, grid_hw: tuple[int, int]) -> int:
    """`stride`; ValueError unless it is positive and leaves four rows and columns, which determine a camera."""
    if stride < 1 or min(grid_hw) < _SMALLEST_GRID * stride:
        raise ValueError(f"stride {stride} leaves less than 4 x 4 samples of a grid of {grid_hw[0]} x {grid_hw[1]}")
    return stride


def _require_rays(request: _Request) -> None:
    """PoseRecoveryError for the first frame whose bundle is not finite or does not vary."""
    finite = request.bundles.sum((1, 3, 4)).isfinite()
    require_all(finite, "its rays are not finite")
    samples = request.samples(request.stride(_GLANCE_SAMPLES)).flatten(-2)
    varies = ((samples.amax(-1) - samples.amin(-1)) > _CONSTANT).any(-1)
    require_all(varies, "its rays are all the same")


def _require_fov(K: Tensor, hw: tuple[int, int]) -> None:
    """PoseRecoveryError for the first frame whose horizontal angle of view is below 15 degrees, or is none at all."""
    fov_degrees = torch.rad2deg(2.0 * torch.atan2(K.new_tensor(hw[1] / 2.0), K[..., 0, 0]))
    wide = (K[..., 0, 0] > 0.0) & (K[..., 1, 1] > 0.0) & (fov_degrees >= SMALLEST_FOV_DEGREES)
    require_all(
        wide, f"its rays span less than {SMALLEST_FOV_DEGREES:.0f} degrees, which does not tell turns from shifts"
    )


def _with_doubt(found: _Found, pinned: Tensor) -> _Found:
    """`found` with a wide covariance where a camera fits too few of its samples; PoseRecoveryError for the first such
    frame when more than half of a clip's are. The `pinned` reference [B, F] is where it is by definition.
    """
    fits = found.inlier_fraction >= SMALLEST_INLIER_FRACTION
    mostly = fits.double().mean(1, keepdim=True) >= 0.5
    require_all(fits | mostly, f"less than {SMALLEST_INLIER_FRACTION:.0%} of its rays fit any camera")
    doubted = (~fits & ~pinned)[..., None]
    return found._replace(covariance=found.covariance + torch.diag_embed(doubted * found.covariance.new_tensor(_DOUBT)))


def require_all(good: Tensor, fault: str) -> None:
    """PoseRecoveryError with `fault` and the first frame where `good` [B, F] is False."""
    if bool(good.all()):
        return
    clip, frame = (~good).nonzero()[0].tolist()
    raise PoseRecoveryError(frame, fault if len(good) == 1 else f"{fault} (clip {clip} of {len(good)})")

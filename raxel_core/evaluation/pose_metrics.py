"""How far one camera path is from another.

Everything takes two `Camera` values whose last leading axis is the frame (leading axes before it broadcast), computes
in float64 on the CPU, and returns radians and scene units. The sources of the definitions:

- R_err, T_err, CamMC, ATE, raw and over a common norm, reduced by mean or sum: CameraCtrl (He et al. 2024) and
  RayPE, whose camera-to-world matrices are anchored to the first frame; nothing is fitted.
- RRA, RTA and AUC over pairs of frames: PoseDiffusion (Wang et al. 2023) and VGGSfM (Wang et al. 2024).
- ATE and RPE after an SE(3) or Sim(3) fit: Sturm et al. 2012, with the fit of Umeyama 1991.

A figure that has no meaning for a path (the scale of a camera that stands still, the direction between two cameras at
one place) is NaN; it is never replaced by a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera

NORMALIZATIONS = ("none", "each", "truth")
REDUCTIONS = ("mean", "sum")
PAIRS = ("all", "reference")
DIRECTIONS = ("folded", "signed")

STANDSTILL = 1e-6
"""Distances of camera centres below this many scene units are rounding, not motion."""


@dataclass(frozen=True)
class FrameErrors:
    """Errors of every frame: `rotation` [..., F] radians, `translation` [..., F] scene units, `cammc` [..., F]."""

    rotation: Tensor
    translation: Tensor
    cammc: Tensor

    @property
    def ate(self) -> Tensor:
        """Root of the mean over frames of the squared translation error, [...]."""
        return _root_mean_square(self.translation)


@dataclass(frozen=True)
class _RelativeErrors:
    """Errors of the motion over `delta` frames: `rotation` [..., F - delta] radians, `translation` likewise."""

    rotation: Tensor
    translation: Tensor

    @property
    def rotation_rmse(self) -> Tensor:
        """Root mean square rotation error in radians, [...]."""
        return _root_mean_square(self.rotation)

    @property
    def translation_rmse(self) -> Tensor:
        """Root mean square translation error in scene units, [...]."""
        return _root_mean_square(self.translation)


@dataclass(frozen=True)
class PairErrors:
    """Errors of the relative camera of P pairs of frames: `rotation` and `direction` [..., P], radians.

    `direction` is the angle between the relative translations; NaN where the true one has no length.
    """

    rotation: Tensor
    direction: Tensor

    @property
    def worse(self) -> Tensor:
        """The larger of the two angles, [..., P]; NaN where the direction is."""
        return torch.maximum(self.rotation, self.direction)


@dataclass(frozen=True)
class PoseMetrics:
    """The whole suite for one path or a batch of paths, each figure [...]; angles in radians, lengths in scene units.

    `*_normalized` divides each path by its own largest distance from the first camera (CamI2V's "rel"), `*_by_truth`
    both by the truth's ("abs"). `rra_30`, `rta_30` are shares of pairs below 30 degrees, `mrra_30`, `auc_30` the area
    forms over thresholds of 1 to 30 degrees (rotation alone; the worse of rotation and direction). `rpe_*` are root
    mean squares over steps of one frame, or of as many as asked for. `log_scale` is the logarithm of the Sim(3) factor
    that takes the estimate to the truth. `focal_error` is relative.
    """

    rotation_error: Tensor
    translation_error: Tensor
    cammc: Tensor
    ate: Tensor
    translation_error_normalized: Tensor
    cammc_normalized: Tensor
    ate_normalized: Tensor
    translation_error_by_truth: Tensor
    cammc_by_truth: Tensor
    ate_by_truth: Tensor
    rra_30: Tensor
    mrra_30: Tensor
    rta_30: Tensor
    auc_30: Tensor
    ate_se3: Tensor
    ate_sim3: Tensor
    log_scale: Tensor
    rpe_rotation: Tensor
    rpe_translation: Tensor
    focal_error: Tensor
    fov_error: Tensor


def frame_errors(estimate: Camera, truth: Camera, *, normalization: str = "none") -> FrameErrors:
    """Errors of every frame [..., F] after both paths are anchored to their own first camera.

    rotation = angle of R_truth^T R_estimate (radians), translation = |t_estimate - t_truth|, CamMC = Frobenius norm of
    the difference of the two 3x4 matrices. `normalization`: "none" (raw, scene units), "each" (each path divided by
    its own largest |t|: the common norm of the published tables), "truth" (both divided by the truth's largest |t|).
    With "each" and "truth" a true camera that stands still has no norm: translation and CamMC are NaN.
    ValueError when the paths differ in length or the name is unknown. Source: CameraCtrl, RayPE.
    """
    _check_name("normalization", normalization, NORMALIZATIONS)
    paths = _anchored(_paths(estimate, truth))
    rotation = se3.geodesic(paths.rotation[0], paths.rotation[1])
    return _frame_errors(paths, rotation, normalization)


def reduce_frames(errors: Tensor, reduction: str = "mean") -> Tensor:
    """Per-frame errors [..., F] to one figure [...]: "mean" over frames, or "sum" as CameraCtrl's tables have it."""
    _check_name("reduction", reduction, REDUCTIONS)
    return errors.mean(-1) if reduction == "mean" else errors.sum(-1)


def pair_errors(estimate: Camera, truth: Camera, *, pairs: str = "all", direction: str = "folded") -> PairErrors:
    """Errors of relative cameras over pairs of frames: every i < j ("all"), or the first with each ("reference").

    The relative translation of a pair is the centre of camera j seen from camera i. `direction`: "folded" takes t and
    -t as the same (0 to pi/2), as PoseDiffusion, VGGSfM and VGGT do, "signed" keeps the sign (0 to pi). A true pair at
    one place has no direction: NaN, and the accuracies leave it out; an estimate without one gets the largest angle.
    """
    _check_name("pairs", pairs, PAIRS)
    _check_name("direction", direction, DIRECTIONS)
    return _pair_errors(_paths(estimate, truth), pairs, direction)


def accuracy(errors: Tensor, threshold: float) -> Tensor:
    """Share [...] of the errors [..., P] (radians) below `threshold` (radians): RRA@tau, RTA@tau. NaN is left out."""
    return (errors < threshold).sum(-1).double() / errors.isfinite().sum(-1)


def area_accuracy(errors: Tensor, limit_degrees: int = 30) -> Tensor:
    """Mean over the thresholds 1, 2, ... `limit_degrees` of the share of errors [..., P] below each, [...].

    With rotation errors this is mRRA@30, with the worse of rotation and direction AUC@30 = mAA(30): an error between
    k and k + 1 degrees is below limit - k of the thresholds, so no histogram is needed. NaN is left out.
    Source: PoseDiffusion's mAA over bins of one degree.
    """
    passed = (limit_degrees - errors.rad2deg().floor()).clamp(min=0)
    return passed.nanmean(-1) / limit_degrees


def focal_error(estimate: Camera, truth: Camera) -> Tensor:
    """Relative focal error |f / f_truth - 1| per frame and axis, [..., F, 2] for (x, y).

    Focals are compared in units of their own image size, so that the two may differ in resolution.
    """
    return (_relative_focal(estimate) / _relative_focal(truth) - 1).abs()


def fov_error(estimate: Camera, truth: Camera) -> Tensor:
    """Absolute difference of the angle of view per frame and axis, [..., F, 2] radians for (horizontal, vertical)."""
    return (estimate.to("cpu", torch.float64).fov - truth.to("cpu", torch.float64).fov).abs()


def pose_metrics(
    estimate: Camera,
    truth: Camera,
    *,
    reduction: str = "mean",
    pairs: str = "all",
    direction: str = "folded",
    step: int = 1,
) -> PoseMetrics:
    """All figures of `PoseMetrics` at once, [...] each, from two paths with leading axes [..., F].

    `reduction` of R_err, T_err and CamMC over frames (the first, which is zero by the anchoring, is counted);
    `pairs` and `direction` as in `pair_errors`, of long paths DRAWN_PAIRS pairs alone (`pairs_counted`); `step` is how
    many frames the motion of `rpe_*` goes over. The fits of `ate_se3`, `ate_sim3` and `log_scale` are Umeyama's (1991,
    equations 40 to 42), and their residual exists also where the fitting rotation is not unique (a straight line).
    ValueError when `step` leaves no pair.
    """
    _check_name("pairs", pairs, PAIRS)
    _check_name("direction", direction, DIRECTIONS)
    # Every figure is of paths whose first cameras coincide; pairs and steps do not change by that.
    paths = _anchored(_paths(estimate, truth))
    raw = _frame_errors(paths, se3.geodesic(paths.rotation[0], paths.rotation[1]), "none")
    common, over_truth = (_frame_errors(paths, raw.rotation, name) for name in ("each", "truth"))
    of_pairs = _pair_accuracies(paths, pairs, direction)
    motion = _relative_errors(paths, step)
    fit = _fit(paths.center)
    return PoseMetrics(
        rotation_error=reduce_frames(raw.rotation, reduction),
        translation_error=reduce_frames(raw.translation, reduction),
        cammc=reduce_frames(raw.cammc, reduction),
        ate=raw.ate,
        translation_error_normalized=reduce_frames(common.translation, reduction),
        cammc_normalized=reduce_frames(common.cammc, reduction),
        ate_normalized=common.ate,
        translation_error_by_truth=reduce_frames(over_truth.translation, reduction),
        cammc_by_truth=reduce_frames(over_truth.cammc, reduction),
        ate_by_truth=over_truth.ate,
        rra_30=of_pairs.rra,
        mrra_30=of_pairs.mrra,
        rta_30=of_pairs.rta,
        auc_30=of_pairs.auc,
        ate_se3=fit.residual(torch.ones_like(fit.scale)),
        ate_sim3=fit.residual(fit.scale),
        log_scale=fit.log_scale,
        rpe_rotation=motion.rotation_rmse,
        rpe_translation=motion.translation_rmse,
        focal_error=focal_error(estimate, truth).mean(dim=(-2, -1)),
        fov_error=fov_error(estimate, truth).mean(dim=(-2, -1)),
    )


class _Paths(NamedTuple):
    """Two paths in one, the estimate first and the truth second: `rotation` [2, ..., F, 3, 3], `center` [2, ..., F, 3].

    What is done to both is then done once, which for paths of some 100 frames is what the time goes into.
    """

    rotation: Tensor
    center: Tensor


class _Fit(NamedTuple):
    """Least-squares fit of the estimate's centres to the truth's, both centred on their means.

    `scale` [...] of the similarity, `rotated` and `true` [..., F, 3], and `moving` [...]: whether the estimate moves.
    """

    scale: Tensor
    rotated: Tensor
    true: Tensor
    moving: Tensor

    @property
    def log_scale(self) -> Tensor:
        return self.scale.where(self.moving & (self.scale > 0), math.nan).log()

    def residual(self, scale: Tensor) -> Tensor:
        """Root mean square distance [...] that is left with this `scale`."""
        return _root_mean_square((scale[..., None, None] * self.rotated - self.true).norm(dim=-1))


def _check_name(kind: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise ValueError(f"{kind} must be one of {', '.join(names)}, got {name!r}")


def _paths(estimate: Camera, truth: Camera) -> _Paths:
    """Both paths in float64 on the CPU (not every accelerator has float64); ValueError when they do not compare."""
    both = (_matrix("estimate", estimate), _matrix("truth", truth))
    frames, true_frames = (matrix.shape[-3] for matrix in both)
    if frames != true_frames:
        raise ValueError(f"paths of different length: the estimate has {frames} frames, the truth {true_frames}")
    if frames < 2:
        raise ValueError("comparing camera paths needs at least 2 frames, got 1")
    world_from_cam = torch.stack(torch.broadcast_tensors(*both))
    return _Paths(world_from_cam[..., :3, :3], world_from_cam[..., :3, 3])


def _matrix(name: str, camera: Camera) -> Tensor:
    """world_from_cam [..., F, 4, 4] of one path; ValueError without a frame axis or with a value that is not finite."""
    if len(camera.world_from_cam.shape) < 3:
        raise ValueError(f"a camera path needs a frame axis: the {name} is a single camera")
    world_from_cam = camera.world_from_cam.detach().to("cpu", torch.float64)
    if not world_from_cam.isfinite().all():
        raise ValueError(f"the camera path of the {name} holds NaN or infinity")
    return world_from_cam


def _anchored(paths: _Paths) -> _Paths:
    """Both paths in the frame of their own first camera."""
    first = paths.rotation[..., :1, :, :]
    center = (paths.center - paths.center[..., :1, :]) @ first.squeeze(-3)
    return _Paths(first.mT @ paths.rotation, center)


def _root_mean_square(errors: Tensor) -> Tensor:
    return errors.square().mean(-1).sqrt()


def _normalized(center: Tensor, normalization: str) -> Tensor:
    """Centres [2, ..., F, 3] of anchored paths over their norm; an estimate that stands still stays at zero."""
    if normalization == "none":
        return center
    norm = center.norm(dim=-1).amax(-1)
    true_norm = norm[1].where(norm[1] > STANDSTILL, math.nan)
    norm = true_norm if normalization == "truth" else torch.stack((norm[0].where(norm[0] > STANDSTILL, 1.0), true_norm))
    return center / norm[..., None, None]


def _frame_errors(paths: _Paths, rotation: Tensor, normalization: str) -> FrameErrors:
    """Errors of anchored paths whose rotation errors [..., F] are known."""
    center = _normalized(paths.center, normalization)
    offset = (center[0] - center[1]).square().sum(-1)
    turned = (paths.rotation[0] - paths.rotation[1]).square().sum(dim=(-2, -1))
    return FrameErrors(rotation=rotation, translation=offset.sqrt(), cammc=(turned + offset).sqrt())


def _fit(center: Tensor) -> _Fit:
    """Least-squares fit of centres [2, ..., F, 3]. Umeyama 1991, equations 38 to 42.

    The residual is the minimum also where the rotation is not unique (collinear centres), which is why this does not
    go through `geometry.align.umeyama`: that one returns the transform, and rightly refuses. The scale is NaN where
    the truth stands still and 1 where only the estimate does.
    """
    moved = center - center.mean(-2, keepdim=True)
    U, D, Vh = torch.linalg.svd(moved[1].mT @ moved[0])
    sign = torch.ones_like(D)
    sign[..., 2] = torch.linalg.det(U @ Vh).sign()
    squares = moved.square().sum(-1)
    moving = squares.amax(-1) > STANDSTILL**2
    scale = (D * sign).sum(-1) / squares[0].sum(-1)
    scale = scale.where(moving[0], 1.0).where(moving[1], math.nan)
    return _Fit(scale, moved[0] @ ((U * sign[..., None, :]) @ Vh).mT, moved[1], moving[0])


def _relative_errors(paths: _Paths, delta: int) -> _RelativeErrors:
    """Errors [..., F - delta] of the motion from each frame f to f + delta, which no rigid alignment changes: that of
    (Q_f^-1 Q_f+delta)^-1 (P_f^-1 P_f+delta). ValueError when `delta` leaves no pair. Source: Sturm et al. 2012."""
    frames = paths.center.shape[-2]
    if not 1 <= delta < frames:
        raise ValueError(f"the step of a relative error must be 1 to {frames - 1} for {frames} frames, got {delta}")
    before = paths.rotation[..., :-delta, :, :]
    turn = before.mT @ paths.rotation[..., delta:, :, :]
    step = paths.center[..., delta:, :] - paths.center[..., :-delta, :]
    step = (step[..., None, :] @ before).squeeze(-2)
    return _RelativeErrors(rotation=se3.geodesic(turn[0], turn[1]), translation=(step[0] - step[1]).norm(dim=-1))


def _pair_errors(paths: _Paths, pairs: str, direction: str) -> PairErrors:
    """Errors over the pairs (i, j), computed as tables [..., rows, F] and read off above the diagonal.

    With A_i = R_estimate R_truth^T of camera i, the error of the relative rotation of (i, j) has the angle of
    A_i A_j^T, and |A_i - A_j|_F = 2 sqrt(2) sin(angle / 2) keeps its digits near zero, where arccos loses them.
    A_i also turns the true relative translation into the estimate's axes.
    """
    frames = paths.center.shape[-2]
    rows = frames if pairs == "all" else 1
    i, j = torch.triu_indices(rows, frames, offset=1)
    place = i * frames + j
    turn = paths.rotation[0] @ paths.rotation[1].mT
    flat = turn.flatten(-2)
    chord = torch.cdist(flat[..., :rows, :], flat, compute_mode="donot_use_mm_for_euclid_dist")
    rotation = 2 * (chord.flatten(-2)[..., place] / math.sqrt(8)).clamp(max=1).asin()
    baseline = paths.center[..., None, :, :] - paths.center[..., :rows, None, :]
    seen = baseline.flatten(-3, -2)[..., place, :]
    true_seen = (baseline[1] @ turn[..., :rows, :, :].mT).flatten(-3, -2)[..., place, :]
    return PairErrors(rotation, _direction_errors(seen[0], true_seen, direction))


class _PairAccuracies(NamedTuple):
    """Shares [...] of pairs below 30 degrees (rotation, direction), and their areas (rotation, the worse of both)."""

    rra: Tensor
    rta: Tensor
    mrra: Tensor
    auc: Tensor


def _pair_accuracies(paths: _Paths, pairs: str, direction: str) -> _PairAccuracies:
    """The accuracies of the pairs from a count of them by whole degrees of both errors."""
    batch, frames = paths.center.shape[1:-2], paths.center.shape[-2]
    rotation, center = paths.rotation.reshape(2, -1, frames, 3, 3), paths.center.reshape(2, -1, frames, 3)
    if pairs == "all" and pairs_counted(frames) == DRAWN_PAIRS:
        counts = _drawn_counts(rotation, center, direction)
    else:
        counts = _table_counts(rotation, center, frames if pairs == "all" else 1, direction)
    table = counts.reshape(*batch, _BINS, _BINS).double()
    return _accuracies_of(table[..., :-1, :])


def pairs_counted(frames: int) -> int:
    """Of how many pairs of so many frames the accuracies are: all, or DRAWN_PAIRS where there are above _ALL_PAIRS."""
    return frames * (frames - 1) // 2 if frames * (frames - 1) // 2 <= _ALL_PAIRS else DRAWN_PAIRS


def _table_counts(rotation: Tensor, center: Tensor, rows: int, direction: str) -> Tensor:
    """`_pair_counts` of each of the first `rows` cameras with those after it, some rows of the table at a time, so that
    the memory is linear in the frames."""
    clips, frames = center.shape[1:3]
    counts = torch.zeros(clips, _BINS * _BINS, dtype=torch.int64)
    step = max(1, _PAIRS_AT_ONCE // (frames * clips))
    for first in range(0, rows, step):
        last = min(first + step, rows)
        counts += _pair_counts(rotation[..., first:, :, :], center[..., first:, :], last - first, direction)
    return counts


def _drawn_counts(rotation: Tensor, center: Tensor, direction: str) -> Tensor:
    """As `_table_counts`, of DRAWN_PAIRS pairs: each camera in turn, and another one drawn for it, the same ones for
    the same number of frames."""
    clips, frames = center.shape[1:3]
    counts = torch.zeros(clips, _BINS * _BINS, dtype=torch.int64)
    turn = rotation[0] @ rotation[1].mT
    generator = torch.Generator().manual_seed(0)
    step = max(1, _PAIRS_AT_ONCE // (8 * clips))
    for start in range(0, DRAWN_PAIRS, step):
        one = torch.arange(start, min(start + step, DRAWN_PAIRS)) % frames
        other = (one + torch.randint(1, frames, one.shape, generator=generator)) % frames
        i, j = torch.minimum(one, other), torch.maximum(one, other)
        cosine = 0.5 * ((turn[:, i] * turn[:, j]).sum((-2, -1)) - 1.0)
        seen, true_seen = center[:, :, j] - center[:, :, i]
        along = (seen * (turn[:, i] @ true_seen[..., None])[..., 0]).sum(-1)
        places = _places(cosine, along, seen.norm(dim=-1), true_seen.norm(dim=-1), direction)
        counts += _counted(places)
    return counts


_LIMIT = 30
# Whole degrees below the limit, the rest, and pairs that do not count.
_BINS = _LIMIT + 2
_PAIRS_AT_ONCE = 2**19
# All pairs of 2896 frames; of more, so many drawn ones give shares with a standard error of 0.05% at most.
_ALL_PAIRS = 2**22
DRAWN_PAIRS = 2**20


def _pair_counts(rotation: Tensor, center: Tensor, rows: int, direction: str) -> Tensor:
    """[B, bins * bins]: pairs of each of the first `rows` cameras with those after it, by degrees of rotation (first)
    and of direction error (second), which the cosines of both tell.

    With A_i = R_estimate R_truth^T of camera i, the angle of A_i A_j^T has the cosine (<A_i, A_j> - 1) / 2.
    """
    turn = rotation[0] @ rotation[1].mT
    flat = turn.flatten(-2)
    cosine = 0.5 * (flat[..., :rows, :] @ flat.mT - 1.0)
    center = center - center[..., :1, :]
    length, true_length = torch.cdist(center[..., :rows, :], center, compute_mode="donot_use_mm_for_euclid_dist")
    along = _along(turn[..., :rows, :, :], center[0], center[1])
    places = _places(cosine, along, length, true_length, direction)
    earlier = torch.ones(places.shape[-2:], dtype=torch.bool).triu(1).logical_not_()
    return _counted(places.masked_fill_(earlier, _BINS * _BINS - 1).flatten(1))


def _places(cosine: Tensor, along: Tensor, length: Tensor, true_length: Tensor, direction: str) -> Tensor:
    """Where pairs [...] belong in the table of degrees, by the `cosine` of their rotation error and by the product
    `along` of two vectors of `length` and `true_length`."""
    towards = along / (length * true_length).clamp(min=STANDSTILL**2)
    towards = (towards.abs() if direction == "folded" else towards).masked_fill_(length <= STANDSTILL, -1.0)
    by_direction = _whole_degrees(towards).masked_fill_(true_length <= STANDSTILL, _BINS - 1)
    return _whole_degrees(cosine).mul_(_BINS).add_(by_direction).long()


def _counted(places: Tensor) -> Tensor:
    """How often each place is among the `places` [B, P] of a clip, [B, bins * bins]."""
    clips = len(places)
    apart = places + torch.arange(clips)[:, None] * _BINS**2
    return torch.bincount(apart.flatten(), minlength=clips * _BINS**2).reshape(clips, -1)


def _along(turn: Tensor, center: Tensor, true_center: Tensor) -> Tensor:
    """(c_j - c_i) . A_i (t_j - t_i) [B, rows, F] of centres [B, F, 3] and the first cameras' A_i [B, rows, 3, 3],
    multiplied out, so that it is three matrix products; lengths count from the first of them, which keeps the digits of
    neighbours."""
    rows = turn.shape[-3]
    here, true_here = center[..., :rows, :, None], true_center[..., :rows, :, None]
    seen_here, back_here = (turn @ true_here)[..., 0], (turn.mT @ here)[..., 0]
    outer = (center[..., :, None] * true_center[..., None, :]).flatten(-2)
    whole = turn.flatten(-2) @ outer.mT - seen_here @ center.mT - back_here @ true_center.mT
    return whole + (here[..., 0] * seen_here).sum(-1, keepdim=True)


def _whole_degrees(cosine: Tensor) -> Tensor:
    """The whole degrees of the angles with this cosine, _LIMIT for all that have as many or more."""
    return cosine.clamp_(-1.0, 1.0).acos_().mul_(180.0 / math.pi).floor_().clamp_(max=_LIMIT)


def _accuracies_of(table: Tensor) -> _PairAccuracies:
    """The shares and areas in counts [..., limit + 1, bins] of pairs by degrees of rotation and of direction."""
    degrees = torch.arange(_LIMIT + 1, dtype=torch.float64)
    passed = (_LIMIT - degrees) / _LIMIT
    by_rotation, by_direction = table.sum(-1), table[..., :-1].sum(-2)
    worse = torch.maximum(degrees[:, None], degrees)
    directed = by_direction.sum(-1)
    return _PairAccuracies(
        rra=by_rotation[..., :-1].sum(-1) / by_rotation.sum(-1),
        rta=by_direction[..., :-1].sum(-1) / directed,
        mrra=(by_rotation * passed).sum(-1) / by_rotation.sum(-1),
        auc=(table[..., :-1] * ((_LIMIT - worse) / _LIMIT)).sum((-2, -1)) / directed,
    )


def _direction_errors(seen: Tensor, true_seen: Tensor, direction: str) -> Tensor:
    """Angles [..., P] between vectors [..., P, 3]; NaN where the true one has no length."""
    angle = torch.atan2(torch.linalg.cross(seen, true_seen, dim=-1).norm(dim=-1), (seen * true_seen).sum(-1))
    if direction == "folded":
        angle = torch.minimum(angle, math.pi - angle)
    angle = angle.where(seen.norm(dim=-1) > STANDSTILL, math.pi if direction == "signed" else math.pi / 2)
    return angle.where(true_seen.norm(dim=-1) > STANDSTILL, math.nan)


def _relative_focal(camera: Camera) -> Tensor:
    """Focal lengths in image widths and heights, [..., 2] for (x, y), float64."""
    height, width = camera.hw
    return camera.focal.detach().to("cpu", torch.float64) / torch.tensor([width, height], dtype=torch.float64)

"""Rigid and similarity alignment of two paths, in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from . import se3
from .trajectory import Trajectory

MODES = ("se3", "sim3")

# The second singular value of the points' scatter, against the first: below it they lie on a line, within rounding.
_DEGENERATE = 1e-9


class Similarity(NamedTuple):
    """scale * rotation @ source + translation; `scale` [...], `rotation` [..., 3, 3], `translation` [..., 3]."""

    scale: Tensor
    rotation: Tensor
    translation: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """`points` [..., N, 3] of the source's frame in the target's."""
        return self.scale[..., None, None] * (points @ self.rotation.mT) + self.translation[..., None, :]


def umeyama(source: Tensor, target: Tensor, *, with_scale: bool) -> Similarity:
    """The similarity that takes `source` [..., N, 3] to `target` [..., N, 3] with the least squared error.

    `with_scale` False holds the scale at 1. Solved in float64, given back in the dtype of the points (float32 at
    least). Raises ValueError when the points do not fix a rotation: fewer than three, not finite, or on one line.
    Source: S. Umeyama, IEEE PAMI 13 (1991) 376, eq. 38 to 43.
    """
    _check_points(source, target)
    dtype = torch.promote_types(torch.promote_types(source.dtype, target.dtype), torch.float32)
    source, target = torch.broadcast_tensors(source.double(), target.double())
    source_mean, target_mean = source.mean(-2, keepdim=True), target.mean(-2, keepdim=True)
    source_centred, target_centred = source - source_mean, target - target_mean
    for name, points in (("source", source_centred), ("target", target_centred)):
        _check_spread(name, points)
    covariance = target_centred.mT @ source_centred / source.shape[-2]
    u, singular, vh = torch.linalg.svd(covariance)
    sign = torch.ones_like(singular)
    sign[..., 2] = torch.where(torch.linalg.det(u) * torch.linalg.det(vh) < 0.0, -1.0, 1.0)
    rotation = (u * sign[..., None, :]) @ vh
    variance = (source_centred * source_centred).sum(-1).mean(-1)
    scale = (singular * sign).sum(-1) / variance if with_scale else torch.ones_like(variance)
    translation = target_mean.squeeze(-2) - scale[..., None] * (rotation @ source_mean.mT).squeeze(-1)
    return Similarity(scale.to(dtype), rotation.to(dtype), translation.to(dtype))


def align(trajectory: Trajectory, target: Trajectory, mode: str = "sim3") -> Trajectory:
    """`trajectory` moved, turned and, in mode "sim3", scaled onto `target` by its camera centres.

    Lengths are then in the target's unit when scaled. Raises ValueError on an unknown mode, different lengths, or
    centres that do not fix a rotation (a camera that stands still or drives on a straight line).
    """
    if mode not in MODES:
        raise ValueError(f"a mode of alignment is one of {', '.join(MODES)}, got {mode!r}")
    if len(trajectory) != len(target):
        raise ValueError(
            f"trajectories to align have the same number of frames, got {len(trajectory)} and {len(target)}"
        )
    camera = trajectory.camera
    fit = umeyama(camera.center, target.camera.center, with_scale=mode == "sim3")
    motions = se3.from_rotation_translation(fit.rotation @ camera.rotation, fit.apply(camera.center))
    unit = target.unit if mode == "sim3" else trajectory.unit
    return replace(trajectory, camera=replace(camera, world_from_cam=motions), unit=unit)


def _check_points(source: Tensor, target: Tensor) -> None:
    """ValueError unless both are finite [..., N, 3] with the same N, at least three."""
    if source.ndim < 2 or target.ndim < 2 or source.shape[-2:] != target.shape[-2:] or source.shape[-1] != 3:
        raise ValueError(f"points to align are [..., N, 3] twice, got {list(source.shape)} and {list(target.shape)}")
    if source.shape[-2] < 3:
        raise ValueError(f"an alignment needs at least three points, got {source.shape[-2]}")
    for name, points in (("source", source), ("target", target)):
        if not bool(points.isfinite().all()):
            raise ValueError(f"the {name} points of an alignment hold NaN or infinity")


def _check_spread(name: str, centred: Tensor) -> None:
    """ValueError when centred points [..., N, 3] lie in one place or on one line: no rotation follows from them."""
    singular = torch.linalg.svdvals(centred)
    if bool((singular[..., 1] <= _DEGENERATE * singular[..., 0]).any()):
        raise ValueError(f"the {name} points lie in one place or on one line, which fixes no rotation to align by")

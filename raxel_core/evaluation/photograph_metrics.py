"""How right the cameras of a few photographs are: the protocol of RelPose++, PoseDiffusion and Cameras as Rays.

Rotations are judged by ordered pairs, centres after the best similarity, both as the share below a threshold.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from .pose_metrics import area_accuracy, pair_errors

ROTATION_THRESHOLD = math.radians(15.0)
CENTER_THRESHOLDS = (0.1, 0.2)


class PhotographErrors(NamedTuple):
    """`rotation` [N (N - 1)] in radians over ordered pairs, `center` [N] in scene scales, `auc_30` in [0, 1]."""

    rotation: Tensor
    center: Tensor
    auc_30: float

    def figures(self) -> dict[str, float]:
        """The shares below 15 degrees, 0.1 and 0.2, and AUC@30."""
        centers = {f"center_{limit:g}": float((self.center < limit).double().mean()) for limit in CENTER_THRESHOLDS}
        rotation = float((self.rotation < ROTATION_THRESHOLD).double().mean())
        return {"rotation_15": rotation, **centers, "auc_30": self.auc_30}


def photograph_errors(estimate: Camera, truth: Camera, *, scene_scale: float) -> PhotographErrors:
    """Errors of the cameras [N] of photographs against the true ones.

    A pair's rotation error is the angle between R_i^T R_j of both; a centre's is its distance from the truth after the
    similarity that brings all centres nearest, divided by `scene_scale`, the largest distance of a camera of the whole
    sequence from their mean. Two centres can always be met: their error is zero. Raises ValueError for paths of
    different lengths or fewer than two cameras.
    """
    if len(estimate) != len(truth) or len(truth) < 2:
        raise ValueError(f"photographs are compared two or more at a time: got {len(estimate)} and {len(truth)}")
    R, Q = estimate.rotation.double(), truth.rotation.double()
    first, second = (~torch.eye(len(truth), dtype=torch.bool)).nonzero().unbind(-1)
    rotation = se3.geodesic(R[first].mT @ R[second], Q[first].mT @ Q[second])
    center = nearest_similarity(estimate.center.double(), truth.center.double())
    distance = torch.linalg.vector_norm(center - truth.center.double(), dim=-1) / scene_scale
    auc = float(area_accuracy(pair_errors(estimate, truth).worse))
    return PhotographErrors(rotation, distance, auc)


def scene_scale(camera: Camera) -> float:
    """The largest distance of a camera [N] from the mean of all."""
    center = camera.center.double()
    return float(torch.linalg.vector_norm(center - center.mean(0), dim=-1).max())


def nearest_similarity(points: Tensor, target: Tensor) -> Tensor:
    """`points` [N, 3] after the similarity that brings them nearest to `target` [N, 3].

    On a line or in one place the rotation is not unique, and the moved points are. Source: S. Umeyama, PAMI 13 (1991).
    """
    mean, target_mean = points.mean(0), target.mean(0)
    centred, wanted = points - mean, target - target_mean
    u, singular, vh = torch.linalg.svd(wanted.mT @ centred)
    sign = torch.ones_like(singular)
    sign[2] = torch.sign(torch.linalg.det(u @ vh))
    variance = centred.square().sum()
    scale = (singular * sign).sum() / variance if float(variance) > 0.0 else variance
    return scale * centred @ ((u * sign) @ vh).mT + target_mean

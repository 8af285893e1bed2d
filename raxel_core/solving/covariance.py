"""COLMAP's covariance of an adjusted model as ours: (omega, centre, log f, log near depth) of every camera against the
first.

COLMAP perturbs cam_from_world = (Q, t) as (exp(delta) Q, t + epsilon). With R = Q^T and the centre c = -R t this is
omega = -R delta and dc = R (delta x t) - R epsilon. It holds the scale by one coordinate of the second camera, whose
error would then be everyone's; ours holds the distance of the camera that is farthest from the first.
What that leaves unknown of the near depth is kept beside: a path in near depths is as uncertain as they are (scale.py).

It also takes every residual for an error of its own, while what is wrong with a point is wrong in all frames that
follow it. How far parts of the points disagree, each adjusted alone, shows what that comes to (a group jackknife).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..geometry import se3
from .colmap import load_pycolmap
from .scale import near_of


def pose_covariance(model: Any, adjuster: Any, frames: tuple[int, ...], variance: float) -> Tensor | None:
    """[R, 8, 8] of the model's `frames`, times the `variance` of a pixel's residual, with the focal length held and the
    near depth known; None where it is singular."""
    pycolmap = load_pycolmap()
    found = pycolmap.estimate_ba_covariance(pycolmap.BACovarianceOptions(), model, adjuster)
    if found is None:
        return None
    motions = [np.asarray(model.images[frame + 1].cam_from_world().matrix()) for frame in frames]
    jacobians = [_to_ours(torch.from_numpy(motion)) for motion in motions]
    centers = torch.stack([-torch.from_numpy(motion[:, :3].T @ motion[:, 3]) for motion in motions])
    offsets = centers - centers[0]
    anchor = int(torch.linalg.vector_norm(offsets, dim=-1).argmax())
    blocks = _Blocks(found, [frame + 1 for frame in frames], motions)
    covariance = torch.zeros(len(frames), 8, 8, dtype=torch.float64)
    for index in range(1, len(frames)):
        covariance[index, :6, :6] = _anchored(blocks, jacobians, offsets, index, anchor)
    return covariance * variance if bool(covariance.isfinite().all()) else None


def camera_change(before: Any, after: Any, frames: tuple[int, ...], camera_id: int) -> Tensor:
    """[R, 8]: (omega, centre, log f, log near depth) by which every camera of `after` differs from that of `before`,
    both seen from their first camera and with the farthest one at the distance it has in `before`."""
    own, other = (
        torch.stack([torch.from_numpy(np.asarray(m.images[f + 1].cam_from_world().matrix())) for f in frames])
        for m in (before, after)
    )
    first = se3.inverse(_rigid(own[0]))
    own, other = (se3.inverse(_rigid(part) @ se3.inverse(_rigid(part[0]))) for part in (own, other))
    far = int(torch.linalg.vector_norm(own[:, :3, 3], dim=-1).argmax())
    size = torch.linalg.vector_norm(other[far, :3, 3])
    scale = torch.linalg.vector_norm(own[far, :3, 3]) / size if float(size) > 0.0 else size.new_ones(())
    omega = se3.so3_log(other[:, :3, :3] @ own[:, :3, :3].mT) @ first[:3, :3].mT
    centre = (scale * other[:, :3, 3] - own[:, :3, 3]) @ first[:3, :3].mT
    omega[0] = centre[0] = 0.0  # by definition, and not the rounding of it, which a bar would be made of
    focal = math.log(after.cameras[camera_id].params[0] / before.cameras[camera_id].params[0])
    near = math.log(_near_depth(after, frames[0]) * float(scale) / _near_depth(before, frames[0]))
    return torch.cat((omega, centre, omega.new_tensor((focal, near)).expand(len(omega), 2)), dim=-1)


def widened(covariance: Tensor, parts: Tensor | None) -> Tensor:
    """`covariance` [R, 8, 8] with the errors of rotation and centre as large as `parts` [n, R, 8], the cameras that n
    parts of the points give, have it, where that is larger, and that of the near depth: the variance of their mean."""
    if parts is None:
        return covariance
    variance = (parts - parts.mean(dim=0)).square().sum(dim=0) / (len(parts) * (len(parts) - 1))
    stated = covariance.diagonal(dim1=-2, dim2=-1)
    factor = torch.ones(8, dtype=covariance.dtype)
    for block in (slice(0, 3), slice(3, 6)):
        total = float(stated[:, block].sum())
        if total > 0.0:
            factor[block] = max(float(variance[:, block].sum()) / total, 1.0) ** 0.5
    wide = factor[:, None] * covariance * factor
    wide[:, 7, 7] += variance[:, 7]
    return wide


def _near_depth(model: Any, frame: int) -> float:
    """The near depth of a model's points for the camera of `frame`, in the model's unit."""
    seen = {p.point3D_id for p in model.images[frame + 1].points2D if p.has_point3D()} or model.point3D_ids()
    motion = np.asarray(model.images[frame + 1].cam_from_world().matrix())
    position = np.stack([model.points3D[number].xyz for number in sorted(seen)])
    return near_of(torch.from_numpy(position @ motion[2, :3] + motion[2, 3]))


def _rigid(motion: Tensor) -> Tensor:
    """[..., 3, 4] as [..., 4, 4]."""
    return se3.from_rotation_translation(motion[..., :3], motion[..., 3])


class _Blocks:
    """Blocks [6, 6] of the covariance of COLMAP's perturbations; what is held has zeros."""

    def __init__(self, found: Any, images: list[int], motions: list[np.ndarray]) -> None:
        self.found, self.images = found, images
        relative = motions[1] if len(motions) > 1 else np.zeros((3, 4))
        first = motions[0]
        baseline = relative[:, 3] - (relative[:, :3] @ first[:, :3].T) @ first[:, 3]
        self.held = 3 + int(np.abs(baseline).argmax())

    def between(self, a: int, b: int) -> Tensor:
        """The covariance of the perturbations of cameras number `a` and `b`."""
        if a == b:
            block = self.found.get_cam_cov_from_world(self.images[a])
        else:
            block = self.found.get_cam_cross_cov_from_world(self.images[a], self.images[b])
        full = np.zeros((6, 6))
        if block is not None:
            rows, columns = (self._places(size) for size in block.shape)
            full[np.ix_(rows, columns)] = block
        return torch.from_numpy(full)

    def _places(self, size: int) -> list[int]:
        return [place for place in range(6) if size == 6 or place != self.held][:size]


def _to_ours(cam_from_world: Tensor) -> Tensor:
    """The matrix [6, 6] that takes (delta, epsilon) to (omega, dc)."""
    rotation, t = cam_from_world[:, :3].T, cam_from_world[:, 3]
    matrix = torch.zeros(6, 6, dtype=torch.float64)
    matrix[:3, :3] = matrix[3:, 3:] = -rotation
    matrix[3:, :3] = -rotation @ _cross(t)
    return matrix


def _cross(vector: Tensor) -> Tensor:
    """Cross-product matrix [3, 3]."""
    x, y, z = vector.tolist()
    return torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)


def _anchored(blocks: _Blocks, jacobians: list[Tensor], offsets: Tensor, index: int, anchor: int) -> Tensor:
    """[6, 6] of camera `index` in a world whose scale holds the distance of camera `anchor`.

    With s the relative change of that distance, s = c_m . dc_m / |c_m|^2, a centre's error becomes dc - s c.
    """
    own = jacobians[index] @ blocks.between(index, index) @ jacobians[index].mT
    if not float(offsets[anchor].square().sum()) > 0.0:
        return own
    cross = jacobians[index] @ blocks.between(index, anchor) @ jacobians[anchor].mT
    of_anchor = jacobians[anchor] @ blocks.between(anchor, anchor) @ jacobians[anchor].mT
    weight = torch.zeros(6, dtype=torch.float64)
    weight[3:] = offsets[anchor] / offsets[anchor].square().sum()
    direction = torch.zeros(6, dtype=torch.float64)
    direction[3:] = offsets[index]
    to_scale = (cross @ weight)[:, None] * direction
    scale_variance = weight @ of_anchor @ weight
    return own - to_scale - to_scale.mT + scale_variance * direction[:, None] * direction

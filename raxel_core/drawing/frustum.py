"""The pyramid of a camera's view, as it is drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry.camera import Camera

# How high the roof stands on the upper side, as a share of the picture's height.
_ROOF = 0.22


def frustum_corners(camera: Camera, length: float) -> Tensor:
    """Apex, image corners (left upper first, clockwise) and tip of the roof [..., 6, 3] of cameras [...], in the world.

    The slant edges have the length `length`, in scene units, whatever the lens, so that a wide one does not hide the
    path. The roof stands on the picture's upper side and tells up from down.
    """
    height, width = camera.hw
    pixel = camera.K.new_tensor([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]])
    ray = torch.linalg.solve(camera.K[..., None, :, :], pixel[..., None]).squeeze(-1)  # [..., 4, 3]
    ray = ray * (length / ray.norm(dim=-1).amax(-1))[..., None, None]
    roof = 0.5 * (ray[..., 0, :] + ray[..., 1, :]) + _ROOF * (ray[..., 0, :] - ray[..., 3, :])
    ray = torch.cat((torch.zeros_like(ray[..., :1, :]), ray, roof[..., None, :]), dim=-2)
    return ray @ camera.rotation.mT + camera.center[..., None, :]

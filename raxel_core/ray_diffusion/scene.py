"""The frame in which Ray Diffusion speaks of a scene: the origin is what the cameras look at.

Source: Cameras as Rays (arXiv 2402.14817); `normalize_cameras` of its code.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.lines import nearest_to_lines


class SceneFrame(NamedTuple):
    """`camera` [N] in the normalised frame, and the way back: world = `world_from_scene` of `unit` times the scene."""

    camera: Camera
    world_from_scene: Tensor  # [4, 4], rigid
    unit: float  # length of 1 in the world


def scene_frame(camera: Camera) -> SceneFrame:
    """`camera` [N] in the scene's frame: the origin nearest to all optical axes, the first camera unturned and at
    distance 1 from it. Raises ValueError for one camera, parallel axes, or a first camera at the origin.
    """
    if len(camera.batch_shape) != 1 or len(camera) < 2:
        raise ValueError(f"a scene is seen by two cameras or more along one axis, got {list(camera.batch_shape)}")
    try:
        focus = nearest_to_lines(camera.center, camera.rotation[..., 2]).to(camera.K.dtype)
    except ValueError:
        raise ValueError("the cameras look in parallel: they share no point to be the scene's origin") from None
    unit = float(torch.linalg.vector_norm(camera.center[0] - focus))
    if unit < 1e-6:
        raise ValueError("the first camera stands at the point that all look at: the scene has no scale")
    world_from_scene = se3.from_rotation_translation(camera.rotation[0], focus)
    scene = Camera(se3.inverse(world_from_scene) @ camera.world_from_cam, camera.K, camera.hw)
    return SceneFrame(scene.scaled(1.0 / unit), world_from_scene, unit)

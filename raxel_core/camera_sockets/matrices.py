"""EXTRINSICS and INTRINSICS: world-to-camera matrices and K in pixels, as the Depth Anything 3 packs carry them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..camera_io.reading import Assumed, Reading
from ..geometry import se3
from ..geometry.trajectory import Trajectory
from .payload import fitted, lens_beside, motions, reading, shape_of

NAME = "EXTRINSICS"


def camera_matrices(trajectory: Trajectory) -> tuple[Tensor, Tensor]:
    """World-to-camera matrices [N, 4, 4] in OpenCV axes and K [N, 3, 3] in pixels of the path's size, in float32."""
    camera = fitted(trajectory, None)
    return se3.inverse(camera.world_from_cam).to(torch.float32), camera.K.to(torch.float32).contiguous()


def is_extrinsics(value: Any) -> bool:
    """Whether `value` is a tensor [..., 4, 4] or [..., 3, 4] of one or more frames."""
    return isinstance(value, Tensor) and shape_of(value)[-2:] in ((4, 4), (3, 4)) and 2 <= value.ndim <= 4


def read_extrinsics(value: Any, assumed: Assumed, given: Any = None) -> Reading:
    """The cameras of world-to-camera matrices [N, 4, 4] or [N, 3, 4], K from `given` INTRINSICS or the assumed lens."""
    w2c = motions(NAME, value)
    notes = (f"{len(w2c)} world-to-camera matrices (w2c) in OpenCV axes; each was inverted.",)
    lens, assumed = lens_beside(given, assumed)
    return reading(NAME, se3.inverse(w2c), lens, assumed, notes=notes)

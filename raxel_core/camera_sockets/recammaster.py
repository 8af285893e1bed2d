"""CAMERAPOSES: ReCamMaster's cameras as kijai's WanVideoWrapper carries them, an array (N, 4, 4).

Every fourth frame's camera-to-world matrix in Unreal's axes (x forward, y right, z up) and centimetres. The consumer
takes columns 1, 2, 0, 3, negates the second, divides the translation by 100 and makes all relative to the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..camera_io.reading import Assumed, CameraFormatError, Reading
from ..geometry import se3
from ..geometry.trajectory import Trajectory
from ..latents.frames import TEMPORAL_STRIDE, check_frame_count, pixel_frames
from .payload import fitted, lens_beside, motions, reading

NAME = "CAMERAPOSES"
_CENTIMETRES = 100.0
# Unreal's x, y, z are our z, x, -y.
_UNREAL_FROM_OPENCV = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))


def recammaster_poses(trajectory: Trajectory, metres_per_unit: float = 1.0) -> np.ndarray:
    """The payload ((F + 3) / 4, 4, 4) in float64 of a path of F = 4k + 1 frames.

    `metres_per_unit` is how many metres a length of 1 in the path stands for. Raises ValueError for other frame counts
    and for a factor that is not positive.
    """
    check_frame_count(len(trajectory))
    if not 0.0 < metres_per_unit < float("inf"):
        raise CameraFormatError(f"metres_per_unit is a positive number, got {metres_per_unit}")
    camera = fitted(trajectory, None)[::TEMPORAL_STRIDE]
    return _turned(camera.world_from_cam, metres_per_unit * _CENTIMETRES).numpy()


def is_recammaster(value: Any) -> bool:
    """Whether `value` is an array (N, 4, 4)."""
    return isinstance(value, np.ndarray) and value.ndim == 3 and value.shape[-2:] == (4, 4)


def read_recammaster(value: Any, assumed: Assumed, given: Any = None) -> Reading:
    """The cameras of all frames of a payload (N, 4, 4), in metres in the frame of the first.

    Between every fourth frame the motion is interpolated, so that N matrices are 4 N - 3 frames. K is that of `given`
    INTRINSICS or of the assumed angle of view.
    """
    unreal = motions(NAME, value)
    world_from_cam = _turned(unreal, 1.0 / _CENTIMETRES, back=True)
    notes = (
        f"{len(unreal)} camera-to-world matrices in Unreal's axes (forward, right, up) and cm, turned to OpenCV and m.",
        f"They are every fourth frame: {pixel_frames(len(unreal))} frames, those between interpolated; the first "
        "camera is the origin.",
    )
    doubt = ("arrays of world-to-camera matrices look the same: if the path looks wrong, read them as EXTRINSICS",)
    motion = _filled(se3.relative(world_from_cam[:1], world_from_cam))
    lens, assumed = lens_beside(given, assumed)
    return reading(NAME, motion, lens, assumed, notes=notes, warnings=doubt, unit="metre")


def _turned(motion: Tensor, scale: float, *, back: bool = False) -> Tensor:
    """Rigid motions [N, 4, 4] of OpenCV's axes in Unreal's, or `back`, with lengths times `scale`."""
    turn = motion.new_tensor(_UNREAL_FROM_OPENCV)
    turn = turn.mT if back else turn
    rotation, center = motion[:, :3, :3], motion[:, :3, 3]
    return se3.from_rotation_translation(turn @ rotation @ turn.mT, scale * center @ turn.mT)


def _filled(motion: Tensor) -> Tensor:
    """Every frame's motion [4 N - 3, 4, 4] from every fourth's [N, 4, 4], on the screws between them."""
    frame = torch.arange(pixel_frames(len(motion)))
    before = frame // TEMPORAL_STRIDE
    after = (before + 1).clamp(max=len(motion) - 1)
    share = (frame % TEMPORAL_STRIDE).to(motion.dtype) / TEMPORAL_STRIDE
    return se3.interpolate(motion[before], motion[after], share)

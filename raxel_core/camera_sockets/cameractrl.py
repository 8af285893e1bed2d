"""CameraCtrl's poses: CAMERACTRL_POSES (rows of 19), the same as text (rows of 18), and CameraPose (N, 3, 4).

A row is t, fx, fy, cx, cy, two more, and the 3 x 4 world-to-camera matrix row by row, in OpenCV axes; fx and cx are
shares of the width, fy and cy of the height. AnimateDiff-Evolved, WanVideoWrapper and KJNodes take the rows of 19;
VideoX-Fun takes text, JSON rows of 18 without t; CameraPose is the matrices alone. The two more are RealEstate10K's
distortion, always 0, which all skip but AnimateDiff-Evolved: it keeps the original picture's width and height there,
divides by the height, and crops from that aspect to the video's; WanVideoWrapper and VideoX-Fun do so from 1280 x 720.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..camera_io.parsing import parse_json
from ..camera_io.pinhole import without_skew
from ..camera_io.reading import Assumed, CameraFormatError, Reading
from ..camera_io.realestate10k import K_from_shares
from ..geometry import se3
from ..geometry.camera import K_from_focal, check_hw
from ..geometry.trajectory import Trajectory
from ..paths.camera_path import FORMAT, path_from_json
from .payload import MOST_RELATIVE, Lens, fitted, intrinsics, lens_beside, motions, numbers, reading, shape_of

NAME = "CAMERACTRL_POSES"
TEXT_NAME = "CameraCtrl rows (STRING)"
MATRICES_NAME = "CameraPose"
_ROW, _TEXT_ROW = 19, 18
_MATRIX = 12
# The two numbers after cy are an original's width and height from here on, and distortion below.
_LEAST_SIZE = 8.0


def cameractrl_poses(trajectory: Trajectory, original_hw: tuple[int, int] | None = None) -> list[list[float]]:
    """Rows of 19 numbers, one a frame; t is the frame's time in microseconds, as in RealEstate10K.

    `original_hw` is the size of the picture that the consumer crops to the video's aspect, by default the path's own.
    The rows name it, and the focal length is a share of the path's picture widened or heightened to its aspect, so
    that after the crop it is the path's own. Raises CameraFormatError for a K with a skew.
    """
    camera = fitted(trajectory, None)
    original = check_hw(original_hw or camera.hw)
    shares = without_skew(replace(trajectory, camera=camera), NAME) / _measures(camera.hw, original)
    time = torch.arange(len(shares), dtype=shares.dtype)[:, None] * (1e6 / trajectory.fps)
    size = shares.new_tensor((original[1], original[0])).expand(len(shares), 2)
    w2c = se3.inverse(camera.world_from_cam)[:, :3].flatten(1)
    return torch.cat((time.round(), shares, size, w2c), dim=-1).tolist()


def cameractrl_text(trajectory: Trajectory, original_hw: tuple[int, int] | None = None) -> str:
    """JSON rows of 18 numbers for VideoX-Fun, as `cameractrl_poses` but without t and with zeros for the two more."""
    return json.dumps([[*row[1:5], 0.0, 0.0, *row[7:]] for row in cameractrl_poses(trajectory, original_hw)])


def camera_pose(trajectory: Trajectory) -> np.ndarray:
    """World-to-camera matrices (N, 3, 4) in float64, without K."""
    return se3.inverse(fitted(trajectory, None).world_from_cam)[:, :3].numpy()


def is_cameractrl_rows(value: Any, length: int = _ROW) -> bool:
    """Whether `value` is a list whose first row has `length` entries, or is empty."""
    return isinstance(value, (list, tuple)) and (not value or shape_of(value[0]) == (length,))


def is_camera_pose(value: Any) -> bool:
    """Whether `value` is an array (N, 3, 4)."""
    return isinstance(value, np.ndarray) and value.ndim == 3 and value.shape[-2:] == (3, 4)


def read_cameractrl(value: Any, assumed: Assumed) -> Reading:
    """The cameras of rows of 19, or of 18 without t; CameraFormatError for any others."""
    length = _TEXT_ROW if is_cameractrl_rows(value, _TEXT_ROW) and len(value) else _ROW
    return _read_rows(NAME, numbers(NAME, value, (length,), axes=2), assumed)


def read_text(value: Any, assumed: Assumed) -> Reading:
    """The cameras of text: JSON rows of 18 or 19 numbers, or a camera path of our own; CameraFormatError otherwise."""
    if not isinstance(value, str):
        raise CameraFormatError(f"{TEXT_NAME} is text, got {type(value).__name__}")
    rows = parse_json(value, TEXT_NAME)
    if isinstance(rows, dict):
        return _read_path(value)
    if not rows or not (is_cameractrl_rows(rows, _TEXT_ROW) or is_cameractrl_rows(rows)):
        raise CameraFormatError(f"{TEXT_NAME} is a JSON list of rows of {_TEXT_ROW} numbers, got {value[:40]!r}")
    return _read_rows(TEXT_NAME, numbers(TEXT_NAME, rows, (len(rows[0]),), axes=2), assumed)


def read_camera_pose(value: Any, assumed: Assumed, given: Any = None) -> Reading:
    """The cameras of world-to-camera matrices (N, 3, 4), K from `given` INTRINSICS or the assumed angle of view."""
    w2c = motions(MATRICES_NAME, value)
    notes = (f"{len(w2c)} world-to-camera matrices (w2c) in OpenCV axes; each was inverted.",)
    lens, assumed = lens_beside(given, assumed)
    return reading(MATRICES_NAME, se3.inverse(w2c), lens, assumed, notes=notes)


def _read_path(text: str) -> Reading:
    """A camera path v1, our own format."""
    try:
        trajectory = path_from_json(text, dtype=torch.float64)
    except ValueError as error:
        raise CameraFormatError(f"{TEXT_NAME}: a JSON object is taken for a camera path v1, but {error}") from error
    return Reading(trajectory, FORMAT, ("Camera path v1: nothing was changed or assumed.",))


def _read_rows(name: str, rows: Tensor, assumed: Assumed) -> Reading:
    """The cameras of rows of 18 or 19 numbers [N, L]."""
    w2c = motions(name, rows[:, -_MATRIX:].unflatten(-1, (3, 4)))
    notes = (f"{len(rows)} rows of {rows.shape[1]}: world-to-camera (w2c) in OpenCV axes; each was inverted.",)
    return reading(name, se3.inverse(w2c), _lens(name, rows[:, -_TEXT_ROW:-_MATRIX], assumed), assumed, notes=notes)


def _lens(name: str, columns: Tensor, assumed: Assumed) -> Lens:
    """K of the six numbers [N, 6] between t and the matrix."""
    if bool((columns[:, 2:4] > MOST_RELATIVE).any()):
        return intrinsics(name, columns[:, :4], assumed.hw)
    width, height = columns[0, 4:].tolist()
    if min(width, height) < _LEAST_SIZE or bool((columns[:, 4:] != columns[:1, 4:]).any()):
        return Lens(*K_from_shares(columns, assumed.hw))
    K = columns[:, :4] * _measures(assumed.hw, (height, width))
    note = f"K: in shares of a picture of {width:g}x{height:g}, cropped to {assumed.hw[1]}x{assumed.hw[0]} (assumed)."
    return Lens(K_from_focal(K[:, :2], K[:, 2:]), note)


def _measures(hw: tuple[int, int], original_hw: tuple[float, float]) -> Tensor:
    """What (fx, fy, cx, cy) [4] in pixels of `hw` are shares of where consumers crop from the aspect of an original.

    They scale the focal length alone by that crop: the principal point stays a share of `hw`.
    """
    (height, width), aspect = hw, original_hw[1] / original_hw[0]
    return torch.tensor((max(width, height * aspect), max(height, width / aspect), width, height), dtype=torch.float64)

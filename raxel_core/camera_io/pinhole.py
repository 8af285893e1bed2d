"""Pinholes in formats: the lenses of matrices that are read, and K that a format has no room for is refused."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..geometry.camera import K_from_focal
from ..geometry.distortion import Lens
from ..geometry.trajectory import Trajectory
from .reading import CameraFormatError

# Relative to the image or the focal length; float32 cameras stay below it.
_TOLERANCE = 1e-6


def without_skew(trajectory: Trajectory, file_name: str) -> Tensor:
    """(fx, fy, cx, cy) [F, 4] in pixels and float64; CameraFormatError where K has a skew, which no format holds."""
    K = trajectory.camera.K.double()
    if bool((K[:, 0, 1] != 0.0).any()):
        raise CameraFormatError(f"{file_name} is not written: its format has no place for the skew of K")
    return torch.stack((K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2]), dim=-1)


def K_of_lens(fx: Tensor, fy: Tensor, cx: Tensor, cy: Tensor) -> Tensor:
    """`K` [F, 3, 3] of focal lengths and principal points [F] in pixels, [3, 3] where all frames have the same."""
    rows = torch.stack(torch.broadcast_tensors(fx, fy, cx, cy), dim=-1)
    rows = rows[0] if bool((rows == rows[0]).all()) else rows
    return K_from_focal(rows[..., :2], rows[..., 2:])


def centred(trajectory: Trajectory, file_name: str) -> Tensor:
    """(fx, fy) [F, 2] in pixels; CameraFormatError where the principal point is not the image's middle."""
    intrinsics = without_skew(trajectory, file_name)
    height, width = trajectory.camera.hw
    middle = intrinsics.new_tensor((0.5 * width, 0.5 * height))
    off = (intrinsics[:, 2:] - middle).abs().amax(-1) > _TOLERANCE * max(width, height)
    if bool(off.any()):
        frame = int(off.nonzero()[0])
        cx, cy = intrinsics[frame, 2:].tolist()
        raise CameraFormatError(
            f"{file_name} is not written: its format has the principal point in the image's middle, frame {frame} has "
            f"it at ({cx:g}, {cy:g}) of {width} x {height}; COLMAP, transforms.json, .usda and Blender .py hold it"
        )
    return intrinsics[:, :2]


def centred_square(trajectory: Trajectory, file_name: str) -> Tensor:
    """The focal length [F] in pixels; CameraFormatError where pixels are not square or the principal point is not the
    image's middle."""
    fx, fy = centred(trajectory, file_name).unbind(-1)
    oblong = (fx / fy - 1.0).abs() > _TOLERANCE
    if bool(oblong.any()):
        frame = int(oblong.nonzero()[0])
        raise CameraFormatError(
            f"{file_name} is not written: its format has square pixels, frame {frame} has fx {fx[frame]:g} and fy "
            f"{fy[frame]:g}; COLMAP, transforms.json, .usda, glTF and Blender .py hold both"
        )
    return fx


def lenses_of(K: Tensor, hw: tuple[int, int], file_name: str) -> list[Lens]:
    """The pinholes in pictures of `hw` of matrices K [F, 3, 3] in pixels; CameraFormatError for one that is none."""
    rows = torch.stack((K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2]), dim=-1).tolist()
    return [lens_of(hw, row, f"{file_name} frame {index}") for index, row in enumerate(rows)]


def lens_of(
    hw: tuple[int, int],
    intrinsics: Sequence[float],
    file_name: str,
    *,
    model: str = "PINHOLE",
    coefficients: Sequence[float] = (),
) -> Lens:
    """The lens of (fx, fy, cx, cy) in pixels, the model and its coefficients; CameraFormatError when it is none."""
    fx, fy, cx, cy = intrinsics
    try:
        return Lens(hw, (fx, fy, cx, cy), model, tuple(coefficients))
    except ValueError as error:
        raise CameraFormatError(f"{file_name}: {error}") from error

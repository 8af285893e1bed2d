"""Pinholes in formats: the lenses of matrices that are read, and K that a format has no room for is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from ..geometry.camera import K_from_focal
from ..geometry.distortion import Lens
from ..geometry.trajectory import Trajectory
from .reading import CameraFormatError

# Relative to the image or the focal length; float32 cameras stay below it.
_TOLERANCE = 1e-6
# Arrays of pictures, whose size is that of K beside them.
_PICTURES = re.compile(r"images?|rgbs?|depths?|depth_map|masks?", re.IGNORECASE)
# A principal point further from the middle than this share of the size speaks of another size.
_CENTRED = 0.1


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


def size_of(
    K: Tensor, shapes: dict[str, tuple[int, ...]], assumed: tuple[int, int]
) -> tuple[tuple[int, int], tuple[str, ...]]:
    """The (height, width) that fits the principal point of `K` [N, 3, 3]: that of the pictures among the arrays, the
    assumed one, or twice the principal point, which is doubted."""
    middle = K[0, :2, 2]
    fitting = [hw for hw in (assumed, *_sizes(shapes)) if _fits(middle, hw)]
    if fitting:
        return fitting[-1], ()
    width, height = (max(1, round(min(max(2.0 * float(value), 1.0), 1e6))) for value in middle)
    return (height, width), (
        f"the size of the pictures is not in the file: {width}x{height} was taken, twice the principal point",
    )


def _sizes(shapes: dict[str, tuple[int, ...]]) -> list[tuple[int, int]]:
    """The (height, width) that pictures among the arrays may have: [..., H, W], [..., H, W, 3] or [..., 3, H, W]."""
    shape = next((shape for name, shape in shapes.items() if _PICTURES.fullmatch(name) and len(shape) >= 3), None)
    if shape is None:
        return []
    pair = shape[-3:-1] if shape[-1] in (1, 3, 4) else shape[-2:]
    return [(pair[0], pair[1])] if min(pair) > 0 else []


def _fits(middle: Tensor, hw: tuple[int, int]) -> bool:
    share = middle / middle.new_tensor((hw[1], hw[0]))
    return bool(((share - 0.5).abs() <= _CENTRED).all())

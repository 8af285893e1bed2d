"""What a pinhole format has room for: K it can not hold is refused, small lens distortion is dropped in words."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

import torch
from torch import Tensor

from ..geometry.camera import K_from_focal
from ..geometry.trajectory import Trajectory
from .reading import CameraFormatError

# Relative to the image or the focal length; float32 cameras stay below it.
_TOLERANCE = 1e-6
# The share of the image's diagonal by which a distortion may move a corner before a pinhole says something else.
_MOST_DISTORTION = 0.05


def without_skew(trajectory: Trajectory, source: str) -> Tensor:
    """(fx, fy, cx, cy) [F, 4] in pixels and float64; CameraFormatError where K has a skew, which no format holds."""
    K = trajectory.camera.K.double()
    if bool((K[:, 0, 1] != 0.0).any()):
        raise CameraFormatError(f"{source} is not written: its format has no place for the skew of K")
    return torch.stack((K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2]), dim=-1)


def K_of_lens(fx: Tensor, fy: Tensor, cx: Tensor, cy: Tensor) -> Tensor:
    """`K` [F, 3, 3] of focal lengths and principal points [F] in pixels, [3, 3] where all frames have the same."""
    rows = torch.stack(torch.broadcast_tensors(fx, fy, cx, cy), dim=-1)
    rows = rows[0] if bool((rows == rows[0]).all()) else rows
    return K_from_focal(rows[..., :2], rows[..., 2:])


def centred(trajectory: Trajectory, source: str) -> Tensor:
    """(fx, fy) [F, 2] in pixels; CameraFormatError where the principal point is not the image's middle."""
    intrinsics = without_skew(trajectory, source)
    height, width = trajectory.camera.hw
    middle = intrinsics.new_tensor((0.5 * width, 0.5 * height))
    off = (intrinsics[:, 2:] - middle).abs().amax(-1) > _TOLERANCE * max(width, height)
    if bool(off.any()):
        frame = int(off.nonzero()[0])
        cx, cy = intrinsics[frame, 2:].tolist()
        raise CameraFormatError(
            f"{source} is not written: its format has the principal point in the image's middle, frame {frame} has it "
            f"at ({cx:g}, {cy:g}) of {width} x {height}; COLMAP, transforms.json, .usda and Blender .py hold it"
        )
    return intrinsics[:, :2]


def centred_square(trajectory: Trajectory, source: str) -> Tensor:
    """The focal length [F] in pixels; CameraFormatError where pixels are not square or the principal point is not the
    image's middle."""
    fx, fy = centred(trajectory, source).unbind(-1)
    oblong = (fx / fy - 1.0).abs() > _TOLERANCE
    if bool(oblong.any()):
        frame = int(oblong.nonzero()[0])
        raise CameraFormatError(
            f"{source} is not written: its format has square pixels, frame {frame} has fx {fx[frame]:g} and fy "
            f"{fy[frame]:g}; COLMAP, transforms.json, .usda, glTF and Blender .py hold both"
        )
    return fx


def dropped_distortion(
    intrinsics: Sequence[float],
    hw: tuple[int, int],
    source: str,
    *,
    radial: Sequence[float],
    tangential: Sequence[float] = (0.0, 0.0),
    divisor: Sequence[float] = (),
) -> tuple[str, ...]:
    """A warning that a lens distortion was left out, none when it moves no corner of the image.

    `intrinsics` are (fx, fy, cx, cy); a point at radius r is scaled by (1 + sum radial_i r^2i) / (1 + sum divisor_i
    r^2i) and shifted by the two `tangential` terms, as in OpenCV. Raises CameraFormatError when a corner moves by more
    than 5% of the diagonal: such a picture has to be undistorted first.
    """
    fx, fy, cx, cy = intrinsics
    corners = [((u - cx) / fx, (v - cy) / fy) for u in (0.0, hw[1]) for v in (0.0, hw[0])]
    shifts = [_shift(x, y, radial, tangential, divisor) for x, y in corners]
    pixels = max(hypot(fx * dx, fy * dy) for dx, dy in shifts)
    if not pixels <= _MOST_DISTORTION * hypot(*hw):
        raise CameraFormatError(
            f"{source}: its lens distortion moves the image's corners by {pixels:.3g} pixels, too far for a pinhole; "
            "undistort the pictures first"
        )
    if pixels == 0.0:
        return ()
    return (f"{source}: its lens distortion was left out, which moves the image's corners by {pixels:.2g} pixels",)


def _shift(
    x: float, y: float, radial: Sequence[float], tangential: Sequence[float], divisor: Sequence[float]
) -> tuple[float, float]:
    """How far the distortion moves the normalised point (x, y)."""
    r2 = x * x + y * y
    above, below = (1.0 + sum(k * r2 ** (i + 1) for i, k in enumerate(terms)) for terms in (radial, divisor))
    if not below > 0.0 or r2 > 1e6:
        return float("inf"), float("inf")
    scale, (p1, p2) = above / below - 1.0, tangential
    dx = x * scale + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    return dx, y * scale + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y

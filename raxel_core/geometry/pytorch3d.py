"""PyTorch3D's cameras: the one file that knows their axes, their row vectors and their normalised coordinates (NDC).

PyTorch3D writes x_view = x_world R + T for row vectors, with +x to the left, +y up and +z forward; its NDC run from +1
at the left and upper edge to -1 at the right and lower one along the image's short side, and further along the long
one. Focal lengths are in half short sides. Ours are `Camera`'s. The world's axes are free in both, so that rays of a
world whose first camera is the identity turn by the same half turn about z as the cameras do.
Source: pytorch3d.renderer.PerspectiveCameras with in_ndc=True; CO3D and Ray Diffusion use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from . import se3
from .camera import Camera, K_from_focal, check_hw


class Pytorch3dCameras(NamedTuple):
    """R [..., 3, 3] and T [..., 3] of x_view = x_world R + T, focal lengths and principal points [..., 2] in NDC."""

    rotation: Tensor
    translation: Tensor
    focal: Tensor
    principal_point: Tensor


def turned_axes(vectors: Tensor) -> Tensor:
    """`vectors` [..., 3] of one system (x left, y up) in the other (x right, y down): a half turn about z."""
    return vectors * vectors.new_tensor((-1.0, -1.0, 1.0))


def ndc_from_pixels(pixels: Tensor, hw: tuple[int, int]) -> Tensor:
    """NDC (x, y) [..., 2] of `pixels` (u, v) [..., 2] of an image of `hw`, whose left upper corner is (0, 0)."""
    height, width = check_hw(hw)
    return (pixels.new_tensor((width, height)) - 2.0 * pixels) / min(height, width)


def pixels_from_ndc(ndc: Tensor, hw: tuple[int, int]) -> Tensor:
    """Pixels (u, v) [..., 2] of an image of `hw` at NDC (x, y) [..., 2]: the inverse of `ndc_from_pixels`."""
    height, width = check_hw(hw)
    return (ndc.new_tensor((width, height)) - min(height, width) * ndc) / 2.0


def camera_from_pytorch3d(cameras: Pytorch3dCameras, hw: Sequence[int]) -> Camera:
    """The camera [...] of PyTorch3D's numbers for an image of `hw`, in the same world, with K in pixels."""
    height, width = check_hw(hw)
    rotation = turned_axes(cameras.rotation).mT
    motion = se3.from_rotation_translation(rotation, turned_axes(cameras.translation))
    center = pixels_from_ndc(cameras.principal_point, (height, width))
    focal = cameras.focal * (min(height, width) / 2.0)
    return Camera(se3.inverse(motion), K_from_focal(focal, center), (height, width))

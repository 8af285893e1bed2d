"""The homography from pixels to rays, d ~ H (u, v, 1) with H = R K^-1, and the camera inside it.

Sources: R. Hartley, A. Zisserman, Multiple View Geometry, 2nd ed., section 4.1 (direct linear transform, normalised)
and A4.1 (decomposition). R K^-1 is a rotation times an upper triangular matrix: the plain QR decomposition.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ray_homography(pixels: Tensor, direction: Tensor, weights: Tensor | None = None) -> Tensor:
    """H [..., 3, 3] with d ~ H (u, v, 1) in the least-squares sense of d x H (u, v, 1), by `weights` [..., N].

    `pixels` (u, v, 1) [..., 3, N], unit `direction` [..., 3, N]; scaled so that its predictions have length about 1,
    with the sign that points along the directions. In float64.
    """
    pixels, direction = pixels.double(), direction.double()
    points, transform = _normalized(pixels)
    # |d x H p|^2 summed is h^T M h with M = sum of w (I - d d^T) kron p p^T, h the rows of H one after another.
    across = torch.eye(3, dtype=direction.dtype, device=direction.device)[..., None] - (
        direction[..., :, None, :] * direction[..., None, :, :]
    )
    across = across if weights is None else across * weights.double()[..., None, None, :]
    outer = (points[..., :, None, :] * points[..., None, :, :]).flatten(-3, -2)  # [..., 9, N]: (i j)
    moments = across.flatten(-3, -2) @ outer.mT  # [..., 9, 9]: (a b) by (i j)
    matrix = moments.unflatten(-1, (3, 3)).unflatten(-3, (3, 3)).transpose(-3, -2).flatten(-4, -3).flatten(-2)
    homography = torch.linalg.eigh(matrix).eigenvectors[..., 0].unflatten(-1, (3, 3))
    along = ((homography @ points) * direction).sum(-2)
    scale = (along if weights is None else along * weights).sum(-1) / direction.shape[-1]
    return (homography @ transform) / torch.where(scale.abs() < 1e-300, 1.0, scale)[..., None, None]


def camera_of_homography(homography: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation R and K, [..., 3, 3] each with K[2, 2] = 1, of H = R K^-1 up to a positive scale.

    A camera that mirrors has det H < 0: then the rotation has determinant -1, for the caller to refuse.
    """
    rotation, upper = torch.linalg.qr(homography)
    sign = torch.where(upper.diagonal(dim1=-2, dim2=-1) < 0.0, -1.0, 1.0)
    rotation, upper = rotation * sign[..., None, :], upper * sign[..., :, None]
    K = torch.linalg.inv(upper)
    return rotation, K / K[..., 2:, 2:]


def _normalized(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels [..., 3, N] about zero, of mean square one per axis, and the matrix [..., 3, 3] that made them so."""
    mean = pixels[..., :2, :].mean(-1)
    spread = (pixels[..., :2, :] - mean[..., None]).square().mean((-2, -1)).sqrt().clamp(min=1e-12)
    transform = torch.zeros(*mean.shape[:-1], 3, 3, dtype=pixels.dtype, device=pixels.device)
    transform[..., 0, 0] = transform[..., 1, 1] = 1.0 / spread
    transform[..., :2, 2] = -mean / spread[..., None]
    transform[..., 2, 2] = 1.0
    return transform @ pixels, transform

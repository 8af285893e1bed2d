"""The homography from pixels to rays, d ~ H (u, v, 1) with H = R K^-1, and the lens inside it.

Sources: R. Hartley, A. Zisserman, Multiple View Geometry, 2nd ed., section 4.1 (direct linear transform, normalised)
and A4.1 (decomposition). R K^-1 is a rotation times an upper triangular matrix: the plain QR decomposition.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def ray_homography(pixels: Tensor, direction: Tensor, weights: Tensor | None = None) -> Tensor:
    """H [..., 3, 3] with d ~ H (u, v, 1) in the least-squares sense of d x H (u, v, 1), by `weights` [..., N].

    `pixels` (u, v, 1) [..., 3, N], unit `direction` [..., 3, N]; scaled so that its predictions have length about 1,
    with the sign that points along the directions. In float64.
    """
    pixels, direction = pixels.double(), direction.double()
    points, transform = _normalized(pixels)
    # |d x H p|^2 summed is h^T M h, M = sum of w (I - d d^T) kron p p^T, h the rows of H one after another: with
    # |d| = 1 linear in the 36 sums of w times a product of two numbers of d and one of two of p.
    weighted = direction if weights is None else direction * weights.double()[..., None, :]
    squares = _products(direction) if weights is None else _products(direction) * weights.double()[..., None, :]
    matrix = ((squares @ _products(points).mT).flatten(-2) @ _normal_table(points.device)).unflatten(-1, (9, 9))
    rows = torch.linalg.eigh(matrix).eigenvectors[..., 0]
    mean = (weighted @ points.mT).flatten(-2) / points.shape[-1]
    along = (rows * mean).sum(-1)[..., None]  # the mean of w d . H p
    rows = rows / torch.where(along.abs() < 1e-300, 1.0, along)
    return rows.unflatten(-1, (3, 3)) @ transform


def lens_of_homography(homography: Tensor) -> Tensor:
    """K [..., 3, 3] with K[2, 2] = 1 of H = R K^-1, whatever its scale and sign."""
    _, upper = torch.linalg.qr(homography, mode="r")
    K = torch.linalg.inv_ex(upper).inverse
    K = K * K.diagonal(dim1=-2, dim2=-1).sgn()[..., None, :]  # R's rows have either sign
    return K / K[..., 2:, 2:]


# Where `_products` has the product of two of three numbers.
_PRODUCT = ((0, 3, 5), (3, 1, 4), (5, 4, 2))


def _products(vectors: Tensor) -> Tensor:
    """(xx, yy, zz, xy, yz, xz) [..., 6, N] of `vectors` [..., 3, N]."""
    squares, next_ones = vectors * vectors, vectors[..., :2, :] * vectors[..., 1:, :]
    return torch.cat((squares, next_ones, vectors[..., :1, :] * vectors[..., 2:, :]), dim=-2)


@lru_cache(maxsize=8)
def _normal_table(device: torch.device) -> Tensor:
    """[36, 81]: from the sums of products of d (a b) with those of p (i j) to sum of (d.d I - d d^T) kron p p^T, whose
    rows are (a i) and columns (b j)."""
    products = torch.nn.functional.one_hot(torch.tensor(_PRODUCT, device=device)).double()  # [3, 3, 6]
    identity = torch.eye(3, dtype=torch.float64, device=device)[..., None]
    across = identity * products.diagonal().sum(-1) - products
    return torch.einsum("abp,ijq->pqaibj", across, products).reshape(36, 81)


def _normalized(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels [..., 3, N] about zero, of mean square one per axis, and the matrix [..., 3, 3] that made them so."""
    spread, mean = torch.std_mean(pixels[..., :2, :], dim=-1, correction=0)
    scale = 1.0 / spread.clamp(min=1e-12)
    transform = torch.diag_embed(torch.nn.functional.pad(scale, (0, 1), value=1.0))
    transform[..., :2, 2] = -mean * scale
    return transform @ pixels, transform

"""The closed-form fit of rigid motions and focal lengths to raxel bundles: the recipe of "Rays as Pixels", as printed.

Source: Rays as Pixels (arXiv 2604.09429), equations 6 and 7; the rotation is that of W. Kabsch, Acta Cryst. A32 (1976)
922, with the determinant fixed as in S. Umeyama, PAMI 13 (1991) 376.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Numbers per piece of the focal's pass: three copies of a piece stay in a core's own cache.
_PIECE = 2**17


def rotation_from_covariance(covariance: Tensor) -> Tensor:
    """The rotation R [..., 3, 3] that maximises trace(R^T C) for C = sum of target source^T [..., 3, 3], in float64.

    Its determinant is +1 also where the best orthogonal matrix would mirror.
    """
    u, _, vh = torch.linalg.svd(covariance.double())
    last = torch.linalg.det(u) * torch.linalg.det(vh)
    u = torch.cat((u[..., :2], u[..., 2:] * last[..., None, None]), dim=-1)
    return u @ vh


def motion_to_bundle(bundles: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation [B, F, 3, 3] and translation [B, F, 3] that carry `reference` [B, 3, h, w] to `bundles` [B, 3, F, h, w].

    Equation 6: argmin of the sum over pixels of |bundle - (R reference + t)|^2, without weights and without scale.
    Products run in the input's dtype over a few rows of the image, their sums and the decomposition in float64.
    """
    batch, _, frames, height, width = bundles.shape
    strips = height // math.gcd(height, 4)
    mean = reference.mean((-2, -1), dtype=torch.float64)
    centred = reference - mean.to(reference.dtype)[..., None, None]
    factors = torch.cat((centred, torch.ones_like(centred[:, :1])), dim=1).reshape(batch, 4, strips, -1).transpose(1, 2)
    pixels = bundles.reshape(batch, 3 * frames, strips, -1).permute(0, 2, 3, 1)  # [B, strips, n, 3 F]
    sums = (factors.contiguous() @ pixels).sum(1, dtype=torch.float64).reshape(batch, 4, 3, frames).permute(0, 3, 2, 1)
    # The reference alone is centred: the other mean would meet deviations that add up to zero.
    rotation = rotation_from_covariance(sums[..., :3])  # [B, F, 3, 3]
    translation = sums[..., 3] / (height * width) - (rotation @ mean[:, None, :, None]).squeeze(-1)
    return rotation, translation


def focal_from_bundles(bundles: Tensor, rotation: Tensor, translation: Tensor, offsets: Tensor) -> Tensor:
    """Focal lengths (fx, fy) [B, F, 2] of `bundles` [B, 3, F, h, w], given how each frame is turned and moved.

    Equation 7: the median over pixels of u z / x and of v z / y, with (x, y, z) = R^T (bundle - t) and `offsets`
    (u, v) [2, h, w] from the principal point, in the pixels the answer is wanted in. As printed, no pixel is left out.
    """
    batch, _, frames, height, width = bundles.shape
    pixels = height * width
    dtype = bundles.dtype
    rays = bundles.reshape(batch, 3, frames, pixels).transpose(1, 2)  # [B, F, 3, N], a view
    turned = rotation.mT.to(dtype)  # [B, F, 3, 3]
    moved = -(rotation.mT @ translation[..., None]).to(dtype)
    offsets = offsets.reshape(2, pixels).to(dtype, memory_format=torch.contiguous_format)
    focal = torch.empty(batch, frames, 2, dtype=dtype, device=bundles.device)
    step = min(frames, max(1, _PIECE // (3 * pixels)))
    local, ratios = rays.new_empty(step, 3, pixels), rays.new_empty(step, 2, pixels)
    for clip in range(batch):
        for first in range(0, frames, step):
            count, piece = min(step, frames - first), slice(first, first + step)
            torch.baddbmm(moved[clip, piece], turned[clip, piece], rays[clip, piece], out=local[:count])
            torch.div(local[:count, 2:], local[:count, :2], out=ratios[:count]).mul_(offsets)
            focal[clip, piece] = median_of_scratch(ratios[:count])
    return focal.double()


def median(values: Tensor) -> Tensor:
    """Median [...] of `values` [..., n] along the last axis: the lower of the two middle ones when n is even.

    The same number as `torch.median`, which on the CPU takes about ten times as long as the vectorised introselect
    behind `ndarray.partition`; on other devices torch's own is used.
    """
    return median_of_scratch(values.detach().clone())


def median_of_scratch(values: Tensor) -> Tensor:
    """The same for a buffer that the caller gives up: contiguous `values` [..., n] are left in another order."""
    rank = (values.shape[-1] - 1) // 2
    if values.device.type != "cpu":
        return values.median(dim=-1).values
    values.numpy().partition(rank, axis=-1)
    return values[..., rank].clone()

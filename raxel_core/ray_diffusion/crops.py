"""Square crops of photographs about their subject, and where the rays of a crop pass in the whole picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ..geometry.pytorch3d import ndc_from_pixels
from ..geometry.rays import pixel_grid

# How much wider than its subject a crop is: the middle of what the network was trained with.
PADDING = 1.15
# The ranges of training: how much wider, and how far off the middle, in sides of the square.
TRAINED_PADDING, TRAINED_SHIFT = (1.1, 1.2), (-0.07, 0.07)
# A mask's pixel belongs to the subject above this.
_MASKED = 0.4

Box = tuple[float, float, float, float]
"""Left, top, right and lower edge in pixels, corners of the image at (0, 0) and (w, h)."""


def box_of_mask(mask: Tensor) -> Box:
    """The box of a `mask` [h, w] in [0, 1]; ValueError where nothing is masked."""
    rows, columns = ((mask > _MASKED).any(axis) for axis in (1, 0))
    if not bool(rows.any()):
        raise ValueError("a mask is empty: it marks no pixel of the subject")
    top, bottom = (int(rows.nonzero()[i]) for i in (0, -1))
    left, right = (int(columns.nonzero()[i]) for i in (0, -1))
    return left, top, right + 1, bottom + 1


def middle_box(hw: tuple[int, int]) -> Box:
    """The largest square in the middle of a picture of `hw`, a pixel's padding inside: for pictures without a box."""
    side = min(hw) / PADDING
    return (hw[1] - side) / 2, (hw[0] - side) / 2, (hw[1] + side) / 2, (hw[0] + side) / 2


def check_box(box: Sequence[float], hw: tuple[int, int]) -> Box:
    """`box` as four numbers; ValueError unless it has an area and meets the picture of `hw`."""
    if len(box) != 4 or not all(isinstance(v, int | float) and v == v and abs(v) < 1e9 for v in box):
        raise ValueError(f"a box is left, top, right and lower edge in pixels, got {list(box)}")
    left, top, right, bottom = (float(v) for v in box)
    if right <= left or bottom <= top:
        raise ValueError(f"a box has its left edge before its right and its top above its lower one, got {list(box)}")
    if right <= 0 or bottom <= 0 or left >= hw[1] or top >= hw[0]:
        raise ValueError(f"the box {list(box)} lies outside its picture of {hw[1]}x{hw[0]}")
    return left, top, right, bottom


def square_crop(box: Box, *, padding: float = PADDING, shift: tuple[float, float] = (0.0, 0.0)) -> tuple[int, int, int]:
    """(left, top, side) in whole pixels of the square about `box`, `padding` times as wide as its longer side and moved
    by `shift` (x, y) of that side. It may reach outside the picture.
    """
    longer = max(box[2] - box[0], box[3] - box[1])
    center = [(box[i] + box[i + 2]) / 2 + shift[i] * longer for i in (0, 1)]
    half = longer * padding / 2
    return round(center[0] - half), round(center[1] - half), max(1, round(2 * half))


def cropped(image: Tensor, crop: tuple[int, int, int], px: int) -> Tensor:
    """`image` [3, h, w] in [-1, 1] inside `crop`, black outside the picture, resized to [3, px, px]."""
    left, top, side = crop
    height, width = image.shape[-2:]
    inside = image[:, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    edges = (max(-left, 0), max(left + side - width, 0), max(-top, 0), max(top + side - height, 0))
    padded = pad(inside, edges, value=-1.0)
    return interpolate(padded[None], (px, px), mode="bilinear", antialias=True, align_corners=False)[0]


def crop_pixels(crop: tuple[int, int, int], grid: int) -> Tensor:
    """Pixels (u, v) [grid, grid, 2] of the whole picture through which the rays of a crop pass, in float64."""
    left, top, side = crop
    return pixel_grid((grid, grid), dtype=torch.float64) * (side / grid) + torch.tensor(
        (left, top), dtype=torch.float64
    )


def ndc_of_crop(crop: tuple[int, int, int], hw: tuple[int, int], grid: int) -> Tensor:
    """Where the rays of a crop of a picture of `hw` pass in the whole of it: [2, grid, grid] of PyTorch3D's x and y."""
    return ndc_from_pixels(crop_pixels(crop, grid), hw).movedim(-1, 0).float()

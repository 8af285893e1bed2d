"""ComfyUI's IMAGE [F, H, W, 3] in [0, 1] and the core's video [3, F, H, W] in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

# How far the channels of a grey picture may differ in the mean, as they do after a lossy file.
_GREY_TOLERANCE = 0.02


def video_from_image(image: Tensor) -> Tensor:
    """[F, H, W, C] in [0, 1] -> [3, F, H, W] in [-1, 1], without alpha; ValueError for NaN, infinity, other shapes."""
    if image.ndim != 4 or image.shape[-1] < 3:
        raise ValueError(f"images are [frames, height, width, 3], got {list(image.shape)}")
    if not bool(torch.isfinite(image).all()):
        raise ValueError("the images contain NaN or infinity")
    return (image[..., :3] * 2.0 - 1.0).movedim(-1, 0)


def grey_pictures(image: Tensor) -> Tensor:
    """An IMAGE of grey depth pictures as [F, H, W]; ValueError for coloured ones, NaN, infinity and other shapes."""
    if image.ndim != 4 or not len(image) or image.shape[-1] < 3:
        raise ValueError(f"depth is made of pictures, [pictures, height, width, 3], got {list(image.shape)}")
    if not bool(torch.isfinite(image).all()):
        raise ValueError("depth contains NaN or infinity")
    pictures = image[..., :3].float()
    if float((pictures.amax(-1) - pictures.amin(-1)).mean()) > _GREY_TOLERANCE:
        raise ValueError("depth is a coloured picture, a grey one was expected: render it without a colour map")
    return pictures.mean(-1)


def image_from_video(video: Tensor) -> Tensor:
    """[3, F, H, W] in [-1, 1] -> [F, H, W, 3] in [0, 1], cut off at both ends as every IMAGE is."""
    return ((video.movedim(0, -1) + 1.0) / 2.0).clamp(0.0, 1.0)


def image_of_picture(picture: Tensor) -> Tensor:
    """A drawn picture, uint8 [H, W, 3], as an IMAGE [1, H, W, 3] in [0, 1]."""
    return picture[None].float() / 255.0

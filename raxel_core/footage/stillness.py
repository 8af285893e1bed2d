"""Whether a camera stood still, told from the pictures: how far corners move between two frames."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

# Pictures are looked at no wider than this, in whose pixels displacements count.
WIDTH = 640
_CORNERS = 400
# Fewer corners that are found again, or a smaller share of them, tell nothing or of another place.
_FEWEST, _LEAST_SHARE = 16, 0.3
# A corner that comes back this far from where it began was lost on the way.
_ASTRAY_PX = 0.5


def grey_of(picture: Tensor) -> np.ndarray:
    """A picture uint8 [H, W, 3] as grey uint8 [h, w], at most `WIDTH` wide."""
    import cv2

    grey = cv2.cvtColor(picture.numpy(), cv2.COLOR_RGB2GRAY)
    scale = WIDTH / grey.shape[1]
    if scale >= 1.0:
        return grey
    return cv2.resize(grey, (WIDTH, max(1, round(grey.shape[0] * scale))), interpolation=cv2.INTER_AREA)


def displacement_px(first: np.ndarray, second: np.ndarray) -> float:
    """How far the middle one of the corners of `first` moves to `second`, in pixels of pictures of `WIDTH`.

    Infinite where too few corners are found again; NaN where the first picture has too few to begin with. Source:
    J. Shi and C. Tomasi, CVPR 1994; B. Lucas and T. Kanade, IJCAI 1981, in pyramids, as OpenCV has them.
    """
    import cv2

    corners = cv2.goodFeaturesToTrack(first, _CORNERS, 0.01, 8)
    if corners is None or len(corners) < _FEWEST:
        return math.nan
    there, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, np.empty_like(corners))
    back, again, _ = cv2.calcOpticalFlowPyrLK(second, first, there, np.empty_like(corners))
    kept = (np.asarray(found) & np.asarray(again)).reshape(-1).astype(bool)
    kept &= np.linalg.norm((back - corners).reshape(-1, 2), axis=-1) < _ASTRAY_PX
    if kept.sum() < max(_FEWEST, _LEAST_SHARE * len(corners)):
        return math.inf
    moved = np.linalg.norm((there - corners).reshape(-1, 2)[kept], axis=-1)
    return float(np.median(moved))


def still_px(displacements: list[float]) -> float:
    """How far a whole clip moved, of its windows' displacements from the first frame: all but the worst twentieth;
    infinite where none could be told."""
    told = torch.tensor([value for value in displacements if not math.isnan(value)], dtype=torch.float64)
    if not len(told):
        return math.inf
    return float(told.sort().values[min(len(told) - 1, math.ceil(0.95 * len(told)) - 1)])

"""Ray maps as pictures to look at."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry.ray_map import RayMap


def ray_map_image(ray_map: RayMap) -> Tensor:
    """Pictures [F, h k, w, 3] in [0, 1] of a ray map [F, 3 k, h, w]: its parts one below the other, each (x + 1) / 2.

    Parts that leave [-1, 1] are divided by their largest number in the clip first.
    """
    parts = ray_map.values.float().unflatten(-3, (-1, 3))  # [F, k, 3, h, w]
    largest = parts.abs().amax((0, 2, 3, 4), keepdim=True).clamp(min=1.0)
    pictures = (parts / largest + 1.0) / 2.0
    return torch.cat(pictures.unbind(1), dim=-2).movedim(-3, -1)

"""Ray maps as pictures to look at."""

from __future__ import annotations

import torch
from torch import Tensor


def ray_map_image(values: Tensor) -> Tensor:
    """Pictures [F, h k, w, 3] of a ray map's `values` [F, 3 k, h, w]: its parts one below the other, each (x + 1) / 2.

    Three channels are (x + 1) / 2 as they stand, so that the picture is read back as the map. Of six, which are to be
    looked at alone, parts that leave [-1, 1] are divided by their largest number in the clip first.
    """
    parts = values.float().unflatten(-3, (-1, 3))  # [F, k, 3, h, w]
    if parts.shape[1] > 1:
        parts = parts / parts.abs().amax((0, 2, 3, 4), keepdim=True).clamp(min=1.0)
    pictures = (parts + 1.0) / 2.0
    return torch.cat(pictures.unbind(1), dim=-2).movedim(-3, -1)

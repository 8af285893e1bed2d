"""Clips next to each other, as one video to play."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ..runtime.opencv import load_opencv

_GAP = 8
_LABEL_HEIGHT = 28
_GROUND = -0.84
_INK = (214, 219, 228)
_GROUND_BYTE = round((_GROUND + 1.0) * 127.5)


def side_by_side(clips: Mapping[str, Tensor]) -> Tensor:
    """Clips [3, F, H, W] under their names, next to each other, enlarged to 320 in height: [3, F, h, w], even sides."""
    strips = []
    for name, clip in clips.items():
        large = _enlarged(clip, 320)
        label = _label(name, large.shape[3])[:, None].expand(-1, large.shape[1], -1, -1)
        strips.append(torch.cat([label, large], dim=2))
    gap = torch.full((*strips[0].shape[:3], _GAP), _GROUND)
    row = torch.cat([part for strip in strips for part in (gap, strip)][1:], dim=3)
    return functional.pad(row, (0, row.shape[3] % 2, 0, row.shape[2] % 2), value=_GROUND)


def _enlarged(clip: Tensor, height: int) -> Tensor:
    """A clip [3, F, H, W] at another height, aspect kept; bicubic, so that small pictures stay readable."""
    frames = clip.detach().float().cpu().transpose(0, 1)
    width = round(height * clip.shape[3] / clip.shape[2])
    return functional.interpolate(frames, size=(height, width), mode="bicubic").clamp(-1, 1).transpose(0, 1)


def _label(text: str, width: int) -> Tensor:
    """A line of text, [3, h, width] in [-1, 1]."""
    cv2 = load_opencv()
    import numpy as np

    line = np.full((_LABEL_HEIGHT, width, 3), _GROUND_BYTE, dtype=np.uint8)
    cv2.putText(line, text, (4, _LABEL_HEIGHT - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return torch.from_numpy(line).permute(2, 0, 1).float() / 127.5 - 1.0

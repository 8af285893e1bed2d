"""Whether matrices that were read as camera-to-world look more like world-to-camera, or the other way round."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import se3

# The other reading has to be this much smoother to be named. An orbit about the world's origin, whose other reading
# stands still, is not: nobody can tell the two apart.
_SMOOTHER = 3.0
_FRAMES = 5
_STILL = 1e-6


def inversion_warning(world_from_cam: Tensor) -> tuple[str, ...]:
    """A warning when the inverses of `world_from_cam` [F, 4, 4] have centres that move much more evenly, else none.

    A camera that is read the wrong way round swings about the world's origin with every small turn of its own. Of the
    100 example paths of SCoPE, 10 of CameraCtrl and 3 of LingBot-World none is doubted; of their inverses 18 are.
    """
    if len(world_from_cam) < _FRAMES:
        return ()
    given, inverted = world_from_cam[:, :3, 3], se3.inverse(world_from_cam)[:, :3, 3]
    still = _STILL * float(given.abs().max() + inverted.abs().max())
    if _length(given) <= still or _length(inverted) <= still:
        return ()
    if _roughness(given) <= _SMOOTHER * _roughness(inverted) + _STILL:
        return ()
    return (
        "the centres would move much more evenly if each matrix were taken the other way round (w2c for c2w); if the "
        "path looks wrong, that is the first thing to try",
    )


def _length(centers: Tensor) -> float:
    return float(torch.linalg.vector_norm(centers.diff(dim=0), dim=-1).sum())


def _roughness(centers: Tensor) -> float:
    """How much of the motion is change of motion: 0 for a straight line at even speed, 1 or more for jitter."""
    return _length(centers.diff(dim=0)) / _length(centers)

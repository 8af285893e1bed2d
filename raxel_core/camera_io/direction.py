"""Which way matrices go, camera-to-world (c2w) or world-to-camera (w2c): as told, by names, or by the motion."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from ..geometry import se3

# The other reading has to be this much smoother to be named. An orbit about the world's origin, whose other reading
# stands still, is not: nobody can tell the two apart.
_SMOOTHER = 3.0
_FRAMES = 5
_STILL = 1e-6
_NAMES = {
    "w2c": re.compile(r"w2c|world_?(?:to|2)_?cam|cam_?from_?world|extrinsic|view_?mat", re.IGNORECASE),
    "c2w": re.compile(r"c2w|cam\w*_?(?:to|2)_?world|world_?from_?cam", re.IGNORECASE),
}


def world_from_bare(
    motions: Tensor, direction: str, name: str, usual: str = "c2w"
) -> tuple[Tensor, str, tuple[str, ...]]:
    """world_from_cam [F, 4, 4] of `motions` that do not say which way they go, why so in a note, and warnings.

    `direction` is one of reading.DIRECTIONS. For "auto" a `name` (of the file or key) that says it decides, then the
    motion where one reading is much smoother than the other, then what the format's files `usual`ly hold.
    """
    inverse = se3.inverse(motions)
    smoother = {"c2w": _smoother(inverse, motions), "w2c": _smoother(motions, inverse)}
    clear = [way for way, ratio in smoother.items() if ratio > _SMOOTHER]
    named = [way for way, pattern in _NAMES.items() if pattern.search(name)]
    if direction != "auto":
        found, why = direction, "as was asked for"
    elif len(named) == 1:
        found, why = named[0], f"going by the name {name[:60]!r}"
    elif clear:
        found, why = clear[0], "since the camera then moves much more evenly than the other way round"
    else:
        found, why = usual, "as such files usually are; neither way moves much more evenly"
    turned = "each was inverted" if found == "w2c" else "nothing was inverted"
    note = f"Matrices were taken as {_WORDS[found]} ({found}) in OpenCV axes, {why}; {turned}."
    taken = inverse if found == "w2c" else motions
    doubted = direction == "auto" and found != usual and len(named) != 1
    doubt = (
        f"{_WORDS[found]} is a guess from how the camera moves: if the path looks wrong, give the direction ({usual})"
    )
    return taken, note, ((doubt,) if doubted else inversion_warning(taken))


_WORDS = {"c2w": "camera-to-world", "w2c": "world-to-camera"}


def inversion_warning(world_from_cam: Tensor) -> tuple[str, ...]:
    """A warning when the inverses of `world_from_cam` [F, 4, 4] have centres that move much more evenly, else none.

    A camera that is read the wrong way round swings about the world's origin with every small turn of its own. Of the
    100 example paths of SCoPE, 10 of CameraCtrl and 3 of LingBot-World none is doubted; of their inverses 18 are.
    """
    if _smoother(world_from_cam, se3.inverse(world_from_cam)) <= _SMOOTHER:
        return ()
    return (
        "the camera would move much more evenly if each matrix were taken the other way round (w2c for c2w); if the "
        "path looks wrong, that is the first thing to try",
    )


def _smoother(motions: Tensor, inverse: Tensor) -> float:
    """How many times more evenly the centres of `inverse` [F, 4, 4] move than those of `motions`; 1 where that cannot
    be told."""
    if len(motions) < _FRAMES:
        return 1.0
    given, inverted = motions[:, :3, 3], inverse[:, :3, 3]
    still = _STILL * float(given.abs().max() + inverted.abs().max())
    if _length(given) <= still or _length(inverted) <= still:
        return 1.0
    return _roughness(given) / (_roughness(inverted) + _STILL / _SMOOTHER)


def _length(centers: Tensor) -> float:
    return float(torch.linalg.vector_norm(centers.diff(dim=0), dim=-1).sum())


def _roughness(centers: Tensor) -> float:
    """How much of the motion is change of motion: 0 for a straight line at even speed, 1 or more for jitter."""
    return _length(centers.diff(dim=0)) / _length(centers)

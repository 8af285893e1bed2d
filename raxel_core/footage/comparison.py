"""An estimate beside other cameras of the same frames, true or solved, and beside the answer that nothing moved."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.estimate import Estimate

# Nearer to the first frame than this share of the farthest, a camera's direction from there means little.
_NEAR = 0.1
_STANDSTILL = 1e-6


class Comparison(NamedTuple):
    """Mean angles in radians over the `frames` that both have, each against the first of them: of the `rotation`, of
    the rotation of a `still` camera, and of the `direction` in which the camera went, NaN where it went nowhere."""

    other: str
    frames: int
    rotation: float
    still: float
    direction: float

    @property
    def sentence(self) -> str:
        """What the comparison says."""
        turned, still = math.degrees(self.rotation), math.degrees(self.still)
        better = "less" if self.rotation < self.still else "no less"
        way = "" if math.isnan(self.direction) else f", and goes {math.degrees(self.direction):.0f} degrees aside"
        return (
            f"Against {self.other} ({self.frames} frames) it is {turned:.2g} degrees off in rotation, {better} than "
            f"the {still:.2g} of a camera that stands still{way}"
        )


def compare(estimate: Estimate, other: Estimate) -> Comparison:
    """`estimate` held against `other`, by the numbers of their frames; ValueError where they share less than two."""
    places = {number: index for index, number in enumerate(other.footage.frames)}
    shared = [(index, places[number]) for index, number in enumerate(estimate.footage.frames) if number in places]
    if len(shared) < 2:
        raise ValueError(
            f"cameras to compare with are of the same frames of the footage: {other.estimator} shares {len(shared)} "
            f"of {len(estimate.footage.frames)}"
        )
    mine, theirs = zip(*shared, strict=True)
    found, true = (_from_first(path, kept) for path, kept in ((estimate, mine), (other, theirs)))
    rotation = float(se3.geodesic(found[1:, :3, :3], true[1:, :3, :3]).mean())
    still = float(se3.geodesic(torch.eye(3, dtype=true.dtype), true[1:, :3, :3]).mean())
    return Comparison(other.estimator, len(shared), rotation, still, _direction(found[:, :3, 3], true[:, :3, 3]))


def _from_first(path: Estimate, kept: tuple[int, ...]) -> Tensor:
    """The cameras [n, 4, 4] at the indices `kept`, seen from the first of them."""
    motions = path.trajectory.camera.world_from_cam.double()[list(kept)]
    return se3.relative(motions[0], motions)


def _direction(found: Tensor, true: Tensor) -> float:
    """The mean angle between where two paths [n, 3] from the origin go, where the true one is well away from it."""
    away = true.norm(dim=-1)
    far = (away > _NEAR * away.max()) & (away > _STANDSTILL) & (found.norm(dim=-1) > _STANDSTILL)
    if not bool(far.any()):
        return math.nan
    across = torch.linalg.cross(found[far], true[far]).norm(dim=-1)
    return float(torch.atan2(across, (found[far] * true[far]).sum(-1)).mean())

"""Points of a scene that an estimate of its cameras found on the way, and where the frames saw them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """`position` [N, 3] in the path's world and unit, `colour` [N, 3] uint8, `error` [N] mean reprojection in pixels.

    An observation says that camera `seen_by` [M] (its index in the path) saw point `seen` [M] at `pixel` [M, 2], in
    pixels of the path's `hw`, after the lens's distortion was taken out.
    """

    position: Tensor
    colour: Tensor
    error: Tensor
    seen: Tensor
    seen_by: Tensor
    pixel: Tensor

    def __post_init__(self) -> None:
        count, observations = len(self.position), len(self.seen)
        if self.position.shape != (count, 3) or self.colour.shape != (count, 3) or self.error.shape != (count,):
            shapes = [list(part.shape) for part in (self.position, self.colour, self.error)]
            raise ValueError(f"points are [N, 3], their colours [N, 3] and errors [N], got {shapes}")
        if self.seen_by.shape != (observations,) or self.pixel.shape != (observations, 2):
            shapes = [list(part.shape) for part in (self.seen, self.seen_by, self.pixel)]
            raise ValueError(f"observations are [M], [M] and [M, 2], got {shapes}")

    def __len__(self) -> int:
        return len(self.position)

    def transformed(self, scale: float, rotation: Tensor, translation: Tensor) -> SparsePoints:
        """The same points in another world: scale * rotation @ p + translation."""
        return replace(self, position=scale * (self.position @ rotation.mT) + translation)

    def seen_from(self, camera_index: int) -> Tensor:
        """The indices [n] of the points that this camera saw."""
        return torch.unique(self.seen[self.seen_by == camera_index])

    def resized(self, factor: Tensor) -> SparsePoints:
        """The same points seen in pictures whose (width, height) is `factor` [2] times the old one."""
        return replace(self, pixel=self.pixel * factor)

    def renumbered(self, cameras: Tensor) -> SparsePoints:
        """The same points for a path in which camera i has become camera `cameras[i]`."""
        return replace(self, seen_by=cameras[self.seen_by])

"""A filmed scene: pictures in order of time with their cameras, and the clips that can be cut from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry.camera import Camera
from .defects import Defect
from .pictures import Pictures

# A frame may lie off its moment by so much of the usual step between frames, and by the clock of the file.
_OFF, _CLOCK = 0.5, 0.008


@dataclass(frozen=True, eq=False)
class Scene:
    """A scene of N pictures. `camera` [N] has K in pixels of `pictures.hw`; `position` [N] float64 rises and counts
    seconds where `timed`, else pictures; `caption` may be empty; `notes` are faults that leave it usable."""

    name: str
    pictures: Pictures
    camera: Camera
    position: Tensor
    timed: bool
    caption: str = ""
    notes: tuple[Defect, ...] = ()

    def __len__(self) -> int:
        return len(self.camera)

    def clips(self, frames: int, *, fps: float, stride: int) -> Tensor:
        """Which pictures are the clips of `frames`, [M, frames]: `fps` a second where time is known, else every
        `stride`-th. No clip passes over a gap; each moment has the picture nearest to it."""
        step = 1.0 / fps if self.timed else float(stride)
        usual = float(self.position.diff().median()) if len(self) > 1 else 1.0
        wanted = self.position[:, None] + step * torch.arange(frames, dtype=torch.float64)
        after = torch.searchsorted(self.position, wanted).clamp(1, max(len(self) - 1, 1))
        before = after - 1
        after = after.clamp(max=len(self) - 1)
        nearer = (self.position[after] - wanted).abs() < (wanted - self.position[before]).abs()
        found = torch.where(nearer, after, before)
        off = (self.position[found] - wanted).abs().amax(1)
        distinct = (found.diff(dim=1) > 0).all(1) if frames > 1 else torch.ones(len(self), dtype=torch.bool)
        return found[(off <= min(_OFF * usual, 0.5 * step) + _CLOCK * self.timed) & distinct]

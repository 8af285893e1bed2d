"""What a user may say of footage before its cameras are solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .lens import Lens
from .matching import MATCHING

SCALES = ("near_depth", "depth", "distance", "arbitrary")
MOST_WIDTH = 1600

DepthAt = Callable[[int], Tensor | None]
"""The number of a frame in the footage -> its depths [h, w] along the view axis, 0 or not finite where unknown, of the
frame as it was filmed and of any size; None where there is no map."""


@dataclass(frozen=True)
class Scale:
    """What a length of 1 is.

    "near_depth": the near depth of the first camera, the 25th percentile of the depths of the points it sees, or of its
    depth map where there are depth maps; "depth": that of the depth maps, metres;
    "distance": metres, from the `metres` between the cameras of frames `between` (the first and the last by default);
    "arbitrary": the largest distance of a camera from the first.
    """

    kind: str = "near_depth"
    metres: float = 1.0
    between: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.kind not in SCALES:
            raise ValueError(f"a scale is one of {', '.join(SCALES)}, got {self.kind!r}")
        if not 0.0 < self.metres < 1e9:
            raise ValueError(f"a distance between two cameras is above 0 metres, got {self.metres}")


@dataclass(frozen=True)
class SolveSettings:
    """`lens`: what is known of it, for the pictures as they are given (None: nothing); `matching` as in
    `matching.frame_pairs`; frames wider or higher than `most_pixels` are looked at smaller; `interpolate`: whether
    frames without a camera of their own get one between their neighbours; `scale`: the unit of lengths; `depth_at`:
    depth maps."""

    lens: Lens | None = None
    matching: str = "auto"
    most_pixels: int = MOST_WIDTH
    interpolate: bool = False
    scale: Scale = Scale()
    depth_at: DepthAt | None = None

    def __post_init__(self) -> None:
        if self.scale.kind == "depth" and self.depth_at is None:
            raise ValueError("the scale by depth needs depth maps, and none are given")
        if self.matching not in MATCHING:
            raise ValueError(f"a matching is one of {', '.join(MATCHING)}, got {self.matching!r}")
        if not 64 <= self.most_pixels <= 8192:
            raise ValueError(f"frames are looked at with 64 to 8192 pixels, got {self.most_pixels}")

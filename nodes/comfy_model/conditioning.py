"""What the model is told besides the latents: source images, carried in ComfyUI's CONDITIONING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...raxel_core.geometry.camera import Camera

SOURCES_KEY = "raxel_sources"

Conditioning = list[list[Any]]


@dataclass(frozen=True, eq=False)
class SourceLatents:
    """Source images of a clip in order of time, each coded alone.

    `frames` are the pixel frames they show and `times` their latent times; `video` [1, C, N, h, w] are raw latents;
    `rays` [1, C, N, hr, wr], where their cameras are known, the raw latents of their raxel images relative to the
    camera of the first. Without `video` only the cameras are known. Frames before or after the clip are views beside
    its path, which need their cameras; `origin` is the first one's where the images came with cameras of their own.
    """

    frames: tuple[int, ...]
    times: tuple[float, ...]
    video: Tensor | None
    rays: Tensor | None = None
    origin: Camera | None = None

    def beside(self, frames: int) -> bool:
        """Whether any image is no frame of a clip of `frames`; ValueError where the camera of that is not known."""
        outside = [frame for frame in self.frames if not 0 <= frame < frames]
        if outside and self.origin is None:
            raise ValueError(
                f"a source image shows frame {outside[-1]}, but the clip has {frames} frames, numbered from 0; a view "
                "beside the path needs its camera: connect cameras of Raxel Sources"
            )
        return bool(outside)

    @property
    def reference_frame(self) -> int:
        """The earliest frame, whose camera is the origin of all rays of the clip."""
        return self.frames[0]

    def without_images(self) -> SourceLatents:
        """The same with the cameras alone: what guidance by the sources compares with."""
        return replace(self, video=None)


def no_text() -> Conditioning:
    """A conditioning without a prompt; the tensor only fills the place that stock nodes expect one in."""
    return [[torch.zeros(1, 1, 1), {}]]


def with_sources(conditioning: Conditioning, sources: SourceLatents) -> Conditioning:
    """`conditioning` with `sources` in each of its entries; ValueError when it has some already."""
    if sources_of(conditioning) is not None:
        raise ValueError(
            "this conditioning has source images already: give all of them to one Raxel Sources node, as one batch"
        )
    return [[entry[0], {**entry[1], SOURCES_KEY: sources}] for entry in conditioning]


def sources_of(conditioning: Sequence[Sequence[Any]] | None) -> SourceLatents | None:
    """The source images a conditioning carries, if any."""
    found = [entry[1][SOURCES_KEY] for entry in conditioning or () if SOURCES_KEY in entry[1]]
    return found[0] if found else None

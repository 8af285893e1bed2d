"""Clips as pictures with their cameras, whoever made them: the tracer of synthetic scenes, or a film."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..geometry.camera import Camera


@dataclass(frozen=True, eq=False)
class OtherViews:
    """Views of the same scenes beside the clips: pictures `video` [B, 3, M, H, W], `camera` [B, M], `near_depth`
    [B, M], and when they were taken, `frame` [B, M], counted in frames of the clip, before its first or after its last
    one and in between."""

    video: Tensor
    camera: Camera
    near_depth: Tensor
    frame: Tensor


@dataclass(frozen=True, eq=False)
class RenderedClips:
    """Clips `video` [B, 3, F, H, W] in [-1, 1] with their cameras [B, F], `near_depth` [B, F] in the same lengths,
    views beside them, and captions."""

    video: Tensor
    camera: Camera
    near_depth: Tensor
    others: OtherViews | None = None
    captions: tuple[str, ...] = ()

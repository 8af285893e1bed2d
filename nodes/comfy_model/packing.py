"""The flat pack [B, 1, N] in which ComfyUI's samplers carry both streams, video first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import comfy.utils
from torch import Tensor

from ...raxel_core.sampling import Streams

Shapes = Sequence[Sequence[int]]

# The shapes of both streams of the run that this thread is in: the model and its latent format serve many runs.
_RUN: ContextVar[Shapes | None] = ContextVar("raxel_run_shapes", default=None)


@contextmanager
def run_of(shapes: Shapes | None) -> Iterator[None]:
    """A run whose packs hold streams of `shapes`."""
    token = _RUN.set(shapes)
    try:
        yield
    finally:
        _RUN.reset(token)


def run_shapes() -> Shapes | None:
    """The shapes of the run that this thread is in, None outside one."""
    return _RUN.get()


def unpack(packed: Tensor, shapes: Shapes) -> Streams:
    """Both streams [B, C, T, h, w] of a pack whose streams have `shapes`."""
    return Streams(*comfy.utils.unpack_latents(packed, shapes))


def pack(streams: Sequence[Tensor]) -> Tensor:
    """The pack [B, 1, N] of both streams."""
    return comfy.utils.pack_latents(streams)[0]


def frame_mask(mask: Tensor) -> Tensor:
    """[B, C, T, h, w] -> [B, T]: how much of a frame is made; a frame made in part counts by its largest value."""
    return mask.amax(dim=(1, 3, 4))

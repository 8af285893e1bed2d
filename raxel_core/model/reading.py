"""Which stream reads which, and what a sampler keeps of a stream that stays the same (`reads="one_way"`).

A stream without noise is known, and what it says must not depend on a guess: it does not read a stream that has noise.
Its tokens are then the same at every step of a sampler, and so are the keys and values that the other stream reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

KeysValues = tuple[Tensor, Tensor]


class Reading(NamedTuple):
    """Who reads whom in one pass: `clean` is the stream ("video" or "rays") that reads nothing in any sample; `video`
    and `rays` [B, 1, 1] are 1 where that stream reads the other one and 0 where it does not."""

    clean: str | None
    video: Tensor
    rays: Tensor


def one_way(video_sigma: Tensor, ray_sigma: Tensor) -> Reading:
    """The reading at noise levels [B, T] and [B, Tr]: a stream without noise does not read one that has some."""
    noisy = torch.stack([(sigma > 0).any(1) for sigma in (video_sigma, ray_sigma)])  # [2, B]
    deaf = ~noisy & noisy.flip(0)
    only_video, only_rays = deaf.all(1).tolist()
    clean = "video" if only_video else "rays" if only_rays else None
    video, rays = (~deaf).to(video_sigma.dtype)[..., None, None]
    return Reading(clean, video, rays)


@dataclass(eq=False)
class Kept:
    """Keys and values [B, heads, L, head_dim] of a clean stream in one block, once they are computed."""

    keys_values: KeysValues | None = None


@dataclass(eq=False)
class StreamMemory:
    """What one sampler keeps of its clean stream between steps, block by block: `RaxelTransformer.forward` fills it.

    It is used again only where everything that the clean stream is made of is bit for bit the same; anything else
    starts it anew. It holds 2 x layers x tokens x dim numbers, in the dtype that the network computes in.
    """

    given: tuple[Tensor | None, ...] = ()
    blocks: list[Kept] = field(default_factory=list)

    def of(self, given: tuple[Tensor | None, ...], layers: int) -> list[Kept]:
        """The blocks' keys and values for a clean stream made of the tensors `given`; empty ones when it is new."""
        whole = len(self.blocks) == layers and all(block.keys_values is not None for block in self.blocks)
        if not (whole and len(given) == len(self.given) and all(map(_same, given, self.given))):
            self.given, self.blocks = given, [Kept() for _ in range(layers)]
        return self.blocks


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return a is b
    return a is b or (a.dtype == b.dtype and a.device == b.device and torch.equal(a, b))

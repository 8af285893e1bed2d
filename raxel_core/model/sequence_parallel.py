"""One clip over several processes: the tokens of each frame are spread over them (sequence parallelism, Ulysses).

Every process holds the weights and works on its share of every frame's tokens, so that what belongs to a frame, such
as its noise level, applies to a share as it is. Where tokens attend to tokens of the streams, an all-to-all exchange
gives each process all tokens of its share of the heads, and a second one takes the result back: the attention function
is the one of a single process, and sees whole sequences. Text is held whole by every process and is not exchanged.
Shares may differ by one token of a frame and by one head, so that any count of either can be spread.

Source: DeepSpeed Ulysses (arXiv 2309.14509).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class TokenShares:
    """How the tokens of one forward pass are spread over the processes of `group`.

    `heads` of each attention layer, `grids` = tokens (T, rows, columns) of each stream. Raises ValueError when there
    are fewer heads, or fewer tokens in a frame, than processes.
    """

    group: dist.ProcessGroup
    heads: int
    grids: tuple[tuple[int, int, int], ...]

    def __post_init__(self) -> None:
        least = min(self.heads, *(rows * columns for _, rows, columns in self.grids))
        if least < self.processes:
            raise ValueError(
                f"{self.heads} heads and frames of {' and '.join(f'{y}x{x}' for _, y, x in self.grids)} tokens "
                f"can be spread over at most {least} processes, not {self.processes}"
            )

    @property
    def processes(self) -> int:
        """How many processes share the clip."""
        return dist.get_world_size(self.group)

    def take(self, x: Tensor, stream: int) -> Tensor:
        """This process's tokens [B, share, ...] of all tokens `x` [B, L, ...] of a stream."""
        frames, first, last = self._place(stream, dist.get_rank(self.group))
        return x.unflatten(1, (frames, -1))[:, :, first:last].flatten(1, 2)

    def gather(self, x: Tensor, stream: int) -> Tensor:
        """All tokens [B, L, ...] of a stream, on every process, from each one's share; the inverse of `take`."""
        frames, first, last = self._place(stream, dist.get_rank(self.group))
        whole = x.new_zeros(x.shape[0], frames, prod(self.grids[stream][1:]), *x.shape[2:])
        whole[:, :, first:last] = x.unflatten(1, (frames, -1))
        dist.all_reduce(whole, group=self.group)  # all but one process add zeros to each token
        return whole.flatten(1, 2)

    def attend(self, meet: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """`meet(q, k, v, lengths)` over all tokens of the streams: q, k, v [B, heads, share, head_dim] of the streams
        one after the other; returns [B, share, heads * head_dim] in the same order.

        Tokens meet in another order than in one process. Raises RuntimeError where a gradient is asked for.
        """
        if torch.is_grad_enabled() and q.requires_grad:
            raise RuntimeError("a clip is spread over processes for sampling alone: no gradient passes the exchange")
        lengths = tuple(prod(grid) for grid in self.grids)
        return self._by_tokens(meet(*self._by_heads(q, k, v), lengths))

    def _by_heads(self, *qkv: Tensor) -> tuple[Tensor, ...]:
        """[B, heads, share, head_dim] of each -> [B, own heads, L, head_dim]: all tokens, stream after stream."""
        sent = torch.stack([x.transpose(0, 1) for x in qkv], dim=1)  # [heads, 3, B, share, head_dim]
        own, shape = self._head_counts()[dist.get_rank(self.group)], sent.shape
        counts = self._token_counts()
        shapes = [(own, *shape[1:3], sum(count), shape[4]) for count in counts]
        received = self._exchange(sent.split(self._head_counts()), shapes)
        parts = [x.split(count, dim=3) for x, count in zip(received, counts, strict=True)]
        whole = torch.cat([x for stream in zip(*parts, strict=True) for x in stream], dim=3)
        return whole.transpose(0, 2).unbind(1)  # each [B, own heads, L, head_dim]

    def _by_tokens(self, y: Tensor) -> Tensor:
        """[B, L, own heads * head_dim] as `_by_heads` orders tokens -> [B, share, heads * head_dim]."""
        heads, counts = self._head_counts(), self._token_counts()
        rank = dist.get_rank(self.group)
        width = y.shape[2] // heads[rank]
        pieces = y.split([count[stream] for stream in range(len(self.grids)) for count in counts], dim=1)
        parts = [torch.cat(pieces[process :: self.processes], dim=1) for process in range(self.processes)]
        shapes = [(y.shape[0], sum(counts[rank]), width * count) for count in heads]
        return torch.cat(self._exchange(parts, shapes), dim=2)

    def _exchange(self, parts: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
        """Send `parts[p]` to process p; return what each process sent here, of `shapes`."""
        sent = torch.cat([part.flatten() for part in parts])
        sizes = [prod(shape) for shape in shapes]
        received = sent.new_empty(sum(sizes))
        dist.all_to_all_single(received, sent, sizes, [part.numel() for part in parts], group=self.group)
        return [x.view(shape) for x, shape in zip(received.split(sizes), shapes, strict=True)]

    def _place(self, stream: int, process: int) -> tuple[int, int, int]:
        """Frames of a stream, and the first and the one after the last token of each frame that `process` holds."""
        frames, rows, columns = self.grids[stream]
        edges = [rows * columns * number // self.processes for number in (process, process + 1)]
        return frames, edges[0], edges[1]

    def _token_counts(self) -> list[list[int]]:
        """For each process, how many tokens of each stream it holds."""
        places = [[self._place(stream, p) for stream in range(len(self.grids))] for p in range(self.processes)]
        return [[frames * (last - first) for frames, first, last in row] for row in places]

    def _head_counts(self) -> list[int]:
        """How many heads each process attends with."""
        edges = [self.heads * number // self.processes for number in range(self.processes + 1)]
        return [last - first for first, last in zip(edges[:-1], edges[1:], strict=True)]

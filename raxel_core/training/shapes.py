"""Clips of several lengths and sizes in one run: all batches of a step have one shape, and the shapes take turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from .config import TrainConfig
from .data import ClipPool, LatentClips

CYCLE = 64  # steps in which each shape has had its share


class ShapedClips:
    """The clips of a run's batches: of its own shape from `pool`, of the others from pools of their own.

    What a batch reads is a function of its number. A shape has as many clips a batch, of those that divide a shard, as
    hold no more pixels than the run's own. `pool_of` makes the pool of a configuration.
    """

    def __init__(self, config: TrainConfig, pool: ClipPool, pool_of: Callable[[TrainConfig], ClipPool]) -> None:
        self.config, self._pool_of = config, pool_of
        self.configs = [config, *(_shaped(config, name) for name, _ in config.shapes)]
        self._pools: dict[int, ClipPool] = {0: pool}
        turns = _turns(config)
        order = torch.cat([torch.full((count,), i) for i, count in enumerate(turns)])
        self._order = order[torch.randperm(CYCLE, generator=torch.Generator().manual_seed(config.seed))].tolist()

    def place(self, number: int) -> tuple[int, int]:
        """Which shape batch `number` has, and the how many-eth batch of that shape it is."""
        step, part = divmod(number, self.config.batches)
        turn, at = divmod(step, CYCLE)
        shape = self._order[at]
        earlier = turn * self._order.count(shape) + self._order[:at].count(shape)
        return shape, earlier * self.config.batches + part

    def batch(self, number: int) -> LatentClips:
        """The clips of batch `number`."""
        shape, place = self.place(number)
        if shape not in self._pools:
            self._pools[shape] = self._pool_of(self.configs[shape])
        return self._pools[shape].batch(place)

    def config_of(self, number: int) -> TrainConfig:
        """The run as batch `number` has it: its frames, size and clips a batch."""
        return self.configs[self.place(number)[0]]


def _turns(config: TrainConfig) -> list[int]:
    """How many steps of a cycle each shape has, the run's own first. ValueError where a share comes to none."""
    exact = {name: CYCLE * share for name, share in config.shapes}
    counts = {name: round(steps) for name, steps in exact.items()}
    surplus = max(sum(counts.values()) - CYCLE, 0)
    for name in sorted(counts, key=lambda name: exact[name] - counts[name])[:surplus]:  # those rounded up most
        counts[name] -= 1
    for name, share in config.shapes:
        if share and not counts[name]:
            raise ValueError(
                f"the share of shapes {name} is {share:g}, which is no step of the {CYCLE} in which shapes take turns: "
                "give it more, or leave it out"
            )
    return [CYCLE - sum(counts.values()), *counts.values()]


def _shaped(config: TrainConfig, name: str) -> TrainConfig:
    frames, height, width = map(int, name.split("x"))
    most = config.batch * config.frames * config.hw[0] * config.hw[1] / (frames * height * width)
    divisors = [count for count in range(1, config.shard_clips + 1) if config.shard_clips % count == 0]
    batch = max(count for count in divisors if count <= max(most, 1.0))
    return replace(config, frames=frames, hw=(height, width), batch=batch, shapes=())

"""Uniform numbers that belong to a scene's seed alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

COUNT = 4096


class Draws:
    """Reads a table of uniform numbers [B, COUNT] column by column: a scene's row is a function of its seed."""

    def __init__(self, table: Tensor) -> None:
        self.table = table
        self.used = 0

    @classmethod
    def of_seeds(cls, seeds: Sequence[int], tables: int, device: torch.device | str = "cpu") -> list[Draws]:
        """So many tables of B seeds, the same on every device."""
        generator = torch.Generator("cpu")
        rows = [torch.rand(tables, COUNT, generator=generator.manual_seed(int(s)), device="cpu") for s in seeds]
        return [cls(table) for table in torch.stack(rows, 1).to(device)]

    def __len__(self) -> int:
        return len(self.table)

    def of(self, rows: Tensor) -> Draws:
        """The same table at the same place for some scenes only."""
        part = Draws(self.table[rows])
        part.used = self.used
        return part

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """[B, *shape] uniform in [low, high)."""
        count = math.prod(shape)
        if self.used + count > self.table.shape[1]:
            raise ValueError(f"a scene needs more than {COUNT} numbers: {self.used} used, {count} asked for")
        part = self.table[:, self.used : self.used + count].reshape(-1, *shape)
        self.used += count
        return part * (high - low) + low

    def spread(self, *shape: int, low: float, high: float) -> Tensor:
        """[B, *shape], the logarithm uniform between those of `low` and `high`."""
        return torch.exp(self.uniform(*shape, low=math.log(low), high=math.log(high)))

    def signed(self, *shape: int) -> Tensor:
        """[B, *shape] about zero with tails to +-2."""
        return 2 * (self.uniform(*shape) - self.uniform(*shape))

    def whole(self, *shape: int, below: int) -> Tensor:
        """[B, *shape] whole numbers from 0, less than `below`."""
        return (self.uniform(*shape) * below).long().clamp(max=below - 1)

    def choice(self, shares: Sequence[float]) -> Tensor:
        """[B] whole numbers, each as often as its share."""
        edges = torch.tensor(shares).cumsum(0)
        return torch.bucketize(self.uniform() * (1 - 1e-6), edges, right=True).clamp(max=len(shares) - 1)

    def chance(self, *shape: int, of: float) -> Tensor:
        """[B, *shape] true with probability `of`."""
        return self.uniform(*shape) < of

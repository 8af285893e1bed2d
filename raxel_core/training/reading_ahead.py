"""Batches of a run in their order, their clips read ahead by further processes where asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from .objective import Objective


class _Clips(Dataset[Any]):
    """The clips of a run's batches, by number."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def __getitem__(self, number: int) -> tuple[int, Any]:
        return number, self.objective.read(number)


def batches_of(objective: Objective, numbers: Iterator[int], *, workers: int = 0) -> Iterator[Any]:
    """The batches of these numbers on the device, their clips read by so many `workers`, by this process if none."""
    if not workers:
        for number in numbers:
            yield objective.draw(number, objective.read(number))
        return
    loader = DataLoader(_Clips(objective), batch_size=None, sampler=numbers, num_workers=workers)
    for number, clips in loader:
        yield objective.draw(number, clips)

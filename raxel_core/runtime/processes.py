"""The processes of one command, where `torchrun` or `accelerate launch` has started several."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

Found = TypeVar("Found")
# A process that has finished its clips waits for the one with the longest; whoever fails is noticed by the launcher.
_PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Processes:
    """This process's number among `count`, and the device it computes on."""

    number: int
    count: int
    device: torch.device

    def gather(self, found: list[Found]) -> list[Found]:
        """What all processes found, on each of them; returns when all have come here."""
        if self.count == 1:
            return found
        from accelerate.utils import gather_object

        return list(gather_object(found))


def launched() -> bool:
    """Whether a launcher has started this process as one of several."""
    return int(os.getenv("WORLD_SIZE", "1")) > 1


def is_first_process() -> bool:
    """Whether this is the process that speaks to the user: the only one, or number 0."""
    return not launched() or os.getenv("RANK") == "0"


def join_processes(device: torch.device) -> Processes:
    """Meet the other processes of this command; each takes a GPU of its own where `device` is "cuda".

    Raises ValueError when `device` names one GPU for all of them.
    """
    if not launched():
        return Processes(0, 1, device)
    if device.type != "cpu" and device.index is not None:
        raise ValueError(f"each process takes a GPU of its own: say {device.type}, not {device}")
    state = _state(device)
    return Processes(state.process_index, state.num_processes, device if device.type == "cpu" else state.device)


def leave_processes() -> None:
    """End what `join_processes` began."""
    if not launched():
        return
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def _state(device: torch.device) -> Any:
    from accelerate import PartialState

    return PartialState(cpu=device.type == "cpu", timeout=_PATIENCE)

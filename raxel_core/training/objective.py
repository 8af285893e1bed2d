"""What the training loop asks of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .config import RunConfig
from .data import ClipPool


class Objective(Protocol):
    """What a run trains: a network with some parameters that require gradients, its data, its loss and its file."""

    @property
    def config(self) -> RunConfig:
        """The run."""
        ...

    @property
    def pool(self) -> ClipPool | None:
        """The clips it learns from; None where it makes its data as it goes."""
        ...

    @property
    def model(self) -> nn.Module:
        """The network as the run begins; parameters that do not require gradients stay as they are."""
        ...

    @property
    def origins(self) -> Mapping[str, str]:
        """Marks of the files that a run depends on and does not hold itself, by the argument that gives them."""
        ...

    def to(self, device: torch.device) -> None:
        """Move the network and what else a step computes with."""
        ...

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """New optimisers of the network's trained parameters, their groups with a `factor` (`make_optimizers`)."""
        ...

    def learning_rate(self, step: int) -> float:
        """The rate of a step, for all optimisers."""
        ...

    def read(self, number: int) -> Any:
        """The clips of batch `number` of the run, as any process may read them before they are needed."""
        ...

    def draw(self, number: int, clips: Any = None) -> Any:
        """Batch `number` of the run with its noise, on the device: a function of the seed and the number alone. `clips`
        are what `read` gave. The batches of one step leave the same parameters without a gradient."""
        ...

    def loss(self, model: Any, batch: Any) -> dict[str, Tensor]:
        """`loss` and its parts, scalars; `model` is the network as it trains."""
        ...

    def validate(self, network: Any, samples: Path | None, *, draws: bool) -> dict[str, float]:
        """Figures of `network`, which holds the averaged weights. With `draws` it makes samples, which are written at
        `samples` if that is given; all processes of a sharded run make them, and one writes."""
        ...

    def saved_step(self, folder: Path) -> int | None:
        """The step of the file that `save` has left in `folder`; None where there is none."""
        ...

    def save(self, weights: Mapping[str, Tensor], folder: Path, step: int) -> None:
        """Write the network with the parameters `weights` for use, atomically."""
        ...


def batch_generator(seed: int, number: int) -> torch.Generator:
    """What draws batch `number` of a run of this seed."""
    return torch.Generator().manual_seed((seed * 1_000_000_007 + number) % 2**64)

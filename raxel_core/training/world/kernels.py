"""The parts of a clip's making that take the time, as they are or compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .film import antialiased, develop
from .shading import shade
from .tracer import meet


class Kernels(NamedTuple):
    """Functions of tensors alone; what compiling them changes is their speed, and results by a few parts in 10^6."""

    meet: Callable[..., tuple[Tensor, Tensor]]
    shade: Callable[..., Tensor]
    antialiased: Callable[..., Tensor]
    develop: Callable[..., Tensor]


PLAIN = Kernels(meet, shade, antialiased, develop)


@functools.cache
def compiled() -> Kernels:
    """The same compiled by PyTorch (a C++ compiler is needed on a CPU); about a minute, once a process."""
    return Kernels(
        meet=torch.compile(meet, dynamic=True),
        shade=torch.compile(shade, dynamic=True),
        antialiased=torch.compile(antialiased, dynamic=True),
        develop=torch.compile(develop, dynamic=True),
    )

"""Seeded damage to values rather than bytes: what a header, a configuration or a socket may hold instead of what it
should. Lists, objects, arrays and tensors are damaged somewhere inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.fuzz.mutation import mutate

ODD = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**300, -(10**300), 0.5, -0.0, 1e-320, 1e30, 1e308, math.nan,
    math.inf, -math.inf, "", "0", "nan", "\x1b]0;x\x07", "\u202e\u0000", "a" * 300, "<img src=x onerror=alert(1)>",
    [], {}, [[]], [0] * 1000, {"a": {"a": {}}}, b"\x00\xff", "../../etc/passwd", "//host/share", "\ud800",
)  # fmt: skip
JSON_ODD = tuple(value for value in ODD if not isinstance(value, bytes))


def damaged_value(value: Any, random: Random, odd: tuple[Any, ...] = ODD) -> Any:
    """A copy of `value` with one place in it damaged; a container is gone into more often than it is replaced."""
    if random.random() < 0.1:
        return random.choice(odd)
    if isinstance(value, dict) and value:
        return _damaged_dict(value, random, odd)
    if isinstance(value, (list, tuple)) and value:
        return type(value)(_damaged_list(list(value), random, odd))
    if isinstance(value, Tensor):
        return _damaged_tensor(value, random)
    if isinstance(value, np.ndarray):
        return _damaged_tensor(torch.from_numpy(value.copy()), random).numpy()
    if isinstance(value, str) and value and random.random() < 0.7:
        return mutate(*[value.encode("utf-8", "replace")] * 2, random).decode("utf-8", errors="replace")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and random.random() < 0.5:
        return random.choice((-value, value * 1e9, value + 1, value / 3, str(value)))
    return random.choice(odd)


def _damaged_dict(value: dict[Any, Any], random: Random, odd: tuple[Any, ...]) -> dict[Any, Any]:
    key, kind = random.choice(list(value)), random.random()
    if kind < 0.15:
        return {name: entry for name, entry in value.items() if name != key}
    if kind < 0.25:
        return {**value, random.choice(("extra", "a\nb", "\u202e", "x" * 400)): random.choice(odd)}
    return {**value, key: damaged_value(value[key], random, odd)}


def _damaged_list(value: list[Any], random: Random, odd: tuple[Any, ...]) -> list[Any]:
    at, kind = random.randrange(len(value)), random.random()
    if kind < 0.1:
        return value[:at]
    if kind < 0.2:
        return [*value, value[at]]
    return [*value[:at], damaged_value(value[at], random, odd), *value[at + 1 :]]


def _damaged_tensor(value: Tensor, random: Random) -> Tensor:
    return random.choice(_TENSOR_DAMAGES)(value.clone(memory_format=torch.contiguous_format), random)


def _with_entry(value: Tensor, random: Random) -> Tensor:
    if value.numel() and value.is_floating_point():
        value.view(-1)[random.randrange(value.numel())] = random.choice((math.nan, math.inf, 1e30, -1e30, 0.0))
    return value


_TENSOR_DAMAGES: tuple[Callable[[Tensor, Random], Tensor], ...] = (
    _with_entry,
    _with_entry,
    _with_entry,
    lambda value, random: torch.zeros_like(value),
    lambda value, random: value * random.choice((1e-30, 1e9, 1e25, -1.0)),
    lambda value, random: value[None],
    lambda value, random: value[:0],
    lambda value, random: value[..., :1] if value.ndim else value,
    lambda value, random: value.transpose(0, -1) if value.ndim > 1 else value,
    lambda value, random: value.flatten(),
    lambda value, random: value.to(random.choice((torch.float16, torch.int64, torch.bool, torch.float64))),
    lambda value, random: value.repeat(*([2] * value.ndim)) if value.numel() < 100_000 else value,
    lambda value, random: torch.randn(value.shape, generator=torch.Generator().manual_seed(random.randrange(99))),
)

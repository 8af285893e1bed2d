"""The optimisers of a run: Muon, AdamW or AdamW in 8 bits, with a rate of their own for parameters that are named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from ..strict_json import printable
from .config import RunConfig

Named = tuple[str, nn.Parameter]
MUON_DECAY = 0.01


def make_optimizers(
    named: Iterable[Named], config: RunConfig, *, kind: str, inside: Callable[[str], bool],
    betas: tuple[float, float], decay: float,
) -> list[torch.optim.Optimizer]:  # fmt: skip
    """New optimisers, of `kind`, of the parameters `named` that require gradients.

    "muon" is Muon for the matrices whose names are `inside`, and AdamW for the rest; "adamw" is AdamW for all,
    "adamw_8bit" the same with moments in 8 bits, which needs the package bitsandbytes. `decay` and `betas` are AdamW's.
    Each group keeps in `factor` what the run's rate is multiplied by (`rate_factors`). ValueError where a pattern fits
    none of them.
    """
    trained = [(name, p) for name, p in named if p.requires_grad]
    for pattern, _ in config.rate_factors:
        if not any(fnmatchcase(name, pattern) for name, _ in trained):
            raise ValueError(f"rate_factors {printable(pattern, 40)} fits the name of no parameter that the run trains")
    matrices = [(name, p) for name, p in trained if kind == "muon" and p.ndim == 2 and inside(name)]
    chosen = {name for name, _ in matrices}
    rest = [(name, p) for name, p in trained if name not in chosen]
    found: list[torch.optim.Optimizer] = []
    if matrices:
        groups = list(_groups(matrices, config))
        found.append(torch.optim.Muon(groups, lr=1.0, weight_decay=MUON_DECAY, adjust_lr_fn="match_rms_adamw"))
    if rest:
        found.append(_adamw(list(_groups(rest, config)), kind, rest[0][1], betas=betas, decay=decay))
    return found


def set_rate(optimizers: Iterable[torch.optim.Optimizer], rate: float) -> None:
    """Have all groups learn at `rate` times their own factor."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]


def _adamw(
    groups: list[dict[str, Any]], kind: str, first: nn.Parameter, *, betas: tuple[float, float], decay: float
) -> torch.optim.Optimizer:
    if kind != "adamw_8bit":
        fused = True if first.device.type == "cuda" else None
        return torch.optim.AdamW(groups, lr=1.0, betas=betas, eps=1e-8, weight_decay=decay, fused=fused)
    if isinstance(first, DTensor):
        raise ValueError("bitsandbytes does not know weights that are dealt out: leave --shard or adamw_8bit")
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise ValueError("optimizer adamw_8bit needs the package bitsandbytes, which is not installed") from error
    return AdamW8bit(groups, lr=1.0, betas=betas, eps=1e-8, weight_decay=decay)


def by_factor(names: Iterable[str], config: RunConfig) -> list[str]:
    """Names of parameters in the order in which an optimiser has them: by factor, each group in their own order."""
    return sorted(names, key=lambda name: _factor(name, config))


def _groups(named: list[Named], config: RunConfig) -> Iterator[dict[str, Any]]:
    """The parameters of each factor."""
    parameters = dict(named)
    for factor, names in groupby(by_factor(parameters, config), key=lambda name: _factor(name, config)):
        yield {"params": [parameters[name] for name in names], "factor": factor}


def _factor(name: str, config: RunConfig) -> float:
    """The factor of the first of a run's patterns that a parameter's name fits, else 1."""
    return next((factor for pattern, factor in config.rate_factors if fnmatchcase(name, pattern)), 1.0)

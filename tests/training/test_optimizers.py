"""The optimisers of a run: which parameters learn by which, and how fast."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from torch.nn import Linear

from raxel_core.training.config import RunConfig
from raxel_core.training.optimizers import make_optimizers, set_rate


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Linear(3, 3), Linear(3, 3)])
        self.head = Linear(3, 3)
        self.frozen = Linear(3, 3).requires_grad_(False)


def run(**change):
    values = {"name": "t", "steps": 1, "frames": 5, "clips": 4, "shard_clips": 4, "batch": 4, **change}
    return RunConfig.from_json(json.dumps(values))


def optimizers_of(network, config, kind):
    inside = lambda name: name.startswith("blocks.")  # noqa: E731
    return make_optimizers(network.named_parameters(), config, kind=kind, inside=inside, betas=(0.9, 0.99), decay=0.0)


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_what_is_left():
    network = Network()
    muon, adamw = optimizers_of(network, run(), "muon")
    assert isinstance(muon, torch.optim.Muon) and isinstance(adamw, torch.optim.AdamW)
    of_muon = [p for group in muon.param_groups for p in group["params"]]
    assert [id(p) for p in of_muon] == [id(block.weight) for block in network.blocks]
    assert len([p for group in adamw.param_groups for p in group["params"]]) == 4
    (alone,) = optimizers_of(network, run(), "adamw")
    assert len([p for group in alone.param_groups for p in group["params"]]) == 6


def test_parameters_that_fit_a_pattern_learn_at_their_own_rate():
    """AdamW's first step moves every number by the rate: by 0.3, 0.1 and not at all."""
    network = Network()
    config = run(rate_factors={"blocks.1.*": 3.0, "blocks.*.bias": 0.0, "blocks.1.bias": 5.0})
    optimizers = optimizers_of(network, config, "adamw")
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    set_rate(optimizers, 0.1)
    for optimizer in optimizers:
        optimizer.step()
    moved = {name: float((before[name] - p.detach()).mean()) for name, p in network.named_parameters()}
    expected = {"blocks.0.weight": 0.1, "blocks.0.bias": 0.0, "blocks.1.weight": 0.3, "blocks.1.bias": 0.3,
                "head.weight": 0.1, "head.bias": 0.1, "frozen.weight": 0.0, "frozen.bias": 0.0}  # fmt: skip
    assert moved == pytest.approx(expected, abs=1e-5)


def test_factors_survive_json_and_are_checked():
    config = run(rate_factors={"ray_*": 2.0})
    assert config.rate_factors == (("ray_*", 2.0),) and RunConfig.from_json(config.to_json()) == config
    for change, words in (
        ({"rate_factors": {"a": -1}}, "rate_factors a of"), ({"rate_factors": [1]}, "an object"),
        ({"optimizer": "sgd"}, "optimizer of the training configuration"), ({"batches": 0}, "batches"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            run(**change)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes.optim", None)
    with pytest.raises(ValueError, match="needs the package bitsandbytes"):
        optimizers_of(Network(), run(), "adamw_8bit")

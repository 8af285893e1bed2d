"""What a run will need: the traced figures are those of a network that computes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from raxel_core.cli import main
from raxel_core.model.config import RaxelConfig
from raxel_core.model.transformer import RaxelTransformer
from raxel_core.training.ablation_runs import arm_config, arms
from raxel_core.training.budget import SavedBytes, budget_of, network_cost
from raxel_core.training.config import TrainConfig

MODEL = RaxelConfig(dim=96, ffn_dim=192, layers=4, heads=3, in_channels=16, patch=(1, 2, 2), text_dim=None)
CONFIG = TrainConfig(
    name="b", steps=1, frames=9, hw=(128, 128), batch=2, batches=4, clips=2, shard_clips=2, model=MODEL, precision="no"
)  # fmt: skip


def explicit(q, k, v):
    return torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1) @ v


def computed(model, attention):
    """A network of the first clip's sizes as it computes: saved bytes and operations forward."""
    network = RaxelTransformer(model, attention=attention)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.02)
    maps = model.ray_representation == "plucker"  # as fine as the video
    rays = torch.randn(1, model.ray_channels, 3, 16, 16) if maps else torch.randn(1, 16, 3, 8, 8)
    inputs = (torch.randn(1, 16, 4, 16, 16), rays)  # a given frame beside three of the clip
    levels = (torch.rand(1, 4), torch.rand(1, 3))
    with FlopCounterMode(display=False) as counter, SavedBytes(network) as saved:
        network(*inputs, *levels)
    return saved.total, counter.get_total_flops()


@pytest.mark.parametrize("change", [{}, {"attention": "joint", "layers": 7}, {"ray_representation": "plucker"}])
def test_the_traced_cost_of_a_network_is_the_measured_one(change):
    model = replace(MODEL, **change)
    cost = network_cost(replace(CONFIG, model=model), stride=8, dtype=torch.float32)
    saved, _ = computed(model, torch.nn.functional.scaled_dot_product_attention)
    assert cost.saved == pytest.approx(saved, rel=0.01)
    assert cost.forward == pytest.approx(computed(model, explicit)[1], rel=0.01)
    assert 1.9 * cost.forward < cost.backward < 2.5 * cost.forward


@pytest.mark.parametrize("arm", arms())
def test_every_arm_that_ships_is_told_what_it_needs(arm):
    assert budget_of(arm_config(arm), stride=8).total > 0


def test_checkpointing_keeps_the_inputs_of_blocks_and_one_block():
    plain, saving = (budget_of(replace(CONFIG, gradient_checkpointing=each), stride=8) for each in (False, True))
    cost = network_cost(CONFIG, stride=8, dtype=torch.float32)
    less = 2 * (3 * cost.block_saved - 4 * cost.block_inputs)
    assert plain.bytes["activations"] - saving.bytes["activations"] == pytest.approx(less)
    assert saving.operations == pytest.approx(plain.operations + 8 * cost.forward)


def test_parts_of_a_network_on_more_processes_are_smaller():
    parameters = sum(p.numel() for p in RaxelTransformer(MODEL).parameters())
    one, four = budget_of(CONFIG, stride=8), budget_of(CONFIG, stride=8, processes=4, sharded=True)
    assert one.parameters == parameters and one.bytes["weights"] == 4 * parameters
    for name in ("weights", "gradients", "moments", "average"):
        assert four.bytes[name] == one.bytes[name] / 4
    assert four.operations == one.operations / 4
    assert budget_of(replace(CONFIG, optimizer="adamw"), stride=8).bytes["moments"] == 8 * parameters


def test_the_command_says_what_a_run_needs_and_stops(tmp_path, capsys):
    (tmp_path / "run.json").write_text(replace(CONFIG, batches=8).to_json())
    assert main(["train", str(tmp_path / "run.json"), str(tmp_path / "run"), "--estimate", "8", "--shard"]) == 0
    told = "".join(capsys.readouterr())
    assert "sharded over 8 processes" in told and "memory of each" in told and "400 trillion a second" in told
    assert not (tmp_path / "run").exists()

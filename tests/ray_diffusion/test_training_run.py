"""A run of Ray Diffusion is resumed as any other, from a configuration that survives JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from raxel_core.ray_diffusion.config import RayDiffusionConfig
from raxel_core.ray_diffusion.objective import WEIGHTS_FILE, RayDiffusionObjective, RayDiffusionTrainConfig
from raxel_core.training.train import Trainer

CONFIG = RayDiffusionTrainConfig(
    name="t", steps=3, frames=5, hw=(32, 32), clips=8, shard_clips=8, batch=4, precision="no", log_every=1,
    validate_every=10, validation_clips=2, save_every=1, views=(2, 2),
    model=RayDiffusionConfig(hidden=32, depth=1, heads=2, grid=4, patch=1, image_px=16, max_images=2,
                             features="convolution", feature_channels=16),
)  # fmt: skip


def test_the_configuration_survives_json_and_is_read_strictly():
    assert RayDiffusionTrainConfig.from_json(CONFIG.to_json()) == CONFIG
    values = json.loads(CONFIG.to_json())
    for change, told in (
        ({"model": {"hidden": "a"}}, "hidden of a Ray Diffusion network is int, got 'a'"),
        ({"model": {"width": 3}}, "the configuration of a Ray Diffusion network has unknown width"),
        ({"warmup": 0}, "warmup of the training configuration is a whole number from 1"),
    ):
        with pytest.raises(ValueError, match=told):
            RayDiffusionTrainConfig.from_json(json.dumps(values | change))


@pytest.mark.slow
def test_a_run_whose_weights_are_stale_writes_them_anew(tmp_path):
    def run(until=None):
        Trainer(RayDiffusionObjective(CONFIG), tmp_path).train(until=until)
        return load_file(tmp_path / WEIGHTS_FILE)

    early = run(until=1)
    right = run()
    assert any(not torch.equal(early[name], value) for name, value in right.items())
    (tmp_path / WEIGHTS_FILE).unlink()
    assert all(torch.equal(right[name], value) for name, value in run().items())
    with pytest.raises(ValueError, match="muon was False and is True"):
        Trainer(RayDiffusionObjective(replace(CONFIG, muon=True)), tmp_path)

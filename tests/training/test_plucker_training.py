"""A run on Plücker maps, the paper's ablation: what the network is given, and that the file of a run samples."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from raxel_core.geometry.trajectory import Trajectory
from raxel_core.model.config import RaxelConfig
from raxel_core.pipeline import Settings, Source, generate_video
from raxel_core.raxel_model import load_model
from raxel_core.training.config import TASKS, TrainConfig
from raxel_core.training.loss import camera_errors, flow_loss, make_example
from raxel_core.training.raxel_objective import WEIGHTS_FILE, RaxelObjective
from raxel_core.training.ray_codes import decode_cameras
from raxel_core.training.train import Trainer
from raxel_core.training.vae import fit_patch_code, raxel_and_video_clips

SMALL = RaxelConfig(
    dim=48, ffn_dim=96, layers=2, heads=2, in_channels=32, patch=(1, 1, 1), text_dim=None, freq_dim=32,
    ray_representation="plucker",
)  # fmt: skip
CONFIG = TrainConfig(
    name="plucker", steps=2, frames=5, model=SMALL, hw=(32, 32), clips=8, shard_clips=8, batch=8, precision="no",
    log_every=1, validate_every=2, validation_clips=4, save_every=100, scenes=(("easy", 1.0),), seed=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def vae():
    return fit_patch_code(raxel_and_video_clips(CONFIG, range(32)), channels=32)


@pytest.fixture(scope="module")
def objective(vae, tmp_path_factory):
    return RaxelObjective(CONFIG, vae, cache=tmp_path_factory.mktemp("clips"))


def test_the_maps_are_those_of_the_clip_s_cameras(objective, vae):
    """Normalised, one a latent frame on the video's own grid, and what they decode to has no error of the camera."""
    example, noise = objective.draw(0)
    assert example.rays.shape[1:] == (6, 2, 4, 4) and noise[1].shape == example.rays.shape
    codes = objective.recipe.ray_statistics.denormalize(example.rays)
    raxels = decode_cameras(codes, CONFIG, vae, scale=objective.recipe.raxel_scale)
    errors = camera_errors(raxels[:, :, ::4] / objective.recipe.raxel_scale, example.camera[:, ::4])
    assert max(float(error.abs().max()) for error in errors) < 1e-3


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_a_loss_with_a_gradient(objective, vae, task):
    config = replace(CONFIG, task_shares=tuple(float(name == task) for name in TASKS))
    generator = torch.Generator().manual_seed(3)
    example = make_example(objective.pool.batch(0), config, objective.recipe, vae, generator)
    noise = (torch.randn(example.video.shape), torch.randn(example.rays.shape))
    objective.model.zero_grad()
    parts = flow_loss(objective.model, example, noise, config, objective.recipe, vae)
    assert ("video" in parts) == (task != "pose") and ("translation" in parts) == (task != "camera")
    parts["loss"].backward()
    head = objective.model.video_head if task == "camera" else objective.model.ray_head
    assert float(head.head.weight.grad.abs().sum()) > 0.0


def test_the_file_of_a_run_loads_and_samples(vae, tmp_path):
    Trainer(RaxelObjective(CONFIG, vae, cache=tmp_path / "clips"), tmp_path).train()
    model = load_model(tmp_path / WEIGHTS_FILE, vae=vae)
    assert model.recipe.ray_statistics.channels == 6
    camera = RaxelObjective(CONFIG, vae, cache=tmp_path / "clips").validation.camera[0]
    path = Trajectory(camera, fps=8.0, unit="near_depth")
    made = generate_video(model, [Source(torch.zeros(3, 32, 32), 0)], path, Settings(steps=1))
    assert made.shape == (3, 5, 32, 32) and bool(torch.isfinite(made).all())

"""The checkpoint that ships: what it is, that it answers better than not looking, and that the demo is quick."""

from __future__ import annotations

import json

import pytest
import torch

from raxel_core.cli import main
from raxel_core.denoising import Run, SourceBatch, denoise_rays, denoise_video
from raxel_core.evaluation.benchmark_scenes import SceneBatch
from raxel_core.evaluation.image_metrics import psnr
from raxel_core.geometry import se3
from raxel_core.raxel_model import CHECKPOINTS, load_model
from raxel_core.raxels import decode_raxels
from raxel_core.sampling import camera_schedule, pose_schedule
from raxel_core.training.loss import canonical_cameras
from raxel_core.training.synthetic import SPLITS, render_scenes

SCENES = 48


@pytest.fixture(scope="module")
def model():
    return load_model("raxel-tiny")


def test_it_fits_its_stated_size_and_unit(model):
    files = list(CHECKPOINTS.glob("*.safetensors"))
    assert sum(file.stat().st_size for file in files) < 60 * 2**20
    assert model.recipe.unit == "near_depth" and model.recipe.hw == (64, 64)


@pytest.fixture(scope="module")
def scenes(model):
    """Videos of test scenes and their cameras relative to frame 0, in near depths."""
    first = SPLITS["test"].start
    rendered = render_scenes(range(first, first + SCENES), frames=model.recipe.frames, hw=model.recipe.hw)
    zero = torch.zeros(SCENES, dtype=torch.long)
    return SceneBatch(rendered.video, canonical_cameras(rendered.camera, rendered.near_depth, zero))


def test_its_cameras_are_nearer_the_truth_than_a_still_camera(model, scenes):
    """Two steps: the mean rotation error is at most 0.46 of the identity's, and translations are nearer as well."""
    truth = scenes.camera
    raxels = denoise_rays(model, scenes.video, run=Run(pose_schedule(2), range(SCENES)))
    found = decode_raxels(raxels, model.recipe.hw, scale=model.recipe.raxel_scale, method="robust").camera
    error = se3.geodesic(found.rotation.double(), truth.rotation.double())[:, 1:].mean()
    still = se3.geodesic(torch.eye(3, dtype=torch.float64).expand_as(truth.rotation), truth.rotation.double())[
        :, 1:
    ].mean()
    assert error < 0.46 * still
    assert (found.center - truth.center).norm(dim=-1).mean() < 0.45 * truth.center.norm(dim=-1).mean()


@pytest.mark.slow
def test_its_videos_follow_the_camera(model, scenes):
    """Four steps from frame 0 by its own shift: nearer the truth than frame 0 and than along another clip's cameras."""
    shown = SourceBatch(scenes.video[:, :, :1], (0,))
    run = Run(camera_schedule(4, shift=model.recipe.shift()), range(SCENES))
    others = scenes.camera[torch.arange(SCENES).roll(1)]
    later = scenes.video[:, :, 1:]
    made, elsewhere = (
        psnr(denoise_video(model, shown, camera, model.recipe.hw, run=run)[:, :, 1:].clamp(-1, 1), later).mean()
        for camera in (scenes.camera, others)
    )
    copied = psnr(scenes.video[:, :, :1].expand_as(later), later).mean()
    assert made > copied + 2.5
    assert made > elsewhere + 2.8


def test_the_demo_writes_what_it_says(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), "--json"]) in (0, None)
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert report == json.loads(capsys.readouterr().out)
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    assert {
        "pose.mp4",
        "generated.mp4",
        "joint.mp4",
        "loop.mp4",
        "estimate.json",
        "paths.png",
        "report.json",
    } <= written

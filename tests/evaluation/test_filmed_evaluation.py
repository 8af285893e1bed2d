"""The papers' protocols on filmed scenes: known answers by a model that is told the truth, and the tables of a run."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch

from raxel_core.cli import main
from raxel_core.evaluation.filmed_clips import (
    STILL,
    TEXTBOOK,
    FilmedBatches,
    FilmedSettings,
    evaluate_films,
)
from raxel_core.evaluation.set_distances import Networks, SetDistances
from raxel_core.geometry import se3
from raxel_core.training.config import FilmedSettings as DataSettings
from raxel_core.training.filmed import data_set
from tests.data_sets import RATE, write_dl3dv, write_realestate10k

FRAMES, SIZE = 5, (48, 80)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    write_realestate10k(root, "0001", 5, frames=10, hw=SIZE)
    write_realestate10k(root, "0002", 7, frames=3, hw=SIZE)  # too short
    write_dl3dv(root, "f00d", 6, frames=10, hw=SIZE)
    return root


def batches(data):
    scenes = data_set(data, "films", DataSettings(), fps=RATE, unit="near_depth", needs_depth=False)
    return FilmedBatches(scenes, FRAMES, SIZE, "arbitrary", 2)


class Told:
    """A model that knows the true cameras but for a turn of 0.1 about its axis, reads no camera of the clips `blind`,
    and generates the clip that it is shown."""

    def __init__(self, truth, blind=()):
        self.truth, self.blind = truth, blind

    def estimate(self, video, *, steps, seeds):
        turn = se3.so3_exp(torch.tensor([0.0, 0.0, 0.1]))
        motions = self.truth.world_from_cam.clone()
        motions[:, 1:, :3, :3] = motions[:, 1:, :3, :3] @ turn
        motions[list(self.blind)] = math.nan
        return replace(self.truth, world_from_cam=motions)

    def generate(self, video, camera, *, seeds):
        assert camera.world_from_cam.isfinite().all()
        return video + 0.2


def measured(data, protocol, blind=()):
    (batch,) = list(batches(data))
    films = batches(data)
    report = evaluate_films(Told(batch.camera, blind), films, FilmedSettings(protocol, (1, 2), 2))
    return report, batch


def test_the_figures_are_those_of_the_truth_and_short_scenes_are_named(data):
    report, batch = measured(data, "pose")
    assert report.clips == 2 and report.left_out.keys() == {"train/0002.txt"} and "too short" not in report.rows
    rows = report.rows
    assert rows.keys() == {STILL, "pose 1 step", "pose 2 steps"}
    # 4 of 5 frames are turned by 0.1; the anchoring is at frame 0, which is not
    assert torch.allclose(rows["pose 1 step"]["R_err [rad]"], torch.full((2,), 0.08, dtype=torch.float64), atol=1e-5)
    assert rows["pose 1 step"]["T_err"].abs().max() < 1e-6 and rows["pose 1 step"]["ATE (Sim3)"].max() < 1e-5
    true = batch.camera
    expected = se3.geodesic(true.rotation[:, :1], true.rotation).mean(1)
    assert torch.allclose(rows[STILL]["R_err [rad]"], expected.double(), atol=1e-5)
    assert torch.allclose(rows[STILL]["T_err"], true.center.norm(dim=-1).mean(1).double(), atol=1e-5)


def test_unread_clips_count_as_the_still_camera(data):
    report, _ = measured(data, "pose", blind=(1,))
    row, still = report.rows["pose 2 steps"], report.rows[STILL]
    assert row["read"].tolist() == [1.0, 0.0]
    assert row["R_err [rad]"][1] == still["R_err [rad]"][1] and row["R_err [rad]"][0] != still["R_err [rad]"][0]


def test_rows_are_compared_with_the_still_camera_clip_by_clip(data):
    """The standard error is that of the differences, which the clips' own motions do not widen."""
    report, _ = measured(data, "pose")
    found = json.loads(report.to_json())["paired"]
    assert found.keys() == {"pose 1 step", "pose 2 steps"}
    row, still = (report.rows[name]["R_err [rad]"] for name in ("pose 1 step", STILL))
    figures = found["pose 1 step"]["R_err [rad]"]
    assert figures["mean"] == pytest.approx(float((row - still).mean()), abs=1e-9)
    assert figures["standard_error"] == pytest.approx(float((row - still).std()) / 2**0.5, rel=1e-6)
    after = report.markdown().split("Less the still camera, clip by clip:")[1]
    assert "| pose 1 step |" in after and f"| {STILL} |" not in after and "read" not in after.splitlines()[2]


def test_cycle_holds_the_cameras_and_the_clip_against_the_truth(data):
    report, batch = measured(data, "cycle")
    cycle = report.rows["cycle"]
    assert torch.allclose(cycle["R_err [rad]"], torch.full((2,), 0.08, dtype=torch.float64), atol=1e-5)
    made = (batch.video[:, :, 1:] + 0.2).clamp(-1, 1)
    mse = ((made - batch.video[:, :, 1:]) ** 2).double().mean((1, 3, 4))
    assert torch.allclose(cycle["PSNR [dB]"], (10 * torch.log10(4 / mse)).mean(1), atol=1e-3)
    assert cycle["PSNR [dB]"].min() > report.rows[STILL]["PSNR [dB]"].max() or cycle["SSIM"].min() > 0.9
    words = report.markdown().splitlines()
    assert words[0].startswith("|  | R_err [rad] | T_err |") and words[1].count("---") == words[0].count("|") - 1
    assert "Protocol cycle, 2 clips" in report.markdown() and "train/0002.txt was left out" in report.markdown()


def test_camera_control_reads_the_cameras_off_what_was_made(data):
    report, _ = measured(data, "camera-control")
    assert report.rows.keys() == {"camera-control, read by the model", STILL, "the true clip, read by the model"}
    assert report.rows["the true clip, read by the model"]["PSNR [dB]"].isnan().all()
    body = json.loads(report.to_json())
    assert body["rows"]["the true clip, read by the model"]["SSIM"]["mean"] is None


class Pool(torch.nn.Module):
    """A network of fixed random weights that answers as the Inception file does."""

    def __init__(self, frames: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(6, 3, generator=generator))
        self.frames = frames

    def forward(self, images, return_features: bool = False, rescale: bool = False, resize: bool = False):
        mean = images.float().flatten(2).mean(2) / 255.0
        return torch.tanh(mean @ self.weight.T)


def test_fid_and_fvd_agree_with_the_formula_by_scipy():
    """Gaussians fitted by numpy, the root of the product of covariances by scipy."""
    generator = torch.Generator().manual_seed(1)
    true, made = (torch.rand(12, 3, 16, 8, 8, generator=generator) * 2 - 1 for _ in range(2))
    made = (made * 0.8 + 0.1).clamp(-1, 1)
    network = Pool(False)
    sets = SetDistances(Networks(fid=network, fvd=network))
    for part in (slice(0, 5), slice(5, 12)):
        sets.add("true", true[part])
        sets.add("made", made[part])
    found = sets.distances()

    def features(video, whole):
        bytes_ = ((video + 1) * 127.5).round().to(torch.uint8).numpy().astype(np.float64) / 255
        axes = (2, 3, 4) if whole else (3, 4)
        mean = bytes_.mean(axes)
        rows = mean if whole else mean.transpose(0, 2, 1).reshape(-1, 3)
        return np.tanh(rows @ network.weight.detach().double().numpy().T)

    for measure, whole in (("fid", False), ("fvd", True)):
        a, b = features(made, whole), features(true, whole)
        root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T))
        expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root.real)
        assert found[measure]["made"].distance == pytest.approx(expected, rel=1e-4)
        assert found[measure]["made"].samples == len(a)


def test_each_protocol_is_run_from_the_command_line(data, tmp_path, capsys):
    """The embedded model on two filmed scenes; the textbook's cameras are near where the pictures tell them."""
    out = tmp_path / "pose.json"
    pose = ["evaluate", "--data", str(data), "--ray-steps", "1", "--loop-steps", "1", "--opencv", "--out", str(out)]
    assert main([*pose, "--batch", "2"]) == 0
    body = json.loads(out.read_text())
    assert body["protocol"] == "pose" and body["clips"] == 2 and {STILL, TEXTBOOK, "pose 1 step"} == set(body["rows"])
    assert body["rows"]["pose 1 step"]["read"]["clips"] == 2
    assert out.with_suffix(".md").read_text().startswith("|  | R_err [rad]")
    assert main(["evaluate", "--data", str(data), "--protocol", "cycle"]) == 2
    assert "dataset depth" in capsys.readouterr().err
    assert main(["evaluate", "--protocol", "cycle"]) == 2
    assert "--protocol is an argument of --data" in capsys.readouterr().err

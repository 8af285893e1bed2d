"""The evaluation on scenes: known answers from models that are perfect, blind, or fail."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from raxel_core.evaluation.benchmark_scenes import SceneBatch, SceneSettings, evaluate_scenes
from raxel_core.evaluation.set_distances import Networks
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov

FRAMES, HW = 5, (16, 24)
SETTINGS = SceneSettings(ray_steps=(1, 2), loop_steps=2)


def _batch(clips: int, seed: int) -> SceneBatch:
    """Clips that turn to the right by 4 degrees a frame and drift, of one focal length each."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(FRAMES)[:, None].double()
    drift = torch.randn(clips, 1, 3, generator=generator, dtype=torch.float64) * 0.05
    turn = torch.zeros(clips, FRAMES, 3, dtype=torch.float64)
    turn[..., 1] = math.radians(4.0) * time[:, 0] * (1 + 0.2 * torch.rand(clips, 1, generator=generator))
    K = K_from_fov(1.0 + 0.3 * torch.rand(clips, generator=generator), HW)[:, None]
    camera = Camera(se3.from_rotation_translation(se3.so3_exp(turn), drift * time), K, HW)
    video = torch.rand(clips, 3, FRAMES, *HW, generator=generator) * 2 - 1
    return SceneBatch(video, camera)


class Perfect:
    """Knows all clips: their cameras by their first pixel, their videos by their cameras."""

    def __init__(self, batches: list[SceneBatch]) -> None:
        self.clips = {
            float(video[0, 0, 0, 0]): (video, batch.camera[index])
            for batch in batches
            for index, video in enumerate(batch.video)
        }
        self.seeds: list[int] = []

    def estimate(self, video: Tensor, *, steps: int, seeds) -> Camera:
        if steps == 1:
            self.seeds += list(seeds)
        found = [self.clips[float(clip[0, 0, 0, 0])][1] for clip in video]
        return Camera(torch.stack([c.world_from_cam for c in found]), torch.stack([c.K for c in found]), HW)

    def generate(self, video: Tensor, camera: Camera, *, seeds) -> Tensor:
        made = []
        for clip, path in zip(video, camera.world_from_cam, strict=True):
            true_path = self.clips[float(clip[0, 0, 0, 0])][1].world_from_cam
            made.append(clip + 0.01 if torch.equal(true_path, path) else clip * 0.5)
            made[-1][:, 0] = clip[:, 0]
        return torch.stack(made)

    def reconstruct_video(self, video: Tensor) -> Tensor:
        return video + 0.002

    def reconstruct_camera(self, camera: Camera) -> Camera:
        return camera


class Blind(Perfect):
    """Sees no motion."""

    def estimate(self, video: Tensor, *, steps: int, seeds) -> Camera:
        truth = super().estimate(video, steps=steps, seeds=seeds)
        return replace(truth, world_from_cam=torch.eye(4, dtype=torch.float64).expand_as(truth.world_from_cam))


class Unreadable(Perfect):
    """Gives no cameras for the first clip of each batch."""

    def estimate(self, video: Tensor, *, steps: int, seeds) -> Camera:
        truth = super().estimate(video, steps=steps, seeds=seeds)
        matrices = truth.world_from_cam.clone()
        matrices[0] = math.nan
        return replace(truth, world_from_cam=matrices)


MANY = (33, 31)  # enough for the bars


def _report(kind: type[Perfect], sizes: tuple[int, ...] = (4, 3)):
    batches = [_batch(size, seed) for seed, size in enumerate(sizes)]
    model = kind(batches)
    return evaluate_scenes(model, batches, SETTINGS, seed=10), model


def test_a_perfect_model_has_no_error_and_beats_every_baseline() -> None:
    report, model = _report(Perfect)
    row = report.rows["pose 2 steps"]
    assert float(row["rotation_error_degrees"].max()) < 1e-5
    assert float(row["translation_error"].max()) < 1e-9
    assert float(row["focal_error"].max()) < 1e-6
    torch.testing.assert_close(row["mrra_30"], torch.ones(7, dtype=torch.float64))
    assert all(
        value == pytest.approx(1.0) for value in report.correlations()["pose 2 steps"].values() if not math.isnan(value)
    )
    assert report.clips == 7
    many, _ = _report(Perfect, MANY)
    assert many.checks() and all(check.passed for check in many.checks() if "standard error" not in check.name)
    assert model.seeds == list(range(10, 17))


def test_the_identity_baseline_by_hand() -> None:
    """Turning by a degrees a frame over frames 1 to 4, the identity errs by 2.5 a on average."""
    report, _ = _report(Perfect)
    first = _batch(4, 0).camera
    per_frame = se3.geodesic(first.rotation[:, 0], first.rotation[:, 1]).rad2deg()
    torch.testing.assert_close(report.rows["identity pose"]["rotation_error_degrees"][:4], 2.5 * per_frame)


def test_a_blind_model_equals_the_identity_baseline() -> None:
    report, _ = _report(Blind, MANY)
    gain = report.gains()["rotation gain over identity"]
    assert gain.mean == pytest.approx(0.0, abs=1e-9)
    checks = {check.name: check for check in report.checks()}
    assert checks["pose rotation / identity"].value == pytest.approx(1.0)
    assert not checks["pose rotation / identity"].passed
    assert not checks["pose gain / standard error"].passed
    assert math.isnan(report.correlations()["pose 1 step"]["yaw"])


def test_video_rows_by_hand() -> None:
    """A uniform error of 0.01 in a range of 2 is 10 log10(4 / 1e-4) = 46.0 dB; the frame that was shown is left out."""
    report, _ = _report(Perfect)
    psnr = report.rows["true cameras"]["psnr"]
    assert float(psnr.mean()) == pytest.approx(46.02, abs=0.3)
    assert float(report.rows["VAE alone, video"]["psnr"].mean()) == pytest.approx(60.0, abs=0.3)
    assert float(report.rows["shuffled cameras"]["psnr"].max()) < 20
    assert float(report.rows["copied source"]["psnr"].max()) < 12
    assert float(report.rows["loop"]["psnr"].min()) > 40


def test_clips_that_cannot_be_read_count_as_the_still_camera() -> None:
    """The first clip of each batch: its errors are those of the row beside, and it is told how many were read."""
    report, _ = _report(Unreadable)
    row, still = report.rows["pose 2 steps"], report.rows["identity pose"]
    for name in ("rotation_error_degrees", "translation_error", "focal_error"):
        torch.testing.assert_close(row[name][[0, 4]], still[name][[0, 4]])
        assert float(row[name][[1, 2, 3, 5, 6]].max()) < 1e-5
    assert row["read"].tolist() == [0, 1, 1, 1, 0, 1, 1]
    summaries = {s.name: s for s in report.summaries()["pose 2 steps"]}
    assert summaries["rotation_error_degrees"].count == 7
    loop = report.rows["loop"]
    torch.testing.assert_close(loop["rotation_error_degrees_against_truth"][0], still["rotation_error_degrees"][0])


def test_depth_tells_what_frame_0_shows() -> None:
    batch = _batch(4, 0)
    batches = [replace(batch, depth=torch.full((4, FRAMES, *HW), 3.0, dtype=torch.float64))]
    report = evaluate_scenes(Perfect(batches), batches, SETTINGS)
    row = report.rows["true cameras"]
    assert float(row["psnr_seen"].mean()) == pytest.approx(46.0, abs=0.5)
    assert {"psnr_unseen", "psnr_seen, over 8 px"} <= row.keys()
    assert "first frame warped by true depth" in report.rows
    assert "psnr_seen" not in _report(Perfect)[0].rows["true cameras"]


def test_patch_means_by_hand() -> None:
    """Noise uniform in [-1, 1] has variance 1/3, of which the mean of 64 pixels takes a share of 1/64 away."""
    report, _ = _report(Perfect)
    expected = 10 * math.log10(4 / (1 / 3 * 63 / 64))
    assert float(report.rows["true patch means"]["psnr"].mean()) == pytest.approx(expected, abs=0.2)
    assert math.isinf(float(report.rows["true patch means"]["seams"].max()))


def test_distances_of_sets_by_networks_of_colours() -> None:
    """Features that are mean colours: what is off by 0.01 everywhere is 0.01 off in each of three, and of no spread."""
    batches = [_batch(4, 0), _batch(3, 1)]
    colours = Networks(
        lpips=lambda a, b: (a - b).square().mean(dim=(1, 2, 3)),
        fid=lambda images, return_features: images.double().mean(dim=(2, 3)),
    )
    report = evaluate_scenes(Perfect(batches), batches, SETTINGS, networks=colours)
    distance = report.distances["fid"]["true cameras"]
    assert distance.samples == distance.true_samples == 7 * FRAMES and distance.dimension == 3
    levels = 0.01 * 127.5 * (FRAMES - 1) / FRAMES  # frame 0 is the true one
    assert distance.distance == pytest.approx(3 * levels**2, rel=0.15)
    assert report.distances["fid"]["VAE alone"].distance < 0.3 * distance.distance
    assert float(report.rows["true cameras"]["lpips"].mean()) == pytest.approx(1e-4 * (FRAMES - 1) / FRAMES, rel=1e-3)
    assert json.loads(report.to_json())["distances"]["fid"]["loop"]["samples"] == 35 and "FID" in report.table()


def test_fvd_needs_long_clips(tmp_path) -> None:
    with pytest.raises(ValueError, match="FVD takes clips of 16 frames, this model makes clips of 9"):
        Networks.load(lpips=None, fid=None, fvd=tmp_path / "i3d.pt", frames=9)


def test_bars_need_clips() -> None:
    few, _ = _report(Perfect)
    assert few.checks() == () and "The bars need 64 clips, these are 7." in few.table()
    assert json.loads(few.to_json())["bars"] == []


def test_the_report_is_strict_json_and_a_table() -> None:
    report, _ = _report(Perfect, MANY)
    body = json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (body["format"], body["version"], body["clips"], body["hw"]) == ("raxel.scene_evaluation", 1, 64, [16, 24])
    assert body["rows"]["identity pose"]["rotation_error_degrees"]["clips"] == 64
    assert {bar["name"] for bar in body["bars"]} == {check.name for check in report.checks()}
    table = report.table()
    assert "pose 2 steps" in table
    assert "loop - copied source [dB]" in table


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(ValueError, match="no scene"):
        evaluate_scenes(Perfect([]), [], SETTINGS)
    single = [_batch(1, 0)]
    with pytest.raises(ValueError, match="at least two clips"):
        evaluate_scenes(Perfect(single), single, SETTINGS)
    with pytest.raises(ValueError, match="loop_steps must be one of the ray_steps"):
        SceneSettings(ray_steps=(1, 5), loop_steps=2)

"""Reports: what they hold, that their JSON is strict, and when a closed loop passes."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from raxel_core.evaluation import report
from raxel_core.evaluation.image_metrics import FrechetDistance
from raxel_core.geometry import se3
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.plan import make_move


def loop_inputs() -> tuple[tuple[Trajectory, Trajectory], tuple[Tensor, Tensor]]:
    """Orbits of 0.30 and 0.31 radians and a video beside the same with an offset of 0.2, its first frame kept."""
    first, second = (make_move("orbit", 5, hw=(16, 24), amount=a) for a in (0.30, 0.31))
    video = 0.5 * (2 * torch.rand(3, 5, 16, 24, generator=torch.Generator().manual_seed(0)) - 1)
    repeated = torch.cat((video[:, :1], video[:, 1:] + 0.2), dim=1)
    return (first, second), (video, repeated)


def test_a_loop_says_what_it_compares_and_takes_its_bounds_to_the_truth_where_there_is_one() -> None:
    """A model that is 0.3 radians off the same way twice agrees with itself and fails against the truth."""
    (first, second), videos = loop_inputs()
    alone = report.loop_report((first, second), videos)
    assert alone.passed and alone.truth is None
    assert "this is agreement with itself, not an error" in alone.sentence and alone.sentence.startswith(
        "Passed: rotation"
    )
    turn = torch.linspace(0.0, 0.3, len(first))
    off = se3.from_rotation_translation(se3.rotation_y(turn), torch.zeros(len(first), 3))
    wrong = [
        replace(path, camera=replace(path.camera, world_from_cam=path.camera.world_from_cam @ off))
        for path in (first, second)
    ]
    told = report.loop_report((wrong[0], wrong[1]), videos, truth=first)
    assert report.loop_report((wrong[0], wrong[1]), videos).checks[0].passed
    assert not told.passed and told.checks[0].value == pytest.approx(0.15, abs=0.01)
    assert (
        "failed" in told.sentence and "with the true ones given; agreement with itself: rotation error" in told.sentence
    )
    values = json.loads(told.to_json())
    assert values["compared_with"] == "truth" and values["truth"]["figures"]["rotation_error"] > 0.1
    rescaled = report.loop_report((first, second), videos, truth=first.scaled(7.0, unit="metre"))
    assert rescaled.truth is not None and rescaled.truth.figures["ate"] < 1e-5
    with pytest.raises(ValueError, match="one for each of the"):
        report.loop_report((first, second), videos, truth=first[:-1])


def test_a_loop_report_holds_the_figures() -> None:
    """The orbits differ by 0.01 rad at the end and linearly before: 0, 0.0025, ... 0.01, mean 0.005."""
    cameras, videos = loop_inputs()
    made = report.loop_report(cameras, videos)
    assert math.isclose(made.cameras.figures["rotation_error"], 0.005, abs_tol=1e-6)
    assert math.isclose(made.cameras.rotation_errors[-1], 0.01, abs_tol=1e-6)
    assert math.isclose(made.video.psnr, 20.0, abs_tol=1e-4) and made.video.identical_frames == 1
    assert 0 < made.video.ssim < 1 and made.video.frame_ssim[0] == pytest.approx(1.0)
    assert made.cameras.unit == "near_depth" and made.cameras.frames == made.video.frames == 5


def test_bounds_decide_pass_and_fail() -> None:
    cameras, videos = loop_inputs()
    assert report.loop_report(cameras, videos).passed
    strict = report.loop_report(cameras, videos, bounds=report.Bounds(rotation_error=0.004, psnr=19.0, ssim=0.99))
    assert [(c.name, c.passed) for c in strict.checks] == [
        ("rotation_error", False),
        ("translation_error", True),
        ("psnr", True),
        ("ssim", False),
    ]
    assert not strict.passed
    unasked = report.loop_report(cameras, videos, bounds=report.Bounds(None, None))
    assert unasked.checks == () and unasked.passed


def test_a_figure_that_does_not_exist_does_not_pass() -> None:
    assert not report.Check("psnr", math.nan, "at least", 20.0).passed
    assert not report.Check("rotation_error", math.nan, "at most", 0.1).passed
    assert report.Check("psnr", math.inf, "at least", 20.0).passed


def test_json_is_strict_and_complete() -> None:
    """A camera that stands still has no path length, and identical videos an infinite PSNR: both are null."""
    still = make_move("pan", 4, hw=(16, 24))
    video = torch.zeros(3, 4, 16, 24)
    distance = FrechetDistance(1.5, 20, 20, 8)
    made = report.loop_report((still, still), (video, video), sets={"fid": distance})
    body = json.loads(made.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert (body["format"], body["version"], body["passed"]) == ("raxel.self_consistency", 1, True)
    assert body["cameras"]["figures"]["log_scale"] is None and body["video"]["psnr"] is None
    assert body["cameras"]["figures"]["rotation_error"] == pytest.approx(0.0, abs=1e-9)
    assert body["video"]["frame_psnr"] == [None] * 4 and len(body["cameras"]["rotation_errors"]) == 4
    assert body["sets"]["fid"] == {"distance": 1.5, "samples": 20, "true_samples": 20, "dimension": 8}
    assert body["checks"][0] == {
        "name": "rotation_error",
        "value": body["cameras"]["figures"]["rotation_error"],
        "relation": "at most",
        "bound": 0.02,
        "passed": True,
    }


def test_the_text_says_units_and_results() -> None:
    cameras, videos = loop_inputs()
    text = report.loop_report(cameras, videos, bounds=report.Bounds(rotation_error=0.001)).table()
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["rotation_error"][-1] == "FAIL" and lines["translation_error"][-1] == "pass"
    assert "0.2865 degrees" in text and "at most 0.0573 degrees" in text
    assert lines["psnr"][1:] == ["20.00", "dB"] and "near_depth" in text


def test_lpips_is_reported_where_a_network_is_given() -> None:
    _, (video, repeated) = loop_inputs()
    made = report.video_report(repeated, video, lpips_network=lambda a, b: (a - b).abs().mean(dim=(1, 2, 3)))
    assert made.lpips == pytest.approx(4 * 0.2 / 5, abs=1e-6) and "lpips" in made.table()
    assert report.video_report(repeated, video).lpips is None


def test_tables_line_up() -> None:
    table = report.text_table(("name", "value"), [("a", "1.5"), ("longer", "-12.25")])
    assert table.splitlines() == ["name     value", "------  ------", "a          1.5", "longer  -12.25"]


def test_summaries_by_hand() -> None:
    """Values 1, 2, 6: mean 3, median 2, deviation sqrt(7), standard error sqrt(7 / 3); NaN is left out."""
    (summary,) = report.summarize({"ate": [1.0, 2.0, math.nan, 6.0]})
    assert (summary.count, summary.mean, summary.median) == (3, 3.0, 2.0)
    assert math.isclose(summary.standard_error, math.sqrt(7 / 3), rel_tol=1e-12)
    (empty,) = report.summarize({"ate": []})
    assert empty.count == 0 and math.isnan(empty.mean)


def test_bad_input_is_named() -> None:
    (first, second), videos = loop_inputs()
    with pytest.raises(ValueError, match="different units do not compare: near_depth and metre"):
        report.loop_report((first, second.scaled(2.0, unit="metre")), videos)
    with pytest.raises(ValueError, match=r"one video \[3, F, H, W\], got \[1, 3, 5, 16, 24\]"):
        report.video_report(videos[0][None], videos[1][None])
    with pytest.raises(ValueError, match="one path"):
        report.pose_report(first[0], second[0])

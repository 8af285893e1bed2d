"""Verify on paths whose fault is known: each is named by its word, and the true one passes."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from raxel_core.drawing.verification import verification_pictures
from raxel_core.evaluation.verification import VerifyBounds, verify
from raxel_core.geometry import se3
from raxel_core.geometry.estimate import Estimate, Footage, estimate_of
from raxel_core.paths.lens import set_fov
from raxel_core.paths.plan import make_move

FRAMES = 41
MOVES = {
    "orbit": {"amount": math.radians(30)},
    "pan": {"amount": math.radians(40)},
    "arc": {"amount": math.radians(25)},
    "crane": {"amount": 0.5},
    "truck": {"amount": 0.5, "easing": "smooth"},
}


def asked(move, **changes):
    path = make_move(move, FRAMES, hw=(480, 832), fps=16.0, **MOVES[move])
    return replace(path, camera=path.camera.to(dtype=torch.float64), **changes)


def solved(path, *, noise=0.05, scale=3.7, unit="arbitrary", seed=0):
    """`path` as a solver gives it back: from another world, at its own scale, with noise in degrees and shares."""
    random = torch.Generator().manual_seed(seed)
    reach = max(float(path.camera.center.norm(dim=-1).max()), 1e-6)
    travels = reach > 1e-5
    jitter = torch.randn(len(path), 6, generator=random, dtype=torch.float64) * math.radians(noise)
    jitter[:, 3:] *= 0.05 * reach if travels else 0.0
    noisy = path.camera.world_from_cam @ se3.exp(jitter)
    world = se3.exp(torch.tensor([0.3, -1.0, 0.5, 2.0, 1.0, -3.0], dtype=torch.float64))
    camera = replace(path.camera, world_from_cam=noisy).scaled(scale)
    return estimate_of(
        replace(path, camera=replace(camera, world_from_cam=world @ camera.world_from_cam), unit=unit), "test"
    )


def at_speed(path, speed):
    return path.sampled(torch.arange(len(path), dtype=torch.float64) * speed)


def mirrored(path):
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    return replace(path, camera=replace(path.camera, world_from_cam=flip @ path.camera.world_from_cam @ flip))


@pytest.mark.parametrize("move", MOVES)
def test_the_true_path_passes_in_any_world_and_scale(move):
    found = verify(solved(asked(move)), asked(move))
    assert found.word == "followed" and found.passed
    assert found.sentence.startswith("Passed: the video follows the path")


@pytest.mark.parametrize("move", ["orbit", "pan", "arc", "crane"])
@pytest.mark.parametrize("speed", [0.5, 0.7])
def test_a_slow_video_is_slow_and_by_how_much(move, speed):
    found = verify(solved(at_speed(asked(move), speed)), asked(move))
    assert found.word == "slow" and not found.passed
    told = next(f for f in found.findings if f.name == "speed").value
    assert told == pytest.approx(speed, rel=0.06)
    assert all(f.passed is not False for f in found.findings if f.name in ("rotation", "direction", "position"))


def test_a_straight_drive_tells_its_speed_only_where_lengths_compare():
    path = replace(
        asked("truck"), camera=make_move("truck", FRAMES, hw=(480, 832), amount=0.5).camera.to(dtype=torch.float64)
    )
    slow = at_speed(path, 0.7)
    unknown = verify(solved(slow), path)
    assert next(f for f in unknown.findings if f.name == "speed").value is None
    assert "Not told by this video: speed" in unknown.sentence
    known = verify(solved(slow, scale=1.0, unit="near_depth"), path)
    assert known.word == "slow"
    assert verify(solved(path, scale=1.0, unit="near_depth"), path).passed


@pytest.mark.parametrize("move", ["orbit", "pan", "arc", "truck"])
def test_left_for_right_is_mirrored(move):
    found = verify(solved(mirrored(asked(move))), asked(move))
    assert found.word == "mirrored"


@pytest.mark.parametrize("move", MOVES)
def test_a_still_video_is_still_and_a_still_path_takes_one(move):
    path = asked(move)
    standing = replace(
        path, camera=replace(path.camera, world_from_cam=path.camera.world_from_cam[:1].expand(FRAMES, 4, 4))
    )
    found = verify(solved(standing, noise=0.0), path)
    assert found.word == "still" and not found.passed
    assert next(f for f in found.findings if f.name == "direction").value is None  # it went nowhere
    assert verify(solved(standing, noise=0.0), standing).passed
    # As another estimator has it, whose places are noise and which says nothing of how large its noise is.
    random = torch.Generator().manual_seed(1)
    jitter = torch.randn(FRAMES, 6, generator=random, dtype=torch.float64) * torch.tensor([1e-3] * 3 + [0.02] * 3)
    shaken = replace(
        standing, camera=replace(standing.camera, world_from_cam=standing.camera.world_from_cam @ se3.exp(jitter))
    )
    assert verify(solved(shaken, noise=0.0), path).word == "still"


@pytest.mark.parametrize("move", MOVES)
def test_another_lens_is_named(move):
    found = verify(solved(set_fov(asked(move), math.radians(40.0))), asked(move))
    assert found.word == "lens"
    assert found.findings[-1].value == pytest.approx(
        math.tan(math.radians(30)) / math.tan(math.radians(20)) - 1, rel=1e-3
    )


def test_a_lens_that_the_video_does_not_tell_fails_nothing():
    given = solved(set_fov(asked("orbit"), math.radians(40.0)))
    covariance = torch.zeros(FRAMES, 7, 7, dtype=torch.float64)
    covariance[:, 6, 6] = 0.3**2
    found = verify(replace(given, covariance=covariance), asked("orbit"))
    assert found.passed and "Not told by this video: focal" in found.sentence


def test_what_a_focal_length_is_allowed_for_its_own_error_bar_is_said():
    covariance = torch.zeros(FRAMES, 7, 7, dtype=torch.float64)
    covariance[:, 6, 6] = 0.03**2
    found = verify(replace(solved(asked("orbit")), covariance=covariance), asked("orbit"))
    row = next(line for line in found.table().splitlines() if line.startswith("focal"))
    assert "at most 0.160 relative, 0.060 of it for the error bar" in row
    assert {f["name"]: f["slack"] for f in json.loads(found.to_json())["findings"] if f["slack"]} == {
        "focal": pytest.approx(0.06)
    }


def test_another_path_is_off_the_path():
    assert verify(solved(asked("crane")), asked("orbit")).word == "off_path"
    assert verify(solved(asked("pan")), asked("truck")).word == "off_path"


def test_frames_without_a_camera_and_other_rates_are_held_against_their_own_moment():
    path = asked("orbit")
    numbers = [n for n in range(FRAMES) if n not in (5, 6, 17)]
    whole = solved(path)
    cut = Estimate(
        replace(whole.trajectory, camera=whole.trajectory.camera[numbers]), "test",
        Footage("v.mp4", 0.0, 16.0, tuple(numbers)), "moving", "", missing=(5, 6, 17),
    )  # fmt: skip
    assert verify(cut, path).passed
    twice = path.resampled(2 * FRAMES - 1)
    found = verify(solved(twice), path)
    assert found.passed and found.notes[0].startswith("The video has 81 frames and the path 41 cameras")


def part_of(path, frames):
    """What is found of some frames of a video that follows `path`."""
    whole = solved(path)
    some = replace(whole.trajectory, camera=whole.trajectory.camera[list(frames)])
    return Estimate(some, "test", Footage("v.mp4", 0.0, 16.0, tuple(frames)), "moving", "")


def test_a_part_of_the_video_is_held_against_its_own_part_of_the_path():
    path = asked("orbit")
    found = verify(part_of(path, range(20, FRAMES)), path, count=FRAMES)
    assert found.passed and not found.notes
    # The path has half as many cameras as the video has frames, of which the second half was read.
    found = verify(part_of(path.resampled(81), range(40, 81)), path, count=81)
    assert found.passed and found.notes[0].startswith("The video has 81 frames and the path 41 cameras")
    # The path is of every third frame from the tenth on, and the video goes beyond it on both sides.
    found = verify(part_of(path, range(5, 37)), path[10:32:3], frames=tuple(range(10, 32, 3)))
    assert found.passed and len(found.rotation_errors) == 22 == len(found.estimate.trajectory)
    assert found.estimate.footage.frames == tuple(range(10, 32)) and "10 cameras of the video are" in found.notes[0]
    with pytest.raises(ValueError, match="got 1 on its frames 30 to 36 of the video and 4 beside them"):
        verify(part_of(path, range(26, 31)), path[30:37], frames=tuple(range(30, 37)))


def test_bounds_are_the_users():
    rough = solved(asked("orbit"), noise=1.5)
    assert verify(rough, asked("orbit"), VerifyBounds(rotation=math.radians(10), direction=1.0)).passed
    assert verify(rough, asked("orbit"), VerifyBounds(rotation=math.radians(0.5))).word == "off_path"
    with pytest.raises(ValueError, match="bounds are above 0"):
        VerifyBounds(rotation=-1.0)
    with pytest.raises(ValueError, match="have 1 between them"):
        VerifyBounds(speed=(1.1, 2.0))


def test_the_report_is_strict_json_with_a_still_camera_to_compare_with():
    found = verify(solved(asked("orbit")), asked("orbit"))
    values = json.loads(found.to_json())
    assert values["format"] == "raxel.verification" and values["passed"] is True
    assert len(values["rotation_errors"]) == FRAMES == len(values["position_errors"])
    assert values["still_figures"]["rotation_error"] > 20 * values["figures"]["rotation_error"]
    assert "figure" in found.table() and "pass" in found.table()
    torch.testing.assert_close(
        found.asked.camera.center[-1], found.estimate.trajectory.camera.center[-1], atol=0.1, rtol=0.02
    )


def test_a_video_read_at_another_rate_is_drawn_upon_in_its_own_frames():
    """Of the frames 0, 2, 4, 6 of the footage, 0, 4 and 6 have a camera: they are drawn, each its own grey."""
    path = asked("orbit")[::2][:4]
    found = Estimate(
        replace(path, camera=path.camera[[0, 2, 3]]), "test", Footage("v.mp4", 0.0, 24.0, (0, 4, 6)), "moving", ""
    )
    checked = verify(found, path)
    video = torch.tensor([0.0, 0.2, 0.4, 0.6]).reshape(1, 4, 1, 1).expand(3, 4, 48, 80)
    overlay, _, _ = verification_pictures(video, checked, (0, 2, 4, 6))
    assert overlay[:, :, 0, 0].mean(dim=0).tolist() == pytest.approx([0.0, 0.4, 0.6], abs=0.01)
    with pytest.raises(ValueError, match="none of them has a camera"):
        verification_pictures(video, checked, (1, 3, 5, 7))

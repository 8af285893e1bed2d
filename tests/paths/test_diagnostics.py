"""Diagnostics: each fault put into a good path is named, good paths of many kinds pass, and how often a hint is wrong."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.diagnostics import RAXEL_TINY_RANGE, TrainedRange, check_trajectory, meeting_point
from raxel_core.paths.plan import make_move
from raxel_core.training.scene_sets import SCENE_SETS, split_seeds
from raxel_core.training.synthetic import SCENES, SPLITS, render_scenes
from raxel_core.training.world.scenes import WORLD

HW = (480, 832)
K = K_from_fov(math.radians(60.0), HW).double()
MIXTURE = {"pan": 0.1, "easy": 0.2, "room": 0.35, "world": 0.35}  # that raxel-tiny was trained on


def path(world_from_cam, hw=HW, intrinsics=K, unit="arbitrary"):
    return Trajectory(Camera(world_from_cam, intrinsics, hw), unit=unit)


def truck(frames=81, distance=0.5):
    return make_move("truck", frames, hw=HW, amount=distance, easing="linear")


def named(trajectory, **options):
    return {finding.check for finding in check_trajectory(trajectory, **options).findings}


# ------------------------------------------------------------------------------------------------ faults by name


@pytest.mark.parametrize("move", ["static", "pan", "tilt", "roll", "dolly", "truck", "pedestal", "orbit", "arc"])
@pytest.mark.parametrize("easing", ["linear", "smooth"])
def test_the_plain_moves_pass(move, easing):
    report = check_trajectory(make_move(move, 81, hw=HW, easing=easing), trained=replace(RAXEL_TINY_RANGE, frames=81))
    assert report.passed and report.text == "passed"


def test_a_matrix_that_is_no_camera_is_an_error():
    motion = truck(9).camera.world_from_cam.clone()
    motion[3, :3, :3] *= 1.1
    report = check_trajectory(path(motion))
    assert not report.passed
    assert "frame 3" in report.text and "not orthonormal" in report.text
    motion = truck(9).camera.world_from_cam.clone()
    motion[:, 0, 0] = -1.0
    assert "mirrors" in check_trajectory(path(motion)).text
    assert "NaN" in check_trajectory(path(motion * math.nan)).text


def test_pixels_that_are_not_square_are_named_with_their_cause():
    """GEN3C's node writes fy = f * h / w: at 832 x 480 and 60 degrees 415.7 instead of 720.5."""
    wrong = K.clone()
    wrong[1, 1] = wrong[0, 0] * 480 / 832
    assert float(wrong[1, 1]) == pytest.approx(415.7, abs=0.05)
    report = check_trajectory(path(truck().camera.world_from_cam.double(), intrinsics=wrong))
    assert not report.passed
    assert "fx / fy is 1.733: the picture's aspect" in report.text
    stretched = K.clone()
    stretched[1, 1] *= 1.1
    text = check_trajectory(path(truck().camera.world_from_cam.double(), intrinsics=stretched)).text
    assert "fx / fy is 0.909." in text


def test_a_k_of_another_size_is_named_by_its_principal_point():
    """K of 1920 x 1080 for a picture of 832 x 480: its centre (960, 540) lies outside."""
    report = check_trajectory(path(truck().camera.world_from_cam, intrinsics=K_from_fov(1.0, (1080, 1920))))
    assert [finding.severity for finding in report.findings] == ["error"]
    assert "(960.0, 540.0)" in report.text and "1920 x 1080" in report.text
    shifted = K.clone()
    shifted[0, 2] += 0.06 * 832
    assert named(path(truck().camera.world_from_cam.double(), intrinsics=shifted)) == {"principal point"}


def test_a_teleport_is_named_and_a_hard_start_is_none():
    motion = truck().camera.world_from_cam.clone()
    motion[40:, 0, 3] += 0.2  # steps are 0.5 / 80
    report = check_trajectory(path(motion))
    assert "the position jumps between frames 39 to 40 by 0.206 arbitrary" in report.text
    turned = truck().camera.world_from_cam.clone()
    turned[20:, :3, :3] = se3.rotation_y(torch.tensor(math.radians(15.0)))
    assert "the rotation jumps between frames 19 to 20 by 15.0 degrees" in check_trajectory(path(turned)).text
    late = truck().camera.world_from_cam.clone()
    late[:, 0, 3] = (late[:, 0, 3] - 0.25).clamp_min(0.0)
    assert named(path(late)) == {"jerk"}


def test_a_corner_in_the_path_is_a_jerk():
    motion = torch.eye(4).repeat(81, 1, 1)
    along = torch.linspace(0.0, 1.0, 81)
    motion[:, 0, 3], motion[:, 2, 3] = along.clamp_max(0.5), (along - 0.5).clamp_min(0.0)
    report = check_trajectory(path(motion))
    assert {finding.check for finding in report.findings} == {"jerk"}
    assert "near frame 39, 40." in report.text


def test_the_number_of_frames_names_the_nearest_that_models_take():
    for frames, nearest in ((80, 81), (82, 81), (83, 85), (24, 25), (2, 1)):
        assert (
            f"{frames} frames are not 4n + 1; the nearest number is {nearest}." in check_trajectory(truck(frames)).text
        )
    assert check_trajectory(truck(81)).passed and check_trajectory(truck(1)).passed


def test_a_video_of_another_aspect_or_length_is_named():
    assert check_trajectory(truck(), video=(81, 240, 416)).passed
    assert check_trajectory(truck(), video=(1, 960, 1664)).passed
    report = check_trajectory(truck(), video=(49, 512, 512))
    assert "832 x 480" in report.text and "512 x 512" in report.text
    assert "81 frames, the video 49" in report.text


# ------------------------------------------------------------------------------------------------ the trained range


def test_more_than_the_trained_range_is_named_with_both_numbers():
    far = make_move("dolly", 9, hw=HW, amount=2.5)
    report = check_trajectory(far, trained=RAXEL_TINY_RANGE)
    assert "goes 2.50 near_depth away from its start; raxel-tiny was trained on up to 2.01" in report.text
    wide = check_trajectory(make_move("pan", 9, hw=HW, amount=1.5), trained=RAXEL_TINY_RANGE)
    assert "turns by 86 degrees; raxel-tiny was trained on up to 56" in wide.text
    long_lens = make_move("truck", 9, hw=HW, fov_degrees=20.0)
    assert (
        "20 to 20 degrees; raxel-tiny was trained on 32 to 114"
        in check_trajectory(long_lens, trained=RAXEL_TINY_RANGE).text
    )
    metres = make_move("truck", 9, hw=HW, unit="metre")
    assert (
        "in unit metre; raxel-tiny was trained on near_depth" in check_trajectory(metres, trained=RAXEL_TINY_RANGE).text
    )
    unknown = check_trajectory(far, trained=TrainedRange("the checkpoint", 9, "near_depth"))
    assert unknown.passed
    assert "does not state the range" in unknown.text


@pytest.fixture(scope="module")
def rooms():
    """The cameras of 200 clips of the training split [200, 17, 4, 4] and their near depths."""
    scenes = render_scenes(SPLITS["train"][:200], frames=17, hw=(24, 24), config=SCENES)
    return scenes.camera.world_from_cam.double(), scenes.near_depth[:, :1].double()


@pytest.mark.slow
def test_the_stated_range_is_that_of_the_training_scenes():
    """Of 200 clips of its mixture."""
    travel, turn = [], []
    for name, seeds in split_seeds(SPLITS["train"][:200], MIXTURE, batch=10):
        scenes = SCENE_SETS[name](seeds, frames=RAXEL_TINY_RANGE.frames, hw=(24, 24))
        motions, near = scenes.camera.world_from_cam.double(), scenes.near_depth[:, :1].double()
        relative = se3.relative(motions[:, :1], motions)
        travel.append((relative[..., :3, 3].norm(dim=-1) / near).amax(1))
        turn.append(se3.geodesic(relative[:, :1, :3, :3], relative[..., :3, :3]).amax(1))
    assert float(torch.cat(travel).quantile(0.99)) == pytest.approx(RAXEL_TINY_RANGE.travel, rel=0.25)
    assert float(torch.cat(turn).quantile(0.99)) == pytest.approx(RAXEL_TINY_RANGE.turn, rel=0.25)
    assert torch.tensor(WORLD.fov_degrees).deg2rad().tolist() == pytest.approx(RAXEL_TINY_RANGE.fov, abs=1e-3)


# ------------------------------------------------------------------------------------------------ world-to-camera?


def object_orbit(angle_degrees, frames=41, jitter=0.0, radius=4.0):
    """Cameras on a circle above the world's origin that look at it, as COLMAP or a renderer states them."""
    angle = torch.linspace(0.0, math.radians(angle_degrees), frames, dtype=torch.float64)
    center = radius * torch.stack((angle.sin(), torch.full_like(angle, -0.3), -angle.cos()), -1)
    z = -center / center.norm(dim=-1, keepdim=True)
    down = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).expand_as(z)
    x = torch.nn.functional.normalize(torch.linalg.cross(down, z, dim=-1), dim=-1)
    motion = se3.from_rotation_translation(torch.stack((x, torch.linalg.cross(z, x, dim=-1), z), -1), center)
    noise = torch.randn(frames, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return motion @ se3.exp(noise * jitter)


@pytest.mark.parametrize("jitter", [0.0, 0.003, 0.01])
@pytest.mark.parametrize("angle", [20, 40, 90, 360])
def test_an_orbit_read_the_wrong_way_round_is_hinted_at(angle, jitter):
    motion = object_orbit(angle, jitter=jitter)
    assert "convention" not in named(path(motion))
    report = check_trajectory(path(se3.inverse(motion)))
    assert "did you mean world-to-camera?" in report.text and not report.passed


def test_a_handheld_pan_far_from_the_origin_read_the_wrong_way_round_is_hinted_at():
    time = torch.linspace(0.0, 1.0, 49, dtype=torch.float64)
    shake = 0.01 * torch.stack([torch.sin(2 * math.pi * rate * time + rate) for rate in (3.0, 4.1, 5.3)], -1)
    rotation = se3.rotation_y(0.9 * time) @ se3.so3_exp(shake)
    center = torch.tensor([6.0, -1.5, 3.0]).double() + time[:, None] * torch.tensor([0.5, 0.0, 0.8]).double()
    motion = se3.from_rotation_translation(rotation, center)
    assert "convention" not in named(path(motion))
    assert "convention" in named(path(se3.inverse(motion)))


def test_relative_to_the_first_camera_a_screw_and_its_inverse_are_both_plausible():
    """The orbit to the right is the inverse of the orbit to the left, to rounding: no hint may be given."""
    motion = se3.relative(object_orbit(40)[:1], object_orbit(40))
    left = se3.relative(object_orbit(-40)[:1], object_orbit(-40))
    torch.testing.assert_close(se3.inverse(motion), left, atol=1e-9, rtol=0)
    assert named(path(motion)) == named(path(se3.inverse(motion))) == set()


def test_how_often_good_paths_are_doubted(rooms):
    """200 paths, relative to the first camera and in random world frames; of the latter's inverses a fifth is caught."""
    motions, _ = rooms
    relative = se3.relative(motions[:, :1], motions)
    generator = torch.Generator().manual_seed(0)
    turn, shift = torch.randn(2, 200, 3, generator=generator, dtype=torch.float64)
    world = se3.from_rotation_translation(se3.so3_exp(turn), 5.0 * shift)[:, None] @ relative
    counts = {name: 0 for name in ("relative", "world", "inverse")}
    other = 0
    for first, moved in zip(relative, world, strict=True):
        counts["relative"] += "convention" in named(path(first))
        found = named(path(moved))
        counts["world"] += "convention" in found
        other += bool(found & {"jump", "jerk"})
        counts["inverse"] += "convention" in named(path(se3.inverse(moved)))
    assert counts["relative"] == 0 and counts["world"] <= 1 and other == 0
    assert counts["inverse"] >= 30


def test_axes_that_meet():
    point, miss = meeting_point(object_orbit(60))
    torch.testing.assert_close(point, torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)
    assert float(miss) < 1e-9
    behind = object_orbit(60)
    behind[:, :3, 0], behind[:, :3, 2] = -behind[:, :3, 0], -behind[:, :3, 2]
    assert math.isinf(float(meeting_point(behind)[1]))

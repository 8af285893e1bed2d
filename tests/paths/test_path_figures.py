"""The figures of a path, against values worked by hand."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi, radians, sin

import pytest
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.path_figures import angular_jerks, jerks, pan_tilt_roll, path_figures, speeds, turn_rates
from raxel_core.paths.plan import make_move

F64 = torch.float64
HW = (480, 832)


def path(centers: torch.Tensor, rotations: torch.Tensor, *, fps: float = 10.0, fov_degrees: float = 60.0) -> Trajectory:
    camera = Camera(se3.from_rotation_translation(rotations, centers), K_from_fov(radians(fov_degrees), HW), HW)
    return Trajectory(camera, fps=fps, unit="metre")


def test_an_orbit_by_hand() -> None:
    # 30 degrees about a point 2 away in 40 steps at 16 a second: 2.5 s; chords of 2 r sin(angle / 80) each.
    angle, steps = pi / 6, 40
    found = path_figures(make_move("orbit", steps + 1, amount=angle, depth=2.0, fps=16.0))
    chord = 4 * sin(angle / steps / 2)
    assert (found.frames, found.seconds, found.fps, found.unit) == (41, 2.5, 16.0, "near_depth")
    assert found.path_length == pytest.approx(steps * chord, rel=1e-5)
    assert found.distance_to_start == pytest.approx(4 * sin(angle / 2), rel=1e-5)
    assert found.mean_speed == pytest.approx(16 * chord, rel=1e-5)
    assert found.max_speed == pytest.approx(16 * chord, rel=1e-4)
    assert found.total_rotation_degrees == pytest.approx(30, rel=1e-5)
    assert found.max_rotation_degrees == pytest.approx(30, rel=1e-5)
    assert found.mean_turn_rate_degrees == pytest.approx(12, rel=1e-5)
    assert found.max_turn_rate_degrees == pytest.approx(12, rel=1e-4)
    # To the right around the point means turning left; level, without roll.
    assert found.pan_degrees == pytest.approx((-30, 0), abs=1e-4)
    assert found.tilt_degrees == pytest.approx((0, 0), abs=1e-4)
    assert found.roll_degrees == pytest.approx((0, 0), abs=1e-4)
    assert found.fov_degrees == pytest.approx((60, 60), rel=1e-6)


def test_speed_and_jerk_of_a_cubic() -> None:
    # z = t^3 at t = 0, 0.1, ...: third differences are 6 h^3 exactly, so that the jerk is 6; the last step is
    # (0.5^3 - 0.4^3) / 0.1 = 0.61 a second.
    t = torch.arange(6, dtype=F64) / 10
    cubic = path(torch.stack((0 * t, 0 * t, t**3), dim=-1), torch.eye(3, dtype=F64))
    torch.testing.assert_close(jerks(cubic), torch.full((3,), 6.0, dtype=F64))
    found = path_figures(cubic)
    assert found.peak_jerk == pytest.approx(6, rel=1e-9)
    assert found.max_speed == pytest.approx(0.61, rel=1e-9)
    assert found.mean_speed == pytest.approx(0.25, rel=1e-9)


def test_turn_rate_and_angular_jerk_of_a_pan() -> None:
    # pan = t^3 radians: third differences 6 h^3, so 6 radians / s^3; the last step 0.61 radians a second.
    t = torch.arange(6, dtype=F64) / 10
    pan = path(torch.zeros(6, 3, dtype=F64), se3.rotation_y(t**3))
    torch.testing.assert_close(angular_jerks(pan), torch.full((3,), 6.0, dtype=F64))
    torch.testing.assert_close(turn_rates(pan)[-1], torch.tensor(0.61, dtype=F64))
    assert path_figures(pan).peak_angular_jerk_degrees == pytest.approx(6 * 180 / pi)


@pytest.mark.parametrize("move", ["dolly", "pan", "truck", "static"])
def test_rounding_of_an_even_move_is_no_jerk(move: str) -> None:
    found = path_figures(make_move(move, 121, fps=60.0))
    assert (found.peak_jerk, found.peak_angular_jerk_degrees) == (0.0, 0.0)


def test_angles_are_those_of_the_stated_order() -> None:
    pan, tilt, roll = (torch.tensor(values, dtype=F64) for values in ([0, 0.5, -1.2], [0, -0.3, 0.7], [0, 0.2, -0.4]))
    first = se3.so3_exp(torch.tensor([0.4, -1.0, 2.0], dtype=F64))  # the first camera looks anywhere
    turned = first @ se3.rotation_y(pan) @ se3.rotation_x(tilt) @ se3.rotation_z(roll)
    found = pan_tilt_roll(path(torch.zeros(3, 3, dtype=F64), turned))
    torch.testing.assert_close(found, torch.stack((pan, tilt, roll), dim=-1), rtol=0, atol=1e-12)


def test_a_full_turn_has_a_full_range_and_no_largest_angle_beyond_half() -> None:
    found = path_figures(make_move("orbit", 37, amount=2 * pi))
    assert found.pan_degrees == pytest.approx((-360, 0), abs=1e-3)
    assert found.total_rotation_degrees == pytest.approx(360, rel=1e-5)
    assert found.max_rotation_degrees == pytest.approx(180, rel=1e-5)
    assert found.distance_to_start == pytest.approx(0, abs=1e-5)


def test_a_zoom_has_a_range_of_lenses() -> None:
    K = K_from_fov(torch.tensor([radians(60), radians(40), radians(50)], dtype=F64), HW)
    found = path_figures(Trajectory(Camera(torch.eye(4, dtype=F64), K, HW)))
    assert found.fov_degrees == pytest.approx((40, 60))
    assert found.focal == pytest.approx(
        (416 / (sin(radians(30)) / cos(radians(30))), 416 / (sin(radians(20)) / cos(radians(20))))
    )


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_paths_have_no_speed_or_jerk_they_can_not_have(frames: int) -> None:
    short = make_move("dolly", frames, amount=1.0, fps=4.0)
    found = path_figures(short)
    assert found.peak_jerk == 0.0
    assert found.mean_speed == pytest.approx(0.0 if frames == 1 else 4.0 / (frames - 1))
    assert len(speeds(short)) == frames - 1


def test_the_report_tells_units_and_ranges() -> None:
    text = path_figures(make_move("pan", 9, amount=radians(20), fps=8.0, unit="metre")).text
    assert "9 frames, 1 s at 8 a second, lengths in metre" in text
    assert "mean 20, max 20 deg a second" in text
    assert "pan 0 to 20 deg  tilt 0 deg  roll 0 deg" in text
    assert "60 deg wide" in text


def test_a_path_that_is_none_is_refused() -> None:
    pan = make_move("pan", 4)
    broken = pan.camera.world_from_cam.clone()
    broken[2, 0, 3] = float("nan")
    with pytest.raises(ValueError, match="frame 2 holds NaN or infinity"):
        path_figures(replace(pan, camera=replace(pan.camera, world_from_cam=broken)))

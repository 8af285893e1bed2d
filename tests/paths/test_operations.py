"""The algebra of trajectories, against values worked by hand on straight drives, turns and circles."""

from __future__ import annotations

from dataclasses import replace
from math import atan, cos, pi, radians, sin, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from raxel_core.geometry import se3
from raxel_core.geometry.align import align
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.lens import change_intrinsics, fit_size, set_focal_mm, set_fov
from raxel_core.paths.operations import (
    blend,
    compose,
    concatenate,
    ping_pong,
    reanchor,
    retime,
    reverse,
    step_lengths,
    trim,
)
from raxel_core.paths.plan import make_move
from raxel_core.paths.smoothing import smooth

F64 = torch.float64
HW = (480, 832)


def close(a: Tensor, b: list | float | Tensor, atol: float = 1e-6) -> None:
    torch.testing.assert_close(a, torch.as_tensor(b, dtype=a.dtype), rtol=0.0, atol=atol)


def path(centers: list[list[float]], rotations: Tensor | None = None, focal: list[float] | None = None) -> Trajectory:
    """Cameras of HW at `centers`, looking along z or as `rotations` say, in float64, at 10 frames a second."""
    place = torch.tensor(centers, dtype=F64)
    K = torch.eye(3, dtype=F64).repeat(len(centers), 1, 1)
    K[:, 0, 0] = K[:, 1, 1] = torch.tensor(focal or [700.0] * len(centers), dtype=F64)
    K[:, 0, 2], K[:, 1, 2] = 416.0, 240.0
    rotation = torch.eye(3, dtype=F64) if rotations is None else rotations
    return Trajectory(Camera(se3.from_rotation_translation(rotation, place), K, HW), fps=10.0, name="hand")


def wobbly(frames: int = 41, *, seed: int = 0, size: float = 0.02) -> Trajectory:
    """An orbit that shakes."""
    generator = torch.Generator().manual_seed(seed)
    orbit = make_move("orbit", frames, fps=10.0, depth=2.0).camera.to(dtype=F64)
    shake = se3.exp(size * torch.randn(frames, 6, generator=generator, dtype=F64))
    shaken = replace(orbit, world_from_cam=orbit.world_from_cam @ shake)
    return Trajectory(shaken, fps=10.0, unit="metre", name="wobbly")


ORBIT, PAN = make_move("orbit", 9, depth=2.0), make_move("pan", 5, amount=pi / 2)
OPERATIONS = {
    "concatenate": lambda a: concatenate(a, a, overlap=3),
    "blend": lambda a: blend(a, reverse(a), start=0.0, end=1.0),
    "reverse": reverse,
    "ping_pong": ping_pong,
    "trim": lambda a: trim(a, 1, -2),
    "reanchor": lambda a: reanchor(a, -1),
    "retime": lambda a: retime(a, 17),
    "compose": lambda a: compose(a, a, amount=0.5),
    "smooth": lambda a: smooth(a, 0.2),
    "fit_size": lambda a: fit_size(a, (240, 240)),
    "set_fov": lambda a: set_fov(a, 1.0),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_an_operation_gives_valid_cameras_and_changes_nothing_else(name: str, dtype: torch.dtype) -> None:
    given = wobbly()
    given = replace(given, camera=given.camera.to(dtype=dtype))
    before = given.camera.world_from_cam.clone(), given.camera.K.clone()
    made = OPERATIONS[name](given)
    made.camera.validate()
    assert made.camera.K.dtype == made.camera.world_from_cam.dtype == dtype
    assert (made.fps, made.unit, made.name) == (10.0, "metre", "wobbly")
    assert torch.equal(given.camera.world_from_cam, before[0]) and torch.equal(given.camera.K, before[1])


def test_a_join_goes_on_from_the_last_camera_without_a_frame_shown_twice() -> None:
    # A quarter turn to the right ends looking along x; the dolly that follows drives along x.
    drive = make_move("dolly", 3, amount=2.0)
    joined = concatenate(PAN, drive)
    assert len(joined) == 5 + 3 - 1
    close(joined.camera.world_from_cam[:5], PAN.camera.world_from_cam)
    close(joined.camera.center[4:], [[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    close(joined.camera.rotation[5, :, 2], [1, 0, 0])
    twice = concatenate(PAN, drive, overlap=0)
    assert len(twice) == 8
    close(twice.camera.world_from_cam[4], twice.camera.world_from_cam[5])


def test_a_join_in_the_world_leaves_the_second_path_where_it_is() -> None:
    drive = make_move("dolly", 3, amount=2.0)
    joined = concatenate(PAN, drive, overlap=0, keep_world=True)
    assert torch.equal(joined.camera.world_from_cam[5:], drive.camera.world_from_cam)


def test_shared_frames_fade_smoothly_from_one_path_to_the_other() -> None:
    # Forward at 1 a frame, then sideways at 1 a frame from where the three shared frames begin, at z = 3. The shares
    # are 1/4, 1/2, 3/4 through 3 s^2 - 2 s^3: 5/32, 1/2, 27/32; without turning, the screw is a straight line.
    ahead = path([[0, 0, float(z)] for z in range(6)])
    aside = path([[float(x), 0, 0] for x in range(5)], focal=[800.0] * 5)
    joined = concatenate(ahead, aside, overlap=3)
    expected = [
        [0, 0, 0],
        [0, 0, 1],
        [0, 0, 2],
        [0, 0, 3],
        [0.5, 0, 3.5],
        [2 * 27 / 32, 0, 3 + 2 * 5 / 32],
        [3, 0, 3],
        [4, 0, 3],
    ]
    close(joined.camera.center, expected, atol=1e-12)
    close(joined.camera.focal[:, 0], [700, 700, 700, 700 + 100 * 5 / 32, 750, 700 + 100 * 27 / 32, 800, 800], atol=1e-9)


def test_half_of_an_orbit_is_the_orbit_of_half_the_angle() -> None:
    # An orbit is a turn about the point at `depth`, one screw, which blending by twists follows; lines would cut it.
    still = make_move("static", 9, depth=2.0)
    half = make_move("orbit", 9, depth=2.0, amount=pi / 12)
    close(
        blend(still, make_move("orbit", 9, depth=2.0, amount=pi / 6)).camera.world_from_cam, half.camera.world_from_cam
    )


def test_a_blend_runs_from_its_first_share_to_its_last() -> None:
    left, right = path([[-1.0, 0, 0]] * 5), path([[1.0, 0, 0]] * 5, focal=[900.0] * 5)
    faded = blend(left, right, start=0.0, end=1.0)
    # 3 s^2 - 2 s^3 at 0, 1/4, 1/2, 3/4, 1.
    close(faded.camera.center[:, 0], [-1, -1 + 2 * 5 / 32, 0, -1 + 2 * 27 / 32, 1], atol=1e-12)
    close(faded.camera.focal[:, 0], [700, 700 + 200 * 5 / 32, 800, 700 + 200 * 27 / 32, 900], atol=1e-9)
    quarter = blend(left, right, start=0.25, end=0.25)
    close(quarter.camera.center[:, 0], [-0.5] * 5, atol=1e-12)


def test_there_and_back() -> None:
    assert torch.equal(reverse(ORBIT).camera.world_from_cam, ORBIT.camera.world_from_cam.flip(0))
    there = ping_pong(path([[0, 0, 0], [0, 0, 1], [0, 0, 3]]))
    close(there.camera.center[:, 2], [0, 1, 3, 1, 0])
    assert len(ping_pong(ORBIT[:1])) == 1


def test_trimming_keeps_both_ends_it_names() -> None:
    line = path([[float(x), 0, 0] for x in range(6)])
    close(trim(line, 1, 3).camera.center[:, 0], [1, 2, 3])
    close(trim(line, -2).camera.center[:, 0], [4, 5])
    close(trim(line, 2, 2).camera.center[:, 0], [2])


def test_anchoring_to_the_last_camera_runs_an_orbit_from_the_other_side() -> None:
    # Seen from its end an orbit to the right by 30 degrees began 30 degrees to the left of the end.
    orbit = make_move("orbit", 5, amount=pi / 6, depth=2.0)
    close(reanchor(orbit, -1).camera.center[0], [-2 * sin(pi / 6), 0, 2 - 2 * cos(pi / 6)])
    close(reanchor(orbit, -1).camera.world_from_cam[4], torch.eye(4))


def test_retiming_an_eased_path_gives_the_even_one() -> None:
    # Each of these is one screw, so its path at constant speed is the linear move.
    for move in ("dolly", "orbit", "pan", "roll"):
        eased, even = (make_move(move, 81, easing=easing, depth=2.0) for easing in ("smooth", "linear"))
        close(
            retime(eased, 33, depth=2.0).camera.world_from_cam,
            make_move(move, 33, depth=2.0).camera.world_from_cam,
            atol=2e-5,
        )
        kept = retime(eased, 161, speed="kept", fps=48.0)
        close(kept.camera.world_from_cam[::2], eased.camera.world_from_cam)
        assert kept.fps == 48.0
        close(retime(even, 81).camera.world_from_cam, even.camera.world_from_cam, atol=1e-5)


def test_turning_and_driving_share_the_time_by_the_depth() -> None:
    # Drive by 3, then turn by one radian. With the subject at depth 1 the turn counts as 1, so that of 5 frames the
    # driving has 4 - 1 steps; at depth 3 both count the same.
    rotations = torch.stack(
        (torch.eye(3, dtype=F64), torch.eye(3, dtype=F64), se3.rotation_y(torch.tensor(1.0, dtype=F64)))
    )
    corner = path([[0, 0, 0], [0, 0, 3], [0, 0, 3]], rotations)
    close(step_lengths(corner), [3, 1], atol=1e-12)
    near, far = retime(corner, 5), retime(corner, 5, depth=3.0)
    close(near.camera.center[:, 2], [0, 1, 2, 3, 3], atol=1e-12)
    close(far.camera.center[:, 2], [0, 1.5, 3, 3, 3], atol=1e-12)
    close(far.camera.rotation[3], se3.rotation_y(torch.tensor(0.5, dtype=F64)), atol=1e-12)


def test_a_zoom_counts_as_motion_and_a_still_camera_stays_still() -> None:
    # From f to f e the picture grows as on a drive by one depth in all.
    zoom = path([[0, 0, 0]] * 3, focal=[100.0, 100.0, 100.0 * 2.718281828459045])
    close(step_lengths(zoom, depth=2.0), [0, 2], atol=1e-12)
    close(retime(zoom, 3).camera.focal[:, 0], [100, 50 + 50 * 2.718281828459045, 100 * 2.718281828459045], atol=1e-9)
    still = retime(path([[1.0, 2, 3]] * 4), 7)
    close(still.camera.center, [[1, 2, 3]] * 7, atol=1e-12)


@pytest.mark.parametrize("move", ["dolly", "pan", "orbit", "roll"])
def test_smoothing_leaves_a_motion_of_constant_twist_as_it_is(move: str) -> None:
    given = make_move(move, 33, depth=2.0)
    given = replace(given, camera=given.camera.to(dtype=F64))
    close(smooth(given, 0.5).camera.world_from_cam, given.camera.world_from_cam, atol=2e-7)


def test_smoothing_keeps_the_ends_and_takes_the_shake_out() -> None:
    shaken, clean = wobbly(81), make_move("orbit", 81, depth=2.0).camera.to(dtype=F64)
    smoothed = smooth(shaken, 0.5)
    for end in (0, -1):
        close(smoothed.camera.world_from_cam[end], shaken.camera.world_from_cam[end], atol=1e-9)

    def shake(camera: Camera) -> Tensor:
        """RMS of the second difference of centre and orientation: what the eye sees as shake."""
        turn = se3.so3_log(camera.rotation[:-1].mT @ camera.rotation[1:])
        return torch.stack([part.square().mean().sqrt() for part in (camera.center.diff(n=2, dim=0), turn.diff(dim=0))])

    assert bool((shake(smoothed.camera) < 0.1 * shake(shaken.camera)).all())
    # White noise of 0.02 an axis through a Gaussian of 5 frames shrinks by (2 sqrt(pi) 5)^-1/2 = 0.24; the residual in
    # the middle is that, three axes together.
    middle = slice(20, 61)
    residual = (smoothed.camera.center - clean.center)[middle].square().sum(-1).mean().sqrt()
    assert 0.4 < float(residual) / (0.02 * sqrt(3) * (2 * sqrt(pi) * 5) ** -0.5) < 1.6


def test_a_smoothed_bump_is_the_gaussians_own() -> None:
    # Without turning, the mean is the plain one: a bump of 1 in the middle becomes the Gaussian's weights, cut at three
    # sigma. sigma = 0.1 s at 10 frames a second = 1 frame: e^0, e^-1/2, e^-2, e^-9/2 over their sum.
    bump = path([[0, 0, 0]] * 10 + [[0, 1.0, 0]] + [[0, 0, 0]] * 10, focal=[700.0] * 10 + [1400.0] + [700.0] * 10)
    weights = np.exp([-4.5, -2.0, -0.5, 0.0, -0.5, -2.0, -4.5])
    weights = torch.from_numpy(weights / weights.sum())
    smoothed = smooth(bump, 0.1)
    close(smoothed.camera.center[7:14, 1], weights, atol=1e-9)
    close(smoothed.camera.focal[7:14, 0], 700 * 2**weights, atol=1e-9)
    assert smooth(bump, 0.0) is bump


def test_a_long_gaussian_is_one_gaussian() -> None:
    # sigma = 2.4 s at 10 frames a second = 24 frames, more than one pass takes. Where nothing turns, the result is the
    # weighed sum itself; where it turns, the fixed point over the whole window, which passes miss by little.
    bump = path([[0, 0, 0]] * 100 + [[0, 1.0, 0]] + [[0, 0, 0]] * 100)
    weights = torch.exp(-0.5 * (torch.arange(-72, 73, dtype=F64) / 24) ** 2)
    weights = weights / weights.sum()
    close(smooth(bump, 2.4).camera.center[28:173, 1], weights, atol=2e-4)
    given = wobbly(101).camera.world_from_cam
    before = given[0] @ torch.linalg.inv(given[1:73].flip(0)) @ given[0]
    after = given[-1] @ torch.linalg.inv(given[-73:-1].flip(0)) @ given[-1]
    windows = torch.cat((before, given, after)).unfold(0, 145, 1).movedim(-1, 1)  # [F, 145, 4, 4]
    mean = given
    for _ in range(12):
        twists = se3.log(torch.linalg.inv(mean)[:, None] @ windows)
        mean = mean @ se3.exp((weights[:, None] * twists).sum(1))
    found = smooth(wobbly(101), 2.4).camera.world_from_cam
    moved = (found - given)[:, :3, 3].norm(dim=-1).max()
    assert float((found - mean)[:, :3, 3].norm(dim=-1).max() / moved) < 0.005
    assert float(se3.log(se3.relative(found, mean))[:, :3].norm(dim=-1).max()) < 0.001


def test_the_work_of_smoothing_grows_with_the_frames_alone() -> None:
    # A step of work is one neighbour of every frame: five times the frames over five times the time are smoothed in
    # little more of them.
    def steps(frames: int) -> int:
        done: list[int] = []
        smooth(wobbly(frames, size=0.001), frames / 20.0, progress=lambda step, total: done.append(step))
        return len(done)

    assert steps(1000) < 2 * steps(200)


def test_a_layer_moves_each_camera_in_its_own_frame() -> None:
    # The path looks along x after a quarter turn; a layer that goes up and forward goes up and along x there.
    turned = path([[float(x), 0, 0] for x in range(3)], se3.rotation_y(torch.full((3,), pi / 2, dtype=F64)))
    layer = path([[5, 0, 0], [5, -1, 0], [5, 0, 2]], focal=[100.0, 110.0, 150.0])
    made = compose(turned, layer)
    close(made.camera.center, [[0, 0, 0], [1, -1, 0], [4, 0, 0]], atol=1e-12)
    close(made.camera.focal[:, 0], [700, 770, 1050], atol=1e-9)
    half = compose(turned, layer, amount=0.5)
    close(half.camera.center[1], [1, -0.5, 0], atol=1e-12)
    close(half.camera.focal[2, 0], 700 * sqrt(1.5), atol=1e-9)
    close(compose(turned, turned, amount=0.0).camera.world_from_cam, turned.camera.world_from_cam, atol=1e-12)


def test_a_whole_layer_turns_as_far_as_it_likes_and_is_undone_by_its_opposite() -> None:
    composed = compose(STILL, FULL_ORBIT)
    close(composed.camera.world_from_cam, FULL_ORBIT.camera.world_from_cam, atol=2e-6)
    # An orbit's motions share one axis, so that the same layer the other way takes each of them back.
    close(compose(composed, FULL_ORBIT, amount=-1.0).camera.world_from_cam, STILL.camera.world_from_cam, atol=2e-6)


def test_a_layer_is_read_by_the_clock() -> None:
    # The path has frames at 0, 0.1, 0.2 s; a layer at 5 a second has its frames at 0, 0.2, 0.4 s.
    still, layer = path([[0, 0, 0]] * 3), replace(path([[0, 0, 0], [4.0, 0, 0], [9.0, 0, 0]]), fps=5.0)
    close(compose(still, layer).camera.center[:, 0], [0, 2, 4], atol=1e-12)
    with pytest.raises(ValueError, match=r"a layer lasts as long as the path, 0\.2 seconds, got one of 0\.1"):
        compose(still, replace(layer, fps=20.0))


def test_a_wider_picture_is_cropped_padded_or_stretched() -> None:
    # 832x480 into 480x480, f = 700, principal point in the middle. Crop: the height fits, f stays. Pad: the width
    # fits, f shrinks by 480/832. Stretch: only fx shrinks.
    line = path([[0, 0, 0]])
    shrunk = 700 * 480 / 832
    for fit, focal in (("crop", [700, 700]), ("pad", [shrunk, shrunk]), ("stretch", [shrunk, 700])):
        camera = fit_size(line, (480, 480), fit).camera
        close(camera.focal[0], focal, atol=1e-9)
        close(camera.principal_point[0], [240, 240], atol=1e-9)
        assert camera.hw == (480, 480)
    # A principal point 16 px right of the middle stays 16 px (crop) or 16 * 480/832 px (pad) right of it.
    shifted = line.camera.K.clone()
    shifted[:, 0, 2] += 16
    shifted_line = replace(line, camera=replace(line.camera, K=shifted))
    close(fit_size(shifted_line, (480, 480), "crop").camera.principal_point[0, 0], 256.0)
    close(fit_size(shifted_line, (480, 480), "pad").camera.principal_point[0, 0], 240 + 16 * 480 / 832)
    same = [fit_size(shifted_line, (240, 416), fit).camera.K for fit in ("crop", "pad", "stretch")]
    close(same[0], same[1], atol=1e-9)
    close(same[0], same[2], atol=1e-9)


def test_a_new_lens_is_the_one_asked_for_and_keeps_a_zoom() -> None:
    zoom = path([[0, 0, 0]] * 2, focal=[700.0, 1400.0])
    for fov_degrees in (20.0, 90.0, 120.0):
        made = set_fov(zoom, radians(fov_degrees)).camera
        close(made.fov[0, 0].rad2deg(), fov_degrees, atol=1e-9)
        close(made.focal[1] / made.focal[0], [2, 2], atol=1e-12)
    off_centre = zoom.camera.K.clone()
    off_centre[:, 0, 2] = 200
    made = set_fov(replace(zoom, camera=replace(zoom.camera, K=off_centre)), radians(100)).camera
    close(made.fov[0, 0].rad2deg(), 100.0, atol=1e-9)
    # 50 mm on 36 mm wide film: 2 atan(18 / 50) = 39.6 degrees.
    normal = set_focal_mm(zoom, 50.0).camera
    close(normal.fov[0, 0], 2 * atan(18 / 50), atol=1e-9)
    close(normal.focal[:, 1], [832 * 50 / 36, 2 * 832 * 50 / 36], atol=1e-9)


def test_size_and_lens_change_together() -> None:
    # The lens holds in the new picture: 60 degrees over 480 pixels, after the sides were cut off.
    made = change_intrinsics(path([[0, 0, 0]]), (480, 480), "crop", fov=radians(60)).camera
    close(made.focal[0], [240 * sqrt(3)] * 2, atol=1e-9)
    close(made.principal_point[0], [240, 240], atol=1e-12)
    given = path([[0, 0, 0]])
    assert change_intrinsics(given) is given


@pytest.mark.parametrize("mode", ["se3", "sim3"])
def test_alignment_agrees_with_evo(mode: str) -> None:
    trajectory = pytest.importorskip("evo.core.trajectory", reason="evo is not installed")
    reference = wobbly(30, seed=1)
    moved = (
        se3.exp(torch.tensor([0.3, -0.2, 0.9, 1.0, 2.0, -3.0], dtype=F64)) @ wobbly(30, seed=2).camera.world_from_cam
    )
    estimate = replace(reference, camera=replace(reference.camera, world_from_cam=moved)).scaled(2.5)
    ours = align(estimate, reference, mode)
    theirs, target = (
        trajectory.PosePath3D(poses_se3=list(given.camera.world_from_cam.numpy())) for given in (estimate, reference)
    )
    theirs.align(target, correct_scale=mode == "sim3")
    close(ours.camera.world_from_cam, torch.from_numpy(np.stack(theirs.poses_se3)), atol=1e-9)


LINE, METRES = path([[float(x), 0, 0] for x in range(6)]), replace(path([[0, 0, 0]] * 6), unit="metre")
STILL, FULL_ORBIT = make_move("static", 9), make_move("orbit", 9, amount=2 * pi)
SMALL = fit_size(LINE, (480, 480))


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        (lambda: concatenate(LINE, METRES), "paths to join have one unit, got near_depth and metre: scale one of them"),
        (lambda: blend(LINE, SMALL), "paths to blend are for pictures of one size, got 832x480 and 480x480"),
        (lambda: compose(LINE, METRES), "paths to lay over each other have one unit, got near_depth and metre"),
        (lambda: concatenate(LINE, replace(LINE, fps=12.0)), "played at one rate, got 10 and 12 frames a second"),
        (lambda: concatenate(LINE, LINE[:2], overlap=3), "the paths can share 0 to 2 frames, got 3"),
        (
            lambda: blend(LINE, LINE[:2]),
            "paths to blend have the same number of frames, got 6 and 2: retime one of them",
        ),
        (lambda: blend(LINE, LINE, end=1.5), r"a share of the second path lies between 0 and 1, got 1\.5"),
        (
            lambda: blend(STILL, FULL_ORBIT),
            "a turn by 180 degrees between cameras that are mixed: beyond 135 degrees it is not clear",
        ),
        (lambda: compose(STILL, FULL_ORBIT, amount=0.5), "a turn by 180 degrees seen from the layer's first camera"),
        (lambda: trim(LINE, 2, 1), "the last frame kept comes after the first, got 2 to 1"),
        (lambda: trim(LINE, 6), r"the path has the frames 0 to 5 \(-1 is the last\), got 6"),
        (lambda: reanchor(LINE, -7), r"the path has the frames 0 to 5 \(-1 is the last\), got -7"),
        (lambda: retime(LINE, 0), "at least one frame, got 0"),
        (lambda: retime(LINE, 5, speed="fast"), "a speed is one of constant, kept, got 'fast'"),
        (lambda: retime(LINE, 5, fps=0.0), r"fps is a positive number, got 0\.0"),
        (lambda: retime(LINE, 5, depth=0.0), r"a depth is a positive number, got 0\.0"),
        (lambda: compose(LINE, LINE, amount=float("nan")), "an amount is a finite number, got nan"),
        (lambda: smooth(LINE, -1.0), r"a standard deviation in time is not negative, got -1\.0"),
        (lambda: fit_size(LINE, (480, 480), "squeeze"), "a fit is one of crop, pad, stretch, got 'squeeze'"),
        (lambda: set_fov(LINE, 3.2), r"between 0 and pi radians, got 3\.2"),
        (lambda: change_intrinsics(LINE, fov=1.0, focal_mm=50.0), "or by its focal length, got both"),
        (lambda: set_focal_mm(LINE, 0.0), r"a focal length in millimetres is a positive number, got 0\.0"),
        (lambda: LINE.sampled(torch.tensor([5.5])), r"positions on a path of 6 frames lie in 0 to 5, got \[5\.5\]"),
    ],
)
def test_what_does_not_fit_is_named(operation, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        operation()


def test_a_path_that_turns_wildly_is_not_smoothed() -> None:
    # Nearly half turns about axes that change from frame to frame.
    generator = torch.Generator().manual_seed(3)
    axis = torch.nn.functional.normalize(torch.randn(21, 3, generator=generator, dtype=F64), dim=-1)
    wild = path([[0, 0, 0]] * 21, se3.so3_exp(3.0 * axis))
    with pytest.raises(
        ValueError, match=r"turns by more than 135 degrees within the time that frame \d+ is averaged over"
    ):
        smooth(wild, 1.0)


def test_operations_agree_on_a_zoom_in_K() -> None:
    # K made by fov, as the builder makes it: half way between 60 and 30 degrees in K, not in degrees.
    K = K_from_fov(torch.tensor([radians(60), radians(30)], dtype=F64), HW)
    zoom = Trajectory(Camera(torch.eye(4, dtype=F64), K, HW), fps=10.0)
    close(zoom.sampled(torch.tensor([0.5])).camera.K[0], K.mean(0), atol=1e-9)

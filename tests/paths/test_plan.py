"""Planned paths: keys, layers, lens, lock, loop and shake by hand and by independent means; the golden file; refusals."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from math import pi, radians
from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline
from torch import Tensor

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.se3 import look_rotation
from raxel_core.paths.camera_path import path_from_json, path_to_json
from raxel_core.paths.easing import EASINGS
from raxel_core.paths.keyframes import ChannelEasing, Keyframe
from raxel_core.paths.moves import MOVES
from raxel_core.paths.plan import CameraPlan, PlannedMove
from tests.camera_path_cases import (
    CASES,
    GOLDEN,
    KEYS,
    PLANS,
    REFUSED,
    cut,
    document,
    golden,
    plan_values,
    plans_of,
    shot,
    written,
)

F64 = torch.float64
HW = (480, 832)
TIMES = [0.0, 0.25, 0.4, 1.0]


def close(a: Tensor, b: Any, atol: float = 1e-9) -> None:
    torch.testing.assert_close(a, torch.as_tensor(b, dtype=a.dtype), rtol=0.0, atol=atol)


def build(values: dict[str, Any] | CameraPlan, frames: int = 81, *, fps: float = 16.0) -> Camera:
    plan = values if isinstance(values, CameraPlan) else CameraPlan.from_values(values)
    return plan.build(frames, hw=HW, fps=fps, dtype=F64).camera


def path_of(places: list[list[float]], times: list[float] = TIMES, **fields: Any) -> dict[str, Any]:
    """A plan of keys at `places`."""
    return {"keys": [{"time": t, "position": place, **fields} for t, place in zip(times, places, strict=True)]}


PLACES = [[0.0, 0.0, 0.0], [1.0, -0.5, 0.3], [1.5, 0.5, 0.0], [0.2, 0.1, 2.0]]


# ---- keys


def test_positions_are_the_hermite_spline_of_parabola_tangents() -> None:
    # numpy's gradient over uneven times is the three-point difference, one-sided at the ends; scipy's spline is a peer.
    expected = CubicHermiteSpline(TIMES, PLACES, np.gradient(np.array(PLACES), TIMES, axis=0))
    close(build(path_of(PLACES)).center, expected(np.linspace(0, 1, 81)), atol=1e-12)


def test_a_key_by_hand() -> None:
    # x is 0, 1, 2 at 0, 1/4, 1: mean speeds 4 and 4/3, in the middle (4 * 3/4 + 4/3 * 1/4) / 1 = 10/3. Halfway through
    # the first segment the cubic is the mean of its ends plus a span of 1/4 over 8 times (4 - 10/3).
    camera = build(path_of([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [0.0, 0.25, 1.0]), 9)
    close(camera.center[:3, 0], [0.0, 0.5 + 0.25 / 8 * (4 - 10 / 3), 1.0])


def test_turns_about_one_axis_run_as_positions_do() -> None:
    # On one axis slerp adds angles, and de Casteljau's construction is the cubic of the position channel.
    angles = [0.0, 70.0, 40.0, 160.0]
    turning = path_of(PLACES)
    for entry, angle in zip(turning["keys"], angles, strict=True):
        entry["rotation_degrees"] = [angle, 0, 0]
    pan = se3.so3_log(build(turning).rotation)[:, 1]
    moving = build(path_of([[angle, 0, 0] for angle in angles])).center[:, 0]
    close(torch.rad2deg(pan), moving)


@pytest.mark.parametrize(
    ("angles", "forward", "right"),
    [
        ([90, 0, 0], [1, 0, 0], [0, 0, -1]),  # panned to the right: looks along x, its right is towards us
        ([0, 90, 0], [0, -1, 0], [1, 0, 0]),  # tilted up
        ([0, 0, 90], [0, 0, 1], [0, 1, 0]),  # rolled clockwise: its right is down
        ([90, 0, 90], [1, 0, 0], [0, 1, 0]),  # panned first, then rolled about the new line of sight
        ([90, 45, 0], [0.5**0.5, -(0.5**0.5), 0], [0, 0, -1]),
    ],
)
def test_rotations_by_hand(angles: list[float], forward: list[float], right: list[float]) -> None:
    rotation = Keyframe(0.0, (0.0, 0.0, 0.0), rotation_degrees=tuple(angles)).rotation
    close(rotation[:, 2], forward)
    close(rotation[:, 0], right)


def test_a_key_that_looks_at_a_point() -> None:
    level = Keyframe(0.0, (1.0, 0.0, 0.0), look_at=(1.0, 3.0, 4.0)).rotation
    close(level[:, 2], [0.0, 0.6, 0.8])
    close(level[:, 0], [1.0, 0.0, 0.0])
    rolled = Keyframe(0.0, (1.0, 0.0, 0.0), look_at=(1.0, 3.0, 4.0), roll_degrees=90.0).rotation
    close(rolled[:, 0], level[:, 1])  # a quarter turn clockwise: right has become down
    # Straight down every x axis is level: the world's is taken, and the picture's top is ahead (z).
    close(Keyframe(0.0, (0.0, -5.0, 0.0), look_at=(0.0, 0.0, 0.0)).rotation[:, 1], [0.0, 0.0, -1.0])


def test_look_rotation_over_axes() -> None:
    forward = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    rotation = look_rotation(forward)
    close(rotation[..., 2] * forward.norm(dim=-1, keepdim=True), forward)
    close(rotation.mT @ rotation, torch.eye(3, dtype=F64).expand(2, 3, 3, 3))
    close(rotation[..., 1, 0], torch.zeros(2, 3))
    assert bool((rotation[..., 1, 1] > 0.0).all())  # the picture's down is the world's


def test_the_lens_runs_on_the_keys_that_have_one() -> None:
    # Focal lengths of a ratio of four: halfway in time, at constant rate, twice the first one.
    wide = 2 * np.degrees(np.arctan(2 * np.tan(radians(20))))
    wider = 2 * np.degrees(np.arctan(4 * np.tan(radians(20))))
    keys = path_of(PLACES)["keys"]
    keys[0]["fov_degrees"], keys[3]["fov_degrees"] = wider, 40.0
    focal = build({"keys": keys, "fov_degrees": 20}, 3).focal[:, 0]
    close(torch.rad2deg(2 * torch.atan(416 / focal)), [wider, wide, 40.0])
    only = build({"keys": [{**keys[1], "fov_degrees": 33}, *keys[2:3]]}, 3)
    close(torch.rad2deg(only.fov[:, 0]), [33.0] * 3)
    close(torch.rad2deg(build({**path_of(PLACES), "fov_degrees": 20}, 3).fov[:, 0]), [20.0] * 3)


def velocities(values: dict[str, Any], frames: int = 4001) -> tuple[Tensor, Tensor, Tensor]:
    """Velocity, angular velocity (in the camera's frame) and speed of log focal between frames, per share of clip."""
    camera = build(values, frames)
    steps = frames - 1
    angular = se3.so3_log(camera.rotation[:-1].mT @ camera.rotation[1:])
    return camera.center.diff(dim=0) * steps, angular * steps, camera.focal[:, :1].log().diff(dim=0) * steps


def largest_jump(velocity: Tensor, *, closed: bool = False) -> float:
    """The largest change of velocity between neighbouring steps, as a share of the largest speed."""
    change = velocity.diff(dim=0, append=velocity[:1] if closed else velocity[-1:])
    return float(change.norm(dim=-1).max() / velocity.norm(dim=-1).max())


KEYS_WITH_LENS = [{**entry, "fov_degrees": fov} for entry, fov in zip(KEYS, (60, 40, 35, 80), strict=True)]
SMOOTH_ENOUGH = 0.01


@pytest.mark.parametrize("easings", list(itertools.product(["linear", "smooth", "ease_in", "ease_out"], repeat=3)))
def test_velocity_is_continuous_across_keys(easings: tuple[str, ...]) -> None:
    # A step is 1/4000 of the clip: a velocity that is continuous changes by a hundredth of the largest speed from one
    # step to the next, one that jumps by tenths of it.
    keys = [{**entry, "easing": easing} for entry, easing in zip(KEYS_WITH_LENS, (*easings, "linear"), strict=True)]
    for velocity in velocities({"keys": keys}):
        assert largest_jump(velocity) < SMOOTH_ENOUGH


def test_the_measure_of_continuity_sees_a_corner() -> None:
    # Straight lines at even speed, which "hold" between joined pairs of keys cannot smooth: the speed jumps by all.
    keys = [{**entry, "easing": "hold" if number == 1 else "linear"} for number, entry in enumerate(KEYS_WITH_LENS)]
    assert all(largest_jump(velocity) > 0.5 for velocity in velocities({"keys": keys}))


def test_a_path_inside_the_clip_rests_outside_without_a_jerk() -> None:
    times = [0.2, 0.3, 0.6, 0.8]
    keys = [{**entry, "time": time} for entry, time in zip(KEYS_WITH_LENS, times, strict=True)]
    for velocity in velocities({"keys": keys}):
        assert largest_jump(velocity) < SMOOTH_ENOUGH
        assert float(velocity[:799].abs().max()) == 0.0 == float(velocity[3201:].abs().max())


def test_a_closed_path_has_no_seam() -> None:
    for velocity in velocities({"keys": KEYS_WITH_LENS[:3], "loop": True}):
        assert largest_jump(velocity, closed=True) < SMOOTH_ENOUGH


def test_easings_leave_the_path_where_it_is() -> None:
    # Every place of the eased path lies on the linear one, which is sampled finely.
    linear = build({"keys": KEYS}, 4001).world_from_cam
    for easing in ("smooth", "ease_in", "ease_out"):
        eased = build({"keys": [{**entry, "easing": easing} for entry in KEYS]}, 41).world_from_cam
        distance = (eased[:, None] - linear[None]).flatten(2).norm(dim=-1).min(dim=1).values
        assert float(distance.max()) < 2e-3


def test_easing_is_per_channel_and_hold_stays() -> None:
    easing = {"position": "hold", "lens": "smooth"}
    keys = [
        {"time": 0, "position": [0, 0, 0], "fov_degrees": 60, "easing": easing},
        {"time": 1, "position": [1, 0, 0], "rotation_degrees": [80, 0, 0], "fov_degrees": 30},
    ]
    camera = build({"keys": keys}, 5)
    close(camera.center[:, 0], [0, 0, 0, 0, 1])
    close(torch.rad2deg(se3.so3_log(camera.rotation)[:, 1]), [0, 20, 40, 60, 80])
    log_focal = camera.focal[:, 0].log()
    close((log_focal - log_focal[0]) / (log_focal[-1] - log_focal[0]), [0, 10 / 64, 0.5, 54 / 64, 1])


def test_half_a_turn_goes_right_up_or_clockwise() -> None:
    for axis in range(3):
        angles = [0.0, 0.0, 0.0]
        angles[axis] = 180.0
        keys = [{"time": 0, "position": [0, 0, 0]}, {"time": 1, "position": [0, 0, 0], "rotation_degrees": angles}]
        turn = se3.so3_log(build({"keys": keys}, 3).rotation[1])
        close(turn[(1, 0, 2)[axis]], pi / 2)


# ---- layers, lock, loop


def test_layers_stack_in_their_order() -> None:
    # A pan of 90 degrees, then a dolly of 1 along the new line of sight, which is x; the other way round it is z.
    pan, dolly = {"move": "pan", "amount_degrees": 90}, {"move": "dolly", "amount": 1}
    close(build({"moves": [pan, dolly]}, 3).center[-1], [1, 0, 0])
    close(build({"moves": [dolly, pan]}, 3).center[-1], [0, 0, 1])
    key = {"time": 0, "position": [5, 0, 0], "rotation_degrees": [90, 0, 0]}
    close(build({"keys": [key], "moves": [dolly]}, 3).center, [[5, 0, 0], [5.5, 0, 0], [6, 0, 0]])


def test_a_window_by_hand() -> None:
    # From 1/4 to 3/4 of the clip, linearly: at 1/2 half of it is done.
    center = build({"moves": [{"move": "truck", "amount": 1, "start": 0.25, "end": 0.75}]}, 9).center[:, 0]
    close(center, [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1])


@pytest.mark.parametrize("plan", [{"keys": KEYS}, {"moves": [{"move": "boom"}, {"move": "truck", "amount": 3}]}])
@pytest.mark.parametrize("loop", [False, True])
def test_the_lock_keeps_the_point_in_the_middle(plan: dict[str, Any], loop: bool) -> None:
    plan = {**plan, "keys": plan["keys"][: 3 if loop else 4]} if "keys" in plan else plan
    point = [0.3, -0.4, 2.5]
    locked, free = build({**plan, "look_at": point, "loop": loop}), build({**plan, "loop": loop})
    seen = (locked.cam_from_world @ torch.tensor([*point, 1.0], dtype=F64))[:, :3]
    pixels = (locked.K @ seen[..., None]).squeeze(-1)
    close(pixels[:, :2] / pixels[:, 2:], locked.principal_point, atol=1e-6)
    assert bool((seen[:, 2] > 0.0).all())
    close(locked.center, free.center)
    close(locked.rotation[:, 1, 0], torch.zeros(81))


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("easing", EASINGS)
def test_every_move_loops(name: str, easing: str) -> None:
    for fields in ({}, {"start": 0.2, "end": 0.7}):
        if name == "handheld":
            fields = {}
        elif MOVES[name].angular and name != "arc":
            fields = {**fields, "amount_degrees": 500.0}
        move = PlannedMove(name, easing="linear" if name == "handheld" else easing, **fields)
        camera = build(CameraPlan(moves=(move,), loop=True), 33)
        close(camera.world_from_cam[-1], camera.world_from_cam[0], atol=1e-6)
        close(camera.K[-1], camera.K[0], atol=1e-6)


@pytest.mark.parametrize("name", ["pan", "tilt", "roll", "orbit", "boom", "figure_8"])
def test_moves_that_close_by_themselves_go_on_instead_of_back(name: str) -> None:
    fields = {} if name == "figure_8" else {"amount_degrees": -720.0}
    move = PlannedMove(name, **fields)
    looped, once = (build(CameraPlan(moves=(move,), loop=loop), 33) for loop in (True, False))
    close(looped.world_from_cam, once.world_from_cam)
    close(once.world_from_cam[-1], once.world_from_cam[0])


def test_moves_that_do_not_close_go_there_and_back() -> None:
    camera = build({"moves": [{"move": "orbit", "amount_degrees": 90}], "loop": True}, 9)
    close(camera.world_from_cam, camera.world_from_cam.flip(0))
    close(camera.center[4], [1, 0, 1])


@pytest.mark.parametrize("case", [name for name, path in CASES.items() if path.get("plan", {}).get("loop")])
def test_the_loops_of_the_golden_file_close(case: str) -> None:
    frames = golden_file()["cases"][case]["frames"]
    close(torch.tensor(frames[-1]["world_from_cam"]), frames[0]["world_from_cam"], atol=1e-6)
    close(torch.tensor(frames[-1]["K"]), frames[0]["K"], atol=1e-6)


# ---- handles, speed and shots


def bezier(points: list[list[float]], share: float) -> Tensor:
    """De Casteljau: means of means."""
    level = torch.tensor(points, dtype=F64)
    while len(level) > 1:
        level = (1.0 - share) * level[:-1] + share * level[1:]
    return level[0]


def test_handles_are_control_points_of_bezier_curves() -> None:
    out, into = [0.5, -1.0, 0.0], [0.0, 0.4, -0.7]
    keys = [
        {"time": 0, "position": PLACES[0], "handle_out": out},
        {"time": 1, "position": PLACES[1], "handle_in": into},
    ]
    points = [PLACES[0], out, [b + h for b, h in zip(PLACES[1], into, strict=True)], PLACES[1]]
    center = build({"keys": keys}, 9).center
    close(center, torch.stack([bezier(points, frame / 8) for frame in range(9)]), atol=1e-12)


def test_the_automatic_tangents_are_handles_of_a_third_of_velocity_times_span() -> None:
    velocities = np.gradient(np.array(PLACES), TIMES, axis=0)
    keys = path_of(PLACES)["keys"]
    for number, key in enumerate(keys):
        if number:
            key["handle_in"] = (-velocities[number] * (TIMES[number] - TIMES[number - 1]) / 3).tolist()
        if number + 1 < len(keys) and number != 1:  # one side that stays automatic
            key["handle_out"] = (velocities[number] * (TIMES[number + 1] - TIMES[number]) / 3).tolist()
    close(build({"keys": keys}).center, build(path_of(PLACES)).center, atol=1e-12)


def test_a_loop_arrives_by_the_way_in_of_its_first_key() -> None:
    first = {"position": [0, 0, 0], "handle_in": [-1, 0, 0]}
    keys = [{"time": 0, **first}, {"time": 0.5, "position": [0, 0, 2], "handle_out": [1, 0, 0]}]
    open_ended = build({"loop": True, "keys": keys}, 9).center
    close(open_ended[6], bezier([[0, 0, 2], [1, 0, 2], [-1, 0, 0], [0, 0, 0]], 0.5), atol=1e-12)
    meeting = build({"loop": True, "keys": [{**keys[0], "handle_in": [9, 9, 9]}, keys[1], {"time": 1, **first}]}, 9)
    close(meeting.center, open_ended, atol=1e-12)


def test_speed_is_the_area_under_its_graph() -> None:
    # Speed 0 rising to 1 at the end: the way done grows with the square of the time.
    ramp = build({"speed": [[0, 0], [1, 1]], "moves": [{"move": "truck", "amount": 2}]}, 9).center[:, 0]
    close(ramp, [2 * (frame / 8) ** 2 for frame in range(9)], atol=1e-12)
    # 1 until 1/4, falling to 3 at 3/4, 3 after: areas 1/4, 1 and 3/4, in all 2.
    step = build({"speed": [[0.25, 1], [0.75, 3]], "moves": [{"move": "truck", "amount": 2}]}, 9).center[:, 0]
    close(step[[0, 2, 4, 6, 8]], [0, 0.25, 0.25 + 0.375, 1.25, 2], atol=1e-12)


def test_only_the_ratios_of_speeds_count() -> None:
    plan = {"moves": [{"move": "arc"}, {"move": "zoom"}], "keys": KEYS}
    graph = [[0, 1], [0.4, 3], [0.5, 0], [1, 2]]
    tenfold = [[time, 10 * speed] for time, speed in graph]
    a, b = (build({**plan, "speed": speed}) for speed in (graph, tenfold))
    close(a.world_from_cam, b.world_from_cam)
    close(build({**plan, "speed": [[0.3, 5]]}).world_from_cam, build(plan).world_from_cam)


def test_a_shake_keeps_its_own_time() -> None:
    shake = {"moves": [{"move": "handheld", "amount_degrees": 2}]}
    close(build({**shake, "speed": [[0, 0], [1, 1]]}).world_from_cam, build(shake).world_from_cam)


def test_each_shot_is_its_plan_in_its_frames() -> None:
    pan, keys = {"moves": [{"move": "pan"}]}, {"keys": KEYS, "fov_degrees": 30}
    path = cut(shot(0, pan), shot(0.4, keys), frame_count=10)
    made = path_from_json(json.dumps(path), dtype=F64)
    close(made.camera.world_from_cam[:4], build(pan, 4, fps=8).world_from_cam)
    close(made.camera.world_from_cam[4:], build(keys, 6, fps=8).world_from_cam)
    close(made.camera.K[4:], build(keys, 6, fps=8).K)
    assert (made.fps, made.unit, made.camera.hw) == (8, "near_depth", (480, 832))


# ---- shake


def shake_of(frames: int, fps: float, *, seed: int = 0, loop: bool = False, amount: float = 2.0) -> Tensor:
    """The twist channels [F, 6] of a shake: rotation vector in degrees, translation over its nominal size."""
    plan = CameraPlan(depth=4.0, moves=(PlannedMove("handheld", amount_degrees=amount, seed=seed),), loop=loop)
    camera = build(plan, frames, fps=fps)
    return torch.cat((torch.rad2deg(se3.so3_log(camera.rotation)), camera.center / 0.04), dim=-1)


def test_a_shake_is_a_function_of_seconds() -> None:
    coarse, fine, longer = shake_of(41, 8.0), shake_of(121, 24.0), shake_of(200, 8.0)
    close(coarse, fine[::3])
    close(coarse, longer[:41])
    close(coarse[0], torch.zeros(6))
    assert float((coarse - shake_of(41, 8.0, seed=1)).abs().mean()) > 1.0


def test_a_shake_has_its_size_and_its_band() -> None:
    # Over 5,000 s: a root mean square of 2 degrees about each axis, of 0.01 x depth x 2 along each, and nothing outside
    # 0.3 to 3 Hz (a Hann window keeps what leaks to less than 1e-6 at a distance of 10 cycles in the record).
    channels = shake_of(100_000, 20.0, seed=5)
    torch.testing.assert_close(channels.square().mean(0).sqrt(), torch.full((6,), 2.0, dtype=F64), rtol=0.01, atol=0)
    power = torch.fft.rfft(channels * torch.hann_window(100_000, dtype=F64)[:, None], dim=0).abs().square()
    hertz = torch.fft.rfftfreq(100_000, 1 / 20.0, dtype=F64)
    outside = (hertz < 0.298) | (hertz > 3.002)
    assert float((power[outside].sum(0) / power.sum(0)).max()) < 1e-6
    low = (power[hertz < 1.0].sum(0) / power.sum(0)).mean()
    assert 0.45 < float(low) < 0.6  # about half below 1 Hz
    # The channels differ.
    correlation = torch.corrcoef(channels.T) - torch.eye(6, dtype=F64)
    assert float(correlation.abs().max()) < 0.1


@pytest.mark.parametrize(("frames", "fps"), [(81, 16.0), (81, 24.0), (5, 16.0), (2, 24.0), (1, 24.0)])
def test_a_looped_shake_closes_without_a_seam(frames: int, fps: float) -> None:
    channels = shake_of(frames, fps, loop=True)
    close(channels[-1], channels[0])
    if frames > 5:
        steps = channels.diff(dim=0)
        assert float((steps[0] - steps[-1]).norm()) < 2.0 * float(steps.diff(dim=0).norm(dim=-1).max())
        assert 1.0 < float(channels[:-1].square().mean().sqrt()) < 3.0


def test_a_shake_of_nothing_and_one_frame() -> None:
    assert float(shake_of(9, 8.0, amount=0.0).abs().max()) == 0.0
    with pytest.raises(ValueError, match="handheld needs fps from 0.001 to 1e.06, got 1e-09"):
        shake_of(9, 1e-9)


# ---- the golden file and the wire


def golden_file() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_the_golden_file_has_these_cases_and_no_other() -> None:
    held, made = golden_file(), golden()
    assert list(held["cases"]) == list(CASES) and list(held["refused"]) == list(REFUSED)
    for part in ("easings", "units", "moves", "frame_counts", "refused", "written by"):
        assert held[part] == made[part], f"{part} is not what {made['written by']} writes"
    assert {name: case["path"] for name, case in held["cases"].items()} == CASES
    assert json.loads(written(made)) == made


def test_the_golden_file_covers_what_a_plan_can_say() -> None:
    plans = [plan for path in CASES.values() for plan in plans_of(path)]
    moves = [move for plan in plans for move in plan.get("moves", [])]
    keys = [key for plan in plans for key in plan.get("keys", [])]
    assert {move["move"] for move in moves} == set(MOVES)
    assert {move["easing"] for move in moves if "easing" in move} == set(EASINGS)
    fields = {"time", "position", "rotation_degrees", "look_at", "roll_degrees", "fov_degrees", "easing"}
    fields |= {"handle_in", "handle_out"}
    assert {name for key in keys for name in key} == fields
    assert {name for plan in plans for name in plan} == set(plan_values(CameraPlan()))


@pytest.mark.parametrize("name", CASES)
def test_the_golden_frames(name: str) -> None:
    case = golden_file()["cases"][name]
    trajectory = path_from_json(json.dumps(case["path"]), dtype=F64)
    camera, path = trajectory.camera.validate(), case["path"]
    assert (camera.hw, len(trajectory)) == ((path["height"], path["width"]), path["frame_count"])
    assert (trajectory.fps, trajectory.unit, trajectory.name) == (path["fps"], path["unit"], path["name"])
    close(camera.world_from_cam.flatten(1), [frame["world_from_cam"] for frame in case["frames"]], atol=1e-9)
    K = torch.cat((camera.focal, camera.principal_point), dim=-1)
    torch.testing.assert_close(K, torch.tensor([frame["K"] for frame in case["frames"]], dtype=F64), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", [name for name, plan in PLANS.items() if "handheld" not in json.dumps(plan)])
def test_a_plan_does_not_depend_on_the_frame_count(name: str) -> None:
    few, many = (build(PLANS[name], frames, fps=fps) for frames, fps in ((17, 8.0), (81, 24.0)))
    close(few.world_from_cam[::4], many.world_from_cam[::20])
    torch.testing.assert_close(few.K[::4], many.K[::20], rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_one_sentence_that_names_the_key(name: str) -> None:
    text, names = REFUSED[name]
    with pytest.raises(ValueError) as raised:
        path_from_json(text)
    sentence = str(raised.value)
    assert all(word in sentence for word in names), sentence
    assert "\n" not in sentence and len(sentence) < 400


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_its_values(name: str) -> None:
    for plan, golden_values in zip(plans_of(CASES[name]), golden_file()["cases"][name]["values"], strict=True):
        made = CameraPlan.from_values(plan)
        values = json.loads(json.dumps(plan_values(made)))
        assert values == golden_values
        assert CameraPlan.from_values(values) == made
        assert plan_values(CameraPlan.from_values(values)) == values


def test_a_plan_written_in_python_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match=r"position is a list of 3 numbers, got a list of 2"):
        Keyframe(0.0, (0.0, 0.0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"easing\.lens is one of .*, got 'x'"):
        ChannelEasing(lens="x")
    with pytest.raises(ValueError, match="handheld lasts the whole clip"):
        PlannedMove("handheld", end=0.5)
    key = Keyframe(0.5, (0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match=r"keys\[1\]\.time is at least 1e-06 later"):
        CameraPlan(keys=(key, key))
    assert CameraPlan(keys=(key, replace(key, time=1))).keys[1].time == 1.0


def test_a_planned_path_is_baked_by_writing_it() -> None:
    planned = document({"moves": [{"move": "orbit"}]}, name="o")
    trajectory = path_from_json(json.dumps(planned))
    made = CameraPlan(moves=(PlannedMove("orbit"),)).build(9, hw=HW, fps=8.0, name="o")
    assert path_to_json(trajectory) == path_to_json(made)
    assert trajectory.camera.world_from_cam.dtype == torch.float32
    baked = json.loads(path_to_json(trajectory))
    assert len(baked["frames"]) == 9 and "plan" not in baked
    assert path_to_json(path_from_json(path_to_json(trajectory))) == path_to_json(trajectory)

"""Trajectories: slicing, resampling, scale, and camera path v1 as a frozen contract with a strict reader."""

from __future__ import annotations

import json
from math import pi
from typing import Any

import pytest
import torch
from torch import Tensor

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.camera_path import path_from_json, path_to_json
from raxel_core.paths.plan import make_move

F64 = torch.float64
HW = (480, 832)

# The wire format, frozen: a file like this one, written by hand, must be read for as long as version 1 is.
GOLDEN = """
{"format": "raxel.camera_path", "version": 1, "fps": 16.0, "unit": "metre", "name": "two frames",
 "width": 832, "height": 480,
 "frames": [
  {"world_from_cam": [1, 0, 0, 0,  0, 1, 0, 0,  0, 0, 1, 0,  0, 0, 0, 1], "K": [720.5, 720.25, 416, 240]},
  {"world_from_cam": [0, 0, 1, 0.5,  0, 1, 0, -1.25,  -1, 0, 0, 2,  0, 0, 0, 1], "K": [800, 801, 400.5, 239.5]}]}
"""


def draw_trajectory(frames: int, *, seed: int = 0, dtype: torch.dtype = F64) -> Trajectory:
    generator = torch.Generator().manual_seed(seed)
    steps = se3.exp(0.2 * torch.randn(frames, 6, generator=generator, dtype=F64))
    motions = [steps[0]]
    for step in steps[1:]:
        motions.append(motions[-1] @ step)
    fov = 0.7 + 0.8 * torch.rand(frames, generator=generator, dtype=F64)
    return Trajectory(Camera(torch.stack(motions).to(dtype), K_from_fov(fov, HW).to(dtype), HW), fps=16.0, name="drawn")


def close(a: Tensor, b: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=0.0, atol=atol)


def test_frames_and_slices() -> None:
    trajectory = draw_trajectory(5)
    assert len(trajectory) == 5
    close(trajectory[3].world_from_cam, trajectory.camera.world_from_cam[3], atol=0.0)
    close(trajectory[-1].K, trajectory.camera.K[4], atol=0.0)
    close(trajectory[1:4:2].camera.K, trajectory.camera.K[1:4:2], atol=0.0)
    close(trajectory[::-1].camera.world_from_cam, trajectory.camera.world_from_cam.flip(0), atol=0.0)
    assert trajectory[2:].fps == 16.0 and trajectory[2:].name == "drawn"
    assert [camera.batch_shape for camera in trajectory] == [()] * 5  # type: ignore[attr-defined]
    with pytest.raises(IndexError):
        trajectory[5]
    with pytest.raises(ValueError, match="at least one frame"):
        trajectory[3:3]


def test_relative_to_makes_one_frame_the_origin_and_keeps_the_rest() -> None:
    trajectory = draw_trajectory(4)
    for frame in range(4):
        relative = trajectory.relative_to(frame).camera
        close(relative.world_from_cam[frame], torch.eye(4, dtype=F64))
        close(trajectory[frame].world_from_cam @ relative.world_from_cam, trajectory.camera.world_from_cam)


def test_scaling_names_its_unit() -> None:
    trajectory = draw_trajectory(4)
    metric = trajectory.scaled(3.0, unit="metre")
    assert metric.unit == "metre" and trajectory.scaled(3.0).unit == "near_depth"
    close(metric.path_length, 3.0 * trajectory.path_length)
    close(metric.turn, trajectory.turn)


def test_figures_of_an_orbit_by_hand() -> None:
    # A quarter orbit of radius 2 is an arc of length pi, cut into F - 1 chords of 2 r sin(angle / (2 (F - 1))) each;
    # the camera turns by the same quarter.
    trajectory = make_move("orbit", 11, amount=pi / 2, depth=2.0)
    chord = 2 * 2.0 * torch.sin(torch.tensor(pi / 2 / 20))
    close(trajectory.path_length, 10 * chord, atol=1e-5)
    close(trajectory.turn, torch.tensor(pi / 2), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5, 9])
def test_resampling_keeps_the_ends_and_the_given_frames(frames: int) -> None:
    trajectory = draw_trajectory(5)
    resampled = trajectory.resampled(frames).camera
    assert len(resampled) == frames
    close(resampled.world_from_cam[0], trajectory.camera.world_from_cam[0])
    if frames > 1:
        close(resampled.world_from_cam[-1], trajectory.camera.world_from_cam[-1])
        close(resampled.K[-1], trajectory.camera.K[-1])
    if frames == 9:
        close(resampled.world_from_cam[::2], trajectory.camera.world_from_cam)
        middle = se3.interpolate(trajectory.camera.world_from_cam[1], trajectory.camera.world_from_cam[2], 0.5)
        close(resampled.world_from_cam[3], middle)
        close(resampled.K[3], trajectory.camera.K[1:3].mean(0))
    close(trajectory[:1].resampled(frames).camera.K, trajectory.camera.K[:1].expand(frames, 3, 3))
    resampled.validate()


def test_resampling_an_orbit_stays_on_its_circle() -> None:
    # Constant speed on a circle is one screw, so finer frames of a coarse orbit are those of a fine one.
    coarse, fine = make_move("orbit", 3, depth=2.0), make_move("orbit", 81, depth=2.0)
    close(coarse.resampled(81).camera.world_from_cam, fine.camera.world_from_cam, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_json_round_trip_is_bitwise(dtype: torch.dtype) -> None:
    trajectory = draw_trajectory(6, dtype=dtype)
    read = path_from_json(path_to_json(trajectory), dtype=dtype)
    assert torch.equal(read.camera.world_from_cam, trajectory.camera.world_from_cam)
    assert torch.equal(read.camera.K, trajectory.camera.K)
    assert (read.camera.hw, read.fps, read.unit, read.name) == (HW, 16.0, "near_depth", "drawn")
    assert path_to_json(read) == path_to_json(trajectory)


def test_the_golden_file() -> None:
    trajectory = path_from_json(GOLDEN)
    assert (trajectory.camera.hw, trajectory.fps, trajectory.unit, trajectory.name) == (HW, 16.0, "metre", "two frames")
    # The second camera looks along world x (its third column is right), from (0.5, -1.25, 2).
    assert trajectory[1].rotation[:, 2].tolist() == [1.0, 0.0, 0.0]
    assert trajectory[1].center.tolist() == [0.5, -1.25, 2.0]
    assert trajectory[1].focal.tolist() == [800.0, 801.0] and trajectory[1].principal_point.tolist() == [400.5, 239.5]
    assert json.loads(path_to_json(trajectory)) == json.loads(GOLDEN)


def changed(**changes: Any) -> str:
    """The golden file with some of its values replaced, or dropped where the new value is None."""
    values = {**json.loads(GOLDEN), **changes}
    return json.dumps({key: value for key, value in values.items() if value is not None})


def with_frame(**changes: Any) -> str:
    """The golden file with its second frame changed."""
    frames = json.loads(GOLDEN)["frames"]
    second = {key: value for key, value in {**frames[1], **changes}.items() if value is not None}
    return changed(frames=[frames[0], second])


MOTION = json.loads(GOLDEN)["frames"][1]["world_from_cam"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "nested too deep|is not JSON"),
        ("[]", "a camera path is a JSON object, got list"),
        ("{}", "the camera path lacks format, version, fps, unit, name"),
        (changed(fps=None), "the camera path lacks fps"),
        (changed(speed=3), "the camera path has unknown speed"),
        (changed(format="colmap"), "expected format 'raxel.camera_path' version 1, got 'colmap' version 1"),
        (changed(version=2), "got 'raxel.camera_path' version 2"),
        (changed(version=True), "version True"),
        (changed(fps="16"), "the camera path's fps holds '16', which is no finite number"),
        (changed(fps=0), "fps is a positive number, got 0.0"),
        (changed(fps=float("nan")), "holds NaN, which is no number"),
        (changed(unit="inch"), "a unit is one of metre, near_depth, arbitrary, got 'inch'"),
        (changed(unit=3), "the camera path's unit is text, got 3"),
        (changed(name=3), "the camera path's name is text, got 3"),
        (changed(width=0), "width is a whole number from 1 to 1000000, got 0"),
        (changed(height=480.5), "height is a whole number from 1 to 1000000, got 480.5"),
        (changed(width=True), "width is a whole number from 1 to 1000000, got True"),
        (changed(frames=[]), "with at least one frame"),
        (changed(frames={}), "with at least one frame"),
        (changed(frames=[3]), "frame 0 of the camera path is an object, got int"),
        (with_frame(K=None), "frame 1 of the camera path lacks K"),
        (with_frame(fov=1), "frame 1 of the camera path has unknown fov"),
        (with_frame(K=[1, 2, 3]), "K of frame 1 is a list of 4 numbers, got 3 of them"),
        (with_frame(K="wide"), "K of frame 1 is a list of 4 numbers, got str"),
        (with_frame(K=[1, 2, 3, "4"]), "K of frame 1 holds '4', which is no finite number"),
        (with_frame(K=[1, 2, 3, True]), "K of frame 1 holds 'True'"),
        (with_frame(K=[1, 2, 3, 10**400]), "K of frame 1 holds 'inf', which is no finite number"),
        (with_frame(K=[1, -2, 3, 4]), "frame 1 has a focal length that is not positive"),
        (with_frame(world_from_cam=MOTION[:12]), "world_from_cam of frame 1 is a list of 16 numbers, got 12 of them"),
        (with_frame(world_from_cam=[1e200] * 16), "frame 1 holds NaN or infinity"),
        (with_frame(world_from_cam=[0.0] * 15 + [1.0]), "frame 1 has a rotation that is not orthonormal"),
        (with_frame(world_from_cam=[*MOTION[:12], 0, 0, 0, 2]), "frame 1 has a world_from_cam whose last row"),
        (changed().replace("720.5", "1e999"), "K of frame 0 holds 'inf'"),
        (changed()[:-1] + ', "fps": 1}', "the camera path gives 'fps' more than once"),
        (changed(width=10**310), "width is a whole number from 1 to 1000000, got inf"),
        (changed().replace("720.5", "-Infinity"), "holds -Infinity"),
    ],
)
def test_the_reader_says_what_is_wrong_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as raised:
        path_from_json(text)
    assert "\n" not in str(raised.value)


def test_what_the_format_can_not_hold_is_not_written() -> None:
    trajectory = draw_trajectory(2)
    K = trajectory.camera.K.clone()
    K[1, 0, 1] = 0.5
    with pytest.raises(ValueError, match="no place for the skew"):
        path_to_json(Trajectory(Camera(trajectory.camera.world_from_cam, K, HW)))
    with pytest.raises(ValueError, match="frame 1 has a rotation that is not orthonormal"):
        motions = trajectory.camera.world_from_cam.clone()
        motions[1, :3, :3] *= 2.0
        path_to_json(Trajectory(Camera(motions, trajectory.camera.K, HW)))


def test_what_is_no_trajectory() -> None:
    camera = draw_trajectory(2).camera
    for one in (camera[0], camera[None]):
        with pytest.raises(ValueError, match="one axis, its frames"):
            Trajectory(one)
    for fps in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="fps is a positive number"):
            Trajectory(camera, fps=fps)
    with pytest.raises(ValueError, match="a unit is one of"):
        Trajectory(camera, unit="mile")
    with pytest.raises(ValueError, match="at least one frame"):
        Trajectory(camera).resampled(0)


def test_no_argument_is_changed() -> None:
    trajectory = draw_trajectory(3)
    before = (trajectory.camera.world_from_cam.clone(), trajectory.camera.K.clone())
    trajectory.relative_to(1), trajectory.scaled(2.0), trajectory.resized((10, 20)), trajectory.resampled(7)
    path_to_json(trajectory), trajectory[::-1], trajectory.path_length, trajectory.turn
    assert torch.equal(trajectory.camera.world_from_cam, before[0]) and torch.equal(trajectory.camera.K, before[1])

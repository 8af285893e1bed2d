"""An estimate as a file: camera path v1 keeps all of it, plain readers pass it over, COLMAP reads the points."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from raxel_core.camera_io import (
    Assumed,
    CameraFormatError,
    lost_of,
    placed,
    read_cameras,
    read_estimate,
    write_cameras,
    write_estimate,
)
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.estimate import Estimate, Footage
from raxel_core.geometry.sparse_points import SparsePoints
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.camera_path import path_from_json
from raxel_core.paths.estimate_path import estimate_from_json, estimate_to_json

HW = (270, 480)
FRAMES = (3, 4, 9)


def estimate(points=40):
    random = torch.Generator().manual_seed(0)
    twist = 0.1 * torch.randn(3, 6, generator=random, dtype=torch.float64)
    camera = Camera(se3.exp(twist), K_from_fov(torch.tensor(1.0, dtype=torch.float64), HW), HW)
    root = torch.randn(3, 7, 7, generator=random, dtype=torch.float64) * 0.01
    position = torch.rand(points, 3, generator=random, dtype=torch.float64) + torch.tensor([-0.5, -0.5, 3.0])
    local = (camera.cam_from_world[:, None] @ torch.cat((position, torch.ones(points, 1)), -1)[..., None])[..., :3, 0]
    pixel = local[..., :2] / local[..., 2:] * camera.focal[:, None] + camera.principal_point[:, None]
    seen_by, seen = (part.flatten() for part in torch.meshgrid(torch.arange(3), torch.arange(points), indexing="ij"))
    colour = torch.randint(0, 256, (points, 3), generator=random, dtype=torch.uint8)
    cloud = SparsePoints(position, colour, torch.full((points,), 0.25), seen, seen_by, pixel.reshape(-1, 2))
    return Estimate(
        Trajectory(camera, fps=12.5, unit="metre", name="shot"),
        "colmap",
        Footage("shot.mp4", 1.5, 25.0, FRAMES),
        "moving",
        "The camera moved.",
        covariance=root @ root.mT,
        residual_px=torch.tensor([0.5, math.nan, 0.75], dtype=torch.float64),
        interpolated=(1,),
        missing=(5, 6),
        points=cloud,
        notes=("Frames 5 to 6 could not be solved and have no camera.",),
    )


def test_all_but_the_points_comes_back_from_camera_path_v1():
    given = estimate()
    found = estimate_from_json(estimate_to_json(given), dtype=torch.float64)
    assert found is not None and found.points is None
    for name in ("estimator", "footage", "motion", "verdict", "interpolated", "missing", "notes"):
        assert getattr(found, name) == getattr(given, name)
    torch.testing.assert_close(found.covariance, given.covariance, atol=0, rtol=0)
    torch.testing.assert_close(found.residual_px, given.residual_px, equal_nan=True, atol=0, rtol=0)
    torch.testing.assert_close(found.trajectory.camera.world_from_cam, given.trajectory.camera.world_from_cam)


def test_a_plain_reader_takes_the_path_and_a_plain_path_is_no_estimate():
    given = estimate()
    path = path_from_json(estimate_to_json(given), dtype=torch.float64)
    torch.testing.assert_close(path.camera.K, given.trajectory.camera.K)
    values = json.loads(estimate_to_json(given))
    del values["estimate"]
    assert estimate_from_json(json.dumps(values)) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"motion": "flying"}, "one of still, rotation, moving, got 'flying'"),
        ({"source_frames": [3, 4]}, "a path of 3 cameras lies over as many frames, got 2"),
        ({"source_frames": [4, 3, 9]}, "rise from 0 on"),
        ({"rate": 0}, "a rate above 0"),
        ({"covariance": [[0.0] * 28] * 2}, "one covariance for each of the 3 frames"),
        ({"covariance": [[0.0] * 27] * 3}, "a list of 28 numbers, got 27"),
        ({"residual_px": ["a", 1, 2]}, "no finite number"),
        ({"verdict": 3}, "text as its verdict"),
        ({"source_pictures": [None] * 10}, "file names as its source_pictures"),
        ({"source_pictures": ["a.png"] * 9}, "footage of 9 pictures has no frame number 9"),
        ({"source_pictures": "a.png"}, "source_pictures"),
        ({"confidence": 1.0}, "unknown confidence"),
    ],
)
def test_a_wrong_estimate_is_one_sentence(change, told):
    values = json.loads(estimate_to_json(estimate()))
    values["estimate"] |= change
    with pytest.raises(ValueError, match=told):
        estimate_from_json(json.dumps(values))


def test_a_reader_tells_the_verdict(tmp_path):
    write_estimate(estimate(), tmp_path / "shot.json")
    reading = read_cameras(tmp_path / "shot.json")
    assert "Estimated by colmap from shot.mp4: The camera moved." in reading.text


@pytest.mark.parametrize("format", ["colmap", "colmap_binary"])
def test_colmap_itself_reads_cameras_points_and_tracks(tmp_path, format):
    pycolmap = pytest.importorskip("pycolmap")
    given = estimate()
    write_estimate(given, tmp_path / "model", format=format)
    model = pycolmap.Reconstruction(tmp_path / "model")
    assert [model.images[n].name for n in (1, 2, 3)] == [f"frame_{n:05d}.png" for n in FRAMES]
    assert model.num_points3D() == 40 and model.compute_num_observations() == 120
    point = model.points3D[7]
    assert point.xyz == pytest.approx(given.points.position[6].numpy())
    assert point.color.tolist() == given.points.colour[6].tolist()
    for number in (1, 2, 3):
        image = model.images[number]
        seen = image.points2D[10]
        local = image.cam_from_world() * model.points3D[seen.point3D_id].xyz
        expected = model.cameras[image.camera_id].img_from_cam(local)
        assert expected == pytest.approx(seen.xy, abs=1e-6)
    model.update_point_3d_errors()
    assert model.compute_mean_reprojection_error() < 1e-6
    assert len(read_cameras(tmp_path / "model").trajectory) == 3


def of_series(first, *, step=1, fps=25.0):
    """The estimate of pictures plate.1003.exr ... of which number 5 is missing."""
    names = tuple("" if place == 5 else f"plate.{first + step * place:04d}.exr" for place in range(12))
    given = estimate()
    return replace(
        given, footage=Footage("plate", 0.0, 25.0, FRAMES, names), trajectory=replace(given.trajectory, fps=fps)
    )


@pytest.mark.parametrize("name", ["a.chan", "a.usda", "a.py", "a.json"])
@pytest.mark.parametrize(("first", "told"), [(1001, 1004), (0, 3)])
def test_a_solved_plate_keeps_the_numbers_of_its_pictures(tmp_path, name, first, told):
    """The camera of plate.1004.exr is at frame 1004, and pictures without a camera stay gaps."""
    write_estimate(of_series(first), tmp_path / name)
    reading = read_cameras(tmp_path / name)
    assert reading.first == told
    if name == "a.usda":  # which has a camera for every time between its samples
        assert reading.trajectory.numbers is None and len(reading.trajectory) == 7
        return
    assert reading.trajectory.numbers == (0, 1, 6)
    write_cameras(reading.trajectory, tmp_path / "again.chan", first=reading.first)
    rows = [int(line.split()[0]) for line in (tmp_path / "again.chan").read_text().splitlines()]
    assert rows == [told, told + 1, told + 6]
    assert read_cameras(tmp_path / name, assumed=Assumed(gaps="fill")).trajectory.numbers is None


def test_cameras_keep_the_numbers_of_their_pictures_unless_names_go_in_steps(tmp_path):
    """Every second picture of the plate, names in steps of two, and a video that was solved from its fourth frame on."""
    half = replace(of_series(1001), footage=Footage("plate", 0.0, 50.0, (2, 4, 8), of_series(1001).footage.pictures))
    for given, first, numbers in (
        (half, 1003, (0, 1, 3)),
        (of_series(1001, step=2), 1, (0, 1, 6)),
        (replace(estimate(), trajectory=replace(estimate().trajectory, fps=25.0)), 4, (0, 1, 6)),
        (replace(of_series(1001, fps=10.0)), 1004, (0, 1, 6)),
    ):
        write_estimate(given, tmp_path / "a.chan")
        reading = read_cameras(tmp_path / "a.chan")
        assert (reading.first, reading.trajectory.numbers) == (first, numbers)
    write_estimate(of_series(1001), tmp_path / "a.chan", first=7)
    assert read_cameras(tmp_path / "a.chan").first == 7
    assert "(from 1004 on)" in lost_of(of_series(1001), tmp_path / "a.tum")
    assert "the 4 gaps in time" in lost_of(of_series(1001), tmp_path / "a.json", format="camera_rows")
    assert not lost_of(of_series(1001), tmp_path / "a.py") and not lost_of(half, tmp_path / "a.json")


@pytest.mark.parametrize(
    ("begins", "numbers", "frames"),
    [
        (1010, range(1001, 1034), (9, 10, 15)),  # of pictures 1001 on
        (999, range(1001, 1034), (4,)),  # two are of none of them
        (1001, range(1001, 1067, 2), (0, 3)),  # one lies between pictures in steps of two
        (1, range(1001, 1034), (0, 1, 6)),  # counts for itself
        (10, None, (9, 10, 15)),  # of a video, from 1 on
        (1001, None, (0, 1, 6)),  # which has no such frames
    ],
)
def test_cameras_lie_in_the_frames_that_their_numbers_say(tmp_path, begins, numbers, frames):
    write_cameras(placed(of_series(1001))[0], tmp_path / "a.chan", first=begins)
    found = read_estimate(tmp_path / "a.chan", frames=33, numbers=numbers)
    assert found.footage.frames == frames and len(found.trajectory) == len(frames)
    told = f"{3 - len(frames)} of its 3 cameras are not of frames 1001 to "
    assert len(found.notes) == (len(frames) < 3) and all(note.startswith(told) for note in found.notes)
    torch.testing.assert_close(found.trajectory.camera.center[-1], of_series(1001).trajectory.camera.center[2])


def test_cameras_of_no_frame_of_the_footage_are_refused(tmp_path):
    write_cameras(placed(of_series(1001))[0], tmp_path / "a.chan", first=2010)
    with pytest.raises(ValueError, match="none of its cameras, from 2010 on, is of frames 1001 to 1033"):
        read_estimate(tmp_path / "a.chan", frames=33, numbers=range(1001, 1034))


@pytest.mark.parametrize("frames", [(0, 2, 4), (3, 4, 100), (0, 9, 10)])
@pytest.mark.parametrize("name", ["a.chan", "a.py", "a.json"])
def test_places_that_are_known_are_kept_however_many_are_between(tmp_path, frames, name):
    """Neither every second frame nor a few far apart are taken for neighbours: their footage says what they are."""
    pictures = tuple(f"plate.{1001 + place}.exr" for place in range(101))
    given = replace(of_series(1001), footage=Footage("plate", 0.0, 25.0, frames, pictures))
    write_estimate(given, tmp_path / name)
    reading = read_cameras(tmp_path / name)
    assert reading.first == 1001 + frames[0]
    if name != "a.chan":  # which is read as any program's
        assert reading.trajectory.frame_numbers == tuple(number - frames[0] for number in frames)
    write_cameras(placed(given)[0], tmp_path / "b.chan", first=reading.first)
    rows = [int(line.split()[0]) for line in (tmp_path / "b.chan").read_text().splitlines()]
    assert rows == [1001 + number for number in frames]


def test_frames_taken_by_time_keep_their_gaps(tmp_path):
    """Ten a second of 25: frames 0, 2 or 3, 5 ...; where the fifth to the seventh have no camera there is a gap."""
    given = replace(estimate(), footage=Footage("a.mp4", 0.0, 25.0, (0, 2, 18)))
    given = replace(given, trajectory=replace(given.trajectory, fps=10.0))
    path, first, warnings = placed(given)
    assert path.numbers == (0, 1, 7) and first is None and "5 of 8 frames have no camera" in warnings[0]
    assert "10 cameras a second of 25" in lost_of(given, tmp_path / "a.tum")
    assert "frames of the footage" not in lost_of(given, tmp_path / "a.chan")
    write_estimate(given, tmp_path / "a.chan")
    assert read_cameras(tmp_path / "a.chan").numbers == (1, 3, 19)


def test_gaps_in_a_video_are_said_to_be_counted_from_0(tmp_path):
    """As its estimate counts them, with what is before the first camera; its .chan counts from 1."""
    of_video = replace(of_series(1001), footage=Footage("a.mp4", 0.0, 25.0, FRAMES))
    write_estimate(of_video, tmp_path / "a.json")
    write_estimate(of_series(1001), tmp_path / "b.json")
    told = [" ".join(read_cameras(tmp_path / name).warnings) for name in ("a.json", "b.json")]
    assert "4 of 7 frames have no camera (5 to 8, counted from 0)" in told[0]
    assert "4 of 7 frames have no camera (1006 to 1009)" in told[1]


def test_a_first_frame_that_is_given_goes_before_the_pictures(tmp_path):
    for name in ("a.json", "a.chan", "a.py"):
        write_estimate(of_series(1001), tmp_path / name, first=5001)
        assert read_cameras(tmp_path / name).first == 5001
    assert "(from 5001 on)" in lost_of(of_series(1001), tmp_path / "model", format="colmap", first=5001)
    with pytest.raises(CameraFormatError, match="frame numbers lie within 1048574, got 2000000"):
        write_estimate(of_series(1001), tmp_path / "a.json", first=2_000_000)
    write_estimate(of_series(2_000_000), tmp_path / "b.chan")
    assert read_cameras(tmp_path / "b.chan").first == 1  # a date, and no frame's number
    values = json.loads((tmp_path / "a.json").read_text())
    for wrong in (10**400, "x", 1.5, True):
        (tmp_path / "c.json").write_text(json.dumps({**values, "first_frame": wrong}))
        with pytest.raises(CameraFormatError, match="c.json: the camera path's first_frame"):
            read_cameras(tmp_path / "c.json")


def test_names_that_a_model_can_not_hold_are_those_of_the_frames(tmp_path):
    for names in (("my shot 0.png", "my shot 1.png"), ("a\n0.png", "a\n1.png"), ("f\udcff_0.png", "f\udcff_1.png"),
                  ("a.png", "a.png"), ("a.png", "")):  # fmt: skip
        two = replace(of_series(1001), footage=Footage("p", 0.0, 25.0, (0, 1, 2), (*names, "c.png")))
        for format in ("colmap", "colmap_binary"):
            write_estimate(two, tmp_path / format, format=format)
            assert read_cameras(tmp_path / format).names == tuple(f"frame_{number:05d}.png" for number in range(3))
        assert "the pictures' names" in lost_of(two, tmp_path / "m", format="colmap")
    assert "names" not in lost_of(of_series(1001), tmp_path / "m", format="colmap")


def test_footage_has_a_picture_for_each_frame():
    with pytest.raises(ValueError, match="footage of 3 pictures has no frame number 4"):
        Footage("p", 0.0, 24.0, (0, 4), ("a.png", "b.png", "c.png"))


def test_a_model_of_a_series_names_its_pictures(tmp_path):
    write_estimate(of_series(1001), tmp_path / "model", format="colmap")
    assert read_cameras(tmp_path / "model").names == ("plate.1004.exr", "plate.1005.exr", "plate.1010.exr")


def test_other_formats_take_the_path_alone(tmp_path):
    given = estimate()
    write_estimate(given, tmp_path / "a.tum")
    write_cameras(given.trajectory, tmp_path / "b.tum")
    assert (tmp_path / "a.tum").read_bytes() == (tmp_path / "b.tum").read_bytes()


def test_error_bars_scale_with_the_world_and_angles_do_not():
    given = estimate()
    found = given.scaled(4.0, unit="near_depth")
    torch.testing.assert_close(found.centre_sigma, 4.0 * given.centre_sigma)
    torch.testing.assert_close(found.rotation_sigma, given.rotation_sigma)
    torch.testing.assert_close(found.points.position, 4.0 * given.points.position)
    assert found.focal_sigma == given.focal_sigma and found.trajectory.unit == "near_depth"

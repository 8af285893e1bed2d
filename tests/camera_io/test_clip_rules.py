"""The one way from the frames of a file to a clip: time, gaps, several cameras, lenses, directions, texts; inputs made
here, one example for each rule."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zipfile
from dataclasses import replace
from math import pi

import numpy as np
import pytest
import torch

from raxel_core.camera_io import FORMATS, WRITTEN, format_named, lost_in, read_cameras, write_cameras
from raxel_core.camera_io.frame_names import numbers_in, pattern_of
from raxel_core.camera_io.reading import Assumed, CameraFormatError, sensor_named
from raxel_core.camera_io.timestamps import clock_of
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.trajectory import Trajectory

EYE = torch.eye(4).tolist()


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, encoding="utf-8", newline="")
    return path


def close(found, expected, tolerance=1e-6):
    found, expected = (torch.as_tensor(value, dtype=torch.float64) for value in (found, expected))
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= tolerance * (float(expected.abs().max()) or 1.0), (found, expected)


def drive(frames=8, *, turn=0.12, offset=(30.0, -7.0, 2.0), numbers=None, fps=25.0):
    """A camera that drives on a straight line at even speed and turns evenly, far from the origin."""
    steps = torch.arange(frames, dtype=torch.float64)
    rotation = se3.so3_exp(steps[:, None] * torch.tensor((0.3, 1.0, 0.1), dtype=torch.float64) * turn)
    centers = torch.tensor(offset, dtype=torch.float64) + steps[:, None] * torch.tensor((0.5, 0.1, 1.0)).double()
    K = torch.tensor(((700.0, 0, 416), (0, 700, 240), (0, 0, 1)), dtype=torch.float64)
    motions = se3.from_rotation_translation(rotation, centers)
    return Trajectory(Camera(motions, K, (480, 832)), fps=fps, unit="metre", name="drive", numbers=numbers)


# --- Time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "size"), [("seconds", 1), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)]
)
@pytest.mark.parametrize("rate", [24.0, 29.97, 60.0])
@pytest.mark.parametrize("start", [0.0, 1.4e9])
def test_each_unit_of_time_is_told_whatever_the_file_should_count_in(unit, size, rate, start):
    times = (start + torch.arange(50, dtype=torch.float64) / rate) * size
    times = times.round() if size > 1 else times
    for declared in ("seconds", "microseconds", "nanoseconds"):
        clock = clock_of(times, declared, 24.0)
        assert clock.fps == pytest.approx(rate, rel=1e-3)
        assert clock.numbers.tolist() == list(range(50))
        assert bool(clock.warnings) == (declared != unit)


@pytest.mark.parametrize(
    ("times", "fps", "numbers"),
    [
        ([0, 1, 2, 3, 4], 24.0, [0, 1, 2, 3, 4]),
        ([5, 6, 9, 10, 11], 24.0, [5, 6, 9, 10, 11]),
        ([0, 8, 17, 25, 33, 42], 120.0, [0, 1, 2, 3, 4, 5]),  # milliseconds of 119 to 120 a second
        ([0.0, 0.1, 0.2, 0.5, 0.6], 10.0, [0, 1, 2, 5, 6]),
        ([0, 0, 0], 24.0, None),
        ([3, 2, 1], 24.0, None),
    ],
)
def test_frame_numbers_and_gaps_are_told_from_times(times, fps, numbers):
    clock = clock_of(torch.tensor(times, dtype=torch.float64), "seconds", 24.0)
    assert clock.fps == pytest.approx(fps, rel=2e-3)
    assert (None if clock.numbers is None else clock.numbers.tolist()) == numbers


@pytest.mark.parametrize("rate", [10.0, 24.0, 30.0, 48.0, 50.0, 60.0, 90.0, 120.0, 24000 / 1001, 30000 / 1001])
@pytest.mark.parametrize("size", [1.0, 1e3])
@pytest.mark.parametrize("start", [0.0, 123.4567])
@pytest.mark.parametrize("rounded", [torch.round, torch.floor])
def test_times_of_whole_milliseconds_give_the_rate_that_was_filmed(rate, size, start, rounded):
    """Of 40 frames the mean rate of 24 a second would be 24.006 or 23.985; an NTSC rate shows after some 200."""
    for frames in (40, 300) if rate == round(rate) else (300,):
        times = rounded((start + torch.arange(frames, dtype=torch.float64) / rate) * 1e3) * (size / 1e3)
        assert clock_of(times, "seconds", 24.0).fps == round(rate, 3)


@pytest.mark.parametrize("rate", [0.2, 0.5, 4000.0])
def test_rates_that_no_camera_has_are_doubted_aloud_and_once(tmp_path, rate):
    rows = "".join(f"{0.123 + frame / rate!r} {frame} 0 0 0 0 0 1\n" for frame in range(9))
    reading = read_cameras(save(tmp_path / "a.tum", rows))
    assert reading.trajectory.fps == pytest.approx(rate)
    assert len([warning for warning in reading.warnings if "frames a second" in warning]) == 1


@pytest.mark.parametrize(
    ("names", "fps", "said"),
    [
        (["PXL_20240501_123456789.jpg", "PXL_20240501_123458123.MP.jpg", "PXL_20240501_123640001.jpg"], 24.0, 0),
        (["PXL_20240501_123456789.jpg", "PXL_20240501_123556789.jpg", "PXL_20240501_123656789.jpg"], 24.0, 0),
        (["IMG_20240501_123456.jpg", "IMG_20240501_123459.jpg", "IMG_20240501_123502.jpg"], 24.0, 0),
        (["20240501_235959900.jpg", "20240502_000000000.jpg", "20240502_000000100.jpg"], 10.0, 0),
        (["1305031102.5.png", "1305031108.5.png", "1305031116.5.png"], 24.0, 1),
    ],
)
def test_times_in_the_names_of_photographs_make_no_film(tmp_path, names, fps, said):
    frames = [{"file_path": name, "transform_matrix": EYE} for name in names]
    reading = read_cameras(save(tmp_path / "transforms.json", json.dumps({"fl_x": 500, "frames": frames})))
    assert reading.trajectory.fps == fps and reading.trajectory.numbers is None and reading.first is None
    told = [warning for warning in reading.warnings if "frames a second" in warning]
    assert len(told) == said and all("24 were assumed" in warning for warning in told)


def test_a_time_beyond_all_frames_is_no_frames_number():
    assert clock_of(torch.tensor([0.0, 0.1, 1e25], dtype=torch.float64), "seconds", 24.0).numbers is None
    assert clock_of(torch.tensor([0.0, 1.5, 1e20], dtype=torch.float64), "seconds", 24.0).numbers is None


def test_transforms_json_has_timestamps(tmp_path):
    frames = [{"file_path": f"a_{i}.png", "timestamp": 100 + i / 12.5, "transform_matrix": EYE} for i in (0, 1, 2, 5)]
    reading = read_cameras(save(tmp_path / "transforms.json", json.dumps({"fl_x": 500, "frames": frames})))
    assert reading.trajectory.fps == 12.5 and reading.trajectory.numbers == (0, 1, 2, 5)


def test_names_that_are_times_give_the_rate(tmp_path):
    """As TUM RGB-D and EuRoC name their pictures."""
    save(tmp_path / "cameras.txt", "1 PINHOLE 640 480 500 500 320 240\n")
    for names in (
        ["1305031102.175304.png", "1305031102.211214.png", "1305031102.243211.png"],
        ["1403636579763555584.png", "1403636579796888917.png", "1403636579830222250.png"],
    ):
        rows = "".join(f"{i} 1 0 0 0 {i} 0 0 1 {name}\n\n" for i, name in enumerate(names))
        save(tmp_path / "images.txt", rows)
        assert read_cameras(tmp_path).trajectory.fps == pytest.approx(29.7, rel=0.02)


# --- Gaps --------------------------------------------------------------------------------------------------------


def test_numbers_in_names():
    assert numbers_in(["a/frame_0007.png", "a/frame_0010.png"]) == ([7, 10], None)
    assert numbers_in(["DSC_1.JPG", "noname.JPG"]) == (None, None)
    assert numbers_in(["1_a.png", "1_b.png"]) == (None, None)
    assert numbers_in(["12.5.png", "13.png"])[1].tolist() == [12.5, 13.0]
    assert pattern_of("images/cam0/f_0001.png") == pattern_of("images/cam0/f_17.png") == "images/cam0/f_"
    assert pattern_of("left_0001.png") != pattern_of("right_0001.png")


@pytest.mark.parametrize("before", ["sh010_v003.", "plate_2.1.", "GX010123.MP4.", "sh_010.", "010."])
def test_a_number_before_the_frames_number_makes_no_time_of_it(tmp_path, before):
    names = [f"{before}{number}.exr" for number in (1001, 1002, 1005)]
    assert numbers_in(names) == ([1001, 1002, 1005], None)
    frames = [{"file_path": name, "transform_matrix": EYE} for name in names]
    reading = read_cameras(save(tmp_path / "transforms.json", json.dumps({"fl_x": 500, "frames": frames})))
    assert reading.trajectory.fps == 24 and reading.trajectory.numbers == (0, 1, 4)


@pytest.mark.parametrize("name", ["{:.6f}.png", "rgb-{:.6f}.png", "rgb/{:.6f}"])
def test_a_time_is_told_from_a_frames_number(name):
    for times in ([1305031102.175304, 1305031102.211214, 1305031102.243211], [0.0, 0.041667, 0.083333]):
        assert numbers_in([name.format(time) for time in times])[1].tolist() == times
    assert numbers_in(["frame_0.000.png", "frame_0.042.png", "frame_0.083.png"])[1].tolist() == [0.0, 0.042, 0.083]


def test_cameras_that_are_numbered_before_the_frame_are_several():
    assert pattern_of("cam1.0001.png") == pattern_of("cam1.0002.png") != pattern_of("cam2.0001.png")


HOLD_GAPS = [known.name for known in WRITTEN if "gaps" not in known.leaves_out and known.name not in ("usda", "gltf")]


@pytest.mark.parametrize("name", HOLD_GAPS)
def test_gaps_are_written_and_read_where_the_format_holds_them(tmp_path, name):
    numbers = (0, 1, 2, 5, 6, 9, 10, 11)
    known = format_named(name)
    path = tmp_path / f"out{known.suffix}"
    trajectory = drive(numbers=numbers)
    write_cameras(trajectory, path, format=name)
    reading = read_cameras(path, format=name)
    assert reading.trajectory.numbers == numbers
    named = "(4 to 5, 8 to 9)" if name in ("nuke_chan", "blender_py") else "(3 to 4, 7 to 8)"  # which count from 1
    if name == "after_effects":  # which numbers nothing
        named = "(3 to 4, 7 to 8, counted from 0)"
    assert name == "camera_path" or any(f"4 of 12 frames have no camera {named}" in line for line in reading.warnings)
    filled = read_cameras(path, format=name, assumed=Assumed(gaps="fill")).trajectory
    assert (len(filled) == 12 and filled.numbers is None) or name == "camera_path"
    assert "gaps" not in lost_in(trajectory, path, format=name)


@pytest.mark.parametrize("name", ["usda", "gltf"])
def test_keys_stand_at_their_time_in_animations(tmp_path, name):
    """Frames between are the program's to interpolate: the ones that were written are where they were."""
    numbers = (0, 1, 2, 5, 6, 9, 10, 11)
    trajectory = drive(numbers=numbers)
    (path,) = write_cameras(trajectory, tmp_path / f"a{format_named(name).suffix}")
    found = read_cameras(path).trajectory
    assert len(found) == 12 and found.fps == 25.0
    assert "the 4 gaps in time (programs interpolate over them)" in lost_in(trajectory, path)
    assert lost_in(drive(), path) == ""
    close(found.camera.center[list(numbers)], trajectory.camera.center)


def test_what_can_not_hold_gaps_says_so(tmp_path):
    assert "the 4 gaps in time" in lost_in(drive(numbers=(0, 1, 2, 5, 6, 9, 10, 11)), tmp_path / "a.kitti")
    assert lost_in(drive(), tmp_path / "a.json") == ""
    assert "written as metres" in lost_in(replace(drive(), unit="near_depth"), tmp_path / "camera_extrinsics.json")


def test_a_path_with_gaps_is_not_resampled_as_if_it_had_none():
    gapped = drive(numbers=(0, 1, 2, 5, 6, 9, 10, 11))
    for made in (lambda: gapped.resampled(5), lambda: replace(gapped, camera=gapped.camera[[0, 1]])):
        with pytest.raises(ValueError, match="the path has gaps .* filled or closed"):
            made()
    assert gapped[2:6].numbers == (0, 3, 4, 7) and gapped[::-1].numbers == (0, 1, 2, 5, 6, 9, 10, 11)
    assert len(gapped.filled()) == 12 and gapped.closed().numbers is None
    close(gapped.filled().camera.world_from_cam[[0, 1, 2, 5]], gapped.camera.world_from_cam[:4])
    between = se3.interpolate(gapped.camera.world_from_cam[2], gapped.camera.world_from_cam[3], 1 / 3)
    close(gapped.filled().camera.world_from_cam[3], between)


def test_photographs_are_no_clip(tmp_path):
    frames = [{"file_path": f"DSC{n:04d}.JPG", "transform_matrix": EYE} for n in (3, 90, 511, 2000)]
    reading = read_cameras(save(tmp_path / "transforms.json", json.dumps({"fl_x": 500, "frames": frames})))
    assert reading.trajectory.numbers is None and any("too few for a clip" in line for line in reading.warnings)


def test_images_txt_without_lines_of_points(tmp_path):
    """With points, with empty lines for them, and without any; a point's coordinates may be whole."""
    save(tmp_path / "cameras.txt", "1 PINHOLE 640 480 500 500 320 240\n")
    for between in ("\n", "10 20 -1 30 40 5 50 60 7 70\n", "10.5 20.25 -1\n", ""):
        rows = "".join(f"{n} 1 0 0 0 {-n} 0 0 1 {n:03d}.png\n{between}" for n in range(5))
        save(tmp_path / "images.txt", rows)
        close(read_cameras(tmp_path).trajectory.camera.center[:, 0], range(5))


# --- Several cameras ---------------------------------------------------------------------------------------------


def test_sizes_a_pixel_apart_are_one_clip(tmp_path):
    frames = [
        {
            "file_path": f"{n}.png",
            "transform_matrix": EYE,
            "w": 1280,
            "h": 720 - n % 2,
            "fl_x": 900,
            "cx": 640,
            "cy": 360,
        }
        for n in range(6)
    ]
    reading = read_cameras(save(tmp_path / "transforms.json", json.dumps({"frames": frames})))
    assert len(reading.trajectory) == 6 and reading.trajectory.camera.hw == (720, 1280)


def test_splits_of_a_data_set_are_one_camera(tmp_path):
    names = [f"{'test' if n % 4 == 0 else 'train'}/r_{n}.png" for n in range(9)]
    frames = [{"file_path": name, "transform_matrix": EYE} for name in names]
    values = {"camera_angle_x": 1.0, "frames": frames}
    reading = read_cameras(save(tmp_path / "transforms.json", json.dumps(values)))
    assert len(reading.trajectory) == 9 and reading.trajectory.numbers is None


def test_two_prefixes_are_two_cameras(tmp_path):
    save(tmp_path / "cameras.txt", "1 PINHOLE 640 480 500 500 320 240\n2 PINHOLE 640 480 510 510 320 240\n")
    rows = [(f"left_{n}.png", 1, -n) for n in range(4)] + [(f"right_{n}.png", 2, -n - 10) for n in range(4)]
    save(tmp_path / "images.txt", "".join(f"{i} 1 0 0 0 {x} 0 0 {c} {name}\n\n" for i, (name, c, x) in enumerate(rows)))
    reading = read_cameras(tmp_path)
    assert any("left_ (4 frames), right_ (4 frames)" in line for line in reading.warnings)
    close(reading.trajectory.camera.center[:, 0], range(4))
    for track in ("right_", "camera 2"):
        close(read_cameras(tmp_path, assumed=Assumed(track=track)).trajectory.camera.center[:, 0], range(10, 14))


USD = '#usda 1.0\n(\n upAxis = "Y"\n metersPerUnit = 1\n)\n'


def usd_camera(name, x, head=""):
    return (
        f'def Camera "{name}"{head}\n{{\n double3 xformOp:translate = ({x}, 0, 0)\n'
        ' uniform token[] xformOpOrder = ["xformOp:translate"]\n}\n'
    )


@pytest.mark.parametrize(("track", "x"), [("", 1), ("b", 2), ("rig/b", 2), ("/rig/a", 1)])
def test_usd_cameras_are_chosen_by_name(tmp_path, track, x):
    text = USD + 'def Xform "rig"\n{\n' + usd_camera("a", 1) + usd_camera("b", 2) + "}\n"
    reading = read_cameras(save(tmp_path / "a.usda", text), assumed=Assumed(track=track))
    close(reading.trajectory.camera.center[:, 0], [x])
    assert any("rig/a, rig/b" in line for line in reading.warnings) == (track == "")
    moving = usd_camera("b", 2).replace(" = (2, 0, 0)", ".timeSamples = { 1: (2, 0, 0), 2: (4, 0, 0) }")
    reading = read_cameras(
        save(tmp_path / "b.usda", USD + usd_camera("a", 1) + moving), assumed=Assumed(track=track[-1:])
    )
    close(reading.trajectory.camera.center[:, 0], [1] if track.endswith("a") else [2, 4])


@pytest.mark.parametrize(("track", "x"), [("", 1), ("node 1", 2), ("hero", 1)])
def test_gltf_cameras_are_chosen_by_name(tmp_path, track, x):
    nodes = [{"camera": 0, "name": "hero", "translation": [1, 0, 0]}, {"camera": 0, "translation": [2, 0, 0]}]
    camera = {"type": "perspective", "perspective": {"yfov": 1, "znear": 0.1}}
    values = {"asset": {"version": "2.0"}, "nodes": nodes, "cameras": [camera]}
    path = save(tmp_path / "a.gltf", json.dumps(values))
    close(read_cameras(path, assumed=Assumed(track=track)).trajectory.camera.center[:, 0], [x])
    with pytest.raises(CameraFormatError, match="'villain', it has hero, node 1"):
        read_cameras(path, assumed=Assumed(track="villain"))


def test_of_several_gltf_cameras_the_first_that_moves_is_taken(tmp_path):
    animated = drive(3)
    write_cameras(animated, tmp_path / "a.gltf")
    values = json.loads((tmp_path / "a.gltf").read_text())
    values["cameras"].append(values["cameras"][0])
    values["nodes"].append({"name": "still", "camera": len(values["cameras"]) - 1})
    still = len(values["nodes"]) - 1
    values["nodes"][0], values["nodes"][still] = values["nodes"][still], values["nodes"][0]
    for channel in values["animations"][0]["channels"]:
        if channel["target"].get("node") == 0:
            channel["target"]["node"] = still
    reading = read_cameras(save(tmp_path / "b.gltf", json.dumps(values)))
    close(reading.trajectory.camera.center, animated.camera.center)
    assert any("the first that moves" in line for line in reading.warnings)


def test_of_several_models_of_a_project_the_largest_is_taken(tmp_path):
    for number, frames in (("0", 2), ("1", 5)):
        write_cameras(drive(frames), tmp_path / "sparse" / number, format="colmap")
    reading = read_cameras(tmp_path)
    assert len(reading.trajectory) == 5
    assert any("sparse holds 2 models (0, 1), each in axes of its own: 1, the largest" in w for w in reading.warnings)
    first = read_cameras(tmp_path / "sparse" / "0")
    assert len(first.trajectory) == 2 and "models" not in first.text


# --- Directions and quaternions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["poses.npy", "poses.txt", "rows.txt"])
def test_bare_matrices_are_judged_told_and_turned_by_a_switch(tmp_path, name):
    c2w = drive().camera.world_from_cam
    for way, matrices in (("c2w", c2w), ("w2c", se3.inverse(c2w))):
        if name.endswith(".npy"):
            np.save(tmp_path / name, matrices.numpy())
        else:
            rows = matrices[:, :3] if name.startswith("poses") else matrices
            np.savetxt(tmp_path / name, rows.flatten(1).numpy())
        reading = read_cameras(tmp_path / name)
        close(reading.trajectory.camera.center, drive().camera.center)
        assert f"({way})" in reading.text and "much more evenly" in reading.text
        told = read_cameras(tmp_path / name, assumed=Assumed(direction=way))
        close(told.trajectory.camera.center, drive().camera.center)
        wrong = read_cameras(tmp_path / name, assumed=Assumed(direction="c2w" if way == "w2c" else "w2c"))
        assert any("other way round" in line for line in wrong.warnings)


def test_the_name_of_a_file_or_an_array_says_the_direction(tmp_path):
    still = se3.inverse(drive(3).camera.world_from_cam).numpy()  # too short to be judged by its motion
    np.save(tmp_path / "w2c.npy", still)
    np.save(tmp_path / "x.npy", still)
    close(read_cameras(tmp_path / "w2c.npy").trajectory.camera.center, drive(3).camera.center)
    close(read_cameras(tmp_path / "x.npy").trajectory.camera.world_from_cam, still)
    np.savez(tmp_path / "a.npz", world_to_cam=still, K=np.array([500.0, 500.0, 416.0, 240.0]))
    reading = read_cameras(tmp_path / "a.npz")
    close(reading.trajectory.camera.center, drive(3).camera.center)
    close(reading.trajectory.camera.focal, [(500, 500)] * 3)


# --- Text and recognition ----------------------------------------------------------------------------------------

EQUIRECTANGULAR = json.dumps(
    {"camera_type": "equirectangular", "render_height": 48, "render_width": 96, "fps": 24}
    | {"camera_path": [{"camera_to_world": list(np.eye(4).ravel()), "fov": 50, "aspect": 2}]}
)
ROWS = "0.0 1 0 0 0 0 0 1\n0.1 2 0 0 0 0 0 1\n0.2 3 0 0 0 0 0 1\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [" ", ",", "; ", "\t"])
@pytest.mark.parametrize("heading", ["", "timestamp tx ty tz qx qy qz qw\n", "# time\n\n"])
def test_text_in_every_dress(tmp_path, encoding, end, mark, heading):
    text = heading.replace(" ", mark) + ROWS.replace(" ", mark)
    path = save(tmp_path / "traj.txt", text.replace("\n", end).encode(encoding))
    reading = read_cameras(path)
    assert reading.format == "tum" and reading.trajectory.fps == 10
    close(reading.trajectory.camera.center[:, 0], (1, 2, 3))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_in_every_dress(tmp_path, encoding):
    values = {
        "fl_x": 500,
        "train_filenames": ["x" * 50] * 500,
        "frames": [{"file_path": "1.png", "transform_matrix": EYE}],
    }
    path = save(tmp_path / "a.json", json.dumps(values).encode(encoding))
    assert read_cameras(path).format == "nerfstudio"


def test_a_folder_with_one_file_of_cameras_is_that_file(tmp_path):
    save(tmp_path / "notes.txt", "about this shot\n")
    save(tmp_path / "shot.tum", ROWS)
    assert read_cameras(tmp_path).format == "tum"
    save(tmp_path / "other.kitti", "1 0 0 0 0 1 0 0 0 0 1 0\n")
    with pytest.raises(
        CameraFormatError, match="expected one file of cameras in the folder, found other.kitti, shot.tum"
    ):
        read_cameras(tmp_path)


def test_what_an_estimator_put_into_folders_is_found(tmp_path):
    """ViPE's pose/ and intrinsics/, CUT3R's camera/ beside depth/, VGGT's one file; a link to a folder is not followed."""
    c2w = drive(5).camera.world_from_cam.numpy()
    for folder in ("vipe/pose", "vipe/intrinsics", "cut3r/camera", "cut3r/depth", "vggt", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    np.savez(tmp_path / "vipe/pose/clip.npz", data=c2w, inds=np.arange(5))
    np.savez(tmp_path / "vipe/intrinsics/clip.npz", data=np.tile((500.0, 500.0, 416.0, 240.0), (5, 1)))
    for frame in range(5):
        np.savez(tmp_path / f"cut3r/camera/{frame:06d}.npz", pose=c2w[frame])
        np.save(tmp_path / f"cut3r/depth/{frame:06d}.npy", np.ones((4, 6)))
    np.savez(tmp_path / "vggt/predictions.npz", extrinsic=np.linalg.inv(c2w)[:, :3], depth=np.ones((5, 4, 6, 1)))
    for name in ("vipe", "cut3r", "vggt"):
        close(read_cameras(tmp_path / name).trajectory.camera.center, drive(5).camera.center)
    close(read_cameras(tmp_path / "vipe").trajectory.camera.focal, [(500, 500)] * 5)
    (tmp_path / "elsewhere" / "pose").symlink_to(tmp_path / "vipe" / "pose")
    with pytest.raises(CameraFormatError, match="elsewhere: expected cameras"):
        read_cameras(tmp_path / "elsewhere")
    np.savez(tmp_path / "vggt/second.npz", extrinsic=c2w[:, :3])
    with pytest.raises(CameraFormatError, match="found predictions.npz, second.npz: name one"):
        read_cameras(tmp_path / "vggt")


def test_scannets_poses_are_read_with_the_intrinsics_beside_them(tmp_path):
    """By the folder of poses as by the scan; frames without a pose are gaps; a folder of another name looks nowhere."""
    c2w = drive(5).camera.world_from_cam.numpy()
    for folder, place in (("scan", "pose"), ("other", "frames")):
        for frame in range(5):
            matrix = c2w[frame] if frame != 2 else np.full((4, 4), -np.inf)
            save(tmp_path / folder / place / f"{frame}.txt", "\n".join(" ".join(map(str, row)) for row in matrix))
        save(tmp_path / folder / "intrinsic" / "intrinsic_color.txt", "500 0 410 0\n0 500 250 0\n0 0 1 0\n0 0 0 1\n")
    for name in ("scan", "scan/pose"):
        found = read_cameras(tmp_path / name).trajectory
        assert found.frame_numbers == (0, 1, 3, 4)
        close(found.camera.center, drive(5).camera.center[[0, 1, 3, 4]])
        close(found.camera.K[0], [(500, 0, 410), (0, 500, 250), (0, 0, 1)])
    assert "K: assumed" in read_cameras(tmp_path / "other/frames").text


def test_places_that_float32_cannot_hold_are_said(tmp_path):
    """A camera on the ground in the earth's axes: float32 counts in steps of half a metre there."""
    path = drive(5)
    far = se3.from_rotation_translation(torch.eye(3, dtype=torch.float64), torch.tensor([0.3, 6378137.1, 2e5]).double())
    away = replace(path, camera=replace(path.camera, world_from_cam=far @ path.camera.world_from_cam))
    assert "last digits of its places (up to 0." in lost_in(away, tmp_path / "shot.glb")
    assert "digits" not in lost_in(path, tmp_path / "shot.glb") + lost_in(away, tmp_path / "shot.usda")


def test_scannets_intrinsics_are_of_pictures_twice_their_principal_point_large(tmp_path):
    """Those of 1296 x 968, where 832 x 480 was assumed; the size that is given wins."""
    for frame in range(3):
        save(tmp_path / f"scan/pose/{frame}.txt", "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    matrix = "1165.723 0 649.094971 0\n0 1165.738 484.765015 0\n0 0 1 0\n0 0 0 1\n"
    save(tmp_path / "scan/intrinsic/intrinsic_color.txt", matrix)
    reading = read_cameras(tmp_path / "scan")
    assert reading.trajectory.camera.hw == (970, 1298)
    assert "1298x970 was taken, twice the principal point" in reading.text
    given = read_cameras(tmp_path / "scan", assumed=Assumed(hw=(968, 1296)))
    assert given.trajectory.camera.hw == (968, 1296) and not given.warnings
    close(given.trajectory.camera.K[0], [[1165.723, 0, 649.094971], [0, 1165.738, 484.765015], [0, 0, 1]])


@pytest.mark.parametrize("mark", [" ", ";", "\t"])
def test_decimal_commas_are_decimal_points(tmp_path, mark):
    rows = "0,0 1,5 0 0 0 0 0 1\n0,1 2,5 0 0 0 0 0 1\n0,2 3,5 0 0 0 0 0 1,0\n"
    reading = read_cameras(save(tmp_path / "traj.txt", rows.replace(" ", mark)))
    assert reading.format == "tum" and reading.trajectory.fps == 10
    close(reading.trajectory.camera.center[:, 0], (1.5, 2.5, 3.5))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", '{"foo": 1, "bar": [2]}', "JSON with the keys bar, foo"),
        ("a.csv", "1,2,3,4,5\n6,7,8,9,10\n", "rows of 5 numbers"),
        ("a.fbx", b"Kaydara FBX Binary  \0", "FBX.*export the camera as .glb or .usda"),
        ("a.camera_path.json", EQUIRECTANGULAR, "camera_type: expected perspective, found 'equirectangular'"),
        ("a.usd", b"PXR-USDC\0\0", "usdcat IN --out OUT.usda"),
        ("a.pkl", b"\x80\x04\x95", "pickle, which may run code"),
        ("a.blend", b"BLENDER-v404", "Blender file"),
        ("a.zip", b"nothing", "begins with 'nothing'"),
    ],
)
def test_refusals_say_what_was_found(tmp_path, name, content, said):
    file = save(tmp_path / name, content)
    for asked in (file, tmp_path):  # the folder that holds it alone as well
        with pytest.raises(CameraFormatError, match=said) as caught:
            read_cameras(asked)
        assert "camera_path, colmap" not in str(caught.value)


def test_no_format_takes_the_file_of_another(tmp_path):
    """Whatever is written is recognised as itself."""
    for known in WRITTEN:
        path = tmp_path / known.name / f"shot{known.suffix}"
        path.parent.mkdir()
        trajectory = replace(drive(), unit="near_depth") if known.name == "scope" else drive()
        write_cameras(trajectory, path, format=known.name)
        assert read_cameras(path).format == known.name


def test_a_format_that_is_only_read_says_so(tmp_path):
    only = [known for known in FORMATS if known.write is None]
    assert len(only) == 12
    for known in only:
        with pytest.raises(CameraFormatError, match="is only read here"):
            write_cameras(drive(), tmp_path / "x", format=known.name)


def test_choices_are_checked():
    for wrong in ({"gaps": "skip"}, {"direction": "c2c"}, {"quaternions": "zyxw"}):
        with pytest.raises(ValueError, match="is one of"):
            Assumed(**wrong)
    assert sensor_named("36x24") == (36.0, 24.0) and sensor_named("") is None
    for wrong in ("36", "0x24", "axb", "36x-1"):
        with pytest.raises(ValueError, match="sensor"):
            sensor_named(wrong)


# --- Size --------------------------------------------------------------------------------------------------------


def peak_mb(action):
    tracemalloc.start()
    result = action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, peak / 2**20


def test_a_usda_with_geometry_is_read_for_its_camera_in_little_memory(tmp_path):
    """Arrays with brackets, quotes and marks of comments in their texts, on one line and on many."""
    row = "(1.25, -3.5, 0.125), " * 40
    texts = '["a]b", "c\\"[", \'#\', "@"] ( doc = """ ] [ """ )'
    path = tmp_path / "big.usda"
    with path.open("w") as file:
        file.write(USD + 'def Mesh "m"\n{\n token[] names = ' + texts + "\n point3f[] points = [")
        for _ in range(20_000):
            file.write(row + "# ] a comment\n" if _ % 5000 == 0 else row)
        file.write("]\n int[] small = [1, 2, 3]\n}\n" + usd_camera("c", 5))
    assert path.stat().st_size > 16 * 2**20
    reading, peak = peak_mb(lambda: read_cameras(path))
    close(reading.trajectory.camera.center[:, 0], [5])
    assert peak < 12.0
    save(tmp_path / "bad.usda", path.read_text().replace("int[] small", "]"))
    with pytest.raises(CameraFormatError, match="line"):
        read_cameras(tmp_path / "bad.usda")


def test_a_glb_with_geometry_is_read_for_its_camera_in_little_memory(tmp_path):
    (path,) = write_cameras(drive(), tmp_path / "a.glb")
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    start = 20 + length
    extra = 400 * 2**20
    size = struct.unpack_from("<I", data, start)[0]
    values = json.loads(data[20 : 20 + length])
    values["buffers"][0]["byteLength"] = size + extra
    text = json.dumps(values).encode()
    text += b" " * (-len(text) % 4)
    with (tmp_path / "big.glb").open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 20 + len(text) + 8 + size + extra))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", size + extra, b"BIN\0"))
        file.write(data[start + 8 : start + 8 + size])
        file.truncate(28 + len(text) + size + extra)
    reading, peak = peak_mb(lambda: read_cameras(tmp_path / "big.glb"))
    close(reading.trajectory.camera.center, drive().camera.center)
    assert peak < 5.0


def test_a_usdz_holds_a_layer(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.usdz", "w") as archive:
        archive.writestr("shot.usda", USD + usd_camera("c", 3))
    close(read_cameras(tmp_path / "a.usdz").trajectory.camera.center[:, 0], [3])
    with zipfile.ZipFile(tmp_path / "b.usdz", "w") as archive:
        archive.writestr("shot.usdc", b"PXR-USDC\0\0")
    with pytest.raises(CameraFormatError, match="usdcat IN --flatten"):
        read_cameras(tmp_path / "b.usdz")


def test_an_npz_is_unpacked_no_further_than_it_is_needed(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in (("images", (4, 8000, 8000)), ("cam_c2w", (4, 4, 4))):
            header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
            head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            body = bytes(300 * 2**20) if name == "images" else np.tile(np.eye(4), (4, 1, 1)).tobytes()
            archive.writestr(f"{name}.npy", head + body)
    reading, peak = peak_mb(lambda: read_cameras(tmp_path / "bomb.npz"))
    assert len(reading.trajectory) == 4 and peak < 5.0


# --- Lenses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lens", "model"),
    [
        ("OPENCV_FISHEYE 640 480 300 300 320 240 0 0 0 0", "OPENCV_FISHEYE"),
        ("SIMPLE_FISHEYE 640 480 300 320 240", "SIMPLE_FISHEYE"),
        ("FISHEYE 640 480 300 300 320 240", "FISHEYE"),
        ("EUCM 640 480 300 300 320 240 0.6 1.1", "EUCM"),
        ("SIMPLE_DIVISION 640 480 300 320 240 -0.3", "SIMPLE_DIVISION"),
        ("DIVISION 640 480 300 300 320 240 -0.3", "DIVISION"),
        ("FOV 640 480 300 300 320 240 1.0", "FOV"),
        ("THIN_PRISM_FISHEYE 640 480 300 300 320 240 0 0 0 0 0 0 0 0", "THIN_PRISM_FISHEYE"),
        ("RADIAL 640 480 300 320 240 -0.4 0.1", "RADIAL"),
    ],
)
def test_each_lens_of_colmap_is_named_and_undistorted(tmp_path, lens, model):
    save(tmp_path / "cameras.txt", f"1 {lens}\n")
    save(tmp_path / "images.txt", "1 1 0 0 0 0 0 0 1 1.png\n\n")
    with pytest.raises(CameraFormatError, match=f"its {model} lens distortion .* undistort"):
        read_cameras(tmp_path)
    reading = read_cameras(tmp_path, assumed=Assumed(undistort=True))
    camera = reading.trajectory.camera
    assert float(camera.fov[0, 0]) < pi and camera.K[0, :2, 2].tolist() == [320.0, 240.0]
    assert reading.lenses[0].model == model and reading.names == ("1.png",)
    save(tmp_path / "cameras.txt", "1 EQUIRECTANGULAR 640 480 640 480\n")
    with pytest.raises(CameraFormatError, match="EQUIRECTANGULAR.*panorama"):
        read_cameras(tmp_path)

"""Camera files as people really have them: small files in the form that public reports and tools show, and their true
cameras (golden/cameras/reports/truth.json: 12 frames of 1280x720, OpenCV axes, focal length 900 pixels)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from raxel_core.camera_io import read_cameras
from raxel_core.camera_io.reading import Assumed, CameraFormatError
from raxel_core.geometry import se3

REPORTS = Path(__file__).parents[1] / "golden" / "cameras" / "reports"
TRUTH = json.loads((REPORTS / "truth.json").read_text())
TRUE = torch.tensor(TRUTH["world_from_cam"], dtype=torch.float64)
HW = (720, 1280)
K = ((900, 0, 640), (0, 900, 360), (0, 0, 1))
ALL = tuple(range(12))


def read(name, **assumed):
    return read_cameras(REPORTS / name, assumed=Assumed(hw=HW, **assumed))


def close(found, expected, tolerance=2e-6):
    expected = torch.as_tensor(expected, dtype=torch.float64)
    assert found.shape == expected.shape
    assert float((found.double() - expected).abs().max()) <= tolerance * (float(expected.abs().max()) or 1.0)


def assert_path(trajectory, frames=ALL):
    """The true cameras `frames`, relative to the first of them: some formats have a world of their own."""
    assert len(trajectory) == len(frames)
    found = trajectory.relative_to(0).camera.world_from_cam
    close(found, se3.relative(TRUE[frames[0]], TRUE[list(frames)]))


# name -> format, whether the file holds K, and the rate; every one of the true cameras.
WHOLE = {
    "100-meshroom/cameras.sfm": ("meshroom", True, 24),
    "101-metashape/cameras.xml": ("metashape", True, 24),
    "121-usd-houdini-subframes/shot.usda": ("usda", True, 24),
    "133-usd-inactive/shot.usda": ("usda", True, 24),
    "160-tum-utf16/traj.txt": ("tum", False, 30),
    "191-vipe/pose/clip.npz": ("arrays", False, 24),
    "192-cut3r": ("arrays", True, 24),
    "193-kitti-csv/poses.csv": ("kitti", False, 24),
    "20-ns": ("nerfstudio", True, 24),
    "24-ns-export-cameras/transforms_train.json": ("nerfstudio", False, 24),
    "32-scaled/transforms.json": ("nerfstudio", True, 24),
    "51-tum-commas/traj.txt": ("tum", False, 30),
    "53-tum-ns/f_dataset.txt": ("tum", False, 30),
    "63-kitti360/poses.txt": ("matrix_rows", False, 24),
    "65-kitti360-cam0/cam0_to_world.txt": ("matrix_rows", False, 24),
    "66-scannet-pose": ("matrix_files", False, 24),
    "67-open3d-log/trajectory.log": ("matrix_files", False, 24),
    "68-open3d-json/trajectory.json": ("open3d", True, 24),
    "73-videoxfun/Pan_Left.txt": ("realestate10k", True, 24),
    "80-npz/b.npy": ("arrays", False, 24),
    "80-npz/f32.npy": ("arrays", False, 24),
    "80-npz/megasam.npz": ("arrays", True, 24),
    "80-npz/poses7.npy": ("arrays", False, 24),
    "80-npz/poses_bounds.npy": ("llff", True, 24),
    "80-npz/predictions.npz": ("arrays", True, 24),
    "80-npz/results.npz": ("arrays", True, 24),
    "80-npz/w2c.npy": ("arrays", False, 24),
    "95-chan-variants/axis7.chan": ("nuke_chan", False, 24),
    "95-chan-variants/f1001.chan": ("nuke_chan", False, 24),
    "95-chan-variants/floatframe.chan": ("nuke_chan", False, 24),
    "95-chan-variants/step2.chan": ("nuke_chan", False, 24),
    "95-chan-variants/comma.chan": ("nuke_chan", False, 24),
    "96-3dgs-cameras-json/cameras.json": ("splat_cameras", True, 24),
    "98-opensfm/reconstruction.json": ("opensfm", True, 24),
    "99-openmvg/sfm_data.json": ("openmvg", True, 24),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_true_cameras_are_read(name):
    format, has_K, fps = WHOLE[name]
    reading = read(name)
    assert reading.format == format and reading.trajectory.fps == fps and reading.trajectory.numbers is None
    assert_path(reading.trajectory)
    if has_K:
        close(reading.trajectory.camera.K, [K] * 12)
        assert reading.trajectory.camera.hw == HW
    else:
        assert "assumed" in reading.text or "vertical angle" in reading.text


def test_subframe_samples_are_read_at_whole_frames():
    """The camera stands at TRUE[0] at 1001; a quarter frame early it would stand 0.025 to the left."""
    close(read("121-usd-houdini-subframes/shot.usda").trajectory.camera.world_from_cam[0], TRUE[0])


def test_an_explicit_rate_wins_over_the_files_and_says_so():
    reading = read("51-tum-commas/traj.txt", fps=25.0)
    assert reading.trajectory.fps == 25 and "25 frames a second, as given; the file says 30." in reading.text


def test_times_in_another_unit_are_said():
    assert any("nanoseconds" in warning for warning in read("53-tum-ns/f_dataset.txt").warnings)


def test_unregistered_frames_are_gaps_that_are_kept_filled_or_closed():
    registered = (0, 1, 2, 6, 7, 8, 10, 11)
    kept, filled, closed = (read("06-colmap-gaps", gaps=choice) for choice in ("keep", "fill", "close"))
    assert kept.trajectory.numbers == registered
    for reading in (kept, filled, closed):
        assert any("4 of 12 frames have no camera (3 to 5, 9)" in warning for warning in reading.warnings)
    assert_path(kept.trajectory, registered)
    assert_path(closed.trajectory, registered)
    assert closed.trajectory.numbers is None and filled.trajectory.numbers is None and len(filled.trajectory) == 12
    assert_path(filled.trajectory[6:9], (6, 7, 8))
    # Half way between frames 8 and 10 on the screw that joins them.
    close(filled.trajectory.camera.world_from_cam[9], se3.interpolate(TRUE[8], TRUE[10], 0.5))


@pytest.mark.parametrize(
    ("name", "track", "frames", "size"),
    [
        ("03-colmap-two-sizes", "", ALL[::2], (720, 1280)),
        ("03-colmap-two-sizes", "1920x1080", ALL[1::2], (1080, 1920)),
        ("03-colmap-two-sizes", "camera 2", ALL[1::2], (1080, 1920)),
        ("03-colmap-two-sizes", "all", ALL, (720, 1280)),
        ("21-ns-sizes/transforms.json", "1280x720", ALL[1::2], (720, 1280)),
        ("22-ns-portrait-mix/transforms.json", "", ALL[1:], (720, 1280)),
        ("39-stereo/transforms.json", "cam1", None, (720, 1280)),
    ],
)
def test_of_several_cameras_one_is_chosen_and_the_others_named(name, track, frames, size):
    reading = read(name, track=track)
    assert reading.trajectory.camera.hw == size
    if frames is not None:
        assert_path(reading.trajectory, frames)
    if not track:
        assert any("several cameras" in warning for warning in reading.warnings)


def test_a_track_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(CameraFormatError, match="expected the track 'left', it has cam0, cam1"):
        read("39-stereo/transforms.json", track="left")
    with pytest.raises(CameraFormatError, match="expected pictures of one aspect"):
        read("22-ns-portrait-mix/transforms.json", track="all")


def test_a_fisheye_is_named_refused_and_undistorted():
    with pytest.raises(CameraFormatError, match="OPENCV_FISHEYE .* undistort"):
        read("27-ingp-fisheye/transforms.json")
    reading = read("27-ingp-fisheye/transforms.json", undistort=True)
    assert_path(reading.trajectory)
    # theta (1 + 0.03 theta^2 - 0.004 theta^4) = 359.2 / 900 at the upper border: theta = 0.3973, whose tangent times
    # the aspect, 16 / 9, is that of half the widest angle; to the left there would be room for more.
    assert float(torch.rad2deg(reading.trajectory.camera.fov[0, 0])) == pytest.approx(73.45, abs=0.1)
    assert "trajectory undistort" in reading.text


def test_w_first_is_doubted_and_read_by_switch():
    assert any("w x y z" in warning for warning in read("55-tum-wxyz/traj.txt").warnings)
    reading = read("55-tum-wxyz/traj.txt", quaternions="wxyz")
    assert_path(reading.trajectory)
    assert "frame numbers" in reading.text


def test_the_sensor_of_blenders_chan_is_a_switch():
    """50.73 degrees over 24 mm are 25.31 mm, which on 36 mm are 900 of 1280 pixels."""
    close(read("95-chan-variants/f1001.chan", sensor=(36.0, 24.0)).trajectory.camera.K, [K] * 12)
    assert "sensor" in read("95-chan-variants/f1001.chan").text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("58-nine/traj.txt", "rows of 9 numbers"),
        ("109-abc/cam.abc", "Alembic.*export the camera as .glb or .usda"),
        ("110-nk/cam.nk", "Nuke script.*write a .chan"),
        ("131-usd-spline/shot.usda", "spline, which is not read: export the camera with time samples"),
    ],
)
def test_a_refusal_says_what_was_found_and_the_way_out(name, said):
    with pytest.raises(CameraFormatError, match=said) as caught:
        read(name)
    assert len(str(caught.value)) < 300


def test_an_operation_along_one_axis():
    """translateX 1 at time code 1 and 2 at 12."""
    reading = read("130-usd-translateX/shot.usda")
    close(reading.trajectory.camera.center[:, 0], torch.linspace(1, 2, 12, dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "format", "focal"),
    [
        ("102-realitycapture-csv/cams.csv", "reality_capture", 25 / 36 * 1280),
        ("103-bundler/bundle.out", "bundler", 900),
        ("105-ae-keyframe-data/ae.txt", "after_effects_keys", 900),
        ("106-earth-studio/shot.json", "earth_studio", 360 / 0.3057306814586604),
    ],
)
def test_a_camera_that_stands_or_drives_straight(name, format, focal):
    reading = read(name)
    assert (reading.format, len(reading.trajectory)) == (format, 12)
    close(reading.trajectory.camera.focal, [(focal, focal)] * 12)
    moved = reading.trajectory.relative_to(0).camera.center[-1]
    close(moved, (0.11, 0, 0) if "105" in name else (0, 0, 0))

"""Poses as loggers, estimators and people at a keyboard leave them: headed columns, clocks, lost frames, doubled and
unsorted rows, stacked matrices, JSON, K in a file beside. The true path is made here; quaternions are scipy's."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from raxel_core.camera_io import read_cameras
from raxel_core.camera_io.reading import Assumed, CameraFormatError

F = 9
STEPS = np.linspace(0.0, 1.0, F)
C2W = np.tile(np.eye(4), (F, 1, 1))
C2W[:, :3, :3] = Rotation.from_euler(
    "xyz", np.stack([3 + 8 * STEPS, 50 * STEPS - 30, 4 * STEPS**2], 1), degrees=True
).as_matrix()
C2W[:, :3, 3] = np.stack([2 + STEPS, 0.4 * STEPS**2, 5 - 2 * STEPS], 1)
PLACES, TURNS = C2W[:, :3, 3], Rotation.from_matrix(C2W[:, :3, :3]).as_quat()
K = [[700.0, 0.0, 416.0], [0.0, 700.0, 240.0], [0.0, 0.0, 1.0]]
LOST = [0, 1, 2, 5, 6, 7, 8]


def rows(*columns, order=range(F), sep=","):
    """A line a frame: numbers of each of the columns [F] or [F, N]; text as it is."""
    lines = []
    for i in order:
        cells = [c[i] if isinstance(c[i], str) else " ".join(f"{v:.12g}" for v in np.ravel(c[i])) for c in columns]
        lines.append(" ".join(cells).replace(" ", sep))
    return "\n".join(lines) + "\n"


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def read(path, content=None, **assumed):
    return read_cameras(path if content is None else save(path, content), assumed=Assumed(**assumed))


def check(reading, kept=range(F), *, fps=None, numbers=None):
    """The cameras are those of the frames `kept`."""
    found = reading.trajectory.camera.world_from_cam.numpy()
    assert found.shape == (len(list(kept)), 4, 4), reading.text
    assert np.abs(found - C2W[list(kept)]).max() < 1e-9
    assert fps is None or abs(reading.trajectory.fps - fps) < 1e-3 * fps, reading.text
    assert reading.trajectory.frame_numbers == tuple(numbers or range(len(found)))


TIMES = [f"{i / 30:.6f}" for i in range(F)]
NANOSECONDS = [str(1_700_000_000_000_000_000 + i * 50_000_000) for i in range(F)]
HEADED = {
    "w first": ("timestamp,qw,qx,qy,qz,tx,ty,tz\n", (TIMES, TURNS[:, [3, 0, 1, 2]], PLACES), 30),
    "places last": ("time [s],qx,qy,qz,qw,x [m],y [m],z [m]\n", (TIMES, TURNS, PLACES), 30),
    "Stray Scanner": ("timestamp, frame, x, y, z, qx, qy, qz, qw\n", (TIMES, range(F), PLACES, TURNS), 30),
    "rostopic": (
        "%time,field.header.seq,field.header.frame_id,field.pose.position.x,field.pose.position.y,field.pose.position.z,"
        "field.pose.orientation.x,field.pose.orientation.y,field.pose.orientation.z,field.pose.orientation.w\n",
        (NANOSECONDS, range(F), ["map"] * F, PLACES, TURNS), 20,
    ),
    "velocities": (
        "t,vx,vy,vz,linear_velocity_x,px,py,pz,q_x,q_y,q_z,q_w,angular_velocity_x\n",
        (TIMES, np.ones((F, 4)), PLACES, TURNS, np.ones(F)), 30,
    ),
    "ISO": ("timestamp,tx,ty,tz,qx,qy,qz,qw\n",
            ([f"2024-05-01T12:{59 + i // 5:02d}:{i % 5 * 12:02d}.5Z" if i < 5 else f"2024-05-01T13:00:{(i - 5) * 12:02d}.5Z"
              for i in range(F)], PLACES, TURNS), 1 / 12),
    "clock": ("time,tx,ty,tz,qx,qy,qz,qw\n", ([f"09:59:59.{i}" for i in range(F)], PLACES, TURNS), 10),
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADED)
def test_columns_are_told_by_their_headings(tmp_path, kind):
    heading, columns, fps = HEADED[kind]
    reading = read(tmp_path / "poses.csv", heading + rows(*columns))
    check(reading, fps=fps)
    assert reading.format == "headed"


def test_a_heading_of_frame_numbers_leaves_gaps_and_blank_cells_are_lost_frames(tmp_path):
    lines = rows(range(F), PLACES, TURNS).splitlines()
    lines[3], lines[4] = "3" + "," * 7, "4,nan" + ",0" * 6
    reading = read(tmp_path / "poses.csv", "frame,x,y,z,qx,qy,qz,qw\n" + "\n".join(lines) + "\n")
    check(reading, LOST, numbers=LOST)
    assert "2 of 9 frames have no pose" in reading.text and "(3 to 4)" in reading.text


HEAD = "time,tx,ty,tz,qx,qy,qz,qw,n\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HEAD + "0,1,2\n", "line 2: expected the 9 columns time, tx, .*found 3"),
        (HEAD + "2024-13-01T00:00:00Z,0,0,0,0,0,0,1,1\n", "line 2: expected a date, found '2024-13-01"),
        (HEAD + "0,a,0,0,0,0,0,1,1\n", "line 2: expected a number, found 'a'"),
        (HEAD + "0,0,0,0,2,0,0,1,1\n", "line 2: expected a quaternion of length 1"),
        (HEAD + ",0,0,0,0,0,0,0,\n", "none of its 1 frames has a pose"),
        (HEAD, "expected from 1 to 100000 frames, found 0"),
    ],
)
def test_rows_that_do_not_fit_their_heading_are_named(tmp_path, content, told):
    with pytest.raises(CameraFormatError, match=told):
        read(tmp_path / "poses.csv", content)


def test_a_comment_ends_a_line(tmp_path):
    text = rows(TIMES, PLACES, TURNS, sep=" ").replace("\n", "  # as filmed\n")
    check(read(tmp_path / "traj.txt", text), fps=30)


# --- Times that do not rise ---------------------------------------------------------------------------------------


def test_rows_are_put_in_the_order_of_their_times_and_said_so(tmp_path):
    reading = read(tmp_path / "traj.txt", rows(TIMES, PLACES, TURNS, order=[4, 5, 6, 7, 8, 0, 1, 2, 3], sep=" "))
    check(reading, fps=30)
    assert "put in the order of their times" in reading.text


def test_a_row_that_stands_there_twice_is_read_once(tmp_path):
    times = [f"{i / 30:.6f}" for i in (*range(F), 4)]
    places, turns = (np.concatenate((values, values[4:5])) for values in (PLACES, TURNS))
    order = [0, 1, 2, 3, 4, 9, 5, 6, 7, 8]
    reading = read(tmp_path / "traj.txt", rows(times, places, turns, order=order, sep=" "))
    check(reading, fps=30)
    assert "1 rows have the same time as another" in reading.text


def test_two_recordings_in_one_file_are_not_shuffled_together(tmp_path):
    away = PLACES + np.array([50.0, 0.0, 0.0])
    text = rows(TIMES, PLACES, TURNS, sep=" ") + rows([f"{float(t) + 0.01:.6f}" for t in TIMES], away, TURNS, sep=" ")
    reading = read(tmp_path / "traj.txt", text)
    assert np.abs(reading.trajectory.camera.center.numpy() - np.concatenate((PLACES, away))).max() < 1e-9
    assert "do not rise 1 times, first from 0.266667 to 0.01 in row 10" in reading.text


def test_times_of_too_few_digits_cost_no_frame(tmp_path):
    reading = read(tmp_path / "traj.txt", rows([f"{1.7e9 + i / 30:g}" for i in range(F)], PLACES, TURNS, sep=" "))
    check(reading, fps=24)
    assert "Time: 24 frames a second, assumed; the file's times do not rise" in reading.text


# --- Frames that were lost ----------------------------------------------------------------------------------------


def lost_rows(name, value):
    matrices = C2W[:, :3].reshape(F, 12).copy()
    matrices[3:5] = value
    if name == "kitti.txt":
        return rows(matrices, sep=" ")
    table = np.concatenate((PLACES, TURNS), 1)
    table[3:5] = value
    return rows(TIMES, table, sep=" ")


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("name", ["kitti.txt", "traj.txt"])
def test_lost_rows_are_gaps(tmp_path, name, value):
    reading = read(tmp_path / name, lost_rows(name, value))
    check(reading, LOST, numbers=LOST)
    assert "2 of 9 frames have no pose" in reading.text
    filled = read(tmp_path / name, gaps="fill")
    assert len(filled.trajectory) == F


@pytest.mark.parametrize("value", [np.nan, -np.inf, 0.0])
@pytest.mark.parametrize("kind", ["c2w.npy", "rows.npy", "droid.npy", "video.npz", "folder"])
def test_lost_matrices_of_estimators_are_gaps(tmp_path, kind, value):
    matrices, intrinsics = C2W.copy(), np.tile(np.array(K), (F, 1, 1))
    matrices[3:5] = value
    intrinsics[3:5] = value
    if kind == "video.npz":
        np.savez(tmp_path / kind, cam_c2w=matrices, intrinsics=intrinsics)
    elif kind == "folder":
        (tmp_path / kind).mkdir()
        for i in range(F):
            np.savez(tmp_path / kind / f"{i:06d}.npz", pose=matrices[i], intrinsics=np.array(K))
    elif kind == "droid.npy":
        table = np.concatenate((PLACES, TURNS), 1)
        table[3:5] = value
        np.save(tmp_path / kind, table)
    else:
        np.save(tmp_path / kind, matrices if kind == "c2w.npy" else matrices[:, :3].reshape(F, 12))
    reading = read(tmp_path / kind)
    check(reading, LOST, numbers=LOST)
    assert "2 of 9 frames have no pose" in reading.text


def transforms(change):
    frames = [
        {"file_path": f"images/{i:04d}.png", "transform_matrix": (C2W[i] @ np.diag([1.0, -1, -1, 1])).tolist()}
        for i in range(F)
    ]
    values = {"w": 1920, "h": 1080, "fl_x": 1500.0, "fl_y": 1500.0, "cx": 960.0, "cy": 540.0, "frames": frames}
    change(values)
    return json.dumps(values)


def test_frames_without_a_matrix_are_gaps(tmp_path):
    def lose(values):
        for i in (3, 4):
            values["frames"][i]["transform_matrix"] = None

    reading = read(tmp_path / "transforms.json", transforms(lose))
    assert reading.trajectory.frame_numbers == tuple(LOST)
    assert "2 of 9 frames have no pose (null)" in reading.text


def test_a_picture_that_stands_there_twice_is_read_once(tmp_path):
    reading = read(tmp_path / "transforms.json", transforms(lambda v: v["frames"].append(v["frames"][3])))
    assert len(reading.trajectory) == F and "1 pictures stand in the file twice" in reading.text


def test_without_a_focal_length_the_size_is_still_the_files(tmp_path):
    reading = read(tmp_path / "transforms.json", transforms(lambda v: [v.pop(key) for key in ("fl_x", "fl_y")]))
    assert reading.trajectory.camera.hw == (1080, 1920)
    assert abs(float(reading.trajectory.camera.fov[0, 0]) - np.pi / 3) < 1e-9
    assert "no focal length: 60 degrees were taken" in reading.text


# --- Stacks, JSON, other columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [3, 4])
def test_matrices_one_below_the_other_are_read(tmp_path, height):
    text = "\n".join(rows(C2W[i, :height], order=range(height), sep=" ") for i in range(F))
    check(read(tmp_path / "poses.txt", text))


def test_a_half_matrix_at_the_end_is_named_and_other_rows_of_four_are_no_poses(tmp_path):
    text = "".join(rows(C2W[i], order=range(4), sep=" ") for i in range(2)) + "1 0 0 0\n0 1 0 0\n"
    with pytest.raises(CameraFormatError, match="three or four a matrix, found 10 rows"):
        read(tmp_path / "poses.txt", text)
    with pytest.raises(CameraFormatError, match="found rows of 4 numbers"):
        read(tmp_path / "accelerometer.txt", "1.5 0.1 9.8 0.2\n" * 12)


@pytest.mark.parametrize("value", [C2W.tolist(), {"c2w": C2W.tolist()}, {"w2c": np.linalg.inv(C2W).tolist(), "K": K}])
def test_arrays_spelled_out_as_json_are_read(tmp_path, value):
    reading = read(tmp_path / "poses.json", json.dumps(value))
    check(reading)
    assert "K" not in value or reading.trajectory.camera.K[0].tolist() == K


def test_ragged_json_is_named(tmp_path):
    with pytest.raises(CameraFormatError, match="poses.json data: expected lists of 4, found one of 3"):
        read(tmp_path / "poses.json", json.dumps([*C2W.tolist(), C2W[0, :3].tolist()]))


def test_places_and_quaternions_without_times_are_read(tmp_path):
    check(read(tmp_path / "poses.txt", rows(PLACES, TURNS, sep=" ")))
    with pytest.raises(
        CameraFormatError, match="found rows of 7 numbers"
    ):  # ARKitScenes': a time and a rotation vector
        read(tmp_path / "lowres_wide.traj", rows(TIMES, 3.0 * PLACES, PLACES, sep=" "))


def test_tartanairs_axes_are_turned(tmp_path):
    """Forward, right, down: a camera that moves along its first axis moves forward, its second axis is right."""
    moves = np.stack([STEPS, 0.2 * STEPS, 0.1 * STEPS], 1)
    still = np.tile([0.0, 0.0, 0.0, 1.0], (F, 1))
    center = read(tmp_path / "pose_left.txt", rows(moves, still, sep=" ")).trajectory.camera.center
    assert torch.allclose(center[-1], torch.tensor([0.2, 0.1, 1.0], dtype=torch.float64))


# --- K in a file beside -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "beside", "text"),
    [
        ("camera_poses.txt", "intrinsic.txt", "700 700 416 240\n" * F),
        ("odometry.csv", "camera_matrix.csv", "700.0, 0.0, 416.0\n0.0, 700.0, 240.0\n0.0, 0.0, 1.0\n"),
        ("pred_traj.txt", "pred_intrinsics.txt", "700 0 416 0 700 240 0 0 1\n" * F),
        ("stack.txt", "intrinsics.txt", "700 0 416 0\n0 700 240 0\n0 0 1 0\n0 0 0 1\n"),
    ],
)
def test_intrinsics_beside_a_trajectory_are_taken(tmp_path, name, beside, text):
    poses = {
        "camera_poses.txt": rows(C2W, sep=" "),
        "odometry.csv": HEADED["Stray Scanner"][0] + rows(*HEADED["Stray Scanner"][1]),
        "pred_traj.txt": rows([f"{i}.0" for i in range(F)], PLACES, TURNS[:, [3, 0, 1, 2]], sep=" "),  # w first
        "stack.txt": "\n".join(rows(C2W[i], order=range(4), sep=" ") for i in range(F)),
    }[name]
    save(tmp_path / "scene" / beside, text)
    save(tmp_path / "scene" / name, poses)
    reading = read(tmp_path / "scene")
    check(reading)
    assert torch.allclose(reading.trajectory.camera.K[0], torch.tensor(K, dtype=torch.float64))
    assert f"K: from {beside} beside it" in reading.text


def test_columns_of_a_lens_are_read_before_a_file_beside(tmp_path):
    """Stray Scanner's and EasySynth's columns; a frame that was lost takes its lens along."""
    save(tmp_path / "camera_matrix.csv", "500,0,416\n0,500,240\n0,0,1\n")
    focal = np.linspace(700.0, 780.0, F)
    lens = np.stack([focal, focal + 1.0, np.full(F, 420.0), np.full(F, 236.0)], 1)
    heading = "timestamp, frame, x, y, z, qx, qy, qz, qw, fx, fy, cx, cy\n"
    text = heading + rows(TIMES, [f"{i:06d}" for i in range(F)], PLACES, TURNS, lens, sep=", ")
    reading = read(tmp_path / "odometry.csv", text)
    check(reading, fps=30)
    found = reading.trajectory.camera.K
    assert np.allclose(torch.stack((found[:, 0, 0], found[:, 1, 1], found[:, 0, 2], found[:, 1, 2]), -1), lens)
    lines = text.splitlines(keepends=True)
    lines[4] = lines[4].replace(", ".join(f"{v:.12g}" for v in TURNS[3]), "nan, nan, nan, nan")
    lost = read(tmp_path / "odometry.csv", "".join(lines))
    check(lost, [0, 1, 2, 4, 5, 6, 7, 8], numbers=[0, 1, 2, 4, 5, 6, 7, 8])
    assert np.allclose(lost.trajectory.camera.K[:, 0, 0], np.delete(focal, 3))


def test_intrinsics_of_other_frames_are_left_out_aloud(tmp_path):
    save(tmp_path / "intrinsics.txt", "700 700 416 240\n" * 4)
    reading = read(tmp_path / "traj.txt", rows(C2W, sep=" "))
    assert "intrinsics.txt beside it has 4 intrinsics for 9 frames and was left out" in reading.text


def test_droid_slams_reconstruction_is_world_to_camera(tmp_path):
    """save_reconstruction writes video.poses, which are world-to-camera, as x y z qx qy qz qw; its other arrays have
    LingBot-World's names. A trajectory without them is camera-to-world."""
    w2c = np.linalg.inv(C2W)
    table = np.concatenate((w2c[:, :3, 3], Rotation.from_matrix(w2c[:, :3, :3]).as_quat()), 1)
    np.save(tmp_path / "poses.npy", table)
    np.save(tmp_path / "tstamps.npy", np.arange(F, dtype=np.float32))
    np.save(tmp_path / "disps.npy", np.ones((F, 32, 56), np.float32))
    np.save(tmp_path / "intrinsics.npy", np.tile(np.array([87.5, 87.5, 52.0, 30.0]), (F, 1)))
    for path in (tmp_path, tmp_path / "poses.npy"):
        reading = read(path)
        check(reading)
        assert reading.format == "arrays"
    np.save(tmp_path / "alone.npy", np.concatenate((PLACES, TURNS), 1))
    check(read(tmp_path / "alone.npy"))


def test_motionctrls_rows_are_world_to_camera(tmp_path):
    """examples/camera_poses: twelve numbers a frame; test_camera_I, which zooms in, counts its last one down."""
    zoom = [[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, -0.1125 * i] for i in range(16)]
    reading = read(tmp_path / "test_camera_I_1.0x.json", json.dumps(zoom, indent=4))
    assert reading.format == "camera_rows" and "K: assumed" in reading.text
    assert torch.allclose(reading.trajectory.camera.center[:, 2], 0.1125 * torch.arange(16, dtype=torch.float64))
    check(read(tmp_path / "turn.json", json.dumps(np.linalg.inv(C2W)[:, :3].reshape(F, 12).tolist())))


def test_after_effects_orientation_turns_the_shortest_way_and_old_macs_end_lines(tmp_path):
    """Keys of 350 and 10 degrees are 20 apart; those of a rotation are 340 apart."""
    text = (
        "Adobe After Effects 8.0 Keyframe Data\r\r\tUnits Per Second\t23.976\r\tSource Width\t832\r"
        "\tSource Height\t480\r\rTransform\tPosition\r\tFrame\tX pixels\tY pixels\tZ pixels\t\r"
        "\t0\t416\t240\t-700\t\r\rTransform\tOrientation\r\tFrame\tX degrees\tY degrees\tZ degrees\t\r"
        "\t0\t0\t350\t0\t\r\t4\t0\t10\t0\t\r\rEnd of Keyframe Data\r"
    )
    for name, angles in (("Orientation", (-10, -5, 0, 5, 10)), ("Y Rotation", (350, 265, 180, 95, 10))):
        keys = text.replace("Orientation", name)
        keys = keys if name == "Orientation" else keys.replace("\t0\t350\t0", "\t350").replace("\t0\t10\t0", "\t10")
        reading = read(tmp_path / "keys.txt", keys)
        want = Rotation.from_euler("y", np.reshape(angles, (-1, 1)), degrees=True).as_matrix()
        assert np.abs(reading.trajectory.camera.rotation.numpy() - want).max() < 1e-9
        assert reading.trajectory.fps == 23.976


def test_after_effects_positions_may_be_apart_and_oblong_pixels_are_said(tmp_path):
    """Separate Dimensions: three blocks of one column."""
    text = (
        "Adobe After Effects 8.0 Keyframe Data\n\n\tUnits Per Second\t24\n\tSource Width\t832\n"
        "\tSource Height\t480\n\tComp Pixel Aspect Ratio\t1.5\n\n"
    )
    for axis, values in (("X", (416, 516)), ("Y", (240, 140)), ("Z", (-700, -400))):
        keys = "".join(f"\t{frame}\t{value}\t\n" for frame, value in zip((0, 2), values, strict=True))
        text += f"Transform\t{axis} Position\n\tFrame\tpixels\t\n{keys}\n"
    reading = read(tmp_path / "keys.txt", text)
    want = torch.tensor([[0, 0, -7], [0.5, -0.5, -5.5], [1, -1, -4]], dtype=torch.float64)
    assert torch.allclose(reading.trajectory.camera.center, want)
    assert "aspect of 1.5: they were taken as square" in reading.text
    with pytest.raises(CameraFormatError, match="found those of x position, z position"):
        read(tmp_path / "keys.txt", text.replace("Y Position", "Y Rotation of what"))


def test_an_editors_byte_order_mark_before_a_model(tmp_path):
    save(tmp_path / "cameras.txt", "\ufeff# one\r\n1 PINHOLE 832 480 700 700 416 240\r\n")
    save(tmp_path / "images.txt", "\ufeff# one\r\n1 1 0 0 0 0 0 -1 1 a 1.jpg\r\n\r\n2 1 0 0 0 0 0 -2 1 a 2.jpg\r\n\r\n")
    assert read(tmp_path).trajectory.camera.center[:, 2].tolist() == [1.0, 2.0]


def test_a_picture_that_stands_twice_with_two_poses_is_said(tmp_path):
    def again(values):
        values["frames"].append({**values["frames"][5], "file_path": "images/0003.png"})

    reading = read(tmp_path / "transforms.json", transforms(again))
    assert len(reading.trajectory) == F + 1
    assert "1 pictures stand in the file again with another pose: each was taken as a frame of its own" in reading.text


def test_a_vertical_angle_alone_is_the_focal_length_of_both_axes(tmp_path):
    def only_angle_y(values):
        del values["fl_x"], values["fl_y"]
        values["camera_angle_y"] = 2.0 * np.arctan(540.0 / 1500.0)

    camera = read(tmp_path / "transforms.json", transforms(only_angle_y)).trajectory.camera
    assert torch.allclose(camera.focal, torch.tensor(1500.0, dtype=torch.float64))


# --- Several worlds in one file -----------------------------------------------------------------------------------


def metashape(*chunks):
    cameras = "".join(
        f'<chunk label="{label}"><sensors><sensor id="0" type="frame"><resolution width="832" height="480"/>'
        '<calibration><f>700</f></calibration></sensor></sensors><cameras>'
        + "".join(
            f'<camera id="{i}" sensor_id="0" component_id="{component}" label="a{i:04d}"><transform>'
            f"{' '.join(map(str, C2W[i].ravel()))}</transform></camera>"
            for component, i in frames
        )
        + "</cameras></chunk>"
        for label, frames in chunks
    )  # fmt: skip
    return f"<document>{cameras}</document>"


def test_metashapes_chunks_and_components_are_worlds_of_their_own(tmp_path):
    path = tmp_path / "cameras.xml"
    parted = [(int(i > 5), i) for i in range(F)]
    save(path, metashape(("small", [(0, 0), (0, 1)]), ("large", parted)))
    reading = read(path)
    check(reading, range(6))
    assert "(chunk small, chunk large): chunk large, the one of most frames," in reading.text
    assert "(component 0, component 1): component 0 was read" in reading.text
    check(read(path, track="chunk small"), range(2))
    check(read(path, track="component 1"), range(6, 9))


def test_a_camera_path_whose_rotations_are_not_quite_any_is_mended_aloud(tmp_path):
    frames = [{"world_from_cam": pose.ravel().tolist(), "K": [700.0, 700.0, 416.0, 240.0]} for pose in C2W]
    body = {"format": "raxel.camera_path", "version": 1, "fps": 24.0, "unit": "near_depth", "name": "a", "width": 832,
            "height": 480, "frames": frames}  # fmt: skip
    as_it_is = read(tmp_path / "a.json", json.dumps(body))
    assert "nothing was changed" in as_it_is.text and "orthonormal" not in as_it_is.text
    frames[4]["world_from_cam"][0] += 2.7e-4
    reading = read(tmp_path / "b.json", json.dumps(body))
    assert "off orthonormal; the nearest exact ones were taken" in reading.text and "nothing was" not in reading.text
    rotation = reading.trajectory.camera.rotation
    torch.testing.assert_close(rotation.mT @ rotation, torch.eye(3).double().expand(F, 3, 3), rtol=0, atol=1e-12)


# --- Refusals that lead on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.h5", b"\x89HDF\r\n\x1a\n", "HDF5 or MATLAB data.*save the matrices as .npz"),
        ("database.db", b"SQLite format 3\0", "COLMAP's database, which holds no poses"),
        ("sub/IMG_1.xmp", b"<x:xmpmeta/>", "sidecars of RealityCapture: export"),
        ("model.nvm", b"NVM_V3\n\n1\n", "save it as Bundler's bundle.out"),
        ("images.txt", b"# no more\n1 1 0 0 0 0 0 0 1 a.jpg\n\n", "cameras.txt is missing here"),
        ("a.txt", b"# nothing\n\n# here\n", "a file of comments alone"),
        ("a.txt", b"timestamp tx ty tz qx qy qz qw\n", "rows under the heading: expected from 1"),
        ("a.txt", b"https://a.video/watch\n", "begins with 'https://a.video/watch' and has no second line"),
        ("a.txt", b"  \n\n", "an empty file"),
        ("a.txt", b"1 0 0 0\nnot so\n1 2\n3 4 5 6\n", "rows of 4 numbers"),
        ("a.npy", b"\x93NUMPY\x01\0v\0{'descr': '|O', ", "something else than real numbers"),
    ],
)
def test_what_is_no_camera_file_is_named_with_the_way_on(tmp_path, name, content, told):
    folder = tmp_path / "shot"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(content)
    whole = name in ("images.txt", "sub/IMG_1.xmp")
    with pytest.raises(CameraFormatError, match=told):
        read(folder if name == "images.txt" else (folder / name).parent if whole else folder / name)


def test_channels_without_frame_numbers_lead_to_another_export(tmp_path):
    with pytest.raises(CameraFormatError, match="without the frame's number, as Houdini writes them"):
        read(tmp_path / "cam.chan", "0 1 2 3 4 5\n" * 3)


def test_blenders_sensor_lies_along_the_longer_side(tmp_path):
    """Blender 3.4 wrote 24 mm seen at 50 mm for a picture of 1080x1920 and the sensor fit Auto: 36 mm are 1920 pixels."""
    text = "1\t0\t0\t0\t0\t0\t0\t26.991467\n2\t0\t0\t1\t0\t0\t0\t26.991467\n"
    reading = read(tmp_path / "cam.chan", text, hw=(1920, 1080), sensor=(36.0, 24.0))
    assert abs(float(reading.trajectory.camera.K[0, 0, 0]) - 50.0 / 36.0 * 1920.0) < 1e-2
    assert "along the picture's height, as Blender does" in reading.text

"""Camera files in and out, against values worked by hand, real files of their authors, and evo."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from math import cos, radians, sin, tan
from pathlib import Path

import numpy as np
import pytest
import torch

from raxel_core.camera_io import read_cameras, write_cameras
from raxel_core.camera_io.direction import inversion_warning
from raxel_core.camera_io.reading import Assumed, CameraFormatError
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.trajectory import Trajectory

HW = (480, 832)
OURS = (
    "camera_path",
    "recammaster",
    "vllm_omni",
    "camera_rows",
    "lingbot",
    "scope",
    "realestate10k",
    "kitti",
    "tum",
)
# Written: format -> the name it is saved under, and whether it keeps K.
SAVED = {
    "camera_path": ("path.json", True),
    "recammaster": ("camera_extrinsics.json", False),
    "vllm_omni": ("cameras.json", True),
    "camera_rows": ("shot.rows.json", True),
    "lingbot": ("lingbot", True),
    "scope": ("poses.npy", False),
    "realestate10k": ("shot.txt", True),
    "kitti": ("shot.kitti", False),
    "tum": ("shot.tum", False),
}


def save(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, encoding="utf-8")
    return path


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=False)
    return file.getvalue()


def wandering(frames=9, *, zoom=0.02, unit="arbitrary", lens=((700.0, 0.0, 410.0), (0.0, 690.0, 250.0))):
    """A path with turns about all axes, far from the origin, whose focal length changes by `zoom` a frame."""
    twist = torch.randn(frames, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 0.2
    motion = se3.exp(twist)
    motion[:, :3, 3] += torch.tensor((30.0, -7.0, 2.0))
    K = torch.tensor((*lens, (0.0, 0.0, 1.0)), dtype=torch.float64).repeat(frames, 1, 1)
    K[:, :2, :2] *= 1.0 + zoom * torch.arange(frames, dtype=torch.float64)[:, None, None]
    return Trajectory(Camera(motion, K, HW), fps=23.976, unit=unit, name="a shot")


# What SCoPE can hold: one focal length, square pixels, the principal point in the middle.
PLAIN = {"zoom": 0.0, "unit": "near_depth", "lens": ((700.0, 0.0, 416.0), (0.0, 700.0, 240.0))}


def close(found, expected, tolerance=1e-6):
    expected = torch.as_tensor(expected, dtype=torch.float64)
    scale = float(expected.abs().max()) or 1.0
    assert float((found.double() - expected).abs().max()) <= tolerance * scale, (found, expected)


# --- Known answers -----------------------------------------------------------------------------------------------


def test_realestate10k_inverts_and_scales_k_by_the_pictures_size(tmp_path):
    """Row 2 is a quarter turn: w2c = [[0,0,-1],[0,1,0],[1,0,0]], t = (1,2,3), so the centre is -R^T t = (-3,-2,1)."""
    path = save(
        tmp_path / "shot.txt",
        "https://www.youtube.com/watch?v=abc\n"
        "5000000 0.5 0.9 0.5 0.4 0 0 1 0 0 0 0 1 0 0 0 0 1 0\n"
        "5040000 0.6 0.8 0.5 0.5 0 0 0 0 -1 1 0 1 0 2 1 0 0 3\n",
    )
    reading = read_cameras(path, assumed=Assumed(hw=(100, 200)))
    camera = reading.trajectory.camera
    assert reading.format == "realestate10k"
    assert reading.trajectory.fps == 25.0
    close(camera.world_from_cam[0], np.eye(4))
    close(camera.world_from_cam[1], [[0, 0, 1, -3], [0, 1, 0, -2], [-1, 0, 0, 1], [0, 0, 0, 1]])
    close(camera.K, [[[100, 0, 100], [0, 90, 40], [0, 0, 1]], [[120, 0, 100], [0, 80, 50], [0, 0, 1]]])
    assert "inverted" in reading.text
    assert "pixels are not square in 200x100 but would be in 180x100" in reading.text


def test_realestate10k_of_cameractrl(tmp_path):
    """Two rows of CameraCtrl's assets/pose_files/0bf152ef84195293.txt; its loader takes np.linalg.inv of the 4x4."""
    rows = (
        "158692025 0.474812461 0.844111024 0.5 0.5 0 0 0.780003667 0.059620168 -0.622928321 0.726968666 "
        "-0.062449891 0.997897983 0.017311305 0.217967188 0.622651041 0.025398925 0.782087326 -1.002211444",
        "158958959 0.474812461 0.844111024 0.5 0.5 0 0 0.743836701 0.064830206 -0.665209770 0.951841944 "
        "-0.068305343 0.997446954 0.020830527 0.206496789 0.664861917 0.029942872 0.746365905 -1.084913992",
    )
    reading = read_cameras(save(tmp_path / "shot.txt", "url\n" + "\n".join(rows)), assumed=Assumed(hw=(720, 1280)))
    for frame, row in enumerate(rows):
        w2c = np.vstack((np.array(row.split()[7:], dtype=np.float64).reshape(3, 4), (0, 0, 0, 1)))
        close(reading.trajectory.camera.world_from_cam[frame], np.linalg.inv(w2c))
    close(reading.trajectory.camera.focal[0], (607.75995, 607.75994))
    assert reading.trajectory.fps == pytest.approx(1e6 / 266934, rel=1e-9)
    assert reading.warnings == ()


def test_wan_fun_camera_files_have_no_times(tmp_path):
    """VideoX-Fun's asset/Pan_Left.txt: an empty first line, times all 0; its camera moves left."""
    k = "0 0.532139961 0.946026558 0.5 0.5 0 0 1 0 0"
    text = f"\n{k} 0 0 1 0 0 0 0 1 0\n{k} 0.018518518518518517 0 1 0 0 0 0 1 0\n"
    reading = read_cameras(save(tmp_path / "Pan_Left.txt", text))
    assert reading.trajectory.fps == 24
    assert "assumed; the file's times do not rise" in reading.text
    assert read_cameras(tmp_path / "Pan_Left.txt", assumed=Assumed(fps=16)).trajectory.fps == 16
    close(reading.trajectory.camera.center, [[0, 0, 0], [-1 / 54, 0, 0]])


def test_camera_rows_are_those_of_videox_fun(tmp_path):
    """CameraTrajectoryFromChaoJie's row: fx, fy, cx, cy, 0, 0 and the 3x4; with one number more, a time."""
    row = [0.474812461, 0.844111024, 0.5, 0.5, 0, 0, 1, 0, 0, 0.25, 0, 1, 0, 0, 0, 0, 1, -0.5]
    for index, rows in enumerate(([row], [[0, *row]])):
        reading = read_cameras(save(tmp_path / f"{index}.json", json.dumps(rows)), assumed=Assumed(hw=(720, 1280)))
        assert reading.format == "camera_rows"
        close(reading.trajectory.camera.center, [[-0.25, 0, 0.5]])
        close(reading.trajectory.camera.focal, [[607.75995, 607.75994]])
        assert reading.warnings == ()


def test_tum_quaternions_are_x_y_z_w(tmp_path):
    """A quarter turn about y, (0, sin 45, 0, cos 45), takes forward (0,0,1) to right (1,0,0): the camera looks right."""
    half = 2**-0.5
    text = f"# timestamp tx ty tz qx qy qz qw\n100.0 1 2 3 0 0 0 1\n100.1 4 5 6 0 {half} 0 {half}\n"
    reading = read_cameras(save(tmp_path / "groundtruth.txt", text))
    assert reading.format == "tum"
    assert reading.trajectory.fps == 10
    close(reading.trajectory.camera.world_from_cam[1], [[0, 0, 1, 4], [0, 1, 0, 5], [-1, 0, 0, 6], [0, 0, 0, 1]])
    close(reading.trajectory.camera.focal[0], np.full(2, 416 / tan(radians(30))))
    assert "assumed" in reading.text


def test_tum_with_w_first_is_pointed_out(tmp_path):
    rows = [f"{t} 0 0 {t} {cos(0.01 * t)} 0 {sin(0.01 * t)} 0" for t in range(6)]
    reading = read_cameras(save(tmp_path / "w_first.tum", "\n".join(rows)))
    assert any("w x y z" in warning for warning in reading.warnings)


def test_kitti_rows_are_camera_to_world(tmp_path):
    reading = read_cameras(save(tmp_path / "00.txt", "1 0 0 0 0 1 0 0 0 0 1 0\n0 0 1 4 0 1 0 5 -1 0 0 6\n"))
    assert reading.format == "kitti"
    close(reading.trajectory.camera.world_from_cam[1], [[0, 0, 1, 4], [0, 1, 0, 5], [-1, 0, 0, 6], [0, 0, 0, 1]])


RECAM = {
    "frame0": {name: "[1 0 0 0] [-0 1 0 0] [0 -0 1 0] [3390 1380 240 1] " for name in ("cam01", "cam05", "cam07")},
    "frame1": {
        "cam01": "[0.940432 0.339982 0 0] [-0.339982 0.940432 0 0] [0 -0 1 0] [3390 1380 240 1] ",
        "cam05": "[1 0 0 0] [-0 1 0 0] [0 -0 1 0] [3588.76 1380 240 1] ",
        "cam07": "[0.970496 0 -0.241117 0] [-0 1 0 0] [0.241117 0 0.970496 0] [3390 1380 339.379 1] ",
    },
}


@pytest.mark.parametrize(
    ("track", "forward", "center"),
    [
        # Pan right: forward turns to Unreal's right, which is our x.
        ("cam01", (0.339982, 0, 0.940432), (0, 0, 0)),
        # 198.76 cm along Unreal's forward is 1.9876 m along our z.
        ("cam05", (0, 0, 1), (0, 0, 1.9876)),
        # 99.379 cm up is -0.99379 m on our y (down); forward dips by -0.241117 of Unreal's up, our +y.
        ("cam07", (0, 0.241117, 0.970496), (0, -0.99379, 0)),
    ],
)
def test_recammaster_by_hand(tmp_path, track, forward, center):
    """Frames 0 and 80 of the default camera_extrinsics.json: Unreal stands at (3390, 1380, 240) cm and looks along x."""
    path = save(tmp_path / "camera_extrinsics.json", json.dumps(RECAM))
    reading = read_cameras(path, assumed=Assumed(track=track))
    close(
        reading.trajectory.camera.world_from_cam[0], [[1, 0, 0, 13.8], [0, 1, 0, -2.4], [0, 0, 1, 33.9], [0, 0, 0, 1]]
    )
    relative = reading.trajectory.relative_to(0).camera
    close(relative.rotation[1][:, 2], forward, 1e-5)
    close(relative.center[1], center, 1e-5)
    assert reading.trajectory.unit == "metre"
    assert "scale the path by 0.5" in reading.text


def test_recammaster_relative_path_is_its_loaders(tmp_path):
    """The loader's own steps in numpy: transpose, columns 1 2 0 3, negate column 1, divide by 100, relative to frame 0."""
    path = save(tmp_path / "x.json", json.dumps(RECAM))
    for track in ("cam01", "cam05", "cam07"):
        texts = [RECAM[f"frame{f}"][track].replace("[", " ").replace("]", " ").split() for f in range(2)]
        c2w = np.array(texts, dtype=np.float64).reshape(2, 4, 4).transpose(0, 2, 1)[:, :, [1, 2, 0, 3]]
        c2w[:, :3, 1] *= -1.0
        c2w[:, :3, 3] /= 100.0
        theirs = np.linalg.inv(c2w[0]) @ c2w[1]
        ours = read_cameras(path, assumed=Assumed(track=track)).trajectory.relative_to(0)
        close(ours.camera.world_from_cam[1], theirs, 1e-5)


def test_recammaster_is_written_as_the_loader_reads_it(tmp_path):
    """A camera at (1, -2, 3) m looking right: forward is Unreal's +y, right its -x, and its centre (300, 100, 200) cm."""
    motion = torch.tensor([[[0.0, 0, 1, 1], [0, 1, 0, -2], [-1, 0, 0, 3], [0, 0, 0, 1]]])
    trajectory = Trajectory(Camera(motion, torch.diag(torch.tensor((100.0, 100.0, 1.0))), HW), unit="metre")
    (path,) = write_cameras(trajectory, tmp_path / "camera_extrinsics.json")
    text = json.loads(path.read_text())["frame0"]["cam01"].replace("[", " ").replace("]", " ")
    close(torch.tensor([float(t) for t in text.split()]), [0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 300, 100, 200, 1])


def test_scope_orbit_left(tmp_path):
    """SCoPE's orbit_left ends at t = (0.522566, 0, 0.140021): 30 degrees about a pivot 1.045131 ahead, to the RIGHT."""
    last = [[cos(radians(30)), 0, -0.5, 0.522566], [0, 1, 0, 0], [0.5, 0, cos(radians(30)), 0.140021]]
    values = np.array([np.eye(4)[:3], last])
    save(tmp_path / "orbit_left.json", '{"x_fov": 1.118471204764044, "xi": 0.0}')
    reading = read_cameras(save(tmp_path / "orbit_left.npy", npy(values.astype(np.float32))))
    camera = reading.trajectory.camera
    assert (reading.format, reading.trajectory.unit) == ("scope", "near_depth")
    pivot = camera.center + 1.045131 * camera.rotation[..., 2]
    close(pivot[1], pivot[0], 2e-6)
    close(camera.fov[:, 0], [1.118471204764044] * 2)
    assert reading.warnings == ()
    assert "The camera trucks right by 0.523, dollies forward by 0.14 and pans left by 30 degrees" in reading.text


def test_scopes_example_paths_are_read_as_they_are_published(tmp_path):
    """The authors' own files: x_fov of the case from their manifest, a first camera that is not the identity told of."""
    examples = Path(__file__).parents[1] / "golden" / "cameras" / "scope"
    reading = read_cameras(examples / "poses" / "omni-stained-glass-hall" / "dolly_in.npy")
    close(reading.trajectory.camera.fov[:, 0], [1.605685712012363] * 81)
    assert "K: x_fov 91.9990 degrees, from omni-stained-glass-hall in manifest.json." in reading.notes
    assert "The first camera is turned by 12.3 degrees." in reading.text
    level = read_cameras(examples / "poses" / "omni-urban-street" / "orbit_left.npy")
    close(level.trajectory.camera.fov[0, 0], 1.7672423878435903)
    assert "is turned by" not in level.text and level.warnings == ()

    folder = tmp_path / "poses" / "omni-urban-street"
    folder.mkdir(parents=True)
    own = save(folder / "x.npy", npy(np.eye(4)[None, :3]))
    for manifest in ("[]", '{"cases": 3}', '{"cases": [3, {"id": "another", "x_fov": 1}]}'):
        save(tmp_path / "manifest.json", manifest)
        if manifest == "[]":
            with pytest.raises(CameraFormatError, match="manifest.json: expected an object"):
                read_cameras(own)
        else:
            assert "no x.json with x_fov" in read_cameras(own, format="scope").text
    save(tmp_path / "manifest.json", '{"cases": [{"id": "omni-urban-street", "x_fov": 4}]}')
    with pytest.raises(CameraFormatError, match=r"omni-urban-street in manifest\.json x_fov: .* found 4"):
        read_cameras(own)
    save(folder / "x.json", '{"x_fov": 1.25}')
    close(read_cameras(own).trajectory.camera.fov[0, 0], 1.25)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_of_every_kind_numpy_writes(tmp_path, order, dtype, version):
    values = np.tile(np.eye(4), (3, 1, 1))
    values[:, 0, 3] = (0, 0.25, 0.5)
    array = np.asarray(values, dtype=dtype, order=order)
    path = save(tmp_path / "poses.npy", npy(array, version))
    for format in ("scope", None):
        reading = read_cameras(path, format=format)
        close(reading.trajectory.camera.center[:, 0], (0, 0.25, 0.5))
        assert reading.format == (format or "arrays")
        assert ("no poses.json with x_fov" in reading.text) == (format == "scope")


def test_lingbot_pair_and_vllm_omni_json_are_the_same_cameras(tmp_path):
    """The first pose and K of LingBot-World's examples/00, whose K is in pixels of 832x480 although its image is 1280x720."""
    first = [
        [0.635552, -0.149533, -0.757439, -144.91867],
        [0.772058, 0.123092, 0.623518, -81.30075],
        [-0.000001, -0.981065, 0.19368, 0.949684],
        [0, 0, 0, 1],
    ]
    lens = [502.9116, 503.10812, 415.77786, 239.77779]
    folder = tmp_path / "00"
    folder.mkdir()
    save(folder / "poses.npy", npy(np.array([first], dtype=np.float32)))
    save(folder / "intrinsics.npy", npy(np.array([lens], dtype=np.float32)))
    save(tmp_path / "cameras.json", json.dumps({"intrinsics": [lens], "poses": [first]}))
    for path, name in (
        (folder, "lingbot"),
        (folder / "poses.npy", "lingbot"),
        (tmp_path / "cameras.json", "vllm_omni"),
    ):
        reading = read_cameras(path, assumed=Assumed(hw=(720, 1280)))
        assert reading.format == name
        assert reading.trajectory.camera.hw == HW
        close(reading.trajectory.camera.world_from_cam[0], first, 1e-6)
        close(reading.trajectory.camera.K[0], [[502.9116, 0, 415.77786], [0, 503.10812, 239.77779], [0, 0, 1]])
        assert reading.warnings == ()


def test_lingbot_k_of_another_size_is_pointed_out(tmp_path):
    values = {"poses": [np.eye(4).tolist()], "intrinsics": [[900.0, 900.0, 640.0, 360.0]]}
    reading = read_cameras(save(tmp_path / "cameras.json", json.dumps(values)))
    assert any("1280x720" in warning for warning in reading.warnings)


def test_our_own_path_comes_back_to_the_bit(tmp_path):
    trajectory = wandering()
    (path,) = write_cameras(trajectory, tmp_path / "path.json")
    found = read_cameras(path).trajectory
    assert torch.equal(found.camera.K, trajectory.camera.K)
    close(found.camera.world_from_cam, trajectory.camera.world_from_cam, 1e-12)
    assert (found.fps, found.name, found.unit) == (trajectory.fps, trajectory.name, trajectory.unit)


def test_our_own_planned_path_is_sampled(tmp_path):
    """A dolly of 2 at even speed over 5 frames stands half a length further on each."""
    values = {
        "format": "raxel.camera_path",
        "version": 1,
        "fps": 16,
        "unit": "metre",
        "name": "",
        "width": 64,
        "height": 64,
    }
    move = {"move": "dolly", "amount": 2.0, "easing": "linear"}
    values |= {"frame_count": 5, "plan": {"fov_degrees": 90, "depth": 4.0, "moves": [move]}}
    reading = read_cameras(save(tmp_path / "planned.json", json.dumps(values)))
    close(reading.trajectory.camera.center[:, 2], [0, 0.5, 1, 1.5, 2])
    close(reading.trajectory.camera.focal[0], [32, 32])
    assert "sampled at 5 frames" in reading.text


# --- evo reads what we write, and we read what evo writes --------------------------------------------------------


@pytest.fixture
def evo_files():
    return pytest.importorskip("evo.tools.file_interface", reason="evo is not installed: pip install evo")


@pytest.mark.parametrize("name", ["tum", "kitti"])
def test_evo_reads_what_we_write(tmp_path, evo_files, name):
    trajectory = wandering()
    (path,) = write_cameras(trajectory, tmp_path / f"shot.{name}")
    read = {"tum": evo_files.read_tum_trajectory_file, "kitti": evo_files.read_kitti_poses_file}[name]
    found = read(str(path))
    close(torch.from_numpy(np.stack(found.poses_se3)), trajectory.camera.world_from_cam)
    if name == "tum":
        close(torch.from_numpy(found.timestamps), torch.arange(9) / 23.976)


@pytest.mark.parametrize("name", ["tum", "kitti"])
def test_we_read_what_evo_writes(tmp_path, evo_files, name):
    from evo.core.trajectory import PoseTrajectory3D

    motion = wandering().camera.world_from_cam
    path = PoseTrajectory3D(poses_se3=list(motion.numpy()), timestamps=np.arange(9) / 30.0)
    write = {"tum": evo_files.write_tum_trajectory_file, "kitti": evo_files.write_kitti_poses_file}[name]
    write(str(tmp_path / "evo.txt"), path)
    reading = read_cameras(tmp_path / "evo.txt")
    assert reading.format == name
    close(reading.trajectory.camera.world_from_cam, motion)
    assert name == "kitti" or reading.trajectory.fps == 30.0


# --- Round trips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_loses_at_most_a_millionth(tmp_path, name, dtype):
    trajectory = wandering(**(PLAIN if name == "scope" else {}))
    trajectory = replace(trajectory, camera=trajectory.camera.to(dtype=dtype))
    before = trajectory.camera.world_from_cam.clone(), trajectory.camera.K.clone()
    file, keeps_K = SAVED[name]
    files = write_cameras(trajectory, tmp_path / file)
    assert all(path.is_file() for path in files)
    assert torch.equal(before[0], trajectory.camera.world_from_cam)
    reading = read_cameras(tmp_path / file, assumed=Assumed(fps=trajectory.fps))
    found, expected = reading.trajectory, trajectory.relative_to(0) if name == "scope" else trajectory
    assert reading.format == name
    close(found.camera.center, expected.camera.center)
    close(found.camera.rotation, expected.camera.rotation)
    assert found.fps == pytest.approx(trajectory.fps, rel=1e-6)
    if keeps_K:
        close(found.camera.K, trajectory.camera.K)
    if name == "scope":
        close(found.camera.focal[:, 0], trajectory.camera.focal[:, 0])


@pytest.mark.parametrize("name", ["lingbot", "scope"])
def test_a_pair_of_files_is_written_whole_or_not_at_all(tmp_path, monkeypatch, name):
    """The disk is full at the second file: neither takes its place, and what was there stays."""
    file = SAVED[name][0]
    before = {path: path.read_bytes() for path in write_cameras(wandering(**PLAIN), tmp_path / file, format=name)}
    written = []
    real = Path.write_bytes

    def fails_at_the_second(path, content):
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", fails_at_the_second)
    with pytest.raises(OSError, match="cannot write .*: No space left on device"):
        write_cameras(wandering(5, **PLAIN), tmp_path / file, format=name)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(before)


def test_lingbot_writes_k_for_832x480_whatever_the_size(tmp_path):
    trajectory = wandering().resized((720, 1280))
    write_cameras(trajectory, tmp_path / "out", format="lingbot")
    close(read_cameras(tmp_path / "out").trajectory.camera.K, wandering().camera.K)


@pytest.mark.parametrize(
    ("file", "format", "trajectory", "message"),
    [
        ("shot.xyz", None, wandering(), "its name does not say the format"),
        ("a.npy", "scope", wandering(**PLAIN | {"zoom": 0.02}), "expected one focal length"),
        ("a.npy", "scope", wandering(**PLAIN | {"unit": "metre"}), "expected lengths in near depths"),
        ("a.npy", "scope", wandering(), "principal point in the image's middle"),
    ],
)
def test_what_can_not_be_written_is_said_and_leaves_no_file(tmp_path, file, format, trajectory, message):
    with pytest.raises(CameraFormatError, match=message):
        write_cameras(trajectory, tmp_path / file, format=format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["camera_path", "vllm_omni", "camera_rows", "lingbot", "realestate10k"])
def test_a_skew_is_refused_where_there_is_no_place_for_it(tmp_path, name):
    trajectory = wandering()
    K = trajectory.camera.K.clone()
    K[:, 0, 1] = 3.0
    trajectory = replace(trajectory, camera=replace(trajectory.camera, K=K))
    with pytest.raises(CameraFormatError, match="skew"):
        write_cameras(trajectory, tmp_path / SAVED[name][0], format=name)
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_are_named():
    with pytest.raises(ValueError, match="no camera format 'fbx'; there are: camera_path"):
        read_cameras("x", format="fbx")


# --- Warnings where another reading is plausible -----------------------------------------------------------------


def test_a_dolly_with_shake_read_the_wrong_way_round_is_pointed_out():
    """Centres on a straight line, small even turns: the inverses swing about the origin, which is 10 lengths away."""
    steps = torch.linspace(0, 1, 40, dtype=torch.float64)
    centers = torch.stack((10 + steps, torch.zeros(40), 5 * torch.ones(40)), dim=-1).double()
    shake = se3.rotation_y(0.03 * torch.sin(37 * steps))
    right = se3.from_rotation_translation(shake, centers)
    assert inversion_warning(right) == ()
    assert len(inversion_warning(se3.inverse(right))) == 1


def test_an_orbit_about_the_origin_is_not_suspected():
    angle = torch.linspace(0, 1, 40, dtype=torch.float64)
    rotation = se3.rotation_y(angle)
    orbit = se3.from_rotation_translation(rotation, -2.0 * rotation[..., 2])
    assert inversion_warning(orbit) == ()


# --- Bad input: one sentence with file, line or key --------------------------------------------------------------

ROW19 = "0 0.5 0.9 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 0"
ROW12 = "1 0 0 0 0 1 0 0 0 0 1 0"
HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"


def header_npy(shape, data=b"", descr=None):
    header = (HEADER % shape).replace("<f8", descr or "<f8")
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


# Two keys whose times differ by less than a velocity can be computed from.
TOO_CLOSE = json.dumps(
    {"format": "raxel.camera_path", "version": 1, "fps": 16, "unit": "metre", "name": "", "width": 64, "height": 48}
    | {"frame_count": 9, "plan": {"keys": [{"time": t, "position": [x, 0, 0]} for t, x in ((0, 0), (1e-320, 1))]}}
)
BAD = [
    ("realestate10k", b"", "the file is empty"),
    ("realestate10k", "url\n", "expected from 1 to 100000 frames, found 0"),
    ("realestate10k", f"url\n{ROW19}\n{ROW19} 7\n", "bad line 3: expected 19 columns of numbers, found 20"),
    ("realestate10k", f"url\n{ROW19.replace('0.9', 'nan')}", "bad line 2: expected a number, found 'nan'"),
    ("realestate10k", f"url\n{ROW19.replace('0.9', '1e999')}", "bad line 2: expected a finite number below 1e30"),
    ("realestate10k", f"url\n{ROW19.replace('0.9', '9' * 3000)}", "bad line 2: expected a finite number below 1e30"),
    ("realestate10k", f"url\n{ROW19.replace('0.9', '9' * 5000)}", "bad line 2: expected at most 4096 characters"),
    (
        "realestate10k",
        f"url\n{ROW19.replace('0.9', '0')}",
        "bad frame 0: a lens has finite numbers and a focal length above 0",
    ),
    ("realestate10k", f"url\n{ROW19[:-20]}", "bad line 2: expected 18 or 19 columns"),
    ("realestate10k", b"url\n\xff\xfe" + ROW19.encode(), "expected UTF-8 text, byte 4"),
    ("tum", "0 0 0 0 0 0 0 2\n", "bad line 1: expected a quaternion of length 1, found length 2"),
    ("tum", "0 0 0 0 0 0 0 0\n", "bad: none of its 1 frames has a pose"),
    ("tum", "# only a comment\n", "found 0"),
    ("kitti", f"{ROW12}\n2 0 0 0 0 1 0 0 0 0 1 0", "frame 1 has a rotation that is not orthonormal"),
    ("kitti", "-1 0 0 0 0 1 0 0 0 0 1 0", "frame 0 has a rotation that mirrors"),
    ("camera_rows", "[]", "expected from 1 to 100000 frames, found 0"),
    ("camera_rows", "[[1, 2]]", "bad row 0: expected 18 numbers, found 2"),
    ("camera_rows", "[[true" + ", 1" * 17 + "]]", "bad row 0: expected a number, found True"),
    ("camera_rows", "[[NaN" + ", 1" * 17 + "]]", "bad holds NaN, which is no number"),
    ("camera_rows", "[[" + "9" * 5000 + ", 1" * 17 + "]]", "expected a finite number below 1e30, found inf"),
    ("camera_rows", "[" * 200_000, "nested too deep"),
    ("camera_rows", "[[1,\n 2", "bad is not JSON: .*line 2"),
    ("camera_rows", '{"a": 1}', "bad: expected a list, found an object"),
    ("vllm_omni", '{"poses": [], "poses": []}', "bad gives 'poses' more than once"),
    ("vllm_omni", '{"poses": []}', "expected the keys poses, intrinsics, missing intrinsics"),
    ("vllm_omni", '{"poses": [[1]], "intrinsics": [[1, 1, 1, 1]]}', "bad poses 0: expected 4 rows of 4 numbers"),
    ("vllm_omni", json.dumps({"poses": [np.eye(4).tolist()] * 3, "intrinsics": [[1] * 4] * 2}), r"shape \[3, 4\]"),
    ("recammaster", '{"frame1": {"cam01": ""}}', "expected the keys frame0 to frame0, missing frame0"),
    ("recammaster", '{"frame0": {"cam01": "[1 0 0 0]"}}', "bad frame0 cam01: expected text with 4 bracketed rows"),
    ("recammaster", '{"frame0": {"cam01": 5}}', "bad frame0 cam01: expected text"),
    ("recammaster", '{"frame0": {}}', "expected cameras by name, found none"),
    ("recammaster", '{"frame0": {"cam01": "1 0 0 5 0 1 0 5 0 0 1 5 0 0 0 1"}}', "last column is 0 0 0 1"),
    ("scope", header_npy("10000000000000, 3, 4", b"1234"), "promises 960000000000000 bytes of numbers, found 4"),
    ("scope", header_npy("9" * 30), "expected an array that fits into memory"),
    ("scope", header_npy("1, 3, 4", b"\x00" * 95), "promises 96 bytes of numbers, found 95"),
    ("scope", header_npy("1, 3, 4", b"\xff" * 96), "it holds NaN, infinity or one beyond 1e30"),
    ("scope", header_npy("1, 3, 4", b"\x00" * 96), "frame 0 has a rotation that is not orthonormal"),
    ("scope", header_npy("2, 6", b"\x00" * 96), r"expected shape \[F, 3, 4\] or \[F, 4, 4\], found \[2, 6\]"),
    ("scope", header_npy("0, 3, 4"), "expected from 1 to 100000 frames, found 0"),
    ("scope", header_npy("1, 3, 4", descr="|O"), "pickles are never read"),
    ("scope", b"PK\x03\x04 and more of it", "expected a numpy .npy file of version 1 to 3"),
    ("camera_path", TOO_CLOSE, r"keys\[1\].time"),
    ("camera_path", "[1]", "a camera path is a JSON object"),
    ("camera_path", '{"format": "raxel.camera_path", "version": 2}', "bad: the camera path lacks"),
    ("camera_path", '{"fps": ' + "9" * 5000 + "}", "bad: "),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_bad_files_are_named_with_what_was_expected(tmp_path, name, content, message):
    path = save(tmp_path / "bad", content)
    with pytest.raises(CameraFormatError, match=message) as caught:
        read_cameras(path, format=name)
    text = str(caught.value)
    assert text.startswith("bad")
    assert len(text) < 400
    assert "\n" not in text


def test_nothing_folders_and_strangers_are_refused(tmp_path):
    with pytest.raises(CameraFormatError, match="gone: expected a file or folder of cameras, found nothing there"):
        read_cameras(tmp_path / "gone")
    with pytest.raises(CameraFormatError, match="expected cameras, found a file that begins with 'Dear reader,'"):
        read_cameras(save(tmp_path / "letter.txt", "Dear reader,\n"))
    with pytest.raises(CameraFormatError, match="expected a file of cameras, found a folder"):
        read_cameras(tmp_path, format="kitti")
    with pytest.raises(CameraFormatError, match="expected the track 'cam99', it has cam01, cam05, cam07"):
        read_cameras(save(tmp_path / "r.json", json.dumps(RECAM)), assumed=Assumed(track="cam99"))


def test_a_file_beyond_the_budget_is_not_read(tmp_path):
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(CameraFormatError, match="has at most 67108864 bytes"):
        read_cameras(path, format="kitti")


def test_too_many_frames_are_refused_at_the_first_one_too_many(tmp_path):
    path = save(tmp_path / "long.txt", f"{ROW12}\n" * 100_001)
    with pytest.raises(CameraFormatError, match="expected from 1 to 100000 frames, found more"):
        read_cameras(path, format="kitti")

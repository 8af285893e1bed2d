"""Camera files of those who mean harm, or were damaged: links that lead outside, names, numbers that no camera has."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from raxel_core.camera_io import read_cameras, write_cameras
from raxel_core.camera_io.reading import CameraFormatError
from raxel_core.paths.plan import make_move

PATH = make_move("orbit", 5, hw=(48, 64), amount=1.0)
posix = pytest.mark.skipif(os.name != "posix", reason="links are made by anyone on POSIX systems alone")


@posix
@pytest.mark.parametrize("format", ["colmap", "colmap_binary"])
def test_a_model_whose_files_are_links_to_outside_is_refused(tmp_path: Path, format: str) -> None:
    files = write_cameras(PATH, tmp_path / "outside", format=format)
    inner = tmp_path / "input" / "col" / "sparse" / "0"
    inner.mkdir(parents=True)
    for file in files:
        (inner / file.name).symlink_to(file)
    with pytest.raises(CameraFormatError, match="expected a file in the folder that is read, found a link out of it"):
        read_cameras(tmp_path / "input" / "col", format=format)
    with pytest.raises(CameraFormatError):
        read_cameras(tmp_path / "input" / "col")


@posix
def test_links_within_the_folder_and_a_link_that_is_asked_for_are_read(tmp_path: Path) -> None:
    files = write_cameras(PATH, tmp_path / "real", format="colmap")
    (tmp_path / "linked").symlink_to(tmp_path / "real", target_is_directory=True)
    assert len(read_cameras(tmp_path / "linked").trajectory) == 5
    shutil.copytree(tmp_path / "real", tmp_path / "own")
    for file in files:
        copied = tmp_path / "own" / file.relative_to(tmp_path / "real")
        copied.rename(copied.with_suffix(".moved"))
        copied.symlink_to(copied.with_suffix(".moved"))
    assert len(read_cameras(tmp_path / "own").trajectory) == 5
    (file,) = write_cameras(PATH, tmp_path / "real" / "path.json")
    (tmp_path / "one.json").symlink_to(file)
    assert len(read_cameras(tmp_path / "one.json").trajectory) == 5


@posix
def test_the_file_beside_a_scope_path_is_held_to_the_same(tmp_path: Path) -> None:
    write_cameras(PATH, tmp_path / "outside.npy", format="scope")
    (tmp_path / "in").mkdir()
    shutil.copy(tmp_path / "outside.npy", tmp_path / "in" / "a.npy")
    (tmp_path / "in" / "a.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(CameraFormatError, match=r"^a\.json: .*found a link out of it"):
        read_cameras(tmp_path / "in" / "a.npy")


@posix
def test_what_lies_beside_a_folder_of_poses_is_held_to_the_same(tmp_path: Path) -> None:
    motions = PATH.camera.world_from_cam.double().numpy()
    for place in ("outside", "scan/pose", "vipe/pose", "own/pose", "own/intrinsics"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "outside" / "intrinsic_color.txt").write_text("50 0 32\n0 50 24\n0 0 1\n")
    for name in ("outside", "own/intrinsics"):
        np.savez(tmp_path / name / "a.npz", data=np.tile((50.0, 50.0, 32.0, 24.0), (5, 1)))
    for frame, motion in enumerate(motions):
        np.savetxt(tmp_path / "scan" / "pose" / f"{frame}.txt", motion)
    for name in ("vipe", "own"):
        np.savez(tmp_path / name / "pose" / "a.npz", data=motions)
    assert float(read_cameras(tmp_path / "own" / "pose" / "a.npz").trajectory.camera.focal[0, 0]) == 50.0
    (tmp_path / "scan" / "intrinsic").symlink_to(tmp_path / "outside", target_is_directory=True)
    (tmp_path / "vipe" / "intrinsics").symlink_to(tmp_path / "outside", target_is_directory=True)
    for name in ("scan", "scan/pose", "vipe/pose/a.npz"):
        with pytest.raises(CameraFormatError, match="found a link out of it"):
            read_cameras(tmp_path / name)


@posix
def test_pipes_loops_and_names_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "loop.json").symlink_to("loop.json")
    for name in ("pipe.json", "loop.json", "a" * 300, "a\0b"):
        with pytest.raises(CameraFormatError) as caught:
            read_cameras(tmp_path / name, format="camera_path")
        assert str(caught.value).isprintable() and len(str(caught.value)) < 300, name
        with pytest.raises(CameraFormatError):
            read_cameras(tmp_path / name)


def gltf(uri: str) -> str:
    accessors = [{"bufferView": 0, "componentType": 5126, "count": 2, "type": kind} for kind in ("SCALAR", "VEC3")]
    channel = {"sampler": 0, "target": {"node": 0, "path": "translation"}}
    return json.dumps(
        {
            "asset": {"version": "2.0"},
            "nodes": [{"camera": 0}],
            "cameras": [{"type": "perspective", "perspective": {"yfov": 1.0}}],
            "animations": [{"channels": [channel], "samplers": [{"input": 0, "output": 1}]}],
            "accessors": accessors,
            "bufferViews": [{"buffer": 0, "byteLength": 64}],
            "buffers": [{"byteLength": 64, "uri": uri}],
        }
    )


@pytest.mark.parametrize(
    "uri", ["a" * 5000, "//host/share/x.bin", "\\\\host\\x.bin", "x%00.bin", "gone.bin", "../x.bin"]
)
def test_a_buffers_uri_is_a_file_beside_the_gltf(tmp_path: Path, uri: str) -> None:
    (tmp_path / "a.gltf").write_text(gltf(uri))
    with pytest.raises(CameraFormatError, match=r"^a\.gltf buffers/0 uri: expected a file") as caught:
        read_cameras(tmp_path / "a.gltf")
    assert len(str(caught.value)) < 200


def test_a_tracks_name_comes_out_printable(tmp_path: Path) -> None:
    name = "cam\x1b]0;pwn\x07\u202e<img src=x onerror=alert(1)>" + "x" * 300
    frames = {f"frame{i}": {name: f"[1 0 0 0] [0 1 0 0] [0 0 1 0] [{i} 0 0 1]"} for i in range(3)}
    (tmp_path / "rec.json").write_text(json.dumps(frames))
    reading = read_cameras(tmp_path / "rec.json", format="recammaster")
    assert all(line.isprintable() for line in reading.text.split("\n")) and r"\x1b]0;pwn\x07\u202e" in reading.text
    assert reading.trajectory.name.isprintable() and len(reading.trajectory.name) <= 83
    frames["frame1"]["\u202eother\x07"] = frames["frame1"].pop(name)
    (tmp_path / "rec.json").write_text(json.dumps(frames))
    with pytest.raises(CameraFormatError) as caught:
        read_cameras(tmp_path / "rec.json", format="recammaster")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("fps", "moved", "focal", "doubt"),
    [
        (1e29, 1.0, 1.0, "1e+29 frames a second is not a rate that films have"),
        (1e-3, 1.0, 1.0, "0.001 frames a second is not a rate that films have"),
        (24.0, 1e20, 1.0, "a camera stands"),
        (24.0, 1.0, 1e-6, "a focal length is"),
        (24.0, 1.0, 1e6, "a focal length is"),
    ],
)
def test_numbers_that_no_camera_has_are_doubted(
    tmp_path: Path, fps: float, moved: float, focal: float, doubt: str
) -> None:
    (file,) = write_cameras(PATH, tmp_path / "a.json")
    assert not any("no rate" in warning for warning in read_cameras(file).warnings)
    values = json.loads(file.read_text())
    values["fps"] = fps
    for frame in values["frames"]:
        for at in (3, 7, 11):
            frame["world_from_cam"][at] *= moved
        frame["K"] = [value * (focal if at in (0, 4) else 1.0) for at, value in enumerate(frame["K"])]
    file.write_text(json.dumps(values))
    assert any(doubt in warning for warning in read_cameras(file).warnings)

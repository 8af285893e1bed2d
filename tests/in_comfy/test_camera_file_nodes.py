"""The nodes for camera files in a real ComfyUI: what they read and write, where they may, and when they read again."""

from __future__ import annotations

import json
import os

import pytest
import torch

from raxel_core.camera_io import FORMATS, WRITTEN, read_cameras
from raxel_core.geometry.camera import Camera
from raxel_core.paths.camera_path import path_to_json
from raxel_core.paths.plan import make_move
from tests.in_comfy.comfy_server import PACK
from tests.small_checkpoint import FRAMES, HW, MODEL_NAME

KITTI = "1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 {x} 0 1 0 0 0 0 1 2\n"


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def load(path, /, **inputs):
    return {"load": node("RaxelLoadCamera", **{"path": path, "format": "auto"} | inputs)}


def text(probe):
    return bytes(probe["text"].tolist()).decode()


def put(comfy, name, content):
    path = comfy.base / "input" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["RaxelLoadCamera", "RaxelSaveCamera"])
def test_their_pages_name_every_format(name):
    page = (PACK / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert all(f"`{known.name}`" in page for known in (FORMATS if name == "RaxelLoadCamera" else WRITTEN))


def test_a_file_is_read_and_reported(comfy):
    put(comfy, "shots/00.txt", KITTI.format(x=3))
    read, report = comfy.probe(load("shots/00.txt", width=640, height=360, fov_degrees=90.0), ["load", 0], ["load", 1])
    assert read["world_from_cam"][1, :3, 3].tolist() == [3, 0, 2]
    assert read["K"][0].tolist() == [[pytest.approx(320), 0, 320], [0, pytest.approx(320), 180], [0, 0, 1]]
    told = text(report).splitlines()
    assert told[:2] == [
        "Read as kitti.",
        "The camera trucks right by 3 and dollies forward by 2 (lengths in arbitrary).",
    ]
    assert told[2].startswith("Matrices were taken as camera-to-world (c2w) in OpenCV axes")
    assert "assumed, 90 degrees horizontal in 640x360" in text(report)


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(comfy):
    path = put(comfy, "again.txt", KITTI.format(x=3))
    prompt = load("again.txt")
    comfy.probe(prompt, ["load", 0])
    outcome = comfy.run({**prompt, "probe": node("RaxelProbe", value=["load", 0], name="again")})
    assert "load" in outcome.cached
    path.write_text(KITTI.format(x=4), encoding="utf-8")
    (read,) = comfy.probe(prompt, ["load", 0])
    assert read["world_from_cam"][1, 0, 3] == 4


TUM = "0 0 0 0 0 0 0 1\n0.1 1 0 2 0 0 0 1\n"
COLMAP = {
    "cameras.txt": "1 PINHOLE 64 48 50 50 32 24\n",
    "images.txt": "1 1 0 0 0 0 0 0 1 00.png\n\n2 1 0 0 0 -1 0 0 1 01.png\n\n",
    "points3D.txt": "",
}


@pytest.mark.parametrize(
    ("files", "named", "changed", "content"),
    [
        (COLMAP, "images.txt", "cameras.txt", "1 PINHOLE 64 48 40 40 32 24\n"),
        ({"t.txt": TUM, "intrinsics.txt": "50 50 32 24\n"}, "t.txt", "intrinsics.txt", "40 40 32 24\n"),
        ({"t.txt": TUM}, "t.txt", "intrinsics.txt", "40 40 32 24\n"),  # which was not there before
    ],
)
def test_a_file_beside_the_named_one_that_changes_is_read_again(comfy, files, named, changed, content):
    folder = f"beside_{len(files)}"
    for name, text_of in files.items():
        put(comfy, f"{folder}/{name}", text_of)
    prompt = load(f"{folder}/{named}", width=64, height=48)
    (read,) = comfy.probe(prompt, ["load", 0])
    put(comfy, f"{folder}/notes.txt" if named != "t.txt" else f"{folder}/00.png", "not looked at")
    outcome = comfy.run({**prompt, "probe": node("RaxelProbe", value=["load", 0], name="beside")})
    assert "load" in outcome.cached and read["K"][0, 0, 0] != 40
    put(comfy, f"{folder}/{changed}", content)
    (read,) = comfy.probe(prompt, ["load", 0])
    assert read["K"][0, 0, 0] == 40


def test_a_file_whose_path_is_linked_is_read_each_time(comfy):
    put(comfy, "linked.txt", KITTI.format(x=3))
    prompt = {"name": node("PrimitiveString", value="linked.txt"), **load(["name", 0], fps=10.0)}
    comfy.probe(prompt, ["load", 0])
    put(comfy, "linked.txt", KITTI.format(x=4))
    (read,) = comfy.probe(prompt, ["load", 0])
    assert read["world_from_cam"][1, 0, 3] == 4


def test_other_inputs_may_be_linked_and_an_unchanged_file_is_not_read_again(comfy):
    put(comfy, "rated.txt", KITTI.format(x=3))
    prompt = {"rate": node("PrimitiveFloat", value=12.0), **load("rated.txt", fps=["rate", 0])}
    comfy.probe(prompt, ["load", 0])
    outcome = comfy.run({**prompt, "probe": node("RaxelProbe", value=["load", 0], name="rated")})
    assert "load" in outcome.cached


@pytest.mark.parametrize("name", [known.name for known in WRITTEN])
def test_every_format_is_written_below_the_output_folder_and_read_from_there(comfy, name):
    truck = make_move("truck", 5, hw=(480, 832), amount=0.5)
    put(comfy, "truck.json", path_to_json(truck))
    prompt = {
        "path": node("RaxelLoadCamera", path="truck.json", format="camera_path"),
        "save": node("RaxelSaveCamera", trajectory=["path", 0], filename_prefix=f"t/{name}", format=name),
    }
    prompt["load"] = node("RaxelLoadCamera", path=["save", 0], format="auto", fov_degrees=60.0)
    found, saved, report = comfy.probe(prompt, ["load", 0], ["save", 0], ["load", 1])
    where = comfy.base / "output" / "t"
    assert text(saved).startswith(str(where.resolve() / f"{name}_0000"))
    assert text(report).startswith(f"Read as {name}.")
    moved = found["world_from_cam"][:, :3, 3]
    torch.testing.assert_close(moved - moved[0], truck.camera.center, atol=2e-6, rtol=0, check_dtype=False)
    assert len(read_cameras(text(saved), format=name).trajectory) == 5


@pytest.mark.parametrize(("given", "first"), [({}, 1), ({"first_frame": 1001}, 1001), ({"first_frame": 0}, 0)])
def test_a_path_is_saved_from_the_first_frame_that_is_asked_for(comfy, given, first):
    put(comfy, "plate.txt", KITTI.format(x=3))
    prompt = {"path": load("plate.txt", fov_degrees=60.0)["load"]}
    prompt["save"] = node(
        "RaxelSaveCamera", trajectory=["path", 0], filename_prefix="plate", format="nuke_chan", **given
    )
    (saved,) = comfy.probe(prompt, ["save", 0])
    assert read_cameras(text(saved)).first == first


def test_a_saved_path_is_numbered_on_and_found_by_its_annotation(comfy):
    put(comfy, "still.txt", KITTI.format(x=3))
    prompt = {"path": load("still.txt", fov_degrees=60.0)["load"]}
    prompt["save"] = node("RaxelSaveCamera", trajectory=["path", 0], filename_prefix="numbered", format="tum")
    assert comfy.run(prompt).status == "success"
    prompt["path"]["inputs"]["fov_degrees"] = 61.0
    assert comfy.run(prompt).status == "success"
    assert sorted(p.name for p in (comfy.base / "output").glob("numbered*")) == [
        "numbered_00001_.tum",
        "numbered_00002_.tum",
    ]
    (report,) = comfy.probe(load("numbered_00002_.tum [output]"), ["load", 1])
    assert text(report).startswith("Read as tum.")


def test_paths_outside_comfyuis_folders_are_refused(comfy, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text(KITTI.format(x=1))
    os.symlink(outside, comfy.base / "input" / "link.txt")
    for path in (str(outside), "../../outside.txt", "link.txt", "../custom_nodes/raxel/README.md"):
        outcome = comfy.run({**load(path), "probe": node("RaxelProbe", value=["load", 1], name="x")})
        assert outcome.status == "error"
        assert "input, output, temp or model folders" in outcome.error
    for path in ("", "gone.txt"):
        outcome = comfy.run({**load(path), "probe": node("RaxelProbe", value=["load", 1], name="x")})
        assert outcome.status == "error"


def test_nothing_is_written_outside_the_output_folder(comfy, tmp_path):
    put(comfy, "00.txt", KITTI.format(x=3))
    (comfy.base / "output" / "door").symlink_to(tmp_path, target_is_directory=True)
    for prefix in ("../outside", str(tmp_path / "camera"), "door/camera", ""):
        prompt = load("00.txt")
        prompt["save"] = node("RaxelSaveCamera", trajectory=["load", 0], filename_prefix=prefix, format="kitti")
        outcome = comfy.run(prompt)
        assert outcome.status == "error"
        assert "output folder" in outcome.error
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_one_sentence(comfy):
    put(comfy, "broken.json", '{"poses": [1], "intrinsics": [[1, 1, 1, 1]]}')
    outcome = comfy.run({**load("broken.json"), "probe": node("RaxelProbe", value=["load", 1], name="x")})
    assert outcome.error.strip() == "broken.json poses 0: expected a list, found 1"


def test_a_path_from_a_file_drives_the_rays_as_one_from_the_builder(comfy):
    orbit = make_move("orbit", FRAMES, hw=HW, amount=0.3)
    put(comfy, "orbit.json", path_to_json(orbit))
    prompt = load("orbit.json")
    prompt["model"] = node("LoadRaxelModel", model_name=f"{MODEL_NAME}.safetensors")
    prompt["rays"] = node("RaxelEncode", model=["model", 0], vae=["model", 1], trajectory=["load", 0])
    rays, read = comfy.probe(prompt, ["rays", 0], ["load", 0])
    assert rays["rays"].isfinite().all()
    found = Camera(read["world_from_cam"], read["K"], HW)
    torch.testing.assert_close(found.world_from_cam, orbit.camera.world_from_cam, check_dtype=False)


def test_a_track_is_chosen_by_name(comfy):
    frames = {
        "frame0": {
            "cam01": "[1 0 0 0] [0 1 0 0] [0 0 1 0] [0 0 0 1]",
            "cam02": "[1 0 0 0] [0 1 0 0] [0 0 1 0] [0 500 0 1]",
        }
    }
    put(comfy, "camera_extrinsics.json", json.dumps(frames))
    (read,) = comfy.probe(load("camera_extrinsics.json", track="cam02"), ["load", 0])
    assert read["world_from_cam"][0, :3, 3].tolist() == [5, 0, 0]


def test_the_page_is_told_of_camera_files_and_of_no_others(comfy):
    """Samples and what is written into the folders, the newest first in each; folders of COLMAP's as a whole."""
    shots = comfy.base / "input" / "listed"
    (shots / "model").mkdir(parents=True, exist_ok=True)
    for name in ("model/images.txt", "model/cameras.txt", "path.usda", "picture.png", ".hidden.json"):
        (shots / name).write_text("", encoding="utf-8")
    (comfy.base / "output" / "saved.chan").write_text("", encoding="utf-8")
    files = comfy.get("/raxel/camera_files")["files"]
    assert {"raxel_sample_camera.json", "raxel_sample_colmap", "listed/model", "listed/path.usda"} <= set(files)
    assert "saved.chan [output]" in files
    assert not [name for name in files if "picture" in name or "hidden" in name or "cameras.txt" in name]
    assert files.index("listed/path.usda") < files.index("raxel_sample_camera.json")

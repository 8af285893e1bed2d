"""Solve and Verify in a real ComfyUI: their pages, cameras given and solved, files that hold an estimate."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from raxel_core.camera_io import read_estimate
from raxel_core.paths.camera_path import path_to_json
from raxel_core.paths.plan import make_move
from raxel_core.video_io import write_image
from tests.in_comfy.comfy_server import PACK

NODES = ("RaxelSolveCamera", "RaxelVerifyCamera", "RaxelPoseFootage")
FRAMES, HW = 5, (90, 160)


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def text(probe):
    return bytes(probe["text"].tolist()).decode()


@pytest.fixture
def graph(comfy):
    """A picture held for five frames, a pan that was asked for, and the same pan half as far."""
    coarse = torch.rand(1, 3, 45, 80, generator=torch.Generator().manual_seed(4))
    picture = torch.nn.functional.interpolate(coarse, size=HW, mode="bilinear")[0].movedim(0, -1)
    save_file({"image": picture.expand(FRAMES, *HW, 3).contiguous()}, comfy.base / "input" / "held.safetensors")
    for name, degrees in (("asked", 20.0), ("half", 10.0)):
        move = make_move("pan", FRAMES, hw=HW, amount=math.radians(degrees))
        (comfy.base / "input" / f"{name}.json").write_text(path_to_json(move))
    return {
        "held": node("RaxelProbeTensor", name="held"),
        "asked": node("RaxelLoadCamera", path="asked.json", format="camera_path"),
        "half": node("RaxelLoadCamera", path="half.json", format="camera_path"),
    }


@pytest.mark.parametrize("name", NODES)
def test_their_pages_name_every_input_and_output(comfy, name):
    info = comfy.get(f"/object_info/{name}")[name]
    page = (PACK / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")
    widgets = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    for word, options in widgets.items():
        assert f"| `{word}` |" in page and options[1]["tooltip"] in page
    for word, tooltip in zip(info["output_name"], info["output_tooltips"], strict=True):
        assert f"| `{word}` |" in page and tooltip in page


@pytest.mark.parametrize(("cameras", "word"), [("asked", "followed"), ("half", "slow")])
def test_given_cameras_are_held_against_the_path(comfy, graph, cameras, word):
    graph["verify"] = node("RaxelVerifyCamera", images=["held", 0], path=["asked", 0], cameras=[cameras, 0])
    passed, found, report, values, overlay, paths = comfy.probe(graph, *(["verify", index] for index in range(6)))
    assert text(found) == word and bool(passed["tensor"][0]) == (word == "followed")
    assert text(report).startswith("Passed" if word == "followed" else "Failed, slow: the video moves at 0.5")
    assert json.loads(text(values))["format"] == "raxel.verification"
    assert overlay["tensor"].shape == (FRAMES, *HW, 3) and paths["tensor"].ndim == 4


@pytest.mark.parametrize("count", [FRAMES - 2, FRAMES + 2])
def test_cameras_of_another_number_of_frames_are_refused(comfy, graph, count):
    move = make_move("pan", count, hw=HW, amount=math.radians(20.0))
    (comfy.base / "input" / "other.json").write_text(path_to_json(move))
    graph["other"] = node("RaxelLoadCamera", path="other.json", format="camera_path")
    graph["verify"] = node("RaxelVerifyCamera", images=["held", 0], path=["asked", 0], cameras=["other", 0])
    outcome = comfy.run({**graph, "probe": node("RaxelProbe", value=["verify", 1], name="word")})
    assert outcome.status == "error"
    assert f"they span {count} frames, and there are {FRAMES} images" in outcome.error


def test_without_pycolmap_there_is_one_sentence_and_with_it_a_still_video_is_still(comfy, graph):
    graph["solve"] = node("RaxelSolveCamera", images=["held", 0], fps=16.0, source="held.mp4")
    graph["save"] = node("RaxelSaveCamera", trajectory=["solve", 1], filename_prefix="solved", format="camera_path")
    probe = node("RaxelProbe", value=["solve", 3], name="verdict")
    outcome = comfy.run({**graph, "probe": probe})
    if outcome.status == "error":
        assert "pip install pycolmap" in outcome.error
        return
    verdict, saved = comfy.probe(graph, ["solve", 3], ["save", 0])
    assert text(verdict).startswith("The camera did not move")
    estimate = read_estimate(text(saved))
    assert estimate.motion == "still" and estimate.footage.name == "held.mp4" and estimate.footage.rate == 16.0
    graph["verify"] = node("RaxelVerifyCamera", images=["held", 0], path=["asked", 0], cameras=["solve", 1])
    (word,) = comfy.probe(graph, ["verify", 1])
    assert text(word) == "still"


def test_a_series_of_pictures_gets_a_camera_for_every_frame_window_by_window(comfy, graph):
    """13 pictures that a window of 9 slides over, and one of them still; files outside ComfyUI's folders stay shut."""
    coarse = torch.rand(1, 3, 24, 48, generator=torch.Generator().manual_seed(5)) * 2 - 1
    scene = torch.nn.functional.interpolate(coarse, scale_factor=6, mode="bicubic")[0].clamp(-1, 1)
    for name, step in (("pan", 8), ("tripod", 0)):
        (comfy.base / "input" / name).mkdir()
        for number in range(13):
            write_image(comfy.base / "input" / name / f"f_{number:04d}.png", scene[:, :, number * step :][:, :, :160])
    graph["load"] = node("LoadRaxelModel", model_name="raxel-tiny (embedded)")
    given = {"model": ["load", 0], "vae": ["load", 1], "seed": 0, "ray_steps": 2, "fps": 8.0}
    graph["pan"] = node("RaxelPoseFootage", path="pan/f_%04d.png", **given)
    graph["still"] = node("RaxelPoseFootage", path="tripod", **given)
    graph["save"] = node("RaxelSaveCamera", trajectory=["pan", 1], filename_prefix="pan", format="camera_path")
    verdict, still, saved = comfy.probe(graph, ["pan", 2], ["still", 2], ["save", 0])
    assert text(verdict).startswith("The model sees the camera turn by")
    assert "outside what this checkpoint was trained on (it has seen ray-traced scenes alone" in text(verdict)
    assert text(still).startswith("The camera did not move: the scene stays in place to 0 of 640 pixels.")
    estimate = read_estimate(text(saved))
    assert estimate.footage.frames == tuple(range(13)) and estimate.footage.rate == 8.0
    assert estimate.covariance is not None and estimate.trajectory.camera.hw == (144, 160)
    for path, told in (("/etc", "lies in ComfyUI's input"), ("nothing.mp4", "there is no file or folder")):
        graph["pan"] = node("RaxelPoseFootage", path=path, **given)
        outcome = comfy.run({**graph, "probe": node("RaxelProbe", value=["pan", 2], name="verdict")})
        assert outcome.status == "error" and told in outcome.error

"""CameraTrajectoryBuilder in a real ComfyUI, asked as an API caller asks: no browser, one state, and who wins over whom."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from io import BytesIO
from math import cos, radians, sin

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from raxel_core.paths.camera_path import path_from_json, path_to_json
from raxel_core.paths.moves import MOVES
from raxel_core.paths.plan import make_move
from tests.in_comfy.comfy_server import PACK

PLAN = {"moves": [{"move": "orbit", "amount_degrees": 30.0}]}
CLIP = {"frames": 9, "width": 320, "height": 192, "fps": 8.0, "unit": "metre"}


def builder(path, /, **inputs):
    return {"class_type": "CameraTrajectoryBuilder", "inputs": {"path": path, **inputs}}


def built(comfy, path, /, **inputs):
    (cameras,) = comfy.probe({"path": builder(path, **inputs)}, ["path", 0])
    return cameras


def at_angle(degrees):
    """The camera that has orbited the point (0, 0, 1) by an angle to the right, facing it, worked out by hand.

    It stands at distance 1 from the point, so at (sin a, 0, 1 - cos a), and looks along (-sin a, 0, cos a).
    """
    s, c = sin(radians(degrees)), cos(radians(degrees))
    return torch.tensor([[c, 0.0, -s, s], [0.0, 1.0, 0.0, 0.0], [s, 0.0, c, 1.0 - c], [0.0, 0.0, 0.0, 1.0]])


@pytest.mark.parametrize("form", [dict, json.dumps], ids=["object", "text"])
def test_a_plan_alone_is_enough_and_widgets_go_before_it(comfy, form):
    stale = {"fps": 60, "unit": "near_depth", "width": 10, "height": 10, "frame_count": 3}
    for path in ({"plan": PLAN}, {"plan": PLAN, **stale}):
        cameras = built(comfy, form(path), **CLIP)
        assert len(cameras["world_from_cam"]) == 9
        torch.testing.assert_close(cameras["world_from_cam"][4], at_angle(15.0), atol=1e-6, rtol=0)
        torch.testing.assert_close(cameras["world_from_cam"][8], at_angle(30.0), atol=1e-6, rtol=0)
        # 60 degrees over 320 pixels: a focal length of 160 / tan 30.
        expected = torch.tensor([[277.1281, 0.0, 160.0], [0.0, 277.1281, 96.0], [0.0, 0.0, 1.0]])
        torch.testing.assert_close(cameras["K"][0], expected, atol=1e-3, rtol=0)


def test_what_the_path_says_holds_where_no_widget_does(comfy):
    said = {"plan": PLAN, "frame_count": 5, "width": 64, "height": 32, "fps": 4, "unit": "metre"}
    cameras = built(comfy, said)
    assert len(cameras["K"]) == 5
    assert cameras["K"][0, 0, 2] == 32.0
    assert len(built(comfy, {"plan": {}})["K"]) == 81


def test_a_baked_path_runs_too_in_the_widgets_clip(comfy):
    baked = make_move("truck", 5, hw=(32, 64), amount=0.8)
    same = built(comfy, json.loads(path_to_json(baked)))
    torch.testing.assert_close(same["world_from_cam"], baked.camera.world_from_cam, atol=0, rtol=0)
    cameras = built(comfy, path_to_json(baked), frames=9, width=128, height=64)
    torch.testing.assert_close(cameras["world_from_cam"][:, 0, 3], torch.linspace(0.0, 0.8, 9), atol=1e-6, rtol=0)
    torch.testing.assert_close(cameras["K"][0, :2, 2], torch.tensor([64.0, 32.0]), atol=1e-5, rtol=0)


def test_the_editor_is_told_the_clip_and_the_picture(comfy):
    size = {"width": 96, "height": 64, "batch_size": 2, "color": 255}
    prompt = {
        "picture": {"class_type": "EmptyImage", "inputs": size},
        "path": builder({"plan": PLAN}, image=["picture", 0], **CLIP),
    }
    probed = {**prompt, "end": {"class_type": "RaxelProbe", "inputs": {"value": ["path", 0], "name": "told"}}}
    outcome = comfy.run(probed)
    assert outcome.status == "success", outcome.error
    assert outcome.outputs["path"]["raxel_clip"] == [CLIP]
    (kept,) = outcome.outputs["path"]["raxel_image"]
    assert kept["type"] == "temp"
    assert "images" not in outcome.outputs["path"], "ComfyUI would show them under the editor"


def test_the_editor_is_told_the_depth_of_the_picture(comfy):
    """A disparity of 1 and of 1/2 between depths 1 and 10: 1 and 20 / 11, the first of which is the near depth."""
    white, grey = ({"width": 64, "height": 32, "batch_size": 1, "color": color} for color in (0xFFFFFF, 0x808080))
    prompt = {
        "white": {"class_type": "EmptyImage", "inputs": white},
        "grey": {"class_type": "EmptyImage", "inputs": grey},
        "depth": {"class_type": "ImageStitch", "inputs": {
            "image1": ["white", 0], "image2": ["grey", 0], "direction": "right", "match_image_size": True,
            "spacing_width": 0, "spacing_color": "white",
        }},
        "path": builder({"plan": PLAN}, depth=["depth", 0], **{**CLIP, "unit": "near_depth"}),
    }  # fmt: skip
    outcome = comfy.run(prompt)
    assert outcome.status == "success", outcome.error
    (kept,) = outcome.outputs["path"]["raxel_depth"]
    assert kept["K"] is None
    end = {"class_type": "RaxelProbe", "inputs": {"value": ["path", 1], "name": "told"}}
    again = comfy.run({**prompt, "end": end}).outputs["path"]["raxel_depth"]
    assert again == [kept], "of a page that was opened anew, with nothing to run again"
    near_depth = load_file(comfy.base / "output" / "told.safetensors")["tensor"]
    assert near_depth.item() == kept["near_depth"] == pytest.approx(1.0, abs=1e-4)
    # Codes of 16 bits in the red and the green of the kept picture.
    with urllib.request.urlopen(f"{comfy.url}/view?{urllib.parse.urlencode(shown(kept))}", timeout=60) as answer:
        picture = torch.from_numpy(np.array(Image.open(BytesIO(answer.read())))).long()
    codes = 256 * picture[..., 0] + picture[..., 1]
    inverse = (codes - 1) / 65534 * (1 / kept["near"] - 1 / kept["far"]) + 1 / kept["far"]
    depth = 1 / inverse
    grey_level = 128 / 255
    expected = 1 / (0.1 + 0.9 * grey_level)
    assert abs(depth[5, 5] - 1.0) < 1e-4
    assert abs(depth[5, -5] - expected) < 1e-3


def shown(kept):
    return {name: kept[name] for name in ("filename", "subfolder", "type")}


@pytest.mark.parametrize("color, says", [(0xFF0000, "coloured picture")])
def test_a_depth_that_is_none_is_named_in_a_sentence(comfy, color, says):
    size = {"width": 64, "height": 32, "batch_size": 1, "color": color}
    end = {"class_type": "RaxelProbe", "inputs": {"value": ["path", 0], "name": "wrong"}}
    prompt = {
        "depth": {"class_type": "EmptyImage", "inputs": size},
        "path": builder({"plan": PLAN}, depth=["depth", 0]),
    }
    outcome = comfy.run({**prompt, "end": end})
    assert outcome.status == "error"
    assert says in outcome.error


def test_the_schema_offers_the_editor_its_widget_and_a_path_that_runs(comfy):
    inputs = comfy.get("/object_info/CameraTrajectoryBuilder")["CameraTrajectoryBuilder"]["input"]
    kind, options = inputs["required"]["path"]
    assert kind == "RAXEL_CAMERA_PATH"
    assert options["socketless"] is True
    assert list(inputs["required"]) == ["path"]
    assert len(built(comfy, options["default"], **CLIP)["K"]) == 9
    assert options["clips"]["raxel-tiny (embedded)"]["frameCount"] == 9
    starts = {name: options[1]["default"] for name, options in inputs["optional"].items() if "default" in options[1]}
    assert [starts[name] for name in ("frames", "width", "height", "fps")] == [81, 832, 480, 16]
    clip = {"fps": 8, "width": 8, "height": 8, "frame_count": 1}
    path_from_json(json.dumps({"unit": "metre", **clip, **options["default"]}))


def test_the_help_page_says_what_each_move_does():
    page = (PACK / "web" / "docs" / "CameraTrajectoryBuilder.md").read_text(encoding="utf-8")
    for name, move in MOVES.items():
        assert f"| {name.replace('_', ' ')} | {move.meaning.replace('`', '')} |" in page, name


@pytest.mark.parametrize(
    "path, says",
    [
        ("{ not a path", "not JSON"),
        ("[]", "is a JSON object, got list"),
        ({"name": "no plan"}, "plan"),
        ({"plan": {"moves": [{"move": "teleport"}]}}, "plan.moves[0]"),
        ({"plan": {"moves": [{"move": "pan", "amount_degrees": "far"}]}}, "amount_degrees"),
        ({"plan": {}, "speed": 2}, "unknown speed"),
        ('{"plan": {}, "plan": {}}', "more than once"),
    ],
)
def test_what_is_no_path_is_named_in_a_sentence(comfy, path, says):
    end = {"class_type": "RaxelProbe", "inputs": {"value": ["path", 0], "name": "wrong"}}
    outcome = comfy.run({"path": builder(path), "end": end})
    assert outcome.status == "error"
    assert says in outcome.error


def test_a_prompt_for_the_old_inputs_is_refused_instead_of_making_another_path(comfy):
    old = {"move": "pan", "angle_degrees": 40.0, "frames": 9, "width": 64, "height": 64}
    end = {"class_type": "RaxelProbe", "inputs": {"value": ["path", 0], "name": "old"}}
    prompt = {"path": {"class_type": "CameraTrajectoryBuilder", "inputs": old}, "end": end}
    status, answer = comfy.post("/prompt", {"prompt": prompt, "client_id": "tests"})
    assert status == 400
    assert answer["node_errors"]["path"]["errors"][0]["extra_info"]["input_name"] == "path"

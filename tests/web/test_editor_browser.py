"""The builder's live editor in ComfyUI's own frontend, in the classic mode and in Nodes 2.0: what is done there is what runs.

Needs Node.js, Chromium (on PATH, or RAXEL_CHROMIUM) and the npm package playwright-core, whose folder RAXEL_PLAYWRIGHT
names; tests/web/editor_in_browser.mjs does what a user does and reports, and here the report is judged.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest
import torch
from safetensors.torch import load_file

from raxel_core.paths.camera_path import path_from_json
from raxel_core.video_io import write_image
from tests.in_comfy.comfy_server import PACK

SCRIPT = PACK / "tests" / "web" / "editor_in_browser.mjs"
KEYS = [
    {"time": 0.0, "position": [0.0, 0.0, 0.0]},
    {"time": 0.5, "position": [0.4, -0.2, 0.1]},
    {"time": 1.0, "position": [0.8, 0.0, 0.3]},
]
PATH = {"format": "raxel.camera_path", "version": 1, "name": "", "plan": {"moves": [], "keys": KEYS}}
# The drag of the script goes 50 pixels right and 30 up: the key does too, and no further than the view is wide.
MOST_DRAGGED = 2.0
FPS = 16
PICTURE = "magenta.png"
HOSTILE = '<img src=x onerror="window.hacked = true">'


def missing():
    """What the test needs and does not find, or None."""
    if shutil.which("node") is None:
        return "no Node.js on PATH"
    if not os.environ.get("RAXEL_PLAYWRIGHT"):
        return "RAXEL_PLAYWRIGHT does not name the folder of playwright-core (npm install playwright-core)"
    return None if chromium() else "no Chromium on PATH and none in RAXEL_CHROMIUM"


def chromium():
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("RAXEL_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def node(number, kind, position, size, inputs, outputs, values):
    return {
        "id": number, "type": kind, "pos": position, "size": size, "flags": {}, "order": number, "mode": 0,
        "inputs": inputs, "outputs": outputs, "properties": {}, "widgets_values": values,
    }  # fmt: skip


def workflow():
    """Builder -> preview -> PreviewImage, and a probe of the trajectory."""
    path, image = "RAXEL_TRAJECTORY", "IMAGE"
    plugs = [{"name": "trajectory", "type": path, "link": 1}, {"name": "compare", "type": path, "link": None}]
    made, drawn = {"name": "trajectory", "type": path, "links": [1, 3]}, {"name": "image", "type": image, "links": [2]}
    builder = [{"name": "image", "type": image, "link": 4}]
    loaded = [{"name": "IMAGE", "type": image, "links": [4]}, {"name": "MASK", "type": "MASK", "links": None}]
    nodes = [
        node(
            1, "CameraTrajectoryBuilder", [0, 0], [520, 800], builder, [made], [PATH, 33, 640, 384, FPS, "near_depth"]
        ),
        node(2, "RaxelTrajectoryPreview", [600, 0], [300, 150], plugs, [drawn], [768, 512]),
        node(3, "PreviewImage", [600, 260], [300, 300], [{"name": "images", "type": image, "link": 2}], [], []),
        node(5, "LoadImage", [-400, 0], [300, 400], [], loaded, [PICTURE, "image"]),
        node(4, "RaxelProbe", [600, 640], [300, 100], [{"name": "value", "type": "*", "link": 3}], [], ["browser"]),
    ]
    links = [[1, 1, 0, 2, 0, path], [2, 2, 0, 3, 0, image], [3, 1, 0, 4, 0, path], [4, 5, 0, 1, 0, image]]
    return {"last_node_id": 5, "last_link_id": 4, "version": 0.4, "nodes": nodes, "links": links}


@pytest.fixture(scope="module", params=["classic", "nodes2"])
def report(request, comfy, tmp_path_factory):
    """What was seen in one of the two modes."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("browser")
    magenta = torch.tensor([1.0, -1.0, 1.0])[:, None, None].expand(3, 64, 96)
    write_image(comfy.base / "input" / PICTURE, magenta)
    file = folder / "workflow.json"
    file.write_text(json.dumps(workflow()), encoding="utf-8")
    command = ["node", str(SCRIPT), comfy.url, request.param, str(file), os.environ.get("RAXEL_SHOTS", str(folder))]
    environment = {**os.environ, "RAXEL_CHROMIUM": chromium()}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def positions(path):
    return [key["position"] for key in path["plan"]["keys"]]


def picture(comfy, prompt_id):
    """The bytes of the picture that PreviewImage showed at the end of a prompt."""
    outcome = comfy.wait(prompt_id)
    assert outcome.status == "success", outcome.error
    shown = outcome.outputs["3"]["images"][0]
    with urllib.request.urlopen(f"{comfy.url}/view?{urllib.parse.urlencode(shown)}", timeout=60) as answer:
        return answer.read()


def test_a_dragged_key_is_what_runs(comfy, report):
    before, after = positions(report["before"]), positions(report["dragged"])
    assert positions(report["first"]["path"]) == before == [key["position"] for key in KEYS]
    assert after[0] == before[0]
    assert after[2] == before[2]
    moved = [b - a for a, b in zip(before[1], after[1], strict=True)]
    assert 0.05 < moved[0] < MOST_DRAGGED
    assert -MOST_DRAGGED < moved[1] < -0.02
    assert report["second"]["path"] == report["dragged"]
    assert picture(comfy, report["first"]["id"]) != picture(comfy, report["second"]["id"])
    probed = load_file(comfy.base / "output" / "browser.safetensors")
    expected = path_from_json(json.dumps(report["dragged"]))
    torch.testing.assert_close(probed["world_from_cam"], expected.camera.world_from_cam, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(probed["world_from_cam"][16, :3, 3], torch.tensor(after[1]), atol=1e-6, rtol=1e-6)


def test_the_linked_picture_stands_in_the_view_and_in_the_camera(report):
    """The plane and its view through the camera take more than a twentieth of the some 500 by 250 pixels."""
    assert report["picturePixels"] > 0.05 * 500 * 250


def test_undo_is_the_editors_own_and_comfyui_does_not_undo_a_second_time(report):
    assert report["undone"] == report["before"]
    assert report["redone"] == report["dragged"]
    assert report["nodeKept"]


def test_play_runs_at_the_clips_rate_and_nothing_is_drawn_at_rest(report):
    """0.7 s at 16 frames a second are 11.2 frames; a slow machine may drop some of them, none may come early."""
    assert report["frameAtHome"] == 1
    assert 4 <= report["frameWhilePlaying"] <= 1 + 0.9 * FPS
    assert report["stands"]
    assert report["drawnIdle"] == 0


def test_the_keyboard_steps_sets_and_deletes_keys_but_never_the_node(report):
    assert report["frameBeforeEnd"] == 32
    times = [key["time"] for key in report["withKey"]["plan"]["keys"]]
    assert times == [0, 0.5, 31 / 32, 1]
    assert report["withoutKey"] == report["dragged"]
    assert report["nodeSurvivesDelete"]


def test_the_editor_fills_the_window_with_four_views_and_goes_back(report):
    assert report["views"] == 4
    assert (report["fills"]["width"], report["fills"]["height"]) == (1400, 1000)
    assert report["backInNode"] == 0
    assert report["allUndone"]


def test_the_camera_is_turned_in_its_own_view(report):
    """What is seen follows the pointer: to the right and down, so that the camera pans left and tilts up."""
    pan, tilt, roll = report["turned"]["plan"]["keys"][0]["rotation_degrees"]
    assert pan < -3
    assert tilt > 1
    assert abs(roll) < 0.01
    assert positions(report["turned"])[0] == [0, 0, 0]


def test_a_drawn_path_has_handles_and_a_pulled_speed_its_points(report):
    drawn = report["drawn"]["plan"]
    assert all(abs(key["position"][1]) < 1e-6 for key in drawn["keys"]), "drawn from above, at the height of the start"
    assert all("handle_in" in key or "handle_out" in key for key in drawn["keys"])
    assert drawn["look_at"] is not None
    assert [time for time, _ in report["pulled"]["plan"]["speed"]] == pytest.approx([0, 0.5, 1], abs=0.02)
    assert report["pulled"]["plan"]["speed"][1][1] > 1.2


def test_a_loop_is_ticked_with_keys_at_both_ends(report):
    times = [key["time"] for key in report["drawn"]["plan"]["keys"]]
    assert (times[0], times[-1]) == (0, 1)
    assert report["loopFault"] == ""
    assert report["looped"]["plan"]["loop"]


def test_a_cut_makes_two_shots_which_run(report):
    first, second = report["cut"]["shots"]
    assert first["plan"] == report["looped"]["plan"]
    assert second["plan"]["moves"] == []
    assert len(path_from_json(json.dumps(report["cut"]))) == 33


def test_a_preset_button_adds_its_move(report):
    (move,) = report["preset"]["plan"]["moves"]
    assert (move["move"], move["amount_degrees"]) == ("spiral", 90)
    assert positions(report["preset"]) == positions(report["dragged"])


def test_a_hostile_name_stays_text(report):
    assert report["named"] == HOSTILE
    assert HOSTILE in report["shown"]
    assert report["images"] == 0
    assert not report["hacked"]
    assert not report["hackedAgain"]


def test_a_saved_workflow_brings_everything_back(report):
    assert report["reloaded"]
    assert report["saved"][0]["name"] == HOSTILE
    assert report["saved"][1:] == [33, 640, 384, FPS, "near_depth", "disparity"]


def test_text_that_is_no_path_is_kept_and_named(report):
    assert report["keptText"] == "{ not a path"
    assert "not JSON" in report["fault"]


def test_the_search_answers_an_artists_words_with_a_node_of_ours(comfy, report):
    if comfy.version < (0, 33):
        pytest.skip("this ComfyUI's search knows no aliases")
    assert len(report["found"]) >= 20
    missed = [word for word, found in report["found"].items() if not any("raxel" in module for module in found)]
    assert missed == []


def test_the_page_saw_no_error(report):
    assert report["faults"] == []

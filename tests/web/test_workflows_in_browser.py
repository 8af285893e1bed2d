"""Every shipped workflow in ComfyUI's own page, in the classic mode and in Nodes 2.0: it opens, runs, and shows no fault.

    COMFYUI_FRONTEND=.../static pytest -m by_hand tests/web/test_workflows_in_browser.py      with another frontend package

Needs what test_editor_browser.py needs. Screenshots go to RAXEL_SHOTS.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.in_comfy.comfy_server import PACK
from tests.in_comfy.test_nodes_workflows import NAMES, read
from tests.web.test_editor_browser import chromium, missing

SCRIPT = PACK / "tests" / "web" / "workflows_in_browser.mjs"
PATH_COLOR = "#f0b429"
pytestmark = pytest.mark.by_hand


@pytest.fixture(scope="module", params=["classic", "nodes2"])
def report(request, comfy, tmp_path_factory):
    """What the page said of each workflow in one of the two modes."""
    if missing():
        pytest.skip(missing())
    folder = os.environ.get("RAXEL_SHOTS") or str(tmp_path_factory.mktemp("workflows"))
    command = ["node", str(SCRIPT), comfy.url, request.param, folder, "run", *NAMES]
    environment = {**os.environ, "RAXEL_CHROMIUM": chromium()}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_the_workflow_opens_and_runs_in_the_page(report, name):
    seen = report[name]
    assert seen["faults"] == []
    assert seen["run"] == {"status": "success", "error": ""}
    assert seen["seen"]["nodes"] == len(read(PACK / "example_workflows" / f"{name}.json")["nodes"])
    assert seen["seen"]["missing"] == []
    assert seen["seen"]["links"] == PATH_COLOR


def test_what_was_saved_is_offered_to_load(report):
    offered = report["colmap_to_blender"]["offered"]
    assert any(name.startswith("cameras/shot_") and name.endswith("[output]") for name in offered["found"])
    assert "raxel_sample_camera.json" in offered["found"]
    assert offered["chosen"] == offered["found"][2]

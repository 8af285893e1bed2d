"""The JavaScript: its own tests under Node, and the modules that may know nothing of a page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from raxel_core.geometry.se3 import geodesic
from raxel_core.paths.camera_path import path_from_json

ROOT = Path(__file__).resolve().parents[2]
NODE = shutil.which("node")
# Pure modules, and what each may import.
PURE = {"camera_math.mjs": set(), "camera_path.mjs": {"./camera_math.mjs"}}


@pytest.mark.skipif(NODE is None, reason="no Node.js found: the tests of the JavaScript did not run")
@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "web").glob("*.test.mjs")), ids=lambda path: path.name)
def test_under_node(path: Path) -> None:
    done = subprocess.run([str(NODE), "--test", str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    passed = re.search(r"^\S+ pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed and int(passed[1]) > 0, done.stdout[-2000:]


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_know_no_page(name: str) -> None:
    text = (ROOT / "web" / name).read_text()
    assert set(re.findall(r"^(?:import|export) .*?from \"(.+?)\"", text, re.MULTILINE)) == PURE[name]
    assert not re.search(r"\b(document|window|globalThis|fetch|require|import)\s*[.(\[]", text)


# Every move with every easing, as the editor stores it, and turned into keys: [before, after].
AS_KEYS = """
import { defaultPath, EASINGS, MOVES, validatePlan } from "./web/camera_path.mjs";
import { withMovesAsKeys } from "./web/editor/keys_of_moves.mjs";
const plans = Object.keys(MOVES).flatMap((move) =>
  (move === "handheld" ? [{}] : EASINGS.map((easing) => ({ easing, start: 0.15 }))).map((ease) => validatePlan({ moves: [{ move, ...ease }] })));
console.log(JSON.stringify(plans.map((plan) => [plan, withMovesAsKeys(plan)].map((one) => ({ ...defaultPath(), plan: one })))));
"""


@pytest.mark.skipif(NODE is None, reason="no Node.js found: the tests of the JavaScript did not run")
def test_moves_made_keys_in_the_page_keep_the_path_that_runs() -> None:
    """In every frame at most 0.5% of the path's size and 0.3 degrees off; the lens 0.5%."""
    command = [str(NODE), "--input-type=module", "-e", AS_KEYS]
    pairs = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert len(pairs) == 18 * 5 + 1
    for pair in pairs:
        before, after = (path_from_json(json.dumps(path)).camera for path in pair)
        centers = before.world_from_cam[:, :3, 3]
        size = (centers.amax(0) - centers.amin(0)).norm().clamp(min=1e-3)
        off = (after.world_from_cam[:, :3, 3] - centers).norm(dim=-1).max() / size
        turned = geodesic(before.world_from_cam[:, :3, :3], after.world_from_cam[:, :3, :3]).rad2deg().max()
        lens = (after.K[:, 0, 0] / before.K[:, 0, 0]).log().abs().max()
        assert off < 0.005 and turned < 0.3 and lens < 0.005, (pair[0]["plan"]["moves"], off, turned, lens)

"""The JavaScript: its own tests under Node, and the modules that may know nothing of a page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

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

"""The parts of the builder's editor that need no browser, run by Node.js: tests/web/editor.test.mjs."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.in_comfy.comfy_server import PACK


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js on PATH")
def test_the_editors_parts_in_node():
    command = ["node", "--test", str(PACK / "tests" / "web" / "editor.test.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]

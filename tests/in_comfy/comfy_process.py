"""Scripts of this folder, each run by the interpreter of a ComfyUI that is found; `inside.py` is their half of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.in_comfy.comfy_server import PACK, interpreter_of

NO_COMFYUI = "no ComfyUI found: set COMFYUI_PATH to run the tests of the nodes"
_HERE = Path(__file__).parent


def run_script(
    root: Path | None, script: str, *arguments: object, before: Sequence[object] = (), seconds: int = 600
) -> str:
    """What `script` prints in the ComfyUI at `root`; skips the test where there is none, fails where it fails.

    `before` are words before the interpreter's, as a tracer's.
    """
    python = None if root is None else interpreter_of(root)
    if python is None:
        pytest.skip(NO_COMFYUI)
    command = [str(word) for word in (*before, python, _HERE / script, root, PACK, *arguments)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def checks_of(script: str) -> list[str]:
    """The names of a script's checks."""
    return re.findall(r"^def (check_\w+)", (_HERE / script).read_text(encoding="utf-8"), re.MULTILINE)


def read_report(path: Path) -> Any:
    """The JSON that a script wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def judge(report: dict[str, str], check: str) -> None:
    """Pass, skip or fail as the script's check did."""
    if report[check].startswith("skipped: "):
        pytest.skip(report[check])
    assert report[check] == "", report[check]

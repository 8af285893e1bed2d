"""Every camera reader against damaged files: a short run always, 100,000 inputs a reader with `-m by_hand`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from raxel_core.camera_io import FORMATS

ROOT = Path(__file__).resolve().parents[2]
SHORT, LONG = 60, 100_000

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured through Linux's /proc"
)


def fuzzed(name: str, count: int, seed: int, timeout: float) -> list[dict]:
    """What the runs measured; fails with what went wrong."""
    command = [sys.executable, "-m", "tests.fuzz.camera_readers", name, str(count), str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_damaged_files_give_one_error_each():
    runs = fuzzed("all", SHORT, 1, 120)
    assert [run["format"] for run in runs] == [known.name for known in FORMATS]
    assert all(run["accepted"] < SHORT for run in runs)


@pytest.mark.by_hand
@pytest.mark.parametrize("name", [known.name for known in FORMATS])
def test_a_hundred_thousand_damaged_files(name):
    (run,) = fuzzed(name, LONG, 2, 3600)
    print(run)
    assert run["inputs"] == LONG

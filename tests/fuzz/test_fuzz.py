"""Every reader, header and payload against damaged input: a short run always; with `-m by_hand` RAXEL_FUZZ_INPUTS inputs
a target (25,000 unless set, a million in all) of the seed RAXEL_FUZZ_SEED (2)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import targets

ROOT = Path(__file__).resolve().parents[2]
SHORT = 40
LONG, SEED = int(os.environ.get("RAXEL_FUZZ_INPUTS", "25000")), int(os.environ.get("RAXEL_FUZZ_SEED", "2"))

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured through Linux's /proc"
)


def fuzzed(name: str, count: int, seed: int, timeout: float) -> list[dict]:
    """What the runs measured; fails with what went wrong."""
    command = [sys.executable, "-m", "tests.fuzz", name, str(count), str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_damaged_input_gives_one_error_each():
    runs = fuzzed("all", SHORT, 1, 300)
    assert [run["target"] for run in runs] == list(targets())
    assert all(run["accepted"] < SHORT for run in runs)


@pytest.mark.by_hand
@pytest.mark.parametrize("name", list(targets()))
def test_a_long_run_of_damaged_input(name):
    (run,) = fuzzed(name, LONG, SEED, 36_000)
    print(run)
    assert run["inputs"] == LONG

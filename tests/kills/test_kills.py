"""Killed at any moment, a job loses nothing that was written and leaves no litter after the next run.

A few kills always; 200 over the jobs in the full tier, of the seed RAXEL_KILL_SEED (1).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JOBS = ("save", "convert", "train", "list", "video")
FEW, MANY, SEED = 2, 40, os.environ.get("RAXEL_KILL_SEED", "1")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="jobs are killed in forks")


def killed(job: str, kills: int, seed: str, folder: Path, timeout: float) -> dict:
    """What the kills did; fails with what was lost."""
    return printed("tests.kills.killing", [job, kills, seed, folder], timeout)


def printed(module: str, arguments: list[object], timeout: float) -> dict:
    """The JSON object that a module of this folder prints last."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("job", [job for job in JOBS if job != "train"])
def test_a_few_kills_lose_nothing(job, tmp_path):
    assert killed(job, FEW, "0", tmp_path, 120)["kills"] == FEW


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_forty_kills_lose_nothing(job, tmp_path):
    assert killed(job, MANY, SEED, tmp_path, 3600)["kills"] == MANY


@pytest.mark.by_hand
def test_forty_kills_of_two_processes_lose_nothing(tmp_path):
    assert killed("two", MANY, SEED, tmp_path, 3600)["kills"] == MANY


@pytest.mark.slow
@pytest.mark.parametrize("method", ["raxel", "raype", "ray_diffusion"])
def test_a_run_killed_between_state_and_weights_ends_with_the_right_weights(method, tmp_path):
    """Each run dies by SIGKILL when the state of its next step is written: resumed, the weights are never stale."""
    if method == "raype":
        pytest.importorskip("diffusers", reason="a Wan backbone in diffusers' layout is made with diffusers")
    told = printed("tests.kills.between", [method, tmp_path], 3600)
    assert told["stale"] == [None, 1]

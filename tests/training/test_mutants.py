"""The tests of the objective are worth something: each convention of it, turned round, fails one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.mutants import MUTANTS


@pytest.mark.by_hand
def test_every_mutant_is_killed():
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-m", "tests.training.mutants"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(MUTANTS) >= 25

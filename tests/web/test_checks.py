"""Lint and types of the JavaScript, by Biome and TypeScript (`npm install --prefix tests/web` brings both)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TOOLS = HERE / "node_modules" / ".bin"


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not (TOOLS / tool).exists():
        pytest.skip(f"{tool} is not installed: npm install --prefix tests/web")
    return subprocess.run([str(TOOLS / tool), *arguments], cwd=HERE, capture_output=True, text=True, timeout=120)


def test_lint_of_the_javascript_is_clean():
    done = run("biome", "lint", "--error-on-warnings", "--config-path=.", "../../web")
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_of_the_javascript_are_clean():
    """The JSDoc of every module, read as TypeScript reads it."""
    done = run("tsc", "-p", "tsconfig.json")
    assert done.returncode == 0, done.stdout + done.stderr

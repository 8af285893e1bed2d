"""The pack as a package: what `pip install .` brings, and the `raxel` command it gives, from any folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from raxel_core.cli import main

ROOT = Path(__file__).resolve().parents[2]
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE).group(1)


def test_the_version_is_that_of_pyproject(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"raxel {VERSION}\n"


@pytest.mark.slow
def test_the_wheel_holds_the_core_and_its_command_runs_elsewhere(tmp_path):
    """Built from a copy, since setuptools leaves its own folders where it builds."""
    skipped = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "runs", "raxel-demo")
    shutil.copytree(ROOT, tmp_path / "raxel", ignore=skipped)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path / "wheels"), "."]
    done = subprocess.run(build, cwd=tmp_path / "raxel", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheels").glob("raxel-*.whl")
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("raxel_core/")}
        archive.extractall(tmp_path / "site")
    own = {path.relative_to(ROOT).as_posix() for path in (ROOT / "raxel_core").rglob("*.py")}
    assert own <= names
    assert {"raxel_core/checkpoints/raxel-tiny.safetensors", "raxel_core/checkpoints/README.md"} <= names
    script = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); from raxel_core.__main__ import main; sys.exit(main())"
    make = [
        sys.executable,
        "-c",
        script,
        "trajectory",
        "make",
        "--move",
        "orbit",
        "--frames",
        "5",
        "--out",
        "orbit.json",
    ]
    ran = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "orbit.json").is_file()
    shown = subprocess.run([*make[:3], "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert shown.stdout == f"raxel {VERSION}\n", shown.stderr

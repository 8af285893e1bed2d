"""The pack as a package: what `pip install .` brings, and the `raxel` command it gives, from any folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
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


# What a ComfyUI may have: a CUDA torch, packages as old as its own requirements allow, and any of the four OpenCVs.
COMFYUI = {
    "torch": ("2.7.1+cu128", ["numpy"]),
    "numpy": ("1.26.4", []),
    "huggingface-hub": ("0.36.0", []),
    "transformers": ("4.57.1", ["huggingface-hub<1.0,>=0.34", "numpy>=1.17"]),
    "safetensors": ("0.4.5", []),
    "einops": ("0.8.1", []),
    "av": ("16.0.1", []),
    "opencv-contrib-python-headless": ("4.11.0.86", ["numpy>=1.23"]),
}
# What an index may hold: everything newer, and two diffusers, one of them too new for that transformers.
INDEX = [
    ("torch", "2.13.0", ["numpy"]),
    ("numpy", "2.4.6", []),
    ("opencv-python", "5.0.0.93", ["numpy>=2"]),
    ("huggingface-hub", "2.4.0", []),
    ("transformers", "5.24.0", ["huggingface-hub<3.0,>=1.31.0"]),
    ("safetensors", "0.8.0", []),
    ("einops", "0.8.2", []),
    ("av", "18.1.0", []),
    ("accelerate", "1.15.0", ["numpy>=1.17", "torch>=2.0.0", "huggingface_hub>=0.21.0", "safetensors>=0.4.3"]),
    ("diffusers", "0.35.2", ["numpy", "huggingface-hub>=0.34", "safetensors>=0.3.1"]),
    ("diffusers", "0.42.1", ["numpy", "huggingface-hub<3.0,>=1.32.0", "safetensors>=0.8.0"]),
]


def described(name: str, version: str, requires: list[str]) -> str:
    lines = [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])


def write_wheel(folder: Path, name: str, version: str, requires: list[str]) -> None:
    stem = f"{name.replace('-', '_')}-{version}"
    with ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", described(name, version, requires))
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


@pytest.fixture(scope="module")
def comfyui_like(tmp_path_factory):
    """pip in an environment that claims to be a ComfyUI's, with an index of newer packages; what it would install."""
    folder = tmp_path_factory.mktemp("install")
    venv.create(folder / "env", with_pip=False)
    python = next(path for path in (folder / "env").glob("*/python*") if path.stem == "python")
    site = sysconfig.get_path("purelib", vars={"base": str(folder / "env"), "platbase": str(folder / "env")})
    for name, (version, requires) in COMFYUI.items():
        info = Path(site) / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(described(name, version, requires))
        (info / "RECORD").write_text("")
        (info / "INSTALLER").write_text("pip\n")
    (folder / "index").mkdir()
    for package in INDEX:
        write_wheel(folder / "index", *package)

    def would_install(*arguments: str) -> dict[str, str]:
        report = folder / "report.json"
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--dry-run", "--quiet"]
        where = ["--isolated", "--no-index", "--find-links", str(folder / "index"), "--report", str(report)]
        done = subprocess.run([*command, *where, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = [package["metadata"] for package in json.loads(report.read_text())["install"]]
        return {package["name"]: package["version"] for package in found}

    return would_install


@pytest.mark.slow
def test_a_comfyui_keeps_what_it_has(comfyui_like):
    """The CUDA torch, numpy 1, the one cv2, and the transformers with its huggingface-hub all stay as they are."""
    assert comfyui_like("-r", str(ROOT / "requirements.txt")) == {"accelerate": "1.15.0", "diffusers": "0.35.2"}


@pytest.mark.slow
def test_that_environment_shows_the_harm(comfyui_like):
    """The same pip, asked for what the pack does not ask for: a second cv2 that brings another numpy."""
    assert comfyui_like("opencv-python") == {"opencv-python": "5.0.0.93", "numpy": "2.4.6"}
    assert comfyui_like("diffusers")["huggingface-hub"] == "2.4.0"


def test_pyproject_and_requirements_ask_for_the_same():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has none")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert project["dependencies"] == [line for line in lines if line and not line.startswith("#")]


@pytest.mark.slow
def test_drawing_without_opencv_says_what_to_install(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ModuleNotFoundError(\"No module named 'cv2'\", name='cv2')")
    command = [sys.executable, "-m", "raxel_core", "trajectory", "make", "--move", "orbit", "--frames", "5"]
    made = subprocess.run([*command, "--out", str(tmp_path / "a.json")], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    show = [sys.executable, "-m", "raxel_core", "trajectory", "show", str(tmp_path / "a.json")]
    shown = subprocess.run(
        [*show, "--out", str(tmp_path / "a.png")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert shown.returncode == 2 and not (tmp_path / "a.png").exists()
    assert "pip install opencv-python" in shown.stderr and "Traceback" not in shown.stderr


def test_the_archive_of_the_registry_passes_its_scanners():
    """`.comfyignore` leaves the tests out, and what is left holds none of the words that its rules look for."""
    ignored = [line for line in (ROOT / ".comfyignore").read_text().splitlines() if line and not line.startswith("#")]
    assert "tests/" in ignored and all((ROOT / name).exists() for name in ignored)
    shipped = [ROOT / "__init__.py", *(ROOT / "nodes").rglob("*.py"), *(ROOT / "raxel_core").rglob("*.py")]
    words = re.compile(
        r"os\.environ|import_module|__import__|torch\.jit|\bnn\.(Linear|Conv\dd|LayerNorm)\(|subprocess|(?<![\w.])(eval|exec)\("
    )
    found = {path.relative_to(ROOT).as_posix() for path in shipped if words.search(path.read_text(encoding="utf-8"))}
    assert found == {"raxel_core/evaluation/image_metrics.py"}, found
    for path in [*shipped, *(ROOT / "tests").rglob("*.py")]:
        path.read_text(encoding="utf-8").encode("cp1252")

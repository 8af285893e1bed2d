"""Hundreds of hostile file names for every input that names a file, in a real ComfyUI: nothing outside its folders is
opened or written. Python's audit hook says so, and where it is installed a tracer of the system calls."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest
import torch

from raxel_core.camera_io import write_cameras
from raxel_core.paths.plan import make_move
from raxel_core.video_io import write_image, write_video
from tests.in_comfy.comfy_process import read_report, run_script

SCRIPT = "hostile_in_comfy.py"
FEW, MANY, SEED = 60, 300, os.environ.get("RAXEL_HOSTILE_SEED", "1")
PREFIXES = ("%year%", "%year%-%month%", "to", "linked")
CALLS = re.compile(
    r"^(?:\d+\s+)?(open|openat|openat2|creat|mkdir|mkdirat|rename\w*|link\w*|symlink\w*|unlink\w*)\((.*)"
)


def places(folder: Path) -> tuple[Path, Path]:
    """ComfyUI's base folder and one outside, which links of all kinds lead to."""
    base, outside = folder / "base", folder / "outside"
    for kind in ("input", "output", "temp", "user", "models", "custom_nodes"):
        (base / kind).mkdir(parents=True)
    outside.mkdir()
    path = make_move("orbit", 5, hw=(48, 64), amount=1.0)
    given = base / "input"
    write_cameras(path, outside / "path.json", format="camera_path")
    write_cameras(path, given / "good.json", format="camera_path")
    write_cameras(path, outside / "col", format="colmap")
    write_cameras(path, outside / "scope.npy", format="scope")
    shutil.copy(outside / "scope.npy", given / "scope.npy")
    (given / "scope.json").symlink_to(outside / "scope.json")
    (given / "link.json").symlink_to(outside / "path.json")
    (given / "linked").symlink_to(outside, target_is_directory=True)
    (given / "deep").mkdir()
    (given / "deep" / "linked").symlink_to(outside, target_is_directory=True)
    (given / "loop").symlink_to(given / "loop")
    os.mkfifo(given / "pipe")
    write_video(outside / "film.mp4", torch.zeros(3, 3, 16, 16), fps=8.0)
    (given / "film.mp4").symlink_to(outside / "film.mp4")
    for name in ("pictures", "own"):
        (given / name).mkdir()
        for frame in range(3):
            write_image(given / name / f"f_{frame:04d}.png", torch.zeros(3, 16, 16))
    (given / "pictures" / "f_0000.png").rename(outside / "f_0000.png")
    (given / "pictures" / "f_0000.png").symlink_to(outside / "f_0000.png")
    for name in ("col", "colmap"):
        (given / name / "sparse" / "0").mkdir(parents=True)
    for file in (outside / "col").rglob("*.txt"):
        (given / "col" / file.name).symlink_to(file)
        (given / "colmap" / "sparse" / "0" / file.name).symlink_to(file)
    for name in PREFIXES:
        filled = name.replace("%year%", time.strftime("%Y")).replace("%month%", time.strftime("%m"))
        (base / "output" / filled).symlink_to(outside, target_is_directory=True)
    (base / "output" / "cameras").mkdir()
    (base / "output" / "cameras" / "camera_00001_.json").symlink_to(outside / "new.json")
    return base, outside


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(comfy_root: Path, folder: Path, count: int, *, traced: Path | None = None) -> dict:
    """The report of `count` values an input."""
    base, outside = places(folder)
    before, report = everything(outside), folder / "report.json"
    trace = ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=%file", "-o", traced] if traced else []
    run_script(comfy_root, SCRIPT, base, outside, count, SEED, report, before=trace, seconds=1800)
    assert everything(outside) == before
    return read_report(report)


def judge(told: dict, count: int) -> None:
    assert told["values"] == 12 * count
    assert told["left the folders"] == []
    assert told["no sentence"] == []
    assert len(told["accepted"]) < told["values"]


def test_hostile_names_stay_in_comfyuis_folders(comfy_root, tmp_path):
    judge(run(comfy_root, tmp_path, FEW), FEW)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_three_hundred_hostile_names_an_input_under_a_tracer(comfy_root, tmp_path):
    calls = tmp_path / "calls"
    told = run(comfy_root, tmp_path, MANY, traced=calls)
    judge(told, MANY)
    text = calls.read_text(encoding="utf-8", errors="replace")
    between = text[text.index("/raxel-marks-the-begin") : text.index("/raxel-marks-the-end")].splitlines()
    outside, checked = os.path.realpath(tmp_path / "outside"), 0
    for line in between:
        found = CALLS.match(line)
        if found is None or "= -1 " in line:
            continue
        for name in re.findall(r'"((?:[^"\\]|\\.)*)"', found[2]):
            checked += 1
            assert not os.path.realpath(name).startswith(outside), line[:500]
    print(f"{told['values']} values, {len(told['accepted'])} accepted, {checked} paths of system calls")
    assert checked > 7 * MANY  # names of weights are mostly refused without a look at any file

"""Many videos: the paths that one command a video writes, whatever fails, however often it is started, however many run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from raxel_core.cli import main, options
from raxel_core.paths.camera_path import path_from_json
from raxel_core.video_io import write_video
from tests.moving_scene import moving_scene
from tests.oracle import moving_clip, oracle_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch):
    """An oracle's model in the place of the one that ``--model`` names; it keeps the questions it was asked."""
    video, camera = moving_clip()
    made = oracle_model(video * 0.5, camera)
    monkeypatch.setattr(options, "load", lambda arguments, processes: made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three videos, one that is none, one that is missing, and their list."""
    (tmp_path / "day").mkdir()
    for name in ("a.mp4", "day/a.mp4", "c.mp4"):
        write_video(tmp_path / name, torch.linspace(-0.8, 0.8, 48).expand(3, 5, 32, 48), fps=8.0)
    (tmp_path / "bad.mp4").write_bytes(b"no video at all")
    lines = ["# takes of today", "a.mp4", "bad.mp4", "", "missing.mp4", "day/a.mp4", str(tmp_path / "c.mp4")]
    (tmp_path / "clips.txt").write_text("\n".join(lines))
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    return main(["pose", "--list", str(folder / "clips.txt"), "--out", str(folder / "out"), *arguments])


def test_failures_are_told_at_the_end_and_cost_nothing_else(model, folder: Path, capsys) -> None:
    assert run(folder, "--json") == 2
    told = capsys.readouterr()
    body = json.loads(told.out)
    assert {state: body[state] for state in ("written", "kept", "failed")} == {"written": 3, "kept": 0, "failed": 2}
    written = sorted(path.relative_to(folder / "out") for path in (folder / "out").rglob("*.*"))
    assert written == [Path(name) for name in ("a.cameras.json", "c.cameras.json", "day/a.cameras.json")]
    _, camera = moving_clip()
    for path in written:
        found = path_from_json((folder / "out" / path).read_text()).camera
        torch.testing.assert_close(found.center, camera.center, rtol=0, atol=1e-3)
    *_, bad, missing, last = told.err.splitlines()
    assert bad.startswith("raxel: ") and "bad.mp4" in bad
    assert missing.startswith("raxel: ") and "missing.mp4" in missing
    assert last == "raxel: 2 of 5 videos failed; the others have their camera paths"


def test_a_second_start_makes_what_is_not_there(model, folder: Path, capsys) -> None:
    assert run(folder) == 2
    out, asked = folder / "out", len(model.transformer.questions)  # of three videos
    (out / "c.cameras.json").write_text((out / "c.cameras.json").read_text()[:100])  # by a program that was cut off
    (folder / "bad.mp4").write_bytes((folder / "a.mp4").read_bytes())
    before = (out / "a.cameras.json").stat().st_mtime_ns
    capsys.readouterr()
    assert run(folder, "--json") == 2
    body = json.loads(capsys.readouterr().out)
    states = {Path(clip["video"]).relative_to(folder): clip["state"] for clip in body["clips"]}
    assert states == {
        Path("a.mp4"): "kept",
        Path("day/a.mp4"): "kept",
        Path("c.mp4"): "written",
        Path("bad.mp4"): "written",
        Path("missing.mp4"): "failed",
    }
    assert (out / "a.cameras.json").stat().st_mtime_ns == before
    made, other = (json.loads((out / f"{name}.cameras.json").read_text()) for name in ("c", "a"))
    assert made["frames"] == other["frames"]
    assert len(model.transformer.questions) == asked + asked * 2 // 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pose"], "either a VIDEO or a --list"),
        (["pose", "a.mp4", "--list", "clips.txt"], "either a VIDEO or a --list"),
        (["pose", "--list", "clips.txt", "--out", "out", "--plot", "p.png"], "nothing is drawn"),
        (["pose", "--list", "empty.txt", "--out", "out"], "empty.txt lists no videos"),
        (
            ["pose", "--list", "twice.txt", "--out", "out"],
            "a.mp4 and a.mov would both be written to out/a.cameras.json",
        ),
        (["pose", "--list", "a.mp4", "--out", "out"], "a.mp4 is not a list of videos"),
        (["pose", "--list", "absent.txt", "--out", "out"], "absent.txt: No such file"),
    ],
)
def test_what_makes_no_sense_is_refused(model, folder: Path, monkeypatch, capsys, arguments, words) -> None:
    monkeypatch.chdir(folder)
    (folder / "empty.txt").write_text("# nothing\n\n")
    (folder / "twice.txt").write_text("a.mp4\na.mov\n")
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
    assert not model.transformer.questions


def test_paths_lie_beside_their_videos_where_no_folder_is_named(model, folder: Path, capsys) -> None:
    assert main(["pose", "--list", str(folder / "clips.txt")]) == 2
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.cameras.json")}
    assert found == {"a.cameras.json", "c.cameras.json", "day/a.cameras.json"}


def test_videos_from_elsewhere_go_by_their_names(model, folder: Path, capsys) -> None:
    lists = folder / "lists"
    lists.mkdir()
    (lists / "clips.txt").write_text(f"../day/a.mp4\n{folder / 'c.mp4'}\n")
    assert main(["pose", "--list", str(lists / "clips.txt"), "--out", str(folder / "out")]) == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.cameras.json", "c.cameras.json"]


@pytest.mark.slow
def test_two_processes_share_the_list(tmp_path: Path, capsys) -> None:
    numbers = range(3)
    for number in numbers:
        video, fps = moving_scene(number)
        write_video(tmp_path / f"{number}.mp4", video, fps=fps)
    names = [*(f"{number}.mp4" for number in numbers), "missing.mp4"]
    (tmp_path / "clips.txt").write_text("\n".join(names))
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2"]
    launcher += ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    command = ["-m", "raxel_core", "pose", "--list", str(tmp_path / "clips.txt"), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*launcher, *command, "--json"], capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path
    )
    assert done.returncode != 0
    assert "raxel: 1 of 4 videos failed" in done.stderr and done.stderr.count("missing.mp4: No such file") == 1
    body = json.loads(done.stdout)
    assert [clip["state"] for clip in body["clips"]] == ["written", "written", "written", "failed"]
    for number in numbers:
        alone = tmp_path / "alone.json"
        assert main(["pose", str(tmp_path / f"{number}.mp4"), "--out", str(alone)]) == 0
        assert (tmp_path / "out" / f"{number}.cameras.json").read_bytes() == alone.read_bytes()

"""`verify` and `pose --method colmap` from the command line, without COLMAP's work: words, codes, files, bad input."""

from __future__ import annotations

import builtins
import json
import math
from dataclasses import replace

import pytest
import torch

from raxel_core.camera_io import read_cameras, write_cameras, write_estimate
from raxel_core.cli import main
from raxel_core.geometry.estimate import Estimate, Footage, estimate_of
from raxel_core.paths.plan import make_move
from raxel_core.solving.lens import lens_of_fov
from raxel_core.solving.solve import Solved
from raxel_core.video_io import write_image, write_video

FRAMES, HW = 5, (48, 80)


@pytest.fixture
def files(tmp_path):
    """A video, the pan that was asked for, and cameras that followed it, went half as far, or stood still."""
    write_video(tmp_path / "clip.mp4", torch.rand(3, FRAMES, *HW) * 2 - 1, fps=24.0)
    for name, degrees in (("asked", 20.0), ("half", 10.0), ("still", 0.0)):
        write_cameras(make_move("pan", FRAMES, hw=HW, amount=math.radians(degrees)), tmp_path / f"{name}.json")
    return tmp_path


@pytest.mark.parametrize(
    ("cameras", "code", "word"), [("asked", 0, "followed"), ("half", 1, "slow"), ("still", 1, "still")]
)
def test_verify_says_the_word_and_fails_with_1(files, capsys, cameras, code, word):
    given = [str(files / name) for name in ("clip.mp4", "asked.json", f"{cameras}.json")]
    assert main(["verify", given[0], "--path", given[1], "--cameras", given[2], "--json"]) == code
    assert json.loads(capsys.readouterr().out)["word"] == word


def test_verify_writes_its_report_pictures_and_video(files):
    out = files / "out"
    asked = str(files / "asked.json")
    assert main(["verify", str(files / "clip.mp4"), "--path", asked, "--cameras", asked, "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {
        "report.json",
        "cameras.json",
        "paths.png",
        "errors.png",
        "overlay.mp4",
    }
    assert json.loads((out / "report.json").read_text())["passed"] is True


@pytest.mark.parametrize(
    ("first", "cameras", "rows"),
    [
        (1001, "some.chan", slice(2, 5)),  # both files number the video's frames from 1001 on
        (1, "some.chan", slice(2, 5)),
        (1, "some.json", slice(2, 5)),
        (1001, "whole.chan", slice(1, 4)),  # and a path may be of a part
        (1, "whole.json", slice(1, 4)),
    ],
)
def test_verify_matches_the_numbers_of_frames(files, capsys, first, cameras, rows):
    """A part of the video, or of the path, is not stretched over the whole of the other."""
    asked = read_cameras(files / "asked.json").trajectory
    for name, kept in (("some", rows), ("whole", slice(None))):
        write_cameras(asked[kept], files / f"{name}.chan", first=first + (kept.start or 0))
        footage = Footage("clip.mp4", 0.0, 24.0, tuple(range(FRAMES))[kept])
        write_estimate(replace(estimate_of(asked[kept], "test"), footage=footage), files / f"{name}.json")
    path = "whole.chan" if cameras.startswith("some") else "some.chan"
    given = [str(files / name) for name in ("clip.mp4", path, cameras)]
    assert main(["verify", given[0], "--path", given[1], "--cameras", given[2], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rotation_errors"]) == 3 and max(found["rotation_errors"]) < 1e-6
    assert not any("last as long" in note for note in found["notes"])
    assert any("were left out" in note for note in found["notes"]) == (path == "some.chan")


def test_cameras_of_other_footage_are_a_path_over_the_whole_video(files, capsys):
    """The path was found in every third frame of another video: here frame n follows camera n."""
    asked = read_cameras(files / "asked.json").trajectory
    other = Footage("other.mp4", 0.0, 24.0, (0, 3, 6, 9, 12))
    write_estimate(replace(estimate_of(replace(asked, fps=8.0), "test"), footage=other), files / "other.json")
    given = [str(files / name) for name in ("clip.mp4", "other.json", "asked.json")]
    assert main(["verify", given[0], "--path", given[1], "--cameras", given[2], "--json"]) == 0
    assert max(json.loads(capsys.readouterr().out)["rotation_errors"]) < 1e-6


def test_cameras_lie_over_their_pictures(files, tmp_path, capsys):
    """The cameras of the pictures 1003 to 1005 are drawn into them."""
    asked = read_cameras(files / "asked.json").trajectory
    write_cameras(asked, files / "asked.chan", first=1001)
    write_cameras(asked[2:], files / "some.chan", first=1003)
    for number in range(FRAMES):
        write_image(tmp_path / f"f_{1001 + number}.png", torch.full((3, *HW), number / 10))
    given = [str(files / name) for name in ("f_%04d.png", "asked.chan", "some.chan")]
    out = ["--out", str(files / "out"), "--json"]
    assert main(["verify", given[0], "--path", given[1], "--cameras", given[2], *out]) == 0
    assert max(json.loads(capsys.readouterr().out)["rotation_errors"]) < 1e-6
    written = read_cameras(files / "out" / "cameras.json")
    assert written.numbers == (2, 3, 4)


def test_a_path_without_a_size_is_of_the_videos_and_how_it_was_read_is_told(tmp_path, capsys):
    hw = (80, 48)
    write_video(tmp_path / "tall.mp4", torch.rand(3, FRAMES, *hw) * 2 - 1, fps=24.0)
    pan = make_move("pan", FRAMES, hw=hw, amount=math.radians(20.0))
    write_cameras(pan, tmp_path / "pan.json")
    write_cameras(pan, tmp_path / "pan.chan")
    given = [str(tmp_path / name) for name in ("tall.mp4", "pan.chan", "pan.json")]
    assert main(["verify", given[0], "--path", given[1], "--cameras", given[2], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {each["name"]: each["value"] for each in found["findings"]}["focal"] < 1e-6
    assert any(note.startswith("pan.chan: K: from the vertical angle of view") for note in found["notes"])
    assert any(note.startswith("pan.chan: Warning: the angle of view was taken for the") for note in found["notes"])


def test_a_path_with_gaps_is_told_what_fills_them(files, capsys):
    asked = read_cameras(files / "asked.json").trajectory
    write_cameras(replace(asked[:4], numbers=(0, 1, 3, 4)), files / "gaps.chan", first=1)
    video, path = str(files / "clip.mp4"), str(files / "gaps.chan")
    assert main(["verify", video, "--path", path, "--cameras", path]) == 2
    told = capsys.readouterr().err
    assert "has cameras for 4 of its 5 frames: `trajectory convert --gaps fill" in told and told.count("\n") == 1
    assert main(["trajectory", "convert", "--gaps", "fill", path, str(files / "filled.json")]) == 0
    assert main(["verify", video, "--path", str(files / "filled.json"), "--cameras", path]) == 0


def test_bounds_come_from_the_options(files, capsys):
    given = [
        "verify",
        str(files / "clip.mp4"),
        "--path",
        str(files / "asked.json"),
        "--cameras",
        str(files / "half.json"),
    ]
    assert main([*given, "--speed", "0.3", "1.5"]) == 0
    assert main([*given, "--max-rotation-degrees", "-1"]) == 2
    assert "bounds are above 0" in capsys.readouterr().err


def test_beside_given_cameras_a_series_alone_has_a_rate(files, capsys):
    asked = str(files / "asked.json")
    for number in range(1, FRAMES + 1):
        write_image(files / f"f_{number:04d}.png", torch.zeros(3, *HW))
    assert main(["verify", str(files / "f_%04d.png"), "--path", asked, "--cameras", asked, "--fps", "24"]) == 0
    assert main(["verify", str(files / "clip.mp4"), "--path", asked, "--cameras", asked, "--fps", "24"]) == 2
    assert "--fps is of finding the cameras" in capsys.readouterr().err


def test_without_pycolmap_there_is_one_sentence_with_the_pip_line(files, capsys, monkeypatch):
    importing = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "pycolmap":
            raise ImportError(name)
        return importing(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert main(["pose", str(files / "clip.mp4"), "--method", "colmap"]) == 2
    told = capsys.readouterr().err
    assert "pip install pycolmap" in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--distortion", "0.1", "0", "0", "0"], "give it with --K"),
        (["--between", "0", "3"], "give it with --metres"),
        (["--metres", "2", "--depth", "clip.mp4"], "--metres says the unit"),
        (["--scale", "depth"], "needs depth maps, and none are given"),
        (["--depth", "absent.npy"], "cannot read absent.npy"),
        (["--depth", "clip.mp4"], "is no depth map"),
        (["--fov-degrees", "200"], "between 0 and 180 degrees"),
        (["--focal-mm", "-3"], "above 0 mm"),
        (["--list", "clips.txt"], "either a VIDEO or a --list"),
        (["--out", "clip.unknown"], "does not say the format"),
    ],
)
def test_bad_options_are_one_sentence(files, capsys, monkeypatch, options, told):
    pytest.importorskip("pycolmap")
    monkeypatch.chdir(files)
    assert main(["pose", "clip.mp4", "--method", "colmap", *options]) == 2
    assert told in capsys.readouterr().err


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """Two videos, the true pan of one beside it, and a solver that finds it 1 degree too far; the names it was asked."""
    folder, asked = tmp_path / "clips", []
    folder.mkdir()
    for name in ("pan", "other"):
        write_video(folder / f"{name}.mp4", torch.rand(3, FRAMES, *HW) * 2 - 1, fps=24.0)
    write_cameras(make_move("pan", FRAMES, hw=HW, amount=math.radians(20.0)), folder / "pan.json")

    def solved(pictures, clip, **_):
        numbers = [picture.number for picture in pictures]
        asked.append((clip.name, numbers))
        path = make_move("pan", FRAMES, hw=HW, amount=math.radians(21.0))
        path = replace(path, camera=path.camera[numbers])
        footage = Footage(clip.name, 0.0, clip.rate, tuple(numbers))
        return Solved(Estimate(path, "colmap", footage, "rotation", "The camera turned."), lens_of_fov(1.0, HW))

    monkeypatch.setattr("raxel_core.solving.solve.solve_cameras", solved)
    return folder, asked


def test_clips_of_a_folder_are_held_against_the_cameras_beside_them(clips, capsys):
    """Every second frame, 0, 2 and 4, whose angles 0, 10 and 20 are 0, 0.5 and 1 off: 0.17 to either side in the mean."""
    folder, asked = clips
    report = folder.parent / "report.json"
    given = ["evaluate", "--method", "colmap", "--data", str(folder), "--fps", "12", "--out", str(report)]
    assert main(given) == 0
    told = capsys.readouterr()
    assert "The camera turned." in told.err and "rotation / bar" in told.out and "3 of 3" in told.out
    assert asked == [("other.mp4", [0, 2, 4]), ("pan.mp4", [0, 2, 4])]
    rows = {row["clip"]: row for row in json.loads(report.read_text())["clips"]}
    assert rows["pan"]["still"] == pytest.approx(10.0, abs=1e-3) and 0.0 < rows["pan"]["rotation"] < 0.51
    assert rows["pan"]["verdict"] == "The camera turned." and "rotation" not in rows["other"]
    assert main([*given, "--json"]) == 0 and len(asked) == 2  # what the report holds is not solved again
    assert json.loads(capsys.readouterr().out)["fps"] == 12.0
    given[given.index("12")] = "24"
    assert main(given) == 2 and "is a report of other settings" in capsys.readouterr().err


def test_a_folder_without_a_video_is_one_sentence(tmp_path, capsys):
    assert main(["evaluate", "--method", "colmap", "--data", str(tmp_path)]) == 2
    assert "holds no video (.mp4" in capsys.readouterr().err
    assert main(["evaluate", "--method", "colmap"]) == 2
    assert "name it with --data" in capsys.readouterr().err

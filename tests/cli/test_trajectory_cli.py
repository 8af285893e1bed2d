"""`trajectory make, convert, show, compare`, run in this process on real files; bad input ends with code 2 and a sentence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from math import cos, pi, sin
from pathlib import Path

import pytest
import torch

from raxel_core.camera_io import lost_of, read_cameras, write_cameras, write_estimate
from raxel_core.camera_io.reading import DIRECTIONS, GAPS, QUATERNIONS
from raxel_core.cli import main
from raxel_core.cli import trajectory as command
from raxel_core.geometry.estimate import Footage, estimate_of
from raxel_core.geometry.trajectory import UNITS, Trajectory
from raxel_core.paths.camera_path import path_from_json, path_to_json
from raxel_core.paths.easing import EASINGS
from raxel_core.paths.plan import make_move
from raxel_core.video_io import read_image

PLAN = {
    "format": "raxel.camera_path",
    "version": 1,
    "fps": 8.0,
    "unit": "near_depth",
    "name": "hand made",
    "width": 64,
    "height": 48,
    "frame_count": 5,
    "plan": {"fov_degrees": 90, "moves": [{"move": "dolly", "amount": 0.5}]},
}


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN))
    return path


@pytest.fixture
def path_file(tmp_path: Path) -> Path:
    """An orbit by 60 degrees about the point 1 ahead, 9 frames at 8 a second."""
    path = tmp_path / "orbit.json"
    path.write_text(path_to_json(make_move("orbit", 9, amount=pi / 3, hw=(48, 64), fps=8.0, unit="metre")))
    return path


def read(path: Path) -> Trajectory:
    return path_from_json(path.read_text())


def test_make_writes_the_move_asked_for(tmp_path: Path, capsys) -> None:
    out = tmp_path / "orbit.json"
    arguments = ["trajectory", "make", "--move", "orbit", "--amount-degrees", "30", "--depth", "2", "--frames", "9"]
    arguments += ["--width", "64", "--height", "48", "--fps", "8", "--unit", "metre", "--out", str(out), "--json"]
    assert main(arguments) == 0
    made, body = read(out), json.loads(capsys.readouterr().out)
    assert (len(made), made.camera.hw, made.fps, made.unit, made.name) == (9, (48, 64), 8.0, "metre", "orbit")
    expected = torch.tensor([2 * sin(pi / 6), 0, 2 - 2 * cos(pi / 6)])
    torch.testing.assert_close(made.camera.center[-1], expected)
    assert body["max_rotation_degrees"] == pytest.approx(30, rel=1e-5)
    assert body["files"] == [str(out)]


def test_make_has_the_clip_of_wan_by_default_and_prints_figures(tmp_path: Path, capsys) -> None:
    out = tmp_path / "pan.json"
    assert main(["trajectory", "make", "--move", "pan", "--easing", "smooth", "--out", str(out)]) == 0
    made = read(out)
    assert (len(made), made.camera.hw, made.fps, made.unit) == (81, (480, 832), 16.0, "near_depth")
    printed = capsys.readouterr()
    assert "81 frames, 5 s at 16 a second" in printed.out and "pan 0 to 30 deg" in printed.out
    assert printed.err == f"raxel: wrote {out}\n"


def test_make_zooms_and_shakes(tmp_path: Path) -> None:
    zoom, shake = tmp_path / "zoom.json", tmp_path / "shake.json"
    assert main(["trajectory", "make", "--move", "zoom", "--factor", "2", "--out", str(zoom)]) == 0
    focal = read(zoom).camera.focal[:, 0]
    assert float(focal[-1] / focal[0]) == pytest.approx(2.0, rel=1e-5)
    arguments = ["trajectory", "make", "--move", "handheld", "--amount-degrees", "1", "--out", str(shake)]
    paths = []
    for seed in ("1", "2", "1"):
        assert main([*arguments, "--seed", seed]) == 0
        paths.append(read(shake).camera.world_from_cam)
    assert torch.equal(paths[0], paths[2]) and not torch.equal(paths[0], paths[1])


def test_make_of_a_plan_keeps_what_the_plan_says_unless_told_otherwise(plan_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.json"
    assert main(["trajectory", "make", "--plan", str(plan_file), "--out", str(out)]) == 0
    made = read(out)
    assert (len(made), made.fps, made.camera.hw, made.name) == (5, 8.0, (48, 64), "hand made")
    torch.testing.assert_close(made.camera.center[:, 2], torch.linspace(0, 0.5, 5))
    torch.testing.assert_close(made.camera.focal[0], torch.tensor([32.0, 32.0]))  # 90 degrees over 64 pixels
    assert main(["trajectory", "make", "--plan", str(plan_file), "--frames", "9", "--fps", "4", "--out", str(out)]) == 0
    assert (len(read(out)), read(out).fps) == (9, 4.0)


def test_convert_goes_by_name_and_content_and_tells_how_it_read(path_file: Path, tmp_path: Path, capsys) -> None:
    # KITTI's rows are world_from_cam, 3x4: the last camera of the orbit stands at (sin 60, 0, 1 - cos 60), turned by
    # 60 degrees to the left, so that its forward axis, the third column, is (-sin 60, 0, cos 60).
    rows, back = tmp_path / "rows.txt", tmp_path / "back.json"
    assert main(["trajectory", "convert", str(path_file), str(rows), "--to", "kitti"]) == 0
    assert "Read as camera_path." in capsys.readouterr().out
    last = [float(word) for word in rows.read_text().splitlines()[-1].split()]
    s, c = sin(pi / 3), cos(pi / 3)
    assert last == pytest.approx([c, 0, -s, s, 0, 1, 0, 0, s, 0, c, 1 - c], abs=1e-6)
    size = ["--width", "64", "--height", "48", "--fov-degrees", "60", "--fps", "8", "--unit", "metre"]
    assert main(["trajectory", "convert", str(rows), str(back), *size, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["format"] == "kitti" and body["notes"] and body["files"] == [str(back)]
    found, given = read(back), read(path_file)
    torch.testing.assert_close(found.camera.world_from_cam, given.camera.world_from_cam, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.camera.K, given.camera.K, rtol=1e-6, atol=0)
    assert (found.fps, found.unit) == (8.0, "metre")


def test_convert_reads_a_plan_too(plan_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "path.txt"
    assert main(["trajectory", "convert", str(plan_file), str(out), "--to", "tum"]) == 0
    last = [float(word) for word in out.read_text().splitlines()[-1].split()]
    assert last == pytest.approx([0.5, 0, 0, 0.5, 0, 0, 0, 1])  # 4 frames at 8 a second, half a unit ahead, not turned


def test_show_draws_and_prints_the_figures_of_any_format(path_file: Path, tmp_path: Path, capsys) -> None:
    picture = tmp_path / "path.png"
    assert main(["trajectory", "show", str(path_file), "--out", str(picture), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["format"] == "camera_path"
    assert body["total_rotation_degrees"] == pytest.approx(60, rel=1e-5)
    assert body["distance_to_start"] == pytest.approx(1, rel=1e-5)  # the chord of 60 degrees on a circle of radius 1
    assert float(read_image(picture)[0].std()) > 0.05
    rows = tmp_path / "rows.tum"
    assert main(["trajectory", "convert", str(path_file), str(rows), "--to", "tum"]) == 0
    capsys.readouterr()
    assert main(["trajectory", "show", str(rows), "--from", "tum", "--unit", "metre"]) == 0
    printed = capsys.readouterr().out
    assert "Read as tum." in printed and "60 deg in all" in printed and "lengths in metre" in printed


def test_the_names_offered_are_the_names_there_are() -> None:
    assert (command.GAPS, command.DIRECTIONS, command.QUATERNIONS) == (GAPS, DIRECTIONS, QUATERNIONS)
    assert command.UNITS == UNITS
    assert command.EASINGS == EASINGS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["make", "--move", "dolly", "--amount-degrees", "3", "--out", "{out}"], "amount_degrees is no field of dolly"),
        (["make", "--move", "orbit", "--seed", "4", "--out", "{out}"], "seed is no field of orbit"),
        (["make", "--move", "pan", "--frames", "0", "--out", "{out}"], "at least one frame, got 0|whole number from 1"),
        (["make", "--move", "pan", "--amount-degrees", "nan", "--out", "{out}"], "amount_degrees is a .*nan"),
        (["make", "--move", "pan", "--fps", "0", "--out", "{out}"], "fps is a positive number, got 0"),
        (["make", "--move", "pan", "--width", "0", "--out", "{out}"], "in whole positive pixels, got"),
        (["make", "--move", "pan", "--out", "{folder}/path.xyz"], "path.xyz: its name does not say the format"),
        (["make", "--move", "pan", "--out", "{folder}/none/path.json"], "cannot write .*path.json: No such file"),
        (["make", "--plan", "{plan}", "--depth", "2", "--out", "{out}"], "--depth belongs to --move"),
        (["make", "--plan", "{path}", "--out", "{out}"], "orbit.json is not a planned camera path: it holds no plan"),
        (["make", "--plan", "{text}", "--out", "{out}"], "text.txt is not a planned camera path: .* is not JSON"),
        (["make", "--plan", "{folder}/none", "--out", "{out}"], "none: No such file"),
        (["convert", "{folder}/none", "{out}"], "none: expected a file or folder of cameras, found nothing there"),
        (["convert", "{text}", "{out}"], "text.txt: expected cameras, found a file that begins with 'not a camera'"),
        (["convert", "{path}", "{path}"], "orbit.json is the input, so the result cannot be written there"),
        (["convert", "{path}", "{out}", "--width", "0"], r"in whole positive pixels, got \(480, 0\)"),
        (["show", "{path}", "--out", "{folder}/path.jpg"], "path.jpg has to end in .png"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], sentence: str, plan_file: Path, path_file: Path, tmp_path: Path, capsys
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("not a camera")
    places = {"folder": tmp_path, "plan": plan_file, "path": path_file, "text": text, "out": tmp_path / "out.json"}
    assert main(["trajectory", *(argument.format(**places) for argument in arguments)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("raxel: ")
    assert re.search(sentence, said[0]), said[0]


def dolly_file(path: Path, depths: list[float], unit: str = "metre") -> Path:
    """A camera that stands at each of `depths` along its line of sight."""
    made = make_move("dolly", len(depths), amount=1.0, hw=(48, 64), unit=unit)
    made.camera.world_from_cam[:, 2, 3] = torch.tensor(depths)
    path.write_text(path_to_json(made))
    return path


def test_compare_prints_the_published_figures(tmp_path: Path, capsys) -> None:
    """Truth at 0, 1, 2 and the estimate at 0, 2, 6: raw 0, 1, 4; each over its own norm (2 and 6) 0, 1/6, 0; both over
    the truth's 0, 1/2, 2. Nothing turns, so that CamMC is the same."""
    truth, estimate = dolly_file(tmp_path / "t.json", [0, 1, 2]), dolly_file(tmp_path / "e.json", [0, 2, 6])
    for reduction, frames in (("mean", 3), ("sum", 1)):
        assert main(["trajectory", "compare", str(truth), str(estimate), "--json", "--reduction", reduction]) == 0
        body = json.loads(capsys.readouterr().out)
        expected = {"": 5 / frames, "_normalized": 1 / 6 / frames, "_by_truth": 2.5 / frames}
        for suffix, value in expected.items():
            for name in ("translation_error", "cammc"):
                assert body["figures"][name + suffix] == pytest.approx(value, rel=1e-6), name + suffix
        assert body["figures"]["ate"] == pytest.approx((17 / 3) ** 0.5, rel=1e-6)
        assert body["figures"]["ate_by_truth"] == pytest.approx((4.25 / 3) ** 0.5, rel=1e-6)
        assert body["translation_errors"] == pytest.approx([0, 1, 4]) and body["reduction"] == reduction
    assert main(["trajectory", "compare", str(truth), str(estimate)]) == 0
    printed = capsys.readouterr()
    assert re.search(r"^translation_error +1\.66667 +metre$", printed.out, re.MULTILINE) and not printed.err


def test_compare_says_what_does_not_compare(tmp_path: Path, capsys) -> None:
    truth = dolly_file(tmp_path / "t.json", [0, 1, 2])
    other = dolly_file(tmp_path / "o.json", [0, 1, 2], unit="near_depth")
    assert main(["trajectory", "compare", str(truth), str(other)]) == 0
    told = capsys.readouterr()
    assert "the truth counts in metre, the estimate in near_depth" in told.err
    assert [line.split()[0] for line in told.out.splitlines() if "metre" in line] == ["ate_sim3"]
    assert main(["trajectory", "compare", str(truth), str(other), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    raw = {"translation_error", "cammc", "ate", "ate_se3", "rpe_translation", "ate_by_truth", "cammc_by_truth"}
    assert not raw & set(body["figures"]) and not body["translation_errors"]
    assert {"rotation_error", "ate_normalized", "ate_sim3", "rpe_rotation"} <= set(body["figures"])
    short = dolly_file(tmp_path / "s.json", [0, 1])
    assert main(["trajectory", "compare", str(truth), str(short)]) == 0
    assert capsys.readouterr().err.endswith("2 of 2 and 3 frames were matched by the frames' numbers\n")


def test_compare_matches_by_time(tmp_path: Path, capsys) -> None:
    """The estimate has every second frame of the truth, 3 ms late, and one that the truth has not: all others agree."""
    truth = dolly_file(tmp_path / "t.json", [0.0, 1.0, 2.0, 4.0, 6.0])
    assert main(["trajectory", "convert", str(truth), str(tmp_path / "t.tum")]) == 0
    fps = read(truth).fps
    rows = [(0, 0.0), (2, 2.0), (4, 6.0), (9, 77.0)]
    lines = [f"{number / fps + 0.003} 0 0 {z} 0 0 0 1\n" for number, z in rows]
    (tmp_path / "e.tum").write_text("".join(lines))
    capsys.readouterr()
    assert main(["trajectory", "compare", str(tmp_path / "t.tum"), str(tmp_path / "e.tum"), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["matched"] == "3 of 4 and 5 frames were matched by time" and body["frames"] == 3
    assert body["translation_errors"] == pytest.approx([0, 0, 0], abs=1e-6)


def test_compare_matches_numbers_where_frames_are_missing(tmp_path: Path, capsys) -> None:
    depths = [0.0, 1.0, 2.0, 4.0, 6.0]
    truth = dolly_file(tmp_path / "t.json", depths)
    kept = (0, 1, 3, 4)
    gapped = {**json.loads(truth.read_text()), "frame_numbers": list(kept)}
    gapped["frames"] = [gapped["frames"][number] for number in kept]
    (tmp_path / "e.json").write_text(json.dumps(gapped))
    assert main(["trajectory", "compare", str(truth), str(tmp_path / "e.json"), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["frames"] == 4 and "matched by the frames' numbers" in body["matched"]
    assert body["translation_errors"] == pytest.approx([0] * 4, abs=1e-6)
    # Two paths with the same gaps are one by one the same, though a .chan counts from 1.
    assert main(["trajectory", "convert", str(tmp_path / "e.json"), str(tmp_path / "e.chan")]) == 0
    capsys.readouterr()
    options = ["--width", str(gapped["width"]), "--height", str(gapped["height"]), "--unit", gapped["unit"], "--json"]
    compared = ["trajectory", "compare", str(tmp_path / "e.json"), str(tmp_path / "e.chan"), *options]
    assert main(compared) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["frames"] == 4 and body["translation_errors"] == pytest.approx([0] * 4, abs=1e-6)


def test_compare_matches_other_rates_by_time(tmp_path: Path, capsys) -> None:
    """9 cameras at 8 a second are frames 0, 3, ... 24 of 25 at 24; at 7 a second the first alone is of the same time."""
    cameras = read(dolly_file(tmp_path / "t.json", [float(depth) for depth in range(25)]))
    write_cameras(replace(cameras, fps=24.0), tmp_path / "t.json")
    write_cameras(replace(cameras[::3], fps=8.0), tmp_path / "e.json")
    for truth, estimate, counts in (("t", "e", "9 and 25"), ("e", "t", "25 and 9")):
        files = [str(tmp_path / f"{name}.json") for name in (truth, estimate)]
        assert main(["trajectory", "compare", *files, "--json"]) == 0
        body = json.loads(capsys.readouterr().out)
        assert body["frames"] == 9 and f"9 of {counts} frames were matched by their time at" in body["matched"]
        assert body["translation_errors"] == pytest.approx([0] * 9, abs=1e-6)
    write_cameras(replace(cameras[:7], fps=0.3), tmp_path / "o.json")
    assert main(["trajectory", "compare", str(tmp_path / "t.json"), str(tmp_path / "o.json")]) == 2
    assert "of which 1 match by their time at 0.3 and 24 frames a second" in capsys.readouterr().err
    # A file that states no rate goes by its numbers.
    write_cameras(cameras[:9], tmp_path / "n.chan")
    assert main(["trajectory", "compare", str(tmp_path / "e.json"), str(tmp_path / "n.chan"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 9


@pytest.mark.parametrize(
    ("names", "numbers"), [((), [1, 4, 7]), (tuple(f"p.{1001 + n}.exr" for n in range(7)), [1001, 1004, 1007])]
)
def test_convert_writes_an_estimate_as_pose_does(tmp_path: Path, capsys, names, numbers) -> None:
    """Of every third frame: a .chan holds their numbers, others say that they do not, and compare goes by them."""
    cameras = read(dolly_file(tmp_path / "t.json", [float(depth) for depth in range(7)]))
    write_cameras(replace(cameras, fps=24.0), tmp_path / "t.json")
    write_cameras(replace(cameras, fps=24.0), tmp_path / "t.chan", first=numbers[0])
    third = replace(
        estimate_of(replace(cameras[::3], fps=8.0), "test"), footage=Footage("p", 0.0, 24.0, (0, 3, 6), names)
    )
    write_estimate(third, tmp_path / "e.json")
    write_estimate(third, tmp_path / "e.chan")
    for name in ("c.chan", "c.json", "c.tum"):
        assert main(["trajectory", "convert", str(tmp_path / "e.json"), str(tmp_path / name), "--json"]) == 0
        lost = json.loads(capsys.readouterr().out)["left_out"]
        assert lost == lost_of(third, tmp_path / name) and ("which frames of the footage" in lost) == (name == "c.tum")
    assert (tmp_path / "c.chan").read_text() == (tmp_path / "e.chan").read_text()
    assert [int(line.split()[0]) for line in (tmp_path / "c.chan").read_text().splitlines()] == numbers
    assert read_cameras(tmp_path / "c.json").numbers == (0, 3, 6)
    options = [*("--width", "64", "--height", "48", "--unit", "metre", "--json")]
    for truth, estimate in (("t.json", "c.json"), ("t.chan", "c.chan")):
        assert main(["trajectory", "compare", str(tmp_path / truth), str(tmp_path / estimate), *options]) == 0
        body = json.loads(capsys.readouterr().out)
        assert body["frames"] == 3 and body["translation_errors"] == pytest.approx([0] * 3, abs=1e-6), (truth, estimate)


@pytest.mark.parametrize(
    ("choice", "numbers"), [("keep", [1, 2, 5, 6]), ("fill", [1, 2, 3, 4, 5, 6]), ("close", [1, 2, 3, 4])]
)
def test_convert_treats_the_gaps_of_an_estimate_as_asked(tmp_path: Path, choice: str, numbers: list[int]) -> None:
    cameras = read(dolly_file(tmp_path / "t.json", [0.0, 1.0, 2.0, 3.0]))
    found = estimate_of(replace(cameras, fps=24.0), "test")
    write_estimate(replace(found, footage=Footage("p.mp4", 0.0, 24.0, (0, 1, 4, 5))), tmp_path / "e.json")
    assert main(["trajectory", "convert", str(tmp_path / "e.json"), str(tmp_path / "c.chan"), "--gaps", choice]) == 0
    assert [int(line.split()[0]) for line in (tmp_path / "c.chan").read_text().splitlines()] == numbers


def plate(first: int) -> tuple[str, ...]:
    return tuple(f"p.{first + place:04d}.exr" for place in range(6))


@pytest.mark.parametrize("frames", [(0, 1, 3, 4), (1, 2, 3), (2, 4, 5)])
@pytest.mark.parametrize(
    ("names", "of_truth"),
    [((), 1), ((), 0), (plate(1001), 1001), (plate(1001), 1), (plate(0), 1), (plate(0), 0), (plate(1), 1)],
)
def test_compare_lays_a_partly_solved_clip_over_the_whole(tmp_path: Path, capsys, frames, names, of_truth) -> None:
    """Of a video or a plate, without some frames or without the first; the truth counts from its beginning or as the
    plate does. A video's frames count from 1 in a .chan, from 0 in paths that do not say."""
    cameras = replace(
        read_cameras(dolly_file(tmp_path / "t.json", [0.0, 1.0, 2.0, 4.0, 6.0, 9.0])).trajectory, fps=24.0
    )
    size = [str(side) for side in cameras.camera.hw]
    options = ["--height", size[0], "--width", size[1], "--unit", cameras.unit, "--json"]
    path = replace(cameras, camera=cameras.camera[list(frames)])
    solved = replace(estimate_of(path, "test"), footage=Footage("p", 0.0, 24.0, frames, names))
    write_estimate(solved, tmp_path / "s.json")
    write_estimate(solved, tmp_path / "s.chan")
    write_cameras(cameras, tmp_path / "t.chan", first=of_truth)
    pairs = [("t.chan", "s.json"), ("t.json", "s.json")]
    write_estimate(solved, tmp_path / "model", format="colmap")  # frame_00001.png ... of a video, from 0 on
    pairs += [("t.json", "model")] * (not names and frames[0] != 1)  # where frame_00001.png may be the first, too
    pairs += [("t.json", "s.chan")] * (not names) + [("t.chan", "s.chan")] * (of_truth == 1001)
    for whole, part in pairs:
        assert main(["trajectory", "compare", str(tmp_path / whole), str(tmp_path / part), *options]) == 0
        body = json.loads(capsys.readouterr().out)
        assert body["frames"] == len(frames), (whole, part)
        assert body["translation_errors"] == pytest.approx([0] * len(frames), abs=1e-6), (whole, part)


def test_convert_says_what_the_target_can_not_hold(path_file: Path, tmp_path: Path, capsys) -> None:
    assert main(["trajectory", "convert", str(path_file), str(tmp_path / "a.kitti"), "--json"]) == 0
    lost = json.loads(capsys.readouterr().out)["left_out"]
    assert lost == (
        "kitti has no place for the lens (K, 60 degrees), the picture's size (64x48), the rate (8 frames a second), "
        "the unit of lengths (metre)"
    )
    assert main(["trajectory", "convert", str(path_file), str(tmp_path / "b.usda"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == ""


def test_convert_keeps_the_frames_numbers(tmp_path: Path, capsys) -> None:
    shot = tmp_path / "shot.chan"
    shot.write_text("".join(f"{1001 + frame} {frame} 0 0 0 0 0 40\n" for frame in range(3)))
    assert main(["trajectory", "convert", str(shot), str(tmp_path / "b.usda"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == ""
    assert re.findall(r"TimeCode = ([0-9]+)", (tmp_path / "b.usda").read_text()) == ["1003", "1001"]
    assert main(["trajectory", "convert", str(shot), str(tmp_path / "b.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == ""
    assert main(["trajectory", "convert", str(tmp_path / "b.json"), str(tmp_path / "c.tum"), "--json"]) == 0
    assert "the frames' numbers in the footage (from 1001 on)" in json.loads(capsys.readouterr().out)["left_out"]
    chan = ["trajectory", "convert", str(tmp_path / "b.json"), str(tmp_path / "c.chan")]
    assert main(chan) == 0 and (tmp_path / "c.chan").read_text().startswith("1001\t")
    assert main([*chan, "--first-frame", "-4"]) == 0 and (tmp_path / "c.chan").read_text().startswith("-4\t")
    assert main([*chan, "--first-frame", "2000000"]) == 2
    assert "--first-frame" in capsys.readouterr().err


def test_undistort_writes_the_pictures_as_the_pinhole_inside_sees_them(tmp_path: Path, capsys) -> None:
    """A straight edge, bent by k1 = -0.2, is straight again: x = 0.25 in the lens's plane for all y."""
    import cv2
    import numpy as np

    from raxel_core.geometry.distortion import Lens

    lens = Lens((240, 320), (250.0, 250.0, 160.0, 120.0), "SIMPLE_RADIAL", (-0.2,))
    model, pictures = tmp_path / "model", tmp_path / "images"
    model.mkdir()
    pictures.mkdir()
    (model / "cameras.txt").write_text("1 SIMPLE_RADIAL 320 240 250 160 120 -0.2\n")
    (model / "images.txt").write_text("1 1 0 0 0 0 0 0 1 a_1.png\n\n2 1 0 0 0 0 0 1 1 a_2.png\n\n")
    x = (torch.arange(320) + 0.5 - 160) / 250
    y = (torch.arange(240) + 0.5 - 120) / 250
    bent = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).double()
    straight = bent.clone()
    for _ in range(50):  # the inverse of the distortion, as a fixed point
        straight = bent / (1 - 0.2 * straight.square().sum(-1, keepdim=True))
    image = ((straight[..., 0] - 0.25).clamp(-0.01, 0.01) * 1e4 + 100).numpy().astype(np.uint8)
    for name in ("a_1.png", "a_2.png"):
        cv2.imwrite(str(pictures / name), image)
    out = tmp_path / "out"
    assert main(["trajectory", "undistort", str(model), str(pictures), str(out), "--json"]) == 0
    assert [Path(file).name for file in json.loads(capsys.readouterr().out)["files"]] == ["a_1.png", "a_2.png"]
    found = cv2.imread(str(out / "a_2.png"), cv2.IMREAD_UNCHANGED)
    fx, _, cx, _ = lens.pinhole().intrinsics
    edges = np.abs(found.astype(float) - 100).argmin(axis=1)
    assert np.abs(edges + 0.5 - (cx + 0.25 * fx)).max() <= 1.0
    assert np.ptp(np.abs(image[::10].astype(float) - 100).argmin(axis=1)) >= 3  # it was bent before
    assert main(["trajectory", "convert", str(model), str(tmp_path / "c.json"), "--undistort"]) == 0
    assert float(read(tmp_path / "c.json").camera.K[0, 0, 0]) == pytest.approx(fx, rel=1e-6)
    (pictures / "a_2.png").unlink()
    assert main(["trajectory", "undistort", str(model), str(pictures), str(out)]) == 2
    assert "there is no picture 'a_2.png'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["colmap", "colmap_binary"])
def test_depth_becomes_the_points_of_a_colmap_model(path_file: Path, tmp_path: Path, kind: str) -> None:
    """Each pixel's middle at its depth, seen from its camera: projected back by pycolmap it is that pixel's middle."""
    np = pytest.importorskip("numpy")
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed: pip install pycolmap")
    depth = np.full((9, 6, 8), 2.0)
    depth[0, 0, 0] = 0.0
    images = np.zeros((9, 6, 8, 3), dtype=np.uint8)
    images[1, 2, 3] = (10, 20, 30)
    np.savez(tmp_path / "results.npz", depth=depth, images=images)
    out = tmp_path / "model"
    arguments = [
        "trajectory",
        "convert",
        str(path_file),
        str(out),
        "--to",
        kind,
        "--points",
        str(tmp_path / "results.npz"),
    ]
    assert main(arguments) == 0
    model = pycolmap.Reconstruction(str(out))
    assert len(model.points3D) == 9 * 48 - 1
    image = next(image for image in model.images.values() if image.name == "frame_00001.png")
    index = 48 + 2 * 8 + 3  # points count from 1, and the first pixel has no depth
    point = model.points3D[index]
    assert list(point.color) == [10, 20, 30]
    assert image.project_point(point.xyz) == pytest.approx([(3 + 0.5) * 8, (2 + 0.5) * 8], abs=1e-3)
    assert main([*arguments[:4], "--to", "usda", "--points", str(tmp_path / "results.npz")]) == 2

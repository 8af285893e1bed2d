"""The commands, run in this process on real files: an oracle in the model's place, so that results have known answers.

Bad input must end with exit code 2 and one sentence on stderr.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.distributed.run import parse_args

from raxel_core import pipeline
from raxel_core.__main__ import main as raxel
from raxel_core.atomic_file import write_text
from raxel_core.camera_io import read_cameras, read_estimate
from raxel_core.cli import build_parser, main, options
from raxel_core.evaluation.image_metrics import psnr
from raxel_core.framing import framing_for
from raxel_core.geometry import se3
from raxel_core.geometry.pose import PoseRecoveryError
from raxel_core.latents.patch_vae import load_patch_vae
from raxel_core.paths.camera_path import path_from_json, path_to_json
from raxel_core.paths.plan import make_move
from raxel_core.raxel_model import load_model
from raxel_core.training.config import TrainConfig
from raxel_core.training.vae import raxel_and_video_clips
from raxel_core.video_io import read_image, read_video, write_image, write_video
from tests.oracle import FRAMES, HW, moving_clip, oracle_model
from tests.small_checkpoint import CONFIG, save_small_checkpoint

FILE_HW = (64, 160)  # wider than the model's pictures: sides are cropped


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch):
    """An oracle's model in the place of the one that ``--model`` names."""
    video, camera = moving_clip()
    made = oracle_model(video * 0.5, camera)
    monkeypatch.setattr(options, "load", lambda arguments: made)
    return made


@pytest.fixture
def video_file(tmp_path: Path) -> Path:
    path = tmp_path / "input.mp4"
    columns = torch.linspace(-0.8, 0.8, FILE_HW[1]).expand(3, 9, *FILE_HW)
    write_video(path, columns, fps=8.0)
    return path


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    path = tmp_path / "input.png"
    write_image(path, torch.linspace(-0.8, 0.8, FILE_HW[1]).expand(3, *FILE_HW))
    return path


def _sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The last line on stderr; nothing but what a command says of its work may stand before it."""
    *before, last = capsys.readouterr().err.splitlines()
    assert all(line.startswith("raxel: read ") for line in before)
    assert last.startswith("raxel: ")
    return last


def test_pose_writes_the_path_in_the_pixels_of_the_file(model, video_file: Path, capsys) -> None:
    assert main(["pose", str(video_file), "--frames", "5", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    trajectory = path_from_json(video_file.with_suffix(".cameras.json").read_text())
    _, camera = moving_clip()
    expected = framing_for(FILE_HW, HW).to_original(camera)
    assert trajectory.camera.hw == FILE_HW
    torch.testing.assert_close(trajectory.camera.K, expected.K, rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(trajectory.camera.center, camera.center, rtol=0, atol=1e-3)
    assert float(se3.geodesic(trajectory.camera.rotation, camera.rotation).max()) < 1e-3
    assert (body["frames"], body["fps"], body["unit"]) == (FRAMES, 8.0, "near_depth")
    turned = se3.geodesic(camera.rotation[:-1], camera.rotation[1:]).sum()
    assert body["turn_degrees"] == pytest.approx(math.degrees(float(turned)), rel=1e-2)


def test_pose_draws_and_writes_where_it_is_told(model, video_file: Path, tmp_path: Path, capsys) -> None:
    out, plot = tmp_path / "path.json", tmp_path / "path.png"
    assert main(["pose", str(video_file), "--out", str(out), "--plot", str(plot)]) == 0
    assert len(path_from_json(out.read_text())) == 9
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".windows"] == []
    picture, _ = read_image(plot)
    assert picture.std() > 0.01
    assert "The model sees the camera turn by" in capsys.readouterr().out


def test_generate_follows_a_path_file(model, video_file: Path, image_file: Path, tmp_path: Path, capsys) -> None:
    main(["pose", str(video_file), "--frames", "5"])
    path, out = video_file.with_suffix(".cameras.json"), tmp_path / "made.mp4"
    capsys.readouterr()
    assert (
        main(["generate", str(image_file), "--trajectory", str(path), "--steps", "2", "--out", str(out), "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out) == {"video": str(out), "frames": FRAMES, "hw": list(HW), "fps": 8.0}
    made, truth = read_video(out).video, moving_clip()[0] * 0.5
    assert made.shape == truth.shape
    luma = torch.tensor([0.2126, 0.7152, 0.0722])  # of BT.709: H.264 keeps colours at half the resolution
    assert float(torch.einsum("c,cfhw->fhw", luma, made - truth).abs().mean()) < 0.03


def test_a_path_in_fewer_frames_lasts_as_long(model, image_file: Path, tmp_path: Path, capsys) -> None:
    path, out = tmp_path / "long.json", tmp_path / "made.mp4"
    write_text(path, path_to_json(make_move("pan", 21, hw=FILE_HW, fps=24.0)))
    arguments = ["generate", str(image_file), "--trajectory", str(path), "--steps", "1", "--out", str(out), "--json"]
    assert main([*arguments, "--frames", "5"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["fps"] == pytest.approx(24.0 * 4 / 20)  # every fifth camera, five times as long
    assert "21 cameras at 24 a second are taken as 5 at 4.8, which last as long" in told.err
    assert read_video(out).fps == pytest.approx(4.8)


def test_a_size_is_told_width_first(model, image_file: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "made.mp4"
    assert main(["generate", str(image_file), "--move", "pan", "--steps", "2", "--out", str(out)]) == 0
    assert f"frames of {HW[1]}x{HW[0]} at" in capsys.readouterr().out


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "path.json"
    write_text(path, path_to_json(make_move("pan", FRAMES, hw=FILE_HW)))
    command = [sys.executable, "-m", "raxel_core", "trajectory", "show", str(path)]
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("amount", [[], ["--degrees", "20"]])
def test_generate_follows_a_move(model, image_file: Path, tmp_path: Path, amount: list[str]) -> None:
    out = tmp_path / "made.mp4"
    arguments = ["generate", str(image_file), "--move", "orbit", *amount, "--steps", "1", "--out", str(out)]
    assert main(arguments) == 0
    asked = model.transformer.questions[-1]
    assert asked["ray_sigma"].tolist() == [[0.0, 0.0]]
    assert read_video(out).video.shape == (3, FRAMES, *HW)


@pytest.mark.parametrize("name", ["", "f_%d.png", "f_*.png"])
def test_joint_of_a_series_of_pictures_writes_video_and_path(model, tmp_path: Path, capsys, name: str) -> None:
    out, folder = tmp_path / "both.mp4", tmp_path / "pictures"
    folder.mkdir()
    for number in (2, 10):
        write_image(folder / f"f_{number}.png", torch.linspace(-0.8, 0.8, FILE_HW[1]).expand(3, *FILE_HW))
    assert main(["generate", str(folder / "g_%d.png"), "--move", "pan", "--out", str(out)]) == 2
    assert "g_%d.png names no pictures that are there; there is f_10.png" in capsys.readouterr().err
    arguments = [
        "joint",
        str(folder / name),
        "--at",
        "0",
        "4",
        "--steps",
        "3",
        "--out",
        str(out),
        "--json",
    ]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["trajectory"] == str(tmp_path / "both.json")
    assert len(path_from_json((tmp_path / "both.json").read_text())) == FRAMES
    assert read_video(out).video.shape[1] == FRAMES
    assert model.transformer.questions[-1]["video_time"].tolist() == [0.0, 1.0, 0.0, 1.375]


def test_what_joint_makes_is_no_footage(model, image_file: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    embedded = replace(model, recipe=replace(model.recipe, vae="raxel-tiny-vae"))
    monkeypatch.setattr(options, "load", lambda _: embedded)
    assert main(["joint", str(image_file), "--steps", "2", "--out", str(tmp_path / "made.mp4"), "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)["verdict"]
    assert verdict.startswith("The model sees the camera turn by")
    assert "footage" not in verdict and "solve it" not in verdict


@pytest.mark.parametrize("command", [["generate", "--move", "pan"], ["joint"]])
def test_of_a_video_in_a_pictures_place_it_is_told_that_the_first_frame_is_taken(
    model, video_file: Path, image_file: Path, tmp_path: Path, capsys, command: list[str]
) -> None:
    given = ["--steps", "2", "--at", "0", "4", "--out", str(tmp_path / "made.mp4")]
    assert main([*command, str(image_file), str(video_file), *given]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "first frame" in line]
    assert told == [f"raxel: {video_file} is a video: its first frame is taken as the picture"]


def test_loop_reports_and_holds_to_bounds(model, video_file: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "loop"
    arguments = ["loop", str(video_file), "--steps", "2", "--out", str(out), "--max-rotation-degrees", "0.1", "--json"]
    assert main(arguments) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["passed"]
    assert body["checks"][0]["name"] == "rotation_error"
    assert sorted(path.name for path in out.iterdir()) == [
        "first.json", "generated.mp4", "paths.png", "report.json", "second.json",
    ]  # fmt: skip
    assert json.loads((out / "report.json").read_text()) == body


def test_a_loop_that_fails_ends_with_code_1(model, video_file: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "loop"
    arguments = ["loop", str(video_file), "--steps", "2", "--out", str(out), "--min-psnr", "50"]
    assert main(arguments) == 1
    assert capsys.readouterr().out.startswith("Failed: ")
    assert json.loads((out / "report.json").read_text())["passed"] is False


@pytest.mark.parametrize(("given", "needed"), [([], 5), (["--frames", "9"], 9)])
def test_a_clip_too_short_for_the_loop_is_told_what_is_enough(model, tmp_path, monkeypatch, capsys, given, needed):
    monkeypatch.setattr(options, "load", lambda _: replace(model, recipe=replace(model.recipe, frames=9)))
    write_video(tmp_path / "short.mp4", torch.zeros(3, 3, *FILE_HW), fps=8.0)
    assert main(["loop", str(tmp_path / "short.mp4"), *given, "--out", str(tmp_path / "loop")]) == 2
    assert f"short.mp4 has 3 frames at 8 a second, {needed} are needed" in _sentence(capsys)


def test_loop_keeps_which_frames_its_cameras_are_of(model, video_file: Path, tmp_path: Path) -> None:
    """Every second picture from 1003 on."""
    for number, frame in enumerate(read_video(video_file).video.unbind(1)):
        for place in (2 * number, 2 * number + 1):
            write_image(tmp_path / f"f_{1001 + place}.png", frame)
    series = [str(tmp_path / "f_%04d.png"), "--fps", "16", "--frames", "5", "--start", "0.125"]
    assert main(["loop", *series, "--out", str(tmp_path / "loop")]) == 0
    for name in ("first", "second"):
        reading = read_cameras(tmp_path / "loop" / f"{name}.json")
        assert reading.numbers == (2, 4, 6, 8, 10) and reading.trajectory.fps == 8.0
        estimate = read_estimate(tmp_path / "loop" / f"{name}.json")
        assert estimate.footage.pictures[2] == "f_1003.png" and estimate.footage.rate == 16.0 and estimate.verdict


def test_demo_writes_everything(model, tmp_path: Path, capsys) -> None:
    out = tmp_path / "demo"
    assert main(["demo", "--steps", "2", "--out", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads((out / "report.json").read_text()) == report
    names = {path.name for path in out.iterdir()}
    assert {"pose.mp4", "generated.mp4", "joint.mp4", "loop.mp4", "paths.png", "overview.png", "truth.json"} <= names
    assert report["loop_cameras"]["rotation_error_degrees"] < 0.1
    assert read_video(out / "loop.mp4").video.shape[1] == FRAMES


@pytest.mark.parametrize("scenes", ["room", "world"])
def test_evaluate_prints_the_report(scenes, model, tmp_path: Path, capsys) -> None:
    out = tmp_path / "report.json"
    arguments = [
        "evaluate",
        "--set",
        scenes,
        "--scenes",
        "3",
        "--batch",
        "2",
        "--ray-steps",
        "1",
        "2",
        "--steps",
        "1",
        "--out",
        str(out),
    ]
    assert main(arguments) == 0
    assert "pose 2 steps" in capsys.readouterr().out
    body = json.loads(out.read_text())
    assert (body["set"], body["clips"], body["frames"], body["hw"]) == (scenes, 3, FRAMES, list(HW))
    assert body["rows"]["VAE alone, cameras"]["rotation_error_degrees"]["mean"] < 1e-3
    assert (
        body["rows"]["VAE alone, video"]["psnr"]["mean"] is None
        or body["rows"]["VAE alone, video"]["psnr"]["mean"] > 90
    )


def test_a_checkpoint_file_is_loaded_with_its_vae(image_file: Path, tmp_path: Path) -> None:
    model, vae = save_small_checkpoint(tmp_path)
    out = tmp_path / "made.mp4"
    arguments = ["generate", str(image_file), "--move", "dolly", "--distance", "0.2", "--steps", "1", "--out", str(out)]
    assert main([*arguments, "--model", str(model), "--vae", str(vae)]) == 0
    assert read_video(out).video.shape == (3, 9, 64, 96)


def test_train_runs_resumes_and_its_weights_load(tmp_path: Path, capsys) -> None:
    _, vae = save_small_checkpoint(tmp_path)
    config = TrainConfig(
        name="small", steps=2, frames=5, hw=(32, 32), clips=2, shard_clips=2, batch=2, precision="no", log_every=1,
        validation_clips=2, scenes=(("room", 1.0),), model=CONFIG,
    )  # fmt: skip
    (tmp_path / "config.json").write_text(config.to_json())
    arguments = ["train", str(tmp_path / "config.json"), str(tmp_path / "run"), "--vae", str(vae), "--json"]
    assert main([*arguments, "--until", "1"]) == 0
    assert main(arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2]
    assert load_model(tmp_path / "run" / "raxel.safetensors", vae=vae).recipe.vae == vae.stem
    (tmp_path / "config.json").write_text('{"name": "x", "steps": 1, "frames": 5, "speed": 9}')
    assert main(arguments) == 2
    assert "the training configuration has unknown speed" in _sentence(capsys)


def test_train_vae_fits_a_code(tmp_path: Path, capsys) -> None:
    file = tmp_path / "vae.safetensors"
    small = ["--frames", "5", "--size", "32", "32", "--clips", "16", "--channels", "16", "--sets", "easy"]
    assert main(["train-vae", str(file), *small]) == 0
    fitted = load_patch_vae(file)
    assert fitted.latent_channels == 16
    config = TrainConfig(name="unseen", steps=1, frames=5, hw=(32, 32))
    video, raxels = next(raxel_and_video_clips(config, range(400_000, 400_008), sets=("easy",)))
    assert psnr(fitted.decode(fitted.encode(video)).clamp(-1, 1), video).mean() > 20
    assert (fitted.decode(fitted.encode(raxels)) - raxels).square().mean().sqrt() < 0.02
    capsys.readouterr()
    assert main(["train-vae", str(file), "--clips", "0"]) == 2
    assert "clips and channels are at least 1" in _sentence(capsys)
    assert main(["train-vae", str(file), *small, "--size", "30", "32"]) == 2
    assert "multiples of 8, got 30x32" in _sentence(capsys)
    assert main(["train-vae", str(file), *small, "--channels", "193"]) == 2
    assert "1 to 192 channels, got 193" in _sentence(capsys)
    assert load_patch_vae(file).latent_channels == 16


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pose", "{text}"], "cannot read .*: Invalid data found"),
        (["pose", "{missing}"], "cannot read .*: No such file"),
        (["pose", "{video}", "--frames", "0"], "at least 1 frame must be read, got 0"),
        (["pose", "{video}", "--fps", "0"], "frame rate of a video is 0.001 to 10000 a second, got 0"),
        (["pose", "{video}", "--start", "1e18"], "the time to start reading at is 0 to"),
        (["pose", "{video}", "--out", "{video}"], "input.mp4: its name does not say the format"),
        (["pose", "{video}", "--out", "{folder}"], r"folder\.json: it is a folder, not a file"),
        (["pose", "{video}", "--plot", "{missing}/a.png"], "cannot write into .*missing.mp4: No such file"),
        (["generate", "{image}", "--move", "pan", "--out", "a.avi"], "a.avi has to end in .mp4"),
        (
            ["generate", "{video}", "--move", "pan", "--out", "{video}"],
            "input.mp4 is the input, so the result cannot be",
        ),
        (["generate", "{image}", "--move", "pan", "--frames", "0"], "at least one frame, got 0"),
        (["generate", "{image}", "--trajectory", "{path}", "--frames", "0"], "at least one frame, got 0"),
        (["generate", "{image}", "--trajectory", "{path}"], "frame rate of a video is 0.001 to 10000 a second"),
        (["generate", "{image}", "--trajectory", "{folder}"], "folder.json: Is a directory"),
        (["generate", "{image}", "--trajectory", "{path}", "--fov-degrees", "20"], "--fov-degrees belongs to --move"),
        (["generate", "{image}", "--trajectory", "{path}", "--factor", "2"], "--factor belongs to --move, not to"),
        (["generate", "{image}", "--move", "static", "--distance", "1"], "static takes no amount"),
        (["generate", "{image}", "--move", "zoom", "--degrees", "1"], "zoom takes --factor"),
        (["generate", "{image}", "--move", "pan", "--guidance", "nan"], "source guidance must be a finite number"),
        (["generate", "{image}", "--move", "pan", "--text-guidance", "5"], "--text-guidance is of a prompt: give it"),
        (["joint", "{image}", "--text-guidance", "5"], "--text-guidance is of a prompt: give it with --prompt"),
        (["joint", "{image}", "--texts", "{folder}"], "--texts is of a prompt: give it with --prompt"),
        (["joint", "{image}", "--out", "{text}"], "notes.txt has to end in .mp4"),
        (["loop", "{video}", "--out", "{text}"], "cannot write into .*notes.txt: Not a directory"),
        (["demo", "--out", "{text}/demo"], "cannot write into .*notes.txt: Not a directory"),
        (["evaluate", "--out", "{missing}/report.json"], "cannot write into"),
        (["pose", "{video}", "--masks", "{folder}"], "--masks is not an argument of --method robust"),
        (["pose", "{video}", "--undistort", "a.mp4"], "--undistort is not an argument of --method robust"),
        (["pose", "{video}", "--most-pixels", "9"], "--most-pixels is not an argument of --method robust"),
        (["pose", "{video}", "--method", "colmap", "--spread", "5"], "--spread is not an argument of --method colmap"),
        (["pose", "{video}", "--method", "colmap", "--against", "{path}"], "--against is not an argument of"),
        (["pose", "{video}", "--method", "colmap", "--no-antithetic"], "--antithetic is not an argument of"),
        (["pose", "{video}", "--method", "colmap", "--steps", "9"], "--steps is not an argument of --method colmap"),
        (["pose", "{video}", "--method", "colmap", "--focal", "per_frame"], "--focal is not an argument of"),
        (["pose", "{video}", "--method", "colmap", "--model", "nothing"], "--model is not an argument of"),
        (["pose", "{video}", "--method", "colmap", "--lora", "{missing}"], "--lora is not an argument of"),
        (["pose", "{video}", "--method", "colmap", "--seed", "3"], "--seed is not an argument of"),
        (["verify", "{video}", "--path", "{path}", "--ray-steps", "7"], "--ray-steps is not an argument of --method"),
        (["verify", "{video}", "--path", "{path}", "--cameras", "{path}", "--method", "robust"], "--method is of"),
        (["verify", "{video}", "--path", "{path}", "--cameras", "{path}", "--frames", "5"], "--frames is of"),
        (["verify", "{video}", "--path", "{path}", "--cameras", "{path}", "--start", "1"], "--start is of"),
        (["verify", "{video}", "--path", "{path}", "--cameras", "{path}", "--fps", "8"], "--fps is of"),
        (["verify", "{video}", "--path", "{path}", "--method", "robust", "--interpolate"], "--interpolate is not an"),
        (
            ["verify", "{video}", "--path", "{path}", "--cameras", "{path}", "--fov-degrees", "60"],
            "--fov-degrees is of",
        ),
        (["verify", "{video}", "--path", "{path}", "--cameras", "{path}", "--matching", "exhaustive"], "--matching is"),
        (["evaluate", "--kind", "world"], "--kind is not an argument of --method robust"),
        (["evaluate", "--method", "ray_regression", "--samples", "2"], "--samples is not an argument of --method ray_"),
        (["evaluate", "--method", "ray_diffusion", "--kind", "room", "--data", "{folder}"], "--kind is of rendered"),
        (["evaluate", "--published"], "--published is not an argument of --method robust"),
        (["evaluate", "--frames", "5"], "--frames is not an argument of --method robust"),
        (["evaluate", "--weights", "{text}"], "--weights is not an argument of --method robust"),
        (["pose", "{video}", "--frames", "4"], "the model sees 5 and more frames of a clip, got 4"),
        (["pose", "{video}", "--frames", "13"], "has 9 frames at 8 a second, 13 are needed"),
        (["pose", "{video}", "--start", "60"], "holds no frame from 60 s on"),
        (["pose", "{video}", "--start", "1"], "has 1 frames at 8 a second, 5 are needed"),
        (
            ["generate", "{image}", "--trajectory", "{text}"],
            "notes.txt is not a camera path: the camera path is not JSON",
        ),
        (["generate", "{image}", "--trajectory", "{missing}"], "No such file"),
        (["generate", "{image}", "--move", "pan", "--distance", "1"], "pan takes --degrees"),
        (["generate", "{image}", "--move", "dolly", "--degrees", "1"], "dolly takes --distance"),
        (["generate", "{image}", "{image}", "--move", "pan"], "2 pictures need 2 frame numbers after --at"),
        (["generate", "{image}", "--at", "9", "--move", "pan"], "frame 9 of a clip of 5 frames"),
        (["joint", "{image}", "--steps", "2", "--ray-steps", "3"], "cannot take more steps"),
        (["loop", "{video}", "--sources", "8"], "not all frames of a clip of 5"),
        (["evaluate", "--scenes", "1"], "at least 2 scenes"),
        (
            ["evaluate", "--scenes", "2", "--ray-steps", "1"],
            "takes 2 ray steps and --ray-steps are 1: give --loop-steps",
        ),
        (["evaluate", "--sources", "5"], "some of the frames 0 to 4 and not all of them, got .5"),
        (["evaluate", "--sources", "0", "1", "2", "3", "4"], "some of the frames 0 to 4 and not all of them"),
        (["demo", "--scene", "-1"], "the test split has scenes 0 to"),
    ],
)
def test_bad_input_ends_with_code_2_and_one_sentence(
    model, video_file: Path, image_file: Path, tmp_path: Path, monkeypatch, arguments: list[str], sentence: str, capsys
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = tmp_path / "notes.txt"
    text.write_text("this is neither a video nor a path")
    folder, path = tmp_path / "folder.json", tmp_path / "fast.json"
    folder.mkdir()
    write_text(path, path_to_json(make_move("pan", FRAMES, hw=FILE_HW, fps=1e299)))
    places = {"text": text, "missing": tmp_path / "missing.mp4", "video": video_file, "image": image_file}
    before = {given: given.read_bytes() for given in (text, path, video_file, image_file)}
    assert main([argument.format(folder=folder, path=path, **places) for argument in arguments]) == 2
    line = _sentence(capsys)
    assert re.search(sentence, line), line
    assert not model.transformer.questions
    assert not list(Path.cwd().iterdir())
    assert {given: given.read_bytes() for given in before} == before


@pytest.mark.parametrize("command", ["pose", "loop", "generate", "joint", "verify"])
def test_a_wrong_name_is_told_before_a_model_loads(tmp_path: Path, monkeypatch, capsys, command: str) -> None:
    monkeypatch.setattr(options, "load", lambda arguments: pytest.fail("the model was loaded first"))
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "path.json", path_to_json(make_move("pan", FRAMES, hw=FILE_HW)))
    named = {"generate": ["--move", "pan"], "verify": ["--path", "path.json", "--method", "robust"]}
    for name in ("clip.mp4", "f_%04d.png"):
        assert main([command, name, *named.get(command, [])]) == 2
        assert re.search(f"{name}(: No such file| names no pictures)", _sentence(capsys))


def test_a_series_of_pictures_is_a_video(model, video_file: Path, tmp_path: Path, capsys) -> None:
    """The same frames, as a video of 8 frames a second and as pictures that are said to have that rate."""
    for number, frame in enumerate(read_video(video_file).video.unbind(1)):
        write_image(tmp_path / f"f_{number:04d}.png", frame)
    assert main(["pose", str(video_file), "--frames", "5"]) == 0
    assert main(["pose", str(tmp_path / "f_%04d.png"), "--fps", "8", "--frames", "5"]) == 0
    assert "9 pictures, f_0000.png to f_0008.png" in capsys.readouterr().err
    of_video = path_from_json(video_file.with_suffix(".cameras.json").read_text())
    of_series = path_from_json((tmp_path / "f.cameras.json").read_text())
    assert (len(of_series), of_series.fps) == (5, 8.0)
    torch.testing.assert_close(of_series.camera.K, of_video.camera.K)
    torch.testing.assert_close(of_series.camera.center, of_video.camera.center)


def test_cameras_to_compare_with_lie_over_their_pictures(model, video_file: Path, tmp_path: Path, capsys) -> None:
    """Those of the pictures 1004 to 1008 are compared with them, and not with 1001 to 1005; others are counted."""
    for number, frame in enumerate(read_video(video_file).video.unbind(1)):
        write_image(tmp_path / f"f_{1001 + number}.png", frame)
    pose = ["pose", str(tmp_path / "f_%04d.png"), "--fps", "8", "--frames", "9", "--out", str(tmp_path / "whole.chan")]
    assert main(pose) == 0
    rows = (tmp_path / "whole.chan").read_text().splitlines()[3:8]
    (tmp_path / "some.chan").write_text("\n".join([*rows, "1010" + rows[-1][4:]]))
    capsys.readouterr()
    assert main([*pose[:-1], str(tmp_path / "again.chan"), "--against", str(tmp_path / "some.chan")]) == 0
    told = capsys.readouterr()
    assert "Against some.chan (5 frames) it is 0 degrees off" in re.sub(r"\b[0-9.]+e-[0-9]+", "0", told.out)
    assert "1 of its 6 cameras are not of frames 1001 to 1009" in told.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "nothing"], "nothing is neither a file nor an embedded model"),
        (["--model", "{weights}"], "(?i)safetensors|pickle|zip"),
        (["--device", "quantum"], "the device 'quantum' cannot be used"),
    ],
)
def test_models_that_cannot_be_loaded_are_named(tmp_path: Path, video_file: Path, arguments, sentence, capsys) -> None:
    weights = tmp_path / "model.pt"
    torch.save({}, weights)
    assert main(["pose", str(video_file), *(argument.format(weights=weights) for argument in arguments)]) == 2
    assert re.search(sentence, _sentence(capsys))


def test_interruption_has_its_own_code(model, video_file: Path, monkeypatch, capsys) -> None:
    def interrupt(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(model.transformer, "forward", interrupt)
    monkeypatch.setattr("sys.argv", ["raxel", "pose", str(video_file)])
    handler = signal.getsignal(signal.SIGINT)
    try:
        assert raxel() == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert _sentence(capsys) == "raxel: interrupted"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_too_little_memory_is_said_and_the_next_run_works(
    model, video_file: Path, monkeypatch, capsys, error: Exception
) -> None:
    def fail(*arguments, **named):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(model.transformer, "forward", fail)
        assert main(["pose", str(video_file)]) == 2
    assert "there is not enough memory: use fewer frames" in _sentence(capsys)
    assert list(video_file.parent.iterdir()) == [video_file]
    assert main(["pose", str(video_file)]) == 0


def test_an_error_of_ours_is_not_hidden(model, video_file: Path, monkeypatch) -> None:
    def fail(*arguments, **named):
        raise RuntimeError("the size of tensor a must match the size of tensor b")

    monkeypatch.setattr(model.transformer, "forward", fail)
    with pytest.raises(RuntimeError, match="size of tensor"):
        main(["pose", str(video_file)])


@pytest.mark.parametrize("command", ["joint", "loop"])
def test_a_generated_video_outlives_cameras_that_cannot_be_read(
    model, video_file: Path, image_file: Path, tmp_path: Path, monkeypatch, capsys, command: str
) -> None:
    read, calls = pipeline.read_cameras, []

    def fail_on_the_generated(*arguments, **named):
        calls.append(arguments)
        if command == "loop" and len(calls) == 1:
            return read(*arguments, **named)
        raise PoseRecoveryError(3, "its rays are all the same")

    monkeypatch.setattr(pipeline, "read_cameras", fail_on_the_generated)
    out = tmp_path / "made.mp4" if command == "joint" else tmp_path / "made"
    given = image_file if command == "joint" else video_file
    assert main([command, str(given), "--steps", "1", "--out", str(out)]) == 2
    assert capsys.readouterr().err.endswith(
        "raxel: no camera can be recovered from frame 3: its rays are all the same\n"
    )
    assert read_video(out if command == "joint" else out / "generated.mp4").video.shape == (3, FRAMES, *HW)


def test_a_camera_path_too_large_to_be_one_is_not_read(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "path.json"
    path.write_text(path_to_json(make_move("pan", 5)))
    assert len(options.read_trajectory(path)) == 5
    monkeypatch.setattr(options, "LARGEST_PATH_BYTES", 1000)
    with pytest.raises(ValueError, match=r"path\.json is not a camera path: it is larger than"):
        options.read_trajectory(path)


def test_the_parser_starts_without_the_heavy_packages() -> None:
    code = (
        "import sys; from raxel_core.cli import build_parser; build_parser();"
        "sys.exit(any(name in sys.modules for name in ('torch', 'av', 'cv2', 'diffusers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_command_explains_itself(capsys) -> None:
    help_text = build_parser().format_help()
    for command in ("demo", "pose", "generate", "joint", "loop", "evaluate", "train", "benchmark"):
        assert command in help_text
        with pytest.raises(SystemExit) as end:
            main([command, "--help"])
        assert end.value.code == 0


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("pose", ("for the model 4n + 1 where they are fewer than its clip (all)", "with colmap the video's)")),
        ("verify", ("for the model 4n + 1 where they are fewer than its clip (all)", "with colmap the video's)")),
        ("loop", ("frames to read, 4n + 1 (the model's)", "frames per second to read (the model's)")),
    ],
)
def test_help_says_which_frames_are_read_by_default(capsys, command: str, told: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert all(words in text for words in told)


def test_progress_is_a_bar_on_a_terminal_and_a_line_now_and_then_in_a_log(monkeypatch, capsys) -> None:
    from raxel_core.cli import console
    from raxel_core.cli.console import progress_bar

    clock = iter([100.0, 101.0, 115.0, 116.0, 117.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    draw = progress_bar("work")
    for done in (1, 2, 3, 4):
        draw(done, 4)
    assert capsys.readouterr().err == "raxel: work 2/4, 15 s\n"
    monkeypatch.undo()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    draw = progress_bar("work")
    draw(1, 2)
    draw(2, 2)
    shown = capsys.readouterr().err
    assert "work [###############...............] 1/2" in shown
    assert shown.endswith("s\n")


def _options(parser, command=()):
    """Every option of every command: the command's words and the option's names."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from _options(inner, (*command, name))
        elif action.option_strings:
            yield command, action.option_strings


def test_torchrun_passes_every_option_on_by_one_of_its_names():
    """Some Pythons (3.11) stop at --start, which may mean two options of torchrun's own; --start-from is none of them."""

    def passes(command, name):
        try:
            given = parse_args(["--nproc-per-node", "2", "-m", "raxel_core", *command, name, "7"])
        except SystemExit:
            return False
        return given.training_script_args == [*command, name, "7"]

    options = list(_options(build_parser()))
    assert len(options) > 100
    assert [names for command, names in options if not any(passes(command, name) for name in names)] == []

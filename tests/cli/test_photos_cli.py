"""`photos`, `evaluate --method ray_regression`, `train --method ray_diffusion` and `convert --to ray_diffusion`."""

from __future__ import annotations

import json
from math import cos, radians, sin, tan

import pytest
import torch

from raxel_core.camera_io import read_cameras, read_estimate
from raxel_core.cli import main
from raxel_core.ray_diffusion.checkpoint import load_ray_diffusion
from raxel_core.video_io import write_image
from tests.ray_diffusion.constant_network import CONFIG, save_constant_network
from tests.ray_diffusion.test_photographs import release


@pytest.fixture
def folder(tmp_path):
    save_constant_network(tmp_path / "net.safetensors")
    for i in range(3):
        image = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(i)) * 2 - 1
        write_image(tmp_path / f"{i}.png", image)
    return tmp_path


def photos(folder, *options):
    files = [str(folder / f"{i}.png") for i in range(3)]
    return main(["photos", *files, "--weights", str(folder / "net.safetensors"), *options])


def test_photographs_become_a_camera_file_and_a_verdict(folder, capsys):
    out = folder / "cams.json"
    options = ("--steps", "3", "--samples", "2", "--out", str(out), "--plot", str(folder / "a.png"), "--json")
    boxes = ("--box", "10,4,50,44") * 1
    assert photos(folder, *options, *boxes * 3) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["photographs"] == 3 and report["samples"] == 2 and "by net" in report["verdict"]
    assert report["rays_that_fit"] == [1.0] * 3 and report["estimator"] == "ray_diffusion"
    # White noise has nothing in common: said, and the file holds the error bars.
    assert "features" in report["notes"][0] and read_estimate(out).verdict == report["verdict"]
    path = read_cameras(out).trajectory
    assert len(path) == 3 and (folder / "a.png").stat().st_size > 1000
    # The crop is 46 px wide and seen at 0.9 radians.
    assert float(path.camera.K[0, 0, 0]) == pytest.approx(23 / tan(0.45), rel=1e-3)
    torch.testing.assert_close(path.camera.rotation.float(), torch.eye(3).expand(3, 3, 3), rtol=0, atol=1e-4)


def test_a_known_lens_and_the_published_arithmetic(folder, capsys):
    out = str(folder / "cams.json")
    assert photos(folder, "--regression", "--published", "--fov-degrees", "60", "--out", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["fov_degrees"][0] == pytest.approx(60.0, abs=1e-3)
    assert float(read_cameras(out).trajectory.camera.K[0, 0, 0]) == pytest.approx(32 / tan(radians(30)), rel=1e-4)


def test_bad_input_is_one_sentence_and_exit_code_2(folder, capsys):
    assert photos(folder, "--regression", "--steps", "3") == 2
    assert "--steps is of the diffusion" in capsys.readouterr().err
    write_image(folder / "2.png", torch.zeros(3, 32, 64))
    assert photos(folder) == 2
    assert "different sizes (64x32, 64x48)" in capsys.readouterr().err
    write_image(folder / "2.png", torch.zeros(3, 48, 64))
    for wrong, told in (
        (("--box", "1,2,3"), "3 photographs and 1 boxes"),
        (("--box", "a,b,c,d"), "four numbers"),
        (("--mask", str(folder / "2.png")), "3 photographs and 1 masks"),
        (("--samples", "0"), "at least 1"),
        (("--fov-degrees", "200"), "between 0 and 180 degrees, got 200"),
        (("--plot", str(folder / "a.jpg")), "has to end in .png"),
        (("--out", str(folder / "a.xyz")), ""),
    ):
        assert photos(folder, *wrong) == 2, wrong
        said = capsys.readouterr().err
        assert told in said and said.count("raxel: ") == 1
    assert main(["photos", str(folder / "0.png"), "--weights", str(folder / "net.safetensors")]) == 2
    assert "two or more, got 1" in capsys.readouterr().err
    assert main(["photos", str(folder / "0.png"), str(folder / "1.png"), "--weights", str(folder / "0.png")]) == 2
    assert "convert --to ray_diffusion" in capsys.readouterr().err


def test_a_released_checkpoint_is_converted(tmp_path, capsys):
    path, network, config = release(tmp_path)
    target = tmp_path / "out.safetensors"
    assert main(["convert", str(path), str(target), "--to", "ray_diffusion"]) == 2
    assert "whether it is the diffusion or the regression" in capsys.readouterr().err
    told = ("--trained-for", "diffusion", "--dtype", "float16", "--json")
    assert main(["convert", str(path), str(target), "--to", "ray_diffusion", *told]) == 0
    assert json.loads(capsys.readouterr().out)["trained_for"] == "diffusion"
    assert load_ray_diffusion(target).network.config == config
    assert main(["convert", str(path), str(target), "--to", "wan", "--trained-for", "diffusion"]) == 2


@pytest.mark.slow
def test_training_by_the_common_loop_resumes_and_leaves_a_file_for_use(tmp_path, capsys):
    model = {"hidden": 16, "depth": 1, "heads": 2, "grid": 8, "patch": 4, "image_px": 32, "features": "convolution", "feature_channels": 16}  # fmt: skip
    config = {"name": "t", "steps": 4, "frames": 9, "batch": 8, "clips": 8, "shard_clips": 8, "views": [2, 3], "model": model,
              "validation_clips": 8, "validate_every": 4, "save_every": 2, "log_every": 2, "precision": "no", "ema": 0.5}  # fmt: skip
    path = tmp_path / "c.json"
    path.write_text(json.dumps(config))
    states = []
    for folder, stops in (("once", ("4",)), ("twice", ("2", "4"))):
        for stop in stops:
            run = ["train", str(path), str(tmp_path / folder), "--method", "ray_diffusion", "--until", stop, "--json"]
            assert main(run) == 0
        loaded = load_ray_diffusion(tmp_path / folder / "ray_diffusion.safetensors")
        assert loaded.trained_for == "diffusion"
        states.append(loaded.network.state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any("regression_2" in line.get("validation", {}) for line in lines)
    assert main(["train", str(path), str(tmp_path / "r"), "--method", "ray_regression", "--until", "1"]) == 0
    assert load_ray_diffusion(tmp_path / "r" / "ray_diffusion.safetensors").trained_for == "regression"
    assert main(["train", str(path), str(tmp_path / "x"), "--method", "ray_diffusion", "--start", str(path)]) == 2


def test_evaluation_prints_a_table_beside_baselines(folder, capsys):
    assert CONFIG.image_px == 32
    out = folder / "table.json"
    options = ("--method", "ray_diffusion", "--samples", "2", "--ray-steps", "2", "--scenes", "2", "--out", str(out))
    assert main(["evaluate", *options, "--weights", str(folder / "net.safetensors")]) == 0
    table = json.loads(out.read_text())["table"]
    assert set(table) == {"identity", "another scene", "ray_regression", "ray_diffusion", "best of 2 by ray_diffusion"}
    # This network answers that nothing moved: its rotations are those of the identity.
    assert table["ray_regression"]["4"]["rotation_15"] == table["identity"]["4"]["rotation_15"]
    assert table["another scene"]["2"]["center_0.2"] == 1.0 and "rotation_15" in capsys.readouterr().out


def test_evaluation_takes_photographs_of_a_folder(folder, capsys):
    # Two places as nerfstudio keeps them, cameras that turn by 10 degrees a picture; the second has two pictures only.
    for place, count in (("a", 3), ("b", 2)):
        (folder / place / "images").mkdir(parents=True)
        frames = []
        for i in range(count):
            image = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(i)) * 2 - 1
            write_image(folder / place / "images" / f"{i}.png", image)
            sine, cosine = sin(radians(10 * i)), cos(radians(10 * i))
            pose = [[cosine, 0, sine, 3 * sine], [0, 1, 0, 0], [-sine, 0, cosine, 3 * cosine], [0, 0, 0, 1]]
            frames.append({"file_path": f"images/{i}.png", "transform_matrix": pose})
        lens = {"w": 60, "h": 40, "fl_x": 60, "fl_y": 60, "cx": 30, "cy": 20}
        (folder / place / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))
    options = ["evaluate", "--method", "ray_regression", "--weights", str(folder / "net.safetensors")]
    assert main([*options, "--published", "--data", str(folder), "--out", str(folder / "table.json")]) == 0
    body = json.loads((folder / "table.json").read_text())
    assert body["published"] and body["scenes"] == 2 and set(body["table"]["identity"]) == {"2", "3"}
    assert body["table"]["identity"]["3"]["rotation_15"] == pytest.approx(2 / 3)  # 10, 10 and 20 degrees
    assert "another scene" in capsys.readouterr().out
    (folder / "b" / "images" / "1.png").write_bytes(b"no picture")
    assert main([*options, "--data", str(folder)]) == 2
    assert "b: 1.png is not a complete PNG or JPEG file" in capsys.readouterr().err

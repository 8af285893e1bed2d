"""From two small data sets in RealEstate10K's and DL3DV's own layout to a table: the chain of training/README.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from raxel_core.camera_io import read_cameras, write_cameras
from raxel_core.cli import main
from raxel_core.latents.wan_vae import WAN_STATISTICS
from raxel_core.model.config import RaxelConfig
from raxel_core.recipe import METADATA_KEY, Recipe
from raxel_core.training.config import FilmedSettings, TrainConfig
from raxel_core.weights.checkpoint import load_checkpoint
from tests.data_sets import RATE, write_dl3dv, write_realestate10k

MODEL = RaxelConfig(dim=48, ffn_dim=96, layers=2, heads=2, in_channels=4, patch=(1, 2, 2), text_dim=None, freq_dim=32)
CONFIG = TrainConfig(
    name="chain", steps=2, frames=5, fps=RATE, model=MODEL, hw=(32, 48), clips=8, shard_clips=4, batch=2, batches=2,
    log_every=1,
    precision="no", validate_every=100, validation_clips=4, save_every=1, scenes=(("re10k", 0.5), ("dl3dv", 0.5)),
    validation_scenes="re10k", data=(("re10k", FilmedSettings()), ("dl3dv", FilmedSettings(stride=2))), sparse_images=3,
    off_path_share=0.3, random_reference=True, bundle_weight=0.0,
)  # fmt: skip


@pytest.fixture
def wan_vae(tmp_path):
    """A small Wan VAE of random weights in diffusers' folder layout."""
    import diffusers

    torch.manual_seed(0)
    autoencoder = diffusers.AutoencoderKLWan(base_dim=8, z_dim=4, latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    autoencoder.save_pretrained(tmp_path / "vae")
    return tmp_path / "vae"


def train(processes, *arguments):
    """`train` in this process, or sharded over several by torchrun."""
    if processes == 1:
        assert main(["train", *arguments]) == 0
        return
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*torchrun, "-m", "raxel_core", "train", *arguments, "--shard"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.by_hand)])
def test_the_documented_chain_runs_to_its_table(wan_vae, tmp_path, capsys, processes):
    data = {"re10k": tmp_path / "re10k", "dl3dv": tmp_path / "dl3dv"}
    write_realestate10k(data["re10k"], "0001", 5, frames=10, hw=(96, 160))
    write_dl3dv(data["dl3dv"], "f00d", 6, frames=12, hw=(96, 160))
    write_realestate10k(data["re10k"], "short", 7, frames=1, hw=(96, 160))
    for folder in data.values():
        assert main(["dataset", "check", str(folder), "--list", str(folder / "train.txt")]) == 0
        assert main(["dataset", "depth", str(folder / "train.txt")]) == 0
    assert "train/short.txt: it has one frame" in capsys.readouterr().out
    config, cache = tmp_path / "run.json", tmp_path / "cache"
    config.write_text(CONFIG.to_json())
    given = [text for name, folder in data.items() for text in ("--data", f"{name}={folder / 'train.txt'}")]
    given += ["--vae", str(wan_vae)]
    assert main(["dataset", "encode", str(config), str(cache), *given]) == 0
    assert len(list(cache.iterdir())) == 3
    train(processes, str(config), str(tmp_path / "run"), "--cache", str(cache), *given)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 2] and all(0 < line["loss"] < 1e4 for line in lines[:2])
    weights = tmp_path / "run" / "raxel.safetensors"
    with safe_open(weights, framework="pt") as file:
        recipe = Recipe.from_json(file.metadata()[METADATA_KEY])
    assert recipe.unit == "near_depth" and recipe.vae == "vae"
    assert recipe.ray_statistics != recipe.video_statistics
    for protocol in ("pose", "cycle", "camera-control"):
        out = tmp_path / f"{protocol}.json"
        command = [
            "evaluate",
            "--data",
            str(data["re10k"] / "train.txt"),
            "--protocol",
            protocol,
            "--model",
            str(weights),
        ]
        assert main([*command, "--vae", str(wan_vae), "--ray-steps", "1", "2", "--steps", "1", "--out", str(out)]) == 0
        assert json.loads(out.read_text())["clips"] == 1 and out.with_suffix(".md").is_file()


@pytest.mark.slow
def test_a_converted_wan_is_trained_on_dl3dv_and_then_reads_and_makes_clips(tmp_path, capsys):
    """`convert` of a random Wan 2.1 T2V, `train --data`, then `pose` and `generate`: its video statistics stay Wan's, the
    rays have their own, and lengths are in the unit that the run was asked for."""
    import diffusers

    torch.manual_seed(0)
    wan = tmp_path / "wan"
    sizes = {"text_dim": 32, "freq_dim": 32, "ffn_dim": 128, "num_layers": 2}
    network = diffusers.WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=128, in_channels=16, out_channels=16, **sizes
    )
    network.save_pretrained(wan / "transformer")
    diffusers.AutoencoderKLWan(base_dim=8, z_dim=16).save_pretrained(wan / "vae")
    start, data = tmp_path / "start.safetensors", tmp_path / "dl3dv"
    assert main(["convert", str(wan / "transformer"), str(start)]) == 0
    for name, seed in (("f00d", 6), ("cafe", 7)):
        write_dl3dv(data, name, seed, frames=12, hw=(96, 160))
    (data / "scales.json").write_text(json.dumps({"1K/f00d": 2.0, "1K/cafe": 0.5}))
    assert main(["dataset", "check", str(data), "--list", str(data / "train.txt")]) == 0
    assert main(["dataset", "depth", str(data / "train.txt"), "--scales", str(data / "scales.json")]) == 0
    config = replace(
        CONFIG, model=load_checkpoint(start).config, steps=1, hw=(64, 96), clips=4, shard_clips=4, batches=1,
        validation_clips=2, unit="metre", scenes=(("dl3dv", 1.0),), validation_scenes="dl3dv",
        data=(("dl3dv", FilmedSettings(stride=2)),), sparse_images=0, off_path_share=0.0, random_reference=False,
    )  # fmt: skip
    (tmp_path / "run.json").write_text(config.to_json())
    vae = ["--vae", str(wan / "vae")]
    given = ["--data", f"dl3dv={data / 'train.txt'}", "--start", str(start), *vae]
    assert main(["train", str(tmp_path / "run.json"), str(tmp_path / "run"), *given]) == 0
    model = ["--model", str(tmp_path / "run" / "raxel.safetensors"), *vae]
    recipe = Recipe.from_json(load_checkpoint(tmp_path / "run" / "raxel.safetensors").metadata[METADATA_KEY])
    assert (recipe.unit, recipe.frames, recipe.hw, recipe.fps) == ("metre", 5, (64, 96), RATE)
    assert recipe.video_statistics == WAN_STATISTICS and 0 < max(recipe.ray_statistics.std) < 1
    pictures = data / "1K" / "f00d" / "images_4"
    capsys.readouterr()
    read = main(
        ["pose", str(pictures), "--fps", str(RATE), "--frames", "5", "--out", str(tmp_path / "path.json"), *model]
    )
    said = capsys.readouterr().err
    assert read == 0 or "no camera can be recovered" in said, said  # after one step the rays may be no camera's
    made = ["generate", str(pictures / "frame_00001.png"), "--move", "orbit", "--frames", "5", "--steps", "1"]
    assert main([*made, "--out", str(tmp_path / "made.mp4"), *model]) == 0
    views = read_cameras(data / "1K" / "f00d" / "transforms.json").trajectory
    write_cameras(views[5:6], tmp_path / "view.json")
    write_cameras(views[:5], tmp_path / "path.json")
    beside = ["generate", str(pictures / "frame_00006.png"), "--source-cameras", str(tmp_path / "view.json")]
    beside += ["--trajectory", str(tmp_path / "path.json"), "--steps", "1", "--out", str(tmp_path / "beside.mp4")]
    assert main([*beside, *model]) == 0
    assert (tmp_path / "beside.mp4").read_bytes() != (tmp_path / "made.mp4").read_bytes()
    assert main([*beside[:2], *beside[4:], "--at", "-4", *model]) == 2
    assert "needs a camera" in capsys.readouterr().err

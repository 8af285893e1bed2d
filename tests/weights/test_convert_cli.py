"""`convert`, run in this process on real files; bad input ends with code 2 and one sentence."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.cli import convert, main
from raxel_core.latents.patch_vae import PatchVAE
from raxel_core.latents.wan_vae import WAN_STATISTICS
from raxel_core.raxel_model import load_model
from raxel_core.weights import read_header
from tests.wan_files import CONFIG, random_wan, save_comfyui, save_shards


@pytest.fixture(scope="module")
def official():
    return random_wan()


@pytest.fixture
def source(official, tmp_path):
    return save_shards(tmp_path / "wan", official)


def refusal(capsys, *arguments):
    """The one sentence that a refused conversion says."""
    assert main(["convert", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("raxel: ") and err.count("\n") == 1
    return err


def test_a_converted_file_is_a_model_of_wans_latents(source, tmp_path, capsys):
    target = tmp_path / "raxel.safetensors"
    assert main(["convert", str(source), str(target), "--unit", "metre", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body == {
        "file": str(target),
        "layout": "Wan's names",
        "layers": 2,
        "dim": 256,
        "dtype": "float32",
        "tensors": len(read_header(target).tensors),
    }
    model = load_model(target, vae=PatchVAE(16))
    recipe = model.recipe
    assert model.transformer.config == CONFIG
    assert (recipe.vae, recipe.frames, recipe.hw, recipe.fps, recipe.unit) == (
        "wan2.1-vae",
        81,
        (480, 832),
        16.0,
        "metre",
    )
    assert recipe.video_statistics == recipe.ray_statistics == WAN_STATISTICS


def test_the_statistics_are_those_that_diffusers_publishes():
    from diffusers import AutoencoderKLWan

    with torch.device("meta"):
        config = AutoencoderKLWan().config
    assert list(WAN_STATISTICS.mean) == config.latents_mean and list(WAN_STATISTICS.std) == config.latents_std


def test_dtype_and_shards_there_and_back(official, source, tmp_path, capsys):
    arguments = ["--dtype", "bfloat16", "--shard-size", "1.5MB"]
    assert main(["convert", str(source), str(tmp_path / "raxel.safetensors"), *arguments]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"2 layers of 256 \(Wan's names\), \d+ tensors in bfloat16\n", out)
    assert err == f"raxel: wrote {tmp_path / 'raxel.safetensors.index.json'}\n"
    shards = sorted(tmp_path.glob("raxel-*.safetensors"))
    assert len(shards) > 3 and all(shard.stat().st_size < 1_520_000 for shard in shards)
    index, back = tmp_path / "raxel.safetensors.index.json", tmp_path / "back.safetensors"
    assert main(["convert", str(index), str(back), "--to", "wan"]) == 0
    written = load_file(back)
    assert written.keys() == official.keys()
    assert all(torch.equal(written[key], value.bfloat16()) for key, value in official.items())


def test_a_bar_follows_the_tensors(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["convert", str(source), str(tmp_path / "raxel.safetensors")]) == 0
    count = len(read_header(tmp_path / "raxel.safetensors").tensors)
    assert f"tensors [{'#' * 30}] {count}/{count}" in capsys.readouterr().err


def test_bad_input_is_one_sentence(official, source, tmp_path, capsys):
    target = tmp_path / "raxel.safetensors"
    lora = tmp_path / "lora.safetensors"
    save_file({"diffusion_model.blocks.0.self_attn.q.lora_A.weight": torch.zeros(1)}, lora)
    assert "lora.safetensors is not Wan 2.1 T2V: it looks like a LoRA" in refusal(capsys, lora, target)
    assert "there is no checkpoint" in refusal(capsys, tmp_path / "none.safetensors", target)
    assert "--shard-size is a size such as 5GB" in refusal(capsys, source, target, "--shard-size", "many")
    assert "--unit belongs to a raxel checkpoint" in refusal(capsys, source, target, "--to", "wan", "--unit", "metre")
    assert "must end in .safetensors" in refusal(capsys, source, tmp_path / "raxel.bin")
    weights = official | {"head.head.bias": torch.full_like(official["head.head.bias"], float("nan"))}
    broken = save_comfyui(tmp_path / "broken.safetensors", weights)
    assert "broken.safetensors: model.diffusion_model.head.head.bias holds NaN" in refusal(capsys, broken, target)
    assert not list(tmp_path.glob("raxel*")) and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("text", "size"), [("5GB", 5 * 10**9), ("500 MB", 5 * 10**8), ("1.5k", 1500), ("7", 7)])
def test_sizes_are_decimal(text, size):
    assert convert.parse_size(text, "--shard-size") == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "5TB", "1e9", "\u0665GB"])
def test_other_sizes_are_refused(text):
    with pytest.raises(ValueError, match="--shard-size is a size"):
        convert.parse_size(text, "--shard-size")

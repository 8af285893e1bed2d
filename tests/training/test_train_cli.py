"""The command `train`: what it refuses, in a sentence, before it trains."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from raxel_core.cli import main
from raxel_core.ray_diffusion.config import RayDiffusionConfig
from raxel_core.ray_diffusion.objective import RayDiffusionObjective, RayDiffusionTrainConfig
from raxel_core.training.config import TrainConfig
from raxel_core.training.objective import batch_generator
from raxel_core.training.run_state import STATE_FILE
from raxel_core.training.vae import raxel_and_video_clips

BASE = {
    "name": "t", "steps": 4, "frames": 5, "hw": [32, 32], "clips": 4, "shard_clips": 4, "batch": 4, "scenes": {"easy": 1},
    "validation_scenes": "easy", "validation_clips": 2, "log_every": 1, "validate_every": 100, "save_every": 2,
    "precision": "no", "model": {"dim": 48, "layers": 2, "heads": 2, "ffn_dim": 96, "in_channels": 64, "patch": [1, 1, 1],
                                 "text_dim": None},
}  # fmt: skip


@pytest.fixture
def train(tmp_path, capsys):
    """Runs the command on a configuration changed so, in the folder `run`: what it says, refused or not."""

    def run(*arguments, refused=True, **change):
        (tmp_path / "run.json").write_text(json.dumps(BASE | change))
        words = ["train", str(tmp_path / "run.json"), str(tmp_path / "run"), *map(str, arguments)]
        status = main(
            words if {"--estimate", "ray_diffusion"} & set(words) else [*words, "--cache", str(tmp_path / "clips")]
        )
        told = capsys.readouterr().err
        assert status == (2 if refused else 0), told
        assert "Traceback" not in told
        return told

    return run


def test_weights_without_a_state_are_no_run(train, tmp_path):
    train("--until", 1, refused=False)
    (tmp_path / "run" / STATE_FILE).unlink()
    assert "holds raxel.safetensors but no state to go on from: name another folder" in train()


def test_any_seed_of_the_configuration_trains_and_a_small_one_as_before(train):
    train("--until", 1, refused=False, seed=2**62)
    expected = torch.Generator().manual_seed(7 * 1_000_000_007 + 3)
    assert batch_generator(7, 3).initial_seed() == expected.initial_seed()


def test_one_seed_given_twice_is_no_second_run(tmp_path, capsys):
    assert main(["ablations", str(tmp_path), "--seeds", "0", "0"]) == 2
    assert "a seed given twice is one run" in capsys.readouterr().err


def test_the_benchmark_tells_that_it_renders_its_clips(tmp_path, capsys):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(BASE | {"scenes": {"films": 1}, "validation_scenes": "films", "data": {"films": {}}}))
    assert main(["benchmark", "training", "--config", str(path), "--repeats", "1"]) == 2
    assert "names filmed ones: films" in capsys.readouterr().err


def test_a_validation_of_fewer_photographs_than_a_scene_has_is_refused_at_the_start(tmp_path):
    config = RayDiffusionTrainConfig(name="t", steps=1, frames=1, validation_clips=3, views=(2, 4))
    with pytest.raises(ValueError, match="validation_clips are photographs, and a scene of the run has up to 4: got 3"):
        RayDiffusionObjective(config)


def test_a_run_is_not_said_to_write_what_it_did_not(train):
    for stop in (0, -3):
        assert f"stops after step 1 or later, got --until {stop}" in train("--until", stop)
    assert "wrote" in train("--until", 2, refused=False)
    told = train("--until", 1, refused=False)
    assert "wrote" not in told and "had done its 2 steps" in told


def test_the_average_of_the_weights_is_left_and_taken_up(train, tmp_path):
    """Where none was kept it begins as the weights are: with a decay of 0.25, three quarters of what the step changed."""
    weights = lambda name: load_file(tmp_path / "run" / STATE_FILE)[f"{name}.blocks.0.ffn.0.weight"]  # noqa: E731
    train("--until", 1, refused=False, ema=0.25)
    train("--until", 2, refused=False, ema=0)
    before = weights("model")
    assert not any(name.startswith("average.") for name in load_file(tmp_path / "run" / STATE_FILE))
    train("--until", 3, refused=False, ema=0.25)
    expected = before.lerp(weights("model"), 0.75)
    assert torch.allclose(weights("average"), expected, atol=1e-6) and not torch.equal(before, expected)


def test_an_estimate_is_of_a_run_that_starts(train):
    for arguments, change, told in (
        (["--estimate", 2], {}, "2 processes cannot share the 1 batches of a step alike"),
        (["--estimate", 0], {}, "1 process or more, got --estimate 0"),
        (["--estimate", 1], {"lora_rank": 4}, "lora_rank trains adapters"),
        (["--estimate", 1], {"hw": [36, 32]}, "height is a multiple of 8 here"),
        (["--estimate", 1, "--shard"], {}, "sharded over processes, and there is one"),
        (["--estimate", 2, "--shard"], {"batches": 2, "precision": "fp16"}, "not in fp16"),
    ):
        assert told in train(*arguments, **change)
    assert "memory of each" in train("--estimate", 2, "--shard", refused=False, batches=2)


@pytest.mark.parametrize(
    ("arguments", "change", "told"),
    [
        (["--data", "extra=."], {"scenes": {"films": 1}, "data": {"films": {}}}, "where films is"),
        (["--data", "films=.", "--data", "extra=."], {"scenes": {"films": 1}, "data": {"films": {}}},
         "are films: it names no extra, which --data gives"),
        ([], {"scenes": {"films": 1}}, "and what data of its configuration names"),
        ([], {"frames": 1}, "trained on clips of 5 frames or more, got frames 1"),
        ([], {"frames": 5, "sparse_images": 5}, "sparse_images 5 are more than a clip of 5 frames has"),
        ([], {"ema": 1}, "a number from 0 to 0.999999, got 1"),
    ],
)  # fmt: skip
def test_a_sentence_names_what_is_wrong(train, arguments, change, told):
    assert told in train(*arguments, **change)


def test_whole_numbers_may_be_written_as_json_has_them():
    config = TrainConfig.from_json(json.dumps(BASE | {"hw": [32.0, 32.0], "steps": 4.0}))
    assert config == TrainConfig.from_json(json.dumps(BASE)) and type(config.hw[0]) is int
    with pytest.raises(ValueError, match="hw of the training configuration is a whole number, got 32.5"):
        TrainConfig.from_json(json.dumps(BASE | {"hw": [32.5, 32]}))
    assert type(RayDiffusionConfig.from_values({"hidden": 1152.0}).hidden) is int
    with pytest.raises(ValueError, match="betas rise inside 0 to 1"):
        RayDiffusionConfig.from_values({"beta_end": 1})


def test_photographs_have_no_shards():
    values = {"name": "t", "steps": 1, "frames": 1, "batch": 24}
    assert RayDiffusionTrainConfig.from_json(json.dumps(values)).batch == 24


def test_a_set_may_have_several_turns_of_the_vae():
    config = TrainConfig(name="v", steps=1, frames=5, hw=(16, 16))
    assert len(list(raxel_and_video_clips(config, range(24), sets=("easy", "easy", "room")))) == 3


@pytest.mark.parametrize(
    ("arguments", "change", "told"),
    [
        (["--annotations", "x"], {}, "--annotations is not an argument of --method raxel"),
        (["--annotations", "x", "--method", "ray_diffusion"], {}, "add --co3d"),
        (["--texts", "x"], {}, "no text_drop"),
        ([], {"rate_factors": {"ray_*": 2, "rays_*": 5}}, "rate_factors rays_* fits the name of no parameter"),
    ],
)  # fmt: skip
def test_what_nothing_would_read_is_refused(train, arguments, change, told):
    assert told in train(*arguments, **change)

"""The trainer: it learns, it resumes bit for bit, and its camera errors are those of the cameras."""

from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.rays import Rays
from raxel_core.model.config import RaxelConfig
from raxel_core.model.transformer import RaxelTransformer
from raxel_core.training.config import TASKS, TrainConfig
from raxel_core.training.data import ClipPool
from raxel_core.training.loss import camera_errors, draw_sigmas, make_example
from raxel_core.training.raxel_objective import WEIGHTS_FILE, RaxelObjective, learning_rate
from raxel_core.training.run_state import STATE_FILE
from raxel_core.training.train import LOG_FILE, Trainer
from raxel_core.training.vae import fit_patch_code, raxel_and_video_clips
from raxel_core.weights.checkpoint import load_checkpoint

SMALL = RaxelConfig(dim=48, ffn_dim=96, layers=2, heads=2, in_channels=32, patch=(1, 1, 1), text_dim=None, freq_dim=32)
CONFIG = TrainConfig(
    name="test", steps=4, frames=5, model=SMALL, hw=(32, 32), clips=8, shard_clips=8, batch=4, precision="no",
    log_every=1, validate_every=100, validation_clips=4, save_every=100, scenes=(("room", 1.0),),
)  # fmt: skip


@pytest.fixture(scope="module")
def vae():
    return fit_patch_code(raxel_and_video_clips(CONFIG, range(32)), channels=32)


def log_of(folder):
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


def run(folder, config, vae, until=None):
    trainer = Trainer(RaxelObjective(config, vae, cache=folder.parent / "cache"), folder)
    trainer.train(until=until)
    return trainer


@pytest.mark.parametrize("optimizer", ["muon", "adamw_8bit"])
def test_four_steps_are_two_steps_resumed_for_two_more_bit_for_bit(tmp_path, vae, optimizer):
    if optimizer == "adamw_8bit":
        pytest.importorskip("bitsandbytes", reason="the package bitsandbytes is not installed")
    config = replace(CONFIG, optimizer=optimizer)
    run(tmp_path / "whole", config, vae)
    run(tmp_path / "parts", config, vae, until=2)
    run(tmp_path / "parts", config, vae)
    whole, parts = (load_file(tmp_path / name / STATE_FILE) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and len(whole) > 100
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    kept = {name.split(".")[1] for name in whole if name.startswith("optimizer.")}
    assert kept == ({"0", "1"} if optimizer == "muon" else {"0"})


def moments_of(folder):
    """A state's moments of each parameter: by optimiser, parameter and moment."""
    state = load_file(folder / STATE_FILE)
    return {name: value for name, value in state.items() if name.startswith("optimizer.")}


def in_numbers(folder, factor):
    """Rewrites a state as those of before were: parameters in place of names by their number, in the order of their
    rates' `factor`."""
    with safe_open(folder / STATE_FILE, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(folder / STATE_FILE)
    names = [name.removeprefix("model.") for name in RaxelTransformer(SMALL).state_dict()]
    for number in ("0", "1"):
        of_it = {
            name.split(".", 2)[2].rpartition(".")[0] for name in tensors if name.startswith(f"optimizer.{number}.")
        }
        order = sorted((name for name in names if name in of_it), key=factor)
        for key, name in enumerate(order):
            for moment in ("momentum_buffer", "exp_avg", "exp_avg_sq", "step"):
                if (held := tensors.pop(f"optimizer.{number}.{name}.{moment}", None)) is not None:
                    tensors[f"optimizer.{number}.{key}.{moment}"] = held
    save_file(tensors, folder / STATE_FILE, metadata)


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("later", [(("blocks.1.*", 2.0),), (), (("ray_*", 2.0),)])
def test_moments_stay_with_their_parameters_when_rates_change(tmp_path, vae, later, numbered):
    """The third step's gradients do not depend on its rates, and so neither do its moments; states of before too."""
    config = replace(CONFIG, rate_factors=(("blocks.0.*", 2.0), ("*head*", 0.5)), steps=3)
    run(tmp_path / "same", config, vae, until=2)
    shutil.copytree(tmp_path / "same", tmp_path / "other")
    if numbered:
        factor = lambda name: 2.0 if name.startswith("blocks.0.") else 0.5 if "head" in name else 1.0  # noqa: E731
        in_numbers(tmp_path / "other", factor)
    run(tmp_path / "same", config, vae)
    run(tmp_path / "other", replace(config, rate_factors=later), vae)
    same, other = moments_of(tmp_path / "same"), moments_of(tmp_path / "other")
    assert same.keys() == other.keys() and len(same) > 100
    assert all(torch.equal(same[name], other[name]) for name in same)  # the same gradients came to the same moments


def test_a_validation_that_a_kill_prevented_is_made_up(tmp_path, vae, monkeypatch):
    def killed(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_validation", killed)
        run(tmp_path / "run", CONFIG, vae)
    assert not any("validation" in line for line in log_of(tmp_path / "run"))
    for _ in range(2):  # and once only
        assert run(tmp_path / "run", CONFIG, vae).step == 4
        assert [line["step"] for line in log_of(tmp_path / "run") if "validation" in line] == [4]


def test_the_checkpoint_of_a_run_loads_and_holds_the_average(tmp_path, vae):
    trainer = run(tmp_path / "run", CONFIG, vae)
    loaded = load_checkpoint(tmp_path / "run" / WEIGHTS_FILE)
    assert loaded.config == SMALL
    for name, weight in loaded.model.state_dict().items():
        assert torch.equal(weight, trainer.average[name].to(torch.bfloat16))
    again = RaxelObjective(CONFIG, vae, cache=tmp_path / "cache", start=tmp_path / "run" / WEIGHTS_FILE)
    assert again.recipe.ray_statistics == trainer.objective.recipe.ray_statistics


def test_the_log_has_one_json_line_per_report(tmp_path, vae):
    run(tmp_path / "run", CONFIG, vae)
    lines = log_of(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 4]
    assert all(0 < line["loss"] < 1e4 for line in lines[:4])
    assert {"rotation", "identity", "gain_se", "corr_yaw+tx", "corr_yaw-tx"} <= lines[-1]["validation"].keys()


def test_validation_hands_the_averaged_network_to_be_drawn(tmp_path, vae):
    drawn = []

    def draw(network, recipe, path):
        drawn.append(({k: v.clone() for k, v in network.state_dict().items()}, recipe, path.name))

    objective = RaxelObjective(CONFIG, vae, cache=tmp_path / "cache", draw_samples=draw)
    trainer = Trainer(objective, tmp_path / "run")
    trainer.train()
    ((weights, recipe, name),) = drawn
    assert name == "samples-0000004.png" and recipe == objective.recipe
    assert all(torch.equal(weights[key], value) for key, value in trainer.average.items())


def test_gradient_checkpointing_changes_nothing_but_memory(tmp_path, vae):
    plain = run(tmp_path / "plain", CONFIG, vae)
    saving = run(tmp_path / "saving", replace(CONFIG, gradient_checkpointing=True), vae)
    assert all(torch.allclose(saving.average[name], value, atol=1e-6) for name, value in plain.average.items())


@pytest.mark.slow
def test_the_network_learns_four_clips_by_heart(tmp_path, vae):
    config = replace(
        CONFIG, steps=360, clips=4, shard_clips=4, batch=4, learning_rate=8e-3, warmup=10, task_shares=(1.0, 0.0, 0.0),
        pure_noise_share=1.0, bundle_weight=1.0, decay_from=0.5, model=replace(SMALL, dim=96, ffn_dim=192),
        log_every=20, cosine_weight=0.0,
    )  # fmt: skip
    run(tmp_path / "run", config, vae)
    lines = [line for line in log_of(tmp_path / "run") if "loss" in line]
    for part in ("loss", "rotation", "translation", "focal"):
        assert lines[-1][part] < 0.1 * lines[0][part], part


def test_each_task_noises_the_streams_it_generates():
    generator = torch.Generator().manual_seed(0)
    sigmas = {task: draw_sigmas(task, 4000, CONFIG, generator) for task in TASKS}
    assert sigmas["pose"][0].eq(0).all() and sigmas["camera"][1].eq(0).all()
    for stream in (sigmas["pose"][1], sigmas["camera"][0], *sigmas["joint"]):
        assert stream.gt(0).all() and stream.le(1).all()
    pure = sigmas["pose"][1].eq(1).float().mean()
    assert abs(pure - CONFIG.pure_noise_share) < 0.04
    correlation = torch.corrcoef(torch.stack(sigmas["joint"]))[0, 1]
    assert correlation.abs() < 0.06


def test_examples_are_relative_to_the_earliest_source(tmp_path, vae):
    pool = ClipPool(CONFIG, vae, tmp_path)
    recipe = RaxelObjective(CONFIG, vae, cache=tmp_path).recipe
    generator, seen = torch.Generator().manual_seed(1), set()
    for step in range(60):
        example = make_example(pool.batch(step), CONFIG, recipe, vae, generator)
        times = example.source_time
        first = times.amin(1) if times.shape[1] else torch.zeros(len(example.video))
        frame = torch.where(first == 0, 0.0, first * 4 - 1.5).long()
        at = example.camera.world_from_cam[torch.arange(len(frame)), frame]
        assert torch.allclose(at, torch.eye(4).expand_as(at), atol=1e-5)
        seen.add((times.shape[1], bool((first > 0).any())))
    assert {count for count, _ in seen} == {0, 1, 2, 3} and (1, True) in seen


def test_camera_errors_are_those_of_a_perturbed_camera():
    """Bundles of a camera turned by a small omega about its own centre, moved by a small shift and with a longer focal
    must be read back as that omega, shift and log focal to first order."""
    K = K_from_fov(torch.full((1, 2), 1.2), (64, 64))
    twist = torch.tensor([[0.2, -0.3, 0.1, 0.4, 0.1, -0.2], [0.0, 0.5, 0.0, 0.0, 0.3, 0.2]])
    true = Camera(se3.exp(twist)[None], K, (64, 64))
    omega, shift, log_focal = torch.tensor([2e-3, -1e-3, 3e-3]), torch.tensor([-1e-3, 2e-3, 1e-3]), 2e-3
    rotation = se3.so3_exp(omega) @ true.rotation
    moved = replace(true, world_from_cam=se3.from_rotation_translation(rotation, true.center + shift))
    found = camera_errors(_bundle(moved), true)
    assert torch.allclose(found[0], omega.expand(1, 2, 3), atol=2e-5)
    assert torch.allclose(found[1], shift.expand(1, 2, 3), atol=2e-5)
    zoomed = K.clone()
    zoomed[..., 0, 0] *= 1 + log_focal
    zoomed[..., 1, 1] *= 1 + log_focal
    assert torch.allclose(camera_errors(_bundle(replace(true, K=zoomed)), true)[2], torch.tensor(log_focal), rtol=0.02)


def _bundle(camera):
    rays = Rays.from_camera(camera.resized((32, 32)))
    return (rays.origin + rays.direction).movedim(-1, 1)


def test_the_learning_rate_warms_holds_and_falls():
    config = replace(CONFIG, steps=1000, warmup=100, decay_from=0.8, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in (0, 99, 500, 800, 900, 999)]
    assert rates == pytest.approx([0.01, 1.0, 1.0, 1.0, 0.5, 0.1], abs=0.01)


def test_configurations_survive_json_and_name_what_they_do_not_know():
    assert TrainConfig.from_json(CONFIG.to_json()) == CONFIG
    with pytest.raises(ValueError, match="training configuration has unknown stepz"):
        TrainConfig.from_json(json.dumps({"name": "x", "steps": 1, "frames": 5, "stepz": 2}))
    for text, message in (
        ("[]", "JSON object, got list"), ('{"name": "x"}', "lacks steps, frames"), ("{", "not JSON"),
        ('{"name": "x", "steps": "a", "frames": 5}', "steps of the training configuration is a whole number, got 'a'"),
        ("[" * 100_000, "not JSON"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            TrainConfig.from_json(text)
    with pytest.raises(ValueError, match="sum to 1"):
        replace(CONFIG, task_shares=(0.5, 0.5, 0.5))


def saved(folder, config, vae, **how):
    """A finished run's checkpoint as tensors."""
    run(folder, config, vae, **how)
    return load_file(folder / WEIGHTS_FILE)


def test_a_run_killed_between_state_and_weights_ends_with_the_right_weights(tmp_path, vae, monkeypatch):
    right = saved(tmp_path / "whole", CONFIG, vae)
    run(tmp_path / "killed", CONFIG, vae, until=2)
    stale = (tmp_path / "killed" / WEIGHTS_FILE).read_bytes()

    def killed(self, weights, folder, step):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RaxelObjective, "save", killed)
        run(tmp_path / "killed", CONFIG, vae)
    assert (tmp_path / "killed" / WEIGHTS_FILE).read_bytes() == stale
    healed = saved(tmp_path / "killed", CONFIG, vae)
    assert all(torch.equal(healed[name], value) for name, value in right.items())
    (tmp_path / "killed" / WEIGHTS_FILE).unlink()
    healed = saved(tmp_path / "killed", CONFIG, vae)
    assert all(torch.equal(healed[name], value) for name, value in right.items())


def test_state_and_weights_have_the_mode_of_the_user(tmp_path, vae):
    before = os.umask(0o027)
    try:
        run(tmp_path / "run", CONFIG, vae, until=1)
    finally:
        os.umask(before)
    for name in (STATE_FILE, WEIGHTS_FILE):
        assert stat.S_IMODE((tmp_path / "run" / name).stat().st_mode) == 0o640


def test_a_picture_that_can_not_be_drawn_costs_nothing_that_was_trained(tmp_path, vae):
    def draw(network, recipe, path):
        raise OSError(f"cannot write {path}: No space left on device")

    objective = RaxelObjective(CONFIG, vae, cache=tmp_path / "cache", draw_samples=draw)
    told = []
    Trainer(objective, tmp_path / "run").train(report=told.append)
    assert any("No space left on device" in str(line.get("samples")) for line in told)
    right = saved(tmp_path / "whole", CONFIG, vae)
    found = load_file(tmp_path / "run" / WEIGHTS_FILE)
    assert all(torch.equal(found[name], value) for name, value in right.items())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"video_shift": 3.0}, "video_shift was 2.0 and is 3.0"),
        ({"model": replace(SMALL, ffn_dim=120)}, "model.ffn_dim was 96 and is 120"),
        ({"hw": (64, 96)}, r"hw was \[32, 32\] and is \[64, 96\]"),
        ({"seed": 1, "clip_norm": 0.5}, "seed was 0 and is 1; clip_norm was 1.0 and is 0.5"),
        ({"steps": 1}, "has done 2 steps, and its configuration now ends at 1"),
    ],
)
def test_a_changed_configuration_is_refused_by_name(tmp_path, vae, change, told):
    run(tmp_path / "run", CONFIG, vae, until=2)
    with pytest.raises(ValueError, match=told):
        run(tmp_path / "run", replace(CONFIG, **change), vae)


def test_a_run_may_change_its_pace_and_says_so(tmp_path, vae):
    run(tmp_path / "run", CONFIG, vae, until=2)
    run(tmp_path / "run", replace(CONFIG, learning_rate=2e-3), vae, until=3)
    (told,) = [line for line in log_of(tmp_path / "run") if "changed" in line]
    assert told["changed"] == {"learning_rate": "was 0.0015 and is 0.002"}


def test_a_run_may_be_told_to_go_on_longer(tmp_path, vae):
    run(tmp_path / "run", replace(CONFIG, steps=2), vae)
    longer = replace(CONFIG, steps=3, log_every=2, save_every=1, name="longer")
    assert run(tmp_path / "run", longer, vae).step == 3


def test_a_damaged_state_is_named(tmp_path, vae):
    run(tmp_path / "run", CONFIG, vae, until=1)
    state = tmp_path / "run" / STATE_FILE
    state.write_bytes(state.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"state.safetensors is not the complete state of a run"):
        run(tmp_path / "run", CONFIG, vae)


@pytest.mark.parametrize(
    "text",
    [
        *(f'"{name}": 0' for name in (
            "steps", "frames", "batch", "shard_clips", "clips", "log_every", "validate_every", "save_every", "warmup",
            "validation_clips", "learning_rate", "fps", "clip_norm", "video_shift",
        )),
        *(f'"{name}": -1' for name in (
            "steps", "frames", "batch", "seed", "clip_norm", "ema", "lora_rank", "cosine_weight",
            "bundle_weight", "far_source_share", "decay_from",
        )),
        '"ema": 5', '"ema": 1', '"pure_noise_share": 1.5', '"hw": [64]', '"hw": [64, 0]', '"hw": [64, 64, 64]',
        '"task_shares": [NaN, 0.5, 0.5]', '"task_shares": [1.5, -0.5, 0.0]', '"clips": 1e400', '"batch": 4.5',
        '"precision": "bf17"', '"gradient_checkpointing": 1', '"name": 3', '"model": []', '"batch": 4, "batch": 4',
        '"frames": 6', '"hw": "64"',
    ],
)  # fmt: skip
def test_a_number_that_makes_no_sense_is_refused_by_its_name(text):
    given = {"name": '"x"', "steps": "1", "frames": "5", "clips": "8", "shard_clips": "8", "batch": "4"}
    name = text.split('"')[1]
    others = ", ".join(f'"{key}": {value}' for key, value in given.items() if key != name)
    with pytest.raises(ValueError, match=f"{name}|holds NaN|6 frames") as caught:
        TrainConfig.from_json(f"{{{others}, {text}}}")
    assert len(str(caught.value)) < 200

"""The clips of a run: which scenes, how often each is used, who renders them, and what all that costs."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from raxel_core.benchmarks.training import PARTS, run_training_benchmark
from raxel_core.geometry import se3
from raxel_core.latents.statistics import LatentStatistics
from raxel_core.model.config import RaxelConfig
from raxel_core.raxel_model import load_vae
from raxel_core.recipe import METADATA_KEY
from raxel_core.training import data, synthetic
from raxel_core.training.ahead import rendering_ahead
from raxel_core.training.clock import Clock
from raxel_core.training.config import TrainConfig
from raxel_core.training.data import ClipPool, DeviceClips, render_clips, vae_mark
from raxel_core.training.loss import draw_task
from raxel_core.training.raxel_objective import WEIGHTS_FILE, RaxelObjective
from raxel_core.training.ray_codes import raxels_of
from raxel_core.training.run_state import STATE_FILE
from raxel_core.training.scene_sets import SCENE_SETS, split_seeds
from raxel_core.training.train import LOG_FILE, Trainer
from raxel_core.training.vae import fit_patch_code, raxel_and_video_clips
from raxel_core.weights.checkpoint import save_checkpoint

SMALL = RaxelConfig(
    dim=48, ffn_dim=96, layers=2, heads=2, in_channels=32, patch=(1, 1, 1), text_dim=None, freq_dim=32,
    reads="one_way", ray_entry="aligned", rope_base=100.0, rope_scale=2.0,
)  # fmt: skip
CONFIG = TrainConfig(
    name="test", steps=4, frames=5, model=SMALL, hw=(32, 32), clips=16, shard_clips=8, batch=8, precision="no",
    log_every=1, validate_every=100, validation_clips=4, save_every=100, scenes=(("pan", 0.5), ("room", 0.5)),
    clip_uses=1, attention_prior=3.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def vae():
    return fit_patch_code(raxel_and_video_clips(CONFIG, range(32)), channels=32)


def log_of(folder):
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


def test_the_pan_scenes_only_turn():
    camera = SCENE_SETS["pan"](range(8), frames=5, hw=(16, 16)).camera
    assert camera.center.abs().max() < 1e-6 + 0.02 * 4.5 * 3  # hand shake, of some
    turn = se3.geodesic(camera.rotation[:, 0], camera.rotation[:, -1])
    assert turn.max() > 0.1


@pytest.mark.parametrize("name", SCENE_SETS)
def test_a_clip_of_any_set_is_its_seed_s_alone(name):
    alone = SCENE_SETS[name]([5], frames=5, hw=(32, 32))
    among = SCENE_SETS[name]([4, 5, 6], frames=5, hw=(32, 32))
    assert torch.allclose(alone.video[0], among.video[1], atol=1e-5)
    assert torch.allclose(alone.camera.world_from_cam[0], among.camera.world_from_cam[1], atol=1e-5)
    assert alone.video.shape == (1, 3, 5, 32, 32) and torch.isfinite(alone.near_depth).all()
    assert (among.video[0] - among.video[1]).abs().mean() > 0.01


def test_seeds_are_split_into_whole_batches_by_share():
    parts = split_seeds(range(100, 164), {"pan": 0.1, "easy": 0.4, "room": 0.5}, batch=8)
    assert [(name, len(seeds)) for name, seeds in parts] == [("pan", 8), ("easy", 24), ("room", 32)]
    assert [seed for _, seeds in parts for seed in seeds] == list(range(100, 164))


@pytest.mark.parametrize(
    ("count", "shares", "counts"),
    [(16, (0.4, 0.4, 0.2), (6, 7, 3)), (32, (0.9, 0.1), (29, 3)), (4, (0.25, 0.75), (1, 3)), (24, (0.4, 0.4, 0.2), (8, 8, 8)),
     (16, (0.5, 0.5, 0.0), (8, 8, 0))],
)  # fmt: skip
def test_a_small_shard_has_clips_of_every_set_and_large_ones_stay_as_they_were(count, shares, counts):
    parts = split_seeds(range(count), dict(zip("abc", shares, strict=False)), batch=8)
    assert tuple(len(seeds) for _, seeds in parts) == counts
    assert [seed for _, seeds in parts for seed in seeds] == list(range(count))
    default = split_seeds(range(1024), dict(TrainConfig(name="d", steps=1, frames=5).scenes), batch=8)
    assert [(name, len(seeds)) for name, seeds in default] == [("easy", 256), ("room", 768)]


def test_a_set_that_a_run_would_never_see_is_refused(tmp_path, vae):
    pool = ClipPool(replace(CONFIG, scenes=(("pan", 0.95), ("room", 0.05))), vae, tmp_path)
    with pytest.raises(ValueError, match="the scenes room is 0.05, none of the 8 clips of a shard: make shard_clips"):
        pool.shard(0)


def test_each_clip_is_used_as_often_as_asked_and_then_never_again(tmp_path, vae):
    """16 clips in shards of 8, batches of 8: a round is 2 steps, a pool of 3 uses 6 steps."""
    pool = ClipPool(replace(CONFIG, clip_uses=3), vae, tmp_path)
    shards = [pool.visited(step)[1] for step in range(12)]
    assert sorted(shards[:6]) == [0, 0, 0, 1, 1, 1] and sorted(shards[6:]) == [2, 2, 2, 3, 3, 3]
    assert all(set(shards[i : i + 2]) == ({0, 1} if i < 6 else {2, 3}) for i in range(0, 12, 2))
    for_ever = ClipPool(replace(CONFIG, clip_uses=0), vae, tmp_path)
    assert {for_ever.visited(step)[1] for step in range(40)} == {0, 1}


def test_processes_that_want_one_shard_have_it_rendered_once(tmp_path, vae, monkeypatch):
    made = []

    def slow(*arguments, **how):
        made.append(arguments[2])
        time.sleep(0.2)
        return render_clips(*arguments, **how)

    monkeypatch.setattr("raxel_core.training.data.render_clips", slow)
    pools = [ClipPool(CONFIG, vae, tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        shards = list(threads.map(lambda pool: pool.shard(0), pools))
    assert len(made) == 1 and all(torch.equal(shard.video, shards[0].video) for shard in shards)
    assert [path.name for path in tmp_path.iterdir()] == ["clips-00000.safetensors"]


def test_a_batch_is_a_function_of_its_step_and_old_files_go(tmp_path, vae):
    first, again = ClipPool(CONFIG, vae, tmp_path / "a"), ClipPool(CONFIG, vae, tmp_path / "b")
    batches = [first.batch(step) for step in range(4)]
    assert torch.equal(again.batch(3).video, batches[3].video)
    assert not torch.equal(batches[0].video, batches[1].video)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "clips-00002.safetensors", "clips-00003.safetensors",
    ]  # fmt: skip
    orders = [first.batch(step).near_depth for step in (2, 3)]
    assert not torch.equal(orders[0], orders[1])


def test_a_run_over_two_pools_resumes_bit_for_bit(tmp_path, vae):
    for name, stops in (("whole", (None,)), ("parts", (1, 3, None))):
        for until in stops:
            objective = RaxelObjective(CONFIG, vae, cache=tmp_path / name / "clips")
            Trainer(objective, tmp_path / name).train(until=until)
    whole, parts = (load_file(tmp_path / name / STATE_FILE) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_second_process_renders_ahead_the_very_clips(tmp_path, vae):
    own, ahead = ClipPool(CONFIG, vae, tmp_path / "own"), ClipPool(CONFIG, vae, tmp_path / "ahead")
    with rendering_ahead(ahead, first_step=0):
        wanted = [ahead.folder / f"clips-{ahead.visited(visit)[1]:05d}.safetensors" for visit in (1, 2, 3)]
        end = time.monotonic() + 120
        while not all(path.exists() for path in wanted) and time.monotonic() < end:
            time.sleep(0.1)
    made = {path.name: load_file(path) for path in ahead.folder.iterdir()}
    assert sorted(made) == sorted(path.name for path in wanted)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the second process: sums over more of them round otherwise, textures' too
    synthetic._bank.cache_clear()
    try:
        for path in wanted:
            own.render_shard(int(path.stem.removeprefix("clips-")))
    finally:
        torch.set_num_threads(threads)
        synthetic._bank.cache_clear()
    for path in wanted:
        again = load_file(own.folder / path.name)
        assert all(torch.equal(again[name], tensor) for name, tensor in made[path.name].items())


@pytest.mark.by_hand  # a compiler's minutes
@pytest.mark.parametrize("name", SCENE_SETS)
def test_a_compiled_tracer_makes_the_same_clips(tmp_path, vae, name):
    config = replace(CONFIG, scenes=((name, 1.0),))
    plain, fast = (ClipPool(config, vae, tmp_path / str(i), fast=bool(i)).shard(0) for i in range(2))
    assert (plain.video.float() - fast.video.float()).abs().max() < 2e-3 * plain.video.float().std()


def test_clips_made_on_a_device_are_those_of_the_files(tmp_path, vae):
    """On the CPU as the device: the same scenes and latents, kept in fp16 and let go with their pool."""
    files, device = ClipPool(CONFIG, vae, tmp_path), DeviceClips(CONFIG, vae, torch.device("cpu"))
    for step in (0, 1, 2, 3):
        kept, stored = device.batch(step), files.batch(step)
        assert torch.equal(kept.video, stored.video) and torch.equal(kept.near_depth, stored.near_depth)
        assert torch.equal(kept.camera.world_from_cam, stored.camera.world_from_cam)
        assert kept.video.dtype == torch.float32 and device.shard(2 if step > 1 else 0).video.dtype == torch.float16
    assert sorted(device._kept) == [2, 3]


def test_a_run_stops_in_time_saves_and_goes_on(tmp_path, vae):
    trainer = Trainer(RaxelObjective(CONFIG, vae, cache=tmp_path / "clips"), tmp_path / "run")
    trainer.train(seconds=0.0)
    assert trainer.step == 1 and (tmp_path / "run" / STATE_FILE).exists() and (tmp_path / "run" / WEIGHTS_FILE).exists()
    again = Trainer(RaxelObjective(CONFIG, vae, cache=tmp_path / "clips"), tmp_path / "run")
    again.train()
    assert again.step == 4


def test_who_has_no_clips_to_render_ahead_is_told(vae):
    for pool, message in ((None, "renders no clips"), (DeviceClips(CONFIG, vae, torch.device("cpu")), "on the GPU")):
        with pytest.raises(ValueError, match=message), rendering_ahead(pool, first_step=0):
            pass


def test_another_mixture_of_scenes_goes_on_from_the_same_state_and_statistics(tmp_path, vae):
    """What a run does when new scenes are to be had: edit the configuration, run again."""
    Trainer(RaxelObjective(CONFIG, vae, cache=tmp_path / "clips"), tmp_path / "run").train(until=2)
    start = tmp_path / "run" / WEIGHTS_FILE
    before = RaxelObjective(CONFIG, vae, cache=tmp_path / "clips", start=start).recipe
    schedule = {"batch": 4, "learning_rate": 1e-3, "task_shares": (1.0, 0.0, 0.0), "video_error": "denoised"}
    other = replace(CONFIG, scenes=(("easy", 1.0),), frames=9, **schedule)
    objective = RaxelObjective(other, vae, cache=tmp_path / "clips", start=start)
    assert objective.recipe.video_statistics == before.video_statistics and objective.recipe.frames == 9
    trainer = Trainer(objective, tmp_path / "run")
    assert trainer.step == 2
    with pytest.raises(ValueError, match="another configuration: seed was 0 and is 1"):
        Trainer(RaxelObjective(replace(CONFIG, seed=1), vae, cache=tmp_path / "clips"), tmp_path / "run")
    trainer.train()
    lines = log_of(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2, 2, 2, 3, 4, 4]
    changed = lines[3]["changed"]
    assert changed.keys() == {"scenes", "frames", *schedule}
    assert changed["frames"] == "was 5 and is 9"


def test_a_ray_grid_as_fine_as_the_video_is_what_the_recipe_says(tmp_path, vae):
    objective = RaxelObjective(replace(CONFIG, raxel_downscale=1), vae, cache=tmp_path)
    assert objective.recipe.raxel_downscale == 1
    example, noise = objective.draw(0)
    assert example.rays.shape == example.video.shape == noise[1].shape
    camera = example.camera
    assert torch.allclose(example.raxels, raxels_of(camera, (32, 32), objective.recipe))
    assert set(objective.loss(objective.model, (example, noise))) >= {"loss"}


def test_the_denoised_error_is_sigma_times_that_of_the_velocity(tmp_path, vae):
    """At one noise level the squares differ by sigma^2; without the cosine that is all there is."""
    shares = (0.0, 1.0, 0.0)
    plain = RaxelObjective(replace(CONFIG, cosine_weight=0.0, task_shares=shares), vae, cache=tmp_path)
    other = RaxelObjective(
        replace(CONFIG, cosine_weight=0.0, task_shares=shares, video_error="denoised"), vae, cache=tmp_path
    )
    example, noise = plain.draw(0)
    example = replace(example, video_sigma=torch.full_like(example.video_sigma, 0.5))
    losses = [objective.loss(objective.model, (example, noise))["video"].item() for objective in (plain, other)]
    assert losses[1] == pytest.approx(0.25 * losses[0], rel=1e-5)


@pytest.mark.by_hand  # a compiler's minutes
def test_compiled_blocks_train_as_the_plain_ones(tmp_path, vae):
    """The same loss and gradients to rounding, with the rotation in real numbers."""
    plain, compiled = (RaxelObjective(CONFIG, vae, cache=tmp_path) for _ in range(2))
    noise = torch.Generator().manual_seed(2)
    for a, b in zip(plain.model.parameters(), compiled.model.parameters(), strict=True):
        a.data.add_(torch.randn(a.shape, generator=noise), alpha=0.05)  # heads begin at zero and would hide the blocks
        b.data.copy_(a.data)
    compiled.model.compile_blocks()
    for number in (0, 1):
        losses = [each.loss(each.model, each.draw(number))["loss"] for each in (plain, compiled)]
        assert losses[1].item() == pytest.approx(losses[0].item(), rel=1e-5)
        for loss in losses:
            loss.backward()
    for (name, a), (_, b) in zip(plain.model.named_parameters(), compiled.model.named_parameters(), strict=True):
        assert a.grad is None or torch.allclose(a.grad, b.grad, atol=1e-5, rtol=1e-3), name
    assert plain.model.state_dict().keys() == compiled.model.state_dict().keys()


def test_validation_shows_pictures_along_true_and_other_cameras(tmp_path, vae):
    trainer = Trainer(RaxelObjective(CONFIG, vae, cache=tmp_path / "clips"), tmp_path / "run")
    figures = trainer.validate()
    assert {"rotation", "video", "shuffled", "copy", "video_gain", "video_gain_se"} <= figures.keys()
    # an untrained network says velocity 0: its picture is the noise's, whatever the cameras are
    assert figures["video"] == pytest.approx(figures["shuffled"], abs=1e-3) and figures["copy"] > figures["video"]
    assert figures["video_gain"] == pytest.approx(figures["video"] - figures["copy"], abs=1e-4)


def test_the_prior_reaches_the_network(tmp_path, vae):
    biases = [
        RaxelObjective(replace(CONFIG, attention_prior=prior), vae, cache=tmp_path).model.blocks[0].self_attn.q.bias
        for prior in (0.0, 2.5)
    ]
    assert biases[0].eq(0).all() and biases[1].unique().tolist() == [0.0, 2.5]


def test_the_clock_reads_the_processor_time_of_parts_per_clip():
    clock = Clock()
    for _ in range(2):
        with clock.part("work"):
            end = time.process_time() + 0.02
            while time.process_time() < end:
                pass
    with clock.part("sleep"):
        time.sleep(0.05)
    cost = clock.read(4)
    assert 10 <= cost["work"] < 40 and cost["sleep"] < 5 and cost["step"] == cost["work"] + cost["sleep"]
    assert clock.seconds == {}


def test_the_training_benchmark_costs_every_part(vae):
    cost = run_training_benchmark(replace(CONFIG, clip_uses=4), vae, steps=1)
    assert tuple(cost.core_ms) == PARTS and all(value > 0 for value in cost.core_ms.values())
    assert cost.uses == 4 and cost.clips_a_second == pytest.approx(1000 / sum(cost.core_ms.values()))
    with pytest.raises(ValueError, match="at least 1 step is needed, got 0"):
        run_training_benchmark(CONFIG, vae, steps=0)


def test_the_new_fields_survive_json_and_are_checked():
    assert TrainConfig.from_json(CONFIG.to_json()) == CONFIG
    assert json.loads(CONFIG.to_json())["scenes"] == {"pan": 0.5, "room": 0.5}
    whole = TrainConfig.from_json('{"name": "x", "steps": 1, "frames": 5, "task_shares": [0, 1, 0]}')
    assert draw_task(whole, torch.Generator()) == "camera"
    for field, message in (
        ({"scenes": {"cave": 1.0}}, "no scenes called cave: a run has pan, easy, room, world"),
        ({"scenes": {"pan": 0.5}}, "sum to 1"),
        ({"scenes": {"pan": "all"}}, "scenes pan of the training configuration is a number from 0 to 1, got 'all'"),
        ({"scenes": [1]}, "scenes of the training configuration is an object, got a list of 1"),
        ({"validation_scenes": "cave"}, "no scenes called cave"),
        ({"clip_uses": -1}, "clip_uses of the training configuration is a whole number from 0"),
        ({"raxel_downscale": 0}, "raxel_downscale of the training configuration is a whole number from 1"),
        ({"attention_prior": -1.0}, "attention_prior of the training configuration is a number from 0"),
        ({"video_error": "pixels"}, "video_error of the training configuration is one of velocity, denoised, got 'pixels'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            TrainConfig.from_json(json.dumps({"name": "x", "steps": 1, "frames": 5, **field}))


def test_a_start_that_was_only_converted_gets_ray_statistics_of_its_own_and_a_trained_one_keeps_them(tmp_path, vae):
    """`convert` has no rays to measure: its recipe holds the video's statistics for both, and the unit asked for."""
    measured = RaxelObjective(CONFIG, vae, cache=tmp_path / "clips").recipe
    in_metres = RaxelObjective(replace(CONFIG, unit="metre"), vae, cache=tmp_path / "clips").recipe
    assert in_metres.ray_statistics != measured.ray_statistics  # the scenes' near depths are no metres
    placeholder = LatentStatistics((0.5,) * 32, (2.0,) * 32)
    recipe = replace(measured, unit="metre", video_statistics=placeholder, ray_statistics=placeholder)
    network, start = RaxelObjective(CONFIG, vae, cache=tmp_path / "clips").model, tmp_path / "start.safetensors"
    for steps, rays, unit in (
        ({}, in_metres.ray_statistics, None),
        ({"steps": "5"}, placeholder, None),
        ({}, measured.ray_statistics, "near_depth"),
    ):
        save_checkpoint(start, network.state_dict(), SMALL, metadata={METADATA_KEY: recipe.to_json(), **steps})
        found = RaxelObjective(replace(CONFIG, unit=unit), vae, cache=tmp_path / "clips", start=start).recipe
        assert found.video_statistics == placeholder and found.unit == (unit or "metre")
        assert found.ray_statistics == rays


def test_the_shift_to_sample_with_is_the_configurations_else_the_starts(tmp_path, vae):
    clips, start = tmp_path / "clips", tmp_path / "start.safetensors"
    objective = RaxelObjective(replace(CONFIG, sampling_shift=0.25), vae, cache=clips)
    assert objective.recipe.sampling_shift == 0.25
    assert RaxelObjective(CONFIG, vae, cache=clips).recipe.sampling_shift == 1.0
    for trained in ({}, {"steps": "5"}):
        facts = {METADATA_KEY: objective.recipe.to_json(), **trained}
        save_checkpoint(start, objective.model.state_dict(), SMALL, metadata=facts)
        for given, kept in ((None, 0.25), (3.0, 3.0)):
            config = replace(CONFIG, sampling_shift=given)
            assert RaxelObjective(config, vae, cache=clips, start=start).recipe.sampling_shift == kept


def test_an_antithetic_pair_is_the_configurations_wish_else_the_starts(tmp_path, vae):
    clips, start = tmp_path / "clips", tmp_path / "start.safetensors"
    objective = RaxelObjective(replace(CONFIG, antithetic_pose=True), vae, cache=clips)
    assert objective.recipe.antithetic_pose is True
    assert RaxelObjective(CONFIG, vae, cache=clips).recipe.antithetic_pose is False
    facts = {METADATA_KEY: objective.recipe.to_json()}
    save_checkpoint(start, objective.model.state_dict(), SMALL, metadata=facts)
    for given, kept in ((None, True), (False, False)):
        config = replace(CONFIG, antithetic_pose=given)
        assert RaxelObjective(config, vae, cache=clips, start=start).recipe.antithetic_pose is kept


def test_what_a_run_asked_for_itself_is_taken_back_to_its_start(tmp_path, vae):
    """Null on resuming: not what the run's own file says, but what it began with."""
    clips, own, start = tmp_path / "clips", tmp_path / "run" / WEIGHTS_FILE, tmp_path / "start.safetensors"
    config = replace(CONFIG, sampling_shift=3.0, antithetic_pose=True)
    begun = RaxelObjective(replace(CONFIG, sampling_shift=0.25), vae, cache=clips)
    facts = {METADATA_KEY: begun.recipe.to_json()}
    save_checkpoint(start, begun.model.state_dict(), SMALL, metadata=facts)
    for given, shift in ((None, 1.0), (start, 0.25)):
        objective = RaxelObjective(config, vae, cache=clips, start=given)
        own.parent.mkdir(exist_ok=True)
        for _ in range(2):  # and when it went on once
            objective.save(objective.model.state_dict(), own.parent, 1)
            objective = RaxelObjective(config, vae, cache=clips, start=own, goes_on=True)
        back = RaxelObjective(CONFIG, vae, cache=clips, start=own, goes_on=True).recipe
        assert (back.sampling_shift, back.antithetic_pose) == (shift, False)
        assert RaxelObjective(CONFIG, vae, cache=clips, start=own).recipe.sampling_shift == 3.0  # another run's start


def test_the_camera_loss_decodes_only_where_it_counts(tmp_path, vae):
    objective = RaxelObjective(replace(CONFIG, bundle_weight=0.0, task_shares=(1.0, 0.0, 0.0)), vae, cache=tmp_path)
    batch = objective.draw(0)
    objective.device_vae = None  # would be asked to decode
    parts = objective.loss(objective.model, batch)
    assert parts.keys() == {"rays", "loss"} and torch.equal(parts["loss"], parts["rays"])


def rewritten(path, **changed):
    """A file with other metadata: those of `changed`, without what is None there."""
    with safe_open(path, framework="pt") as file:
        said = {name: value for name, value in {**file.metadata(), **changed}.items() if value is not None}
    save_file(load_file(path), path, said)


def test_clips_of_another_vae_are_refused_and_unmarked_ones_are_of_the_one_that_ships(tmp_path, vae, monkeypatch):
    other = fit_patch_code(raxel_and_video_clips(CONFIG, range(40, 72)), channels=32)
    clips = ClipPool(CONFIG, vae, tmp_path).shard(0)
    with pytest.raises(ValueError, match=r"clips-00000.safetensors holds clips that another VAE coded .* --cache"):
        ClipPool(CONFIG, other, tmp_path).shard(0)
    rewritten(tmp_path / "clips-00000.safetensors", vae=None)
    with pytest.raises(ValueError, match="another VAE coded"):
        ClipPool(CONFIG, vae, tmp_path).shard(0)
    monkeypatch.setattr(data, "UNMARKED", vae_mark(vae))
    assert torch.equal(ClipPool(CONFIG, vae, tmp_path).shard(0).video, clips.video)
    monkeypatch.undo()
    assert vae_mark(load_vae("raxel-tiny-vae")) == data.UNMARKED


def test_a_run_goes_on_with_the_vae_that_it_began_with(tmp_path, vae):
    other = fit_patch_code(raxel_and_video_clips(CONFIG, range(40, 72)), channels=32)
    Trainer(RaxelObjective(CONFIG, vae, cache=tmp_path / "cache"), tmp_path / "run").train(until=1)
    objective = RaxelObjective(CONFIG, other, cache=tmp_path / "other")
    with pytest.raises(ValueError, match="another --vae than it began with"):
        Trainer(objective, tmp_path / "run")
    rewritten(tmp_path / "run" / STATE_FILE, origins=None)  # as states of before are
    assert Trainer(objective, tmp_path / "run").step == 1

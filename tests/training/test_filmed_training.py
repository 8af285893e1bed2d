"""Training on filmed scenes: their lengths, the clips cut from them, and the images a step is given, as the paper has."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from raxel_core.cli import main
from raxel_core.films.defects import SceneError
from raxel_core.films.depth import SceneDepth, depths_from_json, measure_depth, supplied_depth
from raxel_core.films.listing import list_scenes
from raxel_core.geometry import se3
from raxel_core.latents.frames import latent_times
from raxel_core.model.config import RaxelConfig
from raxel_core.training.captions import TOKENS, Texts
from raxel_core.training.config import FilmedSettings, TrainConfig
from raxel_core.training.data import ClipPool, render_clips
from raxel_core.training.filmed import FilmedScenes, Films, all_sets
from raxel_core.training.loss import draw_said, draw_sparse, make_example
from raxel_core.training.raxel_objective import RaxelObjective
from raxel_core.training.scene_sets import SCENE_SETS
from raxel_core.training.synthetic import EASY_SCENES, render_scenes
from raxel_core.training.train import Trainer
from raxel_core.training.vae import fit_patch_code, raxel_and_video_clips
from raxel_core.weights.checkpoint import load_checkpoint
from tests.data_sets import RATE, write_dl3dv, write_picture, write_realestate10k

SIZE, FRAMES = (96, 160), 16
SMALL = RaxelConfig(dim=48, ffn_dim=96, layers=2, heads=2, in_channels=32, patch=(1, 1, 1), text_dim=None, freq_dim=32)
CONFIG = TrainConfig(
    name="test", steps=2, frames=5, fps=RATE, model=SMALL, hw=(32, 32), clips=8, shard_clips=8, batch=4, log_every=1,
    precision="no", validate_every=100, validation_clips=4, save_every=100, scenes=(("films", 1.0),),
    validation_scenes="films", data=(("films", FilmedSettings()),),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two scenes of RealEstate10K and one of DL3DV in one folder, measured, with metric depth maps of the last."""
    root = tmp_path_factory.mktemp("films")
    for key, seed in (("0001", 5), ("0002", 7)):
        write_realestate10k(root, key, seed, frames=FRAMES, hw=SIZE)
        (root / "train" / f"{key}.caption.txt").write_text(f"room {key}")
    write_dl3dv(root, "f00d", 6, frames=FRAMES, hw=SIZE)
    depth = true_scene(6).depth[0].numpy() * 1.7
    rng = np.random.default_rng(0)
    for number, picture in enumerate(depth, start=1):
        wrong = rng.random(picture.shape) < 0.2
        millimetres = np.where(wrong, 9.0, picture) * 1000
        write_depth(
            root / "1K" / "f00d" / "depth" / f"frame_{number:05d}.png", millimetres.clip(0, 65_000).astype(np.uint16)
        )
    assert main(["dataset", "depth", str(root)]) == 0
    return root


def write_depth(path, millimetres):
    """A 16-bit picture; of the pinhole, not of DL3DV's lens, which moves depths by some per cent at the corners."""
    import cv2

    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), millimetres)


def true_scene(seed):
    return render_scenes([seed], frames=FRAMES, hw=SIZE, config=EASY_SCENES)


@pytest.fixture(scope="module")
def vae():
    return fit_patch_code(
        raxel_and_video_clips(replace(CONFIG, scenes=(("room", 1.0),), validation_scenes="room", data=()), range(32)),
        channels=32,
    )


def films(data, config=CONFIG, unit="near_depth", **how):
    return all_sets(config, Films({"films": data}, **how), unit)["films"]


def test_near_depth_and_metres_are_those_of_the_scene(data):
    depths = depths_from_json((data / "depths.json").read_text())
    for name, seed in (("train/0001.txt", 5), ("train/0002.txt", 7), ("1K/f00d", 6)):
        near, true = depths[name].near_at(torch.arange(FRAMES)), true_scene(seed).near_depth[0]
        off = (near / true).log().abs()  # corners lie where texture is, the truth counts every pixel
        assert off.median() < 0.35 and (off < 0.5).float().mean() > 0.85, (name, near / true)
    assert depths["train/0001.txt"].metres_per_unit is None
    assert depths["1K/f00d"].metres_per_unit == pytest.approx(1.7, rel=0.03)
    assert depths["1K/f00d"].points > 100 and 0 < depths["1K/f00d"].spread < 0.5
    assert supplied_depth(list_scenes(data).open("train/0001.txt")) is None


def test_scales_and_a_depth_model_of_the_user_s_give_metres(data, tmp_path, capsys):
    root = tmp_path / "films"
    write_realestate10k(root, "0001", 5, frames=6, hw=SIZE)
    (tmp_path / "scales.json").write_text('{"train/0001.txt": 0.25}')
    assert main(["dataset", "depth", str(root), "--scales", str(tmp_path / "scales.json")]) == 0
    assert depths_from_json((root / "depths.json").read_text())["train/0001.txt"].metres_per_unit == 0.25
    (tmp_path / "model.py").write_text(
        "import numpy as np\ndef flat(p):\n    return np.full((p.shape[0] // 2, 4), 3.0)\n"
    )
    assert main(["dataset", "depth", str(root), "--depth-model", f"{tmp_path / 'model.py'}:flat"]) == 0
    found = depths_from_json((root / "depths.json").read_text())["train/0001.txt"]
    points = measure_depth(list_scenes(root).open("train/0001.txt")).points
    assert found.points == points and 0.2 < found.metres_per_unit * found.near[0] < 3.0
    assert main(["dataset", "depth", str(root), "--depth-model", f"{tmp_path / 'model.py'}:none"]) == 2
    assert "has no function 'none'" in capsys.readouterr().err


def test_a_camera_that_only_turns_tells_no_depth(tmp_path):
    pictures, camera = write_realestate10k(tmp_path, "0001", 5, frames=4, hw=SIZE)
    path = tmp_path / "train" / "0001.txt"
    rows = [line.split() for line in path.read_text().splitlines()[1:]]
    path.write_text("\n".join(["x", *(" ".join([row[0], *rows[0][1:]]) for row in rows)]))
    for picture in sorted((tmp_path / "train" / "0001").iterdir()):
        write_picture(picture, pictures[0])
    with pytest.raises(SceneError, match="no depth can be told"):
        measure_depth(list_scenes(tmp_path).open("train/0001.txt"))


def test_a_clip_is_its_seed_s_alone_and_every_scene_has_its_turn(data):
    scenes = films(data)
    clips = scenes(range(0, 12, 2), frames=5, hw=(32, 32))
    again = scenes([8], frames=5, hw=(32, 32))
    assert torch.equal(clips.video[4], again.video[0]) and clips.video.shape == (6, 3, 5, 32, 32)
    assert torch.equal(clips.camera.world_from_cam[4], again.camera.world_from_cam[0])
    assert set(clips.captions[:3]) == {"room 0001", "room 0002", ""} == set(clips.captions[3:])


def test_lengths_are_near_depths_or_metres_times_the_data_set_s_factor(data):
    names = list_scenes(data).names
    depths = depths_from_json((data / "depths.json").read_text())
    near = films(data)([0, 1, 2], frames=5, hw=(32, 32))
    assert torch.allclose(near.near_depth[:, 0], torch.ones(3))
    twice = replace(CONFIG, data=(("films", FilmedSettings(factor=2.0)),))
    far = films(data, twice)([0, 1, 2], frames=5, hw=(32, 32))
    assert torch.allclose(far.camera.center, 2 * near.camera.center, atol=1e-6)
    assert torch.equal(far.camera.rotation, near.camera.rotation)
    listed = depths["1K/f00d"]
    scenes = FilmedScenes(
        "films", replace(list_scenes(data), names=("1K/f00d",)), depths, FilmedSettings(), RATE, "metre"
    )
    metres = scenes([0], frames=5, hw=(32, 32))
    bare = FilmedScenes(
        "films", replace(list_scenes(data), names=("1K/f00d",)), {}, FilmedSettings(), RATE, "arbitrary"
    )
    raw = bare([0], frames=5, hw=(32, 32))
    assert torch.allclose(metres.camera.center, listed.metres_per_unit * raw.camera.center, atol=1e-5)
    assert "train/0001.txt" in names


def test_cached_clips_have_the_depths_of_now(data, vae, tmp_path):
    """Metres that are measured anew are those of the clips; a cache of before, which says nothing of them, is kept."""

    def near(scale):
        scenes = films(data, unit="metre")
        depths = {name: replace(depth, metres_per_unit=scale) for name, depth in scenes.depths.items()}
        sets = {**SCENE_SETS, "films": replace(scenes, depths=depths)}
        return ClipPool(CONFIG, vae, tmp_path, sets=sets).stored("few", range(2), scenes={"films": 1.0}).near_depth

    first = near(2.0)
    assert torch.equal(near(2.0), first)
    assert torch.allclose(near(5.0).float(), 2.5 * first.float(), rtol=1e-2)
    path = tmp_path / "few.safetensors"
    with safe_open(path, framework="pt") as file:
        said = {name: value for name, value in file.metadata().items() if name != "depths"}
    save_file(load_file(path), path, said)
    assert torch.allclose(near(2.0).float(), 2.5 * first.float(), rtol=1e-2)


def test_bad_data_stops_a_run_or_is_told_once_and_left_out(data, tmp_path):
    told: list[str] = []
    root = tmp_path / "films"
    write_realestate10k(root, "good", 5, frames=6, hw=SIZE)
    assert main(["dataset", "depth", str(root)]) == 0
    write_realestate10k(root, "bad", 6, frames=6, hw=SIZE)
    next(iter(sorted((root / "train" / "bad").iterdir()))).write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"films: train/bad.txt: .* not a complete PNG or JPEG"):
        films(root)(range(4), frames=5, hw=(32, 32))
    clips = films(root, bad_data="skip", say=told.append)(range(4), frames=5, hw=(32, 32))
    assert len(clips.video) == 4 and len(told) == 1 and told[0].endswith(": left out")
    with pytest.raises(ValueError, match="none of its 2 scenes gives a clip of 9 frames"):
        films(root, bad_data="skip", say=told.append)([0], frames=9, hw=(32, 32))
    with pytest.raises(ValueError, match="run `dataset depth"):
        films(data.parent / root / "train")


SPARSE = replace(CONFIG, sparse_images=3, off_path_share=0.5, random_reference=True)


@pytest.fixture(scope="module")
def clips(data, vae):
    sets = {**SCENE_SETS, "films": films(data, SPARSE)}
    return render_clips(SPARSE, vae, range(8), scenes={"films": 1.0}, sets=sets)


def drawn(clips, config, count=300):
    """Draws of each task by turns."""
    return [
        (task, draw_sparse(clips.image_frame, task, config, torch.Generator().manual_seed(seed)))
        for seed in range(count) for task in ("pose", "camera", "joint")
    ]  # fmt: skip


def test_sources_and_targets_have_a_fixed_sum_and_lie_on_and_off_the_path(clips):
    assert clips.images.shape[2] == 1 + 3 + 3
    on = clips.image_frame[:, :4]
    assert (on[:, 0] == 0).all() and ((on[:, 1:] > 0) & (on[:, 1:] < 5)).all()
    off = clips.image_frame[:, 4:]
    assert ((off < 0) | (off > 4)).all()
    draws = drawn(clips, SPARSE)
    assert {draw.slots.shape[1] for _, draw in draws} == {3}
    assert {draw.sources for _, draw in draws} == {0, 1, 2, 3}
    for _task, draw in draws:
        assert all(len(set(row)) == 3 for row in draw.slots.tolist())
        assert draw.known or (draw.slots[:, : draw.sources] < 4).all()  # a source off the path has its camera
        if not draw.sources:
            assert (draw.reference == -1).all() and not draw.known
    assert any((draw.slots[:, : draw.sources] >= 4).any() for _, draw in draws)
    assert any(draw.known for task, draw in draws if task == "pose")
    assert not any(draw.known for task, draw in drawn(clips, replace(SPARSE, off_path_share=0.0)) if task == "camera")
    earliest = [clips.image_frame.gather(1, d.slots[:, : d.sources]).argmin(1) for _, d in draws if d.known]
    place = [(d.slots[:, : d.sources] == d.reference[:, None]).long().argmax(1) for _, d in draws if d.known]
    later = torch.cat([a != b for a, b in zip(earliest, place, strict=True)])
    assert 0.1 < later.float().mean() < 0.6


def test_an_example_places_every_image_in_time_and_in_the_reference_s_frame(clips, vae, tmp_path):
    sets = {**SCENE_SETS}
    recipe = RaxelObjective(
        replace(SPARSE, data=(), scenes=(("room", 1.0),), validation_scenes="room"), vae, cache=tmp_path
    ).recipe
    found = 0
    for seed in range(40):
        example = make_example(clips, SPARSE, recipe, vae, torch.Generator().manual_seed(seed))
        targets, sources = example.video.shape[2] - 2, example.sources.shape[2]
        assert targets + sources == 3 and example.rays.shape[2] == example.video.shape[2] == example.time.shape[1]
        assert (example.time[:, :2] == torch.tensor([0.0, 1.0])).all()
        frames = clips.image_frame
        for row in range(len(clips)):
            for latent, time in zip(example.sources[row].unbind(1), example.source_time[row], strict=True):
                match = (
                    (recipe.video_statistics.normalize(clips.images)[row].movedim(1, 0) - latent)
                    .abs()
                    .flatten(1)
                    .amax(1)
                )
                slot = int(match.argmin())
                assert match[slot] < 1e-5 and time == latent_times(frames[row, slot])
        if example.source_rays.shape[2]:
            found += 1
            # one source is the reference: its raxels are those of the identity with its own lens
            raxels = vae.decode(
                recipe.ray_statistics.denormalize(example.source_rays.movedim(2, 0).flatten(0, 1)[:, :, None])
            )
            center = raxels.mean((2, 3, 4)).reshape(sources, len(clips), 3).movedim(0, 1)
            straight = (center[..., :2].norm(dim=-1) < 0.06).any(1)
            assert straight.float().mean() > 0.7, center
    assert found > 5 and "room" in sets


def test_the_normalised_variant_has_its_farthest_camera_at_one(clips, vae, tmp_path):
    config = replace(CONFIG, data=(), scenes=(("room", 1.0),), validation_scenes="room", unit="arbitrary")
    recipe = RaxelObjective(config, vae, cache=tmp_path).recipe
    assert recipe.unit == "arbitrary"
    example = make_example(clips, config, recipe, vae, torch.Generator().manual_seed(0))
    assert torch.allclose(example.camera.center.norm(dim=-1).amax(1), torch.ones(8), atol=1e-4)


def test_both_directions_of_time_are_the_same_film(data, vae):
    """Odd clips are the even ones before them backwards: cameras, near depths and the times of views beside them with
    the pictures, also where a file of clips begins with an odd one."""
    sets = {**SCENE_SETS, "films": films(data, SPARSE)}
    forwards = sets["films"]([1], frames=5, hw=(32, 32))
    both = render_clips(SPARSE, vae, range(2), scenes={"films": 1.0}, sets=sets)
    assert torch.equal(both.camera.world_from_cam[0], forwards.camera.world_from_cam[0])
    later = render_clips(SPARSE, vae, range(1, 2), scenes={"films": 1.0}, sets=sets)
    assert torch.equal(later.camera.world_from_cam[0], both.camera.world_from_cam[1])
    assert torch.allclose(both.camera.world_from_cam[1], forwards.camera.world_from_cam[0].flip(0))
    assert torch.allclose(both.image_frame[1, 4:], 4 - forwards.others.frame[0, :3])
    assert torch.allclose(both.near_depth[1], forwards.near_depth[0].flip(0))
    assert torch.allclose(both.video[1], vae.encode(forwards.video.flip(2))[0], atol=1e-4)


def test_captions_are_a_condition_that_some_steps_leave_out(clips, vae, tmp_path):
    texts = Texts(tmp_path / "texts", lambda caption: torch.full((2, 8), float(len(caption))))
    config = replace(
        SPARSE,
        text_drop=0.5,
        model=replace(SMALL, text_dim=8),
        data=(),
        scenes=(("room", 1.0),),
        validation_scenes="room",
    )
    objective = RaxelObjective(config, vae, cache=tmp_path / "c", texts=texts)
    examples = [
        make_example(clips, config, objective.recipe, vae, generator, said=draw_said(config, generator), texts=texts)
        for generator in (torch.Generator().manual_seed(seed) for seed in range(30))
    ]
    given = [example.text for example in examples if example.text.shape[1]]
    assert 8 < len(given) < 22 and given[0].shape == (8, TOKENS, 8)
    assert given[0][:, 0, 0].tolist() == [float(len(caption)) for caption in clips.captions]
    assert not given[0][:, 2:].any()
    loss = objective.loss(
        objective.model, (examples[0], (torch.zeros_like(examples[0].video), torch.zeros_like(examples[0].rays)))
    )
    assert torch.isfinite(loss["loss"])
    with pytest.raises(ValueError, match="run `dataset captions` first"):
        Texts(tmp_path / "empty").of(["a room"])
    with pytest.raises(ValueError, match="no text_dim"):
        replace(CONFIG, text_drop=0.1)


def test_without_text_its_modules_rest_and_come_back_as_they_were(data, vae, tmp_path):
    config = replace(CONFIG, model=replace(SMALL, text_dim=8), steps=1)
    objective = RaxelObjective(config, vae, cache=tmp_path / "clips", films=Films({"films": data}))
    before = {name: p.detach().clone() for name, p in objective.model.named_parameters()}
    resting = {name for name, p in objective.model.named_parameters() if not p.requires_grad}
    assert any("cross_attn" in name for name in resting) and any("text_embedding" in name for name in resting)
    trainer = Trainer(objective, tmp_path / "run")
    trainer.train()
    held = {id(p) for optimizer in objective.optimizers() for group in optimizer.param_groups for p in group["params"]}
    assert not any(id(p) in held for name, p in objective.model.named_parameters() if name in resting)
    saved = load_checkpoint(tmp_path / "run" / "raxel.safetensors").model.state_dict()
    assert saved.keys() == before.keys()
    assert all(torch.equal(saved[name], before[name].bfloat16()) for name in resting)


def test_two_processes_code_the_clips_of_a_run_and_training_finds_them(data, vae, tmp_path, monkeypatch, capsys):
    save_file({name: t.contiguous() for name, t in vae.state_dict().items()}, tmp_path / "vae.safetensors")
    config = replace(CONFIG, clips=16, task_shares=(1.0, 0.0, 0.0))
    (tmp_path / "config.json").write_text(config.to_json())
    shared = [str(tmp_path / "config.json"), "--data", f"films={data}", "--vae", str(tmp_path / "vae.safetensors")]
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert main(["dataset", "encode", shared[0], str(tmp_path / "cache"), *shared[1:]]) == 0
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name)
    files = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert files == ["clips-00000.safetensors", "clips-00001.safetensors", "validation.safetensors"]
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert main(["train", shared[0], str(tmp_path / "run"), "--cache", str(tmp_path / "cache"), *shared[1:]]) == 0
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    pool = ClipPool(config, vae, tmp_path / "cache", sets={**SCENE_SETS, "films": films(data, config)})
    made = render_clips(config, vae, range(8), scenes={"films": 1.0}, sets=pool.sets)
    assert torch.equal(pool.shard(0).video, made.video.half()) and pool.shard(0).captions == made.captions
    turned = se3.geodesic(made.camera.rotation[:, 0], made.camera.rotation[:, -1])
    assert (turned > 0).any()
    capsys.readouterr()


def test_a_configuration_that_names_no_data_is_trained_on_what_is_given(data, tmp_path, capsys):
    from raxel_core.cli.train import read_config

    plain = replace(CONFIG, data=(), scenes=(("room", 1.0),), validation_scenes="room")
    (tmp_path / "config.json").write_text(plain.to_json())
    options = type(
        "Options", (), {"config": tmp_path / "config.json", "data": [f"a={data}", str(data)], "bad_data": None}
    )
    config, given = read_config(options, TrainConfig)
    assert dict(config.scenes) == {"a": 0.5, data.name: 0.5} and given.paths == {"a": data, data.name: data}
    assert TrainConfig.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="stride of data x"):
        TrainConfig.from_json(json.dumps({**json.loads(plain.to_json()), "data": {"x": {"stride": 0}}}))
    assert SceneDepth((0,), (2.0,), 9).near_at(torch.tensor([0, 5])).tolist() == [2.0, 2.0]

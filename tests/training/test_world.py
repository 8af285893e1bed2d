"""Places like the world's: functions of their seed, cameras that explain them exactly, motions that keep their word."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from raxel_core.training.config import TrainConfig
from raxel_core.training.synthetic import SPLITS, render_scenes
from raxel_core.training.vae import raxel_and_video_clips
from raxel_core.training.world.draws import Draws
from raxel_core.training.world.film import draw_film
from raxel_core.training.world.light import draw_light
from raxel_core.training.world.motion import MOTIONS, TRIPOD, draw_fov, draw_motion
from raxel_core.training.world.places import PLACES
from raxel_core.training.world.scenes import WORLD, WorldConfig, _banks, _clear, _on, render_world

TEST = SPLITS["test"].start
SEEDS = list(range(TEST, TEST + 8))


def _only(motion: str) -> WorldConfig:
    return replace(WORLD, motion_shares=tuple(float(name == motion) for name in MOTIONS))


def _cameras(motion: str, frames: int = 9):
    return render_world(SEEDS, frames=frames, hw=(8, 8), config=_only(motion)).camera


def _moved(camera) -> torch.Tensor:
    return (camera.center - camera.center[:, :1]).norm(dim=-1).amax(1)


def _turned(camera) -> torch.Tensor:
    return (camera.rotation - camera.rotation[:, :1]).abs().amax((1, 2, 3))


def _zoomed(camera) -> torch.Tensor:
    return (camera.K[..., 0, 0] / camera.K[:, :1, 0, 0]).log().abs().amax(1)


def test_a_clip_is_a_function_of_its_seed():
    together = render_world(SEEDS[:4], frames=5, hw=(32, 32))
    alone = render_world(SEEDS[2:3], frames=5, hw=(32, 32))
    assert torch.equal(together.video[2], alone.video[0])
    assert torch.equal(together.depth[2], alone.depth[0])
    assert torch.equal(together.camera.world_from_cam[2], alone.camera.world_from_cam[0])
    assert torch.equal(together.camera.K[2], alone.camera.K[0])
    assert not torch.equal(together.video[0], together.video[2])
    assert together.video.abs().max() <= 1


@pytest.mark.slow
def test_splits_share_no_texture_and_no_object():
    texels = {split: {t.numpy().tobytes() for t in _banks(split).materials.texels} for split in ("validation", "test")}
    assert not texels["validation"] & texels["test"]
    assert len(texels["test"]) == len(_banks("test").materials.texels)
    bodies = {
        split: {axes.numpy().tobytes() for axes in _banks(split).kit.objects.axes} for split in ("validation", "test")
    }
    assert not bodies["validation"] & bodies["test"]
    with pytest.raises(ValueError, match="do not all lie in one split"):
        render_world([0, TEST], frames=1)


@pytest.mark.parametrize("place", PLACES)
def test_depth_of_one_frame_is_found_again_in_another(place):
    """Points of frame 0, carried to the last frame by depth, pose and focal, lie on what that frame sees there: a wrong
    axis, pixel centre, transform or depth moves them off. With the motion the wrong way round few do."""
    config = replace(WORLD, place_shares=tuple(float(name == place) for name in PLACES))
    batch = render_world(SEEDS, frames=5, hw=(64, 64), config=config)
    right, colours = _agreement(batch, torch.linalg.inv(batch.camera.world_from_cam))
    wrong, _ = _agreement(batch, batch.camera.world_from_cam)
    assert right > 0.7
    assert wrong < 0.6 * right
    assert colours < 0.06


def _agreement(batch, cam_from_world) -> tuple[float, float]:
    """Median over clips of the share of points in view that lie at the depth of the last frame, not behind it, to 2%;
    and of the colour difference of those."""
    h, w = batch.camera.hw
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    shares, colours = [], []
    for clip in range(len(batch.video)):
        K, pose = batch.camera.K[clip], batch.camera.world_from_cam[clip]
        local = torch.linalg.inv(K[0]) @ pixels * batch.depth[clip, 0].flatten()
        later = cam_from_world[clip, -1, :3, :3] @ (pose[0, :3, :3] @ local + pose[0, :3, 3:])
        later = later + cam_from_world[clip, -1, :3, 3:]
        seen = K[-1] @ later
        grid = (torch.stack([seen[0] / seen[2] / w, seen[1] / seen[2] / h], -1) * 2 - 1)[None, None]
        inside = (later[2] > 0.05) & (grid[0, 0].abs() < 0.97).all(-1)
        if inside.sum() < 200:
            shares.append(0.0)
            continue
        depth = torch.nn.functional.grid_sample(
            batch.depth[clip, -1][None, None], grid, mode="nearest", align_corners=False
        )[0, 0, 0]
        found = inside & ((depth / later[2]).log().abs() < 0.05)
        hidden = inside & (depth < 0.95 * later[2])
        shares.append(float(found.sum() / (inside & ~hidden).sum().clamp_min(1) * (inside.float().mean() > 0.1)))
        there = torch.nn.functional.grid_sample(batch.video[clip, :, -1][None], grid, align_corners=False)[0, :, 0]
        colours.append(float((there - batch.video[clip, :, 0].flatten(1))[:, found].abs().median()))
    return float(torch.tensor(shares).median()), float(torch.tensor(colours).median())


def test_near_depth_is_the_first_quartile_of_the_depth():
    batch = render_world(SEEDS[:3], frames=3, hw=(32, 32))
    closer = (batch.depth <= batch.near_depth[..., None, None]).float().mean((2, 3))
    assert ((closer - 0.25).abs() < 0.01).all()


@pytest.mark.parametrize("motion", TRIPOD)
def test_a_tripod_stays_where_it_is(motion):
    camera = _cameras(motion)
    assert _moved(camera).max() == 0
    assert (_turned(camera).max() == 0) == (motion in ("still", "zoom"))
    if motion in ("still", "rotation"):
        assert _zoomed(camera).max() == 0
    if motion == "zoom":
        assert _zoomed(camera).min() > 0.1


def test_a_pan_that_stops_stands_still_at_the_end():
    camera = _cameras("pan and stop")
    steps = (camera.rotation[:, 1:] - camera.rotation[:, :-1]).abs().amax((2, 3))
    assert (steps[:, -1] < 1e-6).all()
    assert (steps[:, 0] > 1e-6).all()


@pytest.mark.parametrize(("motion", "axis"), [("dolly", 2), ("truck", 0), ("crane", 1)])
def test_a_camera_on_rails_moves_along_its_own_axis(motion, axis):
    camera = _cameras(motion)
    way = (camera.rotation[:, 0].mT @ (camera.center[:, -1] - camera.center[:, 0])[..., None])[..., 0].abs()
    assert (way.argmax(1) == axis).float().mean() > 0.7


def test_an_orbit_keeps_looking_at_one_point():
    """The lines of sight of the first and the last frame pass each other closely, in front of both."""
    camera = _cameras("orbit")
    a, b = camera.center[:, 0], camera.center[:, -1]
    far = (b - a).norm(dim=1) > 0.1
    u, v = camera.rotation[:, 0, :, 2], camera.rotation[:, -1, :, 2]
    across = torch.linalg.cross(u, v)
    apart = ((b - a) * torch.nn.functional.normalize(across, dim=-1)).sum(-1).abs()
    assert (apart[far] < 0.5 * (b - a).norm(dim=1)[far]).all()


def test_a_walker_bobs_and_a_hand_shakes():
    walk, held = _cameras("walk", frames=17), _cameras("handheld", frames=17)
    height = walk.center[..., 1] - torch.lerp(walk.center[:, :1, 1], walk.center[:, -1:, 1], torch.linspace(0, 1, 17))
    assert height.std(1).median() > 0.002
    assert (_turned(held) > 1e-4).all() and (_moved(held) > 1e-4).all()


def test_no_camera_enters_the_ground_or_a_solid():
    batch = render_world(range(TEST, TEST + 40), frames=5, hw=(8, 8))
    assert batch.depth.min() > 0.02
    assert (batch.near_depth > 0.05).all()


def test_fields_of_view_and_motion_cover_what_people_film():
    batch = render_world(range(TEST, TEST + 160), frames=9, hw=(8, 8))
    fov = torch.rad2deg(batch.camera.fov[..., 0])
    assert fov.min() < 37 and fov.max() > 108
    still = ((_moved(batch.camera) == 0) & (_turned(batch.camera) == 0)).float().mean()
    assert 0.03 < still < 0.25
    assert 0.05 < (_moved(batch.camera) / batch.near_depth[:, 0]).median() < 0.6
    assert 0.06 < (_zoomed(batch.camera) > 0.01).float().mean() < 0.25
    sky = (batch.depth[:, 0] > 999).float().mean((1, 2))
    assert 0.2 < (sky > 0.05).float().mean() < 0.8  # under the sky, and not


def test_sides_must_fit_the_tiles():
    with pytest.raises(ValueError, match="multiples of 8"):
        render_world(SEEDS[:1], frames=1, hw=(60, 64))


def test_shares_must_fit_the_names():
    with pytest.raises(ValueError, match="place_shares needs"):
        WorldConfig(place_shares=(1.0,))


@pytest.mark.by_hand  # a compiler's minutes
def test_the_compiled_way_makes_the_same_pictures():
    """Every clip of a batch, and of a batch of another size without compiling again."""
    plain = render_world(SEEDS[:5], frames=7, hw=(16, 24))
    with torch._dynamo.config.patch(error_on_recompile=True):
        fast = render_world(SEEDS[:5], frames=7, hw=(16, 24), fast=True)
        other = render_world(SEEDS[:6], frames=9, hw=(24, 16), fast=True)
    assert (fast.video - plain.video).abs().max() < 1e-3
    assert (fast.depth / plain.depth - 1).abs().max() < 1e-4
    assert other.video.shape == (6, 3, 9, 24, 16)


@pytest.mark.parametrize("place", PLACES)
def test_all_that_a_shot_is_made_of_is_made_on_its_device(place):
    """On a device where nothing is computed, tensors of another one are refused."""
    meta = torch.device("meta")
    kit = _on(_banks("test"), meta).kit
    with meta:
        draws, building = Draws.of_seeds(SEEDS[:2], 2, meta)
        focus = torch.ones(2)
        motion = draw_motion(draws, focus, 9, 8.0)
        fov = draw_fov(draws, motion.kind, 9, (40.0, 100.0))
        made = PLACES[place].make(kit, building, fov[:, 0])
        made, poses = _clear(made, motion, focus)
        light = draw_light(draws, made.ground, made.ceiling, _banks("test").materials)
        made_of = [*made.solids, *made[1:], *light.view, *light[2:], *draw_film(draws), poses]
    assert all(part.device == meta for part in made_of)


def test_a_vae_is_fitted_to_sets_of_scenes_in_turn():
    config = TrainConfig(name="vae", steps=1, frames=5, hw=(16, 16))
    seeds = range(TEST, TEST + 16)
    (rooms, _), (world, raxels) = raxel_and_video_clips(config, seeds, sets=("room", "world"))
    assert torch.equal(rooms, render_scenes(seeds[:8], frames=5, hw=(16, 16)).video)
    assert torch.equal(world, render_world(seeds[8:], frames=5, hw=(16, 16)).video)
    assert raxels.shape[:3] == (8, 3, 5)
    with pytest.raises(ValueError, match="no scenes called cave"):
        next(raxel_and_video_clips(config, seeds, sets=("cave",)))

"""Plücker maps in the place of raxels, the paper's ablation: the code, the pipeline on a model that knows its clip, and
the network with pictures whose camera is not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.latents.statistics import LatentStatistics
from raxel_core.pipeline import Settings, Source, estimate_cameras, generate_joint, generate_video
from raxel_core.raxel_model import RaxelModel, load_model
from raxel_core.raxels import encode_raxels, plucker_maps, raxels_of_plucker
from raxel_core.recipe import METADATA_KEY
from raxel_core.weights.checkpoint import save_checkpoint
from tests.oracle import FRAMES, HW, moving_clip, oracle_model
from tests.small_checkpoint import CONFIG, small_recipe, small_transformer, small_vae

SMALL = replace(CONFIG, ray_representation="plucker")
SETTINGS = Settings(steps=2, ray_steps=2)


def path(turn: float = 0.0, frames: int = 9) -> Camera:
    """A camera that drives along x and z, and turns."""
    time = torch.linspace(0, 1, frames)[:, None]
    rotation = se3.exp(time * torch.tensor([[0.0, turn, 0.0, 0.0, 0.0, 0.0]]))[:, :3, :3]
    center = time * torch.tensor([[0.6, 0.0, 0.3]])
    return Camera(se3.from_rotation_translation(rotation, center), K_from_fov(1.0, (64, 96)), (64, 96))


def test_a_map_is_the_direction_and_the_moment_of_each_ray() -> None:
    """By hand: a camera at (2, 0, 0) seen from one at the origin; the middle ray (0, 0, 1) has moment (0, -2, 0)."""
    world_from_cam = torch.eye(4).repeat(2, 1, 1)
    world_from_cam[1, 0, 3] = 2.0
    camera = Camera(world_from_cam, torch.tensor([[3.0, 0.0, 1.5], [0.0, 3.0, 1.5], [0.0, 0.0, 1.0]]), (3, 3))
    maps = plucker_maps(camera, (3, 3))
    assert maps.shape == (6, 2, 3, 3)
    assert torch.allclose(maps[:, 1, 1, 1], torch.tensor([0.0, 0.0, 1.0, 0.0, -2.0, 0.0]))
    assert torch.allclose(maps[3:, 0], torch.zeros(3, 3, 3))


@pytest.mark.parametrize(("turn", "between"), [(0.0, 1e-5), (0.4, 5e-3)])
def test_maps_of_every_fourth_frame_give_the_raxels_of_all(turn: float, between: float) -> None:
    camera = path(turn)
    maps = 3.0 * plucker_maps(camera, (8, 12))[:, ::4]  # a multiple is the same line
    found, expected = raxels_of_plucker(maps, torch.arange(9) / 4.0), encode_raxels(camera, (8, 12))
    assert torch.allclose(found[:, ::4], expected[:, ::4], atol=1e-5)
    assert torch.allclose(found, expected, atol=between)


@pytest.mark.parametrize("reference", [0, 4])
def test_the_pipeline_reads_the_cameras_that_the_network_knows(reference: int) -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera, reference=reference, representation="plucker")
    sources = [Source(video[:, reference], reference)] if reference else []
    found = estimate_cameras(model, video, SETTINGS, sources=sources).trajectory.camera
    truth = camera.relative_to(camera[reference])
    assert float(se3.geodesic(found.rotation, truth.rotation)[[0, -1]].max()) < 1e-3
    assert torch.allclose(found.center[[0, -1]], truth.center[[0, -1]], atol=1e-3)
    # between two maps the truth curves a little, and the way goes straight
    assert float(se3.geodesic(found.rotation, truth.rotation).max()) < 0.02


def test_the_pipeline_films_along_a_path_and_gives_the_network_its_maps() -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera, representation="plucker")
    made = generate_video(model, [Source(video[:, 0], 0)], Trajectory(camera, fps=8.0, unit="near_depth"), SETTINGS)
    assert made.shape == video.shape and torch.allclose(made, video, atol=1e-3)
    question = model.transformer.questions[0]
    assert torch.equal(question["rays"], model.transformer.rays) and not question["ray_sigma"].any()


def test_known_cameras_stand_beside_their_pictures() -> None:
    """Pictures of frames 0, 2 and 4, of which 0 and 4 have cameras: those two come first, with a map each."""
    video, camera = moving_clip()
    model = oracle_model(video, camera, representation="plucker")
    sources = [Source(video[:, n], n, camera[n] if n != 2 else None) for n in (0, 2, 4)]
    generate_joint(model, sources, SETTINGS, frames=FRAMES)
    question = model.transformer.questions[0]
    shown = (question["video_time"].shape[-1] - 3, question["ray_time"].shape[-1])
    assert shown == (2, 4)
    assert torch.equal(question["video_time"][..., :4], question["ray_time"])
    assert HW == (32, 48) and question["rays"].shape[1:] == (6, 4, 4, 6)


def test_a_plucker_checkpoint_loads_and_runs(tmp_path: Path) -> None:
    recipe = replace(small_recipe(), ray_statistics=LatentStatistics((0.0,) * 6, (0.5,) * 6))
    file = tmp_path / "plucker.safetensors"
    save_checkpoint(file, small_transformer(0, SMALL), SMALL, metadata={METADATA_KEY: recipe.to_json()})
    model = load_model(file, vae=small_vae())
    assert model.latent_shapes(9, (64, 96)) == ((48, 3, 8, 12), (6, 3, 8, 12))
    trajectory = Trajectory(path(0.3), fps=8.0, unit="near_depth")
    made = generate_video(model, [Source(torch.zeros(3, 64, 96), 0)], trajectory, SETTINGS)
    other = generate_video(model, [Source(torch.zeros(3, 64, 96), 0)], replace(trajectory, camera=path(-0.3)), SETTINGS)
    assert made.shape == (3, 9, 64, 96) and float((made - other).abs().max()) > 1e-4
    with pytest.raises(ValueError, match="network and recipe differ in channels of the rays: .*6.*48"):
        RaxelModel(model.transformer, model.vae, small_recipe())


def test_a_picture_without_a_camera_has_a_map_that_says_nothing() -> None:
    """The network fills the missing map with zeros at noise level 1: given by hand, it is the same to the bit."""
    network = small_transformer(0, SMALL)
    generator = torch.Generator().manual_seed(5)
    video, maps = (torch.randn(1, c, 4, 2, 3, generator=generator) for c in (48, 6))
    time, levels = torch.tensor([0.0, 1.0, 2.0, 0.5]), torch.full((1, 4), 0.5)
    maps[:, :, 3] = 0.0
    full_levels = levels.clone()
    full_levels[:, 3] = 1.0
    short = network(video, maps[:, :, :3], levels, levels[:, :3], video_time=time, ray_time=time[:3])
    full = network(video, maps, levels, full_levels, video_time=time, ray_time=time)
    assert torch.equal(short[0], full[0]) and torch.equal(short[1], full[1][:, :, :3])

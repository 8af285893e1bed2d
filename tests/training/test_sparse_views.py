"""Sparse views: their rays and crops fit their pictures, cameras look at one place from apart, seeds decide all."""

from __future__ import annotations

import pytest
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.pytorch3d import pixels_from_ndc
from raxel_core.geometry.rays import pixel_grid
from raxel_core.ray_diffusion.objective import SyntheticViews, scene_rays
from raxel_core.ray_diffusion.scene import scene_frame
from raxel_core.training.sparse_views import SCENES, ViewConfig, render_views
from raxel_core.training.synthetic import SPLITS
from tests.ray_diffusion.test_network import SMALL


@pytest.mark.parametrize("scenes", list(SCENES))
def test_a_scene_is_a_function_of_its_seed(scenes):
    pair = render_views(range(3, 5), views=3, px=32, grid=8, scenes=scenes)
    alone = render_views([4], views=3, px=32, grid=8, scenes=scenes)
    assert pair.images.shape == (2, 3, 3, 32, 32)
    torch.testing.assert_close(pair.images[1:], alone.images, rtol=0, atol=1e-5)
    torch.testing.assert_close(pair.camera.world_from_cam[1:], alone.camera.world_from_cam, rtol=0, atol=1e-6)
    assert float(pair.images.std()) > 0.1


@pytest.mark.parametrize("scenes", list(SCENES))
def test_cameras_look_at_one_place_from_apart(scenes):
    views = render_views(range(20, 28), views=6, px=16, grid=8, scenes=scenes)
    spreads = []
    for camera in (views.camera[i] for i in range(8)):
        scene = scene_frame(camera).camera
        # Axes miss the scene's origin by little of their distance: cameras aim within 5 degrees of it.
        miss = torch.linalg.cross(scene.rotation[..., 2], scene.center, dim=-1).norm(dim=-1) / scene.center.norm(dim=-1)
        assert float(miss.max()) < 0.3
        spreads.append(float(se3.geodesic(scene.rotation[:1], scene.rotation).max().rad2deg()))
    assert sum(spread > 15 for spread in spreads) >= 6 and max(spreads) > 40


def test_crops_say_where_they_lie_in_the_picture():
    # The same ray by the crop's camera and by the whole picture's: NDC times one focal length for all views.
    views = render_views([5], views=4, px=32, grid=8, config=ViewConfig(crop=(0.6, 0.9)))
    hw = (200, 200)
    pixels = pixels_from_ndc(views.ndc[0].movedim(1, -1), hw).double()
    slopes = []
    for n in range(4):
        K = views.camera.K[0, n].double()
        cells = pixel_grid((8, 8), dtype=torch.float64) * 4
        inside = (cells - K[:2, 2]) / K.diagonal()[:2]
        whole = (pixels[n] - 100.0) / inside
        slopes.append(whole)
        torch.testing.assert_close(whole, whole.mean().expand_as(whole), rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(torch.stack(slopes).std(), torch.zeros((), dtype=torch.float64), rtol=0, atol=0.05)


def test_a_run_sees_each_scene_once_and_both_kinds():
    source = SyntheticViews(SMALL, world_share=0.5)
    firsts = [source.scenes(number, 1, 2).images for number in range(6)]
    assert not any(torch.equal(a, b) for i, a in enumerate(firsts) for b in firsts[:i])
    batch = source.scenes(0, 2, 3)
    rays = scene_rays(batch.camera, 8)
    torch.testing.assert_close(rays[:, :, :3].norm(dim=2), torch.ones(2, 3, 8, 8), rtol=0, atol=1e-5)


def test_a_quarter_turn_about_a_symmetric_room_changes_no_picture():
    quarter = se3.so3_exp(torch.tensor([0.0, torch.pi / 2, 0.0]))
    lens = torch.tensor([[32.0, 0, 16], [0, 32, 16], [0, 0, 1]])

    def aim(focus, free):
        middle = torch.stack((torch.zeros_like(focus), torch.zeros_like(focus), focus), 1)
        first = torch.eye(4).repeat(2, 1, 1)
        first[:, :3, :3] = se3.so3_exp(torch.tensor([0.0, 0.3, 0.0]))
        turned = se3.from_rotation_translation(
            quarter @ first[:, :3, :3], middle + (quarter @ (first[:, :3, 3] - middle)[..., None])[..., 0]
        )
        return torch.stack((first, turned), 1), lens.expand(2, 2, 3, 3)

    images, _, depth = SCENES["symmetric"](range(2), aim, hw=(32, 32))
    torch.testing.assert_close(images[:, :, 0], images[:, :, 1], rtol=0, atol=1e-3)
    assert float(images[:, :, 0].std()) > 0.05 and float(depth.std()) > 0.2
    plain, _, _ = SCENES["room"](range(2), aim, hw=(32, 32))
    assert float((plain[:, :, 0] - plain[:, :, 1]).abs().mean()) > 0.1


def test_scenes_of_another_name_and_mixed_splits_are_refused():
    with pytest.raises(ValueError, match="room or world or symmetric, got 'sea'"):
        render_views([1], views=2, px=16, grid=8, scenes="sea")
    with pytest.raises(ValueError, match="split"):
        render_views([1, SPLITS["test"].start], views=2, px=16, grid=8)

"""Synthetic scenes: a function of the seed, and cameras that explain the pictures exactly."""

from __future__ import annotations

import pytest
import torch

from raxel_core.training.synthetic import EASY_SCENES, PATH_KINDS, SCENES, SPLITS, SceneConfig, render_scenes

SEEDS = list(range(SPLITS["test"].start, SPLITS["test"].start + 6))


def test_a_clip_is_a_function_of_its_seed():
    together = render_scenes(SEEDS[:3], frames=5, hw=(32, 32))
    alone = render_scenes(SEEDS[1:2], frames=5, hw=(32, 32))
    assert torch.equal(together.video[1], alone.video[0])
    assert torch.equal(together.camera.world_from_cam[1], alone.camera.world_from_cam[0])
    assert not torch.equal(together.video[0], together.video[1])


def test_splits_share_no_seed_and_no_texture():
    from raxel_core.training.synthetic import _bank

    spans = list(SPLITS.values())
    assert all(a.stop <= b.start for a, b in zip(spans, spans[1:], strict=False))
    assert not torch.equal(_bank("validation").texels[0], _bank("test").texels[0])
    with pytest.raises(ValueError, match="do not all lie in one split"):
        render_scenes([0, SPLITS["test"].start], frames=1)


@pytest.mark.parametrize("config", [SCENES, EASY_SCENES])
def test_poses_depth_and_focal_carry_one_frame_onto_another(config):
    """Unproject frame 0 with its depth and K, project into a later frame, compare colours: a wrong axis, pixel centre,
    transform direction or depth definition moves the pixels apart. Light does not depend on the view, so colours agree
    up to resampling, and of what the later frame shows nearly all has the depth it should have; the same test with the
    later pose inverted must do far worse."""
    batch = render_scenes(SEEDS, frames=5, hw=(96, 96), config=config)
    right, seen = _reprojection_error(batch, torch.linalg.inv(batch.camera.world_from_cam))
    wrong, _ = _reprojection_error(batch, batch.camera.world_from_cam)
    assert right < 0.035 and seen > 0.85
    assert wrong > 2.5 * right


def _reprojection_error(batch, cam_from_world):
    """Median over clips of the median absolute colour difference of the pixels both frames see, and the mean share of
    those in the later frame's view that it sees at their depth."""
    h, w = batch.camera.hw
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    errors, shares = [], []
    for clip in range(len(batch.video)):
        K, world_from_cam = batch.camera.K[clip], batch.camera.world_from_cam[clip]
        local = torch.linalg.inv(K[0]) @ pixels * batch.depth[clip, 0].flatten()
        world = world_from_cam[0, :3, :3] @ local + world_from_cam[0, :3, 3:]
        later = cam_from_world[clip, 2, :3, :3] @ world + cam_from_world[clip, 2, :3, 3:]
        seen = K[2] @ later
        grid = torch.stack([seen[0] / seen[2] / w, seen[1] / seen[2] / h], -1) * 2 - 1
        options = {"align_corners": False, "padding_mode": "border"}
        colours = torch.nn.functional.grid_sample(batch.video[clip, :, 2][None], grid[None, None], **options)[0, :, 0]
        depth = torch.nn.functional.grid_sample(batch.depth[clip, 2][None, None], grid[None, None], **options)[0, 0, 0]
        inside = (seen[2] > 0.1) & (grid.abs() < 0.98).all(-1)
        visible = inside & ((depth - later[2]).abs() < 0.05 * later[2])
        shares.append(visible.sum() / inside.sum().clamp_min(1))
        if visible.sum() > 500:
            errors.append((colours - batch.video[clip, :, 0].flatten(1))[:, visible].abs().median())
        else:
            errors.append(torch.tensor(1.0))
    return torch.stack(errors).median().item(), torch.stack(shares).mean().item()


def test_near_depth_is_the_first_quartile_of_the_depth():
    batch = render_scenes(SEEDS[:2], frames=3, hw=(32, 32))
    closer = (batch.depth <= batch.near_depth[..., None, None]).float().mean((2, 3))
    assert ((closer - 0.25).abs() < 0.01).all()


def test_path_kinds_do_what_they_say():
    def only(kind):
        shares = tuple(float(name == kind) for name in PATH_KINDS)
        return render_scenes(SEEDS, frames=5, hw=(16, 16), config=SceneConfig(kind_shares=shares)).camera

    truck, pan = only("truck"), only("pan")
    turned = (truck.rotation[:, :1].mT @ truck.rotation - torch.eye(3)).abs().amax((1, 2, 3))
    assert turned.median() < 1e-5  # the clips with hand shake are a minority
    moved = (pan.center - pan.center[:, :1]).norm(dim=-1).amax(1)
    assert moved.median() < 1e-5


def test_fields_of_view_cover_the_stated_range_and_some_clips_zoom():
    camera = render_scenes(range(200), frames=2, hw=(16, 16)).camera
    fov = torch.rad2deg(camera.fov[..., 0])
    assert fov.min() < 45 and fov.max() > 95
    zooms = ((camera.K[:, 1, 0, 0] / camera.K[:, 0, 0, 0]).log().abs() > 1e-3).float().mean()
    assert 0.05 < zooms < 0.2

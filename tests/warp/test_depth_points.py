"""Points of a picture with depth: followed along a path, against ray-traced frames, and written as COLMAP's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from raxel_core.camera_io import read_cameras, write_estimate
from raxel_core.geometry.camera import Camera, K_from_focal
from raxel_core.geometry.estimate import estimate_of
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.training.synthetic import SPLITS, render_scenes
from raxel_core.warp.depth_map import DepthMap
from raxel_core.warp.depth_points import depth_points
from raxel_core.warp.point_tracks import ATI_SAMPLES, ati_text, point_tracks

HW = (24, 40)


def path(centers, unit="arbitrary"):
    motion = torch.eye(4, dtype=torch.float64).repeat(len(centers), 1, 1)
    motion[:, :3, 3] = torch.tensor(centers, dtype=torch.float64)
    K = K_from_focal(torch.tensor((60.0, 60.0)), torch.tensor((HW[1] / 2, HW[0] / 2))).double()
    return Trajectory(Camera(motion, K, HW), unit=unit)


def scene():
    """A ray-traced room, its true cameras and the true depth of every frame."""
    made = render_scenes([SPLITS["test"][5]], frames=5, hw=(120, 208))
    return made, Trajectory(made.camera[0], unit="arbitrary")


def test_a_wall_moves_by_f_t_over_z_and_what_leaves_is_out_of_sight():
    """60 * 0.5 / 3: a camera 0.5 to the right sees a wall 3 away 10 pixels to the left."""
    tracks = point_tracks(DepthMap(torch.full(HW, 3.0)), path([(0, 0, 0), (0.5, 0, 0)]), HW, count=60)
    assert 50 <= tracks.pixel.shape[1] <= 70
    torch.testing.assert_close(tracks.pixel[1], tracks.pixel[0] + torch.tensor((-10.0, 0.0)))
    assert bool(tracks.visible[0].all())
    assert torch.equal(tracks.visible[1], tracks.pixel[1, :, 0] >= 0.0)
    assert not bool(tracks.visible[1].all())


def test_a_point_behind_a_nearer_one_is_out_of_sight():
    """A post at 1 stands before a wall at 3, in columns 20 to 29; 0.1 to the right it moves 6 pixels to the left and the
    wall 2, so that it hides the wall's columns 16 to 19 and bares none that had a point."""
    depth = torch.full(HW, 3.0)
    depth[:, 20:30] = 1.0
    tracks = point_tracks(DepthMap(depth), path([(0, 0, 0), (0.1, 0, 0)]), HW, count=HW[0] * HW[1])
    start, wall = tracks.pixel[0].floor().long(), tracks.position[:, 2] > 2.0
    behind = wall & (start[:, 0] >= 16) & (start[:, 0] < 20)
    left = tracks.pixel[1, :, 0] < 0.0
    assert int(behind.sum()) > 40
    assert torch.equal(~tracks.visible[1], behind | left)


def test_ray_traced_frames_agree_on_where_points_are_and_whether_they_are_seen():
    """A followed point's depth is that of the true frame at its pixel where it is in sight, and farther where it is
    hidden."""
    made, move = scene()
    tracks = point_tracks(DepthMap(made.depth[0, 0]), move, (120, 208), count=400)
    own = move.relative_to(0).camera
    seen_right, hidden_right = [], []
    for frame in range(1, 5):
        inverse = torch.linalg.inv(own.world_from_cam[frame].double())
        z = (tracks.position @ inverse[:3, :3].mT + inverse[:3, 3])[:, 2]
        x, y = tracks.pixel[frame].floor().long().unbind(-1)
        inside = (z > 0) & (x >= 0) & (x < 208) & (y >= 0) & (y < 120)
        true = made.depth[0, frame][y.clamp(0, 119), x.clamp(0, 207)].double()
        visible = tracks.visible[frame]
        assert not bool((visible & ~inside).any())
        seen_right.append(((z / true - 1.0).abs() < 0.05)[visible])
        hidden_right.append((z > true * 1.02)[inside & ~visible])
    assert float(torch.cat(seen_right).double().mean()) > 0.97
    assert len(torch.cat(hidden_right)) == 0 or float(torch.cat(hidden_right).double().mean()) > 0.8


def test_atis_text_has_121_samples_and_ends_where_a_point_is_lost():
    """10 pixels in 80 frames are 1/12 pixel a sample; a wall point of column 4 leaves after 40% of the way."""
    centers = [(0.5 * frame / 80, 0, 0) for frame in range(81)]
    tracks = point_tracks(DepthMap(torch.full(HW, 3.0)), path(centers), HW, count=60)
    found = json.loads(ati_text(tracks))
    assert len(found) == tracks.pixel.shape[1]
    stays, leaves = int(tracks.pixel[0, :, 0].argmax()), int(tracks.pixel[0, :, 0].argmin())
    assert len(found[stays]) == ATI_SAMPLES
    assert found[stays][60]["x"] == pytest.approx(float(tracks.pixel[0, stays, 0]) - 5.0, abs=0.01)
    gone_after = float(tracks.pixel[0, leaves, 0]) / 10.0 * (ATI_SAMPLES - 1)
    assert len(found[leaves]) == pytest.approx(gone_after, abs=2.0)


def test_a_stills_points_are_seen_where_the_cameras_see_them(tmp_path):
    made, move = scene()
    image = (made.video[0, :, 0] + 1.0) / 2.0
    points = depth_points(image, DepthMap(made.depth[0, 0]), move, count=300)
    assert 200 < len(points) < 400
    camera = move.camera
    inverse = torch.linalg.inv(camera.world_from_cam.double())[points.seen_by]
    local = (inverse[:, :3, :3] @ points.position[points.seen][..., None]).squeeze(-1) + inverse[:, :3, 3]
    pixel = (camera.K.double()[points.seen_by] @ local[..., None]).squeeze(-1)
    torch.testing.assert_close(pixel[:, :2] / pixel[:, 2:], points.pixel, atol=1e-2, rtol=0)
    first = points.seen_by == 0
    x, y = points.pixel[first].floor().long().unbind(-1)
    assert torch.equal(points.colour[points.seen[first]], (image[:, y, x] * 255.0).round().to(torch.uint8).T)
    write_estimate(replace(estimate_of(move, "depth"), points=points), tmp_path / "model", format="colmap")
    lines = (tmp_path / "model" / "points3D.txt").read_text(encoding="utf-8").splitlines()
    assert sum(not line.startswith("#") for line in lines) == len(points)
    assert len(read_cameras(tmp_path / "model").trajectory) == len(move)


def test_a_clips_points_lie_on_the_true_surfaces():
    """Every camera's own depth: the points of camera 3 come to the true depth of frame 0 where that sees them."""
    made, move = scene()
    clip = (made.video[0] + 1.0) / 2.0
    points = depth_points(clip, [DepthMap(each) for each in made.depth[0]], move, count=500)
    assert points.seen_by.bincount().tolist() == [100] * 5
    inverse = torch.linalg.inv(move.camera.world_from_cam[0].double())
    chosen = points.seen_by == 3
    local = points.position[points.seen[chosen]] @ inverse[:3, :3].mT + inverse[:3, 3]
    pixel = local @ move.camera.K[0].double().mT
    x, y = (pixel[:, :2] / pixel[:, 2:]).floor().long().unbind(-1)
    inside = (local[:, 2] > 0) & (x >= 0) & (x < 208) & (y >= 0) & (y < 120)
    ratio = local[inside, 2] / made.depth[0, 0][y[inside], x[inside]].double()
    assert float((ratio > 0.97).double().mean()) > 0.95  # on a surface or behind one, never before it
    assert float(((ratio - 1.0).abs() < 0.03).double().mean()) > 0.6


def test_points_that_can_not_be_are_refused():
    move = path([(0, 0, 0), (0.1, 0, 0)])
    with pytest.raises(ValueError, match="at least one point"):
        point_tracks(DepthMap(torch.ones(HW)), move, HW, count=0)
    with pytest.raises(ValueError, match="got 3 pictures and 3 depth maps for 2 frames"):
        depth_points(torch.zeros(3, 3, *HW), [DepthMap(torch.ones(HW))] * 3, move)

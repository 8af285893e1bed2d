"""Point splatting: identity and whole-pixel shifts exactly, holes of a width worked by hand, a splatter of plain loops,
and ray-traced scenes whose later frames are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.plan import make_move
from raxel_core.training.synthetic import SPLITS, render_scenes
from raxel_core.warp.depth_map import DEPTH_KINDS, DepthMap, depth_from_picture, depths_from_geometry
from raxel_core.warp.point_splat import (
    DEPTH_TOLERANCE,
    JOINED_TOLERANCE,
    STRETCH,
    SUBPIXEL,
    WIDEST,
    WINDOWS,
    on_edge,
    warp,
)


def picture(hw, seed=0, dtype=torch.float32):
    """Noise [3, H, W]: any pixel in a wrong place shows."""
    return torch.rand(3, *hw, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def path(centers, hw, focal, rotations=None, unit="arbitrary"):
    """A trajectory with square pixels of `focal` and these camera centres."""
    motion = torch.eye(4, dtype=torch.float64).repeat(len(centers), 1, 1)
    motion[:, :3, 3] = torch.tensor(centers, dtype=torch.float64)
    if rotations is not None:
        motion[:, :3, :3] = rotations
    K = torch.tensor([[focal, 0, hw[1] / 2], [0, focal, hw[0] / 2], [0, 0, 1]], dtype=torch.float64)
    return Trajectory(Camera(motion, K, hw), unit=unit)


# ------------------------------------------------------------------------------------------------ worked by hand


def test_a_camera_that_stands_still_sees_the_picture_to_the_bit():
    hw = (48, 64)
    depth = 1.0 + 3.0 * torch.rand(hw, generator=torch.Generator().manual_seed(1))
    for unit in ("arbitrary", "near_depth", "metre"):
        still = path([(5.0, 2.0, -1.0)] * 2, hw, 50.0, unit=unit)
        made = warp(picture(hw), DepthMap(depth), still, edge_threshold=0.0)
        assert torch.equal(made.video, picture(hw)[:, None].expand(-1, 2, -1, -1))
        assert not bool(made.holes.any())


def test_a_plane_seen_from_the_side_moves_by_f_t_over_z():
    """f = 60, Z = 3: a camera 0.25 to the right sees the plane 60 * 0.25 / 3 = 5 pixels to the left, and the five columns
    on the right, which the picture does not show, are holes."""
    hw = (20, 40)
    made = warp(picture(hw), DepthMap(torch.full(hw, 3.0)), path([(0, 0, 0), (0.25, 0, 0)], hw, 60.0))
    assert torch.equal(made.video[:, 1, :, :-5], picture(hw)[:, :, 5:])
    assert torch.equal(made.holes[1].sum(0), torch.tensor([0.0] * 35 + [20.0] * 5))
    up = warp(picture(hw), DepthMap(torch.full(hw, 3.0)), path([(0, 0, 0), (0, -0.25, 0)], hw, 60.0))
    assert torch.equal(up.video[:, 1, 5:], picture(hw)[:, :-5])


def test_near_points_win_and_a_hole_opens_behind_them():
    """f = 60, t = 0.2 to the right: columns 20 to 29 at Z = 2 move 6 pixels left, the wall at Z = 6 moves 2. So the near
    strip covers columns 14 to 23, and from 24 to 27, f t (1/2 - 1/6) = 4 pixels on its right, nothing is known."""
    hw = (8, 48)
    image, depth = picture(hw), torch.full(hw, 6.0)
    depth[:, 20:30] = 2.0
    made = warp(image, DepthMap(depth), path([(0, 0, 0), (0.2, 0, 0)], hw, 60.0), hole_colour=(1.0, 0.0, 1.0))
    seen, holes = made.video[:, 1], made.holes[1]
    assert torch.equal(seen[:, :, 14:24], image[:, :, 20:30])
    assert torch.equal(seen[:, :, :14], image[:, :, 2:16])
    assert torch.equal(seen[:, :, 28:46], image[:, :, 30:48])
    assert bool(holes[:, 24:28].all()) and bool(holes[:, 46:].all())
    assert float(holes.sum()) == 8 * (4 + 2)
    assert torch.equal(seen[:, :, 24:28].flatten(1).unique(dim=1), torch.tensor([[1.0], [0.0], [1.0]]))


@pytest.mark.parametrize("zoom", [1.02, 1.25, 1.5, 1.9, 2.7, 5.5])
def test_a_plane_that_comes_nearer_has_no_pinholes(zoom):
    """From Z = 3 the camera drives to 3 / zoom before the plane; a roll of 30 degrees on top turns the grid."""
    hw, angle = (60, 90), math.radians(30.0)
    roll = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    centers, rotations = [(0, 0, 0), (0, 0, 3 - 3 / zoom)], torch.stack((torch.eye(3), torch.eye(3)))
    made = warp(picture(hw), DepthMap(torch.full(hw, 3.0)), path(centers, hw, 70.0, rotations.double()))
    assert not bool(made.holes[1].any())
    if zoom > 1.9:  # the corners of the picture stay outside the turned frame
        turned = path(centers, hw, 70.0, torch.stack((torch.eye(3), roll)).double())
        assert not bool(warp(picture(hw), DepthMap(torch.full(hw, 3.0)), turned).holes[1].any())


def test_a_slanted_wall_is_closed_and_a_gap_between_surfaces_is_not():
    hw = (30, 60)
    slope = torch.linspace(2.0, 4.0, 60).expand(hw)
    moved = path([(0, 0, 0), (-0.4, 0, 0)], hw, 60.0)
    closed = warp(picture(hw), DepthMap(slope), moved).holes[1]
    # The near, left end moves f t / z = 12 pixels to the right, so only the columns before it are unknown.
    assert torch.equal(closed.sum(0) > 0, torch.arange(60) < 12)
    step = torch.where(torch.arange(60) < 30, 2.0, 4.0).expand(hw)
    moved = path([(0, 0, 0), (0.4, 0, 0)], hw, 60.0)
    opened = warp(picture(hw), DepthMap(step), moved).holes[1]
    # The near half moves 12 to the left, the far half 6: six pixels open between them.
    assert torch.equal((opened.sum(0) > 0).nonzero().flatten(), torch.tensor([*range(18, 24), *range(54, 60)]))


def test_what_the_picture_hardly_saw_is_one_clean_hole():
    """Columns 50 to 54 run from Z = 2 to 2 * 1.09^5 in steps of 9%, a surface. With f t = 72 they come apart by 4.0, 3.7,
    3.5, 3.3 and 3.1 pixels, more than 3: those torn on both sides, 50 to 53, are not drawn. Column 49 lands on pixel 13
    (36 to the left) and 54 on 31 (54.5 - 72 / 3.077 = 31.1), and all between them is unknown."""
    hw = (8, 80)
    depth = 2.0 * 1.09 ** (torch.arange(80) - 49).clamp(0, 5).float().expand(hw)
    moved = path([(0, 0, 0), (1.2, 0, 0)], hw, 60.0)
    hole = warp(picture(hw), DepthMap(depth), moved, edge_threshold=0.0).holes[1]
    assert torch.equal(hole[:, :50].sum(0) / 8, ((torch.arange(50) > 13) & (torch.arange(50) < 31)).float())


def test_ramps_across_an_edge_are_dropped_and_sharp_edges_stay():
    depth = torch.full((6, 12), 5.0)
    depth[:, :6] = 1.0
    assert not bool(on_edge(depth, 0.1).any())
    depth[:, 6] = 2.5  # what a network draws between the two
    assert torch.equal(on_edge(depth, 0.1).sum(0), torch.where(torch.arange(12) == 6, 6, 0))
    kept = warp(picture((6, 12)), DepthMap(depth), path([(0, 0, 0)], (6, 12), 20.0), edge_threshold=0.0)
    dropped = warp(picture((6, 12)), DepthMap(depth), path([(0, 0, 0)], (6, 12), 20.0), edge_threshold=0.1)
    assert not bool(kept.holes.any())
    assert torch.equal(dropped.holes[0].sum(0), torch.where(torch.arange(12) == 6, 6.0, 0.0))


def test_unknown_depths_are_holes_in_every_frame():
    depth = torch.full((4, 6), 2.0)
    depth[0, 0], depth[1, 1], depth[2, 2], depth[3, 3] = math.inf, math.nan, 0.0, -1.0
    made = warp(picture((4, 6)), DepthMap(depth), path([(0, 0, 0)], (4, 6), 5.0))
    assert torch.equal(made.holes[0], torch.eye(4, 6))


def test_lengths_in_near_depths_do_not_depend_on_the_depth_maps_unit():
    hw = (24, 32)
    depth = 2.0 + 2.0 * torch.rand(6, 8, generator=torch.Generator().manual_seed(3)).repeat_interleave(
        4, 0
    ).repeat_interleave(4, 1)
    move = make_move("truck", 3, hw=hw, amount=0.2)
    a, b = (warp(picture(hw), DepthMap(depth * scale), move) for scale in (1.0, 128.0))
    assert torch.equal(a.video, b.video)
    metres = replace(move, unit="metre")
    assert not torch.equal(warp(picture(hw), DepthMap(depth), metres).video, a.video)


def test_the_depth_maps_lens_is_used_and_zooms_are_kept():
    """The path says 40 degrees and zooms by 1.5; the geometry says 90. The first frame is the picture all the same, the
    last is magnified 1.5 times, and a truck of 0.1 moves the plane at 1 by f t = 0.1 * 16 pixels of 90 degrees."""
    hw = (24, 32)
    K = K_from_fov(math.radians(40.0), hw).repeat(2, 1, 1)
    K[1, 0, 0], K[1, 1, 1] = K[1, 0, 0] * 1.5, K[1, 1, 1] * 1.5
    still = Trajectory(Camera(torch.eye(4), K, hw), unit="arbitrary")
    depth = DepthMap(torch.ones(hw), K_from_fov(math.radians(90.0), hw))
    made = warp(picture(hw), depth, still)
    torch.testing.assert_close(made.trajectory.camera.focal, torch.tensor([[16.0, 16.0], [24.0, 24.0]]))
    assert torch.equal(made.video[:, 0], picture(hw))
    assert not bool(made.holes.any())
    truck = Trajectory(Camera(torch.eye(4).repeat(2, 1, 1), K[:1], hw), unit="arbitrary")
    motion = truck.camera.world_from_cam.clone()
    motion[1, 0, 3] = 0.125
    moved = warp(picture(hw), depth, replace(truck, camera=replace(truck.camera, world_from_cam=motion)))
    assert torch.equal(moved.video[:, 1, :, :-2], picture(hw)[:, :, 2:])


def test_a_camera_that_looks_away_or_has_driven_through_sees_only_holes():
    hw = (20, 30)
    away = torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64))
    rotations = torch.stack((torch.eye(3, dtype=torch.float64), away, torch.eye(3, dtype=torch.float64)))
    move = path([(0, 0, 0), (0, 0, 0), (0, 0, 3.0)], hw, 20.0, rotations)
    made = warp(picture(hw), DepthMap(torch.full(hw, 3.0)), move, hole_colour=(0.5, 0.5, 0.5))
    assert made.holes.mean((1, 2)).tolist() == [0.0, 1.0, 1.0]
    assert bool((made.video[:, 1:] == 0.5).all())


def test_picture_and_depth_are_cropped_alike():
    """A square picture for a wide video: the middle third of its rows, whose depths go with them."""
    image, depth = picture((36, 36)), 2.0 + torch.rand(36, 36, generator=torch.Generator().manual_seed(2)).round()
    move = path([(0, 0, 0), (0.1, 0, 0)], (12, 36), 20.0)
    whole = warp(image, DepthMap(depth), move)
    cut = warp(image[:, 12:24], DepthMap(depth[12:24]), move)
    assert torch.equal(whole.video, cut.video) and torch.equal(whole.holes, cut.holes)
    K = torch.tensor([[30.0, 0, 18], [0, 30.0, 18], [0, 0, 1]])
    lens = warp(image, DepthMap(depth, K), move).trajectory.camera.K[0]
    torch.testing.assert_close(lens, torch.tensor([[30.0, 0, 18], [0, 30.0, 6], [0, 0, 1]]).to(lens))


def test_no_argument_is_changed_and_bad_input_is_named():
    hw = (8, 12)
    image, depth, move = picture(hw), torch.full(hw, 2.0), path([(0, 0, 0), (0.1, 0, 0)], hw, 10.0)
    before = image.clone(), depth.clone(), move.camera.world_from_cam.clone()
    seen = []
    warp(image, DepthMap(depth), move, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    assert all(torch.equal(a, b) for a, b in zip(before, (image, depth, move.camera.world_from_cam), strict=True))
    with pytest.raises(ValueError, match=r"\[3, height, width\], a clip .*, got \[4, 8, 12\]"):
        warp(torch.zeros(4, 8, 12), DepthMap(depth), move)
    with pytest.raises(
        ValueError, match=r"a depth map of \(12, 12\) pixels, .*, is not that of a picture of \(8, 12\)"
    ):
        warp(image, DepthMap(torch.ones(12, 12)), move)
    with pytest.raises(ValueError, match="no pixel with a positive, finite depth"):
        DepthMap(torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r"\[height, width\]"):
        DepthMap(torch.ones(1, 4, 4))


# ------------------------------------------------------------------------------------------------ an independent splatter


def _joined(a, b) -> bool:
    return max(a, b) <= min(a, b) * (1 + JOINED_TOLERANCE)


def _plain_points(depth: Tensor, trajectory: Trajectory, frame: int) -> dict:
    """(x, y, z, width, height) of every pixel's point in a frame, one at a time in Python's floats."""
    camera, (h, w) = trajectory.camera, depth.shape
    cam_from_first = torch.linalg.inv(camera.world_from_cam[frame]) @ camera.world_from_cam[0]
    K, from_pixels = camera.K[frame].tolist(), torch.linalg.inv(camera.K[0])

    def project(u: float, v: float, z: float) -> tuple[float, float, float]:
        at = cam_from_first[:3, :3] @ (z * (from_pixels @ torch.tensor([u, v, 1.0], dtype=torch.float64)))
        at = (at + cam_from_first[:3, 3]).tolist()
        return K[0][0] * at[0] / at[2] + K[0][2], K[1][1] * at[1] / at[2] + K[1][2], at[2]

    def facing(u: float, v: float, z: float, e: float = 1e-5) -> float:
        """By finite differences of the pixel's area on a plane that faces the first camera."""
        right, left, low, top = project(u + e, v, z), project(u - e, v, z), project(u, v + e, z), project(u, v - e, z)
        area = ((right[0] - left[0]) * (low[1] - top[1]) - (low[0] - top[0]) * (right[1] - left[1])) / (4 * e * e)
        return round(math.sqrt(max(area, 0.0)) * SUBPIXEL) / SUBPIXEL

    at = {}
    for i, j in ((i, j) for i in range(h) for j in range(w)):
        x, y, z = project(j + 0.5, i + 0.5, float(depth[i, j]))
        at[i, j] = (round(x * SUBPIXEL) / SUBPIXEL, round(y * SUBPIXEL) / SUBPIXEL, z)
    face = {(i, j): facing(j + 0.5, i + 0.5, float(depth[i, j])) for i, j in at}

    def closed(a, b) -> bool:
        gap = math.hypot(at[a][0] - at[b][0], at[a][1] - at[b][1])
        return gap <= STRETCH * max(face[a], face[b], 1.0)

    points = {}
    for (i, j), place in at.items():
        sides = [[(i, j - 1), (i, j + 1)], [(i - 1, j), (i + 1, j)]]
        joined = [[k for k in side if k in at and _joined(float(depth[k]), float(depth[i, j]))] for side in sides]
        near = [[at[k] for k in side if closed(k, (i, j))] for side in joined]
        if any(side and not still for side, still in zip(joined, near, strict=True)):
            continue  # torn apart
        size = [sum(max((abs(k[axis] - place[axis]) for k in side), default=0.0) for side in near) for axis in (0, 1)]
        size = [s if all(joined) else max(s, face[i, j]) for s in size]
        points[i, j] = (*place, *(min(max(s, 1.0), WIDEST) for s in size))
    return points


def _plain_touches(x: float, y: float, wide: float, high: float, hw):
    """(row, column, weight, whether the point's box covers it) of the pixels a point touches."""
    n = min(n for n in WINDOWS if 2 * max(wide, high) - 0.5 <= n)
    first_x, first_y = math.floor(x - n / 2 + 0.5), math.floor(y - n / 2 + 0.5)
    for row in range(max(first_y, 0), min(first_y + n, hw[0])):
        for column in range(max(first_x, 0), min(first_x + n, hw[1])):
            dx, dy = column + 0.5 - x, row + 0.5 - y
            covered = -wide / 2 <= dx < wide / 2 and -high / 2 <= dy < high / 2
            yield row, column, max(0.0, 1 - abs(dx) / wide) * max(0.0, 1 - abs(dy) / high), covered


def _plain_warp(image: Tensor, depth: Tensor, trajectory: Trajectory, frame: int) -> tuple[Tensor, Tensor]:
    """What the module's docstring says, one point and one pixel at a time."""
    hw = trajectory.camera.hw
    points = {key: point for key, point in _plain_points(depth, trajectory, frame).items() if point[2] > 0}
    nearest = torch.full(hw, math.inf, dtype=torch.float64)
    for x, y, z, wide, high in points.values():
        for row, column, _, covered in _plain_touches(x, y, wide, high, hw):
            nearest[row, column] = min(float(nearest[row, column]), z if covered else math.inf)
    total = torch.zeros(4, *hw, dtype=torch.float64)
    for (i, j), (x, y, z, wide, high) in points.items():
        for row, column, weight, _ in _plain_touches(x, y, wide, high, hw):
            if abs(z - nearest[row, column]) <= DEPTH_TOLERANCE * nearest[row, column]:
                total[:3, row, column] += weight * image[:, i, j]
                total[3, row, column] += weight
    hole = nearest.isinf()
    return torch.where(hole, 0.0, total[:3] / torch.where(hole, 1.0, total[3])), hole


def test_a_splatter_of_plain_loops_agrees():
    """Slanted surfaces, a near block, a ramp that is torn apart, an orbit with roll, a dolly to half the depth."""
    hw = (12, 48)
    generator = torch.Generator().manual_seed(5)
    depth = (
        2.0 + 0.02 * torch.arange(48).double() + 0.3 * torch.rand(hw, generator=generator, dtype=torch.float64).round()
    )
    depth[3:8, 8:15] = 1.1
    depth[6:12, 36:42] = 1.09 ** torch.arange(6).double()
    image = picture(hw, dtype=torch.float64)
    angle = torch.tensor(0.35, dtype=torch.float64)
    turn = torch.linalg.matrix_exp(
        angle * torch.tensor([[0, -0.5, -1], [0.5, 0, 0.2], [1, -0.2, 0]], dtype=torch.float64)
    )
    still = torch.eye(3, dtype=torch.float64)
    centers = [(0, 0, 0), (0.5, 0.1, 0.1), (0.03, -0.02, 0.5), (0.9, 0.0, 0.0)]
    move = path(centers, hw, 30.0, torch.stack((still, turn, still, still)))
    made = warp(image, DepthMap(depth), move, edge_threshold=0.0)
    assert made.video.dtype == torch.float64
    for frame in range(4):
        expected, hole = _plain_warp(image, depth, move, frame)
        assert 0.0 < float(hole.double().mean()) < 0.8 or frame == 0
        assert torch.equal(made.holes[frame] > 0, hole)
        torch.testing.assert_close(made.video[:, frame], expected, atol=1e-12, rtol=0)
    assert len(_plain_points(depth, move, 0)) == depth.numel() > len(_plain_points(depth, move, 3)) + 10


# ------------------------------------------------------------------------------------------------ ray-traced scenes


def test_ray_traced_scenes_are_seen_as_their_later_frames():
    """Outside the holes a warped frame is the true frame up to resampling: over 24 scenes of the test split at 120 x 208
    the 40 frames with under 30% holes were measured at a median of 31.4 dB, 38 of them above 25 dB, the least 23.0 dB.
    Cameras read the wrong way round give a median of 13.5 dB."""
    right, wrong = [], []
    for number in range(24):
        scene = render_scenes([SPLITS["test"][number]], frames=4, hw=(120, 208))
        for camera, found in ((scene.camera[0], right), (_inverted(scene.camera[0]), wrong)):
            made = warp(scene.video[0, :, 0], DepthMap(scene.depth[0, 0]), Trajectory(camera, unit="arbitrary"))
            for frame in range(1, 4):
                seen = made.holes[frame] == 0
                if float(seen.float().mean()) >= 0.7:
                    error = (made.video[:, frame] - scene.video[0, :, frame])[:, seen]
                    found.append(10.0 * math.log10(4.0 / float(error.square().mean())))
    assert len(right) > 30
    assert torch.tensor(right).median() > 30.0
    assert (torch.tensor(right) > 25.0).float().mean() > 0.9
    assert torch.tensor(wrong).median() < 18.0


def _inverted(camera: Camera) -> Camera:
    first = camera.relative_to(camera[0])
    return replace(first, world_from_cam=torch.linalg.inv(first.world_from_cam))


# ------------------------------------------------------------------------------------------------ a clip filmed again


def clip(hw, frames=3):
    """Another noise and another depth for every frame."""
    pictures = torch.stack([picture(hw, seed) for seed in range(frames)], dim=1)
    return pictures, [DepthMap(1.0 + 2.0 * picture(hw, 9 + seed)[0]) for seed in range(frames)]


def test_a_clip_is_seen_from_where_it_was_filmed_to_the_bit():
    hw = (24, 32)
    pictures, depths = clip(hw)
    filmed = path([(0, 0, 0), (0.3, 0, 0.1), (0.5, -0.2, 0.4)], hw, 30.0)
    made = warp(pictures, depths, filmed, source=filmed, edge_threshold=0.0)
    assert torch.equal(made.video, pictures)
    assert not bool(made.holes.any())


def test_each_frame_of_a_clip_is_seen_as_a_still_of_its_own():
    """From a camera that stood still each frame is a still's; one that moved along stands where the difference is."""
    hw = (24, 32)
    pictures, depths = clip(hw)
    seen = [(0, 0, 0), (0.2, 0, 0), (0.25, 0.1, 0.2)]
    made = warp(pictures, depths, path(seen, hw, 30.0))
    for frame in range(3):
        still = warp(pictures[:, frame], depths[frame], path([(0, 0, 0), seen[frame]], hw, 30.0))
        assert torch.equal(made.video[:, frame], still.video[:, 1])
        assert torch.equal(made.holes[frame], still.holes[1])
    own = path([(0, 0, 0), (0.2, 0, 0), (0, 0, 0)], hw, 30.0)
    made, moved = (
        warp(pictures, depths, path(seen, hw, 30.0), source=source, edge_threshold=0.0) for source in (None, own)
    )
    assert torch.equal(moved.video[:, 1], pictures[:, 1])
    assert torch.equal(moved.video[:, 2], made.video[:, 2])


def test_a_clip_counts_in_the_near_depth_of_its_first_frame_and_has_one_lens():
    hw = (24, 32)
    pictures, depths = clip(hw)
    move = path([(0, 0, 0), (0.1, 0, 0), (0.2, 0, 0)], hw, 30.0, unit="near_depth")
    larger = [depth.scaled(8.0) for depth in depths]
    assert torch.equal(warp(pictures, depths, move).video, warp(pictures, larger, move).video)
    lenses = [
        replace(depth, K=torch.diag(torch.tensor((f, f, 1.0))))
        for depth, f in zip(depths, (20.0, 22.0, 90.0), strict=True)
    ]
    assert warp(pictures, lenses, move).trajectory.camera.K[:, 0, 0].tolist() == pytest.approx([22.0] * 3)


def test_a_ray_traced_clip_is_filmed_again_by_its_first_camera():
    """Every frame, seen again from where the first stood, shows the first frame where it shows anything."""
    scene = render_scenes([SPLITS["test"][3]], frames=3, hw=(120, 208))
    own = Trajectory(scene.camera[0], unit="arbitrary")
    first = replace(own, camera=replace(own.camera, world_from_cam=own.camera.world_from_cam[:1].expand(3, 4, 4)))
    made = warp(scene.video[0], [DepthMap(each) for each in scene.depth[0]], first, source=own)
    for frame in (1, 2):
        seen = made.holes[frame] == 0
        assert float(seen.float().mean()) > 0.5
        error = (made.video[:, frame] - scene.video[0, :, 0])[:, seen]
        assert 10.0 * math.log10(4.0 / float(error.square().mean())) > 24.0


def test_a_clip_that_does_not_fit_its_path_is_refused():
    hw = (24, 32)
    pictures, depths = clip(hw)
    move = path([(0, 0, 0), (0.1, 0, 0), (0.2, 0, 0)], hw, 30.0)
    with pytest.raises(ValueError, match="got 3 pictures and 2 depth maps"):
        warp(pictures, depths[:2], move)
    with pytest.raises(ValueError, match="as many pictures as the path has frames, got 2 and 3"):
        warp(pictures[:, :2], depths[:2], move)
    with pytest.raises(ValueError, match="own cameras has 2 frames, but there are 3 pictures"):
        warp(pictures, depths, move, source=move[:2])
    with pytest.raises(ValueError, match="count in metre, the path in arbitrary"):
        warp(pictures, depths, move, source=replace(move, unit="metre"))


# ------------------------------------------------------------------------------------------------ depth as nodes give it


def test_grey_pictures_are_read_by_their_kind():
    """Half grey between 1 and 5: in disparity 1 / (0.5 + 0.5 / 5) = 5 / 3, in depth the middle, 3."""
    grey = torch.tensor([[0.0, 0.5, 1.0]])
    read = {kind: depth_from_picture(grey, kind, near=1.0, far=5.0).depth for kind in DEPTH_KINDS}
    torch.testing.assert_close(read["disparity"], torch.tensor([[5.0, 5 / 3, 1.0]]))
    torch.testing.assert_close(read["depth_white_near"], torch.tensor([[5.0, 3.0, 1.0]]))
    torch.testing.assert_close(read["depth_white_far"], torch.tensor([[1.0, 3.0, 5.0]]))
    assert torch.equal(read["values"], grey)
    with pytest.raises(ValueError, match="0 < near < far, got 2 and 2"):
        depth_from_picture(grey, "disparity", near=2.0, far=2.0)
    with pytest.raises(ValueError, match="a kind of depth is one of disparity, .*, got 'depth'"):
        depth_from_picture(grey, "depth")


def test_near_depth_is_the_25th_percentile_of_what_is_known():
    depth = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, math.inf]])
    assert DepthMap(depth).near_depth == 2.0
    assert DepthMap(depth).in_unit("near_depth").near_depth == 1.0
    assert DepthMap(depth).in_unit("metre").near_depth == 2.0


def test_resizing_makes_no_depth_up():
    depth = torch.zeros(4, 4)
    depth[:, 2:] = 3.0
    resized = DepthMap(depth, torch.tensor([[4.0, 0, 2], [0, 4.0, 2], [0, 0, 1]])).resized((8, 8))
    assert torch.equal(resized.depth, depth.repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert torch.equal(resized.K, torch.tensor([[8.0, 0, 4], [0, 8.0, 4], [0, 0, 1]]))


def test_a_moge_geometry_is_read():
    """Keys, shapes and values as MoGeInference gives them: normalised K, depth infinite where masked."""
    hw = (6, 8)
    depth = torch.full((1, *hw), 2.0)
    mask = torch.ones(1, *hw, dtype=torch.bool)
    depth[0, 0, 0], mask[0, 0, 0], mask[0, 5, 7] = math.inf, False, False
    K = torch.tensor([[[0.75, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]]])
    payload = {
        "image": torch.zeros(1, *hw, 3), "points": torch.zeros(1, *hw, 3), "depth": depth, "intrinsics": K, "mask": mask,
        "normal": torch.zeros(1, *hw, 3),
    }  # fmt: skip
    (read,) = depths_from_geometry(payload)
    assert torch.equal(read.K, torch.tensor([[6.0, 0, 4], [0, 6.0, 3], [0, 0, 1]]))
    assert int((read.depth == 0).sum()) == 2
    # MoGe's own points are depth * K^-1 (u, v, 1) at u = (column + 0.5) / width: row 2, column 1 is at (3/16, 5/12).
    own = 2.0 * torch.linalg.inv(K[0]) @ torch.tensor([3 / 16, 5 / 12, 1.0])
    torch.testing.assert_close(2.0 * torch.linalg.inv(read.K) @ torch.tensor([1.5, 2.5, 1.0]), own)
    with pytest.raises(ValueError, match="panorama"):
        depths_from_geometry({key: value for key, value in payload.items() if key != "intrinsics"})


def test_a_depth_anything_geometry_is_read():
    """K counts in pixels of the network's input, here 378 x 504 for a picture of 12 x 16; the sky goes to the far end."""
    depth = torch.arange(1, 193).float().reshape(1, 12, 16) / 100
    sky = torch.zeros(1, 12, 16)
    sky[0, :2] = 0.9
    mono = {"depth": depth, "image": torch.zeros(1, 12, 16, 3), "mode": "mono", "sky": sky}
    (read,) = depths_from_geometry(mono)
    # 160 pixels are no sky, 0.33 to 1.92; their 99% quantile lies at 0.33 + 0.01 * 0.99 * 159.
    torch.testing.assert_close(read.depth[:2], torch.full((2, 16), 0.33 + 0.01 * 0.99 * 159))
    assert torch.equal(read.depth[2:], depth[0, 2:])
    assert read.K is None
    K = torch.tensor([[[[400.0, 0, 252], [0, 410.0, 189], [0, 0, 1]]]])
    extrinsics = torch.eye(4)[None, None, :3]
    several = {"depth": depth, "image": mono["image"], "mode": "multiview", "extrinsics": extrinsics, "intrinsics": K}
    expected = torch.tensor([[400 * 16 / 504, 0, 8], [0, 410 * 12 / 378, 6], [0, 0, 1]])
    torch.testing.assert_close(depths_from_geometry(several)[0].K, expected)
    unknown = several | {"extrinsics": torch.eye(4)[None, None], "intrinsics": torch.eye(3)[None, None]}
    assert depths_from_geometry(unknown)[0].K is None


def test_geometries_of_several_pictures_are_read_one_by_one():
    """DA3 has its cameras on an axis of views, VGGT its depth with a channel at the end: 2 of 4 x 6 of each."""
    depth = torch.stack((torch.full((4, 6), 1.0), torch.full((4, 6), 2.0)))
    K = torch.tensor([[4.0, 0, 3], [0, 4.0, 2], [0, 0, 1]]) * torch.tensor([[1.0, 1, 1], [2, 2, 1]])[..., None]
    da3 = {"depth": depth, "image": torch.zeros(2, 4, 6, 3), "mode": "multiview", "intrinsics": K[None]}
    vggt = {"depth": depth[None, ..., None], "depth_conf": depth[None], "intrinsic": K[None]}
    angles = 2.0 * torch.atan(torch.tensor([2.0 / 4.0, 3.0 / 4.0]))
    encoded = {"depth": depth[None, ..., None], "pose_enc": torch.cat((torch.zeros(7), angles)).expand(1, 2, 9)}
    for geometry in (da3, vggt, encoded):
        found = depths_from_geometry(geometry)
        assert [float(each.depth.mean()) for each in found] == [1.0, 2.0]
        torch.testing.assert_close(found[1].K, torch.tensor([[4.0, 0, 3], [0, 4.0, 2], [0, 0, 1]]))
    with pytest.raises(ValueError, match="2 depth maps or more, but 1 of intrinsics"):
        depths_from_geometry(da3 | {"intrinsics": K[None, :1]})


@pytest.mark.parametrize("payload", [None, {}, {"points": torch.zeros(1, 2, 2, 3)}, {"depth": torch.ones(4, 4)}])
def test_other_payloads_are_refused_in_one_sentence(payload):
    with pytest.raises(ValueError, match=r"MoGe, Depth Anything 3 or VGGT|\[pictures, H, W\]"):
        depths_from_geometry(payload)

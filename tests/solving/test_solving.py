"""Solving without COLMAP's long work: which frames are compared, lenses, a turning camera, gaps, scale, words."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.estimate import Estimate, Footage
from raxel_core.geometry.sparse_points import SparsePoints
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.solving import rotation
from raxel_core.solving.gaps import interpolated
from raxel_core.solving.lens import Lens, assumed_lens, lens_of_fov, lens_of_photograph, undistort
from raxel_core.solving.matching import Correspondences, frame_pairs
from raxel_core.solving.motion import STILL_PX, TURNING_PX, displacement_px, moving_share, parallax_px, turn_of
from raxel_core.solving.rotation import fit_turning
from raxel_core.solving.scale import depth_ratio, near_depth, scaled
from raxel_core.solving.settings import Scale, SolveSettings
from raxel_core.solving.verdict import moving_verdict

HW = (270, 480)


def turned(
    frames,
    degrees,
    *,
    fov=60.0,
    zoom=1.0,
    drive=0.0,
    ahead=0.0,
    noise=0.2,
    outliers=0.0,
    seed=0,
    near=0,
    near_z=3.0,
    walk=(0.0, 0.0),
):
    """Correspondences of a camera that pans by `degrees` and trucks by `drive` before points 3 to 9 away, or, where
    `near` of them are `near_z` away, the others 400; of the near ones half `walk` along x by one length, half by the other.
    The focal length grows by `zoom`, soft at both ends; the camera also drives `ahead`."""
    random = np.random.default_rng(seed)
    K = K_from_fov(torch.tensor(math.radians(fov), dtype=torch.float64), HW).numpy()
    share = torch.linspace(0, 1, frames, dtype=torch.float64)
    turn = se3.so3_exp(torch.stack((0.2 * share, share, 0.1 * share), -1) * math.radians(degrees))
    center = torch.stack((drive * share, 0 * share, ahead * share), -1)
    world = random.uniform(-1, 1, (900, 3)) * (8, 4, 3) + (0, 0, 6)
    walked = np.zeros((900, 3))
    if near:
        world = world * (60, 60, 0) + (0, 0, 400)
        world[:near] = random.uniform(-1, 1, (near, 3)) * (4, 1, 0.3) + (1, 0, near_z)
        walked[:near, 0] = np.where(np.arange(near) % 2, *walk)

    def seen(frame):
        local = (world + walked * float(share[frame]) - center[frame].numpy()) @ turn[frame].numpy()
        pixel = local * (*[zoom ** float(share[frame] ** 2 * (3 - 2 * share[frame]))] * 2, 1) @ K.T
        return pixel[:, :2] / pixel[:, 2:], local[:, 2]

    found = []
    for i, j in frame_pairs(frames, "sequential"):
        (a, za), (b, zb) = seen(i), seen(j)
        inside = (za > 0.5) & (zb > 0.5)
        for pixels in (a, b):
            inside &= (pixels > 0).all(-1) & (pixels < (HW[1], HW[0])).all(-1)
        if inside.sum() < 20:
            continue
        second = b[inside] + random.normal(0, noise, (inside.sum(), 2))
        moved = random.random(inside.sum()) < outliers
        second[moved] += random.uniform(-40, 40, (moved.sum(), 2))
        found.append(Correspondences(i, j, a[inside], second))
    return found, turn, float(K[0, 0])


def nothing():
    return None


def test_sequential_pairs_reach_far_with_few_comparisons_and_exhaustive_ones_are_all():
    pairs = frame_pairs(1000)
    assert {(0, 1), (0, 512), (437, 438), (0, 999)} <= set(pairs)
    assert all(i < j for i, j in pairs) and len(pairs) == len(set(pairs)) < 10 * 1000
    assert len(frame_pairs(20)) == 190 == len(frame_pairs(20, "exhaustive"))
    with pytest.raises(ValueError, match="one of auto, sequential, exhaustive, got 'loop'"):
        frame_pairs(5, "loop")


@pytest.mark.parametrize(("fov", "outliers"), [(60.0, 0.0), (35.0, 0.2), (85.0, 0.2)])
def test_a_turning_camera_and_its_focal_length_are_found_from_an_unknown_lens(fov, outliers):
    found, turn, focal = turned(20, 40.0, fov=fov, outliers=outliers)
    fitted = fit_turning(found, 20, assumed_lens(HW), done=nothing)
    assert float(se3.geodesic(fitted.rotation, turn).max().rad2deg()) < 0.1
    assert fitted.focal.tolist() == pytest.approx([focal] * 20, rel=0.005)
    assert parallax_px(found, fitted, (240.0, 135.0)) < TURNING_PX or outliers


def test_a_turn_of_many_frames_takes_fewer_matches_of_each_pair(monkeypatch):
    """12 pairs' worth in all: the least of each pair, and the turn is as good."""
    found, turn, _ = turned(12, 20.0)
    monkeypatch.setattr(rotation, "_IN_ALL", 12 * rotation._PER_PAIR)
    fitted = fit_turning(found, 12, assumed_lens(HW), done=nothing)
    assert len(found) > 24 and len(fitted.distances) <= len(found) * (12 * rotation._PER_PAIR // len(found))
    assert float(se3.geodesic(fitted.rotation, turn).max().rad2deg()) < 0.2


def test_a_known_focal_length_is_kept():
    found, turn, focal = turned(12, 10.0)
    lens = Lens(HW, (1.05 * focal,) * 2, (240.0, 135.0), known=True)
    fitted = fit_turning(found, 12, lens, done=nothing)
    assert fitted.focal.tolist() == pytest.approx([1.05 * focal] * 12, rel=1e-12)
    assert float(fitted.covariance[:, 3].abs().max()) == 0.0


def test_the_error_bars_of_a_turn_are_as_wide_as_its_errors():
    """10 draws of the noise: the root mean square error of the last frame against the mean of its stated sigma."""
    errors, sigmas = [], []
    for seed in range(10):
        found, turn, focal = turned(6, 30.0, noise=0.4, seed=seed)
        lens = Lens(HW, (focal, focal), (240.0, 135.0), known=True)
        fitted = fit_turning(found, 6, lens, done=nothing)
        errors.append(float(se3.geodesic(fitted.rotation[-1], turn[-1])))
        sigmas.append(float(fitted.covariance[-1, :3, :3].diagonal().sum().sqrt()))
    ratio = math.sqrt(np.mean(np.square(errors))) / np.mean(sigmas)
    assert 0.6 < ratio < 1.7


@pytest.mark.parametrize("k1", [0.0, -0.02, 0.01])
def test_the_error_bars_of_a_turn_grow_with_a_distortion_that_was_taken_for_none(k1, monkeypatch):
    found, turn, focal = turned(10, 30.0)
    bent = Lens(HW, (focal, focal), (240.0, 135.0), (k1, 0.0, 0.0, 0.0))
    pixels = [[bent.filmed(torch.from_numpy(side)).numpy() for side in pair[2:]] for pair in found]
    found = [pair._replace(pixels_first=a, pixels_second=b) for pair, (a, b) in zip(found, pixels, strict=True)]

    def in_bars():
        fitted = fit_turning(found, 10, assumed_lens(HW), done=nothing)
        return abs(math.log(float(fitted.focal[0]) / focal)) / float(fitted.covariance[0, 3, 3].sqrt())

    assert in_bars() < (2.5 if k1 == 0.0 else 5.0)  # one step of an adjustment does not come to all of it
    monkeypatch.setattr(rotation, "_MOST_K1", 0.0)
    assert in_bars() > 30.0 or k1 == 0.0


@pytest.mark.parametrize(("frames", "degrees"), [(12, 0.0), (8, 25.0), (26, 25.0)], ids=["stands", "pans", "knots"])
def test_a_zoom_is_found_frame_by_frame_where_the_camera_stands(frames, degrees):
    """By 1.5, soft at both ends. Only a pan tells how long the focal lengths are; what they grow by is told anyhow."""
    found, turn, focal = turned(frames, degrees, zoom=1.5)
    fitted = fit_turning(found, frames, assumed_lens(HW), done=nothing)
    zooming = fit_turning(found, frames, assumed_lens(HW), zooms=True, done=nothing)
    assert turn_of(found, fitted, (240.0, 135.0)) is None and fitted.zoom == 0.0
    of = turn_of(found, zooming, (240.0, 135.0))
    assert of is not None and of.all_still and of.pixels < 0.6
    share = torch.linspace(0, 1, frames, dtype=torch.float64)
    growth = 1.5 ** (share**2 * (3 - 2 * share))
    torch.testing.assert_close(zooming.focal / zooming.focal[0], growth, atol=0.0, rtol=3e-3)
    assert float(se3.geodesic(zooming.rotation, turn).max().rad2deg()) < 0.1
    off, sigma = math.log(float(zooming.focal[0]) / focal), zooming.covariance[:, 3, 3].sqrt()
    assert abs(off) < 3.0 * float(sigma[0]) and (float(sigma.max()) < 0.02 if degrees else float(sigma.min()) > 0.1)


def test_a_drive_towards_a_wall_is_no_zoom_where_boxes_stand_before_it():
    """The wall, 400 away, is most of what is seen and grows as by a zoom of 1.08; what is 60 away doubles."""
    found, *_ = turned(8, 8.0, ahead=30.0, near=25, near_z=60.0)
    of = turn_of(found, fit_turning(found, 8, assumed_lens(HW), zooms=True, done=nothing), (240.0, 135.0))
    assert of is not None and of.pixels < TURNING_PX and not of.all_still


def test_still_turning_and_moving_cameras_are_told_apart():
    still, *_ = turned(10, 0.0, noise=0.1)
    assert displacement_px(still) < STILL_PX
    turning, *_ = turned(10, 20.0)
    moving, *_ = turned(10, 20.0, drive=0.3)
    assert displacement_px(turning) > STILL_PX
    left = [
        parallax_px(f, fit_turning(f, 10, assumed_lens(HW), done=nothing), (240.0, 135.0)) for f in (turning, moving)
    ]
    assert left[0] < TURNING_PX < 2 * TURNING_PX < left[1]


@pytest.mark.parametrize(
    ("drive", "walk", "turns"),
    [(0.0, (1.5, -1.2), True), (1.0, (0.0, 0.0), False), (0.0, (0.0, 0.0), True), (1.0, (1.5, -1.2), None)],
    ids=["people before a far street", "a drive past near posts", "a pan over both", "a drive among people"],
)
def test_people_near_by_do_not_make_a_drive_of_a_pan(drive, walk, turns):
    found, turn, focal = turned(10, 25.0, drive=drive, near=200, walk=walk)
    fitted = fit_turning(found, 10, assumed_lens(HW), done=nothing)
    of = turn_of(found, fitted, (240.0, 135.0))
    if turns is not None:  # where both move, either may be said
        assert (of is not None) == turns
    if turns:
        assert float(se3.geodesic(fitted.rotation, turn).max().rad2deg()) < 0.1
        assert float(fitted.focal[0]) == pytest.approx(focal, rel=0.005)
        assert of.all_still != any(walk)
        assert of.pixels < 0.6 and (0.2 < of.moving < 0.4 if any(walk) else of.moving < 0.01)


def test_nothing_in_common_is_said():
    with pytest.raises(ValueError, match="nothing in common"):
        fit_turning([], 3, assumed_lens(HW), done=nothing)


def test_distortion_is_opencvs_and_is_undone():
    lens = Lens(HW, (400.0, 410.0), (238.0, 136.0), (-0.2, 0.05, 0.002, -0.001), known=True)
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (50, 2))
    distortion = np.array(lens.distortion)
    expected, _ = cv2.projectPoints(np.c_[points, np.ones(50)], np.zeros(3), np.zeros(3), lens.K().numpy(), distortion)
    pinhole = torch.from_numpy(points) * torch.tensor(lens.focal) + torch.tensor(lens.principal_point)
    seen = lens.distorted(torch.from_numpy(points)) * torch.tensor(lens.focal) + torch.tensor(lens.principal_point)
    np.testing.assert_allclose(seen.numpy(), expected[:, 0], atol=1e-9)
    torch.testing.assert_close(lens.undistorted(seen), pinhole, atol=1e-6, rtol=0, check_dtype=False)


def test_a_picture_is_undistorted_as_opencv_does():
    lens = Lens((60, 80), (70.0, 70.0), (40.0, 30.0), (-0.25, 0.05, 0.0, 0.0), known=True)
    picture = cv2.GaussianBlur(np.random.default_rng(1).random((60, 80, 3)).astype(np.float32), (0, 0), 2)
    # OpenCV counts pixels from the middle of the first one.
    K = lens.K().numpy() - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    expected = cv2.undistort(picture, K, np.array(lens.distortion))
    found = undistort(torch.from_numpy(picture).permute(2, 0, 1), lens)
    inner = (slice(None), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(found[inner], torch.from_numpy(expected).permute(2, 0, 1)[inner], atol=0.02, rtol=0)
    with pytest.raises(ValueError, match="pictures of"):
        undistort(torch.zeros(3, 10, 10), lens)


def test_lenses_that_are_none_are_refused():
    for fault in ({"focal": (0.0, 1.0)}, {"principal_point": (-1.0, 5.0)}, {"distortion": (math.nan, 0, 0, 0)}):
        with pytest.raises(ValueError):
            Lens(**({"hw": HW, "focal": (1.0, 1.0), "principal_point": (5.0, 5.0)} | fault))
    with pytest.raises(ValueError, match="between 0 and 180 degrees, got 200"):
        lens_of_fov(math.radians(200), HW)


def estimate(frames=(0, 1, 2, 5, 6), missing=(3, 4, 7)):
    center = torch.tensor([[0.4 * n, 0.0, 0.0] for n in frames], dtype=torch.float64)
    motions = se3.from_rotation_translation(torch.eye(3, dtype=torch.float64).expand(len(frames), 3, 3), center)
    trajectory = Trajectory(Camera(motions, K_from_fov(1.0, HW).double(), HW), unit="arbitrary")
    position = torch.tensor([[0.0, 0.0, z] for z in (2.0, 4.0, 6.0, 8.0, 10.0)], dtype=torch.float64)
    seen_by = torch.tensor([0, 0, 0, 0, 4])
    points = SparsePoints(
        position, torch.zeros(5, 3, dtype=torch.uint8), torch.zeros(5), torch.arange(5), seen_by, torch.zeros(5, 2)
    )
    covariance = torch.eye(7, dtype=torch.float64).repeat(len(frames), 1, 1) * 1e-4
    return Estimate(
        trajectory, "colmap", Footage("clip.mp4", 0.0, 24.0, frames), "moving", "", covariance,
        torch.ones(len(frames)), missing=missing, points=points,
    )  # fmt: skip


def test_a_gap_is_filled_on_the_screw_and_marked_and_an_end_is_not():
    filled = interpolated(estimate())
    assert filled.footage.frames == (0, 1, 2, 3, 4, 5, 6) and filled.missing == (7,)
    assert filled.interpolated == (3, 4)
    expected = torch.tensor([0.4 * n for n in range(7)], dtype=torch.float64)
    torch.testing.assert_close(filled.trajectory.camera.center[:, 0], expected)
    assert filled.residual_px.isnan().tolist() == [False, False, False, True, True, False, False]
    assert filled.points.seen_by.tolist() == [0, 0, 0, 0, 6]
    whole = estimate(frames=(0, 1, 2), missing=())
    assert interpolated(whole) is whole


def test_the_near_depth_is_the_quarter_of_what_the_first_camera_sees():
    """Of 2, 4, 6, 8, which the first camera saw, the 25th percentile is 3.5; 10 was seen by another."""
    assert near_depth(estimate()) == pytest.approx(3.5)
    found = scaled(estimate(), Scale())
    assert found.trajectory.unit == "near_depth"
    assert float(found.trajectory.camera.center[-1, 0]) == pytest.approx(2.4 / 3.5)
    assert float(found.points.position[0, 2]) == pytest.approx(2.0 / 3.5)
    assert float(found.covariance[0, 3, 3]) == pytest.approx(1e-4 / 3.5**2)
    assert float(found.covariance[0, 0, 0]) == pytest.approx(1e-4)


def test_a_distance_in_metres_scales_the_path():
    found = scaled(estimate(), Scale("distance", 7.0, (1, 6)))
    assert found.trajectory.unit == "metre"
    center = found.trajectory.camera.center
    assert float((center[4] - center[1]).norm()) == pytest.approx(7.0)
    with pytest.raises(ValueError, match="frame 3 has none"):
        scaled(estimate(), Scale("distance", 1.0, (0, 3)))
    with pytest.raises(ValueError, match="above 0 metres"):
        Scale("distance", -1.0)


def test_matches_off_the_epipolar_lines_are_what_moves_by_itself():
    """Of 50 points seen by a camera that drives, 10 have moved down by 20 pixels: across the lines of a drive to the
    side. A frame without a camera does not count."""
    camera = estimate(frames=(0, 1), missing=()).trajectory.camera
    random = np.random.default_rng(0)
    local = random.uniform(-1, 1, (50, 3)) * (1, 0.8, 1) + (0, 0, 4)
    pixels = []
    for centre in camera.center.numpy():
        seen = (local - centre) @ camera.K[0].numpy().T
        pixels.append(seen[:, :2] / seen[:, 2:])
    pixels[1][:10, 1] += 20.0
    found = [Correspondences(3, 7, *pixels), Correspondences(3, 9, *pixels)]
    assert moving_share(found, camera, (3, 7)) == pytest.approx(0.2)


def test_the_verdict_says_what_moves_by_itself_and_what_the_motion_does_not_tell():
    path = estimate()
    assert moving_verdict(path, 0.04).endswith("the focal length within 1.0%.")
    assert "but 11% of what the frames have in common moves by itself" in moving_verdict(path, 0.11)
    wide = path.covariance.clone()
    wide[:, 6, 6] = 0.45**2
    told = moving_verdict(replace(path, covariance=wide), 0.0)
    assert told.endswith("a guess that this motion hardly checks, the focal length within 45%: give the lens.")
    told = moving_verdict(replace(path, covariance=None), 0.0)
    assert "with unknown error bars" in told and told.endswith("do not rely on them.")
    camera = path.trajectory.camera
    zoomed = replace(camera, K=lens_of_fov(1.0, HW).K(torch.linspace(1.0, 1.5, 5)))
    zooms = replace(path, covariance=None, trajectory=replace(path.trajectory, camera=zoomed))
    assert "the lens zooms by a factor of 1.50 while the camera moves" in moving_verdict(zooms, 0.0)


def test_the_verdict_says_that_a_dolly_zoom_can_look_like_a_drive_the_other_way():
    """And it is so: what a lens sees that keeps a subject's size while it backs off from it, another of one focal
    length sees that drives on, past points of its own."""
    drive, subject = torch.linspace(0.0, -1.5, 5)[:, None], 3.0
    X, Z = torch.tensor([[0.5, -1.0, 1.2, 0.3]]), torch.tensor([[4.0, 5.0, 7.0, 12.0]])
    zoomed = (subject - drive) / subject * X / (Z - drive)
    other_drive, other_Z = -1.0 / (subject - drive), 1.0 / (Z - subject)
    one_lens = X / subject * other_Z / (other_Z - other_drive)
    assert torch.allclose(zoomed, one_lens, atol=1e-6)
    assert (other_drive.diff(dim=0) > 0).all() and (other_Z > other_drive).all()

    path = estimate()
    wide = path.covariance.clone()
    wide[:, 6, 6] = 0.45**2
    ahead = path.trajectory.camera.world_from_cam.clone()
    ahead[:, :3, 3] = torch.linspace(0.0, 1.0, 5)[:, None] * torch.tensor([0.2, 0.1, 1.0], dtype=ahead.dtype)

    def told(motions, covariance):
        trajectory = replace(path.trajectory, camera=replace(path.trajectory.camera, world_from_cam=motions))
        return "a dolly zoom" in moving_verdict(replace(path, trajectory=trajectory, covariance=covariance), 0.0)

    assert told(ahead, wide) and not told(ahead, path.covariance)
    assert not told(path.trajectory.camera.world_from_cam, wide)  # a drive to the side


@pytest.fixture
def filmed_depths():
    """An estimate of 40 points that two cameras see through a lens that distorts, and depth maps, twice the frames'
    size, in lengths that are 2.5 times the path's: right at the pixels as they were filmed, but for 12 of the 40."""
    lens = Lens(HW, (270.0, 270.0), (240.0, 135.0), (-0.2, 0.0, 0.0, 0.0), known=True)
    random = torch.Generator().manual_seed(3)
    place = torch.rand(40, 3, generator=random, dtype=torch.float64) * torch.tensor([2.0, 1.0, 3.0])
    place = place + torch.tensor([-1.0, -0.5, 2.0])
    motions = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    motions[1, 0, 3] = 0.4
    pixels, maps = [], torch.zeros(2, 2 * HW[0], 2 * HW[1], dtype=torch.float64)
    for index in range(2):
        ray = place - motions[index, :3, 3]
        pixels.append(ray[:, :2] / ray[:, 2:] * 270.0 + torch.tensor([240.0, 135.0]))
        column, row = (2.0 * lens.filmed(pixels[-1])).long().unbind(-1)
        maps[index, row, column] = 2.5 * ray[:, 2]
        maps[index, row[:12], column[:12]] = 90.0
    points = SparsePoints(
        place, torch.zeros(40, 3, dtype=torch.uint8), torch.zeros(40), torch.arange(40).repeat(2),
        torch.arange(2).repeat_interleave(40), torch.cat(pixels),
    )  # fmt: skip
    path = Trajectory(Camera(motions, lens.K(), HW), unit="arbitrary")
    return replace(estimate(frames=(0, 1), missing=()), trajectory=path, points=points), lens, maps


def test_depth_maps_give_metres_by_the_median_whatever_a_third_of_them_says(filmed_depths):
    path, lens, maps = filmed_depths
    ratio = depth_ratio(path, lens, maps.__getitem__)
    assert ratio.median == pytest.approx(2.5, rel=1e-9) and ratio.points == 80 and ratio.frames == 2
    found = scaled(path, Scale("depth"), ratio)
    assert found.trajectory.unit == "metre"
    assert float(found.trajectory.camera.center[1, 0]) == pytest.approx(1.0)
    assert "at 80 points in 2 frames" in found.notes[-1]
    straight = depth_ratio(path, replace(lens, distortion=(0.0,) * 4), maps.__getitem__)
    assert straight.points < 60  # the lens counts: other pixels are looked at


def test_near_depth_is_the_first_depth_maps_where_there_is_one(filmed_depths):
    path, lens, maps = filmed_depths
    ratio = depth_ratio(path, lens, lambda number: maps[0] if number == 0 else None)
    known = maps[0][maps[0] > 0].sort().values
    assert ratio.frames == 1 and ratio.near == float(known[int(0.25 * (len(known) - 1))])
    found = scaled(path, Scale(), ratio)
    assert found.trajectory.unit == "near_depth"
    assert float(found.trajectory.camera.center[1, 0]) == pytest.approx(0.4 * 2.5 / ratio.near)


def test_depth_maps_that_tell_no_scale_are_refused(filmed_depths):
    path, lens, maps = filmed_depths
    with pytest.raises(ValueError, match="there are 0"):
        depth_ratio(path, lens, lambda number: torch.zeros_like(maps[0]))
    with pytest.raises(ValueError, match="is not that of a frame"):
        depth_ratio(path, lens, lambda number: maps[0][:, :500])
    with pytest.raises(ValueError, match="none are given"):
        SolveSettings(scale=Scale("depth"))
    second = depth_ratio(path, lens, lambda number: maps[1] if number == 1 else None)
    with pytest.raises(ValueError, match="needs the map of frame 0"):
        scaled(path, Scale(), second)


def test_an_arbitrary_scale_puts_the_farthest_camera_at_one():
    assert float(scaled(estimate(), Scale("arbitrary")).trajectory.camera.center[-1].norm()) == pytest.approx(1.0)


def test_a_photograph_names_its_lens(tmp_path):
    """50 mm on film whose diagonal is 43.27 mm: that share of the picture's diagonal, 200; none without EXIF."""
    pytest.importorskip("pycolmap")
    image = pytest.importorskip("PIL.Image")
    picture, exif = image.new("RGB", (320, 240)), image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50
    picture.save(tmp_path / "a.jpg", exif=exif)
    picture.save(tmp_path / "b.jpg")
    lens = lens_of_photograph(tmp_path / "a.jpg", (120, 160))
    assert lens.focal == pytest.approx((200 * 50 / 43.27,) * 2, rel=1e-4) and not (lens.known or lens.assumed)
    assert lens_of_photograph(tmp_path / "b.jpg", (120, 160)) is None

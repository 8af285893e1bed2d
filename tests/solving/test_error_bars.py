"""Error bars against errors, on cameras and points that are known and pixels whose noise is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from raxel_core.evaluation.clip_figures import clip_figures, clips_table
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.estimate import Estimate, Footage
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.solving import focal, mapping
from raxel_core.solving.features import CAMERA_ID, FeatureTable, colmap_camera
from raxel_core.solving.lens import lens_of_fov
from raxel_core.solving.scale import covariance_in, near_of
from raxel_core.solving.settings import Scale

HW, FRAMES, POINTS = (270, 480), 10, 160
TRUE_FOCAL = lens_of_fov(math.radians(60), HW).focal[0]
PRIOR = (TRUE_FOCAL, 0.5)


def truth():
    """An arc of 25 degrees around what is 4 away, rising."""
    share = torch.linspace(0, 1, FRAMES, dtype=torch.float64)
    turn = share * math.radians(25)
    center = torch.stack((4 * turn.sin(), -0.6 * share, 4 * (1 - turn.cos())), -1)
    rotation = se3.so3_exp(torch.stack((0.05 * share, -turn, 0 * share), -1))
    K = lens_of_fov(math.radians(60), HW).K()
    return Camera(se3.from_rotation_translation(rotation, center), K, HW)


def straight():
    """A drive of 1.2 to the side, looking the same way all along."""
    camera = truth()
    motions = torch.eye(4, dtype=torch.float64).repeat(FRAMES, 1, 1)
    motions[:, 0, 3] = torch.linspace(0, 1.2, FRAMES, dtype=torch.float64)
    return Camera(motions, camera.K, HW)


def measured(seed, *, noise, drift=0.0, folder, camera=None):
    """A model at the true cameras, and the table it was seen in: every pixel off by `noise`, and every point's pixels,
    along the way, by a walk that comes to `drift`."""
    pycolmap = pytest.importorskip("pycolmap")
    random, camera = np.random.default_rng(seed), truth() if camera is None else camera
    world = random.uniform(-1, 1, (POINTS, 3)) * (1.6, 1.0, 1.5) + (0, 0, 4)
    local = np.einsum("fij,pj->fpi", camera.cam_from_world[:, :3, :3].numpy(), world)
    local += camera.cam_from_world[:, None, :3, 3].numpy()
    pixels = local[..., :2] / local[..., 2:] * camera.focal[0].numpy() + camera.principal_point[0].numpy()
    pixels += random.normal(0, noise, pixels.shape)
    pixels += random.normal(0, drift / math.sqrt(FRAMES), pixels.shape).cumsum(0)
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(colmap_camera(lens_of_fov(math.radians(60), HW)))
    for frame in range(FRAMES):
        image = pycolmap.Image(f"{frame}", pycolmap.Point2DList(), CAMERA_ID, frame + 1)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(pixel) for pixel in pixels[frame]])
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(camera.cam_from_world[frame, :3].numpy()))
    for point in range(POINTS):
        track = pycolmap.Track()
        for frame in range(FRAMES):
            track.add_element(frame + 1, point)
        model.add_point3D(world[point], track, np.zeros(3, dtype=np.uint8))
    scales, colours = [np.ones(POINTS)] * FRAMES, [np.zeros((POINTS, 3), dtype=np.uint8)] * FRAMES
    return model, FeatureTable(folder / "features.db", HW, list(pixels), scales, colours)


def ratios(noise, drift, tmp_path, seeds=6):
    """The root mean square of error over error bar over the seeds: rotation, centre, focal length."""
    rows = []
    for seed in range(seeds):
        lens = lens_of_fov(math.radians(60), HW)
        model, table = measured(seed, noise=noise, drift=drift, folder=tmp_path)
        mapped = mapping._mapped(table, *mapping._adjusted(model, lens, table, PRIOR), lens, ())
        motions = se3.relative(mapped.world_from_cam[0], mapped.world_from_cam)
        turn = torch.eye(7, 8, dtype=torch.float64)
        turn[:3, :3] = turn[3:6, 3:6] = mapped.world_from_cam[0, :3, :3].mT
        path = Trajectory(Camera(motions, mapped.lens.K(), HW), fps=24.0, unit="arbitrary")
        covariance = turn @ mapped.covariance @ turn.mT
        footage = Footage("shot", 0.0, 24.0, tuple(range(FRAMES)))
        rows.append(clip_figures(Estimate(path, "colmap", footage, "moving", "", covariance), Trajectory(truth())))
    names = ("rotation_ratio", "centre_ratio", "focal_ratio")
    return [math.sqrt(np.mean([row[name] ** 2 for row in rows])) for name in names], rows


@pytest.mark.parametrize(("noise", "drift"), [(0.3, 0.0), (0.1, 0.6)])
def test_error_bars_are_as_long_as_the_errors(tmp_path, noise, drift):
    """Also where what is wrong with a point is wrong in all frames that follow."""
    found, rows = ratios(noise, drift, tmp_path)
    assert all(0.4 < ratio < 1.9 for ratio in found), found
    assert all(row["rotation"] < 0.5 and row["focal"] < 0.05 for row in rows)


def test_bars_that_take_a_drift_for_noise_are_too_short(tmp_path, monkeypatch):
    monkeypatch.setattr(mapping, "widened", lambda covariance, parts: covariance)
    monkeypatch.setattr(focal, "_of_stretches", lambda model, frames: 0.0)
    found, _ = ratios(0.1, 0.6, tmp_path, seeds=4)
    assert found[0] > 1.4


@pytest.mark.parametrize("spread", [0.5, 0.1])
def test_a_straight_drive_tells_no_focal_length_and_what_is_believed_beforehand_stands(tmp_path, spread):
    """The true one is 0.8 of what is believed beforehand: the error bar stays that of the belief, and the answer
    within it, though an adjustment by itself runs several times as far."""
    believed = TRUE_FOCAL / 0.8
    for seed in range(3):
        model, table = measured(seed, noise=0.2, folder=tmp_path, camera=straight())
        adjusted, told = mapping._adjusted(model, lens_of_fov(math.radians(60), HW), table, (believed, spread))
        assert 0.6 * spread < told.sigma < 1.5 * spread
        assert abs(math.log(told.focal / believed)) < 1.5 * spread
        assert abs(math.log(told.focal / TRUE_FOCAL)) < 3.0 * told.sigma
        assert adjusted.cameras[CAMERA_ID].params[0] == pytest.approx(told.focal)
        mapped = mapping._mapped(table, adjusted, told, lens_of_fov(math.radians(60), HW), ())
        assert float(mapped.covariance[-1, 6, 6]) ** 0.5 == pytest.approx(told.sigma)


def in_near_depths(mapped, scale):
    """The last camera's distance from the first, and its bar in the unit of `scale`, over the near depth."""
    first = mapped.world_from_cam[0]
    center = se3.relative(first, mapped.world_from_cam)[:, :3, 3]
    turn = torch.eye(8, dtype=torch.float64)
    turn[:3, :3] = turn[3:6, 3:6] = first[:3, :3].mT
    covariance = covariance_in(scale, turn @ mapped.covariance @ turn.mT, center)
    assert float(covariance[0, :6, :6].abs().max()) == 0.0
    near = near_of((mapped.points.position - first[:3, 3]) @ first[:3, 2])
    return float(center[-1].norm()) / near, float(covariance[-1, 3:6, 3:6].trace().sqrt()) / near


@pytest.mark.parametrize("way", [straight, truth])
def test_a_length_in_near_depths_is_as_uncertain_as_what_the_lens_says_of_depths(way, tmp_path):
    """A drive to the side with a focal length of 1/0.8 of the true one is 0.8 times as long: the bar says that. An arc
    tells the lens, and its bar stays short; as does that of a unit that no depth has a part in."""
    camera, lens = way(), lens_of_fov(math.radians(60), HW)
    model, table = measured(0, noise=0.2, folder=tmp_path, camera=camera)
    depth = near_of(torch.from_numpy(np.stack([point.xyz for point in model.points3D.values()])[:, 2]))
    mapped = mapping._mapped(table, *mapping._adjusted(model, lens, table, (TRUE_FOCAL / 0.8, 0.5)), lens, ())
    found, bar = in_near_depths(mapped, Scale())
    error = abs(found - float((camera.center[-1] - camera.center[0]).norm()) / depth)
    assert error < 2.0 * bar
    if way is straight:
        assert 0.3 * found < bar < 0.8 * found
    else:
        assert bar < 0.05 * found
    assert in_near_depths(mapped, Scale("arbitrary"))[1] < 0.02 * found


def test_an_adjustment_that_runs_away_is_taken_back(tmp_path, monkeypatch):
    """Where all depths collapse everything is explained: such a focal length is no answer, the one it began with is."""

    def collapse(model, straight):
        camera = model.cameras[CAMERA_ID]
        camera.params = [0.02 * camera.params[0], *camera.params[1:]]
        return False

    monkeypatch.setattr(mapping, "_released", collapse)
    model, table = measured(0, noise=0.2, folder=tmp_path)
    _, told = mapping._adjusted(model, lens_of_fov(math.radians(60), HW), table, PRIOR)
    assert abs(math.log(told.focal / TRUE_FOCAL)) < 3.0 * told.sigma < 0.2


def test_what_is_wrong_with_a_stretch_of_the_clip_is_in_the_bar(tmp_path, monkeypatch):
    """All pixels of the last three frames lie 0.6% too far out, which no other part of the picture contradicts."""
    model, table = measured(0, noise=0.05, folder=tmp_path)
    for frame in range(FRAMES - 3, FRAMES):
        for point in model.images[frame + 1].points2D:
            point.xy = point.xy + 0.01 * (point.xy - np.array((240.0, 135.0)))
    told = mapping._adjusted(model, lens_of_fov(math.radians(60), HW), table, PRIOR)[1]
    monkeypatch.setattr(focal, "_of_stretches", lambda model, frames: 0.0)
    without = focal.tell_focal(model, PRIOR, tuple(range(FRAMES)), distorts=False)
    assert abs(math.log(told.focal / TRUE_FOCAL)) < 2.0 * told.sigma and told.sigma > 1.7 * without.sigma


def test_another_answer_that_the_matches_do_not_rule_out_is_in_the_bars(tmp_path):
    """Half of the parts are for either, or all for the best: z is 0 or the root of their number. A rival of z = 0 with a
    width as the best's peak is as likely: half of all belief is its."""
    model, _ = measured(0, noise=0.1, folder=tmp_path)
    best, half, worse = np.full(48, 9.0), np.tile((10.0, 8.0), 24), np.full(48, 8.0)
    models = dict.fromkeys((500.0, 700.0, 980.0), model)
    near, far = focal.rivals_of(models, {500.0: best, 700.0: half, 980.0: worse}, 500.0)
    assert (near.focal, near.z, far.z) == (700.0, 0.0, pytest.approx(48**0.5))
    assert near.width == pytest.approx(math.log(1.4)) == far.width
    flat, width = (500.0, 1e6), math.sqrt(2.0 * math.pi) * 0.01
    rival = focal.Rival(700.0, width, 0.0)
    for fault, prior, share in (({}, flat, 0.5), ({"z": 3.0}, flat, 0.0), ({"focal": 510.0}, flat, 0.0)):
        assert focal._shares((rival._replace(**fault),), 500.0, 0.01, prior) == pytest.approx([share], abs=1e-6)
    assert focal._shares((rival,), 500.0, 0.01, (500.0, 0.05))[0] < 1e-6


def test_the_cameras_of_a_rival_are_in_the_bars(tmp_path):
    """One whose cameras stand in other places, believed half: the bars come to the root of half of what they differ."""
    apart = replace(straight(), world_from_cam=truth().world_from_cam[3] @ straight().world_from_cam)
    (model, _), (other, _) = (measured(0, noise=0.1, folder=tmp_path, camera=each) for each in (truth(), apart))
    other.cameras[CAMERA_ID].params = [1.4 * TRUE_FOCAL, *other.cameras[CAMERA_ID].params[1:]]
    told = focal.ToldFocal(TRUE_FOCAL, 0.01, torch.zeros(FRAMES, 8, dtype=torch.float64), torch.empty(0))
    rival = focal.Rival(1.4 * TRUE_FOCAL, math.sqrt(2.0 * math.pi) * 0.01, 0.0, other)
    told = told._replace(others=focal._others(model, (rival,), told, (TRUE_FOCAL, 1e6)))
    assert float(told.covariance()[0, :6, :6].abs().max()) == 0.0
    sigma = told.covariance()[-1].diagonal()
    turn = float(se3.geodesic(truth().rotation[-1], truth().rotation[0]))
    assert float(sigma[:3].sum().sqrt()) == pytest.approx(math.sqrt(0.5) * turn, rel=1e-6)
    assert float(sigma[6].sqrt()) == pytest.approx(math.sqrt(0.5) * math.log(1.4), rel=1e-6)


def test_a_turn_tells_the_focal_length_whatever_is_believed(tmp_path):
    model, table = measured(0, noise=0.2, folder=tmp_path)
    _, told = mapping._adjusted(model, lens_of_fov(math.radians(60), HW), table, (TRUE_FOCAL / 0.8, 0.5))
    assert told.sigma < 0.05 and abs(math.log(told.focal / TRUE_FOCAL)) < 3.0 * told.sigma


def test_a_point_that_few_cameras_follow_is_left_out_where_they_keep_enough_others(tmp_path):
    model, table = measured(0, noise=0.1, folder=tmp_path)
    for frame in range(4, FRAMES):
        model.delete_observation(frame + 1, 30)
    assert mapping._doubtful(model, table) == [(frame + 1, 30) for frame in range(4)]
    for point in range(mapping._LEAST_FINE, POINTS):
        model.delete_point3D(point + 1)
    assert mapping._doubtful(model, table) == []


def test_a_detail_too_wide_to_be_placed_and_one_far_off_are_left_out(tmp_path):
    model, table = measured(0, noise=0.1, folder=tmp_path)
    table.scales[2] = np.where(np.arange(POINTS) < 7, 9.0, 1.0)
    model.images[5].points2D[20].xy = model.images[5].points2D[20].xy + 30.0
    assert mapping._doubtful(model, table) == [(3, place) for place in range(7)]
    assert (5, 20) in mapping._far(model)
    mapping._adjusted(model, lens_of_fov(math.radians(60), HW), table, PRIOR)
    assert not any(model.images[3].points2D[place].has_point3D() for place in range(7))
    assert not model.images[5].points2D[20].has_point3D()


def test_figures_of_a_clip_are_its_known_errors():
    """A path turned by 1 degree in its last frame, twice as large, with 10% more focal length, bars of 0.5 degrees."""
    camera = truth()
    motions = se3.relative(camera.world_from_cam[0], camera.world_from_cam)
    motions[:, :3, 3] *= 2.0
    motions[-1, :3, :3] = motions[-1, :3, :3] @ se3.so3_exp(torch.tensor([0.0, 0.0, math.radians(1.0)]).double())
    K = camera.K.clone()
    K[..., 0, 0] *= 1.1
    K[..., 1, 1] *= 1.1
    covariance = torch.zeros(FRAMES, 7, 7, dtype=torch.float64)
    covariance[-1, 0, 0] = math.radians(0.5) ** 2
    covariance[:, 6, 6] = 0.05**2
    path = Trajectory(Camera(motions, K, HW), fps=24.0, unit="arbitrary")
    footage = Footage("shot", 0.0, 24.0, tuple(range(FRAMES)))
    row = clip_figures(Estimate(path, "colmap", footage, "moving", "", covariance, missing=(10,)), Trajectory(camera))
    assert row["rotation_ratio"] == pytest.approx(2.0, rel=1e-3)
    assert row["focal"] == pytest.approx(0.1) and row["focal_ratio"] == pytest.approx(math.log(1.1) / 0.05)
    assert row["direction"] == pytest.approx(0.0, abs=0.2) and row["rotation"] < 0.5 < row["still"]
    text = clips_table([{"clip": "shot"} | row | {"seconds": 3.0}])
    assert "10 of 11" in text and "10.00%" in text and "1 that moved" in text
    assert clip_figures(Estimate(path, "colmap", footage, "moving", "it moved"), None)["answer"] == "moving"
    with pytest.raises(ValueError, match="has 4 cameras"):
        clip_figures(Estimate(path, "colmap", footage, "moving", ""), Trajectory(camera[:4]))

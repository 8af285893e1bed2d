"""Clips with exact cameras through COLMAP, small: a camera that moves, one that turns, one that stands still."""

from __future__ import annotations

import math
from itertools import combinations

import cv2
import numpy as np
import pytest
import torch

from raxel_core.evaluation.pose_metrics import pair_errors, pose_metrics
from raxel_core.solving.features import Picture, find_features
from raxel_core.solving.lens import Lens, assumed_lens
from raxel_core.solving.matching import match_frames, read_correspondences
from raxel_core.solving.settings import Scale, SolveSettings
from raxel_core.solving.solve import Clip, SolveError, solve_cameras
from tests.benchmarks.rendered_clips import clip

pytest.importorskip("pycolmap")

HW = (180, 320)


def orbit(s):
    turn = 0.5 * s
    return np.array([3.5 * math.sin(turn), 0.0, 3.5 * (1 - math.cos(turn))]), np.array([0.0, -turn, 0.0])


def pan(s):
    return np.zeros(3), np.array([0.05, 0.4, 0.0]) * s


def stand(s):
    return np.zeros(3), np.zeros(3)


def known(rendered):
    focal = tuple(rendered.camera.focal[0].tolist())
    return Lens(HW, focal, (HW[1] / 2, HW[0] / 2), known=True)


def solved(motion, frames, *, settings=None, progress=None, **options):
    rendered = clip("shot", motion, seed=7, fov_degrees=55.0, frames=frames, hw=HW, **options)
    settings = settings(rendered) if settings else None
    pictures = (Picture(frame) for frame in rendered.frames())
    name = Clip("shot.mp4", frames=frames)
    return rendered, solve_cameras(pictures, name, settings=settings, progress=progress)


def test_a_moving_camera_is_solved_with_honest_error_bars():
    steps = []
    settings = lambda rendered: SolveSettings(known(rendered), scale=Scale("distance", 2.0))  # noqa: E731
    rendered, (estimate, lens) = solved(orbit, 8, settings=settings, progress=lambda done, total: steps.append(done))
    assert estimate.motion == "moving" and estimate.footage.frames == tuple(range(8)) and not estimate.missing
    truth = rendered.camera
    metrics = pose_metrics(estimate.trajectory.camera, truth)
    assert math.degrees(float(metrics.rotation_error)) < 0.2
    directions = pair_errors(estimate.trajectory.camera, truth, pairs="reference", direction="signed").direction
    assert math.degrees(float(directions.nanmedian())) < 1.5
    centers = estimate.trajectory.camera.center
    assert float((centers[-1] - centers[0]).norm()) == pytest.approx(2.0)
    assert estimate.trajectory.unit == "metre" and lens == known(rendered)
    assert 1e-5 < float(estimate.rotation_sigma[-1]) < math.radians(0.5)
    assert float(estimate.covariance[0].abs().max()) == 0.0 == estimate.focal_sigma
    assert estimate.points is not None and len(estimate.points) > 50
    assert float(estimate.residual_px.max()) < 1.5
    assert estimate.verdict.startswith("The camera moved: all 8 frames have a camera of their own")
    assert steps == sorted(steps) and steps[-1] <= 100


def test_a_tripod_gets_no_path_and_a_still_camera_no_motion():
    rendered, (turned, _) = solved(pan, 8)
    assert turned.motion == "rotation" and float(turned.trajectory.path_length) == 0.0
    assert math.degrees(float(pose_metrics(turned.trajectory.camera, rendered.camera).rotation_error)) < 0.1
    assert float(turned.trajectory.camera.focal[0, 0]) == pytest.approx(float(rendered.camera.focal[0, 0]), rel=0.02)
    assert turned.verdict.startswith("The camera did not move from its place: it turned by")
    _, (still, _) = solved(stand, 4, people=2)
    assert still.motion == "still" and float(still.trajectory.turn) == 0.0
    assert still.verdict.startswith("The camera did not move")


def test_a_lens_that_zooms_while_the_camera_stands_is_told_as_that():
    """One frame, enlarged by up to 1.3 about its middle."""
    shot = next(clip("shot", stand, seed=7, fov_degrees=55.0, frames=1, hw=HW).frames())
    growth = torch.linspace(1.0, 1.3, 5, dtype=torch.float64)
    matrices = [cv2.getRotationMatrix2D((HW[1] / 2 - 0.5, HW[0] / 2 - 0.5), 0.0, float(each)) for each in growth]
    pictures = (Picture(cv2.warpAffine(shot, matrix, HW[::-1], flags=cv2.INTER_CUBIC)) for matrix in matrices)
    estimate = solve_cameras(pictures).estimate
    assert estimate.motion == "rotation" and math.degrees(float(estimate.trajectory.turn)) < 0.1
    focal = estimate.trajectory.camera.focal[:, 0]
    torch.testing.assert_close(focal / focal[0], growth, atol=0.0, rtol=2e-3)
    off = math.log(float(focal[0]) / (HW[1] / 2 / math.tan(math.radians(27.5))))
    assert abs(off) < estimate.focal_sigma > 0.3  # a zoom alone does not tell how long the focal lengths are
    assert "the lens zooms by a factor of 1.30, between" in estimate.verdict and "(a guess, " in estimate.verdict


def test_work_can_be_interrupted_and_noise_is_no_footage():
    class Stop(Exception):
        pass

    def stop(done, total):
        if done > 40:
            raise Stop

    with pytest.raises(Stop):
        solved(orbit, 5, progress=stop)
    random = np.random.default_rng(0)
    noise = (Picture(random.integers(0, 256, (120, 160, 3), dtype=np.uint8)) for _ in range(3))
    with pytest.raises(SolveError, match="no two of the 3 frames"):
        solve_cameras(noise)
    sizes = [Picture(np.zeros((120, 160, 3), dtype=np.uint8)), Picture(np.zeros((120, 180, 3), dtype=np.uint8))]
    with pytest.raises(ValueError, match="frames of one size are expected"):
        solve_cameras(iter(sizes))
    with pytest.raises(ValueError, match="there is no frame"):
        solve_cameras(iter(()))


def test_what_a_mask_covers_is_not_looked_at():
    """A still camera before a picture whose left half moves: masked, it stands still."""
    random = np.random.default_rng(3)
    wall = (random.random((60, 80, 3)) * 255).astype(np.uint8).repeat(3, 0).repeat(4, 1)
    mask = np.ones(HW, dtype=bool)
    mask[:, :200] = False

    def frames(covered):
        for shift in range(0, 24, 6):
            frame = wall.copy()
            frame[:, :200] = np.roll(wall, shift, axis=1)[:, :200]
            yield Picture(frame, mask if covered else None)

    assert solve_cameras(frames(covered=True)).estimate.motion == "still"
    assert torch.equal(
        torch.eye(4), solve_cameras(frames(covered=True)).estimate.trajectory.camera[2].world_from_cam.float()
    )


def test_the_same_pictures_give_the_same_matches(tmp_path):
    """Whatever was matched before them: samples of another draw keep other matches, and these other cameras."""
    rendered, found = clip("shot", orbit, seed=7, fov_degrees=55.0, frames=8, hw=HW, people=3), []
    for name, before in (("a", []), ("b", [(0, 7), (1, 7)])):
        (tmp_path / name).mkdir()
        pictures = [Picture(frame) for frame in rendered.frames()]
        table = find_features(pictures, tmp_path / name, assumed_lens, most=HW[1], done=lambda count: None)
        match_frames(table, [*before, *combinations(range(7), 2)], done=lambda count, total: None)
        found.append([pair for pair in read_correspondences(table) if pair.second < 7])
    assert len(found[0]) == 21
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.pixels_first, other.pixels_first)
        assert np.array_equal(one.pixels_second, other.pixels_second)

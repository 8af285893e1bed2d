"""Accuracy of photographs' cameras against NumPy, known answers, and what no rotation can tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from raxel_core.evaluation.photograph_metrics import nearest_similarity, photograph_errors, scene_scale
from raxel_core.evaluation.photograph_scenes import accuracy_table
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov


def cameras(seed, count=5):
    generator = torch.Generator().manual_seed(seed)
    motion = se3.exp(torch.randn(count, 6, generator=generator, dtype=torch.float64))
    return Camera(motion, K_from_fov(0.9, (64, 64)).double(), (64, 64))


def test_a_similarity_of_the_truth_has_no_error():
    truth = cameras(0)
    turn = se3.exp(torch.tensor([0.3, -1.0, 0.5, 2.0, 1.0, -3.0], dtype=torch.float64))
    moved = Camera(turn @ truth.world_from_cam, truth.K, truth.hw).scaled(2.5)
    errors = photograph_errors(moved, truth, scene_scale=scene_scale(truth))
    assert float(errors.rotation.max()) < 1e-6 and float(errors.center.max()) < 1e-9
    assert errors.figures() == {
        "rotation_15": 1.0,
        "center_0.1": 1.0,
        "center_0.2": 1.0,
        "auc_30": pytest.approx(1.0, abs=0.04),
    }


def test_figures_against_numpy_over_ordered_pairs():
    truth, estimate = cameras(1), cameras(2)
    errors = photograph_errors(estimate, truth, scene_scale=2.0)
    expected = []
    for i in range(5):
        for j in range(5):
            if i != j:
                a = estimate.rotation[i].numpy().T @ estimate.rotation[j].numpy()
                b = truth.rotation[i].numpy().T @ truth.rotation[j].numpy()
                expected.append(Rotation.from_matrix(b @ a.T).magnitude())
    np.testing.assert_allclose(np.sort(errors.rotation.numpy()), np.sort(expected), atol=1e-9)
    # Umeyama as the published evaluation writes it: || A - (s B R + T) || with rows.
    A, B = truth.center.numpy(), estimate.center.numpy()
    H = (B - B.mean(0)).T @ (A - A.mean(0))
    u, s, vh = np.linalg.svd(H)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vh))])
    scale = np.trace(np.diag(s) @ sign) / ((B - B.mean(0)) ** 2).sum()
    rotation = u @ sign @ vh
    aligned = scale * B @ rotation + A.mean(0) - scale * B.mean(0) @ rotation
    np.testing.assert_allclose(errors.center.numpy(), np.linalg.norm(A - aligned, axis=1) / 2.0, atol=1e-9)


def test_two_photographs_and_points_in_one_place():
    truth, estimate = cameras(3, 2), cameras(4, 2)
    assert float(photograph_errors(estimate, truth, scene_scale=1.0).center.max()) < 1e-9
    still = torch.zeros(4, 3, dtype=torch.float64)
    target = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(nearest_similarity(still, target), target.mean(0).expand(4, 3))
    scale = scene_scale(truth)
    assert scale == pytest.approx(float((truth.center[0] - truth.center[1]).norm()) / 2)
    with pytest.raises(ValueError, match="two or more at a time: got 2 and 3"):
        photograph_errors(estimate, cameras(0, 3), scene_scale=1.0)


def test_thresholds_by_hand():
    # One camera of three turned by 20 degrees: of six ordered pairs the four with it are off.
    truth = cameras(5, 3)
    turn = torch.eye(3, dtype=torch.float64).repeat(3, 1, 1)
    turn[1] = se3.rotation_x(torch.tensor(math.radians(20), dtype=torch.float64))
    estimate = Camera(se3.from_rotation_translation(truth.rotation @ turn, truth.center), truth.K, truth.hw)
    assert photograph_errors(estimate, truth, scene_scale=1.0).figures()["rotation_15"] == pytest.approx(2 / 6)


def test_the_table_has_a_line_for_each_row_and_figure():
    figures = {"rotation_15": 0.5, "center_0.2": 0.25}
    text = accuracy_table({"identity": {2: figures, 3: figures}, "ray_diffusion": {2: figures, 3: figures}})
    assert len(text.splitlines()) == 6 and "0.25" in text and "ray_diffusion" in text

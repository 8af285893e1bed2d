"""Pose figures: answers worked out by hand, invariances, agreement with evo to 1e-9, and speed against it."""

from __future__ import annotations

import importlib.util
import math
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raxel_core.evaluation import pose_metrics as pm
from raxel_core.evaluation.report import pose_report
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov

HW = (480, 832)
needs_evo = pytest.mark.skipif(
    importlib.util.find_spec("evo") is None, reason="evo is not installed: nothing to agree with (pip install evo)"
)


def random_path(*batch: int, frames: int = 9, seed: int = 0, spread: float = 1.0) -> Camera:
    """Smooth-ish random cameras [*batch, frames] in float64."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(*batch, frames, 6, dtype=torch.float64, generator=generator)
    twists = spread * steps.cumsum(-2) / frames
    K = K_from_fov(torch.tensor(1.0, dtype=torch.float64), HW)
    return Camera(se3.exp(twists), K, HW)


def perturbed(camera: Camera, amount: float, seed: int = 1) -> Camera:
    """Every camera moved by its own small twist."""
    generator = torch.Generator().manual_seed(seed)
    twists = amount * torch.randn(*camera.world_from_cam.shape[:-2], 6, dtype=torch.float64, generator=generator)
    return replace(camera, world_from_cam=camera.world_from_cam @ se3.exp(twists))


def transformed(camera: Camera, scale: float, seed: int = 2) -> Camera:
    """The same path in a world that is turned, moved and scaled."""
    generator = torch.Generator().manual_seed(seed)
    new_from_world = se3.exp(torch.randn(6, dtype=torch.float64, generator=generator))
    turned = new_from_world @ camera.world_from_cam
    scaled = se3.from_rotation_translation(turned[..., :3, :3], scale * turned[..., :3, 3])
    return replace(camera, world_from_cam=scaled)


def path_of(centers: list[list[float]], yaws: list[float] | None = None) -> Camera:
    """A path from centres [F, 3] and turns about y in radians."""
    angles = torch.tensor(yaws or [0.0] * len(centers), dtype=torch.float64)
    twists = torch.stack((torch.zeros_like(angles), angles, torch.zeros_like(angles)), dim=-1)
    matrix = se3.from_rotation_translation(se3.so3_exp(twists), torch.tensor(centers, dtype=torch.float64))
    return Camera(matrix, K_from_fov(torch.tensor(1.0, dtype=torch.float64), HW), HW)


def test_frame_errors_by_hand() -> None:
    """The estimate turns by 0.3 where the truth does not, and stands 3 and 4 units off along two axes.

    Then R_err = 0.3, T_err = 5. For a turn by a, |R - I|_F = 2 sqrt(2) sin(a / 2), so CamMC^2 = 8 sin^2(0.15) + 25.
    """
    truth = path_of([[0, 0, 0], [0, 0, 1]])
    errors = pm.frame_errors(path_of([[0, 0, 0], [3, 4, 1]], [0.0, 0.3]), truth)
    expected = math.sqrt(8 * math.sin(0.15) ** 2 + 25)
    torch.testing.assert_close(errors.rotation, torch.tensor([0.0, 0.3], dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(errors.translation, torch.tensor([0.0, 5.0], dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(errors.cammc, torch.tensor([0.0, expected], dtype=torch.float64), atol=1e-12, rtol=0)
    assert math.isclose(errors.ate, math.sqrt(25 / 2), rel_tol=1e-12)
    assert math.isclose(pm.reduce_frames(errors.translation), 2.5, rel_tol=1e-12)
    assert math.isclose(pm.reduce_frames(errors.translation, "sum"), 5.0, rel_tol=1e-12)


def test_common_norm_by_hand() -> None:
    """Truth goes to z = 1, 2 and the estimate to 2, 6.

    Over their own norms (2 and 6) they differ by 1/2 - 1/3 at frame 1; over the truth's they are 1, 3 against 1/2, 1.
    """
    truth, estimate = path_of([[0, 0, 0], [0, 0, 1], [0, 0, 2]]), path_of([[0, 0, 0], [0, 0, 2], [0, 0, 6]])
    each = pm.frame_errors(estimate, truth, normalization="each").translation
    over_truth = pm.frame_errors(estimate, truth, normalization="truth").translation
    torch.testing.assert_close(each, torch.tensor([0, 1 / 6, 0], dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(over_truth, torch.tensor([0, 0.5, 2], dtype=torch.float64), atol=1e-12, rtol=0)


def published_figures(estimate: Camera, truth: Camera, norm: str) -> dict[str, list[float]]:
    """RotErr, TransErr, CamMC of each frame and the squares of ATE, frame by frame in NumPy, as CamI2V's evaluation has
    them: T <- T_0^-1 T, then t / max |t| of each path ("rel") or of the truth ("abs")."""
    paths = [camera.world_from_cam.numpy() for camera in (estimate, truth)]
    paths = [[np.linalg.inv(path[0]) @ matrix for matrix in path] for path in paths]
    sizes = [max(math.sqrt(sum(m[i, 3] ** 2 for i in range(3))) for m in path) for path in paths]
    sizes = {"raw": [1.0, 1.0], "rel": sizes, "abs": [sizes[1]] * 2}[norm]
    found: dict[str, list[float]] = {"rotation_error": [], "translation_error": [], "cammc": [], "ate": []}
    for a, b in zip(*paths, strict=True):
        a, b = a.copy(), b.copy()
        a[:3, 3] /= sizes[0]
        b[:3, 3] /= sizes[1]
        trace = sum((a[:3, :3].T @ b[:3, :3])[i, i] for i in range(3))
        found["rotation_error"].append(math.acos(min(1.0, max(-1.0, (trace - 1) / 2))))
        found["translation_error"].append(math.sqrt(sum((a[i, 3] - b[i, 3]) ** 2 for i in range(3))))
        found["cammc"].append(math.sqrt(sum((a[i, j] - b[i, j]) ** 2 for i in range(3) for j in range(4))))
        found["ate"].append(sum((a[i, 3] - b[i, 3]) ** 2 for i in range(3)))
    return found


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("norm", "suffix"), [("raw", ""), ("rel", "_normalized"), ("abs", "_by_truth")])
def test_the_published_figures_frame_by_frame(norm: str, suffix: str, reduction: str) -> None:
    truth = random_path(frames=81, spread=3.0)
    estimate = transformed(perturbed(truth, 0.2), 1.7)
    expected = published_figures(estimate, truth, norm)
    found = pm.pose_metrics(estimate, truth, reduction=reduction)
    frames = 81 if reduction == "mean" else 1
    for name in ("rotation_error", "translation_error", "cammc"):
        figure = getattr(found, name if name == "rotation_error" else name + suffix)
        # arccos of a cosine near 1 keeps half the digits, ours keeps all.
        tolerance = 1e-7 if name == "rotation_error" else 1e-12
        assert math.isclose(figure, sum(expected[name]) / frames, rel_tol=tolerance), name
    assert math.isclose(getattr(found, f"ate{suffix}"), math.sqrt(sum(expected["ate"]) / 81), rel_tol=1e-12)


def test_the_published_figures_by_the_authors_of_scope() -> None:
    file = Path(os.environ.get("SCOPE_PATH", "/nowhere")) / "scope" / "evaluation.py"
    if not file.is_file():
        pytest.skip("no copy of the authors' repository: set SCOPE_PATH to one")
    spec = importlib.util.spec_from_file_location("scope_evaluation", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    truth = random_path(frames=81, spread=3.0)
    estimate = transformed(perturbed(truth, 0.2), 1.7)
    theirs = module.evaluate_trajectory(truth.world_from_cam.numpy(), estimate.world_from_cam.numpy())
    ours = pm.pose_metrics(estimate, truth)
    assert math.isclose(ours.rotation_error, math.radians(theirs["rotation_error_degrees"]), rel_tol=1e-7)
    names = {"translation_error": "translation_error", "ate": "ate", "cammc": "cammc"}
    names |= {"ate_normalized": "scale_normalized_ate", "cammc_normalized": "scale_normalized_cammc"}
    for mine, his in names.items():
        assert math.isclose(getattr(ours, mine), theirs[his], rel_tol=1e-12), mine


def test_frame_errors_ignore_the_world_frame() -> None:
    truth = random_path()
    estimate = perturbed(truth, 0.1)
    moved = pm.frame_errors(transformed(estimate, 1.0), truth)
    errors = pm.frame_errors(estimate, truth)
    torch.testing.assert_close(moved.rotation, errors.rotation, atol=1e-12, rtol=0)
    torch.testing.assert_close(moved.cammc, errors.cammc, atol=1e-12, rtol=0)
    same_scale = pm.frame_errors(transformed(estimate, 3.0), truth, normalization="each")
    torch.testing.assert_close(
        same_scale.translation, pm.frame_errors(estimate, truth, normalization="each").translation, atol=1e-12, rtol=0
    )


def test_a_path_against_itself_has_no_error() -> None:
    truth = random_path(frames=12)
    metrics = pm.pose_metrics(truth, truth)
    perfect = {"rra_30": 1.0, "mrra_30": 1.0, "rta_30": 1.0, "auc_30": 1.0}
    for field in fields(metrics):
        assert abs(float(getattr(metrics, field.name)) - perfect.get(field.name, 0.0)) < 1e-7, field.name


def test_fits_undo_what_they_fit() -> None:
    truth = random_path(frames=10)
    moved, scaled = transformed(truth, 1.0), transformed(truth, 0.25)
    of_moved, of_scaled = pm.pose_metrics(moved, truth, step=3), pm.pose_metrics(scaled, truth)
    assert max(of_moved.ate, of_moved.ate_se3, of_moved.rpe_translation) < 1e-12 and of_moved.rpe_rotation < 1e-7
    assert of_scaled.ate_se3 > 0.1 and of_scaled.rpe_translation > 0.1
    assert of_scaled.ate_sim3 < 1e-12
    assert math.isclose(of_scaled.log_scale, math.log(4), rel_tol=1e-12)


def test_a_mirrored_path_is_not_fitted_by_a_reflection() -> None:
    truth = random_path(frames=10)
    mirrored = truth.world_from_cam.clone()
    mirrored[..., 0, 3] *= -1
    assert pm.pose_metrics(replace(truth, world_from_cam=mirrored), truth).ate_sim3 > 0.01


def test_a_straight_line_has_a_fitted_error() -> None:
    """A dolly fixes no roll, but its residual exists: centres z = 0, 1, 2 against 0, 1, 5 along any line.

    Centred: -1, 0, 1 and -2, -1, 3. SE(3): differences 1, 1, 2 -> sqrt(6 / 3). Sim(3): c = 5 / 2 leaves
    0.5, -1, 0.5 -> sqrt(1.5 / 3).
    """
    truth = path_of([[0, 0, 0], [0, 0, 1], [0, 0, 5]])
    estimate = path_of([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    found = pm.pose_metrics(estimate, truth)
    assert math.isclose(found.ate_se3, math.sqrt(2), rel_tol=1e-12)
    assert math.isclose(found.ate_sim3, math.sqrt(0.5), rel_tol=1e-12)
    assert math.isclose(found.log_scale, math.log(2.5), rel_tol=1e-12)


def test_figures_without_a_meaning_are_nan() -> None:
    """A camera that only pans has no path length: no normalised figure, no direction, no scale; the rest exists."""
    truth = path_of([[0, 0, 0]] * 4, [0.0, 0.1, 0.2, 0.3])
    estimate = path_of([[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0.1], [0.3, 0, 0]], [0.0, 0.1, 0.2, 0.4])
    metrics = pm.pose_metrics(estimate, truth)
    undefined = {field.name for field in fields(metrics) if math.isnan(float(getattr(metrics, field.name)))}
    common = {f"{name}_{kind}" for name in ("translation_error", "cammc", "ate") for kind in ("normalized", "by_truth")}
    assert undefined == common | {"rta_30", "auc_30", "ate_sim3", "log_scale"}
    still = pm.pose_metrics(truth, estimate)
    assert math.isnan(still.log_scale) and math.isclose(still.rta_30, 0.0)
    assert math.isclose(still.ate_sim3, still.ate_se3) and still.ate_se3 > 0


def test_pair_accuracies_by_hand() -> None:
    """Three cameras on a line; the estimate turns the last one by 10.5 degrees and leaves the centres.

    Pairs (0, 1), (0, 2), (1, 2) then err by 0, 10.5, 10.5 degrees in rotation. 20 of the 30 thresholds, 11 ... 30,
    lie above 10.5 degrees: mRRA = (1 + 2 * 20 / 30) / 3. Directions agree.
    """
    truth = path_of([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    estimate = path_of([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [0.0, 0.0, math.radians(10.5)])
    errors = pm.pair_errors(estimate, truth)
    expected = torch.tensor([0, 10.5, 10.5], dtype=torch.float64).deg2rad()
    torch.testing.assert_close(errors.rotation, expected, atol=1e-12, rtol=0)
    assert errors.direction.max() < 1e-12
    area = (1 + 2 * 20 / 30) / 3
    assert math.isclose(pm.area_accuracy(errors.rotation), area, rel_tol=1e-12)
    assert math.isclose(pm.area_accuracy(errors.worse), area, rel_tol=1e-12)
    assert math.isclose(pm.accuracy(errors.rotation, math.radians(10)), 1 / 3, rel_tol=1e-12)
    first = pm.pair_errors(estimate, truth, pairs="reference")
    torch.testing.assert_close(first.rotation, expected[:2], atol=1e-12, rtol=0)


def test_accuracies_of_long_paths_are_those_of_pairs_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 frames 1,770 pairs: 32,000 drawn ones give each figure within five standard errors (of a share of a half)."""
    truth = random_path(frames=60, spread=2.0)
    estimate = perturbed(truth, 0.4)
    exact = pm.pose_metrics(estimate, truth)
    assert pm.pairs_counted(2896) == 2896 * 2895 // 2 and pm.pairs_counted(2897) == pm.pairs_counted(10**5) == 2**20
    monkeypatch.setattr(pm, "_ALL_PAIRS", 1000)
    monkeypatch.setattr(pm, "DRAWN_PAIRS", 32_000)
    drawn = pm.pose_metrics(estimate, truth)
    assert 0.1 < exact.rra_30 < 0.9 and 0.1 < exact.rta_30 < 0.9
    for name in ("rra_30", "mrra_30", "rta_30", "auc_30"):
        assert 0 < abs(getattr(drawn, name) - getattr(exact, name)) < 5 * 0.5 / math.sqrt(32_000)
    assert "32000 of the 1770 pairs, drawn" in pose_report(estimate, truth).table()
    assert drawn.ate == exact.ate and pm.pose_metrics(estimate, truth).auc_30 == drawn.auc_30


def test_directions_fold_or_keep_their_sign() -> None:
    """The estimate walks the other way: half a turn with the sign, nothing when t and -t are the same."""
    truth, back = path_of([[0, 0, 0], [1, 0, 0]]), path_of([[0, 0, 0], [-1, 0, 0]])
    assert math.isclose(pm.pair_errors(back, truth, direction="signed").direction, math.pi, rel_tol=1e-12)
    assert pm.pair_errors(back, truth, direction="folded").direction.abs() < 1e-12
    still = path_of([[0, 0, 0], [0, 0, 0]])
    assert math.isclose(pm.pair_errors(still, truth, direction="signed").direction, math.pi, rel_tol=1e-12)
    assert math.isclose(pm.pair_errors(still, truth, direction="folded").direction, math.pi / 2, rel_tol=1e-12)
    assert pm.pair_errors(back, still).direction.isnan().all()


def test_pairs_agree_with_relative_matrices() -> None:
    """The Gram form of the pair errors against relative cameras written out one by one."""
    truth = random_path(frames=6, spread=2.0)
    estimate = perturbed(truth, 0.7)
    errors, place = pm.pair_errors(estimate, truth, direction="signed"), 0
    for i in range(6):
        for j in range(i + 1, 6):
            a, b = (se3.inverse(c.world_from_cam[i]) @ c.world_from_cam[j] for c in (estimate, truth))
            cosine = ((a[:3, :3].mT @ b[:3, :3]).trace() - 1) / 2
            between = torch.dot(a[:3, 3], b[:3, 3]) / (a[:3, 3].norm() * b[:3, 3].norm())
            assert abs(errors.rotation[place] - cosine.clamp(-1, 1).acos()) < 1e-7
            assert abs(errors.direction[place] - between.clamp(-1, 1).acos()) < 1e-7
            place += 1


def test_area_accuracy_is_the_published_histogram() -> None:
    """PoseDiffusion's mAA: a histogram with bins of one degree, cumulated and averaged over 30 bins."""
    errors = 40 * torch.rand(500, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    below = torch.stack([(errors < degrees).double().mean() for degrees in range(1, 31)])
    torch.testing.assert_close(pm.area_accuracy(errors.deg2rad()), below.mean(), atol=1e-12, rtol=0)


def test_focal_and_field_of_view_by_hand() -> None:
    """80 against 60 degrees across: tan(30) / tan(40) - 1 in focal, 20 degrees in view, whatever the resolution."""
    base = random_path(frames=3)
    truth = replace(base, K=K_from_fov(torch.full((3,), math.radians(60), dtype=torch.float64), HW))
    wide = replace(base, K=K_from_fov(torch.full((3,), math.radians(80), dtype=torch.float64), HW)).resized((240, 416))
    expected = 1 - math.tan(math.radians(30)) / math.tan(math.radians(40))
    focal, fov = pm.focal_error(wide, truth), pm.fov_error(wide, truth)
    torch.testing.assert_close(focal, torch.full((3, 2), expected, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(fov[:, 0], torch.full((3,), math.radians(20), dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_leading_axes_give_what_each_path_gives(batch: tuple[int, ...]) -> None:
    truth = random_path(*batch, frames=7)
    estimate = perturbed(truth, 0.2)
    together = pm.pose_metrics(estimate, truth)
    flat_estimate, flat_truth = (c.world_from_cam.reshape(-1, 7, 4, 4) for c in (estimate, truth))
    for number, (a, b) in enumerate(zip(flat_estimate, flat_truth, strict=True)):
        K = truth.K.reshape(-1, 7, 3, 3)[0]
        alone = pm.pose_metrics(Camera(a, K, HW), Camera(b, K, HW))
        for field in fields(together):
            figure = getattr(together, field.name)
            assert figure.shape == batch and figure.dtype == torch.float64
            torch.testing.assert_close(
                figure.reshape(-1)[number], getattr(alone, field.name), atol=1e-12, rtol=0, msg=field.name
            )


def test_arguments_stay_as_they_were() -> None:
    truth = random_path().to(dtype=torch.float32)
    estimate = perturbed(random_path(), 0.1).to(dtype=torch.float32)
    before = [t.clone() for t in (truth.world_from_cam, truth.K, estimate.world_from_cam, estimate.K)]
    metrics = pm.pose_metrics(estimate, truth)
    after = (truth.world_from_cam, truth.K, estimate.world_from_cam, estimate.K)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert metrics.rotation_error.dtype == torch.float64


def test_bad_input_is_named() -> None:
    truth = random_path(frames=5)
    with pytest.raises(ValueError, match="the estimate has 4 frames, the truth 5"):
        pm.frame_errors(truth[:4], truth)
    with pytest.raises(ValueError, match="at least 2 frames"):
        pm.pose_metrics(truth[:1], truth[:1])
    with pytest.raises(ValueError, match="single camera"):
        pm.pose_metrics(truth[0], truth[0])
    with pytest.raises(ValueError, match="normalization must be one of none, each, truth, got 'own'"):
        pm.frame_errors(truth, truth, normalization="own")
    with pytest.raises(ValueError, match="1 to 4 for 5 frames, got 5"):
        pm.pose_metrics(truth, truth, step=5)
    broken = truth.world_from_cam.clone()
    broken[2, 0, 3] = math.nan
    with pytest.raises(ValueError, match="the estimate holds NaN"):
        pm.pose_metrics(replace(truth, world_from_cam=broken), truth)


def evo_path(camera: Camera) -> Any:
    from evo.core.trajectory import PosePath3D

    return PosePath3D(poses_se3=list(camera.world_from_cam.numpy().copy()))


def evo_rmse(metric: Any, pair: tuple[Any, Any]) -> float:
    from evo.core.metrics import StatisticsType

    metric.process_data(pair)
    return float(metric.get_statistic(StatisticsType.rmse))


@needs_evo
@pytest.mark.parametrize("with_scale", [False, True])
def test_agreement_with_evo(with_scale: bool) -> None:
    from evo.core import metrics as em
    from evo.core.units import Unit

    truth = random_path(frames=81, spread=3.0)
    estimate = transformed(perturbed(truth, 0.05), 0.6)
    reference, aligned = evo_path(truth), evo_path(estimate)
    _, _, scale = aligned.align(reference, correct_scale=with_scale)
    ate = evo_rmse(em.APE(em.PoseRelation.translation_part), (reference, aligned))
    found = pm.pose_metrics(estimate, truth)
    assert abs(ate - (found.ate_sim3 if with_scale else found.ate_se3)) < 1e-9
    if with_scale:
        assert abs(math.log(scale) - found.log_scale) < 1e-9
        return
    for step in (1, 5):
        ours = pm.pose_metrics(estimate, truth, step=step)
        for relation, value in (
            (em.PoseRelation.translation_part, ours.rpe_translation),
            (em.PoseRelation.rotation_angle_rad, ours.rpe_rotation),
        ):
            theirs = evo_rmse(em.RPE(relation, step, Unit.frames, all_pairs=True), (reference, aligned))
            assert abs(theirs - value) < 1e-9, relation


@needs_evo
def test_agreement_with_evo_frame_by_frame() -> None:
    from evo.core import metrics as em

    truth = random_path(frames=30, spread=3.0)
    estimate = transformed(perturbed(truth, 0.3), 1.0)
    reference, aligned = evo_path(truth), evo_path(estimate)
    aligned.align_origin(reference)
    errors = pm.frame_errors(estimate, truth)
    for relation, ours in (
        (em.PoseRelation.translation_part, errors.translation),
        (em.PoseRelation.rotation_angle_rad, errors.rotation),
    ):
        metric = em.APE(relation)
        metric.process_data((reference, aligned))
        torch.testing.assert_close(torch.as_tensor(metric.error), ours, atol=1e-9, rtol=0)


def evo_suite(truth: Camera, estimate: Camera) -> list[float]:
    """ATE anchored, SE(3) and Sim(3), rotation error, RPE in translation and rotation, by evo."""
    import copy

    from evo.core import metrics as em

    reference, path = evo_path(truth), evo_path(estimate)
    anchored, rigid, similar = (copy.deepcopy(path) for _ in range(3))
    anchored.align_origin(reference)
    rigid.align(reference)
    similar.align(reference, correct_scale=True)
    translation, rotation = em.PoseRelation.translation_part, em.PoseRelation.rotation_angle_rad
    values = [evo_rmse(em.APE(translation), (reference, one)) for one in (anchored, rigid, similar)]
    values.append(evo_rmse(em.APE(rotation), (reference, anchored)))
    return values + [evo_rmse(em.RPE(relation), (reference, rigid)) for relation in (translation, rotation)]


def same_suite(truth: Camera, estimate: Camera) -> list[float]:
    """The six figures of `evo_suite` by our functions."""
    rotation = pm.frame_errors(estimate, truth).rotation.square().mean().sqrt()
    found = pm.pose_metrics(estimate, truth)
    fitted = (found.ate, found.ate_se3, found.ate_sim3)
    return [float(v) for v in (*fitted, rotation, found.rpe_translation, found.rpe_rotation)]


@needs_evo
def test_the_figures_are_those_of_evo() -> None:
    truth = random_path(frames=81)
    estimate = perturbed(truth, 0.1)
    both = zip(same_suite(truth, estimate), evo_suite(truth, estimate), strict=True)
    assert max(abs(a - b) for a, b in both) < 1e-9

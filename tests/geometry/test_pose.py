"""Cameras from raxels: round trips, the known bias of the closed form, every mode, and input that holds no camera."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.pose import METHODS, PoseRecoveryError, RecoveredCameras, recover_cameras
from raxel_core.geometry.procrustes import median, rotation_from_covariance
from raxel_core.geometry.ray_fit import RayFit, RayProblem, assess
from raxel_core.geometry.rays import Rays

F64 = torch.float64
BATCHES = [(), (1,), (2, 3)]
VIDEO_HW = (192, 320)
GRID_HW = (24, 40)


@pytest.fixture(autouse=True)
def one_thread():
    """Many small products: a second thread on a busy machine costs more than it brings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def K_of(fov_degrees, hw: tuple[int, int]) -> Tensor:
    return K_from_fov(torch.deg2rad(torch.as_tensor(fov_degrees, dtype=F64)), hw)


def clip(batch: tuple[int, ...] = (), frames: int = 6, fov_degrees=60.0, hw=VIDEO_HW, spread: float = 0.4) -> Camera:
    """Cameras [*batch, F] about the first one, which is the identity."""
    twist = spread * draw(*batch, frames, 6, seed=3)
    twist[..., 0, :] = 0.0
    return Camera(se3.exp(twist), K_of(fov_degrees, hw), hw)


def bundles(camera: Camera, hw: tuple[int, int] = GRID_HW) -> Tensor:
    """o + d [..., 3, F, h, w], from the definition."""
    rays = Rays.from_camera(camera, hw)
    return (rays.origin + rays.direction).movedim(-1, -4)


def rotation_error_degrees(found: RecoveredCameras, camera: Camera) -> Tensor:
    return torch.rad2deg(se3.geodesic(found.camera.rotation.double(), camera.rotation))


def check(found: RecoveredCameras, camera: Camera, *, degrees: float, length: float, focal: float) -> None:
    assert found.camera.hw == camera.hw
    assert found.camera.batch_shape == camera.batch_shape
    assert rotation_error_degrees(found, camera).max() <= degrees
    assert (found.camera.center - camera.center).abs().max() <= length
    assert (found.camera.focal / camera.focal - 1.0).abs().max() <= focal
    assert (found.camera.principal_point - camera.principal_point).abs().max() <= 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", BATCHES)
def test_cameras_come_back_from_exact_rays(method, batch):
    camera = clip(batch)
    found = recover_cameras(bundles(camera), VIDEO_HW, method=method)
    check(found, camera, degrees=1e-5, length=1e-6, focal=1e-6)
    assert found.covariance.shape == (*batch, 6, 7, 7)
    assert found.residual_rms.shape == found.inlier_fraction.shape == (*batch, 6)
    assert found.inlier_fraction.min() == 1.0
    assert found.residual_rms.max() < 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_cameras_come_back_through_a_float32_image(method):
    camera = clip()
    image = ((0.5 * bundles(camera)).float() + 1.0) / 2.0
    found = recover_cameras((2.0 * image - 1.0) / 0.5, VIDEO_HW, method=method)
    assert found.camera.K.dtype == found.covariance.dtype == torch.float32
    check(found, camera, degrees=1e-3, length=1e-5, focal=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_fitted_in_full(method, dtype):
    camera = clip()
    rays = bundles(camera).to(dtype)
    before = rays.clone()
    found = recover_cameras(rays, VIDEO_HW, method=method)
    assert torch.equal(rays, before)
    check(found, camera, degrees=0.25, length=5e-3, focal=5e-3)
    same = recover_cameras(rays.float(), VIDEO_HW, method=method)
    assert torch.equal(found.camera.world_from_cam, same.camera.world_from_cam)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reference", ["analytic", "decoded"])
@pytest.mark.parametrize("focal", ["shared", "per_frame", "known"])
@pytest.mark.parametrize("number", [0, 4])
def test_every_mode_reads_exact_rays_about_any_frame(method, reference, focal, number):
    camera = clip()
    camera = camera.relative_to(camera[number])
    K = camera.K[0] if focal == "known" else None
    found = recover_cameras(
        bundles(camera), VIDEO_HW, method=method, reference=reference, focal=focal, K=K, reference_frame=number
    )
    check(found, camera, degrees=1e-5, length=1e-6, focal=1e-6)
    assert torch.equal(found.covariance[number, :6], torch.zeros(6, 7, dtype=F64))
    assert (found.covariance[:, 6, 6] == 0.0).all() == (focal == "known")


@pytest.mark.parametrize("turn", [math.pi, math.pi - 1e-7, 2.5])
def test_half_a_turn_is_no_special_case(turn):
    camera = clip()
    omega = turn * torch.nn.functional.normalize(draw(6, 3, seed=9), dim=-1)
    omega[0] = 0.0
    motion = se3.from_rotation_translation(se3.so3_exp(omega), camera.center)
    camera = replace(camera, world_from_cam=motion)
    for method in METHODS:
        check(recover_cameras(bundles(camera), VIDEO_HW, method=method), camera, degrees=1e-5, length=1e-6, focal=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grid_hw", [(24, 40), (16, 40), (13, 27), (96, 160)])
def test_the_grid_may_have_another_shape_than_the_video(method, grid_hw):
    # Pixels of the grid are then not square, but those of the video are, and K is in the video's. An odd grid has a
    # column on the axis, where u z / x is 0 / 0 noise: the closed form leaves it in, and the median moves a little.
    camera = clip()
    found = recover_cameras(bundles(camera, grid_hw), VIDEO_HW, method=method)
    check(found, camera, degrees=1e-5, length=1e-6, focal=1e-6)


@pytest.mark.parametrize("fov_degrees", [20.0, 40.0, 75.0, 100.0, 130.0])
@pytest.mark.parametrize("method", METHODS)
def test_narrow_and_wide_views(method, fov_degrees):
    camera = clip(fov_degrees=fov_degrees)
    check(recover_cameras(bundles(camera), VIDEO_HW, method=method), camera, degrees=1e-4, length=1e-5, focal=1e-6)


def test_the_robust_fit_reads_a_zoom_as_a_zoom():
    camera = clip(fov_degrees=torch.tensor([60.0, 54.0, 48.0, 40.0, 70.0, 90.0]))
    found = recover_cameras(bundles(camera), VIDEO_HW, focal="per_frame")
    check(found, camera, degrees=1e-5, length=1e-6, focal=1e-6)
    assert torch.equal(found.camera.focal[:, 0], found.camera.focal[:, 1])


def test_a_known_K_may_be_any():
    camera = clip()
    K = camera.K.clone()
    K[:, 0, 2] += 20.0
    K[:, 1, 2] -= 7.0
    K[:, 0, 0] *= 1.2
    K[:, 0, 1] = 3.0
    zooming = K.clone()
    zooming[:, :2, :2] *= torch.linspace(1.0, 1.5, 6, dtype=F64)[:, None, None]
    for given in (K, zooming):
        camera = replace(camera, K=given)
        found = recover_cameras(bundles(camera), VIDEO_HW, focal="known", K=given)
        check(found, camera, degrees=1e-5, length=1e-6, focal=1e-12)
        torch.testing.assert_close(found.camera.K, given, rtol=0.0, atol=0.0)


def test_one_K_serves_all_clips():
    camera = clip((2, 3))
    found = recover_cameras(bundles(camera), VIDEO_HW, focal="known", K=camera.K[0, 0, 0])
    check(found, camera, degrees=1e-5, length=1e-6, focal=1e-12)


def test_without_a_reference_frame_the_rays_keep_their_world():
    camera = clip()
    world = se3.exp(draw(6, seed=5))
    moved = replace(camera, world_from_cam=world @ camera.world_from_cam)
    check(recover_cameras(bundles(moved), VIDEO_HW, reference_frame=None), moved, degrees=1e-5, length=1e-6, focal=1e-6)
    # A decoded reference takes out whatever frame the rays are in.
    decoded = recover_cameras(bundles(moved), VIDEO_HW, reference="decoded")
    check(decoded, camera, degrees=1e-5, length=1e-6, focal=1e-6)


def mean_cosine(fov_degrees: float, hw: tuple[int, int]) -> tuple[float, Tensor]:
    """m(f), the mean over the grid of z = (1 + |u|^2 / f^2)^-1/2, and z itself [N], from the formula."""
    focal = 0.5 * hw[1] / math.tan(math.radians(fov_degrees) / 2.0)
    u = torch.arange(hw[1], dtype=F64) + 0.5 - hw[1] / 2.0
    v = torch.arange(hw[0], dtype=F64)[:, None] + 0.5 - hw[0] / 2.0
    z = (1.0 + (u * u + v * v) / focal**2).rsqrt().flatten()
    return z.mean().item(), z


@pytest.mark.parametrize(
    ("reference_fov", "fov", "dolly", "focal_ratio"),
    [
        (60.0, 54.0, 0.0126, 0.987),
        (60.0, 50.0, 0.0202, 0.979),
        (60.0, 40.0, 0.0363, 0.963),
        (75.0, 60.0, 0.0389, 0.959),
        (90.0, 75.0, 0.0509, 0.944),
        (60.0, 90.0, -0.0898, 1.105),
    ],
)
def test_the_closed_form_reads_a_zoom_as_a_dolly_exactly_so_far(reference_fov, fov, dolly, focal_ratio):
    # On a symmetric grid the odd moments of the bundle vanish: the cross-covariance is diagonal and the rotation exact,
    # the means differ by m(f_k) - m(f_ref) along the axis, and that shift is taken off the z of the local rays.
    hw = (60, 104)
    camera = clip(frames=2, fov_degrees=torch.tensor([reference_fov, fov]), hw=hw)
    found = recover_cameras(bundles(camera, hw), hw, method="procrustes", focal="per_frame")
    (m_ref, _), (m_k, z) = mean_cosine(reference_fov, hw), mean_cosine(fov, hw)
    shift = m_k - m_ref
    torch.testing.assert_close(found.camera.rotation, camera.rotation, rtol=0.0, atol=1e-9)
    expected = camera.center[1] + shift * camera.rotation[1, :, 2]
    torch.testing.assert_close(found.camera.center[1], expected, rtol=0.0, atol=1e-9)
    ratio = (1.0 - shift / z).median()
    torch.testing.assert_close(found.camera.focal[1] / camera.focal[1], ratio.expand(2), rtol=0.0, atol=1e-9)
    assert shift == pytest.approx(dolly, abs=6e-5)
    assert ratio.item() == pytest.approx(focal_ratio, abs=6e-4)


@pytest.mark.parametrize(("fov", "degrees"), [(50.0, 2.4), (60.0, 2.8), (75.0, 3.4), (90.0, 3.9)])
def test_the_closed_form_reads_a_shifted_principal_point_as_a_turn(fov, degrees):
    hw = (32, 52)
    camera = clip(frames=2, fov_degrees=fov, hw=hw)
    K = camera.K.clone()
    K[1, 0, 2] += 0.05 * hw[1]
    found = recover_cameras(bundles(replace(camera, K=K), hw), hw, method="procrustes")
    assert rotation_error_degrees(found, camera)[1].item() == pytest.approx(degrees, abs=0.06)


@pytest.mark.parametrize(
    ("fov", "sigma", "percent"), [(60.0, 0.03, -1.1), (60.0, 0.05, -3.1), (50.0, 0.05, -4.4), (90.0, 0.05, -1.3)]
)
def test_noise_pulls_the_median_of_ratios_down(fov, sigma, percent):
    hw = (32, 52)
    camera = clip(frames=40, fov_degrees=fov, hw=hw)
    rays = bundles(camera, hw)
    rays[:, 1:] += sigma * draw(*rays[:, 1:].shape, seed=11)
    found = recover_cameras(rays, hw, method="procrustes", focal="per_frame")
    bias = 100.0 * (found.camera.focal[1:] / camera.focal[1:] - 1.0).mean().item()
    assert bias == pytest.approx(percent, abs=0.25)


@pytest.mark.parametrize(
    ("fov", "turn", "t_x", "t_z", "log_focal", "correlation"),
    [
        (30.0, 6.61, 6.58, 1.02, 5.86, -0.99),
        (50.0, 3.96, 3.92, 1.05, 3.78, -0.97),
        (60.0, 3.30, 3.24, 1.07, 3.32, -0.95),
        (75.0, 2.64, 2.56, 1.11, 2.93, -0.92),
        (90.0, 2.20, 2.10, 1.18, 2.77, -0.88),
        (105.0, 1.89, 1.77, 1.27, 2.81, -0.83),
    ],
)
def test_standard_errors_are_those_of_the_normal_equations(fov, turn, t_x, t_z, log_focal, correlation):
    # Listed as standard error x sqrt(N) / sigma on a 32 x 52 grid, unrotated, all weights one.
    hw = (32, 52)
    camera = clip(frames=1, fov_degrees=fov, hw=hw)
    rays = bundles(camera, hw).movedim(-3, -4).flatten(-2)[None]
    slopes = rays[:, 0, :2] / rays[:, 0, 2:]
    problem = RayProblem(rays, slopes, hw, torch.zeros(1, 1, dtype=torch.bool), True)
    fit = RayFit(camera.rotation[None], camera.center[None], torch.zeros(1, dtype=F64))
    found = assess(problem, fit, weigh=lambda e, _: (torch.ones(1, 1, dtype=F64), torch.ones_like(e[..., 0, :])))
    covariance = found.motion_covariance[0, 0]
    errors = covariance.diagonal().sqrt() * math.sqrt(hw[0] * hw[1])
    expected = torch.tensor([turn, t_x, t_z], dtype=F64)
    torch.testing.assert_close(errors[[1, 3, 5]], expected, rtol=0.0, atol=0.011)
    assert (found.focal_variance.sqrt() * math.sqrt(hw[0] * hw[1])).item() == pytest.approx(log_focal, abs=0.011)
    between = covariance[3, 1] / (covariance[3, 3] * covariance[1, 1]).sqrt()
    assert between.item() == pytest.approx(correlation, abs=0.0051)


def test_a_focal_length_shared_by_the_clip_is_known_better():
    camera = clip((30,), frames=9)
    rays = bundles(camera) + 0.03 * draw(30, 3, 9, *GRID_HW, seed=2)
    shared, single = (recover_cameras(rays, VIDEO_HW, focal=focal) for focal in ("shared", "per_frame"))
    assert (shared.camera.K[:, :1] == shared.camera.K).all()
    errors = [
        torch.log(found.camera.focal[:, 1, 0] / camera.focal[:, 1, 0]).square().mean().sqrt()
        for found in (shared, single)
    ]
    assert errors[0] < 0.45 * errors[1]
    assert shared.covariance[:, 1, 6, 6].mean() < 0.2 * single.covariance[:, 1, 6, 6].mean()


def test_a_shared_focal_is_not_bent_by_one_bad_frame():
    camera = clip(frames=9)
    rays = bundles(camera) + 0.01 * draw(3, 9, *GRID_HW, seed=2)
    rays[:, 5, :, :16] += 0.5 * draw(3, 24, 16, seed=7)
    found = recover_cameras(rays, VIDEO_HW)
    check(found, camera, degrees=0.5, length=0.01, focal=2e-3)
    assert found.inlier_fraction[5] < 0.75
    assert found.inlier_fraction[:5].min() > 0.97


@pytest.mark.parametrize("share", [0.2, 0.3, 0.4])
def test_a_block_of_the_image_may_be_anything(share):
    camera = clip(frames=9)
    rays = bundles(camera) + 0.01 * draw(3, 9, *GRID_HW, seed=2)
    rays[..., : round(share * GRID_HW[1])] += draw(3, 9, 1, 1, seed=7)
    rays[:, 0, :, :] = bundles(camera)[:, 0]
    found = recover_cameras(rays, VIDEO_HW)
    check(found, camera, degrees=0.6, length=0.01, focal=3e-3)
    torch.testing.assert_close(found.inlier_fraction[1:].mean().item(), 1.0 - share, rtol=0.0, atol=0.03)


def test_residuals_tell_the_noise():
    camera = clip()
    found = recover_cameras(bundles(camera) + 0.02 * draw(3, 6, *GRID_HW, seed=2), VIDEO_HW)
    torch.testing.assert_close(found.residual_rms, torch.full((6,), 0.02, dtype=F64), rtol=0.05, atol=0.0)
    assert found.inlier_fraction.min() > 0.99


def test_a_stride_thins_the_grid():
    camera = clip()
    rays = bundles(camera, (96, 160)) + 0.02 * draw(3, 6, 96, 160, seed=2)
    dense, thin = (recover_cameras(rays, VIDEO_HW, stride=stride) for stride in (1, 4))
    check(dense, camera, degrees=0.2, length=5e-3, focal=5e-3)
    ratio = thin.covariance[1:, 0, 0] / dense.covariance[1:, 0, 0]
    assert 9.0 < ratio.mean() < 25.0
    default = recover_cameras(rays, VIDEO_HW)
    assert torch.equal(default.camera.K, recover_cameras(rays, VIDEO_HW, stride=3).camera.K)


def fails(rays: Tensor, frame: int, words: str, **arguments) -> None:
    for method in METHODS:
        with pytest.raises(PoseRecoveryError, match=words) as caught:
            recover_cameras(rays, VIDEO_HW, method=method, **arguments)
        assert caught.value.frame == frame
        assert f"frame {frame}" in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_rays_that_are_not_finite_are_refused(value):
    rays = bundles(clip())
    rays[1, 3, 7, 8] = value
    fails(rays, 3, "not finite")


def test_constant_rays_are_refused():
    rays = bundles(clip())
    rays[:, 4] = rays[:, 4, :1, :1]
    fails(rays, 4, "all the same")


@pytest.mark.parametrize("focal", ["shared", "per_frame"])
def test_a_narrow_view_is_refused(focal):
    camera = clip(fov_degrees=14.0)
    fails(bundles(camera), 0, "less than 15 degrees", focal=focal)
    check(
        recover_cameras(bundles(clip(fov_degrees=16.0)), VIDEO_HW),
        clip(fov_degrees=16.0),
        degrees=1e-4,
        length=1e-5,
        focal=1e-6,
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", ["noise", "a point"])
def test_one_frame_that_fits_nothing_is_read_as_uncertain(method, bad):
    """It costs no other frame anything, and its own camera is told to be worth nothing."""
    camera = clip()
    rays = bundles(camera) + 0.005 * draw(3, 6, *GRID_HW, seed=2)
    noise = draw(3, *GRID_HW, seed=4)
    rays[:, 2] = 0.6 * noise if bad == "noise" else rays[:, 2, :1, :1] + 0.01 * noise
    found = recover_cameras(rays, VIDEO_HW, method=method)
    others = [0, 1, 3, 4, 5]
    error = se3.geodesic(found.camera.rotation[others], camera.relative_to(camera[0]).rotation[others])
    assert torch.rad2deg(error).max() < 2.0
    deviation = found.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    assert found.inlier_fraction[2] < 0.25
    assert deviation[2, :6].min() >= 1.0 and deviation[others].max() < 0.1
    assert not deviation[0, :6].any() or method == "procrustes"


def test_a_clip_of_which_most_fits_nothing_is_refused():
    rays = bundles(clip())
    rays[:, 2:] = 0.6 * draw(3, 4, *GRID_HW, seed=4)
    with pytest.raises(PoseRecoveryError, match="frame 2: less than 25% of its rays fit any camera"):
        recover_cameras(rays, VIDEO_HW)


def test_the_clip_is_named_where_there_are_many():
    rays = bundles(clip((2, 3)))
    rays[1, 0, :, 5] = math.nan
    with pytest.raises(PoseRecoveryError, match=r"frame 5: .* \(clip 3 of 6\)"):
        recover_cameras(rays, VIDEO_HW)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "median"}, "method is one of"),
        ({"focal": "free"}, "focal is one of"),
        ({"reference": "known"}, "reference is one of"),
        ({"focal": "known"}, "K is given exactly when"),
        ({"K": torch.eye(3)}, "K is given exactly when"),
        ({"focal": "known", "K": torch.eye(4)}, r"K has shape \[..., 3, 3\]"),
        ({"focal": "known", "K": torch.eye(3).expand(5, 3, 3)}, r"K of leading axes \[5\]"),
        ({"reference_frame": 6}, "0 to 5, got 6"),
        ({"reference_frame": -1}, "0 to 5, got -1"),
        ({"stride": 0}, "stride 0"),
        ({"stride": 7}, "4 x 4 samples"),
        ({"method": "procrustes", "reference_frame": None}, "reference_frame is None"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        recover_cameras(bundles(clip()), VIDEO_HW, **arguments)


@pytest.mark.parametrize("shape", [(3, 24, 40), (4, 6, 24, 40), (3, 0, 24, 40), (3, 6, 3, 40)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=str(list(shape)).replace("[", r"\[")):
        recover_cameras(torch.zeros(shape), VIDEO_HW)


def test_integers_are_refused():
    with pytest.raises(ValueError, match="floating point"):
        recover_cameras(torch.zeros(3, 6, 24, 40, dtype=torch.long), VIDEO_HW)


@pytest.mark.parametrize("batch", BATCHES)
def test_the_median_is_the_lower_one(batch):
    for count in (1, 2, 7, 8, 333):
        values = draw(*batch, count, seed=count)
        before = values.clone()
        assert torch.equal(median(values), values.median(-1).values)
        assert torch.equal(values, before)


@pytest.mark.parametrize("batch", BATCHES)
def test_the_best_rotation_never_mirrors(batch):
    rotation = se3.so3_exp(draw(*batch, 3, seed=1))
    mirror = rotation @ torch.diag(torch.tensor([3.0, 2.0, -1.0], dtype=F64))
    # Of the proper rotations the best one gives up the weakest axis, the mirrored one.
    torch.testing.assert_close(rotation_from_covariance(mirror), rotation, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("focal", ["shared", "per_frame"])
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_read_like_its_clips_and_left_as_it_was(method: str, focal: str) -> None:
    rays = bundles(clip((2, 3)))
    rays = rays + 0.01 * draw(*rays.shape)
    given = rays.clone()
    found = recover_cameras(rays, VIDEO_HW, method=method, focal=focal)
    assert torch.equal(rays, given)
    alone = recover_cameras(rays[1, 2], VIDEO_HW, method=method, focal=focal)
    torch.testing.assert_close(found.camera.world_from_cam[1, 2], alone.camera.world_from_cam, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.covariance[1, 2], alone.covariance, rtol=1e-3, atol=1e-12)

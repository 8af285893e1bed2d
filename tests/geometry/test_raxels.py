"""Raxel images: the encoding by hand, its agreement with rays, the way back, its range and its images."""

from __future__ import annotations

from math import pi, sqrt

import pytest
import torch
from torch import Tensor

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.rays import Rays
from raxel_core.latents.clip_sizes import raxel_hw
from raxel_core.paths.plan import make_move
from raxel_core.raxels import (
    decode_raxels,
    encode_raxels,
    range_report,
)

BATCHES = [(), (1,), (2, 3)]
HW, GRID = (96, 160), (24, 40)
F64 = torch.float64


def draw_camera(batch: tuple[int, ...], *, zoom: bool = False, dtype: torch.dtype = F64) -> Camera:
    """Cameras [..., 5] that wander, each clip with its own field of view, changing over the frames with `zoom`."""
    generator = torch.Generator().manual_seed(0)
    world_from_cam = se3.exp(0.4 * torch.randn(*batch, 5, 6, generator=generator, dtype=F64))
    fov = 0.7 + 0.8 * torch.rand(*batch, 5 if zoom else 1, generator=generator, dtype=F64)
    return Camera(world_from_cam.to(dtype), K_from_fov(fov, HW).to(dtype), HW)


def close(a: Tensor, b: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=0.0, atol=atol)


def test_the_encoding_by_hand() -> None:
    # Two by two pixels under 90 degrees: directions (+-1, +-1, 2) / sqrt 6. The reference sees 0.5 d; a camera one unit
    # to its right adds 0.5 to the first channel and nothing else.
    K = K_from_fov(torch.tensor(pi / 2, dtype=F64), (2, 2))
    world_from_cam = torch.eye(4, dtype=F64).repeat(2, 1, 1)
    world_from_cam[1, 0, 3] = 1.0
    raxels = encode_raxels(Camera(world_from_cam, K, (2, 2)), (2, 2))
    d = torch.tensor([[[-1, 1], [-1, 1]], [[-1, -1], [1, 1]], [[2, 2], [2, 2]]], dtype=F64) / sqrt(6)
    close(raxels[:, 0], 0.5 * d)
    close(raxels[:, 1], 0.5 * d + torch.tensor([0.5, 0.0, 0.0], dtype=F64)[:, None, None])


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("zoom", [False, True])
@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_raxels_are_rays_of_the_relative_cameras(batch: tuple[int, ...], zoom: bool, scale: float) -> None:
    camera = draw_camera(batch, zoom=zoom)
    for frame in (0, 3, -1):
        rays = Rays.from_camera(camera.relative_to(camera[..., frame, None]), GRID)  # [..., F, h, w, 3]
        expected = scale * (rays.origin + rays.direction).movedim(-1, -4)
        raxels = encode_raxels(camera, GRID, scale=scale, reference=frame)
        assert raxels.shape == (*batch, 3, 5, *GRID) and raxels.is_contiguous()
        close(raxels, expected)
        close(encode_raxels(camera, GRID, scale=scale, reference=camera[..., frame]), raxels)


def test_raxels_do_not_depend_on_the_world_frame() -> None:
    camera = draw_camera((2,))
    world = se3.exp(torch.tensor([0.3, -2.0, 1.0, 5.0, -4.0, 3.0], dtype=F64))
    moved = Camera(world @ camera.world_from_cam, camera.K, HW)
    close(encode_raxels(moved, GRID), encode_raxels(camera, GRID))


def test_the_middle_of_the_reference_frame_looks_ahead() -> None:
    # With an odd grid the middle pixel lies on the axis: its raxel is scale * (0, 0, 1).
    raxels = encode_raxels(draw_camera(()), (25, 41), scale=0.25)
    close(raxels[:, 0, 12, 20], torch.tensor([0.0, 0.0, 0.25], dtype=F64))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("method", "focal"), [("robust", "shared"), ("robust", "per_frame"), ("procrustes", "shared")])
def test_cameras_to_raxels_to_cameras(batch: tuple[int, ...], method: str, focal: str) -> None:
    camera = draw_camera(batch, zoom=focal == "per_frame")
    recovered = decode_raxels(encode_raxels(camera, GRID), HW, method=method, focal=focal).camera
    expected = camera.relative_to(camera[..., 0, None])
    assert float(torch.rad2deg(se3.geodesic(recovered.rotation, expected.rotation)).max()) <= 1e-5
    close(recovered.center, expected.center, atol=1e-6)
    torch.testing.assert_close(recovered.K, expected.K, rtol=1e-6, atol=1e-6)
    assert recovered.hw == HW


@pytest.mark.parametrize("method", ["robust", "procrustes"])
def test_cameras_through_float32_images(method: str) -> None:
    camera = draw_camera((), dtype=torch.float32)
    raxels = encode_raxels(camera, GRID, scale=0.3)
    recovered = decode_raxels(raxels, HW, scale=0.3, method=method).camera
    expected = camera.to(dtype=F64).relative_to(camera.to(dtype=F64)[0])
    assert float(torch.rad2deg(se3.geodesic(recovered.rotation.double(), expected.rotation)).max()) <= 1e-3
    close(recovered.center.double(), expected.center, atol=1e-5)


def test_another_reference_frame_comes_back_as_the_origin() -> None:
    camera = draw_camera(())
    recovered = decode_raxels(encode_raxels(camera, GRID, reference=2), HW, reference_frame=2).camera
    close(recovered.world_from_cam, camera.relative_to(camera[2]).world_from_cam, atol=1e-6)


@pytest.mark.parametrize(
    ("hw", "downscale", "multiple", "expected"),
    [
        ((480, 832), 2, 16, (240, 416)),
        ((480, 832), 1, 16, (480, 832)),
        ((720, 1280), 2, 16, (368, 640)),  # 360 lies between 352 and 368, as near to both: the finer one
        ((96, 160), 1, 8, (96, 160)),
        ((96, 160), 2, 8, (48, 80)),
        ((20, 20), 2, 16, (16, 16)),
    ],
)
def test_the_grid_of_a_video(hw: tuple[int, int], downscale: int, multiple: int, expected: tuple[int, int]) -> None:
    assert raxel_hw(hw, downscale, multiple=multiple) == expected


def test_raxels_within_range_need_no_scale() -> None:
    camera = make_move("orbit", 5, hw=HW).camera
    report = range_report(encode_raxels(camera, GRID), camera)
    assert report.fits and (report.fraction_outside, report.fitting_scale) == (0.0, 1.0) and 0.5 < report.peak < 1.0


def test_range_report_by_hand() -> None:
    # Two by two pixels under 90 degrees, a truck by 2: of 24 values only the 4 of the second frame's first channel
    # change, to 0.5 (2 +- 1/sqrt 6), 1.204 and 0.796: two values are outside. A factor s for the scene fits when
    # 0.5 (2 s + 1/sqrt 6) <= 1, so s = 1 - 1/(2 sqrt 6) = 0.7958..., cut to 0.795.
    camera = make_move("truck", 2, hw=(2, 2), fov_degrees=90.0, amount=2.0).camera
    report = range_report(encode_raxels(camera, (2, 2)), camera)
    assert report.fraction_outside == 2 / 24 and not report.fits
    assert report.peak == pytest.approx(0.5 * (2 + 1 / sqrt(6)), abs=1e-6)
    assert report.fitting_scale == 0.795


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("reference", [0, 3])
def test_the_fitting_scale_fits_and_hardly_more_does(batch: tuple[int, ...], reference: int) -> None:
    camera = draw_camera(batch).scaled(9.0)
    raxels = encode_raxels(camera, GRID, reference=reference)
    report = range_report(raxels, camera, reference=reference)
    assert report.fraction_outside == float((raxels.abs() > 1.0).double().mean()) > 0.0
    assert report.peak == float(raxels.abs().max())
    assert encode_raxels(camera.scaled(report.fitting_scale), GRID, reference=reference).abs().max() <= 1.0
    assert encode_raxels(camera.scaled(1.02 * report.fitting_scale), GRID, reference=reference).abs().max() > 1.0
    with pytest.raises(ValueError, match="NaN or infinity"):
        range_report(raxels * float("nan"), camera)


def test_half_precision_cameras_make_float32_raxels() -> None:
    assert encode_raxels(draw_camera((), dtype=torch.bfloat16), GRID).dtype == torch.float32
    assert encode_raxels(draw_camera(()), GRID).dtype == F64


def test_float32_raxels_are_exact_to_rounding() -> None:
    single = draw_camera((), dtype=torch.float32)
    close(encode_raxels(single, GRID).double(), encode_raxels(single.to(dtype=F64), GRID), atol=1e-6)


@pytest.mark.parametrize("zoom", [False, True])
def test_raxels_have_gradients_to_the_cameras(zoom: bool) -> None:
    camera = draw_camera((), zoom=zoom)[:2]
    motion = camera.world_from_cam.clone().requires_grad_()
    focal = camera.focal.clone().requires_grad_()

    def encode(motion: Tensor, focal: Tensor) -> Tensor:
        K = torch.diag_embed(torch.cat((focal, torch.ones(2, 1, dtype=F64)), dim=-1)) + torch.tensor(
            [[0, 0, 80], [0, 0, 48], [0, 0, 0]], dtype=F64
        )
        return encode_raxels(Camera(motion, K if zoom else K[:1], HW), (2, 3), reference=camera[0])

    assert torch.autograd.gradcheck(encode, (motion, focal))


def test_no_argument_is_changed() -> None:
    camera = draw_camera((2,))
    raxels = encode_raxels(camera, GRID)
    given = (camera.world_from_cam, camera.K, raxels)
    before = [x.clone() for x in given]
    range_report(raxels, camera)
    decode_raxels(raxels, HW), decode_raxels(raxels, HW, method="procrustes")
    for x, y in zip(given, before, strict=True):
        assert torch.equal(x, y)


def test_what_makes_no_raxels_is_named() -> None:
    camera = draw_camera(())
    for scale in (0.0, -0.5, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"a raxel scale lies in \(0, 1\], got"):
            encode_raxels(camera, GRID, scale=scale)
    with pytest.raises(ValueError, match="the reference is frame 5 of a clip of 5 frames"):
        encode_raxels(camera, GRID, reference=5)
    with pytest.raises(ValueError, match=r"a camera with a frame axis; index it with \[None\]"):
        encode_raxels(camera[0], GRID)
    with pytest.raises(ValueError, match="at least one frame, got none"):
        encode_raxels(camera[:0], GRID, reference=camera[0])
    with pytest.raises(ValueError, match="a size is"):
        encode_raxels(camera, (0, 40))
    with pytest.raises(ValueError, match=r"a raxel video is .* got \[5, 24, 40\]"):
        decode_raxels(torch.zeros(5, 24, 40), HW)
    with pytest.raises(ValueError, match="downscale and multiple are at least 1, got 0 and 16"):
        raxel_hw(HW, 0)

"""The camera: its convention by hand, changes of image and of world, and what is no camera."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from math import atan, pi, radians, tan

import pytest
import torch
from torch import Tensor

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov, check_hw, stack

BATCHES = [(), (1,), (2, 3)]
HW = (480, 832)
F64 = torch.float64


def draw_camera(batch: tuple[int, ...] = (), *, seed: int = 0, dtype: torch.dtype = F64) -> Camera:
    generator = torch.Generator().manual_seed(seed)
    world_from_cam = se3.exp(torch.randn(*batch, 6, generator=generator, dtype=F64))
    K = K_from_fov(0.7 + 0.8 * torch.rand(batch, generator=generator, dtype=F64), HW)
    return Camera(world_from_cam.to(dtype), K.to(dtype), HW)


def project(camera: Camera, points: Tensor) -> Tensor:
    """Pixels (x, y) [..., N, 2] of world points [..., N, 3], written out without the code under test."""
    in_camera = (points - camera.center[..., None, :]) @ camera.rotation
    image = in_camera @ camera.K.mT
    return image[..., :2] / image[..., 2:]


def close(a: Tensor, b: Tensor, atol: float = 1e-10) -> None:
    torch.testing.assert_close(a, b, rtol=0.0, atol=atol)


def test_the_convention_by_hand() -> None:
    # 90 degrees across 832 pixels: fx = 416 / tan(45 deg) = 416. A point 1 to the right and 1 down at depth 2 lies
    # half the half width right of the middle, 416 + 208, and as many pixels below it, 240 + 208.
    camera = Camera(torch.eye(4, dtype=F64), K_from_fov(torch.tensor(pi / 2, dtype=F64), HW), HW)
    close(camera.focal, torch.tensor([416.0, 416.0], dtype=F64))
    close(camera.principal_point, torch.tensor([416.0, 240.0], dtype=F64))
    close(project(camera, torch.tensor([[1.0, 1.0, 2.0]], dtype=F64)), torch.tensor([[624.0, 448.0]], dtype=F64))
    close(camera.fov, torch.tensor([pi / 2, 2 * atan(240 / 416)], dtype=F64))


@pytest.mark.parametrize("batch", BATCHES)
def test_center_and_inverse(batch: tuple[int, ...]) -> None:
    camera = draw_camera(batch)
    homogeneous = torch.cat((camera.center, torch.ones(*batch, 1, dtype=F64)), dim=-1)
    origin = (camera.cam_from_world @ homogeneous[..., None]).squeeze(-1)
    close(origin, torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=F64).expand(*batch, 4))
    assert camera.batch_shape == batch


@pytest.mark.parametrize("batch", BATCHES)
def test_resizing_moves_pixels_with_the_image(batch: tuple[int, ...]) -> None:
    # Corners stay corners, so a pixel coordinate scales by the ratio of the sizes, whatever the point.
    camera, hw = draw_camera(batch), (240, 208)
    points = camera.center[..., None, :] + torch.randn(5, 3, dtype=F64) @ camera.rotation.mT
    close(project(camera.resized(hw), points), project(camera, points) * torch.tensor([208 / 832, 0.5], dtype=F64))
    close(camera.resized(hw).resized(HW).K, camera.K)
    close(camera.resized(hw).fov, camera.fov)
    assert camera.resized(hw).hw == hw


@pytest.mark.parametrize("batch", BATCHES)
def test_cropping_shifts_pixels(batch: tuple[int, ...]) -> None:
    camera = draw_camera(batch)
    cropped = camera.cropped(10, 100, (400, 600))
    points = camera.center[..., None, :] + torch.randn(5, 3, dtype=F64) @ camera.rotation.mT
    close(project(cropped, points), project(camera, points) - torch.tensor([100.0, 10.0], dtype=F64))
    close(cropped.cropped(-10, -100, HW).K, camera.K)


def test_fov_of_a_cropped_image_is_not_symmetric() -> None:
    # The right half of a 90 degree image spans from the axis to 45 degrees.
    camera = Camera(torch.eye(4, dtype=F64), K_from_fov(torch.tensor(pi / 2, dtype=F64), HW), HW)
    close(camera.cropped(0, 416, (480, 416)).fov[0], torch.tensor(pi / 4, dtype=F64))


@pytest.mark.parametrize("batch", BATCHES)
def test_relative_to_keeps_what_cameras_see_of_each_other(batch: tuple[int, ...]) -> None:
    camera, reference = draw_camera(batch), draw_camera(seed=1)
    relative = camera.relative_to(reference)
    close(reference.world_from_cam @ relative.world_from_cam, camera.world_from_cam)
    close(camera.relative_to(camera).world_from_cam, torch.eye(4, dtype=F64).expand(*batch, 4, 4))
    points = torch.randn(*batch, 4, 3, dtype=F64)
    in_reference = (points - reference.center) @ reference.rotation
    close(project(relative, in_reference), project(camera, points), atol=1e-6)


def test_scaling_moves_centres_only() -> None:
    camera = draw_camera((3,))
    scaled = camera.scaled(2.5)
    close(scaled.center, 2.5 * camera.center)
    close(scaled.rotation, camera.rotation, atol=0.0)
    close(scaled.scaled(0.4).world_from_cam, camera.world_from_cam)
    for factor in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="a scene scale is a positive number"):
            camera.scaled(factor)


def test_indexing_is_on_the_leading_axes_only() -> None:
    camera = draw_camera((2, 3))
    assert camera[1].batch_shape == (3,) and camera[..., 0].batch_shape == (2,)
    assert camera[0, 1:].batch_shape == (2,) and camera[None].batch_shape == (1, 2, 3)
    close(camera[1, 2].K, camera.K[1, 2], atol=0.0)
    close(camera[:, torch.tensor([2, 0])].world_from_cam, camera.world_from_cam[:, [2, 0]], atol=0.0)
    assert len(camera) == 2 and [one.batch_shape for one in camera] == [(3,), (3,)]
    with pytest.raises(IndexError):
        camera[0, 0, 0]
    with pytest.raises(IndexError):
        draw_camera()[0]
    with pytest.raises(TypeError, match="no length"):
        len(draw_camera())


def test_one_K_serves_many_cameras_and_the_other_way_round() -> None:
    many, one = draw_camera((2, 3)), draw_camera(seed=1)
    shared = Camera(many.world_from_cam, one.K, HW)
    assert shared.K.shape == (2, 3, 3, 3)
    close(shared[1, 1].K, one.K, atol=0.0)
    zoom = Camera(one.world_from_cam, many.K, HW)
    close(zoom[0, 2].world_from_cam, one.world_from_cam, atol=0.0)
    with pytest.raises(ValueError, match=r"leading axes \[2, 3\] and K \[4\]"):
        Camera(many.world_from_cam, one.K.expand(4, 3, 3), HW)


def test_stack_is_undone_by_indexing() -> None:
    cameras = [draw_camera((2,), seed=seed) for seed in range(3)]
    stacked = stack(cameras)
    assert stacked.batch_shape == (3, 2)
    for number, camera in enumerate(cameras):
        close(stacked[number].world_from_cam, camera.world_from_cam, atol=0.0)
        close(stacked[number].K, camera.K, atol=0.0)
    with pytest.raises(ValueError, match="agree in size"):
        stack([cameras[0], cameras[1].resized((10, 10))])
    with pytest.raises(ValueError, match="no camera"):
        stack([])


def test_geometry_is_never_half_precision() -> None:
    camera = draw_camera((2,), dtype=torch.bfloat16)
    assert camera.K.dtype == camera.world_from_cam.dtype == torch.float32
    assert camera.resized((60, 104)).K.dtype == torch.float32
    assert camera.to(dtype=torch.float16).K.dtype == torch.float32
    assert camera.to(dtype=F64).K.dtype == F64
    mixed = Camera(torch.eye(4), K_from_fov(torch.tensor(1.0, dtype=F64), HW), HW)
    assert mixed.world_from_cam.dtype == F64


@pytest.mark.parametrize("batch", BATCHES)
def test_K_from_fov(batch: tuple[int, ...]) -> None:
    fov = torch.linspace(0.5, 2.0, max(1, torch.Size(batch).numel()), dtype=F64).reshape(batch)
    camera = Camera(torch.eye(4, dtype=F64), K_from_fov(fov, HW), HW)
    close(camera.fov[..., 0], fov)
    close(camera.focal[..., 0], camera.focal[..., 1], atol=0.0)
    assert K_from_fov(1, HW).dtype == torch.float32
    close(K_from_fov(radians(60), HW)[0, 0], torch.tensor(416 / tan(radians(30))), atol=1e-4)
    for angle in (0.0, -1.0, pi, float("nan")):
        with pytest.raises(ValueError, match="between 0 and pi"):
            K_from_fov(angle, HW)


def test_no_argument_is_changed_and_nothing_can_be() -> None:
    camera = draw_camera((2, 3))
    before = (camera.world_from_cam.clone(), camera.K.clone())
    camera.resized((10, 20)), camera.cropped(1, 2, (3, 4)), camera.relative_to(camera[0, 0]), camera.scaled(3.0)
    camera.validate(), camera.fov
    assert torch.equal(camera.world_from_cam, before[0]) and torch.equal(camera.K, before[1])
    with pytest.raises(FrozenInstanceError):
        camera.K = camera.K  # type: ignore[misc]


def test_a_valid_camera_validates_to_itself() -> None:
    for camera in (draw_camera(), draw_camera((2, 3)), draw_camera((4,), dtype=torch.float32)):
        assert camera.validate() is camera


def broken(
    index: tuple[int, ...], value: float, *, matrix: str = "world_from_cam", batch: tuple[int, ...] = (4,)
) -> Camera:
    camera = draw_camera(batch)
    matrices = {"world_from_cam": camera.world_from_cam.clone(), "K": camera.K.clone()}
    matrices[matrix][index] = value
    return Camera(**matrices, hw=HW)


@pytest.mark.parametrize(
    ("camera", "sentence"),
    [
        (broken((2, 0, 3), float("nan")), "frame 2 holds NaN or infinity"),
        (broken((1, 0, 2), float("inf"), matrix="K"), "frame 1 holds NaN or infinity"),
        (broken((3, 0, 0), 2.0), "frame 3 has a rotation that is not orthonormal"),
        (broken((0, 3, 0), 0.5), "frame 0 has a world_from_cam whose last row is not 0 0 0 1"),
        (broken((0, 0, 0), -5.0, matrix="K"), "frame 0 has a focal length that is not positive"),
        (broken((0, 2, 2), 2.0, matrix="K"), r"frame 0 has a K that is not \[\[fx"),
        (broken((0, 1, 0), 2.0, matrix="K"), r"frame 0 has a K that is not \[\[fx"),
        (broken((0, 0, 3), float("nan"), batch=(1,)), "frame 0 holds NaN"),
        (broken((1, 2, 0, 3), float("nan"), batch=(2, 3)), r"camera \(1, 2\) holds NaN"),
        (broken((0, 3), float("nan"), batch=()), "the camera holds NaN"),
    ],
)
def test_what_is_no_camera_is_named(camera: Camera, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        camera.validate()


def test_a_mirror_is_no_rotation() -> None:
    mirrored = torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(ValueError, match="the camera has a rotation that mirrors"):
        Camera(mirrored, K_from_fov(1.0, HW), HW).validate()


def test_wrong_shapes_are_named() -> None:
    eye, K = torch.eye(4), K_from_fov(1.0, HW)
    with pytest.raises(ValueError, match=r"world_from_cam has shape \[..., 4, 4\], got \[3, 4\]"):
        Camera(eye[:3], K, HW)
    with pytest.raises(ValueError, match=r"K has shape \[..., 3, 3\], got \[4, 4\]"):
        Camera(eye, eye, HW)
    with pytest.raises(ValueError, match="floating-point tensor, got torch.int64"):
        Camera(eye.long(), K, HW)
    with pytest.raises(ValueError, match="floating-point tensor, got list"):
        Camera(eye, K.tolist(), HW)  # type: ignore[arg-type]
    for hw in ((0, 4), (4,), (4.0, 4), (4, -1), (True, 4)):
        with pytest.raises(ValueError, match="a size is"):
            check_hw(hw)  # type: ignore[arg-type]
    assert check_hw([4, 5]) == (4, 5)

"""Rays and lines: pixel centres by hand, round trips, and agreement with projection."""

from __future__ import annotations

from math import pi, sqrt

import pytest
import torch
from torch import Tensor

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.rays import (
    Plucker,
    Rays,
    homogeneous_directions,
    pixel_grid,
    plucker_from_rays,
    unit_directions,
)

BATCHES = [(), (1,), (2, 3)]
HW = (6, 10)
F64 = torch.float64


def draw_camera(batch: tuple[int, ...], *, skew: float = 0.0, dtype: torch.dtype = F64) -> Camera:
    generator = torch.Generator().manual_seed(0)
    world_from_cam = se3.exp(torch.randn(*batch, 6, generator=generator, dtype=F64))
    K = K_from_fov(0.7 + 0.8 * torch.rand(batch, generator=generator, dtype=F64), HW)
    K = K + torch.tensor([[0.3, skew, 0.7], [0.0, -0.2, -0.4], [0.0, 0.0, 0.0]], dtype=F64)
    return Camera(world_from_cam.to(dtype), K.to(dtype), HW)


def close(a: Tensor, b: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=0.0, atol=atol)


def test_pixel_centres_by_hand() -> None:
    grid = pixel_grid((2, 3))
    assert grid.tolist() == [[[0.5, 0.5], [1.5, 0.5], [2.5, 0.5]], [[0.5, 1.5], [1.5, 1.5], [2.5, 1.5]]]
    assert pixel_grid((2, 3), dtype=F64).dtype == F64


def test_directions_by_hand() -> None:
    # Two by two pixels under 90 degrees: f = 1, centres at (+-1/2, +-1/2) from the axis, so d = (+-1, +-1, 2) / sqrt 6.
    d = unit_directions(K_from_fov(torch.tensor(pi / 2, dtype=F64), (2, 2)), (2, 2))
    expected = torch.tensor([[[-1, 1], [-1, 1]], [[-1, -1], [1, 1]], [[2, 2], [2, 2]]], dtype=F64) / sqrt(6)
    close(d, expected)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("skew", [0.0, 0.8])
def test_directions_are_unit_and_project_to_their_pixels(batch: tuple[int, ...], skew: float) -> None:
    camera = draw_camera(batch, skew=skew)
    d = unit_directions(camera.K, HW)
    close(d.norm(dim=-3), torch.ones(*batch, *HW, dtype=F64))
    image = camera.K[..., None, None, :, :] @ d.movedim(-3, -1)[..., None]
    close(image[..., :2, 0] / image[..., 2:, 0], pixel_grid(HW, dtype=F64).expand(*batch, *HW, 2), atol=1e-10)
    fourth = homogeneous_directions(camera.K, HW)[..., 3, :, :]
    assert torch.equal(fourth, torch.ones_like(fourth))


@pytest.mark.parametrize("batch", BATCHES)
def test_rays_of_a_camera_pass_through_their_pixels(batch: tuple[int, ...]) -> None:
    camera = draw_camera(batch)
    rays = Rays.from_camera(camera)
    assert rays.direction.shape == (*batch, *HW, 3) and rays.origin.shape == (*batch, 1, 1, 3)
    points = rays.at(torch.linspace(1.0, 3.0, 60, dtype=F64).reshape(HW))
    in_camera = (points - camera.center[..., None, None, :]) @ camera.rotation[..., None, :, :]
    image = in_camera @ camera.K[..., None, :, :].mT
    close(image[..., :2] / image[..., 2:], pixel_grid(HW, dtype=F64).expand(*batch, *HW, 2), atol=1e-9)
    assert bool((image[..., 2] > 0).all())


def test_a_coarser_grid_holds_the_mean_pixel() -> None:
    # Halving the grid puts each new centre in the middle of four old ones: the same ray as K^-1 of their mean.
    camera = draw_camera(())
    coarse = Rays.from_camera(camera, (3, 5)).direction
    fine = unit_directions(camera.K, HW)
    flat = (fine / fine[2:]).unflatten(1, (3, 2)).unflatten(3, (5, 2)).mean((2, 4))
    expected = torch.nn.functional.normalize(camera.rotation @ flat.flatten(1), dim=0).mT.unflatten(0, (3, 5))
    close(coarse, expected)


@pytest.mark.parametrize("batch", BATCHES)
def test_every_point_of_a_line_has_its_moment(batch: tuple[int, ...]) -> None:
    rays = Rays.from_camera(draw_camera(batch))
    lines = plucker_from_rays(rays)
    zero = torch.zeros(*batch, *HW, dtype=F64)
    close((lines.direction * lines.moment).sum(-1), zero)
    # Every point of a line has the line's moment, so the camera's centre and any point along the ray agree.
    close(torch.linalg.cross(rays.at(2.0), rays.direction, dim=-1), lines.moment)


def test_a_line_by_hand() -> None:
    # Along x at height z = 2: the moment of the point (5, 0, 2) is (5, 0, 2) x (1, 0, 0) = (0, 2, 0), whatever x is.
    origin, direction = torch.tensor([5.0, 0.0, 2.0]), torch.tensor([1.0, 0.0, 0.0])
    line = plucker_from_rays(Rays(origin.expand(1, 1, 3), direction.expand(1, 1, 3)))
    assert line.moment.flatten().tolist() == [0.0, 2.0, 0.0]


def test_half_precision_is_computed_in_float32() -> None:
    camera = draw_camera((2,), dtype=torch.bfloat16)
    assert Rays.from_camera(camera).direction.dtype == torch.float32
    assert unit_directions(camera.K.bfloat16(), HW).dtype == torch.float32


def test_float32_directions_are_exact_to_rounding() -> None:
    camera = draw_camera((2,))
    single = unit_directions(camera.K.float(), HW)
    close(single.double(), unit_directions(camera.K.float().double(), HW), atol=2e-7)


def test_directions_have_gradients_to_K() -> None:
    # A skew of exactly zero is taken as a fact and gets no gradient; focal lengths and principal points always do.
    K = draw_camera((2,), skew=0.8).K.requires_grad_()
    assert torch.autograd.gradcheck(lambda k: unit_directions(k, (2, 3)), (K,))


def test_no_argument_is_changed() -> None:
    camera = draw_camera((2,))
    rays = Rays.from_camera(camera)
    given = (camera.K, camera.world_from_cam, rays.origin, rays.direction)
    before = [x.clone() for x in given]
    plucker_from_rays(rays), rays.at(2.0), unit_directions(camera.K, HW)
    for x, y in zip(given, before, strict=True):
        assert torch.equal(x, y)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"origin has shape \[..., H, W, 3\], got \[3\]"):
        Rays(torch.zeros(3), torch.zeros(2, 2, 3))
    with pytest.raises(ValueError, match="moment has shape"):
        Plucker(torch.zeros(2, 2, 3), torch.zeros(2, 2, 4))
    with pytest.raises(ValueError, match="a size is"):
        pixel_grid((0, 3))

"""PyTorch3D's convention against its own definition, written out: x_view = x R + T, NDC of half short sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raxel_core.geometry.pytorch3d import (
    camera_from_pytorch3d,
    ndc_from_pixels,
    pixels_from_ndc,
    turned_axes,
)
from tests.geometry.ray_rigs import pytorch3d_from_camera, rig

F64 = torch.float64


@pytest.mark.parametrize("hw", [(48, 64), (64, 48), (50, 50)])
def test_points_fall_on_the_same_pixels(hw):
    for seed in range(20):
        camera = rig(seed, square=False).resized(hw)
        theirs = pytorch3d_from_camera(camera)
        points = np.random.default_rng(seed).normal(size=(7, 3)) * 3
        for f in range(len(camera)):
            view = points @ theirs.rotation[f].numpy() + theirs.translation[f].numpy()
            ndc = theirs.focal[f].numpy() * view[:, :2] / view[:, 2:] + theirs.principal_point[f].numpy()
            # NDC to screen as PyTorch3D does it: x_screen = W / 2 - x s / 2 with s the short side.
            screen = (np.array(hw[::-1]) - min(hw) * ndc) / 2
            seen = (camera.K[f] @ camera.cam_from_world[f, :3]).numpy() @ np.c_[points, np.ones(7)].T
            np.testing.assert_allclose(screen, (seen[:2] / seen[2:]).T, rtol=1e-9, atol=1e-7)
            np.testing.assert_allclose(view[:, 2], seen[2], atol=1e-12)
        back = camera_from_pytorch3d(theirs, hw)
        torch.testing.assert_close(back.world_from_cam, camera.world_from_cam, rtol=0, atol=1e-12)
        torch.testing.assert_close(back.K, camera.K, rtol=1e-12, atol=1e-10)


def test_the_corners_of_ndc_by_hand():
    # 64 x 48: the short side spans -1 to 1, the long one -4/3 to 4/3; left and upper are positive.
    corners = torch.tensor([[0.0, 0.0], [64.0, 48.0], [32.0, 24.0], [40.0, 0.0]], dtype=F64)
    expected = torch.tensor([[4 / 3, 1.0], [-4 / 3, -1.0], [0.0, 0.0], [-1 / 3, 1.0]], dtype=F64)
    torch.testing.assert_close(ndc_from_pixels(corners, (48, 64)), expected)
    torch.testing.assert_close(pixels_from_ndc(expected, (48, 64)), corners)


def test_turning_the_axes_is_a_rotation_and_its_own_inverse():
    a, b = torch.randn(5, 3, dtype=F64), torch.randn(5, 3, dtype=F64)
    assert torch.equal(turned_axes(turned_axes(a)), a)
    crossed = torch.linalg.cross(turned_axes(a), turned_axes(b), dim=-1)
    torch.testing.assert_close(crossed, turned_axes(torch.linalg.cross(a, b, dim=-1)))

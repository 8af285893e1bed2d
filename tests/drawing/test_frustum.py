"""The drawn pyramid of a view, against corners worked by hand."""

from __future__ import annotations

import pytest
import torch

from raxel_core.drawing.frustum import frustum_corners
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera

F64 = torch.float64
K = torch.tensor([[100.0, 0, 80], [0, 100, 60], [0, 0, 1]], dtype=F64)
# The rays to the corners of 160x120 pixels are (+-0.8, +-0.6, 1), sqrt(2) long; the roof rises by 0.22 of the height 1.2.
CORNERS = [[0, 0, 0], [-0.8, -0.6, 1], [0.8, -0.6, 1], [0.8, 0.6, 1], [-0.8, 0.6, 1], [0, -0.6 - 0.22 * 1.2, 1]]


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_corners_by_hand_over_any_axes(batch: tuple[int, ...]) -> None:
    camera = Camera(torch.eye(4, dtype=F64).expand(*batch, 4, 4), K, (120, 160))
    expected = torch.tensor(CORNERS, dtype=F64).expand(*batch, 6, 3)
    torch.testing.assert_close(frustum_corners(camera, 2**0.5), expected)
    torch.testing.assert_close(frustum_corners(camera, 0.5 * 2**0.5), 0.5 * expected)


def test_the_pyramid_goes_with_the_camera() -> None:
    # Turned a quarter to the right and moved: x becomes -z, z becomes x.
    motion = se3.from_rotation_translation(
        se3.rotation_y(torch.tensor(torch.pi / 2, dtype=F64)), torch.ones(3, dtype=F64)
    )
    x, y, z = torch.tensor(CORNERS, dtype=F64).unbind(-1)
    expected = torch.stack((z, y, -x), dim=-1) + 1
    torch.testing.assert_close(frustum_corners(Camera(motion, K, (120, 160)), 2**0.5), expected)

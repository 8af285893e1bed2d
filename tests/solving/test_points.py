"""Points triangulated of matches under known cameras, against a wall of which every place is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.solving.points import triangulated_points

HW = (180, 240)
DISTANCE = 4.0
PIXELS_A_UNIT = 80.0  # of the wall's picture, whose middle hangs before the first camera
F64 = torch.float64


def cameras():
    twist = torch.tensor([[0, 0, 0, 0, 0, 0], [0.02, -0.15, 0.01, 0.6, 0, 0], [0, 0.1, 0, -0.5, 0.1, 0.3]], dtype=F64)
    return Camera(se3.exp(twist), K_from_fov(torch.tensor(0.9, dtype=F64), HW), HW)


def wall():
    coarse, fine = (np.random.default_rng(n).random((n, n, 3)) for n in (20, 120))
    return sum(0.5 * cv2.resize(part, (480, 480), interpolation=cv2.INTER_CUBIC) for part in (coarse, fine)).clip(0, 1)


def photographs(camera):
    """The wall z = DISTANCE as the cameras see it: a homography each, in pixel centres at +0.5."""
    middle = np.array(
        [[1 / PIXELS_A_UNIT, 0, -240 / PIXELS_A_UNIT], [0, 1 / PIXELS_A_UNIT, -240 / PIXELS_A_UNIT], [0, 0, 1]]
    )
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    seen = []
    for number in range(len(camera)):
        world = camera.cam_from_world[number].numpy()
        plane = np.stack((world[:3, 0], world[:3, 1], DISTANCE * world[:3, 2] + world[:3, 3]), -1)
        pixel_from_wall = np.linalg.inv(half) @ camera.K[number].numpy() @ plane @ middle @ half
        picture = cv2.warpPerspective(wall(), pixel_from_wall, HW[::-1], flags=cv2.INTER_AREA)
        seen.append(torch.from_numpy(picture).permute(2, 0, 1) * 2 - 1)
    return torch.stack(seen).float()


def test_points_lie_on_the_wall_and_have_its_colours():
    camera = cameras()
    points, matches = triangulated_points(photographs(camera), camera)
    assert len(points) > 60 and matches >= len(points)
    assert float((points.position[:, 2] - DISTANCE).abs().median()) < 0.02
    assert float(points.error.median()) < 0.3
    column, row = (points.position[:, :2] * PIXELS_A_UNIT + 240).numpy().astype(int).clip(0, 479).T
    there = wall()[row, column] * 255
    assert float(np.median(np.abs(there - points.colour.numpy()))) < 12.0
    # Each is seen by two cameras, where it falls.
    assert points.seen_by.shape == (2 * len(points),) and set(points.seen_by.tolist()) == {0, 1, 2}
    local = (
        camera.cam_from_world[points.seen_by]
        @ torch.nn.functional.pad(points.position[points.seen], (0, 1), value=1.0)[..., None]
    )[:, :3, 0]
    pixel = (camera.K[points.seen_by] @ local[..., None])[..., 0]
    assert float((pixel[:, :2] / pixel[:, 2:] - points.pixel).norm(dim=-1).max()) < 0.01 * max(HW)


def test_wrong_cameras_keep_few_points_and_no_match_is_no_fault():
    camera = cameras()
    images = photographs(camera)
    right, matches = triangulated_points(images, camera)
    turned = Camera(camera.world_from_cam @ se3.exp(torch.tensor([[0, 0, 0], [0.2, 0, 0], [0, 0, 0.4]], dtype=F64).repeat(1, 2) * torch.tensor([1, 1, 1, 0, 0, 0])), camera.K, HW)  # fmt: skip
    wrong, same = triangulated_points(images, turned)
    assert same == matches and len(wrong) < 0.2 * len(right)
    assert triangulated_points(torch.zeros(3, 3, *HW), camera).matches == 0
    with pytest.raises(ValueError, match="see as many pictures"):
        triangulated_points(images[:2], camera)

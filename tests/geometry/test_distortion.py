"""Lens models against pycolmap's own projection and OpenCV's, and the pinhole inside against what it promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raxel_core.geometry.distortion import MODELS, Lens, undistortion_map

HW = (720, 1280)
FOCAL = (900.0, 880.0, 650.0, 350.0)
COEFFICIENTS = {
    "SIMPLE_RADIAL": (-0.08,),
    "RADIAL": (-0.1, 0.02),
    "OPENCV": (-0.12, 0.03, 0.002, -0.001),
    "OPENCV_FISHEYE": (0.03, -0.004, 0.002, -0.001),
    "FULL_OPENCV": (-0.1, 0.02, 0.001, -0.002, 0.003, 0.01, -0.004, 0.002),
    "FOV": (0.9,),
    "SIMPLE_RADIAL_FISHEYE": (0.02,),
    "RADIAL_FISHEYE": (0.02, -0.01),
    "THIN_PRISM_FISHEYE": (0.02, -0.01, 0.001, -0.002, 0.003, -0.001, 0.002, -0.003),
    "RAD_TAN_THIN_PRISM_FISHEYE": (
        0.02,
        -0.01,
        0.003,
        0.001,
        -0.002,
        0.0005,
        0.001,
        -0.002,
        0.002,
        0.001,
        -0.003,
        0.002,
    ),
    "SIMPLE_DIVISION": (-0.1,),
    "DIVISION": (-0.15,),
    "EUCM": (0.6, 1.1),
    "BROWN": (-0.1, 0.02, 0.001, -0.002, 0.003, -0.001),
}


def lens_of(model, hw=HW, focal=FOCAL):
    fx, fy, cx, cy = focal
    return Lens(hw, (fx, fx if MODELS[model].focals == 1 else fy, cx, cy), model, COEFFICIENTS.get(model, ()))


def grid():
    x, y = torch.meshgrid(torch.linspace(-0.7, 0.7, 9), torch.linspace(-0.4, 0.4, 7), indexing="xy")
    return torch.stack((x, y), dim=-1).reshape(-1, 2).double()


@pytest.mark.parametrize("model", [name for name, found in MODELS.items() if found.number is not None])
def test_each_model_sees_a_point_where_pycolmap_sees_it(model):
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed: pip install pycolmap")
    if model not in pycolmap.CameraModelId.__members__:
        pytest.skip(f"this pycolmap has no {model}")
    lens = lens_of(model)
    fx, fy, cx, cy = lens.intrinsics
    focal = (fx,) if MODELS[model].focals == 1 else (fx, fy)
    camera = pycolmap.Camera(model=model, width=HW[1], height=HW[0], params=[*focal, cx, cy, *lens.coefficients])
    assert int(pycolmap.CameraModelId.__members__[model]) == MODELS[model].number
    points = grid()
    rays = torch.cat((points, torch.ones(len(points), 1)), dim=-1)
    theirs = np.array([camera.img_from_cam(ray) for ray in rays.numpy()]).reshape(-1, 2)
    np.testing.assert_allclose(lens.project(points).numpy(), theirs, atol=1e-8)


@pytest.mark.parametrize("model", ["OPENCV", "FULL_OPENCV", "OPENCV_FISHEYE"])
def test_opencv_has_the_same_lens_and_the_same_map(model):
    cv2 = pytest.importorskip("cv2")
    lens = lens_of(model)
    fx, fy, cx, cy = lens.intrinsics
    K, k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), np.array(lens.coefficients)
    rays = torch.cat((grid(), torch.ones(63, 1)), dim=-1).numpy()
    if model == "OPENCV_FISHEYE":
        theirs = cv2.fisheye.projectPoints(rays[:, None], np.zeros(3), np.zeros(3), K, k)[0]
    else:
        theirs = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), K, k)[0]
    np.testing.assert_allclose(lens.project(grid()).numpy(), theirs.reshape(-1, 2), atol=1e-8)
    inside = lens.pinhole()
    fx, fy, cx, cy = inside.intrinsics
    K_inside, shift = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    init = cv2.fisheye.initUndistortRectifyMap if model == "OPENCV_FISHEYE" else cv2.initUndistortRectifyMap
    # OpenCV counts pixels from the middle of the first.
    maps = init(K - shift, k, np.eye(3), K_inside - shift, (HW[1], HW[0]), cv2.CV_32FC1)
    np.testing.assert_allclose(undistortion_map(lens, inside).numpy(), np.stack(maps, axis=-1), atol=1e-3)


@pytest.mark.parametrize("model", [name for name in MODELS if "PINHOLE" not in name])
def test_the_pinhole_inside_is_inside_and_can_not_be_wider(model):
    """Every pixel of it lies in the lens's picture; with a focal length 1% shorter one does not."""
    lens = lens_of(model, hw=(72, 128), focal=(90.0, 88.0, 65.0, 35.0))
    inside = lens.pinhole()
    place = undistortion_map(lens, inside)
    assert float(place.min()) >= -0.5 and bool((place <= torch.tensor((127.5, 71.5))).all())
    fx, fy, cx, cy = inside.intrinsics
    x, y = (torch.linspace(-size / 2, size / 2, 129).double() for size in (128, 72))
    top = torch.stack((x / (0.99 * fx), torch.full_like(x, -36 / (0.99 * fy))), dim=-1)
    left = torch.stack((torch.full_like(y, -64 / (0.99 * fx)), y / (0.99 * fy)), dim=-1)
    edge = lens.project(torch.cat((top, -top, left, -left)))
    assert bool(((edge < 0.0) | (edge > torch.tensor((128.0, 72.0)))).any())
    assert (cx, cy) == (64.0, 36.0) and fx / fy == pytest.approx(lens.intrinsics[0] / lens.intrinsics[1])


def test_a_folding_lens_is_not_looked_at_beyond_its_fold():
    """r (1 - 0.4 r^2) turns back at r = 0.913: the pinhole stays within, however large its picture."""
    lens = Lens((720, 1280), (300.0, 300.0, 640.0, 360.0), "SIMPLE_RADIAL", (-0.4,))
    fx, fy, cx, cy = lens.pinhole().intrinsics
    assert (cx / fx) ** 2 + (cy / fy) ** 2 <= 0.914**2
    assert lens.corner_shift == float("inf")


def test_a_pinhole_is_its_own():
    lens = Lens((480, 640), (500.0, 500.0, 320.0, 240.0), "OPENCV", (0.0, 0.0, 0.0, 0.0))
    assert not lens.distorted and lens.pinhole() is lens and lens.corner_shift == 0.0


@pytest.mark.parametrize(
    ("model", "coefficients", "message"),
    [("FISH", (), "one of SIMPLE_PINHOLE"), ("OPENCV", (0.1,), "OPENCV has 4 coefficients, got 1")],
)
def test_what_is_no_lens_is_refused(model, coefficients, message):
    with pytest.raises(ValueError, match=message):
        Lens((480, 640), (500.0, 500.0, 320.0, 240.0), model, coefficients)

"""Fitting pictures into a size: what is seen stays in place, and cameras follow the pixels."""

from __future__ import annotations

import pytest
import torch

from raxel_core.framing import Framing, check_aspect, fit_video, framing_for
from raxel_core.geometry.camera import Camera


def _camera(hw: tuple[int, int]) -> Camera:
    K = torch.tensor([[70.0, 0.0, hw[1] / 2 - 3], [0.0, 80.0, hw[0] / 2 + 2], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Camera(torch.eye(4, dtype=torch.float64), K, hw)


def test_a_wide_picture_loses_its_sides() -> None:
    # 100 x 400 to 50 x 50: 150 columns go on either side, then the rest is halved.
    framing = framing_for((100, 400), (50, 50))
    assert framing == Framing((100, 400), (100, 100), (50, 50))
    assert framing.top_left == (0, 150)


@pytest.mark.parametrize("original_hw", [(480, 640), (480, 832), (481, 640), (37, 53), (720, 1279), (1, 3000)])
@pytest.mark.parametrize("hw", [(64, 64), (480, 832), (33, 48)])
def test_a_centred_camera_stays_centred(original_hw: tuple[int, int], hw: tuple[int, int]) -> None:
    """The half pixel of an odd crop kept estimates out of Nuke, After Effects and glTF, which hold centred ones only."""
    framing = framing_for(original_hw, hw)
    K = torch.tensor([[70.0, 0.0, hw[1] / 2], [0.0, 70.0, hw[0] / 2], [0.0, 0.0, 1.0]], dtype=torch.float64)
    middle = framing.to_original(Camera(torch.eye(4, dtype=torch.float64), K, hw)).principal_point
    assert middle.tolist() == [original_hw[1] / 2, original_hw[0] / 2]
    assert all(0 < kept <= given for kept, given in zip(framing.crop_hw, original_hw, strict=True))
    wanted = min(original_hw[0] / hw[0], original_hw[1] / hw[1])
    assert all(abs(kept - wanted * size) <= 1.0 + 1e-9 for kept, size in zip(framing.crop_hw, hw, strict=True))


def test_known_camera_by_hand() -> None:
    """Cropping 150 columns moves the principal point by as much; halving halves K."""
    fitted = framing_for((100, 400), (50, 50)).to_fitted(_camera((100, 400)))
    torch.testing.assert_close(fitted.focal, torch.tensor([35.0, 40.0], dtype=torch.float64))
    torch.testing.assert_close(fitted.principal_point, torch.tensor([98.5 - 75, 26.0], dtype=torch.float64))
    assert fitted.hw == (50, 50)


def test_what_is_read_off_a_fitted_picture_has_square_pixels_in_the_source() -> None:
    """640 x 481 loses 79 or 80 of its 80 surplus columns on either side: one focal length stays one, within the two."""
    framing = framing_for((481, 640), (64, 64))
    K = torch.tensor([[70.0, 0.0, 32.0], [0.0, 70.0, 32.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    camera = Camera(torch.eye(4, dtype=torch.float64), K, (64, 64))
    (fx, fy), exact = framing.read_in_original(camera).focal, framing.to_original(camera).focal
    assert fx == fy
    assert float(exact.min()) < float(fx) < float(exact.max())
    assert framing.read_in_original(camera).principal_point.tolist() == [320.0, 240.5]


@pytest.mark.parametrize("original_hw", [(100, 400), (400, 100), (37, 53), (32, 48), (1080, 1920)])
def test_cameras_go_there_and_back(original_hw: tuple[int, int]) -> None:
    camera = _camera(original_hw)
    framing = framing_for(original_hw, (32, 48))
    back = framing.to_original(framing.to_fitted(camera))
    torch.testing.assert_close(back.K, camera.K)
    assert back.hw == original_hw


def test_a_marked_pixel_is_where_the_camera_says() -> None:
    """A point projected with the fitted camera lands on the mark that resizing and cropping left of it."""
    video = torch.zeros(3, 1, 80, 200)
    video[:, :, 30:34, 90:94] = 1.0  # a mark about (92, 32)
    fitted, framing = fit_video(video, (40, 60))
    rows, columns = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(60) + 0.5, indexing="ij")
    weight = fitted[0, 0] / fitted[0, 0].sum()
    center = torch.stack([(weight * columns).sum(), (weight * rows).sum()]).double()
    camera = _camera((80, 200))
    ray = torch.linalg.inv(camera.K) @ torch.tensor([92.0, 32.0, 1.0], dtype=torch.float64)
    projected = framing.to_fitted(camera).K @ ray
    torch.testing.assert_close(center, projected[:2] / projected[2], rtol=0, atol=0.05)


def test_leading_axes_and_values_are_kept() -> None:
    video = torch.rand(2, 3, 5, 30, 50, generator=torch.Generator().manual_seed(0)) * 2 - 1
    fitted, _ = fit_video(video, (16, 16))
    assert fitted.shape == (2, 3, 5, 16, 16)
    assert video.min() <= fitted.min() <= fitted.max() <= video.max()
    torch.testing.assert_close(fit_video(video[1, :, 3], (16, 16))[0], fitted[1, :, 3])


def test_a_picture_of_the_size_is_returned_as_it_is() -> None:
    video = torch.rand(3, 16, 24)
    fitted, framing = fit_video(video, (16, 24))
    assert fitted is video
    assert framing.top_left == (0, 0)


def test_another_aspect_is_refused() -> None:
    check_aspect((480, 832), (240, 416))
    check_aspect((1080, 1920), (720, 1279))
    with pytest.raises(ValueError, match="832x480 pixels cannot be those of 640x480 pixels"):
        check_aspect((480, 832), (480, 640))
    with pytest.raises(ValueError, match="aspects differ"):
        framing_for((100, 400), (50, 50)).to_fitted(_camera((50, 50)))

"""What is drawn into frames lands where the cameras put it: against pixels worked by hand, and clipping behind the eye."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import pytest
import torch
from torch import Tensor

from raxel_core.drawing.overlay import clip_segments, draw_overlay
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.plan import make_move

pytest.importorskip("cv2", reason="the frames are drawn on with OpenCV")
F64 = torch.float64
HW = (120, 160)
K = torch.tensor([[100.0, 0, 80.5], [0, 100, 60.5], [0, 0, 1]], dtype=F64)  # the middle of the pixel [60, 80]


def path(motions: Tensor) -> Trajectory:
    return Trajectory(Camera(motions.to(F64), K, HW))


def still(frames: int = 1) -> Trajectory:
    return path(torch.eye(4).expand(frames, 4, 4))


def line(*centers: tuple[float, float, float]) -> Trajectory:
    """Cameras at `centers` that look along z."""
    return path(se3.from_rotation_translation(torch.eye(3, dtype=F64), torch.tensor(centers, dtype=F64)))


def frames(count: int = 1, hw: tuple[int, int] = HW) -> Tensor:
    """Noise, so that no pixel has by chance the value that it is painted with."""
    return 0.4 * torch.rand(3, count, *hw, generator=torch.Generator().manual_seed(1)) - 0.9


def changed(before: Tensor, after: Tensor) -> Tensor:
    """Which pixels [H, W] of the first frame are drawn on."""
    return (before != after)[:, 0].any(0)


def near(mask: Tensor, x: float, y: float, reach: int = 2) -> bool:
    """Whether a pixel about the place (x, y) is set."""
    column, row = int(x), int(y)
    return bool(mask[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1].any())


def test_axes_stand_at_the_pixels_worked_by_hand() -> None:
    # f = 100, centre (80.5, 60.5), axes of 0.25 at (0, 0, 1): x ends at 80.5 + 100 * 0.25 = 105.5, y at 85.5.
    video = frames()
    drawn = draw_overlay(video, still(), ground=0.0)[:, 0]
    red, green, blue = (drawn + 1) / 2
    assert float(red[60, 95]) > 0.8 > float(green[60, 95]) + 0.3  # x, to the right
    assert float(green[75, 80]) > 0.7 > float(red[75, 80]) + 0.2  # y, down
    mask = changed(video, draw_overlay(video, still(), ground=0.0))
    assert near(mask, 105, 60, reach=1) and not mask[60, 115:].any()
    assert near(mask, 80, 85, reach=1) and not mask[97:, 80].any()
    assert not mask[:, :74].any() and not mask[:54].any()
    assert torch.equal(draw_overlay(video, still(), ground=0.0, axes=False), video)


def test_axes_follow_the_camera_and_keep_to_their_place_in_the_world() -> None:
    # Seen from 0.2 to the right, (0, 0, 1) is 100 * 0.2 = 20 pixels further left; from 0.5 nearer, x ends at
    # 80.5 + 100 * 0.25 / 0.5 = 130.5.
    video = frames(3)
    drawn = draw_overlay(video, line((0, 0, 0), (0.2, 0, 0), (0, 0, 0.5)), ground=0.0)
    masks = (drawn != video).any(0)
    assert near(masks[0], 80, 60) and near(masks[1], 60, 60)
    assert near(masks[1], 85, 60) and not masks[1][60, 95:].any()
    assert near(masks[2], 130, 60) and not masks[2][60, 145:].any()


def test_the_ground_runs_through_the_point_below_the_pivot() -> None:
    # (0, 0.4, 1) is seen at (80.5, 60.5 + 40); nothing of a level ground is seen above the horizon, row 60, and nothing
    # farther than 3, which is seen at 60.5 + 100 * 0.4 / 3 = 73.8.
    video = frames()
    mask = changed(video, draw_overlay(video, still(), axes=False, ground=0.4))
    assert mask[100].float().mean() > 0.9  # the line z = 1, straight across
    assert mask[76:, 80].all() and not mask[:72, 80].any()  # the line x = 0, straight ahead
    # The line x = 0.2 (the step of depth 1 is 0.2) meets z = 0.8 at (105.5, 110.5).
    assert near(mask, 105.5, 110.5, reach=0) and not near(mask, 92, 105, reach=1)
    assert not mask[:60].any()


def test_a_camera_that_looks_away_sees_nothing_of_what_lies_behind() -> None:
    # A ground 0.4 below, seen by a camera that looks straight up, and a path behind one that looks ahead.
    video = frames()
    up = path(
        se3.from_rotation_translation(se3.rotation_x(torch.tensor([pi / 2], dtype=F64)), torch.zeros(3, dtype=F64))
    )
    assert torch.equal(draw_overlay(video, up, axes=False, ground=0.4), video)
    behind = line((-1, 0, -2), (1, 0, -2))
    assert torch.equal(draw_overlay(video, still(), axes=False, ground=0.0, other=behind), video)


def test_a_line_that_passes_the_eye_leaves_on_its_own_side() -> None:
    # From (0.3, 0, -2), behind, to (0.3, 0, 1): what is before the eye goes from 80.5 + 30 at its end out at the right.
    video = frames()
    mask = changed(video, draw_overlay(video, still(), axes=False, ground=0.0, other=line((0.3, 0, -2), (0.3, 0, 1))))
    assert mask[60, 112:].float().mean() > 0.95
    assert not mask[:, :92].any()


def test_clipping_keeps_what_is_seen_and_no_more() -> None:
    # Ends are (u z, v z, z) of a picture of 160x120 and the nearest depth is 0.5.
    ends = torch.tensor(
        [
            [[80.0, 60, 1], [80, 60, -1]],  # crosses the eye's plane: cut at z = 0.5, a quarter of the way
            [[80.0, 60, -1], [80, 60, -2]],  # behind
            [[0.0, 60, 1], [160, 60, 1]],  # whole
            [[80.0, 60, 1], [1360, 60, 1]],  # cut at u = 320, a picture's width beyond the right side
            [[700.0, 60, 1], [800, 60, 1]],  # beyond
        ],
        dtype=F64,
    )
    parts, kept = clip_segments(ends, HW, 0.5)
    assert kept.tolist() == [0, 2, 3]
    torch.testing.assert_close(parts[0, 1], torch.tensor([80.0, 60, 0.5], dtype=F64))
    torch.testing.assert_close(parts[1], ends[2])
    torch.testing.assert_close(parts[2, 1], torch.tensor([320.0, 60, 1], dtype=F64))


def test_another_path_is_a_line_through_its_cameras() -> None:
    # From (-0.2, 0.1, 1) to (0.2, 0.1, 1): from (60.5, 70.5) to (100.5, 70.5), its present camera's frustum the brightest.
    video = frames(2)
    other = line((-0.2, 0.1, 1), (0.2, 0.1, 1))
    drawn = draw_overlay(video, still(2), axes=False, ground=0.0, other=other)
    mask = changed(video, drawn)
    assert mask[70, 58:103].all() and not mask[:, :40].any() and not mask[:, 120:].any()
    bright = ((drawn + 1) / 2)[0]
    assert float(bright[0, :, :75].sum()) > float(bright[1, :, :75].sum())
    assert float(bright[1, :, 85:].sum()) > float(bright[0, :, 85:].sum())


def test_frames_of_another_size_of_the_same_aspect_are_drawn_on_alike() -> None:
    video = frames(hw=(240, 320))
    mask = changed(video, draw_overlay(video, still(), axes=False, ground=0.4))
    assert mask[200:202].any(0).float().mean() > 0.9  # twice the row 100


def test_what_does_not_belong_together_is_named() -> None:
    video = frames(2)
    with pytest.raises(ValueError, match="one camera is needed per frame, got 2 frames and 3 cameras"):
        draw_overlay(video, still(3))
    with pytest.raises(ValueError, match="the aspects differ"):
        draw_overlay(frames(2, (120, 120)), still(2))
    with pytest.raises(ValueError, match="paths of one picture have one unit, got near_depth and metre"):
        draw_overlay(video, still(2), other=still(2).scaled(1.0, unit="metre"))
    with pytest.raises(ValueError, match=r"a depth is positive and a ground not negative, got 0\.0 and 0\.4"):
        draw_overlay(video, still(2), depth=0.0)
    with pytest.raises(ValueError, match=r"frames to draw on are \[3, F, H, W\] in \[-1, 1\], got torch.uint8"):
        draw_overlay(video.byte(), still(2))
    broken = make_move("pan", 2, hw=HW)
    motion = broken.camera.world_from_cam.clone()
    motion[1, 0, 0] = 3.0
    with pytest.raises(ValueError, match="frame 1 has a rotation that is not orthonormal"):
        draw_overlay(video, replace(broken, camera=replace(broken.camera, world_from_cam=motion)))


def test_the_frames_given_stay_as_they_were() -> None:
    video = frames()
    kept = video.clone()
    draw_overlay(video, still(), other=line((0, 0, 1)))
    assert torch.equal(video, kept)

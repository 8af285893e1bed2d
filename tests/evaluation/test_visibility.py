"""What a clip's first frame shows of the others: answers that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from raxel_core.evaluation.benchmark_scenes import SceneSettings, evaluate_scenes
from raxel_core.evaluation.opencv_pose import essential_cameras
from raxel_core.evaluation.scene_model import PipelineScenes, scene_batches
from raxel_core.evaluation.visibility import correspondence, masked_psnr, seams, warped_first_frame
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.raxel_model import load_model
from raxel_core.training.synthetic import SPLITS, render_scenes

F64 = torch.float64
HW = (6, 8)
K = torch.tensor([[4.0, 0.0, 4.0], [0.0, 4.0, 3.0], [0.0, 0.0, 1.0]], dtype=F64)


def moving_right(step: float) -> Camera:
    """Two cameras, the second `step` to the right of the first."""
    motions = torch.eye(4, dtype=F64).repeat(1, 2, 1, 1)
    motions[0, 1, 0, 3] = step
    return Camera(motions, K.expand(1, 2, 3, 3), HW)


def test_a_wall_moves_by_focal_times_step_over_depth():
    """A camera that goes 1 to the right sees a wall at depth 2 move 4 * 1 / 2 = 2 pixels to the left."""
    found = correspondence(torch.full((1, 2, *HW), 2.0, dtype=F64), moving_right(1.0))
    torch.testing.assert_close(found.pixel[0, 1, 0, 0], torch.tensor([2.5, 0.5], dtype=F64))
    torch.testing.assert_close(found.motion[0, 1], torch.full(HW, 2.0, dtype=F64))
    assert found.seen[0, 0].all()
    # The two right-hand columns come into view.
    assert found.seen[0, 1].all(0).tolist() == [True] * 6 + [False] * 2


def test_what_stands_in_front_hides():
    """A post at depth 1 in column 4 of the first frame hides the wall at depth 4 behind it from that frame alone."""
    depth = torch.full((1, 2, *HW), 4.0, dtype=F64)
    depth[0, 0, :, 4] = 1.0
    depth[0, 1, :, 0] = 1.0  # 4 * 1 / 1 pixels to the left
    found = correspondence(depth, moving_right(1.0))
    # The wall has moved by one pixel: its part in column 3 was in column 4, behind the post.
    assert found.seen[0, 1, 2].tolist() == [True, True, True, False, True, True, True, False]


def test_warping_reads_the_first_frame_where_the_pixel_was():
    video = torch.zeros(1, 3, 2, *HW, dtype=F64)
    video[0, :, 0] = torch.arange(8.0, dtype=F64)
    found = correspondence(torch.full((1, 2, *HW), 2.0, dtype=F64), moving_right(1.0))
    warped = warped_first_frame(video, found.pixel)
    assert warped[0, 0, 1, 0].tolist() == pytest.approx([2, 3, 4, 5, 6, 7, 7, 7])
    torch.testing.assert_close(warped[:, :, 0], video[:, :, 0])


def test_rendered_scenes_agree_where_they_are_seen():
    """Depths, cameras and pictures of the tracer: what frame 0 shows, warped by true depth, is the true frame."""
    scenes = render_scenes([SPLITS["validation"][3]], frames=5, hw=(64, 64))
    found = correspondence(scenes.depth.double(), scenes.camera)
    warped, true = warped_first_frame(scenes.video.double(), found.pixel)[:, :, 1:], scenes.video[:, :, 1:]
    seen, unseen = (masked_psnr(warped, true, mask[:, 1:]) for mask in (found.seen, ~found.seen))
    assert 0.3 < found.seen[:, 1:].double().mean() < 1.0
    assert seen > 24.0 and seen > unseen + 5.0


def test_psnr_under_a_mask_by_hand():
    truth = torch.zeros(2, 3, 1, 2, 2)
    video = truth.clone()
    video[0, :, 0, 0, 0] = 0.2
    mask = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    mask[0, 0, 0] = True  # two pixels, one of which is off by 0.2: a mean square of 0.02
    found = masked_psnr(video, truth, mask)
    assert float(found[0]) == pytest.approx(10 * math.log10(4 / 0.02)) and math.isnan(float(found[1]))


def test_seams_by_hand():
    """Steps of 3 across the borders of patches of 4 and of 1 inside them."""
    row = torch.tensor([0.0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15])
    video = (row[:, None] + row[None, :]).expand(1, 3, 2, 12, 12)
    assert float(seams(video, 4)) == pytest.approx(3.0)
    assert float(seams(torch.rand(1, 3, 9, 64, 64), 4)) == pytest.approx(1.0, abs=0.02)


def test_the_textbook_finds_the_cameras_of_a_large_clear_picture():
    pytest.importorskip("cv2")
    scenes = render_scenes([SPLITS["validation"][3]], frames=3, hw=(256, 256))
    truth = scenes.camera[0].relative_to(scenes.camera[0][0])
    found = essential_cameras(scenes.video[0], truth)
    angle = torch.rad2deg(se3.geodesic(found.rotation[1:], truth.rotation[1:]))
    assert angle.max() < 1.5 and torch.rad2deg(se3.geodesic(truth.rotation[2], truth.rotation[0])) > 10.0
    assert torch.equal(found.world_from_cam[0], torch.eye(4))


def test_the_textbook_says_where_nothing_matches():
    pytest.importorskip("cv2")
    camera = moving_right(1.0)[0]
    assert essential_cameras(torch.zeros(3, 2, 64, 64), camera).world_from_cam[1].isnan().all()


def test_the_textbook_is_measured_in_few_pixels_and_in_many():
    """The larger pictures are of the same scenes, and tell more: their row comes beside the other one."""
    pytest.importorskip("cv2")
    model = load_model("raxel-tiny")
    batch = next(scene_batches(model, 3, 2, batch=2, larger=4))
    assert batch.large.shape == (2, 3, 9, 256, 256)
    small = torch.nn.functional.avg_pool3d(batch.large, (1, 4, 4))
    assert float((small - batch.video).abs().mean()) < 0.05 < float((small - batch.video.roll(1, 0)).abs().mean())
    scenes = PipelineScenes(model, (0,), steps=1, shift=None, solver="euler", method="robust", on_step=lambda: None)
    settings = SceneSettings((1,), 1, opencv=True)
    rows = evaluate_scenes(scenes, [batch], settings).rows
    few, many = (rows[f"OpenCV at {side} px, true focal and distance"] for side in (64, 256))
    assert many["read"].sum() > few["read"].sum()
    assert float(many["focal_error"].max()) < 1e-6

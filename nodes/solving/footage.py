"""Frames as ComfyUI hands them over, solved with its progress bar and interruptible."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.solving.features import Picture
from ...raxel_core.solving.lens import Lens, lens_of_fov, undistort
from ...raxel_core.solving.settings import DepthAt, SolveSettings
from ...raxel_core.solving.solve import Clip, Solved, solve_cameras
from ...raxel_core.warp.depth_map import DepthMap
from ..comfy_io.images import image_from_video, video_from_image


def solve_images(images: Tensor, masks: Tensor | None, clip: Clip, settings: SolveSettings) -> Solved:
    """The cameras of an IMAGE [F, H, W, 3]; what a MASK [F or 1, H, W] covers is not looked at."""
    bar = comfy.utils.ProgressBar(100)

    def progress(done: int, total: int) -> None:
        bar.update_absolute(done, total)
        comfy.model_management.throw_exception_if_processing_interrupted()

    return solve_cameras(_pictures(images, masks), clip, settings=settings, progress=progress)


def lens_of(images: Tensor, known: Trajectory | None, fov_degrees: float) -> Lens | None:
    """What the sockets say of the lens: the first camera of a known path, an angle of view, or nothing."""
    hw = (images.shape[1], images.shape[2])
    if known is None:
        return lens_of_fov(math.radians(fov_degrees), hw) if fov_degrees else None
    camera = known.resized(hw).camera[0]
    (fx, fy), (cx, cy) = camera.focal.tolist(), camera.principal_point.tolist()
    return Lens(hw, (fx, fy), (cx, cy), known=True)


def depth_at(maps: Sequence[DepthMap], frames: int) -> DepthAt:
    """The depth map of a frame by its number: one for each of the `frames`, or that of the first alone."""
    if len(maps) not in (1, frames):
        raise ValueError(f"depth maps are one for the first frame or one for each: {len(maps)} for {frames} frames")
    return lambda number: maps[number].depth.cpu() if number < len(maps) else None


def solved_frames(images: Tensor, solved: Solved, *, without_distortion: bool) -> Tensor:
    """The frames of an IMAGE that have a camera, on request as the path's pinhole sees them."""
    kept = images[list(solved.estimate.footage.frames)]
    if not (without_distortion and solved.lens.distorts):
        return kept
    frames = [undistort(frame, solved.lens) for frame in video_from_image(kept).unbind(1)]
    return image_from_video(torch.stack(frames, dim=1))


def _pictures(images: Tensor, masks: Tensor | None) -> Iterator[Picture]:
    if images.ndim != 4 or images.shape[-1] < 3:
        raise ValueError(f"images are [frames, height, width, 3], got {list(images.shape)}")
    if masks is not None and len(masks) not in (1, len(images)):
        raise ValueError(f"masks are one for all frames or one for each: {len(masks)} for {len(images)} frames")
    for number, image in enumerate(images):
        rgb = (image[..., :3].clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).cpu().numpy()
        seen = None if masks is None else (masks[0 if len(masks) == 1 else number] < 0.5).cpu().numpy()
        yield Picture(rgb, seen, number)

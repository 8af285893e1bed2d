"""Pictures and their depth as ComfyUI's nodes hand them over, and the warp that runs on its device."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.warp.depth_map import DepthMap
from ...raxel_core.warp.point_splat import BYTES_AT_WORK, Warp, warp


def warp_on_device(
    image: Tensor,
    depths: tuple[DepthMap, ...],
    trajectory: Trajectory,
    *,
    source: Trajectory | None,
    hole_colour: tuple[float, float, float],
    edge: float,
) -> Warp:
    """The IMAGE along `trajectory`, each frame counted by ComfyUI's progress bar and interruptible."""
    device, bar = comfy.model_management.get_torch_device(), comfy.utils.ProgressBar(len(trajectory))
    height, width = trajectory.camera.hw
    comfy.model_management.free_memory(BYTES_AT_WORK * height * width, device)

    def progress(done: int, total: int) -> None:
        bar.update_absolute(done, total)
        comfy.model_management.throw_exception_if_processing_interrupted()

    clip = pictures_of(image).to(comfy.model_management.intermediate_device())
    return warp(
        clip,
        depths,
        trajectory,
        source=source,
        hole_colour=hole_colour,
        edge_threshold=edge,
        device=device,
        progress=progress,
    )


def pictures_of(image: Tensor) -> Tensor:
    """An IMAGE as pictures [3, F, H, W] in [0, 1], without alpha; ValueError for NaN, infinity and other shapes."""
    if image.ndim != 4 or not len(image) or image.shape[-1] < 3:
        raise ValueError(f"images are [pictures, height, width, 3], got {list(image.shape)}")
    if not bool(torch.isfinite(image).all()):
        raise ValueError("the images contain NaN or infinity")
    return image[..., :3].float().movedim(-1, 0)


def depth_report(depth: DepthMap, count: int = 1) -> str:
    """How a depth map, the first of `count`, was read and what it holds, in sentences."""
    share = float((depth.depth > 0.0).float().mean())
    size = f"{depth.hw[1]} x {depth.hw[0]} pixels, {share:.0%} of them known"
    lens = "" if depth.K is None else f" Its lens sees {fov_degrees(depth):.1f} degrees across."
    first = "" if count == 1 else f"The first of {count} depth maps: "
    return f"{' '.join(depth.notes)} {first}{size}; near depth (25th percentile) {depth.near_depth:.4g}.{lens}"


def warp_report(depths: tuple[DepthMap, ...], made: Warp, trajectory: Trajectory) -> str:
    """`depth_report`, the lens where it is not the trajectory's, and how much of the last frame is unknown."""
    asked, used = (float(path.camera.fov[0, 0].rad2deg()) for path in (trajectory, made.trajectory))
    lens = ""
    if abs(asked - used) > 0.5:
        lens = f" Rendered at {used:.1f} degrees, not the given {asked:.1f}: go on with the trajectory output."
    said = depth_report(depths[0], len(depths))
    return f"{said}{lens} Holes: {float(made.holes[-1].mean()):.0%} of the last frame."


def fov_degrees(depth: DepthMap) -> float:
    """The horizontal angle of view in degrees that the depth map states, 0 where it states none."""
    if depth.K is None:
        return 0.0
    size, (fx, cx) = depth.hw[1], (depth.K[0, 0], depth.K[0, 2])
    return float((torch.atan2(cx, fx) + torch.atan2(size - cx, fx)).rad2deg())

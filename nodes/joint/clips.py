"""Clips of the length, rate and size that a checkpoint was trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from ...raxel_core.framing import fit_video
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.latents.frames import check_frame_count
from ...raxel_core.recipe import Recipe
from ...raxel_core.runtime.memory import ask_memory

# Bytes at the peak for each pixel of the result; 394 were measured for a rendered one.
_BYTES_OF_FITTED, _BYTES_OF_RENDERED = 48, 450


def fit_clip(
    video: Tensor, recipe: Recipe, *, fps: float, start: float, frames: int, speed: float
) -> tuple[Tensor, float]:
    """Frames of a video [3, F, H, W] of `fps`, from `start` seconds on, at the recipe's size, and their rate in the
    video: the recipe's over `speed`. `frames` 0 are the recipe's.

    With `fps` 0 every frame is kept. Raises ValueError when the video is empty or too short for `frames`, and when
    frames are to be picked from one of no rate.
    """
    if not video.shape[1]:
        raise ValueError("the video has no frames: connect one that has some")
    if fps == 0.0 and (start, frames, speed) != (0.0, 0, 1.0):
        raise ValueError(
            f"fps 0 keeps every image and picks none, got start {start:g}, frames {frames} and speed {speed:g}: "
            "connect the frames per second of the images, or set these to 0, 0 and 1"
        )
    height, width = recipe.hw
    frames = frames or recipe.frames
    kept = video.shape[1] if fps == 0.0 else frames
    ask_memory(f"{kept} frames of {width}x{height}", _BYTES_OF_FITTED * kept * height * width)
    picked = video if fps == 0.0 else video[:, frame_numbers(video.shape[1], recipe, fps, start, frames, speed)]
    return fit_video(picked, recipe.hw)[0], recipe.fps / speed


def frame_numbers(given: int, recipe: Recipe, fps: float, start: float, frames: int, speed: float) -> list[int]:
    """The frames of a video of `given` that lie nearest to the times of a clip of `frames`."""
    step = speed * fps / recipe.fps
    numbers = [round(start * fps + index * step) for index in range(check_frame_count(frames))]
    if numbers[-1] >= given:
        fitting = sum(number < given for number in numbers)
        ways = [f"take {(fitting - 1) // 4 * 4 + 1} frames"] if fitting else []
        ways += [*(["start earlier"] if start > 0.0 else []), "lower speed"]
        raise ValueError(
            f"{frames} frames at {recipe.fps / speed:g} a second from {start:g} s on need "
            f"{(numbers[-1] + 1) / fps:.2f} s of video, got {given / fps:.2f} s: {' or '.join(ways)}"
        )
    return numbers


def example_scene(number: int, recipe: Recipe, hw: tuple[int, int]) -> tuple[Tensor, Trajectory, dict[str, Tensor]]:
    """A clip [3, F, H, W] of the test split at `hw`, its cameras in near depths of frame 0, and the exact MOGE_GEOMETRY
    of frame 0: depth, mask, image, and K over width and height."""
    from ...raxel_core.training.loss import canonical_cameras
    from ...raxel_core.training.synthetic import SPLITS, render_scenes

    height, width = hw
    needed = _BYTES_OF_RENDERED * recipe.frames * height * width
    ask_memory(f"a scene of {recipe.frames} frames of {width}x{height}", needed, advice="take a smaller size")
    scene = render_scenes([SPLITS["test"][number]], frames=recipe.frames, hw=hw)
    camera = canonical_cameras(scene.camera, scene.near_depth, torch.zeros(1, dtype=torch.long))[0]
    depth = scene.depth[:, 0] / scene.near_depth[:, 0, None, None]
    geometry = {
        "depth": depth,
        "mask": torch.ones_like(depth, dtype=torch.bool),
        "image": (scene.video[:, :, 0].movedim(1, -1) + 1) / 2,
        "intrinsics": camera.K[:1] / camera.K.new_tensor((hw[1], hw[0], 1.0))[:, None],
    }
    return scene.video[0], Trajectory(camera, fps=recipe.fps, unit="near_depth", name=f"scene {number}"), geometry

"""A verified video in pictures: its errors over the frames, and both paths in its frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from ..geometry.estimate import Estimate
from ..geometry.trajectory import Trajectory
from .overlay import draw_overlay
from .plot import draw_curves, draw_trajectories


class Verified(Protocol):
    """What is drawn of an `evaluation.verification.Verification`."""

    @property
    def estimate(self) -> Estimate: ...

    @property
    def asked(self) -> Trajectory: ...

    @property
    def rotation_errors(self) -> tuple[float, ...]: ...

    @property
    def position_errors(self) -> tuple[float, ...]: ...


def verification_pictures(
    video: Tensor, checked: Verified, numbers: Sequence[int] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The video [3, F, H, W], whose frames have these `numbers` in the footage (0, 1, ... by default), with both paths
    drawn into it; a drawing of both paths, and one of the errors over the frames, uint8 [H, W, 3]."""
    paths = draw_trajectories({"video": checked.estimate.trajectory, "asked": checked.asked})
    curves = draw_curves(error_curves(checked.rotation_errors, checked.position_errors))
    numbers = range(video.shape[1]) if numbers is None else numbers
    return overlaid_frames(video, checked.estimate, checked.asked, numbers), paths, curves


def error_curves(rotation: Sequence[float], position: Sequence[float]) -> dict[str, dict[str, Tensor]]:
    """The panels of `plot.draw_curves`: rotation errors (given in radians) and position errors over the frames."""
    degrees = torch.tensor(rotation, dtype=torch.float64) * (180.0 / math.pi)
    shares = torch.tensor(position, dtype=torch.float64) * 100.0
    return {"rotation error, degrees": {"video": degrees}, "position error, % of the path": {"video": shares}}


def overlaid_frames(video: Tensor, estimate: Estimate, asked: Trajectory, numbers: Sequence[int]) -> Tensor:
    """The frames [3, F, H, W], of these `numbers` in the footage, that have a camera, with the axes of the world and
    the path that was asked for.

    `asked` has a camera for each of the estimate's, in its unit and place. Axes that stay on the scene say that the
    cameras are right. ValueError where no frame has a camera.
    """
    place = {number: index for index, number in enumerate(numbers)}
    cameras = [index for index, number in enumerate(estimate.footage.frames) if number in place]
    if not cameras:
        raise ValueError(f"the video has {video.shape[1]} frames and none of them has a camera")
    kept = [place[estimate.footage.frames[index]] for index in cameras]
    hw = (video.shape[-2], video.shape[-1])
    reach = float(torch.linalg.vector_norm(estimate.trajectory.camera.center, dim=-1).max())
    depth = 1.0 if estimate.trajectory.unit == "near_depth" or reach == 0.0 else 2.0 * reach
    own, other = (_of(path, cameras).relative_to(0).resized(hw) for path in (estimate.trajectory, asked))
    return draw_overlay(video[:, kept], own, other=other, ground=0.0, depth=depth)


def _of(trajectory: Trajectory, cameras: list[int]) -> Trajectory:
    return replace(trajectory, camera=trajectory.camera[cameras], numbers=None)

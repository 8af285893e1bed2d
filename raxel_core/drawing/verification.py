"""A verified video in pictures: its errors over the frames, and both paths in its frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def verification_pictures(video: Tensor, checked: Verified) -> tuple[Tensor, Tensor, Tensor]:
    """The video [3, F, H, W] with both paths drawn into it, a drawing of both paths, and one of the errors over the
    frames, uint8 [H, W, 3]."""
    paths = draw_trajectories({"video": checked.estimate.trajectory, "asked": checked.asked})
    curves = draw_curves(error_curves(checked.rotation_errors, checked.position_errors))
    return overlaid_frames(video, checked.estimate, checked.asked), paths, curves


def error_curves(rotation: Sequence[float], position: Sequence[float]) -> dict[str, dict[str, Tensor]]:
    """The panels of `plot.draw_curves`: rotation errors (given in radians) and position errors over the frames."""
    degrees = torch.tensor(rotation, dtype=torch.float64) * (180.0 / math.pi)
    shares = torch.tensor(position, dtype=torch.float64) * 100.0
    return {"rotation error, degrees": {"video": degrees}, "position error, % of the path": {"video": shares}}


def overlaid_frames(video: Tensor, estimate: Estimate, asked: Trajectory) -> Tensor:
    """The frames [3, F, H, W] that have a camera, with the axes of the world and the path that was asked for.

    `asked` has a camera for each of the estimate's, in its unit and place. Axes that stay on the scene say that the
    cameras are right.
    """
    first = estimate.footage.frames[0] if not estimate.missing else min(estimate.footage.frames[0], *estimate.missing)
    places = [number - first for number in estimate.footage.frames]
    kept = [place for place in places if place < video.shape[1]]
    count = len(kept)
    if not count:
        raise ValueError(f"the video has {video.shape[1]} frames and none of them has a camera")
    hw = (video.shape[-2], video.shape[-1])
    reach = float(torch.linalg.vector_norm(estimate.trajectory.camera.center, dim=-1).max())
    depth = 1.0 if estimate.trajectory.unit == "near_depth" or reach == 0.0 else 2.0 * reach
    own = estimate.trajectory[:count].relative_to(0).resized(hw)
    return draw_overlay(video[:, kept], own, other=asked[:count].relative_to(0).resized(hw), ground=0.0, depth=depth)

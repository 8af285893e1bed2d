"""A steadier path: translation and rotation filtered together, on the group of rigid motions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil, pi

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.trajectory import Trajectory

# The Gaussian is cut off at this many standard deviations.
_REACH = 3.0
_LARGEST_ROUNDS = 50
# The mean has converged when no camera moves by more, in radians or as a share of the path's extent.
_CONVERGED = 1e-9
# Neighbours turned further away than this are too near to half a turn, beyond which a rotation counts backwards.
_LARGEST_TURN = 0.75 * pi


def smooth(trajectory: Trajectory, seconds: float, *, progress: Callable[[int, int], None] | None = None) -> Trajectory:
    """The path with each camera replaced by the mean of its neighbours, weighed by a Gaussian of `seconds` of time.

    `seconds` is its standard deviation. The mean is the group's own: the camera M for which the weighted twists
    log(M^-1 X_i) add up to zero, found by the fixed point M <- M exp(sum w_i log(M^-1 X_i)); focal lengths take the
    geometric mean. Beyond its ends the path is continued by its reflection through the end camera,
    X_0 X_k^-1 X_0, so that both ends stay exactly and a motion of constant twist (a straight drive, a pan, an orbit)
    is not changed at all. Raises ValueError when `seconds` is negative or the camera turns by more than 135 degrees
    within the Gaussian's reach of three standard deviations.
    The work grows with the frames times the frames within that reach; `progress(done, total)` is called on the way and
    may raise to end it. Source: X. Pennec, V. Arsigny, "Exponential barycenters of
    the canonical Cartan connection and invariant means on Lie groups", in Matrix Information Geometry (2013).
    """
    if not 0.0 <= seconds < float("inf"):
        raise ValueError(f"a standard deviation in time is not negative, got {seconds}")
    camera, sigma = trajectory.camera.to(dtype=torch.float64), seconds * trajectory.fps
    reach = min(ceil(_REACH * sigma), len(trajectory) - 1)
    if not reach:
        return trajectory
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64, device=camera.K.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()
    motions = _mean_motions(_extended_motions(camera.world_from_cam, reach), weights, progress)
    K = _mean_intrinsics(camera.K, weights, reach)
    smoothed = Camera(motions, K, camera.hw).to(dtype=trajectory.camera.K.dtype)
    return replace(trajectory, camera=smoothed)


def _extended_motions(motions: Tensor, reach: int) -> Tensor:
    """`motions` [F, 4, 4] with `reach` more on each side, reflected through the first and the last."""
    before = motions[0] @ se3.relative(motions[1 : reach + 1].flip(0), motions[:1])
    after = motions[-1] @ se3.relative(motions[-reach - 1 : -1].flip(0), motions[-1:])
    return torch.cat((before, motions, after))


def _mean_motions(extended: Tensor, weights: Tensor, progress: Callable[[int, int], None] | None) -> Tensor:
    """The mean motions [F, 4, 4] over windows of `extended` [F + 2 r, 4, 4], with weights [2 r + 1]."""
    reach = (len(weights) - 1) // 2
    frames = len(extended) - 2 * reach
    mean = extended[reach : reach + frames]
    size = float((mean[:, :3, 3] - mean[0, :3, 3]).norm(dim=-1).max()) or 1.0
    scale = mean.new_tensor((1.0, 1.0, 1.0, size, size, size))
    for _ in range(_LARGEST_ROUNDS):
        step = torch.zeros_like(mean[:, 0, :1]).expand(frames, 6).clone()
        for place, weight in enumerate(weights):
            twist = se3.log(se3.relative(mean, extended[place : place + frames]))
            _check_turn(twist)
            step += weight * twist
            if progress is not None:
                progress(place + 1, len(weights))
        mean = mean @ se3.exp(step)
        if float((step / scale).abs().max()) < _CONVERGED:
            return mean
    raise ValueError("the path has no mean over the time it is smoothed over: take fewer seconds")


def _check_turn(twist: Tensor) -> None:
    """ValueError when a neighbour at `twist` [F, 6] from its frame's mean is turned too far to be averaged."""
    turn = torch.linalg.vector_norm(twist[:, :3], dim=-1)
    if float(turn.max()) > _LARGEST_TURN:
        raise ValueError(
            "the camera turns by more than 135 degrees within the time that frame "
            f"{int(turn.argmax())} is smoothed over: take fewer seconds"
        )


def _mean_intrinsics(K: Tensor, weights: Tensor, reach: int) -> Tensor:
    """K [F, 3, 3] averaged over windows: focal lengths in their logarithm, the rest as it is."""
    values = K.flatten(1).clone()
    values[:, [0, 4]] = values[:, [0, 4]].log()
    before = 2.0 * values[:1] - values[1 : reach + 1].flip(0)
    after = 2.0 * values[-1:] - values[-reach - 1 : -1].flip(0)
    windows = torch.cat((before, values, after)).unfold(0, len(weights), 1)  # [F, 9, 2 r + 1]
    mean = windows @ weights
    mean[:, [0, 4]] = mean[:, [0, 4]].exp()
    return mean.unflatten(-1, (3, 3))

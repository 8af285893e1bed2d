"""A steadier path: translation and rotation filtered together, on the group of rigid motions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil, pi, sqrt

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.trajectory import Trajectory

# The Gaussian is cut off at this many standard deviations.
_REACH = 3.0
# One pass has a standard deviation of so many of its strides, the last one up to half as much again: what is left
# for the last is then never too narrow for its stride.
_WIDEST = 12.0
_LAST = 1.5
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
    A Gaussian of more than 18 frames is made of several, each over the path that the one before has smoothed and with
    its weights at strides that suit it, so that the work is in proportion to the frames, however long the time; in a
    plane this is the same Gaussian (Burt, Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983), between
    rotations that differ it departs by what three of them do not commute. `progress(done, total)` is called on the way
    and may raise to end it. Source: X. Pennec, V. Arsigny, "Exponential barycenters of
    the canonical Cartan connection and invariant means on Lie groups", in Matrix Information Geometry (2013).
    """
    if not 0.0 <= seconds < float("inf"):
        raise ValueError(f"a standard deviation in time is not negative, got {seconds}")
    camera, last = trajectory.camera.to(dtype=torch.float64), len(trajectory) - 1
    passes = _passes(seconds * trajectory.fps, last)
    if not passes:
        return trajectory
    motions, values = camera.world_from_cam, _intrinsic_values(camera.K)
    for stride, spread in passes:
        weights = _gaussian(spread / stride, last // stride).to(motions.device)
        motions = _mean_motions(motions, weights, stride, progress)
        values = _mean_values(values, weights, stride)
    smoothed = Camera(motions, _intrinsics(values), camera.hw).to(dtype=trajectory.camera.K.dtype)
    return replace(trajectory, camera=smoothed)


def _passes(sigma: float, last: int) -> list[tuple[int, float]]:
    """Stride and standard deviation, in frames, of the filters that together have `sigma`, over frames 0 to `last`.

    A filter's stride is at most the standard deviation that the path was smoothed by before it: what a Gaussian lets
    through at that stride's frequency is e^(-2 pi^2), or 3e-9. A filter longer than the clip is cut at its length.
    """
    passes: list[tuple[int, float]] = []
    done, left = 0.0, sigma * sigma
    while left > 0.0 and last > 0:
        stride = max(int(sqrt(done)), 1)
        if sqrt(left) <= _LAST * _WIDEST * stride or last <= _REACH * _LAST * _WIDEST * stride:
            passes.append((last // ceil(last / stride), sqrt(left)))
            break
        passes.append((stride, _WIDEST * stride))
        done, left = done + (_WIDEST * stride) ** 2, left - (_WIDEST * stride) ** 2
    return passes


def _gaussian(sigma: float, most: int) -> Tensor:
    """Weights [2 r + 1] of a Gaussian of standard deviation `sigma`, cut off at its reach or at `most`; sum 1."""
    reach = ceil(min(_REACH * sigma, most))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    return weights / weights.sum()


def _extended_motions(motions: Tensor, reach: int) -> Tensor:
    """`motions` [F, 4, 4] with `reach` more on each side, reflected through the first and the last."""
    before = motions[0] @ se3.relative(motions[1 : reach + 1].flip(0), motions[:1])
    after = motions[-1] @ se3.relative(motions[-reach - 1 : -1].flip(0), motions[-1:])
    return torch.cat((before, motions, after))


def _mean_motions(motions: Tensor, weights: Tensor, stride: int, progress: Callable[[int, int], None] | None) -> Tensor:
    """The mean of each of `motions` [F, 4, 4] and of its neighbours `stride` apart, with weights [2 r + 1]."""
    frames, reach = len(motions), (len(weights) - 1) // 2 * stride
    extended, mean = _extended_motions(motions, reach), motions
    size = float((mean[:, :3, 3] - mean[0, :3, 3]).norm(dim=-1).max()) or 1.0
    scale = mean.new_tensor((1.0, 1.0, 1.0, size, size, size))
    for _ in range(_LARGEST_ROUNDS):
        step = torch.zeros_like(mean[:, 0, :1]).expand(frames, 6).clone()
        for place, weight in enumerate(weights):
            twist = se3.log(se3.relative(mean, extended[place * stride :][:frames]))
            _check_turn(twist)
            step += weight * twist
            if progress is not None:
                progress(place + 1, len(weights))
        mean = mean @ se3.exp(step)
        if float((step / scale).abs().max()) < _CONVERGED:
            return mean
    raise ValueError("the camera turns too far within the time that is averaged over: use fewer seconds")


def _check_turn(twist: Tensor) -> None:
    """ValueError when a neighbour at `twist` [F, 6] from its frame's mean is turned too far to be averaged."""
    turn = torch.linalg.vector_norm(twist[:, :3], dim=-1)
    if float(turn.max()) > _LARGEST_TURN:
        raise ValueError(
            "the camera turns by more than 135 degrees within the time that frame "
            f"{int(turn.argmax())} is averaged over: use fewer seconds"
        )


def _mean_values(values: Tensor, weights: Tensor, stride: int) -> Tensor:
    """`values` [F, N] averaged as the motions are."""
    reach = (len(weights) - 1) // 2 * stride
    before = 2.0 * values[:1] - values[1 : reach + 1].flip(0)
    after = 2.0 * values[-1:] - values[-reach - 1 : -1].flip(0)
    extended, mean = torch.cat((before, values, after)), torch.zeros_like(values)
    for place, weight in enumerate(weights):
        mean += weight * extended[place * stride :][: len(values)]
    return mean


def _intrinsic_values(K: Tensor) -> Tensor:
    """What of K [F, 3, 3] is averaged, [F, 9]: focal lengths in their logarithm, the rest as it is."""
    values = K.flatten(1).clone()
    values[:, [0, 4]] = values[:, [0, 4]].log()
    return values


def _intrinsics(values: Tensor) -> Tensor:
    """The K that `_intrinsic_values` gave `values` of."""
    K = values.clone()
    K[:, [0, 4]] = K[:, [0, 4]].exp()
    return K.unflatten(-1, (3, 3))

"""Frames without a camera of their own: one on the screw between their neighbours."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import torch

from ..geometry.estimate import Estimate


def interpolated(estimate: Estimate) -> Estimate:
    """`estimate` with a camera for every missing frame between its first and its last; those before and after stay
    missing, since nothing says where they were.

    Such a camera's covariance is the larger of its neighbours', its residual NaN.
    """
    own = estimate.footage.frames
    wanted = tuple(n for n in estimate.missing if own[0] < n < own[-1])
    if not wanted:
        return estimate
    frames = tuple(sorted((*own, *wanted)))
    before = [bisect_right(own, number) - 1 for number in frames]
    after = [min(index + 1, len(own) - 1) for index in before]
    # Where each frame lies among the cameras that are there: 2.25 is a quarter of the way from number 2 to number 3.
    positions = torch.tensor(
        [b + (n - own[b]) / max(own[a] - own[b], 1) for n, b, a in zip(frames, before, after, strict=True)],
        dtype=torch.float64,
    )
    new = torch.tensor([number not in set(own) for number in frames])
    at = torch.tensor(before)
    covariance, residual, points = estimate.covariance, estimate.residual_px, estimate.points
    # No interpolated camera is surer than the two it lies between.
    if covariance is not None:
        covariance = torch.where(
            new[:, None, None], torch.maximum(covariance[at], covariance[torch.tensor(after)]), covariance[at]
        )
    if residual is not None:
        residual = torch.where(new, torch.nan, residual[at])
    if points is not None:
        points = points.renumbered(torch.tensor([frames.index(number) for number in own]))
    return replace(
        estimate,
        trajectory=estimate.trajectory.sampled(positions),
        footage=replace(estimate.footage, frames=frames),
        covariance=covariance,
        residual_px=residual,
        points=points,
        interpolated=tuple(new.nonzero().flatten().tolist()),
        missing=tuple(number for number in estimate.missing if number not in wanted),
    )

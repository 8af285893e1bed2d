"""Cameras of overlapping windows, each in a frame and a unit of its own, as one path.

Neighbours are joined by the similarity that their common frames ask for: the rotation robustly averaged, scale and
place by weighted least squares with weights that let outliers go (Cauchy's). A scale that the common frames hardly
tell, as those of a camera that stands still, stays near 1. In the overlap the path passes from the one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import se3

# How far the scale of a window may lie from its neighbour's before the common frames have to ask for it: near depths of
# frames half a second apart seldom differ by more.
_SCALE_SPREAD = 0.3
_LEAST_SCALE, _MOST_SCALE = 0.2, 5.0
_ROUNDS = 20
# Variances of a window that nothing joins to the one before it: it may be turned by a radian and lie a unit away.
_UNJOINED = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class WindowCameras:
    """The cameras of one window: `numbers` of its frames in the footage, rising; `world_from_cam` [F, 4, 4] and `K`
    [F, 3, 3] in the window's own frame and unit; `covariance` [F, 7, 7] of (omega, centre, log f)."""

    numbers: tuple[int, ...]
    world_from_cam: Tensor
    K: Tensor
    covariance: Tensor


class Chained(NamedTuple):
    """The path of all windows, in the frame and unit of the first: `numbers` of its frames, `world_from_cam` [N, 4, 4],
    `log_focal` [N] relative to that of the first window, `covariance` [N, 7, 7], how much more neighbours differ than
    their own covariances say, `disagreement` (1: as much; None: there was one window), and the numbers `unjoined` at
    which a window has nothing in common with those before."""

    numbers: tuple[int, ...]
    world_from_cam: Tensor
    log_focal: Tensor
    covariance: Tensor
    disagreement: float | None
    unjoined: tuple[int, ...]


class Joint(NamedTuple):
    """How a window joins the path: path = scale * rotation (window - at) + place, with the covariance [7, 7] of
    (omega, place, log scale), and the ratio of what the common frames differ by to what they should."""

    scale: float
    rotation: Tensor
    at: Tensor
    place: Tensor
    covariance: Tensor
    ratio: float | None


def chain(windows: Sequence[WindowCameras], *, with_scale: bool = True) -> Chained:
    """One path of `windows`, in their order; the first camera stands at the origin. `with_scale` False where all count
    in the same unit. ValueError without windows."""
    if not windows:
        raise ValueError("there is no window to chain")
    first = windows[0]
    path = {number: index for index, number in enumerate(first.numbers)}
    motions = list(se3.relative(first.world_from_cam[0].double(), first.world_from_cam.double()))
    covariances, logs = list(first.covariance.double()), list(_log_focal(first, first))
    ratios: list[float] = []
    unjoined: list[int] = []
    for window in windows[1:]:
        common = [number for number in window.numbers if number in path]
        before = torch.stack([motions[path[number]] for number in common or [max(path)]])
        spread = torch.stack([covariances[path[number]] for number in common or [max(path)]])
        own = [window.numbers.index(number) for number in common]
        joint = join(before, window, own, spread, with_scale=with_scale)
        ratios += [] if joint.ratio is None else [joint.ratio]
        unjoined += [] if common else [window.numbers[0]]
        moved, widened = _moved(window, joint)
        log = _log_focal(window, first)
        for index, number in enumerate(window.numbers):
            if number not in path:
                path[number] = len(motions)
                motions.append(moved[index])
                covariances.append(widened[index])
                logs.append(log[index])
                continue
            share = (common.index(number) + 0.5) / len(common)  # from the path to the window, across the overlap
            place = path[number]
            motions[place] = se3.interpolate(motions[place], moved[index], share)
            logs[place] = torch.lerp(logs[place], log[index], share)
            covariances[place] = torch.lerp(covariances[place], widened[index], share)
    order = sorted(path)
    places = [path[number] for number in order]
    disagreement = float(torch.tensor(ratios).median()) if ratios else None
    found = (torch.stack(values)[places] for values in (motions, logs, covariances))
    chained, log_focal, covariance = found
    return Chained(tuple(order), chained, log_focal, covariance, disagreement, tuple(unjoined))


def join(
    path: Tensor, window: WindowCameras, common: Sequence[int], spread: Tensor, *, with_scale: bool = True
) -> Joint:
    """How `window` joins a path whose cameras `path` [n, 4, 4] are those of its frames at the indices `common`; with no
    frame in common, `path` [1, 4, 4] is the last camera, at which the window is then put. `spread` [n, 7, 7] are the
    covariances of `path`."""
    motions = window.world_from_cam.double()[list(common) or [0]]
    rotation, turned = _mean_rotation(path[:, :3, :3] @ motions[:, :3, :3].mT)
    target, source = path[:, :3, 3], motions[:, :3, 3] @ rotation.mT
    own = window.covariance.double()[list(common) or [0]]
    expected = (2.0 * own[:, range(3, 6), range(3, 6)].mean()).clamp(min=_TINY)
    prior = 1.0 / _SCALE_SPREAD**2 if with_scale else 1.0 / _TINY
    weight, noise = torch.ones(len(path), dtype=torch.float64), expected
    for _ in range(_ROUNDS):
        share = weight / weight.sum()
        a, b = share @ source, share @ target
        squares = (weight[:, None] * (source - a).square()).sum() / noise
        products = (weight[:, None] * (source - a) * (target - b)).sum() / noise
        scale = ((products + prior) / (squares + prior)).clamp(_LEAST_SCALE, _MOST_SCALE)
        size = (target - b - scale * (source - a)).square().sum(-1)
        noise = torch.maximum(size.median() / 3.0, expected)
        weight = 1.0 / (1.0 + size / (3.0 * noise))
    covariance = torch.zeros(7, 7, dtype=torch.float64)
    covariance[:6, :6] = spread[len(spread) // 2, :6, :6]
    covariance[range(3), range(3)] += turned.square().sum(-1).median() / 3.0
    covariance[range(3, 6), range(3, 6)] += (weight @ size) / weight.sum() / 3.0
    covariance[6, 6] = 1.0 / (squares + prior)
    if not common:
        covariance[range(6), range(6)] += torch.tensor(_UNJOINED, dtype=torch.float64)
    return Joint(float(scale), rotation, a @ rotation, b, covariance, _ratio(turned, own, common))


def _ratio(turned: Tensor, own: Tensor, common: Sequence[int]) -> float | None:
    """The squared angles between the two answers for the common frames, over what the window's covariance expects of
    both; None where there are too few to tell."""
    if len(common) < 3:
        return None
    expected = 2.0 * own.diagonal(dim1=-2, dim2=-1)[:, :3].sum(-1)
    return float(turned.square().sum(-1).mean() / expected.mean().clamp(min=_TINY))


def _mean_rotation(rotations: Tensor) -> tuple[Tensor, Tensor]:
    """The geodesic mean [3, 3] of `rotations` [n, 3, 3] under Cauchy's weights, and each one's way from it [n, 3]."""
    mean = rotations[len(rotations) // 2]
    weight = torch.ones(len(rotations), dtype=rotations.dtype)
    for _ in range(_ROUNDS):
        away = se3.so3_log(rotations @ mean.mT)
        size = away.square().sum(-1)
        weight = 1.0 / (1.0 + size / size.median().clamp(min=_TINY))
        mean = se3.so3_exp((weight[:, None] * away).sum(0) / weight.sum()) @ mean
    return mean, se3.so3_log(rotations @ mean.mT)


def _moved(window: WindowCameras, joint: Joint) -> tuple[Tensor, Tensor]:
    """The window's cameras [F, 4, 4] in the path's frame, and their covariances [F, 7, 7] with that of the joint."""
    motions = window.world_from_cam.double()
    arm = joint.scale * ((motions[:, :3, 3] - joint.at) @ joint.rotation.mT)
    moved = se3.from_rotation_translation(joint.rotation @ motions[:, :3, :3], joint.place + arm)
    turn = torch.eye(7, dtype=torch.float64)
    turn[:3, :3], turn[3:6, 3:6] = joint.rotation, joint.scale * joint.rotation
    lever = torch.zeros(len(arm), 7, 7, dtype=torch.float64)
    lever[:, range(6), range(6)] = 1.0
    lever[:, 3:6, :3] = torch.linalg.cross(torch.eye(3, dtype=arm.dtype).expand(len(arm), 3, 3), arm[:, None, :]).mT
    lever[:, 3:6, 6] = arm
    return moved, turn @ window.covariance.double() @ turn.mT + lever @ joint.covariance @ lever.mT


def _log_focal(window: WindowCameras, first: WindowCameras) -> Tensor:
    """[F]: log of each focal length over that of the first window's first camera."""
    return (window.K[:, 0, 0].double() / first.K[0, 0, 0].double()).log()

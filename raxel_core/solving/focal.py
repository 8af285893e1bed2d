"""How well a solved model tells its focal length: a profile, and what is believed of lenses beforehand.

The focal length is held at one place after the other to both sides, everything else adjusted anew, and the points asked
how much worse they are explained. A point's residuals in the frames that follow it are wrong together, and points of
one part of the picture may belong to a thing that moves by itself; so parts of the picture, not residuals, count as
independent. With D_i the rise of the cost in part i, z = sum D / sqrt(sum D^2) is half the number of standard
deviations to there where the profile is a parabola (the sandwich estimate), and the likelihood's logarithm is -2 z^2.
A local covariance does not see this: along the flat valley of a camera that drives straight on, noise of the rotations
looks like knowledge of the focal length.

A profile does not see another answer either, as that in which people stand and the boxes move. So the models that a
search found at other focal lengths are rivals, and as likely as the matches, part by part, do not rule them out.

An encoder takes pictures from those before, so errors reach over the whole picture for a stretch of the clip too. What
the focal length changes by when one stretch after the other is left out shows what that comes to (a group jackknife).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .adjustment import ADJUSTMENT_STEPS, adjust, drop, observations_of, parts_of_picture, point_costs
from .colmap import load_pycolmap
from .covariance import camera_change
from .features import CAMERA_ID

# How far out the profile goes, as logarithms, each a multiple of the one before, until this is clear.
_FIRST, _GROWTH, _LAST = 0.004, 2.5, 1.0
_CLEAR = 2.0
_STEPS = 30
_STRETCHES, _LEAST_FRAMES = 4, 8
# A rival nearer than so many standard deviations is the same answer.
_OUTSIDE = 3.0
_BELIEVED = 1e-6
# Farther than so many of its standard deviations nothing is believed.
_MOST = 2.0
# A mean that is nearer than this share of the standard deviation to where the adjustment ended is not worth another.
_NEAR = 0.1
_GRID = np.linspace(-2.0, 2.0, 8001)


class ToldFocal(NamedTuple):
    """The focal length in pixels, its standard deviation as a logarithm, and the change [R, 8] of every
    camera's (omega, centre, log f, log near depth) with that logarithm; and by what rivals' cameras differ, [n, R, 8],
    each times the root of how far it is believed."""

    focal: float
    sigma: float
    slope: Tensor
    others: Tensor

    def covariance(self) -> Tensor:
        """[R, 8, 8]: what of the cameras is not known because the focal length is not."""
        own = self.sigma**2 * self.slope[:, :, None] * self.slope[:, None]
        return own + torch.einsum("nri,nrj->rij", self.others, self.others)


class Rival(NamedTuple):
    """A focal length in pixels that a search tried, how wide its share of the search is as a logarithm, and how
    clearly its `model` explains the matches worse than the best one: z."""

    focal: float
    width: float
    z: float
    model: Any = None


def rivals_of(models: dict[float, Any], supports: dict[float, np.ndarray], best: float) -> tuple[Rival, ...]:
    """The models that a search found beside that of the `best` focal length, by what each explains in every part."""
    tried = sorted(supports)
    places = np.log(tried)
    widths = np.gradient(places) if len(tried) > 1 else places
    z = [max(clearness(supports[best], supports[focal]), 0.0) for focal in tried]
    found = [Rival(*row, models[row[0]]) for row in zip(tried, map(float, widths), z, strict=True)]
    return tuple(rival for rival in found if rival.focal != best)


def tell_focal(
    model: Any,
    prior: tuple[float, float],
    frames: tuple[int, ...],
    *,
    distorts: bool,
    rivals: tuple[Rival, ...] = (),
) -> ToldFocal:
    """What an adjusted model and the `prior` (focal length, standard deviation of its logarithm) say together: the mean
    and the standard deviation. The model is changed only where it lies beyond what the prior believes at all."""
    focal = _believable(model, prior, distorts)
    observed = observations_of(model)
    parts = parts_of_picture(model, observed)
    costs = {0.0: np.bincount(parts, point_costs(model, observed))}
    slopes: list[tuple[float, Tensor]] = []
    for side in (1.0, -1.0):
        own, step = load_pycolmap().Reconstruction(model), _FIRST
        while step <= _LAST:
            hold_focal(own, focal * math.exp(side * step), distorts=distorts, steps=_STEPS)
            costs[side * step] = np.bincount(parts, point_costs(own, observed))
            slopes.append((side * step, camera_change(model, own, frames, CAMERA_ID) / (side * step)))
            if clearness(costs[side * step], costs[0.0]) > _CLEAR:
                break
            step *= _GROWTH
    mean, sigma = _posterior(costs, math.log(prior[0] / focal), prior[1])
    sigma = max(sigma, min(math.hypot(sigma, _of_stretches(model, frames)), prior[1]))
    told = focal * math.exp(mean) if abs(mean) > _NEAR * sigma else focal
    slope = min(slopes, key=lambda each: abs(abs(each[0]) - sigma))[1]
    return ToldFocal(told, sigma, slope, _others(model, rivals, ToldFocal(told, sigma, slope, slope[None]), prior))


def _believable(model: Any, prior: tuple[float, float], distorts: bool) -> float:
    """The model's focal length; where an adjustment that nothing held ran farther than _MOST standard deviations of the
    prior away, the model is adjusted anew with one there."""
    focal = float(model.cameras[CAMERA_ID].params[0])
    away = math.log(focal / prior[0])
    if abs(away) <= _MOST * prior[1]:
        return focal
    focal = prior[0] * math.exp(math.copysign(_MOST * prior[1], away))
    hold_focal(model, focal, distorts=distorts)
    return focal


def clearness(cost: np.ndarray, least: np.ndarray) -> float:
    """How clearly parts [n] of a picture are worse explained than at best: z."""
    worse = cost - least
    return float(worse.sum() / max(np.sqrt(np.square(worse).sum()), 1e-12))


def _of_stretches(model: Any, frames: tuple[int, ...]) -> float:
    """The standard deviation of the logarithm of the focal length by what it is without one or the other stretch of the
    clip; 0 of a clip too short for that."""
    if len(frames) < _LEAST_FRAMES:
        return 0.0
    found = []
    for left_out in np.array_split(np.array(frames[1:]) + 1, _STRETCHES):
        own = load_pycolmap().Reconstruction(model)
        seen = [(int(number), own.images[number].points2D) for number in left_out]
        drop(own, [(number, place) for number, points in seen for place in range(len(points))])
        adjust(own, refine_focal=True, steps=_STEPS)
        found.append(math.log(own.cameras[CAMERA_ID].params[0]))
    return math.sqrt((_STRETCHES - 1) * float(np.var(found)))


def _shares(rivals: tuple[Rival, ...], focal: float, sigma: float, prior: tuple[float, float]) -> list[float]:
    """How far each rival is believed beside `focal`, whose own standard deviation is `sigma`: its share of all."""

    def believed(place: float) -> float:
        return math.exp(-0.5 * (math.log(place / prior[0]) / prior[1]) ** 2)

    weights = [
        math.exp(-2.0 * rival.z**2) * rival.width * believed(rival.focal)
        if abs(math.log(rival.focal / focal)) > _OUTSIDE * sigma
        else 0.0
        for rival in rivals
    ]
    total = math.sqrt(2.0 * math.pi) * sigma * believed(focal) + sum(weights)
    return [weight / total for weight in weights]


def _others(model: Any, rivals: tuple[Rival, ...], told: ToldFocal, prior: tuple[float, float]) -> Tensor:
    """[n, R, 8]: by what the cameras of rivals differ, times the root of each one's share; of one without all the
    frames, by what its focal length comes to."""
    frames = sorted(int(number) - 1 for number in model.reg_image_ids())
    found = [torch.zeros_like(told.slope)]
    for rival, share in zip(rivals, _shares(rivals, told.focal, told.sigma, prior), strict=True):
        if share > _BELIEVED:
            whole = rival.model.num_reg_images() == len(frames)
            change = camera_change(model, rival.model, tuple(frames), CAMERA_ID) if whole else None
            away = math.log(rival.focal / told.focal)
            found.append(math.sqrt(share) * (told.slope * away if change is None else change))
    return torch.stack(found)


def hold_focal(model: Any, focal: float, *, distorts: bool, steps: int = ADJUSTMENT_STEPS) -> Any:
    """Adjust `model` in place with its focal length held at `focal`; the solved problem."""
    camera = model.cameras[CAMERA_ID]
    camera.params = [focal, *camera.params[1:]]
    return adjust(model, refine_focal=False, refine_distortion=distorts, steps=steps)


def _posterior(costs: dict[float, np.ndarray], prior: float, spread: float) -> tuple[float, float]:
    """Mean and standard deviation of a logarithm, of the parts' costs at some of its values, z between and beyond them
    on straight lines, and a prior around `prior`."""
    places = np.array(sorted(costs))
    best = min(costs, key=lambda place: float(costs[place].sum()))
    clear = np.array([clearness(costs[place], costs[best]) for place in places])
    z = np.interp(_GRID, places, clear)
    for end, beyond in ((0, places[0] > _GRID), (-1, places[-1] < _GRID)):
        if places[end] != best:
            z[beyond] = clear[end] * (_GRID[beyond] - best) / (places[end] - best)
    belief = -2.0 * np.square(z) - 0.5 * np.square((_GRID - prior) / spread)
    weight = np.exp(belief - belief.max())
    weight /= weight.sum()
    mean = float((weight * _GRID).sum())
    return mean, float(np.sqrt((weight * np.square(_GRID - mean)).sum()))

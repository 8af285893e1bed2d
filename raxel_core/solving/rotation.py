"""A camera that only turns: rotations and focal length from correspondences, without a scene.

A pixel x of frame i is seen in frame j at K_j R_j^T R_i K_i^-1 x, whatever is there: no depth comes in. All rotations
and the focal length, one for all frames or, where the lens zooms, one at each of up to 24 knots with straight lines
between their logarithms, minimise the distances between where that is and where the correspondence has it, weighed down
by Cauchy's function where they are large (people who move), by Gauss-Newton steps with Levenberg's damping.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..geometry import se3
from .lens import Lens
from .matching import Correspondences

# Correspondences of a pair that are used, fewer where there are many pairs, or knots for a zoom; more of them tell
# nothing new.
_PER_PAIR, _LEAST_PER_PAIR, _IN_ALL, _IN_ALL_ZOOMING = 80, 4, 100_000, 30_000
_STEPS = 25
_GLANCE_STEPS = 6
# Angles of view across the longer side that the search starts from where the focal length is not known.
_STARTS_DEGREES = (25.0, 40.0, 60.0, 85.0)
# How far, as a logarithm, a focal length that nobody gave may be from what it starts at; and one that was given.
_ASSUMED_SIGMA, _GIVEN_SIGMA = 0.7, 0.1
_CAUCHY_PX = 1.0
_MOST_KNOTS = 24
_CONVERGED = 1e-8
# A radial distortion small enough to look along, and the most that a lens is thought to have which nobody described.
_TRIED_K1, _MOST_K1 = 1e-3, 0.05


class Turning(NamedTuple):
    """`world_from_cam` rotations [F, 3, 3], the first the identity, and the `focal` lengths [F] in pixels.

    `covariance` [F, 4, 4] is that of (omega, log f): rotation exp(omega) R. `residual_px` [F] is the robust root mean
    square of each frame's distances, NaN for a frame without correspondences, `distances` [M] all of them.
    """

    rotation: Tensor
    focal: Tensor
    covariance: Tensor
    residual_px: Tensor
    distances: Tensor

    @property
    def middle(self) -> float:
        """The geometric mean of the focal lengths."""
        return float(self.focal.log().mean().exp())

    @property
    def zoom(self) -> float:
        """The largest focal length over the smallest, as a logarithm; 0 where all are one."""
        return float((self.focal.max() / self.focal.min()).log())


class _Problem(NamedTuple):
    """M correspondences of frames `i` and `j` [M], pixels relative to the principal point [M, 2], the prior, and how
    much each of the P focal lengths that are looked for is that of each frame, `knots` [F, P]."""

    i: Tensor
    j: Tensor
    x_i: Tensor
    x_j: Tensor
    frames: int
    log_focal: float
    sigma: float
    knots: Tensor

    @property
    def known(self) -> bool:
        return self.sigma == 0.0


class _State(NamedTuple):
    """Rotations [F, 3, 3] and logarithms of focal lengths [P]."""

    rotation: Tensor
    log_focal: Tensor


class _System(NamedTuple):
    """Normal equations H step = -g over 3 F + P unknowns, the cost, and the distances [M] in pixels."""

    H: Tensor
    g: Tensor
    cost: float
    distances: Tensor


@torch.no_grad()
def fit_turning(
    found: Sequence[Correspondences], frames: int, lens: Lens, *, zooms: bool = False, done: Callable[[], None]
) -> Turning:
    """The turning camera that explains the correspondences best, at the lens's size, its lens one that `zooms` or not;
    `done()` may raise between steps.

    Distortion is taken out first. Frames without correspondences keep the rotation of the frame before. ValueError when
    there are no correspondences at all.
    """
    problem = _problem(found, frames, lens, _IN_ALL_ZOOMING if zooms else _IN_ALL)
    if zooms:
        problem = problem._replace(knots=_knots(frames))
    starts = [problem.log_focal]
    if lens.assumed:
        half = 0.5 * max(lens.hw)
        starts = [math.log(half / math.tan(math.radians(degrees) / 2)) for degrees in _STARTS_DEGREES]
    knots = torch.ones(problem.knots.shape[1], dtype=torch.float64)
    states = [_State(_chained(problem, start), start * knots) for start in starts]
    if len(states) > 1:
        states = [_solved(problem, state, _GLANCE_STEPS, done)[0] for state in states]
    best = min(states, key=lambda state: _system(problem, state).cost)
    state, system = _solved(problem, best, _STEPS, done)
    return _turning(problem, state, system)


def _knots(frames: int) -> Tensor:
    """[F, P]: straight lines between P knots that are spread over the frames, a knot a frame where those are few."""
    count = min(frames, _MOST_KNOTS)
    place = torch.linspace(0, count - 1, frames, dtype=torch.float64)
    return (1.0 - (place[:, None] - torch.arange(count)).abs()).clamp(min=0.0)


def _problem(found: Sequence[Correspondences], frames: int, lens: Lens, in_all: int) -> _Problem:
    """About `in_all` correspondences in tensors, evenly picked of each pair, with the lens's distortion out."""
    if not found:
        raise ValueError("the frames have nothing in common: no correspondence between them was confirmed")
    most = min(_PER_PAIR, max(in_all // len(found), _LEAST_PER_PAIR))
    picked = [
        np.linspace(0, len(pair.pixels_first) - 1, min(len(pair.pixels_first), most)).astype(int) for pair in found
    ]
    counts = torch.tensor([len(places) for places in picked])
    principal_point = torch.tensor(lens.principal_point, dtype=torch.float64)
    pixels = [
        lens.undistorted(
            torch.from_numpy(np.concatenate([side[places] for side, places in zip(sides, picked, strict=True)]))
        )
        - principal_point
        for sides in ([pair.pixels_first for pair in found], [pair.pixels_second for pair in found])
    ]
    numbers = [torch.tensor([getattr(pair, side) for pair in found]) for side in ("first", "second")]
    i, j = (torch.repeat_interleave(side, counts) for side in numbers)
    sigma = 0.0 if lens.known else _ASSUMED_SIGMA if lens.assumed else _GIVEN_SIGMA
    log_focal = math.log(math.sqrt(lens.focal[0] * lens.focal[1]))
    return _Problem(i, j, pixels[0], pixels[1], frames, log_focal, sigma, torch.ones(frames, 1, dtype=torch.float64))


def _chained(problem: _Problem, log_focal: float) -> Tensor:
    """Rotations [F, 3, 3] one after the other, each fitted to the frames before it that it has most in common with."""
    rotation = torch.eye(3, dtype=torch.float64).expand(problem.frames, 3, 3).clone()
    focal = math.exp(log_focal)
    order = torch.argsort(problem.j, stable=True)
    ends = torch.searchsorted(problem.j[order], torch.arange(problem.frames + 1))
    for frame in range(1, problem.frames):
        rows = order[ends[frame] : ends[frame + 1]]
        rotation[frame] = rotation[frame - 1]
        near = rows[(frame - problem.i[rows]) <= _NEAREST]
        rows = near if len(near) >= 3 else rows
        if len(rows) >= 3:
            world = (rotation[problem.i[rows]] @ _directions(problem.x_i[rows], focal)[..., None]).squeeze(-1)
            rotation[frame] = _procrustes(world, _directions(problem.x_j[rows], focal))
    return rotation


_NEAREST = 4


def _directions(pixels: Tensor, focal: float) -> Tensor:
    """Unit directions [M, 3] of pixels [M, 2] relative to the principal point."""
    rays = torch.cat((pixels / focal, torch.ones_like(pixels[:, :1])), dim=-1)
    return rays / torch.linalg.vector_norm(rays, dim=-1, keepdim=True)


def _procrustes(world: Tensor, cam: Tensor) -> Tensor:
    """The rotation [3, 3] with world = R cam for directions [M, 3], by reweighted least squares."""
    weight = torch.ones(len(world), 1, dtype=world.dtype)
    rotation = torch.eye(3, dtype=world.dtype)
    for _ in range(8):
        u, _, vh = torch.linalg.svd((weight * world).mT @ cam)
        sign = torch.linalg.det(u @ vh)
        rotation = (u * u.new_tensor([1.0, 1.0, float(sign)])) @ vh
        distance = torch.linalg.vector_norm(world - cam @ rotation.mT, dim=-1, keepdim=True)
        scale = distance.median().clamp(min=1e-6)
        weight = 1.0 / (1.0 + (distance / (2.0 * scale)).square())
    return rotation


def _solved(problem: _Problem, state: _State, steps: int, done: Callable[[], None]) -> tuple[_State, _System]:
    """Levenberg-Marquardt from `state`."""
    system, damping = _system(problem, state), 1e-4
    for _ in range(steps):
        done()
        step = _step(problem, system, damping)
        turns = 3 * problem.frames
        moved = _State(state.rotation @ se3.so3_exp(step[:turns].reshape(-1, 3)), state.log_focal + step[turns:])
        tried = _system(problem, moved)
        if tried.cost >= system.cost:
            damping *= 10.0
            if damping > 1e6:
                break
            continue
        gained = (system.cost - tried.cost) / max(tried.cost, 1e-12)
        state, system, damping = moved, tried, max(damping * 0.2, 1e-9)
        if gained < _CONVERGED:
            break
    return state, system


def _step(problem: _Problem, system: _System, damping: float) -> Tensor:
    """The step [3 F + P]; the first frame stays, and so does a focal length that is known."""
    H = system.H.clone()
    H.diagonal().mul_(1.0 + damping).add_(1e-9)
    free = _free(problem)
    step = torch.zeros_like(system.g)
    step[free] = -torch.linalg.solve(H[free][:, free], system.g[free])
    return step


def _free(problem: _Problem) -> Tensor:
    return torch.arange(3, 3 * problem.frames + (0 if problem.known else problem.knots.shape[1]))


def _system(problem: _Problem, state: _State) -> _System:
    """The normal equations at `state`, weighed by Cauchy's function, with the prior of the focal length."""
    focal = (problem.knots @ state.log_focal).exp()
    of_first, of_second = focal[problem.i, None], focal[problem.j, None]
    ray = torch.cat((problem.x_i / of_first, torch.ones_like(problem.x_i[:, :1])), dim=-1)
    j_from_i = state.rotation[problem.j].mT @ state.rotation[problem.i]
    p = (j_from_i @ ray[..., None]).squeeze(-1)
    z = p[:, 2:].clamp(min=1e-3)
    residual = of_second * p[:, :2] / z - problem.x_j
    squared = residual.square().sum(-1)
    weight = 1.0 / (1.0 + squared / _CAUCHY_PX**2)
    flat = torch.zeros(len(p), 2, 3, dtype=p.dtype)  # d pixel / d p
    flat[:, 0, 0] = flat[:, 1, 1] = (of_second / z)[:, 0]
    flat[:, :, 2] = -of_second * p[:, :2] / z.square()
    of_i, of_j = -flat @ j_from_i @ se3.cross_matrix(ray), flat @ se3.cross_matrix(p)
    back = torch.cat((-ray[:, :2], torch.zeros_like(ray[:, :1])), dim=-1)
    here = (flat @ (j_from_i @ back[..., None])) * problem.knots[problem.i, None]
    there = (of_second * p[:, :2] / z)[..., None] * problem.knots[problem.j, None]
    H, g = _assembled(problem, residual, weight, (of_i, of_j, here + there))
    cost = float(_CAUCHY_PX**2 * torch.log1p(squared / _CAUCHY_PX**2).sum())
    if not problem.known:
        count = len(state.log_focal)
        off = float(state.log_focal.mean() - problem.log_focal) / problem.sigma
        H[-count:, -count:] += 1.0 / (count * problem.sigma) ** 2
        g[-count:] += off / (count * problem.sigma)
        cost += off**2
    return _System(H, g, cost, squared.sqrt())


def _assembled(
    problem: _Problem, residual: Tensor, weight: Tensor, jacobians: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """H [3 F + P, 3 F + P] and g of residuals [M, 2] with jacobians [M, 2, 3] twice and [M, 2, P]."""
    of_i, of_j, of_focal = jacobians
    frames, count = problem.frames, of_focal.shape[-1]
    turns = 3 * frames
    blocks = residual.new_zeros(frames * frames, 3, 3)
    g, border = residual.new_zeros(frames, 3), residual.new_zeros(frames, 3, count)
    sides = ((problem.i, of_i), (problem.j, of_j))
    for row, jacobian in sides:
        weighted = jacobian.mT * weight[:, None, None]
        g.index_add_(0, row, (weighted @ residual[..., None]).squeeze(-1))
        border.index_add_(0, row, weighted @ of_focal)
        for column, other in sides:
            blocks.index_add_(0, row * frames + column, weighted @ other)
    H = residual.new_zeros(turns + count, turns + count)
    H[:turns, :turns] = blocks.reshape(frames, frames, 3, 3).transpose(1, 2).reshape(turns, turns)
    H[:turns, turns:] = border.reshape(turns, count)
    H[turns:, :turns] = H[:turns, turns:].mT
    weighted = of_focal.mT * weight[:, None, None]
    H[turns:, turns:] = (weighted @ of_focal).sum(0)
    return H, torch.cat((g.flatten(), (weighted @ residual[..., None]).sum(0).flatten()))


def _turning(problem: _Problem, state: _State, system: _System) -> Turning:
    """The result, in the frame of the first camera."""
    first = state.rotation[0]
    rotation = first.mT @ state.rotation
    H = system.H.clone()
    H.diagonal().add_(1e-9)
    free = _free(problem)
    weight = 1.0 / (1.0 + system.distances.square() / _CAUCHY_PX**2)
    variance = float((weight * system.distances.square()).sum() / (2.0 * weight.sum()).clamp(min=1.0))
    inverse = torch.zeros_like(H)
    inverse[free[:, None], free] = torch.linalg.inv(H[free][:, free])
    full = inverse * variance
    if not problem.known:
        # What is believed beforehand does not grow surer with less noise.
        believed = torch.zeros_like(H)
        believed[3 * problem.frames :, 3 * problem.frames :] = (problem.knots.shape[1] * problem.sigma) ** -2.0
        full[free[:, None], free] = torch.linalg.inv(((H - believed) / max(variance, 1e-9) + believed)[free][:, free])
        untold = _of_distortion(problem, state, system.g, inverse, variance)
        full = full + untold[:, None] * untold
    residual = _per_frame(problem, weight, system.distances)
    focal = (problem.knots @ state.log_focal).exp()
    return Turning(rotation, focal, _covariances(full, rotation, problem.knots), residual, system.distances)


def _of_distortion(problem: _Problem, state: _State, g: Tensor, inverse: Tensor, variance: float) -> Tensor:
    """By how much all unknowns [3 F + P] would change with the lens's radial distortion, which is taken to be none:
    with what one step towards it says it is, or as much as is not told from none, whichever is more. A strong one is
    more than that step."""
    sides = [_system(_bent(problem, state, k1), state) for k1 in (-_TRIED_K1, 0.0, _TRIED_K1)]
    pull = (sides[2].g - sides[0].g) / (2.0 * _TRIED_K1)
    slope = (sides[2].cost - sides[0].cost) / (4.0 * _TRIED_K1)
    curvature = (sides[2].cost + sides[0].cost - 2.0 * sides[1].cost) / (2.0 * _TRIED_K1**2)
    # What of the cost's curvature is left when everything else gives way.
    left = max(curvature - float(pull @ inverse @ pull), 1e-9)
    k1 = max(math.sqrt(variance / left), abs(slope - float(pull @ inverse @ g)) / left)
    return inverse @ pull * min(k1, _MOST_K1)


def _bent(problem: _Problem, state: _State, k1: float) -> _Problem:
    """The problem with the distortion `k1` taken out of its pixels, to first order."""
    share = k1 * (-2.0 * (problem.knots @ state.log_focal)).exp()[:, None]
    sides = ((problem.x_i, problem.i), (problem.x_j, problem.j))
    x_i, x_j = (x * (1.0 - share[frame] * x.square().sum(-1, keepdim=True)) for x, frame in sides)
    return problem._replace(x_i=x_i, x_j=x_j)


def _covariances(full: Tensor, rotation: Tensor, knots: Tensor) -> Tensor:
    """[F, 4, 4] of (omega, log f) out of the covariance of (turns in the camera's frame, logarithms at the knots)."""
    frames = len(rotation)
    places, turns = torch.arange(3 * frames).reshape(frames, 3), 3 * frames
    covariance = full.new_zeros(frames, 4, 4)
    covariance[:, :3, :3] = full[places[:, :, None], places[:, None, :]]
    border = (full[:turns, turns:].reshape(frames, 3, -1) * knots[:, None]).sum(-1)
    covariance[:, :3, 3], covariance[:, 3, :3] = border, border
    covariance[:, 3, 3] = ((knots @ full[turns:, turns:]) * knots).sum(-1)
    turn = torch.eye(4, dtype=full.dtype).repeat(frames, 1, 1)
    turn[:, :3, :3] = rotation
    return turn @ covariance @ turn.mT


def _per_frame(problem: _Problem, weight: Tensor, distances: Tensor) -> Tensor:
    """[F]: the weighed root mean square of the distances in each frame's pairs."""
    total, count = distances.new_zeros(problem.frames), distances.new_zeros(problem.frames)
    for side in (problem.i, problem.j):
        total.index_add_(0, side, weight * distances.square())
        count.index_add_(0, side, weight)
    return (total / count).sqrt()

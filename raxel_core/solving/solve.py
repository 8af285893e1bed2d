"""Frames -> an estimate of their cameras: features, matches, what kind of motion it is, cameras, scale, verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.estimate import Estimate, Footage
from ..geometry.trajectory import Trajectory
from .colmap import load_pycolmap
from .features import FeatureTable, Picture, Progress, find_features
from .gaps import interpolated
from .lens import Lens, assumed_lens
from .mapping import Mapped, map_frames
from .matching import Correspondences, frame_pairs, match_frames, read_correspondences
from .motion import STILL_PX, Turn, displacement_px, moving_share, parallax_px, turn_of
from .rotation import Turning, fit_turning
from .scale import covariance_in, depth_ratio, scaled
from .settings import SolveSettings
from .verdict import moving_verdict, still_verdict, turning_verdict

ESTIMATOR = "colmap"
_STAGES = {"features": (0, 30), "matches": (30, 60), "cameras": (60, 100)}
# What a camera that is taken to turn may leave unexplained where no path could be found either.
_MOST_UNEXPLAINED_PX = 4.0
# A lens that changes its focal length by less than this zooms by a breath at most.
_LEAST_ZOOM = 1.02


class SolveError(ValueError):
    """Footage of which no cameras can be solved, in one sentence."""


class Solved(NamedTuple):
    """The estimate, its K in pixels of the frames as they were given, and the lens, whose distortion `lens.undistort`
    takes out of frames that are to fit that K."""

    estimate: Estimate
    lens: Lens


class Clip(NamedTuple):
    """What the frames are called and how they follow each other: `name` of the footage, `start` in seconds of what was
    read, `rate` of the footage and `fps` of the frames that were read, how many there are, where that is known, and the
    names of a series' `pictures` (`Footage`)."""

    name: str = ""
    start: float = 0.0
    rate: float = 24.0
    fps: float = 24.0
    frames: int | None = None
    pictures: tuple[str, ...] = ()


class _Stage:
    """One stage's share of the progress, which counts to 100."""

    def __init__(self, name: str, progress: Progress | None) -> None:
        self.first, self.last = _STAGES[name]
        self.progress = progress

    def __call__(self, share: float) -> None:
        if self.progress is not None:
            self.progress(self.first + round((self.last - self.first) * min(max(share, 0.0), 1.0)), 100)


class _Matched(NamedTuple):
    """Everything the cameras are solved from: the table, its frames' numbers in the footage, the size of the frames as
    they were given, the lens at the table's size, and what the pairs have in common."""

    table: FeatureTable
    numbers: tuple[int, ...]
    hw: tuple[int, int]
    lens: Lens
    found: list[Correspondences]


def solve_cameras(
    pictures: Iterable[Picture],
    clip: Clip | None = None,
    *,
    settings: SolveSettings | None = None,
    progress: Progress | None = None,
) -> Solved:
    """The cameras of `pictures`, which are taken one by one; the first camera stands at the origin.

    `progress(done, 100)` may raise to interrupt. Raises SolveError when the frames have too little in common, and
    MissingPackageError without pycolmap.
    """
    load_pycolmap()
    clip, settings = clip or Clip(), settings or SolveSettings()
    with TemporaryDirectory(prefix="raxel_solve_", ignore_cleanup_errors=True) as folder:
        matched = _matched(pictures, Path(folder), clip, settings, progress)
        stage = _Stage("cameras", progress)
        # From the simplest that can be true to the least: still, turning, moving. Structure from motion answers a still
        # or a turning camera too, with a path that is made of noise, so it is asked last.
        moved_px = displacement_px(matched.found)
        if moved_px < STILL_PX:
            return _still(matched, clip, moved_px)
        turning = fit_turning(matched.found, len(matched.table), matched.lens, done=lambda: stage(0.0))
        plain = [_undistorted(pair, matched.lens) for pair in matched.found]
        turn = turn_of(plain, turning, matched.lens.principal_point)
        if turn is not None:
            return _turned(matched, clip, turning, turn)
        zoom: Tensor | None = None
        if not matched.lens.known:
            zooming = fit_turning(matched.found, len(matched.table), matched.lens, zooms=True, done=lambda: stage(0.0))
            # Nobody is thought to walk here: a drive towards a wall that fills most of the picture looks like a zoom,
            # and the boxes before it like people.
            zoomed = turn_of(plain, zooming, matched.lens.principal_point)
            if zoomed is not None and zoomed.all_still and zooming.zoom > math.log(_LEAST_ZOOM):
                return _turned(matched, clip, zooming, zoomed)
            if zooming.zoom > math.log(_LEAST_ZOOM):
                zoom = zooming.focal / zooming.middle
        mapped = map_frames(matched.table, matched.found, matched.lens, zoom=zoom, done=stage)
        if mapped is None:
            # No path was found: a turn that explains most of the motion is still an answer.
            unexplained = parallax_px(plain, turning, matched.lens.principal_point)
            if unexplained < _MOST_UNEXPLAINED_PX:
                return _turned(matched, clip, turning, Turn(unexplained, 0.0))
            raise SolveError(
                f"no camera path could be solved from {clip.name or 'the frames'}: they have too little in common, or "
                "too much of the picture moves by itself; mask what moves, take frames that overlap or give the lens"
            )
        return _moving(matched, clip, mapped, settings)


def _matched(
    pictures: Iterable[Picture], folder: Path, clip: Clip, settings: SolveSettings, progress: Progress | None
) -> _Matched:
    """Find and match features."""
    sizes: list[tuple[int, int]] = []
    numbers: list[int] = []

    def counted() -> Iterator[Picture]:
        for picture in pictures:
            sizes.append((picture.rgb.shape[0], picture.rgb.shape[1]))
            numbers.append(len(numbers) if picture.number is None else picture.number)
            yield picture

    def lens_for(hw: tuple[int, int]) -> Lens:
        lens = settings.lens or assumed_lens(sizes[0])
        if lens.hw != sizes[0]:
            raise SolveError(f"the lens is one for pictures of {lens.hw}, the frames are {sizes[0]} (height, width)")
        return lens.resized(hw)

    stage = _Stage("features", progress)
    table = find_features(
        counted(), folder, lens_for, most=settings.most_pixels, done=lambda n: stage(n / max(clip.frames or 2 * n, n))
    )
    stage = _Stage("matches", progress)
    pairs = frame_pairs(len(table), settings.matching)
    match_frames(table, pairs, done=lambda count, total: stage(count / total))
    found = read_correspondences(table)
    if not found:
        raise SolveError(
            f"no two of the {len(table)} frames of "
            f"{clip.name or 'the footage'} have enough in "
            "common to find their cameras; "
            "at least 2 frames with texture that overlap are needed"
        )
    return _Matched(table, tuple(numbers), sizes[0], lens_for(table.hw), found)


def _undistorted(pair: Correspondences, lens: Lens) -> Correspondences:
    if not lens.distorts:
        return pair
    first, second = (
        lens.undistorted(torch.from_numpy(side)).numpy() for side in (pair.pixels_first, pair.pixels_second)
    )
    return pair._replace(pixels_first=first, pixels_second=second)


def _still(matched: _Matched, clip: Clip, pixels: float) -> Solved:
    """The answer for a camera that stood still."""
    frames = len(matched.table)
    degrees = math.degrees(pixels / matched.lens.focal[0])
    covariance = torch.zeros(frames, 7, 7, dtype=torch.float64)
    covariance[1:, range(3), range(3)] = math.radians(degrees) ** 2 / 3.0
    motions = torch.eye(4, dtype=torch.float64).expand(frames, 4, 4)
    estimate = _estimate(matched, clip, motions, matched.lens, "still", "arbitrary")
    verdict = still_verdict(pixels, degrees)
    return _solved(matched, replace(estimate, covariance=covariance, verdict=verdict), matched.lens)


def _turned(matched: _Matched, clip: Clip, turning: Turning, turn: Turn) -> Solved:
    """The answer for a camera that only turned, and whose lens may have zoomed: no path is made up."""
    lens = replace(matched.lens, focal=(turning.middle,) * 2) if not matched.lens.known else matched.lens
    motions = se3.from_rotation_translation(turning.rotation, turning.rotation.new_zeros(len(turning.rotation), 3))
    covariance = torch.zeros(len(motions), 7, 7, dtype=torch.float64)
    kept = torch.tensor([0, 1, 2, 6])
    covariance[:, kept[:, None], kept] = turning.covariance
    estimate = replace(
        _estimate(
            matched,
            clip,
            motions,
            lens,
            "rotation",
            "arbitrary",
            zoom=turning.focal / turning.middle if turning.zoom else None,
        ),
        covariance=covariance,
        residual_px=_in_given_pixels(matched, turning.residual_px),
    )
    return _solved(matched, replace(estimate, verdict=turning_verdict(estimate, turn)), lens)


def _moving(matched: _Matched, clip: Clip, mapped: Mapped, settings: SolveSettings) -> Solved:
    """The answer for a camera that moved, in the frame of its first camera."""
    first = mapped.world_from_cam[0]
    motions = se3.relative(first, mapped.world_from_cam)
    rotation = first[:3, :3].mT
    covariance = mapped.covariance
    if covariance is not None:
        turn = torch.eye(8, dtype=torch.float64)
        turn[:3, :3] = turn[3:6, 3:6] = rotation
        covariance = covariance_in(settings.scale, turn @ covariance @ turn.mT, motions[:, :3, 3])
    points = mapped.points.transformed(1.0, rotation, -(rotation @ first[:3, 3]))
    factor = torch.tensor([matched.hw[1] / matched.table.hw[1], matched.hw[0] / matched.table.hw[0]])
    estimate = replace(
        _estimate(matched, clip, motions, mapped.lens, "moving", "arbitrary", mapped.frames, mapped.zoom),
        covariance=covariance,
        residual_px=_in_given_pixels(matched, mapped.residual_px),
        points=points.resized(factor.double()),
        notes=tuple(_other_model(matched, other, clip.pictures) for other in mapped.others),
    )
    ratio = None
    if settings.depth_at is not None:
        ratio = depth_ratio(estimate, mapped.lens.resized(matched.hw), settings.depth_at)
    estimate = scaled(estimate, settings.scale, ratio)
    estimate = interpolated(estimate) if settings.interpolate else estimate
    estimate = replace(estimate, notes=(*estimate.notes, *_missing_note(estimate)))
    plain = [_undistorted(pair, mapped.lens) for pair in matched.found]
    own = Camera(mapped.world_from_cam, mapped.lens.K(mapped.zoom).expand(len(mapped.frames), 3, 3), matched.table.hw)
    verdict = moving_verdict(estimate, moving_share(plain, own, mapped.frames))
    return _solved(matched, replace(estimate, verdict=verdict), mapped.lens)


def _estimate(
    matched: _Matched,
    clip: Clip,
    motions: Tensor,
    lens: Lens,
    motion: str,
    unit: str,
    frames: tuple[int, ...] | None = None,
    zoom: Tensor | None = None,
) -> Estimate:
    """An estimate without its figures, of all frames or of those with the numbers `frames`, K in the given pixels and
    its focal lengths times `zoom` [F]."""
    numbers = matched.numbers if frames is None else tuple(matched.numbers[frame] for frame in frames)
    camera = Camera(motions, lens.resized(matched.hw).K(zoom), matched.hw)
    missing = tuple(number for number in matched.numbers if number not in set(numbers))
    footage = Footage(clip.name, clip.start, clip.rate, numbers, clip.pictures)
    trajectory = Trajectory(camera, fps=clip.fps, unit=unit, name=Path(clip.name).stem)
    return Estimate(trajectory, ESTIMATOR, footage, motion, "", missing=missing)


def _solved(matched: _Matched, estimate: Estimate, lens: Lens) -> Solved:
    return Solved(estimate, lens.resized(matched.hw))


def _in_given_pixels(matched: _Matched, residual: Tensor) -> Tensor:
    return residual * (matched.hw[1] / matched.table.hw[1])


def _other_model(matched: _Matched, frames: tuple[int, ...], pictures: Sequence[str]) -> str:
    told = _ranges([matched.numbers[frame] for frame in frames], pictures)
    return f"Frames {told} form a model of their own that nothing connects with this one; they were left out."


def _missing_note(estimate: Estimate) -> tuple[str, ...]:
    told, pictures = [], estimate.footage.pictures
    if estimate.interpolated:
        numbers = [estimate.footage.frames[index] for index in estimate.interpolated]
        told.append(
            f"Frames {_ranges(numbers, pictures)} could not be solved; their cameras were interpolated between their "
            "neighbours."
        )
    if estimate.missing:
        told.append(f"Frames {_ranges(estimate.missing, pictures)} could not be solved and have no camera.")
    return tuple(told)


def _ranges(numbers: Iterable[int], pictures: Sequence[str]) -> str:
    """Whole numbers as "0 to 3, 7", those of a series' `pictures` by their names."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = [[pictures[number] if pictures else f"{number}" for number in run] for run in runs]
    return ", ".join(first if first == last else f"{first} to {last}" for first, last in told)

"""Did a video follow the camera path that was asked for? Its cameras against the path, in figures and in one word.

Both paths stand at the frame of their own first camera. A solved path has its own scale, so lengths are compared after
the best one; where both count in the same known unit, near depths or metres, their lengths compare as well. A video may
be slow: the camera of its share t is held against that of the share s t of the path, and s is the speed, where turn or
shape tell it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.estimate import Estimate
from ..geometry.trajectory import Trajectory
from .pose_metrics import pose_metrics
from .report import text_table, to_json

FORMAT = "raxel.verification"
VERSION = 1
WORDS = ("followed", "still", "mirrored", "slow", "fast", "lens", "off_path")
_SPEEDS = torch.cat((torch.linspace(0.1, 1.0, 181), torch.linspace(1.005, 2.0, 200))).double()
# A path that turns or travels less than this asks for nothing that could be told from standing still.
_LEAST_TURN = math.radians(0.5)
_LEAST_TRAVEL = 1e-4
# A turn smaller than this is held against this, so that noise is not taken for a speed.
_TURN_SCALE = math.radians(3.0)
# A speed is told when three quarters of it fit this much worse; errors are in shares of the path, squared.
_WORSE, _NOISE = 4.0, 2e-4
# A mirrored path fits this much better than the path as it is, and fits.
_MIRRORED = 0.25
_FITS = 0.1
_NEAR = 0.1
# A focal length with a larger standard deviation than this is not told.
_UNTOLD_FOCAL = 0.08
# Steps of white noise are sqrt(2) times as long as its spread; those of a way through 8 frames half as long at most.
_STEP_OF_NOISE, _LEAST_FRAMES_OF_NOISE = 1.0, 8


@dataclass(frozen=True)
class VerifyBounds:
    """What a video must keep to: `rotation` and `direction` in radians at most, `position` at most as a share of the
    path's length, `speed` between two factors, `focal` relative at most. None leaves a figure out."""

    rotation: float | None = math.radians(2.0)
    direction: float | None = math.radians(10.0)
    position: float | None = 0.1
    speed: tuple[float, float] | None = (0.8, 1.25)
    focal: float | None = 0.1

    def __post_init__(self) -> None:
        low_high = self.speed or (0.5, 2.0)
        limits = [value for value in (self.rotation, self.direction, self.position, self.focal) if value is not None]
        if any(not 0.0 < value < math.inf for value in limits) or not 0.0 < low_high[0] < 1.0 < low_high[1]:
            raise ValueError("bounds are above 0, and those of the speed have 1 between them")


@dataclass(frozen=True)
class Finding:
    """One figure: its `value` (None where the video does not tell it), the bounds, and whether it keeps to them (None
    where it is not told or was not asked for). `unit` is what it is shown in; `slack` is how much of `high` is left
    for the value's own error bar."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    passed: bool | None
    slack: float = 0.0


@dataclass(frozen=True, eq=False)
class Verification:
    """`word` of WORDS and `sentence`; `findings`; per-frame `rotation_errors` (radians) and `position_errors` (shares
    of the path's length) at the reached place of the path; `figures`, the plain pose metrics frame by frame, and
    `still_figures`, those of a camera that stood still; the `estimate`, and what was `asked` of its frames, in its
    unit and place."""

    word: str
    sentence: str
    findings: tuple[Finding, ...]
    rotation_errors: tuple[float, ...]
    position_errors: tuple[float, ...]
    figures: dict[str, float]
    still_figures: dict[str, float]
    notes: tuple[str, ...]
    estimate: Estimate
    asked: Trajectory

    @property
    def passed(self) -> bool:
        """Whether the video followed the path within the bounds."""
        return self.word == "followed"

    def to_json(self) -> str:
        """Strict JSON, format "raxel.verification" version 1: radians, relative figures, the path's unit."""
        body = {name: getattr(self, name) for name in ("word", "sentence", "notes", "figures", "still_figures")}
        body |= {"findings": [asdict(finding) for finding in self.findings]}
        body |= {"rotation_errors": self.rotation_errors, "position_errors": self.position_errors}
        body |= {"estimator": self.estimate.estimator, "verdict": self.estimate.verdict}
        return to_json({"format": FORMAT, "version": VERSION, "passed": self.passed} | body)

    def table(self) -> str:
        """The findings as text, under the sentence."""
        rows = [(f.name, _shown(f.value, f.unit), _bounds(f), {True: "pass", False: "FAIL", None: "-"}[f.passed])
                for f in self.findings]  # fmt: skip
        return "\n".join((self.sentence, text_table(("figure", "value", "bound", "result"), rows), *self.notes))


@dataclass(frozen=True, eq=False)
class _Path:
    """A path from its first camera on: `rotation` [F, 3, 3] and `center` [F, 3], float64."""

    rotation: Tensor
    center: Tensor

    @property
    def turn(self) -> float:
        """The largest angle from the first camera, radians."""
        return float(se3.geodesic(self.rotation, self.rotation[:1]).max())

    @property
    def travel(self) -> float:
        """The largest distance from the first camera."""
        return float(torch.linalg.vector_norm(self.center, dim=-1).max())

    def mirrored(self) -> _Path:
        """What is seen with left and right exchanged."""
        flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
        return _Path(flip @ self.rotation @ flip, self.center @ flip)


def verify(
    estimate: Estimate,
    asked: Trajectory,
    bounds: VerifyBounds | None = None,
    *,
    count: int | None = None,
    frames: Sequence[int] | None = None,
) -> Verification:
    """`estimate`, the cameras of a video, against the path that it was `asked` to follow.

    `frames` are those of the video, from 0, that the path's cameras are of. None where the path is of the whole video:
    frame n is held against camera n, and where there are more or fewer frames than cameras, both are taken to last as
    long. `count` is how many frames the video has, None where those from the estimate's first to its last are the
    whole. ValueError when fewer than two frames have a camera on the path.
    """
    bounds = bounds or VerifyBounds()
    if len(estimate.trajectory) < 2:
        raise ValueError(f"a path is verified by at least 2 cameras, got {len(estimate.trajectory)}")
    if frames is None:
        positions, notes = _stretched(estimate, len(asked), count)
    else:
        estimate, positions, notes = _placed(estimate, frames)
    found, wanted = _path(estimate.trajectory), _path(asked.sampled(positions))
    # The speed along the path is told by where on it the video is, which takes a path that bends; else by lengths.
    speed, fit = _speed(found, asked, positions)
    mirrored_fit = _speed(found.mirrored(), asked, positions)[1]
    told = _told(found, asked, positions, speed)
    lengths = _length_ratio(found, wanted) if _comparable(estimate, asked) else None
    reached = _path(asked.sampled(_reached(positions, speed, len(asked)))) if told else wanted
    rate = speed if told else lengths
    findings = _findings(estimate, asked, found, reached, rate, bounds)
    # Mirrored: seen in a mirror the video fits well, and far better than as it is.
    word = _word(findings, found, wanted, rate, mirrored=mirrored_fit < _MIRRORED * fit and mirrored_fit < _FITS)
    rotations, places = _errors(found, reached)
    return Verification(
        word,
        _sentence(word, findings, found, wanted, rate),
        findings,
        tuple(rotations.tolist()),
        tuple(places.tolist()),
        _figures(estimate.trajectory.camera, asked.sampled(positions).camera),
        _figures(_standing(estimate.trajectory.camera), asked.sampled(positions).camera),
        notes,
        estimate,
        _in_unit_of(estimate.trajectory, asked.sampled(positions), _scale(found, wanted)),
    )


def _stretched(estimate: Estimate, cameras: int, count: int | None) -> tuple[Tensor, tuple[str, ...]]:
    """Where on a path of the whole video, in cameras, each camera of the video belongs, and a note where both were
    stretched."""
    numbers = sorted((*estimate.footage.frames, *estimate.missing))
    begins = numbers[0] if count is None else 0
    last = max(numbers[-1] - begins, (count or 0) - 1, 1)
    own = torch.tensor([number - begins for number in estimate.footage.frames], dtype=torch.float64)
    if last + 1 == cameras:
        return own, ()
    note = f"The video has {last + 1} frames and the path {cameras} cameras; both were taken to last as long."
    return own * ((cameras - 1) / last), (note,)


def _placed(estimate: Estimate, frames: Sequence[int]) -> tuple[Estimate, Tensor, tuple[str, ...]]:
    """The cameras of the video that lie on a path through these `frames`, where on it, in cameras, and a note where
    others do not."""
    kept = [index for index, number in enumerate(estimate.footage.frames) if frames[0] <= number <= frames[-1]]
    own = torch.tensor([estimate.footage.frames[index] for index in kept], dtype=torch.float64)
    on_path = torch.tensor(frames, dtype=torch.float64)
    after = torch.searchsorted(on_path, own).clamp(1, max(len(frames) - 1, 1))
    after, before = after.clamp(max=len(frames) - 1), after - 1
    share = (own - on_path[before]) / (on_path[after] - on_path[before]).clamp(min=1.0)
    beside = len(estimate.footage.frames) - len(kept)
    if len(kept) < 2:
        raise ValueError(
            f"a path is verified by at least 2 cameras, got {len(kept)} on its frames {frames[0]} to {frames[-1]} of "
            f"the video and {beside} beside them"
        )
    told = f"{beside} cameras of the video are of frames before the path begins or after it ends: they were left out."
    return estimate if not beside else estimate.of(kept), before + share, (told,) if beside else ()


def _path(trajectory: Trajectory) -> _Path:
    relative = trajectory.relative_to(0).camera.to("cpu", torch.float64)
    return _Path(relative.rotation, relative.center)


def _reached(positions: Tensor, speed: float, cameras: int) -> Tensor:
    return (positions * speed).clamp(max=float(cameras - 1))


def _speed(found: _Path, asked: Trajectory, positions: Tensor) -> tuple[float, float]:
    """The factor at which the video's cameras fit the path best, and how badly they then do."""
    errors = torch.tensor([_misfit(found, asked, positions, float(speed)) for speed in _SPEEDS], dtype=torch.float64)
    best = int(errors.argmin())
    return float(_SPEEDS[best]), float(errors[best])


def _misfit(found: _Path, asked: Trajectory, positions: Tensor, speed: float) -> float:
    """The mean squared error in turns and places at this speed, each in shares of what is reached of the path."""
    inside = positions * speed <= len(asked) - 1
    if int(inside.sum()) < 2:
        return math.inf
    wanted = _path(asked.sampled(positions[inside] * speed))
    angle = se3.geodesic(found.rotation[inside], wanted.rotation) / max(wanted.turn, _TURN_SCALE)
    error = angle.square().mean()
    if wanted.travel > _LEAST_TRAVEL:
        center = found.center[inside]
        scale = _least_squares(center, wanted.center)
        error = error + ((scale * center - wanted.center) / wanted.travel).square().sum(-1).mean()
    return float(error)


def _least_squares(center: Tensor, wanted: Tensor) -> float:
    """The factor, not below 0, that takes `center` [F, 3] to `wanted` best; 0 where there is nothing to scale."""
    size = float(center.square().sum())
    return max(float((center * wanted).sum()) / size, 0.0) if size > 1e-18 else 0.0


def _told(found: _Path, asked: Trajectory, positions: Tensor, speed: float) -> bool:
    """Whether turn and shape tell the speed: a path that drives straight on at one pace looks the same at any."""
    worse = _misfit(found, asked, positions, 0.75 * speed)
    return worse > _WORSE * _misfit(found, asked, positions, speed) + _NOISE


def _comparable(estimate: Estimate, asked: Trajectory) -> bool:
    return estimate.trajectory.unit == asked.unit != "arbitrary"


def _scale(found: _Path, wanted: _Path) -> float:
    """The factor that takes the path asked for to the lengths of the one found, 1 where that tells nothing."""
    return _least_squares(wanted.center, found.center) or 1.0


def _length_ratio(found: _Path, wanted: _Path) -> float | None:
    """How much of the asked way was driven, along it; None for a path that does not travel."""
    if wanted.travel <= _LEAST_TRAVEL:
        return None
    return _least_squares(wanted.center, found.center)


def _errors(found: _Path, reached: _Path) -> tuple[Tensor, Tensor]:
    """[F] in radians, and [F] in shares of the length of the way reached, after the best scale."""
    rotation = se3.geodesic(found.rotation, reached.rotation)
    length = float(reached.center.diff(dim=0).norm(dim=-1).sum())
    scale = _least_squares(found.center, reached.center)
    place = torch.linalg.vector_norm(scale * found.center - reached.center, dim=-1)
    return rotation, place / length if length > _LEAST_TRAVEL else torch.zeros_like(place)


def _direction(found: _Path, reached: _Path) -> float | None:
    """The median angle between where the cameras went and where they should have gone; None where either stayed."""
    away = torch.linalg.vector_norm(reached.center, dim=-1)
    far = (away > _NEAR * away.max()) & (away > _LEAST_TRAVEL)
    if not bool(far.any()) or found.travel <= _LEAST_TRAVEL:
        return None
    a, b = found.center[far], reached.center[far]
    angle = torch.atan2(torch.linalg.cross(a, b, dim=-1).norm(dim=-1), (a * b).sum(-1))
    angle = angle.where(a.norm(dim=-1) > 1e-9, math.pi)
    return float(angle.median())


def _findings(
    estimate: Estimate, asked: Trajectory, found: _Path, reached: _Path, speed: float | None, bounds: VerifyBounds
) -> tuple[Finding, ...]:
    rotation, place = _errors(found, reached)
    position = _stray(estimate, found) if reached.travel <= _LEAST_TRAVEL else float(place.square().mean().sqrt())
    low, high = bounds.speed or (None, None)
    focal, slack = _focal(estimate, asked)
    bound = None if bounds.focal is None else bounds.focal + slack
    return (
        _finding("rotation", float(rotation.mean()), None, bounds.rotation, "degrees"),
        _finding("direction", _direction(found, reached), None, bounds.direction, "degrees"),
        _finding("position", position, None, bounds.position, "of the path"),
        _finding("speed", speed, low, high, "of the asked speed"),
        replace(_finding("focal", focal, None, bound, "relative"), slack=0.0 if bound is None else slack),
    )


def _stray(estimate: Estimate, found: _Path) -> float | None:
    """How far a camera that was to stay in its place went, in near depths; None in a unit that does not tell."""
    return found.travel if estimate.trajectory.unit == "near_depth" or found.travel == 0.0 else None


def _focal(estimate: Estimate, asked: Trajectory) -> tuple[float | None, float]:
    """The relative error of the focal length, and two of its standard deviations; None where it is not told."""
    sigma = estimate.focal_sigma
    if estimate.motion == "still" or (sigma is not None and sigma > _UNTOLD_FOCAL):
        return None, 0.0
    ours, theirs = (
        path.camera.focal[:, 0].double().median() / path.camera.hw[1] for path in (estimate.trajectory, asked)
    )
    return abs(float(ours / theirs) - 1.0), 2.0 * (sigma or 0.0)


def _finding(name: str, value: float | None, low: float | None, high: float | None, unit: str) -> Finding:
    if value is None or (low is None and high is None):
        return Finding(name, value, low, high, unit, None)
    passed = (low is None or value >= low) and (high is None or value <= high)
    return Finding(name, value, low, high, unit, passed)


def _word(findings: Sequence[Finding], found: _Path, wanted: _Path, speed: float | None, *, mirrored: bool) -> str:
    """The one word, the commonest cause first."""
    failed = {finding.name for finding in findings if finding.passed is False}
    asked_to_move = wanted.turn > _LEAST_TURN or wanted.travel > _LEAST_TRAVEL
    if asked_to_move and found.turn < _LEAST_TURN and (found.travel <= _LEAST_TRAVEL or _jitters(found.center)):
        return "still"
    if not failed:
        return "followed"
    if mirrored:
        return "mirrored"
    if "speed" in failed and speed is not None:
        return "slow" if speed < 1.0 else "fast"
    return "lens" if failed == {"focal"} else "off_path"


def _jitters(center: Tensor) -> bool:
    """Whether places [F, 3] are those of a camera that stood still under noise: each step as long as the whole way.

    Files of other estimators have neither error bars nor a scale by which noise would be small.
    """
    if len(center) < _LEAST_FRAMES_OF_NOISE:
        return False
    spread = (center - center.mean(0)).square().sum(-1).mean().sqrt()
    return bool(center.diff(dim=0).square().sum(-1).mean().sqrt() > _STEP_OF_NOISE * spread)


def _sentence(word: str, findings: Sequence[Finding], found: _Path, wanted: _Path, speed: float | None) -> str:
    """What a user reads first."""
    by_name = {finding.name: finding for finding in findings}
    shown = {name: _shown(finding.value, finding.unit) for name, finding in by_name.items()}
    failed = [f"{f.name} {shown[f.name]}" for f in findings if f.passed is False]
    turns = f"it turned {math.degrees(found.turn):.1f} of {math.degrees(wanted.turn):.1f} degrees"
    untold = [f.name for f in findings if f.value is None]
    tail = f" Not told by this video: {', '.join(untold)}." if untold else ""
    words = {
        "followed": f"Passed: the video follows the path (rotation within {shown['rotation']}).",
        "still": "Failed, still: the camera of the video did not move.",
        "mirrored": "Failed, mirrored: the video follows the path with left and right exchanged.",
        "slow": f"Failed, slow: the video moves at {speed or 0:.2f} of the asked speed; {turns}.",
        "fast": f"Failed, fast: the video moves at {speed or 0:.2f} times the asked speed; {turns}.",
        "lens": f"Failed, lens: the path is right, but the focal length is off by {by_name['focal'].value or 0:.0%}.",
        "off_path": f"Failed, off the path: {', '.join(failed)}; {turns}.",
    }
    return words[word] + tail


def _figures(estimate: Camera, truth: Camera) -> dict[str, float]:
    """ATE, RPE, rotation and the rest, frame by frame as asked: radians, and lengths in the path's own unit."""
    metrics = pose_metrics(estimate, truth.resized(estimate.hw))
    names = (
        "rotation_error",
        "ate_sim3",
        "ate_se3",
        "ate_normalized",
        "rpe_rotation",
        "rpe_translation",
        "focal_error",
    )
    return {name: float(getattr(metrics, name)) for name in names}


def _standing(camera: Camera) -> Camera:
    """The first camera in every frame."""
    return replace(camera, world_from_cam=camera.world_from_cam[:1].expand_as(camera.world_from_cam))


def _in_unit_of(found: Trajectory, asked: Trajectory, scale: float) -> Trajectory:
    """The path asked for in the scale and place of the one found, for one picture of both."""
    moved = asked.relative_to(0).scaled(max(scale, 1e-9), unit=found.unit)
    first = found.camera.world_from_cam[:1].to(moved.camera.world_from_cam.dtype)
    return replace(moved, camera=replace(moved.camera, world_from_cam=first @ moved.camera.world_from_cam))


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "not told"
    return f"{math.degrees(value):.2f} degrees" if unit == "degrees" else f"{value:.3f} {unit}"


def _bounds(finding: Finding) -> str:
    low, high = (None if edge is None else _shown(edge, finding.unit) for edge in (finding.low, finding.high))
    if low and high:
        return f"{low.split()[0]} to {high}"
    slack = f", {finding.slack:.3f} of it for the error bar" if finding.slack else ""
    return f"at most {high}{slack}" if high else f"at least {low}" if low else "-"

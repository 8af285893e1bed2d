"""What is wrong with a trajectory, or odd about it, before a video is made: lens, rotations, jumps, convention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import degrees, inf, isinf, pi

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.trajectory import Trajectory

SEVERITIES = ("note", "warning", "error")

# fx / fy may be off by this share (a width rounded to 16 pixels does that), the principal point by this share of a
# side, and the aspect of the cameras' pictures from the video's.
_SQUARE_TOLERANCE, _MIDDLE_TOLERANCE, _ASPECT_TOLERANCE = 0.02, 0.05, 0.01
# A jump is a step at least this many times the median step of the three before it and of the three after it, and at
# least this share of the path's extent; a turn at least this angle.
_JUMP_RATIO, _JUMP_EXTENT, _JUMP_RADIANS = 6.0, 0.02, 0.035
# A jerk is a third difference of the centre at least this many times the median one and the median step.
_JERK_RATIO, _JERK_STEPS = 12.0, 1.0
# The convention is doubted where one reading's path is this many times as wide as the other's and the cameras turn by
# at least this angle. Axes of view meet when they pass their common point by less than the first share of its distance,
# and do not above the second; a subject is at the world's origin within the third.
_WIDER, _TURN, _MEET, _MISS, _AT_ORIGIN = 2.0, 0.1, 0.05, 0.2, 0.2


@dataclass(frozen=True)
class Finding:
    """One thing found: `severity` of SEVERITIES, `check` in a word, `text` in a sentence."""

    severity: str
    check: str
    text: str


@dataclass(frozen=True)
class TrajectoryReport:
    """All findings about a trajectory; `passed` unless one of them is a warning or an error."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether there is nothing but notes."""
        return all(finding.severity == "note" for finding in self.findings)

    @property
    def text(self) -> str:
        """The verdict and the findings, the worst first, one a line."""
        worst = sorted(self.findings, key=lambda finding: -SEVERITIES.index(finding.severity))
        lines = [f"{finding.severity} ({finding.check}): {finding.text}" for finding in worst]
        return "\n".join(["passed" if self.passed else "not passed", *lines])


@dataclass(frozen=True)
class TrainedRange:
    """The cameras that a model was trained on: `frames` of a clip, `unit` of length, `travel` from the first camera in
    it, `turn` from it in radians, `fov` the horizontal angles of view in radians. Infinite where it is not known."""

    name: str
    frames: int
    unit: str
    travel: float = inf
    turn: float = inf
    fov: tuple[float, float] = (0.0, pi)


# Measured on 600 clips of its training (10% pan, 20% easy, 35% room and 35% world scenes of 9 frames): the farthest
# camera of a clip lies 0.34 near depths from the first in the median and 2.01 in the 99th percentile, turned by 12.7
# and 56.1 degrees; the angle of view is drawn from 32 to 114 degrees.
RAXEL_TINY_RANGE = TrainedRange("raxel-tiny", 9, "near_depth", travel=2.01, turn=0.98, fov=(0.559, 1.990))


def check_trajectory(
    trajectory: Trajectory, *, trained: TrainedRange | None = None, video: tuple[int, int, int] | None = None
) -> TrajectoryReport:
    """Everything this module knows to look for in `trajectory`, compared with what a model was `trained` on and with
    the (frames, height, width) of a `video` (or a picture, of one frame) where they are given.

    Where a matrix is no camera (`Camera.validate`) only that is reported, since nothing else would mean anything.
    """
    try:
        trajectory.camera.validate()
    except ValueError as error:
        return TrajectoryReport((Finding("error", "camera", f"{error}."),))
    checks = [_lens(trajectory), _frame_count(trajectory), _jumps(trajectory), _jerks(trajectory), _reading(trajectory)]
    checks += [] if video is None else [_video(trajectory, video)]
    checks += [] if trained is None else [_range(trajectory, trained)]
    return TrajectoryReport(tuple(finding for check in checks for finding in check))


def meeting_point(world_from_cam: Tensor) -> tuple[Tensor, Tensor]:
    """The point [3] nearest to the axes of view of `world_from_cam` [F, 4, 4], and how far they pass it by: their mean
    distance from it over its mean depth, infinity where it is not in front of each camera."""
    center, forward = world_from_cam[:, :3, 3], world_from_cam[:, :3, 2]
    across = torch.eye(3).to(center) - forward[:, :, None] * forward[:, None, :]
    point = torch.linalg.lstsq(across.sum(0), (across @ center[..., None]).sum(0)).solution[:, 0]
    depth = ((point - center) * forward).sum(-1)
    miss = (across @ (point - center)[..., None]).norm(dim=1).mean() / depth.mean()
    behind = bool((depth <= 1e-6 * center.abs().amax()).any())
    return point, torch.full_like(miss, torch.inf) if behind else miss


def _lens(trajectory: Trajectory) -> Iterator[Finding]:
    """Pixels that are not square, a principal point away from the middle, an angle of view beyond 10 to 140 degrees."""
    camera = trajectory.camera
    (height, width), (fx, fy) = camera.hw, camera.focal.double().unbind(-1)
    ratio, side = float((fx / fy).median()), width / height
    if abs(ratio - 1.0) > _SQUARE_TOLERANCE:
        cause = ""
        if abs(ratio / side - 1.0) < _SQUARE_TOLERANCE or abs(ratio * side - 1.0) < _SQUARE_TOLERANCE:
            cause = ": the picture's aspect, as when one focal length was scaled by width and height"
        yield Finding("warning", "aspect", f"pixels are not square, fx / fy is {ratio:.3f}{cause}.")
    size = torch.tensor((width, height), dtype=torch.float64)
    middle = camera.principal_point.double().cpu() / size
    off = float((middle - 0.5).abs().amax())
    if off > _MIDDLE_TOLERANCE:
        x, y = (middle * size)[(middle - 0.5).abs().amax(-1).argmax()].tolist()
        severity = "error" if off > 0.5 else "warning"
        text = f"the principal point ({x:.1f}, {y:.1f}) is not in the middle of {width} x {height} pixels"
        yield Finding(severity, "principal point", f"{text}; it would be of {2 * x:.0f} x {2 * y:.0f} pixels.")
    fov = camera.fov[..., 0].rad2deg()
    if float(fov.amin()) < 10.0 or float(fov.amax()) > 140.0:
        yield Finding("warning", "lens", f"the angle of view runs from {fov.amin():.1f} to {fov.amax():.1f} degrees.")


def _video(trajectory: Trajectory, video: tuple[int, int, int]) -> Iterator[Finding]:
    """Another aspect or number of frames than the video's."""
    (frames, height, width), hw = video, trajectory.camera.hw
    if abs(hw[1] * height / (hw[0] * width) - 1.0) > _ASPECT_TOLERANCE:
        text = f"the cameras are of {hw[1]} x {hw[0]} pixels, the video has {width} x {height}: another aspect"
        yield Finding("error", "aspect", f"{text}.")
    if frames not in (1, len(trajectory)):
        yield Finding("error", "frames", f"the trajectory has {len(trajectory)} frames, the video {frames}.")


def _frame_count(trajectory: Trajectory) -> Iterator[Finding]:
    """A number of frames that video models do not take."""
    frames = len(trajectory)
    if (frames - 1) % 4:
        nearest = (frames + 1) // 4 * 4 + 1  # the longer one of two that are as near
        yield Finding("warning", "frames", f"{frames} frames are not 4n + 1; the nearest number is {nearest}.")


def _jumps(trajectory: Trajectory) -> Iterator[Finding]:
    """Single steps that are far larger than those on both sides of them."""
    camera = trajectory.camera.to("cpu", torch.float64)
    center, rotation = camera.center, camera.rotation
    step, turn = center.diff(dim=0).norm(dim=-1), se3.geodesic(rotation[:-1], rotation[1:])
    for kind, sizes, least, words in (
        ("position", step, _JUMP_EXTENT * _extent(center), f"by {{:.3g}} {trajectory.unit}"),
        ("rotation", turn.rad2deg(), degrees(_JUMP_RADIANS), "by {:.1f} degrees"),
    ):
        jumps = _stands_out(sizes, least)
        if jumps:
            at = ", ".join(f"{frame} to {frame + 1} {words.format(float(sizes[frame]))}" for frame in jumps[:5])
            more = f" and {len(jumps) - 5} more" if len(jumps) > 5 else ""
            yield Finding("warning", "jump", f"the {kind} jumps between frames {at}{more}.")


def _stands_out(sizes: Tensor, least: float) -> list[int]:
    """Which of `sizes` [N] exceed `least` and _JUMP_RATIO times the medians of the three before and the three after."""
    found = []
    for index in range(len(sizes) if len(sizes) >= 4 else 0):
        sides = [side for side in (sizes[max(index - 3, 0) : index], sizes[index + 1 : index + 4]) if len(side)]
        usual = max(float(side.median()) for side in sides)
        if float(sizes[index]) > max(_JUMP_RATIO * usual, least):
            found.append(index)
    return found


def _jerks(trajectory: Trajectory) -> Iterator[Finding]:
    """Sudden changes of speed or direction, which a camera on rails or in a hand does not make; a clip may begin and
    end in full motion."""
    center = trajectory.camera.center.double().cpu()
    if len(center) < 8:
        return
    step, jerk = center.diff(dim=0).norm(dim=-1), center.diff(n=3, dim=0).norm(dim=-1)
    limit = max(_JERK_RATIO * float(jerk.median()), _JERK_STEPS * float(step.median()), 1e-3 * _extent(center))
    spikes = (jerk[1:-1] > limit).nonzero().flatten().tolist()
    if spikes:
        at = ", ".join(str(frame + 2) for frame in spikes[:5])
        yield Finding("warning", "jerk", f"speed or direction change abruptly near frame {at}.")


def _extent(center: Tensor) -> float:
    """The farthest distance of `center` [F, 3] from their mean."""
    return float((center - center.mean(0)).norm(dim=-1).amax())


def _reading(trajectory: Trajectory) -> Iterator[Finding]:
    """Whether the matrices look like world-to-camera ones that were read as camera-to-world.

    The inverse of a camera that turns swings about the world's origin on a lever as long as its distance from there. So
    the path is doubted when it is at least twice as wide as the inverse's and no orbit, which is a true swing (its
    axes of view meet); or when it is at most half as wide, and the inverse is an orbit that faces the world's origin.
    A path relative to its first camera that moves on one screw, as every plain move of this pack, passes: its inverse
    is the same move the other way, and no figure can tell. Measured over 500 paths of `training.synthetic` of 81
    frames: of those relative to the first camera none is doubted, put into a random world frame one is; of the inverses
    of the latter 108 are. Orbits of 20 degrees and more about the world's origin are all told apart.
    """
    given = trajectory.camera.world_from_cam.double().cpu()
    other = se3.inverse(given)
    if len(given) < 3 or float(se3.geodesic(given[:1, :3, :3], given[:, :3, :3]).amax()) < _TURN:
        return
    extent, other_extent = _extent(given[:, :3, 3]), _extent(other[:, :3, 3])
    (_, miss), (point, other_miss) = meeting_point(given), meeting_point(other)
    doubt = ""
    if extent > _WIDER * other_extent and float(miss) > _MISS:
        doubt = (
            f"the path is {extent / max(other_extent, 1e-9 * extent):.1f} times as wide as that of the inverse matrices"
        )
    at_origin = float(point.norm()) < _AT_ORIGIN * float((other[:, :3, 3] - point).norm(dim=-1).mean())
    if other_extent > _WIDER * extent and float(other_miss) < _MEET and float(miss) > _MISS and at_origin:
        doubt = "as they stand the cameras turn on the spot, read as world-to-camera they circle the world's origin"
    if doubt:
        yield Finding("warning", "convention", f"{doubt}: did you mean world-to-camera?")


def _range(trajectory: Trajectory, trained: TrainedRange) -> Iterator[Finding]:
    """What goes beyond the cameras that a model was trained on."""
    camera, of = trajectory.relative_to(0).camera, f"{trained.name} was trained on"
    travel = float(camera.center.norm(dim=-1).amax())
    turn = float(se3.geodesic(camera.rotation[:1], camera.rotation).amax())
    low, high = float(camera.fov[..., 0].amin()), float(camera.fov[..., 0].amax())
    if isinf(trained.travel):
        yield Finding("note", "range", f"{trained.name} does not state the range of its cameras.")
    if len(trajectory) != trained.frames:
        yield Finding("note", "range", f"{len(trajectory)} frames; {of} {trained.frames}.")
    if trajectory.unit != trained.unit:
        yield Finding("warning", "range", f"lengths are in unit {trajectory.unit}; {of} {trained.unit}.")
    elif travel > trained.travel:
        text = f"goes {travel:.2f} {trained.unit} away from its start; {of} up to {trained.travel:.2f}"
        yield Finding("warning", "range", f"{text}.")
    if turn > trained.turn:
        text = f"turns by {degrees(turn):.0f} degrees; {of} up to {degrees(trained.turn):.0f}"
        yield Finding("warning", "range", f"{text}.")
    if low < trained.fov[0] - 0.01 or high > trained.fov[1] + 0.01:
        seen, known = ("{:.0f} to {:.0f} degrees".format(*map(degrees, pair)) for pair in ((low, high), trained.fov))
        yield Finding("warning", "range", f"angle of view {seen}; {of} {known}.")

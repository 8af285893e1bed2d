"""Figures as something to keep and to read: dataclasses that become JSON, text tables, and pass or fail.

JSON holds radians and scene units; the text tables show angles in degrees. A figure that does not exist for a path
(NaN: the scale of a camera that stands still) or is infinite (the PSNR of identical videos) is null in JSON, which has
neither.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

import torch
from torch import Tensor

from ..geometry.camera import Camera
from ..geometry.trajectory import Trajectory
from .image_metrics import VIDEO_RANGE, FrechetDistance, lpips, mean_over_frames, psnr, ssim
from .pose_metrics import PoseMetrics, frame_errors, pairs_counted, pose_metrics

LOOP_FORMAT = "raxel.self_consistency"
LOOP_VERSION = 1

_ANGLES = ("rotation_error", "rpe_rotation", "fov_error")
_SHARES = ("rra_30", "mrra_30", "rta_30", "auc_30", "focal_error")
_LENGTHS = ("translation_error", "ate", "ate_se3", "ate_sim3", "rpe_translation")
# What takes the lengths of both paths as they are: none of it means anything where they count in different units.
_UNSCALED = (
    "translation_error", "cammc", "ate", "translation_error_by_truth", "cammc_by_truth", "ate_by_truth", "ate_se3",
    "rpe_translation",
)  # fmt: skip


@dataclass(frozen=True)
class PoseReport:
    """The figures of `pose_metrics.PoseMetrics` for one path as plain numbers, with the errors of every frame.

    Angles in radians, lengths in `unit`; `rotation_errors` and `translation_errors` have one value per frame.
    """

    frames: int
    unit: str
    figures: Mapping[str, float]
    rotation_errors: tuple[float, ...]
    translation_errors: tuple[float, ...]

    def without_lengths(self) -> PoseReport:
        """What of it holds where the two paths count in different units: angles, and lengths after a scale."""
        figures = {name: value for name, value in self.figures.items() if name not in _UNSCALED}
        return replace(self, figures=figures, translation_errors=())

    def table(self) -> str:
        """Text table of the figures: angles in degrees, shares in percent; of how many pairs, where not of all."""
        rows = [(name, *readable(name, value, self.unit)) for name, value in self.figures.items()]
        table = text_table(("cameras", "value", "unit"), rows)
        pairs, counted = self.frames * (self.frames - 1) // 2, pairs_counted(self.frames)
        drawn = f"\nshares and areas of {counted} of the {pairs} pairs, drawn: standard error at most 0.05 %"
        return table if counted == pairs else table + drawn


@dataclass(frozen=True)
class VideoReport:
    """PSNR (dB) and SSIM of one video against another, averaged over frames; `data_range` says the range of both.

    `identical_frames` counts the frames that agree bit for bit; they are left out of the mean of PSNR (unless all
    are, when it is infinite). `lpips` is None where no network was given.
    """

    frames: int
    data_range: float
    psnr: float
    ssim: float
    lpips: float | None
    identical_frames: int
    frame_psnr: tuple[float, ...]
    frame_ssim: tuple[float, ...]

    def table(self) -> str:
        """Text table of the figures."""
        rows = [("psnr", *readable("psnr", self.psnr)), ("ssim", *readable("ssim", self.ssim))]
        if self.lpips is not None:
            rows.append(("lpips", *readable("lpips", self.lpips)))
        if self.identical_frames:
            rows.append(("identical frames", str(self.identical_frames), f"of {self.frames}"))
        return text_table(("video", "value", "unit"), rows)


@dataclass(frozen=True)
class Bounds:
    """What a closed loop must reach: camera errors at most (radians, scene units), PSNR (dB) and SSIM at least.

    None leaves a figure out. The defaults for the cameras are the errors against true cameras that the paper's own 20B
    model reaches on DL3DV-140 (Rays as Pixels, Table 2); a loop without true cameras has to agree with itself as well
    as that. The paper states no PSNR or SSIM.
    """

    rotation_error: float | None = 0.020
    translation_error: float | None = 0.018
    psnr: float | None = None
    ssim: float | None = None


@dataclass(frozen=True)
class Check:
    """One figure against one bound: `relation` is "at most" or "at least". A figure that is NaN does not pass."""

    name: str
    value: float
    relation: str
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the figure keeps to the bound."""
        return self.value <= self.bound if self.relation == "at most" else self.value >= self.bound


@dataclass(frozen=True)
class LoopReport:
    """The closed loop video -> cameras -> video -> cameras: how well the second cameras and the video repeat the first.

    `cameras` is that agreement of the model with itself, which is no error: a model that is wrong the same way twice
    agrees. `truth` holds the errors of the first cameras against true ones, where there are any; the checks of cameras
    are about those, and about the agreement where there are none. `sets` holds distances between sets of videos by
    name ("fid", "fvd") where they were computed.
    """

    cameras: PoseReport
    video: VideoReport
    checks: tuple[Check, ...]
    sets: Mapping[str, FrechetDistance]
    truth: PoseReport | None = None

    @property
    def passed(self) -> bool:
        """True when every check passed (and when none was asked for)."""
        return all(check.passed for check in self.checks)

    @property
    def sentence(self) -> str:
        """Whether it passed, by which bounds, and what was compared."""
        unit = self.cameras.unit
        named = [f"{check.name.replace('_', ' ')} {_words(check, unit)}" for check in self.checks]
        asked = "; ".join(named) or "nothing was asked for"
        agreed = ", ".join(
            " ".join((name.replace("_", " "), *readable(name, self.cameras.figures[name], unit)))
            for name in ("rotation_error", "translation_error")
        )
        told = (
            "The cameras are compared with the model's own second estimate: this is agreement with itself, not an error"
            if self.truth is None
            else f"The cameras are compared with the true ones given; agreement with itself: {agreed}"
        )
        return f"{'Passed' if self.passed else 'Failed'}: {asked}. {told}."

    def to_json(self) -> str:
        """Strict JSON, format "raxel.self_consistency" version 1: radians, scene units, dB.

        `cameras` is the agreement with itself, `truth` the error, null without true cameras.
        """
        body = asdict(self) | {"compared_with": "itself" if self.truth is None else "truth", "sentence": self.sentence}
        body["checks"] = [asdict(check) | {"passed": check.passed} for check in self.checks]
        return to_json({"format": LOOP_FORMAT, "version": LOOP_VERSION, "passed": self.passed} | body)

    def table(self) -> str:
        """The whole report as text."""
        parts = [self.sentence, f"agreement with itself\n{self.cameras.table()}", self.video.table()]
        if self.truth is not None:
            parts.insert(1, f"error against the true cameras\n{self.truth.table()}")
        if self.sets:
            rows = [
                (name, f"{d.distance:.3f}", f"{d.samples} against {d.true_samples} samples of {d.dimension}")
                for name, d in self.sets.items()
            ]
            parts.append(text_table(("set", "value", "of"), rows))
        if self.checks:
            parts.append(text_table(("bound", "value", "must be", "result"), [self._check_row(c) for c in self.checks]))
        return "\n\n".join(parts)

    def _check_row(self, check: Check) -> tuple[str, ...]:
        value, unit = readable(check.name, check.value, self.cameras.unit)
        bound, _ = readable(check.name, check.bound, self.cameras.unit)
        return check.name, f"{value} {unit}", f"{check.relation} {bound} {unit}", "pass" if check.passed else "FAIL"


@dataclass(frozen=True)
class Summary:
    """One figure over a set of clips: `count` of clips that have it, mean, median, and the mean's standard error."""

    name: str
    count: int
    mean: float
    median: float
    standard_error: float


def pose_report(
    estimate: Camera, truth: Camera, *, unit: str = "scene units", reduction: str = "mean", step: int = 1
) -> PoseReport:
    """All figures of one camera path [F] against the true one; `unit` names the length of the scene.

    `reduction` and `step` as in `pose_metrics`. ValueError when the paths are not one path each of the same length.
    """
    if len(estimate.world_from_cam.shape) != 3 or len(truth.world_from_cam.shape) != 3:
        shapes = [list(camera.world_from_cam.shape[:-2]) for camera in (estimate, truth)]
        raise ValueError(f"a report is about one path [F], got cameras with leading axes {shapes[0]} and {shapes[1]}")
    errors = frame_errors(estimate, truth)
    return PoseReport(
        frames=len(errors.rotation),
        unit=unit,
        figures=_numbers(pose_metrics(estimate, truth, reduction=reduction, step=step)),
        rotation_errors=tuple(errors.rotation.tolist()),
        translation_errors=tuple(errors.translation.tolist()),
    )


def video_report(
    video: Tensor, truth: Tensor, *, lpips_network: Callable[[Tensor, Tensor], Tensor] | None = None
) -> VideoReport:
    """PSNR and SSIM of one video [3, F, H, W] against the true one, both clipped to [-1, 1] as a file would be.

    With `lpips_network` (`image_metrics.load_network`) LPIPS too. ValueError when the shapes differ or are not those
    of one video.
    """
    if video.ndim != 4:
        raise ValueError(f"a report is about one video [3, F, H, W], got {list(video.shape)}")
    video, truth = video.clamp(-1, 1), truth.clamp(-1, 1)
    frame_psnr, frame_ssim = psnr(video, truth), ssim(video, truth)
    return VideoReport(
        frames=video.shape[1],
        data_range=VIDEO_RANGE,
        psnr=float(mean_over_frames(frame_psnr)),
        ssim=float(frame_ssim.mean()),
        lpips=None if lpips_network is None else float(lpips(video, truth, network=lpips_network).mean()),
        identical_frames=int(frame_psnr.isinf().sum()),
        frame_psnr=tuple(frame_psnr.tolist()),
        frame_ssim=tuple(frame_ssim.tolist()),
    )


def loop_report(
    cameras: tuple[Trajectory, Trajectory],
    videos: tuple[Tensor, Tensor],
    *,
    bounds: Bounds | None = None,
    sets: Mapping[str, FrechetDistance] | None = None,
    truth: Trajectory | None = None,
) -> LoopReport:
    """Report of the self-consistency loop, from (first, second) cameras and (given, repeated) videos [3, F, H, W].

    The second of each pair is held against the first, and the first cameras against the `truth`, where it is known;
    one that counts in another unit is brought to the best scale. `bounds` default to `Bounds()`. ValueError when the
    trajectories differ in unit or length, or the videos in shape.
    """
    first, second = cameras
    if first.unit != second.unit:
        raise ValueError(f"cameras in different units do not compare: {first.unit} and {second.unit}")
    poses = pose_report(second.camera, first.camera, unit=first.unit)
    video = video_report(videos[1], videos[0])
    errors = None if truth is None else _errors(first, truth)
    checks = check_bounds(errors or poses, video, bounds or Bounds())
    return LoopReport(poses, video, checks, dict(sets or {}), errors)


def _errors(found: Trajectory, truth: Trajectory) -> PoseReport:
    """The errors of cameras against true ones, in the unit of those that were found."""
    if len(found) != len(truth):
        raise ValueError(f"true cameras are one for each of the {len(found)} frames, got {len(truth)}")
    if truth.unit != found.unit:
        away, true_away = (path.relative_to(0).camera.center.double() for path in (found, truth))
        scale = float((away * true_away).sum() / true_away.square().sum().clamp(min=1e-18))
        truth = truth.scaled(scale, unit=found.unit) if scale > 0.0 else truth
    return pose_report(found.camera, truth.camera, unit=found.unit)


def check_bounds(cameras: PoseReport, video: VideoReport, bounds: Bounds) -> tuple[Check, ...]:
    """The checks that `bounds` asks for: camera errors at most, PSNR and SSIM at least."""
    asked = (
        ("rotation_error", cameras.figures["rotation_error"], "at most", bounds.rotation_error),
        ("translation_error", cameras.figures["translation_error"], "at most", bounds.translation_error),
        ("psnr", video.psnr, "at least", bounds.psnr),
        ("ssim", video.ssim, "at least", bounds.ssim),
    )
    return tuple(Check(name, value, relation, bound) for name, value, relation, bound in asked if bound is not None)


def summarize(figures: Mapping[str, Sequence[float]]) -> tuple[Summary, ...]:
    """Mean, median and standard error of each named list of figures, one value per clip; values not finite left out."""
    return tuple(_summary(name, values) for name, values in figures.items())


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Plain text columns under `header`: columns that hold only numbers to the right, words to the left."""
    columns = [_column(name, [row[place] for row in rows]) for place, name in enumerate(header)]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same columns as a table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def readable(name: str, value: float, unit: str = "scene units") -> tuple[str, str]:
    """A figure as (number, unit) for people: degrees, percent, `unit`, dB; "-" for one that does not exist."""
    if math.isnan(value):
        return "-", ""
    if name in _ANGLES:
        return f"{math.degrees(value):.4f}", "degrees"
    if name in _SHARES:
        return f"{100 * value:.2f}", "%"
    if name == "psnr":
        return f"{value:.2f}", "dB"
    return f"{value:.5f}", unit if name in _LENGTHS else ""


def to_json(body: Mapping[str, object], *, indent: int | None = 2) -> str:
    """`body` as strict JSON, on one line with `indent` None: NaN and infinity become null, which JSON has."""
    return json.dumps(_without_non_finite(body), indent=indent, allow_nan=False)


def _words(check: Check, unit: str) -> str:
    """A figure and its bound as one reads them."""
    value, bound = (" ".join(readable(check.name, number, unit)) for number in (check.value, check.bound))
    return f"{value}, {check.relation} {bound}: {'passed' if check.passed else 'failed'}"


def _numbers(metrics: PoseMetrics) -> dict[str, float]:
    return {field.name: float(getattr(metrics, field.name)) for field in fields(metrics)}


def _summary(name: str, values: Sequence[float]) -> Summary:
    finite = torch.tensor([v for v in values if math.isfinite(v)], dtype=torch.float64)
    if not len(finite):
        return Summary(name, 0, math.nan, math.nan, math.nan)
    error = float(finite.std() / math.sqrt(len(finite))) if len(finite) > 1 else math.nan
    return Summary(name, len(finite), float(finite.mean()), float(finite.quantile(0.5)), error)


def _column(name: str, cells: Sequence[str]) -> list[str]:
    """The header, a rule and the cells of one column, all of one width."""
    width = max(map(len, (name, *cells)))
    justify = str.rjust if all(_is_number(cell) for cell in cells) else str.ljust
    return [justify(name, width), "-" * width, *(justify(cell, width) for cell in cells)]


def _is_number(cell: str) -> bool:
    return cell in ("-", "inf") or cell.lstrip("-").replace(".", "", 1).isdigit()


def _without_non_finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _without_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_non_finite(item) for item in value]
    return value

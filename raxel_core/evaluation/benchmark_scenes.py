"""What a model can do on scenes with exact cameras, beside the trivial baselines and the VAE's own ceiling.

The model comes as a `SceneModel`, four functions over batches, so that nothing here knows of networks. Every figure is
kept per clip, so that two rows compare paired: a gain is the mean of the differences with its standard error.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from .image_metrics import psnr, ssim
from .pose_metrics import area_accuracy, focal_error, frame_errors, pair_errors
from .report import Check, Summary, summarize, text_table, to_json

FORMAT = "raxel.scene_evaluation"
VERSION = 1
POSE_FIGURES = ("rotation_error_degrees", "translation_error", "mrra_30", "focal_error")
VIDEO_FIGURES = ("psnr", "ssim")
COMPONENTS = ("pitch", "yaw", "roll", "tx", "ty", "tz")
BARS = {
    "pose rotation / identity": ("at most", 0.75),
    "pose gain / standard error": ("at least", 3.0),
    "true - shuffled cameras [dB]": ("at least", 2.0),
    "true cameras - copied source [dB]": ("at least", 2.5),
    "loop - copied source [dB]": ("at least", 1.5),
}


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """Clips [B, 3, F, H, W] in [-1, 1] with their true cameras [B, F], frame 0 the identity, in the model's unit."""

    video: Tensor
    camera: Camera


class SceneModel(Protocol):
    """A model as functions over batches of clips; `seeds` are one per clip."""

    def estimate(self, video: Tensor, *, steps: int, seeds: Sequence[int]) -> Camera:
        """The cameras [B, F] of clips, relative to frame 0; NaN for a clip whose cameras could not be read."""
        ...

    def generate(self, video: Tensor, camera: Camera, *, seeds: Sequence[int]) -> Tensor:
        """Clips [B, 3, F, H, W] along cameras [B, F], shown the pictures of `video` at the settings' source frames."""
        ...

    def reconstruct_video(self, video: Tensor) -> Tensor:
        """Clips encoded to latents and decoded again."""
        ...

    def reconstruct_camera(self, camera: Camera) -> Camera:
        """Cameras [B, F] made raxels, encoded to latents, decoded and read again."""
        ...


@dataclass(frozen=True)
class SceneSettings:
    """What is measured: pose at each number of steps, the loop at `loop_steps`; frames that are shown are no feat
    to repeat, so video figures leave out `source_frames`."""

    ray_steps: tuple[int, ...] = (1, 2, 5, 20)
    loop_steps: int = 2
    source_frames: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if not self.ray_steps or min(self.ray_steps) < 1 or self.loop_steps not in self.ray_steps:
            raise ValueError(
                f"loop_steps must be one of the ray_steps, all at least 1, got {self.loop_steps} and {self.ray_steps}"
            )


Row = dict[str, Tensor]
"""Figures of the clips of one batch or of all, [N] each by name (components of the last camera [N, 6])."""


@dataclass(frozen=True, eq=False)
class SceneReport:
    """Figures per clip in named rows ("pose 2 steps", "identity pose", "true cameras", "copied source", ...).

    Rotations in degrees, as the names say; lengths in the cameras' unit; PSNR in dB. R_err, T_err and video figures
    are means over the frames that are not given.
    """

    settings: SceneSettings
    rows: Mapping[str, Mapping[str, Tensor]]
    frames: int
    hw: tuple[int, int]
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def clips(self) -> int:
        """How many clips were measured."""
        return len(self.rows["identity pose"]["rotation_error_degrees"])

    def summaries(self) -> dict[str, tuple[Summary, ...]]:
        """Mean, median and standard error of each figure of each row."""
        return {
            name: summarize({key: values.tolist() for key, values in row.items() if values.ndim == 1})
            for name, row in self.rows.items()
        }

    def correlations(self) -> dict[str, dict[str, float]]:
        """Per number of steps, the correlation over clips of the last camera's motion with the truth, by component.

        yaw+tx and pitch-ty are what moves the picture; yaw-tx and pitch+ty are what only parallax tells apart.
        """
        truth = _with_combinations(self.rows["identity pose"]["true_components"])
        return {
            name: {key: _correlation(value, truth[key]) for key, value in _with_combinations(row["components"]).items()}
            for name, row in self.rows.items()
            if "components" in row
        }

    def gains(self) -> dict[str, Summary]:
        """Paired differences over clips that the bars are about."""
        pairs = {
            "rotation gain over identity": ("rotation_error_degrees", "identity pose", self._pose_row),
            "translation gain over identity": ("translation_error", "identity pose", self._pose_row),
            "true - shuffled cameras": ("psnr", "true cameras", "shuffled cameras"),
            "true - static cameras": ("psnr", "true cameras", "static cameras"),
            "true cameras - copied source": ("psnr", "true cameras", "copied source"),
            "loop - copied source": ("psnr", "loop", "copied source"),
        }
        differences = {
            name: (self.rows[more][figure] - self.rows[less][figure]).tolist()
            for name, (figure, more, less) in pairs.items()
        }
        return {summary.name: summary for summary in summarize(differences)}

    def checks(self) -> tuple[Check, ...]:
        """The bars a model of this kind is held to."""
        gains, means = self.gains(), {name: _means(row) for name, row in self.rows.items()}
        rotation = gains["rotation gain over identity"]
        identity = means["identity pose"]["rotation_error_degrees"]
        values = {
            "pose rotation / identity": means[self._pose_row]["rotation_error_degrees"] / identity,
            "pose gain / standard error": rotation.mean / rotation.standard_error
            if rotation.standard_error
            else math.nan,
            "true - shuffled cameras [dB]": gains["true - shuffled cameras"].mean,
            "true cameras - copied source [dB]": gains["true cameras - copied source"].mean,
            "loop - copied source [dB]": gains["loop - copied source"].mean,
        }
        return tuple(Check(name, values[name], *bar) for name, bar in BARS.items())

    def to_json(self) -> str:
        """Strict JSON, format "raxel.scene_evaluation" version 1."""
        body = {
            "format": FORMAT,
            "version": VERSION,
            "clips": self.clips,
            "frames": self.frames,
            "hw": list(self.hw),
            "ray_steps": list(self.settings.ray_steps),
            "loop_steps": self.settings.loop_steps,
            "source_frames": list(self.settings.source_frames),
            **self.facts,
            "rows": {name: {s.name: _numbers(s) for s in row} for name, row in self.summaries().items()},
            "correlations": self.correlations(),
            "gains": {name: _numbers(summary) for name, summary in self.gains().items()},
            "bars": [{**vars(check), "passed": check.passed} for check in self.checks()],
        }
        return to_json(body)

    def table(self) -> str:
        """The whole report as text."""
        rows = [
            (name, s.name, f"{s.mean:.4f}", f"{s.median:.4f}", f"{s.standard_error:.4f}", str(s.count))
            for name, row in self.summaries().items()
            for s in row
        ]
        correlations = self.correlations()
        names = list(next(iter(correlations.values())))
        told = [(row, *(f"{values[name]:.2f}" for name in names)) for row, values in correlations.items()]
        gains = [(s.name, f"{s.mean:.3f}", f"{s.standard_error:.3f}") for s in self.gains().values()]
        bars = [(c.name, f"{c.value:.3f}", f"{c.relation} {c.bound}", _verdict(c)) for c in self.checks()]
        return "\n\n".join(
            (
                text_table(("row", "figure", "mean", "median", "+-", "clips"), rows),
                text_table(("correlation", *names), told),
                text_table(("paired gain", "mean", "+-"), gains),
                text_table(("bar", "value", "must be", "result"), bars),
            )
        )

    @property
    def _pose_row(self) -> str:
        return _pose_name(self.settings.loop_steps)


def evaluate_scenes(
    model: SceneModel,
    batches: Iterable[SceneBatch],
    settings: SceneSettings,
    *,
    seed: int = 0,
    facts: Mapping[str, object] | None = None,
) -> SceneReport:
    """Measure a model on all clips of the batches, clip i with seed `seed` + i.

    `facts` go into the report's JSON. Raises ValueError when there is no clip, or a batch has a single one (its
    cameras could not be shuffled).
    """
    collected: dict[str, list[Row]] = defaultdict(list)
    done, shape = 0, None
    for batch in batches:
        count, shape = len(batch.video), batch.video.shape
        if count < 2:
            raise ValueError("a batch of scenes needs at least two clips, to give one the cameras of another")
        seeds = range(seed + done, seed + done + count)
        for name, row in _measure(model, batch, settings, seeds):
            collected[name].append(row)
        done += count
    if shape is None:
        raise ValueError("there is no scene to evaluate on")
    rows = {
        name: {figure: torch.cat([part[figure] for part in parts]) for figure in parts[0]}
        for name, parts in collected.items()
    }
    return SceneReport(settings, rows, frames=shape[2], hw=(shape[3], shape[4]), facts=dict(facts or {}))


def _measure(
    model: SceneModel, batch: SceneBatch, settings: SceneSettings, seeds: Sequence[int]
) -> Iterator[tuple[str, Row]]:
    """Yield (row name, figures) of one batch: poses, videos along cameras, the loop, the ceiling."""
    video, truth = batch.video, batch.camera
    still = replace(truth, world_from_cam=truth.world_from_cam[:, :1].expand_as(truth.world_from_cam))
    identity = _with_typical_focal(still)
    yield "identity pose", _pose_row(identity, truth) | {"true_components": _components(truth)}
    found: dict[int, Camera] = {}
    for steps in settings.ray_steps:
        found[steps] = model.estimate(video, steps=steps, seeds=seeds)
        yield _pose_name(steps), _pose_row(found[steps], truth) | {"components": _components(found[steps])}
    yield "copied source", _video_row(_copied(video, settings.source_frames), video, settings)
    shuffled = replace(truth, world_from_cam=truth.world_from_cam.roll(1, dims=0))
    for name, camera in (("true", truth), ("static", still), ("shuffled", shuffled)):
        made = model.generate(video, camera, seeds=seeds)
        yield f"{name} cameras", _video_row(made, video, settings)
    yield "loop", _loop_row(model, video, found[settings.loop_steps], settings, seeds)
    yield "VAE alone, video", _video_row(model.reconstruct_video(video), video, settings)
    yield "VAE alone, cameras", _pose_row(model.reconstruct_camera(truth), truth)


def _loop_row(model: SceneModel, video: Tensor, first: Camera, settings: SceneSettings, seeds: Sequence[int]) -> Row:
    """The loop's figures [B]: the second cameras against the first, the video against the given; NaN where the first
    could not be read.
    """
    read = _readable(first)
    row = {name: torch.full(read.shape, math.nan, dtype=torch.float64) for name in (*POSE_FIGURES, *VIDEO_FIGURES)}
    if bool(read.any()):
        kept = [seed for seed, one in zip(seeds, read.tolist(), strict=True) if one]
        made = model.generate(video[read], first[read], seeds=kept)
        second = model.estimate(made, steps=settings.loop_steps, seeds=kept)
        figures = _pose_row(second, first[read]) | _video_row(made, video[read], settings)
        for name, values in row.items():
            values[read] = figures[name]
    return row


def _pose_row(estimate: Camera, truth: Camera) -> Row:
    """Camera figures [B] of paths [B, F], over the frames after the first, which is the identity by definition; NaN
    where the estimate could not be read.
    """
    read = _readable(estimate)
    row = {name: torch.full(read.shape, math.nan, dtype=torch.float64) for name in POSE_FIGURES}
    if bool(read.any()):
        found, true = estimate[read], truth[read]
        errors = frame_errors(found, true)
        row["rotation_error_degrees"][read] = errors.rotation[:, 1:].rad2deg().mean(1)
        row["translation_error"][read] = errors.translation[:, 1:].mean(1)
        row["mrra_30"][read] = area_accuracy(pair_errors(found, true, pairs="reference").rotation)
        row["focal_error"][read] = focal_error(found, true).mean((1, 2))
    return row


def _readable(camera: Camera) -> Tensor:
    """Which paths [B] of cameras [B, F] were read: those without NaN."""
    return camera.world_from_cam.isfinite().flatten(1).all(1) & camera.K.isfinite().flatten(1).all(1)


def _video_row(video: Tensor, truth: Tensor, settings: SceneSettings) -> Row:
    """PSNR and SSIM [B] of clips, over the frames that were not shown."""
    hidden = [frame for frame in range(truth.shape[2]) if frame not in settings.source_frames]
    video, truth = video[:, :, hidden].clamp(-1, 1), truth[:, :, hidden].clamp(-1, 1)
    return {"psnr": psnr(video, truth).mean(1), "ssim": ssim(video, truth).mean(1)}


def _with_typical_focal(camera: Camera) -> Camera:
    """Cameras [B, F] that all have the geometric mean of their focal lengths: the best guess without looking."""
    K = camera.K.clone()
    K[..., (0, 1), (0, 1)] = camera.focal.log().mean((0, 1)).exp()
    return replace(camera, K=K)


def _copied(video: Tensor, source_frames: Sequence[int]) -> Tensor:
    """Clips whose every frame is the picture of the nearest source frame, the earlier of two as near."""
    nearest = [min(source_frames, key=lambda source: abs(source - frame)) for frame in range(video.shape[2])]
    return video[:, :, nearest]


def _components(camera: Camera) -> Tensor:
    """The motion [B, 6] of the last camera relative to the first: rotation vector in radians, then centre."""
    read = _readable(camera)
    motion = torch.full((len(read), 6), math.nan, dtype=torch.float64)
    last = camera[read][:, -1].relative_to(camera[read][:, 0])
    motion[read] = torch.cat([se3.so3_log(last.rotation), last.center], dim=1).double()
    return motion


def _with_combinations(components: Tensor) -> dict[str, Tensor]:
    """Components [N, 6] by name, with the sums that move the picture and the differences that do not."""
    named = dict(zip(COMPONENTS, components.unbind(1), strict=True))
    named["yaw+tx"], named["yaw-tx"] = named["yaw"] + named["tx"], named["yaw"] - named["tx"]
    named["pitch-ty"], named["pitch+ty"] = named["pitch"] - named["ty"], named["pitch"] + named["ty"]
    return named


def _correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's correlation over the clips where both are finite; NaN when fewer than three or one does not vary."""
    both = a.isfinite() & b.isfinite()
    if int(both.sum()) < 3:
        return math.nan
    return float(torch.corrcoef(torch.stack([a[both], b[both]]))[0, 1])


def _means(row: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of each figure of a row over the clips that have it."""
    return {name: float(values[values.isfinite()].mean()) for name, values in row.items() if values.ndim == 1}


def _numbers(summary: Summary) -> dict[str, float]:
    return {
        "mean": summary.mean,
        "median": summary.median,
        "standard_error": summary.standard_error,
        "clips": summary.count,
    }


def _verdict(check: Check) -> str:
    return "pass" if check.passed else "FAIL"


def _pose_name(steps: int) -> str:
    return f"pose {steps} steps" if steps > 1 else "pose 1 step"

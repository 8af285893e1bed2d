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
from torch.nn.functional import avg_pool2d

from ..geometry import se3
from ..geometry.camera import Camera, stack
from .image_metrics import FrechetDistance, psnr, ssim
from .opencv_pose import essential_cameras
from .pose_metrics import area_accuracy, focal_error, frame_errors, pair_errors
from .report import Check, Summary, summarize, text_table, to_json
from .set_distances import NO_NETWORKS, Networks, SetDistances
from .visibility import Correspondence, correspondence, masked_psnr, seams, warped_first_frame

FORMAT = "raxel.scene_evaluation"
VERSION = 1
# How far seen pixels have moved, in pixels, for the figures by motion.
MOTIONS = {"under 0.5 px": (0.0, 0.5), "0.5 to 2 px": (0.5, 2.0), "2 to 8 px": (2.0, 8.0), "over 8 px": (8.0, math.inf)}
# With fewer clips than this the bars say more of the clips than of the model.
CLIPS_FOR_BARS = 64
COMPONENTS = ("pitch", "yaw", "roll", "tx", "ty", "tz")
BARS = {
    "pose rotation / identity": ("at most", 0.46),
    "pose gain / standard error": ("at least", 3.0),
    "true - shuffled cameras [dB]": ("at least", 2.8),
    "true cameras - copied source [dB]": ("at least", 2.7),
    "loop - copied source [dB]": ("at least", 2.2),
}


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """Clips [B, 3, F, H, W] in [-1, 1] with their true cameras [B, F], frame 0 the identity, in the model's unit, and
    their true `depth` [B, F, H, W] along the view axis, where it is known; `large` are the same clips in more pixels,
    for what needs them."""

    video: Tensor
    camera: Camera
    depth: Tensor | None = None
    large: Tensor | None = None


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
    to repeat, so video figures leave out `source_frames`. `patch` is the side of a token in pixels, on whose borders
    seams are looked for; with `opencv` the textbook's cameras are measured too."""

    ray_steps: tuple[int, ...] = (1, 2, 5, 20)
    loop_steps: int = 2
    source_frames: tuple[int, ...] = (0,)
    patch: int = 8
    opencv: bool = False

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
    distances: Mapping[str, Mapping[str, FrechetDistance]] = field(default_factory=dict)

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
        """The bars a model of this kind is held to; none where there are too few clips to tell."""
        if self.clips < CLIPS_FOR_BARS:
            return ()
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
            "distances": {
                measure: {
                    name: vars(distance) | {"rank_deficient": distance.rank_deficient}
                    for name, distance in sets.items()
                }
                for measure, sets in self.distances.items()
            },
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
        sets = [
            (
                measure.upper(),
                name,
                f"{d.distance:.3f}",
                f"{d.samples}/{d.dimension}{' (too few)' if d.rank_deficient else ''}",
            )
            for measure, by in self.distances.items()
            for name, d in by.items()
        ]
        told_of_bars = text_table(("bar", "value", "must be", "result"), bars)
        if not bars:
            told_of_bars = f"The bars need {CLIPS_FOR_BARS} clips, these are {self.clips}."
        return "\n\n".join(
            (
                text_table(("row", "figure", "mean", "median", "+-", "clips"), rows),
                text_table(("correlation", *names), told),
                text_table(("paired gain", "mean", "+-"), gains),
                *([text_table(("distance", "set", "value", "samples/dimensions"), sets)] if sets else []),
                told_of_bars,
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
    networks: Networks = NO_NETWORKS,
    facts: Mapping[str, object] | None = None,
) -> SceneReport:
    """Measure a model on all clips of the batches, clip i with seed `seed` + i.

    With `networks` LPIPS, FID and FVD too, of the clips along true cameras, in the loop and through the VAE, over all
    their frames. `facts` go into the report's JSON. Raises ValueError when there is no clip, or a batch has a single
    one (its cameras could not be shuffled).
    """
    collected: dict[str, list[Row]] = defaultdict(list)
    done, shape = 0, None
    sets = SetDistances(networks)
    for batch in batches:
        count, shape = len(batch.video), batch.video.shape
        if count < 2:
            raise ValueError("a batch of scenes needs at least two clips, to give one the cameras of another")
        seeds = range(seed + done, seed + done + count)
        for name, row in _measure(model, batch, settings, seeds, sets):
            collected[name].append(row)
        done += count
    if shape is None:
        raise ValueError("there is no scene to evaluate on")
    rows = {
        name: {figure: torch.cat([part[figure] for part in parts]) for figure in parts[0]}
        for name, parts in collected.items()
    }
    hw = (shape[3], shape[4])
    return SceneReport(settings, rows, frames=shape[2], hw=hw, facts=dict(facts or {}), distances=sets.distances())


def _measure(
    model: SceneModel, batch: SceneBatch, settings: SceneSettings, seeds: Sequence[int], sets: SetDistances
) -> Iterator[tuple[str, Row]]:
    """Yield (row name, figures) of one batch: poses, videos along cameras, the loop, the ceiling."""
    video, truth = batch.video, batch.camera
    still = replace(truth, world_from_cam=truth.world_from_cam[:, :1].expand_as(truth.world_from_cam))
    identity = with_typical_focal(still)
    yield "identity pose", _pose_row(identity, truth) | {"true_components": _components(truth)}
    found: dict[int, Camera] = {}
    for steps in settings.ray_steps:
        read = model.estimate(video, steps=steps, seeds=seeds)
        found[steps] = still_where_unread(read, identity)
        yield _pose_name(steps), _pose_row(found[steps], truth) | _told(read)
    if settings.opencv:
        for pictures in (video, batch.large):
            if pictures is not None:
                read = _textbook(pictures, truth)
                name = f"OpenCV at {pictures.shape[-1]} px, true focal and distance"
                yield name, _pose_row(still_where_unread(read, identity), truth) | _told(read)
    places = None if batch.depth is None else correspondence(batch.depth, truth)

    def row(made: Tensor) -> Row:
        return _video_row(made, video, settings, places)

    def row_of_set(name: str, made: Tensor) -> Row:
        sets.add(name, made)
        return row(made) | sets.perceptual(made, video)

    sets.add("true", video)
    yield "copied source", row(_copied(video, settings.source_frames))
    yield "true patch means", row(_patch_means(video, settings.patch))
    if places is not None:
        yield "first frame warped by true depth", row(warped_first_frame(video, places.pixel))
    shuffled = replace(truth, world_from_cam=truth.world_from_cam.roll(1, dims=0))
    for name, camera in (("true", truth), ("static", still), ("shuffled", shuffled)):
        made = model.generate(video, camera, seeds=seeds)
        yield f"{name} cameras", row_of_set("true cameras", made) if name == "true" else row(made)
    first = found[settings.loop_steps]
    made = model.generate(video, first, seeds=seeds)
    second = still_where_unread(model.estimate(made, steps=settings.loop_steps, seeds=seeds), identity)
    # Agreement of the loop with itself, and beside it how far its second cameras are from the true ones.
    against_truth = {f"{name}_against_truth": value for name, value in _pose_row(second, truth).items()}
    yield "loop", _pose_row(second, first) | against_truth | row_of_set("loop", made)
    yield "VAE alone, video", row_of_set("VAE alone", model.reconstruct_video(video))
    yield "VAE alone, cameras", _pose_row(model.reconstruct_camera(truth), truth)


def _textbook(video: Tensor, truth: Camera) -> Camera:
    """OpenCV's cameras [B, F] of clips of any size, in the pixels of the true ones."""
    true = truth.resized((video.shape[3], video.shape[4]))
    found = stack([essential_cameras(clip, true[index]) for index, clip in enumerate(video)])
    return replace(truth, world_from_cam=found.world_from_cam)


def _pose_row(estimate: Camera, truth: Camera) -> Row:
    """Camera figures [B] of paths [B, F], over the frames after the first, which is the identity by definition."""
    errors = frame_errors(estimate, truth)
    return {
        "rotation_error_degrees": errors.rotation[:, 1:].rad2deg().mean(1),
        "translation_error": errors.translation[:, 1:].mean(1),
        "mrra_30": area_accuracy(pair_errors(estimate, truth, pairs="reference").rotation),
        "focal_error": focal_error(estimate, truth).mean((1, 2)),
    }


def still_where_unread(read: Camera, still: Camera) -> Camera:
    """Paths [B, F], and the still camera of typical focal length in place of those that could not be read: leaving
    them out would flatter, since the clips that are left out are the hardest."""
    known = _readable(read)[:, None, None, None]
    motions = torch.where(known, read.world_from_cam, still.world_from_cam.to(read.world_from_cam))
    return replace(read, world_from_cam=motions, K=torch.where(known, read.K, still.K.to(read.K).expand_as(read.K)))


def _told(read: Camera) -> Row:
    """What is known of paths [B, F] beside their errors: which were read, and their motion, NaN where not."""
    return {"read": _readable(read).double(), "components": _components(read)}


def _readable(camera: Camera) -> Tensor:
    """Which paths [B] of cameras [B, F] were read: those without NaN."""
    return camera.world_from_cam.isfinite().flatten(1).all(1) & camera.K.isfinite().flatten(1).all(1)


def _video_row(video: Tensor, truth: Tensor, settings: SceneSettings, places: Correspondence | None) -> Row:
    """Figures [B] of clips, over the frames that were not shown; where the `places` of their pixels in frame 0 are
    known, also of what frame 0 shows, of what it does not, and by how far the pixels moved."""
    hidden = [frame for frame in range(truth.shape[2]) if frame not in settings.source_frames]
    video, truth = video[:, :, hidden].clamp(-1, 1), truth[:, :, hidden].clamp(-1, 1)
    row = {"psnr": psnr(video, truth).mean(1), "ssim": ssim(video, truth).mean(1)}
    row["seams"] = seams(video, settings.patch) / seams(truth, settings.patch)
    if places is not None:
        seen, motion = places.seen[:, hidden], places.motion[:, hidden]
        row["psnr_seen"], row["psnr_unseen"] = (masked_psnr(video, truth, mask) for mask in (seen, ~seen))
        for name, (low, high) in MOTIONS.items():
            row[f"psnr_seen, {name}"] = masked_psnr(video, truth, seen & (motion >= low) & (motion < high))
    return row


def _patch_means(video: Tensor, patch: int) -> Tensor:
    """Clips [B, 3, F, H, W] of which each patch has its mean colour: what a model reaches that draws no detail."""
    frames = video.transpose(1, 2).flatten(0, 1)
    means = avg_pool2d(frames, patch).repeat_interleave(patch, -1).repeat_interleave(patch, -2)
    return means.unflatten(0, (len(video), -1)).transpose(1, 2)


def with_typical_focal(camera: Camera) -> Camera:
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

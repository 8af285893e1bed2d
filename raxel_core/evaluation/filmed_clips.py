"""The papers' protocols on filmed scenes with known cameras, one clip a scene.

`pose` (Rays as Pixels, Table 3): the cameras of a clip in each number of steps, beside a still camera and the textbook.
`cycle` (Table 2): cameras of a clip, and the clip again from those and three of its frames; the errors are those of the
first cameras against the TRUE ones, and the pictures' against the true clip.
`camera-control` (Tables 2 and 4): the clip from its first frame along the true cameras, whose own cameras are then read
off the made clip, by the model, and by the textbook where it is asked for.
A clip whose cameras cannot be read counts as the still camera in every mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ..films.defects import SceneError
from ..geometry import se3
from ..geometry.camera import Camera, stack
from ..training.filmed import FilmedScenes
from ..training.loss import canonical_cameras
from .benchmark_scenes import SceneBatch, SceneModel, still_where_unread, with_typical_focal
from .image_metrics import FVD_CLIP_FRAMES, FrechetDistance, psnr, ssim
from .opencv_pose import essential_cameras
from .pose_metrics import pose_metrics
from .report import Summary, markdown_table, summarize, text_table, to_json
from .set_distances import NO_NETWORKS, Networks, SetDistances

FORMAT, VERSION = "raxel.filmed_evaluation", 1
PROTOCOLS = ("pose", "cycle", "camera-control")
STILL, TEXTBOOK = "still camera", "OpenCV, true focal and distance"
# What the networks do to pictures, which figures depend on.
RESIZES = {
    "lpips": "LPIPS of frames at the clip's size",
    "fid": "FID of every frame, resized by the Inception file itself",
    "fvd": f"FVD of {FVD_CLIP_FRAMES} frames in a row, resized by the I3D file itself",
}

_PAIRED = "Less the still camera, clip by clip:"

Row = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class FilmedReport:
    """Figures per clip in named rows, [N] each by name; `distances` between sets by measure and row; `facts` of the
    run; `left_out` are scenes that gave no clip, with why."""

    protocol: str
    rows: Mapping[str, Mapping[str, Tensor]]
    distances: Mapping[str, Mapping[str, FrechetDistance]] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def clips(self) -> int:
        """How many clips were measured."""
        return len(next(iter(next(iter(self.rows.values())).values())))

    def summaries(self) -> dict[str, dict[str, Summary]]:
        """Mean, median and standard error of each figure of each row."""
        return {name: _summaries(row) for name, row in self.rows.items()}

    def paired(self) -> dict[str, dict[str, Summary]]:
        """The same of each row's differences, clip by clip, from the still camera on the same clips."""
        still = self.rows[STILL]
        return {
            name: _summaries(
                {key: values - still[key] for key, values in row.items() if key in still and key != "read"}
            )
            for name, row in self.rows.items()
            if name != STILL
        }

    def to_json(self) -> str:
        """Strict JSON, format "raxel.filmed_evaluation" version 1."""
        rows, paired = (
            {name: {key: _numbers(s) for key, s in row.items()} for name, row in found.items()}
            for found in (self.summaries(), self.paired())
        )
        sets = {
            measure: {name: vars(d) | {"rank_deficient": d.rank_deficient} for name, d in by.items()}
            for measure, by in self.distances.items()
        }
        return to_json(
            {"format": FORMAT, "version": VERSION, "protocol": self.protocol, "clips": self.clips, **self.facts}
            | {"rows": rows, "paired": paired, "distances": sets, "left_out": dict(self.left_out)}
        )

    def table(self) -> str:
        """The report as text."""
        return "\n\n".join((text_table(*self._cells()), _PAIRED, text_table(*self._paired_cells()), self._told()))

    def markdown(self) -> str:
        """The report as Markdown tables, with the protocol, N and the resize beneath them."""
        tables = markdown_table(*self._cells()), _PAIRED, markdown_table(*self._paired_cells()), self._told()
        return "\n\n".join(tables) + "\n"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """A line a row, a column a figure: mean and its standard error."""
        summaries = self.summaries()
        names = list(dict.fromkeys(name for row in summaries.values() for name in row))
        cells = [
            [row, *(_cell(found.get(name)) for name in names), *(self._distance(m, row) for m in self.distances)]
            for row, found in summaries.items()
        ]
        return ["", *names, *(measure.upper() for measure in self.distances)], cells

    def _paired_cells(self) -> tuple[list[str], list[list[str]]]:
        paired = self.paired()
        names = list(dict.fromkeys(name for row in paired.values() for name in row))
        return ["", *names], [[row, *(_cell(found.get(name)) for name in names)] for row, found in paired.items()]

    def _distance(self, measure: str, row: str) -> str:
        found = self.distances[measure].get(row)
        if found is None:
            return "-"
        return f"{found.distance:.3f} ({found.samples}{' too few' if found.rank_deficient else ''})"

    def _told(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        count = "1 clip" if self.clips == 1 else f"{self.clips} clips"
        lines = [f"Protocol {self.protocol}, {count}: mean +- standard error over clips. {facts}."]
        lines += [f"{words}; in brackets how many." for measure, words in RESIZES.items() if measure in self.distances]
        lines += [f"{name} was left out: {why}" for name, why in self.left_out.items()]
        return "\n".join(lines)


@dataclass(frozen=True)
class FilmedSettings:
    """What is measured: the protocol, the numbers of ray steps (of which cycle and camera-control use the `loop_steps`)
    and whether the textbook's cameras are measured too."""

    protocol: str
    ray_steps: tuple[int, ...] = (1, 2, 5, 20)
    loop_steps: int = 2
    opencv: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"a protocol is one of {', '.join(PROTOCOLS)}, got {self.protocol!r}")


@dataclass(eq=False)
class FilmedBatches:
    """One clip a scene, the first that the scene has at the rate, in batches; `left_out` fills with those that give
    none while they are read."""

    scenes: FilmedScenes
    frames: int
    hw: tuple[int, int]
    unit: str
    batch: int
    most: int | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[SceneBatch]:
        clips: list[SceneBatch] = []
        for name in self.scenes.listing.names[: self.most]:
            try:
                clips.append(self._clip(name))
            except ValueError as error:
                self.left_out[name] = error.defect.told if isinstance(error, SceneError) else str(error)
            if len(clips) == self.batch:
                yield _joined(clips)
                clips = []
        if clips:
            yield _joined(clips)

    def _clip(self, name: str) -> SceneBatch:
        found = self.scenes.clip_of(name, self.frames, self.hw)
        first = torch.zeros(1, dtype=torch.long)
        return SceneBatch(found.video, canonical_cameras(found.camera, found.near_depth, first, self.unit))


def evaluate_films(
    model: SceneModel,
    batches: FilmedBatches,
    settings: FilmedSettings,
    *,
    seed: int = 0,
    networks: Networks = NO_NETWORKS,
    facts: Mapping[str, object] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> FilmedReport:
    """Measure a protocol on the clips of `batches`, clip i with seed `seed` + i; `progress` is told how many are done.

    Raises ValueError where no scene gives a clip.
    """
    collected: dict[str, list[Row]] = defaultdict(list)
    sets, done = SetDistances(networks), 0
    measure = {"pose": _pose, "cycle": _cycle, "camera-control": _camera_control}[settings.protocol]
    for batch in batches:
        seeds = range(seed + done, seed + done + len(batch.video))
        for name, row in measure(model, batch, settings, seeds, sets):
            collected[name].append(row)
        done += len(batch.video)
        progress(done)
    if not done:
        why = next(iter(batches.left_out.items()), None)
        raise ValueError("no scene gives a clip" + ("" if why is None else f"; {why[0]}: {why[1]}"))
    rows = {
        name: {key: torch.cat([part[key] for part in parts]) for key in parts[0]} for name, parts in collected.items()
    }
    return FilmedReport(settings.protocol, rows, sets.distances(), dict(facts or {}), dict(batches.left_out))


Measured = Iterator[tuple[str, Row]]


def _pose(
    model: SceneModel, batch: SceneBatch, settings: FilmedSettings, seeds: Sequence[int], sets: SetDistances
) -> Measured:
    still = _still(batch.camera)
    yield STILL, _camera_row(still, batch.camera, still)
    for steps in settings.ray_steps:
        read = model.estimate(batch.video, steps=steps, seeds=seeds)
        yield f"pose {steps} step{'s' if steps > 1 else ''}", _camera_row(read, batch.camera, still)
    if settings.opencv:
        yield TEXTBOOK, _camera_row(_textbook(batch.video, batch.camera), batch.camera, still)


def _cycle(
    model: SceneModel, batch: SceneBatch, settings: FilmedSettings, seeds: Sequence[int], sets: SetDistances
) -> Measured:
    still = _still(batch.camera)
    read = model.estimate(batch.video, steps=settings.loop_steps, seeds=seeds)
    along = still_where_unread(read, still)
    made = model.generate(batch.video, along, seeds=seeds)
    sets.add("true", batch.video)
    yield "cycle", _camera_row(read, batch.camera, still) | _video_row("cycle", made, batch.video, sets)
    yield STILL, _camera_row(still, batch.camera, still) | _video_row(STILL, _held(batch.video), batch.video, sets)
    if settings.opencv:
        yield TEXTBOOK, _camera_row(_textbook(batch.video, batch.camera), batch.camera, still) | _no_video(sets, batch)


def _camera_control(
    model: SceneModel, batch: SceneBatch, settings: FilmedSettings, seeds: Sequence[int], sets: SetDistances
) -> Measured:
    still = _still(batch.camera)
    made = model.generate(batch.video, batch.camera, seeds=seeds)
    sets.add("true", batch.video)
    name = "camera-control, read by the model"
    read = model.estimate(made, steps=settings.loop_steps, seeds=seeds)
    yield name, _camera_row(read, batch.camera, still) | _video_row(name, made, batch.video, sets)
    yield STILL, _camera_row(still, batch.camera, still) | _video_row(STILL, _held(batch.video), batch.video, sets)
    true = model.estimate(batch.video, steps=settings.loop_steps, seeds=seeds)
    yield "the true clip, read by the model", _camera_row(true, batch.camera, still) | _no_video(sets, batch)
    if settings.opencv:
        for name, video in (("camera-control, read by OpenCV", made), ("the true clip, read by OpenCV", batch.video)):
            yield name, _camera_row(_textbook(video, batch.camera), batch.camera, still) | _no_video(sets, batch)


def _camera_row(read: Camera, truth: Camera, still: Camera) -> Row:
    """Figures [B] of paths [B, F]; those that could not be read count as the still camera."""
    known = read.world_from_cam.isfinite().flatten(1).all(1) & read.K.isfinite().flatten(1).all(1)
    found = still_where_unread(read, still)
    every = pose_metrics(found, truth)
    steps = pose_metrics(_scaled(found, every.log_scale), truth)
    return {
        "R_err [rad]": every.rotation_error.double(),
        "T_err": every.translation_error.double(),
        "T_err, common norm": every.translation_error_normalized.double(),
        "mRRA@30": every.mrra_30.double(),
        "RRA@30": every.rra_30.double(),
        "AUC@30": every.auc_30.double(),
        "ATE (Sim3)": every.ate_sim3.double(),
        "RPE t (Sim3)": steps.rpe_translation.double(),
        "RPE r [rad]": steps.rpe_rotation.double(),
        "focal error": every.focal_error.double(),
        "read": known.double(),
    }


def _scaled(camera: Camera, log_scale: Tensor) -> Camera:
    """Paths [B, F] with centres times the scale of the fit [B], where there is one."""
    factor = torch.where(log_scale.isfinite(), log_scale, 0.0).exp().to(camera.world_from_cam)
    motions = se3.from_rotation_translation(camera.rotation, camera.center * factor[:, None, None])
    return replace(camera, world_from_cam=motions)


def _video_row(name: str, made: Tensor, truth: Tensor, sets: SetDistances) -> Row:
    """Figures [B] of clips over all frames but the first, which all are shown; LPIPS, and the sets, of all frames."""
    sets.add(name, made)
    later, true = made[:, :, 1:].clamp(-1, 1), truth[:, :, 1:].clamp(-1, 1)
    return {"PSNR [dB]": psnr(later, true).mean(1), "SSIM": ssim(later, true).mean(1)} | sets.perceptual(made, truth)


def _no_video(sets: SetDistances, batch: SceneBatch) -> Row:
    """The columns of a row that has no pictures."""
    names = ["PSNR [dB]", "SSIM", *(["lpips"] if sets.networks.lpips is not None else [])]
    return {name: torch.full((len(batch.video),), torch.nan, dtype=torch.float64) for name in names}


def _still(truth: Camera) -> Camera:
    """The first camera for all frames, of the typical focal length."""
    return with_typical_focal(
        replace(truth, world_from_cam=truth.world_from_cam[:, :1].expand_as(truth.world_from_cam))
    )


def _held(video: Tensor) -> Tensor:
    """The first frame as a clip."""
    return video[:, :, :1].expand_as(video)


def _textbook(video: Tensor, truth: Camera) -> Camera:
    return stack([essential_cameras(clip, truth[index]) for index, clip in enumerate(video)])


def _joined(clips: list[SceneBatch]) -> SceneBatch:
    return SceneBatch(torch.cat([clip.video for clip in clips]), stack([clip.camera[0] for clip in clips]))


def _cell(summary: Summary | None) -> str:
    if summary is None or not summary.count:
        return "-"
    told = "" if summary.count == 1 else f" +- {summary.standard_error:.4f}"
    return f"{summary.mean:.4f}{told}"


def _summaries(row: Mapping[str, Tensor]) -> dict[str, Summary]:
    return {s.name: s for s in summarize({key: values.tolist() for key, values in row.items()})}


def _numbers(summary: Summary) -> dict[str, float]:
    return {"mean": summary.mean, "median": summary.median, "standard_error": summary.standard_error,
            "clips": summary.count}  # fmt: skip


def report_files(report: FilmedReport, out: Path) -> dict[Path, str]:
    """What is written: the JSON file `out`, and the Markdown table beside it."""
    return {out: report.to_json(), out.with_suffix(".md"): report.markdown()}

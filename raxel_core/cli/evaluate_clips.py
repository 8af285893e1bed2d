"""`evaluate --data FOLDER --method colmap`: cameras found in clips, held against their true ones."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options as shared
from .console import progress_bar, say, show

if TYPE_CHECKING:
    from ..geometry.estimate import Estimate
    from ..geometry.trajectory import Trajectory

_VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpeg", ".mpg")


def run_clips(options: argparse.Namespace) -> None:
    """Every clip of the folder that the report does not hold yet, then the table; the report grows clip by clip."""
    from ..atomic_file import write_text
    from ..evaluation.clip_figures import clip_figures, clips_table
    from ..evaluation.report import to_json

    if options.out:
        shared.check_output(options.out, ".json")
    clips = _clips(options.data)
    facts = {"method": options.method, "fps": options.fps, "frames": options.frames}
    rows = _kept(options.out, facts)
    for video in clips:
        if video.stem in rows:
            continue
        started = time.process_time()
        estimate = _estimate(video, options)
        seconds = time.process_time() - started
        figures = clip_figures(estimate, _truth(video))
        rows[video.stem] = {"clip": video.stem} | figures | {"seconds": seconds}
        say(f"{video.stem}: {estimate.verdict}")
        if options.out:
            write_text(options.out, to_json(facts | {"clips": list(rows.values())}))
    shown = [rows[video.stem] for video in clips]
    show(facts | {"clips": shown}, clips_table(shown), as_json=options.json)


def _clips(folder: Path) -> list[Path]:
    """The video files of a folder, by name."""
    clips = sorted(path for path in folder.iterdir() if path.suffix.lower() in _VIDEOS)
    if not clips:
        raise ValueError(f"{folder} holds no video ({', '.join(_VIDEOS)})")
    return clips


def _kept(out: Path | None, facts: dict[str, Any]) -> dict[str, Any]:
    """The rows of a report that was begun with the same settings, by clip."""
    if out is None or not out.exists():
        return {}
    from ..strict_json import parse_object

    body = parse_object("report", out.read_text(encoding="utf-8"))
    if {name: body.get(name) for name in facts} != facts or not isinstance(body.get("clips"), list):
        raise ValueError(f"{out} is a report of other settings: name another file or delete it")
    return {row["clip"]: row for row in body["clips"]}


def _truth(video: Path) -> Trajectory | None:
    """The cameras in the file beside a clip with its name and .json, a frame each; None where there is none."""
    from ..camera_io import read_cameras

    path = video.with_suffix(".json")
    return read_cameras(path).trajectory if path.exists() else None


def _estimate(video: Path, options: argparse.Namespace) -> Estimate:
    """As `pose VIDEO --method colmap` finds it, with nothing known of the lens, and without a unit: so bars are
    of the path's shape, as the figures are."""
    from ..footage.reel import open_reel
    from ..solving.features import Picture
    from ..solving.settings import Scale, SolveSettings
    from ..solving.solve import Clip, solve_cameras
    from ..video_io import Selection

    reel = open_reel(video, fps=None)
    stream = reel.stream(Selection(options.frames, options.fps))
    pictures = (Picture(rgb.numpy(), None, number) for number, rgb in stream.frames)
    clip = Clip(reel.name, 0.0, stream.rate, stream.fps, stream.count or None)
    settings = SolveSettings(scale=Scale("arbitrary"))
    return solve_cameras(pictures, clip, settings=settings, progress=progress_bar(video.stem)).estimate

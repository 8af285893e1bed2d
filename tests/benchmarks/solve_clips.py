"""The table of solved clips: `python -m tests.benchmarks.rendered_clips FOLDER`, then `... solve_clips FOLDER`.

Every clip NAME.mp4 in the folder is solved as `pose NAME.mp4 --method colmap` does, from the file and with nothing known
of its lens, and held against its true cameras NAME.json. Results are kept in FOLDER/solved; a second run goes on.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from pathlib import Path
from statistics import median

import torch

from raxel_core.evaluation.pose_metrics import pair_errors, pose_metrics
from raxel_core.evaluation.report import text_table
from raxel_core.geometry.camera import Camera
from raxel_core.paths.camera_path import path_from_json
from raxel_core.solving.features import Picture
from raxel_core.solving.solve import Clip, solve_cameras
from raxel_core.video_io import stream_video

# Below this share of its path a camera is too near the first one for a direction between them to mean much.
_NEAR = 0.1


def measure(video: Path) -> dict[str, float | str]:
    """One row: angles in degrees, focal error in percent, seconds of the processor."""
    stream = stream_video(video)
    pictures = (Picture(rgb.numpy(), None, number) for number, rgb in stream.frames)
    started, began = time.process_time(), time.monotonic()
    estimate, lens = solve_cameras(pictures, Clip(video.name, rate=stream.rate, fps=stream.fps, frames=stream.count))
    seconds, wall = time.process_time() - started, time.monotonic() - began
    truth = path_from_json(video.with_suffix(".json").read_text(), dtype=torch.float64).camera
    own = truth[list(estimate.footage.frames)]
    metrics = pose_metrics(estimate.trajectory.camera, own)
    return {
        "clip": video.stem,
        "answer": estimate.motion,
        "registered": len(own) / len(truth),
        "rotation": math.degrees(float(metrics.rotation_error)),
        "sigma": math.degrees(float(estimate.rotation_sigma.mean()))
        if estimate.rotation_sigma is not None
        else math.nan,
        "direction": _direction(estimate.trajectory.camera, own),
        "focal": 100 * float(metrics.focal_error),
        "focal_sigma": 100 * (estimate.focal_sigma or 0.0),
        "ate": float(metrics.ate_sim3) / max(float(own.center.diff(dim=0).norm(dim=-1).sum()), 1e-9),
        "k1": lens.distortion[0],
        "cpu_s": seconds,
        "wall_s": wall,
        "verdict": estimate.verdict,
    }


def _direction(estimate: Camera, truth: Camera) -> float:
    """The median error in degrees of the direction from the first camera to those well away from it."""
    away = (truth.center - truth.center[0]).norm(dim=-1)
    far = away > _NEAR * away.max()
    if not bool(far.any()):
        return math.nan
    errors = pair_errors(estimate, truth, pairs="reference", direction="signed").direction
    return math.degrees(float(errors[far[1:]].median()))


def table(rows: list[dict]) -> str:
    """The rows as text, the medians of the moving clips below."""
    names = ("clip", "answer", "registered", "rotation", "sigma", "direction", "focal", "focal_sigma", "cpu_s")
    shown = [tuple(_shown(row[name]) for name in names) for row in rows]
    moving = [row for row in rows if row["answer"] == "moving"]
    if moving:
        figures = [
            median([row[name] for row in moving if math.isfinite(row[name])] or [math.nan]) for name in names[2:]
        ]
        shown.append(("median, moving", f"{len(moving)} clips", *map(_shown, figures)))
    return text_table(names, shown)


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else "-" if math.isnan(value) else f"{value:.3f}"


def main(folder: Path) -> None:
    """Measure what is missing, then print the table."""
    torch.set_num_threads(1)
    results = folder / "solved"
    results.mkdir(exist_ok=True)
    for video in sorted(folder.glob("*.mp4")):
        kept = results / f"{video.stem}.json"
        if not kept.exists() and video.with_suffix(".json").exists():
            kept.write_text(json.dumps(measure(video)))
            print(kept.read_text(), flush=True)
    print(table([json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

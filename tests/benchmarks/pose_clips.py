"""The joint model on footage with true cameras: `python -m tests.benchmarks.pose_clips FOLDER`.

Every clip in the folder, NAME.mp4 or a folder of pictures NAME, is read as `pose NAME` does and held against its true
cameras NAME.json, beside a camera that stands still and beside the solve where `solve_clips` has kept one. Results are
kept in FOLDER/posed; a second run goes on.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from statistics import mean, median

import torch

from raxel_core.evaluation.report import text_table
from raxel_core.footage.comparison import compare
from raxel_core.footage.follow import follow_clip
from raxel_core.footage.reel import open_reel
from raxel_core.footage.windows import plan_for
from raxel_core.geometry.estimate import estimate_of
from raxel_core.paths.camera_path import path_from_json
from raxel_core.pipeline import RaxelModel, Settings, load_model, read_window


def measure(model: RaxelModel, clip: Path) -> dict[str, float | str]:
    """One row: angles in degrees."""
    reel = open_reel(clip, fps=24.0)
    plan = plan_for(reel, model.recipe)
    truth = path_from_json(clip.with_suffix(".json").read_text(), dtype=torch.float64)
    found = follow_clip(
        reel, plan, model.recipe, lambda video, draw: read_window(model, video, Settings(ray_steps=2, seed=draw))
    )
    told = compare(found, estimate_of(truth, "truth"))
    count = len(found.footage.frames)
    focal = float(
        (found.trajectory.camera.focal[:, 0] / truth.resized(reel.hw).camera.focal[:count, 0] - 1).abs().mean()
    )
    kept = clip.parent / "solved" / f"{clip.stem}.json"
    assert found.rotation_sigma is not None
    return {
        "clip": clip.stem,
        "answer": found.motion,
        "frames": f"{count} of {len(truth)}",
        "rotation": math.degrees(told.rotation),
        "still": math.degrees(told.still),
        "solve": json.loads(kept.read_text())["rotation"] if kept.exists() else math.nan,
        "sigma": math.degrees(float(found.rotation_sigma.mean())),
        "direction": math.degrees(told.direction),
        "focal_percent": 100 * focal,
        "verdict": found.verdict,
    }


def table(rows: list[dict]) -> str:
    """The rows as text, mean and median below."""
    names = ("clip", "answer", "frames", "rotation", "still", "solve", "sigma", "direction", "focal_percent")
    shown = [tuple(_shown(row[name]) for name in names) for row in rows]
    for word, of in (("mean", mean), ("median", median)):
        figures = [of([row[name] for row in rows if math.isfinite(row[name])] or [math.nan]) for name in names[3:]]
        shown.append((word, f"{len(rows)} clips", "", *map(_shown, figures)))
    return text_table(names, shown)


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else "-" if math.isnan(value) else f"{value:.2f}"


def main(folder: Path) -> None:
    """Measure what is missing, then print the table."""
    torch.set_num_threads(1)
    model, results = load_model(), folder / "posed"
    results.mkdir(exist_ok=True)
    for clip in sorted(path for path in folder.iterdir() if path.suffix == ".mp4" or path.is_dir()):
        kept = results / f"{clip.stem}.json"
        if not kept.exists() and clip.with_suffix(".json").exists():
            kept.write_text(json.dumps(measure(model, clip)))
            print(kept.read_text(), flush=True)
    print(table([json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Does `verify` name the fault? One path, rendered as asked and with five faults, each verified from its video alone.

`python -m tests.benchmarks.verify_clips FOLDER` renders what is missing, verifies, and prints the table.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import torch

from raxel_core.cli import main as raxel
from raxel_core.evaluation.report import text_table
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.camera_path import path_to_json
from raxel_core.paths.lens import set_fov
from raxel_core.paths.plan import make_move
from tests.benchmarks.rendered_clips import HW, RenderedClip, room, write

FRAMES = 25
# Near depth of the rendered room in its metres, about: the path asked for counts in near depths.
_NEAR_METRES = 4.0


def asked(move: str) -> Trajectory:
    """The path that is asked for: an orbit or a pan of 30 degrees."""
    return make_move(move, FRAMES, hw=HW, fov_degrees=60.0, amount=math.radians(30.0), fps=24.0)


def faulty(path: Trajectory) -> dict[str, Trajectory]:
    """What is rendered instead of `path`, by the word that verify should find."""
    camera = path.camera
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    still = camera.world_from_cam[:1].expand_as(camera.world_from_cam)
    return {
        "followed": path,
        "slow": path.sampled(0.7 * torch.arange(len(path), dtype=torch.float64)),
        "mirrored": replace(path, camera=replace(camera, world_from_cam=flip @ camera.world_from_cam @ flip)),
        "still": replace(path, camera=replace(camera, world_from_cam=still)),
        "lens": set_fov(path, math.radians(40.0)),
    }


def main(folder: Path) -> None:
    """Render, verify through the command line, print."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for move in ("orbit", "pan"):
        path_file = folder / f"asked_{move}.json"
        path_file.write_text(path_to_json(asked(move)))
        for word, path in faulty(asked(move)).items():
            camera = path.scaled(_NEAR_METRES, unit="metre").camera.to(dtype=torch.float64)
            name = f"{move}_{word}"
            write(RenderedClip(name, Camera(camera.world_from_cam, camera.K, HW), room(40), 40), folder)
            out = folder / name
            video = str(folder / f"{name}.mp4")
            code = raxel(["verify", video, "--path", str(path_file), "--out", str(out), "--json"])
            report = json.loads((out / "report.json").read_text())
            rows.append((move, word, report["word"], str(code), report["sentence"]))
            print(rows[-1], flush=True)
    print(text_table(("asked", "rendered", "found", "exit", "sentence"), rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

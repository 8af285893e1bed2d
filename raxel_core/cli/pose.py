"""`pose VIDEO`: where was the camera."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared
from .console import progress_bar, say, show

if TYPE_CHECKING:
    from ..geometry.trajectory import Trajectory
    from ..pipeline import CameraEstimate
    from ..video_io import Clip


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("pose", help="estimate the camera path of a video")
    shared.add_clip(parser)
    shared.add_recovery(parser, steps_flag="--steps")
    parser.add_argument("--out", type=Path, help="camera path file (VIDEO with the ending .cameras.json)")
    parser.add_argument("--plot", type=Path, help="also draw the path into this PNG")
    shared.add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read the clip, estimate, write the path in the pixels of the video as it is."""
    from ..atomic_file import write_text
    from ..pipeline import estimate_cameras

    out = shared.check_output(
        options.out or options.video.with_suffix(".cameras.json"), ".json", inputs=[options.video]
    )
    if options.plot:
        shared.check_output(options.plot, ".png", inputs=[options.video])
    model = shared.load(options)
    clip = shared.read_clip(options, model)
    estimate = estimate_cameras(
        model,
        clip.video,
        steps=options.pose_steps,
        seed=options.seed,
        method=options.method,
        focal=options.focal,
        fps=clip.fps,
        progress=progress_bar("cameras"),
    )
    trajectory = in_source_pixels(estimate.trajectory, clip)
    write_text(out, trajectory.to_json())
    if options.plot:
        write_plot(options.plot, {"estimate": trajectory})
    say(f"wrote {out}")
    body = summary(estimate, trajectory)
    show(body, "\n".join(f"{name}: {value}" for name, value in body.items()), as_json=options.json)


def in_source_pixels(trajectory: Trajectory, clip: Clip) -> Trajectory:
    """A path read from a fitted clip, with K in the pixels of the file's own frames."""
    from dataclasses import replace

    return replace(trajectory, camera=clip.framing.to_source(trajectory.camera))


def summary(estimate: CameraEstimate, trajectory: Trajectory) -> dict[str, object]:
    """The figures of an estimate that tell what was found and how far to trust it."""
    import math

    camera, recovered = trajectory.camera, estimate.recovered
    return {
        "frames": len(trajectory),
        "fps": trajectory.fps,
        "unit": trajectory.unit,
        "turn_degrees": round(math.degrees(float(trajectory.turn)), 4),
        "path_length": round(float(trajectory.path_length), 5),
        "fov_degrees": [round(math.degrees(angle), 3) for angle in camera.fov[0].tolist()],
        "residual_rms": round(float(recovered.residual_rms.mean()), 6),
        "inlier_fraction": round(float(recovered.inlier_fraction.mean()), 4),
    }


def write_plot(path: Path, trajectories: dict[str, Trajectory]) -> None:
    """Draw camera paths into a PNG."""
    from ..plot import draw_trajectories, image_from_picture
    from ..video_io import write_image

    write_image(path, image_from_picture(draw_trajectories(trajectories)))

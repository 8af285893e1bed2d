"""`joint IMAGE...`: a video and its camera path at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import options as shared
from .console import progress_bar, say, show


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("joint", help="generate a video and its camera path from pictures")
    shared.add_images(parser)
    parser.add_argument("--frames", type=int, help="frames to generate, 4n+1 (the model's)")
    parser.add_argument(
        "--mode", choices=("first", "together"), default="first", help="whether the path is settled first (first)"
    )
    parser.add_argument(
        "--ray-steps", type=int, help="steps in which the path is settled (with --mode first half of them, at most 4)"
    )
    parser.add_argument("--guidance", type=float, default=1.0, help="how strongly the pictures guide; 1 is off (1)")
    shared.add_prompt(parser)
    shared.add_sampling(parser)
    parser.add_argument("--out", type=Path, default=Path("joint.mp4"), help="video file, path beside it (joint.mp4)")
    shared.add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read the pictures, generate both, write the video and the path beside it."""
    from ..atomic_file import write_text
    from ..footage.follow import judged_reading
    from ..paths.camera_path import path_to_json
    from ..paths.estimate_figures import reading_figures
    from ..pipeline import UnreadCamerasError, generate_joint
    from ..video_io import write_video

    options.images = shared.pictures_of(options.images)
    path = shared.check_output(options.out, ".mp4", inputs=options.images).with_suffix(".json")
    shared.check_output(path, ".json")
    shared.check_images(options)
    shared.check_prompt(options)
    model = shared.load(options)
    sources, _ = shared.read_sources(options, model)
    try:
        result = generate_joint(
            model,
            sources,
            shared.settings_of(options, progress_bar("video and cameras")),
            frames=options.frames,
        )
    except UnreadCamerasError as error:
        write_video(options.out, error.video, fps=model.recipe.fps)
        say(f"wrote {options.out}, without a path")
        raise
    trajectory = result.cameras.trajectory
    write_video(options.out, result.video, fps=trajectory.fps)
    write_text(path, path_to_json(trajectory))
    say(f"wrote {options.out} and {path}")
    verdict = judged_reading(result.cameras, model.recipe, filmed=False).verdict
    figures = reading_figures(trajectory, result.cameras.recovered)
    body = {"video": str(options.out), "trajectory": str(path), "verdict": verdict, **figures}
    show(body, "\n".join(f"{name}: {value}" for name, value in body.items()), as_json=options.json)

"""`generate IMAGE... --trajectory FILE`: what would the camera see."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared
from .console import progress_bar, say, show

if TYPE_CHECKING:
    from ..framing import Framing
    from ..geometry.trajectory import Trajectory
    from ..pipeline import RaxelModel

# The flag that says how far, for each field of a move that does.
_AMOUNT_FLAGS = {"amount_degrees": "--degrees", "amount": "--distance", "factor": "--factor"}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("generate", help="generate a video along a camera path")
    shared.add_images(parser)
    path = parser.add_mutually_exclusive_group(required=True)
    path.add_argument("--trajectory", type=Path, help="a camera path file (JSON)")
    shared.add_move(path)
    parser.add_argument(
        "--frames", type=int, help="frames to generate, 4n+1, over the whole path (the path's; the model's for a move)"
    )
    parser.add_argument("--degrees", type=float, help="how far a turning move turns")
    parser.add_argument("--distance", type=float, help="how far a driving move drives, in the model's unit")
    parser.add_argument("--factor", type=float, help="what a zoom multiplies the focal length by")
    parser.add_argument("--fov-degrees", type=float, help="horizontal angle of view of a move (60)")
    parser.add_argument("--guidance", type=float, default=1.0, help="how strongly the pictures guide; 1 is off (1)")
    shared.add_prompt(parser)
    shared.add_sampling(parser)
    parser.add_argument("--out", type=Path, default=Path("generated.mp4"), help="video file (generated.mp4)")
    shared.add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read the pictures and the path, generate, write the video."""
    from ..pipeline import generate_video
    from ..video_io import check_frame_rate, write_video

    options.images = shared.pictures_of(options.images)
    shared.check_output(options.out, ".mp4", inputs=options.images)
    shared.check_images(options)
    shared.check_prompt(options)
    given = _given_path(options) if options.trajectory else None
    model = shared.load(options)
    sources, framing = shared.read_sources(options, model)
    trajectory = _trajectory(options, model, framing, given)
    check_frame_rate(trajectory.fps)
    video = generate_video(model, sources, trajectory, shared.settings_of(options, progress_bar("video")))
    write_video(options.out, video, fps=trajectory.fps)
    say(f"wrote {options.out}")
    height, width = video.shape[2:]
    body = {"video": str(options.out), "frames": len(trajectory), "hw": [height, width], "fps": trajectory.fps}
    show(body, f"{len(trajectory)} frames of {width}x{height} at {trajectory.fps:g} a second", as_json=options.json)


def _trajectory(
    options: argparse.Namespace, model: RaxelModel, framing: Framing, given: Trajectory | None
) -> Trajectory:
    """The `given` path or the move of the options, for pictures fitted to the model as `framing` says."""
    from dataclasses import replace

    return _move(options, model) if given is None else replace(given, camera=framing.to_fitted(given.camera))


def _given_path(options: argparse.Namespace) -> Trajectory:
    """The path in the options' file, in as many frames as they say: it lasts as long, so its rate follows."""
    from dataclasses import replace

    for name in ("degrees", "distance", "factor", "fov_degrees"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} belongs to --move, not to --trajectory")
    path = shared.read_trajectory(options.trajectory)
    frames = len(path) if options.frames is None else options.frames
    if frames == len(path):
        return path
    sampled = path.resampled(frames)
    if min(frames, len(path)) > 1:
        sampled = replace(sampled, fps=path.fps * (frames - 1) / (len(path) - 1))
        rates = f"{len(path)} cameras at {path.fps:g} a second are taken as {frames} at {sampled.fps:.4g}"
        say(f"{rates}, which last as long")
    return sampled


def _move(options: argparse.Namespace, model: RaxelModel) -> Trajectory:
    """The camera move that the options name."""
    import math

    from ..paths.moves import MOVES
    from ..paths.plan import make_move

    kind, amounts = MOVES[options.move], (options.degrees, options.distance, options.factor)
    given = {flag: value for flag, value in zip(_AMOUNT_FLAGS.values(), amounts, strict=True) if value is not None}
    flag = _AMOUNT_FLAGS.get(kind.amount_key or "", "no amount")
    if given.keys() - {flag}:
        raise ValueError(f"{options.move} takes {flag}")
    amount = given.get(flag)
    if amount is not None and kind.angular:
        amount = math.radians(amount)
    return make_move(
        options.move,
        model.recipe.frames if options.frames is None else options.frames,
        hw=model.recipe.hw,
        fov_degrees=60.0 if options.fov_degrees is None else options.fov_degrees,
        amount=amount,
        fps=model.recipe.fps,
        unit=model.recipe.unit,
    )

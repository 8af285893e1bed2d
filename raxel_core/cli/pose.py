"""`pose VIDEO`: where was the camera; `pose --list FILE`: where it was in each of many videos."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import options as shared
from . import solve
from .clip_list import RESULT_SUFFIX, ListedClip, read_clip_list
from .console import progress_bar, say, sentence, show, write_plot

if TYPE_CHECKING:
    from ..footage.reel import Reel
    from ..geometry.trajectory import Trajectory
    from ..pipeline import CameraEstimate, RaxelModel
    from ..video_io import Clip

LAUNCHERS = """
several GPUs:
  torchrun --nproc-per-node 4 -m raxel_core pose VIDEO
      four processes share the work on one video, as they do in generate, joint and loop; each holds the whole model
  accelerate launch --multi_gpu --num_processes 4 -m raxel_core pose --list FILE --out DIR
      each process takes a fourth of the videos; started again, it goes on where it was stopped

With --list, a video that can not be read does not stop the others: each failure is told at the end in one sentence, and
the exit code is 2 (a launcher makes it 1). Results that are there already are kept: delete them to have them again.
"""


class Outcome(NamedTuple):
    """What became of a video of a list: its result was "written" or "kept", or it "failed" for the reason `error`."""

    video: str
    result: str
    state: str
    error: str = ""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "pose",
        help="estimate the camera path of a video, or of many",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=LAUNCHERS,
    )
    shared.add_video(parser, optional=True)
    parser.add_argument(
        "--list", type=Path, metavar="FILE", help="instead: a text file of videos, one a line, relative to its folder"
    )
    shared.add_selection(parser)
    shared.add_recovery(parser, steps_flag="--steps", methods=(*shared.METHODS, solve.METHOD))
    parser.add_argument(
        "--out",
        type=Path,
        help=f"camera path file (VIDEO with the ending {RESULT_SUFFIX}), with colmap of any format, told by the name; "
        "with --list a folder for them",
    )
    parser.add_argument("--plot", type=Path, help="also draw the path into this PNG")
    solve.add_solving(parser)
    shared.add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Estimate the path of one video, or of those in a list."""
    if (options.video is None) == (options.list is None):
        raise ValueError("pose takes either a VIDEO or a --list of videos")
    if options.method == solve.METHOD:
        if options.list is not None:
            raise ValueError(f"--method {solve.METHOD} takes one VIDEO at a time")
        solve.run_solve(options)
    elif options.list is None:
        _run_video(options)
    else:
        _run_list(options)


def _run_video(options: argparse.Namespace) -> None:
    """Read the clip, estimate, write the path in the pixels of the video as it is."""
    from ..atomic_file import write_text
    from ..paths.camera_path import path_to_json
    from ..paths.estimate_figures import reading_figures

    out = shared.check_output(
        options.out or shared.result_beside(options.video, RESULT_SUFFIX), ".json", inputs=[options.video]
    )
    if options.plot:
        shared.check_output(options.plot, ".png", inputs=[options.video])
    reel = shared.open_footage(options)
    estimate, trajectory = _estimate(shared.load(options), options, reel)
    write_text(out, path_to_json(trajectory))
    if options.plot:
        write_plot(options.plot, {"estimate": trajectory})
    say(f"wrote {out}")
    body = reading_figures(trajectory, estimate.recovered)
    show(body, "\n".join(f"{name}: {value}" for name, value in body.items()), as_json=options.json)


def _estimate(model: RaxelModel, options: argparse.Namespace, reel: Reel) -> tuple[CameraEstimate, Trajectory]:
    """The cameras of the options' video, and their path in its own pixels."""
    from ..pipeline import estimate_cameras

    clip = shared.read_clip(options, model, reel)
    settings = shared.settings_of(options, progress_bar("cameras"))
    estimate = estimate_cameras(model, clip.video, settings, reading=shared.reading_of(options, fps=clip.fps))
    return estimate, in_source_pixels(estimate.trajectory, clip)


def _run_list(options: argparse.Namespace) -> None:
    """Estimate this process's share of the list, then tell what became of all of it; ValueError when any failed."""
    if options.plot:
        raise ValueError("with --list nothing is drawn: leave --plot out")
    if options.out:
        shared.check_output_folder(options.out)
    clips = read_clip_list(options.list, options.out)
    processes = shared.join(options)
    share = clips[processes.number :: processes.count]
    waiting = {clip for clip in share if not clip.is_done()}
    model = shared.load(options, processes=processes) if waiting else None
    outcomes = [_estimate_listed(model, clip, options) if clip in waiting else _outcome(clip, "kept") for clip in share]
    _report(processes.gather(outcomes), options)


def _estimate_listed(model: RaxelModel | None, clip: ListedClip, options: argparse.Namespace) -> Outcome:
    """Write the path of one video of a list; an error of the video's or of the machine's is an outcome like others."""
    from ..atomic_file import write_text
    from ..paths.camera_path import path_to_json

    assert model is not None
    try:
        listed = argparse.Namespace(**{**vars(options), "video": clip.video})
        _, trajectory = _estimate(model, listed, shared.open_footage(listed))
        clip.result.parent.mkdir(parents=True, exist_ok=True)
        write_text(clip.result, path_to_json(trajectory))
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        told = sentence(error)
        if told is None:
            raise
        return _outcome(clip, "failed", told)
    return _outcome(clip, "written")


def _outcome(clip: ListedClip, state: str, error: str = "") -> Outcome:
    return Outcome(str(clip.video), str(clip.result), state, error)


def _report(outcomes: Sequence[Outcome], options: argparse.Namespace) -> None:
    """Tell of all videos, once for all processes; ValueError in the process that speaks when any failed."""
    from ..runtime.processes import is_first_process

    counts = {state: sum(each.state == state for each in outcomes) for state in ("written", "kept", "failed")}
    body = {**counts, "clips": [each._asdict() for each in sorted(outcomes)]}
    show(body, "\n".join(f"{state}: {count}" for state, count in counts.items()), as_json=options.json)
    failed = sorted(each for each in outcomes if each.state == "failed")
    for each in failed:
        told = each.error if each.video in each.error else f"{each.video}: {each.error}"
        say(" ".join(told.split()))
    if failed and is_first_process():
        raise ValueError(f"{len(failed)} of {len(outcomes)} videos failed; the others have their camera paths")


def in_source_pixels(trajectory: Trajectory, clip: Clip) -> Trajectory:
    """A path read from a fitted clip, with K in the pixels of the file's own frames."""
    from dataclasses import replace

    return replace(trajectory, camera=clip.framing.read_in_source(trajectory.camera))

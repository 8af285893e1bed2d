"""`pose VIDEO`: where was the camera; `pose --list FILE`: where it was in each of many videos."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import options as shared
from . import solve
from .clip_list import RESULT_SUFFIX, ListedClip, read_clip_list
from .console import progress_bar, say, sentence, show, write_plot

if TYPE_CHECKING:
    from torch import Tensor

    from ..footage.reel import Reel
    from ..footage.windows import Plan
    from ..geometry.estimate import Estimate
    from ..geometry.trajectory import Trajectory
    from ..pipeline import CameraEstimate, RaxelModel
    from ..solving.lens import Lens
    from ..video_io import Clip

LAUNCHERS = """
several GPUs:
  torchrun --nproc-per-node 4 -m raxel_core pose VIDEO
      four processes share the work on one video, as they do in generate, joint and loop; each holds the whole model
  accelerate launch --multi_gpu --num_processes 4 -m raxel_core pose --list FILE --out DIR
      each process takes a fourth of the videos; started again, it goes on where it was stopped

With --list, a video that cannot be read does not stop the others: each failure is told at the end in one sentence, and
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
        "--list",
        type=Path,
        metavar="FILE",
        help="instead of VIDEO: a text file of videos, one per line, relative to its folder",
    )
    shared.add_selection(parser)
    parser.add_argument(
        "--spread", type=int, metavar="N", help="instead of --frames and --fps: N frames spread over the whole clip"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="cameras of the same footage, solved or true, to compare the model's with",
    )
    shared.add_recovery(parser, steps_flag="--steps", methods=(*shared.METHODS, solve.METHOD))
    parser.add_argument(
        "--out",
        type=Path,
        help="camera file of any format, told by its name: .json, .usda, .chan, .py, .glb, colmap/ and more (VIDEO "
        f"with the ending {RESULT_SUFFIX}); with --list a folder for them",
    )
    parser.add_argument("--plot", type=Path, help="also draw the path into this PNG")
    solve.add_solving(parser).add_argument(
        "--undistort", type=Path, metavar="MP4", help="also write the frames with the distortion taken out"
    )
    shared.add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Estimate the path of one video, or of those in a list."""
    if (options.video is None) == (options.list is None):
        raise ValueError("pose takes either a VIDEO or a --list of videos")
    solve.check_arguments(options)
    if options.method == solve.METHOD:
        if options.list is not None:
            raise ValueError(f"--method {solve.METHOD} takes one VIDEO at a time")
        solve.run_solve(options)
    elif options.list is None:
        _run_video(options)
    else:
        _run_list(options)


def _run_video(options: argparse.Namespace) -> None:
    """Estimate the camera of every frame, write the path in the pixels of the video as it is."""
    from ..camera_io import lost_of, write_estimate

    out = options.out or shared.result_beside(options.video, RESULT_SUFFIX)
    solve.check_outputs(options, out)
    reel = shared.open_footage(options)
    estimate = follow_video(options, reel, lambda: shared.load(options), out=out)
    files = [str(path) for path in write_estimate(estimate, out)]
    if options.plot:
        write_plot(options.plot, {"estimate": estimate.trajectory})
    say(f"wrote {', '.join(files)}")
    if lost := lost_of(estimate, out):
        say(f"Warning: {lost}")
    solve.show_estimate(estimate, files, as_json=options.json)


def follow_video(
    options: argparse.Namespace, reel: Reel, load: Callable[[], RaxelModel], *, out: Path | None = None
) -> Estimate:
    """The cameras of the options' footage by the model that `load` gives, window by window; with `out`, what is done is
    kept beside it until the end."""
    from ..camera_io import read_estimate
    from ..footage.follow import follow_clip
    from ..footage.record import WindowRecord
    from ..footage.windows import plan_for
    from ..runtime.processes import is_first_process

    other = None
    if getattr(options, "against", None):
        other = read_estimate(options.against, frames=reel.count, numbers=reel.numbers)
        for note in other.notes:
            say(f"{options.against}: {note}")
    lens = solve.lens_of(options, reel.hw)
    model = load()
    selection = shared.selection_of(options, reel)
    spread = getattr(options, "spread", None)
    plan = plan_for(reel, model.recipe, fps=selection.fps, start=selection.start, most=selection.frames, spread=spread)
    first, facts = is_first_process(), _facts(options, reel, plan)
    record = None if out is None else WindowRecord(_record_file(out), facts, writing=first)
    if record is not None and record.done:
        say(f"going on after {len(record.done)} windows that {record.path} holds")
    estimate = follow_clip(
        reel, plan, model.recipe, _reader(model, options, reel, plan, lens),
        focal="shared" if lens is None else "known", record=record, other=other, progress=progress_bar("windows"),
    )  # fmt: skip
    if record is not None:
        record.remove()
    return estimate


def _reader(
    model: RaxelModel, options: argparse.Namespace, reel: Reel, plan: Plan, lens: Lens | None
) -> Callable[[Tensor, int], CameraEstimate]:
    """What reads the cameras of one window, with the lens where it is known."""
    from dataclasses import replace

    import torch

    from ..framing import framing_for
    from ..geometry.camera import Camera
    from ..pipeline import read_window

    settings, reading = shared.settings_of(options, None), shared.reading_of(options, fps=reel.rate / plan.step)
    known = None
    if lens is not None:
        reading = replace(reading, focal="known")
        known = framing_for(reel.hw, plan.hw).to_fitted(Camera(torch.eye(4, dtype=torch.float64), lens.K(), reel.hw))

    def read(video: Tensor, draw: int) -> CameraEstimate:
        return read_window(model, video, replace(settings, seed=settings.seed + draw), reading=reading, known=known)

    return read


def _record_file(out: Path) -> Path:
    """Where the windows that are done wait for the others."""
    return out.parent / f".{out.name}.windows"


def _facts(options: argparse.Namespace, reel: Reel, plan: Plan) -> dict[str, object]:
    """What windows depend on: those that were made under other facts are not taken up again."""
    files = [reel.path] if reel.series is None else [reel.series.files[0], reel.series.files[-1]]
    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    names = ("model", "lora", "vae", "dtype", "seed", "ray_steps", "antithetic", "method", "focal", "K", "fov_degrees",
             "focal_mm")  # fmt: skip
    settings = {name: str(getattr(options, name, None)) for name in names}
    return {"footage": stats, "count": reel.count, "rate": reel.rate, "plan": str(plan), **settings}


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
    from ..paths.estimate_path import estimate_to_json

    assert model is not None
    try:
        listed = argparse.Namespace(**{**vars(options), "video": clip.video})
        clip.result.parent.mkdir(parents=True, exist_ok=True)
        estimate = follow_video(listed, shared.open_footage(listed), lambda: model, out=clip.result)
        write_text(clip.result, estimate_to_json(estimate))
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


def in_original_pixels(trajectory: Trajectory, clip: Clip) -> Trajectory:
    """A path read from a fitted clip, with K in the pixels of the file's own frames."""
    from dataclasses import replace

    return replace(trajectory, camera=clip.framing.read_in_original(trajectory.camera))

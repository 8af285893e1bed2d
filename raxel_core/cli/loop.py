"""`loop VIDEO`: cameras of a video, the video again along them, the cameras of that, and how well they agree."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared
from .console import progress_bar, say, show
from .verify import FAILED

if TYPE_CHECKING:
    from torch import Tensor

    from ..footage.reel import Reel
    from ..geometry.estimate import Footage
    from ..video_io import Clip


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("loop", help="check a video by closing the loop: video, cameras, video, cameras")
    shared.add_clip(parser)
    parser.add_argument(
        "--sources", type=int, nargs="+", metavar="FRAME", help="frames that the model is shown (first, middle, last)"
    )
    shared.add_sampling(parser)
    shared.add_recovery(parser, steps_flag="--ray-steps")
    parser.add_argument("--max-rotation-degrees", type=float, help="fail above this rotation error between the cameras")
    parser.add_argument("--max-translation", type=float, help="fail above this distance between the cameras")
    parser.add_argument("--min-psnr", type=float, help="fail below this PSNR between the videos, in dB")
    parser.add_argument(
        "--truth", type=Path, help="true or solved cameras of the frames that are read, in any format, to compare with"
    )
    parser.add_argument("--out", type=Path, default=Path("loop"), help="folder for video, paths and report (loop)")
    shared.add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read the clip, close the loop, write what it made and the report; 1 where a bound is not kept."""
    import math
    from dataclasses import replace

    from ..atomic_file import write_text
    from ..camera_io import read_cameras
    from ..evaluation.report import Bounds, loop_report, to_json
    from ..footage.follow import judged_reading
    from ..paths.estimate_path import estimate_to_json
    from ..pipeline import UnreadCamerasError, self_consistency
    from .console import write_plot
    from .pose import in_original_pixels

    shared.check_output_folder(options.out)
    truth = read_cameras(options.truth).trajectory if options.truth else None
    reel = shared.open_footage(options)
    model = shared.load(options)
    clip = shared.read_clip(options, model, reel)
    try:
        result = self_consistency(
            model,
            clip.video,
            shared.settings_of(options, progress_bar("loop")),
            source_frames=options.sources,
            reading=shared.reading_of(options, fps=clip.fps),
        )
    except UnreadCamerasError as error:
        _write_generated(options.out, error.video, clip.fps)
        say(f"wrote {options.out}, with the video alone")
        raise
    degrees = options.max_rotation_degrees
    bounds = Bounds(
        rotation_error=None if degrees is None else math.radians(degrees),
        translation_error=options.max_translation,
        psnr=options.min_psnr,
    )
    paths = {
        "first": in_original_pixels(result.first.trajectory, clip),
        "second": in_original_pixels(result.second.trajectory, clip),
    }
    report = loop_report((paths["first"], paths["second"]), (clip.video, result.video), bounds=bounds, truth=truth)
    _write_generated(options.out, result.video, clip.fps)
    footage = _footage(options, reel, clip)
    for name, read in (("first", result.first), ("second", result.second)):
        judged = judged_reading(read, model.recipe, fps=clip.fps, filmed=name == "first")
        judged = replace(judged, trajectory=paths[name])
        known = judged if footage is None else replace(judged, footage=footage)
        write_text(options.out / f"{name}.json", estimate_to_json(known))
    write_plot(options.out / "paths.png", paths)
    verdict = judged_reading(result.first, model.recipe, fps=clip.fps).verdict
    body = {**json.loads(report.to_json()), "verdict": verdict}
    write_text(options.out / "report.json", to_json(body))
    say(f"wrote {options.out}")
    show(body, f"{report.table()}\n\n{verdict}", as_json=options.json)
    return 0 if report.passed else FAILED


def _footage(options: argparse.Namespace, reel: Reel, clip: Clip) -> Footage | None:
    """Which frames of the footage the clip's are; None where it has one of them twice."""
    from dataclasses import replace

    from ..geometry.estimate import Footage

    count = clip.video.shape[1]
    selection = replace(shared.selection_of(options, reel), frames=count, fps=clip.fps)
    taken = tuple(number for number, _ in reel.stream(selection).pictures)
    return Footage(reel.name, options.start, reel.rate, taken, reel.pictures) if len(taken) == count else None


def _write_generated(folder: Path, video: Tensor, fps: float) -> None:
    """The clip that was generated again, in a new folder if need be."""
    from ..video_io import write_video

    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "generated.mp4", video, fps=fps)

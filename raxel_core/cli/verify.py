"""`verify VIDEO --path PATH`: did a generated video follow the camera path that was asked for?"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared
from . import solve
from .console import say, show

if TYPE_CHECKING:
    from ..camera_io import Reading
    from ..evaluation.verification import Verification, VerifyBounds
    from ..footage.reel import Reel
    from ..geometry.estimate import Estimate
    from ..geometry.trajectory import Trajectory

# The exit code of a video that does not follow its path, as of a test that fails.
FAILED = 1


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("verify", help="check whether a video follows the camera path that was asked for")
    shared.add_video(parser)
    parser.add_argument("--path", type=Path, required=True, help="the cameras asked for, in any camera format")
    parser.add_argument("--cameras", type=Path, help="cameras of the video that were found already, in any format")
    parser.add_argument(
        "--method",
        choices=(solve.METHOD, *shared.METHODS),
        default=solve.METHOD,
        help="how the video's cameras are found: solved (colmap), or by the model",
    )
    add_bounds(parser)
    shared.add_selection(parser)
    parser.add_argument("--ray-steps", type=int, default=2, help="denoising steps of the rays, with the model (2)")
    parser.add_argument(
        "--focal", choices=("shared", "per_frame"), default="shared", help="the model's focal length (shared)"
    )
    parser.add_argument(
        "--out", type=Path, help="folder for report.json, paths.png, errors.png, cameras and overlay.mp4"
    )
    solve.add_solving(parser)
    shared.add_model(parser)
    parser.set_defaults(run=run)


def add_bounds(parser: argparse.ArgumentParser) -> None:
    """What a video has to keep to; the defaults are those of `VerifyBounds`."""
    group = parser.add_argument_group("bounds, each at most")
    group.add_argument("--max-rotation-degrees", type=float, default=2.0, help="mean angle from the path (2)")
    group.add_argument(
        "--max-direction-degrees",
        type=float,
        default=10.0,
        help="angle between the direction it moves in and the path's (10)",
    )
    group.add_argument(
        "--max-position", type=float, default=0.1, help="distance, as a share of the path's length (0.1)"
    )
    group.add_argument(
        "--max-focal",
        type=float,
        default=0.1,
        help="relative error of the focal length, beyond two of its own standard deviations (0.1)",
    )
    group.add_argument(
        "--speed",
        type=float,
        nargs=2,
        default=(0.8, 1.25),
        metavar=("LOW", "HIGH"),
        help="speed, as a share of the speed asked for (0.8 1.25)",
    )


def run(options: argparse.Namespace) -> int:
    """Find the video's cameras, hold them against the path, write and print; 1 when the video fails."""
    from dataclasses import replace

    from ..camera_io import Assumed, read_cameras, tells_frames
    from ..evaluation.verification import verify

    solve.check_arguments(options)
    if options.cameras:
        solve.check_cameras_alone(options)
    if options.out:
        shared.check_output_folder(options.out)
    bounds = bounds_of(options)
    reel = shared.open_footage(options)
    assumed = Assumed(hw=reel.hw)
    asked = read_cameras(options.path, assumed=assumed)
    given = read_cameras(options.cameras, assumed=assumed) if options.cameras else None
    numbers = _numbers(reel, asked, given)
    path, frames, left_out = _asked(options.path, asked, reel, numbers)
    estimate = _cameras(options, reel, given, numbers)
    count = reel.count if given is None or tells_frames(given, numbers) else None
    found = verify(estimate, path, bounds, count=count, frames=frames)
    told = [*_told(options.path, asked), *left_out, *([] if given is None else _told(options.cameras, given))]
    found = replace(found, notes=(*told, *estimate.notes, *found.notes))
    if options.out:
        _write(found, options, reel)
    show(json.loads(found.to_json()), found.table(), as_json=options.json)
    return 0 if found.passed else FAILED


def bounds_of(options: argparse.Namespace) -> VerifyBounds:
    """The bounds that the options name."""
    from ..evaluation.verification import VerifyBounds

    return VerifyBounds(
        rotation=math.radians(options.max_rotation_degrees),
        direction=math.radians(options.max_direction_degrees),
        position=options.max_position,
        speed=(options.speed[0], options.speed[1]),
        focal=options.max_focal,
    )


def _numbers(reel: Reel, asked: Reading, given: Reading | None) -> range | None:
    """The numbers of the video's frames: those in its pictures' names, or where both files count beyond its frames, as
    from 1001 on, their own."""
    if reel.numbers is not None or given is None:
        return reel.numbers
    begins = [(not reading.estimated, _begins(reading, reel.count)) for reading in (given, asked)]
    found = [(other, first) for other, first in begins if first is not None]
    return range(min(found)[1], min(found)[1] + reel.count) if len(found) == 2 else None


def _begins(reading: Reading, count: int) -> int | None:
    """The number of the first frame of footage of `count` frames, or of the path, where that is beyond them."""
    from ..camera_io import tells_frames

    if not tells_frames(reading) or reading.first is None:
        return None
    if reading.estimated and reading.numbers is not None:
        first = reading.first - reading.numbers[0]
        return None if first in (0, 1) else first
    return None if reading.first in (0, 1) or 1 < reading.first <= reading.stated[-1] <= count else reading.first


def _asked(
    file: Path, asked: Reading, reel: Reel, numbers: range | None
) -> tuple[Trajectory, tuple[int, ...] | None, tuple[str, ...]]:
    """The path, the frames of the video that its cameras are of (None where nothing says so: then it is the whole
    video's), and a note on cameras that are of none."""
    from ..camera_io import estimate_in, laid_over

    path = asked.trajectory
    if path.numbers is not None:
        raise ValueError(
            f"{file} has cameras for {len(path)} of its {path.numbers[-1] + 1} frames: `trajectory convert --gaps fill "
            f"{file} FILE` writes a path without gaps, to be given here"
        )
    if asked.estimated:
        footage = estimate_in(asked, file).footage
        same = (footage.pictures or footage.name) == (reel.pictures or reel.name)
        return path, asked.numbers if same else None, ()
    path, frames, notes = laid_over(asked, file, frames=reel.count, numbers=numbers)
    counted = numbers is not None and asked.first not in (None, 0, 1)
    return path, frames if counted or frames != tuple(range(len(frames))) else None, notes


def _cameras(options: argparse.Namespace, reel: Reel, given: Reading | None, numbers: range | None) -> Estimate:
    """The cameras of the video, from a file, by solving or by the model."""
    from ..camera_io import estimate_in

    if given is not None:
        return estimate_in(given, options.cameras, frames=reel.count, numbers=numbers)
    if options.method == solve.METHOD:
        return solve.solve_video(options, reel).estimate
    from .pose import follow_video

    return follow_video(options, reel, lambda: shared.load(options))


def _told(file: Path, reading: Reading) -> list[str]:
    """How a file was read, a sentence each."""
    warnings = [f"Warning: {warning}" for warning in reading.warnings]
    return [f"{file.name}: {sentence}" for sentence in (*reading.notes, *warnings)]


def _write(found: Verification, options: argparse.Namespace, reel: Reel) -> None:
    """The report, the pictures, the cameras and the video with both paths drawn into it."""
    import torch

    from ..atomic_file import write_text
    from ..camera_io import write_estimate
    from ..drawing.plot import image_from_picture
    from ..drawing.verification import verification_pictures
    from ..video_io import picture_float, write_image, write_video

    options.out.mkdir(parents=True, exist_ok=True)
    write_text(options.out / "report.json", found.to_json())
    write_estimate(found.estimate, options.out / "cameras.json", format="camera_path")
    stream, wanted = reel.stream(shared.selection_of(options, reel)), set(found.estimate.footage.frames)
    shown = {number: picture_float(picture) for number, picture in stream.frames if number in wanted}
    if not shown:
        raise ValueError(f"{reel.name} has none of the frames that {options.cameras} has cameras for")
    video = torch.stack(list(shown.values()), dim=1)
    overlay, paths, errors = verification_pictures(video, found, tuple(shown))
    write_image(options.out / "paths.png", image_from_picture(paths))
    write_image(options.out / "errors.png", image_from_picture(errors))
    height, width = (side - side % 2 for side in overlay.shape[-2:])
    write_video(options.out / "overlay.mp4", overlay[..., :height, :width], fps=stream.fps)
    say(f"wrote {options.out}")

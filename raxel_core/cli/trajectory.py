"""`trajectory make`, `convert IN OUT`, `show FILE` and `compare TRUTH ESTIMATE`: camera paths as files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options as shared
from .console import say, show

if TYPE_CHECKING:
    from ..camera_io import Reading
    from ..geometry.estimate import Estimate
    from ..geometry.trajectory import Trajectory

GAPS = ("keep", "fill", "close")
DIRECTIONS = ("auto", "c2w", "w2c")
QUATERNIONS = ("auto", "xyzw", "wxyz")
UNITS = ("metre", "near_depth", "arbitrary")
EASINGS = ("linear", "smooth", "ease_in", "ease_out", "hold")
_CLIP = {"frames": 81, "width": 832, "height": 480, "fps": 16.0, "unit": "near_depth"}
_AMOUNTS = ("amount_degrees", "amount", "factor")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the five commands and their arguments."""
    parser = commands.add_parser("trajectory", help="make, convert, show and compare camera paths")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_make(actions.add_parser("make", help="write a camera path of a move or of a plan"))
    _add_convert(actions.add_parser("convert", help="read cameras in one format and write them in another"))
    _add_show(actions.add_parser("show", help="print the figures of a camera path and draw it"))
    _add_compare(actions.add_parser("compare", help="print how far one camera path is from another"))
    _add_undistort(actions.add_parser("undistort", help="remove the lens distortion from pictures"))


def _add_make(parser: argparse.ArgumentParser) -> None:
    path = parser.add_mutually_exclusive_group(required=True)
    shared.add_move(path)
    path.add_argument("--plan", type=Path, help="a planned camera path (JSON), as the editor stores it")
    parser.add_argument("--amount-degrees", type=float, help="how far a turning move turns (the move's default)")
    parser.add_argument("--amount", type=float, help="how far a driving move drives, in the unit (the move's default)")
    parser.add_argument("--factor", type=float, help="what a zoom multiplies the focal length by (1.5)")
    parser.add_argument("--seed", type=int, help="seed of a handheld shake (0)")
    parser.add_argument("--easing", choices=EASINGS, help="how the speed is spread over the clip (linear)")
    parser.add_argument("--fov-degrees", type=float, help="horizontal angle of view at the start (60)")
    parser.add_argument("--depth", type=float, help="distance of the subject that a move circles or faces (1)")
    parser.add_argument("--frames", type=int, help=f"frames of the clip ({_CLIP['frames']}, or the plan's)")
    _add_clip(parser, f"{_CLIP['width']}x{_CLIP['height']} at {_CLIP['fps']:g} in {_CLIP['unit']}, or the plan's")
    _add_output(parser)
    parser.add_argument("--out", type=Path, required=True, help="file or folder to write")
    parser.set_defaults(run=run_make)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="IN", help="a file or folder of cameras")
    parser.add_argument("output", type=Path, metavar="OUT", help="file or folder to write")
    _add_input(parser)
    _add_output(parser)
    parser.add_argument(
        "--first-frame", type=int, metavar="N", help="the number of the first frame, as 1001 (as in the file, or 1)"
    )
    points = "a point map or depth maps (.npz, .npy) to write as the points of a COLMAP model"
    parser.add_argument("--points", type=Path, metavar="FILE", help=points)
    parser.set_defaults(run=run_convert)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="FILE", help="a file or folder of cameras")
    _add_input(parser)
    parser.add_argument("--out", type=Path, metavar="PNG", help="also draw the path into this picture")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run_show)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="a file or folder with the cameras asked for")
    parser.add_argument(
        "estimate", type=Path, metavar="ESTIMATE", help="a file or folder with the cameras that were found"
    )
    parser.add_argument("--reduction", choices=("mean", "sum"), default="mean", help="over frames (mean)")
    parser.add_argument("--step", type=int, default=1, help="frames between two cameras whose motion is compared (1)")
    _add_input(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON, angles in radians")
    parser.set_defaults(run=run_compare)


def _add_undistort(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="CAMERAS", help="a file or folder of cameras with distorted lenses")
    parser.add_argument("pictures", type=Path, metavar="PICTURES", help="the folder of the pictures that it names")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write them to, under their names")
    _add_input(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run_undistort, undistort=True)


def _add_input(parser: argparse.ArgumentParser) -> None:
    """How the input is read; what its format says itself goes before."""
    shared.add_name(parser, "--from", _formats, dest="source_format", default="told from the content")
    parser.add_argument("--fov-degrees", type=float, help="horizontal angle of view, if the format has none (60)")
    parser.add_argument(
        "--track", help="which camera, folder or size to read, if a file holds several (the largest), or all"
    )
    parser.add_argument(
        "--gaps", choices=GAPS, help="frames without a camera are kept as gaps, filled or closed (keep)"
    )
    parser.add_argument(
        "--direction", choices=DIRECTIONS, help="how plain matrices are read: camera-to-world or world-to-camera (auto)"
    )
    parser.add_argument(
        "--quaternions", choices=QUATERNIONS, help="order of the quaternions in a table (the format's own)"
    )
    parser.add_argument(
        "--undistort", action="store_true", help="take the largest distortion-free picture inside a distorted one"
    )
    parser.add_argument(
        "--sensor", metavar="WxH", help="sensor size in mm, for the angle of view in a .chan that Blender wrote (36x24)"
    )
    _add_clip(parser, "832x480 at 24 in arbitrary, if the format does not say")


def _add_clip(parser: argparse.ArgumentParser, default: str) -> None:
    """The picture's size, the rate and the unit."""
    parser.add_argument("--width", type=int, help=f"width of the pictures in pixels ({default})")
    parser.add_argument("--height", type=int, help="height of the pictures in pixels")
    parser.add_argument("--fps", type=float, help="frames per second; overrides the rate of a file that is read")
    parser.add_argument("--unit", choices=UNITS, help="what a length of 1 is")


def _add_output(parser: argparse.ArgumentParser) -> None:
    shared.add_name(parser, "--to", _written, dest="target_format", default="told from the name")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _formats() -> list[str]:
    from ..camera_io import FORMATS

    return [known.name for known in FORMATS]


def _written() -> list[str]:
    from ..camera_io import WRITTEN

    return [known.name for known in WRITTEN]


def run_make(options: argparse.Namespace) -> None:
    """Make the path, write it, print its figures."""
    trajectory = _planned(options) if options.plan else _move(options)
    files = _write(trajectory, options.out, options.target_format)
    body, text = _figures(trajectory)
    show({**body, "files": files}, text, as_json=options.json)


def run_convert(options: argparse.Namespace) -> None:
    """Read, write, print how the input was read."""
    from dataclasses import replace

    from ..camera_io.reading import MOST_FIRST
    from ..strict_json import check_whole

    if options.output.exists() and options.input.exists() and options.output.samefile(options.input):
        raise ValueError(f"{options.output} is the input, so the result cannot be written there")
    reading = _read(options.input, options)
    if options.first_frame is not None:
        reading = replace(reading, first=check_whole("--first-frame", options.first_frame, -MOST_FIRST, MOST_FIRST))
    as_found = options.points is None and options.fps is None and options.gaps in (None, "keep")
    estimate = _estimate(options.input, reading) if as_found else None
    if estimate is None:
        lost = _lost(reading, options)
        files = _write(
            reading.trajectory, options.output, options.target_format, points=options.points, first=reading.first
        )
    else:
        lost, files = _write_estimate(estimate, reading.first, options)
    text = f"{reading.text}\nWarning: {lost}" if lost else reading.text
    show({**_told(reading), "left_out": lost, "files": files}, text, as_json=options.json)


def _lost(reading: Reading, options: argparse.Namespace) -> str:
    """One sentence on what the file to be written has no place for, "" where it holds all."""
    from ..camera_io import lost_in

    return lost_in(reading.trajectory, options.output, format=options.target_format, first=reading.first)


def _estimate(path: Path, reading: Reading) -> Estimate | None:
    """The estimate of ours in the file of the `reading`, which knows its frames; None where it is none."""
    from ..camera_io import estimate_in

    return estimate_in(reading, path) if reading.estimated else None


def _write_estimate(estimate: Estimate, first: int | None, options: argparse.Namespace) -> tuple[str, list[str]]:
    """Write it as `pose` does, its first frame as number `first`: what was left out, in a sentence, and the files."""
    from ..camera_io import lost_of, write_estimate

    out, target = options.output, options.target_format
    files = [str(file) for file in write_estimate(estimate, out, format=target, first=first)]
    say(f"wrote {', '.join(files)}")
    return lost_of(estimate, out, format=target, first=first), files


def run_show(options: argparse.Namespace) -> None:
    """Read, print how it was read and the path's figures, draw the path."""
    from .console import write_plot

    if options.out:
        shared.check_output(options.out, ".png", inputs=[options.input])
    reading = _read(options.input, options)
    if options.out:
        write_plot(options.out, {options.input.name: reading.trajectory})
        say(f"wrote {options.out}")
    body, text = _figures(reading.trajectory)
    show({**_told(reading), **body}, f"{reading.text}\n{text}", as_json=options.json)


def run_compare(options: argparse.Namespace) -> None:
    """Read both, print every figure of the estimate against the truth."""
    from dataclasses import asdict

    from ..evaluation.association import associated
    from ..evaluation.pose_metrics import pairs_counted
    from ..evaluation.report import pose_report

    truth, estimate = (_read(path, options) for path in (options.truth, options.estimate))
    units = [reading.trajectory.unit for reading in (truth, estimate)]
    if units[0] != units[1]:
        say(f"the truth counts in {units[0]}, the estimate in {units[1]}: lengths compare after a scale alone")
    camera, true_camera, matched = associated(estimate, truth)
    if matched:
        say(matched)
    report = pose_report(camera, true_camera, unit=units[0], reduction=options.reduction, step=options.step)
    if units[0] != units[1]:
        report = report.without_lengths()
    told = {"matched": matched, "pairs": pairs_counted(report.frames)}
    body = {"reduction": options.reduction, "step": options.step, **told, **asdict(report)}
    show(body, report.table(), as_json=options.json)


def run_undistort(options: argparse.Namespace) -> None:
    """Write each picture of the cameras as the largest pinhole inside it sees it."""
    from ..warp.undistortion import undistort_picture
    from .console import progress_bar

    reading = _read(options.input, options)
    if not any(lens.distorted for lens in reading.lenses):
        raise ValueError(f"{options.input}: its lenses are pinholes, there is nothing to undistort")
    pictures = _pictures(options.pictures, reading)
    options.out.mkdir(parents=True, exist_ok=True)
    draw = progress_bar("undistort")
    for index, (lens, picture) in enumerate(zip(reading.lenses, pictures, strict=True), start=1):
        undistort_picture(picture, options.out / picture.name, lens)
        draw(index, len(pictures))
    told = f"{len(pictures)} pictures in {options.out}; `trajectory convert --undistort` writes their cameras"
    show({"files": [str(options.out / picture.name) for picture in pictures]}, told, as_json=options.json)


def _pictures(folder: Path, reading: Reading) -> list[Path]:
    """The pictures in `folder` of the frames of a reading, by their names; ValueError when one is not there."""
    if not reading.names:
        raise ValueError("the cameras' file does not name its pictures")
    found = [(folder / name, folder / Path(name.replace("\\", "/")).name) for name in reading.names]
    missing = next(
        (name for name, pair in zip(reading.names, found, strict=True) if not any(p.is_file() for p in pair)), None
    )
    if missing is not None:
        raise ValueError(f"{folder}: there is no picture {missing[:80]!r}, which the cameras name")
    return [first if first.is_file() else second for first, second in found]


def _move(options: argparse.Namespace) -> Trajectory:
    """The one move that the options name."""
    from ..paths.plan import CameraPlan, PlannedMove

    move = PlannedMove.from_values({"move": options.move, **_given(options, *_AMOUNTS, "seed", "easing")})
    plan = CameraPlan(moves=(move,), **_given(options, "fov_degrees", "depth"))
    clip = {**_CLIP, **_given(options, *_CLIP)}
    hw = (clip["height"], clip["width"])
    return plan.build(clip["frames"], hw=hw, fps=clip["fps"], unit=clip["unit"], name=options.move)


def _planned(options: argparse.Namespace) -> Trajectory:
    """The path that a plan's file describes, with the frames, size, rate and unit of the options where they say."""
    import json

    from ..paths.camera_path import path_from_json
    from ..strict_json import parse_object

    of_a_move = _given(options, *_AMOUNTS, "seed", "easing", "fov_degrees", "depth")
    if of_a_move:
        flag = "--" + next(iter(of_a_move)).replace("_", "-")
        raise ValueError(f"{flag} belongs to --move: a plan says it itself")
    try:
        values = parse_object("the camera path", shared.read_path_text(options.plan))
        clip = _given(options, *_CLIP)
        if "plan" not in values and "shots" not in values:
            raise ValueError("it holds no plan; `trajectory convert` takes paths that are made already")
        if "frames" in clip:
            clip["frame_count"] = clip.pop("frames")
        return path_from_json(json.dumps({**values, **clip}))
    except ValueError as error:
        raise ValueError(f"{options.plan} is not a planned camera path: {error}") from error


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The options among `names` that were given."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _read(path: Path, options: argparse.Namespace) -> Reading:
    """The cameras of `path`, with what the options say where the format does not."""
    from dataclasses import replace

    from ..camera_io import Assumed, read_cameras
    from ..camera_io.reading import sensor_named
    from ..geometry.camera import check_hw

    assumed = Assumed()
    size = {"height": assumed.hw[0], "width": assumed.hw[1], **_given(options, "height", "width")}
    hw = check_hw((size["height"], size["width"]))
    given = _given(options, "fov_degrees", "fps", "unit", "track", "gaps", "direction", "quaternions", "undistort")
    assumed = replace(assumed, hw=hw, sensor=sensor_named(options.sensor), **given)
    return read_cameras(path, format=options.source_format, assumed=assumed)


def _write(
    trajectory: Trajectory,
    path: Path,
    target_format: str | None,
    *,
    points: Path | None = None,
    first: int | None = None,
) -> list[str]:
    """Write the path, with the points in a file where one is named, its first frame as number `first`; the files."""
    from ..camera_io import write_cameras
    from ..camera_io.scene_points import read_points

    found = None if points is None else read_points(points, trajectory)
    files = [str(file) for file in write_cameras(trajectory, path, format=target_format, points=found, first=first)]
    say(f"wrote {', '.join(files)}")
    return files


def _told(reading: Reading) -> dict[str, object]:
    return {"format": reading.format, "notes": list(reading.notes), "warnings": list(reading.warnings)}


def _figures(trajectory: Trajectory) -> tuple[dict[str, object], str]:
    """The figures of a path, as values and as text."""
    from dataclasses import asdict

    from ..paths.path_figures import path_figures

    found = path_figures(trajectory)
    return asdict(found), found.text

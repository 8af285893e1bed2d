"""`pose VIDEO --method colmap`: the cameras of footage by structure from motion."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options as shared
from .console import progress_bar, say, show

if TYPE_CHECKING:
    from torch import Tensor

    from ..footage.reel import Reel
    from ..geometry.estimate import Estimate
    from ..solving.features import Picture
    from ..solving.lens import Lens
    from ..solving.settings import DepthAt, Scale, SolveSettings
    from ..solving.solve import Solved
    from ..video_io import FrameStream

METHOD = "colmap"
_MASK_SUFFIX = ".png"
# What one way of finding cameras reads and the other does not, with what it is where it was not given.
_OF_SOLVING = {
    "distortion": None, "matching": "auto", "masks": None, "depth": None, "scale": None, "metres": None,
    "between": None, "interpolate": False, "most_pixels": 1600, "undistort": None,
}  # fmt: skip
_OF_THE_MODEL = {
    "against": None, "spread": None, "antithetic": None, "ray_steps": 2, "focal": "shared", "model": shared.MODEL,
    "lora": None, "vae": None, "device": None, "vram": None, "dtype": None, "seed": 0,
}  # fmt: skip
# What says nothing where the cameras are given; --fps says the rate of a series even then.
_OF_READING = {"fov_degrees": None, "focal_mm": None, "K": None, "method": METHOD, "frames": None, "start": 0.0}


def add_solving(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What can be said of footage before it is solved; of these the model takes the lens alone."""
    of_lens = parser.add_argument_group("the lens (the model takes it as known)")
    lens = of_lens.add_mutually_exclusive_group()
    lens.add_argument("--fov-degrees", type=float, help="rough horizontal angle of view, which colmap refines")
    lens.add_argument("--focal-mm", type=float, help="rough focal length for a sensor 36 mm wide, which colmap refines")
    lens.add_argument("--K", type=float, nargs=4, metavar=("FX", "FY", "CX", "CY"), help="the lens, known, in pixels")
    group = parser.add_argument_group("with --method colmap (pip install pycolmap)")
    group.add_argument(
        "--distortion", type=float, nargs=4, metavar=("K1", "K2", "P1", "P2"), help="of the known lens, as OpenCV's"
    )
    group.add_argument(
        "--matching",
        choices=("auto", "sequential", "exhaustive"),
        default=_OF_SOLVING["matching"],
        help="which frames are compared with which (auto)",
    )
    group.add_argument(
        "--masks",
        type=Path,
        metavar="FOLDER",
        help="folder of PNG masks in the order of the frames, or one PNG; black is ignored",
    )
    group.add_argument(
        "--depth",
        type=Path,
        metavar="PATH",
        help="depth maps in the order of the frames, or that of the first: a folder or a file, .npy, .npz or .exr in "
        "metres, 16-bit .png in millimetres",
    )
    group.add_argument(
        "--scale",
        choices=("near_depth", "depth", "arbitrary"),
        help="the unit: near depths, metres by the depth maps, or any (near_depth; with --depth depth)",
    )
    group.add_argument("--metres", type=float, help="instead of --scale: the distance between two cameras, in metres")
    group.add_argument("--between", type=int, nargs=2, metavar="FRAME", help="those two (the first and the last)")
    group.add_argument(
        "--interpolate", action="store_true", help="interpolate a camera for frames that cannot be solved"
    )
    group.add_argument(
        "--most-pixels",
        type=int,
        default=_OF_SOLVING["most_pixels"],
        help="largest width or height at which frames are searched (1600)",
    )
    return group


def check_arguments(options: argparse.Namespace) -> None:
    """ValueError for an argument that the options' method does not read."""
    for name in _given(options, _OF_THE_MODEL if options.method == METHOD else _OF_SOLVING):
        raise ValueError(f"{name} is not an argument of --method {options.method}")


def check_cameras_alone(options: argparse.Namespace) -> None:
    """ValueError for an argument that says how cameras are found, where they are given."""
    from ..footage.series import names_series

    of_a_video = {} if names_series(options.video) else {"fps": None}
    for name in _given(options, {**_OF_SOLVING, **_OF_THE_MODEL, **_OF_READING, **of_a_video}):
        raise ValueError(f"{name} is of finding the cameras, which --cameras gives: leave one out")


def _given(options: argparse.Namespace, defaults: Mapping[str, object]) -> Iterator[str]:
    """The flags of those arguments that are not as they are by default."""
    for name, default in defaults.items():
        if getattr(options, name, default) != default:
            own = getattr(options, "ray_steps_flag", None) if name == "ray_steps" else None
            yield own or f"--{name.replace('_', '-')}"


def run_solve(options: argparse.Namespace) -> None:
    """Solve, write the path in the format that the name of --out asks for, print what was found."""
    from ..camera_io import lost_of, write_estimate
    from .console import write_plot

    out = options.out or shared.result_beside(options.video, ".cameras.json")
    check_outputs(options, out)
    solved = solve_video(options, shared.open_footage(options))
    files = [str(path) for path in write_estimate(solved.estimate, out)]
    if options.plot:
        write_plot(options.plot, {"solve": solved.estimate.trajectory})
    if options.undistort:
        _write_undistorted(options, solved)
    say(f"wrote {', '.join(files)}")
    if lost := lost_of(solved.estimate, out):
        say(f"Warning: {lost}")
    show_estimate(solved.estimate, files, as_json=options.json)


def show_estimate(estimate: Estimate, files: list[str], *, as_json: bool) -> None:
    """Print what was found: the verdict and the notes for people, every figure for machines."""
    from ..paths.estimate_figures import estimate_figures

    body = {**estimate_figures(estimate), "files": files}
    show(body, "\n".join((estimate.verdict, *estimate.notes)), as_json=as_json)


def solve_video(options: argparse.Namespace, reel: Reel) -> Solved:
    """The cameras of the options' video, which is opened as `reel`."""
    from ..solving.colmap import load_pycolmap
    from ..solving.solve import Clip, solve_cameras

    load_pycolmap()
    stream = reel.stream(shared.selection_of(options, reel))
    clip = Clip(reel.name, options.start, stream.rate, stream.fps, stream.count or None, reel.pictures)
    taken: list[int] = []
    settings = _settings(options, reel, taken)
    pictures = _pictures(stream, options.masks, reel, taken)
    return solve_cameras(pictures, clip, settings=settings, progress=progress_bar("solve"))


def check_outputs(options: argparse.Namespace, out: Path) -> None:
    """Look before long work whether the results can be written."""
    from ..camera_io import format_for

    format_for(out)
    if out.suffix:
        shared.check_output(out, out.suffix.lower(), inputs=[options.video])
    else:
        shared.check_output_folder(out)
    for path, suffix in ((options.plot, ".png"), (options.undistort, ".mp4")):
        if path:
            shared.check_output(path, suffix, inputs=[options.video])


def _settings(options: argparse.Namespace, reel: Reel, taken: list[int]) -> SolveSettings:
    from ..solving.settings import SolveSettings

    return SolveSettings(
        lens=lens_of(options, reel.hw) or _photographed(reel),
        matching=options.matching,
        most_pixels=options.most_pixels,
        interpolate=options.interpolate,
        scale=_scale(options),
        depth_at=_depth_at(options.depth, reel, taken) if options.depth else None,
    )


def _scale(options: argparse.Namespace) -> Scale:
    from ..solving.settings import Scale

    if options.metres is None:
        if options.between:
            raise ValueError("--between names the cameras of a distance: give it with --metres")
        return Scale(options.scale or ("depth" if options.depth else "near_depth"))
    if options.scale or options.depth:
        raise ValueError("--metres says the unit: give no --scale and no --depth with it")
    return Scale("distance", options.metres, tuple(options.between) if options.between else None)


def lens_of(options: argparse.Namespace, hw: tuple[int, int]) -> Lens | None:
    """What the options say of the lens, for a video of `hw`."""
    import math

    from ..solving.lens import Lens, lens_of_fov

    if options.distortion and not options.K:
        raise ValueError("--distortion belongs to a known lens: give it with --K")
    if options.fov_degrees is None and options.focal_mm is None and options.K is None:
        return None
    if options.K is not None:
        fx, fy, cx, cy = options.K
        return Lens(hw, (fx, fy), (cx, cy), tuple(options.distortion or (0.0,) * 4), known=True)
    if options.focal_mm is not None:
        if not options.focal_mm > 0.0:
            raise ValueError(f"a focal length is above 0 mm, got {options.focal_mm:g}")
        return lens_of_fov(2.0 * math.atan(18.0 / options.focal_mm), hw)
    return lens_of_fov(math.radians(options.fov_degrees), hw)


def _photographed(reel: Reel) -> Lens | None:
    """The lens that the first photograph of a series names in its EXIF data."""
    import math

    from ..solving.lens import lens_of_photograph

    lens = None if reel.series is None else lens_of_photograph(reel.series.files[0], reel.hw)
    if lens is not None:
        fov = 2.0 * math.degrees(math.atan(0.5 * reel.hw[1] / lens.focal[0]))
        say(
            f"the photographs name a lens that sees {fov:.1f} degrees across, to be refined; --fov-degrees says another"
        )
    return lens


def _pictures(stream: FrameStream, masks: Path | None, reel: Reel, taken: list[int]) -> Iterator[Picture]:
    """The frames, each with its mask; their numbers are put into `taken`."""
    from ..solving.features import Picture

    files = _mask_files(masks) if masks else []
    for place, (number, rgb) in enumerate(stream.frames):
        taken.append(number)
        index = 0 if len(files) < 2 else _of_frame(len(files), place, number, reel)
        mask = _read_mask(files[index]) if files else None
        yield Picture(rgb.numpy(), mask, number)
    if len(files) > 1:
        _check_count(len(files), len(taken), reel, f"{masks} holds {len(files)} masks")


def _of_frame(count: int, place: int, number: int, reel: Reel) -> int:
    """Which of `count` files belongs to a frame: those of the whole footage go by the frames' numbers, others by the
    order in which the frames are read."""
    index = number if count == reel.count else place
    if index >= count:
        raise ValueError(f"{count} masks or depth maps are too few: the frame after the first {place} has none")
    return index


def _check_count(count: int, frames: int, reel: Reel, told: str) -> None:
    """ValueError unless there is one for each frame that was read, or for each of the footage."""
    if count not in (frames, reel.count):
        raise ValueError(f"{told}, and {frames} frames were read of {reel.count}: give one for each")


def _depth_at(path: Path, reel: Reel, taken: list[int]) -> DepthAt:
    """The depth map of a frame by its number, once it is `taken`."""
    from ..films.depth_files import open_depths

    maps = open_depths(path)
    maps[0]()  # one that cannot be read is told before the work begins

    def depth_at(number: int) -> Tensor | None:
        if len(maps) == 1:
            return maps[0]() if number == taken[0] else None
        _check_count(len(maps), len(taken), reel, f"{path} holds {len(maps)} depth maps")
        return maps[_of_frame(len(maps), taken.index(number), number, reel)]()

    return depth_at


def _mask_files(masks: Path) -> list[Path]:
    from ..camera_io.frame_names import in_order

    if masks.is_file():
        return [masks]
    files = [path for path in masks.iterdir() if path.suffix.lower() == _MASK_SUFFIX]
    if not files:
        raise ValueError(f"{masks} holds no PNG to take as a mask")
    order, _ = in_order([path.name for path in files])
    return [files[index] for index in order]


def _read_mask(path: Path) -> Any:
    """bool [H, W]: True where the frame may be looked at."""
    from ..video_io import read_image

    return (read_image(path)[0].mean(dim=0) > 0.0).numpy()


def _write_undistorted(options: argparse.Namespace, solved: Solved) -> None:
    """The frames that have a camera, as the path's pinhole sees them."""
    import torch

    from ..footage.reel import open_reel
    from ..solving.lens import undistort
    from ..video_io import picture_float, write_video

    reel = open_reel(options.video, fps=options.fps)
    stream = reel.stream(shared.selection_of(options, reel))
    wanted = set(solved.estimate.footage.frames)
    frames = [undistort(picture_float(rgb), solved.lens) for number, rgb in stream.frames if number in wanted]
    write_video(options.undistort, torch.stack(frames, dim=1), fps=stream.fps)
    say(f"wrote {options.undistort}")

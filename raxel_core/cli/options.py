"""Arguments that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from ..atomic_file import writable_target

if TYPE_CHECKING:
    import torch

    from ..footage.reel import Reel
    from ..framing import Framing
    from ..geometry.camera import Camera
    from ..geometry.trajectory import Trajectory
    from ..pipeline import RaxelModel, Reading, Settings, Source
    from ..runtime.processes import Processes
    from ..sampling import Progress
    from ..video_io import Clip, Selection

MODEL = "raxel-tiny"
LARGEST_PATH_BYTES = 64 << 20  # some 100,000 frames
METHODS = ("robust", "procrustes")
DTYPES = ("float32", "bfloat16", "float16")
VIDEO_STEPS = 4
BESIDE = 4  # frames from one view beside the path to the next, and to the clip: one frame of latents
# What stands for the numbers in the name of a series of pictures.
_PATTERN = re.compile(r"[._ -]*(?:%0?\d*d|#+|[*?\[]).*")
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


class _Offered(Iterable[str]):
    """Names that are looked up when one is given or help is asked for: where they are listed, PyTorch is imported."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())


def add_name(
    parser: argparse._ActionsContainer, flag: str, names: Callable[[], Iterable[str]], *, dest: str, default: str = ""
) -> None:
    """An option that takes one of `names()`; `default`, in brackets, says what happens without it."""
    metavar = dest.rsplit("_", 1)[-1].upper()
    told = f"one of %(choices)s{default and f' ({default})'}"
    # The choices come last: newer Pythons would look at them for the help as soon as the option is added.
    parser.add_argument(flag, dest=dest, metavar=metavar, help=told).choices = _Offered(names)


def add_move(parser: argparse._ActionsContainer) -> None:
    """The name of a move."""

    def names() -> Iterable[str]:
        from ..paths.moves import MOVES

        return MOVES

    add_name(parser, "--move", names, dest="move")


def add_model(parser: argparse.ArgumentParser) -> None:
    """The model, where it runs, the seed and the form of the answer."""
    parser.add_argument("--model", default=MODEL, help=f"an embedded model or a checkpoint file ({MODEL})")
    parser.add_argument("--lora", type=Path, help="a LoRA file of that model, added to its weights")
    parser.add_argument("--vae", help="file or folder of the VAE, for models whose VAE is not embedded")
    parser.add_argument("--device", help="where the model runs: cpu, cuda, cuda:1, mps (cuda where there is one)")
    parser.add_argument(
        "--vram", metavar="SIZE", help="GPU memory to use, such as 12GB; what does not fit waits in RAM (all)"
    )
    parser.add_argument("--dtype", choices=DTYPES, help="precision (float32 on the CPU, else the file's)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (0)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_steps(parser: argparse.ArgumentParser) -> None:
    """In how many steps a video is denoised; the default suits the embedded model."""
    parser.add_argument(
        "--steps",
        type=int,
        default=VIDEO_STEPS,
        help=f"denoising steps of the video; a large model needs 20 or more ({VIDEO_STEPS})",
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """How a video is denoised."""
    add_steps(parser)
    parser.add_argument("--shift", type=float, help="above 1 spends more steps at high noise (the checkpoint's own)")
    parser.add_argument("--solver", choices=("euler", "multistep"), default="euler", help="of the flow (euler)")


def settings_of(options: argparse.Namespace, progress: Progress | None) -> Settings:
    """The sampling that the options of a command name; what it does not offer stays as `Settings` has it."""
    from ..pipeline import Settings

    names = {"steps": "steps", "ray_steps": "ray_steps", "mode": "mode", "shift": "shift", "solver": "solver"}
    names |= {
        "antithetic": "antithetic",
        "source_guidance": "guidance",
        "seed": "seed",
        "text_guidance": "text_guidance",
    }
    given = {field: getattr(options, flag) for field, flag in names.items() if hasattr(options, flag)}
    return Settings(**given, text=_prompt(options), progress=progress)


def add_prompt(parser: argparse.ArgumentParser) -> None:
    """What the video should show in words, for models that were trained with captions."""
    parser.add_argument("--prompt", help="what the video shows, for a model that was trained with captions")
    parser.add_argument(
        "--text-encoder", type=Path, help="text encoder for the prompt: Wan's folder, or ComfyUI's file of it"
    )
    parser.add_argument(
        "--texts", type=Path, help="instead of --text-encoder: a folder of embeddings (`dataset captions`)"
    )
    parser.add_argument("--text-guidance", type=float, default=1.0, help="how strongly the prompt guides; 1 is off (1)")


def check_prompt(options: argparse.Namespace) -> None:
    """ValueError, before a model loads, for what is said of a prompt where there is none."""
    for name, default in (("text_guidance", 1.0), ("text_encoder", None), ("texts", None)):
        if options.prompt is None and getattr(options, name) != default:
            raise ValueError(f"--{name.replace('_', '-')} is of a prompt: give it with --prompt")


def _prompt(options: argparse.Namespace) -> torch.Tensor | None:
    """The embedding of the prompt that the options name, None where there is none."""
    if getattr(options, "prompt", None) is None:
        return None
    from ..training.captions import Texts, padded
    from ..training.text_encoder import load_encoder

    if options.texts is not None:
        return Texts(options.texts).of([options.prompt])[0]
    if options.text_encoder is None:
        raise ValueError("a prompt needs its encoder: --text-encoder, or --texts with its embedding")
    return padded(load_encoder(options.text_encoder, check_device(options.device))(options.prompt))


def reading_of(options: argparse.Namespace, *, fps: float) -> Reading:
    """How the options have cameras read, of a clip of `fps`."""
    from ..pipeline import Reading

    return Reading(options.method, options.focal, fps)


def add_recovery(parser: argparse.ArgumentParser, *, steps_flag: str, methods: Sequence[str] = METHODS) -> None:
    """How cameras are read, by one of `methods`."""
    parser.add_argument(steps_flag, type=int, default=2, dest="ray_steps", help="denoising steps of the rays (2)")
    parser.set_defaults(ray_steps_flag=steps_flag)
    add_antithetic(parser)
    add_method(parser, methods)
    parser.add_argument(
        "--focal", choices=("shared", "per_frame"), default="shared", help="one focal length for the clip or per frame"
    )


def add_antithetic(parser: argparse.ArgumentParser) -> None:
    """Whether cameras of a video are read from one run or from a pair."""
    parser.add_argument(
        "--antithetic",
        action=argparse.BooleanOptionalAction,
        help="rays of a given video as the mean of two runs, from noise and from its negative (as the checkpoint asks)",
    )


def add_method(parser: argparse.ArgumentParser, methods: Sequence[str] = METHODS) -> None:
    """Which estimator finds cameras: those of METHODS read them from the model's rays."""
    others = [name for name in methods if name not in METHODS]
    by_others = f", or found without the model ({', '.join(others)})" if others else ""
    parser.add_argument(
        "--method", choices=methods, default=METHODS[0], help=f"how cameras are read from rays (robust){by_others}"
    )


def add_clip(parser: argparse.ArgumentParser) -> None:
    """The video, and which one clip of it is read, of a length that the model takes."""
    add_video(parser)
    _add_selection(parser, frames="4n + 1 (the model's)", fps="(the model's)")


def add_video(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The video, by the name of its file or of its pictures."""
    what = "a video file, a folder of pictures, or an image sequence by a pattern: f_%%04d.exr, f_####.exr, 'f_*.exr'"
    parser.add_argument("video", type=Path, metavar="VIDEO", nargs="?" if optional else None, help=what)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which part of a video cameras are found for, by the model or by solving."""
    _add_selection(
        parser,
        frames="which alone have a camera then; for the model 4n + 1 where they are fewer than its clip (all)",
        fps="(the model's, or more where the clip is short; with colmap the video's)",
    )


def _add_selection(parser: argparse.ArgumentParser, *, frames: str, fps: str) -> None:
    """Which part of a video is read; `frames` and `fps` say how many that are, and at which rate unless it is said."""
    parser.add_argument("--frames", type=int, help=f"frames to read, {frames}")
    parser.add_argument(
        "--fps", type=float, help=f"frames per second to read {fps}; for an image sequence, its own rate (24)"
    )
    parser.add_argument("--start", "--start-at", type=float, default=0.0, help="seconds to skip (0)")


def add_images(parser: argparse.ArgumentParser) -> None:
    """The source pictures and the frames they show."""
    what = "picture files, a folder of pictures, or pictures by a pattern: f_%%04d.exr, f_####.exr, 'f_*.exr'"
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help=what)
    parser.add_argument(
        "--at", type=int, nargs="+", metavar="FRAME", help="the frame that each picture shows (one picture: 0)"
    )
    parser.add_argument(
        "--source-cameras", type=Path, metavar="FILE", help="a camera file with the own cameras of pictures taken "
        "beside the path, one each, in its world; --at then numbers them before the clip (-4) or after its end",
    )  # fmt: skip


def load(options: argparse.Namespace, *, processes: Processes | None = None) -> RaxelModel:
    """The model that the options name.

    Where a launcher has started several processes, they share the work on each clip, unless `processes` are given:
    then this is a model for one of them alone.
    """
    import torch

    from ..pipeline import load_model

    joined = processes or join(options)
    dtype = getattr(torch, options.dtype) if options.dtype else None
    vram = None if options.vram is None else parse_size(options.vram, "--vram")
    model = load_model(options.model, vae=options.vae, device=joined.device, dtype=dtype, vram=vram, lora=options.lora)
    if processes is None and joined.count > 1:
        model.transformer.sequence_group = torch.distributed.group.WORLD
    return model


def join(options: argparse.Namespace) -> Processes:
    """The processes that run this command, and the device that the options name for this one."""
    from ..runtime.processes import join_processes

    return join_processes(check_device(options.device))


def check_output(path: Path, suffix: str, *, inputs: Sequence[Path] = ()) -> Path:
    """`path`, after a check before long work that a result can be written there.

    Raises ValueError when it does not end in `suffix`, is a folder or one of the `inputs`; OSError when its folder
    takes no file.
    """
    if path.suffix.lower() != suffix:
        raise ValueError(f"{path} has to end in {suffix}, which is what is written there")
    writable_target(path)
    for given in inputs:
        if path.exists() and given.exists() and path.samefile(given):
            raise ValueError(f"{path} is the input, so the result cannot be written there")
    _check_takes_files(path.parent)
    return path


def check_output_folder(folder: Path) -> None:
    """Check before long work that `folder` takes files, or can be made to; OSError otherwise."""
    _check_takes_files(next(place for place in (folder, *folder.absolute().parents) if place.exists()))


def _check_takes_files(folder: Path) -> None:
    """OSError unless a file can be written into `folder`."""
    try:
        with TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise OSError(f"cannot write into {folder}: {error.strerror}") from error


def parse_size(text: str, flag: str) -> int:
    """The bytes of a size such as 5GB, 500MB or 1000000 (decimal units); ValueError otherwise."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", text.strip(), re.IGNORECASE | re.ASCII)
    size = int(float(found[1]) * _SIZES[found[2].upper()]) if found else 0
    if size < 1:
        raise ValueError(f"{flag} is a size such as 5GB or 500MB, got {text!r}")
    return size


def check_device(name: str | None) -> torch.device:
    """The device of that name, or the best there is; ValueError when there is none, or none on this computer."""
    import torch

    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"the device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def check_named(path: Path) -> None:
    """OSError unless there is something called `path`, or it is a pattern: before anything heavy is imported."""
    if not path.exists() and not _PATTERN.search(path.name):
        raise OSError(f"cannot read {path}: No such file or directory")


def open_footage(options: argparse.Namespace) -> Reel:
    """The options' video, opened and its first frame decoded; what there is to say of a series is said.

    Raises ValueError and OSError as `footage.reel.open_reel`, and ValueError for a selection that selects nothing.
    """
    check_named(options.video)
    from ..footage.reel import open_reel
    from .console import say

    reel = open_reel(options.video, fps=options.fps)
    selection_of(options, reel)
    for note in reel.notes:
        say(f"{options.video}: {note}")
    return reel


def selection_of(options: argparse.Namespace, reel: Reel) -> Selection:
    """What the options read of the footage: of a series, --fps says how fast it is and not what is read."""
    from ..video_io import Selection, check_frame_rate

    fps = None if options.fps is None else check_frame_rate(options.fps)
    return Selection(options.frames, None if reel.series else fps, options.start)


def result_beside(video: Path, suffix: str) -> Path:
    """Where the result of a video or of a series of pictures goes unless it is said: beside it, under its name."""
    if video.is_dir():
        return video.absolute().parent / (video.absolute().name + suffix)
    if video.exists():
        return video.with_suffix(suffix)
    stem = _PATTERN.sub("", video.name) or video.absolute().parent.name
    return video.parent / (Path(stem).stem + suffix)


def pictures_of(images: Sequence[Path]) -> list[Path]:
    """The picture files that the arguments name, a folder or a pattern by its own in their order; OSError and
    ValueError, before a model loads, where there are none."""
    for path in images:
        check_named(path)
    from ..footage.series import find_series, names_series

    named = [find_series(path).files if names_series(path) else (path,) for path in images]
    return [file for files in named for file in files]


def check_images(options: argparse.Namespace) -> None:
    """Look before a model loads whether the options' pictures can be read and each has a frame."""
    if options.at is not None and len(options.at) != len(options.images):
        raise ValueError(f"{len(options.images)} pictures need {len(options.images)} frame numbers after --at")
    check_pictures(options.images)


def check_pictures(paths: Sequence[Path]) -> None:
    """Read each picture's file; of one that holds several frames, say that the first is the picture."""
    from ..video_io import Selection, stream_video
    from .console import say

    for path in paths:
        if len(list(stream_video(path, Selection(frames=2)).frames)) > 1:
            say(f"{path} is a video: its first frame is taken as the picture")


def read_clip(options: argparse.Namespace, model: RaxelModel, reel: Reel) -> Clip:
    """The part of the footage that the options name, fitted to the model; a short one is cut to 4n+1.

    Raises ValueError where the count asked for is not 4n+1 or is not there.
    """
    from dataclasses import replace

    from ..latents.frames import check_frame_count
    from .console import say

    wanted = check_frame_count(model.recipe.frames if options.frames is None else options.frames)
    selection = selection_of(options, reel)
    fps = model.recipe.fps if selection.fps is None else selection.fps
    clip = reel.read(replace(selection, frames=wanted, fps=fps, hw=model.recipe.hw))
    found = clip.video.shape[1]
    say(f"read {found} frames at {fps:g} a second of {options.video}, from {options.start:g} s on")
    if found == wanted:
        return clip
    usable = (found - 1) // 4 * 4 + 1
    if options.frames is not None or usable < 5:
        needed = 5 if options.frames is None else wanted
        raise ValueError(f"{options.video} has {found} frames at {fps:g} a second, {needed} are needed")
    say(f"the first {usable} of them are used: a clip has 4n+1 frames")
    return replace(clip, video=clip.video[:, :usable])


def read_trajectory(path: Path) -> Trajectory:
    """The camera path in a file; ValueError that names the file when it holds none."""
    from ..paths.camera_path import path_from_json

    try:
        return path_from_json(read_path_text(path))
    except ValueError as error:
        raise ValueError(f"{path} is not a camera path: {error}") from error


def read_path_text(path: Path) -> str:
    """The text of a camera path file; ValueError when it is too large to be one, or no UTF-8."""
    if path.stat().st_size > LARGEST_PATH_BYTES:
        raise ValueError(f"it is larger than {LARGEST_PATH_BYTES >> 20} MiB")
    return path.read_text(encoding="utf-8")


def read_sources(options: argparse.Namespace, model: RaxelModel) -> tuple[list[Source], Framing]:
    """The pictures that the options name as sources, fitted to the model, and how the first of them was fitted."""
    from ..pipeline import Source
    from ..video_io import read_image

    count = len(options.images)
    cameras = _source_cameras(options.source_cameras, count)
    beside = [BESIDE * (place - count) for place in range(count)]
    at = options.at or (beside if options.source_cameras else [0] if count == 1 else None)
    if at is None or len(at) != count:
        raise ValueError(f"{count} pictures need {count} frame numbers after --at")
    read = [read_image(path, hw=model.recipe.hw) for path in options.images]
    sources = [
        Source(image, frame, None if camera is None else framing.to_fitted(camera))
        for (image, framing), frame, camera in zip(read, at, cameras, strict=True)
    ]
    return sources, read[0][1]


def _source_cameras(path: Path | None, count: int) -> list[Camera] | list[None]:
    """The cameras of so many pictures in a camera file, none where none is named; ValueError for another number."""
    if path is None:
        return [None] * count
    from ..camera_io import read_cameras

    found = read_cameras(path).trajectory
    if len(found) != count:
        raise ValueError(f"{path} has {len(found)} cameras for {count} pictures: one each is needed")
    return [found[place] for place in range(count)]

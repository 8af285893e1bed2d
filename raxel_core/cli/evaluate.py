"""`evaluate`: what a model can do on held-out synthetic scenes, beside baselines and the VAE's ceiling."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared
from .console import progress_bar, say, show
from .evaluate_clips import run_clips

METHODS = ("robust", "procrustes")
SOLVER = "colmap"
TEXTBOOK_LARGER = 4  # OpenCV is measured in as many pixels as the model too, and in as many more a side
RAY_METHODS = ("ray_diffusion", "ray_regression")

if TYPE_CHECKING:
    from ..evaluation.benchmark_scenes import SceneSettings
    from ..evaluation.filmed_clips import FilmedBatches
    from ..raxel_model import RaxelModel

TEST_SETS = ("room", "world")
PROTOCOLS = ("pose", "cycle", "camera-control")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("evaluate", help="measure a model on held-out synthetic scenes")
    parser.add_argument(
        "--set", default="room", choices=TEST_SETS, help="closed rooms, or places like the world's (room)"
    )
    parser.add_argument("--scenes", type=int, default=200, help="test scenes (200)")
    parser.add_argument("--first", type=int, default=0, help="number of the first test scene (0)")
    parser.add_argument("--batch", type=int, default=20, help="about how many scenes at a time (20)")
    parser.add_argument(
        "--ray-steps", type=int, nargs="+", default=[1, 2, 5, 20], help="numbers of ray steps to compare (1 2 5 20)"
    )
    parser.add_argument("--loop-steps", type=int, default=2, help="ray steps in the loop, one of --ray-steps (2)")
    parser.add_argument(
        "--sources", type=int, nargs="+", default=[0], metavar="FRAME", help="frames that the model is shown (0)"
    )
    shared.add_sampling(parser)
    shared.add_antithetic(parser)
    parser.add_argument(
        "--method",
        choices=(*METHODS, *RAY_METHODS, SOLVER),
        default=METHODS[0],
        help="how a raxel model's rays are read, photographs' cameras by Ray Diffusion, or those of --data by solving "
        "(robust)",
    )
    parser.add_argument("--weights", type=Path, help="ray_*: a Ray Diffusion checkpoint (the embedded one)")
    parser.add_argument(
        "--kind", choices=("room", "world", "symmetric"), help="ray_*: kind of the scenes; symmetric "
        "rooms look the same from four sides (room)",
    )  # fmt: skip
    parser.add_argument("--samples", type=int, help="ray_diffusion: answers a scene (4)")
    parser.add_argument("--published", action="store_true", help="ray_*: the published code's arithmetic")
    parser.add_argument(
        "--opencv",
        action="store_true",
        help="also measure a classical baseline, SIFT and the essential matrix (of "
        "synthetic scenes in the model's pixels and in four times as many a side)",
    )
    for name, what in (("lpips", "an LPIPS"), ("fid", "NVIDIA's Inception"), ("fvd", "StyleGAN-V's I3D")):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"{what} network as a local TorchScript file")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER|LIST", help="filmed scenes, as `dataset check` finds or lists them, one "
        "clip or 8 photographs each, instead of synthetic ones; with --method colmap videos, their true cameras under "
        "the name and .json"
    )  # fmt: skip
    parser.add_argument("--protocol", choices=PROTOCOLS, help="with --data: what is measured (pose)")
    parser.add_argument("--stride", type=int, help="with --data: every so many pictures, where they have no time (1)")
    parser.add_argument("--fps", type=float, help="with --data: frames a second, where time is known (the model's)")
    parser.add_argument("--frames", type=int, help="colmap: most frames of each video (all)")
    parser.add_argument(
        "--out", type=Path, help="also write the report into this JSON file, with --data a Markdown table beside it"
    )
    shared.add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Videos solved, photographs of rendered scenes, filmed scenes, or synthetic ones before a model."""
    if options.method == SOLVER and options.data is None:
        raise ValueError(f"--method {SOLVER} solves the videos of a folder: name it with --data")
    given = [name for name in ("protocol", "stride", "fps") if getattr(options, name) is not None]
    if given and options.data is None:
        raise ValueError(f"--{given[0]} is an argument of --data")
    if options.kind is not None and options.data is not None:
        raise ValueError("--kind is of rendered scenes, and --data brings others: leave one out")
    of_rays = [(name, RAY_METHODS) for name in ("weights", "kind", "published")]
    for name, methods in (("frames", (SOLVER,)), ("samples", RAY_METHODS[:1]), *of_rays):
        value = getattr(options, name)
        if value is not None and value is not False and options.method not in methods:
            raise ValueError(f"--{name} is not an argument of --method {options.method}")
    if options.method == SOLVER:
        run_clips(options)
    elif options.method in RAY_METHODS:
        _run_photographs(options)
    elif options.data is not None:
        _run_films(options)
    else:
        _run_scenes(options)


def _run_scenes(options: argparse.Namespace) -> None:
    """Render the scenes batch by batch, measure, print the report."""
    from ..atomic_file import write_text
    from ..evaluation.benchmark_scenes import SceneSettings, evaluate_scenes
    from ..evaluation.scene_model import PipelineScenes, scene_batches
    from ..evaluation.set_distances import Networks

    if min(options.scenes, options.batch) < 2:
        raise ValueError(f"at least 2 scenes are needed, 2 at a time, got {options.scenes} and {options.batch}")
    loop, told = options.loop_steps, " ".join(map(str, options.ray_steps))
    if loop not in options.ray_steps:
        raise ValueError(f"the loop takes {loop} ray steps and --ray-steps are {told}: give --loop-steps one of them")
    if options.out:
        shared.check_output(options.out, ".json")
    settings = SceneSettings(
        tuple(options.ray_steps), options.loop_steps, tuple(sorted(options.sources)), opencv=options.opencv
    )
    model = shared.load(options)
    settings = replace(settings, patch=max(model.sizes.multiple))
    networks = Networks.load(lpips=options.lpips, fid=options.fid, fvd=options.fvd, frames=model.recipe.frames)
    frames = range(model.recipe.frames)
    if not set(settings.source_frames) < set(frames):
        shown = list(settings.source_frames)
        raise ValueError(f"the sources are some of the frames 0 to {frames[-1]} and not all of them, got {shown}")
    scenes = PipelineScenes(
        model,
        settings.source_frames,
        steps=options.steps,
        shift=options.shift,
        solver=options.solver,
        method=options.method,
        on_step=_counter(options, settings),
        antithetic=options.antithetic,
    )
    facts = {
        "model": options.model,
        "set": options.set,
        "first_scene": options.first,
        "video_steps": options.steps,
        "shift": model.recipe.shift(options.shift),
        "solver": options.solver,
        "antithetic": model.recipe.antithetic(options.antithetic),
        "method": options.method,
        "seed": options.seed,
        "unit": model.recipe.unit,
    }
    larger = TEXTBOOK_LARGER if options.opencv else 1
    batches = scene_batches(model, options.first, options.scenes, batch=options.batch, kind=options.set, larger=larger)
    report = evaluate_scenes(scenes, batches, settings, seed=options.seed, networks=networks, facts=facts)
    if options.out:
        write_text(options.out, report.to_json())
        say(f"wrote {options.out}")
    show(json.loads(report.to_json()), report.table(), as_json=options.json)


def _run_films(options: argparse.Namespace) -> None:
    """A paper's protocol on filmed scenes."""
    from ..atomic_file import write_text
    from ..evaluation.filmed_clips import FilmedSettings, evaluate_films, report_files
    from ..evaluation.scene_model import PipelineScenes
    from ..evaluation.set_distances import Networks
    from ..pipeline import spread_frames

    protocol = options.protocol or "pose"
    settings = FilmedSettings(protocol, tuple(options.ray_steps), options.loop_steps, opencv=options.opencv)
    if options.out:
        shared.check_output(options.out, ".json")
        shared.check_output(options.out.with_suffix(".md"), ".md")
    model = shared.load(options)
    frames = model.recipe.frames
    networks = Networks.load(lpips=options.lpips, fid=options.fid, fvd=options.fvd, frames=frames)
    batches = _films(options, model, protocol)
    sources = spread_frames(frames, 3) if protocol == "cycle" else tuple(sorted(options.sources))
    scenes = PipelineScenes(
        model, sources, steps=options.steps, shift=options.shift, solver=options.solver, method=options.method,
        on_step=lambda: None, antithetic=options.antithetic,
    )  # fmt: skip
    facts = {
        "model": options.model, "data": str(options.data), "frames": frames, "size": f"{model.recipe.hw[1]}x"
        f"{model.recipe.hw[0]} by resize and centre crop", "fps": batches.scenes.fps,
        "stride": batches.scenes.settings.stride, "unit": model.recipe.unit, "sources": list(sources),
        "video steps": options.steps, "shift": model.recipe.shift(options.shift), "ray steps": options.loop_steps,
        "antithetic": model.recipe.antithetic(options.antithetic), "method": options.method, "seed": options.seed,
    }  # fmt: skip
    bar, count = progress_bar("clips"), min(options.scenes, len(batches.scenes.listing))
    report = evaluate_films(
        scenes, batches, settings, seed=options.seed, networks=networks, facts=facts,
        progress=lambda done: bar(done, count),
    )  # fmt: skip
    for path, text in report_files(report, options.out).items() if options.out else ():
        write_text(path, text)
        say(f"wrote {path}")
    show(json.loads(report.to_json()), report.table(), as_json=options.json)


def _films(options: argparse.Namespace, model: RaxelModel, protocol: str) -> FilmedBatches:
    """The clips of the data set. Cameras can be compared without its depths; nothing is generated without."""
    from ..evaluation.filmed_clips import FilmedBatches
    from ..training.config import FilmedSettings
    from ..training.filmed import data_set

    recipe, settings = model.recipe, FilmedSettings(1 if options.stride is None else options.stride)
    scenes = data_set(
        options.data, options.data.name, settings, fps=recipe.fps if options.fps is None else options.fps,
        unit=recipe.unit, needs_depth=protocol != "pose", bad_data="skip",
    )  # fmt: skip
    return FilmedBatches(scenes, recipe.frames, recipe.hw, recipe.unit, options.batch, options.scenes)


def _run_photographs(options: argparse.Namespace) -> None:
    """Ray Diffusion on 2 to 8 photographs of held-out scenes, or of those of a folder."""
    from ..atomic_file import write_text
    from ..evaluation.photograph_scenes import accuracy_table, evaluate_photographs, filmed_scenes, rendered_scenes
    from ..evaluation.report import to_json
    from ..films.listing import list_scenes
    from ..ray_diffusion.checkpoint import embedded_network, load_ray_diffusion
    from ..ray_diffusion.sampler import SamplerSettings

    loaded = load_ray_diffusion(options.weights or embedded_network())
    settings = {"ray_regression": SamplerSettings("regression", seed=options.seed)}
    if options.method == "ray_diffusion":
        steps = max(options.ray_steps)
        settings["ray_diffusion"] = SamplerSettings(
            steps=steps, samples=4 if options.samples is None else options.samples, seed=options.seed
        )
    if options.published:
        settings = {name: method.as_published(loaded.network.config.timesteps) for name, method in settings.items()}
    config, bar, count = loaded.network.config, progress_bar("scenes"), options.scenes
    facts = {"weights": loaded.name, "seed": options.seed, "published": options.published}
    if options.data is None:
        kind = options.kind or "room"
        scenes = rendered_scenes(config, scenes=count, first=options.first, kind=kind)
        facts |= {"kind": kind, "first_scene": options.first}
    else:
        listing = list_scenes(options.data)
        count = min(count, len(listing))
        scenes = filmed_scenes(config, listing, scenes=count, seed=options.seed)
        facts |= {"data": str(options.data)}
    table = evaluate_photographs(loaded, settings, scenes, progress=lambda done: bar(done, count))
    body = facts | {"scenes": count}
    body |= {"table": {name: {str(n): f for n, f in by.items()} for name, by in table.items()}}
    if options.out:
        write_text(options.out, to_json(body))
        say(f"wrote {options.out}")
    show(json.loads(to_json(body)), accuracy_table(table), as_json=options.json)


def _counter(options: argparse.Namespace, settings: SceneSettings) -> Callable[[], None]:
    """A callback that counts all denoising steps of the evaluation into one bar.

    Per batch: each pose once, three videos, and the loop's video and second pose.
    """
    from ..evaluation.scene_model import batch_count

    total = batch_count(options.scenes, options.batch) * (
        sum(settings.ray_steps) + 4 * options.steps + settings.loop_steps
    )
    draw = progress_bar("evaluation")
    steps = count(1)
    return lambda: draw(next(steps), total)

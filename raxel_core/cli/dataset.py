"""`dataset`: what of a data set can be trained on, and the lists and folders that training reads."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .console import progress_bar, say, show

if TYPE_CHECKING:
    import numpy as np

    from ..films.depth import SceneDepth
    from ..films.scene import Scene

    DepthFunction = Callable[[np.ndarray], np.ndarray]

LAYOUTS = ("scenes", "co3d")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("dataset", help="look at a data set before training on it")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="list the usable scenes, and what is wrong with the others")
    check.add_argument("data", type=Path, metavar="FOLDER|LIST", help="a data set's folder, a list of scenes, a shard")
    check.add_argument(
        "--layout", choices=LAYOUTS, help="scenes: RealEstate10K, DL3DV, nerfstudio, COLMAP, video and cameras, tar "
        "shards; co3d: photographs by category (as the folder looks)",
    )  # fmt: skip
    check.add_argument("--list", type=Path, metavar="TXT", help="write the usable scenes into this list")
    check.add_argument("--annotations", type=Path, help="co3d: the folder of prepared *_train.jgz files (FOLDER)")
    check.add_argument("--split", choices=("train", "test"), default="train", help="co3d: which split (train)")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=run_check)
    _add_depth(actions)
    _add_encode(actions)
    _add_captions(actions)
    unpack = actions.add_parser("unpack", help="unpack RealEstate10K's .torch chunks into the published layout")
    unpack.add_argument("chunks", type=Path, nargs="+", metavar="CHUNK", help="the .torch files")
    unpack.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the scenes are written")
    unpack.add_argument("--json", action="store_true", help="print the report as JSON")
    unpack.set_defaults(run=run_unpack)


def _add_depth(actions: argparse._SubParsersAction) -> None:
    depth = actions.add_parser("depth", help="measure how far things are in each scene, for training's unit of length")
    depth.add_argument("data", type=Path, metavar="FOLDER|LIST", help="a data set's folder, or a list of scenes")
    depth.add_argument("--scales", type=Path, metavar="JSON", help="metres in a length of each scene, by its name")
    depth.add_argument(
        "--depth-model", metavar="FILE.py:NAME", help="a function of yours: picture [H, W, 3] uint8 -> metres [h, w]"
    )
    depth.add_argument("--json", action="store_true", help="print the report as JSON")
    depth.set_defaults(run=run_depth)


def _add_encode(actions: argparse._SubParsersAction) -> None:
    from .train import add_data

    encode = actions.add_parser("encode", help="encode a run's clips as latents beforehand, with several processes")
    encode.add_argument("config", type=Path, metavar="CONFIG", help="the run's configuration (JSON)")
    encode.add_argument("cache", type=Path, metavar="CACHE", help="what `train --cache` is given afterwards")
    encode.add_argument("--vae", default="raxel-tiny-vae", help="embedded VAE or VAE file (raxel-tiny-vae)")
    encode.add_argument("--unit", help="length of camera centres (the configuration's, else near_depth)")
    encode.add_argument("--device", help="where the VAE runs (a GPU of this process, else the CPU)")
    add_data(encode)
    encode.set_defaults(run=run_encode)


def _add_captions(actions: argparse._SubParsersAction) -> None:
    captions = actions.add_parser(
        "captions", help="compute the embeddings of a data set's captions, and of an empty one"
    )
    captions.add_argument("data", type=Path, metavar="FOLDER|LIST", help="a data set's folder, or a list of scenes")
    captions.add_argument("texts", type=Path, metavar="TEXTS", help="the folder that `train --texts` is given")
    captions.add_argument("--text-encoder", type=Path, required=True, help="Wan's: its folder, or ComfyUI's file")
    captions.add_argument("--device", help="where the encoder runs: cpu, cuda, mps (cuda where there is one)")
    captions.set_defaults(run=run_captions)


def run_depth(options: argparse.Namespace) -> None:
    """Measure each scene and write depths.json beside the list or into the folder; what is there is kept."""
    from ..atomic_file import write_text
    from ..films.defects import SceneError
    from ..films.depth import depths_from_json, depths_to_json
    from ..films.listing import list_scenes
    from ..training.filmed import DEPTHS

    listing = list_scenes(options.data)
    target = listing.root / DEPTHS
    depths = depths_from_json(target.read_text(encoding="utf-8")) if target.is_file() else {}
    model = None if options.depth_model is None else _function(options.depth_model)
    scales = {} if options.scales is None else _scales(options.scales)
    faults, bar = {}, progress_bar("scenes")
    for done, name in enumerate(listing.names, start=1):
        try:
            depths[name] = _measured(listing.open(name), model, scales.get(name))
        except SceneError as error:
            faults[name] = error.defect.told
        write_text(target, depths_to_json(depths))
        bar(done, len(listing))
    known = sum(depth.metres_per_unit is not None for depth in depths.values())
    lines = [f"{name}: {told}" for name, told in faults.items()]
    lines.append(
        f"wrote {target}: {len(depths)} scenes, {known} of them in metres; {len(faults)} could not be measured"
    )
    show({"depths": str(target), "scenes": len(depths), "in_metres": known, "faults": faults}, "\n".join(lines),
         as_json=options.json)  # fmt: skip


def _measured(scene: Scene, model: DepthFunction | None, scale: float | None) -> SceneDepth:
    """The depths of a scene: metres by the scale that is given, else by depth maps beside it, else by the model."""
    from dataclasses import replace

    from ..films.depth import measure_depth, model_depth, supplied_depth

    metric = None
    if scale is None:
        metric = supplied_depth(scene) or (None if model is None else model_depth(scene, model))
    found = measure_depth(scene, metric)
    return found if scale is None else replace(found, metres_per_unit=scale)


def _function(text: str) -> DepthFunction:
    """The function NAME of a Python file, given as FILE.py:NAME."""
    from importlib.util import module_from_spec, spec_from_file_location

    path, _, name = text.rpartition(":")
    spec = spec_from_file_location("depth_model", path) if Path(path).is_file() else None
    if spec is None or spec.loader is None:
        raise ValueError(f"--depth-model is FILE.py:NAME, a function in a Python file, got {text!r}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        raise ValueError(f"{path} has no function {name!r}")
    return found


def _scales(path: Path) -> dict[str, float]:
    """The metres in a length of each scene, of a JSON object of numbers by name."""
    from ..strict_json import check_number, parse_object

    values = parse_object("the scales of scenes", path.read_text(encoding="utf-8"))
    return {name: check_number(f"scale of {name[:60]}", value, 1e-12, 1e9) for name, value in values.items()}


def run_encode(options: argparse.Namespace) -> None:
    """Code the shards that are this process's, where they are not there yet; the first also those of validation."""
    import os

    import torch
    from torch import nn

    from ..raxel_model import load_vae
    from ..training.config import TrainConfig
    from ..training.data import ClipPool
    from ..training.filmed import all_sets
    from .train import read_config

    config, films = read_config(options, TrainConfig)
    rank, count = int(os.getenv("RANK", "0")), int(os.getenv("WORLD_SIZE", "1"))
    local = int(os.getenv("LOCAL_RANK", "0"))
    device = torch.device(options.device or (f"cuda:{local}" if torch.cuda.is_available() else "cpu"))
    vae = load_vae(options.vae, device=device)
    assert isinstance(vae, nn.Module)
    unit = options.unit or config.unit or "near_depth"
    pool = ClipPool(config, vae, options.cache, sets=all_sets(config, films, unit))
    pool.device = device
    shards = range(rank, config.clips // config.shard_clips, count)
    bar = progress_bar("shards")
    for done, shard in enumerate(shards, start=1):
        pool.render_shard(shard)
        bar(done, len(shards))
    if rank == 0:
        pool.validation()
    say(f"{len(shards)} shards of {config.shard_clips} clips are in {options.cache}")


def run_captions(options: argparse.Namespace) -> None:
    """Embed each caption once, and the empty one."""
    from ..films.defects import SceneError
    from ..films.listing import list_scenes
    from ..training.captions import Texts
    from ..training.text_encoder import load_encoder
    from .options import check_device

    listing, faults = list_scenes(options.data), 0
    texts = Texts(options.texts, load_encoder(options.text_encoder, check_device(options.device)))
    texts.add("")
    bar = progress_bar("captions")
    for done, name in enumerate(listing.names, start=1):
        try:
            texts.add(listing.open(name).caption)
        except SceneError as error:
            faults += 1
            say(f"{error}: left out")
        bar(done, len(listing))
    say(f"the captions of {len(listing) - faults} scenes are in {options.texts}")


def run_check(options: argparse.Namespace) -> None:
    """Look at every file that is named, and report."""
    if (options.layout or _layout(options)) == "co3d":
        _check_co3d(options)
        return
    from ..atomic_file import write_text
    from ..films.listing import check, list_scenes

    listing = list_scenes(options.data)
    if options.list is not None and options.list.absolute().parent != listing.root.absolute():
        raise ValueError(f"a list names scenes relative to its folder: write it into {listing.root}")
    report = check(listing, progress_bar("scenes"))
    if options.list is not None:
        write_text(options.list, report.list_text())
        say(f"wrote {options.list}")
    defects = {name: [vars(defect) for defect in found] for name, found in report.defects.items()}
    body = {"usable": dict(report.frames), "left_out": list(report.left_out), "defects": defects,
            "counts": report.counts()}  # fmt: skip
    show(body, "\n".join(report.lines()), as_json=options.json)


def run_unpack(options: argparse.Namespace) -> None:
    """Convert chunk after chunk; a scene that is none is told."""
    from ..films.torch_chunks import unpack_chunk

    written: list[str] = []
    faults: list[str] = []
    for chunk in options.chunks:
        keys, told = unpack_chunk(chunk, options.out)
        written, faults = [*written, *keys], [*faults, *told]
    text = "\n".join((*faults, f"wrote {len(written)} scenes into {options.out}, {len(faults)} could not be"))
    show({"written": written, "faults": faults}, text, as_json=options.json)


def _layout(options: argparse.Namespace) -> str:
    """The layout that a folder looks to have."""
    place = options.annotations or options.data
    prepared = place.is_dir() and any(place.glob(f"*_{options.split}.jgz"))
    original = options.data.is_dir() and any(options.data.glob("*/frame_annotations.jgz"))
    return "co3d" if prepared or original or options.annotations is not None else "scenes"


def _check_co3d(options: argparse.Namespace) -> None:
    from ..ray_diffusion.co3d import check_co3d

    listing = check_co3d(options.data, split=options.split, annotations=options.annotations)
    photographs = sum(len(frames) for frames in listing.sequences.values())
    body = {"usable": len(listing.sequences), "photographs": photographs, "defects": dict(listing.defects)}
    lines = [f"{len(listing.sequences)} sequences of {photographs} photographs can be used, {len(listing.defects)} not"]
    lines += [f"{name}: {fault}" for name, fault in listing.defects.items()]
    show(body, "\n".join(lines), as_json=options.json)

"""`convert SOURCE TARGET`: Wan 2.1 T2V's public weights made a raxel checkpoint to train, and the way back; and the
release of RayPE (SCoPE) made one file for ComfyUI."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .console import progress_bar, say, show
from .options import parse_size

DTYPES = ("float32", "bfloat16", "float16")
UNITS = ("metre", "near_depth")
VAE = "wan2.1-vae"
FRAMES, HW, FPS, SHIFT = 81, (480, 832), 16.0, 5.0
_TO = (
    "raxel: of Wan 2.1 T2V; wan: the video half of a raxel checkpoint; expert: the shards of a Wan model with RayPE as "
    "one ComfyUI file; raype: its RayPE alone; ray_diffusion: a .pth of Cameras as Rays' release (raxel)"
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "convert", help="turn Wan's weights into a raxel checkpoint or back, or make RayPE's files"
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a .safetensors file, an index or a folder of them")
    parser.add_argument("target", type=Path, metavar="TARGET", help="the .safetensors file to write")
    parser.add_argument("--to", choices=("raxel", "wan", "expert", "raype", "ray_diffusion"), default="raxel", help=_TO)
    parser.add_argument(
        "--dtype", choices=DTYPES, help="precision of the weights written (the source's; bfloat16 for fp8)"
    )
    parser.add_argument(
        "--quantize",
        choices=("fp8_scaled", "int8_convrot"),
        help="store the blocks' weights in 8 bits, floats or integers (ComfyUI 0.33); also of a raxel checkpoint",
    )
    parser.add_argument(
        "--shard-size", metavar="SIZE", help="split into files of at most this size, such as 5GB or 500MB (one file)"
    )
    parser.add_argument("--unit", choices=UNITS, help="unit that camera centres will be trained in (near_depth)")
    parser.add_argument(
        "--trained-for",
        choices=("diffusion", "regression"),
        help="ray_diffusion: which of the two it is, if no file says so",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Convert, print what was recognised and written."""
    if options.trained_for and options.to != "ray_diffusion":
        raise ValueError(f"--trained-for belongs to --to ray_diffusion, not to --to {options.to}")
    if options.to == "ray_diffusion":
        _convert_released(options)
        return
    import torch

    from ..raype.conversion import extract_raype, join_expert
    from ..recipe import METADATA_KEY
    from ..weights.conversion import Conversion, convert_wan, extract_wan, is_raxel, quantize_checkpoint

    how: dict[str, Any] = {
        "dtype": getattr(torch, options.dtype) if options.dtype else None,
        "shard_bytes": None if options.shard_size is None else parse_size(options.shard_size, "--shard-size"),
        "progress": progress_bar("tensors"),
    }
    of_raxel = options.to == "raxel" and options.quantize is not None and is_raxel(options.source)
    if options.unit and (options.to != "raxel" or of_raxel):
        found = "a checkpoint that says its own" if of_raxel else f"--to {options.to}"
        raise ValueError(f"--unit belongs to a raxel checkpoint made of Wan's weights, not to {found}")
    if options.quantize and options.to in ("wan", "raype"):
        raise ValueError(f"--quantize belongs to a raxel checkpoint or an expert, not to --to {options.to}")
    done: Conversion[Any]
    if options.to == "expert":
        done = join_expert(options.source, options.target, quantization=options.quantize, **how)
    elif options.to != "raxel":
        done = (extract_wan if options.to == "wan" else extract_raype)(options.source, options.target, **how)
    elif of_raxel:
        done = quantize_checkpoint(options.source, options.target, quantization=options.quantize, **how)
    else:
        metadata = {METADATA_KEY: wan_recipe(options.unit or "near_depth")}
        done = convert_wan(options.source, options.target, quantization=options.quantize, metadata=metadata, **how)
    say(f"wrote {done.path}")
    config = f"{done.config.layers} layers of {done.config.dim}"
    body = {"file": str(done.path), "layout": done.layout, "layers": done.config.layers, "dim": done.config.dim}
    quantized = f"{options.quantize} and " if options.quantize else ""
    body |= {"dtype": quantized + str(done.dtype).removeprefix("torch."), "tensors": done.tensors}
    show(body, f"{config} ({done.layout}), {done.tensors} tensors in {body['dtype']}", as_json=options.json)


def _convert_released(options: argparse.Namespace) -> None:
    """A checkpoint of the release of Cameras as Rays, read in a process of its own."""
    import torch

    from ..ray_diffusion.released import convert_released

    for name in ("quantize", "shard_size", "unit"):
        if getattr(options, name):
            raise ValueError(f"--{name.replace('_', '-')} is not an argument of --to ray_diffusion")
    dtype = getattr(torch, options.dtype) if options.dtype else torch.float32
    done = convert_released(options.source, options.target, trained_for=options.trained_for, dtype=dtype)
    say(f"wrote {done.path}")
    body = {"file": str(done.path), "trained_for": done.trained_for, "depth": done.config.depth,
            "hidden": done.config.hidden, "tensors": done.tensors}  # fmt: skip
    said = f"Ray Diffusion ({done.trained_for}): {done.config.depth} blocks of {done.config.hidden}"
    show(body, said, as_json=options.json)


def wan_recipe(unit: str) -> str:
    """The recipe (JSON) of a converted checkpoint: Wan 2.1's VAE and clips.

    The rays have the video's statistics until training measures their own; the shift is the default of Wan's own
    generate.py.
    """
    from ..latents.wan_vae import WAN_STATISTICS
    from ..recipe import Recipe

    return Recipe(VAE, FRAMES, HW, FPS, unit, WAN_STATISTICS, WAN_STATISTICS, sampling_shift=SHIFT).to_json()

"""`convert SOURCE TARGET`: Wan 2.1 T2V's public weights made a raxel checkpoint to train, and the way back."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from .console import progress_bar, say, show

DTYPES = ("float32", "bfloat16", "float16")
UNITS = ("metre", "near_depth")
VAE = "wan2.1-vae"
FRAMES, HW, FPS = 81, (480, 832), 16.0
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("convert", help="make a raxel checkpoint of Wan 2.1 T2V's weights, or the way back")
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a .safetensors file, an index or a folder of them")
    parser.add_argument("target", type=Path, metavar="TARGET", help="the .safetensors file to write")
    parser.add_argument("--to", choices=("raxel", "wan"), default="raxel", help="wan takes out the video half (raxel)")
    parser.add_argument("--dtype", choices=DTYPES, help="of the weights written (the source's; bfloat16 for fp8)")
    parser.add_argument("--shard-size", metavar="SIZE", help="largest file, as 5GB or 500MB (one file)")
    parser.add_argument("--unit", choices=UNITS, help="unit that camera centres will be trained in (near_depth)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Convert, print what was recognised and written."""
    import torch

    from ..model.conversion import convert_wan, extract_wan
    from ..recipe import METADATA_KEY

    dtype = getattr(torch, options.dtype) if options.dtype else None
    shard_bytes = None if options.shard_size is None else parse_size(options.shard_size)
    progress = progress_bar("tensors")
    if options.to == "wan":
        if options.unit:
            raise ValueError("--unit belongs to a raxel checkpoint, not to --to wan")
        done = extract_wan(options.source, options.target, dtype=dtype, shard_bytes=shard_bytes, progress=progress)
    else:
        metadata = {METADATA_KEY: wan_recipe(options.unit or "near_depth")}
        done = convert_wan(
            options.source,
            options.target,
            dtype=dtype,
            shard_bytes=shard_bytes,
            metadata=metadata,
            progress=progress,
        )
    say(f"wrote {done.path}")
    config = f"{done.config.layers} layers of {done.config.dim}"
    body = {"file": str(done.path), "layout": done.layout, "layers": done.config.layers, "dim": done.config.dim}
    body |= {"dtype": str(done.dtype).removeprefix("torch."), "tensors": done.tensors}
    show(body, f"{config} ({done.layout}), {done.tensors} tensors in {body['dtype']}", as_json=options.json)


def wan_recipe(unit: str) -> str:
    """The recipe (JSON) of a converted checkpoint: Wan 2.1's VAE and clips.

    The rays have the video's statistics until training measures their own.
    """
    from ..latents.wan_vae import WAN_STATISTICS
    from ..recipe import Recipe

    return Recipe(VAE, FRAMES, HW, FPS, unit, WAN_STATISTICS, WAN_STATISTICS).to_json()


def parse_size(text: str) -> int:
    """The bytes of a size such as 5GB, 500MB or 1000000 (decimal units); ValueError otherwise."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", text.strip(), re.IGNORECASE | re.ASCII)
    size = int(float(found[1]) * _SIZES[found[2].upper()]) if found else 0
    if size < 1:
        raise ValueError(f"--shard-size is a size such as 5GB or 500MB, got {text!r}")
    return size

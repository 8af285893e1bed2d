"""`train-vae FILE`: fit the small VAE on synthetic scenes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared
from .console import progress_bar, say

if TYPE_CHECKING:
    from torch import Tensor

FIRST_SEED = 300_000
BATCH = 8


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("train-vae", help="fit the small VAE on synthetic scenes")
    parser.add_argument("file", type=Path, metavar="FILE", help="where the VAE is written (.safetensors)")
    parser.add_argument("--clips", type=int, default=1024, help="scenes that it is fitted to (1024)")
    parser.add_argument(
        "--sets",
        nargs="+",
        default=["room", "world"],
        metavar="SET",
        help="the kinds of scene it is fitted to, in turn (room world)",
    )
    parser.add_argument("--channels", type=int, default=64, help="latent channels (64)")
    parser.add_argument("--frames", type=int, default=9, help="frames of a clip, 4n+1 (9)")
    parser.add_argument("--size", type=int, nargs=2, default=(64, 64), metavar=("H", "W"), help="its size (64 64)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Fit the code and write the VAE."""
    from ..training.vae import fit_patch_code
    from ..weights.tensor_file import write_tensors

    shared.check_output(options.file, ".safetensors")
    if min(options.clips, options.channels) < 1:
        raise ValueError(f"clips and channels are at least 1, got {options.clips} and {options.channels}")
    write_tensors(options.file, fit_patch_code(_clips(options), channels=options.channels).state_dict())
    say(f"wrote {options.file}")


def _clips(options: argparse.Namespace) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs (video, raxels) of scenes, counted on a progress bar."""
    from ..training.config import TrainConfig
    from ..training.vae import raxel_and_video_clips

    config = TrainConfig(name="vae", steps=1, frames=options.frames, hw=tuple(options.size))
    scenes, draw = range(FIRST_SEED, FIRST_SEED + options.clips), progress_bar("scenes")
    for done, clips in enumerate(raxel_and_video_clips(config, scenes, sets=options.sets), start=1):
        yield clips
        draw(min(done * BATCH, len(scenes)), len(scenes))

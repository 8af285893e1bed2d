"""`train-vae FILE`: fit the small VAE on synthetic scenes: its linear code in closed form, then its refiner."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared
from .console import progress_bar, say

if TYPE_CHECKING:
    from torch import Tensor

    from ..latents.patch_vae import PatchVAE
    from ..pipeline import RaxelModel
    from ..training.vae import RefinerBatch

FIRST_SEED = 300_000
BATCH = 8


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("train-vae", help="fit the small VAE on synthetic scenes")
    parser.add_argument("file", type=Path, metavar="FILE", help="where the VAE is written (.safetensors)")
    parser.add_argument("--start", help="a VAE whose code is kept, so that latents stay as they are (fit a new one)")
    parser.add_argument("--clips", type=int, default=768, help="scenes that a new code is fitted to (768)")
    parser.add_argument(
        "--sets", nargs="+", default=["room"], metavar="SET", help="the kinds of scene it is fitted to, in turn (room)"
    )
    parser.add_argument("--channels", type=int, default=64, help="latent channels of a new code (64)")
    parser.add_argument("--frames", type=int, default=17, help="frames of a clip, 4n+1 (17)")
    parser.add_argument("--size", type=int, nargs=2, default=(64, 64), metavar=("H", "W"), help="its size (64 64)")
    parser.add_argument(
        "--made-by", metavar="MODEL", help="a model of that code: the refiner also learns to mend the videos it makes"
    )
    parser.add_argument(
        "--refiner-steps", type=int, default=1200, help=f"steps of {BATCH} scenes for the decoder's refiner (1200)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Fit or open the code, train the refiner, write the VAE."""
    from ..weights.tensor_file import write_tensors

    shared.check_output(options.file, ".safetensors")
    if min(options.clips, options.channels) < 1 or options.refiner_steps < 0:
        raise ValueError(
            "clips and channels are at least 1 and refiner steps at least 0, "
            f"got {options.clips}, {options.channels} and {options.refiner_steps}"
        )
    vae = _code(options)
    if options.refiner_steps:
        _refine(vae, options)
    write_tensors(options.file, vae.state_dict())
    say(f"wrote {options.file}")


def _code(options: argparse.Namespace) -> PatchVAE:
    """The VAE of `--start`, or one with a new code and a refiner that does nothing yet."""
    from ..latents.patch_vae import PatchVAE
    from ..raxel_model import load_vae
    from ..training.vae import fit_patch_code

    if options.start is None:
        scenes = range(FIRST_SEED, FIRST_SEED + options.clips)
        return fit_patch_code(_clips(options, scenes, "linear code"), channels=options.channels)
    vae = load_vae(options.start)
    if not isinstance(vae, PatchVAE):
        raise ValueError(f"{options.start} is not a raxel patch VAE, and only those have a refiner to train")
    return vae


def _refine(vae: PatchVAE, options: argparse.Namespace) -> None:
    """Train the refiner on scenes that the code was not fitted to."""
    from ..training.vae import RefinerBatch, train_refiner

    first = FIRST_SEED + options.clips
    scenes = range(first, first + BATCH * options.refiner_steps)
    batches: Iterator[RefinerBatch]
    if options.made_by is None:
        batches = (RefinerBatch(video, raxels) for video, raxels in _clips(options, scenes, "refiner"))
    else:
        batches = _made_batches(_maker(vae, options.made_by), scenes)
    errors = list(train_refiner(vae, batches, steps=options.refiner_steps))
    part = max(1, len(errors) // 10)
    for name in errors[0]:
        before, after = (sum(error[name] for error in some) / part for some in (errors[:part], errors[-part:]))
        say(f"mean squared error of {name}: {before:.3g} in the first tenth of the steps, {after:.3g} in the last")


def _maker(vae: PatchVAE, name: str) -> RaxelModel:
    """The model of that name; ValueError where its latents are of another code than this VAE's."""
    from ..latents.patch_vae import PatchVAE
    from ..pipeline import load_model

    model = load_model(name)
    if not (isinstance(model.vae, PatchVAE) and model.vae.group_code.equal(vae.group_code)):
        raise ValueError(f"{name} makes latents of another VAE: begin with its own by --start")
    return model


def _made_batches(model: RaxelModel, scenes: range) -> Iterator[RefinerBatch]:
    """Scenes of the model's frames and size, with the latents it makes of each from frame 0 along the true cameras."""
    from ..denoising import Run, SourceBatch, video_latents
    from ..evaluation.scene_model import scene_batches
    from ..sampling import camera_schedule
    from ..training.vae import RefinerBatch

    recipe, draw = model.recipe, progress_bar("refiner")
    run = Run(camera_schedule(shared.VIDEO_STEPS, shift=recipe.shift()), range(BATCH))
    parts = scene_batches(model, scenes.start, len(scenes), batch=BATCH, split="train")
    for number, part in enumerate(parts):
        sources = SourceBatch(part.video[:, :, :1], (0,))
        made = recipe.video_statistics.denormalize(video_latents(model, sources, part.camera, recipe.hw, run=run))
        raxels = model.raxels(part.camera, recipe.hw, reference=number % recipe.frames)
        yield RefinerBatch(part.video, raxels, made)
        draw(min((number + 1) * BATCH, len(scenes)), len(scenes))


def _clips(options: argparse.Namespace, scenes: range, label: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs (video, raxels) of the scenes, counted on a progress bar."""
    from ..training.config import TrainConfig
    from ..training.vae import raxel_and_video_clips

    config = TrainConfig(name="vae", steps=1, frames=options.frames, hw=tuple(options.size))
    draw = progress_bar(label)
    for done, clips in enumerate(raxel_and_video_clips(config, scenes, sets=options.sets), start=1):
        yield clips
        draw(min(done * BATCH, len(scenes)), len(scenes))

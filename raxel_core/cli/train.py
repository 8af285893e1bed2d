"""`train CONFIG FOLDER`: train a model, or carry a run on from where it stopped."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .console import say

if TYPE_CHECKING:
    from torch import Tensor

    from ..latents.vae import VideoVAE
    from ..model.transformer import RaxelTransformer
    from ..recipe import Recipe
    from ..training.train import DrawSamples

SAMPLE_SCENES = 3


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("train", help="train a model by a configuration; run again to resume")
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the run's configuration (JSON)")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the run keeps its state, log and weights")
    parser.add_argument("--cache", type=Path, help="folder of rendered clips (FOLDER/clips)")
    parser.add_argument("--start", type=Path, help="a checkpoint to begin a new run from")
    parser.add_argument("--vae", default="raxel-tiny-vae", help="embedded VAE or VAE file (raxel-tiny-vae)")
    parser.add_argument("--until", type=int, metavar="STEP", help="stop after this step (the end of the run)")
    parser.add_argument("--json", action="store_true", help="print each report as one line of JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Build the trainer, which resumes from the folder's state if there is one, and train."""
    from ..evaluation.report import to_json
    from ..raxel_model import load_vae
    from ..training.config import TrainConfig
    from ..training.train import WEIGHTS_FILE, Trainer

    config = TrainConfig.from_json(options.config.read_text())
    cache = options.cache or options.folder / "clips"
    name = Path(options.vae).name.removesuffix(".safetensors")
    vae = load_vae(options.vae)
    trainer = Trainer(
        config, vae, options.folder, cache=cache, start=options.start, vae_name=name, draw_samples=_sample_grid(vae)
    )

    def report(line: dict[str, object]) -> None:
        text = to_json(line, indent=None) if options.json else "  ".join(_words(line))
        print(text, file=sys.stdout, flush=True)

    trainer.train(until=options.until, report=report)
    say(f"wrote {options.folder / WEIGHTS_FILE}")


def _sample_grid(vae: VideoVAE) -> DrawSamples:
    """What each validation draws: a clip never trained on, its cameras as found, and the clip made from frame 0."""

    def draw(transformer: RaxelTransformer, recipe: Recipe, path: Path) -> None:
        from ..denoising import Run, SourceBatch, denoise_rays, denoise_video
        from ..plot import comparison_sheet, image_from_picture
        from ..raxel_model import RaxelModel
        from ..sampling import camera_schedule, pose_schedule
        from ..video_io import write_image
        from .scenes import scene_batches

        model = RaxelModel(transformer, vae, recipe)
        rows: dict[str, Tensor] = {}
        for batch in scene_batches(model, 0, SAMPLE_SCENES, batch=SAMPLE_SCENES, split="validation"):
            seeds = range(SAMPLE_SCENES)
            raxels = denoise_rays(model, batch.video, run=Run(pose_schedule(), seeds))
            shown = SourceBatch(batch.video[:, :, :1], (0,))
            made = denoise_video(model, shown, batch.camera, recipe.hw, run=Run(camera_schedule(10), seeds))
            for i in seeds:
                rows |= {f"given {i}": batch.video[i], f"its cameras {i}": raxels[i], f"from frame 0, {i}": made[i]}
        write_image(path, image_from_picture(comparison_sheet(rows)))

    return draw


def _words(line: dict[str, object], prefix: str = "") -> list[str]:
    """A report's numbers as `name value` words."""
    words = []
    for name, value in line.items():
        if isinstance(value, dict):
            words += _words(value, f"{name}.")
        else:
            words.append(f"{prefix}{name} {value:.4g}" if isinstance(value, float) else f"{prefix}{name} {value}")
    return words

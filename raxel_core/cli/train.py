"""`train CONFIG FOLDER`: train a model, or carry a run on from where it stopped."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .console import say


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
    trainer = Trainer(config, load_vae(options.vae), options.folder, cache=cache, start=options.start, vae_name=name)

    def report(line: dict[str, object]) -> None:
        text = to_json(line, indent=None) if options.json else "  ".join(_words(line))
        print(text, file=sys.stdout, flush=True)

    trainer.train(until=options.until, report=report)
    say(f"wrote {options.folder / WEIGHTS_FILE}")


def _words(line: dict[str, object], prefix: str = "") -> list[str]:
    """A report's numbers as `name value` words."""
    words = []
    for name, value in line.items():
        if isinstance(value, dict):
            words += _words(value, f"{name}.")
        else:
            words.append(f"{prefix}{name} {value:.4g}" if isinstance(value, float) else f"{prefix}{name} {value}")
    return words

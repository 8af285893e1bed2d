"""`ablations FOLDER`: train the method and what it is without each of its parts, at one budget, and compare them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .console import say


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "ablations", help="train the method and its ablations on synthetic scenes, and compare"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the runs are kept; run again to carry on")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="which of them (all; --list names them)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="seeds, one run for each (0 1)")
    parser.add_argument("--steps", type=int, help="steps of each run (what their configurations say)")
    parser.add_argument("--vae", default="raxel-tiny-vae", help="embedded VAE or VAE file (raxel-tiny-vae)")
    parser.add_argument("--list", action="store_true", help="print the arms' configurations and stop")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train the arms that are asked for and print their table."""
    from ..raxel_model import load_vae
    from ..training.ablation_runs import FOLDER, arm_config, arms, run_arms, table, to_values

    names = options.arms or arms()
    for name in names:
        arm_config(name)  # before any is trained
    if options.list:
        print("\n".join(f"{name}: {FOLDER / name}.json" for name in names))
        return
    if options.steps is not None and options.steps < 1:
        raise ValueError(f"a run has 1 step or more, got --steps {options.steps}")
    if len(set(options.seeds)) < len(options.seeds):
        raise ValueError("a seed given twice is one run, which tells no spread: give --seeds that differ")
    vae = load_vae(options.vae)
    results = list(run_arms(options.folder, vae, names=names, seeds=options.seeds, steps=options.steps, told=say))
    print(json.dumps(to_values(results), indent=2) if options.json else table(results))

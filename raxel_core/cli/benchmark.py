"""`benchmark geometry|model|checkpoint|training`: how fast each is, beside others where there are any."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from .options import check_device


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "benchmark", help="measure speed, and compare with other libraries if they are installed"
    )
    parser.add_argument(
        "what",
        choices=tuple(BENCHMARKS),
        help="geometry: cameras, raxels and poses on the CPU; model: one step of the network beside Wan's own (that of "
        "ComfyUI where COMFYUI_PATH names one and its Python runs this, else diffusers'); checkpoint: opening 40 GB; "
        "training: processor time per clip of each part of a training step",
    )
    parser.add_argument("--device", help="model: where it runs, cpu or cuda (cuda where there is one, or cpu)")
    parser.add_argument(
        "--config", type=Path, help="training: the run's configuration, JSON (that of the embedded checkpoint)"
    )
    parser.add_argument(
        "--repeats", type=int, default=10, help="number of runs, of which the shortest counts; training: steps (10)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    if options.repeats < 1:
        raise ValueError(f"at least 1 run is needed, got {options.repeats}")
    rows = BENCHMARKS[options.what](options)
    if options.json:
        print(json.dumps(rows, indent=2, default=str))


def _geometry(options: argparse.Namespace) -> list[dict[str, object]]:
    from ..benchmarks.geometry import print_geometry_benchmark, run_geometry_benchmark

    rows = run_geometry_benchmark(repeats=options.repeats)
    if not options.json:
        print_geometry_benchmark(rows)
    return [{**asdict(row), "ratio": row.ratio} for row in rows]


def _model(options: argparse.Namespace) -> list[dict[str, object]]:
    from ..benchmarks.model import print_model_benchmark, row_values, run_model_benchmark

    rows = run_model_benchmark(device=check_device(options.device), repeats=options.repeats)
    if not options.json:
        print_model_benchmark(rows)
    return [row_values(row) for row in rows]


def _checkpoint(options: argparse.Namespace) -> list[dict[str, object]]:
    from ..benchmarks.checkpoint import print_checkpoint_benchmark, run_checkpoint_benchmark

    opening = run_checkpoint_benchmark(repeats=options.repeats)
    if not options.json:
        print_checkpoint_benchmark(opening)
    return [{**asdict(opening), "met": opening.met}]


def _training(options: argparse.Namespace) -> list[dict[str, object]]:
    from ..benchmarks.training import print_training_benchmark, run_training_benchmark, training_values
    from ..raxel_model import EMBEDDED_MODEL, load_vae
    from ..training.config import TrainConfig

    if options.config is None:
        config = TrainConfig(name=EMBEDDED_MODEL, steps=10_000, frames=9)
    else:
        config = TrainConfig.from_json(options.config.read_text(encoding="utf-8"))
    if config.data:
        names = ", ".join(name for name, _ in config.data)
        raise ValueError(
            f"the benchmark renders the clips of its steps, and {options.config} names filmed ones: {names}"
        )
    cost = run_training_benchmark(config, load_vae(f"{EMBEDDED_MODEL}-vae"), steps=options.repeats)
    if not options.json:
        print_training_benchmark(cost)
    return [training_values(cost)]


BENCHMARKS = MappingProxyType(
    {"geometry": _geometry, "model": _model, "checkpoint": _checkpoint, "training": _training}
)

"""`benchmark geometry`: how fast the camera mathematics is, beside other libraries in the same process."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("benchmark", help="measure speed, beside other libraries where they are installed")
    parser.add_argument("what", choices=("geometry",), help="what is measured")
    parser.add_argument("--repeats", type=int, default=10, help="runs of which the shortest counts (10)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    from ..benchmarks.geometry import print_geometry_benchmark, run_geometry_benchmark

    if options.repeats < 1:
        raise ValueError(f"at least 1 run is needed, got {options.repeats}")
    rows = run_geometry_benchmark(repeats=options.repeats)
    if options.json:
        print(json.dumps([{**asdict(row), "ratio": row.ratio} for row in rows], indent=2))
    else:
        print_geometry_benchmark(rows)

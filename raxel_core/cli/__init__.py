"""The commands of `python -m raxel_core`, one file each. A file adds its arguments and imports what it runs lazily.

Bad input ends with exit code 2 and one sentence; results go to stdout (JSON with `--json`), the rest to stderr.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from ..runtime.processes import leave_processes
from . import benchmark, convert, demo, evaluate, generate, joint, loop, pose, train, train_vae, trajectory
from .console import sentence

COMMANDS = (demo, pose, generate, joint, loop, trajectory, convert, evaluate, train, train_vae, benchmark)
BAD_INPUT = 2
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m raxel_core",
        description="Joint video and camera diffusion: videos to cameras, cameras to videos, and both at once.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 2 on bad input or too little memory, 130 when interrupted."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="raxel: %(message)s", stream=sys.stderr)
    try:
        options.run(options)
        leave_processes()
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        told = sentence(error)
        if told is None:
            raise
        print(f"raxel: {' '.join(told.split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("raxel: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0

"""The commands of `raxel` (`python -m raxel_core` in a clone), one file each. A file adds its arguments and imports
what it runs lazily.

Bad input ends with exit code 2 and one sentence; results go to stdout (JSON with `--json`), the rest to stderr.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from ..runtime.processes import leave_processes
from . import (
    ablations,
    benchmark,
    convert,
    dataset,
    demo,
    evaluate,
    generate,
    joint,
    loop,
    photos,
    pose,
    train,
    train_vae,
    trajectory,
    verify,
)
from .console import sentence

COMMANDS = (
    demo, pose, photos, verify, generate, joint, loop, trajectory, convert, dataset, evaluate, train,
    train_vae, ablations, benchmark,
)  # fmt: skip
BAD_INPUT = 2


def version() -> str:
    """The version that pyproject.toml gives: of the package where it is installed, else of the clone around it."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8") if _in_a_clone() else ""
    stated = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    return stated.group(1) if stated else metadata.version("raxel")


def _in_a_clone() -> bool:
    """Whether the core lies in its repository, beside pyproject.toml, and not among installed packages."""
    return (Path(__file__).parents[2] / "pyproject.toml").is_file()


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="raxel",
        description="Joint video and camera diffusion: videos to cameras, cameras to videos, and both at once.",
    )
    parser.add_argument("--version", action="version", version=f"raxel {version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 where what it checks fails, 2 on bad input or too little memory."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="raxel: %(message)s", stream=sys.stderr)
    try:
        code = options.run(options)
        leave_processes()
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        told = sentence(error)
        if told is None:
            raise
        print(f"raxel: {' '.join(told.split())}", file=sys.stderr)
        return BAD_INPUT
    return code or 0

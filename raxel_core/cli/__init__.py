"""The commands of `python -m raxel_core`, one file each. A file adds its arguments and imports what it runs lazily.

Bad input ends with exit code 2 and one sentence; results go to stdout (JSON with `--json`), the rest to stderr.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from . import benchmark, convert, demo, evaluate, generate, joint, loop, pose, train, train_vae, trajectory

COMMANDS = (demo, pose, generate, joint, loop, trajectory, convert, evaluate, train, train_vae, benchmark)
BAD_INPUT = 2
INTERRUPTED = 130
# What PyTorch says on a GPU and on the CPU; it has an exception of its own for the first only.
_OUT_OF_MEMORY = ("out of memory", "DefaultCPUAllocator")


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
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        print(f"raxel: {' '.join(sentence.split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("raxel: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _sentence(error: Exception) -> str | None:
    """What to tell the user of an error of theirs or of their machine; None of one of ours."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, (ValueError, OSError)):
        return str(error)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        return "the memory does not suffice: take fewer frames, smaller pictures, a smaller batch or another --device"
    return None

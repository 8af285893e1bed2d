"""Conversions that are run in processes of their own, to be killed or measured."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from raxel_core.raype.conversion import join_expert
from raxel_core.weights import load_checkpoint, streaming
from raxel_core.weights.conversion import convert_wan


def convert_slowly(source: str, target: str, unsynced_bytes: int, shard_bytes: int | None) -> None:
    """Convert with a pause after each tensor, and count as safe all but the last `unsynced_bytes`."""
    streaming.UNSYNCED_BYTES = unsynced_bytes
    convert_wan(source, target, shard_bytes=shard_bytes, progress=lambda done, total: time.sleep(0.004))


def convert_and_measure(source: str, target: str, report: str) -> None:
    """Convert, then write the growth of the peak resident memory (bytes, file-mapped pages included) to `report`."""
    before = peak_resident_bytes()
    convert_wan(source, target)
    Path(report).write_text(str(peak_resident_bytes() - before))


def join_and_measure(source: str, target: str, report: str) -> None:
    """As `convert_and_measure`, of an expert with RayPE."""
    before = peak_resident_bytes()
    join_expert(source, target)
    Path(report).write_text(str(peak_resident_bytes() - before))


def convert_without_disk(source: str, target: str, report: str) -> None:
    """Convert, and turn what was written of the target into holes; time and peak memory (bytes) go to `report`."""
    _without_disk(convert_wan, source, target, report)


def join_without_disk(source: str, target: str, report: str) -> None:
    """As `convert_without_disk`, of an expert with RayPE."""
    _without_disk(join_expert, source, target, report)


def _without_disk(convert: Callable[..., object], source: str, target: str, report: str) -> None:
    target_path = Path(target)
    header = 1 << 20  # longer than the header of a 14B, and kept

    def punch(done: int, total: int) -> None:
        for partial in target_path.parent.glob(".*.partial"):
            length = partial.stat().st_size - header
            if length > 0:
                subprocess.run(["fallocate", "-p", "-o", str(header), "-l", str(length), partial], check=True)

    started = time.monotonic()
    convert(source, target, progress=punch)
    figures = {"seconds": time.monotonic() - started, "peak_resident": peak_resident_bytes()}
    Path(report).write_text(json.dumps(figures))


def open_and_measure(path: str, report: str) -> None:
    """Open a checkpoint five times; the seconds of each and the growth of private memory (bytes) go to `report`."""
    before, seconds = private_bytes(), []
    for _ in range(5):
        started = time.monotonic()
        loaded = load_checkpoint(path)
        seconds.append(time.monotonic() - started)
    figures = {"seconds": seconds, "private_growth": private_bytes() - before, "layers": loaded.config.layers}
    Path(report).write_text(json.dumps(figures))


def private_bytes() -> int:
    """The anonymous memory of this process: resident pages that belong to no file."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def peak_resident_bytes() -> int:
    """VmHWM of this process, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

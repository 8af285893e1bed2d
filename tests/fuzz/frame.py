"""What every fuzz target shares: damaged inputs one after the other, in a process that measures time and memory.

    python -m tests.fuzz TARGET|all COUNT [SEED]

Prints one JSON object a target. Exits with 1, after the input and the traceback, when anything but a refusal in one
sentence comes out, an input takes more than a second of CPU time, or the process grows by more than 64 MB.
"""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

MOST_SECONDS = 1.0
# So many inputs that do not end in so many seconds hang: the process ends with a traceback.
HANG_INPUTS, HANG_SECONDS = 200, 300
MOST_GROWTH_MB = 64.0
WARM_UP = 20
LONGEST_SENTENCE = 2000


@dataclass(frozen=True)
class Target:
    """Something that reads what others made.

    `prepare(folder)` gives what good inputs are made of; `damage(prepared, random, folder)` one damaged input;
    `read(input, random)` reads it and says whether it was accepted, `refusals` being what it may raise, in one
    sentence; `keep(input)` puts an input that went wrong where it can be looked at, and says where.
    """

    name: str
    prepare: Callable[[Path], Any]
    damage: Callable[[Any, Random, Path], Any]
    read: Callable[[Any, Random], bool]
    refusals: tuple[type[Exception], ...]
    keep: Callable[[Any], str]


def fuzz(target: Target, count: int, seed: int, folder: Path) -> dict[str, object]:
    """Give `count` damaged inputs to a target; what was measured."""
    prepared, random = target.prepare(folder), Random(f"{target.name} {seed}")
    accepted, slowest, used = 0, 0.0, 0.0
    before = resident_mb()
    for number in range(count + WARM_UP):
        if number == WARM_UP:
            before = reset_peak()
        if number % HANG_INPUTS == 0:
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        given = target.damage(prepared, random, folder)
        started = time.process_time()
        accepted += attempt(target, given, random, f"input {number} of {target.name}, seed {seed}")
        seconds = time.process_time() - started
        used, slowest = used + seconds, max(slowest, seconds)
        grown = peak_mb() - before
        if seconds > MOST_SECONDS or grown > MOST_GROWTH_MB:
            taken = f"{seconds:.2f} s and {grown:.0f} MB"
            raise SystemExit(f"input {number} of {target.name}, seed {seed} took {taken}: {target.keep(given)}")
    faulthandler.cancel_dump_traceback_later()
    return {
        "target": target.name,
        "inputs": count,
        "accepted": accepted,
        "slowest_ms": round(1e3 * slowest, 2),
        "mean_ms": round(1e3 * used / (count + WARM_UP), 3),
        "growth_mb": round(peak_mb() - before, 1),
    }


def attempt(target: Target, given: Any, random: Random, which: str) -> bool:
    """Whether an input is accepted; what is refused is refused in one sentence that can be shown anywhere."""
    try:
        return target.read(given, random)
    except target.refusals as error:
        told = str(error)
        shown = type(error) in target.refusals and told.strip() and told.isprintable() and len(told) < LONGEST_SENTENCE
        if not shown:
            print(
                f"{which} is refused with {type(error).__name__} {told[:3000]!r}: {target.keep(given)}", file=sys.stderr
            )
            raise
        return False
    except BaseException:
        print(f"{which}: {target.keep(given)}", file=sys.stderr)
        raise


def resident_mb() -> float:
    """The process's resident memory now."""
    return _status("VmRSS")


def peak_mb() -> float:
    """The most resident memory since `reset_peak`."""
    return _status("VmHWM")


def reset_peak() -> float:
    """Let the peak begin anew (Linux); the resident memory now."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident_mb()


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024.0
    raise RuntimeError(f"/proc/self/status has no {key}")

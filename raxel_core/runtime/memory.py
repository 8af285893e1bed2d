"""How much memory there is, asked before it is taken: one sentence instead of an allocator's error after a minute."""

from __future__ import annotations

from pathlib import Path

import psutil  # comes with accelerate

# What the rest of the system and the work between two questions may need.
_KEPT_FREE = 256 * 2**20
# The bound that a container sets for its processes, and what they have taken of it (Linux, cgroup 2).
_BOUND, _TAKEN = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def free_memory() -> int:
    """Bytes that this process can still take: the machine's, or its container's where that has less."""
    machine = psutil.virtual_memory().available
    try:
        bound, taken = _BOUND.read_text().strip(), int(_TAKEN.read_text())
    except (OSError, ValueError):
        return machine
    return min(machine, max(int(bound) - taken, 0)) if bound.isdecimal() else machine


def ask_memory(
    work: str, needed: float, *, free: int | None = None, advice: str = "take fewer or smaller frames"
) -> None:
    """ValueError in one sentence where `work` needs more than there is: `needed` bytes at its peak, `free` by default
    what `free_memory` says. The sentence names both and ends with `advice`."""
    there = free_memory() if free is None else free
    if needed > there - _KEPT_FREE:
        raise ValueError(
            f"{work} would need {_size(needed)} of memory, and {_size(max(there - _KEPT_FREE, 0))} are free: {advice}"
        )


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"

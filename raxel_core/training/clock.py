"""What the parts of a training step cost, in processor time of this process, whatever else the machine does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False)
class Clock:
    """Adds up the processor seconds of named parts, all threads together, until they are read off."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what runs inside as `name`."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start

    def read(self, clips: int) -> dict[str, float]:
        """Processor milliseconds of each part per clip, over `clips` clips, and all of them; then it starts anew."""
        parts = {name: 1000 * seconds / clips for name, seconds in self.seconds.items()}
        self.seconds = {}
        return parts | {"step": sum(parts.values())}

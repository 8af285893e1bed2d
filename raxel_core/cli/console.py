"""What the commands show: a progress bar on stderr, results on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

WIDTH = 30
_REDRAW_SECONDS = 0.1


def progress_bar(label: str) -> Callable[[int, int], None]:
    """A progress callback `(done, total)` that draws one line on stderr; silent when stderr is no terminal."""
    started = time.monotonic()
    drawn = 0.0

    def draw(done: int, total: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if not sys.stderr.isatty() or (done < total and now - drawn < _REDRAW_SECONDS):
            return
        drawn = now
        filled = WIDTH * done // max(total, 1)
        bar = "#" * filled + "." * (WIDTH - filled)
        end = "\n" if done >= total else ""
        print(f"\r{label} [{bar}] {done}/{total} {now - started:.1f} s", end=end, file=sys.stderr, flush=True)

    return draw


def show(body: Mapping[str, object], text: str, *, as_json: bool) -> None:
    """Print a result: `body` as strict JSON for machines, otherwise `text` for people."""
    from ..evaluation.report import to_json

    print(to_json(body) if as_json else text)


def say(message: str) -> None:
    """Tell the user something that is no result, on stderr."""
    print(f"raxel: {message}", file=sys.stderr)

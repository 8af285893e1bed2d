"""What the commands show: a progress bar on stderr, results on stdout, paths as a picture."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..geometry.trajectory import Trajectory

from ..strict_json import escaped, printable

WIDTH = 30
_REDRAW_SECONDS = 0.1
_LOG_SECONDS = 10.0
# What PyTorch says on a GPU and on the CPU; it has an exception of its own for the first only.
_OUT_OF_MEMORY = ("out of memory", "DefaultCPUAllocator")


def progress_bar(label: str) -> Callable[[int, int], None]:
    """A progress callback `(done, total)` that draws one line on stderr, again and again; where stderr is no terminal,
    a line of its own every few seconds, so that a log says how far a long run is and a short one says nothing."""
    started, drawn = time.monotonic(), 0.0

    def draw(done: int, total: int) -> None:
        nonlocal drawn
        now, terminal = time.monotonic(), sys.stderr.isatty()
        early = now - drawn < _REDRAW_SECONDS and done < total if terminal else now - max(drawn, started) < _LOG_SECONDS
        if early or not _speaks():
            return
        drawn = now
        if terminal:
            filled = WIDTH * done // max(total, 1)
            line = f"\r{label} [{'#' * filled + '.' * (WIDTH - filled)}] {done}/{total} {now - started:.1f} s"
            print(line, end="\n" if done >= total else "", file=sys.stderr, flush=True)
        else:
            print(f"raxel: {label} {done}/{total}, {now - started:.0f} s", file=sys.stderr, flush=True)

    return draw


def show(body: Mapping[str, object], text: str, *, as_json: bool) -> None:
    """Print a result, once for all processes: `body` as strict JSON for machines, otherwise `text` for people. Whether
    it is read to its end does not matter."""
    from ..evaluation.report import to_json

    if not _speaks():
        return
    try:
        print(to_json(body) if as_json else escaped(text), flush=True)
    except BrokenPipeError:  # `head` has enough; Python would try once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(message: str) -> None:
    """Tell the user something that is no result, on stderr, once for all processes."""
    if _speaks():
        print(f"raxel: {escaped(message)}", file=sys.stderr)


def sentence(error: Exception) -> str | None:
    """What to tell the user of an error of theirs or of their machine; None of one of ours."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{printable(error.filename, 200)}: {error.strerror}"
    if isinstance(error, (ValueError, OSError)):
        return printable(error)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        return "there is not enough memory: use fewer frames, smaller pictures, a smaller batch or another --device"
    return None


def write_plot(path: Path, trajectories: dict[str, Trajectory]) -> None:
    """Draw camera paths into a PNG."""
    from ..drawing.plot import draw_trajectories, image_from_picture
    from ..video_io import write_image

    write_image(path, image_from_picture(draw_trajectories(trajectories)))


def _speaks() -> bool:
    """Whether this is the process of those a launcher has started that speaks to the user."""
    from ..runtime.processes import is_first_process

    return is_first_process()

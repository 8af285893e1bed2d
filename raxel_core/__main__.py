"""The command line: `python -m raxel_core COMMAND`."""

from __future__ import annotations

import os
import signal
import sys

INTERRUPTED = 130


def main() -> int:
    """Run one command; its exit code, or 130 with one line when the user interrupts it, at whatever moment."""
    try:
        from .cli import main as run  # inside the try, since it takes a while

        return run()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C is as impatient and no news
        print("raxel: interrupted", file=sys.stderr, flush=True)
        return INTERRUPTED


if __name__ == "__main__":
    code = main()
    if code == INTERRUPTED:
        sys.stdout.flush()
        os._exit(code)  # what a library does at the end could only add a traceback
    sys.exit(code)

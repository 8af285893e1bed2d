"""The command line: `python -m raxel_core COMMAND`. Whatever is imported is imported where Ctrl-C is one line."""

INTERRUPTED = 130


def main() -> int:
    """Run one command; its exit code, or 130 with one line when the user interrupts it, at whatever moment."""
    try:
        import signal

        from .cli import main as run

        code = run()
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _stop)  # what a library does at the end could only add a traceback
        return code
    except KeyboardInterrupt:
        return _told()


def _told() -> int:
    """Say that the user has interrupted the command; the exit code."""
    import signal
    import sys

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C is as impatient and no news
    print("raxel: interrupted", file=sys.stderr, flush=True)
    return INTERRUPTED


def _stop(*_: object) -> None:
    """End the process at once."""
    import os
    import sys

    code = _told()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    import sys

    code = main()
    if code == INTERRUPTED:
        import os

        sys.stdout.flush()
        os._exit(code)  # as in _stop
    sys.exit(code)

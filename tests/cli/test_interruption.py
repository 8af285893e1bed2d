"""Ctrl-C at whatever moment: one line, exit code 130."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The command line with an import of torch that takes its time, so that every moment of a start can be met.
SLOW_START = """
import sys, time
sys.modules.pop("signal", None)
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            print("here", flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow())
sys.argv = ["raxel", "demo", "--out", {out!r}]
import runpy
runpy.run_module("raxel_core", run_name="__main__")
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent to processes")


def started(code):
    """Python at `code`, which has come to its slow import. A shell's background job ignores Ctrl-C: not this one."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline() == "here\n"
    return process


IMPORTED = [
    "raxel_core.pipeline",
    "signal",  # the first that the command line imports
    *(pytest.param(m, marks=pytest.mark.slow) for m in ("raxel_core.cli", "raxel_core.cli.pose", "torch")),
]


@pytest.mark.slow
@pytest.mark.parametrize("module", IMPORTED)
def test_an_interrupt_while_it_starts_is_one_line(tmp_path, module):
    code = SLOW_START.format(module=module, out=str(tmp_path / "out"))
    process = started(code)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, "raxel: interrupted\n")


ENDING = """
import sys, time, types
sys.modules["raxel_core.cli"] = types.SimpleNamespace(main=lambda: 0)
import atexit, runpy
atexit.register(lambda: (print("here", flush=True), time.sleep(30)))
runpy.run_module("raxel_core", run_name="__main__")
"""


def test_an_interrupt_while_it_ends_is_one_line():
    """What libraries do at the end of the process would answer with a traceback of their own."""
    process = started(ENDING)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, "raxel: interrupted\n")


@pytest.mark.slow
def test_two_interrupts_in_a_row_are_one_line_too(tmp_path):
    code = SLOW_START.format(module="torch", out=str(tmp_path / "out"))
    process = started(code)
    process.send_signal(signal.SIGINT)
    told = process.stderr.readline()
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    assert (process.returncode, told + process.stderr.read()) == (130, "raxel: interrupted\n")

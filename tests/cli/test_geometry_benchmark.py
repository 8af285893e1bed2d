"""The geometry benchmark: what its rows say, that peers are never left out in silence, and that it runs."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch

from raxel_core.benchmarks.geometry import GeometryRow, print_geometry_benchmark, run_geometry_benchmark


def test_a_row_says_what_was_measured(capsys):
    rows = [
        GeometryRow("fast", 2.0, "a peer", 30.0, "10 times as fast", True),
        GeometryRow("slow", 4.0, goal="at most 2.5 ms", met=False),
        GeometryRow("absent", skipped="there is no peer"),
    ]
    print_geometry_benchmark(rows)
    lines = capsys.readouterr().out.splitlines()
    assert "2.00 ms" in lines[0] and "a peer 30.00 ms: theirs is 15 times ours" in lines[0] and "met" in lines[0]
    assert "NOT met" in lines[1]
    assert lines[2].endswith("SKIPPED: there is no peer")
    assert [row.ratio for row in rows] == [15.0, None, None]


@pytest.mark.by_hand
def test_every_figure_is_measured_or_skipped_aloud(monkeypatch):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    threads = torch.get_num_threads()
    rows = run_geometry_benchmark(repeats=1)
    assert torch.get_num_threads() == threads
    for module in ("scipy", "roma", "pytorch3d", "evo"):
        (row,) = [row for row in rows if row.what.split(", ")[-1].split()[0] == module]
        assert bool(row.skipped) == (importlib.util.find_spec(module) is None)
    assert all(bool(row.skipped) != (row.milliseconds is not None) for row in rows)
    assert any(row.what == "import of the pack" and row.milliseconds for row in rows)
    assert not [name for name in sys.modules if name.startswith("raxel_start_measured")]

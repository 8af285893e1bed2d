"""One clip over several processes: the result is that of one process, and the work is shared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch

from raxel_core.cli import main
from raxel_core.paths.camera_path import path_from_json
from raxel_core.video_io import write_video
from tests.model.sequence_process import CASES
from tests.moving_scene import moving_scene
from tests.small_checkpoint import save_small_checkpoint

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5


def launch(processes: int, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with `arguments` in several processes on one thread each, and wait for them."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment},
    )


@cache
def compared(processes: int) -> list[dict]:
    """What each of the processes found when it compared the shared work with its own."""
    done = launch(processes, str(ROOT / "tests" / "model" / "sequence_process.py"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("processes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_shared_clip_is_the_clip_of_one_process(processes: int) -> None:
    for found in compared(processes):
        heads, gradient = found["refused"]
        assert f"at most 1 processes, not {processes}" in heads
        assert "no gradient" in gradient
        for name in CASES:
            assert found[name]["worst"] < TOLERANCE < 0.1 < found[name]["spread"]


def test_each_process_attends_with_its_heads_to_all_tokens() -> None:
    for heads, found in zip((2, 3), compared(2), strict=True):  # of 5
        # 4 frames of 3 x 5 tokens and 3 of 2 x 2: within the streams, then across; then the text of 7 tokens, of which
        # each process reads all with all heads, for its own 7 or 8 tokens of each frame.
        within, across = [[[heads, 60], [heads, 60]], [[heads, 12], [heads, 12]]], [[60, 12], [12, 60]]
        text = [[5, 4 * (7 if heads == 2 else 8)], [5, 7]]
        expected = [*within, *([[heads, q], [heads, k]] for q, k in across), text]
        assert found["tokens do not divide"]["seen"] == expected


@pytest.mark.slow
def test_pose_of_one_video_in_two_processes(tmp_path: Path, capsys) -> None:
    video, fps = moving_scene()
    write_video(tmp_path / "clip.mp4", video, fps=fps)
    alone, shared = tmp_path / "alone.json", tmp_path / "shared.json"
    assert main(["pose", str(tmp_path / "clip.mp4"), "--out", str(alone)]) == 0
    capsys.readouterr()
    done = launch(2, "-m", "raxel_core", "pose", str(tmp_path / "clip.mp4"), "--out", str(shared), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == video.shape[1]  # one result, though two processes ran
    expected, found = (path_from_json(path.read_text()).camera for path in (alone, shared))
    torch.testing.assert_close(found.world_from_cam, expected.world_from_cam, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(found.K, expected.K, rtol=TOLERANCE, atol=0)


@pytest.mark.slow
def test_more_processes_than_heads_are_refused(tmp_path: Path) -> None:
    video, fps = moving_scene()
    write_video(tmp_path / "clip.mp4", video, fps=fps)
    model, vae = save_small_checkpoint(tmp_path)
    arguments = ["pose", str(tmp_path / "clip.mp4"), "--model", str(model), "--vae", str(vae)]
    done = launch(3, "-m", "raxel_core", *arguments)
    assert done.returncode != 0
    assert "raxel: 2 heads and frames of 8x12 and 4x6 tokens can be spread over at most 2 processes" in done.stderr

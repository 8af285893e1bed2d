"""What the queue keeps: a ComfyUI that runs and cancels a graph of the nodes over and over grows by nothing to speak of.

ComfyUI runs with --cache-classic. Its default, the RAM pressure cache, keeps the key of each node that was queued and
not run, and so grows by them with any nodes, of its own as well: with every interrupted run, and with every node that
nothing is connected to.
"""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from statistics import median

import pytest
import torch
from safetensors.torch import save_file

from tests.in_comfy.comfy_server import ComfyServer, comfy_roots, interpreter_of
from tests.small_checkpoint import FRAMES, HW, MODEL_NAME, save_small_checkpoint

RUNS, FILLING, EVERY = 150, 50, 10
MOST_KB = 10.0

pytestmark = [
    pytest.mark.by_hand,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured through Linux's /proc"),
    pytest.mark.skipif(not comfy_roots(), reason="no ComfyUI found"),
]


@pytest.fixture
def comfy(tmp_path):
    """A ComfyUI of its own, which drops what a run before left."""
    root = comfy_roots()[0]
    save_small_checkpoint(tmp_path / "models")
    server = ComfyServer.start(root, interpreter_of(root), tmp_path, "--cache-classic")
    clip = torch.rand(FRAMES, *HW, 3, generator=torch.Generator().manual_seed(1))
    save_file({"image": clip}, tmp_path / "input" / "clip.safetensors")
    yield server
    server.stop()


def graph(seed, steps):
    """A pose run, and a path through the model's raxels, smoothed, to another pack and to a file: every output in use."""
    model = {"model": ["load", 0], "vae": ["load", 1]}
    move = {"move": "orbit", "amount_degrees": 20.0 + 0.01 * seed, "easing": "smooth"}
    nodes = {
        "load": ("LoadRaxelModel", {"model_name": f"{MODEL_NAME}.safetensors"}),
        "clip": ("RaxelProbeTensor", {"name": "clip"}),
        "video": ("VAEEncode", {"pixels": ["clip", 0], "vae": ["load", 1]}),
        "pose": (
            "JointSampler",
            {"model": ["load", 0], "task": "pose", "latent": ["video", 0], "seed": seed}
            | {"steps": 2, "ray_steps": steps, "cfg": 1.0},
        ),
        "path": (
            "CameraTrajectoryBuilder",
            {"path": {"plan": {"moves": [move]}}, "frames": FRAMES, "width": HW[1], "height": HW[0]},
        ),
        "rays": ("RaxelEncode", {**model, "trajectory": ["path", 0]}),
        "read": ("RaxelsToPoses", {**model, "latent": ["rays", 0]}),
        "smooth": ("RaxelSmoothTrajectory", {"trajectory": ["read", 0], "seconds": 0.2}),
        "wan": ("RaxelToWanCamera", {"trajectory": ["smooth", 0]}),
        "save": (
            "RaxelSaveCamera",
            {"trajectory": ["smooth", 0], "filename_prefix": "cameras/path", "format": "camera_path"},
        ),
        "read_pose": ("RaxelProbe", {"value": ["pose", 0], "name": "pose"}),
        "read_wan": ("RaxelProbe", {"value": ["wan", 3], "name": "wan"}),
    }
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


def resident_kb(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def slope(sizes):
    """KB a run, the median over all pairs of samples (Theil, Sen): an allocator's single step does not count."""
    return median(
        (later - sizes[n]) / (m - n) / EVERY for n in range(len(sizes)) for m, later in enumerate(sizes) if m > n
    )


def test_the_queue_keeps_nothing_of_runs_and_interrupts(comfy):
    random, ended, sizes = Random(5), [], []
    for run in range(RUNS):
        prompt = comfy.queue(graph(run, random.choice((2, 40, 400))))
        if run % 3:
            time.sleep(random.uniform(0.0, 0.5))
            comfy.post("/interrupt", {})
        outcome = comfy.wait(prompt)
        assert outcome.status != "error", outcome.error
        ended.append(outcome.status)
        if run % EVERY == EVERY - 1:
            comfy.post("/history", {"clear": True})
            sizes.append(resident_kb(comfy))
    print({status: ended.count(status) for status in sorted(set(ended))}, sizes)
    assert ended.count("interrupted") > RUNS / 5
    assert slope(sizes[FILLING // EVERY :]) < MOST_KB

"""The benchmark of the network: what it counts, what it compares with, and that its code for a GPU runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop

from raxel_core.benchmarks import model as benchmark
from raxel_core.benchmarks.checkpoint import print_checkpoint_benchmark, run_checkpoint_benchmark
from raxel_core.benchmarks.flops import raxel_flops, wan_flops
from raxel_core.benchmarks.model import Measured, StepRow, Workload, print_model_benchmark
from raxel_core.cli import main
from raxel_core.model import WAN_14B, RaxelConfig, RaxelTransformer
from raxel_core.runtime.offload import demand
from tests.in_comfy.comfy_server import comfy_roots, interpreter_of

ROOT = Path(__file__).resolve().parents[2]
VIDEO_81 = (21, 30, 52)
SMALL = RaxelConfig(dim=48, ffn_dim=80, layers=2, heads=4, in_channels=6, text_dim=20, freq_dim=16)
TINY = Workload("tiny", SMALL, frames=9, hw=(64, 96), dtype=torch.float32, text_tokens=5)


def by_products(q, k, v):
    """Attention as two products, which PyTorch's counter knows on every device."""
    return (q @ k.mT).softmax(-1) @ v


def counted(config, video, rays, text_tokens):
    """Operations that PyTorch counts while our network runs on tensors without numbers."""
    with FakeTensorMode(), torch.no_grad():
        model = RaxelTransformer(config, attention=by_products)
        latents = [torch.empty(1, config.in_channels, t, 2 * y, 2 * x) for t, y, x in (video, rays)]
        sigmas = [torch.zeros(1, x.shape[2]) for x in latents]
        text = torch.empty(1, text_tokens, config.text_dim) if text_tokens else None
        with FlopCounterMode(display=False) as counter:
            model(*latents, *sigmas, text=text)
    return counter.get_total_flops()


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, attention="joint"), replace(SMALL, inter="new")])
@pytest.mark.parametrize("text_tokens", [0, 7])
def test_operations_are_those_that_pytorch_counts(config, text_tokens):
    grids = (3, 4, 6), (2, 2, 3)
    assert raxel_flops(config, *grids, text_tokens) == counted(config, *grids, text_tokens)


@pytest.mark.slow
def test_operations_of_the_14b_are_those_that_pytorch_counts():
    grids = VIDEO_81, (21, 15, 26)
    assert raxel_flops(WAN_14B, *grids, 512) == counted(WAN_14B, *grids, 512)


def test_operations_of_wan_are_those_that_pytorch_counts():
    with FakeTensorMode(), torch.no_grad():
        wan = benchmark._diffusers_wan(TINY, torch.device("cpu"))
        counter = FlopCounterMode(
            display=False,
            custom_mapping={
                torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop(q, k, v)
            },
        )
        with counter:
            wan(torch.empty(1, 6, 3, 8, 12), torch.zeros(1), torch.empty(1, 5, 20))
    assert wan_flops(SMALL, (3, 4, 6), 5) == counter.get_total_flops()


# Raxel image -> ray tokens: petaFLOP of one forward pass beside 81 frames of 480 x 832, with the inter-modal stage
# projecting again ("sequential") and joint, from the table of costs this network was designed by. That table lets
# the rays read the text, too; ours do not.
COSTS = {(30, 52): (5.66, 5.11), (15, 26): (2.72, 2.37), (8, 13): (2.15, 1.85), (4, 7): (2.00, 1.72)}


@pytest.mark.parametrize("rays", COSTS)
def test_operations_of_the_14b_are_the_table_of_costs(rays):
    tokens = 21 * rays[0] * rays[1]
    text_of_rays = 40 * (2 * 2 * 5120 * 5120 * tokens + 4 * 512 * 5120 * tokens)
    for attention, petaflop in zip(("dsca", "joint"), COSTS[rays], strict=True):
        config = replace(WAN_14B, attention=attention)
        assert raxel_flops(config, VIDEO_81, (21, *rays), 512) + text_of_rays == pytest.approx(
            petaflop * 1e15, abs=0.005e15
        )
    assert wan_flops(WAN_14B, VIDEO_81, 512) == pytest.approx(1.68e15, abs=0.005e15)


def test_the_14b_workload_has_the_tokens_of_the_table():
    full, short = benchmark.ON_GPU
    assert full.grids() == (VIDEO_81, (21, 15, 26))
    assert short.grids() == ((13, 30, 52), (13, 15, 26))


def test_a_plucker_model_is_not_counted():
    with pytest.raises(ValueError, match="not for a Plücker model"):
        raxel_flops(replace(SMALL, ray_representation="plucker"), (1, 2, 2), (1, 2, 2), 0)


def test_a_row_compares_the_time_for_an_operation(capsys):
    # We take 3 s for 2 TFLOP and the peer 1 s for 1 TFLOP: 1.5 times as long for each.
    row = StepRow("w", "ours", Measured(3.0, 2 * 10**12, 10**9), "peer", Measured(1.0, 10**12, None), 4e12)
    assert row.ratio == pytest.approx(1.5)
    assert row.of_peak(row.ours) == pytest.approx(1 / 6)
    print_model_benchmark([row, StepRow("x", skipped="too little memory")])
    what, ours, peer, ratio, _, skipped = capsys.readouterr().out.splitlines()
    assert "3.000 s" in ours and "17% of the bf16 matrix peak" in ours and "1.00 GB" in ours
    assert "1.000 s" in peer and "25%" in peer and "GB" not in peer
    assert "1.500, goal at most 1.05: NOT met" in ratio
    assert "SKIPPED: too little memory" in skipped


def test_tiny_steps_are_measured_beside_diffusers(monkeypatch, capsys):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    monkeypatch.setattr(benchmark, "ON_CPU", (TINY,))
    assert main(["benchmark", "model", "--device", "cpu", "--repeats", "2", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["peer"] == "diffusers' Wan"
    assert row["ours"]["flops"] == counted(SMALL, (3, 4, 6), (3, 2, 3), 5)
    weights = sum(4 * x.numel() for x in RaxelTransformer(SMALL, device="meta").parameters())
    assert weights <= row["ours"]["peak_bytes"] < weights + 10**8
    operations = row["ours"]["flops"] / row["theirs"]["flops"]
    assert row["ratio"] == pytest.approx(row["ours"]["seconds"] / row["theirs"]["seconds"] / operations)
    assert 0 < row["share_of_matrix_peak"]["ours"] < 1


@pytest.mark.slow
def test_tiny_steps_are_measured_beside_comfyui():
    root = next(iter(comfy_roots()), None)
    python = interpreter_of(root) if root else None
    if python is None:
        pytest.skip("no ComfyUI with its own interpreter (set COMFYUI_PATH)")
    done = subprocess.run(
        [python, "-c", SCRIPT, ROOT], capture_output=True, text=True, timeout=120,
        env={**os.environ, "COMFYUI_PATH": str(root), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    missing = re.search(r"ModuleNotFoundError: No module named '(\w+)", done.stderr)
    if missing and missing[1] != "raxel_core":
        pytest.skip(f"the ComfyUI at {root} cannot be imported: its Python has no {missing[1]}")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout.splitlines()[-1])
    assert row["peer"] == "ComfyUI's Wan" and row["theirs"]["seconds"] > 0
    assert row["theirs"]["flops"] == wan_flops(SMALL, (3, 4, 6), 5)


SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv.pop(1))
import torch
from raxel_core.benchmarks.model import Workload, row_values, run_model_benchmark
from raxel_core.model import RaxelConfig
config = RaxelConfig(dim=48, ffn_dim=80, layers=2, heads=4, in_channels=6, text_dim=20, freq_dim=16)
work = Workload("tiny", config, frames=9, hw=(64, 96), dtype=torch.float32, text_tokens=5)
print(json.dumps([row_values(row) for row in run_model_benchmark(repeats=1, workloads=[work])], default=str))
"""


def test_a_missing_comfyui_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    monkeypatch.setattr(benchmark, "ON_CPU", (TINY,))
    assert main(["benchmark", "model", "--device", "cpu", "--repeats", "1"]) == 2
    assert "ComfyUI in COMFYUI_PATH cannot be imported" in capsys.readouterr().err


MEASURE_200_MB = """
import torch
from raxel_core.benchmarks import model as benchmark

def step():
    big = torch.ones(50_000_000)
    return big[:1].clone()

print(benchmark._first_run(torch.nn.Identity(), step, torch.device("cpu"))[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="/proc is Linux's")
def test_memory_of_a_step_is_its_peak():
    # in a process of its own, as the command is: one that has freed much may need no new memory at all
    done = subprocess.run([sys.executable, "-c", MEASURE_200_MB], capture_output=True, text=True, check=True)
    assert 195e6 < int(done.stdout) < 260e6


def test_streamed_steps_are_measured_beside_resident_ones(monkeypatch):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    workload, cpu = replace(TINY, config=replace(SMALL, layers=5)), torch.device("cpu")
    resident, output = benchmark._resident_row(workload, cpu, 1)
    model, _ = benchmark._our_step(workload, cpu)
    need = demand(model, tokens=3 * 24 + 3 * 6)
    cap = need.rest + need.working + 4 * need.block  # two blocks stay, two more find room for those that come and go
    row = benchmark._streamed_row(workload, cpu, 1, resident, output, cap=cap)
    assert "2 of 5 blocks resident" in row.what
    assert row.same_bits
    assert row.theirs is resident.ours and row.ours.flops == resident.ours.flops
    assert not benchmark._streamed_row(workload, cpu, 1, resident, output + 1e-6, cap=cap).same_bits
    small = benchmark._streamed_row(workload, cpu, 1, resident, output, cap=need.rest)
    assert "too little" in small.skipped and small.ours is None


def test_opening_a_sparse_checkpoint_is_measured(capsys):
    opening = run_checkpoint_benchmark(repeats=2, config=WAN_14B)
    assert opening.file_bytes > 40e9
    assert opening.largest_bytes == 2 * 6 * 5120 * 5120  # the time projection
    assert 0 < opening.seconds <= opening.first_seconds
    assert opening.private_bytes is None or opening.private_bytes < opening.largest_bytes
    slow, large = replace(opening, seconds=0.051), replace(opening, private_bytes=opening.largest_bytes + 1)
    assert not slow.met and not large.met
    print_checkpoint_benchmark(slow)
    assert "51.0 ms" in capsys.readouterr().out


class FakeCuda:
    """A GPU of 80 GB in the words of torch.cuda, and what was asked of it."""

    def __init__(self, monkeypatch):
        self.asked = []
        monkeypatch.setattr(benchmark, "_is_cuda", lambda device: True)
        for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
            monkeypatch.setattr(torch.cuda, name, lambda *_, name=name: self.asked.append(name))
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: 7 * 10**9)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: SimpleNamespace(total_memory=80 * 10**9))
        monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda part, *_: self.asked.append(part))


def test_the_code_for_a_gpu_runs(monkeypatch):
    # On the CPU's tensors: there is no GPU in most places where tests run.
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    gpu = FakeCuda(monkeypatch)
    monkeypatch.setattr(benchmark, "VRAM_CAPS", (8 * 10**9, 96 * 10**9))
    monkeypatch.setattr(benchmark, "ON_GPU", (TINY,))
    monkeypatch.setattr(benchmark, "matrix_peak", lambda device: 1e9)
    resident, capped, absent = benchmark.run_model_benchmark(device="cpu", repeats=2)
    assert resident.ours.peak_bytes == resident.theirs.peak_bytes == 7 * 10**9
    assert capped.same_bits and capped.goal == pytest.approx(1 / 0.97) and capped.peer == "raxel, resident"
    assert absent.skipped == "cpu has 80.0 GB"
    assert [each for each in gpu.asked if isinstance(each, float)] == [0.1, 1.0]
    starts = [n for n, each in enumerate(gpu.asked) if each == "reset_peak_memory_stats"]
    waits = [gpu.asked[a:b].count("synchronize") for a, b in pairwise([*starts, len(gpu.asked)])]
    assert waits == [6, 6, 6]  # before and after each of three runs of each of three models, one model after the other


def test_memory_that_does_not_suffice_is_reported(monkeypatch):
    def too_large(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(benchmark, "_our_step", too_large)
    row, output = benchmark._resident_row(TINY, torch.device("cpu"), 1)
    assert "too little memory" in row.skipped and output is None
    row = benchmark._streamed_row(TINY, torch.device("cpu"), 1, row, output, cap=10**9)
    assert "out of memory" in row.skipped and row.ratio is None

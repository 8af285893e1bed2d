"""How fast one step of the network is, beside Wan's own model at the same shapes in the same process.

The network does more than Wan's: it has a second stream. What is compared is the time for each operation, so the goal
is a step of at most 1.05 x (our operations / Wan's) x Wan's step. Both models are filled with random numbers of
the same spread and use PyTorch's fused attention. Wan's model is ComfyUI's where the environment variable COMFYUI_PATH
names a folder that holds ComfyUI (run this with ComfyUI's own interpreter), diffusers' otherwise.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..latents.clip_sizes import raxel_hw
from ..model.config import WAN_1_3B, WAN_14B, RaxelConfig
from ..model.transformer import RaxelTransformer
from ..runtime.offload import demand, place
from .comfyui import comfyui_folder, importable, keep_comfyui_on_the_cpu
from .flops import Grid, raxel_flops, wan_flops

STEP_GOAL, STREAMED_GOAL = 1.05, 1 / 0.97
PEAK_GOAL = 0.55  # of a GPU's matrix peak
VRAM_CAPS = (24 * 10**9, 16 * 10**9, 12 * 10**9)
VAE_STRIDE = 8
_SPREAD = 0.02
Step = Callable[[], Tensor]


class _Run(NamedTuple):
    """What came of running a step several times."""

    seconds: float  # of the shortest
    peak_bytes: int | None
    output: Tensor  # on the CPU


@dataclass(frozen=True)
class Workload:
    """One step to measure: a network of `config` in `dtype`, for a clip of `frames` of `hw` pixels and a prompt."""

    what: str
    config: RaxelConfig
    frames: int
    hw: tuple[int, int]
    dtype: torch.dtype = torch.bfloat16
    text_tokens: int = 512

    def grids(self) -> tuple[Grid, Grid]:
        """Tokens (T, rows, columns) of the video, and of the rays at half the video's resolution."""
        frames = (self.frames - 1) // 4 + 1
        cell = [VAE_STRIDE * patch for patch in self.config.patch[1:]]
        video, rays = ((hw[0] // cell[0], hw[1] // cell[1]) for hw in (self.hw, raxel_hw(self.hw)))
        return (frames, *video), (frames, *rays)


@dataclass(frozen=True)
class Measured:
    """One model's step: the shortest of several in `seconds`, its operations, and the most memory it needed.

    On a GPU that memory is what tensors took at the peak, weights included; on a CPU the weights and what the resident
    memory of the process grew by in the first step, None where the system does not tell.
    """

    seconds: float
    flops: int
    peak_bytes: int | None


@dataclass(frozen=True)
class StepRow:
    """A workload's step by `name` (us, resident or streamed) and by `peer` (Wan, or us resident).

    `matrix_peak` is the device's, in operations a second; `same_bits` says of streamed weights whether their step gave
    what the resident ones gave. A row that could not be measured says why in `skipped`.
    """

    what: str
    name: str = ""
    ours: Measured | None = None
    peer: str = ""
    theirs: Measured | None = None
    matrix_peak: float | None = None
    goal: float = STEP_GOAL
    peak_goal: float | None = None
    same_bits: bool | None = None
    skipped: str = ""

    @property
    def ratio(self) -> float | None:
        """Our time for an operation over the peer's: at most `goal` is what is wanted."""
        if self.ours is None or self.theirs is None:
            return None
        return self.ours.seconds / (self.ours.flops / self.theirs.flops * self.theirs.seconds)

    def of_peak(self, measured: Measured) -> float:
        """The share of the matrix peak that a step reaches."""
        assert self.matrix_peak is not None
        return measured.flops / measured.seconds / self.matrix_peak


SMALL = replace(WAN_1_3B, layers=2)
ON_CPU = (
    Workload("1.3B width, 2 layers, 240x416, 9 frames, float32", SMALL, 9, (240, 416), torch.float32),
    Workload("1.3B width, 2 layers, 240x416, 9 frames, bfloat16", SMALL, 9, (240, 416)),
)
ON_GPU = (
    Workload("14B, 480x832, 81 frames, bfloat16", WAN_14B, 81, (480, 832)),
    Workload("14B, 480x832, 49 frames, bfloat16", WAN_14B, 49, (480, 832)),
)


def run_model_benchmark(
    *, device: torch.device | str = "cpu", repeats: int = 5, workloads: Sequence[Workload] | None = None
) -> list[StepRow]:
    """Measure one step of each workload, the shortest of `repeats`: small ones on a CPU, the 14B's on a GPU.

    On a GPU each is measured with streamed weights, too, within `VRAM_CAPS`. What the memory cannot hold is reported
    as skipped.
    """
    device = torch.device(device)
    if workloads is None:
        workloads = ON_GPU if _is_cuda(device) else ON_CPU
    peak, rows = matrix_peak(device), []
    for workload in workloads:
        resident, output = _resident_row(workload, device, repeats)
        rows.append(resident)
        for cap in VRAM_CAPS if _is_cuda(device) else ():
            rows.append(_streamed_row(workload, device, repeats, resident, output, cap=cap))
        peak = max(peak, matrix_peak(device))  # others may use a CPU at one moment and not at another
    return [replace(row, matrix_peak=peak) for row in rows]


def matrix_peak(device: torch.device) -> float:
    """Operations a second of the best of many products of two bfloat16 matrices.

    On a CPU they are small, so that some are done before another process has its turn.
    """
    size = 8192 if _is_cuda(device) else 1024
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = min(_timed(lambda: a @ b.T, device)[0] for _ in range(50))
    return 2 * size**3 / seconds


def print_model_benchmark(rows: Sequence[StepRow]) -> None:
    """Print `rows`, skipped ones with their reason."""
    for row in rows:
        print(row.what)
        if row.skipped or row.ours is None:
            print(f"  SKIPPED: {row.skipped}")
            continue
        for name, measured in ((row.name, row.ours), (row.peer, row.theirs)):
            if measured is not None:
                print(f"  {name:<24}{_sentence(row, measured)}")
        if row.peak_goal is not None:
            met = "met" if row.of_peak(row.ours) >= row.peak_goal else "NOT met"
            print(f"  share of the matrix peak: goal at least {100 * row.peak_goal:.0f}%: {met}")
        if row.ratio is not None:
            met = "met" if row.ratio <= row.goal else "NOT met"
            print(f"  time for an operation, ours / {row.peer}: {row.ratio:.3f}, goal at most {row.goal:.3g}: {met}")
        if row.same_bits is not None:
            print(f"  output {'equal to' if row.same_bits else 'DIFFERENT FROM'} that of resident weights, bit by bit")


def row_values(row: StepRow) -> dict[str, object]:
    """A row as JSON has it, its derived figures included."""
    shares = {name: None if m is None else row.of_peak(m) for name, m in (("ours", row.ours), ("theirs", row.theirs))}
    return {**asdict(row), "ratio": row.ratio, "share_of_matrix_peak": shares}


def _sentence(row: StepRow, measured: Measured) -> str:
    memory = "" if measured.peak_bytes is None else f", {measured.peak_bytes / 1e9:.2f} GB"
    return (
        f"{measured.seconds:8.3f} s  {measured.flops / 1e12:10.3f} TFLOP, "
        f"{100 * row.of_peak(measured):.0f}% of the bf16 matrix peak of {row.matrix_peak or 0:.3g} FLOP/s{memory}"
    )


def _resident_row(workload: Workload, device: torch.device, repeats: int) -> tuple[StepRow, Tensor | None]:
    """Our step beside Wan's, and its output: in turns on a CPU, where others use it too, and one after the other on a
    GPU, which has no room for both."""
    peer, build_peer = _peer(workload, device)
    builders = (lambda: _our_step(workload, device), build_peer)
    groups = [builders[:1], builders[1:]] if _is_cuda(device) else [builders]
    runs: list[_Run] = []
    try:
        for group in groups:
            _release(device)
            runs += _measure([build() for build in group], device, repeats)
    except torch.OutOfMemoryError:
        reason = f"{device} has too little memory for the weights and the step"
        return StepRow(workload.what, skipped=reason), None
    video, rays = workload.grids()
    counts = (
        raxel_flops(workload.config, video, rays, workload.text_tokens),
        wan_flops(workload.config, video, workload.text_tokens),
    )
    ours, theirs = (Measured(run.seconds, flops, run.peak_bytes) for run, flops in zip(runs, counts, strict=True))
    goal = PEAK_GOAL if _is_cuda(device) else None
    return StepRow(workload.what, "raxel, resident", ours, peer, theirs, peak_goal=goal), runs[0].output


def _streamed_row(
    workload: Workload, device: torch.device, repeats: int, resident: StepRow, output: Tensor | None, *, cap: int
) -> StepRow:
    """Our step with blocks that wait in RAM, within `cap` bytes of the device, beside the resident one."""
    what, video, rays = f"{workload.what}, within {cap / 1e9:g} GB", *workload.grids()
    _release(device)
    try:
        with _memory_cap(device, cap):
            model, step = _our_step(workload, device, home=torch.device("cpu"))
            stay = place(model, device, cap, demand(model, tokens=prod(video) + prod(rays)))
            (run,) = _measure([(model, step)], device, repeats)
    except (ValueError, torch.OutOfMemoryError) as error:
        return StepRow(what, skipped=str(error).splitlines()[0])
    flops = raxel_flops(workload.config, video, rays, workload.text_tokens)
    return replace(
        resident,
        what=f"{what}, {stay} of {workload.config.layers} blocks resident",
        name="raxel, streamed",
        ours=Measured(run.seconds, flops, run.peak_bytes),
        peer="raxel, resident",
        theirs=resident.ours,
        goal=STREAMED_GOAL,
        peak_goal=None,
        same_bits=None if output is None else torch.equal(run.output, output),
        skipped="",
    )


@contextmanager
def _memory_cap(device: torch.device, cap: int) -> Iterator[None]:
    """Let PyTorch take at most `cap` bytes of a GPU while this lasts; ValueError where it has less."""
    if not _is_cuda(device):
        yield
        return
    total = torch.cuda.get_device_properties(device).total_memory
    if cap > total:
        raise ValueError(f"{device} has {total / 1e9:.1f} GB")
    torch.cuda.set_per_process_memory_fraction(cap / total, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def _measure(steps: Sequence[tuple[nn.Module, Step]], device: torch.device, repeats: int) -> list[_Run]:
    """Each step's shortest time, peak memory and output, in turns; the first run does not count for time."""
    firsts = [_first_run(model, step, device) for model, step in steps]
    times = [[_timed(step, device)[0] for _, step in steps] for _ in range(repeats)]
    return [_Run(min(each), *first) for each, first in zip(zip(*times, strict=True), firsts, strict=True)]


def _first_run(model: nn.Module, step: Step, device: torch.device) -> tuple[int | None, Tensor]:
    """The memory that a step needs, and its output on the CPU."""
    if _is_cuda(device):
        torch.cuda.reset_peak_memory_stats(device)
        _, output = _timed(step, device)
        return torch.cuda.max_memory_allocated(device), output.cpu()
    before = _start_of_peak()
    _, output = _timed(step, device)
    grown = None if before is None else max(0, _status_bytes("VmHWM") - before)
    return None if grown is None else sum(p.nbytes for p in model.parameters()) + grown, output


def _timed(action: Step, device: torch.device) -> tuple[float, Tensor]:
    """Seconds that `action` takes on the device, and what it returns."""
    _wait_for(device)
    started = time.perf_counter()
    with torch.no_grad():
        result = action()
    _wait_for(device)
    return time.perf_counter() - started, result


def _release(device: torch.device) -> None:
    """Give back the memory of models that nobody holds."""
    gc.collect()
    if _is_cuda(device):
        torch.cuda.empty_cache()


def _is_cuda(device: torch.device) -> bool:
    return device.type == "cuda"


def _wait_for(device: torch.device) -> None:
    if _is_cuda(device):
        torch.cuda.synchronize(device)


def _start_of_peak() -> int | None:
    """Make the highest resident memory of this process what it is now, and return that; None where Linux is not."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _our_step(
    workload: Workload, device: torch.device, *, home: torch.device | None = None
) -> tuple[RaxelTransformer, Step]:
    """Our network, its weights at `home` (on the device if None), and one step of it."""
    model = RaxelTransformer(workload.config, device="meta", dtype=workload.dtype)
    _fill_weights(model, device, home=home)
    config = workload.config
    video, rays = (_latents(config, grid, workload.dtype, device) for grid in workload.grids())
    sigmas = [torch.full((1, x.shape[2]), 0.7, device=device) for x in (video, rays)]
    text = _text(workload, device)
    return model, lambda: model(video, rays, *sigmas, text=text)[0]


def _peer(workload: Workload, device: torch.device) -> tuple[str, Callable[[], tuple[nn.Module, Step]]]:
    """The name of Wan's own model, and what builds it and one step of it."""
    folder = comfyui_folder()
    if folder is None:
        return "diffusers' Wan", lambda: _wan_step(_diffusers_wan(workload, device), workload, device)
    return "ComfyUI's Wan", lambda: _wan_step(_comfyui_wan(workload, folder, device), workload, device)


def _wan_step(model: nn.Module, workload: Workload, device: torch.device) -> tuple[nn.Module, Step]:
    video = _latents(workload.config, workload.grids()[0], workload.dtype, device)
    timestep, text = torch.full((1,), 700.0, device=device), _text(workload, device)
    return model, lambda: model(video, timestep, text)[0]  # ComfyUI's first sample, diffusers' only field


def _comfyui_wan(workload: Workload, folder: str, device: torch.device) -> nn.Module:
    """ComfyUI's WanModel; ValueError where COMFYUI_PATH leads to no ComfyUI that can be imported."""
    config = workload.config
    try:
        with importable(folder):
            if device.type == "cpu":
                keep_comfyui_on_the_cpu()
            resolve_name("comfy.cli_args").args.use_pytorch_cross_attention = True
            operations = resolve_name("comfy.ops").disable_weight_init
            module = resolve_name("comfy.ldm.wan.model")
    except ImportError as error:
        raise ValueError(f"ComfyUI in COMFYUI_PATH cannot be imported ({error})") from error
    model = module.WanModel(
        patch_size=config.patch,
        in_dim=config.in_channels,
        out_dim=config.in_channels,
        dim=config.dim,
        ffn_dim=config.ffn_dim,
        freq_dim=config.freq_dim,
        text_dim=config.text_dim,
        num_heads=config.heads,
        num_layers=config.layers,
        eps=config.eps,
        device="meta",
        dtype=workload.dtype,
        operations=operations,
    )
    _fill_weights(model, device)
    return model


def _diffusers_wan(workload: Workload, device: torch.device) -> nn.Module:
    """diffusers' WanTransformer3DModel."""
    from accelerate import init_empty_weights
    from diffusers import WanTransformer3DModel

    config = workload.config
    with init_empty_weights(include_buffers=False):
        model: Any = WanTransformer3DModel(
            patch_size=config.patch,
            num_attention_heads=config.heads,
            attention_head_dim=config.head_dim,
            in_channels=config.in_channels,
            out_channels=config.in_channels,
            text_dim=config.text_dim,
            freq_dim=config.freq_dim,
            ffn_dim=config.ffn_dim,
            num_layers=config.layers,
            eps=config.eps,
        )
    _fill_weights(model, device, dtype=workload.dtype)
    return model


def _fill_weights(
    model: nn.Module, device: torch.device, *, dtype: torch.dtype | None = None, home: torch.device | None = None
) -> None:
    """Give a model that was built on meta random weights of `dtype`, or each of its own, that are drawn on `device`,
    always the same ones, and kept at `home`, or there. Buffers move to `device`."""
    generator = _generator(device)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            weight = torch.empty(parameter.shape, device=device, dtype=dtype or parameter.dtype)
            weight.normal_(0.0, _SPREAD, generator=generator)
            setattr(module, name, nn.Parameter(weight.to(home or device), requires_grad=False))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))
    model.eval()


def _latents(config: RaxelConfig, grid: Grid, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Noise [1, C, T, h, w] of a token grid."""
    shape = [size * patch for size, patch in zip(grid, config.patch, strict=True)]
    return torch.randn(1, config.in_channels, *shape, device=device, dtype=dtype, generator=_generator(device))


def _text(workload: Workload, device: torch.device) -> Tensor:
    """A prompt's embedding [1, M, text_dim], of noise."""
    shape = (1, workload.text_tokens, workload.config.text_dim or 0)
    return torch.randn(shape, device=device, dtype=workload.dtype, generator=_generator(device))


def _generator(device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(0)

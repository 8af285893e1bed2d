"""What a run will need of each GPU, and for how long: its memory and its arithmetic, known before its first step.

A network of one and of two blocks is traced without numbers (PyTorch's fake tensors): what autograd keeps of it, and
what FlopCounterMode counts, grow by the same for each block, so that the figures of any depth follow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from ..latents.clip_sizes import raxel_hw
from ..latents.frames import latent_frames
from ..model.attention import Attention
from ..model.config import RaxelConfig
from ..model.transformer import RaxelTransformer
from .config import TrainConfig

Shape = tuple[int, ...]
SOURCES = 1  # frames that are given beside the clip's own, as the traced step has them
_BACKWARD = 2.5  # products of fused attention's backward pass over those of its forward pass
_PROBE_SECONDS = 0.2


@dataclass(frozen=True)
class NetworkCost:
    """What a step of one clip costs a network, all blocks: `saved` bytes that the backward pass needs, of which one
    block's are `block_saved` and its inputs `block_inputs`, and floating-point operations `forward` and `backward`."""

    saved: float
    block_saved: float
    block_inputs: float
    forward: float
    backward: float


@dataclass(frozen=True)
class Budget:
    """Bytes on each GPU, by what they are for, and `operations` of each GPU a step."""

    parameters: int
    processes: int
    sharded: bool
    bytes: dict[str, float]
    operations: float

    @property
    def total(self) -> float:
        """Bytes on each GPU, without the VAE and what PyTorch's allocator leaves unused."""
        return sum(self.bytes.values())

    def lines(self, rate: float) -> list[str]:
        """The budget in words, the time of a step at `rate` operations a second."""
        parts = ", ".join(f"{name} {_size(value)}" for name, value in self.bytes.items())
        how = "sharded over" if self.sharded else "on each of"
        return [
            f"a network of {_count(self.parameters)} parameters, {how} {self.processes} "
            f"process{'' if self.processes == 1 else 'es'}",
            f"memory of each, without its VAE: {_size(self.total)}: {parts}",
            f"a step is {_count(self.operations)} operations of each: {self.operations / rate:.3g} s "
            f"at {_count(rate)} a second, without the VAE, its clips and what processes tell each other",
        ]


def budget_of(config: TrainConfig, *, stride: int, processes: int = 1, sharded: bool = False) -> Budget:
    """What a run of whole weights (not of adapters) needs, its VAE coding `stride` pixels of a side in a cell.

    bf16 runs that are not sharded keep float32 weights and, while a step runs, bf16 copies of them.
    """
    half = config.precision != "no"
    parameters, unit = _sizes(config.model)
    cost = network_cost(config, stride=stride, dtype=torch.bfloat16 if half else torch.float32)
    parts = processes if sharded else 1
    moments = 8 if config.optimizer == "adamw" else 2 if config.optimizer == "adamw_8bit" else 4
    held = {
        "weights": 4 * parameters / parts,
        "gradients": 4 * parameters / parts,
        "moments": moments * parameters / parts,
        "average": 4 * parameters / parts if config.ema else 0.0,
        "copies": _copies(parameters, unit, half=half, processes=processes, sharded=sharded),
        "activations": config.batch * _activations(cost, config),
    }
    again = cost.forward if config.gradient_checkpointing else 0.0
    clips = config.batch * config.batches // processes
    return Budget(parameters, processes, sharded, held, clips * (cost.forward + cost.backward + again))


def _copies(parameters: int, unit: int, *, half: bool, processes: int, sharded: bool) -> float:
    """What a step holds of weights and gradients besides: gathered units and their gradients, autocast's copies, DDP's
    buckets."""
    if sharded:  # two units gathered, the gradients of one as they are and in float32
        return unit * ((2 if half else 4) * 3 + 4)
    return (2 * parameters if half else 0) + (4 * parameters if processes > 1 else 0)


def _activations(cost: NetworkCost, config: TrainConfig) -> float:
    if not config.gradient_checkpointing:
        return cost.saved
    outside = cost.saved - config.model.layers * cost.block_saved
    return outside + config.model.layers * cost.block_inputs + cost.block_saved


def network_cost(config: TrainConfig, *, stride: int, dtype: torch.dtype) -> NetworkCost:
    """What one clip of a run costs its network, in weights of a dtype, with fused attention that keeps no scores."""
    shapes = _shapes(config, stride)
    one, two = (_trace(_traceable(config.model, layers), shapes, dtype) for layers in (1, 2))
    each = [second - first for first, second in zip(one, two, strict=True)]
    whole = [first + (config.model.layers - 1) * more for first, more in zip(one, each, strict=True)]
    patch = config.model.patch[1] * config.model.patch[2]
    streams = shapes[:1] if config.model.ray_representation == "plucker" else shapes  # maps join the video's tokens
    tokens = sum(shape[2] * shape[3] * shape[4] // patch for shape in streams)
    return NetworkCost(whole[0], each[0], tokens * config.model.dim * dtype.itemsize, whole[1], whole[2])


def _traceable(model: RaxelConfig, layers: int) -> RaxelConfig:
    """A network of so many blocks that asks no tensor what it holds: both streams read each other."""
    return replace(model, layers=layers, reads="both")


def _shapes(config: TrainConfig, stride: int) -> tuple[Shape, Shape]:
    """Shapes [1, C, T, h, w] of both streams, with SOURCES given frames."""
    frames, channels = latent_frames(config.frames), config.model.in_channels
    height, width = (side // stride for side in config.hw)
    if config.model.ray_representation == "plucker":
        maps = (1, config.model.ray_channels, frames, height, width)
        return (1, channels, frames + SOURCES, height, width), maps
    rows, columns = (side // stride for side in raxel_hw(config.hw, config.raxel_downscale))
    return (1, channels, frames + SOURCES, height, width), (1, channels, frames, rows, columns)


class _Traced(torch.autograd.Function):
    """Fused attention by what it keeps and computes alone."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = torch.empty_like(q)
        ctx.save_for_backward(q, k, v, out, q.new_empty(q.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, *_ = ctx.saved_tensors
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _counting(found: list[float]) -> Attention:
    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        found.append(4.0 * q.numel() * k.shape[-2])  # two products of [L, d] and [d, M] a head
        return _Traced.apply(q, k, v)

    return attention


@cache
def _trace(config: RaxelConfig, shapes: tuple[Shape, Shape], dtype: torch.dtype) -> tuple[float, float, float]:
    """Saved bytes, operations forward and backward of a network on tensors without numbers."""
    products: list[float] = []
    with FakeTensorMode():
        model = RaxelTransformer(config, attention=_counting(products), dtype=dtype)
        inputs = [torch.empty(shape) for shape in shapes]
        sigmas = [torch.empty(x.shape[0], x.shape[2]) for x in inputs]
        with FlopCounterMode(display=False) as forward, SavedBytes(model) as saved:
            velocity = model(*inputs, *sigmas)
        with FlopCounterMode(display=False) as backward:
            sum(each.sum() for each in velocity).backward()
    attended = sum(products)
    return float(saved.total), forward.get_total_flops() + attended, backward.get_total_flops() + _BACKWARD * attended


class SavedBytes:
    """While the block runs, counts what autograd keeps besides a model's own weights: `total` bytes."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.total = 0
        self._kept: list[torch.UntypedStorage] = []  # held, so that no two of them are one place
        self._seen = {p.untyped_storage()._cdata for p in model.parameters()}
        self._hooks: Any = None

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen.add(storage._cdata)
            self._kept.append(storage)
            self.total += storage.nbytes()
        return tensor

    def __enter__(self) -> SavedBytes:
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)


def _sizes(model: RaxelConfig) -> tuple[int, int]:
    """Parameters of a network, and of its largest unit that is gathered at once: a block, or all outside the blocks."""
    one, two = (
        sum(p.numel() for p in RaxelTransformer(_traceable(model, layers), device="meta").parameters())
        for layers in (1, 2)
    )
    block = two - one
    return one + (model.layers - 1) * block, max(block, one - block)


def matrix_rate(config: TrainConfig, device: torch.device) -> float:
    """Operations a second that a device reaches in the largest matrix product of a run's network, as it computes it."""
    dtype = torch.bfloat16 if config.precision != "no" else torch.float32
    tokens = 4096 if device.type != "cpu" else 256
    a = torch.randn(tokens, config.model.dim, device=device, dtype=dtype)
    b = torch.randn(config.model.dim, config.model.ffn_dim, device=device, dtype=dtype)
    ready: Callable[[], object] = torch.accelerator.synchronize if device.type != "cpu" else lambda: None
    _ = a @ b
    ready()
    started, count = time.monotonic(), 0
    while time.monotonic() - started < _PROBE_SECONDS:
        _ = a @ b
        ready()
        count += 1
    return 2.0 * a.numel() * b.shape[1] * count / (time.monotonic() - started)


def _count(number: float) -> str:
    """A number in words of a thousand each."""
    for factor, word in ((1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= factor:
            return f"{number / factor:.3g} {word}"
    return f"{number:,.0f}"


def _size(count: float) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"

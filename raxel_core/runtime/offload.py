"""Which blocks of a network stay on the GPU and which come to it for each step, under one bound on its memory.

The blocks that do not fit wait in RAM and are brought by diffusers' group offloading, on CUDA by a stream of their own
while the block before them computes. What is computed stays the same bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from ..model.transformer import RaxelTransformer
from .memory import free_memory

# The most that one step holds besides weights, over the size of its tokens (tokens * dim * bytes): counted at 480x832
# and 704x1280, 14B and 1.3B wide, with and without text, in bfloat16: 16.1 to 16.4.
ACTIVATIONS = 16.5
STREAMED_AT_ONCE = 2  # the block that computes and the one that follows it


@dataclass(frozen=True)
class Demand:
    """Bytes on the GPU: of one of `layers` blocks, of all weights that always stay there, and of a step's work."""

    layers: int
    block: int
    rest: int
    working: int

    def resident_blocks(self, vram: int) -> int:
        """How many blocks can stay within `vram` bytes; ValueError when not even two at a time can come and go."""
        free = vram - self.rest - self.working
        if free >= self.layers * self.block:
            return self.layers
        resident = free // self.block - STREAMED_AT_ONCE
        if resident < 0:
            least = self.rest + self.working + STREAMED_AT_ONCE * self.block
            raise ValueError(f"vram of {vram / 1e9:.1f} GB is too little: this model needs {least / 1e9:.1f} GB")
        return resident


def demand(transformer: RaxelTransformer, *, tokens: int, vae: int = 0, vae_working: int = 0) -> Demand:
    """What a network needs for `tokens` of both streams together, beside a VAE of `vae` and `vae_working` bytes.

    An estimate: attention is taken to need no memory of its own, as the fused kernels do not.
    """
    size = next(transformer.blocks.parameters()).element_size()
    blocks, whole = nbytes(transformer.blocks), nbytes(transformer)
    return Demand(
        layers=len(transformer.blocks),
        block=nbytes(transformer.blocks[0]),
        rest=whole - blocks + vae,
        working=max(working_memory(tokens, transformer.config.dim, size), vae_working),
    )


def working_memory(tokens: int, dim: int, size: int) -> int:
    """Bytes that one step holds besides weights, for `tokens` of both streams of width `dim`, `size` bytes a value."""
    return int(ACTIVATIONS * tokens * dim * size)


def check_bounded(device: torch.device, vram: int) -> None:
    """ValueError where `device` has no memory of its own to bound, or less than `vram` bytes of it."""
    if device.type == "cpu":
        raise ValueError("vram bounds the memory of a GPU, but the model would run on the CPU: leave it out there")
    if device.type == "cuda" and vram > (total := torch.cuda.get_device_properties(device).total_memory):
        raise ValueError(f"vram of {vram / 1e9:.1f} GB is more than the {total / 1e9:.1f} GB that {device} has")


def place(transformer: RaxelTransformer, device: torch.device, vram: int, need: Demand) -> int:
    """Put a network on `device` within `vram` bytes; how many of its blocks stay there, the others come for each step.

    Raises ValueError where `vram` is too little.
    """
    resident = need.resident_blocks(vram)
    if resident == need.layers:
        transformer.to(device)
    else:
        stream_blocks(transformer, device, resident=resident)
    return resident


def stream_blocks(transformer: RaxelTransformer, device: torch.device, *, resident: int) -> None:
    """Keep `resident` blocks and all outside the blocks on `device`; the other blocks, evenly among them, come and go.

    They are pinned in RAM where it has room for that copy; elsewhere each is pinned on its way, which takes longer.
    """
    from diffusers.hooks import apply_group_offloading

    streamed = nn.ModuleList()
    for number, block in enumerate(transformer.blocks):
        if is_streamed(number, len(transformer.blocks), resident=resident):
            streamed.append(block)
        else:
            block.to(device)
    for child in transformer.children():
        if child is not transformer.blocks:
            child.to(device)
    for parameter in transformer.parameters(recurse=False):
        parameter.data = parameter.data.to(device)
    with _shown(transformer, {"ray_head": transformer.ray_head, "blocks": streamed}):
        apply_group_offloading(
            transformer,
            onload_device=device,
            num_blocks_per_group=1,
            use_stream=device.type == "cuda",
            low_cpu_mem_usage=free_memory() < 1.5 * nbytes(streamed),
        )


def is_streamed(number: int, layers: int, *, resident: int) -> bool:
    """Whether block `number` is one of the `layers - resident` that come and go, evenly among all."""
    streamed = layers - resident
    return (number + 1) * streamed // layers > number * streamed // layers


def nbytes(module: nn.Module) -> int:
    """The bytes of a module's parameters."""
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())


@contextmanager
def _shown(transformer: RaxelTransformer, children: dict[str, nn.Module]) -> Iterator[None]:
    """Show diffusers a network of these children alone, since it brings and takes all that it finds.

    One head is among them: diffusers brings blocks ahead only where something comes and goes with the whole network.
    """
    own = dict(transformer._modules), dict(transformer._parameters)
    transformer._modules, transformer._parameters = dict(children), {}
    try:
        yield
    finally:
        transformer._modules, transformer._parameters = own

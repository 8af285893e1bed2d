"""Low-rank adapters of the blocks' linear layers: W + alpha / rank * B A (Hu et al. 2021, arXiv 2106.09685, eq. 3).

Trained beside weights that stay as they are, and kept in files that ComfyUI's LoRA loaders read: of a layer `L` the
tensors `diffusion_model.L.lora_A.weight` [rank, in], `diffusion_model.L.lora_B.weight` [out, rank] and
`diffusion_model.L.alpha`, one number. Trained here alpha is the rank, so that the factor is 1.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.transformer import RaxelTransformer
from .checkpoint import PICKLED, map_checkpoint
from .tensor_file import write_tensors

PREFIX = "diffusion_model."
_KEY = re.compile(rf"{re.escape(PREFIX)}(.+)\.(lora_A\.weight|lora_B\.weight|alpha)")
_PARAMETER = re.compile(r"(.+)\.(lora_[AB])")


class AdaptedLinear(nn.Linear):
    """A linear layer with the weight and bias of another, and an adapter in float32 that adds nothing at first."""

    def __init__(self, layer: nn.Linear, rank: int, generator: torch.Generator) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        into = torch.randn(rank, self.in_features, generator=generator) / math.sqrt(self.in_features)
        self.lora_A = nn.Parameter(into.to(self.weight.device))
        self.lora_B = nn.Parameter(torch.zeros(self.out_features, rank, device=self.weight.device))

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        low = F.linear(x, self.lora_A.to(x.dtype))
        return super().forward(x) + F.linear(low, self.lora_B.to(low.dtype))


def add_adapters(model: RaxelTransformer, rank: int, *, generator: torch.Generator) -> None:
    """Give each linear layer of the blocks an adapter, in place; only the adapters require gradients afterwards.

    `generator` draws A; B starts at zero, so that the network is what it was. Raises ValueError for a rank below 1.
    """
    if rank < 1:
        raise ValueError(f"an adapter has a rank of at least 1, not {rank}")
    model.requires_grad_(False)
    for parent in list(model.blocks.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, AdaptedLinear(child, rank, generator))


def save_lora(path: str | os.PathLike[str], adapters: Mapping[str, Tensor], *, metadata: Mapping[str, str]) -> None:
    """Write adapters, as `lora_A` and `lora_B` parameters are named, in ComfyUI's layout, atomically.

    Raises ValueError for another parameter or suffix, and OSError when the file cannot be written.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"a LoRA's name must end in .safetensors, not {Path(path).name!r}")
    tensors = {}
    for name, value in adapters.items():
        found = _PARAMETER.fullmatch(name)
        if found is None:
            raise ValueError(f"{name} is not a parameter of an adapter")
        tensors[f"{PREFIX}{name}.weight"] = value.detach().contiguous()
        if found[2] == "lora_A":
            tensors[f"{PREFIX}{found[1]}.alpha"] = torch.tensor(float(value.shape[0]))
    write_tensors(Path(path), tensors, dict(metadata))


def merge_lora(model: RaxelTransformer, path: str | os.PathLike[str], *, strength: float = 1.0) -> None:
    """Add the adapters of a file to a model's weights, in place, computed in float32 and kept in the weights' dtype.

    Raises FileNotFoundError, and ValueError for a file that is no LoRA of these layers, or not in this layout.
    """
    path = Path(path)
    if path.suffix.lower() in PICKLED:
        raise ValueError(f"{path.name} is refused: {path.suffix} files can run code when opened; use .safetensors")
    if not path.is_file():
        raise FileNotFoundError(f"there is no LoRA {path}")
    adapters = _adapters(map_checkpoint([path])[0], path.name)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    foreign = sorted(set(adapters) - set(layers))
    if foreign:
        raise ValueError(
            f"{path.name} adapts {len(foreign)} layers that the model does not have: {', '.join(foreign[:5])}"
        )
    for name, (into, out, alpha) in adapters.items():
        weight, shape = layers[name].weight, (out.shape[0], into.shape[1])
        if tuple(weight.shape) != shape:
            raise ValueError(f"{path.name} adapts {name} of shape {shape}, the model's is {tuple(weight.shape)}")
        change = (out.float() @ into.float()).to(weight.device) * (strength * alpha / into.shape[0])
        weight.data = (weight.float() + change).to(weight.dtype)


def _adapters(tensors: Mapping[str, Tensor], what: str) -> dict[str, tuple[Tensor, Tensor, float]]:
    """Layer -> A [rank, in], B [out, rank] and alpha (the rank where none is given); ValueError in one sentence."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        found = _KEY.fullmatch(key)
        if found is None:
            expected = f"{PREFIX}LAYER.lora_A.weight, .lora_B.weight and .alpha"
            raise ValueError(f"{what} is not a LoRA in this layout: it holds {key[:80]!r}, expected {expected}")
        parts.setdefault(found[1], {})[found[2]] = value
    if not parts:
        raise ValueError(f"{what} is an empty file")
    return {layer: _adapter(layer, held, what) for layer, held in parts.items()}


def _adapter(layer: str, held: Mapping[str, Tensor], what: str) -> tuple[Tensor, Tensor, float]:
    into, out = held.get("lora_A.weight"), held.get("lora_B.weight")
    if into is None or out is None:
        raise ValueError(f"{what} lacks {'lora_A' if into is None else 'lora_B'} of {layer}")
    if into.ndim != 2 or out.ndim != 2 or into.shape[0] != out.shape[1]:
        raise ValueError(f"{what}: lora_A {tuple(into.shape)} and lora_B {tuple(out.shape)} of {layer} share no rank")
    if not (into.isfinite().all() and out.isfinite().all()):
        raise ValueError(f"{what} holds NaN or infinity in {layer}")
    alpha = held.get("alpha")
    return into, out, float(into.shape[0] if alpha is None else alpha)

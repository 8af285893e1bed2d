"""The parts of Wan's transformer that a block and the model are made of."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .attention import Attention
from .config import RaxelConfig
from .rope import in_float64, rotate


class Factory(NamedTuple):
    """Makes the weights of a model: from which namespace of layers, on which device, of which dtype."""

    operations: Any  # a module or class with Linear, Conv3d, LayerNorm and RMSNorm
    device: torch.device | str | None
    dtype: torch.dtype | None

    def linear(self, channels: int, out: int) -> nn.Module:
        """A linear layer with bias."""
        return self.operations.Linear(channels, out, device=self.device, dtype=self.dtype)

    def patches(self, channels: int, config: RaxelConfig) -> nn.Module:
        """The convolution that turns latents [B, channels, T, h, w] into one vector per patch."""
        return self.operations.Conv3d(
            channels, config.dim, kernel_size=config.patch, stride=config.patch, device=self.device, dtype=self.dtype
        )

    def layer_norm(self, config: RaxelConfig, *, affine: bool) -> nn.Module:
        """Layer norm over `dim`, with weight and bias if `affine`."""
        return self.operations.LayerNorm(
            config.dim, eps=config.eps, elementwise_affine=affine, device=self.device, dtype=self.dtype
        )

    def rms_norm(self, config: RaxelConfig) -> nn.Module:
        """RMS norm over `dim` with a weight."""
        return self.operations.RMSNorm(
            config.dim, eps=config.eps, elementwise_affine=True, device=self.device, dtype=self.dtype
        )

    def parameter(self, *shape: int) -> nn.Parameter:
        """A bare parameter; `cast_to` brings it to the activations it meets."""
        return nn.Parameter(torch.empty(shape, device=self.device, dtype=self.dtype))


def cast_to(parameter: Tensor, x: Tensor) -> Tensor:
    """A bare parameter in the dtype and on the device of the activation `x` that meets it."""
    return parameter.to(device=x.device, dtype=x.dtype)


def sinusoidal_embedding(position: Tensor, width: int) -> Tensor:
    """Wan's time features [..., width] (float32) of positions [...]: cosines, then sines."""
    half = width // 2
    precise = in_float64(position).unsqueeze(-1)
    exponent = torch.arange(half, dtype=torch.float64, device=precise.device) / half
    angles = precise / 10000.0**exponent  # [..., width / 2]
    return torch.cat((angles.cos(), angles.sin()), dim=-1).float().to(position.device)


class ScaledSum(torch.autograd.Function):
    """base + x * factor, broadcasting: `torch.addcmul` with a backward that makes one pass less over x."""

    @staticmethod
    def forward(ctx: Any, base: Tensor, x: Tensor, factor: Tensor) -> Tensor:
        """The broadcast shape of the three."""
        ctx.save_for_backward(x, factor)
        ctx.base_shape = base.shape
        return torch.addcmul(base, x, factor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of base, x and factor."""
        x, factor = ctx.saved_tensors
        for_base, for_x, for_factor = ctx.needs_input_grad
        return (
            grad.sum_to_size(ctx.base_shape) if for_base else None,
            (grad * factor).sum_to_size(x.shape) if for_x else None,
            (grad * x).sum_to_size(factor.shape) if for_factor else None,
        )


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (1 + scale) + shift for tokens [B, L, dim] and per-frame vectors [B, T, dim]; L = T * tokens of a frame."""
    frames = x.unflatten(1, (shift.shape[1], -1))  # [B, T, h*w, dim]
    return ScaledSum.apply(shift.unsqueeze(2), frames, 1 + scale.unsqueeze(2)).flatten(1, 2)


def gated_add(x: Tensor, y: Tensor, gate: Tensor) -> Tensor:
    """x + gate y for tokens [B, L, dim] and a per-frame gate [B, T, dim] (T = 1: one for all frames)."""
    split = (gate.shape[1], -1)
    return ScaledSum.apply(x.unflatten(1, split), y.unflatten(1, split), gate.unsqueeze(2)).flatten(1, 2)


class Gelu(nn.Module):
    """Wan's GELU (tanh form).

    In bfloat16 on a CPU the exact form stands for it: they differ by less than 5e-4, a rounding step of bfloat16,
    and PyTorch evaluates the exact one four times as fast.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape as x."""
        coarse = x.dtype == torch.bfloat16 and x.device.type == "cpu"
        return F.gelu(x, approximate="none" if coarse else "tanh")


class FeedForward(nn.Sequential):
    """Linear, GELU, Linear; keys `0` and `2` as in Wan."""

    def __init__(self, channels: int, hidden: int, *, out: int, make: Factory) -> None:
        super().__init__(make.linear(channels, hidden), Gelu(), make.linear(hidden, out))


class TimeEmbedding(nn.Sequential):
    """Linear, SiLU, Linear on sinusoidal features of `width`; keys `0` and `2` as in Wan."""

    def __init__(self, width: int, dim: int, *, make: Factory) -> None:
        super().__init__(make.linear(width, dim), nn.SiLU(), make.linear(dim, dim))
        self.width = width


class NormedRotation(torch.autograd.Function):
    """RMS norm over all channels, then rotation of the pairs: [B, L, dim] -> [B, heads, L, head_dim] on a CPU.

    The same function as RMSNorm followed by `rotate`, computed in float32 in 40% of the time forward and backward:
    PyTorch has no fused RMS norm for CPUs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, table: Tensor, heads: int, eps: float) -> Tensor:
        """`weight` [dim], `table` [1 or B, L, 1, head_dim / 2, 2] of `rotation_table`."""
        normed = x.to(torch.float32, copy=True)
        inverse = torch.linalg.vector_norm(normed, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        inverse = inverse.add_(eps).rsqrt_()  # [B, L, 1]
        ctx.save_for_backward(x, weight, table, inverse)
        normed.mul_(inverse).mul_(weight.float())
        pairs = normed.unflatten(-1, (heads, -1, 2))
        torch.view_as_complex(pairs).mul_(torch.view_as_complex(table))
        return pairs.flatten(-2).transpose(1, 2).to(x.dtype, memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        """Gradients of x [B, L, dim] and of the weight [dim]."""
        x, weight, table, inverse = ctx.saved_tensors
        grad = grad.transpose(1, 2).to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        torch.view_as_complex(grad.unflatten(-1, (-1, 2))).mul_(torch.view_as_complex(table).conj())
        grad = grad.flatten(2)  # [B, L, dim], of the normed channels times weight
        unit = x.float().mul(inverse)
        product = grad * unit
        weight32 = weight.float()
        along = product.flatten(0, 1).mv(weight32).view_as(inverse) / -x.shape[-1]  # the norm drops what points along x
        grad.mul_(weight32).addcmul_(unit, along).mul_(inverse)
        return grad.to(x.dtype), product.flatten(0, 1).sum(0).to(weight.dtype), None, None, None


class WanAttention(nn.Module):
    """Multi-head attention with an RMS norm over the full width of q and k; keys `q, k, v, o, norm_q, norm_k`."""

    def __init__(self, config: RaxelConfig, *, make: Factory) -> None:
        super().__init__()
        self.heads = config.heads
        dim = config.dim
        self.q = make.linear(dim, dim)
        self.k = make.linear(dim, dim)
        self.v = make.linear(dim, dim)
        self.o = make.linear(dim, dim)
        self.norm_q = make.rms_norm(config)
        self.norm_k = make.rms_norm(config)

    def query(self, x: Tensor, rotation: Tensor | None) -> Tensor:
        """Queries [B, heads, L, head_dim] of tokens [B, L, dim], turned by `rotation` where it is given."""
        return self._normed_heads(self.q(x), self.norm_q, rotation)

    def key_value(self, x: Tensor, rotation: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keys and values [B, heads, L, head_dim] of tokens [B, L, dim]."""
        v = self.v(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return self._normed_heads(self.k(x), self.norm_k, rotation), v

    def _normed_heads(self, x: Tensor, norm: nn.Module, rotation: Tensor | None) -> Tensor:
        if rotation is None:
            return norm(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        if x.device.type == "cpu" and type(norm) is nn.RMSNorm and not torch.compiler.is_compiling():
            return NormedRotation.apply(x, norm.weight, rotation, self.heads, norm.eps)
        return rotate(norm(x).unflatten(-1, (self.heads, -1)), rotation).transpose(1, 2)


def merge_heads(*attended: Tensor) -> Tensor:
    """Tokens [B, L, dim] of attended values [B, heads, L, head_dim], one stream after the other."""
    tokens = [x.transpose(1, 2) for x in attended]
    return (tokens[0] if len(tokens) == 1 else torch.cat(tokens, dim=1)).flatten(2)


def cross_attend(layer: WanAttention, x: Tensor, context: Tensor, attention: Attention) -> Tensor:
    """Attention of tokens [B, L, dim] to context [B, M, dim] without positions; returns [B, L, dim]."""
    k, v = layer.key_value(context, None)
    return layer.o(merge_heads(attention(layer.query(x, None), k, v)))


class Head(nn.Module):
    """Final modulated norm and projection to patches; keys `head` and `modulation`."""

    def __init__(self, config: RaxelConfig, channels: int, *, make: Factory) -> None:
        super().__init__()
        self.patch = config.patch
        self.norm = make.layer_norm(config, affine=False)
        self.head = make.linear(config.dim, math.prod(config.patch) * channels)
        self.modulation = make.parameter(1, 2, config.dim)

    def forward(self, x: Tensor, embedding: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Velocity [B, C, T, h, w] of tokens [B, L, dim]; `embedding` [B, T, dim] is the time embedding."""
        shift, scale = (cast_to(self.modulation, x) + embedding.unsqueeze(2)).unbind(2)  # [B, T, dim] each
        patches = self.head(modulate(self.norm(x), shift, scale))  # [B, L, patch * C]
        return unpatchify(patches, grid, self.patch)


def unpatchify(patches: Tensor, grid: tuple[int, int, int], patch: tuple[int, int, int]) -> Tensor:
    """Latents [B, C, T, h, w] of patches [B, L, pt*ph*pw*C] on a token grid (T, rows, columns)."""
    frames, rows, columns = grid
    pt, ph, pw = patch
    return rearrange(
        patches,
        "b (t y x) (pt ph pw c) -> b c (t pt) (y ph) (x pw)",
        t=frames,
        y=rows,
        x=columns,
        pt=pt,
        ph=ph,
        pw=pw,
    )

"""The diffusion transformer over all rays of all images, with the released names and shapes.

Source: W. Peebles, S. Xie, Scalable Diffusion Models with Transformers (arXiv 2212.09748), adaLN-Zero; Cameras as Rays
(arXiv 2402.14817), section 3.3.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import Conv2d, LayerNorm, Linear

from .config import RAY_CHANNELS, RayDiffusionConfig
from .dino import Attention, Mlp

_FREQUENCIES = 256
_TIME_BASE = 10_000.0
_IMAGE_BASE, _TOKEN_BASE = 10_000.0, 70_007.0


class RayTransformer(nn.Module):
    """Features, rays and places [B, N, C, grid, grid] at levels t [B] -> rays [B, N, 6, grid, grid]."""

    def __init__(self, config: RayDiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.x_embedder = _PatchEmbed(config)
        self.x_pos_enc = _Positions(config)
        self.t_embedder = _TimeEmbedding(config.hidden)
        self.blocks = nn.ModuleList(_Block(config.hidden, config.heads) for _ in range(config.depth))
        self.final_layer = _FinalLayer(config.hidden, config.patch**2 * RAY_CHANNELS)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """`x` [B, N, C, grid, grid], `t` [B] whole numbers -> [B, N, 6, grid, grid]."""
        images, side = x.shape[1], self.config.grid // self.config.patch
        tokens = self.x_embedder(x.flatten(0, 1)).flatten(2).mT.unflatten(0, (-1, images))  # [B, N, L, hidden]
        tokens = self.x_pos_enc(tokens).flatten(1, 2)  # [B, N L, hidden]
        condition = self.t_embedder(t).to(tokens.dtype)
        for block in self.blocks:
            tokens = block(tokens, condition)
        rays = self.final_layer(tokens, condition)  # [B, N L, p p 6]
        p = self.config.patch
        return rearrange(rays, "b (n h w) (p q c) -> b n c (h p) (w q)", n=images, h=side, p=p, q=p)


class _PatchEmbed(nn.Module):
    def __init__(self, config: RayDiffusionConfig) -> None:
        super().__init__()
        self.proj = Conv2d(config.in_channels, config.hidden, config.patch, config.patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class _Positions(nn.Module):
    """Adds fixed tables: which image a token is of, and where in it."""

    image_pos_table: Tensor
    token_pos_table: Tensor

    def __init__(self, config: RayDiffusionConfig) -> None:
        super().__init__()
        self.register_buffer("image_pos_table", sinusoids(config.max_images, config.hidden, _IMAGE_BASE)[None])
        self.register_buffer("token_pos_table", sinusoids(config.tokens, config.hidden, _TOKEN_BASE)[None])

    def forward(self, tokens: Tensor) -> Tensor:  # [B, N, L, C]
        return tokens + self.image_pos_table[:, : tokens.shape[1], None] + self.token_pos_table[:, None]


class _TimeEmbedding(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(Linear(_FREQUENCIES, hidden), nn.SiLU(), Linear(hidden, hidden))

    def forward(self, t: Tensor) -> Tensor:
        half = _FREQUENCIES // 2
        place = torch.arange(half, dtype=torch.float32, device=t.device) / half
        angle = t[:, None].float() * torch.exp(-math.log(_TIME_BASE) * place)
        waves = torch.cat((angle.cos(), angle.sin()), dim=-1)
        return self.mlp(waves.to(next(self.mlp.parameters()).dtype))


class _Block(nn.Module):
    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm(hidden, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(hidden, heads)
        self.norm2 = LayerNorm(hidden, elementwise_affine=False, eps=1e-6)
        self.mlp = Mlp(hidden, approximate="tanh")
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(hidden, 6 * hidden))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        parts = self.adaLN_modulation(condition)[:, None].chunk(6, dim=-1)
        shift_attn, scale_attn, gate_attn, shift_mlp, scale_mlp, gate_mlp = parts
        x = x + gate_attn * self.attn(self.norm1(x) * (1 + scale_attn) + shift_attn)
        return x + gate_mlp * self.mlp(self.norm2(x) * (1 + scale_mlp) + shift_mlp)


class _FinalLayer(nn.Module):
    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__()
        self.norm_final = LayerNorm(hidden, elementwise_affine=False, eps=1e-6)
        self.linear = Linear(hidden, channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(hidden, 2 * hidden))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(condition)[:, None].chunk(2, dim=-1)
        return self.linear(self.norm_final(x) * (1 + scale) + shift)


def sinusoids(positions: int, channels: int, base: float) -> Tensor:
    """[positions, channels] of sin and cos in turn, angle = position / base^(2 floor(c / 2) / channels)."""
    pair = torch.arange(channels, dtype=torch.float64) // 2
    angle = torch.arange(positions, dtype=torch.float64)[:, None] / base ** (2.0 * pair / channels)
    return torch.where(torch.arange(channels) % 2 == 0, angle.sin(), angle.cos()).float()


def initialize(transformer: RayTransformer, generator: torch.Generator) -> None:
    """The start of a training: Xavier for matrices, small time embedding, each block the identity."""
    with torch.no_grad():
        for module in transformer.modules():
            if isinstance(module, Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)
        embedder = transformer.x_embedder.proj
        nn.init.xavier_uniform_(embedder.weight.view(len(embedder.weight), -1), generator=generator)
        for name, parameter in transformer.named_parameters():
            if name in ("t_embedder.mlp.0.weight", "t_embedder.mlp.2.weight"):
                nn.init.normal_(parameter, std=0.02, generator=generator)
            elif name == "x_embedder.proj.bias" or (name.startswith("blocks.") and "adaLN_modulation" in name):
                nn.init.zeros_(parameter)

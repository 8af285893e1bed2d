"""DINOv2's ViT-S/14, built locally under its published names: what the released Ray Diffusion reads photographs with.

Source: M. Oquab et al., DINOv2 (arXiv 2304.07193); names and arithmetic of facebookresearch/dinov2 (`dinov2_vits14`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import Conv2d, LayerNorm, Linear
from torch.nn.functional import interpolate, scaled_dot_product_attention

_WIDTH, _DEPTH, _HEADS, _PATCH = 384, 12, 6, 14
# Position embeddings were trained on 518 px: 37 x 37 patches.
_TRAINED_GRID = 37
# Added to the target size before the scale is computed, so that rounding down never loses a row.
_SIZE_OFFSET = 0.1


class Attention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, C] -> [B, L, C]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [B, heads, L, C / heads]
        return self.proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two layers with GELU between them, `approximate` as nn.GELU takes it."""

    def __init__(self, width: int, *, approximate: str = "none") -> None:
        super().__init__()
        self.fc1 = Linear(width, 4 * width)
        self.act = nn.GELU(approximate=approximate)
        self.fc2 = Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] -> [..., C]."""
        return self.fc2(self.act(self.fc1(x)))


class _LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm(_WIDTH, eps=1e-6), LayerNorm(_WIDTH, eps=1e-6)
        self.attn, self.mlp = Attention(_WIDTH, _HEADS), Mlp(_WIDTH)
        self.ls1, self.ls2 = _LayerScale(_WIDTH), _LayerScale(_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class _PatchEmbed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = Conv2d(3, _WIDTH, _PATCH, _PATCH)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).mT  # [B, h w, C]


class DinoV2(nn.Module):
    """Images [B, 3, 14 h, 14 w] -> normalised patch tokens [B, 384, h, w]."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + _TRAINED_GRID**2, _WIDTH))
        self.mask_token = nn.Parameter(torch.zeros(1, _WIDTH))  # of its training; part of the file
        self.patch_embed = _PatchEmbed()
        self.blocks = nn.ModuleList(_Block() for _ in range(_DEPTH))
        self.norm = LayerNorm(_WIDTH, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, 14 h, 14 w] -> [B, 384, h, w]; ValueError for other sizes."""
        height, width = images.shape[-2] // _PATCH, images.shape[-1] // _PATCH
        if images.shape[-2:] != (height * _PATCH, width * _PATCH):
            raise ValueError(f"DINOv2 reads sizes in multiples of {_PATCH} px, got {list(images.shape)}")
        tokens = self.patch_embed(images)
        tokens = torch.cat((self.cls_token.expand(len(tokens), -1, -1), tokens), dim=1) + self._positions(height, width)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 1:].mT.unflatten(-1, (height, width))

    def _positions(self, height: int, width: int) -> Tensor:
        """Position embeddings [1, 1 + h w, 384] for a grid of h x w, bicubic between those of the trained one."""
        if (height, width) == (_TRAINED_GRID, _TRAINED_GRID):
            return self.pos_embed
        trained = self.pos_embed[:, 1:].float().mT.unflatten(-1, (_TRAINED_GRID, _TRAINED_GRID))
        scale = [(size + _SIZE_OFFSET) / _TRAINED_GRID for size in (height, width)]
        resized = interpolate(trained, scale_factor=scale, mode="bicubic", antialias=False)
        return torch.cat((self.pos_embed[:, :1], resized.flatten(2).mT.to(self.pos_embed.dtype)), dim=1)

"""The networks of Ray Diffusion in plain NumPy and float64, after the papers' formulas, from a state dict."""

from __future__ import annotations

import numpy as np
from scipy.special import erf


def layer_norm(x, weight=1.0, bias=0.0):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * weight + bias


def attention(x, state, name, heads):
    length, width = x.shape
    qkv = x @ state[f"{name}.qkv.weight"].T + state[f"{name}.qkv.bias"]
    out = np.zeros_like(x)
    size = width // heads
    for head in range(heads):
        q, k, v = (qkv[:, part * width + head * size : part * width + (head + 1) * size] for part in range(3))
        score = q @ k.T / np.sqrt(size)
        share = np.exp(score - score.max(-1, keepdims=True))
        out[:, head * size : (head + 1) * size] = share / share.sum(-1, keepdims=True) @ v
    return out @ state[f"{name}.proj.weight"].T + state[f"{name}.proj.bias"]


def linear(x, state, name):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def cubic(t):
    """Keys' kernel with a = -3/4."""
    t, a = abs(t), -0.75
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def resized(table, size):
    """Bicubic from 37 x 37 x C to size x size x C at scale (size + 0.1) / 37, edges repeated."""
    old = table.shape[0]
    weights = np.zeros((size, old))
    for i in range(size):
        x = (i + 0.5) * old / (size + 0.1) - 0.5
        for j in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
            weights[i, min(max(j, 0), old - 1)] += cubic(x - j)
    return np.einsum("ia,jb,abc->ijc", weights, weights, table)


def dino(image, state):
    """DINOv2 ViT-S/14 of an image [3, 14 g, 14 g] -> [g, g, 384]."""
    grid = image.shape[1] // 14
    kernel = state["patch_embed.proj.weight"].reshape(384, -1)
    patches = image.reshape(3, grid, 14, grid, 14).transpose(1, 3, 0, 2, 4).reshape(grid * grid, -1)
    position = state["pos_embed"][0]
    x = patches @ kernel.T + state["patch_embed.proj.bias"]
    x = x + resized(position[1:].reshape(37, 37, 384), grid).reshape(-1, 384)
    x = np.concatenate((state["cls_token"][0] + position[:1], x))
    for i in range(12):
        n = f"blocks.{i}"
        normed = layer_norm(x, state[f"{n}.norm1.weight"], state[f"{n}.norm1.bias"])
        x = x + state[f"{n}.ls1.gamma"] * attention(normed, state, f"{n}.attn", 6)
        normed = layer_norm(x, state[f"{n}.norm2.weight"], state[f"{n}.norm2.bias"])
        x = x + state[f"{n}.ls2.gamma"] * linear(gelu(linear(normed, state, f"{n}.mlp.fc1")), state, f"{n}.mlp.fc2")
    return layer_norm(x, state["norm.weight"], state["norm.bias"])[1:].reshape(grid, grid, 384)


def table(positions, channels, base):
    return np.array(
        [
            [(np.cos if c % 2 else np.sin)(p / base ** (2 * (c // 2) / channels)) for c in range(channels)]
            for p in range(positions)
        ]
    )


def ray_transformer(x, t, state, *, heads, patch):
    """DiT of [N, C, grid, grid] at level t -> [N, 6, grid, grid]."""
    images, channels, grid, _ = x.shape
    side, hidden = grid // patch, state["x_embedder.proj.bias"].shape[0]
    cells = (
        x.reshape(images, channels, side, patch, side, patch).transpose(0, 2, 4, 1, 3, 5).reshape(images * side**2, -1)
    )
    tokens = cells @ state["x_embedder.proj.weight"].reshape(hidden, -1).T + state["x_embedder.proj.bias"]
    which, where = np.divmod(np.arange(images * side**2), side**2)
    tokens = tokens + table(images, hidden, 10000.0)[which] + table(side**2, hidden, 70007.0)[where]
    angle = t * np.exp(-np.log(10000.0) * np.arange(128) / 128)
    wave = np.concatenate((np.cos(angle), np.sin(angle)))
    c = silu(linear(silu(linear(wave, state, "t_embedder.mlp.0")), state, "t_embedder.mlp.2"))
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    for i in range(depth):
        n = f"blocks.{i}"
        a, b, gate, d, e, gate2 = np.split(linear(c, state, f"{n}.adaLN_modulation.1"), 6)
        tokens = tokens + gate * attention(layer_norm(tokens) * (1 + b) + a, state, f"{n}.attn", heads)
        inner = gelu_tanh(linear(layer_norm(tokens) * (1 + e) + d, state, f"{n}.mlp.fc1"))
        tokens = tokens + gate2 * linear(inner, state, f"{n}.mlp.fc2")
    shift, scale = np.split(linear(c, state, "final_layer.adaLN_modulation.1"), 2)
    out = linear(layer_norm(tokens) * (1 + scale) + shift, state, "final_layer.linear")
    out = out.reshape(images, side, side, patch, patch, 6).transpose(0, 5, 1, 3, 2, 4)
    return out.reshape(images, 6, grid, grid)

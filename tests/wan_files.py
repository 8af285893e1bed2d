"""A small Wan 2.1 T2V with random weights, written in each layout that its public weights come in."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from raxel_core.model import RaxelConfig
from raxel_core.weights import to_wan
from raxel_core.weights.state_dict import expected_shapes

CONFIG = RaxelConfig(dim=256, ffn_dim=160, layers=2, heads=2, text_dim=24, freq_dim=32)
FP8 = torch.float8_e4m3fn
# Official name -> diffusers name; in this order, as in diffusers' own converter.
TO_DIFFUSERS = (
    ("time_embedding.0.", "condition_embedder.time_embedder.linear_1."),
    ("time_embedding.2.", "condition_embedder.time_embedder.linear_2."),
    ("text_embedding.0.", "condition_embedder.text_embedder.linear_1."),
    ("text_embedding.2.", "condition_embedder.text_embedder.linear_2."),
    ("time_projection.1.", "condition_embedder.time_proj."),
    ("head.modulation", "scale_shift_table"),
    ("head.head.", "proj_out."),
    (".modulation", ".scale_shift_table"),
    (".self_attn.o.", ".attn1.to_out.0."),
    (".cross_attn.o.", ".attn2.to_out.0."),
    *((f".self_attn.{x}.", f".attn1.to_{x}.") for x in "qkv"),
    *((f".cross_attn.{x}.", f".attn2.to_{x}.") for x in "qkv"),
    (".self_attn.norm", ".attn1.norm"),
    (".cross_attn.norm", ".attn2.norm"),
    (".norm3.", ".norm2."),
    (".ffn.0.", ".ffn.net.0.proj."),
    (".ffn.2.", ".ffn.net.2."),
)


def random_wan(config: RaxelConfig = CONFIG, seed: int = 0) -> dict[str, torch.Tensor]:
    """Wan's official state dict, float32, large enough that every part matters."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for key, shape in to_wan(expected_shapes(config)).items():
        small = "norm" in key or "modulation" in key or key.endswith("bias")
        spread = 0.1 if small else shape[1:].numel() ** -0.5
        centre = 1.0 if "norm" in key and key.endswith("weight") else 0.0
        weights[key] = centre + spread * torch.randn(shape, generator=generator)
    return weights


def diffusers_name(key: str) -> str:
    """The diffusers name of an official key."""
    for official, diffusers in TO_DIFFUSERS:
        key = key.replace(official, diffusers)
    return key


def save_shards(folder: Path, weights: dict[str, torch.Tensor], count: int = 3) -> Path:
    """`weights` as the official release has them: shards, an index and a config.json; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = sorted(weights)
    weight_map = {}
    for number in range(count):
        name = f"diffusion_pytorch_model-{number + 1:05d}-of-{count:05d}.safetensors"
        held = keys[number::count]
        save_file({key: weights[key].contiguous() for key in held}, folder / name)
        weight_map |= dict.fromkeys(held, name)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    config = {"_class_name": "WanModel", "model_type": "t2v", "dim": CONFIG.dim, "num_heads": CONFIG.heads, "eps": 1e-6}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def save_comfyui(path: Path, weights: dict[str, torch.Tensor], *, prefix: str = "model.diffusion_model.") -> Path:
    """`weights` as ComfyUI's repackaged single file."""
    save_file({prefix + key: value.contiguous() for key, value in weights.items()}, path)
    return path


def is_matrix(key: str) -> bool:
    """Whether ComfyUI's scaled files quantise this weight."""
    return key.startswith("blocks.") and key.endswith((".q.weight", ".k.weight", ".v.weight", ".o.weight", "0.weight"))


def scaled_fp8(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`weights` in the layout of ComfyUI's fp8_scaled files: matrices / scale in fp8, everything else in float16."""
    out = {"scaled_fp8": torch.zeros(0, dtype=FP8)}
    for key, value in weights.items():
        if not is_matrix(key):
            out[key] = value.half()
            continue
        scale = value.abs().max() / 448
        out[key] = (value / scale).to(FP8)
        out[key.replace(".weight", ".scale_weight")] = scale.reshape(1)
        out[key.replace(".weight", ".scale_input")] = torch.ones(1)
    return out

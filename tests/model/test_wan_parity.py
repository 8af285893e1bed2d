"""With its gates at zero the video stream is Wan's own model: against diffusers, and against a ComfyUI where there is one."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.model import RaxelConfig, RaxelTransformer
from raxel_core.weights import from_wan, initialize_ray_branch

TOLERANCE = 1e-5
CONFIG = RaxelConfig(dim=96, ffn_dim=160, layers=2, heads=3, in_channels=4, text_dim=24, freq_dim=32)
COMFY = Path(os.environ.get("COMFYUI_PATH", Path.home() / "comfy" / "ComfyUI"))

# Official name <- diffusers name.
FROM_DIFFUSERS = (
    (r"^condition_embedder\.time_embedder\.linear_1", "time_embedding.0"),
    (r"^condition_embedder\.time_embedder\.linear_2", "time_embedding.2"),
    (r"^condition_embedder\.text_embedder\.linear_1", "text_embedding.0"),
    (r"^condition_embedder\.text_embedder\.linear_2", "text_embedding.2"),
    (r"^condition_embedder\.time_proj", "time_projection.1"),
    (r"^scale_shift_table", "head.modulation"),
    (r"^proj_out", "head.head"),
    (r"\.attn1\.", ".self_attn."),
    (r"\.attn2\.", ".cross_attn."),
    (r"\.to_out\.0\.", ".o."),
    (r"\.to_([qkv])\.", r".\1."),
    (r"\.norm2\.", ".norm3."),
    (r"\.ffn\.net\.0\.proj\.", ".ffn.0."),
    (r"\.ffn\.net\.2\.", ".ffn.2."),
    (r"\.scale_shift_table", ".modulation"),
)
COMFY_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
source, target = sys.argv[2:4]
sys.argv = ["reference", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import comfy.ops
import torch
from comfy.ldm.wan.model import WanModel
from safetensors.torch import load_file, save_file
data = load_file(source)
weights = {key[2:]: value for key, value in data.items() if key.startswith("w.")}
dim, channels, pt, ph, pw = weights["patch_embedding.weight"].shape
model = WanModel(
    patch_size=(pt, ph, pw), in_dim=channels, out_dim=channels, dim=dim, freq_dim=32, num_heads=3, num_layers=2,
    ffn_dim=weights["blocks.0.ffn.0.weight"].shape[0], text_dim=weights["text_embedding.0.weight"].shape[1],
    operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu",
)
model.load_state_dict(weights, strict=True)
with torch.no_grad():
    save_file({"velocity": model(data["video"], data["timestep"], data["text"]).contiguous()}, target)
"""


@pytest.fixture(scope="module")
def wan():
    """diffusers' model with random weights large enough that every part matters."""
    from diffusers import WanTransformer3DModel

    torch.manual_seed(0)
    model = WanTransformer3DModel(
        patch_size=CONFIG.patch,
        num_attention_heads=CONFIG.heads,
        attention_head_dim=CONFIG.head_dim,
        in_channels=CONFIG.in_channels,
        out_channels=CONFIG.in_channels,
        text_dim=CONFIG.text_dim,
        freq_dim=CONFIG.freq_dim,
        ffn_dim=CONFIG.ffn_dim,
        num_layers=CONFIG.layers,
    )
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        spread = (
            0.3 if "norm" in name or "scale_shift" in name or name.endswith("bias") else parameter[0].numel() ** -0.5
        )
        centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        torch.nn.init.normal_(parameter.data, centre, spread, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def official(wan):
    """The same weights under Wan's official names."""
    renamed = {}
    for key, value in wan.state_dict().items():
        for pattern, replacement in FROM_DIFFUSERS:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    return renamed


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(2)
    return {
        "video": torch.randn(2, 4, 3, 8, 12, generator=generator),
        "rays": torch.randn(2, 4, 3, 4, 6, generator=generator),
        "sigma": torch.tensor([[0.3, 0.3, 0.3], [0.85, 0.85, 0.85]]),
        "text": torch.randn(2, 7, CONFIG.text_dim, generator=generator),
    }


def converted(official, **changes):
    config = replace(CONFIG, **changes)
    model = RaxelTransformer(config, device="meta")
    model.load_state_dict(initialize_ray_branch(from_wan(official), config), strict=True, assign=True)
    return model


@torch.no_grad()
def velocity(model, batch, sigma=None):
    sigma = batch["sigma"] if sigma is None else sigma
    return model(batch["video"], batch["rays"], sigma, torch.full((2, 3), 0.6), text=batch["text"])[0]


@torch.no_grad()
def reference(wan, batch, timestep):
    return wan(batch["video"], timestep, batch["text"], return_dict=False)[0]


@pytest.mark.parametrize("inter", ["self", "text", "new"])
def test_a_converted_model_is_diffusers_wan(wan, official, batch, inter):
    expected = reference(wan, batch, 1000 * batch["sigma"][:, 0])
    assert expected.std() > 0.3
    assert (velocity(converted(official, inter=inter), batch) - expected).abs().max() < TOLERANCE


def test_sigma_per_frame_is_wans_timestep_per_token(wan, official, batch):
    sigma = torch.tensor([[0.0, 0.5, 1.0], [0.2, 0.9, 0.4]])
    per_token = (1000 * sigma).repeat_interleave(4 * 6, dim=1)
    expected = reference(wan, batch, per_token)
    assert (velocity(converted(official), batch, sigma) - expected).abs().max() < TOLERANCE
    assert (expected - reference(wan, batch, 1000 * sigma[:, 0])).abs().max() > 0.1


def test_open_gates_change_the_video(wan, official, batch):
    model = converted(official)
    before = velocity(model, batch)
    for block in model.blocks:
        block.inter_gate.data.fill_(0.5)
    assert (velocity(model, batch) - before).abs().max() > 0.01


def test_a_converted_plucker_model_starts_as_wan(wan, official, batch):
    model = converted(official, ray_representation="plucker")
    maps = torch.randn(2, 6, *batch["video"].shape[2:], generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        video, rays = model(batch["video"], maps, batch["sigma"], torch.full((2, 3), 0.6), text=batch["text"])
    expected = reference(wan, batch, 1000 * batch["sigma"][:, 0])
    assert (video - expected).abs().max() < TOLERANCE
    assert rays.shape == maps.shape


def test_the_ray_stream_starts_as_the_video_stream(official, batch):
    # The same latents, grid and sigma in both streams, no text (the rays read none): the same velocities.
    model = converted(official)
    with torch.no_grad():
        video, rays = model(batch["video"], batch["video"], batch["sigma"], batch["sigma"])
    assert (video - rays).abs().max() < TOLERANCE


def test_a_converted_model_is_comfyui_wan(official, batch, tmp_path):
    python = COMFY / ".venv" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no ComfyUI with its own interpreter at {python} (set COMFYUI_PATH)")
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    data = {f"w.{key}": value.contiguous() for key, value in official.items()}
    data |= {"video": batch["video"], "text": batch["text"], "timestep": 1000 * batch["sigma"][:, 0].contiguous()}
    save_file(data, source)
    command = [python, "-c", COMFY_SCRIPT, COMFY, source, target]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"the ComfyUI at {COMFY} cannot be imported: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    expected = load_file(target)["velocity"]
    assert (velocity(converted(official), batch) - expected).abs().max() < TOLERANCE

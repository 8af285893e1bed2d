"""RayPE in a real ComfyUI: its nodes over HTTP, and the checks of raype_in_comfy.py on small random Wan models."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.geometry.moves import make_move
from raxel_core.model.raype import RayPE, RayPEConfig, initialize_raype, raype_state
from tests.comfy_server import PACK, comfy_roots, interpreter_of

SCRIPT = Path(__file__).with_name("raype_in_comfy.py")
CHECKS = re.findall(r"^def (check_\w+)", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
DIM, LAYERS = 256, 2
INDEX = "diffusion_pytorch_model.safetensors.index.json"


@pytest.fixture(scope="module", params=[str(root) for root in comfy_roots()] or [None])
def report(request, tmp_path_factory):
    """What the checks said, in each ComfyUI that is found."""
    if request.param is None or interpreter_of(Path(request.param)) is None:
        pytest.skip("no ComfyUI found: set COMFYUI_PATH to run the tests of the nodes")
    out = tmp_path_factory.mktemp("raype") / "report.json"
    command = [interpreter_of(Path(request.param)), SCRIPT, request.param, PACK, out]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)
    assert out.is_file(), done.stdout + done.stderr
    assert "memory leak" not in done.stdout + done.stderr
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.parametrize("check", CHECKS)
def test_in_comfyui(report, check):
    if report[check].startswith("skipped: "):
        pytest.skip(report[check])
    assert report[check] == "", report[check]


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def wan_state(seed=0):
    """A Wan 2.1 text-to-video model of two blocks, under its official names."""
    shapes = {"patch_embedding": (DIM, 16, 1, 2, 2), "head.head": (64, DIM), "time_projection.1": (6 * DIM, DIM)}
    shapes |= {"text_embedding.0": (DIM, 4096), "text_embedding.2": (DIM, DIM)}
    shapes |= {"time_embedding.0": (DIM, 256), "time_embedding.2": (DIM, DIM)}
    bare = {"head.modulation": (1, 2, DIM)}
    for n in range(LAYERS):
        shapes |= {f"blocks.{n}.{a}_attn.{x}": (DIM, DIM) for a in ("self", "cross") for x in "qkvo"}
        shapes |= {f"blocks.{n}.ffn.0": (128, DIM), f"blocks.{n}.ffn.2": (DIM, 128), f"blocks.{n}.norm3": (DIM,)}
        bare |= {f"blocks.{n}.{a}_attn.norm_{x}.weight": (DIM,) for a in ("self", "cross") for x in "qk"}
        bare |= {f"blocks.{n}.modulation": (1, 6, DIM)}
    bare |= {f"{name}.weight": shape for name, shape in shapes.items()}
    bare |= {f"{name}.bias": shape[:1] for name, shape in shapes.items()}
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in bare.items()}


def save_shards(folder, state):
    """As the release is laid out: two shards and an index."""
    folder.mkdir(parents=True)
    keys, weight_map = sorted(state), {}
    for number, part in enumerate((keys[::2], keys[1::2]), start=1):
        name = f"diffusion_pytorch_model-{number:05d}-of-00002.safetensors"
        save_file({key: state[key] for key in part}, folder / name)
        weight_map |= dict.fromkeys(part, name)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), encoding="utf-8")


@pytest.fixture
def release(comfy):
    """A folder as the release's in models/raype, and a stock expert and a merged one among the diffusion models."""
    folder = comfy.base / "models" / "raype" / "SCoPE"
    if not folder.exists():
        rays = initialize_raype(RayPE(RayPEConfig(DIM, LAYERS, 64, DIM // 4)), zero="output")
        low = wan_state() | raype_state(rays)
        high = wan_state(1) | {k: v + 0.1 for k, v in raype_state(rays).items()}
        save_shards(folder / "low_noise_model", low)
        save_shards(folder / "high_noise_model", high)
        save_file({k: v + 0.1 for k, v in raype_state(rays).items()}, folder.parent / "raype_alone.safetensors")
        save_file(wan_state(), comfy.base / "models" / "diffusion_models" / "stock_wan.safetensors")
        save_file(high, comfy.base / "models" / "diffusion_models" / "merged_scope.safetensors")
    return folder


def graph(weights="SCoPE/high_noise_model/" + INDEX, model=None, unit="near_depth", **changes):
    path = make_move("orbit", 9, hw=(64, 96), fov_degrees=80.0, amount=0.3, unit=unit).to_json()
    return {
        "rays": node("LoadRayPE", weights=weights),
        "model": model or node("LoadRayPEExpert", weights="SCoPE/high_noise_model/" + INDEX),
        "path": node("CameraTrajectoryBuilder", path=path),
        "made": node("ApplyRayPE", model=["model", 0], raype=["rays", 0], trajectory=["path", 0], **changes),
        "saved": node("ModelSave", model=["made", 0], filename_prefix="raype"),
    }


def test_the_files_are_found_where_they_lie(comfy, release):
    kind, options = comfy.get("/object_info/LoadRayPE")["LoadRayPE"]["input"]["required"]["weights"]
    names = kind if isinstance(kind, list) else options["options"]
    for name in (f"SCoPE/high_noise_model/{INDEX}", f"SCoPE/low_noise_model/{INDEX}", "merged_scope.safetensors"):
        assert name in names
    assert not [name for name in names if "-of-" in name or name.startswith(("stock_wan", "raxel"))]


@pytest.mark.parametrize("weights", [f"SCoPE/high_noise_model/{INDEX}", "merged_scope.safetensors"])
def test_the_release_runs_as_it_is_downloaded(comfy, release, weights):
    for old in (comfy.base / "output").glob("raype*"):
        old.unlink()
    outcome = comfy.run(graph(weights, node("LoadRayPEExpert", weights=weights, weight_dtype="fp32"), strength=0.5))
    assert outcome.status == "success", outcome.error
    (saved,) = (comfy.base / "output").glob("raype*.safetensors")
    saved = {key.removeprefix("model.diffusion_model."): value for key, value in load_file(saved).items()}
    expected = wan_state(1)
    assert set(expected) <= set(saved)
    assert not [key for key in saved if "plucker" in key]
    for key, value in expected.items():
        torch.testing.assert_close(saved[key].float(), value, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (graph("SCoPE/low_noise_model/" + INDEX), r"are all 0: .* low-noise expert, .* choose the high-noise expert"),
        (
            graph(model=node("UNETLoader", unet_name="stock_wan.safetensors", weight_dtype="default")),
            r"this MODEL is not the expert that high_noise_model/\S+ was trained in",
        ),
        (
            graph(model=node("LoadRaxelModel", model_name="raxel-small.safetensors")),
            r"works in Wan 2\.1 and 2\.2 .* this MODEL is RaxelBaseModel",
        ),
        (
            graph(model=node("LoadRayPEExpert", weights="raype_alone.safetensors")),
            r"raype_alone\.safetensors holds no model that ComfyUI knows",
        ),
        (graph(unit="metre"), r"counts in unit 'metre', but near_depth is needed"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(comfy, release, prompt, said):
    outcome = comfy.run(prompt)
    assert outcome.status == "error"
    assert re.search(said, outcome.error), outcome.error


def test_a_near_depth_takes_a_path_in_metres(comfy, release):
    outcome = comfy.run(graph(unit="metre", near_depth=2.5))
    assert outcome.status == "success", outcome.error

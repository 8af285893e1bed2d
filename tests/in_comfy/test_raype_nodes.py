"""RayPE in a real ComfyUI: its nodes over HTTP, and the checks of raype_in_comfy.py on small random Wan models."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.paths.camera_path import path_to_json
from raxel_core.paths.plan import make_move
from raxel_core.raype.conversion import extract_raype, join_expert
from raxel_core.raype.encoding import RayPE, RayPEConfig, initialize_raype
from tests.in_comfy.comfy_process import checks_of, judge, read_report, run_script
from tests.in_comfy.comfy_server import PACK, interpreter_of
from tests.in_comfy.test_nodes_workflows import api_prompt
from tests.raype.raype_states import raype_state

SCRIPT = "raype_in_comfy.py"
DIM, LAYERS = 256, 2
INDEX = "diffusion_pytorch_model.safetensors.index.json"


@pytest.fixture(scope="module")
def report(comfy_root, tmp_path_factory):
    """What the checks said, in each ComfyUI that is found."""
    path = tmp_path_factory.mktemp("raype") / "report.json"
    assert "memory leak" not in run_script(comfy_root, SCRIPT, path)
    return read_report(path)


@pytest.mark.parametrize("check", checks_of(SCRIPT))
def test_in_comfyui(report, check):
    judge(report, check)


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def wan_state(seed=0):
    """A Wan 2.2 image-to-video expert of two blocks, under its official names."""
    shapes = {"patch_embedding": (DIM, 36, 1, 2, 2), "head.head": (64, DIM), "time_projection.1": (6 * DIM, DIM)}
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
    """A folder as the release's in models/raype, beside it the small file that `convert` makes of it, and the one file
    of the whole expert and a stock expert among the diffusion models."""
    folder = comfy.base / "models" / "raype" / "SCoPE"
    if not folder.exists():
        rays = initialize_raype(RayPE(RayPEConfig(DIM, LAYERS, 64, DIM // 4)), zero="output")
        low = wan_state() | raype_state(rays)
        high = wan_state(1) | {k: v + 0.1 for k, v in raype_state(rays).items()}
        save_shards(folder / "low_noise_model", low)
        save_shards(folder / "high_noise_model", high)
        models = comfy.base / "models" / "diffusion_models"
        extract_raype(folder, folder.parent / "raype_alone.safetensors")
        join_expert(folder, models / "merged_scope.safetensors")
        join_expert(folder, models / "merged_fp8.safetensors", quantization="fp8_scaled")
        save_file(wan_state(), models / "stock_wan.safetensors")
    return folder


def graph(weights="SCoPE/high_noise_model/" + INDEX, model=None, unit="near_depth", **changes):
    path = path_to_json(make_move("orbit", 9, hw=(64, 96), fov_degrees=80.0, amount=0.3, unit=unit))
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


def sampled(comfy, model, **changes):
    """What two steps make of noise with the small file of RayPE and an expert's `model` node."""
    prompt = graph("raype_alone.safetensors", model, **changes)
    del prompt["saved"]
    prompt |= {f"text{seed}": node("RaxelProbeText", seed=seed) for seed in (1, 2)}
    prompt["noise"] = node("EmptyHunyuanLatentVideo", width=96, height=64, length=9, batch_size=1)
    linked = {"positive": ["text1", 0], "negative": ["text2", 0], "latent_image": ["noise", 0], "model": ["made", 0]}
    settings = {"seed": 1, "steps": 2, "cfg": 2.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    prompt["video"] = node("KSampler", **linked, **settings)
    (video,) = comfy.probe(prompt, ["video", 0])
    return video["samples"]


def test_the_converted_files_run_with_comfyuis_own_loader(comfy, release):
    ours = sampled(comfy, node("LoadRayPEExpert", weights=f"SCoPE/high_noise_model/{INDEX}", weight_dtype="default"))
    joined, eight_bit = (
        sampled(comfy, node("UNETLoader", unet_name=name, weight_dtype="default"))
        for name in ("merged_scope.safetensors", "merged_fp8.safetensors")
    )
    assert torch.equal(joined, ours)
    assert 0 < (eight_bit - ours).norm() < 0.1 * ours.norm()
    assert torch.equal(sampled(comfy, node("LoadRayPEExpert", weights="merged_fp8.safetensors")), eight_bit)
    off = sampled(comfy, node("UNETLoader", unet_name="merged_fp8.safetensors", weight_dtype="default"), strength=0.0)
    assert (off - eight_bit).abs().max() > 0.1


TINY_VAE = """
import sys
root, target = sys.argv[1:3]
sys.path.insert(0, root)
sys.argv = ["vae", "--cpu"]
import comfy.options
comfy.options.enable_args_parsing()
import torch
from comfy.ldm.wan.vae import WanVAE
from safetensors.torch import save_file
torch.manual_seed(0)
vae = WanVAE(dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, temperal_downsample=[False, True, True])
state = vae.state_dict()  # ComfyUI's layers come without values
for name, value in state.items():
    spread = value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
    state[name] = torch.ones_like(value) if "gamma" in name else spread * torch.randn(value.shape)
save_file(state, target)
"""
WORKFLOW = PACK / "example_workflows" / "raype_on_wan_2_2.json"


def whole_workflow():
    """The example's prompt with the groups on that it is shipped without, since they need the weights."""
    graph = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    for each in graph["nodes"]:
        each["mode"] = 0
    return api_prompt(graph)


def test_the_example_workflow_runs_to_its_end_on_small_experts(comfy, release):
    """As shipped, but for sizes, steps and files: random experts and a small VAE under the names it gives, and numbers
    in place of the text encoder."""
    vae = comfy.base / "models" / "vae" / "wan_2.1_vae.safetensors"
    vae.parent.mkdir(exist_ok=True)
    command = [interpreter_of(comfy.root), "-c", TINY_VAE, comfy.root, vae]
    subprocess.run(command, check=True, timeout=120, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    low = comfy.base / "models" / "diffusion_models" / "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors"
    save_file(wan_state(), low)

    def run(strength):
        prompt = whole_workflow()
        prompt = {name: entry for name, entry in prompt.items() if entry["class_type"] != "CLIPLoader"}
        small = {"width": 96, "height": 64, "frames": 9, "length": 9, "steps": 8, "strength": strength}
        for name, entry in prompt.items():
            inputs = entry["inputs"]
            if entry["class_type"] == "CLIPTextEncode":
                prompt[name] = node("RaxelProbeText", seed=int(name))
                continue
            if entry["class_type"] == "RaxelTrajectoryPreview":
                continue
            inputs |= {key: value for key, value in small.items() if key in inputs}
            inputs |= {key: 3 for key in ("start_at_step", "end_at_step") if inputs.get(key) == 15}
        samplers = [name for name, entry in prompt.items() if entry["class_type"] == "KSamplerAdvanced"]
        (saved,) = (name for name, entry in prompt.items() if entry["class_type"] == "SaveVideo")
        outcome = comfy.run(prompt)
        assert outcome.status == "success", outcome.error
        assert saved in outcome.outputs
        return [found["samples"] for found in comfy.probe(prompt, *([name, 0] for name in samplers))]

    with_rays, without = run(1.0), run(0.0)
    assert with_rays[0].shape == (1, 16, 3, 8, 12)
    for seen, unseen in zip(with_rays, without, strict=True):
        assert torch.isfinite(seen).all()
        assert (seen - unseen).abs().max() > 1e-3


def test_the_example_workflow_gives_each_expert_its_noise_levels():
    """The authors switch below sigma 0.9 of 40 steps at shift 5 (Euler on sigma = 5 s / (1 + 4 s), s = 1 - n / 40)."""
    prompt = whole_workflow()
    high, low = (
        next(entry["inputs"] for entry in prompt.values() if entry["inputs"].get("add_noise") == state)
        for state in ("enable", "disable")
    )
    shares = [1 - step / high["steps"] for step in range(high["steps"])]
    sigmas = [5 * share / (1 + 4 * share) for share in shares]
    assert sum(sigma >= 0.9 for sigma in sigmas) == high["end_at_step"] == low["start_at_step"]
    assert (high["steps"], high["cfg"], low["steps"], low["cfg"]) == (40, 3.5, 40, 3.5)
    assert (high["sampler_name"], high["scheduler"]) == (low["sampler_name"], low["scheduler"]) == ("euler", "simple")
    shifts = [entry["inputs"]["shift"] for entry in prompt.values() if entry["class_type"] == "ModelSamplingSD3"]
    assert shifts == [5, 5]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (graph("SCoPE/low_noise_model/" + INDEX), r"are all 0: .* low-noise expert, .* choose the high-noise expert"),
        (
            graph(model=node("UNETLoader", unet_name="stock_wan.safetensors", weight_dtype="default")),
            r"this MODEL is not the expert that high_noise_model/\S+ was trained in",
        ),
        (
            graph(
                "raype_alone.safetensors",
                node("UNETLoader", unet_name="stock_wan.safetensors", weight_dtype="default"),
            ),
            r"this MODEL is not the expert that raype_alone\.safetensors was trained in",
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

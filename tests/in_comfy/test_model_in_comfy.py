"""Raxel models in a real ComfyUI: the checks of model_in_comfy.py, and one workflow of stock nodes over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from raxel_core.recipe import METADATA_KEY
from raxel_core.weights import save_checkpoint
from tests.in_comfy.comfy_process import checks_of, judge, read_report, run_script
from tests.in_comfy.comfy_server import PACK
from tests.small_checkpoint import CHANNELS, CONFIG, MODEL_NAME, small_recipe, small_transformer

SCRIPT = "model_in_comfy.py"


@pytest.fixture(scope="module")
def report(comfy_root, tmp_path_factory):
    """What the checks said, in each ComfyUI that is found."""
    base = tmp_path_factory.mktemp("model")
    printed = run_script(comfy_root, SCRIPT, base, base / "report.json", seconds=900)
    (base / "models" / "diffusion_models" / "14b.safetensors").unlink(missing_ok=True)
    print(*re.findall(r"40 GB: .*", printed))
    return read_report(base / "report.json")


@pytest.mark.parametrize("check", checks_of(SCRIPT))
def test_in_comfyui(report, check):
    judge(report, check)


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def saved(comfy, name, weights):
    path = comfy.base / "models" / "diffusion_models" / f"{name}.safetensors"
    save_checkpoint(path, weights, CONFIG, metadata={METADATA_KEY: small_recipe().to_json()})


def test_stock_nodes_load_change_compile_sample_and_save(comfy):
    """Load Diffusion Model -> LoRA -> merge -> compile -> KSampler, against a file with the same done by hand."""
    first, second = small_transformer(seed=0).state_dict(), small_transformer(seed=1).state_dict()
    generator = torch.Generator().manual_seed(1)
    factors, changed = {}, dict(first)
    for path in (f"blocks.{n}.{layer}" for n in range(CONFIG.layers) for layer in ("self_attn.q", "ray_ffn.2")):
        out, channels = first[f"{path}.weight"].shape
        down, up = (torch.randn(shape, generator=generator) * 0.1 for shape in ((4, channels), (out, 4)))
        factors |= {f"diffusion_model.{path}.lora_A.weight": down, f"diffusion_model.{path}.lora_B.weight": up}
        changed[f"{path}.weight"] = first[f"{path}.weight"] + up @ down
    saved(comfy, "second", second)
    saved(comfy, "by-hand", {name: 0.25 * value + 0.75 * second[name] for name, value in changed.items()})
    (comfy.base / "models" / "loras").mkdir(exist_ok=True)
    save_file(factors, comfy.base / "models" / "loras" / "both-streams.safetensors")
    latent = {"samples": torch.zeros(1, CHANNELS, 3, 8, 12)}
    save_file({"latent_tensor": latent["samples"]}, comfy.base / "input" / "empty.latent")
    graph = {
        "load": node("UNETLoader", unet_name=f"{MODEL_NAME}.safetensors", weight_dtype="default"),
        "second": node("UNETLoader", unet_name="second.safetensors", weight_dtype="default"),
        "by_hand": node("LoadRaxelModel", model_name="by-hand.safetensors"),
        "lora": node(
            "LoraLoaderModelOnly", model=["load", 0], lora_name="both-streams.safetensors", strength_model=1.0
        ),
        "merged": node("ModelMergeSimple", model1=["lora", 0], model2=["second", 0], ratio=0.25),
        "compiled": node("RaxelProbeCompile", model=["merged", 0]),
        "plain": node("LoadLatent", latent="empty.latent"),
        "empty": node("JoinRaxelLatent", model=["load", 0], video=["plain", 0], task="joint"),
        "none": node("RaxelSources", model=["by_hand", 0], vae=["by_hand", 1], images=["dark", 0], frames="0"),
        "dark": node("EmptyImage", width=96, height=64, batch_size=1, color=0),
    }
    sampler = {"seed": 7, "steps": 3, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    conditions = {"positive": ["none", 0], "negative": ["none", 1], "latent_image": ["empty", 0]}
    for name in ("compiled", "by_hand"):
        graph[f"of_{name}"] = node("KSampler", model=[name, 0], **sampler, **conditions)
    graph["own"] = node("LoadRaxelModel", model_name=f"{MODEL_NAME}.safetensors")
    graph["own_lora"] = {**graph["lora"], "inputs": {**graph["lora"]["inputs"], "model": ["own", 0]}}
    graph["own_merged"] = node("ModelMergeSimple", model1=["own_lora", 0], model2=["second", 0], ratio=0.25)
    graph["save"] = node("ModelSave", model=["own_merged", 0], filename_prefix="stock/merged")
    found, expected = comfy.probe(graph, ["of_compiled", 0], ["of_by_hand", 0])
    for stream in ("video", "rays"):
        torch.testing.assert_close(found[stream], expected[stream], atol=2e-5, rtol=2e-5)
    written = next((comfy.base / "output" / "stock").glob("merged*.safetensors"))
    written.rename(comfy.base / "models" / "diffusion_models" / "merged.safetensors")
    graph["again"] = node("UNETLoader", unet_name="merged.safetensors", weight_dtype="default")
    graph["of_again"] = node("KSampler", model=["again", 0], **sampler, **conditions)
    del graph["save"]
    (again,) = comfy.probe(graph, ["of_again", 0])
    for stream in ("video", "rays"):
        torch.testing.assert_close(again[stream], expected[stream], atol=2e-5, rtol=2e-5)


def test_an_older_comfyui_is_told_in_one_sentence(tmp_path):
    """ComfyUI before 0.8 has no nested latents: nothing of the pack is imported, and the reason is said."""
    (tmp_path / "comfy").mkdir()
    (tmp_path / "comfy" / "__init__.py").write_text("", encoding="utf-8")
    program = (
        "import asyncio, importlib.util as u, sys\n"
        f"spec = u.spec_from_file_location('raxel', {str(PACK / '__init__.py')!r}, "
        f"submodule_search_locations=[{str(PACK)!r}])\n"
        "sys.modules['raxel'] = m = u.module_from_spec(spec)\n"
        "spec.loader.exec_module(m)\n"
        "try:\n    asyncio.run(m.comfy_entrypoint())\nexcept RuntimeError as error:\n    print(error)\n"
        "print('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    sentence, imported = done.stdout.strip().splitlines()
    assert sentence == "Raxel needs ComfyUI 0.8 or newer (this one has no nested latents): please update ComfyUI."
    assert imported == "False"

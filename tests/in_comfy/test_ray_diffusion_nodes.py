"""The nodes of Ray Diffusion in a real ComfyUI, with a network that sees one camera in every photograph."""

from __future__ import annotations

import json
from math import tan

import pytest
import torch
from safetensors.torch import save_file

from tests.in_comfy.comfy_server import PACK
from tests.ray_diffusion.constant_network import save_constant_network

NAME = "constant.safetensors"
NODES = ("LoadRayDiffusion", "RayDiffusionPoses")


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


@pytest.fixture
def graph(comfy):
    save_constant_network(comfy.base / "models" / "diffusion_models" / NAME)
    images = torch.rand(3, 48, 64, 3, generator=torch.Generator().manual_seed(0))
    (comfy.base / "input").mkdir(exist_ok=True)
    save_file({"image": images}, comfy.base / "input" / "photos.safetensors")
    return {
        "net": node("LoadRayDiffusion", weights=NAME),
        "photos": node("RaxelProbeTensor", name="photos"),
        "poses": node("RayDiffusionPoses", ray_diffusion=["net", 0], images=["photos", 0], steps=3, samples=2),
    }


def test_their_pages_name_every_input_and_output(comfy):
    for name in NODES:
        info = comfy.get(f"/object_info/{name}")[name]
        assert info["category"] == "raxel/Ray Diffusion"
        widgets = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        page = (PACK / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")
        for word, options in widgets.items():
            assert f"| `{word}` | " in page and options[1]["tooltip"] in page, (name, word)
        outputs = zip(info["output_name"], info["output"], info["output_tooltips"], strict=True)
        assert all(f"| `{word}` | {kind} | {tooltip} |" in page for word, kind, tooltip in outputs), name


def test_photographs_become_a_path_a_report_and_rays(comfy, graph):
    graph["file"] = node("RaxelSaveCamera", trajectory=["poses", 4], filename_prefix="photos", format="colmap")
    graph["again"] = node("RaxelCamerasFromRayMap", ray_map=["poses", 2], width=64, height=48)
    path, report, preview, again = comfy.probe(graph, ["poses", 0], ["poses", 1], ["poses", 3], ["again", 0])
    torch.testing.assert_close(path["world_from_cam"], torch.eye(4).expand(3, 4, 4), rtol=0, atol=1e-3)
    # The crop is the middle square, 48 px, seen at 0.9 radians.
    torch.testing.assert_close(path["K"][:, 0, 0], torch.full((3,), 24 / tan(0.45)), rtol=1e-3, atol=0)
    told = json.loads(bytes(report["text"].tolist()).decode())
    assert told["photographs"] == 3 and told["samples"] == 2 and "constant" in told["verdict"]
    assert told["estimator"] == "ray_diffusion"
    assert preview["tensor"].shape == (3, 16, 8, 3)
    assert len(again["K"]) == 3
    assert list((comfy.base / "output").glob("photos*/**/points3D.txt"))


def test_bad_input_is_one_sentence(comfy, graph):
    for wrong, told in (
        ({"boxes": "[[1, 2, 3]]"}, "3 photographs and 1 boxes"),
        ({"boxes": "nothing"}, "boxes are JSON like"),
        ({"boxes": "[[0,0,9,9],[0,0,9,9],[90,0,99,9]]"}, "photograph 2: the box"),
    ):
        graph["poses"]["inputs"] |= wrong
        outcome = comfy.run({**graph, "out": node("RaxelProbe", value=["poses", 0], name="x")})
        assert told in outcome.error, outcome

"""The nodes between ray maps and cameras, in a real ComfyUI: a path goes through every layout and comes back."""

from __future__ import annotations

import json

import torch

from raxel_core.geometry.ray_map import LAYOUTS
from raxel_core.paths.camera_path import path_to_json
from raxel_core.paths.plan import make_move
from tests.in_comfy.comfy_server import PACK

HW = (48, 64)
NODES = ("RaxelCamerasFromRayMap", "RaxelRayMapFromCameras")


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def arc():
    return make_move("arc", 5, hw=HW, amount=torch.pi / 6, fps=8.0)


def graph():
    return {
        "text": node("PrimitiveStringMultiline", value=path_to_json(arc())),
        "path": node("RaxelFromCamera", camera=["text", 0]),
    }


def test_their_pages_name_every_input_and_output(comfy):
    for name in NODES:
        info = comfy.get(f"/object_info/{name}")[name]
        widgets = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        page = (PACK / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {info['display_name']}\n")
        for word, options in widgets.items():
            assert f"| `{word}` | " in page and options[1]["tooltip"] in page, (name, word)
        outputs = zip(info["output_name"], info["output"], info["output_tooltips"], strict=True)
        assert all(f"| `{word}` | {kind} | {tooltip} |" in page for word, kind, tooltip in outputs), name
    page = (PACK / "web" / "docs" / "RaxelCamerasFromRayMap.md").read_text(encoding="utf-8")
    assert all(f"`{layout}`" in page for layout in LAYOUTS)


def test_a_path_comes_back_through_the_socket_the_latent_and_the_picture(comfy):
    prompt = graph()
    read = {"direction": (0, 2), "raxel": (0, 1, 2)}
    for layout in ("plucker_md", "direction_origin_depth", "direction", "raxel"):
        prompt[layout] = node("RaxelRayMapFromCameras", trajectory=["path", 0], layout=layout, width=32, height=24)
        for output in read.get(layout, (0, 1)):
            said = layout if layout == "raxel" else "auto"
            prompt[f"{layout} {output}"] = node(
                "RaxelCamerasFromRayMap", ray_map=[layout, output], layout=said, width=HW[1], height=HW[0]
            )
    names = [name for name in prompt if " " in name]
    found = comfy.probe(prompt, *[[name, 0] for name in names], ["plucker_md 1", 1])
    true = arc().camera
    for name, path in zip(names, found, strict=False):
        motion = path["world_from_cam"].float()
        torch.testing.assert_close(motion[:, :3, :3], true.rotation.float(), atol=1e-4, rtol=0)
        center = torch.zeros(5, 3) if name.startswith("direction ") else true.center.float()
        torch.testing.assert_close(motion[:, :3, 3], center, atol=1e-4, rtol=0)
        torch.testing.assert_close(path["K"].float(), true.K.float(), atol=1e-2, rtol=0)
    report = json.loads(bytes(found[-1]["text"].tolist()).decode())
    assert "plucker_md" in report["layout"] and report["rays_that_fit"] == [1.0] * 5

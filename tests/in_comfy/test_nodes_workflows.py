"""The example workflows: whole, in step with the embedded checkpoint, and running in a real ComfyUI as they are shipped."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from raxel_core.raxel_model import CHECKPOINTS, EMBEDDED_MODEL
from raxel_core.recipe import METADATA_KEY, Recipe
from raxel_core.training.synthetic import SPLITS, render_scenes
from raxel_core.video_io import write_image, write_video
from tests.in_comfy.comfy_server import PACK

FOLDER = PACK / "example_workflows"
WORKFLOWS = sorted(FOLDER.glob("*.json"))
NAMES = [
    "builder_to_wan_fun_camera",
    "colmap_to_blender",
    "depth_warp_for_uni3c",
    "joint_video_and_cameras",
    "path_to_upscaled_video",
    "pose_from_video",
    "raype_on_wan_2_2",
    "self_consistency_loop",
    "video_along_a_path",
]
SHOWS = {"PreviewImage", "SaveVideo", "PreviewAny", "RaxelSaveCamera"}
# Loaders of files that are not at hand where the tests run, and that nothing downloads.
WEIGHTS = {"UNETLoader", "CLIPLoader", "VAELoader", "CLIPVisionLoader", "ModelPatchLoader", "UpscaleModelLoader"}
WEIGHTS |= {"LoadRayPE", "LoadRayPEExpert"}
COLMAP_MODEL = {
    "cameras.txt": "1 PINHOLE 832 480 700 700 416 240\n",
    "images.txt": "1 1 0 0 0 0 0 0 1 a.png\n\n2 1 0 0 0 -0.5 0 0 1 b.png\n\n3 1 0 0 0 -1 0 0.2 1 c.png\n\n",
    "points3D.txt": "",
}
EMBEDDED = CHECKPOINTS / f"{EMBEDDED_MODEL}.safetensors"
by_name = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def api_prompt(workflow: dict, *, everything: bool = False) -> dict:
    """The prompt that the browser makes of a workflow: widget values by name, links, nothing muted or bypassed unless
    `everything` is wanted."""
    off = () if everything else (2, 4)
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: link for link in workflow["links"]}

    def origin(link_id):
        _, source, slot, *_ = links[link_id]
        if nodes[source]["mode"] == 4 and off:  # bypassed: what goes in by the same type comes out
            kind = nodes[source]["outputs"][slot]["type"]
            link_id = next(entry["link"] for entry in nodes[source]["inputs"] if entry["type"] == kind)
            return origin(link_id)
        return [str(source), slot]

    prompt = {}
    for node in nodes.values():
        if node["mode"] in off or node["type"] == "MarkdownNote":
            continue
        inputs = dict(node.get("widgets_values_named") or {})
        assert list(inputs.values()) == (node.get("widgets_values") or [])
        assert inputs.pop("control_after_generate", "fixed") == "fixed"
        for entry in node["inputs"]:
            if entry["link"] is not None:
                inputs[entry["name"]] = origin(entry["link"])
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def needs_weights(prompt: dict) -> set[str]:
    """The nodes of a prompt that load weights or take what such a node gives."""
    found = {name for name, node in prompt.items() if node["class_type"] in WEIGHTS}
    while True:
        sources = {
            name: {value[0] for value in node["inputs"].values() if isinstance(value, list)}
            for name, node in prompt.items()
        }
        more = {name for name in prompt if sources[name] & found} - found
        if not more:
            return found
        found |= more


def test_there_is_a_workflow_for_each_task():
    assert [path.stem for path in WORKFLOWS] == NAMES


@by_name
def test_each_workflow_has_a_thumbnail_and_no_loose_ends(path):
    workflow = read(path)
    thumbnail = path.with_suffix(".jpg").read_bytes()
    assert thumbnail.startswith(b"\xff\xd8\xff")
    assert len(thumbnail) < 150_000
    nodes = {node["id"] for node in workflow["nodes"]}
    assert all(link[1] in nodes and link[3] in nodes for link in workflow["links"])
    assert any(node["type"] == "MarkdownNote" for node in workflow["nodes"])
    assert str(Path.home()) not in path.read_text(encoding="utf-8")
    for node in workflow["nodes"]:
        if node["type"] == "LoadRaxelModel":
            assert node["widgets_values"][0] == f"{EMBEDDED_MODEL} (embedded)"


@by_name
def test_each_workflow_makes_clips_of_the_checkpoints_size(path):
    with EMBEDDED.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    recipe = Recipe.from_json(header["__metadata__"][METADATA_KEY])
    prompt = api_prompt(read(path))
    if "JointSampler" not in {node["class_type"] for node in prompt.values()}:
        return  # no video of the checkpoint's
    for node in prompt.values():
        if node["class_type"] == "CameraTrajectoryBuilder":
            values = node["inputs"]
            assert (values["frames"], values["height"], values["width"]) == (recipe.frames, *recipe.hw)
            assert (values["fps"], values["unit"]) == (recipe.fps, recipe.unit)
        if node["class_type"] == "CreateVideo" and not isinstance(node["inputs"]["fps"], list):
            assert node["inputs"]["fps"] == recipe.fps


@by_name
def test_each_workflow_runs_to_its_end(comfy, path):
    video = render_scenes([SPLITS["test"][7]], frames=61, hw=(96, 128)).video[0]
    prompt = api_prompt(read(path))
    left = needs_weights(prompt)
    prompt = {name: node for name, node in prompt.items() if name not in left}
    for node in prompt.values():
        if node["class_type"] == "RaxelLoadCamera":
            folder = comfy.base / "input" / node["inputs"]["path"]
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in COLMAP_MODEL.items():
                (folder / name).write_text(text, encoding="utf-8")
        if node["class_type"] == "LoadImage":
            write_image(comfy.base / "input" / node["inputs"]["image"], video[:, 0])
        if node["class_type"] == "LoadVideo":
            node["inputs"]["file"] = "clip.mp4"
            write_video(comfy.base / "input" / "clip.mp4", video, fps=24.0)
    outcome = comfy.run(prompt)
    assert outcome.status == "success", outcome.error
    shows = {name for name, node in prompt.items() if node["class_type"] in SHOWS}
    assert shows
    assert shows <= set(outcome.outputs)


@by_name
def test_only_weights_are_missing_when_everything_is_enabled(comfy, path):
    prompt = api_prompt(read(path), everything=True)
    loaders = {name for name, node in prompt.items() if node["class_type"] in WEIGHTS}
    if not loaders:
        return
    if comfy.version < (0, 33):
        pytest.skip("not every node of the workflow is in this ComfyUI")
    left = needs_weights(prompt)
    shown = {name for name, node in prompt.items() if node["class_type"] in SHOWS and name not in left}
    write_image(comfy.base / "input" / "example.png", render_scenes([SPLITS["test"][7]], frames=1).video[0, :, 0])
    status, answer = comfy.post("/prompt", {"prompt": {name: prompt[name] for name in prompt.keys() - shown}})
    assert status == 400
    found = {name: {error["type"] for error in entry["errors"]} for name, entry in answer["node_errors"].items()}
    assert found == {name: {"value_not_in_list"} for name in loaders}


def test_comfyui_lists_the_templates(comfy):
    listed = comfy.get("/workflow_templates")
    assert sorted(listed["raxel"]) == NAMES
    assert comfy.get("/api/workflow_templates/raxel/pose_from_video.json")["nodes"]

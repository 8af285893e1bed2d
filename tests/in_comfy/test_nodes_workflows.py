"""The example workflows: whole, in step with the embedded checkpoint, and running in a real ComfyUI as they are shipped."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from raxel_core.raxel_model import CHECKPOINTS, EMBEDDED_MODEL
from raxel_core.recipe import METADATA_KEY, Recipe
from tests.in_comfy.comfy_server import PACK

FOLDER = PACK / "example_workflows"
WORKFLOWS = sorted(FOLDER.glob("*.json"))
NAMES = [
    "builder_to_wan_fun_camera",
    "colmap_to_blender",
    "depth_warp_for_uni3c",
    "joint_video_and_cameras",
    "moving_clip_filmed_again",
    "path_to_upscaled_video",
    "pose_from_video",
    "raype_in_few_steps",
    "raype_on_wan_2_2",
    "self_consistency_loop",
    "tracks_for_wan_move_and_ati",
    "video_along_a_path",
]
SHOWS = {"PreviewImage", "SaveVideo", "PreviewAny", "RaxelSaveCamera"}
# Loaders of files that are not at hand where the tests run, and that nothing downloads.
WEIGHTS = {"UNETLoader", "CLIPLoader", "VAELoader", "CLIPVisionLoader", "ModelPatchLoader", "UpscaleModelLoader"}
WEIGHTS |= {"LoadRayPE", "LoadRayPEExpert", "LoraLoaderModelOnly", "LoadMoGeModel"}
# Those of whole folders, which no loader can offer: the note says where they are.
BY_HAND = {"LoadRayPE", "LoadRayPEExpert"}
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
        return source, slot

    prompt = {}
    for node in nodes.values():
        if node["mode"] in off or node["type"] == "MarkdownNote":
            continue
        inputs = dict(node.get("widgets_values_named") or {})
        assert list(inputs.values()) == (node.get("widgets_values") or [])
        assert inputs.pop("control_after_generate", "fixed") == "fixed"
        for entry in node["inputs"]:
            if entry["link"] is not None and nodes[origin(entry["link"])[0]]["mode"] not in off:
                inputs[entry["name"]] = [str(origin(entry["link"])[0]), origin(entry["link"])[1]]
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
def test_each_workflow_runs_as_it_stands(comfy, path):
    """What the browser would queue, with nothing put anywhere before: no weights but the embedded ones are asked for."""
    prompt = api_prompt(read(path))
    assert not needs_weights(prompt)
    outcome = comfy.run(prompt)
    assert outcome.status == "success", outcome.error
    shows = {name for name, node in prompt.items() if node["class_type"] in SHOWS}
    assert shows
    assert shows <= set(outcome.outputs)


@by_name
def test_loaders_offer_the_files_they_name(path):
    """As ComfyUI's list of missing models takes them: name, address and folder, for each file a loader has chosen."""
    folders = {
        "UNETLoader": "diffusion_models", "CLIPLoader": "text_encoders", "VAELoader": "vae",
        "CLIPVisionLoader": "clip_vision", "ModelPatchLoader": "model_patches", "UpscaleModelLoader": "upscale_models",
        "LoraLoaderModelOnly": "loras", "LoadMoGeModel": "geometry_estimation",
    }  # fmt: skip
    for node in read(path)["nodes"]:
        if node["type"] not in WEIGHTS - BY_HAND:
            continue
        (offered,) = node["properties"]["models"]
        assert offered["name"] in node["widgets_values"]
        assert offered["directory"] == folders[node["type"]]
        assert offered["url"].startswith("https://huggingface.co/")
        assert offered["url"].endswith(f"/{offered['name']}")
        assert offered.get("hash_type", "SHA256") == "SHA256" and len(offered.get("hash", "0" * 64)) == 64


@by_name
def test_each_workflow_opens_where_its_text_can_be_read(path):
    """The stored view begins at the top left of the graph, at a scale at which a note's letters have 8 pixels and more."""
    workflow = read(path)
    view = workflow["extra"]["ds"]
    corner = [min(node["pos"][axis] for node in workflow["nodes"]) for axis in (0, 1)]
    assert view["scale"] >= 0.6
    assert all(0.0 < start + offset < 120.0 for start, offset in zip(corner, view["offset"], strict=True))


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
    status, answer = comfy.post("/prompt", {"prompt": {name: prompt[name] for name in prompt.keys() - shown}})
    assert status == 400
    found = {name: {error["type"] for error in entry["errors"]} for name, entry in answer["node_errors"].items()}
    assert found == {name: {"value_not_in_list"} for name in loaders}


def test_comfyui_lists_the_templates(comfy):
    listed = comfy.get("/workflow_templates")
    assert sorted(listed["raxel"]) == NAMES
    assert comfy.get("/api/workflow_templates/raxel/pose_from_video.json")["nodes"]

"""The example workflows: whole, in step with the embedded checkpoint, and running in a real ComfyUI as they are shipped."""

from __future__ import annotations

import itertools
import json
import math
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
    "footage_to_blender_and_colmap",
    "joint_video_and_cameras",
    "moving_clip_filmed_again",
    "path_to_upscaled_video",
    "photographs_by_ray_diffusion",
    "photographs_to_point_cloud",
    "pose_from_video",
    "raype_in_few_steps",
    "raype_on_wan_2_2",
    "self_consistency_loop",
    "tracks_for_wan_move_and_ati",
    "verify_a_generated_video",
    "video_along_a_path",
]
SHOWS = {"PreviewImage", "SaveVideo", "PreviewAny", "RaxelSaveCamera"}
# Loaders of files that are not at hand where the tests run, and that nothing downloads.
WEIGHTS = {"UNETLoader", "CLIPLoader", "VAELoader", "CLIPVisionLoader", "ModelPatchLoader", "UpscaleModelLoader"}
WEIGHTS |= {"LoadRayPE", "LoadRayPEExpert", "LoraLoaderModelOnly", "LoadMoGeModel"}
# Those of whole folders, which no loader can offer: the note says where they are.
BY_HAND = {"LoadRayPE", "LoadRayPEExpert"}
# What needs pycolmap, which ComfyUI does not bring.
SOLVE = {"RaxelSolveCamera", "RaxelVerifyCamera"}
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
    if outcome.status == "error" and SOLVE & {node["class_type"] for node in prompt.values()}:
        assert "pip install pycolmap" in outcome.error
        pytest.skip("this ComfyUI has no pycolmap")
    assert outcome.status == "success", outcome.error
    shows = {name for name, node in prompt.items() if node["class_type"] in SHOWS}
    assert shows
    assert shows <= set(outcome.outputs)
    if path.stem == "verify_a_generated_video":
        assert any(values.get("text", [""])[0].startswith("Passed: ") for values in outcome.outputs.values())
    if path.stem == "self_consistency_loop":  # what its note says of the small model
        (report,) = (json.loads(outcome.outputs[name]["text"][0]) for name in prompt if is_report(prompt[name]))
        assert report["compared_with"] == "truth" and not report["passed"]
        assert "The small model does not pass here" in path.read_text(encoding="utf-8")


def is_report(node: dict) -> bool:
    return node["class_type"] == "PreviewAny"


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
    # A Builder is an output too: with one the rest is refused and the prompt is not.
    builders = any(node["class_type"] == "CameraTrajectoryBuilder" for node in prompt.values())
    status, answer = comfy.post("/prompt", {"prompt": {name: prompt[name] for name in prompt.keys() - shown}})
    assert status == (200 if builders else 400)
    found = {name: {error["type"] for error in entry["errors"]} for name, entry in answer["node_errors"].items()}
    assert found == {name: {"value_not_in_list"} for name in loaders}


def test_comfyui_lists_the_templates(comfy):
    listed = comfy.get("/workflow_templates")
    assert sorted(listed["raxel"]) == NAMES
    assert comfy.get("/api/workflow_templates/raxel/pose_from_video.json")["nodes"]


BLUEPRINTS = sorted((PACK / "subgraphs").glob("*.json"))


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_each_blueprint_is_whole_and_of_nodes_that_are_there(comfy, path):
    if comfy.version < (0, 33):
        pytest.skip("this ComfyUI has no blueprints")
    served = comfy.get("/global_subgraphs").values()
    assert {"custom_nodes.raxel"} == {entry["info"]["node_pack"] for entry in served if entry["name"] == path.stem}
    outer = read(path)
    ((box,), (inside,)) = outer["nodes"], outer["definitions"]["subgraphs"]
    assert (box["type"], box["title"]) == (inside["id"], inside["name"])
    known, nodes = comfy.get("/object_info"), {node["id"]: node for node in inside["nodes"]}
    for link in inside["links"]:
        start, end = nodes.get(link["origin_id"]), nodes.get(link["target_id"])
        source = start["outputs"] if start else inside["inputs"]
        target = end["inputs"] if end else inside["outputs"]
        assert source[link["origin_slot"]]["type"] == link["type"]
        assert link["type"] in target[link["target_slot"]]["type"].split(",")
    for node in nodes.values():
        spec = known[node["type"]]["input"]
        expected = {*spec.get("required", {}), *spec.get("optional", {})}
        assert {entry["name"] for entry in node["inputs"]} == expected
        widgets = [entry["name"] for entry in node["inputs"] if "widget" in entry]
        # After a seed the page keeps what becomes of it from run to run.
        assert len(node["widgets_values"]) == len(widgets) + ("seed" in widgets)
    for number, widget in box["properties"]["proxyWidgets"]:
        assert widget in {entry["name"] for entry in nodes[int(number)]["inputs"] if "widget" in entry}


def slots(node: dict) -> tuple[list, list]:
    """Where a node's links arrive and leave, in the order of its inputs and outputs, as the page draws them."""
    (x, y), (width, _) = node["pos"], node["size"]
    plain = [entry for entry in node["inputs"] if "widget" not in entry]
    rows = {entry["name"]: row for row, entry in enumerate(plain)}
    below = max(len(plain), len(node["outputs"]))
    widgets = [entry["name"] for entry in node["inputs"] if "widget" in entry]
    rows |= {name: below + (24 * number + 10) / 20 for number, name in enumerate(widgets)}
    arrive = [(x, y + 20 * (rows[entry["name"]] + 0.7)) for entry in node["inputs"]]
    return arrive, [(x + width, y + 20 * (row + 0.7)) for row in range(len(node["outputs"]))]


def way_of(workflow: dict, link: list) -> list[tuple[float, float]]:
    """The points a link is drawn through: its ends and, in their order, its reroutes."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    places = {entry["id"]: entry for entry in workflow["extra"].get("reroutes", [])}
    parents = {entry["id"]: entry["parentId"] for entry in workflow["extra"].get("linkExtensions", [])}
    at, between = parents.get(link[0]), []
    while at is not None:
        between.insert(0, tuple(places[at]["pos"]))
        at = places[at].get("parentId")
    return [slots(nodes[link[1]])[1][link[2]], *between, slots(nodes[link[3]])[0][link[4]]]


def along(start: tuple[float, float], end: tuple[float, float], *, curved: bool) -> list[tuple[float, float]]:
    """Points between two on a link: on the spline that a link without reroutes is, or on the line."""
    reach = 0.25 * math.dist(start, end) if curved else 0.0
    points = []
    for share in (step / 40 for step in range(1, 40)):
        first, last = (1 - share) ** 3, share**3
        near, far = 3 * (1 - share) ** 2 * share, 3 * (1 - share) * share**2
        x = first * start[0] + near * (start[0] + reach) + far * (end[0] - reach) + last * end[0]
        points.append((x, (first + near) * start[1] + (far + last) * end[1]))
    return points


@by_name
def test_no_link_lies_behind_a_node(path):
    workflow = read(path)
    for link in workflow["links"]:
        way = way_of(workflow, link)
        assert len(way) > 2 or way[1][0] > way[0][0] + 20, (link, "turns back behind its own nodes")
        for start, end in itertools.pairwise(way):
            for x, y in along(start, end, curved=len(way) == 2):
                for node in workflow["nodes"]:
                    (left, top), (width, height) = node["pos"], node["size"]
                    inside = left + 4 < x < left + width - 4 and top - 26 < y < top + height - 4
                    ends = node["id"] in (link[1], link[3])
                    assert not inside or ends, (link, node["type"], node.get("title"))

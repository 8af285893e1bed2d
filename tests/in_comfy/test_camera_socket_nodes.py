"""The nodes between our camera paths and the sockets of other packs, in a real ComfyUI beside its own camera nodes."""

from __future__ import annotations

import pytest
import torch

from raxel_core.camera_sockets.recognition import PAYLOADS
from raxel_core.camera_sockets.wan_embedding import wan_camera_embedding
from raxel_core.paths.camera_path import path_to_json
from raxel_core.paths.plan import make_move
from tests.in_comfy.comfy_server import PACK
from tests.small_checkpoint import FRAMES, HW, MODEL_NAME

NODES = (
    "RaxelFromCamera",
    "RaxelToWanCamera",
    "RaxelToCameraCtrl",
    "RaxelToReCamMaster",
    "RaxelToMatrices",
    "RaxelToLoad3DCamera",
)


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def text(probe):
    return bytes(probe["text"].tolist()).decode()


def orbit():
    return make_move("orbit", FRAMES, hw=HW, amount=torch.pi / 9, easing="smooth")


@pytest.fixture
def graph():
    """An orbit of 20 degrees, made by the builder's core and handed over as text."""
    return {
        "text": node("PrimitiveStringMultiline", value=path_to_json(orbit())),
        "path": node("RaxelFromCamera", camera=["text", 0]),
    }


def back(source, **inputs):
    """The node that reads a payload of the orbit's size."""
    return node("RaxelFromCamera", **{"camera": source, "width": HW[1], "height": HW[0]} | inputs)


def close(probe, expected, tolerance=1e-5):
    torch.testing.assert_close(probe["world_from_cam"].double(), expected.double(), atol=tolerance, rtol=0)


def test_their_pages_name_every_input_output_and_payload(comfy):
    for name in NODES:
        info = comfy.get(f"/object_info/{name}")[name]
        assert info["category"] == "raxel/exchange"
        assert info["description"]
        widgets = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        assert all(options[1]["tooltip"] for options in widgets.values())
        assert all(info["output_tooltips"])
        page = (PACK / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")
        assert all(f"`{word}`" in page for word in (*widgets, *info["output_name"]))
        assert all(options[1]["tooltip"] in page for options in widgets.values())
    page = (PACK / "web" / "docs" / "RaxelFromCamera.md").read_text(encoding="utf-8")
    assert all(f"`{payload}`" in page for payload in PAYLOADS)


def test_the_stock_nodes_rays_are_read_and_made_again(comfy):
    """320 x 180 is 16:9, where the stock node's assumption holds: fx = 0.5 W and fy = 8/9 H are 160 pixels both."""
    graph = {
        "stock": node("WanCameraEmbedding", camera_pose="Zoom In", width=320, height=180, length=9, fx=0.5, fy=8 / 9),
        "path": node("RaxelFromCamera", camera=["stock", 0]),
        "wan": node("RaxelToWanCamera", trajectory=["path", 0]),
    }
    stock, path, report, wan = comfy.probe(graph, ["stock", 0], ["path", 0], ["path", 1], ["wan", 0])
    expected = torch.eye(4).repeat(9, 1, 1)
    expected[:, 2, 3] = 3.0 * torch.arange(9) / 9
    close(path, expected)
    torch.testing.assert_close(
        path["K"].double(),
        torch.tensor([[160.0, 0, 160], [0, 160, 90], [0, 0, 1]]).double().expand(9, 3, 3),
        atol=1e-3,
        rtol=0,
    )
    lines = text(report).splitlines()
    assert lines[:2] == ["Read as WAN_CAMERA_EMBEDDING.", "The camera dollies forward by 2.67 (lengths in arbitrary)."]
    assert lines[2].startswith("9 frames of 320x180 pixels")
    torch.testing.assert_close(wan["tensor"], stock["tensor"], atol=2e-5, rtol=0)


def test_wancameraimagetovideo_takes_ours(comfy, graph):
    graph |= {
        "load": node("LoadRaxelModel", model_name=f"{MODEL_NAME}.safetensors"),
        "wan": node("RaxelToWanCamera", trajectory=["path", 0]),
        "image": node("EmptyImage", width=HW[1], height=HW[0], batch_size=1, color=0),
        "sources": node("RaxelSources", model=["load", 0], vae=["load", 1], images=["image", 0], frames="0"),
    }
    sizes = {"width": ["wan", 1], "height": ["wan", 2], "length": ["wan", 3]}
    graph["made"] = node(
        "WanCameraImageToVideo",
        positive=["sources", 0],
        negative=["sources", 1],
        vae=["load", 1],
        batch_size=1,
        camera_conditions=["wan", 0],
        **sizes,
    )
    wan, latent = comfy.probe(graph, ["wan", 0], ["made", 2])
    torch.testing.assert_close(wan["tensor"], wan_camera_embedding(orbit()), atol=1e-6, rtol=0)
    assert latent["samples"].shape[2] == wan["tensor"].shape[2]


@pytest.mark.parametrize(
    ("kind", "slot", "read"),
    [
        ("RaxelToCameraCtrl", 0, "CAMERACTRL_POSES"),
        ("RaxelToCameraCtrl", 1, "CameraPose"),
        ("RaxelToCameraCtrl", 2, "CameraCtrl rows (STRING)"),
        ("RaxelToReCamMaster", 0, "CAMERAPOSES"),
        ("RaxelToMatrices", 0, "EXTRINSICS"),
        ("RaxelToWanCamera", 0, "WAN_CAMERA_EMBEDDING"),
    ],
)
def test_each_socket_carries_the_path_and_back(comfy, graph, kind, slot, read):
    graph |= {
        "out": node(kind, trajectory=["path", 0]),
        "matrices": node("RaxelToMatrices", trajectory=["path", 0]),
        "back": back(["out", slot]),
    }
    if read in ("CameraPose", "EXTRINSICS", "CAMERAPOSES"):
        graph["back"]["inputs"]["intrinsics"] = ["matrices", 1]
    found, report = comfy.probe(graph, ["back", 0], ["back", 1])
    truth = orbit().relative_to(0).camera
    assert text(report).startswith(f"Read as {read}.\n")
    every = slice(None, None, 4 if read == "CAMERAPOSES" else 1)
    assert len(found["world_from_cam"]) == FRAMES
    torch.testing.assert_close(
        found["world_from_cam"][every].double(), truth.world_from_cam[every].double(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(found["K"].double(), truth.K.double(), atol=1e-3, rtol=0)


def test_the_3d_viewers_camera_goes_there_and_back(comfy, graph):
    graph |= {"out": node("RaxelToLoad3DCamera", trajectory=["path", 0], frame=-1), "back": back(["out", 0])}
    graph["all"] = back(["out", 1])
    found, every = comfy.probe(graph, ["back", 0], ["all", 0])
    close(every, orbit().camera.world_from_cam)
    close(found, orbit().camera.world_from_cam[-1:])
    torch.testing.assert_close(found["K"].double(), orbit().camera.K[-1:].double(), atol=1e-3, rtol=0)


def test_comfyuis_own_camera_is_read_by_hand(comfy):
    """A quarter round the origin at 4: on +x, looking along -x; that is a turn to the left. 53.13 degrees: f = height."""
    if comfy.version < (0, 33):
        pytest.skip("this ComfyUI has no Create Camera Info")
    orbit_inputs = {"mode": "orbit", "mode.yaw": 90.0, "mode.pitch": 0.0, "mode.distance": 4.0}
    target = {f"target_{axis}": 0.0 for axis in "xyz"}
    graph = {
        "info": node(
            "CreateCameraInfo", **orbit_inputs, **target, roll=0.0, fov=53.13010235, zoom=2.0, camera_type="perspective"
        ),
        "path": node("RaxelFromCamera", camera=["info", 0], width=832, height=480),
    }
    (found,) = comfy.probe(graph, ["path", 0])
    close(found, torch.tensor([[[0.0, 0, -1, 4], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]]))
    assert found["K"][0, :2, :2].diagonal().tolist() == pytest.approx([960.0, 960.0])


def test_a_path_that_was_read_can_be_encoded(comfy, graph):
    graph |= {
        "load": node("LoadRaxelModel", model_name=f"{MODEL_NAME}.safetensors"),
        "rows": node("RaxelToCameraCtrl", trajectory=["path", 0]),
        "back": back(["rows", 2]),
        "rays": node("RaxelEncode", model=["load", 0], vae=["load", 1], trajectory=["path", 0]),
        "again": node("RaxelEncode", model=["load", 0], vae=["load", 1], trajectory=["back", 0]),
    }
    rays, again = comfy.probe(graph, ["rays", 0], ["again", 0])
    torch.testing.assert_close(rays["rays"], again["rays"], atol=2e-4, rtol=0)


BAD = {
    "another aspect": (
        lambda: node("RaxelToWanCamera", trajectory=["path", 0], width=64, height=96),
        "the aspects differ",
    ),
    "an image": (lambda: node("RaxelFromCamera", camera=["image", 0]), "shape [1, 64, 64, 3]"),
    "words": (lambda: node("RaxelFromCamera", camera="pan left"), "CameraCtrl rows (STRING)"),
    "no such frame": (lambda: node("RaxelToLoad3DCamera", trajectory=["path", 0], frame=99), "there is no frame 99"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_answered_in_one_sentence(comfy, graph, case):
    build, sentence = BAD[case]
    graph |= {"image": node("EmptyImage", width=64, height=64, batch_size=1, color=0), "bad": build()}
    graph["out"] = node("RaxelProbe", value=["bad", 0], name="bad_camera")
    outcome = comfy.run(graph)
    assert outcome.status == "error"
    assert sentence in outcome.error
    assert len(outcome.error.strip().splitlines()) == 1

"""The warp, near-depth and diagnostics nodes in a real ComfyUI: builder -> warp -> what the stock video nodes take."""

from __future__ import annotations

import math
import time

import pytest
import torch
from safetensors.torch import save_file

from raxel_core.geometry.camera import K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.plan import make_move
from raxel_core.warp.depth_map import DEPTH_KINDS, DepthMap, depth_from_picture
from raxel_core.warp.point_splat import warp
from tests.small_checkpoint import FRAMES, HW, MODEL_NAME

NODES = ("RaxelWarp", "RaxelNearDepth", "RaxelCheckTrajectory", "RaxelPointTracks", "RaxelDepthPoints")
MOVE = {"move": "truck", "amount": 0.2, "easing": "linear"}


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def text(probe):
    return bytes(probe["text"].tolist()).decode()


def put(comfy, name, **tensors):
    save_file({key: value.contiguous() for key, value in tensors.items()}, comfy.base / "input" / f"{name}.safetensors")


def picture():
    coarse = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(4))
    return torch.nn.functional.interpolate(coarse, size=HW, mode="bilinear")[0]


def moge(hw=HW):
    """A MOGE_GEOMETRY of 90 degrees: a near block before a wall, its corner masked as sky."""
    depth = torch.full((1, *hw), 4.0)
    depth[:, hw[0] // 4 : hw[0] // 2, hw[1] // 4 : hw[1] // 2] = 2.0
    mask = torch.ones(1, *hw, dtype=torch.bool)
    mask[:, :4, :6], depth[:, :4, :6] = False, math.inf
    K = torch.tensor([[[0.5, 0.0, 0.5], [0.0, 0.5 * hw[1] / hw[0], 0.5], [0.0, 0.0, 1.0]]])
    return {
        "image": torch.zeros(1, *hw, 3),
        "points": torch.zeros(1, *hw, 3),
        "depth": depth,
        "mask": mask,
        "intrinsics": K,
    }


@pytest.fixture
def graph(comfy):
    put(comfy, "shot", image=picture().movedim(0, -1)[None])
    put(comfy, "grey", image=torch.linspace(0.2, 1.0, HW[1]).expand(*HW)[None, ..., None].repeat(1, 1, 1, 3))
    put(comfy, "moge", **moge())
    return {
        "shot": node("RaxelProbeTensor", name="shot"),
        "grey": node("RaxelProbeTensor", name="grey"),
        "moge": node("RaxelProbeGeometry", name="moge", mode=""),
        "path": node(
            "CameraTrajectoryBuilder", path={"plan": {"moves": [MOVE]}}, frames=FRAMES, width=HW[1], height=HW[0]
        ),
    }


def warped(**inputs):
    return node("RaxelWarp", image=["shot", 0], trajectory=["path", 0], **inputs)


@pytest.mark.parametrize("name", ["RaxelNearDepth", "RaxelWarp"])
def test_every_kind_of_depth_is_offered(comfy, name):
    info = comfy.get(f"/object_info/{name}")[name]["input"]
    kind, *options = {**info.get("required", {}), **info.get("optional", {})}["depth_kind"]
    assert list(DEPTH_KINDS) in (kind, options[0].get("options"))


def test_a_built_path_and_moges_geometry_give_the_cores_warp(comfy, graph):
    """The builder's 60 degrees give way to MoGe's 90; a truck of 0.2 near depths of 4 moves the wall 0.2 f pixels."""
    graph["warp"] = warped(geometry=["moge", 0], hole_colour="magenta", edge_threshold=0.0)
    video, holes, path, report = comfy.probe(graph, *(["warp", i] for i in range(4)))
    depth = torch.where(moge()["mask"][0], moge()["depth"][0], 0.0)
    lens = K_from_fov(math.radians(90.0), HW)
    move = make_move("truck", FRAMES, hw=HW, amount=0.2, easing="linear")
    expected = warp(picture(), DepthMap(depth, lens), move, hole_colour=(1.0, 0.0, 1.0), edge_threshold=0.0)
    assert video["tensor"].shape == (FRAMES, *HW, 3) and video["tensor"].dtype == torch.float32
    assert torch.equal(holes["tensor"], expected.holes)
    torch.testing.assert_close(video["tensor"].movedim(-1, 0), expected.video, atol=1e-5, rtol=0)
    torch.testing.assert_close(path["K"][0], lens, atol=1e-3, rtol=0)
    assert path["world_from_cam"][-1, 0, 3] == pytest.approx(0.2)
    sky = holes["tensor"][0] == 1
    assert torch.equal(sky, ~moge()["mask"][0])
    assert torch.equal(video["tensor"][0][sky].unique(dim=0), torch.tensor([[1.0, 0.0, 1.0]]))
    assert "Read as MOGE_GEOMETRY" in text(report)
    assert "Rendered at 90.0 degrees, not the given 60.0" in text(report)


@pytest.mark.parametrize("kind", list(DEPTH_KINDS))
def test_a_grey_depth_picture_is_read_by_its_kind(comfy, graph, kind):
    graph["warp"] = warped(depth=["grey", 0], depth_kind=kind, near=2.0, far=6.0)
    graph["near"] = node("RaxelNearDepth", depth=["grey", 0], depth_kind=kind, near=2.0, far=6.0)
    holes, near, fov = comfy.probe(graph, ["warp", 1], ["near", 0], ["near", 1])
    grey = torch.linspace(0.2, 1.0, HW[1]).expand(HW)
    depth = depth_from_picture(grey, kind, near=2.0, far=6.0)
    expected = warp(picture(), depth, make_move("truck", FRAMES, hw=HW, amount=0.2, easing="linear"))
    assert (holes["tensor"] != expected.holes).float().mean() < 1e-3
    assert near["tensor"].item() == pytest.approx(depth.near_depth, rel=1e-5)
    assert fov["tensor"].item() == 0.0


def test_depth_anythings_geometry_gives_near_depth_and_lens(comfy, graph):
    """fx = 252 of an input 504 wide is 90 degrees, whatever the picture's size; depths are 1 to 2, the quarter is 1.25."""
    depth = torch.linspace(1.0, 2.0, HW[0] * HW[1]).reshape(1, *HW)
    K = torch.tensor([[[[252.0, 0, 252], [0, 252.0, 168], [0, 0, 1]]]])
    extrinsics = torch.eye(4)[None, None, :3].clone()
    put(
        comfy,
        "da3",
        depth=depth,
        image=torch.zeros(1, *HW, 3),
        extrinsics=extrinsics,
        intrinsics=K,
        confidence=depth + 0.5,
    )
    graph["da3"] = node("RaxelProbeGeometry", name="da3", mode="multiview")
    graph["near"] = node("RaxelNearDepth", geometry=["da3", 1])
    near, fov, report = comfy.probe(graph, ["near", 0], ["near", 1], ["near", 2])
    assert near["tensor"].item() == pytest.approx(1.25, abs=1e-3)
    assert fov["tensor"].item() == pytest.approx(90.0, abs=1e-3)
    assert "Read as DA3_GEOMETRY" in text(report)


def test_stock_nodes_take_video_and_holes(comfy, graph):
    """WanVaceToVideo runs on both; the Uni3C node, where this ComfyUI has it, asks for the type that `video` is."""
    info = comfy.get("/object_info")
    outputs = dict(zip(info["RaxelWarp"]["output_name"], info["RaxelWarp"]["output"], strict=True))
    assert outputs["video"] == "IMAGE" and outputs["holes"] == "MASK"
    if "WanUni3CControlnetApply" in info:
        assert info["WanUni3CControlnetApply"]["input"]["required"]["render_video"][0] == "IMAGE"
    graph["warp"] = warped(geometry=["moge", 0], hole_colour="grey")
    graph["load"] = node("LoadRaxelModel", model_name=f"{MODEL_NAME}.safetensors")
    graph["none"] = node("RaxelSources", model=["load", 0], vae=["load", 1], images=["shot", 0], frames="0")
    graph["vace"] = node(
        "WanVaceToVideo", positive=["none", 0], negative=["none", 1], vae=["load", 1], width=HW[1], height=HW[0],
        length=FRAMES, batch_size=1, strength=1.0, control_video=["warp", 0], control_masks=["warp", 1],
    )  # fmt: skip
    (latent,) = comfy.probe(graph, ["vace", 2])
    assert latent["samples"].shape == (1, 16, (FRAMES - 1) // 4 + 1, HW[0] // 8, HW[1] // 8)


def test_a_clip_is_filmed_again_from_its_own_depth(comfy, graph):
    """A batch of pictures and of MoGe's depth; from the cameras that took it, it comes back as it was."""
    clip = torch.stack([picture().roll(frame, -1) for frame in range(FRAMES)], dim=1)
    put(comfy, "clip", image=clip.movedim(0, -1))
    put(comfy, "moges", **{name: value.expand(FRAMES, *value.shape[1:]) for name, value in moge().items()})
    graph["clip"] = node("RaxelProbeTensor", name="clip")
    graph["moges"] = node("RaxelProbeGeometry", name="moges", mode="")
    graph["lens"] = node("RaxelChangeIntrinsics", trajectory=["path", 0], fov_degrees=90.0)
    again = {"image": ["clip", 0], "geometry": ["moges", 0], "edge_threshold": 0.0}
    graph["own"] = node("RaxelWarp", trajectory=["lens", 0], source=["lens", 0], **again)
    graph["new"] = node("RaxelWarp", trajectory=["path", 0], **again)
    own, holes, new, report = comfy.probe(graph, ["own", 0], ["own", 1], ["new", 0], ["new", 3])
    known = holes["tensor"] == 0
    torch.testing.assert_close(own["tensor"][known], clip.movedim(0, -1)[known], atol=1e-5, rtol=0)
    assert torch.equal(~known, ~moge()["mask"].expand(FRAMES, *HW))
    depth = DepthMap(torch.where(moge()["mask"][0], moge()["depth"][0], 0.0), K_from_fov(math.radians(90.0), HW))
    move = make_move("truck", FRAMES, hw=HW, amount=0.2, easing="linear")
    expected = warp(clip, [depth] * FRAMES, move, edge_threshold=0.0).video
    torch.testing.assert_close(new["tensor"].movedim(-1, 0), expected, atol=1e-5, rtol=0)
    assert f"The first of {FRAMES} depth maps" in text(report)


def test_point_track_models_take_the_tracks(comfy, graph):
    """Wan Move's stock nodes run on them; WanTrackToVideo asks for the text, and takes Wan's own VAE alone."""
    info = comfy.get("/object_info")
    graph["tracks"] = node("RaxelPointTracks", trajectory=["path", 0], geometry=["moge", 0], points=60)
    graph["load"] = node("LoadRaxelModel", model_name=f"{MODEL_NAME}.safetensors")
    graph["none"] = node("RaxelSources", model=["load", 0], vae=["load", 1], images=["shot", 0], frames="0")
    video = {
        "positive": ["none", 0], "negative": ["none", 1], "vae": ["load", 1], "start_image": ["shot", 0],
        "width": HW[1], "height": HW[0], "length": FRAMES, "batch_size": 1,
    }  # fmt: skip
    graph["shown"] = node(
        "WanMoveVisualizeTracks", images=["shot", 0], tracks=["tracks", 0], line_resolution=24, circle_size=4,
        opacity=0.75, line_width=4,
    )  # fmt: skip
    graph["move"] = node("WanMoveTrackToVideo", tracks=["tracks", 0], strength=1.0, **video)
    assert info["RaxelPointTracks"]["output"][:2] == ["TRACKS", "STRING"]
    assert info["WanTrackToVideo"]["input"]["required"]["tracks"][0] == "STRING"
    if "WanMoveTrackToVideo" not in info:
        return
    moved, drawn = comfy.probe(graph, ["move", 2], ["shown", 0])
    assert moved["samples"].shape == (1, 16, (FRAMES - 1) // 4 + 1, HW[0] // 8, HW[1] // 8)
    assert drawn["tensor"].shape == (FRAMES, *HW, 3)


def test_depths_points_go_into_a_colmap_model(comfy, graph):
    graph["points"] = node(
        "RaxelDepthPoints", trajectory=["path", 0], images=["shot", 0], geometry=["moge", 0], points=50
    )
    graph["save"] = node("RaxelSaveCamera", trajectory=["points", 0], filename_prefix="points/model", format="colmap")
    outcome = comfy.run(graph)
    assert outcome.status == "success", outcome.error
    (model,) = (comfy.base / "output" / "points").glob("model_*")
    lines = (model / "points3D.txt").read_text(encoding="utf-8").splitlines()
    assert 30 < sum(not line.startswith("#") for line in lines) < 70


def test_wrong_connections_are_named(comfy, graph):
    put(comfy, "two", image=torch.full((2, *HW, 3), 0.5))
    put(comfy, "pano", depth=torch.ones(1, 8, 16), image=torch.zeros(1, 8, 16, 3))
    graph["two"] = node("RaxelProbeTensor", name="two")
    graph["pano"] = node("RaxelProbeGeometry", name="pano", mode="")
    for given, words in (
        ({}, "connect depth or geometry, one of the two: neither is connected"),
        ({"depth": ["grey", 0], "geometry": ["moge", 0]}, "both are connected"),
        ({"depth": ["two", 0]}, "each picture has its depth map, got 1 pictures and 2 depth maps"),
        ({"depth": ["grey", 0], "image": ["two", 0]}, "got 2 pictures and 1 depth maps"),
        ({"depth": ["grey", 0], "near": 5.0, "far": 5.0}, "0 < near < far, got 5 and 5"),
        ({"geometry": ["pano", 0]}, "panorama"),
        ({"depth": ["shot", 0]}, "depth is a coloured picture"),
    ):
        warping = warped() | {"inputs": {**warped()["inputs"], **given}}
        outcome = comfy.run({**graph, "warp": warping, "out": node("RaxelProbe", value=["warp", 0], name="none")})
        assert outcome.status == "error" and words in outcome.error


def test_a_long_warp_can_be_interrupted(comfy, graph):
    graph["path"]["inputs"] |= {"frames": 2001, "width": 384, "height": 256}
    graph["warp"] = warped(geometry=["moge", 0])
    graph["out"] = node("RaxelProbe", value=["warp", 0], name="interrupted")
    started = comfy.queue(graph)
    time.sleep(2.0)
    assert comfy.get("/queue")["queue_running"]
    comfy.post("/interrupt", {})
    assert comfy.wait(started).status == "interrupted"


def test_a_path_is_checked_against_video_and_checkpoint(comfy, graph):
    graph["load"] = node("LoadRaxelModel", model_name="raxel-tiny (embedded)")
    graph["long"] = node(
        "CameraTrajectoryBuilder",
        path={"plan": {"moves": [{"move": "dolly", "amount": 2.5}]}},
        frames=10,
        width=HW[1],
        height=HW[0],
    )
    graph["good"] = node("RaxelCheckTrajectory", trajectory=["path", 0], images=["shot", 0], model=["load", 0])
    graph["bad"] = node("RaxelCheckTrajectory", trajectory=["long", 0], model=["load", 0])
    passed, fine, failed, report = comfy.probe(graph, ["good", 0], ["good", 1], ["bad", 0], ["bad", 1])
    assert passed["tensor"].item() is True and failed["tensor"].item() is False
    assert text(fine) == "passed"
    assert "10 frames are not 4n + 1; the nearest number is 9" in text(report)
    assert "goes 2.50 near_depth away from its start; raxel-tiny was trained on up to 2.01" in text(report)


def test_the_expected_warp_moves_the_wall_by_hand():
    """What the first test compares with, held to a number: 96 pixels of 90 degrees have f = 48, and 0.125 near depths move
    what is at the near depth by 6 of them, whatever that depth is."""
    depth = DepthMap(torch.full(HW, 4.0), K_from_fov(math.radians(90.0), HW))
    move = make_move("truck", 2, hw=HW, amount=0.125, easing="linear")
    made = warp(picture(), depth, Trajectory(move.camera, unit="near_depth"))
    assert torch.equal(made.video[:, 1, :, :-6], picture()[:, :, 6:])

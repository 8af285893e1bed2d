"""The nodes that change and show camera paths, in a real ComfyUI: what comes out is what the core makes."""

from __future__ import annotations

from math import radians

import pytest
import torch
from safetensors.torch import save_file

from raxel_core.drawing.overlay import draw_overlay
from raxel_core.drawing.path_mesh import mesh_glb, path_mesh
from raxel_core.drawing.plot import draw_speeds
from raxel_core.geometry.align import align
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.lens import change_intrinsics
from raxel_core.paths.operations import blend, compose, concatenate, ping_pong, reanchor, retime, reverse, trim
from raxel_core.paths.path_figures import path_figures
from raxel_core.paths.plan import make_move
from raxel_core.paths.smoothing import smooth

CLIP = {"frames": 9, "width": 64, "height": 48, "fps": 8.0, "unit": "near_depth"}
# Node, its inputs besides the path, and what the core makes of an arc a and an orbit b.
OPERATIONS = {
    "RaxelConcatenateTrajectories": (
        {"first": "arc", "second": "orbit", "overlap": 3},
        lambda a, b: concatenate(a, b, overlap=3),
    ),
    "RaxelBlendTrajectories": (
        {"first": "arc", "second": "orbit", "start": 0.0, "end": 1.0},
        lambda a, b: blend(a, b, start=0.0, end=1.0),
    ),
    "RaxelComposeTrajectories": (
        {"trajectory": "arc", "layer": "orbit", "amount": 0.5},
        lambda a, b: compose(a, b, amount=0.5),
    ),
    "RaxelReverseTrajectory": ({"trajectory": "arc"}, lambda a, b: reverse(a)),
    "RaxelPingPongTrajectory": ({"trajectory": "arc"}, lambda a, b: ping_pong(a)),
    "RaxelTrimTrajectory": ({"trajectory": "arc", "first": 2, "last": -2}, lambda a, b: trim(a, 2, -2)),
    "RaxelRetimeTrajectory": (
        {"trajectory": "arc", "frames": 17, "speed": "constant", "depth": 2.0},
        lambda a, b: retime(a, 17, depth=2.0),
    ),
    "RaxelSmoothTrajectory": ({"trajectory": "arc", "seconds": 0.2}, lambda a, b: smooth(a, 0.2)),
    "RaxelScaleTrajectory": ({"trajectory": "arc", "factor": 2.5, "unit": "metre"}, lambda a, b: a.scaled(2.5)),
    "RaxelReanchorTrajectory": ({"trajectory": "arc", "frame": -1}, lambda a, b: reanchor(a, -1)),
    "RaxelAlignTrajectory": (
        {"trajectory": "arc", "target": "orbit", "mode": "sim3"},
        lambda a, b: align(a, b, "sim3"),
    ),
    "RaxelChangeIntrinsics": (
        {"trajectory": "arc", "width": 48, "height": 48, "fit": "pad", "fov_degrees": 40.0},
        lambda a, b: change_intrinsics(a, (48, 48), "pad", fov=radians(40.0)),
    ),
}
NODES = (*OPERATIONS, "RaxelTrajectoryInfo", "RaxelOverlayAxes", "RaxelTrajectoryGLB")
# The builder's arc and orbit; the arc swings faster and slower, so that constant speed changes it.
ARC = make_move("arc", 9, amount=radians(40), easing="smooth", hw=(48, 64), fps=8.0)
ORBIT = make_move("orbit", 9, amount=radians(-30), hw=(48, 64), fps=8.0)


def node(kind, /, **inputs):
    return {"class_type": kind, "inputs": inputs}


def built(unit="near_depth", /, **move):
    return node("CameraTrajectoryBuilder", **{**CLIP, "unit": unit}, path={"__value__": {"plan": {"moves": [move]}}})


@pytest.fixture
def graph():
    """Two paths."""
    return {
        "arc": built(move="arc", amount_degrees=40.0, easing="smooth"),
        "orbit": built(move="orbit", amount_degrees=-30.0),
    }


def linked(inputs):
    return {name: [value, 0] if value in ("arc", "orbit") else value for name, value in inputs.items()}


def same(found: dict[str, torch.Tensor], expected: Trajectory) -> None:
    torch.testing.assert_close(found["world_from_cam"], expected.camera.world_from_cam, rtol=0, atol=2e-6)
    torch.testing.assert_close(found["K"], expected.camera.K, rtol=1e-5, atol=1e-5)


def test_each_operation_is_the_cores(comfy, graph):
    prompt = {**graph, **{name: node(name, **linked(inputs)) for name, (inputs, _) in OPERATIONS.items()}}
    arc, orbit, *made = comfy.probe(prompt, ["arc", 0], ["orbit", 0], *[[name, 0] for name in OPERATIONS])
    same(arc, ARC)
    same(orbit, ORBIT)
    for found, (_, core) in zip(made, OPERATIONS.values(), strict=True):
        same(found, core(ARC, ORBIT))


def test_the_figures_come_as_text_as_a_graph_and_as_numbers(comfy, graph):
    graph["info"] = node("RaxelTrajectoryInfo", trajectory=["arc", 0])
    graph["scaled"] = node("RaxelScaleTrajectory", trajectory=["arc", 0], factor=["info", 4])
    graph["lens"] = node("RaxelChangeIntrinsics", trajectory=["arc", 0], fov_degrees=["info", 5])
    report, drawn, scaled, lens = comfy.probe(graph, ["info", 0], ["info", 1], ["scaled", 0], ["lens", 0])
    figures = path_figures(ARC)
    says = "The camera trucks right by 0.604, moves up by 0.342, dollies forward by 0.28, pans left by 40 degrees and "
    says += "tilts down by 20 degrees (lengths in near_depth)."
    assert bytes(report["text"].tolist()).decode() == f"{says}\n{figures.text}"
    expected = draw_speeds(ARC, hw=(512, 768))[None].float() / 255
    assert float((drawn["tensor"] - expected).abs().mean()) < 1e-3
    # The path's length and its turning in degrees, told by what they do as a factor and as an angle of view.
    same(scaled, ARC.scaled(figures.path_length))
    same(lens, change_intrinsics(ARC, fov=radians(figures.total_rotation_degrees)))


def test_the_world_is_drawn_into_the_frames_as_the_core_does(comfy, graph):
    images = 0.5 * torch.rand(9, 48, 64, 3, generator=torch.Generator().manual_seed(0))
    save_file({"image": images}, comfy.base / "input" / "overlay.safetensors")
    graph["images"] = node("RaxelProbeTensor", name="overlay")
    graph["drawn"] = node(
        "RaxelOverlayAxes", images=["images", 0], trajectory=["arc", 0], other=["orbit", 0], depth=1.5, ground=0.3
    )
    (drawn,) = comfy.probe(graph, ["drawn", 0])
    expected = draw_overlay((images * 2 - 1).movedim(-1, 0), ARC, other=ORBIT, depth=1.5, ground=0.3)
    expected = (expected.movedim(0, -1) + 1) / 2
    assert float((drawn["tensor"] - expected).abs().mean()) < 1e-4
    assert float((drawn["tensor"] - images).abs().max()) > 0.2


def test_the_3d_file_lies_in_the_output_folder_and_goes_into_the_stock_viewer(comfy, graph):
    graph["glb"] = node("RaxelTrajectoryGLB", trajectory=["arc", 0], compare=["orbit", 0])
    graph["viewer"] = node("Preview3D", model_file=["glb", 0])
    outcome = comfy.run(graph)
    assert outcome.status == "success", outcome.error
    (entry,) = outcome.outputs["glb"]["3d"]
    assert (entry["subfolder"], entry["type"]) == ("3d", "output")
    shown = outcome.outputs["viewer"]["result"][0]
    assert shown == f"3d/{entry['filename']}"
    saved = (comfy.base / "output" / shown).read_bytes()
    assert saved == mesh_glb(path_mesh({"trajectory": ARC, "compare": ORBIT}))
    graph["glb"]["inputs"]["filename_prefix"] = "3d/raxel_path"  # the same again: the next free number
    graph["arc"] = built(move="arc", amount_degrees=41.0)
    (again,) = comfy.run(graph).outputs["glb"]["3d"]
    assert again["filename"] > entry["filename"]


@pytest.mark.parametrize(
    ("kind", "inputs", "sentence"),
    [
        (
            "RaxelConcatenateTrajectories",
            {"first": ["arc", 0], "second": ["metres", 0]},
            "have one unit, got near_depth and metre",
        ),
        ("RaxelTrimTrajectory", {"trajectory": ["arc", 0], "first": 9, "last": -1}, "has the frames 0 to 8"),
        (
            "RaxelAlignTrajectory",
            {"trajectory": ["arc", 0], "target": ["still", 0], "mode": "se3"},
            "lie in one place or on one line",
        ),
        ("RaxelChangeIntrinsics", {"trajectory": ["arc", 0], "width": 64}, r"both 0 to keep 64x48: got 64 and 0"),
        ("RaxelChangeIntrinsics", {"trajectory": ["arc", 0], "height": 64}, r"both 0 to keep 64x48: got 0 and 64"),
        (
            "RaxelTrajectoryGLB",
            {"trajectory": ["arc", 0], "filename_prefix": "../escaped"},
            "in ComfyUI's output folder",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(comfy, graph, kind, inputs, sentence):
    graph["metres"], graph["still"] = built("metre", move="orbit"), built(move="static")
    graph["made"] = node(kind, **inputs)
    graph["probe"] = node("RaxelProbe", value=["made", 0], name="none")
    outcome = comfy.run(graph)
    assert outcome.status == "error"
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(outcome.error)
    assert len(outcome.error.strip().splitlines()) == 1
    assert not list(comfy.base.glob("escaped*"))

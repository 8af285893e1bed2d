"""Cameras of 3D programs, in and out: values worked by hand, files made by Blender, usd-core and pycolmap, and the
programs themselves where they are installed."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from math import cos, hypot, pi, radians, sin, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch

from raxel_core.camera_io import format_of, lost_in, read_cameras, write_cameras
from raxel_core.camera_io.axes import euler_from_rotation, rotation_from_euler, to_opengl
from raxel_core.camera_io.frame_names import in_order
from raxel_core.camera_io.quaternions import continuous
from raxel_core.camera_io.reading import Assumed, CameraFormatError
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.strict_json import printable

GOLDEN = Path(__file__).parents[1] / "golden" / "cameras"
HW = (480, 832)
# Everything that ends a string, a literal, a line or a script somewhere.
HOSTILE = "A'\"\\é\U0001f600\n\r};\n''')\n\"\"\"\u2028 </script> ${x} #usda ]]> \x00 \x1b %s {0}"
# format -> the name it is saved under, and whether it holds a principal point off the middle and oblong pixels.
SAVED = {
    "colmap": ("colmap", True),
    "colmap_binary": ("colmap_binary", True),
    "nerfstudio": ("transforms.json", True),
    "usda": ("shot.usda", True),
    "blender_py": ("shot.py", True),
    "gltf": ("shot.glb", False),
    "nuke_chan": ("shot.chan", False),
    "after_effects": ("shot.jsx", False),
}
# Formats that hold rate, unit and name.
WHOLE = ("usda", "gltf", "blender_py", "after_effects")


def wandering(frames=9, *, off=True, zoom=True, name="a shot", fps=23.976, hw=HW):
    """A path with turns about all axes; `off`: a principal point off the middle and oblong pixels."""
    twist = torch.randn(frames, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64) * 0.4
    motion = se3.exp(twist)
    motion[:, :3, 3] += torch.tensor((30.0, -7.0, 2.0))
    lens = ((700.0, 0.0, 433.0), (0.0, 770.0, 231.0)) if off else ((700.0, 0.0, 416.0), (0.0, 700.0, 240.0))
    K = torch.tensor((*lens, (0.0, 0.0, 1.0)), dtype=torch.float64).repeat(frames, 1, 1)
    K[:, :2, :2] *= 1.0 + (0.02 if zoom else 0.0) * torch.arange(frames, dtype=torch.float64)[:, None, None]
    return Trajectory(Camera(motion, K, hw), fps=fps, unit="near_depth", name=name)


def save(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, encoding="utf-8")
    return path


def close(found, expected, tolerance=1e-6):
    found, expected = (torch.as_tensor(x, dtype=torch.float64) for x in (found, expected))
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= tolerance * (float(expected.abs().max()) or 1.0), (found, expected)


def intrinsics(camera):
    return torch.cat((camera.focal, camera.principal_point), dim=-1)


# --- Known answers -----------------------------------------------------------------------------------------------


def test_chan_turns_about_z_first_and_y_last(tmp_path):
    """Row (rx, ry, rz) = (30, 90, 90). A Nuke camera looks along -z. Rz leaves that; Rx(30) lifts it to
    (0, 1/2, -sqrt(3)/2); Ry(90) takes (x, y, z) to (z, y, -x): (-sqrt(3)/2, 1/2, 0). Its up (0, 1, 0) becomes
    (-1, 0, 0) by Rz, stays so under Rx, and is (0, 0, 1) after Ry. With x outermost the view would be (-1, 0, 0).
    Ours has y and z turned round: forward (-sqrt(3)/2, -1/2, 0), down = -up = (0, 0, 1), centre (1, -2, -3).
    A vertical angle of 90 degrees over 480 pixels is a focal length of 240."""
    file = save(tmp_path / "a.chan", "# comment\n1 1 2 3 30 90 90 90\n")
    camera = read_cameras(file).trajectory[0]
    close(camera.rotation[:, 2], (-sqrt(3) / 2, -0.5, 0.0))
    close(camera.rotation[:, 1], (0.0, 0.0, 1.0))
    close(camera.center, (1.0, -2.0, -3.0))
    close(intrinsics(camera), (240.0, 240.0, 416.0, 240.0))


def test_colmap_text_is_world_to_camera(tmp_path):
    """q = (sqrt(1/2), 0, sqrt(1/2), 0) is Ry(90) = [[0,0,1],[0,1,0],[-1,0,0]]; t = (1, 2, 3). The centre is
    -R^T t = -(-3, 2, 1); the camera's forward in the world is the last row of R, (-1, 0, 0)."""
    half = sqrt(0.5)
    save(tmp_path / "cameras.txt", "# c\n\n7 SIMPLE_PINHOLE 832 480 500 410 250\n")
    save(tmp_path / "images.txt", f"# i\n1 {half!r} 0 {half!r} 0 1 2 3 7 my frame.png\n\n")
    reading = read_cameras(tmp_path)
    camera = reading.trajectory[0]
    close(camera.center, (3.0, -2.0, -1.0))
    close(camera.rotation[:, 2], (-1.0, 0.0, 0.0))
    close(intrinsics(camera), (500.0, 500.0, 410.0, 250.0))
    assert "'my frame.png'" in reading.text and "inverted" in reading.text and "832 x 480" in reading.text
    assert "model's points were not read" in reading.text


def test_nerfstudio_transform_is_taken_back(tmp_path):
    """The camera at (1, 2, 3) with our axes, in nerfstudio's own world: A = (x, y, z) -> (x, z, -y) gives the centre
    (1, 3, -2) and the axes A diag(1, -1, -1) = [[1,0,0],[0,0,-1],[0,1,0]]. 90 degrees over 832 pixels: 416."""
    frame = {"file_path": "f1.png", "transform_matrix": [[1, 0, 0, 1], [0, 0, -1, 3], [0, 1, 0, -2], [0, 0, 0, 1]]}
    values = {"camera_angle_x": pi / 2, "w": 832, "h": 480, "frames": [frame]}
    values["applied_transform"] = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]]
    camera = read_cameras(save(tmp_path / "transforms.json", json.dumps(values))).trajectory[0]
    close(camera.center, (1.0, 2.0, 3.0))
    close(camera.rotation, torch.eye(3))
    close(intrinsics(camera), (416.0, 416.0, 416.0, 240.0))
    scaled = {**values, "applied_scale": 0.5}
    close(read_cameras(save(tmp_path / "s.json", json.dumps(scaled))).trajectory[0].center, (2.0, 5.0 - 1.0, 6.0))
    del values["applied_transform"]
    as_it_stands = read_cameras(save(tmp_path / "t.json", json.dumps(values)))
    close(as_it_stands.trajectory[0].center, (1.0, 3.0, -2.0))
    assert "as they stand" in as_it_stands.text


def test_nerfstudio_frames_have_their_own_order_and_lens(tmp_path):
    eye = torch.eye(4).tolist()
    frames = [
        {"file_path": f"images/f_{number}.png", "fl_x": 400 + number, "transform_matrix": eye} for number in (10, 9, 2)
    ]
    values = {"fl_x": 1.0, "fl_y": 500.0, "cx": 400.0, "w": 832, "h": 480, "k1": 0.01, "frames": frames}
    reading = read_cameras(save(tmp_path / "transforms.json", json.dumps(values)))
    close(intrinsics(reading.trajectory.camera), [[402, 500, 400, 240], [409, 500, 400, 240], [410, 500, 400, 240]])
    assert any("alphabetical" in warning for warning in reading.warnings)
    assert any("distortion" in warning for warning in reading.warnings)


def test_names_sort_by_their_numbers():
    assert in_order(["f10", "f9", "f010b", "g1"]) == ([1, 0, 2, 3], in_order(["f10", "f9"])[1])
    assert in_order(["f10", "f9"])[1] and not in_order(["f09", "f10"])[1]
    assert in_order(["1" * 5000, "2"])[0] == [1, 0]


def script(tag, body, before, after):
    return (
        before
        + json.dumps({"format": tag, "name": "", "unit": "metre", "fps": 25, "width": 832, "height": 480, **body})[:-1]
        + "\n}"
        + after
    )


def test_blender_script_has_z_up_and_a_shift(tmp_path):
    """A quarter turn about x makes Blender's camera, which looks down, look along +y: our forward. Blender's (x, y, z)
    is our (x, -z, y). Sensor 36 mm, lens 18 mm: the focal length is half the width, 416. A shift of (0.1, 0.05) moves
    the window 83.2 pixels right and 41.6 up, so that the principal point goes left and down."""
    half = sqrt(0.5)
    frame = {"location": [1, 2, 3], "quaternion": [half, half, 0, 0], "lens": 18, "shift": [0.1, 0.05]}
    body = {"pixel_aspect": [1, 1], "frames": [frame]}
    text = script("raxel.blender_camera.1", body, "import json, bpy\nCAMERA = json.loads(r'''", "''')\nmain()\n")
    reading = read_cameras(save(tmp_path / "a.py", text))
    camera = reading.trajectory[0]
    close(camera.rotation, torch.eye(3))
    close(camera.center, (1.0, -3.0, 2.0))
    close(intrinsics(camera), (416.0, 416.0, 416.0 - 83.2, 240.0 + 41.6))
    assert reading.trajectory.fps == 25 and reading.trajectory.unit == "metre"


def test_after_effects_has_our_axes_in_pixels(tmp_path):
    """100 pixels a unit from the middle (416, 240). R = Rx Ry Rz with (90, 90, 0): Ry(90) takes forward (0, 0, 1) to
    (1, 0, 0), which Rx leaves; with y outermost it would be Ry(90) (0, -1, 0) = (0, -1, 0)."""
    frame = {"position": [516, 190, 200], "orientation": [90, 90, 0], "zoom": 900}
    body = {"pixels_per_unit": 100, "frames": [frame]}
    text = script("raxel.after_effects_camera.1", body, "(function () {\nvar CAMERA = ", ";\napp.beginUndoGroup('');")
    camera = read_cameras(save(tmp_path / "a.jsx", text)).trajectory[0]
    close(camera.rotation[:, 2], (1.0, 0.0, 0.0))
    close(camera.center, (1.0, -0.5, 2.0))
    close(intrinsics(camera), (900.0, 900.0, 416.0, 240.0))


def test_gltf_by_hand(tmp_path):
    """A parent at (0, 1, 0) scaled by 2 and turned a quarter about y, takes the camera's place (1, 0, -k) to
    (-2 k, 1, -2): Ry(90) (x, y, z) = (z, y, -x), so 2 (-k, 0, -1) + (0, 1, 0). The camera looks along -z, which Ry(90)
    turns to -x. Ours: centre (-2 k, -1, 2), forward (-1, 0, 0). yfov = 90 degrees: fy = 240, square by assumption."""
    seconds, places = [0.5, 0.54, 0.58], [(1, 0, -k) for k in range(3)]
    data = struct.pack("<3f", *seconds) + b"".join(struct.pack("<3f", *place) for place in places)
    values = {
        "asset": {"version": "2.0"},
        "nodes": [
            {"camera": 0},
            {"children": [0], "rotation": [0, sqrt(0.5), 0, sqrt(0.5)], "scale": [2, 2, 2], "translation": [0, 1, 0]},
        ],
        "cameras": [{"type": "perspective", "perspective": {"yfov": pi / 2, "znear": 0.1}}],
        "animations": [
            {
                "channels": [{"sampler": 0, "target": {"node": 0, "path": "translation"}}],
                "samplers": [{"input": 0, "output": 1}],
            }
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "SCALAR"},
            {"bufferView": 0, "byteOffset": 12, "componentType": 5126, "count": 3, "type": "VEC3"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(data)}],
        "buffers": [{"uri": "my%20data.bin", "byteLength": len(data)}],
    }
    save(tmp_path / "my data.bin", data)
    trajectory = read_cameras(save(tmp_path / "a.gltf", json.dumps(values))).trajectory
    close(trajectory.camera.center, [[-2.0 * k, -1.0, 2.0] for k in range(3)])
    close(trajectory.camera.rotation[:, :, 2], [[-1.0, 0.0, 0.0]] * 3)
    close(intrinsics(trajectory.camera)[0], (240.0, 240.0, 416.0, 240.0))
    assert abs(trajectory.fps - 25.0) < 1e-3 and trajectory.unit == "metre"


def test_gltf_splines_follow_the_specification(tmp_path):
    """Hermite's cubic from 0 to 1 with both tangents 3 a second over 1 s: at 1/2 it is 1/2 + 3/8 - 3/8, at 1/4 it is
    0.15625 + 3 * 0.140625 - 3 * 0.046875 = 0.4375."""
    rows = [(0, 0, 0), (0, 0, 0), (3, 0, 0), (3, 0, 0), (1, 0, 0), (0, 0, 0)]
    data = struct.pack("<2f", 0, 1) + b"".join(struct.pack("<3f", *row) for row in rows)
    values = {
        "asset": {"version": "2.0"},
        "nodes": [{"camera": 0, "extras": {"raxel": {"fps": 4}}}],
        "cameras": [{"type": "perspective", "perspective": {"yfov": 1}}],
        "animations": [
            {
                "channels": [{"sampler": 0, "target": {"node": 0, "path": "translation"}}],
                "samplers": [{"input": 0, "output": 1, "interpolation": "CUBICSPLINE"}],
            }
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 2, "type": "SCALAR"},
            {"bufferView": 0, "byteOffset": 8, "componentType": 5126, "count": 6, "type": "VEC3"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(data)}],
        "buffers": [{"byteLength": len(data)}],
    }
    text = json.dumps(values).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    file = save(tmp_path / "a.glb", struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body)
    close(read_cameras(file).trajectory.camera.center[:, 0], (0.0, 0.4375, 0.5, 0.5625, 1.0))


@pytest.mark.parametrize(
    ("head", "codes", "fps"),
    [
        ("timeCodesPerSecond = 25", [2, 3, 4, 5, 6], 25),
        ("timeCodesPerSecond = 24\n    framesPerSecond = 12", [2, 4, 6], 12),
        ("startTimeCode = 1\n    endTimeCode = 3", [1, 2, 3], 24),
    ],
)
def test_usd_frames(tmp_path, head, codes, fps):
    """Keys at 2 and 6 with x = 0 and 4: x is code - 2 between them and stands still outside."""
    body = """def Camera "a" {
    double3 xformOp:translate.timeSamples = { 6: (4, 0, 0), 2: (0, 0, 0), }
    uniform token[] xformOpOrder = ["xformOp:translate"]
    custom string other = "x" ( doc = "not read ) }" )
}
def Camera "b" {
}"""
    file = save(tmp_path / "a.usda", f"#usda 1.0\n(\n    {head}\n)\n{body}\n")
    reading = read_cameras(file, assumed=Assumed(unit="near_depth"))
    assert reading.trajectory.fps == fps and reading.trajectory.unit == "near_depth"
    close(reading.trajectory.camera.center[:, 0], [max(0.0, code - 2.0) for code in codes])
    said = " ".join(reading.warnings)
    assert "2 cameras" in said and "no metersPerUnit" in said and ("stands still" in said) == (codes[0] == 1)


def test_usd_comments_are_passed_over(tmp_path):
    """Of all three kinds that usd-core takes, with brackets and quotes in them, among what is read and what is not."""
    long = ", ".join(["0", "/* ] */ 1"] * 2000)
    text = f"""#usda 1.0
/* a "quote and a {{ bracket
of two lines */
(
    startTimeCode = 1 // one
    /* end */ endTimeCode = 2
)
// a line {{ "
def Camera "cam" /* here */ ( /* ) */ kind = "x" )
{{
    float focalLength = /* mid ( */ 50 # mm
    custom string[] notes = [ "http://a", /* " ] */ "/*" ]
    int[] many = [ {long} ]
    double3 xformOp:translate.timeSamples = {{ 1: (0, 0, 0), /* }} **/ 2: (4, 0, 0), }}
    uniform token[] xformOpOrder = ["xformOp:translate"]
}}
"""
    camera = read_cameras(save(tmp_path / "a.usda", text)).trajectory.camera
    close(camera.center, [[0, 0, 0], [4, 0, 0]])
    close(camera.focal[:, 0], [50 / 20.955 * 832] * 2)
    with pytest.raises(CameraFormatError, match="line 17: expected USD text, found '/\\* no end"):
        read_cameras(save(tmp_path / "b.usda", text + "/* no end " * 3))


def test_usd_matrices_are_rotations_between_their_samples_too(tmp_path):
    """USD takes a matrix's numbers one by one: half way between 0 and 40 degrees they are those of 20 degrees, with
    shorter axes. A path of ours with a gap is such a file."""
    c, s = cos(radians(40.0)), sin(radians(40.0))
    body = f"""def Camera "a" {{
    matrix4d xformOp:transform.timeSamples = {{
        1: ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
        3: (({c}, 0, {-s}, 0), (0, 1, 0, 0), ({s}, 0, {c}, 0), (2, 0, 0, 1)),
    }}
    uniform token[] xformOpOrder = ["xformOp:transform"]
}}"""
    reading = read_cameras(save(tmp_path / "a.usda", f"#usda 1.0\n(\n    metersPerUnit = 1\n)\n{body}\n"))
    angles = se3.geodesic(reading.trajectory.camera.rotation[:1], reading.trajectory.camera.rotation)
    close(torch.rad2deg(angles), (0, 20, 40))
    close(reading.trajectory.camera.center[:, 0], (0, 1, 2))
    assert "the nearest rotations" in reading.text and "scale" not in reading.text
    gapped = replace(wandering(3), numbers=(0, 1, 3))
    write_cameras(gapped, tmp_path / "gap.usda")
    close(read_cameras(tmp_path / "gap.usda").trajectory.camera.center[[0, 1, 3]], gapped.camera.center)


@pytest.mark.parametrize("order", ["zxy", "zyx", "xyz", "yzx"])
def test_euler_angles_return_and_follow_each_other(order):
    """Through the pole of the middle angle, where two of the three axes fall together."""
    middle = "xyz".index(order[1])
    angles = torch.zeros(181, 3, dtype=torch.float64) + torch.tensor((0.2, -0.3, 0.4))
    angles[:, middle] = torch.linspace(-pi, pi, 181, dtype=torch.float64)
    rotation = rotation_from_euler(angles, order)
    found = euler_from_rotation(rotation, order)
    close(rotation_from_euler(found, order), rotation, 1e-12)
    assert float(found.diff(dim=0).abs().max()) < 0.05


def test_quaternions_follow_each_other():
    """A whole turn: w >= 0 alone would jump to the other sign half way, where programs interpolate the four numbers."""
    angle = torch.linspace(0.0, 2.0 * pi, 37, dtype=torch.float64)
    found = continuous(se3.rotation_y(angle))
    half = 0.5 * angle
    close(found, torch.stack((half.cos(), torch.zeros(37), half.sin(), torch.zeros(37)), dim=-1), 1e-12)


# --- Files of the programs themselves ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "truth"), [("usda", "shifted"), ("glb", "centred"), ("chan", "centred")])
def test_files_of_blender(name, truth):
    """Blender's own matrix_world and projection matrix at each frame (golden/cameras/by_blender.py); its .chan has
    six decimals."""
    frames = json.loads((GOLDEN / "blender.json").read_text())[truth]
    reading = read_cameras(GOLDEN / f"blender.{name}")
    camera = reading.trajectory.camera
    close(to_opengl(camera.world_from_cam, up="z"), [frame["matrix_world"] for frame in frames])
    close(intrinsics(camera), [frame["K"] for frame in frames])
    assert reading.trajectory.fps == 24.0
    assert reading.trajectory.unit == ("arbitrary" if name == "chan" else "metre")


def test_file_of_usd_core():
    """USD's own matrices (in centimetres, with a scale) and frustum windows (golden/cameras/by_usd_core.py)."""
    truth = json.loads((GOLDEN / "usd_core.json").read_text())["frames"]
    reading = read_cameras(GOLDEN / "usd_core.usda", assumed=Assumed(hw=(540, 960)))
    camera = reading.trajectory.camera
    expected = torch.tensor([frame["matrix"] for frame in truth], dtype=torch.float64)
    expected[:, :3, :3] /= 2.0
    expected[:, :3, 3] /= 100.0
    close(to_opengl(camera.world_from_cam, up="y"), expected)
    for K, frame in zip(intrinsics(camera), truth, strict=True):
        left, bottom, right, top = frame["window"]
        fx, fy = 960 / (right - left), 540 / (top - bottom)
        close(K, (fx, fy, -left * fx, top * fy))
    assert reading.trajectory.unit == "metre" and reading.trajectory.fps == 25.0
    assert any("scale" in note for note in reading.notes)


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_models_of_pycolmap(kind):
    """pycolmap's own centres and matrices (golden/cameras/by_pycolmap.py), frames in the order of their numbers."""
    folder = GOLDEN / f"pycolmap_{kind}"
    truth = json.loads((folder / "truth.json").read_text())
    reading = read_cameras(folder)
    assert reading.format == ("colmap" if kind == "text" else "colmap_binary")
    images = [truth[name] for name in ("shot_9.png", "shot_10.png", "shot_11.png")]
    close(reading.trajectory.camera.center, [image["center"] for image in images])
    close(reading.trajectory.camera.cam_from_world[:, :3], [image["cam_from_world"] for image in images])
    pinhole, opencv = (700.0, 710.0, 410.0, 236.0), (705.0, 705.0, 416.0, 240.0)
    close(intrinsics(reading.trajectory.camera), [opencv, pinhole, pinhole])
    distortion = [warning for warning in reading.warnings if "distortion" in warning]
    assert len(distortion) == 1 and "camera 2" in distortion[0]


# --- Round trips and what a format does not hold ------------------------------------------------------------------


@pytest.mark.parametrize("name", SAVED)
def test_round_trip(tmp_path, name):
    file, whole_K = SAVED[name]
    trajectory = wandering(off=whole_K, name=HOSTILE if name != "usda" else HOSTILE.replace("\x00", ""))
    files = write_cameras(trajectory, tmp_path / file)
    assert all(path.is_file() for path in files)
    assert format_of(tmp_path / file).name == name
    reading = read_cameras(tmp_path / file, assumed=Assumed(unit="arbitrary"))
    assert reading.format == name and reading.trajectory.camera.hw == HW
    close(reading.trajectory.camera.rotation, trajectory.camera.rotation)
    close(reading.trajectory.camera.center, trajectory.camera.center)
    close(intrinsics(reading.trajectory.camera), intrinsics(trajectory.camera))
    if name in WHOLE:
        assert (reading.trajectory.fps, reading.trajectory.unit) == (23.976, "near_depth")
        assert reading.trajectory.name == printable(trajectory.name)
    else:
        assert (reading.trajectory.fps, reading.trajectory.unit) == (24.0, "arbitrary")


@pytest.mark.parametrize("name", SAVED)
def test_one_frame_and_a_still_camera(tmp_path, name):
    file, whole_K = SAVED[name]
    for count in (1, 4):
        one = wandering(1, off=whole_K, name="")
        still = replace(one, camera=one.camera[[0] * count])
        write_cameras(still, tmp_path / file)
        found = read_cameras(tmp_path / file).trajectory
        assert len(found) == count
        close(found.camera.world_from_cam, still.camera.world_from_cam)


@pytest.mark.parametrize("name", [name for name, (_, whole_K) in SAVED.items() if not whole_K])
def test_a_principal_point_off_the_middle_is_refused_where_it_has_no_place(tmp_path, name):
    file = tmp_path / SAVED[name][0]
    with pytest.raises(CameraFormatError, match=r"is not written: .*principal point.*\(433, 231\)"):
        write_cameras(wandering(), file)
    assert not file.exists()


@pytest.mark.parametrize("name", ["nuke_chan", "after_effects"])
def test_oblong_pixels_are_refused_where_they_have_no_place(tmp_path, name):
    trajectory = wandering(off=False)
    K = trajectory.camera.K.clone()
    K[:, 1, 1] *= 1.1
    oblong = replace(trajectory, camera=replace(trajectory.camera, K=K))
    with pytest.raises(CameraFormatError, match="square pixels"):
        write_cameras(oblong, tmp_path / SAVED[name][0])
    write_cameras(oblong, tmp_path / "a.glb")
    close(intrinsics(read_cameras(tmp_path / "a.glb").trajectory.camera), intrinsics(oblong.camera))


@pytest.mark.parametrize("name", SAVED)
def test_skew_is_refused(tmp_path, name):
    trajectory = wandering(off=False)
    K = trajectory.camera.K.clone()
    K[:, 0, 1] = 0.5
    with pytest.raises(CameraFormatError, match="skew"):
        write_cameras(replace(trajectory, camera=replace(trajectory.camera, K=K)), tmp_path / SAVED[name][0])


def test_a_text_model_beside_a_binary_one_is_refused(tmp_path):
    write_cameras(wandering(), tmp_path / "sparse", format="colmap_binary")
    with pytest.raises(CameraFormatError, match="binary model lies there"):
        write_cameras(wandering(), tmp_path / "sparse", format="colmap")
    assert read_cameras(tmp_path).format == "colmap_binary"


# --- Hostile and damaged files -------------------------------------------------------------------------------------


def test_no_name_leaves_its_quotes(tmp_path):
    """The .py stays the same program and the .jsx the same script whatever the name; USD keeps its line count."""
    plain, hostile = (wandering(3, off=False, name=name) for name in ("a", HOSTILE.replace("\x00", "")))
    shapes = []
    for trajectory in (plain, hostile):
        write_cameras(trajectory, tmp_path / "a.py")
        tree = ast.parse((tmp_path / "a.py").read_text(encoding="ascii"))
        (data,) = [
            node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CAMERA"
        ]
        assert json.loads(data.value.args[0].value)["name"] == trajectory.name
        data.value.args[0] = ast.Constant("")
        shapes.append(ast.dump(tree))
        write_cameras(trajectory, tmp_path / "a.jsx")
        assert (tmp_path / "a.jsx").read_text(encoding="ascii").count("\n};\n") == 1
        write_cameras(trajectory, tmp_path / "a.usda")
        shapes.append((tmp_path / "a.usda").read_text(encoding="utf-8").count("\n"))
    assert shapes[:2] == shapes[2:]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", "import bpy\nbpy.ops.wm.quit_blender()\n", "written by Raxel"),
        ("a.jsx", "app.quit();\n", "written by Raxel"),
        ("a.chan", "1 0 0 0 0 0 0 0 0\n", "line 1: expected 7 or 8 columns of numbers, found 9"),
        ("a.chan", "1 0 0 0 0 0 0 50\n3 0 0 0 0 0 0 50\n2 0 0 0 0 0 0 50\n", "line 3: expected a frame after 3"),
        ("a.chan", "1 0 0\n", "line 1: expected 7 or 8 columns of numbers, found 3"),
        ("a.usda", '#usda 1.0\ndef Camera "a" {\n token projection = "orthographic"\n}', "expected 'perspective'"),
        ("a.usda", '#usda 1.0\ndef Camera "a" {\n token[] xformOpOrder = ["xformOp:twist"]\n}', "xformOp:twist: expected"),
        ("a.gltf", '{"asset": {"version": "2.0"}, "nodes": [{"camera": 0}], "cameras": [{"type": "orthographic"}]}',
         "cameras/0 type: expected 'perspective'"),
        ("a.usdc", "PXR-USDC\0\0", "this is binary USD"),
        ("a.chan", "1 0 0 0 0 0 0 180\n", "line 1: expected a vertical angle of view"),
        ("a.chan", "1 0 0 0 0 0 0 nan\n", "line 1: expected a number, found 'nan'"),
        ("a.usda", "#usda 1.0\ndef Xform \"a\"\n{\n}\n", "found none"),
        ("a.usda", '#usda 1.0\ndef Camera "a"\n{\n    float focalLength = nan\n}\n', "focalLength"),
        ("a.usda", '#usda 1.0\ndef Camera "a"\n{\n    float focalLength = 5\n    float focalLength = 6\n}\n', "line 5: expected each attribute once"),
        ("a.usda", '#usda 1.0\ndef Camera "a\\nb"\n{\n    float focalLength = nan\n}\n', r"a\?b.focalLength"),
        ("a.usda", "#usda 1.0\n" + 'def "a" {' * 5000, "prims at most"),
        ("a.usda", "#usda 1.0\n(\n    startTimeCode = 1\n    endTimeCode = 10000000000000\n)\ndef Camera \"a\"\n{\n}\n", "frames"),
        ("a.usda", "#usda 1.0\n(\n    a = \"unclosed\n", "line 3"),
        ("a.usda", "#usda 1.0\n" + "# " * 20_000 + "\n$", "line 3: expected USD text, found '\\$'"),
        ("a.gltf", '{"asset": {"version": "1.0"}}', "asset.version"),
        ("a.gltf", '{"asset": {"version": "2.0"}}', "expected one with a camera"),
        ("a.gltf", '{"asset": {"version": "2.0"}, "nodes": [{"camera": 0, "children": [0]}]}', "deep in each other"),
        ("transforms.json", '{"frames": [{"transform_matrix": [[1]]}]}', "frame 0 transform_matrix"),
        ("transforms.json", '{"camera_model": "OPENCV_FISHEYE", "fl_x": 1, "frames": [{"transform_matrix": '
         '[[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}', "OPENCV_FISHEYE lens distortion moves the image's corners out of its view"),
    ],
)  # fmt: skip
def test_one_sentence_says_where_and_what(tmp_path, name, text, said):
    with pytest.raises(CameraFormatError, match=said) as caught:
        read_cameras(save(tmp_path / name, text))
    assert str(caught.value).startswith(name) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lens", "said"),
    [
        ("1 PINHOLE 832 480 500 500 416\n", "line 1: expected 4 parameters of PINHOLE, found 3"),
        (
            "1 OPENCV_FISHEYE 832 480 500 500 416 240 0 0 0 0\n",
            "OPENCV_FISHEYE lens distortion moves the image's corners by 97.6 pixels",
        ),
        ("1 SIMPLE_RADIAL 832 480 500 416 240 -0.3\n", "lens distortion moves the image's corners by"),
        ("1 PINHOLE 832 480 -500 500 416 240\n", "focal length above 0"),
        ("1 PINHOLE 832.5 480 500 500 416 240\n", "line 1: expected a whole number"),
        ("2 PINHOLE 832 480 500 500 416 240\n", "images.txt line 1: expected a camera of the model, found number 1"),
        ("1 MAGIC 832 480 500\n", "expected a lens model of COLMAP, found 'MAGIC'"),
        ("1 PINHOLE 832 480 500 500 416 240\n" * 2, "line 2: expected each camera once"),
    ],
)
def test_a_colmap_camera_that_is_no_pinhole(tmp_path, lens, said):
    save(tmp_path / "cameras.txt", lens)
    save(tmp_path / "images.txt", "1 1 0 0 0 0 0 0 1 a.png\n\n")
    with pytest.raises(CameraFormatError, match=said):
        read_cameras(tmp_path)


def test_small_distortion_is_dropped_with_its_size(tmp_path):
    """k = 0.01 at the corner (416, 240) / 500: r^2 = 0.9226, so that the corner moves 0.009226 of its 480.3 pixels."""
    save(tmp_path / "cameras.txt", "1 SIMPLE_RADIAL 832 480 500 416 240 0.01\n")
    save(tmp_path / "images.txt", "1 1 0 0 0 0 0 0 1 a.png\n10 20 -1 30 40 -1\n2 1 0 0 0 0 0 0 1 b.png\n")
    reading = read_cameras(tmp_path)
    moved = 0.01 * (hypot(416, 240) / 500) ** 2 * hypot(416, 240)
    assert len(reading.trajectory) == 2
    assert f"corners by {moved:.2g} pixels" in reading.warnings[0]


def test_rational_distortion(tmp_path):
    """FULL_OPENCV with k1 = k4 = 0.1 scales every radius by 1: nothing is left out. The twelve
    are fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6."""
    save(tmp_path / "images.txt", "1 1 0 0 0 0 0 0 1 a.png\n\n")
    for k4, warnings in ((0.1, 0), (0.09, 1)):
        save(tmp_path / "cameras.txt", f"1 FULL_OPENCV 832 480 500 500 416 240 0.1 0 0 0 0 {k4} 0 0\n")
        assert len(read_cameras(tmp_path).warnings) == warnings


@pytest.mark.parametrize(
    ("file", "place", "noun"), [("cameras.bin", 0, "cameras"), ("images.bin", 0, "images"), ("images.bin", 8 + 64 + 16, "points")]
)  # fmt: skip
def test_counts_are_held_against_the_file(tmp_path, file, place, noun):
    write_cameras(wandering(3), tmp_path / "colmap_binary")
    path = tmp_path / "colmap_binary" / file
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, place, 10**13)
    path.write_bytes(data)
    with pytest.raises(CameraFormatError, match=f"{file}: it promises 10000000000000 {noun}.*room for at most"):
        read_cameras(tmp_path / "colmap_binary")


def test_an_image_with_many_points_costs_no_memory(tmp_path):
    """A line of 40 MB, as a picture with a million points has, is passed over."""
    save(tmp_path / "cameras.txt", "1 PINHOLE 832 480 500 500 416 240\n")
    with (tmp_path / "images.txt").open("w") as file:
        for name in ("a.png", "b.png"):
            file.write(f"1 1 0 0 0 0 0 0 1 {name}\n")
            for _ in range(100):
                file.write("100.25 200.75 -1 " * 20_000)
            file.write("\n")
    assert len(read_cameras(tmp_path).trajectory) == 2


def test_a_gltf_reads_no_file_elsewhere(tmp_path):
    (tmp_path / "inner").mkdir()
    save(tmp_path / "secret.bin", b"\0" * 64)
    write_cameras(wandering(2, off=False), tmp_path / "inner" / "a.gltf")
    values = json.loads((tmp_path / "inner" / "a.gltf").read_text())
    for uri in ("../secret.bin", "%2e%2e/secret.bin", str(tmp_path / "secret.bin"), "a\0b", "file:///etc/passwd"):
        values["buffers"][0]["uri"] = uri
        with pytest.raises(CameraFormatError):
            read_cameras(save(tmp_path / "inner" / "a.gltf", json.dumps(values)))


# --- The programs ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(find_spec("pycolmap") is None, reason="pycolmap is not installed (pip install pycolmap)")
@pytest.mark.parametrize("name", ["colmap", "colmap_binary"])
def test_pycolmap_opens_our_model(tmp_path, name):
    import pycolmap

    trajectory = wandering()
    write_cameras(trajectory, tmp_path / name)
    model = pycolmap.Reconstruction(str(tmp_path / name))
    images = sorted(model.images.values(), key=lambda image: image.name)
    assert len(images) == len(trajectory) and len(model.points3D) == 0
    close(np.stack([image.projection_center() for image in images]), trajectory.camera.center)
    close(np.stack([image.cam_from_world().matrix() for image in images]), trajectory.camera.cam_from_world[:, :3])
    close(np.stack([image.camera.calibration_matrix() for image in images]), trajectory.camera.K)
    assert all((image.camera.height, image.camera.width) == HW for image in images)
    point = trajectory.camera[0].world_from_cam @ torch.tensor((0.1, -0.2, 2.0, 1.0), dtype=torch.float64)
    fx, fy, cx, cy = intrinsics(trajectory.camera)[0].tolist()
    close(images[0].project_point(point[:3].numpy()), (fx * 0.05 + cx, fy * -0.1 + cy))


@pytest.mark.skipif(find_spec("pxr") is None, reason="usd-core is not installed (pip install usd-core)")
def test_usd_core_opens_our_stage(tmp_path):
    from pxr import Usd, UsdGeom

    trajectory = wandering(name=HOSTILE.replace("\x00", ""))
    write_cameras(trajectory, tmp_path / "a.usda")
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    assert UsdGeom.GetStageUpAxis(stage) == "Y" and UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (1.0, 9.0)
    assert abs(stage.GetFramesPerSecond() - 23.976) < 1e-9
    assert stage.GetRootLayer().customLayerData["raxel"]["name"] == trajectory.name
    camera = UsdGeom.Camera(stage.GetPrimAtPath("/raxel/camera"))
    expected, K = to_opengl(trajectory.camera.world_from_cam, up="y"), intrinsics(trajectory.camera)
    for index in range(len(trajectory)):
        matrix = np.array(UsdGeom.Xformable(camera).ComputeLocalToWorldTransform(index + 1.0)).T
        close(matrix, expected[index])
        window = camera.GetCamera(index + 1.0).frustum.window
        (left, bottom), (right, top) = window.GetMin(), window.GetMax()
        fx, fy = 832 / (right - left), 480 / (top - bottom)
        close((fx, fy, -left * fx, top * fy), K[index])


def blender():
    """The command that runs a script in Blender: BLENDER_PATH (Blender, or a Python with bpy), our Python, or `blender`."""
    given = os.environ.get("BLENDER_PATH") or (sys.executable if find_spec("bpy") else shutil.which("blender"))
    if not given:
        pytest.skip("no Blender: pip install bpy, put `blender` on PATH, or set BLENDER_PATH")
    runs = (
        [given] if Path(given).name.startswith("python") else [given, "--background", "--factory-startup", "--python"]
    )
    return [*runs, str(Path(__file__).with_name("blender_camera.py")), *([] if len(runs) == 1 else ["--"])]


def in_blender(tmp_path, file, how, frames):
    """What Blender makes of a file at `frames`."""
    job = {"file": str(file), "how": how, "frames": list(frames), "width": 832, "height": 480, "fps": 24}
    job["result"] = str(tmp_path / "result.json")
    job_file = save(tmp_path / "job.json", json.dumps(job))
    done = subprocess.run([*blender(), str(job_file)], capture_output=True, text=True, timeout=300)
    lacking = re.search(r"(?<=LookupError: )this Blender lacks .*", done.stderr + done.stdout)
    if lacking:
        pytest.skip(lacking.group())
    assert done.returncode == 0 and Path(job["result"]).exists(), done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(Path(job["result"]).read_text())


def same_in_blender(found, trajectory, *, tolerance=1e-6):
    """Blender's numbers are float32."""
    expected = to_opengl(trajectory.camera.world_from_cam, up="z")
    close([frame["matrix_world"] for frame in found["frames"]], expected, tolerance)
    close([frame["K"] for frame in found["frames"]], intrinsics(trajectory.camera), tolerance)


def test_our_script_in_blender(tmp_path):
    """Matrices, K with shift and pixel aspect, rate, size and name; straight lines between keys, over gaps too; a
    picture behind."""
    trajectory = replace(wandering(name="Ä shot's \"name\"\n''') + \\"), numbers=(0, 1, *range(3, 10)))
    write_cameras(trajectory, tmp_path / "a.py")
    found = in_blender(tmp_path, tmp_path / "a.py", "script", [1, 2, *range(4, 11), 1.5])
    half = found["frames"].pop()
    same_in_blender(found, trajectory)
    assert abs(found["fps"] - 23.976) < 1e-5 and found["size"] == [832, 480] and found["names"] == [trajectory.name]
    assert found["backgrounds"] == []
    middle = to_opengl(trajectory.camera.world_from_cam, up="z")[:2, :3, 3].mean(0)
    close([row[3] for row in half["matrix_world"][:3]], middle, 1e-6)


def test_the_background_of_our_script_in_blender(tmp_path):
    cv2 = pytest.importorskip("cv2")
    trajectory = wandering(3)
    write_cameras(trajectory, tmp_path / "a.py", first=1001)
    for number in (1003, 1004, 1005):
        assert cv2.imwrite(str(tmp_path / f"v02.{number}.png"), np.zeros((8, 8, 3), np.uint8))
    text = (tmp_path / "a.py").read_text()
    assert text.count('BACKGROUND = ""') == 1
    text = text.replace('BACKGROUND = ""', f"BACKGROUND = {str(tmp_path / 'v02.1003.png')!r}")
    found = in_blender(tmp_path, save(tmp_path / "a.py", text), "script", [1001, 1002, 1003])
    same_in_blender(found, trajectory)
    assert found["range"] == [1001, 1003]
    # Blender shows the picture of number frame - start + 1 + offset.
    assert found["backgrounds"] == [["SEQUENCE", 1001, 3, 1002]]


@pytest.mark.parametrize(
    ("name", "how", "first"),
    [("a.usda", "usd", 1), ("a.glb", "gltf", 0), ("a.gltf", "gltf", 0), ("a.chan", "chan", 1)],
)
def test_blender_imports_our_files(tmp_path, name, how, first):
    """glTF's time 0 is frame 0 in Blender. The lens follows the focal length in all of them, in glTF by
    KHR_animation_pointer; the .usda also holds the principal point (pixels stay square in Blender's importer)."""
    trajectory = wandering(off=False, fps=24.0)
    if how == "usd":
        K = trajectory.camera.K.clone()
        K[:, :2, 2] += torch.tensor((17.0, -9.0))
        trajectory = replace(trajectory, camera=replace(trajectory.camera, K=K))
    write_cameras(trajectory, tmp_path / name)
    found = in_blender(tmp_path, tmp_path / name, how, range(first, first + len(trajectory)))
    same_in_blender(found, trajectory, tolerance=2e-6)


def test_footage_numbers_of_a_file_go_into_the_next(tmp_path):
    """What was solved from shot.1001 on lies over it: .chan, .usda and .py take the number, and give it back."""
    trajectory = wandering(3, off=False, fps=24.0)
    names = [f"shot.{number}.exr" for number in (1001, 1002, 1004)]
    motions = to_opengl(trajectory.camera.world_from_cam, up="z").tolist()
    frames = [{"file_path": name, "transform_matrix": motion} for name, motion in zip(names, motions, strict=True)]
    path = save(tmp_path / "transforms.json", json.dumps({"fl_x": 700, "w": 832, "h": 480, "frames": frames}))
    reading = read_cameras(path)
    assert reading.first == 1001 and reading.trajectory.numbers == (0, 1, 3)
    assert read_cameras(path, assumed=Assumed(gaps="fill")).first == 1001
    codes = {"a.chan": r"(?m)^(\d+)\t", "a.usda": r"(?m)^ +(\d+): \(\("}
    for name in ("a.chan", "a.usda", "a.py", "a.json"):
        write_cameras(reading.trajectory, tmp_path / name, first=reading.first)
        text = (tmp_path / name).read_text()
        assert name in ("a.py", "a.json") or re.findall(codes[name], text) == ["1001", "1002", "1004"]
        assert name != "a.usda" or "startTimeCode = 1001\n" in text and "endTimeCode = 1004\n" in text
        assert read_cameras(tmp_path / name).first == 1001
        assert read_cameras(tmp_path / name).trajectory.numbers == (None if name == "a.usda" else (0, 1, 3))
        assert lost_in(reading.trajectory, tmp_path / name, first=1001).count("1001") == 0
        write_cameras(reading.trajectory, tmp_path / name)
        assert read_cameras(tmp_path / name).first == (None if name == "a.json" else 1)
    assert "(from 1001 on)" in lost_in(reading.trajectory, tmp_path / "a.tum", first=1001)
    # Numbers that begin at 0 count pictures; a date is no frame's number; a .chan may begin before the first frame.
    dates = save(tmp_path / "dates.json", path.read_text().replace("shot.100", "2024050"))
    assert read_cameras(dates).first is None
    write_cameras(trajectory, tmp_path / "transforms.json")
    assert read_cameras(tmp_path / "transforms.json").first is None
    write_cameras(trajectory, tmp_path / "b.chan", first=-2)
    assert read_cameras(tmp_path / "b.chan").first == -2


def test_our_jsx_runs_and_sets_every_key(tmp_path):
    """After Effects is not at hand: Node runs the script against objects that note what they are given."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on PATH")
    trajectory = replace(wandering(3, off=False, name="Ä 'shot' \"\\\n};"), numbers=(0, 1, 3))
    write_cameras(trajectory, tmp_path / "a.jsx")
    assert read_cameras(tmp_path / "a.jsx").trajectory.numbers == (0, 1, 3)
    stage = """
const seen = {};
const property = (name) => ({ property, setValuesAtTimes: (times, values) => { seen[name] = [times, values]; } });
const layer = { property };
const comp = { layers: { addCamera: (...given) => { seen.camera = given; return layer; } }, openInViewer() {} };
globalThis.AutoOrientType = { NO_AUTO_ORIENT: "none" };
globalThis.app = { beginUndoGroup() {}, endUndoGroup() {},
    project: { items: { addComp: (...given) => { seen.comp = given; return comp; } } } };
require("vm").runInThisContext(require("fs").readFileSync(process.argv[2], "utf8"));
console.log(JSON.stringify({ ...seen, orient: layer.autoOrient }));
"""
    runner = save(tmp_path / "run.js", stage)
    done = subprocess.run([node, str(runner), str(tmp_path / "a.jsx")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["comp"] == [trajectory.name, 832, 480, 1, 4 / 23.976, 23.976]
    assert seen["camera"] == [trajectory.name, [416, 240]] and seen["orient"] == "none"
    times, zooms = seen["ADBE Camera Zoom"]
    close(times, [0.0, 1 / 23.976, 3 / 23.976])
    close(zooms, trajectory.camera.focal[:, 0])
    close(seen["ADBE Position"][1], trajectory.camera.center * 100 + torch.tensor((416.0, 240.0, 0.0)))
    angles = torch.deg2rad(torch.tensor(seen["ADBE Orientation"][1], dtype=torch.float64))
    x, y, z = angles.unbind(-1)
    close(se3.rotation_x(x) @ se3.rotation_y(y) @ se3.rotation_z(z), trajectory.camera.rotation)

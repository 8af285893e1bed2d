"""The GLB of camera paths: its bytes by the specification and its places worked by hand."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch

from raxel_core.drawing.path_mesh import Mesh, mesh_glb, path_mesh
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.sparse_points import SparsePoints
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.plan import make_move

HW = (480, 832)


def line(*centers: tuple[float, float, float], unit: str = "metre") -> Trajectory:
    motions = se3.from_rotation_translation(torch.eye(3), torch.tensor(centers))
    return Trajectory(Camera(motions, K_from_fov(1.0, HW), HW), unit=unit)


TRIANGLE = Mesh(
    np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 3]]),
    np.array([[1.0, 0, 0], [0.5, 0.5, 0.5], [0, 0.04, 1]]),
    np.array([[0, 1, 2]], np.uint32),
)


def chunks(data: bytes) -> tuple[dict, bytes]:
    """The JSON and the binary chunk of a GLB, read as chapter 4.4 of the glTF specification says."""
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, kind = struct.unpack("<I4s", data[12:20])
    assert kind == b"JSON" and json_length % 4 == 0
    rest = data[20 + json_length :]
    binary_length, kind = struct.unpack("<I4s", rest[:8])
    assert kind == b"BIN\0" and binary_length % 4 == 0 and len(rest) == 8 + binary_length
    return json.loads(data[20 : 20 + json_length]), rest[8:]


def test_a_triangle_by_hand() -> None:
    # glTF looks along -z with y up: (x, y, z) becomes (x, -y, -z). Its vertex colours are linear: sRGB 0.5 is
    # ((0.5 + 0.055) / 1.055)^2.4 = 0.21404, 0.04 is 0.04 / 12.92 = 0.0030960.
    body, binary = chunks(mesh_glb(TRIANGLE))
    places, colours, indices = body["accessors"]
    assert (places["min"], places["max"]) == ([0, -2, -3], [1, 0, 0])
    assert [view["byteOffset"] for view in body["bufferViews"]] == [0, 36, 72]
    numbers = np.frombuffer(binary, "<f4", 18)
    np.testing.assert_allclose(numbers[:9], [0, 0, 0, 1, 0, 0, 0, -2, -3])
    np.testing.assert_allclose(numbers[9:], [1, 0, 0, 0.21404, 0.21404, 0.21404, 0, 0.0030960, 1], atol=1e-5)
    assert np.frombuffer(binary, "<u4", 3, 72).tolist() == [0, 1, 2]
    assert (places["componentType"], colours["componentType"], indices["componentType"]) == (5126, 5126, 5125)
    assert body["buffers"][0]["byteLength"] == 84


def test_the_tube_joins_the_centres_and_the_markers_sit_on_the_ends() -> None:
    mesh = path_mesh({"drive": line((0, 0, 0), (0, 0, 1))})
    white = (mesh.colours == np.array([245, 247, 250]) / 255).all(-1)
    np.testing.assert_allclose(mesh.points[white].mean(0), [0, 0, 0], atol=1e-12)
    # Axes of a fifth of the extent at the first camera: the red one ends at x = 0.2, the green one, y, points down.
    red = mesh.points[(mesh.colours == np.array([242, 92, 84]) / 255).all(-1)]
    green = mesh.points[(mesh.colours == np.array([122, 214, 96]) / 255).all(-1)]
    assert red[:, 0].max() == pytest.approx(0.2) and green[:, 1].max() == pytest.approx(0.2)
    # The grid lies a fifth of the extent below the lowest camera.
    grid = mesh.points[(mesh.colours == np.array([120, 128, 142]) / 255).all(-1)]
    assert grid[:, 1].mean() == pytest.approx(0.2)


def test_triangles_enclose_their_bars() -> None:
    """The volume of a closed mesh by the divergence theorem: each bar counts its length times its square section."""
    mesh = path_mesh({"drive": line((0, 0, 0), (0, 0, 1))})
    blue = (mesh.colours == np.array([92, 158, 255]) / 255).all(-1)  # the z axis: 0.2 long, 0.01 square
    faces = mesh.faces[blue[mesh.faces].all(-1)]
    a, b, c = (mesh.points[faces[:, corner]] for corner in range(3))
    volume = (a * np.cross(b, c)).sum() / 6
    assert abs(volume) == pytest.approx(0.2 * 0.01**2, rel=1e-6)


@pytest.mark.parametrize("move", ["static", "orbit", "pan"])
def test_any_path_makes_a_sound_mesh(move: str) -> None:
    mesh = path_mesh({"path": make_move(move, 81), "other": make_move("truck", 1)})
    assert np.isfinite(mesh.points).all() and mesh.faces.max() == len(mesh.points) - 1
    assert mesh.colours.min() >= 0 and mesh.colours.max() <= 1
    assert len(mesh_glb(mesh)) < 300_000


def test_paths_of_two_units_and_no_path_are_refused() -> None:
    with pytest.raises(ValueError, match="paths in one unit, got metre and near_depth"):
        path_mesh({"a": line((0, 0, 0)), "b": line((0, 0, 0), unit="near_depth")})
    with pytest.raises(ValueError, match="paths in one unit, got no path"):
        path_mesh({})


def test_points_are_octahedra_in_their_colours_and_a_stray_one_is_left_out() -> None:
    """41 points on a shell 4 to 5 away and one 500 away: six corners each, as wide as the 0.004th part of how far most
    are; the one that would make a viewer step back is not there."""
    random = torch.Generator().manual_seed(1)
    position = torch.nn.functional.normalize(torch.randn(41, 3, generator=random, dtype=torch.float64), dim=-1)
    position = torch.cat((position * (4.0 + torch.rand(41, 1, generator=random)), torch.tensor([[0.0, 0.0, 500.0]])))
    none = torch.zeros(0, dtype=torch.long)
    colour = torch.arange(42, dtype=torch.uint8)[:, None].expand(42, 3)
    points = SparsePoints(position, colour, torch.zeros(42), none, none, torch.zeros(0, 2))
    path = {"drive": line((0, 0, 0), (0, 0, 0.5))}
    bare, full = path_mesh(path), path_mesh(path, points)
    cloud = full.points[len(bare.points) :].reshape(-1, 6, 3)
    assert len(cloud) == 41 and len(full.faces) == len(bare.faces) + 8 * 41
    np.testing.assert_allclose(cloud.mean(1), position[:41].numpy(), atol=1e-9)
    radius = (cloud - cloud.mean(1, keepdims=True)).max()
    assert 0.004 * 4 < radius < 0.004 * 5
    np.testing.assert_allclose(full.colours[len(bare.points) :: 6] * 255, colour[:41])

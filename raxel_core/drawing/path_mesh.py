"""Camera paths as a small coloured mesh in a GLB file, for 3D viewers that know no cameras.

Frusta, the path as a tube that brightens along time, markers at its start and end, axes, a ground grid, and the points
of the scene as small octahedra, since viewers draw glTF's own points one pixel wide or not at all. glTF's world
is x right, y up, looking along -z; the world of `Camera` is x right, y down, z forward: y and z change sign.
Source: Khronos glTF 2.0 specification, 3.6 (accessors), 3.7.2 (meshes).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..camera_io.gltf_file import glb_bytes
from ..geometry.camera import Camera
from ..geometry.sparse_points import SparsePoints
from ..geometry.trajectory import Trajectory
from .canvas import PALETTE, Colour, Pixels, mixed, nice_step, steps
from .frustum import frustum_corners

_AXES: tuple[Colour, ...] = ((242, 92, 84), (122, 214, 96), (92, 158, 255))
_GRID: Colour = (120, 128, 142)
_WHITE: Colour = (245, 247, 250)
_DARK: Colour = (40, 44, 54)
_FRUSTA = 9
_MOST_POINTS = 20_000
# A point's radius as a share of how far points are from the cameras in the middle, and how many times as far as nine
# tenths of them one may lie to be drawn: a few stray ones would make a viewer step back from everything.
_POINT_RADIUS, _STRAY = 0.004, 3.0
_FLOAT, _UINT, _VERTICES, _INDICES = 5126, 5125, 34962, 34963
# The faces of a box whose corners are numbered by the bits x, y, z, seen from outside.
_BOX_FACES = np.array(
    [[0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4], [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6]]
    + [[1, 3, 5], [3, 7, 5]],
    np.uint32,
)
_OCTAHEDRON = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float64)
_OCTAHEDRON_FACES = np.array(
    [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]], np.uint32
)


@dataclass(frozen=True)
class Mesh:
    """Triangles in `Camera`'s world: `points` [V, 3], `colours` [V, 3] (sRGB, 0 to 1), `faces` [T, 3] of vertices."""

    points: Pixels
    colours: Pixels
    faces: Pixels


def path_mesh(trajectories: Mapping[str, Trajectory], points: SparsePoints | None = None) -> Mesh:
    """The mesh of one camera path or several in one world, each in its colour, and of that world's `points`.

    A tube follows the centre and brightens along time, from a white marker to one in the path's colour; bars of red,
    green and blue are the world's x, y and z at the first camera. Sizes follow the extent of all centres. Raises
    ValueError when there is no path, units differ or a camera is not valid.
    """
    units = sorted({trajectory.unit for trajectory in trajectories.values()})
    if len(units) != 1:
        raise ValueError(f"a mesh is made of paths in one unit, got {' and '.join(units) or 'no path'}")
    cameras = [path.camera.validate().to("cpu", torch.float64) for path in trajectories.values()]
    every = torch.cat([camera.center for camera in cameras])
    extent = float((every.amax(0) - every.amin(0)).norm())
    extent = max(extent, 0.6 if units[0] != "arbitrary" else 1e-9) or 1.0
    parts = [_ground(every.numpy(), extent), _axes(cameras[0], extent)]
    for number, camera in enumerate(cameras):
        parts += _path(camera, PALETTE[number % len(PALETTE)], extent)
    if points is not None and len(points):
        parts.append(_cloud(points, every))
    return _merged(parts)


def mesh_glb(mesh: Mesh) -> bytes:
    """`mesh` as a GLB file: one unlit primitive with vertex colours, visible from both sides."""
    # glTF has y up and looks along -z; vertex colours are linear light.
    points = (mesh.points * (1.0, -1.0, -1.0)).astype("<f4")
    colours = _linear(mesh.colours).astype("<f4")
    indices = mesh.faces.astype("<u4").reshape(-1)
    chunks = [points.tobytes(), colours.tobytes(), indices.tobytes()]
    offsets = np.cumsum([0, *map(len, chunks)]).tolist()
    views = [
        {"buffer": 0, "byteOffset": offset, "byteLength": len(chunk), "target": target}
        for offset, chunk, target in zip(offsets, chunks, (_VERTICES, _VERTICES, _INDICES), strict=False)
    ]
    low, high = points.min(0).tolist(), points.max(0).tolist()
    accessors: list[dict[str, Any]] = [
        {"bufferView": 0, "componentType": _FLOAT, "count": len(points), "type": "VEC3", "min": low, "max": high},
        {"bufferView": 1, "componentType": _FLOAT, "count": len(points), "type": "VEC3"},
        {"bufferView": 2, "componentType": _UINT, "count": len(indices), "type": "SCALAR"},
    ]
    unlit = "KHR_materials_unlit"
    primitive = {"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}
    body = {
        "asset": {"version": "2.0", "generator": "Raxel"},
        "extensionsUsed": [unlit],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "camera paths"}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"extensions": {unlit: {}}, "doubleSided": True}],
        "buffers": [{"byteLength": offsets[-1]}],
        "bufferViews": views,
        "accessors": accessors,
    }
    return glb_bytes(body, b"".join(chunks))


def _linear(colours: Pixels) -> Pixels:
    """sRGB in [0, 1] -> linear light, which glTF's vertex colours are in (IEC 61966-2-1)."""
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def _merged(parts: list[Mesh]) -> Mesh:
    """One mesh of several."""
    starts = np.cumsum([0, *(len(part.points) for part in parts[:-1])]).astype(np.uint32)
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)])
    points, colours = (np.concatenate([getattr(part, name) for part in parts]) for name in ("points", "colours"))
    return Mesh(points, colours, faces)


def _path(camera: Camera, colour: Colour, extent: float) -> list[Mesh]:
    """Frusta, tube and markers of one path."""
    center, last = camera.center.numpy(), len(camera) - 1
    frames = sorted({round(f) for f in np.linspace(0, last, min(_FRUSTA, last + 1))})
    corners = frustum_corners(camera[frames], 0.14 * extent).numpy()
    begin, end = [0, 0, 0, 0, 1, 2, 3, 4, 1, 5], [1, 2, 3, 4, 2, 3, 4, 1, 5, 2]
    parts = [_bars(corners[:, begin].reshape(-1, 3), corners[:, end].reshape(-1, 3), 0.0024 * extent, colour)]
    for frame in range(last):
        tone = mixed(colour, _DARK, 0.35 + 0.65 * (frame + 1) / last)
        parts.append(_bars(center[frame : frame + 1], center[frame + 1 : frame + 2], 0.0055 * extent, tone))
    parts.append(_marker(center[0], 0.022 * extent, _WHITE))
    parts.append(_marker(center[-1], 0.022 * extent, colour))
    return parts


def _marker(center: Pixels, radius: float, colour: Colour) -> Mesh:
    return Mesh(center + radius * _OCTAHEDRON, _coloured(6, colour), _OCTAHEDRON_FACES)


def _cloud(points: SparsePoints, centers: torch.Tensor) -> Mesh:
    """Octahedra in the points' colours, at most _MOST_POINTS of them, evenly taken."""
    position = points.position.detach().to("cpu", torch.float64)
    distance = torch.linalg.vector_norm(position - centers.median(dim=0).values, dim=-1)
    kept = (distance <= _STRAY * torch.quantile(distance[:: max(1, len(distance) // 100_000)], 0.9)).nonzero().flatten()
    kept = kept[:: -(-len(kept) // _MOST_POINTS)]
    radius = _POINT_RADIUS * float(distance[kept].median())
    vertices = position[kept, None].numpy() + radius * _OCTAHEDRON
    colours = points.colour[kept].cpu().numpy().astype(np.float64)[:, None].repeat(len(_OCTAHEDRON), axis=1) / 255.0
    faces = _OCTAHEDRON_FACES + len(_OCTAHEDRON) * np.arange(len(kept), dtype=np.uint32)[:, None, None]
    return Mesh(vertices.reshape(-1, 3), colours.reshape(-1, 3), faces.reshape(-1, 3))


def _axes(camera: Camera, extent: float) -> Mesh:
    """Three bars of the world's directions at the first camera."""
    origin = camera.center[:1].numpy()
    parts = [
        _bars(origin, origin + 0.2 * extent * np.eye(3)[axis], 0.005 * extent, colour)
        for axis, colour in enumerate(_AXES)
    ]
    return _merged(parts)


def _ground(centers: Pixels, extent: float) -> Mesh:
    """A square grid below all cameras, as in the plotted picture."""
    step = nice_step(extent / 9)
    half = step * math.ceil(0.5 * extent / step)
    middle = np.round((centers.min(0) + centers.max(0)) / 2 / step) * step
    level = float(centers[:, 1].max()) + 0.2 * extent
    places = np.array(steps(-half, half, step))
    flat = np.zeros_like(places)
    ends = []
    for side in (-half, half):
        across = np.stack((places, flat, np.full_like(places, side)), axis=-1)
        ends.append(np.concatenate((across, across[:, ::-1])) + (middle[0], level, middle[2]))
    return _bars(ends[0], ends[1], 0.0012 * extent, _GRID)


def _bars(begin: Pixels, end: Pixels, radius: float, colour: Colour) -> Mesh:
    """Square bars from `begin` [N, 3] to `end` [N, 3], `radius` thick each way."""
    along = end - begin
    along = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-30)
    other = np.eye(3)[np.abs(along).argmin(-1)]
    side = np.cross(along, other)
    side = side / np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-30)
    up = np.cross(along, side)
    corners = [
        (end if bits & 4 else begin) + radius * ((1 if bits & 1 else -1) * side + (1 if bits & 2 else -1) * up)
        for bits in range(8)
    ]
    points = np.stack(corners, axis=1).reshape(-1, 3)
    faces = (_BOX_FACES + 8 * np.arange(len(begin), dtype=np.uint32)[:, None, None]).reshape(-1, 3)
    return Mesh(points, _coloured(len(points), colour), faces)


def _coloured(count: int, colour: Colour) -> Pixels:
    return np.tile(np.array(colour, np.float64) / 255.0, (count, 1))

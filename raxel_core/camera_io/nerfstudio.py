"""nerfstudio transforms.json: c2w in OpenGL axes, one K or one a frame, an applied_transform that is taken back.

Written with nerfstudio's own applied_transform from COLMAP, so that its world has z up. instant-ngp's and NeRF's files
of the same shape are read as well. Not held: times and units.
Source: docs.nerf.studio, "Data conventions"; nerfstudio/data/dataparsers/nerfstudio_dataparser.py.
"""

from __future__ import annotations

import json
from math import pi, tan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.camera import K_from_focal
from ..geometry.trajectory import Trajectory
from .axes import WORLDS, flip_camera, to_opengl
from .format import CameraFormat, assumed_K, assumed_unit, motions_of, trajectory_of
from .frame_names import frame_name, in_order
from .inversion import inversion_warning
from .pinhole import dropped_distortion, without_skew
from .reading import Assumed, CameraFormatError, Reading
from .source import check_frames, first_keys, mapping, matrix, number, read_json, sequence, whole

_PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "RADIAL", "SIMPLE_RADIAL", "FULL_OPENCV")
_LENS = ("k1", "k2", "k3", "k4", "p1", "p2")
_SHOWN_WARNINGS = 3


def _recognise(path: Path) -> bool:
    return {"frames", "transform_matrix"} <= first_keys(path)


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(read_json(path), path.name, needs=("frames",))
    frames = _frames(values, path.name)
    order, order_warnings = in_order([str(frame.get("file_path", "")) for frame in frames])
    numbered = [(frames[index], f"{path.name} frame {index}") for index in order]
    motions = torch.tensor([_motion(frame, where) for frame, where in numbered], dtype=torch.float64)
    world_from_file, world_note = _world_from_file(values, path.name)
    world_from_cam = world_from_file(flip_camera(motions_of(motions)))
    K, hw, K_note, K_warnings = _K(values, numbered, assumed)
    trajectory, mended = trajectory_of(world_from_cam, K, hw, path.name, fps=assumed.fps, unit=assumed.unit)
    notes = (
        f"{len(frames)} frames in the order of file_path.",
        "transform_matrix is camera-to-world (c2w) with OpenGL camera axes; the camera's y and z were flipped.",
        world_note,
        K_note,
        f"Time: {assumed.fps:g} frames a second, assumed; the format has none.",
        assumed_unit(assumed),
        *mended,
    )
    return Reading(trajectory, FORMAT.name, notes, (*order_warnings, *K_warnings, *inversion_warning(world_from_cam)))


def _frames(values: dict[str, Any], source: str) -> list[dict[str, Any]]:
    """The file's frames, in its order."""
    frames = sequence(values["frames"], f"{source} frames")
    check_frames(len(frames), source)
    return [
        mapping(frame, f"{source} frame {index}", needs=("transform_matrix",)) for index, frame in enumerate(frames)
    ]


def _motion(frame: dict[str, Any], where: str) -> list[float]:
    """The twelve numbers of a frame's transform_matrix, 4 x 4 or 3 x 4."""
    rows = sequence(frame["transform_matrix"], f"{where} transform_matrix")
    given = matrix(rows, 3 if len(rows) == 3 else 4, 4, f"{where} transform_matrix")
    if given[3:] not in ([], [[0.0, 0.0, 0.0, 1.0]]):
        raise CameraFormatError(f"{where} transform_matrix: expected the last row 0 0 0 1, found {given[3]}")
    return [value for row in given[:3] for value in row]


def _world_from_file(values: dict[str, Any], source: str) -> tuple[Any, str]:
    """What takes the file's c2w back before applied_scale and applied_transform, and the note that says so."""
    scale = number(values.get("applied_scale", 1.0), f"{source} applied_scale")
    if scale <= 0.0:
        raise CameraFormatError(f"{source} applied_scale: expected a number above 0, found {scale:g}")
    if "applied_transform" not in values:
        note = "No applied_transform: the world's axes are as they stand in the file."
        return lambda c2w: _shrunk(c2w, scale), note
    where = f"{source} applied_transform"
    rows = sequence(values["applied_transform"], where)
    applied = torch.tensor(matrix(rows, 3 if len(rows) == 3 else 4, 4, where), dtype=torch.float64)[:3]
    rotation = applied[:, :3]
    if float((rotation.T @ rotation - torch.eye(3)).abs().max()) > 1e-3 or torch.linalg.det(rotation) < 0.0:
        raise CameraFormatError(f"{where}: expected a rotation and a translation, its 3 x 3 part is no rotation")
    note = "applied_transform was taken back (inverted): the world is the one before it."
    return lambda c2w: se3.inverse(motions_of(applied)) @ _shrunk(c2w, scale), note


def _shrunk(c2w: Tensor, scale: float) -> Tensor:
    """`c2w` [F, 4, 4] before its positions were multiplied by `scale`."""
    return se3.from_rotation_translation(c2w[:, :3, :3], c2w[:, :3, 3] / scale)


def _K(
    values: dict[str, Any], frames: list[tuple[dict[str, Any], str]], assumed: Assumed
) -> tuple[Tensor, tuple[int, int], str, tuple[str, ...]]:
    """K [F, 3, 3], the frames' one size, where both come from, and warnings."""
    source = frames[0][1].rpartition(" frame ")[0]
    shared = {key: value for key, value in values.items() if key != "frames"}
    lenses = [({**shared, **frame}, where) for frame, where in frames]
    sizes = {_hw(lens, where, assumed) for lens, where in lenses}
    if len(sizes) > 1:
        shown = ", ".join(f"{width}x{height}" for height, width in sorted(sizes)[:3])
        raise CameraFormatError(f"{source}: expected frames of one size, found {shown}")
    hw = sizes.pop()
    named = all({"w", "h"} <= lens.keys() for lens, _ in lenses)
    size_note = f"{hw[1]}x{hw[0]}" + ("" if named else ", an assumed size; the file has no w and h")
    if not any({"fl_x", "camera_angle_x"} & lens.keys() for lens, _ in lenses):
        K, _ = assumed_K(Assumed(hw, assumed.fov_degrees))
        note = f"K: assumed, {assumed.fov_degrees:g} degrees horizontal in {size_note}; fl_x and camera_angle_x miss."
        return K, hw, note, ()
    rows = [_intrinsics(lens, hw, where) for lens, where in lenses]
    warnings = dict.fromkeys(
        w for (lens, _), row in zip(lenses, rows, strict=True) for w in _lens(lens, row, hw, source)
    )
    table = torch.tensor(rows, dtype=torch.float64)
    key = "fl_x" if "fl_x" in lenses[0][0] else "camera_angle_x"
    note = f"K: from {key}, pixels of {size_note}, counted from the image's corner as ours."
    return K_from_focal(table[:, :2], table[:, 2:]), hw, note, tuple(warnings)[:_SHOWN_WARNINGS]


def _hw(lens: dict[str, Any], where: str, assumed: Assumed) -> tuple[int, int]:
    sizes = zip("hw", assumed.hw, strict=True)
    height, width = (whole(lens.get(key, size), f"{where} {key}", least=1) for key, size in sizes)
    return height, width


def _intrinsics(lens: dict[str, Any], hw: tuple[int, int], where: str) -> tuple[float, float, float, float]:
    """(fx, fy, cx, cy) of one frame, whose own keys win over the file's."""
    model = lens.get("camera_model", "OPENCV")
    if model not in _PERSPECTIVE:
        found = repr(model)[:40]
        raise CameraFormatError(
            f"{where} camera_model: expected a perspective camera, found {found}; undistort it first"
        )
    fx = _focal(lens, "x", hw[1], where)
    if fx is None:
        raise CameraFormatError(f"{where}: expected fl_x or camera_angle_x, found neither")
    fy = _focal(lens, "y", hw[0], where)
    cx, cy = (number(lens.get(key, 0.5 * size), f"{where} {key}") for key, size in (("cx", hw[1]), ("cy", hw[0])))
    return fx, fx if fy is None else fy, cx, cy


def _focal(lens: dict[str, Any], axis: str, size: int, where: str) -> float | None:
    """The focal length along `axis` in pixels, None where the file has none."""
    if f"fl_{axis}" in lens:
        focal = number(lens[f"fl_{axis}"], f"{where} fl_{axis}")
        if focal <= 0.0:
            raise CameraFormatError(f"{where} fl_{axis}: expected a number above 0, found {focal:g}")
        return focal
    if f"camera_angle_{axis}" not in lens:
        return None
    angle = number(lens[f"camera_angle_{axis}"], f"{where} camera_angle_{axis}")
    if not 0.0 < angle < pi:
        raise CameraFormatError(f"{where} camera_angle_{axis}: expected an angle between 0 and pi, found {angle:g}")
    return 0.5 * size / tan(0.5 * angle)


def _lens(
    lens: dict[str, Any], intrinsics: tuple[float, float, float, float], hw: tuple[int, int], source: str
) -> tuple[str, ...]:
    """A warning where the file has a distortion that a pinhole has not."""
    k1, k2, k3, k4, p1, p2 = (number(lens.get(key, 0.0), f"{source} {key}") for key in _LENS)
    return dropped_distortion(intrinsics, hw, source, radial=(k1, k2, k3, k4), tangential=(p1, p2))


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    keys = ("fl_x", "fl_y", "cx", "cy")
    rows = without_skew(trajectory, path.name).tolist()
    height, width = trajectory.camera.hw
    motions = to_opengl(trajectory.camera.world_from_cam, up="z").tolist()
    varying = any(row != rows[0] for row in rows)
    frames = [
        {"file_path": f"images/{frame_name(index)}", **(dict(zip(keys, row, strict=True)) if varying else {}),
         "transform_matrix": motion}
        for index, (row, motion) in enumerate(zip(rows, motions, strict=True))
    ]  # fmt: skip
    values = {
        "camera_model": "OPENCV",
        "w": width,
        "h": height,
        **({} if varying else dict(zip(keys, rows[0], strict=True))),
        "applied_transform": WORLDS["z"][:3].tolist(),
        "frames": frames,
    }
    write_text(path, json.dumps(values, indent=1))
    return (path,)


FORMAT = CameraFormat(
    name="nerfstudio",
    title="nerfstudio transforms.json",
    suffix=".json",
    patterns=("transforms.json", "*transforms*.json"),
    recognise=_recognise,
    read=_read,
    write=_write,
)

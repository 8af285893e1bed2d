"""nerfstudio transforms.json: c2w in OpenGL axes, one K or one a frame, an applied_transform that is taken back.

Written with nerfstudio's own applied_transform from COLMAP, so that its world has z up. instant-ngp's and NeRF's files
of the same shape are read as well. Not held: units; times unless a frame has a timestamp.
`ns-export cameras` writes its frames alone, as a list of file_path and transform, without any lens.
Source: docs.nerf.studio, "Data conventions"; nerfstudio/data/dataparsers/nerfstudio_dataparser.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import pi, radians, tan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.distortion import Lens
from ..geometry.trajectory import Trajectory
from .axes import WORLDS, flip_camera, to_opengl
from .clip import Frames, reading_of
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat, motions_of
from .frame_names import frame_name
from .parsing import check_frames, mapping, matrix, number, read_json, sequence, whole
from .pinhole import lens_of, without_skew
from .reading import Assumed, CameraFormatError, Reading

# nerfstudio's names of lenses, as geometry.distortion calls them; all series of k and p are one, of which 0 are none.
_LENSES = {
    "OPENCV": "BROWN",
    "PINHOLE": "BROWN",
    "SIMPLE_PINHOLE": "BROWN",
    "PERSPECTIVE": "BROWN",
    "RADIAL": "BROWN",
    "SIMPLE_RADIAL": "BROWN",
    "FULL_OPENCV": "BROWN",
    "OPENCV_FISHEYE": "OPENCV_FISHEYE",
    "FISHEYE": "OPENCV_FISHEYE",
}
# The keys of a focal length; where one axis has none, it is that of the other.
_FOCALS = ("fl_x", "camera_angle_x", "fl_y", "camera_angle_y")
_COEFFICIENTS = {"BROWN": ("k1", "k2", "p1", "p2", "k3", "k4"), "OPENCV_FISHEYE": ("k1", "k2", "k3", "k4")}


def _recognise(content: Content) -> bool:
    return {"frames", "transform_matrix"} <= content.keys or content.keys == {"file_path", "transform"}


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(_as_object(read_json(path), path.name), path.name, needs=("frames",))
    frames, lost = _frames(values, path.name)
    numbered = [(frame, f"{path.name} frame {index}") for index, frame in enumerate(frames)]
    motions = torch.tensor([_motion(frame, where) for frame, where in numbered], dtype=torch.float64)
    world_from_file, world_note = _world_from_file(values, path.name)
    world_from_cam = world_from_file(flip_camera(motions_of(motions)))
    lenses, lens_from, size_warnings = _lenses(values, numbered, assumed)
    read = Frames(
        world_from_cam,
        lenses,
        names=[str(frame.get("file_path", "")) for frame in frames] if "file_path" in frames[0] else (),
        times=_times(numbered),
        fps=number(values["fps"], f"{path.name} fps") if _is_positive(values.get("fps")) else None,
        scaled=True,
    )
    return reading_of(
        read, FORMAT.name, path.name, assumed,
        convention="transform_matrix is camera-to-world (c2w) with OpenGL camera axes; the camera's y and z were "
        "flipped.",
        lens_from=lens_from, notes=(world_note, *lost), warnings=(*size_warnings, *inversion_warning(world_from_cam)),
    )  # fmt: skip


def _as_object(values: Any, file_name: str) -> Any:
    """The list of cameras that `ns-export cameras` writes, as the object that transforms.json is."""
    if not isinstance(values, list):
        return values
    given = [mapping(item, f"{file_name} {index}", needs=("transform",)) for index, item in enumerate(values)]
    return {"frames": [{**item, "transform_matrix": item["transform"]} for item in given]}


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and value > 0.0


def _times(frames: Sequence[tuple[dict[str, Any], str]]) -> Tensor | None:
    """The frames' timestamps; None unless each has one."""
    if not all("timestamp" in frame for frame, _ in frames):
        return None
    return torch.tensor([number(f["timestamp"], f"{where} timestamp") for f, where in frames], dtype=torch.float64)


def _frames(values: dict[str, Any], file_name: str) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The file's frames with a transform_matrix, in its order, and a note on those where it is null."""
    given = sequence(values["frames"], f"{file_name} frames")
    check_frames(len(given), file_name)
    frames = [mapping(frame, f"{file_name} frame {i}", needs=("transform_matrix",)) for i, frame in enumerate(given)]
    frames = [frame for frame in frames if frame["transform_matrix"] is not None]
    check_frames(len(frames), f"{file_name}, frames with a transform_matrix")
    lost = len(given) - len(frames)
    return frames, (f"{lost} of {len(given)} frames have no pose (null).",) if lost else ()


def _motion(frame: dict[str, Any], where: str) -> list[float]:
    """The twelve numbers of a frame's transform_matrix, 4 x 4 or 3 x 4."""
    rows = sequence(frame["transform_matrix"], f"{where} transform_matrix")
    given = matrix(rows, 3 if len(rows) == 3 else 4, 4, f"{where} transform_matrix")
    if given[3:] not in ([], [[0.0, 0.0, 0.0, 1.0]]):
        columns = all(row[3] == 0.0 for row in given[:3])
        doubt = ": it is written by columns" if columns else ""
        raise CameraFormatError(f"{where} transform_matrix: expected the last row 0 0 0 1, found {given[3]}{doubt}")
    return [value for row in given[:3] for value in row]


def _world_from_file(values: dict[str, Any], file_name: str) -> tuple[Any, str]:
    """What takes the file's c2w back before applied_scale and applied_transform, and the note that says so."""
    scale = number(values.get("applied_scale", 1.0), f"{file_name} applied_scale")
    if scale <= 0.0:
        raise CameraFormatError(f"{file_name} applied_scale: expected a number above 0, found {scale:g}")
    if "applied_transform" not in values:
        note = "No applied_transform: the world's axes are as they stand in the file."
        return lambda c2w: _shrunk(c2w, scale), note
    where = f"{file_name} applied_transform"
    rows = sequence(values["applied_transform"], where)
    applied = torch.tensor(matrix(rows, 3 if len(rows) == 3 else 4, 4, where), dtype=torch.float64)[:3]
    rotation = applied[:, :3]
    if float((rotation.T @ rotation - torch.eye(3)).abs().max()) > 1e-3 or torch.linalg.det(rotation) < 0.0:
        raise CameraFormatError(f"{where}: expected a rotation and a translation, its 3 x 3 part is not a rotation")
    note = "applied_transform was undone (inverted): the world is the one before it."
    return lambda c2w: se3.inverse(motions_of(applied)) @ _shrunk(c2w, scale), note


def _shrunk(c2w: Tensor, scale: float) -> Tensor:
    """`c2w` [F, 4, 4] before its positions were multiplied by `scale`."""
    return se3.from_rotation_translation(c2w[:, :3, :3], c2w[:, :3, 3] / scale)


def _lenses(
    values: dict[str, Any], frames: list[tuple[dict[str, Any], str]], assumed: Assumed
) -> tuple[list[Lens], str, tuple[str, ...]]:
    """The frames' lenses, none where the file has no angle of view; where they are from; and warnings."""
    shared = {key: value for key, value in values.items() if key != "frames"}
    merged = [({**shared, **frame}, where) for frame, where in frames]
    unsized = not all({"w", "h"} <= lens.keys() for lens, _ in merged)
    if not any(set(_FOCALS) & lens.keys() for lens, _ in merged):
        return _assumed_lenses(merged, assumed) if not unsized else ([], "", ())
    shown = f"{assumed.hw[1]}x{assumed.hw[0]}"
    warnings = (f"the file has no w and h: its pictures were taken as {shown}",) if unsized else ()
    key = next((key for key in _FOCALS if key in merged[0][0]), _FOCALS[0])
    return [_lens(lens, _hw(lens, where, assumed), where) for lens, where in merged], key, warnings


def _assumed_lenses(
    merged: list[tuple[dict[str, Any], str]], assumed: Assumed
) -> tuple[list[Lens], str, tuple[str, ...]]:
    """Lenses of the assumed angle of view in pictures of the file's sizes."""
    angle = {"camera_angle_x": radians(assumed.fov_degrees)}
    doubt = f"the file has no focal length: {assumed.fov_degrees:g} degrees were taken for its pictures' width"
    return [_lens({**lens, **angle}, _hw(lens, where, assumed), where) for lens, where in merged], "w and h", (doubt,)


def _hw(lens: dict[str, Any], where: str, assumed: Assumed) -> tuple[int, int]:
    sizes = zip("hw", assumed.hw, strict=True)
    height, width = (whole(lens.get(key, size), f"{where} {key}", least=1) for key, size in sizes)
    return height, width


def _lens(lens: dict[str, Any], hw: tuple[int, int], where: str) -> Lens:
    """The lens of one frame, whose own keys win over the file's."""
    model = "OPENCV_FISHEYE" if lens.get("is_fisheye") is True else lens.get("camera_model", "OPENCV")
    if not isinstance(model, str) or model not in _LENSES:
        found = repr(model)[:40]
        raise CameraFormatError(f"{where} camera_model: expected one of {', '.join(_LENSES)}, found {found}")
    given = {axis: _focal(lens, axis, size, where) for axis, size in zip("yx", hw, strict=True)}
    fx, fy = (given[axis] or given[other] for axis, other in ("xy", "yx"))
    if fx is None or fy is None:
        raise CameraFormatError(f"{where}: expected fl_x or camera_angle_x, found neither")
    cx, cy = (number(lens.get(key, 0.5 * size), f"{where} {key}") for key, size in (("cx", hw[1]), ("cy", hw[0])))
    name = _LENSES[model]
    coefficients = [number(lens.get(key, 0.0), f"{where} {key}") for key in _COEFFICIENTS[name]]
    plain = name == "BROWN" and not any(coefficients)
    intrinsics = (fx, fy, cx, cy)
    return lens_of(
        hw, intrinsics, where, model="PINHOLE" if plain else name, coefficients=() if plain else coefficients
    )


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


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    keys = ("fl_x", "fl_y", "cx", "cy")
    rows = without_skew(trajectory, path.name).tolist()
    height, width = trajectory.camera.hw
    motions = to_opengl(trajectory.camera.world_from_cam, up="z").tolist()
    varying = any(row != rows[0] for row in rows)
    frames = [
        {"file_path": f"images/{frame_name(index)}", **(dict(zip(keys, row, strict=True)) if varying else {}),
         "transform_matrix": motion}
        for index, row, motion in zip(trajectory.frame_numbers, rows, motions, strict=True)
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
    leaves_out=("rate", "unit"),
)

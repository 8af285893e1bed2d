"""OpenMVG's sfm_data.json: views, intrinsics and extrinsics, joined by their keys.

`rotation` is world-to-camera, row by row, `center` the camera's place; OpenCV axes. Source:
openMVG/sfm/sfm_data_io_cereal.cpp and openMVG/cameras. Views without a pose are gaps. Not held: times, units.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..geometry import se3
from ..geometry.distortion import Lens
from .clip import Frames, left_without_camera, reading_of
from .content import Content
from .format import CameraFormat
from .parsing import check_frames, mapping, matrix, number, numbers, read_json, sequence, whole
from .pinhole import lens_of
from .reading import Assumed, CameraFormatError, Reading

_NEEDED = ("views", "intrinsics", "extrinsics")
# OpenMVG's name of a lens: its parameters' key, ours, and where each of its parameters stands among ours.
_LENSES = {
    "pinhole": ("", "PINHOLE", 0, ()),
    "pinhole_radial_k1": ("disto_k1", "SIMPLE_RADIAL", 1, (0,)),
    "pinhole_radial_k3": ("disto_k3", "BROWN", 6, (0, 1, 4)),
    "pinhole_brown_t2": ("disto_t2", "BROWN", 6, (0, 1, 4, 2, 3)),
    "fisheye": ("fisheye", "OPENCV_FISHEYE", 4, (0, 1, 2, 3)),
}


def _recognise(content: Content) -> bool:
    return {"sfm_data_version", *_NEEDED} <= content.keys


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(read_json(path), path.name, needs=_NEEDED)
    poses = {key: value for key, value, _ in _entries(values, "extrinsics", path.name)}
    lenses = {
        key: _lens(value, kind, f"{path.name} intrinsics {key}")
        for key, value, kind in _entries(values, "intrinsics", path.name)
    }
    views = [value for _, value, _ in _entries(values, "views", path.name)]
    posed = [view for view in views if _named(view, "id_pose") in poses and _named(view, "id_intrinsic") in lenses]
    check_frames(len(posed), f"{path.name}, views with a pose")
    given = [(poses[view["id_pose"]], f"{path.name} extrinsics {view['id_pose']}") for view in posed]
    rotations = torch.tensor([matrix(p.get("rotation"), 3, 3, f"{w} rotation") for p, w in given], dtype=torch.float64)
    centers = torch.tensor([numbers(p.get("center"), 3, f"{w} center") for p, w in given], dtype=torch.float64)
    frames = Frames(
        se3.from_rotation_translation(rotations.mT, centers),
        [lenses[view["id_intrinsic"]] for view in posed],
        names=[f"{view.get('local_path', '')}/{view.get('filename', '')}" for view in posed],
        cameras=[f"intrinsic {view['id_intrinsic']}" for view in posed],
    )
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention="Rotations are world-to-camera in OpenCV axes and were inverted; centres are places in the world.",
        lens_from="intrinsics", notes=left_without_camera(len(views), len(posed)),
    )  # fmt: skip


def _named(view: dict[str, Any], key: str) -> int | None:
    """The key of another entry that a view names; None where it names none."""
    value = view.get(key)
    return value if type(value) is int else None


def _entries(values: dict[str, Any], name: str, file_name: str) -> list[tuple[int, dict[str, Any], str]]:
    """(key, data, polymorphic name) of each entry of a list; cereal names a type once and then by number."""
    found, kinds = [], dict[int, str]()
    for index, item in enumerate(sequence(values[name], f"{file_name} {name}")):
        where = f"{file_name} {name} {index}"
        entry = mapping(item, where, needs=("key", "value"))
        value = mapping(entry["value"], where)
        kind, number_of_kind = value.get("polymorphic_name"), value.get("polymorphic_id", 0)
        if type(number_of_kind) is int:
            if isinstance(kind, str):
                kinds[number_of_kind & 0x3FFFFFFF] = kind
            kind = kinds.get(number_of_kind & 0x3FFFFFFF, "pinhole")
        wrapped = mapping(value.get("ptr_wrapper", {"data": value}), where, needs=("data",))
        found.append((whole(entry["key"], f"{where} key", most=2**32), mapping(wrapped["data"], where), str(kind)))
    return found


def _lens(value: dict[str, Any], kind: str, where: str) -> Lens:
    if kind not in _LENSES:
        raise CameraFormatError(f"{where}: expected one of the lenses {', '.join(_LENSES)}, found {kind[:40]!r}")
    key, model, count, places = _LENSES[kind]
    base = mapping(value.get("value0", value), where, needs=("width", "height", "focal_length", "principal_point"))
    height, width = (whole(base[side], f"{where} {side}", least=1) for side in ("height", "width"))
    focal = number(base["focal_length"], f"{where} focal_length")
    given = numbers(value.get(key), len(places), f"{where} {key}") if key else []
    coefficients = [0.0] * count
    for place, coefficient in zip(places, given, strict=True):
        coefficients[place] = coefficient
    middle = numbers(base["principal_point"], 2, f"{where} principal_point")
    return lens_of((height, width), (focal, focal, *middle), where, model=model, coefficients=coefficients)


FORMAT = CameraFormat(
    name="openmvg", title="OpenMVG sfm_data.json", suffix=".json", patterns=(), recognise=_recognise, read=_read
)

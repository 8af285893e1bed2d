"""Meshroom's (AliceVision's) cameras.sfm or sfm.json: views, poses and intrinsics, numbers as text.

`rotation` holds the nine numbers of world-to-camera column by column, which read row by row is camera-to-world;
`center` is the camera's place; OpenCV axes. Focal lengths are in pixels (`pxFocalLength`: one, or since version 1.2.0
a pair) or, since 1.2.2, in mm of a `sensorWidth`, with a `pixelRatio` that divides fx before 1.2.5 and multiplies it
since, to give fy; the principal point is in pixels from the corner, since 1.2.1 from the middle. Newer files call all
lenses pinhole and have a `distortionType`; their empty lists are "". A view of a rig, unless its pose is independent,
stands in its rig's pose as the `subPoses` of the rig say. Source: aliceVision/sfmDataIO/jsonIO.cpp. Views without a
pose are gaps. Not held: times, units.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.distortion import Lens
from .clip import Frames, left_without_camera, reading_of
from .content import Content
from .format import CameraFormat
from .parsing import check_frames, mapping, number, parse_number, read_json, sequence, whole
from .pinhole import lens_of
from .reading import Assumed, CameraFormatError, Reading

_NEEDED = ("views", "intrinsics", "poses")
_IDS = ("viewId", "intrinsicId", "poseId")
# The versions from which the principal point counts from the middle, and from which pixelRatio is that of the pixel.
_CENTRED, _PIXEL_RATIO = (1, 2, 1), (1, 2, 5)
# AliceVision's name of a lens: ours, how many coefficients ours has, and where each of its own stands among them.
_LENSES: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "pinhole": ("PINHOLE", 0, ()),
    "none": ("PINHOLE", 0, ()),
    "radial1": ("SIMPLE_RADIAL", 1, (0,)),
    "radialk1": ("SIMPLE_RADIAL", 1, (0,)),
    "radial3": ("BROWN", 6, (0, 1, 4)),
    "radialk3": ("BROWN", 6, (0, 1, 4)),
    "brown": ("BROWN", 6, (0, 1, 4, 2, 3)),
    "fisheye4": ("OPENCV_FISHEYE", 4, (0, 1, 2, 3)),
    "fisheye": ("OPENCV_FISHEYE", 4, (0, 1, 2, 3)),
    "equidistant": ("FISHEYE", 0, ()),
}


def _recognise(content: Content) -> bool:
    return {*_NEEDED, "poseId", "intrinsicId"} <= content.keys


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(read_json(path), path.name, needs=_NEEDED)
    views, intrinsics, poses = (
        _by(values, name, key, path.name)
        for name, key in zip(_NEEDED, ("viewId", "intrinsicId", "poseId"), strict=True)
    )
    posed = [view for view in views.values() if view["poseId"] in poses and view["intrinsicId"] in intrinsics]
    check_frames(len(posed), f"{path.name}, views with a pose")
    given = [_transform(poses[view["poseId"]], f"{path.name} pose {view['poseId']!s:.20}") for view in posed]
    motions = _motions(given)
    in_rig = {index: sub for index, view in enumerate(posed) if (sub := _sub_pose(values, view, path.name)) is not None}
    if in_rig:
        motions[list(in_rig)] = motions[list(in_rig)] @ _motions(list(in_rig.values()))
    version = _version(values, path.name)
    lenses = {key: _lens(value, version, f"{path.name} intrinsic {key!s:.20}") for key, value in intrinsics.items()}
    frames = Frames(
        motions,
        [lenses[view["intrinsicId"]] for view in posed],
        names=[str(view.get("path", "")) for view in posed],
        cameras=[f"intrinsic {view['intrinsicId']}" for view in posed],
    )
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention="Rotations are stored transposed, which is camera-to-world (c2w) in OpenCV axes.",
        lens_from="intrinsics", notes=left_without_camera(len(views), len(posed)),
    )  # fmt: skip


def _by(values: dict[str, Any], name: str, key: str, file_name: str) -> dict[str, dict[str, Any]]:
    """The entries of the list `name` by the text under `key`."""
    items = sequence(values[name], f"{file_name} {name}")
    entries = [mapping(item, f"{file_name} {name} {index}", needs=(key,)) for index, item in enumerate(items)]
    named = [{**entry, **{other: str(entry.get(other, ""))[:60] for other in _IDS}} for entry in entries]
    return {entry[key]: entry for entry in named}


def _motions(rows: list[list[float]]) -> Tensor:
    """Camera-to-world [F, 4, 4] of rows of 12 numbers, a rotation and a centre."""
    values = torch.tensor(rows, dtype=torch.float64)
    return se3.from_rotation_translation(values[:, :9].unflatten(-1, (3, 3)), values[:, 9:])


def _sub_pose(values: dict[str, Any], view: dict[str, Any], file_name: str) -> list[float] | None:
    """Where a view's camera stands in its rig: 12 numbers; None where it is none of a rig, or has a pose of its own."""
    if "rigId" not in view or str(view.get("isPoseIndependant", "true")) not in ("false", "0", "False"):
        return None
    where = f"{file_name} rig {view['rigId']!s:.20}"
    rigs = (mapping(rig, where) for rig in _list(values, "rigs", file_name))
    rig = next((rig for rig in rigs if str(rig.get("rigId")) == str(view["rigId"])), {})
    sub_poses, number_of = _list(rig, "subPoses", where), str(view.get("subPoseId", ""))
    if not number_of.isdecimal() or len(number_of) > 6 or int(number_of) >= len(sub_poses):
        raise CameraFormatError(f"{where}: expected a sub-pose of it, found number {number_of[:20]!r}")
    entry = mapping(sub_poses[int(number_of)], where)
    return _rotation_and_center(entry.get("pose"), f"{where} sub-pose {number_of}")


def _transform(entry: dict[str, Any], where: str) -> list[float]:
    """Nine numbers of the rotation and three of the centre."""
    return _rotation_and_center(mapping(entry.get("pose"), where).get("transform"), where)


def _rotation_and_center(given: Any, where: str) -> list[float]:
    """The nine numbers of a rotation and the three of a centre."""
    inner = mapping(given, where, needs=("rotation", "center"))
    rotation, center = sequence(inner["rotation"], f"{where} rotation"), sequence(inner["center"], f"{where} center")
    if (len(rotation), len(center)) != (9, 3):
        raise CameraFormatError(f"{where}: expected 9 and 3 numbers, found {len(rotation)} and {len(center)}")
    return [_number(value, where) for value in (*rotation, *center)]


def _version(values: dict[str, Any], file_name: str) -> tuple[float, ...]:
    """The file's version, () where it has none."""
    return tuple(_number(item, f"{file_name} version") for item in _list(values, "version", file_name))


def _lens(value: dict[str, Any], version: tuple[float, ...], where: str) -> Lens:
    kind = _kind(value)
    if kind not in _LENSES:
        raise CameraFormatError(f"{where}: expected one of the lenses {', '.join(_LENSES)}, found {kind[:40]!r}")
    height, width = (whole(_number(value.get(side), f"{where} {side}"), where, least=1) for side in ("height", "width"))
    fx, fy = _focal(value, width, version, where)
    middle = [_number(item, f"{where} principalPoint") for item in _list(value, "principalPoint", where)] or [0.0, 0.0]
    if len(middle) != 2:
        raise CameraFormatError(f"{where} principalPoint: expected 2 numbers, found {len(middle)}")
    centred = version >= _CENTRED if version else "pxFocalLength" not in value
    if centred or not value.get("principalPoint"):
        middle = [middle[0] + 0.5 * width, middle[1] + 0.5 * height]
    model, count, places = _LENSES[kind]
    given = [_number(item, f"{where} distortionParams") for item in _list(value, "distortionParams", where)]
    coefficients = [0.0] * count
    for place, coefficient in zip(places, given, strict=False):
        coefficients[place] = coefficient
    return lens_of((height, width), (fx, fy, *middle), where, model=model, coefficients=coefficients)


def _kind(value: dict[str, Any]) -> str:
    """AliceVision's name of a lens: of its distortion where that is named apart, joined to any but a pinhole's."""
    kind, distortion = str(value.get("type", "pinhole")), str(value.get("distortionType", "none"))
    if distortion == "none":
        return kind
    return distortion if kind == "pinhole" else f"{kind} {distortion}"


def _focal(value: dict[str, Any], width: int, version: tuple[float, ...], where: str) -> tuple[float, float]:
    """The focal lengths (fx, fy) in pixels."""
    if "pxFocalLength" in value:
        given = value["pxFocalLength"]
        pair = [_number(item, f"{where} pxFocalLength") for item in (given if isinstance(given, list) else [given])]
        if len(pair) not in (1, 2):
            raise CameraFormatError(f"{where} pxFocalLength: expected 1 or 2 numbers, found {len(pair)}")
        return pair[0], pair[-1]
    sensor = _number(value.get("sensorWidth", 36.0), f"{where} sensorWidth")
    if sensor <= 0.0:
        raise CameraFormatError(f"{where} sensorWidth: expected a width above 0 mm, found {sensor:g}")
    fx = _number(value.get("focalLength"), f"{where} focalLength") / sensor * width
    ratio = _number(value.get("pixelRatio", 1.0), f"{where} pixelRatio") or 1.0
    return fx, fx * ratio if version >= _PIXEL_RATIO else fx / ratio


def _list(value: dict[str, Any], key: str, where: str) -> list[Any]:
    """The list under `key`; none where it is missing or "", which is how an empty one is written."""
    return sequence(value.get(key) or [], f"{where} {key}")


def _number(value: Any, where: str) -> float:
    """A number, which the file may hold as text."""
    return parse_number(value.strip(), where) if isinstance(value, str) else number(value, where)


FORMAT = CameraFormat(
    name="meshroom",
    title="Meshroom (AliceVision) cameras.sfm",
    suffix=".sfm",
    patterns=(),
    recognise=_recognise,
    read=_read,
)

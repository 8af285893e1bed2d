"""Meshroom's (AliceVision's) cameras.sfm or sfm.json: views, poses and intrinsics, numbers as text.

`rotation` holds the nine numbers of world-to-camera column by column, which read row by row is camera-to-world;
`center` is the camera's place; OpenCV axes. Focal lengths are in pixels (`pxFocalLength`) or, in newer files, in mm of
a `sensorWidth`; the principal point is in pixels from the corner, from the middle in newer files. Source:
aliceVision/sfmDataIO/jsonIO.cpp. Views without a pose are gaps. Not held: times, units.
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
from .parsing import check_frames, mapping, number, parse_number, read_json, sequence, whole
from .pinhole import lens_of
from .reading import Assumed, CameraFormatError, Reading

_NEEDED = ("views", "intrinsics", "poses")
_IDS = ("viewId", "intrinsicId", "poseId")
# AliceVision's name of a lens: ours, how many coefficients ours has, and where each of its own stands among them.
_LENSES: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "pinhole": ("PINHOLE", 0, ()),
    "radial1": ("SIMPLE_RADIAL", 1, (0,)),
    "radialk1": ("SIMPLE_RADIAL", 1, (0,)),
    "radial3": ("BROWN", 6, (0, 1, 4)),
    "radialk3": ("BROWN", 6, (0, 1, 4)),
    "brown": ("BROWN", 6, (0, 1, 4, 2, 3)),
    "fisheye4": ("OPENCV_FISHEYE", 4, (0, 1, 2, 3)),
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
    rows = torch.tensor(given, dtype=torch.float64)
    lenses = {key: _lens(value, f"{path.name} intrinsic {key!s:.20}") for key, value in intrinsics.items()}
    frames = Frames(
        se3.from_rotation_translation(rows[:, :9].unflatten(-1, (3, 3)), rows[:, 9:]),
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


def _transform(entry: dict[str, Any], where: str) -> list[float]:
    """Nine numbers of the rotation and three of the centre."""
    inner = mapping(mapping(entry.get("pose"), where).get("transform"), where, needs=("rotation", "center"))
    rotation, center = sequence(inner["rotation"], f"{where} rotation"), sequence(inner["center"], f"{where} center")
    if (len(rotation), len(center)) != (9, 3):
        raise CameraFormatError(f"{where}: expected 9 and 3 numbers, found {len(rotation)} and {len(center)}")
    return [_number(value, where) for value in (*rotation, *center)]


def _lens(value: dict[str, Any], where: str) -> Lens:
    kind = str(value.get("type", "pinhole"))
    if kind not in _LENSES:
        raise CameraFormatError(f"{where}: expected one of the lenses {', '.join(_LENSES)}, found {kind[:40]!r}")
    height, width = (whole(_number(value.get(side), f"{where} {side}"), where, least=1) for side in ("height", "width"))
    focal, in_mm = _focal(value, width, where)
    ratio = _number(value.get("pixelRatio", 1.0), f"{where} pixelRatio")
    middle = [
        _number(item, f"{where} principalPoint") for item in sequence(value.get("principalPoint", [0.0, 0.0]), where)
    ]
    if len(middle) != 2:
        raise CameraFormatError(f"{where} principalPoint: expected 2 numbers, found {len(middle)}")
    if in_mm or "principalPoint" not in value:
        middle = [middle[0] + 0.5 * width, middle[1] + 0.5 * height]
    model, count, places = _LENSES[kind]
    given = [_number(item, f"{where} distortionParams") for item in sequence(value.get("distortionParams", []), where)]
    coefficients = [0.0] * count
    for place, coefficient in zip(places, given, strict=False):
        coefficients[place] = coefficient
    return lens_of(
        (height, width), (focal, focal / (ratio or 1.0), *middle), where, model=model, coefficients=coefficients
    )


def _focal(value: dict[str, Any], width: int, where: str) -> tuple[float, bool]:
    """The focal length in pixels, and whether the file has it in mm."""
    if "pxFocalLength" in value:
        given = value["pxFocalLength"]
        return _number(given[0] if isinstance(given, list) and given else given, f"{where} pxFocalLength"), False
    sensor = _number(value.get("sensorWidth", 36.0), f"{where} sensorWidth")
    if sensor <= 0.0:
        raise CameraFormatError(f"{where} sensorWidth: expected a width above 0 mm, found {sensor:g}")
    return _number(value.get("focalLength"), f"{where} focalLength") / sensor * width, True


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

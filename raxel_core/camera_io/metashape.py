"""Agisoft Metashape's cameras.xml: camera-to-chunk in OpenCV axes, sensors with Metashape's lens.

`transform` is 4 x 4 row by row; the transform (rotation, translation, scale) of the camera's component, in older files
that of the chunk, leads to the world in metres.
`f` is in pixels, cx and cy count from the picture's middle, b1 and b2 are affinity and skew; p1 and p2 are swapped
against OpenCV's. Of a sensor's calibrations the adjusted one is the solved one. Each chunk and each component has a
world of its own. Cameras without a transform are gaps.
Source: Agisoft Metashape Professional manual, appendix D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.distortion import Lens
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat
from .matrix_rows import full_motions
from .parsing import MOST_JSON_BYTES, check_frames, parse_number, read_text
from .pinhole import lens_of
from .reading import Assumed, CameraFormatError, Reading
from .tracks import chosen_track

_COEFFICIENTS = ("k1", "k2", "p2", "p1", "k3", "k4")
_FISHEYE = ("k1", "k2", "k3", "k4")
# The share of the picture's height by which a skew may move its upper and lower border before it is no pinhole.
_MOST_SKEW = 0.01


def _recognise(content: Content) -> bool:
    return "<chunk" in content.text and "<sensors" in content.text


def _read(path: Path, assumed: Assumed) -> Reading:
    text = read_text(path, most=MOST_JSON_BYTES)
    # Entities that a file defines itself can grow without bound, and no Metashape file has any.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise CameraFormatError(f"{path.name}: expected XML without a document type of its own")
    try:
        chunks = ElementTree.fromstring(text.encode()).findall("chunk")
    except (ElementTree.ParseError, ValueError) as error:
        raise CameraFormatError(f"{path.name}: expected XML, {str(error)[:80]}") from error
    if not chunks:
        raise CameraFormatError(f"{path.name}: expected a chunk of cameras, found none")
    chunk, assumed, chunk_warnings = _chunk(chunks, assumed, path.name)
    sensors = {
        item.get("id", ""): _lens(item, f"{path.name} sensor {item.get('id', '')[:20]!r}")
        for item in chunk.iterfind("sensors/sensor")
    }
    cameras = list(chunk.iterfind("cameras//camera"))
    posed = [
        item
        for item in cameras
        if item.find("transform") is not None and sensors.get(item.get("sensor_id", "")) is not None
    ]
    check_frames(len(posed), f"{path.name}, cameras with a transform")
    posed, assumed, component_warnings = _component(posed, assumed, path.name)
    rows = [
        _numbers(item.findtext("transform"), 16, f"{path.name} camera {item.get('label', '')[:40]!r}") for item in posed
    ]
    motions = full_motions(torch.tensor(rows, dtype=torch.float64), path.name)
    placed, unit, note = _in_world(motions, *_transform(chunk, posed[0]), path.name)
    lenses = [lens for item in posed if (lens := sensors[item.get("sensor_id", "")]) is not None]
    frames = Frames(
        placed, lenses, names=[item.get("label", "") for item in posed], unit=unit,
        cameras=[f"sensor {item.get('sensor_id', '')}" for item in posed],
    )  # fmt: skip
    without = f"{len(cameras) - len(posed)} of {len(cameras)} cameras have no transform."
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention="Transforms are camera-to-chunk in OpenCV axes; nothing was inverted.",
        lens_from="the sensors", notes=(note, without),
        warnings=(*chunk_warnings, *component_warnings, *_skew_warnings(chunk, posed)),
    )  # fmt: skip


def _chunk(
    chunks: Sequence[ElementTree.Element], assumed: Assumed, file_name: str
) -> tuple[ElementTree.Element, Assumed, tuple[str, ...]]:
    """The chunk to read: the one that the track names, or that of most cameras with a transform; what is left of the
    track; and a warning that names the others."""
    names = [f"chunk {item.get('label') or index}"[:60] for index, item in enumerate(chunks)]
    sizes = [len(item.findall("cameras//camera/transform")) for item in chunks]
    return _track_of(list(chunks), names, sizes, assumed, file_name)


def _component(
    cameras: list[ElementTree.Element], assumed: Assumed, file_name: str
) -> tuple[list[ElementTree.Element], Assumed, tuple[str, ...]]:
    """The cameras of one component, which alone stand in one world; else as `_chunk`."""
    groups: dict[str, list[ElementTree.Element]] = {}
    for item in cameras:
        groups.setdefault(f"component {item.get('component_id', '')[:20]}".strip(), []).append(item)
    return _track_of(list(groups.values()), list(groups), [len(group) for group in groups.values()], assumed, file_name)


_Part = TypeVar("_Part")


def _track_of(
    parts: list[_Part], names: list[str], sizes: list[int], assumed: Assumed, file_name: str
) -> tuple[_Part, Assumed, tuple[str, ...]]:
    known = assumed.track in names
    index, warnings = chosen_track(names, assumed.track if known else "", file_name, sizes=sizes)
    return parts[index], replace(assumed, track="") if known else assumed, warnings


def _lens(sensor: ElementTree.Element, where: str) -> Lens | None:
    """The lens of a sensor; None where it has not been calibrated."""
    resolution, calibration = sensor.find("resolution"), _calibration(sensor)
    if resolution is None or calibration is None:
        return None
    width, height = (int(parse_number(resolution.get(side, ""), f"{where} {side}")) for side in ("width", "height"))
    if min(width, height) < 1:
        raise CameraFormatError(f"{where}: expected a resolution in pixels, found {width}x{height}")
    f, cx, cy, b1, b2 = (_of(calibration, key, where) for key in ("f", "cx", "cy", "b1", "b2"))
    if 0.5 * abs(b2) > _MOST_SKEW * abs(f):
        raise CameraFormatError(f"{where}: its pixels are skewed (b2 = {b2:g}), which is not read")
    fisheye = sensor.get("type", "frame") in ("fisheye", "equidistant_fisheye")
    if sensor.get("type", "frame") not in ("frame", "fisheye", "equidistant_fisheye"):
        raise CameraFormatError(
            f"{where}: expected a sensor of type frame or fisheye, found {sensor.get('type', '')[:40]!r}"
        )
    coefficients = [_of(calibration, key, where) for key in (_FISHEYE if fisheye else _COEFFICIENTS)]
    intrinsics = (f + b1, f, 0.5 * width + cx, 0.5 * height + cy)
    model = "OPENCV_FISHEYE" if fisheye else "BROWN"
    return lens_of((height, width), intrinsics, where, model=model, coefficients=coefficients)


def _calibration(sensor: ElementTree.Element) -> ElementTree.Element | None:
    """The calibration that was solved, where another that it began with stands beside it; None without any."""
    found = sensor.findall("calibration")
    return next((item for item in found if item.get("class") == "adjusted"), found[0] if found else None)


def _skew_warnings(chunk: ElementTree.Element, cameras: Sequence[ElementTree.Element]) -> tuple[str, ...]:
    """How far the skew (b2) of the sensors of `cameras`, which no pinhole here has, moves their pictures' border."""
    used = {item.get("sensor_id", "") for item in cameras}
    warnings = []
    for sensor in chunk.iterfind("sensors/sensor"):
        name, calibration, resolution = sensor.get("id", ""), _calibration(sensor), sensor.find("resolution")
        if name not in used or calibration is None or resolution is None:
            continue
        f, b2, height = _of(calibration, "f", name), _of(calibration, "b2", name), float(resolution.get("height", ""))
        moved = 0.5 * height * abs(b2) / f
        told = f"the skew (b2) of sensor {name[:20]!r} was left out, which moves the border by {moved:.2g} pixels"
        warnings += [told] if moved >= 0.005 else []
    return tuple(warnings)


def _of(calibration: ElementTree.Element, key: str, where: str) -> float:
    return parse_number((calibration.findtext(key) or "0").strip(), f"{where} {key}")


def _transform(chunk: ElementTree.Element, camera: ElementTree.Element) -> tuple[ElementTree.Element | None, str]:
    """The transform that leads from what `camera` is placed in to the world, None where none does, and whose it is."""
    number = camera.get("component_id", "")
    components = (item for item in chunk.iterfind("components/component") if item.get("id") == number)
    own = next((found for item in components if (found := item.find("transform")) is not None), None)
    return (chunk.find("transform"), "chunk") if own is None else (own, "component")


def _in_world(
    motions: Tensor, transform: ElementTree.Element | None, owner: str, file_name: str
) -> tuple[Tensor, str | None, str]:
    """The cameras [F, 4, 4] in the world of the `owner` of the transform, the unit there, and a note."""
    if transform is None or transform.find("scale") is None:
        return motions, None, f"The {owner} has no transform: lengths are the {owner}'s own."
    where = f"{file_name} {owner} transform"
    scale = _numbers(transform.findtext("scale"), 1, where)[0]
    rotation = _numbers(transform.findtext("rotation") or "1 0 0 0 1 0 0 0 1", 9, where)
    move = _numbers(transform.findtext("translation") or "0 0 0", 3, where)
    if scale <= 0.0:
        raise CameraFormatError(f"{where}: expected a scale above 0, found {scale:g}")
    turn = torch.tensor(rotation, dtype=torch.float64).unflatten(0, (3, 3))
    centers = scale * (motions[:, :3, 3] @ turn.mT) + torch.tensor(move, dtype=torch.float64)
    world = se3.from_rotation_translation(turn @ motions[:, :3, :3], centers)
    return world, "metre", f"The {owner}'s transform (scale {scale:.4g}) leads to its world, in metres."


def _numbers(text: str | None, count: int, where: str) -> Sequence[float]:
    tokens = (text or "").split()
    if len(tokens) != count:
        raise CameraFormatError(f"{where}: expected {count} numbers, found {len(tokens)}")
    return [parse_number(token, where) for token in tokens]


FORMAT = CameraFormat(
    name="metashape",
    title="Agisoft Metashape cameras.xml",
    suffix=".xml",
    patterns=(),
    recognise=_recognise,
    read=_read,
)

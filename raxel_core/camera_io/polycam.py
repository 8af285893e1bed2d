"""Polycam's raw data: keyframes/corrected_cameras (or cameras), a JSON a frame.

t_00 to t_23 are the upper 3 x 4 of camera-to-world in ARKit's axes (y up, looking along -z), fx fy cx cy in pixels of
width x height; the file's name is a time in microseconds or a number; lengths are metres.
Source: nerfstudio/process_data/polycam_utils.py; github.com/PolyCam/polyform.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch

from .axes import from_opengl
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat, motions_of
from .frame_names import in_order
from .parsing import MOST_FRAMES, check_frames, mapping, number, read_json, whole
from .pinhole import lens_of
from .reading import Assumed, CameraFormatError, Reading

_PLACES = ("keyframes/corrected_cameras", "corrected_cameras", "keyframes/cameras", "cameras", "")
_MATRIX = tuple(f"t_{row}{column}" for row in range(3) for column in range(4))
_LENS = ("fx", "fy", "cx", "cy", "width", "height")


def _recognise(content: Content) -> bool:
    return content.is_folder and _folder(content.path) is not None


def _folder(path: Path) -> Path | None:
    """The folder of JSON files that look like Polycam's."""
    for place in _PLACES:
        inner = Content(path / place)
        first = next((name for name in inner.files if name.lower().endswith(".json")), None)
        if first is not None and {"t_00", "t_23", "fx"} <= Content(inner.path / first).keys:
            return inner.path
    return None


def _read(path: Path, assumed: Assumed) -> Reading:
    folder = _folder(path)
    if folder is None:
        raise CameraFormatError(f"{path.name}: expected Polycam's keyframes/corrected_cameras, found none")
    names = [entry.name for entry in islice(folder.iterdir(), MOST_FRAMES + 1) if entry.suffix.lower() == ".json"]
    check_frames(len(names), path.name)
    names = [names[index] for index in in_order(names)[0]]
    given = [mapping(read_json(folder / name), name, needs=(*_MATRIX, *_LENS)) for name in names]
    rows = [
        [number(values[key], f"{name} {key}") for key in _MATRIX] for values, name in zip(given, names, strict=True)
    ]
    motions = from_opengl(motions_of(torch.tensor(rows, dtype=torch.float64)), up="y")
    lenses = []
    for values, name in zip(given, names, strict=True):
        height, width = (whole(values[key], f"{name} {key}", least=1) for key in ("height", "width"))
        intrinsics = [number(values[key], f"{name} {key}") for key in _LENS[:4]]
        lenses.append(lens_of((height, width), intrinsics, name))
    stamps = [Path(name).stem for name in names]
    times = (
        torch.tensor([float(stamp) for stamp in stamps], dtype=torch.float64)
        if all(s.isdigit() for s in stamps)
        else None
    )
    return reading_of(
        Frames(motions, lenses, names=names, times=times, time_unit="microseconds", unit="metre"),
        FORMAT.name, path.name, assumed,
        convention="t_00 to t_23 are camera-to-world (c2w), y up, looking along -z; turned to OpenCV axes.",
        lens_from="fx, fy, cx and cy", notes=(f"The cameras are those of {folder.name}.",),
    )  # fmt: skip


FORMAT = CameraFormat(
    name="polycam", title="Polycam raw data, a folder", suffix="", patterns=(), recognise=_recognise, read=_read
)

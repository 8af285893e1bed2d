"""Bundler's bundle.out, which VisualSFM, Photosynth and others write too: world-to-camera, y up, looking along -z.

For each camera `f k1 k2`, three rows of R and one of t; f = 0 stands for a picture without a camera. The principal
point is the picture's middle; names are in list.txt beside, sizes nowhere. Source: the Bundler manual, section 4.2.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ..geometry import se3
from .axes import flip_camera
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat
from .frame_names import numbers_in
from .parsing import check_frames, columns_of, parse_number, read_text
from .pinhole import lens_of
from .reading import Assumed, CameraFormatError, Reading

_HEADER = "# Bundle file"
_NUMBERS = 15


def _recognise(content: Content) -> bool:
    return content.beginning.startswith(_HEADER)


def _read(path: Path, assumed: Assumed) -> Reading:
    rows = _rows(path)
    posed = [index for index, row in enumerate(rows) if row[0] != 0.0]
    check_frames(len(posed), f"{path.name}, cameras with a focal length")
    values = torch.tensor([rows[index] for index in posed], dtype=torch.float64)
    w2c = se3.from_rotation_translation(values[:, 3:12].unflatten(-1, (3, 3)), values[:, 12:])
    motions = flip_camera(se3.inverse(w2c))
    height, width = assumed.hw
    lenses = [
        lens_of(
            assumed.hw, (f, f, 0.5 * width, 0.5 * height), f"{path.name} camera {index}",
            model="RADIAL", coefficients=(k1, k2),
        )
        for index, (f, k1, k2) in zip(posed, values[:, :3].tolist(), strict=True)
    ]  # fmt: skip
    names = _names(path, posed, len(rows))
    numbers = () if names and numbers_in(names)[0] else posed
    size = f"the file has no size of the pictures: the focal length was taken in pixels of {width}x{height}"
    return reading_of(
        Frames(motions, lenses, names=names, numbers=numbers), FORMAT.name, path.name, assumed,
        convention="Poses are world-to-camera, y up, looking along -z; inverted and turned to OpenCV's camera axes.",
        lens_from="f, k1 and k2", warnings=(size,),
    )  # fmt: skip


def _rows(path: Path) -> list[list[float]]:
    """15 numbers a camera; the points after them are not looked at."""
    lines = read_text(path).split("\n")
    count = (
        int(parse_number(columns_of(lines[1])[0], f"{path.name} line 2"))
        if len(lines) > 1 and columns_of(lines[1])
        else 0
    )
    check_frames(count, path.name)
    cameras = lines[2 : 2 + 5 * count]
    tokens = [(token, line) for line, text in enumerate(cameras, start=3) for token in columns_of(text)]
    if len(tokens) != _NUMBERS * count:
        raise CameraFormatError(
            f"{path.name}: expected {count} cameras of {_NUMBERS} numbers in 5 lines each, found {len(tokens)} numbers"
        )
    numbers = [parse_number(token, f"{path.name} line {line}") for token, line in tokens]
    return [numbers[start : start + _NUMBERS] for start in range(0, len(numbers), _NUMBERS)]


def _names(path: Path, posed: list[int], count: int) -> list[str]:
    """The pictures' names in list.txt beside, of those with a camera; none where it does not fit."""
    listed = path.with_name("list.txt")
    lines = [line.split()[0] for line in read_text(listed).splitlines() if line.split()] if listed.is_file() else []
    return [lines[index] for index in posed] if len(lines) == count else []


FORMAT = CameraFormat(
    name="bundler", title="Bundler bundle.out", suffix=".out", patterns=(), recognise=_recognise, read=_read
)

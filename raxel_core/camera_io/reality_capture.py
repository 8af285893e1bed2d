"""RealityCapture's (RealityScan's) "Internal/External camera parameters" .csv: a picture a line.

`#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2`: the place in a world with z up, angles in degrees, R =
Rz(-heading) Rx(pitch) Ry(roll) of a camera that looks along -z, f and the offset of the principal point in mm of a
picture 36 mm long. Columns are parted by commas, or by semicolons or tabs where a spreadsheet saved them, and numbers
may then have decimal commas. Source: nerfstudio/process_data/realitycapture_utils.py. Not held: the picture's size,
times.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ..geometry import se3
from ..geometry.distortion import Lens
from .axes import from_opengl
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat
from .parsing import MOST_LINE, check_frames, parse_number, read_text
from .pinhole import lens_of
from .reading import Assumed, CameraFormatError, Reading

_NEEDED = ("x", "y", "alt", "heading", "pitch", "roll", "f")
_SENSOR = 36.0
_COEFFICIENTS = ("k1", "k2", "t1", "t2", "k3", "k4")


def _recognise(content: Content) -> bool:
    return {"heading", "pitch", "roll", "alt"} <= set(_columns(content.beginning.partition("\n")[0])[0])


def _read(path: Path, assumed: Assumed) -> Reading:
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    columns, mark = _columns(lines[0] if lines else "")
    missing = [name for name in ("name", *_NEEDED) if name not in columns]
    if missing:
        raise CameraFormatError(
            f"{path.name} line 1: expected the columns name, {', '.join(_NEEDED)}, missing {missing[0]}"
        )
    check_frames(len(lines) - 1, path.name)
    rows = [_row(line, columns, mark, f"{path.name} line {number}") for number, line in enumerate(lines[1:], start=2)]
    values = torch.tensor([[row[name] for name in _NEEDED] for _, row in rows], dtype=torch.float64)
    heading, pitch, roll = torch.deg2rad(values[:, 3:6]).unbind(-1)
    rotation = se3.rotation_z(-heading) @ se3.rotation_x(pitch) @ se3.rotation_y(roll)
    motions = from_opengl(se3.from_rotation_translation(rotation, values[:, :3]), up="z")
    height, width = assumed.hw
    lenses = [_lens(row, assumed.hw, f"{path.name} {name[:40]!r}") for name, row in rows]
    size = f"the file has no size of the pictures: lenses were taken for {width}x{height}"
    return reading_of(
        Frames(motions, lenses, names=[name for name, _ in rows]), FORMAT.name, path.name, assumed,
        convention="Places and angles are camera-to-world (c2w) with z up, looking along -z; turned to OpenCV axes.",
        lens_from="f, in mm of a picture 36 mm long", warnings=(size,),
    )  # fmt: skip


def _lens(row: dict[str, float], hw: tuple[int, int], where: str) -> Lens:
    to_pixels = max(hw) / _SENSOR
    middle = [0.5 * size + row.get(key, 0.0) * to_pixels for size, key in ((hw[1], "px"), (hw[0], "py"))]
    coefficients = [row.get(key, 0.0) for key in _COEFFICIENTS]
    focal = row["f"] * to_pixels
    return lens_of(hw, (focal, focal, *middle), where, model="BROWN", coefficients=coefficients)


def _columns(heading: str) -> tuple[list[str], str]:
    """The names of the columns, in small letters, and the mark that parts them."""
    mark = next((mark for mark in ";\t" if mark in heading), ",")
    return [name.strip().lower().lstrip("#") for name in heading[:MOST_LINE].split(mark)], mark


def _row(line: str, columns: list[str], mark: str, where: str) -> tuple[str, dict[str, float]]:
    """The picture's name and the numbers of its line by column."""
    cells = line[: MOST_LINE + 1].split(mark)
    if len(cells) != len(columns) or len(line) > MOST_LINE:
        raise CameraFormatError(f"{where}: expected {len(columns)} columns, found {len(cells)}")
    row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    name = row.pop("name")
    empty = next((key for key in _NEEDED if not row[key]), None)
    if empty is not None:
        raise CameraFormatError(f"{where}: expected a number in the column {empty}, found none")
    return name, {key: parse_number(cell.replace(",", "."), f"{where} {key[:20]}") for key, cell in row.items() if cell}


FORMAT = CameraFormat(
    name="reality_capture",
    title="RealityCapture camera parameters .csv",
    suffix=".csv",
    patterns=(),
    recognise=_recognise,
    read=_read,
)

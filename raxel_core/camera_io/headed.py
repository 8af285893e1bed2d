"""Tables of poses whose heading names the columns: in whatever order, beside whatever else, with times on a clock.

Loggers and converters write them, each in an order of its own: `timestamp,qw,qx,qy,qz,tx,ty,tz`, Stray Scanner's
`timestamp, frame, x, y, z, qx, qy, qz, qw`, rostopic's `field.pose.position.x`. A column is told by its name's end.
Columns fx, fy, cx and cy (Stray Scanner's, EasySynth's) are each frame's lens, in pixels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from io import StringIO
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from ..geometry.camera import K_from_focal
from ..geometry.distortion import Lens
from .beside import lenses_beside
from .clip import Frames, picked, posed, reading_of
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat
from .parsing import MOST_LINE, check_frames, columns_of, is_value, listed, parse_value_or_nan, read_text
from .pinhole import lenses_of, size_of
from .quaternions import motions_of_quaternions
from .reading import Assumed, CameraFormatError, Reading

_PLACE = r"(?:.*_)?(?:[tp]|pos|position|trans|translation|loc|location)?_?"
_TURN = r"(?:.*_)?(?:q|quat|quaternion|orientation|rot|rotation|q_rs)_?"
_OTHER = re.compile(
    r"(?:.*_)?(?:vel|velocity|acc|acceleration|gyro|ang|angular|linear|twist|bias|cov|covariance)(?:_.*)?"
)
# Turns first: the end of their names could be a place's.
_COLUMNS = {
    **{f"q{axis}": re.compile(_TURN + axis) for axis in "xyzw"},
    **{axis: re.compile(_PLACE + axis) for axis in "xyz"},
}
_LENS = ("fx", "fy", "cx", "cy")
_TUM = ("time", "x", "y", "z", "qx", "qy", "qz", "qw")
_TIME = re.compile(
    r"(?:.*_)?(?:time|times|timestamp|timestamps|stamp|t)(?:_(?:s|sec|secs|ms|us|ns|seconds|nanoseconds))?"
)
_FRAME = re.compile(r"(?:.*_)?(?:frame|frames|index|idx|id|seq|number)(?:_(?:id|number|index|no))?")
# More lines than this before the first row are no heading.
_MOST_HEADING = 64
_MOST_COLUMNS, _LONGEST_NAME = 100, 80
# 2024-05-01T12:00:00.5Z, 12:00:00.5
_CLOCK = re.compile(r"(?:([0-9]{4})-([0-9]{2})-([0-9]{2})[T_])?([0-9]{1,2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,12})?)Z?")


@dataclass(frozen=True, eq=False)
class HeadedTable:
    """The poses of a headed table: `places` [F, 3], `quaternions` [F, 4] (x y z w), NaN where unknown; `times` [F] or
    the frames' `numbers`, and `lenses` [F, 4] (fx fy cx cy), where it has them; the `lines` they stand in, and the
    names of the columns in that order."""

    places: Tensor
    quaternions: Tensor
    times: Tensor | None
    numbers: tuple[int, ...]
    lenses: Tensor | None
    lines: tuple[int, ...]
    named: tuple[str, ...]


def _recognise(content: Content) -> bool:
    """A heading of poses, unless it names what TUM's columns are anyway."""
    head = None if content.is_folder or content.is_json else heading_of(content.text)
    if head is None:
        return False
    found = _found(head[1])
    order = tuple(sorted(found, key=lambda name: found[name]))
    return content.columns != len(_TUM) or order != _TUM


def _read(path: Path, assumed: Assumed) -> Reading:
    table = read_headed(read_text(path), path.name)
    known = (table.places, table.quaternions, *(() if table.times is None else (table.times[:, None],)))
    kept, notes = posed(torch.cat(known, -1), path.name, table.quaternions)
    lenses, lens_from, doubts = _lenses(table, kept, path, assumed)
    motions = motions_of_quaternions(
        table.quaternions[kept], table.places[kept], "xyzw", lambda row: f"{path.name} line {table.lines[kept[row]]}"
    )
    frames = Frames(
        motions,
        lenses,
        numbers=picked(table.numbers, kept) if table.times is None else (),
        times=None if table.times is None else table.times[kept],
    )
    told = "Columns by their headings; each row is camera-to-world (c2w) in OpenCV axes, nothing was inverted."
    named = f"Places and quaternions are the columns {', '.join(table.named)}."
    return reading_of(
        frames, FORMAT.name, path.name, assumed, convention=told, lens_from=lens_from, notes=(named, *notes),
        warnings=(*doubts, *inversion_warning(motions)),
    )  # fmt: skip


def _lenses(
    table: HeadedTable, kept: list[int], path: Path, assumed: Assumed
) -> tuple[list[Lens], str, tuple[str, ...]]:
    """The lenses of the frames `kept`, where they stand, and warnings: the table's own, else those of a file beside."""
    if table.lenses is None:
        lenses, lens_from, doubts = lenses_beside(path, len(table.places), assumed)
        return picked(lenses, kept), lens_from, doubts
    K = K_from_focal(table.lenses[kept, :2], table.lenses[kept, 2:])
    hw, doubts = size_of(K, {}, assumed.hw)
    return lenses_of(K, hw, path.name), f"the columns {', '.join(_LENS)}", doubts


def heading_of(text: str) -> tuple[int, tuple[str, ...]] | None:
    """The number of the line (from 1) that names the columns of a table of poses, and the names; None without one."""
    for number, line in enumerate(islice(StringIO(text, None), _MOST_HEADING), start=1):
        names = _cells(line[:MOST_LINE].strip().lstrip("#% "))
        if set(_COLUMNS) <= set(_found(names)):
            return number, names
        if names and is_value(names[0]):
            return None
    return None


def read_headed(text: str, file_name: str) -> HeadedTable:
    """The poses under a heading; CameraFormatError for rows that do not fit it."""
    head = heading_of(text)
    if head is None:
        raise CameraFormatError(f"{file_name}: expected a heading that names x y z and qx qy qz qw, found none")
    found = _found(head[1])
    rows: list[list[float]] = []
    lines: list[int] = []
    for number, line in enumerate(StringIO(text, None), start=1):
        cells = _cells(line.partition("#")[0].strip()) if number > head[0] else ()
        if any(cells):
            rows.append(_row(cells, head[1], found, f"{file_name} line {number}"))
            lines.append(number)
            check_frames(len(rows), file_name)
    check_frames(len(rows), f"{file_name}, rows under the heading")
    values = torch.tensor(rows, dtype=torch.float64)
    columns = {name: values[:, index] for index, name in enumerate(found)}
    places, quaternions = (torch.stack([columns[n] for n in names], -1) for names in ("xyz", ("qx", "qy", "qz", "qw")))
    named = tuple(head[1][index] for name, index in found.items() if name in _COLUMNS)
    lenses = torch.stack([columns[name] for name in _LENS], -1) if set(_LENS) <= set(columns) else None
    numbers = _whole(columns.get("frame"))
    return HeadedTable(places, quaternions, columns.get("time"), numbers, lenses, tuple(lines), named)


def _cells(line: str) -> tuple[str, ...]:
    """The cells of a line, parted by commas or semicolons where there are any (a cell may be empty), else by space."""
    mark = next((mark for mark in ",;\t" if mark in line), None)
    return tuple(cell.strip().strip('"') for cell in line.split(mark)) if line else ()


def _found(names: tuple[str, ...]) -> dict[str, int]:
    """Which column is which of _COLUMNS, "time", "frame" and _LENS, the first of each."""
    known = {**_COLUMNS, "time": _TIME, "frame": _FRAME, **{name: re.compile(rf"(?:.*_)?{name}") for name in _LENS}}
    plain = [_plain(name) for name in names[:_MOST_COLUMNS]]
    places = ((key, index) for key, pattern in known.items() for index, name in enumerate(plain)
              if pattern.fullmatch(name) and not _OTHER.fullmatch(name))  # fmt: skip
    found: dict[str, int] = {}
    for key, index in places:
        if index not in found.values():
            found.setdefault(key, index)
    return found


def _plain(name: str) -> str:
    """A column's name in small letters and underscores, without a unit in brackets."""
    words = re.sub(r"[\[(][^\[\]()]*[\])]", "", name[:_LONGEST_NAME].lower())
    return re.sub(r"[^a-z0-9]+", "_", words).strip("_")


def _row(cells: tuple[str, ...], names: tuple[str, ...], found: dict[str, int], where: str) -> list[float]:
    """The numbers of a row in the order of `found`."""
    extra = len(cells) - len(names)
    if extra < 0 or any(cells[len(names) :]):
        raise CameraFormatError(f"{where}: expected the {len(names)} columns {listed(names)}, found {len(cells)}")
    return [
        _moment(cells[index], where) if key == "time" else parse_value_or_nan(_number(cells[index]), where)
        for key, index in found.items()
    ]


def _number(cell: str) -> str:
    """A cell with a decimal comma as a number with a point."""
    return "".join(columns_of(cell.replace(",", "."))) if cell else "nan"


def _moment(cell: str, where: str) -> float:
    """The seconds of a time on a clock, or the number that a cell is."""
    clock = _CLOCK.fullmatch(cell)
    if clock is None:
        return parse_value_or_nan(_number(cell), where)
    year, month, day, hours, minutes, seconds = clock.groups()
    try:
        date = datetime(int(year or 1970), int(month or 1), int(day or 1), tzinfo=timezone.utc).timestamp()
    except ValueError as error:
        raise CameraFormatError(f"{where}: expected a date, found {cell[:40]!r}") from error
    return date + 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)


def _whole(values: Tensor | None) -> tuple[int, ...]:
    """Frame numbers that rise, () where there are none."""
    if values is None or not bool((values == values.round()).all()) or not bool((values.abs() < 1e9).all()):
        return ()
    return tuple(map(int, values.tolist())) if bool((values.diff() > 0.0).all()) else ()


FORMAT = CameraFormat(
    name="headed",
    title="table whose heading names x y z and qx qy qz qw (Stray Scanner, rostopic, clock times)",
    suffix=".csv",
    patterns=(),
    recognise=_recognise,
    read=_read,
)

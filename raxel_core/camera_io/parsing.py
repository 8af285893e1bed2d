"""What every reader takes from a file: bytes within a budget, then text, numbers, tables, JSON and npy arrays.

Each function raises CameraFormatError in one sentence that names the file, the line or key, what was found and what
was expected; nothing a file holds makes it raise anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from ..strict_json import parse_value, printable
from .reading import CameraFormatError

# Budgets, checked before anything is read or built.
MOST_BYTES = 64 * 2**20
MOST_JSON_BYTES = 32 * 2**20  # it grows twentyfold in memory at worst
MOST_FRAMES = 100_000
MOST_LINE = 4096
# No length, time or focal of a camera is larger; its square is far from overflow in float64.
MOST_NUMBER = 1e30

# Without two ways to match the same digits, which would take time quadratic in their number.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# What stands for the numbers of a frame whose pose is not known.
_UNKNOWN = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_COMMA_NUMBER = r"[+-]?[0-9]+(?:,[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_DECIMAL_COMMAS = re.compile(rf"{_COMMA_NUMBER}(?:(?:[ \t]*;[ \t]*|[ \t]+){_COMMA_NUMBER})+;?")
_NPY_MAGIC = b"\x93NUMPY"
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# More lines than this before the first row of numbers are no heading.
_MOST_HEADING = 64
# numpy writes its header's keys sorted, so that one pattern reads it and nothing is evaluated.
_NPY_HEADER = re.compile(
    r"\{'descr': '([<>|=]?[fiu][1248])', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\),? *\}\s*"
)
_SHOWN = 40


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of numbers of a text file: `values` [rows, columns] in float64, the line each row stands in, and the
    lines before them."""

    values: Tensor
    lines: tuple[int, ...]
    heading: tuple[str, ...] = ()


# The file or folder that is being read.
_ASKED: ContextVar[Path | None] = ContextVar("raxel_cameras_asked_for", default=None)


@contextmanager
def reading_from(asked: Path) -> Iterator[None]:
    """While the block runs, `open_file` refuses files that a link leads out of the folder `asked`, or out of the folder
    of the file `asked`, which may itself be a link; what lies beside it, out of the folder that holds both."""
    token = _ASKED.set(asked)
    try:
        yield
    finally:
        _ASKED.reset(token)


def open_file(path: Path) -> BinaryIO:
    """The file `path`, opened for reading bytes; CameraFormatError when it is none, or a link that leads outside."""
    name = printable(path.name, 80)
    try:
        _check_link(path, name)
        if not path.is_file():
            found = "a folder" if path.is_dir() else "nothing there" if not path.exists() else "no file"
            raise CameraFormatError(f"{name}: expected a file of cameras, found {found}")
        return path.open("rb")
    except (OSError, RuntimeError) as error:  # a name too long, a link to itself, a file that may not be read
        why = getattr(error, "strerror", None) or "it is a link that leads to itself"
        raise CameraFormatError(f"{name}: expected a file that can be read, {why}") from error


def _check_link(path: Path, name: str) -> None:
    asked = _ASKED.get()
    if asked is None or path == asked:
        return
    root = asked if asked.is_dir() else asked.parent
    holding = next((folder for folder in (root, *root.parents[:2]) if path.is_relative_to(folder)), root)
    if not path.resolve().is_relative_to(holding.resolve()):
        raise CameraFormatError(f"{name}: expected a file in the folder that is read, found a link out of it")


def check_file(path: Path) -> None:
    """CameraFormatError unless `path` is a file (`open_file`) with something in it."""
    with open_file(path) as file:
        if not file.read(1):
            raise CameraFormatError(f"{path.name}: expected cameras, the file is empty")


def read_bytes(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """The bytes of the file `path`; refused when it is none (`open_file`), is empty, or has more than `most`."""
    with open_file(path) as file:
        try:
            data = file.read(most + 1)
        except OSError as error:
            raise CameraFormatError(f"{path.name}: expected a file that can be read, {error.strerror}") from error
    if len(data) > most:
        raise CameraFormatError(f"{path.name}: a file of cameras has at most {most} bytes, this one has more")
    if not data:
        raise CameraFormatError(f"{path.name}: expected cameras, the file is empty")
    return data


def read_text(path: Path, *, most: int = MOST_BYTES) -> str:
    """The text of the file `path` in UTF-8, or in UTF-16 or UTF-32 where it says so; a byte order mark is dropped."""
    return decoded(read_bytes(path, most=most), path.name)


def decoded(data: bytes, file_name: str) -> str:
    """The text that `data` is: UTF-8 unless a byte order mark, or a zero byte beside each letter, says otherwise."""
    encoding = encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        raise CameraFormatError(f"{file_name}: expected {name} text, byte {error.start} is not") from error


def encoding_of(data: bytes) -> str:
    """The encoding of a text that begins with `data`."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    if len(data) > 3 and 0 in data[:2] and data[0] != data[1]:
        return "utf-16-le" if data[1] == 0 else "utf-16-be"
    return "utf-8-sig"


def columns_of(line: str) -> list[str]:
    """The columns of a line before its comment (#), parted by white space, commas or semicolons; where those part
    numbers with a decimal comma each, as programs of many languages write them, the commas are decimal points."""
    line = line.partition("#")[0]
    if "," in line and "." not in line and _DECIMAL_COMMAS.fullmatch(line.strip()):
        line = line.replace(",", ".")
    return line.replace(",", " ").replace(";", " ").split()


def is_number(token: str) -> bool:
    """Whether `token` is a number in digits."""
    return _NUMBER.fullmatch(token) is not None


def is_value(token: str) -> bool:
    """Whether `token` is a number in digits, or nan or inf in place of one."""
    return is_number(token) or _UNKNOWN.fullmatch(token) is not None


def parse_value_or_nan(token: str, where: str) -> float:
    """As `parse_number`, NaN for the nan or inf that stands for a number nobody knows."""
    return float("nan") if _UNKNOWN.fullmatch(token) else parse_number(token, where)


def parse_number(token: str, where: str) -> float:
    """The finite number that `token` is; `where` opens the sentence ("cameras.txt line 3")."""
    if not _NUMBER.fullmatch(token):
        raise CameraFormatError(f"{where}: expected a number, found {_shown(token)}")
    return _within(float(token), token, where)


def number(value: Any, where: str) -> float:
    """The finite number that a JSON `value` is (true and false are none)."""
    if type(value) not in (int, float):
        raise CameraFormatError(f"{where}: expected a number, found {_shown(value)}")
    return _within(float(value), value, where)


def whole(value: Any, where: str, *, least: int = 0, most: int = 1_000_000) -> int:
    """The whole number from `least` to `most` that a JSON `value` is; 832.0 is one."""
    given = number(value, where)
    if given != int(given) or not least <= given <= most:
        raise CameraFormatError(f"{where}: expected a whole number from {least} to {most}, found {_shown(value)}")
    return int(given)


def numbers(value: Any, count: int, where: str) -> list[float]:
    """The `count` finite numbers in a JSON list."""
    items = sequence(value, where)
    if len(items) != count:
        raise CameraFormatError(f"{where}: expected {count} numbers, found {len(items)}")
    return [number(item, where) for item in items]


def matrix(value: Any, rows: int, columns: int, where: str) -> list[list[float]]:
    """The `rows` x `columns` finite numbers in a JSON list of lists."""
    items = sequence(value, where)
    if len(items) != rows:
        raise CameraFormatError(f"{where}: expected {rows} rows of {columns} numbers, found {len(items)}")
    return [numbers(row, columns, f"{where} row {index}") for index, row in enumerate(items)]


def sequence(value: Any, where: str) -> list[Any]:
    """`value`, which is a JSON list."""
    if not isinstance(value, list):
        raise CameraFormatError(f"{where}: expected a list, found {_shown(value)}")
    return value


def mapping(value: Any, where: str, *, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    """`value`, which is a JSON object with the keys `needs`."""
    if not isinstance(value, dict):
        raise CameraFormatError(f"{where}: expected an object, found {_shown(value)}")
    missing = [key for key in needs if key not in value]
    if missing:
        raise CameraFormatError(f"{where}: expected the keys {listed(needs)}, missing {listed(missing)}")
    return value


def listed(names: Iterable[str]) -> str:
    """The first dozen of `names` on one line for a sentence, each cut where it is long."""
    return ", ".join(printable(name, _SHOWN) for name in islice(names, 12))


def check_frames(count: int, where: str) -> int:
    """`count`, which is from 1 to MOST_FRAMES."""
    if not 1 <= count <= MOST_FRAMES:
        found = "more" if count > MOST_FRAMES else count  # who counts while reading stops at the first too many
        raise CameraFormatError(f"{where}: expected from 1 to {MOST_FRAMES} frames, found {found}")
    return count


def parse_table(text: str, file_name: str, columns: int | tuple[int, ...], *, unknown: bool = False) -> Table:
    """The rows of numbers in `text`; empty lines, those that begin with # and a heading before the first are none.

    Each row has the same number of `columns`, one of those allowed, parted by white space, commas or semicolons. nan
    and inf are refused, or NaN where numbers may be `unknown`.
    """
    parse = parse_value_or_nan if unknown else parse_number
    allowed = (columns,) if isinstance(columns, int) else columns
    rows: list[list[float]] = []
    lines: list[int] = []
    heading: list[str] = []
    for line_number, line in enumerate(StringIO(text, None), start=1):
        stripped, where = line.strip(), f"{file_name} line {line_number}"
        if len(stripped) > MOST_LINE:
            raise CameraFormatError(f"{where}: expected at most {MOST_LINE} characters, found {len(stripped)}")
        tokens = columns_of(stripped)
        if not tokens or (not rows and _is_heading(tokens, len(heading))):
            heading += [stripped] if stripped and not rows else []
            continue
        expected = (len(rows[0]),) if rows else allowed
        if len(tokens) not in expected:
            wanted = " or ".join(map(str, expected))
            raise CameraFormatError(f"{where}: expected {wanted} columns of numbers, found {len(tokens)}")
        rows.append([parse(token, where) for token in tokens])
        lines.append(line_number)
        check_frames(len(rows), file_name)
    check_frames(len(rows), file_name)
    return Table(torch.tensor(rows, dtype=torch.float64), tuple(lines), tuple(heading))


def _is_heading(tokens: list[str], before: int) -> bool:
    return before < _MOST_HEADING and not is_value(tokens[0])


def parse_json(text: str, file_name: str) -> Any:
    """The JSON value in `text`, read as strictly as everywhere (`strict_json`)."""
    try:
        return parse_value(file_name, text)
    except ValueError as error:
        raise CameraFormatError(str(error)) from error


def read_json(path: Path) -> Any:
    """The JSON value in the file `path`, as `parse_json` reads it."""
    return parse_json(read_text(path, most=MOST_JSON_BYTES), path.name)


def read_npy(path: Path, *, unknown: bool = False) -> Tensor:
    """The array of numbers in the npy file `path` as float64; its header is held against the file's size first.

    NaN and infinity are refused, or NaN where numbers may be `unknown`.
    """
    return npy_array(read_bytes(path), path.name, unknown=unknown)


def npy_array(data: bytes, file_name: str, *, unknown: bool = False) -> Tensor:
    """As `read_npy`, of the bytes of such a file."""
    dtype, fortran, shape, start = npy_header(data, file_name)
    expected, found = prod(shape) * dtype.itemsize, len(data) - start
    if expected != found:
        raise CameraFormatError(f"{file_name}: its header promises {expected} bytes of numbers, found {found}")
    with np.errstate(invalid="ignore"):  # a signalling NaN is refused below, without a warning on the way
        array = (
            np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C").astype(np.float64)
        )
    known = np.isfinite(array)
    if unknown:
        array[~known] = np.nan
    if not (np.abs(array[known]) < MOST_NUMBER).all() or not (unknown or known.all()):
        raise CameraFormatError(f"{file_name}: expected finite numbers, it holds NaN, infinity or one beyond 1e30")
    return torch.from_numpy(np.ascontiguousarray(array))


def npy_header(data: bytes, file_name: str) -> tuple[np.dtype, bool, tuple[int, ...], int]:
    """dtype, order, shape, and where the numbers begin (numpy.lib.format, versions 1 to 3)."""
    if data[:6] != _NPY_MAGIC or len(data) < 12 or data[6] not in (1, 2, 3):
        raise CameraFormatError(f"{file_name}: expected a numpy .npy file of version 1 to 3, found {_shown(data[:8])}")
    size = 2 if data[6] == 1 else 4
    start = 8 + size + int.from_bytes(data[8 : 8 + size], "little")
    header = _NPY_HEADER.fullmatch(data[8 + size : min(start, 4096)].decode("latin-1"))
    if header is None:
        raise CameraFormatError(f"{file_name}: expected a numpy header of an array of numbers (pickles are never read)")
    axes = [axis for axis in header[3].replace(" ", "").split(",") if axis]
    if len(axes) > 8 or any(len(axis) > 18 for axis in axes):
        shown = header[3][:_SHOWN]
        raise CameraFormatError(f"{file_name}: expected an array that fits into memory, found shape ({shown})")
    try:
        dtype = np.dtype(header[1])
    except TypeError as error:
        raise CameraFormatError(f"{file_name}: expected an array of numbers, found dtype {header[1]}") from error
    return dtype, header[2] == "True", tuple(map(int, axes)), start


def _within(value: float, given: object, where: str) -> float:
    if not abs(value) < MOST_NUMBER:
        raise CameraFormatError(f"{where}: expected a finite number below 1e30, found {_shown(given)}")
    return value


def _shown(value: object) -> str:
    """The beginning of `value` for a sentence; of containers only their kind, since they may be large."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = value[: _SHOWN + 1] if isinstance(value, (str, bytes)) else value
    shown = repr(text)
    return shown if len(shown) <= _SHOWN + 2 else shown[:_SHOWN] + "..."

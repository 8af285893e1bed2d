"""What lies at a path, looked at once so that every format can tell whether it is its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from io import StringIO
from itertools import islice
from pathlib import Path

from .archive import member_names, npz_shapes
from .parsing import MOST_JSON_BYTES, MOST_LINE, columns_of, encoding_of, is_value, listed, npy_header, open_file
from .reading import CameraFormatError

_HEAD_BYTES = 8192
_MOST_FILES = 20_000
_MOST_HEADING = 64
_KEY = re.compile(r'"([^"\\]{1,64})"\s*:')


class Content:
    """A file or folder as `recognise` sees it; nothing here raises. Of a text the whole is looked at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.suffix = path.suffix.lower()

    @cached_property
    def is_folder(self) -> bool:
        return self.path.is_dir()

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The names in a folder, sorted; of a file none."""
        try:
            return (
                tuple(sorted(entry.name for entry in islice(self.path.iterdir(), _MOST_FILES)))
                if self.is_folder
                else ()
            )
        except OSError:
            return ()

    @cached_property
    def head(self) -> bytes:
        """The first 8 KiB of a file."""
        return self._bytes(_HEAD_BYTES)

    @cached_property
    def text(self) -> str:
        """The text of a file, "" for one that begins as no text; what cannot be decoded is replaced."""
        encoding = encoding_of(self.head)
        if encoding == "utf-8-sig" and b"\0" in self.head:
            return ""
        return self._bytes(MOST_JSON_BYTES).decode(encoding, errors="replace")

    @cached_property
    def beginning(self) -> str:
        """The text of the first 8 KiB."""
        return self.head.decode(encoding_of(self.head), errors="replace")

    @cached_property
    def is_json(self) -> bool:
        return self.beginning.lstrip()[:1] in ("{", "[")

    @cached_property
    def keys(self) -> frozenset[str]:
        """The JSON keys in a file, at whatever depth; none when it does not begin as JSON."""
        return frozenset(_KEY.findall(self.text)) if self.is_json else frozenset()

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """How many columns the first six rows of numbers have, after headings and comments; () in no table."""
        return tuple(len(row) for row in islice(self._rows(), 6))

    @cached_property
    def columns(self) -> int:
        """How many columns each row of numbers has; 0 where they differ, or there are none."""
        return self.rows[0] if len(set(self.rows)) == 1 else 0

    @cached_property
    def first_rows(self) -> tuple[tuple[float, ...], ...]:
        """The first four of those rows."""
        return tuple(tuple(map(float, row)) for row in islice(self._rows(), 4))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape that the header of an .npy promises; () for any other file."""
        try:
            return npy_header(self.head, self.path.name)[2]
        except CameraFormatError:
            return ()

    @cached_property
    def arrays(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the arrays of an .npz by name; none for any other file."""
        try:
            return npz_shapes(self.path) if self.head.startswith(b"PK") and self.suffix == ".npz" else {}
        except CameraFormatError:
            return {}

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The names in a zip; none for any other file."""
        try:
            return tuple(member_names(self.path)) if self.head.startswith(b"PK") else ()
        except CameraFormatError:
            return ()

    def described(self) -> str:
        """What was found, for a sentence that refuses it."""
        if self.is_folder:
            return f"a folder with {listed(self.files) or 'nothing in it'}"
        if self.keys:
            return f"JSON with the keys {listed(sorted(self.keys))}"
        if self.columns > 1:
            return f"rows of {self.columns} numbers (8 are read as times, places and quaternions, 12 or 16 as matrices)"
        if self.shape or self.arrays:
            arrays = [f"{name} {list(shape)}" for name, shape in self.arrays.items()]
            return f"arrays {listed(arrays)}" if arrays else f"an array of shape {list(self.shape)}"
        if self.members:
            return f"a zip archive with {listed(self.members)}"
        if self.head.startswith(b"\x93NUMPY"):
            return "a numpy array of something else than real numbers (pickles are never read)"
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        if not self.head or (self.text and not lines):
            return "an empty file, or one that cannot be read"
        if lines and all(line.startswith("#") for line in lines):
            return "a file of comments alone"
        line = "".join(c if c.isprintable() else "?" for c in self.beginning.lstrip()[:40].split("\n")[0])
        return f"a file that begins with {line!r}" + (" and has no second line" if len(lines) == 1 else "")

    def _rows(self) -> Iterator[list[str]]:
        before = 0
        for line in StringIO(self.text, None):
            tokens = columns_of(line[: MOST_LINE + 1])
            if not tokens:
                continue
            if all(map(is_value, tokens)):
                before = _MOST_HEADING
                yield tokens
            elif before >= _MOST_HEADING or is_value(tokens[0]):
                return
            before += 1

    def _bytes(self, count: int) -> bytes:
        if not self.path.is_file():
            return b""
        try:
            with open_file(self.path) as file:
                return file.read(count)
        except OSError:
            return b""

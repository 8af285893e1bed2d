"""The text of a .usda without its bulk: long arrays (points, normals, indices) are passed over as they are read, so
that a file with geometry is read for its cameras in little memory; and the .usda within a .usdz.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

from .archive import member_names, read_member
from .parsing import MOST_JSON_BYTES, check_file, decoded, open_file
from .reading import CameraFormatError

_CHUNK = 2**20
# Arrays longer than this are no camera's.
_MOST_ARRAY = 4096
_SPECIAL = re.compile(rb"\"\"\"|'''|@@@|//|/\*|[\[\]\"'@#]")
_ENDS = {b"#": re.compile(rb"\n"), b"//": re.compile(rb"\n"), b"/*": re.compile(rb"\*/")} | {
    mark: re.compile(rb"\\.|" + re.escape(mark), re.DOTALL) for mark in (b'"', b"'", b'"""', b"'''", b"@", b"@@@")
}
_BINARY = b"PXR-USDC"


def read_usda_text(path: Path) -> str:
    """The text of a .usda, or of the first layer in a .usdz, long arrays left empty; CameraFormatError otherwise."""
    check_file(path)
    if path.suffix.lower() == ".usdz":
        return _slim(BytesIO(_first_layer(path)), path.name)
    with open_file(path) as file:
        return _slim(file, path.name)


def _first_layer(path: Path) -> bytes:
    """The file that a .usdz opens with."""
    layers = [name for name in member_names(path) if name.lower().endswith((".usda", ".usdc", ".usd"))]
    if not layers:
        raise CameraFormatError(f"{path.name}: expected a .usda in the archive, found none")
    data = read_member(path, layers[0])
    if data.startswith(_BINARY):
        raise CameraFormatError(
            f"{path.name}: it holds binary USD, which is not read: `usdcat IN --flatten --out OUT.usda` writes text"
        )
    return data


def _slim(file: IO[bytes], file_name: str) -> str:
    kept = bytearray()
    for piece in _Arrays().pieces(file):
        kept += piece
        if len(kept) > MOST_JSON_BYTES:
            raise CameraFormatError(
                f"{file_name}: expected at most {MOST_JSON_BYTES} bytes beside its arrays, it has more"
            )
    return decoded(bytes(kept), file_name)


class _Arrays:
    """Passes a text on in pieces, short arrays whole, long ones as an empty one with their ends of lines."""

    def __init__(self) -> None:
        self.depth = 0
        self.within = b""  # what opened the text, path or comment that the place is in
        self.array = bytearray()
        self.lines = 0

    def pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        rest = b""
        while chunk := file.read(_CHUNK):
            data = rest + chunk
            # A mark of three characters, or an escape, is never cut in two.
            end = max(len(data) - 3, 0)
            place = yield from self._scan(data, end)
            rest = data[place:]
        yield from self._scan(rest, len(rest))
        yield bytes(self.array)

    def _scan(self, data: bytes, end: int) -> Generator[bytes, None, int]:
        """Pass on `data` up to about `end`; returns how far it came."""
        place = 0
        while place < end:
            match = (_ENDS[self.within] if self.within else _SPECIAL).search(data, place)
            stop = match.end() if match and match.start() < end else end
            yield from self._pass(data[place:stop])
            place = stop
            if match and match.start() < end:
                yield from self._meet(match.group())
        return place

    def _pass(self, piece: bytes) -> Iterator[bytes]:
        if not self.depth:
            yield piece
            return
        self.lines += piece.count(b"\n")
        if len(self.array) <= _MOST_ARRAY:
            self.array += piece

    def _meet(self, mark: bytes) -> Iterator[bytes]:
        """A mark that has just been passed on."""
        if self.within:
            if not mark.startswith(b"\\"):
                self.within = b""
        elif mark == b"[":
            self.array += b"[" if not self.depth else b""
            self.depth += 1
        elif mark == b"]" and self.depth:
            self.depth -= 1
            if not self.depth:
                yield self._taken()
        elif mark not in (b"[", b"]"):
            self.within = mark

    def _taken(self) -> bytes:
        """The array that has just ended: what follows its first bracket, which went before."""
        array, lines = bytes(self.array[1:]), self.lines
        self.array.clear()
        self.lines = 0
        return array if len(array) <= _MOST_ARRAY else b"\n" * lines + b"]"

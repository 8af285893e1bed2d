"""glTF's containers: the JSON, the buffers that belong to it, and accessors as arrays of numbers.

Source: Khronos, glTF 2.0 specification, sections 3.6 (accessors) and 4.4 (GLB).
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import torch
from torch import Tensor

from .parsing import (
    MOST_BYTES,
    MOST_JSON_BYTES,
    MOST_NUMBER,
    check_file,
    check_frames,
    decoded,
    mapping,
    open_file,
    parse_json,
    read_text,
    sequence,
    whole,
)
from .reading import CameraFormatError

_MAGIC, _JSON, _BIN = b"glTF", 0x4E4F534A, 0x004E4942
_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<II")
_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
_DATA_URI = "base64,"
# Buffers may be large, since only what a camera needs of them is read.
_MOST_BUFFER = 2**40
_MOST_CHUNKS = 64


@dataclass(frozen=True)
class Stretch:
    """Bytes that are not read before they are asked for: `size` of them from `start` on in the file `path`."""

    path: Path
    start: int
    size: int

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` of the stretch on."""
        with open_file(self.path) as file:
            file.seek(self.start + start)
            return file.read(count)


@dataclass(frozen=True)
class GltfFile:
    """The JSON of a glTF file, the bytes that came with it in a .glb, and where it lies."""

    values: dict[str, Any]
    binary: Stretch | None
    path: Path

    def item(self, kind: str, index: Any) -> tuple[dict[str, Any], str]:
        """Number `index` of the list `kind` ("nodes"), and how to name it."""
        where = f"{self.path.name} {kind}"
        items = sequence(self.values.get(kind, []), where)
        given = whole(index, f"{self.path.name}, an index into {kind}")
        if given >= len(items):
            raise CameraFormatError(f"{where}: expected number {given}, found {len(items)} of them")
        return mapping(items[given], f"{where}/{given}"), f"{where}/{given}"

    def numbers(self, accessor: Any) -> Tensor:
        """The accessor number `accessor` as [count, width] in float64, normalised integers as shares."""
        given, where = self.item("accessors", accessor)
        kind, component = given.get("type"), given.get("componentType")
        if (
            not isinstance(kind, str)
            or kind not in _WIDTHS
            or not isinstance(component, int)
            or component not in _DTYPES
        ):
            raise CameraFormatError(f"{where}: expected floats or small integers, found {repr((kind, component))[:60]}")
        if "sparse" in given or "bufferView" not in given:
            raise CameraFormatError(f"{where}: expected numbers in a bufferView; sparse accessors are not read")
        dtype, width = np.dtype(_DTYPES[component]), _WIDTHS[kind]
        count = check_frames(whole(given.get("count"), f"{where} count", most=2**40), where)
        values = self._strided(given, where, dtype, width, count)
        if not bool((np.abs(values) < MOST_NUMBER).all()):
            raise CameraFormatError(f"{where}: expected finite numbers, it holds NaN, infinity or one beyond 1e30")
        if dtype.kind != "f":
            values = np.maximum(values / np.iinfo(dtype).max, -1.0)
        return torch.from_numpy(values)

    def _strided(self, given: dict[str, Any], where: str, dtype: np.dtype, width: int, count: int) -> np.ndarray:
        """[count, width] in float64 out of the accessor's bufferView."""
        view, view_where = self.item("bufferViews", given["bufferView"])
        buffer = self._buffer(view.get("buffer"))
        size = dtype.itemsize * width
        start, length = (
            whole(view.get(key, 0), f"{view_where} {key}", most=_MOST_BUFFER) for key in ("byteOffset", "byteLength")
        )
        stride = whole(view.get("byteStride", size), f"{view_where} byteStride", least=size, most=MOST_BYTES)
        offset = whole(given.get("byteOffset", 0), f"{where} byteOffset", most=_MOST_BUFFER)
        span = stride * (count - 1) + size
        available = len(buffer) if isinstance(buffer, bytes) else buffer.size
        if offset + span > length or start + length > available or span > MOST_BYTES:
            raise CameraFormatError(
                f"{where}: expected {offset + span} bytes in its bufferView of {length} within a buffer of {available} "
                "bytes"
            )
        place = start + offset
        data = buffer[place : place + span] if isinstance(buffer, bytes) else buffer.read(place, span)
        if len(data) < span:
            raise CameraFormatError(f"{where}: expected {span} bytes from byte {place} on, found {len(data)}")
        rows = np.ndarray((count, width), dtype, data, 0, (stride, dtype.itemsize))
        with np.errstate(invalid="ignore"):  # a signalling NaN is refused by the caller, without a warning
            return rows.astype(np.float64)

    def _buffer(self, index: Any) -> bytes | Stretch:
        given, where = self.item("buffers", index)
        uri = given.get("uri")
        if uri is None:
            if self.binary is None:
                raise CameraFormatError(f"{where}: expected a uri or the bytes of a .glb, found neither")
            return self.binary
        if not isinstance(uri, str):
            raise CameraFormatError(f"{where} uri: expected text, found {type(uri).__name__}")
        if not uri.startswith("data:"):
            beside = self._beside(unquote(uri), where)
            check_file(beside)
            return Stretch(beside, 0, beside.stat().st_size)
        try:
            return base64.b64decode(uri.partition(_DATA_URI)[2], validate=True)
        except (binascii.Error, ValueError) as error:
            raise CameraFormatError(f"{where} uri: expected base64, {error}") from error

    def _beside(self, name: str, where: str) -> Path:
        """The file `name` in the folder of the .gltf or below it."""
        folder = self.path.resolve().parent
        if name.startswith(("//", "\\\\", "/\\", "\\/")):  # a share of another machine, not even to be asked for
            raise CameraFormatError(f"{where} uri: expected a file beside {self.path.name}, found {name[:40]!r}")
        try:
            target = (folder / name).resolve()
            there = target.is_file()
        except (OSError, ValueError, RuntimeError) as error:
            raise CameraFormatError(f"{where} uri: expected a file's name, found {name[:40]!r}") from error
        if not target.is_relative_to(folder) or not there:
            raise CameraFormatError(f"{where} uri: expected a file beside {self.path.name}, found {name[:40]!r}")
        return target


def read_gltf(path: Path) -> GltfFile:
    """The .gltf or .glb file `path`; CameraFormatError otherwise. Of a .glb only the JSON is read."""
    check_file(path)
    with open_file(path) as file:
        is_binary = file.read(4) == _MAGIC
    text, binary = _chunks(path) if is_binary else (read_text(path, most=MOST_JSON_BYTES), None)
    values = mapping(parse_json(text, path.name), path.name, needs=("asset",))
    version = mapping(values["asset"], f"{path.name} asset").get("version")
    if not isinstance(version, str) or not version.startswith("2."):
        raise CameraFormatError(f"{path.name} asset.version: expected 2.0, found {repr(version)[:40]}")
    return GltfFile(values, binary, path)


def _chunks(path: Path) -> tuple[str, Stretch | None]:
    """The JSON of a .glb, and where its binary chunk lies."""
    found: dict[int, Stretch] = {}
    with open_file(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        header = file.read(_HEADER.size)
        if size < _HEADER.size + _CHUNK.size:
            raise CameraFormatError(f"{path.name}: expected a .glb with a header of 20 bytes, found {size} bytes")
        _, version, length = _HEADER.unpack(header)
        if version != 2 or length > size:
            raise CameraFormatError(f"{path.name}: expected a .glb of version 2 with {length} bytes, found {size}")
        place = _HEADER.size
        while place + _CHUNK.size <= length and len(found) < _MOST_CHUNKS:
            file.seek(place)
            count, kind = _CHUNK.unpack(file.read(_CHUNK.size))
            place += _CHUNK.size
            if count > length - place:
                raise CameraFormatError(
                    f"{path.name} byte {place}: expected a chunk of {count} bytes, found {length - place}"
                )
            found.setdefault(kind, Stretch(path, place, count))
            place += count + -count % 4
    if _JSON not in found:
        raise CameraFormatError(f"{path.name}: expected a JSON chunk in the .glb, found none")
    if found[_JSON].size > MOST_JSON_BYTES:
        raise CameraFormatError(f"{path.name}: expected at most {MOST_JSON_BYTES} bytes of JSON")
    return decoded(found[_JSON].read(0, found[_JSON].size), path.name), found.get(_BIN)


def glb_bytes(values: dict[str, Any], binary: bytes) -> bytes:
    """A .glb of the JSON `values` and the bytes `binary`, a multiple of 4 long, of its one buffer."""
    text = json.dumps(values, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    body = _CHUNK.pack(len(text), _JSON) + text
    body += _CHUNK.pack(len(binary), _BIN) + binary if binary else b""
    return _HEADER.pack(_MAGIC, 2, _HEADER.size + len(body)) + body

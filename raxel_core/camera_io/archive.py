"""Files within a zip (.npz, .usdz, .r3d), each read within a budget whatever the archive promises."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from torch import Tensor

from .parsing import MOST_BYTES, check_file, npy_array, npy_header
from .reading import CameraFormatError

_MOST_MEMBERS = 100_000
_HEADER_BYTES = 4096


def member_names(path: Path) -> list[str]:
    """The names in a zip; CameraFormatError when it is none."""
    with _opened(path) as archive:
        return archive.namelist()


def read_member(path: Path, name: str, *, most: int = MOST_BYTES) -> bytes:
    """The bytes of the file `name` within the zip `path`, at most `most` of them."""
    with _opened(path) as archive:
        data = _taken(archive, name, most + 1, path.name)
    if len(data) > most:
        raise CameraFormatError(f"{path.name} {name[:60]}: expected at most {most} bytes, it has more")
    return data


def npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each array of numbers in an .npz by its name; arrays of anything else are left out."""
    shapes = {}
    with _opened(path) as archive:
        for name in archive.namelist():
            try:
                _, _, shape, _ = npy_header(_taken(archive, name, _HEADER_BYTES, path.name), path.name)
            except CameraFormatError:
                continue
            shapes[name.removesuffix(".npy")] = shape
    return shapes


def read_npz(path: Path, key: str, *, unknown: bool = False) -> Tensor:
    """The array `key` of an .npz in float64, as `parsing.read_npy` takes it."""
    return npy_array(read_member(path, f"{key}.npy"), f"{path.name} {key}", unknown=unknown)


def _opened(path: Path) -> zipfile.ZipFile:
    check_file(path)
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CameraFormatError(f"{path.name}: expected a zip archive that can be read ({str(error)[:80]})") from error
    if len(archive.namelist()) > _MOST_MEMBERS:
        raise CameraFormatError(f"{path.name}: expected at most {_MOST_MEMBERS} files in the archive")
    return archive


def _taken(archive: zipfile.ZipFile, name: str, count: int, file_name: str) -> bytes:
    """The first `count` bytes of a member, unpacked as far as they are asked for."""
    try:
        with archive.open(name) as file:
            return file.read(count)
    except (
        OSError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        ValueError,
    ) as error:
        raise CameraFormatError(
            f"{file_name} {name[:60]!r}: expected a file that can be unpacked ({str(error)[:80]})"
        ) from error

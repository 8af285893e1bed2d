"""Safetensors files written tensor by tensor: never more in memory than a piece, and a killed run goes on from there.

What is not finished lies beside the target as `.TARGET.MARK.N.partial`, finished files as `.TARGET.MARK.N.whole`
until all are; then they take their final names, the index last. MARK stands for everything the bytes depend on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from io import FileIO
from pathlib import Path

import torch
from torch import Tensor

from ..atomic_file import put_in_place, unwritable, writable_target, write_text
from .checkpoint import INDEX_SUFFIX, SET_KEY, split_into_shards
from .tensor_file import header_bytes, write_all

# How much is written between two moments at which all is on the disk; so much may be missing after a power cut.
UNSYNCED_BYTES = 1 << 30
Pieces = Callable[[str], Iterator[Tensor]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _PlannedFile:
    """A file to be written: its names while it grows, when it is whole and at the end, its header and its tensors."""

    partial: Path
    whole: Path
    path: Path
    header: bytes
    tensors: dict[str, Tensor]  # on the meta device

    @property
    def size(self) -> int:
        return len(self.header) + sum(_nbytes(tensor) for tensor in self.tensors.values())


def write_streamed(
    path: Path,
    tensors: Mapping[str, Tensor],
    pieces: Pieces,
    *,
    metadata: Mapping[str, str],
    origin: object,
    shard_bytes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write the safetensors file `path`, or a set of shards with an index; the file to load.

    `tensors` on the meta device give names, shapes and dtypes; `pieces(key)` yields a tensor's flat pieces in order.
    `origin` (JSON) is what the values come from: a run that was killed is taken up where origin, tensors and metadata
    are the same. `progress(tensors written, all)` follows it.
    Raises OSError when the disk is full, at the start or later, or another run writes the same files; what is done is
    then kept. After a ValueError of `pieces` nothing is left. The final names hold whole files at any moment.
    """
    path = writable_target(path)
    files = _plan(path, tensors, metadata, origin, shard_bytes)
    with _alone(path):
        _remove_partials(path, except_for={name for file in files for name in (file.partial, file.whole)})
        _check_space(path, files)
        done = 0
        try:
            for file in files:
                _write_file(file, pieces, _report_from(done, len(tensors), progress))
                done += len(file.tensors)
            return _put_all_in_place(path, files)
        # Values that are wrong stay wrong: nothing of them is taken up again. A full disk may have room later.
        except ValueError:
            _remove_partials(path, except_for=set())
            raise
        except OSError as error:
            raise unwritable(path, error) from error


def _report_from(start: int, total: int, progress: Progress | None) -> Callable[[int], None]:
    """A callback for the tensors of one file, before which `start` are written."""

    def report(count: int) -> None:
        if progress is not None:
            progress(start + count, total)

    return report


def _plan(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], origin: object, shard_bytes: int | None
) -> list[_PlannedFile]:
    shards = split_into_shards(tensors, shard_bytes)
    listed = [[key, str(tensor.dtype), list(tensor.shape)] for key, tensor in tensors.items()]
    text = json.dumps([origin, listed, dict(metadata), shards if len(shards) > 1 else None], sort_keys=True)
    mark = hashlib.sha256(text.encode()).hexdigest()[:32]
    if len(shards) > 1:
        metadata = {**metadata, SET_KEY: mark}
    planned = []
    for number, keys in enumerate(shards, start=1):
        name = path.name if len(shards) == 1 else f"{path.stem}-{number:05d}-of-{len(shards):05d}.safetensors"
        held = {key: tensors[key] for key in keys}
        partial = path.with_name(f".{path.name}.{mark[:16]}.{number}.partial")
        planned.append(
            _PlannedFile(
                partial, partial.with_suffix(".whole"), path.with_name(name), header_bytes(held, metadata), held
            )
        )
    return planned


def _nbytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _write_file(file: _PlannedFile, pieces: Pieces, report: Callable[[int], None]) -> None:
    """Write what is missing of one file, and give it the name of a whole one."""
    if _is_written(file, file.whole) or (
        b'"' + SET_KEY.encode() + b'"' in file.header and _is_written(file, file.path)
    ):
        report(len(file.tensors))
        return
    with file.partial.open("r+b" if file.partial.exists() else "w+b", buffering=0) as out:
        kept = _resume(out, file)
        synced = out.tell()
        for number, key in enumerate(file.tensors, start=1):
            if number > kept:
                for piece in pieces(key):
                    _write(out, piece, file)
                if out.tell() - synced >= UNSYNCED_BYTES:
                    _sync(out, file)
                    synced = out.tell()
            report(number)
        _sync(out, file)
        if out.tell() != file.size:
            raise AssertionError(f"{out.tell()} bytes were written for {file.size}")
    put_in_place(file.partial, file.whole)


def _is_written(file: _PlannedFile, path: Path) -> bool:
    """Whether `path` is this file whole: its size, and its header, which holds the mark of a set."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as opened:
        return opened.read(len(file.header)) == file.header


def _resume(out: FileIO, file: _PlannedFile) -> int:
    """Bring a file to the end of the last tensor that is safely on the disk; how many tensors it then holds."""
    sure = out.seek(0, os.SEEK_END) - UNSYNCED_BYTES
    out.seek(0)
    kept, end = 0, len(file.header)
    if sure < end or out.read(end) != file.header:
        out.seek(0)
        out.truncate()
        _write(out, torch.frombuffer(bytearray(file.header), dtype=torch.uint8), file)
        return 0
    for tensor in file.tensors.values():
        if end + _nbytes(tensor) > sure:
            break
        kept, end = kept + 1, end + _nbytes(tensor)
    out.truncate(end)
    out.seek(end)
    return kept


def _write(out: FileIO, piece: Tensor, file: _PlannedFile) -> None:
    try:
        write_all(out, piece)
    except OSError as error:
        raise _unwritable(file, error) from error


def _sync(out: FileIO, file: _PlannedFile) -> None:
    try:
        os.fsync(out.fileno())
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: _PlannedFile, error: OSError) -> OSError:
    why = error.strerror or error
    return OSError(f"cannot write {file.path}: {why}; what is done is kept beside it, the same command goes on there")


def _check_space(path: Path, files: list[_PlannedFile]) -> None:
    """OSError when the disk has less room than is still to be written."""
    present = sum(name.stat().st_size for file in files for name in (file.partial, file.whole) if name.exists())
    needed, free = sum(file.size for file in files) - present, shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(f"cannot write {path}: {needed / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free there")


def _put_all_in_place(path: Path, files: list[_PlannedFile]) -> Path:
    for file in files:
        if file.whole.exists():  # not where a killed run had come this far already
            put_in_place(file.whole, file.path)
    if len(files) == 1:
        return path
    weight_map = {key: file.path.name for file in files for key in file.tensors}
    total = sum(_nbytes(tensor) for file in files for tensor in file.tensors.values())
    index = path.with_name(path.stem + INDEX_SUFFIX)
    write_text(index, json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=1))
    return index


def _remove_partials(path: Path, *, except_for: set[Path]) -> None:
    """Remove what earlier runs to the same target left."""
    for kind in ("partial", "whole"):
        for left in path.parent.glob(f".{escape(path.name)}.*.{kind}"):
            if left not in except_for:
                left.unlink()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the target against other runs; OSError when one writes it already. Nothing is held on Windows."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    lock = path.with_name(f".{path.name}.lock")
    try:
        opened = lock.open("w")
    except OSError as error:
        raise unwritable(path, error) from error
    with opened as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = lock.exists() and os.path.samestat(lock.stat(), os.fstat(held.fileno()))
        except BlockingIOError:
            same = False
        if not same:
            raise OSError(f"cannot write {path}: another run is writing it")
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)

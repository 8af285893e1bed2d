"""Files that are written whole or not at all: whatever interrupts the writing, the file that was there stays.

What is being written lies beside its target as `.raxel-MARK.tmp`, locked by the process that writes it. Whoever writes
into the folder next removes those of processes that died.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from .strict_json import printable

_PREFIX, _SUFFIX = ".raxel-", ".tmp"
# Where files cannot be locked, a temporary file of this age is taken for one of a process that died.
_STALE_SECONDS = 86_400
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the name of a temporary file beside `path` to be written; it takes the place of `path` at the end.

    It is brought to the disk first; when the block raises, it is removed and `path` is as it was. Its mode is the
    user's (umask). A `path` that is a link stays one: the file it leads to is replaced. Raises OSError that names
    `path` when it cannot be written, and as `writable_target` does.
    """
    target = writable_target(path)
    temporary = target.with_name(f"{_PREFIX}{uuid4().hex}{_SUFFIX}")
    try:
        _remove_stale(target.parent)
        with _held(temporary):
            yield temporary
            put_in_place(temporary, target)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):  # nothing that hides the first error
            temporary.unlink(missing_ok=True)


@contextmanager
def alone(path: str | os.PathLike[str]) -> Iterator[None]:
    """Of the processes that would write `path` at the same time, let one in after the other (not on Windows), so that
    who comes later finds it made. Nothing stays beside it, but what the next write removes."""
    target = Path(path)
    name = target.with_name(f"{_PREFIX}{target.name}{_SUFFIX}")
    if sys.platform == "win32":
        yield
        return
    handle = _waited_for(name)
    try:
        yield
    finally:
        name.unlink(missing_ok=True)
        os.close(handle)


def writable_target(path: str | os.PathLike[str]) -> Path:
    """The file that writing to `path` replaces: `path` itself or, of a link, what it leads to, there or not yet.

    Raises OSError in one sentence when that is a folder, a pipe or a device, or no name that a file can have.
    """
    try:
        target = Path(path).resolve() if Path(path).is_symlink() else Path(path)
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return target
    except ValueError as error:
        raise OSError(f"cannot write {printable(path, 200)}: no file can have this name") from error
    except (OSError, RuntimeError) as error:  # a name too long, a link that leads to itself
        raise unwritable(path, error) from error
    for holds, kind in _KINDS:
        if holds(mode):
            raise OSError(f"cannot write {printable(path, 200)}: it is {kind}, not a file")
    return target


def put_in_place(temporary: Path, path: Path) -> None:
    """Bring `temporary` to the disk and give it the name `path`, in the same folder, in one step; OSError."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` in UTF-8 as the file `path`, whole or not at all; OSError as in `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def unwritable(path: str | os.PathLike[str], error: Exception) -> OSError:
    """What to raise of an `error` in writing `path`: a sentence that names it, and no other file."""
    told = str(error)
    if told.startswith("cannot write "):
        return OSError(told)
    return OSError(f"cannot write {printable(path, 200)}: {getattr(error, 'strerror', None) or printable(told, 200)}")


@contextmanager
def _held(temporary: Path) -> Iterator[None]:
    """Make the empty file `temporary`, and hold it against `_remove_stale` of other processes (not on Windows)."""
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    if sys.platform == "win32":  # a file that is open cannot be renamed there
        os.close(handle)
        yield
        return
    try:
        _lock(handle)
        if not temporary.exists():  # another process took it for a dead one's in the moment before the lock
            temporary.touch(exist_ok=False)
        yield
    finally:
        os.close(handle)


def _remove_stale(folder: Path) -> None:
    """Remove the temporary files in `folder` that no living process holds."""
    for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):  # another process may be as quick, or the file someone else's
            if _is_stale(left):
                left.unlink()


def _is_stale(temporary: Path) -> bool:
    if sys.platform == "win32":
        return time.time() - temporary.stat().st_mtime > _STALE_SECONDS
    handle = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Whether the open file could be locked for this process; on file systems without locks it never is."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _waited_for(name: Path) -> int:
    """A handle that holds the file `name` alone; who held it before has removed it."""
    import fcntl

    while True:
        handle = os.open(name, os.O_CREAT | os.O_RDWR, 0o666)
        with suppress(OSError):  # on file systems without locks nobody waits
            fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.stat(name).st_ino == os.fstat(handle).st_ino:
                return handle
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, on systems whose folders can be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

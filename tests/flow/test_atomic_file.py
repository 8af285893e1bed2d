"""A file is written whole or not at all: what was there stays, and nothing half-written is left."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from raxel_core.atomic_file import replacing, write_text


def test_text_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "path.json"
    path.write_text("old")
    write_text(path, "new: \u00e9")
    assert path.read_text(encoding="utf-8") == "new: \u00e9"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), MemoryError(), OSError(errno.ENOSPC, "No space left on device")]
)
def test_what_was_there_survives_every_interruption(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "path.json"
    path.write_text("old")
    with pytest.raises(type(error)), replacing(path) as temporary:
        temporary.write_text("ha")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write_text(path, "the next run")
    assert path.read_text() == "the next run"


def test_the_file_asked_for_is_named_and_not_the_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^cannot write .*gone/a\.json: No such file or directory$"):
        write_text(tmp_path / "gone" / "a.json", "x")
    with pytest.raises(OSError, match=r"^cannot write .*: No space left on device$"), replacing(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, "No space left on device", "some temporary file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="^cannot write .*folder: it is a folder, not a file"):
        write_text(tmp_path / "folder", "x")

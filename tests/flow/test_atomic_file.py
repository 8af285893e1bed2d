"""A file is written whole or not at all: what was there stays, and nothing half-written is left."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
import torch

from raxel_core.atomic_file import replacing, write_text
from raxel_core.video_io import write_image
from raxel_core.weights.tensor_file import write_tensors


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


posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX file systems")


@posix
def test_a_pipe_and_a_device_and_a_folder_stay_what_they_are(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "linked.json").symlink_to("/dev/null")
    for name, kind in (("pipe.json", "a pipe"), ("linked.json", "a device")):
        with pytest.raises(OSError, match=rf"^cannot write .*{name}: it is {kind}, not a file$"):
            write_text(tmp_path / name, "x")
    with pytest.raises(OSError, match=r"^cannot write /dev/null: it is a device, not a file$"):
        write_text("/dev/null", "x")
    assert stat.S_ISFIFO((tmp_path / "pipe.json").stat().st_mode) and (tmp_path / "linked.json").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


@posix
def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "old.json").write_text("old")
    (tmp_path / "link.json").symlink_to("there/old.json")
    (tmp_path / "new.json").symlink_to("there/new.json")
    write_text(tmp_path / "link.json", "a")
    write_text(tmp_path / "new.json", "b")
    assert (tmp_path / "link.json").is_symlink() and (tmp_path / "new.json").is_symlink()
    assert [(tmp_path / "there" / name).read_text() for name in ("old.json", "new.json")] == ["a", "b"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="^cannot write .*loop"):
        write_text(tmp_path / "loop", "x")


@posix
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_is_the_users(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.json", "x")
        write_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(2)})
        write_image(tmp_path / "a.png", torch.zeros(3, 4, 4))
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


@posix
def test_what_a_dead_process_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    left = tmp_path / ".raxel-0123.tmp"
    left.write_text("half")
    with replacing(tmp_path / "first.json") as first:
        first.write_text("first")
        assert not left.exists()
        write_text(tmp_path / "second.json", "second")  # another process of the same kind would do so
        assert first.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.json", "second.json"]


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    for name, why in (("a\0b", "no file can have this name"), ("a" * 300, "File name too long")):
        with pytest.raises(OSError, match=f"^cannot write .*: {why}$") as caught:
            write_text(tmp_path / name, "x")
        assert str(caught.value).isprintable() and len(str(caught.value)) < 300
    with pytest.raises(OSError, match=r"^cannot write .*a\\x1b\[2J\.json: "):
        write_text(tmp_path / "gone" / "a\x1b[2J.json", "x")


@posix
def test_a_folder_that_takes_no_file_is_told_by_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only file system, where not even the temporary file can be removed."""

    def refuse(*given: object, **more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "some temporary file")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match=r"^cannot write .*a\.json: Read-only file system$"):
        write_text(tmp_path / "a.json", "x")

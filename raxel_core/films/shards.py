"""Scenes in tar shards as webdataset lays them out: members that share a name up to its first dot are one sample.

A sample is a video (`key.mp4`) and a file of cameras (`key.json`, `key.npz`, ...), or the rows of RealEstate10K
(`key.txt`) with pictures named by their time stamps (`key.<microseconds>.jpg`), and perhaps `key.caption.txt`. It is
unpacked into the cache folder of the user when it is opened; names of members are never taken for paths.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import tempfile
from collections import defaultdict
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ..atomic_file import replacing
from .defects import NO_CAMERAS, UNREADABLE, SceneError
from .pairs import open_pair
from .pictures import SUFFIXES, is_video
from .realestate10k import open_realestate10k
from .scene import Scene

TAR = ".tar"
_KEY = re.compile(r"[\w@+-][\w@+ -]{0,200}")
_ENDING = re.compile(r"[\w.+-]{1,60}")
_MOST_MEMBER = 8 << 30


def samples_in(path: Path) -> tuple[str, ...]:
    """The keys of a shard's samples, in its order; ValueError where it is not a tar file."""
    return tuple(_members(path, path.stat().st_mtime_ns))


def open_sample(path: Path, key: str, name: str) -> Scene:
    """The scene of one sample of a shard. SceneError where it cannot be used."""
    members = _members(path, path.stat().st_mtime_ns).get(key)
    if members is None:
        raise SceneError(name, NO_CAMERAS, f"{path.name} holds no sample of that key")
    folder = Path(tempfile.gettempdir()) / f"raxel-{_name_of(path)}"
    folder.mkdir(exist_ok=True, mode=0o700)
    try:
        files = [_unpacked(path, member, folder) for member in members]
    except (OSError, tarfile.TarError) as error:
        raise SceneError(name, UNREADABLE, f"its members cannot be unpacked: {error}") from error
    video = next((file for file in files if is_video(file)), None)
    if video is not None:
        return open_pair(video, name)
    rows = folder / f"{key}.txt"
    if rows not in files:
        raise SceneError(name, NO_CAMERAS, "the sample has neither a video nor RealEstate10K's .txt")
    return open_realestate10k(rows, folder, name)


@lru_cache(maxsize=256)
def _members(path: Path, changed: int) -> dict[str, tuple[tarfile.TarInfo, ...]]:
    """The members of each sample; `changed` is the file's time, by which what is remembered ages."""
    samples: dict[str, list[tarfile.TarInfo]] = defaultdict(list)
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                key, _, ending = PurePosixPath(member.name).name.partition(".")
                if member.isfile() and _KEY.fullmatch(key) and _ENDING.fullmatch(ending):
                    samples[key].append(member)
    except tarfile.TarError as error:
        raise ValueError(f"{path} is not a tar file: {error}") from error
    return {key: tuple(members) for key, members in samples.items()}


def _unpacked(path: Path, member: tarfile.TarInfo, folder: Path) -> Path:
    """The file of a member under its own last name; pictures lie in a folder called as the sample."""
    key, _, ending = PurePosixPath(member.name).name.partition(".")
    target = folder / f"{key}.{ending}"
    if target.suffix.lower() in SUFFIXES:
        (folder / key).mkdir(exist_ok=True)
        target = folder / key / ending
    if target.is_file() and target.stat().st_size == member.size:
        return target
    if member.size > _MOST_MEMBER:
        raise OSError(f"{member.name} is larger than {_MOST_MEMBER >> 30} GiB")
    with path.open("rb") as archive, replacing(target) as temporary, temporary.open("wb") as file:
        archive.seek(member.offset_data)
        left = member.size
        while left:
            data = archive.read(min(left, 1 << 22))
            if not data:
                raise OSError(f"{path.name} ends within {member.name}")
            file.write(data)
            left -= len(data)
    return target


def _name_of(path: Path) -> str:
    """What the folder of a shard's unpacked samples is called: of its place, size and age."""
    stat = path.stat()
    return hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:24]

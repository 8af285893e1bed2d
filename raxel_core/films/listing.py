"""The scenes of a data set: found in its folder, or named in a list; opened one by one, each fault told by its scene.

A list is a text file with a scene a line, relative to the list's folder; empty lines and those that begin with # say
nothing. A scene in a tar shard is named `shard.tar/key`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..strict_json import printable
from .defects import NO_CAMERAS, SINGLE, UNREADABLE, Defect, SceneError
from .folders import CAPTION, cameras_in, looks_like_scene, open_folder
from .pairs import open_pair
from .pictures import is_video
from .realestate10k import is_realestate10k, open_realestate10k
from .scene import Scene
from .shards import TAR, open_sample, samples_in

_MOST_LIST_BYTES = 256 << 20
_VIDEOS = "videos"  # where RealEstate10K's are looked for, by names that only a .txt knows


@dataclass(frozen=True)
class Listing:
    """The scenes of a data set under `root`, by name: their paths relative to it, in order."""

    root: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def open(self, name: str) -> Scene:
        """The scene of that name. SceneError where it cannot be used, whatever of it is wrong."""
        try:
            scene = _open(self.root, name)
        except SceneError:
            raise
        except (OSError, ValueError) as error:
            raise SceneError(name, UNREADABLE, str(error)) from error
        if len(scene) < 2:
            raise SceneError(name, SINGLE, "it has one frame with a camera")
        return scene


@dataclass(frozen=True)
class Report:
    """What `check` found: usable scenes with their frames, the `defects` of all, and which of them are `left_out`."""

    frames: Mapping[str, int]
    defects: Mapping[str, tuple[Defect, ...]]
    left_out: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """How many scenes have each kind of defect."""
        kinds = [kind for found in self.defects.values() for kind in sorted({defect.kind for defect in found})]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def list_text(self) -> str:
        """The usable scenes as a list to train on; the others stand in it as remarks."""
        remarks = [f"# {name}: {_told(self.defects[name])}" for name in self.left_out]
        return "\n".join([f"# {len(self.frames)} scenes; {len(remarks)} left out", *remarks, *self.frames]) + "\n"

    def lines(self) -> list[str]:
        """The report in words: a line for each scene with a defect, then the counts."""
        told = [f"{name}: {_told(found)}" for name, found in self.defects.items()]
        counted = [f"  {kind}: {count}" for kind, count in self.counts().items()]
        frames = sum(self.frames.values())
        total = f"{len(self.frames)} scenes of {frames} frames can be used, {len(self.left_out)} cannot"
        return [*told, total, *counted]


def list_scenes(path: Path) -> Listing:
    """The scenes of a folder, of one tar shard, or of a list. ValueError where there is none; OSError."""
    if path.is_dir():
        names = sorted(_found(path))
        told = "a RealEstate10K .txt, a transforms.json, a COLMAP model, a video with cameras beside it, or a tar shard"
        if not names:
            raise ValueError(f"{path} holds no scene: {told} was looked for")
        return Listing(path, tuple(names))
    if path.suffix == TAR:
        return Listing(path.parent, tuple(f"{path.name}/{key}" for key in samples_in(path)))
    if path.stat().st_size > _MOST_LIST_BYTES:
        raise ValueError(f"{path} is larger than a list of scenes can be")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a list of scenes: {error}") from error
    names = [line for line in lines if line and not line.startswith("#")]
    outside = next((name for name in names if ".." in Path(name).parts or Path(name).is_absolute()), None)
    if outside is not None or not names:
        fault = "lists no scene" if outside is None else f"lists {printable(outside, 80)}, which is not in its folder"
        raise ValueError(f"{path} {fault}")
    return Listing(path.parent, tuple(dict.fromkeys(names)))


def check(listing: Listing, progress: Callable[[int, int], None] = lambda done, total: None) -> Report:
    """Open every scene and look at its files; nothing that is wrong with one ends it."""
    frames: dict[str, int] = {}
    defects: dict[str, tuple[Defect, ...]] = {}
    left_out: list[str] = []
    for done, name in enumerate(listing.names, start=1):
        try:
            scene = listing.open(name)
        except SceneError as error:
            defects[name] = (error.defect,)
            left_out.append(name)
        else:
            frames[name] = len(scene)
            if scene.notes:
                defects[name] = scene.notes
        progress(done, len(listing))
    return Report(frames, defects, tuple(left_out))


def _open(root: Path, name: str) -> Scene:
    path = root / name
    if path.is_dir():
        return open_folder(path, name)
    if path.parent.suffix == TAR and path.parent.is_file():
        return open_sample(path.parent, path.name, name)
    if is_video(path):
        return open_pair(path, name)
    if path.suffix == ".txt" and path.is_file():
        return open_realestate10k(path, root, name)
    if path.suffix == TAR and path.is_file():
        raise SceneError(name, UNREADABLE, "it is not a tar file")
    raise SceneError(name, NO_CAMERAS, "there is no such scene")


def _found(root: Path) -> Iterator[str]:
    """The names of all that looks like a scene; a folder that is one is not searched further."""
    for where, folders, files in os.walk(root):
        place = Path(where)
        if cameras_in(place) is not None or looks_like_scene(place):
            folders.clear()
            yield place.relative_to(root).as_posix()
            continue
        folders.sort()
        yield from (path.relative_to(root).as_posix() for path in _scenes_of(place, files))


def _scenes_of(place: Path, files: Sequence[str]) -> Iterator[Path]:
    """The scenes that are files of one folder; videos with nothing beside them too, but where RealEstate10K's lie."""
    for name in sorted(files):
        path = place / name
        if path.suffix == TAR:
            yield from _samples(path)
        elif path.suffix == ".txt":
            yield from (path,) if not name.endswith(CAPTION) and is_realestate10k(path) else ()
        elif is_video(path) and place.name != _VIDEOS:
            rows = path.with_suffix(".txt")
            yield from () if rows.is_file() and is_realestate10k(rows) else (path,)


def _samples(path: Path) -> Iterator[Path]:
    """The samples of a shard; the file itself where it is none, so that opening it says why."""
    try:
        yield from (path / key for key in samples_in(path))
    except ValueError:
        yield path


def _told(defects: Sequence[Defect]) -> str:
    return printable("; ".join(defect.told for defect in defects))

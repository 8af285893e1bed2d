"""Files that a graph names: found in ComfyUI's own folders and nowhere else, links followed."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import folder_paths

from ...raxel_core.strict_json import printable

# Folders that ComfyUI lists among its models and that hold none.
_NO_MODELS = {"custom_nodes", "configs"}
# What stands for the numbers in the names of a series of pictures.
_PATTERN = re.compile(r"%0?\d*d|#|[*?]")
_MOST_OFFERED = 1000
_LONGEST_NAME = 4096
# How many files are offered, and how far a folder is searched for them.
_MOST_LISTED, _DEEPEST, _MOST_LOOKED_AT = 60, 4, 20_000


def readable_path(name: str) -> Path:
    """The file or folder `name`, taken from the input folder or else from the output folder, or from the one that
    "[output]" or "[temp]" after it names; an absolute path stands for itself.

    Raises ValueError unless it lies, links followed, in ComfyUI's input, output, temp or model folders and is there.
    """
    cleaned = name.strip().strip('"').strip()
    if not cleaned or not cleaned.isprintable() or names_a_share(cleaned):
        raise ValueError(f"a path names a file or folder in ComfyUI's input folder, got {printable(name, 80)!r}")
    bare, folder = folder_paths.annotated_filepath(cleaned)
    own = (folder_paths.get_input_directory(), folder_paths.get_output_directory())
    if names_a_share(bare.strip()):
        raise ValueError(f"a path names a file or folder in ComfyUI's input folder, got {cleaned[:80]!r}")
    try:
        named = [Path(place) / bare.strip() for place in ((folder,) if folder else own)]
        there = [place.resolve() for place in named if place.is_symlink() or place.exists()]
        places = there or [named[0].resolve()]
        inside = any(places[0].is_relative_to(root) for root in _readable_roots())
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, a link to itself
        why = getattr(error, "strerror", None) or "it is a link that leads to itself"
        raise ValueError(f"{cleaned[:80]!r} cannot be read: {why}") from error
    if not inside:
        raise ValueError(f"a path lies in ComfyUI's input, output, temp or model folders, {cleaned[:80]!r} does not")
    if not there or not places[0].exists():
        raise ValueError(
            f"there is no file or folder {cleaned[:80]!r} in ComfyUI's input or output folder{_near(bare)}"
        )
    return places[0]


def footage_path(name: str) -> Path:
    """The video file or folder of pictures `name`, as `readable_path`, or such a folder's pictures by a pattern
    (f_%04d.png, f_####.png, f_*.png), which no file is called."""
    bare, _ = folder_paths.annotated_filepath(name.strip())
    pattern = Path(bare).name if _PATTERN.search(Path(bare).name) else ""
    if not pattern.isprintable():
        raise ValueError(f"a path names a file or folder in ComfyUI's input folder, got {printable(name, 80)!r}")
    path = readable_path(f"{Path(bare).parent.as_posix()}{name.strip()[len(bare) :]}" if pattern else name)
    for file in path.glob("*") if path.is_dir() else ():
        if not _leads_inside(file, path):
            raise ValueError(f"{printable(file.name, 80)!r} is a link that leads out of the folder of the pictures")
    return path / pattern if pattern else path


def _leads_inside(file: Path, folder: Path) -> bool:
    """Whether `file`, links followed, lies in `folder`; False for a link to itself."""
    try:
        return file.resolve().is_relative_to(folder)
    except (OSError, RuntimeError):
        return False


def model_file(kind: str, name: str) -> Path:
    """The file `name` among ComfyUI's models of a `kind`, as diffusion_models; ValueError where there is none."""
    path = folder_paths.get_full_path(kind, name) if name.isprintable() and len(name) <= _LONGEST_NAME else None
    if path is None:
        raise ValueError(f"there is no file {printable(name, 80)!r} in ComfyUI's models/{kind}")
    return Path(path)


def names_a_share(name: str) -> bool:
    """Whether a path names another machine's files (//host/share): Windows would log on there to look."""
    return name.replace("\\", "/").startswith("//")


def _near(name: str) -> str:
    """What the folder of `name` in the input and output folders holds, the likeliest first, to end a sentence."""
    offered = []
    for kind, folder in (("", folder_paths.get_input_directory()), (" [output]", folder_paths.get_output_directory())):
        place = (Path(folder) / name.strip()).parent
        if place.is_dir() and place.resolve().is_relative_to(Path(folder).resolve()):
            below = place.relative_to(folder).as_posix()
            names = (entry.name for entry in islice(place.iterdir(), _MOST_OFFERED))
            offered += [f"{'' if below == '.' else below + '/'}{entry}{kind}" for entry in names if entry[:1] != "."]
    likely = get_close_matches(name.strip(), offered, n=3, cutoff=0.3)
    return f"; there is {', '.join(printable(entry, 60) for entry in likely)}" if likely else ""


def camera_files(suffixes: Collection[str], folders_with: Collection[str]) -> list[str]:
    """The names, as `readable_path` takes them, of files that end in one of `suffixes` and of folders that hold one of
    `folders_with`, in the input folder and then in the output folder, each newest first and at most 60.

    Folders are looked into as deep as `_DEEPEST`, and no more than `_MOST_LOOKED_AT` entries; links are not followed.
    """
    places = (("", folder_paths.get_input_directory()), (" [output]", folder_paths.get_output_directory()))
    return [
        f"{name}{kind}"
        for kind, root in places
        for name in _newest(Path(root), tuple(suffixes), frozenset(folders_with))[:_MOST_LISTED]
    ]


def _newest(root: Path, suffixes: tuple[str, ...], folders_with: frozenset[str]) -> list[str]:
    """The names from `root` on of what `camera_files` looks for, the newest first."""
    found: dict[str, float] = {}
    left = _MOST_LOOKED_AT
    for folder, below, names in os.walk(root):
        inside = Path(folder).relative_to(root)
        left -= len(names) + len(below)
        below[:] = [] if len(inside.parts) >= _DEEPEST or left < 0 else [name for name in below if name[:1] != "."]
        whole = inside.parts and folders_with & set(names)
        told = [""] if whole else [name for name in names if name.lower().endswith(suffixes)]
        for name in told:
            path = root / inside / name
            if path.name[:1] != "." and path.name.isprintable() and path.exists():  # gone since it was listed
                found[(inside / name).as_posix()] = path.lstat().st_mtime
    return sorted(found, key=lambda name: (-found[name], name))


def fingerprint(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of each file of the footage `path`: it changes when one of them does."""
    alone = (path,) if path.exists() else path.parent.glob("*")  # pictures by a pattern
    stats = ((file, file.stat()) for file in (path.rglob("*") if path.is_dir() else alone) if file.is_file())
    return tuple(sorted((str(file), stat.st_mtime_ns, stat.st_size) for file, stat in stats))


def _readable_roots() -> list[Path]:
    """ComfyUI's input, output, temp and model folders, links followed."""
    models = [
        folder
        for kind in folder_paths.folder_names_and_paths
        if kind not in _NO_MODELS
        for folder in folder_paths.get_folder_paths(kind)
    ]
    own = (
        folder_paths.get_input_directory(),
        folder_paths.get_output_directory(),
        folder_paths.get_temp_directory(),
        folder_paths.models_dir,
    )
    return [Path(folder).resolve() for folder in (*own, *models)]

"""Files that a graph names: found in ComfyUI's own folders and nowhere else, links followed."""

from __future__ import annotations

from pathlib import Path

import folder_paths

# Folders that ComfyUI lists among its models and that hold none.
_NO_MODELS = {"custom_nodes", "configs"}


def readable_path(name: str) -> Path:
    """The file or folder `name`, taken from the input folder, or from the one that "[output]" or "[temp]" after it
    names; an absolute path stands for itself.

    Raises ValueError unless it lies, links followed, in ComfyUI's input, output, temp or model folders and is there.
    """
    cleaned = name.strip().strip('"')
    if not cleaned or "\0" in cleaned:
        raise ValueError(f"a path names a file or folder in ComfyUI's input folder, got {name[:80]!r}")
    bare, folder = folder_paths.annotated_filepath(cleaned)
    path = (Path(folder or folder_paths.get_input_directory()) / bare.strip()).resolve()
    if not any(path.is_relative_to(root) for root in _readable_roots()):
        raise ValueError(f"a path lies in ComfyUI's input, output, temp or model folders, {name[:80]!r} does not")
    if not path.exists():
        raise ValueError(
            f"there is no file or folder {name[:80]!r} in ComfyUI's folders; expected one below {path.parent}"
        )
    return path


def fingerprint(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of each file that a reader of `path` may open: it changes when one of them does."""
    beside = (path, path.with_suffix(".json"), path.with_name("intrinsics.npy"), path.with_name("poses.npy"))
    files = path.rglob("*") if path.is_dir() else beside
    stats = ((file, file.stat()) for file in files if file.is_file())
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

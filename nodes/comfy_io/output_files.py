"""Files in ComfyUI's output folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import folder_paths

from ...raxel_core.atomic_file import replacing


@dataclass(frozen=True)
class SavedFile:
    """A file in ComfyUI's output folder: its `name`, and its folder there, "" for the output folder itself."""

    name: str
    subfolder: str

    @property
    def path_in_output(self) -> str:
        """The path from the output folder on, with slashes, as ComfyUI's nodes for files take it."""
        return f"{self.subfolder}/{self.name}" if self.subfolder else self.name

    @property
    def entry(self) -> dict[str, str]:
        """What the browser is told of it."""
        return {"filename": self.name, "subfolder": self.subfolder, "type": "output"}


def save_output_file(prefix: str, suffix: str, content: bytes) -> SavedFile:
    """Write `content` under the next free number of `prefix`, as 3d/path_00001_.glb, whole or not at all.

    Raises ValueError as in `next_output_path`.
    """
    file, subfolder = next_output_path(prefix, suffix)
    with replacing(file) as temporary:
        temporary.write_bytes(content)
    return SavedFile(file.name, subfolder)


def next_output_path(prefix: str, suffix: str) -> tuple[Path, str]:
    """The next free file of `prefix` in ComfyUI's output folder, as 3d/path_00001_.glb, and its folder there ("" for
    the output folder itself).

    Raises ValueError when the prefix leads out of the output folder, links followed.
    """
    root = Path(folder_paths.get_output_directory()).resolve()
    if not (root / prefix).resolve().is_relative_to(root) or not Path(prefix).name:
        raise ValueError(f"a filename prefix leads to a file in ComfyUI's output folder, got {prefix!r}")
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, str(root))
    return Path(folder) / f"{name}_{counter:05}_{suffix}", Path(subfolder).as_posix() if subfolder else ""

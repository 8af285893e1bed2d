"""Files in ComfyUI's output folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import folder_paths

from ...raxel_core.atomic_file import replacing
from ...raxel_core.strict_json import printable
from .input_files import names_a_share


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
    the output folder itself). ComfyUI's variables in the prefix, as %year%, are filled in.

    Raises ValueError when the prefix leads out of the output folder, links followed, or no file can have that name.
    """
    root = Path(folder_paths.get_output_directory()).resolve()
    filled = _filled(prefix)  # before the check: what the variables become may be a link
    if not filled.isprintable() or names_a_share(filled) or not Path(filled).name:
        raise ValueError(f"a filename prefix leads to a file in ComfyUI's output folder, got {printable(prefix, 80)!r}")
    try:
        if not (root / filled).resolve().is_relative_to(root):
            raise ValueError(f"a filename prefix leads to a file in ComfyUI's output folder, got {prefix[:80]!r}")
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(filled, str(root))
        path = Path(folder) / f"{name}_{counter:05}_{suffix}"
        if not path.resolve().is_relative_to(root):
            raise ValueError(f"{printable(prefix, 80)!r} leads through a link out of ComfyUI's output folder")
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "it is a link that leads to itself"
        raise ValueError(f"no file can be written at {printable(prefix, 80)!r}: {why}") from error
    return path, Path(subfolder).as_posix() if subfolder else ""


def _filled(prefix: str) -> str:
    """`prefix` with ComfyUI's variables filled in, as `get_save_image_path` does; there is no picture's size."""
    now = time.localtime()
    values = {
        "width": "0",
        "height": "0",
        "year": f"{now.tm_year}",
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for name, value in values.items():
        prefix = prefix.replace(f"%{name}%", value)
    return prefix

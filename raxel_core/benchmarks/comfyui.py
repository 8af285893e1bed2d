"""The ComfyUI that a benchmark compares with: the one in COMFYUI_PATH, run by the interpreter that runs this."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pkgutil import resolve_name


def comfyui_folder() -> str | None:
    """The folder of ComfyUI that the environment names."""
    return os.getenv("COMFYUI_PATH")


def keep_comfyui_on_the_cpu() -> None:
    """Tell ComfyUI not to look for a GPU when it is imported, as its flag --cpu does; ImportError without ComfyUI."""
    resolve_name("comfy.cli_args").args.cpu = True


@contextmanager
def importable(folder: str | None) -> Iterator[None]:
    """Look for modules in `folder` first, while this lasts; None changes nothing."""
    if folder is None:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)

"""pycolmap, an optional package: found when it is needed, its log kept off the user's terminal."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

_MISSING = "solving cameras needs the package pycolmap, which is not installed: pip install pycolmap"


class MissingPackageError(ValueError):
    """An optional package that is not installed, with the line that installs it."""


def is_installed() -> bool:
    """Whether pycolmap is there."""
    return find_spec("pycolmap") is not None


def load_pycolmap() -> Any:
    """The module pycolmap, which says errors only; MissingPackageError when it is not installed."""
    if not is_installed():
        raise MissingPackageError(_MISSING)
    pycolmap = import_module("pycolmap")
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    return pycolmap

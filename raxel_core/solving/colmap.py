"""pycolmap, an optional package: found when it is needed, its log kept off the user's terminal."""

from __future__ import annotations

from typing import Any

_MISSING = "solving cameras needs the package pycolmap, which is not installed: pip install pycolmap"


class MissingPackageError(ValueError):
    """An optional package that is not installed, with the line that installs it."""


def load_pycolmap() -> Any:
    """The module pycolmap, its log silenced; MissingPackageError when it is not installed."""
    try:
        import pycolmap
    except ImportError as error:
        raise MissingPackageError(_MISSING) from error
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    return pycolmap

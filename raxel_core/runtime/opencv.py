"""OpenCV, which four packages bring as one module, so that none of them is asked for beside another."""

from __future__ import annotations

from typing import Any

_MISSING = (
    "this needs OpenCV, which this Python has not: pip install opencv-python "
    "(on a server without a display, opencv-python-headless; never two of its packages)"
)


def load_opencv() -> Any:
    """The module cv2; ValueError with the package to install where there is none."""
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise ValueError(_MISSING) from error
    return cv2

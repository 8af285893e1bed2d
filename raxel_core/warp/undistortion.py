"""Pictures of a distorted lens as the largest pinhole inside them sees the same, by OpenCV's remap."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from ..atomic_file import replacing
from ..geometry.distortion import Lens, undistortion_map
from ..runtime.opencv import load_opencv


def undistort_picture(picture: Path, target: Path, lens: Lens) -> None:
    """Write `picture`, taken by `lens`, as `target`, of the same size and kind, as `lens.pinhole()` sees it.

    Raises ValueError when the picture cannot be read or has another size than the lens says, OSError when `target`
    cannot be written.
    """
    cv2 = load_opencv()
    image = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f"{picture} is not a picture that OpenCV reads")
    if image.shape[:2] != lens.hw:
        shown = f"{image.shape[1]}x{image.shape[0]}"
        raise ValueError(f"{picture} is {shown}, the cameras are for pictures of {lens.hw[1]}x{lens.hw[0]}")
    encoded, data = cv2.imencode(target.suffix, undistorted(image, lens))
    if not encoded:
        raise ValueError(f"{target} has no ending of a picture")
    with replacing(target) as temporary:
        temporary.write_bytes(data.tobytes())


def undistorted(image: np.ndarray, lens: Lens, *, nearest: bool = False) -> np.ndarray:
    """A picture [H, W, ...] taken by `lens` as `lens.pinhole()` sees it, of the same size; with `nearest` no value is
    mixed of several, as depth wants it."""
    cv2 = load_opencv()
    return cv2.remap(image, *_maps(lens), cv2.INTER_NEAREST if nearest else cv2.INTER_CUBIC)


@lru_cache(maxsize=4)
def _maps(lens: Lens) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel lies in the lens's picture, along x and along y."""
    x, y = undistortion_map(lens, lens.pinhole()).unbind(-1)
    return x.contiguous().numpy(), y.contiguous().numpy()

"""A lens that zooms: what was found in its pictures as one lens for all frames would have seen it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from .colmap import load_pycolmap
from .features import FeatureTable
from .matching import Correspondences

Found = tuple[FeatureTable, Sequence[Correspondences]]


def unzoomed(
    table: FeatureTable, found: Sequence[Correspondences], principal_point: tuple[float, float], zoom: Tensor
) -> Found:
    """The table and what its frames have in common, about the principal point made smaller by the `zoom` [F] of each
    frame, in a database of its own beside the first."""
    middle, growth = np.array(principal_point), zoom.tolist()

    def shrunk(pixels: np.ndarray, frame: int) -> np.ndarray:
        return middle + (pixels - middle) / growth[frame]

    path = table.path.with_name("unzoomed.db")
    shutil.copy(table.path, path)
    keypoints = [shrunk(pixels, frame) for frame, pixels in enumerate(table.keypoints)]
    with load_pycolmap().Database.open(path) as database:
        for frame, pixels in enumerate(keypoints):
            database.update_keypoints(frame + 1, pixels.astype(np.float32))
    pairs = [
        pair._replace(
            pixels_first=shrunk(pair.pixels_first, pair.first), pixels_second=shrunk(pair.pixels_second, pair.second)
        )
        for pair in found
    ]
    return replace(table, path=path, keypoints=keypoints), pairs

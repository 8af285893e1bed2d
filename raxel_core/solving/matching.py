"""Which frames are held against which, and the correspondences that a two-view geometry confirms."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .colmap import load_pycolmap
from .features import FeatureTable, image_name

MATCHING = ("auto", "sequential", "exhaustive")
MOST_PHOTOGRAPHS = 24
"""Up to this many frames "auto" holds every frame against every other."""
_ANCHORS = 9
_PAIRS_AT_ONCE = 100


class Correspondences(NamedTuple):
    """What two frames have in common: their numbers, and pixels [n, 2] of each that show the same."""

    first: int
    second: int
    pixels_first: np.ndarray
    pixels_second: np.ndarray


def frame_pairs(frames: int, matching: str = "auto") -> list[tuple[int, int]]:
    """The pairs (i, j), i < j, to match.

    "exhaustive": all. "sequential": a frame with those 1, 2, 4, 8, ... frames on, and, so that a camera that comes back
    closes its loop, some frames spread over the clip with each other. ValueError for another name.
    """
    if matching not in MATCHING:
        raise ValueError(f"a matching is one of {', '.join(MATCHING)}, got {matching!r}")
    if matching == "exhaustive" or (matching == "auto" and frames <= MOST_PHOTOGRAPHS):
        return [(i, j) for i in range(frames) for j in range(i + 1, frames)]
    steps = [2**k for k in range(20)]
    pairs = {(i, i + step) for step in steps for i in range(frames - step)}
    anchors = sorted({round(k * (frames - 1) / (_ANCHORS - 1)) for k in range(_ANCHORS)})
    return sorted(pairs | {(i, j) for i in anchors for j in anchors if i < j})


def match_frames(table: FeatureTable, pairs: list[tuple[int, int]], *, done: Callable[[int, int], None]) -> None:
    """Match the pairs and verify them, in the table's database; `done(count, total)` may raise between them."""
    pycolmap = load_pycolmap()
    listing = table.path.with_name("pairs.txt")
    options = pycolmap.FeatureMatchingOptions()
    geometry = pycolmap.TwoViewGeometryOptions(detect_watermark=False)
    # Else every run draws other samples, keeps other matches, and finds another focal length where few tell it.
    geometry.ransac.random_seed = 0
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[start : start + _PAIRS_AT_ONCE]
        listing.write_text("".join(f"{image_name(i)} {image_name(j)}\n" for i, j in some), encoding="ascii")
        pairing = pycolmap.ImportedPairingOptions(match_list_path=listing)
        pycolmap.match_image_pairs(table.path, options, pairing, geometry, pycolmap.Device.cpu)
        done(start + len(some), len(pairs))


def read_correspondences(table: FeatureTable) -> list[Correspondences]:
    """The confirmed correspondences of every pair that has some."""
    pycolmap = load_pycolmap()
    with pycolmap.Database.open(table.path) as database:
        numbers, geometries = database.read_two_view_geometries()
    found = []
    for number, geometry in zip(numbers, geometries, strict=True):
        first, second = (image - 1 for image in pycolmap.pair_id_to_image_pair(number))
        matches = np.asarray(geometry.inlier_matches)
        if len(matches):
            pixels = table.keypoints[first][matches[:, 0]], table.keypoints[second][matches[:, 1]]
            found.append(Correspondences(first, second, *pixels))
    return found

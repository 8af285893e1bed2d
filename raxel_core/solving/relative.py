"""How the frames of every matched pair lie to each other, for one focal length, and which details move by themselves.

COLMAP's mapper takes the motion of a pair from the homography that explains most of it, at a tolerance of four pixels.
A camera that drives towards a wall, or moves little, looks like that for many frames, and the homography taken apart
then turns for what was a drive. A five-point essential matrix at a tolerance of half a pixel has no such choice: it
holds for a plane, and a pair that only turned gets the right rotation with some direction.

Who walks follows a camera's epipolar lines between two frames that are near, hardly between frames far apart; so every
pair votes on the details it has, and one that is found astray in several is left out of all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from .colmap import load_pycolmap
from .features import CAMERA_ID, FeatureTable

# Correspondences of a pair that are used, evenly picked; more of them tell little and take their time.
_PER_PAIR = 300
_TOLERANCE_PX = 0.5
_LEAST_TRIALS, _MOST_TRIALS = 50, 1000
# A match farther than this from its epipolar line is astray; a detail astray in two pairs and this share of all moves.
_ASTRAY_PX = 2.0
_MOST_ASTRAY = 0.2


class _Pair(NamedTuple):
    """Two frames, their geometry as the database has it, its `matches` [n, 2], and which of them are `astray` [n]."""

    first: int
    second: int
    geometry: Any
    matches: np.ndarray
    astray: np.ndarray


def write_relative_poses(database: Any, table: FeatureTable, frames: Collection[int] | None = None) -> None:
    """Give every confirmed pair of `frames` (all by default) in the database its motion by the database's camera, and
    take out the matches of details that move by themselves, and pairs without a motion."""
    pycolmap = load_pycolmap()
    camera = database.read_camera(CAMERA_ID)
    kept = set(range(len(table)) if frames is None else frames)
    pairs = []
    for number, geometry in zip(*database.read_two_view_geometries(), strict=True):
        first, second = (image - 1 for image in pycolmap.pair_id_to_image_pair(number))
        if {first, second} <= kept:
            database.delete_two_view_geometry(first + 1, second + 1)
            pairs += _measured(camera, table, first, second, geometry)
    moves = _moving(pairs, table)
    for pair in pairs:
        still = ~(pair.astray | moves[pair.first][pair.matches[:, 0]] | moves[pair.second][pair.matches[:, 1]])
        pair.geometry.inlier_matches = pair.matches[still]
        database.write_two_view_geometry(pair.first + 1, pair.second + 1, pair.geometry)


def _measured(camera: Any, table: FeatureTable, first: int, second: int, geometry: Any) -> list[_Pair]:
    """The pair with its essential matrix, in a list that is empty where no five matches agree on one."""
    pycolmap = load_pycolmap()
    matches = np.asarray(geometry.inlier_matches)
    if not len(matches):
        return []
    pixels = [table.keypoints[frame][matches[:, side]] for side, frame in enumerate((first, second))]
    picked = np.linspace(0, len(matches) - 1, min(len(matches), _PER_PAIR)).astype(int)
    options = pycolmap.RANSACOptions(
        max_error=_TOLERANCE_PX, random_seed=0, min_num_trials=_LEAST_TRIALS, max_num_trials=_MOST_TRIALS
    )
    found = pycolmap.estimate_essential_matrix(*(side[picked] for side in pixels), camera, camera, options)
    if found is None:
        return []
    geometry.cam2_from_cam1, geometry.E = found["cam2_from_cam1"], found["E"]
    geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
    return [_Pair(first, second, geometry, matches, _off_px(camera, found["E"], *pixels) > _ASTRAY_PX)]


def _off_px(camera: Any, E: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[n]: how far pixels [n, 2] of two frames are from each other's epipolar lines (Sampson's distance)."""
    x, y = (np.concatenate((camera.cam_from_img(side), np.ones((len(side), 1))), axis=-1) for side in (first, second))
    lines = x @ E.T, y @ E
    size = np.sqrt(np.square(lines[0][:, :2]).sum(-1) + np.square(lines[1][:, :2]).sum(-1))
    return np.abs((y * lines[0]).sum(-1)) / np.maximum(size, 1e-12) * camera.mean_focal_length()


def _moving(pairs: list[_Pair], table: FeatureTable) -> list[np.ndarray]:
    """For every frame, bool for every detail: whether it moves by itself."""
    seen, astray = ([np.zeros(len(each), dtype=int) for each in table.keypoints] for _ in range(2))
    for pair in pairs:
        for side, frame in enumerate((pair.first, pair.second)):
            seen[frame][pair.matches[:, side]] += 1
            astray[frame][pair.matches[pair.astray, side]] += 1
    return [(off >= 2) & (off > _MOST_ASTRAY * of) for off, of in zip(astray, seen, strict=True)]

"""Frames -> features, in a COLMAP database: one frame in memory at a time for each worker."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime.opencv import load_opencv
from .colmap import load_pycolmap
from .lens import Lens

Progress = Callable[[int, int], None]
CAMERA_ID = 1
# A picture with its longer side below this many pixels is searched at twice its size, as COLMAP does for all.
_SMALL = 960
# COLMAP keeps somewhat more, the coarser ones first.
_MOST_FEATURES = 1000


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame: `rgb` uint8 [H, W, 3]; where it may be looked at, `mask` bool [H, W], all of it by default; and its
    number in the footage, its place among the frames by default."""

    rgb: np.ndarray
    mask: np.ndarray | None = None
    number: int | None = None


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """What was found: the database, the size (height, width) it was found at, and for every frame the keypoints [n, 2]
    in pixels of that size, their `scales` [n] (how many such pixels wide the detail is, as a standard deviation) and
    colours [n, 3]. Frame f is image f + 1 of the database."""

    path: Path
    hw: tuple[int, int]
    keypoints: list[np.ndarray] = field(default_factory=list)
    scales: list[np.ndarray] = field(default_factory=list)
    colours: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.keypoints)


def image_name(frame: int) -> str:
    """What the database calls frame number `frame`."""
    return f"{frame:07d}"


def fitted_hw(hw: tuple[int, int], most: int) -> tuple[int, int]:
    """`hw` shrunk, where its width or height is above `most`, so that the larger is `most`."""
    share = min(1.0, most / max(hw))
    return max(1, round(hw[0] * share)), max(1, round(hw[1] * share))


def find_features(
    pictures: Iterable[Picture],
    folder: Path,
    lens_for: Callable[[tuple[int, int]], Lens],
    *,
    most: int,
    done: Callable[[int], None],
) -> FeatureTable:
    """Find features in every picture, at most `most` pixels wide and high, and keep them in a database in `folder`.

    `lens_for(hw)` gives the lens of pictures of that size; `done(count)` is called after every picture and may raise.
    ValueError when there is no picture or they differ in size.
    """
    table: FeatureTable | None = None
    first_hw: tuple[int, int] | None = None
    pycolmap = load_pycolmap()
    workers = os.cpu_count() or 1
    # Features are found on all cores; the database takes one writer, this thread.
    with ThreadPoolExecutor(workers) as pool:
        for count, (hw, fitted, found) in enumerate(_found(pictures, pool, workers, most), start=1):
            if table is None:
                first_hw = hw
                table = FeatureTable(folder / "features.db", fitted)
                database = pycolmap.Database.open(table.path)
                _write_camera(database, lens_for(fitted))
            if hw != first_hw:
                raise ValueError(
                    f"frames of one size are expected, frame {count - 1} has {hw} and the first {first_hw}"
                )
            _write_image(database, table, found)
            done(count)
    if table is None:
        raise ValueError("there is no frame to solve cameras of")
    database.close()
    return table


def colmap_camera(lens: Lens) -> Any:
    """`lens` as COLMAP has it: OPENCV when it is known and distorts, PINHOLE when it is known, else SIMPLE_RADIAL."""
    pycolmap = load_pycolmap()
    if lens.known and lens.distorts:
        model, parameters = "OPENCV", [*lens.focal, *lens.principal_point, *lens.distortion]
    elif lens.known:
        model, parameters = "PINHOLE", [*lens.focal, *lens.principal_point]
    else:
        focal = (lens.focal[0] * lens.focal[1]) ** 0.5
        model, parameters = "SIMPLE_RADIAL", [focal, *lens.principal_point, lens.distortion[0]]
    return pycolmap.Camera(
        camera_id=CAMERA_ID,
        model=model,
        width=lens.hw[1],
        height=lens.hw[0],
        params=parameters,
        has_prior_focal_length=not lens.assumed,
    )


def _found(
    pictures: Iterable[Picture], pool: ThreadPoolExecutor, workers: int, most: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[Any, ...]]]:
    """For every picture in order: its size, the size it was searched at, and what was found."""
    waiting: deque[Future] = deque()
    for picture in pictures:
        waiting.append(pool.submit(_search, picture, most))
        if len(waiting) > workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _search(picture: Picture, most: int) -> tuple[tuple[int, int], tuple[int, int], tuple[Any, ...]]:
    """Keypoints, descriptors and colours of one picture."""
    pycolmap, cv2 = load_pycolmap(), load_opencv()
    hw = picture.rgb.shape[:2]
    fitted = fitted_hw(hw, most)
    rgb = picture.rgb if hw == fitted else cv2.resize(picture.rgb, fitted[::-1], interpolation=cv2.INTER_AREA)
    options = pycolmap.FeatureExtractionOptions(num_threads=1)
    options.sift.max_num_features = _MOST_FEATURES
    options.sift.first_octave = -1 if max(fitted) < _SMALL else 0
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    extractor = pycolmap.FeatureExtractor.create(options, pycolmap.Device.cpu)
    keypoints, descriptors = extractor.extract_from_uint8_array(grey)
    matrix = pycolmap.keypoints_to_matrix(keypoints)
    columns = matrix[:, 0].astype(int).clip(0, fitted[1] - 1)
    rows = matrix[:, 1].astype(int).clip(0, fitted[0] - 1)
    if picture.mask is not None:
        mask = cv2.resize(picture.mask.astype(np.uint8), fitted[::-1], interpolation=cv2.INTER_NEAREST)
        kept = mask[rows, columns] > 0
        matrix, rows, columns = matrix[kept], rows[kept], columns[kept]
        descriptors.data = descriptors.data[kept]
    return hw, fitted, (matrix, descriptors, rgb[rows, columns])


def _write_camera(database: Any, lens: Lens) -> None:
    pycolmap = load_pycolmap()
    camera = colmap_camera(lens)
    database.write_camera(camera, use_camera_id=True)
    rig = pycolmap.Rig(rig_id=CAMERA_ID)
    rig.add_ref_sensor(camera.sensor_id)
    database.write_rig(rig, use_rig_id=True)


def _write_image(database: Any, table: FeatureTable, found: tuple[Any, ...]) -> None:
    pycolmap = load_pycolmap()
    matrix, descriptors, colours = found
    number = len(table) + 1
    image = pycolmap.Image(name=image_name(len(table)), camera_id=CAMERA_ID, image_id=number)
    database.write_image(image, use_image_id=True)
    frame = pycolmap.Frame(frame_id=number, rig_id=CAMERA_ID)
    frame.add_data_id(image.data_id)
    database.write_frame(frame, use_frame_id=True)
    database.write_keypoints(number, matrix)
    database.write_descriptors(number, descriptors)
    table.keypoints.append(matrix[:, :2].astype(np.float64))
    table.scales.append(matrix[:, 2])
    table.colours.append(colours)

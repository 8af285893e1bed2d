"""COLMAP models, text and binary: a folder with cameras, images and points3D, in and out.

Poses are world-to-camera with OpenCV axes, quaternions (w, x, y, z); pixels count from the image's corner, centres at
+0.5, as ours. Images sorted by name are the frames. Sizes are in the files; rate and unit are not.
Source: COLMAP's documentation, "Output Format".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from types import ModuleType

import torch

from ..geometry import se3
from ..geometry.estimate import Estimate
from ..geometry.sparse_points import SparsePoints
from ..geometry.trajectory import Trajectory
from . import colmap_binary, colmap_text
from .clip import Frames, reading_of
from .colmap_model import ColmapCamera, ColmapImage, ColmapPoint, lens, observed, world_from_cam
from .format import CameraFormat, write_together
from .frame_names import frame_name
from .parsing import listed
from .pinhole import without_skew
from .reading import Assumed, CameraFormatError, Reading

_TEXT, _BINARY = ("cameras.txt", "images.txt"), ("cameras.bin", "images.bin")
# Where COLMAP and nerfstudio put a model below a project's folder.
_BELOW = ("", "sparse/0", "sparse", "colmap/sparse/0", "0")
# A project may hold so many models, numbered from 0.
_MOST_MODELS = 1000


def _write_text_model(
    path: Path, cameras: list[ColmapCamera], images: list[ColmapImage], points: list[ColmapPoint]
) -> tuple[Path, ...]:
    if _folder(path, _BINARY) == path:
        raise CameraFormatError(
            f"{path.name} is not written: a binary model lies there, which COLMAP would read instead"
        )
    texts = (colmap_text.cameras_text(cameras), colmap_text.images_text(images), colmap_text.points_text(points))
    return _write_folder(path, (*_TEXT, "points3D.txt"), [text.encode() for text in texts])


def _write_binary_model(
    path: Path, cameras: list[ColmapCamera], images: list[ColmapImage], points: list[ColmapPoint]
) -> tuple[Path, ...]:
    contents = [
        colmap_binary.cameras_bytes(cameras),
        colmap_binary.images_bytes(images),
        colmap_binary.points_bytes(points),
    ]
    return _write_folder(path, (*_BINARY, "points3D.bin"), contents)


def _reading(
    cameras: dict[int, ColmapCamera],
    images: list[ColmapImage],
    format_name: str,
    path: Path,
    assumed: Assumed,
    warnings: tuple[str, ...],
) -> Reading:
    """The reading of parsed records."""
    if not images:
        raise CameraFormatError(f"{path.name}: expected a COLMAP model with images, found none")
    missing = next((image for image in images if image.camera not in cameras), None)
    if missing is not None:
        raise CameraFormatError(f"{missing.where}: expected a camera of the model, found number {missing.camera}")
    lenses = {key: lens(cameras[key], f"{path.name} camera {key}") for key in {image.camera for image in images}}
    frames = Frames(
        world_from_cam(images),
        [lenses[image.camera] for image in images],
        names=[image.name for image in images],
        cameras=[f"camera {image.camera}" for image in images],
    )
    return reading_of(
        frames, format_name, path.name, assumed,
        convention="Poses are world-to-camera with OpenCV axes and were inverted; no axis was flipped. The "
        "model's points were not read.",
        lens_from="the model's cameras", warnings=warnings,
    )  # fmt: skip


def _records(trajectory: Trajectory, file_name: str) -> tuple[list[ColmapCamera], list[ColmapImage]]:
    """One PINHOLE for each K there is, and an image a frame."""
    rows = [tuple(row) for row in without_skew(trajectory, file_name).tolist()]
    lenses = {row: number for number, row in enumerate(dict.fromkeys(rows), start=1)}
    cam_from_world = se3.inverse(trajectory.camera.world_from_cam.double())
    quaternion = se3.quaternion_from_rotation(cam_from_world[:, :3, :3])
    poses = torch.cat((quaternion, cam_from_world[:, :3, 3]), dim=-1).tolist()
    images = [
        ColmapImage(tuple(row), lenses[lens], frame_name(number), "")
        for number, row, lens in zip(trajectory.frame_numbers, poses, rows, strict=True)
    ]
    return [ColmapCamera("PINHOLE", trajectory.camera.hw, lens) for lens in lenses], images


def _estimate_records(
    estimate: Estimate, file_name: str
) -> tuple[list[ColmapCamera], list[ColmapImage], list[ColmapPoint]]:
    """The records of the path, its images named as the pictures are, or by their frames, and its points."""
    cameras, images = _records(estimate.trajectory, file_name)
    names = picture_names(estimate) or [frame_name(number) for number in estimate.footage.frames]
    named = [replace(image, name=name) for image, name in zip(images, names, strict=True)]
    if estimate.points is None:
        return cameras, named, []
    return cameras, *observed(estimate.points, named)


def picture_names(estimate: Estimate) -> list[str] | None:
    """The names of the pictures; None where not all have one of their own that COLMAP's text can hold."""
    if not estimate.footage.pictures:
        return None
    names = [estimate.footage.pictures[number] for number in estimate.footage.frames]
    plain = all(name.isprintable() and name.split() == [name] for name in names)
    return names if plain and len(set(names)) == len(names) else None


def _folder(path: Path, names: tuple[str, ...]) -> Path | None:
    """The folder with all `names` that `path` leads to."""
    start = path.parent if path.name in names else path
    below = (start / place for place in _BELOW)
    return next((folder for folder in below if _holds(folder, names)), None)


def _existing_folder(path: Path, names: tuple[str, ...]) -> tuple[Path, tuple[str, ...]]:
    """The folder with all `names` that `path` leads to, the largest model of several, and a warning of the others."""
    first = _folder(path, names)
    if first is None:
        raise CameraFormatError(f"{path.name}: expected a folder with {' and '.join(names)}, found none")
    numbered = (first.parent / str(number) for number in range(_MOST_MODELS))
    models = list(takewhile(lambda folder: _holds(folder, names), numbered)) if first.name == "0" != path.name else []
    if len(models) < 2:
        return first, ()
    largest = max(models, key=lambda folder: (folder / names[1]).stat().st_size)
    told = f"{len(models)} models ({listed(folder.name for folder in models)}), each in axes of its own"
    return largest, (f"{first.parent.name} holds {told}: {largest.name}, the largest, was read; name another's folder",)


def _holds(folder: Path, names: tuple[str, ...]) -> bool:
    return all((folder / name).is_file() for name in names)


def _write_folder(path: Path, names: tuple[str, ...], contents: list[bytes]) -> tuple[Path, ...]:
    """Write `contents` as the files `names`, all of them or none."""
    path.mkdir(parents=True, exist_ok=True)
    return write_together({path / name: content for name, content in zip(names, contents, strict=True)})


def _colmap(
    name: str,
    title: str,
    patterns: tuple[str, ...],
    files: tuple[str, str],
    parser: ModuleType,
    write_model: Callable[..., tuple[Path, ...]],
) -> CameraFormat:
    """The format whose cameras and images are `files` in a folder, read by `parser`."""

    def read(path: Path, assumed: Assumed) -> Reading:
        folder, warnings = _existing_folder(path, files)
        cameras = parser.parse_cameras(folder / files[0])
        return _reading(cameras, parser.parse_images(folder / files[1]), name, path, assumed, warnings)

    def write_points(trajectory: Trajectory, points: SparsePoints, path: Path) -> tuple[Path, ...]:
        cameras, images = _records(trajectory, path.name)
        return write_model(path, cameras, *observed(points, images))

    return CameraFormat(
        name=name,
        title=title,
        suffix="",
        patterns=patterns,
        recognise=lambda content: _folder(content.path, files) is not None,
        read=read,
        write=lambda trajectory, path: write_model(path, *_records(trajectory, path.name), []),
        write_estimate=lambda estimate, path, _: write_model(path, *_estimate_records(estimate, path.name)),
        write_points=write_points,
        leaves_out=("rate", "unit"),
    )


TEXT = _colmap("colmap", "COLMAP text model, a folder", ("colmap", "sparse"), _TEXT, colmap_text, _write_text_model)
BINARY = _colmap(
    "colmap_binary", "COLMAP binary model, a folder", ("colmap_binary",), _BINARY, colmap_binary, _write_binary_model
)

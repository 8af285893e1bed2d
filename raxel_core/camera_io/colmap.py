"""COLMAP models, text and binary: a folder with cameras, images and points3D, in and out.

Poses are world-to-camera with OpenCV axes, quaternions (w, x, y, z); pixels count from the image's corner, centres at
+0.5, as ours. Images sorted by name are the frames. Sizes are in the files; rate and unit are not.
Source: COLMAP's documentation, "Output Format".
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from ..geometry import se3
from ..geometry.camera import K_from_focal
from ..geometry.estimate import Estimate
from ..geometry.trajectory import Trajectory
from . import colmap_binary, colmap_text
from .colmap_model import ColmapCamera, ColmapImage, ColmapPoint, observed, pinhole, world_from_cam
from .format import CameraFormat, assumed_unit, trajectory_of, write_together
from .frame_names import frame_name, in_order
from .pinhole import without_skew
from .reading import Assumed, CameraFormatError, Reading

_TEXT, _BINARY = ("cameras.txt", "images.txt"), ("cameras.bin", "images.bin")
# Where COLMAP and nerfstudio put a model below a project's folder.
_BELOW = ("", "sparse/0", "sparse", "colmap/sparse/0", "0")
_SHOWN_WARNINGS = 3


def _recognise_text(path: Path) -> bool:
    return _folder(path, _TEXT) is not None


def _recognise_binary(path: Path) -> bool:
    return _folder(path, _BINARY) is not None


def _read_text(path: Path, assumed: Assumed) -> Reading:
    folder = _existing_folder(path, _TEXT)
    cameras = colmap_text.parse_cameras(folder / _TEXT[0])
    return _reading(cameras, colmap_text.parse_images(folder / _TEXT[1]), TEXT.name, path, assumed)


def _read_binary(path: Path, assumed: Assumed) -> Reading:
    folder = _existing_folder(path, _BINARY)
    cameras = colmap_binary.parse_cameras(folder / _BINARY[0])
    return _reading(cameras, colmap_binary.parse_images(folder / _BINARY[1]), BINARY.name, path, assumed)


def _write_text(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    return _write_text_model(path, *_records(trajectory, path.name), [])


def _write_text_estimate(estimate: Estimate, path: Path) -> tuple[Path, ...]:
    return _write_text_model(path, *_estimate_records(estimate, path.name))


def _write_text_model(
    path: Path, cameras: list[ColmapCamera], images: list[ColmapImage], points: list[ColmapPoint]
) -> tuple[Path, ...]:
    if _folder(path, _BINARY) == path:
        raise CameraFormatError(
            f"{path.name} is not written: a binary model lies there, which COLMAP would read instead"
        )
    texts = (colmap_text.cameras_text(cameras), colmap_text.images_text(images), colmap_text.points_text(points))
    return _write_folder(path, (*_TEXT, "points3D.txt"), [text.encode() for text in texts])


def _write_binary(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    return _write_binary_model(path, *_records(trajectory, path.name), [])


def _write_binary_estimate(estimate: Estimate, path: Path) -> tuple[Path, ...]:
    return _write_binary_model(path, *_estimate_records(estimate, path.name))


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
    cameras: dict[int, ColmapCamera], images: list[ColmapImage], format_name: str, path: Path, assumed: Assumed
) -> Reading:
    """The trajectory of parsed records."""
    order, warnings = in_order([image.name for image in images])
    images = [images[index] for index in order]
    K, hw, lens_warnings = _K(cameras, images, path.name)
    trajectory, mended = trajectory_of(world_from_cam(images), K, hw, path.name, fps=assumed.fps, unit=assumed.unit)
    models = sorted({cameras[image.camera].model for image in images})
    notes = (
        f"{len(images)} images in the order of their names, from {images[0].name[:80]!r} to {images[-1].name[:80]!r}.",
        "Poses are world-to-camera with OpenCV axes and were inverted; no axis was flipped.",
        f"K comes from the model's cameras ({', '.join(models)}), images are {hw[1]} x {hw[0]}; its pixels are ours.",
        f"Time: {assumed.fps:g} frames a second, assumed; the format has none.",
        assumed_unit(assumed),
        *mended,
    )
    return Reading(trajectory, format_name, notes, (*warnings, *lens_warnings))


def _K(
    cameras: dict[int, ColmapCamera], images: list[ColmapImage], source: str
) -> tuple[torch.Tensor, tuple[int, int], tuple[str, ...]]:
    """K [F, 3, 3], the one size of all images, and warnings of distortions left out."""
    if not images:
        raise CameraFormatError(f"{source}: expected a COLMAP model with images, found none")
    missing = next((image for image in images if image.camera not in cameras), None)
    if missing is not None:
        raise CameraFormatError(f"{missing.where}: expected a camera of the model, found number {missing.camera}")
    used = {image.camera: cameras[image.camera] for image in images}
    sizes = sorted({camera.hw for camera in used.values()})
    if len(sizes) > 1:
        shown = ", ".join(f"{width} x {height}" for height, width in sizes[:3])
        raise CameraFormatError(f"{source}: expected images of one size, found {shown}")
    lenses = {key: pinhole(camera, f"{source} camera {key}") for key, camera in used.items()}
    warnings = [warning for _, lens in lenses.values() for warning in lens]
    if len(warnings) > _SHOWN_WARNINGS:
        more = len(warnings) - _SHOWN_WARNINGS
        warnings = [*warnings[:_SHOWN_WARNINGS], f"the distortion of {more} more cameras was left out too"]
    rows = torch.tensor([lenses[image.camera][0] for image in images], dtype=torch.float64)
    return K_from_focal(rows[:, :2], rows[:, 2:]), sizes[0], tuple(warnings)


def _records(trajectory: Trajectory, source: str) -> tuple[list[ColmapCamera], list[ColmapImage]]:
    """One PINHOLE for each K there is, and an image a frame."""
    rows = [tuple(row) for row in without_skew(trajectory, source).tolist()]
    lenses = {row: number for number, row in enumerate(dict.fromkeys(rows), start=1)}
    cam_from_world = se3.inverse(trajectory.camera.world_from_cam.double())
    quaternion = se3.quaternion_from_rotation(cam_from_world[:, :3, :3])
    poses = torch.cat((quaternion, cam_from_world[:, :3, 3]), dim=-1).tolist()
    images = [
        ColmapImage(tuple(row), lenses[lens], frame_name(index), "")
        for index, (row, lens) in enumerate(zip(poses, rows, strict=True))
    ]
    return [ColmapCamera("PINHOLE", trajectory.camera.hw, lens) for lens in lenses], images


def _estimate_records(
    estimate: Estimate, source: str
) -> tuple[list[ColmapCamera], list[ColmapImage], list[ColmapPoint]]:
    """The records of the path, its images named by their frames in the footage, and its points."""
    cameras, images = _records(estimate.trajectory, source)
    named = [replace(image, name=frame_name(n)) for image, n in zip(images, estimate.footage.frames, strict=True)]
    if estimate.points is None:
        return cameras, named, []
    return cameras, *observed(estimate.points, named)


def _folder(path: Path, names: tuple[str, ...]) -> Path | None:
    """The folder with all `names` that `path` leads to."""
    start = path.parent if path.name in names else path
    below = (start / place for place in _BELOW)
    return next((folder for folder in below if all((folder / name).is_file() for name in names)), None)


def _existing_folder(path: Path, names: tuple[str, ...]) -> Path:
    folder = _folder(path, names)
    if folder is None:
        raise CameraFormatError(f"{path.name}: expected a folder with {' and '.join(names)}, found none")
    return folder


def _write_folder(path: Path, names: tuple[str, ...], contents: list[bytes]) -> tuple[Path, ...]:
    """Write `contents` as the files `names`, all of them or none."""
    path.mkdir(parents=True, exist_ok=True)
    return write_together({path / name: content for name, content in zip(names, contents, strict=True)})


TEXT = CameraFormat(
    name="colmap",
    title="COLMAP text model, a folder",
    suffix="",
    patterns=("colmap", "sparse"),
    recognise=_recognise_text,
    read=_read_text,
    write=_write_text,
    write_estimate=_write_text_estimate,
)
BINARY = CameraFormat(
    name="colmap_binary",
    title="COLMAP binary model, a folder",
    suffix="",
    patterns=("colmap_binary",),
    recognise=_recognise_binary,
    read=_read_binary,
    write=_write_binary,
    write_estimate=_write_binary_estimate,
)

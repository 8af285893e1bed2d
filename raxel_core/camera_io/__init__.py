"""Camera files of other programs, in and out: all foreign conventions end here."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import torch

from ..geometry.estimate import Estimate
from ..geometry.trajectory import Trajectory
from . import (
    after_effects,
    blender_py,
    camera_path,
    camera_rows,
    colmap,
    gltf,
    kitti,
    lingbot,
    nerfstudio,
    nuke_chan,
    realestate10k,
    recammaster,
    scope,
    tum,
    usda,
    vllm_omni,
)
from .format import CameraFormat
from .plausibility import doubts
from .reading import Assumed, CameraFormatError, Reading
from .source import reading_from

# In the order in which a file is held against them: what is told for sure stands before bare tables of numbers.
FORMATS: tuple[CameraFormat, ...] = (
    camera_path.FORMAT,
    colmap.BINARY,
    colmap.TEXT,
    nerfstudio.FORMAT,
    usda.FORMAT,
    gltf.FORMAT,
    nuke_chan.FORMAT,
    blender_py.FORMAT,
    after_effects.FORMAT,
    recammaster.FORMAT,
    vllm_omni.FORMAT,
    camera_rows.FORMAT,
    lingbot.FORMAT,
    scope.FORMAT,
    realestate10k.FORMAT,
    kitti.FORMAT,
    tum.FORMAT,
)


def format_named(name: str) -> CameraFormat:
    """The format called `name`; ValueError that lists them otherwise."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise ValueError(
        f"there is no camera format {name[:40]!r}; there are: {', '.join(known.name for known in FORMATS)}"
    )


def read_cameras(path: str | Path, *, format: str | None = None, assumed: Assumed | None = None) -> Reading:
    """The cameras in the file or folder `path`, and in words how it was read.

    Without a `format` (one name of FORMATS) the content decides. `assumed` holds what a format does not say. Raises
    CameraFormatError in one sentence when the content is no cameras, ValueError for an unknown format.
    """
    path = Path(path)
    with reading_from(path):
        reading = (format_of(path) if format is None else format_named(format)).read(path, assumed or Assumed())
    return replace(reading, warnings=(*reading.warnings, *doubts(reading.trajectory)))


def write_cameras(trajectory: Trajectory, path: str | Path, *, format: str | None = None) -> tuple[Path, ...]:
    """Write `trajectory` as `path`, whole files or none, and return the files; computed in float64.

    Without a `format` the name of `path` decides. Raises CameraFormatError when the format cannot hold the cameras or
    the name does not decide, ValueError for an unknown format, OSError when nothing can be written there.
    """
    path = Path(path)
    chosen = _format_for(path) if format is None else format_named(format)
    try:
        camera = trajectory.camera.validate().to("cpu", torch.float64)
    except ValueError as error:
        raise CameraFormatError(f"{path.name} is not written: {error}") from error
    return chosen.write(replace(trajectory, camera=camera), path)


def write_estimate(estimate: Estimate, path: str | Path, *, format: str | None = None) -> tuple[Path, ...]:
    """Write the path of `estimate` as `write_cameras` does, with what the format can hold of the rest.

    camera_path holds all but the points, COLMAP's models hold the points.
    """
    path = Path(path)
    chosen = _format_for(path) if format is None else format_named(format)
    if chosen.write_estimate is None:
        return write_cameras(estimate.trajectory, path, format=chosen.name)
    return chosen.write_estimate(estimate, path)


def format_of(path: Path) -> CameraFormat:
    """The first format that recognises the content of `path`; CameraFormatError when none does."""
    try:
        there = path.exists()
    except (OSError, ValueError) as error:  # no name that a file can have
        raise CameraFormatError(f"{path.name[:80]}: expected a file or folder of cameras, {error}") from error
    if not there:
        raise CameraFormatError(f"{path.name[:80]}: expected a file or folder of cameras, found nothing there")
    for known in FORMATS:
        if known.recognise(path):
            return known
    names = ", ".join(known.name for known in FORMATS)
    raise CameraFormatError(f"{path.name}: expected cameras in one of the formats {names}, its content is none of them")


def _format_for(path: Path) -> CameraFormat:
    """The format that a file called `path` is written in: the longest of their patterns that fits decides."""
    name = path.name.lower()
    fits = [(len(pattern), known) for known in FORMATS for pattern in known.patterns if fnmatchcase(name, pattern)]
    longest = max((length for length, _ in fits), default=0)
    fitting = [known for length, known in fits if length == longest]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(known.name for known in fitting or FORMATS)
    raise CameraFormatError(f"{path.name}: its name does not tell the format, expected one to be chosen of {names}")

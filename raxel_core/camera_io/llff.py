"""LLFF's poses_bounds.npy [F, 17]: for each picture a 3 x 5 matrix, row by row, and the near and far depth.

The matrix is camera-to-world with the axes down, right and backwards, and in its last column height, width and focal
length in pixels. Source: github.com/Fyusion/LLFF, README ("Using your own poses"). Not held: times, units.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ..atomic_file import replacing
from ..geometry import se3
from ..geometry.distortion import Lens
from ..geometry.trajectory import Trajectory
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat, npy_bytes
from .parsing import read_npy
from .pinhole import centred_square, lens_of
from .reading import Assumed, CameraFormatError, Reading

_COLUMNS = 17
# What the format asks for and a path does not know: the depths between which there is something to see.
_BOUNDS = (0.1, 100.0)


def _recognise(content: Content) -> bool:
    return len(content.shape) == 2 and content.shape[1] == _COLUMNS


def _read(path: Path, assumed: Assumed) -> Reading:
    values = read_npy(path)
    if values.ndim != 2 or values.shape[1] != _COLUMNS:
        raise CameraFormatError(f"{path.name}: expected shape [F, {_COLUMNS}], found {list(values.shape)}")
    rows = values[:, :15].unflatten(-1, (3, 5))
    down, right, back, center, size = rows.unbind(-1)
    motions = se3.from_rotation_translation(torch.stack((right, down, -back), dim=-1), center)
    lenses = [_lens(row, f"{path.name} row {index}") for index, row in enumerate(size.tolist())]
    told = "Matrices are camera-to-world (c2w) with the axes down, right and backwards; turned to OpenCV axes."
    return reading_of(
        Frames(motions, lenses), FORMAT.name, path.name, assumed, convention=told, lens_from="the fifth column"
    )


def _lens(size: list[float], where: str) -> Lens:
    height, width, focal = size
    if not (1.0 <= height <= 1e6 and 1.0 <= width <= 1e6):
        raise CameraFormatError(f"{where}: expected height and width in pixels, found {height:g} and {width:g}")
    hw = (round(height), round(width))
    return lens_of(hw, (focal, focal, 0.5 * width, 0.5 * height), where)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    focal = centred_square(trajectory, path.name)
    right, down, forward = trajectory.camera.rotation.unbind(-1)
    size = torch.stack((*(torch.full_like(focal, float(pixels)) for pixels in trajectory.camera.hw), focal), dim=-1)
    rows = torch.stack((down, right, -forward, trajectory.camera.center, size), dim=-1).flatten(1)
    values = torch.cat((rows, rows.new_tensor(_BOUNDS).expand(len(rows), 2)), dim=-1)
    with replacing(path) as temporary:
        temporary.write_bytes(npy_bytes(values, torch.float64))
    return (path,)


FORMAT = CameraFormat(
    name="llff",
    title="LLFF poses_bounds.npy (square pixels, centred)",
    suffix=".npy",
    patterns=("poses_bounds.npy",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("rate", "unit", "gaps"),
)

"""RealEstate10K .txt, which CameraCtrl, MotionCtrl, AC3D and Wan Fun-Camera read too.

The first line names the video; each further one is a frame of 19 columns: time in microseconds, fx fy cx cy divided by
the picture's width and height, two zeros, and the upper 3x4 of the world-to-camera matrix in OpenCV axes, row by row.
Source: https://google.github.io/realestate10k/download.html. Not held: the picture's size, units, skew.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.camera import K_from_focal
from ..geometry.trajectory import Trajectory
from .format import CameraFormat, assumed_unit, motions_of, row_text, trajectory_of
from .inversion import inversion_warning
from .pinhole import without_skew
from .reading import Assumed, Reading
from .source import first_row, parse_table, read_text
from .timestamps import rate_of

_COLUMNS = 19
_PER_SECOND = 1e6
# fx W and fy H within this share of each other are square pixels.
_SQUARE = 0.01


def _recognise(path: Path) -> bool:
    return first_row(path, skip=1) == _COLUMNS


def _read(path: Path, assumed: Assumed) -> Reading:
    text = read_text(path)
    heading = text.partition("\n")[0].strip()
    skip = 0 if len(heading.split()) == _COLUMNS else 1
    rows = parse_table(text, path.name, _COLUMNS, skip=skip).values
    fps, time_note, warnings = rate_of(rows[:, 0], _PER_SECOND, assumed.fps)
    world_from_cam = se3.inverse(motions_of(rows[:, 7:]))
    K, K_note, K_warnings = K_from_shares(rows[:, 1:7], assumed.hw)
    name = heading if skip else ""
    trajectory, mended = trajectory_of(
        world_from_cam, K, assumed.hw, path.name, fps=fps, unit=assumed.unit, name=name[:200]
    )
    notes = (
        "Each row is world-to-camera (w2c) in OpenCV axes; it was inverted.",
        K_note,
        time_note,
        assumed_unit(assumed),
        *mended,
    )
    return Reading(trajectory, FORMAT.name, notes, (*K_warnings, *warnings, *inversion_warning(world_from_cam)))


def K_from_shares(shares: Tensor, hw: tuple[int, int]) -> tuple[Tensor, str, tuple[str, ...]]:
    """`K` [F, 3, 3] in pixels of `hw` from rows (fx, fy, cx, cy, k1, k2) [F, 6] in shares of the picture's width and
    height; a note; and warnings about pixels that are not square and distortion that is left out."""
    height, width = hw
    size = shares.new_tensor((width, height))
    focal, principal_point = shares[:, :2] * size, shares[:, 2:4] * size
    warnings = []
    aspect = shares[0, 1] / shares[0, 0] if float(shares[0, 0]) else shares.new_tensor(0.0)
    if abs(float(aspect) * height / width - 1.0) > _SQUARE:
        square = f"{round(min(height * float(aspect), 1e6))}x{height}"
        warnings.append(f"pixels are not square in {width}x{height} but would be in {square}: read it in that size")
    if bool((shares[:, 4:6] != 0.0).any()):
        warnings.append("columns 6 and 7 (k1, k2: distortion) are not zero and were left out")
    note = f"K: from the file, shares of width and height, put into {width}x{height} (assumed)."
    return K_from_focal(focal, principal_point), note, tuple(warnings)


def shares_of_K(trajectory: Trajectory, source: str) -> Tensor:
    """Rows (fx, fy, cx, cy, 0, 0) [F, 6] in shares of width and height; CameraFormatError when K has a skew."""
    height, width = trajectory.camera.hw
    intrinsics = without_skew(trajectory, source)
    size = intrinsics.new_tensor((width, height, width, height))
    return torch.cat((intrinsics / size, torch.zeros_like(intrinsics[:, :2])), dim=-1)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    cam_from_world = trajectory.camera.cam_from_world[:, :3].flatten(1)
    rows = torch.cat((shares_of_K(trajectory, path.name), cam_from_world), dim=-1)
    heading = " ".join(trajectory.name.split()) or "raxel"
    lines = [f"{round(number * _PER_SECOND / trajectory.fps)} {row_text(row)}" for number, row in enumerate(rows)]
    write_text(path, "\n".join((heading, *lines)) + "\n")
    return (path,)


FORMAT = CameraFormat(
    name="realestate10k",
    title="RealEstate10K .txt (CameraCtrl, MotionCtrl, AC3D, Wan Fun-Camera)",
    suffix=".txt",
    patterns=("*.txt",),
    recognise=_recognise,
    read=_read,
    write=_write,
)

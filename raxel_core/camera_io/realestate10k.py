"""RealEstate10K .txt, which CameraCtrl, MotionCtrl, AC3D and Wan Fun-Camera read too.

The first line names the video; each further one is a frame of 19 columns: time in microseconds, fx fy cx cy divided by
the picture's width and height, two zeros, and the upper 3x4 of the world-to-camera matrix in OpenCV axes, row by row.
VideoX-Fun's files have 18, without the time.
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
from .clip import Frames, reading_of
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat, motions_of, row_text
from .parsing import parse_table, read_text
from .pinhole import lenses_of, without_skew
from .reading import Assumed, Reading

_COLUMNS = (18, 19)
_PER_SECOND = 1e6
# fx W and fy H within this share of each other are square pixels.
_SQUARE = 0.01


def _recognise(content: Content) -> bool:
    return content.columns in _COLUMNS and not content.is_json


def _read(path: Path, assumed: Assumed) -> Reading:
    table = parse_table(read_text(path), path.name, _COLUMNS)
    timed = table.values.shape[1] == 19
    rows = table.values[:, int(timed) :]
    world_from_cam = se3.inverse(motions_of(rows[:, 6:]))
    K, K_note, K_warnings = K_from_shares(rows[:, :6], assumed.hw)
    frames = Frames(
        world_from_cam,
        lenses_of(K, assumed.hw, path.name),
        times=table.values[:, 0] if timed else None,
        time_unit="microseconds",
        title=table.heading[0] if table.heading else "",
    )
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention="Each row is world-to-camera (w2c) in OpenCV axes; it was inverted.",
        notes=(K_note,), warnings=(*K_warnings, *inversion_warning(world_from_cam)),
    )  # fmt: skip


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


def shares_of_K(trajectory: Trajectory, file_name: str) -> Tensor:
    """Rows (fx, fy, cx, cy, 0, 0) [F, 6] in shares of width and height; CameraFormatError when K has a skew."""
    height, width = trajectory.camera.hw
    intrinsics = without_skew(trajectory, file_name)
    size = intrinsics.new_tensor((width, height, width, height))
    return torch.cat((intrinsics / size, torch.zeros_like(intrinsics[:, :2])), dim=-1)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    cam_from_world = trajectory.camera.cam_from_world[:, :3].flatten(1)
    rows = torch.cat((shares_of_K(trajectory, path.name), cam_from_world), dim=-1)
    heading = " ".join(trajectory.name.split()) or "raxel"
    stamps = [round(number * _PER_SECOND / trajectory.fps) for number in trajectory.frame_numbers]
    lines = [f"{stamp} {row_text(row)}" for stamp, row in zip(stamps, rows, strict=True)]
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
    leaves_out=("size", "unit"),
)

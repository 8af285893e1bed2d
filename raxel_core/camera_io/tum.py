"""TUM RGB-D trajectories: `time tx ty tz qx qy qz qw`, camera-to-world in OpenCV axes, seconds.

Source: https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats. Many write times in other units, frame numbers
for times, w first (MonST3R), or no times (TartanAir, DROID-SLAM). Frames that were lost, written as nan or zeros, are
gaps. Not held: intrinsics and the picture's size; intrinsics in a file beside are taken (`beside`).
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.trajectory import Trajectory
from .beside import lenses_beside
from .clip import Frames, picked, posed, reading_of
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat, row_text
from .parsing import parse_table, read_text
from .quaternions import motions_of_quaternions, order_warning
from .reading import Assumed, Reading

_COLUMNS = (7, 8)
# MonST3R and those after it write TUM's columns with w first, under one name.
_W_FIRST = re.compile(r"pred_traj(_.*)?\.txt")
# TartanAir's poses have no times, and axes forward, right, down (NED) of camera and world.
_TARTANAIR = re.compile(r"pose_(left|right|[lr]cam_\w+)\.txt")
_OPENCV_FROM_NED = ((0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def _recognise(content: Content) -> bool:
    """8 columns, or 7 that end in a quaternion."""
    if content.suffix == ".chan":
        return False
    if content.columns != 7:
        return content.columns == 8
    return abs(sum(value * value for value in content.first_rows[0][3:]) - 1.0) < 0.02


def _read(path: Path, assumed: Assumed) -> Reading:
    table = parse_table(read_text(path), path.name, _COLUMNS, unknown=True)
    timed = table.values.shape[1] == 8
    kept, lost = posed(table.values, path.name, table.values[:, -4:])
    rows = table.values[kept]
    usual = "wxyz" if _W_FIRST.fullmatch(path.name) else "xyzw"
    order = usual if assumed.quaternions == "auto" else assumed.quaternions
    motions = motions_of_quaternions(
        rows[:, -4:], rows[:, -7:-4], order, lambda row: f"{path.name} line {table.lines[kept[row]]}"
    )
    motions, axes = _in_opencv_axes(motions, path.name)
    told = f"Each row is camera-to-world (c2w) in {axes}, the quaternion as {' '.join(order)}; nothing was inverted."
    lenses, lens_from, doubts = lenses_beside(path, len(table.values), assumed)
    frames = Frames(
        motions, picked(lenses, kept), times=rows[:, 0] if timed else None, numbers=kept if lost and not timed else ()
    )
    doubts = (*doubts, *order_warning(rows[:, -4:], order), *inversion_warning(motions))
    notes = (*lost, *(() if timed else ("The rows have no times.",)))
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention=told, lens_from=lens_from, notes=notes, warnings=doubts,
    )  # fmt: skip


def _in_opencv_axes(motions: Tensor, file_name: str) -> tuple[Tensor, str]:
    """The motions [F, 4, 4] in OpenCV axes, and those that they stand in."""
    if not _TARTANAIR.fullmatch(file_name):
        return motions, "OpenCV axes"
    turn = motions.new_tensor(_OPENCV_FROM_NED)
    return turn @ motions @ turn.mT, "TartanAir's axes (forward, right, down), turned to OpenCV's"


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    quaternions = se3.quaternion_from_rotation(trajectory.camera.rotation)[:, (1, 2, 3, 0)]
    rows = torch.cat((trajectory.camera.center, quaternions), dim=-1)
    stamps = [number / trajectory.fps for number in trajectory.frame_numbers]
    lines = [f"{stamp!r} {row_text(row)}" for stamp, row in zip(stamps, rows, strict=True)]
    write_text(path, "\n".join(("# time tx ty tz qx qy qz qw", *lines)) + "\n")
    return (path,)


FORMAT = CameraFormat(
    name="tum",
    title="TUM RGB-D trajectory (evo, SLAM; no intrinsics)",
    suffix=".tum",
    patterns=("*.tum",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("K", "size", "unit"),
)

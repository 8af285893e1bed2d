"""TUM RGB-D trajectories: `time tx ty tz qx qy qz qw`, camera-to-world in OpenCV axes, seconds.

Source: https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats. Many write times in other units, frame numbers
for times, or w first. Not held: intrinsics and the picture's size.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.trajectory import Trajectory
from .clip import Frames, reading_of
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat, row_text
from .parsing import parse_table, read_text
from .quaternions import motions_of_quaternions, order_warning
from .reading import Assumed, Reading

_COLUMNS = 8


def _recognise(content: Content) -> bool:
    return content.suffix != ".chan" and content.columns == _COLUMNS


def _read(path: Path, assumed: Assumed) -> Reading:
    table = parse_table(read_text(path), path.name, _COLUMNS)
    rows = table.values
    order = "xyzw" if assumed.quaternions == "auto" else assumed.quaternions
    motions = motions_of_quaternions(
        rows[:, 4:], rows[:, 1:4], order, lambda row: f"{path.name} line {table.lines[row]}"
    )
    told = (
        f"Each row is camera-to-world (c2w) in OpenCV axes, the quaternion as {' '.join(order)}; nothing was inverted."
    )
    doubts = (*order_warning(rows[:, 4:], order), *inversion_warning(motions))
    frames = Frames(motions, times=rows[:, 0])
    return reading_of(frames, FORMAT.name, path.name, assumed, convention=told, warnings=doubts)


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

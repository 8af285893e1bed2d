"""TUM RGB-D trajectories: `time tx ty tz qx qy qz qw`, camera-to-world in OpenCV axes, seconds.

Source: https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats. Not held: intrinsics and the picture's size.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.trajectory import Trajectory
from .format import CameraFormat, assumed_K, assumed_unit, row_text, trajectory_of
from .inversion import inversion_warning
from .reading import Assumed, CameraFormatError, Reading
from .source import Table, first_row, parse_table, read_text
from .timestamps import rate_of

_COLUMNS = 8
_UNIT_LENGTH = 1e-2


def _recognise(path: Path) -> bool:
    return path.suffix.lower() != ".chan" and first_row(path) == _COLUMNS


def _read(path: Path, assumed: Assumed) -> Reading:
    table = parse_table(read_text(path), path.name, _COLUMNS)
    rows = table.values
    fps, time_note, warnings = rate_of(rows[:, 0], 1.0, assumed.fps)
    quaternions = _checked(table, path.name)
    rotation = se3.rotation_from_quaternion(quaternions[:, (3, 0, 1, 2)])
    world_from_cam = se3.from_rotation_translation(rotation, rows[:, 1:4])
    K, K_note = assumed_K(assumed)
    trajectory, mended = trajectory_of(world_from_cam, K, assumed.hw, path.name, fps=fps, unit=assumed.unit)
    notes = (
        "Each row is camera-to-world (c2w) in OpenCV axes, the quaternion as x y z w; nothing was inverted.",
        K_note,
        time_note,
        assumed_unit(assumed),
        *mended,
    )
    all_warnings = (*warnings, *_order_warning(quaternions), *inversion_warning(world_from_cam))
    return Reading(trajectory, FORMAT.name, notes, all_warnings)


def _checked(table: Table, source: str) -> Tensor:
    """The quaternions [F, 4] as they stand; CameraFormatError with the line of the first that has not length 1."""
    quaternions = table.values[:, 4:]
    length = torch.linalg.vector_norm(quaternions, dim=-1)
    wrong = ((length - 1.0).abs() > _UNIT_LENGTH).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise CameraFormatError(
            f"{source} line {table.lines[row]}: expected a quaternion of length 1, found {float(length[row]):.4g}"
        )
    return quaternions


def _order_warning(quaternions: Tensor) -> tuple[str, ...]:
    """A warning when the first number of each quaternion looks like w: large all along, with a small last one."""
    first, last = quaternions[:, 0].abs(), quaternions[:, 3].abs()
    if bool((first > 0.7).all()) and bool((last < 0.5).all()):
        return ("the quaternions may stand as w x y z: read so, the path begins near the identity",)
    return ()


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    quaternions = se3.quaternion_from_rotation(trajectory.camera.rotation)[:, (1, 2, 3, 0)]
    rows = torch.cat((trajectory.camera.center, quaternions), dim=-1)
    lines = [f"{number / trajectory.fps!r} {row_text(row)}" for number, row in enumerate(rows)]
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
)

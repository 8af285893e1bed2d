"""KITTI odometry poses: the upper 3x4 of camera-to-world in OpenCV axes, row by row, a frame a line.

Source: the development kit of https://www.cvlibs.net/datasets/kitti/eval_odometry.php. Not held: times, intrinsics and
the picture's size.
"""

from __future__ import annotations

from pathlib import Path

from ..atomic_file import write_text
from ..geometry.trajectory import Trajectory
from .format import CameraFormat, assumed_K, assumed_unit, motions_of, row_text, trajectory_of
from .inversion import inversion_warning
from .reading import Assumed, Reading
from .source import first_row, parse_table, read_text

_COLUMNS = 12


def _recognise(path: Path) -> bool:
    return first_row(path) == _COLUMNS


def _read(path: Path, assumed: Assumed) -> Reading:
    world_from_cam = motions_of(parse_table(read_text(path), path.name, _COLUMNS).values)
    K, K_note = assumed_K(assumed)
    trajectory, mended = trajectory_of(world_from_cam, K, assumed.hw, path.name, fps=assumed.fps, unit=assumed.unit)
    notes = (
        "Each row is camera-to-world (c2w) in OpenCV axes; nothing was inverted.",
        K_note,
        f"Time: {assumed.fps:g} frames a second, assumed; the format has none.",
        assumed_unit(assumed),
        *mended,
    )
    return Reading(trajectory, FORMAT.name, notes, inversion_warning(world_from_cam))


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    rows = trajectory.camera.world_from_cam[:, :3].flatten(1)
    write_text(path, "".join(f"{row_text(row)}\n" for row in rows))
    return (path,)


FORMAT = CameraFormat(
    name="kitti",
    title="KITTI odometry poses (no times, no intrinsics)",
    suffix=".kitti",
    patterns=("*.kitti",),
    recognise=_recognise,
    read=_read,
    write=_write,
)

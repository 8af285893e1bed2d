"""Bare matrices as rows of numbers: 12 (KITTI odometry) or 16 (Replica, VGGT-Long), with a frame's number before them
or not (KITTI-360).

Camera-to-world in OpenCV axes, row by row. Source: the development kit of
https://www.cvlibs.net/datasets/kitti/eval_odometry.php; https://www.cvlibs.net/datasets/kitti-360, whose poses.txt are
those of the IMU and whose cam0_to_world.txt those of the camera. Frames that were lost, written as nan or zeros, are
gaps. Not held: times, intrinsics and the picture's size; intrinsics in a file beside are taken (`beside`).
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..atomic_file import write_text
from ..geometry.trajectory import Trajectory
from .beside import lenses_beside
from .clip import Frames, picked, posed, reading_of
from .content import Content
from .direction import world_from_bare
from .format import CameraFormat, motions_of, row_text
from .parsing import Table, parse_table, read_text
from .reading import Assumed, CameraFormatError, Reading


def _recognise_kitti(content: Content) -> bool:
    return content.columns == 12


def _recognise_rows(content: Content) -> bool:
    return content.columns in (13, 16, 17)


def _read_kitti(path: Path, assumed: Assumed) -> Reading:
    return _reading(parse_table(read_text(path), path.name, 12, unknown=True), KITTI.name, path, assumed)


def _read_rows(path: Path, assumed: Assumed) -> Reading:
    return _reading(parse_table(read_text(path), path.name, (13, 16, 17), unknown=True), ROWS.name, path, assumed)


def _reading(table: Table, format: str, path: Path, assumed: Assumed) -> Reading:
    columns = table.values.shape[1]
    numbered = columns in (13, 17)
    matrices = table.values[:, int(numbered) :]
    kept, lost = posed(matrices, path.name)
    bare = full_motions(matrices[kept], path.name)
    motions, told, doubts = world_from_bare(bare, assumed.direction, path.stem)
    numbers = _numbers(table, path.name) if numbered else list(range(len(matrices))) if lost else []
    lenses, lens_from, lens_doubts = lenses_beside(path, len(matrices), assumed)
    frames = Frames(motions, picked(lenses, kept), numbers=picked(numbers, kept))
    notes = (f"The first of each {columns} numbers is the frame's.",) if numbered else ()
    return reading_of(
        frames, format, path.name, assumed,
        convention=told, lens_from=lens_from, notes=(*notes, *lost), warnings=(*doubts, *lens_doubts),
    )  # fmt: skip


def full_motions(rows: Tensor, file_name: str) -> Tensor:
    """Motions [F, 4, 4] of rows [F, 12] or [F, 16]; CameraFormatError when a last row is not 0 0 0 1."""
    if rows.shape[1] == 12:
        return motions_of(rows)
    if not bool((rows[:, 12:] == rows.new_tensor((0.0, 0.0, 0.0, 1.0))).all()):
        transposed = bool((rows[:, 3:15:4] == 0.0).all())
        doubt = ": they are written by columns" if transposed else ""
        raise CameraFormatError(f"{file_name}: expected matrices whose last row is 0 0 0 1{doubt}")
    return rows.unflatten(-1, (4, 4))


def _numbers(table: Table, file_name: str) -> list[int]:
    given = table.values[:, 0]
    wrong = ((given != given.round()) | given.isnan() | (given < 0.0) | (given > 1e9)).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise CameraFormatError(
            f"{file_name} line {table.lines[row]}: expected a frame's number before the matrix, as 13 and 17 columns "
            f"begin with one, found {given[row]:g}"
        )
    return [int(number) for number in given.tolist()]


def _write_kitti(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    rows = trajectory.camera.world_from_cam[:, :3].flatten(1)
    write_text(path, "".join(f"{row_text(row)}\n" for row in rows))
    return (path,)


def _write_rows(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    """With a frame's number first where the path has gaps, which is KITTI-360's form."""
    rows = trajectory.camera.world_from_cam.flatten(1)
    numbers = [""] * len(rows) if trajectory.numbers is None else [f"{number} " for number in trajectory.numbers]
    write_text(path, "".join(f"{number}{row_text(row)}\n" for number, row in zip(numbers, rows, strict=True)))
    return (path,)


KITTI = CameraFormat(
    name="kitti",
    title="KITTI odometry poses (no times, no intrinsics)",
    suffix=".kitti",
    patterns=("*.kitti",),
    recognise=_recognise_kitti,
    read=_read_kitti,
    write=_write_kitti,
    leaves_out=("K", "size", "rate", "unit", "gaps"),
)
ROWS = CameraFormat(
    name="matrix_rows",
    title="16 numbers a line (Replica, VGGT-Long), KITTI-360's with the frame's number",
    suffix=".txt",
    patterns=("traj.txt", "camera_poses.txt", "cam0_to_world.txt"),
    recognise=_recognise_rows,
    read=_read_rows,
    write=_write_rows,
    leaves_out=("K", "size", "rate", "unit"),
)

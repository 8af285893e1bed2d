"""Intrinsics that stand in a file of their own beside a trajectory that has none."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..geometry.camera import K_from_focal
from ..geometry.distortion import Lens
from .parsing import parse_table, read_text
from .pinhole import lenses_of, size_of
from .reading import Assumed, CameraFormatError

# Stray Scanner's, MonST3R's, and what VGGT-Long and others call theirs.
_NAMES = ("camera_matrix.csv", "pred_intrinsics.txt", "intrinsic.txt", "intrinsics.txt")


def lenses_beside(path: Path, count: int, assumed: Assumed) -> tuple[list[Lens], str, tuple[str, ...]]:
    """The lenses of `count` frames from a file beside `path`, its name, and warnings; none where no such file is there.

    It holds one K, or one a frame: rows of fx fy cx cy, rows of 9, or three rows of 3.
    """
    file = next((path.with_name(name) for name in _NAMES if path.with_name(name).is_file()), None)
    if file is None or file == path:
        return [], "", ()
    K = _matrices(parse_table(read_text(file), file.name, (3, 4, 9)).values, file.name)
    if len(K) not in (1, count):
        return [], "", (f"{file.name} beside it has {len(K)} intrinsics for {count} frames and was left out",)
    hw, doubts = size_of(K, {}, assumed.hw)
    return lenses_of(K.expand(count, 3, 3), hw, file.name), f"{file.name} beside it", doubts


def _matrices(rows: Tensor, file_name: str) -> Tensor:
    """K [N, 3, 3] of a file's rows."""
    columns = rows.shape[1]
    square = columns == 4 and len(rows) in (3, 4) and bool((rows[2, :3] == rows.new_tensor((0.0, 0.0, 1.0))).all())
    if square or (columns == 3 and len(rows) == 3):
        return K_from_focal(rows[:2, :2].diagonal(), rows[:2, 2])[None]
    if columns == 3:
        raise CameraFormatError(f"{file_name}: expected intrinsics of three rows of 3 numbers, found {len(rows)} rows")
    picked = rows if columns == 4 else rows[:, (0, 4, 2, 5)]
    return K_from_focal(picked[:, :2], picked[:, 2:])

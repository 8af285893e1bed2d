"""A file a frame, or a block a frame: ScanNet's and 7-Scenes' pose/N.txt, Open3D's and Redwood's .log.

Each file holds the 4 x 4 of camera-to-world in OpenCV axes; ScanNet writes -inf where a frame has no pose. A .log has
three whole numbers before each 4 x 4; others stack the matrices without. Intrinsics are read from intrinsic/ beside a
folder called pose.
Source: github.com/ScanNet/ScanNet, SensReader; Open3D, io/file_format/FileLOG.cpp. Not held: times, sizes, units.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from ..geometry.camera import K_from_focal
from ..geometry.distortion import Lens
from .beside import lenses_beside
from .clip import Frames, picked, posed, reading_of
from .content import Content
from .direction import world_from_bare
from .format import CameraFormat
from .frame_names import in_order, numbers_in
from .matrix_rows import full_motions
from .parsing import MOST_FRAMES, check_frames, columns_of, is_number, parse_table, read_text
from .pinhole import lenses_of, size_of
from .reading import Assumed, CameraFormatError, Reading

_NAMED = re.compile(r"(?:.*[^0-9])?[0-9]+(?:[._-]pose)?\.(?:txt|pose)", re.IGNORECASE)
_NO_POSE = re.compile(r"[-+]?(?:inf|nan)", re.IGNORECASE)
# What a folder of poses is called; intrinsics are looked for beside no other.
_FOLDERS = ("pose", "poses")
# How far from orthonormal the first rotation of a stack may be.
_ORTHONORMAL = 1e-2
_INTRINSICS = ("intrinsic_color.txt", "intrinsic_depth.txt", "intrinsics.txt", "intrinsic.txt")


def _recognise(content: Content) -> bool:
    if content.is_folder:
        first = next((name for name in content.files if _NAMED.fullmatch(name)), None)
        inner = content.path / "pose"
        return (first is not None and Content(content.path / first).rows[:4] == (4,) * 4) or (
            not first and "pose" in content.files and _recognise(Content(inner))
        )
    return content.rows[:6] == (3, 4, 4, 4, 4, 3) or content.rows == (3, 4, 4, 4, 4) or _is_blocks(content)


def _is_blocks(content: Content) -> bool:
    """Rows of 4, each three or four of them a matrix: one below the other, as numpy's savetxt writes a stack."""
    rows = content.first_rows
    if content.columns != 4 or len(rows) < 3 or content.is_json:
        return False
    turn = torch.tensor(rows[:3], dtype=torch.float64)[:, :3]
    return float((turn @ turn.mT - torch.eye(3, dtype=torch.float64)).abs().max()) < _ORTHONORMAL


def _read(path: Path, assumed: Assumed) -> Reading:
    if not path.is_dir():
        return _read_log(path, assumed)
    folder = path / "pose" if (path / "pose").is_dir() else path
    names = [entry.name for entry in islice(folder.iterdir(), MOST_FRAMES + 1) if _NAMED.fullmatch(entry.name)]
    check_frames(len(names), path.name)
    names = [names[index] for index in in_order(names)[0]]
    found = [(name, _matrix(folder / name)) for name in names]
    posed = [(name, matrix) for name, matrix in found if matrix is not None]
    check_frames(len(posed), f"{path.name}, files with a pose")
    bare = full_motions(torch.stack([matrix for _, matrix in posed]), path.name)
    motions, told, doubts = world_from_bare(bare, assumed.direction, folder.name)
    kept = [name for name, _ in posed]
    without = len(found) - len(posed)
    notes = (f"{without} of {len(found)} files hold no pose (inf or nan).",) if without else ()
    numbers = numbers_in(kept)[0] or ()
    lenses, lens_doubts = _lenses(folder, assumed, len(kept))
    frames = Frames(motions, lenses, names=kept, numbers=numbers)
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention=told, lens_from="the intrinsics beside them", notes=notes, warnings=(*doubts, *lens_doubts),
    )  # fmt: skip


def _read_log(path: Path, assumed: Assumed) -> Reading:
    """Blocks of a row of three whole numbers and four of four, or matrices alone."""
    if _is_blocks(Content(path)):
        return _read_blocks(path, assumed)
    tokens = [column for line in read_text(path).splitlines() for column in columns_of(line)]
    wrong = next((token for token in tokens if not is_number(token)), None)
    if wrong is not None or len(tokens) % 19:
        found = repr(wrong[:40]) if wrong is not None else f"{len(tokens)} numbers"
        raise CameraFormatError(f"{path.name}: expected blocks of 3 and 4 x 4 numbers, found {found}")
    check_frames(len(tokens) // 19, path.name)
    rows = (
        torch.tensor([float(token) for token in tokens], dtype=torch.float64).clamp(-1e30, 1e30).unflatten(0, (-1, 19))
    )
    motions, told, doubts = world_from_bare(full_motions(rows[:, 3:], path.name), assumed.direction, path.stem)
    numbers = rows[:, 0].long().tolist()
    rising = all(b > a for a, b in zip(numbers, numbers[1:], strict=False))
    frames = Frames(motions, numbers=numbers if rising else ())
    return reading_of(frames, FORMAT.name, path.name, assumed, convention=told, warnings=doubts)


def _read_blocks(path: Path, assumed: Assumed) -> Reading:
    """Matrices of four rows of 4, or of three, one below the other."""
    values = parse_table(read_text(path), path.name, 4, unknown=True).values
    full = not len(values) % 4 and bool((values[3::4] == values.new_tensor((0.0, 0.0, 0.0, 1.0))).all(-1).any())
    height = 4 if full else 3
    if len(values) % height:
        raise CameraFormatError(
            f"{path.name}: expected rows of 4 numbers, three or four a matrix, found {len(values)} rows"
        )
    matrices = values.unflatten(0, (-1, height))[:, :3].flatten(1)
    kept, lost = posed(matrices, path.name)
    motions, told, doubts = world_from_bare(full_motions(matrices[kept], path.name), assumed.direction, path.stem)
    lenses, lens_from, lens_doubts = lenses_beside(path, len(matrices), assumed)
    frames = Frames(motions, picked(lenses, kept), numbers=kept if lost else ())
    return reading_of(
        frames, FORMAT.name, path.name, assumed, convention=told, lens_from=lens_from,
        notes=(f"Each {height} rows are a matrix.", *lost), warnings=(*doubts, *lens_doubts),
    )  # fmt: skip


def _matrix(path: Path) -> Tensor | None:
    """The 16 numbers in a file; None where they are those of a frame without a pose."""
    text = read_text(path, most=2**16)
    if _NO_POSE.search(text):
        return None
    values = parse_table(text, path.name, 4).values
    if len(values) not in (3, 4):
        raise CameraFormatError(f"{path.name}: expected 4 rows of 4 numbers, found {len(values)}")
    return torch.cat((values, values.new_tensor(((0.0, 0.0, 0.0, 1.0),))))[:4].flatten()


def _lenses(folder: Path, assumed: Assumed, count: int) -> tuple[list[Lens], tuple[str, ...]]:
    """The lens that stands beside the poses, once a frame, and warnings of its size; none where none does."""
    beside = (folder.parent / "intrinsic", folder.parent) if folder.name.lower() in _FOLDERS else ()
    places = (*beside, folder)
    file = next((place / name for place in places for name in _INTRINSICS if (place / name).is_file()), None)
    if file is None:
        return [], ()
    values = parse_table(read_text(file, most=2**16), file.name, (3, 4)).values
    if len(values) < 3:
        raise CameraFormatError(f"{file.name}: expected a matrix of intrinsics, found {len(values)} rows")
    K = K_from_focal(values[:2, :2].diagonal(), values[:2, 2])
    hw, doubts = size_of(K[None], {}, assumed.hw)
    return lenses_of(K.expand(count, 3, 3), hw, file.name), doubts


FORMAT = CameraFormat(
    name="matrix_files",
    title="a 4x4 a file (ScanNet pose/, 7-Scenes) or a block (Open3D, Redwood .log, a stack of matrices)",
    suffix="",
    patterns=(),
    recognise=_recognise,
    read=_read,
)

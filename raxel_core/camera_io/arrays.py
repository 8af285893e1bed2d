"""NumPy files of camera estimators: .npz of VGGT, Depth Anything 3, MegaSaM, ViPE and CUT3R, and bare .npy.

`extrinsic(s)` of VGGT and DA3 are world-to-camera [F, 3, 4]; `cam_c2w` of MegaSaM, `data` of ViPE (with the frames'
numbers `inds`) and `pose` of CUT3R (a file a frame) are camera-to-world [F, 4, 4]; all in OpenCV axes. Intrinsics are
matrices or fx fy cx cy, in pixels of the pictures beside them. A bare .npy is [F, 4, 4], [F, 3, 4], [1, F, 4, 4] or
DROID-SLAM's [F, 7] (x y z qx qy qz qw): its trajectories are camera-to-world, the poses.npy of a reconstruction, which
has disps.npy beside it, world-to-camera. JSON may spell the same arrays out. Frames that an estimator lost (nan,
infinity, zeros) are gaps.
Source: facebookresearch/vggt demo, ByteDance-Seed/Depth-Anything-3 export, mega-sam cvd_opt, nv-tlabs/vipe io,
CUT3R demo. Not held: times, units.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..atomic_file import replacing
from ..geometry.camera import K_from_focal
from ..geometry.distortion import Lens
from ..geometry.trajectory import Trajectory
from .archive import npz_shapes, read_npz
from .clip import Frames, picked, posed, reading_of
from .content import Content
from .direction import world_from_bare
from .format import CameraFormat, motions_of
from .frame_names import in_order, numbers_in
from .matrix_rows import full_motions
from .parsing import MOST_FRAMES, check_frames, listed, number, read_json, read_npy, sequence
from .pinhole import lenses_of, size_of, without_skew
from .quaternions import motions_of_quaternions, order_warning
from .reading import Assumed, CameraFormatError, Reading

# What a file calls its matrices, in the order in which they are looked for, and its intrinsics.
_MOTIONS = re.compile(
    r"(cam_?)?(c2ws?|cam2worlds?)|camera_to_worlds?|world_from_cams?|camera_poses?|poses?|extrinsics?(_w2c|_c2w)?|w2cs?|"
    r"world_to_cams?|cam_from_worlds?|viewmats?|data",
    re.IGNORECASE,
)
_INTRINSICS = re.compile(r"(cam_?)?(intrinsics?|intrinsic_matrix|ks?|intrs?)|fx_fy_cx_cy", re.IGNORECASE)
_NUMBERS = "inds"
# The same written out as JSON: a key of matrices, or a list of them.
_JSON = re.compile(rf'(?:^|"(?:{_MOTIONS.pattern})"\s*:)\s*(?:\[\s*){{3}}[-0-9]', re.IGNORECASE)


def _recognise(content: Content) -> bool:
    if content.is_folder:
        first = next((name for name in content.files if name.lower().endswith(".npz")), None)
        return first is not None and _is_a_frame(Content(content.path / first).arrays)
    written = content.is_json and _JSON.search(content.text) is not None
    return written or motion_key(content.arrays) is not None or _is_path(content.shape)


def _is_a_frame(shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether an .npz holds the matrix of one frame."""
    key = motion_key(shapes)
    return key is not None and prod(shapes[key]) in (12, 16)


def _is_path(shape: tuple[int, ...]) -> bool:
    shape = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
    return (len(shape) == 3 and shape[1:] in ((3, 4), (4, 4))) or (len(shape) == 2 and shape[1] in (7, 12, 16))


def motion_key(shapes: dict[str, tuple[int, ...]]) -> str | None:
    """Which of an estimator's arrays, by their shapes, holds the matrices, None where none does.

    One that names camera-to-world goes before others.
    """
    found = [key for key, shape in shapes.items() if _MOTIONS.fullmatch(key) and shape[-2:] in ((4, 4), (3, 4))]
    return min(found, key=lambda key: ("c2w" not in key.lower(), key.lower() == "data"), default=None)


def _read(path: Path, assumed: Assumed) -> Reading:
    if path.is_dir():
        return _read_folder(path, assumed)
    if path.suffix.lower() == ".npy":
        return _read_array(path, assumed)
    shapes, array = _arrays_in(path)
    key = motion_key(shapes)
    if key is None:
        raise CameraFormatError(
            f"{path.name}: expected an array of matrices such as extrinsic or cam_c2w, it has {_shown(shapes)}"
        )
    matrices = _one_clip(array(key), f"{path.name} {key}")
    count = len(matrices)
    kept, lost = posed(matrices, path.name)
    motions, told, doubts = world_from_named(_stacked(matrices[kept], f"{path.name} {key}"), assumed.direction, key)
    lenses, note, lens_doubts = _lenses(path, (shapes, array), kept, count, assumed)
    numbers = _whole_numbers(array(_NUMBERS), path.name) if shapes.get(_NUMBERS) == (count,) else ()
    frames = Frames(motions, lenses, numbers=picked(numbers or (range(count) if lost else ()), kept))
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention=told, lens_from=note, notes=(f"The matrices are the array {key!r}.", *lost),
        warnings=(*doubts, *lens_doubts),
    )  # fmt: skip


# The shapes of a file's arrays, and what gives one by its name.
_Arrays = tuple[dict[str, tuple[int, ...]], Callable[[str], Tensor]]


def _arrays_in(path: Path) -> _Arrays:
    """The arrays of an .npz, or those that JSON spells out: lists of lists by their keys, or one list alone."""
    if path.suffix.lower() == ".npz":
        return npz_shapes(path), lambda key: read_npz(path, key, unknown=True)
    given = read_json(path)
    values = given if isinstance(given, dict) else {"data": given}
    shapes = {key: shape for key, value in values.items() if (shape := _listed_shape(value))}

    def array(key: str) -> Tensor:
        flat = _flat(values[key], shapes[key], f"{path.name} {key[:40]}")
        return torch.tensor(flat, dtype=torch.float64).reshape(shapes[key])

    return shapes, array


def _listed_shape(value: Any) -> tuple[int, ...]:
    """The shape of nested lists, going by the first of each; () for what holds no numbers."""
    shape: list[int] = []
    while isinstance(value, list) and value and len(shape) < 6:
        shape.append(len(value))
        value = value[0]
    return tuple(shape) if type(value) in (int, float) else ()


def _flat(value: Any, shape: tuple[int, ...], where: str) -> list[float]:
    """The numbers in nested lists of `shape`; CameraFormatError where they have another."""
    if not shape:
        return [number(value, where)]
    items = sequence(value, where)
    if len(items) != shape[0]:
        raise CameraFormatError(f"{where}: expected lists of {shape[0]}, found one of {len(items)}")
    return [entry for item in items for entry in _flat(item, shape[1:], where)]


def _read_folder(path: Path, assumed: Assumed) -> Reading:
    """A file a frame, as CUT3R writes them."""
    names = [entry.name for entry in islice(path.iterdir(), MOST_FRAMES + 1) if entry.suffix.lower() == ".npz"]
    check_frames(len(names), f"{path.name}, .npz files")
    names = [names[index] for index in in_order(names)[0]]
    shapes = npz_shapes(path / names[0])
    key, lens_key = motion_key(shapes), intrinsics_key(shapes)
    if key is None:
        raise CameraFormatError(f"{names[0]}: expected an array such as pose, it has {_shown(shapes)}")
    matrices = [_one_clip(read_npz(path / name, key, unknown=True), name) for name in names]
    wrong = next((m for m in matrices if m.shape != matrices[0].shape or len(m) != 1), None)
    if wrong is not None:
        raise CameraFormatError(f"{path.name}: expected one matrix of one shape a file, found {list(wrong.shape)}")
    kept, lost = posed(torch.cat(matrices), path.name)
    names = picked(names, kept)
    motions, told, doubts = world_from_bare(_stacked(torch.cat(matrices)[kept], path.name), assumed.direction, key)
    K = torch.cat([_K(read_npz(path / name, lens_key), name) for name in names]) if lens_key else None
    lenses, lens_doubts = _in_size(K, {}, assumed, path.name) if K is not None else ([], ())
    frames = Frames(motions, lenses, names=names, numbers=numbers_in(names)[0] or ())
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention=told, lens_from=str(lens_key), notes=lost, warnings=(*doubts, *lens_doubts),
    )  # fmt: skip


def _read_array(path: Path, assumed: Assumed) -> Reading:
    values = read_npy(path, unknown=True)
    if not _is_path(tuple(values.shape)):
        raise CameraFormatError(
            f"{path.name}: expected shape [F, 4, 4], [F, 3, 4], [F, 7], [F, 12] or [F, 16], found {list(values.shape)}"
        )
    values = _one_clip(values, path.name) if values.ndim > 2 else values
    kept, lost = posed(values, path.name, values[:, 3:] if values.shape[1:] == (7,) else None)
    values, notes, doubts = values[kept], lost, tuple[str, ...]()
    if values.ndim == 2 and values.shape[1] == 7:
        order = "xyzw" if assumed.quaternions == "auto" else assumed.quaternions
        bare = motions_of_quaternions(values[:, 3:], values[:, :3], order)
        notes = (f"Rows of x y z and the quaternion {' '.join(order)}, as DROID-SLAM has them.", *lost)
        doubts = order_warning(values[:, 3:], order)
    else:
        bare = _stacked(values, path.name) if values.ndim > 2 else full_motions(values, path.name)
    usual = "w2c" if (path.name, path.with_name("disps.npy").is_file()) == ("poses.npy", True) else "c2w"
    motions, told, direction_doubts = world_from_bare(bare, assumed.direction, path.stem, usual)
    frames = Frames(motions, title=path.stem, numbers=kept if lost else ())
    return reading_of(
        frames, FORMAT.name, path.name, assumed, convention=told, notes=notes, warnings=(*direction_doubts, *doubts)
    )


def _one_clip(values: Tensor, file_name: str) -> Tensor:
    """[F, 3|4, 4] of the same with leading axes of length 1 or none; CameraFormatError otherwise."""
    rows = values.reshape(-1, *values.shape[-2:])
    if values.ndim > 4 or (values.ndim == 4 and values.shape[0] != 1):
        raise CameraFormatError(f"{file_name}: expected one clip of matrices, found shape {list(values.shape)}")
    check_frames(len(rows), file_name)
    return rows


def _stacked(rows: Tensor, file_name: str) -> Tensor:
    """Motions [F, 4, 4] of [F, 3|4, 4]."""
    return motions_of(rows) if rows.shape[1] == 3 else full_motions(rows.flatten(1), file_name)


def world_from_named(bare: Tensor, direction: str, key: str) -> tuple[Tensor, str, tuple[str, ...]]:
    """world_from_cam of matrices that an array called `key` holds, as `direction.world_from_bare` gives it."""
    usual = "w2c" if re.match("ext|w2c|view", key, re.IGNORECASE) else "c2w"
    return world_from_bare(bare, direction, key, usual)


def _lenses(
    path: Path, arrays: _Arrays, kept: list[int], count: int, assumed: Assumed
) -> tuple[list[Lens], str, tuple[str, ...]]:
    """The lenses of those `kept` of `count` frames, the name of their array, and warnings; none where the file has no
    intrinsics."""
    shapes, array = arrays
    key, file = intrinsics_key(shapes), path
    if key is None and path.parent.name == "pose":
        file = path.parent.parent / "intrinsics" / path.name  # ViPE's layout
        key = "data" if file.is_file() and "data" in npz_shapes(file) else None
        array = _arrays_in(file)[1] if key else array
    if key is None:
        return [], "", ()
    K = _K(array(key), f"{file.name} {key}")
    if len(K) not in (1, count):
        raise CameraFormatError(f"{file.name} {key}: expected intrinsics for 1 or {count} frames, found {len(K)}")
    lenses, doubts = _in_size(K.expand(count, 3, 3)[kept], shapes, assumed, path.name)
    return lenses, f"the array {key!r}", doubts


def _K(values: Tensor, file_name: str) -> Tensor:
    """K [N, 3, 3] of matrices or rows fx fy cx cy."""
    if values.shape[-2:] == (3, 3):
        return values.reshape(-1, 3, 3)
    if values.ndim and values.shape[-1] == 4 and values.ndim < 4:
        rows = values.reshape(-1, 4)
        return K_from_focal(rows[:, :2], rows[:, 2:])
    raise CameraFormatError(
        f"{file_name}: expected intrinsics of shape [F, 3, 3] or [F, 4], found {list(values.shape)}"
    )


def _in_size(
    K: Tensor, shapes: dict[str, tuple[int, ...]], assumed: Assumed, file_name: str
) -> tuple[list[Lens], tuple[str, ...]]:
    hw, doubts = size_of(K, shapes, assumed.hw)
    return lenses_of(K, hw, file_name), doubts


def _whole_numbers(values: Tensor, file_name: str) -> list[int]:
    if bool((values.round() != values).any()) or bool((values.abs() > 1e9).any()):
        raise CameraFormatError(f"{file_name} {_NUMBERS}: expected whole frame numbers")
    return [int(value) for value in values.tolist()]


def intrinsics_key(shapes: dict[str, tuple[int, ...]]) -> str | None:
    """Which of an estimator's arrays holds the intrinsics; None where none does."""
    return next((key for key in shapes if _INTRINSICS.fullmatch(key)), None)


def _shown(shapes: dict[str, tuple[int, ...]]) -> str:
    return listed(f"{key} {list(shape)}" for key, shape in shapes.items()) or "no arrays of numbers"


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    """VGGT's and DA3's keys, world-to-camera, in float64."""
    rows = without_skew(trajectory, path.name)
    file = BytesIO()
    np.savez(
        file,
        extrinsics=trajectory.camera.cam_from_world[:, :3].numpy(),
        intrinsics=K_from_focal(rows[:, :2], rows[:, 2:]).numpy(),
        inds=np.array(trajectory.frame_numbers),
    )
    with replacing(path) as temporary:
        temporary.write_bytes(file.getvalue())
    return (path,)


FORMAT = CameraFormat(
    name="arrays",
    title=".npz of VGGT, DA3, MegaSaM, ViPE, CUT3R; bare .npy; such arrays as JSON",
    suffix=".npz",
    patterns=("*.npz",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("size", "rate", "unit"),
)

"""NumPy files of camera estimators: .npz of VGGT, Depth Anything 3, MegaSaM, ViPE and CUT3R, and bare .npy.

`extrinsic(s)` of VGGT and DA3 are world-to-camera [F, 3, 4]; `cam_c2w` of MegaSaM, `data` of ViPE (with the frames'
numbers `inds`) and `pose` of CUT3R (a file a frame) are camera-to-world [F, 4, 4]; all in OpenCV axes. Intrinsics are
matrices or fx fy cx cy, in pixels of the pictures beside them. A bare .npy is [F, 4, 4], [F, 3, 4], [1, F, 4, 4] or
DROID-SLAM's [F, 7] (x y z qx qy qz qw).
Source: facebookresearch/vggt demo, ByteDance-Seed/Depth-Anything-3 export, mega-sam cvd_opt, nv-tlabs/vipe io,
CUT3R demo. Not held: times, units.
"""

from __future__ import annotations

import re
from io import BytesIO
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..atomic_file import replacing
from ..geometry.camera import K_from_focal
from ..geometry.distortion import Lens
from ..geometry.trajectory import Trajectory
from .archive import npz_shapes, read_npz
from .clip import Frames, reading_of
from .content import Content
from .direction import world_from_bare
from .format import CameraFormat, motions_of
from .frame_names import in_order, numbers_in
from .matrix_rows import full_motions
from .parsing import MOST_FRAMES, check_frames, listed, read_npy
from .pinhole import lenses_of, without_skew
from .quaternions import motions_of_quaternions, order_warning
from .reading import Assumed, CameraFormatError, Reading

# What a file calls its matrices, in the order in which they are looked for, and its intrinsics.
_MOTIONS = re.compile(
    r"(cam_?)?(c2ws?|cam2worlds?)|camera_to_worlds?|world_from_cams?|camera_poses?|poses?|extrinsics?|w2cs?|"
    r"world_to_cams?|cam_from_worlds?|viewmats?|data",
    re.IGNORECASE,
)
_INTRINSICS = re.compile(r"(cam_?)?(intrinsics?|intrinsic_matrix|ks?|intrs?)", re.IGNORECASE)
_PICTURES = re.compile(r"images?|rgbs?|depths?|depth_map|masks?", re.IGNORECASE)
_NUMBERS = "inds"
# A principal point further from the middle than this share of the size speaks of another size.
_CENTRED = 0.1


def _recognise(content: Content) -> bool:
    if content.is_folder:
        first = next((name for name in content.files if name.lower().endswith(".npz")), None)
        return first is not None and _is_a_frame(Content(content.path / first).arrays)
    return motion_key(content.arrays) is not None or _is_path(content.shape)


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
    shapes = npz_shapes(path)
    key = motion_key(shapes)
    if key is None:
        raise CameraFormatError(
            f"{path.name}: expected an array of matrices such as extrinsic or cam_c2w, it has {_shown(shapes)}"
        )
    bare = _stacked(read_npz(path, key), f"{path.name} {key}")
    motions, told, doubts = world_from_named(bare, assumed.direction, key)
    lenses, note, lens_doubts = _lenses(path, shapes, len(bare), assumed)
    numbers = _whole_numbers(read_npz(path, _NUMBERS), path.name) if shapes.get(_NUMBERS) == (len(bare),) else ()
    frames = Frames(motions, lenses, numbers=numbers)
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention=told, lens_from=note, notes=(f"The matrices are the array {key!r}.",),
        warnings=(*doubts, *lens_doubts),
    )  # fmt: skip


def _read_folder(path: Path, assumed: Assumed) -> Reading:
    """A file a frame, as CUT3R writes them."""
    names = [entry.name for entry in islice(path.iterdir(), MOST_FRAMES + 1) if entry.suffix.lower() == ".npz"]
    check_frames(len(names), f"{path.name}, .npz files")
    names = [names[index] for index in in_order(names)[0]]
    shapes = npz_shapes(path / names[0])
    key, lens_key = motion_key(shapes), intrinsics_key(shapes)
    if key is None:
        raise CameraFormatError(f"{names[0]}: expected an array such as pose, it has {_shown(shapes)}")
    bare = torch.cat([_stacked(read_npz(path / name, key), name) for name in names])
    if len(bare) != len(names):
        raise CameraFormatError(f"{path.name}: expected one matrix a file, found {len(bare)} in {len(names)} files")
    motions, told, doubts = world_from_bare(bare, assumed.direction, key)
    K = torch.cat([_K(read_npz(path / name, lens_key), name) for name in names]) if lens_key else None
    lenses, lens_doubts = _in_size(K, {}, assumed, path.name) if K is not None else ([], ())
    frames = Frames(motions, lenses, names=names, numbers=numbers_in(names)[0] or ())
    return reading_of(
        frames, FORMAT.name, path.name, assumed,
        convention=told, lens_from=str(lens_key), warnings=(*doubts, *lens_doubts),
    )  # fmt: skip


def _read_array(path: Path, assumed: Assumed) -> Reading:
    values = read_npy(path)
    if not _is_path(tuple(values.shape)):
        raise CameraFormatError(
            f"{path.name}: expected shape [F, 4, 4], [F, 3, 4], [F, 7], [F, 12] or [F, 16], found {list(values.shape)}"
        )
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    if values.ndim == 2 and values.shape[1] == 7:
        order = "xyzw" if assumed.quaternions == "auto" else assumed.quaternions
        bare = motions_of_quaternions(values[:, 3:], values[:, :3], order)
        notes = (f"Rows of x y z and the quaternion {' '.join(order)}, as DROID-SLAM has them.",)
        doubts = order_warning(values[:, 3:], order)
    else:
        bare = _stacked(values, path.name) if values.ndim > 2 else full_motions(values, path.name)
    motions, told, direction_doubts = world_from_bare(bare, assumed.direction, path.stem)
    frames = Frames(motions, title=path.stem)
    return reading_of(
        frames, FORMAT.name, path.name, assumed, convention=told, notes=notes, warnings=(*direction_doubts, *doubts)
    )


def _stacked(values: Tensor, file_name: str) -> Tensor:
    """Motions [F, 4, 4] of [F, 3|4, 4], with leading axes of length 1 or none; CameraFormatError otherwise."""
    rows = values.reshape(-1, *values.shape[-2:])
    if values.ndim > 4 or (values.ndim == 4 and values.shape[0] != 1):
        raise CameraFormatError(f"{file_name}: expected one clip of matrices, found shape {list(values.shape)}")
    check_frames(len(rows), file_name)
    return motions_of(rows) if rows.shape[1] == 3 else full_motions(rows.flatten(1), file_name)


def world_from_named(bare: Tensor, direction: str, key: str) -> tuple[Tensor, str, tuple[str, ...]]:
    """world_from_cam of matrices that an array called `key` holds, as `direction.world_from_bare` gives it."""
    usual = "w2c" if re.match("ext|w2c|view", key, re.IGNORECASE) else "c2w"
    return world_from_bare(bare, direction, key, usual)


def _lenses(
    path: Path, shapes: dict[str, tuple[int, ...]], count: int, assumed: Assumed
) -> tuple[list[Lens], str, tuple[str, ...]]:
    """The frames' lenses, the name of their array, and warnings; none where the file has no intrinsics."""
    key, file = intrinsics_key(shapes), path
    if key is None and path.parent.name == "pose":
        file = path.parent.parent / "intrinsics" / path.name  # ViPE's layout
        key = "data" if file.is_file() and "data" in npz_shapes(file) else None
    if key is None:
        return [], "", ()
    K = _K(read_npz(file, key), f"{file.name} {key}")
    if len(K) not in (1, count):
        raise CameraFormatError(f"{file.name} {key}: expected intrinsics for 1 or {count} frames, found {len(K)}")
    lenses, doubts = _in_size(K.expand(count, 3, 3), shapes, assumed, path.name)
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


def size_of(
    K: Tensor, shapes: dict[str, tuple[int, ...]], assumed: tuple[int, int]
) -> tuple[tuple[int, int], tuple[str, ...]]:
    """The (height, width) that fits the principal point of `K` [N, 3, 3]: that of the pictures among the arrays, the
    assumed one, or twice the principal point, which is doubted."""
    middle = K[0, :2, 2]
    fitting = [hw for hw in (assumed, *_sizes(shapes)) if _fits(middle, hw)]
    if fitting:
        return fitting[-1], ()
    width, height = (max(1, round(min(max(2.0 * float(value), 1.0), 1e6))) for value in middle)
    return (height, width), (
        f"the size of the pictures is not in the file: {width}x{height} was taken, twice the principal point",
    )


def _sizes(shapes: dict[str, tuple[int, ...]]) -> list[tuple[int, int]]:
    """The (height, width) that pictures among the arrays may have: [..., H, W], [..., H, W, 3] or [..., 3, H, W]."""
    shape = next((shape for name, shape in shapes.items() if _PICTURES.fullmatch(name) and len(shape) >= 3), None)
    if shape is None:
        return []
    pair = shape[-3:-1] if shape[-1] in (1, 3, 4) else shape[-2:]
    return [(pair[0], pair[1])] if min(pair) > 0 else []


def _fits(middle: Tensor, hw: tuple[int, int]) -> bool:
    share = middle / middle.new_tensor((hw[1], hw[0]))
    return bool(((share - 0.5).abs() <= _CENTRED).all())


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
    title=".npz of VGGT, DA3, MegaSaM, ViPE, CUT3R; bare .npy",
    suffix=".npz",
    patterns=("*.npz",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("size", "rate", "unit"),
)

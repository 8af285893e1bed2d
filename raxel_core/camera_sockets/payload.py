"""What all payloads share: numbers become tensors, matrices become cameras, and every fault is one sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..camera_io.direction import inversion_warning
from ..camera_io.format import assumed_K, assumed_unit, motions_of, trajectory_of
from ..camera_io.reading import Assumed, CameraFormatError, Reading
from ..framing import check_aspect
from ..geometry import se3
from ..geometry.camera import Camera, K_from_focal
from ..geometry.trajectory import Trajectory

# A principal point at most this far from the corner is a share of the picture's size: no picture is 4 pixels wide.
MOST_RELATIVE = 2.0
# How far the principal point may lie from the middle, as a share of the size, before the size itself is in doubt.
_MIDDLE = 0.1
_MOST_PIXELS = 1_000_000
# What float32 may have moved a principal point by, in pixels.
_WHOLE = 1e-3


@dataclass(frozen=True, eq=False)
class Lens:
    """`K` [N|1, 3, 3] or [3, 3] in pixels, how it was read in words, and warnings."""

    K: Tensor
    note: str
    warnings: tuple[str, ...] = ()


def numbers(name: str, value: Any, last_axes: tuple[int, ...], *, axes: int | None = None) -> Tensor:
    """`value` (tensor, array or nested lists) as a finite float64 tensor [..., *last_axes] on the CPU, copied.

    Leading axes of length 1 are dropped, or one is added, for `axes` of them in all. Raises CameraFormatError that
    names `name`.
    """
    value = _joined(value)
    try:
        found = value.detach().to("cpu", torch.float64).numpy() if _is_real(value) else np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CameraFormatError(f"{name} is made of numbers in equal rows ({str(error)[:80]})") from error
    if found.dtype.kind not in "iuf":
        raise CameraFormatError(f"{name} is made of real numbers in equal rows, got {found.dtype}")
    tensor = torch.from_numpy(np.array(found, dtype=np.float64))  # NumPy has kinds of numbers that PyTorch has not
    while axes is not None and tensor.ndim > axes and tensor.shape[0] == 1:
        tensor = tensor[0]
    tensor = tensor[None] if axes == tensor.ndim + 1 else tensor
    wrong = tuple(tensor.shape[max(0, tensor.ndim - len(last_axes)) :]) != last_axes or axes not in (None, tensor.ndim)
    if wrong or not tensor.numel():
        leading = "..., " if axes is None else "N, " * (axes - len(last_axes))
        expected = leading + ", ".join(map(str, last_axes))
        raise CameraFormatError(f"{name} has shape [{expected}] with at least one frame, got {list(tensor.shape)}")
    finite = tensor.isfinite()
    if not bool(finite.all()):
        frame = int((~finite).nonzero()[0][0]) if tensor.ndim > len(last_axes) else 0
        raise CameraFormatError(f"{name} holds NaN or infinity in frame {frame}")
    return tensor


def _is_real(value: Any) -> bool:
    """Whether `value` is a tensor of real numbers; NumPy judges all others, and has no bfloat16."""
    return isinstance(value, Tensor) and not value.is_complex() and value.dtype != torch.bool


def _joined(value: Any) -> Any:
    """A list of tensors of one shape as one tensor, wherever they lie; any other value as it is."""
    tensors = isinstance(value, (list, tuple)) and value and all(isinstance(item, Tensor) for item in value)
    alike = tensors and all(item.shape == value[0].shape for item in value)
    return torch.stack([item.detach().to("cpu", torch.float64) for item in value]) if alike else value


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of a tensor, an array, nested lists or a list of tensors; () where lists are of unequal length."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, Tensor) for item in value):
        return (len(value), *value[0].shape) if all(item.shape == value[0].shape for item in value) else ()
    try:
        return tuple(np.shape(value))
    except ValueError:
        return ()


def motions(name: str, value: Any) -> Tensor:
    """Rigid motions [N, 4, 4] in float64 of matrices [N, 4, 4] or [N, 3, 4]; CameraFormatError for any others."""
    matrices = numbers(name, value, (3, 4) if shape_of(value)[-2:] == (3, 4) else (4, 4), axes=3)
    return check_motions(name, matrices if matrices.shape[-2] == 4 else motions_of(matrices))


def motions_from_parts(name: str, rotation: Any, translation: Any) -> Tensor:
    """Rigid motions [N, 4, 4] in float64 of rotations [N, 3, 3] and translations [N, 3], checked."""
    rotations = numbers(f"{name}'s rotation", rotation, (3, 3), axes=3)
    translations = numbers(f"{name}'s translation", translation, (3,), axes=2)
    if len(rotations) != len(translations):
        raise CameraFormatError(f"{name} has {len(rotations)} rotations, but {len(translations)} translations")
    return check_motions(name, se3.from_rotation_translation(rotations, translations))


def check_motions(name: str, matrices: Tensor) -> Tensor:
    """`matrices` [N, 4, 4] when they are rigid motions; CameraFormatError that names the first frame otherwise.

    To be called before an inversion, which takes the last row as given.
    """
    try:
        Camera(matrices, torch.eye(3, dtype=matrices.dtype), (1, 1)).validate()
    except ValueError as error:
        raise CameraFormatError(f"{name}: {str(error).replace('world_from_cam', 'matrix')}") from error
    return matrices


def intrinsics(name: str, value: Any, hw: tuple[int, int]) -> Lens:
    """K in pixels of `hw` from rows (fx, fy, cx, cy) [..., 4] or matrices [..., 3, 3] or [..., 4, 4].

    They are in pixels or, where the principal point is below 2, in shares of the picture's width and height.
    """
    K = _matrices(name, value)
    if _in_shares(K):
        K[:, :2] *= K.new_tensor((hw[1], hw[0]))[:, None]
        return Lens(K, f"K: in shares of width and height, put into {hw[1]}x{hw[0]}.")
    note = f"K: in pixels of {hw[1]}x{hw[0]}."
    size = 2.0 * K[:, :2, 2].median(dim=0).values
    if not bool(((size / size.new_tensor((hw[1], hw[0])) - 1.0).abs() > _MIDDLE).any()):
        return Lens(K, note)
    middle = f"{float(size[0]):.0f}x{float(size[1]):.0f}"
    return Lens(K, note, (f"K has its principal point in the middle of {middle}: if that is the size, set it",))


def _matrices(name: str, value: Any) -> Tensor:
    """K [N, 3, 3] as they are, of rows or matrices."""
    shape = shape_of(value)
    if shape[-2:] in ((3, 3), (4, 4)):
        return numbers(name, value, shape[-2:], axes=3)[:, :3, :3].clone()
    rows = numbers(name, value, (4,), axes=2)
    return K_from_focal(rows[:, :2], rows[:, 2:])


def _in_shares(K: Tensor) -> bool:
    return float(K[:, :2, 2].abs().max()) <= MOST_RELATIVE


def lens_beside(value: Any, assumed: Assumed) -> tuple[Lens, Assumed]:
    """The lens of INTRINSICS beside bare matrices, of the assumed angle of view where they are None, and `assumed` with
    the size of the pictures: twice a principal point of whole pixels, which is no calibrated one, else the assumed."""
    if value is None:
        return Lens(*assumed_K(assumed)), assumed
    size = _told_size(_matrices("INTRINSICS", value))
    lens = intrinsics("INTRINSICS", value, size or assumed.hw)
    source = "assumed" if size is None else "twice its principal point"
    return replace(lens, note=f"{lens.note[:-1]}, {source}."), replace(assumed, hw=size or assumed.hw)


def _told_size(K: Tensor) -> tuple[int, int] | None:
    """(height, width) whose middle is the principal point of each K [N, 3, 3]; None unless it is of whole pixels.

    (319.5, 239.5) tells nothing: it is the middle of 640x480 where pixel centres are whole numbers.
    """
    middle = K[:, :2, 2]
    whole = middle[0].round()
    told = bool(((middle - whole).abs() <= _WHOLE).all() and (whole >= 1.0).all() and (whole <= _MOST_PIXELS / 2).all())
    return None if _in_shares(K) or not told else (2 * int(whole[1]), 2 * int(whole[0]))


def lens_or_assumed(value: Any, assumed: Assumed) -> Lens:
    """As `intrinsics` for what another socket gave; where that is None, K of the assumed angle of view."""
    return Lens(*assumed_K(assumed)) if value is None else intrinsics("INTRINSICS", value, assumed.hw)


def reading(
    name: str,
    world_from_cam: Tensor,
    lens: Lens,
    assumed: Assumed,
    *,
    notes: tuple[str, ...],
    warnings: tuple[str, ...] = (),
    unit: str | None = None,
) -> Reading:
    """The reading of checked motions [N, 4, 4] and a lens in pixels of `assumed.hw`, in float64.

    `unit` is the assumed one where the payload has none. Raises CameraFormatError when the numbers of frames differ or
    a K is none.
    """
    if lens.K.ndim == 3 and len(lens.K) not in (1, len(world_from_cam)):
        raise CameraFormatError(f"{name} has {len(world_from_cam)} poses, but {len(lens.K)} intrinsics")
    trajectory, mended = trajectory_of(
        world_from_cam, lens.K, assumed.hw, name, fps=assumed.rate, unit=unit or assumed.unit
    )
    length = f"Lengths: {unit}." if unit else assumed_unit(assumed)
    doubts = (*warnings, *lens.warnings, *inversion_warning(world_from_cam))
    return Reading(trajectory, name, (*notes, lens.note, length, *mended), doubts)


def sized(name: str, values: dict[str, Any], assumed: Assumed) -> Assumed:
    """`assumed` with the (height, width) that a dict gives under one of the names in use, where it gives them."""
    height, width = map(float, assumed.hw)
    if "image_size" in values:
        height, width = numbers(f"{name}'s image_size", values["image_size"], (2,)).reshape(-1, 2)[0].tolist()
    for before in ("", "image_", "img_"):
        if {f"{before}width", f"{before}height"} <= values.keys():
            width = scalar(f"{name}'s {before}width", values[f"{before}width"])
            height = scalar(f"{name}'s {before}height", values[f"{before}height"])
    if not (1.0 <= height <= _MOST_PIXELS and 1.0 <= width <= _MOST_PIXELS):
        raise CameraFormatError(f"{name} is of a picture of {width:g}x{height:g} pixels, which is not a size")
    return replace(assumed, hw=(round(height), round(width)))


def scalar(name: str, value: Any) -> float:
    """The one finite number in `value`, which may be in a tensor or a list."""
    found = numbers(name, value, ()).reshape(-1)
    if len(found) != 1:
        raise CameraFormatError(f"{name} is one number, got {len(found)}")
    return float(found)


def fitted(trajectory: Trajectory, hw: tuple[int, int] | None) -> Camera:
    """The valid cameras [F] of `trajectory` in float64 on the CPU, for pictures of `hw` (its own size where None).

    Raises ValueError when a camera is none or the aspects differ: K cannot stretch a picture.
    """
    camera = trajectory.camera.validate().to("cpu", torch.float64)
    if hw is None:
        return camera
    check_aspect(camera.hw, hw)
    return camera.resized(hw)

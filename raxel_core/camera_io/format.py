"""What a camera format is: how a file of it is told, read and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from math import degrees, radians
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..atomic_file import replacing
from ..geometry.camera import Camera, K_from_fov
from ..geometry.estimate import Estimate
from ..geometry.sparse_points import SparsePoints
from ..geometry.trajectory import Trajectory
from .content import Content
from .parsing import check_frames
from .reading import Assumed, CameraFormatError, Reading

# How far R^T R may be from the identity before the note that rotations were made exact is worth a reader's time.
_NOTED_DEVIATION = 1e-6
# Places that rounding moves by more than this share of the path's extent are worth a word.
_ROUNDED = 1e-4
# A focal length that changes by less than this share is one.
_ZOOMED = 1e-4


@dataclass(frozen=True)
class CameraFormat:
    """One format, as the one constant of its file.

    `name` is what users type, `title` what they know it by; `suffix` ends the name of a file that is saved, "" for
    formats that are folders; `patterns` (fnmatch, on the file's name) say for which names a writer takes this format
    unasked.

    `recognise(content)` looks at what there is and raises nothing; `read(path, assumed)` raises CameraFormatError;
    `write(trajectory, path)` writes whole files or none (atomic_file), makes the folder where the format is one, and
    returns the files written; it is None where the format is only read. `leaves_out` are those of LOSSES that the
    format has no place for; `write_estimate`, where a format has it, writes what it can hold of an estimate besides its
    path; `write_points`, where a format has it, writes points of the scene with the path; `write_numbered`, where a
    format numbers its frames as footage does, gives the first one a number.
    """

    name: str
    title: str
    suffix: str
    patterns: tuple[str, ...]
    recognise: Callable[[Content], bool]
    read: Callable[[Path, Assumed], Reading]
    write: Callable[[Trajectory, Path], tuple[Path, ...]] | None = None
    write_estimate: Callable[[Estimate, Path, int | None], tuple[Path, ...]] | None = None
    write_points: Callable[[Trajectory, SparsePoints, Path], tuple[Path, ...]] | None = None
    write_numbered: Callable[[Trajectory, Path, int], tuple[Path, ...]] | None = None
    leaves_out: tuple[str, ...] = ()


def _zoom(trajectory: Trajectory) -> str:
    focal = trajectory.camera.focal[:, 0]
    changes = float(focal.max() / focal.min()) - 1.0 > _ZOOMED
    return f"the zoom ({float(focal.min()):.4g} to {float(focal.max()):.4g} pixels)" if changes else ""


def _gaps(trajectory: Trajectory) -> str:
    frames = trajectory.frame_numbers
    missing = frames[-1] + 1 - len(frames)
    return f"the {missing} gaps in time (the frames are written as neighbours)" if missing else ""


def _bridged(trajectory: Trajectory) -> str:
    return _gaps(trajectory).replace("the frames are written as neighbours", "programs interpolate over them")


def _float32(trajectory: Trajectory) -> str:
    """How far float32 moves places that are far from the origin, as those of a world in the earth's axes are."""
    centers = trajectory.camera.center.double()
    moved = float((centers.float().double() - centers).abs().max())
    extent = float((centers - centers[:1]).abs().max())
    return f"the last digits of its places (up to {moved:.2g})" if moved > _ROUNDED * extent > 0.0 else ""


def _unit(trajectory: Trajectory) -> str:
    return "" if trajectory.unit == "arbitrary" else f"the unit of lengths ({trajectory.unit})"


# What a format may have no place for, in words for one trajectory, "" where it has nothing of it.
LOSSES: dict[str, Callable[[Trajectory], str]] = {
    "K": lambda t: f"the lens (K, {degrees(float(t.camera.fov[0, 0])):.4g} degrees)",
    "zoom": _zoom,
    "size": lambda t: f"the picture's size ({t.camera.hw[1]}x{t.camera.hw[0]})",
    "rate": lambda t: f"the rate ({t.fps:g} frames a second)",
    "unit": _unit,
    "metres": lambda t: "" if t.unit == "metre" else f"the unit of lengths ({t.unit}; they are written as metres)",
    "float32": _float32,
    "gaps": _gaps,
    "bridged gaps": _bridged,
}


def left_out(trajectory: Trajectory, format: CameraFormat) -> tuple[str, ...]:
    """What of `trajectory` a file of this `format` does not hold, each in words."""
    found = dict.fromkeys(format.leaves_out)
    if "K" in found:
        found.pop("zoom", None)
    return tuple(words for loss in found if (words := LOSSES[loss](trajectory)))


def trajectory_of(
    world_from_cam: Tensor,
    K: Tensor,
    hw: tuple[int, int],
    file_name: str,
    *,
    fps: float,
    unit: str,
    name: str = "",
) -> tuple[Trajectory, tuple[str, ...]]:
    """The trajectory of `world_from_cam` [F, 4, 4] and `K` [F, 3, 3] or [3, 3], and notes on what had to be mended.

    Rotations within 1e-3 of orthonormal (text rounded to few digits) are replaced by the nearest exact ones. Raises
    CameraFormatError that opens with `file_name` when a frame is no camera.
    """
    check_frames(len(world_from_cam), file_name)
    try:
        camera = Camera(world_from_cam, K, hw).validate()
        exact, notes = exact_cameras(camera)
        trajectory = Trajectory(exact, fps=fps, unit=unit, name=name)
    except ValueError as error:
        raise CameraFormatError(f"{file_name}: {error}") from error
    return trajectory, notes


def exact_cameras(camera: Camera) -> tuple[Camera, tuple[str, ...]]:
    """`camera` with the nearest exact rotations, and a note where they were off by more than text rounds."""
    exact, deviation = _exact(camera)
    if deviation <= _NOTED_DEVIATION:
        return exact, ()
    return exact, (f"Rotations were up to {deviation:.1g} off orthonormal; the nearest exact ones were taken.",)


def motions_of(rows: Tensor) -> Tensor:
    """Motions [..., 4, 4] from their upper rows [..., 3, 4] or [..., 12]."""
    upper = rows.unflatten(-1, (3, 4)) if rows.shape[-1] == 12 else rows
    last_row = upper.new_tensor((0.0, 0.0, 0.0, 1.0)).expand(*upper.shape[:-2], 1, 4)
    return torch.cat((upper, last_row), dim=-2)


def assumed_K(assumed: Assumed) -> tuple[Tensor, str]:
    """`K` [3, 3] of the assumed angle of view and size, and the note that says so."""
    height, width = assumed.hw
    K = K_from_fov(torch.tensor(radians(assumed.fov_degrees), dtype=torch.float64), assumed.hw)
    return K, f"K: assumed, {assumed.fov_degrees:g} degrees horizontal in {width}x{height}; the format has none."


def assumed_unit(assumed: Assumed) -> str:
    """The note for formats that do not say what a length is."""
    return f"Lengths: {assumed.unit}, assumed; the format does not say."


def row_text(values: Tensor) -> str:
    """A row of numbers as text that keeps every bit."""
    return " ".join(map(repr, values.tolist()))


def write_together(files: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Write each file, whole or not at all: all are on the disk before the first takes its place. Returns them."""
    with ExitStack() as stack:
        for path, content in files.items():
            stack.enter_context(replacing(path)).write_bytes(content)
    return tuple(files)


def npy_bytes(values: Tensor, dtype: torch.dtype = torch.float32) -> bytes:
    """`values` as an npy file of `dtype`."""
    file = BytesIO()
    np.save(file, values.to(dtype).numpy(), allow_pickle=False)
    return file.getvalue()


def _exact(camera: Camera) -> tuple[Camera, float]:
    """The camera with the nearest rotations in float64, and how far R^T R was from the identity."""
    motion = camera.world_from_cam.double().clone()
    rotation = motion[..., :3, :3]
    deviation = float((rotation.mT @ rotation - torch.eye(3, dtype=torch.float64)).abs().max())
    u, _, vh = torch.linalg.svd(rotation)
    motion[..., :3, :3] = u @ vh
    return Camera(motion, camera.K.double(), camera.hw), deviation

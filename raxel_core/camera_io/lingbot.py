"""LingBot-World's npy pair: poses.npy [N, 4, 4] and intrinsics.npy [N, 4] in one folder.

Poses are camera-to-world in OpenCV axes; fx, fy, cx, cy are in pixels of a 832x480 picture, whatever the size of the
video (wan/image2video.py of github.com/Robbyant/lingbot-world rescales them from there and uses the first row only).
Not held: times, units, the picture's size, skew.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..geometry.camera import K_from_focal
from ..geometry.trajectory import Trajectory
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat, assumed_unit, npy_bytes, trajectory_of, write_together
from .parsing import read_npy
from .pinhole import without_skew
from .reading import Assumed, CameraFormatError, Reading

HW = (480, 832)
# A principal point further from the middle than this share of the size speaks of another size.
_CENTRED = 0.1
_POSES, _INTRINSICS = "poses.npy", "intrinsics.npy"
# DROID-SLAM's files have the same names, and rows of a place and a quaternion (`arrays`).
_QUATERNIONS = (7,)


def _recognise(content: Content) -> bool:
    path = content.path
    folder = path if content.is_folder else path.parent
    named = content.is_folder or path.name in (_POSES, _INTRINSICS)
    poses, intrinsics = (Content(folder / name).shape if named else () for name in (_POSES, _INTRINSICS))
    return bool(poses and intrinsics) and poses[1:] != _QUATERNIONS


def _read(path: Path, assumed: Assumed) -> Reading:
    folder = path if path.is_dir() else path.parent
    reading = reading_of_pair(read_npy(folder / _POSES), read_npy(folder / _INTRINSICS), folder.name, assumed)
    return Reading(reading[0], FORMAT.name, reading[1], reading[2])


def reading_of_pair(
    motions: Tensor, intrinsics: Tensor, file_name: str, assumed: Assumed
) -> tuple[Trajectory, tuple[str, ...], tuple[str, ...]]:
    """The trajectory, notes and warnings of `motions` [N, 4, 4] and `intrinsics` [N, 4] (or one row, or [4])."""
    intrinsics = intrinsics[None] if intrinsics.ndim == 1 else intrinsics
    if motions.ndim != 3 or motions.shape[1:] != (4, 4):
        raise CameraFormatError(f"{file_name}: expected poses of shape [N, 4, 4], found {list(motions.shape)}")
    if intrinsics.ndim != 2 or intrinsics.shape[1] != 4 or len(intrinsics) not in (1, len(motions)):
        raise CameraFormatError(
            f"{file_name}: expected intrinsics of shape [{len(motions)}, 4], found {list(intrinsics.shape)}"
        )
    K = K_from_focal(intrinsics[:, :2], intrinsics[:, 2:])
    trajectory, mended = trajectory_of(motions, K, HW, file_name, fps=assumed.rate, unit=assumed.unit)
    notes = (
        "Poses are camera-to-world (c2w) in OpenCV axes; nothing was inverted.",
        "K: from the file, pixels of 832x480, the size LingBot-World takes them in.",
        f"Time: {assumed.rate:g} frames a second, assumed; the format has none.",
        assumed_unit(assumed),
        *mended,
    )
    return trajectory, notes, (*_size_warning(intrinsics[0]), *inversion_warning(motions))


def _size_warning(intrinsics: Tensor) -> tuple[str, ...]:
    """A warning when the principal point is far from the middle of 832x480."""
    cx, cy = intrinsics[2:].tolist()
    if abs(cx / HW[1] - 0.5) <= _CENTRED and abs(cy / HW[0] - 0.5) <= _CENTRED:
        return ()
    return (
        f"the principal point ({cx:.4g}, {cy:.4g}) is far from the middle of 832x480: K may be in pixels of about "
        f"{2 * cx:.0f}x{2 * cy:.0f}, or not in pixels",
    )


def intrinsics_of(trajectory: Trajectory, file_name: str) -> Tensor:
    """Rows (fx, fy, cx, cy) [N, 4] in pixels of 832x480; CameraFormatError when K has a skew."""
    return without_skew(trajectory.resized(HW), file_name)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    intrinsics = intrinsics_of(trajectory, path.name)
    path.mkdir(parents=True, exist_ok=True)
    motions = trajectory.camera.world_from_cam
    return write_together({path / _POSES: npy_bytes(motions), path / _INTRINSICS: npy_bytes(intrinsics)})


FORMAT = CameraFormat(
    name="lingbot",
    title="LingBot-World folder of poses.npy and intrinsics.npy",
    suffix="",
    patterns=("lingbot",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("size", "rate", "unit", "gaps", "float32"),
)

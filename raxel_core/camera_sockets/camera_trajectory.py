"""CAMERA_TRAJECTORY: one name, three payloads of other packs, all dicts of camera-to-world matrices (N, 4, 4).

(a) Enndees_Nodepack: `matrices` or `poses`, `intrinsics`, and `format`: "opengl" (y up, looks along -z, world too).
(b) VNCCS and HYWorld: `c2ws`, `intrs` in pixels, `width`, `height`, in OpenCV axes.
(c) Bruxos: `matrices` or `poses`, or `translations` and `rotations` (quaternions w, x, y, z), no convention said.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..camera_io.axes import from_opengl
from ..camera_io.reading import Assumed, CameraFormatError, Reading
from ..geometry import se3
from .payload import intrinsics, lens_or_assumed, motions, motions_from_parts, numbers, reading, sized

NAME = "CAMERA_TRAJECTORY"
_UNSAID = ('they may be in OpenGL axes: if the path looks upside down, give the dict "format": "opengl"',)
_MATRICES, _PARTS = ("matrices", "poses", "c2ws"), ("translations", "rotations")


def is_camera_trajectory(value: Any) -> bool:
    """Whether `value` is a dict with one of the three payloads' matrices."""
    return isinstance(value, dict) and (_matrices_key(value) is not None or set(_PARTS) <= value.keys())


def read_camera_trajectory(value: Any, assumed: Assumed, given: Any = None) -> Reading:
    """The cameras of any of the three, K from the dict, from `given` INTRINSICS or the assumed angle of view."""
    if not is_camera_trajectory(value):
        raise CameraFormatError(f"{NAME} is a dict with {', '.join(_MATRICES)}, or with {' and '.join(_PARTS)}")
    assumed = sized(NAME, value, assumed)
    motion, file_name = _motions(value)
    motion, convention, warnings = _in_opencv(value, motion)
    held = next((value[key] for key in ("intrs", "intrinsics") if value.get(key) is not None), None)
    lens = lens_or_assumed(given, assumed) if held is None else intrinsics(f"{NAME}'s intrinsics", held, assumed.hw)
    notes = (f"{len(motion)} camera-to-world poses (c2w) of {file_name}.", convention)
    return reading(NAME, motion, lens, assumed, notes=notes, warnings=warnings)


def _matrices_key(value: dict[str, Any]) -> str | None:
    """The key of the matrices in the dict."""
    return next((key for key in _MATRICES if value.get(key) is not None), None)


def _motions(value: dict[str, Any]) -> tuple[Tensor, str]:
    """The poses [N, 4, 4] as they are, and which keys they come from."""
    key = _matrices_key(value)
    if key is not None:
        return motions(f"{NAME}'s {key}", value[key]), key
    quaternion = numbers(f"{NAME}'s rotations", value["rotations"], (4,), axes=2)
    try:
        rotation = se3.rotation_from_quaternion(quaternion)
    except ValueError as error:
        raise CameraFormatError(f"{NAME}'s rotations: {error}") from error
    return motions_from_parts(NAME, rotation, value["translations"]), "translations and rotations (w, x, y, z)"


def _in_opencv(value: dict[str, Any], motion: Tensor) -> tuple[Tensor, str, tuple[str, ...]]:
    """The poses in OpenCV axes, how the dict says its own, and a warning where it does not."""
    said = str(value.get("format", "")).lower()
    if said == "opengl":
        return from_opengl(motion, up="y"), "format: opengl, so y and z of cameras and world were flipped.", ()
    if said == "opencv":
        return motion, "format: opencv, taken as they are.", ()
    if said:
        raise CameraFormatError(f"{NAME}'s format is opengl or opencv, got {said[:40]!r}")
    if "c2ws" in value:
        return motion, "OpenCV axes, as VNCCS and HYWorld have them.", ()
    return motion, "No format is given: OpenCV axes assumed.", _UNSAID

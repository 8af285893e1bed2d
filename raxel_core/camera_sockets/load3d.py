"""LOAD3D_CAMERA: a camera of ComfyUI's 3D viewer, a dict, or the list of them that newer versions hand on.

three.js conventions: right-handed, y up, the camera looks along -z; `quaternion` is the camera's rotation in the world
and `fov` the vertical angle in degrees. The world's y and z turn over: (x, y, z) there is (x, -y, -z) here. ComfyUI
0.8 gives position, target, zoom and cameraType alone. Its Render Splat node takes `fov` across the smaller side.
Create Camera Orbit and Batch Cameras (0.46) give a list, of which Render Mesh and Render Splat show one picture each.
"""

from __future__ import annotations

from dataclasses import replace
from math import atan, degrees, radians, tan
from typing import Any

import torch
from torch import Tensor

from ..camera_io.axes import from_opengl, to_opengl
from ..camera_io.pinhole import centred
from ..camera_io.reading import Assumed, CameraFormatError, Reading
from ..geometry import se3
from ..geometry.camera import K_from_focal
from ..geometry.trajectory import Trajectory
from .payload import Lens, fitted, lens_or_assumed, numbers, reading, scalar

NAME = "LOAD3D_CAMERA"


def load3d_camera(trajectory: Trajectory, frame: int = 0, *, target_distance: float = 1.0) -> dict[str, Any]:
    """The camera of `frame` as the viewer takes it, its target `target_distance` (in the path's unit) ahead.

    Raises ValueError when there is no such frame or the principal point is not the picture's middle, for which there
    is no place.
    """
    if not -len(trajectory) <= frame < len(trajectory):
        raise CameraFormatError(f"the path has {len(trajectory)} frames, numbered from 0; there is no frame {frame}")
    one = replace(trajectory, camera=trajectory.camera[frame][None], numbers=None)
    return load3d_cameras(one, target_distance=target_distance)[0]


def load3d_cameras(trajectory: Trajectory, *, target_distance: float = 1.0) -> list[dict[str, Any]]:
    """The camera of each frame, as Batch Cameras lists them; the target and the errors are `load3d_camera`'s."""
    camera = fitted(trajectory, None)
    (height, width), focal = camera.hw, centred(replace(trajectory, camera=camera), NAME)
    c2w = to_opengl(camera.world_from_cam, up="y")
    turns = se3.quaternion_from_rotation(c2w[:, :3, :3])
    return [
        {
            "position": _named("xyz", motion[:3, 3]),
            "target": _named("xyz", motion[:3, 3] - target_distance * motion[:3, 2]),
            "quaternion": _named("wxyz", turn),
            "fov": degrees(2.0 * atan(0.5 * height / fy)),
            "aspect": (width * fy) / (height * fx),
            "zoom": 1.0,
            "cameraType": "perspective",
        }
        for motion, turn, (fx, fy) in zip(c2w, turns, focal.tolist(), strict=True)
    ]


def is_load3d(value: Any) -> bool:
    """Whether `value` is a dict with a position and a target, or a list of such."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(entry, dict) and is_load3d(entry) for entry in value)
    return isinstance(value, dict) and {"position", "target"} <= value.keys()


def read_load3d(value: Any, assumed: Assumed) -> Reading:
    """The camera of the payload, or each of a list, as a frame, for a picture of the assumed size, square pixels."""
    if not is_load3d(value):
        raise CameraFormatError(f"{NAME} is a dict with a position and a target, or a list of such")
    entries = list(value) if isinstance(value, (list, tuple)) else [value]
    motions, turned, lenses = zip(*(_camera(entry, assumed) for entry in entries), strict=True)
    count = "One camera" if len(entries) == 1 else f"{len(entries)} cameras, a frame each,"
    notes = (f"{count} in three.js axes (y up, looks along -z), turned to OpenCV; {'; '.join(dict.fromkeys(turned))}.",)
    said = dict.fromkeys(lens.note for lens in lenses)
    of_frames = lenses[0].note if len(said) == 1 else f"{lenses[0].note} That is the first; others have their own."
    lens = Lens(torch.stack([lens.K.reshape(3, 3) for lens in lenses]), of_frames)
    doubts = tuple(dict.fromkeys(doubt for entry in entries for doubt in _aspect_warnings(entry, assumed)))
    return reading(NAME, torch.stack(motions), lens, assumed, notes=notes, warnings=doubts)


def _camera(value: dict[str, Any], assumed: Assumed) -> tuple[Tensor, str, Lens]:
    """Of one camera the motion [4, 4] in OpenCV axes, where its rotation comes from, and its lens."""
    if str(value.get("cameraType", "perspective")).lower().startswith("ortho"):
        raise CameraFormatError(f"{NAME} is orthographic: only perspective cameras have a focal length")
    position, target = _vector("position", value["position"]), _vector("target", value["target"])
    rotation, turned = _rotation(value, position, target)
    motion = from_opengl(se3.from_rotation_translation(rotation, position), up="y")
    return motion, turned, _lens(value, assumed)


def _rotation(value: dict[str, Any], position: Tensor, target: Tensor) -> tuple[Tensor, str]:
    """The camera's rotation [3, 3] in three.js axes, and where it comes from."""
    if value.get("quaternion"):
        quaternion = _vector("quaternion", value["quaternion"], "wxyz")
        try:
            return se3.rotation_from_quaternion(quaternion), "its rotation is the quaternion"
        except ValueError as error:
            raise CameraFormatError(f"{NAME}: {error}") from error
    backward, up = position - target, position.new_tensor((0.0, 1.0, 0.0))
    right = torch.linalg.cross(up, backward, dim=-1)
    if float(right.norm()) < 1e-6 * float(backward.norm()) or not float(backward.norm()):
        raise CameraFormatError(f"{NAME} has no quaternion and looks straight up or down, or stands on its target")
    axes = (right, torch.linalg.cross(backward, right, dim=-1), backward)
    rotation = torch.stack([axis / axis.norm() for axis in axes], dim=-1)
    return rotation, "it has no quaternion, so it looks from position to target with y up, without roll"


def _lens(value: dict[str, Any], assumed: Assumed) -> Lens:
    """K of the vertical angle and the zoom."""
    zoom = scalar(f"{NAME}'s zoom", value.get("zoom", 1.0))
    if not zoom > 0.0:
        raise CameraFormatError(f"{NAME}'s zoom is a positive number, got {zoom:g}")
    lens = lens_or_assumed(None, assumed)
    if value.get("fov") is not None:
        fov_degrees = scalar(f"{NAME}'s fov", value["fov"])
        if not 0.0 < fov_degrees < 180.0:
            raise CameraFormatError(f"{NAME}'s fov lies between 0 and 180 degrees, got {fov_degrees:g}")
        height, width = assumed.hw
        focal = 0.5 * height / tan(radians(0.5 * fov_degrees))
        row = lens.K.new_tensor((focal, focal, width / 2.0, height / 2.0))
        lens = Lens(K_from_focal(row[:2], row[2:]), f"K: {fov_degrees:g} degrees, top to bottom of {width}x{height}.")
    K = lens.K * lens.K.new_tensor(((zoom, 1.0, 1.0), (1.0, zoom, 1.0), (1.0, 1.0, 1.0)))
    return lens if zoom == 1.0 else Lens(K, f"{lens.note} The zoom multiplies its focal length by {zoom:g}.")


def _aspect_warnings(value: dict[str, Any], assumed: Assumed) -> tuple[str, ...]:
    """A warning where the viewer's picture has another aspect than the assumed one."""
    height, width = assumed.hw
    aspect = scalar(f"{NAME}'s aspect", value["aspect"]) if value.get("aspect") is not None else width / height
    if abs(aspect * height / width - 1.0) <= 0.01:
        return ()
    return (f"The viewer's picture was {aspect:.3f} : 1, not {width}x{height}: the vertical angle was kept",)


def _vector(key: str, value: Any, letters: str = "xyz") -> Tensor:
    """The numbers under `letters` in a dict, as a float64 tensor."""
    if not isinstance(value, dict) or not set(letters) <= value.keys():
        raise CameraFormatError(f"{NAME}'s {key} is a dict of {', '.join(letters)}, got {str(value)[:60]!r}")
    return numbers(f"{NAME}'s {key}", [value[letter] for letter in letters], (len(letters),))


def _named(letters: str, vector: Tensor) -> dict[str, float]:
    """A vector as a dict."""
    return dict(zip(letters, vector.tolist(), strict=True))

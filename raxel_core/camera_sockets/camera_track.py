"""CAMERA_TRACK and the motion-capture packs' camera dicts: rotations and translations apart, a lens in millimetres."""

from __future__ import annotations

from typing import Any

from ..camera_io.reading import Assumed, CameraFormatError, Reading
from ..geometry import se3
from ..geometry.camera import K_from_focal
from .payload import Lens, intrinsics, lens_or_assumed, motions_from_parts, numbers, reading, scalar, sized

NAME = "CAMERA_TRACK"
_W2C, _C2W = ("R_w2c", "t_w2c"), ("R_cam2world", "t_cam2world")


def is_camera_track(value: Any) -> bool:
    """Whether `value` is a dict with rotations and translations of one direction."""
    return isinstance(value, dict) and (set(_W2C) <= value.keys() or set(_C2W) <= value.keys())


def read_camera_track(value: Any, assumed: Assumed, given: Any = None) -> Reading:
    """The cameras of R_w2c [F, 3, 3] and t_w2c [F, 3], with focal_mm [F] and haperture in millimetres or K_fullimg.

    R_cam2world and t_cam2world are taken too. Without a lens K is that of `given` INTRINSICS or the assumed angle.
    """
    if not is_camera_track(value):
        raise CameraFormatError(f"{NAME} is a dict with {' and '.join(_W2C)}")
    assumed = sized(NAME, value, assumed)
    if set(_W2C) <= value.keys():
        motion = se3.inverse(motions_from_parts(NAME, value["R_w2c"], value["t_w2c"]))
        poses = f"{len(motion)} world-to-camera rotations and translations in OpenCV axes (w2c); each was inverted."
    else:
        motion = motions_from_parts(NAME, value["R_cam2world"], value["t_cam2world"])
        poses = f"{len(motion)} camera-to-world rotations and translations (c2w) in OpenCV axes."
    return reading(NAME, motion, _lens(value, given, assumed), assumed, notes=(poses,))


def _lens(value: dict[str, Any], given: Any, assumed: Assumed) -> Lens:
    """K of the dict, of `given` or of the assumed angle."""
    if "K_fullimg" in value:
        return intrinsics(f"{NAME}'s K_fullimg", value["K_fullimg"], assumed.hw)
    if "focal_mm" not in value or "haperture" not in value:
        return lens_or_assumed(given, assumed)
    focal = numbers(f"{NAME}'s focal_mm", value["focal_mm"], ()).reshape(-1)
    aperture = scalar(f"{NAME}'s haperture", value["haperture"])
    if not aperture > 0.0:
        raise CameraFormatError(f"{NAME}'s haperture is a positive number of millimetres, got {aperture:g}")
    height, width = assumed.hw
    pixels = (focal / aperture * width)[:, None].expand(-1, 2)
    note = f"K: focal_mm / haperture times {width} pixels, square pixels, principal point in the middle."
    return Lens(K_from_focal(pixels, pixels.new_tensor((width / 2.0, height / 2.0)).expand_as(pixels)), note)

"""Blender scripts: a .py that builds the camera with its keys, lens, shift and background; our own are read back.

Blender's world has z up and its cameras look along -z. The sensor is 36 mm wide (sensor fit horizontal), `lens` is in
mm, a shift is in widths of the image, positive to the right and up; pixels that are not square are the scene's pixel
aspect, one for the clip. A script is data between quotes and code that does not depend on it: it is never run here.
Source: Blender's BKE_camera_params_compute_viewplane.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.camera import K_from_focal
from ..geometry.trajectory import Trajectory
from .axes import from_opengl, to_opengl
from .content import Content
from .format import CameraFormat, trajectory_of
from .parsing import check_frames, mapping, number, numbers, sequence, whole
from .pinhole import without_skew
from .quaternions import continuous
from .reading import MOST_FIRST, Assumed, CameraFormatError, Reading
from .script_data import NUMBERS_KEY, embedded_json, fps_and_unit, in_their_frames, read_embedded

_SENSOR = 36.0
_TAG = "raxel.blender_camera.1"
_KEYS = ("name", "unit", "fps", "width", "height", "pixel_aspect", "frames")
_FRAME_KEYS = ("location", "quaternion", "lens", "shift")
_OPENING, _CLOSING = "CAMERA = json.loads(r'''", "\n}''')\n"
_BEFORE = '''"""A camera from Raxel for Blender: run it in the Scripting workspace, or `blender --python FILE`."""

import json
import os
import re

import bpy

BACKGROUND = ""  # the path of a movie, or of the first picture of a numbered sequence, to see behind the camera

'''
_AFTER = """

def set_scene(scene):
    fps = CAMERA["fps"]
    scene.render.fps = max(1, round(fps))
    scene.render.fps_base = scene.render.fps / fps
    scene.render.resolution_x, scene.render.resolution_y = CAMERA["width"], CAMERA["height"]
    scene.render.resolution_percentage = 100
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = CAMERA["pixel_aspect"]
    scene.frame_start = CAMERA["first_frame"]
    scene.frame_end = scene.frame_start + CAMERA["frame_numbers"][-1]


def new_camera(scene):
    data = bpy.data.cameras.new(CAMERA["name"] or "Raxel")
    data.sensor_fit, data.sensor_width = "HORIZONTAL", CAMERA["sensor_width"]
    camera = bpy.data.objects.new(CAMERA["name"] or "Raxel", data)
    camera.rotation_mode = "QUATERNION"
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def set_keys(camera):
    for place, frame in zip(CAMERA["frame_numbers"], CAMERA["frames"]):
        number = CAMERA["first_frame"] + place
        camera.location, camera.rotation_quaternion = frame["location"], frame["quaternion"]
        camera.data.lens = frame["lens"]
        camera.data.shift_x, camera.data.shift_y = frame["shift"]
        for path in ("location", "rotation_quaternion"):
            camera.keyframe_insert(path, frame=number)
        for path in ("lens", "shift_x", "shift_y"):
            camera.data.keyframe_insert(path, frame=number)
    for owner in (camera, camera.data):
        for curve in curves(owner.animation_data):
            for key in curve.keyframe_points:
                key.interpolation = "LINEAR"


def curves(animation):
    action = animation.action
    if hasattr(action, "fcurves"):
        return action.fcurves
    return action.layers[0].strips[0].channelbag(animation.action_slot).fcurves  # Blender 5


def show_background(camera):
    image = bpy.data.images.load(BACKGROUND)
    background = camera.data.background_images.new()
    background.image, user = image, background.image_user
    user.frame_start, user.frame_duration = CAMERA["first_frame"], CAMERA["frame_numbers"][-1] + 1
    if image.source != "MOVIE":
        image.source = "SEQUENCE"
        digits = re.findall("[0-9]+", os.path.splitext(os.path.basename(BACKGROUND))[0])
        user.frame_offset = int(digits[-1]) - 1 if digits else 0  # the picture named is that of the first frame
    camera.data.show_background_images = True


def main():
    set_scene(bpy.context.scene)
    camera = new_camera(bpy.context.scene)
    set_keys(camera)
    if BACKGROUND:
        show_background(camera)


main()
"""


def _recognise(content: Content) -> bool:
    return content.suffix == ".py" and not content.is_folder


def _read(path: Path, assumed: Assumed) -> Reading:
    values = read_embedded(path, _OPENING, _CLOSING, _TAG, _KEYS)
    width, height = (whole(values[key], f"{path.name} {key}", least=1) for key in ("width", "height"))
    rows, K = _cameras(values, (height, width), path.name)
    c2w = se3.from_rotation_translation(se3.rotation_from_quaternion(rows[:, 3:7]), rows[:, :3])
    fps, unit = fps_and_unit(values, path.name)
    trajectory, mended = trajectory_of(
        from_opengl(c2w, up="z"), K, (height, width), path.name, fps=fps, unit=unit, name=str(values["name"])
    )
    notes = (
        "The numbers within the script were read, the script was not run.",
        "location and quaternion are camera-to-world (c2w) with z up, looking along -z; turned to OpenCV axes.",
        f"K: from lens, shift and pixel aspect, sensor {_SENSOR:g} mm wide, pixels of {width}x{height}.",
        f"Time: {fps:g} frames a second, from the file.",
        f"Lengths: {unit}, from the file.",
        *mended,
    )
    first = whole(values.get("first_frame", 1), f"{path.name} first_frame", least=-MOST_FIRST, most=MOST_FIRST)
    trajectory, warnings = in_their_frames(trajectory, values, assumed, path.name, first=first)
    return Reading(trajectory, FORMAT.name, notes, tuple(warnings), first=first)


def _cameras(values: dict[str, Any], hw: tuple[int, int], file_name: str) -> tuple[Tensor, Tensor]:
    """Rows (location, quaternion) [F, 7] and K [F, 3, 3]."""
    aspect_x, aspect_y = numbers(values["pixel_aspect"], 2, f"{file_name} pixel_aspect")
    frames = sequence(values["frames"], f"{file_name} frames")
    check_frames(len(frames), file_name)
    rows = torch.tensor(
        [_row(frame, f"{file_name} frame {index}") for index, frame in enumerate(frames)], dtype=torch.float64
    )
    if min(aspect_x, aspect_y) <= 0.0:
        raise CameraFormatError(
            f"{file_name} pixel_aspect: expected two numbers above 0, found {aspect_x:g} {aspect_y:g}"
        )
    height, width = hw
    fx = rows[:, 7] / _SENSOR * width
    fy = fx * (aspect_x / aspect_y)
    cx = 0.5 * width - rows[:, 8] * width
    cy = 0.5 * height + rows[:, 9] * width * (aspect_x / aspect_y)
    return rows[:, :7], K_from_focal(torch.stack((fx, fy), -1), torch.stack((cx, cy), -1))


def _row(frame: Any, where: str) -> list[float]:
    """location, quaternion, lens and shift of one frame: ten numbers."""
    given = mapping(frame, where, needs=_FRAME_KEYS)
    quaternion = numbers(given["quaternion"], 4, f"{where} quaternion")
    if abs(sum(value * value for value in quaternion) - 1.0) > 1e-2:
        raise CameraFormatError(f"{where} quaternion: expected one of length 1, found {quaternion}")
    lens = number(given["lens"], f"{where} lens")
    if lens <= 0.0:
        raise CameraFormatError(f"{where} lens: expected a focal length above 0 mm, found {lens:g}")
    location, shift = numbers(given["location"], 3, f"{where} location"), numbers(given["shift"], 2, f"{where} shift")
    return [*location, *quaternion, lens, *shift]


def _write(trajectory: Trajectory, path: Path, first: int = 1) -> tuple[Path, ...]:
    fx, fy, cx, cy = without_skew(trajectory, path.name).unbind(-1)
    ratio = fy / fx
    if bool((ratio / ratio[0] - 1.0).abs().max() > 1e-6):
        raise CameraFormatError(
            f"{path.name} is not written: Blender has one pixel aspect a clip, fy / fx changes here"
        )
    height, width = trajectory.camera.hw
    c2w = to_opengl(trajectory.camera.world_from_cam, up="z")
    shift = torch.stack((0.5 - cx / width, (cy - 0.5 * height) / (width * ratio)), dim=-1)
    columns = (c2w[:, :3, 3], continuous(c2w[:, :3, :3]), fx * _SENSOR / width, shift)
    frames = [dict(zip(_FRAME_KEYS, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)]
    aspect = [max(1.0, float(ratio[0])), max(1.0, 1.0 / float(ratio[0]))]
    values = {
        "format": _TAG,
        "name": trajectory.name,
        "unit": trajectory.unit,
        "fps": trajectory.fps,
        "width": width,
        "height": height,
        "pixel_aspect": aspect,
        "sensor_width": _SENSOR,
        "first_frame": first,
        NUMBERS_KEY: list(trajectory.frame_numbers),
        "frames": frames,
    }
    write_text(path, _BEFORE + _OPENING + embedded_json(values)[:-2] + _CLOSING + _AFTER)
    return (path,)


FORMAT = CameraFormat(
    name="blender_py",
    title="Blender script .py (our own are read)",
    suffix=".py",
    patterns=("*.py",),
    recognise=_recognise,
    read=_read,
    write=_write,
    write_numbered=_write,
)

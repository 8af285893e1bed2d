"""nerfstudio's camera_path.json, which its viewer writes and `ns-render camera-path` films.

Each camera is camera-to-world in OpenGL axes, 16 numbers row by row, with its vertical angle of view in degrees; size
and rate are in the file. The world is that of the trained model, z up. Source: nerfstudio/cameras/camera_paths.py
(get_path_from_json). Not held: units; refused: a principal point off the middle, pixels that are not square.
"""

from __future__ import annotations

import json
from math import pi, radians, tan
from pathlib import Path
from typing import Any

import torch

from ..atomic_file import write_text
from ..geometry.distortion import Lens
from ..geometry.trajectory import Trajectory
from .axes import from_opengl, to_opengl
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat
from .parsing import check_frames, mapping, number, numbers, read_json, sequence, whole
from .pinhole import centred_square, lens_of
from .reading import Assumed, CameraFormatError, Reading

_NEEDED = ("camera_path", "render_height", "render_width")


def _recognise(content: Content) -> bool:
    return {"camera_path", "camera_to_world"} <= content.keys


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(read_json(path), path.name, needs=_NEEDED)
    cameras = sequence(values["camera_path"], f"{path.name} camera_path")
    check_frames(len(cameras), path.name)
    kind = values.get("camera_type", "perspective")
    if kind != "perspective":
        raise CameraFormatError(f"{path.name} camera_type: expected perspective, found {str(kind)[:40]!r}")
    height, width = (whole(values[key], f"{path.name} {key}", least=1) for key in _NEEDED[1:])
    given = [
        mapping(camera, f"{path.name} camera {index}", needs=("camera_to_world", "fov"))
        for index, camera in enumerate(cameras)
    ]
    rows = [
        numbers(camera["camera_to_world"], 16, f"{path.name} camera {index} camera_to_world")
        for index, camera in enumerate(given)
    ]
    motions = from_opengl(torch.tensor(rows, dtype=torch.float64).unflatten(-1, (4, 4)), up="z")
    lenses = [_lens(camera, (height, width), f"{path.name} camera {index}") for index, camera in enumerate(given)]
    fps = number(values["fps"], f"{path.name} fps") if "fps" in values else None
    if fps is not None and not 1e-6 < fps < 1e6:
        raise CameraFormatError(f"{path.name} fps: expected a rate between 0 and 1e6, found {fps:g}")
    return reading_of(
        Frames(motions, lenses, fps=fps, scaled=True), FORMAT.name, path.name, assumed,
        convention="camera_to_world is c2w with OpenGL camera axes; camera and world (z up) were turned to ours.",
        lens_from="fov, the vertical angle of view",
    )  # fmt: skip


def _lens(camera: dict[str, Any], hw: tuple[int, int], where: str) -> Lens:
    angle = radians(number(camera["fov"], f"{where} fov"))
    if not 0.0 < angle < pi:
        raise CameraFormatError(f"{where} fov: expected between 0 and 180 degrees, found {camera['fov']:g}")
    focal = 0.5 * hw[0] / tan(0.5 * angle)
    return lens_of(hw, (focal, focal, 0.5 * hw[1], 0.5 * hw[0]), where)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    focal = centred_square(trajectory, path.name)
    height, width = trajectory.camera.hw
    fov = torch.rad2deg(2.0 * torch.atan(0.5 * height / focal)).tolist()
    motions = to_opengl(trajectory.camera.world_from_cam, up="z").flatten(1).tolist()
    cameras = [
        {"camera_to_world": motion, "fov": angle, "aspect": width / height}
        for motion, angle in zip(motions, fov, strict=True)
    ]
    values = {
        "camera_type": "perspective",
        "render_height": height,
        "render_width": width,
        "fps": trajectory.fps,
        "seconds": len(trajectory) / trajectory.fps,
        "camera_path": cameras,
    }
    write_text(path, json.dumps(values, indent=1))
    return (path,)


FORMAT = CameraFormat(
    name="nerfstudio_path",
    title="nerfstudio camera_path.json (ns-render; square pixels, centred)",
    suffix=".json",
    patterns=("camera_path.json", "*.camera_path.json"),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("unit", "gaps"),
)

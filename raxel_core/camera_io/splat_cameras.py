"""cameras.json of 3D Gaussian Splatting and its viewers (SuperSplat, SIBR): position and rotation of each camera.

`rotation` is camera-to-world in OpenCV axes, row by row, `position` its centre, fx and fy in pixels; the principal
point is the picture's middle. Source: utils/camera_utils.py (camera_to_JSON) of github.com/graphdeco-inria/
gaussian-splatting. Not held: times, units.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.distortion import Lens
from ..geometry.trajectory import Trajectory
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat
from .frame_names import frame_name
from .parsing import check_frames, mapping, matrix, number, numbers, read_json, sequence, whole
from .pinhole import centred, lens_of
from .reading import Assumed, Reading

_KEYS = ("position", "rotation", "width", "height", "fx", "fy")


def _recognise(content: Content) -> bool:
    return set(_KEYS) <= content.keys and "cameraFrames" not in content.keys


def _read(path: Path, assumed: Assumed) -> Reading:
    cameras = sequence(read_json(path), path.name)
    check_frames(len(cameras), path.name)
    given = [
        (mapping(camera, f"{path.name} camera {index}", needs=_KEYS), f"{path.name} camera {index}")
        for index, camera in enumerate(cameras)
    ]
    rotations = [matrix(camera["rotation"], 3, 3, f"{where} rotation") for camera, where in given]
    centers = [numbers(camera["position"], 3, f"{where} position") for camera, where in given]
    motions = se3.from_rotation_translation(
        torch.tensor(rotations, dtype=torch.float64), torch.tensor(centers, dtype=torch.float64)
    )
    names = [str(camera.get("img_name", "")) for camera, _ in given] if "img_name" in given[0][0] else []
    return reading_of(
        Frames(motions, [_lens(*item) for item in given], names=names), FORMAT.name, path.name, assumed,
        convention="Rotations are camera-to-world (c2w) in OpenCV axes; nothing was inverted.", lens_from="fx and fy",
    )  # fmt: skip


def _lens(camera: dict[str, Any], where: str) -> Lens:
    height, width = (whole(camera[key], f"{where} {key}", least=1) for key in ("height", "width"))
    fx, fy = (number(camera[key], f"{where} {key}") for key in ("fx", "fy"))
    return lens_of((height, width), (fx, fy, 0.5 * width, 0.5 * height), where)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    focal = centred(trajectory, path.name).tolist()
    height, width = trajectory.camera.hw
    rows = zip(
        trajectory.frame_numbers,
        trajectory.camera.center.tolist(),
        trajectory.camera.rotation.tolist(),
        focal,
        strict=True,
    )
    values = [
        {"id": index, "img_name": Path(frame_name(number)).stem, "width": width, "height": height,
         "position": center, "rotation": rotation, "fy": fy, "fx": fx}
        for index, (number, center, rotation, (fx, fy)) in enumerate(rows)
    ]  # fmt: skip
    write_text(path, json.dumps(values))
    return (path,)


FORMAT = CameraFormat(
    name="splat_cameras",
    title="3D Gaussian Splatting cameras.json (centred)",
    suffix=".json",
    patterns=("*.3dgs.json", "*.splat.json"),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("rate", "unit"),
)

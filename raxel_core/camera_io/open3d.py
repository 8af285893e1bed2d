"""Open3D's PinholeCameraTrajectory JSON: extrinsic and intrinsic of each camera, matrices column by column.

`extrinsic` is world-to-camera in OpenCV axes, the principal point in pixels, taken as ours. Source:
Open3D, camera/PinholeCameraParameters.cpp and docs, "Camera trajectory". Not held: times, units, names.
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
from .direction import inversion_warning
from .format import CameraFormat
from .matrix_rows import full_motions
from .parsing import check_frames, mapping, numbers, read_json, sequence, whole
from .pinhole import lens_of, without_skew
from .reading import Assumed, Reading

_VERSION = {"version_major": 1, "version_minor": 0}


def _recognise(content: Content) -> bool:
    return {"extrinsic", "intrinsic_matrix"} <= content.keys


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(read_json(path), path.name)
    cameras = sequence(values["parameters"], f"{path.name} parameters") if "parameters" in values else [values]
    check_frames(len(cameras), path.name)
    given = [
        (mapping(item, f"{path.name} camera {index}", needs=("extrinsic", "intrinsic")), f"{path.name} camera {index}")
        for index, item in enumerate(cameras)
    ]
    columns = [numbers(camera["extrinsic"], 16, f"{where} extrinsic") for camera, where in given]
    rows = torch.tensor(columns, dtype=torch.float64).unflatten(-1, (4, 4)).mT.flatten(1)
    motions = se3.inverse(full_motions(rows, path.name))
    lenses = [_lens(camera["intrinsic"], f"{where} intrinsic") for camera, where in given]
    return reading_of(
        Frames(motions, lenses), FORMAT.name, path.name, assumed,
        convention="extrinsic is world-to-camera (w2c) in OpenCV axes, column by column; each was inverted.",
        lens_from="intrinsic_matrix", warnings=inversion_warning(motions),
    )  # fmt: skip


def _lens(given: Any, where: str) -> Lens:
    value = mapping(given, where, needs=("width", "height", "intrinsic_matrix"))
    height, width = (whole(value[side], f"{where} {side}", least=1) for side in ("height", "width"))
    K = numbers(value["intrinsic_matrix"], 9, f"{where} matrix")
    return lens_of((height, width), (K[0], K[4], K[6], K[7]), where)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    height, width = trajectory.camera.hw
    rows = zip(
        trajectory.camera.cam_from_world.mT.flatten(1).tolist(),
        without_skew(trajectory, path.name).tolist(),
        strict=True,
    )
    cameras = [
        {
            "class_name": "PinholeCameraParameters",
            "extrinsic": columns,
            "intrinsic": {
                "width": width,
                "height": height,
                "intrinsic_matrix": [fx, 0.0, 0.0, 0.0, fy, 0.0, cx, cy, 1.0],
            },
            **_VERSION,
        }
        for columns, (fx, fy, cx, cy) in rows
    ]
    write_text(path, json.dumps({"class_name": "PinholeCameraTrajectory", "parameters": cameras, **_VERSION}, indent=1))
    return (path,)


FORMAT = CameraFormat(
    name="open3d",
    title="Open3D PinholeCameraTrajectory .json",
    suffix=".json",
    patterns=("*.open3d.json",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("rate", "unit", "gaps"),
)

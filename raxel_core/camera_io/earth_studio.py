"""Google Earth Studio's 3D camera export .json: places and angles in the earth's own axes (ECEF), metres.

R = Rx Ry Rz of the angles in degrees, camera-to-world in OpenCV axes; `fovVertical` is in degrees. Places count from
the first camera here: they are millions of metres from the earth's middle. Source: the public converters to COLMAP
(ges_to_json of the LandMark system). Not held: a principal point, pixels that are not square.
"""

from __future__ import annotations

from math import pi, radians, tan
from pathlib import Path

import torch

from ..geometry import se3
from .axes import rotation_from_euler
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat
from .parsing import check_frames, mapping, number, read_json, sequence, whole
from .pinhole import lens_of
from .reading import Assumed, CameraFormatError, Reading

_NEEDED = ("position", "rotation", "fovVertical")


def _recognise(content: Content) -> bool:
    return {"cameraFrames", "fovVertical"} <= content.keys


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(read_json(path), path.name, needs=("cameraFrames", "width", "height"))
    frames = sequence(values["cameraFrames"], f"{path.name} cameraFrames")
    check_frames(len(frames), path.name)
    hw = tuple(whole(values[side], f"{path.name} {side}", least=1) for side in ("height", "width"))
    rows, lenses = [], []
    for index, frame in enumerate(frames):
        where = f"{path.name} frame {index}"
        given = mapping(frame, where, needs=_NEEDED)
        parts = [mapping(given[key], f"{where} {key}", needs=("x", "y", "z")) for key in _NEEDED[:2]]
        rows.append([number(part[axis], f"{where} {axis}") for part in parts for axis in "xyz"])
        angle = radians(number(given["fovVertical"], f"{where} fovVertical"))
        if not 0.0 < angle < pi:
            raise CameraFormatError(f"{where} fovVertical: expected between 0 and 180 degrees")
        focal = 0.5 * hw[0] / tan(0.5 * angle)
        lenses.append(lens_of((hw[0], hw[1]), (focal, focal, 0.5 * hw[1], 0.5 * hw[0]), where))
    table = torch.tensor(rows, dtype=torch.float64)
    rotation = rotation_from_euler(torch.deg2rad(table[:, 3:]), "zyx")
    motions = se3.from_rotation_translation(rotation, table[:, :3] - table[:1, :3])
    fps = number(values["frameRate"], f"{path.name} frameRate") if values.get("frameRate") else None
    if fps is not None and not 1e-6 < fps < 1e6:
        raise CameraFormatError(f"{path.name} frameRate: expected a rate between 0 and 1e6, found {fps:g}")
    read = Frames(motions, lenses, fps=fps, unit="metre", title=str(values.get("name", "")))
    return reading_of(
        read,
        FORMAT.name,
        path.name,
        assumed,
        convention="Places and angles are camera-to-world in the earth's axes (ECEF), places from the first camera on.",
        lens_from="fovVertical",
    )


FORMAT = CameraFormat(
    name="earth_studio",
    title="Google Earth Studio camera .json",
    suffix=".json",
    patterns=(),
    recognise=_recognise,
    read=_read,
)

"""After Effects .jsx: a script that makes a composition with a camera and its keys; our own are read back, not run.

After Effects' space is x right, y down, z away from the viewer, in pixels, so that its axes are ours; the composition's
middle is our origin, `pixels_per_unit` scales lengths. Orientation (rx, ry, rz) in degrees is R = Rx Ry Rz, `zoom` the
focal length in pixels of the composition. It holds neither pixels that are not square nor a principal point off the
middle: such cameras are refused.
Source: Adobe's After Effects Scripting Guide; orientation as in Blender's add-on io_export_after_effects.
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
from .axes import euler_from_rotation, rotation_from_euler
from .content import Content
from .format import CameraFormat, trajectory_of
from .parsing import check_frames, mapping, number, numbers, sequence, whole
from .pinhole import centred_square
from .reading import Assumed, CameraFormatError, Reading
from .script_data import NUMBERS_KEY, embedded_json, fps_and_unit, in_their_frames, read_embedded

_ORDER = "zyx"
# As many pixels a unit as Blender's exporter takes.
_PIXELS_PER_UNIT = 100.0
_TAG = "raxel.after_effects_camera.1"
_KEYS = ("name", "unit", "fps", "width", "height", "pixels_per_unit", "frames")
_FRAME_KEYS = ("position", "orientation", "zoom")
_OPENING, _CLOSING = "var CAMERA = ", "\n};\n"
_BEFORE = "// A camera from Raxel for After Effects: File > Scripts > Run Script File.\n(function () {\n"
_AFTER = """
var count = CAMERA.frames.length, length = (CAMERA.frame_numbers[count - 1] + 1) / CAMERA.fps;
var times = [], positions = [], orientations = [], zooms = [];
for (var i = 0; i < count; i += 1) {
    times.push(CAMERA.frame_numbers[i] / CAMERA.fps);
    positions.push(CAMERA.frames[i].position);
    orientations.push(CAMERA.frames[i].orientation);
    zooms.push(CAMERA.frames[i].zoom);
}
app.beginUndoGroup("Raxel camera");
var name = CAMERA.name || "Raxel";
var comp = app.project.items.addComp(name, CAMERA.width, CAMERA.height, 1, length, CAMERA.fps);
var camera = comp.layers.addCamera(name, [CAMERA.width / 2, CAMERA.height / 2]);
camera.autoOrient = AutoOrientType.NO_AUTO_ORIENT;
var transform = camera.property("ADBE Transform Group");
transform.property("ADBE Position").setValuesAtTimes(times, positions);
transform.property("ADBE Orientation").setValuesAtTimes(times, orientations);
camera.property("ADBE Camera Options Group").property("ADBE Camera Zoom").setValuesAtTimes(times, zooms);
comp.openInViewer();
app.endUndoGroup();
}());
"""


def _recognise(content: Content) -> bool:
    return content.suffix == ".jsx" and not content.is_folder


def _read(path: Path, assumed: Assumed) -> Reading:
    values = read_embedded(path, _OPENING, _CLOSING, _TAG, _KEYS)
    width, height = (whole(values[key], f"{path.name} {key}", least=1) for key in ("width", "height"))
    scale = number(values["pixels_per_unit"], f"{path.name} pixels_per_unit")
    if scale <= 0.0:
        raise CameraFormatError(f"{path.name} pixels_per_unit: expected a number above 0, found {scale:g}")
    frames = sequence(values["frames"], f"{path.name} frames")
    check_frames(len(frames), path.name)
    rows = torch.tensor(
        [_row(frame, f"{path.name} frame {index}") for index, frame in enumerate(frames)], dtype=torch.float64
    )
    middle = rows.new_tensor((0.5 * width, 0.5 * height, 0.0))
    rotation = rotation_from_euler(torch.deg2rad(rows[:, 3:6]), _ORDER)
    motion = se3.from_rotation_translation(rotation, (rows[:, :3] - middle) / scale)
    fps, unit = fps_and_unit(values, path.name)
    K = K_from_focal(rows[:, 6:].expand(-1, 2), middle[:2].expand(len(rows), 2))
    trajectory, mended = trajectory_of(
        motion, K, (height, width), path.name, fps=fps, unit=unit, name=str(values["name"])
    )  # fmt: skip
    notes = (
        "The numbers within the script were read, the script was not run.",
        "position and orientation are camera-to-world (c2w), R = Rx Ry Rz; After Effects' axes are OpenCV's.",
        f"Lengths: {unit}, {scale:g} pixels each, the middle of the composition as origin.",
        f"K: from zoom, which is the focal length in pixels of {width}x{height}.",
        f"Time: {fps:g} frames a second, from the file.",
        *mended,
    )
    trajectory, warnings = in_their_frames(trajectory, values, assumed, path.name)
    return Reading(trajectory, FORMAT.name, notes, tuple(warnings))


def _row(frame: Any, where: str) -> list[float]:
    """position, orientation and zoom of one frame: seven numbers."""
    given = mapping(frame, where, needs=_FRAME_KEYS)
    zoom = number(given["zoom"], f"{where} zoom")
    if zoom <= 0.0:
        raise CameraFormatError(f"{where} zoom: expected a focal length above 0 pixels, found {zoom:g}")
    position = numbers(given["position"], 3, f"{where} position")
    return [*position, *numbers(given["orientation"], 3, f"{where} orientation"), zoom]


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    zoom = centred_square(trajectory, path.name)
    height, width = trajectory.camera.hw
    values = {
        "format": _TAG,
        "name": trajectory.name,
        "unit": trajectory.unit,
        "fps": trajectory.fps,
        "width": width,
        "height": height,
        "pixels_per_unit": _PIXELS_PER_UNIT,
        NUMBERS_KEY: list(trajectory.frame_numbers),
        "frames": _frames(trajectory, zoom),
    }
    write_text(path, _BEFORE + _OPENING + embedded_json(values)[:-2] + _CLOSING + _AFTER)
    return (path,)


def _frames(trajectory: Trajectory, zoom: Tensor) -> list[dict[str, Any]]:
    camera = trajectory.camera
    middle = zoom.new_tensor((0.5 * camera.hw[1], 0.5 * camera.hw[0], 0.0))
    position = camera.center.double() * _PIXELS_PER_UNIT + middle
    orientation = torch.rad2deg(euler_from_rotation(camera.rotation, _ORDER))
    rows = zip(position.tolist(), orientation.tolist(), zoom.tolist(), strict=True)
    return [dict(zip(_FRAME_KEYS, row, strict=True)) for row in rows]


FORMAT = CameraFormat(
    name="after_effects",
    title="After Effects script .jsx (square pixels, centred; our own are read)",
    suffix=".jsx",
    patterns=("*.jsx",),
    recognise=_recognise,
    read=_read,
    write=_write,
)

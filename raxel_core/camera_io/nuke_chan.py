"""Nuke .chan: a camera's frames as text, `frame tx ty tz rx ry rz vfov`, y up, looking along -z, angles in degrees.

Nuke's rotation order ZXY turns about z first and about y last: R = Ry Rx Rz, pan outermost. `vfov` is the vertical
angle of view of an image with square pixels and the principal point in its middle; size, rate and unit are not in it.
Blender's add-on "Nuke Animation Format (.chan)" reads and writes it with rotation order ZXY; it writes the angle of the
camera's sensor height, which has to fit the image.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.camera import K_from_focal
from ..geometry.trajectory import Trajectory
from .axes import euler_from_rotation, from_opengl, rotation_from_euler, to_opengl
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat
from .parsing import Table, parse_table, read_text
from .pinhole import centred_square, lenses_of
from .reading import Assumed, CameraFormatError, Reading

_ORDER = "zxy"
_COLUMNS = (7, 8)


def _recognise(content: Content) -> bool:
    return content.suffix == ".chan" and not content.is_folder  # rows alone could be TUM's


def _read(path: Path, assumed: Assumed) -> Reading:
    if Content(path).columns == 6:
        raise CameraFormatError(
            f"{path.name}: 6 columns are channels without the frame's number, as Houdini writes them: export the "
            "camera as .usda or .glb"
        )
    table = parse_table(read_text(path), path.name, _COLUMNS)
    values = table.values
    _check_rising(table, path.name)
    lenses, lens_warnings = (
        [],
        ["the file has no angle of view (7 columns, as from an Axis node): the assumed one was taken"],
    )
    if values.shape[1] == 8:
        K = _K(values[:, 7], table.lines, path.name, assumed)
        lenses, lens_warnings = lenses_of(K, assumed.hw, path.name), _aspect_warning(assumed)
    order = (
        "the file does not state its rotation order: Nuke's default, ZXY, was taken; another order gives other "
        "rotations"
    )
    numbers = values[:, 0].round().long().tolist()
    reading = reading_of(
        Frames(_motion(values), lenses, numbers=numbers),
        FORMAT.name, path.name, assumed,
        convention="Rows are camera-to-world (c2w), y up, looking along -z, rotation order ZXY; turned to OpenCV axes.",
        lens_from="the vertical angle of view", warnings=(order, *lens_warnings),
    )  # fmt: skip
    return replace(reading, first=numbers[0])


def _aspect_warning(assumed: Assumed) -> list[str]:
    """That Blender's add-on writes the angle of the sensor's height, which says nothing of the picture's size."""
    if assumed.sensor is not None and assumed.hw[0] > assumed.hw[1]:
        return [
            "the sensor's width was laid along the picture's height, as Blender does by itself (sensor fit Auto): with "
            "the fit Horizontal the focal length is another"
        ]
    if assumed.sensor is not None:
        return []
    return [
        f"the angle of view was taken for the height of {assumed.hw[1]}x{assumed.hw[0]}; Blender's add-on writes that "
        "of the sensor's height: then give the sensor (36x24 mm is Blender's own)"
    ]


def _check_rising(table: Table, file_name: str) -> None:
    """CameraFormatError where a frame does not come after the one before."""
    frames = table.values[:, 0]
    wrong = (frames.diff() < 1.0).nonzero()
    if len(wrong):
        row = int(wrong[0]) + 1
        raise CameraFormatError(
            f"{file_name} line {table.lines[row]}: expected a frame after {frames[row - 1]:g}, found {frames[row]:g}"
        )


def _write(trajectory: Trajectory, path: Path, first: int = 1) -> tuple[Path, ...]:
    focal = centred_square(trajectory, path.name)
    c2w = to_opengl(trajectory.camera.world_from_cam, up="y")
    angles = euler_from_rotation(c2w[:, :3, :3], _ORDER)
    vfov = 2.0 * torch.atan2(torch.full_like(focal, 0.5 * trajectory.camera.hw[0]), focal)
    rows = torch.cat((c2w[:, :3, 3], torch.rad2deg(angles), torch.rad2deg(vfov)[:, None]), dim=-1).tolist()
    frames = [number + first for number in trajectory.frame_numbers]
    lines = [f"{frame}\t" + "\t".join(map(repr, row)) for frame, row in zip(frames, rows, strict=True)]
    write_text(path, "\n".join(lines) + "\n")
    return (path,)


def _motion(values: Tensor) -> Tensor:
    """world_from_cam [F, 4, 4] of rows [F, 8]."""
    rotation = rotation_from_euler(torch.deg2rad(values[:, 4:7]), _ORDER)
    return from_opengl(se3.from_rotation_translation(rotation, values[:, 1:4]), up="y")


def _K(vfov_degrees: Tensor, lines: tuple[int, ...], file_name: str, assumed: Assumed) -> Tensor:
    """K [F, 3, 3] of vertical angles [F], of the picture's height or of the sensor's where that is given."""
    wrong = ((vfov_degrees <= 0.0) | (vfov_degrees >= 180.0)).nonzero().flatten().tolist()
    if wrong:
        found = vfov_degrees[wrong[0]]
        raise CameraFormatError(
            f"{file_name} line {lines[wrong[0]]}: expected a vertical angle of view between 0 and 180 degrees in "
            f"column 8, found {found:g}"
        )
    hw = assumed.hw
    # Blender lays the sensor's width along the longer side.
    seen = hw[0] if assumed.sensor is None else max(hw) * assumed.sensor[1] / assumed.sensor[0]
    focal = 0.5 * seen / torch.tan(0.5 * torch.deg2rad(vfov_degrees))
    middle = focal.new_tensor((0.5 * hw[1], 0.5 * hw[0])).expand(len(focal), 2)
    return K_from_focal(torch.stack((focal, focal), dim=-1), middle)


FORMAT = CameraFormat(
    name="nuke_chan",
    title="Nuke .chan (square pixels, centred)",
    suffix=".chan",
    patterns=("*.chan",),
    recognise=_recognise,
    read=_read,
    write=_write,
    write_numbered=_write,
    leaves_out=("size", "rate", "unit"),
)

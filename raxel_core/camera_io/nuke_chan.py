"""Nuke .chan: a camera's frames as text, `frame tx ty tz rx ry rz vfov`, y up, looking along -z, angles in degrees.

Nuke's rotation order ZXY turns about z first and about y last: R = Ry Rx Rz, pan outermost. `vfov` is the vertical
angle of view of an image with square pixels and the principal point in its middle; size, rate and unit are not in it.
Blender's add-on "Nuke Animation Format (.chan)" reads and writes it with rotation order ZXY; it writes the angle of the
camera's sensor height, which has to fit the image.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.camera import K_from_focal
from ..geometry.trajectory import Trajectory
from .axes import euler_from_rotation, from_opengl, rotation_from_euler, to_opengl
from .format import CameraFormat, assumed_unit, trajectory_of
from .pinhole import centred_square
from .reading import Assumed, CameraFormatError, Reading
from .source import parse_table, read_text

_ORDER = "zxy"


def _recognise(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".chan"  # rows alone could be TUM's


def _read(path: Path, assumed: Assumed) -> Reading:
    table = parse_table(read_text(path), path.name, (7, 8))
    values = table.values
    if values.shape[1] == 7:
        raise CameraFormatError(
            f"{path.name} line {table.lines[0]}: expected the 8 columns frame tx ty tz rx ry rz vfov, found 7, which "
            "hold no angle of view; in Nuke write the .chan from a Camera (an Axis has 7 columns)"
        )
    warnings = _frame_warnings(values[:, 0], table.lines, path.name)
    trajectory, mended = trajectory_of(
        _motion(values), _K(values[:, 7], table.lines, path.name, assumed.hw), assumed.hw, path.name,
        fps=assumed.fps, unit=assumed.unit,
    )  # fmt: skip
    height, width = assumed.hw
    notes = (
        f"{len(trajectory)} frames of 8 columns, rotation order ZXY (R = Ry Rx Rz), angles in degrees.",
        "The cameras are camera-to-world with y up, looking along -z; camera and world were flipped to OpenCV axes.",
        f"K comes from the vertical angle of view, for an assumed image of {width} x {height} with square pixels.",
        f"Time: {assumed.fps:g} frames a second, assumed; the format has none.",
        assumed_unit(assumed),
        *mended,
    )
    order = "the file does not say its rotation order: ZXY is Nuke's default, another order gives other rotations"
    return Reading(trajectory, FORMAT.name, notes, (order, *warnings))


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    focal = centred_square(trajectory, path.name)
    c2w = to_opengl(trajectory.camera.world_from_cam, up="y")
    angles = euler_from_rotation(c2w[:, :3, :3], _ORDER)
    vfov = 2.0 * torch.atan2(torch.full_like(focal, 0.5 * trajectory.camera.hw[0]), focal)
    rows = torch.cat((c2w[:, :3, 3], torch.rad2deg(angles), torch.rad2deg(vfov)[:, None]), dim=-1).tolist()
    lines = [f"{frame}\t" + "\t".join(map(repr, row)) for frame, row in enumerate(rows, start=1)]
    write_text(path, "\n".join(lines) + "\n")
    return (path,)


def _motion(values: Tensor) -> Tensor:
    """world_from_cam [F, 4, 4] of rows [F, 8]."""
    rotation = rotation_from_euler(torch.deg2rad(values[:, 4:7]), _ORDER)
    return from_opengl(se3.from_rotation_translation(rotation, values[:, 1:4]), up="y")


def _K(vfov_degrees: Tensor, lines: tuple[int, ...], source: str, hw: tuple[int, int]) -> Tensor:
    """K [F, 3, 3] of vertical angles [F]."""
    wrong = ((vfov_degrees <= 0.0) | (vfov_degrees >= 180.0)).nonzero().flatten().tolist()
    if wrong:
        found = vfov_degrees[wrong[0]]
        raise CameraFormatError(
            f"{source} line {lines[wrong[0]]}: expected a vertical angle of view between 0 and 180 degrees in column "
            f"8, found {found:g}"
        )
    focal = 0.5 * hw[0] / torch.tan(0.5 * torch.deg2rad(vfov_degrees))
    middle = focal.new_tensor((0.5 * hw[1], 0.5 * hw[0])).expand(len(focal), 2)
    return K_from_focal(torch.stack((focal, focal), dim=-1), middle)


def _frame_warnings(frames: Tensor, lines: tuple[int, ...], source: str) -> tuple[str, ...]:
    """A warning where frames are left out; CameraFormatError where they do not rise."""
    steps = frames.diff()
    if bool((steps <= 0.0).any()):
        row = int((steps <= 0.0).nonzero()[0]) + 1
        raise CameraFormatError(
            f"{source} line {lines[row]}: expected a frame after {frames[row - 1]:g}, found {frames[row]:g}"
        )
    if bool((steps != 1.0).any()):
        return ("frame numbers do not rise by one; the rows were taken as neighbouring frames",)
    return ()


FORMAT = CameraFormat(
    name="nuke_chan",
    title="Nuke .chan (square pixels, centred)",
    suffix=".chan",
    patterns=("*.chan",),
    recognise=_recognise,
    read=_read,
    write=_write,
)

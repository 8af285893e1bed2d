"""JSON rows of CameraCtrl's and VideoX-Fun's ComfyUI nodes: `[fx, fy, cx, cy, 0, 0, 12 numbers]` a frame.

fx, fy, cx, cy are shares of the picture's width and height; the twelve are the upper 3x4 of world-to-camera in OpenCV
axes, row by row. A list of CAMERACTRL_POSES as text has one more number in front, a time, which is not used;
MotionCtrl's files hold the twelve alone. Sources: comfyui/comfyui_nodes.py of github.com/aigc-apps/VideoX-Fun;
examples/camera_poses of github.com/TencentARC/MotionCtrl. Not held: times, the picture's size, units, skew.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.trajectory import Trajectory
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat, assumed_K, assumed_unit, motions_of, trajectory_of
from .parsing import check_frames, numbers, read_json, sequence
from .reading import Assumed, Reading
from .realestate10k import K_from_shares, shares_of_K

_COLUMNS, _MATRIX = 18, 12


def _recognise(content: Content) -> bool:
    outer, _, inner = content.beginning.partition("[")
    row, bracket, _ = inner.lstrip().removeprefix("[").partition("]")
    opened = not outer.strip() and inner.lstrip()[:1] == "["
    return opened and bool(bracket) and row.count(",") + 1 in (_MATRIX, _COLUMNS, _COLUMNS + 1)


def _read(path: Path, assumed: Assumed) -> Reading:
    items = sequence(read_json(path), path.name)
    check_frames(len(items), path.name)
    found = len(items[0]) if isinstance(items[0], list) else 0
    width = found if found in (_MATRIX, _COLUMNS + 1) else _COLUMNS
    rows = [numbers(item, width, f"{path.name} row {number}") for number, item in enumerate(items)]
    values = torch.tensor(rows, dtype=torch.float64)
    world_from_cam = se3.inverse(motions_of(values[:, -_MATRIX:]))
    shares = values[:, -_COLUMNS:-_MATRIX]
    K, K_note, warnings = (*assumed_K(assumed), ()) if width == _MATRIX else K_from_shares(shares, assumed.hw)
    trajectory, mended = trajectory_of(world_from_cam, K, assumed.hw, path.name, fps=assumed.rate, unit=assumed.unit)
    notes = (
        f"Rows of {width} numbers, world-to-camera (w2c) in OpenCV axes; each was inverted.",
        K_note,
        f"Time: {assumed.rate:g} frames a second, assumed"
        f"{'; the first number of a row was not used' * (width > _COLUMNS)}.",
        assumed_unit(assumed),
        *mended,
    )
    return Reading(trajectory, FORMAT.name, notes, (*warnings, *inversion_warning(world_from_cam)))


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    cam_from_world = trajectory.camera.cam_from_world[:, :3].flatten(1)
    rows = torch.cat((shares_of_K(trajectory, path.name), cam_from_world), dim=-1)
    write_text(path, json.dumps(rows.tolist()))
    return (path,)


FORMAT = CameraFormat(
    name="camera_rows",
    title="CameraCtrl / VideoX-Fun JSON rows of 18 numbers",
    suffix=".json",
    patterns=("camera_rows.json", "*.rows.json"),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("size", "rate", "unit", "gaps"),
)

"""ReCamMaster camera_extrinsics.json: for each frame the cameras by name, each a matrix as text.

The text is `[fx fy fz 0] [rx ry rz 0] [ux uy uz 0] [x y z 1]`: the axes forward, right and up and the centre, in
Unreal's left-handed world (x forward, y right, z up) and centimetres, which is camera-to-world transposed. The authors'
loader transposes, takes columns 1 2 0 3, negates column 1 and divides centres by 100, then makes the path relative to
its first camera; their world stays Unreal's. Here the world is turned to OpenCV axes too, which leaves the relative
path as theirs. Their loader reads 81 frames. Source: inference_recammaster.py of github.com/KwaiVGI/ReCamMaster.
Not held: times, intrinsics.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.trajectory import Trajectory
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat, assumed_K, trajectory_of
from .parsing import MOST_LINE, check_frames, listed, mapping, parse_number, read_json
from .reading import Assumed, CameraFormatError, Reading
from .tracks import chosen_track

_CENTIMETRES = 100.0
_FRAME = re.compile(r"frame([0-9]{1,6})")
_CAMERA = "cam01"


def _recognise(content: Content) -> bool:
    keys = content.keys
    return any(_FRAME.fullmatch(key) for key in keys) and any(key.startswith("cam") for key in keys)


def _read(path: Path, assumed: Assumed) -> Reading:
    frames = _frames(read_json(path), path.name)
    names = sorted(mapping(frames[0], f"{path.name} frame0"))
    if not names:
        raise CameraFormatError(f"{path.name} frame0: expected cameras by name, found none")
    index, track_warnings = chosen_track(names, assumed.track, path.name)
    track = names[index]
    texts = [mapping(frame, f"{path.name} frame{number}", needs=(track,))[track] for number, frame in enumerate(frames)]
    rows = [_numbers_in(text, f"{path.name} frame{number} {listed([track])}") for number, text in enumerate(texts)]
    world_from_cam = _from_unreal(torch.tensor(rows, dtype=torch.float64).unflatten(-1, (4, 4)), path.name)
    K, K_note = assumed_K(assumed)
    trajectory, mended = trajectory_of(
        world_from_cam, K, assumed.hw, path.name, fps=assumed.rate, unit="metre", name=track[:200]
    )
    notes = (
        f"Path {listed([track])} of {len(names)} in the file.",
        "Matrices are transposed camera-to-world in Unreal's axes (forward, right, up; left-handed); they were "
        "transposed and turned to OpenCV axes, world and camera.",
        "Lengths: metres, the file's centimetres divided by 100 as ReCamMaster does.",
        K_note,
        f"Time: {assumed.rate:g} frames a second, assumed; the format has none.",
        *mended,
    )
    halved = "SynCamMaster divides the same numbers by 200: for it, scale the path by 0.5"
    return Reading(trajectory, FORMAT.name, notes, (halved, *track_warnings, *inversion_warning(world_from_cam)))


def _frames(values: Any, file_name: str) -> list[Any]:
    """What stands under frame0, frame1 ... in order, none left out."""
    frames = mapping(values, file_name)
    check_frames(len(frames), file_name)
    missing = next((number for number in range(len(frames)) if f"frame{number}" not in frames), None)
    if missing is not None:
        raise CameraFormatError(
            f"{file_name}: expected the keys frame0 to frame{len(frames) - 1}, missing frame{missing}"
        )
    return [frames[f"frame{number}"] for number in range(len(frames))]


def _numbers_in(text: Any, where: str) -> list[float]:
    """The 16 numbers of a matrix as text."""
    tokens = text.replace("[", " ").replace("]", " ").split() if isinstance(text, str) and len(text) < MOST_LINE else []
    if len(tokens) != 16:
        raise CameraFormatError(f"{where}: expected text with 4 bracketed rows of 4 numbers")
    return [parse_number(token, where) for token in tokens]


def _from_unreal(rows: Tensor, file_name: str) -> Tensor:
    """`world_from_cam` [F, 4, 4] in metres from Unreal's rows: forward, right, up, centre."""
    if not bool((rows[:, :, 3] == rows.new_tensor((0.0, 0.0, 0.0, 1.0))).all()):
        raise CameraFormatError(
            f"{file_name}: expected matrices whose last column is 0 0 0 1 (they are stored transposed)"
        )
    forward, right, up, centre = (_turned(rows[:, index, :3]) for index in range(4))
    return se3.from_rotation_translation(torch.stack((right, -up, forward), dim=-1), centre / _CENTIMETRES)


def _turned(vector: Tensor) -> Tensor:
    """A vector [..., 3] of Unreal's world (x forward, y right, z up) in OpenCV's (x right, y down, z forward)."""
    x, y, z = vector.unbind(-1)
    return torch.stack((y, -z, x), dim=-1)


def _turned_back(vector: Tensor) -> Tensor:
    """The inverse of `_turned`."""
    x, y, z = vector.unbind(-1)
    return torch.stack((z, x, -y), dim=-1)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    """Lengths are written as metres whatever their unit, since the format has no other."""
    right, down, forward = trajectory.camera.rotation.unbind(-1)
    axes = (forward, right, -down, trajectory.camera.center * _CENTIMETRES)
    rows = torch.stack([_turned_back(axis) for axis in axes], dim=1).tolist()
    values = {f"frame{number}": {_CAMERA: _text_of(matrix)} for number, matrix in enumerate(rows)}
    write_text(path, json.dumps(values, indent=4))
    return (path,)


def _text_of(rows: list[list[float]]) -> str:
    """The four rows of three numbers with their last column, each in brackets."""
    ends = ("0", "0", "0", "1")
    return " ".join(f"[{' '.join(map(repr, row))} {end}]" for row, end in zip(rows, ends, strict=True))


FORMAT = CameraFormat(
    name="recammaster",
    title="ReCamMaster camera_extrinsics.json (also InfCam)",
    suffix=".json",
    patterns=("camera_extrinsics.json",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("K", "size", "rate", "metres", "gaps"),
)

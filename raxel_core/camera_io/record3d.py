"""Record3D's captures: the `metadata` JSON of an unpacked .r3d, or within the .r3d itself.

`poses` are rows qx qy qz qw x y z, camera-to-world in OpenGL axes (ARKit's, y up); `K` nine numbers column by column,
in pixels of w x h; lengths are metres. Source: nerfstudio/process_data/record3d_utils.py; record3d.app.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .archive import read_member
from .axes import from_opengl
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat
from .parsing import (
    MOST_JSON_BYTES,
    check_frames,
    decoded,
    mapping,
    number,
    numbers,
    parse_json,
    read_json,
    sequence,
    whole,
)
from .pinhole import lens_of
from .quaternions import motions_of_quaternions
from .reading import Assumed, Reading

_NEEDED = ("poses", "K", "w", "h")
_MEMBER = "metadata"


def _recognise(content: Content) -> bool:
    inside = content.suffix == ".r3d" and _MEMBER in content.members
    return inside or ({"poses", "K", "w", "h"} <= content.keys and "frames" not in content.keys)


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(_values(path), path.name, needs=_NEEDED)
    poses = sequence(values["poses"], f"{path.name} poses")
    check_frames(len(poses), f"{path.name} poses")
    rows = torch.tensor([numbers(row, 7, f"{path.name} pose {i}") for i, row in enumerate(poses)], dtype=torch.float64)
    c2w = motions_of_quaternions(rows[:, :4], rows[:, 4:], "xyzw", lambda row: f"{path.name} pose {row}")
    K = numbers(values["K"], 9, f"{path.name} K")
    height, width = (whole(values[key], f"{path.name} {key}", least=1) for key in ("h", "w"))
    lens = lens_of((height, width), (K[0], K[4], K[6], K[7]), f"{path.name} K")
    fps = number(values["fps"], f"{path.name} fps") if values.get("fps") else None
    return reading_of(
        Frames(from_opengl(c2w, up="y"), [lens] * len(rows), fps=fps, unit="metre"), FORMAT.name, path.name, assumed,
        convention="poses are camera-to-world (c2w) in ARKit's axes, y up, looking along -z; turned to OpenCV axes.",
        lens_from="K",
    )  # fmt: skip


def _values(path: Path) -> Any:
    if path.suffix.lower() != ".r3d":
        return read_json(path)
    return parse_json(decoded(read_member(path, _MEMBER, most=MOST_JSON_BYTES), path.name), f"{path.name} {_MEMBER}")


FORMAT = CameraFormat(
    name="record3d", title="Record3D metadata, .r3d", suffix=".json", patterns=(), recognise=_recognise, read=_read
)

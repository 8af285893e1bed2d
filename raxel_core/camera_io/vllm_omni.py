"""The `cameras` JSON of vllm-omni's video endpoint: {"poses": [N][4][4], "intrinsics": [N][4]}.

Poses are camera-to-world in OpenCV axes; fx, fy, cx, cy in pixels of 832x480, as LingBot-World takes them. Source: RFC
github.com/vllm-project/vllm-omni/issues/3072 and its models/lingbot_world_fast. Not held: times, units, the picture's
size, skew.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from ..atomic_file import write_text
from ..geometry.trajectory import Trajectory
from .content import Content
from .format import CameraFormat
from .lingbot import intrinsics_of, reading_of_pair
from .parsing import check_frames, mapping, matrix, numbers, read_json, sequence
from .reading import Assumed, Reading

_KEYS = ("poses", "intrinsics")


def _recognise(content: Content) -> bool:
    return content.keys == set(_KEYS)


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(read_json(path), path.name, needs=_KEYS)
    motions = sequence(values["poses"], f"{path.name} poses")
    intrinsics = sequence(values["intrinsics"], f"{path.name} intrinsics")
    check_frames(len(motions), f"{path.name} poses")
    check_frames(len(intrinsics), f"{path.name} intrinsics")
    rows = [matrix(item, 4, 4, f"{path.name} poses {number}") for number, item in enumerate(motions)]
    lenses = [numbers(item, 4, f"{path.name} intrinsics {number}") for number, item in enumerate(intrinsics)]
    as_tensor = torch.tensor(rows, dtype=torch.float64), torch.tensor(lenses, dtype=torch.float64)
    trajectory, notes, warnings = reading_of_pair(*as_tensor, path.name, assumed)
    return Reading(trajectory, FORMAT.name, notes, warnings)


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    values = {
        "intrinsics": intrinsics_of(trajectory, path.name).tolist(),
        "poses": trajectory.camera.world_from_cam.tolist(),
    }
    write_text(path, json.dumps(values))
    return (path,)


FORMAT = CameraFormat(
    name="vllm_omni",
    title="vllm-omni cameras JSON (LingBot-World)",
    suffix=".json",
    patterns=("cameras.json",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("size", "rate", "unit", "gaps"),
)

"""The wire format "camera path v1": a trajectory as JSON, which the browser reads and writes too.

A path is baked, with its `frames`, or planned: a `plan` (`plan.CameraPlan`), or several of them as `shots`
(`shots.Shot`), sampled at `frame_count` frames.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from ..geometry.camera import Camera, K_from_focal
from ..geometry.trajectory import Trajectory
from ..strict_json import check_keys, check_list, check_whole, finite_numbers, parse_object, shown
from .plan import MOST_FRAMES, CameraPlan
from .shots import build_shots, read_shots

FORMAT = "raxel.camera_path"
VERSION = 1

_KEYS = ("format", "version", "fps", "unit", "name", "width", "height")
_BAKED_KEYS = ("frames",)
# Which frames of the clip the cameras belong to, in a baked path with gaps.
_NUMBERS_KEY = "frame_numbers"
FIRST_KEY = "first_frame"
"""The number of a baked path's first frame in the footage, where that is known; it is passed over here."""
_PLANNED_KEYS = ("frame_count", "plan", "shots")
ESTIMATE_KEY = "estimate"
"""What `estimate_path` adds to a baked path that was found in footage; it is passed over here."""
_FRAME_KEYS = ("world_from_cam", "K")
# The largest width or height that a path may name: no picture is larger.
_MOST_PIXELS = 1_000_000


def path_to_json(trajectory: Trajectory) -> str:
    """A baked camera path v1, a JSON object; the numbers keep every bit of float32 and float64.

    Each frame holds `world_from_cam`, 16 numbers row by row, and `K` = [fx, fy, cx, cy] in pixels of width x height,
    in the convention of `Camera`. Raises ValueError when the cameras are not valid or K has a skew, for which the
    format has no place.
    """
    camera = trajectory.camera.validate()
    if bool((camera.K[:, 0, 1] != 0.0).any()):
        raise ValueError("camera path v1 has no place for the skew of K")
    intrinsics = torch.cat((camera.focal, camera.principal_point), dim=-1)
    frames = zip(camera.world_from_cam.flatten(1).tolist(), intrinsics.tolist(), strict=True)
    values = {
        "format": FORMAT,
        "version": VERSION,
        "fps": trajectory.fps,
        "unit": trajectory.unit,
        "name": trajectory.name,
        "width": camera.hw[1],
        "height": camera.hw[0],
        "frames": [dict(zip(_FRAME_KEYS, frame, strict=True)) for frame in frames],
    }
    if trajectory.numbers is not None:
        values[_NUMBERS_KEY] = list(trajectory.numbers)
    return json.dumps(values)


def path_from_json(text: str, *, dtype: torch.dtype = torch.float32) -> Trajectory:
    """The trajectory in a camera path v1 `text`, its cameras in `dtype`; ValueError with one sentence otherwise."""
    values = parse_object("the camera path", text)
    planned = any(key in values for key in _PLANNED_KEYS)
    own = ("frame_count", "shots" if "shots" in values else "plan") if planned else _BAKED_KEYS
    check_keys("the camera path", values, (*_KEYS, *own), () if planned else (ESTIMATE_KEY, _NUMBERS_KEY, FIRST_KEY))
    _check_version(values)
    for name in ("unit", "name"):
        if not isinstance(values[name], str):
            raise ValueError(f"the camera path's {name} is text, got {shown(values[name])}")
    height, width = (check_whole(f"the camera path's {k}", values[k], 1, _MOST_PIXELS) for k in ("height", "width"))
    fps = finite_numbers("the camera path's fps", [values["fps"]], 1)[0]
    unit, name = values["unit"], values["name"]
    if planned:
        frames = check_whole("the camera path's frame_count", values["frame_count"], 1, MOST_FRAMES)
        if "shots" in values:
            return build_shots(
                read_shots(values["shots"]), frames, hw=(height, width), fps=fps, dtype=dtype, unit=unit, name=name
            )
        plan = CameraPlan.from_values(values["plan"])
        return plan.build(frames, hw=(height, width), fps=fps, dtype=dtype, unit=unit, name=name)
    motions, K = _read_frames(values["frames"], dtype)
    camera = Camera(motions, K, (height, width)).validate()
    return Trajectory(camera, fps=fps, unit=unit, name=name, numbers=_read_numbers(values.get(_NUMBERS_KEY)))


def _read_numbers(value: Any) -> tuple[int, ...] | None:
    """The numbers of the frames of a path with gaps; None where the path has none."""
    if value is None:
        return None
    numbers = check_list("the camera path's frame_numbers", value, MOST_FRAMES)
    return tuple(check_whole("a frame number", number, 0, 10 * MOST_FRAMES) for number in numbers)


def _check_version(values: dict[str, Any]) -> None:
    """ValueError unless the path says that it is one, of this version."""
    if values["format"] != FORMAT or values["version"] != VERSION or isinstance(values["version"], bool):
        got = f"{shown(values['format'])} version {shown(values['version'])}"
        raise ValueError(f"expected format {FORMAT!r} version {VERSION}, got {got}")


def _read_frames(frames: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """world_from_cam [F, 4, 4] and K [F, 3, 3] of all frames; ValueError that names the first wrong frame."""
    if not isinstance(frames, list) or not frames:
        raise ValueError("the camera path's frames are a list with at least one frame")
    motions, intrinsics = [], []
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise ValueError(f"frame {number} of the camera path is an object, got {type(frame).__name__}")
        check_keys(f"frame {number} of the camera path", frame, _FRAME_KEYS)
        motions.append(finite_numbers(f"world_from_cam of frame {number}", frame["world_from_cam"], 16))
        intrinsics.append(finite_numbers(f"K of frame {number}", frame["K"], 4))
    rows = torch.tensor(intrinsics, dtype=dtype)
    return torch.tensor(motions, dtype=dtype).unflatten(-1, (4, 4)), K_from_focal(rows[:, :2], rows[:, 2:])

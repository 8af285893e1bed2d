"""A camera's path through time, and its wire format "camera path v1", which the browser reads and writes too."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, overload

import torch
from torch import Tensor

from . import se3
from .camera import Camera
from .json_values import check_keys, check_whole, finite_numbers, parse_object, shown

UNITS = ("metre", "near_depth", "arbitrary")
FORMAT = "raxel.camera_path"
VERSION = 1

_KEYS = ("format", "version", "fps", "unit", "name", "width", "height")
_BAKED_KEYS = ("frames",)
_PLANNED_KEYS = ("frame_count", "plan")
_FRAME_KEYS = ("world_from_cam", "K")
# The largest width or height that a path may name: no picture is larger.
_MOST_PIXELS = 1_000_000
# The most frames that a plan may ask for.
_MOST_FRAMES = 100_000


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A `camera` with one leading axis, the frames, played at `fps` frames a second.

    `unit` says what a length of 1 is: "metre"; "near_depth", the depth of the near scene (25th percentile) in the
    first frame; or "arbitrary". Raises ValueError when there is no frame, or fps or unit make no sense.
    """

    camera: Camera
    fps: float = 24.0
    unit: str = "near_depth"
    name: str = ""

    def __post_init__(self) -> None:
        if len(self.camera.batch_shape) != 1:
            raise ValueError(f"a trajectory has one axis, its frames, got {list(self.camera.batch_shape)}")
        if not len(self.camera):
            raise ValueError("a trajectory has at least one frame, got none")
        if not (isfinite(self.fps) and self.fps > 0.0):
            raise ValueError(f"fps is a positive number, got {self.fps}")
        if self.unit not in UNITS:
            raise ValueError(f"a unit is one of {', '.join(UNITS)}, got {self.unit!r}")

    def __len__(self) -> int:
        return len(self.camera)

    @overload
    def __getitem__(self, index: int) -> Camera: ...

    @overload
    def __getitem__(self, index: slice) -> Trajectory: ...

    def __getitem__(self, index: int | slice) -> Camera | Trajectory:
        """The camera of one frame, or the trajectory of a slice, backwards too (its fps unchanged)."""
        if isinstance(index, slice):
            return replace(self, camera=self.camera[list(range(len(self)))[index]])
        return self.camera[index]

    @property
    def path_length(self) -> Tensor:
        """How far the centre travels, a scalar in `unit`."""
        return torch.linalg.vector_norm(self.camera.center.diff(dim=0), dim=-1).sum()

    @property
    def turn(self) -> Tensor:
        """How far the camera turns, summed over the frames: a scalar in radians."""
        return se3.geodesic(self.camera.rotation[:-1], self.camera.rotation[1:]).sum()

    def relative_to(self, frame: int = 0) -> Trajectory:
        """The same path in the frame of its camera number `frame`, which becomes the identity."""
        return replace(self, camera=self.camera.relative_to(self.camera[frame]))

    def scaled(self, factor: float, *, unit: str | None = None) -> Trajectory:
        """The same path with all lengths times `factor`; `unit` names what they are now, the old unit by default."""
        return replace(self, camera=self.camera.scaled(factor), unit=unit or self.unit)

    def resized(self, hw: tuple[int, int]) -> Trajectory:
        """The same path for images of `hw` = (height, width)."""
        return replace(self, camera=self.camera.resized(hw))

    def resampled(self, frames: int) -> Trajectory:
        """The same path in `frames` frames, evenly spaced from its first camera to its last, at the same fps."""
        if frames < 1:
            raise ValueError(f"a trajectory has at least one frame, got {frames}")
        return self.sampled(torch.linspace(0.0, float(len(self) - 1), frames, dtype=torch.float64))

    def sampled(self, positions: Tensor) -> Trajectory:
        """The path at `positions` [N], which count in frames and may lie between them, at the same fps.

        Motions are interpolated on the screw between neighbours, K linearly. Raises ValueError on a position before
        the first frame or behind the last.
        """
        last = len(self) - 1
        positions = positions.to(self.camera.K.device, torch.float64)
        if not bool(((positions >= 0.0) & (positions <= last)).all()):
            got = positions.tolist()[:5]
            raise ValueError(f"positions on a path of {last + 1} frames lie in 0 to {last}, got {got}")
        before = positions.floor().long().clamp(max=max(last - 1, 0))
        after = (before + 1).clamp(max=last)
        share = (positions - before).to(self.camera.K.dtype)
        motions, K = self.camera.world_from_cam, self.camera.K
        camera = Camera(
            se3.interpolate(motions[before], motions[after], share),
            torch.lerp(K[before], K[after], share[:, None, None]),
            self.camera.hw,
        )
        return replace(self, camera=camera)

    def to_json(self) -> str:
        """This path as camera path v1, a JSON object; the numbers keep every bit of float32 and float64.

        Each frame holds `world_from_cam`, 16 numbers row by row, and `K` = [fx, fy, cx, cy] in pixels of width x
        height, in the convention of `Camera`. Raises ValueError when the cameras are not valid or K has a skew,
        for which the format has no place.
        """
        camera = self.camera.validate()
        if bool((camera.K[:, 0, 1] != 0.0).any()):
            raise ValueError("camera path v1 has no place for the skew of K")
        intrinsics = torch.cat((camera.focal, camera.principal_point), dim=-1)
        frames = zip(camera.world_from_cam.flatten(1).tolist(), intrinsics.tolist(), strict=True)
        values = {
            "format": FORMAT,
            "version": VERSION,
            "fps": self.fps,
            "unit": self.unit,
            "name": self.name,
            "width": camera.hw[1],
            "height": camera.hw[0],
            "frames": [dict(zip(_FRAME_KEYS, frame, strict=True)) for frame in frames],
        }
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str, *, dtype: torch.dtype = torch.float32) -> Trajectory:
        """The trajectory in a camera path v1 `text`; ValueError with one sentence on anything that is not one.

        A path is baked, with `frames` as `to_json` writes them, or planned, with a `plan` (`plan.CameraPlan`) that is
        sampled at `frame_count` frames.
        """
        values = parse_object("the camera path", text)
        planned = any(key in values for key in _PLANNED_KEYS)
        check_keys("the camera path", values, (*_KEYS, *(_PLANNED_KEYS if planned else _BAKED_KEYS)))
        if values["format"] != FORMAT or values["version"] != VERSION or isinstance(values["version"], bool):
            got = f"{shown(values['format'])} version {shown(values['version'])}"
            raise ValueError(f"expected format {FORMAT!r} version {VERSION}, got {got}")
        for name in ("unit", "name"):
            if not isinstance(values[name], str):
                raise ValueError(f"the camera path's {name} is text, got {shown(values[name])}")
        height, width = (check_whole(f"the camera path's {k}", values[k], 1, _MOST_PIXELS) for k in ("height", "width"))
        fps = finite_numbers("the camera path's fps", [values["fps"]], 1)[0]
        if planned:
            from .plan import CameraPlan  # which makes trajectories

            frames = check_whole("the camera path's frame_count", values["frame_count"], 1, _MOST_FRAMES)
            plan, clip = CameraPlan.from_values(values["plan"]), {"unit": values["unit"], "name": values["name"]}
            return plan.build(frames, hw=(height, width), fps=fps, dtype=dtype, **clip)
        motions, intrinsics = _read_frames(values["frames"])
        camera = Camera(
            torch.tensor(motions, dtype=dtype).unflatten(-1, (4, 4)),
            _K_from_row(torch.tensor(intrinsics, dtype=dtype)),
            (height, width),
        )
        return cls(camera.validate(), fps=fps, unit=values["unit"], name=values["name"])


def _read_frames(frames: Any) -> tuple[list[list[float]], list[list[float]]]:
    """The rows of `world_from_cam` and `K` of all frames; ValueError that names the first wrong frame."""
    if not isinstance(frames, list) or not frames:
        raise ValueError("the camera path's frames are a list with at least one frame")
    motions, intrinsics = [], []
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise ValueError(f"frame {number} of the camera path is an object, got {type(frame).__name__}")
        check_keys(f"frame {number} of the camera path", frame, _FRAME_KEYS)
        motions.append(finite_numbers(f"world_from_cam of frame {number}", frame["world_from_cam"], 16))
        intrinsics.append(finite_numbers(f"K of frame {number}", frame["K"], 4))
    return motions, intrinsics


def _K_from_row(rows: Tensor) -> Tensor:
    """K [F, 3, 3] of rows (fx, fy, cx, cy) [F, 4]."""
    fx, fy, cx, cy = rows.unbind(-1)
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    return torch.stack((fx, zero, cx, zero, fy, cy, zero, zero, one), dim=-1).unflatten(-1, (3, 3))

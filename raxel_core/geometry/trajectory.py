"""A camera's path through time, and its wire format "camera path v1", which the browser reads and writes too."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, overload

import torch
from torch import Tensor

from . import se3
from .camera import Camera

UNITS = ("metre", "near_depth", "arbitrary")
FORMAT = "raxel.camera_path"
VERSION = 1

_KEYS = ("format", "version", "fps", "unit", "name", "width", "height", "frames")
_FRAME_KEYS = ("world_from_cam", "K")
# The largest width or height that a path may name: no picture is larger.
_MOST_PIXELS = 1_000_000


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
        """The same path in `frames` frames, evenly spaced from its first camera to its last, at the same fps.

        Motions are interpolated on the screw between neighbours, K linearly.
        """
        if frames < 1:
            raise ValueError(f"a trajectory has at least one frame, got {frames}")
        last = len(self) - 1
        position = torch.linspace(0.0, float(last), frames, dtype=torch.float64, device=self.camera.K.device)
        before = position.floor().long().clamp(max=max(last - 1, 0))
        after = (before + 1).clamp(max=last)
        share = (position - before).to(self.camera.K.dtype)
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
        """The trajectory in a camera path v1 `text`; ValueError with one sentence on anything that is not one."""
        values = _parse(text)
        _check_keys("the camera path", values, _KEYS)
        if values["format"] != FORMAT or values["version"] != VERSION or isinstance(values["version"], bool):
            raise ValueError(
                f"expected format {FORMAT!r} version {VERSION}, got {values['format']!r} version {values['version']!r}"
            )
        for name in ("unit", "name"):
            if not isinstance(values[name], str):
                raise ValueError(f"the camera path's {name} is text, got {values[name]!r}")
        hw = (_whole(values, "height"), _whole(values, "width"))
        motions, intrinsics = _read_frames(values["frames"])
        camera = Camera(
            torch.tensor(motions, dtype=dtype).unflatten(-1, (4, 4)),
            _K_from_row(torch.tensor(intrinsics, dtype=dtype)),
            hw,
        )
        fps = _numbers("the camera path's fps", [values["fps"]], 1)[0]
        return cls(camera.validate(), fps=fps, unit=values["unit"], name=values["name"])


def _parse(text: str) -> dict[str, Any]:
    """The JSON object in `text`, NaN and infinity refused; ValueError when there is none."""
    try:
        values = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("the camera path is nested too deep to be one") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"the camera path is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"a camera path is a JSON object, got {type(values).__name__}")
    return values


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where a name stands twice, of which readers would take different ones."""
    values = dict(pairs)
    if len(values) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the camera path gives {name[:40]!r} more than once")
    return values


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"the camera path holds {constant}, which is no number")


def _check_keys(noun: str, values: dict[str, Any], expected: tuple[str, ...]) -> None:
    """ValueError when `values` lacks one of `expected` or has another key."""
    missing = [key for key in expected if key not in values]
    surplus = sorted(values.keys() - set(expected))
    if missing:
        raise ValueError(f"{noun} lacks {', '.join(missing[:5])}")
    if surplus:
        raise ValueError(f"{noun} has unknown {', '.join(surplus[:5])}")


def _whole(values: dict[str, Any], name: str) -> int:
    """The number of pixels under `name`; ValueError otherwise."""
    number = values[name]
    if type(number) is not int or not 1 <= number <= _MOST_PIXELS:
        got = repr(number)[:40]
        raise ValueError(f"the camera path's {name} is a whole number from 1 to {_MOST_PIXELS}, got {got}")
    return number


def _numbers(noun: str, values: Any, count: int) -> list[float]:
    """`count` finite numbers as floats; ValueError that names `noun` otherwise."""
    if not isinstance(values, list) or len(values) != count:
        got = f"{len(values)} of them" if isinstance(values, list) else type(values).__name__
        raise ValueError(f"{noun} is a list of {count} numbers, got {got}")
    for value in values:
        # A whole number too large for a float is as little finite as 1e999.
        if type(value) not in (int, float) or not abs(value) < 1e300:
            raise ValueError(f"{noun} holds {str(value)[:40]!r}, which is no finite number")
    return [float(value) for value in values]


def _read_frames(frames: Any) -> tuple[list[list[float]], list[list[float]]]:
    """The rows of `world_from_cam` and `K` of all frames; ValueError that names the first wrong frame."""
    if not isinstance(frames, list) or not frames:
        raise ValueError("the camera path's frames are a list with at least one frame")
    motions, intrinsics = [], []
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise ValueError(f"frame {number} of the camera path is an object, got {type(frame).__name__}")
        _check_keys(f"frame {number} of the camera path", frame, _FRAME_KEYS)
        motions.append(_numbers(f"world_from_cam of frame {number}", frame["world_from_cam"], 16))
        intrinsics.append(_numbers(f"K of frame {number}", frame["K"], 4))
    return motions, intrinsics


def _K_from_row(rows: Tensor) -> Tensor:
    """K [F, 3, 3] of rows (fx, fy, cx, cy) [F, 4]."""
    fx, fy, cx, cy = rows.unbind(-1)
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    return torch.stack((fx, zero, cx, zero, fy, cy, zero, zero, one), dim=-1).unflatten(-1, (3, 3))

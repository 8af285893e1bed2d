"""glTF animations: channels by what they move, evaluated at any time.

Source: Khronos, glTF 2.0 specification, section 3.11 and appendix C (interpolation); KHR_animation_pointer for the
lens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .gltf_file import GltfFile
from .parsing import mapping, sequence
from .quaternions import slerp
from .reading import CameraFormatError

POINTER = "KHR_animation_pointer"
_WIDTHS = {"translation": 3, "rotation": 4, "scale": 3}
_MODES = ("LINEAR", "STEP", "CUBICSPLINE")


@dataclass(frozen=True, eq=False)
class Channel:
    """One moved value: key times [S] in seconds, values [S, width] (CUBICSPLINE: three rows a key, [S, 3, width])."""

    times: Tensor
    values: Tensor
    mode: str
    rotates: bool

    def at(self, times: Tensor) -> Tensor:
        """The value [F, width] at `times` [F] in seconds; before the first key and after the last it stands still."""
        after = torch.searchsorted(self.times, times.contiguous()).clamp(max=len(self.times) - 1)
        before = torch.where(self.times[after] > times, after - 1, after).clamp(min=0)
        span = self.times[after] - self.times[before]
        share = ((times - self.times[before]) / torch.where(span > 0.0, span, 1.0)).clamp(0.0, 1.0)
        if self.mode == "CUBICSPLINE":
            return self._spline(before, after, share[:, None], span[:, None])
        if self.mode == "STEP":
            return self.values[before]
        if self.rotates:
            return slerp(self.values[before], self.values[after], share)
        return torch.lerp(self.values[before], self.values[after], share[:, None])

    def _spline(self, before: Tensor, after: Tensor, t: Tensor, span: Tensor) -> Tensor:
        """Hermite's cubic; a row a key is (in-tangent, value, out-tangent)."""
        a, b = self.values[before, 1], self.values[after, 1]
        leaving, arriving = span * self.values[before, 2], span * self.values[after, 0]
        t2, t3 = t * t, t * t * t
        return (2 * t3 - 3 * t2 + 1) * a + (t3 - 2 * t2 + t) * leaving + (3 * t2 - 2 * t3) * b + (t3 - t2) * arriving


def channels(file: GltfFile, moved: set[str]) -> dict[str, Channel]:
    """The channels of all animations that move one of `moved`, JSON pointers like "/nodes/3/scale"; the first wins."""
    found: dict[str, Channel] = {}
    for target, animation, sampler, where in _targets(file):
        if target in moved and target not in found:
            found[target] = _channel(file, animation, sampler, target, where)
    return found


def moved_nodes(file: GltfFile) -> set[int]:
    """The numbers of the nodes that an animation moves."""
    named = [target.split("/") for target, *_ in _targets(file) if target.startswith("/nodes/")]
    return {int(parts[2]) for parts in named if parts[2].isdecimal() and len(parts[2]) < 9}


def _targets(file: GltfFile) -> Iterator[tuple[str, dict[str, Any], Any, str]]:
    """Of each channel what it moves, as a JSON pointer, its animation, its sampler's number, and how to name it."""
    for number in range(len(sequence(file.values.get("animations", []), f"{file.path.name} animations"))):
        animation, where = file.item("animations", number)
        for channel in sequence(animation.get("channels"), f"{where} channels"):
            given = mapping(channel, f"{where} channels")
            yield (
                _pointer(mapping(given.get("target"), f"{where} target"), where),
                animation,
                given.get("sampler"),
                where,
            )


def _pointer(target: dict[str, Any], where: str) -> str:
    """What a channel moves, as a JSON pointer; "" for what no camera has."""
    path = target.get("path")
    if path == "pointer":
        extensions = mapping(target.get("extensions"), f"{where} target.extensions")
        pointer = mapping(extensions.get(POINTER), f"{where} {POINTER}").get("pointer")
        return pointer if isinstance(pointer, str) else ""
    return f"/nodes/{target['node']}/{path}" if type(target.get("node")) is int else ""


def _channel(file: GltfFile, animation: dict[str, Any], sampler: Any, target: str, where: str) -> Channel:
    samplers = sequence(animation.get("samplers"), f"{where} samplers")
    if type(sampler) is not int or not 0 <= sampler < len(samplers):
        raise CameraFormatError(
            f"{where}: expected a sampler from 0 to {len(samplers) - 1}, found {repr(sampler)[:40]}"
        )
    given = mapping(samplers[sampler], f"{where} samplers/{sampler}", needs=("input", "output"))
    mode = given.get("interpolation", "LINEAR")
    if mode not in _MODES:
        raise CameraFormatError(f"{where} interpolation: expected one of {', '.join(_MODES)}, found {repr(mode)[:40]}")
    times, values = file.numbers(given["input"])[:, 0], file.numbers(given["output"])
    if bool((times.diff() <= 0.0).any()):
        raise CameraFormatError(f"{where} samplers/{sampler}: expected key times that rise, they do not")
    rows, width = (3 if mode == "CUBICSPLINE" else 1), _WIDTHS.get(target.rpartition("/")[2], 1)
    if values.shape != (rows * len(times), width):
        raise CameraFormatError(
            f"{where} samplers/{sampler}: expected {rows * len(times)} outputs of {width} numbers, found "
            f"{values.shape[0]} of {values.shape[1]}"
        )
    values = values.unflatten(0, (-1, 3)) if mode == "CUBICSPLINE" else values
    return Channel(times, values, mode, target.endswith("/rotation"))

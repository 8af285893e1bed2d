"""Ray maps of other nodes and networks: tensors and dictionaries become a `RayMap`, its layout recognised and told."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..geometry.ray_map import LAYOUTS, RayMap, recognized

AUTO = "auto"
# Where dictionaries keep a map and its confidence: a LATENT's samples, Depth Anything 3's outputs.
_MAP_KEYS, _CONFIDENCE_KEYS = ("samples", "ray", "rays", "raymap", "ray_map"), ("ray_conf", "confidence", "conf")
_CHANNELS = (3, 6)


class RayMapReading(NamedTuple):
    """A map [F, C, h, w] and one sentence on how it was read."""

    ray_map: RayMap
    text: str


def read_ray_map(
    value: Any, *, layout: str = AUTO, axes: str = "opencv", scale: float = 1.0, confidence: Tensor | None = None
) -> RayMapReading:
    """The ray map in `value`: a RayMap, an IMAGE [F, h, w, 3] whose colours are (x + 1) / 2, a tensor or array
    [..., F, C, h, w] or [..., F, h, w, C] of 3 or 6 channels, or a dictionary that holds one (a LATENT, a network's
    output) with its confidence.

    `layout` is a name of `LAYOUTS`, or "auto": then the map is recognised by its own constraints. Raxels are divided by
    `scale`. `confidence` [F, h, w] takes the place of the dictionary's. Raises ValueError in one sentence.
    """
    if isinstance(value, RayMap):
        found = value if confidence is None else RayMap(value.values, value.layout, confidence, value.axes)
        return RayMapReading(found, f"a ray map in {value.layout} ({LAYOUTS[value.layout].words})")
    if layout not in (AUTO, *LAYOUTS):
        raise ValueError(f"layout is {AUTO} or one of {', '.join(LAYOUTS)}, got {layout!r}")
    values, of_payload = _parts(value)
    confidence = of_payload if confidence is None else confidence
    if confidence is not None:
        confidence = (
            confidence.reshape(values[:, 0].shape) if confidence.numel() == values[:, 0].numel() else confidence
        )
    if layout != AUTO:
        values = values / scale if layout == "raxel" else values
        divided = f", divided by {scale:g}" if layout == "raxel" else ""
        told = f"{layout} ({LAYOUTS[layout].words}), as told{divided}"
        return RayMapReading(RayMap(values, layout, confidence, axes), told)
    values, (name, words) = _recognized(values, scale)
    return RayMapReading(RayMap(values, name, confidence, axes), f"recognised: {words}")


def ray_map_numbers(ray_map: RayMap, *, scale: float = 1.0) -> Tensor:
    """The map's numbers [..., C, h, w] as `read_ray_map` reads them back: raxels times `scale`."""
    return ray_map.values * scale if ray_map.layout == "raxel" else ray_map.values


def _recognized(values: Tensor, scale: float) -> tuple[Tensor, tuple[str, str]]:
    """The map, divided by `scale` where that makes raxels of it, with its layout's name and words."""
    if values.shape[1] == 3 and scale != 1.0:
        try:
            found = recognized(values / scale)
        except ValueError:
            found = None
        if found is not None and found.layout == "raxel":
            return values / scale, (found.layout, str(found))
    found = recognized(values)
    return values, (found.layout, str(found))


def _parts(value: Any) -> tuple[Tensor, Tensor | None]:
    """The map [F, C, h, w] and the confidence, if any, of a payload; ValueError where there is none."""
    confidence = None
    if isinstance(value, dict):
        key = next((key for key in _MAP_KEYS if key in value), None)
        if key is None:
            names = ", ".join(str(name)[:30] for name in list(value)[:8])
            raise ValueError(f"no ray map among {names}: one of {', '.join(_MAP_KEYS)} was expected")
        confidence = next((_numbers(value[name]) for name in _CONFIDENCE_KEYS if value.get(name) is not None), None)
        return _channels_first(_numbers(value[key]), image=False), confidence
    numbers = _numbers(value)
    return _channels_first(numbers, image=numbers.ndim == 4 and numbers.shape[-1] == 3 and numbers.shape[1] != 3), None


def _numbers(value: Any) -> Tensor:
    """A tensor or array as a floating-point tensor on the CPU; ValueError for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, Tensor) or value.is_complex() or value.dtype == torch.bool:
        raise ValueError(f"a ray map is a tensor of numbers, got {type(value).__name__}")
    return value.detach().cpu().to(torch.float64 if value.dtype == torch.float64 else torch.float32)


def _channels_first(values: Tensor, *, image: bool) -> Tensor:
    """[F, C, h, w] of [..., F, C, h, w] or [..., F, h, w, C], leading axes of one dropped; an `image` leaves [0, 1]."""
    while values.ndim > 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 3:
        values = values[None]
    first, last = (values.ndim == 4 and values.shape[axis] in _CHANNELS for axis in (1, -1))
    if values.ndim == 4 and not first and not last and values.shape[0] in _CHANNELS:
        return values.transpose(0, 1)  # a video [C, F, h, w]
    if first == last:
        said = "both its second and its last axis could be" if first else "neither its second nor its last axis is"
        raise ValueError(f"a ray map has 3 or 6 channels, and of {list(values.shape)} {said} theirs")
    values = values.movedim(-1, 1) if last else values
    return values * 2.0 - 1.0 if image else values

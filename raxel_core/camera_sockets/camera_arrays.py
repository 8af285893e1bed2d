"""CAMERA_ARRAYS: what camera estimators return in Python: lists of 4 x 4, dicts of arrays, lists of dicts, one a frame.

The dicts are those of MegaSaM (`cam_c2w`), Pi3 and MapAnything (`camera_poses`), ViPE (`data`), CUT3R (`pose`) and
others, known by the names that their files have too (`camera_io.arrays`), in OpenCV axes; VGGT's and Depth Anything 3's
have payloads of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..camera_io.arrays import intrinsics_key, motion_key, world_from_named
from ..camera_io.pinhole import size_of
from ..camera_io.reading import Assumed, CameraFormatError, Reading
from .camera_trajectory import is_camera_trajectory
from .depth_geometry import is_camera_params, is_da3, is_vggt
from .payload import intrinsics, lens_or_assumed, motions, numbers, reading, shape_of

NAME = "CAMERA_ARRAYS"
_MATRICES = ((3, 4), (4, 4))


def is_camera_arrays(value: Any) -> bool:
    """Whether `value` is a list of matrices, or a dict, or a list of dicts, with matrices under a known name."""
    if isinstance(value, (list, tuple)) and value:
        return _is_named(value[0]) or (shape_of(value)[-2:] in _MATRICES and len(shape_of(value)) == 3)
    others = (is_camera_params, is_camera_trajectory, is_da3, is_vggt)
    return _is_named(value) and not any(known(value) for known in others)


def read_camera_arrays(value: Any, assumed: Assumed, given: Any = None) -> Reading:
    """The cameras of such a value, K from it, from `given` INTRINSICS or the assumed lens."""
    if not is_camera_arrays(value):
        raise CameraFormatError(f"{NAME} is a list of 4x4 matrices, or a dict of an estimator's arrays")
    if isinstance(value, (list, tuple)):
        value = _stacked(value) if _is_named(value[0]) else {"": value}
    shapes = _shapes(value)
    key, lens_key = motion_key(shapes) or "", intrinsics_key(shapes)
    bare = motions(f"{NAME}'s {key}" if key else NAME, value[key])
    motion, told, doubts = world_from_named(bare, assumed.direction, key)
    lens = lens_or_assumed(given, assumed)
    if lens_key is not None:
        name = f"{NAME}'s {lens_key}"
        hw, size_doubts = size_of(intrinsics(name, value[lens_key], assumed.hw).K, shapes, assumed.hw)
        lens, assumed, doubts = intrinsics(name, value[lens_key], hw), replace(assumed, hw=hw), (*doubts, *size_doubts)
    # What is doubted of the direction is said already; `reading` would say it again.
    made = reading(NAME, motion, lens, assumed, notes=(told,))
    return replace(made, warnings=tuple(dict.fromkeys((*doubts, *made.warnings))))


def _is_named(value: Any) -> bool:
    return isinstance(value, Mapping) and motion_key(_shapes(value)) is not None


def _shapes(values: Mapping[Any, Any]) -> dict[str, tuple[int, ...]]:
    return {key: shape_of(item) for key, item in values.items() if isinstance(key, str)}


def _stacked(frames: Sequence[Any]) -> dict[str, Any]:
    """The matrices and intrinsics of the dicts of all frames, under the names of the first."""
    shapes = _shapes(frames[0])
    names = [name for name in (motion_key(shapes), intrinsics_key(shapes)) if name is not None]
    for name in names:
        lacking = next((n for n, row in enumerate(frames) if not isinstance(row, Mapping) or name not in row), None)
        if lacking is not None:
            raise CameraFormatError(f"{NAME}: frame {lacking} has no {name[:40]}, the first has")
    return {
        name: torch.cat([numbers(f"{NAME}'s {name}", row[name], shapes[name][-2:], axes=3) for row in frames])
        for name in names
        if len(shapes[name]) > 1
    }

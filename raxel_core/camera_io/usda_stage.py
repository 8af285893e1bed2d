"""A USD camera over time: attributes at a time code, and the transforms of a prim and those around it.

Source: openusd.org, UsdGeomXformOp and UsdGeomXformable (the first operation of xformOpOrder is the outermost; USD's
matrices act on rows), UsdAttribute (values between time samples are linear, rotations slerp).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..geometry import se3
from .axes import rotation_from_euler
from .parsing import number
from .quaternions import slerp
from .reading import CameraFormatError
from .usda_syntax import Prim

_INVERT, _RESET = "!invert!", "!resetXformStack!"
_SAMPLES = ".timeSamples"
_ROTATIONS = ("x", "y", "z", "xyz", "xzy", "yxz", "yzx", "zxy", "zyx")
_SPLINE = ".spline"
_SHAPES = {"transform": (4, 4), "translate": (3,), "scale": (3,), "orient": (4,)}
# Operations along one axis (USD 24.11 and later), and what stands on the other two.
_ALONG = {f"{kind}{axis}": (kind, index) for kind in ("translate", "scale") for index, axis in enumerate("XYZ")}


def sample_times(prims: Sequence[Prim]) -> list[float]:
    """All time codes at which an attribute of `prims` has a sample, rising."""
    return sorted(
        {time for prim in prims for name, value in prim.attributes.items() if name.endswith(_SAMPLES) for time in value}
    )


def attribute(
    prim: Prim, name: str, times: Tensor, shape: tuple[int, ...], fallback: float | None, file_name: str
) -> Tensor:
    """The attribute `name` [F, *shape] at `times` [F]: its time samples, else its value, else `fallback`."""
    where = f"{file_name} {prim.name[:60]}.{name}"
    if name + _SPLINE in prim.attributes:
        raise CameraFormatError(
            f"{where}: it is animated by a spline, which is not read: export the camera with time samples"
        )
    samples, value = prim.attributes.get(name + _SAMPLES), prim.attributes.get(name, fallback)
    if samples:
        keys = sorted(samples)
        return _between(keys, _tensor([samples[key] for key in keys], shape, where), times, name)
    if value is None:
        raise CameraFormatError(f"{where}: expected a value, found none")
    return _tensor([value], shape, where).expand(len(times), *shape)


def world_from_prim(chain: Sequence[Prim], times: Tensor, file_name: str) -> Tensor:
    """[F, 4, 4]: from the innermost of `chain` (outermost first) to the stage's world, scales of parents included."""
    motion = torch.eye(4, dtype=torch.float64).expand(len(times), 4, 4)
    for prim in chain:
        for operation in _operations(prim, file_name):
            if operation == _RESET:
                motion = torch.eye(4, dtype=torch.float64).expand(len(times), 4, 4)
            else:
                motion = motion @ _operation(prim, operation, times, file_name)
    return motion


def _operations(prim: Prim, file_name: str) -> list[str]:
    """The names in xformOpOrder, outermost first."""
    order = prim.attributes.get("xformOpOrder", [])
    if not isinstance(order, list) or not all(isinstance(name, str) for name in order) or len(order) > 64:
        raise CameraFormatError(f"{file_name} {prim.name[:60]}.xformOpOrder: expected a list of at most 64 names")
    return order


def _operation(prim: Prim, operation: str, times: Tensor, file_name: str) -> Tensor:
    """The matrix [F, 4, 4] of one transform operation, acting on columns."""
    inverted, name = operation.startswith(_INVERT), operation.removeprefix(_INVERT)
    kind = name.split(":")[1] if name.startswith("xformOp:") else ""
    where = f"{file_name} {prim.name[:60]}.{name[:60]}"
    if kind in _SHAPES:
        values = attribute(prim, name, times, _SHAPES[kind], None, file_name)
        matrix = _MATRICES[kind](values, where)
    elif kind in _ALONG:
        whole, axis = _ALONG[kind]
        along = attribute(prim, name, times, (), None, file_name)
        values = torch.full((len(along), 3), float(whole == "scale"), dtype=torch.float64)
        values[:, axis] = along
        matrix = _MATRICES[whole](values, where)
    elif kind.startswith("rotate") and (axes := kind.removeprefix("rotate").lower()) in _ROTATIONS:
        values = attribute(prim, name, times, (3,) if len(axes) == 3 else (), None, file_name)
        matrix = _rigid(_rotation(torch.deg2rad(values), axes))
    else:
        known = ", ".join((*_SHAPES, *_ALONG, "rotateX to rotateZYX"))
        raise CameraFormatError(f"{where}: expected one of the operations {known}, found {operation[:40]!r}")
    return _inverse(matrix, where) if inverted else matrix


def _rotation(angles: Tensor, axes: str) -> Tensor:
    if len(axes) == 3:
        return rotation_from_euler(angles, axes)
    return {"x": se3.rotation_x, "y": se3.rotation_y, "z": se3.rotation_z}[axes](angles)


def _rigid(rotation: Tensor) -> Tensor:
    return se3.from_rotation_translation(rotation, rotation.new_zeros(3))


def _translation(values: Tensor, where: str) -> Tensor:
    return se3.from_rotation_translation(torch.eye(3, dtype=values.dtype), values)


def _scale(values: Tensor, where: str) -> Tensor:
    return torch.diag_embed(torch.cat((values, torch.ones_like(values[:, :1])), dim=-1))


def _orientation(values: Tensor, where: str) -> Tensor:
    if not bool((torch.linalg.vector_norm(values, dim=-1) > 1e-6).all()):
        raise CameraFormatError(f"{where}: expected a quaternion, found one of length zero")
    return _rigid(se3.rotation_from_quaternion(values))


def _matrix(values: Tensor, where: str) -> Tensor:
    if not bool((values[:, :, 3] == values.new_tensor((0.0, 0.0, 0.0, 1.0))).all()):
        raise CameraFormatError(f"{where}: expected a matrix whose last column is 0 0 0 1")
    return values.mT


_MATRICES = {"transform": _matrix, "translate": _translation, "scale": _scale, "orient": _orientation}


def _inverse(matrix: Tensor, where: str) -> Tensor:
    inverse, fault = torch.linalg.inv_ex(matrix)
    if bool(fault.any()) or not bool(inverse.isfinite().all()):
        raise CameraFormatError(f"{where}: expected a transform that can be inverted")
    return inverse


def _between(keys: list[float], values: Tensor, times: Tensor, name: str) -> Tensor:
    """`values` [S, ...] of the rising time codes `keys`, at `times` [F]: held outside, linear or slerped between."""
    knots = torch.tensor(keys, dtype=torch.float64)
    after = torch.searchsorted(knots, times).clamp(max=len(keys) - 1)
    before = torch.where(knots[after] > times, after - 1, after).clamp(min=0)
    span = (knots[after] - knots[before]).clamp(min=torch.finfo(torch.float64).tiny)
    share = ((times - knots[before]) / span).clamp(0.0, 1.0)
    a, b = values[before], values[after]
    if name.startswith("xformOp:orient"):
        return slerp(a, b, share)
    return torch.lerp(a, b, share.reshape(-1, *(1,) * (values.ndim - 1)))


def _tensor(values: list[Any], shape: tuple[int, ...], where: str) -> Tensor:
    """[len(values), *shape] of `values`, each numbers of `shape`."""
    return torch.tensor([_flat(value, shape, where) for value in values], dtype=torch.float64).reshape(-1, *shape)


def _flat(value: Any, shape: tuple[int, ...], where: str) -> list[float]:
    if not shape:
        return [number(value, where)]
    if not isinstance(value, list) or len(value) != shape[0]:
        found = f"{len(value)} of them" if isinstance(value, list) else repr(value)[:40]
        raise CameraFormatError(f"{where}: expected {shape[0]} values, found {found}")
    return [entry for item in value for entry in _flat(item, shape[1:], where)]

"""Rows of quaternions: motions from them, signs that follow each other, and the way between two."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..geometry import se3
from .reading import CameraFormatError

_UNIT_LENGTH = 1e-2


def continuous(rotation: Tensor) -> Tensor:
    """Quaternions (w, x, y, z) [F, 4] of `rotation` [F, 3, 3], each of the sign that is nearer to the one before."""
    quaternion = se3.quaternion_from_rotation(rotation)
    turned = torch.where((quaternion[1:] * quaternion[:-1]).sum(-1) < 0.0, -1.0, 1.0)
    sign = torch.cat((turned.new_ones(1), turned.cumprod(0)))
    return quaternion * sign[:, None]


def slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Quaternions [F, 4] a `share` [F] of the shorter way from `a` to `b`."""
    dot = (a * b).sum(-1, keepdim=True)
    b, angle = torch.where(dot < 0.0, -b, b), torch.arccos(dot.abs().clamp(max=1.0))
    near = angle < 1e-6
    safe, share = torch.where(near, 1.0, angle), share[:, None]
    left = torch.where(near, 1.0 - share, torch.sin((1.0 - share) * safe) / safe.sin())
    right = torch.where(near, share, torch.sin(share * safe) / safe.sin())
    return left * a + right * b


def motions_of_quaternions(
    quaternions: Tensor, centers: Tensor, order: str, where: Callable[[int], str] = "frame {}".format
) -> Tensor:
    """Motions [F, 4, 4] of `quaternions` [F, 4], which stand in `order` ("xyzw" or "wxyz"), and `centers` [F, 3].

    Raises CameraFormatError, opened by `where` of the frame's index, for a quaternion that has not length 1.
    """
    length = torch.linalg.vector_norm(quaternions, dim=-1)
    wrong = ((length - 1.0).abs() > _UNIT_LENGTH).nonzero()
    if len(wrong):
        row = int(wrong[0])
        found = f"{float(length[row]):.4g}"
        raise CameraFormatError(f"{where(row)}: expected a quaternion of length 1, found length {found}")
    wxyz = quaternions if order == "wxyz" else quaternions[:, (3, 0, 1, 2)]
    return se3.from_rotation_translation(se3.rotation_from_quaternion(wxyz), centers)


def order_warning(quaternions: Tensor, order: str) -> tuple[str, ...]:
    """A warning when the number that stands where w would stand in the other order is large all along, and the one that
    was read as w small."""
    other, read = quaternions.abs()[:, (0, 3) if order == "xyzw" else (3, 0)].unbind(-1)
    if not (bool((other > 0.7).all()) and bool((read < 0.5).all())):
        return ()
    doubted = "w x y z" if order == "xyzw" else "x y z w"
    return (
        f"the quaternions may stand as {doubted}: read "
        "that way, the path begins "
        "near the identity; the option quaternions sets the order",
    )

"""Rotations and rigid motions in closed form, safe near the identity and near a half turn.

A twist is (omega, v), six numbers: `omega` the rotation vector in radians, `v` the translational part in scene units.
Every function broadcasts over leading axes and works in float32 or better, whatever it is given.
Source: J. Sola, J. Deray, D. Atchuthan, "A micro Lie theory for state estimation in robotics" (arXiv 1812.01537),
appendices B and D; the quaternion of a rotation matrix as in S. W. Shepperd, J. Guidance and Control 1 (1978) 223.
"""

from __future__ import annotations

from math import factorial

import torch
from torch import Tensor

# Below this squared angle the closed forms cancel and their series are used; with `_TERMS` terms both sides of the
# switch agree to the last bits of float64 (the first dropped term is below 1e-18 of the first).
_SERIES_LIMIT = 0.25
_TERMS = 8
# |B_2k| / (2k)!, the coefficients of (1 - (x/2) cot(x/2)) / x^2 in powers of x^2.
_COTANGENT_SERIES = (
    1 / 12,
    1 / 720,
    1 / 30240,
    1 / 1209600,
    1 / 47900160,
    691 / 1307674368000,
    1 / 74724249600,
    3617 / 10670622842880000,
)
# Nearer to straight up or down than this (the sine of the angle), no level axis is marked out.
_VERTICAL = 1e-9


def so3_exp(omega: Tensor) -> Tensor:
    """Rotation [..., 3, 3] of the rotation vector `omega` [..., 3] in radians (Rodrigues; Sola et al. eq. 132)."""
    omega = _at_least_float32(omega)
    _check_last_axes(omega, (3,), "a rotation vector")
    a, b, _ = _exponential_coefficients(omega)
    hat = cross_matrix(omega)
    return _identity(omega) + a * hat + b * (hat @ hat)


def so3_log(rotation: Tensor) -> Tensor:
    """Rotation vector [..., 3] in radians, of length at most pi, of `rotation` [..., 3, 3].

    It goes through the unit quaternion, which is well conditioned at every angle: 2 atan2(|v|, w) v / |v|. At exactly
    half a turn both axes are right and one of them is returned.
    """
    w, v = quaternion_from_rotation(rotation).split((1, 3), dim=-1)
    squared = (v * v).sum(-1, keepdim=True)
    near = squared < torch.finfo(v.dtype).eps
    length = torch.where(near, 1.0, squared).sqrt()
    # atan2(x, w) / x = 1/w - x^2/(3 w^3) + ...: the next term is below the rounding of the first where `near` holds.
    safe_w = torch.where(near, w, 1.0)
    series = 2.0 / safe_w - 2.0 * squared / (3.0 * safe_w**3)
    return torch.where(near, series, 2.0 * torch.atan2(length, w) / length) * v


def exp(twist: Tensor) -> Tensor:
    """Rigid motion [..., 4, 4] of the twist (omega, v) [..., 6] (Sola et al. eq. 172 and 174)."""
    twist = _at_least_float32(twist)
    _check_last_axes(twist, (6,), "a twist")
    omega, v = twist.split((3, 3), dim=-1)
    a, b, c = _exponential_coefficients(omega)
    hat = cross_matrix(omega)
    hat_squared = hat @ hat
    rotation = _identity(omega) + a * hat + b * hat_squared
    left_jacobian = _identity(omega) + b * hat + c * hat_squared
    return from_rotation_translation(rotation, _apply(left_jacobian, v))


def log(motion: Tensor) -> Tensor:
    """Twist (omega, v) [..., 6] of the rigid motion [..., 4, 4], with |omega| at most pi (Sola et al. eq. 173, 146)."""
    motion = _at_least_float32(motion)
    _check_last_axes(motion, (4, 4), "a rigid motion")
    omega = so3_log(motion[..., :3, :3])
    squared = (omega * omega).sum(-1, keepdim=True)[..., None]
    near = squared < _SERIES_LIMIT
    safe = torch.where(near, 1.0, squared)
    half = 0.5 * safe.sqrt()
    closed = (1.0 - half / torch.tan(half)) / safe
    coefficient = torch.where(near, _polynomial(squared, _COTANGENT_SERIES), closed)
    hat = cross_matrix(omega)
    inverse_jacobian = _identity(omega) - 0.5 * hat + coefficient * (hat @ hat)
    return torch.cat((omega, _apply(inverse_jacobian, motion[..., :3, 3])), dim=-1)


def inverse(motion: Tensor) -> Tensor:
    """Inverse [..., 4, 4] of the rigid motion [..., 4, 4]: the rotation transposed, the translation turned back."""
    motion = _at_least_float32(motion)
    _check_last_axes(motion, (4, 4), "a rigid motion")
    transposed = motion[..., :3, :3].mT
    return from_rotation_translation(transposed, -_apply(transposed, motion[..., :3, 3]))


def relative(a: Tensor, b: Tensor) -> Tensor:
    """inverse(a) @ b, the rigid motion [..., 4, 4] of `b` seen from `a`.

    Centres are subtracted before they are turned, so that two that are close keep their digits far from the origin.
    """
    a, b = _at_least_float32(a), _at_least_float32(b)
    _check_last_axes(a, (4, 4), "a rigid motion")
    _check_last_axes(b, (4, 4), "a rigid motion")
    transposed = a[..., :3, :3].mT
    return from_rotation_translation(transposed @ b[..., :3, :3], _apply(transposed, b[..., :3, 3] - a[..., :3, 3]))


def interpolate(a: Tensor, b: Tensor, s: Tensor | float) -> Tensor:
    """The rigid motion [..., 4, 4] a share `s` [...] of the way from `a` to `b`, along the screw that joins them.

    `s` = 0 gives `a` and 1 gives `b`; values outside [0, 1] extrapolate. The path does not depend on the world frame.
    """
    twist = log(relative(a, b))
    share = torch.as_tensor(s, dtype=twist.dtype, device=twist.device)
    return _at_least_float32(a) @ exp(share[..., None] * twist)


def geodesic(rotation_a: Tensor, rotation_b: Tensor) -> Tensor:
    """Angle [...] in radians, in [0, pi], between rotations [..., 3, 3]; accurate at both ends (atan2, not arccos)."""
    rotation_a, rotation_b = _at_least_float32(rotation_a), _at_least_float32(rotation_b)
    _check_last_axes(rotation_a, (3, 3), "a rotation")
    _check_last_axes(rotation_b, (3, 3), "a rotation")
    difference = rotation_a.mT @ rotation_b
    twice_cosine = difference.diagonal(dim1=-2, dim2=-1).sum(-1) - 1.0
    return torch.atan2(torch.linalg.vector_norm(_vee_of_difference(difference), dim=-1), twice_cosine)


def from_rotation_translation(rotation: Tensor, translation: Tensor) -> Tensor:
    """Rigid motion [..., 4, 4] of `rotation` [..., 3, 3] and `translation` [..., 3] in scene units."""
    rotation, translation = _at_least_float32(rotation), _at_least_float32(translation)
    _check_last_axes(rotation, (3, 3), "a rotation")
    _check_last_axes(translation, (3,), "a translation")
    batch = rotation.shape[:-2]
    if batch != translation.shape[:-1]:  # broadcast_shapes is slow beside the rest
        batch = torch.broadcast_shapes(batch, translation.shape[:-1])
    upper = torch.cat((rotation.expand(*batch, 3, 3), translation.expand(*batch, 3)[..., None]), dim=-1)
    last_row = upper.new_tensor((0.0, 0.0, 0.0, 1.0)).expand(*batch, 1, 4)
    return torch.cat((upper, last_row), dim=-2)


def rotation_x(angle: Tensor) -> Tensor:
    """Rotation [..., 3, 3] by `angle` [...] radians about x; a camera turned so looks up (OpenCV axes, y down)."""
    return so3_exp(_about_axis(angle, 0))


def rotation_y(angle: Tensor) -> Tensor:
    """Rotation [..., 3, 3] by `angle` [...] radians about y; a camera turned so looks to the right."""
    return so3_exp(_about_axis(angle, 1))


def rotation_z(angle: Tensor) -> Tensor:
    """Rotation [..., 3, 3] by `angle` [...] radians about z; a camera turned so rolls clockwise, seen from behind."""
    return so3_exp(_about_axis(angle, 2))


def quaternion_from_rotation(rotation: Tensor) -> Tensor:
    """Unit quaternion (w, x, y, z) [..., 4], w >= 0, of `rotation` [..., 3, 3].

    Of the four equal forms the one with the largest divisor is taken, so that no angle loses digits (Shepperd 1978).
    """
    rotation = _at_least_float32(rotation)
    _check_last_axes(rotation, (3, 3), "a rotation")
    x, y, z = rotation.diagonal(dim1=-2, dim2=-1).unbind(-1)
    turn_x, turn_y, turn_z = _vee_of_difference(rotation).unbind(-1)
    sum_xy = rotation[..., 0, 1] + rotation[..., 1, 0]
    sum_xz = rotation[..., 0, 2] + rotation[..., 2, 0]
    sum_yz = rotation[..., 1, 2] + rotation[..., 2, 1]
    # The four rows are 4 q_i q for i = w, x, y, z: each is q up to a factor, and its own entry is 4 q_i^2.
    rows = (
        torch.stack((1.0 + x + y + z, turn_x, turn_y, turn_z), dim=-1),
        torch.stack((turn_x, 1.0 + x - y - z, sum_xy, sum_xz), dim=-1),
        torch.stack((turn_y, sum_xy, 1.0 - x + y - z, sum_yz), dim=-1),
        torch.stack((turn_z, sum_xz, sum_yz, 1.0 - x - y + z), dim=-1),
    )
    candidates = torch.stack(rows, dim=-2)
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)
    index = best[..., None, None].expand(*best.shape, 1, 4)
    quaternion = candidates.gather(-2, index).squeeze(-2)
    quaternion = quaternion / torch.linalg.vector_norm(quaternion, dim=-1, keepdim=True)
    return torch.where(quaternion[..., :1] < 0.0, -quaternion, quaternion)


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """Rotation [..., 3, 3] of `quaternion` (w, x, y, z) [..., 4], which is normalised first.

    Raises ValueError when a quaternion has no length, since no rotation is meant by it.
    """
    quaternion = _at_least_float32(quaternion)
    _check_last_axes(quaternion, (4,), "a quaternion")
    length = torch.linalg.vector_norm(quaternion, dim=-1, keepdim=True)
    if not bool((length > 0.0).all()):
        raise ValueError("a quaternion of length zero (or not a number) stands for no rotation")
    w, v = (quaternion / length).split((1, 3), dim=-1)
    hat = cross_matrix(v)
    return _identity(v) + 2.0 * (w[..., None] * hat + hat @ hat)


def look_rotation(forward: Tensor) -> Tensor:
    """World-from-camera rotation [..., 3, 3] whose z axis is `forward` [..., 3], of any length but zero.

    Its x axis is level: the world's up is -y. Straight up or down every x axis is level; it is the world's then.
    """
    z = forward / torch.linalg.vector_norm(forward, dim=-1, keepdim=True)
    level = torch.hypot(z[..., 0], z[..., 2])[..., None]
    marked_out = level > _VERTICAL
    safe = torch.where(marked_out, level, 1.0)
    across = torch.stack((z[..., 2], torch.zeros_like(z[..., 1]), -z[..., 0]), dim=-1) / safe
    x = torch.where(marked_out, across, z.new_tensor((1.0, 0.0, 0.0)))
    return torch.stack((x, torch.linalg.cross(z, x, dim=-1), z), dim=-1)


def _at_least_float32(x: Tensor) -> Tensor:
    """`x` itself when it is float32 or float64, else a float32 copy (half precision, integers)."""
    return x if x.dtype in (torch.float32, torch.float64) else x.to(torch.float32)


def _check_last_axes(x: Tensor, expected: tuple[int, ...], noun: str) -> None:
    """ValueError unless the last axes of `x` are `expected`."""
    if tuple(x.shape[-len(expected) :]) != expected:
        raise ValueError(f"{noun} has last axes {list(expected)}, got a tensor of shape {list(x.shape)}")


def _identity(like: Tensor) -> Tensor:
    """Identity matrix [3, 3] with the dtype and device of `like`."""
    return torch.eye(3, dtype=like.dtype, device=like.device)


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """`matrix` [..., 3, 3] times `vector` [..., 3]."""
    return (matrix @ vector[..., None]).squeeze(-1)


def cross_matrix(omega: Tensor) -> Tensor:
    """Cross-product matrix [..., 3, 3] of `omega` [..., 3]: hat(a) b = a x b."""
    x, y, z = omega.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))


def _vee_of_difference(matrix: Tensor) -> Tensor:
    """The vector [..., 3] of matrix - matrix^T; for a rotation it is 2 sin(angle) times the axis."""
    return torch.stack(
        (
            matrix[..., 2, 1] - matrix[..., 1, 2],
            matrix[..., 0, 2] - matrix[..., 2, 0],
            matrix[..., 1, 0] - matrix[..., 0, 1],
        ),
        dim=-1,
    )


def _about_axis(angle: Tensor, axis: int) -> Tensor:
    """Rotation vector [..., 3] of `angle` [...] about one coordinate axis."""
    angle = _at_least_float32(angle)
    unit = torch.zeros(3, dtype=angle.dtype, device=angle.device)
    unit[axis] = 1.0
    return angle[..., None] * unit


def _exponential_coefficients(omega: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """sin(x)/x, (1 - cos x)/x^2 and (x - sin x)/x^3 at x = |omega|, each [..., 1, 1], with finite gradients at zero."""
    squared = (omega * omega).sum(-1, keepdim=True)[..., None]
    near = squared < _SERIES_LIMIT
    safe = torch.where(near, 1.0, squared)
    angle = safe.sqrt()
    sine, cosine = angle.sin(), angle.cos()
    closed = (sine / angle, (1.0 - cosine) / safe, (angle - sine) / (safe * angle))
    a, b, c = (torch.where(near, _alternating(squared, first), exact) for first, exact in enumerate(closed, start=1))
    return a, b, c


def _alternating(squared: Tensor, first: int) -> Tensor:
    """1/first! - x^2/(first + 2)! + x^4/(first + 4)! - ... for `squared` = x^2."""
    return _polynomial(squared, tuple((-1) ** k / factorial(2 * k + first) for k in range(_TERMS)))


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """The polynomial with these coefficients, lowest power first, by Horner's rule."""
    result = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result

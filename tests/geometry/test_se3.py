"""Rotations and rigid motions: the group's axioms, round trips and known answers."""

from __future__ import annotations

from math import cos, pi, sin, sqrt

import pytest
import torch
from torch import Tensor

from raxel_core.geometry import se3

BATCHES = [(), (1,), (2, 3)]
# Rotation angles in radians: at, near and far from the identity, and at, near half a turn.
ANGLES = [0.0, 1e-9, 1e-4, 0.3, 0.499, 0.501, 2.0, pi - 1e-4, pi - 1e-9]
F64 = torch.float64


def draw_twist(batch: tuple[int, ...], angle: float, seed: int = 0) -> Tensor:
    """Twists [..., 6] in float64 whose rotation vectors have length `angle`."""
    twist = torch.randn(*batch, 6, generator=torch.Generator().manual_seed(seed), dtype=F64)
    omega = torch.nn.functional.normalize(twist[..., :3], dim=-1) * angle
    return torch.cat((omega, twist[..., 3:]), dim=-1)


def close(a: Tensor, b: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=0.0, atol=atol)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("angle", ANGLES)
def test_group_axioms(batch: tuple[int, ...], angle: float) -> None:
    a = se3.exp(draw_twist(batch, angle, seed=1))
    b = se3.exp(draw_twist(batch, angle, seed=2))
    identity = torch.eye(4, dtype=F64).expand(*batch, 4, 4)
    rotation = a[..., :3, :3]
    assert a.shape == (*batch, 4, 4)
    close(rotation.mT @ rotation, identity[..., :3, :3])
    close(torch.linalg.det(rotation), torch.ones(batch, dtype=F64))
    close(a[..., 3, :], identity[..., 3, :], atol=0.0)
    close(se3.inverse(a) @ a, identity)
    close(a @ se3.inverse(a), identity)
    close(se3.inverse(a @ b), se3.inverse(b) @ se3.inverse(a))
    close(se3.relative(a, b), se3.inverse(a) @ b)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("angle", ANGLES)
def test_exp_equals_the_matrix_exponential(batch: tuple[int, ...], angle: float) -> None:
    twist = draw_twist(batch, angle)
    algebra = torch.zeros(*batch, 4, 4, dtype=F64)
    for (row, column), (index, sign) in {(2, 1): (0, 1), (0, 2): (1, 1), (1, 0): (2, 1)}.items():
        algebra[..., row, column] = sign * twist[..., index]
        algebra[..., column, row] = -sign * twist[..., index]
    algebra[..., :3, 3] = twist[..., 3:]
    close(se3.exp(twist), torch.linalg.matrix_exp(algebra))
    close(se3.so3_exp(twist[..., :3]), torch.linalg.matrix_exp(algebra[..., :3, :3]))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("angle", ANGLES)
def test_log_is_the_inverse_of_exp(batch: tuple[int, ...], angle: float) -> None:
    twist = draw_twist(batch, angle)
    # A matrix entry carries 1e-16; within 1e-9 of half a turn the axis can be read to that over nothing worse.
    close(se3.log(se3.exp(twist)), twist, atol=1e-11)
    close(se3.so3_log(se3.so3_exp(twist[..., :3])), twist[..., :3], atol=1e-13)


@pytest.mark.parametrize("angle", ANGLES)
def test_float32_keeps_its_own_precision(angle: float) -> None:
    twist = draw_twist((200,), angle)
    restored = se3.exp(se3.log(se3.exp(twist.float())))
    assert restored.dtype == torch.float32
    close(restored, se3.exp(twist.float().double()).float(), atol=4e-6)


def test_half_a_turn_about_each_axis() -> None:
    # R = 2 a a^T - 1 for a unit axis a; both a and -a are right, so the axis is compared up to its sign.
    axes = torch.cat((torch.eye(3, dtype=F64), torch.tensor([[1.0, 1.0, 0.0], [1.0, -2.0, 2.0]], dtype=F64)))
    axes = torch.nn.functional.normalize(axes, dim=-1)
    rotation = 2.0 * axes[:, :, None] * axes[:, None, :] - torch.eye(3, dtype=F64)
    omega = se3.so3_log(rotation)
    close(omega.norm(dim=-1), torch.full((5,), pi, dtype=F64))
    close((omega * axes).sum(-1).abs(), torch.full((5,), pi, dtype=F64))
    close(se3.so3_exp(omega), rotation)


def test_a_quarter_screw_by_hand() -> None:
    # A quarter turn about z while advancing by 3 along z: x goes to y, y to -x, and the origin to (0, 0, 3).
    # A part v across the axis moves on a circle: with v = (1, 0, 0) and theta = pi/2 the end is
    # (sin(theta), 1 - cos(theta)) / theta = (2/pi, 2/pi).
    expected = torch.tensor([[0, -1, 0, 2 / pi], [1, 0, 0, 2 / pi], [0, 0, 1, 3], [0, 0, 0, 1]], dtype=F64)
    close(se3.exp(torch.tensor([0, 0, pi / 2, 1, 0, 3], dtype=F64)), expected)


def test_signs_of_the_axis_rotations() -> None:
    # OpenCV axes: x right, y down, z forward. The columns of a rotation are where right, down and forward go.
    angle = torch.tensor(0.4, dtype=F64)
    forward = torch.tensor([0.0, 0.0, 1.0], dtype=F64)
    right = torch.tensor([1.0, 0.0, 0.0], dtype=F64)
    close(se3.rotation_x(angle) @ forward, torch.tensor([0.0, -sin(0.4), cos(0.4)], dtype=F64))  # looks up
    close(se3.rotation_y(angle) @ forward, torch.tensor([sin(0.4), 0.0, cos(0.4)], dtype=F64))  # looks right
    close(se3.rotation_z(angle) @ right, torch.tensor([cos(0.4), sin(0.4), 0.0], dtype=F64))  # right goes down


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("angle", ANGLES)
def test_quaternion_round_trip(batch: tuple[int, ...], angle: float) -> None:
    omega = draw_twist(batch, angle)[..., :3]
    rotation = se3.so3_exp(omega)
    quaternion = se3.quaternion_from_rotation(rotation)
    close(quaternion.norm(dim=-1), torch.ones(batch, dtype=F64))
    close(quaternion[..., 0], torch.full(batch, cos(angle / 2), dtype=F64))
    close(se3.rotation_from_quaternion(quaternion), rotation)
    close(se3.rotation_from_quaternion(-2.0 * quaternion), rotation)


def test_a_quaternion_by_hand() -> None:
    # A turn by 2 pi/3 about (1, 1, 1) permutes the axes x -> y -> z -> x; its quaternion is (1, 1, 1, 1) / 2.
    rotation = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=F64)
    close(se3.quaternion_from_rotation(rotation), torch.full((4,), 0.5, dtype=F64))
    close(se3.so3_log(rotation), torch.full((3,), 2 * pi / 3 / sqrt(3), dtype=F64))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("angle", ANGLES)
def test_geodesic_is_the_angle_of_the_difference(batch: tuple[int, ...], angle: float) -> None:
    a = se3.so3_exp(draw_twist(batch, 1.3, seed=3)[..., :3])
    b = a @ se3.so3_exp(draw_twist(batch, angle, seed=4)[..., :3])
    close(se3.geodesic(a, b), torch.full(batch, angle, dtype=F64))
    close(se3.geodesic(a, b), se3.geodesic(b, a))
    close(se3.geodesic(a, a), torch.zeros(batch, dtype=F64))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3, 2.0])
def test_interpolation(batch: tuple[int, ...], angle: float) -> None:
    a, step = se3.exp(draw_twist(batch, 0.7, seed=5)), draw_twist(batch, angle, seed=6)
    b = a @ se3.exp(step)
    close(se3.interpolate(a, b, 0.0), a)
    close(se3.interpolate(a, b, 1.0), b)
    close(se3.interpolate(a, b, 0.25), a @ se3.exp(0.25 * step))
    share = torch.rand(batch, generator=torch.Generator().manual_seed(7), dtype=F64)
    close(se3.interpolate(a, b, share), se3.interpolate(b, a, 1.0 - share))
    world = se3.exp(draw_twist((), 1.1, seed=8))
    close(se3.interpolate(world @ a, world @ b, share), world @ se3.interpolate(a, b, share))


@pytest.mark.parametrize("angle", [0.0, 1e-6, 0.3, pi - 1e-3])
def test_gradients_are_finite_and_right(angle: float) -> None:
    twist = draw_twist((2,), angle).requires_grad_()
    assert torch.autograd.gradcheck(se3.exp, (twist,))
    assert torch.autograd.gradcheck(lambda x: se3.log(se3.exp(x)), (twist,))


def test_far_from_the_origin_close_centres_keep_their_digits() -> None:
    # In float32 a million units carry 1/16; the difference of two such centres is exact when it is taken first.
    turn = se3.rotation_y(torch.tensor(0.5))
    a = se3.from_rotation_translation(turn, torch.tensor([1e6, 2e6, 3e6]))
    b = se3.from_rotation_translation(turn, torch.tensor([1e6 + 1.0, 2e6, 3e6]))
    expected = turn.mT @ torch.tensor([1.0, 0.0, 0.0])
    close(se3.relative(a, b)[:3, 3], expected, atol=1e-7)


def test_half_precision_is_computed_in_float32() -> None:
    twist = draw_twist((4,), 0.5).bfloat16()
    for result in (se3.exp(twist), se3.so3_exp(twist[..., :3]), se3.log(se3.exp(twist).bfloat16())):
        assert result.dtype == torch.float32
    close(se3.exp(twist), se3.exp(twist.float()), atol=0.0)


def test_no_argument_is_changed() -> None:
    twist, quaternion = draw_twist((2,), 0.5), torch.tensor([[0.0, -3.0, 0.0, 4.0]])
    a, b = se3.exp(twist), se3.exp(2.0 * twist)
    given = (twist, quaternion, a, b)
    before = [x.clone() for x in given]
    se3.exp(twist), se3.log(a), se3.inverse(a), se3.interpolate(a, b, 0.5), se3.relative(a, b)
    se3.geodesic(a[..., :3, :3], b[..., :3, :3]), se3.rotation_from_quaternion(quaternion), se3.so3_log(a[..., :3, :3])
    for x, y in zip(given, before, strict=True):
        assert torch.equal(x, y)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"a twist has last axes \[6\], got a tensor of shape \[2, 5\]"):
        se3.exp(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="a rigid motion has last axes"):
        se3.inverse(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="a rotation has last axes"):
        se3.so3_log(torch.zeros(4, 4))
    with pytest.raises(ValueError, match="length zero"):
        se3.rotation_from_quaternion(torch.zeros(2, 4))

"""Cameras that look along -z with y up, in worlds with y or z up: the turns between them and ours, written once."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import se3

# Ours to the foreign world: (x, y, z) -> (x, -y, -z) for y up, -> (x, z, -y) for z up. The camera's own axes turn
# like the world with y up (x right, y up, z backward: OpenGL, USD, glTF, Blender, Nuke, nerfstudio).
_FLIP = ((1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, -1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
_Z_UP = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
WORLDS = {"y": torch.tensor(_FLIP, dtype=torch.float64), "z": torch.tensor(_Z_UP, dtype=torch.float64)}


def to_opengl(world_from_cam: Tensor, *, up: str) -> Tensor:
    """c2w [..., 4, 4] in float64 of a camera that looks along -z with y up, in a world whose `up` axis ("y" or "z")
    is up, from our `world_from_cam` [..., 4, 4], whose world has y down."""
    return WORLDS[up] @ flip_camera(world_from_cam)


def from_opengl(c2w: Tensor, *, up: str) -> Tensor:
    """The inverse of `to_opengl`."""
    return WORLDS[up].T @ flip_camera(c2w)


def flip_camera(c2w: Tensor) -> Tensor:
    """`c2w` [..., 4, 4] with the camera's y and z axes turned round, in float64; the world's stay."""
    return c2w.double() @ WORLDS["y"]


def rotation_from_euler(angles: Tensor, order: str) -> Tensor:
    """Rotation [..., 3, 3] of `angles` [..., 3] in radians about (x, y, z); `order` ("zxy") lists the axes as they are
    applied, so that its last letter is the outermost rotation."""
    turns = {"x": se3.rotation_x, "y": se3.rotation_y, "z": se3.rotation_z}
    first, second, third = (turns[axis](angles[..., "xyz".index(axis)]) for axis in order)
    return third @ second @ first


def euler_from_rotation(rotation: Tensor, order: str) -> Tensor:
    """Angles [F, 3] in radians about (x, y, z) of `rotation` [F, 3, 3], for three different axes in `order`.

    Each frame takes the one of its equal triples that lies nearest to the frame before, so that curves through the
    angles make no full turns.
    """
    inner, middle, outer = ("xyz".index(axis) for axis in order)
    sign = 1.0 if (middle - outer) % 3 == 1 else -1.0
    rotation = rotation.double()
    a = torch.atan2(-sign * rotation[:, middle, inner], rotation[:, inner, inner])
    # The outermost turn taken back leaves two, each of which has entries of its own, at a gimbal lock too.
    about = torch.zeros(len(a), 3, dtype=torch.float64)
    about[:, outer] = -a
    rest = se3.so3_exp(about) @ rotation
    b = torch.atan2(sign * rest[:, outer, inner], rest[:, inner, inner])
    c = torch.atan2(sign * rest[:, middle, outer], rest[:, middle, middle])
    return _continuous(torch.stack((a, b, c), dim=-1))[:, [(outer, middle, inner).index(axis) for axis in range(3)]]


def _continuous(angles: Tensor) -> Tensor:
    """(outer, middle, inner) angles [F, 3] with (a, b, c) or its equal (a + pi, pi - b, c + pi), whichever is nearer
    to the frame before, whole turns added."""
    rows = [angles[0]]
    for a, b, c in angles[1:]:
        pair = torch.stack((torch.stack((a, b, c)), torch.stack((a + torch.pi, torch.pi - b, c + torch.pi))))
        near = pair + 2.0 * torch.pi * torch.round((rows[-1] - pair) / (2.0 * torch.pi))
        rows.append(near[(near - rows[-1]).abs().sum(-1).argmin()])
    return torch.stack(rows)

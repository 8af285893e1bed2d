"""What a path does, in words: against the authors' paths of known motion, and turns worked by hand."""

from __future__ import annotations

from dataclasses import replace
from math import cos, radians, sin
from pathlib import Path

import pytest
import torch

from raxel_core.camera_io import read_cameras
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.motion_words import motion_in_words

SCOPE = Path(__file__).parents[1] / "golden" / "cameras" / "scope" / "poses"
F64 = torch.float64


def path(centers=((0.0, 0, 0),), twists=((0.0, 0, 0),), fov_degrees=(60.0,), unit="metre"):
    """Cameras of centres [F, 3], rotation vectors [F, 3] in degrees and horizontal angles of view, each [F] or [1]."""
    frames = max(len(centers), len(twists), len(fov_degrees))
    center, twist, fov = (torch.tensor(x, dtype=F64) for x in (centers, twists, fov_degrees))
    motions = se3.from_rotation_translation(se3.so3_exp(twist.deg2rad()).expand(frames, 3, 3), center.expand(frames, 3))
    K = K_from_fov(fov.deg2rad().expand(frames), (480, 832))
    return Trajectory(Camera(motions, K, (480, 832)), unit=unit)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        # The name says where it looks; the camera goes the other way.
        (
            "omni-urban-street/orbit_left",
            "The camera trucks right by 0.748, dollies forward by 0.2 and pans left by 30 degrees (lengths in "
            "near_depth).",
        ),
        (
            "omni-misty-forest/snake_fwd",
            "The camera trucks between 0.234 right and 0.234 left and dollies forward by 0.843 (lengths in near_depth).",
        ),
        (
            "istock-city-pond/crane_up_fwd",
            "The camera moves up by 0.383, dollies forward by 0.383 and tilts down by 22 degrees (lengths in "
            "near_depth).",
        ),
        # Starts turned by 12.3 degrees; seen from there it is a plain dolly.
        ("omni-stained-glass-hall/dolly_in", "The camera dollies forward by 0.3 (lengths in near_depth)."),
    ],
)
def test_the_authors_paths_are_told_by_their_motion(name, says):
    trajectory = read_cameras(SCOPE / f"{name}.npy").trajectory
    assert motion_in_words(trajectory) == says
    world = se3.exp(torch.tensor([3.0, -1.0, 2.0, 0.5, -0.8, 1.1], dtype=F64))
    moved = replace(trajectory.camera, world_from_cam=world @ trajectory.camera.world_from_cam)
    assert motion_in_words(replace(trajectory, camera=moved)) == says


@pytest.mark.parametrize(
    ("trajectory", "says"),
    [
        # Rotation vectors along +x, +y, +z (right, down, forward) turn up, right and clockwise.
        (path(twists=[(0, 0, 0), (20, 0, 0)]), "tilts up by 20 degrees."),
        (path(twists=[(0, 0, 0), (-20, 0, 0)]), "tilts down by 20 degrees."),
        (path(twists=[(0, 0, 0), (0, 20, 0)]), "pans right by 20 degrees."),
        (path(twists=[(0, 0, 0), (0, 0, -15)]), "rolls counter-clockwise by 15 degrees."),
        (path(twists=[(0, 100.0 * n, 0) for n in range(5)]), "pans right by 400 degrees."),
        (path([(0, 0, 0), (0, 0.5, 0)]), "moves down by 0.5 (lengths in metre)."),
        (path([(0, 0, 0), (0, 0, -2), (0, 0, -0.5)]), "dollies backward by 2 and back to 0.5 (lengths in metre)."),
        (path([(0, 0, 0), (-2, 0, 0), (0, 0, 0)]), "trucks left by 2 and back to 0 (lengths in metre)."),
        (path([(0, 0, 0), (1, 0.04, 0)]), "trucks right by 1 (lengths in metre)."),
        (path([(5.0, 5, 5)] * 3), "stands still."),
        (path(), "stands still."),
        (path(fov_degrees=[60.0, 50.0, 40.0]), "zooms in from 60 to 40 degrees of view."),
        (
            path([(0, 0, 0), (0, 0, -1)], fov_degrees=[40.0, 60.0]),
            "dollies backward by 1 and zooms out from 40 to 60 degrees of view (lengths in metre).",
        ),
    ],
)
def test_each_motion_by_its_sign(trajectory, says):
    assert motion_in_words(trajectory) == f"The camera {says}"


def test_tilting_up_is_looking_up():
    """A rotation about +x by 20 degrees turns the forward axis (0, 0, 1) to (0, -sin 20, cos 20): y is down, so up."""
    forward = path(twists=[(0, 0, 0), (20, 0, 0)]).camera.rotation[1][:, 2]
    torch.testing.assert_close(forward, torch.tensor([0.0, -sin(radians(20)), cos(radians(20))], dtype=F64))

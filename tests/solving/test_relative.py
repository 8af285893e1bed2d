"""Pairs of frames before a wall: their motion, and who walks in them, on points that are known."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from raxel_core.geometry import se3
from raxel_core.solving import relative
from raxel_core.solving.features import CAMERA_ID, FeatureTable, colmap_camera, image_name
from raxel_core.solving.lens import lens_of_fov
from raxel_core.solving.relative import write_relative_poses

pycolmap = pytest.importorskip("pycolmap")

LENS = lens_of_fov(math.radians(60), (270, 480))
FRAMES, WALL, NEAR, WALKERS = 5, 300, 50, 60


def motions():
    """[F, 4, 4] world_from_cam: back by 2 and a pan of 12 degrees."""
    share = torch.linspace(0, 1, FRAMES, dtype=torch.float64)
    nothing = torch.zeros_like(share)
    turn = torch.stack((nothing, math.radians(12) * share, nothing), -1)
    return se3.from_rotation_translation(se3.so3_exp(turn), torch.stack((nothing, nothing, -2.0 * share), -1))


def filmed(folder):
    """The database and table of a wall 9 away, some points before it, and a crowd that walks by 0.08 a frame."""
    random = np.random.default_rng(3)
    wall = random.uniform(-1, 1, (WALL, 3)) * (4, 2, 0) + (1, 0, 9)
    near = random.uniform(-1, 1, (NEAR, 3)) * (2, 1.2, 1) + (0.6, 0, 5)
    walkers = random.uniform(-1, 1, (WALKERS, 3)) * (0.6, 0.8, 0.2) + (0.3, 0, 5)
    table = FeatureTable(folder / "features.db", LENS.hw)
    database = pycolmap.Database.open(table.path)
    database.write_camera(colmap_camera(LENS), use_camera_id=True)
    for frame, motion in enumerate(motions().numpy()):
        world = np.concatenate((wall, near, walkers + (0.0, 0.08 * frame, 0.0)))
        local = (world - motion[:3, 3]) @ motion[:3, :3]
        pixels = (
            local[:, :2] / local[:, 2:] * LENS.focal + LENS.principal_point + random.normal(0, 0.1, (len(world), 2))
        )
        table.keypoints.append(pixels)
        image = pycolmap.Image(name=image_name(frame), camera_id=CAMERA_ID, image_id=frame + 1)
        database.write_image(image, use_image_id=True)
        database.write_keypoints(frame + 1, pixels.astype(np.float32))
    matches = np.arange(len(table.keypoints[0]), dtype=np.uint32)[:, None].repeat(2, 1)
    for first, second in combinations(range(FRAMES), 2):
        geometry = pycolmap.TwoViewGeometry(config=pycolmap.TwoViewGeometryConfiguration.PLANAR_OR_PANORAMIC)
        geometry.inlier_matches = matches
        database.write_two_view_geometry(first + 1, second + 1, geometry)
    return database, table


def errors(database):
    """Degrees by which each pair's rotation is off, and the share of the walkers' matches that it kept."""
    truth, off, walking = motions(), {}, {}
    for number, geometry in zip(*database.read_two_view_geometries(), strict=True):
        first, second = (image - 1 for image in pycolmap.pair_id_to_image_pair(number))
        rotation = torch.from_numpy(geometry.cam2_from_cam1.matrix()[:, :3])
        true = (se3.inverse(truth[second]) @ truth[first])[:3, :3]
        off[first, second] = math.degrees(float(se3.geodesic(rotation, true)))
        walking[first, second] = float((np.asarray(geometry.inlier_matches)[:, 0] >= WALL + NEAR).sum()) / WALKERS
    return off, walking


def test_a_drive_before_a_wall_is_no_turn_and_who_walks_is_left_out(tmp_path):
    database, table = filmed(tmp_path)
    with database:
        write_relative_poses(database, table)
        off, walking = errors(database)
    assert len(off) == 10 and max(off.values()) < 0.3
    assert max(walking.values()) < 0.3


def test_one_pair_alone_lets_walkers_through_and_only_the_frames_asked_for_are_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(relative, "_MOST_ASTRAY", 1.0)
    database, table = filmed(tmp_path)
    with database:
        write_relative_poses(database, table, frames=(1, 2, 3))
        geometries = database.read_two_view_geometries()[1]
        assert sum(each.cam2_from_cam1 is not None for each in geometries) == 3
        assert sum(len(each.inlier_matches) == WALL + NEAR + WALKERS for each in geometries) == 7

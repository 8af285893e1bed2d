"""Damaged values on the sockets of other packs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from raxel_core.camera_io.reading import Assumed, CameraFormatError
from raxel_core.camera_sockets.cameractrl import camera_pose, cameractrl_poses, cameractrl_text
from raxel_core.camera_sockets.load3d import load3d_camera, load3d_cameras
from raxel_core.camera_sockets.matrices import camera_matrices
from raxel_core.camera_sockets.recammaster import recammaster_poses
from raxel_core.camera_sockets.recognition import PAYLOADS, read_camera
from raxel_core.camera_sockets.wan_embedding import wan_camera_embedding
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.camera_path import path_to_json
from raxel_core.paths.plan import make_move
from tests.fuzz.frame import Target
from tests.fuzz.structure import damaged_value


def payload_targets() -> list[Target]:
    """One target a payload that we can make, and one of things that are none."""
    return [_target(name, make) for name, make in {**MADE, "nothing": lambda path: {}}.items()]


def _geometry(path: Trajectory) -> dict[str, Any]:
    """MOGE_GEOMETRY and DA3_GEOMETRY have these keys among others."""
    depth = torch.rand(1, 12, 16, generator=torch.Generator().manual_seed(0)) + 1.0
    K = path.camera.K[:1].float() / torch.tensor((64.0, 48.0, 1.0))[:, None]
    return {
        "depth": depth,
        "mask": torch.ones_like(depth, dtype=torch.bool),
        "intrinsics": K,
        "image": torch.rand(1, 12, 16, 3),
    }


MADE: dict[str, Callable[[Trajectory], Any]] = {
    "WAN_CAMERA_EMBEDDING": wan_camera_embedding,
    "CAMERACTRL_POSES": cameractrl_poses,
    "STRING rows": cameractrl_text,
    "STRING path": path_to_json,
    "CameraPose": camera_pose,
    "CAMERAPOSES": recammaster_poses,
    "EXTRINSICS": lambda path: camera_matrices(path)[0],
    "LOAD3D_CAMERA": load3d_camera,
    "LOAD3D_CAMERA list": load3d_cameras,
    "VGGT": lambda path: {"pose_enc": torch.tensor([[[0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 1.0, 0.9, 1.2]] * 5])},
    "MOGE_GEOMETRY": _geometry,
    "CAMERA_PARAMS": lambda path: {
        "extrinsics": camera_matrices(path)[0].numpy(), "intrinsics": camera_matrices(path)[1].numpy(),
    },
    "CAMERA_TRAJECTORY": lambda path: {
        "c2ws": path.camera.world_from_cam.float(), "intrs": path.camera.K.float(), "width": 64, "height": 48,
    },
    "CAMERA_TRACK": lambda path: {
        "R_w2c": path.camera.cam_from_world[:, :3, :3].numpy(), "t_w2c": path.camera.cam_from_world[:, :3, 3].numpy(),
        "focal_mm": 35.0, "haperture": 36.0,
    },
    "CAMERA_ARRAYS": lambda path: {
        "cam_c2w": path.camera.world_from_cam[None].float(), "intrinsic": path.camera.K[None].float(),
        "images": np.zeros((5, 48, 64, 3), np.uint8),
    },
    "CAMERA_ARRAYS frames": lambda path: [
        {"camera_poses": motion[None], "intrinsics": K[None]}
        for motion, K in zip(path.camera.world_from_cam, path.camera.K, strict=True)
    ],
}  # fmt: skip


def _target(name: str, make: Callable[[Trajectory], Any]) -> Target:
    def damage(good: Any, random: Random, folder: Path) -> Any:
        value = good
        for _ in range(random.choice((1, 1, 2, 3))):
            value = damaged_value(value, random)
        return value

    def read(value: Any, random: Random) -> bool:
        read_as = random.choice(["auto", "auto", *PAYLOADS])
        given = damaged_value(INTRINSICS, random) if random.random() < 0.2 else None
        reading = read_camera(value, Assumed(hw=(48, 64)), read_as=read_as, given=given)
        reading.trajectory.camera.validate()
        assert all(line.isprintable() for line in reading.text.split("\n"))
        return True

    path = make_move("orbit", 5, hw=(48, 64), amount=1.0)
    return Target(f"payload {name}", lambda folder: make(path), damage, read, (CameraFormatError,), _shown)


INTRINSICS = torch.tensor([[50.0, 0.0, 32.0], [0.0, 50.0, 24.0], [0.0, 0.0, 1.0]])


def _shown(value: Any) -> str:
    return repr(value)[:2000]

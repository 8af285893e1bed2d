"""Small data sets in the layouts of RealEstate10K and DL3DV, of ray-traced scenes whose cameras are exact."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from raxel_core.camera_io import write_cameras
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.training.synthetic import EASY_SCENES, render_scenes

RATE = 8.0
# k1 k2 p1 p2 of the lens that DL3DV's pictures are made with.
DISTORTION = (0.09, -0.03, 0.004, -0.003)
GL_FROM_CV = np.diag([1.0, -1.0, -1.0, 1.0])
# DL3DV's own: COLMAP's world turned, to be taken back.
APPLIED = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]])


def scene(seed: int, frames: int, hw: tuple[int, int]):
    """Pictures uint8 RGB [F, H, W, 3] and the camera [F] of one ray-traced scene."""
    batch = render_scenes([seed], frames=frames, hw=hw, config=EASY_SCENES)
    pictures = ((batch.video[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()
    return pictures, batch.camera[0]


def write_picture(path: Path, picture: np.ndarray) -> None:
    """A picture file of uint8 RGB [H, W, 3]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[..., ::-1])


def write_realestate10k(root: Path, key: str, seed: int, *, frames: int = 24, hw: tuple[int, int] = (48, 80)):
    """`train/<key>.txt` and `train/<key>/<microseconds>.png`; returns pictures and camera."""
    pictures, camera = scene(seed, frames, hw)
    (root / "train").mkdir(parents=True, exist_ok=True)
    write_cameras(
        Trajectory(camera, fps=RATE, name="https://www.youtube.com/watch?v=abcdefghijk"), root / "train" / f"{key}.txt"
    )
    stamps = [line.split()[0] for line in (root / "train" / f"{key}.txt").read_text().splitlines()[1:]]
    for stamp, picture in zip(stamps, pictures, strict=True):
        write_picture(root / "train" / key / f"{stamp}.png", picture)
    return pictures, camera


def write_dl3dv(root: Path, key: str, seed: int, *, frames: int = 24, hw: tuple[int, int] = (48, 80), shrunk: int = 4):
    """`1K/<key>/images_4/frame_00001.png` of a distorted lens and transforms.json for pictures 4 times as large.

    Returns the pinhole pictures that the distorted ones were bent from, and their camera.
    """
    pictures, camera = scene(seed, frames, hw)
    folder = root / "1K" / key
    K = camera.K[0].double().numpy()
    bend = bent_map(K, hw)
    for number, picture in enumerate(pictures, start=1):
        write_picture(
            folder / f"images_{shrunk}" / f"frame_{number:05d}.png", cv2.remap(picture, *bend, cv2.INTER_CUBIC)
        )
    world = np.vstack([APPLIED, [0, 0, 0, 1]])
    motions = [world @ pose @ GL_FROM_CV for pose in camera.world_from_cam.double().numpy()]
    lens = {
        "w": hw[1] * shrunk, "h": hw[0] * shrunk, "fl_x": K[0, 0] * shrunk, "fl_y": K[1, 1] * shrunk,
        "cx": K[0, 2] * shrunk, "cy": K[1, 2] * shrunk, "camera_model": "OPENCV",
        **dict(zip(("k1", "k2", "p1", "p2"), DISTORTION, strict=True)),
    }  # fmt: skip
    listed = [
        {"file_path": f"images/frame_{number:05d}.png", "transform_matrix": motion.tolist(), "colmap_im_id": number}
        for number, motion in enumerate(motions, start=1)
    ]
    (folder / "transforms.json").write_text(
        json.dumps({**lens, "applied_transform": APPLIED.tolist(), "frames": listed})
    )
    return pictures, camera


def bent_map(K: np.ndarray, hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the distorted picture lies in the pinhole one, by OpenCV's own inverse of the lens."""
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float64)
    cv_K = K.copy()
    cv_K[:2, 2] -= 0.5
    points = cv2.undistortPoints(
        np.stack([x, y], -1).reshape(-1, 1, 2), cv_K, np.array(DISTORTION), P=cv_K,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10),
    )  # fmt: skip
    maps = points.reshape(*hw, 2).astype(np.float32)
    return maps[..., 0], maps[..., 1]


def as_video(pictures: np.ndarray) -> torch.Tensor:
    """Pictures uint8 [F, H, W, 3] as [3, F, H, W] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(3, 0, 1, 2).float() / 127.5 - 1

"""Random rigs, and ray maps written by plain NumPy from their matrices: a writer that shares no code with the core."""

from __future__ import annotations

import numpy as np
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.pytorch3d import Pytorch3dCameras

HW = (48, 64)


def rig(seed: int, cameras: int = 4, *, square: bool = True) -> Camera:
    """Cameras in random poses with one random lens; not `square`: with focal lengths and principal points of their own."""
    generator = torch.Generator().manual_seed(seed)
    twist = torch.randn(cameras, 6, generator=generator, dtype=torch.float64)
    focal = 20.0 + 80.0 * torch.rand(1, generator=generator, dtype=torch.float64)
    K = torch.eye(3, dtype=torch.float64).repeat(cameras, 1, 1)
    K[:, 0, 0] = K[:, 1, 1] = focal
    K[:, 0, 2], K[:, 1, 2] = HW[1] / 2, HW[0] / 2
    if not square:
        K[:, :2, :2] *= 1.0 + 0.2 * torch.rand(cameras, 2, 1, generator=generator, dtype=torch.float64)
        K[:, :2, 2] += 5.0 * torch.randn(cameras, 2, generator=generator, dtype=torch.float64)
    return Camera(se3.exp(twist), K, HW)


def written(camera: Camera, grid: tuple[int, int], layout: str, depth: np.ndarray) -> np.ndarray:
    """The map [F, C, h, w] of a layout by loops over frames and cells, in NumPy, after the layouts' definitions."""
    frames, (h, w) = len(camera), grid
    maps = []
    for f in range(frames):
        c2w, K = camera.world_from_cam[f].numpy(), camera.K[f].numpy()
        cells = np.zeros((h, w, 6))
        for i in range(h):
            for j in range(w):
                pixel = np.array([(j + 0.5) * HW[1] / w, (i + 0.5) * HW[0] / h, 1.0])
                deep = c2w[:3, :3] @ np.linalg.inv(K) @ pixel
                unit, center = deep / np.sqrt(deep @ deep), c2w[:3, 3]
                d = deep if layout.endswith("_depth") else unit
                cells[i, j] = {
                    "plucker_dm": lambda d=d, c=center: np.r_[d, np.cross(c, d)],
                    "plucker_md": lambda d=d, c=center: np.r_[np.cross(c, d), d],
                    "origin_direction": lambda d=d, c=center: np.r_[c, d],
                    "direction_origin": lambda d=d, c=center: np.r_[d, c],
                    "origin_endpoint": lambda c=center, p=center + depth[f, i, j] * deep: np.r_[c, p],
                    "direction": lambda d=d: np.r_[d, 0, 0, 0],
                    "raxel": lambda u=unit, c=center: np.r_[c + u, 0, 0, 0],
                }[layout.removesuffix("_depth")]()
        maps.append(cells.transpose(2, 0, 1))
    channels = 3 if layout.removesuffix("_depth") in ("direction", "raxel") else 6
    return np.stack(maps)[:, :channels]


def pytorch3d_from_camera(camera: Camera) -> Pytorch3dCameras:
    """PyTorch3D's numbers for `camera` [...]: the inverse of `camera_from_pytorch3d`, by NumPy."""
    w2c, short = np.linalg.inv(camera.world_from_cam.double().numpy()), min(camera.hw)
    flip = np.diag([-1.0, -1.0, 1.0])
    rotation, translation = np.swapaxes(flip @ w2c[..., :3, :3], -1, -2), w2c[..., :3, 3] @ flip
    size = np.array(camera.hw[::-1])
    center = (size - 2 * camera.principal_point.numpy()) / short
    parts = (rotation, translation, camera.focal.numpy() * 2 / short, center)
    return Pytorch3dCameras(*(torch.from_numpy(np.ascontiguousarray(part)).to(camera.K.dtype) for part in parts))

"""A Ray Diffusion network that sees the same camera in every photograph, whatever it is shown."""

from __future__ import annotations

from pathlib import Path

import torch

from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.rays import Rays, plucker_from_rays
from raxel_core.ray_diffusion.bundle import bundle_from_plucker
from raxel_core.ray_diffusion.checkpoint import save_ray_diffusion
from raxel_core.ray_diffusion.config import RayDiffusionConfig
from raxel_core.ray_diffusion.network import RayDiffuser

# One token a photograph, so that the head's bias alone holds all its rays.
CONFIG = RayDiffusionConfig(hidden=16, depth=1, heads=2, grid=8, patch=8, image_px=32, features="convolution", feature_channels=16)  # fmt: skip


def save_constant_network(path: Path, fov: float = 0.9) -> None:
    """Write it: all rays are those of a camera at distance 1 from the origin, which fills its crop with `fov`."""
    motion = torch.eye(4)
    motion[2, 3] = -1.0
    camera = Camera(motion, K_from_fov(torch.tensor(fov), (8, 8)), (8, 8))
    rays = bundle_from_plucker(plucker_from_rays(Rays.from_camera(camera)))
    network = RayDiffuser(CONFIG)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.ray_predictor.final_layer.linear.bias.copy_(rays.permute(1, 2, 0).flatten())
    save_ray_diffusion(path, network.state_dict(), CONFIG, method="both", dtype=torch.float32)

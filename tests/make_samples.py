"""The sample clips, cameras and picture in samples/, rendered by the pack itself.

    python -m tests.make_samples        writes them anew: a minute or two

A hall of the world's test scenes: `raxel_sample.mp4` is filmed by a camera that orbits in it, whose true path is there as
a camera file and as a COLMAP model; in `raxel_sample_ball.mp4` the camera stands still and a ball bounces through, and
`raxel_sample_ball_depth.mp4` is its depth, white near, even in 1 / depth from 2 m to 10 m. `raxel_sample_photographs` are nine
of the orbit's frames as photographs.
"""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from raxel_core.camera_io import write_cameras, write_estimate
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.estimate import estimate_of
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.training.synthetic import SPLITS
from raxel_core.training.world.motion import MOTIONS
from raxel_core.training.world.scenes import WorldConfig, render_world
from raxel_core.video_io import read_video, write_video
from raxel_core.warp.depth_map import DepthMap
from raxel_core.warp.depth_points import depth_points

FOLDER = Path(__file__).resolve().parents[1] / "samples"
HALL, FRAMES, HW, FPS = SPLITS["test"][8], 33, (288, 480), 16.0
NEAR, FAR = 2.0, 10.0
RADIUS, HEIGHT, BOUNCES = 0.3, 1.0, 2.5
RED, WHITE, SUN = (0.85, 0.16, 0.12), (0.95, 0.93, 0.88), (-0.5, -0.8, -0.35)


def corners(camera: Camera) -> Tensor:
    """Directions [H, W, 3] through the pixels, of depth 1, in the camera's axes."""
    height, width = camera.hw
    v, u = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack((u, v, torch.ones_like(u)), dim=-1) @ torch.linalg.inv(camera.K).mT.to(u)


def with_ball(picture: Tensor, depth: Tensor, camera: Camera, share: float, ground: float) -> tuple[Tensor, Tensor]:
    """The still picture [3, H, W] in [0, 1] and its depth [H, W] with the ball at a share of its way, and its shadow."""
    rays, turn = corners(camera), camera.world_from_cam[:3, :3].float()
    bounce = abs(math.cos(math.pi * BOUNCES * share)) * (1.0 - 0.5 * share)
    forward = torch.nn.functional.normalize(turn[:, 2] * torch.tensor((1.0, 0.0, 1.0)), dim=0)
    aside = torch.linalg.cross(torch.tensor((0.0, 1.0, 0.0)), forward, dim=0)
    place = camera.world_from_cam[:3, 3].float() + forward * 3.0 + aside * (-2.0 + 4.0 * share)
    place = torch.stack((place[0], torch.tensor(ground - RADIUS - HEIGHT * bounce), place[2]))
    floor = camera.world_from_cam[:3, 3].float() + depth[..., None] * rays @ turn.mT
    apart = (floor - place)[..., (0, 2)].norm(dim=-1) / RADIUS
    dark = 1.0 - 0.55 * (1.0 - 0.6 * bounce) * torch.exp(-(apart**2)) * ((floor[..., 1] - ground).abs() < 0.1)
    picture = picture * dark
    centre = (place - camera.world_from_cam[:3, 3].float()) @ turn
    a, b = (rays**2).sum(-1), rays @ centre
    root = b**2 - a * ((centre**2).sum() - RADIUS**2)
    z = (b - root.clamp_min(0.0).sqrt()) / a
    hit = (root > 0.0) & (z > 0.0) & (z < depth)
    normal = ((z[..., None] * rays - centre) / RADIUS) @ turn.mT
    return torch.where(hit, _colour(normal, share), picture), torch.where(hit, z, depth)


def _colour(normal: Tensor, share: float) -> Tensor:
    """The ball's colours [3, H, W]: stripes that roll, in the light of the sun."""
    angle = torch.atan2(normal[..., 1], normal[..., 0]) + 9.0 * share
    striped = (torch.sin(3.0 * angle) > 0.0)[..., None]
    base = torch.where(striped, torch.tensor(RED), torch.tensor(WHITE))
    sun = torch.nn.functional.normalize(torch.tensor(SUN), dim=0)
    return (base * (0.4 + 0.6 * (normal @ sun).clamp_min(0.0))[..., None]).movedim(-1, 0)


def write_jpeg(path: Path, picture: Tensor) -> None:
    """A picture [3, H, W] in [-1, 1] as a JPEG."""
    data = io.BytesIO()
    Image.fromarray(((picture.movedim(0, -1) + 1.0) * 127.5).round().to(torch.uint8).numpy()).save(
        data, "JPEG", quality=88
    )
    path.write_bytes(data.getvalue())


def write_photographs() -> None:
    """Nine frames of the sample clip as photographs."""
    folder = FOLDER / "raxel_sample_photographs"
    folder.mkdir(exist_ok=True)
    video = read_video(FOLDER / "raxel_sample.mp4").video
    for number, frame in enumerate(range(0, FRAMES, 4), start=1):
        write_jpeg(folder / f"photograph_{number}.jpg", video[:, frame])


def main() -> None:
    config = WorldConfig(motion_shares=tuple(float(name == "orbit") for name in MOTIONS), fps=FPS,
                         fov_degrees=(55.0, 70.0))  # fmt: skip
    scene = render_world([HALL], frames=FRAMES, hw=HW, config=config)
    video, depth = scene.video[0], scene.depth[0]
    path = Trajectory(scene.camera[0], fps=FPS, unit="metre", name="raxel_sample").relative_to(0)
    FOLDER.mkdir(exist_ok=True)
    write_video(FOLDER / "raxel_sample.mp4", video, fps=FPS, crf=27)
    write_jpeg(FOLDER / "raxel_sample.jpg", video[:, 0])
    write_photographs()
    write_cameras(path, FOLDER / "raxel_sample_camera.json", format="camera_path")
    points = depth_points((video[:, 0] + 1.0) / 2.0, DepthMap(depth[0]), path, count=40)
    write_estimate(replace(estimate_of(path, "raxel"), points=points), FOLDER / "raxel_sample_colmap", format="colmap")
    camera = scene.camera[0][0]
    floor = (
        camera.world_from_cam[:3, 3].float()
        + (depth[0, ..., None] * corners(camera)) @ camera.world_from_cam[:3, :3].float().mT
    )
    ground = float(floor[-24:, :, 1].median())
    made = [
        with_ball((video[:, 0] + 1.0) / 2.0, depth[0], camera, frame / (FRAMES - 1), ground) for frame in range(FRAMES)
    ]
    write_video(FOLDER / "raxel_sample_ball.mp4", torch.stack([p for p, _ in made], dim=1) * 2.0 - 1.0, fps=FPS, crf=27)
    grey = torch.stack([(1.0 / z - 1.0 / FAR) / (1.0 / NEAR - 1.0 / FAR) for _, z in made]).clamp(0.0, 1.0)
    write_video(FOLDER / "raxel_sample_ball_depth.mp4", grey.expand(3, -1, -1, -1) * 2.0 - 1.0, fps=FPS, crf=27)


if __name__ == "__main__":
    main()

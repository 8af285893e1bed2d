"""Rooms that look the same from four sides, read by Ray Diffusion and Ray Regression: `python -m
tests.benchmarks.symmetric_rooms PICTURE [WEIGHTS]`.

Each row: three photographs, and from above, in the frame of the first camera, where the second and third camera are
and look: true (white), by regression (orange), and SAMPLES samples of the diffusion (blue).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from raxel_core.drawing.canvas import Canvas
from raxel_core.geometry.camera import Camera
from raxel_core.ray_diffusion.checkpoint import embedded_network, load_ray_diffusion
from raxel_core.ray_diffusion.photographs import cameras_of_crops
from raxel_core.ray_diffusion.sampler import SamplerSettings
from raxel_core.training.sparse_views import render_views
from raxel_core.training.synthetic import SPLITS
from raxel_core.video_io import write_image

ROWS, PHOTOGRAPHS, SAMPLES, STEPS, SIDE = 4, 3, 16, 8, 192
TRUE, MEAN, SAMPLE = (255, 255, 255), (255, 150, 40), (90, 150, 255)
# Lengths are in the first camera's distance to the middle, which lies ahead of it.
_REACH, _MIDDLE = 2.6, 1.0


def main(picture: Path, weights: Path) -> None:
    """Writes the picture."""
    loaded = load_ray_diffusion(weights)
    config = loaded.network.config
    scenes = range(SPLITS["test"].start, SPLITS["test"].start + ROWS)
    views = render_views(scenes, views=PHOTOGRAPHS, px=config.image_px, grid=config.grid, scenes="symmetric")
    rows = []
    for i in range(ROWS):
        images, truth = views.images[i], views.camera[i].relative_to(views.camera[i][:1])
        drawn = cameras_of_crops(loaded, images, views.ndc[i], SamplerSettings(steps=STEPS, samples=SAMPLES))
        mean = cameras_of_crops(loaded, images, views.ndc[i], SamplerSettings("regression"))
        unit = float(truth.center[1:].norm(dim=-1).mean() / mean.camera.center[1:].norm(dim=-1).mean().clamp(min=1e-6))
        found = [(drawn.samples[s].scaled(unit), SAMPLE) for s in range(SAMPLES)]
        found += [(mean.camera.scaled(unit), MEAN), (truth, TRUE)]
        focus = float(torch.linalg.vector_norm(truth.center, dim=-1).max().clamp(min=1.0))
        shown = torch.nn.functional.interpolate(images, size=(SIDE, SIDE), mode="bilinear")
        rows.append(torch.cat([*shown, _from_above(found, focus)], dim=-1))
    write_image(picture, torch.cat(rows, dim=-2))


def _from_above(cameras: list[tuple[Camera, tuple[int, int, int]]], focus: float) -> torch.Tensor:
    """[3, SIDE, SIDE]: x to the right and z upwards; each camera but the first is a disc with a line where it looks."""
    canvas = Canvas.blank((SIDE, SIDE))
    scale, middle = canvas.width / (2 * _REACH * focus), 0.5 * canvas.width
    for camera, colour in cameras:
        for center, ahead in zip(camera.center[1:], camera.rotation[1:, :, 2], strict=True):
            ends = torch.stack((center, center + 0.5 * focus * ahead))[:, (0, 2)].double().numpy()
            points = np.stack((middle + scale * ends[:, 0], canvas.height - 0.3 * middle - scale * ends[:, 1]), 1)
            canvas.line(points, colour, 1.2 if colour is SAMPLE else 2.0)
            canvas.disc(points[0], 2.0 if colour is SAMPLE else 3.5, colour)
    return canvas.picture().permute(2, 0, 1).float() / 127.5 - 1.0


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else embedded_network())

"""The icon and the banner of the Comfy registry: `python -m tests.registry_pictures` draws them anew.

Both show what the pack is about: cameras along a path, each picture filled with its rays as colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from raxel_core.drawing.canvas import BACKGROUND, QUIET, TEXT, Box, Canvas
from raxel_core.drawing.frustum import frustum_corners
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.raxels import encode_raxels
from raxel_core.runtime.opencv import load_opencv

MEDIA = Path(__file__).parents[1] / ".github" / "media"
ICON, BANNER = MEDIA / "icon.png", MEDIA / "banner.png"
CELLS = 6
# Strokes of the name on a grid four wide and six high, a letter after the other.
LETTERS = {
    "R": ([(0, 6), (0, 0), (2.6, 0), (3.6, 1), (3.6, 2.2), (2.6, 3.2), (0, 3.2)], [(2, 3.2), (3.8, 6)]),
    "A": ([(0, 6), (2.1, 0), (4.2, 6)], [(0.8, 4), (3.4, 4)]),
    "X": ([(0, 0), (3.8, 6)], [(3.8, 0), (0, 6)]),
    "E": ([(3.2, 0), (0, 0), (0, 6), (3.2, 6)], [(0, 3), (2.6, 3)]),
    "L": ([(0, 0), (0, 6), (3.2, 6)],),
}


def looking_at_the_middle(center: torch.Tensor) -> torch.Tensor:
    """world_from_cam [..., 4, 4] of cameras upright at `center` [..., 3] that look at the origin."""
    forward = torch.nn.functional.normalize(-center, dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0]).expand_as(center)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    axes = torch.stack([right, torch.linalg.cross(forward, right), forward, center], dim=-1)
    last = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(*center.shape[:-1], 1, 4)
    return torch.cat([axes, last], dim=-2)


def ring(count: int, span: float, radius: float, height: float, middle: float = -0.5 * torch.pi) -> Camera:
    """Cameras on a piece of a circle of `span` radians, looking at its middle."""
    angle = middle + torch.linspace(-span / 2, span / 2, count)
    rise = torch.linspace(0.5, -0.5, count) * height
    center = torch.stack([radius * angle.cos(), rise, radius * angle.sin()], dim=-1)
    pose = looking_at_the_middle(center)
    return Camera(pose, K_from_fov(1.5, (90, 120)).expand(count, 3, 3), (90, 120))


def seen_from(eye: Camera, points: torch.Tensor, scale: float, place: Sequence[float] | np.ndarray) -> np.ndarray:
    """Pixels [..., 2] of points [..., 3], `scale` canvas pixels to a unit at the eye's target, about `place`."""
    local = eye.world_from_cam.inverse() @ torch.cat([points, torch.ones_like(points[..., :1])], -1)[..., None]
    distance = float(eye.center.norm())
    flat = local[..., :2, 0] / local[..., 2:3, 0] * distance * scale
    return flat.numpy() + np.array(place)


def draw_cameras(canvas: Canvas, cameras: Camera, eye: Camera, box: Box, length: float) -> None:
    """Every camera as its pyramid, the picture a mosaic of its raxels."""
    colours = encode_raxels(cameras, (CELLS, CELLS))[0:3]
    colours = ((1.6 * colours.movedim(0, -1) + 1) * 127.5).clamp(0, 255).round().int()
    corners = frustum_corners(cameras, length)
    rough = seen_from(eye, corners[:, :5], 1.0, (0, 0)).reshape(-1, 2)
    low, high = rough.min(0), rough.max(0)
    scale = min((box.width, box.height) / (high - low))
    place = (box.left + box.width / 2, box.top + box.height / 2) - scale * (low + high) / 2
    order = np.argsort(-(cameras.center - eye.center).norm(dim=-1).numpy())
    steps = torch.linspace(0, 1, CELLS + 1)
    for k in order:
        apex, a, b, c, d = corners[k, :5]
        top, bottom = a + steps[:, None] * (b - a), d + steps[:, None] * (c - d)
        grid = top[None] + steps[:, None, None] * (bottom - top)[None]
        pixels = seen_from(eye, grid, scale, place)
        for row in range(CELLS):
            for column in range(CELLS):
                cell = pixels[[row, row, row + 1, row + 1], [column, column + 1, column + 1, column]]
                canvas.polygon(cell, tuple(colours[k, row, column].tolist()), 0.94)
        outline = seen_from(eye, torch.stack([a, b, c, d]), scale, place)
        point = seen_from(eye, apex, scale, place)
        for corner in outline:
            canvas.line(np.stack([point, corner]), TEXT, 1.6)
        canvas.line(outline[[0, 1, 2, 3, 0]], TEXT, 2.2)


def write_name(canvas: Canvas, left: float, top: float, size: float) -> None:
    """RAXEL in strokes, `size` canvas pixels a unit."""
    for strokes in LETTERS.values():
        for stroke in strokes:
            points = np.array(stroke) * size + (left, top)
            canvas.line(points, TEXT, 0.62 * size / canvas.unit)
        left += (max(x for stroke in strokes for x, _ in stroke) + 1.5) * size


def an_eye(distance: float, height: float, turn: float) -> Camera:
    center = torch.tensor([distance * np.sin(turn), -height, -distance * np.cos(turn)], dtype=torch.float32)
    pose = looking_at_the_middle(center)
    return Camera(pose, K_from_fov(0.8, (100, 100)), (100, 100))


def icon() -> torch.Tensor:
    canvas = Canvas(np.full((1600, 1600, 3), BACKGROUND, np.uint8), 4, 8.0)
    draw_cameras(canvas, ring(1, 0.0, 1.0, 0.0), an_eye(3.4, 1.2, 0.9), Box(130, 130, 1340, 1340), 1.25)
    return canvas.picture()


def banner() -> torch.Tensor:
    canvas = Canvas(np.full((1620, 3780, 3), BACKGROUND, np.uint8), 3, 3.0)
    draw_cameras(canvas, ring(7, 3.3, 2.6, 1.2), an_eye(9.0, 2.6, 0.15), Box(1900, 200, 1700, 1220), 0.95)
    write_name(canvas, 220, 500, 62)
    canvas.text("Rays as Pixels in ComfyUI", (216, 1110), TEXT, 34)
    canvas.text("cameras from video, video along cameras, both at once", (216, 1220), QUIET, 21)
    return canvas.picture()


def main() -> None:
    cv2 = load_opencv()
    for path, picture in ((ICON, icon()), (BANNER, banner())):
        cv2.imwrite(str(path), picture.numpy()[..., ::-1])


if __name__ == "__main__":
    main()

"""The world drawn into the frames of a video through each frame's camera: ground grid, axes, another camera's path.

What is drawn stays with the scene exactly as far as the cameras are right, which is what it is for. Nothing is hidden
by the scene, whose depth is not known. World axes are those of `Camera`: x right, y down, z forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..framing import check_aspect
from ..geometry.camera import Camera
from ..geometry.trajectory import Trajectory
from .canvas import PALETTE, TEXT, Canvas, Colour, Pixels, nice_step
from .frustum import frustum_corners

_AXES: tuple[tuple[str, Colour], ...] = (("x", (242, 92, 84)), ("y", (122, 214, 96)), ("z", (92, 158, 255)))
_GRID: Colour = (226, 232, 242)
_EDGE: Colour = (12, 14, 18)
_OTHER = PALETTE[1]
# All in shares of `depth`: the grid's rough step and how far it is seen, the axes' length, a frustum's slant edge, and
# how near to the eye lines are cut off.
_GRID_STEP, _GRID_REACH, _AXIS_LENGTH, _FRUSTUM, _NEAR = 0.2, 3.0, 0.25, 0.12, 0.02
_FRUSTA = 9


@dataclass(frozen=True)
class _Strokes:
    """Straight lines [N, 2, 3] of the world, drawn `width` design points wide; `reach` is where they have faded out."""

    ends: Tensor
    colour: Colour
    width: float = 1.0
    opacity: float = 1.0
    reach: float = math.inf


def draw_overlay(
    video: Tensor,
    trajectory: Trajectory,
    *,
    other: Trajectory | None = None,
    axes: bool = True,
    ground: float = 0.4,
    depth: float = 1.0,
) -> Tensor:
    """Frames [3, F, H, W] in [-1, 1] with the world drawn over them through `trajectory`, one camera per frame.

    `axes` stand at the point `depth` in front of the first camera, which an orbit circles; the grid lies `ground` below
    the first camera, level in the world, and follows the camera about (0: none); `other` is drawn as a line with
    frusta, from a dot to a diamond, the frustum of the shown frame bright. Lengths are in the path's unit. Pixels that
    nothing is drawn on keep their value. Raises ValueError when frames and cameras differ in number or aspect, units
    differ, a camera is not valid, or a length makes no sense.
    """
    camera = _camera_of(video, trajectory)
    if not (0.0 < depth < math.inf and 0.0 <= ground < math.inf):
        raise ValueError(f"a depth is positive and a ground not negative, got {depth} and {ground}")
    others = None if other is None else _other_camera(other, trajectory.unit)
    pivot = camera.center[0] + depth * camera.rotation[0, :, 2]
    level = float(camera.center[0, 1]) + ground
    made = video.clone()
    for frame in range(len(camera)):
        # Far things first: later strokes cover earlier ones.
        canvas = _blank((video.shape[2], video.shape[3]))
        eye = camera[frame]
        if ground:
            _draw(canvas, eye, _grid(eye, pivot, level, depth), depth)
        if others is not None:
            _draw_other(canvas, eye, others, frame, depth)
        if axes:
            _draw_axes(canvas, eye, pivot, depth)
        _composite(made[:, frame], canvas)
    return made


def clip_segments(ends: Tensor, hw: tuple[int, int], near: float) -> tuple[Tensor, Tensor]:
    """The parts of lines that a picture of `hw` can show, and which lines [N] these are parts of.

    `ends` [M, 2, 3] are K times points of the camera's frame: (u z, v z, z). Parts lie at depths of at least `near` and
    within one picture's width and height around the picture, in which a projected line stays straight and its
    coordinates stay small. Liang and Barsky's clipping (ACM TOG 3 (1984) 1), in homogeneous pixels.
    """
    height, width = hw
    planes = ends.new_tensor(
        [[0, 0, 1], [1, 0, width], [-1, 0, 2 * width], [0, 1, height], [0, -1, 2 * height]]
    )  # each inside where plane . end >= its offset
    inside = ends @ planes.T - ends.new_tensor([near, 0, 0, 0, 0])  # [M, 2, 5]
    begin, end = inside[:, 0], inside[:, 1]
    crossing = begin / torch.where(begin == end, 1.0, begin - end)
    first = torch.where((begin < 0) & (end >= 0), crossing, 0.0).amax(-1)
    last = torch.where((end < 0) & (begin >= 0), crossing, 1.0).amin(-1)
    kept = ~((begin < 0) & (end < 0)).any(-1) & (first < last)
    share = torch.stack((first, last), dim=-1)[kept][..., None]
    return torch.lerp(ends[kept, :1], ends[kept, 1:], share), kept.nonzero().squeeze(-1)


def _camera_of(video: Tensor, trajectory: Trajectory) -> Camera:
    """The cameras for the frames as they are, in float64; ValueError when the two do not belong together."""
    if video.ndim != 4 or video.shape[0] != 3 or not video.is_floating_point():
        raise ValueError(f"frames to draw on are [3, F, H, W] in [-1, 1], got {video.dtype} {list(video.shape)}")
    if video.shape[1] != len(trajectory):
        raise ValueError(f"one camera is needed per frame, got {video.shape[1]} frames and {len(trajectory)} cameras")
    hw = (video.shape[2], video.shape[3])
    check_aspect(trajectory.camera.hw, hw)
    return trajectory.camera.validate().to("cpu", torch.float64).resized(hw)


def _other_camera(other: Trajectory, unit: str) -> Camera:
    if other.unit != unit:
        raise ValueError(f"paths of one picture have one unit, got {unit} and {other.unit}")
    return other.camera.validate().to("cpu", torch.float64)


def _blank(hw: tuple[int, int]) -> Canvas:
    """An empty layer of red, green, blue times opacity, and opacity; a design point is a pixel of 1280x720."""
    return Canvas(np.zeros((*hw, 4), np.uint8), 1, max(min(hw[1] / 1280, hw[0] / 720), 0.4))


def _composite(image: Tensor, canvas: Canvas) -> None:
    """Lay the layer over an image [3, H, W] in [-1, 1], in its place, where it is drawn on.

    v (1 - a) + 2 c - a, with opacity a and colour times opacity c in [0, 1].
    """
    rows, columns = np.nonzero(canvas.pixels[..., 3])
    layer = torch.from_numpy(canvas.pixels[rows, columns]).to(image.device, image.dtype).T / 255.0  # [4, N]
    image[:, rows, columns] = image[:, rows, columns] * (1.0 - layer[3]) + 2.0 * layer[:3] - layer[3]


def _inked(colour: Colour, opacity: float) -> Colour:
    return tuple(round(opacity * value) for value in (*colour, 255))


def _draw(canvas: Canvas, eye: Camera, strokes: _Strokes, depth: float) -> None:
    """Draw lines as `eye` sees them."""
    ends = (strokes.ends - eye.center) @ eye.rotation @ eye.K.T  # (u z, v z, z)
    parts, kept = clip_segments(ends, eye.hw, _NEAR * depth)
    pixels = (parts[..., :2] / parts[..., 2:]).numpy()
    distance = (strokes.ends[kept].mean(1) - eye.center).norm(dim=-1)
    opacity = strokes.opacity * (1.25 * (1.0 - distance / strokes.reach)).clamp(0.0, 1.0)
    for line, share in zip(pixels, opacity.tolist(), strict=True):
        if share > 0.01:
            canvas.line(line, _inked(strokes.colour, share), strokes.width)


def _project(eye: Camera, point: Tensor, depth: float) -> Pixels | None:
    """The pixel [2] of a world point [3]; None for one behind the eye or too near to it."""
    seen = (point - eye.center) @ eye.rotation @ eye.K.T
    return (seen[:2] / seen[2]).numpy() if float(seen[2]) >= _NEAR * depth else None


def _grid(eye: Camera, pivot: Tensor, level: float, depth: float) -> _Strokes:
    """Lines of the plane y = `level` around the camera, in pieces one step long; they run through the pivot's foot."""
    step, reach = nice_step(_GRID_STEP * depth), _GRID_REACH * depth
    count = math.ceil(reach / step)
    foot = pivot * pivot.new_tensor([1.0, 0.0, 1.0]) + pivot.new_tensor([0.0, level, 0.0])
    cell = torch.round((eye.center - foot) / step) * pivot.new_tensor([1.0, 0.0, 1.0])
    across, along = torch.meshgrid(*[torch.arange(-count, count + 1, dtype=torch.float64)] * 2, indexing="ij")
    flat = torch.zeros_like(across)
    begin = torch.stack((across, flat, along), dim=-1).flatten(0, 1)
    lines = torch.stack((begin, begin + begin.new_tensor([0.0, 0.0, 1.0])), dim=1)
    ends = torch.cat((lines, lines.flip(-1))) + cell
    return _Strokes(foot + step * ends, _GRID, 1.2, 0.55, reach)


def _draw_axes(canvas: Canvas, eye: Camera, pivot: Tensor, depth: float) -> None:
    """Three arrows with their letters, on a dark edge that shows on any picture."""
    length, unit = _AXIS_LENGTH * depth, torch.eye(3, dtype=torch.float64)
    for axis, (letter, colour) in enumerate(_AXES):
        tip, others = length * unit[axis], 0.06 * length * unit[[n for n in range(3) if n != axis]]
        barbs = 0.84 * tip + torch.cat((others, -others))
        ends = torch.cat((torch.stack((0 * tip, tip))[None], torch.stack((tip.expand(4, 3), barbs), dim=1))) + pivot
        for tone, width, opacity in ((_EDGE, 6.0, 0.6), (colour, 3.2, 1.0)):
            _draw(canvas, eye, _Strokes(ends, tone, width, opacity), depth)
        beyond = _project(eye, pivot + 1.15 * tip, depth)
        if beyond is not None:
            place = (float(beyond[0]) - 7 * canvas.unit, float(beyond[1]) + 8 * canvas.unit)
            canvas.text(letter, place, _inked(colour, 1.0), 24)


def _draw_other(canvas: Canvas, eye: Camera, others: Camera, frame: int, depth: float) -> None:
    """Another camera's path: its line, frusta along it, where it is now, where it starts and where it ends."""
    center, last = others.center, len(others) - 1
    frames = sorted({round(f) for f in np.linspace(0, last, min(_FRUSTA, last + 1))})
    _draw(canvas, eye, _Strokes(_frustum_edges(others[frames], depth), _OTHER, 1.2, 0.6), depth)
    path = torch.stack((center[:-1], center[1:]), dim=1)
    for tone, width, opacity in ((_EDGE, 5.0, 0.45), (_OTHER, 2.6, 0.95)):
        _draw(canvas, eye, _Strokes(path, tone, width, opacity), depth)
    if frame <= last:
        _draw(canvas, eye, _Strokes(_frustum_edges(others[[frame]], depth), _OTHER, 2.6, 1.0), depth)
    start, end = (_project(eye, center[place], depth) for place in (0, last))
    if start is not None:
        canvas.disc(start, 5.5, _inked(_OTHER, 1.0))
    if end is not None:
        diamond = np.array([[0, -1], [1, 0], [0, 1], [-1, 0]])
        canvas.polygon(end + 7.5 * canvas.unit * diamond, _inked(_OTHER, 1.0))
        canvas.polygon(end + 3.0 * canvas.unit * diamond, _inked(TEXT, 1.0))


def _frustum_edges(camera: Camera, depth: float) -> Tensor:
    """The edges [N, 2, 3] of the frusta of cameras [F], with their roofs."""
    corners = frustum_corners(camera, _FRUSTUM * depth)
    begin, end = [0, 0, 0, 0, 1, 2, 3, 4, 1, 5], [1, 2, 3, 4, 2, 3, 4, 1, 5, 2]
    return torch.stack((corners[:, begin], corners[:, end]), dim=2).flatten(0, 1)

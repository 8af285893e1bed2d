"""Pictures for people: camera paths from three sides, error curves over time, sheets of video frames.

Every picture is uint8 RGB [H, W, 3] on a dark ground, drawn with OpenCV at twice its size and averaged down.
Paths are drawn in their own world with the convention of `Camera`: x right, y down, z forward.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..geometry.trajectory import Trajectory
from ..paths.path_figures import speeds, turn_rates
from ..runtime.opencv import load_opencv
from .canvas import (
    AXIS,
    BACKGROUND,
    GRID,
    PALETTE,
    PANEL,
    QUIET,
    TEXT,
    Box,
    Canvas,
    Colour,
    Pixels,
    mixed,
    nice_step,
    steps,
)
from .frustum import frustum_corners

_THREE_PANELS_FROM = (240, 400)
_DEFAULT_HW = (720, 1280)
_FRUSTA_OF_PATHS = (9, 6, 5)
"""Frusta per path when one, two, or more are drawn."""
_SMALLEST_EXTENT = 0.6
"""In metres or near depths: the jitter of a camera that stands still is not blown up to fill the picture."""
_FADE_SEGMENTS = 24
_LENS_CHANGES_DEGREES = 1e-3
_LEVEL = 1e-3
"""Curves whose values differ by less than this share of them are level: rounding is not blown up."""


def draw_trajectories(trajectories: Mapping[str, Trajectory], *, hw: tuple[int, int] = _DEFAULT_HW) -> Tensor:
    """Camera paths from above, from the side and in perspective, uint8 [H, W, 3] for `hw` = (height, width).

    Each path has its colour, frusta at up to nine frames with a roof on their upper side, a dot where it starts and a
    diamond where it ends; it brightens along time. Panels have equal scale on both axes and a grid whose step is
    written in the paths' unit. Pictures below 240x400 show the perspective only. ValueError when there is no path,
    when units differ, when a camera is not valid, or when a side is below 64 pixels.
    """
    unit = _shared_unit(trajectories)
    canvas = Canvas.blank(hw)
    tracks = _tracks(trajectories, unit)
    for name, box in _panels(canvas).items():
        panel = canvas.part(box)
        _draw_panel(panel, name, tracks, unit)
        if name == "perspective":
            _draw_legend(panel, trajectories)
    return canvas.picture()


def draw_curves(panels: Mapping[str, Mapping[str, Tensor]], *, hw: tuple[int, int] = _DEFAULT_HW) -> Tensor:
    """Curves over frames, uint8 [H, W, 3]: one panel below the other for each title, one curve [F] for each name in it.

    The title says what is drawn and in which unit ("rotation error (degrees)"). The scale starts at zero unless all
    values lie far from it and differ; a value that is not finite is a gap; the legend gives each curve's mean.
    ValueError when there is no panel, an empty panel, or a curve that is not one value per frame.
    """
    if not panels:
        raise ValueError("no curves to draw")
    canvas = Canvas.blank(hw)
    gap = canvas.unit * 10
    height = (canvas.height - gap) / len(panels)
    for row, (title, curves) in enumerate(panels.items()):
        _check_curves(title, curves)
        panel = canvas.part(Box(gap, gap + row * height, canvas.width - 2 * gap, height - gap))
        _draw_curve_panel(panel, title, {name: curve.detach().cpu().double() for name, curve in curves.items()})
    return canvas.picture()


def draw_speeds(trajectory: Trajectory, *, hw: tuple[int, int] = _DEFAULT_HW) -> Tensor:
    """Speed, turn rate and, where it changes, the angle of view of a path over its frames, uint8 [H, W, 3].

    The value at a frame is that of the step that leads to it; the first frame has none. ValueError when a side is
    below 64 pixels.
    """
    none_yet = torch.full((1,), math.nan, dtype=torch.float64)
    speed, turn = (torch.cat((none_yet, rates(trajectory).cpu())) for rates in (speeds, turn_rates))
    unit = "" if trajectory.unit == "arbitrary" else f"{trajectory.unit} "
    panels = {
        f"speed ({unit}a second)": {"speed": speed},
        "turn rate (degrees a second)": {"turn rate": turn.rad2deg()},
    }
    fov = trajectory.camera.fov[:, 0].rad2deg()
    if float(fov.max() - fov.min()) > _LENS_CHANGES_DEGREES:
        panels["horizontal angle of view (degrees)"] = {"angle of view": fov}
    return draw_curves(panels, hw=hw)


def comparison_sheet(videos: Mapping[str, Tensor], *, frames: int = 6, cell_width: int = 320) -> Tensor:
    """Videos [3, F, H, W] in [-1, 1] below each other, `frames` evenly spaced frames each, uint8 [H, W, 3].

    Each row has its name above it, each picture its frame number; a video of another shape keeps its own aspect.
    ValueError when there is no video, or one is none.
    """
    return _sheet({name: _cells(video, frames) for name, video in videos.items()}, cell_width)


def image_from_picture(picture: Tensor) -> Tensor:
    """A picture uint8 [H, W, 3] as an image [3, H, W] in [-1, 1], which `video_io.write_image` takes."""
    return picture.movedim(-1, -3).float() / 127.5 - 1


@dataclass(frozen=True)
class _Track:
    """One path ready to draw: centres [F, 3], frusta [N, 6, 3] (apex, image corners, roof) at frames [N]."""

    center: Pixels
    frusta: Pixels
    frames: tuple[int, ...]
    colour: Colour
    width: float


@dataclass(frozen=True)
class _View:
    """World points [N, 3] -> pixels [N, 2]: turned, divided by 1 + depth / distance (infinite: parallel), placed."""

    screen_from_world: Pixels
    center: Pixels
    distance: float
    scale: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)

    def __call__(self, points: Pixels) -> Pixels:
        turned = (points - self.center) @ self.screen_from_world.T
        flat = turned[..., :2] / (1 + turned[..., 2:] / self.distance)
        return flat * self.scale + np.array(self.offset)

    def fitted(self, points: Pixels, box: Box) -> _View:
        """The same view, scaled and placed so that `points` just fill `box`."""
        flat = self(points)
        low, high = flat.min(0), flat.max(0)
        extent = np.maximum(high - low, 1e-12)
        scale = float(min(box.width / extent[0], box.height / extent[1]))
        middle = np.array([box.left + box.width / 2, box.top + box.height / 2]) - scale * (low + high) / 2
        return _View(self.screen_from_world, self.center, self.distance, scale, (float(middle[0]), float(middle[1])))


def _shared_unit(trajectories: Mapping[str, Trajectory]) -> str:
    units = sorted({trajectory.unit for trajectory in trajectories.values()})
    if not units:
        raise ValueError("no trajectory to draw")
    if len(units) > 1:
        raise ValueError(f"trajectories in different units do not fit one picture: {' and '.join(units)}")
    for trajectory in trajectories.values():
        trajectory.camera.validate()
    return units[0]


def _tracks(trajectories: Mapping[str, Trajectory], unit: str) -> list[_Track]:
    """The paths with frusta of one size, a share of the extent of all centres; the first is drawn broadest, below."""
    cameras = [trajectory.camera.to("cpu", torch.float64) for trajectory in trajectories.values()]
    every = torch.cat([camera.center for camera in cameras])
    extent = float((every.amax(0) - every.amin(0)).norm())
    extent = max(extent, _SMALLEST_EXTENT if unit != "arbitrary" else 1e-9) or 1.0
    tracks = []
    for number, camera in enumerate(cameras):
        count = min(_FRUSTA_OF_PATHS[min(len(cameras), 3) - 1], len(camera))
        frames = tuple(sorted({round(f) for f in np.linspace(0, len(camera) - 1, count)}))
        corners = frustum_corners(camera[list(frames)], 0.14 * extent).numpy()
        colour = PALETTE[number % len(PALETTE)]
        tracks.append(_Track(camera.center.numpy(), corners, frames, colour, max(4.0 - 1.6 * number, 2.0)))
    return tracks


def _panels(canvas: Canvas) -> dict[str, Box]:
    """Boxes of the panels: perspective to the left, top and side view stacked to the right; below it when upright."""
    gap, width, height = canvas.unit * 8, canvas.width, canvas.height
    whole = Box(gap, gap, width - 2 * gap, height - 2 * gap)
    if height / canvas.scale < _THREE_PANELS_FROM[0] or width / canvas.scale < _THREE_PANELS_FROM[1]:
        return {"perspective": whole}
    if width >= height:
        left, half = whole.width * 0.62, (whole.height - gap) / 2
        rest = whole.width - left - gap
        return {
            "perspective": Box(gap, gap, left, whole.height),
            "top": Box(gap + left + gap, gap, rest, half),
            "side": Box(gap + left + gap, gap + half + gap, rest, half),
        }
    above, half = whole.height * 0.6, (whole.width - gap) / 2
    rest = whole.height - above - gap
    return {
        "perspective": Box(gap, gap, whole.width, above),
        "top": Box(gap, gap + above + gap, half, rest),
        "side": Box(gap + half + gap, gap + above + gap, half, rest),
    }


def _draw_panel(panel: Canvas, name: str, tracks: Sequence[_Track], unit: str) -> None:
    points = np.concatenate([np.concatenate((t.center, t.frusta.reshape(-1, 3))) for t in tracks])
    if name == "perspective":
        view, step = _draw_ground(panel, tracks, points)
    else:
        view, step = _draw_plane(panel, name, points)
    for track in tracks:
        _draw_track(panel, view, track)
    for number, track in enumerate(tracks):
        _draw_ends(panel, view, track, max(8.0 - 2.2 * number, 3.0))
    if name == "top":
        _draw_frame_numbers(panel, view, tracks[0])
    _draw_caption(panel, name, f"grid {step:g} {unit}")


def _perspective_view(points: Pixels) -> _View:
    """From behind, from the right and from above, in OpenCV axes: right, down, forward."""
    azimuth, elevation = math.radians(38), math.radians(27)
    forward = np.array(
        [-math.sin(azimuth) * math.cos(elevation), math.sin(elevation), math.cos(azimuth) * math.cos(elevation)]
    )
    right = np.cross((0.0, 1.0, 0.0), forward)
    right /= np.linalg.norm(right)
    low, high = points.min(0), points.max(0)
    distance = 2.2 * float(np.linalg.norm(high - low)) + 1e-9
    return _View(np.stack((right, np.cross(forward, right), forward)), (low + high) / 2, distance)


def _draw_ground(panel: Canvas, tracks: Sequence[_Track], points: Pixels) -> tuple[_View, float]:
    """The perspective view, with a grid below all cameras, each path's shadow on it, and plumb lines at both ends."""
    extent = float(np.linalg.norm(points.max(0) - points.min(0)))
    ground = float(points[:, 1].max()) + 0.15 * extent
    shadows = [track.center * (1, 0, 1) + (0, ground, 0) for track in tracks]
    unit = panel.unit
    inner = panel.box.inset(unit * 60, unit * (64 + 20 * len(tracks)), unit * 60, unit * 60)
    view = _perspective_view(points).fitted(np.concatenate((points, *shadows)), inner)
    step = nice_step(extent / 8)
    _draw_ground_grid(panel, view, ground, 1.1 * extent, step)
    for track, shadow in zip(tracks, shadows, strict=True):
        shade = mixed(track.colour, PANEL, 0.38)
        panel.line(view(shadow), shade, 1.6)
        for end in (0, -1):
            panel.line(view(np.stack((track.center[end], shadow[end]))), shade, 1.0)
    return view, step


def _draw_ground_grid(panel: Canvas, view: _View, ground: float, reach: float, step: float) -> None:
    """Lines of the plane y = `ground` about the middle of the scene, which fade out at the distance `reach`."""
    middle = view.center * (1, 0, 1) + (0, ground, 0)
    for along, across in ((0, 2), (2, 0)):
        first, last = middle[across] - reach, middle[across] + reach
        for value in steps(math.ceil(first / step) * step, last, step):
            line = np.repeat(middle[None], _FADE_SEGMENTS + 1, axis=0)
            line[:, across] = value
            line[:, along] += np.linspace(-reach, reach, _FADE_SEGMENTS + 1)
            distance = np.linalg.norm((line[1:] + line[:-1]) / 2 - middle, axis=-1)
            colour, width = (AXIS, 1.6) if abs(value) < 1e-6 * step else (GRID, 1.0)
            pixels = view(line)
            for place, share in enumerate(np.clip(1.25 * (1 - distance / reach), 0, 1)):
                if share > 0:
                    panel.line(pixels[place : place + 2], mixed(colour, PANEL, float(share)), width)


def _draw_plane(panel: Canvas, name: str, points: Pixels) -> tuple[_View, float]:
    """A parallel view, from above (x right, z up) or from the side (z right, y down), with a numbered grid."""
    matrix = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]] if name == "top" else [[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    unit = panel.unit
    inner = panel.box.inset(unit * 40, unit * 40, unit * 26, unit * 34)
    view = _View(matrix.astype(float), np.zeros(3), math.inf).fitted(points, inner)
    step = nice_step(min(panel.width, panel.height) / view.scale / 5.5)
    for axis in (0, 1):
        _draw_grid_lines(panel, view, axis, step)
    return view, step


def _draw_grid_lines(panel: Canvas, view: _View, axis: int, step: float) -> None:
    """Grid lines across one screen axis of a parallel view, with their world coordinates at the panel's edge."""
    length = panel.width if axis == 0 else panel.height
    world_axis = int(np.abs(view.screen_from_world[axis]).argmax())
    sign = float(view.screen_from_world[axis, world_axis])
    ends = sorted(sign * (place - view.offset[axis]) / view.scale for place in (0, length))
    for value in steps(math.ceil(ends[0] / step) * step, ends[1], step):
        place = view.offset[axis] + sign * value * view.scale
        line = panel.box.corners[[0, 3]] if axis == 0 else panel.box.corners[[0, 1]]
        line[:, axis] = place
        panel.line(line, AXIS if abs(value) < 1e-6 * step else GRID, 1.0)
        pad = panel.unit * 4
        corner = (place + pad, panel.height - pad) if axis == 0 else (pad, place - pad)
        if panel.unit * 36 < place < length - panel.unit * 36:
            panel.text(f"{round(value / step) * step:.6g}", corner, QUIET, 10)


def _draw_track(panel: Canvas, view: _View, track: _Track) -> None:
    """Frusta, then the line, which brightens along time."""
    last = len(track.center) - 1
    for frame, frustum in zip(track.frames, track.frusta, strict=True):
        is_end = frame in (0, last)
        _draw_frustum(panel, view(frustum), mixed(track.colour, PANEL, 0.85 if is_end else 0.5), is_end)
    pixels = view(track.center)
    if last:
        for frame in range(last):
            colour = mixed(track.colour, PANEL, 0.55 + 0.45 * (frame + 1) / last)
            panel.line(pixels[frame : frame + 2], colour, track.width)


def _draw_frustum(panel: Canvas, points: Pixels, colour: Colour, is_end: bool) -> None:
    """A pyramid from apex, image corners and roof [6, 2], its image plane tinted."""
    apex, corners, roof = points[0], points[1:5], points[5]
    width = 1.6 if is_end else 1.1
    panel.polygon(corners, colour, 0.22 if is_end else 0.08)
    for corner in corners:
        panel.line(np.stack((apex, corner)), colour, width)
    panel.line(np.concatenate((corners, corners[:1])), colour, width)
    left, right = 0.7 * corners[:2] + 0.3 * corners[1::-1]
    panel.line(np.stack((left, roof, right)), colour, width)


def _draw_ends(panel: Canvas, view: _View, track: _Track, radius: float) -> None:
    """A dot at the start, whose radius tells paths apart that start at one place, and a diamond at the end."""
    start, end = view(track.center[[0, -1]])
    panel.disc(start, radius + 1.0, PANEL)
    panel.disc(start, radius, track.colour)
    for reach, colour in ((8.5, PANEL), (6.5, track.colour), (2.8, TEXT)):
        panel.polygon(_diamond(end, reach * panel.unit), colour)


def _diamond(center: Pixels, reach: float) -> Pixels:
    return center + reach * np.array([[0, -1], [1, 0], [0, 1], [-1, 0]])


def _draw_frame_numbers(panel: Canvas, view: _View, track: _Track) -> None:
    """Frame numbers on dark tags beside the path, at the frames of its frusta, where they do not crowd each other."""
    taken: list[Pixels] = []
    unit = panel.unit
    for frame in (track.frames[-1], *track.frames[:-1]):
        place = view(track.center[frame]) + unit * np.array([10, 4])
        if all(np.abs(place - other).max() > unit * 22 for other in taken):
            width = panel.text_width(str(frame), 10.5) + 4 * unit
            panel.polygon(Box(place[0] - 2 * unit, place[1] - 10 * unit, width, 13 * unit).corners, PANEL, 0.7)
            panel.text(str(frame), (place[0], place[1]), TEXT, 10.5)
            taken.append(place)


def _draw_caption(panel: Canvas, name: str, grid: str) -> None:
    """The panel's axes at its left upper corner, the grid's step to the right; below in the perspective."""
    axes = {"top": "top   x right, z up", "side": "side   z right, y down", "perspective": ""}[name]
    pad = panel.unit * 12
    line = panel.unit * 20 if axes else panel.height - pad
    panel.text(axes, (pad, line), TEXT, 12)
    panel.text(grid, (panel.width - panel.text_width(grid, 11) - pad, line), QUIET, 11)


def _draw_legend(panel: Canvas, trajectories: Mapping[str, Trajectory]) -> None:
    """Names with what each path does, and the key to the marks."""
    line, left, unit = panel.unit * 24, panel.unit * 14, panel.unit
    for number, (name, trajectory) in enumerate(trajectories.items()):
        swatch = np.array([[left, line - unit * 4], [left + unit * 24, line - unit * 4]])
        panel.line(swatch, PALETTE[number % len(PALETTE)], max(4.0 - 1.6 * number, 2.0))
        words, facts = _shortened(panel, name, panel.width * 0.45), _facts(trajectory)
        place = left + unit * 50 + panel.text(words, (left + unit * 34, line), TEXT, 14)
        if place + panel.text_width(facts, 11.5) < panel.width:
            panel.text(facts, (place, line), QUIET, 11.5)
        line += unit * 23
    _draw_key(panel)


def _draw_key(panel: Canvas) -> None:
    unit, place, bottom = panel.unit, panel.unit * 20, panel.height - panel.unit * 12
    panel.disc(np.array([place, bottom - unit * 4]), 5.0, QUIET)
    place += unit * 12
    place += panel.text("start", (place, bottom), QUIET, 11) + unit * 20
    end = np.array([place, bottom - unit * 4])
    panel.polygon(_diamond(end, unit * 6.5), QUIET)
    panel.polygon(_diamond(end, unit * 2.8), TEXT)
    panel.text("end", (place + unit * 12, bottom), QUIET, 11)


def _facts(trajectory: Trajectory) -> str:
    length, turn = float(trajectory.path_length), math.degrees(float(trajectory.turn))
    return f"{len(trajectory)} frames, {length:.3g} {trajectory.unit}, turns {turn:.3g} deg"


def _shortened(canvas: Canvas, words: str, width: float) -> str:
    while len(words) > 4 and canvas.text_width(words, 14) > width:
        words = words[:-4] + "..."
    return words


def _check_curves(title: str, curves: Mapping[str, Tensor]) -> None:
    if not curves:
        raise ValueError(f"the panel {title!r} has no curve")
    for name, curve in curves.items():
        if curve.ndim != 1 or not len(curve):
            raise ValueError(f"the curve {name!r} needs one value per frame [F], got {list(curve.shape)}")


def _draw_curve_panel(panel: Canvas, title: str, curves: Mapping[str, Tensor]) -> None:
    plot = panel.box.inset(panel.unit * 62, panel.unit * 38, panel.unit * 20, panel.unit * 30)
    low, high, step = _value_range(curves)
    frames = max(len(curve) for curve in curves.values())
    _draw_scales(panel, plot, (low, high, step), frames)
    for number, curve in enumerate(curves.values()):
        share = (high - curve) / (high - low)
        place = torch.arange(len(curve), dtype=torch.float64) / max(frames - 1, 1)
        points = torch.stack((plot.left + plot.width * place, plot.top + plot.height * share), dim=-1).numpy()
        _draw_curve(panel, points, PALETTE[number % len(PALETTE)])
    _draw_curve_legend(panel, title, curves)


def _draw_scales(panel: Canvas, plot: Box, value_range: tuple[float, float, float], frames: int) -> None:
    """Grid lines with their values to the left and frame numbers below."""
    low, high, step = value_range
    unit, size = panel.unit, 10.5
    for value in steps(low, high, step):
        line = plot.top + plot.height * (high - value) / (high - low)
        panel.line(np.array([[plot.left, line], [plot.left + plot.width, line]]), GRID, 1.0)
        words = f"{round(value / step) * step:.6g}"
        panel.text(words, (plot.left - panel.text_width(words, size) - unit * 8, line + unit * 4), QUIET, size)
    for frame in _frame_ticks(frames, plot.width / unit):
        place = plot.left + plot.width * frame / max(frames - 1, 1)
        panel.line(np.array([[place, plot.top], [place, plot.top + plot.height]]), GRID, 1.0)
        left = place - panel.text_width(str(frame), size) / 2
        panel.text(str(frame), (left, plot.top + plot.height + unit * 18), QUIET, size)


def _draw_curve(panel: Canvas, points: Pixels, colour: Colour) -> None:
    """A line through points [F, 2], broken where a value is not finite; a lone point is a dot."""
    finite = np.isfinite(points).all(-1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], finite, [False])).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first == 1:
            panel.disc(points[first], 3.0, colour)
        else:
            panel.line(points[first:last], colour, 2.2)


def _draw_curve_legend(panel: Canvas, title: str, curves: Mapping[str, Tensor]) -> None:
    line, place, unit = panel.unit * 24, panel.unit * 14, panel.unit
    place += panel.text(title, (place, line), TEXT, 14) + unit * 30
    for number, (name, curve) in enumerate(curves.items()):
        finite = curve[curve.isfinite()]
        words = f"{name}   mean {float(finite.mean()):.4g}" if len(finite) else f"{name}   no value"
        swatch = np.array([[place, line - unit * 4], [place + unit * 22, line - unit * 4]])
        panel.line(swatch, PALETTE[number % len(PALETTE)], 2.6)
        place += unit * 30
        place += panel.text(words, (place, line), QUIET, 12) + unit * 24


def _value_range(curves: Mapping[str, Tensor]) -> tuple[float, float, float]:
    """Low end, high end and step of the scale: from zero unless the values lie far from it and differ."""
    values = torch.cat(list(curves.values()))
    values = values[values.isfinite()]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if low >= 0 and (low < 0.6 * high or high - low < _LEVEL * high):
        low = 0.0
    spread = high - low or abs(high) or 1.0
    step = nice_step(spread / 4)
    low = math.floor(low / step + 1e-9) * step
    return low, max(math.ceil(high / step - 1e-9) * step, low + step), step


def _frame_ticks(frames: int, width: float) -> list[int]:
    """Frame numbers for the scale, at least 50 design points apart."""
    step = max(int(nice_step(max(frames - 1, 1) / max(width / 50, 1))), 1)
    return list(range(0, frames, step))


def _cells(video: Tensor, frames: int) -> list[tuple[str, Pixels]]:
    """(label, uint8 [H, W, 3]) of evenly spaced frames of a video [3, F, H, W]."""
    if video.ndim != 4 or video.shape[0] != 3 or not video.is_floating_point() or not video.shape[1]:
        raise ValueError(f"a sheet needs videos [3, F, H, W] in [-1, 1], got {video.dtype} {list(video.shape)}")
    if frames < 1:
        raise ValueError(f"a sheet needs at least 1 frame, got {frames}")
    chosen = sorted({round(f) for f in np.linspace(0, video.shape[1] - 1, min(frames, video.shape[1]))})
    images = ((video[:, chosen].detach().float().clamp(-1, 1) + 1) * 127.5).round().to("cpu", torch.uint8)
    return [(str(frame), image.numpy()) for frame, image in zip(chosen, images.permute(1, 2, 3, 0), strict=True)]


def _sheet(rows: Mapping[str, Sequence[tuple[str, Pixels]]], cell_width: int) -> Tensor:
    """Rows of labelled pictures; the name of each is written above it."""
    if not rows:
        raise ValueError("no video to show")
    if cell_width < 32:
        raise ValueError(f"a picture of a sheet needs a width of at least 32 pixels, got {cell_width}")
    gap, strip = 8, 28
    first = next(iter(rows.values()))[0][1]
    cell_height = max(round(cell_width * first.shape[0] / first.shape[1]), 32)
    heads = [strip if name else 0 for name in rows]
    height = gap + sum(head + cell_height + gap for head in heads)
    width = gap + max(map(len, rows.values())) * (cell_width + gap)
    canvas = Canvas(np.full((height, width, 3), BACKGROUND, np.uint8), 1, 1.0)
    top = gap
    for head, (name, cells) in zip(heads, rows.items(), strict=True):
        if head:
            canvas.text(name, (gap + 2, top + strip - 11), TEXT, 16)
        top += head
        for column, (label, image) in enumerate(cells):
            _place_cell(canvas, image, label, Box(gap + column * (cell_width + gap), top, cell_width, cell_height))
        top += cell_height + gap
    return torch.from_numpy(canvas.pixels)


def _place_cell(canvas: Canvas, image: Pixels, label: str, box: Box) -> None:
    """A picture in the middle of its box, as large as fits, with its label on a dark tag in the lower left corner."""
    cv2 = load_opencv()
    factor = min(box.width / image.shape[1], box.height / image.shape[0])
    size = (max(round(factor * image.shape[1]), 1), max(round(factor * image.shape[0]), 1))
    fitted = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    canvas.polygon(box.corners, PANEL)
    left, top = int(box.left + (box.width - size[0]) // 2), int(box.top + (box.height - size[1]) // 2)
    canvas.pixels[top : top + size[1], left : left + size[0]] = fitted
    bottom = top + size[1]
    tag = Box(left, bottom - 19, canvas.text_width(label, 13) + 12, 19)
    canvas.polygon(tag.corners, BACKGROUND, 0.72)
    canvas.text(label, (left + 6, bottom - 5), TEXT, 13)

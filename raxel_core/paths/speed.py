"""How fast a plan runs over the clip: a graph of speed whose area is the way that is done.

The graph joins points (time, speed) by straight lines and is level before the first and after the last. Speeds count
against each other only: the whole path always takes the whole clip.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..strict_json import check_list, check_number, shown

MOST_SPEED_POINTS = 256
POINT_SPACING = 1e-6
LARGEST_SPEED = 1000.0
# A graph with less area than this under it stands still.
_SMALLEST_AREA = 1e-6

SpeedGraph = tuple[tuple[float, float], ...]


def check_speed_graph(noun: str, value: Any) -> SpeedGraph:
    """The points of a speed graph, (share of the clip, speed from 0 to 1000) in order of time; ValueError otherwise."""
    points = tuple(
        _checked_point(f"{noun}[{n}]", point) for n, point in enumerate(check_list(noun, value, MOST_SPEED_POINTS))
    )
    for number, (before, after) in enumerate(zip(points[:-1], points[1:], strict=True), start=1):
        if after[0] - before[0] < POINT_SPACING:
            spacing = f"at least {POINT_SPACING:g} later than that of the point before it"
            raise ValueError(f"{noun}[{number}]: time is {spacing}, got {after[0]:g}")
    if points and float(_areas(*_whole(points))[-1]) < _SMALLEST_AREA:
        raise ValueError(f"{noun} stands still all the time: some point has a speed above 0")
    return points


def _checked_point(noun: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"{noun} is a list of 2 numbers, time and speed, got {shown(value)}")
    return check_number(f"{noun}: time", value[0], 0.0, 1.0), check_number(
        f"{noun}: speed", value[1], 0.0, LARGEST_SPEED
    )


def progress_along(graph: SpeedGraph, time: Tensor) -> Tensor:
    """The share [F] of the path that is done at `time` [F], shares of the clip; without points they are the same."""
    if not graph:
        return time
    times, speeds = _whole(graph)
    areas = _areas(times, speeds)
    index = (torch.searchsorted(times, time, right=True) - 1).clamp(0, len(times) - 2)
    since = time - times[index]
    gain = (speeds[index + 1] - speeds[index]) / (times[index + 1] - times[index])
    done = (areas[index] + since * (speeds[index] + 0.5 * gain * since)) / areas[-1]
    # The end itself, whatever the rounding: a hold jumps there.
    return torch.where(time >= 1.0, 1.0, done.clamp(0.0, 1.0))


def _whole(graph: SpeedGraph) -> tuple[Tensor, Tensor]:
    """Times and speeds [N] of the graph from the beginning of the clip to its end, float64."""
    first = () if graph[0][0] == 0.0 else ((0.0, graph[0][1]),)
    last = () if graph[-1][0] == 1.0 else ((1.0, graph[-1][1]),)
    times, speeds = torch.tensor([*first, *graph, *last], dtype=torch.float64).unbind(-1)
    return times.contiguous(), speeds


def _areas(times: Tensor, speeds: Tensor) -> Tensor:
    """The area [N] under the graph up to each of its points."""
    pieces = 0.5 * (speeds[1:] + speeds[:-1]) * times.diff()
    return torch.cat((pieces.new_zeros(1), pieces.cumsum(0)))

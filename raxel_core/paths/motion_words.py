"""What a trajectory does, in words. A name does not tell: one program's orbit to the left is the next one's right."""

from __future__ import annotations

from math import degrees

import torch
from torch import Tensor

from ..geometry.trajectory import Trajectory
from .path_figures import pan_tilt_roll

# What is left out: moves along an axis of less than this share of the farthest the camera gets, and smaller turns.
_LEAST_SHARE = 0.05
_LEAST_DEGREES = 0.5
# A camera whose centre keeps within this share of its coordinates (or of 1) stands still.
_STILL = 1e-6
# A move that ends below this share of its largest value comes back.
_KEPT = 0.8
_TRANSLATIONS = (("trucks", "right", "left"), ("moves", "down", "up"), ("dollies", "forward", "backward"))
_ROTATIONS = (("pans", "right", "left"), ("tilts", "up", "down"), ("rolls", "clockwise", "counter-clockwise"))


def motion_in_words(trajectory: Trajectory) -> str:
    """One sentence on what the camera does, seen from the first camera: which way and how far it moves, turns, zooms.

    Lengths are in the path's unit, angles in degrees, directions those of the camera (OpenCV axes: +x right, +y down,
    +z forward; pan, tilt and roll as in `path_figures.pan_tilt_roll`), not of what the picture seems to do. Moves below
    5 percent of the farthest distance and turns below half a degree are left out. For every valid trajectory.
    """
    camera = trajectory.relative_to(0).camera.to("cpu", torch.float64)
    reach = float(torch.linalg.vector_norm(camera.center, dim=-1).max())
    still = _STILL * max(1.0, float(trajectory.camera.center.abs().max()))
    least = _LEAST_SHARE * reach if reach > still else float("inf")
    moves = [
        _phrase(values, least, "", *words)
        for values, words in zip(camera.center.unbind(-1), _TRANSLATIONS, strict=True)
    ]
    angles = pan_tilt_roll(trajectory).rad2deg().unbind(-1)
    turns = [
        _phrase(values, _LEAST_DEGREES, " degrees", *words) for values, words in zip(angles, _ROTATIONS, strict=True)
    ]
    found = [phrase for phrase in (*moves, *turns, _zoom(trajectory)) if phrase]
    if not found:
        return "The camera stands still."
    listed = found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
    return f"The camera {listed}{f' (lengths in {trajectory.unit})' if any(moves) else ''}."


def _phrase(values: Tensor, least: float, unit: str, verb: str, positive: str, negative: str) -> str:
    """What one coordinate [F], 0 at the start, does; "" where it stays within `least`."""
    ways = {positive: float(values.max()), negative: -float(values.min())}
    ways = {way: amount for way, amount in ways.items() if amount > least}
    if not ways:
        return ""
    if len(ways) == 2:
        between = " and ".join(f"{amount:.3g}{unit} {way}" for way, amount in ways.items())
        return f"{verb} between {between}"
    way, amount = next(iter(ways.items()))
    last = abs(float(values[-1]))
    back = "" if last > _KEPT * amount else f" and back to {last if last > 1e-3 * amount else 0.0:.3g}{unit}"
    return f"{verb} {way} by {amount:.3g}{unit}{back}"


def _zoom(trajectory: Trajectory) -> str:
    fov = trajectory.camera.fov[:, 0].double()
    first, last = degrees(float(fov[0])), degrees(float(fov[-1]))
    if abs(last - first) < _LEAST_DEGREES:
        return ""
    return f"zooms {'in' if last < first else 'out'} from {first:.3g} to {last:.3g} degrees of view"

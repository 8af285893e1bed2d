"""One sentence on what the joint model found in footage and how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..geometry import se3
from ..geometry.estimate import Estimate
from .stillness import WIDTH

# How many standard deviations tell a motion from none.
_TOLD = 2.0
_UNITS = {"metre": "m", "near_depth": "near depths", "arbitrary": "of its own arbitrary unit"}


def still_sentence(pixels: float, imagined: Estimate) -> str:
    """Of a camera that stood still by the pictures, whatever the model `imagined`."""
    turn, away = farthest(imagined)
    return (
        f"The camera did not move: the scene stays in place to {pixels:.2g} of {WIDTH} pixels. The model by itself "
        f"sees it turn by {_shown(math.degrees(turn))} degrees and go {_length(imagined, away)}, its error here."
    )


def moving_sentence(estimate: Estimate, outside: Sequence[str], *, filmed: bool = True) -> str:
    """Of what the model found, with its error bars, against a camera that stood still, and what speaks against it;
    only one that is known to be `filmed` is called footage to be solved."""
    turn, away = farthest(estimate)
    advice = ": solve it" if outside and filmed else ""
    return (
        f"The model sees the camera turn by {_shown(math.degrees(turn))} degrees and go {_length(estimate, away)} from "
        f"where it began, {_error_bars(estimate)}: {_against_still(estimate, turn, away)}{_doubt(outside)}{advice}."
    )


def farthest(estimate: Estimate) -> tuple[float, float]:
    """The largest angle in radians and the largest distance of a camera from the first."""
    camera = estimate.trajectory.camera
    turn = float(se3.geodesic(camera.rotation[:1], camera.rotation).max())
    return turn, float((camera.center - camera.center[:1]).norm(dim=-1).max())


def _against_still(estimate: Estimate, turn: float, away: float) -> str:
    turn_sigma, centre_sigma = estimate.rotation_sigma, estimate.centre_sigma
    if turn_sigma is None or centre_sigma is None:
        return "whether a still camera would look the same is not told"
    turned, gone = turn / max(float(turn_sigma.max()), 1e-9), away / max(float(centre_sigma.max()), 1e-9)
    if max(turned, gone) < _TOLD:
        return "within these error bars a camera that stands still would look the same"
    if gone < _TOLD:
        return f"{_times(turned)} the error bar of its turn, but a camera that stays in its place would look the same"
    return f"{_times(max(turned, gone))} the error bars, so that it did move"


def _times(sigmas: float) -> str:
    return f"{sigmas:.0f} times" if sigmas < 100.0 else "over 100 times"


def _error_bars(estimate: Estimate) -> str:
    turn, centre = estimate.rotation_sigma, estimate.centre_sigma
    if turn is None or centre is None:
        return "with unknown error bars"
    degrees = math.degrees(float(turn.max()))
    return f"within {_shown(degrees)} degrees and {_length(estimate, float(centre.max()))} (one sigma, at least)"


def _doubt(outside: Sequence[str]) -> str:
    if not outside:
        return ""
    return (
        f". The clip is outside what this checkpoint was trained on ({'; '.join(outside)}), where error bars promise "
        "nothing"
    )


def _length(estimate: Estimate, length: float) -> str:
    return f"{_shown(length)} {_UNITS[estimate.trajectory.unit]}"


def _shown(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"

"""One sentence on what was found in footage and how far to trust it."""

from __future__ import annotations

import math

from ..geometry.estimate import Estimate
from .motion import Turn

# Above this relative error the focal length is not told by the footage.
_UNTOLD_FOCAL = 0.1
# Above this share of what frames have in common that moves by itself, cameras may follow it.
_MOVING = 0.05
# A drive counts as one along the view above this cosine of the angle between the two, about 25 degrees.
_ALONG_VIEW = 0.9


def still_verdict(pixels: float, degrees: float) -> str:
    """Of a camera that stood still."""
    return (
        f"The camera did not move: the scene stays in place to {pixels:.2g} pixels, which leaves a turn of at most "
        f"{_shown(degrees)} degrees; the focal length cannot be told from it."
    )


def turning_verdict(estimate: Estimate, turn: Turn) -> str:
    """Of a camera that turned on the spot."""
    degrees = _shown(math.degrees(float(estimate.trajectory.turn)))
    lens = _zoom(estimate) or _focal(estimate)
    movers = f"; {turn.moving:.0%} of what the frames have in common moves by itself" if turn.moving >= _MOVING else ""
    return (
        f"The camera did not move from its place: it turned by {degrees} degrees in all, {_error_bars(estimate)}; no "
        f"parallax above {_shown(turn.pixels)} pixels was seen, so no path was made up{lens}{movers}."
    )


def moving_verdict(estimate: Estimate, moving: float) -> str:
    """Of a camera that moved, against one that did not; `moving` is the share of what the frames have in common that
    moves by itself."""
    trajectory = estimate.trajectory
    frames, all_frames = len(estimate.footage.frames), len(estimate.footage.frames) + len(estimate.missing)
    own = frames - len(estimate.interpolated)
    count = f"all {own} frames" if own == all_frames else f"{own} of {all_frames} frames"
    degrees, length = _shown(math.degrees(float(trajectory.turn))), _length(estimate, float(trajectory.path_length))
    return (
        f"The camera moved: {count} have a camera of their own, it turned by {degrees} degrees and drove {length} in "
        f"all, {_error_bars(estimate)}{_focal(estimate)}{_dolly_zoom(estimate)}{_crowd(moving)}{_loose(estimate)}."
    )


def _dolly_zoom(estimate: Estimate) -> str:
    """What no picture tells of a drive along the view whose focal length the motion leaves open.

    With focal length f, a point at X, Z and a drive of d, 1 / x = (Z - d) / (f X). If the lens zooms with a drive of s
    so that a subject at Z0 keeps its size, f (Z0 - s) / Z0 in place of f, this is 1 + (Z - Z0) / (Z0 - s) times
    Z0 / (f X): the same again with d = -1 / (Z0 - s), a drive the other way past other points, all before the camera
    where those were beyond the subject.
    """
    sigma, camera = estimate.focal_sigma, estimate.trajectory.camera
    away = camera.center - camera.center[0]
    farthest = away[away.norm(dim=-1).argmax()]
    along = float(farthest @ camera.rotation[0, :, 2])
    if sigma is None or sigma <= _UNTOLD_FOCAL or abs(along) <= _ALONG_VIEW * float(farthest.norm()):
        return ""
    return "; a lens that zooms while the camera drives the other way, a dolly zoom, can look the same"


def _crowd(moving: float) -> str:
    if moving < _MOVING:
        return ""
    return (
        f"; but {moving:.0%} of what the frames have in common moves by itself, which may carry the cameras along "
        "beyond these error bars: mask it"
    )


def _loose(estimate: Estimate) -> str:
    if estimate.covariance is not None:
        return ""
    if growth := _growth(estimate):
        return (
            f"; the lens zooms by a factor of {growth:.2f} while the camera moves, which is followed roughly: "
            "do not rely on these cameras"
        )
    return (
        "; the frames do not fix these cameras, as when the lens zooms or all that is seen is far away: "
        "do not rely on them"
    )


def _error_bars(estimate: Estimate) -> str:
    """The largest error bars of all frames, as one says them."""
    turn, centre = estimate.rotation_sigma, estimate.centre_sigma
    if turn is None or centre is None:
        return "with unknown error bars"
    degrees = math.degrees(float(turn.max()))
    place = f" and {_length(estimate, float(centre.max()))}" if estimate.motion == "moving" else ""
    return f"within {_shown(degrees)} degrees{place} against the first frame (one sigma, at least)"


def _focal(estimate: Estimate) -> str:
    sigma = estimate.focal_sigma
    if sigma is None or sigma < 1e-9:
        return ""
    fov = math.degrees(float(estimate.trajectory.camera.fov[0, 0]))
    if sigma > _UNTOLD_FOCAL:
        return (
            f"; its angle of view of {fov:.0f} degrees is a guess that this motion hardly checks, the focal length "
            f"within {sigma:.0%}: give the lens"
        )
    return f"; its angle of view is {fov:.1f} degrees, the focal length within {sigma:.1%}"


def _zoom(estimate: Estimate) -> str:
    """What a lens does that zooms while the camera stands; nothing of another."""
    growth, sigma = _growth(estimate), estimate.focal_sigma
    if not growth or sigma is None:
        return ""
    fov = estimate.trajectory.camera.fov[:, 0]
    narrow, wide = (math.degrees(float(end)) for end in (fov.min(), fov.max()))
    guess = "a guess, " if sigma > _UNTOLD_FOCAL else ""
    return (
        f"; the lens zooms by a factor of {growth:.2f}, between {narrow:.0f} and {wide:.0f} degrees of view ({guess}"
        f"the focal lengths within {sigma:.1%}), which a drive towards something flat would look like too"
    )


def _growth(estimate: Estimate) -> float:
    """The longest focal length over the shortest; 0 of a lens that does not zoom."""
    focal = estimate.trajectory.camera.focal[:, 0]
    return 0.0 if bool((focal == focal[0]).all()) else float(focal.max() / focal.min())


def _length(estimate: Estimate, length: float) -> str:
    words = {"metre": "m", "near_depth": "near depths", "arbitrary": "of its own arbitrary unit"}
    return f"{_shown(length)} {words[estimate.trajectory.unit]}"


def _shown(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.1f}"

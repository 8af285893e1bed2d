"""The figures of an estimate, for machines and for people."""

from __future__ import annotations

import math
from typing import Any

from ..geometry.estimate import Estimate


def estimate_figures(estimate: Estimate) -> dict[str, Any]:
    """The figures of an estimate for machines: angles in degrees, lengths in its unit."""
    trajectory, residual = estimate.trajectory, estimate.residual_px
    turn, centre = estimate.rotation_sigma, estimate.centre_sigma
    return {
        "verdict": estimate.verdict,
        "estimator": estimate.estimator,
        "motion": estimate.motion,
        "frames": len(trajectory),
        "missing": list(estimate.missing),
        "interpolated": [estimate.footage.frames[index] for index in estimate.interpolated],
        "fps": trajectory.fps,
        "unit": trajectory.unit,
        "turn_degrees": round(math.degrees(float(trajectory.turn)), 4),
        "path_length": round(float(trajectory.path_length), 6),
        "fov_degrees": [round(math.degrees(angle), 3) for angle in trajectory.camera.fov[0].tolist()],
        "rotation_sigma_degrees": None if turn is None else round(math.degrees(float(turn.max())), 5),
        "centre_sigma": None if centre is None else round(float(centre.max()), 7),
        "focal_sigma": estimate.focal_sigma,
        "residual_px": None if residual is None else round(float(residual.nanmean()), 4),
        "points": 0 if estimate.points is None else len(estimate.points),
        "notes": list(estimate.notes),
    }

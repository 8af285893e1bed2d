"""The figures of cameras that were found in pictures, for machines and for people: of any estimator, and of raxels."""

from __future__ import annotations

import math
from typing import Any

from ..geometry.estimate import Estimate
from ..geometry.pose import RecoveredCameras
from ..geometry.trajectory import Trajectory


def path_figures(trajectory: Trajectory) -> dict[str, Any]:
    """What a path does, in figures: angles in degrees, lengths in its unit, (horizontal, vertical) angle of view of
    the first frame."""
    return {
        "frames": len(trajectory),
        "fps": trajectory.fps,
        "unit": trajectory.unit,
        "turn_degrees": round(math.degrees(float(trajectory.turn)), 4),
        "path_length": round(float(trajectory.path_length), 6),
        "fov_degrees": [round(math.degrees(angle), 3) for angle in trajectory.camera.fov[0].tolist()],
    }


def reading_figures(trajectory: Trajectory, recovered: RecoveredCameras) -> dict[str, Any]:
    """The figures of a path read from raxels, and how well its rays fit in the mean of its frames."""
    return {
        **path_figures(trajectory),
        "ray_residual": round(float(recovered.residual_rms.mean()), 6),
        "rays_that_fit": round(float(recovered.inlier_fraction.mean()), 4),
    }


def reading_figures_by_frame(trajectory: Trajectory, recovered: RecoveredCameras) -> dict[str, Any]:
    """As `reading_figures`, with lens and fit frame by frame."""
    return {
        **path_figures(trajectory),
        "fov_degrees": trajectory.camera.fov.rad2deg().tolist(),
        "ray_residual": recovered.residual_rms.tolist(),
        "rays_that_fit": recovered.inlier_fraction.tolist(),
    }


def reading_sentence(trajectory: Trajectory, recovered: RecoveredCameras) -> str:
    """The same in a few words."""
    figures = reading_figures(trajectory, recovered)
    return (
        f"{figures['frames']} cameras: turn {figures['turn_degrees']:.1f} degrees, "
        f"path {figures['path_length']:.2f} {figures['unit']}, "
        f"angle of view {figures['fov_degrees'][0]:.0f} degrees, {figures['rays_that_fit']:.0%} of the rays fit"
    )


def estimate_figures(estimate: Estimate) -> dict[str, Any]:
    """The figures of an estimate for machines: angles in degrees, lengths in its unit."""
    residual = estimate.residual_px
    turn, centre = estimate.rotation_sigma, estimate.centre_sigma
    return {
        "verdict": estimate.verdict,
        "estimator": estimate.estimator,
        "motion": estimate.motion,
        **path_figures(estimate.trajectory),
        "missing": list(estimate.missing),
        "interpolated": [estimate.footage.frames[index] for index in estimate.interpolated],
        "rotation_sigma_degrees": None if turn is None else round(math.degrees(float(turn.max())), 5),
        "centre_sigma": None if centre is None else round(float(centre.max()), 7),
        "focal_sigma": estimate.focal_sigma,
        "residual_px": None if residual is None else round(float(residual.nanmean()), 4),
        "points": 0 if estimate.points is None else len(estimate.points),
        "notes": list(estimate.notes),
    }

"""What Ray Diffusion found, as the estimate that every estimator gives, and how its samples differ."""

from __future__ import annotations

import math

from ..geometry.estimate import Estimate, Footage
from ..geometry.sparse_points import SparsePoints
from ..geometry.trajectory import Trajectory
from .checkpoint import LoadedRayDiffusion
from .photographs import PhotographCameras

ESTIMATOR = "ray_diffusion"
UNIT = "arbitrary"


def photograph_estimate(
    found: PhotographCameras,
    loaded: LoadedRayDiffusion,
    *,
    name: str = "",
    points: SparsePoints | None = None,
    notes: tuple[str, ...] = (),
) -> Estimate:
    """The cameras of photographs, one "frame" each; `points` and `notes` are added where they were found."""
    count = len(found.camera)
    return Estimate(
        Trajectory(found.camera, fps=1.0, unit=UNIT, name="ray diffusion"),
        ESTIMATOR,
        Footage(name, 0.0, 1.0, tuple(range(count))),
        "moving",
        verdict(found, loaded),
        covariance=found.covariance,
        points=points,
        notes=notes,
    )


def sample_figures(found: PhotographCameras) -> dict[str, object]:
    """What only samples and rays tell: angles in degrees, lengths in the first camera's distance to the subject."""
    return {
        "photographs": len(found.camera),
        "samples": found.samples.batch_shape[0],
        "rotation_spread_degrees": found.rotation_spread.rad2deg().tolist(),
        "center_spread": found.center_spread.tolist(),
        "rays_that_fit": found.inlier_fraction.tolist(),
    }


def points_note(kept: int, matches: int) -> str:
    """One sentence on how many matches of features fit the cameras, which no network had a hand in."""
    if not matches:
        return "The photographs have no features in common by which the cameras could be checked."
    return f"{kept} of {matches} matches of features fit these cameras."


def verdict(found: PhotographCameras, loaded: LoadedRayDiffusion) -> str:
    """One sentence on how far to trust the cameras."""
    count = found.samples.batch_shape[0]
    turn = math.degrees(float(found.rotation_spread[1:].median()))
    if count == 1:
        said = "one sample: draw several to see how certain they are"
    else:
        said = (
            f"{count} samples differ by {turn:.0f} degrees and {float(found.center_spread[1:].median()):.2f} in place"
        )
    where = (
        "trained on ray-traced scenes at 64 px, so that photographs lie outside of what it knows"
        if loaded.network.config.features == "convolution" else "trained on CO3D's objects"
    )  # fmt: skip
    return f"{len(found.camera)} cameras by {loaded.name} ({where}); {said}."

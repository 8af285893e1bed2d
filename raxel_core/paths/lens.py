"""Another lens or another picture for the same path: K changes, the cameras stay where they are."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite, pi, tan

import torch

from ..geometry.camera import check_hw
from ..geometry.trajectory import Trajectory

FITS = ("crop", "pad", "stretch")
FILM_WIDTH_MM = 36.0
"""The width of the picture that focal lengths in millimetres are told for ("full frame")."""


def change_intrinsics(
    trajectory: Trajectory,
    hw: tuple[int, int] | None = None,
    fit: str = "crop",
    *,
    fov: float | None = None,
    focal_mm: float | None = None,
) -> Trajectory:
    """The same path for pictures of `hw` (see `fit_size`), and then through another lens; None keeps what there is.

    The lens is told by its horizontal angle of view `fov` in radians (see `set_fov`) or by `focal_mm` (see
    `set_focal_mm`), in the new picture at the first frame. Raises ValueError when both are given.
    """
    if fov is not None and focal_mm is not None:
        raise ValueError("a lens is told by its angle of view or by its focal length, got both")
    if hw is not None:
        trajectory = fit_size(trajectory, hw, fit)
    if fov is not None:
        return set_fov(trajectory, fov)
    return trajectory if focal_mm is None else set_focal_mm(trajectory, focal_mm)


def fit_size(trajectory: Trajectory, hw: tuple[int, int], fit: str = "crop") -> Trajectory:
    """The same path for pictures of `hw` = (height, width), to which the old ones are fitted by one of FITS.

    "crop" scales the picture until it covers the new one and cuts off evenly what is beyond; "pad" scales it until it
    fits in and leaves even borders; "stretch" scales each axis by itself, which keeps the whole view and makes pixels
    of another shape. With the same aspect all three are one. Raises ValueError on an unknown fit or a size that is
    none.
    """
    if fit not in FITS:
        raise ValueError(f"a fit is one of {', '.join(FITS)}, got {fit!r}")
    hw, camera = check_hw(hw), trajectory.camera
    if fit == "stretch":
        return trajectory.resized(hw)
    factors = (hw[0] / camera.hw[0], hw[1] / camera.hw[1])
    factor = max(factors) if fit == "crop" else min(factors)
    K = camera.K.double() * camera.K.new_tensor((factor, factor, 1.0), dtype=torch.float64)[:, None]
    K[..., 0, 2] += 0.5 * (hw[1] - factor * camera.hw[1])
    K[..., 1, 2] += 0.5 * (hw[0] - factor * camera.hw[0])
    return replace(trajectory, camera=replace(camera, K=K.to(camera.K.dtype), hw=hw))


def set_fov(trajectory: Trajectory, fov: float) -> Trajectory:
    """The same path through a lens whose horizontal angle of view is `fov` radians at the first frame.

    All focal lengths are multiplied by one factor, so that a zoom stays a zoom and pixels keep their shape. With
    a = cx and b = w - cx, tan(fov) = w f / (f^2 - a b), which is solved for f. Raises ValueError unless 0 < fov < pi
    and the principal point lies within the picture.
    """
    if not 0.0 < fov < pi:
        raise ValueError(f"a horizontal angle of view lies between 0 and pi radians, got {fov}")
    width = trajectory.camera.hw[1]
    cx = float(trajectory.camera.principal_point[0, 0])
    if not 0.0 < cx < width:
        raise ValueError(f"the principal point lies within the picture, 0 to {width} pixels, got {cx:g}")
    half = 0.5 * width / tan(fov)
    return _multiplied(trajectory, half + (half * half + cx * (width - cx)) ** 0.5)


def set_focal_mm(trajectory: Trajectory, focal_mm: float) -> Trajectory:
    """The same path through a lens of `focal_mm` millimetres on film 36 mm wide, at the first frame.

    All focal lengths are multiplied by one factor. Raises ValueError when the length is not positive.
    """
    if not (isfinite(focal_mm) and focal_mm > 0.0):
        raise ValueError(f"a focal length in millimetres is a positive number, got {focal_mm}")
    return _multiplied(trajectory, focal_mm / FILM_WIDTH_MM * trajectory.camera.hw[1])


def _multiplied(trajectory: Trajectory, focal: float) -> Trajectory:
    """All focal lengths times the factor that makes the first fx `focal` pixels; a skew scales with them."""
    camera = trajectory.camera
    K = camera.K.double().clone()
    K[:, :2, :2] *= focal / K[0, 0, 0].item()
    return replace(trajectory, camera=replace(camera, K=K.to(camera.K.dtype)))

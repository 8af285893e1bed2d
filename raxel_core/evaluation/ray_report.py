"""What was read out of a ray map, as JSON: how it was taken, how the rays fit, and error bars per frame."""

from __future__ import annotations

import torch

from ..geometry.ray_cameras import RayCameras
from .report import to_json


def ray_report(found: RayCameras, layout: str) -> str:
    """JSON of the cameras [F] that were `found` in a map read as `layout`; angles in degrees, lengths in the map's."""
    spread = found.covariance.diagonal(dim1=-2, dim2=-1).clamp(min=0.0)
    body = {
        "layout": layout,
        "frames": len(found.camera),
        "fov_degrees": found.camera.fov.rad2deg().tolist(),
        "rays_that_fit": found.inlier_fraction.tolist(),
        "ray_angle_rms_degrees": found.angle_rms.rad2deg().tolist(),
        "ray_offset_rms": found.offset_rms.tolist(),
        "rotation_error_degrees": torch.rad2deg(spread[..., :3].sum(-1).sqrt()).tolist(),
        "center_error": spread[..., 3:6].sum(-1).sqrt().tolist(),
        "focal_error": spread[..., 6].sqrt().tolist(),
        "note": "Errors are one standard deviation by how a frame's rays differ; what all share is not seen.",
    }
    return to_json(body)

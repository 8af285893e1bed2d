"""The pack's own sockets and the words every node shares. A socket carries one core dataclass."""

from __future__ import annotations

from comfy_api.latest import io

CATEGORY = "raxel"

# A raxel_core.geometry.trajectory.Trajectory.
TrajectorySocket = io.Custom("RAXEL_TRAJECTORY")

TASK_TOOLTIP = (
    "pose: the video is given, the cameras are found. camera: the cameras are given, the video is made. "
    "joint: both are made."
)
MODEL_TOOLTIP = "A raxel checkpoint, from Load Raxel Model."
VAE_TOOLTIP = "The VAE of the checkpoint, from Load Raxel Model."
SEED_TOOLTIP = "The same seed draws the same noise, on every device."

"""Noise schedules per stream, flow samplers and guidance: the numerical core of all three tasks."""

from __future__ import annotations

from .guidance import guided
from .sampler import (
    SOLVERS,
    Denoise,
    NonFiniteLatentsError,
    Progress,
    Streams,
    check_solver,
    draw_noise,
    sample_euler,
    sample_multistep,
    solver_for,
)
from .schedule import PairSchedule, Sigmas, camera_schedule, joint_schedule, pose_schedule, shifted_sigmas

__all__ = [
    "SOLVERS",
    "Denoise",
    "NonFiniteLatentsError",
    "PairSchedule",
    "Progress",
    "Sigmas",
    "Streams",
    "camera_schedule",
    "check_solver",
    "draw_noise",
    "guided",
    "joint_schedule",
    "pose_schedule",
    "sample_euler",
    "sample_multistep",
    "shifted_sigmas",
    "solver_for",
]

"""What a trajectory does, in numbers: how far, how fast, how jerky, which way it turns, through which lens."""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees, isfinite

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.trajectory import Trajectory

# Third differences of rounded positions are noise up to 8 roundings; below that a jerk counts as none.
_ROUNDINGS_IN_A_THIRD_DIFFERENCE = 8.0


@dataclass(frozen=True)
class PathFigures:
    """The figures of one trajectory; lengths in its `unit`, speeds per second, ranges as (lowest, highest).

    `total_rotation_degrees` is the turning summed over the frames, `max_rotation_degrees` the largest angle between
    the first camera and another. `pan`, `tilt` and `roll` are those of rotation_y(pan) rotation_x(tilt)
    rotation_z(roll) seen from the first camera (to the right, upwards, clockwise when positive), pan and roll followed
    beyond half a turn. Jerk is the third derivative of the centre, and of the orientation, in time. Angles of view are
    horizontal; `focal` is fx in pixels. A speed needs two frames and a jerk four: with fewer it is 0.
    """

    frames: int
    seconds: float
    fps: float
    unit: str
    path_length: float
    distance_to_start: float
    mean_speed: float
    max_speed: float
    peak_jerk: float
    total_rotation_degrees: float
    max_rotation_degrees: float
    mean_turn_rate_degrees: float
    max_turn_rate_degrees: float
    peak_angular_jerk_degrees: float
    pan_degrees: tuple[float, float]
    tilt_degrees: tuple[float, float]
    roll_degrees: tuple[float, float]
    first_fov_degrees: float
    fov_degrees: tuple[float, float]
    focal: tuple[float, float]

    @property
    def text(self) -> str:
        """The figures as lines to read."""
        unit = "" if self.unit == "arbitrary" else f" {self.unit}"
        ranges = "  ".join(
            f"{name} {_range(getattr(self, f'{name}_degrees'), 'deg')}" for name in ("pan", "tilt", "roll")
        )
        return "\n".join(
            (
                f"{self.frames} frames, {self.seconds:.4g} s at {self.fps:g} a second, lengths in {self.unit}",
                f"path length   {self.path_length:.4g}{unit}, ends {self.distance_to_start:.4g} from its start",
                f"speed         mean {self.mean_speed:.4g}, max {self.max_speed:.4g}{unit} a second",
                f"rotation      {self.total_rotation_degrees:.4g} deg in all, "
                f"at most {self.max_rotation_degrees:.4g} deg from the first frame",
                f"turn rate     mean {self.mean_turn_rate_degrees:.4g}, "
                f"max {self.max_turn_rate_degrees:.4g} deg a second",
                f"angles        {ranges}",
                f"peak jerk     {self.peak_jerk:.4g}{unit}/s^3, {self.peak_angular_jerk_degrees:.4g} deg/s^3",
                f"lens          {_range(self.fov_degrees, 'deg')} wide, focal length {_range(self.focal, 'px')}",
            )
        )


def path_figures(trajectory: Trajectory) -> PathFigures:
    """The figures of `trajectory`, computed in float64. Raises ValueError when a camera is not valid."""
    camera = trajectory.camera.validate().to("cpu", torch.float64)
    frames, fps = len(trajectory), trajectory.fps
    seconds = (frames - 1) / fps
    step, turn = speeds(trajectory) / fps, turn_rates(trajectory) / fps
    pan, tilt, roll = pan_tilt_roll(trajectory).rad2deg().unbind(-1)
    length, total = float(step.sum()), degrees(float(turn.sum()))
    return PathFigures(
        frames=frames,
        seconds=seconds,
        fps=fps,
        unit=trajectory.unit,
        path_length=length,
        distance_to_start=float((camera.center[-1] - camera.center[0]).norm()),
        mean_speed=length / seconds if seconds else 0.0,
        max_speed=_largest(step) * fps,
        peak_jerk=_largest(jerks(trajectory)),
        total_rotation_degrees=total,
        max_rotation_degrees=degrees(float(se3.geodesic(camera.rotation[:1], camera.rotation).max())),
        mean_turn_rate_degrees=total / seconds if seconds else 0.0,
        max_turn_rate_degrees=degrees(_largest(turn)) * fps,
        peak_angular_jerk_degrees=degrees(_largest(angular_jerks(trajectory))),
        pan_degrees=_ends(pan),
        tilt_degrees=_ends(tilt),
        roll_degrees=_ends(roll),
        first_fov_degrees=degrees(float(camera.fov[0, 0])),
        fov_degrees=_ends(camera.fov[:, 0].rad2deg()),
        focal=_ends(camera.focal[:, 0]),
    )


def speeds(trajectory: Trajectory) -> Tensor:
    """How fast the centre moves from each frame to the next [F - 1], in unit a second."""
    center = trajectory.camera.center.double()
    return torch.linalg.vector_norm(center.diff(dim=0), dim=-1) * trajectory.fps


def turn_rates(trajectory: Trajectory) -> Tensor:
    """How fast the camera turns from each frame to the next [F - 1], in radians a second."""
    return torch.linalg.vector_norm(_angular_velocity(trajectory), dim=-1)


def jerks(trajectory: Trajectory) -> Tensor:
    """The third difference of the centre over time [max(F - 3, 0)], in unit / s^3; rounding noise counts as zero."""
    center = trajectory.camera.center
    rounding = torch.finfo(center.dtype).eps * center.abs().max().double()
    jerk = torch.linalg.vector_norm(center.double().diff(n=3, dim=0), dim=-1)
    return _without_noise(jerk, float(rounding)) * trajectory.fps**3


def angular_jerks(trajectory: Trajectory) -> Tensor:
    """The second difference of the angular velocity over time [max(F - 3, 0)], in radians / s^3; as `jerks`."""
    velocity = _angular_velocity(trajectory) / trajectory.fps
    jerk = torch.linalg.vector_norm(velocity.diff(n=2, dim=0), dim=-1)
    return _without_noise(jerk, torch.finfo(trajectory.camera.K.dtype).eps) * trajectory.fps**3


def pan_tilt_roll(trajectory: Trajectory) -> Tensor:
    """The angles [F, 3] in radians of rotation_y(pan) rotation_x(tilt) rotation_z(roll), seen from the first camera.

    Pan and roll are continued from frame to frame beyond half a turn. Straight up and straight down pan and roll are
    one and the same turn, and their split is arbitrary.
    """
    camera = trajectory.camera.to("cpu", torch.float64)
    rotation = camera.rotation[0].mT @ camera.rotation
    pan = torch.atan2(rotation[:, 0, 2], rotation[:, 2, 2])
    tilt = torch.atan2(-rotation[:, 1, 2], torch.hypot(rotation[:, 0, 2], rotation[:, 2, 2]))
    roll = torch.atan2(rotation[:, 1, 0], rotation[:, 1, 1])
    return torch.stack((_continued(pan), tilt, _continued(roll)), dim=-1)


def _angular_velocity(trajectory: Trajectory) -> Tensor:
    """Rotation vectors from each frame to the next over time [F - 1, 3], in radians a second, in the camera's frame."""
    rotation = trajectory.camera.rotation.double()
    return se3.so3_log(rotation[:-1].mT @ rotation[1:]) * trajectory.fps


def _continued(angle: Tensor) -> Tensor:
    """Angles [F] in radians without jumps of whole turns."""
    turns = torch.round(angle.diff() / (2.0 * torch.pi))
    return angle - 2.0 * torch.pi * torch.cat((turns.new_zeros(1), turns.cumsum(0)))


def _without_noise(jerk: Tensor, rounding: float) -> Tensor:
    return torch.where(jerk > _ROUNDINGS_IN_A_THIRD_DIFFERENCE * rounding, jerk, 0.0)


def _largest(values: Tensor) -> float:
    return float(values.max()) if len(values) else 0.0


def _ends(values: Tensor) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _range(ends: tuple[float, float], unit: str) -> str:
    """One number where both ends round to it, else both."""
    low, high = (f"{end:.4g}" if isfinite(end) and abs(end) >= 5e-5 else "0" for end in ends)
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"

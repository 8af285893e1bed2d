"""Cameras as a token-wise transformer reads them: one line of sight per token of a video latent."""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees

import torch
from torch import Tensor

from ..geometry.rays import Rays, plucker_from_rays
from ..geometry.trajectory import Trajectory
from ..latents.frames import TEMPORAL_STRIDE, latent_frames, pixel_frames


def token_rays(trajectory: Trajectory, latent_hw: tuple[int, int], *, patch_hw: tuple[int, int] = (2, 2)) -> Tensor:
    """The rays [T, rows, columns, 6] = (unit direction, moment) of the tokens of a latent of `latent_hw`, in float64.

    Through the middle of each token's patch of `patch_hw` latent cells, in the frame of the path's first camera. A
    latent that patches do not divide has one more row or column of them, which reaches past the picture. Latent frame j
    takes the camera of pixel frame 4 j, the last of its group, as RayPE's released weights do. Raises ValueError when
    the path does not have 4k + 1 frames, has another aspect than the latent, or is no path of cameras.
    """
    _check_aspect(trajectory.camera.hw, latent_hw, patch_hw)
    camera = check_path(trajectory).camera.to(dtype=torch.float64)
    rows, columns = (-(-cells // patch) for cells, patch in zip(latent_hw, patch_hw, strict=True))
    covered = (
        camera.relative_to(camera[0])[::TEMPORAL_STRIDE]
        .resized(latent_hw)
        .cropped(0, 0, (rows * patch_hw[0], columns * patch_hw[1]))
    )
    lines = plucker_from_rays(Rays.from_camera(covered, (rows, columns)))
    return torch.cat((lines.direction, lines.moment), dim=-1)


def check_path(trajectory: Trajectory) -> Trajectory:
    """`trajectory` when it is a path of 4k + 1 valid cameras; ValueError that names the fault otherwise."""
    trajectory.camera.validate()
    latent_frames(len(trajectory))
    return trajectory


def check_latent_frames(trajectory: Trajectory, latent: int) -> None:
    """ValueError unless `trajectory` has the frames of a video of `latent` latent frames."""
    if len(trajectory) != pixel_frames(latent):
        raise ValueError(
            f"the camera path has {len(trajectory)} frames, but a latent of {latent} frames is a video of "
            f"{pixel_frames(latent)}: make or resample the path with that many"
        )


def in_near_depth(trajectory: Trajectory, near_depth: float | None = None) -> Trajectory:
    """The path in lengths of the scene's near depth (25th percentile of the first frame's depths, in the path's unit).

    A path that already counts in it is returned as it is. Raises ValueError when another one comes without a positive
    `near_depth`.
    """
    if trajectory.unit == "near_depth":
        return trajectory
    if not near_depth:
        raise ValueError(
            f"the camera path counts in unit {trajectory.unit!r}, but near_depth is needed: the depth of the near part "
            "of the first frame (25th percentile), in the path's unit"
        )
    return trajectory.scaled(1.0 / near_depth, unit="near_depth")


@dataclass(frozen=True)
class PathRange:
    """The largest figures of a set of camera paths: lengths in near depths, angles in radians, fov (least, most)."""

    path_length: float
    reach: float
    turn: float
    fov: tuple[float, float]


# Measured on the 100 example paths in RayPE's public repository (TencentARC/SCoPE, 449343d), 81 frames each: the range
# that its authors show, not the one they trained on. Their angles of view are 60.8 to 105 degrees.
RAYPE_EXAMPLES = PathRange(path_length=3.10, reach=2.95, turn=3.223, fov=(1.061, 1.833))
# Moments below the released weights' least one are none.
_STILL = 1e-6


def range_warnings(trajectory: Trajectory, shown: PathRange = RAYPE_EXAMPLES) -> list[str]:
    """What of a path in near depths lies beyond the paths in `shown`, a sentence each; empty where nothing does."""
    camera = trajectory.camera
    reach = float(torch.linalg.vector_norm(camera.center - camera.center[0], dim=-1).amax())
    length, turn, fov = float(trajectory.path_length), float(trajectory.turn), camera.fov[:, 0]
    found = []
    if reach <= _STILL:
        found.append("The camera stays at its first position: its rays have directions but no moments.")
    if length > 1.01 * shown.path_length or reach > 1.01 * shown.reach:
        found.append(
            f"The camera travels {length:.2f} near depths and gets {reach:.2f} away; the authors' examples go to "
            f"{shown.path_length:.2f} and {shown.reach:.2f}."
        )
    if turn > 1.01 * shown.turn:
        found.append(
            f"The camera turns {degrees(turn):.0f} degrees in all; the authors' examples go to "
            f"{degrees(shown.turn):.0f}."
        )
    least, most = degrees(float(fov.amin())), degrees(float(fov.amax()))
    if least < 0.99 * degrees(shown.fov[0]) or most > 1.01 * degrees(shown.fov[1]):
        low, high = (degrees(angle) for angle in shown.fov)
        found.append(
            f"The horizontal angle of view is {least:.0f} to {most:.0f} degrees; the authors' examples have "
            f"{low:.0f} to {high:.0f}."
        )
    if most - least > 0.5:
        found.append("The angle of view changes along the path; in the authors' examples it never does.")
    return found


def _check_aspect(hw: tuple[int, int], latent_hw: tuple[int, int], patch_hw: tuple[int, int]) -> None:
    """ValueError unless pictures of `hw` fill a latent of `latent_hw` cells, but for less than a token or 1 percent."""
    width_in_cells = hw[1] * latent_hw[0] / hw[0]
    if abs(width_in_cells - latent_hw[1]) >= max(patch_hw[1], 0.01 * latent_hw[1]):
        raise ValueError(
            f"the camera path is for pictures of {hw[1]}x{hw[0]} pixels, {hw[1] / hw[0]:.3f} times as wide as high, "
            f"but the latent of {latent_hw[1]}x{latent_hw[0]} cells is {latent_hw[1] / latent_hw[0]:.3f} times: make "
            "the path with the size of the video"
        )

"""What no camera does: rates, places and angles of view that a damaged or misread file gives."""

from __future__ import annotations

import torch

from ..geometry.trajectory import Trajectory

# Slower and faster than any film; farther than any scene, in whatever unit; longer than any telescope's lens and
# shorter than any fisheye's, in widths of the picture.
SLOWEST, FASTEST = 1.0, 1000.0
FARTHEST = 1e7
SHORTEST_FOCAL, LONGEST_FOCAL = 0.02, 500.0


def doubts(trajectory: Trajectory) -> tuple[str, ...]:
    """A sentence for each number of a trajectory that is hardly meant."""
    camera, found = trajectory.camera, []
    if not SLOWEST <= trajectory.fps <= FASTEST:
        found.append(
            f"{trajectory.fps:.6g} frames a second is not a rate that films have: the file's times may be misread, "
            "--fps gives the right one"
        )
    farthest = float(camera.center.abs().amax())
    if farthest > FARTHEST:
        found.append(f"a camera stands {farthest:.3g} from the origin, farther than any scene reaches")
    focal = torch.stack((camera.K[..., 0, 0], camera.K[..., 1, 1])) / camera.hw[1]
    for value in (float(focal.amin()), float(focal.amax())):
        if not SHORTEST_FOCAL <= value <= LONGEST_FOCAL:
            found.append(f"a focal length is {value:.3g} widths of the picture, which no lens has")
    return tuple(dict.fromkeys(found))

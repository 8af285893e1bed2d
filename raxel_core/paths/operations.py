"""The algebra of trajectories: joined, mixed, turned round, cut, retimed and laid over each other.

Re-anchoring to a frame, scaling and plain resampling are methods of `Trajectory`; alignment is in `align`, smoothing in
`smoothing`, lenses and picture sizes in `lens`. Everything is computed in float64 and given back in the dtype of its
input; fps, unit and name stay those of the (first) input.
"""

from __future__ import annotations

from dataclasses import replace
from math import degrees, isfinite, pi

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.trajectory import Trajectory

SPEEDS = ("constant", "kept")

# Cameras turned further apart than this are too near to half a turn, where there is no telling which way round to go.
_LARGEST_TURN = 0.75 * pi
# Frame numbers that rounding moves by less than this count as the same moment.
_SAME_MOMENT = 1e-6


def concatenate(first: Trajectory, second: Trajectory, *, overlap: int = 1, keep_world: bool = False) -> Trajectory:
    """`first`, then `second`, which share `overlap` frames: F + G - overlap in all.

    `second` is moved so that its first camera stands on the camera of `first` where the shared frames begin;
    `keep_world` leaves it where it is. Over the shared frames one path fades into the other (see `blend`), so that one
    shared frame is a plain join without a frame shown twice, and a longer one rounds the corner. Raises ValueError when
    unit, fps or size differ, when more frames are shared than the shorter path has, or when the cameras of a shared
    frame look more than 135 degrees apart.
    """
    first, second = _matched(first, second, "join")
    if first.fps != second.fps:
        raise ValueError(f"paths to join are played at one rate, got {first.fps:g} and {second.fps:g} frames a second")
    shortest = min(len(first), len(second))
    if not 0 <= overlap <= shortest:
        raise ValueError(f"the paths can share 0 to {shortest} frames, got {overlap}")
    start = len(first) - overlap
    if not keep_world:
        second = placed(second, first[min(start, len(first) - 1)])
    parts = [first.camera[:start], second.camera[overlap:]]
    if overlap:
        share = torch.arange(1, overlap + 1, dtype=torch.float64) / (overlap + 1)
        parts.insert(1, _mixed(first.camera[start:], second.camera[:overlap], _smooth(share)))
    return replace(first, camera=_joined(parts))


def blend(first: Trajectory, second: Trajectory, *, start: float = 0.5, end: float = 0.5) -> Trajectory:
    """Each frame a share of the way from `first` to `second` on the screw between their cameras; K linearly.

    The share is `start` at the first frame and `end` at the last, and goes smoothly (3 s^2 - 2 s^3) from one to the
    other, so that 0 and 1 fade from one path to the other. Raises ValueError when units, sizes or frame counts differ,
    a share lies outside [0, 1], or two cameras look more than 135 degrees apart.
    """
    first, second = _matched(first, second, "blend")
    if len(first) != len(second):
        raise ValueError(
            f"paths to blend have the same number of frames, got {len(first)} and {len(second)}: retime one of them"
        )
    for share in (start, end):
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"a share of the second path lies between 0 and 1, got {share}")
    progress = _smooth(torch.linspace(0.0, 1.0, len(first), dtype=torch.float64))
    return replace(first, camera=_mixed(first.camera, second.camera, start + (end - start) * progress))


def reverse(trajectory: Trajectory) -> Trajectory:
    """The path from its last camera to its first."""
    return trajectory[::-1]


def ping_pong(trajectory: Trajectory) -> Trajectory:
    """The path there and back again, 2 F - 1 frames: the turning point is shown once, the last camera is the first."""
    frames = list(range(len(trajectory)))
    return replace(trajectory, camera=trajectory.camera[frames + frames[-2::-1]])


def trim(trajectory: Trajectory, first: int = 0, last: int = -1) -> Trajectory:
    """The frames `first` to `last`, both kept; negative numbers count from the end, -1 is the last frame.

    Raises ValueError when a frame is not there or `last` comes before `first`.
    """
    begin, end = check_frame(trajectory, first), check_frame(trajectory, last)
    if end < begin:
        raise ValueError(f"the last frame kept comes after the first, got {begin} to {end}")
    return trajectory[begin : end + 1]


def reanchor(trajectory: Trajectory, frame: int = 0) -> Trajectory:
    """The same path in the frame of its camera number `frame`, negative from the end, which becomes the identity."""
    return trajectory.relative_to(check_frame(trajectory, frame))


def placed(trajectory: Trajectory, camera: Camera) -> Trajectory:
    """The same path moved as a whole so that its first camera stands where `camera` does and looks the same way."""
    motions = trajectory.camera.world_from_cam.double()
    moved = camera.world_from_cam.double() @ se3.relative(motions[0], motions)
    return replace(trajectory, camera=replace(trajectory.camera, world_from_cam=moved.to(camera.K.dtype)))


def retime(
    trajectory: Trajectory, frames: int, *, speed: str = "constant", depth: float = 1.0, fps: float | None = None
) -> Trajectory:
    """The same path in `frames` frames, from its first camera to its last, played at `fps` (None: its own).

    `speed` "kept" spaces the frames evenly in time, so that the path speeds up and slows down where it did; "constant"
    spaces them evenly along the path. The speed is then that of the picture of a subject at `depth`, a distance in the
    path's unit: the length of a step is sqrt(|v|^2 + depth^2 |omega|^2 + depth^2 (d log f)^2), with (omega, v) the
    twist of the screw between neighbouring cameras (|v| is the distance travelled along it, omega in radians) and f the
    focal length. So a turn by one radian counts as a drive by `depth`. Raises ValueError for fewer than one frame, an
    unknown speed, or a depth or fps that is not positive.
    """
    if speed not in SPEEDS:
        raise ValueError(f"a speed is one of {', '.join(SPEEDS)}, got {speed!r}")
    if fps is not None:
        trajectory = replace(trajectory, fps=fps)
    if speed == "kept" or frames < 1:
        return trajectory.resampled(frames)
    steps = step_lengths(trajectory, depth=depth)
    travelled = torch.cat((steps.new_zeros(1), steps.cumsum(0)))
    wanted = torch.linspace(0.0, 1.0, frames, dtype=torch.float64, device=steps.device) * travelled[-1]
    before = (torch.searchsorted(travelled, wanted, right=True) - 1).clamp(0, max(len(steps) - 1, 0))
    step = steps[before] if len(steps) else torch.zeros_like(wanted)
    share = ((wanted - travelled[before]) / torch.where(step > 0.0, step, 1.0)).clamp(0.0, 1.0)
    return trajectory.sampled(before + share)


def step_lengths(trajectory: Trajectory, *, depth: float = 1.0) -> Tensor:
    """How far the picture of a subject at `depth` moves between neighbouring frames [F - 1], in unit; see `retime`."""
    if not 0.0 < depth < float("inf"):
        raise ValueError(f"a depth is a positive number, got {depth}")
    camera = trajectory.camera.to(dtype=torch.float64)
    twist = se3.log(se3.relative(camera.world_from_cam[:-1], camera.world_from_cam[1:]))
    zoom = camera.focal[:, :1].log().diff(dim=0)
    return torch.cat((twist[:, 3:], depth * twist[:, :3], depth * zoom), dim=-1).norm(dim=-1)


def compose(trajectory: Trajectory, layer: Trajectory, *, amount: float = 1.0) -> Trajectory:
    """The path with the motion of `layer` on top: world_from_cam @ (the layer's cameras seen from its first)^amount.

    Each camera is moved in its own frame, so that a hand's shake taken from a file shakes whatever it is laid on;
    focal lengths are multiplied by the layer's, against its first. The layer is read by the clock, in seconds, at its
    own fps. `amount` 0.5 makes half of each of its motions, negative ones turn it round. Raises ValueError when units
    differ, when the layer is shorter than the path, when the amount is not finite, or when a part is taken of a turn
    by more than 135 degrees.
    """
    _check_units(trajectory, layer, "lay over each other")
    if not isfinite(amount):
        raise ValueError(f"an amount is a finite number, got {amount}")
    moments = torch.arange(len(trajectory), dtype=torch.float64) * (layer.fps / trajectory.fps)
    if float(moments[-1]) > len(layer) - 1 + _SAME_MOMENT:
        lasts, needed = (len(layer) - 1) / layer.fps, (len(trajectory) - 1) / trajectory.fps
        raise ValueError(f"a layer lasts as long as the path, {needed:g} seconds, got one of {lasts:g}")
    base = trajectory.camera.to(dtype=torch.float64)
    precise = replace(layer, camera=layer.camera.to(dtype=torch.float64))
    added = precise.sampled(moments.clamp(max=len(layer) - 1)).camera
    relative = se3.relative(added.world_from_cam[0], added.world_from_cam)
    if amount != round(amount):  # a motion can be repeated and undone however far it turns, but not divided
        _check_turn(relative, "seen from the layer's first camera, of which a part is taken")
    relative = se3.exp(amount * se3.log(relative))
    K = base.K.clone()
    K[:, :2, :2] *= ((added.focal / added.focal[0]) ** amount)[..., None]
    camera = Camera(base.world_from_cam @ relative, K, base.hw).to(dtype=trajectory.camera.K.dtype)
    return replace(trajectory, camera=camera)


def check_frame(trajectory: Trajectory, frame: int) -> int:
    """The number of a frame that is there, negative ones counted from the end; ValueError otherwise."""
    count = len(trajectory)
    if not -count <= frame < count:
        raise ValueError(f"the path has the frames 0 to {count - 1} (-1 is the last), got {frame}")
    return frame % count


def _matched(first: Trajectory, second: Trajectory, verb: str) -> tuple[Trajectory, Trajectory]:
    """Both in the larger of their dtypes; ValueError when their units or their picture sizes differ."""
    _check_units(first, second, verb)
    if first.camera.hw != second.camera.hw:
        sizes = " and ".join(f"{path.camera.hw[1]}x{path.camera.hw[0]}" for path in (first, second))
        raise ValueError(f"paths to {verb} are for pictures of one size, got {sizes}: change the intrinsics of one")
    dtype = torch.promote_types(first.camera.K.dtype, second.camera.K.dtype)
    return tuple(replace(path, camera=path.camera.to(dtype=dtype)) for path in (first, second))  # type: ignore[return-value]


def _check_units(first: Trajectory, second: Trajectory, verb: str) -> None:
    if first.unit != second.unit:
        raise ValueError(f"paths to {verb} have one unit, got {first.unit} and {second.unit}: scale one of them")


def _mixed(first: Camera, second: Camera, share: Tensor) -> Camera:
    """`share` [F] of the way from the cameras `first` [F] to `second` [F]."""
    mixed = (share > 0.0) & (share < 1.0)
    _check_turn(se3.relative(first.world_from_cam, second.world_from_cam)[mixed], "between cameras that are mixed")
    motions = se3.interpolate(first.world_from_cam.double(), second.world_from_cam.double(), share)
    K = torch.lerp(first.K.double(), second.K.double(), share[:, None, None])
    return Camera(motions, K, first.hw).to(dtype=first.K.dtype)


def _check_turn(motions: Tensor, where: str) -> None:
    """ValueError when one of the motions [N, 4, 4] turns too far for the way to it to be told."""
    turn = torch.linalg.vector_norm(se3.so3_log(motions[:, :3, :3]), dim=-1)
    if bool((turn > _LARGEST_TURN).any()):
        raise ValueError(
            f"a turn by {degrees(float(turn.max())):.0f} "
            f"degrees {where}: beyond "
            "135 degrees it is not clear which way round it goes"
        )


def _smooth(share: Tensor) -> Tensor:
    """3 s^2 - 2 s^3: from 0 to 1 with no speed at both ends."""
    return share * share * (3.0 - 2.0 * share)


def _joined(parts: list[Camera]) -> Camera:
    """Cameras [F], [G], ... one after the other."""
    motions, intrinsics = (torch.cat([getattr(part, name) for part in parts]) for name in ("world_from_cam", "K"))
    return Camera(motions, intrinsics, parts[0].hw)

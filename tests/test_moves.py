"""The moves of film: directions by hand, ends that do not depend on the frame count, and what is no move."""

from __future__ import annotations

from math import cos, pi, radians, sin

import pytest
import torch
from torch import Tensor

from raxel_core.geometry.moves import EASINGS, MOVES, make_move


def close(a: Tensor, b: list[float] | Tensor, atol: float = 1e-6) -> None:
    torch.testing.assert_close(a, torch.as_tensor(b, dtype=a.dtype), rtol=0.0, atol=atol)


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("easing", EASINGS)
def test_a_move_does_not_depend_on_the_frame_count(move: str, easing: str) -> None:
    few, many = (make_move(move, frames, easing=easing, depth=2.0) for frames in (5, 81))
    torch.testing.assert_close(few.camera.world_from_cam, many.camera.world_from_cam[::20], rtol=0.0, atol=1e-6)
    assert torch.equal(few.camera.world_from_cam[0], torch.eye(4))
    assert torch.equal(make_move(move, 1).camera.world_from_cam[0], torch.eye(4))
    many.camera.validate()
    assert many.name == move


@pytest.mark.parametrize("move", [move for move in MOVES if move != "static"])
def test_easings_differ_in_speed_and_not_in_path(move: str) -> None:
    linear, smooth = make_move(move, 41), make_move(move, 41, easing="smooth")
    close(smooth.camera.world_from_cam[-1], linear.camera.world_from_cam[-1])
    close(smooth.camera.world_from_cam[20], linear.camera.world_from_cam[20])  # both are halfway in the middle
    # At a quarter of the time smoothstep has done 3/16 - 2/64 = 10/64 of the way: 6.25 of 40 linear steps, so that
    # frame 10 lies between the linear frames 6 and 7.
    distances = (linear.camera.world_from_cam - smooth.camera.world_from_cam[10]).flatten(1).norm(dim=-1)
    assert set(distances.topk(2, largest=False).indices.tolist()) == {6, 7}


@pytest.mark.parametrize(
    ("move", "amount", "center", "forward"),
    [
        # OpenCV axes: x right, y down, z forward.
        ("static", None, [0, 0, 0], [0, 0, 1]),
        ("pan", 0.5, [0, 0, 0], [sin(0.5), 0, cos(0.5)]),
        ("tilt", 0.5, [0, 0, 0], [0, -sin(0.5), cos(0.5)]),
        ("roll", 0.5, [0, 0, 0], [0, 0, 1]),
        ("dolly", 0.7, [0, 0, 0.7], [0, 0, 1]),
        ("truck", 0.7, [0.7, 0, 0], [0, 0, 1]),
        ("pedestal", 0.7, [0, -0.7, 0], [0, 0, 1]),
        # On a circle of radius 2 about (0, 0, 2): to the right, and looking back to the left at the point.
        ("orbit", 0.5, [2 * sin(0.5), 0, 2 - 2 * cos(0.5)], [-sin(0.5), 0, cos(0.5)]),
        # The elevation is half the swing: up by r sin(0.25), the horizontal radius shrunk to r cos(0.25).
        (
            "arc",
            0.5,
            [2 * cos(0.25) * sin(0.5), -2 * sin(0.25), 2 - 2 * cos(0.25) * cos(0.5)],
            [-cos(0.25) * sin(0.5), sin(0.25), cos(0.25) * cos(0.5)],
        ),
    ],
)
def test_directions_by_hand(move: str, amount: float | None, center: list[float], forward: list[float]) -> None:
    last = make_move(move, 9, amount=amount, depth=2.0)[-1]
    close(last.center, center)
    close(last.rotation[:, 2], forward)


def test_roll_is_clockwise_seen_from_behind() -> None:
    # Seen from behind, x points right and y down: turning right towards down is clockwise.
    close(make_move("roll", 3, amount=0.5)[-1].rotation[:, 0], [cos(0.5), sin(0.5), 0.0])


@pytest.mark.parametrize("move", ["orbit", "arc"])
@pytest.mark.parametrize("amount", [-1.0, 0.4, 2.5])
def test_the_circled_point_stays_in_the_middle_at_its_distance(move: str, amount: float) -> None:
    camera = make_move(move, 17, amount=amount, depth=3.0).camera
    seen = (camera.cam_from_world @ torch.tensor([0.0, 0.0, 3.0, 1.0]))[:, :3]
    close(seen, torch.tensor([0.0, 0.0, 3.0]).expand(17, 3), atol=3e-6)
    close(camera.rotation[:, 1, 0], torch.zeros(17))  # upright: the right axis stays level


@pytest.mark.parametrize("move", [move for move in MOVES if move != "static"])
def test_a_negative_amount_is_the_mirrored_move(move: str) -> None:
    # Time reversed and seen from the end, a one-parameter motion is the move with the other sign; an arc is none.
    plus, minus = make_move(move, 5, amount=0.3), make_move(move, 5, amount=-0.3)
    if move != "arc":
        close(plus[::-1].relative_to(0).camera.world_from_cam, minus.camera.world_from_cam)
    close(minus.camera.center[-1][:2], -plus.camera.center[-1][:2])


def test_default_lengths_count_in_depth_and_angles_do_not() -> None:
    close(make_move("dolly", 2, depth=4.0)[-1].center, [0.0, 0.0, 2.0])
    close(make_move("truck", 2, amount=0.5, depth=4.0)[-1].center, [0.5, 0.0, 0.0])
    near, far = make_move("pan", 2), make_move("pan", 2, depth=4.0)
    assert torch.equal(near.camera.world_from_cam, far.camera.world_from_cam)
    assert MOVES["pan"].angular and MOVES["pan"].default == pi / 6 and not MOVES["dolly"].angular


def test_the_image_and_the_clock() -> None:
    trajectory = make_move("pan", 5, hw=(96, 160), fov_degrees=75.0, fps=12.0, unit="metre")
    close(trajectory.camera.fov[..., 0], torch.full((5,), radians(75.0)))
    assert (trajectory.camera.hw, trajectory.fps, trajectory.unit, len(trajectory)) == ((96, 160), 12.0, "metre", 5)


def test_what_is_no_move() -> None:
    with pytest.raises(ValueError, match="a move is one of static, pan, .* got 'zoom'"):
        make_move("zoom", 5)
    with pytest.raises(ValueError, match="an easing is one of linear, smooth, got 'bouncy'"):
        make_move("pan", 5, easing="bouncy")
    with pytest.raises(ValueError, match="at least one frame, got 0"):
        make_move("pan", 0)
    with pytest.raises(ValueError, match="an amount is a finite number, got nan"):
        make_move("pan", 5, amount=float("nan"))
    with pytest.raises(ValueError, match=r"a depth is a positive number, got 0\.0"):
        make_move("orbit", 5, depth=0.0)
    with pytest.raises(ValueError, match=r"an arc swings by at most 2\.985 radians, got 3\.000"):
        make_move("arc", 5, amount=3.0)
    with pytest.raises(ValueError, match=r"between 0 and 180 degrees, got 180\.0"):
        make_move("pan", 5, fov_degrees=180.0)

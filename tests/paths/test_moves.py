"""The moves of film: what each does by hand, ends that do not depend on the frame count, and what is no move."""

from __future__ import annotations

from math import atan, cos, degrees, pi, radians, sin, sqrt, tan

import pytest
import torch
from torch import Tensor

from raxel_core.paths.camera_path import path_to_json
from raxel_core.paths.easing import EASINGS
from raxel_core.paths.moves import MOVES
from raxel_core.paths.plan import CameraPlan, PlannedMove, make_move

IN_SPACE = [move for move in MOVES if move not in ("static", "zoom", "handheld")]
ROOT_HALF = sqrt(0.5)


def close(a: Tensor, b: list[float] | Tensor, atol: float = 1e-6) -> None:
    torch.testing.assert_close(a, torch.as_tensor(b, dtype=a.dtype), rtol=0.0, atol=atol)


@pytest.mark.parametrize("move", [move for move in MOVES if move != "handheld"])
@pytest.mark.parametrize("easing", EASINGS)
def test_a_move_does_not_depend_on_the_frame_count(move: str, easing: str) -> None:
    few, many = (make_move(move, frames, easing=easing, depth=2.0, fps=fps) for frames, fps in ((17, 8.0), (81, 24.0)))
    close(few.camera.world_from_cam[::4], many.camera.world_from_cam[::20])
    torch.testing.assert_close(few.camera.K[::4], many.camera.K[::20], rtol=1e-6, atol=0.0)
    assert torch.equal(few.camera.world_from_cam[0], torch.eye(4))
    assert torch.equal(make_move(move, 1).camera.world_from_cam[0], torch.eye(4))
    many.camera.validate()
    assert many.name == move


@pytest.mark.parametrize("move", IN_SPACE)
def test_easings_differ_in_speed_and_not_in_path(move: str) -> None:
    linear, smooth = make_move(move, 41), make_move(move, 41, easing="smooth")
    close(smooth.camera.world_from_cam[-1], linear.camera.world_from_cam[-1])
    close(smooth.camera.world_from_cam[20], linear.camera.world_from_cam[20])  # both are halfway in the middle
    # At a quarter of the time smoothstep has done 3/16 - 2/64 = 10/64 of the way: 6.25 of 40 linear steps, so that
    # frame 10 lies between the linear frames 6 and 7.
    distances = (linear.camera.world_from_cam - smooth.camera.world_from_cam[10]).flatten(1).norm(dim=-1)
    assert set(distances.topk(2, largest=False).indices.tolist()) == {6, 7}


@pytest.mark.parametrize(
    ("easing", "quarter", "half"),
    # At s = 1/4 and 1/2: s; 3s^2 - 2s^3; 2s^2 - s^3; s + s^2 - s^3; nothing before the end.
    [
        ("linear", 1 / 4, 1 / 2),
        ("smooth", 10 / 64, 1 / 2),
        ("ease_in", 7 / 64, 3 / 8),
        ("ease_out", 19 / 64, 5 / 8),
        ("hold", 0, 0),
    ],
)
def test_easings_by_hand(easing: str, quarter: float, half: float) -> None:
    center = make_move("truck", 5, amount=1.0, easing=easing).camera.center[:, 0]
    close(center[[0, 1, 2, 4]], [0.0, quarter, half, 1.0])


@pytest.mark.parametrize(
    ("move", "amount", "center", "forward"),
    [
        # OpenCV axes: x right, y down, z forward. The subject, where there is one, is at (0, 0, 2).
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
        # From 1.5 up, the point is 1.5 down and 2 ahead: a triangle of sides 3, 4, 5.
        ("crane", 1.5, [0, -1.5, 0], [0, 0.6, 0.8]),
        # The arm's foot is 2 ahead; its end has swung up by 2 sin and forward by 2 - 2 cos.
        ("boom", 0.5, [0, -2 * sin(0.5), 2 - 2 * cos(0.5)], [0, 0, 1]),
        ("push_in", 1.5, [0, 0, 1.5], [0, 0, 1]),
        # 10 back and 5 up, the point is 5 down and 12 ahead: a triangle of sides 5, 12, 13.
        ("pull_back_rise", 10.0, [0, -5, -10], [0, 5 / 13, 12 / 13]),
        # A quarter of a turn to the right, at half the distance: 1 to the right of the point, looking left.
        ("spiral", pi / 2, [1, 0, 2], [-1, 0, 0]),
        # The eight ends where it begins.
        ("figure_8", 0.5, [0, 0, 0], [0, 0, 1]),
        # As far as the subject: 2 ahead, 0.4 of that up, and looking down by the whole 25 degrees.
        ("flyover", 2.0, [0, -0.8, 2], [0, sin(radians(25)), cos(radians(25))]),
        # Half as far, backwards: the other way up, and half the tilt, upwards.
        ("flyover", -1.0, [0, 0.4, -1], [0, -sin(radians(12.5)), cos(radians(12.5))]),
        ("dolly_zoom", 0.5, [0, 0, 0.5], [0, 0, 1]),
        ("zoom", 2.0, [0, 0, 0], [0, 0, 1]),
    ],
)
def test_directions_by_hand(move: str, amount: float | None, center: list[float], forward: list[float]) -> None:
    last = make_move(move, 9, amount=amount, depth=2.0)[-1]
    close(last.center, center)
    close(last.rotation[:, 2], forward)


@pytest.mark.parametrize(
    ("move", "amount", "frame", "center"),
    [
        # An eighth of the eight: sin(45 degrees) to the right, and half of sin(90 degrees) up.
        ("figure_8", 1.0, 1, [ROOT_HALF, -0.5, 0]),
        ("figure_8", 1.0, 2, [1, 0, 0]),
        ("figure_8", 1.0, 4, [0, 0, 0]),
        ("figure_8", 1.0, 6, [-1, 0, 0]),
        # Half a spiral of 90 degrees: 45 degrees round, at three quarters of the distance of 2.
        ("spiral", pi / 2, 4, [1.5 * ROOT_HALF, 0, 2 - 1.5 * ROOT_HALF]),
        # Halfway in time: sin(45 degrees) of the rise of 0.8.
        ("flyover", 2.0, 4, [0, -0.8 * ROOT_HALF, 1]),
        # A quarter of the time of a soft start: 10/64 of the way.
        ("push_in", 1.0, 2, [0, 0, 10 / 64]),
    ],
)
def test_places_on_the_way_by_hand(move: str, amount: float, frame: int, center: list[float]) -> None:
    close(make_move(move, 9, amount=amount, depth=2.0)[frame].center, center)


def test_lenses_by_hand() -> None:
    # A zoom grows at a constant rate: halfway to twice the focal length it has the square root of two.
    zoom = make_move("zoom", 3, amount=2.0).camera.focal[:, 0]
    close(zoom / zoom[0], [1.0, sqrt(2.0), 2.0])
    # From 2 to 0.5 away, the focal length is a quarter: the half angle's tangent is four times that of 30 degrees.
    fov = make_move("dolly_zoom", 3, amount=1.5, depth=2.0).camera.fov[:, 0]
    close(fov[[0, -1]], [radians(60.0), 2 * atan(4 * tan(radians(30.0)))])
    for move in set(MOVES) - {"zoom", "dolly_zoom"}:
        close(make_move(move, 5).camera.fov[:, 0], torch.full((5,), radians(60.0)))


def test_roll_is_clockwise_seen_from_behind() -> None:
    # Seen from behind, x points right and y down: turning right towards down is clockwise.
    close(make_move("roll", 3, amount=0.5)[-1].rotation[:, 0], [cos(0.5), sin(0.5), 0.0])


@pytest.mark.parametrize(
    ("move", "amounts"),
    [
        ("orbit", (-1.0, 0.4, 2.5)),
        ("arc", (-1.0, 0.4, 2.5)),
        ("spiral", (-1.0, 0.4, 20.0)),
        ("crane", (-2.0, 0.4, 30.0)),
        ("pull_back_rise", (-2.0, 0.4, 30.0)),
        ("figure_8", (-2.0, 0.4, 30.0)),
    ],
)
def test_the_subject_stays_in_the_middle(move: str, amounts: tuple[float, ...]) -> None:
    for amount in amounts:
        camera = make_move(move, 17, amount=amount, depth=3.0).camera
        seen = (camera.cam_from_world @ torch.tensor([0.0, 0.0, 3.0, 1.0]))[:, :3]
        close(seen[:, :2], torch.zeros(17, 2), atol=1e-5)
        close(camera.rotation[:, 1, 0], torch.zeros(17))  # upright: the right axis stays level
        assert bool((seen[:, 2] > 0.0).all())
        if move in ("orbit", "arc"):
            close(seen[:, 2], torch.full((17,), 3.0), atol=3e-6)
        if move == "spiral":
            close(seen[:, 2], torch.linspace(3.0, 1.5, 17), atol=3e-6)


@pytest.mark.parametrize("amount", [-3.9, -1.0, 0.5, 3.9])
def test_a_dolly_zoom_keeps_the_size_of_the_subject(amount: float) -> None:
    plan = CameraPlan(depth=4.0, moves=(PlannedMove("dolly_zoom", amount=amount, easing="smooth"),))
    camera = plan.build(33, hw=(480, 832), dtype=torch.float64).camera
    ends = torch.tensor([[-0.5, 0.3, 4.0, 1.0], [0.5, -0.2, 4.0, 1.0]], dtype=torch.float64)
    seen = (camera.cam_from_world[:, None] @ ends[:, :, None])[:, :, :3]
    pixels = (camera.K[:, None] @ seen).squeeze(-1)
    length = torch.linalg.vector_norm((pixels[..., :2] / pixels[..., 2:]).diff(dim=1).squeeze(1), dim=-1)
    torch.testing.assert_close(length, length[:1].expand(33), rtol=1e-9, atol=0.0)
    near = (camera.K @ torch.tensor([1.0, 0.0, 8.0], dtype=torch.float64) / 8.0)[:, 0]
    assert float(near.max() - near.min()) > 1.0  # what is elsewhere changes its size


@pytest.mark.parametrize("move", [move for move in IN_SPACE if move not in ("spiral", "push_in", "dolly_zoom")])
def test_a_negative_amount_goes_the_other_way(move: str) -> None:
    plus, minus = (make_move(move, 9, amount=amount).camera for amount in (0.3, -0.3))
    if move in ("pan", "tilt", "roll", "dolly", "truck", "pedestal", "orbit"):
        # Time reversed and seen from the end, a motion of one parameter is the move with the other sign.
        back = make_move(move, 9, amount=0.3)[::-1].relative_to(0)
        close(back.camera.world_from_cam, minus.world_from_cam)
    close(minus.center[:, :2], -plus.center[:, :2])


def test_default_lengths_count_in_depth_and_angles_do_not() -> None:
    close(make_move("dolly", 2, depth=4.0)[-1].center, [0.0, 0.0, 2.0])
    close(make_move("truck", 2, amount=0.5, depth=4.0)[-1].center, [0.5, 0.0, 0.0])
    near, far = make_move("pan", 2), make_move("pan", 2, depth=4.0)
    assert torch.equal(near.camera.world_from_cam, far.camera.world_from_cam)
    assert MOVES["pan"].angular and not MOVES["dolly"].angular and not MOVES["zoom"].angular
    for move in MOVES:  # a default is a move that every depth allows
        make_move(move, 5, depth=0.01).camera.validate()


def test_one_move_is_a_plan_of_one_move() -> None:
    made = make_move("orbit", 9, hw=(96, 160), fov_degrees=50.0, amount=pi / 6, depth=2.0, easing="smooth", fps=12.0)
    plan = CameraPlan(50.0, 2.0, (PlannedMove("orbit", amount_degrees=degrees(pi / 6), easing="smooth"),))
    planned = plan.build(9, hw=(96, 160), fps=12.0, name="orbit")
    assert path_to_json(made) == path_to_json(planned)


def test_the_image_and_the_clock() -> None:
    trajectory = make_move("pan", 5, hw=(96, 160), fov_degrees=75.0, fps=12.0, unit="metre")
    close(trajectory.camera.fov[..., 0], torch.full((5,), radians(75.0)))
    assert (trajectory.camera.hw, trajectory.fps, trajectory.unit, len(trajectory)) == ((96, 160), 12.0, "metre", 5)


def test_what_is_no_move() -> None:
    with pytest.raises(ValueError, match="move is one of static, pan, .* got 'teleport'"):
        make_move("teleport", 5)
    with pytest.raises(ValueError, match="easing is one of linear, smooth, ease_in, ease_out, hold, got 'bouncy'"):
        make_move("pan", 5, easing="bouncy")
    with pytest.raises(ValueError, match="a trajectory has at least one frame, got 0"):
        make_move("pan", 0)
    with pytest.raises(ValueError, match="a planned path has at most 100000 frames, got 100001"):
        make_move("pan", 100_001)
    with pytest.raises(ValueError, match="amount_degrees is a number from -36000 to 36000, got nan"):
        make_move("pan", 5, amount=float("nan"))
    with pytest.raises(ValueError, match=r"depth is a number from 1e-06 to 1e\+06, got 0\.0"):
        make_move("orbit", 5, depth=0.0)
    with pytest.raises(ValueError, match=r"amount_degrees is a number from -171 to 171, got 171\.8"):
        make_move("arc", 5, amount=3.0)
    with pytest.raises(ValueError, match=r"fov_degrees is a number from 0\.1 to 179, got 180\.0"):
        make_move("pan", 5, fov_degrees=180.0)
    with pytest.raises(ValueError, match=r"moves\[0\]\.amount of push_in is less than the depth 2, got 2"):
        make_move("push_in", 5, amount=2.0, depth=2.0)

"""Schedules: known answers, the rules every pair obeys, and what each task gives and seeks."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from raxel_core.sampling import PairSchedule, Sigmas, camera_schedule, joint_schedule, pose_schedule, shifted_sigmas


def test_uniform_schedule_is_a_straight_line() -> None:
    assert shifted_sigmas(4).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_shift_matches_the_formula_by_hand() -> None:
    # shift 3 at s = 1/2: 1.5 / (1 + 2 * 0.5) = 0.75.
    assert shifted_sigmas(2, shift=3.0).tolist() == [1.0, 0.75, 0.0]


def test_shifts_compose() -> None:
    """Shifting by 2 and then by 3 is shifting by 6, and a shift below 1 undoes one above."""
    once = shifted_sigmas(7, shift=2.0)
    twice = 3.0 * once / (1.0 + 2.0 * once)
    torch.testing.assert_close(twice, shifted_sigmas(7, shift=6.0))
    undone = 0.5 * once / (1.0 - 0.5 * once)
    torch.testing.assert_close(undone, shifted_sigmas(7))


def test_every_shift_gives_a_schedule() -> None:
    """From 1, and not from the 1 + 2e-16 that 0.1 / (1 - 0.9) is, to 0."""
    for number in range(1, 1001):
        video = camera_schedule(4, shift=number / 100).video
        assert video[0] == 1.0 and video[-1] == 0.0


@pytest.mark.parametrize(("steps", "shift"), [(0, 1.0), (-2, 1.0), (4, 0.0), (4, -1.0), (4, float("nan"))])
def test_impossible_schedules_are_refused(steps: int, shift: float) -> None:
    with pytest.raises(ValueError, match="schedule"):
        shifted_sigmas(steps, shift=shift)


def test_tasks_give_one_stream_and_seek_the_other() -> None:
    pose, camera = pose_schedule(), camera_schedule(5, shift=3.0)
    assert pose.steps == 2
    assert pose.start == Sigmas(video=0.0, rays=1.0)
    assert not pose.video.any()
    assert camera.steps == 5
    assert camera.start == Sigmas(video=1.0, rays=0.0)
    assert not camera.rays.any()


def test_joint_first_finishes_the_rays_early() -> None:
    schedule = joint_schedule(6, 2, mode="first")
    assert schedule.rays.tolist() == [1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    torch.testing.assert_close(schedule.video, shifted_sigmas(6))
    assert joint_schedule(3).rays.tolist() == joint_schedule(3, 2).rays.tolist()
    assert joint_schedule(20).rays.tolist() == joint_schedule(20, 4).rays.tolist()


def test_joint_together_moves_both_to_the_end() -> None:
    schedule = joint_schedule(4, mode="together", shift=3.0, ray_shift=1.0)
    assert schedule.rays.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert schedule.video.tolist() == shifted_sigmas(4, shift=3.0).tolist()


def test_iteration_yields_every_step_once() -> None:
    pairs = list(joint_schedule(3, 1))
    assert len(pairs) == 3
    assert pairs[0] == (Sigmas(1.0, 1.0), Sigmas(pytest.approx(2 / 3), 0.0))
    assert all(after == before for (_, after), (before, _) in pairwise(pairs))
    assert pairs[-1][1] == Sigmas(0.0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 4, "ray_steps": 5}, "more steps"),
        ({"steps": 4, "ray_steps": 2, "mode": "together"}, "same number of steps"),
        ({"steps": 4, "mode": "last"}, "first, together"),
    ],
)
def test_impossible_joint_schedules_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        joint_schedule(**arguments)


@pytest.mark.parametrize(
    ("video", "rays", "message"),
    [
        ([1.0, 0.0], [1.0, 0.5, 0.0], "one length"),
        ([1.0, 0.5], [1.0, 0.0], "video schedule must end in 0"),
        ([1.0, 0.0], [0.5, 0.6], "rays schedule must never rise"),
        ([1.5, 0.0], [1.0, 0.0], "video schedule must stay within"),
        ([1.0, 0.0], [float("nan"), 0.0], "rays schedule must stay within"),
        ([0.0], [0.0], "at least 2"),
    ],
)
def test_a_pair_refuses_lists_that_are_no_schedule(video: list, rays: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairSchedule(torch.tensor(video), torch.tensor(rays))

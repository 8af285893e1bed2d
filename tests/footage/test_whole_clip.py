"""A whole clip window by window: the truth comes back for every frame, however it is cut, stopped or partly unread.

The pictures carry their number as grey, so that the reader of a window can answer with the true cameras, in a frame and
a unit of its own as the model's are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raxel_core.footage.chain import WindowCameras, chain
from raxel_core.footage.follow import follow_clip, judged_reading
from raxel_core.footage.record import WindowRecord
from raxel_core.footage.reel import Reel, open_reel
from raxel_core.footage.verdict import moving_sentence
from raxel_core.footage.windows import Plan, plan_for, windows_of
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.estimate import Estimate, Footage
from raxel_core.geometry.pose import PoseRecoveryError, RecoveredCameras
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.pipeline import CameraEstimate
from raxel_core.video_io import write_image
from tests.oracle import lossless_recipe

COUNT, HW = 50, (32, 48)
RECIPE = replace(lossless_recipe(), fps=8.0)  # 5 frames of 32x48, 8 a second


def truth(numbers: torch.Tensor) -> torch.Tensor:
    """world_from_cam [n, 4, 4]: turns, drives and rises."""
    time = numbers.double() / COUNT
    parts = (0.2 * (3 * time).sin(), 0.9 * time, 0.1 * (5 * time).cos(), 1.4 * time, 0.5 * (4 * time).sin(), 0.7 * time)
    return se3.exp(torch.stack(parts, dim=-1))


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Reel:
    """Pictures in whose upper left corner stands their number as grey, over texture that moves from one to the next."""
    folder = tmp_path_factory.mktemp("clip")
    texture = torch.rand(3, HW[0], HW[1] + COUNT, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for number in range(COUNT):
        picture = texture[:, :, number : number + HW[1]].clone()
        picture[:, :8, :8] = number / 127.5 - 1.0
        write_image(folder / f"f_{number:03d}.png", picture)
    return open_reel(folder, fps=24.0)


class Reader:
    """Answers with the true cameras of the numbers in the pictures; counts, and fails at windows from `lost` on."""

    def __init__(self, lost: tuple[int, ...] = (), noise: float = 0.0, sigma: float = 1e-4) -> None:
        self.asked: list[list[int]] = []
        self.lost, self.noise, self.sigma = lost, noise, sigma
        self.generator = torch.Generator().manual_seed(1)

    def __call__(self, video: torch.Tensor, draw: int) -> CameraEstimate:
        numbers = ((video[0, :, 1:7, 1:7].mean((-2, -1)) + 1) * 127.5).round()
        self.asked.append(numbers.int().tolist())
        if int(numbers[0]) in self.lost:
            raise PoseRecoveryError(0, "its rays are not finite")
        motions = se3.relative(truth(numbers[:1])[0], truth(numbers))
        unit = 0.6 + 0.8 * torch.rand((), generator=self.generator).double() if len(self.asked) > 1 else 1.0
        motions[:, :3, 3] *= unit
        twist = self.noise * torch.randn(len(numbers), 3, generator=self.generator).double()
        motions[1:, :3, :3] = (se3.so3_exp(twist) @ motions[:, :3, :3])[1:]
        covariance = torch.zeros(len(numbers), 7, 7)
        covariance[1:, range(6), range(6)] = self.sigma**2 / 3
        camera = Camera(motions, K_from_fov(1.0, HW).double(), HW)
        fit = torch.ones(len(numbers))
        recovered = RecoveredCameras(camera, covariance, fit * 0.01, fit)
        return CameraEstimate(Trajectory(camera, fps=8.0, unit="near_depth"), video, recovered)


def _off(estimate: Estimate) -> tuple[float, float]:
    """The largest angle and distance from the truth, both from frame 0 on."""
    numbers = torch.tensor(estimate.footage.frames)
    true = se3.relative(truth(numbers[:1])[0], truth(numbers))
    found = estimate.trajectory.camera
    return (
        float(se3.geodesic(found.rotation, true[:, :3, :3]).max()),
        float((found.center - true[:, :3, 3]).norm(dim=-1).max()),
    )


def test_every_frame_has_its_camera_and_lies_over_the_footage(reel: Reel) -> None:
    estimate = follow_clip(reel, plan_for(reel, RECIPE), RECIPE, Reader())
    names = tuple(f"f_{number:03d}.png" for number in range(COUNT))
    assert estimate.footage == Footage(reel.name, 0.0, 24.0, tuple(range(COUNT)), names)
    assert estimate.trajectory.fps == 24.0
    turn, away = _off(estimate)
    assert turn < 2e-3 and away < 6e-3  # what the screw between every third frame leaves of the curve
    torch.testing.assert_close(estimate.trajectory.camera.K[7], K_from_fov(1.0, HW).double())
    seen = [
        number for number in range(COUNT) if number not in {estimate.footage.frames[i] for i in estimate.interpolated}
    ]
    assert seen == [*range(0, COUNT, 3), COUNT - 1]


def test_windows_overlap_and_the_last_ends_with_the_clip(reel: Reel) -> None:
    plan = Plan(5, HW, 3.0)
    windows = list(windows_of(reel, plan))
    assert [window.numbers for window in windows[:2]] == [(0, 3, 6, 9, 12), (6, 9, 12, 15, 18)]
    assert windows[-1].numbers == (39, 42, 45, 48, 49) and windows[-1].last
    assert [number for window in windows for number in window.passed] == list(range(COUNT))
    assert plan.windows(reel) == len(windows)


@pytest.mark.parametrize("kept", range(7))
def test_what_was_done_is_gone_on_from(reel: Reel, kept: int) -> None:
    windows = list(windows_of(reel, Plan(5, HW, 3.0)))
    again = list(windows_of(reel, Plan(5, HW, 3.0), done=windows[kept]))
    assert [(w.numbers, w.passed) for w in again] == [(w.numbers, w.passed) for w in windows[kept + 1 :]]
    assert all(torch.equal(a.video, b.video) for a, b in zip(again, windows[kept + 1 :], strict=True))


def test_a_run_that_was_stopped_goes_on_to_the_same_path(reel: Reel, tmp_path: Path) -> None:
    plan, file = plan_for(reel, RECIPE), tmp_path / "record"
    whole = follow_clip(reel, plan, RECIPE, Reader(noise=1e-3))

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    reader = Reader(noise=1e-3)
    with pytest.raises(KeyboardInterrupt):
        follow_clip(reel, plan, RECIPE, reader, record=WindowRecord(file, {"seed": 0}), progress=stop)
    with file.open("ab") as torn:
        torn.write(b'{"numbers": [18, 21')  # a line that was cut off
    asked = len(reader.asked)
    record = WindowRecord(file, {"seed": 0})
    assert len(record.done) == asked == 3
    resumed = follow_clip(reel, plan, RECIPE, reader, record=record)
    assert len(reader.asked) == len(whole.footage.frames) // 6  # each window once
    torch.testing.assert_close(resumed.trajectory.camera.world_from_cam, whole.trajectory.camera.world_from_cam)
    torch.testing.assert_close(resumed.covariance, whole.covariance)
    assert len(WindowRecord(file, {"seed": 0}).done) == len(reader.asked)
    assert WindowRecord(file, {"seed": 1}).done == []
    record.remove()
    assert not file.exists()


def test_windows_that_can_not_be_read_are_bridged_and_most_must_be(reel: Reel) -> None:
    turn, away = _off(follow_clip(reel, plan_for(reel, RECIPE), RECIPE, Reader(lost=(18,))))
    assert turn < 2e-3
    assert away < 0.5  # one frame joins what follows: it tells no scale
    with pytest.raises(PoseRecoveryError, match="frame 0: its rays are not finite"):
        follow_clip(reel, plan_for(reel, RECIPE), RECIPE, Reader(lost=tuple(range(6, COUNT))))


def test_a_number_of_frames_is_read_at_a_rate_or_over_the_whole_clip(reel: Reel) -> None:
    estimate = follow_clip(reel, plan_for(reel, RECIPE, most=7, start=0.5), RECIPE, Reader())
    assert estimate.footage.frames == (12, 15, 18, 21, 24, 27, 30)
    assert estimate.trajectory.fps == 8.0
    spread = follow_clip(reel, plan_for(reel, RECIPE, spread=8), RECIPE, Reader())
    assert spread.footage.frames == (0, 7, 14, 21, 28, 35, 42, 49)
    assert _off(spread)[0] < 1e-6
    with pytest.raises(ValueError, match="has 17 frames at 8 a second, 30 are needed"):
        plan_for(reel, RECIPE, most=30)


@pytest.mark.parametrize(
    ("window", "wanted", "counts"),
    [(5, 2, "5 and more"), (9, 1, "5, or 9 and more"), (9, 2, "5, or 9 and more"), (9, 8, "5, or 9 and more"),
     (81, 10, "4n + 1 from 5 on, or 81 and more"), (9, 0, "5, or 9 and more")],
)  # fmt: skip
def test_a_number_of_frames_that_no_window_has_is_told_which_there_are(
    reel: Reel, window: int, wanted: int, counts: str
) -> None:
    recipe = replace(RECIPE, frames=window)
    for asked in ({"most": wanted}, {"spread": wanted}):
        with pytest.raises(ValueError) as refused:
            plan_for(reel, recipe, **asked)
        assert str(refused.value) == f"the model sees {counts} frames of a clip, got {wanted}"
    assert [plan_for(reel, replace(RECIPE, frames=9), spread=count).frames for count in (5, 9, 10)] == [5, 9, 9]


def test_error_bars_grow_where_neighbours_disagree(reel: Reel) -> None:
    """The reader states 0.01 radians; where windows differ by ten times that, the bars follow."""
    plan = plan_for(reel, RECIPE)
    stated, noisy = (follow_clip(reel, plan, RECIPE, Reader(noise=n, sigma=0.01)) for n in (0.01, 0.1))
    assert stated.rotation_sigma is not None and noisy.rotation_sigma is not None
    assert float(noisy.rotation_sigma.mean()) > 5 * float(stated.rotation_sigma.mean())
    assert _off(noisy)[0] < 4 * float(noisy.rotation_sigma.max())


def test_pictures_that_stay_in_place_make_a_still_camera(tmp_path: Path) -> None:
    """Whatever the model says: here it turns by half a radian before a photograph."""
    picture = (
        torch.nn.functional.interpolate(
            torch.rand(1, 3, 24, 36, generator=torch.Generator().manual_seed(2)), scale_factor=4, mode="bilinear"
        )[0]
        * 2
        - 1
    )
    for number in range(9):
        write_image(tmp_path / f"f_{number}.png", picture)
    reel = open_reel(tmp_path, fps=8.0)

    class Dreaming(Reader):
        def __call__(self, video: torch.Tensor, draw: int) -> CameraEstimate:
            video = video.clone()
            video[:, :, :8, :8] = (torch.arange(video.shape[1]) * 6 / 127.5 - 1.0)[:, None, None]
            return super().__call__(video, draw)

    estimate = follow_clip(reel, plan_for(reel, RECIPE), RECIPE, Dreaming())
    assert estimate.motion == "still"
    assert estimate.verdict.startswith("The camera did not move: the scene stays in place to 0 of 640 pixels.")
    assert float(estimate.trajectory.turn) == 0.0 and float(estimate.trajectory.path_length) == 0.0


def test_a_cut_is_named(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    scenes = torch.nn.functional.interpolate(torch.rand(2, 3, 24, 48, generator=generator), scale_factor=4) * 2 - 1
    for number in range(15):
        write_image(tmp_path / f"f_{number:02d}.png", scenes[int(number > 8), :, :, number : number + 144])
    reel = open_reel(tmp_path, fps=8.0)
    estimate = follow_clip(reel, plan_for(reel, RECIPE), RECIPE, Reader())
    (told,) = (note for note in estimate.notes if "a cut" in note)
    assert told.startswith("Nothing of the frame before is found again at 9: a cut")


def test_the_verdict_compares_with_other_cameras_and_with_a_still_one(reel: Reel) -> None:
    plan = plan_for(reel, RECIPE)
    true = follow_clip(reel, plan, RECIPE, Reader())
    judged = follow_clip(reel, plan, RECIPE, Reader(), other=replace(true, estimator="colmap"))
    assert "Against colmap (50 frames) it is 0 degrees off in rotation, less than the " in judged.verdict
    flat = Camera(torch.eye(4).double().expand(COUNT, 4, 4), true.trajectory.camera.K, true.trajectory.camera.hw)
    still = replace(true, trajectory=replace(true.trajectory, camera=flat), estimator="tripod")
    judged = follow_clip(reel, plan, RECIPE, Reader(), other=still)
    assert "no less than the 0 of a camera that stands still" in judged.verdict


@pytest.mark.parametrize(
    ("turn", "away", "words"),
    [
        (0.2, 0.1, "10 times the error bar of its turn, but a camera that stays in its place would look the same"),
        (0.2, 0.9, "10 times the error bars, so that it did move"),
        (0.01, 0.1, "within these error bars a camera that stands still would look the same"),
    ],
    ids=["turns", "drives", "stands"],
)
def test_a_turn_that_is_told_does_not_make_a_drive_that_is_not(turn: float, away: float, words: str) -> None:
    """Error bars of 0.02 radians and 0.2 units."""
    motions = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    motions[1, :3, :3] = se3.so3_exp(torch.tensor([0.0, turn, 0.0], dtype=torch.float64))
    motions[1, 0, 3] = away
    covariance = torch.zeros(2, 7, 7, dtype=torch.float64)
    covariance[1, 1, 1], covariance[1, 3, 3] = 0.02**2, 0.2**2
    path = Trajectory(Camera(motions, K_from_fov(1.0, HW).double(), HW), unit="near_depth")
    found = Estimate(path, "joint", Footage("a.mp4", 0.0, 24.0, (0, 1)), "moving", "", covariance=covariance)
    assert moving_sentence(found, ()).endswith(f"(one sigma, at least): {words}.")
    assert moving_sentence(found, ("wide",)).endswith("trained on (wide), where error bars promise nothing: solve it.")
    assert moving_sentence(found, ("wide",), filmed=False).endswith("(wide), where error bars promise nothing.")


def test_a_window_of_another_unit_joins_by_its_common_frames() -> None:
    numbers = torch.arange(9)
    path = se3.relative(truth(numbers[:1])[0], truth(numbers))
    second = se3.relative(path[4], path[4:])
    second[:, :3, 3] *= 1.7
    K, covariance = K_from_fov(1.0, HW).double().expand(5, 3, 3), torch.zeros(5, 7, 7)
    windows = [
        WindowCameras((0, 1, 2, 3, 4, 5, 6), path[:7], K[:1].expand(7, 3, 3), torch.zeros(7, 7, 7)),
        WindowCameras((4, 5, 6, 7, 8), second, K, covariance),
    ]
    torch.testing.assert_close(chain(windows).world_from_cam, path, rtol=0, atol=1e-6)
    held = chain(windows, with_scale=False).world_from_cam
    assert float((held[-1] - path[-1]).abs().max()) > 1e-3


def test_of_pictures_of_which_nobody_knows_what_is_said_of_footage_is_a_condition(reel: Reel) -> None:
    (window, *_) = windows_of(reel, Plan(5, HW, 3.0))
    read, tiny = Reader()(window.video, 0), replace(RECIPE, vae="raxel-tiny-vae")
    footage, made, unknown = (judged_reading(read, tiny, filmed=filmed).verdict for filmed in (True, False, None))
    assert "is outside what this checkpoint was trained on (it has seen ray-traced scenes alone" in footage
    assert footage.endswith(": solve it.") and "solve" not in made
    condition = unknown.removeprefix(made)
    assert condition.startswith(" If these pictures are filmed, solve them: this checkpoint has seen ray-traced scenes")
    assert "errors were 1.2 times these bars in the mean, up to 3.4 times" in condition
    assert len(unknown) <= len(footage) + 10
    other = [judged_reading(read, recipe, filmed=None).verdict for recipe in (RECIPE, replace(RECIPE, frames=9))]
    assert "filmed" not in other[0]
    assert other[1].endswith("where error bars promise nothing. If these pictures are filmed, solve them.")

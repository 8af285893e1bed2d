"""The cameras of a whole clip by the joint model: window by window, chained, one camera for every frame."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..framing import framing_for
from ..geometry.camera import Camera
from ..geometry.estimate import Estimate, Footage
from ..geometry.pose import PoseRecoveryError
from ..geometry.trajectory import Trajectory
from ..pipeline import CameraEstimate
from ..recipe import Recipe
from ..sampling import Progress
from ..solving.gaps import interpolated
from ..solving.motion import STILL_PX
from .chain import Chained, WindowCameras, chain, join
from .comparison import compare
from .record import WindowRecord
from .reel import Reel
from .stillness import WIDTH, still_px
from .trained import if_filmed, outside_training
from .verdict import moving_sentence, still_sentence
from .windows import Plan, Window, windows_of

ESTIMATOR = "joint"
ReadClip = Callable[[Tensor, int], CameraEstimate]
"""The cameras of a clip [3, F, h, w] in [-1, 1], K in its pixels; the number asks for another draw of the noise."""
_DRAWS = 3
_SHOWN = 8
_log = logging.getLogger(__name__)


def follow_clip(
    reel: Reel,
    plan: Plan,
    recipe: Recipe,
    read: ReadClip,
    *,
    focal: str = "shared",
    record: WindowRecord | None = None,
    other: Estimate | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """The camera of every frame of the footage, or of the frames that are seen where the plan has a number of them.

    K in pixels of the footage: one focal length for all with `focal` "shared", one each with "per_frame", that of
    `read` with "known". `record` keeps what is done; `other` are cameras of the same footage to compare with.
    `progress(done, total)` counts windows and may raise to stop. Raises PoseRecoveryError where no camera can be read
    in more than half of the windows, ValueError and OSError as `windows_of`.
    """
    seen = [] if record is None else list(record.done)
    total = plan.windows(reel)
    faults: list[PoseRecoveryError] = []
    only = None
    for window in windows_of(reel, plan, done=seen[-1][0] if seen else None):
        if progress is not None:
            progress(min(len(seen), total - 1), total)
        cameras, fault = _read_window(window, read)
        faults += [] if fault is None else [fault]
        only = (window, cameras) if not seen and cameras is not None else None
        seen.append((window._replace(video=torch.empty(0)), cameras))
        if record is not None and len(window.numbers) == plan.frames:
            record.add(*seen[-1])
    found = [cameras for _, cameras in seen if cameras is not None]
    if 2 * len(found) <= len(seen):
        fault = faults[0] if faults else PoseRecoveryError(0, "none of its windows gave a camera")
        lens = " with the lens that was given: leave it out to see what the model makes of it"
        raise PoseRecoveryError(fault.frame, f"{fault.fault}{lens if focal == 'known' else ''}")
    if progress is not None:
        progress(total, total)
    chained = chain(found, with_scale=recipe.unit != "metre")
    if only is not None:
        chained = chained._replace(disagreement=_redrawn(*only, read))
    estimate = _estimate(reel, plan, recipe, found, chained, [window for window, _ in seen], focal)
    return _judged(reel, plan, recipe, estimate, found, [window.moved_px for window, _ in seen], other)


def judged_reading(
    read: CameraEstimate, recipe: Recipe, *, fps: float | None = None, filmed: bool | None = True
) -> Estimate:
    """One clip's reading as an estimate with a verdict; `fps` of its frames, where that is known, and whether it is
    `filmed` (False: generated with its cameras; None: nobody knows). Nothing is compared with the pictures, and its
    error bars are those of the rays."""
    trajectory = read.trajectory
    outside = outside_training(recipe, fps, trajectory.camera.hw, [trajectory.camera], filmed=filmed is True)
    footage = Footage("", 0.0, trajectory.fps, tuple(range(len(trajectory))))
    covariance = read.recovered.covariance.to("cpu", torch.float64)
    estimate = Estimate(trajectory, ESTIMATOR, footage, "moving", "", covariance=covariance)
    verdict = moving_sentence(estimate, outside, filmed=filmed is True)
    condition = if_filmed(recipe, outside) if filmed is None else ""
    return replace(estimate, verdict=f"{verdict} {condition}".rstrip())


def _read_window(
    window: Window, read: ReadClip, first: int = 0
) -> tuple[WindowCameras | None, PoseRecoveryError | None]:
    """The window's cameras, of the first draw that gives any; None and the first fault where none does."""
    fault = None
    for draw in range(first, first + _DRAWS):
        try:
            found = read(window.video, draw)
        except PoseRecoveryError as error:
            fault = fault or error
            continue
        camera = found.trajectory.camera.to("cpu", torch.float64)
        covariance = found.recovered.covariance.to("cpu", torch.float64)
        return WindowCameras(window.numbers, camera.world_from_cam, camera.K, covariance), None
    return None, fault


def _redrawn(window: Window, cameras: WindowCameras, read: ReadClip) -> float | None:
    """How much another draw of the only window differs, over what its covariance says; None where it gives nothing."""
    again, _ = _read_window(window, read, _DRAWS)
    if again is None:
        return None
    return join(cameras.world_from_cam, again, range(len(window.numbers)), cameras.covariance).ratio


def _estimate(
    reel: Reel,
    plan: Plan,
    recipe: Recipe,
    found: Sequence[WindowCameras],
    chained: Chained,
    windows: Sequence[Window],
    focal: str,
) -> Estimate:
    """The path in the footage's pixels, with a camera for every frame that was passed."""
    K = found[0].K[:1].double().repeat(len(chained.numbers), 1, 1)
    zoom = chained.log_focal if focal == "per_frame" else chained.log_focal.median().expand_as(chained.log_focal)
    K[:, :2, :2] = K[:, :2, :2] * zoom.exp()[:, None, None]
    camera = framing_for(reel.hw, plan.hw).read_in_original(Camera(chained.world_from_cam, K, plan.hw))
    every = plan.most is None
    fps = reel.rate if every else reel.rate / plan.step
    passed = {number for window in windows for number in window.passed}
    missing = tuple(sorted(passed - set(chained.numbers))) if every else ()
    estimate = Estimate(
        Trajectory(camera, fps=fps, unit=recipe.unit, name=Path(reel.name).stem),
        ESTIMATOR,
        Footage(reel.name, plan.start, reel.rate, chained.numbers, reel.pictures),
        "moving",
        "",
        covariance=chained.covariance * max(1.0, chained.disagreement or 1.0),
        missing=missing,
        notes=_notes(reel, plan, chained, windows),
    )
    return interpolated(estimate)


def _notes(reel: Reel, plan: Plan, chained: Chained, windows: Sequence[Window]) -> tuple[str, ...]:
    """How the clip was read, a sentence each."""
    fps, step = reel.rate / plan.step, f"{plan.step:.3g}"
    how = "every frame" if plan.step == 1.0 else f"one in {step}"
    notes = [
        f"The model saw {len(chained.numbers)} frames at {fps:.3g} a second, {how} of {reel.rate:.4g} a second, in "
        f"{len(windows)} windows."
    ]
    kept = [crop / full for crop, full in zip(framing_for(reel.hw, plan.hw).crop_hw, reel.hw, strict=True)]
    if min(kept) < 0.9:
        side = "height" if kept[0] < kept[1] else "width"
        notes.append(f"It sees the middle {min(kept):.0%} of the picture's {side}.")
    notes += [f"{note[0].upper()}{note[1:]}." for note in reel.notes]
    cuts = [number for window in windows for number in window.cuts]
    if cuts:
        told = ", ".join(map(str, cuts[:_SHOWN])) + (f" and {len(cuts) - _SHOWN} more" if len(cuts) > _SHOWN else "")
        notes.append(
            f"Nothing of the frame before is found again at {told}: a cut, or a move too fast to follow, across which "
            "the cameras mean nothing."
        )
    for number in chained.unjoined:
        notes.append(f"Nothing joins the cameras from frame {number} on to those before: they go on from the last one.")
    return tuple(notes)


def _judged(
    reel: Reel,
    plan: Plan,
    recipe: Recipe,
    estimate: Estimate,
    found: Sequence[WindowCameras],
    displacements: list[float],
    other: Estimate | None,
) -> Estimate:
    """The estimate with its verdict; where the pictures stand still, a path that does."""
    clips = [Camera(cameras.world_from_cam, cameras.K, plan.hw) for cameras in found]
    outside = outside_training(recipe, reel.rate / plan.step, plan.hw, clips)
    pixels = still_px(displacements)
    if pixels < STILL_PX:
        estimate = _stilled(estimate, pixels)
    else:
        estimate = replace(estimate, verdict=moving_sentence(estimate, outside))
    if other is None:
        return estimate
    return replace(estimate, verdict=f"{estimate.verdict} {compare(estimate, other).sentence}.")


def _stilled(estimate: Estimate, pixels: float) -> Estimate:
    """A camera that stands still, as sure as the pictures are that it did."""
    camera = estimate.trajectory.camera
    motions = torch.eye(4, dtype=torch.float64).expand(len(camera), 4, 4)
    angle = math.atan(pixels * camera.hw[1] / min(camera.hw[1], WIDTH) / float(camera.focal[0, 0]))
    covariance = torch.zeros(len(camera), 7, 7, dtype=torch.float64)
    covariance[1:, range(3), range(3)] = angle**2 / 3.0
    if estimate.covariance is not None:
        covariance[:, 6, 6] = estimate.covariance[:, 6, 6]
    return replace(
        estimate,
        trajectory=replace(estimate.trajectory, camera=replace(camera, world_from_cam=motions)),
        motion="still",
        verdict=still_sentence(pixels, estimate),
        covariance=covariance,
    )

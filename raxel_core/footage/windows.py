"""A whole clip as overlapping windows of the trained length, read frame by frame: its length costs no memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..framing import fit_video
from ..latents.frames import TEMPORAL_STRIDE
from ..recipe import Recipe
from ..video_io import Selection, picture_float
from .reel import Reel
from .stillness import displacement_px, grey_of

# Frames that two windows share, where windows are long enough: what five tell of a similarity, nine tell no better.
_MOST_OVERLAP = 9
_SHORTEST = 5


@dataclass(frozen=True)
class Plan:
    """Which frames of the footage the model sees: windows of `frames` of `hw`, every `step` frames of the footage from
    `start` seconds on, at most `most` frames in all (None: to the end)."""

    frames: int
    hw: tuple[int, int]
    step: float
    start: float = 0.0
    most: int | None = None

    @property
    def fresh(self) -> int:
        """How many frames a window adds to the one before it."""
        return self.frames - min((self.frames + 1) // 2, _MOST_OVERLAP)

    def windows(self, reel: Reel) -> int:
        """About how many windows there will be, at least 1."""
        whole = _available(reel, self.start, self.step)
        seen = min(whole + (math.ceil(self.step) > 1), self.most or math.inf)  # the clip's last frame is seen too
        return max(1, math.ceil((seen - self.frames) / self.fresh) + 1)

    def place(self, number: int, first: int) -> int:
        """The last frame to be seen at or before `number`, counted from 0 at the `first`."""
        return math.ceil((number - first + 0.5) / self.step) - 1


def plan_for(
    reel: Reel,
    recipe: Recipe,
    *,
    fps: float | None = None,
    start: float = 0.0,
    most: int | None = None,
    spread: int | None = None,
) -> Plan:
    """How the model of `recipe` sees the footage: at `fps` frames a second, or else at its own rate, or faster where
    the clip is too short for a window at that; or `spread` frames over the whole clip.

    Raises ValueError where there is too little to see, for a count that no windows have, or both counts.
    """
    if most is not None and spread is not None:
        raise ValueError("either a number of frames at a rate is read, or a number spread over the clip")
    wanted = most if spread is None else spread
    frames = recipe.frames if wanted is None else min(recipe.frames, _check_count(wanted, recipe.frames))
    step = max(reel.rate / (fps or recipe.fps), 1.0)
    if spread is not None:
        step = max((reel.count - 1 - start * reel.rate) / (spread - 1), 1.0)
    elif fps is None and most is None:
        step = min(step, max((_available(reel, start, 1.0) - 1) / (frames - 1), 1.0))
    needed = max(_SHORTEST, wanted or 0)
    if _available(reel, start, step) < needed:
        found = max(_available(reel, start, step), 0)
        if not found:
            raise ValueError(f"{reel.name} holds no frame from {start:g} s on")
        raise ValueError(f"{reel.name} has {found} frames at {reel.rate / step:g} a second, {needed} are needed")
    return Plan(frames, recipe.hw, step, start, wanted)


def _check_count(wanted: int, window: int) -> int:
    """`wanted` when it is a window's number of frames or more, or a clip that the VAE can code; ValueError else."""
    if wanted < window and (wanted < _SHORTEST or (wanted - 1) % TEMPORAL_STRIDE):
        fewer = {_SHORTEST: "", _SHORTEST + TEMPORAL_STRIDE: f"{_SHORTEST}, or "}
        counts = f"{fewer.get(window, f'4n + 1 from {_SHORTEST} on, or ')}{window} and more"
        raise ValueError(f"the model sees {counts} frames of a clip, got {wanted}")
    return wanted


def _available(reel: Reel, start: float, step: float) -> int:
    """How many frames there are from `start` seconds on, `step` apart."""
    return math.floor((reel.count - 1 - math.floor(start * reel.rate + 0.5)) / step + 1e-9) + 1


class Sample(NamedTuple):
    """A frame that the model sees: its number in the footage, [3, h, w] in [-1, 1], and grey for its displacement."""

    number: int
    image: Tensor
    grey: np.ndarray


class Window(NamedTuple):
    """Frames that the model sees at once: `numbers` in the footage, `video` [3, F, h, w], how far the picture has moved
    from the clip's first frame to this window's last, in pixels (`stillness`), all numbers of the footage that were
    `passed` since the window before, those of them at which nothing of the frame seen before is found again (`cuts`),
    and whether it is the `last`."""

    numbers: tuple[int, ...]
    video: Tensor
    moved_px: float
    passed: tuple[int, ...]
    cuts: tuple[int, ...]
    last: bool


def windows_of(reel: Reel, plan: Plan, *, done: Window | None = None) -> Iterator[Window]:
    """The windows of the footage, one after the other; those after `done`, of which only the numbers count.

    The last one ends with the clip's last frame. Raises ValueError where the clip has fewer than 5 frames.
    """
    if done is not None and done.last:
        return
    first = _first(reel, plan)
    held, passed, fresh, ran = deque[Sample](maxlen=plan.frames), list[int](), 0, done is not None
    cuts: list[int] = []
    seen = -1 if done is None else done.numbers[-1]  # up to where windows reach
    for number, sample in _samples(reel, plan, first.number, None if done is None else done.numbers[1]):
        passed += [number] if number > seen else []
        if sample is None:
            continue
        if held and number > seen and math.isinf(displacement_px(held[-1].grey, sample.grey)):
            cuts.append(number)
        held.append(sample)
        fresh += number > seen
        if len(held) == plan.frames and fresh >= (plan.fresh if ran else plan.frames):
            yield _window(list(held), first, passed, cuts, last=False)
            ran, fresh, passed, cuts = True, 0, [], []
    if fresh:
        yield from _tail(list(held), first, passed, cuts, plan, ran=ran)


def _tail(
    held: list[Sample], first: Sample, passed: list[int], cuts: list[int], plan: Plan, *, ran: bool
) -> Iterator[Window]:
    """The window that ends with the clip; two that overlap where the clip is shorter than a window and not 4n + 1."""
    length = min(plan.frames, (len(held) - 1) // 4 * 4 + 1)
    if length < _SHORTEST:
        raise ValueError(f"a clip has at least {_SHORTEST} frames to be read, got {len(held)}")
    if not ran and length < len(held):
        yield _window(held[:length], first, [], [], last=False)
    yield _window(held[len(held) - length :], first, passed, cuts, last=True)


def _window(samples: list[Sample], first: Sample, passed: list[int], cuts: list[int], *, last: bool) -> Window:
    video = torch.stack([sample.image for sample in samples], dim=1)
    moved = displacement_px(first.grey, samples[-1].grey)
    return Window(tuple(sample.number for sample in samples), video, moved, tuple(passed), tuple(cuts), last)


def _first(reel: Reel, plan: Plan) -> Sample:
    """The first frame that is read."""
    number, picture = next(reel.stream(Selection(frames=1, start=plan.start)).frames)
    return _sample(number, picture, plan)


def _samples(reel: Reel, plan: Plan, first: int, begin: int | None) -> Iterator[tuple[int, Sample | None]]:
    """Each frame's number, from `begin` on, with the frame where the model sees it: only that is converted.

    The clip's last frame is always seen.
    """
    start = plan.start if begin is None else begin / reel.rate
    most = math.inf if plan.most is None else plan.most
    place = 0 if begin is None else plan.place(begin, first)
    unseen = None
    for number, picture in reel.stream(Selection(start=start)).pictures:
        if unseen is not None:
            yield unseen[0], None
            unseen = None
        if plan.place(number, first) < place or (begin is not None and number < begin):
            unseen = number, picture
            continue
        place = plan.place(number, first) + 1
        yield number, _sample(number, picture(), plan)
        if place >= most:
            return
    if unseen is not None:
        yield unseen[0], _sample(unseen[0], unseen[1](), plan)


def _sample(number: int, picture: Tensor, plan: Plan) -> Sample:
    return Sample(number, fit_video(picture_float(picture), plan.hw)[0], grey_of(picture))

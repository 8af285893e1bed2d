"""Footage as it lies on the disk, a video file or a series of pictures, read by one set of calls."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ..camera_io.frame_names import numbers_in
from ..framing import Framing, fit_video
from ..video_io import (
    Clip,
    FrameStream,
    Selection,
    check_frame_rate,
    decoded_bytes_budget,
    frame_times,
    read_image,
    read_video,
    stream_video,
)
from .series import Series, find_series, names_series

SERIES_RATE = 24.0
"""Frames a second of a series of pictures of which nobody says it."""
_MOST_PLACES = 1000  # of a series for each of its pictures
_EVEN = 1.5  # gaps between frames that differ by less from the usual one are those of one rate
_BYTES_PER_PIXEL = 3 * 4 * 2  # float32, held twice while the frames are joined into one tensor


@dataclass(frozen=True)
class Reel:
    """A video file, or the pictures of `series`: its `name` as one says it, its `rate` in frames a second, its `hw` in
    pixels, how many places in time its frames take (`count`, the last one's number + 1), and `notes` on how it was
    taken, a sentence each."""

    path: Path
    name: str
    rate: float
    hw: tuple[int, int]
    count: int
    series: Series | None = None
    notes: tuple[str, ...] = ()

    @property
    def pictures(self) -> tuple[str, ...]:
        """The file names of a series by their place in time, "" where none is; () of a video file, and where nearly all
        are missing, as where a date stands for a number."""
        if self.series is None or self.count > _MOST_PLACES * len(self.series.files):
            return ()
        names = dict(zip(self.series.positions, (file.name for file in self.series.files), strict=True))
        return tuple(names.get(position, "") for position in range(self.count))

    @property
    def numbers(self) -> range | None:
        """The numbers that the names of a series give its places in time; None of a video file and where they give
        none."""
        if self.series is None:
            return None
        numbers, places = numbers_in([file.name for file in self.series.files])[0], self.series.positions
        if numbers is None:
            return None
        step = (numbers[-1] - numbers[0]) // max(places[-1], 1) or 1
        found = range(numbers[0], numbers[0] + step * self.count, step) if step > 0 else range(0)
        return found if all(number in found for number in numbers) and len(found) == self.count else None

    def stream(self, selection: Selection | None = None) -> FrameStream:
        """The selected frames one at a time, as `video_io.stream_video`; a number is a picture's place in time."""
        if self.series is None:
            return stream_video(self.path, selection)
        selection = selection or Selection()
        chosen = list(dict.fromkeys(_chosen(self.series.positions, self.rate, selection)))
        pictures = ((self.series.positions[i], partial(self._picture, self.series.files[i])) for i in chosen)
        return FrameStream(_checked(pictures, self, selection), self.rate, selection.fps or self.rate, len(chosen))

    def read(self, selection: Selection | None = None) -> Clip:
        """The selected frames at once, as `video_io.read_video`."""
        if self.series is None:
            return read_video(self.path, selection)
        selection = selection or Selection()
        chosen = _chosen(self.series.positions, self.rate, selection)
        hw, budget = selection.hw or self.hw, decoded_bytes_budget()
        if len(chosen) * math.prod(hw) * _BYTES_PER_PIXEL > budget:
            raise ValueError(
                f"{self.name} is too large to decode: {len(chosen)} frames of {hw[1]}x{hw[0]} pixels need more than "
                f"the {budget / 2**20:.0f} MiB that frames may take"
            )
        if not chosen:
            raise ValueError(f"{self.name} holds no frame from {selection.start:g} s on")
        fitted = [self._fitted(self.series.files[index], hw) for index in chosen]
        return Clip(torch.stack([image for image, _ in fitted], dim=1), selection.fps or self.rate, fitted[0][1])

    def _fitted(self, file: Path, hw: tuple[int, int]) -> tuple[Tensor, Framing]:
        image, _ = read_image(file)
        self._check_size(file, (image.shape[1], image.shape[2]))
        return fit_video(image, hw)

    def _picture(self, file: Path) -> Tensor:
        """uint8 [H, W, 3]."""
        _, picture = next(stream_video(file, Selection(frames=1)).frames)
        self._check_size(file, (picture.shape[0], picture.shape[1]))
        return picture

    def _check_size(self, file: Path, hw: tuple[int, int]) -> None:
        if hw != self.hw:
            raise ValueError(
                f"{file} is {hw[1]}x{hw[0]} and the pictures before it {self.hw[1]}x{self.hw[0]}: a series has one size"
            )


def open_reel(path: str | Path, *, fps: float | None = None) -> Reel:
    """The footage that `path` names, after its first frame was decoded: a video file, a folder of pictures, or a
    pattern (f_%04d.exr, f_####.exr, f_*.exr). `fps` is the rate of a series; of a video file it says nothing.

    Raises ValueError in one sentence where there is no footage, OSError where it cannot be read.
    """
    path = Path(path)
    if not names_series(path):
        stream = stream_video(path)
        _, picture = next(stream.pictures)
        height, width = picture().shape[:2]
        times = frame_times(path)
        said = _uneven_note(times, stream.rate)
        return Reel(path, path.name, stream.rate, (height, width), _places(times, stream.rate), notes=said)
    series = find_series(path)
    _, first = next(stream_video(series.files[0], Selection(frames=1)).frames)
    notes = [f"{len(series.files)} pictures, {series.files[0].name} to {series.files[-1].name}", *series.notes]
    if fps is None:
        notes.append(f"a series says no rate: {SERIES_RATE:g} frames a second are assumed, --fps says another")
    if series.files[0].suffix.lower() in (".exr", ".hdr"):
        notes.append("linear light is brought to sRGB, above 1 it is cut off")
    rate = SERIES_RATE if fps is None else check_frame_rate(fps)
    hw = (first.shape[0], first.shape[1])
    return Reel(path, series.name, rate, hw, series.positions[-1] + 1, series, tuple(notes))


def _places(times: list[float], rate: float) -> int:
    """How many places in time frames at `times` take, each the number that `stream_video` gives it."""
    last = -1
    for time in times:
        if time * rate > -0.5:  # what lies before the start is not shown
            last = max(round(time * rate), last + 1)
    return max(last, 0) + 1


def _uneven_note(times: list[float], rate: float) -> tuple[str, ...]:
    """What is said of a file whose frames do not come at one rate, as those of phones: () of any other."""
    gaps = sorted(b - a for a, b in pairwise(times))
    if not gaps or gaps[-1] <= _EVEN * gaps[len(gaps) // 2] and gaps[0] * _EVEN >= gaps[len(gaps) // 2]:
        return ()
    return (
        f"the rate of the file varies ({len(times)} frames, {1e3 * gaps[0]:.0f} to {1e3 * gaps[-1]:.0f} ms apart): its "
        f"cameras are put near their times at {rate:.4g} frames a second, so numbers may be left out; a constant rate "
        "(ffmpeg -fps_mode cfr) gives the numbers that an editor counts",
    )


def _chosen(positions: tuple[int, ...], rate: float, selection: Selection) -> list[int]:
    """The indices of the pictures that a selection asks for: as a video's, the nearest to each moment, or all."""
    most = math.inf if selection.frames is None else selection.frames
    if selection.fps is None:
        kept = [i for i, position in enumerate(positions) if position > selection.start * rate - 0.5]
        return kept if selection.frames is None else kept[: selection.frames]
    chosen: list[int] = []
    while len(chosen) < most:
        at = (selection.start + len(chosen) / selection.fps) * rate
        if at >= positions[-1] + 0.5:
            return chosen
        after = min(bisect_left(positions, at), len(positions) - 1)
        before = max(after - 1, 0)
        chosen.append(after if positions[after] - at <= at - positions[before] else before)
    return chosen


def _checked(
    pictures: Iterator[tuple[int, Callable[[], Tensor]]], reel: Reel, selection: Selection
) -> Iterator[tuple[int, Callable[[], Tensor]]]:
    """The pictures; ValueError where there is none."""
    empty = True
    for each in pictures:
        empty = False
        yield each
    if empty:
        raise ValueError(f"{reel.name} holds no frame from {selection.start:g} s on")

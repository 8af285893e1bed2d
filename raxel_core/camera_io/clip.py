"""From the cameras of a file, one after the other as they stand in it, to one clip: the way every reader ends.

One camera is chosen, its frames are put in order, lenses become pinholes, times become a rate, and frames that are left
out become gaps; each decision is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot, isfinite
from typing import TypeVar

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera, K_from_focal
from ..geometry.distortion import Lens
from .format import assumed_K, assumed_unit, trajectory_of
from .frame_names import in_order, numbers_in, without_split
from .gaps import with_gaps
from .parsing import check_frames
from .reading import MOST_FIRST, Assumed, CameraFormatError, Reading
from .timestamps import RATES, Clock, by_time, clock_of
from .tracks import frames_of_track

# The share of the image's diagonal by which a distortion may move a corner before a pinhole says something else.
_MOST_DISTORTION = 0.05
_SHOWN_WARNINGS = 3
_UNIT_LENGTH = 1e-3


@dataclass(frozen=True, eq=False)
class Frames:
    """The cameras in a file; what is None or empty it does not say.

    `motions` [F, 4, 4] are camera-to-world in OpenCV axes, on whose axes there may be a scale where `scaled`; `lenses`
    one a frame; `names` of the pictures, `cameras` what the file calls those that took them; `numbers` of the frames;
    `times` [F], which should count in `time_unit`; `fps`, and the `unit` of lengths; `title` of the clip.
    """

    motions: Tensor
    lenses: Sequence[Lens] = ()
    names: Sequence[str] = ()
    cameras: Sequence[str] = ()
    numbers: Sequence[int] = ()
    times: Tensor | None = None
    time_unit: str = "seconds"
    fps: float | None = None
    unit: str | None = None
    title: str = ""
    scaled: bool = False

    def of(self, kept: Sequence[int]) -> Frames:
        """The frames at the indices `kept`, in that order."""
        return replace(
            self,
            motions=self.motions[list(kept)],
            lenses=picked(self.lenses, kept),
            names=picked(self.names, kept),
            cameras=picked(self.cameras, kept),
            numbers=picked(self.numbers, kept),
            times=None if self.times is None else self.times[list(kept)],
        )


_Item = TypeVar("_Item")


def picked(items: Sequence[_Item], kept: Sequence[int]) -> list[_Item]:
    """The items at the indices `kept`; none where there are none."""
    return [items[index] for index in kept] if items else []


def posed(rows: Tensor, file_name: str, turns: Tensor | None = None) -> tuple[list[int], tuple[str, ...]]:
    """The indices of the frames whose numbers in `rows` [F, ...] are all known and whose `turns` (`rows` where None)
    are not all zero, and a note on the others: frames that an estimator lost.

    Raises CameraFormatError where none is left.
    """
    flat = rows.flatten(1)
    known = flat.isfinite().all(-1) & ((flat if turns is None else turns.flatten(1)) != 0.0).any(-1)
    kept = known.nonzero().flatten().tolist()
    if not kept:
        raise CameraFormatError(
            f"{file_name}: none of its {len(rows)} frames has a pose: all are nan, infinite or zero"
        )
    lost = len(rows) - len(kept)
    return kept, (f"{lost} of {len(rows)} frames have no pose (nan, infinity or zeros).",) if lost else ()


def left_without_camera(views: int, posed: int) -> tuple[str, ...]:
    """The note that says of how many views a reconstruction knows no camera; none where it knows all."""
    return () if posed == views else (f"{views - posed} of {views} views have no camera.",)


def reading_of(
    frames: Frames,
    format: str,
    file_name: str,
    assumed: Assumed,
    *,
    convention: str,
    lens_from: str = "the file",
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> Reading:
    """The reading of `frames` by the format named `format`; `file_name` opens each refusal.

    `convention` and `notes` say how the matrices were read, `lens_from` where the lenses stand. Raises
    CameraFormatError when a frame is no camera.
    """
    check_frames(len(frames.motions), file_name)
    frames, order_notes, order_warnings = _ordered(frames, assumed.track, file_name)
    motions, scale_notes = _rigid(frames)
    K, hw, K_note, lens_warnings = _pinholes(frames, lens_from, assumed, file_name)
    clock = _clock(frames, assumed)
    trajectory, mended = trajectory_of(
        motions, K, hw, file_name, fps=clock.fps, unit=frames.unit or assumed.unit, name=frames.title[:200]
    )
    numbers = None if clock.numbers is None else tuple(clock.numbers.tolist())
    gap_warnings: list[str] = []
    if numbers is not None:
        trajectory, gap_warnings = with_gaps(trajectory, numbers, assumed.gaps, file_name)
    filled = len(trajectory) != len(motions)
    length = f"Lengths: {frames.unit}, from the file." if frames.unit else assumed_unit(assumed)
    return Reading(
        trajectory,
        format,
        (*order_notes, convention, *notes, *scale_notes, K_note, clock.note, length, *mended),
        (*order_warnings, *gap_warnings, *lens_warnings, *clock.warnings, *warnings),
        numbers=None if filled else numbers,
        times=None if filled else clock.seconds,
        lenses=tuple(frames.lenses),
        names=tuple(frames.names),
        first=numbers[0] if numbers is not None and 0 < numbers[0] <= MOST_FIRST else None,
    )


def _ordered(frames: Frames, track: str, file_name: str) -> tuple[Frames, list[str], list[str]]:
    """The frames of one camera, in order, and what there is to say of both."""
    count = len(frames.motions)
    names = frames.names or [""] * count
    sizes = [lens.hw for lens in frames.lenses] or [(1, 1)] * count
    kept, warnings = frames_of_track(names, sizes, frames.cameras or [""] * count, track, file_name)
    frames = frames.of(kept)
    if frames.numbers and len(set(frames.numbers)) == len(kept):
        order = sorted(range(len(kept)), key=lambda index: frames.numbers[index])
        return frames.of(order), [], list(warnings)
    if not frames.names:
        order, order_warnings = by_time(frames.motions[:, :3, 3], frames.times)
        return frames.of(order), [], [*warnings, *order_warnings]
    frames, doubled = _once(frames)
    warnings = (*warnings, *doubled)
    order, order_warnings = in_order([without_split(name) for name in frames.names])
    frames = frames.of(order)
    first, last = (repr(frames.names[index][:80]) for index in (0, -1))
    told = f"{len(order)} pictures in the order of their names, from {first} to {last}."
    return frames, [told], [*warnings, *order_warnings]


def _once(frames: Frames) -> tuple[Frames, tuple[str, ...]]:
    """The frames without those whose picture and pose stand there before, and warnings that say how many, and of how
    many the picture alone does."""
    first: dict[str, int] = {}
    for index, name in enumerate(frames.names):
        first.setdefault(name, index)
    origin = [first[name] for name in frames.names]
    same = (frames.motions == frames.motions[origin]).flatten(1).all(-1).tolist()
    kept = [index for index, name in enumerate(frames.names) if first[name] == index or not same[index]]
    doubled, moved = len(frames.names) - len(kept), len(kept) - len(first)
    told = [f"{doubled} pictures stand in the file twice and were read once"] if doubled else []
    if moved and all(frames.names):
        told.append(f"{moved} pictures stand in the file again with another pose: each was taken as a frame of its own")
    return frames.of(kept), tuple(told)


def _rigid(frames: Frames) -> tuple[Tensor, list[str]]:
    """The motions without the scale that objects of 3D programs may have."""
    lengths = torch.linalg.vector_norm(frames.motions[:, :3, :3], dim=1, keepdim=True)
    if not frames.scaled or not bool(((lengths - 1.0).abs() > _UNIT_LENGTH).any()) or not bool((lengths > 0.0).all()):
        return frames.motions, []
    rotation = frames.motions[:, :3, :3] / lengths
    rigid = se3.from_rotation_translation(rotation, frames.motions[:, :3, 3])
    return rigid, [f"The scale on the camera's own axes ({float(lengths[0, 0, 0]):.4g}) was left out."]


def _clock(frames: Frames, assumed: Assumed) -> Clock:
    """Rate and numbers of the frames: from their numbers, their times, or the pictures' names."""
    numbers, times, unit = frames.numbers, frames.times, frames.time_unit
    warnings: tuple[str, ...] = ()
    if times is None and not numbers and frames.names:
        from_names, times = numbers_in(frames.names)
        numbers = from_names or ()
    if times is not None:
        clock = clock_of(times, unit, frames.fps or assumed.rate)
        if frames.times is None and not RATES[0] <= clock.fps <= RATES[1]:
            return _photographs(clock, frames.fps or assumed.rate)
        if clock.seconds is not None or clock.numbers is not None:
            return clock
        warnings = clock.warnings
        numbers = numbers or (numbers_in(frames.names)[0] or ())
    fps = frames.fps or assumed.rate
    given = "from the file" if frames.fps else "assumed; the format has none"
    rising = len(numbers) == len(frames.motions) and all(b > a for a, b in zip(numbers, numbers[1:], strict=False))
    found = torch.tensor(list(numbers)) if rising else None
    note = clock.note if times is not None else f"Time: {fps:g} frames a second, {given}."
    return Clock(fps, found, None, note, warnings)


def _photographs(clock: Clock, fps: float) -> Clock:
    """Neighbouring frames at `fps`, of pictures whose names' times make no film's rate."""
    note = f"Time: {fps:g} frames a second, assumed; the times in the pictures' names make no film."
    told = f"the times in the pictures' names would give {clock.fps:.2g} frames a second: {fps:g} were assumed (--fps)"
    return Clock(fps, None, clock.seconds, note, (told,))


def _pinholes(
    frames: Frames, lens_from: str, assumed: Assumed, file_name: str
) -> tuple[Tensor, tuple[int, int], str, list[str]]:
    """K [F, 3, 3] or [3, 3], the pictures' size, where both come from, and warnings of distortions."""
    lenses = frames.lenses
    if not lenses:
        K, note = assumed_K(assumed)
        return K, assumed.hw, note, []
    hw = Counter(lens.hw for lens in lenses).most_common(1)[0][0]
    oblong = next((lens.hw for lens in lenses if not _same_aspect(lens.hw, hw)), None)
    if oblong is not None:
        shown = f"{hw[1]}x{hw[0]} and {oblong[1]}x{oblong[0]}"
        raise CameraFormatError(f"{file_name}: expected pictures of one aspect, found {shown}; a track takes one size")
    found: dict[Lens, tuple[Tensor, tuple[str, ...]]] = {}
    for index, lens in enumerate(lenses):
        if lens not in found:
            where = f"{file_name} {frames.cameras[index]}" if frames.cameras else file_name
            found[lens] = _pinhole(lens, hw, assumed.undistort, where)
    warnings = list(dict.fromkeys(told for _, lens_warnings in found.values() for told in lens_warnings))
    if len(warnings) > _SHOWN_WARNINGS:
        warnings = [*warnings[:_SHOWN_WARNINGS], f"the same holds for {len(warnings) - _SHOWN_WARNINGS} more lenses"]
    models = sorted({lens.model for lens in lenses})
    note = f"K: from {lens_from} ({', '.join(models)}), pixels of {hw[1]} x {hw[0]}, counted from the corner as ours."
    return torch.stack([found[lens][0] for lens in lenses]), hw, note, warnings


def _same_aspect(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether pictures of two (height, width) differ in scale alone, but for two pixels."""
    return abs(a[0] * b[1] - a[1] * b[0]) <= 2 * max(*a, *b)


def _pinhole(lens: Lens, hw: tuple[int, int], undistort: bool, file_name: str) -> tuple[Tensor, tuple[str, ...]]:
    """K [3, 3] in a picture of `hw`, and a warning of the distortion; CameraFormatError where a pinhole cannot stand
    for the lens."""
    warnings: tuple[str, ...] = ()
    if lens.distorted and undistort:
        try:
            lens, model = lens.pinhole(), lens.model
        except ValueError as error:
            raise CameraFormatError(f"{file_name}: {error}") from error
        warnings = (
            f"K is that of the largest pinhole inside the {model} pictures: they need undistorting too "
            "(`trajectory undistort` does it)",
        )
    elif lens.distorted:
        warnings = _distortion_warning(lens, file_name)
    fx, fy, cx, cy = lens.intrinsics
    rows = torch.tensor(((fx, fy), (cx, cy)), dtype=torch.float64)
    camera = Camera(torch.eye(4, dtype=torch.float64), K_from_focal(rows[0], rows[1]), lens.hw)
    return camera.resized(hw).K, warnings


def _distortion_warning(lens: Lens, file_name: str) -> tuple[str, ...]:
    pixels = lens.corner_shift
    if pixels > _MOST_DISTORTION * hypot(*lens.hw):
        how = f"by {pixels:.3g} pixels" if isfinite(pixels) else "out of its view"
        raise CameraFormatError(
            f"{file_name}: its {lens.model} lens distortion moves the image's corners {how}, too far for a pinhole: "
            "read it with undistort on, which takes the largest pinhole inside, and undistort the pictures too "
            "(`trajectory undistort`)"
        )
    if pixels < 0.005:
        return ()
    return (
        f"{file_name}: its lens distortion ({lens.model}) was left out, which moves the image's corners by "
        f"{pixels:.2g} pixels; with undistort on it is not",
    )

"""Camera files of other programs, in and out: all foreign conventions end here."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import torch

from ..geometry.estimate import Estimate, estimate_of
from ..geometry.sparse_points import SparsePoints
from ..geometry.trajectory import Trajectory
from ..paths.estimate_path import estimate_from_json
from . import (
    after_effects,
    after_effects_keys,
    arrays,
    blender_py,
    bundler,
    camera_path,
    camera_rows,
    colmap,
    earth_studio,
    euroc,
    gltf,
    headed,
    lingbot,
    llff,
    matrix_files,
    matrix_rows,
    meshroom,
    metashape,
    nerfstudio,
    nerfstudio_path,
    nuke_chan,
    open3d,
    openmvg,
    opensfm,
    polycam,
    realestate10k,
    reality_capture,
    recammaster,
    record3d,
    scope,
    splat_cameras,
    tum,
    usda,
    vllm_omni,
    worldplay,
)
from .content import Content
from .foreign import way_out
from .format import CameraFormat, left_out
from .gaps import numbered, placed
from .parsing import MOST_JSON_BYTES, listed, read_text, reading_from
from .plausibility import doubts
from .reading import MOST_FIRST, Assumed, CameraFormatError, Reading

# In the order in which a file is held against them: what is told for sure stands before bare tables of numbers.
FORMATS: tuple[CameraFormat, ...] = (
    camera_path.FORMAT,
    colmap.BINARY,
    colmap.TEXT,
    nerfstudio.FORMAT,
    nerfstudio_path.FORMAT,
    usda.FORMAT,
    gltf.FORMAT,
    nuke_chan.FORMAT,
    blender_py.FORMAT,
    after_effects.FORMAT,
    recammaster.FORMAT,
    worldplay.FORMAT,
    vllm_omni.FORMAT,
    camera_rows.FORMAT,
    splat_cameras.FORMAT,
    open3d.FORMAT,
    openmvg.FORMAT,
    meshroom.FORMAT,
    opensfm.FORMAT,
    record3d.FORMAT,
    polycam.FORMAT,
    earth_studio.FORMAT,
    metashape.FORMAT,
    bundler.FORMAT,
    reality_capture.FORMAT,
    after_effects_keys.FORMAT,
    lingbot.FORMAT,
    scope.FORMAT,
    llff.FORMAT,
    arrays.FORMAT,
    matrix_files.FORMAT,
    euroc.FORMAT,
    headed.FORMAT,
    realestate10k.FORMAT,
    matrix_rows.KITTI,
    matrix_rows.ROWS,
    tum.FORMAT,
)
WRITTEN: tuple[CameraFormat, ...] = tuple(known for known in FORMATS if known.write is not None)
# A folder of no format of its own is searched for a file or folder that is one, and then the folders in it, if they
# hold at most so many.
_MOST_SEARCHED = 200


def format_named(name: str) -> CameraFormat:
    """The format called `name`; ValueError that lists them otherwise."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise ValueError(
        f"there is no camera format {name[:40]!r}; there are: {', '.join(known.name for known in FORMATS)}"
    )


def read_cameras(path: str | Path, *, format: str | None = None, assumed: Assumed | None = None) -> Reading:
    """The cameras in the file or folder `path`, and in words how it was read.

    Without a `format` (one name of FORMATS) the content decides; in a folder, that of the one file with cameras.
    `assumed` holds what a format does not say, and what to choose where a file leaves a choice. Raises
    CameraFormatError in one sentence when the content is no cameras, ValueError for an unknown format.
    """
    path, assumed = Path(path), assumed or Assumed()
    with reading_from(path):
        chosen, path = located(path) if format is None else (format_named(format), path)
        reading = _at_rate(chosen.read(path, assumed), assumed)
    return replace(reading, warnings=(*reading.warnings, *doubts(reading.trajectory)))


def write_cameras(
    trajectory: Trajectory,
    path: str | Path,
    *,
    format: str | None = None,
    points: SparsePoints | None = None,
    first: int | None = None,
) -> tuple[Path, ...]:
    """Write `trajectory` as `path`, whole files or none, and return the files; computed in float64.

    `points` of the scene go with it where the format has a place for them (COLMAP's); `first` is the number of the
    first frame (`Reading.first`), which formats that have no place for it leave out.

    Without a `format` the name of `path` decides. What the format has no place for (`lost_in`) is left out. Raises
    CameraFormatError when the format cannot hold the cameras or the name does not decide, ValueError for an unknown
    format, OSError when nothing can be written there.
    """
    path = Path(path)
    chosen = format_for(path, format)
    try:
        camera = trajectory.camera.validate().to("cpu", torch.float64)
    except ValueError as error:
        raise CameraFormatError(f"{path.name} is not written: {error}") from error
    precise = replace(trajectory, camera=camera)
    _check_first(first, path)
    if points is None and first is not None and chosen.write_numbered is not None:
        return chosen.write_numbered(precise, path, first)
    if points is None:
        assert chosen.write is not None
        return chosen.write(precise, path)
    if chosen.write_points is None:
        raise CameraFormatError(f"{path.name} is not written: {chosen.name} has no place for points, colmap has")
    return chosen.write_points(precise, points, path)


def _check_first(first: int | None, path: Path) -> None:
    """CameraFormatError where frames would have numbers that no program counts to."""
    if first is not None and abs(first) > MOST_FIRST:
        raise CameraFormatError(f"{path.name} is not written: frame numbers lie within {MOST_FIRST}, got {first}")


def read_estimate(path: str | Path, *, frames: int = 0, numbers: range | None = None) -> Estimate:
    """The estimate in a camera path v1 of ours; of other cameras one without error bars.

    `frames` is how many the footage has, 0 where that is not known, and `numbers` are those it gives them (1001 on):
    cameras lie where `frames_in` says; those of frames that it does not have are left out, which is noted. Errors as
    those of `read_cameras`, ValueError where none is left.
    """
    return estimate_in(read_cameras(path), Path(path), frames=frames, numbers=numbers)


def estimate_in(reading: Reading, path: Path, *, frames: int = 0, numbers: range | None = None) -> Estimate:
    """As `read_estimate`, of the `reading` of the file `path`."""
    if reading.format == "camera_path":
        told = estimate_from_json(read_text(path, most=MOST_JSON_BYTES), dtype=torch.float64)
        if told is not None:
            return told
    trajectory, places, notes = laid_over(reading, path, frames=frames, numbers=numbers)
    return estimate_of(trajectory, path.name, frames=places, notes=notes)


def laid_over(
    reading: Reading, path: Path, *, frames: int, numbers: range | None
) -> tuple[Trajectory, tuple[int, ...], tuple[str, ...]]:
    """The cameras of the file `path` that are of frames of the footage, those frames (`frames_in`), and a note where
    others were left out; ValueError where all are."""
    trajectory, places = reading.trajectory, frames_in(reading, frames, numbers)
    kept = [index for index, place in enumerate(places) if place >= 0]
    if len(kept) == len(places):
        return trajectory, places, ()
    assert numbers is not None
    footage = f"of frames {numbers[0]} to {numbers[-1]}, which the footage has"
    if not kept:
        raise ValueError(f"{path.name}: none of its cameras, from {reading.stated[0]} on, is {footage}")
    trajectory = replace(trajectory, camera=trajectory.camera[kept], numbers=None)
    note = f"{len(places) - len(kept)} of its {len(places)} cameras are not {footage}: they were left out"
    return trajectory, tuple(places[index] for index in kept), (note,)


def frames_in(reading: Reading, frames: int, numbers: range | None = None) -> tuple[int, ...]:
    """The frame, from 0, of footage of so many `frames` (0 where that is not known) that each camera of a file is of.

    An estimate of ours says so. The numbers of other files are those that the footage gives its frames, as pictures'
    names do (1001 on); of a camera that is of none of them, -1. Numbers from 0 or 1 on count from the path's beginning.
    Footage without numbers counts from 1 on, in formats that number frames; where that is too few for a file's numbers,
    such as those of a plate from 1001 on, they count from the path's beginning too.
    """
    if reading.estimated and reading.numbers is not None:
        return reading.numbers
    told = reading.stated
    if not tells_frames(reading, numbers) or (numbers is None and told[-1] - told[0] >= frames):
        return reading.trajectory.frame_numbers
    if numbers is None or told[0] in (0, 1):
        begins = 1 if numbers is None and told[0] > 0 and told[-1] <= frames else told[0]
        return tuple(number - begins for number in told)
    return tuple(numbers.index(number) if number in numbers else -1 for number in told)


def tells_frames(reading: Reading, numbers: range | None = None) -> bool:
    """Whether a file says which frames of footage its cameras are of: names of pictures say it where the footage has
    `numbers`."""
    named = numbers is None and format_named(reading.format).write_numbered is None
    return reading.estimated or (bool(reading.stated) and not named)


def write_estimate(
    estimate: Estimate, path: str | Path, *, format: str | None = None, first: int | None = None
) -> tuple[Path, ...]:
    """Write the path of `estimate` as `write_cameras` does, with what the format can hold of the rest.

    camera_path holds all but the points, COLMAP's models hold the points and the pictures' names. In other formats the
    frames are numbered as the pictures are, or from `first` on, and pictures without a camera are gaps (`placed`).
    """
    path = Path(path)
    chosen = format_for(path, format)
    if chosen.write_estimate is None:
        trajectory, own = _in_frames(estimate, chosen)
        return write_cameras(trajectory, path, format=chosen.name, first=own if first is None else first)
    _check_first(first, path)
    return chosen.write_estimate(estimate, path, first)


def lost_in(trajectory: Trajectory, path: str | Path, *, format: str | None = None, first: int | None = None) -> str:
    """One sentence on what of `trajectory`, whose first frame is number `first`, the file `path` has no place for; ""
    where it holds all."""
    chosen = format_for(Path(path), format)
    return _no_place(chosen, _lost(trajectory, chosen, first))


def lost_of(estimate: Estimate, path: str | Path, *, format: str | None = None, first: int | None = None) -> str:
    """As `lost_in`, of what `write_estimate` leaves out of the estimate's path."""
    chosen = format_for(Path(path), format)
    if chosen.write_estimate is not None:
        found = _lost(estimate.trajectory, chosen, first)
        if chosen in (colmap.TEXT, colmap.BINARY) and estimate.footage.pictures and not colmap.picture_names(estimate):
            found = (*found, "the pictures' names (they have spaces, or are not one each)")
        return _no_place(chosen, found)
    trajectory, own = _in_frames(estimate, chosen)
    found = _lost(trajectory, chosen, own if first is None else first)
    if own is None and first is None:
        rates = f"{estimate.trajectory.fps:g} cameras a second of {estimate.footage.rate:g}"
        found = (*found, f"which frames of the footage they are ({rates}): they count for themselves")
    return _no_place(chosen, found)


def _in_frames(estimate: Estimate, chosen: CameraFormat) -> tuple[Trajectory, int | None]:
    """The path as a file of the format holds it, and the number of its first frame: in the frames of the footage where
    the format numbers frames, else at the path's own rate."""
    told = numbered(estimate) if chosen.write_numbered is not None and estimate.trajectory.numbers is None else None
    return told or placed(estimate)[:2]


def _lost(trajectory: Trajectory, chosen: CameraFormat, first: int | None) -> tuple[str, ...]:
    numbered = first in (None, 0, 1) or chosen.write_numbered is not None
    told = () if numbered else (f"the frames' numbers in the footage (from {first} on)",)
    return (*left_out(trajectory, chosen), *told)


def _no_place(chosen: CameraFormat, found: tuple[str, ...]) -> str:
    return f"{chosen.name} has no place for {', '.join(found)}" if found else ""


def format_of(path: Path) -> CameraFormat:
    """The first format that recognises the content of `path`; CameraFormatError when none does."""
    return located(path)[0]


def located(path: Path) -> tuple[CameraFormat, Path]:
    """The format of `path` and where its cameras are: `path` itself, or the one file in a folder that holds some.

    Raises CameraFormatError that says what was found when there are none, or several to choose between.
    """
    try:
        there = path.exists()
    except (OSError, ValueError) as error:  # no name that a file can have
        raise CameraFormatError(f"{path.name[:80]}: expected a file or folder of cameras, {error}") from error
    if not there:
        raise CameraFormatError(f"{path.name[:80]}: expected a file or folder of cameras, found nothing there")
    content = Content(path)
    known = _recognised(content)
    if known is not None:
        return known, path
    inside = _inside(content)
    below = [file for entry in inside for file in _inside(entry)]
    found = _of_a_format(inside) or _of_a_format(below)
    if len(found) == 1:
        return found[0]
    if found:
        names = listed(file.name for _, file in found)
        raise CameraFormatError(f"{path.name}: expected one file of cameras in the folder, found {names}: name one")
    refused = next((entry for entry in inside if way_out(entry)), inside[0] if len(inside) == 1 else content)
    told = (
        way_out(content) or way_out(refused) or f"expected cameras, found {refused.described()}; no format here is that"
    )
    raise CameraFormatError(f"{refused.path.name}: {told}")


def _inside(content: Content) -> list[Content]:
    """What a folder holds, of few names; links to folders, which may lead out of it, are passed over."""
    names = content.files if content.is_folder and len(content.files) <= _MOST_SEARCHED else ()
    paths = [content.path / name for name in names]
    return [Content(path) for path in paths if path.is_file() or (path.is_dir() and not path.is_symlink())]


def _of_a_format(entries: list[Content]) -> list[tuple[CameraFormat, Path]]:
    """Those of `entries` that a format recognises, few enough to be looked at."""
    few = entries[: _MOST_SEARCHED if len(entries) <= _MOST_SEARCHED else 0]
    return [(known, entry.path) for entry in few if (known := _recognised(entry)) is not None]


def _recognised(content: Content) -> CameraFormat | None:
    return next((known for known in FORMATS if known.recognise(content)), None)


def _at_rate(reading: Reading, assumed: Assumed) -> Reading:
    """The reading at the rate that was asked for, where one was, which is said."""
    given, found = assumed.fps, reading.trajectory.fps
    if given is None:
        return reading
    note = f"Time: {given:g} frames a second, as given" + ("." if found == given else f"; the file says {found:.6g}.")
    notes = tuple(line for line in reading.notes if not line.startswith("Time:"))
    return replace(reading, trajectory=replace(reading.trajectory, fps=given), notes=(*notes, note))


def format_for(path: Path, format: str | None = None) -> CameraFormat:
    """The format that a file called `path` is written in: the one named, or that of the longest pattern that fits.

    Raises CameraFormatError when the name does not tell, or the format is only read; ValueError for an unknown one.
    """
    if format is not None:
        chosen = format_named(format)
        if chosen.write is None:
            raise CameraFormatError(f"{path.name} is not written: {chosen.title} is only read here")
        return chosen
    name = path.name.lower()
    fits = [(len(pattern), known) for known in WRITTEN for pattern in known.patterns if fnmatchcase(name, pattern)]
    longest = max((length for length, _ in fits), default=0)
    fitting = [known for length, known in fits if length == longest]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(known.name for known in fitting or WRITTEN)
    raise CameraFormatError(f"{path.name}: its name does not say the format: choose one of {names}")

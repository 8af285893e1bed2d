"""Scenes of RealEstate10K: a published .txt of cameras beside the clip's frames or a local copy of the video.

Frames lie in a folder called as the .txt and are named by their time stamps; a video is called as the .txt (then it is
the clip, and begins at its first stamp) or as the video on its first line (then stamps count from the video's start).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..camera_io import read_cameras
from ..camera_io.parsing import columns_of, is_number, parse_table, read_text
from ..camera_io.reading import Assumed, CameraFormatError
from ..video_io import frame_times, video_hw
from .defects import NO_PICTURES, PART, POSES, TIMES, Defect, SceneError
from .folders import caption_beside, one_size, pictures_in
from .pictures import VIDEO_SUFFIXES, FolderPictures, Pictures, VideoPictures
from .scene import Scene

# How far a frame may lie from its stamp, in seconds (google/stereo-magnification, issue 5).
MOST_OFF = 0.008
_PER_SECOND = 1e6
_COLUMNS = 19
_VIDEO_ID = re.compile(r"(?:v=|youtu\.be/|/)([\w-]{6,20})\s*$")


def is_realestate10k(path: Path) -> bool:
    """Whether a .txt has the rows of RealEstate10K; only its beginning is looked at."""
    with path.open("rb") as file:
        lines = file.read(4096).decode("utf-8", errors="replace").splitlines()
    row = columns_of(lines[1]) if len(lines) > 1 else []
    return len(row) == _COLUMNS and is_number(row[0])


def open_realestate10k(path: Path, root: Path, name: str) -> Scene:
    """The scene of a .txt; its pictures are looked for beside it, and in `root` under `frames` and `videos`."""
    try:
        table = parse_table(read_text(path), path.name, _COLUMNS)
    except CameraFormatError as error:
        raise SceneError(name, POSES, str(error)) from error
    stamps = table.values[:, 0] / _PER_SECOND
    pictures, times, notes = _pictures(path, root, name, stamps, table.heading[0] if table.heading else "")
    rows, frames = matched(stamps, times)
    if not len(rows):
        raise SceneError(name, TIMES, f"none of its {len(stamps)} time stamps matches a frame within 8 ms")
    if len(rows) < len(stamps):
        off = len(stamps) - len(rows)
        notes += (Defect(TIMES, f"{off} of {len(stamps)} time stamps match no frame within 8 ms, and were left out"),)
    try:
        reading = read_cameras(path, format="realestate10k", assumed=Assumed(hw=pictures.hw, gaps="close"))
    except CameraFormatError as error:
        raise SceneError(name, POSES, str(error)) from error
    if len(frames) < len(times) and isinstance(pictures, FolderPictures):
        notes += (Defect(PART, f"{len(times)} pictures, {len(frames)} of them with a camera"),)
    camera = reading.trajectory.camera[rows]
    return Scene(name, _chosen(pictures, frames), camera, stamps[rows], True, caption_beside(path), notes)


def matched(stamps: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Which stamps have a frame within MOST_OFF, and that frame: the indices of both, each frame once."""
    if not len(times):
        return torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    order = times.argsort()
    after = torch.searchsorted(times[order], stamps).clamp(max=len(times) - 1)
    before = (after - 1).clamp(min=0)
    closer = (times[order][after] - stamps).abs() < (times[order][before] - stamps).abs()
    nearest = torch.where(closer, after, before)
    rows = ((times[order][nearest] - stamps).abs() <= MOST_OFF).nonzero()[:, 0]
    rows = rows[nearest[rows].diff(prepend=nearest.new_full((1,), -1)) > 0]
    return rows, order[nearest[rows]]


def _pictures(
    path: Path, root: Path, name: str, stamps: Tensor, heading: str
) -> tuple[Pictures, Tensor, tuple[Defect, ...]]:
    """All pictures or frames that belong to a .txt, and their times [M] on its clock."""
    for folder in (path.with_suffix(""), root / "frames" / path.parent.name / path.stem, root / "frames" / path.stem):
        files = pictures_in(folder)
        if files:
            times = _times_in_names(files, stamps)
            if times is None:
                raise SceneError(name, TIMES, f"the pictures in {folder.name} are not named by time stamps")
            return FolderPictures(tuple(files), one_size(files, name)), times, ()
    found = _VIDEO_ID.search(heading)
    for stem, start in ((path.stem, float(stamps[0])), (found[1] if found else "", 0.0)):
        for video in _videos(path, root, stem) if stem else ():
            try:
                times = torch.tensor(frame_times(video), dtype=torch.float64) + start
                return VideoPictures(video, tuple(range(len(times))), video_hw(video)), times, ()
            except (ValueError, OSError) as error:
                raise SceneError(name, NO_PICTURES, str(error)) from error
    raise SceneError(name, NO_PICTURES, f"neither a folder {path.stem} of frames nor its video is there")


def _videos(path: Path, root: Path, stem: str) -> Iterator[Path]:
    for folder in (path.parent, path.parent / "videos", root / "videos", root):
        yield from (file for suffix in VIDEO_SUFFIXES if (file := folder / f"{stem}{suffix}").is_file())


def _times_in_names(files: list[Path], stamps: Tensor) -> Tensor | None:
    """The seconds [M] that the files' names state in microseconds; None where a name states none."""
    if not all(file.stem.isdecimal() and len(file.stem) < 16 for file in files):
        return None
    return torch.tensor([int(file.stem) / _PER_SECOND for file in files], dtype=torch.float64)


def _chosen(pictures: Pictures, frames: Tensor) -> Pictures:
    """Only the pictures at the indices `frames`."""
    kept = frames.tolist()
    if isinstance(pictures, FolderPictures):
        return FolderPictures(tuple(pictures.paths[index] for index in kept), pictures.hw)
    assert isinstance(pictures, VideoPictures)
    return VideoPictures(pictures.path, tuple(pictures.frames[index] for index in kept), pictures.hw)

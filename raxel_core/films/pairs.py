"""Scenes that are a video with a file of cameras of the same name beside it, in any format that `camera_io` reads."""

from __future__ import annotations

from pathlib import Path

import torch

from ..camera_io import frames_in, read_cameras
from ..camera_io.reading import Assumed, CameraFormatError
from ..video_io import frame_times, video_hw
from .defects import NO_CAMERAS, NO_PICTURES, PART, POSES, Defect, SceneError
from .folders import CAPTION, caption_beside
from .pictures import VideoPictures
from .scene import Scene

_CAMERAS = (".json", ".txt", ".npz", ".npy", ".csv", ".usda", ".gltf", ".glb", ".chan", ".torch.json")


def camera_file_of(video: Path) -> Path | None:
    """The camera file beside a video; None where there is none."""
    beside = (video.with_suffix(suffix) for suffix in _CAMERAS)
    return next((file for file in beside if file.is_file() and not file.name.endswith(CAPTION)), None)


def open_pair(video: Path, name: str) -> Scene:
    """The scene of a video and the camera file beside it. SceneError where it cannot be used."""
    file = camera_file_of(video)
    if file is None:
        raise SceneError(name, NO_CAMERAS, "no file of cameras lies beside the video")
    try:
        times, hw = torch.tensor(frame_times(video), dtype=torch.float64), video_hw(video)
    except (ValueError, OSError) as error:
        raise SceneError(name, NO_PICTURES, str(error)) from error
    try:
        reading = read_cameras(file, assumed=Assumed(hw=hw, gaps="keep"))
    except (CameraFormatError, OSError) as error:
        raise SceneError(name, POSES, str(error)) from error
    path = reading.trajectory
    numbers = frames_in(reading, len(times))
    known = [index for index, number in enumerate(numbers) if number < len(times)]
    frames = tuple(numbers[index] for index in known)
    notes: tuple[Defect, ...] = ()
    if len(known) < len(path) or len(known) < len(times):
        notes = (Defect(PART, f"{len(times)} frames and {len(path)} cameras: {len(known)} have both"),)
    camera = path.camera[known].resized(hw)
    return Scene(
        name, VideoPictures(video, frames, hw), camera, times[list(frames)], True, caption_beside(video), notes
    )

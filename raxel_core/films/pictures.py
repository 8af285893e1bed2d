"""The pictures of a scene, in a folder or a video: read by number, undistorted, and fitted into a clip's size."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..framing import Framing, fit_video, framing_for
from ..geometry.distortion import Lens
from ..runtime.opencv import load_opencv
from ..video_io import read_frames
from ..warp.undistortion import undistorted

SUFFIXES = (".png", ".jpg", ".jpeg")
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
_HEAD = 1 << 16
_PNG = b"\x89PNG\r\n\x1a\n"
# JPEG's frame headers hold the size; C4, C8 and CC are other tables.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Pictures(Protocol):
    """The pictures of a scene by number from 0, as a pinhole sees them."""

    @property
    def hw(self) -> tuple[int, int]:
        """The (height, width) of each."""
        ...

    def read(self, numbers: Sequence[int], hw: tuple[int, int]) -> tuple[Tensor, Framing]:
        """The pictures `numbers` as [3, N, h, w] in [-1, 1], fitted into `hw`, and how; ValueError where one fails."""
        ...


@dataclass(frozen=True)
class FolderPictures:
    """Picture files of one size, and the lens of each where it is no pinhole."""

    paths: tuple[Path, ...]
    hw: tuple[int, int]
    lenses: tuple[Lens | None, ...] = ()

    def read(self, numbers: Sequence[int], hw: tuple[int, int]) -> tuple[Tensor, Framing]:
        """As `Pictures.read`."""
        fitted = [fit_video(self.picture(number), hw)[0] for number in numbers]
        return torch.stack(fitted, 1), framing_for(self.hw, hw)

    def picture(self, number: int) -> Tensor:
        """One picture [3, H, W] in [-1, 1] at its own size."""
        image = read_picture(self.paths[number])
        if image.shape[:2] != self.hw:
            raise ValueError(f"{self.paths[number]} is {_size(image.shape[:2])}, the scene's are {_size(self.hw)}")
        lens = self.lenses[number] if self.lenses else None
        straight = image if lens is None else undistorted(image, lens)
        return torch.from_numpy(np.ascontiguousarray(straight)).permute(2, 0, 1).float() / 127.5 - 1.0


@dataclass(frozen=True)
class VideoPictures:
    """Frames of a video file by their numbers in it, `frames` [N]."""

    path: Path
    frames: tuple[int, ...]
    hw: tuple[int, int]

    def read(self, numbers: Sequence[int], hw: tuple[int, int]) -> tuple[Tensor, Framing]:
        """As `Pictures.read`."""
        return read_frames(self.path, [self.frames[number] for number in numbers], hw), framing_for(self.hw, hw)


def read_picture(path: Path) -> np.ndarray:
    """A picture file as uint8 RGB [H, W, 3], its pixels as they are stored (a mark to turn it is not followed, as in
    reconstructions); ValueError where it is none."""
    cv2 = load_opencv()
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if len(data) else None
    if image is None:
        raise ValueError(f"{path} is not a picture that can be read")
    return image[..., ::-1]


def picture_hw(path: Path) -> tuple[int, int] | None:
    """The (height, width) that the header of a PNG or JPEG file states; None where it states none."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head.startswith(_PNG) and len(head) >= 24:
            width, height = struct.unpack(">II", head[16:24])
            return height, width
        return _jpeg_hw(head) if head.startswith(b"\xff\xd8") else None


def _jpeg_hw(head: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(head):
        if head[place] != 0xFF:
            return None
        if head[place + 1] in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", head[place + 5 : place + 9])
            return height, width
        place += 2 + int.from_bytes(head[place + 2 : place + 4], "big")
    return None


def is_picture(path: Path) -> bool:
    """Whether a file is named as a picture."""
    return path.suffix.lower() in SUFFIXES


def is_video(path: Path) -> bool:
    """Whether a file is named as a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def _size(hw: Sequence[int]) -> str:
    return f"{hw[1]}x{hw[0]}"

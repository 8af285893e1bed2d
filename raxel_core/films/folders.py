"""Reconstructions in a folder, DL3DV's among them: a transforms.json or a COLMAP model beside folders of pictures.

A data set often ships its pictures only shrunk (`images_4`, `images_8`) under the names and with the lens of the full
ones; lenses are scaled to what is there. Pictures of a distorted lens are read as the largest pinhole inside sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch

from ..camera_io import read_cameras
from ..camera_io.frame_names import in_order
from ..camera_io.reading import Assumed, CameraFormatError, Reading
from ..geometry.camera import Camera, stack
from ..geometry.distortion import Lens
from .defects import ABSENT, NO_CAMERAS, NO_PICTURES, PART, POSES, SINGLE, SIZE, Defect, SceneError
from .pictures import FolderPictures, is_picture, picture_hw
from .scene import Scene

TRANSFORMS = "transforms.json"
_MODELS = ("sparse/0", "sparse", "colmap/sparse/0", "")
# In this order pictures are taken: the full ones where they are, else the largest.
_FOLDERS = ("images", "images_2", "images_4", "images_8", "")
CAPTION = "caption.txt"


def cameras_in(folder: Path) -> Path | None:
    """The file or model of cameras of a reconstruction in `folder`; None where there is none."""
    if (folder / TRANSFORMS).is_file():
        return folder / TRANSFORMS
    for below in _MODELS:
        model = folder / below if below else folder
        if any((model / f"cameras{ending}").is_file() for ending in (".bin", ".txt")) and any(
            (model / f"images{ending}").is_file() for ending in (".bin", ".txt")
        ):
            return model
    return None


def looks_like_scene(folder: Path) -> bool:
    """Whether a folder holds folders of pictures as a reconstruction does, cameras or not."""
    return any(bool(pictures_in(folder / name)) for name in _FOLDERS if name)


def open_folder(folder: Path, name: str) -> Scene:
    """The scene of a reconstruction in `folder`. SceneError where it cannot be used."""
    cameras = cameras_in(folder)
    if cameras is None:
        raise SceneError(name, NO_CAMERAS, f"it has pictures but neither {TRANSFORMS} nor a COLMAP model")
    try:
        reading = read_cameras(cameras, assumed=Assumed(undistort=True, gaps="keep"))
    except (CameraFormatError, OSError) as error:
        raise SceneError(name, POSES, str(error)) from error
    if not reading.names or not reading.lenses:
        raise SceneError(name, POSES, "its cameras name no pictures, or have no lens")
    where, there = _found(folder, reading.names)
    if not there:
        raise SceneError(name, NO_PICTURES, f"none of its {len(reading.names)} listed pictures is there")
    paths = [where / PurePosixPath(reading.names[index]).name for index in there]
    hw = one_size(paths, name)
    notes = _notes(where, len(reading.names), len(there))
    lenses = [scaled_lens(reading.lenses[index], hw, name) for index in there]
    camera = stack([_pinhole(reading, index, lens) for index, lens in zip(there, lenses, strict=True)])
    numbers = [reading.trajectory.frame_numbers[index] for index in there]
    if len(numbers) == 1:
        raise SceneError(name, SINGLE, "it has one frame")
    bent = tuple(lens if lens.distorted else None for lens in lenses)
    pictures = FolderPictures(tuple(paths), hw, bent if any(bent) else ())
    caption = (folder / CAPTION).read_text(encoding="utf-8").strip() if (folder / CAPTION).is_file() else ""
    return Scene(name, pictures, camera, torch.tensor(numbers, dtype=torch.float64), False, caption, notes)


def scaled_lens(lens: Lens, hw: tuple[int, int], name: str) -> Lens:
    """The lens in pictures of `hw`, which are its own made smaller; SceneError where their aspect is another."""
    factors = hw[1] / lens.hw[1], hw[0] / lens.hw[0]
    if abs(hw[0] * lens.hw[1] - hw[1] * lens.hw[0]) > 2 * max(*hw, *lens.hw):
        told = f"its pictures are {hw[1]}x{hw[0]} and its lens is for {lens.hw[1]}x{lens.hw[0]}"
        raise SceneError(name, SIZE, told)
    fx, fy, cx, cy = lens.intrinsics
    scaled = (fx * factors[0], fy * factors[1], cx * factors[0], cy * factors[1])
    return replace(lens, hw=hw, intrinsics=scaled)


def one_size(paths: Sequence[Path], name: str) -> tuple[int, int]:
    """The size that all picture files state; SceneError where one states none or another."""
    sizes: dict[tuple[int, int], Path] = {}
    for path in paths:
        hw = picture_hw(path)
        if hw is None:
            raise SceneError(name, NO_PICTURES, f"{path.name} is not a complete PNG or JPEG file")
        sizes.setdefault(hw, path)
    if len(sizes) > 1:
        shown = " and ".join(f"{hw[1]}x{hw[0]} ({path.name})" for hw, path in list(sizes.items())[:2])
        raise SceneError(name, SIZE, f"its pictures have {len(sizes)} sizes: {shown}")
    return next(iter(sizes))


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder in the order of the numbers in their names; none where it is no folder."""
    files = [file for file in folder.iterdir() if is_picture(file)] if folder.is_dir() else []
    return [files[index] for index in in_order([file.name for file in files])[0]]


def caption_beside(path: Path) -> str:
    """The text of `<name>.caption.txt` beside a scene's file; "" where there is none."""
    caption = path.with_suffix(f".{CAPTION}")
    return caption.read_text(encoding="utf-8").strip() if caption.is_file() else ""


def _found(folder: Path, names: Sequence[str]) -> tuple[Path, list[int]]:
    """The folder that holds most of the listed pictures, and which of the list it holds."""
    best: tuple[Path, list[int]] = (folder, [])
    listed = PurePosixPath(names[0].replace("\\", "/")).parent
    places = [folder / listed] if ".." not in listed.parts and not listed.is_absolute() else []
    for place in (*places, *(folder / name if name else folder for name in _FOLDERS)):
        files = {file.name for file in place.iterdir()} if place.is_dir() else set()
        there = [index for index, name in enumerate(names) if PurePosixPath(name.replace("\\", "/")).name in files]
        if len(there) > len(best[1]):
            best = place, there
    return best


def _notes(where: Path, listed: int, there: int) -> tuple[Defect, ...]:
    """What is told of a usable scene: listed pictures that are absent, and pictures that are not listed."""
    notes = []
    if there < listed:
        notes.append(Defect(ABSENT, f"{listed - there} of {listed} listed pictures are absent, and were left out"))
    pictures = len(pictures_in(where))
    if pictures > there:
        notes.append(Defect(PART, f"{pictures} pictures, {there} of them with a camera"))
    return tuple(notes)


def _pinhole(reading: Reading, index: int, lens: Lens) -> Camera:
    camera = reading.trajectory.camera[index]
    fx, fy, cx, cy = lens.pinhole().intrinsics
    K = camera.K.new_tensor(((fx, 0.0, cx), (0.0, fy, cy), (0.0, 0.0, 1.0)))
    return replace(camera, K=K, hw=lens.hw)

"""COLMAP's binary files cameras.bin, images.bin and points3D.bin: counts held against the file's size, points passed
over."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ..geometry.distortion import MODELS
from .colmap_model import MOST_PIXELS, NAMES, ColmapCamera, ColmapImage, ColmapPoint, parameter_count
from .parsing import MOST_LINE, check_frames, number, open_file, whole
from .reading import CameraFormatError

_COUNT, _CAMERA, _IMAGE = struct.Struct("<Q"), struct.Struct("<IiQQ"), struct.Struct("<I7dI")
_SEEN, _POINT, _TRACK = struct.Struct("<ddq"), struct.Struct("<Q3d3BdQ"), struct.Struct("<II")
_POINT_BYTES = _SEEN.size
_PANORAMA = 17


class _File:
    """An open file whose every read is held against its size."""

    def __init__(self, file: BinaryIO, file_name: str) -> None:
        self.file, self.file_name = file, file_name
        self.size = os.fstat(file.fileno()).st_size

    def take(self, form: struct.Struct, what: str) -> tuple[int | float, ...]:
        data = self.file.read(form.size)
        if len(data) < form.size:
            raise CameraFormatError(f"{self.file_name}: expected {what} at byte {self.size}, the file ends there")
        return form.unpack(data)

    def count(self, noun: str, least_bytes: int) -> int:
        """A count of things of at least `least_bytes` each, which the rest of the file has room for."""
        found, left = int(self.take(_COUNT, f"the number of {noun}")[0]), self.size - self.file.tell()
        if found > left // least_bytes:
            room = left // least_bytes
            raise CameraFormatError(
                f"{self.file_name}: it promises {found} {noun}, its size has room for at most {room}"
            )
        return found

    def name(self, where: str) -> str:
        """Text up to a zero byte."""
        start = self.file.tell()
        text, end, _ = self.file.read(MOST_LINE).partition(b"\0")
        if not end:
            raise CameraFormatError(f"{where}: expected a name that ends in a zero byte within {MOST_LINE} bytes")
        self.file.seek(start + len(text) + 1)
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CameraFormatError(f"{where}: expected a name in UTF-8, byte {error.start} is not") from error


def parse_cameras(path: Path) -> dict[int, ColmapCamera]:
    """The cameras of cameras.bin by number; CameraFormatError with the camera otherwise."""
    cameras: dict[int, ColmapCamera] = {}
    with open_file(path) as handle:
        file = _File(handle, path.name)
        for index in range(file.count("cameras", _CAMERA.size + 24)):
            where = f"{path.name} camera {index}"
            key, model, width, height = map(int, file.take(_CAMERA, f"camera {index}"))
            name = NAMES.get(model, "EQUIRECTANGULAR" if model == _PANORAMA else f"number {model}")
            count = parameter_count(name, where)
            values = file.take(struct.Struct(f"<{count}d"), f"the parameters of camera {index}")
            if key in cameras:
                raise CameraFormatError(f"{where}: expected each camera once, found number {key} again")
            hw = tuple(whole(pixels, where, least=1, most=MOST_PIXELS) for pixels in (height, width))
            cameras[key] = ColmapCamera(name, (hw[0], hw[1]), tuple(number(value, where) for value in values))
    return cameras


def parse_images(path: Path) -> list[ColmapImage]:
    """The images of images.bin in the file's order, without their points."""
    images: list[ColmapImage] = []
    with open_file(path) as handle:
        file = _File(handle, path.name)
        for index in range(check_frames(file.count("images", _IMAGE.size + 1 + _COUNT.size), path.name)):
            where = f"{path.name} image {index}"
            _, *motion, camera = file.take(_IMAGE, f"image {index}")
            name = file.name(where)
            points = file.count(f"points of image {index}", _POINT_BYTES)
            handle.seek(points * _POINT_BYTES, os.SEEK_CUR)
            values = tuple(number(float(value), where) for value in motion)
            images.append(ColmapImage(values, int(camera), name, where))
    return images


def cameras_bytes(cameras: Sequence[ColmapCamera]) -> bytes:
    """cameras.bin of `cameras`, numbered from 1."""
    rows = [
        _CAMERA.pack(key, MODELS[camera.model].number, camera.hw[1], camera.hw[0])
        + struct.pack(f"<{len(camera.parameters)}d", *camera.parameters)
        for key, camera in enumerate(cameras, start=1)
    ]
    return _COUNT.pack(len(rows)) + b"".join(rows)


def images_bytes(images: Sequence[ColmapImage]) -> bytes:
    """images.bin of `images`, numbered from 1, each with what it saw."""
    rows = [
        _IMAGE.pack(key, *image.cam_from_world, image.camera)
        + image.name.encode("utf-8")
        + b"\0"
        + _COUNT.pack(len(image.seen))
        + b"".join(_SEEN.pack(*observation) for observation in image.seen)
        for key, image in enumerate(images, start=1)
    ]
    return _COUNT.pack(len(rows)) + b"".join(rows)


def points_bytes(points: Sequence[ColmapPoint] = ()) -> bytes:
    """points3D.bin of `points`, numbered from 1."""
    rows = [
        _POINT.pack(key, *point.position, *point.colour, point.error, len(point.track))
        + b"".join(_TRACK.pack(*element) for element in point.track)
        for key, point in enumerate(points, start=1)
    ]
    return _COUNT.pack(len(rows)) + b"".join(rows)

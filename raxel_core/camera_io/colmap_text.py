"""COLMAP's text files cameras.txt, images.txt and points3D.txt: parsed line by line, points passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from .colmap_model import MOST_PIXELS, ColmapCamera, ColmapImage, ColmapPoint, parameter_count
from .parsing import MOST_LINE, check_frames, open_file, parse_number, read_text, whole
from .reading import CameraFormatError

_CAMERAS = "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
_IMAGES = (
    "# Image list with two lines of data per image:\n"
    "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME\n"
    "#   POINTS2D[] as (X, Y, POINT3D_ID)\n"
)
# A byte order mark, which editors put before UTF-8.
_MARK = b"\xef\xbb\xbf"
_LETTER = re.compile(rb"[^0-9.eE+\s-]")
_POINTS = "# 3D point list with one line of data per point:\n#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]\n"


def parse_cameras(path: Path) -> dict[int, ColmapCamera]:
    """The cameras of cameras.txt by number; CameraFormatError with the line otherwise."""
    cameras: dict[int, ColmapCamera] = {}
    for line_number, line in enumerate(read_text(path).splitlines(), start=1):
        tokens, where = line.split(), f"{path.name} line {line_number}"
        if not tokens or tokens[0].startswith("#"):
            continue
        if len(tokens) < 4:
            raise CameraFormatError(
                f"{where}: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS, found {len(tokens)} columns"
            )
        model, count = tokens[1], parameter_count(tokens[1], where)
        if len(tokens) != 4 + count:
            raise CameraFormatError(f"{where}: expected {count} parameters of {model}, found {len(tokens) - 4}")
        number = _whole(tokens[0], where, 0)
        if number in cameras:
            raise CameraFormatError(f"{where}: expected each camera once, found number {number} again")
        width, height = (_whole(token, where, 1, MOST_PIXELS) for token in tokens[2:4])
        cameras[number] = ColmapCamera(model, (height, width), tuple(parse_number(t, where) for t in tokens[4:]))
    return cameras


def parse_images(path: Path) -> list[ColmapImage]:
    """The images of images.txt in the file's order; lines of points are passed over, where there are any.

    COLMAP writes two lines an image, the second of which may be empty; others leave the second out.
    """
    images: list[ColmapImage] = []
    with open_file(path) as file:
        lines = _lines(file)
        for line_number, line in lines:
            stripped = line.strip()
            if not stripped or stripped.startswith(b"#"):
                continue
            if images and _are_points(stripped):
                continue
            images.append(_image(stripped, f"{path.name} line {line_number}"))
            check_frames(len(images), path.name)
    return images


def _are_points(line: bytes) -> bool:
    """Whether a line after an image is no further one but its points, triples (x, y, point).

    An image has whole numbers first and ninth, and a unit quaternion between or letters in its name.
    """
    tokens = line.split(maxsplit=9)
    if len(tokens) < 10 or not (tokens[0].isdigit() and tokens[8].isdigit()):
        return True
    try:
        length = sum(float(token) ** 2 for token in tokens[1:5])
    except (ValueError, OverflowError):
        return False
    return abs(length - 1.0) > 0.05 and _LETTER.search(tokens[9]) is None


def cameras_text(cameras: Sequence[ColmapCamera]) -> str:
    """cameras.txt of `cameras`, numbered from 1."""
    rows = [
        f"{number} {camera.model} {camera.hw[1]} {camera.hw[0]} {' '.join(map(repr, camera.parameters))}\n"
        for number, camera in enumerate(cameras, start=1)
    ]
    return f"{_CAMERAS}# Number of cameras: {len(rows)}\n" + "".join(rows)


def images_text(images: Sequence[ColmapImage]) -> str:
    """images.txt of `images`, numbered from 1, each with what it saw."""
    rows = [
        f"{number} {' '.join(map(repr, image.cam_from_world))} {image.camera} {image.name}\n"
        f"{' '.join(f'{x!r} {y!r} {point}' for x, y, point in image.seen)}\n"
        for number, image in enumerate(images, start=1)
    ]
    mean = sum(len(image.seen) for image in images) / max(len(images), 1)
    return f"{_IMAGES}# Number of images: {len(rows)}, mean observations per image: {mean:g}\n" + "".join(rows)


def points_text(points: Sequence[ColmapPoint] = ()) -> str:
    """points3D.txt of `points`, numbered from 1."""
    rows = [
        f"{number} {' '.join(map(repr, point.position))} {' '.join(map(str, point.colour))} {point.error!r} "
        f"{' '.join(f'{image} {index}' for image, index in point.track)}\n"
        for number, point in enumerate(points, start=1)
    ]
    mean = sum(len(point.track) for point in points) / max(len(points), 1)
    return f"{_POINTS}# Number of points: {len(rows)}, mean track length: {mean:g}\n" + "".join(rows)


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each line's number and beginning, in bounded memory however long the line is."""
    line_number = 0
    while beginning := file.readline(MOST_LINE):
        line_number += 1
        rest = beginning
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(2**20)
        yield line_number, beginning.removeprefix(_MARK) if line_number == 1 else beginning


def _image(line: bytes, where: str) -> ColmapImage:
    try:
        tokens = line.decode("utf-8").split(maxsplit=9)
    except UnicodeDecodeError as error:
        raise CameraFormatError(f"{where}: expected UTF-8 text, byte {error.start} of the line is not") from error
    if len(tokens) != 10:
        raise CameraFormatError(
            f"{where}: expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, found {len(tokens)} columns"
        )
    values = tuple(parse_number(token, where) for token in tokens[1:8])
    return ColmapImage(values, _whole(tokens[8], where, 0), tokens[9], where)


def _whole(token: str, where: str, least: int, most: int = 2**32) -> int:
    return whole(parse_number(token, where), where, least=least, most=most)

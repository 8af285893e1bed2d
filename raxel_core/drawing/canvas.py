"""Pixels to draw on: lines, discs and polygons placed to a sixteenth of a pixel, and words, with OpenCV."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..runtime.opencv import load_opencv

Colour = tuple[int, ...]
"""Red, green and blue, and the fourth channel of a canvas that has one; 0 to 255."""
Pixels = np.ndarray[Any, np.dtype[Any]]

PALETTE: tuple[Colour, ...] = (
    (84, 190, 255),
    (255, 176, 76),
    (130, 220, 110),
    (236, 120, 200),
    (250, 110, 106),
    (150, 150, 255),
)
"""Line colours, in the order of the legend; they repeat after the last."""

BACKGROUND: Colour = (18, 20, 25)
PANEL: Colour = (26, 29, 36)
GRID: Colour = (44, 49, 60)
AXIS: Colour = (74, 82, 99)
TEXT: Colour = (214, 219, 228)
QUIET: Colour = (136, 145, 162)

_SUPERSAMPLING = 2
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Box:
    """A rectangle of the canvas in pixels, left upper corner and size."""

    left: float
    top: float
    width: float
    height: float

    @property
    def corners(self) -> Pixels:
        right, bottom = self.left + self.width, self.top + self.height
        return np.array([[self.left, self.top], [right, self.top], [right, bottom], [self.left, bottom]])

    def inset(self, left: float, top: float, right: float, bottom: float) -> Box:
        width, height = self.width - left - right, self.height - top - bottom
        return Box(self.left + left, self.top + top, max(width, 1), max(height, 1))


@dataclass(frozen=True)
class Canvas:
    """Pixels [height, width, channels], larger than the picture by `scale`; a design point is `unit` pixels."""

    pixels: Pixels
    scale: int
    unit: float

    @classmethod
    def blank(cls, hw: tuple[int, int]) -> Canvas:
        """A canvas whose design point is a pixel of a 1280x720 picture, but never too small to read words."""
        height, width = hw
        if min(height, width) < 64:
            raise ValueError(f"a picture needs at least 64x64 pixels, got {height}x{width}")
        shape = (height * _SUPERSAMPLING, width * _SUPERSAMPLING, 3)
        unit = _SUPERSAMPLING * max(min(width / 1280, height / 720), 0.62)
        return cls(np.full(shape, BACKGROUND, np.uint8), _SUPERSAMPLING, unit)

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def box(self) -> Box:
        """The whole canvas."""
        return Box(0, 0, self.width, self.height)

    def part(self, box: Box) -> Canvas:
        """The pixels of `box` as a canvas of their own, on which what is drawn outside is cut off."""
        left, top = round(box.left), round(box.top)
        pixels = self.pixels[top : top + round(box.height), left : left + round(box.width)]
        pixels[:] = PANEL
        return Canvas(pixels, self.scale, self.unit)

    def picture(self) -> Tensor:
        """The picture, uint8 [H, W, 3]."""
        cv2 = load_opencv()
        size = (self.width // self.scale, self.height // self.scale)
        return torch.from_numpy(cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA))

    def line(self, points: Pixels, colour: Colour, width: float) -> None:
        """An open line through `points` [N, 2], `width` in design points."""
        cv2 = load_opencv()
        thickness = max(round(width * self.unit), 1)
        cv2.polylines(self.pixels, [_fixed(points)], False, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)

    def polygon(self, points: Pixels, colour: Colour, opacity: float = 1.0) -> None:
        """A filled polygon, mixed with what is below it."""
        cv2 = load_opencv()
        low = np.clip(np.floor(points.min(0)) - 1, 0, (self.width, self.height)).astype(int)
        high = np.clip(np.ceil(points.max(0)) + 2, 0, (self.width, self.height)).astype(int)
        part = self.pixels[low[1] : high[1], low[0] : high[0]]
        if part.size:
            painted = part.copy()
            cv2.fillPoly(painted, [_fixed(points - low)], colour, cv2.LINE_AA, _SUBPIXEL_BITS)
            cv2.addWeighted(painted, opacity, part, 1 - opacity, 0, dst=part)

    def disc(self, center: Pixels, radius: float, colour: Colour) -> None:
        """A filled circle, `radius` in design points."""
        cv2 = load_opencv()
        x, y = _fixed(center[None])[0]
        reach = round(radius * self.unit * 2**_SUBPIXEL_BITS)
        cv2.circle(self.pixels, (int(x), int(y)), reach, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)

    def text(self, words: str, place: tuple[float, float], colour: Colour = TEXT, size: float = 13) -> float:
        """Words with the left end of their base line at `place`; the width taken, in pixels of the canvas."""
        cv2 = load_opencv()
        font, scale, thickness = cv2.FONT_HERSHEY_SIMPLEX, size * self.unit / 30, max(round(size * self.unit / 17), 1)
        words = words.encode("ascii", "replace").decode()
        corner = (round(place[0]), round(place[1]))
        cv2.putText(self.pixels, words, corner, font, scale, colour, thickness, cv2.LINE_AA)
        return self.text_width(words, size)

    def text_width(self, words: str, size: float = 13) -> float:
        """The width of words in pixels of the canvas."""
        cv2 = load_opencv()
        scale, thickness = size * self.unit / 30, max(round(size * self.unit / 17), 1)
        return float(cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)[0][0])


def mixed(colour: Colour, ground: Colour, share: float) -> Colour:
    """`share` of `colour` over `ground`."""
    return tuple(round(share * c + (1 - share) * g) for c, g in zip(colour, ground, strict=True))


def nice_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, the next one above `rough`."""
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-12)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def steps(first: float, last: float, step: float) -> list[float]:
    """The places from `first` to `last`, `step` apart."""
    return [first + k * step for k in range(math.floor((last - first) / step + 1e-9) + 1)]


def _fixed(points: Pixels) -> Pixels:
    """Pixels [N, 2] in OpenCV's fixed-point form, where whole numbers are pixel centres, kept inside int32."""
    places = np.clip((points - 0.5) * 2**_SUBPIXEL_BITS, -(2**24), 2**24)
    return np.asarray(np.round(places), np.int32)

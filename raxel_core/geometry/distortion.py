"""Lenses that are no pinholes: COLMAP's camera models, the largest pinhole inside a lens's picture, and the map to it.

A lens takes a point (x, y) of the plane z = 1 in front of the camera to a distorted point of that plane, which its
focal lengths and principal point then put into pixels (corners at (0, 0) and (w, h), centres at +0.5).
Sources: COLMAP, src/colmap/sensor/models.h; OpenCV, calib3d; Agisoft Metashape's manual, appendix D, for BROWN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite, pi, tan

import torch
from torch import Tensor

from .camera import check_hw

# A pinhole never looks further off its axis than this.
_WIDEST = tan(80.0 / 180.0 * pi)
_BORDER_POINTS = 65
_HALVINGS = 60


def _as_it_is(xy: Tensor) -> Tensor:
    return xy


def _tangential(xy: Tensor, r2: Tensor, p1: float, p2: float) -> Tensor:
    """OpenCV's shift by a lens that is not parallel to the sensor."""
    x, y = xy.unbind(-1)
    return torch.stack((2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y), dim=-1)


def _series(r2: Tensor, coefficients: Sequence[float]) -> Tensor:
    """1 + k1 r^2 + k2 r^4 + ..."""
    return 1.0 + sum((k * r2**power for power, k in enumerate(coefficients, start=1)), torch.zeros_like(r2))


def _radial(xy: Tensor, *radial: float) -> Tensor:
    return xy * _series(xy.square().sum(-1), radial)[..., None]


def _brown(xy: Tensor, k1: float, k2: float, p1: float, p2: float, *more: float, divided: bool = False) -> Tensor:
    """OpenCV's perspective lens: `more` are k3, k4, ...; where `divided`, k4 to k6 are a divisor."""
    r2 = xy.square().sum(-1)
    radial, divisor = ((k1, k2, *more[:1]), more[1:]) if divided else ((k1, k2, *more), ())
    return xy * (_series(r2, radial) / _series(r2, divisor))[..., None] + _tangential(xy, r2, p1, p2)


def _by_angle(xy: Tensor, *radial: float) -> Tensor:
    """Fisheye: the radius is the angle off the axis, times a series in its square."""
    r = torch.linalg.vector_norm(xy, dim=-1, keepdim=True)
    theta = torch.atan(r)
    return xy * torch.where(r > 1e-9, theta / r.clamp(min=1e-9), 1.0) * _series(theta.square(), radial)


def _field_of_view(xy: Tensor, omega: float) -> Tensor:
    """Devernay and Faugeras' one-parameter lens."""
    if abs(omega) < 1e-9:
        return xy
    r = torch.linalg.vector_norm(xy, dim=-1, keepdim=True)
    bent = torch.atan(r * (2.0 * tan(0.5 * omega))) / omega
    return xy * torch.where(r > 1e-9, bent / r.clamp(min=1e-9), 2.0 * tan(0.5 * omega) / omega)


def _thin_prism(
    xy: Tensor, k1: float, k2: float, p1: float, p2: float, k3: float, k4: float, sx: float, sy: float
) -> Tensor:
    bent = _by_angle(xy)
    r2 = bent.square().sum(-1)
    prism = r2[..., None] * bent.new_tensor((sx, sy))
    return bent * _series(r2, (k1, k2, k3, k4))[..., None] + _tangential(bent, r2, p1, p2) + prism


def _rad_tan_thin_prism(xy: Tensor, *k: float) -> Tensor:
    """Project Aria's lens: six radial, two tangential and four prism parameters."""
    radial, (p0, p1), prism = k[:6], k[6:8], k[8:]
    bent = _by_angle(xy, *radial)
    r2 = bent.square().sum(-1, keepdim=True)
    shift = bent.new_tensor(prism[0::2]) * r2 + bent.new_tensor(prism[1::2]) * r2 * r2
    return bent + _tangential(bent, r2[..., 0], p1, p0) + shift


def _division(xy: Tensor, k: float) -> Tensor:
    """Fitzgibbon's lens, whose inverse divides by 1 + k r^2."""
    return xy * 2.0 / (1.0 + torch.sqrt((1.0 - 4.0 * k * xy.square().sum(-1, keepdim=True)).clamp(min=0.0)))


def _unified(xy: Tensor, alpha: float, beta: float) -> Tensor:
    """The extended unified camera model (EUCM)."""
    d = torch.sqrt(beta * xy.square().sum(-1, keepdim=True) + 1.0)
    return xy / (alpha * d + (1.0 - alpha))


@dataclass(frozen=True)
class LensModel:
    """COLMAP's number of a model (None: not COLMAP's), how many focal lengths and parameters beyond it has, and what it
    does to points [..., 2]."""

    number: int | None
    focals: int
    coefficients: int
    distort: Callable[..., Tensor]


MODELS: dict[str, LensModel] = {
    "SIMPLE_PINHOLE": LensModel(0, 1, 0, _as_it_is),
    "PINHOLE": LensModel(1, 2, 0, _as_it_is),
    "SIMPLE_RADIAL": LensModel(2, 1, 1, _radial),
    "RADIAL": LensModel(3, 1, 2, _radial),
    "OPENCV": LensModel(4, 2, 4, _brown),
    "OPENCV_FISHEYE": LensModel(5, 2, 4, _by_angle),
    "FULL_OPENCV": LensModel(6, 2, 8, partial(_brown, divided=True)),
    "FOV": LensModel(7, 2, 1, _field_of_view),
    "SIMPLE_RADIAL_FISHEYE": LensModel(8, 1, 1, _by_angle),
    "RADIAL_FISHEYE": LensModel(9, 1, 2, _by_angle),
    "THIN_PRISM_FISHEYE": LensModel(10, 2, 8, _thin_prism),
    "RAD_TAN_THIN_PRISM_FISHEYE": LensModel(11, 2, 12, _rad_tan_thin_prism),
    "SIMPLE_DIVISION": LensModel(12, 1, 1, _division),
    "DIVISION": LensModel(13, 2, 1, _division),
    "SIMPLE_FISHEYE": LensModel(14, 1, 0, _by_angle),
    "FISHEYE": LensModel(15, 2, 0, _by_angle),
    "EUCM": LensModel(16, 2, 2, _unified),
    # k1 k2 p1 p2 k3 k4 as one series, as nerfstudio and Metashape have them.
    "BROWN": LensModel(None, 2, 6, _brown),
}


@dataclass(frozen=True)
class Lens:
    """A lens of `model`, one of MODELS: its picture's (height, width) in pixels, focal lengths and principal point
    (fx, fy, cx, cy) in pixels, and the model's further coefficients.

    Raises ValueError when a number is not finite, a focal length not positive, or their count not the model's.
    """

    hw: tuple[int, int]
    intrinsics: tuple[float, float, float, float]
    model: str = "PINHOLE"
    coefficients: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        check_hw(self.hw)
        if self.model not in MODELS:
            raise ValueError(f"a lens model is one of {', '.join(MODELS)}, got {self.model!r}")
        wanted = MODELS[self.model].coefficients
        if len(self.coefficients) != wanted:
            raise ValueError(f"{self.model} has {wanted} coefficients, got {len(self.coefficients)}")
        if not all(map(isfinite, (*self.intrinsics, *self.coefficients))) or min(self.intrinsics[:2]) <= 0.0:
            raise ValueError(f"a lens has finite numbers and a focal length above 0, got {self.intrinsics}")

    @property
    def distorted(self) -> bool:
        """Whether it is anything else than a pinhole."""
        fixed = MODELS[self.model].distort
        return fixed is not _as_it_is and not (fixed in (_radial, _brown, _division) and not any(self.coefficients))

    def distort(self, xy: Tensor) -> Tensor:
        """Where points `xy` [..., 2] of the plane z = 1 appear on it, [..., 2]."""
        return MODELS[self.model].distort(xy.double(), *self.coefficients)

    def project(self, xy: Tensor) -> Tensor:
        """The pixels [..., 2] at which points `xy` [..., 2] of the plane z = 1 are seen."""
        fx, fy, cx, cy = self.intrinsics
        bent = self.distort(xy)
        return bent * bent.new_tensor((fx, fy)) + bent.new_tensor((cx, cy))

    @property
    def corner_shift(self) -> float:
        """How far the lens moves the corners of the picture of a pinhole with its intrinsics, in pixels; infinity where
        it does not show them."""
        points = _points_of(self.intrinsics, self.hw, 2)
        pinhole = Lens(self.hw, self.intrinsics).project(points)
        off = torch.linalg.vector_norm(self.project(points) - pinhole, dim=-1).max()
        return float(off) if bool((points.norm(dim=-1) <= _reach(self)).all()) else float("inf")

    def pinhole(self) -> Lens:
        """The widest pinhole that sees nothing but what this lens's picture shows.

        It has the picture's size, the pixel's aspect, and its principal point in the middle, so that every format holds
        it. Raises ValueError when not even a narrow one fits (the lens's middle lies outside its picture).
        """
        if not self.distorted:
            return self
        low, high, reach = 0.02, 50.0, _reach(self)
        if not self._shows(high, reach):
            raise ValueError(f"no pinhole fits into the picture of this {self.model} lens")
        for _ in range(_HALVINGS):
            middle = (low * high) ** 0.5
            low, high = (low, middle) if self._shows(middle, reach) else (middle, high)
        return Lens(self.hw, self._scaled(high))

    def _scaled(self, factor: float) -> tuple[float, float, float, float]:
        height, width = self.hw
        return self.intrinsics[0] * factor, self.intrinsics[1] * factor, 0.5 * width, 0.5 * height

    def _shows(self, factor: float, reach: float) -> bool:
        """Whether all that a pinhole of `factor` times the focal length sees is in the picture."""
        points = _points_of(self._scaled(factor), self.hw, _BORDER_POINTS)
        seen = self.project(points)
        inside = (seen >= 0.0) & (seen <= seen.new_tensor((self.hw[1], self.hw[0])))
        return bool(inside.all()) and bool((points.norm(dim=-1) <= reach).all())


def undistortion_map(lens: Lens, target: Lens) -> Tensor:
    """[h, w, 2] float32: for each pixel of the pinhole `target` where it lies in the picture of `lens`, counted from
    the middle of the first pixel, which is what cv2.remap takes."""
    height, width = target.hw
    fx, fy, cx, cy = target.intrinsics
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - cx) / fx
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - cy) / fy
    rays = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    return (lens.project(rays) - 0.5).float()


def _points_of(intrinsics: Sequence[float], hw: tuple[int, int], count: int) -> Tensor:
    """Points [4 count, 2] of the plane z = 1 that a pinhole sees at its picture's border, `count` a side."""
    (fx, fy, cx, cy), (height, width) = intrinsics, hw
    along = torch.linspace(0.0, 1.0, count, dtype=torch.float64)
    low, high = torch.zeros_like(along), torch.ones_like(along)
    sides = ((along, low), (along, high), (low, along), (high, along))
    shares = torch.cat([torch.stack(side, dim=-1) for side in sides])
    return (shares * shares.new_tensor((width, height)) - shares.new_tensor((cx, cy))) / shares.new_tensor((fx, fy))


def _reach(lens: Lens) -> float:
    """The radius on the plane z = 1 up to which more distant points appear more distant: beyond it a model folds."""
    radius = torch.linspace(0.0, _WIDEST, 2001, dtype=torch.float64)
    angle = torch.arange(8, dtype=torch.float64) * (pi / 4.0)
    rays = radius[:, None, None] * torch.stack((angle.cos(), angle.sin()), dim=-1)
    seen = (lens.distort(rays) * torch.stack((angle.cos(), angle.sin()), dim=-1)).sum(-1)
    folded = (seen.diff(dim=0) <= 0.0).any(dim=-1).nonzero()
    return float(radius[int(folded[0])]) if len(folded) else _WIDEST

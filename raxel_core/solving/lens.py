"""The lens of footage: what is known of it beforehand, and its distortion taken out of pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ..geometry.camera import check_hw
from ..geometry.rays import pixel_grid
from .colmap import load_pycolmap

DEFAULT_FOV_DEGREES = 60.0
"""The angle of view, across the longer side, that a lens nobody knows anything of is taken to have at first."""
_NEWTON_STEPS = 30


@dataclass(frozen=True)
class Lens:
    """A perspective lens for pictures of `hw` pixels: focal lengths, principal point, and OpenCV's distortion.

    `distortion` is (k1, k2, p1, p2): the normalised point (x, y) at radius r is seen at (x, y) (1 + k1 r^2 + k2 r^4)
    plus the two tangential terms. `known` says that the numbers hold and are not to be refined; `assumed` that nobody
    gave any, so that they are a place to start from and no more.
    """

    hw: tuple[int, int]
    focal: tuple[float, float]
    principal_point: tuple[float, float]
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    known: bool = False
    assumed: bool = False

    def __post_init__(self) -> None:
        check_hw(self.hw)
        numbers = (*self.focal, *self.principal_point, *self.distortion)
        if not all(map(math.isfinite, numbers)) or min(self.focal) <= 0.0:
            raise ValueError(f"a lens has finite numbers and focal lengths above 0, got {numbers}")
        inside = zip(self.principal_point, (self.hw[1], self.hw[0]), strict=True)
        if not all(0.0 < position < size for position, size in inside):
            raise ValueError(f"the principal point lies within the picture, got {self.principal_point} of {self.hw}")

    @property
    def distorts(self) -> bool:
        """Whether there is any distortion."""
        return any(self.distortion)

    def K(self, zoom: Tensor | None = None) -> Tensor:
        """[3, 3] in pixels, float64; or [F, 3, 3] with the focal length times the `zoom` [F] of each frame."""
        (fx, fy), (cx, cy) = self.focal, self.principal_point
        K = torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], dtype=torch.float64)
        if zoom is None:
            return K
        grown = K.expand(len(zoom), 3, 3).clone()
        grown[:, :2, :2] *= zoom[:, None, None]
        return grown

    def resized(self, hw: tuple[int, int]) -> Lens:
        """The same lens for pictures of another size, the image's corners in place."""
        fy, fx = (new / old for new, old in zip(check_hw(hw), self.hw, strict=True))
        (focal_x, focal_y), (cx, cy) = self.focal, self.principal_point
        return replace(self, hw=hw, focal=(focal_x * fx, focal_y * fy), principal_point=(cx * fx, cy * fy))

    def distorted(self, points: Tensor) -> Tensor:
        """Where normalised points [..., 2] of a pinhole are seen, normalised. Source: OpenCV, "Camera Calibration"."""
        k1, k2, p1, p2 = self.distortion
        x, y = points.unbind(-1)
        r2 = x * x + y * y
        radial = 1.0 + r2 * (k1 + k2 * r2)
        return torch.stack(
            (
                x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
                y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
            ),
            dim=-1,
        )

    def filmed(self, pixels: Tensor) -> Tensor:
        """Pixels [..., 2] of the pinhole's picture in the distorted picture."""
        if not self.distorts:
            return pixels
        focal, principal_point = pixels.new_tensor(self.focal), pixels.new_tensor(self.principal_point)
        return self.distorted((pixels - principal_point) / focal) * focal + principal_point

    def undistorted(self, pixels: Tensor) -> Tensor:
        """Pixels [..., 2] of the distorted picture in the pinhole's picture; solved by fixed-point steps in float64."""
        focal, principal_point = pixels.new_tensor(self.focal), pixels.new_tensor(self.principal_point)
        seen = (pixels - principal_point) / focal
        if not self.distorts:
            return pixels
        points = seen
        for _ in range(_NEWTON_STEPS):
            points = points + (seen - self.distorted(points))
        return points * focal + principal_point


def lens_of_fov(fov_x: float, hw: tuple[int, int]) -> Lens:
    """A lens without distortion and with a centred principal point, from its horizontal angle of view in radians."""
    if not 0.0 < fov_x < math.pi:
        raise ValueError(f"a horizontal angle of view lies between 0 and 180 degrees, got {math.degrees(fov_x):g}")
    height, width = check_hw(hw)
    focal = 0.5 * width / math.tan(0.5 * fov_x)
    return Lens(hw, (focal, focal), (0.5 * width, 0.5 * height))


def assumed_lens(hw: tuple[int, int]) -> Lens:
    """The lens to start from where nothing is known: DEFAULT_FOV_DEGREES across the longer side."""
    height, width = check_hw(hw)
    focal = 0.5 * max(hw) / math.tan(0.5 * math.radians(DEFAULT_FOV_DEGREES))
    return Lens(hw, (focal, focal), (0.5 * width, 0.5 * height), assumed=True)


def lens_of_photograph(path: Path, hw: tuple[int, int]) -> Lens | None:
    """The lens that the EXIF data of a photograph name, for pictures of `hw`, to be refined; None where they name none.

    Source: COLMAP's reading of the focal length on 35 mm film, or of its millimetres and the sensor's size.
    """
    camera = load_pycolmap().infer_camera_from_image(path)
    if not camera.has_prior_focal_length:
        return None
    height, width = check_hw(hw)
    focal = camera.mean_focal_length() * max(hw) / max(camera.width, camera.height)
    return Lens(hw, (focal, focal), (0.5 * width, 0.5 * height))


def undistort(picture: Tensor, lens: Lens) -> Tensor:
    """Pictures [..., C, H, W] seen through `lens` as its pinhole (`lens.K()`) would see them; what lies outside the
    picture is black. ValueError when the picture has another size than the lens."""
    if (picture.shape[-2], picture.shape[-1]) != lens.hw:
        raise ValueError(f"the lens is one for pictures of {lens.hw}, got pictures of {list(picture.shape[-2:])}")
    if not lens.distorts:
        return picture
    source = lens.filmed(pixel_grid(lens.hw, device=picture.device, dtype=torch.float64))
    size = source.new_tensor((lens.hw[1], lens.hw[0]))
    grid = (2.0 * source / size - 1.0).to(picture.dtype)
    planes = picture.reshape(-1, 1, *lens.hw)
    lowest = -1.0 if bool((picture < 0).any()) else 0.0
    sampled = functional.grid_sample(
        planes - lowest, grid.expand(len(planes), *grid.shape), mode="bilinear", align_corners=False
    )
    return (sampled + lowest).reshape(picture.shape)

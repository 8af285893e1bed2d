"""Fitting pictures of any size into a model's size, and cameras back into the pixels they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn import functional

from .geometry.camera import Camera, K_from_focal, check_hw

# How far the aspect of a camera may be from its picture's before the two cannot belong together.
_ASPECT_TOLERANCE = 0.01


@dataclass(frozen=True)
class Framing:
    """How a picture of `original_hw` pixels was cropped about its middle to `crop_hw` and then resized to `hw`."""

    original_hw: tuple[int, int]
    crop_hw: tuple[int, int]
    hw: tuple[int, int]

    @property
    def top_left(self) -> tuple[int, int]:
        """The first row and column of the source that the crop keeps."""
        return (self.original_hw[0] - self.crop_hw[0]) // 2, (self.original_hw[1] - self.crop_hw[1]) // 2

    def to_original(self, camera: Camera) -> Camera:
        """Return cameras [...] of the fitted picture as cameras of the original picture: K changes, nothing else."""
        top, left = self.top_left
        return camera.resized(self.hw).resized(self.crop_hw).cropped(-top, -left, self.original_hw)

    def read_in_original(self, camera: Camera) -> Camera:
        """Return cameras [...] that were read off the fitted picture as cameras of the original picture.

        Pixels are taken to be square in both, so that one factor scales both focal lengths: a crop of whole pixels may
        differ from the aspect of `hw` by one.
        """
        exact = self.to_original(camera)
        factor = (exact.focal / camera.resized(self.hw).focal).prod(-1, keepdim=True).sqrt()
        return replace(exact, K=K_from_focal(camera.resized(self.hw).focal * factor, exact.principal_point))

    def to_fitted(self, camera: Camera) -> Camera:
        """Return cameras [...] of the original picture, at any resolution, as cameras of the fitted picture.

        Raises ValueError when the camera's image has another aspect than the picture.
        """
        check_aspect(camera.hw, self.original_hw)
        top, left = self.top_left
        return camera.resized(self.original_hw).cropped(top, left, self.crop_hw).resized(self.hw)


def framing_for(original_hw: tuple[int, int], hw: tuple[int, int]) -> Framing:
    """Return the largest crop about the middle of `original_hw` that has the aspect of `hw`, to the nearest pixel.

    As many rows and columns go on either side, so that a principal point in the middle stays there.
    """
    original_hw, hw = check_hw(original_hw), check_hw(hw)
    scale = max(hw[0] / original_hw[0], hw[1] / original_hw[1])
    crop_hw = _kept(original_hw[0], hw[0] / scale), _kept(original_hw[1], hw[1] / scale)
    return Framing(original_hw, crop_hw, hw)


def _kept(source: int, wanted: float) -> int:
    """The number of pixels nearest to `wanted` that leaves as many of `source` on either side."""
    aside = min(round(0.5 * (source - wanted)), (source - 1) // 2)
    return source - 2 * aside


def fit_video(video: Tensor, hw: tuple[int, int]) -> tuple[Tensor, Framing]:
    """Centre-crop and resize pictures [..., H, W] to [..., h, w]; also return how their pixels map.

    Shrinking is antialiased; values stay within the range of the input. A picture that has the size already is
    returned as it is.
    """
    framing = framing_for((video.shape[-2], video.shape[-1]), hw)
    if framing.original_hw == framing.hw:
        return video, framing
    (top, left), (height, width) = framing.top_left, framing.crop_hw
    planes = video[..., top : top + height, left : left + width].reshape(-1, 1, height, width)
    resized = functional.interpolate(planes, size=hw, mode="bilinear", antialias=True)
    return resized.reshape(*video.shape[:-2], *hw), framing


def check_aspect(camera_hw: tuple[int, int], hw: tuple[int, int]) -> None:
    """Raise ValueError when cameras for pictures of `camera_hw` cannot be those of pictures of `hw`."""
    ratio = (camera_hw[1] / camera_hw[0]) / (hw[1] / hw[0])
    if abs(ratio - 1.0) > _ASPECT_TOLERANCE:
        raise ValueError(
            f"cameras for pictures of {camera_hw[1]}x{camera_hw[0]} pixels cannot be those of {hw[1]}x{hw[0]} pixels: "
            "the aspects differ"
        )

"""Fitting pictures of any size into a model's size, and cameras back into the pixels they came from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from .geometry.camera import Camera, check_hw

# How far the aspect of a camera may be from its picture's before the two cannot belong together.
_ASPECT_TOLERANCE = 0.01


@dataclass(frozen=True)
class Framing:
    """How a picture of `source_hw` pixels was resized to `resized_hw` and then cropped at its centre to `hw`."""

    source_hw: tuple[int, int]
    resized_hw: tuple[int, int]
    hw: tuple[int, int]

    @property
    def top_left(self) -> tuple[int, int]:
        """The first row and column of the resized picture that the crop keeps."""
        return (self.resized_hw[0] - self.hw[0]) // 2, (self.resized_hw[1] - self.hw[1]) // 2

    def to_source(self, camera: Camera) -> Camera:
        """Return cameras [...] of the fitted picture as cameras of the source picture: K changes, nothing else."""
        top, left = self.top_left
        return camera.resized(self.hw).cropped(-top, -left, self.resized_hw).resized(self.source_hw)

    def to_fitted(self, camera: Camera) -> Camera:
        """Return cameras [...] of the source picture, at any resolution, as cameras of the fitted picture.

        Raises ValueError when the camera's image has another aspect than the picture.
        """
        check_aspect(camera.hw, self.source_hw)
        top, left = self.top_left
        return camera.resized(self.resized_hw).cropped(top, left, self.hw)


def framing_for(source_hw: tuple[int, int], hw: tuple[int, int]) -> Framing:
    """Return the smallest resize of `source_hw` that covers `hw`, aspect kept to the nearest pixel."""
    source_hw, hw = check_hw(source_hw), check_hw(hw)
    scale = max(hw[0] / source_hw[0], hw[1] / source_hw[1])
    resized_hw = (max(hw[0], round(source_hw[0] * scale)), max(hw[1], round(source_hw[1] * scale)))
    return Framing(source_hw, resized_hw, hw)


def fit_video(video: Tensor, hw: tuple[int, int]) -> tuple[Tensor, Framing]:
    """Resize and centre-crop pictures [..., H, W] to [..., h, w]; also return how their pixels map.

    Shrinking is antialiased; values stay within the range of the input. A picture that has the size already is
    returned as it is.
    """
    framing = framing_for((video.shape[-2], video.shape[-1]), hw)
    if framing.source_hw == framing.hw:
        return video, framing
    planes = video.reshape(-1, 1, *framing.source_hw)
    resized = functional.interpolate(planes, size=framing.resized_hw, mode="bilinear", antialias=True)
    top, left = framing.top_left
    cropped = resized[..., top : top + hw[0], left : left + hw[1]].contiguous()  # lets go of what was cut off
    return cropped.reshape(*video.shape[:-2], *hw), framing


def check_aspect(camera_hw: tuple[int, int], hw: tuple[int, int]) -> None:
    """Raise ValueError when cameras for pictures of `camera_hw` cannot be those of pictures of `hw`."""
    ratio = (camera_hw[1] / camera_hw[0]) / (hw[1] / hw[0])
    if abs(ratio - 1.0) > _ASPECT_TOLERANCE:
        raise ValueError(
            f"cameras for pictures of {camera_hw[0]}x{camera_hw[1]} pixels cannot be those of {hw[0]}x{hw[1]} pixels: "
            "the aspects differ"
        )

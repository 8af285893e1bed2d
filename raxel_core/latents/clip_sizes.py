"""The sizes of a clip: which heights and widths suit a model, its ray grid, and the shapes of both latents."""

from __future__ import annotations

from dataclasses import dataclass

from .frames import latent_frames

# A raxel image is a video to the VAE, and its sides are multiples of what Wan's VAE and patches need.
RAXEL_MULTIPLE = 16

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ClipSizes:
    """What sizes follow from: the VAE's spatial `stride` and its latent `channels`, the network's `patch` = (height,
    width) in latent cells, and how much coarser than the video the rays are, `raxel_downscale`."""

    stride: int
    channels: int
    patch: tuple[int, int]
    raxel_downscale: int

    @property
    def multiple(self) -> tuple[int, int]:
        """What a video's height and width are multiples of, in pixels: stride times patch."""
        return self.stride * self.patch[0], self.stride * self.patch[1]

    def check_hw(self, hw: tuple[int, int]) -> tuple[int, int]:
        """`hw` when the network's tokens tile a video of that size; ValueError with the nearest such size otherwise."""
        if all(size >= step and size % step == 0 for size, step in zip(hw, self.multiple, strict=True)):
            return hw
        near = [max(1, round(size / step)) * step for size, step in zip(hw, self.multiple, strict=True)]
        raise ValueError(
            f"a video's height is a multiple of {self.multiple[0]} here and its width of {self.multiple[1]}, "
            f"got {hw[0]}x{hw[1]}: resize it to {near[0]}x{near[1]}"
        )

    def raxel_hw(self, hw: tuple[int, int]) -> tuple[int, int]:
        """The raxel grid (h, w) of a video of `hw`."""
        return raxel_hw(hw, self.raxel_downscale, multiple=max(RAXEL_MULTIPLE, *self.multiple))

    def video_hw(self, latents: Shape) -> tuple[int, int]:
        """The (height, width) in pixels of video latents of shape [..., h, w]."""
        return latents[-2] * self.stride, latents[-1] * self.stride

    def video_shape(self, frames: int, hw: tuple[int, int]) -> Shape:
        """The shape [C, T, h, w] of the video latents of a clip of F = `frames`; ValueError unless they suit."""
        self.check_hw(hw)
        return self.channels, latent_frames(frames), hw[0] // self.stride, hw[1] // self.stride

    def ray_shape(self, video: Shape) -> Shape:
        """The shape [..., C, T, h, w] of the ray latents beside video latents of shape `video`."""
        h, w = self.raxel_hw(self.video_hw(video))
        return *video[:-2], h // self.stride, w // self.stride


def raxel_hw(hw: tuple[int, int], downscale: int = 2, *, multiple: int = RAXEL_MULTIPLE) -> tuple[int, int]:
    """The raxel grid (h, w) of a video of `hw`: `downscale` times coarser, to the nearest `multiple` of pixels."""
    height, width = hw
    if height < 1 or width < 1:
        raise ValueError(f"an image's height and width are at least 1, got {height}x{width}")
    if downscale < 1 or multiple < 1:
        raise ValueError(f"downscale and multiple are at least 1, got {downscale} and {multiple}")
    step = downscale * multiple
    return max(1, (2 * height + step) // (2 * step)) * multiple, max(1, (2 * width + step) // (2 * step)) * multiple

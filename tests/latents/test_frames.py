"""Frame arithmetic, latent statistics and the one-by-one coding of images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from raxel_core.latents.frames import check_frame_count, latent_frames, latent_time, nearest_frame_count, pixel_frames
from raxel_core.latents.statistics import LatentStatistics
from raxel_core.latents.vae import VideoVAE, encode_images


def test_counts_by_hand() -> None:
    # Frame 0 alone, then groups of four: 1 -> 1, 5 -> 2, 81 -> 21.
    assert [latent_frames(frames) for frames in (1, 5, 9, 17, 81)] == [1, 2, 3, 5, 21]
    assert [pixel_frames(latent) for latent in (1, 2, 3, 5, 21)] == [1, 5, 9, 17, 81]


def test_counts_are_inverse() -> None:
    assert [latent_frames(pixel_frames(latent)) for latent in range(1, 50)] == list(range(1, 50))


def test_a_group_of_four_centres_on_its_latent_frame() -> None:
    assert latent_time(0) == 0.0
    for latent in range(1, 10):
        group = range(4 * latent - 3, 4 * latent + 1)
        assert sum(map(latent_time, group)) / 4 == latent
    assert [latent_time(frame) for frame in (1, 2, 3, 4)] == [0.625, 0.875, 1.125, 1.375]


def test_nearest_count_by_search() -> None:
    counts = [4 * k + 1 for k in range(60)]
    for frames in range(-3, 200):
        nearest = min(counts, key=lambda count: (abs(count - frames), -count))
        assert nearest_frame_count(frames) == nearest
        if frames == nearest:
            assert check_frame_count(frames) == frames
        else:
            with pytest.raises(ValueError, match=f"4k . 1 frames, got {frames}; the nearest such count is {nearest}$"):
                check_frame_count(frames)


def test_no_such_frame() -> None:
    with pytest.raises(ValueError, match="at least 0, got -1"):
        latent_time(-1)
    with pytest.raises(ValueError, match="at least one latent frame, got 0"):
        pixel_frames(0)


def draw_latents(*, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([0.5, 2.0, 7.0])[:, None, None, None]
    return (torch.randn(2, 3, 4, 5, 6, generator=generator) * spread + 3.0).to(dtype)


def test_statistics_by_hand() -> None:
    # Two values 1 and 3 in the only channel: mean 2, population std 1.
    latents = torch.tensor([1.0, 3.0]).reshape(1, 1, 2, 1, 1)
    statistics = LatentStatistics.from_latents(latents)
    assert statistics == LatentStatistics((2.0,), (1.0,)) and statistics.channels == 1
    assert statistics.normalize(latents).flatten().tolist() == [-1.0, 1.0]


def test_normalising_standardises_each_channel_and_is_undone() -> None:
    latents = draw_latents()
    statistics = LatentStatistics.from_latents(latents)
    normal = statistics.normalize(latents)
    torch.testing.assert_close(normal.mean((0, 2, 3, 4)), torch.zeros(3), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(normal.std((0, 2, 3, 4), correction=0), torch.ones(3), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(statistics.denormalize(normal), latents, rtol=1e-6, atol=1e-6)


def test_half_precision_is_normalised_in_float32() -> None:
    latents = draw_latents(dtype=torch.bfloat16)
    statistics = LatentStatistics((3.0,) * 3, (0.7,) * 3)
    expected = ((latents.float() - 3.0) / 0.7).bfloat16()
    assert torch.equal(statistics.normalize(latents), expected)


def test_wrong_statistics_are_named() -> None:
    with pytest.raises(ValueError, match="one mean and one std per channel, got 2 and 1"):
        LatentStatistics((0.0, 1.0), (1.0,))
    with pytest.raises(ValueError, match="got 0 and 0"):
        LatentStatistics((), ())
    with pytest.raises(ValueError, match="hold NaN or infinity"):
        LatentStatistics((float("nan"),), (1.0,))
    with pytest.raises(ValueError, match=r"the std of channel 1 is 0\.0, not positive"):
        LatentStatistics((0.0, 0.0), (1.0, 0.0))
    with pytest.raises(ValueError, match=r"latents are \[B, 2, T, h, w\] here, got \[2, 3, 4, 5, 6\]"):
        LatentStatistics((0.0, 0.0), (1.0, 1.0)).normalize(draw_latents())


class LastFrameVAE:
    """A stand-in whose latent of a clip is its last frame, so that coding a clip at once and one by one differ."""

    latent_channels = 3
    spatial_stride = 1
    temporal_stride = 4

    def encode(self, video: Tensor) -> Tensor:
        return video[:, :, -1:]

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def test_images_are_coded_one_by_one() -> None:
    vae, images = LastFrameVAE(), torch.randn(2, 3, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    assert isinstance(vae, VideoVAE)
    assert torch.equal(encode_images(vae, images), images)
    for wrong in (images[:, :2], images[0], images[:, :, :0]):
        with pytest.raises(ValueError, match=r"images are \[B, 3, N, H, W\]"):
            encode_images(vae, wrong)


def test_no_argument_is_changed() -> None:
    latents = draw_latents()
    before = latents.clone()
    statistics = LatentStatistics.from_latents(latents)
    statistics.normalize(latents), statistics.denormalize(latents)
    assert torch.equal(latents, before)

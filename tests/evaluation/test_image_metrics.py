"""Image figures: answers by hand, SSIM and the Frechet distance against references written out, networks from files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from raxel_core.evaluation import image_metrics as im


def noise(*shape: int, seed: int = 0) -> Tensor:
    """A video in [-1, 1]."""
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1


def reference_ssim(a: Tensor, b: Tensor, data_range: float) -> float:
    """Wang et al. 2004 window by window, one channel [H, W] in float64: means, population covariances, formula (13)."""
    taps = torch.tensor([math.exp(-((k - 5) ** 2) / (2 * 1.5**2)) for k in range(11)], dtype=torch.float64)
    window = torch.outer(taps, taps) / taps.sum() ** 2
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            x, y = (image[top : top + 11, left : left + 11].double() for image in (a, b))
            mean_x, mean_y = (window * x).sum(), (window * y).sum()
            var_x, var_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
            covariance = (window * (x - mean_x) * (y - mean_y)).sum()
            luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
            values.append(luminance * (2 * covariance + c2) / (var_x + var_y + c2))
    return float(torch.stack(values).mean())


def reference_frechet(x: Tensor, y: Tensor) -> float:
    """The distance with covariances built and the root taken from the eigenvalues of their product."""
    s, t = torch.cov(x.T), torch.cov(y.T)
    root = torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()
    return float((x.mean(0) - y.mean(0)).square().sum() + s.trace() + t.trace() - 2 * root)


def test_psnr_by_hand() -> None:
    """An offset of 0.2 everywhere is an MSE of 0.04: 10 log10(4 / 0.04) = 20 dB over a range of 2, 14 less 0.02 over 1."""
    truth = 0.5 * noise(3, 4, 12, 16).double()
    torch.testing.assert_close(im.psnr(truth + 0.2, truth), torch.full((4,), 20.0, dtype=torch.float64))
    over_one = im.psnr(truth + 0.2, truth, data_range=1.0)
    torch.testing.assert_close(over_one, torch.full((4,), 10 * math.log10(25), dtype=torch.float64))
    assert im.psnr(truth, truth).isposinf().all()


def test_identical_frames_do_not_make_a_clip_perfect() -> None:
    truth = noise(3, 3, 12, 16)
    video = torch.cat((truth[:, :1], truth[:, 1:] + 0.2), dim=1)
    assert math.isclose(im.mean_over_frames(im.psnr(video, truth)), 20.0, abs_tol=1e-4)
    assert math.isinf(im.mean_over_frames(im.psnr(truth, truth)))


@pytest.mark.parametrize("data_range", [2.0, 1.0])
def test_ssim_agrees_with_the_formula_window_by_window(data_range: float) -> None:
    truth = noise(3, 2, 14, 17).double()
    video = (0.6 * truth + 0.3 * noise(3, 2, 14, 17, seed=1)).double()
    ours = im.ssim(video, truth, data_range=data_range)
    for frame in range(2):
        channels = [reference_ssim(video[c, frame], truth[c, frame], data_range) for c in range(3)]
        assert abs(float(ours[frame]) - sum(channels) / 3) < 1e-12


def test_ssim_of_constant_frames_by_hand() -> None:
    """Without variance only luminance is left: (2 * 0.5 * 0.25 + c1) / (0.25 + 0.0625 + c1), c1 = 0.0004."""
    a, b = torch.full((1, 1, 16, 16), 0.5), torch.full((1, 1, 16, 16), 0.25)
    assert math.isclose(im.ssim(a, b), 0.2504 / 0.3129, rel_tol=1e-9)
    assert math.isclose(im.ssim(a, a), 1.0, rel_tol=1e-12)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_leading_axes_give_what_each_video_gives(batch: tuple[int, ...]) -> None:
    truth, video = noise(*batch, 3, 2, 16, 16), noise(*batch, 3, 2, 16, 16, seed=1)
    for figure in (im.psnr, im.ssim):
        together = figure(video, truth)
        assert together.shape == (*batch, 2) and together.dtype == torch.float64
        pairs = zip(video.reshape(-1, 3, 2, 16, 16), truth.reshape(-1, 3, 2, 16, 16), strict=True)
        alone = torch.stack([figure(a, b) for a, b in pairs])
        torch.testing.assert_close(together.reshape(-1, 2), alone, atol=1e-12, rtol=0)


def test_arguments_stay_as_they_were() -> None:
    truth, video = noise(3, 2, 16, 16), noise(3, 2, 16, 16, seed=1)
    before = truth.clone(), video.clone()
    im.ssim(video, truth), im.psnr(video, truth)
    assert torch.equal(truth, before[0]) and torch.equal(video, before[1])


def test_half_precision_is_measured_in_float64() -> None:
    truth, video = noise(3, 2, 16, 16).bfloat16(), noise(3, 2, 16, 16, seed=1).bfloat16()
    torch.testing.assert_close(im.ssim(video, truth), im.ssim(video.double(), truth.double()), atol=0, rtol=0)


def test_bad_videos_are_named() -> None:
    video = noise(3, 2, 16, 16)
    with pytest.raises(ValueError, match=r"different shape: \[3, 1, 16, 16\] and \[3, 2, 16, 16\]"):
        im.psnr(video[:, :1], video)
    with pytest.raises(ValueError, match="at least 11x11 pixels, got 10x16"):
        im.ssim(video[..., :10, :], video[..., :10, :])
    with pytest.raises(ValueError, match=r"floating point in \[-1, 1\], got torch.uint8"):
        im.psnr(video.byte(), video.byte())


def test_frechet_of_two_lines_by_hand() -> None:
    """One dimension, means 1 and 4, variances 4 and 1: (1 - 4)^2 + (2 - 1)^2 = 10."""
    x, y = torch.tensor([[-1.0], [1.0], [3.0]]), torch.tensor([[3.0], [4.0], [5.0]])
    found = im.frechet_distance(x, y)
    assert math.isclose(found.distance, 10.0, rel_tol=1e-12)
    assert (found.samples, found.true_samples, found.dimension, found.rank_deficient) == (3, 3, 1, False)


@pytest.mark.parametrize("counts", [(200, 150), (7, 5), (200, 5)])
def test_frechet_agrees_with_the_matrix_root(counts: tuple[int, int]) -> None:
    """Full covariances, both rank-deficient, and one of each; the reference loses digits where eigenvalues vanish."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 12, dtype=torch.float64, generator=generator) for n in counts)
    y = y * torch.linspace(0.5, 2, 12, dtype=torch.float64) + 0.3
    found = im.frechet_distance(x, y)
    assert abs(found.distance - reference_frechet(x, y)) < 1e-5
    assert found.rank_deficient == (min(counts) <= 12)


def test_frechet_to_itself_is_zero_and_it_is_symmetric() -> None:
    x, y = noise(40, 64), noise(30, 64, seed=1)
    assert im.frechet_distance(x, x.flip(0)).distance < 1e-10
    there, back = im.frechet_distance(x, y).distance, im.frechet_distance(y, x).distance
    assert math.isclose(there, back, rel_tol=1e-10) and there > 1


def test_bad_features_are_named() -> None:
    with pytest.raises(ValueError, match=r"the first set needs features \[N, D\] with N at least 2, got \[1, 4\]"):
        im.frechet_distance(torch.zeros(1, 4), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="different dimension: 4 and 5"):
        im.frechet_distance(torch.zeros(3, 4), torch.zeros(3, 5))
    with pytest.raises(ValueError, match="the second set of features holds NaN"):
        im.frechet_distance(torch.zeros(3, 4), torch.full((3, 4), math.nan))


class MeanColours(nn.Module):
    """Stands in for Inception: the mean of each channel of uint8 images."""

    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        return images.float().mean(dim=(2, 3))


class MeanClips(nn.Module):
    """Stands in for I3D: the mean of each channel of float clips in 0..255."""

    def forward(self, clips: Tensor, rescale: bool, resize: bool, return_features: bool) -> Tensor:
        return clips.mean(dim=(2, 3, 4))


class SquareDistance(nn.Module):
    """Stands in for LPIPS, with its answer's shape [N, 1, 1, 1]."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean(dim=(1, 2, 3), keepdim=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_local_torchscript_file_is_used(tmp_path: Path) -> None:
    torch.jit.script(SquareDistance()).save(str(tmp_path / "lpips.pt"))
    network = im.load_network(tmp_path / "lpips.pt", "LPIPS")
    truth = 0.5 * noise(2, 3, 4, 16, 16)
    torch.testing.assert_close(
        im.lpips(truth + 0.5, truth, network=network), torch.full((2, 4), 0.25, dtype=torch.float64), atol=1e-6, rtol=0
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_missing_or_wrong_network_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="FID needs a trained network as a local TorchScript file.*downloaded"):
        im.load_network(None, "FID")
    with pytest.raises(ValueError, match="there is no file at .*absent.pt"):
        im.load_network(tmp_path / "absent.pt", "FVD")
    (tmp_path / "text.pt").write_text("no archive")
    with pytest.raises(ValueError, match="text.pt is not a TorchScript archive, which FVD needs"):
        im.load_network(tmp_path / "text.pt", "FVD")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "pickle.pt")
    with pytest.raises(ValueError, match="pickle.pt is not a TorchScript archive"):
        im.load_network(tmp_path / "pickle.pt", "FID")


def test_features_see_every_frame_and_whole_clips() -> None:
    """Frame f of clip b is a constant; its feature must be that constant in bytes, in the order of clips and frames."""
    levels = torch.linspace(-1, 1, 2 * 9).reshape(2, 9)
    video = levels[:, None, :, None, None].expand(2, 3, 9, 4, 5)
    expected = ((levels + 1) * 127.5).round().double()
    frames = im.inception_features(video, network=MeanColours())
    torch.testing.assert_close(frames, expected.reshape(-1, 1).expand(-1, 3), atol=1e-4, rtol=0)
    clips = im.i3d_features(video, network=MeanClips(), clip_frames=4)
    torch.testing.assert_close(clips[:, 0], expected[:, :8].reshape(-1, 4).mean(-1), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="clips of 16 frames, got a video of 9"):
        im.i3d_features(video, network=MeanClips())


def test_a_network_with_another_answer_is_refused() -> None:
    video = noise(3, 4, 16, 16)
    with pytest.raises(ValueError, match=r"the FID network must answer with 4 rows, got \[1\]"):
        im.inception_features(video, network=lambda images, return_features: images.float().mean().reshape(1))
    with pytest.raises(ValueError, match="one value per frame, got 3"):
        im.lpips(video, video, network=lambda a, b: (a - b).mean(dim=(2, 3)))

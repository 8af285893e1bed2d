"""How far one video is from another, and how far one set of videos is from another set.

Videos are [..., 3, F, H, W] in [-1, 1], so the data range is 2; it is an argument of every figure that depends on it.
PSNR, SSIM and LPIPS are per frame; the clip's figure is their mean over frames. Nothing is clamped: a value outside
the range counts as it is.

LPIPS, FID and FVD need trained networks, which the user supplies as local files; nothing is ever downloaded. Which
files: LPIPS, a traced `lpips.LPIPS`; FID, the Inception of the original paper as NVIDIA exports it
(`inception-2015-12-05.pt`); FVD, `i3d_torchscript.pt` of StyleGAN-V. Torchvision's Inception is another network and
gives other numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

VIDEO_RANGE = 2.0
"""Data range of a video in [-1, 1]."""

FVD_CLIP_FRAMES = 16
"""Frames per clip of the published FVD figures (StyleGAN-V)."""

_SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_K1, _SSIM_K2 = 0.01, 0.03
_FRAMES_PER_CALL = 16


@dataclass(frozen=True)
class FrechetDistance:
    """A Frechet distance and what it rests on: the sizes of both sets and the dimension of the features.

    `rank_deficient` says that a set has too few samples to fill the covariance: the value is then biased upwards and
    compares only with values of the same counts.
    """

    distance: float
    samples: int
    true_samples: int
    dimension: int

    @property
    def rank_deficient(self) -> bool:
        """True when either set has no more samples than the features have dimensions."""
        return min(self.samples, self.true_samples) <= self.dimension


def psnr(video: Tensor, truth: Tensor, *, data_range: float = VIDEO_RANGE) -> Tensor:
    """Peak signal-to-noise ratio of every frame in dB, [..., F] float64: 10 log10(range^2 / MSE); identical = inf.

    `video` and `truth` are [..., C, F, H, W] of the same shape; ValueError otherwise.
    """
    _check_pair(video, truth)
    squared = [_square_error(a, b) for a, b in zip(_frames(video), _frames(truth), strict=True)]
    return 10 * torch.log10(data_range**2 / torch.stack(squared, dim=-1))


def ssim(video: Tensor, truth: Tensor, *, data_range: float = VIDEO_RANGE) -> Tensor:
    """Structural similarity of every frame, [..., F] float64, 1 = identical.

    Gaussian window of 11x11 and sigma 1.5, K = (0.01, 0.03), population covariance, whole windows only, mean over
    places and channels: what scikit-image gives with `gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False`. `video` and `truth` are [..., C, F, H, W]; ValueError when the shapes differ or a
    side is below 11 pixels. Source: Wang et al. 2004.
    """
    _check_pair(video, truth)
    if min(video.shape[-2:]) < _SSIM_WINDOW:
        raise ValueError(f"SSIM needs frames of at least 11x11 pixels, got {video.shape[-2]}x{video.shape[-1]}")
    pairs = zip(_frames(video), _frames(truth), strict=True)
    return torch.stack([_frame_ssim(a, b, data_range) for a, b in pairs], dim=-1)


def lpips(video: Tensor, truth: Tensor, *, network: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Perceptual distance of every frame, [..., F] float64, 0 = the same.

    `network` (a module, or what `load_network` gives) takes two batches [N, 3, H, W] in [-1, 1] and answers with N
    values. ValueError when the shapes differ or it answers with another count. Source: Zhang et al. 2018.
    """
    _check_pair(video, truth)
    distances = []
    with torch.no_grad():
        for a, b in zip(_frames(video), _frames(truth), strict=True):
            batch = a.shape[:-3]
            answer = network(a.reshape(-1, *a.shape[-3:]), b.reshape(-1, *b.shape[-3:]))
            rows = _checked_rows("LPIPS", answer, batch.numel())
            if rows.shape[1] != 1:
                raise ValueError(f"the LPIPS network must answer with one value per frame, got {rows.shape[1]}")
            distances.append(rows.reshape(batch))
    return torch.stack(distances, dim=-1)


def mean_over_frames(errors: Tensor) -> Tensor:
    """Mean [...] of per-frame figures [..., F]; frames with PSNR = inf (identical) are left out unless all are.

    A generated clip often holds its source frame bit for bit, and one such frame must not make the clip perfect.
    """
    finite = errors.isfinite()
    total = errors.where(finite, 0.0).sum(-1) / finite.sum(-1)
    return total.where(finite.any(-1), errors[..., 0])


def load_network(path: str | Path | None, purpose: str) -> torch.nn.Module:
    """The TorchScript network in the local file `path` that `purpose` ("LPIPS", "FID", "FVD") needs, in eval mode.

    This is the one place that reads something else than safetensors: these networks are published as TorchScript
    only, whose archive holds code. TorchScript code is restricted (no Python runs, unlike in a pickle) but it is still
    code, so only a file that the user names is opened, never one found or fetched. ValueError in one sentence when no
    file is named, it is not there, or it is no TorchScript archive.
    """
    if path is None:
        raise ValueError(
            f"{purpose} needs a trained network as a local TorchScript file: name its path (nothing is downloaded)"
        )
    if not Path(path).is_file():
        raise ValueError(f"{purpose} needs its network as a local TorchScript file, and there is no file at {path}")
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise ValueError(f"{path} is not a TorchScript archive, which {purpose} needs") from error


def inception_features(video: Tensor, *, network: Callable[..., Tensor]) -> Tensor:
    """Features [N, D] float64 of every frame of `video` [..., 3, F, H, W] for FID, N = all frames of all clips.

    `network` is called as NVIDIA's TorchScript Inception: `network(images, return_features=True)` with uint8
    [n, 3, H, W]; it resizes by itself. Source: Heusel et al. 2017; Karras et al. 2021.
    """
    images = _bytes(video).movedim(-3, -4).flatten(0, -4)  # [N, 3, H, W]
    features = []
    with torch.no_grad():
        for batch in images.split(_FRAMES_PER_CALL):
            features.append(_checked_rows("FID", network(batch, return_features=True), len(batch)))
    return torch.cat(features)


def i3d_features(video: Tensor, *, network: Callable[..., Tensor], clip_frames: int = FVD_CLIP_FRAMES) -> Tensor:
    """Features [N, D] float64 of consecutive, not overlapping clips of `clip_frames` frames of `video` for FVD.

    `video` [..., 3, F, H, W] gives floor(F / clip_frames) clips each; a shorter rest is left out. `network` is called
    as StyleGAN-V does: `network(clips, rescale=True, resize=True, return_features=True)` with float [n, 3, f, H, W] of
    0..255; other I3D files and resizes differ by about a tenth. ValueError when a video is shorter than a clip.
    """
    frames = video.shape[-3]
    if frames < clip_frames:
        raise ValueError(f"FVD takes clips of {clip_frames} frames, got a video of {frames}")
    whole = _bytes(video).narrow(-3, 0, frames - frames % clip_frames)
    clips = whole.unflatten(-3, (-1, clip_frames)).movedim(-4, -5).flatten(0, -5)  # [N, 3, f, H, W]
    options = {"rescale": True, "resize": True, "return_features": True}
    with torch.no_grad():
        rows = [_checked_rows("FVD", network(clip[None].float(), **options), 1) for clip in clips]
    return torch.cat(rows)


def frechet_distance(features: Tensor, true_features: Tensor) -> FrechetDistance:
    """|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) of Gaussians fitted to features [N, D] and [N', D], in float64.

    The covariances are never built: with centred and scaled rows A^T A = S and B^T B = S', the trace of the root is
    the nuclear norm of A B^T, which keeps its digits for rank-deficient sets, where a matrix square root needs a fudge
    term. ValueError on fewer than 2 samples, different dimensions or values that are not finite.
    Source: Dowson and Landau 1982; Heusel et al. 2017.
    """
    for name, rows in (("first", features), ("second", true_features)):
        if rows.ndim != 2 or len(rows) < 2:
            raise ValueError(f"the {name} set needs features [N, D] with N at least 2, got {list(rows.shape)}")
        if not rows.isfinite().all():
            raise ValueError(f"the {name} set of features holds NaN or infinity")
    if features.shape[1] != true_features.shape[1]:
        raise ValueError(f"features of different dimension: {features.shape[1]} and {true_features.shape[1]}")
    (mean, root), (true_mean, true_root) = _moments(features), _moments(true_features)
    spread = root.square().sum() + true_root.square().sum()
    overlap = torch.linalg.matrix_norm(root @ true_root.mT, ord="nuc")
    distance = (mean - true_mean).square().sum() + spread - 2 * overlap
    return FrechetDistance(max(float(distance), 0.0), len(features), len(true_features), features.shape[1])


def _check_pair(video: Tensor, truth: Tensor) -> None:
    if video.shape != truth.shape:
        raise ValueError(f"videos of different shape: {list(video.shape)} and {list(truth.shape)}")
    if video.ndim < 4:
        raise ValueError(f"a video is [..., 3, F, H, W], got {list(video.shape)}")
    if not (video.is_floating_point() and truth.is_floating_point()):
        raise ValueError(f"videos are floating point in [-1, 1], got {video.dtype} and {truth.dtype}")


def _frames(video: Tensor) -> Iterator[Tensor]:
    """The frames [..., C, H, W] of [..., C, F, H, W], one after the other, to bound the memory of float64 copies."""
    yield from video.unbind(-3)


def _in_float64(frame: Tensor) -> Tensor:
    """`frame` in float64, on the CPU where its device has none."""
    return frame.to("cpu" if frame.device.type == "mps" else frame.device, torch.float64)


def _square_error(a: Tensor, b: Tensor) -> Tensor:
    return (_in_float64(a) - _in_float64(b)).square().mean(dim=(-3, -2, -1))


def _frame_ssim(a: Tensor, b: Tensor, data_range: float) -> Tensor:
    """SSIM [...] of frames [..., C, H, W]. Only the sum of both variances enters: four maps are smoothed, not five."""
    a, b = _in_float64(a), _in_float64(b)
    c1, c2 = (_SSIM_K1 * data_range) ** 2, (_SSIM_K2 * data_range) ** 2
    mean_a, mean_b = _smoothed(a), _smoothed(b)
    squares, product = mean_a.square() + mean_b.square(), mean_a * mean_b
    variances = _smoothed(a.square() + b.square()) - squares
    covariance = _smoothed(a * b) - product
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return similarity.mean(dim=(-3, -2, -1))


def _smoothed(image: Tensor) -> Tensor:
    """`image` [..., H, W] under the Gaussian window, whole windows only: [..., H - 10, W - 10]."""
    return _smoothed_along(_smoothed_along(image, -2), -1)


def _smoothed_along(image: Tensor, axis: int) -> Tensor:
    """One axis of the separable window as a sum of shifted copies: faster than a convolution of single channels."""
    weights = [math.exp(-0.5 * ((k - _SSIM_WINDOW // 2) / _SSIM_SIGMA) ** 2) for k in range(_SSIM_WINDOW)]
    length = image.shape[axis] - _SSIM_WINDOW + 1
    total = sum(weights)
    result = image.narrow(axis, 0, length) * (weights[0] / total)
    for k in range(1, _SSIM_WINDOW):
        result.add_(image.narrow(axis, k, length), alpha=weights[k] / total)
    return result


def _bytes(video: Tensor) -> Tensor:
    """`video` in [-1, 1] as the 8-bit values that a file of it holds (outside is clipped)."""
    return ((video.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def _checked_rows(purpose: str, answer: Tensor, count: int) -> Tensor:
    """The network's answer as [count, D] float64 on the CPU; ValueError when it has another number of rows."""
    if not isinstance(answer, Tensor) or answer.shape[:1] != (count,):
        shape = list(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise ValueError(f"the {purpose} network must answer with {count} rows, got {shape}")
    return answer.detach().to("cpu", torch.float64).reshape(count, -1)


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [D] and a triangular root R [min(N, D), D] of the covariance of rows [N, D]: R^T R = S."""
    rows = features.detach().to("cpu", torch.float64)
    mean = rows.mean(0)
    return mean, torch.linalg.qr((rows - mean) / math.sqrt(len(rows) - 1), mode="r").R

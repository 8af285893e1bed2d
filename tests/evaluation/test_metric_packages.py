"""LPIPS and FID against the packages that publish them, with random weights in both; skipped where they are not."""

from __future__ import annotations

import cv2
import pytest
import torch
from torch import nn

from raxel_core.evaluation.image_metrics import frechet_distance, inception_features, load_network, lpips


@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_lpips_is_the_package_s(net, tmp_path):
    """Traced on pictures of one size as the README says, asked for others."""
    package = pytest.importorskip("lpips", reason="the package lpips is not installed")
    torch.manual_seed(0)
    network = package.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False).eval()
    for lin in network.lins:
        for weight in lin.parameters():
            weight.data.abs_()  # as trained ones: distances are not below 0
    picture = torch.rand(1, 3, 64, 64)
    torch.jit.trace(network, (picture, picture), check_trace=False).save(str(tmp_path / "lpips.pt"))
    video, truth = torch.rand(2, 2, 3, 3, 48, 80) * 2 - 1
    with torch.no_grad():
        expected = torch.stack([network(video[:, :, f], truth[:, :, f]).flatten() for f in range(3)], -1)
    found = lpips(video, truth, network=load_network(tmp_path / "lpips.pt", "LPIPS"))
    assert expected.min() > 1e-3 and torch.allclose(found, expected.double(), atol=1e-5)


class Features(nn.Module):
    """pytorch-fid's first block, called as NVIDIA's TorchScript is."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, images: torch.Tensor, return_features: bool = False):
        return self.block(2 * (images.float() / 255) - 1).mean((2, 3))


def test_fid_is_pytorch_fid_s(tmp_path, monkeypatch):
    """Their statistics of picture files by their network, and their matrix root, against ours of the clips."""
    inception = pytest.importorskip("pytorch_fid.inception", reason="the package pytorch-fid is not installed")
    scores = pytest.importorskip("pytorch_fid.fid_score")
    torch.manual_seed(0)
    monkeypatch.setattr(inception, "fid_inception_v3", lambda: inception._inception_v3(aux_logits=False, weights=None))
    model = inception.InceptionV3([0], resize_input=False).eval()
    torch.jit.script(Features(model.blocks[0])).save(str(tmp_path / "inception.pt"))
    network = load_network(tmp_path / "inception.pt", "FID")
    features, statistics = [], []
    for name, shift in (("a", 0.0), ("b", 0.3)):
        clips = (0.3 * torch.randn(16, 3, 8, 1, 1) + 0.4 * torch.randn(16, 3, 8, 40, 40) + shift).clamp(-1, 1)
        features.append(inception_features(clips, network=network))
        files = [tmp_path / f"{name}{number:03d}.png" for number in range(128)]
        pictures = ((clips + 1) * 127.5).round().byte().permute(0, 2, 3, 4, 1).flatten(0, 1).numpy()
        assert all(cv2.imwrite(str(f), p[..., ::-1]) for f, p in zip(files, pictures, strict=True))
        statistics.append(scores.calculate_activation_statistics(files, model, 16, 64, "cpu", 0))
    found = frechet_distance(*features)
    assert not found.rank_deficient
    expected = scores.calculate_frechet_distance(*statistics[0], *statistics[1])
    assert found.distance == pytest.approx(expected, rel=1e-6) and expected > 1e-4

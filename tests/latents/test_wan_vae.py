"""The adapter of Wan's VAE: frame arithmetic, values beyond [-1, 1], and both file layouts, on a small random VAE."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from raxel_core.latents.vae import VideoVAE, encode_images
from raxel_core.latents.wan_vae import WanVAE, is_wan_vae, load_wan_vae

diffusers = pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def autoencoder():
    torch.manual_seed(0)
    return diffusers.AutoencoderKLWan(base_dim=8, z_dim=4)


@pytest.fixture(scope="module")
def video() -> torch.Tensor:
    return torch.rand(1, 3, 5, 32, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_it_is_a_video_vae(autoencoder) -> None:
    vae = WanVAE(autoencoder)
    assert isinstance(vae, VideoVAE)
    assert (vae.latent_channels, vae.spatial_stride, vae.temporal_stride) == (4, 8, 4)


def test_latents_are_the_mode_of_the_posterior(autoencoder, video: torch.Tensor) -> None:
    latents = WanVAE(autoencoder).encode(video)
    assert latents.shape == (1, 4, 2, 4, 6)
    torch.testing.assert_close(latents, autoencoder.encode(video).latent_dist.mean)


def test_frames_depend_only_on_the_past(autoencoder, video: torch.Tensor) -> None:
    vae = WanVAE(autoencoder)
    changed = video.clone()
    changed[:, :, 1:] = 0.0
    torch.testing.assert_close(vae.encode(changed)[:, :, :1], vae.encode(video)[:, :, :1])


def test_images_are_coded_one_by_one(autoencoder, video: torch.Tensor) -> None:
    vae = WanVAE(autoencoder)
    latents = encode_images(vae, video)
    assert latents.shape == (1, 4, 5, 4, 6)
    torch.testing.assert_close(latents[:, :, 3:4], vae.encode(video[:, :, 3:4]))


def test_decoding_is_diffusers_decoding_without_its_clamp(autoencoder) -> None:
    vae = WanVAE(autoencoder)
    latents = torch.randn(1, 4, 3, 4, 6, generator=torch.Generator().manual_seed(2)) * 40
    decoded = vae.decode(latents)
    clamped = autoencoder.decode(latents).sample
    assert decoded.shape == clamped.shape == (1, 3, 9, 32, 48)
    assert float(decoded.abs().max()) > 1.0
    assert torch.equal(decoded.clamp(-1, 1), clamped)
    assert not autoencoder.decoder._forward_hooks


def test_half_precision_weights_are_kept_in_float32(video: torch.Tensor) -> None:
    torch.manual_seed(0)
    vae = WanVAE(diffusers.AutoencoderKLWan(base_dim=8, z_dim=4).to(torch.bfloat16))
    assert vae.encode(video.bfloat16()).dtype == torch.float32


def test_wan22_patches_are_undone() -> None:
    torch.manual_seed(0)
    autoencoder = diffusers.AutoencoderKLWan(
        base_dim=8, decoder_base_dim=8, z_dim=4, is_residual=True, in_channels=12, out_channels=12, patch_size=2,
        scale_factor_spatial=16, temperal_downsample=[False, True, True],
    )  # fmt: skip
    vae = WanVAE(autoencoder)
    latents = torch.randn(1, 4, 2, 2, 2, generator=torch.Generator().manual_seed(3))
    assert torch.equal(vae.decode(latents).clamp(-1, 1), autoencoder.decode(latents).sample)
    assert vae.spatial_stride == 16


def test_a_diffusers_folder_round_trip(autoencoder, video: torch.Tensor, tmp_path: Path) -> None:
    autoencoder.save_pretrained(tmp_path)
    assert is_wan_vae(tmp_path)
    assert torch.equal(load_wan_vae(tmp_path).encode(video), WanVAE(autoencoder).encode(video))


def _wan_state(autoencoder) -> dict[str, torch.Tensor]:
    """The tensors under Wan's own names, found by asking diffusers' converter where each possible name goes."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    roots = ["conv1", "conv2", "encoder.conv1", "decoder.conv1", "encoder.head.0", "encoder.head.2", "decoder.head.0"]
    roots += ["decoder.head.2"]
    places = [f"{side}.middle" for side in ("encoder", "decoder")] + ["encoder.downsamples", "decoder.upsamples"]
    parts = [f"residual.{i}" for i in (0, 2, 3, 6)] + ["norm", "to_qkv", "proj", "shortcut", "resample.1", "time_conv"]
    roots += [f"{place}.{i}.{part}" for place, i, part in itertools.product(places, range(15), parts)]
    state, wanted = {}, autoencoder.state_dict()
    for root, leaf in itertools.product(roots, ("weight", "bias", "gamma")):
        (target,) = convert_wan_vae_to_diffusers({f"{root}.{leaf}": 0})
        if target in wanted:
            state[f"{root}.{leaf}"] = wanted[target]
    assert len(state) == len(wanted)
    return state


def test_a_file_in_wans_own_layout(autoencoder, video: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "wan_vae.safetensors"
    save_file(_wan_state(autoencoder), path)
    assert is_wan_vae(path)
    assert torch.equal(load_wan_vae(path).encode(video), WanVAE(autoencoder).encode(video))


def test_an_incomplete_file_is_refused(autoencoder, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    state = _wan_state(autoencoder)
    del state["encoder.conv1.weight"]
    save_file(state, path)
    with pytest.raises(ValueError, match=r"does not hold Wan 2.1's VAE: .*encoder.conv_in.weight"):
        load_wan_vae(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(1)}, other)
    with pytest.raises(ValueError, match="neither a diffusers folder"):
        load_wan_vae(other)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_wan_vae(broken)


def test_tiling_is_refused_rather_than_clamped(video: torch.Tensor) -> None:
    torch.manual_seed(0)
    vae = WanVAE(diffusers.AutoencoderKLWan(base_dim=8, z_dim=4))
    vae.autoencoder.use_tiling = True
    with pytest.raises(ValueError, match="tiling"):
        vae.decode(torch.zeros(1, 4, 1, 4, 4))


def test_importing_the_adapter_does_not_import_diffusers() -> None:
    code = "import sys, raxel_core.latents.wan_vae; sys.exit('diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("text", ["[]", "null", '{"_class_name": 3}'])
def test_a_folder_of_something_else_is_no_wan_vae(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match="neither a diffusers folder"):
        load_wan_vae(tmp_path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_a_folder_with_a_broken_configuration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json is not JSON"):
        load_wan_vae(tmp_path)


def test_a_file_whose_sizes_are_no_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scalar.safetensors"
    scalar = torch.zeros(())
    names = ("decoder.middle.0.residual.0.gamma", "decoder.head.0.gamma", "conv2.weight")
    save_file({name: scalar.clone() for name in names}, path)
    with pytest.raises(ValueError, match="is not a complete Wan VAE"):
        load_wan_vae(path)

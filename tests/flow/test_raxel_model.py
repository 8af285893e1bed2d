"""Loading a model with its VAE and recipe, and what its parts promise each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raxel_core import raxel_model
from raxel_core.raxel_model import RaxelModel, embedded_models, load_model, load_vae
from raxel_core.recipe import METADATA_KEY
from raxel_core.weights.checkpoint import save_checkpoint
from tests.small_checkpoint import (
    CONFIG,
    FRAMES,
    HW,
    save_small_checkpoint,
    small_recipe,
    small_transformer,
    small_vae,
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return save_small_checkpoint(tmp_path)


def test_a_model_comes_back_as_it_was_saved(files: tuple[Path, Path]) -> None:
    model = load_model(files[0], vae=files[1])
    assert model.recipe == small_recipe()
    saved = small_transformer().state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in model.transformer.state_dict().items())
    video = torch.rand(1, 3, FRAMES, *HW) * 2 - 1
    assert torch.equal(model.vae.encode(video), small_vae().encode(video))
    assert not any(parameter.requires_grad for parameter in model.transformer.parameters())


def test_the_cpu_gets_float32_unless_told_otherwise(tmp_path: Path) -> None:
    path, vae = tmp_path / "half.safetensors", small_vae()
    weights = {name: value.bfloat16() for name, value in small_transformer().state_dict().items()}
    save_checkpoint(path, weights, CONFIG, metadata={METADATA_KEY: small_recipe().to_json()})
    assert next(load_model(path, vae=vae).transformer.parameters()).dtype == torch.float32
    assert next(load_model(path, vae=vae, dtype=torch.bfloat16).transformer.parameters()).dtype == torch.bfloat16


def test_embedded_models_load_by_name_with_their_vae(files: tuple[Path, Path], tmp_path, monkeypatch) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for path in files:
        path.rename(folder / path.name)
    monkeypatch.setattr(raxel_model, "CHECKPOINTS", folder)
    assert embedded_models() == ["raxel-small"]
    assert load_model("raxel-small").vae.latent_channels == CONFIG.in_channels
    with pytest.raises(ValueError, match="nothing is neither a file nor an embedded model .those are: raxel-small"):
        load_model("nothing")


def test_a_checkpoint_without_a_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.safetensors"
    save_checkpoint(path, small_transformer(), CONFIG)
    with pytest.raises(ValueError, match="does not say what it was trained on"):
        load_model(path, vae=small_vae())


def test_a_vae_that_is_not_at_hand_is_asked_for(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the VAE raxel-small-vae is not embedded; give the path"):
        load_model(files[0])
    with pytest.raises(ValueError, match="patch VAE"):
        load_vae(files[0])


def test_a_checkpoint_cannot_name_a_file_as_its_vae(files: tuple[Path, Path], tmp_path: Path) -> None:
    """What a recipe says is a name: even where a VAE lies at that place, it is not opened."""
    path = tmp_path / "pointing.safetensors"
    for place in (files[1], files[1].with_suffix("")):
        recipe = small_recipe().to_json().replace(json.dumps(small_recipe().vae), json.dumps(str(place)))
        save_checkpoint(path, small_transformer(), CONFIG, metadata={METADATA_KEY: recipe})
        with pytest.raises(ValueError, match="a recipe's vae is a VAE's file name without its suffix"):
            load_model(path)


def test_a_vae_of_another_format_is_refused_with_the_reason(tmp_path: Path) -> None:
    pickled = tmp_path / "vae.pt"
    torch.save({}, pickled)
    with pytest.raises(ValueError, match="can run code when opened"):
        load_vae(pickled)
    pickled.rename(tmp_path / "vae.safetensors")
    with pytest.raises(ValueError, match="zip archive"):
        load_vae(tmp_path / "vae.safetensors")
    with pytest.raises(ValueError, match="neither a diffusers folder"):
        load_vae(tmp_path)


def test_latent_shapes_follow_from_frames_and_size() -> None:
    """9 frames are 3 latent frames; 64 x 96 pixels are 8 x 12 cells, and the raxels' 32 x 48 pixels are 4 x 6."""
    model = RaxelModel(small_transformer(), small_vae(), small_recipe())
    assert model.latent_shapes(9, (64, 96)) == ((48, 3, 8, 12), (48, 3, 4, 6))
    with pytest.raises(ValueError, match="multiple of 8 here and its width of 8, got 60x96: resize it to 64x96"):
        model.latent_shapes(9, (60, 96))


def test_latents_are_normalised_and_come_back() -> None:
    model = RaxelModel(small_transformer(), small_vae(), small_recipe())
    columns = torch.linspace(-0.5, 0.5, HW[1]).expand(1, 3, FRAMES, *HW)
    latents = model.encode_video(columns)
    raw = model.vae.encode(columns)
    torch.testing.assert_close(latents, model.recipe.video_statistics.normalize(raw))
    assert float((model.decode_video(latents) - columns).abs().mean()) < 0.01
    loud = model.encode_rays(torch.full((1, 3, FRAMES, 32, 48), 1.4))
    assert float(model.decode_rays(loud).mean()) == pytest.approx(1.4, abs=1e-3)


def test_parts_that_do_not_fit_are_refused() -> None:
    model = RaxelModel(small_transformer(), small_vae(), small_recipe())

    class OtherVAE:
        latent_channels, spatial_stride, temporal_stride = 16, 8, 4

    with pytest.raises(ValueError, match="differ in latent channels: .*'network': 48, 'VAE': 16"):
        replace(model, vae=OtherVAE())

"""Ray Diffusion's network against plain NumPy in float64, its released names and shapes, its noise and its sampler."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from raxel_core.ray_diffusion.bundle import normalized_bundle, published_bundle
from raxel_core.ray_diffusion.config import RELEASED, RayDiffusionConfig
from raxel_core.ray_diffusion.dino import DinoV2
from raxel_core.ray_diffusion.network import RayDiffuser
from raxel_core.ray_diffusion.noise import NoiseSchedule
from raxel_core.ray_diffusion.sampler import SamplerSettings, chunked_denoise, sample, sampled_rays, sampling_levels
from raxel_core.ray_diffusion.transformer import RayTransformer, initialize
from tests.ray_diffusion import numpy_networks as plain

SMALL = RayDiffusionConfig(hidden=32, depth=2, heads=4, grid=8, patch=2, image_px=32, features="convolution", feature_channels=16)  # fmt: skip


def randomized(module, seed=0, spread=0.1):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
    return module


def state_of(module):
    return {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}


def test_the_released_network_has_its_names_shapes_and_387_million_parameters():
    with torch.device("meta"):
        network = RayDiffuser(RELEASED)
    assert sum(p.numel() for p in network.ray_predictor.parameters()) == 387_222_918
    assert sum(p.numel() for p in network.ray_predictor.blocks[0].parameters()) == 23_905_152
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    expected = {
        "noise_scheduler.betas": (100,), "noise_scheduler.alphas": (100,), "noise_scheduler.alphas_cumprod": (100,),
        "feature_extractor.model.cls_token": (1, 1, 384), "feature_extractor.model.pos_embed": (1, 1370, 384),
        "feature_extractor.model.mask_token": (1, 384), "feature_extractor.model.patch_embed.proj.weight": (384, 3, 14, 14),
        "feature_extractor.model.norm.bias": (384,), "ray_predictor.x_embedder.proj.weight": (1152, 392, 1, 1),
        "ray_predictor.x_pos_enc.image_pos_table": (1, 8, 1152), "ray_predictor.x_pos_enc.token_pos_table": (1, 256, 1152),
        "ray_predictor.t_embedder.mlp.0.weight": (1152, 256), "ray_predictor.t_embedder.mlp.2.bias": (1152,),
        "ray_predictor.final_layer.linear.weight": (6, 1152),
        "ray_predictor.final_layer.adaLN_modulation.1.weight": (2304, 1152),
    }  # fmt: skip
    for block in (0, 11):
        part = f"feature_extractor.model.blocks.{block}"
        expected |= {
            f"{part}.norm1.weight": (384,), f"{part}.attn.qkv.weight": (1152, 384), f"{part}.attn.proj.bias": (384,),
            f"{part}.ls1.gamma": (384,), f"{part}.mlp.fc1.weight": (1536, 384), f"{part}.mlp.fc2.weight": (384, 1536),
            f"{part}.ls2.gamma": (384,), f"{part}.norm2.bias": (384,),
        }  # fmt: skip
    for block in (0, 15):
        part = f"ray_predictor.blocks.{block}"
        expected |= {
            f"{part}.attn.qkv.weight": (3456, 1152), f"{part}.attn.proj.weight": (1152, 1152),
            f"{part}.mlp.fc1.weight": (4608, 1152), f"{part}.mlp.fc2.bias": (1152,),
            f"{part}.adaLN_modulation.1.weight": (6912, 1152),
        }  # fmt: skip
    assert {name: shapes.get(name) for name in expected} == expected
    assert len(shapes) == 3 + 7 + 12 * 14 + 2 + 2 + 4 + 16 * 10 + 4


def test_dino_is_that_of_plain_numpy():
    network = randomized(DinoV2(), spread=0.05).double()
    image = torch.rand(3, 56, 56, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        found = network(image[None])[0].permute(1, 2, 0)
    # Position embeddings are resized in float32, as they were in training.
    np.testing.assert_allclose(found.numpy(), plain.dino(image.numpy(), state_of(network)), atol=2e-5)
    with pytest.raises(ValueError, match="multiples of 14"):
        network(image[None, :, :50])


@pytest.mark.parametrize(("patch", "images"), [(1, 2), (2, 3)])
def test_the_ray_transformer_is_that_of_plain_numpy(patch, images):
    config = RayDiffusionConfig(hidden=24, depth=2, heads=3, grid=4, patch=patch, image_px=16, features="convolution", feature_channels=8)  # fmt: skip
    network = randomized(RayTransformer(config), spread=0.2).double()
    x = torch.randn(images, config.in_channels, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for t in (0, 37, 99):
        with torch.no_grad():
            found = network(x[None], torch.tensor([t]))[0]
        expected = plain.ray_transformer(x.numpy(), t, state_of(network), heads=3, patch=patch)
        # Tables and time are float32 buffers.
        np.testing.assert_allclose(found.numpy(), expected, atol=5e-5 * np.abs(expected).max())


def test_a_new_network_begins_as_the_identity_of_its_blocks():
    network = RayTransformer(SMALL)
    initialize(network, torch.Generator().manual_seed(0))
    x = torch.randn(1, 2, SMALL.in_channels, 8, 8)
    one = network(x, torch.tensor([5]))
    for block in network.blocks:
        for parameter in (block.attn.qkv.weight, block.mlp.fc1.weight):
            parameter.data.normal_()
    assert torch.equal(one, network(x, torch.tensor([5])))


def test_the_noise_levels_are_those_of_the_paper():
    schedule = NoiseSchedule(100, 1e-4, 0.2)
    level = np.cumprod(1.0 - np.linspace(1e-4, 0.2, 100))
    np.testing.assert_allclose(schedule.alphas_cumprod.numpy(), level, rtol=2e-5)
    assert float(schedule.alphas_cumprod[99]) == pytest.approx(2.1e-5, rel=0.03)
    assert float(schedule.alphas_cumprod[29]) == pytest.approx(0.41, rel=0.01)
    x, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    made = schedule.noised(x, noise, torch.tensor([10, 90]))
    for i, t in enumerate((10, 90)):
        np.testing.assert_allclose(made[i], math.sqrt(level[t]) * x[i] + math.sqrt(1 - level[t]) * noise[i], atol=1e-5)


def test_an_implicit_step_keeps_the_noise_that_is_there():
    schedule = NoiseSchedule(100, 1e-4, 0.2).double()
    clean, noise = torch.randn(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    here = schedule.noised(clean[None], noise[None], torch.tensor([80]))[0]
    there = schedule.noised(clean[None], noise[None], torch.tensor([40]))[0]
    torch.testing.assert_close(schedule.implicit(here, clean, 80, 40), there)
    torch.testing.assert_close(schedule.implicit(here, clean, 80, -1), clean)


def test_the_posterior_mean_is_that_of_two_gaussians_and_any_step_is_many():
    # p(x_s | x_t, x_0) ~ N(x_s; sqrt(a_s) x_0, 1 - a_s) N(x_t; sqrt(a_t / a_s) x_s, 1 - a_t / a_s): precisions add.
    schedule = NoiseSchedule(100, 1e-4, 0.2).double()
    level = np.cumprod(1.0 - np.linspace(1e-4, 0.2, 100))
    x, clean = 0.7, -0.3
    for t, s in ((99, 98), (80, 40), (30, 29)):
        ratio = level[t] / level[s]
        prior, seen = 1 / (1 - level[s]), ratio / (1 - ratio)
        expected = (prior * math.sqrt(level[s]) * clean + seen * x / math.sqrt(ratio)) / (prior + seen)
        found = schedule.posterior_mean(torch.tensor(x).double(), torch.tensor(clean).double(), t, s)
        assert float(found) == pytest.approx(expected, abs=2e-5)
    one = torch.tensor(x).double()
    for t in range(80, 40, -1):
        one = schedule.posterior_mean(one, torch.tensor(clean).double(), t, t - 1)
    whole = schedule.posterior_mean(torch.tensor(x).double(), torch.tensor(clean).double(), 80, 40)
    assert float(one) == pytest.approx(float(whole), abs=2e-5)
    assert float(schedule.posterior_mean(one, torch.tensor(clean).double(), 3, -1)) == pytest.approx(clean, abs=1e-6)


def test_the_sampler_ends_at_the_prediction_of_level_29_and_counts_its_steps():
    levels = sampling_levels(RELEASED, 71)
    assert levels == list(range(99, 28, -1)) and sampling_levels(RELEASED, 1000) == levels
    assert sampling_levels(RELEASED, 1) == [99] and sampling_levels(RELEASED, 8)[-1] == 29
    asked, shown = [], []

    def oracle(x, level):
        asked.append((level, float(x.abs().mean())))
        return torch.full_like(x, 0.1 * level)

    network = RayDiffuser(SMALL)
    noise = torch.randn(1, 2, 6, 8, 8)
    out = sample(
        network, oracle, noise, [99, 60, 29], make_lines=lambda x: x, keep_noise=False,
        progress=lambda *n: shown.append(n),
    )  # fmt: skip
    assert [level for level, _ in asked] == [99, 60, 29] and shown == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(out, torch.full_like(noise, 2.9000001))
    assert asked[0][1] == pytest.approx(float(noise.abs().mean()))
    # At level 60 next to nothing of the noise is left: x is the clean 9.9 times its weight, clipped to 5 at most.
    assert asked[1][1] < 5.0


def test_seeds_samples_and_chunks_beyond_eight_photographs():
    network = randomized(RayDiffuser(SMALL), spread=0.1).eval()
    features, ndc = torch.randn(11, 16, 8, 8), torch.randn(11, 2, 8, 8)
    settings = SamplerSettings(steps=3, samples=2, seed=5)
    first = sampled_rays(network, features, ndc, settings)
    assert first.shape == (2, 11, 6, 8, 8) and torch.equal(first, sampled_rays(network, features, ndc, settings))
    assert not torch.equal(first[0], first[1])
    torch.testing.assert_close(first[:, :, :3].norm(dim=2), torch.ones(2, 11, 8, 8), rtol=0, atol=1e-5)
    assert float((first[:, :, :3] * first[:, :, 3:]).sum(2).abs().max()) < 1e-5
    # In chunks: photograph 0 is in both and averaged, every other one is seen once with it.
    seen = []
    network.denoised = lambda _, x, t: seen.append(x[0, :, 0, 0, 0].tolist()) or x + len(seen)
    x = torch.arange(11.0)[None, :, None, None, None].expand(1, 11, 6, 8, 8).contiguous()
    out = chunked_denoise(network, features, ndc, torch.Generator().manual_seed(0))(x, 3)
    assert [len(chunk) for chunk in seen] == [8, 4] and all(chunk[0] == 0.0 for chunk in seen)
    assert sorted(seen[0][1:] + seen[1][1:]) == list(range(1, 11))
    assert float(out[0, 0].mean()) == 1.5


def test_the_published_arithmetic_is_named_in_one_place():
    published = SamplerSettings(steps=3, samples=2, seed=5).as_published(100)
    assert published == SamplerSettings("diffusion", 3, 2, 5, published_bundle, regression_level=100, keep_noise=False)


def test_predictions_become_lines_exactly_and_as_published():
    x = torch.randn(3, 6, 4, 4, dtype=torch.float64)
    exact, published = normalized_bundle(x), published_bundle(x)
    assert float((exact[:, :3] * exact[:, 3:]).sum(1).abs().max()) < 1e-12
    d, m = x[:, :3].numpy(), x[:, 3:].numpy()
    length = np.linalg.norm(d, axis=1, keepdims=True)
    unit = d / length
    along = (unit * m).sum(1, keepdims=True)
    np.testing.assert_allclose(published[:, 3:].numpy(), m - along * unit / length, atol=1e-12)
    np.testing.assert_allclose(exact[:, 3:].numpy(), m - along * unit, atol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden": 33}, "33 by 4"),
        ({"features": "resnet"}, "features is one of"),
        ({"image_px": 30, "features": "dinov2_vits14", "feature_channels": 384}, "multiple of 14"),
        ({"beta_end": 2.0}, "betas rise"),
        ({"max_images": 1}, "2 images or more"),
    ],
)
def test_configurations_that_make_no_network_are_refused(wrong, message):
    values = {"hidden": 32, "depth": 2, "heads": 4, "grid": 8, "patch": 2, "image_px": 32, "features": "convolution", "feature_channels": 16}  # fmt: skip
    with pytest.raises(ValueError, match=message):
        RayDiffusionConfig(**(values | wrong))
    assert RayDiffusionConfig.from_json(SMALL.to_json()) == SMALL
    for text, told in (
        ('{"hidden": "a"}', "hidden of a Ray Diffusion network is int"),
        ('{"width": 1}', "unknown width"),
    ):
        with pytest.raises(ValueError, match=told):
            RayDiffusionConfig.from_json(text)

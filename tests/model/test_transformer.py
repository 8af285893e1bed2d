"""The two-stream transformer: what each stream may see, where tokens sit, variants, kernels, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import autocast, nn

from raxel_core.model import TINY, RaxelConfig, RaxelTransformer, initialize
from raxel_core.model.attention import attend
from raxel_core.model.layers import Gelu, NormedRotation, ScaledSum, sinusoidal_embedding
from raxel_core.model.rope import rotate, rotation_table

CONFIG = RaxelConfig(dim=48, ffn_dim=64, layers=2, heads=3, in_channels=4, patch=(1, 1, 1), text_dim=10, freq_dim=16)
VARIANTS = {
    "dsca": CONFIG,
    "no text": replace(CONFIG, text_dim=None),
    "joint": replace(CONFIG, attention="joint"),
    "text projections": replace(CONFIG, inter="text"),
    "new projections": replace(CONFIG, inter="new"),
    "plucker": replace(CONFIG, ray_representation="plucker"),
    "patches": replace(CONFIG, patch=(1, 2, 2)),
}


def build(config=CONFIG, *, gate=0.5, seed=0):
    """A model whose every weight matters: initialised, then heads, projections and biases made random."""
    model = RaxelTransformer(config)
    generator = torch.Generator().manual_seed(seed)
    initialize(model, gate=gate, generator=generator)
    for name, parameter in model.named_parameters():
        if not name.endswith("gate"):
            parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model


def inputs(config=CONFIG, *, batch=2, frames=3, ray_frames=None, seed=1):
    generator = torch.Generator().manual_seed(seed)
    size = 8 if config.patch[1] == 1 else 16
    ray_size = size if config.ray_representation == "plucker" else size // 2
    ray_frames = frames if ray_frames is None else ray_frames
    return (
        torch.randn(batch, config.in_channels, frames, size, size, generator=generator),
        torch.randn(batch, config.ray_channels, ray_frames, ray_size, ray_size, generator=generator),
        torch.rand(batch, frames, generator=generator),
        torch.rand(batch, ray_frames, generator=generator),
    )


def text(config=CONFIG, batch=2):
    if config.text_dim is None:
        return None
    return torch.randn(batch, 5, config.text_dim, generator=torch.Generator().manual_seed(9))


def close(a, b, tolerance=1e-5):
    return all((x - y).abs().max() < tolerance for x, y in zip(a, b, strict=True))


# --- what the streams see


@pytest.mark.parametrize("name", VARIANTS)
def test_every_weight_takes_part(name):
    config = VARIANTS[name]
    model = build(config)
    batch = inputs(config)
    velocity = model(*batch, text=text(config))
    assert [v.shape for v in velocity] == [batch[0].shape, batch[1].shape]
    sum(v.square().mean() for v in velocity).backward()
    silent = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


@torch.no_grad()
def test_closed_gates_keep_the_streams_apart():
    model = build(gate=0.0)
    video, rays, video_sigma, ray_sigma = inputs()
    velocity = model(video, rays, video_sigma, ray_sigma)
    assert torch.equal(model(video, rays + 1, video_sigma, 1 - ray_sigma)[0], velocity[0])
    assert torch.equal(model(video + 1, rays, 1 - video_sigma, ray_sigma)[1], velocity[1])


@torch.no_grad()
@pytest.mark.parametrize("name", ["dsca", "joint", "text projections", "new projections", "plucker"])
def test_open_gates_let_each_stream_read_the_other(name):
    model, (video, rays, video_sigma, ray_sigma) = build(VARIANTS[name]), inputs(VARIANTS[name])
    velocity = model(video, rays, video_sigma, ray_sigma)
    assert not close(model(video, rays + 1, video_sigma, ray_sigma)[:1], velocity[:1], 1e-2)
    assert not close(model(video + 1, rays, video_sigma, ray_sigma)[1:], velocity[1:], 1e-2)


@torch.no_grad()
def test_a_gate_opens_one_direction_only():
    model, (video, rays, video_sigma, ray_sigma) = build(), inputs()
    for block in model.blocks:
        block.inter_gate.zero_()
    velocity = model(video, rays, video_sigma, ray_sigma)
    assert torch.equal(model(video, rays + 1, video_sigma, ray_sigma)[0], velocity[0])
    assert not close(model(video + 1, rays, video_sigma, ray_sigma)[1:], velocity[1:], 1e-2)


@torch.no_grad()
def test_both_directions_read_the_features_before_the_stage():
    # Twin streams (equal weights, latents, grids, sigmas): any order between the two directions would part them.
    model = build(replace(CONFIG, text_dim=None))
    state = model.state_dict()
    twins = {key: key.replace("ray_", "", 1) for key in state if "ray_" in key}
    twins = {key: f"video_{value}" if value.startswith("head") else value for key, value in twins.items()}
    twins |= {
        "ray_modality": "video_modality",
        **{k: k.replace("ray_norm3", "inter_norm") for k in state if "ray_norm3" in k},
    }
    model.load_state_dict({key: state[twins.get(key, key)] for key in state})
    video, _, sigma, _ = inputs()
    velocity = model(video, video, sigma, sigma)
    assert close(velocity[:1], velocity[1:], 1e-6) and velocity[0].std() > 0.1


@torch.no_grad()
def test_text_reaches_the_video_and_none_skips_it():
    model, batch = build(gate=0.0), inputs()
    without, given = model(*batch), model(*batch, text=text())
    assert not close(without[:1], given[:1], 1e-2)
    assert torch.equal(without[1], given[1])
    bare = build(VARIANTS["no text"], gate=0.0)
    bare.load_state_dict({key: value for key, value in model.state_dict().items() if key in bare.state_dict()})
    assert torch.equal(bare(*batch)[0], without[0])


# --- frames, their noise levels and their places


@torch.no_grad()
@pytest.mark.parametrize("name", ["dsca", "joint"])
def test_frames_are_known_by_their_time_not_their_index(name):
    model = build(VARIANTS[name])
    video, rays, video_sigma, ray_sigma = inputs()
    time = torch.tensor([0.0, 1.0, 0.875])
    order = torch.tensor([2, 0, 1])
    video_velocity, ray_velocity = model(video, rays, video_sigma, ray_sigma, video_time=time)
    moved = model(video[:, :, order], rays, video_sigma[:, order], ray_sigma, video_time=time[order])
    assert close(moved, (video_velocity[:, :, order], ray_velocity))


@torch.no_grad()
def test_each_sample_can_have_its_own_times():
    model = build()
    video, rays, video_sigma, ray_sigma = inputs()
    times = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 0.4]])
    together = model(video, rays, video_sigma, ray_sigma, video_time=times, ray_time=torch.tensor([0.0, 1.0, 2.5]))
    for n in (0, 1):
        one = [x[n : n + 1] for x in (video, rays, video_sigma, ray_sigma)]
        alone = model(*one, video_time=times[n], ray_time=torch.tensor([0.0, 1.0, 2.5]))
        assert close([v[n : n + 1] for v in together], alone)
    assert not close(together[:1], model(video, rays, video_sigma, ray_sigma)[:1], 1e-4)


@torch.no_grad()
def test_default_times_count_from_zero():
    model, batch = build(), inputs()
    given = model(*batch, video_time=torch.arange(3.0), ray_time=torch.arange(3).expand(2, 3))
    assert close(given, model(*batch), 1e-6)


@torch.no_grad()
def test_shifting_both_streams_in_time_changes_nothing():
    model, batch = build(), inputs()
    moved = model(*batch, video_time=torch.arange(3) + 7.5, ray_time=torch.arange(3) + 7.5)
    apart = model(*batch, video_time=torch.arange(3) + 7.5)
    assert close(moved, model(*batch)) and not close(apart, model(*batch), 1e-3)


@torch.no_grad()
def test_ray_tokens_sit_among_the_video_tokens_they_cover():
    model, seen = build(), []
    model.blocks[0].register_forward_pre_hook(lambda block, args: seen.append(args[2].rotation))
    model(*inputs(), ray_time=torch.tensor([0.0, 2.0, 4.5]))
    grid, coarse = torch.arange(8.0), torch.tensor([0.5, 2.5, 4.5, 6.5])  # 4 x 4 ray tokens over 8 x 8
    video = rotation_table(torch.tensor([[0.0, 1.0, 2.0]]), grid, grid, head_dim=16)
    rays = rotation_table(torch.tensor([[0.0, 2.0, 4.5]]), coarse, coarse, head_dim=16)
    assert torch.equal(seen[0], torch.cat((video, rays), dim=1))


@torch.no_grad()
def test_streams_may_differ_in_frames():
    model, batch = build(), inputs(frames=4, ray_frames=2)
    assert [v.shape for v in model(*batch)] == [batch[0].shape, batch[1].shape]


@torch.no_grad()
def test_sigma_is_per_frame_and_per_stream():
    model = build(gate=0.0)
    for block in model.blocks:  # without attention frames cannot exchange anything
        block.self_attn.o.weight.zero_()
    video, rays, video_sigma, ray_sigma = inputs()
    velocity = model(video, rays, video_sigma, ray_sigma)
    other = video_sigma.clone()
    other[:, 1] = 1 - other[:, 1]
    changed = model(video, rays, other, ray_sigma)
    assert torch.equal(changed[0][:, :, ::2], velocity[0][:, :, ::2])
    assert (changed[0][:, :, 1] - velocity[0][:, :, 1]).abs().max() > 1e-2
    assert torch.equal(changed[1], velocity[1])


def test_time_features_are_wans():
    # cos then sin of 1000 sigma / 10000^(i / half)
    features = sinusoidal_embedding(torch.tensor([700.0]), 4)[0]
    angles = torch.tensor([700.0, 7.0], dtype=torch.float64)
    assert torch.allclose(features, torch.cat((angles.cos(), angles.sin())).float(), atol=1e-6)


# --- starting, stopping, hosting


@torch.no_grad()
def test_initialisation_is_reproducible_and_silent():
    first, second = RaxelTransformer(CONFIG), RaxelTransformer(CONFIG)
    for model in (first, second):
        initialize(model, gate=0.25, generator=torch.Generator().manual_seed(4))
    for (key, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b) and torch.isfinite(a).all(), key
    assert first.blocks[1].ray_inter_gate.eq(0.25).all() and first.blocks[0].inter_gate.eq(0.25).all()
    assert not any(v.any() for v in first(*inputs()))


def test_on_block_is_called_before_each_block_and_can_stop():
    model, seen = build(), []
    model(*inputs(), on_block=seen.append)
    assert seen == [0, 1]

    class Stopped(Exception):
        pass

    def stop(index):
        if index == 1:
            raise Stopped

    with pytest.raises(Stopped):
        model(*inputs(), on_block=stop)


@pytest.mark.parametrize("name", ["dsca", "joint", "plucker"])
def test_checkpointing_gives_the_same_gradients(name):
    config = VARIANTS[name]
    model, gradients = build(config), []
    for model.gradient_checkpointing in (False, True):
        model.zero_grad()
        sum(v.square().mean() for v in model(*inputs(config), text=text(config))).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert close(*gradients, 1e-6)


def test_attention_is_the_hosts():
    calls = []

    def attention(q, k, v):
        calls.append((q.shape, k.shape))
        return F.scaled_dot_product_attention(q, k, v)

    model = RaxelTransformer(CONFIG, attention=attention)
    initialize(model, gate=1.0, generator=torch.Generator().manual_seed(0))
    model(*inputs(), text=text())
    video, rays, words = (2, 3, 192, 16), (2, 3, 48, 16), (2, 3, 5, 16)
    block = [(video, video), (rays, rays), (video, rays), (rays, video), (video, words)]
    assert calls == 2 * block


class CastingLinear(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class CastingConv3d(nn.Conv3d):
    def forward(self, x):
        return F.conv3d(x, self.weight.to(x.dtype), self.bias.to(x.dtype), stride=self.stride)


class CastingLayerNorm(nn.LayerNorm):
    def forward(self, x):
        affine = (self.weight.to(x.dtype), self.bias.to(x.dtype)) if self.elementwise_affine else ()
        return F.layer_norm(x, self.normalized_shape, *affine, eps=self.eps)


class CastingRMSNorm(nn.RMSNorm):
    def forward(self, x):
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


# Layers that keep float32 weights and compute in the input's dtype, as ComfyUI's manual cast does.
CASTING = SimpleNamespace(
    Linear=CastingLinear, Conv3d=CastingConv3d, LayerNorm=CastingLayerNorm, RMSNorm=CastingRMSNorm
)


@torch.no_grad()
@pytest.mark.parametrize("name", ["dsca", "plucker"])
def test_operations_are_the_hosts_and_bare_parameters_follow_the_input(name):
    config = VARIANTS[name]
    hosted = RaxelTransformer(config, operations=CASTING)
    model = build(config)
    hosted.load_state_dict(model.state_dict())
    assert not [m for m in hosted.modules() if type(m) in (nn.Linear, nn.Conv3d, nn.LayerNorm, nn.RMSNorm)]
    batch = inputs(config)
    assert close(hosted(*batch, text=text(config)), model(*batch, text=text(config)))
    video, rays, *sigmas = batch
    velocity = hosted(video.bfloat16(), rays.bfloat16(), *sigmas, text=text(config).bfloat16())
    assert {v.dtype for v in velocity} == {torch.bfloat16}


@torch.no_grad()
def test_bfloat16_weights_take_float32_latents_and_stay_close():
    model = build()
    exact = model(*inputs(), text=text())
    coarse = model.bfloat16()(*inputs(), text=text())
    assert {v.dtype for v in coarse} == {torch.float32}
    for a, b in zip(exact, coarse, strict=True):
        assert (a - b).norm() / a.norm() < 0.03


def test_autocast_trains_even_when_backward_runs_inside():
    model = build()
    exact = model(*inputs())
    with autocast("cpu", torch.bfloat16):
        velocity = model(*inputs())
        sum(v.square().mean() for v in velocity).backward()
    assert all(
        parameter.grad.dtype == torch.float32 for n, parameter in model.named_parameters() if parameter.grad is not None
    )
    for a, b in zip(exact, velocity, strict=True):
        assert (a - b).norm() / a.norm() < 0.03


@torch.no_grad()
def test_arguments_are_left_as_they_were():
    model, batch = build(), inputs()
    kept = [x.clone() for x in batch]
    model(*batch)
    assert all(torch.equal(a, b) for a, b in zip(batch, kept, strict=True))


def test_tiny_learns_a_batch():
    torch.manual_seed(0)
    model = RaxelTransformer(replace(TINY, layers=2, dim=48, ffn_dim=96))
    initialize(model, gate=0.5, generator=torch.Generator().manual_seed(0))
    video, rays = torch.randn(2, TINY.in_channels, 2, 4, 4), torch.randn(2, TINY.in_channels, 2, 2, 2)
    sigma = torch.full((2, 2), 0.5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(60):
        losses = [(v + x).square().mean() for v, x in zip(model(video, rays, sigma, sigma), (video, rays), strict=True)]
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
    assert max(losses) < 0.1


# --- kernels that stand for plainer ones


@pytest.mark.parametrize("own_times", [False, True])
def test_normed_rotation_is_the_norm_then_the_rotation(own_times):
    torch.manual_seed(0)
    time = torch.rand(2, 3) * 5 if own_times else torch.rand(1, 3) * 5
    table = rotation_table(time, torch.arange(2.0), torch.arange(4.0), head_dim=12)
    x, weight = torch.randn(2, 24, 36, requires_grad=True), torch.randn(36, requires_grad=True)
    plain = rotate(F.rms_norm(x, (36,), weight, 1e-6).unflatten(-1, (3, -1)), table).transpose(1, 2)
    fused = NormedRotation.apply(x, weight, table, 3, 1e-6)
    assert close((fused,), (plain,), 1e-6)
    out = torch.randn_like(plain)
    assert close(torch.autograd.grad(fused, (x, weight), out), torch.autograd.grad(plain, (x, weight), out), 1e-5)


def test_scaled_sum_differentiates_like_its_formula():
    torch.manual_seed(0)
    base, x, factor = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 3, 1, 4), (2, 3, 5, 4), (1, 1, 1, 4))
    )
    assert torch.autograd.gradcheck(ScaledSum.apply, (base, x, factor))
    assert torch.equal(ScaledSum.apply(base, x, factor), torch.addcmul(base, x, factor))


def test_training_attention_is_the_fused_one():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 8, requires_grad=True) for n in (7, 5, 5))
    plain, explicit = F.scaled_dot_product_attention(q, k, v), attend(q, k, v)
    out = torch.randn_like(plain)
    assert close((explicit,), (plain,), 1e-6)
    assert close(torch.autograd.grad(explicit, (q, k, v), out), torch.autograd.grad(plain, (q, k, v), out))


def test_the_coarse_gelu_differs_by_less_than_bfloat16_does():
    x = torch.linspace(-8, 8, 10_001)
    assert (Gelu()(x) - F.gelu(x, approximate="tanh")).abs().max() == 0
    assert (F.gelu(x) - F.gelu(x, approximate="tanh")).abs().max() < 5e-4
    assert torch.equal(Gelu()(x.bfloat16()), F.gelu(x.bfloat16()))


# --- refusals


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"video": torch.zeros(2, 5, 3, 8, 8)}, "video has 5 channels, expected 4"),
        ({"video": torch.zeros(2, 4, 8, 8)}, "expected five axes"),
        ({"video": torch.zeros(2, 4, 0, 8, 8)}, "is empty"),
        ({"rays": torch.zeros(1, 4, 3, 4, 4)}, "rays hold 1 samples but the video holds 2"),
        ({"video_sigma": torch.zeros(2)}, r"video_sigma has shape \(2,\), expected \[B, T\] = \(2, 3\)"),
        ({"ray_sigma": torch.zeros(2, 4)}, r"ray_sigma has shape \(2, 4\), expected \[B, T\] = \(2, 3\)"),
        ({"video_time": torch.zeros(4)}, r"video_time has shape \(4,\), expected \[T\] = \(3,\)"),
        ({"text": torch.zeros(2, 5, 11)}, r"text has shape \(2, 5, 11\), expected \[2, M, 10\]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, reason):
    names = ("video", "rays", "video_sigma", "ray_sigma")
    given = dict(zip(names, inputs(), strict=True)) | change
    with pytest.raises(ValueError, match=reason):
        RaxelTransformer(CONFIG, device="meta")(**given)


def test_more_refusals():
    with pytest.raises(ValueError, match=r"video latents of 8 x 7 do not divide into patches of \(2, 2\)"):
        video, *rest = inputs()
        RaxelTransformer(VARIANTS["patches"])(video[..., :7], *rest)
    with pytest.raises(ValueError, match="model without text modules"):
        RaxelTransformer(VARIANTS["no text"])(*inputs(), text=text())
    video, maps, *sigmas = inputs(VARIANTS["plucker"])
    with pytest.raises(ValueError, match="must match the video latents"):
        RaxelTransformer(VARIANTS["plucker"])(video, maps[..., :4], *sigmas)
    with pytest.raises(ValueError, match="video_time and ray_time differ"):
        RaxelTransformer(VARIANTS["plucker"])(video, maps, *sigmas, ray_time=torch.ones(3))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"heads": 5}, "dim 48 does not divide into 5 heads"),
        ({"heads": 16}, "head_dim 3 .dim 48 / heads 16"),
        ({"dim": 0}, "dim must be a whole number from 1 to 1000000, not 0"),
        ({"layers": 2.0}, "layers must be a whole number"),
        ({"patch": (2, 2, 2)}, "must be 1 in time, not 2"),
        ({"patch": 3}, "patch 3 must be 3 sizes"),
        ({"eps": "x"}, "eps 'x' must be a number"),
        ({"freq_dim": 15}, "freq_dim 15 must be even"),
        ({"attention": "flash"}, "attention 'flash' is not one of dsca, joint"),
        ({"inter": "both"}, "inter 'both' is not one of self, text, new"),
        ({"inter": "text", "text_dim": None}, "needs the text projections"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        replace(CONFIG, **change)


def test_configuration_survives_json():
    for config in VARIANTS.values():
        assert RaxelConfig.from_values(json.loads(config.to_json())) == config

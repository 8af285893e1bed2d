"""Options beyond the paper: one-way reading and its memory, aligned rays, the rotary base, attention's prior."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from raxel_core.model import TINY, RaxelConfig, RaxelTransformer, initialize
from raxel_core.model.reading import StreamMemory
from raxel_core.model.rope import rotation_table
from raxel_core.model.transformer import prior_channels
from raxel_core.weights.checkpoint import config_from_json

CONFIG = RaxelConfig(dim=48, ffn_dim=64, layers=3, heads=2, in_channels=4, patch=(1, 1, 1), text_dim=10, freq_dim=16)
ONE_WAY = replace(CONFIG, reads="one_way")
OTHERS = {"video": 1, "rays": 0}


def build(config, *, seed=0):
    model = RaxelTransformer(config)
    generator = torch.Generator().manual_seed(seed)
    initialize(model, gate=0.5, generator=generator)
    for name, parameter in model.named_parameters():
        if not name.endswith("gate"):
            parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model


def inputs(*, video_sigma, ray_sigma, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2, 4, 3, 4, 4, generator=generator), torch.randn(2, 4, 3, 2, 2, generator=generator),
        torch.full((2, 3), video_sigma), torch.full((2, 3), ray_sigma),
    ]  # fmt: skip


def prompt():
    return torch.randn(2, 5, 10, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("clean", ["video", "rays"])
def test_a_clean_stream_does_not_read_a_noisy_one_and_is_read(clean):
    """Seen through hooks on the last block but one: its clean stream is the same whatever the noisy one holds."""
    model, noisy = build(ONE_WAY), OTHERS[clean]
    given = inputs(video_sigma=0.0 if clean == "video" else 0.7, ray_sigma=0.0 if clean == "rays" else 0.7)
    seen = []
    model.blocks[1].register_forward_hook(lambda module, arguments, streams: seen.append(streams))
    outputs = []
    for change in (0.0, 1.0):
        changed = list(given)
        changed[noisy] = given[noisy] + change
        outputs.append(model(*changed))
    assert torch.equal(seen[0][1 - noisy], seen[1][1 - noisy])
    assert not torch.equal(seen[0][noisy], seen[1][noisy])
    given[1 - noisy] = given[1 - noisy] + 1.0
    assert (model(*given)[noisy] - outputs[0][noisy]).abs().max() > 1e-3
    assert outputs[0][1 - noisy].eq(0).all()


@pytest.mark.parametrize("clean", ["video", "rays"])
@pytest.mark.parametrize("inter", ["self", "new", "text"])
def test_one_way_is_the_paper_s_network_with_one_direction_cut(clean, inter):
    """With the gate of the clean stream at zero, the network that reads both ways reads one way."""
    model = build(replace(CONFIG, inter=inter))
    other = RaxelTransformer(replace(ONE_WAY, inter=inter))
    other.load_state_dict(model.state_dict())
    for block in model.blocks:
        (block.inter_gate if clean == "video" else block.ray_inter_gate).data.zero_()
    given = inputs(video_sigma=0.0 if clean == "video" else 0.7, ray_sigma=0.0 if clean == "rays" else 0.7)
    noisy = OTHERS[clean]
    assert torch.allclose(model(*given, text=prompt())[noisy], other(*given, text=prompt())[noisy], atol=2e-5)


def test_where_both_streams_are_noisy_both_read():
    model = build(CONFIG)
    other = RaxelTransformer(ONE_WAY)
    other.load_state_dict(model.state_dict())
    given = inputs(video_sigma=0.3, ray_sigma=0.7)
    assert all(map(torch.equal, model(*given), other(*given)))


def test_a_batch_of_mixed_clips_is_as_each_clip_alone():
    model = build(ONE_WAY)
    given = inputs(video_sigma=0.5, ray_sigma=0.7)
    given[2][0] = 0.0
    together = model(*given)
    first, second = (model(*(part[i : i + 1] for part in given)) for i in (0, 1))
    assert torch.allclose(together[1][:1], first[1], atol=2e-5)
    assert all(torch.allclose(x[1:], y, atol=2e-5) for x, y in zip(together, second, strict=True))


@pytest.mark.parametrize("clean", ["video", "rays"])
def test_what_is_kept_of_the_clean_stream_changes_no_bit(clean):
    model, memory = build(ONE_WAY), StreamMemory()
    text, noisy = prompt(), OTHERS[clean]
    counted = []
    model.blocks[0].self_attn.o.register_forward_hook(lambda *_: counted.append(1))
    for step, sigma in enumerate((0.9, 0.6, 0.3)):
        given = inputs(video_sigma=0.0 if clean == "video" else sigma, ray_sigma=0.0 if clean == "rays" else sigma)
        given[noisy] = given[noisy] * sigma
        with torch.no_grad():
            whole = model(*given, text=text)
            counted.clear()
            kept = model(*given, text=text, memory=memory)
        assert torch.equal(whole[noisy], kept[noisy])
        # self-attention of both streams and one reading at the first step, of the noisy one alone later
        assert len(counted) == (3 if step == 0 else 2)


@pytest.mark.parametrize(("clean", "steps", "least"), [("video", 2, 1.75), ("rays", 8, 1.25)])
def test_what_is_kept_saves_the_work_it_should(clean, steps, least):
    """Products of two-step pose and of 8-step video on a ray grid half as fine as the video's, against both ways."""
    work = []
    for reads in ("both", "one_way"):
        model = RaxelTransformer(replace(TINY, reads=reads), attention=_attend)
        initialize(model, gate=0.5, generator=torch.Generator().manual_seed(0))
        memory, video = StreamMemory(), torch.zeros(1, 64, 3, 8, 8)
        rays, zero = torch.zeros(1, 64, 3, 4, 4), torch.zeros(1, 3)
        noisy = {"video": (zero, zero + 1), "rays": (zero + 1, zero)}[clean]
        with torch.no_grad(), FlopCounterMode(display=False) as counted:
            for _ in range(steps):
                model(video, rays, *noisy, memory=memory)
        work.append(counted.get_total_flops())
    assert work[0] / work[1] > least


def _attend(q, k, v):
    return (q @ k.transpose(-1, -2)).softmax(-1) @ v


def test_a_memory_of_another_clean_stream_is_not_used():
    model, memory = build(ONE_WAY), StreamMemory()
    with torch.no_grad():
        model(*inputs(video_sigma=0.0, ray_sigma=1.0), memory=memory)
        for other in (inputs(video_sigma=0.0, ray_sigma=1.0, seed=2), inputs(video_sigma=0.5, ray_sigma=0.0)):
            assert all(map(torch.equal, model(*other), model(*other, memory=memory)))
        given = inputs(video_sigma=0.0, ray_sigma=1.0)
        time = torch.tensor([0.0, 1.0, 5.0])
        assert torch.equal(model(*given, video_time=time)[1], model(*given, video_time=time, memory=memory)[1])


def test_a_pass_that_was_stopped_leaves_a_memory_that_is_right():
    model, memory = build(ONE_WAY), StreamMemory()
    given = inputs(video_sigma=0.0, ray_sigma=1.0)

    def stop(index):
        if index == 2:
            raise KeyboardInterrupt

    with torch.no_grad():
        with pytest.raises(KeyboardInterrupt):
            model(*given, memory=memory, on_block=stop)
        assert torch.equal(model(*given)[1], model(*given, memory=memory)[1])


def test_gradients_pass_from_the_noisy_stream_into_the_clean_one():
    model = build(replace(ONE_WAY, text_dim=None))
    given = inputs(video_sigma=0.0, ray_sigma=0.7)
    model(*given)[1].square().mean().backward()
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert grads["patch_embedding.weight"].abs().max() > 0 and grads["blocks.0.ffn.0.weight"].abs().max() > 0
    saving = build(replace(ONE_WAY, text_dim=None))
    saving.gradient_checkpointing = True
    saving(*given)[1].square().mean().backward()
    for name, parameter in saving.named_parameters():
        assert (parameter.grad is None) == (grads[name] is None)
        assert grads[name] is None or torch.allclose(parameter.grad, grads[name], atol=1e-6)


def test_aligned_rays_start_as_nothing_and_reach_the_token_at_their_place():
    model = RaxelTransformer(replace(CONFIG, ray_entry="aligned"))
    initialize(model, gate=0.5, generator=torch.Generator().manual_seed(0))
    assert model.ray_to_video.weight.eq(0).all() and model.ray_to_video.bias.eq(0).all()
    torch.nn.init.ones_(model.ray_to_video.weight)
    rays = torch.zeros(2, 4, 3, 2, 2)
    rays[:, :, 1, 0, 1] = 1.0  # the second frame, upper right
    video, times = torch.zeros(2, 4, 4, 4, 4), torch.tensor([[0.0, 1.0, 2.0, 1.0]])
    added = model._aligned(rays, (times, times[:, :3]), video).unflatten(1, (4, 4, 4))[0, ..., 0]
    assert added[1, 0, 3] == 4.0 and torch.equal(added[1], added[3]) and added[1, :, 0].eq(0).all()
    assert added[0].eq(0).all() and added[2].eq(0).all()


def test_aligned_rays_enter_no_clean_video_that_reads_one_way():
    model = build(replace(ONE_WAY, ray_entry="aligned"))
    given = inputs(video_sigma=0.0, ray_sigma=1.0)
    memory = StreamMemory()
    with torch.no_grad():
        first = model(*given, memory=memory)[1]
        model.ray_to_video.weight.data.add_(1.0)
        assert torch.equal(model(*given)[1], first)
        assert not torch.equal(model(*inputs(video_sigma=1.0, ray_sigma=0.0))[0], torch.zeros(2, 4, 3, 4, 4))


def test_the_rotary_base_and_scale_set_the_angles():
    """Pair i of an axis with n pairs turns by scale * position / base^(i / n); head 12 has 2 pairs an axis."""
    grid = torch.arange(3.0)
    table = rotation_table(torch.tensor([[5.0]]), grid, grid, head_dim=12, base=100.0, scale=2.0)
    row_one, column_two = table[0, 1 * 3 + 2, 0, 2:4], table[0, 1 * 3 + 2, 0, 4:6]
    assert torch.allclose(torch.atan2(row_one[:, 1], row_one[:, 0]), torch.tensor([2.0, 0.2]), atol=1e-6)
    assert torch.allclose(column_two[:, 0], torch.tensor([4.0, 0.4]).cos(), atol=1e-6)
    plain = rotation_table(torch.tensor([[5.0]]), grid, grid, head_dim=12)
    assert not torch.allclose(table, plain)
    model = RaxelTransformer(replace(CONFIG, rope_base=100.0, rope_scale=2.0))
    used = model._rotation(torch.tensor([[5.0]]), (1, 3, 3), (1, 3, 3))
    assert torch.equal(used, rotation_table(torch.tensor([[5.0]]), grid, grid, head_dim=24, base=100.0, scale=2.0))


def test_the_prior_makes_attention_begin_at_its_own_place():
    """On an untrained network the mean attention that a token pays itself is many times an even share with the prior,
    and about an even share without; nothing else of the network is touched."""
    config = replace(CONFIG, dim=120, heads=2, text_dim=None, rope_base=100.0, rope_scale=2.0)
    own = {}
    for prior in (0.0, 3.0):
        model = RaxelTransformer(config)
        initialize(model, gate=0.5, generator=torch.Generator().manual_seed(0), attention_prior=prior)
        x = torch.randn(4, 3 * 16, 120, generator=torch.Generator().manual_seed(1))
        rotation = model._rotation(torch.arange(3.0)[None], (3, 4, 4), (3, 4, 4))
        layer = model.blocks[0].self_attn
        q, (k, _) = layer.query(x, rotation), layer.key_value(x, rotation)
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        own[prior] = weights.diagonal(dim1=-2, dim2=-1).mean().item() * 48
        marked = layer.q.bias.nonzero().flatten()
        assert torch.equal(marked, prior_channels(60, 2).sort().values if prior else marked[:0])
        assert model.ray_head.head.bias.eq(0).all()
    assert own[3.0] > 8 * own[0.0] and 0.5 < own[0.0] < 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reads": "twice"}, "reads 'twice' is not one of both, one_way"),
        ({"reads": "one_way", "attention": "joint"}, "needs streams that are apart"),
        ({"reads": "one_way", "ray_representation": "plucker"}, "needs streams that are apart"),
        ({"ray_entry": "aligned", "ray_representation": "plucker"}, "needs a stream of raxels, not 'plucker'"),
        ({"rope_base": 1.0}, "rope_base must be a number above 1, not 1.0"),
        ({"rope_base": float("nan")}, "rope_base must be a number above 1, not nan"),
        ({"rope_scale": float("inf")}, "rope_scale must be a number above 0, not inf"),
        ({"rope_scale": True}, "rope_scale must be a number above 0, not True"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **wrong)


def test_options_survive_json_and_a_file_without_them_is_the_paper_s():
    config = replace(ONE_WAY, ray_entry="aligned", rope_base=100.0, rope_scale=2)
    assert config_from_json(config.to_json()) == config
    old = config_from_json('{"dim": 48, "ffn_dim": 64, "layers": 3, "heads": 2}')
    assert (old.reads, old.ray_entry, old.rope_base, old.rope_scale) == ("both", "stream", 10000.0, 1.0)

"""Weights within a bound on the GPU's memory: what stays by hand, outputs bit by bit, and every tensor's place.

Where there is no GPU, diffusers' own hooks run with the CPU as their device.
"""

from __future__ import annotations

import math
import re
import weakref
from dataclasses import replace

import pytest
import torch
from diffusers.hooks.group_offloading import ModuleGroup
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from raxel_core import raxel_model
from raxel_core.cli import main
from raxel_core.model import WAN_14B, RaxelTransformer, initialize, rope
from raxel_core.raxel_model import RaxelModel, demand_of, load_model
from raxel_core.recipe import METADATA_KEY
from raxel_core.runtime import offload
from raxel_core.runtime.offload import Demand, demand, is_streamed, place
from raxel_core.video_io import write_video
from raxel_core.weights.checkpoint import save_checkpoint
from tests.random_raxel import CONFIG, random_batch, random_raxel, velocities
from tests.small_checkpoint import CONFIG as SMALL
from tests.small_checkpoint import small_recipe, small_vae

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
CPU = torch.device("cpu")
GB = 10**9
# 10 blocks of 1 GB, 2 GB of other weights, 3 GB of work.
NEED = Demand(layers=10, block=GB, rest=2 * GB, working=3 * GB)


@pytest.fixture
def moved(monkeypatch):
    """The groups that diffusers brings to their device, in order."""
    groups, bring = [], ModuleGroup.onload_

    def record(group):
        groups.append(group)
        bring(group)

    monkeypatch.setattr(ModuleGroup, "onload_", record)
    return groups


def four_layers(seed=0):
    model = RaxelTransformer(replace(CONFIG, layers=4))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("vram", "resident"),
    [(15 * GB, 10), (15 * GB - 1, 7), (12 * GB, 5), (12 * GB - 1, 4), (7 * GB, 0)],
)
def test_what_stays_by_hand(vram, resident):
    """All ten stay in 2 + 3 + 10 GB; below, two of them come and go, which leaves 12 - 2 - 3 - 2 = 5 of 12 GB."""
    assert NEED.resident_blocks(vram) == resident


def test_too_little_names_what_is_needed():
    with pytest.raises(ValueError, match=r"vram of 6.9 GB is too little: this model needs 7.0 GB"):
        NEED.resident_blocks(7 * GB - 10**8)


@pytest.mark.parametrize("resident", range(41))
def test_streamed_blocks_lie_evenly(resident):
    streamed = [number for number in range(40) if is_streamed(number, 40, resident=resident)]
    assert len(streamed) == 40 - resident
    gaps = {after - before for before, after in zip(streamed, streamed[1:], strict=False)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("resident", [0, 1, 2, 3])
def test_the_output_is_that_of_resident_weights_bit_by_bit(device, resident, moved):
    device = torch.device(device)
    batch = {name: value.to(device) for name, value in random_batch().items()}
    expected = velocities(four_layers().to(device), batch)
    model = four_layers()
    offload.stream_blocks(model, device, resident=resident)
    assert moved == []
    for _ in range(3):  # the first pass finds the order, the next ones bring blocks ahead
        found = velocities(model, batch)
        assert all(torch.equal(found[stream], value) for stream, value in expected.items())
    blocks = [module for group in moved for module in group.modules]
    streamed = [block for n, block in enumerate(model.blocks) if is_streamed(n, 4, resident=resident)]
    assert {id(block) for block in blocks} == {id(block) for block in [*streamed, model.ray_head]}
    assert all(blocks.count(block) == 3 for block in streamed)
    assert list(model.state_dict()) == list(four_layers().state_dict())


def test_a_stopped_step_leaves_the_next_one_whole():
    model, batch = four_layers(), random_batch()
    expected = velocities(model, batch)
    offload.stream_blocks(model, CPU, resident=1)

    def stop(block):
        if block == 2:
            raise InterruptedError

    given = [batch[name] for name in ("video", "rays", "video_sigma", "ray_sigma")]
    with pytest.raises(InterruptedError):
        model(*given, text=batch["text"], on_block=stop)
    assert all(torch.equal(value, expected[stream]) for stream, value in velocities(model, batch).items())


def test_every_weight_is_there_when_it_is_used_and_gone_afterwards(monkeypatch):
    """What waits in RAM is turned into NaN until diffusers brings it; all the rest was sent to the device."""
    model, batch, kept, sent = four_layers(), random_batch(), {}, set()
    expected, weights = velocities(model, batch), dict(model.named_parameters())
    bring, leave, to = ModuleGroup.onload_, ModuleGroup.offload_, torch.nn.Module.to

    def held(group):
        return [*group.parameters, *(p for module in group.modules for p in module.parameters())]

    def onload(group):
        bring(group)
        for parameter in held(group):
            parameter.data = kept.pop(id(parameter), parameter.data)

    def offload_group(group):
        leave(group)
        for parameter in held(group):
            kept.setdefault(id(parameter), parameter.data)
            parameter.data = torch.full_like(parameter, math.nan)

    def send(module, *args, **kwargs):
        sent.update(id(parameter) for parameter in module.parameters())
        return to(module, *args, **kwargs)

    monkeypatch.setattr(ModuleGroup, "onload_", onload)
    monkeypatch.setattr(ModuleGroup, "offload_", offload_group)
    monkeypatch.setattr(torch.nn.Module, "to", send)
    offload.stream_blocks(model, CPU, resident=1)
    waiting = {name for name, parameter in weights.items() if parameter.isnan().all()}
    blocks = {name for name in weights if re.match(r"blocks\.[123]\.", name)}
    assert waiting == blocks | {name for name in weights if name.startswith("ray_head.")}
    not_sent = {name for name, parameter in weights.items() if id(parameter) not in sent}
    assert not_sent == {"video_modality", "ray_modality"}  # parameters of no module, moved by themselves
    for _ in range(2):
        assert all(torch.equal(value, expected[stream]) for stream, value in velocities(model, batch).items())
        assert {name for name, parameter in weights.items() if parameter.isnan().all()} == waiting


class LiveBytes(TorchDispatchMode):
    """The most bytes that tensors made inside held at one time; a model's parameters are not counted."""

    def __init__(self, model):
        super().__init__()
        self.live = {parameter.untyped_storage()._cdata: 0 for parameter in model.parameters()}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage._cdata not in self.live:
                self.live[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self._drop, storage._cdata)
        self.peak = max(self.peak, self.now)
        return out

    def _drop(self, key):
        self.now -= self.live.pop(key, 0)


@pytest.mark.parametrize("hw", [(480, 832), (704, 1280)])
def test_the_estimate_covers_what_a_14b_step_holds(hw, monkeypatch):
    """Counted on tensors without data at the true shapes; two layers hold as much at a time as forty."""
    monkeypatch.setattr(rope, "COMPLEX_DEVICES", (*rope.COMPLEX_DEVICES, "meta"))
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)
    config = replace(WAN_14B, layers=2)
    model = RaxelTransformer(config, device="meta", dtype=torch.bfloat16, attention=lambda q, k, v: torch.empty_like(q))
    video = torch.empty(1, 16, 21, hw[0] // 8, hw[1] // 8, device="meta")
    rays = torch.empty(1, 16, 21, hw[0] // 16, hw[1] // 16, device="meta")
    sigma, text = torch.empty(1, 21, device="meta"), torch.empty(1, 512, 4096, device="meta")
    with torch.no_grad(), LiveBytes(model) as counted:
        model(video, rays, sigma, sigma, text=text)
    tokens = (math.prod(video.shape[2:]) + math.prod(rays.shape[2:])) // 4
    estimate = demand(model, tokens=tokens)
    assert 1.0 < estimate.working / counted.peak < 1.1
    assert estimate.block == 2 * sum(p.numel() for p in model.blocks[0].parameters())
    assert estimate.rest + 2 * estimate.block == 2 * sum(p.numel() for p in model.parameters())


def test_what_a_14b_needs_for_480p():
    """985 MB a block and 0.9 GB besides in bfloat16, 0.5 GB for Wan's VAE, 8.0 GB while it decodes."""
    with torch.device("meta"):
        from diffusers import AutoencoderKLWan

        from raxel_core.cli.convert import wan_recipe
        from raxel_core.latents.wan_vae import WanVAE
        from raxel_core.recipe import Recipe

        vae = WanVAE(AutoencoderKLWan())
    model = RaxelModel(
        RaxelTransformer(WAN_14B, device="meta", dtype=torch.bfloat16), vae, Recipe.from_json(wan_recipe("metre"))
    )
    need = demand_of(model)
    assert need.block / GB == pytest.approx(0.986, abs=0.001)
    assert (need.rest - 4 * 126_892_531) / GB == pytest.approx(0.87, abs=0.1)
    assert need.working / GB == pytest.approx(8.1, abs=0.2)
    assert [need.resident_blocks(size * GB) for size in (12, 16, 24, 50)] == [0, 4, 12, 40]


def test_one_argument_bounds_a_model(tmp_path, monkeypatch):
    """`load_model(vram=...)` with the CPU in the GPU's place: the same cameras, rays and pixels."""
    path, vae = tmp_path / "raxel.safetensors", small_vae()
    deep = replace(SMALL, layers=4)
    initialize(weights := RaxelTransformer(deep), gate=0.5, generator=torch.Generator().manual_seed(0))
    save_checkpoint(path, weights, deep, metadata={METADATA_KEY: small_recipe().to_json()})
    monkeypatch.setattr(raxel_model, "check_bounded", lambda device, vram: None)
    whole = load_model(path, vae=vae)
    need = demand_of(whole)
    bounded = load_model(path, vae=vae, device="cpu", vram=need.rest + need.working + need.layers * need.block - 1)
    assert any(hasattr(block, "_diffusers_hook") for block in bounded.transformer.blocks)
    roomy = load_model(path, vae=vae, device="cpu", vram=need.rest + need.working + need.layers * need.block)
    assert not any(hasattr(module, "_diffusers_hook") for module in roomy.transformer.modules())
    video = torch.rand(1, 3, 9, 64, 96, generator=torch.Generator().manual_seed(0))
    sigmas = torch.full((1, 3), 0.5)

    def decoded(model):
        latents = model.encode_video(video)
        rays = model.encode_rays(video[..., :32, :48])
        return model.decode_video(model.transformer(latents, rays, sigmas, sigmas)[0])

    assert torch.equal(decoded(bounded), decoded(whole))


def test_a_bound_without_a_gpu_is_refused(capsys, tmp_path):
    with pytest.raises(ValueError, match="vram bounds the memory of a GPU, but the model would run on the CPU"):
        load_model(device="cpu", vram=GB)
    video = tmp_path / "clip.mp4"
    write_video(video, torch.zeros(3, 9, 64, 64), fps=8.0)
    assert main(["pose", str(video), "--device", "cpu", "--vram", "12GB"]) == 2
    assert capsys.readouterr().err.startswith("raxel: vram bounds the memory of a GPU")
    assert main(["pose", str(video), "--vram", "much"]) == 2
    assert "--vram is a size such as 5GB or 500MB, got 'much'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="too little"):
        place(random_raxel(), CPU, 1000, NEED)

"""Training RayPE: what starts as nothing, learns, is frozen, resumes and is saved; each ablation against equation 9."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.cli import main
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.latents.statistics import LatentStatistics
from raxel_core.latents.wan_vae import WAN_STATISTICS, WanVAE
from raxel_core.paths.plan import make_move
from raxel_core.raxel_model import load_vae
from raxel_core.raype.backbone import RayWan, lead_channels, load_backbone, load_prompt, ray_wan, wan_state
from raxel_core.raype.checkpoint import load_raype
from raxel_core.raype.config import RayPETrainConfig, RayPEVariant
from raxel_core.raype.encoding import RayEncoding, RayPEConfig, ray_features
from raxel_core.raype.objective import (
    WEIGHTS_FILE,
    RayPEObjective,
    augment,
    draw_levels,
    expert_sigmas,
    latent_statistics,
    path_features,
    scaled_path,
)
from raxel_core.raype.ray_tokens import token_rays
from raxel_core.raype.terms import RayTerms, join_terms, variant_features
from raxel_core.sampling.schedule import shifted_sigmas
from raxel_core.training.config import FilmedSettings
from raxel_core.training.data import ClipPool
from raxel_core.training.filmed import Films
from raxel_core.training.run_state import STATE_FILE
from raxel_core.training.train import Trainer
from raxel_core.training.vae import fit_patch_code, raxel_and_video_clips
from tests.data_sets import RATE, write_realestate10k
from tests.in_comfy.comfy_server import PACK, comfy_roots, interpreter_of
from tests.raype.raype_states import load_wan_state

CONFIG = RayPETrainConfig(
    name="test", steps=4, frames=5, hw=(32, 32), clips=8, shard_clips=8, batch=4, precision="no", log_every=1,
    validate_every=100, validation_clips=4, save_every=100, scenes=(("room", 1.0),), learning_rate=1e-3, moment_eps=1e-2,
    sampling_steps=2,
)  # fmt: skip
DIM, HEADS, LAYERS, CHANNELS = 24, 2, 2, 32
VARIANTS = {
    "paper": RayPEVariant(),
    "no flip": RayPEVariant(flip=False),
    "no NGI": RayPEVariant(ngi=False),
    "no PE norm": RayPEVariant(pe_norm=False),
    "no zero init": RayPEVariant(zero_init=False),
    "V transform": RayPEVariant(value=True),
    "no B and C": RayPEVariant(cross_terms=False),
    "no D": RayPEVariant(geometry_term=False),
}


@pytest.fixture(scope="module")
def vae():
    return fit_patch_code(raxel_and_video_clips(CONFIG, range(32)), channels=CHANNELS)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A random Wan TI2V in diffusers' layout: 2 blocks, heads of 12 channels, 2x2 patches, weights nowhere 0."""
    sizes = {"num_attention_heads": HEADS, "attention_head_dim": DIM // HEADS, "text_dim": 8, "freq_dim": 16}
    return save_wan(tmp_path_factory.mktemp("wan") / "transformer", channels=CHANNELS, ffn_dim=40, **sizes)


def save_wan(folder, *, channels, in_channels=None, **sizes):
    from diffusers import WanTransformer3DModel

    torch.manual_seed(0)
    network = WanTransformer3DModel(
        patch_size=(1, 2, 2), in_channels=in_channels or channels, out_channels=channels, num_layers=LAYERS, **sizes
    )
    network.save_pretrained(folder)
    return folder


def run(folder, config, vae, backbone, until=None):
    trainer = Trainer(RayPEObjective(config, vae, backbone, cache=folder.parent / "cache"), folder)
    trainer.train(until=until)
    return trainer


def random_rays(batch=2, tokens=6, seed=0):
    """Lines (d, m) with moments of all lengths, one of them 0."""
    generator = torch.Generator().manual_seed(seed)
    d, o = torch.randn(2, batch, tokens, 3, generator=generator, dtype=torch.float64)
    d, o = d / d.norm(dim=-1, keepdim=True), o * torch.logspace(-2, 1, tokens, dtype=torch.float64)[:, None]
    o[:, 0] = 0
    return torch.cat((d, torch.linalg.cross(o, d)), dim=-1)


def randomized(module, seed=1):
    """No weight is 0 or 1, so that each of them matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return module


def reference_attention(q, k, v, rays, weights, variant, eps):
    """softmax(scores / sqrt(D)) v in float64 from equations 9 and 11 to 13, term by term, for each token and head.

    `q`, `k`, `v` [B, L, dim] are content after norm and RoPE; `rays` [B, L, 6].
    """
    d, m = rays.split(3, dim=-1)
    length = m.norm(dim=-1, keepdim=True).clamp_min(eps)
    s = length.log()
    query, key = [d, m / length, s], [m / length, d, s]
    if not variant.ngi:
        query, key = [d, m], [m, d]
    if not variant.flip:
        key = query
    gate = 1.0
    if variant.ngi:
        hidden = s @ weights["scale_gate.0.weight"].T + weights["scale_gate.0.bias"]
        hidden = hidden / (1 + (-hidden).exp())
        gate = 1 / (1 + (-(hidden @ weights["scale_gate.2.weight"].T + weights["scale_gate.2.bias"])).exp())

    def encode(part, features):
        x = torch.cat(features, dim=-1) @ weights[f"e{part}.weight"].T
        if variant.ngi and variant.pe_norm:
            x = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weights[f"norm_pe_{part}.weight"]
        return weights[f"alpha_{part}"] * gate * x

    pe_q, pe_k = encode("q", query), encode("k", key)
    v = v + encode("v", query) if variant.value else v
    out = torch.zeros_like(v)
    size = DIM // HEADS
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        a, b, c, e = (
            torch.einsum("bid,bjd->bij", left[..., part], right[..., part])
            for left, right in ((q, k), (q, pe_k), (pe_q, k), (pe_q, pe_k))
        )
        scores = a + (b + c if variant.cross_terms else 0) + (e if variant.geometry_term else 0)
        out[..., part] = torch.softmax(scores / math.sqrt(size), dim=-1) @ v[..., part]
    return out


def variant_attention(q, k, v, rays, terms, eps):
    features = variant_features(rays, terms.variant, moment_eps=eps)
    heads = [x.unflatten(-1, (HEADS, -1)) for x in (q, k, v)]
    encoded = [x.unflatten(-1, (HEADS, -1)) for x in terms(features)]
    q, k, v = (x.transpose(1, 2) for x in join_terms(*heads, encoded, terms.variant))
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=(DIM // HEADS) ** -0.5)
    return mixed.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_each_ablation_is_the_attention_its_formula_says(variant):
    generator = torch.Generator().manual_seed(5)
    q, k, v = torch.randn(3, 2, 6, DIM, generator=generator, dtype=torch.float64)
    rays = random_rays()
    terms = randomized(RayTerms(RayPEConfig(DIM, 1), variant).double())
    expected = reference_attention(q, k, v, rays, dict(terms.named_parameters()), variant, 1e-2)
    assert torch.allclose(variant_attention(q, k, v, rays, terms, 1e-2), expected, atol=1e-12)


def test_each_ablation_changes_the_attention_and_they_all_differ():
    """On the same weights; zero init is the start alone, and so computes what the paper's does."""
    generator = torch.Generator().manual_seed(5)
    q, k, v = torch.randn(3, 2, 6, DIM, generator=generator, dtype=torch.float64)
    results = {}
    for name, variant in VARIANTS.items():
        terms = RayTerms(RayPEConfig(DIM, 1), variant).double()
        full = randomized(RayTerms(RayPEConfig(DIM, 1), replace(VARIANTS["paper"], value=True)).double())
        weights = {key: value[:, :6] if key[:2] in ("eq", "ek") and not variant.ngi else value
                   for key, value in full.state_dict().items() if key in terms.state_dict()}  # fmt: skip
        terms.load_state_dict(weights)
        results[name] = variant_attention(q, k, v, random_rays(), terms, 1e-2)
    assert torch.equal(results["paper"], results.pop("no zero init"))
    names = list(results)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert (results[one] - results[other]).abs().max() > 1e-3, (one, other)


def test_without_cross_terms_the_scores_do_not_mix_content_and_rays():
    """Turning both encodings by one rotation changes B and C, and neither A nor D."""
    generator = torch.Generator().manual_seed(2)
    q, k, v, pe_q, pe_k = torch.randn(5, 1, 6, HEADS, DIM // HEADS, generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(DIM // HEADS, DIM // HEADS, generator=generator, dtype=torch.float64))[0]
    for cross, geometry, same in ((False, True, True), (True, False, False), (True, True, False)):
        variant = RayPEVariant(cross_terms=cross, geometry_term=geometry)
        pairs = (join_terms(q, k, v, terms, variant)[:2] for terms in ([pe_q, pe_k], [pe_q @ turn, pe_k @ turn]))
        before, after = (torch.einsum("bihd,bjhd->bhij", *pair) for pair in pairs)
        assert torch.allclose(before, after, atol=1e-10) == same


def test_what_is_trained_is_what_inference_computes():
    config = RayPEConfig(DIM, 1, hidden=5, gate_hidden=4)
    terms = randomized(RayTerms(config, RayPEVariant()))
    encoding = RayEncoding(config)
    encoding.load_state_dict(terms.state_dict())
    rays = random_rays().float()
    pe_q, pe_k = terms(variant_features(rays, RayPEVariant(), moment_eps=1e-6))
    q, k = encoding(torch.zeros_like(pe_q), torch.zeros_like(pe_k), ray_features(rays))
    assert torch.allclose(q, pe_q, atol=1e-5) and torch.allclose(k, pe_k, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_first_step_computes_the_untouched_backbone(variant, vae, backbone, tmp_path):
    """Exactly what diffusers' own model computes, except without zero init; where content and rays lie side by side,
    their zeros are summed in another order."""
    objective = RayPEObjective(replace(CONFIG, variant=variant), vae, backbone, cache=tmp_path)
    batch = objective.draw(0)
    stock = load_backbone(backbone, channels=CHANNELS)
    level = torch.cat((torch.zeros(4, 1), batch.sigma[:, None]), dim=1)  # [B, T]
    timestep = 1000 * level.repeat_interleave(4, dim=1)  # 4x4 cells in 2x2 patches
    latents = batch.latents + level[:, None, :, None, None] * (batch.noise - batch.latents)
    with torch.no_grad():
        expected = stock(latents, timestep, torch.zeros(4, 1, 8), return_dict=False)[0]
        got = objective.model(latents, batch.sigma, batch.rays, objective.text)
    if variant.cross_terms and variant.geometry_term:
        assert torch.equal(got, expected) == variant.zero_init
    else:
        assert torch.allclose(got, expected, atol=1e-5)


def test_gradients_reach_every_parameter_of_raype_after_a_step(vae, backbone, tmp_path):
    trainer = run(tmp_path / "run", CONFIG, vae, backbone, until=1)
    objective = trainer.objective
    objective.loss(objective.model, objective.draw(1))["loss"].backward()
    silent = [name for name, p in objective.model.terms.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_only_the_papers_part_of_the_backbone_is_tuned(vae, backbone, tmp_path):
    """Self-attention, feed-forward and modulation change in 4 steps; text attention and the embeddings do not."""
    before = load_backbone(backbone, channels=CHANNELS).state_dict()
    model = run(tmp_path / "run", CONFIG, vae, backbone).objective.model
    moved = {name for name, tensor in model.transformer.state_dict().items() if not torch.equal(tensor, before[name])}
    kept = before.keys() - moved
    assert all(".attn2." in name or not name.startswith("blocks.") for name in kept), kept
    assert moved == {
        name
        for name in before
        if name.startswith("blocks.") and any(part in name for part in ("attn1", "ffn", "scale_shift_table", "norm2"))
    }


def test_resumed_steps_are_the_same_bit_for_bit_with_and_without_an_average(vae, backbone, tmp_path):
    for ema in (0.0, 0.9):
        config = replace(CONFIG, ema=ema)
        run(tmp_path / f"whole{ema}", config, vae, backbone)
        run(tmp_path / f"parts{ema}", config, vae, backbone, until=2)
        run(tmp_path / f"parts{ema}", config, vae, backbone)
        for file in (STATE_FILE, WEIGHTS_FILE):
            whole, parts = (load_file(tmp_path / f"{name}{ema}" / file) for name in ("whole", "parts"))
            assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)
        saved = load_file(tmp_path / f"whole{ema}" / STATE_FILE)
        assert any(name.startswith("average.") for name in saved) == bool(ema)
        assert not any("attn2" in name for name in saved)


def test_gradient_checkpointing_changes_nothing_but_memory(vae, backbone, tmp_path):
    states = []
    for saving in (True, False):
        run(tmp_path / str(saving), replace(CONFIG, gradient_checkpointing=saving), vae, backbone)
        states.append(load_file(tmp_path / str(saving) / STATE_FILE))
    assert all(torch.allclose(states[0][name], states[1][name], atol=1e-6) for name in states[0])


def test_the_trained_file_holds_the_expert_and_opens_as_raype(vae, backbone, tmp_path):
    trainer = run(tmp_path / "run", CONFIG, vae, backbone)
    path = tmp_path / "run" / WEIGHTS_FILE
    loaded = load_raype(path)
    terms = trainer.objective.model.terms
    assert loaded.model.config == RayPEConfig(DIM, LAYERS)
    for layer, trained in zip(loaded.model.layers(), terms, strict=True):
        assert torch.equal(layer.eq.weight, trained.eq.weight.to(torch.bfloat16))
        assert torch.equal(layer.alpha_k, trained.alpha_k.to(torch.bfloat16)) and bool(layer.alpha_k.any())
    assert set(loaded.marks) == {"blocks.0.self_attn.norm_q.weight", "blocks.0.norm3.weight"}
    state = load_file(path)
    expert = {key for key in state if "plucker_pe" not in key}
    assert {"patch_embedding.weight", "text_embedding.0.weight", "time_projection.1.bias", "head.modulation",
            "head.head.weight", "blocks.1.cross_attn.o.bias", "blocks.1.ffn.2.weight", "blocks.1.modulation",
            "blocks.0.self_attn.norm_k.weight"} <= expert  # fmt: skip
    assert len(expert) == len(load_backbone(backbone, channels=CHANNELS).state_dict())
    again = ray_wan(load_backbone(backbone, channels=CHANNELS), CONFIG)
    load_wan_state(again, state)
    assert all(torch.equal(a, b.bfloat16().float()) for a, b in zip(
        again.parameters(), trainer.objective.model.parameters(), strict=True))  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("root", comfy_roots() or [None], ids=str)
@pytest.mark.parametrize("expert", ["", "high"], ids=["TI2V", "A14B"])
def test_the_trained_file_runs_in_comfyui_as_it_was_trained(root, expert, tmp_path):
    """Load RayPE Expert, Load RayPE and Apply RayPE on a trained file: the trainer's own velocity, frame 0 clean, or
    for an expert of A14B noisy and told by channels of its own."""
    if root is None or interpreter_of(root) is None:
        pytest.skip("no ComfyUI found: set COMFYUI_PATH to run the tests of the nodes")
    sizes = {"num_attention_heads": 2, "attention_head_dim": 128, "text_dim": 4096, "freq_dim": 256, "ffn_dim": 64}
    folder = save_wan(tmp_path / "wan" / "transformer", channels=16, in_channels=36 if expert else 16, **sizes)
    narrow = fit_patch_code(raxel_and_video_clips(CONFIG, range(32)), channels=16)
    config = replace(CONFIG, moment_eps=1e-6, expert=expert, gradient_checkpointing=False)
    run(tmp_path / "run", config, narrow, folder.parent)
    weights, call = tmp_path / "run" / WEIGHTS_FILE, tmp_path / "call.safetensors"
    # Few steps barely open the encodings: they are opened by hand, so that an error in them would be seen.
    state = {k: torch.full_like(t, 8.0) if "alpha" in k else t for k, t in load_file(weights).items()}
    save_file(state, weights)
    network = ray_wan(load_backbone(folder.parent, channels=16, expert=expert), config)
    load_wan_state(network, state)
    rays = path_features([make_move("arc", 9, hw=(64, 96), amount=0.8, depth=1.5)], config, latent_hw=(8, 12),
                         patch_hw=(2, 2))  # fmt: skip
    x, text, sigma = torch.randn(1, 16, 3, 8, 12), torch.randn(1, 5, 4096), torch.tensor([0.6])
    lead = lead_channels(torch.randn(1, 16, 3, 8, 12)) if expert else None
    timestep = sigma * 1000 if expert else torch.tensor([[0.0, 600.0, 600.0]])
    save_file({"x": x if lead is None else torch.cat((x, lead), 1), "text": text, "timestep": timestep}, call)
    command = [
        interpreter_of(root),
        Path(__file__).parents[1] / "in_comfy" / "raype_trained_in_comfy.py",
        root,
        PACK,
        weights,
        call,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        trained = {"with": network(x, sigma, rays, text, lead), "without": network(x, sigma, None, text, lead)}
    found = load_file(call)
    for name, velocity in trained.items():
        assert torch.allclose(found[name], velocity, atol=1e-4), name
    assert (trained["with"] - trained["without"]).abs().max() > 0.03


def test_an_ablation_is_not_saved_as_raype(vae, backbone, tmp_path):
    run(tmp_path / "run", replace(CONFIG, variant=VARIANTS["no flip"]), vae, backbone, until=1)
    with pytest.raises(ValueError, match="no RayPE weights"):
        load_raype(tmp_path / "run" / WEIGHTS_FILE)
    run(tmp_path / "none", replace(CONFIG, raype=False), vae, backbone, until=1)
    assert not [key for key in load_file(tmp_path / "none" / WEIGHTS_FILE) if "ray_" in key or "plucker" in key]


def test_augmentation_reaches_the_gate_alone_and_as_often_as_it_says():
    features = variant_features(random_rays(4000, 3), RayPEVariant())
    shifted = augment(features, CONFIG, torch.Generator().manual_seed(0))
    assert torch.equal(shifted.query, features.query) and torch.equal(shifted.key, features.key)
    delta = (shifted.log_scale - features.log_scale)[..., 0]
    assert torch.allclose(delta, delta[:, :1].expand_as(delta), atol=1e-12)  # one number for the tokens of a clip
    drawn = delta[:, 0][delta[:, 0] != 0]
    assert abs(len(drawn) / 4000 - 0.3) < 0.03
    assert drawn.min() > -1.2 and drawn.max() < 1.6 and abs(drawn.mean() - 0.2) < 0.08
    none = augment(features, replace(CONFIG, augment_share=0.0), torch.Generator().manual_seed(0))
    assert torch.equal(none.log_scale, features.log_scale)


def test_paths_are_scaled_by_eta_and_near_depth():
    """A step of 3 in a scene whose near depth is 2: 20 * 3 / 2 = 30 near depths, and 60 without the depth."""
    world_from_cam = torch.eye(4).repeat(5, 1, 1)
    world_from_cam[:, 0, 3] = torch.linspace(0, 3, 5)
    camera = Camera(world_from_cam, K_from_fov(torch.full((5,), 1.2), (32, 32)), (32, 32))
    for near_depth, expected in ((True, 30.0), (False, 60.0)):
        path = scaled_path(camera, 2.0, replace(CONFIG, eta=20.0, near_depth=near_depth))
        assert path.camera.center[-1, 0].item() == pytest.approx(expected) and path.unit == "near_depth"


def test_batches_carry_the_rays_of_their_clips_tokens(vae, backbone, tmp_path):
    objective = RayPEObjective(replace(CONFIG, augment_share=0.0), vae, backbone, cache=tmp_path)
    clips, batch = objective.pool.batch(3), objective.draw(3)
    assert batch.rays is not None
    for i in range(len(clips)):
        path = scaled_path(clips.camera[i], float(clips.near_depth[i, 0]), CONFIG)
        rays = token_rays(path, (4, 4), patch_hw=(2, 2)).flatten(0, 2)  # 2 frames of 2x2 tokens
        assert rays.shape == (8, 6)
        expected = variant_features(rays.float(), RayPEVariant(), moment_eps=CONFIG.moment_eps)
        assert all(torch.equal(part[i], other) for part, other in zip(batch.rays, expected, strict=True))


def test_the_loss_is_the_velocity_of_the_frames_after_the_given_one(vae, backbone, tmp_path):
    """What the network is shown and asked for, in float64: noise of its level but for the first frame, noise - data
    after it, each channel by its spread over the mean spread."""
    objective = RayPEObjective(replace(CONFIG, spread_weights=True), vae, backbone, cache=tmp_path)
    batch, shown = objective.draw(3), []
    answer = torch.randn(batch.latents.shape, generator=torch.Generator().manual_seed(2))

    def network(x, sigma, rays, text):
        shown.append((x, sigma))
        return answer

    loss = objective.loss(network, batch)["loss"]
    clean, noise = batch.latents.double(), batch.noise.double()
    level = batch.sigma.double()[:, None, None, None, None]
    expected = (1 - level) * clean + level * noise
    expected[:, :, 0] = clean[:, :, 0]
    assert torch.allclose(shown[0][0].double(), expected, atol=1e-6) and torch.equal(shown[0][1], batch.sigma)
    spread = torch.tensor(objective.statistics.std, dtype=torch.float64)[:, None, None, None]
    error = (spread / spread.mean() * (answer.double() - (noise - clean)))[:, :, 1:]
    assert float(loss) == pytest.approx(float(error.square().mean()), rel=1e-5)


def test_noise_levels_of_a_run_have_its_shift(vae, backbone, tmp_path):
    """sigma = 5 u / (1 + 4 u) has its median at 5/6, and is never below the least level."""
    objective = RayPEObjective(replace(CONFIG, raype=False), vae, backbone, cache=tmp_path)
    sigma = torch.cat([objective.draw(number).sigma for number in range(200)])
    assert float(sigma.median()) == pytest.approx(5 / 6, abs=0.03) and float(sigma.min()) >= 0.0199
    assert float((sigma < 0.5).float().mean()) == pytest.approx(1 / 6, abs=0.04)


def test_filmed_scenes_are_trained_each_by_its_own_eta(vae, backbone, tmp_path, capsys):
    """Two data sets of one folder, whose etas are 1 and 20: the cameras of the second are twenty times as far apart."""
    for key, seed in (("0001", 5), ("0002", 7)):
        write_realestate10k(tmp_path / "films", key, seed, frames=8)
    held = {}
    for name, factor in (("near", 1.0), ("far", 20.0)):
        data = ((name, FilmedSettings(factor=factor)),)
        config = replace(
            CONFIG, data=data, scenes=((name, 1.0),), validation_scenes=name, near_depth=False, fps=RATE, steps=1
        )
        films = Films({name: tmp_path / "films"})
        objective = RayPEObjective(config, vae, backbone, cache=tmp_path / name, films=films)
        held[name] = objective.read(0).camera.center
    reach = held["near"].norm(dim=-1).max()
    assert reach > 0.01 and torch.allclose(held["far"], 20 * held["near"], rtol=1e-4, atol=1e-4 * float(reach))
    save_file(vae.state_dict(), tmp_path / "vae.safetensors")
    (tmp_path / "config.json").write_text(config.to_json(), encoding="utf-8")
    arguments = ["train", str(tmp_path / "config.json"), str(tmp_path / "run"), "--method", "raype", "--json",
                 "--vae", str(tmp_path / "vae.safetensors"), "--backbone", str(backbone.parent)]  # fmt: skip
    assert main([*arguments, "--data", f"far={tmp_path / 'films'}"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["validation"]["loss"] > 0 and (tmp_path / "run" / WEIGHTS_FILE).exists()


def test_generated_videos_start_with_the_given_frame_and_solve_a_straight_flow(vae, backbone, tmp_path):
    """A network that knows the noise and the clip gives the clip back, whatever the steps."""
    objective = RayPEObjective(CONFIG, vae, backbone, cache=tmp_path)
    clips = objective.validation.to("cpu")
    data = objective.statistics.normalize(clips.video)
    noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(7))

    def straight(x, sigma, rays, text):
        assert torch.equal(x[:, :, 0], data[:, :, 0])
        return noise - data

    for steps in (1, 5):
        made = objective.generate(straight, clips, steps=steps, seed=7)
        assert torch.allclose(made, clips.video, atol=1e-4)


def test_videos_of_validations_are_led_to_the_prompt_and_to_the_cameras(vae, backbone, tmp_path):
    """Velocities that tell what they were asked: 1 + 3 (1 - 0.25) of the prompt's 1 and the empty one's 0.25, and once
    more 1 - 0.5 of the cameras' 1 and 0.5 without."""
    save_file({"prompt": torch.ones(3, 8)}, tmp_path / "prompt.safetensors")
    config = replace(CONFIG, text_guidance=4.0, camera_guidance=2.0)
    how = {"cache": tmp_path, "prompt": tmp_path / "prompt.safetensors"}
    clips = RayPEObjective(CONFIG, vae, backbone, cache=tmp_path).validation.to("cpu")

    def network(x, sigma, rays, text):
        return torch.full_like(x, (1.0 if text.any() else 0.25) * (1.0 if rays is not None else 0.5))

    def moved(objective):
        made = objective.statistics.normalize(objective.generate(network, clips, steps=1, seed=7))
        noise = torch.randn(made.shape, generator=torch.Generator().manual_seed(7))
        return float((noise - made)[:, :, 1:].mean())

    assert moved(RayPEObjective(config, vae, backbone, **how)) == pytest.approx(1 + 3 * 0.75 + 0.5, abs=1e-4)
    plain = replace(config, text_guidance=1.0, camera_guidance=1.0)
    assert moved(RayPEObjective(plain, vae, backbone, **how)) == pytest.approx(1.0, abs=1e-4)
    assert moved(RayPEObjective(config, vae, backbone, cache=tmp_path)) == pytest.approx(0.25 + 0.125, abs=1e-4)


def test_a_wan_vae_brings_its_own_statistics(vae, tmp_path):
    """Wan's channels are not measured: a backbone was trained on the published numbers. Others are, at unit spread."""
    from diffusers import AutoencoderKLWan

    pool = ClipPool(CONFIG, vae, tmp_path)
    published = WanVAE(AutoencoderKLWan(base_dim=4, z_dim=16, num_res_blocks=1))
    assert latent_statistics(published, pool) == WAN_STATISTICS
    clips = pool.shard(0).video.float()
    spread = latent_statistics(vae, pool).normalize(clips).movedim(1, 0).flatten(1).std(1)
    assert spread.max() == pytest.approx(1.0, abs=0.01)


def test_the_rate_falls_along_a_cosine_to_a_tenth(vae, backbone, tmp_path):
    objective = RayPEObjective(replace(CONFIG, steps=100, learning_rate=1.0), vae, backbone, cache=tmp_path)
    rates = [objective.learning_rate(step) for step in (0, 50, 100)]
    assert rates == pytest.approx([1.0, 0.55, 0.1])


def test_the_command_trains_resumes_and_draws(vae, backbone, tmp_path, capsys):
    save_file(vae.state_dict(), tmp_path / "vae.safetensors")
    save_file({"null": torch.ones(3, 8)}, tmp_path / "null.safetensors")
    (tmp_path / "config.json").write_text(replace(CONFIG, steps=2).to_json())
    arguments = ["train", str(tmp_path / "config.json"), str(tmp_path / "run"), "--method", "raype", "--json",
                 "--vae", str(tmp_path / "vae.safetensors"), "--null-prompt", str(tmp_path / "null.safetensors"),
                 "--backbone", str(backbone.parent)]  # fmt: skip
    assert main([*arguments, "--until", "1"]) == 0
    assert main(arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2]
    assert (tmp_path / "run" / "samples-0000002.png").stat().st_size > 1000
    for wrong, sentence in (
        (arguments[:-2], "give its folder in diffusers' layout with --backbone"),
        ([*arguments, "--start", "x"], "--start is not an argument of --method raype"),
        (["train", *arguments[1:3], "--backbone", "x"], "--backbone is not an argument of --method raxel"),
        ([*arguments[:-1], str(tmp_path / "run")], "it has no config.json"),
    ):
        assert main(wrong) == 2
        assert sentence in capsys.readouterr().err


def test_other_backbones_prompts_and_weights_are_refused_in_one_sentence(backbone, tmp_path):
    with pytest.raises(ValueError, match="32 input and 32 output channels.* VAE of 16 they are 16 and 16"):
        load_backbone(backbone, channels=16)
    (tmp_path / "config.json").write_text('{"_class_name": "FluxTransformer2DModel"}')
    with pytest.raises(ValueError, match="holds a FluxTransformer2DModel"):
        load_backbone(tmp_path, channels=16)
    save_file({"prompt": torch.zeros(4, 9)}, tmp_path / "prompt.safetensors")
    with pytest.raises(ValueError, match=r"one tensor \[M, 8\].*\[4, 9\]"):
        load_prompt(tmp_path / "prompt.safetensors", 8)
    network = RayWan(load_backbone(backbone, channels=CHANNELS))
    with pytest.raises(ValueError, match="blocks.0.cross_attn.k.bias are missing or surplus"):
        load_wan_state(network, {k: t for k, t in wan_state(network, {}).items() if k != "blocks.0.cross_attn.k.bias"})


def test_configurations_survive_json_and_name_what_is_wrong():
    config = replace(CONFIG, variant=VARIANTS["V transform"], statistics=None)
    assert RayPETrainConfig.from_json(config.to_json()) == config
    measured = replace(config, statistics=LatentStatistics((0.5, 0.25), (1.0, 2.0)))
    assert RayPETrainConfig.from_json(measured.to_json()) == measured
    start = {"name": "x", "steps": 1, "frames": 5}
    for extra, message in (
        ({"variant": {"flop": True}}, "got flop: True"), ({"variant": {"flip": 1}}, "got flip: 1"),
        ({"variant": []}, "variant of the training configuration is an object, got a list of 0"), ({"eta": 0}, "eta of the training configuration is a number from 1e-12 to 1e.09, got 0"),
        ({"variant": {"cross_terms": False, "geometry_term": False}}, "no effect on attention"),
        ({"task_shares": [1, 0, 0]}, "unknown task_shares"), ({"statistics": {"mean": [1]}}, "statistics of the training configuration lacks std"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            RayPETrainConfig.from_json(json.dumps(start | extra))


EXPERT = replace(CONFIG, expert="high", steps=2, gradient_checkpointing=False)


@pytest.fixture(scope="module")
def a14b(tmp_path_factory):
    """A tiny Wan 2.2 I2V A14B in diffusers' layout: its VAE and two experts, told the first frame by 4 + 16 channels."""
    from diffusers import AutoencoderKLWan, WanTransformer3DModel

    folder = tmp_path_factory.mktemp("a14b")
    sizes = {"num_attention_heads": 2, "attention_head_dim": 12, "text_dim": 8, "freq_dim": 16, "ffn_dim": 40}
    for seed, name in enumerate(("transformer", "transformer_2")):
        torch.manual_seed(seed)
        network = WanTransformer3DModel(in_channels=36, out_channels=16, num_layers=LAYERS, **sizes)
        network.save_pretrained(folder / name)
    AutoencoderKLWan(base_dim=8, z_dim=16).save_pretrained(folder / "vae")
    return folder


def test_an_expert_is_asked_what_diffusers_pipeline_asks(a14b, tmp_path, monkeypatch):
    """WanImageToVideoPipeline's own run on the same noise and first frame: its levels at either side of the boundary,
    the channels that it tells the first frame by, and so the velocities."""
    pytest.importorskip("transformers", reason="diffusers' pipeline needs the package transformers")
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline

    networks = {name: load_backbone(a14b, channels=16, expert=name) for name in ("high", "low")}
    asked = []
    for name, network in networks.items():

        def forward(hidden_states, timestep, encoder_hidden_states, name=name, own=network.forward, **others):
            out = own(hidden_states, timestep, encoder_hidden_states, **others)
            asked.append((name, hidden_states, timestep, out[0]))
            return out

        monkeypatch.setattr(network, "forward", forward)
    pipeline = WanImageToVideoPipeline(
        tokenizer=None, text_encoder=None, vae=AutoencoderKLWan.from_pretrained(a14b / "vae"), image_processor=None,
        image_encoder=None, scheduler=FlowMatchEulerDiscreteScheduler(shift=CONFIG.video_shift),
        transformer=networks["high"], transformer_2=networks["low"], boundary_ratio=0.9,
    )  # fmt: skip
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1
    text = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(4))
    start = torch.randn(1, 16, 2, 4, 4, generator=torch.Generator().manual_seed(5))
    pipeline(image=picture, prompt_embeds=text, latents=start, height=32, width=32, num_frames=5, guidance_scale=1.0,
             num_inference_steps=8, output_type="latent")  # fmt: skip
    vae = load_vae(a14b / "vae")
    alone = torch.cat((picture[:, :, None], torch.zeros(1, 3, 4, 32, 32)), 2)
    lead = lead_channels(WAN_STATISTICS.normalize(vae.encode(alone)))
    whole = shifted_sigmas(8, shift=CONFIG.video_shift).tolist()
    parts = [expert_sigmas(8, replace(EXPERT, expert=name)) for name in networks]
    assert [sigma for part in parts for sigma in part[:-1]] == whole[:-1] and parts[0][-1] == parts[1][-1] == 0
    for name in networks:
        config = replace(CONFIG, expert=name, raype=False)
        ours = ray_wan(load_backbone(a14b, channels=16, expert=name), config)
        steps = [(shown, t, out) for which, shown, t, out in asked if which == name]
        assert len(steps) > 1 and all((float(t) / 1000 >= config.boundary) == (name == "high") for _, t, _ in steps)
        assert torch.allclose(steps[0][0][:, 16:], lead, atol=1e-5)
        shown, t, out = steps[-1]
        with torch.no_grad():
            assert torch.allclose(ours(shown[:, :16], t / 1000, None, text, lead), out, atol=1e-4)


def test_an_expert_is_trained_at_its_own_levels(tmp_path):
    """Those of a run over all levels that lie on its side of the boundary, as often as there."""
    uniform = (torch.arange(4000) + 0.5) / 4000
    every = draw_levels(uniform, CONFIG)
    for name in ("high", "low"):
        config = replace(CONFIG, expert=name)
        own = every[(every >= config.boundary) == (name == "high")]
        assert torch.allclose(
            draw_levels(uniform, config).quantile(uniform[::100]), own.quantile(uniform[::100]), atol=2e-3
        )
    assert float(draw_levels(uniform, replace(CONFIG, expert="high")).min()) >= 0.9


def test_the_two_experts_share_a_run_out_at_the_boundary():
    high, low = (expert_sigmas(8, replace(CONFIG, expert=name)) for name in ("high", "low"))
    assert high[:-1] + low == shifted_sigmas(8, shift=CONFIG.video_shift).tolist() and high[-1] == 0.0
    assert min(high[:-1]) >= CONFIG.boundary > max(low) and len(high) > 2 and len(low) > 2


@pytest.mark.parametrize("expert", ["high", "low"])
def test_an_expert_of_a14b_is_trained_validated_and_opens_as_raype(expert, a14b, tmp_path, capsys):
    """Through the command: its own weights, every frame in the loss, and the file that Load RayPE opens."""
    config = replace(EXPERT, expert=expert)
    (tmp_path / "config.json").write_text(config.to_json(), encoding="utf-8")
    arguments = ["train", str(tmp_path / "config.json"), str(tmp_path / "run"), "--method", "raype", "--json",
                 "--vae", str(a14b / "vae"), "--backbone", str(a14b)]  # fmt: skip
    assert main(arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["validation"]["loss"] > 0
    state = load_file(tmp_path / "run" / WEIGHTS_FILE)
    before = load_backbone(a14b, channels=16, expert=expert).state_dict()
    assert state["patch_embedding.weight"].shape[1] == 36
    assert torch.equal(state["patch_embedding.weight"], before["patch_embedding.weight"].bfloat16())
    assert load_raype(tmp_path / "run" / WEIGHTS_FILE).model.config == RayPEConfig(DIM, LAYERS)


def test_an_expert_s_first_frame_is_noised_counted_and_told(a14b, tmp_path):
    vae = load_vae(a14b / "vae")
    objective = RayPEObjective(EXPERT, vae, a14b, cache=tmp_path)
    batch, clips = objective.draw(0), objective.read(0)
    told = objective.statistics.denormalize(batch.lead[:, 4:])
    assert torch.allclose(told[:, :, 0], clips.video[:, :, 0], atol=2e-3)
    assert not torch.allclose(told[:, :, 1], clips.video[:, :, 1], atol=2e-3)
    assert batch.lead[:, :4, 0].eq(1).all() and batch.lead[:, :4, 1:].eq(0).all()
    level = batch.sigma[:, None, None, None, None]
    assert torch.allclose(batch.noisy(), (1 - level) * batch.latents + level * batch.noise, atol=1e-6)
    right = batch.noise - batch.latents
    wrong = right.clone()
    wrong[:, :, 0] += 1.0
    assert float(objective.loss(lambda *given: wrong, batch)["loss"]) == pytest.approx(0.5, rel=1e-5)
    straight = objective.statistics.normalize(clips.video.float())
    noise = torch.randn(straight.shape, generator=torch.Generator().manual_seed(7))
    made = objective.generate(lambda x, sigma, rays, text, lead: noise - straight, clips, steps=4, seed=7)
    assert torch.allclose(made, clips.video.float(), atol=1e-3)


def test_a_backbone_of_the_other_kind_is_refused(a14b, backbone):
    with pytest.raises(ValueError, match='36 input and 16 output channels.*TI2V-5B.*"expert"'):
        load_backbone(a14b, channels=16)
    with pytest.raises(ValueError, match="an expert \\(low\\) of Wan 2.2 I2V A14B"):
        load_backbone(backbone, channels=CHANNELS, expert="low")

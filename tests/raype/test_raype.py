"""RayPE: against its formulas in float64 written out here, the algebra of lines, the authors' own code, and bad files."""

from __future__ import annotations

import importlib.util
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.plan import make_move
from raxel_core.raype.checkpoint import load_raype, same_expert
from raxel_core.raype.encoding import (
    RayFeatures,
    RayPE,
    RayPEConfig,
    adds_nothing,
    initialize_raype,
    ray_features,
    raype_from_state,
)
from raxel_core.raype.ray_tokens import RAYPE_EXAMPLES, check_latent_frames, in_near_depth, range_warnings, token_rays
from tests.raype.raype_states import raype_state

SCOPE = Path(os.environ.get("SCOPE_PATH", "/nowhere"))
PAPER = RayPEConfig(dim=24, layers=2)
RELEASED = RayPEConfig(dim=24, layers=2, hidden=8, gate_hidden=6)
both = pytest.mark.parametrize("config", [PAPER, RELEASED], ids=["paper", "released"])


def random_raype(config, seed=0, dtype=torch.float64):
    """No weight is 0 or 1, so that each of them matters."""
    model, generator = RayPE(config).to(dtype), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model.requires_grad_(False)


def random_cameras(count, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    twist = torch.randn(count, 6, generator=generator, dtype=torch.float64) * 0.4
    K = K_from_fov(torch.tensor(1.2, dtype=torch.float64), (48, 80))
    return Camera(se3.exp(twist).to(dtype), K.expand(count, 3, 3), (48, 80))


def path(count=9, seed=0):
    return Trajectory(random_cameras(count, seed))


def tokens(config, count, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, 2, count, config.dim, generator=generator, dtype=torch.float64).to(dtype)
    return q, k


def by_the_formulas(weights, name, q, k, rays, eps=1e-6):
    """q and k of one layer in float64, token by token, from equations only."""
    w = {key.removeprefix(name): value.double() for key, value in weights.items() if key.startswith(name)}
    out_q, out_k = q.clone(), k.clone()

    def project(part, f):
        if f"{part}.weight" in w:
            return w[f"{part}.weight"] @ f
        hidden = w[f"{part}.0.weight"] @ f
        return w[f"{part}.2.weight"] @ (hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))))

    for token, ray in enumerate(rays):
        d, m = ray[:3], ray[3:]
        length = max(float(m.norm()), eps)
        s = torch.tensor([math.log(length)], dtype=torch.float64)
        hidden = w["scale_gate.0.weight"] @ s + w["scale_gate.0.bias"]
        gate = torch.sigmoid(w["scale_gate.2.weight"] @ (hidden * torch.sigmoid(hidden)) + w["scale_gate.2.bias"])
        for out, part, f in ((out_q, "q", (d, m / length, s)), (out_k, "k", (m / length, d, s))):
            u = project(f"e{part}", torch.cat(f))
            normed = u / torch.sqrt((u * u).mean() + 1e-6) * w[f"norm_pe_{part}.weight"]
            out[:, token] += w[f"alpha_{part}"] * gate * normed
    return out_q, out_k


@both
def test_a_layer_is_its_formulas(config):
    model, rays = random_raype(config), token_rays(path(), (6, 10)).flatten(0, -2)
    q, k = tokens(config, len(rays))
    for layer in range(config.layers):
        expected = by_the_formulas(raype_state(model), f"blocks.{layer}.self_attn.plucker_pe.", q, k, rays)
        found = model.blocks[layer](q, k, model.features(rays[None]))
        for x, y, before in zip(found, expected, (q, k), strict=True):
            assert (x - y).abs().max() < 1e-12
            assert (y - before).abs().max() > 0.01


@both
def test_float32_stays_within_1e_5_and_bfloat16_within_its_rounding(config):
    rays = token_rays(path(), (6, 10)).flatten(0, -2)
    model, (q, k) = random_raype(config), tokens(config, len(rays))
    expected = model.blocks[0](q, k, model.features(rays[None]))
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.05)):
        features = model.features(rays[None].float())
        found = random_raype(config).to(dtype).blocks[0](q.to(dtype), k.to(dtype), features)
        for x, y in zip(found, expected, strict=True):
            assert x.dtype == dtype
            assert (x.double() - y).abs().max() < tolerance


def test_tokens_outside_the_video_keep_their_queries_and_keys():
    model, rays = random_raype(RELEASED), token_rays(path(5), (4, 6)).flatten(0, -2)
    q, k = tokens(RELEASED, len(rays) + 7)
    features = model.features(rays[None])
    found = model.blocks[1](q, k, features, first=3, strength=0.25)
    alone = model.blocks[1](q[:, 3:-4], k[:, 3:-4], features)
    for x, y, before in zip(found, alone, (q, k), strict=True):
        assert torch.equal(x[:, :3], before[:, :3])
        assert torch.equal(x[:, -4:], before[:, -4:])
        inside = before[:, 3:-4]
        torch.testing.assert_close(x[:, 3:-4] - inside, 0.25 * (y - inside), atol=1e-12, rtol=0)


def raw_product(a, b):
    """(d_a, m_a) with (m_b, d_b): the reciprocal product that trading places in the keys stands for."""
    return (a[..., :3] * b[..., 3:]).sum(-1) + (a[..., 3:] * b[..., :3]).sum(-1)


def test_the_raw_product_of_query_and_key_is_the_distance_of_two_lines():
    # d_a . (o_b x d_b) + d_b . (o_a x d_a) = (o_a - o_b) . (d_a x d_b): 0 where the two lines of sight meet.
    first, second = (Trajectory(random_cameras(1, seed)) for seed in (1, 2))
    a, b = (plucker_of(camera.camera) for camera in (first, second))
    origin_a, origin_b = first.camera.center[0], second.camera.center[0]
    expected = ((origin_a - origin_b) * torch.linalg.cross(a[..., :3], b[..., :3], dim=-1)).sum(-1)
    assert (raw_product(a, b) - expected).abs().max() < 1e-12
    point = torch.tensor([0.3, -0.2, 2.0], dtype=torch.float64)
    to_point = [torch.nn.functional.normalize(point - o, dim=-1) for o in (origin_a, origin_b)]
    meeting = [torch.cat((d, torch.linalg.cross(o, d))) for o, d in zip((origin_a, origin_b), to_point, strict=True)]
    assert raw_product(*meeting).abs() < 1e-12
    assert expected.abs().max() > 0.05


def plucker_of(camera):
    """Lines of a camera in its world, through the tokens of a latent of 6 x 10 cells."""
    stand = Camera(torch.eye(4, dtype=torch.float64).expand(1, 4, 4), camera.K, camera.hw)
    local = token_rays(Trajectory(stand), (6, 10)).flatten(0, -2)
    d = local[:, :3] @ camera.rotation[0].mT
    return torch.cat((d, torch.linalg.cross(camera.center[0].expand_as(d), d)), dim=-1)


def test_the_raw_product_does_not_depend_on_the_world():
    cameras, world = (
        random_cameras(2, 3),
        se3.exp(torch.tensor([[0.4, -1.0, 0.7, 0.3, -0.2, 0.9]], dtype=torch.float64)),
    )
    moved = Camera(world @ cameras.world_from_cam, cameras.K, cameras.hw)
    before, after = ([plucker_of(c[n : n + 1]) for n in (0, 1)] for c in (cameras, moved))
    assert (raw_product(*before) - raw_product(*after)).abs().max() < 1e-12
    assert (before[0] - after[0]).abs().max() > 0.1


def test_rays_are_relative_to_the_first_camera():
    trajectory, world = path(), se3.exp(torch.tensor([0.4, -1.0, 0.7, 0.3, -0.2, 0.9], dtype=torch.float64))
    moved = Trajectory(Camera(world @ trajectory.camera.world_from_cam, trajectory.camera.K, trajectory.camera.hw))
    rays = token_rays(trajectory, (6, 10))
    assert (rays - token_rays(moved, (6, 10))).abs().max() < 1e-12
    assert rays[0, ..., 3:].abs().max() < 1e-15


def test_a_token_looks_through_the_middle_of_its_patch_at_the_last_frame_of_its_group():
    # 48x80 pixels, latent 6x10 of 8-pixel cells, 2x2 patches: token (1, 3) covers pixels 48..64 x 16..32.
    trajectory = path()
    rays, camera = token_rays(trajectory, (6, 10)), trajectory.camera
    assert rays.shape == (3, 3, 5, 6)
    local = torch.linalg.solve(camera.K[8], torch.tensor([56.0, 24.0, 1.0], dtype=torch.float64))
    turn = camera.rotation[0].mT @ camera.rotation[8]
    d = turn @ (local / local.norm())
    o = camera.rotation[0].mT @ (camera.center[8] - camera.center[0])
    assert (rays[2, 1, 3] - torch.cat((d, torch.linalg.cross(o, d)))).abs().max() < 1e-12


def test_a_latent_that_patches_do_not_divide_has_tokens_past_the_picture():
    # 7x11 cells of 8 pixels are 56x88 pixels; the last token's patch covers pixels 80..96 x 48..64.
    camera = random_cameras(1)
    camera = Camera(camera.world_from_cam, K_from_fov(torch.tensor(1.2, dtype=torch.float64), (56, 88)), (56, 88))
    rays = token_rays(Trajectory(camera), (7, 11))
    assert rays.shape == (1, 4, 6, 6)
    local = torch.linalg.solve(camera.K[0], torch.tensor([88.0, 56.0, 1.0], dtype=torch.float64))
    assert (rays[0, 3, 5, :3] - local / local.norm()).abs().max() < 1e-12


def test_paths_that_do_not_fit_say_what_fits():
    with pytest.raises(ValueError, match=r"has 9 frames, but a latent of 4 frames is a video of 13"):
        check_latent_frames(path(), 4)
    check_latent_frames(path(), 3)
    with pytest.raises(ValueError, match=r"got 8; the nearest such count is 9"):
        token_rays(path(8), (6, 10))
    with pytest.raises(ValueError, match=r"80x48 pixels, 1\.667 times .* of 104x60 cells is 1\.733 times"):
        token_rays(path(), (60, 104))
    broken = path()
    broken.camera.world_from_cam[4, 0, 3] = float("nan")
    with pytest.raises(ValueError, match="frame 4 holds NaN or infinity"):
        token_rays(broken, (6, 10))
    with pytest.raises(ValueError, match="rays of the camera path contain NaN"):
        ray_features(torch.full((1, 6), float("nan")))


def test_a_camera_at_the_origin_has_the_least_moment():
    for eps in (1e-6, 1e-2):
        features = ray_features(token_rays(path(1), (6, 10)), moment_eps=eps)
        assert float((features.log_scale - math.log(eps)).abs().max()) < 1e-12
        assert features.query[..., 3:6].abs().max() < 1e-9
        assert torch.equal(features.query[..., :3], features.key[..., 3:6])


def test_near_depth_divides_lengths_and_is_asked_for():
    metres = make_move("truck", 9, amount=3.0, unit="metre")
    assert float(in_near_depth(metres, 1.5).camera.center[-1].norm()) == pytest.approx(2.0)
    assert in_near_depth(metres, 1.5).unit == "near_depth"
    near = make_move("truck", 9, amount=3.0)
    assert in_near_depth(near) is near
    with pytest.raises(ValueError, match="'metre', but near_depth is needed"):
        in_near_depth(metres)


def test_paths_beyond_the_authors_examples_are_told_of():
    assert range_warnings(make_move("truck", 9, fov_degrees=80.0, amount=0.5)) == []
    assert range_warnings(make_move("pan", 9, fov_degrees=80.0, amount=0.4)) == [
        "The camera stays at its first position: its rays have directions but no moments."
    ]
    assert len(range_warnings(make_move("truck", 9, fov_degrees=80.0, amount=1e-7))) == 1
    far = range_warnings(make_move("dolly", 9, fov_degrees=40.0, amount=5.0))
    assert far == [
        "The camera travels 5.00 near depths and gets 5.00 away; the authors' examples go to 3.10 and 2.95.",
        "The horizontal angle of view is 40 to 40 degrees; the authors' examples have 61 to 105.",
    ]
    turning = range_warnings(make_move("orbit", 41, fov_degrees=80.0, amount=math.radians(300.0), depth=0.2))
    assert turning == ["The camera turns 300 degrees in all; the authors' examples go to 185."]


def loss_of(model, rays):
    q, k = tokens(model.config, len(rays), dtype=torch.float32)
    features = model.features(rays[None].float())
    for layer in model.blocks:
        q, k = layer(q, k, features)
    return (torch.softmax(q @ k.mT / model.config.dim**0.5, dim=-1) ** 2).sum()


@both
@pytest.mark.parametrize("zero", ["alpha", "output"])
def test_it_starts_as_nothing_and_learns(config, zero):
    rays = token_rays(path(), (6, 10)).flatten(0, -2)
    model = initialize_raype(RayPE(config), zero=zero, generator=torch.Generator().manual_seed(3))
    assert adds_nothing(model)
    q, k = tokens(config, len(rays), dtype=torch.float32)
    assert all(
        torch.equal(*pair)
        for pair in zip(model.blocks[0](q, k, model.features(rays[None].float())), (q, k), strict=True)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(2):  # the first step moves what is 0, the second everything else
        optimizer.zero_grad()
        loss_of(model, rays).backward()
        optimizer.step()
    assert not adds_nothing(model)
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in model.parameters())


def test_zero_projections_and_zero_alphas_together_never_learn():
    # What the paper's appendix and algorithm say together (PAPERS: every gradient is exactly 0), hence not offered.
    rays, model = token_rays(path(), (6, 10)).flatten(0, -2), initialize_raype(RayPE(PAPER), zero="output")
    for layer in model.blocks:
        layer.alpha_q.data.zero_()
        layer.alpha_k.data.zero_()
    loss_of(model, rays).backward()
    assert not any(bool(parameter.grad.any()) for parameter in model.parameters())
    with pytest.raises(ValueError, match="alpha or output, got 'both'"):
        initialize_raype(model, zero="both")


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (RayPEConfig(dim=3072, layers=30), 4_517_820),  # TI2V-5B: 0.090% of 4,999,787,712
        (RayPEConfig(dim=3072, layers=30, gate_hidden=16), 3_042_300),
        (RayPEConfig(dim=5120, layers=40, hidden=64, gate_hidden=1280), 40 * 7_227_778),
    ],
)
def test_parameter_counts(config, count):
    # 14 dim + 2 dim + 2 + (2 h + h dim + dim) a layer; the release: 2 * 64 * (7 + dim) for its projections.
    with torch.device("meta"):
        assert sum(p.numel() for p in RayPE(config).parameters()) == count


def test_weights_have_the_released_names():
    names = {
        f"blocks.{n}.self_attn.plucker_pe.{part}"
        for n in range(2)
        for part in (
            *("eq.0.weight", "eq.2.weight", "ek.0.weight", "ek.2.weight", "norm_pe_q.weight", "norm_pe_k.weight"),
            *("scale_gate.0.weight", "scale_gate.0.bias", "scale_gate.2.weight", "scale_gate.2.bias"),
            *("alpha_q", "alpha_k"),
        )
    }
    assert set(raype_state(RayPE(RELEASED))) == names


@both
def test_sizes_are_read_from_the_weights_and_old_alphas_are_promoted(config):
    model = random_raype(config)
    state = {f"model.diffusion_model.{key}": value for key, value in raype_state(model).items()}
    for key in state:
        if "alpha" in key:
            state[key] = state[key].reshape(())
    found = raype_from_state(state | {"head.head.weight": torch.zeros(3)}, moment_eps=1e-3)
    assert found.config == RayPEConfig(config.dim, config.layers, config.hidden, config.gate_hidden, 1e-3)
    assert all(torch.equal(a, b) for a, b in zip(found.state_dict().values(), model.state_dict().values(), strict=True))


def test_weights_of_one_byte_are_widened():
    state = {key: value.to(torch.float8_e4m3fn) for key, value in raype_state(random_raype(RELEASED)).items()}
    found = raype_from_state(state).state_dict()
    assert {value.dtype for value in found.values()} == {torch.bfloat16}
    key = "blocks.1.eq.2.weight"
    assert torch.equal(found[key].float(), state[key.replace("1.", "1.self_attn.plucker_pe.", 1)].float())


def test_the_release_costs_about_one_percent_of_a_wan_blocks_operations():
    # 480x832, 81 frames: 21 x 30 x 52 tokens. A block: q, k, v, o, the text's q and o, the feed-forward; attention to S
    # keys and to 512 words, two products each. Multiply-adds count twice.
    dim, ffn, tokens_, words = 5120, 13824, 21 * 30 * 52, 512
    linear = 2 * tokens_ * (6 * dim**2 + 2 * dim * ffn) + 2 * words * 2 * dim**2
    block = linear + 4 * tokens_ * dim * (tokens_ + words)
    with torch.device("meta"):
        layer = RayPE(RayPEConfig(dim, 1, hidden=64, gate_hidden=1280)).blocks[0]
        features = RayFeatures(*(torch.empty(1, tokens_, size) for size in (7, 7, 1)))
        q, k = torch.empty(2, 1, tokens_, dim)
        with FlopCounterMode(display=False) as counter:
            layer(q, k, features)
    assert 0.008 < counter.get_total_flops() / block < 0.015


def released_state(**changes):
    state = {key: value.float() for key, value in raype_state(random_raype(RELEASED)).items()}
    state |= {f"blocks.0.{mark}": torch.rand(24) for mark in ("self_attn.norm_q.weight", "norm3.weight")}
    return {key: value for key, value in (state | changes).items() if value is not None}


PE = "blocks.1.self_attn.plucker_pe"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({f"{PE}.eq.2.weight": None}, r"lack blocks\.1\.eq\.2\.weight \(1 keys\)"),
        ({f"{PE}.ev.weight": torch.ones(1)}, r"also hold blocks\.1\.ev\.weight"),
        ({f"{PE}.alpha_q": torch.ones(3)}, r"blocks\.1\.alpha_q .* shape \[3\], expected \[1\]"),
        ({f"{PE}.alpha_q": torch.full((1,), float("nan"))}, r"blocks\.1\.alpha_q of RayPE holds NaN"),
        ({"blocks.0.self_attn.plucker_pe.norm_pe_q.weight": None}, "block 0 are incomplete"),
        ({f"blocks.{n}.self_attn.plucker_pe.e{x}.2.weight": torch.zeros(24, 8) for n in (0, 1) for x in "qk"}, "all 0"),
    ],
)
def test_weights_that_are_not_whole_are_refused_in_one_sentence(tmp_path, changes, said):
    save_file(released_state(**changes), tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=said) as refused:
        load_raype(tmp_path / "x.safetensors")
    assert "x.safetensors" in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "looks"),
    [
        (("blocks.0.self_attn.q.weight", "head.modulation"), "plain Wan"),
        (("blocks.0.lora_A.weight",), "a LoRA"),
        (("blocks.0.self_attn.q.weight", "head.modulation", "control_adapter.conv.weight"), "Wan Fun-Camera"),
        (("blocks.0.cam_encoder.weight",), "an architecture unknown here"),
    ],
)
def test_weights_of_another_method_are_named(tmp_path, keys, looks):
    save_file({key: torch.zeros(2) for key in keys}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=rf"x\.safetensors holds no RayPE weights .*looks like {looks}"):
        load_raype(tmp_path / "x.safetensors")


def test_a_release_folder_is_read_in_place_and_knows_its_expert(tmp_path):
    from raxel_core.weights.checkpoint import split_into_shards

    state, folder = released_state(), tmp_path / "high_noise_model"
    folder.mkdir()
    shards = split_into_shards(state, 2000)
    assert len(shards) > 2
    names = [f"diffusion_pytorch_model-{n + 1:05d}-of-{len(shards):05d}.safetensors" for n in range(len(shards))]
    for name, keys in zip(names, shards, strict=True):
        save_file({key: state[key] for key in keys}, folder / name)
    index = {key: name for name, keys in zip(names, shards, strict=True) for key in keys}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index})
    )
    loaded = load_raype(folder)
    assert loaded.name == "high_noise_model"
    assert torch.equal(loaded.model.blocks[1].eq[2].weight, state[f"{PE}.eq.2.weight"])
    assert same_expert(loaded, state)
    assert same_expert(loaded, {key: value.to(torch.bfloat16) for key, value in state.items()})
    stock = {key: value + 0.01 * torch.randn(value.shape) for key, value in state.items()}
    assert not same_expert(loaded, stock)


def authors(name):
    """A module of the authors' repository, from SCOPE_PATH."""
    file = SCOPE / "scope" / f"{name}.py"
    if not file.is_file():
        pytest.skip("no copy of the authors' repository: set SCOPE_PATH to one")
    spec = importlib.util.spec_from_file_location(f"scope_{name}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@both
def test_a_layer_is_the_authors_module(config):
    ours = random_raype(config, dtype=torch.float32)
    theirs = authors("encoding").SightlineCoordinatePE(
        config.dim,
        plucker_mlp_hidden=config.hidden,
        plucker_scale=1.0,
        enable_cam_residual=False,
        scale_gate_hidden=config.gate_hidden,
    )
    theirs.load_state_dict(ours.blocks[0].state_dict())
    rays = token_rays(path(), (6, 10)).flatten(0, -2)[None].float()
    q, k = tokens(config, rays.shape[1], dtype=torch.float32)
    expected = theirs.apply_to_qk_and_output(q, k, rays)[:2]
    for x, y in zip(ours.blocks[0](q, k, ours.features(rays)), expected, strict=True):
        assert (x - y).abs().max() < 1e-5


def test_rays_are_the_authors():
    trajectory = path(9).relative_to(0)
    camera = trajectory.camera[::4]
    expected = authors("geometry").compute_plucker_coordinates(
        camera.world_from_cam[None], camera.K[None], 3, 5, *camera.hw
    )
    assert (token_rays(trajectory, (6, 10)).flatten(0, -2) - expected[0]).abs().max() < 1e-12


def test_the_stated_range_is_that_of_the_authors_examples():
    manifest = SCOPE / "examples" / "manifest.json"
    if not manifest.is_file():
        pytest.skip("no copy of the authors' repository: set SCOPE_PATH to one")
    figures = []
    for case in json.loads(manifest.read_text(encoding="utf-8"))["cases"]:
        K = K_from_fov(torch.tensor(case["x_fov"]), (480, 832)).double()
        for entry in case["trajectories"]:
            rows = torch.from_numpy(np.load(manifest.parent / entry["pose"])).double()
            motions = torch.eye(4, dtype=torch.float64).repeat(len(rows), 1, 1)
            motions[:, :3] = rows[:, :3]
            shown = Trajectory(Camera(motions, K, (480, 832)))
            stays = [text for text in range_warnings(shown) if "stays at its first position" not in text]
            assert stays == [], entry["pose"]
            reach = float((shown.camera.center - shown.camera.center[0]).norm(dim=-1).amax())
            figures.append((float(shown.path_length), reach, float(shown.turn), float(shown.camera.fov[0, 0])))
    assert len(figures) == 100
    least, most = (list(map(pick, zip(*figures, strict=True))) for pick in (min, max))
    stated = (RAYPE_EXAMPLES.path_length, RAYPE_EXAMPLES.reach, RAYPE_EXAMPLES.turn, RAYPE_EXAMPLES.fov[1])
    assert most == pytest.approx(stated, rel=0.003)
    assert least[3] == pytest.approx(RAYPE_EXAMPLES.fov[0], rel=0.003)

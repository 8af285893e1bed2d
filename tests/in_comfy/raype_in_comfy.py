"""Checks of RayPE on small random Wan models inside a ComfyUI: run by its interpreter, reported to test_raype_nodes.

    python raype_in_comfy.py COMFYUI PACK REPORT

Each function below named check_... is one test.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import os
import re
import sys
import types
import unittest
from pathlib import Path

from inside import enter, report_checks

(REPORT,) = enter()

import comfy.model_management  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.patcher_extension  # noqa: E402
import comfy.sample  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.sd  # noqa: E402
import torch  # noqa: E402
from comfy.ldm.wan.model import WanModel  # noqa: E402
from raxel.nodes.raype import patching as bridge  # noqa: E402
from raxel.raxel_core.paths.plan import make_move  # noqa: E402
from raxel.raxel_core.raype.checkpoint import LoadedRayPE  # noqa: E402
from raxel.raxel_core.raype.encoding import RayPE, RayPEConfig, raype_from_state  # noqa: E402
from raxel.raxel_core.raype.ray_tokens import token_rays  # noqa: E402

DIM, LAYERS, FRAMES, HW = 256, 2, 9, (64, 96)
CONFIG = RayPEConfig(DIM, LAYERS, hidden=16, gate_hidden=8)
torch.set_grad_enabled(False)


def random_weights(module, seed):
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in module.state_dict().items():
        spread = tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 0.3
        centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        state[name] = centre + spread * torch.randn(tensor.shape, generator=generator)
    return state


def wan_state(seed=0, **changes):
    sizes = {"dim": DIM, "ffn_dim": 128, "num_heads": DIM // 128, "num_layers": LAYERS, "in_dim": 16, "out_dim": 16}
    network = WanModel(
        **(sizes | changes), freq_dim=256, operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu"
    )
    return random_weights(network, seed)


def wan(**changes):
    return comfy.sd.load_diffusion_model_state_dict(wan_state(**changes), model_options={"dtype": torch.float32})


def raype(seed=1, scale=1.0):
    state = random_weights(RayPE(CONFIG), seed)
    state = {key: value * scale if "alpha" in key else value for key, value in state.items()}
    named = {f"blocks.{k.split('.')[1]}.self_attn.plucker_pe.{k.split('.', 2)[2]}": v for k, v in state.items()}
    for key in named:
        if "alpha" in key and scale:
            named[key] = named[key] + 3.0 * scale
    return LoadedRayPE(raype_from_state(named), "small")


def path(frames=FRAMES, hw=HW):
    return make_move("arc", frames, hw=hw, amount=0.8, depth=1.5)


def applied(model, loaded=None, trajectory=None, strength=1.0, start=0.0, end=1.0):
    loaded = loaded or raype()
    trajectory = trajectory or path()
    return bridge.with_raype(
        model, loaded, bridge.RaySampling(loaded, trajectory, strength=strength, start=start, end=end)
    )


def sampled(model, latent_thw=(3, 8, 12), cfg=3.0, steps=3, channels=16, words=4, videos=1, **cond):
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(videos, channels, *latent_thw, generator=generator)
    text = torch.randn(2, 1, words, 4096, generator=generator)
    positive, negative = ([[t, dict(cond)]] for t in text)
    latent = torch.zeros_like(noise)
    return comfy.sample.sample(
        model, noise, steps, cfg, "euler", "normal", positive, negative, latent, disable_pbar=True, seed=3
    )


def with_override(model, override):
    clone = model.clone()
    clone.model_options["transformer_options"]["optimized_attention_override"] = override
    return clone


def reference(model, loaded, rays_of, first=0, active=lambda options: True, strength=1.0):
    """The model with a hand-written attention: what RayPE adds, from its formulas, then softmax(q k^T / sqrt d) v."""
    w = {re.sub(r"^(blocks\.\d+)", r"\1.self_attn.plucker_pe", k): t for k, t in loaded.model.state_dict().items()}

    def override(func, q, k, v, *args, heads=None, **kwargs):
        heads = args[0] if heads is None else heads
        options = kwargs["transformer_options"]
        if q.shape[1] == k.shape[1] and active(options):
            layer = f"blocks.{options['block_index']}.self_attn.plucker_pe."
            rays = rays_of(options)
            span = slice(first, first + len(rays))
            d, m = rays[:, :3], rays[:, 3:]
            length = m.norm(dim=-1, keepdim=True).clamp(min=1e-6)
            s = length.log()
            into, out = ((w[f"{layer}scale_gate.{n}.weight"], w[f"{layer}scale_gate.{n}.bias"]) for n in (0, 2))
            gate = torch.sigmoid(torch.nn.functional.silu(s @ into[0].T + into[1]) @ out[0].T + out[1])
            added = []
            for part, f in (("q", (d, m / length, s)), ("k", (m / length, d, s))):
                h = torch.nn.functional.gelu(torch.cat(f, -1) @ w[f"{layer}e{part}.0.weight"].T)
                u = h @ w[f"{layer}e{part}.2.weight"].T
                u = u / (u.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * w[f"{layer}norm_pe_{part}.weight"]
                added.append(strength * w[f"{layer}alpha_{part}"] * gate * u)
            q, k = q.clone(), k.clone()
            q[:, span] += added[0]
            k[:, span] += added[1]
        return hand_written_attention(q, k, v, heads)

    return with_override(model, override)


def hand_written_attention(q, k, v, heads):
    """softmax(q k^T / sqrt d) v of q, k, v [B, S, dim]."""
    split = [x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v)]
    scores = split[0] @ split[1].mT / math.sqrt(split[0].shape[-1])
    return (scores.softmax(-1) @ split[2]).transpose(1, 2).flatten(2)


def flat(trajectory, latent_hw):
    return token_rays(trajectory, latent_hw).flatten(0, -2).float()


def close(a, b, tolerance=1e-4):
    assert torch.isfinite(a).all()
    assert (a - b).abs().max() < tolerance, float((a - b).abs().max())


def differ(a, b):
    assert (a - b).abs().max() > 1e-2, float((a - b).abs().max())


def refused(call, *words):
    try:
        call()
    except ValueError as error:
        text = str(error)
        assert all(word in text for word in words), text
        return
    raise AssertionError("nothing was refused")


def check_zero_features_leave_stock_wan_to_the_bit():
    model = wan()
    assert torch.equal(sampled(applied(model, raype(scale=0.0))), sampled(model))
    assert torch.equal(sampled(applied(model, strength=0.0)), sampled(model))


def check_active_features_are_the_reference_attention():
    model, loaded = wan(), raype()
    found, rays = sampled(applied(model, loaded)), flat(path(), (8, 12))
    close(found, sampled(reference(model, loaded, lambda options: rays)))
    differ(found, sampled(model))


def check_active_features_are_the_reference_attention_to_the_bit():
    """What the core's layer adds (held to the formulas in test_raype), then attention written by hand: no bit differs."""
    model, loaded = wan(), raype()
    features = loaded.model.features(flat(path(), (8, 12))[None])

    def hand_written(func, q, k, v, *args, heads=None, **kwargs):
        return hand_written_attention(q, k, v, args[0] if heads is None else heads)

    def added_by_hand(func, q, k, v, *args, heads=None, **kwargs):
        if q.shape[1] == k.shape[1]:
            layer = loaded.model.layers()[kwargs["transformer_options"]["block_index"]]
            q, k = layer(q, k, features)
        return hand_written_attention(q, k, v, args[0] if heads is None else heads)

    expected = sampled(with_override(model, added_by_hand))
    assert torch.equal(sampled(applied(with_override(model, hand_written), loaded)), expected)
    differ(expected, sampled(with_override(model, hand_written)))


def check_two_videos_and_both_prompts_in_one_call():
    model, loaded, rays, seen = wan(), raype(), flat(path(), (8, 12)), []

    def note(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **kwargs):
        seen.append((len(x), sorted(transformer_options["cond_or_uncond"])))
        return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

    noted = model.clone()
    noted.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.APPLY_MODEL, "note", note)
    found = sampled(applied(noted, loaded), videos=2)
    assert seen == [(4, [0, 1])] * 3, seen
    close(found, sampled(reference(model, loaded, lambda options: rays), videos=2))
    close(found[:1], sampled(applied(model, loaded), videos=2)[:1])
    differ(found[0], found[1])


def check_strength_scales_what_is_added():
    model, loaded, rays = wan(), raype(), flat(path(), (8, 12))
    for strength in (0.5, -1.0):
        found = sampled(applied(model, loaded, strength=strength))
        close(found, sampled(reference(model, loaded, lambda options: rays, strength=strength)))
    differ(found, sampled(applied(model, loaded)))


def check_the_authors_whole_model():
    """Their transformer with their patch, from SCOPE_PATH, and ours in ComfyUI with the weights of its state dict."""
    root = Path(os.environ.get("SCOPE_PATH", "/nowhere"))
    if not (root / "diffsynth" / "models" / "wan_video_dit.py").is_file():
        raise unittest.SkipTest("no copy of the authors' repository: set SCOPE_PATH to one")
    for name in ("diffsynth", "diffsynth.models", "scope"):  # without their __init__, which imports far more
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(root.joinpath(*name.split(".")))]
    sizes = {"dim": DIM, "ffn_dim": 128, "num_heads": DIM // 128, "num_layers": LAYERS, "in_dim": 16, "out_dim": 16}
    sizes |= {"text_dim": 4096, "freq_dim": 256, "eps": 1e-6, "patch_size": (1, 2, 2), "has_image_input": False}
    theirs = importlib.import_module("diffsynth.models.wan_video_dit").WanModel(**sizes)
    importlib.import_module("scope.patch")._patch_expert(
        theirs, "scope", *HW, True, "zero", 0.01, 16, 1.0, -2.0, False, [], 0, 0.0, (-1.2, 1.6)
    )
    state = random_weights(theirs, 2)
    theirs.eval().load_state_dict(state)
    trajectory, sigma = path(), 0.93
    camera = trajectory.relative_to(0).camera[::4]
    rays = importlib.import_module("scope.geometry").compute_plucker_coordinates(
        camera.world_from_cam[None], camera.K[None], 4, 6, *HW
    )
    x, text = torch.randn(1, 16, 3, 8, 12), torch.randn(1, 4, 4096)
    time = torch.tensor([1000 * sigma])
    expected = x - sigma * theirs(x, time, text, {"plucker_6d": rays, "num_frames": 3})

    stock = {key: value for key, value in state.items() if "plucker_pe" not in key}
    model = comfy.sd.load_diffusion_model_state_dict(stock, model_options={"dtype": torch.float32})
    ours = applied(model, LoadedRayPE(raype_from_state(state), "theirs"), trajectory)
    ours.patch_model()
    found = ours.model.apply_model(
        x, torch.tensor([sigma]), c_crossattn=text, transformer_options={"wrappers": ours.wrappers}
    )
    ours.unpatch_model()
    close(found, expected, 1e-5 * float(expected.abs().max()))
    differ(found, x - sigma * theirs(x, time, text))


def check_one_step_without_guidance_is_the_reference_too():
    model, loaded = wan(), raype()
    rays = flat(path(), (8, 12))
    found = sampled(applied(model, loaded), cfg=1.0, steps=1)
    close(found, sampled(reference(model, loaded, lambda options: rays), cfg=1.0, steps=1))


def check_an_image_to_video_model_with_concatenated_channels():
    model, loaded = wan(in_dim=36), raype()
    image = {"concat_latent_image": torch.rand(1, 16, 3, 8, 12), "concat_mask": torch.ones(1, 1, 3, 8, 12)}
    rays = flat(path(), (8, 12))
    close(sampled(applied(model, loaded), **image), sampled(reference(model, loaded, lambda o: rays), **image))


def check_an_image_to_video_model_with_clip_features():
    model, loaded, rays = wan(in_dim=36, model_type="i2v"), raype(), flat(path(), (8, 12))
    seen = types.SimpleNamespace(penultimate_hidden_states=torch.rand(1, 257, 1280))
    image = {"concat_latent_image": torch.rand(1, 16, 3, 8, 12), "clip_vision_output": seen}
    image["concat_mask"] = torch.ones(1, 1, 3, 8, 12)
    assert model.model.diffusion_model.img_emb is not None
    close(sampled(applied(model, loaded), **image), sampled(reference(model, loaded, lambda o: rays), **image))


def check_the_model_with_the_wan_2_2_vae():
    model, loaded, rays = wan(in_dim=48, out_dim=48), raype(), flat(path(), (8, 12))
    assert type(model.model).__name__ == "WAN22"
    found = sampled(applied(model, loaded), channels=48)
    close(found, sampled(reference(model, loaded, lambda options: rays), channels=48))


def check_odd_sizes():
    model, loaded, trajectory = wan(), raype(), path(5, (56, 88))
    rays = flat(trajectory, (7, 11))
    found = sampled(applied(model, loaded, trajectory), (2, 7, 11))
    close(found, sampled(reference(model, loaded, lambda options: rays), (2, 7, 11)))


def check_only_self_attention_is_touched():
    seen = []

    def note(func, q, k, v, *args, **kwargs):
        seen.append((q, k))
        return func(q, k, v, *args, **kwargs)

    model = wan()
    sampled(with_override(model, note), steps=1)
    stock, seen[:] = list(seen), []
    sampled(applied(with_override(model, note), strength=1e-3), steps=1)
    assert len(seen) == len(stock) == 2 * LAYERS
    assert not torch.equal(seen[0][0], stock[0][0])
    assert torch.equal(seen[1][1], stock[1][1])  # the text's keys of the first block


def check_overrides_before_and_after_still_run():
    def louder(func, q, k, v, *args, **kwargs):
        return 1.1 * func(q, k, v, *args, **kwargs)

    model, loaded, rays = wan(), raype(), flat(path(), (8, 12))
    alone = reference(model, loaded, lambda options: rays)
    inner = alone.model_options["transformer_options"]["optimized_attention_override"]
    expected = sampled(with_override(model, lambda *a, **k: 1.1 * inner(*a, **k)))
    close(sampled(applied(with_override(model, louder), loaded)), expected)
    close(sampled(with_override(applied(model, loaded), louder)), expected)
    differ(expected, sampled(alone))


def check_attention_in_containers_is_the_same():
    """Newer ComfyUI hands queries, keys and values over in containers, beside what the file prefers for its attention."""
    attention = comfy.ldm.modules.attention
    if not hasattr(attention, "AttentionTensorContainer"):
        return  # ComfyUI 0.8
    model, loaded = wan(), raype()
    expected, stock = sampled(applied(model, loaded)), comfy.ldm.wan.model.optimized_attention
    seen = []

    def contained(q, k, v, *args, preferred_attention=None, **kwargs):
        seen.append(q.shape)
        return stock(*map(attention.AttentionTensorContainer, (q, k, v)), *args, **kwargs)

    comfy.ldm.wan.model.optimized_attention = contained
    try:
        found = sampled(applied(model, loaded))
    finally:
        comfy.ldm.wan.model.optimized_attention = stock
    assert seen
    assert torch.equal(found, expected)
    differ(found, sampled(model))


def check_loras_work_before_and_after():
    def lora(patcher):
        clone = patcher.clone()
        change = 0.05 * torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(9))
        clone.add_patches({"diffusion_model.blocks.0.self_attn.q.weight": ("diff", (change,))}, 1.0)
        return clone

    model, loaded, rays = wan(), raype(), flat(path(), (8, 12))
    expected = sampled(lora(reference(model, loaded, lambda options: rays)))
    close(sampled(lora(applied(model, loaded))), expected)
    close(sampled(applied(lora(model), loaded)), expected)
    differ(expected, sampled(applied(model, loaded)))


def check_unpatching_restores_the_model():
    model = wan()
    before = sampled(model)
    differ(sampled(applied(model)), before)
    assert torch.equal(sampled(model), before)


def check_the_latest_application_counts():
    model, other, trajectory = wan(), raype(seed=7), make_move("dolly", FRAMES, hw=HW, amount=0.7)
    expected = sampled(applied(model, other, trajectory))
    twice = applied(applied(model), other, trajectory)
    assert torch.equal(sampled(twice), expected)
    assert len(twice.get_nested_additional_models()) == 1

    between = applied(model)
    for number in range(LAYERS):
        name = f"diffusion_model.blocks.{number}.self_attn.forward"
        inner = between.get_model_object(name)
        between.add_object_patch(name, lambda *a, inner=inner, **k: inner(*a, **k))
    assert torch.equal(sampled(applied(between, other, trajectory)), expected)


def check_the_part_of_the_schedule():
    model, loaded, rays = wan(), raype(), flat(path(), (8, 12))
    bound = model.get_model_object("model_sampling").percent_to_sigma(0.5)
    active = lambda options: float(options["sigmas"][0]) >= bound  # noqa: E731
    found = sampled(applied(model, loaded, end=0.5), steps=4)
    close(found, sampled(reference(model, loaded, lambda options: rays, active=active), steps=4))
    differ(found, sampled(applied(model, loaded), steps=4))
    differ(found, sampled(applied(model, loaded, start=0.5), steps=4))


def check_rays_are_computed_once_a_run():
    calls, original = [], bridge.token_rays
    bridge.token_rays = lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs)
    try:
        patched = applied(wan())
        sampled(patched, steps=4)
        sampled(patched, steps=2)
    finally:
        bridge.token_rays = original
    assert len(calls) == 1, len(calls)


def windows(model):
    from comfy_extras.nodes_context_windows import WanContextWindowsManualNode as Windows

    sizes = {"context_length": 9, "context_overlap": 5, "context_schedule": "standard_static", "context_stride": 1}
    later = {"freenoise": False} if "freenoise" in inspect.signature(Windows.execute).parameters else {}
    return Windows.execute(model, **sizes, closed_loop=False, fuse_method="pyramid", **later).result[0]


def check_context_windows():
    model, loaded, trajectory = wan(), raype(), path(21)
    rays, seen = token_rays(trajectory, (8, 12)).flatten(1, 2).float(), set()

    def rays_of(options):
        window = options["context_window"]
        anchor = getattr(window, "causal_anchor_index", None)
        frames = ([anchor] if anchor is not None and anchor >= 0 else []) + list(window.index_list)
        seen.add(tuple(frames))
        return rays[frames].flatten(0, 1)

    expected = sampled(windows(reference(model, loaded, rays_of)), (6, 8, 12))
    assert len(seen) > 1
    close(sampled(applied(windows(model), loaded, trajectory), (6, 8, 12)), expected)
    close(sampled(windows(applied(model, loaded, trajectory)), (6, 8, 12)), expected)
    refused(lambda: sampled(windows(applied(model, loaded, path(17))), (6, 8, 12)), "path is one of 5 latent", "has 6")


def check_reference_tokens_stand_before_the_rays():
    model, loaded, rays = wan(in_dim_ref_conv=16), raype(), flat(path(), (8, 12))
    assert model.model.diffusion_model.ref_conv is not None
    cond = {"reference_latents": [torch.rand(1, 16, 1, 8, 12)]}
    close(sampled(applied(model, loaded), **cond), sampled(reference(model, loaded, lambda o: rays, first=24), **cond))
    close(sampled(applied(model, loaded)), sampled(reference(model, loaded, lambda options: rays)))


def check_frames_joined_in_time_stand_behind_the_rays():
    model, loaded, rays = wan(), raype(), flat(path(), (8, 12))
    cond = {"time_dim_concat": torch.rand(1, 16, 2, 8, 12)}
    close(sampled(applied(model, loaded), **cond), sampled(reference(model, loaded, lambda options: rays), **cond))


def check_torch_compile():
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    model = wan()
    keep = lambda entries: [("transformer_options" not in entry.name) for entry in entries]  # noqa: E731
    for trajectory in (path(), make_move("dolly", FRAMES, hw=HW, amount=0.7)):
        patched = applied(model, trajectory=trajectory, end=0.6)
        expected, compiled = sampled(patched, steps=4), patched.clone()
        set_torch_compile_wrapper(model=compiled, backend="eager", options={"guard_filter_fn": keep})
        close(sampled(compiled, steps=4), expected)


def check_torch_compile_of_single_blocks():
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    model = applied(wan())
    expected, compiled = sampled(model), model.clone()
    keep = lambda entries: [("transformer_options" not in entry.name) for entry in entries]  # noqa: E731
    blocks = [f"diffusion_model.blocks.{number}" for number in range(LAYERS)]
    set_torch_compile_wrapper(model=compiled, backend="eager", options={"guard_filter_fn": keep}, keys=blocks)
    close(sampled(compiled), expected)


def check_a_clone_with_a_network_of_its_own():
    if "model_override" not in inspect.signature(wan().clone).parameters:
        return  # before ComfyUI 0.33 a clone always shares the network
    other = comfy.sd.load_diffusion_model_state_dict(wan_state(seed=4), model_options={"dtype": torch.float32})
    moved = applied(wan()).clone(model_override=other.get_clone_model_override())
    assert torch.equal(sampled(moved), sampled(applied(other)))


def check_text_as_long_as_the_video():
    model, loaded, rays = wan(), raype(), flat(path(), (8, 12))
    seen = []

    def note(func, q, k, v, *args, **kwargs):
        seen.append((q, k))
        return func(q, k, v, *args, **kwargs)

    sampled(with_override(applied(model, loaded), note), steps=1, words=len(rays))
    with_rays, seen[:] = list(seen), []
    sampled(with_override(model, note), steps=1, words=len(rays))
    assert [k.shape[1] for _, k in seen] == [len(rays)] * 2 * LAYERS
    assert torch.equal(with_rays[1][1], seen[1][1])
    differ(with_rays[0][1], seen[0][1])


def check_comfyui_moves_the_weights():
    loaded = raype()
    patched = applied(wan(), loaded)
    held = patched.clone().get_nested_additional_models()
    assert [extra.model is loaded.model for extra in held] == [True]
    sampled(patched, steps=1)
    named = [extra.model for extra in comfy.model_management.loaded_models()]
    assert loaded.model in named or not named


def check_other_weights_and_models_are_refused():
    model, loaded = wan(), raype()
    refused(lambda: applied(wan(num_layers=1), loaded), "width 256 with 2 blocks", "width 256 and 1 blocks")
    state = wan_state() | {f"vace_{k}": v for k, v in wan_state().items() if k.startswith("blocks.0.")}
    state |= {
        f"vace_blocks.0.{n}.{p}": torch.zeros(DIM, DIM)[:, : DIM if p == "weight" else 1].squeeze(-1)
        for n in ("before_proj", "after_proj")
        for p in ("weight", "bias")
    }
    state |= {
        "vace_patch_embedding.weight": torch.zeros(DIM, 96, 1, 2, 2),
        "vace_patch_embedding.bias": torch.zeros(DIM),
    }
    vace = comfy.sd.load_diffusion_model_state_dict(state, model_options={"dtype": torch.float32})
    refused(lambda: applied(vace, loaded), "text-to-video and image-to-video", "WAN21_Vace")
    marks = {n: model.get_model_object(f"diffusion_model.{n}").clone() for n in ("blocks.0.norm3.weight",)}
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn):
        in_dtype = comfy.sd.load_diffusion_model_state_dict(wan_state(), model_options={"dtype": dtype})
        applied(in_dtype, LoadedRayPE(loaded.model, "x", marks))
    wrong = LoadedRayPE(loaded.model, "x", {k: v + 0.1 for k, v in marks.items()})
    refused(lambda: applied(model, wrong), "not the expert that x was trained in", "Load RayPE Expert")


def check_paths_that_do_not_fit_the_latent():
    model = wan()
    refused(
        lambda: sampled(applied(model, trajectory=path(13))), "has 13 frames", "a latent of 3 frames is a video of 9"
    )
    refused(lambda: sampled(applied(model, trajectory=path(hw=(96, 96)))), "96x96 pixels", "12x8 cells")


if __name__ == "__main__":
    report_checks(dict(globals()), REPORT)

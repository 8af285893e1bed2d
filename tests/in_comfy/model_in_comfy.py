"""Checks of raxel models inside a ComfyUI: run by its interpreter, reported to test_model_in_comfy.

    python model_in_comfy.py COMFYUI PACK BASE REPORT

BASE is an empty folder for models and output. Each function below named check_... is one test.
"""

from __future__ import annotations

import _thread
import functools
import gc
import json
import re
import struct
import threading
import time
import types
import unittest
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from inside import enter, report_checks

BASE, REPORT = enter(base=True)

import comfy.conds  # noqa: E402
import comfy.hooks  # noqa: E402
import comfy.lora  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_detection  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.supported_models  # noqa: E402
import comfy.utils  # noqa: E402
import comfyui_version  # noqa: E402
import folder_paths  # noqa: E402
import torch  # noqa: E402
from comfy.ldm.modules.attention import optimized_attention  # noqa: E402
from comfy.ldm.wan.vae import WanVAE  # noqa: E402
from comfy.nested_tensor import NestedTensor  # noqa: E402
from comfy.taesd.taesd import TAESD  # noqa: E402
from comfy_api.torch_helpers import set_torch_compile_wrapper  # noqa: E402
from comfy_extras.nodes_model_merging import ModelMergeSimple, ModelSave  # noqa: E402
from raxel.nodes.comfy_io.notice import show_on_node  # noqa: E402
from raxel.nodes.comfy_model import detection, loading, network  # noqa: E402
from raxel.nodes.comfy_model.base_model import RaxelBaseModel, tensor_of_text  # noqa: E402
from raxel.nodes.comfy_model.latent_format import RaxelLatentFormat, format_of  # noqa: E402
from raxel.nodes.comfy_model.outer_sample import with_raxel_sampling  # noqa: E402
from raxel.nodes.comfy_sampling.joint_run import task_latent  # noqa: E402
from raxel.nodes.joint.closed_loop import loop_clip  # noqa: E402
from raxel.nodes.joint.encode import RaxelEncode  # noqa: E402
from raxel.nodes.joint.footage import RaxelPoseFootage  # noqa: E402
from raxel.nodes.joint.loop import SelfConsistencyLoop  # noqa: E402
from raxel.nodes.joint.model import LoadRaxelModel  # noqa: E402
from raxel.nodes.joint.poses import RaxelsToPoses  # noqa: E402
from raxel.nodes.joint.sources import RaxelSources  # noqa: E402
from raxel.raxel_core.latents.statistics import LatentStatistics  # noqa: E402
from raxel.raxel_core.model import WAN_14B, RaxelConfig  # noqa: E402
from raxel.raxel_core.paths.plan import make_move  # noqa: E402
from raxel.raxel_core.recipe import METADATA_KEY, Recipe  # noqa: E402
from raxel.raxel_core.runtime import memory as asked  # noqa: E402
from raxel.raxel_core.weights import save_checkpoint  # noqa: E402
from raxel.raxel_core.weights.state_dict import expected_shapes, to_wan  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from server import PromptServer  # noqa: E402

import nodes as stock  # noqa: E402

detection.register_raxel_architecture()

STREAMS_TOLD = tuple(map(int, comfyui_version.__version__.split(".")[:2])) >= (0, 33)
MODELS, OUTPUT = Path(BASE) / "models" / "diffusion_models", Path(BASE) / "output"
CONFIG = RaxelConfig(dim=576, ffn_dim=640, layers=3, heads=4, in_channels=16, text_dim=24, freq_dim=64)
VIDEO, RAYS, FP8 = (1, 16, 3, 8, 12), (1, 16, 3, 4, 6), torch.float8_e4m3fn
torch.set_grad_enabled(False)


def random_weights(config=CONFIG, seed=0):
    """Weights with which every part of the network matters and its output is of the order of one."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for key, shape in expected_shapes(config).items():
        small = len(shape) == 1 or "modulation" in key
        centre = 1.0 if "norm" in key and key.endswith("weight") else 0.5 if "gate" in key else 0.0
        spread = 0.1 if small else shape[1:].numel() ** -0.5
        weights[key] = centre + spread * torch.randn(shape, generator=generator)
    return weights


def recipe(channels=CONFIG.in_channels):
    video, rays = (LatentStatistics((shift,) * channels, (1.5,) * channels) for shift in (0.1, -0.2))
    return Recipe("none", 9, (64, 96), 8.0, "near_depth", video_statistics=video, ray_statistics=rays)


def saved(weights, name="model", config=CONFIG):
    path = MODELS / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_checkpoint(path, weights, config, metadata={METADATA_KEY: recipe().to_json()})


def loaded(weights=None, name="model", **how):
    """A MODEL of our loader."""
    path = saved(random_weights() if weights is None else weights, name)
    return loading.load_raxel_patcher(str(path), **how)


def sampled(model, seed=7, steps=2, cfg=1.0, start=0.0, **cond):
    """Both streams that stock KSampler makes of ones filled with `start`."""
    generator = torch.Generator().manual_seed(5)
    positive, negative = ([[torch.randn(1, 5, 24, generator=generator), dict(cond)]] for _ in range(2))
    latent = {"samples": NestedTensor([torch.full(VIDEO, start), torch.full(RAYS, start)])}
    (out,) = stock.KSampler().sample(model, seed, steps, cfg, "euler", "normal", positive, negative, latent)
    return torch.cat([x.flatten() for x in out["samples"].unbind()])


def close(a, b, tolerance=2e-5):
    assert torch.isfinite(a).all()
    assert (a - b).abs().max() <= tolerance, float((a - b).abs().max())


def differ(a, b, least=1e-2):
    assert (a - b).abs().max() > least, float((a - b).abs().max())


def refused(call, *words, kind=ValueError):
    try:
        call()
    except kind as error:
        text = str(error)
        assert all(word in text for word in words) and "\n" not in text.strip(), text
        return
    raise AssertionError("nothing was refused")


def network_of(model):
    return model.model.diffusion_model


# --- loaders


def from_unet_loader(name, dtype="default"):
    return stock.UNETLoader().load_unet(f"{name}.safetensors", dtype)[0]


def check_stock_load_diffusion_model_gives_what_our_loader_gives():
    ours = loaded()
    theirs = from_unet_loader("model")
    assert isinstance(theirs.model, RaxelBaseModel)
    assert torch.equal(sampled(with_raxel_sampling(theirs)), sampled(ours))
    bare = from_unet_loader("model")
    if STREAMS_TOLD:  # the wrapper keeps given streams to the bit; without it the run is the same
        close(sampled(bare), sampled(ours))
        return
    refused(lambda: sampled(bare, start=0.5), "raxel models from Load Raxel Model only", "Joint Sampler does")
    close(sampled(bare), sampled(ours))  # of an empty latent it tells the shapes in time
    bare.model.latent_shapes = ((1, 16, 1, 8, 12), RAYS)  # an earlier run of another size
    refused(lambda: sampled(bare, start=0.5), "raxel models from Load Raxel Model only")
    assert torch.equal(sampled(with_raxel_sampling(bare), start=0.5), sampled(ours, start=0.5))


def check_detection_leaves_other_models_as_they_were():
    wrapped = comfy.model_detection.detect_unet_config
    stock_detect = wrapped.__wrapped__
    detection.register_raxel_architecture()
    assert comfy.model_detection.detect_unet_config is wrapped, "wrapped twice"
    wan = to_wan(random_weights())
    found, expected = wrapped(wan, ""), stock_detect(wan, "")
    assert found == expected and found["image_model"] == "wan2.1", found
    kinds = [c.__name__ for c in comfy.supported_models.models]
    assert kinds.count("RaxelModelConfig") == 1 and kinds[-1] == "RaxelModelConfig"
    assert type(comfy.model_detection.model_config_from_unet(wan, "")).__name__ == "WAN21_T2V"


def check_a_saved_model_comes_back_through_every_loader():
    ours = loaded()
    expected = sampled(ours)
    ModelSave().save(ours, "saved/whole")
    written = next((OUTPUT / "saved").glob("whole*.safetensors"))
    for folder in ("diffusion_models", "checkpoints"):
        target = Path(BASE) / "models" / folder / "whole.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(written.read_bytes())
    folder_paths.filename_list_cache.clear()
    checkpoint = stock.CheckpointLoaderSimple().load_checkpoint("whole.safetensors")
    assert checkpoint[1] is None, "a text encoder came out of a raxel checkpoint"
    own = loading.load_raxel_patcher(str(MODELS / "whole.safetensors"))
    assert loading.is_raxel_file("whole.safetensors")
    for model in (own, checkpoint[0], from_unet_loader("whole")):
        assert torch.equal(sampled(with_raxel_sampling(model)), expected)


class PackedTensor(torch.Tensor):
    """As ComfyUI-GGUF's tensors: packed bytes that state the shape they stand for."""

    @staticmethod
    def packed(weight):
        step = weight.abs().amax() / 127
        tensor = (weight / step).round().to(torch.int8).flatten().as_subclass(PackedTensor)
        tensor.step, tensor.true_shape = step, weight.shape
        return tensor

    @property
    def shape(self):
        return getattr(self, "true_shape", self.size())

    def to(self, *args, **kwargs):
        other = super().to(*args, **kwargs)
        if hasattr(self, "step"):
            other.step, other.true_shape = self.step, self.true_shape
        return other

    def detach(self):
        return self

    def clone(self, **how):
        return self

    def unpacked(self):
        return self.as_subclass(torch.Tensor).float().reshape(self.true_shape) * self.step


class PackedOps(comfy.ops.manual_cast):
    """As ComfyUI-GGUF's operations: linear layers that take their packed weight at loading and unpack it at each use."""

    used = 0

    class Linear(comfy.ops.manual_cast.Linear):
        def __init__(self, channels, out, bias=True, device=None, dtype=None):
            torch.nn.Module.__init__(self)
            self.in_features, self.out_features, self.weight, self.bias = channels, out, None, None

        def _load_from_state_dict(self, state, prefix, *rest):
            for name in ("weight", "bias"):
                setattr(self, name, torch.nn.Parameter(state[prefix + name], requires_grad=False))

        def forward(self, x):
            PackedOps.used += 1
            bias = self.bias.as_subclass(torch.Tensor).to(x.dtype)
            return torch.nn.functional.linear(x, self.weight.unpacked().to(x.dtype), bias)


def is_linear(key):
    return key.endswith(".weight") and "norm" not in key and "patch_embedding" not in key


def check_custom_operations_with_packed_weights():
    weights = random_weights()
    state, exact = {}, {}
    for key, value in weights.items():
        packed = PackedTensor.packed(value) if is_linear(key) else value.as_subclass(PackedTensor)
        state[key], exact[key] = packed, packed.unpacked() if is_linear(key) else value
    header = {"raxel_config": CONFIG.to_json(), METADATA_KEY: recipe().to_json()}
    for carried in ("metadata", "tensors"):
        told = {"metadata": header} if carried == "metadata" else {}
        given = dict(state)
        if carried == "tensors":  # a converter that keeps all 1-D tensors in float32
            given |= {key: tensor_of_text(text).float().as_subclass(PackedTensor) for key, text in header.items()}
        options = {"custom_operations": PackedOps}
        model = comfy.sd.load_diffusion_model_state_dict(given, model_options=options, **told)
        net = network_of(model)
        assert type(net.blocks[0].ffn[0].weight.data) is PackedTensor
        assert type(net.blocks[0].modulation.data) is torch.Tensor and type(net.video_modality.data) is torch.Tensor
        PackedOps.used = 0
        close(sampled(with_raxel_sampling(model)), sampled(loaded(exact)), 1e-4)
        assert PackedOps.used > 2 * 8 * CONFIG.layers


# --- memory


def check_memory_estimate_is_wans_for_the_unpacked_streams():
    net = types.SimpleNamespace(dtype=torch.bfloat16)
    area = lambda shape: (shape[0], shape[1], *shape[2:])  # noqa: E731
    for config, wan_config in ((WAN_14B, {"dim": 5120}), (CONFIG, {"dim": CONFIG.dim})):
        wan_config = comfy.supported_models.WAN21_T2V({"image_model": "wan2.1", **wan_config})
        wan, ours = comfy.model_base.BaseModel.__new__(comfy.model_base.WAN21), RaxelBaseModel.__new__(RaxelBaseModel)
        unet_config = {
            "image_model": "raxel",
            "raxel_config": config.to_json(),
            METADATA_KEY: recipe(config.in_channels).to_json(),
        }
        ours_config = detection.RaxelModelConfig(unet_config)
        for model, kind in ((wan, wan_config), (ours, ours_config)):
            torch.nn.Module.__init__(model)
            model.__dict__.update(diffusion_model=net, manual_cast_dtype=None, memory_usage_factor_conds=())
            model.__dict__.update(memory_usage_shape_process={}, memory_usage_factor=kind.memory_usage_factor)
        ours.config = config
        for frames, hw in ((21, (60, 104)), (3, (8, 12)), (13, (90, 160))):
            video, rays = (2, 16, frames, *hw), (2, 16, frames, hw[0] // 2, hw[1] // 2)
            pack = (2, 1, sum(torch.Size(x[1:]).numel() for x in (video, rays)))
            expected = wan.memory_required(area(video)) + wan.memory_required(area(rays))
            found = ours.memory_required(pack)
            assert abs(found / expected - 1) < 1e-6, (found, expected)
            source = (2, 16, 2, *hw)
            ours.memory_usage_factor_conds = ("source_video",)
            with_source = ours.memory_required(pack, cond_shapes={"source_video": [source]})
            assert abs(with_source / (expected + wan.memory_required(source)) - 1) < 1e-6


# --- precisions


def rounded(weights, dtype):
    return {key: value.to(dtype).float() for key, value in weights.items()}


def check_memory_is_asked_for_before_it_is_taken():
    def made(*shape):
        raise AssertionError("latents were made before they were asked for")

    given, free, empty = format_of(loaded()), asked.free_memory, RaxelLatentFormat.empty_video
    try:
        asked.free_memory, RaxelLatentFormat.empty_video = lambda: asked._KEPT_FREE + 10**6, made
        refused(
            lambda: task_latent("joint", None, given, frames=801, sources=None), "801 frames of 96x64", "take fewer"
        )
        refused(lambda: loop_clip(torch.zeros(5, 640, 960, 3)), "5 frames of 960x640 would need", "1 MB are free")
    finally:
        asked.free_memory, RaxelLatentFormat.empty_video = free, empty


def check_a_vae_of_another_model_is_refused_in_one_sentence():
    """A still picture's, and Wan 2.1's own layout with fewer channels inside, as ComfyUI detects both."""
    still = TAESD()
    video = WanVAE(dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], temperal_downsample=[False, True, True])
    model = LoadRaxelModel.execute("raxel-tiny (embedded)").result[0]
    path = make_move("orbit", 5, hw=(64, 96), amount=0.2)
    latent, images = {"samples": NestedTensor([torch.zeros(1, 64, 2, 8, 12)] * 2)}, torch.zeros(5, 64, 96, 3)
    for other, told in (
        (still, "takes a video VAE with 4 frames to a latent frame, got TAESD"),
        (video, "makes latents of 16 channels, 8 times smaller, and the model takes 64"),
    ):
        vae = comfy.sd.VAE(sd={key: torch.zeros_like(value) for key, value in other.state_dict().items()})
        for run in (
            lambda vae=vae: RaxelEncode.execute(model, vae, path),
            lambda vae=vae: RaxelSources.execute(model, vae, images[:1], "0", path),
            lambda vae=vae: RaxelsToPoses.execute(model, vae, latent),
            lambda vae=vae: SelfConsistencyLoop.execute(model, vae, images, 1, 1, 1),
        ):  # fmt: skip
            refused(run, told, "connect the VAE of Load Raxel Model")


def check_fp8_weights():
    weights = random_weights()
    exact = sampled(loaded(weights))
    expected = sampled(loaded(rounded(weights, FP8)))
    differ(expected, exact, 1e-3)
    for model in (loaded(weights, weight_dtype="fp8_e4m3fn"), from_unet_loader("model", "fp8_e4m3fn")):
        assert {p.dtype for p in network_of(model).parameters()} == {FP8}
        found = sampled(with_raxel_sampling(model))
        close(found, expected, 1e-4)
        assert correlation(found, exact) > 0.98


def check_a_file_in_half_precision():
    for dtype in (torch.bfloat16, torch.float16):
        weights = {key: value.to(dtype) for key, value in random_weights().items()}
        expected = sampled(loaded(rounded(weights, torch.float32)))
        close(sampled(loaded(weights)), expected)
        kept = loaded(weights, weight_dtype="bf16") if dtype == torch.bfloat16 else loaded(weights)
        close(sampled(kept), expected)


def quantised(weights):
    """Linear weights in float8 with a scale, and what they stand for."""
    packed, scales, exact = dict(weights), {}, dict(weights)
    for key in filter(is_linear, weights):
        layer = key.removesuffix(".weight")
        scales[layer] = weights[key].abs().amax() / torch.finfo(FP8).max
        packed[key] = (weights[key] / scales[layer]).to(FP8)
        exact[key] = packed[key].float() * scales[layer]
    return packed, scales, exact


def check_scaled_fp8_and_quantised_layers():
    weights = random_weights()
    packed, scales, exact = quantised(weights)
    layout = tensor_of_text(json.dumps({"format": "float8_e4m3fn"}))
    full = tensor_of_text(json.dumps({"format": "float8_e4m3fn", "full_precision_matrix_mult": True}))
    files = {
        "scaled": {f"{n}.scale_weight": s for n, s in scales.items()} | {"scaled_fp8": torch.zeros(2, dtype=FP8)},
        **{
            name: {f"{n}.weight_scale": s for n, s in scales.items()}
            | {f"{n}.comfy_quant": conf.clone() for n in scales}
            for name, conf in (("layers", layout), ("full", full))
        },
    }
    expected, unquantised = sampled(loaded(exact)), sampled(loaded(weights))
    differ(expected, unquantised, 1e-3)
    for name, extra in files.items():
        saved({**packed, **extra}, name)
        for model in (loading.load_raxel_patcher(str(MODELS / f"{name}.safetensors")), from_unet_loader(name)):
            held = network_of(model).blocks[0].ffn[0].weight
            assert type(held.data).__name__ == "QuantizedTensor", type(held.data)
            found = sampled(with_raxel_sampling(model))
            close(found, expected, 1e-4)
            assert correlation(found, unquantised) > 0.99
    if not STREAMS_TOLD:
        return  # ComfyUI 0.8 hands its packed tensors to safetensors as they are, which cannot write them
    model = loading.load_raxel_patcher(str(MODELS / "layers.safetensors"))
    ModelSave().save(model, "saved/layers")
    back = loading.load_raxel_patcher(str(next((OUTPUT / "saved").glob("layers*.safetensors"))))
    assert torch.equal(sampled(back), sampled(model))


def correlation(a, b):
    return float(torch.corrcoef(torch.stack((a, b)))[0, 1])


# --- LoRAs and merges


def low_rank(paths, weights, seed=3, rank=4):
    """A LoRA's factors of some layers, and the weights with it merged."""
    generator = torch.Generator().manual_seed(seed)
    factors, merged = {}, dict(weights)
    for path in paths:
        out, channels = weights[f"{path}.weight"].shape
        down, up = (torch.randn(shape, generator=generator) * 0.1 for shape in ((rank, channels), (out, rank)))
        factors[path] = (down, up)
        merged[f"{path}.weight"] = weights[f"{path}.weight"] + up @ down
    return factors, merged


def with_lora(model, state, strength=1.0):
    folder = Path(BASE) / "models" / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "lora.safetensors")
    folder_paths.filename_list_cache.clear()
    return stock.LoraLoaderModelOnly().load_lora_model_only(model, "lora.safetensors", strength)[0]


def layers_of(*names):
    return [f"blocks.{n}.{name}" for n in range(CONFIG.layers) for name in names]


WAN_LAYERS = layers_of("self_attn.q", "self_attn.o", "cross_attn.v", "ffn.0", "ffn.2")
OUR_LAYERS = [*layers_of("self_attn.k", "ray_ffn.0"), "ray_head.head", "ray_time_embedding.0"]


def peft(factors):
    names = (("lora_A", 0), ("lora_B", 1))
    return {f"diffusion_model.{p}.{n}.weight": ab[i].contiguous() for p, ab in factors.items() for n, i in names}


def kohya(factors):
    state = {f"lora_unet_{p.replace('.', '_')}.alpha": torch.tensor(4.0) for p in factors}
    for path, (down, up) in factors.items():
        state[f"lora_unet_{path.replace('.', '_')}.lora_down.weight"] = down
        state[f"lora_unet_{path.replace('.', '_')}.lora_up.weight"] = up
    return state


def check_loras_of_ours_and_of_wan():
    weights = random_weights()
    model = loaded(weights)
    plain = sampled(model)
    for paths, layout in ((WAN_LAYERS, peft), (WAN_LAYERS, kohya), (OUR_LAYERS, peft)):
        factors, merged = low_rank(paths, weights)
        state = layout(factors)
        assert set(comfy.lora.load_lora(state, comfy.lora.model_lora_keys_unet(model.model, {}))) == {
            f"diffusion_model.{path}.weight" for path in paths
        }
        found = sampled(with_lora(model, state))
        close(found, sampled(loaded(merged)))
        differ(found, plain)
        assert torch.equal(sampled(model), plain), "the LoRA stayed"


def check_differences_of_norms_biases_and_bare_parameters():
    """What distilled Wan LoRAs hold beside low-rank factors."""
    weights = random_weights()
    changes = {"blocks.1.norm3.weight": ".diff", "blocks.0.ffn.0.bias": ".diff_b", "blocks.1.modulation": ".diff"}
    state, merged = {}, dict(weights)
    for key, suffix in changes.items():
        added = 0.3 * torch.randn(weights[key].shape, generator=torch.Generator().manual_seed(2))
        state[f"diffusion_model.{key.removesuffix('.weight').removesuffix('.bias')}{suffix}"] = added
        merged[key] = weights[key] + 0.5 * added
    model = loaded(weights)
    found = sampled(with_lora(model, state, 0.5))
    close(found, sampled(loaded(merged)))
    differ(found, sampled(model))


def check_merging_two_models():
    first, second = random_weights(seed=0), random_weights(seed=1)
    models = loaded(first, "first"), loaded(second, "second")
    (merged,) = ModelMergeSimple().merge(*models, 0.25)
    expected = sampled(loaded({key: 0.25 * value + 0.75 * second[key] for key, value in first.items()}))
    close(sampled(merged), expected, 1e-4)
    close(sampled(merged), expected, 1e-4)  # loaded again
    ModelSave().save(merged, "saved/merged")
    back = loading.load_raxel_patcher(str(next((OUTPUT / "saved").glob("merged*.safetensors"))))
    close(sampled(back), expected, 1e-4)
    assert torch.equal(sampled(models[0]), sampled(loaded(first, "first"))), "the merge stayed"
    (stock_merged,) = ModelMergeSimple().merge(from_unet_loader("first"), from_unet_loader("second"), 0.25)
    close(sampled(stock_merged), expected, 1e-4)
    close(sampled(with_raxel_sampling(stock_merged)), expected, 1e-4)
    assert torch.equal(sampled(from_unet_loader("first")), sampled(loaded(first, "first")))


# --- compiling, attention, hooks


def check_a_compiled_model():
    model = loaded()
    how = {"disable_dynamic": True} if STREAMS_TOLD else {}
    compiled = model.clone(**how)
    keep = lambda entries: [("transformer_options" not in entry.name) for entry in entries]  # noqa: E731
    set_torch_compile_wrapper(model=compiled, backend="eager", options={"guard_filter_fn": keep})
    close(sampled(compiled, steps=3), sampled(model, steps=3), 1e-6)


def check_attention_overrides_before_and_after_our_own_wrappers():
    theirs = from_unet_loader("model") if loaded() else None
    seen = []

    def override(func, q, k, v, *args, **kwargs):
        seen.append((tuple(q.shape), tuple(k.shape)))
        return func(q, k, v, *args, **kwargs)

    def without_mixing(func, q, k, v, *args, **kwargs):
        return func(q * 0, k, v, *args, **kwargs)

    plain = sampled(with_raxel_sampling(theirs), steps=1)
    before = theirs.clone()
    before.model_options["transformer_options"]["optimized_attention_override"] = override
    after = with_raxel_sampling(theirs).clone()
    after.model_options["transformer_options"]["optimized_attention_override"] = override
    for model in (with_raxel_sampling(before), after):
        seen.clear()
        assert torch.equal(sampled(model, steps=1), plain)
        heads, width = CONFIG.heads, CONFIG.dim // CONFIG.heads
        video, rays, text = ((1, heads, length, width) for length in (3 * 4 * 6, 3 * 2 * 3, 5))
        block = [(video, video), (rays, rays), (video, rays), (rays, video), (video, text)]
        assert seen == block * CONFIG.layers, seen
    if hasattr(after, "set_model_optimized_attention"):
        other = with_raxel_sampling(theirs).clone()
        other.set_model_optimized_attention(optimized_attention)
        assert torch.equal(sampled(other, steps=1), plain)
    after.model_options["transformer_options"]["optimized_attention_override"] = without_mixing
    differ(sampled(after, steps=1), plain)


class DynamicInName(comfy.model_patcher.ModelPatcher):
    """What ComfyUI asks of a patcher with dynamic VRAM, on a machine without a GPU for it."""

    def is_dynamic(self):
        return True

    def get_non_dynamic_delegate(self):
        made = self.clone(disable_dynamic=True)
        DynamicInName.delegates.append(made)
        return made

    delegates: list = []


def dynamic_in_name(name="model", load=loading.load_raxel_patcher):
    kind = comfy.model_patcher.CoreModelPatcher
    comfy.model_patcher.CoreModelPatcher = DynamicInName
    try:
        return load(str(MODELS / f"{name}.safetensors"))
    finally:
        comfy.model_patcher.CoreModelPatcher = kind


def check_a_lora_hook_on_a_condition():
    weights = random_weights()
    factors, merged = low_rank(OUR_LAYERS, weights)
    model = loaded(weights)
    hooks = comfy.hooks.create_hook_lora(peft(factors), 1.0, 0.0)
    expected = sampled(loaded(merged, "merged"))
    close(sampled(model, hooks=hooks), expected, 1e-4)
    if STREAMS_TOLD:
        model = dynamic_in_name()
        DynamicInName.delegates.clear()
        close(sampled(model, hooks=hooks), expected, 1e-4)
        assert DynamicInName.delegates and not DynamicInName.delegates[0].is_dynamic()


# --- dynamic VRAM


def needs_dynamic_vram():
    if not STREAMS_TOLD:
        raise unittest.SkipTest("ComfyUI before 0.33 has no dynamic VRAM")


def check_a_dynamic_patcher_is_given_the_files_tensors_and_can_be_made_anew():
    needs_dynamic_vram()
    weights = {key: value.to(torch.bfloat16) for key, value in random_weights().items()}
    saved(weights)
    expected = sampled(loading.load_raxel_patcher(str(MODELS / "model.safetensors")))
    model = dynamic_in_name()
    assert {p.dtype for p in network_of(model).parameters()} == {torch.bfloat16}, "the file's tensors were converted"
    plain = model.clone(disable_dynamic=True)
    assert type(plain) is comfy.model_patcher.ModelPatcher and plain.model is not model.model
    close(sampled(plain), expected)
    assert not list(network_of(model).buffers()), "buffers would be moved to the GPU for good"
    state, metadata = loading.read_checkpoint(MODELS / "model.safetensors")
    lone = state["video_head.head.weight"]
    lone.untyped_storage()._comfy_tensor_mmap_refs = "a map for reading only"
    copied = comfy.sd.load_diffusion_model_state_dict(
        dict(state), {"dtype": torch.bfloat16}, metadata, disable_dynamic=True
    )
    weights = dict(network_of(copied).named_parameters())
    own = {name for name, tensor in state.items() if weights[name].data_ptr() != tensor.data_ptr()}
    assert own == {"video_head.head.weight"}, own
    raw = [p for m in network_of(model).modules() if list(m.children()) for p in m.parameters(recurse=False)]
    share = sum(p.numel() for p in raw) / sum(p.numel() for p in network_of(model).parameters())
    assert share < 0.01, share  # raw parameters stay on the GPU


def check_comfyuis_dynamic_loading_of_our_layers():
    """ModelPatcherDynamic's own `load` over our network, without the GPU memory it would stream into."""
    needs_dynamic_vram()
    kind = comfy.model_patcher.ModelPatcherDynamic
    weights = {key: value.to(torch.bfloat16) for key, value in random_weights().items()}
    expected = sampled(loaded(weights))
    made = dynamic_in_name()
    model = object.__new__(kind)
    buffers = types.SimpleNamespace(HostBuffer=lambda *sizes: types.SimpleNamespace(size=0))
    library = comfy.model_patcher.comfy_aimdo
    comfy.model_patcher.comfy_aimdo = types.SimpleNamespace(host_buffer=buffers)
    try:
        kind.__init__(model, made.model, made.load_device, made.offload_device)
        model.load(model.load_device)
        net = network_of(model)
        linear = [m for m in net.modules() if isinstance(m, torch.nn.Linear)]
        assert all(m.comfy_cast_weights for m in linear) and len(linear) > 40
        assert all(m.weight.dtype == torch.bfloat16 for m in linear if m.weight.numel() > 2**14)
        assert net.blocks[0].modulation.dtype == torch.float32, "raw parameters take the network's dtype"
        executor = with_raxel_sampling(made)
        executor.partially_load = lambda *args, **how: 0
        executor.patch_model = lambda *args, **how: made.model
        close(sampled(executor), expected)
    finally:
        comfy.model_patcher.comfy_aimdo = library


def check_blocks_are_prefetched_in_order_where_comfyui_offers_it():
    model = loaded()
    plain = sampled(model, steps=1)
    calls, real = [], network.model_prefetch
    if STREAMS_TOLD:
        assert real is not None
    else:
        assert real is None, "ComfyUI 0.8 has no prefetch"

    def make(blocks, device, options):
        calls.append(("queue", len(blocks), str(device), options["prefetch_dynamic_vbars"]))
        return object()

    fake = types.SimpleNamespace(
        make_prefetch_queue=make, prefetch_queue_pop=lambda queue, device, block: calls.append(block)
    )
    network.model_prefetch = fake if STREAMS_TOLD else None
    try:
        assert torch.equal(sampled(model, steps=1), plain)
    finally:
        network.model_prefetch = real
    queue = ("queue", CONFIG.layers, "cpu", False)
    expected = [queue, *network_of(model).blocks, None] if STREAMS_TOLD else []
    assert len(calls) == len(expected) and all(a is b or a == b for a, b in zip(calls, expected, strict=True)), calls


# --- low memory


def capped(model, share):
    """The MODEL on a device that has room for a share of its weights."""
    clone = model.clone()
    whole = clone.partially_load
    room = int(share * clone.model_size())
    clone.partially_load = lambda device, extra_memory=0, **how: whole(device, min(extra_memory, room), **how)
    return clone


def check_caps_on_memory_change_no_bit():
    for dtype in ("fp32", "bf16"):
        for lora in (False, True):
            weights = random_weights()
            expected_model = with_optional_lora(loaded(weights, weight_dtype=dtype), weights, lora)
            expected = sampled(expected_model)
            comfy.model_management.unload_all_models()
            for share in (0.6, 0.02):
                model = capped(with_optional_lora(loaded(weights, weight_dtype=dtype), weights, lora), share)
                casts = counting_casts()
                with casts:
                    found = sampled(model)
                linear = [m for m in network_of(model).modules() if isinstance(m, torch.nn.Linear)]
                held_back = [m for m in linear if hasattr(m, "prev_comfy_cast_weights")]
                assert model.model.model_lowvram and (len(held_back) > 0.9 * len(linear) if share < 0.1 else held_back)
                assert len(held_back) < len(linear) or share < 0.1
                assert casts.count >= 2 * len(held_back)
                tolerance = 0 if not lora or dtype == "fp32" else 0.05  # a LoRA on bf16 is rounded where it is loaded
                close(found, expected, tolerance)
                comfy.model_management.unload_all_models()


def with_optional_lora(model, weights, wanted):
    return with_lora(model, peft(low_rank(WAN_LAYERS, weights)[0])) if wanted else model


class counting_casts:
    def __enter__(self):
        self.count, self.real = 0, comfy.ops.cast_bias_weight

        @functools.wraps(self.real)
        def counted(*args, **kwargs):
            self.count += 1
            return self.real(*args, **kwargs)

        comfy.ops.cast_bias_weight = counted
        return self

    def __exit__(self, *error):
        comfy.ops.cast_bias_weight = self.real


def sparse_checkpoint(path, config, dtype="BF16"):
    """A checkpoint of the true shapes, all zero, that takes no room on the disk; its size in bytes."""
    header, end = {"__metadata__": {"raxel_config": config.to_json(), "raxel_format": "1"}}, 0
    header["__metadata__"][METADATA_KEY] = recipe().to_json()
    for key, shape in expected_shapes(config).items():
        start, end = end, end + 2 * shape.numel()
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path.stat().st_size


def memory(field):
    return 1024 * int(re.search(rf"^{field}:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)[1])


@contextmanager
def private_memory_below(most):
    """AssertionError as soon as this process has `most` bytes more of its own, before it takes the machine's."""
    start, done = memory("RssAnon"), threading.Event()

    def watch():
        while not done.wait(0.01):
            if memory("RssAnon") - start > most:
                return _thread.interrupt_main()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except KeyboardInterrupt:
        raise AssertionError(f"over {most / 1e6:.0f} MB of private memory") from None
    finally:
        done.set()
        watcher.join()


def check_a_40_gb_file_loads_without_its_weights_in_memory():
    if not Path("/proc/self/clear_refs").exists():
        raise unittest.SkipTest("this system does not tell what memory is private")
    path = MODELS / "14b.safetensors"
    largest = 2 * max(shape.numel() for shape in expected_shapes(WAN_14B).values())
    gc.collect()
    try:
        assert sparse_checkpoint(path, WAN_14B) > 40e9
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        private, peak, started = memory("RssAnon"), memory("VmRSS"), time.process_time()
        with private_memory_below(largest):
            model = loading.load_raxel_patcher(str(path))
            seconds = time.process_time() - started
            model.load(model.load_device, full_load=True)  # what ComfyUI does before a run
        grown, highest = memory("RssAnon") - private, memory("VmHWM") - peak
        print(f"40 GB: {seconds:.2f} s of CPU, private {grown / 1e6:.0f} MB, resident {highest / 1e6:.0f} MB at most")
        assert isinstance(model.model, RaxelBaseModel) and len(network_of(model).blocks) == 40
        assert network_of(model).blocks[39].ray_ffn[2].weight.dtype == torch.bfloat16
        assert max(grown, highest) < largest, (grown, highest, largest)
    finally:
        path.unlink(missing_ok=True)


# --- files that are damaged


def check_damaged_files_are_told_in_one_sentence():
    weights = random_weights()
    path = saved(weights, "damaged")
    metadata = {"raxel_config": CONFIG.to_json(), "raxel_format": "1", METADATA_KEY: recipe().to_json()}
    load = lambda: loading.load_raxel_patcher(str(path))  # noqa: E731
    changes = {
        "is missing tensors (1): ray_head.modulation": lambda w: w.pop("ray_head.modulation"),
        "has surplus tensors (1): extra": lambda w: w.update(extra=torch.zeros(1)),
        "has misshapen tensors (1): inter": lambda w: w.update({"blocks.0.ray_inter_gate": torch.zeros(7)}),
        "has non-float tensors (1): blocks.1.modulation": lambda w: w.update(
            {"blocks.1.modulation": torch.zeros(1, 6, CONFIG.dim, dtype=torch.int32)}
        ),
    }
    for words, change in changes.items():
        wrong = dict(weights)
        change(wrong)
        save_file(wrong, path, metadata)
        refused(load, words.replace(": inter", ": blocks.0.ray_inter_gate"))
    whole = saved(weights, "damaged").read_bytes()
    path.write_bytes(whole[:-1000])
    refused(load, "damaged.safetensors is truncated")
    path.write_bytes(struct.pack("<Q", 100_000_000) + whole[8:])
    refused(load, "claims a header of 100000000 bytes")
    length = int.from_bytes(whole[:8], "little")
    twice = b'{"video_modality": ' + json.dumps(json.loads(whole[8 : 8 + length])["video_modality"]).encode() + b", "
    text = twice + whole[9 : 8 + length]
    path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + length :])
    refused(load, "gives 'video_modality' more than once")


def check_a_set_of_shards():
    weights = random_weights()
    expected = sampled(loaded(weights))
    metadata = {METADATA_KEY: recipe().to_json()}
    save_checkpoint(MODELS / "set.safetensors", weights, CONFIG, metadata=metadata, shard_bytes=20_000_000)
    shards = sorted(MODELS.glob("set-*.safetensors"))
    load = lambda: loading.load_raxel_patcher(str(shards[0]))  # noqa: E731
    assert len(shards) > 2 and torch.equal(sampled(load()), expected)
    kept = shards[1].read_bytes()
    shards[1].write_bytes(kept[:-5])
    refused(load, shards[1].name, "is truncated")
    shards[1].write_bytes(shards[2].read_bytes())
    refused(load, "repeats tensors of an earlier shard")
    shards[1].unlink()
    refused(load, "lacks its file", shards[1].name, kind=FileNotFoundError)


def masked_run(model, *, clean, steps):
    """Both streams that stock KSampler makes where the mask keeps one, and how often block 0 projects attention."""
    counted = []
    hook = network_of(model).blocks[0].self_attn.o.register_forward_hook(lambda *_: counted.append(1))
    generator = torch.Generator().manual_seed(5)
    text = [[torch.randn(1, 5, 24, generator=generator), {}]]
    streams = [torch.randn(shape, generator=generator) for shape in (VIDEO, RAYS)]
    masks = [
        torch.full((1, 1, *x.shape[2:]), float(name != clean))
        for name, x in zip(("video", "rays"), streams, strict=True)
    ]
    latent = {"samples": NestedTensor(streams), "noise_mask": NestedTensor(masks)}
    (out,) = stock.KSampler().sample(model, 7, steps, 1.0, "euler", "normal", text, text, latent)
    hook.remove()
    return torch.cat([x.flatten() for x in out["samples"].unbind()]), len(counted)


def check_a_clean_stream_that_reads_nothing_is_computed_once_in_a_run():
    config = replace(CONFIG, reads="one_way")
    path = saved(random_weights(config), "one-way", config)
    model = loading.load_raxel_patcher(str(path))
    remembered = network._memory
    for clean in ("video", "rays"):
        kept, passes = masked_run(model, clean=clean, steps=3)
        network._memory = lambda options: None
        whole, all_passes = masked_run(model, clean=clean, steps=3)
        network._memory = remembered
        assert torch.equal(kept, whole), float((kept - whole).abs().max())
        # each step: both streams within themselves and one reading; kept: the clean one at the first step alone
        assert (passes, all_passes) == (3 + 2 + 2, 9), (passes, all_passes)
    assert network._MEMORIES.get(None) is None  # nothing is held after a run


def check_weights_that_are_not_finite_are_named():
    weights = random_weights()
    weights["blocks.1.ffn.2.bias"][3] = torch.nan
    model = loaded(weights, "nan")
    refused(lambda: sampled(model), "NaN", "blocks.1.ffn.2.bias")


def check_a_warning_does_not_stay_on_a_node_whose_run_has_none():
    sent = []
    page = types.SimpleNamespace(client_id="page", send_progress_text=lambda *given: sent.append(given))
    before, PromptServer.instance = getattr(PromptServer, "instance", None), page
    try:
        for text in ("The path turns too far.", ""):
            show_on_node(types.SimpleNamespace(hidden=types.SimpleNamespace(unique_id="7")), text)
    finally:
        PromptServer.instance = before
    # the page passes over an empty text
    assert sent == [("The path turns too far.", "7", "page"), ("No warnings.", "7", "page")], sent


def check_footage_whose_path_is_linked_is_never_taken_from_the_cache():
    # ComfyUI compares signatures as tuples, in which one and the same NaN is equal to itself
    first, second = ((RaxelPoseFootage.fingerprint_inputs(path=None),) for _ in range(2))
    assert first != second


if __name__ == "__main__":
    report_checks(dict(globals()), REPORT, between=comfy.model_management.unload_all_models)

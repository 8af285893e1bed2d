"""Conversion of Wan's weights: each layout against diffusers' network, exact numbers, and everything that goes wrong."""

from __future__ import annotations

import json
import multiprocessing
import random
import resource
import shutil
import struct
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.model import WAN_14B, RaxelTransformer
from raxel_core.weights import from_wan, initialize_ray_branch, load_checkpoint, read_header, streaming, tensor_file
from raxel_core.weights.conversion import convert_wan, extract_wan
from raxel_core.weights.state_dict import expected_shapes
from tests.wan_files import CONFIG, FP8, diffusers_name, is_matrix, random_wan, save_comfyui, save_shards, scaled_fp8
from tests.weights.conversion_process import convert_and_measure, convert_slowly, convert_without_disk, open_and_measure

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def official():
    return random_wan()


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(2)
    return {
        "video": torch.randn(1, 16, 3, 4, 6, generator=generator),
        "rays": torch.randn(1, 16, 3, 2, 4, generator=generator),
        "sigma": torch.full((1, 3), 0.125),
        "text": torch.randn(1, 7, CONFIG.text_dim, generator=generator),
    }


def wan_network(weights):
    """diffusers' network with official weights, named by diffusers' own converter."""
    from diffusers import WanTransformer3DModel
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    network = WanTransformer3DModel(
        num_attention_heads=CONFIG.heads,
        attention_head_dim=CONFIG.head_dim,
        text_dim=CONFIG.text_dim,
        freq_dim=CONFIG.freq_dim,
        ffn_dim=CONFIG.ffn_dim,
        num_layers=CONFIG.layers,
    )
    network.load_state_dict(convert_wan_transformer_to_diffusers(dict(weights)), strict=True)
    return network.eval()


def rounded(weights, dtype, kept=lambda key: False):
    return {key: value if kept(key) else value.to(dtype) for key, value in weights.items()}


def dequantized(weights):
    """What a scaled fp8 file stands for, worked out from its own tensors in double precision."""
    out = {}
    for key, value in weights.items():
        if value.dtype == FP8 and value.numel():
            scale = weights[key.replace(".weight", ".scale_weight")]
            out[key] = (value.double() * scale.double()).float()
        elif "scale" not in key:
            out[key] = value.float()
    return out


def layouts(official):
    """Layout -> (write it into a folder and return the source, the float32 weights that it stands for)."""
    scaled = scaled_fp8(official)
    newer = {
        key.replace("scale_weight", "weight_scale"): value.reshape(()) if key.endswith("scale_weight") else value
        for key, value in scaled.items()
        if key != "scaled_fp8" and not key.endswith("scale_input")
    }
    plain = rounded(official, FP8, kept=lambda key: not is_matrix(key))

    def save_diffusers(folder):
        network = wan_network(official)
        (folder / "wan").mkdir()
        (folder / "wan" / "model_index.json").write_text("{}")
        network.save_pretrained(folder / "wan" / "transformer", max_shard_size="1MB")
        return folder / "wan"

    def single(weights, **options):
        return lambda folder: save_comfyui(folder / "wan.safetensors", weights, **options)

    return {
        "official": (lambda folder: save_shards(folder / "wan", official), official),
        "diffusers": (save_diffusers, official),
        "comfyui fp16": (single(rounded(official, torch.float16), prefix=""), rounded(official, torch.float16)),
        "comfyui bf16": (single(rounded(official, torch.bfloat16)), rounded(official, torch.bfloat16)),
        "comfyui fp8": (single(plain), plain),
        "comfyui scaled fp8": (single(scaled), dequantized(scaled)),
        "comfyui scaled fp8, newer": (single(newer, prefix=""), dequantized(scaled)),
    }


LAYOUTS = ["official", "diffusers", "comfyui fp16", "comfyui bf16", "comfyui fp8", "comfyui scaled fp8"]
LAYOUTS += ["comfyui scaled fp8, newer"]


# --- what comes out


@torch.no_grad()
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_converted_file_is_wan(name, official, batch, tmp_path):
    save, weights = layouts(official)[name]
    weights = {key: value.float() for key, value in weights.items()}
    converted = convert_wan(save(tmp_path), tmp_path / "raxel.safetensors", dtype=torch.float32, metadata={"note": "x"})
    loaded = load_checkpoint(converted.path)
    assert loaded.config == CONFIG and loaded.metadata == {"note": "x"}
    expected = wan_network(weights)(batch["video"], 1000 * batch["sigma"][:, 0], batch["text"], return_dict=False)[0]
    velocity = loaded.model(batch["video"], batch["rays"], batch["sigma"], batch["sigma"], text=batch["text"])[0]
    assert expected.std() > 0.3
    assert (velocity - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("name", ["official", "diffusers"])
def test_the_file_holds_what_the_pure_functions_give_bit_by_bit(name, official, tmp_path):
    source = layouts(official)[name][0](tmp_path)
    converted = convert_wan(source, tmp_path / "raxel.safetensors")
    expected = initialize_ray_branch(from_wan(official), CONFIG)
    written = load_file(converted.path)
    assert converted.dtype == torch.float32 and written.keys() == expected.keys()
    assert all(torch.equal(written[key], value) for key, value in expected.items())
    assert not any(written[key].any() for key in written if key.endswith(("_gate", "_modality")))


@pytest.mark.parametrize("shard_bytes", [None, 1_500_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_there_and_back_is_the_identity_bit_by_bit(dtype, shard_bytes, official, tmp_path):
    source = save_comfyui(tmp_path / "wan.safetensors", rounded(official, dtype))
    there = convert_wan(source, tmp_path / "raxel.safetensors", shard_bytes=shard_bytes)
    back = extract_wan(there.path, tmp_path / "back.safetensors")
    written = load_file(back.path)
    assert there.dtype == back.dtype == dtype and written.keys() == official.keys()
    assert all(
        torch.equal(written[key].view(torch.uint8), official[key].to(dtype).view(torch.uint8)) for key in official
    )
    assert "raxel_config" not in read_header(back.path).metadata


def test_shards_are_of_the_size_asked_and_load_as_one(official, tmp_path):
    source = save_shards(tmp_path / "wan", official)
    one = convert_wan(source, tmp_path / "one.safetensors")
    several = convert_wan(source, tmp_path / "set.safetensors", shard_bytes=4_000_000)
    shards = sorted(tmp_path.glob("set-*.safetensors"))
    assert several.path.name == "set.safetensors.index.json" and len(shards) == 3
    assert all(shard.stat().st_size < 4_000_000 + 20_000 for shard in shards)
    whole = load_checkpoint(one.path).model.state_dict()
    state = load_checkpoint(several.path).model.state_dict()
    assert all(torch.equal(whole[key], state[key]) for key in whole)


def test_scaled_fp8_is_exact_to_numbers_worked_by_hand(official, tmp_path):
    # In e4m3fn the bytes 0x38, 0x3C, 0xC1, 0x7E and 0x01 are 1, 1.5, -2.25, 448 and 2**-9; the scale is 0.375.
    # bfloat16 keeps 8 bits: -0.84375 = -27/32 and 0.5625 fit; 448 * 0.375 = 168 fits; 2**-9 * 0.375 = 3 * 2**-12 fits.
    weights = scaled_fp8(official)
    key = "blocks.0.self_attn.q"
    weights[f"{key}.weight"].view(torch.uint8)[0, :5] = torch.tensor([0x38, 0x3C, 0xC1, 0x7E, 0x01], dtype=torch.uint8)
    weights[f"{key}.scale_weight"] = torch.tensor(0.375)
    # A scale that no short format holds: 1.5 * 0.1 = 0.15 is 0x3E1A in bfloat16 (0.150390625), rounded once.
    weights["blocks.1.ffn.0.weight"].view(torch.uint8)[0, 0] = 0x3C
    weights["blocks.1.ffn.0.scale_weight"] = torch.tensor([0.1])
    source = save_comfyui(tmp_path / "wan.safetensors", weights)
    converted = convert_wan(source, tmp_path / "raxel.safetensors")
    written = load_file(converted.path)
    assert converted.dtype == torch.bfloat16 and "scaled fp8" in converted.layout
    assert written[f"{key}.weight"][0, :5].tolist() == [0.375, 0.5625, -0.84375, 168.0, 3 * 2.0**-12]
    assert written["blocks.1.ffn.0.weight"][0, 0].item() == 0.150390625
    assert torch.equal(written["blocks.1.ray_ffn.0.weight"], written["blocks.1.ffn.0.weight"])


def test_plain_fp8_is_a_cast(official, tmp_path):
    weights = rounded(official, FP8)
    weights["blocks.0.ffn.0.weight"].view(torch.uint8)[0, :2] = torch.tensor([0x3C, 0xFE], dtype=torch.uint8)
    converted = convert_wan(save_comfyui(tmp_path / "w.safetensors", weights), tmp_path / "raxel.safetensors")
    written = load_file(converted.path)
    assert written["blocks.0.ffn.0.weight"][0, :2].tolist() == [1.5, -448.0]
    assert all(torch.equal(written[key], value.bfloat16()) for key, value in from_wan(weights).items())


def test_diffusers_converter_and_the_tests_own_names_agree(official):
    # The names used for bad input below are those of diffusers.
    assert {diffusers_name(key) for key in official} == set(wan_network(official).state_dict())


def test_progress_counts_every_tensor(official, tmp_path):
    seen = []
    source = save_shards(tmp_path / "wan", official)
    converted = convert_wan(source, tmp_path / "r.safetensors", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, converted.tensors) for number in range(1, converted.tensors + 1)]
    assert converted.tensors == len(expected_shapes(CONFIG))


# --- wrong models


def without_values(keys, channels=None):
    return {key: torch.zeros(channels or (1,)) for key in keys}


def widened(official, channels):
    patch = official["patch_embedding.weight"]
    return official | {"patch_embedding.weight": patch.new_zeros(patch.shape[0], channels, *patch.shape[2:])}


WRONG = {
    "Wan I2V": lambda wan: wan | without_values(["img_emb.proj.0.weight", "blocks.0.cross_attn.k_img.weight"]),
    "Wan VACE": lambda wan: wan | without_values(["vace_blocks.0.before_proj.weight", "vace_patch_embedding.weight"]),
    "Wan Fun-Camera": lambda wan: wan | without_values(["control_adapter.conv.weight"]),
    "Wan Animate": lambda wan: wan | without_values(["face_adapter.fuser_blocks.0.k_norm.weight"]),
    "Wan S2V": lambda wan: wan | without_values(["casual_audio_encoder.encoder.conv2.conv.weight"]),
    "Wan with RayPE": lambda wan: wan | without_values(["blocks.0.self_attn.plucker_pe.alpha_q"]),
    "RayPE weights": lambda wan: without_values(["blocks.0.self_attn.plucker_pe.alpha_q"]),
    "Wan 2.2 5B": lambda wan: widened(wan, 48) | {"head.head.bias": torch.zeros(4 * 48)},
    "a Wan Fun-Control model": lambda wan: widened(wan, 48),
    "Wan I2V or a Wan Fun-InP model": lambda wan: widened(wan, 36),
    "another Wan model": lambda wan: widened(wan, 20),
    "LTX-Video": lambda wan: without_values(["transformer_blocks.0.attn1.to_q.weight", "adaln_single.linear.weight"]),
    "a LoRA": lambda wan: without_values(
        ["diffusion_model.blocks.0.self_attn.q.lora_A.weight", "diffusion_model.blocks.0.self_attn.q.lora_B.weight"]
    ),
    "a LoRA (kohya)": lambda wan: without_values(["lora_unet_blocks_0_self_attn_q.lora_down.weight"]),
    "a Wan VAE": lambda wan: without_values(["decoder.head.0.gamma", "encoder.conv1.weight"]),
    "an architecture unknown here": lambda wan: without_values(["something.weight"]),
    "an empty file": lambda wan: {},
}


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_is_named(name, prefix, official, tmp_path):
    source = save_comfyui(tmp_path / "wrong.safetensors", WRONG[name](official), prefix=prefix)
    expected = {"Wan with RayPE": "a Wan model with RayPE", "a LoRA (kohya)": "a LoRA"}.get(name, name)
    with pytest.raises(ValueError, match=f"wrong.safetensors is not Wan 2.1 T2V: it looks like {expected}"):
        convert_wan(source, tmp_path / "raxel.safetensors")


def test_diffusers_image_model_and_other_surplus_keys_are_named(official, tmp_path):
    weights = {diffusers_name(key): value for key, value in official.items()}
    image = weights | without_values(["condition_embedder.image_embedder.norm1.weight"])
    with pytest.raises(ValueError, match="it looks like Wan I2V, 1 of its keys are not"):
        convert_wan(save_comfyui(tmp_path / "a.safetensors", image, prefix=""), tmp_path / "raxel.safetensors")
    other = official | without_values(["blocks.0.cam_encoder.weight"])
    with pytest.raises(ValueError, match=r"1 of its keys are not Wan 2.1 T2V's \(blocks.0.cam_encoder.weight\)"):
        convert_wan(save_comfyui(tmp_path / "b.safetensors", other), tmp_path / "raxel.safetensors")


def test_each_direction_names_the_others_input(official, tmp_path):
    source = save_comfyui(tmp_path / "wan.safetensors", official)
    with pytest.raises(ValueError, match="is not a raxel checkpoint: it looks like plain Wan"):
        extract_wan(source, tmp_path / "back.safetensors")
    raxel = convert_wan(source, tmp_path / "raxel.safetensors").path
    with pytest.raises(ValueError, match="raxel.safetensors is a raxel checkpoint already"):
        convert_wan(raxel, tmp_path / "twice.safetensors")
    from raxel_core.weights import save_checkpoint

    config = replace(CONFIG, text_dim=None)
    silent = save_checkpoint(tmp_path / "silent.safetensors", RaxelTransformer(config), config)
    with pytest.raises(ValueError, match="silent.safetensors has no text layers"):
        extract_wan(silent, tmp_path / "back.safetensors")


# --- damaged files


def assert_refused(source, target, match, error=ValueError, **options):
    """The conversion is refused with one sentence, and leaves nothing."""
    before = sorted(target.parent.iterdir())
    with pytest.raises(error, match=match) as caught:
        convert_wan(source, target, **options)
    assert "\n" not in str(caught.value)
    assert sorted(target.parent.iterdir()) == before


@pytest.fixture
def shards(official, tmp_path):
    return save_shards(tmp_path / "wan", official)


@pytest.fixture
def target(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "raxel.safetensors"


def test_a_truncated_shard(shards, target):
    second = shards / "diffusion_pytorch_model-00002-of-00003.safetensors"
    data = second.read_bytes()
    second.write_bytes(data[:-100])
    assert_refused(shards, target, r"diffusion_pytorch_model-00002-of-00003.safetensors is truncated: .* ends at byte")
    second.write_bytes(data[:1000])
    assert_refused(shards, target, "00002-of-00003.safetensors is truncated: its header takes")


def test_a_missing_shard(shards, target):
    (shards / "diffusion_pytorch_model-00003-of-00003.safetensors").unlink()
    assert_refused(shards, target, "names diffusion_pytorch_model-00003-of-00003.safetensors", FileNotFoundError)


def test_one_shard_alone(shards, target):
    one = shards / "diffusion_pytorch_model-00001-of-00003.safetensors"
    assert_refused(one, target, r"00001-of-00003.safetensors is one shard of a set; give the folder or the index")


def test_an_index_that_names_a_file_outside(shards, target, official):
    index = shards / "diffusion_pytorch_model.safetensors.index.json"
    save_file({"a": torch.zeros(1)}, shards.parent / "outside.safetensors")
    for name in ("../outside.safetensors", str(shards.parent / "outside.safetensors"), "..\\outside.safetensors"):
        index.write_text(json.dumps({"weight_map": dict.fromkeys(official, name)}))
        assert_refused(shards, target, "which is not a .safetensors file beside it")


def test_headers_that_are_too_large_not_json_or_repeat_a_name(tmp_path, target):
    source = tmp_path / "wan.safetensors"
    with source.open("wb") as file:  # sparse: claims and has a header of 100 MB
        file.write(struct.pack("<Q", 100_000_000))
        file.truncate(100_000_008)
    assert_refused(source, target, "claims a header of 100000000 bytes, over the limit of 16000000")
    source.write_bytes(struct.pack("<Q", 5) + b"{nope")
    assert_refused(source, target, "the header of wan.safetensors is not JSON")
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    text = f'{{"patch_embedding.bias":{entry},"patch_embedding.bias":{entry}}}'.encode()
    source.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    assert_refused(source, target, "the header of wan.safetensors gives 'patch_embedding.bias' more than once")


def test_a_tensor_in_two_shards(shards, target, official):
    first = shards / "diffusion_pytorch_model-00001-of-00003.safetensors"
    twice = sorted(official)[1]
    save_file(load_file(first) | {twice: official[twice].contiguous()}, first)
    assert_refused(shards, target, f"00002-of-00003.safetensors repeats tensors of an earlier shard: {twice}")


def test_one_tensor_under_two_names(official, tmp_path, target):
    key = "blocks.0.norm3.bias"
    weights = {f"model.diffusion_model.{key}": value for key, value in official.items()} | {key: official[key].clone()}
    source = save_comfyui(tmp_path / "wan.safetensors", weights, prefix="")
    assert_refused(source, target, f"wan.safetensors holds {key} twice, as (model.diffusion_model.)?{key} and as")


def test_offsets_that_overlap(tmp_path, target, official):
    source = save_comfyui(tmp_path / "wan.safetensors", official)
    data = source.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    keys = [key for key in header if key.endswith("blocks.0.norm3.bias") or key.endswith("blocks.1.norm3.bias")]
    header[keys[1]]["data_offsets"] = header[keys[0]]["data_offsets"]
    text = json.dumps(header).encode()
    source.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    assert_refused(source, target, "wan.safetensors cannot be read as safetensors")


@pytest.mark.parametrize("dtype", [torch.int8, torch.float64, torch.uint8])
def test_a_dtype_that_is_no_weight(dtype, official, tmp_path, target):
    weights = official | {"blocks.0.ffn.0.weight": official["blocks.0.ffn.0.weight"].to(dtype)}
    source = save_comfyui(tmp_path / "wan.safetensors", weights)
    assert_refused(
        source, target, r"blocks.0.ffn.0.weight has dtype (I8|F64|U8), expected one of F32, F16, BF16, F8_E4M3"
    )


def test_scales_that_are_no_scales(official, tmp_path, target):
    weights = scaled_fp8(official)
    key = "blocks.0.self_attn.q.scale_weight"
    source = save_comfyui(tmp_path / "blocks.safetensors", weights | {key: torch.ones(256, 8)})
    assert_refused(source, target, r"q.scale_weight is \[256, 8\] in F32, expected one number")
    source = save_comfyui(tmp_path / "no8.safetensors", weights | {key.replace("scale_", ""): torch.zeros(256, 256)})
    assert_refused(source, target, r"q.scale_weight scales .*q.weight, which has dtype F32 and not fp8")
    source = save_comfyui(tmp_path / "nan.safetensors", weights | {key: torch.tensor(float("nan"))})
    assert_refused(source, target, "blocks.0.self_attn.q.weight holds NaN or infinity")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_found_wherever_they_are(value, official, tmp_path, target):
    for key in ("blocks.1.ffn.2.weight", "head.modulation"):
        weights = {name: tensor.clone() for name, tensor in official.items()}
        weights[key].flatten()[-1] = value
        source = save_comfyui(tmp_path / "wan.safetensors", weights)
        assert_refused(source, target, f"wan.safetensors: model.diffusion_model.{key} holds NaN or infinity")
    weights = rounded(official, FP8)
    weights["blocks.0.ffn.0.weight"].view(torch.uint8)[3, 4] = 0x7F
    assert_refused(save_comfyui(source, weights), target, "blocks.0.ffn.0.weight holds NaN or infinity")


def test_values_that_a_dtype_does_not_hold(official, tmp_path, target):
    weights = official | {"head.modulation": official["head.modulation"] + 70_000}
    source = save_comfyui(tmp_path / "wan.safetensors", weights)
    assert_refused(source, target, r"head.modulation holds values too large for torch.float16", dtype=torch.float16)
    assert convert_wan(source, target, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_missing_and_misshapen_tensors(official, tmp_path, target):
    less = {key: value for key, value in official.items() if key != "blocks.1.ffn.0.bias"}
    source = save_comfyui(tmp_path / "wan.safetensors", less)
    assert_refused(source, target, r"wan.safetensors does not hold .*: 1 missing \(blocks.1.ffn.0.bias\)")
    for key, shape in {
        "blocks.1.ffn.0.bias": (3,),
        "blocks.0.ffn.0.weight": (),
        "patch_embedding.weight": (256, 16),
    }.items():
        save_comfyui(source, official | {key: torch.zeros(shape)})
        assert_refused(source, target, r"wan.safetensors(: .* has shape|.*is not a whole Wan)")
    save_comfyui(source, official | {"blocks.987654321.norm3.bias": torch.zeros(256)})
    assert_refused(source, target, "layers must be a whole number from 1 to 10000, not 987654322")
    save_comfyui(source, official | {"blocks.9876.norm3.bias": torch.zeros(256)})
    assert_refused(source, target, "claims 9877 layers")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".pkl"])
def test_files_that_run_code_are_refused(suffix, official, tmp_path, target):
    source = tmp_path / f"wan{suffix}"
    torch.save(official, source)
    assert_refused(source, target, "is refused: .* files can run code when opened; use .safetensors")
    (tmp_path / "folder").mkdir()
    source.rename(tmp_path / "folder" / source.name)
    assert_refused(tmp_path / "folder", target, f"holds wan{suffix}, which can run code when opened")


def test_a_published_configuration_tells_the_heads(official, shards, target):
    (shards / "config.json").write_text(json.dumps({"num_heads": 4, "eps": 1e-5}))
    assert convert_wan(shards, target).config == replace(CONFIG, heads=4, eps=1e-5)
    target.unlink()
    (shards / "config.json").write_text(json.dumps({"num_heads": 3}))
    assert_refused(shards, target, "config.json gives 3 heads, which do not divide its width of 256")


def test_the_target(official, shards, target, tmp_path):
    assert_refused(shards, target.with_suffix(".ckpt"), "must end in .safetensors")
    assert_refused(
        shards,
        shards / "diffusion_pytorch_model.safetensors",
        "is the input, so the result cannot be",
        shard_bytes=10**6,
    )
    assert_refused(shards, target, "weights are written in float32, bfloat16 or float16", dtype=torch.float64)
    assert_refused(shards, target, "metadata raxel_config is reserved", metadata={"raxel_config": "x"})
    source = save_comfyui(tmp_path / "wan.safetensors", official)
    assert_refused(source, source, "is the input, so the result cannot be")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        convert_wan(source, tmp_path / "none" / "raxel.safetensors")


# --- interrupted runs


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_is_told_before_anything_is_written(shards, target, monkeypatch):
    monkeypatch.setattr(streaming.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    assert_refused(shards, target, r"cannot write .*: 0.01 GB are needed, 0.00 GB are free there", OSError)


def test_a_disk_that_fills_up_leaves_no_half_file_and_the_run_goes_on(shards, target, tmp_path, monkeypatch):
    expected = convert_wan(shards, tmp_path / "raxel.safetensors").path.read_bytes()
    target.write_bytes(b"the old one")
    monkeypatch.setattr(streaming, "UNSYNCED_BYTES", 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(expected) // 2, hard))
    try:
        with pytest.raises(OSError, match=r"cannot write .*raxel.safetensors: File too large; what is done is kept"):
            convert_wan(shards, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == b"the old one"
    assert [path.suffix for path in target.parent.iterdir() if path != target] == [".partial"]
    counted = []
    read = streaming._resume
    monkeypatch.setattr(streaming, "_resume", lambda out, file: counted.append(read(out, file)) or counted[-1])
    convert_wan(shards, target)
    assert counted[0] > 10  # tensors that were not written anew
    assert contents(target.parent) == {"raxel.safetensors": expected}


def test_partials_of_another_source_are_not_taken_up(official, shards, target, monkeypatch):
    monkeypatch.setattr(streaming, "UNSYNCED_BYTES", 0)

    def stop(done, total):
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_wan(shards, target, progress=stop)
    assert [path.suffix for path in target.parent.iterdir()] == [".partial"]
    other = {key: value + 1 for key, value in official.items()}
    save_shards(shards, other)
    convert_wan(shards, target)
    assert torch.equal(load_file(target)["blocks.0.ray_modulation"], other["blocks.0.modulation"])
    assert os_names(target.parent) == ["raxel.safetensors"]


def os_names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_two_runs_to_one_target_do_not_mix(shards, target):
    def again(done, total):
        if done == 5:
            with pytest.raises(OSError, match="another run is writing it"):
                convert_wan(shards, target)

    convert_wan(shards, target, progress=again)
    assert os_names(target.parent) == ["raxel.safetensors"]


@pytest.fixture(scope="module")
def forks():
    """Processes that start quickly: forked from one that has imported torch and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.weights.conversion_process"])
    return context


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(multiprocessing.Process, "kill"), reason="no SIGKILL here")
def test_killed_at_twenty_moments_it_completes_to_the_same_bytes(official, shards, tmp_path, forks, monkeypatch):
    draw = random.Random(0)
    monkeypatch.setattr(streaming, "UNSYNCED_BYTES", 400_000)
    whole = {size: contents_after(shards, tmp_path / f"whole{size}", size) for size in (None, 4_000_000)}
    killed = 0
    for trial in range(20):
        shard_bytes = (None, 4_000_000)[trial % 2]
        folder = tmp_path / f"trial{trial}"
        folder.mkdir()
        run = forks.Process(
            target=convert_slowly, args=(str(shards), str(folder / "raxel.safetensors"), 400_000, shard_bytes)
        )
        run.start()
        while run.is_alive() and not list(folder.iterdir()):
            run.join(0.002)
        run.join(draw.uniform(0, 0.5))
        run.kill()
        run.join()
        killed += run.exitcode == -9
        final = folder / ("raxel.safetensors" if shard_bytes is None else "raxel.safetensors.index.json")
        if final.exists():
            load_checkpoint(final)
        convert_wan(shards, folder / "raxel.safetensors", shard_bytes=shard_bytes)
        assert contents(folder) == whole[shard_bytes], f"trial {trial}"
        shutil.rmtree(folder)
    assert killed >= 10


def contents_after(source, folder, shard_bytes):
    folder.mkdir()
    convert_wan(source, folder / "raxel.safetensors", shard_bytes=shard_bytes)
    return contents(folder)


def test_memory_does_not_grow_with_the_model(tmp_path, forks):
    # Two layers of the 1.3B's shapes in float32, all zero in a sparse file: 0.4 GB become 0.6 GB.
    config = replace(CONFIG, dim=1536, ffn_dim=8960, heads=12, text_dim=4096, freq_dim=256)
    source, target = sparse_wan(tmp_path / "wan.safetensors", config, "F32"), tmp_path / "raxel.safetensors"
    run = forks.Process(target=convert_and_measure, args=(str(source), str(target), str(tmp_path / "report")))
    run.start()
    run.join()
    growth = int((tmp_path / "report").read_text())
    size = target.stat().st_size
    source.unlink()
    target.unlink()
    assert size > 550e6
    assert growth < 150e6, f"{growth / 1e6:.0f} MB more were resident"


def test_a_40_gb_checkpoint_opens_without_its_weights(tmp_path, forks):
    path = tmp_path / "raxel.safetensors"
    meta = {
        key: torch.empty(shape, dtype=torch.bfloat16, device="meta") for key, shape in expected_shapes(WAN_14B).items()
    }
    header = tensor_file.header_bytes(meta, {"raxel_config": WAN_14B.to_json(), "raxel_format": "1"})
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + sum(map(streaming._nbytes, meta.values())))
    assert path.stat().st_size > 40e9
    run = forks.Process(target=open_and_measure, args=(str(path), str(tmp_path / "report")))
    run.start()
    run.join()
    figures = json.loads((tmp_path / "report").read_text())
    print(figures)
    assert figures["layers"] == 40 and min(figures["seconds"]) < 0.5
    assert figures["private_growth"] < 50e6  # far below the largest tensor, time_projection's 315 MB


@pytest.mark.by_hand
def test_the_14b_converts_within_2_gb(tmp_path, forks):
    # 28.6 GB become 40.3 GB. The values are zero and what is written is turned into holes, so no disk is needed.
    source, target = sparse_wan(tmp_path / "wan.safetensors", WAN_14B, "BF16"), tmp_path / "raxel.safetensors"
    assert source.stat().st_size > 28.5e9
    run = forks.Process(target=convert_without_disk, args=(str(source), str(target), str(tmp_path / "report")))
    run.start()
    run.join()
    figures = json.loads((tmp_path / "report").read_text())
    print(figures)
    assert target.stat().st_size > 40e9
    assert figures["peak_resident"] < 2e9


def sparse_wan(path, config, dtype):
    """A Wan file of true shapes whose values are all zero and take no room on the disk."""
    from raxel_core.weights import to_wan

    header, end = {}, 0
    for key, shape in to_wan(expected_shapes(config)).items():
        start, end = end, end + shape.numel() * {"F32": 4, "BF16": 2}[dtype]
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path

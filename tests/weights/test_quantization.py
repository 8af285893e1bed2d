"""Checkpoints with 8-bit weights: numbers by hand, ComfyUI's own quantiser and loaders, and what is refused."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.cli import main
from raxel_core.weights import load_checkpoint, read_header
from raxel_core.weights.conversion import convert_wan, extract_wan, quantize_checkpoint
from raxel_core.weights.integer_weights import hadamard
from raxel_core.weights.quantization import codes, dequantized, format_key, scale_for
from tests.random_raxel import (
    ROOTS,
    random_batch,
    random_raxel,
    relative_error,
    save_random_raxel,
    velocities,
    velocities_in_comfy,
)
from tests.wan_files import random_wan, save_comfyui, scaled_fp8

FP8 = torch.float8_e4m3fn
LINEAR = "blocks.1.ray_ffn.0.weight"
# Of the velocities of a random network of two layers whose weights are off by 2.7% (measured: 3.2% and 3.5%).
TOLERANCE = 0.05


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A bfloat16 checkpoint and its quantised form."""
    folder = tmp_path_factory.mktemp("quantization")
    plain = save_random_raxel(folder / "plain.safetensors", torch.bfloat16)
    return plain, quantize_checkpoint(plain, folder / "fp8.safetensors").path


def test_numbers_worked_by_hand():
    """The largest value 3 over 448 is 0.0067, and the next power of two 2^-7. In units of it the values are 384, 64,
    38.4, -0.064 and 16.64. E4M3 has eight numbers from each power of two to the next: 384 and 64 are among them, 38.4
    lies between 36 and 40, 0.064 between 0.0625 and 0.0703, 16.64 between 16 and 18.
    """
    values = torch.tensor([3.0, 0.5, 0.3, -0.0005, 0.13])
    scale = scale_for(3.0)
    assert scale == 2.0**-7
    found = codes(values, scale)
    assert found.float().tolist() == [384.0, 64.0, 40.0, -0.0625, 16.0]
    assert dequantized(found, torch.tensor(scale)).tolist() == [3.0, 0.5, 0.3125, -(2.0**-11), 0.125]


@pytest.mark.parametrize(
    ("largest", "scale"), [(448.0, 1.0), (448.5, 2.0), (224.0, 0.5), (0.0, 1.0), (1e-40, 2.0**-126), (3e38, 2.0**120)]
)
def test_the_scale_is_the_least_power_of_two_that_fits(largest, scale):
    assert scale_for(largest) == scale
    assert codes(torch.tensor([largest]), scale).float().isfinite().all()


def test_a_file_holds_what_the_layout_says(files):
    plain, quantized = load_file(files[0]), load_file(files[1])
    linear = [key for key, value in quantized.items() if value.dtype == FP8]
    pattern = r"blocks\.[01]\.((self|cross)_attn\.[qkvo]|(ray_)?ffn\.[02])\.weight"
    assert len(linear) == 24 and all(re.fullmatch(pattern, key) for key in linear)
    companions = {key.removesuffix("weight") + "comfy_quant" for key in linear} | {f"{key}_scale" for key in linear}
    assert set(quantized) == set(plain) | companions
    assert all(torch.equal(quantized[key], value) for key, value in plain.items() if key not in linear)
    weight, scale = plain[LINEAR].float(), quantized[f"{LINEAR}_scale"]
    assert scale.dtype == torch.float32 and scale.shape == ()
    assert weight.abs().max() / 448 <= scale < weight.abs().max() / 224
    assert torch.equal(quantized[LINEAR].view(torch.uint8), (weight / scale).to(FP8).view(torch.uint8))
    layer = json.loads(bytes(quantized[LINEAR.replace("weight", "comfy_quant")].tolist()))
    assert layer == {"format": "float8_e4m3fn", "full_precision_matrix_mult": True}
    header = read_header(files[1])
    assert header.metadata == read_header(files[0]).metadata | {"format": "pt"}
    assert all(info.start % torch.empty(0, dtype=quantized[key].dtype).element_size() == 0
               for key, info in header.tensors.items())  # fmt: skip


def test_our_loader_dequantises_exactly(files):
    stored = load_file(files[1])
    for dtype in (None, torch.float32):
        loaded = load_checkpoint(files[1], dtype=dtype)
        assert {p.dtype for p in loaded.model.parameters()} == {dtype or torch.bfloat16}
        for key, value in loaded.model.state_dict().items():
            scale = stored.get(f"{key}_scale", torch.tensor(1.0))
            assert torch.equal(value.double(), stored[key].double() * scale.double()), key
        found = velocities(loaded.model, random_batch())
        if dtype is None:
            in_bfloat16 = found
    assert all(relative_error(in_bfloat16[stream], value) < 0.02 for stream, value in found.items())


@pytest.mark.parametrize("root", ROOTS)
def test_comfyui_computes_with_our_integers(root, files, tmp_path):
    """ComfyUI 0.33 rounds activations to integers as well, a row at a time: both loaders within 2% of the weights."""
    if root is None or "int8_tensorwise" not in (root / "comfy" / "quant_ops.py").read_text(encoding="utf-8"):
        pytest.skip("this ComfyUI has no integers of 8 bits")
    target = quantize_checkpoint(files[0], tmp_path / "int8.safetensors", quantization="int8_convrot").path
    batch, weight = random_batch(), random_raxel().state_dict()[LINEAR]
    given = batch | {"peer.linear": weight, "scale.linear": torch.tensor(scale_for(float(weight.abs().max())))}
    found = velocities_in_comfy(root, tmp_path, given, target)
    ours = velocities(load_checkpoint(target, dtype=torch.float32).model, batch)
    for stream, expected in ours.items():
        for loader in ("own", "stock"):
            assert relative_error(found[f"{loader}.{stream}"], expected) < 0.05, (loader, stream)


@pytest.mark.parametrize("root", ROOTS)
def test_comfyui_computes_with_the_same_weights(root, files, tmp_path):
    batch, weight = random_batch(), random_raxel().state_dict()[LINEAR]
    scale = torch.tensor(scale_for(float(weight.abs().max())))
    given = batch | {"peer.linear": weight, "scale.linear": scale}
    found = velocities_in_comfy(root, tmp_path, given, files[1])
    assert torch.equal(found["codes.linear"], codes(weight, float(scale)).view(torch.uint8))
    ours = velocities(load_checkpoint(files[1], dtype=torch.float32).model, batch)
    original = velocities(load_checkpoint(files[0], dtype=torch.float32).model, batch)
    for stream, expected in ours.items():
        assert 0.005 < relative_error(expected, original[stream]) < TOLERANCE
        for loader in ("own", "stock"):
            assert relative_error(found[f"{loader}.{stream}"], expected) < 1e-5, (loader, stream)


def test_wans_weights_are_quantised_on_their_way(tmp_path):
    official = random_wan()
    source = save_comfyui(tmp_path / "wan.safetensors", {key: value.bfloat16() for key, value in official.items()})
    assert main(["convert", str(source), str(tmp_path / "fp8.safetensors"), "--quantize", "fp8_scaled"]) == 0
    in_two = convert_wan(source, tmp_path / "plain.safetensors")
    quantize_checkpoint(in_two.path, tmp_path / "later.safetensors")
    at_once, later = load_file(tmp_path / "fp8.safetensors"), load_file(tmp_path / "later.safetensors")
    assert at_once.keys() == later.keys()
    assert all(torch.equal(value.view(torch.uint8), later[key].view(torch.uint8)) for key, value in at_once.items()
               if value.ndim)  # fmt: skip
    extract_wan(tmp_path / "fp8.safetensors", tmp_path / "back.safetensors", dtype=torch.float32)
    back = load_file(tmp_path / "back.safetensors")
    weight = official["blocks.0.self_attn.q.weight"].bfloat16().float()
    scale = 2.0 ** torch.ceil(torch.log2(weight.abs().max() / 448))
    assert torch.equal(back["blocks.0.self_attn.q.weight"], (weight / scale).to(FP8).float() * scale)
    assert torch.equal(back["head.head.weight"], official["head.head.weight"].bfloat16().float())


def test_integers_are_turned_back_by_hand():
    """H4 / 2 has rows (1 1 1 -1), (1 1 -1 1), (1 -1 1 1), (-1 1 1 1), halved: codes (2, 0, 0, 0) are (1, 1, 1, -1)."""
    stored = torch.tensor([[2, 0, 0, 0], [0, 4, 0, 0]], dtype=torch.int8)
    found = dequantized(stored, torch.tensor([[1.0], [0.5]]), 4)
    assert found.tolist() == [[1.0, 1.0, 1.0, -1.0], [1.0, 1.0, -1.0, 1.0]]
    assert dequantized(stored, torch.tensor(0.5)).tolist() == [[1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]]
    for size in (4, 16, 256):
        torch.testing.assert_close(hadamard(size) @ hadamard(size), torch.eye(size))
        assert torch.equal(hadamard(size), hadamard(size).mT)


def as_int8(weights, keys):
    """The `keys` of `weights` as ComfyUI's int8_convrot stores them: a scale a row of channels turned in groups."""
    stored = dict(weights)
    for key in keys:
        group = next(size for size in (256, 64, 16, 4) if weights[key].shape[1] % size == 0)
        said = {"format": "int8_tensorwise", "convrot": True, "convrot_groupsize": group}
        turned = (weights[key].float().unflatten(1, (-1, group)) @ hadamard(group)).flatten(1)
        scale = turned.abs().amax(1, keepdim=True) / 127.0
        stored[key] = (turned / scale).round().to(torch.int8)
        stored[f"{key}_scale"] = scale
        stored[format_key(key)] = torch.frombuffer(bytearray(json.dumps(said).encode()), dtype=torch.uint8)
    return stored


def test_int8_convrot_is_read_into_our_model_and_out_of_wans(files, tmp_path):
    """Within half a step of each row's scale, spread by the turning; ComfyUI's own entries on attention do not disturb."""
    plain, metadata = load_file(files[0]), read_header(files[0]).metadata
    keys = [key for key, value in load_file(files[1]).items() if value.dtype == FP8]
    attention = {"blocks.0.self_attn.comfy_attention.config": torch.zeros(2, dtype=torch.uint8)}
    save_file(as_int8(plain, keys) | attention, tmp_path / "int8.safetensors", metadata)
    loaded = load_checkpoint(tmp_path / "int8.safetensors", dtype=torch.float32).model.state_dict()
    for key, value in plain.items():
        error = (loaded[key] - value.float()).abs().max() / value.float().abs().max()
        assert float(error) < (0.02 if key in keys else 1e-6), key
    wan = {key: value.bfloat16() for key, value in random_wan().items()}
    chosen = [key for key in wan if re.fullmatch(r"blocks\.\d+\.(self_attn\.[qkvo]|ffn\.[02])\.weight", key)]
    source = save_comfyui(tmp_path / "wan.safetensors", as_int8(wan, chosen) | attention)
    converted = convert_wan(source, tmp_path / "raxel.safetensors", dtype=torch.float32)
    assert converted.layout.endswith("int8")
    back = load_file(extract_wan(converted.path, tmp_path / "back.safetensors").path)
    worst = max(float((back[key] - wan[key].float()).abs().max() / wan[key].float().abs().max()) for key in wan)
    assert 1e-4 < worst < 0.02


def test_our_integers_are_comfyuis(files, tmp_path):
    """The same codes and scales as the layout asks for, written in pieces; our own loader reads them back."""
    target = tmp_path / "int8.safetensors"
    assert main(["convert", str(files[0]), str(target), "--quantize", "int8_convrot"]) == 0
    plain, stored = load_file(files[0]), load_file(target)
    keys = [key for key, value in stored.items() if value.dtype == torch.int8]
    assert len(keys) == 24
    for key, value in as_int8(plain, keys).items():
        if key.endswith("_scale"):
            torch.testing.assert_close(stored[key], value)
        elif key in keys:
            assert int((stored[key].int() - value.int()).abs().max()) <= 1
    said = json.loads(bytes(stored[format_key(LINEAR)].tolist()))
    assert said == {"format": "int8_tensorwise", "convrot": True, "convrot_groupsize": 256}
    ours = velocities(load_checkpoint(target, dtype=torch.float32).model, random_batch())
    original = velocities(load_checkpoint(files[0], dtype=torch.float32).model, random_batch())
    assert all(1e-4 < relative_error(value, original[stream]) < TOLERANCE for stream, value in ours.items())


def test_integers_that_can_not_be_read_are_named(files, tmp_path):
    plain, metadata, path = load_file(files[0]), read_header(files[0]).metadata, tmp_path / "broken.safetensors"
    good = as_int8(plain, [LINEAR])
    rows = len(plain[LINEAR])
    for said, message in (
        ({"format": "asym_w4a8_int8"}, "is stored as 'asym_w4a8_int8', which is not read"),
        ({"format": "int8_tensorwise", "convrot": True, "convrot_groupsize": 48}, "in groups of 48 channels"),
    ):
        config = torch.frombuffer(bytearray(json.dumps(said).encode()), dtype=torch.uint8)
        save_file(good | {format_key(LINEAR): config}, path, metadata)
        with pytest.raises(ValueError, match=message):
            load_checkpoint(path)
    save_file(good | {f"{LINEAR}_scale": torch.ones(rows, 4)}, path, metadata)
    with pytest.raises(ValueError, match="weights scaled by blocks are not read"):
        load_checkpoint(path)


def test_shards_and_a_stop_half_way(files, tmp_path):
    """Stopped after each third of the tensors, the next run goes on; all bytes are those of one run."""
    target, stops = tmp_path / "fp8.safetensors", iter([30, 60, 10**6])

    class Stopped(Exception):
        pass

    def stop_at(limit):
        def progress(done, total):
            if done >= limit:
                raise Stopped

        return progress

    for limit in stops:
        try:
            quantize_checkpoint(files[0], target, shard_bytes=300_000, progress=stop_at(limit))
        except Stopped:
            assert not target.exists() and not list(tmp_path.glob("fp8*.safetensors"))
    stored = load_file(files[1])
    shards = sorted(tmp_path.glob("fp8-*.safetensors"))
    assert len(shards) > 3 and not list(tmp_path.glob(".*"))
    merged = {key: value for shard in shards for key, value in load_file(shard).items()}
    assert merged.keys() == stored.keys()
    assert all(torch.equal(value.reshape(-1).view(torch.uint8), stored[key].reshape(-1).view(torch.uint8))
               for key, value in merged.items())  # fmt: skip
    whole = load_checkpoint(files[1]).model.state_dict()
    loaded = load_checkpoint(tmp_path / "fp8.safetensors.index.json").model.state_dict()
    assert all(torch.equal(value, whole[key]) for key, value in loaded.items())


def test_what_is_refused(files, tmp_path, capsys):
    target = tmp_path / "out.safetensors"

    def refusal(*arguments):
        assert main(["convert", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "fp8.safetensors holds 8-bit weights already" in refusal(files[1], target, "--quantize", "fp8_scaled")
    wan = save_comfyui(tmp_path / "wan.safetensors", scaled_fp8(random_wan()))
    assert "wan.safetensors holds 8-bit weights already" in refusal(wan, target, "--quantize", "fp8_scaled")
    assert "--quantize belongs to a raxel checkpoint" in refusal(files[0], target, "--quantize", "fp8_scaled",
                                                                 "--to", "wan")  # fmt: skip
    assert "--unit belongs to a raxel checkpoint made of" in refusal(files[0], target, "--quantize", "fp8_scaled",
                                                                 "--unit", "metre")  # fmt: skip
    assert "plain.safetensors is a raxel checkpoint already" in refusal(files[0], target)
    with pytest.raises(ValueError, match="weights are quantised as fp8_scaled or int8_convrot, not 'int4'"):
        quantize_checkpoint(files[0], target, quantization="int4")
    assert not list(tmp_path.glob("*out*"))


def test_broken_scales_are_named(files, tmp_path):
    stored, metadata = load_file(files[1]), read_header(files[1]).metadata
    scale, path = f"{LINEAR}_scale", tmp_path / "broken.safetensors"
    for changed, message in (
        ({scale: torch.ones(4)}, rf"{scale} is \[4\] in F32, expected one number"),
        ({LINEAR: torch.zeros(160, 256)}, rf"{scale} scales {LINEAR}, which has dtype F32 and not fp8 or int8"),
    ):
        save_file(stored | changed, path, metadata)
        with pytest.raises(ValueError, match=message):
            load_checkpoint(path)
    save_file({key: value for key, value in stored.items() if key != LINEAR}, path, metadata)
    with pytest.raises(ValueError, match=rf"{scale} scales {LINEAR}, which is missing"):
        load_checkpoint(path)

"""The release of RayPE made single files: every bit and key, memory, resuming, and what is refused."""

from __future__ import annotations

import json
import multiprocessing
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.cli import main
from raxel_core.model import WAN_14B, RaxelConfig
from raxel_core.raype.checkpoint import load_raype, same_expert
from raxel_core.raype.conversion import extract_raype, join_expert
from raxel_core.raype.encoding import RayPE, RayPEConfig
from raxel_core.weights import save_checkpoint, streaming, tensor_file
from raxel_core.weights.conversion import TensorSource
from raxel_core.weights.state_dict import expected_shapes, to_wan
from tests.raype.raype_states import raype_state
from tests.wan_files import CONFIG, random_wan, save_shards
from tests.weights.conversion_process import join_and_measure, join_without_disk

# Wan 2.2's image-to-video experts read noise, mask and image: 16 + 4 + 16 channels.
IMAGE_CHANNELS = 36
PE = "self_attn.plucker_pe."
MARKS = {"blocks.0.self_attn.norm_q.weight", "blocks.0.norm3.weight"}


def image_to_video(weights, config):
    """`weights` of a text-to-video model with the patch embedding of an image-to-video one."""
    return weights | {"patch_embedding.weight": torch.randn(config.dim, IMAGE_CHANNELS, 1, 2, 2) * 0.1}


def random_raype(config, hidden=64):
    model, generator = RayPE(RayPEConfig(config.dim, config.layers, hidden, config.dim // 4)), torch.Generator()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator.manual_seed(parameter.numel())))
    return raype_state(model)


@pytest.fixture(scope="module")
def state():
    """A small expert as released: bfloat16, in Wan's names."""
    weights = image_to_video(random_wan(), CONFIG) | random_raype(CONFIG)
    return {key: value.detach().to(torch.bfloat16) for key, value in weights.items()}


@pytest.fixture
def release(state, tmp_path):
    """The release's folder; beside the expert that was trained, the other one, whose projections are 0."""
    low = {key: value * (0 if PE in key and ".2.weight" in key else 1) for key, value in state.items()}
    save_shards(tmp_path / "SCoPE" / "low_noise_model", low)
    save_shards(tmp_path / "SCoPE" / "high_noise_model", state)
    (tmp_path / "SCoPE" / "model_index.json").write_text("{}")
    return tmp_path / "SCoPE"


def same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == value.dtype and torch.equal(found[key], value), key


@pytest.mark.parametrize(
    "source", ["", "high_noise_model", "high_noise_model/diffusion_pytorch_model.safetensors.index.json"]
)
def test_the_whole_expert_becomes_one_file_bit_by_bit(release, state, tmp_path, source):
    done = join_expert(release / source, tmp_path / "expert.safetensors")
    assert (done.path, done.config.dim, done.config.layers) == (tmp_path / "expert.safetensors", 256, 2)
    assert (done.dtype, done.tensors) == (torch.bfloat16, len(state))
    same(load_file(done.path), state)
    assert not list(tmp_path.glob(".*"))


def test_raype_alone_is_a_small_file_that_knows_its_expert(release, state, tmp_path):
    done = extract_raype(release, tmp_path / "raype.safetensors")
    same(load_file(done.path), {key: value for key, value in state.items() if PE in key or key in MARKS})
    loaded, whole = load_raype(done.path), load_raype(release / "high_noise_model")
    same(loaded.model.state_dict(), whole.model.state_dict())
    assert same_expert(loaded, state)
    stock = {key: value + 0.1 for key, value in state.items()}
    assert not same_expert(loaded, stock)


def test_a_prefix_old_alphas_and_mixed_dtypes(state, tmp_path):
    mixed = {key: value.float() if "norm" in key else value for key, value in state.items()}
    mixed = {key: value.reshape(()) if "alpha" in key else value for key, value in mixed.items()}
    save_file({f"model.diffusion_model.{key}": value for key, value in mixed.items()}, tmp_path / "in.safetensors")
    expected = {key: value.reshape(1) if "alpha" in key else value for key, value in mixed.items()}
    same(load_file(join_expert(tmp_path / "in.safetensors", tmp_path / "a.safetensors").path), expected)
    half = join_expert(
        tmp_path / "in.safetensors", tmp_path / "b.safetensors", dtype=torch.float16, shard_bytes=500_000
    )
    assert half.path.name == "b.safetensors.index.json" and len(list(tmp_path.glob("b-0*"))) > 2
    same(
        load_raype(half.path).model.state_dict(), {k.replace(PE, ""): v.half() for k, v in expected.items() if PE in k}
    )


def test_a_killed_run_goes_on_where_it_was(release, state, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "UNSYNCED_BYTES", 0)
    target, reported = tmp_path / "expert.safetensors", []

    def stop(done, total):
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        join_expert(release, target, progress=stop)
    assert not target.exists()
    (partial,) = tmp_path.glob(".expert.safetensors.*.partial")
    written = partial.read_bytes()
    monkeypatch.setattr(
        "raxel_core.weights.conversion.TensorSource.pieces",
        lambda self, stored, dtype, read=TensorSource.pieces: reported.append(stored.key) or read(self, stored, dtype),
    )
    join_expert(release, target)
    assert len(reported) == len(state) - 30 and target.read_bytes().startswith(written)
    same(load_file(target), state)


def test_the_blocks_weights_in_8_bits_and_raype_as_it_is(release, state, tmp_path):
    done = join_expert(release, tmp_path / "expert.safetensors", quantization="fp8_scaled")
    found, key = load_file(done.path), "blocks.1.ffn.0.weight"
    assert found[key].dtype == torch.float8_e4m3fn and done.dtype == torch.bfloat16
    again = found[key].float() * found[f"{key}_scale"]
    # E4M3 has 3 bits after the leading one: half a unit in the last place is 1/16 of a value.
    assert ((again - state[key].float()).abs() <= state[key].float().abs() / 16 + 1e-3 * again.abs().max()).all()
    same(load_raype(done.path).model.state_dict(), load_raype(release / "high_noise_model").model.state_dict())
    kept = {name for name in state if PE in name or "norm" in name or "embedding" in name or "head" in name}
    same({name: found[name] for name in kept}, {name: state[name] for name in kept})


def refusal(capsys, *arguments):
    """The one sentence that a refused conversion says."""
    assert main(["convert", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("raxel: ") and err.count("\n") == 1
    return err


def test_the_command(release, tmp_path, capsys):
    assert main(["convert", str(release), str(tmp_path / "e.safetensors"), "--to", "expert", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["layout"], body["layers"], body["dim"]) == ("Wan's names with RayPE", 2, 256)
    assert main(["convert", str(release), str(tmp_path / "r.safetensors"), "--to", "raype"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"2 layers of 256 \(Wan's names with RayPE\), 26 tensors in bfloat16\n", out)
    assert err == f"raxel: wrote {tmp_path / 'r.safetensors'}\n"


def test_what_is_no_trained_expert_is_refused_in_one_sentence(release, state, tmp_path, capsys):
    target = tmp_path / "x.safetensors"
    both = (("--to", "expert"), ("--to", "raype"))
    for to in both:
        assert "stock Wan and needs no RayPE" in refusal(capsys, release / "low_noise_model", target, *to)
        shard = release / "high_noise_model" / "diffusion_pytorch_model-00001-of-00003.safetensors"
        assert "is one shard of a set; give the folder or the index" in refusal(capsys, shard, target, *to)
        assert "--unit belongs to a raxel checkpoint" in refusal(capsys, release, target, *to, "--unit", "metre")
    assert "--quantize belongs to" in refusal(capsys, release, target, *both[1], "--quantize", "fp8_scaled")
    plain = {key: value for key, value in state.items() if PE not in key}
    for name, weights, said in (
        ("stock", plain, r"stock\.safetensors holds no RayPE weights .* looks like plain Wan"),
        ("cut", {k: v for k, v in state.items() if k != "head.modulation"}, r"lacks head\.modulation \(1 tensors\)"),
        ("odd", state | {"control_adapter.weight": torch.ones(1)}, r"also holds control_adapter\.weight \(1 tensors\)"),
        (
            "alone",
            {k: v for k, v in state.items() if PE in k},
            r"not a whole Wan model with RayPE: it lacks blocks\.0\.",
        ),
        ("broken", state | {"head.modulation": state["head.modulation"] * torch.nan}, r"head\.modulation holds NaN"),
        (
            "torn",
            {k: v for k, v in state.items() if not k.endswith("1.self_attn.plucker_pe.alpha_q")},
            r"lack blocks\.1",
        ),
    ):
        save_file({key: value.clone() for key, value in weights.items()}, tmp_path / f"{name}.safetensors")
        said_of = refusal(capsys, tmp_path / f"{name}.safetensors", target, "--to", "expert")
        assert re.search(said, said_of), said_of
    model = {key: torch.zeros(shape) for key, shape in expected_shapes(CONFIG).items()}
    save_checkpoint(tmp_path / "raxel.safetensors", model, CONFIG)
    assert "holds no RayPE weights" in refusal(capsys, tmp_path / "raxel.safetensors", target, "--to", "raype")
    own = tmp_path / "cut.safetensors"
    assert "is the input, so the result cannot be written there" in refusal(capsys, own, own, "--to", "expert")
    assert not target.exists() and not list(tmp_path.glob(".*"))


def sparse_release(folder, config, gate_hidden):
    """A sharded expert of true names and shapes in bfloat16, all holes but for a few values that are not 0."""
    folder.mkdir()
    shapes = dict(to_wan(expected_shapes(config)))
    shapes["patch_embedding.weight"] = torch.Size((config.dim, IMAGE_CHANNELS, 1, 2, 2))
    with torch.device("meta"):
        rays = raype_state(RayPE(RayPEConfig(config.dim, config.layers, 64, gate_hidden)))
    shapes |= {key: value.shape for key, value in rays.items()}
    meta = {key: torch.empty(shape, dtype=torch.bfloat16, device="meta") for key, shape in shapes.items()}
    keys, weight_map = list(meta), {}
    for number, part in enumerate((keys[::2], keys[1::2]), start=1):
        name = f"diffusion_pytorch_model-{number:05d}-of-00002.safetensors"
        header = tensor_file.header_bytes({key: meta[key] for key in part}, {})
        with (folder / name).open("wb") as file:
            file.write(header)
            for key in part:
                if PE in key and key.endswith((".2.weight", "alpha_q", "alpha_k")):
                    file.write(b"\x80\x3f")  # 1.0
                    file.seek(streaming._nbytes(meta[key]) - 2, 1)
                else:
                    file.seek(streaming._nbytes(meta[key]), 1)
            file.truncate(file.tell())
        weight_map |= dict.fromkeys(part, name)
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


@pytest.fixture(scope="module")
def forks():
    """Fresh processes for each run, whose peak memory is their own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.weights.conversion_process"])
    return context


def test_the_releases_tensors_are_all_there(tmp_path):
    # The authors' audit of their release counts 1,575 tensors in an expert: 1,095 of Wan and 12 in each of 40 blocks.
    small = RaxelConfig(dim=256, ffn_dim=16, layers=40, heads=2, text_dim=24, freq_dim=32)
    folder = sparse_release(tmp_path / "high_noise_model", small, 8)
    assert join_expert(folder, tmp_path / "e.safetensors").tensors == 1575
    assert extract_raype(folder, tmp_path / "r.safetensors").tensors == 482


def test_memory_does_not_grow_with_the_expert(tmp_path, forks):
    # Two blocks of a third of the 14B's width: 0.35 GB.
    config = replace(WAN_14B, dim=1792, ffn_dim=8960, heads=14, layers=3)
    folder = sparse_release(tmp_path / "high_noise_model", config, config.dim // 4)
    run = forks.Process(
        target=join_and_measure, args=(str(folder), str(tmp_path / "e.safetensors"), str(tmp_path / "r"))
    )
    run.start()
    run.join()
    size = (tmp_path / "e.safetensors").stat().st_size
    (tmp_path / "e.safetensors").unlink()
    assert size > 400e6
    assert int((tmp_path / "r").read_text()) < 150e6


@pytest.mark.by_hand
def test_the_release_becomes_one_file_within_2_gb(tmp_path, forks):
    # The true sizes: 29.2 GB. The values are zero and what is written is turned into holes, so no disk is needed.
    folder = sparse_release(tmp_path / "high_noise_model", WAN_14B, 1280)
    run = forks.Process(
        target=join_without_disk, args=(str(folder), str(tmp_path / "e.safetensors"), str(tmp_path / "r"))
    )
    run.start()
    run.join()
    figures = json.loads((tmp_path / "r").read_text())
    print(figures)
    assert (tmp_path / "e.safetensors").stat().st_size > 29e9
    assert figures["peak_resident"] < 2e9

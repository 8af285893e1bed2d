"""Checkpoints: round trips, atomic writing, and every way a file can be wrong said in one sentence."""

from __future__ import annotations

import errno
import gc
import json
import os
import struct
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.model import RaxelConfig, RaxelTransformer, initialize
from raxel_core.weights import checkpoint, load_checkpoint, read_header, save_checkpoint, tensor_file
from raxel_core.weights.checkpoint import config_from_json, map_checkpoint

CONFIG = RaxelConfig(dim=24, ffn_dim=40, layers=2, heads=2, in_channels=3, patch=(1, 1, 1), text_dim=None, freq_dim=8)


def changed_config(**changes) -> str:
    """CONFIG's JSON with values that no `RaxelConfig` takes."""
    return json.dumps({**json.loads(CONFIG.to_json()), **changes})


@pytest.fixture(scope="module")
def model():
    model = RaxelTransformer(CONFIG)
    initialize(model, gate=0.5, generator=torch.Generator().manual_seed(0))
    return model


@pytest.fixture
def saved(model, tmp_path):
    return save_checkpoint(tmp_path / "model.safetensors", model, CONFIG, metadata={"raxel_recipe": '{"a": 1}'})


def same(state, other):
    return state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state)


def write(path, header, data=b"", *, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def tensors_named(*keys):
    return {key: torch.zeros(2) for key in keys}


# --- round trips


def test_one_file_comes_back_whole(model, saved):
    loaded = load_checkpoint(saved)
    assert same(model.state_dict(), loaded.model.state_dict())
    assert loaded.config == CONFIG and loaded.model.config == CONFIG
    assert loaded.metadata == {"raxel_recipe": '{"a": 1}'}
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())


def test_a_set_of_shards_comes_back_whole(model, tmp_path):
    index = save_checkpoint(tmp_path / "big.safetensors", model, CONFIG, metadata={"note": "x"}, shard_bytes=20_000)
    shards = sorted(tmp_path.glob("big-*-of-*.safetensors"))
    assert index.name == "big.safetensors.index.json" and len(shards) > 2
    assert all(path.stat().st_size < 20_000 + 8_000 for path in shards)
    for path in (index, tmp_path):
        loaded = load_checkpoint(path)
        assert same(model.state_dict(), loaded.model.state_dict()) and loaded.metadata == {"note": "x"}


def test_dtype_converts_every_weight(model, saved):
    loaded = load_checkpoint(saved, dtype=torch.bfloat16)
    assert {value.dtype for value in loaded.model.state_dict().values()} == {torch.bfloat16}
    assert loaded.model.dtype == torch.bfloat16 and load_checkpoint(saved).model.dtype == torch.float32


def test_a_state_dict_saves_like_its_model(model, saved, tmp_path):
    other = save_checkpoint(
        tmp_path / "other.safetensors", model.state_dict(), CONFIG, metadata={"raxel_recipe": '{"a": 1}'}
    )
    assert read_header(saved) == read_header(other) and same(load_file(saved), load_file(other))


def test_header_tells_all_without_tensors(model, saved):
    header = read_header(saved)
    assert {key: info.shape for key, info in header.tensors.items()} == {
        k: tuple(v.shape) for k, v in model.state_dict().items()
    }
    assert {info.dtype for info in header.tensors.values()} == {"F32"}
    assert config_from_json(header.metadata["raxel_config"]) == CONFIG and header.metadata["raxel_format"] == "1"


def test_weights_stay_mapped_from_the_file(saved):
    # Assigned from the map, not copied: no tensor owns memory of its own size in the heap.
    weight = load_checkpoint(saved).model.patch_embedding.weight
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc/self/maps on this system")
    ranges = [line.split()[0].split("-") for line in maps.read_text().splitlines() if line.endswith(str(saved))]
    assert any(int(start, 16) <= weight.data_ptr() < int(end, 16) for start, end in ranges)


def test_blocks_share_nothing(saved):
    # A hook, a buffer or a weight of one block must not be another's, though all are made from one.
    first, second = load_checkpoint(saved).model.blocks
    for (name, a), (other, b) in zip(first.named_modules(), second.named_modules(), strict=True):
        assert name == other and a is not b and type(a) is type(b)
        kept = {key for key, value in vars(a).items() if isinstance(value, dict | set)}
        assert {"_parameters", "_modules", "_buffers", "_forward_hooks"} <= kept
        assert not [key for key in kept if vars(a)[key] is vars(b)[key]]
        assert not {id(p) for p in a.parameters()} & {id(p) for p in b.parameters()}
    fresh = RaxelTransformer(CONFIG)
    assert [n for n, _ in fresh.named_modules()] == [n for n, _ in load_checkpoint(saved).model.named_modules()]


def test_garbage_is_collected_again_after_opening(saved, tmp_path):
    assert gc.isenabled()
    load_checkpoint(saved)
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none.safetensors")
    saved.write_bytes(saved.read_bytes()[:-1])
    with pytest.raises(ValueError, match="truncated"):
        load_checkpoint(saved)
    assert gc.isenabled()


# --- writing


def full_disk(file, tensor):
    """A tensor's bytes in a file, of which the disk takes the first half."""
    file.write(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_failed_save_leaves_the_old_file_and_no_other(model, saved, monkeypatch):
    before = saved.read_bytes()

    monkeypatch.setattr(tensor_file, "write_all", full_disk)
    with pytest.raises(OSError, match=r"^cannot write .*model.safetensors: No space left on device$"):
        save_checkpoint(saved, model, CONFIG)
    assert saved.read_bytes() == before and os.listdir(saved.parent) == [saved.name]


def test_a_save_is_on_the_disk_before_it_is_in_place(model, saved, monkeypatch):
    calls = []
    fsync, replace_file = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append(("replace", Path(a).parent)), replace_file(a, b)))
    save_checkpoint(saved, model, CONFIG)
    assert calls[:2] == ["fsync", ("replace", saved.parent)]


def test_wrong_names_and_reserved_metadata_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match=r"must end in .safetensors, not 'model.pt'"):
        save_checkpoint(tmp_path / "model.pt", model, CONFIG)
    with pytest.raises(ValueError, match="metadata raxel_config is reserved"):
        save_checkpoint(tmp_path / "m.safetensors", model, CONFIG, metadata={"raxel_config": "x"})


# --- files that are not a whole raxel checkpoint


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".pkl", ".bin", ".pth", ".PT"])
def test_pickles_are_refused_with_the_reason(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"anything")
    with pytest.raises(ValueError, match="can run code when opened"):
        load_checkpoint(path)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="holds 0 checkpoints"):
        load_checkpoint(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"notes.txt is not a .safetensors file"):
        load_checkpoint(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated: 0 bytes"),
        (b"\x10\x00\x00", "truncated: 3 bytes"),
        (struct.pack("<Q", 1000) + b"{}", "truncated: its header takes 1000 bytes, the file has 10"),
        (struct.pack("<Q", 1 << 62) + b"{}", "claims a header of 4611686018427387904 bytes"),
        (struct.pack("<Q", 100_000_000) + b"{}", "claims a header of 100000000 bytes, over the limit of 16000000"),
        (struct.pack("<Q", 2) + b"[]", "is a JSON object, got list"),
        (struct.pack("<Q", 4) + b"\xff\xfe{}", "not JSON"),
        (struct.pack("<Q", 60_000) + b"[" * 60_000, "not JSON"),
        (b"PK\x03\x04" + bytes(40), "zip archive"),
        (b"GGUF" + bytes(40), "GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_broken_starts_are_refused(tmp_path, data, reason):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=reason):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 800]}}, "truncated: 'a' ends at byte 800 of 8"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, "the offsets"),
        ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, "does not describe 'a' as a tensor"),
        ({"a": {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]}}, "does not describe 'a' as a tensor"),
        ({"a": {"dtype": "F32", "shape": [9] * 10_000, "data_offsets": [0, 8]}}, "does not describe 'a' as a tensor"),
        ({"a": {"dtype": "F32", "shape": [2**62, 0, 4], "data_offsets": [0, 0]}}, "does not describe 'a' as a tensor"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 10**3000]}}, "does not describe 'a' as a tensor"),
        ({"a": 3}, "does not describe 'a' as a tensor"),
        ({"__metadata__": {"x": 1}}, "must map names to strings"),
        ({"__metadata__": [1]}, "must map names to strings"),
    ],
)
def test_hostile_headers_are_refused(tmp_path, header, reason):
    with pytest.raises(ValueError, match=reason):
        load_checkpoint(write(tmp_path / "hostile.safetensors", header, bytes(8)))


def test_a_header_over_the_limit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_HEADER_BYTES", 50)
    path = write(tmp_path / "long.safetensors", b"{" + b" " * 100 + b"}")
    with pytest.raises(ValueError, match="claims a header of 102 bytes, over the limit of 50"):
        load_checkpoint(path)


def test_overlapping_tensors_are_refused(saved):
    # Offsets that lie inside the file but describe the same bytes twice: left to safetensors' own check.
    size = struct.unpack("<Q", saved.read_bytes()[:8])[0]
    header = json.loads(saved.read_bytes()[8 : 8 + size])
    names = [key for key, entry in header.items() if key.endswith(".k.bias")]
    header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]
    write(saved, header, saved.read_bytes()[8 + size :])
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        load_checkpoint(saved)


def test_missing_and_surplus_tensors_are_named_five_at_most(saved):
    state, metadata = load_file(saved), read_header(saved).metadata
    gone = sorted(state)[:7]
    changed = {key: value for key, value in state.items() if key not in gone} | {"zzz.extra": torch.zeros(1)}
    save_file(changed, saved, metadata=metadata)
    with pytest.raises(ValueError) as error:
        load_checkpoint(saved)
    message = str(error.value)
    assert f"7 missing ({', '.join(gone[:5])})" in message and "1 surplus (zzz.extra)" in message
    assert gone[5] not in message


def test_a_tensor_of_another_shape_is_named(saved):
    state, metadata = load_file(saved), read_header(saved).metadata
    save_file(state | {"video_modality": torch.zeros(25)}, saved, metadata=metadata)
    with pytest.raises(ValueError, match=r"video_modality has shape \(25,\), its configuration expects \(24,\)"):
        load_checkpoint(saved)


def test_a_dtype_that_is_no_weight_is_named(saved):
    state, metadata = load_file(saved), read_header(saved).metadata
    save_file(state | {"video_modality": torch.zeros(24, dtype=torch.int32)}, saved, metadata=metadata)
    with pytest.raises(ValueError, match="video_modality has dtype I32, a weight's is F32, F16, BF16"):
        load_checkpoint(saved)


def test_one_name_twice_in_a_header_is_refused(saved):
    data = saved.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    entry = json.dumps(json.loads(data[8 : 8 + size])["video_modality"]).encode()
    text = b'{"video_modality": ' + entry + b", " + data[9 : 8 + size]
    saved.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    with pytest.raises(ValueError, match="gives 'video_modality' more than once"):
        load_checkpoint(saved)


def test_a_doubled_name_among_many_costs_no_more_than_reading_them(tmp_path):
    """20,000 names, the last of them twice; each name held against all others took forty times as long as reading."""
    entry = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    names = [f"t{number:06d}" for number in range(20_000)]
    spent = []
    for more in ([], names[-1:]):
        text = "{" + ",".join(f'"{name}":{entry}' for name in [*names, *more]) + "}"
        path = write(tmp_path / f"{len(more)}.safetensors", text.encode(), b"")
        started = time.process_time()
        if more:
            with pytest.raises(ValueError, match="gives 't019999' more than once"):
                read_header(path)
        else:
            assert len(read_header(path).tensors) == 20_000
        spent.append(time.process_time() - started)
    assert spent[1] < 8 * spent[0]


@pytest.mark.parametrize(
    ("name", "dtype"), [("a\x1b[2J", "F32"), ("\u202ea", "F32"), ("a" * 501, "F32"), ("a", "F32\n"), ("a", "f" * 500)]
)
def test_names_that_are_no_text_never_leave_the_header(tmp_path, name, dtype):
    header = {name: {"dtype": dtype, "shape": [2], "data_offsets": [0, 8]}}
    with pytest.raises(ValueError, match="does not describe") as caught:
        read_header(write(tmp_path / "odd.safetensors", header, bytes(8)))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"raxel_format": "2"}, "format 2, this version reads 1"),
        ({"raxel_config": "nonsense"}, "not JSON"),
        ({"raxel_config": "[" * 100_000}, "the model configuration is not JSON"),
        ({"raxel_config": '{"dim": ' + "9" * 5000 + "}"}, "the model configuration lacks ffn_dim, layers, heads"),
        ({"raxel_config": changed_config(text_dim=10**18)}, "text_dim must be a whole number from 1 to 1000000"),
        ({"raxel_config": '{"dim": 24}'}, "lacks ffn_dim, layers, heads"),
        ({"raxel_config": changed_config(layers=10**6)}, "layers must be a whole number from 1 to 10000, not 1000000"),
        ({"raxel_config": changed_config(layers=9999)}, "claims 9999 layers but holds"),
        ({"raxel_config": changed_config(dim=10**12)}, "dim must be a whole number from 1 to 1000000"),
        (
            {"raxel_config": changed_config().replace('"dim": 24', f'"dim": {"9" * 5000}')},
            "dim must be a whole number from 1 to 1000000, not inf",
        ),
        ({"raxel_config": changed_config(patch=[1, 10**9, 1])}, "patch must be a whole number from 1 to 64"),
        ({"raxel_config": CONFIG.to_json()[:-1] + ', "dim": 24}'}, "model configuration gives 'dim' more than once"),
        ({"raxel_config": changed_config(eps=float("nan"))}, "the model configuration holds NaN"),
        ({"raxel_config": CONFIG.to_json().replace('"dim": 24', '"dim": 25')}, "dim 25 does not divide into 2 heads"),
        ({"raxel_config": CONFIG.to_json().replace('"eps"', '"wrong": 1, "eps"')}, "unknown fields: 'wrong'"),
    ],
)
def test_bad_metadata_is_refused(saved, change, reason):
    save_file(load_file(saved), saved, metadata=read_header(saved).metadata | change)
    with pytest.raises(ValueError, match=reason):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("looks", "keys"),
    [
        ("plain Wan", ("patch_embedding.weight", "blocks.0.self_attn.q.weight", "head.modulation")),
        (
            "Wan I2V",
            (
                "model.diffusion_model.blocks.0.self_attn.q.weight",
                "model.diffusion_model.head.modulation",
                "model.diffusion_model.img_emb.proj.0.weight",
            ),
        ),
        ("diffusers' naming", ("blocks.0.attn1.to_q.weight", "condition_embedder.time_embedder.linear_1.weight")),
        ("LTX-Video", ("transformer_blocks.0.attn1.to_q.weight", "adaln_single.linear.weight")),
        (
            "a Stable Diffusion UNet",
            ("model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.middle_block.0.x"),
        ),
        ("Flux", ("double_blocks.0.img_attn.qkv.weight",)),
        ("a LoRA", ("diffusion_model.blocks.0.self_attn.q.lora_A.weight",)),
        ("a LoRA", ("lora_unet_blocks_0_self_attn_q.lora_down.weight",)),
        ("a Wan VAE", ("decoder.head.0.gamma", "encoder.conv1.weight")),
        ("a raxel model without its configuration", ("video_head.modulation", "ray_head.modulation")),
        ("unknown here (its first key is 'foo.weight')", ("foo.weight",)),
        ("an empty file", ()),
    ],
)
def test_a_wrong_checkpoint_is_named(tmp_path, looks, keys):
    save_file(tensors_named(*keys), tmp_path / "wrong.safetensors")
    with pytest.raises(ValueError) as error:
        load_checkpoint(tmp_path / "wrong.safetensors")
    assert "is not a raxel checkpoint" in str(error.value) and looks in str(error.value)


# --- sets of shards


@pytest.fixture
def index(model, tmp_path):
    return save_checkpoint(tmp_path / "set.safetensors", model, CONFIG, shard_bytes=20_000)


def edit(index, change):
    content = json.loads(index.read_text())
    change(content["weight_map"])
    index.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "/etc/passwd.safetensors", "a\\b.safetensors", "x.pt", "..", 7]
)
def test_an_index_reaches_no_file_outside_its_folder(index, name):
    (index.parent.parent / "outside.safetensors").write_bytes(b"")
    edit(index, lambda shards: shards.update(video_modality=name))
    with pytest.raises(ValueError, match="not a .safetensors file beside it"):
        load_checkpoint(index)


def test_a_missing_shard_is_named(index):
    shard = sorted(index.parent.glob("set-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=shard.name):
        load_checkpoint(index)


def test_a_truncated_shard_is_named(index):
    shard = sorted(index.parent.glob("set-*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(ValueError, match=rf"{shard.name} is truncated: .* ends at byte"):
        load_checkpoint(index)


def test_a_tensor_in_two_shards_is_named(index):
    first, second = sorted(index.parent.glob("set-*.safetensors"))[:2]
    double = sorted(read_header(first).tensors)[0]
    state = load_file(second) | {double: torch.zeros(1)}
    save_file(state, second, metadata=read_header(second).metadata)
    with pytest.raises(ValueError, match=f"{second.name} repeats tensors of an earlier shard: {double}"):
        load_checkpoint(index)
    with pytest.raises(ValueError, match=f"{second.name} repeats tensors of an earlier shard: {double}"):
        map_checkpoint([first, second])


def test_shards_are_mapped_as_one(index, model):
    shards = sorted(index.parent.glob("set-*.safetensors"))
    tensors, metadata = map_checkpoint(shards)
    assert same(model.state_dict(), tensors) and config_from_json(metadata["raxel_config"]) == CONFIG
    shards[-1].unlink()
    with pytest.raises(FileNotFoundError, match=f"{shards[0].name} lacks its file {shards[-1].name}"):
        map_checkpoint(shards)


def test_an_index_that_disagrees_with_its_shards_is_refused(index):
    edit(index, lambda shards: shards.pop("video_modality"))
    with pytest.raises(ValueError, match=r"1 surplus \(video_modality\)"):
        load_checkpoint(index)


def test_shards_of_two_saves_are_not_mixed(index, model):
    shard = sorted(index.parent.glob("set-*.safetensors"))[1]
    old = shard.read_bytes()
    save_checkpoint(index.parent / "set.safetensors", model, CONFIG, shard_bytes=20_000)
    shard.write_bytes(old)
    with pytest.raises(ValueError, match="shards of different checkpoints"):
        load_checkpoint(index)


def test_an_index_without_a_map_is_refused(index):
    index.write_text("{}")
    with pytest.raises(ValueError, match="has no weight_map"):
        load_checkpoint(index)


def test_a_full_disk_loses_nothing(model, saved, tmp_path, monkeypatch):
    before = saved.read_bytes()

    monkeypatch.setattr(tensor_file, "write_all", full_disk)
    with pytest.raises(OSError, match=r"cannot write .*model\.safetensors: .*No space left on device"):
        save_checkpoint(saved, model, CONFIG)
    assert saved.read_bytes() == before
    assert list(tmp_path.iterdir()) == [saved]

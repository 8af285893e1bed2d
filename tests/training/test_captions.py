"""Captions by a real UMT5 of transformers, tiny and of random weights; skipped where the package is not installed."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from raxel_core.cli import main
from raxel_core.training.captions import TOKENS, Texts
from raxel_core.training.text_encoder import load_encoder
from tests.data_sets import write_realestate10k

SAID = {"0001": "a camera pans left\n over the old city", "0002": "slow drone over the river at night"}


@pytest.fixture(scope="module")
def wan(tmp_path_factory):
    """`text_encoder` and `tokenizer` of a Wan folder: UMT5's own layers, and a sentencepiece model made here."""
    transformers = pytest.importorskip("transformers", reason="the package transformers is not installed")
    sentencepiece = pytest.importorskip("sentencepiece", reason="the package sentencepiece is not installed")
    pytest.importorskip("google.protobuf", reason="the package protobuf, which transformers needs, is not installed")
    folder = tmp_path_factory.mktemp("wan")
    (folder / "tokenizer").mkdir()
    words = " ".join(SAID.values()).split()
    lines = [" ".join(words[i % len(words)] for i in range(start, start + 7)) for start in range(60)]
    (folder / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "lines.txt"), model_prefix=str(folder / "tokenizer" / "spiece"), vocab_size=60, pad_id=0,
        eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    marks = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "extra_ids": 4}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", **marks}))
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "feed_forward_proj": "gated-gelu"}
    transformers.UMT5EncoderModel(transformers.UMT5Config(vocab_size=128, **sizes)).save_pretrained(
        folder / "text_encoder"
    )
    return folder


def test_embeddings_are_those_of_wans_pipeline(wan, tmp_path, capsys):
    """All captions at once, filled to 512 tokens and masked, as diffusers' WanPipeline does; ours one by one, by the
    command, cut to their tokens and kept in half precision."""
    import transformers

    for key, caption in SAID.items():
        write_realestate10k(tmp_path / "data", key, 5, frames=2, hw=(16, 24))
        (tmp_path / "data" / "train" / f"{key}.caption.txt").write_text(caption)
    command = ["dataset", "captions", str(tmp_path / "data"), str(tmp_path / "texts")]
    assert main([*command, "--text-encoder", str(wan)]) == 0
    said = ["", *(" ".join(text.split()) for text in SAID.values())]
    tokenizer = transformers.AutoTokenizer.from_pretrained(wan / "tokenizer")
    told = tokenizer(said, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt")
    assert told.attention_mask.sum(1).tolist()[0] == 1 and not told.input_ids[1:].eq(2).all(1).any()
    encoder = transformers.UMT5EncoderModel.from_pretrained(wan / "text_encoder").eval()
    with torch.no_grad():
        expected = encoder(told.input_ids, told.attention_mask).last_hidden_state * told.attention_mask[..., None]
    found = Texts(tmp_path / "texts").of(["", *SAID.values()])
    assert found.shape == (3, TOKENS, 32) and expected.abs().max() > 1
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def wans_names(state):
    """The encoder's weights as Wan's own code calls them."""
    names = {"shared.weight": "token_embedding.weight", "encoder.final_layer_norm.weight": "norm.weight"}
    inside = {
        "layer.0.layer_norm": "norm1", "layer.1.layer_norm": "norm2", "layer.0.SelfAttention": "attn",
        "attn.relative_attention_bias": "pos_embedding.embedding", "layer.1.DenseReluDense.wi_0": "ffn.gate.0",
        "layer.1.DenseReluDense.wi_1": "ffn.fc1", "layer.1.DenseReluDense.wo": "ffn.fc2", "encoder.block": "blocks",
    }  # fmt: skip
    out = {}
    for name, tensor in state.items():
        for theirs, wans in inside.items():
            names.setdefault(name, name)
            names[name] = names[name].replace(theirs, wans)
        out[names[name]] = tensor
    out.pop("encoder.embed_tokens.weight", None)
    return out


@pytest.mark.parametrize("form", ["wan.pth", "wan.safetensors", "comfyui", "comfyui without a tokenizer"])
def test_every_form_of_the_encoder_gives_the_same_embedding(wan, tmp_path, form):
    state = dict(load_file(wan / "text_encoder" / "model.safetensors"))
    place = tmp_path
    if form.startswith("wan"):
        state = wans_names(state)
        assert {"blocks.1.attn.q.weight", "blocks.1.pos_embedding.embedding.weight"} <= state.keys()
        path = tmp_path / f"models_t5_umt5-xxl-enc-bf16.{form[4:]}"
        torch.save(state, path) if form == "wan.pth" else save_file(state, path)
        shutil.copytree(wan / "tokenizer", tmp_path / "google" / "umt5-xxl")
    else:
        place = tmp_path / "umt5_xxl_fp16.safetensors"
        model = torch.frombuffer(bytearray((wan / "tokenizer" / "spiece.model").read_bytes()), dtype=torch.uint8)
        save_file({**state, "spiece_model": model} if form == "comfyui" else state, place)
    if form == "comfyui without a tokenizer":
        with pytest.raises(ValueError, match="its tokenizer is missing: tokenizer or google/umt5-xxl"):
            load_encoder(place)
        return
    said = SAID["0002"]
    assert torch.equal(load_encoder(place)(said), load_encoder(wan)(said))


def test_files_that_are_no_encoder_are_told_in_one_sentence(wan, tmp_path):
    state = dict(load_file(wan / "text_encoder" / "model.safetensors"))
    lacking = {name: tensor for name, tensor in state.items() if "block.1.layer.1.DenseReluDense.wo" not in name}
    for changed, told in (
        ({"a": torch.zeros(2)}, "it lacks shared.weight"),
        (lacking, "it lacks encoder.block.1.layer.1.DenseReluDense.wo.weight"),
        ({**state, "spiece_model": torch.zeros(9, dtype=torch.uint8)}, "its spiece_model is no sentencepiece model"),
        ({**state, "scaled_fp8": torch.zeros(2)}, "it also holds scaled_fp8"),
        ({name: tensor.to(torch.float8_e4m3fn) for name, tensor in state.items()}, "quantised"),
    ):
        save_file(changed, tmp_path / "a.safetensors")
        with pytest.raises(ValueError, match=told):
            load_encoder(tmp_path / "a.safetensors")
    (tmp_path / "models_t5_a.pth").write_bytes(b"no pickle")
    with pytest.raises(ValueError, match="can be read safely"):
        load_encoder(tmp_path)


def test_folders_that_hold_no_encoder_are_told_in_one_sentence(wan, tmp_path, capsys):
    write_realestate10k(tmp_path / "data", "0001", 5, frames=2, hw=(16, 24))
    command = ["dataset", "captions", str(tmp_path / "data"), str(tmp_path / "texts"), "--text-encoder"]
    for name in ("tokenizer", "text_encoder"):
        (tmp_path / "empty" / name).mkdir(parents=True)
    assert main([*command, str(tmp_path / "empty")]) == 2
    assert "holds no UMT5" in capsys.readouterr().err
    assert main([*command, str(tmp_path)]) == 2
    assert "holds no text encoder: neither text_encoder and tokenizer" in capsys.readouterr().err

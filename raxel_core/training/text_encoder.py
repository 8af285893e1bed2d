"""Wan's text encoder UMT5 by transformers, out of any of the forms in which people have it.

diffusers' folder (`text_encoder`, `tokenizer`); Wan's own (`models_t5_umt5-xxl-enc-bf16.pth` or .safetensors, and the
tokenizer in `google/umt5-xxl`); ComfyUI's one file, which holds its tokenizer as `spiece_model`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..weights.pickles import unpickled
from .captions import TOKENS, Encoder

_TOKENIZERS = ("tokenizer", "google/umt5-xxl")
_SPIECE = "spiece_model"
_EMBEDDING, _TIED = "shared.weight", "encoder.embed_tokens.weight"
_BLOCK = "encoder.block.{}.layer."
# Wan's names of what is in a block, and transformers'.
_IN_BLOCK = {
    "norm1": "0.layer_norm",
    "attn.q": "0.SelfAttention.q",
    "attn.k": "0.SelfAttention.k",
    "attn.v": "0.SelfAttention.v",
    "attn.o": "0.SelfAttention.o",
    "pos_embedding.embedding": "0.SelfAttention.relative_attention_bias",
    "norm2": "1.layer_norm",
    "ffn.gate.0": "1.DenseReluDense.wi_0",
    "ffn.fc1": "1.DenseReluDense.wi_1",
    "ffn.fc2": "1.DenseReluDense.wo",
}
Numbers = Callable[[str], list[int]]
"""A text -> the numbers of its tokens, at most TOKENS."""
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def load_encoder(place: Path, device: torch.device | str = "cpu") -> Encoder:
    """UMT5 out of a folder or file, on a device in the dtype of its file, by transformers, which has to be installed.
    ValueError where it is not, or the place holds none."""
    try:
        import transformers
    except ImportError:
        raise ValueError("captions are embedded by the package transformers: pip install transformers") from None
    numbers, encoder = _loaded(place, transformers)
    encoder = encoder.eval().requires_grad_(False).to(device)

    def encode(caption: str) -> Tensor:
        words = " ".join(caption.split())
        ids = torch.tensor([numbers(words)], device=device)
        with torch.no_grad():
            return encoder(ids, torch.ones_like(ids)).last_hidden_state[0].float().cpu()

    return encode


def _loaded(place: Path, transformers: ModuleType) -> tuple[Numbers, Any]:
    """Tokenizer and encoder."""
    file = place if place.is_file() else _wans_file(place)
    folder = place if file is None else file.parent
    if file is None and not all((place / part).is_dir() for part in ("tokenizer", "text_encoder")):
        raise ValueError(
            f"{place} holds no text encoder: neither text_encoder and tokenizer, as diffusers has them, nor Wan's own "
            "models_t5_*; ComfyUI's is named by its file"
        )
    try:
        if file is not None:
            encoder, spiece = _of_file(file, transformers)
            return _tokenizer(folder, spiece, transformers), encoder
        encoder = transformers.UMT5EncoderModel.from_pretrained(place / "text_encoder", local_files_only=True)
        return _tokenizer(folder, None, transformers), encoder
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"{place} holds no UMT5: {str(error).splitlines()[0]}") from error


def _wans_file(folder: Path) -> Path | None:
    """The encoder's file in a folder of Wan's own, None where there is none."""
    return next(iter(sorted(folder.glob("models_t5_*.safetensors")) + sorted(folder.glob("models_t5_*.pth"))), None)


def _tokenizer(folder: Path, spiece: bytes | None, transformers: ModuleType) -> Numbers:
    """The tokenizer of the sentencepiece model `spiece`, or else the one in or under `folder`."""
    if spiece is not None:
        return _sentencepiece(spiece)
    found = [folder / name for name in _TOKENIZERS if (folder / name).is_dir()]
    if not found:
        raise ValueError(f"its tokenizer is missing: {' or '.join(_TOKENIZERS)} is expected beside it")
    tokenizer = transformers.AutoTokenizer.from_pretrained(found[0], local_files_only=True)
    return lambda words: tokenizer(words, max_length=TOKENS, truncation=True, add_special_tokens=True).input_ids


def _sentencepiece(model: bytes) -> Numbers:
    """The tokenizer of a sentencepiece model, each text closed by the mark of its end, as T5 does."""
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError:
        raise ValueError("its tokenizer is read by the package sentencepiece: pip install sentencepiece") from None
    try:
        processor = SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise ValueError(f"its {_SPIECE} is no sentencepiece model") from error
    return lambda words: [*processor.encode(words)[: TOKENS - 1], processor.eos_id()]


def _of_file(file: Path, transformers: ModuleType) -> tuple[Any, bytes | None]:
    """The encoder of one file, and its sentencepiece model where it holds one. ValueError for what is no UMT5."""
    if file.suffix == ".safetensors":
        state = load_file(file)
    else:
        with tempfile.TemporaryDirectory() as made:
            state = unpickled(file, Path(made) / "state.safetensors")
    spiece = state.pop(_SPIECE, None)
    state = {_transformers_name(name): tensor for name, tensor in state.items()}
    state.pop(_TIED, None)
    if any(tensor.dtype not in _FLOATS for tensor in state.values()):
        raise ValueError("its weights are quantised, and captions are embedded by bf16, fp16 or fp32 ones")
    with torch.device("meta"):
        encoder = transformers.UMT5EncoderModel(_config(state, transformers))
    expected = encoder.state_dict().keys() - {_TIED}
    odd = sorted(expected ^ state.keys())
    if odd:
        raise ValueError(f"it {'lacks' if odd[0] in expected else 'also holds'} {odd[0]}")
    encoder.load_state_dict({**state, _TIED: state[_EMBEDDING]}, assign=True)
    encoder.tie_weights()
    return encoder, None if spiece is None else bytes(spiece.to(torch.uint8).numpy())


def _transformers_name(name: str) -> str:
    """Wan's name of a tensor as transformers calls it; other names as they are."""
    name = {"token_embedding.weight": _EMBEDDING, "norm.weight": "encoder.final_layer_norm.weight"}.get(name, name)
    found = re.fullmatch(r"blocks\.(\d+)\.(.+)\.weight", name)
    if found is None or found[2] not in _IN_BLOCK:
        return name
    return f"{_BLOCK.format(found[1])}{_IN_BLOCK[found[2]]}.weight"


def _config(state: Mapping[str, Tensor], transformers: ModuleType) -> Any:
    """The sizes, which the shapes tell."""
    first = _BLOCK.format(0)
    names = (
        _EMBEDDING,
        *(f"{first}{_IN_BLOCK[part]}.weight" for part in ("pos_embedding.embedding", "attn.q", "ffn.fc1")),
    )
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"it lacks {missing[0]}")
    (words, width), (buckets, heads), (across, _), (inner, _) = (state[name].shape for name in names)
    layers = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("encoder.block."))
    return transformers.UMT5Config(
        vocab_size=words, d_model=width, d_kv=across // heads, d_ff=inner, num_layers=layers, num_heads=heads,
        relative_attention_num_buckets=buckets, feed_forward_proj="gated-gelu",
    )  # fmt: skip

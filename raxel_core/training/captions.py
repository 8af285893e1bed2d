"""What is said of clips as a condition: embeddings of captions, kept in files, one a caption."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..weights.tensor_file import write_tensors

TOKENS = 512  # Wan's: longer captions are cut, shorter ones filled with zeros after the encoder
_NAME, _KEPT = "text", 64
Encoder = Callable[[str], Tensor]
"""A caption -> its embedding [M, D]."""


class Texts:
    """Embeddings [M, D] of captions in a folder, made by `encoder` where one is missing and it is given."""

    def __init__(self, folder: Path, encoder: Encoder | None = None) -> None:
        self.folder, self.encoder = folder, encoder
        self._read = lru_cache(_KEPT)(self._load)

    def of(self, captions: Sequence[str]) -> Tensor:
        """The embeddings [B, TOKENS, D] of captions. ValueError where one was never embedded."""
        return torch.stack([self._read(caption) for caption in captions])

    def add(self, caption: str) -> None:
        """Embed a caption, unless that was done."""
        if not self._path(caption).exists():
            assert self.encoder is not None
            self.folder.mkdir(parents=True, exist_ok=True)
            write_tensors(self._path(caption), {_NAME: self.encoder(caption).half()}, {"caption": caption})

    def _load(self, caption: str) -> Tensor:
        path = self._path(caption)
        if not path.exists() and self.encoder is not None:
            self.add(caption)
        if not path.exists():
            raise ValueError(f"{self.folder} holds no embedding of {caption[:60]!r}: run `dataset captions` first")
        try:
            text = load_file(path)[_NAME]
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"{path} holds no embedding of a caption: {error}") from error
        return padded(text.float())

    def _path(self, caption: str) -> Path:
        return self.folder / f"{hashlib.sha256(caption.encode()).hexdigest()[:32]}.safetensors"


def padded(text: Tensor) -> Tensor:
    """An embedding [M, D] as [TOKENS, D]: cut, or filled with zeros as Wan does."""
    text = text[:TOKENS]
    return torch.cat((text, text.new_zeros(TOKENS - len(text), text.shape[1])))

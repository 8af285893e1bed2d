"""RayPE weights in files: one safetensors file, or a whole expert in shards, of which only these weights are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ..weights.checkpoint import architecture_of, checkpoint_files, file_header
from ..weights.tensor_map import map_tensors
from .encoding import WEIGHT_KEY, RayPE, adds_nothing, raype_from_state

# Small tensors that were trained together with RayPE: they tell the expert it belongs to from stock Wan.
_MARKS = ("self_attn.norm_q.weight", "norm3.weight")


@dataclass(frozen=True, eq=False)
class LoadedRayPE:
    """A RayPE, the file's name, and `marks`: tensors by which the expert it was trained in is known.

    `marks` are named as in a Wan state dict; there are none where the file holds RayPE alone.
    """

    model: RayPE
    name: str
    marks: Mapping[str, Tensor] = field(default_factory=dict)


def load_raype(path: str | os.PathLike[str], *, moment_eps: float = 1e-6) -> LoadedRayPE:
    """The RayPE in a safetensors file, an index of shards, or a folder that holds one of them.

    Of an expert of 28 GB about 0.6 GB are read. Raises FileNotFoundError, and ValueError in one sentence for weights
    of another method, incomplete ones, and those of an expert that was not trained.
    """
    path = Path(path)
    files = checkpoint_files(path)
    name = f"{path.parent.name}/{path.name}" if path.suffix == ".json" else path.name
    tensors = _selected(files, name)
    try:
        model = raype_from_state(tensors, moment_eps=moment_eps)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if adds_nothing(model):
        raise ValueError(
            f"the RayPE weights of {name} are all 0: in the release that is the low-noise expert, which is stock Wan "
            "and needs no RayPE; choose the high-noise expert"
        )
    marks = {_wan_name(key): tensor for key, tensor in tensors.items() if not WEIGHT_KEY.fullmatch(key)}
    return LoadedRayPE(model, name, marks)


def same_expert(loaded: LoadedRayPE, weights: Mapping[str, Tensor]) -> bool:
    """Whether `weights`, named as `loaded.marks`, are those of the expert that RayPE was trained in.

    They are compared in the coarser dtype of the two; of stock weights only a few numbers would agree.
    """
    for key, mark in loaded.marks.items():
        given = weights[key].detach().to("cpu")
        if not given.is_floating_point():
            continue  # some loaders keep packed bytes, which tell nothing
        if given.shape != mark.shape:
            return False
        dtype = min(given.dtype, mark.dtype, key=lambda kind: kind.itemsize)
        agree = given.to(dtype).float() == mark.to(dtype).float()
        if float(agree.float().mean()) < 0.9:
            return False
    return True


def _selected(files: list[Path], name: str) -> dict[str, Tensor]:
    """RayPE's tensors and the marks in `files`; ValueError that says what they look like where there is no RayPE."""
    headers = {file: file_header(file).tensors for file in files}
    held = {key: info for header in headers.values() for key, info in header.items()}
    if not any(WEIGHT_KEY.fullmatch(key) for key in held):
        raise ValueError(
            f"{name} holds no RayPE weights (blocks.N.self_attn.plucker_pe): it looks like {architecture_of(held)}"
        )
    tensors: dict[str, Tensor] = {}
    for file, header in headers.items():
        wanted = {key: info for key, info in header.items() if WEIGHT_KEY.fullmatch(key) or is_mark(key)}
        tensors.update(map_tensors(file, wanted) if wanted else {})
    return tensors


def is_mark(key: str) -> bool:
    """Whether a key of a state dict names one of the tensors by which the expert is known."""
    return _wan_name(key) in {f"blocks.0.{mark}" for mark in _MARKS}


def _wan_name(key: str) -> str:
    """A key without what a checkpoint puts before Wan's names."""
    return key[key.find("blocks.") :] if "blocks." in key else key

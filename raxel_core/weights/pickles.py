"""Weights that are only published as PyTorch pickles.

A pickle is read with `weights_only` in a process of its own, which can do nothing but fail, and handed over as a
safetensors file.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load_file
from torch import Tensor

from .tensor_file import write_tensors


def unpickled(source: Path, path: Path, *, under: str | None = None) -> dict[str, Tensor]:
    """The tensors of the pickle `source`, or those `under` a key of it, by way of a safetensors file at `path`.

    ValueError in one sentence for a file that holds something else.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_write_state, args=(str(source), str(path), under, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        said = ours.recv()
    except EOFError:
        said = "the process that read it ended at once"
    process.join()
    if said:
        raise ValueError(f"{source.name} is not a checkpoint that can be read safely: {said}")
    return load_file(path)


def _write_state(source: str, path: str, under: str | None, answer: multiprocessing.connection.Connection) -> None:
    """In the other process: the tensors as safetensors; answers "" or what is wrong."""
    answer.send(_stated(source, path, under))
    answer.close()


def _stated(source: str, path: str, under: str | None) -> str:
    try:
        held = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, UnpicklingError, EOFError, ValueError, OSError, KeyError) as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    state = held.get(under) if under and isinstance(held, dict) else held
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        return f"it holds no {under or 'dictionary'} of tensors"
    write_tensors(path, {str(name): value for name, value in state.items()})
    return ""

"""RealEstate10K as mirrors have it: `.torch` chunks, which are pickles, made into the published layout.

A chunk is a list of scenes: `key`, `url`, `timestamps` [N] in microseconds, `cameras` [N, 18] (fx fy cx cy 0 0 and the
rows of world-to-camera, as in the .txt) and `images`, N JPEG files as bytes. It is unpickled with `weights_only`, which
makes tensors and nothing else, and in a process of its own, so that a hostile file could not even reach this one.
"""

from __future__ import annotations

import multiprocessing
import re
from multiprocessing.queues import Queue
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from ..atomic_file import replacing, write_text
from ..strict_json import printable

_KEY = re.compile(r"[\w-]{1,100}")
_COLUMNS = 18
_JPEG = b"\xff\xd8"
_MOST_BYTES = 16 << 30


def unpack_chunk(path: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Write the scenes of a chunk as `<key>.txt` and `<key>/<microseconds>.jpg` into `folder`.

    Returns the keys written, and a sentence for each scene that could not be. Raises ValueError for a file that is no
    chunk, OSError where nothing can be written.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path} is larger than {_MOST_BYTES >> 30} GiB")
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    answers: Queue[Any] = context.Queue()
    process = context.Process(target=_unpack, args=(path, folder, answers), daemon=True)
    process.start()
    answer = None
    while answer is None and (process.is_alive() or not answers.empty()):
        answer = _next(answers)
    process.join()
    if answer is None:
        raise ValueError(f"{path} ended the process that read it (exit {process.exitcode})")
    kind, value = answer
    if kind != "done":
        raise (OSError if kind == "os" else ValueError)(value)
    return value


def _next(answers: Queue[Any]) -> Any:
    from queue import Empty

    try:
        return answers.get(timeout=0.5)
    except Empty:
        return None


def _unpack(path: Path, folder: Path, answers: Queue[Any]) -> None:
    """What the other process does."""
    torch.set_num_threads(1)
    try:
        scenes = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(scenes, list):
            raise ValueError(f"{path} holds a {type(scenes).__name__}, a list of scenes was expected")
        written, faults = [], []
        for number, scene in enumerate(scenes):
            fault = _fault(scene)
            if fault:
                faults.append(f"{path.name} scene {number}: {fault}")
            else:
                _write(scene, folder)
                written.append(scene["key"])
        answers.put(("done", (written, faults)))
    except OSError as error:
        answers.put(("os", str(error)))
    except (ValueError, RuntimeError, UnpicklingError, EOFError) as error:
        answers.put(
            ("value", f"{path} is not a chunk that can be read safely: {printable(str(error).splitlines()[0], 200)}")
        )


def _fault(scene: Any) -> str | None:
    """What is wrong with a scene of a chunk; None where nothing is."""
    if not isinstance(scene, dict):
        return f"a {type(scene).__name__} is not a scene"
    key, stamps, cameras, images = (scene.get(name) for name in ("key", "timestamps", "cameras", "images"))
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return f"its key is {printable(repr(key), 60)}"
    if not isinstance(cameras, Tensor) or cameras.ndim != 2 or cameras.shape[1] != _COLUMNS:
        return f"{key}: its cameras are no [N, {_COLUMNS}] table"
    if not isinstance(stamps, Tensor) or stamps.shape != cameras.shape[:1] or stamps.is_floating_point():
        return f"{key}: its time stamps are not one whole number a camera"
    if not isinstance(images, list) or len(images) != len(cameras):
        return f"{key}: it has not one picture a camera"
    good = all(isinstance(one, Tensor) and one.dtype == torch.uint8 and one.ndim == 1 for one in images)
    if not good or not all(bytes(one[:2].numpy()) == _JPEG for one in images):
        return f"{key}: its pictures are no JPEG files"
    return None


def _write(scene: dict[str, Any], folder: Path) -> None:
    """The pictures of a scene, then its .txt, which so stands for a whole scene."""
    pictures = folder / scene["key"]
    pictures.mkdir(exist_ok=True)
    stamps = scene["timestamps"].tolist()
    for stamp, image in zip(stamps, scene["images"], strict=True):
        with replacing(pictures / f"{stamp}.jpg") as temporary:
            temporary.write_bytes(image.numpy().tobytes())
    rows = [" ".join(map(repr, row)) for row in scene["cameras"].double().tolist()]
    url = printable(str(scene.get("url") or scene["key"]), 200)
    lines = [url, *(f"{stamp} {row}" for stamp, row in zip(stamps, rows, strict=True))]
    write_text(folder / f"{scene['key']}.txt", "\n".join(lines) + "\n")

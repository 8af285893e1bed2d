"""Damaged safetensors headers, indices and the JSON that travels with weights."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from raxel_core.latents.statistics import LatentStatistics
from raxel_core.model import RaxelConfig, RaxelTransformer, initialize
from raxel_core.paths.camera_path import path_from_json, path_to_json
from raxel_core.paths.plan import make_move
from raxel_core.raype.config import RayPETrainConfig
from raxel_core.recipe import METADATA_KEY, Recipe
from raxel_core.training.config import TrainConfig
from raxel_core.weights import load_checkpoint, save_checkpoint
from raxel_core.weights.checkpoint import config_from_json, merged_header
from raxel_core.weights.conversion import is_raxel, quantize_checkpoint
from raxel_core.weights.lora import merge_lora, save_lora
from tests.fuzz.frame import Target
from tests.fuzz.mutation import mutate
from tests.fuzz.structure import JSON_ODD, damaged_value

SMALL = RaxelConfig(dim=24, ffn_dim=40, layers=2, heads=2, in_channels=3, patch=(1, 1, 1), text_dim=None, freq_dim=8)
RECIPE = Recipe(
    "raxel-tiny-vae", 5, (32, 32), 8.0, "near_depth", LatentStatistics((0.0,) * 3, (1.0,) * 3),
    LatentStatistics((0.0,) * 3, (1.0,) * 3),
)  # fmt: skip
REFUSALS = (ValueError, FileNotFoundError)
Read = Callable[[Path], object]


def header_targets() -> list[Target]:
    """Checkpoints, sets, LoRAs and conversion by their files; configurations and recipes by their text."""
    texts: dict[str, tuple[Callable[[str], object], str]] = {
        "model_config": (config_from_json, SMALL.to_json()),
        "recipe": (Recipe.from_json, RECIPE.to_json()),
        "train_config": (TrainConfig.from_json, TrainConfig("x", 4, 5, clips=1024).to_json()),
        "raype_config": (RayPETrainConfig.from_json, RayPETrainConfig("x", 4, 5, clips=1024).to_json()),
        "camera_path_text": (path_from_json, path_to_json(make_move("orbit", 5, hw=(48, 64), amount=1.0))),
    }
    files: dict[str, Read] = {
        "checkpoint": load_checkpoint,
        "checkpoint_header": lambda path: merged_header([path]),
        "checkpoint_set": lambda path: load_checkpoint(path.with_name("set.safetensors.index.json")),
        "quantize": lambda path: is_raxel(path) and quantize_checkpoint(path, path.with_name("out.safetensors")),
        "lora": _merge,
    }
    return [
        *(_text_target(name, read, text) for name, (read, text) in texts.items()),
        *(_file_target(name, read) for name, read in files.items()),
    ]


def _text_target(name: str, read: Callable[[str], object], text: str) -> Target:
    """JSON damaged as a value, or as bytes."""

    def damage(text: str, random: Random, folder: Path) -> str:
        if random.random() < 0.5:
            return json.dumps(damaged_value(json.loads(text), random, JSON_ODD))
        data = mutate(text.encode(), text.encode(), random)
        return data.decode("utf-8", errors=random.choice(("replace", "surrogateescape")))

    return Target(name, lambda folder: text, damage, partial(_accepted, read), (ValueError,), repr)


def _file_target(name: str, read: Read) -> Target:
    def prepare(folder: Path) -> Path:
        place = folder / f"weights_{name}"
        place.mkdir()
        model = RaxelTransformer(SMALL)
        initialize(model, gate=0.5, generator=torch.Generator().manual_seed(0))
        free = {METADATA_KEY: RECIPE.to_json()}
        save_checkpoint(place / "one.safetensors", model, SMALL, metadata=free)
        save_checkpoint(place / "set.safetensors", model, SMALL, metadata=free, shard_bytes=20_000)
        layer = "blocks.0.ffn.0"
        adapters = {f"{layer}.lora_A": torch.zeros(2, 24), f"{layer}.lora_B": torch.zeros(40, 2)}
        save_lora(place / "lora.safetensors", adapters, metadata={"steps": "1"})
        return place

    def damage(place: Path, random: Random, folder: Path) -> Path:
        goal = folder / f"damaged_{name}"
        goal.mkdir(exist_ok=True)
        for old in goal.iterdir():
            old.unlink()
        kind = {"checkpoint_set": "set", "lora": "lora"}.get(name, "one")
        files = sorted(place.glob(f"{kind}*"))
        hit = random.choice(files)
        for file in files:
            data = file.read_bytes()
            if file == hit:
                data = _damaged_file(file, data, random)
            (goal / file.name).write_bytes(data)
        return goal / files[0].name

    return Target(name, prepare, damage, partial(_accepted, read), REFUSALS, _keep)


def _damaged_file(file: Path, data: bytes, random: Random) -> bytes:
    """The index as JSON, a header as JSON or as bytes, or a file cut off."""
    if file.suffix == ".json":
        return json.dumps(damaged_value(json.loads(data), random, JSON_ODD)).encode()
    size = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + size], data[8 + size :]
    kind = random.random()
    if kind < 0.1:
        return mutate(data[:64], data, random) + data[64:]
    if kind < 0.15:
        return data[: random.randrange(len(data))]
    if kind < 0.4:
        header = mutate(header, header, random)
    else:
        header = json.dumps(damaged_value(json.loads(header), random, JSON_ODD)).encode()
    return len(header).to_bytes(8, "little") + header + rest


def _merge(path: Path) -> None:
    model = RaxelTransformer(SMALL)
    merge_lora(model, path)


def _accepted(read: Callable[[Any], object], given: Any, random: Random) -> bool:
    read(given)
    return True


def _keep(path: Path) -> str:
    kept = Path(tempfile.mkdtemp(prefix="raxel-fuzz-"))
    for file in path.parent.iterdir():
        (kept / file.name).write_bytes(file.read_bytes())
    return str(kept)

"""What a run's files hold: the state that resumes it, its configuration, and the step of its weights.

One process, or several that each hold the whole network, write one safetensors file. A sharded run writes a folder
through PyTorch's distributed checkpoint, a safetensors file a process, that any number of processes may read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed.checkpoint as distributed_checkpoint
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from ..strict_json import check_keys, check_object, check_whole, parse_object, shown
from ..weights.checkpoint import file_header
from ..weights.tensor_file import write_tensors
from .config import Run, RunConfig
from .engine import Engine, dealt
from .optimizers import by_factor

STATE_FILE = "state.safetensors"
SHARDS_FOLDER = "state-{step:07d}"
RUN_FILE = "run.json"
_SHARDS = re.compile(r"state-(\d{7,})")
_UNFINISHED = ".tmp"
_MODEL, _AVERAGE = "model.", "average."  # before the names of the trained parameters and of their averages
_INSIDE = "/"  # between the name of a group of moments and that of one in it

# What may differ between a run and its state: how long it goes on, what it tells on the way, and what it is shown, how
# its errors weigh and how fast it learns from now on, as the stages of a curriculum do.
FREE_FIELDS = (
    "name", "steps", "log_every", "validate_every", "validation_clips", "validation_scenes", "save_every",
    "scenes", "world_share", "views", "data", "frames", "clip_uses", "clips", "shard_clips", "batch", "task_shares",
    "pure_noise_share", "learning_rate", "warmup", "decay_from", "ema", "batches", "rate_factors", "shapes",
    "sampling_shift", "antithetic_pose", "video_error",
)  # fmt: skip


class StateTensors(NamedTuple):
    """Tensors by name, the optimisers whose moments resume with them, and the names of the parameters they train."""

    tensors: dict[str, Tensor]
    optimizers: Sequence[torch.optim.Optimizer]
    names: Mapping[Tensor, str]

    def moments(self) -> dict[str, Tensor]:
        """The optimisers' moments, `optimizer.NUMBER.PARAMETER.NAME`: of a parameter by name, since the order in which
        an optimiser has them follows the rates."""
        return {
            f"optimizer.{i}.{self.names[parameters[key]]}.{name}": torch.as_tensor(value)
            for i, optimizer in enumerate(self.optimizers)
            for parameters in [_parameters(optimizer)]
            for key, moments in optimizer.state_dict()["state"].items()
            for name, value in _flat(moments)
        }

    def give(self, moments: Mapping[str, Tensor]) -> None:
        """Have the optimisers go on with these moments."""
        for i, optimizer in enumerate(self.optimizers):
            keys = {self.names[parameter]: key for key, parameter in enumerate(_parameters(optimizer))}
            state: dict[int, dict[str, Any]] = {}
            for stored, value in moments.items():
                number, name, moment = _of_moment(stored)
                if number == i:
                    held = state.setdefault(keys[name], {})
                    group, _, moment = moment.rpartition(_INSIDE)
                    held = held.setdefault(group, {}) if group else held
                    held[moment] = int(value) if value.dtype == torch.int64 else value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

    def named(self, stored: str, before: RunConfig) -> str:
        """The name of a moment that a state stores: those of before numbered the parameters as the rates of their run,
        `before`, had them in order."""
        number, name, moment = _of_moment(stored)
        if not name.isdecimal():
            return stored
        own = {self.names[parameter] for parameter in _parameters(self.optimizers[number])}
        order = by_factor([known for known in self.names.values() if known in own], before)
        return f"optimizer.{number}.{order[int(name)]}.{moment}"

    def like(self, stored: str, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """An empty moment, dealt out as the parameter is that it belongs to where it has its shape."""
        number, name, _ = _of_moment(stored)
        parameter = next(p for p in _parameters(self.optimizers[number]) if self.names[p] == name)
        if parameter.shape == shape:
            return torch.empty_like(parameter, dtype=dtype)
        return torch.empty(shape, dtype=dtype)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """An optimiser's parameters as its `state_dict` numbers them."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _of_moment(stored: str) -> tuple[int, str, str]:
    """The number of the optimiser, the name of the parameter and the name of the moment."""
    _, number, rest = stored.split(".", 2)
    name, _, moment = rest.rpartition(".")
    return int(number), name, moment


def _flat(moments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """An optimiser's moments of a parameter, those that bitsandbytes keeps in a group of its own by GROUP/NAME; its
    tables are shared by all parameters, and copied."""
    for name, value in moments.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}{_INSIDE}{inner}", torch.as_tensor(each).clone()) for inner, each in value.items())
        else:
            yield name, value


class State:
    """The state of a run in `folder`, as its processes hold it. `origins` are marks of the files that the run depends
    on beside it, by the argument that gives them."""

    def __init__(self, folder: Path, engine: Engine, origins: Mapping[str, str]) -> None:
        self.folder, self.engine, self.origins = folder, engine, origins

    def save(self, state: StateTensors, step: int, config: str) -> None:
        """Write the state of a step, atomically, and remove those before it; all processes at once. OSError."""
        if self.engine.sharded:
            self._save_shards(state, step, config)
        elif self.engine.is_main:
            metadata = {"step": str(step), "config": config, "origins": json.dumps(dict(self.origins))}
            write_tensors(self.folder / STATE_FILE, state.tensors | state.moments(), metadata)
            self._remove_but(None)

    def _save_shards(self, state: StateTensors, step: int, config: str) -> None:
        place = self.folder / SHARDS_FOLDER.format(step=step)
        unfinished = place.with_name(place.name + _UNFINISHED)
        if self.engine.is_main:
            shutil.rmtree(unfinished, ignore_errors=True)
        self.engine.accelerator.wait_for_everyone()
        writer = HuggingFaceStorageWriter(str(unfinished), save_distributed=True)
        try:
            distributed_checkpoint.save(state.tensors | state.moments(), storage_writer=writer)
        except CheckpointException as error:
            raise OSError(f"cannot write {place}: {next(iter(error.failures.values()))[0]}") from error
        if self.engine.is_main:
            told = {"step": step, "config": config, "origins": dict(self.origins)}
            (unfinished / RUN_FILE).write_text(json.dumps(told), encoding="utf-8")
            shutil.rmtree(place, ignore_errors=True)
            os.replace(unfinished, place)
            self._remove_but(place)
        self.engine.accelerator.wait_for_everyone()

    def _remove_but(self, kept: Path | None) -> None:
        """Remove the folders of other states, and the file of one where a folder is kept."""
        for path in self.folder.glob("state-*"):
            if path != kept and _SHARDS.match(path.name):
                shutil.rmtree(path, ignore_errors=True)
        if kept is not None:
            (self.folder / STATE_FILE).unlink(missing_ok=True)

    def find(self) -> tuple[int, str] | None:
        """The step and the configuration of the last state; None where there is none. ValueError, also where the run
        had other files than now; a state of before they were marked has those of now."""
        path = self._last()
        with _whole(path):
            if not path.exists():
                return None
            step, config, origins = _told(path)
        for name, mark in self.origins.items():
            if origins.get(name, mark) != mark:
                raise ValueError(
                    f"the run in {self.folder} has another --{name} than it began with: give it that one, "
                    "or another folder for a new run"
                )
        return step, config

    def load(self, state: StateTensors, before: RunConfig) -> None:
        """Fill a run with its last state, whose configuration is `before`; ValueError."""
        path = self._last()
        with _whole(path):
            (self._load_shards if path.is_dir() else self._load_file)(path, state, before)

    def _last(self) -> Path:
        """The last state that was written whole, there or not."""
        numbers = [
            (int(found[1]), path) for path in self.folder.glob("state-*") if (found := _SHARDS.fullmatch(path.name))
        ]
        path = self.folder / STATE_FILE
        if not numbers:
            return path
        step, folder = max(numbers)
        with _whole(path):
            return path if path.exists() and _told(path)[0] >= step else folder

    def _load_file(self, path: Path, state: StateTensors, before: RunConfig) -> None:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        stored = [name for name in tensors if name.startswith("optimizer.")]
        found = {name: tensors.pop(name) for name in stored}
        _copy(_with_average(tensors, state.tensors), state.tensors)
        moments = {state.named(name, before): value for name, value in found.items()}
        templates = {name: state.like(name, value.shape, value.dtype) for name, value in moments.items()}
        state.give({name: dealt(value, templates[name]) for name, value in moments.items()})

    def _load_shards(self, path: Path, state: StateTensors, before: RunConfig) -> None:
        reader = HuggingFaceStorageReader(str(path))
        entries = reader.read_metadata().state_dict_metadata.items()
        held = {name: (e.size, e.properties.dtype) for name, e in entries if isinstance(e, TensorStorageMetadata)}
        own = {name: size for name, (size, _) in held.items() if not name.startswith("optimizer.")}
        _check_same(_with_average(own, state.tensors), {name: tensor.shape for name, tensor in state.tensors.items()})
        names = {name: state.named(name, before) for name in held if name not in own}
        moments = {name: state.like(today, *held[name]) for name, today in names.items()}
        with warnings.catch_warnings():  # one process may read it too, and is told so
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            told = {name: tensor for name, tensor in state.tensors.items() if name in own}
            distributed_checkpoint.load(told | moments, storage_reader=reader)
        for name, tensor in _with_average(told, state.tensors).items():
            if name not in told:
                state.tensors[name].copy_(tensor)
        state.give({today: moments[name] for name, today in names.items()})


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """ValueError that names the state at `path` where the block finds it damaged."""
    try:
        yield
    except (SafetensorError, KeyError, CheckpointException, OSError) as error:
        raise ValueError(f"{path} is not the complete state of a run, so the run cannot go on from it") from error


def _told(path: Path) -> tuple[int, str, dict[str, Any]]:
    """The step, the configuration and the origins that a state states."""
    if path.is_dir():
        values = parse_object("the state's run.json", (path / RUN_FILE).read_text(encoding="utf-8"))
        check_keys("the state's run.json", values, ("step", "config"), ("origins",))
        origins = check_object("the state's origins", values.get("origins", {}))
        return check_whole("the state's step", values["step"], 0, 10**9), str(values["config"]), origins
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    step = metadata["step"]
    if not step.isdecimal():
        raise KeyError("step")
    return int(step), metadata["config"], parse_object("the state's origins", metadata.get("origins", "{}"))


@torch.no_grad()
def _copy(values: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    """Fill `target` with `values`; ValueError unless both name the same tensors of the same shapes."""
    _check_same(*({name: tensor.shape for name, tensor in each.items()} for each in (values, target)))
    for name, tensor in target.items():
        tensor.copy_(dealt(values[name], tensor))


def _with_average(held: Mapping[str, Any], now: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a state holds of each tensor, for a run that keeps an average or none now: one that was not kept begins as
    the weights are."""
    weights = {name: value for name, value in held.items() if not name.startswith(_AVERAGE)}
    if not any(name.startswith(_AVERAGE) for name in now):
        return weights
    averages = {name: value for name, value in held.items() if name.startswith(_AVERAGE)}
    return weights | (averages or {_AVERAGE + name.removeprefix(_MODEL): value for name, value in weights.items()})


def _check_same(shapes: Mapping[str, torch.Size], expected: Mapping[str, torch.Size]) -> None:
    if shapes != expected:
        other = sorted(name.partition(".")[2] for name, _ in shapes.items() ^ expected.items())
        raise ValueError(f"the run's state is of another network: {', '.join(dict.fromkeys(other[:5]))} differ")


def step_of_file(path: Path) -> int | None:
    """The step that the metadata of a weights file states; None where there is no such file, whole and of a run."""
    try:
        steps = file_header(path).metadata.get("steps", "")
    except (FileNotFoundError, ValueError):
        return None
    return int(steps) if steps.isdecimal() and len(steps) < 16 else None


def config_before(kind: type[Run], state: str, folder: Path) -> Run:
    """The configuration that a state in `folder` states as JSON; ValueError."""
    try:
        return kind.from_json(state)
    except ValueError as error:
        raise ValueError(f"the run in {folder} cannot be carried on: {error}") from error


def changed_fields(config: RunConfig, step: int, before: RunConfig, folder: Path) -> dict[str, str]:
    """What has changed of `FREE_FIELDS` since a state of `step` and of the configuration `before`: name and words.

    Raises ValueError that names what differs besides, and where the run is shorter than what it has done.
    """
    changed = dict(_differences(asdict(before), asdict(config)))
    other = [f"{name} {words}" for name, words in changed.items() if name not in FREE_FIELDS]
    if other:
        raise ValueError(
            f"the run in {folder} is of another configuration: {'; '.join(other[:5])}. "
            "Take the old configuration to carry it on, or another folder for a new run"
        )
    if config.steps < step:
        raise ValueError(f"the run in {folder} has done {step} steps, and its configuration now ends at {config.steps}")
    return changed


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names of the values that differ, those of nested objects after a dot, and in words how."""
    for name, value in now.items():
        old = before.get(name)
        if old == value:
            continue
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            yield from _differences(old, value, f"{prefix}{name}.")
        else:
            yield prefix + name, f"was {_written(old)} and is {_written(value)}"


def _written(value: object) -> str:
    """A value of a configuration in a sentence, short lists written out."""
    return str(list(value)) if isinstance(value, (list, tuple)) and len(value) < 8 else shown(value)

"""What a run's files say of it: the step of its weights, and whether its state is of the same configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..strict_json import shown
from ..weights.checkpoint import file_header
from .config import RunConfig

# What may differ between a run and its state: how long it goes on, what it tells on the way, and what it is shown and
# how fast it learns from now on, as the stages of a curriculum do.
FREE_FIELDS = (
    "name", "steps", "log_every", "validate_every", "validation_clips", "validation_scenes", "save_every",
    "scenes", "frames", "clip_uses", "clips", "shard_clips", "batch", "task_shares", "learning_rate", "warmup",
    "decay_from", "ema",
)  # fmt: skip


def step_of_file(path: Path) -> int | None:
    """The step that the metadata of a weights file states; None where there is no such file, whole and of a run."""
    try:
        steps = file_header(path).metadata.get("steps", "")
    except (FileNotFoundError, ValueError):
        return None
    return int(steps) if steps.isdecimal() and len(steps) < 16 else None


def changed_fields(config: RunConfig, step: int, state: str, folder: Path) -> dict[str, str]:
    """What has changed of `FREE_FIELDS` since `state`, the configuration (JSON) of a state of `step`: name and words.

    Raises ValueError that names what differs besides, and where the run is shorter than what it has done.
    """
    try:
        before = type(config).from_json(state)
    except ValueError as error:
        raise ValueError(f"the run in {folder} can not be carried on: {error}") from error
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

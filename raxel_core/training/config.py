"""What a training run is: one frozen value, readable and writable as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import ClassVar, TypeVar

from ..model.config import TINY, RaxelConfig
from .scene_sets import check_shares

TASKS = ("pose", "camera", "joint")
ERRORS = ("velocity", "denoised")
Run = TypeVar("Run", bound="RunConfig")


def _scene_shares(text: str) -> tuple[tuple[str, float], ...]:
    """The `scenes` of a JSON object of shares by name."""
    values = json.loads(text)
    for name, share in values.items():
        _check_type(f"scenes {name}", share, "float")
    return tuple(values.items())


@dataclass(frozen=True)
class RunConfig:
    """What every run of the trainer has. Lengths in steps unless named otherwise; shares are in [0, 1].

    Data: a pool of `clips` scenes from the train split, `scenes` of each set (`scene_sets`), rendered once and cached.
    After `clip_uses` rounds the pool is made of new scenes (0: it stays for ever). `frames` and `hw` of a clip.
    Loop: gradients clipped to `clip_norm`, `ema` is the decay of the weights' average (0: none is kept).
    """

    name: str
    steps: int
    frames: int
    hw: tuple[int, int] = (64, 64)
    fps: float = 8.0
    seed: int = 0
    clips: int = 65_536
    shard_clips: int = 1024
    clip_uses: int = 0
    scenes: tuple[tuple[str, float], ...] = (("easy", 0.25), ("room", 0.75))
    batch: int = 32
    clip_norm: float = 1.0
    ema: float = 0.998
    precision: str = "bf16"
    gradient_checkpointing: bool = False
    log_every: int = 50
    validate_every: int = 2000
    validation_clips: int = 256
    validation_scenes: str = "room"
    save_every: int = 500
    # Fields that are JSON objects, and what reads them.
    nested: ClassVar[Mapping[str, Callable[[str], object]]] = {"scenes": _scene_shares}

    def __post_init__(self) -> None:
        object.__setattr__(self, "hw", tuple(self.hw))
        check_shares(dict(self.scenes))
        check_shares({self.validation_scenes: 1.0})
        if self.clip_uses < 0:
            raise ValueError(f"clip_uses is 0 (for ever) or more, got {self.clip_uses}")
        if self.shard_clips % self.batch or self.clips % self.shard_clips:
            raise ValueError(
                "clips must divide into shards and shards into batches, "
                f"got {self.clips}, {self.shard_clips} and {self.batch}"
            )

    def to_json(self) -> str:
        """The run as indented JSON."""
        return json.dumps(asdict(self) | {"scenes": dict(self.scenes)}, indent=2)

    @classmethod
    def from_json(cls: type[Run], text: str) -> Run:
        """The run that `to_json` wrote; fields left out keep their defaults. ValueError names an unknown field."""
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"the training configuration is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise ValueError(f"a training configuration is a JSON object, got {type(values).__name__}")
        types = {f.name: f.type for f in fields(cls)}
        unknown, missing = sorted(set(values) - set(types)), sorted({"name", "steps", "frames"} - set(values))
        if unknown or missing:
            raise ValueError(f"a training configuration has no {', '.join(unknown)}" if unknown else
                             f"the training configuration lacks {', '.join(missing)}")  # fmt: skip
        given = {name: value for name, value in values.items() if not (value is None and "None" in str(types[name]))}
        for name, value in given.items():
            _check_type(name, value, "dict" if name in cls.nested else str(types[name]))
        for name in cls.nested.keys() & given.keys():
            given[name] = cls.nested[name](json.dumps(given[name]))
        return cls(**given)


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """A run that trains a raxel model.

    Data: `far_source_share` of sources are not the first frame.
    Objective: `task_shares` for (pose, camera, joint) steps; rays start from pure noise in `pure_noise_share` of the
    steps that noise them; `video_shift` is the flow shift of the video's noise levels; `cosine_weight` is the paper's
    lambda; `bundle_weight` weighs the camera errors read off the denoised rays. Rays lie on a grid `raxel_downscale`
    times coarser than the video (the paper: 2). `video_error` is what is squared: the "velocity", or the "denoised"
    video's error, sigma times that, which is the picture's own error (ours).
    Start: `attention_prior` is the bias that self-attention begins with (see `initialize`; the paper: 0).
    Optimiser: Muon for the matrices of the blocks, AdamW for the rest, one `learning_rate`, constant after `warmup`
    and falling to a tenth from `decay_from` (a share of `steps`) on.
    With a `lora_rank` above 0 only adapters of that rank are trained, by AdamW, beside a checkpoint's weights.
    """

    model: RaxelConfig = TINY
    lora_rank: int = 0
    attention_prior: float = 0.0
    raxel_downscale: int = 2
    far_source_share: float = 0.4
    task_shares: tuple[float, float, float] = (0.55, 0.3, 0.15)
    pure_noise_share: float = 0.5
    video_shift: float = 2.0
    video_error: str = "velocity"
    cosine_weight: float = 0.5
    bundle_weight: float = 0.5
    learning_rate: float = 1.5e-3
    warmup: int = 200
    decay_from: float = 0.8
    nested: ClassVar[Mapping[str, Callable[[str], object]]] = {**RunConfig.nested, "model": RaxelConfig.from_json}

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "task_shares", tuple(map(float, self.task_shares)))
        if len(self.task_shares) != len(TASKS) or abs(sum(self.task_shares) - 1) > 1e-6:
            raise ValueError(f"task_shares needs {len(TASKS)} shares that sum to 1, got {self.task_shares}")
        if self.raxel_downscale < 1:
            raise ValueError(f"raxel_downscale is at least 1, got {self.raxel_downscale}")
        if not 0 <= self.attention_prior < math.inf:
            raise ValueError(f"attention_prior is 0 (none) or more, got {self.attention_prior}")
        if self.video_error not in ERRORS:
            raise ValueError(f"video_error is one of {', '.join(ERRORS)}, got {self.video_error!r}")
        if self.lora_rank < 0:
            raise ValueError(f"lora_rank is 0 (none) or more, got {self.lora_rank}")


_SCALARS: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "dict": (dict,),
}  # fmt: skip


def _check_type(name: str, value: object, annotation: str) -> None:
    """ValueError unless a JSON value fits an annotation: a scalar's, `dict`, or else a list of numbers, a tuple's."""
    expected = _SCALARS.get(annotation, (list,))
    if isinstance(value, bool) != (annotation == "bool") or not isinstance(value, expected):
        raise ValueError(f"{name} of the training configuration must be {annotation}, got {value!r}")
    if isinstance(value, list) and not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        raise ValueError(f"{name} of the training configuration must hold numbers, got {value!r}")

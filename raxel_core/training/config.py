"""What a training run is: one frozen value, readable and writable as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, TypeVar

from ..latents.frames import check_frame_count
from ..model.config import TINY, RaxelConfig
from ..recipe import TRAINED_UNITS
from ..strict_json import (
    check_choice,
    check_keys,
    check_number,
    check_object,
    check_whole,
    parse_object,
    printable,
    shown,
)
from .scene_sets import check_shares

TASKS = ("pose", "camera", "joint")
ERRORS = ("velocity", "denoised")
PRECISIONS = ("no", "fp16", "bf16")
OPTIMIZERS = ("muon", "adamw", "adamw_8bit")
Run = TypeVar("Run", bound="RunConfig")
Limits = Mapping[str, tuple[float, float]]
_NOUN = "the training configuration"
# Nothing that a run counts or measures is larger, and what is positive is not smaller than the least.
_MOST, _LEAST = 1_000_000_000, 1e-12
_SHAPE = re.compile(r"[1-9]\d{0,4}x[1-9]\d{0,4}x[1-9]\d{0,4}")
STORED_IMAGES = 2  # of a clip beside its first frame, of which sources are drawn
SHARE, COUNT, POSITIVE = (0.0, 1.0), (1, _MOST), (_LEAST, _MOST)


def _scene_shares(values: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """The `scenes` of a JSON object of shares by name."""
    return tuple(
        (name, check_number(f"scenes {printable(name, 40)} of {_NOUN}", share, 0.0, 1.0))
        for name, share in values.items()
    )


def _shapes(values: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """The `shapes` of a JSON object of shares by FRAMESxHEIGHTxWIDTH."""
    found = []
    for name, share in values.items():
        noun = f"shapes {printable(name, 40)} of {_NOUN}"
        if not _SHAPE.fullmatch(name):
            raise ValueError(f"{noun} is not a shape: write FRAMESxHEIGHTxWIDTH, as 17x64x96")
        check_frame_count(int(name.split("x")[0]))
        found.append((name, check_number(noun, share, 0.0, 1.0)))
    if sum(share for _, share in found) > 1 + 1e-6:
        raise ValueError(f"the shares of shapes of {_NOUN} sum to 1 at most, what is left being the run's own shape")
    return tuple(found)


def _rate_factors(values: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """The `rate_factors` of a JSON object of factors by pattern."""
    return tuple(
        (name, check_number(f"rate_factors {printable(name, 40)} of {_NOUN}", factor, 0.0, _MOST))
        for name, factor in values.items()
    )


@dataclass(frozen=True)
class FilmedSettings:
    """How a data set of filmed scenes is read: `stride`, every so many pictures where they have no time; `factor`, what
    camera centres are multiplied by beside the unit (RayPE's eta of a data set)."""

    stride: int = 1
    factor: float = 1.0

    @classmethod
    def from_values(cls, noun: str, values: Mapping[str, Any]) -> FilmedSettings:
        """The settings of a JSON object; ValueError names what is wrong."""
        check_keys(noun, dict(values), (), [field.name for field in fields(cls)])
        stride = check_whole(f"stride of {noun}", values.get("stride", 1), 1, 10_000)
        return cls(stride, check_number(f"factor of {noun}", values.get("factor", 1.0), _LEAST, _MOST))


def _filmed(values: Mapping[str, Any]) -> tuple[tuple[str, FilmedSettings], ...]:
    """The `data` of a JSON object of settings by name."""
    nouns = {name: f"data {printable(name, 40)} of {_NOUN}" for name in values}
    return tuple(
        (name, FilmedSettings.from_values(nouns[name], check_object(nouns[name], given)))
        for name, given in values.items()
    )


@dataclass(frozen=True)
class RunConfig:
    """What every run of the trainer has. Lengths in steps unless named otherwise; shares are in [0, 1].

    Data: a pool of `clips` scenes from the train split, `scenes` of each set (`scene_sets`), rendered once and cached.
    `scenes` may name data sets of filmed scenes too; `data` says how each of them is read (`FilmedSettings`).
    After `clip_uses` rounds the pool is made of new scenes (0: it stays for ever). `frames` and `hw` of a clip.
    Loop: a step's gradient is the mean over `batches` batches of `batch` clips, which the processes of the run share;
    it is clipped to `clip_norm`, `ema` is the decay of the weights' average (0: none is kept).
    Optimiser: one of OPTIMIZERS (`make_optimizers`); `rate_factors` multiply the rate of parameters whose names fit a
    pattern ("ray_*"), the first that fits.
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
    data: tuple[tuple[str, FilmedSettings], ...] = ()
    batch: int = 32
    batches: int = 1
    clip_norm: float = 1.0
    optimizer: str = "adamw"
    rate_factors: tuple[tuple[str, float], ...] = ()
    ema: float = 0.998
    precision: str = "bf16"
    gradient_checkpointing: bool = False
    log_every: int = 50
    validate_every: int = 2000
    validation_clips: int = 256
    validation_scenes: str = "room"
    save_every: int = 500
    # Fields that are JSON objects, and what reads them.
    nested: ClassVar[Mapping[str, Callable[[Any], object]]] = {
        "scenes": _scene_shares, "data": _filmed, "rate_factors": _rate_factors,
    }  # fmt: skip
    pooled: ClassVar[bool] = True  # whether clips come from a pool, in shards
    # From where to where a number may lie; from 0 on where nothing is said.
    limits: ClassVar[Limits] = {
        "steps": COUNT, "frames": COUNT, "hw": (1, 65_536), "fps": POSITIVE, "seed": (0, 2**62), "clips": COUNT,
        "shard_clips": COUNT, "batch": COUNT, "batches": COUNT, "clip_norm": POSITIVE, "ema": (0.0, 0.999999),
        "log_every": COUNT, "validate_every": COUNT, "validation_clips": COUNT, "save_every": COUNT,
    }  # fmt: skip

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                value = tuple(value)
            if field.type == "int":
                value = _whole(value)
            if str(field.type).startswith("tuple[int, int") and isinstance(value, tuple):
                value = tuple(_whole(entry) for entry in value)
            object.__setattr__(self, field.name, value)
            if value is not None or "None" not in str(field.type):
                _check(f"{field.name} of {_NOUN}", value, str(field.type), self.limits.get(field.name, (0, _MOST)))
        check_choice(f"precision of {_NOUN}", self.precision, PRECISIONS)
        check_choice(f"optimizer of {_NOUN}", self.optimizer, OPTIMIZERS)
        check_frame_count(self.frames)
        filmed = [name for name, _ in self.data]
        check_shares(dict(self.scenes), filmed)
        check_shares({self.validation_scenes: 1.0}, filmed)
        if self.pooled and (self.shard_clips % self.batch or self.clips % self.shard_clips):
            raise ValueError(
                "clips must divide into shards and shards into batches, "
                f"got {self.clips}, {self.shard_clips} and {self.batch}"
            )

    def to_json(self) -> str:
        """The run as indented JSON."""
        pairs = self.nested.keys() & {"scenes", "rate_factors", "shapes"}
        values = asdict(self) | {name: dict(getattr(self, name)) for name in pairs}
        values["data"] = {name: asdict(settings) for name, settings in self.data}
        return json.dumps(values, indent=2)

    @property
    def stored_images(self) -> int:
        """How many frames of a clip are coded alone beside its first."""
        return STORED_IMAGES

    @property
    def off_path_images(self) -> int:
        """How many views off the clip are coded with it."""
        return 0

    @property
    def codes_lead(self) -> bool:
        """Whether clips are also coded with all frames after the first grey."""
        return False

    @classmethod
    def from_json(cls: type[Run], text: str) -> Run:
        """The run that `to_json` wrote; fields left out keep their defaults. ValueError names an unknown field."""
        values = parse_object(_NOUN, text)
        required = [f.name for f in fields(cls) if f.default is MISSING]
        check_keys(_NOUN, values, required, [f.name for f in fields(cls)])
        optional = {f.name for f in fields(cls) if "None" in str(f.type)}
        given = {name: value for name, value in values.items() if value is not None or name not in optional}
        for name in cls.nested.keys() & given.keys():
            given[name] = cls.nested[name](check_object(f"{name} of {_NOUN}", given[name]))
        return cls(**given)


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """A run that trains a raxel model.

    Data: beside `frames` and `hw`, shares of the steps have clips of other `shapes` (`ShapedClips`).
    `far_source_share` of sources are not the first frame. With `sparse_images` S each step has S images beside
    the clip, of which a number drawn anew are sources and the rest targets that are noised like the video and learned
    too (the paper's N_s + N_t, its sum fixed); 0: one to three sources and no such target. In `off_path_share` of the
    steps sources may be views of the scene off the clip, with their cameras. `random_reference`: where the sources'
    cameras are given, any of them is the one that all cameras are relative to, not the earliest (the paper's rule).
    Text: captions are a condition that `text_drop` of the steps leave out; None: no text, and its modules rest.
    Objective: `task_shares` for (pose, camera, joint) steps; rays start from pure noise in `pure_noise_share` of the
    steps that noise them; `video_shift` is the flow shift of the video's noise levels, which joint steps draw
    apart from the rays', unless `shared_sigma` gives both the rays' (an ablation), and `sampling_shift` is the one that
    the checkpoint asks to be sampled with (None: the start's, else 1), as `antithetic_pose` is (`sampling.solver_for`;
    None: the start's, else false); `cosine_weight` is the paper's
    lambda; `bundle_weight` weighs the camera errors read off the denoised rays. Rays lie on a grid `raxel_downscale`
    times coarser than the video (the paper: 2), centres are measured in `unit`, one of recipe.TRAINED_UNITS (None: the
    start's, else near_depth). `video_error` is what is squared: the "velocity", or the "denoised"
    video's error, sigma times that, which is the picture's own error (ours).
    Start: `attention_prior` is the bias that self-attention begins with (see `initialize`; the paper: 0).
    Optimiser: Muon for the matrices of the blocks, AdamW for the rest, unless `optimizer` is another; `learning_rate`,
    constant after `warmup` and falling to a tenth from `decay_from` (a share of `steps`) on.
    With a `lora_rank` above 0 only adapters of that rank are trained, by AdamW, beside a checkpoint's weights.
    """

    model: RaxelConfig = TINY
    optimizer: str = "muon"
    lora_rank: int = 0
    attention_prior: float = 0.0
    shapes: tuple[tuple[str, float], ...] = ()
    raxel_downscale: int = 2
    unit: str | None = None
    far_source_share: float = 0.4
    sparse_images: int = 0
    off_path_share: float = 0.0
    random_reference: bool = False
    text_drop: float | None = None
    task_shares: tuple[float, float, float] = (0.55, 0.3, 0.15)
    pure_noise_share: float = 0.5
    video_shift: float = 2.0
    sampling_shift: float | None = None
    antithetic_pose: bool | None = None
    shared_sigma: bool = False
    video_error: str = "velocity"
    cosine_weight: float = 0.5
    bundle_weight: float = 0.5
    learning_rate: float = 1.5e-3
    warmup: int = 200
    decay_from: float = 0.8
    nested: ClassVar[Mapping[str, Callable[[Any], object]]] = {
        **RunConfig.nested, "model": RaxelConfig.from_values, "shapes": _shapes,
    }  # fmt: skip
    limits: ClassVar[Limits] = {
        **RunConfig.limits, "far_source_share": SHARE, "sparse_images": (0, 64),
        "off_path_share": SHARE, "text_drop": SHARE, "task_shares": SHARE, "pure_noise_share": SHARE,
        "video_shift": POSITIVE, "sampling_shift": POSITIVE, "learning_rate": POSITIVE, "warmup": COUNT,
        "decay_from": SHARE, "raxel_downscale": COUNT,
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.task_shares) != len(TASKS) or abs(sum(self.task_shares) - 1) > 1e-6:
            raise ValueError(f"task_shares needs {len(TASKS)} shares that sum to 1, got {self.task_shares}")
        check_choice(f"video_error of {_NOUN}", self.video_error, ERRORS)
        if self.text_drop is not None and self.model.text_dim is None:
            raise ValueError(f"text_drop {self.text_drop} trains text, and the model has no text_dim")
        if self.frames <= STORED_IMAGES:
            raise ValueError(f"a raxel model is trained on clips of 5 frames or more, got frames {self.frames}")
        if self.stored_images >= self.frames:
            raise ValueError(f"sparse_images {self.sparse_images} are more than a clip of {self.frames} frames has")
        if self.unit is not None:
            check_choice(f"unit of {_NOUN}", self.unit, TRAINED_UNITS)

    @property
    def stored_images(self) -> int:
        """As `RunConfig`'s, and enough for the sparse images."""
        return max(STORED_IMAGES, self.sparse_images)

    @property
    def off_path_images(self) -> int:
        """As many as a step can use; none where none does."""
        return self.stored_images if self.off_path_share else 0


def _whole(value: Any) -> Any:
    """The int of a whole float, which JSON does not tell from it (24.0); all else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check(noun: str, value: Any, annotation: str, limits: tuple[float, float]) -> None:
    """ValueError unless a value fits an annotation (a scalar's, a tuple's of numbers) and its numbers the limits."""
    kind, _, inner = annotation.removesuffix(" | None").partition("[")
    if annotation == "RaxelConfig" or "..." in inner:
        return  # checked by themselves
    if kind == "tuple":
        parts = inner.rstrip("]").split(", ")
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != len(parts):
            raise ValueError(f"{noun} is a list of {len(parts)} numbers, got {shown(value)}")
        for entry, part in zip(value, parts, strict=True):
            _check(noun, entry, part, limits)
    elif kind == "int":
        if not isinstance(value, int):
            raise ValueError(f"{noun} is a whole number, got {shown(value)}")
        check_whole(noun, value, int(limits[0]), int(limits[1]))
    elif kind == "float":
        check_number(noun, value, *limits)
    elif not isinstance(value, {"bool": bool, "str": str}.get(kind, object)):
        raise ValueError(f"{noun} is {'true or false' if kind == 'bool' else 'text'}, got {shown(value)}")

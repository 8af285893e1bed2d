"""What a checkpoint was trained on: the VAE, the clip, the unit of length and the latent statistics of both streams."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

from .latents.frames import check_frame_count
from .latents.statistics import LatentStatistics

METADATA_KEY = "raxel_recipe"
TRAINED_UNITS = ("metre", "near_depth")


@dataclass(frozen=True)
class Recipe:
    """The facts a checkpoint states about its training, kept as JSON in its header under `raxel_recipe`.

    `vae` names the VAE; `frames`, `hw` = (height, width) and `fps` describe the clips; `unit` is the length that
    camera centres are measured in; a raxel is `raxel_scale` * (o + d) on a grid `raxel_downscale` times coarser than
    the video. Raises ValueError with what was given when a value makes no sense.
    """

    vae: str
    frames: int
    hw: tuple[int, int]
    fps: float
    unit: str
    video_statistics: LatentStatistics
    ray_statistics: LatentStatistics
    raxel_scale: float = 0.5
    raxel_downscale: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "hw", tuple(self.hw))
        check_frame_count(self.frames)
        if len(self.hw) != 2 or min(self.hw) < 1:
            raise ValueError(f"a recipe's hw is (height, width) in pixels, got {self.hw}")
        if not (isfinite(self.fps) and self.fps > 0.0):
            raise ValueError(f"a recipe's fps is positive, got {self.fps}")
        if self.unit not in TRAINED_UNITS:
            raise ValueError(f"a recipe's unit is one of {', '.join(TRAINED_UNITS)}, got {self.unit!r}")
        if not 0.0 < self.raxel_scale <= 1.0:
            raise ValueError(f"a recipe's raxel_scale lies in (0, 1], got {self.raxel_scale}")
        if self.raxel_downscale < 1:
            raise ValueError(f"a recipe's raxel_downscale is at least 1, got {self.raxel_downscale}")

    def to_json(self) -> str:
        """The recipe as a JSON object, the value of the header's `raxel_recipe`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote; ValueError with one sentence on anything else."""
        values = _parse(text)
        _check_names("recipe", values, cls)
        _check_types(values)
        for name in ("video_statistics", "ray_statistics"):
            values[name] = _statistics(name, values[name])
        return cls(**values)


_TYPES: dict[str, type] = {"vae": str, "unit": str, "frames": int, "raxel_downscale": int}
_NUMBERS = ("fps", "raxel_scale")


def _parse(text: str) -> dict[str, Any]:
    """The JSON object in `text`; ValueError when it holds no JSON or something else than an object."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the recipe is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"the recipe is a JSON object, got {type(values).__name__}")
    return values


def _check_names(noun: str, values: dict[str, Any], target: type) -> None:
    """ValueError unless the keys of `values` are the fields of `target`."""
    expected = {field.name for field in fields(target)}
    missing, surplus = sorted(expected - values.keys()), sorted(values.keys() - expected)
    if missing or surplus:
        raise ValueError(f"the {noun} lacks {missing[:5]} and has unknown {surplus[:5]}")


def _check_types(values: dict[str, Any]) -> None:
    """ValueError when a value has another JSON type than its field."""
    for name, kind in _TYPES.items():
        if type(values[name]) is not kind:
            raise ValueError(f"the recipe's {name} is {values[name]!r}")
    for name in _NUMBERS:
        if not _is_number(values[name]):
            raise ValueError(f"the recipe's {name} is {repr(values[name])[:40]}")
    hw = values["hw"]
    if not isinstance(hw, list) or not all(type(size) is int for size in hw):
        raise ValueError(f"the recipe's hw is {hw!r}")


def _is_number(value: Any) -> bool:
    """Whether a JSON value is a number that a float can hold, which a whole number of 400 digits is not."""
    return type(value) in (int, float) and abs(value) < 1e300


def _statistics(name: str, values: Any) -> LatentStatistics:
    """The `LatentStatistics` of a JSON object; ValueError when it is none."""
    if not isinstance(values, dict):
        raise ValueError(f"the recipe's {name} is {values!r}")
    _check_names(f"recipe's {name}", values, LatentStatistics)
    for entry in values.values():
        if not isinstance(entry, list) or not all(map(_is_number, entry)):
            raise ValueError(f"the recipe's {name} holds something else than lists of numbers")
    return LatentStatistics(tuple(values["mean"]), tuple(values["std"]))

"""What a checkpoint was trained on: the VAE, the clip, the unit of length and the latent statistics of both streams."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

from .latents.frames import check_frame_count
from .latents.statistics import LatentStatistics
from .strict_json import check_keys, check_list, check_number, check_object, check_whole, parse_object, shown

METADATA_KEY = "raxel_recipe"
_LONGEST_NAME = 200
# A clip is far from the trained ones when it has so many times their frames, or a side so many times longer or shorter.
_FAR_FRAMES, _FAR_SIZE = 1.5, 2.0
# A length of 1: a metre, the near depth of the reference, or (arbitrary) how far the clip's farthest camera is off it.
TRAINED_UNITS = ("metre", "near_depth", "arbitrary")


@dataclass(frozen=True)
class Recipe:
    """The facts a checkpoint states about its training, kept as JSON in its header under `raxel_recipe`.

    `vae` names the VAE; `frames`, `hw` = (height, width) and `fps` describe the clips; `unit` is the length that
    camera centres are measured in; a raxel is `raxel_scale` * (o + d) on a grid `raxel_downscale` times coarser than
    the video. Unless told otherwise, sampling takes `sampling_shift` as the flow shift of the video's schedule, and
    with `antithetic_pose` reads the rays of a given video from a pair of runs (`sampling.solver_for`; the paper: one).
    Raises ValueError with what was given when a value makes no sense.
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
    sampling_shift: float = 1.0
    antithetic_pose: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "hw", tuple(self.hw))
        check_frame_count(self.frames)
        if len(self.hw) != 2 or min(self.hw) < 1:
            raise ValueError(f"a recipe's hw is (height, width) in pixels, got {self.hw}")
        if not (isfinite(self.fps) and self.fps > 0.0):
            raise ValueError(f"a recipe's fps is positive, got {self.fps}")
        if self.unit not in TRAINED_UNITS:
            raise ValueError(f"a recipe's unit is one of {', '.join(TRAINED_UNITS)}, got {shown(self.unit)}")
        name = Path(self.vae).name
        if name != self.vae or not name.isprintable() or "\\" in name or not 0 < len(name) <= _LONGEST_NAME:
            raise ValueError(f"a recipe's vae is a VAE's file name without its suffix, got {shown(self.vae)}")
        if not 0.0 < self.raxel_scale <= 1.0:
            raise ValueError(f"a recipe's raxel_scale lies in (0, 1], got {self.raxel_scale}")
        if self.raxel_downscale < 1:
            raise ValueError(f"a recipe's raxel_downscale is at least 1, got {self.raxel_downscale}")
        if not (isfinite(self.sampling_shift) and self.sampling_shift > 0.0):
            raise ValueError(f"a recipe's sampling_shift is positive, got {self.sampling_shift}")

    def shift(self, given: float | None = None) -> float:
        """The flow shift that the video is sampled with: `given`, or the checkpoint's own where it is None."""
        return self.sampling_shift if given is None else given

    def antithetic(self, given: bool | None = None) -> bool:
        """Whether rays of a given video are the mean of two runs: `given`, or the checkpoint's own where it is None."""
        return self.antithetic_pose if given is None else given

    def doubts(self, frames: int, hw: tuple[int, int]) -> tuple[str, ...]:
        """Where a clip of `frames` of `hw` lies far from what the checkpoint was trained on, a sentence each."""
        found = []
        if frames > _FAR_FRAMES * self.frames:
            found.append(
                f"the clip has {frames} frames and the model was trained on {self.frames}: expect poor results"
            )
        ratios = [size / trained for size, trained in zip(hw, self.hw, strict=True)]
        if max(ratios) > _FAR_SIZE or min(ratios) < 1 / _FAR_SIZE:
            (height, width), (trained_height, trained_width) = hw, self.hw
            found.append(
                f"the clip is {width}x{height} and the model was trained on {trained_width}x{trained_height}: "
                "resize it, or expect poor results"
            )
        return tuple(found)

    def to_json(self) -> str:
        """The recipe as a JSON object, the value of the header's `raxel_recipe`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote; ValueError with one sentence on anything else."""
        values = parse_object("the recipe", text)
        required = [field.name for field in fields(cls) if field.name not in _LATER]
        check_keys("the recipe", values, required, list(_LATER))
        values = {**_LATER, **values}
        for name in ("vae", "unit"):
            if not isinstance(values[name], str):
                raise ValueError(f"the recipe's {name} is text, got {shown(values[name])}")
        for name in ("frames", "raxel_downscale"):
            values[name] = check_whole(f"the recipe's {name}", values[name], 1, _MOST)
        for name in ("fps", "raxel_scale", "sampling_shift"):
            values[name] = check_number(f"the recipe's {name}", values[name], 0.0, _MOST)
        if not isinstance(values["antithetic_pose"], bool):
            raise ValueError(f"the recipe's antithetic_pose is true or false, got {shown(values['antithetic_pose'])}")
        sizes = check_list("the recipe's hw", values["hw"], 2)
        values["hw"] = tuple(check_whole("the recipe's hw", size, 1, _MOST) for size in sizes)
        for name in ("video_statistics", "ray_statistics"):
            values[name] = latent_statistics(f"the recipe's {name}", values[name])
        return cls(**values)


# Fields that came later, as checkpoints without them are to be read.
_LATER: dict[str, Any] = {"sampling_shift": 1.0, "antithetic_pose": False}
# No size, count or rate of a clip is larger, nor a statistic of latents.
_MOST = 1_000_000_000
_MOST_CHANNELS = 65_536


def latent_statistics(noun: str, value: Any) -> LatentStatistics:
    """The `LatentStatistics` of a JSON object {"mean": [...], "std": [...]}; ValueError when it is none."""
    given = check_object(noun, value)
    check_keys(noun, given, ("mean", "std"))
    mean, std = (
        tuple(
            check_number(f"{noun}.{name}", entry, -_MOST, _MOST)
            for entry in check_list(f"{noun}.{name}", given[name], _MOST_CHANNELS)
        )
        for name in ("mean", "std")
    )
    return LatentStatistics(mean, std)

"""What a Ray Diffusion network is: one frozen value, readable and writable as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..strict_json import check_keys, parse_object, shown

FEATURES = ("dinov2_vits14", "convolution")
RAY_CHANNELS = 6
NDC_CHANNELS = 2
MATCH_CHANNELS = 3  # a place and how sure it is
_NOUN = "the configuration of a Ray Diffusion network"


@dataclass(frozen=True)
class RayDiffusionConfig:
    """The network of Cameras as Rays; as it stands it is the released one.

    `grid` x `grid` rays an image, in tokens of `patch` x `patch`, from square crops of `image_px`; up to `max_images`
    images attend to each other at a time. `hidden`, `depth` and `heads` are the transformer's; `features` names what
    reads the crops, and gives `feature_channels` numbers a ray; with `matches` each is told where it is found in the
    other photographs (`matches.Matches`, ours). Noise: `timesteps` of a linear schedule from
    `beta_start` to `beta_end`. Raises ValueError with both numbers where sizes do not go together.
    """

    hidden: int = 1152
    depth: int = 16
    heads: int = 16
    grid: int = 16
    patch: int = 1
    image_px: int = 224
    max_images: int = 8
    features: str = "dinov2_vits14"
    feature_channels: int = 384
    matches: bool = False
    timesteps: int = 100
    beta_start: float = 1e-4
    beta_end: float = 0.2

    def __post_init__(self) -> None:
        if self.features not in FEATURES:
            raise ValueError(f"features is one of {', '.join(FEATURES)}, got {self.features!r}")
        if min(self.hidden, self.depth, self.heads, self.grid, self.patch, self.timesteps) < 1 or self.max_images < 2:
            raise ValueError(f"the sizes of a Ray Diffusion network are positive, with 2 images or more, got {self}")
        if self.hidden % self.heads or self.grid % self.patch:
            raise ValueError(
                f"hidden divides by heads and grid by patch, got {self.hidden} by {self.heads} and "
                f"{self.grid} by {self.patch}"
            )
        if self.features == "dinov2_vits14" and (self.image_px % 14 or self.feature_channels != 384):
            raise ValueError(
                f"DINOv2 ViT-S/14 reads crops of a multiple of 14 px and gives 384 channels, got {self.image_px} px "
                f"and {self.feature_channels}"
            )
        if self.matches and self.grid % 2:
            raise ValueError(f"matches are found by 2 x 2 rays: the grid is even, got {self.grid}")
        if not 0.0 < self.beta_start < self.beta_end < 1.0:
            raise ValueError(f"betas rise inside 0 to 1, got {self.beta_start} and {self.beta_end}")

    @property
    def in_channels(self) -> int:
        """Channels of a ray's input: image features, the noisy ray, where in the picture it passes, and its matches."""
        matches = MATCH_CHANNELS * self.max_images if self.matches else 0
        return self.feature_channels + RAY_CHANNELS + NDC_CHANNELS + matches

    @property
    def tokens(self) -> int:
        """Tokens of one image."""
        return (self.grid // self.patch) ** 2

    def to_json(self) -> str:
        """The configuration as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RayDiffusionConfig:
        """The configuration that `to_json` wrote; ValueError names an unknown field or a wrong type."""
        return cls.from_values(parse_object(_NOUN, text))

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> RayDiffusionConfig:
        """The same of a JSON object."""
        types = {field.name: type(field.default) for field in fields(cls)}
        check_keys(_NOUN, values, (), tuple(types))
        values = {name: _as(types[name], value) for name, value in values.items()}
        for name, value in values.items():
            if type(value) is not types[name]:
                raise ValueError(f"{name} of a Ray Diffusion network is {types[name].__name__}, got {shown(value)}")
        return cls(**values)


def _as(kind: type, value: Any) -> Any:
    """A number as the kind that it is of where JSON does not tell (32.0 and 32); all else as it is."""
    if kind is float and type(value) is int:
        return float(value)
    return int(value) if kind is int and type(value) is float and value.is_integer() else value


RELEASED = RayDiffusionConfig()
SMALL = RayDiffusionConfig(
    hidden=128, depth=5, heads=4, patch=2, image_px=64, features="convolution", feature_channels=64, matches=True
)

"""What a raxel network is made of, as one frozen value that travels with the weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

ATTENTIONS = ("dsca", "joint")
RAY_REPRESENTATIONS = ("raxel", "plucker")
INTER_PROJECTIONS = ("self", "text", "new")
READS = ("both", "one_way")
RAY_ENTRIES = ("stream", "aligned")
PLUCKER_CHANNELS = 6


@dataclass(frozen=True)
class RaxelConfig:
    """Sizes of Wan 2.1's transformer and what Rays as Pixels ablates.

    `dim`, `ffn_dim`, `layers`, `heads`, `in_channels` (latent channels of either stream), `patch` (time, rows,
    columns) and `freq_dim` are Wan's. `text_dim` None builds no text modules.
    `attention`: "dsca" = each stream attends to itself, then to the other behind a gate; "joint" = one
    self-attention over both. `inter`: which projections the inter-modal stage uses ("self"-attention's, "text"
    cross-attention's, "new" ones of its own). `ray_representation`: "raxel" = a second stream of latents; "plucker"
    = Plücker maps joined to the video latents, one stream.

    Four more are ours, and default to the paper. `reads`: "both" = the streams always read each other; "one_way" = a
    stream without noise does not read one that has some, so that it is the same at every step of a sampler and its
    keys and values are computed once. `ray_entry`: "stream" = rays enter their own stream alone; "aligned" = their
    latents, resized to the video's grid, are also added to the video's tokens by a linear layer that starts at zero.
    `rope_base` is the longest period of the rotary embedding over 2 pi, and `rope_scale` multiplies all positions.

    Raises ValueError when two numbers do not fit each other; the message holds both.
    """

    dim: int
    ffn_dim: int
    layers: int
    heads: int
    in_channels: int = 16
    patch: tuple[int, int, int] = (1, 2, 2)
    text_dim: int | None = 4096
    freq_dim: int = 256
    attention: str = "dsca"
    ray_representation: str = "raxel"
    inter: str = "self"
    eps: float = 1e-6
    reads: str = "both"
    ray_entry: str = "stream"
    rope_base: float = 10000.0
    rope_scale: float = 1.0

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_patch()
        self._check_choices()
        self._check_rotation()

    def _check_sizes(self) -> None:
        for name in ("dim", "ffn_dim", "layers", "heads", "in_channels", "freq_dim"):
            _check_positive(name, getattr(self, name))
        if self.text_dim is not None:
            _check_positive("text_dim", self.text_dim)
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} does not divide into {self.heads} heads")
        if self.head_dim % 2 or self.head_dim < 6:
            size = f"{self.head_dim} (dim {self.dim} / heads {self.heads})"
            raise ValueError(f"head_dim {size} must be even and at least 6")
        if self.freq_dim % 2:
            raise ValueError(f"freq_dim {self.freq_dim} must be even")
        if not isinstance(self.eps, float) or not 0 < self.eps < 1:
            raise ValueError(f"eps {_shown(self.eps)} must be a number between 0 and 1")

    def _check_patch(self) -> None:
        if not isinstance(self.patch, tuple) or len(self.patch) != 3:
            raise ValueError(f"patch {_shown(self.patch)} must be 3 sizes (time, rows, columns)")
        for size in self.patch:
            _check_positive("patch", size)
        if self.patch[0] != 1:
            raise ValueError(f"patch {self.patch} must be 1 in time, not {self.patch[0]}: each frame has its own sigma")

    def _check_choices(self) -> None:
        for name, choices in (
            ("attention", ATTENTIONS),
            ("ray_representation", RAY_REPRESENTATIONS),
            ("inter", INTER_PROJECTIONS),
            ("reads", READS),
            ("ray_entry", RAY_ENTRIES),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} {_shown(getattr(self, name))} is not one of {', '.join(choices)}")
        if self.inter == "text" and self.text_dim is None:
            raise ValueError("inter 'text' needs the text projections, but text_dim is None")
        if self.reads == "one_way" and (self.attention, self.ray_representation) != ("dsca", "raxel"):
            raise ValueError(
                "reads 'one_way' needs streams that are apart (attention 'dsca', ray_representation 'raxel'), "
                f"got {self.attention!r} and {self.ray_representation!r}"
            )
        if self.ray_entry == "aligned" and self.ray_representation != "raxel":
            raise ValueError(f"ray_entry 'aligned' needs a stream of raxels, not {self.ray_representation!r}")

    def _check_rotation(self) -> None:
        for name, least in (("rope_base", 1.0), ("rope_scale", 0.0)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not least < value < math.inf:
                raise ValueError(f"{name} must be a number above {least:g}, not {_shown(value)}")

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.dim // self.heads

    @property
    def ray_channels(self) -> int:
        """Channels of the ray input: latents for raxels, 6 for Plücker maps."""
        return PLUCKER_CHANNELS if self.ray_representation == "plucker" else self.in_channels

    def to_json(self) -> str:
        """The configuration as one JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_values(values: Mapping[str, Any]) -> RaxelConfig:
        """The configuration of the JSON object that `to_json` wrote, parsed; ValueError names an unknown or missing
        field, or one of another type."""
        known = {field.name: field for field in fields(RaxelConfig)}
        unknown = sorted(set(values) - known.keys())
        if unknown:
            raise ValueError(f"the model configuration has unknown fields: {', '.join(map(_shown, unknown[:5]))}")
        missing = [name for name, field in known.items() if field.default is MISSING and name not in values]
        if missing:
            raise ValueError(f"the model configuration lacks {', '.join(missing)}")
        return RaxelConfig(**{name: _field_value(value, known[name].type) for name, value in values.items()})


# No network is larger in any of these; a product of two of them is far from overflow in 64 bits.
_LARGEST = {"layers": 10_000, "patch": 64, "in_channels": 65_536}
_LARGEST_SIZE = 1_000_000


def _check_positive(name: str, value: object) -> None:
    largest = _LARGEST.get(name, _LARGEST_SIZE)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise ValueError(f"{name} must be a whole number from 1 to {largest}, not {_shown(value)}")


def _field_value(value: Any, annotation: object) -> Any:
    """A JSON value as a field has it: a list as a tuple, 24.0 as the whole number that JSON does not tell it from."""
    if isinstance(value, list):
        return tuple(_field_value(entry, annotation) for entry in value)
    whole = "int" in str(annotation) and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def _shown(value: object) -> str:
    """The beginning of `value`; of a number too long to be written out only that."""
    long = isinstance(value, int) and value.bit_length() > 200
    return "a longer number" if long else repr(value)[:40]


TINY = RaxelConfig(dim=192, ffn_dim=768, layers=6, heads=3, in_channels=64, patch=(1, 1, 1), text_dim=None)
WAN_1_3B = RaxelConfig(dim=1536, ffn_dim=8960, layers=30, heads=12)
WAN_14B = RaxelConfig(dim=5120, ffn_dim=13824, layers=40, heads=40)

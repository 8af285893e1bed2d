"""What a solid's surface looks like, as a row of numbers that the shader reads."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .draws import Draws
from .materials import MATERIALS, MaterialBank

COLUMNS = 14
# the columns of a row
TEXTURE, SECOND = 0, 1  # numbers of textures in the bank
STRETCH = slice(2, 5)  # repeats per unit of the solid's own coordinates
DENSITY = 5  # repeats per metre
OFFSET = slice(6, 8)
TINT = slice(8, 11)
RATIO = 11  # repeats of the second texture per repeat of the first
MASK = 12  # how much of the second shows, 0 to 1
GLOW = 13  # radiance over reflectance


@dataclass(frozen=True)
class Look:
    """How a material is laid on things: repeats per metre (None: once over the whole face), tint, glow."""

    material: str
    repeats: tuple[float, float] | None = (0.4, 1.0)
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    glow: float = 0.0


SCALES = {
    "plaster": (0.2, 0.7), "concrete": (0.15, 0.6), "brick": (0.35, 0.9), "tiles": (0.35, 1.0), "paving": (0.2, 0.6),
    "masonry": (0.3, 0.8), "asphalt": (0.15, 0.5), "gravel": (0.3, 1.0), "soil": (0.15, 0.6), "sand": (0.15, 0.5),
    "grass": (0.2, 0.8), "litter": (0.3, 0.9), "foliage": (0.4, 1.4), "bark": (0.5, 1.2), "timber": (0.5, 1.5),
    "marble": (0.4, 1.4), "fabric": (0.6, 2.0), "ornament": (0.5, 1.5), "metal": (0.4, 1.5), "paint": (0.4, 1.2),
    "shingles": (0.3, 0.6), "facade": (0.08, 0.22), "cloud": (0.1, 0.2),
}  # fmt: skip
LOOKS: dict[str, Look] = {
    **{name: Look(name, SCALES.get(name)) for name in MATERIALS},
    "glow": Look("plaster", glow=2.5),
    "screen": Look("photo", None, glow=0.8),
    "skin": Look("plaster", tint=(0.9, 0.66, 0.52)),
    "glass": Look("paint", tint=(0.16, 0.19, 0.22)),
    "dark": Look("plaster", tint=(0.2, 0.2, 0.2)),
}
NAMES = list(LOOKS)


@dataclass(frozen=True)
class Finish:
    """The looks of a bank as tables, to give many solids theirs at once."""

    first: Tensor  # [looks] number of the first texture
    number: Tensor  # [looks] of textures
    scale: Tensor  # [looks, 2] repeats per metre, from, to; 0 for once over the whole face
    tint: Tensor  # [looks, 3]
    glow: Tensor  # [looks]

    @classmethod
    def of_bank(cls, bank: MaterialBank) -> Finish:
        """The tables of LOOKS."""
        looks = LOOKS.values()
        return cls(
            torch.tensor([bank.materials[look.material].start for look in looks]),
            torch.tensor([len(bank.materials[look.material]) for look in looks]),
            torch.tensor([look.repeats or (0.0, 0.0) for look in looks]),
            torch.tensor([look.tint for look in looks]),
            torch.tensor([look.glow for look in looks]),
        )

    def to(self, device: torch.device | str) -> Finish:
        """The same on a device."""
        return Finish(*(getattr(self, field.name).to(device) for field in fields(self)))

    def rows(self, look: Tensor, half: Tensor, draws: Draws) -> Tensor:
        """Surfaces [B, N, COLUMNS] of solids with half axes of lengths `half` [B, N, 3], numbers of looks [B, N]."""
        n = look.shape[1]
        number, first = self.number[look], self.first[look]
        texture = first + (draws.uniform(n) * number).long()
        second = first + (draws.uniform(n) * number).long()
        scale = self.scale[look]
        fitted = scale[..., 1] == 0
        repeats = torch.lerp(scale[..., 0], scale[..., 1], draws.uniform(n))
        stretch = torch.where(fitted[..., None], torch.tensor(0.5), half * repeats[..., None])
        density = torch.where(fitted, 1 / half[..., :2].sum(-1), repeats)
        offset = torch.where(fitted[..., None], torch.tensor(0.5), draws.uniform(n, 2))
        tint = self.tint[look] * draws.uniform(n, 1, low=0.75, high=1.2) * draws.uniform(n, 3, low=0.92, high=1.08)
        mask = draws.uniform(n) * ~fitted
        table = [texture, second, *stretch.unbind(-1), density, *offset.unbind(-1), *tint.unbind(-1),
                 draws.spread(n, low=0.3, high=2.0), mask, self.glow[look]]  # fmt: skip
        return torch.stack([column.expand(look.shape).float() for column in table], -1)


def pick_look(names: tuple[str, ...], draws: Draws, n: int) -> Tensor:
    """Numbers [B, n] of looks drawn from `names`."""
    return torch.tensor([NAMES.index(name) for name in names])[draws.whole(n, below=len(names))]

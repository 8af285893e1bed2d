"""The kinds of places by name, each with how far off things are in it and its share of the clips."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from .draws import Draws
from .indoors import corridor, hall, room, tabletop
from .outdoors import field, street, wood, yard
from .setting import Kit, Place


class Kind(NamedTuple):
    """A kind of place: its maker of (kit, draws, fov [B]), the scale of paths in it in metres, its share."""

    make: Callable[[Kit, Draws, Tensor], Place]
    focus: float
    share: float


PLACES: dict[str, Kind] = {
    "field": Kind(field, 4.0, 0.17),
    "wood": Kind(wood, 3.2, 0.09),
    "street": Kind(street, 5.0, 0.16),
    "yard": Kind(yard, 3.6, 0.14),
    "room": Kind(room, 2.4, 0.18),
    "corridor": Kind(corridor, 2.6, 0.06),
    "hall": Kind(hall, 4.0, 0.09),
    "tabletop": Kind(tabletop, 0.8, 0.11),
}

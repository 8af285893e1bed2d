"""The light of a place: one sun or lamp that casts shadows, the sky's own light, haze, and what the sky looks like."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .draws import Draws
from .materials import MaterialBank
from .tracer import Views

SHADOW_SIZE = 96  # pixels of the lamp's own view
ABOVE_SIZE = 48  # and of the view from above
ABOVE_HEIGHT = 25.0  # metres from which the open ground is looked down on
SUN_DISTANCE = 90.0


class Light(NamedTuple):
    """Of B places. Radiances are relative: the film settles the exposure."""

    view: Views  # what the lamp sees: one view a place
    overhead: Views  # and the sky or the ceiling
    colour: Tensor  # [B, 3]
    lamp: Tensor  # [B] 1 for a lamp, whose light falls off, 0 for the sun
    above: Tensor  # [B, 3] light from above where no lamp shines
    below: Tensor  # [B, 3] and from below
    zenith: Tensor  # [B, 3]
    horizon: Tensor  # [B, 3]
    clouds: Tensor  # [B] number of their texture
    cloudy: Tensor  # [B] how much of them
    ridge: Tensor  # [B, 6] heights and phases of three waves of far hills
    haze: Tensor  # [B] per metre
    patches: Tensor  # [B, 4, 4] wave vectors and phases of large stains, per metre


def draw_light(draws: Draws, ground: Tensor, ceiling: Tensor, materials: MaterialBank) -> Light:
    """Light for places with a `ceiling` [B] above the `ground` [B]; 0 is the open sky."""
    roofed = ceiling > 0
    by_lamp = roofed & draws.chance(of=0.6)
    # Three skies of ten are overcast; of the others most are nearly clear.
    clear = draws.uniform().sqrt() * (draws.uniform() < 0.7)
    elevation = torch.deg2rad(draws.uniform(low=12, high=72))
    # The lower the sun, the redder; above 0.9 rad (52 degrees) it is white.
    warm = (1 - elevation / 0.9).clamp(0, 1)[:, None] * draws.uniform(1)
    sun = torch.lerp(torch.tensor([1.0, 0.97, 0.90]), torch.tensor([1.0, 0.72, 0.42]), warm)
    bulb = torch.lerp(torch.tensor([1.0, 0.80, 0.55]), torch.tensor([0.92, 0.97, 1.0]), draws.uniform(1))
    # A lamp is from incandescent to daylight; the sun gives from a tenth to the whole of its 3.2.
    colour = torch.where(
        by_lamp[:, None], bulb * draws.uniform(1, low=1.5, high=4.0), sun * (0.3 + 2.9 * clear)[:, None]
    )
    blue, grey = torch.tensor([0.24, 0.42, 0.80]), torch.tensor([0.72, 0.76, 0.82])
    zenith = torch.lerp(grey, blue, clear[:, None]) * draws.uniform(1, low=0.7, high=1.2)
    pale = torch.lerp(torch.tensor([0.80, 0.88, 1.0]), torch.tensor([1.0, 0.72, 0.50]), 0.8 * warm)
    horizon = torch.lerp(torch.tensor([0.9, 0.92, 0.95]), pale, clear[:, None]) * draws.uniform(1, low=0.9, high=1.4)
    # Of the light from above a roof leaves a twelfth to a half.
    inside = torch.where(roofed, draws.spread(low=0.08, high=0.5), torch.ones(()))[:, None]
    above = (
        torch.lerp(zenith, torch.ones(3), torch.where(roofed, 0.7, 0.3)[:, None])
        * inside
        * draws.uniform(1, low=0.6, high=1.0)
    )
    below = above.mean(1, keepdim=True) * draws.uniform(1, low=0.3, high=0.7) * torch.tensor([1.05, 1.0, 0.9])
    clouds = materials.materials["cloud"]
    view = _view(draws, ground, ceiling, by_lamp, elevation)
    return Light(
        view, _overhead(ground, ceiling), colour, by_lamp.float(), above, below, zenith, horizon,
        (clouds.start + draws.whole(below=len(clouds))).float(),
        draws.chance(of=0.8) * draws.uniform(low=0.3, high=1.0), draws.uniform(6),
        draws.spread(low=0.0008, high=0.02) * torch.where(roofed, 0.06, 1.0), _patches(draws),
    )  # fmt: skip


def _view(draws: Draws, ground: Tensor, ceiling: Tensor, by_lamp: Tensor, elevation: Tensor) -> Views:
    """What the sun or the lamp sees, as a pinhole view."""
    reach = torch.where(ceiling > 0, 6.0, 12.0)
    azimuth = draws.uniform(high=2 * math.pi)
    level = torch.cos(elevation)
    sunbeam = torch.stack([level * torch.sin(azimuth), torch.sin(elevation), level * torch.cos(azimuth)], -1)
    down = torch.stack([0.15 * draws.signed(), torch.ones_like(ground), 0.15 * draws.signed() + 0.05], -1)
    z = torch.nn.functional.normalize(torch.where(by_lamp[:, None], down, sunbeam), dim=-1)
    x = torch.nn.functional.normalize(torch.linalg.cross(torch.tensor([0.0, 0.1, 1.0]).expand_as(z), z), dim=-1)
    rotation = torch.stack([x, torch.linalg.cross(z, x), z], -1)
    target = torch.stack([torch.zeros_like(ground), ground, 0.55 * reach], -1)
    hung = torch.stack([draws.signed() * 0.4, ground - ceiling + 0.12, draws.uniform(low=0.3, high=2.5)], -1)
    center = torch.where(by_lamp[:, None], hung, target - SUN_DISTANCE * z)
    half = SHADOW_SIZE / 2
    # A lamp lights 68 degrees to each side; the sun's view is as wide as `reach` where the place is.
    focal = torch.where(by_lamp, half / math.tan(math.radians(68)), half * SUN_DISTANCE / reach)
    return Views(rotation[:, None], center[:, None], _intrinsics(focal, half)[:, None])


def _overhead(ground: Tensor, ceiling: Tensor) -> Views:
    """The view straight down from high up, or from under the ceiling."""
    half, roofed = ABOVE_SIZE / 2, ceiling > 0
    rotation = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]).expand(len(ground), 3, 3)
    up = torch.where(roofed, ceiling - 0.06, ABOVE_HEIGHT)
    center = torch.stack([torch.zeros_like(up), ground - up, torch.where(roofed, 1.5, 5.0)], -1)
    focal = torch.where(roofed, half / math.tan(math.radians(66)), half * ABOVE_HEIGHT / 9.0)
    return Views(rotation[:, None], center[:, None], _intrinsics(focal, half)[:, None])


def _intrinsics(focal: Tensor, half: float) -> Tensor:
    """K [B, 3, 3] of square pictures of `half` pixels from the middle to the side."""
    K = torch.zeros(len(focal), 3, 3)
    K[:, 0, 0] = K[:, 1, 1] = focal
    K[:, :2, 2], K[:, 2, 2] = half, 1.0
    return K


def _patches(draws: Draws) -> Tensor:
    """Four waves through space, from some metres to some decimetres long."""
    length = torch.tensor([6.0, 2.5, 1.4, 0.6]) * draws.spread(4, low=0.6, high=1.7)
    way = torch.nn.functional.normalize(draws.signed(4, 3) + 1e-6, dim=-1)
    return torch.cat([way * (2 * math.pi / length)[..., None], draws.uniform(4, 1, high=2 * math.pi)], -1)

"""One clip a seed of a place like the world's, with its exact cameras and depth."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ...geometry.camera import Camera, K_from_fov
from ..synthetic import NEAR_QUANTILE, SyntheticBatch, split_of
from .draws import Draws
from .film import Film, blurred, draw_film, screen_motion, sharpened
from .kernels import PLAIN, Kernels, compiled
from .light import ABOVE_SIZE, SHADOW_SIZE, Light, draw_light
from .materials import MaterialBank, material_bank
from .motion import MOTIONS, SHARES, Motion, draw_fov, draw_motion, is_clear, place_path, shortened
from .objects import object_bank
from .places import PLACES
from .setting import Kit, Place
from .shading import Shadows, rays_of, scene_tables
from .solids import Solids, compact, distances, without
from .surfaces import Finish
from .tracer import TILE, Hits, Views, picture, trace

TEXTURES = {"train": 28, "validation": 8, "test": 8}  # of each material
OBJECTS = {"train": 40, "validation": 10, "test": 10}  # of each kind
BANK_SEEDS = {"train": 1, "validation": 2, "test": 3}
AT_ONCE, AT_ONCE_ON_GPU = 8, 64  # clips traced together
CPU = torch.device("cpu")
SAMPLES = torch.tensor([[0.0, 0.0], [0.5, 0.5]])  # of a pixel, from its centre


@dataclass(frozen=True)
class WorldConfig:
    """What the world's clips are. Angles in degrees, shares in [0, 1] in the order of PLACES and of MOTIONS."""

    fov_degrees: tuple[float, float] = (32.0, 114.0)
    place_shares: tuple[float, ...] = tuple(kind.share for kind in PLACES.values())
    motion_shares: tuple[float, ...] = SHARES
    fps: float = 8.0

    def __post_init__(self) -> None:
        for name, names in (("place_shares", PLACES), ("motion_shares", MOTIONS)):
            shares = getattr(self, name)
            if len(shares) != len(names) or abs(sum(shares) - 1) > 1e-6 or min(shares) < 0:
                raise ValueError(f"{name} needs {len(names)} shares that sum to 1, got {shares}")


WORLD = WorldConfig()
_STEPS = 12  # on the way from the origin to a camera


class _Banks(NamedTuple):
    kit: Kit
    materials: MaterialBank


class _Shot(NamedTuple):
    """B clips before they are traced."""

    place: Place
    light: Light
    film: Film
    world_from_cam: Tensor  # [B, F, 4, 4]
    K: Tensor  # [B, F, 3, 3]


def render_world(
    seeds: Sequence[int],
    *,
    frames: int = 17,
    hw: tuple[int, int] = (64, 64),
    config: WorldConfig = WORLD,
    device: torch.device | str = "cpu",
    fast: bool = False,
) -> SyntheticBatch:
    """One clip per seed; all seeds of one split. Lengths are metres; the sky's depth is 1000. `fast` compiles first.

    ValueError where a seed is outside every split, the seeds mix splits, or a side is no multiple of 8.
    """
    if hw[0] % TILE or hw[1] % TILE:
        raise ValueError(f"scenes of the world need sides that are multiples of {TILE}, got {hw}")
    device, kernels = torch.device(device), compiled() if fast else PLAIN
    bank = _banks(split_of(seeds), device)
    with device:  # everything that a shot is made of is made there
        shot = _shot(Draws.of_seeds(seeds, 2, device), bank, frames, hw, config)
    at_once = AT_ONCE if device.type == "cpu" else AT_ONCE_ON_GPU
    parts = [_filmed(_some(shot, slice(i, i + at_once)), bank, hw, kernels) for i in range(0, len(seeds), at_once)]
    video, depth = (torch.cat(part) for part in zip(*parts, strict=True))
    return SyntheticBatch(video, Camera(shot.world_from_cam, shot.K, hw), depth, _near_depth(depth))


Aim = Callable[[Tensor, Callable[[Tensor], Tensor]], tuple[Tensor, Tensor]]
"""(how far off things are [B], whether points [B, n, 3] are free [B, n]) -> world_from_cam [B, N, 4, 4] and K."""


def photograph_places(
    seeds: Sequence[int], aim: Aim, *, hw: tuple[int, int], config: WorldConfig = WORLD
) -> tuple[Tensor, Camera, Tensor]:
    """Photographs [B, 3, N, h, w] in [-1, 1] of each seed's place, on the CPU, their cameras [B, N] by `aim`, and their
    depths [B, N, h, w] along the view axis.

    What stands at the origin is taken away first, so that it is free. Errors are those of `render_world`.
    """
    device = torch.device("cpu")
    bank = _banks(split_of(seeds), device)
    draws, building = Draws.of_seeds(seeds, 2, device)
    kind = draws.choice(config.place_shares)
    focus = torch.tensor([place.focus for place in PLACES.values()])[kind] * draws.uniform(low=0.7, high=1.3)
    place = _places(bank.kit, building, kind, torch.ones(len(seeds)))
    gap = (0.09 * focus).clamp(0.06, 0.3)
    near = distances(place.solids, torch.zeros(len(seeds), 1, 3))[:, 0] < gap[:, None]
    solids = without(place.solids, near | _of_things(place.solids, near))
    structure = without(solids, solids.item >= 0)

    def free(points: Tensor) -> Tensor:
        above = points[..., 1] < (place.ground - 0.5 * gap)[:, None]
        apart = (distances(solids, points) > gap[:, None, None]).all(-1)
        return above & apart & _on_this_side(structure, points)

    world_from_cam, K = aim(focus, free)
    light = draw_light(draws, place.ground, place.ceiling, bank.materials)
    shot = _Shot(place._replace(solids=solids), light, draw_film(draws), world_from_cam, K)
    images, depth = _filmed(shot, bank, hw, PLAIN)
    return images, Camera(world_from_cam, K, hw), depth


def _on_this_side(structure: Solids, points: Tensor) -> Tensor:
    """Whether nothing of a place's structure stands between the origin and `points` [B, n, 3]: [B, n].

    No wall is crossed where each of a row of points keeps half their spacing from all of them.
    """
    steps = torch.arange(1, _STEPS + 1) / _STEPS
    row = (points[:, :, None] * steps[:, None]).flatten(1, 2)  # [B, n _STEPS, 3]
    apart = distances(structure, row).amin(-1).unflatten(1, (-1, _STEPS))
    return (apart[..., :-1] > 0.5 * points.norm(dim=-1, keepdim=True) / _STEPS).all(-1)


def _of_things(solids: Solids, met: Tensor) -> Tensor:
    """All solids [B, N] of the things of which one is `met` [B, N]."""
    thing, item = solids.item >= 0, solids.item.clamp_min(0)
    share = (met & thing).float()
    return thing & (torch.zeros_like(share).scatter_reduce(1, item, share, "amax").gather(1, item) > 0)


@functools.cache
def _banks(split: str, device: torch.device = CPU) -> _Banks:
    """The textures and objects of a split on a device; no other split has any of them."""
    if device != CPU:
        return _on(_banks(split), device)
    materials = material_bank(TEXTURES[split], BANK_SEEDS[split])
    return _Banks(Kit(object_bank(OBJECTS[split], BANK_SEEDS[split]), Finish.of_bank(materials)), materials)


def _on(bank: _Banks, device: torch.device) -> _Banks:
    objects, finish = bank.kit
    return _Banks(Kit(objects.to(device), finish.to(device)), bank.materials.to(device))


def _shot(tables: list[Draws], bank: _Banks, frames: int, hw: tuple[int, int], config: WorldConfig) -> _Shot:
    draws, building = tables
    kind = draws.choice(config.place_shares)
    focus = torch.tensor([place.focus for place in PLACES.values()])[kind] * draws.uniform(low=0.7, high=1.3)
    motion = draw_motion(draws, focus, frames, config.fps, config.motion_shares)
    fov = draw_fov(draws, motion.kind, frames, config.fov_degrees)
    place, world_from_cam = _clear(_places(bank.kit, building, kind, fov[:, 0]), motion, focus)
    light = draw_light(draws, place.ground, place.ceiling, bank.materials)
    return _Shot(place, light, draw_film(draws), world_from_cam, K_from_fov(fov, hw))


def _places(kit: Kit, draws: Draws, kind: Tensor, fov: Tensor) -> Place:
    """The place of every clip, each made by the maker of its kind."""
    made, rows = [], []
    for number, place in enumerate(PLACES.values()):
        chosen = (kind == number).nonzero()[:, 0]
        if len(chosen):
            made.append(place.make(kit, draws.of(chosen), fov[chosen]))
            rows.append(chosen)
    back = torch.cat(rows).argsort()
    solids = Solids(*(torch.cat(values)[back] for values in zip(*(place.solids for place in made), strict=True)))
    rest = [torch.cat(values)[back] for values in zip(*(place[1:] for place in made), strict=True)]
    return Place(solids, *rest)


def _clear(place: Place, motion: Motion, focus: Tensor) -> tuple[Place, Tensor]:
    """Takes away what stands in the camera's way, and shortens the path before what may not be taken away."""
    solids, gap = place.solids, (0.09 * focus).clamp(0.06, 0.3)
    apart = distances(solids, place_path(motion, torch.ones_like(focus))[..., :3, 3])  # [B, F, N]
    around_start = (apart[:, 0] < gap[:, None]) & (solids.item < 0)
    solids = without(solids, around_start | _of_things(solids, apart.amin(1) < gap[:, None]))
    world_from_cam = shortened(motion, lambda path: is_clear(solids, path, gap, place.ground))
    return place._replace(solids=solids), world_from_cam


def _some(value: _Shot, clips: slice) -> _Shot:
    """Some of the clips, in tables no longer than they need."""
    some = tree_map(lambda part: part[clips].clone(), value)
    return some._replace(place=some.place._replace(solids=compact(some.place.solids)))


def _near_depth(depth: Tensor) -> Tensor:
    """The NEAR_QUANTILE of depths [B, F, h, w] as `torch.quantile` has it, [B, F], without a full sort."""
    flat = depth.flatten(2)
    place = NEAR_QUANTILE * (flat.shape[2] - 1)
    nearest = flat.topk(int(place) + 2, dim=2, largest=False).values
    return torch.lerp(nearest[..., -2], nearest[..., -1], place - int(place))


def _filmed(shot: _Shot, bank: _Banks, hw: tuple[int, int], kernels: Kernels) -> tuple[Tensor, Tensor]:
    """Video [B, 3, F, h, w] in [-1, 1] and depth [B, F, h, w]."""
    light, depth = _expose(shot, bank.materials.texels, hw, kernels)
    return sharpened(kernels.develop(light, shot.film), shot.film.sharpen) * 2 - 1, depth


def _depths(place: Place, view: Views, size: int, samples: Tensor, kernels: Kernels) -> Tensor:
    """Depths [B, size^2] of one square view a clip."""
    hits = trace(place.solids, place.ground, view, (size, size), samples[:1], kernels.meet)
    return picture(hits.depth, (size, size), 1).flatten(1)


def _expose(shot: _Shot, texels: Tensor, hw: tuple[int, int], kernels: Kernels) -> tuple[Tensor, Tensor]:
    """Radiance [B, 3, F, h, w] and depth at pixel centres [B, F, h, w]."""
    place, light = shot.place, shot.light
    b, frames = shot.K.shape[:2]
    samples = SAMPLES.to(texels.device)
    shadows = Shadows(
        _depths(place, light.view, SHADOW_SIZE, samples, kernels),
        _depths(place, light.overhead, ABOVE_SIZE, samples, kernels),
    )
    views = Views(shot.world_from_cam[..., :3, :3], shot.world_from_cam[..., :3, 3], shot.K)
    hits = trace(place.solids, place.ground, views, hw, samples, kernels.meet)
    scenes = scene_tables(place.solids, place.ground, place.floor, light)
    centres = Hits(*(part[:, : TILE**2].contiguous() for part in hits))
    colour = kernels.shade(centres, rays_of(hits, views), scenes, light, shadows, texels)
    colour = torch.cat([picture(channel, hw, 1) for channel in colour], 1)  # [B F, 3, h, w]
    centre, corner = picture(hits.solid, hw, 2).unbind(1)
    pixels = kernels.antialiased(colour, centre, corner).reshape(b, frames, 3, *hw).transpose(1, 2)
    depth = picture(centres.depth, hw, 1).reshape(b, frames, *hw)
    return blurred(pixels, screen_motion(depth, shot.world_from_cam, shot.K), shot.film.shutter), depth

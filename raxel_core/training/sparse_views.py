"""A few photographs of one place from widely different sides, ray-traced: what Ray Diffusion is trained on here.

Each scene is a room of `synthetic` or a place of `world`; the cameras stand around a point of it and look there, each
with its own crop.
Everything is a function of the scene's seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from .synthetic import Scene, scene_layout, scene_textures, split_of, trace_scene
from .world.scenes import Aim, photograph_places

# Places tried for a camera, each nearer to the first one that is known to be free.
_TRIES = 12
# Uniform numbers of a try.
_DRAWS = 11
CLEARANCE = 0.25


@dataclass(frozen=True)
class ViewConfig:
    """How views are spread. Angles in degrees: cameras stand up to `azimuth` to either side of a middle one and up to
    `elevation` above and below it, nearer or farther by the factor `distance`; they miss what they look at by up to
    `aim` and lean by up to `roll`. Pictures have an angle of view of `fov` along their short side, and a crop shows
    `crop` of it.
    """

    azimuth: tuple[float, float] = (15.0, 80.0)
    elevation: tuple[float, float] = (-8.0, 30.0)
    distance: tuple[float, float] = (0.75, 1.3)
    aim: float = 5.0
    roll: float = 4.0
    fov: tuple[float, float] = (38.0, 75.0)
    crop: tuple[float, float] = (0.75, 1.0)


@dataclass(frozen=True)
class SparseViews:
    """`images` [B, N, 3, px, px] in [-1, 1]; `camera` [B, N] of those crops in world units; `ndc` [B, N, 2, grid, grid]
    where their rays pass in the whole pictures (PyTorch3D's x and y); `depth` [B, N, px, px] along the view axis, where
    it is known."""

    images: Tensor
    camera: Camera
    ndc: Tensor
    depth: Tensor | None = None


def render_views(
    seeds: Sequence[int], *, views: int, px: int, grid: int, scenes: str = "room", config: ViewConfig = ViewConfig()
) -> SparseViews:
    """`views` photographs of each seed's scene, seeds of one split; `scenes` is one of SCENES."""
    if scenes not in SCENES:
        raise ValueError(f"sparse views are of {' or '.join(SCENES)}, got {scenes!r}")
    draws = torch.stack([_uniform(seed, views) for seed in seeds])  # [B, views, tries, _DRAWS]
    K, ndc = _lenses(draws[:, :, 0], px, grid, config)

    def aim(focus: Tensor, free: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        return _cameras(draws, focus, free, config), K

    images, camera, depth = SCENES[scenes](seeds, aim, hw=(px, px))
    return SparseViews(images.transpose(1, 2), camera, ndc, depth)


def photograph_rooms(
    seeds: Sequence[int], aim: Aim, *, hw: tuple[int, int], symmetric: bool = False
) -> tuple[Tensor, Camera, Tensor]:
    """Photographs [B, 3, N, h, w] in [-1, 1] of `synthetic`'s rooms, their cameras [B, N], which `aim` chooses, and
    their depths [B, N, h, w] along the view axis. A `symmetric` room looks the same from four sides."""
    scene, focus = scene_layout(seeds)
    scene = _symmetric(scene, focus) if symmetric else scene
    world_from_cam, K = aim(focus, partial(_free, scene))
    colour, depth = trace_scene(scene, world_from_cam, K, hw, scene_textures(split_of(seeds)))
    return colour.movedim(-1, 1) * 2 - 1, Camera(world_from_cam, K, hw), depth


SCENES: Mapping[str, Callable[..., tuple[Tensor, Camera, Tensor]]] = MappingProxyType(
    {"room": photograph_rooms, "world": photograph_places, "symmetric": partial(photograph_rooms, symmetric=True)}
)


def _symmetric(scene: Scene, focus: Tensor) -> Scene:
    """The same rooms made square and plain, with one square box in the middle, at `focus` [B], and the light above it:
    a quarter turn about the middle changes no picture."""
    zero = torch.zeros_like(focus)
    half = 1.6 * focus
    wide = torch.maximum(scene.box_half[:, 0, 0], 0.2 * focus)
    tall = torch.maximum(scene.box_half[:, 0, 1], 0.2 * focus)
    box = torch.stack((wide, tall, wide), 1)[:, None].expand_as(scene.box_half)
    middle = torch.stack((zero, scene.room_high[:, 1] - tall, focus), 1)[:, None]
    kept = torch.zeros_like(scene.box_yaw)
    kept[:, 0] = 1.0  # the other things vanish inside the box
    walls = torch.tensor([0, 0, 2, 3, 0, 0, *range(6, scene.texture.shape[1])])
    return scene._replace(
        room_low=torch.stack((-half, scene.room_low[:, 1], focus - half), 1),
        room_high=torch.stack((half, scene.room_high[:, 1], focus + half), 1),
        box_center=middle.expand_as(scene.box_center), box_half=box * kept[..., None].clamp(min=0.01),
        sphere_center=middle.expand_as(scene.sphere_center), sphere_radius=torch.full_like(scene.sphere_radius, 1e-3),
        texture=scene.texture[:, walls], tint=scene.tint[:, walls], texture_offset=scene.texture_offset[:, walls],
        texture_scale=torch.full_like(scene.texture_scale, 1e-5),
        light=torch.stack((zero, 0.8 * scene.room_low[:, 1], focus), 1),
    )  # fmt: skip


def _uniform(seed: int, views: int) -> Tensor:
    """[views, tries, _DRAWS] uniform numbers of a seed."""
    generator = torch.Generator().manual_seed(int(seed) * 7919 + 1)
    return torch.rand(views, _TRIES, _DRAWS, generator=generator)


def _between(share: Tensor, limits: tuple[float, float]) -> Tensor:
    return limits[0] + (limits[1] - limits[0]) * share


def _cameras(draws: Tensor, focus: Tensor, free: Callable[[Tensor], Tensor], config: ViewConfig) -> Tensor:
    """world_from_cam [B, N, 4, 4]: for each view the first place that is free, around the point at distance `focus`
    ahead of the scene's start; the start itself is always free."""
    calm = torch.linspace(1.0, 0.0, _TRIES)
    spread = _between(draws[:, :1, :1, 6], config.azimuth).deg2rad()
    azimuth = (2 * draws[..., 0] - 1) * spread * calm
    elevation = _between(draws[..., 1], config.elevation).deg2rad() * calm
    radius = focus[:, None, None] * torch.lerp(torch.ones(()), _between(draws[..., 2], config.distance), calm)
    target = torch.stack((torch.zeros_like(focus), torch.zeros_like(focus), focus), -1)[:, None, None]
    around = torch.stack((elevation.cos() * azimuth.sin(), -elevation.sin(), -elevation.cos() * azimuth.cos()), dim=-1)
    position = target + radius[..., None] * around
    clear = free(position.flatten(1, 2)).unflatten(1, position.shape[1:3])
    clear[..., -1] = True
    chosen = clear.float().argmax(-1)[..., None, None].expand(-1, -1, 1, 3)
    position = position.gather(2, chosen)[:, :, 0]
    forward = torch.nn.functional.normalize(target[:, :, 0] - position, dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0]).expand_as(forward)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward, dim=-1), dim=-1)
    looking = torch.stack((right, torch.linalg.cross(forward, right, dim=-1), forward), -1)
    limits = torch.tensor([config.aim, config.aim, config.roll]).deg2rad()
    turn = se3.so3_exp((2 * draws[:, :, 0, 3:6] - 1) * limits)
    return se3.from_rotation_translation(looking @ turn, position)


def _free(scene: Scene, position: Tensor) -> Tensor:
    """[B, n] whether `position` [B, n, 3] keeps clear of a room's walls and objects."""
    low, high = scene.room_low[:, None] + CLEARANCE, scene.room_high[:, None] - CLEARANCE
    inside = ((position > low) & (position < high)).all(-1)
    centers = torch.cat([scene.box_center, scene.sphere_center], 1)[:, None]
    reach = torch.cat([scene.box_half.norm(dim=2), scene.sphere_radius], 1)[:, None] + CLEARANCE
    return inside & ((position[..., None, :] - centers).norm(dim=-1) > reach).all(-1)


def _lenses(draws: Tensor, px: int, grid: int, config: ViewConfig) -> tuple[Tensor, Tensor]:
    """K [B, N, 3, 3] of crops of `px` and their places [B, N, 2, grid, grid] in pictures, from `draws` [B, N, _DRAWS].

    All pictures of a scene are taken through one lens; in NDC a crop has its middle at c and is 2 s wide.
    """
    half_fov = _between(draws[:, :1, 7], config.fov).deg2rad() / 2
    focal = (1.0 / half_fov.tan()).expand(draws.shape[:2])  # in half short sides
    size = _between(draws[..., 8], config.crop)
    middle = (2 * draws[..., 9:] - 1) * (1 - size[..., None])
    pixel = px / (2 * size)  # pixels of the crop in half a short side
    K = torch.zeros(*focal.shape, 3, 3)
    K[..., 0, 0] = K[..., 1, 1] = focal * pixel
    # NDC rise to the left and up; the picture's middle, NDC 0, lies at c of the crop's half size from its own.
    K[..., :2, 2] = px / 2 + middle * pixel[..., None]
    K[..., 2, 2] = 1.0
    steps = 1.0 - (torch.arange(grid) + 0.5) * (2.0 / grid)
    x = (steps * size[..., None] + middle[..., :1])[..., None, :].expand(*focal.shape, grid, grid)
    y = (steps * size[..., None] + middle[..., 1:])[..., :, None].expand(*focal.shape, grid, grid)
    return K, torch.stack((x, y), 2)

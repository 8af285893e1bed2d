"""Ray-traced rooms with textured boxes and spheres, seen by a moving camera whose pose and focal are exact.

Every scene is a function of its seed alone: layout, textures, light, path and focal come from one table of uniform
numbers, so a clip is the same in any batch. Seeds are split by range, and each split has its own textures, so a test
scene shares neither geometry nor surfaces with training. Lengths are world units of the scene (a room is 8 to 14 wide);
`near_depth` gives the length by which a clip is divided to be in near-depth units.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera, K_from_fov
from .textures import TextureBank, texture_bank

SPLITS = {
    "train": range(0, 100_000_000),
    "validation": range(100_000_000, 101_000_000),
    "test": range(101_000_000, 102_000_000),
}
BANK_SIZES = {"train": 448, "validation": 112, "test": 112}
PATH_KINDS = ("pan", "truck", "look_at", "free", "dolly", "handheld")
DRAWS = 320
CLEARANCE = 0.3
NEAR_QUANTILE = 0.25


@dataclass(frozen=True)
class SceneConfig:
    """What scenes look like. Angles in degrees, lengths in world units, shares in [0, 1]."""

    boxes: int = 4
    spheres: int = 2
    fov_degrees: tuple[float, float] = (40.0, 100.0)
    zoom_share: float = 0.12
    texture_scale: tuple[float, float] = (0.05, 0.15)
    rotation_degrees: float = 20.0
    translation: float = 0.5
    kind_shares: tuple[float, ...] = (0.16, 0.16, 0.22, 0.32, 0.10, 0.04)

    def __post_init__(self) -> None:
        if len(self.kind_shares) != len(PATH_KINDS) or abs(sum(self.kind_shares) - 1) > 1e-6:
            raise ValueError(f"kind_shares needs {len(PATH_KINDS)} shares that sum to 1, got {self.kind_shares}")


EASY_SCENES = SceneConfig(
    boxes=3, spheres=1, fov_degrees=(60.0, 90.0), zoom_share=0.0, texture_scale=(0.05, 0.11),
    kind_shares=(0.18, 0.18, 0.22, 0.32, 0.10, 0.0),
)  # fmt: skip
SCENES = SceneConfig()


@dataclass(frozen=True)
class SyntheticBatch:
    """`video` [B, 3, F, H, W] in [-1, 1]; `camera` [B, F], world units; `depth` [B, F, H, W] along the view axis, world
    units; `near_depth` [B, F]: the 25th percentile of each frame's depth."""

    video: Tensor
    camera: Camera
    depth: Tensor
    near_depth: Tensor


class Scene(NamedTuple):
    """B scenes as tensors: surfaces are ordered room faces (6), boxes, spheres."""

    room_low: Tensor  # [B, 3]
    room_high: Tensor  # [B, 3]
    box_center: Tensor  # [B, N, 3]
    box_half: Tensor  # [B, N, 3]
    box_yaw: Tensor  # [B, N]
    sphere_center: Tensor  # [B, M, 3]
    sphere_radius: Tensor  # [B, M]
    texture: Tensor  # [B, 6 + N + M] index into the bank
    texture_scale: Tensor  # [B, 6 + N + M] repeats per world unit
    texture_offset: Tensor  # [B, 6 + N + M, 2]
    tint: Tensor  # [B, 6 + N + M, 3]
    light: Tensor  # [B, 3]
    ambient: Tensor  # [B]


class _Draws:
    """Reads a table of uniform numbers [B, DRAWS] column by column."""

    def __init__(self, seeds: Sequence[int]) -> None:
        generator = torch.Generator()
        self.table = torch.stack([torch.rand(DRAWS, generator=generator.manual_seed(int(s))) for s in seeds])
        self.used = 0

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """[B, *shape] uniform in [low, high)."""
        count = math.prod(shape)
        if self.used + count > DRAWS:
            raise ValueError(f"a scene needs more than {DRAWS} numbers: {self.used} used, {count} asked for")
        part = self.table[:, self.used : self.used + count].reshape(-1, *shape)
        self.used += count
        return part * (high - low) + low

    def signed(self, *shape: int) -> Tensor:
        """[B, *shape] with a peak at zero and tails to +-2: the difference of two uniforms, twice."""
        return 2 * (self.uniform(*shape) - self.uniform(*shape))


def render_scenes(
    seeds: Sequence[int],
    *,
    frames: int = 17,
    hw: tuple[int, int] = (64, 64),
    config: SceneConfig = SCENES,
    device: torch.device | str = "cpu",
    fast: bool = False,
) -> SyntheticBatch:
    """One clip per seed; all seeds of one split. `fast` compiles the tracer first (a C++ compiler is needed on a CPU),
    once for each size of a batch; pictures differ by some parts in 10^5. ValueError where a seed is outside every
    split or the seeds mix splits."""
    split = split_of(seeds)
    draws = _Draws(seeds)
    fov = _field_of_view(draws, frames, config)
    scene, focus = _scene(draws, config, len(_bank(split)), fov[:, 0])
    world_from_cam = _path(draws, scene, focus, frames, config)
    camera = Camera(world_from_cam, K_from_fov(fov, hw), hw)
    bank = _bank(split).to(device)
    trace = _compiled_trace() if fast else trace_scene
    colour, depth = trace(
        Scene(*(part.to(device) for part in scene)), world_from_cam.to(device), camera.K.to(device), hw, bank.texels
    )
    near = torch.quantile(depth.flatten(2), NEAR_QUANTILE, dim=2)
    return SyntheticBatch(colour.permute(0, 4, 1, 2, 3) * 2 - 1, camera.to(device), depth, near)


def split_of(seeds: Sequence[int]) -> str:
    """The split that holds every seed; ValueError otherwise."""
    for name, span in SPLITS.items():
        if all(int(seed) in span for seed in seeds):
            return name
    raise ValueError(f"seeds {min(seeds)} to {max(seeds)} do not all lie in one split: {SPLITS}")


def scene_layout(seeds: Sequence[int], config: SceneConfig = SCENES) -> tuple[Scene, Tensor]:
    """The scenes of `seeds` alone, around a camera at the origin that looks along +z, and the distance [B] of what it
    looks at; all seeds of one split."""
    draws = _Draws(seeds)
    fov = _field_of_view(draws, 1, config)
    return _scene(draws, config, len(_bank(split_of(seeds))), fov[:, 0])


def scene_textures(split: str) -> Tensor:
    """The texels of a split's bank of textures, as `trace_scene` takes them."""
    return _bank(split).texels


@functools.cache
def _bank(split: str) -> TextureBank:
    return texture_bank(BANK_SIZES[split], SPLITS[split].start)


# ---------------------------------------------------------------------------------------------- layout and path


def _field_of_view(draws: _Draws, frames: int, config: SceneConfig) -> Tensor:
    """Horizontal field of view per frame [B, F], radians; some clips zoom by up to 1.35 in focal length."""
    low, high = (math.radians(a) for a in config.fov_degrees)
    start = draws.uniform(low=low, high=high)
    zooms = draws.uniform() < config.zoom_share
    log_ratio = draws.uniform(low=-0.3, high=0.3) * zooms
    ramp = torch.linspace(0, 1, frames)
    focal = torch.exp(log_ratio[:, None] * ramp) / torch.tan(start / 2)[:, None]
    return (2 * torch.atan(1 / focal)).clamp(math.radians(35), math.radians(105))


def _scene(draws: _Draws, config: SceneConfig, textures: int, fov: Tensor) -> tuple[Scene, Tensor]:
    """Layout around a camera that starts at the origin and looks along +z; `focus` [B] is the distance of the first
    object, the scale of the path. Axes: x right, y down, z forward."""
    n, m = config.boxes, config.spheres
    low = -torch.stack(
        [draws.uniform(low=2.5, high=6), draws.uniform(low=0.9, high=2.4), draws.uniform(low=1.5, high=4)], 1
    )
    high = torch.stack(
        [draws.uniform(low=2.5, high=6), draws.uniform(low=0.7, high=1.5), draws.uniform(low=4.5, high=9)], 1
    )
    distance = draws.uniform(n + m, low=1.3, high=4.5)
    focus = distance[:, 0]
    spread = 0.75 * torch.tan(fov / 2)[:, None]
    across = distance * spread * draws.uniform(n + m, low=-1, high=1)
    size = distance[..., None] * draws.uniform(n + m, 3, low=0.07, high=0.26)
    size[:, n:] = size[:, n:, :1]
    on_floor = draws.uniform(n + m) < 0.65
    floating = distance * spread * draws.uniform(n + m, low=-0.7, high=0.7)
    down = torch.where(on_floor, high[:, 1:2] - size[..., 1], floating)
    center = torch.stack([across, down, distance], 2)
    margin = size.amax(2, keepdim=True) * 0.5
    center = torch.maximum(torch.minimum(center, high[:, None] - margin), low[:, None] + margin)
    surfaces = 6 + n + m
    scale = draws.uniform(surfaces, low=config.texture_scale[0], high=config.texture_scale[1])
    scale[:, 6:] = scale[:, 6:] * 2  # objects are smaller than walls
    scene = Scene(
        low, high, center[:, :n], size[:, :n], draws.uniform(n, low=-math.pi, high=math.pi),
        center[:, n:], size[:, n:, 0],
        (draws.uniform(surfaces) * textures).long().clamp(max=textures - 1),
        scale, draws.uniform(surfaces, 2), draws.uniform(surfaces, 3, low=0.75, high=1.15),
        torch.lerp(low, high, draws.uniform(3, low=0.15, high=0.85) * torch.tensor([1.0, 0.4, 1.0])),
        draws.uniform(low=0.35, high=0.7),
    )  # fmt: skip
    return scene, focus


def _path(draws: _Draws, scene: Scene, focus: Tensor, frames: int, config: SceneConfig) -> Tensor:
    """world_from_cam [B, F, 4, 4]: a smooth path of one of PATH_KINDS, shortened until it hits nothing."""
    edges = torch.tensor(config.kind_shares).cumsum(0)
    kind = torch.bucketize(draws.uniform() * (1 - 1e-6), edges, right=True).clamp(max=len(PATH_KINDS) - 1)
    is_kind = {name: kind == i for i, name in enumerate(PATH_KINDS)}
    time = torch.linspace(0, 1, frames)
    ramp = time ** torch.exp(draws.uniform(1, low=-0.4, high=0.4))  # [B, F] uneven speed
    bend = torch.sin(math.pi * ramp)
    turn = draws.signed(3) * torch.tensor([0.55, 1.0, 0.4]) * math.radians(config.rotation_degrees)
    turn = turn * _pick(is_kind, pan=1.5, free=1.0, look_at=0.25, dolly=0.25)
    shift = draws.signed(3) * torch.tensor([1.0, 0.6, 0.9]) * config.translation * focus[:, None]
    shift = shift * _pick(is_kind, truck=1.0, free=0.8, look_at=1.2, dolly=1.0)
    shift = torch.where(is_kind["dolly"][:, None], shift * torch.tensor([0.15, 0.15, 1.5]), shift)
    curl = 0.25 * draws.signed(6)
    shake = _shake(draws, time) * (is_kind["handheld"] | (draws.uniform() < 0.3))[:, None, None]
    turning = (
        ramp[..., None] * turn[:, None] + bend[..., None] * (curl[:, :3] * turn.norm(dim=1, keepdim=True))[:, None]
    )
    moving = (
        ramp[..., None] * shift[:, None] + bend[..., None] * (curl[:, 3:] * shift.norm(dim=1, keepdim=True))[:, None]
    )
    start = se3.so3_exp(draws.signed(3) * torch.tensor([0.12, 0.15, 0.08]))
    lengths = torch.tensor([1.0, 0.6, 0.35, 0.2, 0.1, 0.0])[:, None, None, None]
    at = lengths * moving  # [lengths, B, F, 3]
    keep = _free_of_collision(scene, at).float().argmax(0)  # the longest path that hits nothing
    position = at[keep, torch.arange(len(keep))] + 0.02 * focus[:, None, None] * shake[..., 3:]
    rotation = start[:, None].expand(-1, frames, -1, -1)
    target = start[:, :, 2] * focus[:, None]
    looking = level_look(target[:, None] - position) @ level_look(target)[:, None].mT @ rotation
    rotation = torch.where(is_kind["look_at"][:, None, None, None], looking, rotation)
    rotation = rotation @ se3.so3_exp(turning + math.radians(1.2) * shake[..., :3])
    return se3.from_rotation_translation(rotation, position)


def _pick(is_kind: dict[str, Tensor], **amount: float) -> Tensor:
    """[B, 1]: the amount named for each clip's kind, 0 where none is."""
    return torch.stack([is_kind[name] * value for name, value in amount.items()]).sum(0)[:, None]


def _shake(draws: _Draws, time: Tensor) -> Tensor:
    """Band-limited hand shake [B, F, 6] (rotation, translation), zero at the first frame, about unit amplitude."""
    phase = draws.uniform(3, 6, high=2 * math.pi)
    cycles = draws.uniform(3, 1, low=0.5, high=2.5)
    angle = 2 * math.pi * cycles[:, None] * time[None, :, None, None] + phase[:, None]
    return (torch.sin(angle) - torch.sin(phase[:, None])).mean(2)


def level_look(forward: Tensor) -> Tensor:
    """World-from-camera rotation [..., 3, 3] whose z axis is `forward` [..., 3] and whose x axis is level."""
    z = torch.nn.functional.normalize(forward, dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0]).expand_as(z)
    x = torch.nn.functional.normalize(torch.linalg.cross(down, z, dim=-1), dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x, dim=-1), z], -1)


def _free_of_collision(scene: Scene, position: Tensor) -> Tensor:
    """[L, B] whether a path `position` [L, B, F, 3] keeps CLEARANCE to walls and objects."""
    inside = ((position > scene.room_low[:, None] + CLEARANCE) & (position < scene.room_high[:, None] - CLEARANCE)).all(
        -1
    )
    centers = torch.cat([scene.box_center, scene.sphere_center], 1)[:, None]
    reach = torch.cat([scene.box_half.norm(dim=2), scene.sphere_radius], 1)[:, None] + CLEARANCE
    clear = ((position[..., None, :] - centers).norm(dim=-1) > reach).all(-1)
    free = (inside & clear).all(-1)
    free[-1] = True  # standing still is the last resort
    return free


# ---------------------------------------------------------------------------------------------- ray tracing


@functools.cache
def _compiled_trace() -> Callable[..., tuple[Tensor, Tensor]]:
    return torch.compile(trace_scene, dynamic=False)


class _Hit(NamedTuple):
    """Nearest surface so far along each ray."""

    distance: Tensor  # [B, F, P]
    surface: Tensor  # [B, F, P] index into the scene's surfaces
    u: Tensor  # [B, F, P] texture coordinates, world units
    v: Tensor
    normal: tuple[Tensor, Tensor, Tensor]


def trace_scene(
    scene: Scene, world_from_cam: Tensor, K: Tensor, hw: tuple[int, int], texels: Tensor
) -> tuple[Tensor, Tensor]:
    """Colours [B, F, H, W, 3] in [0, 1] and depths along the view axis [B, F, H, W] at pixel centres."""
    h, w = hw
    y, x = torch.meshgrid(torch.arange(h, device=K.device) + 0.5, torch.arange(w, device=K.device) + 0.5, indexing="ij")
    local_x = (x.reshape(-1) - K[..., 0, 2, None]) / K[..., 0, 0, None]
    local_y = (y.reshape(-1) - K[..., 1, 2, None]) / K[..., 1, 1, None]
    length = torch.sqrt(local_x**2 + local_y**2 + 1)
    rotation, center = world_from_cam[..., :3, :3], world_from_cam[..., :3, 3]
    direction = tuple(
        (rotation[..., i, 0, None] * local_x + rotation[..., i, 1, None] * local_y + rotation[..., i, 2, None]) / length
        for i in range(3)
    )
    origin = tuple(center[..., i, None] for i in range(3))
    hit = _hit_room(scene, origin, direction)
    for i in range(scene.box_yaw.shape[1]):
        hit = _hit_box(scene, i, origin, direction, hit)
    for i in range(scene.sphere_radius.shape[1]):
        hit = _hit_sphere(scene, i, origin, direction, hit)
    pixel_angle = 1 / (K[..., 0, 0, None] * length)
    colour = _shade(scene, origin, direction, hit, pixel_angle, texels)
    shape = (*hit.distance.shape[:2], h, w)
    return colour.reshape(*shape, 3), (hit.distance / length).reshape(shape)


Axes = tuple[Tensor, ...]


def _dot(a: Axes, b: Axes) -> Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _each(values: Tensor, i: int) -> Tensor:
    """Component i of [B, 3] as [B, 1, 1], to meet [B, F, P]."""
    return values[:, i, None, None]


def _safe(direction: Tensor) -> Tensor:
    return torch.where(direction.abs() < 1e-6, torch.full_like(direction, 1e-6), direction)


def _hit_room(scene: Scene, origin: Axes, direction: Axes) -> _Hit:
    exits = [
        (torch.where(d > 0, _each(scene.room_high, i), _each(scene.room_low, i)) - o) / _safe(d)
        for i, (o, d) in enumerate(zip(origin, direction, strict=True))
    ]
    distance = torch.minimum(torch.minimum(exits[0], exits[1]), exits[2])
    on_x, on_y = exits[0] <= distance, exits[1] <= distance
    point = [o + distance * d for o, d in zip(origin, direction, strict=True)]
    zero = torch.zeros_like(distance)
    far = [(d > 0).long() for d in direction]
    surface = torch.where(on_x, far[0], torch.where(on_y, 2 + far[1], 4 + far[2]))
    u = torch.where(on_x, point[2], point[0])
    v = torch.where(on_y & ~on_x, point[2], point[1])
    sign = [1 - 2.0 * f for f in far]
    normal = (torch.where(on_x, sign[0], zero), torch.where(on_y & ~on_x, sign[1], zero),
              torch.where(on_x | on_y, zero, sign[2]))  # fmt: skip
    return _Hit(distance, surface, u, v, normal)


def _hit_box(scene: Scene, index: int, origin: Axes, direction: Axes, best: _Hit) -> _Hit:
    cos, sin = torch.cos(scene.box_yaw[:, index, None, None]), torch.sin(scene.box_yaw[:, index, None, None])
    center, half = scene.box_center[:, index], scene.box_half[:, index]
    o = [o - _each(center, i) for i, o in enumerate(origin)]
    o = [cos * o[0] - sin * o[2], o[1], sin * o[0] + cos * o[2]]
    d = [cos * direction[0] - sin * direction[2], direction[1], sin * direction[0] + cos * direction[2]]
    inverse = [1 / _safe(axis) for axis in d]
    enter = [-o[i] * inverse[i] - _each(half, i) * inverse[i].abs() for i in range(3)]
    leave = [-o[i] * inverse[i] + _each(half, i) * inverse[i].abs() for i in range(3)]
    near = torch.maximum(torch.maximum(enter[0], enter[1]), enter[2])
    far = torch.minimum(torch.minimum(leave[0], leave[1]), leave[2])
    nearer = (near < far) & (near > 1e-3) & (near < best.distance)
    on_x, on_y = enter[0] >= near, enter[1] >= near
    point = [o[i] + near * d[i] for i in range(3)]
    u = torch.where(on_x, point[2], point[0])
    v = torch.where(on_y & ~on_x, point[2], point[1])
    zero = torch.zeros_like(near)
    local = (torch.where(on_x, -torch.sign(d[0]), zero), torch.where(on_y & ~on_x, -torch.sign(d[1]), zero),
             torch.where(on_x | on_y, zero, -torch.sign(d[2])))  # fmt: skip
    normal = (cos * local[0] + sin * local[2], local[1], -sin * local[0] + cos * local[2])
    return _nearest(nearer, _Hit(near, torch.full_like(best.surface, 6 + index), u, v, normal), best)


def _hit_sphere(scene: Scene, index: int, origin: Axes, direction: Axes, best: _Hit) -> _Hit:
    radius = scene.sphere_radius[:, index, None, None]
    o = tuple(o - _each(scene.sphere_center[:, index], i) for i, o in enumerate(origin))
    along = -_dot(o, direction)
    gap = _dot(o, o) - radius**2
    discriminant = along**2 - gap
    near = along - torch.sqrt(discriminant.clamp_min(0))
    nearer = (discriminant > 0) & (near > 1e-3) & (near < best.distance)
    normal = tuple((o[i] + near * direction[i]) / radius for i in range(3))
    u = torch.atan2(normal[0], normal[2]) * radius
    v = torch.asin(normal[1].clamp(-1, 1)) * radius
    surface = torch.full_like(best.surface, 6 + scene.box_yaw.shape[1] + index)
    return _nearest(nearer, _Hit(near, surface, u, v, (normal[0], normal[1], normal[2])), best)


def _nearest(nearer: Tensor, hit: _Hit, best: _Hit) -> _Hit:
    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(nearer, a, b)

    normal = (
        pick(hit.normal[0], best.normal[0]),
        pick(hit.normal[1], best.normal[1]),
        pick(hit.normal[2], best.normal[2]),
    )
    return _Hit(pick(hit.distance, best.distance), pick(hit.surface, best.surface), pick(hit.u, best.u),
                pick(hit.v, best.v), normal)  # fmt: skip


def _of_surface(values: Tensor, surface: Tensor) -> Tensor:
    """values [B, S] at surface [B, F, P] -> [B, F, P]."""
    return torch.gather(values, 1, surface.flatten(1)).reshape(surface.shape)


def _shade(scene: Scene, origin: Axes, direction: Axes, hit: _Hit, pixel_angle: Tensor, texels: Tensor) -> Tensor:
    """Texture times a point light's Lambert term, [B, F, P, 3]."""
    point = [o + hit.distance * d for o, d in zip(origin, direction, strict=True)]
    to_light = tuple(_each(scene.light, i) - point[i] for i in range(3))
    length = torch.sqrt(_dot(to_light, to_light) + 1e-6)
    lambert = (_dot(to_light, hit.normal) / length).clamp_min(0)
    ambient = scene.ambient[:, None, None]
    brightness = ambient + (1.25 - ambient) * lambert / (1 + 0.02 * length**2)
    facing = _dot(direction, hit.normal).abs().clamp_min(0.15)
    scale = _of_surface(scene.texture_scale, hit.surface)
    u = hit.u * scale + _of_surface(scene.texture_offset[..., 0], hit.surface)
    v = hit.v * scale + _of_surface(scene.texture_offset[..., 1], hit.surface)
    footprint = hit.distance * pixel_angle * scale * torch.rsqrt(facing)
    rgb = _sample(texels, _of_surface(scene.texture, hit.surface), u, v, footprint)
    tint = torch.stack([_of_surface(scene.tint[..., i], hit.surface) for i in range(3)], -1)
    return (rgb * tint * brightness[..., None]).clamp(0, 1)


def _sample(texels: Tensor, texture: Tensor, u: Tensor, v: Tensor, footprint: Tensor) -> Tensor:
    """Trilinear, wrapping texture lookup [B, F, P, 3]; `footprint` is a pixel's width in repeats of the texture."""
    resolution, levels = TextureBank.resolution, TextureBank.levels
    level = torch.log2((footprint * resolution).clamp_min(1e-6)).clamp(0, levels - 1.001)
    base = level.floor()
    fine = _bilinear(texels, texture, u, v, base.long())
    coarse = _bilinear(texels, texture, u, v, base.long() + 1)
    return torch.lerp(fine, coarse, (level - base)[..., None])


def _bilinear(texels: Tensor, texture: Tensor, u: Tensor, v: Tensor, level: Tensor) -> Tensor:
    size = torch.bitwise_right_shift(torch.full_like(level, TextureBank.resolution), level)
    # the levels before this one hold R^2 (1 + 1/4 + ...) = 4/3 (R^2 - size^2) texels
    offset = (TextureBank.resolution**2 - size * size) * 4 // 3 + texture * texels.shape[1]
    x, y = u * size - 0.5, v * size - 0.5
    x0, y0 = x.floor(), y.floor()
    wx, wy = (x - x0)[..., None], (y - y0)[..., None]
    mask = size - 1
    left, top = x0.long() & mask, y0.long() & mask
    right, bottom = (left + 1) & mask, (top + 1) & mask
    flat = texels.reshape(-1, 3)
    upper = torch.lerp(flat[offset + top * size + left], flat[offset + top * size + right], wx)
    lower = torch.lerp(flat[offset + bottom * size + left], flat[offset + bottom * size + right], wx)
    return torch.lerp(upper, lower, wy)

"""Clips with exact cameras for the solver: textured planes, boxes and walking figures, ray-cast pixel by pixel.

Everything follows from a seed. A surface is a parallelogram: with its corner P and edges a, b in the camera's frame, the
ray r of a pixel meets it at (s, t) = (m1 r / m3 r, m2 r / m3 r), M = [a b P]^-1, at the depth 1 / (m3 r), which is exact
in front of the camera and behind it. Pictures are drawn at twice the size and averaged, textures from a pyramid.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.camera_path import path_to_json
from raxel_core.video_io import write_video

HW = (270, 480)
FRAMES = 36
_OVERSAMPLING = 2
_TEXTURES = 12
_TEXELS = 512


@dataclass(frozen=True)
class Surface:
    """A parallelogram of the world: `corner`, edges `a` and `b` [3], the number of its texture, repeats along a and b,
    and how it moves: `offset(frame)` [3]. A `figure` is cut out in the shape of a person."""

    corner: np.ndarray
    a: np.ndarray
    b: np.ndarray
    texture: int
    repeats: tuple[float, float] = (1.0, 1.0)
    offset: Callable[[float], np.ndarray] | None = None
    figure: bool = False


@dataclass(frozen=True)
class RenderedClip:
    """A clip by name: its `camera` [F], its surfaces, the radial distortion k1 of its lens, and whether people walk."""

    name: str
    camera: Camera
    surfaces: tuple[Surface, ...]
    seed: int
    k1: float = 0.0
    noise: float = 1.0

    def frames(self) -> Iterator[np.ndarray]:
        """The frames, uint8 [H, W, 3]."""
        textures, random, rays = _textures(self.seed), np.random.default_rng(self.seed + 1), _rays(self)
        for frame in range(len(self.camera)):
            picture = _draw(self, frame, textures, rays)
            noisy = picture + random.normal(0.0, self.noise, picture.shape)
            yield noisy.round().clip(0, 255).astype(np.uint8)


def room(seed: int, *, boxes: int = 9, people: int = 0, planar: bool = False) -> tuple[Surface, ...]:
    """A room 12 wide, 5 high and 16 deep with boxes from 2.5 to 9 in front of the origin, eyes 1.6 above the floor."""
    random = np.random.default_rng(seed)
    walls = [
        _surface((-6, 1.6, -4), (12, 0, 0), (0, 0, 16), 0, (2, 2)),
        _surface((-6, -3.4, 12), (12, 0, 0), (0, 5, 0), 1, (2, 1)),
        _surface((-6, -3.4, -4), (0, 0, 16), (0, 5, 0), 2, (2, 1)),
        _surface((6, -3.4, -4), (0, 0, 16), (0, 5, 0), 3, (2, 1)),
        _surface((-6, -3.4, -4), (12, 0, 0), (0, 0, 16), 4, (2, 2)),
        _surface((-6, -3.4, -4), (12, 0, 0), (0, 5, 0), 5, (2, 1)),
    ]
    if planar:
        return tuple(walls[1:2])
    for number in range(boxes):
        angle = random.uniform(-0.62, 0.62)
        distance = random.uniform(2.8, 9.0)
        walls += _box(
            (distance * math.sin(angle), 1.6, distance * math.cos(angle)),
            random.uniform(0.35, 1.0, 3) * (1.0, 2.2, 1.0),
            random.uniform(0, math.pi),
            6 + number % 4,
        )
    for number in range(people):
        walls.append(_person(random, number))
    return tuple(walls)


def clip(
    name: str,
    motion: Callable[[float], tuple[np.ndarray, np.ndarray]],
    *,
    seed: int,
    fov_degrees: float = 60.0,
    frames: int = FRAMES,
    hw: tuple[int, int] = HW,
    people: int = 0,
    planar: bool = False,
    k1: float = 0.0,
) -> RenderedClip:
    """A clip whose camera at the share s of its time stands at `motion(s)` = (centre [3], rotation vector [3])."""
    poses = [motion(frame / max(frames - 1, 1)) for frame in range(frames)]
    center, turn = (torch.from_numpy(np.stack(part)).double() for part in zip(*poses, strict=True))
    camera = Camera(
        se3.from_rotation_translation(se3.so3_exp(turn), center),
        K_from_fov(torch.tensor(math.radians(fov_degrees), dtype=torch.float64), hw),
        hw,
    )
    return RenderedClip(name, camera, room(seed, people=people, planar=planar), seed, k1)


def all_clips(hw: tuple[int, int] = HW) -> tuple[RenderedClip, ...]:
    """The 26 clips of the table: 20 that move, three tripod pans, three stills."""
    degrees = math.pi / 180

    def path(center: tuple[float, float, float], turn: tuple[float, float, float]) -> Callable:
        return lambda s: (np.array(center) * s, np.array(turn) * degrees * s)

    def orbit(angle: float, radius: float, height: float = 0.0) -> Callable:
        def motion(s: float) -> tuple[np.ndarray, np.ndarray]:
            turn = angle * degrees * s
            center = np.array([radius * math.sin(turn), height * s, radius * (1 - math.cos(turn))])
            return center, np.array([0.0, -turn, 0.0])

        return motion

    def handheld(center: tuple[float, float, float], amount: float) -> Callable:
        def motion(s: float) -> tuple[np.ndarray, np.ndarray]:
            wobble = [
                math.sin(2 * math.pi * (rate * s + phase)) for rate, phase in ((3.1, 0.0), (2.3, 0.3), (4.2, 0.7))
            ]
            return np.array(center) * s + 0.02 * np.array(wobble), amount * degrees * np.array(wobble[::-1])

        return motion

    moving = {
        "truck": (path((1.2, 0, 0), (0, 0, 0)), {}),
        "truck_left_wide": (path((-1.0, 0, 0), (0, 5, 0)), {"fov_degrees": 85.0}),
        "dolly_in": (path((0.1, 0, 1.2), (0, 0, 0)), {}),
        "dolly_out_pan": (path((0, 0, -1.0), (0, 12, 0)), {}),
        "pedestal": (path((0, -0.8, 0), (-4, 0, 0)), {}),
        "crane": (path((0.3, -0.8, 0.6), (-10, 4, 0)), {"fov_degrees": 70.0}),
        "orbit_20": (orbit(20, 4.0), {}),
        "orbit_45": (orbit(45, 4.0), {"fov_degrees": 50.0}),
        "orbit_rise": (orbit(-30, 4.5, -0.6), {}),
        "roll_truck": (path((0.8, 0, 0.2), (0, 0, 20)), {}),
        "tele_truck": (path((0.7, 0, 0), (0, -3, 0)), {"fov_degrees": 32.0}),
        "walk": (handheld((0.4, 0, 1.4), 1.0), {}),
        "handheld": (handheld((0.2, 0, 0.3), 2.0), {"fov_degrees": 65.0}),
        "pan_truck": (path((0.8, 0, 0.3), (0, 25, 0)), {"fov_degrees": 75.0}),
        "slow": (path((0.25, 0, 0.1), (0, 2, 0)), {}),
        "distorted": (path((1.0, -0.2, 0.2), (0, -6, 0)), {"k1": -0.12, "fov_degrees": 70.0}),
    }
    peopled = {
        "people_truck": (path((1.0, 0, 0), (0, 0, 0)), {"people": 3}),
        "people_orbit": (orbit(25, 4.0), {"people": 3}),
        "people_walk": (handheld((0.3, 0, 1.2), 1.0), {"people": 4}),
        "people_crowd": (path((0.9, 0, 0.4), (0, 8, 0)), {"people": 6}),
    }
    turning = {
        "tripod_pan": (path((0, 0, 0), (0, 30, 0)), {}),
        "tripod_pan_tilt": (path((0, 0, 0), (10, 18, 0)), {"fov_degrees": 45.0}),
        "tripod_people": (path((0, 0, 0), (0, -24, 0)), {"people": 3}),
    }
    still = {
        "still": (path((0, 0, 0), (0, 0, 0)), {}),
        "still_people": (path((0, 0, 0), (0, 0, 0)), {"people": 3}),
        "still_tele": (path((0, 0, 0), (0, 0, 0)), {"fov_degrees": 30.0}),
    }
    table = {**moving, **peopled, **turning, **still}
    return tuple(
        clip(name, motion, seed=100 + number, hw=hw, **options)
        for number, (name, (motion, options)) in enumerate(table.items())
    )


def _surface(corner: object, a: object, b: object, texture: int, repeats: tuple[float, float] = (1, 1)) -> Surface:
    return Surface(*(np.asarray(part, dtype=float) for part in (corner, a, b)), texture, repeats)


def _box(foot: tuple[float, float, float], size: np.ndarray, yaw: float, texture: int) -> list[Surface]:
    """The four sides and the top of a box that stands on the floor at `foot`."""
    x = size[0] * np.array([math.cos(yaw), 0, math.sin(yaw)])
    z = size[2] * np.array([-math.sin(yaw), 0, math.cos(yaw)])
    up = np.array([0, -size[1], 0])
    corner = np.array(foot) - (x + z) / 2
    sides = [(corner, x, up), (corner + z, x, up), (corner, z, up), (corner + x, z, up), (corner + up, x, z)]
    return [Surface(*side, texture + number % 3) for number, side in enumerate(sides)]


def _person(random: np.random.Generator, number: int) -> Surface:
    """A figure 1.7 tall that walks across the view and sways."""
    z, start, way = random.uniform(2.6, 5.0), random.uniform(-1.5, 1.5), random.choice([-1.0, 1.0])
    speed = way * random.uniform(0.015, 0.035)

    def offset(frame: float) -> np.ndarray:
        return np.array([speed * frame, 0.03 * math.sin(0.7 * frame), 0.01 * frame * way])

    corner, tilt = np.array([start, -0.1, z]), np.array([0.55, 0.0, random.uniform(-0.1, 0.1)])
    return Surface(corner, tilt, np.array([0, 1.7, 0]), 3 + number % 9, (1, 1), offset, True)


def _textures(seed: int) -> list[list[np.ndarray]]:
    """The textures as pyramids of float32 [n, n, 3]: noise over octaves, with patches, discs and letters."""
    random = np.random.default_rng(seed)
    return [_pyramid(_texture(random)) for _ in range(_TEXTURES)]


def _texture(random: np.random.Generator) -> np.ndarray:
    picture = np.full((_TEXELS, _TEXELS, 3), random.uniform(90, 160, 3), dtype=np.float32)
    for octave in range(2, 9):
        grid = random.normal(0, 1, (2**octave, 2**octave, 1)).astype(np.float32)
        layer = cv2.resize(grid, (_TEXELS, _TEXELS), interpolation=cv2.INTER_CUBIC)[..., None]
        picture += layer * random.uniform(4, 16, 3)
    picture = picture.clip(0, 255).astype(np.uint8)
    for _ in range(70):
        corner, size = random.integers(0, _TEXELS, 2), random.integers(6, 70, 2)
        colour = tuple(random.uniform(20, 235, 3))
        kind = random.integers(3)
        if kind == 0:
            cv2.rectangle(picture, corner.tolist(), (corner + size).tolist(), colour, -1)
        elif kind == 1:
            cv2.circle(picture, corner.tolist(), int(size[0] // 2), colour, -1)
        else:
            letters = "".join(map(chr, random.integers(65, 91, 4)))
            cv2.putText(picture, letters, corner.tolist(), cv2.FONT_HERSHEY_SIMPLEX, size[0] / 30, colour, 3)
    return picture.astype(np.float32)


def _pyramid(picture: np.ndarray) -> list[np.ndarray]:
    levels = [picture]
    while levels[-1].shape[0] > 16:
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return levels


def _rays(clip: RenderedClip) -> np.ndarray:
    """Directions [h, w, 3] of depth 1 of the oversampled pixels, through the lens's distortion."""
    camera = clip.camera[0].resized(tuple(_OVERSAMPLING * n for n in clip.camera.hw))
    K, (height, width) = camera.K.numpy(), camera.hw
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x_seen, y_seen = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    x, y = x_seen, y_seen
    for _ in range(20):
        factor = 1 + clip.k1 * (x * x + y * y)
        x, y = x_seen / factor, y_seen / factor
    return np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)


def _draw(clip: RenderedClip, frame: int, textures: list[list[np.ndarray]], rays: np.ndarray) -> np.ndarray:
    """One frame, float [H, W, 3] in 0 to 255."""
    cam_from_world = clip.camera[frame].cam_from_world.numpy()
    picture = np.zeros(rays.shape, dtype=np.float32)
    depth = np.full(rays.shape[:2], np.inf, dtype=np.float32)
    for surface in clip.surfaces:
        _cast(surface, frame, cam_from_world, rays, textures[surface.texture], picture, depth)
    height, width = clip.camera.hw
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _cast(
    surface: Surface,
    frame: int,
    cam_from_world: np.ndarray,
    rays: np.ndarray,
    levels: list[np.ndarray],
    picture: np.ndarray,
    depth: np.ndarray,
) -> None:
    """Draw one surface where it is nearer than what is there."""
    R, t = cam_from_world[:3, :3], cam_from_world[:3, 3]
    moved = surface.corner + (0 if surface.offset is None else surface.offset(frame))
    a, b, corner = R @ surface.a, R @ surface.b, R @ moved + t
    window = _window(np.stack([corner, corner + a, corner + b, corner + a + b]), rays)
    pixel_angle = rays[0, 1, 0] - rays[0, 0, 0]
    rays, picture, depth = rays[window], picture[window], depth[window]
    inverse = np.linalg.inv(np.stack([a, b, corner], axis=-1)).astype(np.float32)
    along_a, along_b, inverse_depth = (rays @ row for row in inverse)
    with np.errstate(divide="ignore", invalid="ignore"):
        s, t_, z = along_a / inverse_depth, along_b / inverse_depth, 1.0 / inverse_depth
    hit = (inverse_depth > 1e-6) & (s >= 0) & (s < 1) & (t_ >= 0) & (t_ < 1) & (z < depth)
    if surface.figure:
        head = (s - 0.5) ** 2 / 0.04 + (t_ - 0.1) ** 2 / 0.01 < 1
        body = (np.abs(s - 0.5) < 0.22 + 0.25 * ((t_ > 0.2) & (t_ < 0.55))) & (t_ > 0.18)
        hit &= head | body
    rows, columns = np.nonzero(hit)
    if not len(rows):
        return
    depth[hit] = z[hit]
    texel_s, texel_t = (_TEXELS * n * value[hit] for n, value in zip(surface.repeats, (s, t_), strict=True))
    spacing = np.linalg.norm(surface.a) / surface.repeats[0] / _TEXELS
    pixel = z[hit] * pixel_angle / spacing  # how many texels a pixel covers
    level = np.clip(np.round(np.log2(np.maximum(pixel, 1e-3))), 0, len(levels) - 1).astype(int)
    picture[rows, columns] = _sampled(levels, level, texel_s, texel_t)


def _window(corners: np.ndarray, rays: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that a parallelogram may cover: those of its corners, all when one is not in front."""
    if corners[:, 2].min() < 0.05:
        return slice(None), slice(None)
    seen = corners[:, :2] / corners[:, 2:]
    middle = rays.shape[0] // 2, rays.shape[1] // 2
    columns = np.searchsorted(rays[middle[0], :, 0], (seen[:, 0].min(), seen[:, 0].max()))
    rows = np.searchsorted(rays[:, middle[1], 1], (seen[:, 1].min(), seen[:, 1].max()))
    return slice(max(rows[0] - 60, 0), rows[1] + 60), slice(max(columns[0] - 60, 0), columns[1] + 60)


def _sampled(levels: list[np.ndarray], level: np.ndarray, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Bilinear samples [N, 3] of a repeating pyramid at texel coordinates of its finest level."""
    out = np.empty((len(s), 3), dtype=np.float32)
    for number in np.unique(level):
        here, size = level == number, levels[number].shape[0]
        x, y = ((value[here] / 2**number - 0.5) % size for value in (s, t))
        x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
        fx, fy = (x - x0)[:, None], (y - y0)[:, None]
        x0, y0, x1, y1 = x0 % size, y0 % size, (x0 + 1) % size, (y0 + 1) % size
        texels = levels[number]
        top = texels[y0, x0] * (1 - fx) + texels[y0, x1] * fx
        bottom = texels[y1, x0] * (1 - fx) + texels[y1, x1] * fx
        out[here] = top * (1 - fy) + bottom * fy
    return out


def write(clip: RenderedClip, folder: Path, *, fps: float = 24.0) -> None:
    """`NAME.mp4` as a user would have it, and its true cameras `NAME.json`; nothing where both are there already."""
    video_path, truth_path = folder / f"{clip.name}.mp4", folder / f"{clip.name}.json"
    if video_path.exists() and truth_path.exists():
        return
    frames = torch.from_numpy(np.stack(list(clip.frames()))).permute(3, 0, 1, 2)
    write_video(video_path, frames.float() / 127.5 - 1, fps=fps)
    truth_path.write_text(path_to_json(Trajectory(clip.camera, fps=fps, unit="metre", name=clip.name)))


def main(folder: Path) -> None:
    """Render what is missing in `folder`."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for each in all_clips():
        write(each, folder)
        print(each.name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

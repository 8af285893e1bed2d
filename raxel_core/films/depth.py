"""How far the things in a scene are, in its own lengths and in metres.

Corners that two pictures share are triangulated by the known cameras. A picture's near depth is the 25th percentile of
its points, as for synthetic scenes; the metres in a length of the scene are the median, over all points, of a metric
depth at the point's pixel divided by the point's depth, so that no few wrong pixels move it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..geometry.camera import Camera
from ..runtime.opencv import load_opencv
from ..strict_json import check_keys, check_list, check_number, check_object, check_whole, parse_object
from ..warp.undistortion import undistorted
from .defects import SceneError
from .depth_files import DEPTH_SUFFIXES, read_depth
from .folders import scaled_lens
from .pictures import FolderPictures
from .scene import Scene

FORMAT, VERSION = "raxel.scene_depths", 1
VIEWS = 16
NEAR_QUANTILE = 0.25
_WIDEST = 640
_RATIO, _REPROJECTION, _LEAST_ANGLE, _FEWEST = 0.8, 2.0, np.deg2rad(1.0), 8
_GAPS = (1, 2, 4)
_MOST = 1e9

MetricDepth = Callable[[int], "np.ndarray | None"]
"""Picture number -> metric depth [h, w] in metres as the scene's pinhole sees it, or None where there is none."""


@dataclass(frozen=True)
class SceneDepth:
    """Near depths `near` at the pictures `pictures`, in the scene's own lengths; how many metres one of them is, where
    that is known, with half the width of the middle half of the ratios over it as `spread`; and of how many points."""

    pictures: tuple[int, ...]
    near: tuple[float, ...]
    points: int
    metres_per_unit: float | None = None
    spread: float | None = None

    def near_at(self, numbers: Tensor) -> Tensor:
        """The near depth [...] at pictures `numbers` [...], between the measured ones along a line."""
        near = np.interp(numbers.numpy().astype(np.float64), np.array(self.pictures), np.array(self.near))
        return torch.from_numpy(near).float()


def measure_depth(scene: Scene, metric: MetricDepth | None = None) -> SceneDepth:
    """The depths of a scene, of up to VIEWS of its pictures. SceneError where its pictures share too little, or the
    camera only turns: then no depth can be told."""
    numbers = torch.linspace(0, len(scene) - 1, min(VIEWS, len(scene))).round().long().unique().tolist()
    height, width = scene.pictures.hw
    shrink = min(1.0, _WIDEST / width)
    hw = round(height * shrink), round(width * shrink)
    video, framing = scene.pictures.read(numbers, hw)
    camera = framing.to_fitted(scene.camera[numbers])
    found, world = _points(video, camera)
    near = {number: depth for number, depth in zip(numbers, _near_depths(world, camera), strict=True) if depth}
    points = world.shape[1]
    if not near:
        told = f"no depth can be told: its cameras and pictures agree in {points} points"
        raise SceneError(scene.name, "no depth", told)
    ratios = [] if metric is None else [_ratios(metric(n), parts, hw) for n, parts in zip(numbers, found, strict=True)]
    every = np.concatenate(ratios) if ratios else np.zeros(0)
    if not len(every):
        return SceneDepth(tuple(near), tuple(near.values()), points)
    low, middle, high = np.quantile(every, (0.25, 0.5, 0.75))
    return SceneDepth(tuple(near), tuple(near.values()), points, float(middle), float((high - low) / 2 / middle))


def supplied_depth(scene: Scene) -> MetricDepth | None:
    """Depth maps in a folder `depth` beside or inside that of the pictures, named as they are: `.npy`, `.npz` or
    `.exr` in metres, 16-bit `.png` in millimetres, 0 for none; None without such a folder, or where the scene is a
    video."""
    pictures = scene.pictures
    if not isinstance(pictures, FolderPictures):
        return None
    parent = pictures.paths[0].parent
    folder = next((place for place in (parent / "depth", parent.parent / "depth") if place.is_dir()), None)
    if folder is None:
        return None

    def depth(number: int) -> np.ndarray | None:
        stem = pictures.paths[number].stem
        lens = pictures.lenses[number] if pictures.lenses else None
        found = _depth_map(folder / stem)
        if found is None or lens is None:
            return found
        return undistorted(found, scaled_lens(lens, found.shape[:2], scene.name), nearest=True)

    return depth


def model_depth(scene: Scene, model: Callable[[np.ndarray], np.ndarray]) -> MetricDepth:
    """Metric depth by a function of the user's, of a picture uint8 [H, W, 3] as the scene's pinhole sees it."""

    def depth(number: int) -> np.ndarray | None:
        video, _ = scene.pictures.read([number], scene.pictures.hw)
        picture = ((video[:, 0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
        found = np.asarray(model(picture), dtype=np.float32).squeeze()
        if found.ndim != 2:
            raise ValueError(f"the depth model answers with [h, w] metres, got {list(found.shape)}")
        return found

    return depth


def _depth_map(stem: Path) -> np.ndarray | None:
    """The depth in metres [h, w] of the file of that name, whatever its ending."""
    named = (stem.with_name(f"{stem.name}{suffix}") for suffix in DEPTH_SUFFIXES)
    file = next((path for path in named if path.is_file()), None)
    return None if file is None else read_depth(file).numpy()


def depths_to_json(depths: Mapping[str, SceneDepth]) -> str:
    """The depths of scenes by name as JSON, format "raxel.scene_depths" version 1."""
    scenes = {name: asdict(depth) for name, depth in depths.items()}
    return json.dumps({"format": FORMAT, "version": VERSION, "scenes": scenes}, indent=1)


def depths_from_json(text: str) -> dict[str, SceneDepth]:
    """What `depths_to_json` wrote; ValueError with one sentence on anything else."""
    values = parse_object("the depths of scenes", text)
    check_keys("the depths of scenes", values, ("format", "version", "scenes"))
    scenes = check_object("scenes of the depths", values["scenes"])
    return {name: _depth(f"depth of {name[:60]}", given) for name, given in scenes.items()}


def _depth(noun: str, given: Any) -> SceneDepth:
    values = check_object(noun, given)
    check_keys(noun, values, ("pictures", "near", "points"), ("metres_per_unit", "spread"))
    pictures = tuple(check_whole(noun, n, 0, 10**9) for n in check_list(noun, values["pictures"], 10_000))
    near = tuple(check_number(noun, z, 1e-12, _MOST) for z in check_list(noun, values["near"], 10_000))
    if not pictures or len(pictures) != len(near):
        raise ValueError(f"{noun} has {len(pictures)} pictures and {len(near)} near depths")
    known = [None if values.get(name) is None else check_number(noun, values[name], 0.0, _MOST)
             for name in ("metres_per_unit", "spread")]  # fmt: skip
    return SceneDepth(pictures, near, check_whole(noun, values["points"], 0, 10**12), known[0], known[1])


Parts = list[tuple[np.ndarray, np.ndarray]]
"""Of one picture: pixels [N, 2] and depths [N] of the points of each pair that it is in."""


def _points(video: Tensor, camera: Camera) -> tuple[list[Parts], np.ndarray]:
    """The points of each picture of `video` [3, V, h, w] seen by `camera` [V], and all of them in the world [3, N]."""
    cv2 = load_opencv()
    grey = ((video.mean(0).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
    sift = cv2.SIFT_create()
    seen = [sift.detectAndCompute(picture, None) for picture in grey]
    cam_from_world = camera.cam_from_world.double().numpy()
    K = camera.K.double().numpy()
    parts: list[Parts] = [[] for _ in seen]
    every = [np.zeros((3, 0))]
    for gap in _GAPS:
        for a in range(len(seen) - gap):
            b = a + gap
            pixels = _matched(seen[a], seen[b])
            if pixels is None:
                continue
            pixels, depths, world = _triangulated(pixels, K[[a, b]], cam_from_world[[a, b]])
            every.append(world)
            for place, view in enumerate((a, b)):
                parts[view].append((pixels[place], depths[place]))
    return parts, np.concatenate(every, 1)


def _near_depths(world: np.ndarray, camera: Camera) -> list[float | None]:
    """The near depth of each camera [V] by the points [3, N] before it that its picture shows; None where it shows too
    few of them."""
    cam_from_world, K = camera.cam_from_world.double().numpy(), camera.K.double().numpy()
    points = cam_from_world[:, :3, :3] @ world + cam_from_world[:, :3, 3:]
    pixel = K @ points
    size = np.array([camera.hw[1], camera.hw[0]])[None, :, None]
    there = (points[:, 2] > 0) & ((pixel[:, :2] >= 0) & (pixel[:, :2] <= size * pixel[:, 2:])).all(1)
    found = [depth[shown] for depth, shown in zip(points[:, 2], there, strict=True)]
    return [float(np.quantile(depth, NEAR_QUANTILE)) if len(depth) >= _FEWEST else None for depth in found]


def _matched(first: tuple, second: tuple) -> np.ndarray | None:
    """Pixels [2, N, 2] that match each other and nothing else as well."""
    cv2 = load_opencv()
    if first[1] is None or second[1] is None or min(len(first[1]), len(second[1])) < 2:
        return None
    pairs = cv2.BFMatcher().knnMatch(first[1], second[1], k=2)
    kept = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance]
    if not kept:
        return None
    # SIFT counts from the middle of the first pixel, cameras from its corner.
    return 0.5 + np.array([[first[0][m.queryIdx].pt for m in kept], [second[0][m.trainIdx].pt for m in kept]])


def _triangulated(
    pixels: np.ndarray, K: np.ndarray, cam_from_world: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels [2, N, 2], depths [2, N] and places in the world [3, N] of the matches that are points: before both
    cameras, where both see them, and with rays that meet at an angle that tells a depth."""
    cv2 = load_opencv()
    projection = K @ cam_from_world[:, :3]
    homogeneous = cv2.triangulatePoints(projection[0], projection[1], pixels[0].T, pixels[1].T)
    good = np.abs(homogeneous[3]) > 1e-12
    world = homogeneous[:3] / np.where(good, homogeneous[3], 1.0)
    points = cam_from_world[:, :3, :3] @ world + cam_from_world[:, :3, 3:]
    depths = points[:, 2]
    seen = K @ points
    off = np.linalg.norm(seen[:, :2] / np.where(seen[:, 2:] == 0, 1.0, seen[:, 2:]) - pixels.transpose(0, 2, 1), axis=1)
    centers = -np.einsum("vji,vj->vi", cam_from_world[:, :3, :3], cam_from_world[:, :3, 3])
    rays = world[None] - centers[:, :, None]
    cosine = (rays[0] * rays[1]).sum(0) / np.maximum(
        np.linalg.norm(rays[0], axis=0) * np.linalg.norm(rays[1], axis=0), 1e-12
    )
    angle = np.arccos(np.clip(cosine, -1, 1))
    kept = good & (depths > 0).all(0) & (off < _REPROJECTION).all(0) & (angle > _LEAST_ANGLE)
    return pixels[:, kept], depths[:, kept], world[:, kept]


def _ratios(metric: np.ndarray | None, parts: Parts, hw: tuple[int, int]) -> np.ndarray:
    """Metric depth over the scene's depth [N] at the points of one picture of `hw`; where there is none, none."""
    if metric is None or not parts:
        return np.zeros(0)
    pixels, depths = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    scale = np.array([metric.shape[1] / hw[1], metric.shape[0] / hw[0]])
    x, y = np.clip((pixels * scale).astype(int), 0, np.array([metric.shape[1], metric.shape[0]]) - 1).T
    there = metric[y, x].astype(np.float64)
    known = np.isfinite(there) & (there > 0)
    return there[known] / depths[known]

"""Depth as ComfyUI's depth nodes hand it over: grey pictures, the geometry of MoGe, Depth Anything 3 and VGGT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..framing import framing_for
from ..geometry.camera import Camera, check_hw

NEAR_QUANTILE = 0.25

# What a grey value v in [0, 1] means, by name, for the user to choose from.
DEPTH_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "disparity": "white is near, grey grows with 1 / depth (Depth Anything V2, MiDaS, Render MoGe Geometry)",
        "depth_white_near": "white is near, grey falls evenly with depth (Render Depth Anything 3: v2_style, min_max)",
        "depth_white_far": "white is far, grey grows evenly with depth (Z passes of renderers)",
        "values": "the value is the depth itself (Render Depth Anything 3: raw), and near and far are not used",
    }
)

# Networks round a picture's sides to multiples of up to 64 pixels: a depth map's aspect may be off by this share.
_ASPECT_TOLERANCE = 0.08
# Depth Anything 3 calls a pixel sky from this probability on, and sets it at this quantile of the other depths.
_SKY_PROBABILITY, _SKY_QUANTILE = 0.3, 0.99


@dataclass(frozen=True, eq=False)
class DepthMap:
    """`depth` [H, W] along the view axis, in any one unit, 0 where unknown; `K` [3, 3] in its pixels where known.

    `notes` say in words how it was read. Raises ValueError on another shape or where no pixel has a depth.
    """

    depth: Tensor
    K: Tensor | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.depth.ndim != 2 or not self.depth.is_floating_point():
            raise ValueError(f"a depth map is [height, width], got {list(self.depth.shape)} of {self.depth.dtype}")
        dtype = self.depth.dtype if self.depth.dtype == torch.float64 else torch.float32
        known = torch.isfinite(self.depth) & (self.depth > 0.0)
        if not bool(known.any()):
            raise ValueError("the depth map has no pixel with a positive, finite depth")
        object.__setattr__(self, "depth", torch.where(known, self.depth, 0.0).to(dtype))
        if self.K is not None:
            self._camera.validate()

    @property
    def _camera(self) -> Camera:
        """The camera that took the picture, at the origin."""
        assert self.K is not None
        return Camera(torch.eye(4).to(self.K), self.K, self.hw)

    @property
    def hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.depth.shape[0], self.depth.shape[1]

    @property
    def near_depth(self) -> float:
        """The 25th percentile of the known depths, the length that unit "near_depth" counts in."""
        return _quantile(self.depth[self.depth > 0.0], NEAR_QUANTILE)

    def lifted(self, rows: Tensor, columns: Tensor, K: Tensor) -> Tensor:
        """The points [N, 3], float64, at whose pixels the map has depths, in the axes of a camera with lens `K`."""
        corner = torch.stack((columns + 0.5, rows + 0.5, torch.ones(len(rows))), dim=-1).double()
        return (corner @ torch.linalg.inv(K.double()).mT) * self.depth[rows, columns].double()[:, None]

    def scaled(self, factor: float) -> DepthMap:
        """The same map with all depths times `factor`."""
        return replace(self, depth=self.depth * factor)

    def in_unit(self, unit: str) -> DepthMap:
        """The map for a trajectory in `unit`: divided by its near depth for "near_depth", as it is for any other."""
        return self.scaled(1.0 / self.near_depth) if unit == "near_depth" else self

    def matched(self, picture_hw: tuple[int, int]) -> DepthMap:
        """The map for its picture of `picture_hw`; ValueError where the aspects differ by more than networks round."""
        ratio = self.hw[1] / self.hw[0] * picture_hw[0] / picture_hw[1]
        if abs(ratio - 1.0) > _ASPECT_TOLERANCE:
            raise ValueError(
                f"a depth map of {self.hw} pixels, (height, width), is not that of a picture of {picture_hw}"
            )
        return self.resized(picture_hw)

    def fitted(self, hw: tuple[int, int]) -> DepthMap:
        """The map for its picture after `framing.fit_video`: cropped about the middle and resized to `hw`."""
        framing = framing_for(self.hw, hw)
        (top, left), (height, width) = framing.top_left, framing.crop_hw
        depth = self.depth[top : top + height, left : left + width]
        K = None if self.K is None else self._camera.cropped(top, left, framing.crop_hw).K
        return replace(self, depth=depth, K=K).resized(hw)

    def resized(self, hw: tuple[int, int]) -> DepthMap:
        """The map for a picture of `hw`; depth is interpolated between known pixels only, so none becomes known."""
        hw = check_hw(hw)
        if hw == self.hw:
            return self
        known = (self.depth > 0.0).to(self.depth)
        share = functional.interpolate(torch.stack((self.depth, known))[None], size=hw, mode="bilinear")[0]
        nearest = functional.interpolate(known[None, None], size=hw, mode="nearest-exact")[0, 0]
        depth = torch.where(nearest > 0.0, share[0] / share[1].clamp_min(torch.finfo(known.dtype).tiny), 0.0)
        return replace(self, depth=depth, K=None if self.K is None else self._camera.resized(hw).K)


def depth_from_picture(picture: Tensor, kind: str, *, near: float = 1.0, far: float = 10.0) -> DepthMap:
    """The depth map of a grey `picture` [H, W] in [0, 1] of one of DEPTH_KINDS; `near` and `far` are the depths at the
    ends of its range, in any one unit. ValueError for another kind or unless 0 < near < far."""
    if kind not in DEPTH_KINDS:
        raise ValueError(f"a kind of depth is one of {', '.join(DEPTH_KINDS)}, got {kind!r}")
    if kind == "values":
        return DepthMap(picture, notes=("The picture's values are taken as depths.",))
    if not (0.0 < near < far and isfinite(far)):
        raise ValueError(f"the depths at the ends of a picture's range are 0 < near < far, got {near:g} and {far:g}")
    share = picture.clamp(0.0, 1.0) if kind == "depth_white_far" else 1.0 - picture.clamp(0.0, 1.0)
    if kind == "disparity":
        depth = 1.0 / torch.lerp(torch.full_like(share, 1.0 / near), torch.full_like(share, 1.0 / far), share)
    else:
        depth = near + share * (far - near)
    ends = "white" if kind != "depth_white_far" else "black"
    return DepthMap(depth, notes=(f"Read as {kind}: {ends} is {near:g}, the other end {far:g}.",))


def depths_from_geometry(geometry: Any) -> tuple[DepthMap, ...]:
    """The depth map and K of each picture in a MOGE_GEOMETRY, a DA3_GEOMETRY or VGGT's predictions, told apart by their
    keys.

    Raises ValueError for anything else: another dict, MoGe's panoramas (they have no view axis).
    """
    if not isinstance(geometry, Mapping) or not isinstance(geometry.get("depth"), Tensor):
        keys = sorted(map(str, geometry))[:8] if isinstance(geometry, Mapping) else type(geometry).__name__
        raise ValueError(f"a geometry is the dict of MoGe, Depth Anything 3 or VGGT with a depth tensor, got {keys}")
    depth = geometry["depth"]
    depth = depth.squeeze(-1) if depth.ndim > 3 and depth.shape[-1] == 1 else depth
    depth = depth.flatten(0, -3) if depth.ndim > 3 else depth
    if depth.ndim != 3 or not depth.numel():
        raise ValueError(f"the geometry's depth is [pictures, H, W], got {list(geometry['depth'].shape)}")
    read = _from_depth_anything if "mode" in geometry else _from_moge if _is_moge(geometry) else _from_vggt
    return tuple(read(depth[index].float(), geometry, index) for index in range(len(depth)))


def _is_moge(geometry: Mapping[str, Any]) -> bool:
    return "intrinsic" not in geometry and "extrinsics" not in geometry and "pose_enc" not in geometry


def _entry(geometry: Mapping[str, Any], name: str, index: int, last_axes: int) -> Tensor:
    """Number `index` of the entries of `name`, whose last axes are one picture's; ValueError where there is none."""
    value = torch.as_tensor(geometry[name])
    value = value.flatten(0, -last_axes - 1) if value.ndim > last_axes else value[None]
    if index >= len(value):
        raise ValueError(f"the geometry has {index + 1} depth maps or more, but {len(value)} of {name}")
    return value[index]


def _from_moge(depth: Tensor, geometry: Mapping[str, Any], index: int) -> DepthMap:
    """MoGe: depth is infinite or masked where unknown, K is normalised by width and height."""
    if "intrinsics" not in geometry:
        raise ValueError("this MOGE_GEOMETRY has no intrinsics: it is of a panorama, which no pinhole camera took")
    if "mask" in geometry:
        depth = torch.where(_entry(geometry, "mask", index, 2) > 0, depth, 0.0)
    height, width = depth.shape
    size = torch.tensor((width, height, 1.0), dtype=torch.float64, device=depth.device)
    K = _entry(geometry, "intrinsics", index, 2).double() * size[:, None]
    return DepthMap(depth, K.to(depth), ("Read as MOGE_GEOMETRY: depth along the view axis, K normalised.",))


def _from_depth_anything(depth: Tensor, geometry: Mapping[str, Any], index: int) -> DepthMap:
    """Depth Anything 3: sky goes to the far end as its own code does; K counts in pixels of the network's input.

    That input's size is not in the payload, but the principal point is its middle, which gives it.
    """
    notes = ["Read as DA3_GEOMETRY: depth along the view axis."]
    if "sky" in geometry:
        sky = _entry(geometry, "sky", index, 2) >= _SKY_PROBABILITY
        ground = depth[~sky & torch.isfinite(depth)]
        if bool(sky.any()) and len(ground):
            depth = torch.where(sky, _quantile(ground, _SKY_QUANTILE), depth)
            notes.append(f"Sky, {float(sky.float().mean()):.0%} of the picture, was put at the far end.")
    if "intrinsics" not in geometry:
        return DepthMap(depth, None, (*notes, "It states no lens: the trajectory's is used."))
    K = _to_pixels_of(depth, _entry(geometry, "intrinsics", index, 2).double())
    if K is None:
        return DepthMap(depth, None, (*notes, "Its K is empty (no camera was estimated): the trajectory's is used."))
    return DepthMap(depth, K, (*notes, "K was scaled from the network's input size."))


def _from_vggt(depth: Tensor, geometry: Mapping[str, Any], index: int) -> DepthMap:
    """VGGT: K under the name intrinsic, or the angles of view (top to bottom, side to side) at the end of pose_enc."""
    name = next((name for name in ("intrinsic", "intrinsics") if name in geometry), None)
    K: Tensor | None
    if name is not None:
        K = _to_pixels_of(depth, _entry(geometry, name, index, 2).double())
    else:
        fov = _entry(geometry, "pose_enc", index, 1)[7:9].double()
        middle = torch.tensor(depth.shape, dtype=torch.float64) / 2.0
        (fy, fx), (cy, cx) = (middle / (fov / 2.0).tan()).tolist(), middle.tolist()
        K = torch.tensor(((fx, 0.0, cx), (0.0, fy, cy), (0.0, 0.0, 1.0))).to(depth)
    return DepthMap(depth, K, ("Read as VGGT's depth, along the view axis, with its own K.",))


def _to_pixels_of(depth: Tensor, K: Tensor) -> Tensor | None:
    """K in pixels of `depth`, of a K in those of another size whose middle is its principal point; None where empty."""
    if not bool((K[:2, 2] > 0.0).all()):
        return None
    height, width = depth.shape
    size = torch.stack((width / (2.0 * K[0, 2]), height / (2.0 * K[1, 2]), torch.ones_like(K[0, 2])))
    return (K * size[:, None]).to(depth)


def _quantile(values: Tensor, q: float) -> float:
    """The `q`-quantile, interpolated, of any number of values (torch.quantile stops at 2^24 of them)."""
    ordered = values.flatten().double().sort().values
    position = q * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return float(torch.lerp(ordered[below], ordered[above], position - below))

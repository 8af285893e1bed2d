"""Ray maps: images whose channels hold the rays of their pixels, as networks emit them, and which layout one is in.

Every layout is one entry of `LAYOUTS`. A map is recognised by what its own layout promises (a unit length, Pluecker's
constraint d . m = 0, origins that agree, lines that meet, directions that a pinhole can have), never by its number of
channels alone, and what was checked is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .camera import Camera
from .pytorch3d import turned_axes
from .rays import Rays, pixel_grid

AXES = ("opencv", "pytorch3d")
# How far, in parts of the thing itself, a map may be from what its layout promises.
TOLERANCE = 0.05
_TINY = 1e-12


@dataclass(frozen=True)
class RayLayout:
    """What the channels of a ray map hold, three each: `parts` of "direction", "moment", "origin", "endpoint", "sum".

    `unit` says whether a direction has length 1, or depth 1 along the camera's axis, R K^-1 (u, v, 1), and is as long
    as that makes it. A moment is origin x direction with the direction as it is stored; an endpoint is a point of the
    ray other than its origin; a sum is origin + unit direction (a raxel at scale 1).
    """

    parts: tuple[str, ...]
    unit: bool
    words: str

    @property
    def channels(self) -> int:
        """Channels of the map."""
        return 3 * len(self.parts)


LAYOUTS = {
    "plucker_dm": RayLayout(("direction", "moment"), True, "Pluecker (d, o x d), unit d: Ray Diffusion"),
    "plucker_md": RayLayout(("moment", "direction"), True, "Pluecker (o x d, d), unit d: CameraCtrl, Wan Fun-Camera"),
    "plucker_dm_depth": RayLayout(("direction", "moment"), False, "Pluecker (d, o x d), d of depth 1"),
    "plucker_md_depth": RayLayout(("moment", "direction"), False, "Pluecker (o x d, d), d of depth 1"),
    "origin_direction": RayLayout(("origin", "direction"), True, "camera centre, unit direction"),
    "direction_origin": RayLayout(("direction", "origin"), True, "unit direction, camera centre"),
    "origin_direction_depth": RayLayout(("origin", "direction"), False, "camera centre, direction of depth 1"),
    "direction_origin_depth": RayLayout(
        ("direction", "origin"), False, "direction of depth 1, camera centre: Depth Anything 3's ray map"
    ),
    "origin_endpoint": RayLayout(("origin", "endpoint"), True, "camera centre, point on the ray: DiffusionSfM"),
    "direction": RayLayout(("direction",), True, "unit direction alone: rotation and lens"),
    "direction_depth": RayLayout(("direction",), False, "direction of depth 1 alone: rotation and lens"),
    "raxel": RayLayout(("sum",), True, "camera centre + unit direction: Rays as Pixels, at scale 1"),
}


@dataclass(frozen=True, eq=False)
class RayMap:
    """`values` [..., C, h, w] in a `layout` of `LAYOUTS`, one ray per cell of the image, in the axes that `axes` names:
    "opencv" (x right, y down) or "pytorch3d" (x left, y up), with z forward in both. `confidence` [..., h, w] >= 0
    weighs the rays where a network gives one. Raises ValueError on shapes that do not fit.
    """

    values: Tensor
    layout: str
    confidence: Tensor | None = None
    axes: str = "opencv"

    def __post_init__(self) -> None:
        check_layout(self.layout)
        if self.axes not in AXES:
            raise ValueError(f"the axes of a ray map are one of {', '.join(AXES)}, got {self.axes!r}")
        check_map(self.values, LAYOUTS[self.layout].channels)
        if self.confidence is not None and self.confidence.shape != self.values[..., 0, :, :].shape:
            given, expected = list(self.confidence.shape), list(self.values[..., 0, :, :].shape)
            raise ValueError(f"the confidence of a ray map is {expected}, one number a ray, got {given}")

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the grid of rays."""
        return self.values.shape[-2], self.values.shape[-1]

    def part(self, name: str) -> Tensor:
        """The three numbers [..., 3, h, w] of a part of the layout, in our axes."""
        parts = LAYOUTS[self.layout].parts
        vectors = self.values if len(parts) == 1 else self.values.chunk(len(parts), -3)[parts.index(name)]
        return vectors if self.axes == "opencv" else turned_axes(vectors.movedim(-3, -1)).movedim(-1, -3)


@dataclass(frozen=True, eq=False)
class RayLines:
    """What a map says of each ray: unit `direction` [..., 3, h, w], and its `moment` = origin x direction or its
    `origin`, the camera's centre, of the same shape; None where the layout leaves it open."""

    direction: Tensor
    moment: Tensor | None
    origin: Tensor | None


@dataclass(frozen=True)
class Recognition:
    """`layout` is what a map was taken for; `deviation` tells for every layout of as many channels how far the map is
    from what it promises, in parts of the thing itself (`TOLERANCE` and below fits)."""

    layout: str
    deviation: dict[str, float]

    def __str__(self) -> str:
        found = f"{self.layout} ({LAYOUTS[self.layout].words}), off by {self.deviation[self.layout]:.1e}"
        others = [f"{name} {value:.1e}" for name, value in self.deviation.items() if name != self.layout]
        return f"{found}; others: {', '.join(others)}"


def ray_map_from_cameras(
    camera: Camera, hw: tuple[int, int], layout: str, *, depth: Tensor | float = 1.0, axes: str = "opencv"
) -> RayMap:
    """The ray map [..., C, h, w] of `camera` [...] through the cell centres of a grid of `hw`, in the camera's world.

    `depth` [..., h, w] along the camera's axis is where an "endpoint" lies, in scene units.
    """
    sized = camera.resized(hw)
    rays = Rays.from_camera(sized)
    origin, unit = torch.broadcast_tensors(rays.origin, rays.direction)
    forward = sized.rotation[..., 2][..., None, None, :]
    to_depth = unit / (unit * forward).sum(-1, keepdim=True)
    named = check_layout(layout)
    direction = unit if named.unit else to_depth
    distance = torch.as_tensor(depth, dtype=unit.dtype, device=unit.device)[..., None]
    makers: dict[str, Callable[[], Tensor]] = {
        "direction": lambda: direction,
        "moment": lambda: torch.linalg.cross(origin, direction, dim=-1),
        "origin": lambda: origin,
        "endpoint": lambda: origin + distance * to_depth,
        "sum": lambda: origin + unit,
    }
    parts = [makers[part]() for part in named.parts]
    parts = [turned_axes(part) for part in parts] if axes == "pytorch3d" else parts
    return RayMap(torch.cat(parts, dim=-1).movedim(-1, -3), layout, axes=axes)


def ray_lines(ray_map: RayMap) -> RayLines:
    """The rays that a map holds, in float64. A line's coordinates are homogeneous: moments are divided by the length of
    their direction, as directions are. ValueError for raxels, whose centre and direction only a fit can part.
    """
    if ray_map.layout == "raxel":
        raise ValueError(
            "a raxel map holds sums of centre and direction, which only a fit of the whole frame can separate"
        )
    wide = ray_map if ray_map.values.dtype == torch.float64 else replace(ray_map, values=ray_map.values.double())
    parts = {name: wide.part(name) for name in LAYOUTS[ray_map.layout].parts}
    origin, moment = parts.get("origin"), parts.get("moment")
    direction = parts["direction"] if "direction" in parts else parts["endpoint"] - parts["origin"]
    x, y, z = direction.unbind(-3)  # a norm over three channels takes longer
    scale = torch.rsqrt((x * x).addcmul_(y, y).addcmul_(z, z)).clamp_(max=1.0 / _TINY).unsqueeze(-3)
    return RayLines(direction * scale, None if moment is None else moment * scale, origin)


def recognized(values: Tensor, *, tolerance: float = TOLERANCE) -> Recognition:
    """Which layout the map `values` [..., C, h, w] is in.

    Raises ValueError for a map that keeps no layout's promises, and for one that keeps those of several with different
    cameras; the sentence tells how far it is from each.
    """
    channels = values.shape[-3] if values.ndim >= 3 else 0
    check_map(values, channels)
    candidates = [name for name, layout in LAYOUTS.items() if layout.channels == channels]
    if not candidates:
        raise ValueError(f"a ray map has 3 or 6 channels, got {channels}")
    if not bool(values.isfinite().all()):
        raise ValueError("the ray map holds NaN or infinity")
    deviation = {name: layout_deviation(values, name) for name in candidates}
    fitting = [name for name in candidates if deviation[name] <= tolerance]
    if not fitting:
        told = ", ".join(f"{name} by {value:.2f}" for name, value in deviation.items())
        raise ValueError(f"this is not a known kind of ray map: it is off from {told} (at most {tolerance:g} fits)")
    least = min(deviation.values())
    best, *rivals = [name for name in fitting if deviation[name] <= 2 * least + 1e-4]
    rivals = [name for name in rivals if not _same_rays(values, best, name, tolerance)]
    if rivals:
        raise ValueError(f"this ray map may be {best} or {' or '.join(rivals)}: say which layout it is in")
    return Recognition(best, deviation)


def layout_deviation(values: Tensor, layout: str) -> float:
    """How far `values` [..., C, h, w] is from what `layout` promises, in parts of the thing itself; 0 is exact."""
    named, ray_map = LAYOUTS[layout], RayMap(values.double(), layout)
    if layout == "raxel":
        return _sphere_deviation(ray_map)
    lines = ray_lines(ray_map)
    unit, meeting, origin = (_vectors(part) for part in (lines.direction, lines.moment, lines.origin))
    parts = {name: _vectors(ray_map.part(name)) for name in named.parts}
    direction, moment, endpoint = (parts.get(name) for name in ("direction", "moment", "endpoint"))
    assert unit is not None
    checks = [_pinhole_deviation(unit)]
    if direction is not None:
        checks.append(_unit_deviation(direction) if named.unit else _linear_deviation(direction))
    if moment is not None and direction is not None:
        checks.append(_relative((direction * moment).sum(-1), _length(direction) * _length(moment)))
        assert meeting is not None
        checks.append(_meeting_deviation(unit, meeting))
    if origin is not None:
        spread = origin - origin.mean((-3, -2), keepdim=True)
        other = direction if endpoint is None else endpoint
        assert other is not None
        own = other - other.mean((-3, -2), keepdim=True)
        checks.append(_relative(spread, own))
    if endpoint is not None and _linear_deviation(endpoint) < TOLERANCE:
        # Ends on a plane parallel to the picture have the numbers of directions of depth 1: they are taken for these.
        checks.append(math.inf)
    return max(checks)


def check_layout(name: str) -> RayLayout:
    """The layout of that name; ValueError where there is none."""
    if name not in LAYOUTS:
        raise ValueError(f"a layout of rays is one of {', '.join(LAYOUTS)}, got {name!r}")
    return LAYOUTS[name]


def check_map(values: Tensor, channels: int) -> None:
    """ValueError unless `values` is floating point [..., channels, h, w] with 4 x 4 rays or more."""
    if not isinstance(values, Tensor) or not values.is_floating_point() or values.ndim < 3:
        kind = f"{list(values.shape)} in {values.dtype}" if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"a ray map is a floating-point tensor [..., channels, h, w], got {kind}")
    if values.shape[-3] != channels or min(values.shape[-2:]) < 4 or not values.numel():
        raise ValueError(f"a ray map of this layout is [..., {channels}, h, w] of 4 x 4 rays or more, "
                         f"got {list(values.shape)}")  # fmt: skip


def _same_rays(values: Tensor, layout: str, other: str, tolerance: float) -> bool:
    """Whether two layouts read the same rays out of a map, as they do where all centres are the origin."""
    if (layout, other) == ("direction", "raxel"):
        return True  # raxels of length 1 throughout have their centres there
    first, second = (ray_lines(RayMap(values.double(), name)) for name in (layout, other))
    if float((first.direction - second.direction).abs().max()) > tolerance:
        return False
    offsets = [part for part in (first.moment, first.origin, second.moment, second.origin) if part is not None]
    kinds = (first.origin is None) == (second.origin is None)
    return kinds or all(float(part.abs().max()) <= tolerance for part in offsets)


def _vectors(part: Tensor | None) -> Tensor | None:
    """[..., h, w, 3] of [..., 3, h, w]."""
    return None if part is None else part.movedim(-3, -1)


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1)


def _relative(deviation: Tensor, size: Tensor) -> float:
    """Root mean square of `deviation` in parts of that of `size`; zero of zero is no deviation."""
    return float(deviation.square().mean().sqrt() / (size.square().mean().sqrt() + _TINY))


def _unit_deviation(direction: Tensor) -> float:
    return float((_length(direction) - 1.0).square().mean().sqrt())


def _linear_deviation(direction: Tensor) -> float:
    """How far directions [..., h, w, 3] are from a linear function of (u, v, 1), which R K^-1 (u, v, 1) is."""
    h, w = direction.shape[-3:-1]
    pixels = pixel_grid((h, w), dtype=torch.float64, device=direction.device).flatten(0, 1) / max(h, w)
    basis = torch.linalg.qr(torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=-1)).Q  # [P, 3]
    flat = direction.flatten(-3, -2)
    rest = flat - basis @ (basis.mT @ flat)
    return _relative(rest, flat - flat.mean(-2, keepdim=True))


def _pinhole_deviation(direction: Tensor) -> float:
    """How far unit directions [..., h, w, 3] are, against their spread, from those of any pinhole, d ~ H (u, v, 1)."""
    from .homography import ray_homography  # which fits it

    h, w = direction.shape[-3:-1]
    pixels = pixel_grid((h, w), dtype=torch.float64, device=direction.device).flatten(0, 1)
    pixels = torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=-1).mT
    flat = direction.flatten(-3, -2).mT  # [..., 3, N]
    predicted = ray_homography(pixels, flat) @ pixels
    predicted = torch.nn.functional.normalize(predicted, dim=-2)
    return _relative(flat - predicted, flat - flat.mean(-1, keepdim=True))


def _meeting_deviation(direction: Tensor, moment: Tensor) -> float:
    """How far the moments [..., h, w, 3] of each frame are from c x d of one point c, against what moments are."""
    direction, moment = direction.flatten(-3, -2), moment.flatten(-3, -2)
    normal = direction.shape[-2] * torch.eye(3, dtype=direction.dtype, device=direction.device)
    normal = normal - direction.mT @ direction + _TINY * normal
    center = torch.linalg.solve(normal, torch.linalg.cross(direction, moment, dim=-1).sum(-2))
    rest = moment - torch.linalg.cross(center[..., None, :].expand_as(direction), direction, dim=-1)
    return _relative(rest, moment)


def _sphere_deviation(ray_map: RayMap) -> float:
    """How far the sums are from unit spheres around one point a frame, against their spread."""
    points = _vectors(ray_map.part("sum"))
    assert points is not None
    flat = points.flatten(-3, -2)
    mean = flat.mean(-2, keepdim=True)
    # |y - c|^2 = 1 is linear in c and |c|^2 - 1: y . y = 2 y . c + (1 - |c|^2).
    rows = torch.cat((2.0 * (flat - mean), torch.ones_like(flat[..., :1])), dim=-1)
    squares = (flat - mean).square().sum(-1, keepdim=True)
    solved = torch.linalg.lstsq(rows, squares).solution[..., 0]
    center, radius = solved[..., :3], (solved[..., 3] + solved[..., :3].square().sum(-1)).clamp(min=0.0).sqrt()
    rest = (flat - mean - center[..., None, :]).norm(dim=-1) - radius[..., None]
    off_radius = float((radius - 1.0).abs().mean())
    return max(_relative(rest, (flat - mean).norm(dim=-1)), off_radius)

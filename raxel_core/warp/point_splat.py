"""A picture or clip with depth, seen along a trajectory: z-buffered point splatting, and the mask of what is lacking.

Every pixel of a picture is a point in front of the camera that took it. In a frame it is drawn as a rectangle as large
as the distance to the points of its neighbours on the same surface (at least a pixel), so that a surface that comes
nearer or turns stays closed; one that ends at an edge of depth is not stretched over the gap, and one that is torn
apart is not drawn. The rectangles decide what is nearest in each pixel; the colours of all points within
`DEPTH_TOLERANCE` of that depth are averaged with the weights of linear interpolation. Positions and sizes are rounded
to 1/256 pixel, as rasterisers do, so that a shift by whole pixels is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..framing import fit_video, framing_for
from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.trajectory import Trajectory
from ..runtime.memory import ask_memory
from .depth_map import DepthMap

HOLE_COLOURS = {"black": (0.0, 0.0, 0.0), "grey": (0.5, 0.5, 0.5), "magenta": (1.0, 0.0, 1.0), "white": (1.0, 1.0, 1.0)}

# Relative: points this close to the nearest one belong to the same surface.
DEPTH_TOLERANCE = 0.02
# Relative: neighbours whose depths differ by more are not on one surface.
JOINED_TOLERANCE = 0.1
SUBPIXEL = 256.0
# The widest a point is drawn, in pixels: a surface seen from an eighth of its first distance is still closed. And how
# far apart neighbours may come, against those on a surface that faces the camera: of one that is stretched more the
# picture hardly saw anything, and it is a hole.
WIDEST, STRETCH = 8.0, 3.0
# How pairs [h, w - 1] of pixels beside each other, and [h - 1, w] above each other, are padded for either of the two.
_BESIDE, _ABOVE = ((0, 1), (1, 0)), ((0, 0, 0, 1), (0, 0, 1, 0))
# A point is drawn into the n x n pixels about it, n one of these: few sizes, so that few passes draw them all.
WINDOWS = (2, 3, 4, 6, 8, 12, 16)
# Bytes a pixel: of a frame that is kept (colours and holes in float32), and of the one that is computed, where 300 were
# measured and surfaces seen at a slant take more.
_BYTES_OF_FRAME, BYTES_AT_WORK = 16, 600


@dataclass(frozen=True, eq=False)
class Warp:
    """`video` [3, F, H, W] in the picture's range; `holes` [F, H, W], 1 where nothing is known; `trajectory`: the
    cameras that were rendered, relative to the first and with the lens that was used."""

    video: Tensor
    holes: Tensor
    trajectory: Trajectory


def warp(
    image: Tensor,
    depth: DepthMap | Sequence[DepthMap],
    trajectory: Trajectory,
    *,
    source: Trajectory | None = None,
    hole_colour: tuple[float, float, float] = (0.0, 0.0, 0.0),
    edge_threshold: float = 0.1,
    device: torch.device | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Warp:
    """The picture `image` [3, H, W], or the clip [3, F, H, W] with a depth map each, as the cameras of `trajectory` see
    it.

    The first camera is where the picture was taken; those that took a clip are `source`, which starts there too, or
    stand still. Pictures and depth are resized and cropped at the centre to the trajectory's size, as stock nodes do.
    Depths count in the trajectory's unit, and for "near_depth" are divided by the 25th percentile of the first. The
    lens is that of `source`, or of `depth` where it knows one, with the trajectory's zooms kept as ratios; otherwise
    the trajectory's own. `edge_threshold` drops points on a ramp between near and far (see `on_edge`), 0 keeps all.
    Frames are computed on `device` and kept on the image's; `progress(done, total)` counts them. Raises ValueError
    where the shapes, the numbers of frames, the aspects or the units do not fit.
    """
    clip = image[:, None] if image.ndim == 3 else image
    if clip.ndim != 4 or clip.shape[0] != 3:
        raise ValueError(f"a picture to warp is [3, height, width], a clip [3, F, H, W], got {list(image.shape)}")
    device = image.device if device is None else torch.device(device)
    frames, (height, width) = len(trajectory), trajectory.camera.hw
    needed = (frames * _BYTES_OF_FRAME + BYTES_AT_WORK) * height * width
    ask_memory(f"{frames} frames of {width}x{height} as a warped video", needed)
    scene = filmed(depth, trajectory, (clip.shape[2], clip.shape[3]), source=source, pictures=clip.shape[1])
    homographies, parallaxes = projections(scene.path.camera, scene.cameras)
    video = torch.empty(frames, height, width, 3, dtype=image.dtype, device=image.device)
    holes = torch.empty(frames, height, width, dtype=image.dtype, device=image.device)
    colour = torch.tensor(hole_colour, device=device, dtype=scene.depths[0].depth.dtype)
    for frame in range(frames):
        if frame < len(scene.depths):  # of a still all frames show the points of the one picture
            picture = fit_video(clip[:, frame], (height, width))[0].to(colour)
            points = points_of(picture, scene.depths[frame].depth.to(device), edge_threshold)
        splats = projected(points, homographies[frame], parallaxes[frame], (height, width))
        seen, hole = _render(splats, (height, width))
        video[frame] = torch.where(hole[:, None], colour, seen).unflatten(0, (height, width)).to(video)
        holes[frame] = hole.unflatten(0, (height, width)).to(holes)
        if progress is not None:
            progress(frame + 1, frames)
    return Warp(video.movedim(-1, 0), holes, scene.path)


class Filmed(NamedTuple):
    """What was filmed and is seen again: `depths` of the pictures in the unit and size of `path`, the cameras that see
    them, and `cameras` [1] or [F], those that took them. The first of both is the identity."""

    depths: tuple[DepthMap, ...]
    path: Trajectory
    cameras: Camera


def filmed(
    depth: DepthMap | Sequence[DepthMap],
    trajectory: Trajectory,
    picture_hw: tuple[int, int],
    *,
    source: Trajectory | None = None,
    pictures: int = 1,
) -> Filmed:
    """One scene of depth maps of `pictures` of `picture_hw` and of the cameras; as `warp` says, ValueError as there."""
    depths = (depth,) if isinstance(depth, DepthMap) else tuple(depth)
    _check_counts(len(depths), pictures, trajectory, source)
    hw = trajectory.camera.hw
    # Unit before size: the 25th percentile that a near depth is measured by is that of the whole picture.
    factor = 1.0 / depths[0].near_depth if trajectory.unit == "near_depth" else 1.0
    fitted = tuple(each.scaled(factor).matched(picture_hw).fitted(hw) for each in depths)
    if source is None:
        path = rendered_trajectory(trajectory, _common_lens(fitted))
        return Filmed(fitted, path, path.camera[:1])
    taken = source.relative_to(0).camera
    taken = framing_for(taken.hw, hw).to_fitted(taken)
    return Filmed(fitted, rendered_trajectory(trajectory, taken.K[0]), taken)


def _check_counts(depths: int, pictures: int, trajectory: Trajectory, source: Trajectory | None) -> None:
    """ValueError unless a still has one depth map, or each frame a picture, a depth map and a camera that took it."""
    if depths != pictures:
        raise ValueError(f"each picture has its depth map, got {pictures} pictures and {depths} depth maps")
    if pictures not in (1, len(trajectory)):
        raise ValueError(
            f"a clip has as many pictures as the path has frames, got {pictures} and {len(trajectory)}: "
            "Raxel Retime Trajectory changes those of the path"
        )
    if source is not None and len(source) != pictures:
        raise ValueError(
            f"the path of the clip's own cameras has {len(source)} frames, but there are {pictures} pictures"
        )
    if source is not None and source.unit != trajectory.unit:
        raise ValueError(
            f"the clip's own cameras count in {source.unit}, the path in {trajectory.unit}: "
            "Raxel Scale Trajectory brings them to one unit"
        )


def _common_lens(depths: Sequence[DepthMap]) -> Tensor | None:
    """The median K of the maps, one lens for a clip; None where not all know theirs."""
    known = [depth.K for depth in depths if depth.K is not None]
    return torch.stack(known).median(dim=0).values if len(known) == len(depths) else None


def rendered_trajectory(trajectory: Trajectory, K: Tensor | None) -> Trajectory:
    """`trajectory` relative to its first camera, with the lens `K` [3, 3], of the same size, where that is known: the
    first frame has it, and K changes over time as it did."""
    path = trajectory.relative_to(0)
    if K is None:
        return path
    own = path.camera.K.double()
    changed = K.to(own) @ torch.linalg.inv(own[0]) @ own
    return replace(path, camera=replace(path.camera, K=changed.to(path.camera.K)))


def on_edge(depth: Tensor, threshold: float) -> Tensor:
    """Whether a pixel of `depth` [H, W] (0 = unknown) hangs between two surfaces, [H, W].

    It does when in its 3 x 3 neighbourhood something is nearer and something else farther, both by more than the share
    `threshold`. The two sides of a sharp edge stay; the ramps that networks draw across edges go.
    """
    known = depth > 0.0
    nearest = -functional.max_pool2d(torch.where(known, -depth, -torch.inf)[None], 3, stride=1, padding=1)[0]
    farthest = functional.max_pool2d(depth[None], 3, stride=1, padding=1)[0]
    limit = 1.0 + threshold
    return known & (depth > nearest * limit) & (farthest > depth * limit)


class Points(NamedTuple):
    """The picture as points: colours [3, h w], inverse depth and depth [h, w], and which neighbours share a surface."""

    colour: Tensor
    inverse_depth: Tensor
    depth: Tensor
    known: Tensor
    right: Tensor  # [h, w - 1] whether a pixel and its right neighbour are joined
    below: Tensor  # [h - 1, w]
    beside: Tensor  # [h, w] whether a pixel is joined to its left or right neighbour
    above: Tensor  # [h, w] or to the one above or below


class Splats(NamedTuple):
    """The points [N] a frame may show: position and size in its pixels, depth from its camera, colours [3, N]."""

    x: Tensor
    y: Tensor
    width: Tensor
    height: Tensor
    depth: Tensor
    colour: Tensor


def points_of(image: Tensor, depth: Tensor, edge_threshold: float) -> Points:
    """The points of `image` [3, h, w] with `depth` [h, w]."""
    if edge_threshold > 0.0:
        depth = torch.where(on_edge(depth, edge_threshold), 0.0, depth)
    known = depth > 0.0
    right = _joined(depth[:, :-1], depth[:, 1:])
    below = _joined(depth[:-1], depth[1:])
    inverse = torch.where(known, 1.0 / torch.where(known, depth, 1.0), 0.0)
    beside, above = _either(right, _BESIDE), _either(below, _ABOVE)
    return Points(image.flatten(1), inverse, depth, known, right, below, beside, above)


def _either(pairs: Tensor, sides: tuple[tuple[int, ...], tuple[int, ...]]) -> Tensor:
    """The larger, [h, w], of what a pixel's two pairs of neighbours hold; 0 where there is no neighbour."""
    return torch.maximum(functional.pad(pairs, sides[0]), functional.pad(pairs, sides[1]))


def _joined(a: Tensor, b: Tensor) -> Tensor:
    """Whether two neighbours, of depths `a` and `b`, are both known and on one surface."""
    nearer = torch.minimum(a, b)
    return (nearer > 0.0) & (torch.maximum(a, b) <= nearer * (1.0 + JOINED_TOLERANCE))


def projections(seeing: Camera, taking: Camera) -> tuple[Tensor, Tensor]:
    """Per frame the homography [F, 3, 3] and the parallax [F, 3], in float64: a pixel (u, v) of the camera `taking` the
    picture ([1] or [F]), of depth z, comes to homography (u, v, 1) + parallax / z in the one `seeing` it [F]."""
    seeing, taking = (camera.to("cpu", torch.float64) for camera in (seeing, taking))
    to_pixels = seeing.K @ se3.relative(seeing.world_from_cam, taking.world_from_cam)[:, :3]
    return to_pixels[..., :3] @ torch.linalg.inv(taking.K), to_pixels[..., 3]


def projected(points: Points, homography: Tensor, parallax: Tensor, hw: tuple[int, int]) -> Splats:
    """The points that a frame of `hw` may show."""
    h, w = points.depth.shape
    matrix, shift = homography.to(points.depth), parallax.tolist()
    u = torch.arange(w, device=matrix.device, dtype=matrix.dtype) + 0.5
    v = torch.arange(h, device=matrix.device, dtype=matrix.dtype)[:, None] + 0.5
    across, down, scale = (
        (matrix[i, 0] * u + (matrix[i, 1] * v + matrix[i, 2])) + shift[i] * points.inverse_depth for i in range(3)
    )
    x, y = _snapped(across / scale), _snapped(down / scale)
    facing = _facing(homography, parallax, points.inverse_depth, scale)
    right, below = _closed(x, y, facing, points.right, 1), _closed(x, y, facing, points.below, 0)
    torn = (points.beside & ~_either(right, _BESIDE)) | (points.above & ~_either(below, _ABOVE))
    least = torch.where(points.beside & points.above, 1.0, facing)
    wide, high = (_size(axis, right, below, least) for axis in (x, y))
    inside = (x + wide > 0.5) & (x - wide < hw[1] - 0.5) & (y + high > 0.5) & (y - high < hw[0] - 0.5)
    seen = (points.known & ~torn & (scale > 0.0) & inside).flatten().nonzero().squeeze(1)
    x, y, wide, high, depth = (axis.flatten()[seen] for axis in (x, y, wide, high, points.depth * scale))
    return Splats(x, y, wide, high, depth, points.colour[:, seen])


def _facing(homography: Tensor, parallax: Tensor, inverse_depth: Tensor, scale: Tensor) -> Tensor:
    """How wide a pixel [h, w] is in the frame if its surface faces the first camera; 0 when that is seen from behind.

    It is the root of what the plane's homography, homography + parallax (0, 0, 1) / z, does to an area.
    """
    determinant = torch.linalg.det(homography)
    slope = torch.linalg.solve(homography, parallax)[2]
    area = determinant.item() * (1.0 + slope.item() * inverse_depth) / scale**3
    return _snapped(area.clamp_min(0.0).sqrt())


def _snapped(pixels: Tensor) -> Tensor:
    """Positions or sizes rounded to 1/256 pixel."""
    return (pixels * SUBPIXEL).round() / SUBPIXEL


def _closed(x: Tensor, y: Tensor, facing: Tensor, joined: Tensor, dim: int) -> Tensor:
    """Which `joined` pairs of neighbours along `dim` are not torn apart in the frame."""
    gap, last = torch.hypot(x.diff(dim=dim), y.diff(dim=dim)), facing.shape[dim] - 1
    usual = torch.maximum(facing.narrow(dim, 0, last), facing.narrow(dim, 1, last)).clamp_min(1.0)
    return joined & (gap <= STRETCH * usual)


def _size(position: Tensor, right: Tensor, below: Tensor, least: Tensor) -> Tensor:
    """How far a point reaches along one axis, [h, w] in pixels: to its neighbours' `position` [h, w] on its surface.

    A pixel's two sides add up, so that the rectangle holds the parallelogram between four points. A point without
    neighbours is as large as one that faces the camera.
    """
    beside = _either(torch.where(right, position.diff(dim=1).abs(), 0.0), _BESIDE)
    above = _either(torch.where(below, position.diff(dim=0).abs(), 0.0), _ABOVE)
    return torch.maximum(beside + above, least).clamp(1.0, WIDEST)


class _Touch(NamedTuple):
    """Which pixels points touch along one axis, [n, N]: their numbers, the weights, and whether they are covered."""

    pixel: Tensor
    weight: Tensor
    covered: Tensor


def _render(splats: Splats, hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Colours [h w, 3] and holes [h w] of a frame."""
    pixels = hw[0] * hw[1]
    groups = list(_groups(splats, hw))
    nearest = _nearest(groups, pixels)
    total = nearest.new_zeros(4, pixels + 1)
    for index, weight, _, part in groups:
        front = nearest[index].unflatten(0, weight.shape)
        weight = torch.where((part.depth - front).abs() <= DEPTH_TOLERANCE * front, weight, 0.0)
        for channel in range(3):
            total[channel].scatter_add_(0, index, (weight * part.colour[channel]).flatten())
        total[3].scatter_add_(0, index, weight.flatten())
    hole = torch.isinf(nearest[:pixels])
    return (total[:3, :pixels] / torch.where(hole, 1.0, total[3, :pixels])).T, hole


def nearest_depth(splats: Splats, hw: tuple[int, int]) -> Tensor:
    """The depth [h, w] of what is nearest in each pixel of a frame, infinite where there is nothing."""
    return _nearest(_groups(splats, hw), hw[0] * hw[1])[:-1].unflatten(0, hw)


def _nearest(groups: Iterable[tuple[Tensor, Tensor, Tensor, Splats]], pixels: int) -> Tensor:
    """The nearest depth of each pixel, [pixels + 1], the last for all that lie outside."""
    nearest: Tensor | None = None
    for index, _, covered, part in groups:
        if nearest is None:
            nearest = part.depth.new_full((pixels + 1,), torch.inf)
        depth = torch.where(covered, part.depth, torch.inf).flatten()
        nearest.scatter_reduce_(0, index, depth, "amin")
    return torch.full((pixels + 1,), torch.inf) if nearest is None else nearest


def _groups(splats: Splats, hw: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor, Tensor, Splats]]:
    """Splats by the n x n pixels they touch: flat pixel numbers [n n N], weights and coverage [n, n, N], the splats.

    n is the least of WINDOWS that holds linear interpolation to both sides, but for a quarter of a pixel at its rim: 2
    up to a size of 1.25, 3 up to 1.75. Pixels outside the frame are numbered h w.
    """
    limits = torch.tensor(WINDOWS[:-1], device=splats.x.device, dtype=splats.x.dtype)
    window = torch.bucketize(2.0 * torch.maximum(splats.width, splats.height) - 0.5, limits)
    for number, n in enumerate(WINDOWS):
        pick = (window == number).nonzero().squeeze(1)
        if not len(pick):
            continue
        part = Splats(*(value[..., pick] for value in splats)) if len(pick) < len(window) else splats
        row, column = _touch(part.y, part.height, n), _touch(part.x, part.width, n)
        index = row.pixel[:, None] * hw[1] + column.pixel
        inside = _within(row.pixel, hw[0])[:, None] & _within(column.pixel, hw[1])
        index = torch.where(inside, index, hw[0] * hw[1]).flatten()
        yield index, row.weight[:, None] * column.weight, row.covered[:, None] & column.covered, part


def _touch(position: Tensor, size: Tensor, n: int) -> _Touch:
    """The `n` pixels nearest to `position` [N], their tent weights and which lie in the half-open box of `size` [N]."""
    first = (position - 0.5 * n + 0.5).floor()
    pixel = first + torch.arange(n, device=position.device, dtype=position.dtype)[:, None]
    offset = pixel + 0.5 - position
    covered = (offset >= -0.5 * size) & (offset < 0.5 * size)
    return _Touch(pixel.long(), (1.0 - offset.abs() / size).clamp_min(0.0), covered)


def _within(pixel: Tensor, size: int) -> Tensor:
    """Whether pixel numbers lie in an axis of `size`."""
    return (pixel >= 0) & (pixel < size)

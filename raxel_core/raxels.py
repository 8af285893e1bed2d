"""Cameras to raxel images and back: the one file that knows the encoding's scale and channels.

For pixel u of camera j, in the frame of the reference camera: d = R K^-1 u~ / |K^-1 u~|, o = t, and the raxel is
scale * (o + d). Three channels x, y, z; a raxel video is [..., 3, F, h, w], the layout of a video, and values outside
[-1, 1] stay as they are: `range_report` says how many there are and which scene scale would fit.
Source: "Rays as Pixels", the raxel representation; the recovery is `geometry.pose`. The paper's ablation has Plücker
maps (d, o x d) in their place, six channels on the grid of the video's latents: `plucker_maps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isfinite, log10

import torch
from torch import Tensor

from .geometry.camera import Camera, check_hw
from .geometry.pose import RecoveredCameras, recover_cameras
from .geometry.rays import homogeneous_directions, mapped_rays, ray_length, slopes, unit_directions

RAXEL_SCALE = 0.5


@dataclass(frozen=True)
class RangeReport:
    """How a raxel video lies in [-1, 1], the range a VAE is made for.

    `fraction_outside` is the share of its values beyond it, `peak` the largest absolute value, and `fitting_scale` the
    largest factor, at most 1, for all camera centres with which every value would lie inside; it is cut to three
    digits, so that it still fits when it is printed with three.
    """

    fraction_outside: float
    peak: float
    fitting_scale: float

    @property
    def fits(self) -> bool:
        """Whether every value lies in [-1, 1]."""
        return self.fraction_outside == 0.0


def encode_raxels(
    camera: Camera, hw: tuple[int, int], *, scale: float = RAXEL_SCALE, reference: Camera | int = 0
) -> Tensor:
    """The raxel video [..., 3, F, h, w] of `camera` [..., F] on a grid of `hw` = (h, w), in the camera's dtype.

    Centres and directions are in the frame of `reference`: a camera [...] or the number of one of the F frames. K is
    carried from the camera's own size to the grid, corners fixed. Where K is the same in all frames the whole clip is
    one matrix product. Raises ValueError when there is no frame axis, no such frame or a scale outside (0, 1].
    """
    _check_scale(scale)
    relative = _relative(camera, reference).resized(hw)
    motion = (scale * relative.world_from_cam[..., :3, :]).transpose(-3, -2).contiguous()  # [..., 3, F, 4]
    K = relative.K
    if torch.equal(K, K[..., :1, :, :].expand_as(K)):
        rays = homogeneous_directions(K[..., 0, :, :], relative.hw).flatten(-2)  # [..., 4, h * w]
        return mapped_rays(motion.flatten(-3, -2), rays).unflatten(-2, motion.shape[-3:-1]).unflatten(-1, relative.hw)
    x, y = (slope[..., None, :, :, :] for slope in slopes(K, relative.hw))  # [..., 1, F, h|1, w] and [..., 1, F, h, 1]
    right, down, forward, center = motion[..., None, None].unbind(-3)  # [..., 3, F, 1, 1] each
    return torch.addcdiv(center, right * x + (down * y + forward), ray_length(x, y))


def decode_raxels(
    raxels: Tensor,
    hw: tuple[int, int],
    *,
    scale: float = RAXEL_SCALE,
    method: str = "robust",
    focal: str = "shared",
    K: Tensor | None = None,
    reference_frame: int | None = 0,
) -> RecoveredCameras:
    """The cameras [..., F] of a raxel video [..., 3, F, h, w], with K in pixels of a video of `hw` = (height, width).

    `scale` is the one it was encoded with; the other arguments and the errors are those of
    `geometry.pose.recover_cameras`. The inverse of `encode_raxels`, for square pixels about a centred principal point.
    """
    _check_scale(scale)
    _check_raxels(raxels)
    return recover_cameras(
        raxels / scale,
        check_hw(hw),
        method=method,
        focal=focal,
        K=K,
        reference_frame=reference_frame,
    )


def range_report(
    raxels: Tensor, camera: Camera, *, scale: float = RAXEL_SCALE, reference: Camera | int = 0
) -> RangeReport:
    """How the raxel video [..., 3, F, h, w] that `camera` [..., F] was encoded to lies in [-1, 1].

    `scale` and `reference` are those of the encoding: with them each frame's directions follow from its extreme
    values, and so does the factor for the centres that brings all of them inside. Raises ValueError for raxels that
    are not finite.
    """
    _check_scale(scale)
    _check_raxels(raxels)
    low, high = raxels.amin((-2, -1)), raxels.amax((-2, -1))  # [..., 3, F] each; aminmax along an axis is slower
    peak = float(torch.maximum(-low, high).max())
    if not isfinite(peak):
        raise ValueError("the raxels hold NaN or infinity")
    if peak <= 1.0:
        return RangeReport(0.0, peak, 1.0)
    outside = sum(int((frame.abs() > 1.0).sum()) for frame in raxels.unbind(-3))
    shift = scale * _relative(camera, reference).center.mT  # [..., 3, F]
    room = torch.where(shift > 0.0, 1.0 - (high - shift), 1.0 + (low - shift))
    factor = torch.where(shift == 0.0, 1.0, room / shift.abs()).clamp(0.0, 1.0)
    return RangeReport(outside / raxels.numel(), peak, _cut(float(factor.min())))


def plucker_maps(camera: Camera, hw: tuple[int, int], *, reference: Camera | int = 0) -> Tensor:
    """Plücker maps [..., 6, F, h, w] of `camera` [..., F] on a grid of `hw`: unit direction, then moment = o x d.

    The frame is that of `reference`, as in `encode_raxels`; ValueError likewise.
    """
    relative = _relative(camera, reference).resized(hw)
    direction = (relative.rotation @ unit_directions(relative.K, relative.hw).flatten(-2)).unflatten(-1, relative.hw)
    center = relative.center[..., None, None].expand_as(direction)  # [..., F, 3, h, w], as the directions
    maps = torch.cat((direction, torch.linalg.cross(center, direction, dim=-3)), dim=-3)
    return maps.transpose(-4, -3)


def raxels_of_plucker(maps: Tensor, times: Tensor, *, scale: float = RAXEL_SCALE) -> Tensor:
    """The raxel video [..., 3, F, h, w] of Plücker maps [..., 6, T, h, w], read at `times` [F] from 0 to T - 1.

    The camera centre of a frame is the point nearest to all its lines: sum (1 - d d^T) o = sum d x m. Between maps,
    centres and directions go straight. Any multiple of a line's six numbers is the same line.
    """
    _check_scale(scale)
    direction, moment = maps.transpose(-4, -3).unflatten(-3, (2, 3)).unbind(-4)  # [..., T, 3, h, w] each
    length = torch.linalg.vector_norm(direction, dim=-3, keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
    direction, moment = direction / length, moment / length
    d, m = (each.flatten(-2).mT.double() for each in (direction, moment))  # [..., T, N, 3]
    away = d.shape[-2] * torch.eye(3, dtype=d.dtype, device=d.device) - d.mT @ d
    foot = torch.linalg.cross(d, m, dim=-1).sum(-2)
    center = torch.linalg.solve(away, foot).to(maps)[..., None, None]  # [..., T, 3, 1, 1]
    before = times.floor().long().clamp(max=maps.shape[-3] - 1)
    after, share = (before + 1).clamp(max=maps.shape[-3] - 1), (times - before).to(maps)[:, None, None, None]
    center, direction = (
        torch.lerp(each.index_select(-4, before), each.index_select(-4, after), share) for each in (center, direction)
    )
    raxels = center + direction / torch.linalg.vector_norm(direction, dim=-3, keepdim=True)
    return scale * raxels.transpose(-4, -3)


def _relative(camera: Camera, reference: Camera | int) -> Camera:
    """`camera` [..., F] in the frame of `reference`, a camera [...] or a frame number; ValueError without it."""
    if not camera.batch_shape:
        raise ValueError("raxels are of a camera with a frame axis; index it with [None] to encode one image")
    if not camera.batch_shape[-1]:
        raise ValueError("raxels are of a camera with at least one frame, got none")
    if isinstance(reference, Camera):
        return camera.relative_to(reference[..., None].to(camera.K.device, camera.K.dtype))
    frames = camera.batch_shape[-1]
    if not -frames <= reference < frames:
        raise ValueError(f"the reference is frame {reference} of a clip of {frames} frames")
    return camera.relative_to(camera[..., reference, None])


def _cut(value: float) -> float:
    """`value` >= 0 rounded down to three significant digits."""
    if value == 0.0:
        return 0.0
    digits = 2 - floor(log10(value))
    return floor(value * 10.0**digits) / 10.0**digits


def _check_scale(scale: float) -> None:
    """ValueError unless directions alone stay inside [-1, 1] under `scale`."""
    if not 0.0 < scale <= 1.0:
        raise ValueError(f"a raxel scale lies in (0, 1], got {scale}")


def _check_raxels(raxels: Tensor) -> None:
    """ValueError unless `raxels` is [..., 3, F, h, w]."""
    if raxels.ndim < 4 or raxels.shape[-4] != 3 or not raxels.is_floating_point():
        given = f"{list(raxels.shape)} {raxels.dtype}"
        raise ValueError(f"a raxel video is a floating-point tensor [..., 3, F, h, w], got {given}")

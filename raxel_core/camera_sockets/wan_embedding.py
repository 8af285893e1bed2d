"""WAN_CAMERA_EMBEDDING: the Pluecker rays that ComfyUI's Wan Fun-Camera takes, a tensor [1, 24, T, H, W].

The 24 channels are 6 x 4: moment o x d and unit direction d, three numbers each, of four frames a latent frame, the
first frame four times. Rays are in the frame of the first camera, OpenCV axes, through pixel centres at +0.5.
Source: ComfyUI, comfy_extras/nodes_camera_trajectory.py, whose node can only make a few moves and rescales K as if
every picture were 1280 x 720; here it comes from K in pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..camera_io.reading import Assumed, CameraFormatError, Reading
from ..geometry import se3
from ..geometry.rays import mapped_rays, unit_directions
from ..geometry.trajectory import Trajectory
from ..latents.frames import TEMPORAL_STRIDE, check_frame_count
from ..runtime.memory import ask_memory
from .payload import Lens, check_motions, fitted, reading

NAME = "WAN_CAMERA_EMBEDDING"
_LINE = 6  # moment and direction
_CHANNELS = _LINE * TEMPORAL_STRIDE
# Pixels across that are read back: a fit of nine numbers needs no more.
_SAMPLES = 32
# How far a direction, or a moment of a centre at distance 1, may be from that of the fitted camera.
_RESIDUAL = 1e-3


def wan_camera_embedding(trajectory: Trajectory, hw: tuple[int, int] | None = None) -> Tensor:
    """The payload [1, 24, (F + 3) / 4, H, W] in float32 of a path of F = 4k + 1 frames for a video of `hw`.

    `hw` is the path's own size by default. Raises ValueError for other frame counts and another aspect. Moments are in
    the path's unit. Every line is a linear function of the unit direction d in the camera, (t x R d, R d), so that
    with one K the whole payload is a product of [24 T, 3] with [3, H W], written where it belongs.
    """
    check_frame_count(len(trajectory))
    camera = fitted(trajectory, hw)
    camera = camera.relative_to(camera[:1])
    height, width = camera.hw
    floats = _CHANNELS * (len(trajectory) + TEMPORAL_STRIDE - 1) // TEMPORAL_STRIDE + _LINE
    ask_memory(f"{len(trajectory)} frames of {width}x{height} as Wan's rays", 4.0 * floats * height * width)
    moment = torch.linalg.cross(camera.center[:, :, None].expand(-1, 3, 3), camera.rotation, dim=1)
    line_from_ray = torch.cat((moment, camera.rotation), dim=1).to(torch.float32)  # [F, 6, 3]
    order = torch.arange(-TEMPORAL_STRIDE + 1, len(trajectory)).clamp(min=0)  # 0 0 0 0 1 2 3 4 ...
    groups = len(order) // TEMPORAL_STRIDE
    rows = line_from_ray[order].unflatten(0, (groups, TEMPORAL_STRIDE)).permute(2, 1, 0, 3)  # [6, 4, T, 3]
    if torch.equal(camera.K, camera.K[:1].expand_as(camera.K)):
        out = mapped_rays(rows.reshape(-1, 3), unit_directions(camera.K[0].float(), camera.hw).flatten(1))
    else:
        out = torch.empty(_CHANNELS * groups, height * width, device=camera.K.device)
        lines = out.view(_LINE, TEMPORAL_STRIDE, groups, -1)
        for place, frame in enumerate(order.tolist()):
            group, part = divmod(place, TEMPORAL_STRIDE)
            rays = unit_directions(camera.K[frame].float(), camera.hw).flatten(1)
            torch.mm(line_from_ray[frame], rays, out=lines[:, part, group])
    return out.view(1, _CHANNELS, groups, height, width)


def is_wan_embedding(value: Any) -> bool:
    """Whether `value` has the payload's layout."""
    return isinstance(value, Tensor) and value.ndim == 5 and value.shape[1] == _CHANNELS


def read_wan_embedding(value: Any, assumed: Assumed) -> Reading:
    """The cameras of a payload [1, 24, T, H, W], K of each frame fitted to its rays; CameraFormatError where none fit.

    With d = R K^-1 u / |K^-1 u|, M = R K^-1 solves d x (M u) = 0, which is linear; the QR decomposition of M is R and
    K^-1. The centre is the point nearest to all lines: sum (I - d d^T) o = sum d x m.
    """
    if not is_wan_embedding(value) or len(value) != 1 or not value.numel():
        given = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise CameraFormatError(f"{NAME} is a tensor [1, {_CHANNELS}, T, H, W], got {given}")
    moment, direction, pixels = _samples(value)
    motion, K = _fitted_cameras(moment, direction, pixels)
    height, width = value.shape[-2:]
    notes = (
        f"{len(motion)} frames of {width}x{height} pixels: Pluecker rays, four frames a group, the first alone.",
        "Rays are in the frame of the first camera, OpenCV axes.",
    )
    lens = Lens(K, f"K: fitted to the rays, in pixels of {width}x{height}.")
    return reading(NAME, check_motions(NAME, motion), lens, replace(assumed, hw=(height, width)), notes=notes)


def _samples(value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Moments and directions [F, P, 3] and homogeneous pixels [P, 3], in float64, on a coarse grid of the picture."""
    height, width = value.shape[-2:]
    y = torch.linspace(0, height - 1, min(height, _SAMPLES)).round().long()
    x = torch.linspace(0, width - 1, min(width, _SAMPLES)).round().long()
    coarse = value[0].unflatten(0, (2, 3, TEMPORAL_STRIDE))[..., y.to(value.device)[:, None], x.to(value.device)]
    lines = coarse.to("cpu", torch.float64).permute(0, 3, 2, 4, 5, 1).flatten(1, 2).flatten(2, 3)  # [2, 4T, P, 3]
    if not bool(lines.isfinite().all()):
        raise CameraFormatError(f"{NAME} holds NaN or infinity")
    rows, columns = torch.meshgrid(y.double() + 0.5, x.double() + 0.5, indexing="ij")
    pixels = torch.stack((columns, rows, torch.ones_like(rows)), dim=-1).flatten(0, 1)
    moment, direction = lines[:, TEMPORAL_STRIDE - 1 :]
    return moment, direction, pixels


def _fitted_cameras(moment: Tensor, direction: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """world_from_cam [F, 4, 4] and K [F, 3, 3] of lines [F, P, 3] through `pixels` [P, 3]."""
    scale = pixels.new_tensor((1.0 / pixels[:, 0].max(), 1.0 / pixels[:, 1].max(), 1.0))
    u = pixels * scale  # in [0, 1], for the condition of the fit
    outer = torch.eye(3, dtype=u.dtype) - direction[..., :, None] * direction[..., None, :]  # [F, P, 3, 3]
    normal = torch.einsum("fpij,pa,pb->fiajb", outer, u, u).flatten(3, 4).flatten(1, 2)
    M = torch.linalg.eigh(normal).eigenvectors[..., 0].unflatten(-1, (3, 3)) * scale
    M = M * torch.linalg.det(M).sign()[:, None, None]
    rotation, K_inverse = torch.linalg.qr(M)
    sign = K_inverse.diagonal(dim1=-2, dim2=-1).sign()
    rotation, K_inverse = rotation * sign[:, None, :], K_inverse * sign[:, :, None]
    fitted_direction = torch.nn.functional.normalize(pixels @ (rotation @ K_inverse).mT, dim=-1)
    error = float((fitted_direction - direction).abs().max())
    if not error <= _RESIDUAL or bool((sign == 0.0).any()):
        raise CameraFormatError(f"{NAME} holds directions that are those of no pinhole camera (off by {error:.3g})")
    center = torch.linalg.solve(outer.sum(1), torch.linalg.cross(direction, moment, dim=-1).sum(1))
    missed = torch.linalg.cross(center[:, None].expand_as(direction), direction, dim=-1) - moment
    if not float(missed.abs().max()) <= _RESIDUAL * (1.0 + float(center.abs().max())):
        raise CameraFormatError(f"{NAME} holds lines that do not meet in one point a frame")
    K = torch.linalg.inv(K_inverse)
    K = K / K[:, 2:, 2:]
    K[:, 0, 1] = 0.0
    return se3.from_rotation_translation(rotation, center), K

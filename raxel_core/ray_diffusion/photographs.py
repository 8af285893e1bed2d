"""Cameras of a few photographs by Ray Diffusion: crops, network, rays, cameras, and how far to trust them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.pytorch3d import pixels_from_ndc
from ..geometry.ray_cameras import RayCameras, assessed_cameras
from ..geometry.ray_map import RayMap
from .bundle import plucker_from_bundle
from .checkpoint import LoadedRayDiffusion
from .crops import Box, box_of_mask, check_box, cropped, middle_box, ndc_of_crop, square_crop
from .sampler import SamplerSettings, sampled_rays

LAYOUT = "plucker_dm"
DEFAULTS = SamplerSettings()


@dataclass(frozen=True, eq=False)
class Photographs:
    """N pictures [N, 3, H, W] in [-1, 1] with the `crop` (left, top, side) of each that the network sees."""

    images: Tensor
    crops: tuple[tuple[int, int, int], ...]

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.images.shape[-2], self.images.shape[-1]


@dataclass(frozen=True, eq=False)
class PhotographCameras:
    """`camera` [N] in the frame of the first photograph's, lengths in its distance to what all look at; `covariance`
    [N, 7, 7] of (omega, t, log f) relative to the first camera; how far the samples differ, `rotation_spread` [N] in
    radians and `center_spread` [N] (zero of one sample); the `rays` they were read from, in the scene's frame, and the
    share of them that fit, `inlier_fraction` [N]; `samples` [S, N] are all sampled cameras, the chosen one among them.
    """

    camera: Camera
    covariance: Tensor
    rotation_spread: Tensor
    center_spread: Tensor
    rays: RayMap
    inlier_fraction: Tensor
    samples: Camera


def photographs(
    images: Tensor, *, boxes: Sequence[Sequence[float]] | None = None, masks: Tensor | None = None
) -> Photographs:
    """Pictures [N, 3, H, W] in [-1, 1] with their subjects: `boxes` (left, top, right, bottom) in pixels, or `masks`
    [N, H, W] in [0, 1]; without either the largest square in the middle.

    Raises ValueError for fewer than two pictures, two that are the same, and boxes or masks that do not fit them.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"photographs are [N, 3, height, width], got {list(images.shape)}")
    if len(images) < 2:
        raise ValueError(f"Ray Diffusion compares photographs: it needs two or more, got {len(images)}")
    if not bool(images.isfinite().all()):
        raise ValueError("the photographs hold NaN or infinity")
    _require_different(images)
    if boxes is not None and masks is not None:
        raise ValueError("the subject is given by boxes or by masks, not by both")
    hw = (images.shape[-2], images.shape[-1])
    found = _boxes(len(images), hw, boxes, masks)
    return Photographs(images, tuple(square_crop(box) for box in found))


def estimate_cameras(
    loaded: LoadedRayDiffusion,
    pictures: Photographs,
    settings: SamplerSettings = DEFAULTS,
    *,
    K: Tensor | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PhotographCameras:
    """The cameras of N photographs. `K` [3, 3] or [N, 3, 3] in pixels is used where it is given; else one focal length
    is found for all. Of several samples the one nearest to the others is chosen, and how they differ is told.

    Raises ValueError for a method that the network was not trained for, PoseRecoveryError for rays of no camera.
    """
    config = loaded.network.config
    crops = torch.stack([cropped(i, c, config.image_px) for i, c in zip(pictures.images, pictures.crops, strict=True)])
    ndc = torch.stack([ndc_of_crop(crop, pictures.hw, config.grid) for crop in pictures.crops])
    return cameras_of_crops(loaded, crops, ndc, settings, hw=pictures.hw, K=K, progress=progress)


def cameras_of_crops(
    loaded: LoadedRayDiffusion,
    crops: Tensor,
    ndc: Tensor,
    settings: SamplerSettings = DEFAULTS,
    *,
    hw: tuple[int, int] = (256, 256),
    K: Tensor | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PhotographCameras:
    """The same of `crops` [N, 3, px, px] in [-1, 1] whose rays pass pictures of `hw` at `ndc` [N, 2, grid, grid]."""
    if loaded.trained_for not in ("both", settings.method):
        raise ValueError(f"{loaded.name} was trained for {loaded.trained_for}, not for {settings.method}")
    network = loaded.network
    device = next(network.parameters()).device
    with torch.no_grad():
        features = network.features(crops[None].to(device))[0]
    bundles = sampled_rays(network, features, ndc.to(device), settings, progress=progress).cpu()
    lines = plucker_from_bundle(bundles)
    maps = torch.cat((lines.direction, lines.moment), dim=-1).movedim(-1, -3)
    pixels = pixels_from_ndc(ndc.movedim(1, -1), hw)
    lens = "shared" if K is None else "known"
    return _chosen(assessed_cameras(RayMap(maps, LAYOUT), hw, lens=lens, K=K, pixels=pixels), maps)


def _boxes(count: int, hw: tuple[int, int], boxes: Sequence[Sequence[float]] | None, masks: Tensor | None) -> list[Box]:
    """The box of each of `count` pictures; ValueError names the picture whose box or mask is wrong."""
    if boxes is None and masks is None:
        return [middle_box(hw)] * count
    given = len(boxes) if boxes is not None else len(masks) if masks is not None else 0
    if given != count:
        raise ValueError(f"there are {count} photographs and {given} {'boxes' if boxes is not None else 'masks'}")
    if masks is not None and tuple(masks.shape[1:]) != hw:
        raise ValueError(f"masks have the photographs' size {hw[1]}x{hw[0]}, got {list(masks.shape)}")
    found = []
    for number in range(count):
        try:
            found.append(check_box(boxes[number], hw) if boxes is not None else box_of_mask(masks[number]))  # type: ignore[index]
        except ValueError as error:
            raise ValueError(f"photograph {number}: {error}") from None
    return found


def _require_different(images: Tensor) -> None:
    """ValueError for the first two pictures that are the same to the last digit."""
    small = images.flatten(1)[:, :: max(1, images[0].numel() // 4096)]
    distance = torch.cdist(small, small, p=float("inf")).fill_diagonal_(1.0)
    if bool((distance == 0.0).any()):
        first, second = (distance == 0.0).nonzero()[0].tolist()
        raise ValueError(f"photographs {first} and {second} are the same picture: leave one of them out")


def _chosen(found: RayCameras, maps: Tensor) -> PhotographCameras:
    """The sample nearest to all others, in the frame of the first camera, with their spread."""
    camera = found.camera.relative_to(found.camera[:, :1])
    turns = se3.geodesic(camera.rotation[:, None], camera.rotation[None])  # [S, S, N]
    shifts = torch.linalg.vector_norm(camera.center[:, None] - camera.center[None], dim=-1)
    best = int((turns + shifts).mean((1, 2)).argmin())
    others = max(1, len(turns) - 1)
    turn_spread, shift_spread = ((part[best].square().sum(0) / others).sqrt() for part in (turns, shifts))
    own = _relative_covariance(found.covariance[best], found.camera[best])
    return PhotographCameras(
        camera[best], own + _sample_covariance(camera, best), turn_spread, shift_spread, RayMap(maps[best], LAYOUT),
        found.inlier_fraction[best], camera,
    )  # fmt: skip


def _relative_covariance(covariance: Tensor, camera: Camera) -> Tensor:
    """Covariance [N, 7, 7] of cameras relative to the first, whose errors are independent of theirs.

    With P = R_0^-1 and the offset a = t - t_0: omega_rel = P (omega - omega_0), t_rel = P (dt - dt_0 + a x omega_0).
    """
    back = camera.rotation[0].mT
    offset = camera.center - camera.center[0]
    ours = torch.eye(7, dtype=covariance.dtype).repeat(len(camera), 1, 1)
    ours[:, :3, :3] = ours[:, 3:6, 3:6] = back
    first = torch.zeros_like(ours)
    first[:, :3, :3] = first[:, 3:6, 3:6] = -back
    basis = torch.eye(3, dtype=covariance.dtype).expand(len(camera), 3, 3)
    first[:, 3:6, :3] = back @ torch.linalg.cross(offset[:, None, :].expand_as(basis), basis, dim=-1).mT
    joint = ours @ covariance @ ours.mT + first @ covariance[:1] @ first.mT
    joint[0, :6], joint[0, :, :6] = 0.0, 0.0
    return joint


def _sample_covariance(camera: Camera, best: int) -> Tensor:
    """Covariance [N, 7, 7] of sampled cameras [S, N] about the chosen one; zero of one sample."""
    omega = se3.so3_log(camera.rotation @ camera.rotation[best].mT)
    shift = camera.center - camera.center[best]
    zoom = (camera.focal.log().mean(-1) - camera.focal[best].log().mean(-1))[..., None]
    parts = torch.cat((omega, shift, zoom), dim=-1)  # [S, N, 7]
    return torch.einsum("sna,snb->nab", parts, parts) / max(1, len(parts) - 1)

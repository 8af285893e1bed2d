"""The figures a run is watched by: the camera errors of one-step pose on clips it never saw."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.procrustes import motion_to_bundle
from ..latents.vae import VideoVAE
from ..model.transformer import RaxelTransformer
from ..recipe import Recipe
from .config import TrainConfig
from .data import LatentClips
from .loss import camera_errors, canonical_cameras
from .ray_codes import decode_cameras, encode_cameras

BATCH = 64


@torch.no_grad()
def pose_figures(
    model: RaxelTransformer, clips: LatentClips, config: TrainConfig, recipe: Recipe, vae: VideoVAE
) -> dict[str, float]:
    """Pose in one step from pure noise, frame 0 as reference, over `clips`; frames after the first.

    `rotation` and `identity` are mean errors in degrees, of the model and of a still camera; `gain` is their paired
    difference per clip and `gain_se` its standard error; `translation` and `still` are mean distances in near-depth
    units; `focal` the mean |log| error; `corr_*` are correlations of the last frame's twist with the truth, of which
    yaw+tx is what moves the image and yaw-tx what only parallax tells.
    """
    truth, found = _poses(model, clips, config, recipe, vae)
    error = se3.geodesic(found["rotation"], truth["rotation"])[:, 1:] * 180 / math.pi
    identity = torch.eye(3).expand_as(truth["rotation"])
    still = se3.geodesic(identity, truth["rotation"])[:, 1:] * 180 / math.pi
    gain = (still - error).mean(1)
    figures = {
        "rotation": error.mean().item(),
        "identity": still.mean().item(),
        "gain": gain.mean().item(),
        "gain_se": (gain.std() / len(gain) ** 0.5).item(),
        "translation": (found["center"] - truth["center"])[:, 1:].norm(dim=-1).mean().item(),
        "still": truth["center"][:, 1:].norm(dim=-1).mean().item(),
        "focal": found["focal"].abs().mean().item(),
    }
    return figures | _correlations(truth, found)


def _poses(
    model: RaxelTransformer, clips: LatentClips, config: TrainConfig, recipe: Recipe, vae: VideoVAE
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(config.seed)
    found: dict[str, list[Tensor]] = {"rotation": [], "center": [], "focal": []}
    camera = canonical_cameras(clips.camera, clips.near_depth, torch.zeros(len(clips), dtype=torch.long), recipe.unit)
    for start in range(0, len(clips), BATCH):
        part, true = clips[start : start + BATCH].to(device), camera[start : start + BATCH]
        video = recipe.video_statistics.normalize(part.video)
        rays = recipe.ray_statistics.normalize(encode_cameras(true.to(device), config, vae))
        noise = torch.randn(rays.shape, generator=generator).to(device)
        sigma = torch.ones(rays.shape[0], rays.shape[2], device=device)
        velocity = model(video, noise, torch.zeros(video.shape[0], video.shape[2], device=device), sigma)[1]
        codes = recipe.ray_statistics.denormalize(noise - velocity.float())
        bundles = decode_cameras(codes, config, vae, scale=recipe.raxel_scale).cpu() / recipe.raxel_scale
        rotation, center = motion_to_bundle(bundles, bundles[:, :, 0])
        found["rotation"].append(rotation.float())
        found["center"].append(center.float())
        found["focal"].append(camera_errors(bundles, true)[2])
    truth = {"rotation": camera.rotation, "center": camera.center}
    return truth, {name: torch.cat(values) for name, values in found.items()}


@torch.no_grad()
def video_figures(
    model: RaxelTransformer, clips: LatentClips, config: TrainConfig, recipe: Recipe, vae: VideoVAE
) -> dict[str, float]:
    """Video in one step from pure noise, frame 0 as source, over `clips`; frames after the first.

    PSNR in dB against the VAE's own picture, means over clips: `video` along the true cameras, `shuffled` along another
    clip's, `copy` of frame 0 as the video codes it; `video_gain` is video - copy, `video_gain_se` its standard error.
    """
    figures = picture_figures(model, clips, config, recipe, vae)
    gain = figures["video"] - figures["copy"]
    means = {name: values.mean().item() for name, values in figures.items()}
    return means | {"video_gain": gain.mean().item(), "video_gain_se": (gain.std() / len(gain) ** 0.5).item()}


@torch.no_grad()
def picture_figures(
    model: RaxelTransformer, clips: LatentClips, config: TrainConfig, recipe: Recipe, vae: VideoVAE
) -> dict[str, Tensor]:
    """`video`, `shuffled` and `copy` of `video_figures` for each clip [B]."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(config.seed)
    camera = canonical_cameras(clips.camera, clips.near_depth, torch.zeros(len(clips), dtype=torch.long), recipe.unit)
    found: dict[str, list[Tensor]] = {"video": [], "shuffled": [], "copy": []}
    for start in range(0, len(clips), BATCH):
        part, true = clips[start : start + BATCH].to(device), camera[start : start + BATCH]
        rays = recipe.ray_statistics.normalize(encode_cameras(true.to(device), config, vae))
        noise = torch.randn(part.video.shape, generator=generator).to(device)
        truth = vae.decode(part.video).clamp(-1, 1)[:, :, 1:]
        for name, shown in (("video", rays), ("shuffled", rays.roll(1, 0))):
            found[name].append(_psnr(_one_step_video(model, part, noise, shown, recipe, vae), truth))
        found["copy"].append(_psnr(vae.decode(part.video).clamp(-1, 1)[:, :, :1], truth))
    return {name: torch.cat(values) for name, values in found.items()}


def _one_step_video(
    model: RaxelTransformer, clips: LatentClips, noise: Tensor, rays: Tensor, recipe: Recipe, vae: VideoVAE
) -> Tensor:
    """Frames [B, 3, F - 1, H, W] after the first, made from frame 0 along cameras given as ray latents."""
    batch, frames = noise.shape[0], noise.shape[2]
    source = recipe.video_statistics.normalize(clips.images[:, :, :1])
    levels = torch.cat([noise.new_ones(batch, frames), noise.new_zeros(batch, 1)], 1)
    time = torch.cat([torch.arange(frames, dtype=torch.float32), torch.zeros(1)]).to(noise.device)
    clean = noise.new_zeros(batch, rays.shape[2])
    velocity = model(torch.cat([noise, source], 2), rays, levels, clean, video_time=time)[0][:, :, :frames]
    return vae.decode(recipe.video_statistics.denormalize(noise - velocity.float())).clamp(-1, 1)[:, :, 1:]


def _psnr(made: Tensor, truth: Tensor) -> Tensor:
    """PSNR [B] in dB of clips [B, 3, F, H, W] in [-1, 1]."""
    return -10 * torch.log10(((made - truth) / 2).square().flatten(1).mean(1)).cpu()


def _correlations(truth: dict[str, Tensor], found: dict[str, Tensor]) -> dict[str, float]:
    def components(poses: dict[str, Tensor]) -> dict[str, Tensor]:
        pitch, yaw, roll = se3.so3_log(poses["rotation"][:, -1]).unbind(-1)
        x, y, z = poses["center"][:, -1].unbind(-1)
        return {"pitch": pitch, "yaw": yaw, "roll": roll, "tx": x, "ty": y, "tz": z,
                "yaw+tx": yaw + x, "yaw-tx": yaw - x, "pitch-ty": pitch - y, "pitch+ty": pitch + y}  # fmt: skip

    a, b = components(truth), components(found)
    return {f"corr_{name}": torch.corrcoef(torch.stack([a[name], b[name]]))[0, 1].item() for name in a}

"""Cameras into ray latents and out of them, with the pack's VAE and recipe."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from torch import Tensor

from ...raxel_core.geometry.camera import Camera
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.latents.frames import pixel_frames
from ...raxel_core.pipeline import CameraEstimate, Reading, Stage, read_cameras
from ...raxel_core.raxel_model import RaxelModel
from ...raxel_core.runtime.memory import ask_memory
from ...raxel_core.sampling import Streams, pose_schedule
from ..comfy_model.conditioning import no_text
from ..comfy_model.latent_format import format_of
from ..comfy_model.vae import ComfyVideoVAE
from ..comfy_sampling.joint_latent import Latent, joint_latent, reference_of, streams_of
from ..comfy_sampling.joint_run import sample


def core_model(model: ModelPatcher, vae: VAE) -> RaxelModel:
    """MODEL and VAE as the core's model, for everything but running the network: that is ComfyUI's business."""
    latent_format, coder = format_of(model), ComfyVideoVAE(vae)
    found, expected = (
        (coder.latent_channels, coder.spatial_stride),
        (latent_format.latent_channels, latent_format.sizes.stride),
    )
    if found != expected:
        raise ValueError(
            f"this VAE makes latents of {found[0]} channels, {found[1]} times smaller, and the model takes "
            f"{expected[0]} channels, {expected[1]} times smaller: connect the VAE of Load Raxel Model"
        )
    return RaxelModel(model.model.diffusion_model, coder, latent_format.recipe)


def latent_cameras(
    model: ModelPatcher,
    vae: VAE,
    latent: Latent,
    reading: Reading,
    *,
    index: int = 0,
    known: Trajectory | None = None,
) -> CameraEstimate:
    """The cameras of clip `index` of a joint LATENT, K in pixels of its video, relative to its reference frame.

    With a `known` path they stand in its world instead, at its camera of that frame, whose K "known" focal takes.
    """
    core, latent_format, streams = core_model(model, vae), format_of(model), streams_of(latent, "Raxels to Poses")
    if not 0 <= index < streams.rays.shape[0]:
        raise ValueError(f"the latent holds {streams.rays.shape[0]} clips, numbered from 0; there is no clip {index}")
    frame, frames = reference_of(latent), pixel_frames(streams.rays.shape[2])
    return read_cameras(
        core,
        core.vae.decode(streams.rays[index : index + 1])[0],
        latent_format.sizes.video_hw(streams.video.shape),
        reading,
        reference=frame if 0 <= frame < frames else None,
        known=None if known is None else known_camera(known, frame),
    )


def sampled_cameras(
    model: ModelPatcher,
    vae: VAE,
    clip: Tensor,
    reading: Reading,
    *,
    seed: int,
    ray_steps: int,
    stage: Stage,
    known: Trajectory | None = None,
) -> CameraEstimate:
    """The cameras of a clip [3, F, H, W] in [-1, 1] through ComfyUI's sampling; `stage` as in `sample`, `known` as in
    `latent_cameras`."""
    video = core_model(model, vae).vae.encode(clip[None])
    latent = sample(
        model,
        joint_latent(Streams(video, format_of(model).empty_rays(video)), "pose"),
        pose_schedule(ray_steps),
        positive=no_text(),
        negative=no_text(),
        cfg=1.0,
        seed=seed,
        stage=stage,
    )
    return latent_cameras(model, vae, latent, reading, known=known)


def known_camera(known: Trajectory, frame: int) -> Camera:
    """The camera of `frame` of a known path; ValueError when it has none."""
    if frame < 0:
        raise ValueError("the rays are relative to a source image beside the path, of which a known path has no camera")
    if frame >= len(known):
        raise ValueError(f"the known path has {len(known)} frames, but the rays are relative to frame {frame}")
    return known[frame]


# Raxels that are held at once while a path is drawn, judged, shown and coded.
_RAXEL_COPIES = 6


def ask_encode_memory(core: RaxelModel, frames: int, hw: tuple[int, int]) -> None:
    """ValueError in one sentence where the raxels of `frames` of `hw` would need more memory than there is."""
    height, width = core.sizes.raxel_hw(hw)
    raxels = 3 * 4.0 * frames * height * width
    assert isinstance(core.vae, ComfyVideoVAE)  # as `core_model` made it
    coding = core.vae.memory_to_encode((1, 3, frames, height, width))
    ask_memory(f"{frames} frames of {hw[1]}x{hw[0]} as raxels", _RAXEL_COPIES * raxels + coding)


def encode_rays(
    core: RaxelModel, camera: Camera, hw: tuple[int, int], *, reference: Camera | int
) -> tuple[Tensor, Tensor]:
    """Raw ray latents [1, C, T, h, w] of cameras [F] for a video of `hw`, and their raxels [3, F, h, w]."""
    raxels = core.raxels(camera, hw, reference=reference)
    return core.vae.encode(raxels[None]), raxels

"""The node that tells the model what some frames look like."""

from __future__ import annotations

import re

import torch
from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.framing import check_aspect
from ...raxel_core.geometry.camera import Camera
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.latents.frames import latent_times
from ...raxel_core.latents.vae import encode_images
from ...raxel_core.raxel_model import RaxelModel
from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import video_from_image
from ..comfy_model.conditioning import Conditioning, SourceLatents, no_text, with_sources
from ..sockets import CATEGORY, TrajectorySocket
from .estimates import core_model


class RaxelSources(io.ComfyNode):
    """Images at frame numbers -> conditioning."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelSources",
            display_name="Raxel Sources",
            category=CATEGORY,
            description="Source images for the model: what the clip looks like at some of its frames. The camera of "
            "the earliest one is the origin of all others.",
            inputs=[
                inputs.model(),
                inputs.vae(),
                io.Image.Input("images", tooltip="One image or a batch, of the size of the video."),
                io.String.Input(
                    "frames",
                    default="0",
                    tooltip="Which frame of the clip each image shows, counted from 0, one number per image: 0, 8, 16. "
                    "With cameras also before the clip (-8) or after its end: a view beside the path.",
                ),
                TrajectorySocket.Input(
                    "trajectory",
                    optional=True,
                    tooltip="The path that the images were taken along, if you know it: its cameras at those frames "
                    "help when the task is joint. Leave it open with task camera, which has the cameras "
                    "already.",
                ),
                io.Conditioning.Input(
                    "positive", optional=True, tooltip="A prompt to add the images to, for checkpoints that read text."
                ),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="A negative prompt, for checkpoints that read text."
                ),
                TrajectorySocket.Input(
                    "cameras",
                    optional=True,
                    tooltip="Cameras of the images themselves, one each in their order, in the world of the path: for "
                    "images taken beside it. Connect positive to sources of Raxel Encode too.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="With the images."),
                io.Conditioning.Output(display_name="negative", tooltip="Without the images, for guidance above 1."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: VAE,
        images: Tensor,
        frames: str,
        trajectory: Trajectory | None = None,
        cameras: Trajectory | None = None,
        positive: Conditioning | None = None,
        negative: Conditioning | None = None,
    ) -> io.NodeOutput:
        numbers = parse_frames(frames, images=images.shape[0], beside=cameras is not None)
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        core, video = core_model(model, vae), video_from_image(images[order])
        hw = (video.shape[-2], video.shape[-1])
        core.sizes.check_hw(hw)
        shown = tuple(numbers[i] for i in order)
        known = own_cameras(cameras, order, hw) if trajectory is None else cameras_at(trajectory, shown, cameras)
        sources = source_latents(core, video, shown, known, own=cameras is not None)
        negative = negative or no_text()
        return io.NodeOutput(
            with_sources(positive or no_text(), sources),
            negative if known is None else with_sources(negative, sources.without_images()),
        )


def source_latents(
    core: RaxelModel, video: Tensor, frames: tuple[int, ...], known: Camera | None, *, own: bool
) -> SourceLatents:
    """Images [3, N, H, W] of `frames` and, where they are known, their cameras [N], each coded alone; `own` says that
    the cameras came with the images."""
    rays, origin = None, None if known is None or not own else known[0]
    if known is not None:
        rays = encode_images(core.vae, core.raxels(known, (video.shape[-2], video.shape[-1]), reference=0)[None])
    times = tuple(latent_times(torch.tensor(frames)).tolist())
    return SourceLatents(frames, times, encode_images(core.vae, video[None]), rays, origin)


def parse_frames(text: str, *, images: int, beside: bool = False) -> list[int]:
    """The frame numbers written in `text`, one per image, below 0 too for views `beside` the path; ValueError with what
    was written otherwise."""
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    digits = [part.removeprefix("-") if beside else part for part in parts]
    if not all(part.isascii() and part.isdigit() for part in digits):
        raise ValueError(f"frames are whole numbers from 0 with commas between them, got {text!r}")
    numbers = [int(part) for part in parts]
    if len(numbers) != images:
        raise ValueError(f"{images} source images need {images} frame numbers, got {len(numbers)}: {text!r}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"each source image shows a frame of its own, got {text!r}")
    return numbers


def own_cameras(cameras: Trajectory | None, order: list[int], hw: tuple[int, int]) -> Camera | None:
    """The own cameras [N] of images of `hw` in the `order` of their frames; ValueError unless there is one for each."""
    if cameras is None:
        return None
    if len(cameras) != len(order):
        raise ValueError(f"{len(order)} source images need {len(order)} cameras of their own, got {len(cameras)}")
    cameras.camera.validate()
    check_aspect(cameras.camera.hw, hw)
    return cameras.camera[order]


def cameras_at(trajectory: Trajectory, frames: tuple[int, ...], own: Trajectory | None) -> Camera:
    """The cameras [N] of some frames of a path; ValueError when it is shorter than that, or there are `own` too."""
    if own is not None:
        raise ValueError("give the images' cameras once: by the path they were taken along, or one each")
    if max(frames) >= len(trajectory):
        raise ValueError(f"a source image shows frame {max(frames)}, but the path ends at frame {len(trajectory) - 1}")
    return trajectory.camera[list(frames)]

"""The node that tells the model what some frames look like."""

from __future__ import annotations

import re

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.geometry.camera import Camera
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.latents.frames import latent_time
from ...raxel_core.latents.vae import encode_images
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
                    tooltip="The frame of the clip that each image shows, from 0, one number per image: 0, 8, 16.",
                ),
                TrajectorySocket.Input(
                    "trajectory",
                    optional=True,
                    tooltip="The path the images were taken along, where it is known: its cameras at those frames "
                    "help a joint run. A run along given cameras has them already.",
                ),
                io.Conditioning.Input(
                    "positive", optional=True, tooltip="A prompt to add the images to, for checkpoints that read text."
                ),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="A negative prompt, for checkpoints that read text."
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="With the images."),
                io.Conditioning.Output(display_name="negative", tooltip="Without them, for guidance above 1."),
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
        positive: Conditioning | None = None,
        negative: Conditioning | None = None,
    ) -> io.NodeOutput:
        numbers = parse_frames(frames, images=images.shape[0])
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        core, video = core_model(model, vae), video_from_image(images[order])
        core.sizes.check_hw((video.shape[-2], video.shape[-1]))
        shown, rays = tuple(numbers[i] for i in order), None
        if trajectory is not None:
            raxels = core.raxels(cameras_at(trajectory, shown), (video.shape[-2], video.shape[-1]), reference=0)
            rays = encode_images(core.vae, raxels[None])
        times = tuple(latent_time(frame) for frame in shown)
        sources = SourceLatents(shown, times, encode_images(core.vae, video[None]), rays)
        negative = negative or no_text()
        return io.NodeOutput(
            with_sources(positive or no_text(), sources),
            negative if rays is None else with_sources(negative, sources.without_images()),
        )


def parse_frames(text: str, *, images: int) -> list[int]:
    """The frame numbers written in `text`, one per image; ValueError with what was written otherwise."""
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"frames are whole numbers from 0 with commas between them, got {text!r}")
    numbers = [int(part) for part in parts]
    if len(numbers) != images:
        raise ValueError(f"{images} source images need {images} frame numbers, got {len(numbers)}: {text!r}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"each source image shows a frame of its own, got {text!r}")
    return numbers


def cameras_at(trajectory: Trajectory, frames: tuple[int, ...]) -> Camera:
    """The cameras [N] of some frames of a path; ValueError when it is shorter than that."""
    if max(frames) >= len(trajectory):
        raise ValueError(f"a source image shows frame {max(frames)}, but the path ends at frame {len(trajectory) - 1}")
    return trajectory.camera[list(frames)]

"""The node that turns a camera path into what the model samples along."""

from __future__ import annotations

import logging

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from comfy_api.latest import io

from ...raxel_core.geometry.camera import Camera
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.pipeline import trajectory_warnings
from ...raxel_core.sampling import Streams
from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import image_from_video
from ..comfy_io.notice import show_on_node
from ..comfy_model.conditioning import Conditioning, sources_of
from ..comfy_model.latent_format import format_of
from ..comfy_sampling.joint_latent import joint_latent
from ..sockets import CATEGORY
from .estimates import ask_encode_memory, core_model, encode_rays


class RaxelEncode(io.ComfyNode):
    """Trajectory -> joint latent with the rays given and the video empty."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelEncode",
            display_name="Raxel Encode",
            category=CATEGORY,
            description="Draws a camera path as raxels, rays as pixels, and encodes them. The latent has the path's "
            "rays, which stay as they are, and an empty video of the path's size, which a sampler fills.",
            inputs=[
                inputs.model(),
                inputs.vae(),
                inputs.trajectory("The camera path, 4n + 1 frames of the video's size."),
                io.Int.Input(
                    "reference_frame",
                    default=0,
                    min=0,
                    max=4096,
                    optional=True,
                    tooltip="The frame whose camera is the origin: that of the earliest source image.",
                ),
                io.Conditioning.Input(
                    "sources",
                    optional=True,
                    tooltip="From Raxel Sources: the camera of the earliest image is then the origin, whatever "
                    "reference_frame says. Needed where that image is a view beside the path.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="Joint latent for Joint Sampler with task camera."),
                io.Image.Output(
                    display_name="raxels", tooltip="The raxels as a picture: (value + 1) / 2, clipped to 0 to 1."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: VAE,
        trajectory: Trajectory,
        reference_frame: int = 0,
        sources: Conditioning | None = None,
    ) -> io.NodeOutput:
        core, hw = core_model(model, vae), trajectory.camera.hw
        trajectory.camera.validate()
        origin, reference_frame = origin_of(sources, reference_frame, frames=len(trajectory))
        ask_encode_memory(core, len(trajectory), hw)
        video = format_of(model).empty_video(len(trajectory), hw)
        unlike = format_of(model).recipe.doubts(len(trajectory), hw)
        warnings = (*unlike, *trajectory_warnings(core, trajectory, hw, reference=origin))
        for warning in warnings:
            logging.warning("Raxel Encode: %s", warning)
        rays, raxels = encode_rays(core, trajectory.camera, hw, reference=origin)
        latent = joint_latent(Streams(video.to(rays), rays), "camera", reference_frame=reference_frame)
        show_on_node(cls, "\n".join(warnings))
        return io.NodeOutput(latent, image_from_video(raxels))


def origin_of(sources: Conditioning | None, frame: int, *, frames: int) -> tuple[Camera | int, int]:
    """What the rays of a path of `frames` are relative to, and the number of that frame: the earliest source, else
    `frame`; ValueError where it is no frame of the path and its camera is not known."""
    found = sources_of(sources)
    frame = frame if found is None else found.reference_frame
    if found is not None and found.beside(frames) and found.origin is not None and not 0 <= frame < frames:
        return found.origin, frame
    if frame >= frames:
        raise ValueError(f"reference_frame is {frame}, but the path has {frames} frames, from 0")
    return frame, frame

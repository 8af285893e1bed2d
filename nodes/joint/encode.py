"""The node that turns a camera path into what the model samples along."""

from __future__ import annotations

import logging

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from comfy_api.latest import io

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.pipeline import trajectory_warnings
from ...raxel_core.sampling import Streams
from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import image_from_video
from ..comfy_io.notice import show_on_node
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
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="Joint latent for JointSampler, task camera."),
                io.Image.Output(display_name="raxels", tooltip="The raxels, (value + 1) / 2, cut off outside 0 to 1."),
            ],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, vae: VAE, trajectory: Trajectory, reference_frame: int = 0) -> io.NodeOutput:
        core, hw = core_model(model, vae), trajectory.camera.hw
        trajectory.camera.validate()
        if reference_frame >= len(trajectory):
            raise ValueError(f"reference_frame is {reference_frame}, but the path has {len(trajectory)} frames, from 0")
        ask_encode_memory(core, len(trajectory), hw)
        video = format_of(model).empty_video(len(trajectory), hw)
        unlike = format_of(model).recipe.doubts(len(trajectory), hw)
        warnings = (*unlike, *trajectory_warnings(core, trajectory, hw, reference=reference_frame))
        for warning in warnings:
            logging.warning("Raxel Encode: %s", warning)
        rays, raxels = encode_rays(core, trajectory.camera, hw, reference=reference_frame)
        latent = joint_latent(Streams(video.to(rays), rays), "camera", reference_frame=reference_frame)
        show_on_node(cls, "\n".join(warnings))
        return io.NodeOutput(latent, image_from_video(raxels))

"""The nodes that put both streams into one latent and take them apart."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ...raxel_core.sampling import Streams
from .. import inputs
from ..catalogue import schema
from ..comfy_model.latent_format import format_of
from ..comfy_sampling.joint_latent import (
    TASK_MASKS,
    Latent,
    joint_latent,
    plain_mask,
    rays_of,
    reference_of,
    streams_of,
    video_of,
)
from ..sockets import CATEGORY


class JoinRaxelLatent(io.ComfyNode):
    """Video and rays -> joint latent with the masks of a task."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="JoinRaxelLatent",
            display_name="Join Raxel Latent",
            category=CATEGORY,
            description="Joins a video latent and a ray latent for any of ComfyUI's samplers. Masks say which of "
            "the two is generated and which stays as it is.",
            inputs=[
                inputs.model(),
                io.Latent.Input("video", tooltip="The video, from VAE Encode, or the video of a joint latent."),
                inputs.task(list(TASK_MASKS)),
                io.Latent.Input(
                    "rays",
                    optional=True,
                    tooltip="The rays, from Split Raxel Latent or a joint latent; leave it open for empty ones.",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="For any sampler.")],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, video: Latent, task: str, rays: Latent | None = None) -> io.NodeOutput:
        latent_format = format_of(model)
        clip = video_of(video, latent_format.latent_channels)
        if rays is None and task == "camera":
            raise ValueError("the task camera needs rays: connect Raxel Encode")
        empty = latent_format.empty_rays(clip)
        given = empty if rays is None else rays_of(rays, like=empty)
        streams, reference = Streams(clip, given), reference_of(rays or {})
        return io.NodeOutput(joint_latent(streams, task, reference_frame=reference, video_mask=plain_mask(video)))


class SplitRaxelLatent(io.ComfyNode):
    """Joint latent -> its video and its rays."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SplitRaxelLatent",
            display_name="Split Raxel Latent",
            category=CATEGORY,
            description="Splits a joint latent into video and rays. VAE Decode needs no splitting: it takes the "
            "video by itself.",
            inputs=[io.Latent.Input("latent", tooltip="A joint latent.")],
            outputs=[
                io.Latent.Output(display_name="video", tooltip="For VAE Decode and ComfyUI's latent nodes."),
                io.Latent.Output(display_name="rays", tooltip="For Join Raxel Latent."),
            ],
        )

    @classmethod
    def execute(cls, latent: Latent) -> io.NodeOutput:
        streams = streams_of(latent, "Split Raxel Latent")
        kept = {name: value for name, value in latent.items() if name not in ("samples", "noise_mask")}
        return io.NodeOutput(*({**kept, "samples": samples} for samples in streams))

"""The nodes that bring a video to the model: one's own, or a scene whose cameras are known."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import image_from_video
from ..comfy_model.latent_format import format_of
from ..sockets import CATEGORY, TrajectorySocket
from .clips import example_scene, fit_clip


class RaxelFitVideo(io.ComfyNode):
    """IMAGE of any size and rate -> the frames and pixels the checkpoint was trained for."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelFitVideo",
            display_name="Raxel Fit Video",
            category=CATEGORY,
            description="Picks frames of a video at the checkpoint's frame rate, and resizes and crops them to its "
            "size. For source images leave fps at 0: all of them are kept.",
            inputs=[
                inputs.model(),
                io.Image.Input("images", tooltip="The frames of a video, or source images."),
                inputs.fps(
                    "Frames per second of the images, from Get Video Components; 0 keeps every image (for source "
                    "images).",
                    optional=False,
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.01,
                    optional=True,
                    tooltip="Seconds of the video to skip.",
                ),
                inputs.frames("How many frames to pick, 4n + 1; 0 picks as many as the checkpoint was trained on."),
                io.Float.Input(
                    "speed",
                    default=1.0,
                    min=0.01,
                    max=100.0,
                    step=0.01,
                    optional=True,
                    tooltip="Above 1 picks frames that are further apart: for a camera that moves slowly.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="Frames of the checkpoint's size."),
                io.Float.Output(display_name="fps", tooltip="Frames per second of the picked frames."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        images: Tensor,
        fps: float,
        start: float = 0.0,
        frames: int = 0,
        speed: float = 1.0,
    ) -> io.NodeOutput:
        recipe, video = format_of(model).recipe, images[..., :3].movedim(-1, 0)
        clip, rate = fit_clip(video, recipe, fps=fps, start=start, frames=frames, speed=speed)
        return io.NodeOutput(clip.movedim(0, -1), rate)


class RaxelExampleScene(io.ComfyNode):
    """Number -> a ray-traced clip and its true cameras."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelExampleScene",
            display_name="Raxel Example Scene",
            category=CATEGORY,
            description="A ray-traced room that no checkpoint was trained on, with its true cameras: for trying a "
            "workflow and for seeing how far off the answer is.",
            inputs=[
                inputs.model(),
                io.Int.Input("scene", default=0, min=0, max=999_999, tooltip="Which scene of the test set."),
                *inputs.size("of the clip in pixels; 0 takes the checkpoint's.", most=2048),
            ],
            outputs=[
                io.Image.Output(
                    display_name="images", tooltip="The clip, with as many frames as the checkpoint was trained on."
                ),
                TrajectorySocket.Output(display_name="trajectory", tooltip="Its true cameras."),
                io.Float.Output(display_name="fps", tooltip="Frames per second of the clip."),
                io.Custom("MOGE_GEOMETRY").Output(
                    display_name="geometry",
                    tooltip="True depths and lens of the first frame, as Run MoGe Inference gives them.",
                ),
            ],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, scene: int, width: int = 0, height: int = 0) -> io.NodeOutput:
        recipe = format_of(model).recipe
        hw = (height or recipe.hw[0], width or recipe.hw[1])
        video, trajectory, geometry = example_scene(scene, recipe, hw)
        return io.NodeOutput(image_from_video(video), trajectory, recipe.fps, geometry)

"""The node that checks the model against itself."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.evaluation.report import loop_report
from ...raxel_core.footage.follow import judged_reading
from ...raxel_core.geometry.estimate import Estimate, as_estimate
from ...raxel_core.geometry.trajectory import Trajectory
from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import image_from_video
from ..comfy_io.notice import show_on_node
from ..comfy_model.latent_format import format_of
from ..sockets import (
    CATEGORY,
    EstimateSocket,
    TrajectorySocket,
)
from .closed_loop import LoopSettings, loop_clip, run_loop


class SelfConsistencyLoop(io.ComfyNode):
    """Video -> cameras -> video -> cameras, and how well the second half repeats the first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SelfConsistencyLoop",
            display_name="Self-Consistency Loop",
            category=CATEGORY,
            description="Finds the cameras of a video, makes the video again along them from a few of its frames, "
            "and finds the cameras of that. This shows whether the model agrees with itself, not "
            "whether it is right: connect true or solved cameras to learn its error.",
            inputs=[
                inputs.model(),
                inputs.vae(),
                io.Image.Input("images", tooltip="The video, 4n + 1 frames."),
                inputs.seed(),
                inputs.steps(),
                inputs.ray_steps("Denoising steps of the rays, each time: 2 to 4."),
                inputs.cfg("the shown frames", optional=True),
                io.Int.Input(
                    "shown_frames",
                    default=3,
                    min=1,
                    max=64,
                    optional=True,
                    tooltip="How many frames of the video the model is shown, evenly spaced from the first to the "
                    "last.",
                ),
                inputs.checkpoint_fps(),
                io.MultiType.Input(
                    "truth",
                    types=[TrajectorySocket, EstimateSocket],
                    optional=True,
                    tooltip="True or solved cameras, one per frame: the first cameras are then judged by their "
                    "error against them.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.Image.Output(display_name="images", tooltip="The video, made again."),
                TrajectorySocket.Output(display_name="first", tooltip="The cameras of the given video."),
                TrajectorySocket.Output(display_name="second", tooltip="The cameras of the video made again."),
                io.String.Output(display_name="report", tooltip="JSON: radians, scene units, dB."),
                io.Boolean.Output(
                    display_name="passed", tooltip="Whether the result is within all bounds; the node shows which."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: VAE,
        images: Tensor,
        seed: int,
        steps: int,
        ray_steps: int,
        cfg: float = 1.0,
        shown_frames: int = 3,
        fps: float = 0.0,
        truth: Trajectory | Estimate | None = None,
    ) -> io.NodeOutput:
        video = loop_clip(images)
        settings = LoopSettings(seed, steps, ray_steps, cfg, shown_frames, fps)
        loop = run_loop(model, vae, video, settings)
        first, second = loop.first.trajectory, loop.second.trajectory
        known = None if truth is None else as_estimate(truth).trajectory
        report = loop_report((first, second), (video, loop.video.to(video)), truth=known)
        verdict = judged_reading(loop.first, format_of(model).recipe, fps=fps or None, filmed=None).verdict
        show_on_node(cls, f"{report.sentence}\n{verdict}")
        return io.NodeOutput(image_from_video(loop.video), first, second, report.to_json(), report.passed)

"""The node that reads the cameras out of a joint latent."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from comfy_api.latest import io

from ...raxel_core.evaluation.report import to_json
from ...raxel_core.footage.follow import judged_reading
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.paths.estimate_figures import reading_figures_by_frame, reading_sentence
from ...raxel_core.pipeline import Reading
from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import image_from_video
from ..comfy_io.notice import show_on_node
from ..comfy_model.latent_format import format_of
from ..comfy_sampling.joint_latent import Latent
from ..sockets import CATEGORY, TrajectorySocket
from .estimates import latent_cameras


class RaxelsToPoses(io.ComfyNode):
    """Joint latent -> trajectory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelsToPoses",
            display_name="Raxels to Poses",
            category=CATEGORY,
            description="Decodes the rays of a joint latent and fits a camera to each frame. If no camera fits, it "
            "stops and names the frame; it never makes one up.",
            inputs=[
                inputs.model(),
                inputs.vae(),
                io.Latent.Input("latent", tooltip="A joint latent, from Joint Sampler or any sampler."),
                io.Combo.Input(
                    "method",
                    options=["robust", "procrustes"],
                    default="robust",
                    optional=True,
                    tooltip="robust: gives outliers less weight and solves rotation, position and focal length "
                    "together. procrustes: the paper's closed-form solution.",
                ),
                io.Combo.Input(
                    "focal",
                    options=["shared", "per_frame", "known"],
                    default="shared",
                    optional=True,
                    tooltip="shared: one focal length for the clip. per_frame: one for each frame, for zooms. "
                    "known: that of the path connected to known.",
                ),
                inputs.checkpoint_fps(),
                TrajectorySocket.Input(
                    "known",
                    optional=True,
                    tooltip="A path that has the clip's true camera at the reference frame; the result is placed in "
                    "that path's world.",
                ),
                io.Int.Input(
                    "index", default=0, min=0, max=4095, optional=True, tooltip="Which clip of a batch, from 0."
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                TrajectorySocket.Output(display_name="trajectory", tooltip="The camera of each frame."),
                io.Image.Output(display_name="raxels", tooltip="The decoded raxels as a picture: (value + 1) / 2."),
                io.String.Output(display_name="report", tooltip="JSON: verdict, lens and smoothness of rays."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: VAE,
        latent: Latent,
        method: str = "robust",
        focal: str = "shared",
        fps: float = 0.0,
        known: Trajectory | None = None,
        index: int = 0,
    ) -> io.NodeOutput:
        read = latent_cameras(model, vae, latent, Reading(method, focal, fps or None), index=index, known=known)
        found = (read.trajectory, read.recovered)
        verdict = judged_reading(read, format_of(model).recipe, fps=fps or None, filmed=None).verdict
        show_on_node(cls, f"{verdict}\n{reading_sentence(*found)}")
        report = to_json({"verdict": verdict, **reading_figures_by_frame(*found)})
        return io.NodeOutput(read.trajectory, image_from_video(read.raxels), report)

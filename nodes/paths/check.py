"""The node that looks a trajectory over before a video is made with it."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.paths.diagnostics import check_trajectory
from .. import inputs
from ..catalogue import schema
from ..comfy_io.notice import show_on_node
from ..comfy_model.trained_range import trained_range
from ..sockets import TRAJECTORY_CATEGORY


class RaxelCheckTrajectory(io.ComfyNode):
    """Trajectory -> passed or not, and why."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelCheckTrajectory",
            display_name="Raxel Check Trajectory",
            category=TRAJECTORY_CATEGORY,
            description="Checks cameras for common mistakes: pixels that are not square, a lens for another picture "
            "size, broken rotations, jumps and jerks, matrices that look like world-to-camera ones, a "
            "number of frames that video models do not take, and more motion than a checkpoint was "
            "trained on.",
            inputs=[
                inputs.trajectory("The cameras to check."),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="The video or picture that the cameras belong to: aspect ratio and number of frames are "
                    "compared.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="A raxel checkpoint, from Load Raxel Model: the path is compared with those it was "
                    "trained on.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.Boolean.Output(display_name="passed", tooltip="True when there is no warning and no error."),
                io.String.Output(display_name="report", tooltip="The findings, worst first, one per line."),
            ],
        )

    @classmethod
    def execute(
        cls, trajectory: Trajectory, images: Tensor | None = None, model: ModelPatcher | None = None
    ) -> io.NodeOutput:
        trained = None if model is None else trained_range(model)
        video = None if images is None else (images.shape[0], images.shape[1], images.shape[2])
        report = check_trajectory(trajectory, trained=trained, video=video)
        show_on_node(cls, report.text)
        return io.NodeOutput(report.passed, report.text)

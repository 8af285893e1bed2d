"""The node that finds the cameras of a whole clip, read from its file window by window."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from comfy_api.latest import io

from ...raxel_core.evaluation.report import to_json
from ...raxel_core.geometry.estimate import Estimate
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.paths.estimate_figures import estimate_figures
from .. import inputs
from ..catalogue import schema
from ..comfy_io.input_files import fingerprint, footage_path
from ..comfy_io.notice import show_on_node
from ..sockets import CATEGORY, EstimateSocket, TrajectorySocket
from .whole_clip import ClipSettings, follow_file


class RaxelPoseFootage(io.ComfyNode):
    """A video file or a series of pictures -> the camera of every frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelPoseFootage",
            display_name="Raxel Pose Footage",
            category=CATEGORY,
            description="Finds the camera of every frame of a clip of any length with the joint model, in "
            "overlapping windows of the length it was trained on. Says how sure it is, whether the "
            "camera moved at all, and how the footage differs from what the checkpoint was trained on.",
            inputs=[
                inputs.model(),
                inputs.vae(),
                io.String.Input(
                    "path",
                    default="",
                    tooltip="A video file in ComfyUI's input folder, a folder of pictures, or an image sequence by "
                    "a pattern: shot/f_%04d.exr, f_####.png, f_*.tif. Add [output] or [temp] after it for "
                    "those folders.",
                ),
                inputs.seed(),
                inputs.ray_steps("Denoising steps of the rays in each window: 2 to 4."),
                inputs.fps("Frames per second of an image sequence; 0 takes 24. A video file states its own rate."),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.01,
                    optional=True,
                    tooltip="Seconds of the footage to skip.",
                ),
                io.Int.Input(
                    "spread",
                    default=0,
                    min=0,
                    max=inputs.MOST_FRAMES,
                    optional=True,
                    tooltip="How many cameras to spread evenly over the clip; 0 gives one for every frame.",
                ),
                io.Combo.Input(
                    "focal",
                    options=["shared", "per_frame"],
                    default="shared",
                    optional=True,
                    tooltip="shared: one focal length for the clip. per_frame: one for each frame, for zooms.",
                ),
                inputs.trajectory(
                    "A path whose first camera has the lens; that lens is then kept fixed.",
                    id="known_lens",
                    optional=True,
                ),
                io.MultiType.Input(
                    "against",
                    types=[TrajectorySocket, EstimateSocket],
                    optional=True,
                    tooltip="Cameras of the same footage, solved or true, to compare with in the verdict.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                TrajectorySocket.Output(display_name="trajectory", tooltip="The camera of every frame."),
                EstimateSocket.Output(
                    display_name="estimate",
                    tooltip="The same cameras with error bars and the footage they belong to: for Raxel Save Camera "
                    "and Raxel Verify Camera.",
                ),
                io.String.Output(
                    display_name="verdict", tooltip="One sentence: what was found and how far to trust it."
                ),
                io.String.Output(display_name="report", tooltip="JSON: the figures, angles in degrees."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, path: str | None = None, **values: Any) -> object:
        """Changes with the files; never the same for a path that is linked, which is not known yet."""
        return float("nan") if path is None else fingerprint(footage_path(path))

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        vae: VAE,
        path: str,
        seed: int,
        ray_steps: int,
        fps: float = 0.0,
        start: float = 0.0,
        spread: int = 0,
        focal: str = "shared",
        known_lens: Trajectory | None = None,
        against: Trajectory | Estimate | None = None,
    ) -> io.NodeOutput:
        settings = ClipSettings(seed, ray_steps, focal, fps or None, start, spread or None)
        estimate = follow_file(model, vae, footage_path(path), settings, known_lens=known_lens, against=against)
        show_on_node(cls, "\n".join((estimate.verdict, *estimate.notes)))
        return io.NodeOutput(estimate.trajectory, estimate, estimate.verdict, to_json(estimate_figures(estimate)))

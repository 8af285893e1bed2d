"""The node that finds the cameras of footage."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.evaluation.report import to_json
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.paths.estimate_figures import estimate_figures
from ...raxel_core.solving.matching import MATCHING
from ...raxel_core.solving.settings import SCALES, Scale, SolveSettings
from ...raxel_core.solving.solve import Clip
from .. import inputs
from ..catalogue import schema
from ..comfy_io.depth import depth_maps_of
from ..comfy_io.notice import show_on_node
from ..sockets import SOLVING_CATEGORY, EstimateSocket, TrajectorySocket
from .footage import depth_at, lens_of, solve_images, solved_frames


class RaxelSolveCamera(io.ComfyNode):
    """Frames -> their cameras, by structure from motion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelSolveCamera",
            display_name="Raxel Solve Camera",
            category=SOLVING_CATEGORY,
            description="Finds the camera of every frame of real footage or of photographs, with error bars, by "
            "COLMAP (pip install pycolmap), on the CPU. It says so if the camera stood still or only "
            "turned, and makes up no path then.",
            inputs=[
                io.Image.Input("images", tooltip="The frames in their order, or photographs of one scene."),
                inputs.fps("Frames per second of the images.", default=24.0, optional=False),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White marks what to ignore: people, hands, whatever moves by itself. One mask for all "
                    "frames, or one for each.",
                ),
                inputs.trajectory(
                    "A path whose first camera has the lens; that lens is then kept fixed.",
                    id="known_lens",
                    optional=True,
                ),
                inputs.fov_degrees(
                    "Roughly how wide the lens sees, horizontally, in degrees; it is refined from there. 0 if you "
                    "do not know."
                ),
                io.Combo.Input(
                    "matching",
                    options=list(MATCHING),
                    default="auto",
                    optional=True,
                    tooltip="sequential: frames of a video. exhaustive: photographs in any order. auto: exhaustive up "
                    "to 24 images.",
                ),
                io.Combo.Input(
                    "scale",
                    options=list(SCALES),
                    default="near_depth",
                    optional=True,
                    tooltip="near_depth: the near part of the first frame's scene is 1 away. depth: metres, by depth "
                    "maps in metres, of each frame or of the first alone. distance: metres, by the distance in the "
                    "input metres. arbitrary: the camera farthest from the first is 1 away.",
                ),
                io.Float.Input(
                    "metres",
                    default=1.0,
                    min=0.0001,
                    max=100000.0,
                    step=0.01,
                    optional=True,
                    tooltip="With scale distance: how far the last camera is from the first, in metres.",
                ),
                io.Boolean.Input(
                    "interpolate",
                    default=False,
                    optional=True,
                    tooltip="Gives frames that cannot be solved a camera between their neighbours. Off: they are left "
                    "out and named.",
                ),
                io.Boolean.Input(
                    "undistort",
                    default=False,
                    optional=True,
                    tooltip="Takes the lens's distortion out of the returned frames, so that they fit the cameras.",
                ),
                io.String.Input(
                    "source", default="", optional=True, tooltip="Name of the footage, to be written into saved files."
                ),
                *inputs.depth_inputs("Of a clip one for each picture. "),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                TrajectorySocket.Output(display_name="trajectory", tooltip="The camera of each frame that has one."),
                EstimateSocket.Output(
                    display_name="estimate",
                    tooltip="The same cameras with error bars, points of the scene and the footage they belong to: "
                    "for Raxel Save Camera and Raxel Verify Camera.",
                ),
                io.Image.Output(display_name="images", tooltip="The frames that have a camera."),
                io.String.Output(
                    display_name="verdict", tooltip="One sentence: what was found and how far to trust it."
                ),
                io.String.Output(display_name="report", tooltip="JSON: the figures, angles in degrees."),
            ],
        )

    @classmethod
    def execute(
        cls, images: Tensor, fps: float, mask: Tensor | None = None, known_lens: Trajectory | None = None,
        fov_degrees: float = 0.0, matching: str = "auto", scale: str = "near_depth", metres: float = 1.0,
        interpolate: bool = False, undistort: bool = False, source: str = "", depth: Tensor | None = None,
        geometry: Any = None, depth_kind: str = "disparity", near: float = 1.0, far: float = 10.0,
    ) -> io.NodeOutput:  # fmt: skip
        lens, maps = lens_of(images, known_lens, fov_degrees), None
        if depth is not None or geometry is not None:
            maps = depth_at(depth_maps_of(depth, geometry, kind=depth_kind, near=near, far=far), len(images))
        unit = Scale(scale, metres)
        settings = SolveSettings(lens, matching, interpolate=interpolate, scale=unit, depth_at=maps)
        solved = solve_images(images, mask, Clip(source, 0.0, fps, fps, len(images)), settings)
        estimate = solved.estimate
        show_on_node(cls, "\n".join((estimate.verdict, *estimate.notes)))
        frames = solved_frames(images, solved, without_distortion=undistort)
        report = to_json(estimate_figures(estimate))
        return io.NodeOutput(estimate.trajectory, estimate, frames, estimate.verdict, report)

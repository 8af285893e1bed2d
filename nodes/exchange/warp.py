"""The nodes that see a picture or clip with depth from other cameras, and tell its scale."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.warp.point_splat import HOLE_COLOURS
from .. import inputs
from ..catalogue import schema
from ..comfy_io.depth import depth_maps_of
from ..comfy_io.notice import show_on_node
from ..sockets import TRAJECTORY_CATEGORY, TrajectorySocket
from .depth import depth_report, fov_degrees, warp_on_device, warp_report


class RaxelWarp(io.ComfyNode):
    """Picture or clip, depth and trajectory -> the video that the cameras see of it, and its holes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelWarp",
            display_name="Raxel Point-Splat Warp",
            category=TRAJECTORY_CATEGORY,
            description="Shows a picture, or a moving clip, with its depth from the cameras of a trajectory and marks "
            "what it cannot know: the guide video of Uni3C (render_video), VACE (control_video and control_masks) and "
            "LTX CrossView.",
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="One picture, taken by the first camera of the trajectory; or a clip of as many pictures "
                    "as the trajectory has frames, each filmed again from its own frame's camera.",
                ),
                inputs.trajectory(
                    "The cameras, and the size of the video. 81 frames of 832 x 480 take 0.5 GB of memory and about "
                    "8 s of one CPU core."
                ),
                *inputs.depth_inputs("Of a clip one for each picture. "),
                io.Combo.Input(
                    "hole_colour",
                    options=list(HOLE_COLOURS),
                    default="black",
                    optional=True,
                    tooltip="Colour of the holes, which the picture does not show. VACE expects grey, LTX CrossView "
                    "magenta.",
                ),
                io.Float.Input(
                    "edge_threshold",
                    default=0.1,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    optional=True,
                    tooltip="Drops pixels that hang in the air between a near and a far surface, when both are "
                    "farther off than this fraction of the pixel's depth. 0 keeps all.",
                ),
                inputs.trajectory(
                    "The cameras that took the clip, as Raxel Solve Camera finds them, in the trajectory's unit; "
                    "both paths start at the same place. Leave it open if the clip's camera stood still.",
                    id="source",
                    optional=True,
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.Image.Output(display_name="video", tooltip="What each camera sees."),
                io.Mask.Output(display_name="holes", tooltip="1 where nothing is known, one mask per frame."),
                TrajectorySocket.Output(
                    display_name="trajectory",
                    tooltip="The cameras that were rendered: relative to the first, with the geometry's lens where it "
                    "states one.",
                ),
                io.String.Output(display_name="report", tooltip="How the depth was read, near depth, lens and holes."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        trajectory: Trajectory,
        depth: Tensor | None = None,
        geometry: Any = None,
        depth_kind: str = "disparity",
        near: float = 1.0,
        far: float = 10.0,
        hole_colour: str = "black",
        edge_threshold: float = 0.1,
        source: Trajectory | None = None,
    ) -> io.NodeOutput:
        depths = depth_maps_of(depth, geometry, kind=depth_kind, near=near, far=far)
        colour = HOLE_COLOURS[hole_colour]
        made = warp_on_device(image, depths, trajectory, source=source, hole_colour=colour, edge=edge_threshold)
        report = warp_report(depths, made, trajectory)
        show_on_node(cls, report)
        return io.NodeOutput(made.video.movedim(0, -1), made.holes, made.trajectory, report)


class RaxelNearDepth(io.ComfyNode):
    """Depth -> the length that trajectories in near depths count in."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelNearDepth",
            display_name="Raxel Near Depth",
            category=TRAJECTORY_CATEGORY,
            description="The 25th percentile of a picture's depth: 1 in a trajectory whose unit is near_depth. Divide "
            "metres by it, or multiply near depths, to change between the two.",
            inputs=inputs.depth_inputs("Of several the first counts. "),
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.Float.Output(display_name="near_depth", tooltip="The 25th percentile, in the unit of the depth."),
                io.Float.Output(
                    display_name="fov_degrees",
                    tooltip="Horizontal angle of view that the geometry states, in degrees; 0 where it states none.",
                ),
                io.String.Output(display_name="report", tooltip="How the depth was read."),
            ],
        )

    @classmethod
    def execute(
        cls,
        depth: Tensor | None = None,
        geometry: Any = None,
        depth_kind: str = "disparity",
        near: float = 1.0,
        far: float = 10.0,
    ) -> io.NodeOutput:
        depth_map = depth_maps_of(depth, geometry, kind=depth_kind, near=near, far=far)[0]
        report = depth_report(depth_map)
        show_on_node(cls, report)
        return io.NodeOutput(depth_map.near_depth, fov_degrees(depth_map), report)

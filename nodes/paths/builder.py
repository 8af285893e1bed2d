"""The nodes that make a camera path and show one."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.geometry.trajectory import Trajectory
from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import image_of_picture
from ..comfy_model.loading import model_clips
from ..sockets import GEOMETRY_SOCKETS, TRAJECTORY_CATEGORY, CameraPathWidget, TrajectorySocket
from .camera_path_state import START_CLIP, START_PATH, read_path
from .editor_notes import depth_of, editor_notes


def _side(side: str, default: int) -> io.Input:
    """Width or height, a multiple of 8 as every video model takes it."""
    tooltip = f"{side.capitalize()} of the video in pixels."
    return inputs.pixels(side, tooltip, default=default, least=8, most=8192, step=8)


class CameraTrajectoryBuilder(io.ComfyNode):
    """A planned camera path -> trajectory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        clip = START_CLIP
        return schema(
            node_id="CameraTrajectoryBuilder",
            display_name="Camera Trajectory Builder",
            category=TRAJECTORY_CATEGORY,
            description="Make a camera path from film moves, stacked in layers, and from keys, live in 3D. Amounts "
            "are in degrees or in unit, and do not change with the number of frames.",
            inputs=[
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Shown in the editor as what the first camera sees; it has no other use.",
                ),
                io.MultiType.Input(
                    "depth",
                    types=[io.Image, *GEOMETRY_SOCKETS],
                    optional=True,
                    tooltip="The depth of image, as a grey depth picture or as geometry of MoGe or Depth Anything "
                    "3. After a run the editor shows the picture as points in space.",
                ),
                inputs.frames("Frames of the clip. Wan and Raxel take 4n + 1.", default=clip.frames),
                _side("width", clip.hw[1]),
                _side("height", clip.hw[0]),
                inputs.fps("Frames per second.", default=clip.fps),
                inputs.unit(clip.unit),
                inputs.depth_kind(),
                CameraPathWidget.Input(
                    "path",
                    default=dict(START_PATH),
                    clips=model_clips(),
                    tooltip="The moves and keys as camera path v1, an object or its JSON text. The inputs frames, "
                    "width, height, fps and unit override what it says of them.",
                ),
            ],
            outputs=[
                TrajectorySocket.Output(display_name="trajectory", tooltip="The camera of each frame."),
                io.Float.Output(
                    display_name="near_depth",
                    tooltip="The near depth (25th percentile) of depth in its own unit, as Apply RayPE takes it for a "
                    "path in metres; 0 without depth.",
                ),
            ],
            # With nothing behind it, or all of that unchanged, a run still brings the editor its picture and depth.
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        path: dict[str, Any] | str,
        frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        unit: str | None = None,
        image: Tensor | None = None,
        depth: Any = None,
        depth_kind: str = "disparity",
    ) -> io.NodeOutput:
        given = {"frame_count": frames, "width": width, "height": height, "fps": fps, "unit": unit}
        trajectory = read_path(path, given)
        seen = None if depth is None else depth_of(depth, depth_kind)
        near_depth = 0.0 if seen is None else seen.near_depth
        return io.NodeOutput(trajectory, near_depth, ui=editor_notes(cls, trajectory, image, seen))


class RaxelTrajectoryPreview(io.ComfyNode):
    """One trajectory or two -> a picture of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelTrajectoryPreview",
            display_name="Raxel Trajectory Preview",
            category=TRAJECTORY_CATEGORY,
            description="Draws a camera path, and a second one over it for comparison.",
            inputs=[
                inputs.trajectory("The path to draw."),
                inputs.trajectory("Another path, drawn over it.", id="compare", optional=True),
                inputs.pixels("width", "Pixels.", default=768, least=64, most=4096),
                inputs.pixels("height", "Pixels.", default=512, least=64, most=4096),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The drawing.")],
        )

    @classmethod
    def execute(
        cls, trajectory: Trajectory, compare: Trajectory | None = None, width: int = 768, height: int = 512
    ) -> io.NodeOutput:
        from ...raxel_core.drawing.plot import draw_trajectories

        paths = {"trajectory": trajectory} if compare is None else {"trajectory": trajectory, "compare": compare}
        return io.NodeOutput(image_of_picture(draw_trajectories(paths, hw=(height, width))))
